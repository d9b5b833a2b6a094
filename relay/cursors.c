// Of journal.h: the state of links: marks, bodies received in part, enrolled children.
#include <assert.h>

#include "relay/journal.h"
#include "relay/row.h"

enum {
    MARK_KEY_SIZE = STATION_ID_SIZE + 3,
    STAGED_KEY_SIZE = STATION_ID_SIZE + 2,
};

// ---- marks

static void mark_key(const struct station_id *peer, bool ours, unsigned stream, unsigned lane, uint8_t ret[MARK_KEY_SIZE])
{
    memcpy(ret, peer->bytes, STATION_ID_SIZE);
    ret[STATION_ID_SIZE] = ours;
    ret[STATION_ID_SIZE + 1] = (uint8_t)stream;
    ret[STATION_ID_SIZE + 2] = (uint8_t)lane;
}

bool mark_read(struct txn *txn, const struct station_id *peer, bool ours, unsigned stream, unsigned lane, struct mark *ret)
{
    uint8_t key[MARK_KEY_SIZE];
    struct mark mark;
    struct row row;
    mark_key(peer, ours, stream, lane, key);
    if (!row_read(txn, TABLE_CURSORS, bytes_of(key, sizeof key), &row))
        return false;
    mark.generation = row_take_u64(&row);
    mark.headers = row_take_u64(&row);
    mark.bodies = row_take_u64(&row);
    mark.time_ms = row_take_u64(&row);
    if (!row_end(&row))
        return false;
    *ret = mark;
    return true;
}

void mark_write(struct txn *txn, const struct station_id *peer, bool ours, unsigned stream, unsigned lane, const struct mark *mark)
{
    uint8_t key[MARK_KEY_SIZE];
    struct buffer fields = {0};
    mark_key(peer, ours, stream, lane, key);
    row_u64(&fields, mark->generation);
    row_u64(&fields, mark->headers);
    row_u64(&fields, mark->bodies);
    row_u64(&fields, mark->time_ms);
    row_write(txn, TABLE_CURSORS, bytes_of(key, sizeof key), &fields);
}

// ---- a body received in part

static void staged_key(const struct station_id *peer, unsigned stream, unsigned lane, uint8_t ret[STAGED_KEY_SIZE])
{
    memcpy(ret, peer->bytes, STATION_ID_SIZE);
    ret[STATION_ID_SIZE] = (uint8_t)stream;
    ret[STATION_ID_SIZE + 1] = (uint8_t)lane;
}

bool staged_read(struct txn *txn, const struct station_id *peer, unsigned stream, unsigned lane, struct staged *ret)
{
    uint8_t key[STAGED_KEY_SIZE];
    struct staged staged;
    struct row row;
    staged_key(peer, stream, lane, key);
    if (!row_read(txn, TABLE_STAGING, bytes_of(key, sizeof key), &row))
        return false;
    staged.position = row_take_u64(&row);
    row_take_raw(&row, staged.header.bytes, HASH_SIZE);
    staged.size = row_take_u32(&row);
    size_t head_size = row_take_u16(&row), signature_size = row_take_u8(&row);
    staged.head = row_take_span(&row, head_size);
    staged.signature = row_take_span(&row, signature_size);
    staged.part = row_take_span(&row, row_take_u32(&row));
    if (!row_end(&row))
        return false;
    *ret = staged;
    return true;
}

void staged_write(struct txn *txn, const struct station_id *peer, unsigned stream, unsigned lane, const struct staged *staged)
{
    uint8_t key[STAGED_KEY_SIZE];
    struct buffer fields = {0};
    assert(staged->head.size <= HEADER_MAX && staged->signature.size <= UINT8_MAX && staged->part.size <= DOCUMENT_MAX);
    staged_key(peer, stream, lane, key);
    row_reserve(&fields, 64 + staged->head.size + staged->signature.size + staged->part.size);
    row_u64(&fields, staged->position);
    row_raw(&fields, staged->header.bytes, HASH_SIZE);
    row_u32(&fields, staged->size);
    row_u16(&fields, (uint16_t)staged->head.size);
    row_u8(&fields, (uint8_t)staged->signature.size);
    row_raw(&fields, staged->head.data, staged->head.size);
    row_raw(&fields, staged->signature.data, staged->signature.size);
    row_u32(&fields, (uint32_t)staged->part.size);
    row_raw(&fields, staged->part.data, staged->part.size);
    row_write(txn, TABLE_STAGING, bytes_of(key, sizeof key), &fields);
}

