// The rows of an answer: one range read per indicator, unit and table, summed into columns, then written out without the zeros.
#include <stdlib.h>

#include "node/figures_inside.h"
#include "relay/language.h"

// One unit's sums of one measure: `columns` times `combinations` values, and which periods anybody stated.
struct sums {
    int64_t *own, *below;
    bool *own_stated, *below_stated; // per column
};

struct reading {
    const struct plan *plan;
    struct sums parts[2];
    struct cursor *groups, *cells, *below;
    int64_t *memory;
    bool *stated;
    uint32_t *members; // [combination][dim]
    bool overflow;
};

static enum error_code no_memory(struct error *error) { return error_set(error, ERR_MEMORY, tr("figures", "指标")); }

// ---- reading the tables

static uint32_t column_of(const struct plan *plan, const struct measure *measure, int32_t number)
{
    if (!plan->by_period)
        return 0;
    int32_t column = number / measure->divisor - measure->base;
    return column < 0 ? 0 : (uint32_t)column; // of a stock: what came before the first period listed
}

static void first_key(const struct measure *measure, uint32_t unit_id, uint8_t ret[GROUP_KEY_SIZE])
{
    struct group_key group = {measure->indicator->definition, unit_id, {measure->period_type, measure->from}};
    put_group_key(&group, ret);
}

// Whether the cursor stands on a row of this unit and measure, not behind the last period; and on which period.
static bool on_row(const struct cursor *cursor, const uint8_t first[GROUP_KEY_SIZE], const struct measure *measure, int32_t *ret_number)
{
    struct bytes key = cursor_key(cursor);
    if (key.size < GROUP_KEY_SIZE || memcmp(key.data, first, GROUP_KEY_SIZE - 4) != 0)
        return false;
    *ret_number = get_be32_signed(key.data + GROUP_KEY_SIZE - 4);
    return *ret_number <= measure->to;
}

static void read_stated(struct reading *reading, const struct measure *measure, uint32_t unit_id, bool *stated)
{
    uint8_t first[GROUP_KEY_SIZE];
    int32_t number;
    first_key(measure, unit_id, first);
    for (bool on = cursor_seek(reading->groups, bytes_of(first, sizeof first)); on; on = cursor_next(reading->groups)) {
        if (!on_row(reading->groups, first, measure, &number))
            return;
        stated[column_of(reading->plan, measure, number)] = true;
        if (!reading->plan->by_period)
            return;
    }
}

// False: the row is damaged.
static bool add_cells(struct reading *reading, const struct measure *measure, uint32_t base, struct cells_reader *cells, int64_t *sums)
{
    uint32_t count = measure->indicator->cell_count, left = base < count ? count - base : 0;
    const int32_t *map = left ? measure->map + base : measure->map;
    bool overflow = false;
    unsigned at;
    int64_t value;
    while (cells_next(cells, &at, &value))
        if (at < left && map[at] >= 0)
            overflow |= __builtin_add_overflow(sums[map[at]], value, &sums[map[at]]);
    reading->overflow |= overflow;
    return !cells->damaged;
}

// Adds the cells of one unit's groups, of CELLS or of BELOW. `stated` (of BELOW only): whether anyone below stated the period.
static void read_cells(struct reading *reading, const struct measure *measure, struct cursor *cursor, uint32_t unit_id, int64_t *sums,
                       bool *stated)
{
    uint8_t first[GROUP_KEY_SIZE];
    int32_t number;
    struct cells_reader cells;
    first_key(measure, unit_id, first);
    for (bool on = cursor_seek(cursor, bytes_of(first, sizeof first)); on; on = cursor_next(cursor)) {
        if (!on_row(cursor, first, measure, &number))
            return;
        struct bytes key = cursor_key(cursor);
        bool whole = key.size == CHUNK_KEY_SIZE;
        uint32_t chunk = whole ? get_be16(key.data + GROUP_KEY_SIZE) : 0, column = column_of(reading->plan, measure, number);
        if (whole && chunk == CHUNK_STATED && (!stated || stated[column]))
            continue; // its value would say nothing new
        whole = whole && cells_open(key, cursor_value(cursor), &cells);
        if (whole && chunk != CHUNK_STATED)
            whole = add_cells(reading, measure, chunk * CHUNK_CELLS, &cells, sums + (size_t)column * reading->plan->combinations);
        if (whole && stated)
            stated[column] = true; // no row of BELOW is empty: somebody said what is in it
        if (!whole) {
            txn_fail(reading->plan->view->txn, ERR_CORRUPT, "cells");
            return;
        }
    }
}

