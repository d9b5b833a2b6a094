#include "node/import.h"

#include <stdlib.h>

#include "node/import_inside.h"
#include "node/ledger_rows.h"
#include "record.pb-c.h"
#include "relay/language.h"

// ---- one value

// Fills in the fault, and is false.
#define WRONG(fault, at, code, ...) (error_set(&(fault)->error, code, __VA_ARGS__), (fault)->part = (at), false)

bool import_indicator(const struct import *import, const char *id, uint16_t *ret, struct import_fault *fault)
{
    const struct codebook *codebook = import->desk->codebook;
    int at = codebook_indicator(codebook, id);
    if (at < 0)
        return WRONG(fault, PART_INDICATOR, ERR_NOT_FOUND, tr("indicator %s: not in the codebook", "指标 %s：编码本中没有"), id);
    const char *why = codebook->indicators[at].kind == INDICATOR_RATIO
                          ? tr("it is computed from its parts when asked", "它在查询时由其组成部分计算得出")
                          : tr("it is computed from records: an imported value would be gone at the next restatement",
                               "它由记录计算得出：导入的值会在下次重算时被覆盖");
    if (codebook->indicators[at].kind != INDICATOR_ENTERED)
        return WRONG(fault, PART_INDICATOR, ERR_REFUSED, tr("%s is not entered; %s", "%s 不是填报指标；%s"), id, why);
    *ret = (uint16_t)at;
    return true;
}

static bool find_unit(const struct import *import, const struct indicator *indicator, const char *code, int32_t *ret,
                      struct import_fault *fault)
{
    const struct desk *desk = import->desk;
    const struct codebook *codebook = desk->codebook;
    int32_t unit = units_find(desk->units, code);
    if (unit == UNIT_NONE)
        return WRONG(fault, PART_UNIT, ERR_NOT_FOUND, tr("unit %s: not in the unit tree", "单位 %s：不在单位树中"), code);
    const char *tier = desk->units->tiers[desk->units->items[unit].tier];
    if (indicator->for_tier >= 0 && strcmp(tier, codebook->tiers[indicator->for_tier]) != 0)
        return WRONG(fault, PART_UNIT, ERR_REFUSED, tr("%s is for units of tier %s; %s is of tier %s", "%s 只用于层级 %s；%s 属于层级 %s"),
                     indicator->id, codebook->tiers[indicator->for_tier], code, tier);
    if (indicator->stated_by >= 0 && strcmp(desk->self->tier, codebook->tiers[indicator->stated_by]) != 0)
        return WRONG(fault, PART_UNIT, ERR_REFUSED,
                     tr("%s is stated by tier %s; this station is of tier %s", "%s 由层级 %s 填报；本站属于层级 %s"), indicator->id,
                     codebook->tiers[indicator->stated_by], desk->self->tier);
    if (!units_within(desk->units, unit, desk->unit))
        return WRONG(fault, PART_UNIT, ERR_REFUSED, tr("unit %s does not lie below this station's", "单位 %s 不在本站之下"), code);
    if (indicator->stated_by < 0 && !desk_speaks_for(desk, unit))
        return WRONG(fault, PART_UNIT, ERR_REFUSED,
                     tr("unit %s has a station of its own: enter it there", "单位 %s 有自己的站点：请在该站点填报"), code);
    *ret = unit;
    return true;
}

static bool find_period(const struct import *import, const struct indicator *indicator, const char *text, struct period *ret,
                        struct import_fault *fault)
{
    struct period period;
    if (!period_parse(text, &period) || !period_in_range(period))
        return WRONG(fault, PART_PERIOD, ERR_INPUT,
                     tr("'%s' is no period: 2023, 2023-Q1, 2023-01", "“%s”不是期间：应如 2023、2023-Q1、2023-01"), text);
    if (!(indicator->every >> period.type & 1))
        return WRONG(fault, PART_PERIOD, ERR_REFUSED, tr("%s has no values of its own for periods like %s", "%s 没有 %s 这类期间的值"),
                     indicator->id, text);
    int32_t first, last, now = month_of_days(import->today);
    period_months(period, &first, &last);
    bool quota = indicator->stated_by >= 0;
    if (quota ? first / 12 > now / 12 + 1 : first > now)
        return WRONG(fault, PART_PERIOD, ERR_REFUSED, tr("%s lies in the future", "%s 是未来期间"), text);
    if (last < import->desk->self->from_period)
        return WRONG(fault, PART_PERIOD, ERR_REFUSED,
                     tr("%s is before this station's term: the former one states it", "%s 早于本站任期：由原站点填报"), text);
    *ret = period;
    return true;
}

