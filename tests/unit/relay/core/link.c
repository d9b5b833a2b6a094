// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "tests/unit/relay/core/drive.h"

// ---- dialing

static void the_first_dial_is_soon_and_jittered(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 1, 1 << 20);
    assert_true(core_deadline(drive.core) == UINT64_MAX);
    drive_add(&drive, 0, NULL);
    assert_int_equal(drive_update(&drive, UPDATE_STATE, 0)->state.to, LINK_DOWN);
    assert_in_range(core_deadline(drive.core), 1000, 1200);
    assert_true(drive_until(&drive, UPDATE_DIAL, 200));
    assert_int_equal(drive_state(&drive, 0), LINK_DIALING);
    drive_step(&drive, (struct core_event){.type = EVENT_OPENED});
    const struct core_update *hello = drive_update(&drive, UPDATE_SEND_HELLO, 0);
    assert_non_null(hello);
    assert_false(hello->hello.reply);
    assert_int_equal(hello->hello.session, drive.fresh);
    assert_int_equal(hello->hello.version_min, 1);
    assert_int_equal(hello->hello.credit_bytes, ADMISSION_MIN);
    struct core_hello reply = drive_hello(7, true);
    drive_greet(&drive, 0, &reply);
    assert_int_equal(drive_state(&drive, 0), LINK_LIVE);
    assert_null(drive_update(&drive, UPDATE_SEND_HELLO, 0)); // one round trip
    drive_finish(&drive);
}

static void failures_back_off_and_a_settled_link_begins_anew(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 1, 1 << 20);
    drive_add(&drive, 0, NULL);
    uint64_t longest = 0;
    for (int i = 0; i < 40; i++) {
        uint64_t before = drive.now_ms;
        assert_true(drive_until(&drive, UPDATE_DIAL, BACKOFF_CAP_MS));
        longest = drive.now_ms - before > longest ? drive.now_ms - before : longest;
        drive_step(&drive, (struct core_event){.type = EVENT_CLOSED});
        assert_int_equal(drive_state(&drive, 0), LINK_DOWN);
        assert_null(drive_update(&drive, UPDATE_HANGUP, 0));
    }
    assert_in_range(longest, 15000, BACKOFF_CAP_MS);
    drive_parent(&drive, 7, NULL);
    for (int i = 0; i < 7; i++) { // alive for more than a minute
        assert_true(drive_until(&drive, UPDATE_SEND_PING, 20000));
        drive_step(&drive, (struct core_event){.type = EVENT_HEARD, .session = 7});
    }
    drive_step(&drive, (struct core_event){.type = EVENT_CLOSED});
    assert_true(core_deadline(drive.core) <= drive.now_ms + BACKOFF_BASE_MS);
    drive_finish(&drive);
}

static void a_dial_or_greeting_without_end_is_given_up(void **unused)
{
    (void)unused;
    for (int greeting = 0; greeting < 2; greeting++) {
        struct drive drive;
        drive_init(&drive, 1, 1 << 20);
        drive_add(&drive, 0, NULL);
        drive_until(&drive, UPDATE_DIAL, 1000);
        if (greeting)
            drive_step(&drive, (struct core_event){.type = EVENT_OPENED});
        uint64_t before = drive.now_ms;
        assert_true(drive_until(&drive, UPDATE_HANGUP, 60000));
        assert_int_equal(drive.now_ms - before, LINK_DIAL_MS);
        assert_true(drive_until(&drive, UPDATE_DIAL, 60000));
        drive_finish(&drive);
    }
}

// ---- life

static void a_quiet_link_pings_and_a_silent_one_dies(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_child(&drive, 1, 7);
    uint64_t begin = drive.now_ms;
    assert_true(drive_until(&drive, UPDATE_SEND_PING, 60000));
    assert_int_equal(drive.now_ms - begin, LINK_PING_MS);
    assert_true(drive_until(&drive, UPDATE_HANGUP, 60000));
    assert_int_equal(drive.now_ms - begin, LINK_SILENCE_MS);
    assert_int_equal(drive_state(&drive, 1), LINK_DOWN);
    assert_true(core_deadline(drive.core) == UINT64_MAX); // a child comes by itself
    drive_finish(&drive);
}

