// What stands in for a station's shell: carries out what its core asks.
#include <assert.h>

#include "relay/core/window.h"
#include "tests/trace/world_inside.h"

static const char *const states[] = {"absent", "down", "dialing", "greeting", "live", "barred"};
static const char *const alarms[] = {"none", "body withheld", "peer restored", "peer holds more", "protocol", "forged", "version"};

static void send_piece(struct world *world, unsigned index, const struct core_update *update)
{
    struct half *half = &world->stations[index]->halves[update->link];
    const struct row *row = &half->streams[update->channel].rows[update->piece.position - 1];
    struct message message = {
        .event = {.type = EVENT_PIECE, .channel = update->channel}, .content = row->content, .bodiless = row->bodiless};
    message.event.piece = (struct core_piece){.channel = update->channel,
                                              .generation = update->piece.generation,
                                              .after = update->piece.after,
                                              .position = update->piece.position,
                                              .size = row->bodiless ? 0 : row->size,
                                              .offset = update->piece.offset,
                                              .length = update->piece.length,
                                              .overhead = update->piece.offset == 0 ? 200 : 0};
    message.event.piece.name.bytes[0] = 1;
    world->counts.pieces++;
    world->counts.bytes += update->piece.length;
    bool urgent = update->channel % LANES == 0;
    half->urgent_behind = urgent || !half->urgent_waits ? 0 : half->urgent_behind + 1;
    if (half->urgent_behind > world->counts.urgent_behind_max)
        world->counts.urgent_behind_max = half->urgent_behind;
    if (urgent)
        half->urgent_waits = half->streams[update->channel].count > update->piece.position ||
                             (!row->bodiless && update->piece.offset + update->piece.length < row->size);
    world_send(world, index, update->link, message);
}

static void load(struct world *world, unsigned index, const struct core_update *update)
{
    struct half *half = &world->stations[index]->halves[update->link];
    const struct stream *stream = &half->streams[update->channel];
    struct core_row rows[CORE_ROWS_MAX];
    struct core_event event = {
        .type = EVENT_ROWS, .link = update->link, .channel = update->channel, .rows = {.rows = rows, .scanned = update->load.after}};
    const struct station *peer = world->stations[half->peer];
    while (event.rows.scanned < stream->count && event.rows.count < update->load.max &&
           event.rows.count < 7) { // fewer than asked now and then
        const struct row *row = &stream->rows[event.rows.scanned++];
        if (update->load.skip && (row->bodiless ? peer->held : peer->body_held)[row->content])
            continue;
        rows[event.rows.count++] =
            (struct core_row){.position = event.rows.scanned, .size = row->bodiless ? 0 : row->size, .overhead = 200};
    }
    event.rows.more = event.rows.scanned < stream->count;
    if (update->channel % LANES == 0 && event.rows.count)
        half->urgent_waits = true;
    world_step(world, index, &event);
}

static void accept_piece(struct world *world, unsigned index, const struct core_update *update, const struct message *message)
{
    struct station *station = world->stations[index];
    struct half *half = &station->halves[update->link];
    struct part *part = &half->parts[update->channel];
    const struct core_piece *piece = &update->accept.piece;
    if (piece->offset == 0)
        *part = (struct part){.position = piece->position, .size = piece->size, .content = message->content, .bodiless = message->bodiless};
    assert(part->position == piece->position && part->size == piece->size && part->offset == piece->offset &&
           part->content == message->content);
    part->generation = piece->generation;
    part->offset += piece->length;
    part->on_disk = false;
    if (!update->accept.complete)
        return;
    assert(part->offset == part->size);
    world_plan(world, (struct happening){.due_ms = world->now_ms + station->commit_ms,
                                         .kind = COMMIT,
                                         .station = index,
                                         .link = update->link,
                                         .starts = station->starts,
                                         .channel = update->channel,
                                         .part = *part});
    *part = (struct part){0};
}

static void dial(struct world *world, unsigned index)
{
    struct station *station = world->stations[index];
    world_say(world, "%s dials %s", station->name, world->stations[station->halves[0].peer]->name);
    world->counts.dials++;
    world_connection_over(world, index, false);
    uint64_t connection = station->dialed = ++world->connections;
    if (station->line.state == LINE_MUTE)
        return;
    bool up = station->line.state == LINE_UP;
    world_plan(world, (struct happening){.due_ms = world->now_ms + 2 * station->line.delay_ms,
                                         .kind = up ? OPENED : CLOSED,
                                         .station = index,
                                         .connection = connection,
                                         .starts = station->starts});
}

