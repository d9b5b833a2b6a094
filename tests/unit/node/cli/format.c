#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "node/cli/format.h"
#include "relay/language.h"

static void value_is(int64_t value, enum format_kind kind, const char *want)
{
    char text[FORMAT_MAX];
    format_value(value, kind, text);
    assert_string_equal(text, want);
}

static void values(void **state)
{
    (void)state;
    value_is(0, FORMAT_COUNT, "0");
    value_is(999, FORMAT_COUNT, "999");
    value_is(1000, FORMAT_COUNT, "1,000");
    value_is(-1234567, FORMAT_COUNT, "-1,234,567");
    value_is(INT64_MIN, FORMAT_COUNT, "-9,223,372,036,854,775,808");
    value_is(INT64_MAX, FORMAT_COUNT, "9,223,372,036,854,775,807");
    value_is(1234567, FORMAT_MONEY, "12,345.67");
    value_is(-5, FORMAT_MONEY, "-0.05");
    value_is(100, FORMAT_MONEY, "1.00");
    value_is(INT64_MIN, FORMAT_MONEY, "-92,233,720,368,547,758.08");
    value_is(9876, FORMAT_RATIO, "98.76 %");
    value_is(10000, FORMAT_RATIO, "100.00 %");
    value_is(-1, FORMAT_RATIO, "-0.01 %");
    assert_int_equal(format_kind_of("flow", "元"), FORMAT_MONEY);
    assert_int_equal(format_kind_of("flow", "人"), FORMAT_COUNT);
    assert_int_equal(format_kind_of("ratio", ""), FORMAT_RATIO);
}

static void sizes_and_times(void **state)
{
    (void)state;
    char text[FORMAT_MAX];
    static const struct {
        uint64_t bytes;
        const char *want;
    } sizes[] = {{0, "0 B"},
                 {1023, "1023 B"},
                 {1024, "1.0 KiB"},
                 {1536, "1.5 KiB"},
                 {UINT64_C(64) << 30, "64.0 GiB"},
                 {UINT64_C(5) << 40, "5.0 TiB"},
                 {UINT64_MAX, "16777215.9 TiB"}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        format_bytes(sizes[i].bytes, text);
        assert_string_equal(text, sizes[i].want);
    }
    static const struct {
        uint64_t ms;
        const char *en, *zh;
    } spans[] = {{999, "0 s", "0 秒"},
                 {59999, "59 s", "59 秒"},
                 {60000, "1 min", "1 分钟"},
                 {3600000, "1 h 0 min", "1 小时 0 分"},
                 {90000000, "1 d 1 h", "1 天 1 小时"}};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        format_duration(spans[i].ms, text);
        assert_string_equal(text, spans[i].en);
        language_set(LANGUAGE_ZH);
        format_duration(spans[i].ms, text);
        assert_string_equal(text, spans[i].zh);
        language_set(LANGUAGE_EN);
    }
    format_ago(100000, 0, text);
    assert_string_equal(text, "never");
    format_ago(100000, 40000, text);
    assert_string_equal(text, "1 min ago");
    format_ago(100000, 200000, text);
    assert_string_equal(text, "now");
}

static void trap_T17_instants_name_their_offset(void **state)
{
    (void)state;
    char text[FORMAT_MAX];
    setenv("TZ", "America/New_York", 1);
    format_instant(UINT64_C(1675123200000), text); // 2023-01-31T00:00Z
    assert_string_equal(text, "2023-01-31 08:00:00 +08:00");
    format_instant(0, text);
    assert_string_equal(text, "never");
}

static void durations(void **state)
{
    (void)state;
    uint64_t ms;
    struct error error;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"90s", 90000}, {"45m", 2700000}, {"12h", 43200000}, {"7d", 604800000}, {"2w", 1209600000}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(format_parse_duration(good[i].text, &ms, &error), OK);
        assert_int_equal(ms, good[i].ms);
    }
    static const char *const bad[] = {"", "7", "d", "7 d", "7x", "-7d", "7dd", "99999999999999999999d"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(format_parse_duration(bad[i], &ms, &error), ERR_USAGE);
}

static void prints_into_a_buffer(void **state)
{
    (void)state;
    struct buffer out = {0};
    format_print(&out, "%s-%d", "a", 7);
    format_print(&out, "%s", "");
    format_print(&out, "%0500d", 0);
    assert_int_equal(out.size, 503);
    assert_memory_equal(out.data, "a-70000", 7);
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(values), cmocka_unit_test(sizes_and_times),
                                       cmocka_unit_test(trap_T17_instants_name_their_offset), cmocka_unit_test(durations),
                                       cmocka_unit_test(prints_into_a_buffer)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
