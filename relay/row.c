#include "relay/row.h"

#include <assert.h>
#include <stdio.h>

#include "relay/crypto.h"
#include "relay/language.h"

enum {
    KEY_MAX = 511,       // the store's limit
    TABLE_NAME_MAX = 32, // of a table
    KEY_SHOWN = 32,      // bytes of a key in a message
};

void row_raw(struct buffer *fields, const void *data, size_t size) { buffer_append(fields, data, size); }

void row_u8(struct buffer *fields, uint8_t value) { buffer_append(fields, &value, 1); }

void row_u16(struct buffer *fields, uint16_t value)
{
    uint8_t bytes[2];
    put_be16(bytes, value);
    buffer_append(fields, bytes, sizeof bytes);
}

void row_u32(struct buffer *fields, uint32_t value)
{
    uint8_t bytes[4];
    put_be32(bytes, value);
    buffer_append(fields, bytes, sizeof bytes);
}

void row_u64(struct buffer *fields, uint64_t value)
{
    uint8_t bytes[8];
    put_be64(bytes, value);
    buffer_append(fields, bytes, sizeof bytes);
}

void row_text(struct buffer *fields, const char *text)
{
    size_t size = strlen(text);
    assert(size <= UINT8_MAX);
    row_u8(fields, (uint8_t)size);
    row_raw(fields, text, size);
}

void row_reserve(struct buffer *fields, size_t size)
{
    size_t before = fields->size;
    if (buffer_extend(fields, size + ROW_CHECKSUM_SIZE))
        fields->size = before;
}

static struct hash checksum(enum table table, struct bytes key, struct bytes fields)
{
    uint8_t place[1 + TABLE_NAME_MAX + 2 + KEY_MAX + HASH_SIZE], *p = place;
    struct bytes name = bytes_of_text(table_name(table));
    struct hash inner = crypto_hash(TAG_ROW, fields);
    assert(name.size <= TABLE_NAME_MAX && key.size <= KEY_MAX);
    *p++ = (uint8_t)name.size;
    memcpy(p, name.data, name.size);
    p += name.size;
    put_be16(p, (uint16_t)key.size);
    memcpy(p + 2, key.data, key.size);
    p += 2 + key.size;
    memcpy(p, inner.bytes, HASH_SIZE);
    return crypto_hash(TAG_ROW, bytes_of(place, (size_t)(p - place) + HASH_SIZE));
}

// Whether the row may be written: adds the checksum.
static bool seal(struct txn *txn, enum table table, struct bytes key, struct buffer *fields)
{
    if (txn_error(txn))
        return false;
    if (key.size <= KEY_MAX && !fields->failed) { // a longer key fails in the store
        struct hash hash = checksum(table, key, buffer_bytes(fields));
        buffer_append(fields, hash.bytes, ROW_CHECKSUM_SIZE);
    }
    if (fields->failed)
        txn_fail(txn, ERR_MEMORY, tr("no memory for a row", "内存不足，无法写入行"));
    return !fields->failed;
}

void row_write(struct txn *txn, enum table table, struct bytes key, struct buffer *fields)
{
    if (seal(txn, table, key, fields))
        txn_put(txn, table, key, buffer_bytes(fields));
    buffer_finish(fields);
}

void row_append(struct txn *txn, enum table table, struct bytes key, struct buffer *fields)
{
    if (seal(txn, table, key, fields))
        txn_append(txn, table, key, buffer_bytes(fields));
    buffer_finish(fields);
}

void row_damaged(struct txn *txn, enum table table, struct bytes key)
{
    char hex[2 * KEY_SHOWN + 1], detail[256];
    crypto_hex(bytes_of(key.data, key.size < KEY_SHOWN ? key.size : KEY_SHOWN), hex);
    snprintf(detail, sizeof detail, tr("table %s, row %s: damaged; it is kept as it is", "表 %s，行 %s：已损坏；已原样保留"),
             table_name(table), hex);
    txn_fail(txn, ERR_CORRUPT, detail);
}

bool row_intact(enum table table, struct bytes key, struct bytes value)
{
    if (value.size < ROW_CHECKSUM_SIZE)
        return false;
    size_t size = value.size - ROW_CHECKSUM_SIZE;
    struct hash hash = checksum(table, key, bytes_of(value.data, size));
    return memcmp(hash.bytes, value.data + size, ROW_CHECKSUM_SIZE) == 0;
}

static bool open_row(struct txn *txn, enum table table, struct bytes key, struct bytes value, struct row *ret)
{
    if (!row_intact(table, key, value)) {
        row_damaged(txn, table, key);
        return false;
    }
    *ret = (struct row){.txn = txn, .table = table, .key = key, .rest = bytes_of(value.data, value.size - ROW_CHECKSUM_SIZE)};
    return true;
}

bool row_read(struct txn *txn, enum table table, struct bytes key, struct row *ret)
{
    struct bytes value;
    return txn_get(txn, table, key, &value) && open_row(txn, table, key, value, ret);
}

bool row_at(struct txn *txn, enum table table, const struct cursor *cursor, struct row *ret)
{
    return open_row(txn, table, cursor_key(cursor), cursor_value(cursor), ret);
}

struct bytes row_take_span(struct row *row, size_t size)
{
    if (size > row->rest.size) {
        row->bad = true;
        row->rest.size = 0;
        return (struct bytes){0};
    }
    struct bytes span = bytes_of(row->rest.data, size);
    row->rest = bytes_of(row->rest.data + size, row->rest.size - size);
    return span;
}

void row_take_raw(struct row *row, void *ret, size_t size)
{
    struct bytes span = row_take_span(row, size);
    if (span.data && size)
        memcpy(ret, span.data, size);
    else
        memset(ret, 0, size);
}

uint8_t row_take_u8(struct row *row)
{
    uint8_t byte;
    row_take_raw(row, &byte, 1);
    return byte;
}

uint16_t row_take_u16(struct row *row)
{
    uint8_t bytes[2];
    row_take_raw(row, bytes, sizeof bytes);
    return get_be16(bytes);
}

uint32_t row_take_u32(struct row *row)
{
    uint8_t bytes[4];
    row_take_raw(row, bytes, sizeof bytes);
    return get_be32(bytes);
}

uint64_t row_take_u64(struct row *row)
{
    uint8_t bytes[8];
    row_take_raw(row, bytes, sizeof bytes);
    return get_be64(bytes);
}

void row_take_text(struct row *row, char *ret, size_t size)
{
    struct bytes text = row_take_span(row, row_take_u8(row));
    if (text.size >= size) {
        row->bad = true;
        text.size = 0;
    }
    if (text.size)
        memcpy(ret, text.data, text.size);
    ret[text.size] = 0;
}

bool row_end(struct row *row)
{
    if (!row->bad && row->rest.size == 0)
        return true;
    row_damaged(row->txn, row->table, row->key);
    return false;
}