// A measure of one tier only: its units' own values, one by one.
static void read_tier(struct reading *reading, const struct measure *measure, int32_t unit, struct sums *sums)
{
    const struct figures_view *view = reading->plan->view;
    if (view->units->items[unit].tier == measure->tier) {
        uint32_t id = plan_unit_id(view, unit);
        read_stated(reading, measure, id, sums->own_stated);
        read_cells(reading, measure, reading->cells, id, sums->own, NULL);
    }
    for (int32_t i = unit + 1; i < view->units->items[unit].subtree_end; i++) {
        if (view->units->items[i].tier != measure->tier)
            continue;
        uint32_t id = plan_unit_id(view, i);
        read_stated(reading, measure, id, sums->below_stated);
        read_cells(reading, measure, reading->cells, id, sums->below, NULL);
    }
}

// A level is what it was, and what changed since.
static void run_up(struct reading *reading, struct sums *sums)
{
    const struct plan *plan = reading->plan;
    for (uint32_t column = 1; column < plan->columns; column++) {
        size_t now = (size_t)column * plan->combinations, before = now - plan->combinations;
        for (uint32_t i = 0; i < plan->combinations; i++) {
            reading->overflow |= __builtin_add_overflow(sums->own[now + i], sums->own[before + i], &sums->own[now + i]);
            reading->overflow |= __builtin_add_overflow(sums->below[now + i], sums->below[before + i], &sums->below[now + i]);
        }
        sums->own_stated[column] |= sums->own_stated[column - 1];
        sums->below_stated[column] |= sums->below_stated[column - 1];
    }
}

static void read_unit(struct reading *reading, const struct asked *asked, int32_t unit)
{
    const struct plan *plan = reading->plan;
    size_t values = (size_t)plan->columns * plan->combinations;
    memset(reading->memory, 0, 4 * values * sizeof *reading->memory);
    memset(reading->stated, 0, 4 * plan->columns * sizeof *reading->stated);
    for (uint32_t p = 0; p < asked->part_count; p++) {
        const struct measure *measure = &asked->parts[p];
        struct sums *sums = &reading->parts[p];
        if (measure->tier >= 0) {
            read_tier(reading, measure, unit, sums);
        } else {
            uint32_t id = plan_unit_id(plan->view, unit);
            read_stated(reading, measure, id, sums->own_stated);
            if (sums->own_stated[0] || plan->by_period)
                read_cells(reading, measure, reading->cells, id, sums->own, NULL);
            read_cells(reading, measure, reading->below, id, sums->below, sums->below_stated);
        }
        if (measure->indicator->kind == INDICATOR_STOCK)
            run_up(reading, sums);
    }
}

// ---- writing rows

static bool widen(void *column, size_t size)
{
    void **place = column;
    void *wider = realloc(*place, size);
    if (wider)
        *place = wider;
    return wider != NULL;
}

static bool rows_grow(struct rows *rows)
{
    size_t capacity = rows->capacity ? (size_t)rows->capacity * 2 : 512;
    if (!widen(&rows->indicator, capacity * sizeof *rows->indicator) || !widen(&rows->unit, capacity * sizeof *rows->unit) ||
        !widen(&rows->period, capacity * sizeof *rows->period) || !widen(&rows->flags, capacity * sizeof *rows->flags) ||
        !widen(&rows->members, capacity * (rows->dim_count + 1) * sizeof *rows->members) ||
        !widen(&rows->own, capacity * sizeof *rows->own) || !widen(&rows->subtree, capacity * sizeof *rows->subtree))
        return false;
    rows->capacity = (uint32_t)capacity;
    return true;
}

