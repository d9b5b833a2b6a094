#include "node/station_inside.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "node/enrolment.h"
#include "node/records.h"
#include "node/reserve.h"
#include "node/scrub.h"
#include "relay/file.h"
#include "relay/language.h"
#include "relay/quarantine.h"

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

// ---- opening

static enum error_code lock(struct station *station, struct error *error)
{
    char path[PATH_SIZE + 8];
    snprintf(path, sizeof path, "%s/lock", station->directory);
    if (station->lock < 0)
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

enum error_code station_mark(struct station *station, bool clean, struct error *error)
{
    struct txn *txn = txn_begin(station->store, false, error);
    if (!txn)
        return error ? error->code : ERR_MEMORY;
    incarnation_mark(txn, &station->marker);
    enum error_code code = txn_report(txn, error);
    txn_abort(txn);
    station->marker.starts = station->meta.starts;
    station->marker.clean = clean;
    return code == OK ? marker_write(station->directory, &station->marker, error) : code;
}

// Counts this start in the store first and in the marker second: a crash between leaves the store ahead, which is no restore.
static enum error_code count_start(struct station *station, struct error *error)
{
    station->meta.starts++;
    struct txn *txn = txn_begin(station->store, true, error);
    if (!txn)
        return error ? error->code : ERR_MEMORY;
    journal_meta_write(txn, &station->meta);
    incarnation_settle(txn, &station->marker);
    enum error_code code = txn_commit(txn, error);
    // Whoever made it may have been killed between putting it in its place and making that durable.
    if (code == OK && station->marker.starts == 1)
        code = file_sync_name(station->directory, error);
    return code == OK ? station_mark(station, false, error) : code;
}

enum error_code station_suspend(struct station *station, struct error *error)
{
    struct txn *txn = txn_begin(station->store, false, error);
    if (!txn)
        return error ? error->code : ERR_MEMORY;
    incarnation_suspend(txn, &station->meta, &station->marker, crypto_random_u64());
    enum error_code code = txn_report(txn, error);
    txn_abort(txn);
    return code == OK ? marker_write(station->directory, &station->marker, error) : code;
}

// Read-only until the next incarnation is open: the marker says so first, then the journal gets another generation.
static enum error_code go_on_restored(struct station *station, struct error *error)
{
    enum error_code code = station_suspend(station, error);
    if (code != OK || station->meta.generation == station->marker.wants)
        return code;
    struct txn *txn = txn_begin(station->store, true, error);
    if (!txn)
        return error ? error->code : ERR_MEMORY;
    incarnation_renew(txn, &station->meta, &station->marker);
    return txn_commit(txn, error);
}

// On a full disk with what was kept back for that.
static enum error_code count_start_somehow(struct station *station, struct error *error)
{
    enum error_code code = count_start(station, error);
    if (code == ERR_FULL && reserve_release(station->directory)) {
        station->full = true;
        station->full_ms = utc_ms();
        code = count_start(station, error);
    }
    if (code == OK)
        reserve_hold(station->directory);
    return code;
}

// No marker, or one that saw another history of this store: read-only.
static enum error_code read_marker(struct station *station, struct txn *txn, struct error *error)
{
    if (station->restored) // it is being salvaged, and was given its marker
        return OK;
    enum error_code code = marker_read(station->directory, &station->marker, error);
    bool found = code == OK;
    if (code == ERR_NOT_FOUND) {
        station->marker = (struct marker){.station = station->identity.station};
        code = OK;
    }
    if (found && !station_equal(&station->marker.station, &station->identity.station))
        code = error_set(error, ERR_CORRUPT, tr("%s/marker: belongs to another station", "%s/marker：属于另一站点"), station->directory);
    if (code != OK)
        return code;
    enum incarnation_state state = incarnation_look(txn, &station->meta, found ? &station->marker : NULL);
    if (state == INCARNATION_OPENED)
        incarnation_resume(txn, &station->meta, &station->marker);
    station->restored = state == INCARNATION_RESTORED;
    return txn_report(txn, error);
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
    station->applier = (struct applier){.desk = &station->desk, .restored = station->restored};
    station->receiver = (struct receiver){.restored = station->restored,
                                          .put_back = station->restored || station->marker.ordinal > 1,
                                          .place = {.self = author.self, .parent = author.parent},
                                          .signers = station->signers,
                                          .context = &station->applier,
                                          .apply = apply_batch,
                                          .may_certify = apply_may_certify,
                                          .document = apply_document,
                                          .author = station->restored ? NULL : station->author};
    station->receiver.entries = calloc(BATCH_ENTRIES_MAX, sizeof *station->receiver.entries);
    if (code == OK && !station->receiver.entries)
        code = error_set(error, ERR_MEMORY, "station");
    struct writer_hooks hooks = station_writer_hooks(station);
    if (code == OK)
        code = writer_create(station->store, &station->receiver, &hooks, threaded, &station->writer, error);
    return code;
}

static const char restated_name[] = "restated"; // META: ordinal be32, nonce be64 of the last incarnation that began so

static enum error_code run_restate(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    struct station *station = argument;
    uint8_t value[12];
    put_be32(value, station->marker.ordinal);
    put_be64(value + 4, station->marker.nonce);
    records_restate(&station->desk);
    meta_put(txn, restated_name, bytes_of(value, sizeof value));
    return OK;
}

// A new incarnation begins with figures and records in agreement, before anything is added. What keeps it from that is reported, and tried
// again at the next start: the station works all the same.
static void restate(struct station *station)
{
    struct bytes value;
    struct error error = {0};
    struct txn *txn = station->marker.ordinal > 1 ? txn_begin(station->store, false, NULL) : NULL;
    if (!txn)
        return;
    bool done = meta_get(txn, restated_name, &value) && value.size == 12 && get_be32(value.data) == station->marker.ordinal &&
                get_be64(value.data + 4) == station->marker.nonce;
    txn_abort(txn);
    if (!done && writer_call(station->writer, run_restate, station, &error) != OK)
        station_log(NULL, true, error.detail);
}

// A start as this use of the station needs it.
static enum error_code begin(struct station *station, struct error *error)
{
    if (!station->reading)
        return station->restored ? go_on_restored(station, error) : count_start_somehow(station, error);
    if (!station->restored)
        return OK;
    struct txn *txn = txn_begin(station->store, false, error);
    if (!txn)
        return error ? error->code : ERR_MEMORY;
    incarnation_suspend(txn, &station->meta, &station->marker, 0); // as the next start will say it, and not kept
    enum error_code code = txn_report(txn, error);
    txn_abort(txn);
    return code;
}

static struct station *create(const char *directory)
{
    struct station *station = calloc(1, sizeof *station);
    if (!station)
        return NULL;
    station->lock = -1;
    pthread_mutex_init(&station->documents_mutex, NULL);
    atomic_init(&station->due_ms, monotonic_ms());
    station->started_ms = monotonic_ms();
    snprintf(station->directory, sizeof station->directory, "%s", directory);
    return station;
}

// All but the store.
static enum error_code open_files(struct station *station, struct error *error)
{
    enum error_code code = crypto_init(error);
    if (code == OK)
        code = config_read(station->directory, &station->config, error);
    if (code == OK)
        code = lock(station, error);
    if (code == OK)
        code = identity_load(station->directory, &station->identity, error);
    return code == OK ? keyring_open(station->directory, &station->keyring, error) : code;
}

// A node looks through it first, in a process of its own; what keeps a sound process from opening it says why better than the scrubber.
static enum error_code open_store(struct station *station, bool threaded, struct error *error)
{
    bool died = false;
    struct error damage = {0};
    enum error_code found = threaded ? station_scrub_first(station, &died, &damage) : OK;
    enum error_code code =
        died ? OK : store_open(station->directory, station->reading ? STORE_READ_ONLY : STORE_OPEN, 0, &station->store, error);
    if (code == OK && found != OK && error)
        *error = damage;
    return code == OK ? found : code;
}

// What a lost store would need: kept beside it. The station works without, so a failure is only told.
static void keep_enrolment(struct station *station)
{
    struct error error = {0};
    struct txn *txn = txn_begin(station->store, false, NULL);
    if (txn && enrolment_keep(station->directory, txn, &station->self, &error) != OK)
        station_log(NULL, false, error.detail);
    txn_abort(txn);
}

static enum error_code finish_opening(struct station *station, enum error_code code, struct station **ret)
{
    if (code != OK) {
        station->restored = true; // leave the marker as it is
        station_close(station);
        return code;
    }
    *ret = station;
    return OK;
}

enum error_code station_open_as(const char *directory, enum station_use use, struct station **ret, struct error *error)
{
    struct station *station = create(directory);
    if (!station)
        return error_set(error, ERR_MEMORY, "station");
    bool threaded = use == STATION_RUNS;
    station->reading = use == STATION_READS;
    enum error_code code = open_files(station, error);
    if (code == OK)
        code = open_store(station, threaded, error);
    if (code == OK)
        code = read_state(station, error);
    if (code == ERR_CORRUPT && station->found && station->found->damaged)
        scrub_advice(station->directory, station->found, error); // which rows it was is known: say what to do
    if (code == OK)
        code = begin(station, error);
    if (code == OK)
        code = start_work(station, threaded, error);
    if (code == OK && !station->restored && !station->reading)
        restate(station);
    if (code == OK) {
        station_scrub_enter(station);
        if (threaded)
            keep_enrolment(station);
    }
    return finish_opening(station, code, ret);
}

enum error_code station_open_salvaged(const char *directory, const char *store_directory, const struct marker *marker, int lock,
                                      struct station **ret, struct error *error)
{
    struct station *station = create(directory);
    if (!station)
        return error_set(error, ERR_MEMORY, "station");
    station->lock = dup(lock);
    station->marker = *marker;
    station->restored = true;
    enum error_code code = open_files(station, error);
    if (code == OK)
        code = store_open(store_directory, STORE_OPEN, 0, &station->store, error);
    if (code == OK)
        code = read_state(station, error);
    if (code == OK)
        code = start_work(station, false, error);
    if (code == OK)
        station->receiver.salvaged = true;
    return finish_opening(station, code, ret);
}

enum error_code station_open(const char *directory, struct station **ret, struct error *error)
{
    return station_open_as(directory, STATION_WRITES, ret, error);
}

enum error_code station_open_reading(const char *directory, struct station **ret, struct error *error)
{
    return station_open_as(directory, STATION_READS, ret, error);
}

void station_close(struct station *station)
{
    if (!station)
        return;
    writer_destroy(station->writer);
    if (station->store && !station->restored && !station->reading)
        station_mark(station, true, NULL);
    free(station->found);
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
bool station_full(const struct station *station) { return atomic_load(&station->full); }

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
    assert(!station->reading);
    if (station->restored)
        return error_set(error, ERR_STATE, "%s",
                         station->ancestor_count
                             ? tr("this station's store was put back from a copy: it is read-only until its parent has granted it the next "
                                  "incarnation; let the node run and connect",
                                  "本站点的存储是从副本恢复的：在上级授予新一代之前为只读；请让节点运行并连接上级")
                             : tr("this station's store was put back from a copy: it is read-only until its admin opens the next "
                                  "incarnation with 'sanji recover'",
                                  "本站点的存储是从副本恢复的：在管理员用 'sanji recover' 开启新一代之前为只读"));
    struct desk_call call = {station, run, argument};
    return writer_call(station->writer, run_desk_call, &call, error);
}
