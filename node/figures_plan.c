// A question about figures, understood: which rows, which cells, which periods; and refused where the sum would mean nothing.
#include <stdlib.h>

#include "node/desk.h"
#include "node/figures_inside.h"
#include "record.pb-c.h"
#include "relay/language.h"

enum { MEMBERS_MAX = LIST_ITEMS_MAX + 2 };

// What one filter or several leave of a dimension.
struct sieve {
    bool filtered;
    bool allowed[MEMBERS_MAX];
};

static enum error_code no_memory(struct error *error) { return error_set(error, ERR_MEMORY, tr("figures", "指标")); }

uint32_t plan_unit_id(const struct figures_view *view, int32_t unit)
{
    const struct unit *item = &view->units->items[unit];
    uint32_t id = view->unit_ids ? view->unit_ids[unit] : unit_id_find(view->txn, item->code, item->from);
    if (id == UNIT_ID_NONE)
        txn_fail(view->txn, ERR_CORRUPT, "units: a unit of the tree in force has no number"); // and not: its figures are 0
    return id;
}

void figures_unit_ids(struct txn *txn, const struct units *units, uint32_t *ret)
{
    for (int32_t i = 0; i < units->count; i++)
        ret[i] = unit_id_find(txn, units->items[i].code, units->items[i].from);
}

uint32_t plan_member(const struct plan *plan, uint32_t combination, uint32_t i)
{
    for (uint32_t later = plan->dim_count - 1; later > i; later--)
        combination /= plan->dims_of->dims[plan->dims[later]].radix;
    return combination % plan->dims_of->dims[plan->dims[i]].radix;
}

// ---- units

static bool unit_is_row(const struct plan *plan, int32_t unit, int tier)
{
    const struct unit *items = plan->view->units->items;
    return plan->by_tier ? items[unit].tier == tier : unit == plan->unit || (plan->by_unit && items[unit].parent == plan->unit);
}

static enum error_code plan_units(struct plan *plan, int tier, const char *tier_name, struct error *error)
{
    const struct units *units = plan->view->units;
    int32_t end = units->items[plan->unit].subtree_end;
    plan->units = malloc((size_t)(end - plan->unit) * sizeof *plan->units);
    if (!plan->units)
        return no_memory(error);
    for (int32_t i = plan->unit; i < end; i++)
        if (unit_is_row(plan, i, tier))
            plan->units[plan->unit_count++] = i;
    if (plan->unit_count == 0)
        return error_set(error, ERR_NOT_FOUND, tr("no unit of tier %s below %s", "%2$s 之下没有层级为 %1$s 的单位"), tier_name,
                         units->items[plan->unit].code);
    return OK;
}

static enum error_code find_unit(struct plan *plan, const char *code, struct error *error)
{
    const struct figures_view *view = plan->view;
    plan->unit = *code ? units_find(view->units, code) : view->unit;
    if (plan->unit == UNIT_NONE)
        return error_set(error, ERR_NOT_FOUND, tr("unit %s: not in the unit tree", "单位 %s：不在单位树中"), code);
    if (!units_within(view->units, plan->unit, view->unit))
        return error_set(error, ERR_NOT_FOUND, tr("unit %s does not lie below this station's unit %s", "单位 %s 不在本站单位 %s 之下"),
                         code, view->units->items[view->unit].code);
    return OK;
}

// ---- periods

static int32_t months_of(uint32_t type) { return type == SANJI__PERIOD_TYPE__MONTH ? 1 : type == SANJI__PERIOD_TYPE__QUARTER ? 3 : 12; }

static enum error_code plan_periods(struct plan *plan, const char *text, struct error *error)
{
    if (!*text)
        return error_set(error, ERR_INPUT,
                         tr("no period: say 2023, 2023-Q1, 2023-01 or FIRST..LAST", "未指定期间：如 2023、2023-Q1、2023-01 或 起..止"));
    enum error_code code = period_range_parse(text, &plan->first, &plan->last, error);
    if (code)
        return code;
    plan->columns = plan->by_period ? (uint32_t)(plan->last.number - plan->first.number) + 1 : 1;
    plan->today = civil_of_instant(plan->view->now_ms, plan->view->codebook->tz_minutes);
    return OK;
}

static void monthly(const struct plan *plan, struct measure *measure)
{
    int32_t unused;
    measure->period_type = SANJI__PERIOD_TYPE__MONTH;
    period_months(plan->first, &measure->from, &unused);
    period_months(plan->last, &unused, &measure->to);
    measure->divisor = months_of(plan->first.type);
    measure->base = plan->first.number;
    if (measure->indicator->kind == INDICATOR_STOCK)
        measure->from = INT32_MIN;
}

