// What the chain costs without any of our logic: three processes, leaf -> middle -> top, that move batches through ZeroMQ with CURVE, hash
// every entry, verify one Ed25519 signature a batch, and append to LMDB with its two flushes a commit, at every tier; the acknowledgement
// comes back when the top's commit has returned.
//   yardstick backlog DIR ENTRIES BATCH ENTRY_BYTES CELLS ORIGINS COUNTERS
//   yardstick single DIR ENTRIES RATE ENTRY_BYTES
// backlog: the leaf's batches lie in its store before the clock starts; COUNTERS 1: each entry sets one of CELLS cells, and the difference
// goes to the sum of every tier above, each touched counter being written once a commit. single: RATE entries a second, one by one.
// A transaction takes what has come, at most GROUP_BYTES. Prints JSON.
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum {
    GROUP_BYTES = 8 * 1024 * 1024, // as WRITER_BYTES_MAX
    GROUP_BATCHES = 4096,          // as WRITER_JOBS_MAX
    HEADER_SIZE = 200,             // about that of a batch header: root hash, hash of the header before, origin, sequence
    HASH_SIZE = 32,
    SALT_SIZE = 16,
    FRONT_SIZE = HEADER_SIZE + crypto_sign_BYTES,
    QUEUE = 256, // messages a socket
    ROLES = 3,
    SUMS = 3, // own cells, and the sums of two tiers
    CURVE_KEY = 41,
};

enum role { LEAF, MIDDLE, TOP };

struct plan {
    bool single;
    const char *directory;
    uint64_t entries;
    uint32_t batch, entry_bytes, cells, origins, rate;
    bool counters;
    unsigned char public_key[crypto_sign_PUBLICKEYBYTES], secret_key[crypto_sign_SECRETKEYBYTES];
    char curve_public[CURVE_KEY], curve_secret[CURVE_KEY]; // of every tier: nobody is told apart here
};

// ---- small things

static void die(const char *what)
{
    fprintf(stderr, "yardstick: %s: %s\n", what, zmq_strerror(errno));
    exit(1);
}

