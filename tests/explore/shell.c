// What stands in for relay/engine*.c, relay/writer.c and relay/receive.c: as they do it, with contents for bytes.
#include "tests/explore/state.h"

#include <assert.h>
#include <string.h>

enum { OVERHEAD = 200 };

static struct core *core_of(unsigned station) { return (struct core *)now.stations[station].core; }
static unsigned child_of_line(unsigned station, unsigned end) { return end == 0 ? station : station + 1; }
static unsigned peer_of(unsigned station, unsigned end) { return end == 0 ? station - 1 : station + 1; }

// ---- lines

static void put(struct queue *queue, const struct message *message, const struct core_hello *hello)
{
    if (queue->count == QUEUE_MAX) {
        violate("more than %d messages on one line", QUEUE_MAX);
        return;
    }
    queue->messages[queue->count++] = *message;
    if (hello)
        queue->hello = *hello;
}

static void send(unsigned station, unsigned end, struct message message, const struct core_hello *hello)
{
    struct line *line = &now.lines[child_of_line(station, end)];
    message.event.session = now.stations[station].session[end];
    bool there = line->connection && (end == 0 || now.stations[station].route[1] == line->connection);
    if (there)
        put(end == 0 ? &line->up : &line->down, &message, hello);
}

void shell_break(unsigned child, bool late)
{
    struct line *line = &now.lines[child];
    line->connection = 0;
    line->down.count = 0;
    if (late)
        line->late = line->up;
    line->up.count = 0;
}

// ---- what a message must not say

// Whether `station` has on its disk what its peer's stream says up to `mark`.
static void check_mark(unsigned station, unsigned end, unsigned channel, uint64_t generation, uint64_t headers)
{
    unsigned peer = peer_of(station, end);
    const struct disk *disk = &now.stations[station].disk, *theirs = &now.stations[peer].disk;
    const struct channel_disk *stream = &theirs->ends[1 - end][channel];
    if (generation != theirs->generation)
        return;
    for (uint64_t i = 0; i < headers && i < stream->count; i++)
        if (!(disk->held & 1u << stream->rows[i]))
            violate("station %u tells station %u that it holds up to %llu of channel %u, and content %u is not on its disk", station, peer,
                    (unsigned long long)headers, channel, stream->rows[i]);
    const struct core_mark *mark = &disk->ends[end][channel].mark;
    if (mark->generation == generation && headers > mark->headers)
        violate("station %u tells a mark of %llu beyond its own of %llu", station, (unsigned long long)headers,
                (unsigned long long)mark->headers);
}

static void check_link(unsigned station, unsigned end)
{
    struct core_link_status status;
    if (!core_link(core_of(station), end, &status))
        return;
    if (status.state == LINK_BARRED)
        violate("station %u bars station %u", station, peer_of(station, end));
    uint64_t bound = 6 * status.rate_bytes > 6 * WINDOW_START ? 6 * status.rate_bytes : 6 * WINDOW_START;
    if (status.in_flight_bytes > bound)
        violate("station %u has %u bytes in flight", station, status.in_flight_bytes);
    for (unsigned channel = 0; channel < CORE_CHANNELS; channel++)
        if (status.channels[channel].headers > status.channels[channel].end && !now.restored)
            violate("station %u believes more is held of channel %u than there is", station, channel);
}

// ---- what the core asks for

static void job_add(struct station *station, enum job_kind kind, unsigned end, unsigned channel)
{
    if (station->job_count == JOBS_MAX) {
        violate("more than %d jobs wait", JOBS_MAX);
        return;
    }
    station->jobs[station->job_count++] = (struct job){.kind = kind,
                                                       .end = (uint8_t)end,
                                                       .channel = (uint8_t)channel,
                                                       .session = station->peer_session[end],
                                                       .part = station->parts[end][channel]};
}

static void accept_piece(unsigned index, unsigned end, const struct core_update *update, const struct message *message)
{
    struct station *station = &now.stations[index];
    const struct core_piece *piece = &update->accept.piece;
    struct part *part = &station->parts[end][update->channel];
    if (piece->offset == 0)
        *part = (struct part){.position = piece->position, .size = piece->size, .content = message->content};
    if (part->position != piece->position || part->offset != piece->offset || part->size != piece->size ||
        part->content != message->content)
        violate("station %u puts a piece of content %u to a part of %u", index, message->content, part->content);
    part->generation = piece->generation;
    part->after = piece->after;
    part->offset += piece->length;
    if (!update->accept.complete)
        return;
    if (part->offset != part->size)
        violate("station %u takes a part for whole", index);
    job_add(station, JOB_ARRIVAL, end, update->channel);
    if (plant == PLANT_EARLY_ACK) {
        struct core_event held = {.type = EVENT_HELD, .link = end, .channel = update->channel};
        held.mark = (struct core_mark){part->generation, part->position, part->position};
        *part = (struct part){0};
        shell_step(index, held, NULL);
        return;
    }
    *part = (struct part){0};
    if (station->disk.ends[end][update->channel].staged.position)
        job_add(station, JOB_UNSTAGE, end, update->channel);
}

