// The header chain of a feed and the fork rules. Pure.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "relay/types.h"

// Feed = (station, incarnation, lane, audience).
struct feed_key {
    struct station_id station;
    uint32_t ordinal;
    uint64_t nonce;
    uint8_t lane;
    uint8_t audience;
    struct station_id addressee; // zero unless audience is STATION
};

// What a holder has of a feed. `bodies` <= `next`: every body it is entitled to is held below `bodies`.
struct feed_state {
    uint64_t next;    // first sequence without a header; 1 for a new feed
    struct hash last; // hash of the last header; zero for a new feed
    uint64_t bodies;  // 1 for a new feed
    bool disputed;
};

struct head {
    struct feed_key feed;
    uint64_t next;
    struct hash last;
    uint64_t bodies;
};

// What a batch says of its place.
struct feed_claim {
    uint64_t first;
    uint32_t count;
    struct hash header;
    struct hash prev;
};

enum admit {
    ADMIT_NEXT,      // extends the feed: store header (and body)
    ADMIT_BODY,      // its header is held and its body was not: store the body, apply now
    ADMIT_DUPLICATE, // held already: nothing to do, acknowledge
    ADMIT_GAP,       // leaves a hole: refuse, ask
    ADMIT_FORK,      // another header for a place that is held, or another history: keep as evidence, the feed is disputed
};

void feed_state_init(struct feed_state *state);
// `held`: hash of the held header whose batch begins at claim->first, NULL when none begins there (looked up only when claim->first <
// state->next). `body_held`: whether that batch's body is held. `has_body`: whether the arriving one brings its body.
// Never depends on time or on order of arrival among feeds.
enum admit feed_admit(const struct feed_state *state, const struct feed_claim *claim, const struct hash *held, bool body_held,
                      bool has_body);
// State after ADMIT_NEXT. `entitled`: the holder's right to the body (reach); a body it is not entitled to does not hold `bodies` back.
void feed_extend(struct feed_state *state, const struct feed_claim *claim, bool has_body, bool entitled);

// Whether a body may travel to a station `tiers_up` tiers above its signer.
bool reach_entitles(uint32_t reach, uint32_t tiers_up);
