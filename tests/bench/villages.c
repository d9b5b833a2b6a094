// Many villages of one township in one process: each has its own keys, store (in memory), writer, engine and connection, all of them the
// production code, and a thread. Their township cannot tell them from stations.
//   villages make FILE TOWN_DIR COUNT UNIT_PREFIX     enrols stations for UNIT_PREFIX001.. at a township that does not run
//   villages run FILE FROM COUNT ENDPOINT ENTRIES BATCH CELLS
// run: links COUNT villages, lets them take what their parent has for them, and says "linked"; at a line on stdin writes ENTRIES statements
// at each (patches of one cell out of CELLS, after a full one; their parent may stand still meanwhile) and says "ready"; ends with stdin.
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "envelope.pb-c.h"
#include "node/documents.h"
#include "node/statement.h"
#include "node/station.h"
#include "record.pb-c.h"
#include "relay/store_memory.h"

enum {
    STACK = 512 * 1024,
    QUIET_MS = 1500, // nothing came for so long: the parent has no more for this village
    LOOK_US = 50 * 1000,
};

// ---- the file of villages

struct enrolled {
    struct identity identity;
    uint32_t sizes[1 + CHAIN_MAX]; // of the certificate and the chain, root first; 0 behind the last
    uint8_t wires[1 + CHAIN_MAX][CERTIFICATE_MAX];
};

static void die(const char *what, const struct error *error)
{
    fprintf(stderr, "villages: %s: %s\n", what, error->detail);
    exit(1);
}

static void must(enum error_code code, const char *what, const struct error *error)
{
    if (code != OK)
        die(what, error);
}

// ---- make

struct making {
    FILE *file;
    struct station *station;
    const char *prefix;
    uint32_t count;
};

static void identity_make(struct identity *identity)
{
    *identity = (struct identity){0};
    crypto_random(identity->station.bytes, STATION_ID_SIZE);
    crypto_sign_keypair(&identity->sign.public_key, &identity->sign.secret_key);
    crypto_seal_keypair(&identity->seal.public_key, &identity->seal.secret_key);
    crypto_seal_keypair(&identity->transport.public_key, &identity->transport.secret_key); // CURVE keys are X25519, too
}

static void keep(const struct making *making, const struct identity *identity, const struct join_reply *reply)
{
    static struct enrolled enrolled;
    enrolled = (struct enrolled){.identity = *identity};
    for (uint32_t i = 0; i <= reply->chain_count; i++) {
        struct bytes wire = i ? reply->chain[i - 1] : reply->certificate;
        enrolled.sizes[i] = (uint32_t)wire.size;
        memcpy(enrolled.wires[i], wire.data, wire.size);
    }
    if (fwrite(&enrolled, sizeof enrolled, 1, making->file) != 1)
        die("write", &(struct error){0});
}

static enum error_code enrol(const struct making *making, struct desk *desk, const struct host *host,
                             const struct given_documents *documents, uint32_t number, struct error *error)
{
    char code[UNIT_CODE_MAX + 1];
    struct invited_unit invited = {0};
    struct identity identity;
    struct join_token token;
    struct join_request request;
    struct buffer wire = {0}, answer = {0};
    static struct join_reply reply;
    struct peer peer;
    snprintf(code, sizeof code, "%s%03u", making->prefix, number);
    int32_t unit = units_find(desk->units, code);
    if (unit == UNIT_NONE)
        return error_set(error, ERR_NOT_FOUND, "no unit %s", code);
    snprintf(invited.code, sizeof invited.code, "%s", code);
    snprintf(invited.tier, sizeof invited.tier, "%s", desk->units->tiers[desk->units->items[unit].tier]);
    invited.from = desk->units->items[unit].from;
    invited.depth = desk->units->items[unit].depth;
    identity_make(&identity);
    invite(desk->txn, host, &invited, 0, desk->now_ms + 3600 * 1000, desk->now_ms, &token);
    enum error_code result = join_request_sign(&identity, token.secret, NULL, &request, error);
    if (result != OK)
        return result;
    join_request_pack(&request, &wire);
    if (!admit(desk->txn, host, &identity.transport.public_key, buffer_bytes(&wire), desk->now_ms, documents, &answer, &peer))
        result = error_set(error, ERR_REFUSED, "unit %s was not admitted", code);
    if (result == OK)
        result = join_reply_unpack(buffer_bytes(&answer), &reply, error);
    if (result == OK)
        keep(making, &identity, &reply);
    buffer_finish(&wire);
    buffer_finish(&answer);
    return result;
}

