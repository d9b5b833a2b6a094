// A session as bytes: what peers say, what the shell does, time passing, in any order and with any numbers, against a real core that has
// a parent and two children. What it promises (relay/core/core.h) is asserted after every step.
#include <stdlib.h>
#include <string.h>

#include "relay/core/link.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"

enum { LINKS = 3, ROWS = 64, TICKS_MAX = 400, STEPS_MAX = 400, POOL = 256 * 1024, OURS = 50, OVERHEAD = 200 };

struct end {
    bool added, live;
    uint64_t session;
    uint64_t ends[CORE_CHANNELS]; // of our streams to it
    uint32_t sizes[CORE_CHANNELS][ROWS + 1];
    uint64_t loaded[CORE_CHANNELS], sent[CORE_CHANNELS];
    struct core_mark marks[CORE_CHANNELS]; // committed: of its streams
    struct core_piece part[CORE_CHANNELS]; // assembled: its `offset` is what is here; position 0: none
    struct core_piece done[CORE_CHANNELS]; // the last complete row that waits for its commit
    uint32_t given;
};

static struct core *core;
static struct end ends[LINKS];
static uint64_t now_ms, fresh;
static unsigned depth;

static bool is_ours(uint32_t link, unsigned channel) { return (core_channel_stream(channel) == 1) == (link == 0); }

static void step(struct core_event event);

// ---- what the core says

static void check_mark(const struct end *end, unsigned channel, uint64_t generation, uint64_t headers, uint64_t bodies)
{
    const struct core_mark *mark = &end->marks[channel];
    MUST(bodies <= headers);
    if (generation == mark->generation)
        MUST(headers <= mark->headers && bodies <= mark->bodies);
    else
        MUST(headers == 0); // nothing is held of another journal
}

static void send_piece(struct end *end, const struct core_update *update)
{
    unsigned channel = update->channel;
    uint64_t position = update->piece.position;
    MUST(end->live && is_ours(update->link, channel) && update->piece.generation == OURS);
    MUST(position > update->piece.after && position <= end->loaded[channel] && position <= end->ends[channel]);
    uint32_t size = end->sizes[channel][position];
    MUST(update->piece.offset <= size && update->piece.length <= size - update->piece.offset && update->piece.length <= FRAME_MAX);
    MUST(update->piece.length > 0 || size == 0);
    if (update->piece.offset + update->piece.length == size)
        end->sent[channel] = position;
}

static void accept_piece(struct end *end, const struct core_update *update)
{
    const struct core_piece *piece = &update->accept.piece;
    struct core_piece *part = &end->part[update->channel];
    MUST(end->live && !is_ours(update->link, update->channel));
    if (piece->offset == 0)
        *part = (struct core_piece){.position = piece->position, .size = piece->size};
    MUST(part->position == piece->position && part->offset == piece->offset && part->size == piece->size);
    part->offset += piece->length;
    part->generation = piece->generation;
    part->after = piece->after;
    MUST(update->accept.complete == (part->offset == part->size));
    if (update->accept.complete) {
        end->done[update->channel] = *part;
        *part = (struct core_piece){0};
    }
}

static void load(const struct core_update *update)
{
    struct end *end = &ends[update->link];
    unsigned channel = update->channel;
    struct core_row rows[CORE_ROWS_MAX];
    struct core_event event = {.type = EVENT_ROWS, .link = update->link, .channel = channel};
    MUST(end->live && is_ours(update->link, channel) && update->load.max <= CORE_ROWS_MAX);
    event.rows.rows = rows;
    event.rows.scanned = update->load.after;
    while (event.rows.scanned < end->ends[channel] && event.rows.count < update->load.max) {
        uint64_t position = ++event.rows.scanned;
        if (update->load.skip && position % 3)
            continue; // the peer's heads cover it
        rows[event.rows.count++] = (struct core_row){.position = position, .size = end->sizes[channel][position], .overhead = OVERHEAD};
    }
    event.rows.more = event.rows.scanned < end->ends[channel];
    if (event.rows.scanned > end->loaded[channel])
        end->loaded[channel] = event.rows.scanned;
    step(event);
}

