#include "tests/unit/relay/journal_fixture.h"

static struct stream a_stream(uint8_t stream, uint8_t lane, uint8_t peer)
{
    return (struct stream){.stream = stream, .lane = lane, .peer = a_station(peer)};
}

static void test_rows_come_back(void **state)
{
    struct stream up = a_stream(1, 2, 0), other_lane = a_stream(1, 3, 0);
    struct stream_row rows[4], batch = {.batch = 55}, bare = {.batch = 1ull << 40, .bodiless = true},
                               object = {.is_object = true, .object = a_hash(6)};
    struct txn *txn = fixture_begin(*state, true);
    assert_int_equal(stream_end(txn, &up), 0);
    assert_int_equal(stream_read(txn, &up, 0, rows, 4), 0);
    assert_int_equal(stream_append(txn, &up, &batch), 1);
    assert_int_equal(stream_append(txn, &other_lane, &batch), 1);
    assert_int_equal(stream_append(txn, &up, &bare), 2);
    assert_int_equal(stream_append(txn, &up, &object), 3);
    fixture_commit(txn);
    txn = fixture_begin(*state, false);
    assert_int_equal(stream_end(txn, &up), 3);
    assert_int_equal(stream_end(txn, &other_lane), 1);
    assert_int_equal(stream_read(txn, &up, 0, rows, 4), 3);
    assert_true(rows[0].position == 1 && rows[0].batch == 55 && !rows[0].is_object && !rows[0].bodiless);
    assert_true(rows[1].position == 2 && rows[1].batch == 1ull << 40 && rows[1].bodiless && !rows[1].is_object);
    assert_true(rows[2].position == 3 && rows[2].is_object && hash_equal(&rows[2].object, &object.object));
    assert_int_equal(stream_read(txn, &up, 1, rows, 1), 1);
    assert_int_equal(rows[0].position, 2);
    assert_int_equal(stream_read(txn, &up, 3, rows, 4), 0);
    assert_int_equal(stream_read(txn, &up, UINT64_MAX, rows, 4), 0);
    assert_int_equal(stream_read(txn, &up, 0, rows, 0), 0);
    assert_int_equal(txn_commit(txn, NULL), OK);
}

static void test_peer_counts_only_downwards_to_one(void **state)
{
    struct stream_row row = {.batch = 1};
    struct txn *txn = fixture_begin(*state, true);
    for (uint8_t stream = 1; stream <= 3; stream++)
        for (uint8_t peer = 1; peer <= 2; peer++) {
            struct stream at = a_stream(stream, 1, peer);
            uint64_t expected = stream < 3 && peer == 2 ? 2 : 1;
            assert_int_equal(stream_append(txn, &at, &row), expected);
        }
    struct stream stranger = a_stream(3, 1, 9), all = a_stream(2, 1, 9);
    assert_int_equal(stream_end(txn, &stranger), 0);
    assert_int_equal(stream_end(txn, &all), 2);
    fixture_commit(txn);
}

static void test_object_travels_once_per_stream(void **state)
{
    struct stream one = a_stream(3, 2, 1), two = a_stream(3, 2, 2);
    struct hash object = a_hash(1), other = a_hash(2);
    struct txn *txn = fixture_begin(*state, true);
    assert_false(stream_carries(txn, &one, &object));
    assert_true(stream_carry(txn, &one, &object));
    assert_true(stream_carries(txn, &one, &object) && !stream_carries(txn, &two, &object) && !stream_carries(txn, &one, &other));
    assert_false(stream_carry(txn, &one, &object));
    assert_true(stream_carry(txn, &one, &other));
    assert_true(stream_carry(txn, &two, &object));
    assert_int_equal(stream_end(txn, &one), 2);
    fixture_commit(txn);
    txn = fixture_begin(*state, true);
    assert_false(stream_carry(txn, &one, &object));
    txn_fail(txn, ERR_FULL, "any");
    assert_false(stream_carry(txn, &two, &other));
    txn_abort(txn);
}

static void fault_10_damaged_row_is_seen(void **state)
{
    struct stream up = a_stream(1, 1, 0);
    struct stream_row rows[2], row = {.batch = 1};
    struct txn *txn = fixture_begin(*state, true);
    stream_append(txn, &up, &row);
    stream_append(txn, &up, &row);
    fixture_commit(txn);
    damage(*state, TABLE_STREAMS);
    txn = fixture_begin(*state, true);
    assert_int_equal(stream_end(txn, &up), 2); // of keys alone
    assert_int_equal(stream_read(txn, &up, 0, rows, 2), 0);
    assert_fails(txn, ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_rows_come_back),
        JOURNAL_TEST(test_peer_counts_only_downwards_to_one),
        JOURNAL_TEST(test_object_travels_once_per_stream),
        JOURNAL_TEST(fault_10_damaged_row_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
