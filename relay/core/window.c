// Rate, window and rows in flight.
#include "relay/core/window.h"

#include <assert.h>

void window_init(struct window *window) { *window = (struct window){.limit = WINDOW_START}; }

uint32_t window_in_flight(const struct window *window) { return window->sent - window->confirmed; }

bool window_admits(struct window *window, uint32_t bytes, bool urgent)
{
    uint32_t in_flight = window_in_flight(window);
    uint32_t limit = urgent ? window->limit + window->limit / 2 : window->limit;
    if (in_flight == 0 || (uint64_t)in_flight + bytes <= limit)
        return true;
    window->limited = true;
    return false;
}

void window_sent(struct window *window, uint64_t now_ms, uint32_t bytes)
{
    window->sent += bytes;
    if (!window->measuring) {
        window->measuring = true;
        window->round_ms = now_ms;
        window->round_from = window->confirmed;
        window->round_end = window->sent;
    }
}

// What may be in flight at this rate.
static uint32_t target(const struct window *window)
{
    uint64_t horizon = 2 * (uint64_t)window->trip_ms;
    if (horizon < WINDOW_HORIZON_MS)
        horizon = WINDOW_HORIZON_MS;
    if (horizon > WINDOW_HORIZON_MAX_MS)
        horizon = WINDOW_HORIZON_MAX_MS;
    uint64_t bytes = window->rate * horizon / 1000;
    return bytes < WINDOW_MIN ? WINDOW_MIN : bytes > WINDOW_MAX ? WINDOW_MAX : (uint32_t)bytes;
}

static void end_round(struct window *window, uint64_t now_ms)
{
    uint64_t elapsed = now_ms > window->round_ms ? now_ms - window->round_ms : 1;
    uint64_t sample = (uint64_t)(window->round_end - window->round_from) * 1000 / elapsed;
    if (sample > UINT32_MAX)
        sample = UINT32_MAX;
    if (!window->trip_ms || elapsed < window->trip_ms)
        window->trip_ms = elapsed < UINT32_MAX ? (uint32_t)elapsed : UINT32_MAX;
    if (sample > window->rate)
        window->rate = (uint32_t)sample;
    else if (window->limited) // a lower rate is believed, slowly, only when there was enough to send
        window->rate -= (uint32_t)((window->rate - sample) / 4);
    uint32_t most = target(window);
    if (window->limited)
        window->limit *= 2; // at most WINDOW_MAX before, so no overflow
    if (window->limit > most)
        window->limit = most;
    window->limited = false;
    window->measuring = false;
}

bool window_confirm(struct window *window, uint64_t now_ms, uint32_t upto)
{
    uint32_t news = upto - window->confirmed;
    if (news == 0 || news > window_in_flight(window))
        return false;
    window->confirmed = upto;
    if (window->measuring && (int32_t)(upto - window->round_end) >= 0)
        end_round(window, now_ms);
    return true;
}

uint32_t window_piece_max(const struct window *window)
{
    uint32_t quarter = window->rate / 4;
    return quarter < FRAME_MIN ? FRAME_MIN : quarter > FRAME_MAX ? FRAME_MAX : quarter;
}

void trail_clear(struct trail *trail) { trail->count = 0; }

void trail_add(struct trail *trail, const struct trail_point *point)
{
    if (trail->count == TRAIL_MAX) { // every other one goes; of two, the later stays
        for (uint32_t i = 0; i < TRAIL_MAX / 2; i++)
            trail->points[i] = trail->points[2 * i + 1];
        trail->count = TRAIL_MAX / 2;
    }
    trail->points[trail->count++] = *point;
}

bool trail_confirm(struct trail *trail, unsigned channel, uint64_t position, uint32_t offset, uint32_t *ret_upto)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < trail->count; i++) {
        const struct trail_point *point = &trail->points[i];
        if (point->channel == channel && (point->position < position || (point->position == position && point->offset <= offset)))
            done = i + 1;
    }
    if (done == 0)
        return false;
    *ret_upto = trail->points[done - 1].upto;
    trail->count -= done;
    for (uint32_t i = 0; i < trail->count; i++)
        trail->points[i] = trail->points[i + done];
    return true;
}

void trail_forget(struct trail *trail, unsigned channel)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < trail->count; i++)
        if (trail->points[i].channel != channel)
            trail->points[kept++] = trail->points[i];
    trail->count = kept;
}

void flight_clear(struct flight *flight) { *flight = (struct flight){0}; }

// Makes room by joining the two neighbours that are smallest together.
static void join(struct flight *flight)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i + 1 < flight->count; i++)
        if (flight->groups[i].bytes + flight->groups[i + 1].bytes < flight->groups[best].bytes + flight->groups[best + 1].bytes)
            best = i;
    flight->groups[best + 1].bytes += flight->groups[best].bytes;
    for (uint32_t i = best; i + 1 < flight->count; i++)
        flight->groups[i] = flight->groups[i + 1];
    flight->count--;
}

void flight_add(struct flight *flight, uint64_t position, uint32_t upto, uint32_t bytes)
{
    assert(flight->count == 0 || flight->groups[flight->count - 1].last < position);
    if (flight->count == FLIGHT_GROUPS)
        join(flight);
    flight->groups[flight->count++] = (struct flight_group){.last = position, .upto = upto, .bytes = bytes};
    flight->bytes += bytes;
}

bool flight_release(struct flight *flight, uint64_t position, uint32_t *ret_upto)
{
    uint32_t done = 0;
    while (done < flight->count && flight->groups[done].last <= position)
        flight->bytes -= flight->groups[done++].bytes;
    if (done == 0)
        return false;
    *ret_upto = flight->groups[done - 1].upto;
    flight->count -= done;
    for (uint32_t i = 0; i < flight->count; i++)
        flight->groups[i] = flight->groups[i + done];
    return true;
}
