// A township's shell as bytes: messages of a child and of the parent made from real batches, whole, in pieces or damaged; commits that
// succeed, fail or wait; crashes, time, connections that come and go. Production: engine, core, link_wire, writer (without its thread),
// receive, author, journal over the memory store. This file brings the transport and the clock (tests/sim/network.c has another).
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "relay/author.h"
#include "relay/engine.h"
#include "relay/link_wire.h"
#include "relay/store_memory.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/samples.h"

enum { BATCHES = 12, TURNS_MAX = 5000, STEPS_MAX = 250, QUEUE = 4, ROUTE = 9, ROWS_MAX = 64 };

// ---- what peers have to send: batches of the village up, of the county down to all; signed once

struct row {
    struct buffer header, body;
    uint8_t signature[SIGNATURE_SIZE];
    unsigned channel;
    struct hash hash;
};
static struct sample stations[SAMPLES];
static struct row rows[BATCHES];

static void make_row(struct row *row, const struct sample *station, unsigned lane, bool up, struct feed_state *state, size_t size)
{
    struct batch_draft draft;
    struct header header;
    static uint8_t content[20000];
    struct feed_key feed = sample_feed(station);
    feed.lane = (uint8_t)lane;
    feed.audience = up ? SANJI__AUDIENCE__UP : SANJI__AUDIENCE__SUBTREE;
    memset(content, 'x', sizeof content);
    MUST(batch_draft_init(&draft, &feed, REACH_TOP, NULL) == OK);
    MUST(batch_draft_add(&draft, SANJI__ENTRY_KIND__STATEMENT, 1, bytes_of(content, size), NULL, NULL) == OK);
    MUST(batch_draft_sign(&draft, state, &station->certificate, &station->identity.sign.secret_key, 1, NULL, NULL, 0, &row->header, &header,
                          row->signature, NULL) == OK);
    struct feed_claim claim = {.first = header.first, .count = header.count, .header = header.hash, .prev = header.prev};
    feed_extend(state, &claim, true, true);
    buffer_append(&row->body, draft.body.data, draft.body.size);
    row->channel = core_channel(up ? SANJI__STREAM__STREAM_UP : SANJI__STREAM__STREAM_DOWN_ALL, lane);
    row->hash = header.hash;
    batch_draft_finish(&draft);
}

static void make_rows(void)
{
    static const uint8_t seed[32] = {1};
    crypto_init(NULL);
    crypto_random_replay(seed);
    samples_init(stations);
    struct feed_state states[3];
    for (unsigned i = 0; i < 3; i++)
        feed_state_init(&states[i]);
    for (unsigned i = 0; i < BATCHES; i++) {
        unsigned feed = i % 3;
        make_row(&rows[i], &stations[feed == 2 ? SAMPLE_COUNTY : SAMPLE_VILLAGE], feed == 0 ? 1 : 4, feed != 2, &states[feed],
                 i >= 6 && feed == 1 ? 18000 : 60);
    }
}

// ---- the clock

static uint64_t now_ms;
static bool virtual;
int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    if (!virtual)
        return __real_clock_gettime(clock, ret);
    *ret = (struct timespec){.tv_sec = (time_t)(now_ms / 1000), .tv_nsec = (long)(now_ms % 1000) * 1000000};
    return 0;
}

// ---- the station

static struct store *store;
static struct signers *signers;
static struct author *author;
static struct writer *writer;
static struct engine *engine;
static bool dead;

static void on_begin(void *context, struct txn *txn)
{
    (void)context, (void)txn;
    author_context(author, now_ms, NULL);
}
static void on_before_commit(void *context, struct txn *txn, struct grown *grown)
{
    (void)context;
    author_finish(author, txn, grown);
}
static void on_aborted(void *context)
{
    (void)context;
    author_abort(author);
}
static void on_committed(void *context) { (void)context; }
static void on_fatal(void *context, const struct error *error)
{
    (void)context, (void)error;
    dead = true;
}
static void on_done(void *context)
{
    (void)context;
    if (engine)
        engine_wake(engine);
}

