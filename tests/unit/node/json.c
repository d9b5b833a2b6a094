#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/json.h"
#include "relay/language.h"

static struct json_document *parse(const char *text)
{
    struct json_document *document = NULL;
    struct error error = {0};
    if (json_parse(bytes_of_text(text), "t.json", &document, &error) != OK)
        fail_msg("%s", error.detail);
    return document;
}

static void reads(void **state)
{
    (void)state;
    struct json_document *document =
        parse("\xEF\xBB\xBF"
              "[\n  {\"day\": \"2023-01-05\", \"ok\": true, \"tags\": [], \"n\": 12},\n  {\"名\": null, \"x\": {\"y\": [1, 2.5]}}\n]");
    const struct json *root = json_root(document);
    assert_int_equal(json_kind(root), JSON_KIND_LIST);
    assert_int_equal(json_count(root), 2);
    const struct json *a = json_first(root), *b = json_next(a);
    assert_null(json_next(b));
    assert_string_equal(json_text(json_get(a, "day")), "2023-01-05");
    bool truth = false;
    assert_true(json_truth(json_get(a, "ok"), &truth));
    assert_true(truth);
    assert_int_equal(json_kind(json_get(a, "tags")), JSON_KIND_LIST);
    assert_null(json_first(json_get(a, "tags")));
    assert_null(json_get(a, "nothing"));
    const struct json *name = json_first(b);
    assert_string_equal(json_name(name), "名");
    assert_int_equal(json_kind(name), JSON_KIND_NONE);
    const struct json *one = json_first(json_get(json_get(b, "x"), "y"));
    int64_t number;
    assert_true(json_whole(one, &number));
    assert_int_equal(number, 1);
    assert_false(json_whole(json_next(one), &number));
    assert_true(json_scaled(json_next(one), &number));
    assert_int_equal(number, 25000);
    struct error error;
    json_fail(document, json_get(a, "n"), ERR_INPUT, &error, "over %d", 10);
    assert_string_equal(error.detail, "t.json:2:54: n: over 10");
    json_fail(document, json_next(one), ERR_INPUT, &error, "no");
    assert_string_equal(error.detail, "t.json:3:30: no");
    json_destroy(document);
}

static void absent_values_answer_as_absent(void **state)
{
    (void)state;
    int64_t number;
    bool truth;
    assert_int_equal(json_kind(NULL), JSON_KIND_NONE);
    assert_null(json_get(NULL, "a"));
    assert_null(json_first(NULL));
    assert_null(json_next(NULL));
    assert_null(json_text(NULL));
    assert_null(json_name(NULL));
    assert_int_equal(json_count(NULL), 0);
    assert_false(json_whole(NULL, &number));
    assert_false(json_scaled(NULL, &number));
    assert_false(json_truth(NULL, &truth));
    json_destroy(NULL);
}

static void numbers_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool fits;
        int64_t scaled;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"1", true, 10000},
        {"-12.5", true, -125000},
        {"0.0001", true, 1},
        {"0.00010", true, 1},
        {"0.00011", false, 0},
        {"1e3", true, 10000000},
        {"1.5E-3", true, 15},
        {"1e-5", false, 0},
        {"100.5", true, 1005000},
        {"0.1000000000000000000000000000", true, 1000},
        {"922337203685477.5807", true, INT64_MAX},
        {"922337203685477.5808", false, 0},
        {"99999999999.9999", true, 999999999999999},
        {"1e15", false, 0},
        {"1e999999", false, 0},
        {"0e999999", true, 0},
        {"1e-999999", false, 0},
        {"12345678901234567890123", false, 0},
        {"1000000000000", true, 10000000000000000},
        {"", false, 0},
        {"-", false, 0},
        {"1.", false, 0},
        {".5", false, 0},
        {"1e", false, 0},
        {"1x", false, 0},
        {"1.2.3", false, 0},
        {" 1", false, 0},
        {"+1", false, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t number = 77;
        if (json_scaled_parse(cases[i].text, &number) != cases[i].fits || (cases[i].fits && number != cases[i].scaled))
            fail_msg("%s: %lld", cases[i].text, (long long)number);
        if (!cases[i].fits)
            assert_int_equal(number, 77);
    }
    struct json_document *document = parse("[9223372036854775807, 1e2, 1.0, 0.30000000000000004]");
    const struct json *value = json_first(json_root(document));
    int64_t number;
    assert_true(json_whole(value, &number));
    assert_true(number == INT64_MAX);
    assert_false(json_scaled(value, &number));
    assert_true(json_whole(value = json_next(value), &number));
    assert_int_equal(number, 100);
    assert_true(json_whole(value = json_next(value), &number));
    assert_int_equal(number, 1);
    assert_false(json_scaled(json_next(value), &number)); // a double would say 0.3
    json_destroy(document);
}

static void check(struct bytes text, enum error_code code, const char *detail)
{
    struct json_document *document = NULL;
    struct error error = {0};
    assert_int_equal(json_parse(text, "t", &document, &error), code);
    assert_null(document);
    assert_string_equal(error.detail, detail);
}

