// Liveness: once everything is healed, every batch is at every station that it is for, with its body where that may be, and the figures at
// every tier are the sum of what was recorded below it.
#include "envelope.pb-c.h"
#include "node/period.h"
#include "record.pb-c.h"
#include "tests/sim/check.h"

enum { CELLS = 256, ALARMS_LOOKED_AT = 200 };

// Who lost its store learns the way to a station from what that one signs, and a liar passes nothing of it on.
static bool is_way_lost(const struct site *origin, const struct site *to)
{
    bool lost = false;
    for (const struct site *at = to; to->cut && at != origin && !lost; at = site_parent(at))
        lost = at->doubt;
    return lost || (to->cut && origin->doubt);
}

static bool is_for(const struct model_feed *feed, const struct site *site)
{
    const struct site *origin = &world->sites[feed->origin];
    if (feed->key.audience == SANJI__AUDIENCE__UP)
        return site->index <= origin->index && origin->index < site->subtree_end;
    if (site->index < origin->index || site->index >= origin->subtree_end)
        return false;
    if (feed->key.audience == SANJI__AUDIENCE__SUBTREE)
        return true;
    for (uint32_t i = site->index; i < site->subtree_end; i++)
        if (station_equal(&world->sites[i].self.station, &feed->key.addressee))
            return !is_way_lost(origin, &world->sites[i]);
    return false;
}

// Whether a liar stands between them: then what it lets through is all that can be asked for.
static bool is_cut(const struct site *origin, const struct site *site)
{
    if (!origin->cut)
        return false;
    const struct site *first = &world->sites[origin->cut - 1];
    return site->index <= first->index && first->index < site->subtree_end;
}

static uint64_t next_at(struct site *site, const struct model_feed *feed)
{
    struct txn *txn = check_reader(site);
    struct feed_state state;
    uint32_t id;
    feed_state_init(&state);
    feed_find(txn, &feed->key, &id, &state);
    txn_abort(txn);
    return state.next;
}

// Of two histories that were signed, `above` misses nothing of the one that `site` has.
static bool is_kept_above(struct site *site, struct site *above, const struct model_feed *feed, char *ret, size_t size)
{
    struct txn *own = check_reader(site), *theirs = check_reader(above);
    struct feed_state state;
    struct batch_row row;
    uint64_t next = 1, position;
    uint32_t id;
    bool kept = feed_find(own, &feed->key, &id, &state);
    while (kept && next < state.next && journal_find(own, id, next, &position) && journal_read(own, position, &row)) {
        kept = check_keeps(theirs, &feed->key, &row);
        next = row.first + row.count;
    }
    if (!kept)
        snprintf(ret, size, "%s misses the place before %llu of a feed (lane %u) of %s, of which there are two histories", site_name(above),
                 (unsigned long long)next, feed->key.lane, site_name(&world->sites[feed->origin]));
    txn_abort(own);
    txn_abort(theirs);
    return kept;
}

// The station under `site` on the way up from `from`.
static struct site *next_below(struct site *from, const struct site *site)
{
    while (from != site && site_parent(from) != site)
        from = site_parent(from);
    return from;
}

static bool is_alarmed(struct site *site)
{
    struct alarm alarms[ALARMS_LOOKED_AT];
    struct txn *txn = check_reader(site);
    uint32_t count = alarm_last(txn, alarms, ALARMS_LOOKED_AT);
    txn_abort(txn);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(alarms[i].kind, "body-withheld") == 0)
            return true;
    return false;
}

// Above a liar: no more than was signed, what the station below has (more, where its store was put back: the liar let it through once;
// another history, where there are two), and a body that did not come shows.
static bool has_rest(struct site *site, const struct model_feed *feed, const struct feed_state *state, char *ret, size_t size)
{
    const struct site *origin = &world->sites[feed->origin];
    struct site *first = &world->sites[origin->cut - 1], *below = next_below(first, site);
    uint64_t next = model_next(&feed->history[0]), other = model_next(&feed->history[1]), most = other > next ? other : next;
    uint64_t there = next_at(below, feed);
    bool whole = !origin->cut_bodies || feed->doubt || state->next == next;
    if (whole && state->next < there && state->disputed)
        return is_kept_above(below, site, feed, ret, size);
    if (!whole || state->next < there || (state->next > there && !below->doubt) || state->next > most)
        snprintf(ret, size, "%s has a feed of %s to %llu, and %s, above the liar, to %llu", site_name(site), site_name(origin),
                 (unsigned long long)state->next, site_name(below), (unsigned long long)there);
    else if (site == first && origin->cut_bodies && state->bodies < state->next && !is_alarmed(first))
        snprintf(ret, size, "%s has no alarm, and bodies of %s are withheld", site_name(site), site_name(origin));
    else
        return true;
    return false;
}

