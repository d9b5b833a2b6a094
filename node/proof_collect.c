// Which statements a figure was summed from: the groups from the views, the statements from their speakers' feeds in the journal.
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "node/proof_inside.h"
#include "node/statement.h"
#include "record.pb-c.h"
#include "relay/language.h"

// What is wanted of one incarnation's aggregate feed.
struct source {
    struct station_id station;
    uint32_t ordinal;
    uint64_t nonce;
    uint64_t first, last; // sequences
};

static enum error_code no_memory(struct error *error) { return error_set(error, ERR_MEMORY, tr("proof", "证明")); }

static enum error_code store_failed(const struct collection *collection, struct error *error)
{
    return error_set(error, txn_error(collection->plan->view->txn), tr("the journal could not be read", "无法读取日志"));
}

static bool room(void **items, uint32_t *capacity, uint32_t count, size_t size)
{
    if (count < *capacity)
        return true;
    uint32_t wider = *capacity ? *capacity * 2 : 256;
    void *moved = realloc(*items, wider * size);
    if (!moved)
        return false;
    *items = moved;
    *capacity = wider;
    return true;
}

void collection_finish(struct collection *collection)
{
    free(collection->groups);
    free(collection->entries);
}

// ---- groups

static enum error_code collect_unit(struct collection *collection, struct cursor *cursor, int32_t unit, struct error *error)
{
    const struct measure *measure = collection->measure;
    struct group_key group = {
        measure->indicator->definition, plan_unit_id(collection->plan->view, unit), {measure->period_type, measure->from}};
    uint8_t first[GROUP_KEY_SIZE];
    put_group_key(&group, first);
    uint32_t before = collection->group_count;
    for (bool on = cursor_seek(cursor, bytes_of(first, sizeof first)); on; on = cursor_next(cursor)) {
        struct bytes key = cursor_key(cursor);
        if (key.size != GROUP_KEY_SIZE || memcmp(key.data, first, GROUP_KEY_SIZE - 4) != 0 ||
            get_be32_signed(key.data + GROUP_KEY_SIZE - 4) > measure->to)
            break;
        if (collection->group_count == PROOF_STATEMENTS_MAX)
            return error_set(error, ERR_LIMIT, tr("more than %d statements: prove a smaller part", "超过 %d 项陈述：请证明较小的部分"),
                             PROOF_STATEMENTS_MAX);
        if (!room((void **)&collection->groups, &collection->group_capacity, collection->group_count, sizeof *collection->groups))
            return no_memory(error);
        struct proved_group *proved = &collection->groups[collection->group_count++];
        *proved = (struct proved_group){.unit = unit, .period = get_be32_signed(key.data + GROUP_KEY_SIZE - 4)};
        if (!group_row_decode(key, cursor_value(cursor), &proved->state))
            return error_set(error, ERR_CORRUPT, tr("a row of the view is damaged: run verify", "视图中有损坏的行：请运行 verify"));
    }
    collection->unit_count += collection->group_count > before;
    return OK;
}

static enum error_code collect_groups(struct collection *collection, struct error *error)
{
    const struct plan *plan = collection->plan;
    const struct unit *items = plan->view->units->items;
    int32_t end = collection->itself ? plan->unit + 1 : items[plan->unit].subtree_end;
    struct cursor *cursor = cursor_open(plan->view->txn, TABLE_GROUPS);
    if (!cursor)
        return store_failed(collection, error);
    enum error_code code = OK;
    for (int32_t unit = plan->unit; unit < end && !code; unit++)
        if (collection->measure->tier < 0 || items[unit].tier == collection->measure->tier)
            code = collect_unit(collection, cursor, unit, error);
    cursor_close(cursor);
    if (!code && collection->group_count == 0)
        code = error_set(error, ERR_NOT_FOUND,
                         tr("nobody has stated any of it: there is nothing to prove", "尚无任何单位作出陈述：没有可证明的内容"));
    return code;
}