static void carry_out(const struct core_update *update)
{
    struct end *end = &ends[update->link];
    MUST(update->link < LINKS && end->added && update->channel < CORE_CHANNELS);
    switch (update->type) {
    case UPDATE_DIAL:
        MUST(update->link == 0);
        break;
    case UPDATE_SEND_HELLO:
        end->session = update->hello.session;
        end->given = update->hello.credit_bytes;
        for (unsigned i = 0; i < CORE_CHANNELS; i++)
            if (!is_ours(update->link, i))
                check_mark(end, i, update->hello.held[i].generation, update->hello.held[i].headers, update->hello.held[i].bodies);
        break;
    case UPDATE_SEND_ACK:
        MUST(end->live && !is_ours(update->link, update->channel));
        check_mark(end, update->channel, update->ack.generation, update->ack.headers, update->ack.bodies);
        end->given = update->ack.credit_bytes;
        break;
    case UPDATE_SEND_PIECE:
        send_piece(end, update);
        break;
    case UPDATE_LOAD:
        load(update);
        break;
    case UPDATE_ACCEPT:
        accept_piece(end, update);
        break;
    case UPDATE_STAGE:
        MUST(end->part[update->channel].position);
        break;
    case UPDATE_DISCARD:
        end->part[update->channel] = (struct core_piece){0};
        break;
    case UPDATE_STATE:
        end->live = update->state.to == LINK_LIVE;
        end->added = update->state.to != LINK_ABSENT;
        if (update->state.from == LINK_LIVE)
            end->given = 0;
        if (end->live) {
            memset(end->loaded, 0, sizeof end->loaded);
            memset(end->sent, 0, sizeof end->sent);
        }
        break;
    case UPDATE_ALARM:
        MUST(update->alarm > ALARM_NONE && update->alarm <= ALARM_CLONE);
        break;
    default:
        break;
    }
}

// ---- what holds after every step

static void check_links(void)
{
    uint64_t given = 0;
    for (uint32_t link = 0; link < LINKS; link++) {
        struct core_link_status status;
        bool known = core_link(core, link, &status);
        MUST(known == ends[link].added);
        if (!known)
            continue;
        given += ends[link].given;
        MUST((status.state == LINK_LIVE) == ends[link].live && status.parent == (link == 0));
        uint64_t bound = 4 * status.rate_bytes > WINDOW_START ? 4 * status.rate_bytes : WINDOW_START;
        if (bound > WINDOW_MAX)
            bound = WINDOW_MAX;
        MUST(status.in_flight_bytes <= bound + bound / 2 + FRAME_MAX + OVERHEAD || !ends[link].live);
        for (unsigned channel = 0; channel < CORE_CHANNELS; channel++)
            MUST(status.channels[channel].bodies <= status.channels[channel].headers);
    }
    MUST(given <= POOL);
}

static void step(struct core_event event)
{
    static struct core_updates nested[8];
    MUST(depth < sizeof nested / sizeof *nested);
    struct core_updates *updates = &nested[depth++];
    event.now_ms = now_ms;
    event.fresh = ++fresh;
    core_step(core, &event, updates);
    MUST(updates->count <= CORE_UPDATES_MAX);
    for (uint32_t i = 0; i < updates->count; i++)
        carry_out(&updates->items[i]);
    if (--depth == 0)
        check_links();
}

// The core asks for a tick, gets it, and is content in the end.
static void ticks(void)
{
    for (unsigned i = 0; core_deadline(core) <= now_ms; i++) {
        MUST(i < TICKS_MAX);
        step((struct core_event){.type = EVENT_TICK});
    }
}

// ---- what happens

static void add(uint32_t link)
{
    struct end *end = &ends[link];
    if (end->added)
        return;
    struct core_staged staged[CORE_CHANNELS] = {{0}};
    struct core_event event = {.type = EVENT_LINK_ADD, .link = link};
    end->added = true;
    memset(end->part, 0, sizeof end->part);
    event.add.parent = link == 0;
    event.add.marks = end->marks;
    event.add.ends = end->ends;
    event.add.staged = staged;
    step(event);
}

