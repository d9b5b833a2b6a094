// Signed heads at a county between a province and two townships. The linker leads time, the core, the transport and the writer through
// here: links are live or not as a test says, and what is sent is kept.
#include "relay/engine_inside.h"

#include "tests/unit/relay/station_fixture.h"

enum { UP = SANJI__AUDIENCE__UP, SUBTREE = SANJI__AUDIENCE__SUBTREE };
enum { URGENT = SANJI__LANE__URGENT, CASE = SANJI__LANE__CASE, CONTROL = SANJI__LANE__CONTROL };
enum { STREAM_UP = SANJI__STREAM__STREAM_UP, STREAM_ALL = SANJI__STREAM__STREAM_DOWN_ALL };
enum { PARENT, FIRST, SECOND, LINKS_USED, SENT_MAX = 1024, CALLS_MAX = 16, MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

static struct post second;
static struct bench bench;
static struct engine *engine;
static const struct post *const province = &posts[PROVINCE], *const county = &posts[COUNTY], *const township = &posts[TOWNSHIP],
                                *const village = &posts[VILLAGE];

// What stands in for the rest of the engine.
static struct stage {
    uint64_t now;
    struct core_link_status links[LINKS_USED];
    struct {
        uint32_t link;
        struct buffer wire;
    } sent[SENT_MAX];
    uint32_t sent_count;
    struct call_job calls[CALLS_MAX];
    uint32_t call_count;
    bool writer_full;
    uint32_t refused; // fault of the last EVENT_REFUSED
    uint32_t heard;
} stage;

bool __wrap_core_link(const struct core *core, uint32_t link, struct core_link_status *ret);
void __wrap_core_step(struct core *core, const struct core_event *event, struct core_updates *ret);
uint64_t __wrap_monotonic_ms(void);
enum error_code __wrap_transport_send_parent(struct transport *transport, unsigned dial, struct bytes message, struct bytes body);
enum error_code __wrap_transport_send_child(struct transport *transport, uint64_t route, struct bytes message, struct bytes body);
enum error_code __wrap_writer_submit_call(struct writer *writer, const struct call_job *call);

uint64_t __wrap_monotonic_ms(void) { return stage.now; }

bool __wrap_core_link(const struct core *core, uint32_t link, struct core_link_status *ret)
{
    (void)core;
    *ret = stage.links[link];
    return link < LINKS_USED;
}

void __wrap_core_step(struct core *core, const struct core_event *event, struct core_updates *ret)
{
    (void)core;
    ret->count = 0;
    if (event->type == EVENT_REFUSED)
        stage.refused = event->error.fault;
    stage.heard += event->type == EVENT_HEARD;
}

static enum error_code keep(uint32_t link, struct bytes message)
{
    assert_true(stage.sent_count < SENT_MAX);
    stage.sent[stage.sent_count].link = link;
    buffer_append(&stage.sent[stage.sent_count++].wire, message.data, message.size);
    return OK;
}

enum error_code __wrap_transport_send_parent(struct transport *transport, unsigned dial, struct bytes message, struct bytes body)
{
    (void)transport;
    assert_int_equal(dial, 0);
    assert_int_equal(body.size, 0);
    return keep(PARENT, message);
}

enum error_code __wrap_transport_send_child(struct transport *transport, uint64_t route, struct bytes message, struct bytes body)
{
    (void)transport;
    assert_int_equal(body.size, 0);
    return keep((uint32_t)route, message);
}

enum error_code __wrap_writer_submit_call(struct writer *writer, const struct call_job *call)
{
    (void)writer;
    if (stage.writer_full)
        return ERR_BUSY;
    assert_true(stage.call_count < CALLS_MAX);
    stage.calls[stage.call_count++] = *call;
    return OK;
}

static void on_log(void *context, bool alarm, const char *text)
{
    (void)context;
    (void)alarm;
    assert_true(text[0]);
}

// ---- the county

static void write_all(void)
{
    engine_reader_end(engine);
    for (uint32_t i = 0; i < stage.call_count; i++) {
        struct error error = {0};
        struct txn *txn = fixture_begin(bench.store, true);
        assert_int_equal(stage.calls[i].run(stage.calls[i].argument, txn, &error), OK);
        fixture_commit(txn);
        stage.calls[i].finished(stage.calls[i].argument, OK, &error);
    }
    stage.call_count = 0;
}

// Time passes, in steps of at most a second, as its timers want.
static void pass(uint64_t ms)
{
    for (uint64_t end = stage.now + ms; stage.now < end;) {
        uint64_t due = engine_heads_due(engine);
        stage.now = due > stage.now && due < end ? due : due <= stage.now ? stage.now + 1 : end;
        if (engine_heads_due(engine) <= stage.now)
            engine_heads_tick(engine, stage.now);
        write_all();
    }
}

static void forget_sent(void)
{
    for (uint32_t i = 0; i < stage.sent_count; i++)
        buffer_finish(&stage.sent[i].wire);
    stage.sent_count = 0;
}

static void go_live(uint32_t link, bool live)
{
    stage.links[link] = (struct core_link_status){.state = live ? LINK_LIVE : LINK_DOWN, .since_ms = stage.now, .parent = link == PARENT};
    for (unsigned channel = 0; channel < CORE_CHANNELS; channel++)
        stage.links[link].channels[channel].headers = 1000; // everything is acknowledged
    if (live)
        engine_heads_live(engine, link);
}

static void start(void)
{
    static const struct engine_config none;
    engine = calloc(1, sizeof *engine);
    assert_non_null(engine);
    engine->config = none;
    engine->config.store = bench.store;
    engine->config.self = &county->certificate;
    engine->config.parent = &province->certificate;
    engine->config.ordinal = 1;
    engine->config.nonce = 77;
    engine->config.sign_key = &county->identity.sign.secret_key;
    engine->config.starts = 1;
    engine->config.hooks.log = on_log;
    assert_int_equal(signers_create(&province->certificate.hash, &engine->signers, NULL), OK);
    assert_true(links_init(&engine->links, LINKS_USED));
    links_set_parent(&engine->links, &province->certificate);
    const struct post *const children[] = {township, &second};
    for (unsigned i = 0; i < 2; i++) {
        uint32_t link;
        struct peer peer = {.station = children[i]->identity.station, .transport_key = children[i]->identity.transport.public_key};
        snprintf(peer.unit, sizeof peer.unit, "%s", children[i]->certificate.unit);
        struct txn *txn = fixture_begin(bench.store, true);
        peer_write(txn, &peer);
        fixture_commit(txn);
        assert_true(links_add_child(&engine->links, &peer, &link));
        engine->links.slots[link].route = link;
    }
    assert_true(engine_heads_create(engine));
    engine_heads_begin(engine);
    engine_reader_end(engine);
    for (uint32_t link = 0; link < LINKS_USED; link++)
        go_live(link, true);
}

static void stop(void)
{
    write_all();
    engine_heads_destroy(engine);
    signers_destroy(engine->signers);
    links_finish(&engine->links);
    buffer_finish(&engine->out);
    free(engine);
}

static int setup(void **state)
{
    (void)state;
    stage = (struct stage){.now = 1000};
    posts_init(posts);
    post_init(&second, county, "321081101", 2);
    bench_open(&bench, posts, COUNTY, NULL);
    bench_store_certificate(&bench, township);
    bench_store_certificate(&bench, &second);
    bench_store_certificate(&bench, village);
    start();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    stop();
    forget_sent();
    bench_close(&bench);
    post_finish(&second);
    posts_finish(posts);
    return 0;
}

#define BOOK_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

// ---- claims of others

struct claim {
    const struct post *post;
    struct heads heads;
    struct buffer bytes;
    uint8_t signature[SIGNATURE_SIZE];
};

static void claim_begin(struct claim *claim, const struct post *post, uint64_t number)
{
    *claim = (struct claim){.post = post};
    claim->heads = (struct heads){
        .station = post->identity.station, .certificate = post->certificate.hash, .ordinal = 1, .starts = 1, .number = number};
}

static void claim_name(struct claim *claim, const struct feed_key *feed, uint64_t next, const struct hash *last)
{
    claim->heads.heads[claim->heads.count++] = (struct head){.feed = *feed, .next = next, .last = *last};
}

static void claim_sign(struct claim *claim)
{
    if (claim->heads.count == 2 && memcmp(&claim->heads.heads[0].feed.station, &claim->heads.heads[1].feed.station, STATION_ID_SIZE) > 0) {
        struct head head = claim->heads.heads[0];
        claim->heads.heads[0] = claim->heads.heads[1];
        claim->heads.heads[1] = head;
    }
    assert_int_equal(heads_sign(&claim->heads, &claim->post->identity.sign.secret_key, &claim->bytes, claim->signature, NULL), OK);
}

static void bring(uint32_t link, struct claim *claim)
{
    struct link_in in = {.type = LINK_SIGNED_HEADS,
                         .signed_heads = {buffer_bytes(&claim->bytes), bytes_of(claim->signature, SIGNATURE_SIZE)}};
    stage.now += HEADS_APART_MS;
    engine_heads_handle(engine, link, &in);
    write_all();
}

// The signer's claim number `number` that a feed stands where the pen does, brought over a link.
static void claim_pen(uint32_t link, const struct pen *pen, uint64_t number)
{
    struct claim claim;
    claim_begin(&claim, pen->post, number);
    claim_name(&claim, &pen->feed, pen->state.next, &pen->state.last);
    claim_sign(&claim);
    bring(link, &claim);
    buffer_finish(&claim.bytes);
}

static uint32_t alarms(const char *kind)
{
    static struct alarm found[ALARMS_MAX];
    uint32_t count = 0;
    struct txn *txn = fixture_begin(bench.store, false);
    uint32_t all = alarm_last(txn, found, ALARMS_MAX);
    for (uint32_t i = 0; i < all; i++)
        count += !kind || strcmp(found[i].kind, kind) == 0;
    fixture_commit(txn);
    return count;
}

static uint32_t sent_by(uint32_t link, const struct station_id *station)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < stage.sent_count; i++)
        count +=
            stage.sent[i].link == link && memmem(stage.sent[i].wire.data, stage.sent[i].wire.size, station->bytes, STATION_ID_SIZE) != NULL;
    return count;
}

