#include "node/station_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/complete.h"
#include "node/records.h"
#include "relay/introduce.h"
#include "relay/language.h"
#include "relay/receipt.h"
#include "relay/waiting.h"

enum {
    QUIET_MS = 1000,         // after the last own statement, before `complete` is signed: a burst of records makes one, not many
    TICK_SUBJECTS_MAX = 500, // subjects restated in one transaction when ages turned: some ms of work
    RETRY_MS = 60 * 1000,    // after a transaction that failed: what was owed in it is still owed
    TELL_MS = 60 * 1000,     // a disk that fills and empties by turns is spoken of no more often
    LOOK_MS = 3600 * 1000,   // at least so often: the monotonic clock stands still while a computer sleeps, the calendar does not
};

// What is in force now takes the place of what was; who holds the old one goes on with it. Consumes `documents`.
void station_replace_documents(struct station *station, struct documents *documents)
{
    documents->holders = 1;
    pthread_mutex_lock(&station->documents_mutex);
    struct documents *old = station->documents;
    station->documents = documents;
    pthread_mutex_unlock(&station->documents_mutex);
    if (old)
        station_release(station, old);
}

// ---- the writer's transactions

static void on_begin(void *context, struct txn *txn)
{
    struct station *station = context;
    struct documents *documents = station->documents; // only this thread replaces it
    station->desk = (struct desk){
        .txn = txn,
        .codebook = documents->codebook,
        .units = documents->units,
        .unit = documents->unit,
        .self = &station->self,
        .ancestors = station->ancestors,
        .ancestor_count = station->ancestor_count,
        .keyring = station->keyring,
        .author = station->author,
        .ledger = station->ledger,
        .now_ms = utc_ms(),
        .delegated = documents->delegated,
    };
    station->applier.reload = false;
    station->stated = false;
    author_context(station->author, station->desk.now_ms, documents->codebook ? &documents->codebook->hash : NULL);
    if (documents->codebook) // restored or not: what comes back is judged, too
        apply_take_up_periods(&station->receiver, &station->desk);
}

// Documents came: what was announced comes into force, and what waited for it is taken up.
static void take_documents(struct station *station, struct txn *txn)
{
    struct error error = {0};
    waiting_take_up(&station->receiver, txn, "document", "document", station->desk.now_ms);
    if (documents_load(txn, station->self.unit, &station->next, &error) != OK) {
        txn_fail(txn, error.code, error.detail);
        return;
    }
    documents_number(station->next, txn);
    station->desk.codebook = station->next->codebook;
    station->desk.units = station->next->units;
    station->desk.unit = station->next->unit;
    station->desk.delegated = station->next->delegated;
    waiting_take_up(&station->receiver, txn, "units", "units", station->desk.now_ms);
}

// There is room for it now.
static void tell_of_full(struct station *station, struct txn *txn)
{
    struct alarm alarm = {.time_ms = utc_ms(), .kind = "disk-full"};
    char since[26];
    instant_format(station->full_ms, 0, since);
    snprintf(alarm.text, sizeof alarm.text, "new work was refused for want of room since %s; now there is room", since);
    alarm_add(txn, &alarm);
}

static void on_before_commit(void *context, struct txn *txn, struct grown *grown)
{
    struct station *station = context;
    struct error error = {0};
    if (station->applier.reload)
        take_documents(station, txn);
    station->stated = ledger_state(station->ledger, &station->desk) > 0;
    ledger_flush(station->ledger, txn);
    if (station->owes_alarm)
        tell_of_full(station, txn);
    author_finish(station->author, txn, grown);
    station->end = journal_end(txn);
    enum error_code code = keyring_sync(station->keyring, &error);
    if (code != OK)
        txn_fail(txn, code, error.detail);
}

static void due_in(struct station *station, uint64_t ms)
{
    uint64_t at = monotonic_ms() + ms;
    if (at < atomic_load(&station->due_ms))
        atomic_store(&station->due_ms, at);
}

static void on_aborted(void *context)
{
    struct station *station = context;
    ledger_abort(station->ledger);
    author_abort(station->author);
    documents_destroy(station->next);
    station->next = NULL;
    due_in(station, RETRY_MS);
}

static void on_full(void *context, const struct error *error)
{
    struct station *station = context;
    uint64_t now = monotonic_ms();
    if (!atomic_exchange(&station->full, true))
        station->full_ms = utc_ms();
    if (station->told_ms && now - station->told_ms < TELL_MS)
        return;
    station->told_ms = now;
    station->owes_alarm = true;
    char text[600];
    snprintf(text, sizeof text, "%s; %s", error->detail, error_action(ERR_FULL));
    station_log(NULL, true, text);
}

static void on_committed(void *context)
{
    struct station *station = context;
    if (atomic_exchange(&station->full, false) && station->owes_alarm)
        station_log(NULL, false, "there is room again");
    station->owes_alarm = false;
    if (station->next)
        station_replace_documents(station, station->next);
    station->next = NULL;
    keeper_note(station, station->end);
    if (station->stated)
        due_in(station, QUIET_MS);
}

void station_log(void *context, bool alarm, const char *text)
{
    (void)context;
    char when[26];
    instant_format(utc_ms(), 0, when);
    fprintf(stderr, "%s %s%s\n", when, alarm ? "ALARM " : "", text);
}

// The outcome of a commit is not known: whoever opens the store next reads it.
static void on_fatal(void *context, const struct error *error)
{
    char text[600];
    snprintf(text, sizeof text, "%s: %s; %s", error_text(error->code), error->detail, error_action(error->code));
    station_log(context, true, text);
    _exit(1);
}

