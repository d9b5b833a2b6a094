#include "node/codebook/codebook.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/codebook/expr.h"
#include "relay/language.h"

static void forms_destroy(struct codebook *codebook)
{
    for (uint16_t i = 0; i < codebook->form_count; i++) {
        struct form *form = &codebook->forms[i];
        for (uint16_t j = 0; j < form->field_count; j++) {
            expr_destroy(form->fields[j].need);
            expr_destroy(form->fields[j].show);
            expr_destroy(form->fields[j].check);
            expr_destroy(form->fields[j].calc);
        }
        free(form->fields);
    }
    free(codebook->forms);
}

void codebook_destroy(struct codebook *codebook)
{
    if (!codebook)
        return;
    for (uint16_t i = 0; i < codebook->list_count; i++) {
        struct list *list = &codebook->lists[i];
        for (uint16_t j = 0; j < list->item_count; j++)
            free(list->items[j].attrs);
        free(list->items);
        free(list->attrs);
    }
    for (uint16_t i = 0; i < codebook->reg_count; i++) {
        free(codebook->regs[i].props);
        free(codebook->regs[i].bands);
    }
    forms_destroy(codebook);
    for (uint16_t i = 0; i < codebook->indicator_count; i++) {
        expr_destroy(codebook->indicators[i].where);
        expr_destroy(codebook->indicators[i].value);
    }
    free(codebook->indicators);
    free(codebook->regs);
    free(codebook->lists);
    free(codebook->roles);
    free(codebook);
}

// ---- names. Tables are short (a form has at most 64 fields), and engines keep indices; so one after the other.

static int find(const void *first, size_t stride, int count, const char *id)
{
    for (int i = 0; i < count; i++)
        if (strcmp((const char *)first + (size_t)i * stride, id) == 0)
            return i;
    return -1;
}
_Static_assert(offsetof(struct list, id) == 0 && offsetof(struct list_item, id) == 0 && offsetof(struct reg, id) == 0, "find");
_Static_assert(offsetof(struct prop, id) == 0 && offsetof(struct form, id) == 0 && offsetof(struct field, id) == 0, "find");
_Static_assert(offsetof(struct indicator, id) == 0, "find");

int codebook_tier(const struct codebook *codebook, const char *id)
{
    return find(codebook->tiers, sizeof *codebook->tiers, codebook->tier_count, id);
}
int codebook_list(const struct codebook *codebook, const char *id)
{
    return find(codebook->lists, sizeof *codebook->lists, codebook->list_count, id);
}
int codebook_reg(const struct codebook *codebook, const char *id)
{
    return find(codebook->regs, sizeof *codebook->regs, codebook->reg_count, id);
}
int codebook_form(const struct codebook *codebook, const char *id)
{
    return find(codebook->forms, sizeof *codebook->forms, codebook->form_count, id);
}
int codebook_indicator(const struct codebook *codebook, const char *id)
{
    return find(codebook->indicators, sizeof *codebook->indicators, codebook->indicator_count, id);
}
int list_item(const struct list *list, const char *id) { return find(list->items, sizeof *list->items, list->item_count, id); }
int form_field(const struct form *form, const char *id) { return find(form->fields, sizeof *form->fields, form->field_count, id); }
int reg_prop(const struct reg *reg, const char *id) { return find(reg->props, sizeof *reg->props, reg->prop_count, id); }

int codebook_indicator_by_definition(const struct codebook *codebook, const struct hash *definition)
{
    for (int i = 0; i < codebook->indicator_count; i++)
        if (hash_equal(&codebook->indicators[i].definition, definition))
            return i;
    return -1;
}

const char *label_text(const struct label *label) { return tr(label->en, label->zh); }

// ---- members

static const struct band *band_of(const struct codebook *codebook, const struct indicator *indicator, const struct dimension *dimension)
{
    if (indicator->kind == INDICATOR_RATIO) // its dimensions are those of its parts
        indicator = &codebook->indicators[indicator->num];
    int reg = indicator->form >= 0 ? codebook->forms[indicator->form].about : indicator->reg;
    assert(reg >= 0 && dimension->band >= 0);
    return &codebook->regs[reg].bands[dimension->band];
}

static void band_member(const struct band *band, uint32_t member, char ret[NAME_MAX_BYTES + 1])
{
    int32_t from = member == 0 ? 0 : band->at[member - 1];
    if (member == band->edge_count)
        snprintf(ret, NAME_MAX_BYTES + 1, "%d+", from);
    else if (band->at[member] - 1 == from)
        snprintf(ret, NAME_MAX_BYTES + 1, "%d", from);
    else
        snprintf(ret, NAME_MAX_BYTES + 1, "%d-%d", from, band->at[member] - 1);
}

void dimension_member(const struct codebook *codebook, const struct indicator *indicator, const struct dimension *dimension,
                      uint32_t member, char ret[NAME_MAX_BYTES + 1])
{
    assert(member < dimension->radix);
    if (member < 2)
        snprintf(ret, NAME_MAX_BYTES + 1, "%s", member == 0 ? "*" : "_");
    else if (dimension->list >= 0)
        memcpy(ret, codebook->lists[dimension->list].items[member - 2].id, NAME_MAX_BYTES + 1);
    else
        band_member(band_of(codebook, indicator, dimension), member - 2, ret);
}

int dimension_member_find(const struct codebook *codebook, const struct indicator *indicator, const struct dimension *dimension,
                          const char *code)
{
    char text[NAME_MAX_BYTES + 1];
    for (uint32_t member = 0; member < dimension->radix; member++) {
        dimension_member(codebook, indicator, dimension, member, text);
        if (strcmp(text, code) == 0)
            return (int)member;
    }
    return -1;
}
