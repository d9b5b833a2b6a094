#include "node/station.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control.pb-c.h"
#include "node/apply.h"
#include "node/complete.h"
#include "node/control.h"
#include "node/ledger.h"
#include "node/records.h"
#include "node/service.h"
#include "relay/language.h"

enum {
    PATH_SIZE = 4096,
    QUIET_MS = 1000,         // after the last own statement, before `complete` is signed: a burst of records makes one, not many
    TICK_SUBJECTS_MAX = 500, // subjects restated in one transaction when ages turned: some ms of work
    RETRY_MS = 60 * 1000,    // after a transaction that failed: what was owed in it is still owed
    LOOK_MS = 3600 * 1000,   // at least so often: the monotonic clock stands still while a computer sleeps, the calendar does not
};

struct station {
    char directory[PATH_SIZE];
    int lock;
    struct config config;
    struct identity identity;
    struct keyring *keyring;
    struct store *store;
    struct journal_meta meta;
    struct marker marker;
    bool restored;
    struct certificate self, ancestors[DEPTH_MAX];
    uint32_t ancestor_count;
    struct documents *documents; // as committed; replaced on the writer's thread only, under the mutex
    struct documents *next;      // of the open transaction, the writer's: in place when it is committed. NULL: as before
    pthread_mutex_t documents_mutex;
    struct signers *signers;
    struct author *author;
    struct ledger *ledger;
    struct writer *writer;
    struct engine *engine;
    struct control *control;
    struct desk desk; // of the transaction that is open
    struct applier applier;
    struct receiver receiver;
    atomic_uint_fast64_t due_ms; // monotonic: when the station next owes something; UINT64_MAX: never
    bool stated;                 // in this transaction
    uint64_t started_ms;
};

// ---- documents

struct documents *station_documents(struct station *station)
{
    pthread_mutex_lock(&station->documents_mutex);
    struct documents *documents = station->documents;
    documents->holders++;
    pthread_mutex_unlock(&station->documents_mutex);
    return documents;
}

void station_release(struct station *station, struct documents *documents)
{
    pthread_mutex_lock(&station->documents_mutex);
    bool last = --documents->holders == 0;
    pthread_mutex_unlock(&station->documents_mutex);
    if (last)
        documents_destroy(documents);
}

// What is in force now takes the place of what was; who holds the old one goes on with it. Consumes `documents`.
static void replace_documents(struct station *station, struct documents *documents)
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
}

// Batches that waited for something: tried again, each once. Those that still wait are put back.
static void take_up(struct station *station, struct txn *txn, const char *waited_for)
{
    struct buffer positions = {0}; // all are taken out first: what is put back must not come round again
    for (uint64_t position; (position = deferred_take(txn, waited_for)) != 0;)
        buffer_append(&positions, &position, sizeof position);
    if (positions.failed)
        txn_fail(txn, ERR_MEMORY, waited_for);
    for (size_t at = 0; at < positions.size && txn_error(txn) == OK; at += sizeof(uint64_t)) {
        uint64_t position;
        const char *reason = NULL;
        memcpy(&position, positions.data + at, sizeof position);
        enum verdict verdict = receive_again(&station->receiver, txn, position, &reason);
        journal_add_body(txn, position, bytes_of(NULL, 0), verdict, reason ? reason : "");
        if (verdict == VERDICT_DEFERRED)
            deferred_add(txn, reason, position);
    }
    buffer_finish(&positions);
}

// Documents came: what was announced comes into force, and what waited for it is taken up.
static void take_documents(struct station *station, struct txn *txn)
{
    struct error error = {0};
    take_up(station, txn, "document");
    if (documents_load(txn, station->self.unit, &station->next, &error) != OK) {
        txn_fail(txn, error.code, error.detail);
        return;
    }
    documents_number(station->next, txn);
    station->desk.codebook = station->next->codebook;
    station->desk.units = station->next->units;
    station->desk.unit = station->next->unit;
    station->desk.delegated = station->next->delegated;
    take_up(station, txn, "units");
}

