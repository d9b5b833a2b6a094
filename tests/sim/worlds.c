// Worlds with fixed seeds: every topology under every fault, the same digest twice, and each checker's own test: a bug built in on purpose
// that this checker, and no other, finds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/sim/sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static struct sim_result result;

static void run(struct sim_config config)
{
    if (!sim_run(&config, &result))
        fail_msg("%s", result.story);
}

static void holds(struct sim_config config)
{
    run(config);
    if (result.failed)
        fail_msg("checker '%s': sim --seed %" PRIu64 " --stations %u --hours %g --topology %s --load %u (faults %#x)\n%s", result.checker,
                 config.seed, config.stations, config.minutes / 60.0, config.topology, config.load, config.faults, result.story);
    assert_true(result.batches > 0);
}

static uint32_t faults(const char *list)
{
    uint32_t ret;
    assert_true(sim_faults_parse(list, &ret));
    return ret;
}

// ---- worlds

static void test_a_calm_world(void **state)
{
    (void)state;
    holds((struct sim_config){.seed = 1, .stations = 12, .minutes = 120, .topology = "random"});
    assert_int_equal(result.paths[SIM_PATH_gap], 0);
    assert_int_equal(result.paths[SIM_PATH_heads], 0);
}

static void test_fault_1_2_stations_stop_at_any_step(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        holds((struct sim_config){
            .seed = seed, .stations = 9, .minutes = 120, .load = 60, .faults = faults("crash,commit"), .topology = "random"});
    assert_true(result.injected[SIM_FAULT_crash] > 0);
}

static void test_fault_7_full_disks(void **state)
{
    (void)state;
    holds((struct sim_config){.seed = 5, .stations = 9, .minutes = 240, .load = 60, .faults = faults("full,disk"), .topology = "random"});
    assert_true(result.paths[SIM_PATH_full] > 0);
}

static void test_fault_23_to_26_lines_that_break_and_repeat(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        holds((struct sim_config){
            .seed = seed, .stations = 8, .minutes = 120, .load = 60, .faults = faults("break,lose,replay,slow"), .topology = "chain"});
    assert_true(result.injected[SIM_FAULT_break] > 0);
}

static void test_fault_54_to_57_partitions(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++)
        holds((struct sim_config){.seed = seed, .stations = 20, .minutes = 180, .faults = faults("partition,oneway"), .topology = "star"});
    assert_true(result.injected[SIM_FAULT_oneway] > 0);
}

static void test_fault_58_clocks_jump_ten_years(void **state)
{
    (void)state;
    holds((struct sim_config){.seed = 7, .stations = 9, .minutes = 480, .faults = faults("clock"), .topology = "random"});
    assert_true(result.injected[SIM_FAULT_clock] > 10);
}

static void test_fault_27_the_middle_changes_what_it_passes_on(void **state)
{
    (void)state;
    holds((struct sim_config){.seed = 8, .stations = 9, .minutes = 240, .load = 60, .faults = faults("tamper"), .topology = "random"});
    assert_true(result.paths[SIM_PATH_forged] > 0);
}

static void test_everything_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 108; seed++)
        holds((struct sim_config){.seed = seed, .stations = 15, .minutes = 120, .load = 40, .faults = faults("all"), .topology = "random"});
}

static void test_a_real_prefecture(void **state)
{
    (void)state;
    holds((struct sim_config){.seed = 9, .stations = 150, .minutes = 60, .faults = faults("all"), .topology = "tests/data/jinzhou.csv"});
}

static void test_a_busy_line_of_64_kbit(void **state)
{
    (void)state;
    holds((struct sim_config){.seed = 1, .stations = 4, .minutes = 10, .load = 8000, .faults = faults("slow"), .topology = "chain"});
}

static void test_the_same_seed_gives_the_same_digest(void **state)
{
    (void)state;
    struct sim_config config = {.seed = 11, .stations = 12, .minutes = 120, .faults = faults("all"), .topology = "random"};
    holds(config);
    uint64_t digest = result.digest, events = result.events;
    holds(config);
    assert_true(digest == result.digest && events == result.events);
    config.seed = 12;
    holds(config);
    assert_true(digest != result.digest);
}

// ---- the checkers

static void test_each_checker_finds_its_bug(void **state)
{
    (void)state;
    for (int plant = 1; plant < SIM_PLANTS; plant++) {
        struct sim_config config = {.seed = 1, .stations = 8, .minutes = 120, .topology = "random", .plant = (enum sim_plant)plant};
        if (plant == SIM_PLANT_trust_middle)
            config.faults = faults("tamper");
        if (plant == SIM_PLANT_no_window || plant == SIM_PLANT_bulk_first)
            config = (struct sim_config){.seed = 1,
                                         .stations = 4,
                                         .minutes = 20,
                                         .load = 8000,
                                         .faults = faults("slow"),
                                         .topology = "chain",
                                         .plant = config.plant};
        run(config);
        if (!result.failed || strcmp(result.checker, sim_plant_checker(config.plant)) != 0)
            fail_msg("bug '%s': found by '%s', not by '%s'", sim_plant_name(config.plant), result.checker, sim_plant_checker(config.plant));
    }
}

static void test_a_failure_tells_its_story(void **state)
{
    (void)state;
    run((struct sim_config){.seed = 2, .stations = 5, .minutes = 120, .topology = "chain", .plant = SIM_PLANT_apply_twice});
    assert_true(result.failed);
    assert_non_null(strstr(result.story, "applied place"));
    assert_non_null(strstr(result.story, "sends piece"));
}

static void test_lists_of_faults(void **state)
{
    (void)state;
    uint32_t ret = 99;
    assert_false(sim_faults_parse("crash,flood", &ret));
    assert_int_equal(ret, 99);
    assert_int_equal(faults("none"), 0);
    assert_int_equal(faults("crash,full"), 1u << SIM_FAULT_crash | 1u << SIM_FAULT_full);
    assert_int_equal(faults("all"), (1u << SIM_FAULTS) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_calm_world),
        cmocka_unit_test(test_fault_1_2_stations_stop_at_any_step),
        cmocka_unit_test(test_fault_7_full_disks),
        cmocka_unit_test(test_fault_23_to_26_lines_that_break_and_repeat),
        cmocka_unit_test(test_fault_54_to_57_partitions),
        cmocka_unit_test(test_fault_58_clocks_jump_ten_years),
        cmocka_unit_test(test_fault_27_the_middle_changes_what_it_passes_on),
        cmocka_unit_test(test_everything_at_once),
        cmocka_unit_test(test_a_real_prefecture),
        cmocka_unit_test(test_a_busy_line_of_64_kbit),
        cmocka_unit_test(test_the_same_seed_gives_the_same_digest),
        cmocka_unit_test(test_each_checker_finds_its_bug),
        cmocka_unit_test(test_a_failure_tells_its_story),
        cmocka_unit_test(test_lists_of_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
