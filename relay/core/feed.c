// The header chain of a feed and the fork rules.
#include "relay/core/feed.h"

#include <assert.h>

void feed_state_init(struct feed_state *state) { *state = (struct feed_state){.next = 1, .bodies = 1}; }

enum admit feed_admit(const struct feed_state *state, const struct feed_claim *claim, const struct hash *held, bool body_held,
                      bool has_body)
{
    assert(state->bodies <= state->next && claim->count > 0);
    if (claim->first > state->next)
        return ADMIT_GAP;
    if (claim->first == state->next)
        return hash_equal(&claim->prev, &state->last) ? ADMIT_NEXT : ADMIT_FORK;
    // Below `next`: the very header that is held there, or a second history (also when its batch begins inside a held one).
    if (!held || !hash_equal(held, &claim->header))
        return ADMIT_FORK;
    return has_body && !body_held ? ADMIT_BODY : ADMIT_DUPLICATE;
}

void feed_extend(struct feed_state *state, const struct feed_claim *claim, bool has_body, bool entitled)
{
    assert(claim->first == state->next && claim->count > 0 && claim->count <= UINT64_MAX - state->next);
    bool whole = state->bodies == state->next;
    state->next += claim->count;
    state->last = claim->header;
    if (whole && (has_body || !entitled))
        state->bodies = state->next;
}

bool reach_entitles(uint32_t reach, uint32_t tiers_up) { return reach == REACH_TOP || tiers_up <= reach; }
