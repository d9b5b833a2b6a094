// Definition hashes: BLAKE2b-256 of a text of everything that decides the numbers, and of nothing else. Labels, the order of nouns, and
// whatever an indicator does not stand on are left out, so that a change to these restates nothing. Two stations whose hashes are equal
// may be added. The text's form is described in schema/codebook/README.md; only the indicator that its first words name is read from it, by
// who checks a proof.
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "node/codebook/expr_program.h"
#include "node/codebook/loader.h"
#include "relay/crypto.h"

// What a definition stands on, directly or through computed fields and kept props.
struct closure {
    const struct codebook *codebook;
    uint64_t fields[FORMS_MAX], fields_done[FORMS_MAX];
    uint64_t props[REGS_MAX], props_done[REGS_MAX];
    uint64_t bands[REGS_MAX];
    uint64_t attrs[LISTS_MAX];
    bool changed;
};

static void add_program(struct closure *closure, const struct program *program, int form, int reg)
{
    for (uint16_t i = 0; program && i < program->op_count; i++) {
        const struct op *op = &program->ops[i];
        if (op->code == OP_FIELD || op->code == OP_PRIOR)
            closure->fields[form] |= UINT64_C(1) << op->a;
        else if (op->code == OP_PROP)
            closure->props[reg] |= UINT64_C(1) << op->a;
        else if (op->code == OP_ATTR)
            closure->attrs[op->a] |= UINT64_C(1) << op->small;
    }
}

static void add_keepers(struct closure *closure, int reg, uint16_t prop)
{
    for (uint16_t i = 0; i < closure->codebook->form_count; i++) {
        const struct form *form = &closure->codebook->forms[i];
        for (uint16_t j = 0; form->about == reg && j < form->field_count; j++)
            if (form->fields[j].keep == prop)
                closure->fields[i] |= UINT64_C(1) << j;
    }
}

// Until nothing new comes: a computed field brings what it is computed from, a prop the fields that keep it.
static void close_over(struct closure *closure)
{
    const struct codebook *codebook = closure->codebook;
    for (bool changed = true; changed;) {
        changed = false;
        for (uint16_t i = 0; i < codebook->form_count; i++)
            for (uint64_t more; (more = closure->fields[i] & ~closure->fields_done[i]) != 0; changed = true) {
                int j = __builtin_ctzll(more);
                closure->fields_done[i] |= UINT64_C(1) << j;
                add_program(closure, codebook->forms[i].fields[j].calc, i, codebook->forms[i].about);
            }
        for (uint16_t i = 0; i < codebook->reg_count; i++)
            for (uint64_t more; (more = closure->props[i] & ~closure->props_done[i]) != 0; changed = true) {
                int j = __builtin_ctzll(more);
                closure->props_done[i] |= UINT64_C(1) << j;
                add_keepers(closure, i, (uint16_t)j);
            }
    }
}

// ---- text

__attribute__((format(printf, 2, 3))) static void say(struct buffer *text, const char *format, ...)
{
    char part[2048]; // the longest part is a canonical expression, which is appended apart
    va_list args;
    va_start(args, format);
    int n = vsnprintf(part, sizeof part, format, args);
    va_end(args);
    buffer_append(text, part, n < 0 ? 0 : (size_t)n < sizeof part ? (size_t)n : sizeof part - 1);
}

static void say_program(struct buffer *text, const char *key, const struct program *program)
{
    if (!program)
        return;
    say(text, " %s ", key);
    buffer_append(text, expr_text(program), strlen(expr_text(program)));
}

static const char *list_id(const struct codebook *codebook, int list) { return list < 0 ? "-" : codebook->lists[list].id; }
static const char *reg_id(const struct codebook *codebook, int reg) { return reg < 0 ? "-" : codebook->regs[reg].id; }

static void say_value(struct buffer *text, const struct codebook *codebook, const struct list_attr *attr, const struct value *value)
{
    switch (value->type) {
    case VALUE_BOOL:
        say(text, "%s", value->truth ? "true" : "false");
        break;
    case VALUE_NUMBER:
        say(text, "%" PRId64, value->number);
        break;
    case VALUE_DATE:
        say(text, "%" PRId32, value->date);
        break;
    case VALUE_DURATION:
        say(text, "%" PRId64 "%s", value->number, duration_suffix(value->unit));
        break;
    case VALUE_CODE:
        say(text, "%s", codebook->lists[attr->list].items[value->code].id);
        break;
    default:
        say(text, "none");
    }
}

