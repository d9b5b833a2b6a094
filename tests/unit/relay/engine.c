// Whole stations but for what node/ does: stores, writers, engines and their threads, over loopback. Time appears only as a limit on
// waiting for what must come.
#include "relay/engine.h"

#include <poll.h>
#include <pthread.h>
#include <time.h>

#include "relay/invite.h"
#include "relay/quarantine.h"
#include "tests/directory.h"
#include "tests/samples.h"
#include "tests/unit/relay/station_fixture.h"

enum { UP = SANJI__AUDIENCE__UP, SUBTREE = SANJI__AUDIENCE__SUBTREE, STATION = SANJI__AUDIENCE__STATION };
enum { CASE = SANJI__LANE__CASE, CONTROL = SANJI__LANE__CONTROL, AGGREGATE = SANJI__LANE__AGGREGATE };
enum { WAIT_S = 100, LOG_MAX = 16 * 1024 };
static const char anywhere[] = "tcp://127.0.0.1:0";

// The bench comes first: its callbacks get the node.
struct node {
    struct bench bench;
    char *directory;
    struct writer *writer;
    struct engine *engine;
    pthread_t thread;
    const struct node *above; // it dials
    const char *join;
    char listen[64]; // where it is bound, from the first start on
    uint64_t generation;
    uint32_t pending; // applied in the open transaction; the writer's
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    // under the mutex
    uint32_t applied, ticks;
    int64_t due_ms;
    enum error_code tick_code;
    char log[LOG_MAX];
};

// ---- hooks of the writer

static void on_begin(void *context, struct txn *txn)
{
    struct node *node = context;
    (void)txn;
    author_context(node->bench.author, utc_ms(), NULL);
    node->pending = 0;
}

static void on_before_commit(void *context, struct txn *txn, struct grown *grown)
{
    author_finish(((struct node *)context)->bench.author, txn, grown);
}

static void on_aborted(void *context) { author_abort(((struct node *)context)->bench.author); }

static void on_committed(void *context)
{
    struct node *node = context;
    pthread_mutex_lock(&node->mutex);
    node->applied += node->pending;
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->mutex);
}

static void on_fatal(void *context, const struct error *error)
{
    (void)context;
    fprintf(stderr, "fatal: %s\n", error->detail);
    abort();
}

static void on_done(void *context)
{
    struct node *node = context;
    engine_wake(node->engine);
}

static enum verdict on_apply(void *context, struct txn *txn, const struct header *header, const struct certificate *signer,
                             const struct entry *entries, uint64_t position, uint64_t received_ms, const char **reason)
{
    (void)txn, (void)header, (void)signer, (void)entries, (void)position, (void)received_ms;
    ((struct node *)context)->pending++;
    *reason = NULL;
    return VERDICT_APPLIED;
}

// ---- hooks of the engine

static bool on_join(void *context, struct txn *txn, const struct public_key *key, struct bytes request, struct buffer *ret_reply,
                    struct peer *ret_peer)
{
    struct node *node = context;
    const struct post *self = node->bench.self;
    struct bytes units = bytes_of_text("code,name");
    struct given_documents documents = {.units = crypto_hash(TAG_DOCUMENT, units), .units_version = 1};
    struct host host = {.self = &self->certificate,
                        .sign_key = &self->identity.sign.secret_key,
                        .root = posts[PROVINCE].certificate.hash,
                        .link = node->listen,
                        .join = node->join,
                        .transport_key = &self->identity.transport.public_key};
    object_add(txn, &documents.units, OBJECT_DOCUMENT, units);
    return admit(txn, &host, key, request, utc_ms(), &documents, ret_reply, ret_peer);
}

static enum error_code on_tick(void *context, struct txn *txn, struct error *error)
{
    struct node *node = context;
    (void)txn;
    pthread_mutex_lock(&node->mutex);
    node->ticks++;
    node->due_ms = node->tick_code == OK && node->ticks == 1 ? 1 : -1;
    enum error_code code = node->tick_code;
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->mutex);
    return code == OK ? OK : error_set(error, code, "the tick failed");
}

static int64_t on_due(void *context)
{
    struct node *node = context;
    pthread_mutex_lock(&node->mutex);
    int64_t due_ms = node->due_ms == 1 ? 0 : node->due_ms;
    pthread_mutex_unlock(&node->mutex);
    return due_ms;
}

static void on_documents(void *context, uint32_t *ret_codebook, uint32_t *ret_units)
{
    (void)context;
    *ret_codebook = *ret_units = 1;
}

