#include "tests/unit/node/codebook/fixture.h"

enum { FIELDS = 64 };

static struct codebook *codebook;
static const struct form *form;
static const struct reg *reg;
static struct value fields[FIELDS], props[FIELDS], prior[FIELDS];

static struct value number(int64_t whole, int64_t part)
{
    return (struct value){.type = VALUE_NUMBER, .number = whole * NUMBER_SCALE + part};
}

static struct value date(const char *text)
{
    struct value value = {.type = VALUE_DATE};
    assert_true(civil_parse(text, &value.date));
    return value;
}

static void set(const char *id, struct value value) { fields[form_field(form, id)] = value; }

static int setup(void **state)
{
    static const uint8_t two_refs[2 * SUBJECT_ID_SIZE] = {1};
    if (fixture_setup(state))
        return -1;
    codebook = fixture_load(NULL, NULL);
    form = &codebook->forms[codebook_form(codebook, "visit")];
    reg = &codebook->regs[codebook_reg(codebook, "child")];
    set("day", date("2024-02-29"));
    set("n", number(7, 0));
    set("minus", number(-3, 0));
    set("huge", (struct value){.type = VALUE_NUMBER, .number = INT64_MAX});
    set("dec", number(2, 5000));
    set("cash", number(12345, 0));
    set("yes", (struct value){.type = VALUE_BOOL, .truth = true});
    set("nope", (struct value){.type = VALUE_BOOL, .truth = false});
    set("hue", (struct value){.type = VALUE_CODE, .code = 1}); // yellow
    set("g", (struct value){.type = VALUE_CODE, .code = 1});   // grave
    set("cats", (struct value){.type = VALUE_SET, .set = 5});  // orphan, disabled
    set("t", (struct value){.type = VALUE_TEXT, .text = bytes_of_text("儿童ab")});
    set("pos", (struct value){.type = VALUE_POSITION, .position = {32000000, 119000000, 50}});
    set("pos2", (struct value){.type = VALUE_POSITION, .position = {32001000, 119000000, 5}}); // 111 m north
    set("kids", (struct value){.type = VALUE_REFS, .text = bytes_of(two_refs, sizeof two_refs)});
    set("when", (struct value){.type = VALUE_INSTANT, .number = 1000});
    set("span", (struct value){.type = VALUE_DURATION, .unit = 'w', .number = 2});
    set("place", (struct value){.type = VALUE_UNIT, .text = bytes_of_text("321081")});
    props[reg_prop(reg, "birth")] = date("2010-02-28");
    props[reg_prop(reg, "colour")] = (struct value){.type = VALUE_CODE, .code = 0};
    props[reg_prop(reg, "category")] = (struct value){.type = VALUE_SET, .set = 2};
    prior[form_field(form, "n")] = number(5, 0);
    prior[form_field(form, "hue")] = (struct value){.type = VALUE_CODE, .code = 0};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    codebook_destroy(codebook);
    return 0;
}

static void say(const struct value *value, int list, char ret[64])
{
    switch (value->type) {
    case VALUE_NONE:
        snprintf(ret, 64, "none");
        break;
    case VALUE_BOOL:
        snprintf(ret, 64, "%s", value->truth ? "true" : "false");
        break;
    case VALUE_NUMBER:
        snprintf(ret, 64, "%s%lld.%04lld", value->number < 0 ? "-" : "", llabs(value->number / NUMBER_SCALE),
                 llabs(value->number % NUMBER_SCALE));
        break;
    case VALUE_DATE:
        civil_format(value->date, ret);
        break;
    case VALUE_DURATION:
        snprintf(ret, 64, "%lld%c", (long long)value->number, value->unit);
        break;
    case VALUE_CODE:
        snprintf(ret, 64, "'%s'", codebook->lists[list].items[value->code].id);
        break;
    default:
        snprintf(ret, 64, "type %d", value->type);
    }
}