static enum verdict on_apply(void *context, struct txn *txn, const struct header *header, const struct certificate *signer,
                             const struct entry *entries, uint64_t position, uint64_t received_ms, const char **reason)
{
    (void)context, (void)txn, (void)header, (void)signer, (void)entries, (void)position, (void)received_ms;
    *reason = NULL;
    return VERDICT_APPLIED;
}
static bool on_may_certify(void *context, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer)
{
    (void)context, (void)txn, (void)certificate, (void)issuer;
    return true;
}
static void on_document(void *context, struct txn *txn, const struct hash *hash, struct bytes content)
{
    (void)context, (void)txn, (void)hash, (void)content;
}
static bool on_join(void *context, struct txn *txn, const struct public_key *key, struct bytes request, struct buffer *ret_reply,
                    struct peer *ret_peer)
{
    (void)context, (void)txn, (void)key, (void)request, (void)ret_peer;
    buffer_append(ret_reply, "no", 2);
    return false;
}
static enum error_code on_tick(void *context, struct txn *txn, struct error *error)
{
    (void)context, (void)txn, (void)error;
    return OK;
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
    (void)context, (void)alarm;
    MUST(text[0]);
}

static struct receiver receiver;

static void start(void)
{
    const struct certificate *self = &stations[SAMPLE_TOWNSHIP].certificate, *parent = &stations[SAMPLE_COUNTY].certificate;
    struct author_config of_author = {
        .self = self, .parent = parent, .sign_key = &stations[SAMPLE_TOWNSHIP].identity.sign.secret_key, .ordinal = 1, .nonce = 77};
    MUST(signers_create(&parent->hash, &signers, NULL) == OK && author_create(&of_author, &author, NULL) == OK);
    receiver = (struct receiver){.place = {.self = self, .parent = parent},
                                 .signers = signers,
                                 .apply = on_apply,
                                 .may_certify = on_may_certify,
                                 .document = on_document};
    struct writer_hooks hooks = {.begin = on_begin,
                                 .before_commit = on_before_commit,
                                 .aborted = on_aborted,
                                 .committed = on_committed,
                                 .fatal = on_fatal,
                                 .done = on_done};
    MUST(writer_create(store, &receiver, &hooks, false, &writer, NULL) == OK);
    struct engine_config config = {.store = store,
                                   .writer = writer,
                                   .self = self,
                                   .parent = parent,
                                   .root = parent->hash,
                                   .transport_public = &self->transport_key,
                                   .transport_secret = &stations[SAMPLE_TOWNSHIP].identity.transport.secret_key,
                                   .listen = "fuzz",
                                   .join = "fuzz",
                                   .parent_endpoint = "fuzz",
                                   .children_max = 2,
                                   .ordinal = 1,
                                   .nonce = 77,
                                   .generation = 5,
                                   .hooks = {.join = on_join, .tick = on_tick, .due_ms = on_due, .documents = on_documents, .log = on_log}};
    MUST(engine_create(&config, &engine, NULL) == OK);
    engine_begin(engine);
    dead = false;
}

static void stop(void)
{
    writer_destroy(writer);
    engine_destroy(engine);
    author_destroy(author);
    signers_destroy(signers);
    engine = NULL;
    store_memory_restart(store);
}

static void set_up(void)
{
    MUST(store_memory_create(&store, NULL) == OK);
    struct txn *txn = txn_begin(store, true, NULL);
    journal_create(txn,
                   &(struct journal_meta){.format = STORE_FORMAT, .station = stations[SAMPLE_TOWNSHIP].identity.station, .generation = 5});
    for (unsigned i = 0; i < SAMPLES; i++)
        object_add(txn, &stations[i].certificate.hash, OBJECT_CERTIFICATE, buffer_bytes(&stations[i].wire));
    const struct certificate *village = &stations[SAMPLE_VILLAGE].certificate;
    struct peer peer = {
        .station = village->station, .transport_key = village->transport_key, .certificate = village->hash, .enrolled_ms = 1};
    memcpy(peer.unit, village->unit, sizeof peer.unit);
    peer_write(txn, &peer);
    MUST(txn_commit(txn, NULL) == OK);
}

// ---- the transport

struct transport {
    bool woken, idle, refuses;
    struct transport_event queue[QUEUE];
    uint32_t count;
};
static struct transport only;
static bool connected;
static uint64_t our_session[2]; // as last said to: child, parent

static void check_mark(const struct station_id *peer, unsigned channel, uint64_t generation, uint64_t headers, uint64_t bodies)
{
    struct txn *txn = txn_begin(store, false, NULL);
    struct mark mark = {0};
    mark_read(txn, peer, true, core_channel_stream(channel), core_channel_lane(channel), &mark);
    if (headers)
        MUST(generation == mark.generation && headers <= mark.headers && bodies <= mark.bodies && bodies <= headers);
    txn_abort(txn);
}

