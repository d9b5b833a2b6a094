#include "tests/unit/relay/journal_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "relay/row.h"

static void test_meta(void **state)
{
    struct journal_meta meta = {.format = STORE_FORMAT, .station = a_station(3), .generation = 0x8877665544332211, .starts = 5}, got = {0};
    struct error error = {0};
    struct bytes value;
    struct txn *txn = fixture_begin(*state, true);
    assert_int_equal(journal_meta_read(txn, &got, &error), ERR_NOT_FOUND); // made, not set up
    assert_int_equal(txn_error(txn), OK);
    assert_int_equal(got.starts, 0);
    journal_create(txn, &meta);
    fixture_commit(txn);
    txn = fixture_begin(*state, true);
    assert_int_equal(journal_meta_read(txn, &got, &error), OK);
    assert_int_equal(got.format, STORE_FORMAT);
    assert_true(got.generation == meta.generation && got.starts == 5 && station_equal(&got.station, &meta.station));
    meta.starts = 6;
    journal_meta_write(txn, &meta);
    assert_false(meta_get(txn, "heads", &value));
    meta_put(txn, "heads", bytes_of_text("h"));
    meta_put(txn, "a name of thirty-two bytes is ok", bytes_of_text(""));
    fixture_commit(txn);
    txn = fixture_begin(*state, true);
    assert_int_equal(journal_meta_read(txn, &got, &error), OK);
    assert_int_equal(got.starts, 6);
    assert_true(meta_get(txn, "heads", &value) && bytes_equal(value, bytes_of_text("h")));
    assert_true(meta_get(txn, "a name of thirty-two bytes is ok", &value) && value.size == 0);
    journal_create(txn, &meta); // never a second time
    assert_fails(txn, ERR_EXISTS);
}

static void test_meta_of_another_format(void **state)
{
    struct journal_meta got = {.starts = 77};
    struct error error = {0};
    uint8_t format[4];
    struct txn *txn = fixture_begin(*state, true);
    put_be32(format, 2);
    txn_put(txn, TABLE_META, bytes_of_text("format"), bytes_of(format, 4));
    assert_int_equal(journal_meta_read(txn, &got, &error), ERR_VERSION);
    txn_fail(txn, ERR_FULL, "an earlier one");
    assert_int_equal(journal_meta_read(txn, &got, &error), ERR_FULL);
    assert_int_equal(got.starts, 77);
    txn_abort(txn);
}

static void test_feeds(void **state)
{
    struct feed_key a = a_feed(1), b = a_feed(2), got_key;
    struct feed_state got, changed = {.next = 12, .last = a_hash(4), .bodies = 9, .disputed = true};
    uint32_t id = 0;
    struct txn *txn = fixture_begin(*state, true);
    assert_false(feed_find(txn, &a, &id, &got));
    assert_false(feed_read(txn, 1, &got_key, &got));
    assert_int_equal(feed_add(txn, &a), 1);
    assert_int_equal(feed_add(txn, &b), 2);
    b.addressee = a_station(8); // another feed
    assert_int_equal(feed_add(txn, &b), 3);
    feed_write(txn, 2, &changed);
    fixture_commit(txn);

    txn = fixture_begin(*state, true);
    assert_true(feed_find(txn, &a, &id, &got));
    assert_true(id == 1 && got.next == 1 && got.bodies == 1 && !got.disputed && hash_is_zero(&got.last));
    assert_true(feed_find(txn, &b, &id, &got));
    assert_int_equal(id, 3);
    assert_true(feed_read(txn, 2, &got_key, &got));
    assert_true(got.next == 12 && got.bodies == 9 && got.disputed && hash_equal(&got.last, &changed.last));
    assert_true(station_equal(&got_key.station, &b.station) && got_key.nonce == 7 && got_key.lane == 1);
    assert_false(feed_read(txn, 4, &got_key, &got));
    assert_int_equal(txn_error(txn), OK);
    feed_add(txn, &a);
    assert_fails(txn, ERR_EXISTS);
    txn = fixture_begin(*state, true);
    feed_write(txn, 99, &changed);
    assert_fails(txn, ERR_NOT_FOUND);
}

static void test_feed_id_without_its_feed_is_damage(void **state)
{
    struct feed_key a = a_feed(1);
    struct feed_state got;
    uint32_t id;
    uint8_t key[4];
    struct txn *txn = fixture_begin(*state, true);
    put_be32(key, feed_add(txn, &a));
    txn_delete(txn, TABLE_FEEDS, bytes_of(key, 4));
    assert_false(feed_find(txn, &a, &id, &got));
    assert_fails(txn, ERR_CORRUPT);
}

