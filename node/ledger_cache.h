// What one write transaction has touched of GROUPS, CELLS and BELOW, decoded and in memory: read once, changed any number of times,
// written once. Private to node/ledger*.c; owned by the writer thread.
#pragma once
#include "node/ledger_rows.h"

// 36 MB of chunks, and as much again at the very worst for one statement of 4,096 cells under 16 tiers: then write early.
enum { CACHE_CHUNKS_MAX = 64 * 1024, CACHE_GROUPS_MAX = 256 * 1024 };

struct cached_chunk {
    struct group_key group;
    uint16_t number;
    uint8_t below; // 0: of CELLS, 1: of BELOW
    bool stored, dirty;
    struct cells cells;
    uint64_t mark;             // scratch of whoever goes through a group's chunks; 0 between uses
    struct cached_chunk *next; // of CELLS: another chunk of the same group
};

struct cached_group {
    struct group_key key;
    struct group_state state;
    bool known; // somebody has spoken
    bool dirty;
    bool whole;                  // every chunk of CELLS that the store has is in `chunks`
    struct cached_chunk *chunks; // of CELLS, those loaded
};

struct cache_map {
    void **blocks; // of items, so that they never move
    uint32_t block_count, count;
    uint32_t *slots; // open addressing: item + 1, 0: free
    uint32_t mask;
    size_t item_size;
    uint64_t seed; // of the hashes
};

struct ledger_cache {
    struct cache_map groups, chunks;
};

enum error_code cache_init(struct ledger_cache *cache, struct error *error);
void cache_finish(struct ledger_cache *cache); // also after a failed cache_init()

// The group, the chunk: from memory, or read from the store. NULL: the transaction has failed (damage, ERR_MEMORY). They stay where they
// are until cache_clear().
struct cached_group *cache_group(struct ledger_cache *cache, struct txn *txn, const struct group_key *key);
struct cached_chunk *cache_own_chunk(struct ledger_cache *cache, struct txn *txn, struct cached_group *group, uint32_t number);
struct cached_chunk *cache_below_chunk(struct ledger_cache *cache, struct txn *txn, const struct group_key *key, uint32_t number);
// Loads every chunk of the group's CELLS into group->chunks. False: the transaction has failed.
bool cache_whole_group(struct ledger_cache *cache, struct txn *txn, struct cached_group *group);

// Adds in the ring of 64-bit numbers: whatever a station claims, taking it back restores the sum exactly.
void chunk_add(struct cached_chunk *chunk, unsigned cell, int64_t difference);
static inline int64_t chunk_value(const struct cached_chunk *chunk, unsigned cell)
{
    return chunk->cells.set >> cell & 1 ? chunk->cells.values[cell] : 0;
}

bool cache_full(const struct ledger_cache *cache);
// Writes what is dirty, in the order of the keys, and forgets everything.
void cache_flush(struct ledger_cache *cache, struct txn *txn);
void cache_clear(struct ledger_cache *cache); // forgets, and gives back what a large transaction took
