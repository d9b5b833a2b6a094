// Of journal.h: the other batches of forks, and the batches that wait for something.
#include <assert.h>
#include <stdio.h>

#include "relay/journal.h"
#include "relay/row.h"

enum { EVIDENCE_KEY_SIZE = 4 + 8 + HASH_SIZE };

static void evidence_key(uint32_t feed, uint64_t first, const struct hash *header_hash, uint8_t ret[EVIDENCE_KEY_SIZE])
{
    put_be32(ret, feed);
    put_be64(ret + 4, first);
    memcpy(ret + 12, header_hash->bytes, HASH_SIZE);
}

static void take_fields(struct row *row, struct evidence *ret)
{
    size_t header_size = row_take_u16(row), signature_size = row_take_u8(row);
    ret->header = row_take_span(row, header_size);
    ret->signature = row_take_span(row, signature_size);
    ret->body = row_take_span(row, row_take_u32(row));
}

bool evidence_decode(struct bytes fields, struct evidence *ret)
{
    struct evidence evidence = {0};
    struct row row = {.rest = fields};
    take_fields(&row, &evidence);
    if (row.bad || row.rest.size)
        return false;
    *ret = evidence;
    return true;
}

static bool evidence_take(struct row *row, struct evidence *ret)
{
    struct evidence evidence = {0};
    if (row->key.size != EVIDENCE_KEY_SIZE) {
        row_damaged(row->txn, row->table, row->key);
        return false;
    }
    evidence.feed = get_be32(row->key.data);
    evidence.first = get_be64(row->key.data + 4);
    memcpy(evidence.header_hash.bytes, row->key.data + 12, HASH_SIZE);
    take_fields(row, &evidence);
    if (!row_end(row))
        return false;
    *ret = evidence;
    return true;
}

bool evidence_next(struct txn *txn, uint32_t feed, const struct evidence *after, struct evidence *ret)
{
    static const struct hash zero;
    uint8_t key[EVIDENCE_KEY_SIZE];
    struct row row;
    evidence_key(feed, after ? after->first : 0, after ? &after->header_hash : &zero, key);
    struct cursor *cursor = cursor_open(txn, TABLE_EVIDENCE);
    bool found = cursor && cursor_seek(cursor, bytes_of(key, sizeof key));
    if (found && after && bytes_equal(cursor_key(cursor), bytes_of(key, sizeof key)))
        found = cursor_next(cursor);
    found = found && cursor_key(cursor).size >= 4 && get_be32(cursor_key(cursor).data) == feed;
    found = found && row_at(txn, TABLE_EVIDENCE, cursor, &row) && evidence_take(&row, ret);
    cursor_close(cursor);
    return found;
}

// Up to EVIDENCE_MAX.
static uint32_t evidence_count(struct txn *txn, uint32_t feed)
{
    uint8_t key[4];
    uint32_t count = 0;
    put_be32(key, feed);
    struct cursor *cursor = cursor_open(txn, TABLE_EVIDENCE);
    bool more = cursor && cursor_seek(cursor, bytes_of(key, sizeof key));
    while (more && count < EVIDENCE_MAX && memcmp(cursor_key(cursor).data, key, sizeof key) == 0) {
        count++;
        more = cursor_next(cursor);
    }
    cursor_close(cursor);
    return count;
}

void evidence_add(struct txn *txn, uint32_t feed, uint64_t first, const struct hash *header_hash, struct bytes header,
                  struct bytes signature, struct bytes body)
{
    uint8_t key[EVIDENCE_KEY_SIZE];
    struct evidence held;
    struct row row;
    assert(header.size <= HEADER_MAX && signature.size <= UINT8_MAX && body.size <= BATCH_BODY_MAX);
    evidence_key(feed, first, header_hash, key);
    bool known = row_read(txn, TABLE_EVIDENCE, bytes_of(key, sizeof key), &row) && evidence_take(&row, &held);
    if (known ? held.body.size > 0 || body.size == 0 : evidence_count(txn, feed) >= EVIDENCE_MAX)
        return;
    struct buffer fields = {0};
    row_reserve(&fields, 16 + header.size + signature.size + body.size);
    row_u16(&fields, (uint16_t)header.size);
    row_u8(&fields, (uint8_t)signature.size);
    row_raw(&fields, header.data, header.size);
    row_raw(&fields, signature.data, signature.size);
    row_u32(&fields, (uint32_t)body.size);
    row_raw(&fields, body.data, body.size);
    row_write(txn, TABLE_EVIDENCE, bytes_of(key, sizeof key), &fields);
}

