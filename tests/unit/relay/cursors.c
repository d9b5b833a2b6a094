#include "tests/unit/relay/journal_fixture.h"

static void test_marks(void **state)
{
    struct station_id peer = a_station(1), other = a_station(2);
    struct mark mark = {.generation = UINT64_MAX, .headers = 10, .bodies = 8, .time_ms = 99}, got = {.headers = 1234};
    struct txn *txn = fixture_begin(*state, true);
    mark_write(txn, &peer, true, 1, 2, &mark);
    assert_false(mark_read(txn, &peer, false, 1, 2, &got));
    assert_false(mark_read(txn, &peer, true, 2, 2, &got));
    assert_false(mark_read(txn, &peer, true, 1, 1, &got));
    assert_false(mark_read(txn, &other, true, 1, 2, &got));
    assert_int_equal(got.headers, 1234); // untouched
    assert_true(mark_read(txn, &peer, true, 1, 2, &got));
    assert_true(got.generation == UINT64_MAX && got.headers == 10 && got.bodies == 8 && got.time_ms == 99);
    mark.headers = 11;
    mark_write(txn, &peer, true, 1, 2, &mark);
    assert_true(mark_read(txn, &peer, true, 1, 2, &got) && got.headers == 11);
    fixture_commit(txn);
}

static void test_staged(void **state)
{
    struct station_id peer = a_station(1);
    uint8_t part[50000];
    memset(part, 0x77, sizeof part);
    struct staged staged = {.position = 5,
                            .header = a_hash(2),
                            .size = 100000,
                            .part = bytes_of(part, sizeof part),
                            .head = bytes_of_text("head"),
                            .signature = bytes_of_text("sig")},
                  got;
    struct txn *txn = fixture_begin(*state, true);
    assert_false(staged_read(txn, &peer, 1, 5, &got));
    staged_write(txn, &peer, 1, 5, &staged);
    fixture_commit(txn);
    txn = fixture_begin(*state, true);
    assert_true(staged_read(txn, &peer, 1, 5, &got));
    assert_true(got.position == 5 && got.size == 100000 && hash_equal(&got.header, &staged.header));
    assert_true(bytes_equal(got.part, staged.part) && bytes_equal(got.head, staged.head) && bytes_equal(got.signature, staged.signature));
    assert_false(staged_read(txn, &peer, 1, 4, &got));
    staged_drop(txn, &peer, 1, 4); // not there: nothing
    staged_drop(txn, &peer, 1, 5);
    assert_false(staged_read(txn, &peer, 1, 5, &got));
    fixture_commit(txn);
}

static void test_peers(void **state)
{
    struct station_id none = {0};
    struct peer peer = {.station = a_station(3),
                        .transport_key = {{1, 2, 3}},
                        .certificate = a_hash(4),
                        .enrolled_ms = 5,
                        .unit = "210726101001",
                        .listen = "tcp://*:7000"},
                got;
    struct txn *txn = fixture_begin(*state, true);
    assert_false(peer_next(txn, &none, &got));
    assert_false(peer_read(txn, &peer.station, &got));
    peer_write(txn, &peer);
    peer.station = a_station(1);
    memset(peer.unit, 'u', UNIT_CODE_MAX);
    peer.unit[UNIT_CODE_MAX] = 0;
    peer.listen[0] = 0;
    peer.barred = true;
    peer_write(txn, &peer);
    peer.station = a_station(0xFF);
    peer_write(txn, &peer);
    fixture_commit(txn);
    txn = fixture_begin(*state, false);
    struct station_id third = a_station(3);
    assert_true(peer_read(txn, &third, &got));
    assert_true(got.enrolled_ms == 5 && !got.barred && got.transport_key.bytes[2] == 3 && hash_equal(&got.certificate, &peer.certificate));
    assert_string_equal(got.unit, "210726101001");
    assert_string_equal(got.listen, "tcp://*:7000");
    uint8_t order[] = {1, 3, 0xFF};
    struct station_id after = none;
    for (size_t i = 0; i < sizeof order; i++) {
        assert_true(peer_next(txn, &after, &got));
        assert_int_equal(got.station.bytes[0], order[i]);
        assert_int_equal(got.barred, order[i] != 3);
        after = got.station;
    }
    assert_false(peer_next(txn, &after, &got));
    assert_int_equal(txn_commit(txn, NULL), OK);
}

static void fault_10_damaged_rows_are_seen(void **state)
{
    struct station_id station = a_station(1), none = {0};
    struct mark mark = {0};
    struct staged staged = {0};
    struct peer peer = {.station = station};
    struct txn *txn = fixture_begin(*state, true);
    mark_write(txn, &station, true, 1, 1, &mark);
    staged_write(txn, &station, 1, 1, &staged);
    peer_write(txn, &peer);
    fixture_commit(txn);
    static const enum table tables[] = {TABLE_CURSORS, TABLE_STAGING, TABLE_PEERS};
    for (size_t i = 0; i < 3; i++) {
        damage(*state, tables[i]);
        txn = fixture_begin(*state, false);
        if (i == 0)
            assert_false(mark_read(txn, &station, true, 1, 1, &mark));
        else if (i == 1)
            assert_false(staged_read(txn, &station, 1, 1, &staged));
        else
            assert_false(peer_next(txn, &none, &peer));
        assert_fails(txn, ERR_CORRUPT);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {JOURNAL_TEST(test_marks), JOURNAL_TEST(test_staged), JOURNAL_TEST(test_peers),
                                       JOURNAL_TEST(fault_10_damaged_rows_are_seen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