static bool rows_room(struct rows *rows) { return rows->count < rows->capacity || rows_grow(rows); }

void rows_finish(struct rows *rows)
{
    free(rows->indicator);
    free(rows->unit);
    free(rows->period);
    free(rows->flags);
    free(rows->members);
    free(rows->own);
    free(rows->subtree);
    *rows = (struct rows){0};
}

// Scaled by 10^4, rounded half away from 0. False: nothing to divide by, or more than 64 bits hold.
static bool ratio(int64_t num, int64_t den, int64_t *ret)
{
    *ret = 0;
    if (den == 0)
        return false;
    __extension__ typedef __int128 wide;
    wide scaled = (wide)num * 10000 * 2, divisor = den;
    wide twice = scaled / divisor, value = (twice + (twice < 0 ? -1 : 1)) / 2;
    if (value < INT64_MIN || value > INT64_MAX)
        return false;
    *ret = (int64_t)value;
    return true;
}

// The values of one place, before they become a row.
struct figure {
    int64_t own, subtree;
    uint32_t flags;
    bool shown;
};

// What a column's figures have in common.
struct column {
    const struct sums *sums;
    const struct asked *asked;
    uint32_t flags; // of what was stated
    bool itself;
};

static bool total(const struct sums *sums, size_t at, bool itself, int64_t *ret)
{
    *ret = sums->own[at];
    return !itself && __builtin_add_overflow(*ret, sums->below[at], ret);
}

static struct column column_init(const struct reading *reading, const struct asked *asked, uint32_t at, bool itself)
{
    const struct sums *sums = reading->parts;
    bool stated = sums[0].own_stated[at], any = stated || (!itself && sums[0].below_stated[at]);
    struct column column = {.sums = sums, .asked = asked, .flags = itself ? FIGURE_ITSELF : 0, .itself = itself};
    column.flags |= asked->part_count == 1 ? (stated ? 0 : FIGURE_NOT_OWN) | (any ? 0 : FIGURE_NONE) : FIGURE_RATIO;
    return column;
}

static struct figure ratio_at(struct reading *reading, const struct column *column, size_t at)
{
    const struct sums *num = &column->sums[0], *den = &column->sums[1];
    struct figure figure = {.flags = column->flags};
    int64_t first, second;
    reading->overflow |= total(num, at, column->itself, &first);
    reading->overflow |= total(den, at, column->itself, &second);
    if (!ratio(num->own[at], den->own[at], &figure.own))
        figure.flags |= FIGURE_NOT_OWN;
    if (!ratio(first, second, &figure.subtree))
        figure.flags |= FIGURE_NONE;
    figure.shown = first != 0 || second != 0 || num->own[at] != 0 || den->own[at] != 0;
    return figure;
}

static struct figure figure_at(struct reading *reading, const struct column *column, size_t at)
{
    if (column->asked->part_count > 1)
        return ratio_at(reading, column, at);
    struct figure figure = {.own = column->sums[0].own[at], .flags = column->flags};
    reading->overflow |= total(&column->sums[0], at, column->itself, &figure.subtree);
    figure.shown = figure.own != 0 || figure.subtree != 0;
    return figure;
}

// Whose place in `rows` is there.
static void put_row(const struct reading *reading, struct rows *rows, uint32_t indicator, uint32_t unit, uint32_t column,
                    uint32_t combination, const struct figure *figure)
{
    uint32_t at = rows->count++, dims = rows->dim_count;
    rows->indicator[at] = indicator;
    rows->unit[at] = unit;
    rows->period[at] = column;
    rows->flags[at] = figure->flags;
    rows->own[at] = figure->own;
    rows->subtree[at] = figure->subtree;
    for (uint32_t i = 0; i < dims; i++)
        rows->members[(size_t)at * dims + i] = reading->members[(size_t)combination * dims + i];
}

