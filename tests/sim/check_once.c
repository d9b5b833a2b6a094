// Exactly once: no place of a feed is applied twice at one station, whatever was sent, lost, repeated or run again; and at rest as many
// were applied as batches came with their bodies.
#include "relay/waiting.h"
#include "tests/sim/check.h"
#include "tests/sim/memory.h"

// Sets of applied places, one per station: open addressing; 0 is empty.
struct places {
    uint64_t *slots;
    uint32_t count, size;
};
static struct places *sets;
static uint32_t set_count;

static uint64_t mix(uint64_t value) { return (value ^ value >> 31) * 0x9E3779B97F4A7C15u >> 20; }

static bool insert(struct places *places, uint64_t place)
{
    uint32_t at = (uint32_t)mix(place) & (places->size - 1);
    for (; places->slots[at]; at = (at + 1) & (places->size - 1))
        if (places->slots[at] == place)
            return false;
    places->slots[at] = place;
    places->count++;
    return true;
}

static void widen(struct places *places)
{
    struct places wider = {.size = places->size ? 2 * places->size : 64};
    wider.slots = memory_get(wider.size, sizeof *wider.slots);
    for (uint32_t i = 0; i < places->size; i++)
        if (places->slots[i])
            insert(&wider, places->slots[i]);
    free(places->slots);
    *places = wider;
}

// One for each site, and one for each copy that was put aside.
static void make_sets(void)
{
    if (sets)
        return;
    set_count = 2 * (world->count + TWINS_MAX);
    sets = memory_get(set_count, sizeof *sets);
}

static void applied(struct site *site, const struct application *application)
{
    make_sets();
    struct places *places = &sets[site->index];
    if (2 * (places->count + 1) > places->size)
        widen(places);
    if (!insert(places, (uint64_t)(application->feed + 1) << 40 | application->first))
        check_fail(&check_once, "%s applied place %llu of a feed of %s twice", site_name(site), (unsigned long long)application->first,
                   site_name(&world->sites[world->model.feeds[application->feed].origin]));
}

void check_once_copy(uint32_t to, uint32_t from)
{
    make_sets();
    struct places *places = &sets[to], *other = &sets[from];
    free(places->slots);
    places->slots = memory_get(other->size, sizeof *places->slots);
    if (other->size)
        memcpy(places->slots, other->slots, other->size * sizeof *places->slots);
    places->size = other->size;
    places->count = other->count;
}

void check_once_forget(uint32_t index)
{
    make_sets();
    free(sets[index].slots);
    sets[index] = (struct places){0};
}

static void rest(struct site *site)
{
    static const struct station_id here;
    if (!check_whole(site))
        return; // a station whose name two share is not waited for
    struct txn *txn = check_reader(site);
    struct batch_row row;
    uint64_t bodies = 0;
    for (uint64_t position = 1; journal_read(txn, position, &row); position++)
        // What waits for a body before it, which a liar keeps, is not judged; check_arrived.c knows what should have come.
        bodies +=
            row.body.size > 0 && !station_equal(&row.from, &here) && !(row.verdict == VERDICT_DEFERRED && waiting_is_behind(row.reason));
    txn_abort(txn);
    uint64_t count = sets ? sets[site->index].count : 0;
    if (bodies != count)
        check_fail(&check_once, "%s holds %llu batches of others with their bodies, and applied %llu", site_name(site),
                   (unsigned long long)bodies, (unsigned long long)count);
}

static void finish(void)
{
    for (uint32_t i = 0; sets && i < set_count; i++)
        free(sets[i].slots);
    free(sets);
    sets = NULL;
}

const struct checker check_once = {.name = "once", .applied = applied, .rest = rest, .free = finish};
