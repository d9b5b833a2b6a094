// Registers: what records are about. Props are the dated fold of form fields with `keep`; bands are the only way that time enters a stock.
#include <stdio.h>

#include "node/codebook/loader.h"
#include "node/codebook/names.h"
#include "relay/language.h"

enum { BAND_YEARS_MAX = 150 };

static void resolve_prop(struct loader *loader, struct reg *reg, const struct raw_prop *raw, uint16_t index)
{
    struct prop *prop = &reg->props[index];
    struct typed typed;
    if (loader_id(loader, "id", raw->id, prop->id)) {
        if (reg_prop(reg, prop->id) < index)
            loader_fail(loader, "id", tr("prop '%s' is there already", "属性 '%s' 已存在"), prop->id);
        if (name_is_reserved(prop->id) || strcmp(prop->id, reg->id) == 0)
            loader_fail(loader, "id", tr("'%s' has a meaning in expressions; choose another name", "'%s' 在表达式中另有含义；请另取名称"),
                        prop->id);
        loader_label(loader, raw->zh, raw->en, NULL, prop->id, &prop->label);
    }
    loader_type(loader, raw->type, raw->of, raw->many, &typed);
    prop->type = typed.type;
    prop->list = typed.list;
    prop->reg = typed.reg;
    prop->many = typed.many;
    prop->personal = field_type_is_personal(prop->type);
    loader_truth(loader, "personal", raw->personal, &prop->personal);
    if (field_type_is_personal(prop->type) && !prop->personal)
        loader_fail(loader, "personal", "%s", tr("this type is always personal", "此类型总是个人信息"));
    reg->personal = reg->personal || prop->personal;
}

static void resolve_edges(struct loader *loader, struct band *band, const struct raw_band *raw)
{
    int64_t last = 0;
    if (raw->at_count == 0)
        loader_fail(loader, "at", "%s", tr("missing; expected the ages at which a new member begins", "缺少；应为各段开始的年龄"));
    if (!loader_count(loader, "at", raw->at_count, BAND_EDGES_MAX))
        return;
    for (uint32_t i = 0; i < raw->at_count; i++) {
        char leaf[16];
        int64_t edge;
        snprintf(leaf, sizeof leaf, "at[%u]", i);
        if (!loader_number(loader, leaf, raw->at[i], 1, BAND_YEARS_MAX, &edge))
            return;
        if (edge <= last) {
            loader_fail_at(loader, "at", i, "%s", tr("expected a larger number than the one before", "应大于前一个数"));
            return;
        }
        band->at[band->edge_count++] = (int32_t)(last = edge);
    }
}

static void resolve_band(struct loader *loader, struct reg *reg, const struct raw_band *raw, uint16_t index)
{
    struct band *band = &reg->bands[index];
    if (loader_id(loader, "id", raw->id, band->id)) {
        bool taken = reg_prop(reg, band->id) >= 0;
        for (uint16_t i = 0; i < index; i++)
            taken = taken || strcmp(reg->bands[i].id, band->id) == 0;
        if (taken)
            loader_fail(loader, "id", tr("'%s' is the name of a prop or band already", "'%s' 已是属性或分段的名称"), band->id);
    }
    loader_label(loader, raw->zh, raw->en, NULL, NULL, &band->label);
    int prop = raw->of ? reg_prop(reg, raw->of) : -1;
    if (prop < 0 || reg->props[prop].type != FIELD_DATE)
        loader_fail(loader, "of", tr("'%.40s' will not do; expected a date among the props of %s", "'%.40s' 不合要求；应为 %s 的日期属性"),
                    raw->of ? raw->of : "", reg->id);
    else
        band->prop = (uint16_t)prop;
    if (!raw->in || strcmp(raw->in, "years") != 0)
        loader_unknown(loader, "in", raw->in, "years");
    resolve_edges(loader, band, raw);
}

