#include "node/contributions.h"

#include <assert.h>
#include <stdlib.h>

#include "node/codebook/expr.h"
#include "node/period.h"

enum { MEMBERS_MAX = LIST_ITEMS_MAX + 1 }; // every item of a multi-valued dimension, and `*`

enum { MEMBER_ALL = 0, MEMBER_MISSING = 1, MEMBER_FIRST = 2 };

void contributions_finish(struct contributions *list)
{
    free(list->items);
    *list = (struct contributions){0};
}

static void add(struct contributions *list, const struct contribution *item)
{
    if (item->value == 0 || list->failed)
        return;
    if (list->count == list->capacity) {
        uint32_t capacity = list->capacity ? list->capacity * 2 : 64;
        struct contribution *items = realloc(list->items, capacity * sizeof *items);
        if (!items) {
            list->failed = true;
            return;
        }
        list->items = items;
        list->capacity = capacity;
    }
    list->items[list->count++] = *item;
}

// ---- props

static void fold(const struct history *history, const struct record *record, struct value *props)
{
    const struct form *form = &history->codebook->forms[record->form];
    if (!form->keeps || record->voided)
        return;
    for (unsigned i = 0; i < form->field_count; i++) {
        if (form->fields[i].keep >= 0 && record->values[i].type != VALUE_NONE)
            props[form->fields[i].keep] = record->values[i];
    }
}

static void clear(const struct history *history, struct value *props)
{
    for (unsigned i = 0; history->reg && i < history->reg->prop_count; i++)
        props[i] = value_none();
}

void history_props(const struct history *history, int32_t day, const struct record *except, struct value *props)
{
    clear(history, props);
    for (uint32_t i = 0; history->reg && i < history->count && history->records[i]->at <= day; i++) {
        if (history->records[i] != except)
            fold(history, history->records[i], props);
    }
}

static bool keeps(const struct history *history, const struct record *record)
{
    return history->codebook->forms[record->form].keeps && !record->voided;
}

int32_t history_through(const struct history *history, int32_t today)
{
    for (uint32_t i = history->count; i > 0; i--) {
        const struct record *record = history->records[i - 1];
        if (keeps(history, record))
            return record->at > today ? record->at : today;
    }
    return today;
}

// ---- cells

// Everything a dimension, `where` or `value` may look at.
struct view {
    const struct record *record;
    const struct value *props;
    int32_t day;
};

static uint32_t band_member(const struct band *band, const struct value *since, int32_t day)
{
    int32_t years = since->type == VALUE_DATE ? civil_years(since->date, day) : -1;
    if (years < 0)
        return MEMBER_MISSING; // unknown, or not born yet
    uint32_t member = 0;
    while (member < band->edge_count && years >= band->at[member])
        member++;
    return MEMBER_FIRST + member;
}

// Members that one value has in a dimension, as a bit set of the list's items.
static uint64_t items_of(const struct value *value)
{
    if (value->type == VALUE_CODE)
        return UINT64_C(1) << value->code;
    if (value->type == VALUE_SET)
        return value->set;
    if (value->type == VALUE_BOOL)
        return UINT64_C(1) << value->truth;
    return 0;
}

static uint64_t attrs_of(const struct list *list, uint64_t items, uint16_t attr)
{
    uint64_t found = 0;
    for (unsigned i = 0; i < list->item_count; i++) {
        if (items >> i & 1)
            found |= items_of(&list->items[i].attrs[attr]);
    }
    return found;
}