static void on_log(void *context, bool alarm, const char *text)
{
    struct node *node = context;
    pthread_mutex_lock(&node->mutex);
    size_t size = strlen(node->log);
    snprintf(node->log + size, sizeof node->log - size, "%s%s\n", alarm ? "ALARM " : "", text);
    pthread_cond_broadcast(&node->changed);
    pthread_mutex_unlock(&node->mutex);
}

// ---- nodes

static void *node_main(void *argument)
{
    struct node *node = argument;
    struct error error = {0};
    return (void *)(intptr_t)engine_run(node->engine, &error);
}

static void node_engine(struct node *node)
{
    struct error error = {0};
    const struct post *self = node->bench.self;
    struct receiver receiver = node->bench.receiver;
    receiver.context = node;
    receiver.apply = on_apply;
    struct writer_hooks hooks = {node, on_begin, on_before_commit, on_aborted, on_committed, on_fatal, on_done};
    assert_int_equal(writer_create(node->bench.store, &receiver, &hooks, true, &node->writer, &error), OK);
    struct engine_config config = {
        .store = node->bench.store,
        .writer = node->writer,
        .self = &self->certificate,
        .parent = node->above ? &node->above->bench.self->certificate : NULL,
        .root = posts[PROVINCE].certificate.hash,
        .transport_public = &self->identity.transport.public_key,
        .transport_secret = &self->identity.transport.secret_key,
        .listen = node->listen[0] ? node->listen : NULL,
        .join = node->join,
        .parent_endpoint = node->above ? node->above->listen : NULL,
        .children_max = 200,
        .ordinal = 1,
        .nonce = 77,
        .generation = node->generation,
        .hooks = {.context = node, .join = on_join, .tick = on_tick, .due_ms = on_due, .documents = on_documents, .log = on_log},
    };
    if (engine_create(&config, &node->engine, &error) != OK)
        fail_msg("%s", error.detail);
    if (node->listen[0])
        snprintf(node->listen, sizeof node->listen, "%s", engine_listen(node->engine)); // and there again after a restart
    else
        assert_string_equal(engine_listen(node->engine), "");
}

static void node_start(struct node *node)
{
    node_engine(node);
    assert_int_equal(pthread_create(&node->thread, NULL, node_main, node), 0);
}

static void node_stop(struct node *node)
{
    void *result;
    engine_stop(node->engine);
    pthread_join(node->thread, &result);
    assert_int_equal((intptr_t)result, OK);
    writer_destroy(node->writer); // its last answers still go to the engine
    engine_destroy(node->engine);
    node->writer = NULL;
    node->engine = NULL;
}

// As a process that ends and begins anew.
static void node_reopen(struct node *node)
{
    store_close(node->bench.store);
    node->bench.store = fixture_open(node->directory, STORE_OPEN, 0);
}

static struct node *node_open(const struct post *self, const struct node *above, bool listens)
{
    struct node *node = calloc(1, sizeof *node);
    assert_non_null(node);
    node->directory = directory_make();
    assert_non_null(node->directory);
    pthread_mutex_init(&node->mutex, NULL);
    pthread_cond_init(&node->changed, NULL);
    bench_open(&node->bench, posts, (unsigned)(self - posts), fixture_open(node->directory, STORE_CREATE, 0));
    node->above = above;
    node->due_ms = -1;
    node->generation = crypto_random_u64() | 1;
    if (listens)
        snprintf(node->listen, sizeof node->listen, "%s", anywhere);
    return node;
}

static void node_close(struct node *node)
{
    bench_close(&node->bench);
    directory_remove(node->directory);
    pthread_cond_destroy(&node->changed);
    pthread_mutex_destroy(&node->mutex);
    free(node);
}

static void enrol(struct node *node, const struct post *child)
{
    struct peer peer = {
        .station = child->identity.station, .transport_key = child->identity.transport.public_key, .certificate = child->certificate.hash};
    snprintf(peer.unit, sizeof peer.unit, "%s", child->certificate.unit);
    struct txn *txn = fixture_begin(node->bench.store, true);
    peer_write(txn, &peer);
    object_add(txn, &child->certificate.hash, OBJECT_CERTIFICATE, buffer_bytes(&child->wire));
    route_learn(txn, &peer.station, &peer.station, NULL);
    fixture_commit(txn);
}

// ---- waiting