static void pieces_without_confirmation_end_the_session(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[2] = 1};
    drive_init(&drive, 1, 1 << 20);
    drive_parent(&drive, 7, ends);
    assert_non_null(drive_update(&drive, UPDATE_LOAD, 0));
    drive_rows(&drive, 0, 2, 1, 1, 500);
    assert_non_null(drive_update(&drive, UPDATE_SEND_PIECE, 0));
    uint64_t begin = drive.now_ms;
    bool hung_up = false;
    while (!hung_up) { // something is heard all the time, but no answer to what was sent
        drive_step(&drive, (struct core_event){.type = EVENT_HEARD, .session = 7});
        hung_up = drive_tick(&drive, 3000) && drive_update(&drive, UPDATE_HANGUP, 0);
        assert_true(drive.now_ms - begin <= LINK_STALL_MS);
    }
    assert_int_equal(drive.now_ms - begin, LINK_STALL_MS);
    drive_finish(&drive);
}

static void a_peer_that_commits_slowly_is_not_dead(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[2] = 1};
    drive_init(&drive, 1, 1 << 20);
    drive_parent(&drive, 7, ends);
    drive_rows(&drive, 0, 2, 1, 1, 500);
    uint64_t begin = drive.now_ms;
    while (drive_state(&drive, 0) == LINK_LIVE) {
        drive_tick(&drive, 3000);
        const struct core_update *ping = drive_update(&drive, UPDATE_SEND_PING, 0);
        if (ping) { // it answers pings
            struct core_event event = {.type = EVENT_PING, .session = 7};
            event.ping.token = ping->ping.token;
            event.ping.reply = true;
            drive_step(&drive, event);
        }
        assert_true(drive.now_ms - begin <= LINK_COMMIT_MS);
    }
    assert_int_equal(drive.now_ms - begin, LINK_COMMIT_MS);
    drive_finish(&drive);
}

static void answer_ping(struct drive *drive)
{
    const struct core_update *ping = drive_update(drive, UPDATE_SEND_PING, 0);
    if (!ping)
        return;
    struct core_event event = {.type = EVENT_PING, .link = 1, .session = 7};
    event.ping.token = ping->ping.token;
    event.ping.reply = true;
    drive_step(drive, event);
}

// A repair waits for the peer's heads. They may take long, page after page; when no page comes any more, the question or its answer was
// lost, and only another session asks again.
static void fault_50_heads_that_do_not_come_end_the_session(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[7] = 4, [8] = 4};
    drive_init(&drive, 2, 1 << 20);
    drive_add(&drive, 1, ends);
    struct core_hello hello = drive_hello(7, false);
    hello.held[7] = hello.held[8] = (struct core_mark){51, 2, 2}; // of another journal
    drive_greet(&drive, 1, &hello);
    assert_non_null(drive_update(&drive, UPDATE_WANT_HEADS, 1));
    for (int page = 0; page < 20; page++) { // slow, for twenty minutes; all of one channel's before the other's
        uint64_t until = drive.now_ms + LINK_HEADS_MS - 1;
        while (drive_tick(&drive, until - drive.now_ms))
            answer_ping(&drive);
        assert_int_equal(drive_state(&drive, 1), LINK_LIVE);
        drive_step(&drive, (struct core_event){.type = EVENT_HEADS, .link = 1, .session = 7, .channel = 7});
    }
    drive_step(&drive, (struct core_event){.type = EVENT_HEADS_ALL, .link = 1, .session = 7, .channel = 7});
    uint64_t begin = drive.now_ms;
    while (drive_state(&drive, 1) == LINK_LIVE) {
        drive_tick(&drive, 3000);
        answer_ping(&drive);
        drive_step(&drive, (struct core_event){.type = EVENT_HEARD, .link = 1, .session = 7}); // signed heads are not what was asked for
        assert_true(drive.now_ms - begin <= LINK_HEADS_MS);
    }
    assert_int_equal(drive.now_ms - begin, LINK_HEADS_MS);
    drive_finish(&drive);
}