static void on_before_commit(void *context, struct txn *txn, struct grown *grown)
{
    struct station *station = context;
    struct error error = {0};
    if (station->applier.reload)
        take_documents(station, txn);
    station->stated = ledger_state(station->ledger, &station->desk) > 0;
    ledger_flush(station->ledger, txn);
    author_finish(station->author, txn, grown);
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

static void on_committed(void *context)
{
    struct station *station = context;
    if (station->next)
        replace_documents(station, station->next);
    station->next = NULL;
    if (station->stated)
        due_in(station, QUIET_MS);
}

static void log_line(void *context, bool alarm, const char *text)
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
    log_line(context, true, text);
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
    if (station->restored || !station->desk.codebook)
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
                         .transport_key = &station->identity.transport.public_key};
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
    document_in_force(txn, DOCUMENT_UNITS, &documents.units, &documents.units_version);
    document_in_force(txn, DOCUMENT_CODEBOOK, &documents.codebook, &documents.codebook_version);
    bool enrolled = admit(txn, &host, key, request, utc_ms(), &documents, ret_reply, ret_peer);
    if (enrolled)
        station->applier.reload = true; // the unit is spoken for by its own station from now on
    return enrolled;
}

static void on_documents(void *context, uint32_t *ret_codebook, uint32_t *ret_units)
{
    struct documents *documents = station_documents(context);
    *ret_codebook = documents->codebook_version;
    *ret_units = documents->units_version;
    station_release(context, documents);
}

// ---- opening

static enum error_code lock(struct station *station, struct error *error)
{
    char path[PATH_SIZE + 8];
    snprintf(path, sizeof path, "%s/lock", station->directory);
    station->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (station->lock < 0)
        return error_set_errno(error, ERR_IO, "%s", path);
    if (flock(station->lock, LOCK_EX | LOCK_NB) != 0)
        return error_set(error, ERR_BUSY, tr("%s: a node or another command has this station open", "%s：节点或另一命令正在使用此站点"),
                         station->directory);
    return OK;
}

static enum error_code load_certificates(struct station *station, struct txn *txn, struct error *error)
{
    struct bytes name, wire;
    struct hash hash;
    enum object_kind kind;
    if (!meta_get(txn, "self", &name) || name.size != HASH_SIZE)
        return error_set(error, ERR_CORRUPT, "%s", tr("the store does not say whose it is", "存储未说明所属站点"));
    memcpy(hash.bytes, name.data, HASH_SIZE);
    for (uint32_t i = 0; i <= DEPTH_MAX; i++) {
        struct certificate *at = i == 0 ? &station->self : &station->ancestors[i - 1];
        if (!object_read(txn, &hash, &kind, &wire))
            return error_set(error, ERR_CORRUPT, "%s", tr("a certificate of this station's chain is missing", "本站点证书链缺少证书"));
        enum error_code code = certificate_decode(wire, at, error);
        if (code != OK)
            return code;
        station->ancestor_count = i;
        if (at->root)
            return OK;
        hash = at->issuer;
    }
    return error_set(error, ERR_CORRUPT, "%s", tr("this station's certificate chain is too long", "本站点证书链过长"));
}

// Whether the store is the one that the marker saw last: a copy put back has fewer starts, or ends earlier, or ends in another row.
static bool was_restored(const struct station *station, struct txn *txn)
{
    const struct marker *marker = &station->marker;
    uint64_t end = journal_end(txn);
    if (station->meta.starts < marker->starts || end < marker->end || (marker->clean && end != marker->end))
        return true;
    struct batch_row row;
    if (marker->end == 0)
        return false;
    if (!journal_read(txn, marker->end, &row))
        return true;
    struct hash digest = journal_digest(&row);
    return !hash_equal(&digest, &marker->digest);
}

