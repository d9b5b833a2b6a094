// One session of a link: how it begins and ends, and what is said in it.
#include "relay/core/session.h"

#include <assert.h>
#include <string.h>

struct core_update *step_update(struct step *step, enum core_update_type type, unsigned channel)
{
    assert(step->updates->count < CORE_UPDATES_MAX);
    struct core_update *update = &step->updates->items[step->updates->count++];
    memset(update, 0, type == UPDATE_SEND_HELLO ? sizeof *update : offsetof(struct core_update, accept) + sizeof update->accept);
    update->type = type;
    update->link = step->link;
    update->channel = channel;
    return update;
}

// ---- channels of a link: towards the parent UP is ours; towards a child the two down streams are

static unsigned first_sender(const struct link *link) { return link->parent ? 0 : LANES; }
static unsigned first_receiver(const struct link *link) { return link->parent ? LANES : 0; }
unsigned link_sender_channel(const struct link *link, unsigned index) { return first_sender(link) + index; }
unsigned link_receiver_channel(const struct link *link, unsigned index) { return first_receiver(link) + index; }

static bool carries(const struct link *link, unsigned channel) { return !link->urgent_only || core_channel_lane(channel) == 1; }

struct sender *link_sender(struct link *link, unsigned channel)
{
    unsigned first = first_sender(link);
    return carries(link, channel) && channel >= first && channel - first < link->senders_count ? &link->senders[channel - first] : NULL;
}

struct receiver *link_receiver(struct link *link, unsigned channel)
{
    unsigned first = first_receiver(link);
    return carries(link, channel) && channel >= first && channel - first < link->receivers_count ? &link->receivers[channel - first] : NULL;
}

// ---- small sayings

void session_alarm(struct step *step, unsigned channel, enum core_alarm alarm)
{
    if (alarm != ALARM_NONE)
        step_update(step, UPDATE_ALARM, channel)->alarm = alarm;
}

enum core_alarm session_alarm_of(uint32_t fault)
{
    return fault == FAULT_FORGED    ? ALARM_FORGED
           : fault == FAULT_VERSION ? ALARM_VERSION
           : fault == FAULT_CLONE   ? ALARM_CLONE
                                    : ALARM_PROTOCOL;
}

void session_error(struct link *link, struct step *step, unsigned channel, uint32_t fault, uint32_t retry_ms)
{
    struct core_update *update = step_update(step, UPDATE_SEND_ERROR, channel);
    update->error.fault = fault;
    update->error.retry_ms = retry_ms;
    link->sent_ms = step->now_ms;
}

void session_ack(struct link *link, struct step *step, unsigned channel)
{
    const struct receiver *receiver = link_receiver(link, channel);
    assert(receiver);
    struct core_update *update = step_update(step, UPDATE_SEND_ACK, channel);
    update->ack.generation = receiver->told.generation;
    update->ack.headers = receiver->told.headers;
    update->ack.bodies = receiver->told.bodies;
    update->ack.credit_bytes = link->given;
    if (receiver->part.position && !receiver->staged) {
        update->ack.received_position = receiver->part.position;
        update->ack.received_offset = receiver->part.offset;
    }
    link->sent_ms = step->now_ms;
}

void session_state(struct link *link, struct step *step, enum link_state to)
{
    if (link->state == to)
        return;
    struct core_update *update = step_update(step, UPDATE_STATE, 0);
    update->state.from = link->state;
    update->state.to = to;
    link->state = (uint8_t)to;
    link->since_ms = step->now_ms;
}

// ---- sessions

// Nothing of the session stays in flight; parts that arrived are kept.
void session_end(struct link *link, struct step *step)
{
    for (unsigned i = 0; i < link->senders_count; i++)
        sender_finish(&link->senders[i]);
    for (unsigned i = 0; i < link->receivers_count; i++)
        if (receiver_finish(&link->receivers[i]))
            step_update(step, UPDATE_STAGE, link_receiver_channel(link, i));
    if (link->state == LINK_LIVE && step->now_ms - link->since_ms >= LINK_SETTLED_MS)
        backoff_reset(&link->backoff);
    link->given = admission_shrink(step->admission, link->given, 0);
    link->given_most = 0;
    link->credit = 0;
    link->wants = link->stretched = link->pending = false;
    link->session = link->peer_session = 0;
    window_init(&link->window);
    trail_clear(&link->trail);
}

