// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "relay/core/window.h"

// A line of `rate` bytes a second with `delay_ms` there and back, kept full by pieces of the size that the window asks for.
struct line {
    struct window window;
    uint32_t rate, delay_ms;
    uint64_t now_ms, free_us;
    struct {
        uint64_t at_ms;
        uint32_t upto;
    } arrivals[8192];
    unsigned first, count;
    uint32_t in_flight_max;
};

static void run(struct line *line, uint64_t ms)
{
    for (uint64_t end = line->now_ms + ms; line->now_ms < end; line->now_ms++) {
        while (line->count && line->arrivals[line->first].at_ms <= line->now_ms) {
            window_confirm(&line->window, line->now_ms, line->arrivals[line->first].upto);
            line->first = (line->first + 1) % 8192;
            line->count--;
        }
        uint32_t piece = window_piece_max(&line->window);
        while (line->count < 8192 && window_admits(&line->window, piece, false)) {
            window_sent(&line->window, line->now_ms, piece);
            if (line->free_us < line->now_ms * 1000)
                line->free_us = line->now_ms * 1000;
            line->free_us += (uint64_t)piece * 1000000 / line->rate;
            unsigned at = (line->first + line->count++) % 8192;
            line->arrivals[at].at_ms = line->free_us / 1000 + line->delay_ms;
            line->arrivals[at].upto = line->window.sent;
        }
        uint32_t in_flight = window_in_flight(&line->window);
        line->in_flight_max = in_flight > line->in_flight_max ? in_flight : line->in_flight_max;
    }
}

static void starts_small_and_finds_the_rate(void **unused)
{
    (void)unused;
    static const struct {
        uint32_t rate, delay_ms;
    } lines[] = {{8000, 50}, {8000, 600}, {100000, 20}, {1000000, 5}, {4000000, 200}, {60000, 1500}};
    for (unsigned i = 0; i < sizeof lines / sizeof *lines; i++) {
        static struct line line;
        line = (struct line){.rate = lines[i].rate, .delay_ms = lines[i].delay_ms, .now_ms = 5};
        window_init(&line.window);
        assert_int_equal(line.window.limit, WINDOW_START);
        assert_int_equal(window_piece_max(&line.window), FRAME_MIN);
        run(&line, 20000);
        uint32_t confirmed = line.window.confirmed;
        run(&line, 20000);
        uint64_t carried = line.window.confirmed - confirmed; // in 20 s
        assert_true(carried >= (uint64_t)line.rate * 20 * 8 / 10);
        assert_in_range(line.window.rate, line.rate * 7 / 10, line.rate * 12 / 10);
        uint64_t bound = (uint64_t)line.rate * (lines[i].delay_ms > 500 ? 3300 : 1200) / 1000;
        assert_true(line.in_flight_max <= (bound > WINDOW_MIN ? bound : WINDOW_MIN));
    }
}

static void follows_a_line_that_gets_slower(void **unused)
{
    (void)unused;
    static struct line line;
    line = (struct line){.rate = 200000, .delay_ms = 30, .now_ms = 5};
    window_init(&line.window);
    run(&line, 10000);
    line.rate = 20000;
    run(&line, 60000);
    assert_true(line.window.limit < 40000);
    assert_true(line.window.rate < 40000);
}

static void a_quiet_sender_does_not_lower_the_rate(void **unused)
{
    (void)unused;
    static struct line line;
    line = (struct line){.rate = 100000, .delay_ms = 30, .now_ms = 5};
    window_init(&line.window);
    run(&line, 10000);
    while (window_in_flight(&line.window))
        window_confirm(&line.window, line.now_ms += 100, line.window.sent);
    uint32_t rate = line.window.rate;
    for (int i = 0; i < 100; i++) {
        window_sent(&line.window, line.now_ms, 100);
        window_confirm(&line.window, line.now_ms += 200, line.window.sent);
    }
    assert_true(line.window.rate >= rate);
}

static void one_piece_always_goes(void **unused)
{
    (void)unused;
    struct window window;
    window_init(&window);
    assert_true(window_admits(&window, 1 << 20, false));
    window_sent(&window, 1, 1 << 20);
    assert_false(window_admits(&window, 1, false));
    assert_false(window_admits(&window, 1, true));
}

static void urgent_has_room_of_its_own(void **unused)
{
    (void)unused;
    struct window window;
    window_init(&window);
    window_sent(&window, 1, WINDOW_START);
    assert_false(window_admits(&window, 1000, false));
    assert_true(window_admits(&window, 1000, true));
    window_sent(&window, 1, WINDOW_START / 2);
    assert_false(window_admits(&window, 1, true));
}

