// Lists: their items, and the typed attributes that items have (category.lead, colour.every, grade.points).
#include <stdio.h>
#include <stdlib.h>

#include "node/codebook/expr_program.h"
#include "node/codebook/loader.h"
#include "node/period.h"
#include "relay/language.h"

static void resolve_item(struct loader *loader, struct list *list, const struct raw_item *raw, uint16_t index)
{
    struct list_item *item = &list->items[index];
    item->until = INT32_MAX;
    if (!loader_id(loader, "id", raw->id, item->id))
        return;
    if (list_item(list, item->id) < index)
        loader_fail(loader, "id",
                    tr("code '%s' is in this list already; a code is never used twice", "代码 '%s' 已在此列表中；代码不得重复使用"),
                    item->id);
    loader_label(loader, raw->zh, raw->en, NULL, NULL, &item->label);
    if (raw->until && !civil_parse(raw->until, &item->until))
        loader_fail(loader, "until", tr("'%.40s' is no date; expected YYYY-MM-DD", "'%.40s' 不是日期；应为 YYYY-MM-DD"), raw->until);
}

static void declare_list(struct loader *loader, const struct raw_list *raw, uint16_t index)
{
    struct list *list = &loader->codebook->lists[index];
    if (!loader_id(loader, "id", raw->id, list->id))
        return;
    if (codebook_list(loader->codebook, list->id) < index)
        loader_fail(loader, "id", tr("list '%s' is there already", "列表 '%s' 已存在"), list->id);
    loader_label(loader, raw->zh, raw->en, NULL, list->id, &list->label);
    if (raw->items_count == 0)
        loader_fail(loader, "items", "%s", tr("missing; a list has at least one item", "缺少；列表至少有一项"));
    if (!loader_count(loader, "items", raw->items_count, LIST_ITEMS_MAX))
        return;
    list->items = loader_alloc(loader, raw->items_count, sizeof *list->items);
    if (!list->items)
        return;
    for (uint16_t i = 0; i < raw->items_count; i++) {
        size_t mark = loader_enter(loader, "items", i);
        list->item_count++; // so that a code finds itself last
        resolve_item(loader, list, &raw->items[i], i);
        loader_leave(loader, mark);
    }
}

// ---- attributes

static bool attr_type_can_be(enum field_type type)
{
    return type == FIELD_BOOL || type == FIELD_INT || type == FIELD_DECIMAL || type == FIELD_MONEY || type == FIELD_DATE ||
           type == FIELD_DURATION || type == FIELD_CODE;
}

static void resolve_attrs(struct loader *loader, struct list *list, const struct raw_list *raw)
{
    if (!loader_count(loader, "attrs", raw->attrs_count, PROPS_MAX))
        return;
    list->attrs = loader_alloc(loader, raw->attrs_count, sizeof *list->attrs);
    for (uint16_t i = 0; list->attrs && i < raw->attrs_count; i++) {
        struct list_attr *attr = &list->attrs[i];
        struct typed typed;
        size_t mark = loader_enter(loader, "attrs", i);
        loader_id(loader, "id", raw->attrs[i].id, attr->id);
        for (uint16_t j = 0; j < i; j++)
            if (attr->id[0] && strcmp(list->attrs[j].id, attr->id) == 0)
                loader_fail(loader, "id", tr("attribute '%s' is there already", "属性 '%s' 已存在"), attr->id);
        if (loader_type(loader, raw->attrs[i].type, raw->attrs[i].of, NULL, &typed) && !attr_type_can_be(typed.type))
            loader_unknown(loader, "type", raw->attrs[i].type, "bool, int, decimal, money, date, duration, code");
        attr->type = typed.type;
        attr->list = typed.list;
        list->attr_count++;
        loader_leave(loader, mark);
    }
}

// [-]digits[.digits], with at most `decimals` of these.
static bool read_scaled(const char *text, unsigned decimals, int64_t *ret)
{
    bool negative = *text == '-';
    int64_t number = 0;
    unsigned digits = 0, after = 0;
    bool point = false;
    for (const char *p = text + negative; *p; p++) {
        if (*p == '.' && !point && digits && decimals) {
            point = true;
            continue;
        }
        if (*p < '0' || *p > '9' || ++digits > 13 || (point && ++after > decimals))
            return false;
        number = number * 10 + (*p - '0');
    }
    if (digits == 0 || (point && after == 0))
        return false;
    for (; after < 4; after++)
        if (__builtin_mul_overflow(number, 10, &number))
            return false;
    *ret = negative ? -number : number;
    return true;
}

static bool read_attr(const struct codebook *codebook, const struct list_attr *attr, const char *text, struct value *ret)
{
    int item;
    struct value value = value_none();
    switch (attr->type) {
    case FIELD_BOOL:
        value = value_truth(strcmp(text, "true") == 0);
        *ret = value;
        return value.truth || strcmp(text, "false") == 0;
    case FIELD_INT:
    case FIELD_MONEY:
    case FIELD_DECIMAL:
        ret->type = VALUE_NUMBER;
        return read_scaled(text, attr->type == FIELD_DECIMAL ? 4 : 0, &ret->number);
    case FIELD_DATE:
        ret->type = VALUE_DATE;
        return civil_parse(text, &ret->date);
    case FIELD_DURATION:
        return duration_parse(text, strlen(text), ret);
    case FIELD_CODE:
        item = attr->list >= 0 ? list_item(&codebook->lists[attr->list], text) : -1;
        ret->type = VALUE_CODE;
        ret->code = (uint16_t)(item < 0 ? 0 : item);
        return item >= 0;
    default:
        return false;
    }
}

