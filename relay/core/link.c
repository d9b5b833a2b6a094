// State machine of one link: what its own station does to it, and time.
#include "relay/core/session.h"

#include <assert.h>

// ---- events of the shell

void link_add(struct link *link, struct step *step, const struct core_event *event)
{
    link->urgent_only = event->add.urgent_only;
    for (unsigned i = 0; i < link->senders_count; i++) {
        unsigned channel = link_sender_channel(link, i);
        const struct core_mark *acknowledged = event->add.acknowledged ? &event->add.acknowledged[channel] : NULL;
        uint64_t end = link_sender(link, channel) ? event->add.ends[channel] : 0; // nothing is owed where nothing is carried
        sender_init(&link->senders[i], step->generation, end, acknowledged);
    }
    for (unsigned i = 0; i < link->receivers_count; i++) {
        unsigned channel = link_receiver_channel(link, i);
        const struct core_staged *staged = event->add.staged ? &event->add.staged[channel] : NULL;
        if (!receiver_init(&link->receivers[i], &event->add.marks[channel], staged))
            step_update(step, UPDATE_DISCARD, channel);
    }
    link->due_ms = link->parent ? step->now_ms + backoff_first(&link->backoff) : UINT64_MAX;
    session_state(link, step, LINK_DOWN);
}

void link_remove(struct link *link, struct step *step)
{
    if (link->state != LINK_DOWN && link->state != LINK_BARRED)
        step_update(step, UPDATE_HANGUP, 0);
    session_end(link, step);
    link->due_ms = UINT64_MAX;
    link->due_delay_ms = 0;
    link->heard_ms = link->acknowledged_ms = 0;
    session_state(link, step, LINK_ABSENT);
}

void link_opened(struct link *link, struct step *step)
{
    if (link->state != LINK_DIALING)
        return;
    session_hello(link, step, false);
    session_state(link, step, LINK_GREETING);
}

void link_closed(struct link *link, struct step *step)
{
    if (link->state == LINK_DIALING || link->state == LINK_GREETING || link->state == LINK_LIVE)
        session_down(link, step, false);
}

void link_rows(struct link *link, struct step *step, const struct core_event *event)
{
    struct sender *sender = link_sender(link, event->channel);
    if (!sender || link->state != LINK_LIVE)
        return;
    sender_rows(sender, event->rows.rows, event->rows.count, event->rows.scanned);
    link_pump(link, step);
}

void link_extended(struct link *link, struct step *step, unsigned channel, uint64_t end)
{
    struct sender *sender = link_sender(link, channel);
    if (!sender)
        return;
    sender_extend(sender, end);
    if (link->state == LINK_LIVE)
        link_pump(link, step);
}

void link_held(struct link *link, struct step *step, unsigned channel, const struct core_mark *mark)
{
    struct receiver *receiver = link_receiver(link, channel);
    if (!receiver || !receiver_held(receiver, step->now_ms, mark))
        return;
    assert(link->state == LINK_LIVE); // else no row has been taken
    if (link->stretched && link->given) {
        link->given = admission_grow(step->admission, link->given);
        link->stretched = false;
        if (link->given > link->given_most)
            link->given_most = link->given;
    }
    session_ack(link, step, channel);
}

void link_refused(struct link *link, struct step *step, const struct core_event *event)
{
    if (!link_receiver(link, event->channel))
        return;
    bool live = link->state == LINK_LIVE;
    uint32_t retry_ms = event->error.retry_ms ? event->error.retry_ms : LINK_BUSY_MS;
    switch (event->error.fault) {
    case FAULT_GAP:
        if (live)
            session_gap(link, step, event->channel);
        break;
    case FAULT_BUSY:
    case FAULT_STORE:
        if (!live)
            break;
        session_error(link, step, event->channel, FAULT_BUSY, retry_ms);
        link->due_delay_ms = retry_ms;
        session_down(link, step, true);
        break;
    default:
        if (link->state == LINK_BARRED)
            break;
        if (live)
            session_error(link, step, event->channel, event->error.fault, 0);
        session_alarm(step, event->channel, session_alarm_of(event->error.fault));
        session_bar(link, step, event->error.fault);
    }
}