// The members of one dimension: at least one, at most MEMBERS_MAX.
static unsigned members_of(const struct history *history, const struct indicator *indicator, const struct dimension *dimension,
                           const struct view *view, uint32_t members[MEMBERS_MAX])
{
    const struct codebook *codebook = history->codebook;
    uint64_t items = 0;
    switch (dimension->source) {
    case DIMENSION_BAND: {
        const struct band *band = &history->reg->bands[dimension->band];
        members[0] = band_member(band, &view->props[band->prop], view->day);
        return 1;
    }
    case DIMENSION_FIELD:
        items = items_of(&view->record->values[dimension->index]);
        break;
    case DIMENSION_PROP:
        items = items_of(&view->props[dimension->index]);
        break;
    case DIMENSION_FIELD_ATTR:
        items = attrs_of(&codebook->lists[codebook->forms[indicator->form].fields[dimension->index].list],
                         items_of(&view->record->values[dimension->index]), dimension->attr);
        break;
    case DIMENSION_PROP_ATTR:
        items = attrs_of(&codebook->lists[history->reg->props[dimension->index].list], items_of(&view->props[dimension->index]),
                         dimension->attr);
        break;
    case DIMENSION_LIST:
        assert(!"a bare list is a dimension of entered figures only");
    }
    unsigned count = 0;
    for (; items; items &= items - 1) // lowest first
        members[count++] = MEMBER_FIRST + (uint32_t)__builtin_ctzll(items);
    if (count == 0)
        members[count++] = MEMBER_MISSING;
    assert(dimension->multi || count == 1);
    if (dimension->multi)
        members[count++] = MEMBER_ALL;
    return count;
}

// The cells that a view counts in: one, or one for each member of the multi-valued dimension. 0 when `where` says no.
struct cells {
    uint32_t count;
    uint32_t cell[MEMBERS_MAX];
    int64_t value;
};

static int64_t whole(int64_t scaled)
{
    int64_t floor = scaled / NUMBER_SCALE, rest = scaled % NUMBER_SCALE;
    if (rest < 0) {
        floor--;
        rest += NUMBER_SCALE;
    }
    return floor + (rest * 2 >= NUMBER_SCALE);
}

static void cells_of(const struct history *history, const struct indicator *indicator, const struct view *view, struct cells *ret)
{
    struct expr_input input = {.fields = view->record ? view->record->values : NULL, .props = view->props};
    ret->count = 0;
    ret->value = 1;
    if (indicator->where) {
        struct value where = expr_eval(indicator->where, &input);
        if (where.type != VALUE_BOOL || !where.truth)
            return;
    }
    if (indicator->value) {
        struct value value = expr_eval(indicator->value, &input);
        ret->value = value.type == VALUE_NUMBER ? whole(value.number) : 0;
    }
    ret->count = 1;
    ret->cell[0] = 0;
    for (unsigned d = 0; d < indicator->dim_count; d++) {
        const struct dimension *dimension = &indicator->dims[d];
        uint32_t members[MEMBERS_MAX];
        unsigned count = members_of(history, indicator, dimension, view, members);
        assert(count == 1 || ret->count == 1); // at most one multi-valued dimension
        for (unsigned m = count; m > 0; m--) { // cell[0] last: the others start from it
            for (uint32_t c = 0; c < ret->count; c++)
                ret->cell[c + m - 1] = ret->cell[count == 1 ? c : 0] + members[m - 1] * dimension->stride;
        }
        if (count > 1)
            ret->count = count;
    }
}

// ---- flows

static void flows(const struct history *history, const struct record *record, const struct value *props, struct contributions *ret)
{
    if (record->voided)
        return;
    struct view view = {.record = record, .props = props, .day = record->at};
    struct contribution item = {.month = month_of_days(record->at), .unit = record->unit, .unit_from = record->unit_from};
    for (unsigned i = 0; i < history->codebook->indicator_count; i++) {
        const struct indicator *indicator = &history->codebook->indicators[i];
        if (indicator->kind != INDICATOR_FLOW || indicator->form != record->form)
            continue;
        struct cells cells;
        cells_of(history, indicator, &view, &cells);
        item.indicator = (uint16_t)i;
        item.value = cells.value;
        for (uint32_t c = 0; c < cells.count; c++) {
            item.cell = cells.cell[c];
            add(ret, &item);
        }
    }
}

void contributions_of_record(const struct history *history, uint32_t index, struct contributions *ret)
{
    struct value props[PROPS_MAX];
    const struct record *record = history->records[index];
    history_props(history, record->at, NULL, props);
    flows(history, record, props, ret);
}

