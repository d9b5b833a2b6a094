#include "relay/engine.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "link.pb-c.h"
#include "relay/engine_links.h"
#include "relay/enrol.h"
#include "relay/language.h"

enum {
    POOL_BYTES = 32 * 1024 * 1024, // parts in assembly over all links; a quarter of what a 1,300-station herd may cost
    FULL_RETRY_MS = 2000,          // when a full disk refused a row
    TICK_WAIT_MAX_MS = 3600 * 1000,
    PENDING_MAX = 8,           // a step carries out at most one dial and accepts at most one piece
    JOINS_MAX = 512,           // join requests with the writer: as many as may come at once (gate.h); whoever finds no place asks again
    LOOK_AGAIN_MS = 10 * 1000, // after a stream could not be read: for want of memory or readers, or because a row of it is damaged
    TICK_AGAIN_MS = 1000,      // after the writer had no room for a tick
};

uint64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t utc_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

struct engine {
    struct engine_config config;
    struct transport *transport;
    struct core *core;
    struct signers *signers;
    struct links links;
    struct txn *reader; // of this turn of the loop, or NULL
    struct arena arena;
    struct buffer out;
    struct core_updates updates;            // of the step being carried out
    struct core_event pending[PENDING_MAX]; // what carrying them out came to: given to the core next
    uint32_t pending_count;
    struct link_load {
        uint32_t link;
        unsigned channel;
        uint64_t after;
        uint32_t max;
        bool skip;
    } loads[CORE_UPDATES_MAX];
    uint32_t load_count;
    bool tick_running;
    uint64_t tick_ms;       // none before, when the writer had no room for the last one
    uint64_t look_again_ms; // UINT64_MAX: every stream was read as far as it went
    uint32_t joins;         // requests with the writer
    atomic_bool stop;
    const struct transport_event *message;      // being handled
    struct bytes piece_header, piece_signature; // of the push being handled
    bool piece_is_object;
    pthread_mutex_t status_mutex;
    pthread_cond_t status_cond;
    bool running;
    struct status_request *status; // of the asker whose turn it is, in its memory; NULL: nobody's
};

struct status_request {
    struct engine_link *links;
    uint32_t max, count;
    bool answered;
};

static void step(struct engine *engine, const struct core_event *event);

// What happened while updates were carried out: the core hears of it when they all are.
static void later(struct engine *engine, const struct core_event *event)
{
    assert(engine->pending_count < PENDING_MAX);
    engine->pending[engine->pending_count++] = *event;
}

static void report(struct engine *engine, bool alarm, const char *text)
{
    engine->config.hooks.log(engine->config.hooks.context, alarm, text);
}

// One read transaction serves everything that one turn of the loop reads; it ends before the loop waits.
static struct txn *reader(struct engine *engine)
{
    if (!engine->reader)
        engine->reader = txn_begin(engine->config.store, false, NULL);
    return engine->reader;
}

static void reader_end(struct engine *engine)
{
    txn_abort(engine->reader);
    engine->reader = NULL;
}

// ---- sending

static void send_link(struct engine *engine, uint32_t link, struct bytes body)
{
    struct slot *slot = &engine->links.slots[link];
    struct bytes message = buffer_bytes(&engine->out);
    enum error_code code = engine->out.failed ? ERR_MEMORY
                           : slot->parent     ? transport_send_parent(engine->transport, message, body)
                                              : transport_send_child(engine->transport, slot->route, message, body);
    // What could not be sent counts as lost: the stall timer or the next session sends it again.
    if (code == ERR_BUSY)
        slot->dropped++;
    buffer_clear(&engine->out);
}

static const struct bytes no_body = {0};

static void send_hello(struct engine *engine, const struct core_update *update)
{
    struct slot *slot = &engine->links.slots[update->link];
    uint32_t codebook = 0, units = 0;
    engine->config.hooks.documents(engine->config.hooks.context, &codebook, &units);
    slot->session = update->hello.session;
    struct core_hello hello = update->hello;
    hello.ordinal = engine->config.ordinal;
    hello.nonce = engine->config.nonce;
    link_encode_hello(slot->session, &hello, &engine->config.self->hash, codebook, units, &engine->out);
    send_link(engine, update->link, no_body);
}

