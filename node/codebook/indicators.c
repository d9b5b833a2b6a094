// Indicators: what is counted, of what, by which dimensions, every which period. The rules here keep sums meaningful: one multi-valued
// dimension at most, ratios only of like parts, entered values for one tier only.
#include <stdio.h>

#include "node/codebook/loader.h"
#include "node/codebook/names.h"
#include "relay/language.h"

// ---- dimensions

static bool dimension_of_ref(struct loader *loader, const struct expr_scope *scope, const struct name_ref *ref, uint32_t at,
                             const char *name, struct dimension *ret)
{
    const struct codebook *codebook = loader->codebook;
    ret->index = ref->index;
    ret->list = ref->list;
    ret->band = -1;
    if (ref->kind == NAME_BAND) {
        ret->source = DIMENSION_BAND;
        ret->band = (int16_t)ref->index;
        ret->label = scope->reg->bands[ref->index].label;
        ret->radix = (uint16_t)(scope->reg->bands[ref->index].edge_count + 1 + 2);
        return true;
    }
    if (ref->type != VALUE_CODE && ref->type != VALUE_SET)
        return loader_fail_at(
            loader, "by", at,
            tr("'%s' is no code; figures are broken down by codes and bands only", "'%s' 不是代码；指标只能按代码和分段细分"), name);
    bool field = ref->kind == NAME_FIELD;
    ret->multi = ref->many;
    if (ref->attr >= 0) {
        ret->source = field ? DIMENSION_FIELD_ATTR : DIMENSION_PROP_ATTR;
        ret->attr = (uint16_t)ref->attr;
        ret->label = codebook->lists[ref->list].label;
    } else {
        ret->source = field ? DIMENSION_FIELD : DIMENSION_PROP;
        ret->label = field ? scope->form->fields[ref->index].label : scope->reg->props[ref->index].label;
    }
    ret->radix = (uint16_t)(codebook->lists[ref->list].item_count + 2);
    return true;
}

static bool dimension_of_list(struct loader *loader, uint32_t at, const char *name, struct dimension *ret)
{
    char leaf[32], known[200];
    int list = codebook_list(loader->codebook, name);
    snprintf(leaf, sizeof leaf, "by[%u]", at);
    if (list < 0)
        return loader_unknown(loader, leaf, name, loader_lists(loader, known, sizeof known));
    *ret = (struct dimension){.source = DIMENSION_LIST, .index = (uint16_t)list, .list = (int16_t)list, .band = -1};
    ret->label = loader->codebook->lists[list].label;
    ret->radix = (uint16_t)(loader->codebook->lists[list].item_count + 2);
    return true;
}

static bool resolve_dimension(struct loader *loader, struct indicator *indicator, const struct expr_scope *scope, uint32_t at,
                              const char *name)
{
    struct dimension dimension = {.list = -1};
    struct name_ref ref;
    struct error why;
    if (strlen(name) > NAME_MAX_BYTES)
        return loader_fail_at(loader, "by", at, tr("longer than %d bytes", "超过 %d 字节"), NAME_MAX_BYTES);
    for (uint16_t i = 0; i < indicator->dim_count; i++)
        if (strcmp(indicator->dims[i].id, name) == 0)
            return loader_fail_at(loader, "by", at, tr("'%s' stands here twice", "'%s' 重复"), name);
    if (indicator->kind == INDICATOR_ENTERED) {
        if (!dimension_of_list(loader, at, name, &dimension))
            return false;
    } else {
        if (name_resolve(scope, name, true, &ref, &why) != OK)
            return loader_fail_at(loader, "by", at, "%s", why.detail);
        if (!dimension_of_ref(loader, scope, &ref, at, name, &dimension))
            return false;
    }
    if (dimension.multi && indicator->multi >= 0)
        return loader_fail_at(loader, "by", at,
                              tr("'%s' is a second dimension with several codes at once; one at most, or heads would count twice",
                                 "'%s' 是第二个可多选的维度；至多一个，否则会重复计数"),
                              name);
    snprintf(dimension.id, sizeof dimension.id, "%s", name);
    if (dimension.multi)
        indicator->multi = (int16_t)indicator->dim_count;
    indicator->dims[indicator->dim_count++] = dimension;
    return true;
}

