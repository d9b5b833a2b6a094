// What the peer says on a link.
#include "relay/core/session.h"

bool link_overtaken(const struct link *link, const struct core_hello *hello)
{
    if (link->parent || link->state != LINK_LIVE || hello->starts == 0 || hello->ordinal != link->order.ordinal ||
        hello->nonce != link->order.nonce)
        return false;
    return hello->starts != link->order.starts ? hello->starts < link->order.starts : hello->number < link->order.number;
}

void link_hello(struct link *link, struct step *step, const struct core_hello *hello)
{
    if (hello->reply != link->parent || (link->parent && link->state != LINK_GREETING) || link_overtaken(link, hello))
        return;
    if (hello->version_min > LINK_VERSION || hello->version_max < LINK_VERSION) {
        if (link->state == LINK_BARRED)
            session_error(link, step, 0, FAULT_VERSION, 0); // the alarm was raised already
        else
            session_refuse(link, step, 0, FAULT_VERSION, ALARM_VERSION);
        return;
    }
    if (link->parent) {
        session_live(link, step, hello);
        return;
    }
    if (link->state == LINK_BARRED && link->barred_fault != FAULT_VERSION && link->due_ms > step->now_ms) {
        uint64_t wait = link->due_ms - step->now_ms;
        session_error(link, step, 0, FAULT_BUSY, wait < UINT32_MAX ? (uint32_t)wait : UINT32_MAX);
        return;
    }
    if (link->state == LINK_LIVE) {
        if (hello->session == link->peer_session)
            return; // a repeated hello
        session_end(link, step);
        session_state(link, step, LINK_DOWN);
    }
    session_hello(link, step, true);
    session_live(link, step, hello);
}

void link_heads_wanted(struct link *link, struct step *step, unsigned channel)
{
    struct receiver *receiver = link_receiver(link, channel);
    if (!receiver) {
        session_refuse(link, step, 0, FAULT_PROTOCOL, ALARM_PROTOCOL);
        return;
    }
    bool discard;
    if (!receiver_heads_wanted(receiver, step->now_ms, &discard))
        return;
    if (discard)
        step_update(step, UPDATE_DISCARD, channel);
    step_update(step, UPDATE_SEND_HEADS, channel);
    link->sent_ms = step->now_ms;
}

void link_heads(struct link *link, const struct step *step)
{
    for (unsigned i = 0; i < link->senders_count; i++)
        if (link->senders[i].state == SENDER_HEADS)
            link->senders[i].asked_ms = step->now_ms;
}

void link_heads_all(struct link *link, struct step *step, unsigned channel)
{
    struct sender *sender = link_sender(link, channel);
    if (!sender)
        return;
    link_heads(link, step);
    sender_heads(sender);
    link_pump(link, step);
}

// More than twice the credit and a row in every lane: no station of ours does that. Urgent rows have a bound of their own.
static bool overruns(const struct link *link, const struct core_piece *piece)
{
    uint64_t taken = 0, whole = 0;
    for (unsigned i = 1; i < link->receivers_count; i++) {
        if (i % LANES == 0)
            continue;
        taken += receiver_taken(&link->receivers[i]);
        whole += link->receivers[i].flight.bytes;
    }
    uint64_t most = 2 * (uint64_t)link->given_most + LANES * BATCH_BODY_MAX;
    return core_channel_lane(piece->channel) != 1 && whole > 0 && taken + piece->length + piece->overhead > most;
}

// A peer without credit asks for some by a piece, one that uses its credit well may get more. True: it got some, and must be told.
static bool lend(struct link *link, struct step *step)
{
    uint64_t taken = 0;
    for (unsigned i = 0; i < link->receivers_count; i++)
        taken += receiver_taken(&link->receivers[i]);
    link->piece_ms = step->now_ms;
    link->stretched = link->stretched || taken > link->given / 2;
    if (link->given > 0)
        return false;
    link->given = admission_open(step->admission);
    link->wants = link->given == 0;
    if (link->wants)
        return false;
    link->given_ms = step->now_ms;
    if (link->given > link->given_most)
        link->given_most = link->given;
    return true;
}