// What the text gives, or "error ..." with the message. A code is taken to be a colour.
static void answer_in(enum expr_context context, const char *text, char ret[600])
{
    struct expr_scope scope = {codebook, form, reg, context};
    struct expr_input input = {fields, props, prior, date("2024-03-10").date};
    struct program *program = NULL;
    enum value_type type = VALUE_NONE;
    struct error error = {0};
    int colour = codebook_list(codebook, "colour");
    if (expr_compile(text, &scope, VALUE_NONE, -1, &program, &type, &error) != OK) {
        assert_null(program);
        assert_int_equal(error.code, ERR_INPUT);
        snprintf(ret, 600, "error %s", error.detail);
        return;
    }
    struct value value = expr_eval(program, &input);
    assert_true(value.type == VALUE_NONE || value.type == type);
    say(&value, colour, ret);
    // the canonical text means the same, and is its own canonical text
    struct program *again = NULL;
    char first[4096];
    snprintf(first, sizeof first, "%s", expr_text(program));
    if (strlen(first) <= 512 && expr_compile(first, &scope, VALUE_NONE, -1, &again, NULL, NULL) == OK) {
        struct value same = expr_eval(again, &input);
        char second[64], one[64];
        say(&same, colour, second);
        say(&value, colour, one);
        assert_string_equal(one, second);
        assert_string_equal(first, expr_text(again));
    }
    expr_destroy(again);
    expr_destroy(program);
}

struct sample {
    const char *text, *answer;
};

static void check(enum expr_context context, const struct sample *samples, size_t count)
{
    char answer[600];
    for (size_t i = 0; i < count; i++) {
        answer_in(context, samples[i].text, answer);
        bool is_error = strncmp(samples[i].answer, "error", 5) == 0;
        // of an error, its column and the words that matter
        if (is_error ? strstr(answer, samples[i].answer) != answer &&
                           !(strncmp(answer, "error", 5) == 0 && strstr(answer, samples[i].answer + 6))
                     : strcmp(answer, samples[i].answer) != 0)
            fail_msg("%s\n  gives   %s\n  not     %s", samples[i].text, answer, samples[i].answer);
    }
}
#define CHECK(context, samples) check(context, samples, sizeof(samples) / sizeof *(samples))

static void arithmetic(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"1 + 2 * 3", "7.0000"},
        {"(1 + 2) * 3", "9.0000"},
        {"10 - 4 - 3", "3.0000"},
        {"8 / 2 / 2", "2.0000"},
        {"-n", "-7.0000"},
        {"- (n + 1)", "-8.0000"},
        {"minus * minus", "9.0000"},
        {"1 / 3", "0.3333"},
        {"2 / 3", "0.6667"},
        {"-2 / 3", "-0.6667"},
        {"0.0001 * 0.5", "0.0001"},
        {"0.0001 * 0.4", "0.0000"},
        {"1.5 + dec", "4.0000"},
        {"cash / 100", "123.4500"},
        {"1 / 0", "none"},
        {"n / (n - 7)", "none"},
        {"huge + huge", "none"},
        {"huge * 2", "none"},
        {"huge * 0.5", "461168601842738.7904"},
        {"0 - huge - huge", "none"},
        {"huge / 0.0001", "none"},
        {"xn + 1", "none"},
        {"-xn", "none"},
        {"xn * 0", "none"},
        {"none + 1", "none"},
        {"922337203685477.5807", "922337203685477.5807"},
        {"1.2345", "1.2345"},
    };
    CHECK(EXPR_FIGURE, samples);
}

static void comparison_and_logic(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"n == 7", "true"},
        {"n != 7", "false"},
        {"n < 7", "false"},
        {"n <= 7", "true"},
        {"n > 6.9999", "true"},
        {"n >= 8", "false"},
        {"xn == 7", "none"},
        {"xn != xn", "none"},
        {"hue == 'yellow'", "true"},
        {"'yellow' == hue", "true"},
        {"hue != 'red'", "true"},
        {"child.colour == 'red'", "true"},
        {"colour == 'red'", "true"},
        {"hue == colour", "false"},
        {"yes == nope", "false"},
        {"t == t", "true"},
        {"place == place", "true"},
        {"when <= when", "true"},
        {"day < today", "true"},
        {"cats has 'orphan'", "true"},
        {"cats has 'left_behind'", "false"},
        {"child.category has 'left_behind'", "true"},
        {"cats == cats", "true"},
        {"yes and nope", "false"},
        {"yes or nope", "true"},
        {"not yes", "false"},
        {"not nope and yes", "true"},
        {"nope and xb", "false"},
        {"xb and nope", "false"},
        {"yes and xb", "none"},
        {"yes or xb", "true"},
        {"xb or yes", "true"},
        {"nope or xb", "none"},
        {"not xb", "none"},
        {"xb or none", "none"},
        {"none", "none"},
        {"true", "true"},
        {"nope or yes and nope", "false"},
        {"n == 7 and not (n == 8)", "true"},
        {"xc == 'red'", "none"},
    };
    CHECK(EXPR_ENTRY, samples);
}

