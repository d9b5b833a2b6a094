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
static uint64_t paths[SIM_PATHS]; // over the worlds of a test

enum {
    PLANT_SEEDS = 6,     // in which a bug built in on purpose must be found
    SHRINK_SECONDS = 20, // at most, for a smaller world
};

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

// The kinds of faults that there were when some of these worlds found their bugs.
#define ALL_THEN                                                                                                                           \
    "crash,commit,full,break,partition,oneway,slow,disk,clock,lose,replay,midrow,late,month,read,rot,restore,clone,equivocate,tamper,"     \
    "forge,old,drop,ackforge,mute,withhold"

// A world that found a bug, as it was then.
static void held(struct sim_config config)
{
    config.former = true;
    holds(config);
}

// ---- worlds

static void test_a_calm_world(void **state)
{
    (void)state;
    holds((struct sim_config){.seed = 1, .stations = 12, .minutes = 120, .topology = "random"});
    assert_int_equal(result.paths[SIM_PATH_gap], 0);
    assert_int_equal(result.paths[SIM_PATH_heads], 0);
}

// A few worlds under those faults, each of which must have happened.
static void under(const char *list, uint32_t stations, uint32_t minutes, uint32_t load, const char *topology, unsigned seeds)
{
    uint64_t injected[SIM_FAULTS] = {0};
    struct sim_config config = {.stations = stations, .minutes = minutes, .load = load, .faults = faults(list), .topology = topology};
    config.fast = !(config.faults & (1u << SIM_FAULT_forge | 1u << SIM_FAULT_tamper));
    memset(paths, 0, sizeof paths);
    for (config.seed = 1; config.seed <= seeds; config.seed++) {
        holds(config);
        for (int i = 0; i < SIM_FAULTS; i++)
            injected[i] += result.injected[i];
        for (int i = 0; i < SIM_PATHS; i++)
            paths[i] += result.paths[i];
    }
    for (int i = 0; i < SIM_FAULTS; i++)
        if (config.faults & 1u << i && !injected[i])
            fail_msg("'%s' never happened", sim_fault_name((enum sim_fault)i));
}

static void went_through(enum sim_path path)
{
    if (!paths[path])
        fail_msg("never: %s", sim_path_text(path));
}

static void test_fault_1_2_stations_stop_at_any_step(void **state)
{
    (void)state;
    under("crash,commit,read", 9, 120, 60, "random", 4);
    went_through(SIM_PATH_unknown);
}

static void test_fault_4_stations_stop_in_their_first_minutes(void **state)
{
    (void)state;
    under("crash,commit,read", 30, 2, 600, "random", 4);
}

static void test_fault_7_full_disks(void **state)
{
    (void)state;
    under("full,disk", 9, 180, 60, "random", 2);
    went_through(SIM_PATH_full);
}

static void test_fault_10_rows_that_rot_are_fetched_again(void **state)
{
    (void)state;
    under("rot", 9, 120, 60, "random", 4); // the fourth: a row without a body, which two neighbours sent back
    went_through(SIM_PATH_mended);
    // An own row that had come back after a restore, and of which not even the lengths can be read.
    held((struct sim_config){.seed = 5000201,
                             .stations = 10,
                             .minutes = 120,
                             .load = 100,
                             .fast = true,
                             .faults = faults("crash,break,partition,clock,lose,replay,midrow,month,rot,restore,clone"),
                             .topology = "random"});
    // A statement held for its month, whose row is damaged when that comes.
    held((struct sim_config){.seed = 5000302,
                             .stations = 7,
                             .minutes = 120,
                             .load = 120,
                             .fast = true,
                             .faults = faults("crash,break,partition,oneway,clock,lose,replay,midrow,late,month,rot,restore,clone,"
                                              "equivocate,old,drop,mute,withhold"),
                             .topology = "random"});
    // Rows that waited for a damaged one and were owed again (153, 158); a header without its body that came again from above (142); an own
    // row that had come back after a restore (186).
    static const uint64_t seeds[] = {142, 153, 158, 186};
    for (unsigned i = 0; i < sizeof seeds / sizeof *seeds; i++)
        held((struct sim_config){
            .seed = seeds[i], .stations = 15, .minutes = 120, .load = 40, .fast = true, .faults = faults(ALL_THEN), .topology = "random"});
}

static void test_fault_17_18_stores_put_back_from_copies(void **state)
{
    (void)state;
    under("restore", 9, 60, 60, "random", 3);
    under("restore,crash,break,partition", 9, 60, 60, "chain", 2);
    went_through(SIM_PATH_opened);
    // What waited for its period is taken up before what comes is judged, also by a station that may not sign yet.
    held((struct sim_config){
        .seed = 188, .stations = 15, .minutes = 120, .load = 40, .fast = true, .faults = faults(ALL_THEN), .topology = "random"});
}