static struct timespec limit(void)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    return until;
}

// Until a condition on what stands under the mutex holds.
#define WAIT(node, condition)                                                                                                              \
    do {                                                                                                                                   \
        struct timespec until = limit();                                                                                                   \
        bool late = false;                                                                                                                 \
        pthread_mutex_lock(&(node)->mutex);                                                                                                \
        while (!(condition) && !late)                                                                                                      \
            late = pthread_cond_timedwait(&(node)->changed, &(node)->mutex, &until) != 0;                                                  \
        pthread_mutex_unlock(&(node)->mutex);                                                                                              \
        if (late)                                                                                                                          \
            fail_msg("%s: did not come; log:\n%s", #condition, (node)->log);                                                               \
    } while (0)

#define WAIT_LOG(node, text) WAIT(node, strstr((node)->log, text))

// Until the peer of the node's first link has acknowledged all that there is on a channel.
static void wait_acknowledged(struct node *node, unsigned channel, uint64_t end)
{
    struct engine_link link;
    for (uint64_t until = monotonic_ms() + WAIT_S * 1000; monotonic_ms() < until;) // each question takes a turn of the engine
        if (engine_links(node->engine, &link, 1) == 1 && link.core.channels[channel].end == end &&
            link.core.channels[channel].headers == end && link.core.channels[channel].bodies == end)
            return;
    fail_msg("not acknowledged; log:\n%s", node->log);
}

// ---- saying something

struct saying {
    struct node *node;
    unsigned lane, audience;
    const struct station_id *to;
    const char *text;
    uint32_t entries;
};

static enum error_code run_say(void *argument, struct txn *txn, struct error *error)
{
    struct saying *saying = argument;
    for (uint32_t i = 0; i < saying->entries; i++)
        author_add(saying->node->bench.author, txn, saying->lane, saying->audience, saying->to, REACH_TOP, SANJI__ENTRY_KIND__STATEMENT, 1,
                   bytes_of_text(saying->text), NULL);
    return txn_report(txn, error);
}

static void say(struct node *node, unsigned lane, unsigned audience, const struct station_id *to, uint32_t entries, const char *text)
{
    struct saying saying = {node, lane, audience, to, text, entries};
    struct error error = {0};
    if (writer_call(node->writer, run_say, &saying, &error) != OK)
        fail_msg("%s", error.detail);
}

static bool holds_the_same(struct node *a, struct node *b, const struct feed_key *feed)
{
    struct feed_state of_a, of_b;
    return bench_feed(&a->bench, feed, &of_a) && bench_feed(&b->bench, feed, &of_b) && of_a.next == of_b.next &&
           of_a.bodies == of_b.bodies && of_b.bodies == of_b.next && hash_equal(&of_a.last, &of_b.last);
}

static struct feed_key feed_of(const struct post *post, unsigned lane, unsigned audience)
{
    return (struct feed_key){
        .station = post->identity.station, .ordinal = 1, .nonce = 77, .lane = (uint8_t)lane, .audience = (uint8_t)audience};
}

// ---- a province and a county

struct pair {
    struct node *parent, *child;
};

static int setup(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);
    pair->parent = node_open(&posts[PROVINCE], NULL, true);
    enrol(pair->parent, &posts[COUNTY]);
    pair->child = node_open(&posts[COUNTY], pair->parent, false);
    node_start(pair->parent);
    node_start(pair->child);
    *state = pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;
    node_stop(pair->child);
    node_stop(pair->parent);
    node_close(pair->child);
    node_close(pair->parent);
    free(pair);
    return 0;
}

static int setup_posts(void **state)
{
    (void)state;
    posts_init(posts);
    return 0;
}

static int teardown_posts(void **state)
{
    (void)state;
    posts_finish(posts);
    return 0;
}