static void must(int code, const char *what)
{
    if (code != 0) {
        fprintf(stderr, "yardstick: %s: %s\n", what, mdb_strerror(code));
        exit(1);
    }
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static uint64_t batches_of(const struct plan *plan) { return (plan->entries + plan->batch - 1) / plan->batch; }

static void put_u64(uint8_t *at, uint64_t value)
{
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t get_u64(const uint8_t *at)
{
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | at[i];
    return value;
}

// ---- a store

struct store {
    MDB_env *env;
    MDB_dbi journal, sums;
    uint64_t end;
    double flush_s; // in mdb_txn_commit
};

static void store_open(struct store *store, const struct plan *plan, const char *name)
{
    char path[4096];
    MDB_txn *txn;
    snprintf(path, sizeof path, "%s/%s", plan->directory, name);
    mkdir(path, 0700);
    *store = (struct store){0};
    must(mdb_env_create(&store->env), "store");
    must(mdb_env_set_mapsize(store->env, (size_t)16 << 30), "store");
    must(mdb_env_set_maxdbs(store->env, 2), "store");
    must(mdb_env_open(store->env, path, MDB_NOTLS, 0600), "store");
    must(mdb_txn_begin(store->env, NULL, 0, &txn), "store");
    must(mdb_dbi_open(txn, "journal", MDB_CREATE, &store->journal), "store");
    must(mdb_dbi_open(txn, "sums", MDB_CREATE | MDB_INTEGERKEY, &store->sums), "store");
    must(mdb_txn_commit(txn), "store");
}

static MDB_txn *begin(struct store *store)
{
    MDB_txn *txn;
    must(mdb_txn_begin(store->env, NULL, 0, &txn), "transaction");
    return txn;
}

static void commit(struct store *store, MDB_txn *txn)
{
    double began = now();
    must(mdb_txn_commit(txn), "commit");
    store->flush_s += now() - began;
}

static void append(struct store *store, MDB_txn *txn, const uint8_t *front, const uint8_t *body, size_t body_size)
{
    uint8_t bytes[8];
    put_u64(bytes, ++store->end);
    MDB_val key = {sizeof bytes, bytes}, value = {FRONT_SIZE + body_size, NULL};
    must(mdb_put(txn, store->journal, &key, &value, MDB_APPEND | MDB_RESERVE), "append");
    memcpy(value.mv_data, front, FRONT_SIZE);
    memcpy((uint8_t *)value.mv_data + FRONT_SIZE, body, body_size);
}

// ---- counters: summed in memory, each touched one written once a commit

struct sums {
    uint32_t cells, tables;
    int64_t *values[SUMS];
    bool *touched;
};

static void sums_init(struct sums *sums, const struct plan *plan, enum role role)
{
    *sums = (struct sums){.cells = plan->counters ? plan->cells : 0, .tables = 1 + (unsigned)role};
    for (uint32_t i = 0; sums->cells && i < sums->tables; i++)
        sums->values[i] = calloc(sums->cells, sizeof *sums->values[i]);
    sums->touched = calloc(sums->cells + 1, sizeof *sums->touched);
}

static void sums_load(struct sums *sums, struct store *store, MDB_txn *txn, uint32_t cell)
{
    for (uint32_t table = 0; table < sums->tables; table++) {
        uint32_t number = table << 24 | cell;
        MDB_val key = {sizeof number, &number}, value;
        int code = mdb_get(txn, store->sums, &key, &value);
        sums->values[table][cell] = 0;
        if (code == 0)
            memcpy(&sums->values[table][cell], value.mv_data, sizeof(int64_t));
        else if (code != MDB_NOTFOUND)
            must(code, "sum");
    }
    sums->touched[cell] = true;
}

static void sums_add(struct sums *sums, struct store *store, MDB_txn *txn, const uint8_t *entry)
{
    uint32_t cell = (uint32_t)get_u64(entry);
    int64_t value = (int64_t)get_u64(entry + 8);
    if (!sums->touched[cell])
        sums_load(sums, store, txn, cell);
    int64_t difference = value - sums->values[0][cell];
    for (uint32_t table = 0; table < sums->tables; table++)
        sums->values[table][cell] += difference;
}

static void sums_write(struct sums *sums, struct store *store, MDB_txn *txn)
{
    for (uint32_t table = 0; table < sums->tables; table++)
        for (uint32_t cell = 0; cell < sums->cells; cell++) {
            if (!sums->touched[cell])
                continue;
            uint32_t number = table << 24 | cell;
            MDB_val key = {sizeof number, &number}, value = {sizeof(int64_t), &sums->values[table][cell]};
            must(mdb_put(txn, store->sums, &key, &value, 0), "sum");
        }
    memset(sums->touched, 0, sums->cells);
}

// ---- batches

static void root_of(const uint8_t *body, size_t size, uint32_t entry_bytes, uint8_t ret[HASH_SIZE])
{
    crypto_generichash_state all;
    uint8_t leaf[HASH_SIZE], salted[SALT_SIZE + 4096] = {0};
    crypto_generichash_init(&all, NULL, 0, HASH_SIZE);
    for (size_t at = 0; at < size; at += entry_bytes) {
        memcpy(salted + SALT_SIZE, body + at, entry_bytes);
        crypto_generichash(leaf, HASH_SIZE, salted, SALT_SIZE + entry_bytes, NULL, 0);
        crypto_generichash_update(&all, leaf, HASH_SIZE);
    }
    crypto_generichash_final(&all, ret, HASH_SIZE);
}

static bool check(const struct plan *plan, const uint8_t *front, const uint8_t *body, size_t body_size)
{
    uint8_t root[HASH_SIZE];
    root_of(body, body_size, plan->entry_bytes, root);
    return memcmp(root, front, HASH_SIZE) == 0 &&
           crypto_sign_verify_detached(front + HEADER_SIZE, front, HEADER_SIZE, plan->public_key) == 0;
}

static size_t make_batch(const struct plan *plan, uint64_t number, uint64_t *random, uint8_t front[FRONT_SIZE], uint8_t *body)
{
    uint64_t first = number * plan->batch, count = plan->entries - first < plan->batch ? plan->entries - first : plan->batch;
    memset(front, 0, FRONT_SIZE);
    for (uint64_t i = 0; i < count; i++) {
        uint8_t *entry = body + i * plan->entry_bytes;
        memset(entry, 'x', plan->entry_bytes);
        *random = *random * 6364136223846793005u + 1442695040888963407u;
        put_u64(entry, (*random >> 33) % plan->cells);
        put_u64(entry + 8, first + i + 1);
    }
    root_of(body, count * plan->entry_bytes, plan->entry_bytes, front);
    put_u64(front + HASH_SIZE, number);
    crypto_sign_detached(front + HEADER_SIZE, NULL, front, HEADER_SIZE, plan->secret_key);
    return count * plan->entry_bytes;
}

// The backlog lies in the leaf's store before anything is sent.
static void fill_leaf(const struct plan *plan, struct store *store)
{
    uint8_t front[FRONT_SIZE], *body = malloc((size_t)plan->batch * plan->entry_bytes);
    uint64_t random = 1;
    MDB_txn *txn = begin(store);
    for (uint64_t i = 0; i < batches_of(plan); i++) {
        size_t size = make_batch(plan, i, &random, front, body);
        append(store, txn, front, body, size);
    }
    commit(store, txn);
    free(body);
}

// ---- sockets

static void *open_socket(void *context, const struct plan *plan, int type, bool server, const char *name)
{
    char endpoint[4200];
    int queue = QUEUE, yes = 1, none = 0;
    void *socket = zmq_socket(context, type);
    if (!socket)
        die("socket");
    zmq_setsockopt(socket, ZMQ_SNDHWM, &queue, sizeof queue);
    zmq_setsockopt(socket, ZMQ_RCVHWM, &queue, sizeof queue);
    zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, plan->curve_secret, CURVE_KEY);
    if (server) {
        zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &yes, sizeof yes);
    } else {
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, plan->curve_public, CURVE_KEY);
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, plan->curve_public, CURVE_KEY);
    }
    snprintf(endpoint, sizeof endpoint, "%s/%s.port", plan->directory, name);
    if (server) { // the system names the port, and a file says which
        char bound[64], temporary[4210];
        size_t size = sizeof bound;
        if (zmq_bind(socket, "tcp://127.0.0.1:*") != 0 || zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &size) != 0)
            die("bind");
        snprintf(temporary, sizeof temporary, "%s.new", endpoint);
        FILE *file = fopen(temporary, "w");
        if (!file || fputs(bound, file) < 0 || fclose(file) != 0 || rename(temporary, endpoint) != 0)
            die(endpoint);
        return socket;
    }
    char address[64] = "";
    for (int tries = 0; tries < 5000 && !*address; tries++) {
        FILE *file = fopen(endpoint, "r");
        if (file && !fgets(address, sizeof address, file))
            *address = 0;
        if (file)
            fclose(file);
        else
            poll(NULL, 0, 2);
    }
    if (zmq_connect(socket, address) != 0)
        die("connect");
    return socket;
}

