#include "node/codebook/names.h"

#include <stdio.h>

#include "relay/language.h"

enum { PARTS_MAX = 3 };

struct parts {
    char text[PARTS_MAX][NAME_MAX_BYTES + 1];
    unsigned count;
};

bool name_is_reserved(const char *name)
{
    static const char *const words[] = {"and", "or", "not", "has", "true", "false", "none", "today", "actor", "opener", "prior"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcmp(name, words[i]) == 0)
            return true;
    return false;
}

enum value_type field_value_type(enum field_type type, uint8_t many)
{
    switch (type) {
    case FIELD_BOOL:
        return VALUE_BOOL;
    case FIELD_INT:
    case FIELD_DECIMAL:
    case FIELD_MONEY:
        return VALUE_NUMBER;
    case FIELD_DATE:
        return VALUE_DATE;
    case FIELD_INSTANT:
        return VALUE_INSTANT;
    case FIELD_DURATION:
        return VALUE_DURATION;
    case FIELD_CODE:
        return many > 1 ? VALUE_SET : VALUE_CODE;
    case FIELD_REF:
        return many > 1 ? VALUE_REFS : VALUE_REF;
    case FIELD_UNIT:
        return VALUE_UNIT;
    case FIELD_POSITION:
        return VALUE_POSITION;
    case FIELD_TEXT:
    case FIELD_IDNO:
    case FIELD_PHONE:
    case FIELD_FILE:
        return VALUE_TEXT;
    }
    return VALUE_NONE;
}

static bool split(const char *name, struct parts *ret)
{
    ret->count = 0;
    for (const char *p = name;;) {
        size_t size = strcspn(p, ".");
        if (size == 0 || size > NAME_MAX_BYTES || ret->count == PARTS_MAX)
            return false;
        memcpy(ret->text[ret->count], p, size);
        ret->text[ret->count++][size] = 0;
        if (!p[size])
            return true;
        p += size + 1;
    }
}

static int band_find(const struct reg *reg, const char *id)
{
    for (int i = 0; i < reg->band_count; i++)
        if (strcmp(reg->bands[i].id, id) == 0)
            return i;
    return -1;
}

// The names that would have done, as many as fit in a message.
static const char *choices(const struct expr_scope *scope, bool fields, bool bands, char ret[200])
{
    size_t size = 0;
    ret[0] = 0;
    for (int i = 0; fields && scope->form && i < scope->form->field_count && size < 150; i++)
        size += (size_t)snprintf(ret + size, 200 - size, "%s%s", size ? ", " : "", scope->form->fields[i].id);
    for (int i = 0; scope->reg && i < scope->reg->prop_count && size < 150; i++)
        size += (size_t)snprintf(ret + size, 200 - size, "%s%s.%s", size ? ", " : "", scope->reg->id, scope->reg->props[i].id);
    for (int i = 0; bands && scope->reg && i < scope->reg->band_count && size < 150; i++)
        size += (size_t)snprintf(ret + size, 200 - size, "%s%s", size ? ", " : "", scope->reg->bands[i].id);
    if (size >= 150)
        snprintf(ret + size, 200 - size, " ...");
    return ret;
}

static void of_field(const struct form *form, int index, enum name_kind kind, struct name_ref *ret)
{
    const struct field *field = &form->fields[index];
    *ret =
        (struct name_ref){kind, (uint16_t)index, -1, field->list, field->list, field_value_type(field->type, field->many), field->many > 1};
}

static void of_prop(const struct reg *reg, int index, struct name_ref *ret)
{
    const struct prop *prop = &reg->props[index];
    *ret =
        (struct name_ref){NAME_PROP, (uint16_t)index, -1, prop->list, prop->list, field_value_type(prop->type, prop->many), prop->many > 1};
}

static void of_band(int index, struct name_ref *ret)
{
    *ret = (struct name_ref){NAME_BAND, (uint16_t)index, -1, -1, -1, VALUE_NONE, false};
}

