// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "tests/unit/relay/core/drive.h"

static struct core_event error_of(uint32_t fault, uint32_t retry_ms)
{
    struct core_event event = {.type = EVENT_ERROR, .session = 7};
    event.error.fault = fault;
    event.error.retry_ms = retry_ms;
    return event;
}

static void a_new_hello_ends_the_session_before(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_child(&drive, 1, 7);
    drive_piece(&drive, 1, 7, 2, 1, 500, 0, 100);
    assert_non_null(drive_update(&drive, UPDATE_ACCEPT, 0));
    drive_child(&drive, 1, 8);
    assert_non_null(drive_update(&drive, UPDATE_STAGE, 0));
    const struct core_hello *hello = &drive_update(&drive, UPDATE_SEND_HELLO, 0)->hello;
    assert_true(hello->reply);
    assert_int_equal(hello->staged[2].position, 1);
    assert_int_equal(hello->staged[2].offset, 100);
    drive_piece(&drive, 1, 7, 2, 1, 500, 100, 100); // of the old session
    assert_int_equal(drive.updates.count, 0);
    struct core_hello again = drive_hello(8, false); // fault 24: the hello itself, repeated
    drive_greet(&drive, 1, &again);
    assert_int_equal(drive.updates.count, 0);
    drive_piece(&drive, 1, 8, 2, 1, 500, 100, 400);
    assert_true(drive_update(&drive, UPDATE_ACCEPT, 0)->accept.complete);
    drive_finish(&drive);
}

// Of an abandoned connection that delivers late: the session that lives goes on, and nothing is answered.
static void fault_49_56_an_older_hello_does_not_replace_a_live_session(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_add(&drive, 1, NULL);
    struct core_hello hello = drive_hello(7, false), old = drive_hello(8, false);
    hello.starts = 5;
    hello.number = 3;
    drive_greet(&drive, 1, &hello);
    assert_int_equal(drive_state(&drive, 1), LINK_LIVE);
    static const uint64_t olds[][2] = {{5, 2}, {4, 9}, {1, 1}};
    for (size_t i = 0; i < sizeof olds / sizeof *olds; i++) {
        old.starts = olds[i][0];
        old.number = olds[i][1];
        old.version_min = old.version_max = i == 2 ? 9 : 1; // whatever it says
        assert_true(core_overtaken(drive.core, 1, &old));
        drive_greet(&drive, 1, &old);
        assert_int_equal(drive.updates.count, 0);
    }
    assert_false(core_overtaken(drive.core, 2, &old));
    drive_piece(&drive, 1, 7, 2, 1, 500, 0, 500);
    assert_non_null(drive_update(&drive, UPDATE_ACCEPT, 0));

    // of another incarnation, of a station that can't say, or later: it counts
    static const struct {
        uint32_t ordinal;
        uint64_t nonce, starts, number;
    } fresh[] = {{2, 0, 1, 1}, {2, 9, 1, 1}, {2, 9, 0, 0}, {2, 9, 1, 1}, {2, 9, 1, 2}, {2, 9, 2, 1}};
    for (size_t i = 0; i < sizeof fresh / sizeof *fresh; i++) {
        struct core_hello next = drive_hello(20 + i, false);
        next.ordinal = fresh[i].ordinal;
        next.nonce = fresh[i].nonce;
        next.starts = fresh[i].starts;
        next.number = fresh[i].number;
        drive_greet(&drive, 1, &next);
        assert_non_null(drive_update(&drive, UPDATE_SEND_HELLO, 0));
    }
    // and when nobody has been heard for half a minute
    while (drive_state(&drive, 1) == LINK_LIVE)
        assert_true(drive_tick(&drive, LINK_SILENCE_MS));
    old.ordinal = 2;
    old.nonce = 9;
    old.version_min = old.version_max = 1;
    drive_greet(&drive, 1, &old);
    assert_int_equal(drive_state(&drive, 1), LINK_LIVE);
    drive_finish(&drive);
}

static void hellos_to_a_parent_have_an_order(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_add(&drive, 0, NULL);
    for (uint64_t number = 1; number <= 3; number++) {
        assert_true(drive_until(&drive, UPDATE_DIAL, 400000));
        drive_step(&drive, (struct core_event){.type = EVENT_OPENED});
        const struct core_hello *hello = &drive_update(&drive, UPDATE_SEND_HELLO, 0)->hello;
        assert_int_equal(hello->starts, DRIVE_STARTS);
        assert_int_equal(hello->number, number);
        drive_step(&drive, (struct core_event){.type = EVENT_CLOSED});
    }
    drive_finish(&drive);
}

