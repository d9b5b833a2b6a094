// sim --seed N --stations N --hours H --faults LIST --topology T --trace --plant BUG: one world; exit status 1 when a checker fires.
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

static int usage(void)
{
    printf("sim --seed N --stations N --hours H [--faults all|none|LIST] [--topology chain|star|random|UNITS.csv] [--load N] [--trace]\n"
           "    [--plant BUG]\n  faults:");
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

int main(int argc, char **argv)
{
    static const struct option options[] = {{"seed", 1, NULL, 's'},   {"stations", 1, NULL, 'n'}, {"hours", 1, NULL, 'h'},
                                            {"faults", 1, NULL, 'f'}, {"topology", 1, NULL, 't'}, {"load", 1, NULL, 'l'},
                                            {"trace", 0, NULL, 'v'},  {"plant", 1, NULL, 'p'},    {NULL, 0, NULL, 0}};
    static struct sim_result result;
    struct sim_config config = {.seed = 1, .stations = 7, .minutes = 120, .topology = "random"};
    const char *faults = "all";
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 's':
            config.seed = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            config.stations = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'h':
            config.minutes = (uint32_t)(strtod(optarg, NULL) * 60);
            break;
        case 'f':
            faults = optarg;
            break;
        case 't':
            config.topology = optarg;
            break;
        case 'l':
            config.load = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'v':
            config.trace = true;
            break;
        case 'p':
            if (!plant_parse(optarg, &config.plant))
                return usage();
            break;
        default:
            return usage();
        }
    }
    if (!sim_faults_parse(faults, &config.faults) || config.stations < 1 || config.stations > 1000)
        return usage();
    if (!sim_run(&config, &result)) {
        fprintf(stderr, "sim: %s\n", result.story);
        return 2;
    }
    report(&result);
    if (!result.failed)
        return 0;
    printf("VIOLATION of '%s'; the last steps:\n%s\nagain: sim --seed %" PRIu64 " --stations %u --hours %g --faults %s --topology %s",
           result.checker, result.story, config.seed, config.stations, config.minutes / 60.0, faults, config.topology);
    if (config.load)
        printf(" --load %u", config.load);
    printf(config.plant ? " --plant %s\n" : "%s\n", config.plant ? sim_plant_name(config.plant) : "");
    return 1;
}
