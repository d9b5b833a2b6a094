// A station that shows one side another history than the others is found out: when all is at rest an honest station, above it or in the
// branch that was lied to, has an alarm, and keeps the two claims, or the other batch, that prove it.
#include "relay/heads.h"
#include "tests/sim/check.h"

static bool is_told(struct txn *txn)
{
    static struct alarm alarms[ALARMS_MAX];
    uint32_t count = alarm_last(txn, alarms, ALARMS_MAX);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(alarms[i].kind, "views-differ") == 0 || strcmp(alarms[i].kind, "split-view") == 0 || strcmp(alarms[i].kind, "fork") == 0)
            return true;
    return count == ALARMS_MAX; // so many that the first are gone
}

static bool has_proof(struct txn *txn)
{
    struct station_id at = {0};
    struct heads_row row;
    while (heads_next(txn, &at, &at, &row))
        if (row.other.size)
            return true;
    return txn_count(txn, TABLE_EVIDENCE) > 0;
}

static bool has_found(struct site *site)
{
    struct txn *txn = check_reader(site);
    bool found = is_told(txn) && has_proof(txn);
    txn_abort(txn);
    return found;
}

static bool is_found(const struct site *liar)
{
    const struct site *child = &world->sites[liar->shows - 1];
    for (struct site *above = site_parent(liar); above; above = site_parent(above))
        if (has_found(above))
            return true;
    for (uint32_t i = child->index; i < child->subtree_end; i++)
        if (has_found(&world->sites[i]))
            return true;
    return false;
}

// Heads name the feeds of the incarnation that is open: of a liar whose own store was put back nothing is asked. Nor of one that lies to a
// liar, or to one that hears nothing for another's sake.
bool check_split_found(char *ret, size_t size)
{
    for (uint32_t i = 0; i < world->count; i++) {
        const struct site *site = &world->sites[i];
        if (!site->turned_count || site->doubt || is_found(site))
            continue;
        const struct site *child = &world->sites[site->shows - 1];
        if (child->forked || child->cut)
            continue;
        snprintf(ret, size, "%s shows %s what it shows nobody else, and no honest station knows", site_name(site), site_name(child));
        return false;
    }
    return true;
}

const struct checker check_split = {.name = "split"};