static enum error_code run_make(void *argument, struct desk *desk, struct error *error)
{
    const struct making *making = argument;
    struct host host;
    struct given_documents documents = {0};
    enum error_code code = station_host(making->station, &host, error);
    rewind(making->file); // it may run again
    document_in_force(desk->txn, DOCUMENT_UNITS, &documents.units, &documents.units_version);
    document_in_force(desk->txn, DOCUMENT_CODEBOOK, &documents.codebook, &documents.codebook_version);
    for (uint32_t i = 1; i <= making->count && code == OK; i++)
        code = enrol(making, desk, &host, &documents, i, error);
    return code;
}

static int make(char **arguments)
{
    struct error error = {0};
    struct making making = {.file = fopen(arguments[0], "we"), .count = (uint32_t)atoi(arguments[2]), .prefix = arguments[3]};
    if (!making.file)
        die(arguments[0], &error);
    must(station_open(arguments[1], &making.station, &error), "station", &error);
    must(station_write(making.station, run_make, &making, &error), "enrol", &error);
    station_close(making.station);
    return fclose(making.file) == 0 ? 0 : 1;
}

// ---- run

struct village {
    pthread_t thread;
    struct enrolled *enrolled;
    struct certificate self, ancestors[CHAIN_MAX]; // parent first
    struct hash root;
    uint64_t generation, nonce, starts;
    struct store *store;
    struct signers *signers;
    struct author *author;
    struct writer *writer;
    struct engine *engine;
    atomic_uint_fast64_t heard_ms; // when something was last received
};

static struct plan {
    const char *endpoint;
    uint32_t count, entries, batch, cells;
} plan;
static struct village *villages;
static atomic_uint live;

static enum verdict on_apply(void *context, struct txn *txn, const struct header *header, const struct certificate *signer,
                             const struct entry *entries, uint64_t position, uint64_t received_ms, const char **reason)
{
    (void)txn, (void)header, (void)signer, (void)entries, (void)position, (void)received_ms;
    ((struct village *)context)->heard_ms = monotonic_ms();
    *reason = NULL;
    return VERDICT_HELD;
}

static bool on_may_certify(void *context, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer)
{
    (void)context, (void)txn, (void)certificate, (void)issuer;
    return true;
}

static void on_document(void *context, struct txn *txn, const struct hash *hash, struct bytes content)
{
    (void)txn, (void)hash, (void)content;
    ((struct village *)context)->heard_ms = monotonic_ms();
}

static void on_begin(void *context, struct txn *txn)
{
    (void)txn;
    author_context(((struct village *)context)->author, utc_ms(), NULL);
}

static void on_before_commit(void *context, struct txn *txn, struct grown *grown)
{
    author_finish(((struct village *)context)->author, txn, grown);
}

static void on_aborted(void *context) { author_abort(((struct village *)context)->author); }
static void on_committed(void *context) { (void)context; }

static void on_fatal(void *context, const struct error *error)
{
    (void)context;
    die("store", error);
}

static void on_done(void *context)
{
    struct village *village = context;
    if (village->engine)
        engine_wake(village->engine);
}

static int64_t on_due(void *context)
{
    (void)context;
    return -1;
}

static void on_documents(void *context, uint32_t *ret_codebook, uint32_t *ret_units)
{
    (void)context;
    *ret_codebook = *ret_units = 1;
}

static void on_log(void *context, bool alarm, const char *text)
{
    size_t size = strlen(text);
    (void)context;
    if (alarm)
        fprintf(stderr, "villages: ALARM %s\n", text);
    else if (size > 6 && strcmp(text + size - 6, ": live") == 0)
        atomic_fetch_add(&live, 1);
}

