// Incarnations, as the engine has to do with them: the asking of a restored station, the granting of its parent, and what proves to a
// station that it was restored and did not know (relay/incarnation.h has the rules).
#include <stdio.h>
#include <stdlib.h>

#include "link.pb-c.h"
#include "relay/engine_inside.h"

void engine_end_with(struct engine *engine, enum engine_end end, const char *why)
{
    if (engine->end != ENGINE_STOPPED)
        return;
    engine->end = end;
    if (why)
        engine_report(engine, end == ENGINE_RESTORED, why);
    engine_stop(engine);
}

void engine_found_restored(struct engine *engine, const char *why)
{
    if (!engine->config.asks)
        engine_end_with(engine, ENGINE_RESTORED, why);
}

enum engine_end engine_end(const struct engine *engine) { return engine->end; }

void engine_opened(struct engine *engine)
{
    atomic_store(&engine->opened, true);
    engine_wake(engine);
}

// ---- asking

uint32_t engine_heads_of(struct engine *engine, const struct station_id *station, struct head *heads, uint32_t max)
{
    struct txn *txn = engine_reader(engine);
    return txn ? incarnation_own_heads(txn, station, true, heads, max) : 0;
}

void engine_check_own(struct engine *engine, uint32_t link, const struct head *heads, uint32_t count)
{
    struct txn *txn = engine->links.slots[link].parent && count > 0 && !engine->config.asks ? engine_reader(engine) : NULL;
    if (txn && incarnation_behind(txn, &engine->config.self->station, heads, count))
        engine_found_restored(engine, "the parent holds batches that this station signed and the store does not hold: it was put back "
                                      "from a copy");
}

struct seen_job {
    struct station_id station;
    uint32_t count;
    struct head heads[SEEN_FEEDS_MAX];
};

static enum error_code run_seen(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    const struct seen_job *job = argument;
    incarnation_note_seen(txn, &job->station, job->heads, job->count);
    return OK;
}

static void seen_written(void *argument, enum error_code code, const struct error *error)
{
    (void)code;
    (void)error;
    free(argument);
}

void engine_hear_own(struct engine *engine, uint32_t link, const struct head *heads, uint32_t count)
{
    engine_check_own(engine, link, heads, count);
    if (!engine->config.asks || engine->config.parent)
        return;
    struct seen_job *job = calloc(1, sizeof *job);
    if (!job)
        return;
    job->station = engine->config.self->station;
    for (uint32_t i = 0; i < count && job->count < SEEN_FEEDS_MAX; i++)
        if (station_equal(&heads[i].feed.station, &job->station))
            job->heads[job->count++] = heads[i];
    struct call_job call = {.run = run_seen, .finished = seen_written, .argument = job};
    if (job->count == 0 || writer_submit_call(engine->config.writer, &call) != OK)
        free(job);
}

// With the grant as it was: a new session begins with none, while this waits for the writer.
struct open_job {
    struct engine *engine;
    struct waited_grant grant;
};

static enum error_code run_open(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    const struct open_job *job = argument;
    const struct engine_config *config = &job->engine->config;
    const struct place place = {.self = config->self, .parent = config->parent};
    incarnation_open(txn, &place, job->grant.ordinal, config->asks, job->grant.heads, job->grant.count, utc_ms());
    return OK;
}

static void open_written(void *argument, enum error_code code, const struct error *error)
{
    struct open_job *job = argument;
    struct engine *engine = job->engine;
    free(job);
    engine->opening = false;
    if (code == OK)
        engine_end_with(engine, ENGINE_OPENED, "a new incarnation is open; the links begin anew");
    else
        engine_report(engine, true, error->detail); // tried again after the next commit, or the next grant
}

void engine_look_whole(struct engine *engine)
{
    if (engine->grant.ordinal == 0 || engine->opening || engine->end != ENGINE_STOPPED)
        return;
    struct txn *txn = engine_reader(engine);
    if (!txn || !incarnation_whole(txn, engine->grant.heads, engine->grant.count))
        return;
    struct open_job *job = malloc(sizeof *job);
    if (!job)
        return;
    *job = (struct open_job){.engine = engine, .grant = engine->grant};
    struct call_job call = {.run = run_open, .finished = open_written, .argument = job};
    engine->opening = writer_submit_call(engine->config.writer, &call) == OK;
    if (!engine->opening)
        free(job);
}

void engine_handle_grant(struct engine *engine, uint32_t link, const struct link_in *in)
{
    if (!engine->config.asks || !engine->links.slots[link].parent || engine->opening)
        return;
    if (in->grant.ordinal == 0) {
        engine_end_with(engine, ENGINE_SPENT, "the incarnation asked for was used before; asks for another one");
        return;
    }
    engine->grant.ordinal = in->grant.ordinal;
    engine->grant.count = in->grant.count < GRANT_HEADS_MAX ? in->grant.count : GRANT_HEADS_MAX;
    if (engine->grant.count > 0)
        memcpy(engine->grant.heads, in->grant.heads, engine->grant.count * sizeof *engine->grant.heads);
    engine_reader_end(engine); // what was committed before it came is to be seen
    engine_look_whole(engine);
}

// ---- two stations with the same keys

bool engine_doubled(const struct slot *slot)
{
    return slot->doubled >= CLONE_PROOFS && monotonic_ms() - slot->doubled_ms < CLONE_FORGET_MS;
}

