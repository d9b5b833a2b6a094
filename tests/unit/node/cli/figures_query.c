#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/cli/figures_query.h"

static const struct option_spec specs[] = {FIGURES_QUERY_OPTIONS};
static const struct verb verb = {.name = "figures", .usage = "..."};

static enum error_code ask(struct figures_query *query, const char *by, struct error *error, int argc, const char *const *argv)
{
    static char copies[24][128], *pointers[24]; // they live as long as the query
    struct cli cli = {.verb = &verb};
    for (int i = 0; i < argc; i++) {
        strcpy(copies[i], argv[i]);
        pointers[i] = copies[i];
    }
    options_add(&cli.options, specs, sizeof specs / sizeof *specs);
    assert_int_equal(options_parse(&cli.options, argc, pointers, NULL), OK);
    return figures_query_init(query, &cli, by, error);
}

#define ASK(query, by, error, ...)                                                                                                         \
    ask(query, by, error, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static void whole_questions(void **state)
{
    (void)state;
    struct figures_query query;
    assert_int_equal(ASK(&query, "unit,tier=village,colour", NULL, "-i", "children,visits", "--unit", "3210", "-p", "2023-01..2023-03",
                         "-w", "sex=f", "-w", "category=a=b"),
                     OK);
    const Sanji__FiguresRequest *request = &query.request;
    assert_int_equal(request->n_indicators, 2);
    assert_string_equal(request->indicators[0], "children");
    assert_string_equal(request->indicators[1], "visits");
    assert_string_equal(request->unit, "3210");
    assert_string_equal(request->period, "2023-01..2023-03");
    assert_int_equal(request->n_by, 3);
    assert_string_equal(request->by[1], "tier=village");
    assert_int_equal(request->n_filters, 2);
    assert_string_equal(request->filters[0]->dimension, "sex");
    assert_string_equal(request->filters[0]->code, "f");
    assert_string_equal(request->filters[1]->code, "a=b");
    assert_int_equal(ASK(&query, NULL, NULL, "-i", "x", "-p", "2023"), OK);
    assert_string_equal(query.request.unit, "");
    assert_int_equal(query.request.n_by, 0);
}

static void wrong_questions(void **state)
{
    (void)state;
    struct figures_query query;
    struct error error;
    assert_int_equal(ASK(&query, NULL, &error, "-p", "2023"), ERR_USAGE);
    assert_string_equal(error.detail, "--indicator is missing: sanji figures ...");
    assert_int_equal(ASK(&query, NULL, &error, "-i", "x"), ERR_USAGE);
    assert_string_equal(error.detail, "--period is missing: sanji figures ...");
    assert_int_equal(ASK(&query, NULL, &error, "-i", "x", "-p", "2023-13"), ERR_INPUT);
    assert_int_equal(ASK(&query, NULL, &error, "-i", "x,,y", "-p", "2023"), ERR_USAGE);
    assert_int_equal(ASK(&query, NULL, &error, "-i", "x,", "-p", "2023"), ERR_USAGE);
    assert_int_equal(ASK(&query, "", &error, "-i", "x", "-p", "2023"), ERR_USAGE);
    static const char *const filters[] = {"sex", "=f", "sex="};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(ASK(&query, NULL, &error, "-i", "x", "-p", "2023", "-w", filters[i]), ERR_USAGE);
    char many[2 * QUERY_NAMES_MAX + 2];
    for (int i = 0; i <= QUERY_NAMES_MAX; i++)
        memcpy(many + 2 * i, "a,", 2);
    many[2 * QUERY_NAMES_MAX - 1] = 0; // 64 names
    assert_int_equal(ASK(&query, many, &error, "-i", "x", "-p", "2023"), OK);
    assert_int_equal(query.request.n_by, QUERY_NAMES_MAX);
    memcpy(many + 2 * QUERY_NAMES_MAX - 1, ",a", 3); // 65
    assert_int_equal(ASK(&query, many, &error, "-i", "x", "-p", "2023"), ERR_USAGE);
    char longest[QUERY_TEXT_MAX + 1];
    memset(longest, 'a', QUERY_TEXT_MAX);
    longest[QUERY_TEXT_MAX] = 0;
    assert_int_equal(ASK(&query, longest, &error, "-i", "x", "-p", "2023"), ERR_USAGE);
    assert_string_equal(error.detail, "the question is too long; ask in parts");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(whole_questions), cmocka_unit_test(wrong_questions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