static void open_writer(struct village *village)
{
    struct error error = {0};
    struct author_config author = {.self = &village->self,
                                   .parent = &village->ancestors[0],
                                   .sign_key = &village->enrolled->identity.sign.secret_key,
                                   .ordinal = 1,
                                   .nonce = village->nonce};
    must(author_create(&author, &village->author, &error), "author", &error);
    must(signers_create(&village->root, &village->signers, &error), "signers", &error);
    struct receiver receiver = {.place = {.self = &village->self, .parent = &village->ancestors[0]},
                                .signers = village->signers,
                                .context = village,
                                .apply = on_apply,
                                .may_certify = on_may_certify,
                                .document = on_document,
                                .author = village->author};
    struct writer_hooks hooks = {.context = village,
                                 .begin = on_begin,
                                 .before_commit = on_before_commit,
                                 .aborted = on_aborted,
                                 .committed = on_committed,
                                 .fatal = on_fatal,
                                 .done = on_done};
    must(writer_create(village->store, &receiver, &hooks, false, &village->writer, &error), "writer", &error);
}

static enum error_code run_birth(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    struct village *village = argument;
    struct journal_meta meta = {.format = STORE_FORMAT, .station = village->self.station, .generation = village->generation, .starts = 1};
    journal_create(txn, &meta);
    for (uint32_t i = 0; i <= village->self.depth; i++) {
        const struct certificate *certificate = i ? &village->ancestors[i - 1] : &village->self;
        uint32_t at = i ? village->self.depth - i + 1 : 0; // the chain has the root first
        object_add(txn, &certificate->hash, OBJECT_CERTIFICATE, bytes_of(village->enrolled->wires[at], village->enrolled->sizes[at]));
    }
    return OK;
}

static void open_village(struct village *village, struct enrolled *enrolled)
{
    struct error error = {0};
    uint32_t depth = 0;
    *village = (struct village){.enrolled = enrolled, .generation = crypto_random_u64(), .nonce = crypto_random_u64()};
    must(certificate_decode(bytes_of(enrolled->wires[0], enrolled->sizes[0]), &village->self, &error), "certificate", &error);
    while (depth < CHAIN_MAX && enrolled->sizes[1 + depth])
        depth++;
    for (uint32_t i = 0; i < depth; i++)
        must(certificate_decode(bytes_of(enrolled->wires[depth - i], enrolled->sizes[depth - i]), &village->ancestors[i], &error), "chain",
             &error);
    village->root = village->ancestors[depth - 1].hash;
    must(store_memory_create(&village->store, &error), "store", &error);
    open_writer(village);
    must(writer_call(village->writer, run_birth, village, &error), "birth", &error);
}

static void link_up(struct village *village)
{
    struct error error = {0};
    struct engine_config config = {.store = village->store,
                                   .writer = village->writer,
                                   .self = &village->self,
                                   .parent = &village->ancestors[0],
                                   .root = village->root,
                                   .transport_public = &village->enrolled->identity.transport.public_key,
                                   .transport_secret = &village->enrolled->identity.transport.secret_key,
                                   .parent_endpoint = plan.endpoint,
                                   .ordinal = 1,
                                   .nonce = village->nonce,
                                   .generation = village->generation,
                                   .starts = ++village->starts,
                                   .hooks = {.context = village, .due_ms = on_due, .documents = on_documents, .log = on_log}};
    village->heard_ms = monotonic_ms();
    must(engine_create(&config, &village->engine, &error), "engine", &error);
    engine_begin(village->engine);
}

static void turn(struct village *village)
{
    engine_turn(village->engine);
    while (writer_turn(village->writer))
        ;
}

// ---- the backlog

static void state(struct village *village, struct txn *txn, uint32_t extent, uint32_t cell, int64_t value)
{
    struct buffer wire = {0};
    uint64_t now = utc_ms();
    struct statement statement = {.unit_from = village->self.unit_from,
                                  .term = village->self.term,
                                  .period = {SANJI__PERIOD_TYPE__MONTH, month_of_days(civil_of_instant(now, 0))},
                                  .scope = SANJI__SCOPE__OWN,
                                  .basis = SANJI__BASIS__IMPORTED,
                                  .extent = extent,
                                  .cells = &cell,
                                  .values = &value,
                                  .count = 1};
    statement.definition.bytes[0] = 'b';
    snprintf(statement.unit, sizeof statement.unit, "%s", village->self.unit);
    statement_encode(&statement, &wire);
    author_add(village->author, txn, SANJI__LANE__AGGREGATE, SANJI__AUDIENCE__UP, NULL, REACH_TOP, SANJI__ENTRY_KIND__STATEMENT, now,
               buffer_bytes(&wire), NULL);
    buffer_finish(&wire);
}

