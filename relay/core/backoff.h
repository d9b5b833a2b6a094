// When to try again: exponential backoff with full jitter, so that 1,300 children that lost their parent together do not come back
// together ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015). The generator (splitmix64, Steele, Lea, Flood 2014) is
// given by its seed: the same seed waits the same times.
#pragma once
#include <stdint.h>

enum {
    BACKOFF_FIRST_MS = 200,              // the first dial waits up to this: a power cut ends for a whole township at once
    BACKOFF_BASE_MS = 200,               // ceiling of the first wait after a failure; doubles each time
    BACKOFF_CAP_MS = 17 * 1000,          // a line that comes back is used soon; 1,300 children are back, and served, within 20 s
    BACKOFF_REFUSED_MS = 30 * 1000,      // least wait after a refusal that a person has to look at
    BACKOFF_REFUSED_CAP_MS = 300 * 1000, // and most: the cost of a refused peer stays under a hello in five minutes
};

struct backoff {
    uint64_t random;  // state of the generator
    uint8_t failures; // in a row
    uint8_t refusals; // in a row
};

void backoff_init(struct backoff *backoff, uint64_t seed);
// Milliseconds to wait before the first attempt, 0..BACKOFF_FIRST_MS.
uint32_t backoff_first(struct backoff *backoff);
// After a failure: uniform in 1..min(BACKOFF_CAP_MS, BACKOFF_BASE_MS << failures before it).
uint32_t backoff_failed(struct backoff *backoff);
// After a refusal (version, forged, unknown peer): BACKOFF_REFUSED_MS and up to as much again, doubling, at most BACKOFF_REFUSED_CAP_MS.
uint32_t backoff_refused(struct backoff *backoff);
// The link has lived long enough: begin anew. The generator goes on.
void backoff_reset(struct backoff *backoff);