static void test_append_and_read(void **state)
{
    struct batch_row row = a_batch(1, 1, 10), got;
    struct txn *txn = fixture_begin(*state, true);
    assert_int_equal(journal_end(txn), 0);
    assert_false(journal_read(txn, 1, &got));
    assert_int_equal(journal_append(txn, &row), 1);
    row = a_batch(2, 1, 1);
    row.verdict = VERDICT_REJECTED;
    row.body = (struct bytes){0};
    memset(row.reason, 'r', REASON_MAX);
    assert_int_equal(journal_append(txn, &row), 2);
    fixture_commit(txn);
    txn = fixture_begin(*state, false);
    assert_int_equal(journal_end(txn), 2);
    assert_true(journal_read(txn, 1, &got));
    assert_true(got.position == 1 && got.feed == 1 && got.first == 1 && got.count == 10 && got.received_ms == 1001);
    assert_true(got.verdict == VERDICT_APPLIED && got.reason[0] == 0 && station_equal(&got.from, &row.from));
    assert_true(bytes_equal(got.header, row.header) && bytes_equal(got.signature, row.signature));
    assert_true(bytes_equal(got.body, bytes_of_text("the body")));
    assert_true(journal_read(txn, 2, &got));
    assert_true(got.verdict == VERDICT_REJECTED && got.body.size == 0);
    assert_string_equal(got.reason, row.reason);
    assert_false(journal_read(txn, 3, &got));
    assert_int_equal(txn_commit(txn, NULL), OK);
}

static void test_largest_batch(void **state)
{
    uint8_t *body = malloc(BATCH_BODY_MAX), header[HEADER_MAX];
    memset(body, 0xB0, BATCH_BODY_MAX);
    memset(header, 0xAE, sizeof header);
    struct batch_row row = a_batch(1, UINT64_MAX - 1000, 1000), got;
    row.header = bytes_of(header, sizeof header);
    row.body = bytes_of(body, BATCH_BODY_MAX);
    struct txn *txn = fixture_begin(*state, true);
    uint64_t position = journal_append(txn, &row), found;
    assert_true(journal_read(txn, position, &got));
    assert_true(bytes_equal(got.header, row.header) && bytes_equal(got.body, row.body));
    assert_true(journal_find(txn, 1, UINT64_MAX - 1, &found) && found == position);
    assert_false(journal_find(txn, 1, UINT64_MAX, &found));
    fixture_commit(txn);
    free(body);
}

static void test_find(void **state)
{
    uint64_t position = 0;
    struct batch_row rows[] = {a_batch(5, 1, 10), a_batch(6, 1, 1), a_batch(5, 11, 1), a_batch(5, 20, 5), a_batch(4, 300, 2)};
    struct txn *txn = fixture_begin(*state, true);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(journal_append(txn, &rows[i]), i + 1);
    static const struct {
        uint32_t feed;
        uint64_t sequence, position; // 0: none
    } cases[] = {
        {5, 1, 1}, {5, 5, 1}, {5, 10, 1}, {5, 11, 3},  {5, 12, 0},  {5, 19, 0},  {5, 20, 4}, {5, 24, 4}, {5, 25, 0},
        {5, 0, 0}, {6, 1, 2}, {6, 2, 0},  {4, 299, 0}, {4, 301, 5}, {4, 302, 0}, {7, 1, 0},  {1, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        position = 0;
        assert_int_equal(journal_find(txn, cases[i].feed, cases[i].sequence, &position), cases[i].position > 0);
        assert_int_equal(position, cases[i].position);
    }
    assert_int_equal(txn_commit(txn, NULL), OK);
}

static void fault_22_nothing_is_replaced(void **state)
{
    struct batch_row row = a_batch(1, 10, 10);
    struct txn *txn = fixture_begin(*state, true);
    journal_append(txn, &row);
    row.first = 30;
    journal_append(txn, &row);
    fixture_commit(txn);
    static const struct {
        uint64_t first;
        uint32_t count;
    } taken[] = {{10, 10}, {10, 1}, {19, 1}, {5, 6}, {1, 100}, {15, 2}, {19, 11}, {20, 11}, {39, 5}};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        txn = fixture_begin(*state, true);
        row.first = taken[i].first;
        row.count = taken[i].count;
        journal_append(txn, &row);
        assert_fails(txn, ERR_STATE);
    }
    txn = fixture_begin(*state, true);
    assert_int_equal(txn_count(txn, TABLE_JOURNAL), 2);
    row.first = 20;
    row.count = 10;
    assert_int_equal(journal_append(txn, &row), 3); // fits in between
    fixture_commit(txn);
}