#define PAIR_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void up_down_and_to_one(void **state)
{
    struct pair *pair = *state;
    struct feed_key up = feed_of(&posts[COUNTY], CASE, UP), down = feed_of(&posts[PROVINCE], CONTROL, SUBTREE);
    struct feed_key one = feed_of(&posts[PROVINCE], CASE, STATION);
    one.addressee = posts[COUNTY].identity.station;
    say(pair->child, CASE, UP, NULL, 3, "an escalation");
    WAIT(pair->parent, pair->parent->applied == 1);
    assert_true(holds_the_same(pair->child, pair->parent, &up));
    wait_acknowledged(pair->child, core_channel(SANJI__STREAM__STREAM_UP, CASE), 2);
    say(pair->parent, CONTROL, SUBTREE, NULL, 1, "for all");
    say(pair->parent, CASE, STATION, &posts[COUNTY].identity.station, 1, "for one");
    WAIT(pair->child, pair->child->applied == 2);
    assert_true(holds_the_same(pair->parent, pair->child, &down) && holds_the_same(pair->parent, pair->child, &one));
    wait_acknowledged(pair->parent, core_channel(SANJI__STREAM__STREAM_DOWN_ALL, CONTROL), 2);
    wait_acknowledged(pair->parent, core_channel(SANJI__STREAM__STREAM_DOWN_ONE, CASE), 2);
    WAIT_LOG(pair->child, "link parent");
    WAIT_LOG(pair->parent, "link child");
}

// Rows of many pieces, and many rows; several lanes at once.
static void much_at_once(void **state)
{
    struct pair *pair = *state;
    char *text = malloc(1001);
    memset(text, 'x', 1000);
    text[1000] = 0;
    for (unsigned i = 0; i < 4; i++)
        say(pair->child, AGGREGATE, UP, NULL, 250, text); // 250 KB each
    for (unsigned i = 0; i < 150; i++)
        say(pair->child, CASE, UP, NULL, 1, "case");
    free(text);
    WAIT(pair->parent, pair->parent->applied >= 154);
    wait_acknowledged(pair->child, core_channel(SANJI__STREAM__STREAM_UP, CASE), 151);
    wait_acknowledged(pair->child, core_channel(SANJI__STREAM__STREAM_UP, AGGREGATE), 5);
    struct feed_key cases = feed_of(&posts[COUNTY], CASE, UP), figures = feed_of(&posts[COUNTY], AGGREGATE, UP);
    assert_true(holds_the_same(pair->child, pair->parent, &cases) && holds_the_same(pair->child, pair->parent, &figures));
    assert_int_equal(pair->parent->applied, 154); // each once
}

static void fault_50_a_parent_that_restarts(void **state)
{
    struct pair *pair = *state;
    struct feed_key feed = feed_of(&posts[COUNTY], CASE, UP);
    say(pair->child, CASE, UP, NULL, 1, "before");
    WAIT(pair->parent, pair->parent->applied == 1);
    for (unsigned round = 1; round <= 2; round++) {
        say(pair->child, CASE, UP, NULL, 1, "on the way, perhaps");
        node_stop(pair->parent);
        say(pair->child, CASE, UP, NULL, 1, "nobody is there");
        node_reopen(pair->parent);
        node_start(pair->parent);
        say(pair->child, CASE, UP, NULL, 1, "it may be back");
        WAIT(pair->parent, pair->parent->applied == 1 + 3 * round);
    }
    wait_acknowledged(pair->child, core_channel(SANJI__STREAM__STREAM_UP, CASE), 8);
    assert_true(holds_the_same(pair->child, pair->parent, &feed));
    assert_int_equal(bench_end(&pair->parent->bench), 7);
}

static void a_child_that_restarts(void **state)
{
    struct pair *pair = *state;
    struct feed_key feed = feed_of(&posts[COUNTY], CASE, UP);
    say(pair->child, CASE, UP, NULL, 1, "before");
    WAIT(pair->parent, pair->parent->applied == 1);
    node_stop(pair->child);
    node_reopen(pair->child);
    node_start(pair->child);
    say(pair->child, CASE, UP, NULL, 1, "after");
    say(pair->parent, CONTROL, SUBTREE, NULL, 1, "for all");
    WAIT(pair->parent, pair->parent->applied == 2);
    WAIT(pair->child, pair->child->applied == 1);
    assert_true(holds_the_same(pair->child, pair->parent, &feed));
}

// Heads are exchanged, and what they cover is not sent again.
static void fault_17_a_journal_of_another_generation(void **state)
{
    struct pair *pair = *state;
    struct feed_key feed = feed_of(&posts[COUNTY], CASE, UP);
    for (unsigned i = 0; i < 20; i++)
        say(pair->child, CASE, UP, NULL, 1, "case");
    WAIT(pair->parent, pair->parent->applied == 20);
    node_stop(pair->child);
    pair->child->generation += 2;
    node_start(pair->child);
    say(pair->child, CASE, UP, NULL, 1, "after");
    WAIT(pair->parent, pair->parent->applied == 21);
    wait_acknowledged(pair->child, core_channel(SANJI__STREAM__STREAM_UP, CASE), 22);
    assert_true(holds_the_same(pair->child, pair->parent, &feed));
    assert_int_equal(bench_end(&pair->parent->bench), 21);
    WAIT_LOG(pair->parent, "peer-restored");
}