void staged_drop(struct txn *txn, const struct station_id *peer, unsigned stream, unsigned lane)
{
    uint8_t key[STAGED_KEY_SIZE];
    staged_key(peer, stream, lane, key);
    txn_delete(txn, TABLE_STAGING, bytes_of(key, sizeof key));
}

// ---- enrolled children

static bool peer_take(struct row *row, struct peer *ret)
{
    struct peer peer = {0};
    if (row->key.size != STATION_ID_SIZE) {
        row_damaged(row->txn, row->table, row->key);
        return false;
    }
    memcpy(peer.station.bytes, row->key.data, STATION_ID_SIZE);
    peer.guest = row->table == TABLE_GUESTS;
    row_take_raw(row, peer.transport_key.bytes, PUBLIC_KEY_SIZE);
    row_take_raw(row, peer.certificate.bytes, HASH_SIZE);
    peer.enrolled_ms = row_take_u64(row);
    peer.barred = row_take_u8(row);
    row_take_text(row, peer.unit, sizeof peer.unit);
    row_take_text(row, peer.listen, sizeof peer.listen);
    if (!row_end(row))
        return false;
    *ret = peer;
    return true;
}

static bool read_peer(struct txn *txn, enum table table, const struct station_id *station, struct peer *ret)
{
    struct row row;
    return row_read(txn, table, bytes_of(station->bytes, STATION_ID_SIZE), &row) && peer_take(&row, ret);
}

static void write_peer(struct txn *txn, enum table table, const struct peer *peer)
{
    struct buffer fields = {0};
    row_raw(&fields, peer->transport_key.bytes, PUBLIC_KEY_SIZE);
    row_raw(&fields, peer->certificate.bytes, HASH_SIZE);
    row_u64(&fields, peer->enrolled_ms);
    row_u8(&fields, peer->barred);
    row_text(&fields, peer->unit);
    row_text(&fields, peer->listen);
    row_write(txn, table, bytes_of(peer->station.bytes, STATION_ID_SIZE), &fields);
}

static bool next_peer(struct txn *txn, enum table table, const struct station_id *after, struct peer *ret)
{
    struct bytes key = bytes_of(after->bytes, STATION_ID_SIZE);
    struct row row;
    struct cursor *cursor = cursor_open(txn, table);
    bool found = cursor && cursor_seek(cursor, key);
    if (found && bytes_equal(cursor_key(cursor), key))
        found = cursor_next(cursor);
    found = found && row_at(txn, table, cursor, &row) && peer_take(&row, ret);
    cursor_close(cursor);
    return found;
}

bool peer_read(struct txn *txn, const struct station_id *station, struct peer *ret) { return read_peer(txn, TABLE_PEERS, station, ret); }
void peer_write(struct txn *txn, const struct peer *peer) { write_peer(txn, TABLE_PEERS, peer); }
bool peer_next(struct txn *txn, const struct station_id *after, struct peer *ret) { return next_peer(txn, TABLE_PEERS, after, ret); }

// ---- stations that call past our children

bool guest_read(struct txn *txn, const struct station_id *station, struct peer *ret) { return read_peer(txn, TABLE_GUESTS, station, ret); }
void guest_write(struct txn *txn, const struct peer *peer) { write_peer(txn, TABLE_GUESTS, peer); }
bool guest_next(struct txn *txn, const struct station_id *after, struct peer *ret) { return next_peer(txn, TABLE_GUESTS, after, ret); }