static void send_piece(struct engine *engine, const struct core_update *update)
{
    struct slot *slot = &engine->links.slots[update->link];
    struct outgoing_row *row = links_outgoing_find(slot, update->channel, update->piece.position);
    if (!row || update->piece.offset + update->piece.length > row->content.size) {
        // The rows were dropped with an older session: this piece belongs to none.
        return;
    }
    struct link_push push = {
        .channel = update->channel,
        .generation = update->piece.generation,
        .after = update->piece.after,
        .position = update->piece.position,
        .is_object = row->is_object,
        .bodiless = row->bodiless,
        .header = buffer_bytes(&row->header),
        .signature = bytes_of(row->signature, SIGNATURE_SIZE),
        .object = row->object,
        .size = (uint32_t)row->content.size,
        .offset = update->piece.offset,
    };
    link_encode_push(slot->session, &push, &engine->out);
    send_link(engine, update->link, bytes_of(row->content.data ? row->content.data + update->piece.offset : NULL, update->piece.length));
    if (update->piece.offset + update->piece.length == row->content.size)
        links_outgoing_sent(slot, update->channel, update->piece.position);
}

static void send_heads(struct engine *engine, const struct core_update *update)
{
    struct head heads[HEADS_PAGE_MAX];
    struct txn *txn = reader(engine);
    uint32_t id = 1, count = 0;
    bool last = !txn; // then as if we held nothing: duplicates come, no harm
    do {
        if (txn)
            count = links_heads(txn, update->channel, &id, heads, HEADS_PAGE_MAX, &last);
        link_encode_heads(engine->links.slots[update->link].session, update->channel, heads, count, last, false, &engine->out);
        send_link(engine, update->link, no_body);
    } while (!last);
}

// ---- what the core asks for

static void log_state(struct engine *engine, const struct core_update *update)
{
    static const char *const names[] = {"absent", "down", "dialing", "greeting", "live", "barred"};
    struct slot *slot = &engine->links.slots[update->link];
    if (update->state.from == LINK_LIVE || update->state.to == LINK_DOWN)
        links_session_over(&engine->links, slot);
    char id[2 * STATION_ID_SIZE + 1], text[160];
    crypto_hex(bytes_of(slot->station.bytes, STATION_ID_SIZE), id);
    snprintf(text, sizeof text, "link %s %.8s: %s", slot->parent ? "parent" : "child", id, names[update->state.to]);
    if (update->state.to == LINK_LIVE || update->state.from == LINK_LIVE || update->state.to == LINK_BARRED)
        report(engine, update->state.to == LINK_BARRED, text);
}

static enum error_code run_alarm(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    alarm_add(txn, argument);
    return OK;
}

static void alarm_written(void *argument, enum error_code code, const struct error *error)
{
    (void)code;
    (void)error;
    free(argument);
}

static void raise_alarm(struct engine *engine, const struct core_update *update)
{
    static const char *const kinds[] = {"none", "body-withheld", "peer-restored", "peer-holds-more", "protocol", "forged", "version"};
    struct alarm *alarm = calloc(1, sizeof *alarm);
    if (!alarm)
        return;
    char id[2 * STATION_ID_SIZE + 1];
    crypto_hex(bytes_of(engine->links.slots[update->link].station.bytes, STATION_ID_SIZE), id);
    alarm->time_ms = utc_ms();
    snprintf(alarm->kind, sizeof alarm->kind, "%s", kinds[update->alarm]);
    snprintf(alarm->text, sizeof alarm->text, "station %s, stream %u, lane %u", id, core_channel_stream(update->channel),
             core_channel_lane(update->channel));
    char text[320];
    snprintf(text, sizeof text, "%s: %s", alarm->kind, alarm->text);
    report(engine, true, text);
    struct call_job call = {.run = run_alarm, .finished = alarm_written, .argument = alarm};
    if (writer_submit_call(engine->config.writer, &call) != OK)
        free(alarm);
}

static void dial(struct engine *engine)
{
    struct error error = {0};
    if (transport_dial(engine->transport, engine->config.parent_endpoint, &engine->config.parent->transport_key, &error) == OK)
        return;
    report(engine, true, error.detail);
    struct core_event closed = {.type = EVENT_CLOSED, .now_ms = monotonic_ms(), .link = 0};
    later(engine, &closed);
}

static void hang_up(struct engine *engine, uint32_t link)
{
    struct slot *slot = &engine->links.slots[link];
    if (slot->parent)
        transport_hangup(engine->transport);
    slot->route = 0;
    links_session_over(&engine->links, slot);
}