static void send_bytes(void *socket, const void *data, size_t size, int flags)
{
    if (zmq_send(socket, data, size, flags) < 0)
        die("send");
}

// ---- middle and top

// What has come for one transaction.
struct group {
    zmq_msg_t fronts[GROUP_BATCHES], bodies[GROUP_BATCHES];
    uint32_t count;
    size_t bytes;
};

// A batch without a front is a greeting: it comes back, so that the leaf knows that all its connections stand.
static void greet_back(void *socket, zmq_msg_t *origin)
{
    zmq_msg_t id;
    zmq_msg_init(&id);
    zmq_msg_copy(&id, origin);
    if (zmq_msg_send(&id, socket, ZMQ_SNDMORE) < 0)
        die("greet");
    send_bytes(socket, "", 0, 0);
}

static bool receive_batch(void *socket, struct group *group, zmq_msg_t *origin)
{
    zmq_msg_t *front = &group->fronts[group->count], *body = &group->bodies[group->count], from;
    zmq_msg_init(&from); // without a message it is emptied
    if (zmq_msg_recv(&from, socket, ZMQ_DONTWAIT) < 0) {
        if (errno != EAGAIN)
            die("receive");
        return false;
    }
    zmq_msg_move(origin, &from);
    zmq_msg_close(&from);
    zmq_msg_init(front);
    zmq_msg_init(body);
    if (zmq_msg_recv(front, socket, 0) < 0 || zmq_msg_recv(body, socket, 0) < 0)
        die("receive");
    if (zmq_msg_size(front) == 0) {
        greet_back(socket, origin);
        return true;
    }
    group->bytes += zmq_msg_size(body);
    group->count++;
    return true;
}

static void take_group(const struct plan *plan, struct store *store, struct sums *sums, struct group *group)
{
    MDB_txn *txn = begin(store);
    for (uint32_t i = 0; i < group->count; i++) {
        const uint8_t *front = zmq_msg_data(&group->fronts[i]), *body = zmq_msg_data(&group->bodies[i]);
        size_t size = zmq_msg_size(&group->bodies[i]);
        if (zmq_msg_size(&group->fronts[i]) != FRONT_SIZE || !check(plan, front, body, size)) {
            fprintf(stderr, "yardstick: forged\n");
            exit(1);
        }
        append(store, txn, front, body, size);
        for (size_t at = 0; sums->cells && at < size; at += plan->entry_bytes)
            sums_add(sums, store, txn, body + at);
    }
    if (sums->cells)
        sums_write(sums, store, txn);
    commit(store, txn);
}