static void impossible_confirmations_are_none(void **unused)
{
    (void)unused;
    struct window window;
    window_init(&window);
    window.sent = window.confirmed = UINT32_MAX - 500; // the counts wrap
    window_sent(&window, 1, 2000);
    assert_false(window_confirm(&window, 2, window.sent + 1));
    assert_false(window_confirm(&window, 2, window.confirmed));
    assert_false(window_confirm(&window, 2, window.confirmed - 7));
    assert_int_equal(window_in_flight(&window), 2000);
    assert_true(window_confirm(&window, 2, window.sent - 100));
    assert_int_equal(window_in_flight(&window), 100);
    assert_true(window_confirm(&window, 1, window.sent)); // time that stands still
    assert_int_equal(window_in_flight(&window), 0);
}

static void the_window_has_an_end(void **unused)
{
    (void)unused;
    struct window window;
    window_init(&window);
    for (int i = 0; i < 100; i++) {
        while (window_admits(&window, FRAME_MAX, false))
            window_sent(&window, 10, FRAME_MAX);
        window_confirm(&window, 10, window.sent); // in no time at all
    }
    assert_int_equal(window.limit, WINDOW_MAX);
    assert_int_equal(window_piece_max(&window), FRAME_MAX);
}

static void rates_and_trips_beyond_32_bits_are_cut(void **unused)
{
    (void)unused;
    struct window window;
    window_init(&window);
    window_sent(&window, 1000, 5000000);
    assert_true(window_confirm(&window, 1001, 5000000)); // 5 GB a second
    assert_int_equal(window.rate, UINT32_MAX);
    window_init(&window);
    window_sent(&window, 0, 1000);
    assert_true(window_confirm(&window, UINT64_C(1) << 33, 1000)); // a century
    assert_int_equal(window.trip_ms, UINT32_MAX);
}

static void trail_confirms_what_went_before(void **unused)
{
    (void)unused;
    struct trail trail;
    uint32_t upto = 0;
    trail_clear(&trail);
    trail_add(&trail, &(struct trail_point){.channel = 4, .position = 7, .offset = 1000, .upto = 1});
    trail_add(&trail, &(struct trail_point){.channel = 2, .position = 3, .offset = 500, .upto = 2});
    trail_add(&trail, &(struct trail_point){.channel = 4, .position = 7, .offset = 2000, .upto = 3});
    assert_false(trail_confirm(&trail, 4, 7, 999, &upto));
    assert_false(trail_confirm(&trail, 4, 6, 9999, &upto));
    assert_true(trail_confirm(&trail, 2, 3, 500, &upto));
    assert_int_equal(upto, 2);
    assert_false(trail_confirm(&trail, 4, 7, 1999, &upto));
    assert_true(trail_confirm(&trail, 4, 8, 1, &upto));
    assert_int_equal(upto, 3);
    assert_int_equal(trail.count, 0);
    for (uint32_t i = 1; i <= 1000; i++) // bounded, and the last is never lost
        trail_add(&trail, &(struct trail_point){.channel = i % 3, .position = 1, .offset = i, .upto = i});
    assert_true(trail.count <= TRAIL_MAX);
    assert_true(trail_confirm(&trail, 1000 % 3, 1, 1000, &upto));
    assert_int_equal(upto, 1000);
    trail_add(&trail, &(struct trail_point){.channel = 1, .position = 1, .offset = 1, .upto = 1});
    trail_forget(&trail, 1);
    assert_int_equal(trail.count, 0);
}

static void flight_is_bounded_and_exact_in_sum(void **unused)
{
    (void)unused;
    struct flight flight;
    uint32_t upto = 0, sum = 0;
    flight_clear(&flight);
    for (uint32_t i = 1; i <= 500; i++) {
        flight_add(&flight, i, i * 10, i);
        sum += i;
        assert_int_equal(flight.bytes, sum);
        assert_true(flight.count <= FLIGHT_GROUPS);
    }
    assert_false(flight_release(&flight, 0, &upto));
    uint32_t before = flight.bytes;
    for (uint32_t i = 1; i < 500; i++)
        if (flight_release(&flight, i, &upto)) {
            assert_true(upto <= i * 10);
            assert_true(flight.bytes < before);
            before = flight.bytes;
        }
    assert_true(flight.bytes > 0);
    assert_true(flight_release(&flight, 500, &upto));
    assert_int_equal(upto, 5000);
    assert_int_equal(flight.bytes, 0);
    assert_int_equal(flight.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_small_and_finds_the_rate),
        cmocka_unit_test(follows_a_line_that_gets_slower),
        cmocka_unit_test(a_quiet_sender_does_not_lower_the_rate),
        cmocka_unit_test(one_piece_always_goes),
        cmocka_unit_test(urgent_has_room_of_its_own),
        cmocka_unit_test(impossible_confirmations_are_none),
        cmocka_unit_test(the_window_has_an_end),
        cmocka_unit_test(trail_confirms_what_went_before),
        cmocka_unit_test(flight_is_bounded_and_exact_in_sum),
        cmocka_unit_test(rates_and_trips_beyond_32_bits_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
