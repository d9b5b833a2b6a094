// How fresh an answer is: who owes a statement, who has said it is complete, who moved a figure afterwards (T15).
#include "node/figures_inside.h"
#include "record.pb-c.h"
#include "relay/language.h"

// Rows by unit id, asked for in (mostly) ascending order: one step instead of one search.
struct id_rows {
    struct cursor *cursor;
    bool on;
};

static bool id_rows_find(struct id_rows *rows, uint32_t id)
{
    uint8_t key[4];
    for (int tries = 0; rows->on && tries < 2; tries++) {
        struct bytes at = cursor_key(rows->cursor);
        if (at.size >= 4 && get_be32(at.data) == id)
            return true;
        if (at.size >= 4 && get_be32(at.data) > id)
            break;
        rows->on = cursor_next(rows->cursor);
    }
    put_be32(key, id);
    rows->on = cursor_seek(rows->cursor, bytes_of(key, sizeof key));
    return rows->on && cursor_key(rows->cursor).size >= 4 && memcmp(cursor_key(rows->cursor).data, key, 4) == 0;
}

// Whether a group of the asked indicators and periods was stated after the unit's Complete by the same speaker.
static bool restated(const struct plan *plan, struct cursor *groups, uint32_t unit_id, const struct complete_row *complete)
{
    struct rank speaker = rank_of_complete(complete);
    for (uint32_t i = 0; i < plan->asked_count * 2; i++) {
        const struct asked *asked = &plan->asked[i / 2];
        const struct measure *measure = &asked->parts[i % 2];
        if (i % 2 >= asked->part_count)
            continue;
        uint8_t first[GROUP_KEY_SIZE];
        struct group_key group = {measure->indicator->definition, unit_id, {measure->period_type, measure->from}};
        put_group_key(&group, first);
        for (bool on = cursor_seek(groups, bytes_of(first, sizeof first)); on; on = cursor_next(groups)) {
            struct bytes key = cursor_key(groups);
            struct group_state state;
            int32_t unused, last;
            if (key.size != GROUP_KEY_SIZE || memcmp(key.data, first, GROUP_KEY_SIZE - 4) != 0 ||
                get_be32_signed(key.data + GROUP_KEY_SIZE - 4) > measure->to)
                break;
            if (!group_row_decode(key, cursor_value(groups), &state)) {
                txn_fail(plan->view->txn, ERR_CORRUPT, "groups");
                return false;
            }
            period_months((struct period){measure->period_type, get_be32_signed(key.data + GROUP_KEY_SIZE - 4)}, &unused, &last);
            struct rank rank = rank_of_group(&state);
            if (last <= complete->through && rank_same_speaker(&rank, &speaker) && rank.sequence > complete->head)
                return true;
        }
    }
    return false;
}

struct gathering {
    const struct plan *plan;
    struct arena *arena;
    Sanji__Freshness *fresh;
    struct id_rows complete, heard;
    struct cursor *groups;
    int32_t due; // last month that must be complete
};

static bool list_missing(struct gathering *gathering, const struct unit *unit)
{
    Sanji__Freshness *fresh = gathering->fresh;
    fresh->missing_count++;
    if (fresh->n_missing == FIGURES_MISSING_MAX)
        return true;
    Sanji__FigureUnit *missing = arena_alloc(gathering->arena, sizeof *missing);
    if (!missing)
        return false;
    sanji__figure_unit__init(missing);
    missing->code = (char *)unit->code;
    missing->name = (char *)unit->name;
    missing->tier = gathering->plan->view->units->tiers[unit->tier];
    fresh->missing[fresh->n_missing++] = missing;
    return true;
}

static void note_heard(struct gathering *gathering, uint32_t id)
{
    Sanji__Freshness *fresh = gathering->fresh;
    struct heard_row heard;
    if (!id_rows_find(&gathering->heard, id))
        return;
    if (!heard_row_decode(cursor_key(gathering->heard.cursor), cursor_value(gathering->heard.cursor), &heard)) {
        txn_fail(gathering->plan->view->txn, ERR_CORRUPT, "heard");
        return;
    }
    // a clock that runs ahead cannot make a figure fresher than its arrival
    uint64_t time_ms = heard.time_ms < heard.received_ms ? heard.time_ms : heard.received_ms;
    if (fresh->oldest_ms == 0 || time_ms < fresh->oldest_ms)
        fresh->oldest_ms = time_ms;
    if (time_ms > fresh->newest_ms)
        fresh->newest_ms = time_ms;
}

static bool gather_unit(struct gathering *gathering, int32_t unit)
{
    const struct plan *plan = gathering->plan;
    const struct unit *item = &plan->view->units->items[unit];
    struct complete_row complete;
    uint32_t id = plan_unit_id(plan->view, unit);
    note_heard(gathering, id);
    if (!item->counted)
        return true;
    gathering->fresh->expected++;
    bool known = id_rows_find(&gathering->complete, id);
    if (known && !complete_row_decode(cursor_key(gathering->complete.cursor), cursor_value(gathering->complete.cursor), &complete)) {
        txn_fail(plan->view->txn, ERR_CORRUPT, "complete");
        return true;
    }
    if (!known || complete.through < gathering->due)
        return list_missing(gathering, item);
    gathering->fresh->complete++;
    if (complete.touched > complete.head && restated(plan, gathering->groups, id, &complete))
        gathering->fresh->restated++;
    return true;
}

static enum error_code gather(struct gathering *gathering, struct error *error)
{
    const struct plan *plan = gathering->plan;
    int32_t end = plan->view->units->items[plan->unit].subtree_end;
    for (int32_t unit = plan->unit; unit < end; unit++)
        if (!gather_unit(gathering, unit))
            return error_set(error, ERR_MEMORY, tr("figures", "指标"));
    if (txn_error(plan->view->txn))
        return error_set(error, txn_error(plan->view->txn), tr("the figures could not be read", "无法读取指标数据"));
    return OK;
}

enum error_code freshness_read(const struct plan *plan, struct arena *arena, Sanji__Freshness *ret, struct error *error)
{
    struct txn *txn = plan->view->txn;
    int32_t unused, last, this_month = month_of_days(plan->today);
    period_months(plan->last, &unused, &last);
    sanji__freshness__init(ret);
    ret->now_ms = plan->view->now_ms;
    ret->open_period = last >= this_month;
    ret->missing = arena_alloc(arena, FIGURES_MISSING_MAX * sizeof *ret->missing);
    if (!ret->missing)
        return error_set(error, ERR_MEMORY, tr("figures", "指标"));
    struct gathering gathering = {.plan = plan,
                                  .arena = arena,
                                  .fresh = ret,
                                  .complete = {.cursor = cursor_open(txn, TABLE_COMPLETE)},
                                  .heard = {.cursor = cursor_open(txn, TABLE_HEARD)},
                                  .groups = cursor_open(txn, TABLE_GROUPS),
                                  .due = last < this_month ? last : this_month - 1};
    enum error_code code;
    if (gathering.complete.cursor && gathering.heard.cursor && gathering.groups)
        code = gather(&gathering, error);
    else
        code = error_set(error, txn_error(txn), tr("the figures could not be read", "无法读取指标数据"));
    cursor_close(gathering.complete.cursor);
    cursor_close(gathering.heard.cursor);
    cursor_close(gathering.groups);
    return code;
}
