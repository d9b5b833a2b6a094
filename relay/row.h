// Rows of the store that carry their own checksum, as LMDB has none: value = fields || first 16 bytes of
// H(TAG_ROW, table name size (1) || table name || key size (2) || key || H(TAG_ROW, fields)). It binds the row to its place, so a row
// that turns up under another key or in another table is damage too. Not a signature: it finds rot, not forgers.
//
// Fields are written in order into a buffer and read back in the same order. All integers are big-endian.
#pragma once
#include "relay/store.h"
#include "relay/types.h"

enum { ROW_CHECKSUM_SIZE = 16 };

// Append fields to a zero-initialised buffer. A failed allocation shows in row_write().
void row_u8(struct buffer *fields, uint8_t value);
void row_u16(struct buffer *fields, uint16_t value);
void row_u32(struct buffer *fields, uint32_t value);
void row_u64(struct buffer *fields, uint64_t value);
void row_raw(struct buffer *fields, const void *data, size_t size);
void row_text(struct buffer *fields, const char *text); // a byte of size, then the text; at most 255 bytes
// Makes room for `size` bytes of fields at once: for large rows.
void row_reserve(struct buffer *fields, size_t size);

// Adds the checksum and puts the row; frees `fields`, whatever happens. In the transaction: ERR_MEMORY when the buffer failed.
void row_write(struct txn *txn, enum table table, struct bytes key, struct buffer *fields);
// The same for a key greater than all in the table (txn_append()).
void row_append(struct txn *txn, enum table table, struct bytes key, struct buffer *fields);

// A row being read. Reading behind the end gives zeros and makes `bad` true; row_end() tells.
struct row {
    struct txn *txn;
    enum table table;
    struct bytes key, rest;
    bool bad;
};
// False: absent (the transaction is fine), or damaged (ERR_CORRUPT in the transaction, naming table and key). `key` is kept.
bool row_read(struct txn *txn, enum table table, struct bytes key, struct row *ret);
// The same on the row under a cursor of `table`.
bool row_at(struct txn *txn, enum table table, const struct cursor *cursor, struct row *ret);
uint8_t row_take_u8(struct row *row);
uint16_t row_take_u16(struct row *row);
uint32_t row_take_u32(struct row *row);
uint64_t row_take_u64(struct row *row);
void row_take_raw(struct row *row, void *ret, size_t size);
struct bytes row_take_span(struct row *row, size_t size);    // lives as long as txn_get()'s
void row_take_text(struct row *row, char *ret, size_t size); // NUL-terminated; `size` with the NUL
// Whether every field was there and nothing is left over. Otherwise the transaction fails with ERR_CORRUPT.
bool row_end(struct row *row);

// Whether the value is what was written under that key. Pure; for those who look for damage and must not fail by it.
bool row_intact(enum table table, struct bytes key, struct bytes value);

// Fails the transaction with ERR_CORRUPT, naming the row: for content that cannot be.
void row_damaged(struct txn *txn, enum table table, struct bytes key);
