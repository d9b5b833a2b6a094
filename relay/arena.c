#include "relay/arena.h"

#include <stdint.h>
#include <stdlib.h>

enum {
    ALIGNMENT = 16,
    BLOCK_MIN = 16 * 1024,   // bytes: one link message, unpacked
    BLOCK_MAX = 1024 * 1024, // bytes: what doubling stops at, and the most that a reset keeps
};

struct arena_block {
    struct arena_block *next;
    size_t size; // of data
    size_t fill;
    _Alignas(ALIGNMENT) unsigned char data[];
};

static struct arena_block *add_block(struct arena *arena, size_t need)
{
    size_t limit = arena->limit ? arena->limit : ARENA_LIMIT_DEFAULT;
    size_t room = limit - arena->used;
    if (room < sizeof(struct arena_block) || room - sizeof(struct arena_block) < need)
        return NULL;
    size_t wish = arena->blocks ? arena->blocks->size * 2 : BLOCK_MIN;
    if (wish > BLOCK_MAX)
        wish = BLOCK_MAX;
    if (wish > room - sizeof(struct arena_block))
        wish = room - sizeof(struct arena_block);
    if (wish < need)
        wish = need;
    struct arena_block *block = malloc(sizeof *block + wish);
    if (!block) {
        arena->failed = true;
        return NULL;
    }
    *block = (struct arena_block){.next = arena->blocks, .size = wish};
    arena->blocks = block;
    arena->used += sizeof *block + wish;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX - ALIGNMENT)
        return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct arena_block *block = arena->blocks;
    if (!block || block->size - block->fill < size)
        block = add_block(arena, size);
    if (!block)
        return NULL;
    void *place = block->data + block->fill;
    block->fill += size;
    return place;
}

static void free_blocks(struct arena *arena, struct arena_block *keep)
{
    struct arena_block *block = arena->blocks;
    while (block) {
        struct arena_block *next = block->next;
        if (block != keep)
            free(block);
        block = next;
    }
}

void arena_reset(struct arena *arena)
{
    struct arena_block *keep = arena->blocks;
    while (keep && keep->size > BLOCK_MAX)
        keep = keep->next;
    free_blocks(arena, keep);
    arena->blocks = keep;
    arena->used = 0;
    arena->failed = false;
    if (keep) {
        keep->next = NULL;
        keep->fill = 0;
        arena->used = sizeof *keep + keep->size;
    }
}

void arena_finish(struct arena *arena)
{
    free_blocks(arena, NULL);
    arena->blocks = NULL;
    arena->used = 0;
    arena->failed = false;
}