struct stage_job {
    struct station_id peer;
    unsigned stream, lane;
    struct arrival_job *part;
    uint32_t size;
    struct hash name;
};

static enum error_code run_stage(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    const struct stage_job *stage = argument;
    const struct arrival *part = &stage->part->arrival;
    struct staged staged = {.position = part->position,
                            .header = stage->name,
                            .size = stage->size,
                            .part = buffer_bytes(&part->body),
                            .head = buffer_bytes(&part->header),
                            .signature = buffer_bytes(&part->signature)};
    staged_write(txn, &stage->peer, stage->stream, stage->lane, &staged);
    return OK;
}

static void stage_written(void *argument, enum error_code code, const struct error *error)
{
    (void)code;
    (void)error;
    struct stage_job *stage = argument;
    arrival_finish(&stage->part->arrival);
    free(stage->part);
    free(stage);
}

// Keeps a half-received body on disk; in memory it stays as well, for the next session of this run.
static void stage(struct engine *engine, const struct core_update *update)
{
    struct slot *slot = &engine->links.slots[update->link];
    struct assembly *assembly = slot->assembly[update->channel];
    if (!assembly || assembly->is_object)
        return;
    struct stage_job *stage = calloc(1, sizeof *stage);
    struct arrival_job *part = stage ? links_part_copy(assembly) : NULL;
    if (!part) {
        free(stage);
        return;
    }
    *stage = (struct stage_job){.peer = slot->station,
                                .stream = core_channel_stream(update->channel),
                                .lane = core_channel_lane(update->channel),
                                .part = part,
                                .size = assembly->size,
                                .name = assembly->name};
    struct call_job call = {.run = run_stage, .finished = stage_written, .argument = stage};
    if (writer_submit_call(engine->config.writer, &call) != OK)
        stage_written(stage, ERR_BUSY, NULL);
    else
        slot->staged[update->channel] = true;
}

static enum error_code run_unstage(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    const struct stage_job *stage = argument;
    staged_drop(txn, &stage->peer, stage->stream, stage->lane);
    return OK;
}

static void unstage_written(void *argument, enum error_code code, const struct error *error)
{
    (void)code;
    (void)error;
    free(argument);
}

// The part is complete or of no use any more: it goes from memory, and from the disk if it was kept there.
static void discard(struct engine *engine, struct slot *slot, unsigned channel)
{
    links_discard(slot, channel);
    if (!slot->staged[channel])
        return;
    slot->staged[channel] = false;
    struct stage_job *stage = calloc(1, sizeof *stage);
    if (!stage)
        return;
    *stage = (struct stage_job){.peer = slot->station, .stream = core_channel_stream(channel), .lane = core_channel_lane(channel)};
    struct call_job call = {.run = run_unstage, .finished = unstage_written, .argument = stage};
    if (writer_submit_call(engine->config.writer, &call) != OK)
        free(stage);
}

static void accept_piece(struct engine *engine, const struct core_update *update)
{
    struct slot *slot = &engine->links.slots[update->link];
    const struct core_piece *piece = &update->accept.piece;
    bool kept = links_assemble(slot, update->channel, piece, engine->piece_is_object, engine->piece_header, engine->piece_signature,
                               engine->message->body);
    struct core_event refused = {.type = EVENT_REFUSED,
                                 .now_ms = monotonic_ms(),
                                 .link = update->link,
                                 .channel = update->channel,
                                 .error.fault = SANJI__LINK_FAULT__FAULT_BUSY};
    if (!kept) {
        later(engine, &refused);
        return;
    }
    if (!update->accept.complete)
        return;
    struct arrival_job *job = links_assembled(slot, update->link, update->channel, utc_ms());
    discard(engine, slot, update->channel);
    enum error_code code = job ? OK : ERR_MEMORY;
    if (job) {
        struct txn *txn = reader(engine);
        code = txn ? arrival_check(&job->arrival, engine->signers, txn, NULL) : ERR_NOT_FOUND;
        if (code == OK || code == ERR_NOT_FOUND)
            code = writer_submit_arrival(engine->config.writer, job);
        if (code == OK)
            return;
        arrival_finish(&job->arrival);
        free(job);
    }
    if (code == ERR_FORGED || code == ERR_INPUT || code == ERR_LIMIT || code == ERR_VERSION)
        refused.error.fault = SANJI__LINK_FAULT__FAULT_FORGED;
    later(engine, &refused);
}