static bool is_committed(const struct link_in *in)
{
    struct txn *txn = txn_begin(store, false, NULL);
    struct header header;
    struct feed_state state;
    struct batch_row row;
    uint32_t id;
    uint64_t position;
    enum object_kind kind;
    struct bytes content;
    bool there = in->push.is_object ? object_read(txn, &in->push.piece.name, &kind, &content)
                                    : header_decode(in->push.header, &header, NULL) == OK && feed_find(txn, &header.feed, &id, &state) &&
                                          journal_find(txn, id, header.first, &position) && journal_read(txn, position, &row) &&
                                          bytes_equal(row.header, in->push.header);
    txn_abort(txn);
    return there;
}

// Whatever leaves is what a peer can read, and says nothing that is not committed.
static enum error_code put(bool to_parent, struct bytes message, struct bytes body)
{
    const struct station_id *peer = &stations[to_parent ? SAMPLE_COUNTY : SAMPLE_VILLAGE].identity.station;
    struct arena arena = {0};
    struct link_in in;
    MUST(message.size <= MESSAGE_MAX && body.size <= FRAME_MAX);
    if (only.refuses)
        return ERR_BUSY;
    MUST(link_decode(message, body.size, &arena, &in, NULL) == OK);
    if (in.type == LINK_HELLO) {
        our_session[to_parent] = in.session;
        for (unsigned i = 0; i < CORE_CHANNELS; i++)
            check_mark(peer, i, in.hello.hello.held[i].generation, in.hello.hello.held[i].headers, in.hello.hello.held[i].bodies);
    }
    MUST(in.type == LINK_ERROR || in.session == our_session[to_parent]);
    if (in.type == LINK_ACK)
        check_mark(peer, in.channel, in.ack.generation, in.ack.headers, in.ack.bodies);
    if (in.type == LINK_PUSH && in.push.piece.offset == 0)
        MUST(is_committed(&in));
    arena_finish(&arena);
    return OK;
}

enum error_code transport_create(const struct transport_config *config, struct transport **ret, struct error *error)
{
    (void)config, (void)error;
    only = (struct transport){0};
    *ret = &only;
    return OK;
}
void transport_destroy(struct transport *transport) { (void)transport; }
enum error_code transport_dial(struct transport *transport, unsigned dial, const char *endpoint, const struct public_key *server,
                               struct error *error)
{
    (void)transport, (void)dial, (void)endpoint, (void)server, (void)error;
    connected = false;
    return OK;
}
void transport_hangup(struct transport *transport, unsigned dial)
{
    (void)transport, (void)dial;
    connected = false;
}
enum error_code transport_send_parent(struct transport *transport, unsigned dial, struct bytes message, struct bytes body)
{
    (void)transport;
    MUST(dial == 0); // nobody is above the parent here
    return put(true, message, body);
}
enum error_code transport_send_child(struct transport *transport, uint64_t route, struct bytes message, struct bytes body)
{
    (void)transport;
    return route == ROUTE ? put(false, message, body) : ERR_NETWORK;
}
enum error_code transport_answer(struct transport *transport, uint64_t reply_to, struct bytes message)
{
    (void)transport, (void)reply_to, (void)message;
    return OK;
}
bool transport_wait(struct transport *transport, int timeout_ms, struct transport_event *ret)
{
    (void)timeout_ms;
    transport->idle = false;
    if (transport->woken) {
        transport->woken = false;
        *ret = (struct transport_event){.type = TRANSPORT_WOKEN};
        return true;
    }
    if (transport->count) {
        *ret = transport->queue[--transport->count];
        return true;
    }
    transport->idle = timeout_ms != 0;
    return false;
}
void transport_wake(struct transport *transport)
{
    if (transport)
        transport->woken = true;
}
enum error_code transport_self_test(struct transport *transport, struct error *error)
{
    (void)transport, (void)error;
    return OK;
}
const char *transport_listen(const struct transport *transport)
{
    (void)transport;
    return "fuzz";
}
const char *transport_join(const struct transport *transport)
{
    (void)transport;
    return "fuzz";
}

// ---- what holds in the store after every step

static struct mark seen[2][CORE_CHANNELS];
static struct hash digests[ROWS_MAX];

