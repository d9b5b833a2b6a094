// Two connections of one child at a county: which one is answered, and when it is two stations. The core is the real one; the linker leads
// the time of those watches, what goes to the transport and what goes to the writer through here.
#include "relay/engine_inside.h"

#include "tests/unit/relay/station_fixture.h"

enum { CHILD = 1, LINKS_USED, CALLS_MAX = 16, OLD_ROUTE = 7, NEW_ROUTE = 8, SILENCE_MS = 30 * 1000 };

static struct bench bench;
static struct engine *engine;

static struct stage {
    uint64_t now;
    uint64_t route; // of the last message sent
    uint32_t sent;
    struct call_job calls[CALLS_MAX];
    uint32_t call_count;
} stage;

uint64_t __wrap_monotonic_ms(void);
void __wrap_transport_wake(struct transport *transport);
enum error_code __wrap_transport_send_child(struct transport *transport, uint64_t route, struct bytes message, struct bytes body);
enum error_code __wrap_writer_submit_call(struct writer *writer, const struct call_job *call);

uint64_t __wrap_monotonic_ms(void) { return stage.now; }

void __wrap_transport_wake(struct transport *transport) { (void)transport; }

enum error_code __wrap_transport_send_child(struct transport *transport, uint64_t route, struct bytes message, struct bytes body)
{
    (void)transport;
    (void)message;
    (void)body;
    stage.route = route;
    stage.sent++;
    return OK;
}