// Indices 0..count-1 in the order of their ids, which begin each struct.
static void sort_ids(const void *first, size_t stride, uint16_t count, uint16_t *ret)
{
    for (uint16_t i = 0; i < count; i++) {
        uint16_t at = i;
        const char *id = (const char *)first + i * stride;
        for (; at > 0 && strcmp((const char *)first + ret[at - 1] * stride, id) > 0; at--)
            ret[at] = ret[at - 1];
        ret[at] = i;
    }
}
_Static_assert(offsetof(struct list_item, id) == 0 && offsetof(struct field, id) == 0 && offsetof(struct prop, id) == 0, "sort_ids");
_Static_assert(offsetof(struct form, id) == 0 && offsetof(struct reg, id) == 0 && offsetof(struct list, id) == 0, "sort_ids");

// Sorted once for the whole codebook.
struct order {
    uint16_t forms[FORMS_MAX], regs[REGS_MAX], lists[LISTS_MAX];
};

static void say_attrs(struct buffer *text, const struct codebook *codebook, const struct list *list, uint64_t attrs)
{
    uint16_t items[LIST_ITEMS_MAX];
    sort_ids(list->items, sizeof *list->items, list->item_count, items);
    for (uint16_t i = 0; i < list->attr_count; i++) {
        if (!(attrs >> i & 1))
            continue;
        say(text, "attr %s.%s type %s of %s", list->id, list->attrs[i].id, field_type_name(list->attrs[i].type),
            list_id(codebook, list->attrs[i].list));
        for (uint16_t j = 0; j < list->item_count; j++) {
            const struct list_item *item = &list->items[items[j]];
            say(text, " %s=", item->id);
            say_value(text, codebook, &list->attrs[i], &item->attrs[i]);
        }
        say(text, "\n");
    }
}

static void say_attrs_used(struct buffer *text, const struct closure *closure, const struct order *order)
{
    for (uint16_t i = 0; i < closure->codebook->list_count; i++) {
        uint16_t list = order->lists[i];
        if (closure->attrs[list])
            say_attrs(text, closure->codebook, &closure->codebook->lists[list], closure->attrs[list]);
    }
}

static void say_band(struct buffer *text, const struct reg *reg, const struct band *band)
{
    say(text, "band %s.%s of %s years", reg->id, band->id, reg->props[band->prop].id);
    for (uint16_t i = 0; i < band->edge_count; i++)
        say(text, " %" PRId32, band->at[i]);
    say(text, "\n");
}

static void say_prop(struct buffer *text, const struct codebook *codebook, const struct reg *reg, const struct prop *prop)
{
    say(text, "prop %s.%s type %s of %s %s many %u\n", reg->id, prop->id, field_type_name(prop->type), list_id(codebook, prop->list),
        reg_id(codebook, prop->reg), prop->many);
}

static void say_field(struct buffer *text, const struct codebook *codebook, const struct form *form, const struct field *field)
{
    say(text, "field %s.%s type %s of %s %s many %u", form->id, field->id, field_type_name(field->type), list_id(codebook, field->list),
        reg_id(codebook, field->reg), field->many);
    if (field->keep >= 0)
        say(text, " keep %s", codebook->regs[form->about].props[field->keep].id);
    say_program(text, "calc", field->calc);
}

static void say_form_head(struct buffer *text, const struct codebook *codebook, const struct form *form)
{
    say(text, "form %s about %s at %s\n", form->id, reg_id(codebook, form->about), form->fields[form->at].id);
}

// Everything in the closure, in the order of ids.
static void say_closure(struct buffer *text, const struct closure *closure, const struct order *order)
{
    const struct codebook *codebook = closure->codebook;
    for (uint16_t i = 0; i < codebook->form_count; i++) {
        const struct form *form = &codebook->forms[order->forms[i]];
        uint16_t fields[FIELDS_MAX];
        if (!closure->fields[order->forms[i]])
            continue;
        say_form_head(text, codebook, form);
        sort_ids(form->fields, sizeof *form->fields, form->field_count, fields);
        for (uint16_t j = 0; j < form->field_count; j++)
            if (closure->fields[order->forms[i]] >> fields[j] & 1) {
                say_field(text, codebook, form, &form->fields[fields[j]]);
                say(text, "\n");
            }
    }
    for (uint16_t i = 0; i < codebook->reg_count; i++) {
        const struct reg *reg = &codebook->regs[order->regs[i]];
        uint16_t props[PROPS_MAX];
        sort_ids(reg->props, sizeof *reg->props, reg->prop_count, props);
        for (uint16_t j = 0; j < reg->prop_count; j++)
            if (closure->props[order->regs[i]] >> props[j] & 1)
                say_prop(text, codebook, reg, &reg->props[props[j]]);
        for (uint16_t j = 0; j < reg->band_count; j++)
            if (closure->bands[order->regs[i]] >> j & 1)
                say_band(text, reg, &reg->bands[j]);
    }
    say_attrs_used(text, closure, order);
}

