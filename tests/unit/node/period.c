#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "node/period.h"
#include "record.pb-c.h"
#include "relay/language.h"

static int32_t day(const char *text)
{
    int32_t days;
    if (!civil_parse(text, &days))
        fail_msg("%s", text);
    return days;
}

static void known_days(void **state)
{
    (void)state;
    assert_int_equal(day("1970-01-01"), 0);
    assert_int_equal(day("1969-12-31"), -1);
    assert_int_equal(day("2000-03-01"), 11017);
    assert_int_equal(day("1900-01-01"), -25567);
    assert_int_equal(day("2199-12-31"), 84005);
}

// Walks every day of the valid range beside an odometer.
static void every_day_there_and_back(void **state)
{
    (void)state;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int32_t days = day("1900-01-01");
    for (int year = 1900; year <= 2199; year++)
        for (int month = 1; month <= 12; month++) {
            int length = lengths[month - 1] + (month == 2 && (year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)));
            assert_int_equal(month_first_day(year * 12 + month - 1), days);
            for (int d = 1; d <= length; d++, days++) {
                struct civil date = civil_from_days(days);
                if (date.year != year || date.month != month || date.day != d || civil_days(date) != days || !civil_valid(date))
                    fail_msg("%d-%d-%d", year, month, d);
                assert_int_equal(month_of_days(days), year * 12 + month - 1);
            }
            assert_int_equal(month_last_day(year * 12 + month - 1), days - 1);
            assert_false(civil_valid((struct civil){year, month, length + 1}));
        }
}

static void strict_dates(void **state)
{
    (void)state;
    static const char *const bad[] = {"",           "2023-1-05",  "2023-02-29", "1900-02-29", "2023-13-01",  "2023-00-10",  "2023-01-00",
                                      "2023-01-32", "1899-12-31", "2200-01-01", "2023/01/05", "2023-01-05 ", " 2023-01-05", "+023-01-05",
                                      "2023-01-5x", "20230105",   "2023-01-05T"};
    int32_t days = 77;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (civil_parse(bad[i], &days) || days != 77)
            fail_msg("%s", bad[i]);
    char text[11];
    civil_format(day("2000-02-29"), text);
    assert_string_equal(text, "2000-02-29");
    civil_format(INT32_MAX, text);
    assert_string_equal(text, "9999-12-31");
    civil_format(INT32_MIN, text);
    assert_string_equal(text, "0000-01-01");
}

static void trap_T17_instants_become_civil_dates_by_a_fixed_offset(void **state)
{
    (void)state;
    char text[26];
    uint64_t midnight_ms = (uint64_t)day("2023-02-01") * 86400000; // UTC
    assert_int_equal(civil_of_instant(midnight_ms, 480), day("2023-02-01"));
    assert_int_equal(civil_of_instant(midnight_ms - 1, 0), day("2023-01-31"));
    assert_int_equal(civil_of_instant(midnight_ms - 8 * 3600000, 480), day("2023-02-01"));
    assert_int_equal(civil_of_instant(midnight_ms - 8 * 3600000 - 1, 480), day("2023-01-31"));
    assert_int_equal(civil_of_instant(0, -300), -1);
    instant_format(midnight_ms - 86400000, 480, text);
    assert_string_equal(text, "2023-01-31T08:00:00+08:00");
    instant_format(0, -210, text);
    assert_string_equal(text, "1969-12-31T20:30:00-03:30");
    instant_format(UINT64_MAX, 480, text);
    assert_string_equal(text, "9999-12-31T08:00:00+08:00");
    // the process's time zone plays no part, summer time or not
    static const char *const zones[] = {"UTC", "America/New_York", "Asia/Shanghai", "EST5EDT,M3.2.0,M11.1.0"};
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++) {
        setenv("TZ", zones[i], 1);
        tzset();
        assert_int_equal(civil_of_instant(midnight_ms - 1, 480), day("2023-02-01"));
        instant_format(midnight_ms + 150 * UINT64_C(86400000), 480, text);
        assert_string_equal(text, "2023-07-01T08:00:00+08:00");
    }
}

static void ages(void **state)
{
    (void)state;
    assert_int_equal(civil_years(day("2010-05-20"), day("2023-05-19")), 12);
    assert_int_equal(civil_years(day("2010-05-20"), day("2023-05-20")), 13);
    assert_int_equal(civil_years(day("2008-02-29"), day("2009-02-28")), 0);
    assert_int_equal(civil_years(day("2008-02-29"), day("2009-03-01")), 1);
    assert_int_equal(civil_years(day("2008-02-29"), day("2012-02-28")), 3);
    assert_int_equal(civil_years(day("2008-02-29"), day("2012-02-29")), 4);
    assert_int_equal(civil_years(day("2023-05-20"), day("2010-05-19")), -13);
    assert_int_equal(civil_years(day("2023-05-20"), day("2023-05-20")), 0);
    assert_int_equal(civil_months(day("2023-01-31"), day("2023-02-28")), 0);
    assert_int_equal(civil_months(day("2023-01-31"), day("2023-03-01")), 1);
    assert_int_equal(civil_months(day("2023-01-31"), day("2024-01-31")), 12);
    assert_int_equal(civil_months(day("2023-03-01"), day("2023-01-31")), -1);
    assert_int_equal(civil_add_years(day("2008-02-29"), 1), day("2009-03-01"));
    assert_int_equal(civil_add_years(day("2008-02-29"), 4), day("2012-02-29"));
    assert_int_equal(civil_add_years(day("2010-05-20"), 18), day("2028-05-20"));
    // turning n is the first day on which the age is n
    for (int32_t birth = day("2007-12-30"); birth < day("2008-03-05"); birth++)
        for (int32_t n = 1; n < 20; n++) {
            int32_t turns = civil_add_years(birth, n);
            assert_int_equal(civil_years(birth, turns), n);
            assert_int_equal(civil_years(birth, turns - 1), n - 1);
        }
}