// ---- credit

void link_give(struct link *link, struct step *step, uint32_t credit)
{
    link->given = credit;
    link->given_ms = step->now_ms;
    if (credit > link->given_most)
        link->given_most = credit;
    if (credit)
        link->wants = false;
    session_ack(link, step, link_receiver_channel(link, 0));
}

bool link_assembling(const struct link *link)
{
    for (unsigned i = 0; i < link->receivers_count; i++)
        if (link->receivers[i].part.position && !link->receivers[i].staged)
            return true;
    return false;
}

// ---- time

static void dial(struct link *link, struct step *step)
{
    step_update(step, UPDATE_DIAL, 0);
    link->due_ms = step->now_ms + LINK_DIAL_MS;
    session_state(link, step, LINK_DIALING);
}

static uint64_t earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

// When a live link is taken for dead.
static uint64_t patience(const struct link *link)
{
    uint64_t end = link->heard_ms + LINK_SILENCE_MS;
    if (window_in_flight(&link->window) > 0)
        end = earlier(end, link->progress_ms + LINK_STALL_MS);
    if (link_has_flight(link))
        end = earlier(end, link->committed_ms + LINK_COMMIT_MS);
    for (unsigned i = 0; i < link->senders_count; i++)
        if (link->senders[i].state == SENDER_HEADS)
            end = earlier(end, link->senders[i].asked_ms + LINK_HEADS_MS);
    return end;
}

static uint64_t withheld_deadline(const struct receiver *receiver)
{
    return receiver->behind_ms && !receiver->alarmed ? receiver->behind_ms + LINK_WITHHELD_MS : UINT64_MAX;
}

uint64_t link_deadline(const struct link *link)
{
    if (link->state != LINK_LIVE)
        return link->due_ms;
    if (link->pending)
        return 0;
    uint64_t end = earlier(patience(link), link->sent_ms + LINK_PING_MS);
    for (unsigned i = 0; i < link->senders_count; i++)
        if (link->senders[i].state == SENDER_STOPPED)
            end = earlier(end, link->senders[i].asked_ms + CHANNEL_PAUSE_MS);
    for (unsigned i = 0; i < link->receivers_count; i++)
        end = earlier(end, withheld_deadline(&link->receivers[i]));
    return end;
}

static void tick_live(struct link *link, struct step *step)
{
    if (patience(link) <= step->now_ms) {
        session_down(link, step, true);
        return;
    }
    if (link->sent_ms + LINK_PING_MS <= step->now_ms) {
        step_update(step, UPDATE_SEND_PING, 0)->ping.token = link->window.sent;
        link->sent_ms = step->now_ms;
    }
    for (unsigned i = 0; i < link->senders_count; i++) {
        struct sender *sender = &link->senders[i];
        if (sender->state != SENDER_STOPPED || sender->asked_ms + CHANNEL_PAUSE_MS > step->now_ms)
            continue;
        sender_retry(sender, step->now_ms);
        step_update(step, UPDATE_WANT_HEADS, link_sender_channel(link, i));
    }
    for (unsigned i = 0; i < link->receivers_count; i++) {
        struct receiver *receiver = &link->receivers[i];
        if (withheld_deadline(receiver) > step->now_ms)
            continue;
        receiver->alarmed = true;
        session_alarm(step, link_receiver_channel(link, i), ALARM_BODY_WITHHELD);
    }
    if (link->pending)
        link_pump(link, step);
}

void link_tick(struct link *link, struct step *step)
{
    if (link->state == LINK_LIVE) {
        tick_live(link, step);
        return;
    }
    if (link->due_ms > step->now_ms)
        return;
    if (link->state == LINK_DIALING || link->state == LINK_GREETING) {
        session_down(link, step, true);
    } else if (link->parent) {
        dial(link, step);
    } else { // a child's bar is over
        link->due_ms = UINT64_MAX;
        session_state(link, step, LINK_DOWN);
    }
}