// An acknowledgement: how many batches the top holds, when it had them, how long it and the middle spent flushing.
struct ack {
    uint64_t held;
    double at, top_flush_s, middle_flush_s;
};

static void pass_acks(void *from, void *to, zmq_msg_t *child, const struct store *store)
{
    struct ack ack;
    while (zmq_recv(from, &ack, sizeof ack, ZMQ_DONTWAIT) == (int)sizeof ack) {
        ack.middle_flush_s = store->flush_s;
        zmq_msg_t id;
        zmq_msg_init(&id);
        zmq_msg_copy(&id, child);
        if (zmq_msg_send(&id, to, ZMQ_SNDMORE) < 0)
            die("acknowledge");
        send_bytes(to, &ack, sizeof ack, 0);
    }
}

static void upper(const struct plan *plan, enum role role)
{
    struct store store;
    struct sums sums;
    void *context = zmq_ctx_new();
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 4096);
    store_open(&store, plan, role == TOP ? "top" : "middle");
    sums_init(&sums, plan, role);
    struct group *group = malloc(sizeof *group);
    void *below = open_socket(context, plan, ZMQ_ROUTER, true, role == TOP ? "top" : "middle");
    void *above = role == MIDDLE ? open_socket(context, plan, ZMQ_DEALER, false, "top") : NULL;
    zmq_msg_t child;
    zmq_msg_init(&child);
    for (uint64_t held = 0;;) {
        zmq_pollitem_t items[] = {{below, 0, ZMQ_POLLIN, 0}, {above, 0, ZMQ_POLLIN, 0}};
        if (zmq_poll(items, above ? 2 : 1, -1) < 0 && errno != EINTR)
            die("poll");
        group->count = 0;
        group->bytes = 0;
        while (group->count < GROUP_BATCHES && group->bytes < GROUP_BYTES && receive_batch(below, group, &child))
            ;
        if (group->count)
            take_group(plan, &store, &sums, group);
        held += group->count;
        for (uint32_t i = 0; i < group->count; i++) { // durable: the messages themselves go on
            if (above && (zmq_msg_send(&group->fronts[i], above, ZMQ_SNDMORE) < 0 || zmq_msg_send(&group->bodies[i], above, 0) < 0))
                die("send");
            zmq_msg_close(&group->fronts[i]);
            zmq_msg_close(&group->bodies[i]);
        }
        if (role == TOP && group->count) {
            struct ack ack = {.held = held, .at = now(), .top_flush_s = store.flush_s};
            if (zmq_msg_send(&child, below, ZMQ_SNDMORE) < 0)
                die("acknowledge");
            zmq_msg_init(&child);
            send_bytes(below, &ack, sizeof ack, 0);
        } else if (above) {
            pass_acks(above, below, &child, &store);
        }
    }
}

// ---- the leaf

static void greet(void **sockets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        send_bytes(sockets[i], "", 0, ZMQ_SNDMORE);
        send_bytes(sockets[i], "", 0, 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint8_t byte;
        if (zmq_recv(sockets[i], &byte, sizeof byte, 0) != 0)
            die("greet");
    }
}

static double cpu_of(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) + (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static double own_cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return cpu_of(&usage);
}

static void leaf_backlog(const struct plan *plan, struct store *store, void **sockets)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_val key, row;
    struct ack ack = {0};
    must(mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn), "leaf");
    must(mdb_cursor_open(txn, store->journal, &cursor), "leaf");
    double began = now(), cpu = own_cpu();
    uint64_t total = batches_of(plan), sent = 0;
    while (ack.held < total) {
        if (sent < total && mdb_cursor_get(cursor, &key, &row, MDB_NEXT) == 0) {
            void *socket = sockets[sent % plan->origins];
            send_bytes(socket, row.mv_data, FRONT_SIZE, ZMQ_SNDMORE);
            send_bytes(socket, (uint8_t *)row.mv_data + FRONT_SIZE, row.mv_size - FRONT_SIZE, 0);
            sent++;
        }
        if (sent < total)
            continue;
        zmq_pollitem_t *items = calloc(plan->origins, sizeof *items);
        for (uint32_t i = 0; i < plan->origins; i++)
            items[i] = (zmq_pollitem_t){sockets[i], 0, ZMQ_POLLIN, 0};
        zmq_poll(items, (int)plan->origins, -1);
        for (uint32_t i = 0; i < plan->origins; i++) {
            struct ack next;
            while (items[i].revents && zmq_recv(sockets[i], &next, sizeof next, ZMQ_DONTWAIT) == (int)sizeof next)
                if (next.held > ack.held)
                    ack = next;
        }
        free(items);
    }
    double took = now() - began;
    printf("{\"entries\": %" PRIu64 ", \"seconds\": %.6f, \"per_s\": %.1f, \"leaf_cpu_s\": %.4f, \"middle_flush_s\": %.4f, "
           "\"top_flush_s\": %.4f",
           plan->entries, took, (double)plan->entries / took, own_cpu() - cpu, ack.middle_flush_s, ack.top_flush_s);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *name, double *times, uint64_t count, const char *end)
{
    qsort(times, count, sizeof *times, compare);
    printf("\"%s_p50_ms\": %.4f, \"%s_p99_ms\": %.4f%s", name, times[count / 2] * 1e3, name, times[count * 99 / 100] * 1e3, end);
}