static void check_store(void)
{
    struct txn *txn = txn_begin(store, false, NULL);
    for (unsigned peer = 0; peer < 2; peer++)
        for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
            struct mark mark = {0}, *before = &seen[peer][channel];
            mark_read(txn, &stations[peer ? SAMPLE_COUNTY : SAMPLE_VILLAGE].identity.station, true, core_channel_stream(channel),
                      core_channel_lane(channel), &mark);
            MUST(mark.bodies <= mark.headers);
            if (mark.generation == before->generation)
                MUST(mark.headers >= before->headers && mark.bodies >= before->bodies);
            *before = mark;
        }
    uint64_t end = journal_end(txn);
    struct feed_key feed;
    struct feed_state state;
    for (uint64_t position = 1; position <= end && position <= ROWS_MAX; position++) {
        struct batch_row row;
        MUST(journal_read(txn, position, &row));
        struct hash digest = journal_digest(&row);
        if (hash_is_zero(&digests[position - 1]))
            digests[position - 1] = digest;
        MUST(hash_equal(&digest, &digests[position - 1]));
    }
    for (uint32_t id = 1; feed_read(txn, id, &feed, &state); id++) {
        uint64_t position;
        MUST(state.bodies <= state.next && (state.next == 1 || journal_find(txn, id, state.next - 1, &position)));
    }
    MUST(txn_count(txn, TABLE_STAGING) <= 2 * CORE_CHANNELS);
    MUST(txn_error(txn) == OK);
    txn_abort(txn);
}

// The engine does what it has to do, and then waits.
static void turns(void)
{
    for (unsigned i = 0;; i++) {
        MUST(i < TURNS_MAX);
        engine_turn(engine);
        if (only.idle && !only.woken)
            break;
        if (dead)
            break;
    }
}

// ---- what peers do

static struct buffer wire;

static void tell(bool parent, struct bytes message, struct bytes body)
{
    only.queue[only.count++] = (struct transport_event){.type = TRANSPORT_MESSAGE,
                                                        .parent = parent,
                                                        .peer = stations[parent ? SAMPLE_COUNTY : SAMPLE_VILLAGE].certificate.transport_key,
                                                        .route = parent ? 0 : ROUTE,
                                                        .message = message,
                                                        .body = body};
    turns();
    buffer_clear(&wire);
}

static void hello(bool parent, struct input *input)
{
    struct core_hello hello = {.version_min = 1, .version_max = 1, .reply = parent, .ordinal = 1, .nonce = 5};
    uint8_t choice = input_byte(input);
    hello.session = 1 + choice % 3;
    hello.credit_bytes = choice & 4 ? 0 : 1 << 20;
    for (unsigned channel = 0; channel < CORE_CHANNELS && choice & 8; channel++) {
        uint8_t held = input_byte(input);
        if ((core_channel_stream(channel) == SANJI__STREAM__STREAM_UP) != parent)
            continue;
        hello.held[channel] = (struct core_mark){held & 64 ? 5 : 6, held % 16, held % 16};
        if (held & 32)
            hello.staged[channel] = (struct core_staged){.position = held % 16 + 1u, .offset = 1000, .header = rows[0].hash};
    }
    link_encode_hello(hello.session, &hello, &stations[parent ? SAMPLE_COUNTY : SAMPLE_VILLAGE].certificate.hash, 1, 1, NULL, 0, &wire);
    tell(parent, buffer_bytes(&wire), (struct bytes){0});
}

// The row that comes next in its channel by what is committed, or another; whole, a piece of it, or damaged.
static void push(struct input *input)
{
    const struct row *row = &rows[input_below(input, BATCHES)];
    uint8_t choice = input_byte(input), change = input_byte(input);
    bool parent = core_channel_stream(row->channel) != SANJI__STREAM__STREAM_UP;
    const struct mark *mark = &seen[parent][row->channel];
    struct link_push push = {
        .channel = row->channel, .generation = mark->generation ? mark->generation : 8, .size = (uint32_t)row->body.size};
    uint8_t damaged[FRAME_MAX];
    struct bytes body = buffer_bytes(&row->body);
    push.after = mark->headers;
    push.position = mark->headers + 1;
    if (choice & 4)
        push.after = input_byte(input) % 16, push.position = push.after + 1 + input_byte(input) % 3;
    if (choice & 8)
        push.generation = 9;
    if (choice & 16) // the second part of a long one
        push.offset = body.size > 9000 ? 9000 : 0;
    if (choice & 32)
        body.size = 0, push.size = 0, push.bodiless = true, push.offset = 0;
    if (push.offset == 0) {
        push.header = buffer_bytes(&row->header);
        push.signature = bytes_of(row->signature, SIGNATURE_SIZE);
    }
    body = bytes_of(body.data ? body.data + push.offset : NULL, body.size - push.offset);
    if (body.size > FRAME_MAX || (choice & 64 && push.offset == 0 && body.size > 9000))
        body.size = 9000;
    if (change < 32 && body.size) {
        memcpy(damaged, body.data, body.size);
        damaged[input_byte(input) * 7u % body.size] ^= (uint8_t)(1 << change % 8);
        body.data = damaged;
    }
    link_encode_push(1 + choice % 3, &push, &wire);
    tell(parent, buffer_bytes(&wire), body);
}