static void versions_must_overlap(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_add(&drive, 1, NULL);
    struct core_hello hello = drive_hello(7, false);
    hello.version_min = 2;
    hello.version_max = 9;
    drive_greet(&drive, 1, &hello);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ERROR, 0)->error.fault, FAULT_VERSION);
    assert_int_equal(drive_update(&drive, UPDATE_ALARM, 0)->alarm, ALARM_VERSION);
    assert_int_equal(drive_state(&drive, 1), LINK_BARRED);
    drive_greet(&drive, 1, &hello); // told again, but no second alarm
    assert_non_null(drive_update(&drive, UPDATE_SEND_ERROR, 0));
    assert_null(drive_update(&drive, UPDATE_ALARM, 0));
    hello.version_min = 1; // it was updated
    drive_greet(&drive, 1, &hello);
    assert_int_equal(drive_state(&drive, 1), LINK_LIVE);

    drive_add(&drive, 0, NULL); // and as the dialer
    drive_until(&drive, UPDATE_DIAL, 1000);
    drive_step(&drive, (struct core_event){.type = EVENT_OPENED});
    hello = drive_hello(9, true);
    hello.version_min = hello.version_max = 0;
    drive_greet(&drive, 0, &hello);
    assert_int_equal(drive_state(&drive, 0), LINK_BARRED);
    uint64_t before = drive.now_ms;
    while (!drive_until(&drive, UPDATE_DIAL, 1000))
        drive_child(&drive, 1, drive.now_ms); // keeps the other link alive
    assert_in_range(drive.now_ms - before, BACKOFF_REFUSED_MS, 2 * BACKOFF_REFUSED_MS);
    drive_finish(&drive);
}

static void hellos_of_the_wrong_kind_are_ignored(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_add(&drive, 1, NULL);
    drive_add(&drive, 0, NULL);
    struct core_hello hello = drive_hello(7, true);
    drive_greet(&drive, 1, &hello);
    assert_int_equal(drive.updates.count, 0);
    drive_greet(&drive, 0, &hello); // nobody has dialed
    assert_int_equal(drive.updates.count, 0);
    drive_parent(&drive, 7, NULL);
    hello.session = 8;
    drive_greet(&drive, 0, &hello); // a second answer
    assert_int_equal(drive.updates.count, 0);
    drive_finish(&drive);
}

static void an_error_may_answer_the_hello(void **unused)
{
    (void)unused;
    static const struct {
        uint32_t fault, least_ms, most_ms;
    } cases[] = {{FAULT_BUSY, 9000, 9200},
                 {FAULT_UNKNOWN_PEER, BACKOFF_REFUSED_MS, 2 * BACKOFF_REFUSED_MS},
                 {FAULT_VERSION, BACKOFF_REFUSED_MS, 2 * BACKOFF_REFUSED_MS},
                 {FAULT_BUSY + 90, BACKOFF_REFUSED_MS, 2 * BACKOFF_REFUSED_MS}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct drive drive;
        drive_init(&drive, 1, 1 << 20);
        drive_add(&drive, 0, NULL);
        drive_until(&drive, UPDATE_DIAL, 1000);
        drive_step(&drive, (struct core_event){.type = EVENT_OPENED});
        drive_step(&drive, error_of(cases[i].fault, 9000));
        assert_non_null(drive_update(&drive, UPDATE_HANGUP, 0));
        uint64_t before = drive.now_ms;
        assert_true(drive_until(&drive, UPDATE_DIAL, 1000000));
        assert_in_range(drive.now_ms - before, cases[i].least_ms, cases[i].most_ms);
        drive_finish(&drive);
    }
}

static void errors_of_the_peer(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[2] = 5};
    drive_init(&drive, 1, 1 << 20);
    drive_parent(&drive, 7, ends);
    drive_rows(&drive, 0, 2, 1, 5, 100);
    drive_step(&drive, error_of(FAULT_DISPUTED, 0)); // of one feed
    assert_int_equal(drive.updates.count, 0);
    struct core_event event = error_of(FAULT_GAP, 0);
    event.channel = 2;
    drive_step(&drive, event);
    assert_int_equal(drive_update(&drive, UPDATE_WANT_HEADS, 0)->channel, 2);
    drive_ack(&drive, 0, 7, 2, 3, 65536); // late, of before the repair
    assert_int_equal(drive_state(&drive, 0), LINK_LIVE);
    drive_step(&drive, (struct core_event){.type = EVENT_HEADS_ALL, .session = 7, .channel = 2});
    const struct core_update *load = drive_update(&drive, UPDATE_LOAD, 0);
    assert_int_equal(load->load.after, 0);
    assert_true(load->load.skip);
    event.channel = 9; // a stream that is not ours: nothing to repair
    drive_step(&drive, event);
    assert_int_equal(drive.updates.count, 0);
    event = error_of(FAULT_FORGED, 0);
    event.channel = CORE_CHANNELS;
    drive_step(&drive, event);
    assert_int_equal(drive_update(&drive, UPDATE_ALARM, 0)->alarm, ALARM_FORGED);
    assert_int_equal(drive_state(&drive, 0), LINK_BARRED);
    drive_finish(&drive);
}