static void test_add_body(void **state)
{
    struct batch_row row = a_batch(1, 1, 2), got;
    struct hash before, after;
    row.body = (struct bytes){0};
    row.verdict = VERDICT_HELD;
    struct txn *txn = fixture_begin(*state, true);
    uint64_t position = journal_append(txn, &row);
    assert_true(journal_read(txn, position, &got));
    before = journal_digest(&got);
    journal_add_body(txn, position, bytes_of_text("late body"), VERDICT_DEFERRED, "codebook");
    assert_true(journal_read(txn, position, &got));
    assert_true(got.verdict == VERDICT_DEFERRED && bytes_equal(got.body, bytes_of_text("late body")));
    assert_string_equal(got.reason, "codebook");
    assert_true(got.first == 1 && got.count == 2 && bytes_equal(got.header, row.header));
    journal_add_body(txn, position, (struct bytes){0}, VERDICT_APPLIED, ""); // decided
    journal_add_body(txn, position, bytes_of_text("late body"), VERDICT_APPLIED, "");
    assert_true(journal_read(txn, position, &got));
    assert_true(got.verdict == VERDICT_APPLIED && got.reason[0] == 0 && bytes_equal(got.body, bytes_of_text("late body")));
    after = journal_digest(&got);
    assert_true(hash_equal(&before, &after));
    assert_int_equal(journal_end(txn), 1);
    fixture_commit(txn);
    txn = fixture_begin(*state, true);
    journal_add_body(txn, position, bytes_of_text("other body"), VERDICT_APPLIED, "");
    assert_fails(txn, ERR_STATE);
    txn = fixture_begin(*state, true);
    journal_add_body(txn, 99, bytes_of_text("body"), VERDICT_APPLIED, "");
    assert_fails(txn, ERR_NOT_FOUND);
    txn = fixture_begin(*state, true); // a reason too long is cut
    char reason[200];
    memset(reason, 'x', sizeof reason - 1);
    reason[sizeof reason - 1] = 0;
    journal_add_body(txn, position, (struct bytes){0}, VERDICT_REJECTED, reason);
    assert_true(journal_read(txn, position, &got));
    assert_int_equal(strlen(got.reason), REASON_MAX);
    fixture_commit(txn);
}

static void test_digest_names_the_row(void **state)
{
    (void)state;
    struct batch_row row = a_batch(1, 1, 2), other = row;
    row.position = other.position = 4;
    struct hash hash = journal_digest(&row), another = journal_digest(&other);
    assert_true(hash_equal(&hash, &another));
    for (int i = 0; i < 7; i++) {
        other = row;
        switch (i) {
        case 0:
            other.position++;
            break;
        case 1:
            other.feed++;
            break;
        case 2:
            other.first++;
            break;
        case 3:
            other.count++;
            break;
        case 4:
            other.received_ms++;
            break;
        case 5:
            other.from.bytes[3]++;
            break;
        default:
            other.header = bytes_of_text("Header");
            break;
        }
        another = journal_digest(&other);
        assert_false(hash_equal(&hash, &another));
    }
}

static void fault_10_damaged_rows_are_seen(void **state)
{
    struct feed_key feed = a_feed(1), got_feed;
    struct feed_state got_state;
    struct batch_row row = a_batch(1, 1, 2), got;
    uint64_t position;
    uint32_t id;
    struct txn *txn = fixture_begin(*state, true);
    feed_add(txn, &feed);
    journal_append(txn, &row);
    fixture_commit(txn);
    static const enum table tables[] = {TABLE_JOURNAL, TABLE_BATCHES, TABLE_FEEDS, TABLE_FEED_IDS};
    for (size_t i = 0; i < 4; i++) {
        damage(*state, tables[i]);
        txn = fixture_begin(*state, true);
        if (i == 0)
            assert_false(journal_read(txn, 1, &got));
        else if (i == 1)
            assert_false(journal_find(txn, 1, 1, &position));
        else if (i == 2)
            assert_false(feed_read(txn, 1, &got_feed, &got_state));
        else
            assert_false(feed_find(txn, &feed, &id, &got_state));
        assert_fails(txn, ERR_CORRUPT);
    }
}

// The same in the file itself, under LMDB, which does not notice.
// A row whose checksum is right, and whose fields are not those of its table: written by a program that knew another layout.
static void put_odd(struct store *store, enum table table, struct bytes key, size_t size)
{
    struct buffer fields = {0};
    struct txn *txn = fixture_begin(store, true);
    for (size_t i = 0; i < size; i++)
        row_u8(&fields, 1);
    row_write(txn, table, key, &fields);
    fixture_commit(txn);
}

