// Damaged rows: what is in quarantine here is asked of the neighbours that may hold it, and what they ask for is put at the end of the
// stream to them. So the answer is a row like any other: checked, resumed, acknowledged, and bounded by the link's flow control.
#include "relay/engine_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"

enum {
    ASK_MS = 2000,               // after a request: for the answer to come, and before another is tried
    ASK_MS_MAX = 10 * 60 * 1000, // what nobody holds is asked for every ten minutes at last, by a message of 100 bytes
    PACE_MS = 150,               // after an answer: the next request finds the neighbour ready
    SERVE_MS = 100,              // requests of one peer are served ten times a second: each costs a row of a stream
    SERVE_BACKLOG_MAX = 64,      // rows that the peer has not acknowledged, while it asks for more
    LOOKED_MAX = 256,            // entries looked at for one request: some ms at most
};

// ---- into quarantine

struct enter_job {
    struct engine *engine;
    struct load_damage damage;
    uint64_t now_ms;
};

static enum error_code run_enter(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    const struct enter_job *job = argument;
    if (job->damage.is_object)
        quarantine_object(txn, &job->damage.object, job->now_ms);
    else
        quarantine_batch(txn, job->damage.position, true, job->now_ms);
    return OK;
}

static void entered(void *argument, enum error_code code, const struct error *error)
{
    struct enter_job *job = argument;
    struct engine *engine = job->engine;
    if (code == OK) {
        engine->look_again_ms = 0; // the streams can pass it now
        engine_ask_soon(engine, UINT32_MAX);
    } else {
        engine_report(engine, true, error->detail);
    }
    free(job);
}

void engine_damaged(struct engine *engine, const struct load_damage *damage)
{
    char text[160], hex[2 * STATION_ID_SIZE + 1];
    crypto_hex(bytes_of(damage->object.bytes, STATION_ID_SIZE), hex);
    if (damage->is_object)
        snprintf(text, sizeof text, "object %s is damaged on disk", hex);
    else
        snprintf(text, sizeof text, "journal row %llu is damaged on disk", (unsigned long long)damage->position);
    engine_report(engine, true, text);
    struct enter_job *job = calloc(1, sizeof *job);
    if (!job)
        return; // the stream is looked at again
    *job = (struct enter_job){engine, *damage, utc_ms()};
    struct call_job call = {.run = run_enter, .finished = entered, .argument = job};
    if (writer_submit_call(engine->config.writer, &call) != OK)
        free(job);
}

// ---- asking

void engine_ask_soon(struct engine *engine, uint32_t link)
{
    engine->ask_ms = 0;
    for (uint32_t i = 0; i < engine->links.count; i++)
        if (link == UINT32_MAX || link == i) {
            engine->links.slots[i].mend.next_ms = 0;
            engine->links.slots[i].mend.wait_ms = ASK_MS;
        }
}

void engine_count_damage(struct engine *engine)
{
    struct txn *txn = engine_reader(engine);
    uint64_t count = txn ? txn_count(txn, TABLE_QUARANTINE) : engine->quarantined;
    if (count != engine->quarantined)
        engine_ask_soon(engine, UINT32_MAX);
    engine->quarantined = count;
}

void engine_mended(struct engine *engine, const struct arrival *arrival)
{
    char text[160], hex[2 * STATION_ID_SIZE + 1];
    if (arrival->is_object) {
        crypto_hex(bytes_of(arrival->object.bytes, STATION_ID_SIZE), hex);
        snprintf(text, sizeof text, "object %s was fetched again and is whole", hex);
    } else {
        crypto_hex(bytes_of(arrival->decoded.feed.station.bytes, STATION_ID_SIZE), hex);
        snprintf(text, sizeof text, "sequence %llu of station %s, lane %u, was fetched again and is whole",
                 (unsigned long long)arrival->decoded.first, hex, (unsigned)arrival->decoded.feed.lane);
    }
    engine_report(engine, false, text);
    engine->look_again_ms = 0; // what was left out may be sent
    engine_ask_soon(engine, UINT32_MAX);
    for (uint32_t i = 0; i < engine->links.count; i++)
        if (station_equal(&engine->links.slots[i].station, &arrival->peer))
            engine->links.slots[i].mend.next_ms = monotonic_ms() + PACE_MS;
}