static void speak(struct input *input)
{
    uint8_t choice = input_byte(input);
    bool parent = choice & 1;
    uint64_t session = 1 + (choice >> 1) % 3;
    unsigned channel = input_below(input, CORE_CHANNELS);
    struct head heads[2] = {{.feed = sample_feed(&stations[SAMPLE_TOWNSHIP]), .next = 3, .bodies = 3},
                            {.feed = sample_feed(&stations[SAMPLE_VILLAGE]), .next = 2, .bodies = 1}};
    heads[0].last = rows[0].hash;
    heads[1].last = rows[1].hash;
    switch ((choice >> 3) % 6) {
    case 0: {
        struct core_ack ack = {.generation = choice & 128 ? 5 : 6, .credit_bytes = choice & 64 ? 0 : 1 << 20};
        ack.headers = input_byte(input) % 16;
        ack.bodies = input_byte(input) % 16;
        ack.received_position = input_byte(input) % 4;
        ack.received_offset = input_byte(input) * 100u;
        link_encode_ack(session, channel, &ack, &wire);
        break;
    }
    case 1:
        link_encode_heads(session, channel, heads, choice & 64 ? 0 : 2, choice & 128, false, &wire);
        break;
    case 2:
        link_encode_heads(session, channel, NULL, 0, false, true, &wire);
        break;
    case 3:
        link_encode_ping(session, input_byte(input) * 100u, choice & 64, &wire);
        break;
    case 4:
        link_encode_error(session, channel, input_below(input, 11), input_byte(input) * 1000u, choice & 64 ? "why" : NULL, &wire);
        break;
    default: {
        struct bytes raw = input_take(input, input_byte(input));
        buffer_append(&wire, raw.data, raw.size);
    }
    }
    tell(parent, buffer_bytes(&wire), choice & 128 ? bytes_of_text("body") : (struct bytes){0});
}

// ---- what the shell does

static enum error_code run_append(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    unsigned choice = *(const uint8_t *)argument;
    author_add(author, txn, 2 + choice % 4, choice & 4 ? SANJI__AUDIENCE__UP : SANJI__AUDIENCE__SUBTREE, NULL, REACH_TOP,
               SANJI__ENTRY_KIND__STATEMENT, now_ms, bytes_of_text("a record of ours"), NULL);
    return OK;
}

static void append(struct input *input)
{
    uint8_t choice = input_byte(input);
    writer_call(writer, run_append, &choice, NULL);
    turns();
}

static void commit(struct input *input)
{
    uint8_t choice = input_byte(input);
    bool fails = choice < 64;
    if (fails)
        store_memory_fail(store, 0, choice < 48 ? ERR_FULL : ERR_STORE, choice & 1);
    bool ran = writer_turn(writer);
    if (fails && (!ran || !dead))
        store_memory_restart(store);
    if (!dead)
        turns();
}

static void connection(struct input *input)
{
    uint8_t choice = input_byte(input);
    only.queue[only.count++] = (struct transport_event){
        .type = choice & 1 ? TRANSPORT_CONNECTED : TRANSPORT_DISCONNECTED, .parent = true, .detail = choice & 1 ? NULL : "gone"};
    turns();
}

static void join(struct input *input)
{
    struct bytes request = input_take(input, input_byte(input) * 3u);
    only.queue[only.count++] = (struct transport_event){
        .type = TRANSPORT_JOIN, .peer = stations[SAMPLE_VILLAGE].certificate.transport_key, .route = 3, .message = request};
    turns();
}

static void one(struct input *input)
{
    static const uint32_t waits[] = {1, 100, 5000, 11000, 31000, 61000, 130000, 3700000};
    switch (input_below(input, 16)) {
    case 0:
    case 1:
        hello(false, input);
        break;
    case 2:
        connection(input);
        break;
    case 3:
        hello(true, input);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        push(input);
        break;
    case 8:
    case 9:
        speak(input);
        break;
    case 10:
        append(input);
        break;
    case 11:
        only.refuses = !only.refuses;
        break;
    case 12:
        now_ms += waits[input_below(input, 8)];
        turns();
        break;
    case 13:
        join(input);
        break;
    default:
        commit(input);
    }
    if (dead || input_byte(input) > 250) {
        stop();
        start();
        turns();
    }
    check_store();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (rows[0].body.size == 0)
        make_rows();
    struct input input = {data, size};
    virtual = true;
    now_ms = 1000000;
    memset(seen, 0, sizeof seen);
    memset(digests, 0, sizeof digests);
    set_up();
    start();
    turns();
    for (unsigned i = 0; i < STEPS_MAX && input.size; i++)
        one(&input);
    stop();
    store_close(store);
    virtual = false;
    return 0;
}
