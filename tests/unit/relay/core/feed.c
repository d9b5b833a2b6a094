// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "relay/core/feed.h"

static struct hash hash_of(uint8_t byte)
{
    struct hash hash = {{0}};
    hash.bytes[0] = byte;
    return hash;
}

// A feed that holds two batches, 1..3 (header 1) and 4..5 (header 2).
static struct feed_state held_feed(void)
{
    struct feed_state state;
    feed_state_init(&state);
    feed_extend(&state, &(struct feed_claim){.first = 1, .count = 3, .header = hash_of(1)}, true, true);
    feed_extend(&state, &(struct feed_claim){.first = 4, .count = 2, .header = hash_of(2), .prev = hash_of(1)}, true, true);
    return state;
}

static void begins_at_one(void **unused)
{
    (void)unused;
    struct feed_state state;
    feed_state_init(&state);
    assert_int_equal(state.next, 1);
    assert_int_equal(state.bodies, 1);
    struct feed_claim claim = {.first = 1, .count = 1, .header = hash_of(1)};
    assert_int_equal(feed_admit(&state, &claim, NULL, false, true), ADMIT_NEXT);
    claim.prev = hash_of(9); // a first batch that follows something
    assert_int_equal(feed_admit(&state, &claim, NULL, false, true), ADMIT_FORK);
}

static void fault_23_24_a_replay_is_a_duplicate(void **unused)
{
    (void)unused;
    struct feed_state state = held_feed();
    struct feed_claim claim = {.first = 4, .count = 2, .header = hash_of(2), .prev = hash_of(1)};
    struct hash held = hash_of(2);
    assert_int_equal(feed_admit(&state, &claim, &held, true, true), ADMIT_DUPLICATE);
    assert_int_equal(feed_admit(&state, &claim, &held, true, false), ADMIT_DUPLICATE);
    assert_int_equal(feed_admit(&state, &claim, &held, false, false), ADMIT_DUPLICATE);
    assert_int_equal(feed_admit(&state, &claim, &held, false, true), ADMIT_BODY);
}

static void fault_26_a_hole_is_refused(void **unused)
{
    (void)unused;
    struct feed_state state = held_feed();
    for (uint64_t first = 7; first < 20; first++)
        assert_int_equal(feed_admit(&state, &(struct feed_claim){.first = first, .count = 1, .header = hash_of(3), .prev = hash_of(2)},
                                    NULL, false, true),
                         ADMIT_GAP);
    assert_int_equal(feed_admit(&state, &(struct feed_claim){.first = UINT64_MAX, .count = 1000, .header = hash_of(3)}, NULL, false, true),
                     ADMIT_GAP);
}

static void fault_22_a_second_history_is_kept_apart(void **unused)
{
    (void)unused;
    struct feed_state state = held_feed();
    struct hash held = hash_of(2);
    // another header for a held place
    assert_int_equal(
        feed_admit(&state, &(struct feed_claim){.first = 4, .count = 2, .header = hash_of(7), .prev = hash_of(1)}, &held, true, true),
        ADMIT_FORK);
    // a batch that begins inside a held one
    assert_int_equal(feed_admit(&state, &(struct feed_claim){.first = 5, .count = 9, .header = hash_of(7)}, NULL, false, true), ADMIT_FORK);
    // the next place, but after another predecessor
    assert_int_equal(
        feed_admit(&state, &(struct feed_claim){.first = 6, .count = 1, .header = hash_of(7), .prev = hash_of(8)}, NULL, false, true),
        ADMIT_FORK);
    // no place at all
    assert_int_equal(feed_admit(&state, &(struct feed_claim){.first = 0, .count = 1, .header = hash_of(7)}, NULL, false, true), ADMIT_FORK);
}

static void admission_ignores_dispute(void **unused)
{
    (void)unused;
    struct feed_state state = held_feed();
    state.disputed = true;
    assert_int_equal(
        feed_admit(&state, &(struct feed_claim){.first = 6, .count = 1, .header = hash_of(3), .prev = hash_of(2)}, NULL, false, true),
        ADMIT_NEXT);
}

static void bodies_stop_at_the_first_that_lacks(void **unused)
{
    (void)unused;
    struct feed_state state = held_feed();
    assert_int_equal(state.bodies, 6);
    feed_extend(&state, &(struct feed_claim){.first = 6, .count = 4, .header = hash_of(3)}, false, false); // not entitled: nothing lacks
    assert_int_equal(state.bodies, 10);
    feed_extend(&state, &(struct feed_claim){.first = 10, .count = 1, .header = hash_of(4)}, false, true); // withheld
    feed_extend(&state, &(struct feed_claim){.first = 11, .count = 1, .header = hash_of(5)}, true, true);
    assert_int_equal(state.bodies, 10);
    assert_int_equal(state.next, 12);
    struct hash last = hash_of(5);
    assert_true(hash_equal(&state.last, &last));
}

static void reach_counts_tiers(void **unused)
{
    (void)unused;
    assert_true(reach_entitles(0, 0));
    assert_false(reach_entitles(0, 1));
    assert_true(reach_entitles(2, 2));
    assert_false(reach_entitles(2, 3));
    assert_true(reach_entitles(REACH_TOP, 300));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(begins_at_one),
        cmocka_unit_test(fault_23_24_a_replay_is_a_duplicate),
        cmocka_unit_test(fault_26_a_hole_is_refused),
        cmocka_unit_test(fault_22_a_second_history_is_kept_apart),
        cmocka_unit_test(admission_ignores_dispute),
        cmocka_unit_test(bodies_stop_at_the_first_that_lacks),
        cmocka_unit_test(reach_counts_tiers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