// Every body that the parent has of it came back.
static bool has_bodies_of(struct site *site, struct site *parent, const struct model_feed *feed, char *ret, size_t size)
{
    struct txn *own = check_reader(site), *theirs = check_reader(parent);
    struct feed_state state;
    struct batch_row row, back;
    uint64_t next = 1, end = 0, position;
    uint32_t id, own_id;
    if (feed_find(own, &feed->key, &own_id, &state) && feed_find(theirs, &feed->key, &id, &state))
        end = state.next;
    while (next < end && journal_find(theirs, id, next, &position) && journal_read(theirs, position, &row)) {
        if (row.body.size > 0 && journal_find(own, own_id, next, &position) && journal_read(own, position, &back) && back.body.size == 0)
            break;
        next = row.first + row.count;
    }
    txn_abort(own);
    txn_abort(theirs);
    if (next < end)
        snprintf(ret, size, "%s lost the body of place %llu of its feed (lane %u), and %s has it", site_name(site),
                 (unsigned long long)next, feed->key.lane, site_name(parent));
    return next >= end;
}

// Of what a station signed before its store was put back: it got back what its parent has, and everybody above has at least what those
// below have. (More, where a parent's store was put back as well. One that signs two histories on purpose takes nothing back.)
static bool has_what_is_left(struct site *site, const struct model_feed *feed, const struct feed_state *state, char *ret, size_t size)
{
    struct site *origin = &world->sites[feed->origin], *parent = site_parent(origin), *below = origin;
    uint64_t next = state->next;
    if (feed->key.audience != SANJI__AUDIENCE__UP || !parent || (site == origin && origin->stubborn))
        return true;
    if (site == origin && state->disputed && origin->forked)
        return is_kept_above(site, parent, feed, ret, size);
    if (site != origin)
        below = next_below(origin, site);
    uint64_t there = next_at(site == origin ? parent : below, feed);
    if (next == there || (next > there && site != origin && site != parent))
        return site != origin || has_bodies_of(site, parent, feed, ret, size);
    snprintf(ret, size, "%s has a feed (lane %u) of %s, which was restored, to %llu, and %s to %llu", site_name(site), feed->key.lane,
             site_name(origin), (unsigned long long)next, site_name(site == origin ? parent : below), (unsigned long long)there);
    return false;
}

// Whether somebody on the way down lost its store and was sent old rows in the places of others, which it took for those.
static bool is_misled(const struct site *origin, struct site *site)
{
    for (struct site *at = site; at != origin; at = site_parent(at))
        if (at->doubt && site_parent(at)->repeats)
            return true;
    return false;
}

static bool has(struct site *site, struct txn *txn, const struct model_feed *feed, char *ret, size_t size)
{
    uint32_t id;
    struct feed_state state;
    feed_state_init(&state);
    feed_find(txn, &feed->key, &id, &state);
    uint64_t next = model_next(&feed->history[0]);
    if (feed->key.audience == SANJI__AUDIENCE__UP && is_cut(&world->sites[feed->origin], site))
        return has_rest(site, feed, &state, ret, size);
    if (feed->doubt || model_next(&feed->history[1]) > next) // or what only a twin signed before it was turned off
        return has_what_is_left(site, feed, &state, ret, size);
    if (state.next == next && state.bodies == next)
        return true;
    if (feed->key.audience != SANJI__AUDIENCE__UP && is_misled(&world->sites[feed->origin], site))
        return true;
    // It had the one face, and was shown the other: that is kept as well.
    if (state.disputed && site != &world->sites[feed->origin] && world->sites[feed->origin].turned_count)
        return is_kept_above(site_parent(site), site, feed, ret, size);
    snprintf(ret, size, "%s has feed (%s, lane %u, audience %u) to %llu, bodies to %llu, of %llu", site_name(site),
             site_name(&world->sites[feed->origin]), feed->key.lane, feed->key.audience, (unsigned long long)state.next,
             (unsigned long long)state.bodies, (unsigned long long)next);
    return false;
}