static void carry_out(struct engine *engine, const struct core_update *update)
{
    struct slot *slot = &engine->links.slots[update->link];
    switch (update->type) {
    case UPDATE_DIAL:
        dial(engine);
        break;
    case UPDATE_HANGUP:
        hang_up(engine, update->link);
        break;
    case UPDATE_SEND_HELLO:
        send_hello(engine, update);
        break;
    case UPDATE_SEND_HEADS:
        send_heads(engine, update);
        break;
    case UPDATE_WANT_HEADS:
        links_known_ask(&engine->links, slot, update->channel);
        link_encode_heads(slot->session, update->channel, NULL, 0, false, true, &engine->out);
        send_link(engine, update->link, no_body);
        break;
    case UPDATE_SEND_PIECE:
        send_piece(engine, update);
        break;
    case UPDATE_SEND_ACK:
        link_encode_ack(slot->session, update->channel, update->ack.generation, update->ack.headers, update->ack.bodies,
                        update->ack.credit_bytes, update->ack.received_position, update->ack.received_offset, &engine->out);
        send_link(engine, update->link, no_body);
        break;
    case UPDATE_SEND_PING:
        link_encode_ping(slot->session, update->ping.token, update->ping.reply, &engine->out);
        send_link(engine, update->link, no_body);
        break;
    case UPDATE_SEND_ERROR:
        link_encode_error(slot->session, update->channel, update->error.fault, update->error.retry_ms, NULL, &engine->out);
        send_link(engine, update->link, no_body);
        break;
    case UPDATE_LOAD:
        if (engine->load_count < CORE_UPDATES_MAX)
            engine->loads[engine->load_count++] =
                (struct link_load){update->link, update->channel, update->load.after, update->load.max, update->load.skip};
        break;
    case UPDATE_ACCEPT:
        accept_piece(engine, update);
        break;
    case UPDATE_STAGE:
        stage(engine, update);
        break;
    case UPDATE_DISCARD:
        discard(engine, slot, update->channel);
        break;
    case UPDATE_STATE:
        log_state(engine, update);
        break;
    case UPDATE_ALARM:
        raise_alarm(engine, update);
        break;
    }
}

// Runs the core and carries out what it asks, in order.
static void step_once(struct engine *engine, const struct core_event *event)
{
    engine->updates.count = 0;
    core_step(engine->core, event, &engine->updates);
    for (uint32_t i = 0; i < engine->updates.count; i++)
        carry_out(engine, &engine->updates.items[i]);
}

static void load(struct engine *engine, const struct link_load *want)
{
    struct core_row rows[CORE_ROWS_MAX];
    struct core_event event = {
        .type = EVENT_ROWS, .now_ms = monotonic_ms(), .link = want->link, .channel = want->channel, .rows.rows = rows};
    struct txn *txn = reader(engine);
    event.rows.scanned = want->after;
    event.rows.more = true;
    if (txn)
        event.rows.count = links_load(&engine->links.slots[want->link], txn, want->channel, want->after, want->max, want->skip, rows,
                                      &event.rows.scanned, &event.rows.more);
    if (event.rows.more && event.rows.scanned == want->after && engine->look_again_ms == UINT64_MAX)
        engine->look_again_ms = event.now_ms + LOOK_AGAIN_MS; // the core takes it for the stream's end
    struct error error = {0};
    if (txn && txn_report(txn, &error) != OK) {
        report(engine, true, error.detail);
        reader_end(engine);
    }
    step_once(engine, &event);
}

// One event from outside, and all that follows from it. Loads are answered before anything else is told.
static void step(struct engine *engine, const struct core_event *event)
{
    step_once(engine, event);
    while (engine->load_count > 0 || engine->pending_count > 0) {
        if (engine->load_count > 0) {
            struct link_load want = engine->loads[0];
            engine->load_count--;
            memmove(engine->loads, engine->loads + 1, engine->load_count * sizeof *engine->loads);
            load(engine, &want);
        } else {
            struct core_event next = engine->pending[0];
            engine->pending_count--;
            memmove(engine->pending, engine->pending + 1, engine->pending_count * sizeof *engine->pending);
            step_once(engine, &next);
        }
    }
}