struct sayings {
    struct saying items[GROWN_ONE_MAX + 7];
    uint32_t count;
};

static enum error_code run_say_all(void *argument, struct txn *txn, struct error *error)
{
    struct sayings *sayings = argument;
    enum error_code code = OK;
    for (uint32_t i = 0; i < sayings->count && code == OK; i++)
        code = run_say(&sayings->items[i], txn, error);
    return code;
}

// More streams grew in one transaction than the writer names: the last one's child hears of it all the same.
static void one_of_many_addressees(void **state)
{
    struct pair *pair = *state;
    struct feed_key feed = feed_of(&posts[PROVINCE], CASE, STATION);
    feed.addressee = posts[COUNTY].identity.station;
    say(pair->child, CASE, UP, NULL, 1, "I am here");
    WAIT(pair->parent, pair->parent->applied == 1);
    node_stop(pair->parent);
    struct txn *txn = fixture_begin(pair->parent->bench.store, true);
    for (uint8_t i = 1; i <= GROWN_ONE_MAX + 6; i++) {
        struct station_id to = a_station(i);
        route_learn(txn, &to, &to, NULL);
    }
    fixture_commit(txn);
    node_start(pair->parent);
    say(pair->child, CASE, UP, NULL, 1, "I am here again");
    WAIT(pair->parent, pair->parent->applied == 2);
    struct sayings sayings = {.count = GROWN_ONE_MAX + 7};
    struct station_id to[GROWN_ONE_MAX + 7];
    for (uint8_t i = 0; i < sayings.count; i++) {
        to[i] = i < GROWN_ONE_MAX + 6 ? a_station((uint8_t)(i + 1)) : feed.addressee;
        sayings.items[i] = (struct saying){pair->parent, CASE, STATION, &to[i], "for one", 1};
    }
    assert_int_equal(writer_call(pair->parent->writer, run_say_all, &sayings, NULL), OK);
    WAIT(pair->child, pair->child->applied == 1);
    assert_true(holds_the_same(pair->parent, pair->child, &feed));
}

// Turns one bit of the journal row at `position`; the node does not run.
static void rot(struct node *node, uint64_t position)
{
    uint8_t key[8], value[4096];
    struct bytes held;
    put_be64(key, position);
    struct txn *txn = fixture_begin(node->bench.store, true);
    assert_true(txn_get(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &held) && held.size <= sizeof value);
    size_t size = held.size;
    memcpy(value, held.data, size);
    value[size - 20] ^= 1;
    txn_put(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), bytes_of(value, size));
    fixture_commit(txn);
}

static void enter(struct node *node, uint64_t position)
{
    struct txn *txn = fixture_begin(node->bench.store, true);
    assert_true(quarantine_batch(txn, position, false, 1));
    fixture_commit(txn);
}

static void assert_whole(struct node *node, uint64_t end)
{
    struct txn *txn = fixture_begin(node->bench.store, false);
    for (uint64_t position = 1; position <= end; position++)
        assert_true(journal_intact(txn, position));
    assert_int_equal(quarantine_count(txn).damaged, 0);
    fixture_commit(txn);
}

// Rows of all three audiences rot at the child, and come back from the parent.
static void fault_10_rotten_rows_come_back_from_the_parent(void **state)
{
    struct pair *pair = *state;
    for (unsigned i = 0; i < 3; i++)
        say(pair->child, CASE, UP, NULL, 2, "mine");
    say(pair->parent, CONTROL, SUBTREE, NULL, 1, "for all");
    say(pair->parent, CASE, STATION, &posts[COUNTY].identity.station, 1, "for one");
    WAIT(pair->parent, pair->parent->applied == 3);
    WAIT(pair->child, pair->child->applied == 2);
    node_stop(pair->child);
    uint64_t end = bench_end(&pair->child->bench);
    assert_int_equal(end, 5);
    for (uint64_t position = 1; position <= end; position++) {
        rot(pair->child, position);
        enter(pair->child, position);
    }
    uint32_t before = pair->child->applied;
    node_reopen(pair->child);
    node_start(pair->child);
    for (uint64_t until = monotonic_ms() + WAIT_S * 1000; monotonic_ms() < until;) {
        struct txn *txn = fixture_begin(pair->child->bench.store, false);
        uint64_t left = quarantine_count(txn).damaged;
        fixture_commit(txn);
        if (left == 0)
            break;
        poll(NULL, 0, 10);
    }
    node_stop(pair->child);
    assert_whole(pair->child, end);
    assert_int_equal(pair->child->applied, before); // no second effect
    node_reopen(pair->child);
    node_start(pair->child);
}