// Finds the base of the name. Returns how many parts it took, 0 when there is none such.
static unsigned base_of(const struct expr_scope *scope, const struct parts *parts, bool bands, struct name_ref *ret)
{
    int i;
    if (parts->count > 1 && scope->reg && strcmp(parts->text[0], scope->reg->id) == 0) {
        if ((i = reg_prop(scope->reg, parts->text[1])) >= 0)
            of_prop(scope->reg, i, ret);
        else if (bands && (i = band_find(scope->reg, parts->text[1])) >= 0)
            of_band(i, ret);
        return i >= 0 ? 2 : 0;
    }
    if (scope->form && (i = form_field(scope->form, parts->text[0])) >= 0)
        of_field(scope->form, i, NAME_FIELD, ret);
    else if (scope->reg && (i = reg_prop(scope->reg, parts->text[0])) >= 0)
        of_prop(scope->reg, i, ret);
    else if (bands && scope->reg && (i = band_find(scope->reg, parts->text[0])) >= 0)
        of_band(i, ret);
    else
        return 0;
    return 1;
}

static enum error_code attr_of(const struct expr_scope *scope, const char *name, const char *attr, bool bands, struct name_ref *ret,
                               struct error *error)
{
    if (ret->base_list < 0)
        return error_set(error, ERR_INPUT, tr("'%s': only a code has attributes", "'%s'：只有代码才有属性"), name);
    const struct list *list = &scope->codebook->lists[ret->base_list];
    char known[200] = "";
    for (uint16_t i = 0, size = 0; i < list->attr_count && size < 150; i++)
        size = (uint16_t)(size + snprintf(known + size, sizeof known - size, "%s%s", size ? ", " : "", list->attrs[i].id));
    for (int i = 0; i < list->attr_count; i++)
        if (strcmp(list->attrs[i].id, attr) == 0) {
            if (ret->many && !bands)
                return error_set(error, ERR_INPUT, tr("'%s': a set of codes has no single attribute", "'%s'：代码集没有唯一的属性"), name);
            ret->attr = (int16_t)i;
            ret->list = list->attrs[i].list;
            ret->type = field_value_type(list->attrs[i].type, 0);
            return OK;
        }
    return error_set(error, ERR_INPUT,
                     tr("'%s': list %s has no attribute '%s'; expected one of: %s", "'%s'：列表 %s 没有属性 '%s'；应为其中之一：%s"), name,
                     list->id, attr, known[0] ? known : "-");
}

static enum error_code prior_of(const struct expr_scope *scope, const char *name, const struct parts *parts, struct name_ref *ret,
                                struct error *error)
{
    if (scope->context != EXPR_ENTRY)
        return error_set(
            error, ERR_INPUT,
            tr("'prior' is known only while a record is entered, not in a figure", "'prior' 只在录入记录时可用，不能用于统计指标"));
    int i = scope->form && parts->count > 1 ? form_field(scope->form, parts->text[1]) : -1;
    char known[200];
    struct expr_scope fields = {.form = scope->form};
    if (i < 0)
        return error_set(error, ERR_INPUT, tr("'%s': expected prior.FIELD with one of: %s", "'%s'：应为 prior.字段，字段为其中之一：%s"),
                         name, choices(&fields, true, false, known));
    of_field(scope->form, i, NAME_PRIOR, ret);
    return OK;
}

enum error_code name_resolve(const struct expr_scope *scope, const char *name, bool bands, struct name_ref *ret, struct error *error)
{
    struct parts parts;
    struct name_ref ref = {0};
    char known[200];
    if (!split(name, &parts))
        return error_set(
            error, ERR_INPUT,
            tr("'%.100s' is no name; expected one to three names joined by dots", "'%.100s' 不是名称；应为以点连接的一至三个名称"), name);
    if (strcmp(parts.text[0], "actor") == 0 || strcmp(parts.text[0], "opener") == 0)
        return error_set(error, ERR_INPUT,
                         tr("'%s' is known only in the guard of a case, not here", "'%s' 只在个案的条件中可用，此处不可用"), parts.text[0]);
    unsigned taken;
    if (!bands && strcmp(parts.text[0], "prior") == 0) {
        enum error_code code = prior_of(scope, name, &parts, &ref, error);
        if (code != OK)
            return code;
        taken = 2;
    } else
        taken = base_of(scope, &parts, bands, &ref);
    if (taken == 0)
        return error_set(error, ERR_INPUT, tr("unknown name '%s'; expected one of: %s", "未知的名称 '%s'；应为其中之一：%s"), name,
                         choices(scope, true, bands, known));
    if (parts.count > taken + 1)
        return error_set(error, ERR_INPUT, tr("'%s': an attribute has no parts", "'%s'：属性没有下级"), name);
    if (parts.count == taken + 1) {
        enum error_code code = attr_of(scope, name, parts.text[taken], bands, &ref, error);
        if (code != OK)
            return code;
    }
    *ret = ref;
    return OK;
}