void link_piece(struct link *link, struct step *step, const struct core_piece *piece)
{
    struct receiver *receiver = link_receiver(link, piece->channel);
    if (!receiver || overruns(link, piece)) {
        session_refuse(link, step, receiver ? piece->channel : 0, FAULT_PROTOCOL, ALARM_PROTOCOL);
        return;
    }
    struct receiver_answer answer = receiver_piece(receiver, piece);
    if (answer.verdict == RECEIVER_IGNORE)
        return;
    if (answer.verdict == RECEIVER_BROKEN) {
        session_refuse(link, step, piece->channel, FAULT_PROTOCOL, ALARM_PROTOCOL);
        return;
    }
    if (answer.verdict == RECEIVER_GAP) {
        session_gap(link, step, piece->channel);
        return;
    }
    if (answer.restored)
        session_alarm(step, piece->channel, ALARM_PEER_RESTORED);
    if (answer.discard)
        step_update(step, UPDATE_DISCARD, piece->channel);
    struct core_update *update = step_update(step, UPDATE_ACCEPT, piece->channel);
    update->accept.piece = *piece;
    update->accept.complete = answer.verdict == RECEIVER_TAKE_LAST;
    bool lent = core_channel_lane(piece->channel) != 1 && lend(link, step);
    if (lent || answer.verdict == RECEIVER_TAKE)
        session_ack(link, step, piece->channel);
}

void link_ack(struct link *link, struct step *step, const struct core_event *event)
{
    struct sender *sender = link_sender(link, event->channel);
    struct core_mark mark = {.generation = event->ack.generation, .headers = event->ack.headers, .bodies = event->ack.bodies};
    bool news = false, released = false;
    uint32_t upto;
    if (!sender || !sender_acknowledge(sender, step->generation, &mark, &news, &released, &upto)) {
        session_refuse(link, step, sender ? event->channel : 0, FAULT_PROTOCOL, ALARM_PROTOCOL);
        return;
    }
    link->credit = event->ack.credit_bytes;
    if (released && window_confirm(&link->window, step->now_ms, upto))
        link->progress_ms = step->now_ms;
    if (event->ack.received_position &&
        trail_confirm(&link->trail, event->channel, event->ack.received_position, event->ack.received_offset, &upto) &&
        window_confirm(&link->window, step->now_ms, upto))
        link->progress_ms = step->now_ms;
    if (news)
        link->acknowledged_ms = link->committed_ms = step->now_ms;
    link_pump(link, step);
}

void link_ping(struct link *link, struct step *step, uint64_t token, bool reply)
{
    if (!reply) {
        struct core_update *update = step_update(step, UPDATE_SEND_PING, 0);
        update->ping.token = token;
        update->ping.reply = true;
        link->sent_ms = step->now_ms;
    } else if (window_confirm(&link->window, step->now_ms, (uint32_t)token)) {
        link->progress_ms = step->now_ms;
        link_pump(link, step);
    }
}

static void restart_channel(struct link *link, struct step *step, unsigned channel)
{
    struct sender *sender = link_sender(link, channel);
    if (link->state != LINK_LIVE || !sender)
        return;
    trail_forget(&link->trail, channel);
    step_update(step, UPDATE_SEND_PING, 0)->ping.token = link->window.sent; // confirms what acknowledgements won't any more
    link->sent_ms = step->now_ms;
    if (sender_restart(sender, step->now_ms))
        step_update(step, UPDATE_WANT_HEADS, channel);
    else
        session_alarm(step, channel, ALARM_PROTOCOL);
}

void link_error(struct link *link, struct step *step, const struct core_event *event)
{
    unsigned channel = event->channel < CORE_CHANNELS ? event->channel : 0;
    uint32_t fault = event->error.fault;
    switch (fault) {
    case FAULT_NONE:
    case FAULT_DISPUTED: // of one feed: everything else goes on
        return;
    case FAULT_GAP:
        restart_channel(link, step, event->channel);
        return;
    case FAULT_BUSY:
    case FAULT_STORE:
        link->due_delay_ms = event->error.retry_ms < BACKOFF_REFUSED_CAP_MS ? event->error.retry_ms : BACKOFF_REFUSED_CAP_MS;
        session_down(link, step, true);
        return;
    default:
        session_alarm(step, channel, session_alarm_of(fault));
        if (link->parent)
            session_bar(link, step, fault);
        else
            session_down(link, step, true); // it dials when it sees fit
    }
}