static void lay_out(struct loader *loader, struct indicator *indicator)
{
    uint64_t cells = 1, declared = 1; // 4 dimensions of at most 66: no overflow
    for (uint16_t i = indicator->dim_count; i-- > 0;) {
        indicator->dims[i].stride = (uint32_t)cells;
        cells *= indicator->dims[i].radix;
        declared *= indicator->dims[i].radix - 2u;
    }
    if (cells > CELLS_MAX || declared > DECLARED_CELLS_MAX)
        loader_fail(
            loader, "by",
            tr("%llu cells (%llu with missing and total); at most %d (%d)", "%llu 个单元格（含缺失与合计 %llu 个）；至多 %d（%d）个"),
            (unsigned long long)declared, (unsigned long long)cells, DECLARED_CELLS_MAX, CELLS_MAX);
    indicator->cell_count = (uint32_t)cells;
}

static void resolve_dimensions(struct loader *loader, struct indicator *indicator, const struct expr_scope *scope,
                               const struct raw_indicator *raw)
{
    if (!loader_count(loader, "by", raw->by_count, DIMENSIONS_MAX))
        return;
    bool good = true;
    for (uint32_t i = 0; i < raw->by_count; i++)
        good = resolve_dimension(loader, indicator, scope, i, raw->by[i]) && good;
    if (good)
        lay_out(loader, indicator);
}

// ---- parts that several kinds share

static void resolve_every(struct loader *loader, struct indicator *indicator, const struct raw_indicator *raw)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } names[] = {{"month", EVERY_MONTH}, {"quarter", EVERY_QUARTER}, {"year", EVERY_YEAR}};
    bool entered = indicator->kind == INDICATOR_ENTERED;
    for (uint32_t i = 0; i < raw->every_count; i++) {
        char leaf[32];
        uint32_t bit = 0;
        for (size_t j = 0; j < sizeof names / sizeof *names; j++)
            bit |= strcmp(names[j].name, raw->every[i]) == 0 ? names[j].bit : 0;
        snprintf(leaf, sizeof leaf, "every[%u]", i);
        if (!bit || (!entered && bit != EVERY_MONTH)) // longer periods of a flow or stock are made from its months
            loader_unknown(loader, leaf, raw->every[i], entered ? "month, quarter, year" : "month");
        indicator->every |= bit;
    }
    if (entered && raw->every_count != 1)
        loader_fail(loader, "every", "%s",
                    tr("expected exactly one of month, quarter, year: typed in twice it would count twice",
                       "应为 month、quarter、year 之一且仅一个：重复填报会重复计数"));
    if (!entered && raw->every_count == 0)
        indicator->every = EVERY_MONTH;
}

static void resolve_count(struct loader *loader, struct indicator *indicator, const char *count)
{
    size_t size = count ? strlen(count) : 0;
    if (size < 1 || size > NAME_MAX_BYTES || strpbrk(count, " \t\n,"))
        loader_fail(loader, "count", "%s",
                    tr("expected what is counted, one word such as 人, 人次, 件, 元", "应为计数单位，一个词，如 人、人次、件、元"));
    else
        memcpy(indicator->count, count, size + 1);
}

static void refuse(struct loader *loader, const char *leaf, bool there, const char *kind)
{
    if (there)
        loader_fail(loader, leaf, tr("a %s indicator has no '%s'", "%s 指标没有 '%s'"), kind, leaf);
}

// ---- kinds

