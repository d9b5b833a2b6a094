#include "relay/engine_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "link.pb-c.h"

// ---- sending

static enum error_code send_now(struct engine *engine, const struct slot *slot, struct bytes message, struct bytes body)
{
    return slot->parent ? transport_send_parent(engine->transport, (unsigned)(slot - engine->links.slots), message, body)
                        : transport_send_child(engine->transport, slot->route, message, body);
}

static void send_link(struct engine *engine, uint32_t link, struct bytes body)
{
    struct slot *slot = &engine->links.slots[link];
    struct bytes message = buffer_bytes(&engine->out);
    enum error_code code = engine->out.failed ? ERR_MEMORY : slot->unsent ? ERR_BUSY : send_now(engine, slot, message, body);
    if (code == ERR_BUSY && links_unsent_add(slot, message, body))
        engine->waiting = true;
    else if (code == ERR_BUSY || code == ERR_MEMORY)
        slot->broken = engine->waiting = true;
    // A connection that is gone says so by itself; a message that can't be sent at all would be refused again.
    buffer_clear(&engine->out);
}

void engine_send_waiting(struct engine *engine)
{
    engine->waiting = false;
    for (uint32_t link = 0; link < engine->links.count; link++) {
        struct slot *slot = &engine->links.slots[link];
        if (slot->broken) {
            struct core_event closed = engine_event(EVENT_CLOSED, link);
            closed.fresh = crypto_random_u64();
            slot->broken = false;
            links_unsent_clear(slot);
            engine_step(engine, &closed);
        }
        while (slot->unsent && send_now(engine, slot, buffer_bytes(&slot->unsent->message), buffer_bytes(&slot->unsent->body)) != ERR_BUSY)
            links_unsent_pop(slot);
        engine->waiting |= slot->unsent != NULL;
    }
}

static const struct bytes no_body = {0};

void engine_send(struct engine *engine, uint32_t link) { send_link(engine, link, no_body); }

static void send_hello(struct engine *engine, const struct core_update *update)
{
    struct slot *slot = &engine->links.slots[update->link];
    uint32_t codebook = 0, units = 0;
    engine->config.hooks.documents(engine->config.hooks.context, &codebook, &units);
    slot->session = update->hello.session;
    links_unsent_clear(slot); // of the session before
    struct core_hello hello = update->hello;
    hello.ordinal = engine->config.ordinal;
    hello.nonce = engine->config.nonce;
    struct head own[OWN_HEADS_MAX];
    uint32_t own_count = 0;
    if (slot->parent && engine->config.asks) {
        hello.wants_incarnation = true;
        hello.nonce = engine->config.asks;
        own_count = engine_heads_of(engine, &engine->config.self->station, own, OWN_HEADS_MAX);
        engine->grant.ordinal = 0; // granted anew in this session
    } else if (!slot->parent) {
        own_count = engine_heads_of(engine, &slot->station, own, REPLY_HEADS_MAX);
    }
    link_encode_hello(slot->session, &hello, &engine->config.self->hash, codebook, units, own, own_count, &engine->out);
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
    struct txn *txn = engine_reader(engine);
    uint32_t id = 1, count = 0;
    bool last = !txn; // then as if we held nothing: duplicates come, no harm
    do {
        if (txn)
            count = links_heads(txn, update->channel, &id, heads, HEADS_PAGE_MAX, &last);
        link_encode_heads(engine->links.slots[update->link].session, update->channel, heads, count, last, false, &engine->out);
        send_link(engine, update->link, no_body);
    } while (!last);
}

void engine_send_out(struct engine *engine, uint32_t link) { send_link(engine, link, no_body); }

// ---- what the core asks for

static void log_state(struct engine *engine, const struct core_update *update)
{
    static const char *const names[] = {"absent", "down", "dialing", "greeting", "live", "barred"};
    struct slot *slot = &engine->links.slots[update->link];
    if (update->state.from == LINK_LIVE || update->state.to == LINK_DOWN)
        links_session_over(&engine->links, slot);
    if (update->state.to == LINK_LIVE)
        engine_ask_soon(engine, update->link);
    char id[2 * STATION_ID_SIZE + 1], text[160];
    crypto_hex(bytes_of(slot->station.bytes, STATION_ID_SIZE), id);
    const char *kind = slot->past ? "past the parent" : slot->parent ? "parent" : slot->guest ? "guest" : "child";
    snprintf(text, sizeof text, "link %s %.8s: %s", kind, id, names[update->state.to]);
    if (update->state.to == LINK_LIVE || update->state.from == LINK_LIVE || update->state.to == LINK_BARRED)
        engine_report(engine, update->state.to == LINK_BARRED, text);
    if (update->state.to == LINK_LIVE)
        engine_heads_live(engine, update->link);
    if (slot->guest && update->state.to == LINK_LIVE)
        engine_guest_came(engine, slot);
}

// What is found again and again until somebody does something about it, or comes and goes with a link, must not push other alarms out.
static const struct rule {
    const char *kind;
    uint32_t looked; // last alarms looked at for the same
    uint64_t ms;     // for how long it counts as said; 0: for good
} rules[] = {{"clone", 32, 24ull * 3600 * 1000}, {"past-parent", 1, 0}, {"came-past-parent", 1, 0}};
enum { LOOKED_MAX = 32 };

