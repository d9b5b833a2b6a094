// Damaged rows: found, entered once, asked for, put back at their own place and nowhere else.
#include "relay/quarantine.h"

#include "relay/row.h"
#include "tests/unit/relay/journal_fixture.h"

static const uint64_t now_ms = 5000;

// Turns one bit of the row at `position`.
static void rot(struct store *store, enum table table, struct bytes key, size_t byte)
{
    static uint8_t value[4096];
    struct bytes held;
    struct txn *txn = fixture_begin(store, true);
    assert_true(txn_get(txn, table, key, &held));
    assert_true(held.size <= sizeof value);
    size_t size = held.size;
    memcpy(value, held.data, size);
    value[byte % size] ^= 4;
    txn_put(txn, table, key, bytes_of(value, size));
    fixture_commit(txn);
}

static void rot_position(struct store *store, uint64_t position, size_t byte)
{
    uint8_t key[8];
    put_be64(key, position);
    rot(store, TABLE_JOURNAL, bytes_of(key, sizeof key), byte);
}

// Two feeds; feed 1 has positions 1, 3, 4 and feed 2 position 2.
static void fill(struct store *store)
{
    struct txn *txn = fixture_begin(store, true);
    struct feed_key one = a_feed(1), two = a_feed(2);
    uint32_t a = feed_add(txn, &one), b = feed_add(txn, &two);
    const struct batch_row rows[] = {a_batch(a, 1, 2), a_batch(b, 1, 1), a_batch(a, 3, 1), a_batch(a, 4, 5)};
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(journal_append(txn, &rows[i]), i + 1);
    fixture_commit(txn);
}

static void fault_10_each_byte_of_a_row(void **state)
{
    struct store *store = *state;
    fill(store);
    struct batch_place place;
    struct quarantined entry;
    for (size_t byte = 0; byte < 120; byte++) {
        rot_position(store, 3, byte);
        struct txn *txn = fixture_begin(store, true);
        assert_false(journal_intact(txn, 3));
        assert_true(journal_place_at(txn, 3, &place)); // whatever the row says of itself
        assert_true(place.feed == 1 && place.first == 3 && place.count == 1 && place.position == 3);
        assert_int_equal(txn_error(txn), OK);
        assert_int_equal(quarantine_batch(txn, 3, false, now_ms), byte == 0);
        assert_true(quarantine_of_batch(txn, 3, &entry) && entry.place.first == 3 && entry.since_ms == now_ms && entry.mended_ms == 0);
        fixture_commit(txn);
        rot_position(store, 3, byte); // and back
    }
    struct txn *txn = fixture_begin(store, false);
    struct alarm alarms[4];
    assert_true(journal_intact(txn, 3));
    assert_int_equal(alarm_last(txn, alarms, 4), 1); // once
    assert_string_equal(alarms[0].kind, "damaged");
    assert_int_equal(quarantine_count(txn).damaged, 1);
    txn_abort(txn);
}

static void what_is_whole_is_not_entered(void **state)
{
    struct store *store = *state;
    fill(store);
    struct txn *txn = fixture_begin(store, true);
    struct quarantined entry;
    assert_false(quarantine_batch(txn, 2, true, now_ms));
    assert_false(quarantine_batch(txn, 0, true, now_ms));
    assert_false(quarantine_of_batch(txn, 2, &entry));
    assert_false(quarantine_before(txn, NULL, &entry));
    assert_int_equal(txn_count(txn, TABLE_QUARANTINE), 0);
    fixture_commit(txn);
}

static void what_follows_an_owed_row_waits(void **state)
{
    struct store *store = *state;
    struct quarantined entry;
    fill(store);
    rot_position(store, 3, 50);
    struct txn *txn = fixture_begin(store, true);
    assert_true(quarantine_batch(txn, 3, false, now_ms));
    assert_false(quarantine_holds(txn, 1, 4));
    assert_true(quarantine_batch(txn, 3, true, now_ms + 1));
    assert_false(quarantine_batch(txn, 3, false, now_ms + 2)); // once owed it stays so
    assert_true(quarantine_holds(txn, 1, 4));
    assert_false(quarantine_holds(txn, 1, 1));
    assert_false(quarantine_holds(txn, 2, 9)); // other feeds go on
    assert_true(quarantine_of_batch(txn, 3, &entry) && entry.owed && entry.since_ms == now_ms);
    struct batch_row row = a_batch(1, 3, 1);
    row.position = 3;
    journal_mend(txn, &row);
    quarantine_mended(txn, &entry, now_ms + 3);
    assert_false(quarantine_holds(txn, 1, 4));
    assert_true(quarantine_of_batch(txn, 3, &entry) && entry.mended_ms == now_ms + 3 && !entry.owed);
    assert_false(quarantine_before(txn, NULL, &entry));
    assert_true(quarantine_count(txn).damaged == 0 && quarantine_count(txn).mended == 1);
    fixture_commit(txn);
}