static struct proved_group *find_group(const struct collection *collection, int32_t unit, int32_t period)
{
    uint32_t low = 0, high = collection->group_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        struct proved_group *group = &collection->groups[middle];
        if (group->unit == unit && group->period == period)
            return group;
        if (group->unit < unit || (group->unit == unit && group->period < period))
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

// ---- sources

static int compare_sources(const void *a, const void *b)
{
    const struct source *x = a, *y = b;
    int stations = memcmp(x->station.bytes, y->station.bytes, STATION_ID_SIZE);
    if (stations || x->ordinal != y->ordinal)
        return stations ? stations : x->ordinal < y->ordinal ? -1 : 1;
    return (x->nonce > y->nonce) - (x->nonce < y->nonce);
}

// One source for each incarnation that speaks for a group, sorted; NULL without memory.
static struct source *make_sources(const struct collection *collection, uint32_t *ret_count)
{
    struct source *sources = malloc(collection->group_count * sizeof *sources);
    if (!sources)
        return NULL;
    for (uint32_t i = 0; i < collection->group_count; i++) {
        const struct group_state *state = &collection->groups[i].state;
        sources[i] = (struct source){state->station, state->ordinal, state->nonce, state->full, state->sequence};
    }
    qsort(sources, collection->group_count, sizeof *sources, compare_sources);
    uint32_t kept = 0;
    for (uint32_t i = 1; i < collection->group_count; i++) {
        if (compare_sources(&sources[kept], &sources[i]) != 0) {
            sources[++kept] = sources[i];
            continue;
        }
        if (sources[i].first < sources[kept].first)
            sources[kept].first = sources[i].first;
        if (sources[i].last > sources[kept].last)
            sources[kept].last = sources[i].last;
    }
    *ret_count = kept + 1;
    return sources;
}

// ---- statements

static bool counts(const struct measure *measure, const struct statement *statement)
{
    for (uint32_t i = 0; i < statement->count; i++)
        if (statement->cells[i] < measure->indicator->cell_count && measure->map[statement->cells[i]] >= 0)
            return true;
    return false;
}

static enum error_code take_statement(struct collection *collection, const struct feed_key *feed, const struct batch_row *row,
                                      uint32_t index, const struct statement *statement, struct error *error)
{
    const struct measure *measure = collection->measure;
    if (!hash_equal(&statement->definition, &measure->indicator->definition) || statement->period.type != measure->period_type)
        return OK;
    int32_t unit = units_find(collection->plan->view->units, statement->unit);
    struct proved_group *group = unit == UNIT_NONE ? NULL : find_group(collection, unit, statement->period.number);
    uint64_t sequence = row->first + index;
    if (!group || !station_equal(&group->state.station, &feed->station) || group->state.ordinal != feed->ordinal ||
        group->state.nonce != feed->nonce || group->state.term != statement->term || sequence < group->state.full ||
        sequence > group->state.sequence)
        return OK;
    if (statement->extent == SANJI__EXTENT__PATCH && !counts(measure, statement))
        return OK;
    if (collection->entry_count == PROOF_STATEMENTS_MAX)
        return error_set(error, ERR_LIMIT, tr("more than %d statements: prove a smaller part", "超过 %d 项陈述：请证明较小的部分"),
                         PROOF_STATEMENTS_MAX);
    if (!room((void **)&collection->entries, &collection->entry_capacity, collection->entry_count, sizeof *collection->entries))
        return no_memory(error);
    collection->entries[collection->entry_count++] =
        (struct proved_entry){(uint32_t)(group - collection->groups), index, sequence, row->position};
    return OK;
}

static enum error_code take_batch(struct collection *collection, const struct feed_key *feed, const struct batch_row *row,
                                  struct entry *entries, struct arena *arena, struct error *error)
{
    struct header header;
    enum error_code code = header_decode(row->header, &header, error);
    if (!code && row->body.size == 0)
        code = error_set(error, ERR_STATE, tr("a batch's body is not held here", "此处没有某批次的正文"));
    if (!code)
        code = body_decode(row->body, &header, entries, error);
    for (uint32_t i = 0; i < header.count && !code; i++) {
        struct statement statement;
        arena_reset(arena);
        if (entries[i].kind == SANJI__ENTRY_KIND__STATEMENT && !entries[i].is_sealed &&
            statement_decode(entries[i].content, arena, &statement, NULL) == OK)
            code = take_statement(collection, feed, row, i, &statement, error);
    }
    return code;
}

static enum error_code take_feed(struct collection *collection, uint32_t id, const struct feed_key *feed, const struct source *source,
                                 struct entry *entries, struct arena *arena, struct error *error)
{
    struct txn *txn = collection->plan->view->txn;
    for (uint64_t sequence = source->first, position; sequence <= source->last;) {
        struct batch_row row;
        if (!journal_find(txn, id, sequence, &position) || !journal_read(txn, position, &row))
            break; // another feed of the same incarnation, or a failed transaction
        enum error_code code = take_batch(collection, feed, &row, entries, arena, error);
        if (code)
            return code;
        sequence = row.first + row.count;
    }
    return txn_error(txn) ? store_failed(collection, error) : OK;
}

static enum error_code take_feeds(struct collection *collection, const struct source *sources, uint32_t count, struct entry *entries,
                                  struct error *error)
{
    struct txn *txn = collection->plan->view->txn;
    struct arena arena = {0};
    struct feed_key feed;
    struct feed_state state;
    uint64_t done = 0;
    enum error_code code = OK;
    for (uint32_t id = 1; !code && feed_read(txn, id, &feed, &state); id++) {
        const struct source key = {.station = feed.station, .ordinal = feed.ordinal, .nonce = feed.nonce};
        const struct source *source = feed.lane == SANJI__LANE__AGGREGATE && feed.audience == SANJI__AUDIENCE__UP
                                          ? bsearch(&key, sources, count, sizeof *sources, compare_sources)
                                          : NULL;
        if (!source)
            continue;
        code = take_feed(collection, id, &feed, source, entries, &arena, error);
        if (collection->progress)
            collection->progress(collection->context, ++done, count);
    }
    arena_finish(&arena);
    if (!code && txn_error(txn))
        code = store_failed(collection, error);
    return code;
}

static int compare_entries(const void *a, const void *b)
{
    const struct proved_entry *x = a, *y = b;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

enum error_code collect(struct collection *collection, struct error *error)
{
    enum error_code code = collect_groups(collection, error);
    if (code)
        return code;
    uint32_t count;
    struct source *sources = make_sources(collection, &count);
    struct entry *entries = malloc(BATCH_ENTRIES_MAX * sizeof *entries);
    code = sources && entries ? take_feeds(collection, sources, count, entries, error) : no_memory(error);
    free(sources);
    free(entries);
    if (!code && collection->entry_count > 0)
        qsort(collection->entries, collection->entry_count, sizeof *collection->entries, compare_entries);
    return code;
}
