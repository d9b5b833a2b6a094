#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/cli/options.h"
#include "relay/language.h"

static const struct option_spec specs[] = {
    {"dir", 'd', OPTION_VALUE, "DIR", {"the directory", "目录"}},
    {"json", 0, OPTION_SWITCH, NULL, {"print JSON", "以 JSON 输出"}},
    {"where", 'w', OPTION_LIST, "DIM=CODE", {"only this member", "只计此项"}},
    {"a-very-long-option-name", 0, OPTION_VALUE, "VALUE", {"long", "长"}},
};

static enum error_code parse(struct options *options, struct error *error, int argc, const char *const *argv)
{
    static char copies[32][64];
    static char *pointers[32];
    for (int i = 0; i < argc; i++) {
        strcpy(copies[i], argv[i]);
        pointers[i] = copies[i];
    }
    *options = (struct options){0};
    options_add(options, specs, sizeof specs / sizeof *specs);
    return options_parse(options, argc, pointers, error);
}

#define PARSE(options, error, ...)                                                                                                         \
    parse(options, error, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *), (const char *[]){__VA_ARGS__})

static void reads_all_spellings(void **state)
{
    (void)state;
    struct options options;
    struct error error;
    const char *const *list;
    assert_int_equal(PARSE(&options, &error, "A", "-d", "x", "--json", "B", "--where=a=1", "-wb=2", "--where", "c=3"), OK);
    assert_string_equal(options_value(&options, "dir"), "x");
    assert_true(options_given(&options, "json"));
    assert_int_equal(options_list(&options, "where", &list), 3);
    assert_string_equal(list[0], "a=1");
    assert_string_equal(list[1], "b=2");
    assert_string_equal(list[2], "c=3");
    assert_int_equal(options.argument_count, 2);
    assert_string_equal(options.arguments[0], "A");
    assert_string_equal(options.arguments[1], "B");
    assert_null(options_value(&options, "a-very-long-option-name"));
}

static void dashes(void **state)
{
    (void)state;
    struct options options;
    struct error error;
    assert_int_equal(PARSE(&options, &error, "-d", "-", "-", "--", "--json", "-d"), OK); // "-" is stdin; after "--" nothing is an option
    assert_string_equal(options_value(&options, "dir"), "-");
    assert_false(options_given(&options, "json"));
    assert_int_equal(options.argument_count, 3);
    assert_string_equal(options.arguments[0], "-");
    assert_string_equal(options.arguments[2], "-d");
    assert_int_equal(PARSE(&options, &error, "--dir=-x", "--dir="), ERR_USAGE);
    assert_int_equal(PARSE(&options, &error, "--dir="), OK);
    assert_string_equal(options_value(&options, "dir"), "");
}

static void refuses_with_a_hint(void **state)
{
    (void)state;
    struct options options;
    struct error error;
    assert_int_equal(PARSE(&options, &error, "--jsno"), ERR_USAGE);
    assert_string_equal(error.detail, "unknown option --jsno; did you mean --json?");
    assert_int_equal(PARSE(&options, &error, "--wher=x=1"), ERR_USAGE);
    assert_string_equal(error.detail, "unknown option --wher; did you mean --where?");
    assert_int_equal(PARSE(&options, &error, "--frobnicate"), ERR_USAGE);
    assert_string_equal(error.detail, "unknown option --frobnicate");
    assert_int_equal(PARSE(&options, &error, "-x"), ERR_USAGE);
    assert_string_equal(error.detail, "unknown option -x");
    assert_int_equal(PARSE(&options, &error, "-d"), ERR_USAGE);
    assert_string_equal(error.detail, "--dir needs a value: --dir DIR");
    assert_int_equal(PARSE(&options, &error, "--dir", "--json"), ERR_USAGE);
    assert_string_equal(error.detail, "--dir needs a value: --dir DIR");
    assert_int_equal(PARSE(&options, &error, "--json=1"), ERR_USAGE);
    assert_string_equal(error.detail, "--json takes no value");
    assert_int_equal(PARSE(&options, &error, "-d", "x", "--dir", "y"), ERR_USAGE);
    assert_string_equal(error.detail, "--dir is given twice");
    language_set(LANGUAGE_ZH);
    assert_int_equal(PARSE(&options, &error, "--jsno"), ERR_USAGE);
    assert_string_equal(error.detail, "未知选项 --jsno；是否想用 --json？");
    language_set(LANGUAGE_EN);
}

static void lists_are_bounded(void **state)
{
    (void)state;
    struct options options;
    struct error error;
    const char *argv[OPTION_LIST_MAX + 1], *const *list;
    for (int i = 0; i <= OPTION_LIST_MAX; i++)
        argv[i] = "-wa=1";
    assert_int_equal(parse(&options, &error, OPTION_LIST_MAX, argv), OK);
    assert_int_equal(options_list(&options, "where", &list), OPTION_LIST_MAX);
    assert_int_equal(parse(&options, &error, OPTION_LIST_MAX + 1, argv), ERR_USAGE);
    assert_string_equal(error.detail, "--where is given more than 16 times");
}

static void help_is_aligned(void **state)
{
    (void)state;
    struct options options = {0};
    struct buffer out = {0};
    options_add(&options, specs, sizeof specs / sizeof *specs);
    options_print(&options, &out);
    buffer_append(&out, "", 1);
    assert_string_equal((char *)out.data, "  -d, --dir DIR           the directory\n"
                                          "      --json              print JSON\n"
                                          "  -w, --where DIM=CODE    only this member\n"
                                          "      --a-very-long-option-name VALUE\n"
                                          "                          long\n");
    buffer_finish(&out);
}

static void nearest(void **state)
{
    (void)state;
    static const char *const words[] = {"status", "units", "record", "figures", "verify"};
    assert_string_equal(options_nearest("stauts", words, 5), "status");
    assert_string_equal(options_nearest("figure", words, 5), "figures");
    assert_string_equal(options_nearest("fig", words, 5), "figures");
    assert_string_equal(options_nearest("unit", words, 5), "units");
    assert_null(options_nearest("xyzzy", words, 5));
    assert_null(options_nearest("", words, 5));
    assert_null(options_nearest("a-word-that-is-longer-than-any-verb-is", words, 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_spellings), cmocka_unit_test(dashes),          cmocka_unit_test(refuses_with_a_hint),
        cmocka_unit_test(lists_are_bounded),   cmocka_unit_test(help_is_aligned), cmocka_unit_test(nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