static bool find_cell(const struct import *import, const struct indicator *indicator, const char *const members[DIMENSIONS_MAX],
                      uint32_t *ret, struct import_fault *fault)
{
    uint32_t cell = 0;
    for (int d = 0; d < indicator->dim_count; d++) {
        const struct dimension *dimension = &indicator->dims[d];
        const char *text = members[d] && *members[d] ? members[d] : "_";
        int member = dimension_member_find(import->desk->codebook, indicator, dimension, text);
        fault->member = d;
        if (member < 0)
            return WRONG(fault, PART_MEMBER, ERR_NOT_FOUND, tr("%s: no member %s", "%s：没有成员 %s"), dimension->id, text);
        if (member == 0 && !dimension->multi)
            return WRONG(fault, PART_MEMBER, ERR_REFUSED,
                         tr("%s: the total is the sum of its members, and not entered", "%s：合计由各成员相加，不填报"), dimension->id);
        cell += (uint32_t)member * dimension->stride;
    }
    *ret = cell;
    return true;
}

// Decimal digits with an optional minus, no blanks, no plus: strictly a whole number.
static bool parse_value(const char *text, int64_t *ret)
{
    bool negative = *text == '-';
    const char *digit = text + negative;
    int64_t value = 0;
    if (!*digit)
        return false;
    for (; *digit; digit++) {
        if (*digit < '0' || *digit > '9' || __builtin_mul_overflow(value, 10, &value))
            return false;
        if (negative ? __builtin_sub_overflow(value, *digit - '0', &value) : __builtin_add_overflow(value, *digit - '0', &value))
            return false;
    }
    *ret = value;
    return true;
}

static bool import_room(struct import *import, struct import_fault *fault)
{
    if (import->count == IMPORT_VALUES_MAX)
        return WRONG(fault, PART_WHOLE, ERR_LIMIT, tr("more than %d values in one file", "一个文件中超过 %d 个值"), IMPORT_VALUES_MAX);
    if (import->count < import->capacity)
        return true;
    uint32_t capacity = import->capacity ? import->capacity * 2 : 1024;
    struct import_value *values = realloc(import->values, capacity * sizeof *values);
    if (!values)
        return WRONG(fault, PART_WHOLE, ERR_MEMORY, tr("import", "导入"));
    import->values = values;
    import->capacity = capacity;
    return true;
}

bool import_add(struct import *import, uint16_t indicator, const struct import_raw *raw, struct import_fault *fault)
{
    const struct indicator *of = &import->desk->codebook->indicators[indicator];
    struct import_value value = {.indicator = indicator, .place = raw->place};
    if (!find_unit(import, of, raw->unit, &value.unit, fault) || !find_period(import, of, raw->period, &value.period, fault) ||
        !find_cell(import, of, raw->members, &value.cell, fault))
        return false;
    if (!parse_value(raw->value, &value.value))
        return WRONG(fault, PART_VALUE, ERR_INPUT, tr("'%s' is no whole number (or too large)", "“%s”不是整数（或过大）"), raw->value);
    if (!import_room(import, fault))
        return false;
    import->values[import->count++] = value;
    return true;
}

// ---- all of them

static int compare_cells(const struct import_value *x, const struct import_value *y)
{
    if (x->indicator != y->indicator)
        return x->indicator - y->indicator;
    if (x->unit != y->unit)
        return x->unit < y->unit ? -1 : 1;
    if (x->period.type != y->period.type)
        return x->period.type < y->period.type ? -1 : 1;
    if (x->period.number != y->period.number)
        return x->period.number < y->period.number ? -1 : 1;
    return (x->cell > y->cell) - (x->cell < y->cell);
}

