// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "relay/core/backoff.h"

static void first_is_within_200_ms(void **unused)
{
    (void)unused;
    uint32_t low = UINT32_MAX, high = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct backoff backoff;
        backoff_init(&backoff, seed);
        uint32_t wait = backoff_first(&backoff);
        low = wait < low ? wait : low;
        high = wait > high ? wait : high;
    }
    assert_true(low < 5);
    assert_in_range(high, 195, BACKOFF_FIRST_MS);
}

static void fault_56_failures_double_up_to_the_cap(void **unused)
{
    (void)unused;
    uint32_t ceiling = BACKOFF_BASE_MS;
    for (int failures = 0; failures < 300; failures++) {
        uint32_t high = 0;
        for (uint64_t seed = 0; seed < 100; seed++) {
            struct backoff backoff;
            backoff_init(&backoff, seed * 977);
            for (int i = 0; i < failures; i++)
                backoff_failed(&backoff);
            uint32_t wait = backoff_failed(&backoff);
            assert_in_range(wait, 1, ceiling);
            high = wait > high ? wait : high;
        }
        assert_true(high > ceiling / 10 * 8); // full jitter reaches nearly to the ceiling
        ceiling = 2 * ceiling < BACKOFF_CAP_MS ? 2 * ceiling : BACKOFF_CAP_MS;
    }
}

static void refusals_wait_half_a_minute_to_five(void **unused)
{
    (void)unused;
    struct backoff backoff;
    backoff_init(&backoff, 5);
    assert_in_range(backoff_refused(&backoff), BACKOFF_REFUSED_MS, 2 * BACKOFF_REFUSED_MS);
    uint32_t high = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t wait = backoff_refused(&backoff);
        assert_in_range(wait, BACKOFF_REFUSED_MS, BACKOFF_REFUSED_CAP_MS);
        high = wait > high ? wait : high;
    }
    assert_true(high > BACKOFF_REFUSED_CAP_MS - 10000);
}

static void reset_begins_anew_and_goes_on_drawing(void **unused)
{
    (void)unused;
    struct backoff backoff;
    backoff_init(&backoff, 9);
    for (int i = 0; i < 20; i++)
        backoff_failed(&backoff);
    uint64_t random = backoff.random;
    backoff_reset(&backoff);
    assert_int_equal(backoff.random, random);
    assert_in_range(backoff_failed(&backoff), 1, BACKOFF_BASE_MS);
}

static void the_same_seed_waits_the_same(void **unused)
{
    (void)unused;
    struct backoff a, b, c;
    backoff_init(&a, 42);
    backoff_init(&b, 42);
    backoff_init(&c, 43);
    int other = 0;
    for (int i = 0; i < 50; i++) {
        uint32_t wait = backoff_failed(&a);
        assert_int_equal(wait, backoff_failed(&b));
        other += wait != backoff_failed(&c);
    }
    assert_true(other > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_is_within_200_ms),
        cmocka_unit_test(fault_56_failures_double_up_to_the_cap),
        cmocka_unit_test(refusals_wait_half_a_minute_to_five),
        cmocka_unit_test(reset_begins_anew_and_goes_on_drawing),
        cmocka_unit_test(the_same_seed_waits_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