static void test_fault_17_18_disks_that_are_lost(void **state)
{
    (void)state;
    under("wipe", 9, 60, 60, "random", 1);
    went_through(SIM_PATH_opened);
    went_through(SIM_PATH_introduced);
    // Lost after a tail had been put back: the stream begins with what follows nothing any more.
    holds((struct sim_config){.seed = 7,
                              .stations = 12,
                              .minutes = 60,
                              .load = 60,
                              .fast = true,
                              .faults = faults("crash,break,partition,month,read,rot,restore,wipe,mute,withhold"),
                              .topology = "star"});
    // Nobody in the middle remembers that a station had signed two histories.
    holds((struct sim_config){
        .seed = 7000039, .stations = 4, .minutes = 120, .load = 200, .fast = true, .faults = faults("all"), .topology = "random"});
}

static void test_fault_19_a_copy_of_a_station_runs_at_the_same_time(void **state)
{
    (void)state;
    under("clone,break,crash", 9, 120, 60, "random", 3);
    went_through(SIM_PATH_suspended);
    // A parent with the other history gets this one as evidence, also where a repair left it out, and one that began before it was
    // disputed.
    held((struct sim_config){.seed = 6,
                             .stations = 12,
                             .minutes = 40,
                             .load = 60,
                             .fast = true,
                             .faults = faults("break,partition,oneway,slow,month,read,rot,restore,clone"),
                             .topology = "random"});
    // What follows the other history comes back after the next incarnation was opened.
    held((struct sim_config){.seed = 5000074,
                             .stations = 8,
                             .minutes = 84,
                             .load = 200,
                             .faults = faults("crash,commit,full,break,partition,oneway,slow,disk,clock,lose,replay,midrow,late,read,rot,"
                                              "restore,clone,equivocate,tamper,old,drop,ackforge,mute,withhold"),
                             .topology = "random"});
    // Of two histories the station in the middle has the one, and those above it the other, as rows or as evidence.
    held((struct sim_config){.seed = 5000022,
                             .stations = 12,
                             .minutes = 188,
                             .load = 200,
                             .fast = true,
                             .faults = faults("clock,lose,replay,midrow,month,read,rot,restore,clone"),
                             .topology = "random"});
}

static void test_fault_20_22_a_station_signs_two_histories(void **state)
{
    (void)state;
    under("equivocate,break,crash", 9, 120, 60, "random", 3);
    went_through(SIM_PATH_evidence);
}

static void test_fault_21_a_station_shows_one_child_another_history(void **state)
{
    (void)state;
    under("split,break,crash", 9, 120, 60, "random", 2);
    went_through(SIM_PATH_split);
}

static void test_fault_26_a_station_keeps_messages_back(void **state)
{
    (void)state;
    under("drop", 9, 120, 60, "random", 2);
    went_through(SIM_PATH_gap);
    went_through(SIM_PATH_heads);
}

static void test_fault_23_to_26_lines_that_break_and_repeat(void **state)
{
    (void)state;
    under("break,lose,replay,slow,late", 8, 120, 60, "chain", 2);
    went_through(SIM_PATH_late);
    went_through(SIM_PATH_busy);
}

static void test_fault_23_a_station_sends_again_what_it_sent_long_ago(void **state)
{
    (void)state;
    under("old", 9, 120, 60, "random", 2);
    went_through(SIM_PATH_duplicate);
    // Old pieces among its own urgent ones: repairs of that lane don't help, and it rests, while others go on.
    held((struct sim_config){.seed = 5000043,
                             .stations = 20,
                             .minutes = 118,
                             .load = 200,
                             .fast = true,
                             .faults = faults("commit,full,break,partition,oneway,slow,disk,clock,lose,replay,midrow,late,month,read,rot,"
                                              "restore,clone,old,drop,ackforge,mute,withhold"),
                             .topology = "random"});
}

static void test_fault_24_36_a_station_acknowledges_what_it_does_not_hold(void **state)
{
    (void)state;
    under("ackforge,crash,commit", 9, 120, 60, "random", 2);
}

static void test_fault_27_the_middle_changes_what_it_passes_on(void **state)
{
    (void)state;
    under("tamper", 9, 120, 60, "random", 2);
    went_through(SIM_PATH_forged);
}

static void test_fault_27_28_29_a_station_sends_what_nobody_signed(void **state)
{
    (void)state;
    under("forge", 9, 240, 60, "random", 2);
    went_through(SIM_PATH_forged);
}