// ---- nouns

static void say_list(struct buffer *text, const struct codebook *codebook, const struct list *list)
{
    say(text, "list %s\n", list->id);
    for (uint16_t i = 0; i < list->item_count; i++)
        say(text, "item %s until %" PRId32 " becomes %s\n", list->items[i].id, list->items[i].until,
            list->items[i].becomes[0] ? list->items[i].becomes : "-");
    say_attrs(text, codebook, list, UINT64_MAX);
}

static void say_register(struct buffer *text, const struct codebook *codebook, const struct reg *reg)
{
    uint16_t props[PROPS_MAX];
    say(text, "register %s custody %s dedupe %s key %s\n", reg->id, reg->custody_one ? "one" : "-",
        reg->dedupe < 0 ? "-" : reg->props[reg->dedupe].id, reg->tag_key[0] ? reg->tag_key : "-");
    sort_ids(reg->props, sizeof *reg->props, reg->prop_count, props);
    for (uint16_t i = 0; i < reg->prop_count; i++) {
        say_prop(text, codebook, reg, &reg->props[props[i]]);
        say(text, "personal %d\n", reg->props[props[i]].personal);
    }
    for (uint16_t i = 0; i < reg->band_count; i++)
        say_band(text, reg, &reg->bands[i]);
}

static void say_section(struct buffer *text, const struct codebook *codebook, const struct section *section)
{
    say(text, "section %s reach %u tiers", section->id, section->reach);
    for (uint16_t i = 0; i < codebook->tier_count; i++)
        if (section->tiers >> i & 1)
            say(text, " %s", codebook->tiers[i]);
    say(text, " roles");
    for (uint16_t i = 0; i < codebook->role_count; i++)
        if (section->roles >> i & 1)
            say(text, " %s", codebook->roles[i].id);
    say(text, "\n");
}

static void say_form(struct buffer *text, struct closure *closure, const struct order *order, int index)
{
    const struct codebook *codebook = closure->codebook;
    const struct form *form = &codebook->forms[index];
    uint16_t fields[FIELDS_MAX];
    say_form_head(text, codebook, form);
    for (uint16_t i = 0; i < form->section_count; i++)
        say_section(text, codebook, &form->sections[i]);
    sort_ids(form->fields, sizeof *form->fields, form->field_count, fields);
    for (uint16_t i = 0; i < form->field_count; i++) {
        const struct field *field = &form->fields[fields[i]];
        const struct program *programs[] = {field->need, field->show, field->check, field->calc};
        say_field(text, codebook, form, field);
        say(text, " max %u section %s personal %d", field->max, field->section < 0 ? "-" : form->sections[field->section].id,
            field->personal);
        say_program(text, "need", field->need);
        say_program(text, "show", field->show);
        say_program(text, "check", field->check);
        say(text, "\n");
        for (size_t j = 0; j < sizeof programs / sizeof *programs; j++)
            add_program(closure, programs[j], index, form->about < 0 ? 0 : form->about);
    }
    say_attrs_used(text, closure, order);
}

static void say_dimension(struct buffer *text, struct closure *closure, const struct indicator *indicator,
                          const struct dimension *dimension)
{
    const struct codebook *codebook = closure->codebook;
    int form = indicator->form, reg = form >= 0 ? codebook->forms[form].about : indicator->reg;
    uint64_t bit = UINT64_C(1) << (dimension->index & 63); // of a bare list: not used
    static const char *const sources[] = {
        [DIMENSION_FIELD] = "field",           [DIMENSION_PROP] = "prop",           [DIMENSION_BAND] = "band",
        [DIMENSION_FIELD_ATTR] = "field attr", [DIMENSION_PROP_ATTR] = "prop attr", [DIMENSION_LIST] = "list"};
    say(text, "by %s source %s multi %d", dimension->id, sources[dimension->source], dimension->multi);
    if (dimension->source == DIMENSION_BAND) {
        closure->bands[reg] |= bit;
        closure->props[reg] |= UINT64_C(1) << codebook->regs[reg].bands[dimension->index].prop;
    } else if (dimension->source == DIMENSION_FIELD || dimension->source == DIMENSION_FIELD_ATTR) {
        closure->fields[form] |= bit;
    } else if (dimension->source == DIMENSION_PROP || dimension->source == DIMENSION_PROP_ATTR) {
        closure->props[reg] |= bit;
    }
    if (dimension->source == DIMENSION_FIELD_ATTR)
        closure->attrs[codebook->forms[form].fields[dimension->index].list] |= UINT64_C(1) << dimension->attr;
    if (dimension->source == DIMENSION_PROP_ATTR)
        closure->attrs[codebook->regs[reg].props[dimension->index].list] |= UINT64_C(1) << dimension->attr;
    if (dimension->list >= 0) { // members are numbered in this order
        const struct list *list = &codebook->lists[dimension->list];
        say(text, " list %s", list->id);
        for (uint16_t i = 0; i < list->item_count; i++)
            say(text, " %s", list->items[i].id);
    }
    say(text, "\n");
}

