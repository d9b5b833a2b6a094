#include "relay/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void fault_59_a_burst_passes_then_a_rate(void **state)
{
    (void)state;
    struct gate gate = {0};
    uint64_t now = 1000000000;
    for (int i = 0; i < GATE_BURST; i++)
        assert_true(gate_admit(&gate, now));
    assert_false(gate_admit(&gate, now));
    assert_false(gate_admit(&gate, now)); // asking costs nothing
    now += 1000000;
    for (int i = 0; i < GATE_RATE; i++)
        assert_true(gate_admit(&gate, now));
    assert_false(gate_admit(&gate, now));
    now += 3600000000ull; // a long rest adds up to one burst, and no more
    for (int i = 0; i < GATE_BURST; i++)
        assert_true(gate_admit(&gate, now));
    assert_false(gate_admit(&gate, now));
}

static void a_lease_runs_while_somebody_is_on(void **state)
{
    (void)state;
    struct gate gate = {0};
    assert_false(gate_wants_lease(&gate));
    gate_change(&gate, 1);
    assert_true(gate_wants_lease(&gate));
    gate_lease(&gate, 5000, 1000);
    assert_false(gate_wants_lease(&gate));
    gate_change(&gate, 1);
    gate_change(&gate, -1);
    assert_false(gate_over(&gate, 5000 + GATE_LEASE_MS - 1, 0));
    assert_true(gate_over(&gate, 5000 + GATE_LEASE_MS, 0));
    gate_change(&gate, -1);
    assert_false(gate_over(&gate, 5000 + GATE_LEASE_MS, 0)); // all went by themselves
    assert_false(gate_wants_lease(&gate));
    gate_change(&gate, 1);
    assert_true(gate_wants_lease(&gate)); // a new one
    gate_lease(&gate, 90000, 1000);
    gate_emptied(&gate);
    assert_false(gate_over(&gate, UINT64_MAX, INT64_MAX));
    assert_false(gate_wants_lease(&gate));
}

static void fault_43_a_lease_ends_when_memory_grows(void **state)
{
    (void)state;
    struct gate gate = {0};
    gate_change(&gate, 1);
    (void)gate_wants_lease(&gate);
    gate_lease(&gate, 5000, 1000);
    assert_false(gate_over(&gate, 5001, 1000 + GATE_GROWTH));
    assert_true(gate_over(&gate, 5001, 1000 + GATE_GROWTH + 1));
    gate_answered(&gate, 500); // our own answers don't count
    assert_false(gate_over(&gate, 5001, 1000 + GATE_GROWTH + 500));
    assert_true(gate_over(&gate, 5001, 1000 + GATE_GROWTH + 501));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_59_a_burst_passes_then_a_rate),
        cmocka_unit_test(a_lease_runs_while_somebody_is_on),
        cmocka_unit_test(fault_43_a_lease_ends_when_memory_grows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