static void fault_58_a_clock_that_steps_back_stands_still(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive.now_ms = (uint64_t)10 * 365 * 86400 * 1000;
    drive_child(&drive, 1, 7);
    uint64_t ahead = drive.now_ms;
    drive.now_ms = 5;
    for (int i = 0; i < 10; i++) {
        drive_step(&drive, (struct core_event){.type = EVENT_TICK});
        assert_int_equal(drive.updates.count, 0);
    }
    assert_int_equal(drive_state(&drive, 1), LINK_LIVE);
    drive.now_ms = ahead + LINK_PING_MS;
    drive_step(&drive, (struct core_event){.type = EVENT_TICK});
    assert_non_null(drive_update(&drive, UPDATE_SEND_PING, 0));
    drive.now_ms = ahead + (uint64_t)10 * 365 * 86400 * 1000; // ten years at once: the link dies, once
    drive_step(&drive, (struct core_event){.type = EVENT_TICK});
    assert_non_null(drive_update(&drive, UPDATE_HANGUP, 0));
    drive_step(&drive, (struct core_event){.type = EVENT_TICK});
    assert_int_equal(drive.updates.count, 0);
    drive_finish(&drive);
}

static void a_withheld_body_alarms_once(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_child(&drive, 1, 7);
    drive_piece(&drive, 1, 7, 2, 1, 0, 0, 0);
    struct core_event held = {.type = EVENT_HELD, .link = 1, .channel = 2};
    held.mark = (struct core_mark){60, 1, 0};
    drive_step(&drive, held);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ACK, 0)->ack.headers, 1);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ACK, 0)->ack.bodies, 0);
    unsigned alarms = 0;
    for (uint64_t end = drive.now_ms + 10 * LINK_WITHHELD_MS; drive.now_ms < end;) {
        drive_tick(&drive, 5000);
        const struct core_update *alarm = drive_update(&drive, UPDATE_ALARM, 0);
        if (alarm) {
            assert_int_equal(alarm->alarm, ALARM_BODY_WITHHELD);
            assert_int_equal(alarm->channel, 2);
            alarms++;
        }
        drive_step(&drive, (struct core_event){.type = EVENT_HEARD, .link = 1, .session = 7});
    }
    assert_int_equal(alarms, 1);
    held.mark.bodies = 1; // it came
    drive_step(&drive, held);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ACK, 0)->ack.bodies, 1);
    drive_finish(&drive);
}

// ---- what the own shell does

static void a_removed_link_is_gone(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_child(&drive, 1, 7);
    drive_piece(&drive, 1, 7, 2, 1, 500, 0, 100);
    drive_step(&drive, (struct core_event){.type = EVENT_LINK_REMOVE, .link = 1});
    assert_non_null(drive_update(&drive, UPDATE_STAGE, 0));
    assert_int_equal(drive_state(&drive, 1), LINK_ABSENT);
    drive_piece(&drive, 1, 7, 2, 1, 500, 100, 100);
    assert_int_equal(drive.updates.count, 0);
    assert_false(drive_until(&drive, UPDATE_SEND_PING, 1000000));
    drive_child(&drive, 1, 8);
    drive_finish(&drive);
}

static void late_events_change_nothing(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_child(&drive, 1, 7);
    struct core_event late[] = {{.type = EVENT_ROWS, .link = 1, .channel = 5},
                                {.type = EVENT_OPENED, .link = 1},
                                {.type = EVENT_HEARD, .link = 1, .session = 6},
                                {.type = EVENT_CLOSED, .link = 0},
                                {.type = EVENT_HELD, .link = 0},
                                {.type = EVENT_HELD, .link = 1, .channel = 14},
                                {.type = EVENT_EXTENDED, .link = 1, .channel = 0},
                                {.type = EVENT_REFUSED, .link = 1, .channel = 14},
                                {.type = EVENT_HELD, .link = 900},
                                {.type = EVENT_LINK_ADD, .link = 1}};
    for (unsigned i = 0; i < sizeof late / sizeof *late; i++) {
        drive_step(&drive, late[i]);
        assert_int_equal(drive.updates.count, 0);
    }
    assert_int_equal(drive_state(&drive, 1), LINK_LIVE);
    drive_finish(&drive);
}