// Periods of a type that lie whole in the asked range.
static void periods_inside(const struct plan *plan, uint32_t type, int32_t *ret_first, int32_t *ret_last)
{
    int32_t first, last, unused, length = months_of(type);
    period_months(plan->first, &first, &unused);
    period_months(plan->last, &unused, &last);
    *ret_first = (first + length - 1) / length;
    *ret_last = (last + 1) / length - 1;
}

static const char *type_name(uint32_t type)
{
    return type == SANJI__PERIOD_TYPE__MONTH     ? tr("month", "月")
           : type == SANJI__PERIOD_TYPE__QUARTER ? tr("quarter", "季度")
                                                 : tr("year", "年");
}

// An entered value stands for its own period: it is listed by period, or there is exactly one.
static enum error_code entered(const struct plan *plan, struct measure *measure, struct error *error)
{
    const struct indicator *indicator = measure->indicator;
    uint32_t found = 0;
    int32_t first, last;
    if (indicator->every >> plan->first.type & 1) {
        found = plan->first.type;
        first = plan->first.number;
        last = plan->last.number;
    } else {
        for (uint32_t type = SANJI__PERIOD_TYPE__YEAR; type >= SANJI__PERIOD_TYPE__MONTH; type--) {
            if (!(indicator->every >> type & 1))
                continue;
            found = type;
            periods_inside(plan, type, &first, &last);
            if (first == last)
                break;
        }
        if (found && (plan->by_period || first > last))
            return error_set(error, ERR_REFUSED,
                             tr("%s is entered for each %s; no such period is asked for", "%s 按%s填报；所问期间与之不符"), indicator->id,
                             type_name(found));
    }
    if (!found)
        return error_set(error, ERR_REFUSED, tr("%s is entered for no kind of period", "%s 未规定填报期间"), indicator->id);
    if (!plan->by_period && first != last)
        return error_set(error, ERR_REFUSED,
                         tr("%s is entered for each %s and has no sum over time: ask for one, or by period",
                            "%s 按%s填报，不能跨期间相加：请只问一个期间，或按期间列出"),
                         indicator->id, type_name(found));
    *measure = (struct measure){.indicator = indicator,
                                .map = measure->map,
                                .period_type = found,
                                .from = first,
                                .to = last,
                                .divisor = 1,
                                .base = first,
                                .tier = measure->tier};
    return OK;
}

// ---- dimensions

static int find_dimension(const struct indicator *indicator, const char *id)
{
    for (int i = 0; i < indicator->dim_count; i++)
        if (strcmp(indicator->dims[i].id, id) == 0)
            return i;
    return -1;
}

// Whether members mean the same in both.
static bool same_dimension(const struct indicator *a, const struct dimension *x, const struct indicator *b, const struct dimension *y)
{
    if (x->radix != y->radix || x->list != y->list || x->multi != y->multi)
        return false;
    return x->list >= 0 || (a->reg == b->reg && x->band == y->band);
}

static enum error_code unknown_dimension(const struct indicator *indicator, const char *id, struct error *error)
{
    char known[256] = "";
    for (int i = 0; i < indicator->dim_count; i++) {
        strncat(known, i ? ", " : "", sizeof known - strlen(known) - 1);
        strncat(known, indicator->dims[i].id, sizeof known - strlen(known) - 1);
    }
    if (!*known)
        return error_set(error, ERR_NOT_FOUND, tr("%s has no dimension %s; it has none", "%s 没有维度 %s；它没有任何维度"), indicator->id,
                         id);
    return error_set(error, ERR_NOT_FOUND, tr("%s has no dimension %s; it has: %s", "%s 没有维度 %s；可用：%s"), indicator->id, id, known);
}

static enum error_code sieve_fill(const struct plan *plan, const struct indicator *indicator, int at, const Sanji__FiguresRequest *request,
                                  struct sieve *sieve, struct error *error)
{
    const struct dimension *dimension = &indicator->dims[at];
    int members = 0;
    for (size_t i = 0; i < request->n_filters; i++) {
        if (strcmp(request->filters[i]->dimension, dimension->id) != 0)
            continue;
        int member = dimension_member_find(plan->view->codebook, indicator, dimension, request->filters[i]->code);
        if (member < 0)
            return error_set(error, ERR_NOT_FOUND, tr("%s: %s has no member %s", "%s：%s 没有成员 %s"), indicator->id, dimension->id,
                             request->filters[i]->code);
        members += !sieve->allowed[member];
        sieve->filtered = sieve->allowed[member] = true;
    }
    bool listed = false;
    for (uint32_t i = 0; i < plan->dim_count; i++)
        listed = listed || strcmp(plan->dims_of->dims[plan->dims[i]].id, dimension->id) == 0;
    if (dimension->multi && members > 1 && !listed)
        return error_set(error, ERR_REFUSED,
                         tr("%s: members of %s overlap, so they have no sum: ask for one, or by %s",
                            "%s：%s 的成员相互重叠，不能相加：请只问一个，或按 %s 列出"),
                         indicator->id, dimension->id, dimension->id);
    return OK;
}