static void names_and_context(void **state)
{
    (void)state;
    static const struct sample entry[] = {
        {"today", "2024-03-10"},
        {"prior.n", "5.0000"},
        {"prior.n + n", "12.0000"},
        {"prior.hue == 'red'", "true"},
        {"prior.xn", "none"},
        {"prior.hue.every", "7d"},
        {"g.points", "3.0000"},
        {"3 * g.points + n", "16.0000"},
        {"hue.every", "15d"},
        {"child.colour.every", "7d"},
        {"xc.every", "none"},
        {"status == 'active'", "none"},
        {"child.status == 'active'", "none"},
        {"day + hue.every", "2024-03-15"},
        {"actor.post == opener.post", "error column 1: 'actor'"},
        {"prior", "error column 1: 'prior'"},
        {"prior.nothing", "error column 1: 'prior.nothing'"},
    };
    static const struct sample figure[] = {
        {"today", "error column 1: 'today'"},
        {"n + days(day, today)", "error column 15: 'today'"},
        {"prior.n", "error column 1: 'prior'"},
        {"actor.post == 1", "error column 1: 'actor'"},
        {"colr == 'red'", "error column 1: unknown name 'colr'"},
        {"n + visit.n", "error column 5: unknown name 'visit.n'"},
        {"child.nothing", "error column 1: unknown name"},
        {"child", "error column 1: unknown name"},
        {"n.points", "error column 1: 'n.points': only a code"},
        {"hue.points", "error column 1: 'hue.points': list colour has no attribute"},
        {"cats.lead", "error column 1: 'cats.lead': a set"},
        {"hue.every.n", "error column 1: 'hue.every.n': an attribute"},
        {"age", "error column 1: unknown name 'age'"},
    };
    static const struct sample report[] = {{"1", "error report expressions"}};
    CHECK(EXPR_ENTRY, entry);
    CHECK(EXPR_FIGURE, figure);
    CHECK(EXPR_REPORT, report);
}

static void functions(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"pick(n > 5, 'red', 'green') == hue", "false"},
        {"colour == pick(n > 5, 'red', 'green')", "true"},
        {"pick(xb, hue, 'green')", "'green'"},
        {"pick(yes, 1, yes, 2, 3)", "1.0000"},
        {"pick(nope, 1, yes, 2, 3)", "2.0000"},
        {"pick(nope, 1, nope, 2, 3)", "3.0000"},
        {"pick(yes, none, 3)", "none"},
        {"pick(nope, 1 / 0, pick(yes, 2, 4)) + 1", "3.0000"},
        {"pick(g == 'grave', hue, 'red')", "'yellow'"},
        {"pick(nope, 'red', yes, 'green', hue)", "'green'"},
        {"known(n)", "true"},
        {"known(xn)", "false"},
        {"known(1 / 0)", "false"},
        {"orelse(xn, 4)", "4.0000"},
        {"orelse(n, 4)", "7.0000"},
        {"orelse(xc, 'green')", "'green'"},
        {"orelse('green', xc)", "'green'"},
        {"min(n, 3)", "3.0000"},
        {"max(n, 3)", "7.0000"},
        {"min(n, xn)", "none"},
        {"max(day, xd)", "none"},
        {"max(day, child.birth)", "2024-02-29"},
        {"min(day, child.birth)", "2010-02-28"},
        {"abs(minus)", "3.0000"},
        {"abs(n)", "7.0000"},
        {"abs(xn)", "none"},
        {"abs(0 - huge)", "922337203685477.5807"},
        {"round(2.5, 0)", "3.0000"},
        {"round(-2.5, 0)", "-3.0000"},
        {"round(2.4999, 0)", "2.0000"},
        {"round(1.2355, 2)", "1.2400"},
        {"round(1.2345, 4)", "1.2345"},
        {"round(huge, 0)", "none"},
        {"round(xn, 1)", "none"},
        {"days(day, today)", "10.0000"},
        {"days(today, day)", "-10.0000"},
        {"days(day, xd)", "none"},
        {"months(child.birth, day)", "168.0000"},
        {"years(child.birth, day)", "14.0000"},
        {"years(xd, day)", "none"},
        {"size(cats)", "2.0000"},
        {"size(kids)", "2.0000"},
        {"length(t)", "4.0000"},
        {"accuracy(pos)", "50.0000"},
        {"within(pos, pos2, 112)", "true"},
        {"within(pos, pos2, 111)", "false"},
        {"within(pos, pos, 0)", "true"},
        {"within(pos, pos2, -1)", "false"},
        {"within(pos, pos2, xn)", "none"},
        {"day + 1d", "2024-03-01"},
        {"day + 2w", "2024-03-14"},
        {"day - 1mo", "2024-01-29"},
        {"day + 1y", "2025-03-01"},
        {"day + 12mo", "2025-02-28"},
        {"day + 999999y", "none"},
        {"day + span", "2024-03-14"},
        {"xd + 1d", "none"},
        {"sum(n)", "error column 1: sum() needs"},
    };
    CHECK(EXPR_ENTRY, samples);
}

