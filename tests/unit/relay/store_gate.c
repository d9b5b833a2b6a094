#include "relay/store_gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static unsigned grown, adopted;
static bool possible;

static bool grow(void *context, bool adopt)
{
    const struct store_gate *gate = context;
    assert_int_equal(gate->open, 0);
    grown++;
    adopted += adopt;
    return possible;
}

static struct store_gate gate;

static int setup(void **state)
{
    (void)state;
    grown = adopted = 0;
    possible = true;
    store_gate_init(&gate, grow, &gate);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    store_gate_finish(&gate);
    return 0;
}

static void test_grows_when_nothing_is_open(void **state)
{
    (void)state;
    assert_true(store_gate_enter(&gate));
    store_gate_want(&gate, false);
    assert_int_equal(grown, 0); // one is open
    store_gate_leave(&gate);
    assert_true(store_gate_enter(&gate));
    assert_int_equal(grown, 1);
    store_gate_leave(&gate);
    assert_true(store_gate_enter(&gate)); // once
    store_gate_leave(&gate);
    assert_int_equal(grown, 1);
    assert_int_equal(adopted, 0);
    store_gate_want(&gate, true);
    store_gate_want(&gate, false); // what another process has made of it is at least that
    assert_true(store_gate_enter(&gate));
    store_gate_leave(&gate);
    assert_int_equal(adopted, 1);
}

static void test_one_that_stays_makes_the_map_wait(void **state)
{
    (void)state;
    assert_true(store_gate_enter(&gate));
    store_gate_want(&gate, false);
    assert_true(store_gate_enter(&gate)); // after its patience
    assert_int_equal(grown, 0);
    store_gate_leave(&gate);
    store_gate_leave(&gate);
    assert_true(store_gate_enter(&gate));
    assert_int_equal(grown, 1);
    store_gate_leave(&gate);
}

static void *leave(void *argument)
{
    store_gate_leave(argument);
    return NULL;
}

static void test_waits_for_one_that_ends(void **state)
{
    (void)state;
    pthread_t thread;
    assert_true(store_gate_enter(&gate));
    store_gate_want(&gate, false);
    assert_int_equal(pthread_create(&thread, NULL, leave, &gate), 0);
    assert_true(store_gate_enter(&gate));
    assert_int_equal(grown, 1);
    pthread_join(thread, NULL);
    store_gate_leave(&gate);
}

static void test_without_a_map_nobody_enters(void **state)
{
    (void)state;
    possible = false;
    assert_true(store_gate_hold(&gate));
    store_gate_release(&gate);
    store_gate_want(&gate, false);
    assert_false(store_gate_enter(&gate));
    assert_false(store_gate_enter(&gate));
    assert_int_equal(grown, 1);
    assert_false(store_gate_hold(&gate));
    store_gate_release(&gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_grows_when_nothing_is_open, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_stays_makes_the_map_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waits_for_one_that_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_a_map_nobody_enters, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