static void hang_up(struct world *world, unsigned index, uint32_t link)
{
    world_say(world, "%s hangs up", world->stations[index]->name);
    if (link > 0)
        return;
    world_connection_over(world, index, false);
    world->stations[index]->dialed = 0;
}

static void check_ack(struct world *world, const struct half *half, const struct core_update *update)
{
    const struct core_mark *mark = &half->marks[update->channel];
    if (update->ack.generation == mark->generation && (update->ack.headers > mark->headers || update->ack.bodies > mark->bodies))
        world->counts.acks_beyond++;
    world->counts.acks++;
}

static void carry_out(struct world *world, unsigned index, const struct core_update *update, const struct message *message)
{
    struct station *station = world->stations[index];
    struct half *half = &station->halves[update->link];
    struct message out = {.event = {.channel = update->channel}};
    char name[32];
    world_channel_name(update->channel, name);
    switch (update->type) {
    case UPDATE_DIAL:
        dial(world, index);
        return;
    case UPDATE_HANGUP:
        hang_up(world, index, update->link);
        return;
    case UPDATE_SEND_HELLO:
        world->counts.hellos++;
        half->session = update->hello.session;
        half->urgent_waits = false;
        out.event.type = EVENT_HELLO;
        out.hello = update->hello;
        break;
    case UPDATE_SEND_HEADS:
        out.event.type = EVENT_HEADS_ALL;
        break;
    case UPDATE_WANT_HEADS:
        out.event.type = EVENT_HEADS_WANTED;
        half->urgent_waits = half->urgent_waits && update->channel % LANES != 0;
        break;
    case UPDATE_SEND_PIECE:
        send_piece(world, index, update);
        return;
    case UPDATE_SEND_ACK:
        check_ack(world, half, update);
        out.event.type = EVENT_ACK;
        out.event.ack = update->ack;
        break;
    case UPDATE_SEND_PING:
        out.event.type = EVENT_PING;
        out.event.ping = update->ping;
        break;
    case UPDATE_SEND_ERROR:
        out.event.type = EVENT_ERROR;
        out.event.error = update->error;
        break;
    case UPDATE_LOAD:
        load(world, index, update);
        return;
    case UPDATE_ACCEPT:
        accept_piece(world, index, update, message);
        return;
    case UPDATE_STAGE:
        world_say(world, "%s stages %s %llu to byte %u", station->name, name, (unsigned long long)half->parts[update->channel].position,
                  half->parts[update->channel].offset);
        assert(half->parts[update->channel].position);
        half->parts[update->channel].on_disk = true;
        return;
    case UPDATE_DISCARD:
        world_say(world, "%s discards what it had of %s", station->name, name);
        half->parts[update->channel] = (struct part){0};
        return;
    case UPDATE_STATE:
        world_say(world, "%s: link to %s %s", station->name, world->stations[half->peer]->name, states[update->state.to]);
        return;
    case UPDATE_ALARM:
        world->counts.alarms[update->alarm]++;
        world_say(world, "%s ALARM %s, %s%s%s", station->name, alarms[update->alarm], world->stations[half->peer]->name,
                  update->alarm == ALARM_VERSION ? "" : ", ", update->alarm == ALARM_VERSION ? "" : name);
        return;
    }
    world_send(world, index, update->link, out);
}

static void check_windows(struct world *world, unsigned index)
{
    const struct station *station = world->stations[index];
    for (uint32_t link = 0; link < station->links; link++) {
        struct core_link_status status;
        if (!core_link(station->core, link, &status))
            continue;
        uint64_t bound = 4 * status.rate_bytes; // a second's worth, up to four on a long line; urgent half as much again
        if (bound < WINDOW_START)
            bound = WINDOW_START;
        if (status.in_flight_bytes > bound + bound / 2 + FRAME_MIN)
            world->counts.over_window++;
    }
}

void world_step_with(struct world *world, unsigned index, struct core_event *event, const struct message *message)
{
    assert(world->nested < NEST_MAX);
    event->now_ms = world->now_ms;
    event->fresh = world_draw(world);
    struct core_updates *updates = world->updates[world->nested++];
    core_step(world->stations[index]->core, event, updates);
    for (uint32_t i = 0; i < updates->count; i++)
        carry_out(world, index, &updates->items[i], message);
    world->nested--;
    check_windows(world, index);
}

void world_step(struct world *world, unsigned index, const struct core_event *given)
{
    struct core_event event = *given;
    world_step_with(world, index, &event, NULL);
}
