// What goes wrong: one fault after the other, of the kinds asked for, as the seed says.
#include "tests/sim/check.h"

enum {
    EVERY_MS = 15 * 60 * 1000, // a station meets a fault about that often
    SECOND_MS = 1000,
    MINUTE_MS = 60 * 1000,
    YEARS_MAX = 10,
};

static void plan_next(void)
{
    uint32_t mean = EVERY_MS / world->count;
    plan(world->now + 1 + random_below(2 * (mean ? mean : 1)), HAPPENS_FAULT, UINT32_MAX, 0, 0);
}

void faults_begin(void)
{
    if (world->config.faults)
        plan_next();
    for (uint32_t i = 0; i < world->count; i++)
        if (world->config.faults & 1u << SIM_FAULT_slow && chance(150)) {
            world->sites[i].line.rate = 8000;
            world->sites[i].line.delay = 20 + random_below(800);
            world->result->injected[SIM_FAULT_slow]++;
        }
}

static uint64_t some_time_ms(void)
{
    return chance(150) ? MINUTE_MS + random_below(40 * MINUTE_MS) : SECOND_MS + random_below(60 * SECOND_MS);
}

static void jump(struct site *site)
{
    int64_t years = (int64_t)random_below(2 * YEARS_MAX + 1) - YEARS_MAX;
    site->clock_offset = chance(500) ? 0 : years * 365 * 24 * 3600 * 1000 + random_below(3600 * 1000);
}

static bool inject(enum sim_fault fault, struct site *site)
{
    bool linked = site->parent >= 0;
    switch (fault) {
    case SIM_FAULT_crash:
        if (site->running)
            site->crash_in = 1 + random_below(40);
        return site->running;
    case SIM_FAULT_full:
        site->full_until = world->now + some_time_ms();
        return true;
    case SIM_FAULT_break:
        if (linked)
            network_break(site, true);
        return linked;
    case SIM_FAULT_partition:
        if (linked)
            network_block(site, 3, some_time_ms());
        return linked;
    case SIM_FAULT_oneway:
        if (linked)
            network_block(site, 1 + random_below(2), some_time_ms());
        return linked;
    case SIM_FAULT_disk:
        site->slow_until = world->now + some_time_ms();
        return true;
    case SIM_FAULT_clock:
        jump(site);
        return true;
    case SIM_FAULT_lose:
        site->line.pipes[random_below(2)].refuses = 1 + random_below(5);
        return linked;
    case SIM_FAULT_replay:
        if (linked)
            network_replay(site, (enum side)random_below(2));
        return linked;
    case SIM_FAULT_tamper:
        site->tampers = !site->tampers;
        return false; // counted when it does
    default:          // slow lines are laid at the beginning, commits fail in site.c
        return false;
    }
}

void faults_next(void)
{
    plan_next();
    struct site *site = &world->sites[random_below(world->count)];
    unsigned fault = random_below(SIM_FAULTS);
    while (!(world->config.faults & 1u << fault))
        fault = (fault + 1) % SIM_FAULTS;
    if (!inject((enum sim_fault)fault, site))
        return;
    world->result->injected[fault]++;
    step_note(site, sim_fault_name((enum sim_fault)fault), 0, 0, 0);
}

void faults_heal(void)
{
    world->calm = true;
    step_note(NULL, "everything is healed", 0, 0, 0);
    for (uint32_t i = 0; i < world->count; i++) {
        struct site *site = &world->sites[i];
        site->full_until = site->slow_until = 0;
        site->tampers = false;
        site->crash_in = 0;
        site->line.rate = 1000 * 1000;
        for (int side = 0; side < 2; side++) {
            site->line.pipes[side].blocked = false;
            site->line.pipes[side].refuses = 0;
        }
    }
}
