// Rows of the tables GROUPS, CELLS, BELOW, HEARD and COMPLETE: keys, values, and the checksum that each value begins with, because the
// store itself does not notice a flipped bit. Layouts: schema/store.md. Pure; any thread.
#pragma once
#include "node/ledger.h"

enum {
    GROUP_KEY_SIZE = 16 + 4 + 1 + 4,     // definition's first 16 bytes, unit id, period type, period: see put_group_key()
    CHUNK_KEY_SIZE = GROUP_KEY_SIZE + 2, // and the chunk
    HEARD_KEY_SIZE = 4,                  // unit id
    COMPLETE_KEY_SIZE = 4 + 1,           // unit id, period type
    ROW_SUM_SIZE = 4,
    GROUP_ROW_SIZE = ROW_SUM_SIZE + 8 + 4 + 8 + 8 + STATION_ID_SIZE + 1 + 1 + 8 + 8,
    HEARD_ROW_SIZE = ROW_SUM_SIZE + 8 + 8,
    COMPLETE_ROW_SIZE = ROW_SUM_SIZE + 4 + 8 + 8 + 4 + 8 + STATION_ID_SIZE + 8 + 8 + 8,
    CHUNK_ROW_MAX = ROW_SUM_SIZE + CHUNK_CELLS * 11,
    // Of BELOW only: its cell 0 says how many units below have stated this group at all, so that "zero" and "nobody said" differ.
    CHUNK_STATED = 0xFFFF,
};

// 64 cells; only those of `set` have a value, and it is not zero.
struct cells {
    uint64_t set;
    int64_t values[CHUNK_CELLS];
};

struct heard_row {
    uint64_t time_ms;     // latest claim of any speaker's clock
    uint64_t received_ms; // this station's
};

struct complete_row {
    int32_t through;
    uint64_t head, term;
    uint32_t ordinal;
    uint64_t nonce;
    struct station_id station;
    uint64_t sequence; // of the Complete itself
    uint64_t time_ms;
    // Last statement of the same speaker, after the Complete, for a period that it covers; 0: none. TOUCHED_UNKNOWN of one that came before
    // its month had come: what followed may have been counted before it was, so that only the groups tell.
    uint64_t touched;
};
#define TOUCHED_UNKNOWN UINT64_MAX

void put_group_key(const struct group_key *group, uint8_t ret[GROUP_KEY_SIZE]);
void put_chunk_key(const struct group_key *group, uint32_t chunk, uint8_t ret[CHUNK_KEY_SIZE]);
void put_complete_key(uint32_t unit_id, uint32_t period_type, uint8_t ret[COMPLETE_KEY_SIZE]);

// Encoders write exactly *_ROW_SIZE bytes (cells: at most CHUNK_ROW_MAX, and return the size). Decoders answer false on damage: wrong
// size, checksum, order, or zero cells.
void group_row_encode(struct bytes key, const struct group_state *state, uint8_t ret[GROUP_ROW_SIZE]);
bool group_row_decode(struct bytes key, struct bytes row, struct group_state *ret);
size_t cells_encode(struct bytes key, const struct cells *cells, uint8_t ret[CHUNK_ROW_MAX]);
bool cells_decode(struct bytes key, struct bytes row, struct cells *ret);
// The same, cell by cell, for who adds them up: cells_next() gives them ascending, and false at the end; `damaged` says whether it is one.
struct cells_reader {
    const uint8_t *at, *end;
    int last;
    bool damaged;
};
bool cells_open(struct bytes key, struct bytes row, struct cells_reader *ret); // false: damaged
const uint8_t *cells_take_value(const uint8_t *at, const uint8_t *end, int64_t *ret);
static inline bool cells_next(struct cells_reader *reader, unsigned *ret_cell, int64_t *ret_value)
{
    if (reader->at == reader->end)
        return false;
    unsigned cell = *reader->at++;
    if (reader->at < reader->end && *reader->at < 0x80) { // one byte: most of what villages count
        *ret_value = *reader->at >> 1 ^ -(*reader->at & 1);
        reader->at++;
    } else {
        reader->at = cells_take_value(reader->at, reader->end, ret_value);
    }
    if (!reader->at || cell >= CHUNK_CELLS || (int)cell <= reader->last || *ret_value == 0) {
        reader->damaged = true;
        return false;
    }
    reader->last = (int)cell;
    *ret_cell = cell;
    return true;
}
void heard_row_encode(struct bytes key, const struct heard_row *heard, uint8_t ret[HEARD_ROW_SIZE]);
bool heard_row_decode(struct bytes key, struct bytes row, struct heard_row *ret);
void complete_row_encode(struct bytes key, const struct complete_row *complete, uint8_t ret[COMPLETE_ROW_SIZE]);
bool complete_row_decode(struct bytes key, struct bytes row, struct complete_row *ret);

// Reading one row in a transaction; damage fails the transaction with ERR_CORRUPT, and answers false.
bool group_row_read(struct txn *txn, const struct group_key *group, struct group_state *ret);
bool cells_read(struct txn *txn, enum table table, const struct group_key *group, uint32_t chunk, struct cells *ret); // false: all zero
bool heard_row_read(struct txn *txn, uint32_t unit_id, struct heard_row *ret);
bool complete_row_read(struct txn *txn, uint32_t unit_id, uint32_t period_type, struct complete_row *ret);

// Order of speakers: (term, ordinal, station, nonce, sequence). The station decides only between two that were given the same term and
// ordinal, the nonce between two incarnations of one station that were given the same ordinal (by a parent that was restored as well), so
// that no order of arrival can.
struct rank {
    uint64_t term;
    uint32_t ordinal;
    uint64_t nonce;
    struct station_id station;
    uint64_t sequence;
};
int rank_compare(const struct rank *a, const struct rank *b);
bool rank_same_speaker(const struct rank *a, const struct rank *b);
// This station's own, with sequence 0.
struct rank ledger_self(const struct desk *desk);
static inline struct rank rank_of_group(const struct group_state *state)
{
    return (struct rank){state->term, state->ordinal, state->nonce, state->station, state->sequence};
}
static inline struct rank rank_of_complete(const struct complete_row *row)
{
    return (struct rank){row->term, row->ordinal, row->nonce, row->station, row->sequence};
}
