// Clock, lines and faults of a world, and how its stations are made.
#include "tests/trace/world_inside.h"

#include <assert.h>

void *world_must(void *memory)
{
    if (!memory)
        abort();
    return memory;
}

uint64_t world_draw(struct world *world)
{
    uint64_t z = world->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

// ---- happenings: a heap by time, then by order

static bool sooner(const struct happening *a, const struct happening *b)
{
    return a->due_ms != b->due_ms ? a->due_ms < b->due_ms : a->order < b->order;
}

void world_plan(struct world *world, struct happening happening)
{
    if (world->heap_count == world->heap_room) {
        world->heap_room = world->heap_room ? 2 * world->heap_room : 64;
        world->heap = world_must(realloc(world->heap, world->heap_room * sizeof *world->heap));
    }
    happening.order = ++world->order;
    uint32_t i = world->heap_count++;
    for (; i > 0 && sooner(&happening, &world->heap[(i - 1) / 2]); i = (i - 1) / 2)
        world->heap[i] = world->heap[(i - 1) / 2];
    world->heap[i] = happening;
}

static struct happening next_happening(struct world *world)
{
    struct happening first = world->heap[0], last = world->heap[--world->heap_count];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= world->heap_count)
            break;
        if (child + 1 < world->heap_count && sooner(&world->heap[child + 1], &world->heap[child]))
            child++;
        if (!sooner(&world->heap[child], &last))
            break;
        world->heap[i] = world->heap[child];
        i = child;
    }
    if (world->heap_count)
        world->heap[i] = last;
    return first;
}

// ---- lines

struct half *world_other_half(struct world *world, const struct half *half)
{
    return &world->stations[half->peer]->halves[half->peer_link];
}

static struct world_line *line_of(struct world *world, unsigned station, uint32_t link)
{
    return &world->stations[link == 0 ? station : world->stations[station]->halves[link].peer]->line;
}

static uint32_t message_bytes(const struct core_event *event)
{
    return event->type == EVENT_PIECE ? 60 + event->piece.length + event->piece.overhead : event->type == EVENT_HELLO ? 400 : 60;
}

void world_send(struct world *world, unsigned from, uint32_t link, struct message message)
{
    struct station *station = world->stations[from];
    struct half *half = &station->halves[link];
    struct world_line *line = line_of(world, from, link);
    char text[1024];
    message.event.session = half->session;
    world_describe(&message, text, sizeof text);
    if (line->state == LINE_MUTE)
        half->dead = half->connection;
    bool lost =
        half->connection == 0 || half->connection == half->dead || line->state != LINE_UP || world_draw(world) % 1000 < line->lose_in_1000;
    if (message.event.type != EVENT_PING || world->pings)
        world_say(world, "%s -> %s  %s%s", station->name, world->stations[half->peer]->name, text, lost ? "  (lost)" : "");
    if (lost)
        return;
    uint64_t start = half->free_ms > world->now_ms ? half->free_ms : world->now_ms;
    half->free_ms = start + (line->rate ? (uint64_t)message_bytes(&message.event) * 1000 / line->rate : 0);
    if (half->due_ms < half->free_ms + line->delay_ms)
        half->due_ms = half->free_ms + line->delay_ms;
    int copies = world_draw(world) % 1000 < line->repeat_in_1000 ? 2 : 1;
    for (int i = 0; i < copies; i++) {
        struct message *sent = world_must(malloc(sizeof *sent));
        *sent = message;
        world_plan(world, (struct happening){.due_ms = half->due_ms,
                                             .kind = MESSAGE,
                                             .station = half->peer,
                                             .link = half->peer_link,
                                             .connection = half->connection,
                                             .message = sent});
    }
}

void world_connection_over(struct world *world, unsigned child, bool tell)
{
    struct half *half = &world->stations[child]->halves[0];
    if (half->connection && tell)
        world_plan(world, (struct happening){.due_ms = world->now_ms,
                                             .kind = CLOSED,
                                             .made = true,
                                             .station = child,
                                             .connection = half->connection,
                                             .starts = world->stations[child]->starts});
    half->connection = 0;
    world_other_half(world, half)->connection = 0;
}

// ---- what happens

static void arrive(struct world *world, const struct happening *happening)
{
    struct message *message = happening->message;
    struct half *half = &world->stations[happening->station]->halves[happening->link];
    struct half *sender = world_other_half(world, half);
    if (line_of(world, happening->station, happening->link)->state == LINE_MUTE)
        sender->dead = happening->connection;
    if (half->connection == happening->connection && sender->dead != happening->connection) {
        struct core_event event = message->event;
        event.link = happening->link;
        if (event.type == EVENT_HELLO)
            event.hello = &message->hello;
        if (event.type == EVENT_ACK && event.ack.generation == world->stations[happening->station]->generation)
            half->acknowledged[event.channel] = (struct core_mark){event.ack.generation, event.ack.headers, event.ack.bodies};
        world_step_with(world, happening->station, &event, message);
    }
    free(message);
}

