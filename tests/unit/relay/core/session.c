// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "relay/core/session.h"
#include "tests/unit/relay/core/drive.h"

static void a_hello_says_what_is_held(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    struct core_mark marks[CORE_CHANNELS] = {[2] = {60, 9, 8}};
    struct core_staged staged[CORE_CHANNELS] = {
        [2] = {.position = 10, .offset = 400, .size = 900}, [3] = {.position = 1, .offset = 1, .size = 2}};
    uint64_t ends[CORE_CHANNELS] = {0};
    staged[2].header.bytes[5] = 77;
    struct core_event event = {.type = EVENT_LINK_ADD, .link = 1};
    event.add.marks = marks;
    event.add.ends = ends;
    event.add.staged = staged;
    drive_step(&drive, event);
    assert_int_equal(drive_update(&drive, UPDATE_DISCARD, 0)->channel, 3); // of an unknown journal
    assert_null(drive_update(&drive, UPDATE_DISCARD, 1));
    drive_child(&drive, 1, 7);
    const struct core_hello *hello = &drive_update(&drive, UPDATE_SEND_HELLO, 0)->hello;
    assert_int_equal(hello->held[2].generation, 60);
    assert_int_equal(hello->held[2].headers, 9);
    assert_int_equal(hello->held[2].bodies, 8);
    assert_int_equal(hello->staged[2].position, 10);
    assert_int_equal(hello->staged[2].header.bytes[5], 77);
    assert_int_equal(hello->held[3].generation, 0);
    assert_int_equal(hello->staged[3].position, 0);
    drive_finish(&drive);
}

static void what_the_peer_holds_decides_where_to_begin(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[5] = 4, [6] = 4, [7] = 4, [8] = 4, [10] = 0};
    drive_init(&drive, 2, 1 << 20);
    drive_add(&drive, 1, ends);
    struct core_hello hello = drive_hello(7, false);
    hello.held[5] = (struct core_mark){50, 3, 3};  // goes on
    hello.held[6] = (struct core_mark){50, 9, 9};  // more than there is
    hello.held[7] = (struct core_mark){51, 2, 2};  // of another journal
    hello.held[10] = (struct core_mark){51, 2, 2}; // the same, but nothing to send
    drive_greet(&drive, 1, &hello);
    assert_int_equal(drive_update(&drive, UPDATE_ALARM, 0)->alarm, ALARM_PEER_HOLDS_MORE);
    assert_int_equal(drive_update(&drive, UPDATE_ALARM, 0)->channel, 6);
    assert_null(drive_update(&drive, UPDATE_ALARM, 1));
    assert_int_equal(drive_update(&drive, UPDATE_WANT_HEADS, 0)->channel, 6);
    assert_int_equal(drive_update(&drive, UPDATE_WANT_HEADS, 1)->channel, 7);
    assert_null(drive_update(&drive, UPDATE_WANT_HEADS, 2));
    assert_int_equal(drive_update(&drive, UPDATE_LOAD, 0)->channel, 5);
    assert_int_equal(drive_update(&drive, UPDATE_LOAD, 0)->load.after, 3);
    assert_int_equal(drive_update(&drive, UPDATE_LOAD, 1)->channel, 8);
    assert_int_equal(drive_update(&drive, UPDATE_LOAD, 1)->load.after, 0);
    struct core_link_status status;
    assert_true(core_link(drive.core, 1, &status));
    assert_true(status.repairing);
    assert_int_equal(status.channels[5].headers, 3);
    drive_finish(&drive);
}

static void credit_comes_back_when_a_session_ends(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 3, ADMISSION_MIN);
    for (int i = 0; i < 5; i++) {
        drive_child(&drive, 1, 100 + (uint64_t)i);
        assert_int_equal(drive_update(&drive, UPDATE_SEND_HELLO, 0)->hello.credit_bytes, ADMISSION_MIN);
    }
    drive_child(&drive, 2, 7);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_HELLO, 0)->hello.credit_bytes, 0);
    drive_step(&drive, (struct core_event){.type = EVENT_CLOSED, .link = 1});
    drive_piece(&drive, 2, 7, 4, 1, 5000, 0, 1000); // it knocks
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ACK, 0)->ack.credit_bytes, ADMISSION_MIN);
    assert_null(drive_update(&drive, UPDATE_SEND_ACK, 1));
    drive_finish(&drive);
}

static void a_gap_is_told_once(void **unused)
{
    (void)unused;
    struct drive drive;
    drive_init(&drive, 2, 1 << 20);
    drive_child(&drive, 1, 7);
    drive_piece(&drive, 1, 7, 2, 1, 300, 0, 100);
    drive_piece(&drive, 1, 7, 2, 1, 300, 200, 100);
    assert_int_equal(drive_update(&drive, UPDATE_DISCARD, 0)->channel, 2);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ERROR, 0)->error.fault, FAULT_GAP);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_ERROR, 0)->channel, 2);
    drive_piece(&drive, 1, 7, 2, 2, 300, 0, 300);
    assert_int_equal(drive.updates.count, 0);
    drive_piece(&drive, 1, 7, 3, 1, 300, 0, 300); // other lanes go on
    assert_non_null(drive_update(&drive, UPDATE_ACCEPT, 0));
    drive_finish(&drive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_says_what_is_held),
        cmocka_unit_test(what_the_peer_holds_decides_where_to_begin),
        cmocka_unit_test(credit_comes_back_when_a_session_ends),
        cmocka_unit_test(a_gap_is_told_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
