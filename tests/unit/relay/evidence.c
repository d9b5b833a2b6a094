#include "tests/unit/relay/journal_fixture.h"

static void add(struct txn *txn, uint32_t feed, uint64_t first, uint8_t hash, const char *body)
{
    struct hash header_hash = a_hash(hash);
    evidence_add(txn, feed, first, &header_hash, bytes_of_text("header"), bytes_of_text("signature"), bytes_of_text(body));
}

static void test_evidence_is_kept_in_order(void **state)
{
    struct evidence at;
    struct txn *txn = fixture_begin(*state, true);
    assert_false(evidence_next(txn, 1, NULL, &at));
    add(txn, 1, 7, 2, "b");
    add(txn, 1, 7, 1, "a");
    add(txn, 1, 5, 3, "");
    add(txn, 2, 1, 1, "other feed");
    fixture_commit(txn);
    txn = fixture_begin(*state, false);
    assert_true(evidence_next(txn, 1, NULL, &at));
    assert_true(at.feed == 1 && at.first == 5 && at.header_hash.bytes[0] == 3 && at.body.size == 0);
    assert_true(bytes_equal(at.header, bytes_of_text("header")) && bytes_equal(at.signature, bytes_of_text("signature")));
    assert_true(evidence_next(txn, 1, &at, &at));
    assert_true(at.first == 7 && at.header_hash.bytes[0] == 1 && bytes_equal(at.body, bytes_of_text("a")));
    assert_true(evidence_next(txn, 1, &at, &at));
    assert_true(at.header_hash.bytes[0] == 2);
    assert_false(evidence_next(txn, 1, &at, &at));
    assert_true(evidence_next(txn, 2, NULL, &at));
    assert_false(evidence_next(txn, 3, NULL, &at));
    assert_int_equal(txn_commit(txn, NULL), OK);
}

static void test_body_comes_later_and_stays(void **state)
{
    struct evidence at;
    struct txn *txn = fixture_begin(*state, true);
    add(txn, 1, 7, 1, "");
    add(txn, 1, 7, 1, "body");
    add(txn, 1, 7, 1, "");
    add(txn, 1, 7, 1, "another");
    assert_true(evidence_next(txn, 1, NULL, &at));
    assert_true(bytes_equal(at.body, bytes_of_text("body")));
    assert_int_equal(txn_count(txn, TABLE_EVIDENCE), 1);
    fixture_commit(txn);
}

static void test_evidence_is_bounded_per_feed(void **state)
{
    struct txn *txn = fixture_begin(*state, true);
    add(txn, 1, 1, 0, "");
    for (unsigned i = 0; i < 100; i++)
        add(txn, 2, i, (uint8_t)i, "");
    add(txn, 2, 3, 3, "a body for one that is kept");
    add(txn, 3, 1, 1, "");
    assert_int_equal(txn_count(txn, TABLE_EVIDENCE), EVIDENCE_MAX + 2);
    fixture_commit(txn);
}

static void test_deferred(void **state)
{
    char longer[REASON_MAX + 20];
    memset(longer, 'w', sizeof longer - 1);
    longer[sizeof longer - 1] = 0;
    struct txn *txn = fixture_begin(*state, true);
    assert_int_equal(deferred_take(txn, "codebook"), 0);
    deferred_add(txn, "codebook", 300);
    deferred_add(txn, "codebook", 2);
    deferred_add(txn, "codebook", 2); // once is enough
    deferred_add(txn, "code", 1);
    deferred_add(txn, "codebook2", 4);
    deferred_add(txn, longer, 9);
    fixture_commit(txn);
    txn = fixture_begin(*state, true);
    assert_int_equal(deferred_take(txn, "codebook"), 2);
    assert_int_equal(deferred_take(txn, "codebook"), 300);
    assert_int_equal(deferred_take(txn, "codebook"), 0);
    assert_int_equal(deferred_take(txn, "cod"), 0);
    assert_int_equal(deferred_take(txn, "code"), 1);
    longer[REASON_MAX] = 0; // as a row's reason has it
    assert_int_equal(deferred_take(txn, longer), 9);
    assert_int_equal(txn_count(txn, TABLE_DEFERRED), 1);
    fixture_commit(txn);
}

static void fault_10_damaged_rows_are_seen(void **state)
{
    struct evidence at;
    struct txn *txn = fixture_begin(*state, true);
    add(txn, 1, 1, 1, "body");
    deferred_add(txn, "x", 1);
    fixture_commit(txn);
    damage(*state, TABLE_EVIDENCE);
    damage(*state, TABLE_DEFERRED);
    txn = fixture_begin(*state, true);
    assert_false(evidence_next(txn, 1, NULL, &at));
    assert_fails(txn, ERR_CORRUPT);
    txn = fixture_begin(*state, true);
    assert_int_equal(deferred_take(txn, "x"), 0);
    assert_fails(txn, ERR_CORRUPT);
    txn = fixture_begin(*state, true);
    txn_put(txn, TABLE_EVIDENCE, bytes_of("\0\0\0\2\1", 5), bytes_of_text("short key, no checksum"));
    assert_false(evidence_next(txn, 2, NULL, &at));
    assert_fails(txn, ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_evidence_is_kept_in_order),    JOURNAL_TEST(test_body_comes_later_and_stays),
        JOURNAL_TEST(test_evidence_is_bounded_per_feed), JOURNAL_TEST(test_deferred),
        JOURNAL_TEST(fault_10_damaged_rows_are_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