static void commit(struct world *world, const struct happening *happening)
{
    struct station *station = world->stations[happening->station];
    struct half *half = &station->halves[happening->link];
    const struct part *part = &happening->part;
    unsigned channel = happening->channel;
    char name[32];
    struct core_event event = {.type = EVENT_HELD, .link = happening->link, .channel = channel};
    if (station->refuse) {
        event.type = EVENT_REFUSED;
        event.error.fault = station->refuse;
        station->refuse = 0;
        world_say(world, "%s refuses %s %llu (%s)", station->name, world_channel_name(channel, name), (unsigned long long)part->position,
                  world_fault_name(event.error.fault));
        world_step(world, happening->station, &event);
        return;
    }
    bool new = !station->held[part->content], lacks = part->bodiless;
    world_say(world, "%s commits %s %llu%s", station->name, world_channel_name(channel, name), (unsigned long long)part->position,
              new ? "" : " again");
    world->counts.commits++;
    world->counts.repeats += !new;
    if (new) {
        uint32_t count = half->received_count[channel]++;
        half->received[channel] = world_must(realloc(half->received[channel], (count + 1) * sizeof **half->received));
        half->received[channel][count] = part->content;
    }
    station->held[part->content] = true;
    station->body_held[part->content] = station->body_held[part->content] || !lacks;
    struct core_mark *mark = &half->marks[channel];
    if (mark->generation != part->generation)
        *mark = (struct core_mark){.generation = part->generation};
    if (!lacks && mark->bodies == mark->headers)
        mark->bodies = part->position;
    mark->headers = part->position;
    if (mark->bodies > mark->headers)
        mark->bodies = mark->headers;
    event.mark = *mark;
    world_step(world, happening->station, &event);
}

static void opened(struct world *world, const struct happening *happening)
{
    struct station *station = world->stations[happening->station];
    if (happening->starts != station->starts || station->line.state != LINE_UP || happening->connection != station->dialed)
        return;
    struct half *half = &station->halves[0], *other = world_other_half(world, half);
    half->connection = other->connection = happening->connection;
    half->free_ms = other->free_ms = half->due_ms = other->due_ms = 0;
    half->session = 0;
    world_step(world, happening->station, &(struct core_event){.type = EVENT_OPENED});
}

static void happen(struct world *world, const struct happening *happening)
{
    struct station *station = world->stations[happening->station];
    switch (happening->kind) {
    case MESSAGE:
        arrive(world, happening);
        break;
    case OPENED:
        opened(world, happening);
        break;
    case CLOSED:
        if (happening->starts == station->starts && happening->connection == station->dialed) {
            world_say(world, "%s: %s", station->name, happening->made ? "connection broken" : "no connection");
            world_step(world, happening->station, &(struct core_event){.type = EVENT_CLOSED});
        }
        break;
    case COMMIT:
        if (happening->starts == station->starts)
            commit(world, happening);
        break;
    }
}

uint64_t world_now(const struct world *world) { return world->now_ms; }

static bool tick_one(struct world *world)
{
    for (unsigned i = 0; i < world->count; i++)
        if (core_deadline(world->stations[i]->core) <= world->now_ms) {
            world_step(world, i, &(struct core_event){.type = EVENT_TICK});
            return true;
        }
    return false;
}

void world_run(struct world *world, uint64_t ms)
{
    uint64_t end = world->now_ms + ms;
    for (;;) {
        while (world->heap_count && world->heap[0].due_ms <= world->now_ms) {
            struct happening happening = next_happening(world);
            happen(world, &happening);
        }
        if (tick_one(world))
            continue;
        uint64_t next = world->heap_count ? world->heap[0].due_ms : UINT64_MAX;
        for (unsigned i = 0; i < world->count; i++)
            if (core_deadline(world->stations[i]->core) < next)
                next = core_deadline(world->stations[i]->core);
        if (next > end)
            break;
        world->now_ms = next;
    }
    world->now_ms = end;
}

static bool settled(const struct world *world)
{
    for (unsigned i = 0; i < world->count; i++)
        for (uint32_t link = 0; link < world->stations[i]->links; link++) {
            struct core_link_status status;
            if (!core_link(world->stations[i]->core, link, &status))
                continue;
            if (status.state != LINK_LIVE || status.repairing)
                return false;
            for (unsigned channel = 0; channel < CORE_CHANNELS; channel++)
                if (status.channels[channel].headers != status.channels[channel].end)
                    return false;
        }
    return true;
}