// A row that the child passed up rots at the parent; and one that the child has not delivered yet rots at the child: it is not sent, nor
// what follows it in its feed, and everything else goes on.
static void fault_10_a_rotten_row_comes_back_from_the_child(void **state)
{
    struct pair *pair = *state;
    say(pair->child, CASE, UP, NULL, 2, "one");
    say(pair->child, CASE, UP, NULL, 2, "two");
    WAIT(pair->parent, pair->parent->applied == 2);
    node_stop(pair->parent);
    rot(pair->parent, 1);
    enter(pair->parent, 1);
    node_reopen(pair->parent);
    node_start(pair->parent);
    WAIT_LOG(pair->parent, "whole");
    node_stop(pair->parent);
    assert_whole(pair->parent, 2);
    say(pair->child, CASE, UP, NULL, 1, "rots before it is sent");
    say(pair->child, CASE, UP, NULL, 1, "its follower");
    say(pair->child, AGGREGATE, UP, NULL, 1, "another feed");
    node_stop(pair->child);
    rot(pair->child, bench_end(&pair->child->bench) - 2);
    node_reopen(pair->parent);
    node_reopen(pair->child);
    node_start(pair->parent);
    node_start(pair->child);
    WAIT_LOG(pair->child, "damaged on disk");
    WAIT(pair->parent, pair->parent->applied == 3);
    struct feed_key cases = feed_of(&posts[COUNTY], CASE, UP);
    struct feed_state held;
    assert_true(bench_feed(&pair->parent->bench, &cases, &held));
    assert_int_equal(held.next, 5);
}

static void fault_27_a_forger_is_barred(void **state)
{
    struct pair *pair = *state;
    say(pair->child, CASE, UP, NULL, 1, "true");
    WAIT(pair->parent, pair->parent->applied == 1);
    node_stop(pair->child);
    author_destroy(pair->child->bench.author);
    struct author_config config = {.self = &posts[COUNTY].certificate,
                                   .parent = &posts[PROVINCE].certificate,
                                   .sign_key = &posts[STRANGER].identity.sign.secret_key, // not its own
                                   .ordinal = 1,
                                   .nonce = 77};
    assert_int_equal(author_create(&config, &pair->child->bench.author, NULL), OK);
    node_start(pair->child);
    say(pair->child, CASE, UP, NULL, 1, "false");
    WAIT_LOG(pair->parent, "ALARM forged");
    WAIT_LOG(pair->parent, "barred");
    WAIT_LOG(pair->child, "barred");
    assert_int_equal(bench_end(&pair->parent->bench), 1);
    struct alarm alarm = {0};
    for (uint64_t until = monotonic_ms() + WAIT_S * 1000; !alarm.kind[0] && monotonic_ms() < until;) {
        struct txn *txn = fixture_begin(pair->parent->bench.store, false);
        alarm_last(txn, &alarm, 1);
        fixture_commit(txn);
    }
    assert_string_equal(alarm.kind, "forged");
}

static void fault_52_an_unknown_key_is_refused(void **state)
{
    struct pair *pair = *state;
    struct engine_link links[4];
    struct node *stranger = node_open(&posts[STRANGER], pair->parent, false);
    node_start(stranger);
    WAIT_LOG(stranger, "not enrolled there");
    say(pair->child, CASE, UP, NULL, 1, "the others are served");
    WAIT(pair->parent, pair->parent->applied == 1);
    assert_int_equal(engine_links(pair->parent->engine, links, 4), 1);
    assert_true(station_equal(&links[0].station, &posts[COUNTY].identity.station));
    node_stop(stranger);
    assert_null(strstr(stranger->log, "live"));
    node_close(stranger);
}

// ---- status

struct asker {
    struct node *node;
    uint32_t max;
    bool wrong;
};