static void hello(uint32_t link, struct input *input)
{
    static const uint32_t credits[] = {0, 1024, 65536, 1 << 20, UINT32_MAX};
    struct core_hello hello = {.version_min = 1, .version_max = 1, .reply = link == 0};
    uint8_t choice = input_byte(input);
    hello.session = 1 + choice % 4;
    hello.credit_bytes = credits[(choice >> 2) % 5];
    if (choice >= 250)
        hello.version_min = hello.version_max = 2;
    if (choice == 249)
        hello.reply = !hello.reply;
    for (unsigned i = 0; i < CORE_CHANNELS; i++) {
        if (!is_ours(link, i))
            continue;
        uint8_t held = input_byte(input);
        uint64_t headers = held % 32;
        hello.held[i] = (struct core_mark){(const uint64_t[]){0, OURS, OURS, 51}[held >> 6], headers, held & 32 ? headers / 2 : headers};
        if (held & 32)
            hello.staged[i] = (struct core_staged){.position = headers + 1, .offset = 700};
    }
    step((struct core_event){.type = EVENT_HELLO, .link = link, .session = hello.session, .hello = &hello});
}

// A piece that goes on from what is here, or one with some numbers changed.
static void piece(uint32_t link, uint64_t session, struct input *input)
{
    static const uint32_t sizes[] = {0, 1, 300, 1024, 1500, 20000, BATCH_BODY_MAX, DOCUMENT_MAX};
    unsigned channel = input_below(input, CORE_CHANNELS);
    uint8_t choice = input_byte(input), change = input_byte(input);
    struct end *end = &ends[link];
    const struct core_piece *part = &end->part[channel], *done = &end->done[channel];
    struct core_event event = {.type = EVENT_PIECE, .link = link, .session = session, .channel = channel};
    struct core_piece *piece = &event.piece;
    *piece = (struct core_piece){.channel = channel, .generation = 7 + choice % 2, .size = sizes[(choice >> 1) % 8], .overhead = OVERHEAD};
    piece->after = done->position ? done->position : end->marks[channel].headers;
    piece->position = piece->after + 1 + (choice >> 6);
    if (part->position) {
        *piece = *part;
        piece->channel = channel;
    }
    piece->length = piece->size - piece->offset < FRAME_MAX ? piece->size - piece->offset : FRAME_MAX;
    if (piece->length > 1 && change & 1)
        piece->length /= 2;
    uint64_t value = change & 0xfe ? input_byte(input) : 0;
    switch (change >> 1) {
    case 1:
        piece->after = value;
        break;
    case 2:
        piece->position = value;
        break;
    case 3:
        piece->offset = (uint32_t)value * 97;
        break;
    case 4:
        piece->length = (uint32_t)value * 301;
        break;
    case 5:
        piece->size = (uint32_t)value << 16;
        break;
    case 6:
        piece->generation = value;
        break;
    case 7:
        piece->overhead = (uint32_t)value * 211;
        break;
    default:
        break;
    }
    piece->name.bytes[0] = 1;
    step(event);
}

static void acknowledge(uint32_t link, uint64_t session, struct input *input)
{
    unsigned channel = input_below(input, CORE_CHANNELS);
    uint8_t choice = input_byte(input);
    const struct end *end = &ends[link];
    struct core_event event = {.type = EVENT_ACK, .link = link, .session = session, .channel = channel};
    event.ack.generation = choice % 8 == 7 ? 51 : OURS;
    event.ack.headers = choice & 8 ? input_byte(input) : end->sent[channel];
    event.ack.bodies = choice & 16 ? event.ack.headers / 2 : event.ack.headers;
    event.ack.credit_bytes = choice & 32 ? 0 : 65536;
    if (choice & 64) {
        event.ack.received_position = end->sent[channel] + 1;
        event.ack.received_offset = input_byte(input) * 128u;
    }
    step(event);
}

static void extend(uint32_t link, struct input *input)
{
    static const uint32_t sizes[] = {0, 40, 1500, 30000, BATCH_BODY_MAX};
    unsigned channel = input_below(input, CORE_CHANNELS);
    uint32_t size = sizes[input_below(input, 5)];
    bool all = core_channel_stream(channel) == 2;
    for (uint32_t i = 0; i < LINKS; i++)
        if ((all || i == link) && is_ours(i, channel) && ends[i].ends[channel] < ROWS)
            ends[i].sizes[channel][++ends[i].ends[channel]] = size;
    for (uint32_t i = 0; i < LINKS; i++)
        if ((all || i == link) && is_ours(i, channel)) {
            struct core_event event = {.type = EVENT_EXTENDED, .link = i, .channel = channel};
            event.extended.end = ends[i].ends[channel];
            step(event);
        }
}

