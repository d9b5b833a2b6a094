// Who may be on the join endpoint, and how long: anyone may knock there, so its rate, its time and its memory are bounded. Pure: times
// and sizes are arguments. Zero-initialised is a gate that nobody has passed.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
    // Handshakes: 512 at once (a township's stations twice over), then 32 a second: the largest county, 1,300, is in after 25 s, and a
    // flood costs ZeroMQ's thread about 1 % of a core.
    GATE_BURST = 512,
    GATE_RATE = 32,
    // A connection can be held for ever, so all of them end together: after a lease many times the length of an exchange, or when the
    // process grew by what no exchange needs (ZeroMQ 4.3.4 buffers a multipart message without limit until its last part).
    GATE_LEASE_MS = 30000,
    GATE_GROWTH = 128 * 1024 * 1024, // bytes, beside what was answered
};

struct gate {
    uint64_t used_until_us; // up to when the rate is used up
    long live;              // connections
    bool leased;            // since the first of them
    uint64_t lease_end_ms;
    int64_t memory_max; // bytes
};

// Whether one more handshake may pass now; counts it if so (generic cell rate algorithm, ITU-T I.371).
bool gate_admit(struct gate *gate, uint64_t now_us);
void gate_change(struct gate *gate, int connections); // came: 1, went: -1
void gate_answered(struct gate *gate, uint64_t bytes);
// Somebody is on and no lease runs: gate_lease() is due, with the memory of the process as it is now. The lease ends by itself when
// all have gone.
bool gate_wants_lease(struct gate *gate);
void gate_lease(struct gate *gate, uint64_t now_ms, int64_t memory);
// Whether all must go: the time is over, or the memory is. Memory 0: not measured now.
bool gate_over(const struct gate *gate, uint64_t now_ms, int64_t memory);
void gate_emptied(struct gate *gate); // all have gone; what the rate has used up stays used up
