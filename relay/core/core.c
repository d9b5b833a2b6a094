// Step dispatch: events to links, updates from them; timers and credit over all links.
#include "relay/core/core.h"

#include <assert.h>

#include "relay/core/link.h"

enum {
    ADMIT_EVERY_MS = 1000,     // how often credit is moved to links that wait for some, when there was none to give
    ADMIT_AGAIN_MS = 20,       // the same when there was more to give than one turn may: 1,300 links in less than two seconds
    ADMIT_IDLE_MS = 1000,      // a link that sent nothing for that long can wait for its next turn
    ADMIT_TURN_MS = 10 * 1000, // and one that has been served for that long lets the next one in
    ADMIT_BATCH = 16,          // links served a turn: bounded updates
};

struct core {
    struct core_config config;
    struct admission admission;
    uint64_t now_ms;
    uint64_t next_ms;   // no link and no admission is due before; may be earlier than needed
    uint64_t admit_ms;  // next turn of admission; UINT64_MAX: nobody waits
    uint32_t tick_from; // where the next tick begins: all links get their turn
    uint32_t give_from, take_from;
    uint32_t count; // links that were ever used are below it; what lies beyond was never touched
    struct sender *senders;
    struct receiver *receivers;
    uint64_t *deadlines; // of the links; apart from them so that a tick reads little memory
    struct link *links;
};

enum { PARENT_SENDERS = LANES, PARENT_RECEIVERS = 2 * LANES, CHILD_SENDERS = 2 * LANES, CHILD_RECEIVERS = LANES };

static_assert(sizeof(struct link) + CHILD_SENDERS * sizeof(struct sender) + CHILD_RECEIVERS * sizeof(struct receiver) + 8 <= 8192,
              "1,300 children fit in 11 MB");
static_assert((int)PARENT_SENDERS + PARENT_RECEIVERS == CORE_CHANNELS && (int)CHILD_SENDERS <= LINK_SENDERS_MAX,
              "each channel has one direction");
static_assert((int)LINK_UPDATES_MAX + LINK_PUMP_ROOM < CORE_UPDATES_MAX, "an event that begins a session also sends");

// Parts of the memory, in order; every size is a multiple of the greatest alignment.
struct layout {
    size_t links, senders, receivers, deadlines, size;
};

static uint32_t parents_of(const struct core_config *config) { return config->second_parent ? 2 : 1; }

static struct layout lay_out(const struct core_config *config)
{
    uint32_t parents = parents_of(config), links_max = config->links_max;
    assert(links_max >= parents && links_max <= CHILDREN_MAX + 2);
    size_t children = links_max - parents;
    struct layout layout = {.links = (sizeof(struct core) + 15) / 16 * 16};
    layout.senders = layout.links + links_max * sizeof(struct link);
    layout.receivers = layout.senders + (parents * PARENT_SENDERS + children * CHILD_SENDERS) * sizeof(struct sender);
    layout.deadlines = layout.receivers + (parents * PARENT_RECEIVERS + children * CHILD_RECEIVERS) * sizeof(struct receiver);
    layout.size = layout.deadlines + links_max * sizeof(uint64_t);
    return layout;
}

size_t core_size(const struct core_config *config) { return lay_out(config).size; }

struct core *core_init(void *memory, const struct core_config *config)
{
    static_assert(_Alignof(struct link) == 8 && _Alignof(struct sender) == 8 && _Alignof(struct receiver) == 8, "parts follow each other");
    assert(config->generation != 0);
    struct layout layout = lay_out(config);
    uint8_t *base = memory;
    struct core *core = memory;
    *core = (struct core){.config = *config, .next_ms = UINT64_MAX, .admit_ms = UINT64_MAX};
    core->links = (void *)(base + layout.links);
    core->deadlines = (void *)(base + layout.deadlines);
    admission_init(&core->admission, config->pool_bytes);
    core->senders = (void *)(base + layout.senders);
    core->receivers = (void *)(base + layout.receivers);
    return core;
}

// The first use of a link, and of all below it that were not used yet.
static void reach_link(struct core *core, uint32_t last)
{
    uint32_t parents = parents_of(&core->config);
    for (uint32_t i = core->count; i <= last; i++) {
        struct link *link = &core->links[i];
        uint32_t ups = i < parents ? i : parents, downs = i - ups; // before it
        link->parent = i < parents;
        link->state = LINK_ABSENT;
        link->due_ms = core->deadlines[i] = UINT64_MAX;
        link->senders_count = link->parent ? PARENT_SENDERS : CHILD_SENDERS;
        link->receivers_count = link->parent ? PARENT_RECEIVERS : CHILD_RECEIVERS;
        link->senders = core->senders + (size_t)ups * PARENT_SENDERS + (size_t)downs * CHILD_SENDERS;
        link->receivers = core->receivers + (size_t)ups * PARENT_RECEIVERS + (size_t)downs * CHILD_RECEIVERS;
        backoff_init(&link->backoff, core->config.seed ^ (i + 1) * 0xd1342543de82ef95u);
        window_init(&link->window);
        core->count = i + 1;
    }
}