static void resolve_dedupe(struct loader *loader, struct reg *reg, const struct raw_register *raw)
{
    int16_t tier;
    reg->dedupe = -1;
    if (raw->dedupe) {
        int prop = reg_prop(reg, raw->dedupe);
        if (prop < 0 || (reg->props[prop].type != FIELD_IDNO && reg->props[prop].type != FIELD_PHONE))
            loader_fail(loader, "dedupe",
                        tr("'%.40s' will not do; expected an idno or phone among the props of %s",
                           "'%.40s' 不合要求；应为 %s 的 idno 或 phone 属性"),
                        raw->dedupe, reg->id);
        reg->dedupe = (int16_t)prop;
    }
    if (!raw->dedupe != !raw->tag_key)
        loader_fail(loader, raw->dedupe ? "tag_key" : "dedupe", "%s",
                    tr("missing; dedupe and tag_key go together", "缺少；dedupe 与 tag_key 须同时给出"));
    else if (raw->tag_key && loader_tier(loader, "tag_key", raw->tag_key, &tier))
        memcpy(reg->tag_key, loader->codebook->tiers[tier], sizeof reg->tag_key);
}

static void resolve_parts(struct loader *loader, struct reg *reg, const struct raw_register *raw)
{
    if (!loader_count(loader, "props", raw->props_count, PROPS_MAX) || !loader_count(loader, "bands", raw->bands_count, DIMENSIONS_MAX))
        return;
    reg->props = loader_alloc(loader, raw->props_count, sizeof *reg->props);
    reg->bands = loader_alloc(loader, raw->bands_count, sizeof *reg->bands);
    if (!reg->props || !reg->bands)
        return;
    for (uint16_t i = 0; i < raw->props_count; i++) {
        size_t mark = loader_enter(loader, "props", i);
        reg->prop_count++;
        resolve_prop(loader, reg, &raw->props[i], i);
        loader_leave(loader, mark);
    }
    for (uint16_t i = 0; i < raw->bands_count; i++) {
        size_t mark = loader_enter(loader, "bands", i);
        reg->band_count++;
        resolve_band(loader, reg, &raw->bands[i], i);
        loader_leave(loader, mark);
    }
}

static void declare(struct loader *loader, const struct raw_register *raw, uint16_t index)
{
    struct reg *reg = &loader->codebook->regs[index];
    reg->dedupe = -1;
    if (!loader_id(loader, "id", raw->id, reg->id))
        return;
    if (codebook_reg(loader->codebook, reg->id) < index)
        loader_fail(loader, "id", tr("register '%s' is there already", "登记册 '%s' 已存在"), reg->id);
    if (name_is_reserved(reg->id))
        loader_fail(loader, "id", tr("'%s' has a meaning in expressions; choose another name", "'%s' 在表达式中另有含义；请另取名称"),
                    reg->id);
    loader_label(loader, raw->zh, raw->en, NULL, reg->id, &reg->label);
    if (raw->custody && strcmp(raw->custody, "one") != 0)
        loader_unknown(loader, "custody", raw->custody, "one");
    reg->custody_one = raw->custody != NULL;
    // A row of `unit` is a unit of the tree itself: nobody hands it over, and its code is its identity.
    if (strcmp(reg->id, "unit") == 0 && (raw->custody || raw->dedupe))
        loader_fail(loader, raw->custody ? "custody" : "dedupe", "%s",
                    tr("the register 'unit' is the unit tree; it has neither custody nor dedupe",
                       "登记册 'unit' 即单位树；没有 custody 和 dedupe"));
}

void registers_resolve(struct loader *loader)
{
    struct codebook *codebook = loader->codebook;
    const struct raw *raw = loader->raw;
    if (!loader_count(loader, "registers", raw->registers_count, REGS_MAX))
        return;
    codebook->regs = loader_alloc(loader, raw->registers_count, sizeof *codebook->regs);
    for (uint16_t i = 0; codebook->regs && i < raw->registers_count; i++) {
        size_t mark = loader_enter(loader, "registers", i);
        codebook->reg_count++;
        declare(loader, &raw->registers[i], i);
        loader_leave(loader, mark);
    }
    for (uint16_t i = 0; i < codebook->reg_count; i++) { // props may refer to any register, so they come second
        size_t mark = loader_enter(loader, "registers", i);
        resolve_parts(loader, &codebook->regs[i], &raw->registers[i]);
        resolve_dedupe(loader, &codebook->regs[i], &raw->registers[i]);
        loader_leave(loader, mark);
    }
}