static void resolve_counted(struct loader *loader, struct indicator *indicator, const struct raw_indicator *raw)
{
    struct codebook *codebook = loader->codebook;
    struct expr_scope scope = {.codebook = codebook, .context = EXPR_FIGURE};
    char known[200];
    if (indicator->kind == INDICATOR_FLOW) {
        int form = raw->of ? codebook_form(codebook, raw->of) : -1;
        if (form < 0) {
            loader_unknown(loader, "of", raw->of, loader_forms(loader, known, sizeof known));
            return;
        }
        indicator->form = (int16_t)form;
        scope.form = &codebook->forms[form];
        scope.reg = scope.form->about >= 0 ? &codebook->regs[scope.form->about] : NULL;
    } else {
        int reg = raw->of ? codebook_reg(codebook, raw->of) : -1;
        if (reg < 0) {
            loader_unknown(loader, "of", raw->of, loader_regs(loader, known, sizeof known));
            return;
        }
        indicator->reg = (int16_t)reg;
        scope.reg = &codebook->regs[reg];
    }
    indicator->where = loader_compile(loader, "where", raw->where, &scope, VALUE_BOOL, -1);
    indicator->value = loader_compile(loader, "value", raw->value, &scope, VALUE_NUMBER, -1);
    resolve_dimensions(loader, indicator, &scope, raw);
    resolve_every(loader, indicator, raw);
    resolve_count(loader, indicator, raw->count);
    refuse(loader, "num", raw->num, raw->kind);
    refuse(loader, "den", raw->den, raw->kind);
    refuse(loader, "stated_by", raw->stated_by, raw->kind);
    refuse(loader, "for_tier", raw->for_tier, raw->kind);
    refuse(loader, "level", raw->level, raw->kind);
}

static void resolve_entered(struct loader *loader, struct indicator *indicator, const struct raw_indicator *raw)
{
    bool has_tier = loader_tier(loader, "for_tier", raw->for_tier, &indicator->for_tier); // typed at two tiers it would count twice
    if (raw->stated_by && loader_tier(loader, "stated_by", raw->stated_by, &indicator->stated_by) && has_tier &&
        indicator->stated_by > indicator->for_tier)
        loader_fail(loader, "stated_by",
                    tr("%s is below %s; a value is stated by its own tier or one above", "%s 低于 %s；数值应由本级或上级填报"),
                    raw->stated_by, raw->for_tier);
    loader_truth(loader, "level", raw->level, &indicator->level);
    resolve_dimensions(loader, indicator, NULL, raw);
    resolve_every(loader, indicator, raw);
    resolve_count(loader, indicator, raw->count);
    refuse(loader, "of", raw->of, raw->kind);
    refuse(loader, "where", raw->where, raw->kind);
    refuse(loader, "value", raw->value, raw->kind);
    refuse(loader, "num", raw->num, raw->kind);
    refuse(loader, "den", raw->den, raw->kind);
}

static int16_t part_of_ratio(struct loader *loader, const char *leaf, const char *id)
{
    int found = id ? codebook_indicator(loader->codebook, id) : -1;
    if (found < 0)
        loader_fail(loader, leaf, tr("'%.40s' is no indicator", "'%.40s' 不是指标"), id ? id : "");
    else if (loader->codebook->indicators[found].kind == INDICATOR_RATIO) {
        loader_fail(
            loader, leaf,
            tr("'%s' is a ratio itself; expected a flow, stock or entered indicator", "'%s' 本身是比率；应为 flow、stock 或 entered 指标"),
            id);
        found = -1;
    }
    return (int16_t)found;
}

static bool same_dims(const struct indicator *a, const struct indicator *b)
{
    if (a->dim_count != b->dim_count)
        return false;
    for (uint16_t i = 0; i < a->dim_count; i++) {
        const struct dimension *x = &a->dims[i], *y = &b->dims[i];
        if (strcmp(x->id, y->id) != 0 || x->source != y->source || x->index != y->index || x->attr != y->attr)
            return false;
    }
    return true;
}