static int compare_values(const void *a, const void *b)
{
    const struct import_value *x = a, *y = b;
    int cells = compare_cells(x, y);
    return cells ? cells : (x->place > y->place) - (x->place < y->place);
}

bool import_twice(struct import *import, uint32_t *ret_first, uint32_t *ret_again)
{
    bool found = false;
    if (import->count > 0)
        qsort(import->values, import->count, sizeof *import->values, compare_values);
    for (uint32_t i = 1; i < import->count; i++) {
        const struct import_value *before = &import->values[i - 1], *value = &import->values[i];
        if (compare_cells(before, value) != 0 || (found && value->place >= *ret_again))
            continue;
        found = true;
        *ret_first = before->place;
        *ret_again = value->place;
    }
    return found;
}

// A group's values, as they stand.
struct standing {
    const struct import_value *values;
    uint32_t count, next;
    uint64_t same;
};

static void skip_zeros(struct standing *standing, uint32_t before)
{
    for (; standing->next < standing->count && standing->values[standing->next].cell < before; standing->next++)
        standing->same += standing->values[standing->next].value == 0;
}

static void compare_standing(void *context, uint32_t cell, int64_t value)
{
    struct standing *standing = context;
    skip_zeros(standing, cell);
    if (standing->next < standing->count && standing->values[standing->next].cell == cell)
        standing->same += standing->values[standing->next++].value == value;
}

static uint64_t unchanged(const struct import *import, const struct group_key *group, const struct rank *self,
                          const struct import_value *values, uint32_t count)
{
    struct group_state state;
    if (!group_read(import->desk->txn, group, &state))
        return 0;
    struct rank rank = rank_of_group(&state);
    if (!rank_same_speaker(&rank, self))
        return 0;
    struct standing standing = {.values = values, .count = count};
    cells_each(import->desk->txn, group, false, compare_standing, &standing);
    skip_zeros(&standing, UINT32_MAX);
    return standing.same;
}

static bool same_group(const struct import_value *a, const struct import_value *b)
{
    return a->indicator == b->indicator && a->unit == b->unit && a->period.type == b->period.type && a->period.number == b->period.number;
}

// Sets the values, group by group; returns how many were so already.
static uint64_t set_values(const struct import *import, bool check_only)
{
    struct desk *desk = import->desk;
    uint64_t same = 0;
    struct rank self = ledger_self(desk);
    for (uint32_t first = 0, end; first < import->count; first = end) {
        const struct import_value *values = &import->values[first];
        for (end = first + 1; end < import->count && same_group(values, &import->values[end]); end++)
            ;
        const struct unit *unit = &desk->units->items[values->unit];
        struct group_key group = {desk->codebook->indicators[values->indicator].definition, unit_id_find(desk->txn, unit->code, unit->from),
                                  values->period};
        same += unchanged(import, &group, &self, values, end - first);
        for (uint32_t i = first; i < end && !check_only; i++)
            ledger_set(desk->ledger, desk, &group, unit->code, import->values[i].cell, import->values[i].value, SANJI__BASIS__IMPORTED);
    }
    return same;
}

enum error_code import_submit(struct desk *desk, bool csv, struct bytes data, const char *source, bool check_only, uint64_t *ret_values,
                              uint64_t *ret_unchanged, struct error *error)
{
    if (!desk->codebook)
        return error_set(error, ERR_STATE, tr("no codebook is in force yet", "尚无生效的编码本"));
    struct import import = {.desk = desk, .source = source && *source ? source : "-"};
    import.today = civil_of_instant(desk->now_ms, desk->codebook->tz_minutes);
    enum error_code code = csv ? import_csv(&import, data, error) : import_json(&import, data, error);
    if (!code) {
        ledger_flush(desk->ledger, desk->txn);
        uint64_t same = set_values(&import, check_only);
        code = txn_error(desk->txn);
        if (code) {
            error_set(error, code, tr("import: the store failed", "导入：存储出错"));
        } else {
            *ret_values = import.count;
            *ret_unchanged = same;
        }
    }
    free(import.values);
    return code;
}
