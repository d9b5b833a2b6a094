// Entry rules: need, show, check, calc, dates, retired codes.
#include "tests/unit/node/village.h"

#include "node/record_validate.h"
#include "node/record_value.h"
#include "relay/language.h"

static struct value values[FIELDS_MAX], props[PROPS_MAX], prior[FIELDS_MAX];
static struct surroundings around;
static struct finding finding;
static struct arena arena;
static int32_t at;

static int unload(void **state)
{
    arena_finish(&arena);
    return codebook_teardown(state);
}

static void begin(const char *form)
{
    memset(values, 0, sizeof values);
    memset(props, 0, sizeof props);
    memset(prior, 0, sizeof prior);
    finding = (struct finding){0};
    const struct form *of = &codebook->forms[codebook_form(codebook, form)];
    bool about = of->about >= 0;
    around = (struct surroundings){
        .codebook = codebook, .form = of, .props = about ? props : NULL, .birth_props = props, .today = day_of("2024-06-15")};
}

static void set(struct value *place, const char *field, const char *text)
{
    int index = form_field(around.form, field);
    assert_true(index >= 0);
    assert_true(value_from_text(codebook, &around.form->fields[index], text, &arena, &place[index], &finding));
}

static bool valid(void)
{
    return record_date(around.form, around.today, values, &at, &finding) && record_validate(&around, at, values, &finding);
}

static void refused(const char *field, const char *text)
{
    assert_false(valid());
    assert_int_equal(finding.code, ERR_INPUT);
    assert_string_equal(finding.field, field);
    assert_string_equal(finding.text, text);
}

static void calculations_are_stored(void **state)
{
    (void)state;
    begin("assess");
    set(values, "harm", "some");
    set(values, "colour", "red");
    assert_true(valid());
    assert_int_equal(at, around.today); // `day` need not be said
    assert_int_equal(values[form_field(around.form, "score")].number, 5 * NUMBER_SCALE);
    assert_int_equal(values[form_field(around.form, "advised")].code, 0);
    set(values, "score", "6");
    refused("score", "calculated by the form, and not this: 5 * harm.points");
    set(values, "score", "5");
    assert_true(valid());
}

static void the_prior_record_is_one_hop_back(void **state)
{
    (void)state;
    begin("assess");
    set(values, "harm", "some");
    set(values, "colour", "red");
    int worse = form_field(around.form, "worse");
    assert_true(valid());
    assert_false(values[worse].truth);
    set(prior, "score", "0");
    around.prior = prior;
    values[worse] = value_none();
    assert_true(valid());
    assert_true(values[worse].truth);
}

static void need_and_show_depend_on_values(void **state)
{
    (void)state;
    begin("assess");
    refused("harm", "needed (harm)");
    begin("assess");
    set(values, "harm", "grave");
    set(values, "colour", "green");
    refused("why", "needed (why), because: colour != advised");
    language_set(LANGUAGE_ZH);
    refused("why", "必填（理由），因为：colour != advised");
    language_set(LANGUAGE_EN);
    set(values, "why", "kin took it in");
    assert_true(valid());
    set(values, "colour", "red"); // as advised
    refused("why", "belongs here only when: colour != advised");
}

static void checks_show_their_rule(void **state)
{
    (void)state;
    begin("visit");
    refused("day", "needed: the record's date (day)");
    set(values, "day", "2024-06-14");
    set(values, "minutes", "0");
    refused("minutes", "does not hold: minutes > 0");
    set(values, "minutes", "1");
    assert_true(valid());
    values[form_field(around.form, "minutes")] = value_none(); // none passes: emptiness is need's business
    assert_true(valid());
    set(values, "day", "2024-06-16");
    refused("day", "does not hold: day <= today");
}

static void retired_codes_end_with_their_day(void **state)
{
    (void)state;
    begin("file");
    set(values, "since", "2020-12-31");
    set(values, "state", "active");
    set(values, "category", "poor|disabled");
    assert_true(valid());
    set(values, "since", "2021-01-01");
    refused("category", "'poor' ended on 2020-12-31; use 'orphan'");
}

static void dates_have_bounds(void **state)
{
    (void)state;
    begin("file");
    set(values, "state", "active");
    set(values, "since", "2024-06-16"); // T27: a day for clocks and zones
    assert_true(valid());
    set(values, "since", "2024-06-17");
    refused("since", "lies in the future; today is 2024-06-15");
    set(values, "since", "2024-01-05");
    around.unit_from = (uint32_t)day_of("2024-01-06");
    refused("since", "lies before the unit began, 2024-01-06");
    around.unit_from = 0;
    props[reg_prop(&codebook->regs[0], "birth")] = (struct value){.type = VALUE_DATE, .date = day_of("2024-01-06")};
    refused("since", "lies before the subject's birth"); // T6
    set(values, "birth", "2024-01-05");                  // what is said now counts, not what was
    assert_true(valid());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calculations_are_stored),          cmocka_unit_test(the_prior_record_is_one_hop_back),
        cmocka_unit_test(need_and_show_depend_on_values),   cmocka_unit_test(checks_show_their_rule),
        cmocka_unit_test(retired_codes_end_with_their_day), cmocka_unit_test(dates_have_bounds),
    };
    return cmocka_run_group_tests(tests, codebook_setup, unload);
}