bool arrived_everywhere(char *ret, size_t size)
{
    for (uint32_t s = 0; s < world->count; s++) {
        struct site *site = &world->sites[s];
        // Two stations with the same keys: a person has to end that. And what came for a liar's twin did not come for it.
        if (site->forked && (site->restored || site->stubborn))
            continue;
        if (!site->running || site->commit_planned || (site->restored && site->parent >= 0)) {
            snprintf(ret, size, "%s is not at rest", site_name(site));
            return false;
        }
        if (!check_whole(site) && world->sites[site->rotten_origin].cut)
            continue; // who could give it back is a liar
        if (!check_whole(site)) {
            snprintf(ret, size, "%s has a damaged row at %llu", site_name(site), (unsigned long long)site->rotten);
            return false;
        }
        struct txn *txn = check_reader(site);
        bool all = site_has_judged(site, txn);
        if (!all)
            snprintf(ret, size, "%s has not judged what waited for its period", site_name(site));
        for (uint32_t f = 0; f < world->model.feed_count && all; f++)
            if (is_for(&world->model.feeds[f], site))
                all = has(site, txn, &world->model.feeds[f], ret, size);
        txn_abort(txn);
        if (!all)
            return false;
    }
    return true;
}

// ---- figures

static void take_cell(void *context, uint32_t cell, int64_t value)
{
    int64_t *cells = context;
    if (cell < CELLS)
        cells[cell] += value;
}

static void compare(struct site *site, struct txn *txn, uint32_t unit, const struct figure_change *of, bool below, const int64_t *wanted)
{
    const struct unit *row = &world->units->items[unit];
    struct group_key group = {
        work_definition(of->definition), unit_id_find(txn, row->code, row->from), {SANJI__PERIOD_TYPE__MONTH, of->month}};
    int64_t cells[CELLS] = {0};
    cells_each(txn, &group, below, take_cell, cells);
    for (uint32_t i = 0; i < CELLS; i++)
        if (cells[i] != wanted[i]) {
            check_fail(&check_arrived, "%s: %s of %s, definition %u, month %d, cell %u is %lld, and %lld was recorded", site_name(site),
                       below ? "the sum below" : "the figure", row->code, of->definition, of->month, i, (long long)cells[i],
                       (long long)wanted[i]);
            return;
        }
}

// Whether a station from the first above the liar on up to `site` can have less than those above it, or another history.
static bool may_differ(const struct site *unit, const struct site *site)
{
    struct site *below = &world->sites[unit->cut - 1];
    bool differs = unit->forked;
    for (; below != site && !differs; below = site_parent(below))
        differs = below->doubt;
    return differs;
}

// The figure as a station has it: the first above a liar; the one at hand, where a store was put back.
static void as_let_through(const struct site *unit, struct site *at, const struct figure_change *of, int64_t *ret)
{
    struct txn *txn = check_reader(at);
    const struct unit *row = &world->units->items[unit->index];
    struct group_key group = {
        work_definition(of->definition), unit_id_find(txn, row->code, row->from), {SANJI__PERIOD_TYPE__MONTH, of->month}};
    memset(ret, 0, CELLS * sizeof *ret);
    cells_each(txn, &group, false, take_cell, ret);
    txn_abort(txn);
}

// Figures of one (definition, month): those of each unit, and the sum of the units below the station's own.
static void compare_group(struct site *site, struct txn *txn, uint32_t from, uint32_t end)
{
    const struct figure_change *figures = world->model.figures;
    struct figure_change of = figures[from];
    int64_t sum[CELLS] = {0};
    uint32_t i = from;
    while (i < end && figures[i].unit < site->index)
        i++;
    for (uint32_t unit = site->index; unit < site->subtree_end && !world->over; unit++) {
        int64_t own[CELLS] = {0};
        bool recorded = i < end && figures[i].unit == unit;
        for (; i < end && figures[i].unit == unit; i++)
            own[figures[i].cell] = figures[i].value;
        if (is_cut(&world->sites[unit], site) && !may_differ(&world->sites[unit], site))
            as_let_through(&world->sites[unit], &world->sites[world->sites[unit].cut - 1], &of, own);
        else if (world->sites[unit].doubt || is_cut(&world->sites[unit], site))
            as_let_through(&world->sites[unit], site, &of, own);
        else if (!recorded)
            continue;
        for (uint32_t cell = 0; cell < CELLS && unit > site->index; cell++)
            sum[cell] += own[cell];
        compare(site, txn, unit, &of, false, own);
    }
    compare(site, txn, site->index, &of, true, sum);
}

static void rest(struct site *site)
{
    model_sum(&world->model);
    struct txn *txn = check_reader(site);
    const struct figure_change *figures = world->model.figures;
    for (uint32_t from = 0, end; from < world->model.figure_count && !world->over; from = end) {
        for (end = from; end < world->model.figure_count; end++)
            if (figures[end].definition != figures[from].definition || figures[end].month != figures[from].month)
                break;
        compare_group(site, txn, from, end);
    }
    txn_abort(txn);
}

const struct checker check_arrived = {.name = "arrived", .rest = rest};