static void nonsense_bars_the_peer(void **unused)
{
    (void)unused;
    for (int i = 0; i < 6; i++) {
        struct drive drive;
        drive_init(&drive, 2, 1 << 20);
        drive_child(&drive, 1, 7);
        switch (i) {
        case 0: // never sent
            drive_ack(&drive, 1, 7, 5, 1, 65536);
            break;
        case 1: // a stream of its own
            drive_ack(&drive, 1, 7, 0, 0, 65536);
            break;
        case 2: // a stream of ours
            drive_piece(&drive, 1, 7, 5, 1, 100, 0, 100);
            break;
        case 3:
            drive_piece(&drive, 1, 7, 99, 1, 100, 0, 100);
            break;
        case 4: // more bytes than the row
            drive_piece(&drive, 1, 7, 0, 1, 100, 0, 101);
            break;
        default:
            drive_step(&drive, (struct core_event){.type = EVENT_HEADS_WANTED, .link = 1, .session = 7, .channel = 5});
        }
        assert_int_equal(drive_update(&drive, UPDATE_ALARM, 0)->alarm, ALARM_PROTOCOL);
        assert_int_equal(drive_update(&drive, UPDATE_SEND_ERROR, 0)->error.fault, FAULT_PROTOCOL);
        assert_int_equal(drive_state(&drive, 1), LINK_BARRED);
        drive_finish(&drive);
    }
}

static void pieces_are_acknowledged_after_the_commit_only(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_child(&drive, 1, 7);
    drive_piece(&drive, 1, 7, 2, 1, 300, 0, 100);
    const struct core_update *ack = drive_update(&drive, UPDATE_SEND_ACK, 0);
    assert_int_equal(ack->ack.headers, 0);
    assert_int_equal(ack->ack.received_position, 1);
    assert_int_equal(ack->ack.received_offset, 100);
    drive_piece(&drive, 1, 7, 2, 1, 300, 100, 200);
    assert_null(drive_update(&drive, UPDATE_SEND_ACK, 0));
    struct core_event held = {.type = EVENT_HELD, .link = 1, .channel = 2};
    held.mark = (struct core_mark){60, 1, 1};
    drive_step(&drive, held);
    ack = drive_update(&drive, UPDATE_SEND_ACK, 0);
    assert_int_equal(ack->ack.generation, 60);
    assert_int_equal(ack->ack.headers, 1);
    assert_int_equal(ack->ack.received_position, 0);
    assert_null(drive_update(&drive, UPDATE_SEND_ACK, 1));
    drive_step(&drive, held);
    assert_int_equal(drive.updates.count, 0);
    drive_finish(&drive);
}

static void what_an_echo_has_confirmed_is_no_news(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[2] = 1};
    drive_init(&drive, 1, 1 << 20);
    drive_parent(&drive, 7, ends);
    drive_rows(&drive, 0, 2, 1, 1, 3000);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_PIECE, 0)->piece.length, FRAME_MIN);
    struct core_event echo = {.type = EVENT_PING, .session = 7}, ack = {.type = EVENT_ACK, .session = 7, .channel = 2};
    echo.ping.reply = true;
    echo.ping.token = FRAME_MIN + 200;
    drive_step(&drive, echo);
    struct core_link_status before, after;
    assert_true(core_link(drive.core, 0, &before));
    ack.ack.generation = 50;
    ack.ack.credit_bytes = 65536;
    ack.ack.received_position = 1;
    ack.ack.received_offset = FRAME_MIN;
    drive_step(&drive, ack);
    assert_true(core_link(drive.core, 0, &after));
    assert_int_equal(after.in_flight_bytes, before.in_flight_bytes);
    drive_finish(&drive);
}

static void pings_are_answered(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_child(&drive, 1, 7);
    struct core_event ping = {.type = EVENT_PING, .link = 1, .session = 7};
    ping.ping.token = 0x123456789abcdefu;
    drive_step(&drive, ping);
    const struct core_update *back = drive_update(&drive, UPDATE_SEND_PING, 0);
    assert_true(back->ping.reply && back->ping.token == ping.ping.token);
    ping.ping.reply = true; // an answer that was not asked for
    drive_step(&drive, ping);
    assert_int_equal(drive.updates.count, 0);
    drive_finish(&drive);
}

static void heads_are_not_given_without_end(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_child(&drive, 1, 7);
    unsigned answers = 0;
    for (int i = 0; i < 100; i++) {
        drive_step(&drive, (struct core_event){.type = EVENT_HEADS_WANTED, .link = 1, .session = 7, .channel = 2});
        answers += drive_update(&drive, UPDATE_SEND_HEADS, 0) != NULL;
    }
    assert_int_equal(answers, CHANNEL_REPAIRS_MAX + 1);
    drive_finish(&drive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_hello_ends_the_session_before),
        cmocka_unit_test(fault_49_56_an_older_hello_does_not_replace_a_live_session),
        cmocka_unit_test(hellos_to_a_parent_have_an_order),
        cmocka_unit_test(versions_must_overlap),
        cmocka_unit_test(hellos_of_the_wrong_kind_are_ignored),
        cmocka_unit_test(an_error_may_answer_the_hello),
        cmocka_unit_test(errors_of_the_peer),
        cmocka_unit_test(nonsense_bars_the_peer),
        cmocka_unit_test(pieces_are_acknowledged_after_the_commit_only),
        cmocka_unit_test(pings_are_answered),
        cmocka_unit_test(heads_are_not_given_without_end),
        cmocka_unit_test(what_an_echo_has_confirmed_is_no_news),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