// Commits what is complete, or refuses it.
static void commit(uint32_t link, struct input *input)
{
    struct end *end = &ends[link];
    uint8_t choice = input_byte(input);
    for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
        struct core_piece row = end->done[channel];
        struct core_mark *mark = &end->marks[channel];
        if (!row.position)
            continue;
        end->done[channel] = (struct core_piece){0};
        struct core_event event = {.type = EVENT_HELD, .link = link, .channel = channel};
        bool gap = row.after != 0 && (row.generation != mark->generation || row.after > mark->headers);
        if (choice % 8 == 7 || gap) {
            event.type = EVENT_REFUSED;
            event.error.fault = gap ? FAULT_GAP : (choice >> 3) % (FAULT_CLONE + 1);
            event.error.retry_ms = choice & 64 ? 2000 : 0;
        } else {
            if (row.generation != mark->generation)
                *mark = (struct core_mark){.generation = row.generation};
            bool whole = mark->bodies == mark->headers && choice % 8 != 6; // 6: its body is withheld
            if (row.position > mark->headers)
                mark->headers = row.position;
            if (whole)
                mark->bodies = mark->headers;
            event.mark = *mark;
        }
        step(event);
    }
}

static void one(struct input *input)
{
    static const uint32_t waits[] = {0, 1, 50, 900, 5000, 11000, 31000, 61000, 121000, 700000};
    uint8_t choice = input_byte(input);
    uint32_t link = choice % LINKS;
    uint64_t session = 1 + (choice >> 2) % 4;
    struct core_event event = {.link = link, .session = session};
    switch (choice / LINKS % 14) {
    case 0:
        event.type = EVENT_OPENED;
        step(event);
        break;
    case 1:
        event.type = EVENT_CLOSED;
        step(event);
        break;
    case 2:
    case 3:
        hello(link, input);
        break;
    case 4:
    case 5:
        piece(link, 1 + input_below(input, 4), input);
        break;
    case 6:
        acknowledge(link, 1 + input_below(input, 4), input);
        break;
    case 7:
        event.type = choice & 1 ? EVENT_HEADS_WANTED : EVENT_HEADS_ALL;
        event.channel = input_below(input, CORE_CHANNELS);
        event.session = 1 + input_below(input, 4);
        step(event);
        break;
    case 8:
        event.type = EVENT_PING;
        event.session = 1 + input_below(input, 4);
        event.ping.reply = choice & 1;
        event.ping.token = input_byte(input) * 300u;
        step(event);
        break;
    case 9:
        event.type = EVENT_ERROR;
        event.session = 1 + input_below(input, 4);
        event.channel = input_below(input, CORE_CHANNELS + 1);
        event.error.fault = input_below(input, FAULT_CLONE + 2);
        event.error.retry_ms = input_byte(input) * 4000u;
        step(event);
        break;
    case 10:
        extend(link, input);
        break;
    case 11:
        commit(link, input);
        break;
    case 12:
        now_ms += waits[input_below(input, sizeof waits / sizeof *waits)];
        break;
    default:
        event.type = EVENT_LINK_REMOVE;
        if (ends[link].added) {
            step(event);
            memset(ends[link].done, 0, sizeof ends[link].done);
            ends[link].given = 0;
        } else {
            add(link);
        }
    }
    ticks();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct core_config config = {.links_max = LINKS, .seed = 3, .generation = OURS, .pool_bytes = POOL};
    struct input input = {data, size};
    core = calloc(1, core_size(&config));
    MUST(core);
    core_init(core, &config);
    memset(ends, 0, sizeof ends);
    now_ms = 1000;
    fresh = 100;
    depth = 0;
    for (uint32_t link = 0; link < LINKS; link++)
        add(link);
    for (unsigned i = 0; i < STEPS_MAX && input.size; i++)
        one(&input);
    free(core);
    return 0;
}
