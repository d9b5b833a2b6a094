// sim --seed N --stations N --hours H --faults LIST --topology T ...: one world; exit status 1 when a checker fires, or the world crashes
// or hangs: then it says what runs it again, and the smallest world that it found with the same end.
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

enum {
    SHRINK_SECONDS = 60, // for the shortest story; 0: none, and the world runs in this very process (for a debugger)
    RUN_SECONDS = 3600,  // a world that takes longer has stopped going on
};

static int usage(void)
{
    printf("sim --seed N --stations N --hours H [--faults all|none|LIST] [--topology chain|star|random|UNITS.csv] [--load N] [--trace]\n"
           "    [--crypto real|fast] [--former] [--skip-faults 3-17,20] [--shrink SECONDS] [--plant BUG]\n  faults:");
    for (int i = 0; i < SIM_FAULTS; i++)
        printf(" %s", sim_fault_name((enum sim_fault)i));
    printf("\n  bugs, each for one checker:");
    for (int i = 1; i < SIM_PLANTS; i++)
        printf(" %s (%s)", sim_plant_name((enum sim_plant)i), sim_plant_checker((enum sim_plant)i));
    printf("\n");
    return 2;
}

static bool plant_parse(const char *name, enum sim_plant *ret)
{
    for (int i = 0; i < SIM_PLANTS; i++)
        if (strcmp(name, sim_plant_name((enum sim_plant)i)) == 0) {
            *ret = (enum sim_plant)i;
            return true;
        }
    return false;
}

static void report(const struct sim_result *result)
{
    printf("events %" PRIu64 ", batches %" PRIu64 ", commits %" PRIu64 ", virtual minutes %" PRIu64 ", urgent behind %" PRIu64
           ", digest %016" PRIx64 "\nfaults:",
           result->events, result->batches, result->commits, result->virtual_ms / 60000, result->urgent_behind, result->digest);
    for (int i = 0; i < SIM_FAULTS; i++)
        printf(" %s=%" PRIu64, sim_fault_name((enum sim_fault)i), result->injected[i]);
    printf("\npaths:");
    for (int i = 0; i < SIM_PATHS; i++)
        printf("%s %s=%" PRIu64, i ? ";" : "", sim_path_text((enum sim_path)i), result->paths[i]);
    printf("\n");
}

static void tell(const char *what, const struct sim_config *config, const struct sim_result *result)
{
    char command[1024];
    sim_command(config, command, sizeof command);
    printf("%s of '%s' at event %" PRIu64 "; the last steps:\n%s\nagain: %s\n", what, result->checker, result->events, result->story,
           command);
}

static bool parse(int option, const char *value, struct sim_config *config, unsigned *shrink)
{
    switch (option) {
    case 's':
        config->seed = strtoull(value, NULL, 10);
        return true;
    case 'n':
        config->stations = (uint32_t)strtoul(value, NULL, 10);
        return config->stations >= 1 && config->stations <= 1000;
    case 'h':
        config->minutes = (uint32_t)(strtod(value, NULL) * 60 + 0.5);
        return true;
    case 'f':
        return sim_faults_parse(value, &config->faults);
    case 't':
        config->topology = value;
        return true;
    case 'l':
        config->load = (uint32_t)strtoul(value, NULL, 10);
        return true;
    case 'v':
        config->trace = true;
        return true;
    case 'c':
        config->fast = strcmp(value, "fast") == 0;
        return config->fast || strcmp(value, "real") == 0;
    case 'r':
        config->former = true;
        return true;
    case 'x':
        return sim_skips_parse(value, config);
    case 'z':
        *shrink = (unsigned)strtoul(value, NULL, 10);
        return true;
    case 'p':
        return plant_parse(value, &config->plant);
    default:
        return false;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", 1, NULL, 's'},     {"stations", 1, NULL, 'n'},    {"hours", 1, NULL, 'h'},  {"faults", 1, NULL, 'f'},
        {"topology", 1, NULL, 't'}, {"load", 1, NULL, 'l'},        {"trace", 0, NULL, 'v'},  {"plant", 1, NULL, 'p'},
        {"crypto", 1, NULL, 'c'},   {"skip-faults", 1, NULL, 'x'}, {"shrink", 1, NULL, 'z'}, {"former", 0, NULL, 'r'},
        {NULL, 0, NULL, 0}};
    static struct sim_result result;
    struct sim_config config = {.seed = 1, .stations = 7, .minutes = 120, .topology = "random"};
    unsigned shrink = SHRINK_SECONDS;
    sim_faults_parse("all", &config.faults);
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!parse(option, optarg, &config, &shrink))
            return usage();
    if (!(shrink ? sim_run_apart(&config, RUN_SECONDS, &result) : sim_run(&config, &result))) {
        fprintf(stderr, "sim: %s\n", result.story);
        return 2;
    }
    report(&result);
    if (!result.failed)
        return 0;
    tell("VIOLATION", &config, &result);
    if (shrink) {
        config.trace = false;
        sim_shrink(&config, &result, shrink);
        tell("SHORTEST STORY", &config, &result);
    }
    return 1;
}
