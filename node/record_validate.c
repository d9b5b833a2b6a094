#include "node/record_validate.h"

#include "node/codebook/expr.h"
#include "node/period.h"
#include "node/record_value.h"
#include "relay/language.h"

static struct expr_input input_of(const struct surroundings *around, const struct value *values)
{
    return (struct expr_input){.fields = values, .props = around->props, .prior = around->prior, .today = around->today};
}

// The rule as a person wrote it, more or less: the canonical text without the parentheses around all of it. For "%.*s".
static const char *rule_text(const struct program *program, int *ret_size)
{
    const char *text = expr_text(program);
    size_t size = strlen(text);
    unsigned depth = 0;
    for (size_t i = 0; i < size; i++) {
        depth += text[i] == '(';
        depth -= text[i] == ')';
        if (depth == 0 && i + 1 < size) { // the first parenthesis closes before the end, or there is none
            *ret_size = (int)size;
            return text;
        }
    }
    *ret_size = size > 2 ? (int)size - 2 : (int)size;
    return size > 2 ? text + 1 : text;
}

// `format` takes the rule: "%.*s".
static bool break_rule(struct finding *finding, const struct field *field, const struct program *program, const char *format)
{
    int size;
    const char *rule = rule_text(program, &size);
    return finding_set(finding, ERR_INPUT, field->id, format, size, rule);
}

static bool is_true(const struct program *program, const struct expr_input *input)
{
    struct value value = expr_eval(program, input);
    return value.type == VALUE_BOOL && value.truth;
}

bool record_date(const struct form *form, int32_t today, struct value *values, int32_t *ret_at, struct finding *finding)
{
    const struct field *field = &form->fields[form->at];
    struct value *at = &values[form->at];
    if (at->type == VALUE_NONE) {
        struct expr_input input = {.fields = values, .today = today};
        if (field->need && is_true(field->need, &input))
            return finding_set(finding, ERR_INPUT, field->id, tr("needed: the record's date (%s)", "必填：记录日期（%s）"),
                               label_text(&field->label));
        *at = (struct value){.type = VALUE_DATE, .date = today};
    }
    *ret_at = at->date;
    return true;
}

// ---- calculated fields

static int64_t rounded(int64_t scaled)
{
    int64_t rest = scaled % NUMBER_SCALE;
    int64_t half = scaled < 0 ? -NUMBER_SCALE / 2 : NUMBER_SCALE / 2;
    if (rest == 0)
        return scaled;
    return scaled - rest + ((scaled < 0 ? rest <= half : rest >= half) ? half * 2 : 0);
}

static struct value calculated(const struct field *field, const struct expr_input *input)
{
    struct value value = expr_eval(field->calc, input);
    if (value.type == VALUE_NUMBER && (field->type == FIELD_INT || field->type == FIELD_MONEY))
        value.number = rounded(value.number);
    return value;
}

static bool value_equal(const struct value *a, const struct value *b)
{
    if (a->type != b->type)
        return false;
    switch (a->type) {
    case VALUE_NONE:
        return true;
    case VALUE_BOOL:
        return a->truth == b->truth;
    case VALUE_NUMBER:
    case VALUE_INSTANT:
        return a->number == b->number;
    case VALUE_DURATION:
        return a->number == b->number && a->unit == b->unit;
    case VALUE_DATE:
        return a->date == b->date;
    case VALUE_CODE:
        return a->code == b->code;
    case VALUE_SET:
        return a->set == b->set;
    case VALUE_TEXT:
    case VALUE_REF:
    case VALUE_REFS:
    case VALUE_UNIT:
        return bytes_equal(a->text, b->text);
    case VALUE_POSITION:
        return memcmp(&a->position, &b->position, sizeof a->position) == 0;
    }
    return false;
}

static bool calculate_fields(const struct surroundings *around, struct value *values, struct finding *finding)
{
    struct expr_input input = input_of(around, values);
    for (unsigned i = 0; i < around->form->field_count; i++) { // a calculation stands on fields before it only: the codebook saw to that
        const struct field *field = &around->form->fields[i];
        struct value given = values[i];
        if (!field->calc)
            continue;
        values[i] = calculated(field, &input);
        if (given.type != VALUE_NONE && !value_equal(&given, &values[i]))
            return break_rule(finding, field, field->calc,
                              tr("calculated by the form, and not this: %.*s", "由表单计算，且结果不同：%.*s"));
    }
    return true;
}