static void fault_22_only_a_damaged_row_is_overwritten(void **state)
{
    struct store *store = *state;
    fill(store);
    struct batch_row row = a_batch(1, 3, 1), read;
    row.position = 3;
    struct txn *txn = fixture_begin(store, true);
    journal_mend(txn, &row);
    assert_fails(txn, ERR_STATE);
    txn = fixture_begin(store, true);
    row.position = 5; // behind the end
    journal_mend(txn, &row);
    assert_fails(txn, ERR_STATE);
    rot_position(store, 3, 7);
    txn = fixture_begin(store, true);
    row.position = 3;
    journal_mend(txn, &row);
    fixture_commit(txn);
    txn = fixture_begin(store, false);
    assert_true(journal_read(txn, 3, &read) && read.first == 3 && bytes_equal(read.body, row.body));
    txn_abort(txn);
}

static void objects_are_entered_and_put_back(void **state)
{
    struct store *store = *state;
    struct hash hash = a_hash(3);
    struct quarantined entry;
    enum object_kind kind;
    struct bytes content;
    struct txn *txn = fixture_begin(store, true);
    object_add(txn, &hash, OBJECT_DOCUMENT, bytes_of_text("a document"));
    fixture_commit(txn);
    static const enum table tables[] = {TABLE_OBJECTS, TABLE_COPIES};
    for (size_t i = 0; i < 2; i++) { // from one of its two places it is put back at once
        rot(store, tables[i], bytes_of(hash.bytes, HASH_SIZE), 3);
        txn = fixture_begin(store, true);
        assert_true(object_read(txn, &hash, &kind, &content) && bytes_equal(content, bytes_of_text("a document")));
        assert_false(quarantine_object(txn, &hash, now_ms));
        struct bytes value, key = bytes_of(hash.bytes, HASH_SIZE);
        assert_true(txn_get(txn, tables[i], key, &value) && row_intact(tables[i], key, value));
        fixture_commit(txn);
    }
    rot(store, TABLE_OBJECTS, bytes_of(hash.bytes, HASH_SIZE), 3);
    rot(store, TABLE_COPIES, bytes_of(hash.bytes, HASH_SIZE), 8);
    txn = fixture_begin(store, true);
    assert_true(quarantine_object(txn, &hash, now_ms));
    assert_false(quarantine_object(txn, &hash, now_ms));
    assert_true(quarantine_before(txn, NULL, &entry) && entry.is_object && hash_equal(&entry.object, &hash));
    object_mend(txn, &hash, OBJECT_DOCUMENT, bytes_of_text("a document"));
    object_mend(txn, &hash, OBJECT_DOCUMENT, bytes_of_text("another")); // it is whole: nothing happens
    assert_true(object_read(txn, &hash, &kind, &content) && bytes_equal(content, bytes_of_text("a document")));
    fixture_commit(txn);
}

static void entries_come_newest_first_and_survive_damage_of_their_own(void **state)
{
    struct store *store = *state;
    struct quarantined entry, *at = NULL;
    fill(store);
    for (uint64_t position = 1; position <= 4; position++)
        rot_position(store, position, 9);
    struct txn *txn = fixture_begin(store, true);
    for (uint64_t position = 1; position <= 4; position++)
        assert_true(quarantine_batch(txn, position, false, now_ms));
    for (uint64_t position = 4; position >= 1; position--, at = &entry)
        assert_true(quarantine_before(txn, at, &entry) && entry.position == position);
    assert_false(quarantine_before(txn, at, &entry));
    fixture_commit(txn);
    uint8_t key[9] = {1};
    put_be64(key + 1, 3);
    rot(store, TABLE_QUARANTINE, bytes_of(key, sizeof key), 2);
    txn = fixture_begin(store, true);
    assert_false(quarantine_of_batch(txn, 3, &entry));
    assert_int_equal(quarantine_count(txn).damaged, 3);
    assert_true(quarantine_batch(txn, 3, false, now_ms)); // found again
    assert_int_equal(quarantine_count(txn).damaged, 4);
    fixture_commit(txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(fault_10_each_byte_of_a_row),      JOURNAL_TEST(what_is_whole_is_not_entered),
        JOURNAL_TEST(what_follows_an_owed_row_waits),   JOURNAL_TEST(fault_22_only_a_damaged_row_is_overwritten),
        JOURNAL_TEST(objects_are_entered_and_put_back), JOURNAL_TEST(entries_come_newest_first_and_survive_damage_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