static void take(struct pen *pen, const struct post *peer)
{
    assert_int_equal(bench_take(&bench, pen, 1, "case", peer, STREAM_UP), RECEIVED);
}

static void lose(struct pen *pen)
{
    struct arrival arrival;
    pen_sign(pen, 1, "case", township, STREAM_UP, &arrival);
    arrival_finish(&arrival);
}

// ---- tests

static void fault_33_a_withheld_tail_shows_and_heals(void **state)
{
    (void)state;
    struct pen pen;
    struct arrival tail;
    pen_init(&pen, village, URGENT, UP, NULL);
    take(&pen, township);
    pen_sign(&pen, 1, "escalation", township, STREAM_UP, &tail); // the township keeps it to itself
    claim_pen(FIRST, &pen, 1);
    pass(HEADS_GRACE_MS - 1000);
    assert_int_equal(alarms(NULL), 0);
    pass(HEADS_LOOK_MS + 1000);
    assert_int_equal(alarms("head-gap"), 1);
    assert_int_equal(sent_by(PARENT, &village->identity.station), 0); // not passed on by who doesn't hold it
    claim_pen(FIRST, &pen, 2);
    pass(HOUR);
    assert_int_equal(alarms(NULL), 1); // once
    assert_int_equal(bench_receive(&bench, &tail), RECEIVED);
    pass(MINUTE);
    assert_int_equal(alarms("head-gap-closed"), 1);
    assert_int_equal(alarms(NULL), 2);
    assert_int_equal(sent_by(PARENT, &village->identity.station), 1);
    pass(HOUR);
    assert_int_equal(alarms(NULL), 2);
}