// T19, T21: a share is one only when both parts count the same thing, of the same records, under the same units, in the same cells.
static void resolve_ratio(struct loader *loader, struct indicator *indicator, const struct raw_indicator *raw)
{
    refuse(loader, "of", raw->of, raw->kind);
    refuse(loader, "where", raw->where, raw->kind);
    refuse(loader, "value", raw->value, raw->kind);
    refuse(loader, "by", raw->by_count, raw->kind);
    refuse(loader, "every", raw->every_count, raw->kind);
    refuse(loader, "count", raw->count, raw->kind);
    refuse(loader, "stated_by", raw->stated_by, raw->kind);
    refuse(loader, "for_tier", raw->for_tier, raw->kind);
    refuse(loader, "level", raw->level, raw->kind);
    indicator->num = part_of_ratio(loader, "num", raw->num);
    indicator->den = part_of_ratio(loader, "den", raw->den);
    if (indicator->num < 0 || indicator->den < 0)
        return;
    const struct indicator *num = &loader->codebook->indicators[indicator->num], *den = &loader->codebook->indicators[indicator->den];
    if (strcmp(num->count, den->count) != 0)
        loader_fail(
            loader, "den",
            tr("'%s' counts %s and '%s' counts %s; a ratio is of like things", "'%s' 的单位是 %s，而 '%s' 的单位是 %s；比率须为同类"),
            num->id, num->count, den->id, den->count);
    else if (num->kind != den->kind || num->form != den->form || num->reg != den->reg || num->for_tier != den->for_tier ||
             num->stated_by != den->stated_by || num->level != den->level)
        loader_fail(loader, "den",
                    tr("'%s' and '%s' are not of the same records and units; a ratio of them would compare different populations",
                       "'%s' 与 '%s' 不是同一批记录和单位；其比率会比较不同的总体"),
                    num->id, den->id);
    else if (num->every != den->every || !same_dims(num, den))
        loader_fail(loader, "den", tr("'%s' and '%s' differ in 'by' or 'every'", "'%s' 与 '%s' 的 by 或 every 不同"), num->id, den->id);
    memcpy(indicator->dims, num->dims, sizeof indicator->dims);
    indicator->dim_count = num->dim_count;
    indicator->multi = num->multi;
    indicator->cell_count = num->cell_count;
    indicator->every = num->every;
}

static bool read_kind(struct loader *loader, const struct raw_indicator *raw, enum indicator_kind *ret)
{
    static const char *const names[] = {
        [INDICATOR_FLOW] = "flow", [INDICATOR_STOCK] = "stock", [INDICATOR_RATIO] = "ratio", [INDICATOR_ENTERED] = "entered"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (raw->kind && strcmp(raw->kind, names[i]) == 0) {
            *ret = (enum indicator_kind)i;
            return true;
        }
    return loader_unknown(loader, "kind", raw->kind, "flow, stock, ratio, entered");
}

static void declare(struct loader *loader, const struct raw_indicator *raw, uint16_t index)
{
    struct codebook *codebook = loader->codebook;
    struct indicator *indicator = &codebook->indicators[index];
    *indicator =
        (struct indicator){.form = -1, .reg = -1, .multi = -1, .num = -1, .den = -1, .stated_by = -1, .for_tier = -1, .cell_count = 1};
    if (loader_id(loader, "id", raw->id, indicator->id) && codebook_indicator(codebook, indicator->id) < index)
        loader_fail(loader, "id", tr("indicator '%s' is there already", "指标 '%s' 已存在"), indicator->id);
    loader_label(loader, raw->zh, raw->en, NULL, NULL, &indicator->label);
    if (raw->group)
        loader_id(loader, "group", raw->group, indicator->group);
    if (!read_kind(loader, raw, &indicator->kind))
        return;
    if (indicator->kind == INDICATOR_ENTERED)
        resolve_entered(loader, indicator, raw);
    else if (indicator->kind != INDICATOR_RATIO)
        resolve_counted(loader, indicator, raw);
}

void indicators_resolve(struct loader *loader)
{
    struct codebook *codebook = loader->codebook;
    const struct raw *raw = loader->raw;
    if (!loader_count(loader, "indicators", raw->indicators_count, INDICATORS_MAX))
        return;
    codebook->indicators = loader_alloc(loader, raw->indicators_count, sizeof *codebook->indicators);
    for (uint16_t i = 0; codebook->indicators && i < raw->indicators_count; i++) {
        size_t mark = loader_enter(loader, "indicators", i);
        codebook->indicator_count++;
        declare(loader, &raw->indicators[i], i);
        loader_leave(loader, mark);
    }
    for (uint16_t i = 0; i < codebook->indicator_count; i++) // of any others, so they come last
        if (codebook->indicators[i].kind == INDICATOR_RATIO && codebook->indicators[i].id[0]) {
            size_t mark = loader_enter(loader, "indicators", i);
            resolve_ratio(loader, &codebook->indicators[i], &raw->indicators[i]);
            loader_leave(loader, mark);
        }
}
