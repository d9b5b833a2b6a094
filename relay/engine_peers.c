#include "relay/engine_inside.h"

#include <stdlib.h>

#include "link.pb-c.h"
#include "relay/introduce.h"

// ---- links

void engine_add_link(struct engine *engine, uint32_t link)
{
    struct core_mark marks[CORE_CHANNELS];
    uint64_t ends[CORE_CHANNELS];
    engine_reader_end(engine); // it must see the commit that enrolled the peer
    struct txn *txn = engine_reader(engine);
    if (!txn)
        return;
    struct core_staged staged[CORE_CHANNELS];
    links_marks(&engine->links.slots[link], txn, marks, ends, staged);
    engine_ask_soon(engine, link);
    struct core_event event = engine_event(EVENT_LINK_ADD, link);
    event.fresh = crypto_random_u64();
    event.add.parent = engine->links.slots[link].parent;
    event.add.urgent_only = slot_urgent_only(&engine->links.slots[link]);
    event.add.marks = marks;
    event.add.ends = ends;
    event.add.acknowledged = NULL;
    event.add.staged = staged;
    engine_step(engine, &event);
}

void engine_add_all(struct engine *engine)
{
    if (engine->config.parent) {
        links_set_parent(&engine->links, engine->config.parent);
        if (engine->config.above)
            links_set_above(&engine->links, engine->config.above);
        engine_add_link(engine, 0);
    }
    struct station_id after = {0};
    struct peer peer;
    uint32_t link;
    while (engine_reader(engine) && peer_next(engine_reader(engine), &after, &peer)) {
        after = peer.station;
        if (!peer.barred && links_add_child(&engine->links, &peer, &link))
            engine_add_link(engine, link);
    }
    after = (struct station_id){0};
    while (engine_reader(engine) && guest_next(engine_reader(engine), &after, &peer)) {
        after = peer.station;
        if (!peer.barred && links_add_child(&engine->links, &peer, &link))
            engine_add_link(engine, link);
    }
    engine_reader_end(engine);
}

bool engine_enrolled(void *context, const struct public_key *key)
{
    struct engine *engine = context;
    uint32_t link;
    return links_find(&engine->links, key, &link);
}

// ---- messages

static void handle_heads(struct engine *engine, uint32_t link, const struct link_in *in)
{
    if (!in->heads.want)
        engine_hear_own(engine, link, in->heads.heads, in->heads.count);
    struct core_event event = engine_event(in->heads.want ? EVENT_HEADS_WANTED : EVENT_HEADS_ALL, link);
    event.session = in->session;
    event.channel = in->channel;
    bool taken = !in->heads.want &&
                 links_known_add(&engine->links, &engine->links.slots[link], in->channel, in->heads.heads, in->heads.count, in->heads.last);
    if (!in->heads.want && !taken)
        event.type = EVENT_HEARD;
    else if (!in->heads.want && !in->heads.last)
        event.type = EVENT_HEADS;
    engine_step(engine, &event);
}

static void handle_decoded(struct engine *engine, uint32_t link, const struct link_in *in)
{
    struct core_event event = engine_event(EVENT_TICK, link);
    event.session = in->session;
    event.channel = in->channel;
    switch (in->type) {
    case LINK_HELLO:
        engine_check_own(engine, link, in->hello.own, in->hello.own_count);
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
        event.ack = in->ack;
        break;
    case LINK_PING:
        event.type = EVENT_PING;
        event.ping = in->ping;
        break;
    case LINK_ERROR:
        event.type = EVENT_ERROR;
        event.error.fault = in->error.fault;
        event.error.retry_ms = in->error.retry_ms;
        break;
    case LINK_GRANT:
        event.type = EVENT_HEARD;
        engine_handle_grant(engine, link, in);
        break;
    case LINK_WANT:
        event.type = EVENT_HEARD;
        if (in->session == engine->links.slots[link].peer_session)
            engine_serve(engine, link, &in->want);
        break;
    case LINK_SIGNED_HEADS:
        engine_heads_handle(engine, link, in);
        return;
    }
    engine_step(engine, &event);
    struct core_link_status status;
    if (in->type == LINK_HELLO && in->hello.hello.wants_incarnation && core_link(engine->core, link, &status) && status.state == LINK_LIVE)
        engine_handle_ask(engine, link, in);
}