static void flows_all(const struct history *history, struct contributions *ret)
{
    struct value props[PROPS_MAX];
    clear(history, props);
    for (uint32_t i = 0, end; i < history->count; i = end) { // day by day
        for (end = i; end < history->count && history->records[end]->at == history->records[i]->at; end++) {
            if (history->reg)
                fold(history, history->records[end], props);
        }
        for (uint32_t j = i; j < end; j++)
            flows(history, history->records[j], props, ret);
    }
}

// ---- stocks

static const char *custodian(const struct history *history, uint32_t *ret_from)
{
    const char *unit = history->records[0]->custodian;
    for (uint32_t i = 0; i < history->count; i++) {
        if (strcmp(history->records[i]->unit, unit) == 0) {
            *ret_from = history->records[i]->unit_from;
            break;
        }
    }
    return unit;
}

static int compare_months(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return x < y ? -1 : x > y;
}

static bool stock_of(const struct history *history, const struct indicator *indicator)
{
    return indicator->kind == INDICATOR_STOCK && &history->codebook->regs[indicator->reg] == history->reg;
}

// Months from `first` to `through` in which a subject of that date enters a member: 0 to edge_count + 1 of them.
static uint32_t band_months(const struct band *band, int32_t since, int32_t first, int32_t through, int32_t *months)
{
    uint32_t count = 0;
    for (unsigned e = 0; e <= band->edge_count; e++) {
        int32_t day = e == 0 ? since : civil_add_years(since, band->at[e - 1]);
        if (day <= through && month_of_days(day) >= first)
            months[count++] = month_of_days(day);
    }
    return count;
}

// The months in which a stock may change, ascending: those of records that keep something, and of every band edge of every date that the
// subject ever had there. NULL with count 0: none, or (ret_failed) no memory.
static int32_t *months_of_change(const struct history *history, int32_t through, uint32_t *ret_count, bool *ret_failed)
{
    const struct reg *reg = history->reg;
    size_t max = 0;
    for (unsigned b = 0; b < reg->band_count; b++)
        max += reg->bands[b].edge_count + 1u;
    max = (max + 1) * history->count;
    int32_t *months = malloc((max ? max : 1) * sizeof *months);
    *ret_count = 0;
    *ret_failed = !months;
    uint32_t count = 0;
    int32_t first = INT32_MAX;
    for (uint32_t i = 0; months && i < history->count; i++) {
        const struct record *record = history->records[i];
        const struct form *form = &history->codebook->forms[record->form];
        if (!keeps(history, record) || record->at > through)
            continue;
        first = first == INT32_MAX ? month_of_days(record->at) : first;
        months[count++] = month_of_days(record->at);
        for (unsigned b = 0; b < reg->band_count; b++) {
            for (unsigned f = 0; f < form->field_count; f++) {
                if (form->fields[f].keep != (int)reg->bands[b].prop || record->values[f].type != VALUE_DATE)
                    continue;
                count += band_months(&reg->bands[b], record->values[f].date, first, through, months + count);
                break; // one field a prop
            }
        }
    }
    if (months)
        qsort(months, count, sizeof *months, compare_months);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (kept == 0 || months[kept - 1] != months[i])
            months[kept++] = months[i];
    }
    *ret_count = kept;
    return months;
}

static void net_change(const struct cells *now, const struct cells *before, struct contribution *item, struct contributions *ret)
{
    for (uint32_t c = 0; c < before->count; c++) {
        item->cell = before->cell[c];
        item->value = -before->value;
        add(ret, item);
    }
    for (uint32_t c = 0; c < now->count; c++) {
        item->cell = now->cell[c];
        item->value = now->value;
        add(ret, item);
    }
}

static bool cells_equal(const struct cells *a, const struct cells *b)
{
    return a->count == b->count && (a->count == 0 || (a->value == b->value && memcmp(a->cell, b->cell, a->count * sizeof *a->cell) == 0));
}

