// One station: production code with the hooks of node/station.c, started and stopped as a process would be.
#include "node/complete.h"
#include "node/period.h"
#include "record.pb-c.h"
#include "relay/introduce.h"
#include "relay/receipt.h"
#include "relay/waiting.h"
#include "tests/sim/check.h"
#include "tests/sim/memory.h"

enum {
    LOOK_MS = 3600 * 1000,     // as in node/station_work.c
    KEEP_MS = 60 * 1000,       // as in node/station_keep.c
    QUIET_MS = 1000,           // as in node/station.c
    TURNS_AT_ONCE_MAX = 20000, // turns of one station in one millisecond: more is a loop
};
static const uint64_t epoch_ms = UINT64_C(1718409600000); // 2024-06-15T00:00Z

uint64_t site_utc_ms(const struct site *site) { return (uint64_t)((int64_t)(epoch_ms + world->now) + (site ? site->clock_offset : 0)); }

void site_reads(void)
{
    struct site *site = world->current;
    if (site->reads_until_death && --site->reads_until_death == 0) {
        site->dying = site->died_reading = true;
        step_note(site, "dies reading", 0, 0, 0);
    }
}

// ---- the writer's transactions: as in node/station.c

static void forget(struct site *site) { site->pending_count = site->application_count = 0; }

// The transaction is there: what it recorded has happened.
static void became_true(struct site *site)
{
    for (uint32_t i = 0; i < site->pending_count && !site->twin; i++)
        model_figure(&world->model, &site->pending[i]);
    site->pending_count = 0;
    check_applied(site);
    forget(site);
}

bool site_has_judged(struct site *site, struct txn *txn)
{
    struct deferred first = {LEDGER_WAITS_FOR_PERIOD, 0}, found;
    char month[16], last[REASON_MAX + 1];
    period_format((struct period){SANJI__PERIOD_TYPE__MONTH, month_of_days(civil_of_instant(site_utc_ms(site), LEDGER_ZONE) + 1)}, month);
    snprintf(last, sizeof last, LEDGER_WAITS_FOR_PERIOD " %s", month);
    return !deferred_seek(txn, &first, last, &found);
}

// What was held for a period to come: as in node/station_work.c.
static void take_up_periods(struct site *site)
{
    static struct entry entries[BATCH_ENTRIES_MAX];
    struct receiver receiver = site->receiver;
    receiver.entries = entries;
    apply_take_up_periods(&receiver, &site->desk);
}

static void on_begin(void *context, struct txn *txn)
{
    struct site *site = context;
    forget(site);
    site->desk = (struct desk){.txn = txn,
                               .codebook = world->codebook,
                               .units = world->units,
                               .unit = (int32_t)site->unit,
                               .self = &site->self,
                               .ancestors = site->ancestors,
                               .ancestor_count = site->ancestor_count,
                               .author = site->author,
                               .ledger = site->ledger,
                               .now_ms = utc_ms(),
                               .delegated = site->delegated};
    site->stated = site->arriving = false;
    author_context(site->author, site->desk.now_ms, NULL);
    take_up_periods(site);
}

static void on_before_commit(void *context, struct txn *txn, struct grown *grown)
{
    struct site *site = context;
    site->stated = ledger_state(site->ledger, &site->desk) > 0;
    ledger_flush(site->ledger, txn);
    author_finish(site->author, txn, grown);
    uint32_t feed = 1;
    struct feed_key key;
    struct feed_state state;
    if (planted(SIM_PLANT_skip_place) && site->arriving && chance(100) && feed_read(txn, feed, &key, &state)) {
        state.next += 1;
        feed_write(txn, feed, &state);
    }
}

static void on_aborted(void *context)
{
    struct site *site = context;
    ledger_abort(site->ledger);
    author_abort(site->author);
}

