#include "node/ledger_cache.h"

#include <assert.h>
#include <stdlib.h>

#include "relay/crypto.h"

enum {
    BLOCK_ITEMS = 256,
    BLOCKS_KEPT = 16, // over a clear: 4,096 items are a busy second's work
    SLOTS_MIN = 1024,
};

// ---- a map of items that never move

static bool map_init(struct cache_map *map, size_t item_size)
{
    *map = (struct cache_map){.item_size = item_size, .mask = SLOTS_MIN - 1, .seed = crypto_random_u64()};
    map->slots = calloc(SLOTS_MIN, sizeof *map->slots);
    return map->slots != NULL;
}

static void map_finish(struct cache_map *map)
{
    for (uint32_t i = 0; i < map->block_count; i++)
        free(map->blocks[i]);
    free(map->blocks);
    free(map->slots);
    *map = (struct cache_map){0};
}

static void *map_item(const struct cache_map *map, uint32_t index)
{
    return (uint8_t *)map->blocks[index / BLOCK_ITEMS] + (index % BLOCK_ITEMS) * map->item_size;
}

static void map_clear(struct cache_map *map)
{
    while (map->block_count > BLOCKS_KEPT)
        free(map->blocks[--map->block_count]);
    if (map->mask + 1 > BLOCKS_KEPT * BLOCK_ITEMS * 2) {
        uint32_t *slots = calloc(SLOTS_MIN, sizeof *slots);
        if (slots) {
            free(map->slots);
            map->slots = slots;
            map->mask = SLOTS_MIN - 1;
            map->count = 0;
            return;
        }
    }
    memset(map->slots, 0, (map->mask + (size_t)1) * sizeof *map->slots);
    map->count = 0;
}