static bool is_said(struct txn *txn, const struct alarm *alarm)
{
    const struct rule *rule = NULL;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].kind, alarm->kind) == 0)
            rule = &rules[i];
    struct alarm last[LOOKED_MAX];
    uint32_t count = rule ? alarm_last(txn, last, rule->looked) : 0;
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(last[i].kind, alarm->kind) == 0 && strcmp(last[i].text, alarm->text) == 0 &&
            (rule->ms == 0 || alarm->time_ms - last[i].time_ms < rule->ms))
            return true;
    return false;
}

static enum error_code run_alarm(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    if (!is_said(txn, argument))
        alarm_add(txn, argument);
    return OK;
}

static void alarm_written(void *argument, enum error_code code, const struct error *error)
{
    (void)code;
    (void)error;
    free(argument);
}

bool engine_alarm(struct engine *engine, const char *kind, const char *text)
{
    struct alarm *alarm = calloc(1, sizeof *alarm);
    if (!alarm)
        return false;
    alarm->time_ms = utc_ms();
    snprintf(alarm->kind, sizeof alarm->kind, "%s", kind);
    snprintf(alarm->text, sizeof alarm->text, "%s", text);
    char line[320];
    snprintf(line, sizeof line, "%s: %s", alarm->kind, alarm->text);
    engine_report(engine, true, line);
    struct call_job call = {.run = run_alarm, .finished = alarm_written, .argument = alarm};
    bool submitted = writer_submit_call(engine->config.writer, &call) == OK;
    if (!submitted)
        free(alarm);
    return submitted;
}

static void raise_alarm(struct engine *engine, const struct core_update *update)
{
    if (update->alarm == ALARM_PEER_HOLDS_MORE && engine->links.slots[update->link].parent)
        engine_found_restored(engine, "the parent holds more of this station's rows than the store does: it was put back from a copy");
    static const char *const kinds[] = {"none",     "body-withheld", "peer-restored", "peer-holds-more",
                                        "protocol", "forged",        "version",       "clone"};
    char id[2 * STATION_ID_SIZE + 1], text[160];
    crypto_hex(bytes_of(engine->links.slots[update->link].station.bytes, STATION_ID_SIZE), id);
    if (update->alarm == ALARM_CLONE)
        snprintf(text, sizeof text, "%s %s: two stations run with the same keys; stop one of them",
                 engine->links.slots[update->link].parent ? "this station, says its parent" : "station", id);
    else
        snprintf(text, sizeof text, "station %s, stream %u, lane %u", id, core_channel_stream(update->channel),
                 core_channel_lane(update->channel));
    engine_alarm(engine, kinds[update->alarm], text);
}

// A peer that does not know our key is called at its join endpoint the next time, and then at its link endpoint again.
static void dial(struct engine *engine, uint32_t link)
{
    const struct engine_config *config = &engine->config;
    struct slot *slot = &engine->links.slots[link];
    struct error error = {0};
    const char *join = slot->past ? config->above_join : config->parent_join;
    slot->introducing = slot->refused && join && config->hooks.introduce;
    slot->refused = false;
    const char *endpoint = slot->introducing ? join : slot->past ? config->above_endpoint : config->parent_endpoint;
    if (transport_dial(engine->transport, link, endpoint, &slot->key, &error) == OK)
        return;
    engine_report(engine, true, error.detail);
    struct core_event closed = {.type = EVENT_CLOSED, .now_ms = monotonic_ms(), .link = link};
    engine_later(engine, &closed);
}

static void hang_up(struct engine *engine, uint32_t link)
{
    struct slot *slot = &engine->links.slots[link];
    if (slot->parent)
        transport_hangup(engine->transport, link);
    slot->introducing = false;
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
    slot->row_ms[core_channel_lane(update->channel) - 1] = monotonic_ms();
    bool kept = links_assemble(slot, update->channel, piece, engine->piece_is_object, engine->piece_header, engine->piece_signature,
                               engine->message->body);
    struct core_event refused = {.type = EVENT_REFUSED,
                                 .now_ms = monotonic_ms(),
                                 .link = update->link,
                                 .channel = update->channel,
                                 .error.fault = SANJI__LINK_FAULT__FAULT_BUSY};
    if (!kept) {
        engine_later(engine, &refused);
        return;
    }
    if (!update->accept.complete)
        return;
    struct arrival_job *job = links_assembled(slot, update->link, update->channel, utc_ms());
    discard(engine, slot, update->channel);
    enum error_code code = job ? OK : ERR_MEMORY;
    if (job) {
        struct txn *txn = engine_reader(engine);
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
    engine_later(engine, &refused);
}

void engine_carry_out(struct engine *engine, const struct core_update *update)
{
    struct slot *slot = &engine->links.slots[update->link];
    switch (update->type) {
    case UPDATE_DIAL:
        dial(engine, update->link);
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
        link_encode_ack(slot->session, update->channel, &update->ack, &engine->out);
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