// Whether a member counts, when its dimension is not among those listed: see figures.h.
static bool member_counts(const struct dimension *dimension, const struct sieve *sieve, uint32_t member, bool listed)
{
    if (sieve->filtered)
        return sieve->allowed[member];
    if (listed)
        return dimension->multi || member != 0;
    return dimension->multi ? member == 0 : member != 0;
}

static enum error_code map_cells(const struct plan *plan, struct measure *measure, const Sanji__FiguresRequest *request,
                                 struct error *error)
{
    const struct indicator *indicator = measure->indicator;
    struct sieve sieves[DIMENSIONS_MAX] = {0};
    uint32_t weight[DIMENSIONS_MAX] = {0}; // of a listed dimension in the combination
    for (size_t i = 0; i < request->n_filters; i++)
        if (find_dimension(indicator, request->filters[i]->dimension) < 0)
            return unknown_dimension(indicator, request->filters[i]->dimension, error);
    for (int d = 0; d < indicator->dim_count; d++) {
        enum error_code code = sieve_fill(plan, indicator, d, request, &sieves[d], error);
        if (code)
            return code;
    }
    for (uint32_t i = plan->dim_count, stride = 1; i-- > 0; stride *= plan->dims_of->dims[plan->dims[i]].radix)
        weight[find_dimension(indicator, plan->dims_of->dims[plan->dims[i]].id)] = stride;
    measure->map = malloc(indicator->cell_count * sizeof *measure->map);
    if (!measure->map)
        return no_memory(error);
    for (uint32_t cell = 0; cell < indicator->cell_count; cell++) {
        int32_t combination = 0;
        for (int d = 0; d < indicator->dim_count && combination >= 0; d++) {
            uint32_t member = cell / indicator->dims[d].stride % indicator->dims[d].radix;
            if (member_counts(&indicator->dims[d], &sieves[d], member, weight[d] != 0))
                combination += (int32_t)(member * weight[d]);
            else
                combination = -1;
        }
        measure->map[cell] = combination;
    }
    return OK;
}

static enum error_code check_dimension(const struct plan *plan, const struct indicator *indicator, uint32_t i, struct error *error)
{
    const struct dimension *wanted = &plan->dims_of->dims[plan->dims[i]];
    int at = find_dimension(indicator, wanted->id);
    if (at < 0)
        return unknown_dimension(indicator, wanted->id, error);
    if (!same_dimension(plan->dims_of, wanted, indicator, &indicator->dims[at]))
        return error_set(
            error, ERR_REFUSED,
            tr("dimension %s of %s and of %s are not the same: ask for them one by one", "%2$s 与 %3$s 的维度 %1$s 不同：请分别查询"),
            wanted->id, plan->dims_of->id, indicator->id);
    return OK;
}

// ---- indicators

static enum error_code plan_measure(struct plan *plan, const struct indicator *indicator, const Sanji__FiguresRequest *request,
                                    struct measure *measure, struct error *error)
{
    *measure = (struct measure){.indicator = indicator, .tier = -1};
    enum error_code code = OK;
    for (uint32_t i = 0; i < plan->dim_count && !code; i++)
        code = check_dimension(plan, indicator, i, error);
    if (!code)
        code = map_cells(plan, measure, request, error);
    if (code)
        return code;
    if (indicator->kind != INDICATOR_ENTERED) {
        monthly(plan, measure);
        return OK;
    }
    if (indicator->for_tier >= 0)
        measure->tier = units_tier(plan->view->units, plan->view->codebook->tiers[indicator->for_tier]);
    return entered(plan, measure, error);
}

static enum error_code find_indicator(const struct plan *plan, const char *id, const struct indicator **ret, struct error *error)
{
    if (strpbrk(id, "+-*/ "))
        return error_set(
            error, ERR_REFUSED,
            tr("%s: indicators are not added here, as they may count unlike things; ask for each: they are listed side by side",
               "%s：指标可能计数不同的事物，此处不相加；请分别列出，结果并列给出"),
            id);
    int at = codebook_indicator(plan->view->codebook, id);
    if (at < 0)
        return error_set(error, ERR_NOT_FOUND, tr("indicator %s: not in the codebook", "指标 %s：编码本中没有"), id);
    *ret = &plan->view->codebook->indicators[at];
    return OK;
}

// The indicator that a question's dimensions are read from: of a ratio, its numerator.
static const struct indicator *basis_of(const struct codebook *codebook, const struct indicator *indicator)
{
    return indicator->kind == INDICATOR_RATIO ? &codebook->indicators[indicator->num] : indicator;
}