static void a_full_store_sends_the_peer_away_for_a_while(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 1, 1 << 20);
    drive_parent(&drive, 7, NULL);
    drive_piece(&drive, 0, 7, 5, 1, 100, 0, 100);
    struct core_event refused = {.type = EVENT_REFUSED, .channel = 5};
    refused.error.fault = FAULT_STORE;
    refused.error.retry_ms = 40000;
    drive_step(&drive, refused);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ERROR, 0)->error.fault, FAULT_BUSY);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ERROR, 0)->error.retry_ms, 40000);
    uint64_t before = drive.now_ms;
    assert_true(drive_until(&drive, UPDATE_DIAL, 100000));
    assert_true(drive.now_ms - before >= 40000);
    drive_finish(&drive);
}

static void a_forged_row_bars_the_peer(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 3, 1 << 20);
    drive_child(&drive, 1, 7);
    drive_child(&drive, 2, 8);
    drive_piece(&drive, 1, 7, 2, 1, 100, 0, 100);
    struct core_event refused = {.type = EVENT_REFUSED, .link = 1, .channel = 2};
    refused.error.fault = FAULT_FORGED;
    drive_step(&drive, refused);
    assert_int_equal(drive_update(&drive, UPDATE_ALARM, 0)->alarm, ALARM_FORGED);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ERROR, 0)->error.fault, FAULT_FORGED);
    assert_int_equal(drive_state(&drive, 1), LINK_BARRED);
    assert_int_equal(drive_state(&drive, 2), LINK_LIVE);
    drive_step(&drive, refused); // the next of its rows, accepted before
    assert_int_equal(drive.updates.count, 0);
    struct core_hello hello = drive_hello(9, false);
    drive_greet(&drive, 1, &hello);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ERROR, 0)->error.fault, FAULT_BUSY);
    uint32_t retry_ms = drive_update(&drive, UPDATE_SEND_ERROR, 0)->error.retry_ms;
    assert_in_range(retry_ms, BACKOFF_REFUSED_MS, BACKOFF_REFUSED_CAP_MS);
    drive.now_ms += retry_ms;
    drive_greet(&drive, 1, &hello);
    assert_int_equal(drive_state(&drive, 1), LINK_LIVE);
    drive_finish(&drive);
}

static void what_is_held_or_refused_on_a_channel_of_ours_says_nothing(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_child(&drive, 1, 7);
    struct core_event event = {.type = EVENT_HELD, .link = 1, .channel = 7};
    event.mark = (struct core_mark){60, 1, 1};
    drive_step(&drive, event);
    assert_int_equal(drive.updates.count, 0);
    event = (struct core_event){.type = EVENT_REFUSED, .link = 1, .channel = 7};
    drive_step(&drive, event);
    assert_int_equal(drive.updates.count, 0);
    drive_finish(&drive);
}

static void a_row_found_forged_after_its_session_bars_without_a_word(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_child(&drive, 1, 7);
    drive_piece(&drive, 1, 7, 2, 1, 300, 0, 300);
    drive_step(&drive, (struct core_event){.type = EVENT_CLOSED, .link = 1});
    struct core_event refused = {.type = EVENT_REFUSED, .link = 1, .channel = 2};
    static const uint32_t passing[] = {FAULT_GAP, FAULT_STORE, FAULT_BUSY}; // the next session sees to them
    for (unsigned i = 0; i < 3; i++) {
        refused.error.fault = passing[i];
        drive_step(&drive, refused);
        assert_int_equal(drive.updates.count, 0);
    }
    refused.error.fault = FAULT_FORGED;
    drive_step(&drive, refused);
    assert_int_equal(drive_state(&drive, 1), LINK_BARRED);
    assert_null(drive_update(&drive, UPDATE_SEND_ERROR, 0)); // there is nobody to tell
    assert_int_equal(drive_update(&drive, UPDATE_ALARM, 0)->alarm, ALARM_FORGED);
    drive_finish(&drive);
}