static void far_days_stay_defined(void **state)
{
    (void)state;
    assert_int_equal(civil_days(civil_from_days(INT32_MAX)), INT32_MAX);
    assert_int_equal(civil_days(civil_from_days(INT32_MIN)), INT32_MIN);
    assert_int_equal(civil_from_days(civil_add_years(INT32_MAX, INT32_MAX)).year, 5000000);
    assert_int_equal(month_first_day(INT32_MAX), INT32_MAX);
    assert_int_equal(month_first_day(INT32_MIN), INT32_MIN);
    int32_t first, last;
    period_months((struct period){SANJI__PERIOD_TYPE__YEAR, INT32_MAX}, &first, &last);
    assert_int_equal(last, INT32_MAX);
    char text[16];
    period_format((struct period){SANJI__PERIOD_TYPE__MONTH, INT32_MIN}, text);
    assert_string_equal(text, "-178956971-05");
}

static void periods(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint32_t type;
        int32_t number;
        const char *shown;
        int32_t first, last;
    } cases[] = {
        {"2023", SANJI__PERIOD_TYPE__YEAR, 2023, "2023", 2023 * 12, 2023 * 12 + 11},
        {"2023-Q1", SANJI__PERIOD_TYPE__QUARTER, 2023 * 4, "2023-Q1", 2023 * 12, 2023 * 12 + 2},
        {"2023Q4", SANJI__PERIOD_TYPE__QUARTER, 2023 * 4 + 3, "2023-Q4", 2023 * 12 + 9, 2023 * 12 + 11},
        {"2023-01", SANJI__PERIOD_TYPE__MONTH, 2023 * 12, "2023-01", 2023 * 12, 2023 * 12},
        {"202312", SANJI__PERIOD_TYPE__MONTH, 2023 * 12 + 11, "2023-12", 2023 * 12 + 11, 2023 * 12 + 11},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct period period;
        char text[16];
        int32_t first, last;
        assert_true(period_parse(cases[i].text, &period));
        assert_int_equal(period.type, cases[i].type);
        assert_int_equal(period.number, cases[i].number);
        period_format(period, text);
        assert_string_equal(text, cases[i].shown);
        period_months(period, &first, &last);
        assert_int_equal(first, cases[i].first);
        assert_int_equal(last, cases[i].last);
    }
    static const char *const bad[] = {"",        "2",       "202",        "1899",    "2200",   "2023-",  "2023-0",
                                      "2023-00", "2023-13", "2023-Q0",    "2023-Q5", "2023Q",  "2023-1", "2023-001",
                                      "2023-q1", "2023W5",  "2023-01-05", "x023",    "2023 01"};
    struct period period = {9, 9};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (period_parse(bad[i], &period) || period.type != 9)
            fail_msg("%s", bad[i]);
}

static void ranges(void **state)
{
    (void)state;
    struct period first, last;
    struct error error;
    assert_int_equal(period_range_parse("2023-Q3", &first, &last, &error), OK);
    assert_int_equal(first.number, last.number);
    assert_int_equal(period_range_parse("2022-11..2023-02", &first, &last, &error), OK);
    assert_int_equal(last.number - first.number, 3);
    assert_int_equal(period_range_parse("1900-01..1999-12", &first, &last, &error), OK); // 1,200
    first = (struct period){9, 9};
    static const struct {
        const char *text, *detail;
    } bad[] = {
        {"1900-01..2000-01", "1900-01..2000-01: more than 1200 periods"},
        {"2023-02..2023-01", "2023-02..2023-01: it ends before it begins"},
        {"2023-01..2023", "2023-01..2023: both ends must be months, quarters or years alike"},
        {"2023-01..", ": not a period; write 2023, 2023-Q1 or 2023-01"},
        {"..2023", ": not a period; write 2023, 2023-Q1 or 2023-01"},
        {"2023..2024..2025", "2024..2025: not a period; write 2023, 2023-Q1 or 2023-01"},
        {"去年", "去年: not a period; write 2023, 2023-Q1 or 2023-01"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(period_range_parse(bad[i].text, &first, &last, &error), ERR_INPUT);
        assert_string_equal(error.detail, bad[i].detail);
        assert_int_equal(first.type, 9); // untouched
    }
    language_set(LANGUAGE_ZH);
    assert_int_equal(period_range_parse("2023-02..2023-01", &first, &last, &error), ERR_INPUT);
    assert_string_equal(error.detail, "2023-02..2023-01：结束早于开始");
    language_set(LANGUAGE_EN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_days),   cmocka_unit_test(every_day_there_and_back),
        cmocka_unit_test(strict_dates), cmocka_unit_test(trap_T17_instants_become_civil_dates_by_a_fixed_offset),
        cmocka_unit_test(ages),         cmocka_unit_test(far_days_stay_defined),
        cmocka_unit_test(periods),      cmocka_unit_test(ranges),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