static void leaf_single(const struct plan *plan, struct store *store, void *socket)
{
    uint8_t front[FRONT_SIZE], body[4096];
    uint64_t random = 1;
    double *durable = calloc(plan->entries, sizeof *durable), *back = calloc(plan->entries, sizeof *back), due = now();
    struct ack ack = {0};
    for (uint64_t i = 0; i < plan->entries; i++) {
        while (now() < due) {
            double left = due - now();
            struct timespec wait = {0, (long)(left > 0 ? left * 1e9 : 0)};
            nanosleep(&wait, NULL);
        }
        due += 1.0 / plan->rate;
        double began = now();
        size_t size = make_batch(plan, i, &random, front, body);
        MDB_txn *txn = begin(store);
        append(store, txn, front, body, size);
        commit(store, txn);
        send_bytes(socket, front, FRONT_SIZE, ZMQ_SNDMORE);
        send_bytes(socket, body, size, 0);
        if (zmq_recv(socket, &ack, sizeof ack, 0) != (int)sizeof ack)
            die("acknowledge");
        durable[i] = ack.at - began;
        back[i] = now() - began;
    }
    printf("{");
    print_times("durable", durable, plan->entries, ", ");
    print_times("back", back, plan->entries, ", ");
    printf("\"flush_ms\": %.4f", (store->flush_s + ack.middle_flush_s + ack.top_flush_s) * 1e3 / (double)plan->entries);
    free(durable);
    free(back);
}

static void leaf(const struct plan *plan)
{
    struct store store;
    void *context = zmq_ctx_new(), **sockets = calloc(plan->origins, sizeof *sockets);
    zmq_ctx_set(context, ZMQ_MAX_SOCKETS, 4096);
    store_open(&store, plan, "leaf");
    if (!plan->single)
        fill_leaf(plan, &store);
    store.flush_s = 0;
    for (uint32_t i = 0; i < plan->origins; i++)
        sockets[i] = open_socket(context, plan, ZMQ_DEALER, false, "middle");
    greet(sockets, plan->origins);
    if (plan->single)
        leaf_single(plan, &store, sockets[0]);
    else
        leaf_backlog(plan, &store, sockets);
}

static void end_child(pid_t child, const char *name)
{
    struct rusage usage;
    kill(child, SIGKILL);
    wait4(child, NULL, 0, &usage);
    printf(", \"%s_cpu_s\": %.4f", name, cpu_of(&usage));
}

int main(int count, char **arguments)
{
    struct plan plan = {.origins = 1, .cells = 20000, .batch = 1};
    pid_t children[ROLES] = {0};
    if (sodium_init() < 0 || !(count == 9 || count == 6)) {
        fprintf(stderr, "see the top of yardstick.c\n");
        return 2;
    }
    plan.single = strcmp(arguments[1], "single") == 0;
    plan.directory = arguments[2];
    plan.entries = strtoull(arguments[3], NULL, 10);
    *(plan.single ? &plan.rate : &plan.batch) = (uint32_t)atoi(arguments[4]);
    plan.entry_bytes = (uint32_t)atoi(arguments[5]);
    if (!plan.single) {
        plan.cells = (uint32_t)atoi(arguments[6]);
        plan.origins = (uint32_t)atoi(arguments[7]);
        plan.counters = atoi(arguments[8]) != 0;
    }
    crypto_sign_keypair(plan.public_key, plan.secret_key);
    if (zmq_curve_keypair(plan.curve_public, plan.curve_secret) != 0)
        die("keys");
    for (int role = MIDDLE; role <= TOP; role++) {
        children[role] = fork();
        if (children[role] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            upper(&plan, (enum role)role);
        }
    }
    leaf(&plan);
    end_child(children[MIDDLE], "middle");
    end_child(children[TOP], "top");
    printf("}\n");
    return 0;
}
