// Forms: their sections (who may read what), fields, and the expressions of the fields. Names first, expressions when every form and
// register is known.
#include <stdio.h>

#include "node/codebook/expr_program.h"
#include "node/codebook/loader.h"
#include "node/codebook/names.h"
#include "relay/language.h"

// ---- sections

static void resolve_tiers(struct loader *loader, struct section *section, const struct raw_section *raw)
{
    int16_t tier;
    char leaf[32];
    if (raw->tiers_count == 0)
        loader_fail(loader, "tiers", "%s", tr("missing; expected the tiers that may read this section", "缺少；应为可阅读此部分的层级"));
    for (uint32_t i = 0; i < raw->tiers_count; i++) {
        snprintf(leaf, sizeof leaf, "tiers[%u]", i);
        if (!loader_tier(loader, leaf, raw->tiers[i], &tier))
            continue;
        if (section->tiers >> tier & 1)
            loader_fail(loader, leaf, tr("tier '%s' stands here twice", "层级 '%s' 重复"), raw->tiers[i]);
        section->tiers |= 1u << tier;
    }
}

static void resolve_roles(struct loader *loader, struct section *section, const struct raw_section *raw)
{
    const struct codebook *codebook = loader->codebook;
    for (uint32_t i = 0; i < raw->roles_count; i++) {
        uint16_t role = 0;
        while (role < codebook->role_count && strcmp(codebook->roles[role].id, raw->roles[i]) != 0)
            role++;
        if (role == codebook->role_count)
            loader_fail_at(loader, "roles", i, tr("unknown role '%.40s'", "未知的角色 '%.40s'"), raw->roles[i]);
        else if (!(section->tiers >> codebook->roles[role].tier & 1))
            loader_fail_at(loader, "roles", i,
                           tr("role '%s' is of tier %s, which may not read this section", "角色 '%s' 属于层级 %s，而该层级不可阅读此部分"),
                           raw->roles[i], codebook->tiers[codebook->roles[role].tier]);
        else
            section->roles |= 1u << role;
    }
    for (uint16_t role = 0; raw->roles_count == 0 && role < codebook->role_count; role++) // none named: every role of these tiers
        if (section->tiers >> codebook->roles[role].tier & 1)
            section->roles |= 1u << role;
}

static void resolve_sections(struct loader *loader, struct form *form, const struct raw_form *raw)
{
    uint32_t tiers = 0;
    if (raw->sections_count == 0)
        loader_fail(loader, "sections", "%s",
                    tr("missing; a form has 1 to 4 sections, which say who may read it", "缺少；表单须有 1 至 4 个部分，说明谁可阅读"));
    if (!loader_count(loader, "sections", raw->sections_count, SECTIONS_MAX))
        return;
    for (uint16_t i = 0; i < raw->sections_count; i++) {
        struct section *section = &form->sections[i];
        size_t mark = loader_enter(loader, "sections", i);
        loader_id(loader, "id", raw->sections[i].id, section->id);
        for (uint16_t j = 0; j < i; j++)
            if (strcmp(form->sections[j].id, section->id) == 0)
                loader_fail(loader, "id", tr("section '%s' is there already", "部分 '%s' 已存在"), section->id);
        resolve_tiers(loader, section, &raw->sections[i]);
        resolve_roles(loader, section, &raw->sections[i]);
        tiers |= section->tiers;
        form->section_count++;
        loader_leave(loader, mark);
    }
    for (uint16_t i = 0; i < form->section_count; i++) // from the lowest tier of the form up to the highest of the section
        if (form->sections[i].tiers)
            form->sections[i].reach = (uint8_t)((31 - __builtin_clz(tiers)) - __builtin_ctz(form->sections[i].tiers));
}

// ---- fields

static void resolve_keep(struct loader *loader, const struct form *form, struct field *field, const char *keep)
{
    const struct reg *reg = form->about >= 0 ? &loader->codebook->regs[form->about] : NULL;
    if (!reg) {
        loader_fail(loader, "keep", "%s", tr("this form is about nothing, so there is nothing to keep", "此表单没有对象，无从保存"));
        return;
    }
    int prop = reg_prop(reg, keep);
    if (prop < 0) {
        loader_fail(loader, "keep", tr("register %s has no prop '%.40s'", "登记册 %s 没有属性 '%.40s'"), reg->id, keep);
        return;
    }
    const struct prop *to = &reg->props[prop];
    if (to->type != field->type || to->list != field->list || to->reg != field->reg || to->many != field->many)
        loader_fail(loader, "keep",
                    tr("%s.%s is of another type; type, of and many must be the same", "%s.%s 类型不同；type、of、many 必须一致"), reg->id,
                    to->id);
    field->keep = (int16_t)prop;
    field->personal = field->personal || to->personal;
}