static void *asker_main(void *argument)
{
    struct asker *asker = argument;
    struct engine_link *links = malloc(asker->max * sizeof *links);
    for (unsigned i = 0; i < 100; i++) {
        uint32_t count = engine_links(asker->node->engine, links, asker->max);
        asker->wrong |= count != (asker->max < 3 ? asker->max : 3);
        for (uint32_t k = 0; k < count; k++)
            asker->wrong |= links[k].core.parent || links[k].core.state == LINK_ABSENT;
    }
    free(links);
    return NULL;
}

static void status_from_many_threads(void **state)
{
    (void)state;
    enum { ASKERS = 6 };
    struct node *node = node_open(&posts[PROVINCE], NULL, true);
    struct engine_link link;
    for (unsigned i = COUNTY; i <= VILLAGE; i++)
        enrol(node, &posts[i]);
    node_engine(node);
    assert_int_equal(engine_links(node->engine, &link, 1), 0); // it does not run yet
    assert_int_equal(pthread_create(&node->thread, NULL, node_main, node), 0);
    for (uint64_t until = monotonic_ms() + WAIT_S * 1000; engine_links(node->engine, &link, 1) == 0;)
        assert_true(monotonic_ms() < until);
    pthread_t threads[ASKERS];
    struct asker askers[ASKERS];
    for (uint32_t i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.node = node, .max = i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, asker_main, &askers[i]), 0);
    }
    for (unsigned i = 0; i < ASKERS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(askers[i].wrong);
    }
    void *result;
    engine_stop(node->engine);
    pthread_join(node->thread, &result);
    assert_int_equal(engine_links(node->engine, &link, 1), 0); // nor any more
    writer_destroy(node->writer);
    engine_destroy(node->engine);
    node_close(node);
}

static void status_says_how_far_a_link_is(void **state)
{
    struct pair *pair = *state;
    struct engine_link link;
    say(pair->child, CASE, UP, NULL, 1, "case");
    wait_acknowledged(pair->child, core_channel(SANJI__STREAM__STREAM_UP, CASE), 2);
    assert_int_equal(engine_links(pair->child->engine, &link, 1), 1);
    assert_true(link.core.parent && link.core.state == LINK_LIVE && link.core.heard_ms > 0 && link.core.acknowledged_ms > 0);
    assert_true(station_equal(&link.station, &posts[PROVINCE].identity.station));
    assert_true(hash_equal(&link.certificate, &posts[PROVINCE].certificate.hash));
    assert_int_equal(engine_links(pair->parent->engine, &link, 1), 1);
    assert_true(!link.core.parent && link.core.state == LINK_LIVE && hash_equal(&link.certificate, &posts[COUNTY].certificate.hash));
}

static void a_stop_may_come_first(void **state)
{
    (void)state;
    struct node *node = node_open(&posts[PROVINCE], NULL, true);
    struct error error = {0};
    node_engine(node);
    engine_stop(node->engine);
    assert_int_equal(engine_run(node->engine, &error), OK);
    writer_destroy(node->writer);
    engine_destroy(node->engine);
    node_close(node);
    engine_destroy(NULL);
}

static void ticks_run_when_due(void **state)
{
    (void)state;
    struct node *node = node_open(&posts[PROVINCE], NULL, false);
    node->due_ms = 0;
    node_start(node);
    WAIT(node, node->ticks == 2); // the second because the first wanted it
    node_stop(node);
    node->tick_code = ERR_CORRUPT;
    node->due_ms = 0;
    node_start(node);
    WAIT_LOG(node, "ALARM the tick failed");
    node_stop(node);
    assert_int_equal(node->ticks, 3);
    node_close(node);
}

// ---- enrolment