static bool put_column(struct reading *reading, struct rows *rows, uint32_t indicator, uint32_t unit, uint32_t at)
{
    const struct plan *plan = reading->plan;
    const struct column column = column_init(reading, &plan->asked[indicator], at, plan->by_unit && plan->units[unit] == plan->unit);
    uint32_t before = rows->count;
    size_t first = (size_t)at * plan->combinations;
    for (uint32_t combination = 0; combination < plan->combinations; combination++) {
        struct figure figure = figure_at(reading, &column, first + combination);
        if (plan->dim_count > 0 && !figure.shown)
            continue;
        if (!rows_room(rows))
            return false;
        put_row(reading, rows, indicator, unit, at, combination, &figure);
    }
    if (rows->count > before)
        return true;
    if (!rows_room(rows))
        return false;
    struct figure nothing = figure_at(reading, &column, first); // all zero; its flags say why
    put_row(reading, rows, indicator, unit, at, 0, &nothing);
    return true;
}

// The members of each combination, found once.
static bool list_members(struct reading *reading)
{
    const struct plan *plan = reading->plan;
    reading->members = malloc(((size_t)plan->combinations * plan->dim_count + 1) * sizeof *reading->members);
    for (uint32_t combination = 0; reading->members && combination < plan->combinations; combination++)
        for (uint32_t i = 0; i < plan->dim_count; i++)
            reading->members[(size_t)combination * plan->dim_count + i] = plan_member(plan, combination, i);
    return reading->members != NULL;
}

static bool reading_init(struct reading *reading, const struct plan *plan)
{
    size_t values = (size_t)plan->columns * plan->combinations;
    *reading = (struct reading){.plan = plan};
    reading->memory = malloc(4 * values * sizeof *reading->memory);
    reading->stated = malloc(4 * plan->columns * sizeof *reading->stated);
    for (size_t p = 0; p < 2 && reading->memory && reading->stated; p++)
        reading->parts[p] = (struct sums){.own = reading->memory + 2 * p * values,
                                          .below = reading->memory + (2 * p + 1) * values,
                                          .own_stated = reading->stated + 2 * p * plan->columns,
                                          .below_stated = reading->stated + (2 * p + 1) * plan->columns};
    reading->groups = cursor_open(plan->view->txn, TABLE_GROUPS);
    reading->cells = cursor_open(plan->view->txn, TABLE_CELLS);
    reading->below = cursor_open(plan->view->txn, TABLE_BELOW);
    return reading->memory && reading->stated && list_members(reading);
}

static void reading_finish(struct reading *reading)
{
    cursor_close(reading->groups);
    cursor_close(reading->cells);
    cursor_close(reading->below);
    free(reading->memory);
    free(reading->stated);
    free(reading->members);
}

static enum error_code read_indicator(struct reading *reading, struct rows *rows, uint32_t indicator, struct error *error)
{
    const struct plan *plan = reading->plan;
    for (uint32_t unit = 0; unit < plan->unit_count; unit++) {
        read_unit(reading, &plan->asked[indicator], plan->units[unit]);
        if (txn_error(plan->view->txn))
            return error_set(error, txn_error(plan->view->txn), tr("the figures could not be read", "无法读取指标数据"));
        for (uint32_t column = 0; column < plan->columns; column++)
            if (!put_column(reading, rows, indicator, unit, column))
                return no_memory(error);
        if (reading->overflow)
            return error_set(error, ERR_LIMIT, tr("%s: a sum is too large to be true", "%s：合计过大，不可信"),
                             plan->asked[indicator].indicator->id);
        if (rows->count > FIGURES_ROWS_MAX)
            return error_set(error, ERR_LIMIT, tr("more than %d rows: ask for a part", "超过 %d 行：请分次查询"), FIGURES_ROWS_MAX);
    }
    return OK;
}

enum error_code rows_read(const struct plan *plan, struct rows *rows, struct error *error)
{
    *rows = (struct rows){.dim_count = plan->dim_count};
    struct reading reading;
    enum error_code code = reading_init(&reading, plan) ? OK : no_memory(error);
    if (!code && (!reading.groups || !reading.cells || !reading.below))
        code = error_set(error, txn_error(plan->view->txn), tr("the figures could not be read", "无法读取指标数据"));
    for (uint32_t i = 0; i < plan->asked_count && !code; i++)
        code = read_indicator(&reading, rows, i, error);
    reading_finish(&reading);
    return code;
}