static void resolve_section(struct loader *loader, const struct form *form, struct field *field, const char *section)
{
    for (uint16_t i = 0; i < form->section_count; i++)
        if (strcmp(form->sections[i].id, section) == 0)
            field->section = (int16_t)i;
    if (field->section < 0)
        loader_fail(loader, "section", tr("this form has no section '%.40s'", "此表单没有部分 '%.40s'"), section);
}

static void resolve_max(struct loader *loader, struct field *field, const char *max)
{
    int64_t number = TEXT_CHARACTERS_DEFAULT;
    if (max && field->type != FIELD_TEXT)
        loader_fail(loader, "max", "%s", tr("only a text has a greatest length", "只有文本有最大长度"));
    else if (max)
        loader_number(loader, "max", max, 1, TEXT_CHARACTERS_MAX, &number);
    if (field->type == FIELD_TEXT)
        field->max = (uint16_t)number;
}

static void declare_field(struct loader *loader, struct form *form, const struct raw_field *raw, uint16_t index)
{
    struct field *field = &form->fields[index];
    struct typed typed;
    *field = (struct field){.list = -1, .reg = -1, .section = -1, .keep = -1};
    bool has_id = loader_id(loader, "id", raw->id, field->id);
    if (has_id && form_field(form, field->id) < index)
        loader_fail(loader, "id", tr("field '%s' is there already", "字段 '%s' 已存在"), field->id);
    if (has_id && (name_is_reserved(field->id) || (form->about >= 0 && strcmp(field->id, loader->codebook->regs[form->about].id) == 0)))
        loader_fail(loader, "id", tr("'%s' has a meaning in expressions; choose another name", "'%s' 在表达式中另有含义；请另取名称"),
                    field->id);
    bool has_type = loader_type(loader, raw->type, raw->of, raw->many, &typed);
    field->type = typed.type;
    field->list = typed.list;
    field->reg = typed.reg;
    field->many = typed.many;
    field->personal = field_type_is_personal(field->type);
    if (has_type)
        resolve_max(loader, field, raw->max);
    if (raw->section)
        resolve_section(loader, form, field, raw->section);
    if (raw->keep && has_type)
        resolve_keep(loader, form, field, raw->keep);
    bool personal = field->personal;
    if (loader_truth(loader, "personal", raw->personal, &personal) && field->personal && !personal)
        loader_fail(loader, "personal", "%s",
                    tr("this type, or the prop that it keeps, is always personal", "此类型或其保存的属性总是个人信息"));
    field->personal = personal;
    form->keeps = form->keeps || field->keep >= 0;
    const struct label *fallback = field->keep >= 0 ? &loader->codebook->regs[form->about].props[field->keep].label : NULL;
    loader_label(loader, raw->zh, raw->en, fallback, field->id[0] ? field->id : NULL, &field->label);
}

static void resolve_at(struct loader *loader, struct form *form, const struct raw_form *raw)
{
    int at = raw->at ? form_field(form, raw->at) : -1;
    if (at < 0 || form->fields[at].type != FIELD_DATE) {
        loader_fail(loader, "at",
                    tr("'%.40s' will not do; expected the date field that puts a record in its period",
                       "'%.40s' 不合要求；应为决定记录所属时期的日期字段"),
                    raw->at ? raw->at : "");
        return;
    }
    form->at = (uint16_t)at;
    // Whoever counts the record sees its period, so it cannot be in a sealed section, hidden or computed.
    if (raw->fields[at].section || raw->fields[at].show || raw->fields[at].calc || form->fields[at].personal)
        loader_fail(loader, "at",
                    tr("field '%s' must be open: no section, show or calc, and not personal",
                       "字段 '%s' 必须公开：不得有 section、show、calc，也不得为个人信息"),
                    raw->at);
}

// How its entries travel, and whose receipt is waited for. Nothing of it decides a number.
static void resolve_lane(struct loader *loader, struct form *form, const struct raw_form *raw)
{
    struct value within;
    form->decided_by = -1;
    if (raw->lane && strcmp(raw->lane, "urgent") != 0 && strcmp(raw->lane, "case") != 0)
        loader_unknown(loader, "lane", raw->lane, "case, urgent");
    form->urgent = raw->lane && strcmp(raw->lane, "urgent") == 0;
    if (!form->urgent && (raw->receipt_within || raw->decided_by)) {
        loader_fail(loader, raw->receipt_within ? "receipt_within" : "decided_by", "%s",
                    tr("only with lane: urgent is a receipt waited for", "只有 lane: urgent 的表单才等待回执"));
        return;
    }
    form->receipt_within_ms = form->urgent ? RECEIPT_WITHIN_MS : 0;
    if (raw->receipt_within) {
        bool good = duration_parse(raw->receipt_within, strlen(raw->receipt_within), &within);
        uint64_t unit = !good ? 0 : within.unit == 'm' ? 60000 : within.unit == 'h' ? 3600000 : within.unit == 'd' ? 86400000 : 0;
        uint64_t ms = good ? unit * (uint64_t)within.number : 0;
        if (ms == 0 || ms > RECEIPT_WITHIN_MAX_MS)
            loader_fail(loader, "receipt_within",
                        tr("'%.40s' will not do; expected 1m to 14d, in m, h or d", "'%.40s' 不合要求；应为 1m 至 14d，单位为 m、h 或 d"),
                        raw->receipt_within);
        else
            form->receipt_within_ms = (uint32_t)ms;
    }
    if (raw->decided_by)
        loader_tier(loader, "decided_by", raw->decided_by, &form->decided_by);
}