static struct core_event event_of(enum core_event_type type, uint32_t link)
{
    return (struct core_event){.type = type, .now_ms = monotonic_ms(), .link = link};
}

// ---- links

static void add_link(struct engine *engine, uint32_t link)
{
    struct core_mark marks[CORE_CHANNELS];
    uint64_t ends[CORE_CHANNELS];
    reader_end(engine); // it must see the commit that enrolled the peer
    struct txn *txn = reader(engine);
    if (!txn)
        return;
    struct core_staged staged[CORE_CHANNELS];
    links_marks(&engine->links.slots[link], txn, marks, ends, staged);
    struct core_event event = event_of(EVENT_LINK_ADD, link);
    event.fresh = crypto_random_u64();
    event.add.parent = engine->links.slots[link].parent;
    event.add.marks = marks;
    event.add.ends = ends;
    event.add.acknowledged = NULL;
    event.add.staged = staged;
    step(engine, &event);
}

static void add_all(struct engine *engine)
{
    if (engine->config.parent) {
        links_set_parent(&engine->links, engine->config.parent);
        add_link(engine, 0);
    }
    struct station_id after = {0};
    struct peer peer;
    uint32_t link;
    while (reader(engine) && peer_next(reader(engine), &after, &peer)) {
        after = peer.station;
        if (!peer.barred && links_add_child(&engine->links, &peer, &link))
            add_link(engine, link);
    }
    reader_end(engine);
}

static bool enrolled(void *context, const struct public_key *key)
{
    struct engine *engine = context;
    uint32_t link;
    return links_find(&engine->links, key, &link);
}

// ---- messages

static void handle_heads(struct engine *engine, uint32_t link, const struct link_in *in)
{
    struct core_event event = event_of(in->heads.want ? EVENT_HEADS_WANTED : EVENT_HEADS_ALL, link);
    event.session = in->session;
    event.channel = in->channel;
    bool taken = !in->heads.want &&
                 links_known_add(&engine->links, &engine->links.slots[link], in->channel, in->heads.heads, in->heads.count, in->heads.last);
    if (!in->heads.want && (!taken || !in->heads.last))
        event.type = EVENT_HEARD;
    step(engine, &event);
}

static void handle_decoded(struct engine *engine, uint32_t link, const struct link_in *in)
{
    struct core_event event = event_of(EVENT_TICK, link);
    event.session = in->session;
    event.channel = in->channel;
    switch (in->type) {
    case LINK_HELLO:
        event.type = EVENT_HELLO;
        event.fresh = crypto_random_u64();
        event.hello = &in->hello.hello;
        break;
    case LINK_HEADS:
        handle_heads(engine, link, in);
        return;
    case LINK_PUSH:
        event.type = EVENT_PIECE;
        event.piece = in->push.piece;
        engine->piece_header = in->push.header;
        engine->piece_signature = in->push.signature;
        engine->piece_is_object = in->push.is_object;
        break;
    case LINK_ACK:
        event.type = EVENT_ACK;
        event.ack.generation = in->ack.generation;
        event.ack.headers = in->ack.headers;
        event.ack.bodies = in->ack.bodies;
        event.ack.credit_bytes = in->ack.credit_bytes;
        event.ack.received_position = in->ack.received_position;
        event.ack.received_offset = in->ack.received_offset;
        break;
    case LINK_PING:
        event.type = EVENT_PING;
        event.ping.token = in->ping.token;
        event.ping.reply = in->ping.reply;
        break;
    case LINK_ERROR:
        event.type = EVENT_ERROR;
        event.error.fault = in->error.fault;
        event.error.retry_ms = in->error.retry_ms;
        break;
    case LINK_GRANT:
        event.type = EVENT_HEARD; // a station that was not restored asked for none
        break;
    }
    step(engine, &event);
}

static void handle_message(struct engine *engine, const struct transport_event *message)
{
    uint32_t link;
    if (!links_find(&engine->links, &message->peer, &link) || engine->links.slots[link].parent != message->parent)
        return;
    struct slot *slot = &engine->links.slots[link];
    struct link_in in;
    struct error error = {0};
    arena_reset(&engine->arena);
    if (link_decode(message->message, message->body.size, &engine->arena, &in, &error) != OK) {
        struct core_event event = event_of(EVENT_REFUSED, link);
        event.error.fault = SANJI__LINK_FAULT__FAULT_PROTOCOL;
        step(engine, &event);
        return;
    }
    if (in.type == LINK_HELLO) {
        slot->peer_session = in.session;
        if (!message->parent)
            slot->route = message->route;
    }
    engine->message = message;
    handle_decoded(engine, link, &in);
    engine->message = NULL;
}