// Whether this neighbour may hold it. The parent holds what went up from here and what came down; a child, what came up through it and
// what went down to it.
static bool may_hold(const struct engine *engine, struct txn *txn, const struct slot *slot, const struct quarantined *entry,
                     struct feed_key *ret_feed)
{
    struct feed_state state;
    struct station_id via;
    if (slot_urgent_only(slot))
        return false; // their links carry urgent batches and receipts only
    if (entry->is_object)
        return true;
    if (entry->place.feed == 0 || !feed_read(txn, entry->place.feed, ret_feed, &state))
        return false;
    bool own = station_equal(&ret_feed->station, &engine->config.self->station), up = ret_feed->audience == SANJI__AUDIENCE__UP;
    if (slot->parent)
        return up || !own;
    if (ret_feed->audience == SANJI__AUDIENCE__SUBTREE)
        return true;
    return route_via(txn, up ? &ret_feed->station : &ret_feed->addressee, &via) && station_equal(&via, &slot->station);
}

// The next entry after the one asked for last, round and round. False: this neighbour holds none of those looked at.
static bool choose(struct engine *engine, struct txn *txn, struct slot *slot, struct link_want *ret)
{
    for (unsigned looked = 0; looked < LOOKED_MAX; looked++) {
        struct feed_key feed = {0};
        struct quarantined *last = &slot->mend.last;
        if (!quarantine_before(txn, slot->mend.asked ? last : NULL, last)) {
            if (!slot->mend.asked)
                return false;
            slot->mend.asked = false; // round again
            continue;
        }
        slot->mend.asked = true;
        if (may_hold(engine, txn, slot, last, &feed)) {
            *ret = (struct link_want){.is_object = last->is_object, .feed = feed, .first = last->place.first, .object = last->object};
            return true;
        }
    }
    return false;
}

static bool is_live(const struct engine *engine, uint32_t link)
{
    struct core_link_status status;
    return core_link(engine->core, link, &status) && status.state == LINK_LIVE;
}

void engine_ask(struct engine *engine)
{
    uint64_t now = monotonic_ms();
    struct txn *txn = engine_reader(engine);
    struct quarantined any;
    engine->ask_ms = UINT64_MAX;
    if (!txn || !quarantine_before(txn, NULL, &any)) {
        if (!txn)
            engine->ask_ms = now + ASK_MS;
        return;
    }
    for (uint32_t i = 0; i < engine->links.count; i++) {
        struct slot *slot = &engine->links.slots[i];
        struct link_want want;
        if (!slot->used)
            continue;
        if (slot->mend.next_ms <= now) {
            slot->mend.next_ms = now + slot->mend.wait_ms;
            if (is_live(engine, i) && choose(engine, txn, slot, &want)) {
                slot->mend.wait_ms =
                    slot->mend.wait_ms < ASK_MS_MAX / 2 ? 2 * slot->mend.wait_ms : ASK_MS_MAX; // nothing comes of it, perhaps
                link_encode_want(slot->session, &want, &engine->out);
                engine_send(engine, i);
            }
        }
        if (slot->mend.next_ms < engine->ask_ms)
            engine->ask_ms = slot->mend.next_ms;
    }
    struct error error = {0};
    if (txn_report(txn, &error) != OK) {
        engine_report(engine, true, error.detail);
        engine_reader_end(engine);
    }
}

// ---- serving

struct serve_job {
    struct engine *engine;
    uint32_t link;
    struct link_want want;
    struct station_id peer;
    bool to_parent;
    unsigned stream, lane;
    uint64_t end; // of the stream, when it grew
};

// Puts the row at the end of what the peer is owed.
static void owe(struct serve_job *job, struct txn *txn, unsigned lane, const struct stream_row *row)
{
    struct stream stream = {.stream = job->to_parent ? SANJI__STREAM__STREAM_UP : SANJI__STREAM__STREAM_DOWN_ONE, .lane = (uint8_t)lane};
    if (!job->to_parent)
        stream.peer = job->peer;
    job->stream = stream.stream;
    job->lane = lane;
    job->end = stream_append(txn, &stream, row);
}

static bool signer_of(struct txn *txn, const struct batch_row *row, struct header *ret, struct certificate *ret_signer)
{
    enum object_kind kind;
    struct bytes wire;
    return header_decode(row->header, ret, NULL) == OK && object_intact(txn, &ret->certificate) &&
           object_read(txn, &ret->certificate, &kind, &wire) && kind == OBJECT_CERTIFICATE &&
           certificate_decode(wire, ret_signer, NULL) == OK;
}

// How many tiers above the signer the peer stands; false: it is none of ours any more.
static bool depth_of(const struct serve_job *job, struct txn *txn, uint32_t *ret)
{
    struct peer peer;
    struct certificate certificate;
    enum object_kind kind;
    struct bytes wire;
    if (job->to_parent) {
        *ret = job->engine->config.parent->depth;
        return true;
    }
    if (!peer_read(txn, &job->peer, &peer) || peer.barred || !object_intact(txn, &peer.certificate) ||
        !object_read(txn, &peer.certificate, &kind, &wire) || certificate_decode(wire, &certificate, NULL) != OK)
        return false;
    *ret = certificate.depth;
    return true;
}