static void refuses(void **state)
{
    (void)state;
    check(bytes_of_text("{\"a\": 1,\n \"a\": 2}"), ERR_INPUT, "t:2:4: the same name twice in one object near '\"a\"'");
    check(bytes_of_text("{\"a\": 1"), ERR_INPUT, "t:1:7: the text ends too early: a bracket or quote is open");
    check(bytes_of_text(""), ERR_INPUT, "t:1:1: the text ends too early: a bracket or quote is open");
    check(bytes_of(NULL, 0), ERR_INPUT, "t:1:1: the text ends too early: a bracket or quote is open");
    check(bytes_of_text("3"), ERR_INPUT, "t:1:1: not JSON near '3'");
    check(bytes_of_text("[1] [2]"), ERR_INPUT, "t:1:5: text after the end of the value near '['");
    check(bytes_of_text("[\"\\u0000\"]"), ERR_INPUT, "t:1:9: a NUL character");
    check(bytes_of_text("[1,]"), ERR_INPUT, "t:1:4: not JSON near ']'");
    check(bytes_of_text("[01]"), ERR_INPUT, "t:1:2: not JSON near '0'");
    check(bytes_of_text("[92233720368547758080]"), ERR_INPUT, "t:1:21: the number is too large near '92233720368547758080'");
    check(bytes_of_text("[\"\xC0\xAF\"]"), ERR_INPUT, "t:1:2: not UTF-8: save the file as UTF-8");
    check(bytes_of_text("// x\n[]"), ERR_INPUT, "t:1:1: not JSON near '/'");
    language_set(LANGUAGE_ZH);
    check(bytes_of_text("[1"), ERR_INPUT, "t:1:2: 文本不完整：有未闭合的括号或引号");
    language_set(LANGUAGE_EN);
}

static void limits(void **state)
{
    (void)state;
    char deep[2 * JSON_DEPTH_MAX + 3] = {0};
    memset(deep, '[', JSON_DEPTH_MAX);
    memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    json_destroy(parse(deep));
    memset(deep, '[', JSON_DEPTH_MAX + 1);
    memset(deep + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    check(bytes_of_text(deep), ERR_LIMIT, "t:1:33: nested deeper than 32 levels");
    check(bytes_of("[", (size_t)JSON_SIZE_MAX + 1), ERR_LIMIT, "t: larger than 64 MiB: divide the file"); // only the size is looked at
    size_t size = 2 * (size_t)JSON_VALUES_MAX + 8;
    char *many = malloc(size);
    assert_non_null(many);
    for (size_t i = 0; i < size; i += 2)
        memcpy(many + i, i ? ",0" : "[0", 2);
    many[size - 1] = ']';
    struct json_document *document = NULL;
    struct error error;
    assert_int_equal(json_parse(bytes_of(many, size), "t", &document, &error), ERR_LIMIT);
    free(many);
}

// Any bytes: an answer, and never a crash. Every prefix and every one-byte change of a document is tried.
static void survives_damage(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": [1, -2.5e3, \"x\\\"y\", true, null], \"b\": {\"c\": {}}}";
    char copy[sizeof text];
    for (size_t i = 0; i < sizeof text - 1; i++) {
        struct json_document *document = NULL;
        assert_int_not_equal(json_parse(bytes_of(text, i), "t", &document, NULL), OK);
        static const char with[] = "\"\\{}[],:0\0\xFF\n";
        for (size_t j = 0; j < sizeof with - 1; j++) {
            memcpy(copy, text, sizeof text);
            copy[i] = with[j];
            document = NULL;
            if (json_parse(bytes_of(copy, sizeof text - 1), "t", &document, NULL) == OK)
                assert_non_null(json_root(document));
            json_destroy(document);
        }
    }
}

static void writes(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct json_writer writer = json_writer(&out, false);
    json_open_map(&writer, NULL);
    json_put_text(&writer, "name", "真\"\\\n");
    json_put_integer(&writer, "n", INT64_MIN);
    json_put_unsigned(&writer, "u", UINT64_MAX);
    json_put_truth(&writer, "t", true);
    json_put_text(&writer, "none", NULL);
    json_put_hex(&writer, "id", bytes_of("\x01\xAB", 2));
    json_put_hex(&writer, "no", bytes_of(NULL, 0));
    json_open_list(&writer, "list");
    json_put_integer(&writer, NULL, 1);
    json_open_map(&writer, NULL);
    json_close(&writer);
    json_close(&writer);
    json_close(&writer);
    buffer_append(&out, "", 1);
    assert_string_equal((char *)out.data, "{\"name\":\"真\\\"\\\\\\n\",\"n\":-9223372036854775808,\"u\":18446744073709551615,\"t\":true,"
                                          "\"none\":null,\"id\":\"01ab\",\"no\":null,\"list\":[1,{}]}\n");
    buffer_clear(&out);
    writer = json_writer(&out, true);
    json_open_list(&writer, NULL);
    json_put_integer(&writer, NULL, 1);
    json_open_map(&writer, NULL);
    json_put_integer(&writer, "a", 2);
    json_close(&writer);
    json_close(&writer);
    buffer_append(&out, "", 1);
    assert_string_equal((char *)out.data, "[\n  1,\n  {\n    \"a\": 2\n  }\n]\n");
    buffer_finish(&out);
}

static void fault_62_text_is_safe_inside_html(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct json_writer writer = json_writer(&out, false);
    static const char text[] = "</script><b>&\xE2\x80\xA8\x01\x7F";
    json_open_list(&writer, NULL);
    json_put_text(&writer, NULL, text);
    json_put_text(&writer, NULL, "a\xFFz");
    json_close(&writer);
    buffer_append(&out, "", 1);
    assert_string_equal((char *)out.data, "[\"\\u003c/script\\u003e\\u003cb\\u003e\\u0026\\u2028\\u0001\\u007f\",\"a\\ufffdz\"]\n");
    struct json_document *document = parse((char *)out.data);
    assert_string_equal(json_text(json_first(json_root(document))), text);
    json_destroy(document);
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(absent_values_answer_as_absent),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(refuses),
        cmocka_unit_test(limits),
        cmocka_unit_test(survives_damage),
        cmocka_unit_test(writes),
        cmocka_unit_test(fault_62_text_is_safe_inside_html),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
