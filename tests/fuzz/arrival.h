// Inputs of the target `arrival`: rows as they arrive, one after the other, and the three stations that sign them (tests/samples.h), the
// same in every run.
#pragma once
#include "relay/batch.h"
#include "tests/fuzz/input.h"
#include "tests/samples.h"

enum {
    ARRIVALS_MAX = 8,
    ARRIVAL_FRAME = 6, // bytes before each: what it is, stream, size of header be16, size of body be16
};

struct arrival_bytes {
    uint8_t kind, stream; // kind: bit 0: a certificate, not a batch; bits 4 to 7: what is held against it (arrival.c)
    struct bytes header, signature, body;
};

// Made at the first call.
const struct sample *arrival_stations(void);
// Splits an input; returns how many.
uint32_t arrivals_split(struct bytes input, struct arrival_bytes ret[ARRIVALS_MAX]);
// Appends one. A failed allocation shows in ret->failed.
void arrival_join(const struct arrival_bytes *arrival, struct buffer *ret);