static void say_indicator(struct buffer *text, struct closure *closure, const struct order *order, const struct indicator *indicator)
{
    const struct codebook *codebook = closure->codebook;
    int form = indicator->form, reg = form >= 0 ? codebook->forms[form].about : indicator->reg;
    static const char *const kinds[] = {
        [INDICATOR_FLOW] = "flow", [INDICATOR_STOCK] = "stock", [INDICATOR_RATIO] = "ratio", [INDICATOR_ENTERED] = "entered"};
    say(text, "indicator %s kind %s count %s every%s%s%s level %d", indicator->id, kinds[indicator->kind],
        indicator->count[0] ? indicator->count : "-", indicator->every & EVERY_MONTH ? " month" : "",
        indicator->every & EVERY_QUARTER ? " quarter" : "", indicator->every & EVERY_YEAR ? " year" : "", indicator->level);
    say(text, " stated_by %s for_tier %s\n", indicator->stated_by < 0 ? "-" : codebook->tiers[indicator->stated_by],
        indicator->for_tier < 0 ? "-" : codebook->tiers[indicator->for_tier]);
    if (indicator->kind == INDICATOR_RATIO) { // made from its parts when asked for, so their own definitions decide it
        buffer_append(text, codebook->indicators[indicator->num].definition.bytes, HASH_SIZE);
        buffer_append(text, codebook->indicators[indicator->den].definition.bytes, HASH_SIZE);
        return;
    }
    if (form >= 0)
        say_form_head(text, codebook, &codebook->forms[form]);
    if (reg >= 0)
        say(text, "register %s custody %s\n", codebook->regs[reg].id, codebook->regs[reg].custody_one ? "one" : "-");
    say_program(text, "where", indicator->where);
    say_program(text, "value", indicator->value);
    say(text, "\n");
    add_program(closure, indicator->where, form, reg);
    add_program(closure, indicator->value, form, reg);
    for (uint16_t i = 0; i < indicator->dim_count; i++)
        say_dimension(text, closure, indicator, &indicator->dims[i]);
    close_over(closure);
    say_closure(text, closure, order);
}

static void take_hash(struct buffer *text, struct closure *closure, struct hash *ret)
{
    *ret = crypto_hash(TAG_DEFINITION, buffer_bytes(text));
    text->size = 0;
    *closure = (struct closure){.codebook = closure->codebook};
}

static struct order order_of(const struct codebook *codebook)
{
    struct order order = {0};
    sort_ids(codebook->forms, sizeof *codebook->forms, codebook->form_count, order.forms);
    sort_ids(codebook->regs, sizeof *codebook->regs, codebook->reg_count, order.regs);
    sort_ids(codebook->lists, sizeof *codebook->lists, codebook->list_count, order.lists);
    return order;
}

void codebook_definition_text(const struct codebook *codebook, uint16_t indicator, struct buffer *ret)
{
    struct closure closure = {.codebook = codebook};
    struct order order = order_of(codebook);
    say_indicator(ret, &closure, &order, &codebook->indicators[indicator]);
}

bool definitions_hash(struct codebook *codebook)
{
    struct buffer text = {0};
    struct closure closure = {.codebook = codebook};
    struct order order = order_of(codebook);
    for (uint16_t i = 0; i < codebook->list_count; i++) {
        say_list(&text, codebook, &codebook->lists[i]);
        take_hash(&text, &closure, &codebook->lists[i].definition);
    }
    for (uint16_t i = 0; i < codebook->reg_count; i++) {
        say_register(&text, codebook, &codebook->regs[i]);
        take_hash(&text, &closure, &codebook->regs[i].definition);
    }
    for (uint16_t i = 0; i < codebook->form_count; i++) {
        say_form(&text, &closure, &order, i);
        take_hash(&text, &closure, &codebook->forms[i].definition);
    }
    for (int ratios = 0; ratios < 2; ratios++) // their parts first
        for (uint16_t i = 0; i < codebook->indicator_count; i++)
            if ((codebook->indicators[i].kind == INDICATOR_RATIO) == ratios) {
                say_indicator(&text, &closure, &order, &codebook->indicators[i]);
                take_hash(&text, &closure, &codebook->indicators[i].definition);
            }
    bool good = !text.failed;
    buffer_finish(&text);
    return good;
}
