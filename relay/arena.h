// Memory that is taken back all at once, with a limit. Zero-initialised is empty. One owner thread.
#pragma once
#include <stdbool.h>
#include <stddef.h>

enum { ARENA_LIMIT_DEFAULT = 16 * 1024 * 1024 }; // bytes: the largest document, twice

struct arena_block;

struct arena {
    struct arena_block *blocks; // newest first; all but the newest are full
    size_t used;                // bytes taken from the system
    size_t limit;               // bytes; 0: ARENA_LIMIT_DEFAULT. `used` never exceeds it
    bool failed;                // an allocation failed for want of memory, not for the limit
};

// 16-byte aligned, not cleared. NULL over the limit or without memory. Lives until arena_reset() or arena_finish().
void *arena_alloc(struct arena *arena, size_t size);
void arena_reset(struct arena *arena);  // takes everything back, keeps one block for the next use
void arena_finish(struct arena *arena); // frees everything; the arena may be used again
