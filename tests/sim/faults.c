// What goes wrong: one fault after the other, of the kinds asked for, as the seed says.
#include "tests/sim/adversary.h"
#include "tests/sim/check.h"
#include "tests/sim/disasters.h"

enum {
    EVERY_MS = 8 * 60 * 1000, // a station meets a fault about that often
    SECOND_MS = 1000,
    MINUTE_MS = 60 * 1000,
    YEARS_MAX = 10,
    DAY_MINUTES = 24 * 60,
    DAYS_LONG = 20,
    READS_MAX = 2000,
    WILES_FOR_GOOD = 1u << SIM_FAULT_mute | 1u << SIM_FAULT_withhold | 1u << SIM_FAULT_split, // what was left out is not put back
};

static void plan_next(void)
{
    // Worlds of days meet their faults over days.
    uint32_t days = world->config.minutes / DAY_MINUTES, mean = (days ? days : 1) * EVERY_MS / world->count;
    plan(world->now + 1 + random_below(2 * (mean ? mean : 1)), HAPPENS_FAULT, UINT32_MAX, 0, 0);
}

static bool wanted(enum sim_fault fault) { return world->config.faults & 1u << fault; }

// Whether the fault with this number is left out.
static bool skipped(uint32_t number)
{
    for (uint32_t i = 0; i < world->config.skip_count; i++)
        if (number >= world->config.skips[i].from && number <= world->config.skips[i].to)
            return true;
    return false;
}

static void lay_slow_line(struct site *site)
{
    uint64_t before = random_apart(MATTER_FAULT, ++world->result->faults);
    bool slow = chance(300) && !skipped(world->result->faults);
    if (slow) {
        site->line.rate = 8000;
        site->line.delay = 20 + random_below(800);
        world->result->injected[SIM_FAULT_slow]++;
    }
    random_back(before);
}

void faults_begin(void)
{
    for (uint32_t i = 1; i < world->count && wanted(SIM_FAULT_slow); i++)
        lay_slow_line(&world->sites[i]);
    if (world->config.faults)
        plan_next();
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
    case SIM_FAULT_month: // only in worlds that last
        if (!linked || world->config.minutes < DAYS_LONG * DAY_MINUTES)
            return false;
        network_block(site, 3, (uint64_t)(DAYS_LONG + random_below(DAYS_LONG / 2)) * DAY_MINUTES * MINUTE_MS);
        return true;
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
    case SIM_FAULT_commit:
        site->commit_fails = 1 + random_below(2);
        return true;
    case SIM_FAULT_midrow:
        site->line.pipes[random_below(2)].breaks_midrow = true;
        return linked;
    case SIM_FAULT_late:
        site->line.breaks_late = true;
        return linked;
    case SIM_FAULT_read:
        site->reads_until_death = 1 + random_below(READS_MAX);
        return true;
    case SIM_FAULT_rot:
        return disaster_rot(site);
    case SIM_FAULT_restore:
        return disaster_restore(site);
    case SIM_FAULT_wipe:
        return disaster_wipe(site);
    case SIM_FAULT_clone:
        return disaster_clone(site, false);
    case SIM_FAULT_equivocate:
        return disaster_clone(site, true);
    case SIM_FAULT_mute:
    case SIM_FAULT_withhold:
        return adversary_begins(site, fault);
    case SIM_FAULT_split:
        if (!adversary_splits(site))
            return false;
        site->wiles |= 1u << fault;
        return true;
    case SIM_FAULT_tamper:
    case SIM_FAULT_forge:
    case SIM_FAULT_old:
    case SIM_FAULT_drop:
    case SIM_FAULT_ackforge:
        site->wiles ^= 1u << fault;
        return false; // counted when it lies
    default:          // slow lines are laid at the beginning
        return false;
    }
}

void faults_next(void)
{
    uint32_t number = ++world->result->faults;
    uint64_t before = random_apart(MATTER_FAULT, number);
    plan_next();
    struct site *site = &world->sites[random_below(world->count)];
    unsigned fault = 0, nth = random_below((uint32_t)__builtin_popcount(world->config.faults));
    while (!wanted((enum sim_fault)fault) || nth-- > 0)
        fault++;
    if (!skipped(number) && inject((enum sim_fault)fault, site)) {
        world->result->injected[fault]++;
        step_note(site, sim_fault_name((enum sim_fault)fault), number, 0, 0);
    }
    random_back(before);
}

void faults_heal(void)
{
    world->calm = true;
    step_note(NULL, "everything is healed", 0, 0, 0);
    for (uint32_t i = world->count; i < world->site_count; i++)
        plan(world->now, HAPPENS_END, i, 0, 0);
    for (uint32_t i = 0; i < world->count; i++) {
        struct site *site = &world->sites[i];
        site->full_until = site->slow_until = 0;
        site->clock_offset = 0;
        if (site->wiles & ~WILES_FOR_GOOD) { // an honest one takes its place, on the same store
            site->wiles &= WILES_FOR_GOOD;
            plan(world->now, HAPPENS_STOP, i, site->start, 0);
        }
        site->reads_until_death = 0;
        site->crash_in = site->commit_fails = 0;
        site->line.rate = 1000 * 1000;
        site->line.breaks_late = false;
        for (int side = 0; side < 2; side++) {
            site->line.pipes[side].blocked = false;
            site->line.pipes[side].refuses = 0;
            site->line.pipes[side].breaks_midrow = false;
        }
    }
}
