// How much each peer may have in flight towards this station: one pool, lent out as credit.
//
// A peer that got none may still knock: one small piece, which tells that it wants to send, and the urgent lane. So credit 0 slows a
// herd down and never stops anybody for good.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
    ADMISSION_MIN = 24 * 1024,       // bytes: what a live peer gets while the pool lasts; 32 MB are enough for 1,300
    ADMISSION_MAX = 4 * 1024 * 1024, // bytes: one peer's most; a second of 32 Mbit/s
};

struct admission {
    uint32_t pool;  // bytes, at least ADMISSION_MIN
    uint32_t given; // bytes lent, at most `pool`
};

// A pool smaller than ADMISSION_MIN is taken for ADMISSION_MIN: below it nobody could be served.
void admission_init(struct admission *admission, uint32_t pool);
// Lends ADMISSION_MIN, or 0 when the pool is out.
uint32_t admission_open(struct admission *admission);
// A peer uses what it has: the credit it shall have now, `credit` or up to twice that. Never takes more than a quarter of what is left.
uint32_t admission_grow(struct admission *admission, uint32_t credit);
// Takes back all but `keep` of `credit`; returns `keep`.
uint32_t admission_shrink(struct admission *admission, uint32_t credit, uint32_t keep);
// Whether admission_open() would give something now.
bool admission_has_room(const struct admission *admission);
