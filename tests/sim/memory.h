// Memory for the simulator: without it there is nothing to simulate, so it asserts.
#pragma once
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

static inline void *memory_get(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    assert(memory);
    return memory;
}

// Room for one more item.
static inline void *memory_room(void *items, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity)
        return items;
    *capacity = *capacity ? 2 * *capacity : 16;
    void *grown = realloc(items, *capacity * size);
    assert(grown);
    return grown;
}
