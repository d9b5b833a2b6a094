// Urgent never waits: while an urgent row is committed and has not left, at most URGENT_BEHIND_MAX pieces of other lanes leave on that
// link. (Two that share the window with it in turn, those that were ahead of it while its rows were being loaded, and, once 16 KB of urgent
// rows are not acknowledged, smaller ones that find room before it does.) Links that repair the urgent lane itself, or rest as repairs of
// it do not help, are left out until they go on.
#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "tests/sim/check.h"

static uint64_t urgent_end(const struct sending *sending, unsigned number)
{
    struct stream stream = {.stream = (uint8_t)number, .lane = SANJI__LANE__URGENT};
    if (number == SANJI__STREAM__STREAM_DOWN_ONE)
        stream.peer = sending->to->self.station;
    struct txn *txn = check_reader(sending->from);
    uint64_t end = stream_end(txn, &stream);
    txn_abort(txn);
    return end;
}

// Whether a row waits in that stream that nothing but other rows could hold up.
static bool waits_in(const struct sending *sending, unsigned stream)
{
    const struct line *line = &sending->child->line;
    return !line->urgent_repairing[stream] && !line->urgent_gap[stream] && urgent_end(sending, stream) > line->urgent_sent[stream];
}

static bool waits(const struct sending *sending)
{
    if (!check_whole(sending->from))
        return false; // what follows a damaged row in its feed waits for it
    if (sending->from == sending->child)
        return waits_in(sending, SANJI__STREAM__STREAM_UP);
    return waits_in(sending, SANJI__STREAM__STREAM_DOWN_ALL) || waits_in(sending, SANJI__STREAM__STREAM_DOWN_ONE);
}

static struct urgent_watch *watch_of(const struct sending *sending, const struct site *sender)
{
    return &sending->child->line.urgent[sender == sending->child ? SIDE_UP : SIDE_DOWN];
}

static void look_at_piece(const struct sending *sending)
{
    struct line *line = &sending->child->line;
    struct urgent_watch *watch = watch_of(sending, sending->from);
    const struct core_piece *piece = &sending->in->push.piece;
    unsigned stream = core_channel_stream(piece->channel);
    if (core_channel_lane(piece->channel) == SANJI__LANE__URGENT) {
        if (piece->offset + piece->length == piece->size && piece->position > line->urgent_sent[stream])
            line->urgent_sent[stream] = piece->position;
        watch->behind = 0;
        line->urgent_repairing[stream] = false;
        return;
    }
    if (watch->behind && watch->at == world->now)
        return;
    watch->at = world->now;
    watch->behind = waits(sending) ? watch->behind + 1 : 0;
    if (watch->behind > world->result->urgent_behind)
        world->result->urgent_behind = watch->behind;
    if (watch->behind > URGENT_BEHIND_MAX)
        check_fail(&check_urgent, "%s sends %u times of other lanes to %s while an urgent row waits", site_name(sending->from),
                   watch->behind, site_name(sending->to));
}

// What the sender of the hello holds of the other's urgent streams has been sent.
static void look_at_hello(const struct sending *sending)
{
    struct line *line = &sending->child->line;
    for (unsigned stream = 1; stream <= CORE_STREAMS; stream++) {
        const struct core_mark *held = &sending->in->hello.hello.held[core_channel(stream, SANJI__LANE__URGENT)];
        if (held->generation == sending->to->generation && held->headers > line->urgent_sent[stream])
            line->urgent_sent[stream] = held->headers;
    }
    memset(line->urgent, 0, sizeof line->urgent);
    memset(line->urgent_repairing, 0, sizeof line->urgent_repairing);
    memset(line->urgent_gap, 0, sizeof line->urgent_gap);
}

static void sent(const struct sending *sending)
{
    struct line *line = &sending->child->line;
    const struct link_in *in = sending->in;
    bool urgent = in->channel < CORE_CHANNELS && core_channel_lane(in->channel) == SANJI__LANE__URGENT;
    if (in->type == LINK_PUSH) {
        look_at_piece(sending);
    } else if (in->type == LINK_HELLO) {
        look_at_hello(sending);
    } else if (in->type == LINK_HEADS && in->heads.want && urgent) {
        line->urgent_repairing[core_channel_stream(in->channel)] = true;
        line->urgent_gap[core_channel_stream(in->channel)] = false;
    } else if (in->type == LINK_ERROR && in->error.fault == SANJI__LINK_FAULT__FAULT_GAP && urgent) {
        line->urgent_gap[core_channel_stream(in->channel)] = true;
    }
}

const struct checker check_urgent = {.name = "urgent", .sent = sent};