static enum error_code mark(struct station *station, bool clean, struct error *error)
{
    struct txn *txn = txn_begin(station->store, false, error);
    if (!txn)
        return error ? error->code : ERR_MEMORY;
    struct batch_row row;
    station->marker.end = journal_end(txn);
    station->marker.digest = (struct hash){0};
    if (station->marker.end && journal_read(txn, station->marker.end, &row))
        station->marker.digest = journal_digest(&row);
    txn_abort(txn);
    station->marker.starts = station->meta.starts;
    station->marker.clean = clean;
    return marker_write(station->directory, &station->marker, error);
}

// Counts this start in the store first and in the marker second: a crash between leaves the store ahead, which is no restore.
static enum error_code count_start(struct station *station, struct error *error)
{
    station->meta.starts++;
    struct txn *txn = txn_begin(station->store, true, error);
    if (!txn)
        return error ? error->code : ERR_MEMORY;
    journal_meta_write(txn, &station->meta);
    enum error_code code = txn_commit(txn, error);
    return code == OK ? mark(station, false, error) : code;
}

// No marker, or one that saw another history of this store: read-only.
static enum error_code read_marker(struct station *station, struct txn *txn, struct error *error)
{
    enum error_code code = marker_read(station->directory, &station->marker, error);
    if (code == ERR_NOT_FOUND) {
        station->restored = true;
        return OK;
    }
    if (code == OK && !station_equal(&station->marker.station, &station->identity.station))
        code = error_set(error, ERR_CORRUPT, tr("%s/marker: belongs to another station", "%s/marker：属于另一站点"), station->directory);
    if (code == OK)
        station->restored = was_restored(station, txn);
    return code;
}

static enum error_code read_state(struct station *station, struct error *error)
{
    struct txn *txn = txn_begin(station->store, false, error);
    if (!txn)
        return error ? error->code : ERR_MEMORY;
    enum error_code code = journal_meta_read(txn, &station->meta, error);
    if (code == OK && !station_equal(&station->meta.station, &station->identity.station))
        code = error_set(error, ERR_CORRUPT, "%s", tr("the store belongs to another station than the keys", "存储与密钥不属于同一站点"));
    if (code == OK)
        code = load_certificates(station, txn, error);
    if (code == OK && memcmp(&station->self.sign_key, &station->identity.sign.public_key, PUBLIC_KEY_SIZE) != 0)
        code = error_set(error, ERR_CORRUPT, "%s", tr("the store's certificate is for other keys", "存储中的证书与密钥不符"));
    if (code == OK)
        code = read_marker(station, txn, error);
    if (code == OK)
        code = documents_load(txn, station->self.unit, &station->documents, error);
    if (code == OK)
        station->documents->holders = 1;
    txn_abort(txn);
    return code;
}

// The certificate must lead to the root that station.conf pins, or nothing that comes from this network could ever be verified.
static enum error_code check_root(struct station *station, struct error *error)
{
    struct txn *txn = txn_begin(station->store, false, error);
    if (!txn)
        return error ? error->code : ERR_MEMORY;
    bool leads = signers_find(station->signers, txn, &station->self.hash) != NULL;
    enum error_code code = txn_report(txn, error);
    txn_abort(txn);
    if (code == OK && !leads)
        code = error_set(error, ERR_CORRUPT,
                         tr("%s/station.conf: 'root' is not the root that this station's certificate leads to",
                            "%s/station.conf：'root' 不是本站点证书所通向的根"),
                         station->directory);
    return code;
}