static void test_fault_33_the_middle_passes_nothing_of_a_station_on(void **state)
{
    (void)state;
    under("mute", 12, 120, 60, "random", 2);
    went_through(SIM_PATH_hidden);
}

static void test_fault_33_the_middle_passes_headers_on_without_bodies(void **state)
{
    (void)state;
    under("withhold", 12, 120, 60, "random", 2);
    // The first station above the liar is put back from a copy, and lost what the liar had let through before (also with mute).
    held((struct sim_config){.seed = 5000072,
                             .stations = 5,
                             .minutes = 180,
                             .load = 3,
                             .fast = true,
                             .faults = faults("full,break,partition,oneway,slow,disk,clock,lose,midrow,late,month,read,restore,tamper,"
                                              "forge,old,drop,ackforge,mute,withhold"),
                             .topology = "random"});
    went_through(SIM_PATH_hidden);
}

static void test_fault_48_slow_lines_and_disks(void **state)
{
    (void)state;
    under("slow,disk", 8, 60, 200, "chain", 2);
}

static void test_fault_50_a_row_goes_on_where_it_broke_off(void **state)
{
    (void)state;
    under("midrow", 6, 240, 100, "random", 3);
    went_through(SIM_PATH_midrow);
    went_through(SIM_PATH_resumed);
}

static void test_fault_54_a_partition_of_thirty_days(void **state)
{
    (void)state;
    under("month", 4, 31 * 24 * 60, 1, "chain", 1);
}

static void test_fault_54_57_partitions(void **state)
{
    (void)state;
    under("partition,oneway", 20, 180, 0, "star", 3);
}

static void test_fault_55_all_at_once(void **state)
{
    (void)state;
    under("crash", 300, 20, 6, "star", 1);
}

static void test_fault_56_lines_that_flap(void **state)
{
    (void)state;
    under("break,midrow,late", 3, 240, 200, "chain", 2);
}

static void test_fault_58_clocks_jump_ten_years(void **state)
{
    (void)state;
    under("clock", 9, 480, 0, "random", 1);
}

static void test_everything_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 100; seed < 116; seed++)
        holds((struct sim_config){
            .seed = seed, .stations = 15, .minutes = 120, .load = 40, .fast = seed % 5 > 0, .faults = faults("all"), .topology = "random"});
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

// Every step and, at the end, every row: the same twice, and with either crypto. So the faults are the same, one after the other.
static void test_the_same_seed_gives_the_same_digest(void **state)
{
    (void)state;
    struct sim_config config = {.seed = 11, .stations = 12, .minutes = 120, .faults = faults("all"), .topology = "random"};
    holds(config);
    struct sim_result first = result;
    for (unsigned i = 0; i < 3; i++) {
        config.fast = i > 0;
        holds(config);
        assert_true(first.digest == result.digest && first.events == result.events && first.faults == result.faults);
        assert_memory_equal(first.injected, result.injected, sizeof result.injected);
        assert_memory_equal(first.paths, result.paths, sizeof result.paths);
    }
    config.seed = 12;
    holds(config);
    assert_true(first.digest != result.digest);
}

// ---- the checkers