// Whether the batch has gone to the peer, or come through it; and whether its body may.
static bool entitled(const struct serve_job *job, struct txn *txn, const struct header *header, const struct certificate *signer,
                     bool *ret_body)
{
    struct station_id via;
    uint32_t depth;
    *ret_body = true;
    if (!depth_of(job, txn, &depth))
        return false;
    if (header->feed.audience == SANJI__AUDIENCE__UP) {
        *ret_body = signer->depth <= depth || reach_entitles(header->reach, signer->depth - depth);
        return job->to_parent || (route_via(txn, &header->feed.station, &via) && station_equal(&via, &job->peer));
    }
    bool own = station_equal(&header->feed.station, &job->engine->config.self->station);
    if (job->to_parent)
        return !own; // it came from there
    return header->feed.audience == SANJI__AUDIENCE__SUBTREE ||
           (route_via(txn, &header->feed.addressee, &via) && station_equal(&via, &job->peer));
}

static void serve_batch(struct serve_job *job, struct txn *txn)
{
    uint32_t id;
    struct feed_state state;
    uint64_t position;
    struct batch_row row;
    struct header header;
    struct certificate signer;
    bool body;
    if (!feed_find(txn, &job->want.feed, &id, &state) || !journal_find(txn, id, job->want.first, &position) ||
        !journal_read_intact(txn, position, &row) || !signer_of(txn, &row, &header, &signer) ||
        !entitled(job, txn, &header, &signer, &body))
        return;
    struct stream_row certificate = {.is_object = true, .object = signer.hash}; // it may have gone with the row
    struct stream_row owed = {.batch = position, .bodiless = !body || row.body.size == 0};
    owe(job, txn, header.feed.lane, &certificate);
    owe(job, txn, header.feed.lane, &owed);
}

static void serve_object(struct serve_job *job, struct txn *txn)
{
    enum object_kind kind;
    struct bytes content;
    struct stream_row owed = {.is_object = true, .object = job->want.object};
    if (!object_intact(txn, &job->want.object) || !object_read(txn, &job->want.object, &kind, &content))
        return;
    if (job->to_parent && kind != OBJECT_CERTIFICATE)
        return; // documents only travel down
    owe(job, txn, kind == OBJECT_CERTIFICATE ? SANJI__LANE__CONTROL : SANJI__LANE__BULK, &owed);
}

static enum error_code run_serve(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    struct serve_job *job = argument;
    job->end = 0;
    if (job->want.is_object)
        serve_object(job, txn);
    else
        serve_batch(job, txn);
    return OK;
}

static void served(void *argument, enum error_code code, const struct error *error)
{
    (void)error;
    struct serve_job *job = argument;
    struct engine *engine = job->engine;
    engine->links.slots[job->link].mend.serving = false;
    if (code == OK && job->end) {
        engine_reader_end(engine);
        engine_extended(engine, job->link, job->stream, job->lane, job->end);
    }
    free(job);
}

static uint64_t backlog(const struct engine *engine, uint32_t link)
{
    struct core_link_status status;
    uint64_t rows = 0;
    if (!core_link(engine->core, link, &status))
        return UINT64_MAX;
    for (unsigned channel = 0; channel < CORE_CHANNELS; channel++)
        if ((core_channel_stream(channel) == SANJI__STREAM__STREAM_DOWN_ONE || status.parent) &&
            status.channels[channel].end > status.channels[channel].headers)
            rows += status.channels[channel].end - status.channels[channel].headers;
    return rows;
}

void engine_serve(struct engine *engine, uint32_t link, const struct link_want *want)
{
    struct slot *slot = &engine->links.slots[link];
    uint64_t now = monotonic_ms();
    if (slot_urgent_only(slot) || slot->mend.serving || slot->mend.serve_ms > now || backlog(engine, link) > SERVE_BACKLOG_MAX)
        return; // it asks again
    struct serve_job *job = calloc(1, sizeof *job);
    if (!job)
        return;
    *job = (struct serve_job){.engine = engine, .link = link, .want = *want, .peer = slot->station, .to_parent = slot->parent};
    struct call_job call = {.run = run_serve, .finished = served, .argument = job};
    if (writer_submit_call(engine->config.writer, &call) != OK) {
        free(job);
        return;
    }
    slot->mend.serving = true;
    slot->mend.serve_ms = now + SERVE_MS;
}
