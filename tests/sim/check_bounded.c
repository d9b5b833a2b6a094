// Bounded: what is on a line stays near what the line carries in the window's horizon, pipes never overflow, small tables stay small. That
// an engine never spins is watched in site.c.
#include "relay/core/window.h"
#include "tests/sim/check.h"

enum {
    START_BYTES = 3 * WINDOW_START + 2 * FRAME_MAX, // before a rate is measured, with the urgent allowance and one piece that always may
    MINUTE_MS = 60 * 1000,
    REPAIRS_A_MINUTE_MAX = 20,  // three in a row and then one a minute, for each of several sessions
    STAGED_MAX = CORE_CHANNELS, // rows of STAGING a peer
};

// A channel whose repair does not help rests between two attempts; so no channel is repaired again and again. One that keeps its own
// rows back now and then repairs after each, and gets on all the same.
static void count_repair(const struct sending *sending)
{
    struct line *line = &sending->child->line;
    if (world->now >= line->repairs_since + MINUTE_MS) {
        line->repairs_since = world->now;
        memset(line->repairs, 0, sizeof line->repairs);
    }
    if (sending->from->wiles & 1u << SIM_FAULT_drop)
        return;
    if (++line->repairs[sending->in->channel] > REPAIRS_A_MINUTE_MAX)
        check_fail(&check_bounded, "%s repairs channel %u towards %s for the %u. time in a minute", site_name(sending->from),
                   sending->in->channel, site_name(sending->to), line->repairs[sending->in->channel]);
}

static void sent(const struct sending *sending)
{
    if (sending->in->type == LINK_HEADS && sending->in->heads.want)
        count_repair(sending);
    const struct line *line = &sending->child->line;
    const struct pipe *pipe = &line->pipes[sending->from == sending->child ? SIDE_UP : SIDE_DOWN];
    // Four seconds is the longest horizon; half as much again is urgent's; the measure may be off by a factor of 1.5.
    uint64_t most = START_BYTES + (uint64_t)line->rate * WINDOW_HORIZON_MAX_MS / 1000 * 9 / 4;
    if (most > WINDOW_MAX * 3 / 2 + START_BYTES)
        most = WINDOW_MAX * 3 / 2 + START_BYTES;
    if (pipe->piece_bytes > most && !sending->to->overstates)
        check_fail(&check_bounded, "%s has %u bytes on the line to %s that carries %u a second", site_name(sending->from),
                   pipe->piece_bytes, site_name(sending->to), line->rate);
    if (pipe->count >= PIPE_MESSAGES)
        check_fail(&check_bounded, "%s: the pipe to %s is full", site_name(sending->from), site_name(sending->to));
}

static void rest(struct site *site)
{
    struct txn *txn = check_reader(site);
    uint64_t staged = txn_count(txn, TABLE_STAGING), alarms = txn_count(txn, TABLE_ALARMS);
    txn_abort(txn);
    if (staged > STAGED_MAX * (uint64_t)(site->children + 1) || alarms > ALARMS_MAX)
        check_fail(&check_bounded, "%s keeps %llu parts and %llu alarms", site_name(site), (unsigned long long)staged,
                   (unsigned long long)alarms);
}

const struct checker check_bounded = {.name = "bounded", .sent = sent, .rest = rest};
