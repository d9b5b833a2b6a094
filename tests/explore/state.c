// The state at hand, and its name.
#include "tests/explore/state.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

struct state now;
const struct content *contents;
uint32_t content_count;
enum plant plant;
char violation[STORY_MAX];
FILE *story;
uint32_t story_lines;

void violate(const char *format, ...)
{
    if (violation[0])
        return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(violation, sizeof violation, format, arguments);
    va_end(arguments);
}

void say(const char *format, ...)
{
    if (!story)
        return;
    if (story_lines && --story_lines == 0) {
        fputs("#   ...\n", story);
        story = NULL;
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vfprintf(story, format, arguments);
    va_end(arguments);
}

void state_init(const struct budget *budget)
{
    memset(&now, 0, sizeof now);
    violation[0] = 0;
    now.budget = *budget;
    now.fresh = 1000;
    for (unsigned i = 0; i < STATIONS; i++) {
        now.stations[i].disk.generation = 100 + i;
        now.stations[i].disk.starts = 1;
        now.stations[i].backup = now.stations[i].disk;
        now.stations[i].clock_ms = 1000;
        shell_start(i);
    }
}

const struct link *state_link(unsigned station, unsigned end)
{
    bool exists = end == 0 ? station > 0 : station + 1 < STATIONS;
    return exists ? &core_links(now.stations[station].core)[end] : NULL;
}

// ---- the name

// Sessions and connections are numbered in the order in which they are met, so that states which differ in their names only are one.
struct naming {
    uint64_t hash;
    uint64_t names[32];
    uint32_t count;
};

static void add(struct naming *naming, uint64_t value)
{
    uint64_t z = (naming->hash ^ value) * UINT64_C(0x9e3779b97f4a7c15) + 1; // splitmix64's mixing (Steele, Lea, Flood 2014)
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    naming->hash = z ^ z >> 27;
}

static void add_name(struct naming *naming, uint64_t name)
{
    uint32_t i = 0;
    while (name && i < naming->count && naming->names[i] != name)
        i++;
    if (name && i == naming->count) {
        assert(i < sizeof naming->names / sizeof *naming->names);
        naming->names[naming->count++] = name;
    }
    add(naming, name ? i + 1 : 0);
}

static void add_mark(struct naming *naming, const struct core_mark *mark)
{
    add(naming, mark->generation);
    add(naming, mark->headers << 32 | mark->bodies);
}

static void add_flight(struct naming *naming, const struct flight *flight, uint32_t confirmed)
{
    for (uint32_t i = 0; i < flight->count; i++) {
        add(naming, flight->groups[i].last);
        add(naming, (uint64_t)(flight->groups[i].upto - confirmed) << 32 | flight->groups[i].bytes);
    }
    add(naming, flight->count);
}

static void add_sender(struct naming *naming, const struct sender *sender, uint32_t confirmed)
{
    add(naming, (uint64_t)sender->state << 56 | (uint64_t)sender->repairs << 48 | (uint64_t)sender->loading << 40 |
                    (uint64_t)sender->extended << 32 | sender->end);
    add(naming, sender->headers << 48 | sender->bodies << 32 | sender->claimed << 16 | sender->high);
    add(naming, sender->after << 48 | sender->best << 32 | sender->scanned << 16 | sender->repair_end);
    add(naming, sender->resume_position << 32 | sender->resume_offset);
    add(naming, (uint64_t)sender->offset << 32 | sender->partial);
    for (uint32_t i = 0; i < sender->count; i++) {
        const struct sender_row *row = &sender->rows[(sender->head + i) % CORE_ROWS_MAX];
        add(naming, (sender->base + row->delta) << 32 | row->size);
    }
    add_flight(naming, &sender->flight, confirmed);
}

static void add_receiver(struct naming *naming, const struct receiver *receiver)
{
    const struct receiver_part *part = &receiver->part;
    add_mark(naming, &receiver->mark);
    add_mark(naming, &receiver->told);
    add(naming, receiver->generation << 32 | receiver->accepted);
    add(naming, (uint64_t)receiver->state << 32 | (uint64_t)receiver->gaps << 24 | (uint64_t)receiver->wants << 16 |
                    (uint64_t)receiver->repairing << 8 | receiver->staged);
    if (part->position)
        add(naming, part->generation << 48 | part->position << 32 | part->offset);
    add_flight(naming, &receiver->flight, 0);
}

static void add_link(struct naming *naming, const struct link *link)
{
    uint32_t confirmed = link->window.confirmed;
    add(naming, (uint64_t)link->state << 56 | (uint64_t)link->pending << 48 | (uint64_t)link->wants << 40 |
                    (uint64_t)link->stretched << 32 | link->credit);
    add(naming, (uint64_t)link->given << 32 | link->given_most);
    add_name(naming, link->session);
    add_name(naming, link->peer_session);
    add(naming, (uint64_t)window_in_flight(&link->window) << 32 | link->window.limit);
    add(naming, window_piece_max(&link->window));
    for (uint32_t i = 0; i < link->trail.count; i++) {
        add(naming, link->trail.points[i].position << 8 | link->trail.points[i].channel);
        add(naming, (uint64_t)link->trail.points[i].offset << 32 | (link->trail.points[i].upto - confirmed));
    }
    for (unsigned lane = 0; lane < LANES; lane++)
        add(naming, (uint64_t)link->lanes.owed[lane] << 8 | link->turn[lane]);
    for (unsigned i = 0; i < link->senders_count; i++)
        add_sender(naming, &link->senders[i], confirmed);
    for (unsigned i = 0; i < link->receivers_count; i++)
        add_receiver(naming, &link->receivers[i]);
}

static void add_part(struct naming *naming, const struct part *part)
{
    add(naming, part->position);
    if (!part->position)
        return;
    add(naming, part->generation << 32 | part->after);
    add(naming, (uint64_t)part->offset << 8 | part->content);
}

static void add_disk(struct naming *naming, const struct disk *disk)
{
    add(naming, disk->generation << 32 | disk->held);
    for (unsigned end = 0; end < ENDS; end++)
        for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
            const struct channel_disk *at = &disk->ends[end][channel];
            add_mark(naming, &at->mark);
            add_part(naming, &at->staged);
            uint64_t rows = at->count;
            for (unsigned i = 0; i < at->count; i++)
                rows = rows << 8 | at->rows[i];
            add(naming, rows);
        }
}

