// The lane scheduler.
#include "relay/core/lane.h"

#include <assert.h>

enum { OWED_MAX = 4 * FRAME_MAX * LANE_SHARE }; // four pieces: no lane may save up a burst

// Of the lanes whose share has grown to a whole piece, the one that waited longest.
static unsigned longest_owed(const struct lane_scheduler *scheduler, const uint32_t next_bytes[LANES])
{
    unsigned best = 0;
    for (unsigned i = 0; i < LANES; i++) {
        bool due = next_bytes[i] && scheduler->owed[i] / LANE_SHARE >= next_bytes[i];
        if (due && (!best || scheduler->turn - scheduler->served[i] > scheduler->turn - scheduler->served[best - 1]))
            best = i + 1;
    }
    return best;
}

void lane_init(struct lane_scheduler *scheduler) { *scheduler = (struct lane_scheduler){0}; }

unsigned lane_pick(const struct lane_scheduler *scheduler, const uint32_t next_bytes[LANES])
{
    bool urgent_waited = scheduler->repaid && next_bytes[0];
    unsigned lane = urgent_waited ? 0 : longest_owed(scheduler, next_bytes);
    for (unsigned i = 0; i < LANES && !lane; i++)
        if (next_bytes[i])
            lane = i + 1;
    return lane;
}

void lane_spend(struct lane_scheduler *scheduler, unsigned lane, const uint32_t next_bytes[LANES])
{
    assert(lane >= 1 && lane <= LANES && next_bytes[lane - 1]);
    uint32_t bytes = next_bytes[lane - 1];
    bool by_order = true;
    for (unsigned i = 0; i + 1 < lane; i++)
        by_order = by_order && !next_bytes[i];
    scheduler->repaid = !by_order;
    scheduler->served[lane - 1] = ++scheduler->turn;
    for (unsigned i = 0; i < LANES; i++) {
        uint32_t *owed = &scheduler->owed[i];
        if (!next_bytes[i])
            *owed = 0; // it had its chance: nothing is saved for later
        else if (i + 1 == lane)
            *owed = *owed / LANE_SHARE > bytes ? *owed - bytes * LANE_SHARE : 0;
        else
            *owed += bytes;
        if (*owed > OWED_MAX)
            *owed = OWED_MAX;
    }
}
