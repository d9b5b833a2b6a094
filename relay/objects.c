// Of journal.h: certificates and documents by hash.
#include "relay/journal.h"
#include "relay/row.h"

bool object_read(struct txn *txn, const struct hash *hash, enum object_kind *ret_kind, struct bytes *ret)
{
    struct row row;
    if (!row_read(txn, TABLE_OBJECTS, bytes_of(hash->bytes, HASH_SIZE), &row))
        return false;
    enum object_kind kind = (enum object_kind)row_take_u8(&row);
    struct bytes content = row_take_span(&row, row.rest.size);
    if (!row_end(&row))
        return false;
    *ret_kind = kind;
    *ret = content;
    return true;
}

static void put(struct txn *txn, const struct hash *hash, enum object_kind kind, struct bytes content)
{
    struct buffer fields = {0};
    row_reserve(&fields, 1 + content.size);
    row_u8(&fields, (uint8_t)kind);
    row_raw(&fields, content.data, content.size);
    row_write(txn, TABLE_OBJECTS, bytes_of(hash->bytes, HASH_SIZE), &fields);
}

void object_add(struct txn *txn, const struct hash *hash, enum object_kind kind, struct bytes content)
{
    struct bytes there;
    if (!txn_get(txn, TABLE_OBJECTS, bytes_of(hash->bytes, HASH_SIZE), &there))
        put(txn, hash, kind, content);
}

bool object_intact(struct txn *txn, const struct hash *hash)
{
    struct bytes key = bytes_of(hash->bytes, HASH_SIZE), value;
    return txn_get(txn, TABLE_OBJECTS, key, &value) && row_intact(TABLE_OBJECTS, key, value);
}

void object_mend(struct txn *txn, const struct hash *hash, enum object_kind kind, struct bytes content)
{
    if (!object_intact(txn, hash))
        put(txn, hash, kind, content);
}