static void on_committed(void *context)
{
    struct site *site = context;
    world->result->commits++;
    if (site->stated && monotonic_ms() + QUIET_MS < site->due_ms)
        site->due_ms = monotonic_ms() + QUIET_MS;
    became_true(site);
}

static void on_fatal(void *context, const struct error *error)
{
    (void)error;
    ((struct site *)context)->dying = true;
}

static void on_done(void *context)
{
    struct site *site = context;
    if (site->engine)
        engine_wake(site->engine);
}

// Whether what was deferred is judged once more.
static bool judged_before(struct txn *txn, uint64_t position)
{
    struct batch_row row;
    if (!journal_read(txn, position, &row) || row.body.size == 0)
        return false;
    bool again = !waiting_is_behind(row.reason);
    path_taken(again ? SIM_PATH_period : SIM_PATH_behind);
    return again;
}

static enum verdict on_apply(void *context, struct txn *txn, const struct header *header, const struct certificate *signer,
                             const struct entry *entries, uint64_t position, uint64_t received_ms, const char **reason)
{
    struct site *site = context;
    struct model_feed *feed = model_feed(&world->model, &header->feed, 0, false);
    site->arriving = true;
    unsigned times = planted(SIM_PLANT_apply_twice) && chance(50) ? 2 : 1;
    enum verdict verdict = VERDICT_HELD;
    bool lost = planted(SIM_PLANT_lost_effect) && header->feed.lane == 4 && chance(200);
    bool again = judged_before(txn, position);
    for (unsigned i = 0; i < times; i++) {
        if (again)
            return apply_batch(&site->applier, txn, header, signer, entries, position, received_ms, reason);
        site->applications =
            memory_room(site->applications, site->application_count, &site->application_capacity, sizeof *site->applications);
        site->applications[site->application_count++] =
            (struct application){feed ? (uint32_t)(feed - world->model.feeds) : UINT32_MAX, header->first};
        verdict = lost ? VERDICT_APPLIED : apply_batch(&site->applier, txn, header, signer, entries, position, received_ms, reason);
    }
    return verdict;
}

static bool on_may_certify(void *context, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer)
{
    return apply_may_certify(&((struct site *)context)->applier, txn, certificate, issuer);
}

static void on_document(void *context, struct txn *txn, const struct hash *hash, struct bytes content)
{
    apply_document(&((struct site *)context)->applier, txn, hash, content);
}

// ---- the engine's

static uint64_t until_midnight_ms(void)
{
    const uint64_t day = 24 * 3600 * 1000;
    return day - (utc_ms() + (uint64_t)world->codebook->tz_minutes * 60000) % day;
}

static enum error_code on_tick(void *context, struct txn *txn, struct error *error)
{
    (void)error;
    struct site *site = context;
    site->due_ms = UINT64_MAX;
    if (site->restored && !planted(SIM_PLANT_restored_signs))
        return OK;
    bool owes = receipt_settle(site->author, txn, site->desk.now_ms);
    ledger_state(site->ledger, &site->desk);
    bool more = complete_sign(&site->desk) == COMPLETE_SIGN_MAX;
    uint64_t midnight = until_midnight_ms() + 1;
    site->due_ms = monotonic_ms() + (more || owes ? 0 : midnight < LOOK_MS ? midnight : LOOK_MS);
    return OK;
}

static int64_t on_due(void *context)
{
    const struct site *site = context;
    uint64_t now = monotonic_ms();
    return site->due_ms == UINT64_MAX ? -1 : site->due_ms <= now ? 0 : (int64_t)(site->due_ms - now);
}

static void on_documents(void *context, uint32_t *ret_codebook, uint32_t *ret_units)
{
    (void)context;
    *ret_codebook = *ret_units = 1;
}

static void on_log(void *context, bool alarm, const char *text)
{
    if (world->config.trace)
        printf("%24s %s%s\n", site_name(context), alarm ? "ALARM " : "", text);
}