static void test_each_checker_finds_its_bug(void **state)
{
    (void)state;
    for (int plant = 1; plant < SIM_PLANTS; plant++) {
        struct sim_config config = {.seed = 1, .stations = 8, .minutes = 120, .topology = "random", .plant = (enum sim_plant)plant};
        if (plant == SIM_PLANT_restored_signs)
            config.faults = faults("restore");
        if (plant == SIM_PLANT_lost_evidence)
            config.faults = faults("equivocate");
        if (plant == SIM_PLANT_trust_middle)
            config.faults = faults("tamper");
        if (plant == SIM_PLANT_bodiless_back)
            config.faults = faults("wipe");
        if (plant == SIM_PLANT_early_receipt)
            config.faults = faults("withhold");
        if (plant == SIM_PLANT_blind)
            config.faults = faults("split");
        if (plant == SIM_PLANT_no_window || plant == SIM_PLANT_bulk_first)
            config = (struct sim_config){.seed = 1,
                                         .stations = 4,
                                         .minutes = 20,
                                         .load = 8000,
                                         .faults = faults("slow"),
                                         .topology = "chain",
                                         .plant = config.plant};
        do // a seed may have no line slow enough, or no fault where it matters
            run(config);
        while (!result.failed && config.seed++ < PLANT_SEEDS);
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

// The smallest world with the same end: it needs no fault, and few stations.
static void test_a_failure_is_made_smaller(void **state)
{
    (void)state;
    struct sim_config config = {.seed = 3,
                                .stations = 12,
                                .minutes = 240,
                                .load = 60,
                                .faults = faults("all"),
                                .topology = "random",
                                .plant = SIM_PLANT_apply_twice};
    const struct sim_config before = config;
    assert_true(sim_run_apart(&config, SHRINK_SECONDS, &result));
    assert_true(result.failed && strcmp(result.checker, "once") == 0);
    sim_shrink(&config, &result, SHRINK_SECONDS);
    assert_true(result.failed && strcmp(result.checker, "once") == 0);
    assert_true(config.stations < before.stations && config.minutes < before.minutes && config.faults == 0);
    assert_int_equal(config.seed, before.seed);
    run(config); // what it names fails by itself, and alike
    assert_true(result.failed && strcmp(result.checker, "once") == 0);
}

// A fault that the failure needs stays; others go, one by one, and leave it what it was.
static void test_a_failure_keeps_the_fault_that_it_needs(void **state)
{
    (void)state;
    struct sim_config config = {.seed = 1,
                                .stations = 8,
                                .minutes = 120,
                                .fast = true,
                                .faults = faults("wipe,break,lose"),
                                .topology = "random",
                                .plant = SIM_PLANT_bodiless_back};
    assert_true(sim_run_apart(&config, SHRINK_SECONDS, &result) && result.failed);
    uint32_t count = result.faults;
    sim_shrink(&config, &result, SHRINK_SECONDS);
    assert_true(result.failed && strcmp(result.checker, "arrived") == 0);
    assert_int_equal(config.faults, faults("wipe"));
    assert_true(config.skip_count > 0 || result.faults < count);
    uint64_t events = result.events;
    assert_true(sim_run_apart(&config, SHRINK_SECONDS, &result));
    assert_true(result.failed && result.events == events);
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

// sim_worlds [faults|others]: the worlds of one row of the list of faults each, or those beside them; both without a word.
int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "faults") == 0)
        cmocka_set_test_filter("test_fault_*");
    else if (argc > 1)
        cmocka_set_skip_filter("test_fault_*");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_calm_world),
        cmocka_unit_test(test_fault_1_2_stations_stop_at_any_step),
        cmocka_unit_test(test_fault_4_stations_stop_in_their_first_minutes),
        cmocka_unit_test(test_fault_7_full_disks),
        cmocka_unit_test(test_fault_10_rows_that_rot_are_fetched_again),
        cmocka_unit_test(test_fault_17_18_stores_put_back_from_copies),
        cmocka_unit_test(test_fault_17_18_disks_that_are_lost),
        cmocka_unit_test(test_fault_19_a_copy_of_a_station_runs_at_the_same_time),
        cmocka_unit_test(test_fault_20_22_a_station_signs_two_histories),
        cmocka_unit_test(test_fault_21_a_station_shows_one_child_another_history),
        cmocka_unit_test(test_fault_26_a_station_keeps_messages_back),
        cmocka_unit_test(test_fault_23_to_26_lines_that_break_and_repeat),
        cmocka_unit_test(test_fault_23_a_station_sends_again_what_it_sent_long_ago),
        cmocka_unit_test(test_fault_24_36_a_station_acknowledges_what_it_does_not_hold),
        cmocka_unit_test(test_fault_27_the_middle_changes_what_it_passes_on),
        cmocka_unit_test(test_fault_27_28_29_a_station_sends_what_nobody_signed),
        cmocka_unit_test(test_fault_33_the_middle_passes_nothing_of_a_station_on),
        cmocka_unit_test(test_fault_33_the_middle_passes_headers_on_without_bodies),
        cmocka_unit_test(test_fault_48_slow_lines_and_disks),
        cmocka_unit_test(test_fault_50_a_row_goes_on_where_it_broke_off),
        cmocka_unit_test(test_fault_54_a_partition_of_thirty_days),
        cmocka_unit_test(test_fault_54_57_partitions),
        cmocka_unit_test(test_fault_55_all_at_once),
        cmocka_unit_test(test_fault_56_lines_that_flap),
        cmocka_unit_test(test_fault_58_clocks_jump_ten_years),
        cmocka_unit_test(test_everything_at_once),
        cmocka_unit_test(test_a_real_prefecture),
        cmocka_unit_test(test_a_busy_line_of_64_kbit),
        cmocka_unit_test(test_the_same_seed_gives_the_same_digest),
        cmocka_unit_test(test_each_checker_finds_its_bug),
        cmocka_unit_test(test_a_failure_tells_its_story),
        cmocka_unit_test(test_a_failure_is_made_smaller),
        cmocka_unit_test(test_a_failure_keeps_the_fault_that_it_needs),
        cmocka_unit_test(test_lists_of_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