static enum error_code start_work(struct station *station, bool threaded, struct error *error)
{
    struct author_config author = {.self = &station->self,
                                   .parent = station->ancestor_count ? &station->ancestors[0] : NULL,
                                   .sign_key = &station->identity.sign.secret_key,
                                   .ordinal = station->marker.ordinal,
                                   .nonce = station->marker.nonce};
    enum error_code code = signers_create(&station->config.root, &station->signers, error);
    if (code == OK)
        code = check_root(station, error);
    if (code == OK)
        code = author_create(&author, &station->author, error);
    if (code == OK)
        code = ledger_create(&station->ledger, error);
    if (code == OK)
        ledger_set_ordinal(station->ledger, station->marker.ordinal);
    station->applier = (struct applier){.desk = &station->desk};
    station->receiver = (struct receiver){.place = {.self = author.self, .parent = author.parent},
                                          .signers = station->signers,
                                          .context = &station->applier,
                                          .apply = apply_batch,
                                          .may_certify = apply_may_certify,
                                          .document = apply_document};
    station->receiver.entries = calloc(BATCH_ENTRIES_MAX, sizeof *station->receiver.entries);
    if (code == OK && !station->receiver.entries)
        code = error_set(error, ERR_MEMORY, "station");
    struct writer_hooks hooks = {.context = station,
                                 .begin = on_begin,
                                 .before_commit = on_before_commit,
                                 .aborted = on_aborted,
                                 .committed = on_committed,
                                 .fatal = on_fatal,
                                 .done = on_done};
    if (code == OK)
        code = writer_create(station->store, &station->receiver, &hooks, threaded, &station->writer, error);
    return code;
}

static enum error_code open_station(const char *directory, bool threaded, struct station **ret, struct error *error)
{
    struct station *station = calloc(1, sizeof *station);
    if (!station)
        return error_set(error, ERR_MEMORY, "station");
    station->lock = -1;
    pthread_mutex_init(&station->documents_mutex, NULL);
    atomic_init(&station->due_ms, monotonic_ms());
    station->started_ms = monotonic_ms();
    snprintf(station->directory, sizeof station->directory, "%s", directory);
    enum error_code code = crypto_init(error);
    if (code == OK)
        code = config_read(directory, &station->config, error);
    if (code == OK)
        code = lock(station, error);
    if (code == OK)
        code = identity_load(directory, &station->identity, error);
    if (code == OK)
        code = keyring_open(directory, &station->keyring, error);
    if (code == OK)
        code = store_open(directory, STORE_OPEN, 0, &station->store, error);
    if (code == OK)
        code = read_state(station, error);
    if (code == OK && !station->restored)
        code = count_start(station, error);
    if (code == OK)
        code = start_work(station, threaded, error);
    if (code != OK) {
        station->restored = true; // leave the marker as it is
        station_close(station);
        return code;
    }
    *ret = station;
    return OK;
}

enum error_code station_open(const char *directory, struct station **ret, struct error *error)
{
    return open_station(directory, false, ret, error);
}

void station_close(struct station *station)
{
    if (!station)
        return;
    writer_destroy(station->writer);
    if (station->store && !station->restored)
        mark(station, true, NULL);
    free(station->receiver.entries);
    ledger_destroy(station->ledger);
    author_destroy(station->author);
    signers_destroy(station->signers);
    documents_destroy(station->documents);
    store_close(station->store);
    keyring_close(station->keyring);
    identity_finish(&station->identity);
    if (station->lock >= 0)
        close(station->lock);
    pthread_mutex_destroy(&station->documents_mutex);
    free(station);
}

// ---- asking it

struct store *station_store(struct station *station) { return station->store; }
const struct certificate *station_self(const struct station *station) { return &station->self; }
const struct config *station_config(const struct station *station) { return &station->config; }
struct engine *station_engine(struct station *station) { return station->engine; }
const struct marker *station_marker(const struct station *station) { return &station->marker; }
bool station_restored(const struct station *station) { return station->restored; }
uint64_t station_started_ms(const struct station *station) { return station->started_ms; }
const struct certificate *station_ancestors(const struct station *station, uint32_t *ret_count)
{
    *ret_count = station->ancestor_count;
    return station->ancestors;
}

struct desk_call {
    struct station *station;
    enum error_code (*run)(void *argument, struct desk *desk, struct error *error);
    void *argument;
};

static enum error_code run_desk_call(void *argument, struct txn *txn, struct error *error)
{
    (void)txn;
    struct desk_call *call = argument;
    return call->run(call->argument, &call->station->desk, error);
}