static void fault_10_rows_of_another_shape_are_damage(void **state)
{
    uint8_t feed_id[4] = {0, 0, 0, 1}, position[8] = {0, 0, 0, 0, 0, 0, 0, 1}, batch[12] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1};
    uint8_t encoded[FEED_KEY_SIZE];
    struct feed_key feed = a_feed(1);
    struct feed_state got;
    struct batch_row row;
    uint32_t id;
    uint64_t found;
    feed_key_encode(&feed, encoded);
    put_odd(*state, TABLE_FEED_IDS, bytes_of(encoded, sizeof encoded), 3);
    struct txn *txn = fixture_begin(*state, true);
    assert_false(feed_find(txn, &feed, &id, &got));
    assert_fails(txn, ERR_CORRUPT);
    put_odd(*state, TABLE_FEEDS, bytes_of(feed_id, sizeof feed_id), 30);
    txn = fixture_begin(*state, true);
    assert_false(feed_read(txn, 1, &feed, &got));
    assert_fails(txn, ERR_CORRUPT);
    put_odd(*state, TABLE_JOURNAL, bytes_of(position, sizeof position), 20);
    txn = fixture_begin(*state, true);
    assert_false(journal_read(txn, 1, &row));
    assert_fails(txn, ERR_CORRUPT);
    put_odd(*state, TABLE_BATCHES, bytes_of(batch, sizeof batch), 5);
    txn = fixture_begin(*state, true);
    assert_false(journal_find(txn, 1, 1, &found));
    assert_fails(txn, ERR_CORRUPT);
}

// Keys that no batch has: never taken for an empty journal, nor for another feed's.
static void fault_12_keys_of_another_shape_are_damage(void **state)
{
    uint64_t found;
    put_odd(*state, TABLE_JOURNAL, bytes_of_text("a key"), 20);
    struct txn *txn = fixture_begin(*state, true);
    assert_int_equal(journal_end(txn), 0);
    assert_fails(txn, ERR_CORRUPT);
    uint8_t longer[13] = {0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0}, shorter[5] = {0, 0, 0, 2, 0};
    put_odd(*state, TABLE_BATCHES, bytes_of(longer, sizeof longer), 12);
    put_odd(*state, TABLE_BATCHES, bytes_of(shorter, sizeof shorter), 12);
    txn = fixture_begin(*state, true);
    assert_false(journal_find(txn, 1, 1, &found)); // the longer one lies behind it
    assert_false(journal_find(txn, 1, 2, &found));
    assert_false(journal_find(txn, 2, 9, &found));
    assert_int_equal(txn_error(txn), OK);
    txn_fail(txn, ERR_FULL, "an earlier one");
    assert_false(journal_find(txn, 1, 1, &found));
    assert_int_equal(journal_end(txn), 0);
    txn_abort(txn);
}

static void fault_10_flipped_byte_on_disk(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX + 32];
    static const char body[] = "a body that can be found on the disk";
    struct batch_row row = a_batch(1, 1, 2), got;
    struct stat status;
    unsigned flipped = 0;
    fixture_make(directory);
    struct store *store = fixture_open(directory, STORE_CREATE, 0);
    struct txn *txn = fixture_begin(store, true);
    row.body = bytes_of_text(body);
    journal_append(txn, &row);
    row.first = 3;
    row.body = bytes_of_text("another one");
    journal_append(txn, &row);
    fixture_commit(txn);
    store_close(store);
    snprintf(path, sizeof path, "%s/store/data.mdb", directory);
    int fd = open(path, O_RDWR);
    assert_int_equal(fstat(fd, &status), 0);
    uint8_t *file = malloc((size_t)status.st_size);
    assert_int_equal(pread(fd, file, (size_t)status.st_size, 0), status.st_size);
    for (off_t at = 0; at + (off_t)sizeof body < status.st_size; at++)
        if (memcmp(file + at, body, sizeof body - 1) == 0) {
            assert_int_equal(pwrite(fd, "A", 1, at), 1);
            flipped++;
        }
    assert_true(flipped >= 1);
    free(file);
    close(fd);
    store = fixture_open(directory, STORE_OPEN, 0);
    txn = fixture_begin(store, false);
    assert_true(journal_read(txn, 2, &got)); // its neighbour is whole
    assert_false(journal_read(txn, 1, &got));
    assert_fails(txn, ERR_CORRUPT);
    store_close(store);
    fixture_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        JOURNAL_TEST(test_meta),
        JOURNAL_TEST(test_meta_of_another_format),
        JOURNAL_TEST(test_feeds),
        JOURNAL_TEST(test_feed_id_without_its_feed_is_damage),
        JOURNAL_TEST(test_append_and_read),
        JOURNAL_TEST(test_largest_batch),
        JOURNAL_TEST(test_find),
        JOURNAL_TEST(fault_22_nothing_is_replaced),
        JOURNAL_TEST(test_add_body),
        JOURNAL_TEST(test_digest_names_the_row),
        JOURNAL_TEST(fault_10_damaged_rows_are_seen),
        JOURNAL_TEST(fault_10_flipped_byte_on_disk),
        JOURNAL_TEST(fault_10_rows_of_another_shape_are_damage),
        JOURNAL_TEST(fault_12_keys_of_another_shape_are_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
