#include "tests/unit/relay/journal_fixture.h"

static void test_newest_first(void **state)
{
    struct alarm alarms[3] = {{.time_ms = 50, .kind = "fork", .text = "一"}, {.time_ms = 10, .kind = "", .text = ""}}, got[3];
    memset(alarms[2].kind, 'k', sizeof alarms[2].kind - 1);
    memset(alarms[2].text, 't', sizeof alarms[2].text - 1);
    struct txn *txn = fixture_begin(*state, true);
    assert_int_equal(alarm_last(txn, got, 3), 0);
    for (int i = 0; i < 3; i++)
        alarm_add(txn, &alarms[i]);
    fixture_commit(txn);
    txn = fixture_begin(*state, false);
    assert_int_equal(alarm_last(txn, got, 3), 3);
    for (int i = 0; i < 3; i++) { // by the order they came in, whatever the clock said
        assert_int_equal(got[i].time_ms, alarms[2 - i].time_ms);
        assert_string_equal(got[i].kind, alarms[2 - i].kind);
        assert_string_equal(got[i].text, alarms[2 - i].text);
    }
    assert_int_equal(alarm_last(txn, got, 1), 1);
    assert_int_equal(alarm_last(txn, got, 0), 0);
    txn_abort(txn);
}

static void test_the_last_thousand_are_kept(void **state)
{
    static struct alarm got[ALARMS_MAX + 10];
    struct txn *txn = fixture_begin(*state, true);
    for (unsigned i = 0; i < ALARMS_MAX + 5; i++) {
        struct alarm alarm = {.time_ms = 100000 - i, .kind = "k"}; // a clock that runs backwards pushes nothing out
        alarm_add(txn, &alarm);
    }
    assert_int_equal(txn_count(txn, TABLE_ALARMS), ALARMS_MAX);
    assert_int_equal(alarm_last(txn, got, ALARMS_MAX + 10), ALARMS_MAX);
    assert_int_equal(got[0].time_ms, 100000 - ALARMS_MAX - 4);
    assert_int_equal(got[ALARMS_MAX - 1].time_ms, 100000 - 5);
    fixture_commit(txn);
}

static void fault_10_damaged_alarm_is_seen(void **state)
{
    struct alarm alarm = {.time_ms = 1, .kind = "k", .text = "t"}, got;
    struct txn *txn = fixture_begin(*state, true);
    alarm_add(txn, &alarm);
    fixture_commit(txn);
    damage(*state, TABLE_ALARMS);
    txn = fixture_begin(*state, true);
    assert_int_equal(alarm_last(txn, &got, 1), 0);
    assert_fails(txn, ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {JOURNAL_TEST(test_newest_first), JOURNAL_TEST(test_the_last_thousand_are_kept),
                                       JOURNAL_TEST(fault_10_damaged_alarm_is_seen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
