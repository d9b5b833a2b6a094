// No hole, no overwrite: at every station each feed's headers follow each other from the first on, each is the one that its station signed
// for that place, and the feed's state says no more and no less than the rows.
#include "tests/sim/check.h"

static void committed(const struct committed *new)
{
    const struct held_feed *held = &new->site->held[new->row->feed];
    const char *name = site_name(new->site);
    if (new->header->first != held->next || !hash_equal(&new->header->prev, &held->last))
        check_fail(&check_feeds, "%s: place %llu follows a feed that ends before %llu", name, (unsigned long long)new->header->first,
                   (unsigned long long)held->next);
    else if (new->header->count != new->truth->count || !hash_equal(&new->header->hash, &new->truth->header))
        check_fail(&check_feeds, "%s: place %llu is not what was signed for it", name, (unsigned long long)new->header->first);
}

static void compare_state(struct site *site, struct txn *txn, uint32_t id)
{
    struct feed_key key;
    struct feed_state state;
    uint64_t next = id < site->held_count && site->held[id].known ? site->held[id].next : 1;
    if (!feed_read(txn, id, &key, &state))
        return;
    if (state.next != next || state.bodies > next)
        check_fail(&check_feeds, "%s: feed %u is said to go to %llu and goes to %llu", site_name(site), id, (unsigned long long)state.next,
                   (unsigned long long)next);
    const struct model_feed *feed = model_feed(&world->model, &key, 0, false);
    if (state.disputed && !(feed && feed->history[1].count))
        check_fail(&check_feeds, "%s: feed %u is disputed, and nobody equivocates here", site_name(site), id);
}

static void step(struct site *site)
{
    if (site->held_count < 2)
        return;
    struct txn *txn = check_reader(site);
    compare_state(site, txn, 1 + (uint32_t)(world->order % site->held_count));
    compare_state(site, txn, 1);
    txn_abort(txn);
}

static void rest(struct site *site)
{
    struct txn *txn = check_reader(site);
    for (uint32_t id = 1; id < site->held_count; id++)
        compare_state(site, txn, id);
    txn_abort(txn);
}

const struct checker check_feeds = {.name = "feeds", .committed = committed, .step = step, .rest = rest};
