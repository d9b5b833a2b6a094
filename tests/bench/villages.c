// Many villages of one township in one process: each has its own keys, store (in memory), writer, engine and connection, all of them the
// production code, and a thread. Their township cannot tell them from stations.
//   villages make FILE TOWN_DIR COUNT UNIT_PREFIX     enrols stations for UNIT_PREFIX001.. at a township that does not run
//   villages run FILE FROM COUNT ENDPOINT ENTRIES BATCH CELLS
// run: links COUNT villages, lets them take what their parent has for them, and says "linked"; at a line on stdin writes ENTRIES statements
// at each (patches of one cell out of CELLS, after a full one; their parent may stand still meanwhile) and says "ready"; ends with stdin.
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "envelope.pb-c.h"
#include "node/documents.h"
#include "record.pb-c.h"
#include "tests/bench/village.h"

enum {
    STACK = 512 * 1024,
    QUIET_MS = 1500, // nothing came for so long: the parent has no more for this village
    LOOK_US = 50 * 1000,
};

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
        village_die("write", &(struct error){0});
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
        village_die(arguments[0], &error);
    village_must(station_open(arguments[1], &making.station, &error), "station", &error);
    village_must(station_write(making.station, run_make, &making, &error), "enrol", &error);
    station_close(making.station);
    return fclose(making.file) == 0 ? 0 : 1;
}

// ---- run

static struct plan {
    const char *endpoint;
    uint32_t count, entries, batch, cells;
} plan;
static struct village *villages;
static atomic_bool write_now;
static atomic_uint written;

static enum error_code run_backlog(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    struct village *village = argument;
    struct author_batch batch;
    village_state(village, txn, SANJI__LANE__AGGREGATE, SANJI__EXTENT__FULL, 0, 1);
    for (uint32_t i = 1; i < plan.entries; i++) {
        if (i % plan.batch == 0)
            author_close(village->author, txn, SANJI__LANE__AGGREGATE, SANJI__AUDIENCE__UP, NULL, &batch);
        village_state(village, txn, SANJI__LANE__AGGREGATE, SANJI__EXTENT__PATCH, (uint32_t)(crypto_random_u64() % plan.cells),
                      (int64_t)(utc_ms() * 1000 + i));
    }
    return OK;
}

static void *live_on(void *argument)
{
    struct village *village = argument;
    struct error error = {0};
    bool wrote = false;
    for (;;) {
        village_turn(village);
        if (wrote || !atomic_load(&write_now))
            continue;
        village_must(writer_call(village->writer, run_backlog, village, &error), "backlog", &error);
        wrote = true;
        atomic_fetch_add(&written, 1);
    }
    return NULL;
}

static bool all_quiet(void)
{
    uint64_t now = monotonic_ms();
    bool quiet = atomic_load(&village_live) >= plan.count;
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
        village_die(path, &(struct error){.detail = "cannot be read"});
    fclose(file);
    for (uint32_t i = 0; i < plan.count; i++)
        village_open(&villages[i], &enrolled[i], NULL);
    free(enrolled);
}

static void start(struct village *village)
{
    pthread_t thread;
    pthread_attr_t attributes;
    village_link(village, plan.endpoint);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    if (pthread_create(&thread, &attributes, live_on, village) != 0)
        village_die("thread", &(struct error){.detail = "no room for one"});
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
    village_must(crypto_init(&error), "crypto", &error);
    if (count == 6 && strcmp(arguments[1], "make") == 0)
        return make(arguments + 2);
    if (count == 9 && strcmp(arguments[1], "run") == 0)
        return run(arguments + 2);
    fprintf(stderr, "see the top of villages.c\n");
    return 2;
}