static void fault_33_what_was_told_is_known_after_a_restart(void **state)
{
    (void)state;
    struct pen pen;
    pen_init(&pen, village, URGENT, UP, NULL);
    take(&pen, township);
    struct pen before = pen;
    lose(&pen);
    claim_pen(FIRST, &pen, 2);
    pass(2 * MINUTE);
    assert_int_equal(alarms("head-gap"), 1);
    stop();
    start();
    claim_pen(FIRST, &before, 1); // an old claim brought again
    assert_int_equal(engine->links.slots[FIRST].heads_refused, 1);
    claim_pen(FIRST, &before, 2); // or one of the same number
    assert_int_equal(engine->links.slots[FIRST].heads_refused, 2);
    claim_pen(FIRST, &pen, 3);
    pass(2 * MINUTE);
    assert_int_equal(alarms(NULL), 1);
}

static void fault_57_a_line_that_is_down_or_busy_accuses_nobody(void **state)
{
    (void)state;
    struct pen pen;
    pen_init(&pen, village, URGENT, UP, NULL);
    take(&pen, township);
    lose(&pen);
    claim_pen(FIRST, &pen, 1);
    go_live(FIRST, false); // one direction of the line is dead, then both
    pass(10 * HOUR);
    assert_int_equal(alarms(NULL), 0);
    go_live(FIRST, true);
    pass(HEADS_GRACE_MS - 2 * HEADS_LOOK_MS);
    for (int i = 0; i < 20; i++) { // the lane carries something all the time
        engine->links.slots[FIRST].row_ms[URGENT - 1] = stage.now;
        pass(HEADS_GRACE_MS / 2);
    }
    assert_int_equal(alarms(NULL), 0);
    pass(2 * HEADS_GRACE_MS);
    assert_int_equal(alarms("head-gap"), 1);
}