// ---- enrolment

struct join_job {
    struct engine *engine;
    uint64_t reply_to;
    struct public_key key;
    struct buffer request, reply;
    struct peer peer;
    bool enrolled;
};

static enum error_code run_join(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    struct join_job *job = argument;
    buffer_clear(&job->reply);
    const struct engine_hooks *hooks = &job->engine->config.hooks;
    job->enrolled = hooks->join(hooks->context, txn, &job->key, buffer_bytes(&job->request), &job->reply, &job->peer);
    return OK;
}

static void join_written(void *argument, enum error_code code, const struct error *error)
{
    (void)error;
    struct join_job *job = argument;
    struct engine *engine = job->engine;
    engine->joins--;
    if (code == OK) {
        uint32_t link;
        transport_answer(engine->transport, job->reply_to, buffer_bytes(&job->reply));
        if (job->enrolled && links_add_child(&engine->links, &job->peer, &link))
            add_link(engine, link);
    }
    buffer_finish(&job->request);
    buffer_finish(&job->reply);
    free(job);
}

static void handle_join(struct engine *engine, const struct transport_event *message)
{
    // Anyone may send here: what can't be a request, and what is too much, costs no more than this.
    if (message->message.size > JOIN_REQUEST_MAX || engine->joins == JOINS_MAX)
        return;
    struct join_job *job = calloc(1, sizeof *job);
    if (!job)
        return;
    job->engine = engine;
    job->reply_to = message->route;
    job->key = message->peer;
    buffer_append(&job->request, message->message.data, message->message.size);
    struct call_job call = {.run = run_join, .finished = join_written, .argument = job};
    if (job->request.failed || writer_submit_call(engine->config.writer, &call) != OK) {
        buffer_finish(&job->request);
        free(job);
        return;
    }
    engine->joins++;
}

// ---- what the writer has done

static void after_arrival(struct engine *engine, struct arrival_job *job)
{
    struct core_event event = event_of(EVENT_HELD, job->link);
    event.channel = job->channel;
    event.session = job->session;
    if (job->code == OK && (job->outcome == RECEIVED || job->outcome == RECEIVED_BODILESS)) {
        event.mark = (struct core_mark){job->mark.generation, job->mark.headers, job->mark.bodies};
    } else {
        event.type = EVENT_REFUSED;
        event.error.fault = job->code != OK                   ? SANJI__LINK_FAULT__FAULT_STORE
                            : job->outcome == RECEIVED_FORGED ? SANJI__LINK_FAULT__FAULT_FORGED
                                                              : SANJI__LINK_FAULT__FAULT_GAP;
        event.error.retry_ms = job->code != OK ? FULL_RETRY_MS : 0;
    }
    // A gap in what an older session brought says nothing about this one, which goes on from what was committed.
    if (event.type == EVENT_HELD || event.error.fault != SANJI__LINK_FAULT__FAULT_GAP ||
        job->session == engine->links.slots[job->link].peer_session)
        step(engine, &event);
    arrival_finish(&job->arrival);
    free(job);
}

static void extended(struct engine *engine, uint32_t link, unsigned stream, unsigned lane, uint64_t end)
{
    struct core_event event = event_of(EVENT_EXTENDED, link);
    event.channel = core_channel(stream, lane);
    event.extended.end = end;
    step(engine, &event);
}

// Tells the core where all our streams end, whatever it was told before.
static void look_again(struct engine *engine)
{
    engine->look_again_ms = UINT64_MAX;
    for (uint32_t i = 0; i < engine->links.count; i++)
        for (unsigned channel = 0; engine->links.slots[i].used && channel < CORE_CHANNELS; channel++) {
            struct txn *txn = reader(engine);
            uint64_t end = txn ? links_end(&engine->links.slots[i], txn, channel) : 0;
            if (!txn || txn_error(txn) != OK) {
                reader_end(engine);
                engine->look_again_ms = monotonic_ms() + LOOK_AGAIN_MS;
                continue;
            }
            if (end)
                extended(engine, i, core_channel_stream(channel), core_channel_lane(channel), end);
        }
}

