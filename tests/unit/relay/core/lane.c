// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "relay/core/lane.h"

static unsigned serve(struct lane_scheduler *scheduler, const uint32_t next_bytes[LANES])
{
    unsigned lane = lane_pick(scheduler, next_bytes);
    if (lane)
        lane_spend(scheduler, lane, next_bytes);
    return lane;
}

static void serves_in_order(void **unused)
{
    (void)unused;
    struct lane_scheduler scheduler;
    lane_init(&scheduler);
    assert_int_equal(lane_pick(&scheduler, (uint32_t[LANES]){0}), 0);
    for (unsigned lane = 1; lane <= LANES; lane++) {
        uint32_t next_bytes[LANES] = {0};
        for (unsigned i = lane; i <= LANES; i++)
            next_bytes[i - 1] = 1000;
        lane_init(&scheduler);
        assert_int_equal(serve(&scheduler, next_bytes), lane);
    }
}

// Each lane that has work gets 5 % at least, whatever the sizes of pieces; the highest one the rest.
static void each_keeps_its_share(void **unused)
{
    (void)unused;
    static const uint32_t sizes[][LANES] = {{1000, 1000, 1000, 1000, 1000},
                                            {300, 16384, 16384, 16384, 16384},
                                            {0, 16384, 300, 300, 300},
                                            {0, 700, 16384, 1, 9000},
                                            {0, 0, 400, 16384, 16384}};
    for (unsigned s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct lane_scheduler scheduler;
        lane_init(&scheduler);
        uint64_t sent[LANES] = {0}, sum = 0;
        for (int i = 0; i < 200000; i++) {
            unsigned lane = serve(&scheduler, sizes[s]);
            sent[lane - 1] += sizes[s][lane - 1];
            sum += sizes[s][lane - 1];
        }
        bool first = true;
        for (unsigned i = 0; i < LANES; i++) {
            if (!sizes[s][i])
                continue;
            assert_true(sent[i] * 100 >= sum * 5);
            if (first)
                assert_true(sent[i] * 100 >= sum * 70);
            first = false;
        }
    }
}

static void beside_long_urgent_pieces_small_ones_get_turns(void **unused)
{
    (void)unused;
    struct lane_scheduler scheduler;
    lane_init(&scheduler);
    uint32_t next_bytes[LANES] = {16384, 300, 1, 300, 16384};
    unsigned turns[LANES] = {0};
    for (int i = 0; i < 16000; i++)
        turns[serve(&scheduler, next_bytes) - 1]++;
    for (unsigned i = 1; i < 4; i++)
        assert_true(turns[i] >= 800);
    assert_true(turns[4] * 20 >= turns[0]); // as long as urgent's: its full share
    assert_true(turns[0] >= 8000);
}

static void urgent_waits_for_one_piece_at_most(void **unused)
{
    (void)unused;
    struct lane_scheduler scheduler;
    lane_init(&scheduler);
    uint32_t random = 1;
    int behind = 0;
    for (int i = 0; i < 200000; i++) {
        uint32_t next_bytes[LANES];
        for (unsigned k = 0; k < LANES; k++) {
            random = random * 1664525u + 1013904223u;
            next_bytes[k] = random >> 30 ? 1 + (random >> 8) % 16384 : 0;
        }
        unsigned lane = serve(&scheduler, next_bytes);
        behind = next_bytes[0] && lane != 1 ? behind + 1 : 0;
        assert_true(behind <= 1);
        assert_true(lane == 0 || next_bytes[lane - 1]);
    }
}

static void an_idle_lane_saves_nothing(void **unused)
{
    (void)unused;
    struct lane_scheduler scheduler;
    lane_init(&scheduler);
    uint32_t busy[LANES] = {16384, 0, 0, 0, 1}, both[LANES] = {100, 0, 0, 0, 16384};
    for (int i = 0; i < 1000; i++)
        serve(&scheduler, busy);
    assert_true(scheduler.owed[4] <= 4 * FRAME_MAX * LANE_SHARE);
    serve(&scheduler, (uint32_t[LANES]){100, 0, 0, 0, 0}); // bulk has nothing to send now
    assert_int_equal(scheduler.owed[4], 0);
    assert_int_equal(serve(&scheduler, both), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(serves_in_order),
        cmocka_unit_test(each_keeps_its_share),
        cmocka_unit_test(beside_long_urgent_pieces_small_ones_get_turns),
        cmocka_unit_test(urgent_waits_for_one_piece_at_most),
        cmocka_unit_test(an_idle_lane_saves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