static bool on_join(void *context, struct txn *txn, const struct public_key *key, struct bytes request, struct buffer *ret_reply,
                    struct peer *ret_peer)
{
    struct site *site = context;
    struct host host = {.self = &site->self,
                        .sign_key = &site->sign_key,
                        .root = world->sites[0].self.hash,
                        .transport_key = &site->self.transport_key,
                        .may_certify = on_may_certify,
                        .context = site};
    if (!introduction_is(request) || !introduction_admit(txn, &host, key, request, utc_ms(), ret_reply, ret_peer))
        return false;
    path_taken(SIM_PATH_introduced);
    return true;
}

static enum error_code on_introduce(void *context, struct txn *txn, const struct public_key *called, struct buffer *ret,
                                    struct error *error)
{
    const struct site *site = context;
    return introduction_make(txn, &site->self, &site->sign_key, NULL, called, ret, error);
}

// ---- the marker

static void mark(struct site *site)
{
    struct txn *txn = check_reader(site);
    incarnation_mark(txn, &site->marker);
    site->marker.starts = site->meta.starts;
    site->marker.clean = false;
    site->marked_ms = world->now;
    txn_abort(txn);
}

static void keep_marker(struct site *site)
{
    if (!site->restored && site->running && !site->dying && world->now >= site->marked_ms + KEEP_MS)
        mark(site);
}

static void suspend(struct site *site)
{
    struct txn *txn = check_reader(site);
    incarnation_suspend(txn, &site->meta, &site->marker, crypto_random_u64());
    txn_abort(txn);
}

// What it signed until now may be lost, as far as nobody else has it.
void site_doubt(struct site *site)
{
    site->doubt = true;
    world->sites[site->unit].doubt = true;
    for (uint32_t f = 0; f < world->model.feed_count; f++)
        if (world->model.feeds[f].origin == site->unit)
            world->model.feeds[f].doubt = true;
    memset(site->line.seen_ack, 0, sizeof site->line.seen_ack);
    for (uint32_t i = site->index + 1; i < site->subtree_end && !site->twin; i = world->sites[i].subtree_end)
        memset(world->sites[i].line.seen_ack, 0, sizeof site->line.seen_ack);
}

// ---- the process

// As node/station.c: holds the store against the marker, counts the start, or goes on restored.
static void look(struct site *site)
{
    struct error error = {0};
    struct txn *txn = check_reader(site);
    enum error_code code = journal_meta_read(txn, &site->meta, &error);
    assert(code == OK);
    enum incarnation_state state = incarnation_look(txn, &site->meta, site->has_marker ? &site->marker : NULL);
    if (!site->has_marker)
        site->marker = (struct marker){.station = site->self.station};
    if (state == INCARNATION_OPENED)
        incarnation_resume(txn, &site->meta, &site->marker);
    site->restored = state == INCARNATION_RESTORED;
    txn_abort(txn);
    site->has_marker = true;
    if (site->restored)
        suspend(site);
    txn = txn_begin(site->store, true, &error);
    if (site->restored) {
        incarnation_renew(txn, &site->meta, &site->marker);
    } else {
        site->meta.starts++;
        journal_meta_write(txn, &site->meta);
        incarnation_settle(txn, &site->marker);
    }
    code = txn_commit(txn, &error);
    assert(code == OK);
    site->generation = site->meta.generation;
    if (!site->restored)
        mark(site);
    if (state == INCARNATION_OPENED)
        path_taken(SIM_PATH_opened);
}