bool world_settle(struct world *world, uint64_t ms)
{
    for (uint64_t spent = 0; spent < ms && !settled(world); spent += 20)
        world_run(world, 20);
    return settled(world);
}

// ---- making and breaking

struct world *world_create(uint64_t seed, bool story)
{
    struct world *world = world_must(calloc(1, sizeof *world));
    world->random = seed;
    world->story = story;
    world->pings = true;
    world->pool = 32 * 1024 * 1024;
    world->now_ms = 1000;
    for (unsigned i = 0; i < NEST_MAX; i++)
        world->updates[i] = world_must(malloc(sizeof **world->updates));
    return world;
}

void world_destroy(struct world *world)
{
    if (!world)
        return;
    for (unsigned i = 0; i < world->count; i++) {
        struct station *station = world->stations[i];
        for (unsigned link = 0; link < LINKS_MAX; link++)
            for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
                free(station->halves[link].streams[channel].rows);
                free(station->halves[link].received[channel]);
            }
        free(station->core);
        free(station);
    }
    for (uint32_t i = 0; i < world->heap_count; i++)
        free(world->heap[i].message);
    for (unsigned i = 0; i < NEST_MAX; i++)
        free(world->updates[i]);
    free(world->heap);
    free(world->text);
    free(world);
}

static void start_core(struct world *world, unsigned index)
{
    struct station *station = world->stations[index];
    struct core_config config = {.links_max = LINKS_MAX,
                                 .seed = world_draw(world),
                                 .generation = station->generation,
                                 .starts = station->starts + 1,
                                 .pool_bytes = station->pool};
    free(station->core);
    station->core = world_must(calloc(1, core_size(&config)));
    core_init(station->core, &config);
    station->starts++;
}

static void add_link(struct world *world, unsigned index, uint32_t link)
{
    struct half *half = &world->stations[index]->halves[link];
    uint64_t ends[CORE_CHANNELS];
    struct core_staged staged[CORE_CHANNELS] = {0};
    for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
        const struct part *part = &half->parts[channel];
        ends[channel] = half->streams[channel].count;
        if (part->position)
            staged[channel] = (struct core_staged){.position = part->position, .offset = part->offset, .size = part->size};
    }
    struct core_event event = {.type = EVENT_LINK_ADD, .link = link};
    event.add.parent = link == 0;
    event.add.marks = half->marks;
    event.add.ends = ends;
    event.add.acknowledged = half->acknowledged;
    event.add.staged = staged;
    world_step(world, index, &event);
}

void world_pool(struct world *world, uint32_t bytes) { world->pool = bytes; }

unsigned world_station(struct world *world, const char *name, unsigned parent)
{
    assert(world->count < WORLD_STATIONS_MAX);
    unsigned index = world->count++;
    struct station *station = world->stations[index] = world_must(calloc(1, sizeof *station));
    snprintf(station->name, sizeof station->name, "%s", name);
    station->generation = 100 + index;
    station->pool = world->pool;
    station->commit_ms = 2;
    station->links = 1; // 0 is kept for the parent
    station->line = (struct world_line){.delay_ms = 20};
    start_core(world, index);
    if (parent == WORLD_NONE)
        return index;
    struct station *above = world->stations[parent];
    uint32_t link = above->links++;
    assert(link < LINKS_MAX);
    above->halves[link] = (struct half){.peer = index};
    station->halves[0] = (struct half){.peer = parent, .peer_link = link};
    add_link(world, parent, link);
    add_link(world, index, 0);
    return index;
}

struct world_line *world_line(struct world *world, unsigned child) { return &world->stations[child]->line; }

void world_cut(struct world *world, unsigned child) { world_connection_over(world, child, true); }

static void append(struct world *world, unsigned index, uint32_t link, unsigned channel, struct row row)
{
    struct stream *stream = &world->stations[index]->halves[link].streams[channel];
    stream->rows = world_must(realloc(stream->rows, (stream->count + 1) * sizeof *stream->rows));
    stream->rows[stream->count++] = row;
}

uint32_t world_append(struct world *world, unsigned index, unsigned stream, unsigned lane, unsigned peer, uint32_t size, bool bodiless)
{
    assert(world->contents < WORLD_ROWS_MAX);
    struct station *station = world->stations[index];
    struct row row = {.content = world->contents++, .size = size, .bodiless = bodiless};
    struct core_event event = {.type = EVENT_EXTENDED, .link = stream == 2 ? UINT32_MAX : 0, .channel = core_channel(stream, lane)};
    for (uint32_t link = stream == 1 ? 0 : 1; link < (stream == 1 ? 1 : station->links); link++) {
        if (stream == 3 && station->halves[link].peer != peer)
            continue;
        append(world, index, link, event.channel, row);
        event.extended.end = station->halves[link].streams[event.channel].count;
        if (stream == 3)
            event.link = link;
    }
    world_step(world, index, &event);
    return row.content;
}