static void add_jobs(struct naming *naming, const struct job *jobs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        add(naming, (uint64_t)jobs[i].kind << 24 | (uint64_t)jobs[i].end << 16 | (uint64_t)jobs[i].channel << 8 | jobs[i].fault);
        add_name(naming, jobs[i].session);
        add_part(naming, &jobs[i].part);
        add_mark(naming, &jobs[i].mark);
    }
    add(naming, count);
}

static void add_queue(struct naming *naming, const struct queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++) {
        const struct message *message = &queue->messages[i];
        const struct core_event *event = &message->event;
        add(naming, (uint64_t)event->type << 32 | event->channel << 16 | message->content);
        add(naming, message->held);
        add_name(naming, event->session);
        if (event->type == EVENT_PIECE) {
            add(naming, event->piece.generation << 32 | event->piece.position);
            add(naming, event->piece.after << 32 | event->piece.offset);
            add(naming, event->piece.length);
        } else if (event->type == EVENT_ACK) {
            add(naming, event->ack.generation << 32 | event->ack.headers << 16 | event->ack.bodies);
            add(naming, event->ack.received_position << 32 | event->ack.received_offset);
            add(naming, event->ack.credit_bytes);
        } else if (event->type == EVENT_ERROR) {
            add(naming, event->error.fault);
        } else if (event->type == EVENT_HELLO) {
            for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
                add_mark(naming, &queue->hello.held[channel]);
                add(naming, queue->hello.staged[channel].position << 32 | queue->hello.staged[channel].offset);
            }
        }
    }
    add(naming, queue->count);
}

static const struct core_hello *hello_in(const struct queue *queue)
{
    for (uint32_t i = 0; i < queue->count; i++)
        if (queue->messages[i].event.type == EVENT_HELLO)
            return &queue->hello;
    return NULL;
}

// Starts and numbers of hellos matter only as they compare with those that the parent's end of the line may still meet.
static void add_order(struct naming *naming, unsigned child)
{
    const struct link *link = state_link(child - 1, 1);
    const struct core_hello *hellos[] = {hello_in(&now.lines[child].up), hello_in(&now.lines[child].late)};
    for (unsigned i = 0; i < 2; i++)
        add(naming, !hellos[i] ? 2 : link_overtaken(link, hellos[i]));
    add(naming, !!now.stations[child].disk.starts);
}

uint64_t state_name(void)
{
    struct naming naming = {.hash = now.recorded | (uint64_t)now.restored << 32};
    const struct budget *left = &now.budget;
    add(&naming, (uint64_t)left->cuts << 40 | (uint64_t)left->crashes << 32 | (uint64_t)left->restores << 24 |
                     (uint64_t)left->lapses << 16 | (uint64_t)left->repeats << 8 | left->refusals);
    for (unsigned i = 0; i < STATIONS; i++) {
        const struct station *station = &now.stations[i];
        add_disk(&naming, &station->disk);
        if (left->restores)
            add_disk(&naming, &station->backup);
        for (unsigned end = 0; end < ENDS; end++) {
            if (state_link(i, end))
                add_link(&naming, state_link(i, end));
            add_name(&naming, station->session[end]);
            add_name(&naming, station->peer_session[end]);
            add_name(&naming, station->route[end]);
            for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
                add_part(&naming, &station->parts[end][channel]);
                add(&naming, (uint64_t)station->known[end][channel] << 1 | station->asked[end][channel]);
            }
        }
        add_jobs(&naming, station->jobs, station->job_count);
        add_jobs(&naming, station->done, station->done_count);
        add(&naming, station->grown);
        const struct line *line = &now.lines[i];
        add_name(&naming, line->connection);
        add(&naming, (uint64_t)line->dialing << 1 | line->broken);
        add_queue(&naming, &line->up);
        add_queue(&naming, &line->down);
        add_queue(&naming, &line->late);
        if (i > 0)
            add_order(&naming, i);
    }
    return naming.hash;
}

// ---- rest

static bool wanted_at(unsigned content, unsigned station)
{
    return contents[content].stream == 1 ? station <= contents[content].origin : station >= contents[content].origin;
}

static bool link_rests(const struct link *link)
{
    if (link->state != LINK_LIVE)
        return false;
    for (unsigned i = 0; i < link->senders_count; i++)
        if (link->senders[i].state != SENDER_RUN || link->senders[i].headers != link->senders[i].end || link->senders[i].repair_end)
            return false;
    return true;
}

bool state_settled(void)
{
    for (unsigned i = 0; i < STATIONS; i++) {
        const struct station *station = &now.stations[i];
        if (station->job_count || station->done_count || station->grown || now.lines[i].dialing || now.lines[i].broken)
            return false;
        if (now.lines[i].up.count || now.lines[i].down.count || now.lines[i].late.count)
            return false;
        for (unsigned content = 0; content < content_count; content++)
            if (wanted_at(content, i) && !(station->disk.held & 1u << content))
                return false;
        for (unsigned end = 0; end < ENDS; end++)
            if (state_link(i, end) && !link_rests(state_link(i, end)))
                return false;
    }
    return true;
}