static void fault_57_no_station_is_declared_dead_for_its_line(void **state)
{
    (void)state;
    struct pen pen;
    pen_init(&pen, village, CASE, UP, NULL);
    take(&pen, township);
    claim_pen(FIRST, &pen, 1);
    go_live(FIRST, false);
    go_live(SECOND, false);
    go_live(PARENT, false);
    pass(UINT64_C(30) * HEADS_SILENT_MS);
    assert_int_equal(alarms(NULL), 0);
    go_live(FIRST, true);
    pass(HEADS_SILENT_MS - HOUR);
    assert_int_equal(alarms(NULL), 0);
    pass(2 * HOUR);
    assert_int_equal(alarms("not-heard"), 1); // a day long its township was there, and it was not
    pass(HEADS_SILENT_MS);
    assert_int_equal(alarms(NULL), 1);
    claim_pen(FIRST, &pen, 2);
    pass(HOUR);
    assert_int_equal(alarms("heard-again"), 1);
    assert_int_equal(alarms(NULL), 2);
}

static void fault_33_a_township_that_passes_on_no_heads(void **state)
{
    (void)state;
    struct pen pens[2];
    pen_init(&pens[0], village, CASE, UP, NULL);
    pen_init(&pens[1], township, CASE, UP, NULL);
    take(&pens[0], township);
    take(&pens[1], township);
    for (uint64_t hour = 1; hour <= 30; hour++) { // the township speaks for itself only
        claim_pen(FIRST, &pens[1], hour);
        go_live(PARENT, false);
        pass(HOUR);
    }
    assert_int_equal(alarms("not-heard"), 1);
    assert_int_equal(alarms(NULL), 1);
}

static void fault_20_heads_of_a_second_history(void **state)
{
    (void)state;
    struct pen pen, other;
    struct feed_state feed;
    struct heads_row row;
    pen_init(&pen, village, CASE, UP, NULL);
    take(&pen, township);
    other = pen;
    take(&pen, township);
    lose(&other); // the same place, another batch: shown to somebody else
    claim_pen(FIRST, &other, 1);
    assert_int_equal(alarms("split-view"), 1);
    assert_true(bench_feed(&bench, &pen.feed, &feed) && feed.disputed && feed.next == 3);
    struct txn *txn = fixture_begin(bench.store, false);
    assert_true(heads_read(txn, &village->identity.station, &row) && row.other.size > 0 && row.other_signature.size == SIGNATURE_SIZE);
    struct heads kept;
    assert_int_equal(heads_decode(row.other, &kept, NULL), OK);
    assert_int_equal(heads_check(row.other, row.other_signature, &kept, &village->certificate, NULL), OK); // anybody can check it
    fixture_commit(txn);
    pass(MINUTE);
    assert_int_equal(sent_by(PARENT, &village->identity.station), 1); // those above see it, too
    claim_pen(FIRST, &other, 2);
    claim_pen(FIRST, &pen, 3);
    pass(HOUR);
    assert_int_equal(alarms(NULL), 1);
    take(&pen, township); // it goes on, disputed, and so do others
    struct pen good;
    pen_init(&good, township, CASE, UP, NULL);
    take(&good, township);
    claim_pen(FIRST, &good, 1);
    assert_true(bench_feed(&bench, &good.feed, &feed) && !feed.disputed);
}

// The township shows its village another history of a feed of its own than it names to us. Neither can alter what the other signs.
static void fault_21_a_split_view_shows_where_claims_meet(void **state)
{
    (void)state;
    struct pen shown;
    struct claim ours, theirs;
    struct heads_row row;
    pen_init(&shown, township, CONTROL, SUBTREE, NULL);
    struct hash one = a_hash(1), two = a_hash(2);
    claim_begin(&ours, township, 1);
    claim_name(&ours, &shown.feed, 9, &one);
    claim_sign(&ours);
    claim_begin(&theirs, village, 1);
    claim_name(&theirs, &shown.feed, 9, &two);
    claim_sign(&theirs);
    bring(FIRST, &ours);
    assert_int_equal(alarms(NULL), 0);
    bring(FIRST, &theirs);
    assert_int_equal(alarms("views-differ"), 1);
    struct txn *txn = fixture_begin(bench.store, false);
    assert_true(heads_read(txn, &village->identity.station, &row) && bytes_equal(row.other, buffer_bytes(&theirs.bytes)));
    assert_true(heads_read(txn, &township->identity.station, &row) && bytes_equal(row.other, buffer_bytes(&ours.bytes)));
    fixture_commit(txn);
    pass(HOUR);
    assert_int_equal(alarms(NULL), 1);
    buffer_finish(&ours.bytes);
    buffer_finish(&theirs.bytes);
}

