// Every type, from text and JSON: what is taken, what is refused, and what the refusal says.
#include "tests/unit/node/village.h"

#include <stdio.h>

#include "node/json.h"
#include "node/record_value.h"
#include "relay/language.h"

static struct arena arena;

static int unload(void **state)
{
    arena_finish(&arena);
    return codebook_teardown(state);
}

static const struct field *field_named(const char *id)
{
    const struct form *form = &codebook->forms[codebook_form(codebook, "kinds")];
    int index = form_field(form, id);
    assert_true(index >= 0);
    return &form->fields[index];
}

static struct value text(const char *field, const char *given)
{
    struct value value = value_none();
    struct finding finding = {0};
    if (!value_from_text(codebook, field_named(field), given, &arena, &value, &finding))
        fail_msg("%s: %s: %s", field, given, finding.text);
    return value;
}

static const char *text_refused(const char *field, const char *given)
{
    static struct finding finding;
    struct value value = value_none();
    finding = (struct finding){0};
    if (value_from_text(codebook, field_named(field), given, &arena, &value, &finding))
        fail_msg("%s: %s was taken", field, given);
    assert_int_equal(finding.code, ERR_INPUT);
    assert_string_equal(finding.field, field);
    assert_int_equal(value.type, VALUE_NONE); // untouched
    return finding.text;
}

static bool json(const char *field, const char *given, struct value *ret, struct finding *finding)
{
    char document[600];
    struct json_document *parsed;
    snprintf(document, sizeof document, "{\"x\":%s}", given);
    assert_int_equal(json_parse(bytes_of_text(document), "j", &parsed, NULL), OK);
    bool good = value_from_json(codebook, field_named(field), json_get(json_root(parsed), "x"), &arena, ret, finding);
    json_destroy(parsed);
    return good;
}

static void numbers_are_exact(void **state)
{
    (void)state;
    assert_int_equal(text("whole", "-12").number, -12 * NUMBER_SCALE);
    assert_int_equal(text("decimal", "0.1").number, 1000); // no binary fraction could
    assert_int_equal(text("decimal", "3.0001").number, 30001);
    assert_int_equal(text("money", "123456789012").number, INT64_C(123456789012) * NUMBER_SCALE);
    assert_string_equal(text_refused("whole", "1.5"), "'1.5' is not a whole number");
    assert_string_equal(text_refused("money", "12.34"), "'12.34': money is counted in fen, in whole numbers");
    assert_string_equal(text_refused("decimal", "0.00001"), "'0.00001' is not a number with at most four decimals");
    assert_string_equal(text_refused("whole", "12x"), "'12x' is not a number with at most four decimals");
    text_refused("whole", "9223372036854775808");
    struct value value;
    struct finding finding = {0};
    assert_true(json("decimal", "2.5", &value, &finding));
    assert_int_equal(value.number, 25000);
    assert_true(json("whole", "\"7\"", &value, &finding));
    assert_int_equal(value.number, 7 * NUMBER_SCALE);
    assert_false(json("whole", "2.5", &value, &finding));
    assert_false(json("decimal", "true", &value, &finding));
    assert_string_equal(finding.text, "wrong type; expected a number");
    assert_false(json("text", "5", &value, &finding));
    assert_string_equal(finding.text, "wrong type; expected text in quotes");
    assert_false(json("whole", "{}", &value, &finding));
}

