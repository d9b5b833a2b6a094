#include "node/ledger_rows.h"

#include <assert.h>

// ---- keys

void put_group_key(const struct group_key *group, uint8_t ret[GROUP_KEY_SIZE])
{
    memcpy(ret, group->definition.bytes, 16);
    put_be32(ret + 16, group->unit_id);
    ret[20] = (uint8_t)group->period.type;
    put_be32_signed(ret + 21, group->period.number);
}

void put_chunk_key(const struct group_key *group, uint32_t chunk, uint8_t ret[CHUNK_KEY_SIZE])
{
    put_group_key(group, ret);
    put_be16(ret + GROUP_KEY_SIZE, (uint16_t)chunk);
}

void put_complete_key(uint32_t unit_id, uint32_t period_type, uint8_t ret[COMPLETE_KEY_SIZE])
{
    put_be32(ret, unit_id);
    ret[4] = (uint8_t)period_type;
}

// ---- checksum: eight bytes at a time, multiplied and folded. It finds damage, not intent: who can write the store can write this too.

static uint64_t mix(uint64_t sum, uint64_t word)
{
    __extension__ unsigned __int128 product = (unsigned __int128)(sum ^ word) * 0x9E3779B97F4A7C15u;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t mix_bytes(uint64_t sum, struct bytes data)
{
    size_t at = 0;
    for (; at + 8 <= data.size; at += 8)
        sum = mix(sum, get_be64(data.data + at)) + 0x2545F4914F6CDD1Du;
    uint64_t tail = data.size;
    for (; at < data.size; at++)
        tail = tail << 8 | data.data[at];
    return mix(sum, tail) + 0x2545F4914F6CDD1Du;
}

static uint32_t row_sum(struct bytes key, const uint8_t *row, size_t size)
{
    uint64_t sum = mix_bytes(mix_bytes(1, key), bytes_of(row + ROW_SUM_SIZE, size - ROW_SUM_SIZE));
    return (uint32_t)(sum ^ sum >> 32);
}

static void row_seal(struct bytes key, uint8_t *row, size_t size) { put_be32(row, row_sum(key, row, size)); }

static bool row_whole(struct bytes key, struct bytes row, size_t size)
{
    return row.size == size && get_be32(row.data) == row_sum(key, row.data, row.size);
}

// ---- fixed rows

static uint8_t *put_u64(uint8_t *p, uint64_t v)
{
    put_be64(p, v);
    return p + 8;
}

static uint8_t *put_u32(uint8_t *p, uint32_t v)
{
    put_be32(p, v);
    return p + 4;
}

static uint8_t *put_station(uint8_t *p, const struct station_id *station)
{
    memcpy(p, station->bytes, STATION_ID_SIZE);
    return p + STATION_ID_SIZE;
}

static uint64_t take_u64(const uint8_t **p)
{
    *p += 8;
    return get_be64(*p - 8);
}

static uint32_t take_u32(const uint8_t **p)
{
    *p += 4;
    return get_be32(*p - 4);
}

static struct station_id take_station(const uint8_t **p)
{
    struct station_id station;
    memcpy(station.bytes, *p, STATION_ID_SIZE);
    *p += STATION_ID_SIZE;
    return station;
}

void group_row_encode(struct bytes key, const struct group_state *state, uint8_t ret[GROUP_ROW_SIZE])
{
    uint8_t *p = put_u64(ret + ROW_SUM_SIZE, state->term);
    p = put_u32(p, state->ordinal);
    p = put_u64(p, state->nonce);
    p = put_u64(p, state->sequence);
    p = put_station(p, &state->station);
    *p++ = state->scope;
    *p++ = state->basis;
    p = put_u64(p, state->time_ms);
    p = put_u64(p, state->full);
    assert(p == ret + GROUP_ROW_SIZE);
    row_seal(key, ret, GROUP_ROW_SIZE);
}

bool group_row_decode(struct bytes key, struct bytes row, struct group_state *ret)
{
    if (!row_whole(key, row, GROUP_ROW_SIZE))
        return false;
    const uint8_t *p = row.data + ROW_SUM_SIZE;
    ret->term = take_u64(&p);
    ret->ordinal = take_u32(&p);
    ret->nonce = take_u64(&p);
    ret->sequence = take_u64(&p);
    ret->station = take_station(&p);
    ret->scope = *p++;
    ret->basis = *p++;
    ret->time_ms = take_u64(&p);
    ret->full = take_u64(&p);
    return true;
}

void heard_row_encode(struct bytes key, const struct heard_row *heard, uint8_t ret[HEARD_ROW_SIZE])
{
    put_u64(put_u64(ret + ROW_SUM_SIZE, heard->time_ms), heard->received_ms);
    row_seal(key, ret, HEARD_ROW_SIZE);
}

bool heard_row_decode(struct bytes key, struct bytes row, struct heard_row *ret)
{
    if (!row_whole(key, row, HEARD_ROW_SIZE))
        return false;
    const uint8_t *p = row.data + ROW_SUM_SIZE;
    ret->time_ms = take_u64(&p);
    ret->received_ms = take_u64(&p);
    return true;
}

void complete_row_encode(struct bytes key, const struct complete_row *complete, uint8_t ret[COMPLETE_ROW_SIZE])
{
    uint8_t *p = put_u32(ret + ROW_SUM_SIZE, (uint32_t)complete->through);
    p = put_u64(p, complete->head);
    p = put_u64(p, complete->term);
    p = put_u32(p, complete->ordinal);
    p = put_u64(p, complete->nonce);
    p = put_station(p, &complete->station);
    p = put_u64(p, complete->sequence);
    p = put_u64(p, complete->time_ms);
    p = put_u64(p, complete->touched);
    assert(p == ret + COMPLETE_ROW_SIZE);
    row_seal(key, ret, COMPLETE_ROW_SIZE);
}

bool complete_row_decode(struct bytes key, struct bytes row, struct complete_row *ret)
{
    if (!row_whole(key, row, COMPLETE_ROW_SIZE))
        return false;
    const uint8_t *p = row.data + ROW_SUM_SIZE;
    ret->through = (int32_t)take_u32(&p);
    ret->head = take_u64(&p);
    ret->term = take_u64(&p);
    ret->ordinal = take_u32(&p);
    ret->nonce = take_u64(&p);
    ret->station = take_station(&p);
    ret->sequence = take_u64(&p);
    ret->time_ms = take_u64(&p);
    ret->touched = take_u64(&p);
    return true;
}

// ---- cells: ascending (cell u8, value as a zigzag varint, shortest form)

static uint8_t *put_value(uint8_t *p, int64_t value)
{
    uint64_t zigzag = (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
    for (; zigzag >= 0x80; zigzag >>= 7)
        *p++ = (uint8_t)(zigzag | 0x80);
    *p++ = (uint8_t)zigzag;
    return p;
}

const uint8_t *cells_take_value(const uint8_t *p, const uint8_t *end, int64_t *ret)
{
    uint64_t zigzag = 0;
    for (unsigned shift = 0; shift < 70 && p < end; shift += 7) {
        uint8_t byte = *p++;
        zigzag |= (uint64_t)(byte & 0x7F) << shift;
        if (!(byte & 0x80)) {
            *ret = (int64_t)(zigzag >> 1 ^ -(zigzag & 1));
            return p;
        }
    }
    return NULL;
}

size_t cells_encode(struct bytes key, const struct cells *cells, uint8_t ret[CHUNK_ROW_MAX])
{
    uint8_t *p = ret + ROW_SUM_SIZE;
    for (uint64_t set = cells->set; set; set &= set - 1) {
        unsigned cell = (unsigned)__builtin_ctzll(set);
        *p++ = (uint8_t)cell;
        p = put_value(p, cells->values[cell]);
    }
    size_t size = (size_t)(p - ret);
    assert(size <= CHUNK_ROW_MAX);
    row_seal(key, ret, size);
    return size;
}

bool cells_open(struct bytes key, struct bytes row, struct cells_reader *ret)
{
    if (row.size < ROW_SUM_SIZE + 2 || !row_whole(key, row, row.size))
        return false;
    *ret = (struct cells_reader){.at = row.data + ROW_SUM_SIZE, .end = row.data + row.size, .last = -1};
    return true;
}

bool cells_decode(struct bytes key, struct bytes row, struct cells *ret)
{
    struct cells_reader reader;
    unsigned cell;
    int64_t value;
    if (!cells_open(key, row, &reader))
        return false;
    ret->set = 0;
    while (cells_next(&reader, &cell, &value)) {
        ret->values[cell] = value;
        ret->set |= UINT64_C(1) << cell;
    }
    return !reader.damaged;
}

// ---- reading

static bool damaged(struct txn *txn, const char *what)
{
    txn_fail(txn, ERR_CORRUPT, what);
    return false;
}

bool group_row_read(struct txn *txn, const struct group_key *group, struct group_state *ret)
{
    uint8_t key[GROUP_KEY_SIZE];
    put_group_key(group, key);
    struct bytes row;
    if (!txn_get(txn, TABLE_GROUPS, bytes_of(key, sizeof key), &row))
        return false;
    return group_row_decode(bytes_of(key, sizeof key), row, ret) || damaged(txn, "groups");
}

bool cells_read(struct txn *txn, enum table table, const struct group_key *group, uint32_t chunk, struct cells *ret)
{
    uint8_t key[CHUNK_KEY_SIZE];
    put_chunk_key(group, chunk, key);
    struct bytes row;
    ret->set = 0;
    if (!txn_get(txn, table, bytes_of(key, sizeof key), &row))
        return false;
    if (cells_decode(bytes_of(key, sizeof key), row, ret))
        return true;
    ret->set = 0;
    return damaged(txn, table == TABLE_CELLS ? "cells" : "below");
}

bool heard_row_read(struct txn *txn, uint32_t unit_id, struct heard_row *ret)
{
    uint8_t key[HEARD_KEY_SIZE];
    put_be32(key, unit_id);
    struct bytes row;
    if (!txn_get(txn, TABLE_HEARD, bytes_of(key, sizeof key), &row))
        return false;
    return heard_row_decode(bytes_of(key, sizeof key), row, ret) || damaged(txn, "heard");
}

bool complete_row_read(struct txn *txn, uint32_t unit_id, uint32_t period_type, struct complete_row *ret)
{
    uint8_t key[COMPLETE_KEY_SIZE];
    put_complete_key(unit_id, period_type, key);
    struct bytes row;
    if (!txn_get(txn, TABLE_COMPLETE, bytes_of(key, sizeof key), &row))
        return false;
    return complete_row_decode(bytes_of(key, sizeof key), row, ret) || damaged(txn, "complete");
}

// ---- order of speakers

bool rank_same_speaker(const struct rank *a, const struct rank *b)
{
    return a->term == b->term && a->ordinal == b->ordinal && a->nonce == b->nonce && station_equal(&a->station, &b->station);
}

int rank_compare(const struct rank *a, const struct rank *b)
{
    if (a->term != b->term)
        return a->term < b->term ? -1 : 1;
    if (a->ordinal != b->ordinal)
        return a->ordinal < b->ordinal ? -1 : 1;
    int stations = memcmp(a->station.bytes, b->station.bytes, STATION_ID_SIZE);
    if (stations)
        return stations;
    if (a->nonce != b->nonce)
        return a->nonce < b->nonce ? -1 : 1;
    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}
