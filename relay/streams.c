// Of journal.h: what this station owes, lane by lane.
#include <assert.h>

#include "relay/journal.h"
#include "relay/row.h"

enum {
    STREAM_SIZE = 1 + STATION_ID_SIZE + 1, // stream, peer, lane: begins every key
    ROW_KEY_SIZE = STREAM_SIZE + 8,
    CARRIED_KEY_SIZE = STREAM_SIZE + HASH_SIZE,
    STREAM_TO_ONE = 3, // STREAM_DOWN_ONE of schema/link.proto: the only one with a peer
    KIND_BATCH = 1,
    KIND_BODILESS = 2, // a batch whose body may not travel there
    KIND_OBJECT = 3,
};

static void stream_key(const struct stream *stream, uint8_t ret[STREAM_SIZE])
{
    static const struct station_id nobody;
    const struct station_id *peer = stream->stream == STREAM_TO_ONE ? &stream->peer : &nobody;
    ret[0] = stream->stream;
    memcpy(ret + 1, peer->bytes, STATION_ID_SIZE);
    ret[1 + STATION_ID_SIZE] = stream->lane;
}

static void row_key(const struct stream *stream, uint64_t position, uint8_t ret[ROW_KEY_SIZE])
{
    stream_key(stream, ret);
    put_be64(ret + STREAM_SIZE, position);
}

static bool in_stream(const struct cursor *cursor, const uint8_t key[ROW_KEY_SIZE])
{
    return cursor_key(cursor).size == ROW_KEY_SIZE && memcmp(cursor_key(cursor).data, key, STREAM_SIZE) == 0;
}

uint64_t stream_end(struct txn *txn, const struct stream *stream)
{
    uint8_t key[ROW_KEY_SIZE];
    uint64_t end = 0;
    row_key(stream, UINT64_MAX, key); // never used as a position
    struct cursor *cursor = cursor_open(txn, TABLE_STREAMS);
    if (cursor) {
        cursor_seek(cursor, bytes_of(key, sizeof key));
        if (cursor_prev(cursor) && in_stream(cursor, key))
            end = get_be64(cursor_key(cursor).data + STREAM_SIZE);
    }
    cursor_close(cursor);
    return end;
}

uint64_t stream_append(struct txn *txn, const struct stream *stream, const struct stream_row *row)
{
    uint8_t key[ROW_KEY_SIZE];
    struct buffer fields = {0};
    uint64_t position = stream_end(txn, stream) + 1;
    row_key(stream, position, key);
    row_u8(&fields, row->is_object ? KIND_OBJECT : row->bodiless ? KIND_BODILESS : KIND_BATCH);
    if (row->is_object)
        row_raw(&fields, row->object.bytes, HASH_SIZE);
    else
        row_u64(&fields, row->batch);
    row_write(txn, TABLE_STREAMS, bytes_of(key, sizeof key), &fields);
    return position;
}

static bool take(struct row *row, struct stream_row *ret)
{
    struct stream_row stream_row = {.position = get_be64(row->key.data + STREAM_SIZE)};
    uint8_t kind = row_take_u8(row);
    stream_row.is_object = kind == KIND_OBJECT;
    stream_row.bodiless = kind == KIND_BODILESS;
    if (stream_row.is_object)
        row_take_raw(row, stream_row.object.bytes, HASH_SIZE);
    else
        stream_row.batch = row_take_u64(row);
    row->bad |= kind < KIND_BATCH || kind > KIND_OBJECT;
    if (!row_end(row))
        return false;
    *ret = stream_row;
    return true;
}

uint32_t stream_read(struct txn *txn, const struct stream *stream, uint64_t after, struct stream_row *rows, uint32_t max)
{
    uint8_t key[ROW_KEY_SIZE];
    uint32_t count = 0;
    struct row row;
    if (after == UINT64_MAX)
        return 0;
    row_key(stream, after + 1, key);
    struct cursor *cursor = cursor_open(txn, TABLE_STREAMS);
    bool more = cursor && max > 0 && cursor_seek(cursor, bytes_of(key, sizeof key));
    while (more && in_stream(cursor, key) && row_at(txn, TABLE_STREAMS, cursor, &row) && take(&row, &rows[count]))
        more = ++count < max && cursor_next(cursor);
    cursor_close(cursor);
    return txn_error(txn) ? 0 : count;
}

static void carried_key(const struct stream *stream, const struct hash *object, uint8_t ret[CARRIED_KEY_SIZE])
{
    stream_key(stream, ret);
    memcpy(ret + STREAM_SIZE, object->bytes, HASH_SIZE);
}

bool stream_carries(struct txn *txn, const struct stream *stream, const struct hash *object)
{
    uint8_t key[CARRIED_KEY_SIZE];
    struct bytes there;
    carried_key(stream, object, key);
    return txn_get(txn, TABLE_CARRIED, bytes_of(key, sizeof key), &there);
}

bool stream_carry(struct txn *txn, const struct stream *stream, const struct hash *object)
{
    uint8_t key[CARRIED_KEY_SIZE];
    struct bytes there;
    struct buffer none = {0};
    struct stream_row row = {.is_object = true, .object = *object};
    carried_key(stream, object, key);
    if (txn_error(txn) || txn_get(txn, TABLE_CARRIED, bytes_of(key, sizeof key), &there))
        return false;
    row_write(txn, TABLE_CARRIED, bytes_of(key, sizeof key), &none);
    stream_append(txn, stream, &row);
    return txn_error(txn) == OK;
}