static void a_station_joins(void **state)
{
    (void)state;
    struct node *parent = node_open(&posts[PROVINCE], NULL, true);
    parent->join = anywhere;
    node_start(parent);
    struct identity identity;
    struct join_request request;
    struct join_token token;
    struct join_reply reply;
    struct buffer wire = {0}, answer = {0};
    struct error error = {0};
    sample_identity(&identity);
    const struct post *root = &posts[PROVINCE];
    struct host host = {.self = &root->certificate,
                        .root = root->certificate.hash,
                        .join = engine_join(parent->engine),
                        .transport_key = &root->identity.transport.public_key};
    struct invited_unit unit = {.code = "3210", .tier = "county", .depth = 1};
    struct txn *txn = fixture_begin(parent->bench.store, true);
    invite(txn, &host, &unit, 0, utc_ms() + 3600 * 1000, utc_ms(), &token);
    fixture_commit(txn);
    assert_int_equal(join_request_sign(&identity, token.secret, NULL, &request, &error), OK);
    join_request_pack(&request, &wire);
    uint8_t too_long[JOIN_REQUEST_MAX + 1] = {1}; // nobody answers to what can't be a request
    assert_int_equal(transport_ask(token.endpoint, &token.parent_key, &identity.transport.public_key, &identity.transport.secret_key,
                                   bytes_of(too_long, sizeof too_long), 300, &answer, &error),
                     ERR_TIMEOUT);
    for (unsigned i = 0; i < 2; i++) { // as one whose first answer got lost
        buffer_clear(&answer);
        if (transport_ask(token.endpoint, &token.parent_key, &identity.transport.public_key, &identity.transport.secret_key,
                          buffer_bytes(&wire), WAIT_S * 1000, &answer, &error) != OK)
            fail_msg("%s", error.detail);
        assert_int_equal(join_reply_unpack(buffer_bytes(&answer), &reply, &error), OK);
        assert_string_equal(reply.refusal, "");
    }
    // It is let in at once, without a restart of the parent.
    static struct post joined[POSTS];
    memcpy(joined, posts, sizeof joined);
    joined[COUNTY] = (struct post){.identity = identity};
    assert_int_equal(certificate_decode(reply.certificate, &joined[COUNTY].certificate, &error), OK);
    buffer_append(&joined[COUNTY].wire, reply.certificate.data, reply.certificate.size);
    struct node *child = calloc(1, sizeof *child);
    child->directory = directory_make();
    pthread_mutex_init(&child->mutex, NULL);
    pthread_cond_init(&child->changed, NULL);
    bench_open(&child->bench, joined, COUNTY, fixture_open(child->directory, STORE_CREATE, 0));
    child->above = parent;
    child->due_ms = -1;
    child->generation = 9;
    node_start(child);
    say(child, CASE, UP, NULL, 1, "I am new here");
    WAIT(parent, parent->applied == 1);
    node_stop(child);
    node_stop(parent);
    node_close(child);
    node_close(parent);
    buffer_finish(&joined[COUNTY].wire);
    buffer_finish(&wire);
    buffer_finish(&answer);
}

// ---- three tiers

static void through_the_middle(void **state)
{
    (void)state;
    struct node *province = node_open(&posts[PROVINCE], NULL, true);
    enrol(province, &posts[COUNTY]);
    struct node *county = node_open(&posts[COUNTY], province, true);
    enrol(county, &posts[TOWNSHIP]);
    struct node *township = node_open(&posts[TOWNSHIP], county, false);
    node_start(province);
    node_start(county);
    node_start(township);
    struct feed_key up = feed_of(&posts[TOWNSHIP], CASE, UP), one = feed_of(&posts[PROVINCE], CASE, STATION);
    one.addressee = posts[TOWNSHIP].identity.station;
    say(township, CASE, UP, NULL, 2, "an escalation"); // its certificate goes ahead of it
    WAIT(county, county->applied == 1);
    WAIT(province, province->applied == 1);
    assert_true(holds_the_same(township, province, &up));
    say(province, CASE, STATION, &one.addressee, 1, "a receipt"); // by the way that the escalation came
    WAIT(township, township->applied == 1);
    assert_true(holds_the_same(province, township, &one));
    node_stop(township);
    node_stop(county);
    node_stop(province);
    node_close(township);
    node_close(county);
    node_close(province);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PAIR_TEST(up_down_and_to_one),
        PAIR_TEST(much_at_once),
        PAIR_TEST(fault_50_a_parent_that_restarts),
        PAIR_TEST(a_child_that_restarts),
        PAIR_TEST(fault_17_a_journal_of_another_generation),
        PAIR_TEST(one_of_many_addressees),
        PAIR_TEST(fault_27_a_forger_is_barred),
        PAIR_TEST(fault_52_an_unknown_key_is_refused),
        PAIR_TEST(fault_10_rotten_rows_come_back_from_the_parent),
        PAIR_TEST(fault_10_a_rotten_row_comes_back_from_the_child),
        cmocka_unit_test(status_from_many_threads),
        PAIR_TEST(status_says_how_far_a_link_is),
        cmocka_unit_test(a_stop_may_come_first),
        cmocka_unit_test(ticks_run_when_due),
        cmocka_unit_test(a_station_joins),
        cmocka_unit_test(through_the_middle),
    };
    return cmocka_run_group_tests_name("relay/engine", tests, setup_posts, teardown_posts);
}
