// Of journal.h: certificates and documents by hash.
#include "relay/journal.h"
#include "relay/row.h"

// Every object is kept twice, in two trees: without them a station can neither start nor check anything.
static bool whole(struct txn *txn, enum table table, const struct hash *hash, struct bytes *ret)
{
    struct bytes key = bytes_of(hash->bytes, HASH_SIZE);
    return txn_get(txn, table, key, ret) && row_intact(table, key, *ret);
}

bool object_read(struct txn *txn, const struct hash *hash, enum object_kind *ret_kind, struct bytes *ret)
{
    struct row row = {.txn = txn, .table = TABLE_OBJECTS, .key = bytes_of(hash->bytes, HASH_SIZE)};
    struct bytes value;
    if (whole(txn, TABLE_OBJECTS, hash, &value) || whole(txn, TABLE_COPIES, hash, &value))
        row.rest = bytes_of(value.data, value.size - ROW_CHECKSUM_SIZE);
    else if (!row_read(txn, TABLE_OBJECTS, row.key, &row)) // absent, or says how it is damaged
        return false;
    enum object_kind kind = (enum object_kind)row_take_u8(&row);
    struct bytes content = row_take_span(&row, row.rest.size);
    if (!row_end(&row))
        return false;
    *ret_kind = kind;
    *ret = content;
    return true;
}

static void put(struct txn *txn, enum table table, const struct hash *hash, enum object_kind kind, struct bytes content)
{
    struct buffer fields = {0};
    row_reserve(&fields, 1 + content.size);
    row_u8(&fields, (uint8_t)kind);
    row_raw(&fields, content.data, content.size);
    row_write(txn, table, bytes_of(hash->bytes, HASH_SIZE), &fields);
}

void object_add(struct txn *txn, const struct hash *hash, enum object_kind kind, struct bytes content)
{
    struct bytes there;
    if (txn_get(txn, TABLE_OBJECTS, bytes_of(hash->bytes, HASH_SIZE), &there))
        return;
    put(txn, TABLE_OBJECTS, hash, kind, content);
    put(txn, TABLE_COPIES, hash, kind, content);
}

bool object_intact(struct txn *txn, const struct hash *hash)
{
    struct bytes value;
    return whole(txn, TABLE_OBJECTS, hash, &value) || whole(txn, TABLE_COPIES, hash, &value);
}

void object_mend(struct txn *txn, const struct hash *hash, enum object_kind kind, struct bytes content)
{
    struct bytes value;
    if (!whole(txn, TABLE_OBJECTS, hash, &value))
        put(txn, TABLE_OBJECTS, hash, kind, content);
    if (!whole(txn, TABLE_COPIES, hash, &value))
        put(txn, TABLE_COPIES, hash, kind, content);
}

bool object_repair(struct txn *txn, const struct hash *hash)
{
    enum object_kind kind;
    struct bytes content;
    if (!object_intact(txn, hash) || !object_read(txn, hash, &kind, &content))
        return false;
    struct buffer copy = {0}; // what is written must not point into the store
    if (buffer_append(&copy, content.data, content.size), copy.failed)
        txn_fail(txn, ERR_MEMORY, "object");
    object_mend(txn, hash, kind, buffer_bytes(&copy));
    buffer_finish(&copy);
    return txn_error(txn) == OK;
}
