// Which lane sends the next piece: urgent, control, case, aggregate, bulk, in that order; and each lower lane that has work keeps a
// small share of the line, so nothing starves (strict priority with a deficit per lane; Shreedhar and Varghese 1995 for the deficit).
//
// A share is paid in whole pieces. Urgent never waits for more than one piece of others: while it has work, two shares are never paid
// in a row, so beside urgent a lane whose pieces are much smaller than urgent's gets turns rather than its full share.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "relay/limits.h"

enum { LANE_SHARE = 16 }; // one byte in 16 (6.25 %) of what other lanes send is owed to a waiting one: 5 % with rounding to pieces

struct lane_scheduler {
    uint32_t owed[LANES];   // bytes times LANE_SHARE, while the lane waits with work
    uint32_t served[LANES]; // turn when it was served last
    uint32_t turn;
    bool repaid; // the last piece paid what was owed: urgent is next, if it has work
};

void lane_init(struct lane_scheduler *scheduler);
// Lane 1..LANES that sends next; 0 when none may. `next_bytes[lane - 1]`: size of the lane's next piece, 0: the lane has nothing to send.
unsigned lane_pick(const struct lane_scheduler *scheduler, const uint32_t next_bytes[LANES]);
// `lane` sends its piece: what is owed to the others grows, what is owed to it shrinks. `next_bytes` as given to lane_pick().
void lane_spend(struct lane_scheduler *scheduler, unsigned lane, const uint32_t next_bytes[LANES]);