static void errors_name_the_column(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"", "error column 1: expected a value"},
        {"n +", "error column 4: expected a value"},
        {"n n", "error column 3: expected an operator"},
        {"(n", "error column 3: expected ')'"},
        {"n = 7", "error column 3: '=' alone"},
        {"n < 1 < 2", "error column 7: expected an operator"},
        {"n && yes", "error column 3: '&'"},
        {"nothing(1)", "error column 1: unknown function"},
        {"'red", "error column 1: the quote"},
        {"hue == 'blue'", "error column 8: 'blue' is no code of list colour; expected one of: red, yellow, green"},
        {"'red' == 'red'", "error column 1: nothing here says"},
        {"hue == g", "error column 5: codes of different lists: colour and grade"},
        {"n + yes", "error column 5: expected a number, this is a yes/no"},
        {"yes and n", "error column 9: expected a yes/no, this is a number"},
        {"not n", "error column 5: expected a yes/no"},
        {"n == yes", "error column 6: expected a number"},
        {"hue < 'red'", "error column 5: a code cannot be compared so"},
        {"yes < nope", "error column 5: a yes/no"},
        {"hue.every == hue.every", "error column 11: a duration"},
        {"n == none", "error column 3: a comparison with none"},
        {"day - day", "error column 5: dates are not"},
        {"day + 1h", "error column 7: a date moves by"},
        {"day + 5wd", "error column 7: a date moves by"},
        {"day + 1", "error column 7: expected a duration"},
        {"1d + 1d", "error column 1: expected a number, this is a duration"},
        {"n has 'red'", "error column 1: expected a set of codes"},
        {"cats has hue", "error column 6: codes of different lists: category and colour"},
        {"size(n)", "error column 6: expected a set"},
        {"length(n)", "error column 8: expected a text"},
        {"round(n, 5)", "error column 10: expected 0, 1, 2, 3 or 4"},
        {"round(n, n)", "error column 10: expected 0"},
        {"min(n)", "error column 1: wrong number of arguments: 1"},
        {"pick(yes, 1)", "error column 1: pick takes"},
        {"pick(n, 1, 2)", "error column 6: expected a yes/no"},
        {"pick(yes, 1, 'red')", "error column 14: nothing here says"},
        {"pick(yes, 1, hue)", "error column 14: expected a number"},
        {"min(yes, nope)", "error column 5: expected numbers or dates"},
        {"1.23456", "error column 1: '1.23456' is no number"},
        {"7x", "error column 1: '7x' is no number"},
        {"1.5d", "error column 1: '1.5d'"},
        {"1.", "error column 2: '.' has no meaning"},
        {"99999999999999999999", "error column 1: '9999"},
        {"922337203685477.5808", "error column 1"},
        {"leads[a='b']", "error column 6: '[' belongs to report"},
        {"n@prev", "error column 2: '@' belongs to report"},
        {"N", "error column 1: 'N' has no meaning"},
        {"n + 儿童", "error column 5: only ASCII"},
        {"and", "error column 1: expected a value before 'and'"},
        {"a.b.c.d", "error column 1: 'a.b.c.d' is no name"},
        {"()", "error column 2: expected a value"},
        {"- - n", "error column 3: expected a value"},
        {"not not yes", "error column 5: expected a value before 'not'"},
        {"within(pos, pos, pos)", "error column 18: expected a number"},
        {"7d7", "error column 1: '7d7'"},
    };
    CHECK(EXPR_FIGURE, samples);
}

