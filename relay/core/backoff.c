// Exponential backoff with full jitter.
#include "relay/core/backoff.h"

#include <assert.h>

enum { SHIFT_MAX = 16 }; // past both caps; keeps the shift defined

static uint64_t draw(struct backoff *backoff)
{
    uint64_t z = backoff->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

// Uniform in 0..max; `max` is so small beside 2^32 that the bias of the multiplication does not matter.
static uint32_t up_to(struct backoff *backoff, uint32_t max) { return (uint32_t)((draw(backoff) >> 32) * ((uint64_t)max + 1) >> 32); }

static uint32_t ceiling(uint32_t base, uint8_t times, uint32_t cap)
{
    uint64_t value = (uint64_t)base << (times < SHIFT_MAX ? times : SHIFT_MAX);
    return value < cap ? (uint32_t)value : cap;
}

void backoff_init(struct backoff *backoff, uint64_t seed) { *backoff = (struct backoff){.random = seed}; }

uint32_t backoff_first(struct backoff *backoff) { return up_to(backoff, BACKOFF_FIRST_MS); }

uint32_t backoff_failed(struct backoff *backoff)
{
    uint32_t wait = 1 + up_to(backoff, ceiling(BACKOFF_BASE_MS, backoff->failures, BACKOFF_CAP_MS) - 1);
    if (backoff->failures < SHIFT_MAX)
        backoff->failures++;
    return wait;
}

uint32_t backoff_refused(struct backoff *backoff)
{
    uint32_t room = BACKOFF_REFUSED_CAP_MS - BACKOFF_REFUSED_MS;
    uint32_t wait = BACKOFF_REFUSED_MS + up_to(backoff, ceiling(BACKOFF_REFUSED_MS, backoff->refusals, room));
    if (backoff->refusals < SHIFT_MAX)
        backoff->refusals++;
    assert(wait >= BACKOFF_REFUSED_MS && wait <= BACKOFF_REFUSED_CAP_MS);
    return wait;
}

void backoff_reset(struct backoff *backoff)
{
    backoff->failures = 0;
    backoff->refusals = 0;
}