// The link's deadline after something happened to it.
static void note_deadline(struct core *core, uint32_t i)
{
    core->deadlines[i] = link_deadline(&core->links[i]);
    if (core->deadlines[i] < core->next_ms)
        core->next_ms = core->deadlines[i];
    if (core->links[i].wants && core->admit_ms == UINT64_MAX)
        core->admit_ms = core->now_ms + ADMIT_EVERY_MS;
    if (core->admit_ms < core->next_ms)
        core->next_ms = core->admit_ms;
}

// ---- admission

static bool room_for_link(const struct step *step) { return step->updates->count + LINK_UPDATES_MAX <= CORE_UPDATES_MAX; }

static void take_credit(struct core *core, struct step *step, uint32_t i, uint32_t keep)
{
    struct link *link = &core->links[i];
    step->link = i;
    bool wants = keep == 0 && (link_assembling(link) || core->now_ms - link->piece_ms < ADMIT_IDLE_MS);
    link_give(link, step, admission_shrink(&core->admission, link->given, keep));
    link->wants = wants;
    note_deadline(core, i);
}

// Takes from one link: first what is above the least, then from idle ones, then from those served longest. False: nobody can spare any.
static bool take_one(struct core *core, struct step *step)
{
    uint32_t count = core->count;
    for (int round = 0; round < 3; round++)
        for (uint32_t k = 0; k < count; k++) {
            uint32_t i = (core->take_from + k) % count;
            const struct link *link = &core->links[i];
            if (link->state != LINK_LIVE || link->given == 0)
                continue;
            bool large = round == 0 && link->given > ADMISSION_MIN;
            bool idle = round == 1 && core->now_ms - link->piece_ms >= ADMIT_IDLE_MS;
            bool served = round == 2 && core->now_ms - link->given_ms >= ADMIT_TURN_MS;
            if (!large && !idle && !served)
                continue;
            take_credit(core, step, i, large ? ADMISSION_MIN : 0);
            core->take_from = (i + 1) % count;
            return true;
        }
    return false;
}

// Gives credit to links that wait for some, in turn.
static void admit(struct core *core, struct step *step)
{
    uint32_t count = core->count, served = 0;
    bool waits = false, room = true;
    for (uint32_t k = 0; k < count; k++) {
        uint32_t i = (core->give_from + k) % count;
        struct link *link = &core->links[i];
        if (link->state != LINK_LIVE || !link->wants || link->given)
            continue;
        room = served < ADMIT_BATCH && step->updates->count + 4 <= CORE_UPDATES_MAX;
        if (!room || (!admission_has_room(&core->admission) && !take_one(core, step)) || !admission_has_room(&core->admission)) {
            waits = true;
            core->give_from = i;
            break;
        }
        step->link = i;
        link_give(link, step, admission_open(&core->admission));
        note_deadline(core, i);
        served++;
    }
    core->admit_ms = !waits && !served ? UINT64_MAX : core->now_ms + (room ? ADMIT_EVERY_MS : ADMIT_AGAIN_MS);
}

// ---- events

static void tick(struct core *core, struct step *step)
{
    uint32_t count = core->count;
    if (core->admit_ms <= core->now_ms)
        admit(core, step);
    core->next_ms = core->admit_ms;
    uint32_t from = core->tick_from;
    for (uint32_t k = 0; k < count; k++) {
        uint32_t i = (from + k) % count;
        if (core->deadlines[i] <= core->now_ms) {
            if (!room_for_link(step)) {
                core->next_ms = 0;
                core->tick_from = i;
                return;
            }
            step->link = i;
            link_tick(&core->links[i], step);
        }
        note_deadline(core, i);
    }
    core->tick_from = count ? (from + 1) % count : 0;
}

// The rest of the links, when one step can't hold what all of them have to say, goes on with the next tick.
static void extend_all(struct core *core, struct step *step, const struct core_event *event)
{
    for (uint32_t i = 0; i < core->count; i++) {
        struct link *link = &core->links[i];
        struct sender *sender = link_sender(link, event->channel);
        if (link->state == LINK_ABSENT || !sender)
            continue;
        step->link = i;
        if (room_for_link(step)) {
            link_extended(link, step, event->channel, event->extended.end);
        } else {
            sender_extend(sender, event->extended.end);
            link->pending = link->pending || link->state == LINK_LIVE;
        }
        note_deadline(core, i);
    }
}