static void fault_21_another_history_of_our_own_feed_disputes_nothing(void **state)
{
    (void)state;
    struct claim claim;
    struct hash false_hash = a_hash(5);
    struct feed_key feed = {.station = county->identity.station, .ordinal = 1, .nonce = 77, .lane = CONTROL, .audience = SUBTREE};
    struct feed_state found;
    struct txn *txn = bench_begin(&bench);
    bench_add(&bench, txn, CONTROL, SUBTREE, 0, "announcement");
    bench_commit(&bench, txn);
    claim_begin(&claim, village, 1);
    claim_name(&claim, &feed, 2, &false_hash);
    claim_sign(&claim);
    bring(FIRST, &claim);
    assert_int_equal(alarms("views-differ"), 1);
    assert_true(bench_feed(&bench, &feed, &found) && !found.disputed); // by another's word alone
    buffer_finish(&claim.bytes);
}

static void fault_27_what_a_peer_may_not_bring(void **state)
{
    (void)state;
    struct pen pen;
    struct claim claim;
    pen_init(&pen, village, CASE, UP, NULL);
    take(&pen, township);
    claim_pen(SECOND, &pen, 1); // not below that township
    claim_pen(PARENT, &pen, 1); // nor above us
    assert_int_equal(engine->links.slots[SECOND].heads_refused, 1);
    assert_int_equal(engine->links.slots[PARENT].heads_refused, 1);
    assert_int_equal(stage.refused, 0);
    claim_pen(FIRST, &pen, 5);
    claim_pen(FIRST, &pen, 4); // older
    assert_int_equal(engine->links.slots[FIRST].heads_refused, 1);
    claim_pen(FIRST, &pen, 5); // said before: a new session begins so
    assert_int_equal(engine->links.slots[FIRST].heads_refused, 1);
    claim_begin(&claim, village, 6);
    claim_name(&claim, &pen.feed, pen.state.next, &pen.state.last);
    claim_sign(&claim);
    claim.signature[5] ^= 1;
    bring(FIRST, &claim);
    assert_int_equal(stage.refused, SANJI__LINK_FAULT__FAULT_FORGED);
    claim.bytes.data[3] ^= 0x40;
    bring(FIRST, &claim);
    assert_int_equal(stage.refused, SANJI__LINK_FAULT__FAULT_PROTOCOL);
    assert_int_equal(alarms(NULL), 0);
    buffer_finish(&claim.bytes);
}

static void a_flood_of_claims_costs_little(void **state)
{
    (void)state;
    struct pen pen;
    struct claim claim;
    pen_init(&pen, village, CASE, UP, NULL);
    take(&pen, township);
    for (uint64_t i = 1; i <= 100; i++) { // all at once, each newer
        claim_begin(&claim, village, i);
        claim_name(&claim, &pen.feed, pen.state.next, &pen.state.last);
        claim_sign(&claim);
        bring(FIRST, &claim);
        stage.now -= HEADS_APART_MS;
        buffer_finish(&claim.bytes);
    }
    assert_true(engine->links.slots[FIRST].heads_refused >= 98);
    assert_int_equal(stage.call_count, 0); // that one was heard is written much later
}