static void send_piece(unsigned index, unsigned end, const struct core_update *update)
{
    const struct channel_disk *stream = &now.stations[index].disk.ends[end][update->channel];
    if (update->piece.position == 0 || update->piece.position > stream->count) {
        violate("station %u sends position %llu, which it has not committed", index, (unsigned long long)update->piece.position);
        return;
    }
    struct message message = {.event = {.type = EVENT_PIECE, .channel = update->channel},
                              .content = stream->rows[update->piece.position - 1]};
    message.event.piece = (struct core_piece){.channel = update->channel,
                                              .generation = update->piece.generation,
                                              .after = update->piece.after,
                                              .position = update->piece.position,
                                              .size = contents[message.content].size,
                                              .offset = update->piece.offset,
                                              .length = update->piece.length,
                                              .overhead = update->piece.offset == 0 ? OVERHEAD : 0};
    if (update->piece.offset == 0)
        message.event.piece.name.bytes[0] = (uint8_t)(message.content + 1);
    send(index, end, message, NULL);
}

static void load(unsigned index, unsigned end, const struct core_update *update)
{
    const struct station *station = &now.stations[index];
    const struct channel_disk *stream = &station->disk.ends[end][update->channel];
    struct core_row rows[CORE_ROWS_MAX];
    struct core_event event = {
        .type = EVENT_ROWS, .link = end, .channel = update->channel, .rows = {.rows = rows, .scanned = update->load.after}};
    while (event.rows.scanned < stream->count && event.rows.count < update->load.max) {
        uint8_t content = stream->rows[event.rows.scanned++];
        if (update->load.skip && station->known[end][update->channel] & 1u << content)
            continue;
        rows[event.rows.count++] = (struct core_row){.position = event.rows.scanned, .size = contents[content].size, .overhead = OVERHEAD};
    }
    event.rows.more = event.rows.scanned < stream->count;
    shell_step(index, event, NULL);
}

static void state_changed(unsigned index, unsigned end, const struct core_update *update)
{
    static const char *const names[] = {"absent", "down", "dialing", "greeting", "live", "barred"};
    struct station *station = &now.stations[index];
    say("#       station %u: link to %u %s\n", index, peer_of(index, end), names[update->state.to]);
    if (update->state.from == LINK_LIVE || update->state.to == LINK_DOWN) { // links_session_over()
        memset(station->known[end], 0, sizeof station->known[end]);
        memset(station->asked[end], 0, sizeof station->asked[end]);
    }
}

static void alarm(unsigned index, unsigned end, enum core_alarm alarm)
{
    say("#       station %u ALARM %d about %u\n", index, alarm, peer_of(index, end));
    bool fair = now.restored && (alarm == ALARM_PEER_RESTORED || alarm == ALARM_PEER_HOLDS_MORE);
    if (!fair)
        violate("station %u raises alarm %d about station %u", index, alarm, peer_of(index, end));
}

static void dial_or_hang_up(unsigned index, unsigned end, bool dials)
{
    struct line *line = &now.lines[child_of_line(index, end)];
    if (end == 0) {
        shell_break(index, false);
        line->broken = false;
        line->dialing = dials;
    } else {
        now.stations[index].route[end] = 0;
    }
}