// Messages of a live session.
static void message(struct link *link, struct step *step, const struct core_event *event)
{
    if (link->state != LINK_LIVE || event->session != link->peer_session)
        return;
    link->heard_ms = step->now_ms;
    switch (event->type) {
    case EVENT_HEADS_WANTED:
        link_heads_wanted(link, step, event->channel);
        break;
    case EVENT_HEADS_ALL:
        link_heads_all(link, step, event->channel);
        break;
    case EVENT_PIECE:
        link_piece(link, step, &event->piece);
        break;
    case EVENT_ACK:
        link_ack(link, step, event);
        break;
    case EVENT_PING:
        link_ping(link, step, event->ping.token, event->ping.reply);
        break;
    case EVENT_ERROR:
        link_error(link, step, event);
        break;
    case EVENT_HEADS:
        link_heads(link, step);
        break;
    default: // EVENT_HEARD
        break;
    }
}

static void one_link(struct link *link, struct step *step, const struct core_event *event)
{
    switch (event->type) {
    case EVENT_LINK_REMOVE:
        link_remove(link, step);
        break;
    case EVENT_OPENED:
        link_opened(link, step);
        break;
    case EVENT_CLOSED:
        link_closed(link, step);
        break;
    case EVENT_HELLO:
        link_hello(link, step, event->hello);
        break;
    case EVENT_ROWS:
        link_rows(link, step, event);
        break;
    case EVENT_EXTENDED:
        link_extended(link, step, event->channel, event->extended.end);
        break;
    case EVENT_HELD:
        link_held(link, step, event->channel, &event->mark);
        break;
    case EVENT_REFUSED:
        link_refused(link, step, event);
        break;
    case EVENT_ERROR: // may answer our hello: there is no session yet
        if (link->state == LINK_GREETING)
            link_error(link, step, event);
        else
            message(link, step, event);
        break;
    default:
        message(link, step, event);
    }
}

void core_step(struct core *core, const struct core_event *event, struct core_updates *ret)
{
    ret->count = 0;
    if (event->now_ms > core->now_ms) // a clock that steps back stands still here
        core->now_ms = event->now_ms;
    struct step step = {.link = event->link,
                        .now_ms = core->now_ms,
                        .fresh = event->fresh,
                        .generation = core->config.generation,
                        .starts = core->config.starts,
                        .admission = &core->admission,
                        .updates = ret};
    if (event->type == EVENT_TICK) {
        tick(core, &step);
        return;
    }
    if (event->type == EVENT_EXTENDED && event->link == UINT32_MAX) {
        extend_all(core, &step, event);
        return;
    }
    if (event->link >= core->config.links_max)
        return;
    if (event->type == EVENT_LINK_ADD)
        reach_link(core, event->link);
    if (event->link >= core->count)
        return;
    struct link *link = &core->links[event->link];
    if (event->type == EVENT_LINK_ADD) {
        assert(event->add.parent == link->parent);
        if (link->state == LINK_ABSENT)
            link_add(link, &step, event);
    } else if (link->state != LINK_ABSENT) {
        one_link(link, &step, event);
    }
    note_deadline(core, event->link);
}

uint64_t core_deadline(const struct core *core) { return core->next_ms; }

bool core_link(const struct core *core, uint32_t link_number, struct core_link_status *ret)
{
    if (link_number >= core->count || core->links[link_number].state == LINK_ABSENT)
        return false;
    const struct link *link = &core->links[link_number];
    *ret = (struct core_link_status){.state = link->state,
                                     .parent = link->parent,
                                     .since_ms = link->since_ms,
                                     .heard_ms = link->heard_ms,
                                     .acknowledged_ms = link->acknowledged_ms,
                                     .session = link->session,
                                     .rate_bytes = link->window.rate,
                                     .in_flight_bytes = window_in_flight(&link->window)};
    for (unsigned i = 0; i < link->senders_count; i++) {
        const struct sender *sender = &link->senders[i];
        unsigned channel = link_sender_channel(link, i);
        ret->repairing = ret->repairing || sender->state == SENDER_HEADS || sender->repair_end;
        ret->channels[channel].end = sender->end;
        ret->channels[channel].headers = sender->headers;
        ret->channels[channel].bodies = sender->bodies;
    }
    return true;
}

bool core_overtaken(const struct core *core, uint32_t link, const struct core_hello *hello)
{
    return link < core->count && link_overtaken(&core->links[link], hello);
}