static void what_can_not_be_decoded_bars_the_peer(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_child(&drive, 1, 7);
    struct core_event refused = {.type = EVENT_REFUSED, .link = 1, .channel = 2};
    refused.error.fault = FAULT_PROTOCOL;
    drive_step(&drive, refused);
    assert_int_equal(drive_state(&drive, 1), LINK_BARRED);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ERROR, 0)->error.fault, FAULT_PROTOCOL);
    assert_int_equal(drive_update(&drive, UPDATE_ALARM, 0)->alarm, ALARM_PROTOCOL);
    drive_finish(&drive);
}

// Two children and credit for one: the second gets it after the first one's turn, and is told on a channel where a part of its lies on
// disk.
static void credit_taken_back_does_not_grow(void **unused)
{
    (void)unused;
    struct drive drive;
    static const uint64_t zeros[CORE_CHANNELS];
    struct core_mark marks[CORE_CHANNELS] = {{60, 2, 2}};
    struct core_staged staged[CORE_CHANNELS] = {{.position = 3, .offset = 100, .size = 300}};
    struct core_event add = {.type = EVENT_LINK_ADD, .link = 2}, held = {.type = EVENT_HELD, .link = 1, .channel = 3};
    drive_init(&drive, 3, ADMISSION_MIN);
    drive_child(&drive, 1, 7);
    add.add.marks = marks;
    add.add.ends = zeros;
    add.add.staged = staged;
    drive_step(&drive, add);
    drive_child(&drive, 2, 8);
    for (uint32_t offset = 0; offset < 48000; offset += 16000)
        drive_piece(&drive, 1, 7, 3, 1, 48000, offset, 16000); // more than half of its credit
    drive_piece(&drive, 2, 8, 3, 1, 2000, 0, 1000);            // knocks
    const struct core_update *given = NULL;
    for (int i = 0; i < 40 && !given; i++) {
        drive_tick(&drive, 1000);
        const struct core_update *ack;
        for (uint32_t k = 0; (ack = drive_update(&drive, UPDATE_SEND_ACK, k)); k++)
            if (ack->link == 2 && ack->ack.credit_bytes)
                given = ack;
    }
    assert_non_null(given);
    assert_int_equal(given->channel, 0);
    assert_int_equal(given->ack.received_position, 0); // what lies on disk was not received in this session
    held.mark = (struct core_mark){60, 1, 1};
    drive_step(&drive, held);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ACK, 0)->ack.credit_bytes, 0);
    drive_finish(&drive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_dial_is_soon_and_jittered),
        cmocka_unit_test(failures_back_off_and_a_settled_link_begins_anew),
        cmocka_unit_test(a_dial_or_greeting_without_end_is_given_up),
        cmocka_unit_test(a_quiet_link_pings_and_a_silent_one_dies),
        cmocka_unit_test(pieces_without_confirmation_end_the_session),
        cmocka_unit_test(a_peer_that_commits_slowly_is_not_dead),
        cmocka_unit_test(fault_50_heads_that_do_not_come_end_the_session),
        cmocka_unit_test(fault_58_a_clock_that_steps_back_stands_still),
        cmocka_unit_test(a_withheld_body_alarms_once),
        cmocka_unit_test(a_removed_link_is_gone),
        cmocka_unit_test(late_events_change_nothing),
        cmocka_unit_test(a_full_store_sends_the_peer_away_for_a_while),
        cmocka_unit_test(a_forged_row_bars_the_peer),
        cmocka_unit_test(what_is_held_or_refused_on_a_channel_of_ours_says_nothing),
        cmocka_unit_test(a_row_found_forged_after_its_session_bars_without_a_word),
        cmocka_unit_test(what_can_not_be_decoded_bars_the_peer),
        cmocka_unit_test(credit_taken_back_does_not_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