static enum error_code run_backlog(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    struct village *village = argument;
    struct author_batch batch;
    state(village, txn, SANJI__EXTENT__FULL, 0, 1);
    for (uint32_t i = 1; i < plan.entries; i++) {
        if (i % plan.batch == 0)
            author_close(village->author, txn, SANJI__LANE__AGGREGATE, SANJI__AUDIENCE__UP, NULL, &batch);
        state(village, txn, SANJI__EXTENT__PATCH, (uint32_t)(crypto_random_u64() % plan.cells), (int64_t)(utc_ms() * 1000 + i));
    }
    return OK;
}

// ---- the life of a village

static atomic_bool write_now;
static atomic_uint written;

static void *live_on(void *argument)
{
    struct village *village = argument;
    struct error error = {0};
    bool wrote = false;
    for (;;) {
        turn(village);
        if (wrote || !atomic_load(&write_now))
            continue;
        must(writer_call(village->writer, run_backlog, village, &error), "backlog", &error);
        wrote = true;
        atomic_fetch_add(&written, 1);
    }
    return NULL;
}

static bool all_quiet(void)
{
    uint64_t now = monotonic_ms();
    bool quiet = atomic_load(&live) >= plan.count;
    for (uint32_t i = 0; i < plan.count && quiet; i++)
        quiet = now >= atomic_load(&villages[i].heard_ms) + QUIET_MS;
    return quiet;
}

static void say(const char *word)
{
    puts(word);
    fflush(stdout);
}

static void read_villages(const char *path, uint32_t from)
{
    FILE *file = fopen(path, "re");
    struct enrolled *enrolled = calloc(plan.count, sizeof *enrolled);
    villages = calloc(plan.count, sizeof *villages);
    if (!file || !enrolled || !villages || fseek(file, (long)(from * sizeof *enrolled), SEEK_SET) != 0 ||
        fread(enrolled, sizeof *enrolled, plan.count, file) != plan.count)
        die(path, &(struct error){.detail = "cannot be read"});
    fclose(file);
    for (uint32_t i = 0; i < plan.count; i++)
        open_village(&villages[i], &enrolled[i]);
}

static void start(struct village *village)
{
    pthread_attr_t attributes;
    link_up(village);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    if (pthread_create(&village->thread, &attributes, live_on, village) != 0)
        die("thread", &(struct error){.detail = "no room for one"});
    pthread_attr_destroy(&attributes);
}

static int run(char **arguments)
{
    struct rlimit limit;
    char line[64];
    plan.count = (uint32_t)atoi(arguments[2]);
    plan.endpoint = arguments[3];
    plan.entries = (uint32_t)atoi(arguments[4]);
    plan.batch = (uint32_t)atoi(arguments[5]);
    plan.cells = (uint32_t)atoi(arguments[6]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    read_villages(arguments[0], (uint32_t)atoi(arguments[1]));
    for (uint32_t i = 0; i < plan.count; i++)
        start(&villages[i]);
    while (!all_quiet())
        usleep(LOOK_US);
    say("linked");
    if (!fgets(line, sizeof line, stdin))
        return 1;
    atomic_store(&write_now, true);
    for (uint32_t i = 0; i < plan.count; i++)
        engine_wake(villages[i].engine);
    while (atomic_load(&written) < plan.count)
        usleep(LOOK_US);
    say("ready");
    while (fgets(line, sizeof line, stdin))
        ;
    _exit(0); // what is in memory goes with it
}

int main(int count, char **arguments)
{
    struct error error = {0};
    must(crypto_init(&error), "crypto", &error);
    if (count == 6 && strcmp(arguments[1], "make") == 0)
        return make(arguments + 2);
    if (count == 9 && strcmp(arguments[1], "run") == 0)
        return run(arguments + 2);
    fprintf(stderr, "see the top of villages.c\n");
    return 2;
}