// ---- deferred: text, NUL, position. A NUL ends the text, so no text is the beginning of another.

enum { DEFERRED_KEY_MAX = REASON_MAX + 1 + 8 };

static size_t deferred_key(const char *waits_for, uint64_t position, uint8_t ret[DEFERRED_KEY_MAX])
{
    size_t size = strnlen(waits_for, REASON_MAX);
    memcpy(ret, waits_for, size);
    ret[size] = 0;
    put_be64(ret + size + 1, position);
    return size + 1 + 8;
}

void deferred_add(struct txn *txn, const char *waits_for, uint64_t position)
{
    uint8_t key[DEFERRED_KEY_MAX];
    struct buffer none = {0};
    assert(position > 0);
    size_t size = deferred_key(waits_for, position, key);
    row_write(txn, TABLE_DEFERRED, bytes_of(key, size), &none);
}

static bool take_deferred(struct bytes key, struct deferred *ret)
{
    struct deferred deferred = {0};
    if (key.size <= 8 || key.size > DEFERRED_KEY_MAX || key.data[key.size - 9] != 0)
        return false;
    memcpy(deferred.waits_for, key.data, key.size - 8);
    deferred.position = get_be64(key.data + key.size - 8);
    *ret = deferred;
    return true;
}

static bool whole_at(struct txn *txn, const struct cursor *cursor)
{
    struct row row;
    return row_at(txn, TABLE_DEFERRED, cursor, &row) && row_end(&row);
}

bool deferred_seek(struct txn *txn, const struct deferred *from, const char *last, struct deferred *ret)
{
    uint8_t key[DEFERRED_KEY_MAX];
    struct deferred found;
    size_t size = deferred_key(from->waits_for, from->position, key);
    struct cursor *cursor = cursor_open(txn, TABLE_DEFERRED);
    bool at = cursor && cursor_seek(cursor, bytes_of(key, size)) && take_deferred(cursor_key(cursor), &found) &&
              strcmp(found.waits_for, last) <= 0 && whole_at(txn, cursor);
    cursor_close(cursor);
    if (at)
        *ret = found;
    return at;
}

bool deferred_of(struct txn *txn, uint64_t position, const char *but, struct deferred *ret)
{
    struct deferred found;
    bool is = false;
    struct cursor *cursor = cursor_open(txn, TABLE_DEFERRED);
    for (bool at = cursor && cursor_seek(cursor, bytes_of("", 0)); at && !is; at = cursor_next(cursor))
        is = take_deferred(cursor_key(cursor), &found) && found.position == position && strcmp(found.waits_for, but) != 0 &&
             whole_at(txn, cursor);
    cursor_close(cursor);
    if (is)
        *ret = found;
    return is;
}

bool deferred_remove(struct txn *txn, const struct deferred *deferred)
{
    uint8_t key[DEFERRED_KEY_MAX];
    size_t size = deferred_key(deferred->waits_for, deferred->position, key);
    return txn_delete(txn, TABLE_DEFERRED, bytes_of(key, size));
}

uint64_t deferred_take(struct txn *txn, const char *waits_for)
{
    struct deferred from = {0}, found;
    snprintf(from.waits_for, sizeof from.waits_for, "%s", waits_for);
    if (!deferred_seek(txn, &from, from.waits_for, &found) || !deferred_remove(txn, &found))
        return 0;
    return found.position;
}