static void after_commit(struct engine *engine)
{
    struct grown grown;
    struct arrival_job *job;
    reader_end(engine); // what follows must see the commit
    while ((job = writer_take(engine->config.writer, &grown)))
        after_arrival(engine, job);
    reader_end(engine); // nor must a commit be missed that came while those were handled: `grown` names it
    for (unsigned lane = 1; lane <= LANES; lane++) {
        if (grown.up[lane - 1] && engine->config.parent)
            extended(engine, 0, SANJI__STREAM__STREAM_UP, lane, grown.up[lane - 1]);
        if (grown.down_all[lane - 1])
            extended(engine, UINT32_MAX, SANJI__STREAM__STREAM_DOWN_ALL, lane, grown.down_all[lane - 1]);
    }
    for (uint32_t i = 0; i < grown.one_count; i++) {
        uint32_t link;
        if (links_find_station(&engine->links, &grown.one[i].peer, &link))
            extended(engine, link, SANJI__STREAM__STREAM_DOWN_ONE, grown.one[i].lane, grown.one[i].end);
    }
    if (grown.more)
        look_again(engine);
}

// ---- time

static enum error_code run_tick(void *argument, struct txn *txn, struct error *error)
{
    struct engine *engine = argument;
    return engine->config.hooks.tick(engine->config.hooks.context, txn, error);
}

static void tick_written(void *argument, enum error_code code, const struct error *error)
{
    struct engine *engine = argument;
    engine->tick_running = false;
    if (code != OK && code != ERR_FULL)
        report(engine, true, error->detail);
}

static void timers(struct engine *engine)
{
    uint64_t now = monotonic_ms();
    if (core_deadline(engine->core) <= now) {
        struct core_event event = event_of(EVENT_TICK, 0);
        event.fresh = crypto_random_u64();
        step(engine, &event);
    }
    if (engine->look_again_ms <= now)
        look_again(engine);
    if (!engine->tick_running && engine->tick_ms <= now && engine->config.hooks.due_ms(engine->config.hooks.context) == 0) {
        struct call_job call = {.run = run_tick, .finished = tick_written, .argument = engine};
        engine->tick_running = writer_submit_call(engine->config.writer, &call) == OK;
        if (!engine->tick_running)
            engine->tick_ms = now + TICK_AGAIN_MS;
    }
}

static int timeout_ms(struct engine *engine)
{
    uint64_t now = monotonic_ms(), at = core_deadline(engine->core);
    int64_t due = engine->tick_running ? -1 : engine->config.hooks.due_ms(engine->config.hooks.context);
    uint64_t tick = due < 0 ? UINT64_MAX : now + (uint64_t)due > engine->tick_ms ? now + (uint64_t)due : engine->tick_ms;
    if (tick < at)
        at = tick;
    if (engine->look_again_ms < at)
        at = engine->look_again_ms;
    if (at == UINT64_MAX)
        return -1;
    if (at <= now)
        return 0;
    return (int)(at - now < TICK_WAIT_MAX_MS ? at - now : TICK_WAIT_MAX_MS);
}

// ---- status

static void answer_status(struct engine *engine)
{
    pthread_mutex_lock(&engine->status_mutex);
    struct status_request *request = engine->status;
    if (request) {
        for (uint32_t i = 0; i < engine->links.count && request->count < request->max; i++) {
            struct slot *slot = &engine->links.slots[i];
            struct engine_link *link = &request->links[request->count];
            if (!slot->used || !core_link(engine->core, i, &link->core))
                continue;
            link->station = slot->station;
            link->certificate = slot->certificate;
            request->count++;
        }
        request->answered = true;
        engine->status = NULL;
        pthread_cond_broadcast(&engine->status_cond);
    }
    pthread_mutex_unlock(&engine->status_mutex);
}

uint32_t engine_links(struct engine *engine, struct engine_link *links, uint32_t max)
{
    struct status_request request = {.links = links, .max = max};
    pthread_mutex_lock(&engine->status_mutex);
    while (engine->running && engine->status) // another asker's turn
        pthread_cond_wait(&engine->status_cond, &engine->status_mutex);
    if (engine->running) {
        engine->status = &request;
        transport_wake(engine->transport);
        while (engine->running && !request.answered)
            pthread_cond_wait(&engine->status_cond, &engine->status_mutex);
        if (!request.answered)
            engine->status = NULL; // the engine stopped: nobody asks any more
    }
    pthread_mutex_unlock(&engine->status_mutex);
    return request.count;
}

