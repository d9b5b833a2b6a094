#include "relay/row.h"

#include "tests/unit/relay/store_fixture.h"

#include <string.h>

#include "relay/crypto.h"
#include "relay/store_memory.h"

static int setup(void **state)
{
    struct store *store;
    assert_int_equal(crypto_init(NULL), OK);
    assert_int_equal(store_memory_create(&store, NULL), OK);
    *state = store;
    return 0;
}

static int teardown(void **state)
{
    store_close(*state);
    return 0;
}

static const struct bytes key = {(const uint8_t *)"key", 3};

static void write_row(struct txn *txn, enum table table, struct bytes at)
{
    struct buffer fields = {0};
    row_reserve(&fields, 100);
    row_u8(&fields, 0x12);
    row_u16(&fields, 0x1234);
    row_u32(&fields, 0x12345678);
    row_u64(&fields, 0x123456789ABCDEF0);
    row_raw(&fields, "raw", 3);
    row_text(&fields, "文本");
    row_text(&fields, "");
    row_write(txn, table, at, &fields);
    assert_null(fields.data);
}

static void take_all(struct row *row)
{
    char text[16], raw[3];
    assert_int_equal(row_take_u8(row), 0x12);
    assert_int_equal(row_take_u16(row), 0x1234);
    assert_int_equal(row_take_u32(row), 0x12345678);
    assert_true(row_take_u64(row) == 0x123456789ABCDEF0);
    row_take_raw(row, raw, 3);
    assert_memory_equal(raw, "raw", 3);
    row_take_text(row, text, sizeof text);
    assert_string_equal(text, "文本");
    row_take_text(row, text, sizeof text);
    assert_string_equal(text, "");
}

static void test_fields_come_back(void **state)
{
    struct row row;
    struct bytes value;
    struct txn *txn = fixture_begin(*state, true);
    assert_false(row_read(txn, TABLE_EDGES, key, &row)); // absent is no error
    assert_int_equal(txn_error(txn), OK);
    write_row(txn, TABLE_EDGES, key);
    assert_true(row_read(txn, TABLE_EDGES, key, &row));
    take_all(&row);
    assert_true(row_end(&row));
    assert_true(txn_get(txn, TABLE_EDGES, key, &value));
    assert_int_equal(value.size, 1 + 2 + 4 + 8 + 3 + 7 + 1 + ROW_CHECKSUM_SIZE);
    static const uint8_t begin[] = {0x12, 0x12, 0x34, 0x12, 0x34, 0x56, 0x78, 0x12}; // big-endian
    assert_memory_equal(value.data, begin, sizeof begin);
    struct cursor *cursor = cursor_open(txn, TABLE_EDGES);
    assert_true(cursor_last(cursor) && row_at(txn, TABLE_EDGES, cursor, &row));
    take_all(&row);
    assert_true(row_end(&row));
    cursor_close(cursor);
    fixture_commit(txn);
}

static void test_checksum_is_as_written_down(void **state)
{
    struct bytes value;
    struct buffer fields = {0}, place = {0};
    struct txn *txn = fixture_begin(*state, true);
    row_raw(&fields, "abc", 3);
    row_write(txn, TABLE_EDGES, key, &fields);
    assert_true(txn_get(txn, TABLE_EDGES, key, &value));
    struct hash inner = crypto_hash(TAG_ROW, bytes_of_text("abc"));
    buffer_append(&place, "\5edges\0\3key", 11);
    buffer_append(&place, inner.bytes, HASH_SIZE);
    struct hash outer = crypto_hash(TAG_ROW, buffer_bytes(&place));
    assert_int_equal(value.size, 3 + 16);
    assert_memory_equal(value.data + 3, outer.bytes, 16);
    buffer_finish(&place);
    txn_abort(txn);
}

static void test_append(void **state)
{
    struct buffer fields = {0};
    struct row row;
    struct txn *txn = fixture_begin(*state, true);
    row_append(txn, TABLE_EDGES, key, &fields);
    assert_true(row_read(txn, TABLE_EDGES, key, &row) && row_end(&row));
    row_u8(&fields, 1);
    row_append(txn, TABLE_EDGES, key, &fields); // not greater
    assert_int_equal(txn_commit(txn, NULL), ERR_CORRUPT);
}