static const char *attr_expected(const struct codebook *codebook, const struct list_attr *attr, char ret[160])
{
    switch (attr->type) {
    case FIELD_BOOL:
        return tr("true or false", "true 或 false");
    case FIELD_DATE:
        return tr("a date, YYYY-MM-DD", "日期，YYYY-MM-DD");
    case FIELD_DURATION:
        return tr("a duration such as 7d or 1mo (m, h, d, w, mo, y, wd)", "时长，如 7d 或 1mo（m、h、d、w、mo、y、wd）");
    case FIELD_CODE:
        snprintf(ret, 160, tr("a code of list %s", "列表 %s 的代码"), attr->list >= 0 ? codebook->lists[attr->list].id : "?");
        return ret;
    case FIELD_DECIMAL:
        return tr("a number with at most 4 decimals", "至多四位小数的数");
    default:
        return tr("a whole number", "整数");
    }
}

static void resolve_set(struct loader *loader, struct list *list, struct list_item *item, const char *text, uint32_t index)
{
    char expected[160];
    const char *sign = strchr(text, '=');
    uint16_t attr = 0;
    while (sign && attr < list->attr_count &&
           !(strlen(list->attrs[attr].id) == (size_t)(sign - text) && strncmp(list->attrs[attr].id, text, (size_t)(sign - text)) == 0))
        attr++;
    if (!sign || attr == list->attr_count) {
        loader_fail_at(loader, "set", index,
                       tr("'%.60s' will not do; expected ATTRIBUTE=VALUE with an attribute of list %s",
                          "'%.60s' 不合要求；应为 属性=值，属性须属于列表 %s"),
                       text, list->id);
        return;
    }
    if (item->attrs[attr].type != VALUE_NONE)
        loader_fail_at(loader, "set", index, tr("attribute '%s' is set twice", "属性 '%s' 被设置两次"), list->attrs[attr].id);
    struct value value = value_none();
    if (read_attr(loader->codebook, &list->attrs[attr], sign + 1, &value))
        item->attrs[attr] = value;
    else
        loader_fail_at(loader, "set", index, tr("'%.60s': expected %s", "'%.60s'：应为%s"), text,
                       attr_expected(loader->codebook, &list->attrs[attr], expected));
}

static void resolve_items(struct loader *loader, struct list *list, const struct raw_list *raw)
{
    for (uint16_t i = 0; i < list->item_count; i++) {
        struct list_item *item = &list->items[i];
        const struct raw_item *from = &raw->items[i];
        size_t mark = loader_enter(loader, "items", i);
        item->attrs = loader_alloc(loader, list->attr_count, sizeof *item->attrs);
        for (uint32_t j = 0; item->attrs && j < from->set_count; j++)
            resolve_set(loader, list, item, from->set[j], j);
        if (from->becomes && (list_item(list, from->becomes) < 0 || strcmp(from->becomes, item->id) == 0))
            loader_fail(loader, "becomes", tr("'%.40s' is no other code of list %s", "'%.40s' 不是列表 %s 的另一代码"), from->becomes,
                        list->id);
        else if (from->becomes)
            snprintf(item->becomes, sizeof item->becomes, "%.*s", NAME_MAX_BYTES, from->becomes);
        if (from->becomes && !from->until)
            loader_fail(loader, "until", "%s",
                        tr("missing; a code that becomes another ends on a date", "缺少；变更为其他代码的代码须有终止日期"));
        loader_leave(loader, mark);
    }
}

void lists_resolve(struct loader *loader)
{
    struct codebook *codebook = loader->codebook;
    const struct raw *raw = loader->raw;
    if (!loader_count(loader, "lists", raw->lists_count, LISTS_MAX))
        return;
    codebook->lists = loader_alloc(loader, raw->lists_count, sizeof *codebook->lists);
    for (uint16_t i = 0; codebook->lists && i < raw->lists_count; i++) {
        size_t mark = loader_enter(loader, "lists", i);
        codebook->list_count++;
        declare_list(loader, &raw->lists[i], i);
        loader_leave(loader, mark);
    }
    for (uint16_t i = 0; i < codebook->list_count; i++) { // attributes may be codes of any list, so they come second
        size_t mark = loader_enter(loader, "lists", i);
        resolve_attrs(loader, &codebook->lists[i], &raw->lists[i]);
        loader_leave(loader, mark);
    }
    for (uint16_t i = 0; i < codebook->list_count; i++) {
        size_t mark = loader_enter(loader, "lists", i);
        resolve_items(loader, &codebook->lists[i], &raw->lists[i]);
        loader_leave(loader, mark);
    }
}