static void claims_travel_unchanged_behind_what_they_cover(void **state)
{
    (void)state;
    struct pen pen;
    pen_init(&pen, village, CASE, UP, NULL);
    take(&pen, township);
    uint64_t *acknowledged = &stage.links[PARENT].channels[core_channel(STREAM_UP, CASE)].headers;
    *acknowledged = 0;
    claim_pen(FIRST, &pen, 1);
    pass(10 * MINUTE);
    assert_int_equal(sent_by(PARENT, &village->identity.station), 0); // the province would believe that something is withheld
    *acknowledged = 1000;
    forget_sent();
    pass(2000);
    assert_int_equal(sent_by(PARENT, &village->identity.station), 1);
    assert_int_equal(sent_by(FIRST, &village->identity.station), 0); // what comes from below goes up only
    struct claim claim;
    struct arena arena = {0};
    struct link_in in;
    claim_begin(&claim, village, 1);
    claim_name(&claim, &pen.feed, pen.state.next, &pen.state.last);
    claim_sign(&claim);
    for (uint32_t i = 0; i < stage.sent_count; i++) {
        assert_int_equal(link_decode(buffer_bytes(&stage.sent[i].wire), 0, &arena, &in, NULL), OK);
        if (sent_by(PARENT, &village->identity.station) &&
            memmem(in.signed_heads.claim.data, in.signed_heads.claim.size, village->identity.station.bytes, STATION_ID_SIZE))
            assert_true(bytes_equal(in.signed_heads.claim, buffer_bytes(&claim.bytes)));
    }
    arena_finish(&arena);
    buffer_finish(&claim.bytes);
    forget_sent();
    pen_init(&pen, province, CONTROL, SUBTREE, NULL);
    assert_int_equal(bench_take(&bench, &pen, 1, "announcement", province, STREAM_ALL), RECEIVED);
    go_live(SECOND, false);
    claim_pen(PARENT, &pen, 1);
    pass(2000);
    assert_int_equal(sent_by(FIRST, &province->identity.station), 1);
    assert_int_equal(sent_by(SECOND, &province->identity.station), 0);
    assert_int_equal(sent_by(PARENT, &province->identity.station), 0);
    go_live(SECOND, true); // who was away hears it when it comes back
    pass(2000);
    assert_int_equal(sent_by(SECOND, &province->identity.station), 1);
}

static void our_own_after_a_pause_and_now_and_then(void **state)
{
    (void)state;
    pass(HEADS_PAUSE_MS + 1000);
    assert_int_equal(sent_by(PARENT, &county->identity.station), 1); // where we are, after a start
    assert_int_equal(sent_by(FIRST, &county->identity.station), 1);
    forget_sent();
    struct grown grown = {.up = {1}};
    engine_heads_grown(engine, &grown); // somebody else's batch: nothing of ours has changed
    pass(MINUTE);
    assert_int_equal(stage.sent_count, 0);
    for (unsigned i = 0; i < 30; i++) { // a burst, half a minute long
        struct txn *txn = bench_begin(&bench);
        bench_add(&bench, txn, CASE, UP, 1, "record");
        bench_commit(&bench, txn);
        engine_heads_grown(engine, &grown);
        pass(1000);
    }
    assert_int_equal(stage.sent_count, 0);
    pass(HEADS_PAUSE_MS + 1000);
    assert_int_equal(sent_by(PARENT, &county->identity.station), 1);
    for (unsigned i = 0; i < 2 * HEADS_LONGEST_MS / 1000; i++) { // one that does not end
        struct txn *txn = bench_begin(&bench);
        bench_add(&bench, txn, CASE, UP, 1, "record");
        bench_commit(&bench, txn);
        engine_heads_grown(engine, &grown);
        pass(1000);
    }
    assert_in_range(sent_by(PARENT, &county->identity.station), 2, 3);
    forget_sent();
    pass(UINT64_C(24) * HOUR);
    assert_in_range(sent_by(PARENT, &county->identity.station), 100, 200); // at rest, one in ten minutes
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOOK_TEST(fault_33_a_withheld_tail_shows_and_heals),
        BOOK_TEST(fault_33_what_was_told_is_known_after_a_restart),
        BOOK_TEST(fault_57_a_line_that_is_down_or_busy_accuses_nobody),
        BOOK_TEST(fault_57_no_station_is_declared_dead_for_its_line),
        BOOK_TEST(fault_33_a_township_that_passes_on_no_heads),
        BOOK_TEST(fault_20_heads_of_a_second_history),
        BOOK_TEST(fault_21_a_split_view_shows_where_claims_meet),
        BOOK_TEST(fault_21_another_history_of_our_own_feed_disputes_nothing),
        BOOK_TEST(fault_27_what_a_peer_may_not_bring),
        BOOK_TEST(a_flood_of_claims_costs_little),
        BOOK_TEST(claims_travel_unchanged_behind_what_they_cover),
        BOOK_TEST(our_own_after_a_pause_and_now_and_then),
    };
    return cmocka_run_group_tests_name("relay/engine_heads", tests, NULL, NULL);
}