// The core begins anew with what is committed. Parts that no session's end has staged are lost.
static void begin_again(struct world *world, unsigned index)
{
    struct station *station = world->stations[index];
    start_core(world, index);
    for (uint32_t link = 0; link < station->links; link++) {
        struct half *half = &station->halves[link];
        if (link > 0)
            world_connection_over(world, half->peer, true);
        else if (index != 0)
            world_connection_over(world, index, false);
        for (unsigned channel = 0; channel < CORE_CHANNELS; channel++)
            if (!half->parts[channel].on_disk)
                half->parts[channel] = (struct part){0};
        half->urgent_waits = false;
        half->session = 0;
        if (link > 0 || index != 0)
            add_link(world, index, link);
    }
}

void world_restart(struct world *world, unsigned index)
{
    world_say(world, "%s crashes and starts", world->stations[index]->name);
    begin_again(world, index);
}

void world_restore(struct world *world, unsigned index, uint32_t rows)
{
    struct station *station = world->stations[index];
    world_say(world, "%s is restored from a backup", station->name);
    for (uint32_t link = 0; link < station->links; link++)
        for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
            struct stream *stream = &station->halves[link].streams[channel];
            stream->count = stream->count > rows ? stream->count - rows : 0;
            station->halves[link].acknowledged[channel] = (struct core_mark){0};
        }
    station->generation += 1000;
    begin_again(world, index);
}

void world_forget(struct world *world, unsigned index, uint32_t rows)
{
    struct station *station = world->stations[index];
    world_say(world, "%s loses the last it received", station->name);
    for (uint32_t link = 0; link < station->links; link++)
        for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
            struct half *half = &station->halves[link];
            for (uint32_t i = 0; i < rows && half->received_count[channel] > 0; i++) {
                uint32_t content = half->received[channel][--half->received_count[channel]];
                station->held[content] = station->body_held[content] = false;
            }
            half->marks[channel].headers = half->marks[channel].bodies = half->received_count[channel];
            half->parts[channel] = (struct part){0};
        }
    begin_again(world, index);
}

void world_stray(struct world *world, unsigned from, unsigned to, const struct core_event *given)
{
    for (uint32_t link = 0; link < world->stations[to]->links; link++) {
        struct half *half = &world->stations[to]->halves[link];
        if (half->peer != from || (link == 0 && to == 0))
            continue;
        struct core_event event = *given;
        event.link = link;
        event.session = event.session ? event.session : world_other_half(world, half)->session;
        world_step(world, to, &event);
    }
}

void world_refuse_next(struct world *world, unsigned index, uint32_t fault) { world->stations[index]->refuse = fault; }
void world_commit_ms(struct world *world, unsigned index, uint32_t ms) { world->stations[index]->commit_ms = ms; }

static const struct half *half_towards(const struct world *world, unsigned index, unsigned peer, uint32_t *ret_link)
{
    const struct station *station = world->stations[index];
    for (uint32_t link = index == 0 ? 1 : 0; link < station->links; link++)
        if (station->halves[link].peer == peer) {
            *ret_link = link;
            return &station->halves[link];
        }
    abort();
}

uint32_t world_received(const struct world *world, unsigned index, unsigned from, unsigned stream, unsigned lane, const uint32_t **ret)
{
    uint32_t link;
    const struct half *half = half_towards(world, index, from, &link);
    *ret = half->received[core_channel(stream, lane)];
    return half->received_count[core_channel(stream, lane)];
}

uint32_t world_sent(const struct world *world, unsigned index, unsigned to, unsigned stream, unsigned lane, const uint32_t **ret)
{
    static uint32_t contents[WORLD_ROWS_MAX];
    uint32_t link;
    const struct stream *sent = &half_towards(world, index, to, &link)->streams[core_channel(stream, lane)];
    for (uint32_t i = 0; i < sent->count; i++)
        contents[i] = sent->rows[i].content;
    *ret = contents;
    return sent->count;
}

bool world_link(const struct world *world, unsigned index, unsigned peer, struct core_link_status *ret)
{
    uint32_t link;
    half_towards(world, index, peer, &link);
    return core_link(world->stations[index]->core, link, ret);
}

const struct world_count *world_count(const struct world *world) { return &world->counts; }