static uint64_t hash_step(uint64_t sum, uint64_t word)
{
    __extension__ unsigned __int128 product = (unsigned __int128)(sum ^ word) * 0x9E3779B97F4A7C15u;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Definitions come from other stations: the seed keeps them from choosing who meets whom.
static uint32_t hash_key(const struct cache_map *map, const struct group_key *key, uint32_t chunk)
{
    uint64_t where = (uint64_t)key->unit_id << 32 | (uint32_t)key->period.number;
    uint64_t sum = hash_step(map->seed ^ get_be64(key->definition.bytes), get_be64(key->definition.bytes + 8) + key->period.type);
    sum = hash_step(sum + map->seed, where);
    return (uint32_t)hash_step(sum, chunk);
}

static bool key_equal(const struct group_key *a, const struct group_key *b)
{
    return a->unit_id == b->unit_id && a->period.number == b->period.number && a->period.type == b->period.type &&
           memcmp(a->definition.bytes, b->definition.bytes, 16) == 0;
}

// Every item begins with its group key; a chunk's hash also has its number and table.
static uint32_t item_hash(const struct cache_map *map, const void *item)
{
    if (map->item_size == sizeof(struct cached_group))
        return hash_key(map, &((const struct cached_group *)item)->key, 0);
    const struct cached_chunk *chunk = item;
    return hash_key(map, &chunk->group, (uint32_t)chunk->number << 1 | chunk->below);
}

static bool map_widen(struct cache_map *map)
{
    uint32_t mask = map->mask * 2 + 1;
    uint32_t *slots = calloc((size_t)mask + 1, sizeof *slots);
    if (!slots)
        return false;
    for (uint32_t i = 0; i < map->count; i++) {
        uint32_t at = item_hash(map, map_item(map, i)) & mask;
        while (slots[at])
            at = (at + 1) & mask;
        slots[at] = i + 1;
    }
    free(map->slots);
    map->slots = slots;
    map->mask = mask;
    return true;
}

// Room for one more item; NULL without memory. It is in the map once its slot is filled (map_enter()).
static void *map_room(struct cache_map *map)
{
    if (map->count >= (map->mask + 1) / 2 && !map_widen(map))
        return NULL;
    if (map->count / BLOCK_ITEMS == map->block_count) {
        void **blocks = realloc(map->blocks, (map->block_count + (size_t)1) * sizeof *blocks);
        if (!blocks)
            return NULL;
        map->blocks = blocks;
        blocks[map->block_count] = malloc(BLOCK_ITEMS * map->item_size);
        if (!blocks[map->block_count])
            return NULL;
        map->block_count++;
    }
    return map_item(map, map->count);
}

static void map_enter(struct cache_map *map, uint32_t hash)
{
    uint32_t at = hash & map->mask;
    while (map->slots[at])
        at = (at + 1) & map->mask;
    map->slots[at] = ++map->count;
}

// ---- groups and chunks

enum error_code cache_init(struct ledger_cache *cache, struct error *error)
{
    *cache = (struct ledger_cache){0};
    if (map_init(&cache->groups, sizeof(struct cached_group)) && map_init(&cache->chunks, sizeof(struct cached_chunk)))
        return OK;
    cache_finish(cache);
    return error_set(error, ERR_MEMORY, "ledger");
}

void cache_finish(struct ledger_cache *cache)
{
    map_finish(&cache->groups);
    map_finish(&cache->chunks);
}

static void *no_memory(struct txn *txn)
{
    txn_fail(txn, ERR_MEMORY, "ledger");
    return NULL;
}

struct cached_group *cache_group(struct ledger_cache *cache, struct txn *txn, const struct group_key *key)
{
    struct cache_map *map = &cache->groups;
    uint32_t hash = hash_key(map, key, 0);
    for (uint32_t at = hash & map->mask; map->slots[at]; at = (at + 1) & map->mask) {
        struct cached_group *group = map_item(map, map->slots[at] - 1);
        if (key_equal(&group->key, key))
            return group;
    }
    struct cached_group *group = map_room(map);
    if (!group)
        return no_memory(txn);
    *group = (struct cached_group){.key = *key};
    group->known = group_row_read(txn, key, &group->state);
    if (txn_error(txn))
        return NULL;
    group->whole = !group->known;
    map_enter(map, hash);
    return group;
}

static struct cached_chunk *cache_chunk(struct ledger_cache *cache, struct txn *txn, const struct group_key *key, uint32_t number,
                                        bool below, bool *ret_new)
{
    struct cache_map *map = &cache->chunks;
    uint32_t hash = hash_key(map, key, number << 1 | below);
    for (uint32_t at = hash & map->mask; map->slots[at]; at = (at + 1) & map->mask) {
        struct cached_chunk *chunk = map_item(map, map->slots[at] - 1);
        if (chunk->number == number && chunk->below == below && key_equal(&chunk->group, key))
            return chunk;
    }
    struct cached_chunk *chunk = map_room(map);
    if (!chunk)
        return no_memory(txn);
    chunk->group = *key;
    chunk->number = (uint16_t)number;
    chunk->below = below;
    chunk->dirty = false;
    chunk->mark = 0;
    chunk->next = NULL;
    chunk->stored = cells_read(txn, below ? TABLE_BELOW : TABLE_CELLS, key, number, &chunk->cells);
    if (txn_error(txn))
        return NULL;
    map_enter(map, hash);
    *ret_new = true;
    return chunk;
}

struct cached_chunk *cache_own_chunk(struct ledger_cache *cache, struct txn *txn, struct cached_group *group, uint32_t number)
{
    bool is_new = false;
    struct cached_chunk *chunk = cache_chunk(cache, txn, &group->key, number, false, &is_new);
    if (is_new) {
        chunk->next = group->chunks;
        group->chunks = chunk;
    }
    return chunk;
}

struct cached_chunk *cache_below_chunk(struct ledger_cache *cache, struct txn *txn, const struct group_key *key, uint32_t number)
{
    bool is_new = false;
    return cache_chunk(cache, txn, key, number, true, &is_new);
}

bool cache_whole_group(struct ledger_cache *cache, struct txn *txn, struct cached_group *group)
{
    if (group->whole)
        return true;
    uint8_t first[CHUNK_KEY_SIZE];
    put_chunk_key(&group->key, 0, first);
    struct cursor *cursor = cursor_open(txn, TABLE_CELLS);
    if (!cursor)
        return false;
    bool on = cursor_seek(cursor, bytes_of(first, sizeof first));
    for (; on; on = cursor_next(cursor)) {
        struct bytes key = cursor_key(cursor);
        if (key.size != CHUNK_KEY_SIZE || memcmp(key.data, first, GROUP_KEY_SIZE) != 0)
            break;
        if (!cache_own_chunk(cache, txn, group, get_be16(key.data + GROUP_KEY_SIZE)))
            break;
    }
    cursor_close(cursor);
    if (txn_error(txn))
        return false;
    group->whole = true;
    return true;
}

void chunk_add(struct cached_chunk *chunk, unsigned cell, int64_t difference)
{
    uint64_t bit = UINT64_C(1) << cell;
    int64_t value = (int64_t)((uint64_t)chunk_value(chunk, cell) + (uint64_t)difference);
    chunk->cells.values[cell] = value;
    chunk->cells.set = value ? chunk->cells.set | bit : chunk->cells.set & ~bit;
    chunk->dirty = true;
}

// ---- writing

bool cache_full(const struct ledger_cache *cache)
{
    return cache->chunks.count >= CACHE_CHUNKS_MAX || cache->groups.count >= CACHE_GROUPS_MAX;
}

static int compare_keys(const struct group_key *a, const struct group_key *b)
{
    int definitions = memcmp(a->definition.bytes, b->definition.bytes, 16);
    if (definitions)
        return definitions;
    if (a->unit_id != b->unit_id)
        return a->unit_id < b->unit_id ? -1 : 1;
    if (a->period.type != b->period.type)
        return a->period.type < b->period.type ? -1 : 1;
    return (a->period.number > b->period.number) - (a->period.number < b->period.number);
}

static int compare_groups(const void *a, const void *b)
{
    const struct cached_group *const *x = a, *const *y = b;
    return compare_keys(&(*x)->key, &(*y)->key);
}

static int compare_chunks(const void *a, const void *b)
{
    const struct cached_chunk *x = *(const struct cached_chunk *const *)a, *y = *(const struct cached_chunk *const *)b;
    if (x->below != y->below)
        return x->below - y->below;
    int keys = compare_keys(&x->group, &y->group);
    return keys ? keys : x->number - y->number;
}

static void write_group(struct txn *txn, const struct cached_group *group)
{
    uint8_t key[GROUP_KEY_SIZE], row[GROUP_ROW_SIZE];
    put_group_key(&group->key, key);
    group_row_encode(bytes_of(key, sizeof key), &group->state, row);
    txn_put(txn, TABLE_GROUPS, bytes_of(key, sizeof key), bytes_of(row, sizeof row));
}

static void write_chunk(struct txn *txn, const struct cached_chunk *chunk)
{
    enum table table = chunk->below ? TABLE_BELOW : TABLE_CELLS;
    uint8_t key[CHUNK_KEY_SIZE], row[CHUNK_ROW_MAX];
    put_chunk_key(&chunk->group, chunk->number, key);
    if (chunk->cells.set) {
        size_t size = cells_encode(bytes_of(key, sizeof key), &chunk->cells, row);
        txn_put(txn, table, bytes_of(key, sizeof key), bytes_of(row, size));
    } else if (chunk->stored) {
        txn_delete(txn, table, bytes_of(key, sizeof key));
    }
}

// The dirty items in the order of their keys: neighbours land in the same page.
static void **sorted(const struct cache_map *map, bool (*dirty)(const void *item), int (*compare)(const void *, const void *),
                     size_t *ret_count)
{
    void **items = malloc((map->count + (size_t)1) * sizeof *items);
    if (!items)
        return NULL;
    size_t count = 0;
    for (uint32_t i = 0; i < map->count; i++)
        if (dirty(map_item(map, i)))
            items[count++] = map_item(map, i);
    qsort(items, count, sizeof *items, compare);
    *ret_count = count;
    return items;
}

static bool group_dirty(const void *item) { return ((const struct cached_group *)item)->dirty; }
static bool chunk_dirty(const void *item) { return ((const struct cached_chunk *)item)->dirty; }

void cache_flush(struct ledger_cache *cache, struct txn *txn)
{
    size_t group_count = 0, chunk_count = 0;
    void **groups = sorted(&cache->groups, group_dirty, compare_groups, &group_count);
    void **chunks = sorted(&cache->chunks, chunk_dirty, compare_chunks, &chunk_count);
    if (groups && chunks) {
        for (size_t i = 0; i < group_count; i++)
            write_group(txn, groups[i]);
        for (size_t i = 0; i < chunk_count; i++)
            write_chunk(txn, chunks[i]);
    } else {
        no_memory(txn);
    }
    free(groups);
    free(chunks);
    cache_clear(cache);
}

void cache_clear(struct ledger_cache *cache)
{
    map_clear(&cache->groups);
    map_clear(&cache->chunks);
}