void engine_greeted(struct engine *engine, uint32_t link)
{
    struct slot *slot = &engine->links.slots[link];
    slot->greeted_ms = monotonic_ms();
    slot->doubled_counted = slot->overtaken_new = false;
}

void engine_watch_overtaken(struct engine *engine, uint32_t link, uint64_t route, uint64_t session)
{
    struct slot *slot = &engine->links.slots[link];
    if (slot->parent || route == slot->route || session == slot->overtaken || monotonic_ms() - slot->greeted_ms < CLONE_AFTER_MS)
        return;
    slot->overtaken = session;
    slot->overtaken_new = true;
}

void engine_watch_clone(struct engine *engine, uint32_t link, uint64_t route, uint64_t session)
{
    struct slot *slot = &engine->links.slots[link];
    uint64_t now = monotonic_ms();
    bool live = session == slot->peer_session, crossed = !live && slot->route != 0 && route != slot->route && !slot->doubled_counted;
    if (slot->parent || now - slot->greeted_ms < CLONE_AFTER_MS || (live ? !slot->overtaken_new : !crossed))
        return;
    if (now - slot->doubled_ms >= CLONE_FORGET_MS)
        slot->doubled = 0;
    slot->doubled_ms = now;
    slot->doubled_counted = slot->doubled_counted || crossed;
    slot->overtaken_new = slot->overtaken_new && !live;
    slot->doubled += crossed ? CLONE_CROSSED : CLONE_OVERTAKEN;
    if (slot->doubled < CLONE_PROOFS)
        return;
    struct core_event refused = engine_event(EVENT_REFUSED, link);
    refused.error.fault = SANJI__LINK_FAULT__FAULT_CLONE;
    engine_step(engine, &refused);
}

// ---- granting

struct grant_job {
    struct engine *engine;
    uint32_t link;
    uint64_t session; // of the hello that asked
    struct incarnation_ask ask;
    struct incarnation_grant grant;
    struct grown grown;
};

static enum error_code run_grant(void *argument, struct txn *txn, struct error *error)
{
    struct grant_job *job = argument;
    const struct engine_config *config = &job->engine->config;
    struct place place = {.self = config->self, .parent = config->parent};
    struct peer peer;
    job->grown = (struct grown){0};
    if (peer_read(txn, &job->ask.station, &peer))
        snprintf(job->ask.unit, sizeof job->ask.unit, "%s", peer.unit);
    return incarnation_grant(txn, &place, &job->ask, utc_ms(), &job->grown, &job->grant, error);
}

static void submit_grant(struct grant_job *job);

// The child waits for its answer as long as the session lives: it is sent away for a while, and asks again with its next hello.
static void put_off(struct engine *engine, uint32_t link)
{
    struct core_event refused = engine_event(EVENT_REFUSED, link);
    refused.error.fault = SANJI__LINK_FAULT__FAULT_STORE;
    engine_step(engine, &refused);
}

static void answer_grant(struct engine *engine, const struct grant_job *job)
{
    const struct slot *slot = &engine->links.slots[job->link];
    char text[160];
    if (job->grant.fresh) {
        snprintf(text, sizeof text, "unit %s: its station's store was put back from a copy; incarnation %u granted", job->ask.unit,
                 (unsigned)job->grant.ordinal);
        engine_report(engine, true, text);
    }
    if (slot->peer_session != job->session)
        return; // it asks again
    link_encode_grant(slot->session, job->grant.ordinal, job->grant.heads, job->grant.count, &engine->out);
    engine_send_out(engine, job->link);
}

static void grant_written(void *argument, enum error_code code, const struct error *error)
{
    struct grant_job *job = argument;
    struct engine *engine = job->engine;
    if (code == OK && engine->running) {
        engine_reader_end(engine); // it must see the commit
        engine_tell_grown(engine, &job->grown);
        if (job->grant.more) {
            submit_grant(job);
            return;
        }
        answer_grant(engine, job);
    } else if (engine->running) {
        engine_report(engine, true, error->detail);
        if (engine->links.slots[job->link].peer_session == job->session)
            put_off(engine, job->link);
    }
    engine->grants--;
    free(job);
}

static void submit_grant(struct grant_job *job)
{
    struct call_job call = {.run = run_grant, .finished = grant_written, .argument = job};
    if (writer_submit_call(job->engine->config.writer, &call) == OK)
        return;
    job->engine->grants--;
    put_off(job->engine, job->link); // the writer is full
    free(job);
}

void engine_handle_ask(struct engine *engine, uint32_t link, const struct link_in *in)
{
    const struct slot *slot = &engine->links.slots[link];
    if (slot->parent)
        return;
    if (engine->config.asks)
        return; // restored as well: what it holds of the child is not all; the child asks again when our own incarnation is open
    // Of two stations with the same keys each would get an incarnation, for ever: none until that is some time ago.
    bool now = !engine_doubled(slot) && engine->grants < GRANT_JOBS_MAX;
    struct grant_job *job = now ? calloc(1, sizeof *job) : NULL;
    if (!job) {
        put_off(engine, link);
        return;
    }
    job->engine = engine;
    job->link = link;
    job->session = in->session;
    job->ask.station = slot->station;
    job->ask.ordinal = in->hello.hello.ordinal;
    job->ask.nonce = in->hello.hello.nonce;
    job->ask.own_count = in->hello.own_count < OWN_HEADS_MAX ? in->hello.own_count : OWN_HEADS_MAX;
    memcpy(job->ask.own, in->hello.own, job->ask.own_count * sizeof *job->ask.own);
    engine->grants++;
    submit_grant(job);
}