void session_down(struct link *link, struct step *step, bool hangup)
{
    if (hangup)
        step_update(step, UPDATE_HANGUP, 0);
    session_end(link, step);
    link->due_ms = UINT64_MAX;
    if (link->parent) {
        uint32_t wait = backoff_failed(&link->backoff);
        link->due_ms = step->now_ms + (wait > link->due_delay_ms ? wait : link->due_delay_ms);
        link->due_delay_ms = 0;
    }
    session_state(link, step, LINK_DOWN);
}

// Only a person can help: no session for a long while.
void session_bar(struct link *link, struct step *step, uint32_t fault)
{
    step_update(step, UPDATE_HANGUP, 0);
    session_end(link, step);
    link->barred_fault = fault;
    link->due_ms = step->now_ms + backoff_refused(&link->backoff);
    session_state(link, step, LINK_BARRED);
}

void session_refuse(struct link *link, struct step *step, unsigned channel, uint32_t fault, enum core_alarm alarm)
{
    session_error(link, step, channel, fault, 0);
    session_alarm(step, channel, alarm);
    session_bar(link, step, fault);
}

void session_hello(struct link *link, struct step *step, bool reply)
{
    link->session = step->fresh;
    link->given = link->given_most = admission_open(step->admission);
    link->given_ms = link->piece_ms = step->now_ms;
    struct core_hello *hello = &step_update(step, UPDATE_SEND_HELLO, 0)->hello;
    hello->version_min = hello->version_max = LINK_VERSION;
    hello->session = link->session;
    hello->credit_bytes = link->given;
    hello->reply = reply;
    if (!reply) {
        hello->starts = step->starts;
        hello->number = ++link->hellos;
    }
    for (unsigned i = 0; i < link->receivers_count; i++) {
        unsigned channel = link_receiver_channel(link, i);
        if (carries(link, channel))
            receiver_begin(&link->receivers[i], &hello->held[channel], &hello->staged[channel]);
    }
    link->sent_ms = step->now_ms;
}

void session_live(struct link *link, struct step *step, const struct core_hello *hello)
{
    link->peer_session = hello->session;
    link->order.ordinal = hello->ordinal;
    link->order.nonce = hello->nonce;
    link->order.starts = hello->starts;
    link->order.number = hello->number;
    link->credit = hello->credit_bytes;
    link->heard_ms = link->progress_ms = link->committed_ms = step->now_ms;
    link->due_ms = UINT64_MAX;
    lane_init(&link->lanes);
    session_state(link, step, LINK_LIVE);
    for (unsigned i = 0; i < link->senders_count; i++) {
        unsigned channel = link_sender_channel(link, i);
        struct sender *sender = &link->senders[i];
        if (!carries(link, channel))
            continue;
        session_alarm(step, channel, sender_begin(sender, step->generation, &hello->held[channel], &hello->staged[channel], step->now_ms));
        if (sender->state == SENDER_HEADS)
            step_update(step, UPDATE_WANT_HEADS, channel);
    }
    for (unsigned i = 0; i < link->receivers_count; i++) {
        struct receiver *receiver = &link->receivers[i];
        if (receiver->mark.bodies < receiver->mark.headers && receiver->behind_ms == 0)
            receiver->behind_ms = step->now_ms + (step->now_ms == 0);
    }
    link_pump(link, step);
}

void session_gap(struct link *link, struct step *step, unsigned channel)
{
    struct receiver *receiver = link_receiver(link, channel);
    assert(receiver);
    bool discard, alarm;
    bool tell = receiver_gap(receiver, &discard, &alarm);
    if (discard)
        step_update(step, UPDATE_DISCARD, channel);
    if (tell)
        session_error(link, step, channel, FAULT_GAP, 0);
    if (alarm)
        session_alarm(step, channel, ALARM_PROTOCOL);
}