static void test_wrong_reading_is_damage(void **state)
{
    struct row row;
    char small[4];
    struct txn *txn = fixture_begin(*state, true);
    write_row(txn, TABLE_EDGES, key);
    fixture_commit(txn);
    for (int way = 0; way < 3; way++) {
        struct error error = {0};
        txn = fixture_begin(*state, false);
        assert_true(row_read(txn, TABLE_EDGES, key, &row));
        if (way == 0) {
            assert_int_equal(row_take_u8(&row), 0x12); // something is left over
        } else if (way == 1) {
            take_all(&row);
            assert_int_equal(row_take_u32(&row), 0); // more than there is
            assert_int_equal(row_take_span(&row, 1).size, 0);
        } else {
            row_take_span(&row, 18);
            row_take_text(&row, small, sizeof small); // does not fit
            assert_string_equal(small, "");
            row_take_u8(&row);
        }
        assert_false(row_end(&row));
        assert_int_equal(txn_commit(txn, &error), ERR_CORRUPT);
        assert_non_null(strstr(error.detail, "edges"));
        assert_non_null(strstr(error.detail, "6b6579"));
    }
}

// Puts `value` where the row was and reads it.
static enum error_code read_changed(struct store *store, enum table table, struct bytes at, struct bytes value)
{
    struct row row;
    struct txn *txn = fixture_begin(store, true);
    txn_put(txn, table, at, value);
    bool found = row_read(txn, table, at, &row);
    enum error_code code = txn_error(txn);
    assert_true(found == (code == OK));
    txn_abort(txn);
    return code;
}

static void fault_10_every_flipped_bit_is_seen(void **state)
{
    struct bytes value;
    uint8_t copy[256];
    struct txn *txn = fixture_begin(*state, true);
    write_row(txn, TABLE_EDGES, key);
    assert_true(txn_get(txn, TABLE_EDGES, key, &value));
    size_t size = value.size;
    memcpy(copy, value.data, size);
    fixture_commit(txn);
    assert_int_equal(read_changed(*state, TABLE_EDGES, key, bytes_of(copy, size)), OK);
    for (size_t bit = 0; bit < size * 8; bit++) {
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(read_changed(*state, TABLE_EDGES, key, bytes_of(copy, size)), ERR_CORRUPT);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t less = 0; less < size; less++)
        assert_int_equal(read_changed(*state, TABLE_EDGES, key, bytes_of(copy, less)), ERR_CORRUPT);
    // A good row in another place is damage too.
    assert_int_equal(read_changed(*state, TABLE_EDGES, bytes_of_text("kez"), bytes_of(copy, size)), ERR_CORRUPT);
    assert_int_equal(read_changed(*state, TABLE_CELLS, key, bytes_of(copy, size)), ERR_CORRUPT);
}

static void test_failures_stay_in_the_transaction(void **state)
{
    struct row row;
    char long_key[600];
    struct buffer fields = {0};
    memset(long_key, 'k', sizeof long_key);
    struct txn *txn = fixture_begin(*state, true);
    fields.failed = true; // as after a failed allocation
    row_u8(&fields, 1);
    row_write(txn, TABLE_EDGES, key, &fields);
    assert_int_equal(txn_error(txn), ERR_MEMORY);
    row_u8(&fields, 1);
    row_write(txn, TABLE_EDGES, key, &fields); // freed all the same
    assert_null(fields.data);
    assert_false(row_read(txn, TABLE_EDGES, key, &row));
    assert_int_equal(txn_commit(txn, NULL), ERR_MEMORY);
    txn = fixture_begin(*state, true);
    row_write(txn, TABLE_EDGES, bytes_of(long_key, sizeof long_key), &fields);
    assert_int_equal(txn_commit(txn, NULL), ERR_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_fields_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_checksum_is_as_written_down, setup, teardown),
        cmocka_unit_test_setup_teardown(test_append, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wrong_reading_is_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_every_flipped_bit_is_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(test_failures_stay_in_the_transaction, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