static void on_done(void *context)
{
    struct station *station = context;
    if (station->engine)
        engine_wake(station->engine);
}

// ---- time

// Until the next civil day begins in the codebook's zone.
static uint64_t until_midnight_ms(const struct station *station)
{
    int offset = station->documents->codebook ? station->documents->codebook->tz_minutes : 0;
    uint64_t local = utc_ms() + (uint64_t)((int64_t)offset * 60000), day = 24 * 3600 * 1000;
    return day - local % day;
}

static enum error_code on_tick(void *context, struct txn *txn, struct error *error)
{
    (void)txn;
    (void)error;
    struct station *station = context;
    atomic_store(&station->due_ms, UINT64_MAX);
    if (station->restored)
        return OK;
    if (receipt_settle(station->author, txn, station->desk.now_ms))
        due_in(station, 0);
    if (!station->desk.codebook)
        return OK;
    bool more = records_tick(&station->desk, TICK_SUBJECTS_MAX);
    ledger_state(station->ledger, &station->desk);
    more |= complete_sign(&station->desk) == COMPLETE_SIGN_MAX;
    uint64_t midnight = until_midnight_ms(station) + 1;
    due_in(station, more ? 0 : midnight < LOOK_MS ? midnight : LOOK_MS);
    return OK;
}

static int64_t on_due(void *context)
{
    struct station *station = context;
    uint64_t at = atomic_load(&station->due_ms), now = monotonic_ms();
    if (at == UINT64_MAX)
        return -1;
    return at <= now ? 0 : (int64_t)(at - now);
}

// ---- enrolment

static bool may_enrol(void *context, struct txn *txn, const char *unit)
{
    const struct station *station = context;
    const struct units *units = station->desk.units;
    int32_t at = units_find(units, unit);
    struct station_id after = {0};
    struct peer peer;
    while (peer_next(txn, &after, &peer)) {
        after = peer.station;
        int32_t above = peer.barred ? UNIT_NONE : units_find(units, peer.unit);
        if (above != UNIT_NONE && units_within(units, at, above))
            return false;
    }
    return at != UNIT_NONE;
}

static bool may_certify(void *context, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer)
{
    struct station *station = context;
    return apply_may_certify(&station->applier, txn, certificate, issuer);
}

enum error_code station_host(struct station *station, struct host *ret, struct error *error)
{
    if (!*station->config.join || !*station->config.listen)
        return error_set(error, ERR_STATE, "%s",
                         tr("this station takes no children: it has no 'listen' and 'join' address in station.conf",
                            "本站点不接收下级：station.conf 中没有 'listen' 与 'join' 地址"));
    const struct engine *engine = station->engine;
    *ret = (struct host){.self = &station->self,
                         .sign_key = &station->identity.sign.secret_key,
                         .root = station->config.root,
                         .link = engine ? engine_listen(engine) : station->config.listen,
                         .join = engine ? engine_join(engine) : station->config.join,
                         .transport_key = &station->identity.transport.public_key,
                         .above_link = station->config.parent,
                         .above_join = station->config.parent_join,
                         .may_enrol = may_enrol,
                         .guesses = &station->guesses,
                         .may_certify = may_certify,
                         .context = station};
    return OK;
}

static bool on_join(void *context, struct txn *txn, const struct public_key *key, struct bytes request, struct buffer *ret_reply,
                    struct peer *ret_peer)
{
    struct station *station = context;
    struct host host;
    struct given_documents documents = {0};
    if (station_host(station, &host, NULL) != OK)
        return false;
    if (introduction_is(request)) {
        bool linked = introduction_admit(txn, &host, key, request, utc_ms(), ret_reply, ret_peer);
        station->applier.reload |= linked && !ret_peer->guest; // its unit is spoken for by its own station
        return linked;
    }
    document_in_force(txn, DOCUMENT_UNITS, &documents.units, &documents.units_version);
    document_in_force(txn, DOCUMENT_CODEBOOK, &documents.codebook, &documents.codebook_version);
    bool enrolled = admit(txn, &host, key, request, utc_ms(), &documents, ret_reply, ret_peer);
    if (enrolled)
        station->applier.reload = true; // the unit is spoken for by its own station from now on
    return enrolled;
}

static enum error_code on_introduce(void *context, struct txn *txn, const struct public_key *called, struct buffer *ret,
                                    struct error *error)
{
    struct station *station = context;
    return introduction_make(txn, &station->self, &station->identity.sign.secret_key, station->config.listen, called, ret, error);
}

static void on_documents(void *context, uint32_t *ret_codebook, uint32_t *ret_units)
{
    struct documents *documents = station_documents(context);
    *ret_codebook = documents->codebook_version;
    *ret_units = documents->units_version;
    station_release(context, documents);
}

struct writer_hooks station_writer_hooks(struct station *station)
{
    return (struct writer_hooks){.context = station,
                                 .begin = on_begin,
                                 .before_commit = on_before_commit,
                                 .aborted = on_aborted,
                                 .committed = on_committed,
                                 .full = on_full,
                                 .fatal = on_fatal,
                                 .done = on_done};
}

struct engine_hooks station_engine_hooks(struct station *station)
{
    return (struct engine_hooks){.context = station,
                                 .join = on_join,
                                 .introduce = on_introduce,
                                 .tick = on_tick,
                                 .due_ms = on_due,
                                 .documents = on_documents,
                                 .log = station_log};
}