static void dates_and_times(void **state)
{
    (void)state;
    assert_int_equal(text("day", "2024-02-29").date, day_of("2024-02-29"));
    text_refused("day", "2023-02-29");
    text_refused("day", "2023-2-9");
    assert_string_equal(text_refused("day", "02/03/2024"), "'02/03/2024' is not a date like 2023-05-02");
    int64_t midnight = (int64_t)day_of("2024-01-01") * 86400000;
    assert_int_equal(text("instant", "2024-01-01T00:00Z").number, midnight);
    assert_int_equal(text("instant", "2024-01-01T08:00:05+08:00").number, midnight + 5000);
    assert_int_equal(text("instant", "2024-01-01T08:00").number, midnight); // the codebook's time zone, never the machine's (T17)
    assert_int_equal(text("instant", "2023-12-31T19:30-04:30").number, midnight);
    static const char *const bad[] = {"2024-01-01",         "2024-01-01 08:00",   "2024-01-01T24:00Z",      "2024-01-01T08:60Z",
                                      "2024-01-01T08:00+8", "2024-01-01T08:00Zz", "2024-01-01T08:00+15:00", "2024-01-01T08"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        text_refused("instant", bad[i]);
}

static void durations(void **state)
{
    (void)state;
    struct value value = text("length", "90m");
    assert_true(value.number == 90 && value.unit == 'm');
    value = text("length", "2h");
    assert_true(value.number == 120 && value.unit == 'm');
    value = text("length", "2w");
    assert_true(value.number == 14 && value.unit == 'd');
    value = text("length", "1440m");
    assert_true(value.number == 1 && value.unit == 'd');
    static const char *const bad[] = {"1mo", "5wd", "1y", "h", "5", "-5m", "1234567m", "5 m"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        text_refused("length", bad[i]);
}

static void truths(void **state)
{
    (void)state;
    static const char *const yes[] = {"true", "yes", "1", "是"}, *const no[] = {"false", "no", "0", "否"};
    for (size_t i = 0; i < 4; i++) {
        assert_true(text("yes", yes[i]).truth);
        struct value value = text("yes", no[i]);
        assert_true(value.type == VALUE_BOOL && !value.truth);
    }
    assert_string_equal(text_refused("yes", "maybe"), "'maybe' is neither true nor false");
    struct value value;
    struct finding finding = {0};
    assert_true(json("yes", "false", &value, &finding));
    assert_true(value.type == VALUE_BOOL && !value.truth);
    assert_false(json("yes", "1", &value, &finding));
}

static void codes_and_sets(void **state)
{
    (void)state;
    struct value value = text("colour", "green");
    assert_true(value.type == VALUE_CODE && value.code == 1);
    assert_string_equal(text_refused("colour", "blue"), "'blue' is not in list colour; expected one of: red, green");
    value = text("category", "disabled|orphan");
    assert_true(value.type == VALUE_SET && value.set == 5);
    assert_string_equal(text_refused("category", "orphan|disabled|left_behind"), "more than 2 values");
    assert_string_equal(text_refused("category", "orphan||disabled"), "nothing between two '|'");
    assert_string_equal(text_refused("category", "orphan|"), "nothing after the last '|'");
    text_refused("colour", "red|green"); // one value: no list
    struct finding finding = {0};
    assert_true(json("category", "[\"orphan\"]", &value, &finding));
    assert_true(value.type == VALUE_SET && value.set == 1);
    assert_true(json("category", "\"orphan\"", &value, &finding));
    assert_true(json("category", "[]", &value, &finding));
    assert_int_equal(value.type, VALUE_NONE);
    assert_false(json("colour", "[\"red\"]", &value, &finding));
    assert_string_equal(finding.text, "takes one value, not a list");
    language_set(LANGUAGE_ZH);
    assert_string_equal(text_refused("colour", "blue"), "“blue”不在列表 colour 中；应为：red, green");
    language_set(LANGUAGE_EN);
}

static void texts_and_papers(void **state)
{
    (void)state;
    struct value value = text("text", "一二三四五"); // characters, not bytes
    assert_int_equal(value.text.size, 15);
    assert_string_equal(text_refused("text", "一二三四五六"), "6 characters, at most 5");
    assert_int_equal(text("text", "").type, VALUE_NONE);
    assert_int_equal(text("idno", "32108119900101001X").text.size, 18);
    text_refused("idno", "3210;DROP");
    text_refused("idno", "012345678901234567890123456789012");
    assert_int_equal(text("phone", "+86 514-8345 1234").type, VALUE_TEXT);
    value = text("photo", "a.jpg|b.jpg");
    assert_memory_equal(value.text.data, "a.jpg\nb.jpg", 11);
    text_refused("photo", "a\nb");
    text_refused("photo", "a|b|c|d");
    assert_int_equal(text("home", "321081104200").type, VALUE_UNIT);
    text_refused("home", "a b");
    text_refused("home", "0123456789012345678901234567890123");
    struct value none;
    struct finding finding = {0};
    assert_true(json("text", "null", &none, &finding) && none.type == VALUE_NONE);
    assert_true(json("text", "\"\"", &none, &finding) && none.type == VALUE_NONE);
}

static void references(void **state)
{
    (void)state;
    struct value value = text("child", "00112233445566778899aabbccddeeff");
    assert_true(value.type == VALUE_REF && value.text.size == 16 && value.text.data[15] == 0xFF);
    value = text("children", "00112233445566778899aabbccddeeff|ff112233445566778899aabbccddeeff");
    assert_true(value.type == VALUE_REFS && value.text.size == 32 && value.text.data[16] == 0xFF);
    text_refused("child", "0011");
}

static void positions(void **state)
{
    (void)state;
    struct value value = text("place", "32.272258 119.184766 20");
    assert_int_equal(value.position.lat_e6, 32272258);
    assert_int_equal(value.position.lon_e6, 119184766);
    assert_int_equal(value.position.accuracy_m, 20);
    value = text("place", "-0.5 -180 0");
    assert_int_equal(value.position.lat_e6, -500000);
    assert_int_equal(value.position.lon_e6, -180000000);
    static const char *const bad[] = {"32.2",  "32.2 119.1",   "90.000001 0 1", "0 180.1 1", "1.1234567 0 1",   "1 1 -1",
                                      "1 1 x", "1 1 10000000", "1,1,1",         "1..2 1 1",  "99999999999 1 1", ". 1 1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        text_refused("place", bad[i]);
}

static void long_texts_are_cut_in_messages(void **state)
{
    (void)state;
    assert_string_equal(text_refused("day", "一二三四五六七八九十一二三四五六七八九十一二三"),
                        "'一二三四五六七八九十一二三四五六七八九十...' is not a date like 2023-05-02");
    assert_string_equal(text_refused("day", "abcdefghijklmnopqrstuvw"), "'abcdefghijklmnopqrst...' is not a date like 2023-05-02");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(dates_and_times),
        cmocka_unit_test(durations),
        cmocka_unit_test(truths),
        cmocka_unit_test(codes_and_sets),
        cmocka_unit_test(texts_and_papers),
        cmocka_unit_test(references),
        cmocka_unit_test(positions),
        cmocka_unit_test(long_texts_are_cut_in_messages),
    };
    return cmocka_run_group_tests(tests, codebook_setup, unload);
}