static void declare(struct loader *loader, const struct raw_form *raw, uint16_t index)
{
    struct codebook *codebook = loader->codebook;
    struct form *form = &codebook->forms[index];
    char known[200];
    form->about = -1;
    if (loader_id(loader, "id", raw->id, form->id)) {
        if (codebook_form(codebook, form->id) < index)
            loader_fail(loader, "id", tr("form '%s' is there already", "表单 '%s' 已存在"), form->id);
        loader_label(loader, raw->zh, raw->en, NULL, form->id, &form->label);
    }
    if (raw->about && (form->about = (int16_t)codebook_reg(codebook, raw->about)) < 0)
        loader_unknown(loader, "about", raw->about, loader_regs(loader, known, sizeof known));
    resolve_sections(loader, form, raw);
    resolve_lane(loader, form, raw);
    if (!loader_count(loader, "fields", raw->fields_count, FIELDS_MAX))
        return;
    form->fields = loader_alloc(loader, raw->fields_count, sizeof *form->fields);
    for (uint16_t i = 0; form->fields && i < raw->fields_count; i++) {
        size_t mark = loader_enter(loader, "fields", i);
        form->field_count++;
        declare_field(loader, form, &raw->fields[i], i);
        loader_leave(loader, mark);
    }
    resolve_at(loader, form, raw);
}

void forms_declare(struct loader *loader)
{
    struct codebook *codebook = loader->codebook;
    const struct raw *raw = loader->raw;
    if (!loader_count(loader, "forms", raw->forms_count, FORMS_MAX))
        return;
    codebook->forms = loader_alloc(loader, raw->forms_count, sizeof *codebook->forms);
    for (uint16_t i = 0; codebook->forms && i < raw->forms_count; i++) {
        size_t mark = loader_enter(loader, "forms", i);
        codebook->form_count++;
        declare(loader, &raw->forms[i], i);
        loader_leave(loader, mark);
    }
}

// ---- expressions

// Computed fields are filled in the order of the form, so one can stand only on those before it. This also excludes circles.
static void check_order(struct loader *loader, const struct form *form, uint16_t index, const struct raw_form *raw)
{
    const struct program *calc = form->fields[index].calc;
    for (uint16_t i = 0; calc && i < calc->op_count; i++) {
        uint16_t of = calc->ops[i].a;
        if (calc->ops[i].code == OP_FIELD && of >= index && raw->fields[of].calc) {
            loader_fail(
                loader, "calc",
                tr("'%s' is computed too, and not before this field; put it first", "'%s' 也是计算字段，且不在此字段之前；请把它放在前面"),
                form->fields[of].id);
            return;
        }
    }
}

static void compile_field(struct loader *loader, const struct expr_scope *scope, struct field *field, const struct raw_field *raw)
{
    enum value_type type = field_value_type(field->type, field->many);
    field->need = loader_compile(loader, "need", raw->need, scope, VALUE_BOOL, -1);
    field->show = loader_compile(loader, "show", raw->show, scope, VALUE_BOOL, -1);
    field->check = loader_compile(loader, "check", raw->check, scope, VALUE_BOOL, -1);
    field->calc = loader_compile(loader, "calc", raw->calc, scope, type, field->list);
}

void forms_compile(struct loader *loader)
{
    struct codebook *codebook = loader->codebook;
    for (uint16_t i = 0; i < codebook->form_count; i++) {
        struct form *form = &codebook->forms[i];
        const struct raw_form *raw = &loader->raw->forms[i];
        struct expr_scope scope = {codebook, form, form->about >= 0 ? &codebook->regs[form->about] : NULL, EXPR_ENTRY};
        size_t mark = loader_enter(loader, "forms", i);
        for (uint16_t j = 0; j < form->field_count; j++) {
            size_t inner = loader_enter(loader, "fields", j);
            compile_field(loader, &scope, &form->fields[j], &raw->fields[j]);
            check_order(loader, form, j, raw);
            loader_leave(loader, inner);
        }
        loader_leave(loader, mark);
    }
}