static void carry_out(unsigned index, const struct core_update *update, const struct message *message)
{
    struct station *station = &now.stations[index];
    unsigned end = update->link;
    struct message out = {.event = {.channel = update->channel}};
    switch (update->type) {
    case UPDATE_DIAL:
    case UPDATE_HANGUP:
        dial_or_hang_up(index, end, update->type == UPDATE_DIAL);
        break;
    case UPDATE_SEND_HELLO:
        station->session[end] = update->hello.session;
        for (unsigned channel = 0; channel < CORE_CHANNELS; channel++)
            check_mark(index, end, channel, update->hello.held[channel].generation, update->hello.held[channel].headers);
        out.event.type = EVENT_HELLO;
        send(index, end, out, &update->hello);
        break;
    case UPDATE_SEND_HEADS:
        out.event.type = EVENT_HEADS_ALL;
        out.held = station->disk.held;
        send(index, end, out, NULL);
        break;
    case UPDATE_WANT_HEADS:
        station->known[end][update->channel] = 0;
        station->asked[end][update->channel] = true;
        out.event.type = EVENT_HEADS_WANTED;
        send(index, end, out, NULL);
        break;
    case UPDATE_SEND_PIECE:
        send_piece(index, end, update);
        break;
    case UPDATE_SEND_ACK:
        check_mark(index, end, update->channel, update->ack.generation, update->ack.headers);
        out.event.type = EVENT_ACK;
        out.event.ack = update->ack;
        send(index, end, out, NULL);
        break;
    case UPDATE_SEND_PING:
        out.event.type = EVENT_PING;
        out.event.ping = update->ping;
        send(index, end, out, NULL);
        break;
    case UPDATE_SEND_ERROR:
        out.event.type = EVENT_ERROR;
        out.event.error = update->error;
        send(index, end, out, NULL);
        break;
    case UPDATE_LOAD:
        load(index, end, update);
        break;
    case UPDATE_ACCEPT:
        accept_piece(index, end, update, message);
        break;
    case UPDATE_STAGE:
        job_add(station, JOB_STAGE, end, update->channel);
        break;
    case UPDATE_DISCARD:
        station->parts[end][update->channel] = (struct part){0};
        if (station->disk.ends[end][update->channel].staged.position)
            job_add(station, JOB_UNSTAGE, end, update->channel);
        break;
    case UPDATE_STATE:
        state_changed(index, end, update);
        break;
    case UPDATE_ALARM:
        alarm(index, end, update->alarm);
        break;
    }
}

void shell_step(unsigned index, struct core_event event, const struct message *message)
{
    static struct core_updates nested[4];
    static unsigned depth;
    assert(depth < sizeof nested / sizeof *nested);
    struct core_updates *updates = &nested[depth++];
    event.now_ms = now.stations[index].clock_ms;
    event.fresh = ++now.fresh;
    core_step(core_of(index), &event, updates);
    for (uint32_t i = 0; i < updates->count; i++)
        carry_out(index, &updates->items[i], message);
    for (unsigned end = 0; end < ENDS; end++)
        check_link(index, end);
    depth--;
}

void shell_start(unsigned index)
{
    struct station *station = &now.stations[index];
    if (station->disk.starts)
        station->disk.starts++;
    struct core_config config = {
        .links_max = ENDS, .seed = index, .generation = station->disk.generation, .starts = station->disk.starts, .pool_bytes = 1 << 20};
    assert(core_size(&config) <= sizeof station->core);
    memset(station->core, 0, sizeof station->core);
    core_init(station->core, &config);
    memset(station->parts, 0, sizeof station->parts);
    memset(station->known, 0, sizeof station->known);
    memset(station->asked, 0, sizeof station->asked);
    station->job_count = station->done_count = 0;
    station->grown = false;
    for (unsigned end = 0; end < ENDS; end++) {
        station->session[end] = station->peer_session[end] = station->route[end] = 0;
        if (end == 0 ? index == 0 : index + 1 == STATIONS)
            continue;
        struct core_mark marks[CORE_CHANNELS];
        struct core_staged staged[CORE_CHANNELS] = {{0}};
        uint64_t ends[CORE_CHANNELS];
        for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
            const struct channel_disk *disk = &station->disk.ends[end][channel];
            marks[channel] = disk->mark;
            ends[channel] = disk->count;
            if (!disk->staged.position)
                continue;
            station->parts[end][channel] = disk->staged;
            staged[channel] =
                (struct core_staged){.position = disk->staged.position, .offset = disk->staged.offset, .size = disk->staged.size};
            staged[channel].header.bytes[0] = (uint8_t)(disk->staged.content + 1);
        }
        struct core_event event = {.type = EVENT_LINK_ADD, .link = end};
        event.add.parent = end == 0;
        event.add.marks = marks;
        event.add.ends = ends;
        event.add.staged = staged;
        shell_step(index, event, NULL);
    }
}

// ---- the writer

static void append(struct disk *disk, unsigned end, unsigned channel, unsigned content)
{
    struct channel_disk *stream = &disk->ends[end][channel];
    assert(stream->count < CONTENTS_MAX);
    stream->rows[stream->count++] = (uint8_t)content;
}