enum error_code station_write(struct station *station, enum error_code (*run)(void *argument, struct desk *desk, struct error *error),
                              void *argument, struct error *error)
{
    if (station->restored)
        return error_set(error, ERR_STATE, "%s",
                         tr("this station's store was put back from a copy (its marker says so, or is gone): it is read-only, so that it "
                            "can't sign a second history",
                            "本站点的存储是从副本恢复的（标记文件如此表明，或已缺失）：为避免产生第二份历史，现为只读"));
    struct desk_call call = {station, run, argument};
    return writer_call(station->writer, run_desk_call, &call, error);
}

// ---- running

static struct engine *_Atomic running; // for the signal handler, which may run on any thread

static void on_signal(int signal)
{
    (void)signal;
    struct engine *engine = running;
    if (engine)
        engine_stop(engine);
}

struct progress_to {
    struct control_reply *reply;
    uint64_t last_ms;
};

enum { PROGRESS_MS = 200 };

// At most five progress messages a second.
static void on_progress(void *context, uint64_t done, uint64_t total)
{
    struct progress_to *to = context;
    uint64_t now = monotonic_ms();
    if (now - to->last_ms < PROGRESS_MS)
        return;
    to->last_ms = now;
    Sanji__Reply reply = SANJI__REPLY__INIT;
    Sanji__Progress progress = SANJI__PROGRESS__INIT;
    progress.done = done;
    progress.total = total;
    reply.reply_case = SANJI__REPLY__REPLY_PROGRESS;
    reply.progress = &progress;
    struct buffer wire = {0};
    codec_pack(&reply, &wire);
    control_answer(to->reply, buffer_bytes(&wire));
    buffer_finish(&wire);
}

static void on_request(void *context, struct bytes request, struct control_reply *reply)
{
    struct buffer answer = {0};
    struct progress_to to = {.reply = reply, .last_ms = monotonic_ms()};
    service_handle(context, request, on_progress, &to, &answer, NULL);
    control_answer(reply, buffer_bytes(&answer));
    buffer_finish(&answer);
}

static enum error_code start_engine(struct station *station, struct error *error)
{
    struct engine_config config = {
        .store = station->store,
        .writer = station->writer,
        .self = &station->self,
        .parent = station->ancestor_count ? &station->ancestors[0] : NULL,
        .root = station->config.root,
        .transport_public = &station->identity.transport.public_key,
        .transport_secret = &station->identity.transport.secret_key,
        .listen = *station->config.listen ? station->config.listen : NULL,
        .join = *station->config.join ? station->config.join : NULL,
        .parent_endpoint = *station->config.parent ? station->config.parent : NULL,
        .ordinal = station->marker.ordinal,
        .nonce = station->marker.nonce,
        .generation = station->meta.generation,
        .hooks = {.context = station, .join = on_join, .tick = on_tick, .due_ms = on_due, .documents = on_documents, .log = log_line},
    };
    return engine_create(&config, &station->engine, error);
}

static void quiet_process(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); // keys and children's data are in memory
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    umask(077);
}

enum error_code station_run(const char *directory, struct error *error)
{
    struct station *station;
    quiet_process();
    enum error_code code = open_station(directory, true, &station, error);
    if (code != OK)
        return code;
    code = start_engine(station, error);
    if (code == OK) {
        struct sigaction action = {.sa_handler = on_signal};
        running = station->engine;
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        struct control_config control = {.dir = directory, .handle = on_request, .context = station};
        code = control_start(&control, &station->control, error);
    }
    if (code == OK) {
        char text[400];
        snprintf(text, sizeof text, "station of unit %s ready%s%s%s", station->self.unit, *station->config.listen ? ", children at " : "",
                 *station->config.listen ? engine_listen(station->engine) : "", station->restored ? ", READ-ONLY (restored)" : "");
        log_line(NULL, station->restored, text);
        code = engine_run(station->engine, error);
    }
    control_stop(station->control);
    running = NULL;
    // The writer ends first: it may still wake the engine.
    writer_destroy(station->writer);
    station->writer = NULL;
    engine_destroy(station->engine);
    station->engine = NULL;
    station_close(station);
    return code;
}