static void stocks(const struct history *history, int32_t through, struct contributions *ret)
{
    uint32_t count = 0;
    bool failed = false;
    int32_t *months = months_of_change(history, through, &count, &failed);
    struct cells *before = count ? calloc(history->codebook->indicator_count, sizeof *before) : NULL;
    ret->failed |= failed || (count && !before);
    struct contribution item = {0};
    struct value props[PROPS_MAX];
    clear(history, props);
    if (count)
        item.unit = custodian(history, &item.unit_from);
    uint32_t next = 0; // record to fold
    for (uint32_t m = 0; before && m < count; m++) {
        int32_t day = month_last_day(months[m]) < through ? month_last_day(months[m]) : through;
        for (; next < history->count && history->records[next]->at <= day; next++)
            fold(history, history->records[next], props);
        struct view view = {.props = props, .day = day};
        item.month = months[m];
        for (unsigned i = 0; i < history->codebook->indicator_count; i++) {
            if (!stock_of(history, &history->codebook->indicators[i]))
                continue;
            struct cells now;
            cells_of(history, &history->codebook->indicators[i], &view, &now);
            if (cells_equal(&now, &before[i]))
                continue;
            item.indicator = (uint16_t)i;
            net_change(&now, &before[i], &item, ret);
            before[i] = now;
        }
    }
    free(before);
    free(months);
}

void contributions_all(const struct history *history, int32_t through, struct contributions *ret)
{
    flows_all(history, ret);
    if (history->reg)
        stocks(history, through, ret);
}

// ---- time

int32_t history_next_edge(const struct history *history, int32_t through)
{
    struct value props[PROPS_MAX];
    int32_t next = INT32_MAX;
    bool kept = false;
    for (uint32_t i = 0; i < history->count; i++)
        kept |= keeps(history, history->records[i]) && history->records[i]->at <= through;
    if (!history->reg || !kept)
        return next;
    history_props(history, through, NULL, props);
    struct view view = {.props = props, .day = through};
    for (unsigned i = 0; i < history->codebook->indicator_count; i++) {
        const struct indicator *indicator = &history->codebook->indicators[i];
        struct cells cells = {0};
        if (!stock_of(history, indicator))
            continue;
        cells_of(history, indicator, &view, &cells);
        for (unsigned d = 0; cells.count && d < indicator->dim_count; d++) {
            if (indicator->dims[d].source != DIMENSION_BAND)
                continue;
            const struct band *band = &history->reg->bands[indicator->dims[d].band];
            const struct value *since = &props[band->prop];
            for (unsigned e = 0; since->type == VALUE_DATE && e <= band->edge_count; e++) {
                int32_t day = e == 0 ? since->date : civil_add_years(since->date, band->at[e - 1]);
                if (day > through && day < next)
                    next = day;
            }
        }
    }
    return next;
}

// ---- lists

static int compare(const void *x, const void *y)
{
    const struct contribution *a = x, *b = y;
    if (a->indicator != b->indicator)
        return a->indicator < b->indicator ? -1 : 1;
    if (a->month != b->month)
        return a->month < b->month ? -1 : 1;
    if (a->cell != b->cell)
        return a->cell < b->cell ? -1 : 1;
    if (a->unit_from != b->unit_from)
        return a->unit_from < b->unit_from ? -1 : 1;
    return strcmp(a->unit, b->unit);
}

void contributions_subtract(struct contributions *list, struct contributions *before)
{
    for (uint32_t i = 0; i < before->count; i++) {
        struct contribution item = before->items[i];
        item.value = -item.value;
        add(list, &item);
    }
    list->failed |= before->failed;
    contributions_finish(before);
    if (list->count)
        qsort(list->items, list->count, sizeof *list->items, compare);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < list->count;) {
        struct contribution sum = list->items[i];
        for (i++; i < list->count && compare(&sum, &list->items[i]) == 0; i++)
            sum.value += list->items[i].value;
        if (sum.value != 0)
            list->items[kept++] = sum;
    }
    list->count = kept;
}