static void set_running(struct engine *engine, bool running)
{
    pthread_mutex_lock(&engine->status_mutex);
    engine->running = running;
    pthread_cond_broadcast(&engine->status_cond);
    pthread_mutex_unlock(&engine->status_mutex);
}

// ---- the loop

static void handle(struct engine *engine, const struct transport_event *event)
{
    struct core_event link_event = event_of(event->type == TRANSPORT_CONNECTED ? EVENT_OPENED : EVENT_CLOSED, 0);
    switch (event->type) {
    case TRANSPORT_MESSAGE:
        handle_message(engine, event);
        break;
    case TRANSPORT_DISCONNECTED:
        if (event->detail)
            report(engine, false, event->detail);
        // fall through
    case TRANSPORT_CONNECTED:
        link_event.fresh = crypto_random_u64();
        step(engine, &link_event);
        break;
    case TRANSPORT_JOIN:
        handle_join(engine, event);
        break;
    case TRANSPORT_WOKEN:
        break;
    }
}

void engine_begin(struct engine *engine)
{
    set_running(engine, true);
    add_all(engine);
}

void engine_turn(struct engine *engine)
{
    struct transport_event event;
    timers(engine);
    reader_end(engine);
    if (transport_wait(engine->transport, timeout_ms(engine), &event)) {
        if (event.type == TRANSPORT_WOKEN)
            after_commit(engine);
        else
            handle(engine, &event);
    }
    answer_status(engine);
}

enum error_code engine_run(struct engine *engine, struct error *error)
{
    (void)error;
    engine_begin(engine);
    while (!atomic_load(&engine->stop))
        engine_turn(engine);
    reader_end(engine);
    set_running(engine, false);
    return OK;
}

void engine_wake(struct engine *engine) { transport_wake(engine->transport); }

void engine_stop(struct engine *engine)
{
    atomic_store(&engine->stop, true);
    transport_wake(engine->transport);
}

const char *engine_listen(const struct engine *engine) { return engine->config.listen ? transport_listen(engine->transport) : ""; }

const char *engine_join(const struct engine *engine) { return engine->config.join ? transport_join(engine->transport) : ""; }

enum error_code engine_create(const struct engine_config *config, struct engine **ret, struct error *error)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return error_set(error, ERR_MEMORY, "engine");
    engine->config = *config;
    engine->look_again_ms = UINT64_MAX;
    pthread_mutex_init(&engine->status_mutex, NULL);
    pthread_cond_init(&engine->status_cond, NULL);
    uint32_t children_max = config->children_max ? config->children_max : CHILDREN_MAX;
    struct core_config core_config = {.links_max = config->listen ? children_max + 1 : 1,
                                      .seed = crypto_random_u64(),
                                      .generation = config->generation,
                                      .pool_bytes = POOL_BYTES};
    void *memory = calloc(1, core_size(&core_config)); // resident only where links exist
    enum error_code code = memory && links_init(&engine->links, core_config.links_max) ? OK : error_set(error, ERR_MEMORY, "engine");
    if (memory)
        engine->core = core_init(memory, &core_config);
    if (code == OK)
        code = signers_create(&config->root, &engine->signers, error);
    struct transport_config transport = {.public_key = *config->transport_public,
                                         .secret_key = *config->transport_secret,
                                         .listen = config->listen,
                                         .join = config->join,
                                         .enrolled = enrolled,
                                         .context = engine,
                                         .wake_fd_extra = -1};
    if (code == OK)
        code = transport_create(&transport, &engine->transport, error);
    crypto_wipe(&transport.secret_key, sizeof transport.secret_key);
    if (code != OK) {
        engine_destroy(engine);
        return code;
    }
    *ret = engine;
    return OK;
}

void engine_destroy(struct engine *engine)
{
    if (!engine)
        return;
    reader_end(engine);
    transport_destroy(engine->transport);
    signers_destroy(engine->signers);
    links_finish(&engine->links);
    arena_finish(&engine->arena);
    buffer_finish(&engine->out);
    free(engine->core);
    pthread_cond_destroy(&engine->status_cond);
    pthread_mutex_destroy(&engine->status_mutex);
    free(engine);
}