enum error_code __wrap_writer_submit_call(struct writer *writer, const struct call_job *call)
{
    (void)writer;
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

static void on_documents(void *context, uint32_t *ret_codebook, uint32_t *ret_units)
{
    (void)context;
    *ret_codebook = *ret_units = 0;
}

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

static int setup(void **state)
{
    (void)state;
    stage = (struct stage){.now = 1000};
    posts_init(posts);
    bench_open(&bench, posts, COUNTY, NULL);
    bench_store_certificate(&bench, &posts[TOWNSHIP]);
    engine = calloc(1, sizeof *engine);
    assert_non_null(engine);
    engine->config.store = bench.store;
    engine->config.self = &posts[COUNTY].certificate;
    engine->config.parent = &posts[PROVINCE].certificate;
    engine->config.hooks.log = on_log;
    engine->config.hooks.documents = on_documents;
    struct core_config config = {.links_max = LINKS_USED, .seed = 3, .generation = 5, .pool_bytes = 1 << 20};
    void *memory = calloc(1, core_size(&config));
    assert_non_null(memory);
    engine->core = core_init(memory, &config);
    assert_int_equal(signers_create(&posts[PROVINCE].certificate.hash, &engine->signers, NULL), OK);
    assert_true(links_init(&engine->links, LINKS_USED));
    links_set_parent(&engine->links, engine->config.parent);
    struct peer peer = {.station = posts[TOWNSHIP].identity.station, .transport_key = posts[TOWNSHIP].identity.transport.public_key};
    uint32_t link;
    assert_true(links_add_child(&engine->links, &peer, &link));
    assert_int_equal(link, CHILD);
    assert_true(engine_heads_create(engine));
    engine_heads_begin(engine);
    engine_add_link(engine, CHILD);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    write_all();
    engine_heads_destroy(engine);
    signers_destroy(engine->signers);
    links_finish(&engine->links);
    buffer_finish(&engine->out);
    arena_finish(&engine->arena);
    free(engine->core);
    free(engine);
    bench_close(&bench);
    posts_finish(posts);
    return 0;
}

// The connection breaks while the opening waits for the writer, and the next session begins without a grant.
static void fault_18_what_is_opened_is_what_was_granted(void **unused)
{
    (void)unused;
    struct marker marker = {.station = posts[COUNTY].identity.station, .ordinal = 1, .nonce = 77, .restored = true, .wants = 99};
    struct journal_meta meta = {0};
    struct link_in in = {.type = LINK_GRANT, .grant = {.ordinal = 2}};
    engine->config.asks = marker.wants;
    engine_handle_grant(engine, 0, &in);
    assert_true(engine->opening);
    engine->grant = (struct waited_grant){0};
    write_all();
    assert_false(engine->opening);
    assert_int_equal(engine_end(engine), ENGINE_OPENED);
    struct txn *txn = fixture_begin(bench.store, false);
    assert_int_equal(incarnation_look(txn, &meta, &marker), INCARNATION_OPENED);
    incarnation_resume(txn, &meta, &marker);
    txn_abort(txn);
    assert_int_equal(marker.ordinal, 2);
    assert_int_equal(marker.nonce, 99);
}

#define GRANT_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

// ---- what the child says

static void tell(uint64_t route, struct buffer *wire)
{
    struct transport_event event = {
        .type = TRANSPORT_MESSAGE, .peer = posts[TOWNSHIP].identity.transport.public_key, .route = route, .message = buffer_bytes(wire)};
    engine_handle_message(engine, &event);
    write_all();
    buffer_finish(wire);
}

static void greet(uint64_t route, uint64_t session, uint64_t starts, uint64_t number)
{
    struct buffer wire = {0};
    struct core_hello hello = {.version_min = 1,
                               .version_max = 1,
                               .session = session,
                               .credit_bytes = 65536,
                               .ordinal = 1,
                               .nonce = 77,
                               .starts = starts,
                               .number = number};
    link_encode_hello(session, &hello, &posts[TOWNSHIP].certificate.hash, 0, 0, NULL, 0, &wire);
    tell(route, &wire);
}

static void ping(uint64_t route, uint64_t session)
{
    struct buffer wire = {0};
    link_encode_ping(session, 1, false, &wire);
    tell(route, &wire);
}

static enum link_state child_state(void)
{
    struct core_link_status status;
    assert_true(core_link(engine->core, CHILD, &status));
    return status.state;
}

// ---- tests

// The parent's store takes nothing: a child that asks for its next incarnation is sent away, and asks again.
static void fault_18_who_can_not_be_granted_now_asks_again(void **unused)
{
    (void)unused;
    struct buffer wire = {0};
    struct core_hello hello = {.version_min = 1,
                               .version_max = 1,
                               .session = 11,
                               .credit_bytes = 65536,
                               .wants_incarnation = true,
                               .nonce = 99,
                               .starts = 1,
                               .number = 1};
    struct transport_event event = {.type = TRANSPORT_MESSAGE, .peer = posts[TOWNSHIP].identity.transport.public_key, .route = NEW_ROUTE};
    struct error error = {.code = ERR_FULL, .detail = "full"};
    engine->running = true;
    link_encode_hello(11, &hello, &posts[TOWNSHIP].certificate.hash, 0, 0, NULL, 0, &wire);
    event.message = buffer_bytes(&wire);
    engine_handle_message(engine, &event);
    assert_int_equal(child_state(), LINK_LIVE);
    assert_int_equal(engine->grants, 1);
    for (uint32_t i = 0; i < stage.call_count; i++)
        stage.calls[i].finished(stage.calls[i].argument, ERR_FULL, &error);
    stage.call_count = 0;
    assert_int_equal(engine->grants, 0);
    assert_int_equal(child_state(), LINK_DOWN);
    engine->grants = GRANT_JOBS_MAX; // or too many ask at once
    hello.session = 12;
    hello.number = 2;
    buffer_clear(&wire);
    link_encode_hello(12, &hello, &posts[TOWNSHIP].certificate.hash, 0, 0, NULL, 0, &wire);
    event.message = buffer_bytes(&wire);
    stage.now += 60 * 1000;
    engine_handle_message(engine, &event);
    assert_int_equal(child_state(), LINK_DOWN);
    engine->grants = 0;
    buffer_finish(&wire);
}

static void fault_49_56_an_old_connection_that_delivers_late_changes_nothing(void **state)
{
    (void)state;
    greet(NEW_ROUTE, 12, 5, 2);
    assert_int_equal(child_state(), LINK_LIVE);
    for (uint64_t number = 1; number < 30; number++) { // within what an abandoned connection takes, as many as there may be
        uint32_t sent = stage.sent;
        greet(OLD_ROUTE + 100 * number, 100 + number, 4, number);
        assert_int_equal(stage.sent, sent);
        ping(NEW_ROUTE, 12);
        assert_int_equal(stage.sent, sent + 1);
        assert_int_equal(stage.route, NEW_ROUTE);
        stage.now += 100;
    }
    stage.now += 60 * 1000; // one that delivers later than that, and again
    ping(NEW_ROUTE, 12);
    assert_int_equal(child_state(), LINK_LIVE);
    for (int i = 0; i < 10; i++) {
        greet(OLD_ROUTE, 11, 5, 1);
        ping(NEW_ROUTE, 12);
    }
    assert_int_equal(child_state(), LINK_LIVE);
    assert_int_equal(engine->links.slots[CHILD].peer_session, 12);
    greet(OLD_ROUTE, 13, 5, 3); // a later one counts, whatever its route
    ping(OLD_ROUTE, 13);
    assert_int_equal(stage.route, OLD_ROUTE);
}

// A copy that was started less often never gets a session while the other lives: its hellos tell.
static void fault_19_a_clone_behind_is_found_by_its_hellos(void **state)
{
    (void)state;
    greet(NEW_ROUTE, 12, 5, 1);
    for (uint64_t number = 1; number <= CLONE_PROOFS; number++) {
        assert_int_equal(child_state(), LINK_LIVE);
        stage.now += 20 * 1000;
        greet(OLD_ROUTE, 100 + number, 4, number);
        ping(NEW_ROUTE, 12);
    }
    assert_int_equal(child_state(), LINK_BARRED);
    assert_true(engine_doubled(&engine->links.slots[CHILD]));
}

// Put back from a copy, marker and all, and the other one is gone: no clone, and after half a minute its hello is answered.
static void fault_17_a_station_put_back_without_knowing_is_no_clone(void **state)
{
    (void)state;
    greet(NEW_ROUTE, 12, 5, 1);
    stage.now += 10 * 1000;
    for (uint64_t number = 1; number <= 3; number++) {
        greet(OLD_ROUTE, 100 + number, 3, number);
        stage.now += 7 * 1000;
    }
    struct core_event tick = engine_event(EVENT_TICK, 0);
    tick.now_ms += SILENCE_MS; // the core's time is that of the machine here
    engine_step(engine, &tick);
    assert_int_equal(child_state(), LINK_DOWN);
    greet(OLD_ROUTE, 104, 3, 4);
    assert_int_equal(child_state(), LINK_LIVE);
    assert_int_equal(stage.route, OLD_ROUTE);
    assert_false(engine_doubled(&engine->links.slots[CHILD]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GRANT_TEST(fault_49_56_an_old_connection_that_delivers_late_changes_nothing),
        GRANT_TEST(fault_19_a_clone_behind_is_found_by_its_hellos),
        GRANT_TEST(fault_17_a_station_put_back_without_knowing_is_no_clone),
        GRANT_TEST(fault_18_what_is_opened_is_what_was_granted),
        GRANT_TEST(fault_18_who_can_not_be_granted_now_asks_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
