// What one line carries, measured from what comes back, and how much may be in flight on it: about one second's worth.
//
// A connection delivers in order, so one number says what has arrived: `confirmed`, a running count of the bytes sent (mod 2^32).
// It moves when the peer acknowledges a row, says how far the row in assembly has come, or echoes a ping.
// The rate comes from whole rounds: what was in flight when a piece left, by the time until that piece was confirmed (Little's law;
// the same measure as delivery rate in BBR, Cardwell and others 2016). So bursts of acknowledgements can't inflate it.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "relay/limits.h"

enum {
    WINDOW_START = 4 * 1024,      // bytes: half a second of the slowest line worth having (64 kbit/s)
    WINDOW_MIN = 4 * 1024,        // bytes: four smallest pieces, so that a line never idles for an echo
    WINDOW_MAX = 8 * 1024 * 1024, // bytes: one second of 64 Mbit/s; beyond that the disk is slower
    WINDOW_HORIZON_MS = 1000,     // what may be in flight, in time
    WINDOW_HORIZON_MAX_MS = 4000, // on lines whose trip alone is longer (satellite): twice the trip, at most this
};

struct window {
    uint32_t sent, confirmed; // running counts
    uint32_t limit;           // bytes that may be in flight
    uint32_t rate;            // bytes a second; 0: not measured yet
    bool limited;             // a piece had to wait in this round
    bool measuring;           // a round is open
    uint32_t round_from, round_end;
    uint64_t round_ms;
    uint32_t trip_ms; // shortest round seen; 0: none
};

void window_init(struct window *window); // once a session: a new connection may be another line
uint32_t window_in_flight(const struct window *window);
// Whether a piece of `bytes` may go now. With nothing in flight one piece always may. An urgent one may use half as much again as
// the limit, so that it doesn't wait for what other lanes have put on the line. A refusal is noted: the window is what limits.
bool window_admits(struct window *window, uint32_t bytes, bool urgent);
void window_sent(struct window *window, uint64_t now_ms, uint32_t bytes);
// Everything up to the running count `upto` has arrived. Returns whether that is news; older and impossible counts are none.
bool window_confirm(struct window *window, uint64_t now_ms, uint32_t upto);
// Bytes of body in the next piece at most: a quarter second of the measured rate, FRAME_MIN..FRAME_MAX.
uint32_t window_piece_max(const struct window *window);

// Where in the running count the pieces of long rows ended: what an acknowledgement's (position, offset) confirms. In order of sending,
// over all channels; thinned out when full, so memory is bounded and confirmation a little later.
enum { TRAIL_MAX = 16 }; // a window holds four pieces, or a few tiny ones more

struct trail_point {
    uint64_t position;
    uint32_t offset, upto;
    unsigned channel;
};

struct trail {
    uint32_t count;
    struct trail_point points[TRAIL_MAX];
};

void trail_clear(struct trail *trail);
void trail_add(struct trail *trail, const struct trail_point *point);
// Bytes of `position` before `offset` have arrived on `channel`, and so everything sent before. Returns whether that is news.
bool trail_confirm(struct trail *trail, unsigned channel, uint64_t position, uint32_t offset, uint32_t *ret_upto);
// A channel begins anew: what it sent before can't be told from what it will send.
void trail_forget(struct trail *trail, unsigned channel);

// Rows sent whole and not acknowledged, in order. Kept as a few groups of neighbours, so memory is bounded; a group is released when
// its last row is acknowledged.
enum { FLIGHT_GROUPS = 8 }; // the window is released in eighths at worst

struct flight_group {
    uint64_t last; // position of its last row
    uint32_t upto; // window's running count after it
    uint32_t bytes;
};

struct flight {
    uint32_t count, bytes;
    struct flight_group groups[FLIGHT_GROUPS];
};

void flight_clear(struct flight *flight);
// `position` above all positions added before.
void flight_add(struct flight *flight, uint64_t position, uint32_t upto, uint32_t bytes);
// Everything up to `position` is acknowledged. Returns whether a group was released; `ret_upto` is the last one's running count.
bool flight_release(struct flight *flight, uint64_t position, uint32_t *ret_upto);