static enum error_code plan_indicators(struct plan *plan, const Sanji__FiguresRequest *request, struct error *error)
{
    const struct codebook *codebook = plan->view->codebook;
    for (uint32_t i = 0; i < plan->asked_count; i++) {
        struct asked *asked = &plan->asked[i];
        const struct indicator *indicator = asked->indicator;
        bool ratio = indicator->kind == INDICATOR_RATIO;
        const struct indicator *parts[2] = {ratio ? &codebook->indicators[indicator->num] : indicator,
                                            ratio ? &codebook->indicators[indicator->den] : NULL};
        for (uint32_t p = 0; p < (ratio ? 2u : 1u); p++) {
            enum error_code code = plan_measure(plan, parts[p], request, &asked->parts[asked->part_count++], error);
            if (code)
                return code;
        }
    }
    return OK;
}

static enum error_code plan_by(struct plan *plan, const char *by, const char **tier, struct error *error)
{
    bool twice = false;
    if (strcmp(by, "unit") == 0) {
        twice = plan->by_unit;
        plan->by_unit = true;
    } else if (strcmp(by, "period") == 0) {
        twice = plan->by_period;
        plan->by_period = true;
    } else if (strncmp(by, "tier=", 5) == 0) {
        twice = plan->by_tier;
        plan->by_tier = true;
        *tier = by + 5;
    } else {
        int at = find_dimension(plan->dims_of, by);
        if (at < 0)
            return unknown_dimension(plan->dims_of, by, error);
        for (uint32_t i = 0; i < plan->dim_count; i++)
            twice = twice || plan->dims[i] == (uint32_t)at;
        if (!twice) {
            plan->dims[plan->dim_count++] = (uint32_t)at;
            plan->combinations *= plan->dims_of->dims[at].radix;
        }
    }
    if (twice)
        return error_set(error, ERR_INPUT, tr("by %s is given twice", "重复给出：按 %s"), by);
    if (plan->by_unit && plan->by_tier)
        return error_set(error, ERR_INPUT, tr("by unit and by tier exclude each other", "按单位与按层级不能同时使用"));
    return OK;
}

static enum error_code plan_asked(struct plan *plan, const Sanji__FiguresRequest *request, struct error *error)
{
    if (request->n_indicators == 0)
        return error_set(error, ERR_INPUT, tr("no indicator", "未指定指标"));
    if (request->n_indicators > FIGURES_INDICATORS_MAX)
        return error_set(error, ERR_LIMIT, tr("%zu indicators, at most %d at once", "%zu 个指标，一次最多 %d 个"), request->n_indicators,
                         FIGURES_INDICATORS_MAX);
    plan->asked = calloc(request->n_indicators, sizeof *plan->asked);
    if (!plan->asked)
        return no_memory(error);
    for (size_t i = 0; i < request->n_indicators; i++) {
        enum error_code code = find_indicator(plan, request->indicators[i], &plan->asked[i].indicator, error);
        if (code)
            return code;
        plan->asked_count++;
    }
    plan->dims_of = basis_of(plan->view->codebook, plan->asked[0].indicator);
    return OK;
}

enum error_code plan_make(struct plan *plan, const struct figures_view *view, const Sanji__FiguresRequest *request, struct error *error)
{
    *plan = (struct plan){.view = view, .combinations = 1};
    if (!view->codebook)
        return error_set(error, ERR_STATE, tr("no codebook is in force yet", "尚无生效的编码本"));
    const char *tier = NULL;
    enum error_code code = plan_asked(plan, request, error);
    if (!code)
        code = find_unit(plan, request->unit, error);
    for (size_t i = 0; i < request->n_by && !code; i++)
        code = plan_by(plan, request->by[i], &tier, error);
    if (code)
        return code;
    int tier_at = tier ? units_tier(view->units, tier) : -1;
    if (tier && tier_at < 0)
        return error_set(error, ERR_NOT_FOUND, tr("tier %s: not in the unit tree", "层级 %s：单位树中没有"), tier);
    code = plan_units(plan, tier_at, tier, error);
    if (!code)
        code = plan_periods(plan, request->period, error);
    if (!code)
        code = plan_indicators(plan, request, error);
    if (!code && (uint64_t)plan->columns * plan->combinations > FIGURES_SPREAD_MAX)
        code =
            error_set(error, ERR_LIMIT, tr("too many periods and members at once: ask for a part", "一次所问的期间与成员过多：请分次查询"));
    return code;
}

void plan_finish(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->asked_count; i++)
        for (uint32_t p = 0; p < plan->asked[i].part_count; p++)
            free(plan->asked[i].parts[p].map);
    free(plan->asked);
    free(plan->units);
}