static void the_place_says_the_type(void **state)
{
    (void)state;
    struct program *program = NULL;
    struct error error;
    struct expr_scope scope = {codebook, form, reg, EXPR_FIGURE};
    enum value_type type = VALUE_NONE;
    int colour = codebook_list(codebook, "colour"), grade = codebook_list(codebook, "grade");
    assert_int_equal(expr_compile("pick(n > 5, 'red', 'green')", &scope, VALUE_CODE, colour, &program, &type, &error), OK);
    assert_int_equal(type, VALUE_CODE);
    assert_string_equal(expr_text(program), "pick((n > 5), 'red', 'green')");
    expr_destroy(program);
    program = NULL;
    assert_int_equal(expr_compile("hue", &scope, VALUE_CODE, grade, &program, &type, &error), ERR_INPUT);
    assert_non_null(strstr(error.detail, "expected a code of list grade, this is of list colour"));
    assert_int_equal(expr_compile("n", &scope, VALUE_BOOL, -1, &program, &type, &error), ERR_INPUT);
    assert_non_null(strstr(error.detail, "column 1: expected a yes/no, this is a number"));
    assert_null(program);
    language_set(LANGUAGE_ZH);
    assert_int_equal(expr_compile("n + yes", &scope, VALUE_NONE, -1, &program, &type, &error), ERR_INPUT);
    language_set(LANGUAGE_EN);
    assert_string_equal(error.detail, "第 5 列：此处应为“数”，而这是“是/否”");
    expr_destroy(NULL);
}

static void canonical_text_is_resolved(void **state)
{
    (void)state;
    static const struct sample samples[] = {
        {"  colour=='red'   and n>1.50 ", "((child.colour == 'red') and (n > 1.5))"},
        {"child.colour == 'red'", "(child.colour == 'red')"},
        {"1+2+3", "((1 + 2) + 3)"},
        {"-n", "(-n)"},
        {"not yes", "(not yes)"},
        {"hue.every", "hue.every"},
        {"category has 'orphan'", "(child.category has 'orphan')"},
        {"day + 1mo", "(day + 1mo)"},
        {"round(0.10, 0)", "round(0.1, 0)"},
    };
    struct expr_scope scope = {codebook, form, reg, EXPR_FIGURE};
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        struct program *program = NULL;
        assert_int_equal(expr_compile(samples[i].text, &scope, VALUE_NONE, -1, &program, NULL, NULL), OK);
        assert_string_equal(expr_text(program), samples[i].answer);
        expr_destroy(program);
    }
}

static void limits(void **state)
{
    (void)state;
    char text[2048], answer[600];
    memset(text, ' ', sizeof text);
    memcpy(text, "n", 1);
    text[512] = 0;
    answer_in(EXPR_FIGURE, text, answer);
    assert_string_equal(answer, "7.0000");
    text[512] = ' ';
    text[513] = 0;
    answer_in(EXPR_FIGURE, text, answer);
    assert_non_null(strstr(answer, "column 513: longer than 512"));

    text[0] = 0; // 64 values and 63 signs are 127 nodes
    for (int i = 0; i < 64; i++)
        strcat(text, i ? "+1" : "1");
    answer_in(EXPR_FIGURE, text, answer);
    assert_string_equal(answer, "64.0000");
    strcat(text, "+1");
    answer_in(EXPR_FIGURE, text, answer);
    assert_non_null(strstr(answer, "more than 128 parts"));

    for (int depth = 16; depth <= 17; depth++) {
        text[0] = 0;
        for (int i = 0; i < depth; i++)
            strcat(text, "(");
        strcat(text, "n");
        for (int i = 0; i < depth; i++)
            strcat(text, ")");
        answer_in(EXPR_FIGURE, text, answer);
        if (depth == 16)
            assert_string_equal(answer, "7.0000");
        else
            assert_non_null(strstr(answer, "column 17: nested deeper than 16"));
    }

    // 16 deep with two values waiting at each level
    text[0] = 0;
    for (int i = 0; i < 16; i++)
        strcat(text, "1+2*(");
    strcat(text, "1");
    for (int i = 0; i < 16; i++)
        strcat(text, ")");
    answer_in(EXPR_FIGURE, text, answer);
    assert_non_null(strstr(answer, "more than 32 values at once"));

    for (int pairs = 16; pairs <= 17; pairs++) {
        strcpy(text, "pick(");
        for (int i = 0; i < pairs; i++)
            strcat(text, "nope, 1, ");
        strcat(text, "9)");
        answer_in(EXPR_FIGURE, text, answer);
        if (pairs == 16)
            assert_string_equal(answer, "9.0000");
        else
            assert_non_null(strstr(answer, "column 1: pick takes"));
    }
}