void engine_handle_message(struct engine *engine, const struct transport_event *message)
{
    uint32_t link;
    if (!links_find(&engine->links, &message->peer, &link) || engine->links.slots[link].parent != message->parent)
        return;
    struct slot *slot = &engine->links.slots[link];
    if (slot->introducing) {
        engine_introduced(engine, link, message->message);
        return;
    }
    struct link_in in;
    struct error error = {0};
    arena_reset(&engine->arena);
    if (link_decode(message->message, message->body.size, &engine->arena, &in, &error) != OK) {
        struct core_event event = engine_event(EVENT_REFUSED, link);
        event.error.fault = SANJI__LINK_FAULT__FAULT_PROTOCOL;
        engine_step(engine, &event);
        return;
    }
    if (in.type == LINK_HELLO && core_overtaken(engine->core, link, &in.hello.hello)) {
        engine_watch_overtaken(engine, link, message->route, in.session);
        return;
    }
    if (in.type == LINK_HELLO) {
        slot->peer_session = in.session;
        if (!message->parent) {
            slot->route = message->route;
            engine_greeted(engine, link);
        }
    } else {
        engine_watch_clone(engine, link, message->route, in.session);
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
            engine_add_link(engine, link);
    }
    buffer_finish(&job->request);
    buffer_finish(&job->reply);
    free(job);
}

void engine_handle_join(struct engine *engine, const struct transport_event *message)
{
    // Anyone may send here: what can't be a request, and what is too much, costs no more than this.
    size_t most = introduction_is(message->message) ? INTRODUCTION_MAX : JOIN_REQUEST_MAX;
    if (message->message.size > most || engine->joins == JOINS_MAX)
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
    struct core_event event = engine_event(EVENT_HELD, job->link);
    event.channel = job->channel;
    event.session = job->session;
    if (job->code == OK && job->outcome == RECEIVED_OWN) {
        arrival_finish(&job->arrival);
        free(job);
        engine_found_restored(engine, "the parent sent a batch that this station signed and does not hold");
        return;
    }
    if (job->code == OK && (job->outcome == RECEIVED || job->outcome == RECEIVED_BODILESS)) {
        event.mark = (struct core_mark){job->mark.generation, job->mark.headers, job->mark.bodies};
        if (job->arrival.mended)
            engine_mended(engine, &job->arrival);
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
        engine_step(engine, &event);
    arrival_finish(&job->arrival);
    free(job);
}

void engine_extended(struct engine *engine, uint32_t link, unsigned stream, unsigned lane, uint64_t end)
{
    struct core_event event = engine_event(EVENT_EXTENDED, link);
    event.channel = core_channel(stream, lane);
    event.extended.end = end;
    engine_step(engine, &event);
}

// Tells the core where all our streams end, whatever it was told before.
void engine_look_again(struct engine *engine)
{
    engine->look_again_ms = UINT64_MAX;
    for (uint32_t i = 0; i < engine->links.count; i++)
        for (unsigned channel = 0; engine->links.slots[i].used && channel < CORE_CHANNELS; channel++) {
            struct txn *txn = engine_reader(engine);
            uint64_t end = txn ? links_end(&engine->links.slots[i], txn, channel) : 0;
            if (!txn || txn_error(txn) != OK) {
                engine_reader_end(engine);
                engine->look_again_ms = monotonic_ms() + LOOK_AGAIN_MS;
                continue;
            }
            if (end)
                engine_extended(engine, i, core_channel_stream(channel), core_channel_lane(channel), end);
        }
}

void engine_tell_grown(struct engine *engine, const struct grown *grown)
{
    for (unsigned lane = 1; lane <= LANES; lane++) {
        if (grown->up[lane - 1] && engine->config.parent)
            engine_extended(engine, 0, SANJI__STREAM__STREAM_UP, lane, grown->up[lane - 1]);
        if (grown->up[lane - 1] && engine->past_parent)
            engine_extended(engine, LINK_ABOVE, SANJI__STREAM__STREAM_UP, lane, grown->up[lane - 1]);
        if (grown->down_all[lane - 1])
            engine_extended(engine, UINT32_MAX, SANJI__STREAM__STREAM_DOWN_ALL, lane, grown->down_all[lane - 1]);
    }
    for (uint32_t i = 0; i < grown->one_count; i++) {
        uint32_t link;
        if (links_find_station(&engine->links, &grown->one[i].peer, &link))
            engine_extended(engine, link, SANJI__STREAM__STREAM_DOWN_ONE, grown->one[i].lane, grown->one[i].end);
    }
    if (grown->more)
        engine_look_again(engine);
    engine_heads_grown(engine, grown);
}

void engine_after_commit(struct engine *engine)
{
    struct grown grown;
    struct arrival_job *job;
    engine_reader_end(engine); // what follows must see the commit
    while ((job = writer_take(engine->config.writer, &grown)))
        after_arrival(engine, job);
    engine_reader_end(engine); // nor must a commit be missed that came while those were handled: `grown` names it
    engine_tell_grown(engine, &grown);
    engine_count_damage(engine);
    engine_look_past(engine);
    engine_look_whole(engine);
    if (atomic_load(&engine->opened))
        engine_end_with(engine, ENGINE_OPENED, "a new incarnation is open; the links begin anew");
}
