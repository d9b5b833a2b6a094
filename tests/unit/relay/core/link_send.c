// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "tests/unit/relay/core/drive.h"

static uint32_t sent_bytes(const struct drive *drive)
{
    uint32_t bytes = 0;
    const struct core_update *piece;
    for (uint32_t i = 0; (piece = drive_update(drive, UPDATE_SEND_PIECE, i)); i++)
        bytes += piece->piece.length + (piece->piece.offset ? 0 : 200);
    return bytes;
}

static void no_more_than_the_window_is_in_flight(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[4] = 10};
    drive_init(&drive, 1, 1 << 20);
    drive_parent(&drive, 7, ends);
    drive_rows(&drive, 0, 4, 1, 10, 100000);
    uint32_t first = sent_bytes(&drive);
    assert_in_range(first, WINDOW_START - FRAME_MIN, WINDOW_START);
    struct core_event event = {.type = EVENT_ACK, .session = 7, .channel = 4};
    event.ack.credit_bytes = 65536;
    event.ack.received_position = 1;
    event.ack.received_offset = 1024;
    drive.now_ms += 100;
    drive_step(&drive, event);
    struct core_link_status status;
    assert_true(core_link(drive.core, 0, &status));
    assert_int_equal(status.in_flight_bytes, first - 1224 + sent_bytes(&drive));
    assert_true(status.rate_bytes > 0);
    drive_step(&drive, event); // fault 24: the same acknowledgement
    assert_int_equal(drive.updates.count, 0);
    drive_finish(&drive);
}

static void urgent_goes_first_and_beside_a_full_window(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[4] = 10};
    drive_init(&drive, 1, 1 << 20);
    drive_parent(&drive, 7, ends);
    drive_rows(&drive, 0, 4, 1, 10, 100000);
    struct core_event event = {.type = EVENT_EXTENDED, .channel = 0};
    event.extended.end = 1;
    drive_step(&drive, event);
    assert_int_equal(drive_update(&drive, UPDATE_LOAD, 0)->channel, 0);
    drive_rows(&drive, 0, 0, 1, 1, 500);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_PIECE, 0)->channel, 0);
    drive_finish(&drive);
}

static void without_credit_one_small_piece_knocks(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[4] = 3};
    struct core_hello hello = drive_hello(7, true);
    hello.credit_bytes = 0;
    drive_init(&drive, 1, 1 << 20);
    drive_add(&drive, 0, ends);
    drive_until(&drive, UPDATE_DIAL, 1000);
    drive_step(&drive, (struct core_event){.type = EVENT_OPENED});
    drive_greet(&drive, 0, &hello);
    drive_rows(&drive, 0, 4, 1, 3, 3000);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_PIECE, 0)->piece.length, FRAME_MIN);
    assert_null(drive_update(&drive, UPDATE_SEND_PIECE, 1));
    drive_step(&drive, (struct core_event){.type = EVENT_EXTENDED, .extended.end = 1});
    drive_rows(&drive, 0, 0, 1, 1, 400); // urgent goes all the same
    assert_int_equal(drive_update(&drive, UPDATE_SEND_PIECE, 0)->channel, 0);
    assert_null(drive_update(&drive, UPDATE_SEND_PIECE, 1));
    drive_ack(&drive, 0, 7, 4, 0, 65536); // the credit comes
    assert_non_null(drive_update(&drive, UPDATE_SEND_PIECE, 0));
    drive_finish(&drive);
}

static void nothing_goes_before_urgent_rows_that_are_being_loaded(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[4] = 3, [0] = 1};
    struct core_hello hello = drive_hello(7, true);
    drive_init(&drive, 1, 1 << 20);
    drive_add(&drive, 0, ends);
    drive_until(&drive, UPDATE_DIAL, 1000);
    drive_step(&drive, (struct core_event){.type = EVENT_OPENED});
    drive_greet(&drive, 0, &hello);
    drive_rows(&drive, 0, 4, 1, 3, 300);
    assert_null(drive_update(&drive, UPDATE_SEND_PIECE, 0));
    drive_rows(&drive, 0, 0, 1, 1, 400);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_PIECE, 0)->channel, 0);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_PIECE, 1)->channel, 4);
    drive_finish(&drive);
}