static void distances(void **state)
{
    (void)state;
    struct {
        struct position a, b;
        const char *metres, *answer;
    } samples[] = {
        {{0, 0, 0}, {0, 1000000, 0}, "within(pos, pos2, 111195)", "true"},
        {{0, 0, 0}, {0, 1000000, 0}, "within(pos, pos2, 111194)", "false"},
        {{60000000, 0, 0}, {60000000, 1000000, 0}, "within(pos, pos2, 55700)", "true"},
        {{60000000, 0, 0}, {60000000, 1000000, 0}, "within(pos, pos2, 55400)", "false"},
        {{0, 179999999, 0}, {0, -179999999, 0}, "within(pos, pos2, 1)", "true"},
        {{90000000, 0, 0}, {90000000, 180000000, 0}, "within(pos, pos2, 1)", "true"},
        {{90000001, 0, 0}, {0, 0, 0}, "within(pos, pos2, 1)", "none"},
        {{-90000000, 0, 0}, {90000000, 0, 0}, "within(pos, pos2, 900000000)", "true"},
    };
    struct value old = fields[form_field(form, "pos")], old2 = fields[form_field(form, "pos2")];
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        char answer[600];
        fields[form_field(form, "pos")].position = samples[i].a;
        fields[form_field(form, "pos2")].position = samples[i].b;
        answer_in(EXPR_FIGURE, samples[i].metres, answer);
        assert_string_equal(answer, samples[i].answer);
    }
    set("pos", old);
    set("pos2", old2);
}

// Evaluation is total even on values that no record can hold.
static void wrong_inputs_give_none(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "n + 1",      "hue == 'red'", "hue.every", "day + 1d", "day + hue.every",  "years(day, day)", "cats has 'orphan'", "not yes",
        "size(cats)", "length(t)",    "min(n, 1)", "-n",       "pick(yes, n, dec)"};
    struct value odd[] = {{.type = VALUE_CODE, .code = 65535},
                          {.type = VALUE_DATE, .date = INT32_MAX},
                          {.type = VALUE_DATE, .date = INT32_MIN},
                          {.type = VALUE_NUMBER, .number = INT64_MIN}};
    struct expr_scope scope = {codebook, form, reg, EXPR_FIGURE};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        for (size_t j = 0; j < sizeof odd / sizeof *odd; j++) {
            struct value all[FIELDS];
            for (size_t k = 0; k < FIELDS; k++)
                all[k] = odd[j];
            struct program *program = NULL;
            assert_int_equal(expr_compile(texts[i], &scope, VALUE_NONE, -1, &program, NULL, NULL), OK);
            struct value value = expr_eval(program, &(struct expr_input){.fields = all});
            if (odd[j].type != VALUE_NUMBER || strcmp(texts[i], "-n") == 0)
                assert_true(value.type == VALUE_NONE || value.type == VALUE_BOOL || strncmp(texts[i], "pick", 4) == 0 ||
                            strncmp(texts[i], "min", 3) == 0);
            if (odd[j].type == VALUE_NUMBER && strcmp(texts[i], "-n") == 0)
                assert_int_equal(value.type, VALUE_NONE);
            expr_destroy(program);
        }
    struct program *program = NULL;
    assert_int_equal(expr_compile("n + child.colour.every.x", &scope, VALUE_NONE, -1, &program, NULL, NULL), ERR_INPUT);
    assert_int_equal(expr_compile("known(n) or known(colour)", &scope, VALUE_BOOL, -1, &program, NULL, NULL), OK);
    struct value value = expr_eval(program, &(struct expr_input){.fields = NULL});
    assert_true(value.type == VALUE_BOOL && !value.truth);
    expr_destroy(program);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arithmetic),
        cmocka_unit_test(comparison_and_logic),
        cmocka_unit_test(names_and_context),
        cmocka_unit_test(functions),
        cmocka_unit_test(errors_name_the_column),
        cmocka_unit_test(the_place_says_the_type),
        cmocka_unit_test(canonical_text_is_resolved),
        cmocka_unit_test(limits),
        cmocka_unit_test(distances),
        cmocka_unit_test(wrong_inputs_give_none),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
