#include "node/codebook/prepass.h"
#include "tests/unit/node/codebook/fixture.h"

static void refused(const char *yaml, size_t size, enum error_code code, const char *message)
{
    struct prepass *prepass = NULL;
    struct error error = {0};
    assert_int_equal(prepass_read(bytes_of(yaml, size), "f.yaml", &prepass, &error), code);
    assert_null(prepass);
    if (!strstr(error.detail, message))
        fail_msg("%s\n  gives   %s\n  not     %s", yaml, error.detail, message);
}

static void each_refusal(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *message;
    } bad[] = {
        {"a: &x 1", "f.yaml:1:4: a: anchors"},
        {"a: &x [1]", "f.yaml:1:4: a: anchors"},
        {"a: &x {b: 1}", "f.yaml:1:4: a: anchors"},
        {"a: *x", "f.yaml:1:4: a: aliases"},
        {"a: !!str 1", "f.yaml:1:4: a: tags"},
        {"a: ! 1", "f.yaml:1:4: a: tags"},
        {"a: !x [1]", "f.yaml:1:4: a: tags"},
        {"a: {<<: {b: 1}}", "f.yaml:1:5: a: merge keys"},
        {"a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document"},
        {"%YAML 1.1\n---\na: 1\n", "f.yaml:1:1: directives"},
        {"", "f.yaml:1:1: the file is empty"},
        {"# only a comment\n", "the file is empty"},
        {"[a]: 1", "f.yaml:1:1: a key must be plain text"},
        {"? {a: 1}\n: 2\n", "a key must be plain text"},
        {"a:\n  b: 1\n  b: 2\n", "f.yaml:3:3: a: key 'b' stands here twice (first on line 2)"},
        {"l:\n  - {x: 1}\n  - {y: 1, y: 2}\n", "f.yaml:3:12: l[1]: key 'y' stands"},
        {"a: \"x\\0y\"", "f.yaml:1:4: a: NUL"},
        {"a: \"x\\ay\"", "f.yaml:1:4: a: control"},
        {"a: \"\\u202E\"", "f.yaml:1:4: a: control"},
        {"a: \"\\x85\"", "f.yaml:1:4: a: control"},
        {"a: \"\\u2066b\"", "control"},
        {"a: [1", "not YAML"},
        {"a: \xFF", "not YAML"},
        {"a: \xC0\x80", "not YAML"},
        {"a:\n\t- b\n", "not YAML"},
        {"\xFF\xFE"
         "a",
         "not YAML"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i].yaml, strlen(bad[i].yaml), ERR_INPUT, bad[i].message);
    refused("a: x\0y\n", 7, ERR_INPUT, "not YAML");
}

static void limits(void **state)
{
    (void)state;
    struct prepass *prepass = NULL;
    struct error error = {0};
    char *big = malloc(YAML_BYTES_MAX + 1);
    assert_non_null(big);
    memset(big, '#', YAML_BYTES_MAX + 1);
    memcpy(big, "a: 1\n", 5);
    assert_int_equal(prepass_read(bytes_of(big, YAML_BYTES_MAX), "f", &prepass, &error), OK);
    prepass_destroy(prepass);
    refused(big, YAML_BYTES_MAX + 1, ERR_LIMIT, "at most 1 MiB");

    // one sequence in `a`, one node for each comma: 99,998 items and two nodes around them
    for (int extra = 0; extra < 2; extra++) {
        size_t size = 0, items = 99998 + (size_t)extra;
        memcpy(big, "a: [", 4);
        for (size = 4; items-- > 0; size += 2)
            memcpy(big + size, "1,", 2);
        big[size++] = ']';
        if (extra)
            refused(big, size, ERR_LIMIT, "more than 100,000");
        else {
            assert_int_equal(prepass_read(bytes_of(big, size), "f", &prepass, &error), OK);
            prepass_destroy(prepass);
        }
    }
    for (int depth = 12; depth <= 13; depth++) {
        snprintf(big, 64, "%.*s1%.*s", depth, "[[[[[[[[[[[[[[[[", depth, "]]]]]]]]]]]]]]]]");
        prepass = NULL;
        if (depth == 13)
            refused(big, strlen(big), ERR_LIMIT, "nested deeper than 12");
        else
            assert_int_equal(prepass_read(bytes_of_text(big), "f", &prepass, &error), OK);
        prepass_destroy(prepass);
    }
    for (int keys = 64; keys <= 65; keys++) {
        size_t size = 0;
        for (int i = 0; i < keys; i++)
            size += (size_t)sprintf(big + size, "k%d: 1\n", i);
        prepass = NULL;
        if (keys == 65)
            refused(big, size, ERR_LIMIT, "f.yaml:65:1: more than 64 keys");
        else
            assert_int_equal(prepass_read(bytes_of(big, size), "f", &prepass, &error), OK);
        prepass_destroy(prepass);
    }
    free(big);
}

static void places(void **state)
{
    (void)state;
    static const char yaml[] = "top: {id: x}\nindicators:\n  - id: a\n    by: [p, \"q\"]\n  - id: 儿童\n    where: \"n > 1\"\n";
    static const struct {
        const char *path;
        uint32_t line, column, key_line, key_column;
    } expected[] = {
        {"top", 1, 6, 1, 1},
        {"top.id", 1, 11, 1, 7},
        {"indicators", 3, 3, 2, 1},
        {"indicators[0].by[1]", 4, 13, 4, 13},
        {"indicators[1].where", 6, 12, 6, 5},
        {"indicators[1].nothing", 5, 5, 5, 5},
        {"indicators[7].by", 3, 3, 3, 3},
        {"", 1, 1, 1, 1},
    };
    struct prepass *prepass = NULL;
    assert_int_equal(prepass_read(bytes_of_text(yaml), "f", &prepass, NULL), OK);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        struct place at = prepass_place(prepass, expected[i].path), key = prepass_key_place(prepass, expected[i].path);
        if (at.line != expected[i].line || at.column != expected[i].column || key.line != expected[i].key_line ||
            key.column != expected[i].key_column)
            fail_msg("%s: %u:%u, key %u:%u", expected[i].path, at.line, at.column, key.line, key.column);
    }
    assert_string_equal(prepass_scalar(prepass, "indicators[1].id"), "儿童");
    assert_string_equal(prepass_scalar(prepass, "indicators[0].by[1]"), "q");
    assert_null(prepass_scalar(prepass, "indicators[0].by"));
    assert_null(prepass_scalar(prepass, "indicators[0].where"));
    prepass_destroy(prepass);
    prepass_destroy(NULL);
}

static void speaks_chinese(void **state)
{
    (void)state;
    language_set(LANGUAGE_ZH);
    refused("a: *x", 5, ERR_INPUT, "不允许别名");
    language_set(LANGUAGE_EN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_refusal), cmocka_unit_test(limits), cmocka_unit_test(places),
                                       cmocka_unit_test(speaks_chinese)};
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
