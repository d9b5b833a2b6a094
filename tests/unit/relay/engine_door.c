// The hourly test of the door: what the engine does with each outcome. The linker leads the test and the waiting through here.
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "relay/engine_inside.h"

#include <stdlib.h>
#include <string.h>

static struct engine *engine;
static const struct certificate self;
static enum error_code outcome;
static unsigned tests_made, said, alarms;

enum error_code __wrap_transport_self_test(struct transport *transport, struct error *error);
bool __wrap_transport_wait(struct transport *transport, int timeout_ms, struct transport_event *ret);
void __wrap_transport_wake(struct transport *transport);

void __wrap_transport_wake(struct transport *transport) { (void)transport; }

enum error_code __wrap_transport_self_test(struct transport *transport, struct error *error)
{
    (void)transport;
    tests_made++;
    return outcome == OK ? OK : error_set(error, outcome, "the door: %s", error_name(outcome));
}

bool __wrap_transport_wait(struct transport *transport, int timeout_ms, struct transport_event *ret)
{
    (void)transport;
    (void)ret;
    assert_true(timeout_ms > 0); // an hour, and no spinning until then
    return false;
}

static void on_log(void *context, bool alarm, const char *text)
{
    (void)context;
    assert_non_null(strstr(text, error_name(outcome)));
    said++;
    alarms += alarm;
}

static int64_t on_due(void *context)
{
    (void)context;
    return -1;
}

static int setup(void **state)
{
    (void)state;
    struct core_config config = {.links_max = 1, .seed = 3, .generation = 5, .pool_bytes = 1 << 20};
    void *memory = calloc(1, core_size(&config));
    engine = calloc(1, sizeof *engine);
    assert_true(memory && engine);
    engine->core = core_init(memory, &config);
    engine->config.listen = "tcp://127.0.0.1:7310";
    engine->config.self = &self;
    engine->config.hooks.log = on_log;
    engine->config.hooks.due_ms = on_due;
    engine->look_again_ms = engine->past_ms = engine->ask_ms = UINT64_MAX;
    pthread_mutex_init(&engine->status_mutex, NULL);
    pthread_cond_init(&engine->status_cond, NULL);
    assert_true(links_init(&engine->links, 1));
    assert_true(engine_heads_create(engine));
    tests_made = said = alarms = 0;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    engine_heads_destroy(engine);
    links_finish(&engine->links);
    pthread_mutex_destroy(&engine->status_mutex);
    pthread_cond_destroy(&engine->status_cond);
    free(engine->core);
    free(engine);
    return 0;
}

static void test_it(enum error_code code)
{
    outcome = code;
    engine->self_test_ms = 0; // an hour has passed
    for (int i = 0; i < 10; i++)
        engine_turn(engine);
}

static void fault_52_a_door_that_gives_no_verdict_is_told_once_a_test(void **state)
{
    (void)state;
    test_it(OK);
    assert_true(tests_made == 1 && said == 0);
    test_it(ERR_TIMEOUT);
    assert_true(tests_made == 2 && said == 1 && alarms == 1);
    test_it(ERR_BUSY); // no descriptors for it just now
    assert_true(tests_made == 3 && said == 2 && alarms == 1);
    assert_false(atomic_load(&engine->stop)); // nobody is let in meanwhile: those who are, stay
    assert_int_equal(engine->failure.code, OK);
}

static void fault_52_a_door_that_lets_strangers_in_stops_the_node(void **state)
{
    (void)state;
    outcome = ERR_STATE;
    engine->self_test_ms = 0;
    engine_turn(engine);
    assert_true(atomic_load(&engine->stop));
    assert_int_equal(engine->failure.code, ERR_STATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fault_52_a_door_that_gives_no_verdict_is_told_once_a_test, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_52_a_door_that_lets_strangers_in_stops_the_node, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