static void a_row_larger_than_the_credit_is_finished(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[4] = 2};
    drive_init(&drive, 1, 1 << 20);
    drive_parent(&drive, 7, ends);
    drive_rows(&drive, 0, 4, 1, 2, 300000); // credit is 64 KiB
    uint64_t offset = 0;
    for (int i = 0; i < 1000 && offset < 300000; i++) {
        const struct core_update *piece;
        for (uint32_t k = 0; (piece = drive_update(&drive, UPDATE_SEND_PIECE, k)); k++) {
            assert_int_equal(piece->piece.position, 1);
            offset = piece->piece.offset + piece->piece.length;
        }
        struct core_event event = {.type = EVENT_ACK, .session = 7, .channel = 4};
        event.ack.credit_bytes = 65536;
        event.ack.received_position = 1;
        event.ack.received_offset = (uint32_t)offset;
        drive.now_ms += 50;
        drive_step(&drive, event);
    }
    assert_int_equal(offset, 300000);
    assert_null(drive_update(&drive, UPDATE_SEND_PIECE, 0)); // the next row waits: one whole row takes more than the credit
    drive_ack(&drive, 0, 7, 4, 1, 65536);
    assert_int_equal(drive_update(&drive, UPDATE_SEND_PIECE, 0)->piece.position, 2);
    drive_finish(&drive);
}

static void rows_are_loaded_ahead_and_no_more(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[4] = 1000};
    drive_init(&drive, 1, 1 << 20);
    drive_parent(&drive, 7, ends);
    assert_int_equal(drive_update(&drive, UPDATE_LOAD, 0)->load.max, CORE_ROWS_MAX);
    drive_rows(&drive, 0, 4, 1, CORE_ROWS_MAX, 600);
    assert_null(drive_update(&drive, UPDATE_LOAD, 0));
    for (uint64_t position = 1; position < 20; position++) {
        drive.now_ms += 10;
        drive_ack(&drive, 0, 7, 4, 1, 65536);
        if (drive_update(&drive, UPDATE_LOAD, 0))
            break;
        drive_ack(&drive, 0, 7, 4, 3, 65536);
        if (drive_update(&drive, UPDATE_LOAD, 0))
            break;
        struct core_link_status status;
        core_link(drive.core, 0, &status);
        struct core_event ping = {.type = EVENT_PING, .session = 7}; // confirms everything
        ping.ping.reply = true;
        for (uint32_t token = 0; token < 40000 && !drive_update(&drive, UPDATE_LOAD, 0); token += 800) {
            ping.ping.token = token;
            drive_step(&drive, ping);
        }
        if (drive_update(&drive, UPDATE_LOAD, 0))
            break;
    }
    const struct core_update *load = drive_update(&drive, UPDATE_LOAD, 0);
    assert_non_null(load);
    assert_int_equal(load->load.after, CORE_ROWS_MAX);
    assert_in_range(load->load.max, CORE_ROWS_MAX / 2, CORE_ROWS_MAX);
    drive_finish(&drive);
}

static void both_streams_of_a_lane_get_turns(void **unused)
{
    (void)unused;
    struct drive drive;
    uint64_t ends[CORE_CHANNELS] = {[5 + 4] = 20, [10 + 4] = 20};
    drive_init(&drive, 2, 1 << 20);
    drive_add(&drive, 1, ends);
    drive_child(&drive, 1, 7);
    assert_int_equal(drive_update(&drive, UPDATE_LOAD, 0)->channel, 9);
    assert_int_equal(drive_update(&drive, UPDATE_LOAD, 1)->channel, 14);
    drive_rows(&drive, 1, 9, 1, 20, 100000);
    drive_rows(&drive, 1, 14, 1, 20, 100000);
    unsigned turns[CORE_CHANNELS] = {0};
    uint64_t offsets[CORE_CHANNELS] = {[9] = 3072};
    for (int i = 0; i < 60; i++) {
        struct core_event event = {.type = EVENT_ACK, .link = 1, .session = 7, .channel = i % 2 ? 9 : 14};
        event.ack.credit_bytes = 1 << 20;
        event.ack.received_position = offsets[event.channel] ? 1 : 0;
        event.ack.received_offset = (uint32_t)offsets[event.channel];
        drive.now_ms += 200;
        drive_step(&drive, event);
        const struct core_update *piece;
        for (uint32_t k = 0; (piece = drive_update(&drive, UPDATE_SEND_PIECE, k)); k++)
            if (piece->piece.position == 1) {
                turns[piece->channel]++;
                offsets[piece->channel] = piece->piece.offset + piece->piece.length;
            }
    }
    assert_true(turns[9] >= 5 && turns[14] >= 5);
    assert_in_range(turns[9], turns[14] * 2 / 3, turns[14] * 3 / 2 + 1);
    drive_finish(&drive);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_more_than_the_window_is_in_flight),  cmocka_unit_test(urgent_goes_first_and_beside_a_full_window),
        cmocka_unit_test(nothing_goes_before_urgent_rows_that_are_being_loaded),
        cmocka_unit_test(without_credit_one_small_piece_knocks), cmocka_unit_test(a_row_larger_than_the_credit_is_finished),
        cmocka_unit_test(rows_are_loaded_ahead_and_no_more),     cmocka_unit_test(both_streams_of_a_lane_get_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