static void start_work(struct site *site)
{
    struct author_config author = {.self = &site->self,
                                   .parent = site->ancestor_count ? &site->ancestors[0] : NULL,
                                   .sign_key = &site->sign_key,
                                   .ordinal = site->marker.ordinal,
                                   .nonce = site->marker.nonce};
    struct error error = {0};
    enum error_code code = signers_create(&world->sites[0].self.hash, &site->signers, &error);
    assert(code == OK);
    code = author_create(&author, &site->author, &error);
    assert(code == OK);
    code = ledger_create(&site->ledger, &error);
    assert(code == OK);
    site->applier = (struct applier){.desk = &site->desk}; // not restored: there are no records behind the figures here
    site->receiver = (struct receiver){.restored = site->restored,
                                       .put_back = site->restored || site->marker.ordinal > 1,
                                       .place = {.self = author.self, .parent = author.parent},
                                       .signers = site->signers,
                                       .author = site->restored || world->config.former ? NULL : site->author,
                                       .context = site,
                                       .apply = on_apply,
                                       .may_certify = on_may_certify,
                                       .document = on_document};
    struct writer_hooks hooks = {.context = site,
                                 .begin = on_begin,
                                 .before_commit = on_before_commit,
                                 .aborted = on_aborted,
                                 .committed = on_committed,
                                 .fatal = on_fatal,
                                 .done = on_done};
    code = writer_create(site->store, &site->receiver, &hooks, false, &site->writer, &error);
    assert(code == OK);
}

static void start_engine(struct site *site)
{
    struct error error = {0};
    struct engine_config config = {
        .store = site->store,
        .writer = site->writer,
        .self = &site->self,
        .parent = site->ancestor_count ? &site->ancestors[0] : NULL,
        .root = world->sites[0].self.hash,
        .transport_public = &site->self.transport_key,
        .transport_secret = &site->transport_key,
        .listen = site->children ? "sim" : NULL,
        .parent_endpoint = site->ancestor_count ? "sim" : NULL,
        .parent_join = site->ancestor_count ? JOIN_ENDPOINT : NULL,
        .children_max = site->children,
        .ordinal = site->marker.ordinal,
        .nonce = site->marker.nonce,
        .generation = site->generation,
        .sign_key = &site->sign_key,
        .starts = world->config.former ? site->start
                  : site->restored     ? 0
                                       : site->meta.starts,
        .asks = site->restored ? site->marker.wants : 0,
        .hooks = {.context = site,
                  .join = on_join,
                  .introduce = on_introduce,
                  .tick = on_tick,
                  .due_ms = on_due,
                  .documents = on_documents,
                  .log = on_log},
    };
    enum error_code code = engine_create(&config, &site->engine, &error);
    assert(code == OK);
    engine_begin(site->engine);
}

// The engine ended by itself: the next start is in another incarnation, or asks for one.
static void go_on(struct site *site)
{
    enum engine_end end = engine_end(site->engine);
    step_note(site, "ends by itself", end, 0, 0);
    site_stop(site);
    world->current = site;
    if (end == ENGINE_SPENT)
        site->marker.restored = false;
    if (end != ENGINE_OPENED) {
        suspend(site);
        site_doubt(site);
        path_taken(SIM_PATH_suspended);
    }
    world->current = NULL;
    plan(world->now + 1 + random_below(1000), HAPPENS_START, site->index, 0, 0);
}

static void note_staged(struct site *site)
{
    struct txn *txn = check_reader(site);
    if (txn_count(txn, TABLE_STAGING) > 0)
        path_taken(SIM_PATH_staged);
    txn_abort(txn);
}

void site_start(struct site *site)
{
    world->current = site;
    site->running = true;
    site->dying = site->died_reading = false;
    site->crash_in = 0;
    site->commit_planned = false;
    site->start = ++world->starts;
    step_note(site, "starts", site->start, 0, 0);
    if (site->start > world->count && !site->twin)
        note_staged(site);
    site->due_ms = monotonic_ms();
    site->turn_at = UINT64_MAX;
    site->reads_until_death = 0;
    check_commit(site); // a commit of unknown outcome is known now
    look(site);
    start_work(site);
    start_engine(site);
    site_plan_turn(site, world->now);
    world->current = NULL;
}