// Puts a content that is held now into the streams that it goes on in.
static void route(unsigned index, unsigned content)
{
    struct disk *disk = &now.stations[index].disk;
    unsigned channel = core_channel(contents[content].stream, contents[content].lane);
    bool up = contents[content].stream == 1;
    if (up ? index > 0 : index + 1 < STATIONS)
        append(disk, up ? 0 : 1, channel, content);
}

// Whether the one before it of its feed is held: feed_admit() says ADMIT_GAP otherwise.
static bool follows(const struct disk *disk, unsigned content)
{
    for (unsigned i = content; i-- > 0;)
        if (contents[i].origin == contents[content].origin && contents[i].lane == contents[content].lane &&
            contents[i].stream == contents[content].stream)
            return disk->held & 1u << i;
    return true;
}

// run_arrival() and advance() of relay/writer.c.
static uint32_t arrive(unsigned index, struct job *job)
{
    struct station *station = &now.stations[index];
    const struct part *part = &job->part;
    struct core_mark mark = station->disk.ends[job->end][job->channel].mark;
    bool same = mark.generation == part->generation;
    if (part->after == 0 && (!same || part->position > mark.headers)) {
        if (!same)
            mark = (struct core_mark){.generation = part->generation};
    } else if (!same || part->after > mark.headers) {
        return FAULT_GAP;
    }
    if (!follows(&station->disk, part->content)) {
        if (!now.restored)
            violate("station %u is brought content %u, and lacks the one before", index, part->content);
        return FAULT_GAP;
    }
    if (!(station->disk.held & 1u << part->content)) {
        station->disk.held |= 1u << part->content;
        if (plant != PLANT_LOST_ROW || part->content != 1)
            route(index, part->content);
    }
    if (part->position > mark.headers)
        mark.headers = mark.bodies = part->position;
    job->mark = station->disk.ends[job->end][job->channel].mark = mark;
    return FAULT_NONE;
}

void shell_commit(unsigned index, bool refuse)
{
    struct station *station = &now.stations[index];
    struct disk before = station->disk;
    for (uint32_t i = 0; i < station->job_count; i++) {
        struct job *job = &station->jobs[i];
        struct channel_disk *disk = &station->disk.ends[job->end][job->channel];
        if (refuse)
            job->fault = FAULT_STORE;
        else if (job->kind == JOB_ARRIVAL)
            job->fault = arrive(index, job);
        else
            disk->staged = job->kind == JOB_STAGE ? job->part : (struct part){0};
        say("#       station %u %s a job of channel %u, content %u%s\n", index, refuse ? "can't commit" : "commits", job->channel,
            job->part.content, job->fault == FAULT_GAP ? ": gap" : "");
        if (job->kind == JOB_ARRIVAL && station->done_count < JOBS_MAX)
            station->done[station->done_count++] = *job;
    }
    if (station->disk.held != before.held)
        station->backup = before;
    station->job_count = 0;
    station->grown = true;
}

// after_arrival() and engine_after_commit() of relay/engine_peers.c.
void shell_told(unsigned index)
{
    struct station *station = &now.stations[index];
    struct job done[JOBS_MAX];
    uint32_t count = station->done_count;
    memcpy(done, station->done, sizeof done);
    station->done_count = 0;
    station->grown = false;
    for (uint32_t i = 0; i < count; i++) {
        struct core_event event = {.type = done[i].fault ? EVENT_REFUSED : EVENT_HELD,
                                   .link = done[i].end,
                                   .channel = done[i].channel,
                                   .session = done[i].session};
        if (done[i].fault) {
            event.error.fault = done[i].fault;
            event.error.retry_ms = done[i].fault == FAULT_STORE ? 2000 : 0;
        } else {
            event.mark = done[i].mark;
        }
        if (done[i].fault != FAULT_GAP || done[i].session == station->peer_session[done[i].end])
            shell_step(index, event, NULL);
    }
    for (unsigned end = 0; end < ENDS; end++)
        for (unsigned channel = 0; channel < CORE_CHANNELS; channel++)
            if (station->disk.ends[end][channel].count) {
                struct core_event event = {.type = EVENT_EXTENDED, .link = end, .channel = channel};
                event.extended.end = station->disk.ends[end][channel].count;
                shell_step(index, event, NULL);
            }
}

void shell_record(unsigned content)
{
    unsigned index = contents[content].origin;
    struct station *station = &now.stations[index];
    station->disk.held |= 1u << content;
    station->backup = station->disk; // its marker would tell: a station restored to before its own records needs another incarnation
    route(index, content);
    station->backup = station->disk;
    now.recorded |= 1u << content;
    station->grown = true;
}
