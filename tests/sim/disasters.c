// What befalls a whole store: an older copy is put back, or a copy runs as well.
#include "tests/sim/disasters.h"

#include "relay/engine_inside.h"
#include "tests/sim/check.h"
#include "tests/sim/memory.h"

enum { MINUTE_MS = 60 * 1000, CLONE_MS = 10 * MINUTE_MS };

// Whether who brought it has it still: it may have lost its own store since.
static bool is_there(const struct station_id *from, const struct feed_key *key, uint64_t first)
{
    struct feed_state state;
    uint64_t position;
    uint32_t id;
    bool there = false;
    for (uint32_t i = 0; i < world->count && !there; i++)
        if (station_equal(&world->sites[i].self.station, from)) {
            struct txn *txn = check_reader(&world->sites[i]);
            there = feed_find(txn, key, &id, &state) && journal_find(txn, id, first, &position);
            txn_abort(txn);
        }
    return there;
}

// Whether such a row can come again: a neighbour brought it, something in the same feed proves it, and no other station's is damaged.
static bool can_mend(struct txn *txn, const struct batch_row *row)
{
    static const struct station_id here;
    struct feed_key key;
    struct feed_state state;
    if (station_equal(&row->from, &here) || !feed_read(txn, row->feed, &key, &state) || row->first + row->count >= state.next)
        return false;
    const struct model_feed *feed = model_feed(&world->model, &key, 0, false);
    uint64_t place = feed ? (uint64_t)(feed - world->model.feeds) << 40 | row->first : 0;
    if (!feed || world->sites[feed->origin].forked || !is_there(&row->from, &key, row->first))
        return false;
    for (uint32_t i = 0; i < world->rotten_count; i++)
        if (world->rotten[i] == place)
            return false;
    if (world->rotten_count == ROTTEN_MAX)
        return false;
    world->rotten[world->rotten_count++] = place;
    return true;
}

bool disaster_rot(struct site *site)
{
    struct error error = {0};
    struct txn *txn = txn_begin(site->store, true, &error);
    uint64_t end = journal_end(txn);
    uint8_t key[8];
    struct batch_row row;
    struct bytes value;
    uint64_t position = end ? 1 + random_below((uint32_t)end) : 0;
    put_be64(key, position);
    // What was put back is read again when the station starts: not damaged before.
    if (site->rotten || !end || position > site->seen || !journal_read(txn, position, &row) || !can_mend(txn, &row) ||
        !txn_get(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &value)) {
        txn_abort(txn);
        return false;
    }
    struct buffer copy = {0};
    buffer_append(&copy, value.data, value.size);
    copy.data[random_below((uint32_t)copy.size)] ^= (uint8_t)(1u << random_below(8));
    txn_put(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), buffer_bytes(&copy));
    enum error_code code = txn_commit(txn, &error);
    assert(code == OK);
    buffer_finish(&copy);
    site->rotten = position;
    site->rotten_origin = world->model.feeds[world->rotten[world->rotten_count - 1] >> 40].origin;
    plan(world->now + random_below(10 * MINUTE_MS), HAPPENS_SCRUB, site->index, 0, 0);
    return true;
}

void disaster_scrub(struct site *site)
{
    if (check_whole(site))
        return;
    struct load_damage damage = {.found = true, .position = site->rotten};
    if (site->running) {
        world->current = site;
        engine_damaged(site->engine, &damage);
        world->current = NULL;
    }
    plan(world->now + 10 * MINUTE_MS, HAPPENS_SCRUB, site->index, 0, 0);
}

static uint32_t backup_set(const struct site *site) { return world->count + TWINS_MAX + site->index; }

static void take_backup(struct site *site)
{
    struct error error = {0};
    store_close(site->backup);
    enum error_code code = store_memory_copy(site->store, &site->backup, &error);
    assert(code == OK);
    struct txn *txn = check_reader(site);
    site->backup_end = journal_end(txn);
    txn_abort(txn);
    check_once_copy(backup_set(site), site->index);
}

// What is damaged there has to come from here.
static bool is_needed(const struct site *site)
{
    if (site->parent >= 0 && site_parent(site)->rotten)
        return true;
    for (uint32_t i = site->index + 1; i < site->subtree_end; i = world->sites[i].subtree_end)
        if (world->sites[i].rotten)
            return true;
    return false;
}

bool disaster_wipe(struct site *site)
{
    // A root has no parent to ask, and what two with the same keys have signed a person has to end.
    if (site->parent < 0 || site->forked || site->rotten || is_needed(site))
        return false;
    site_stop(site);
    store_close(site->store);
    topology_empty(site, crypto_random_u64() | 1);
    site->seen = 0;
    memset(site->held, 0, site->held_count * sizeof *site->held);
    check_once_forget(site->index);
    site->has_marker = chance(300);
    if (site->has_marker) { // as salvage.c writes it
        site->marker.restored = true;
        site->marker.wants = crypto_random_u64();
    }
    site_doubt(site);
    plan(world->now + 1000 + random_below(60 * 1000), HAPPENS_START, site->index, 0, 0);
    return true;
}

bool disaster_restore(struct site *site)
{
    struct error error = {0};
    if (site->parent < 0 || site->forked)
        return false;
    if (site->rotten || is_needed(site))
        return false; // nor is a damaged store copied
    if (!site->backup || chance(300))
        take_backup(site);
    // What was signed after the last marker only the parent can tell: such a copy could sign a second history first.
    if (site->backup_end >= site->marker.end || !site->has_marker || (world->config.former && site->marker.restored))
        return false;
    site_stop(site);
    store_close(site->store);
    enum error_code code = store_memory_copy(site->backup, &site->store, &error);
    assert(code == OK);
    site->seen = 0;
    memset(site->held, 0, site->held_count * sizeof *site->held);
    check_once_copy(site->index, backup_set(site));
    site->has_marker = !chance(200);
    site_doubt(site);
    plan(world->now + 1000 + random_below(60 * 1000), HAPPENS_START, site->index, 0, 0);
    return true;
}

bool disaster_clone(struct site *site, bool stubborn)
{
    if (site->parent < 0 || site->children || site->rotten || site->cut || site->doubt || site->marker.restored ||
        world->site_count == world->count + TWINS_MAX)
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
                          .marker = site->marker,
                          .has_marker = site->has_marker,
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
    check_once_copy(twin->index, site->index);
    site->forked = twin->forked = true;
    site->stubborn = twin->stubborn = stubborn;
    site->cut = (uint32_t)site->parent + 1;
    plan(world->now + 1, HAPPENS_START, twin->index, 0, 0);
    plan(world->now + MINUTE_MS + random_below(CLONE_MS), HAPPENS_END, twin->index, 0, 0); // somebody finds out, and turns it off
    work_plan(twin);
    return true;
}