void site_stop(struct site *site)
{
    if (!site->running)
        return;
    world->current = site;
    site->dying = true;
    step_note(site, "stops", site->start, 0, 0);
    // In the order of node/station.c: the writer may still wake the engine.
    writer_destroy(site->writer);
    engine_destroy(site->engine);
    ledger_destroy(site->ledger);
    author_destroy(site->author);
    signers_destroy(site->signers);
    site->writer = NULL;
    site->engine = NULL;
    site->running = false;
    store_memory_restart(site->store);
    site->line.dialing = 0;
    network_break(site, false);
    for (uint32_t i = site->index + 1; i < site->subtree_end; i = world->sites[i].subtree_end)
        network_break(&world->sites[i], true);
    for (uint32_t i = world->count; i < world->site_count; i++)
        if (world->sites[i].parent == (int32_t)site->index)
            network_break(&world->sites[i], true);
    world->current = NULL;
}

void site_kill(struct site *site)
{
    site_stop(site);
    plan(world->now + 200 + random_below(chance(200) ? 1800 * 1000 : 20 * 1000), HAPPENS_START, site->index, 0, 0);
}

static void after_step(struct site *site)
{
    if (site->dying) {
        site_kill(site);
        return;
    }
    check_step(site);
}

void site_plan_turn(struct site *site, uint64_t at)
{
    if (!site->running || site->turn_at <= at)
        return;
    site->turn_at = at;
    plan(at, HAPPENS_TURN, site->index, site->start, 0);
}

void site_turn(struct site *site)
{
    world->current = site;
    site->turn_at = UINT64_MAX;
    do {
        engine_turn(site->engine);
        site->same_turns = site->turns_at == world->now ? site->same_turns + 1 : 0;
        site->turns_at = world->now;
        if (site->same_turns > TURNS_AT_ONCE_MAX)
            check_fail(&check_bounded, "%s: its engine turns %d times in one millisecond", site_name(site), TURNS_AT_ONCE_MAX);
    } while (engine_end(site->engine) == ENGINE_STOPPED && !site->dying && !world->over && !site->transport->idle);
    if (!site->dying && site->transport->wake_at != UINT64_MAX)
        site_plan_turn(site, site->transport->wake_at > world->now ? site->transport->wake_at : world->now);
    world->current = NULL;
    if (!site->dying && engine_end(site->engine) != ENGINE_STOPPED)
        go_on(site);
    else
        after_step(site);
}

// Something was handed to the writer: the disk takes its time.
void site_submitted(struct site *site)
{
    if (site->commit_planned)
        return;
    site->commit_planned = true;
    uint32_t most = site->slow_until > world->now ? 4000 : 20;
    plan(world->now + 1 + random_below(most), HAPPENS_COMMIT, site->index, site->start, 0);
}

// Arms the disk's failure of the coming commit. Returns whether its changes stay, should its outcome be unknown.
static bool arm_failure(struct site *site)
{
    bool kept = false;
    if (site->full_until > world->now) {
        store_memory_fail(site->store, 0, ERR_FULL, false);
        path_taken(SIM_PATH_full);
    } else if (site->commit_fails) {
        kept = site->commit_fails == 2;
        store_memory_fail(site->store, 0, ERR_STORE, kept);
        path_taken(SIM_PATH_unknown);
        step_note(site, "commit unknown", kept, 0, 0);
    }
    return kept;
}

void site_commit(struct site *site)
{
    world->current = site;
    site->commit_planned = false;
    bool kept = arm_failure(site);
    bool ran = writer_turn(site->writer);
    if (ran)
        site->commit_fails = 0;
    else
        store_memory_restart(site->store); // nothing was written: no failure is to come
    if (site->dying && kept && !site->died_reading)
        became_true(site);
    world->current = NULL;
    if (site->dying)
        store_memory_restart(site->store);
    check_commit(site);
    keep_marker(site);
    after_step(site);
    // More than one transaction takes may be waiting.
    if (ran && site->running)
        site_submitted(site);
}
