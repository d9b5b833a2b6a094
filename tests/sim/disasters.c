// What befalls a whole store: it is copied and runs twice, ...
#include "tests/sim/disasters.h"

#include "tests/sim/check.h"
#include "tests/sim/memory.h"

bool disaster_clone(struct site *site)
{
    if (site->parent < 0 || site->children || site->cut || world->site_count == world->count + TWINS_MAX)
        return false;
    struct site *twin = &world->sites[world->site_count];
    struct error error = {0};
    *twin = (struct site){.index = world->site_count++,
                          .unit = site->unit,
                          .twin = true,
                          .parent = site->parent,
                          .depth = site->depth,
                          .subtree_end = site->subtree_end,
                          .self = site->self,
                          .ancestor_count = site->ancestor_count,
                          .sign_key = site->sign_key,
                          .transport_key = site->transport_key,
                          .generation = site->generation,
                          .line = {.rate = site->line.rate, .delay = site->line.delay},
                          .clock_offset = site->clock_offset,
                          .works = (uint64_t)1 << 31};
    memcpy(twin->ancestors, site->ancestors, sizeof twin->ancestors);
    buffer_append(&twin->wire, site->wire.data, site->wire.size);
    twin->delegated = memory_get(world->count, 1);
    for (int side = 0; side < 2; side++)
        twin->line.pipes[side].last = &twin->line.pipes[side].first;
    enum error_code code = store_memory_copy(site->store, &twin->store, &error);
    assert(code == OK);
    // What it holds already is seen; the model's second history begins with it.
    twin->seen = site->seen;
    twin->held_count = site->held_count;
    twin->held = memory_get(site->held_count, sizeof *site->held);
    memcpy(twin->held, site->held, site->held_count * sizeof *site->held);
    struct txn *txn = check_reader(twin);
    for (uint32_t f = 0; f < world->model.feed_count; f++) {
        struct feed_state state;
        uint32_t id;
        if (world->model.feeds[f].origin == site->unit && feed_find(txn, &world->model.feeds[f].key, &id, &state))
            model_branch(&world->model.feeds[f], state.next);
    }
    txn_abort(txn);
    check_once_copy(twin, site);
    site->forked = twin->forked = true;
    site->cut = (uint32_t)site->parent + 1;
    plan(world->now + 1, HAPPENS_START, twin->index, 0, 0);
    work_plan(twin);
    return true;
}