// ---- rules

static bool check_codes(const struct surroundings *around, const struct field *field, const struct value *value, int32_t at,
                        struct finding *finding)
{
    if (value->type != VALUE_CODE && value->type != VALUE_SET)
        return true;
    const struct list *list = &around->codebook->lists[field->list];
    uint64_t set = value->type == VALUE_CODE ? UINT64_C(1) << value->code : value->set;
    for (unsigned i = 0; i < list->item_count; i++) {
        const struct list_item *item = &list->items[i];
        if (!(set >> i & 1) || at <= item->until)
            continue;
        char day[11];
        civil_format(item->until, day);
        return finding_set(finding, ERR_INPUT, field->id,
                           item->becomes[0] ? tr("'%s' ended on %s; use '%s'", "“%s”已于 %s 停用；请用“%s”")
                                            : tr("'%s' ended on %s%s", "“%s”已于 %s 停用%s"),
                           item->id, day, item->becomes);
    }
    return true;
}

static bool check_field(const struct surroundings *around, unsigned index, const struct value *values, int32_t at, struct finding *finding)
{
    const struct field *field = &around->form->fields[index];
    const struct value *value = &values[index];
    struct expr_input input = input_of(around, values);
    if (field->show && !is_true(field->show, &input)) {
        if (value->type == VALUE_NONE || field->calc)
            return true;
        return break_rule(finding, field, field->show, tr("belongs here only when: %.*s", "仅在此条件下填写：%.*s"));
    }
    if (value->type == VALUE_NONE) {
        if (!field->need || !is_true(field->need, &input))
            return true;
        int size;
        const char *why = rule_text(field->need, &size);
        if (strcmp(why, "true") == 0)
            return finding_set(finding, ERR_INPUT, field->id, tr("needed (%s)", "必填（%s）"), label_text(&field->label));
        return finding_set(finding, ERR_INPUT, field->id, tr("needed (%s), because: %.*s", "必填（%s），因为：%.*s"),
                           label_text(&field->label), size, why);
    }
    if (field->check) {
        struct value check = expr_eval(field->check, &input);
        if (check.type == VALUE_BOOL && !check.truth)
            return break_rule(finding, field, field->check, tr("does not hold: %.*s", "不满足：%.*s"));
    }
    return check_codes(around, field, value, at, finding);
}

// The date that a band counts from: what this record says, else what is known.
static const struct value *since_of(const struct surroundings *around, const struct band *band, const struct value *values)
{
    for (unsigned i = 0; i < around->form->field_count; i++) {
        if (around->form->fields[i].keep == (int)band->prop && values[i].type != VALUE_NONE)
            return &values[i];
    }
    return &around->birth_props[band->prop];
}

static bool check_date(const struct surroundings *around, const struct value *values, int32_t at, struct finding *finding)
{
    const struct field *field = &around->form->fields[around->form->at];
    char day[11];
    if (at > around->today + 1) {
        civil_format(around->today, day);
        return finding_set(finding, ERR_INPUT, field->id, tr("lies in the future; today is %s", "日期在将来；今天是 %s"), day);
    }
    if (around->unit_from && at < (int32_t)around->unit_from) {
        civil_format((int32_t)around->unit_from, day);
        return finding_set(finding, ERR_INPUT, field->id, tr("lies before the unit began, %s", "早于单位设立日期 %s"), day);
    }
    const struct reg *reg = around->props ? &around->codebook->regs[around->form->about] : NULL;
    for (unsigned b = 0; reg && b < reg->band_count; b++) {
        const struct value *since = since_of(around, &reg->bands[b], values);
        if (since->type == VALUE_DATE && at < since->date)
            return finding_set(finding, ERR_INPUT, field->id, tr("lies before the subject's %s", "早于对象的%s"),
                               label_text(&reg->props[reg->bands[b].prop].label));
    }
    return true;
}

bool record_validate(const struct surroundings *around, int32_t at, struct value *values, struct finding *finding)
{
    if (!calculate_fields(around, values, finding))
        return false;
    for (unsigned i = 0; i < around->form->field_count; i++) {
        if (!check_field(around, i, values, at, finding))
            return false;
    }
    return check_date(around, values, at, finding);
}
