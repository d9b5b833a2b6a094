#include "node/record.h"

#include <assert.h>

#include "node/period.h"
#include "record.pb-c.h"
#include "relay/language.h"

enum {
    ELEMENTS_MAX = 16384, // protobuf fields of one section: 64 fields, each with up to 64 codes and what frames them
    MINUTE_S = 60,
    DAY_S = 24 * 60 * MINUTE_S,
};

struct value duration_of_seconds(int64_t seconds)
{
    bool days = seconds % DAY_S == 0 && seconds > 0;
    return (struct value){.type = VALUE_DURATION, .unit = days ? 'd' : 'm', .number = seconds / (days ? DAY_S : MINUTE_S)};
}

int record_compare(const struct record *a, const struct record *b)
{
    if (a->at != b->at)
        return a->at < b->at ? -1 : 1;
    if (a->recorded_ms != b->recorded_ms)
        return a->recorded_ms < b->recorded_ms ? -1 : 1;
    return memcmp(a->id, b->id, RECORD_ID_SIZE);
}

unsigned record_sections(const struct form *form, int sections[RECORD_SECTIONS_MAX])
{
    bool own = form->section_count == 0;
    for (unsigned i = 0; i < form->field_count; i++)
        own |= form->fields[i].section == SECTION_OWN;
    unsigned count = 0;
    if (own)
        sections[count++] = SECTION_OWN;
    for (unsigned i = 0; i < form->section_count; i++)
        sections[count++] = (int)i;
    return count;
}

static const char *section_id(const struct form *form, int section) { return section == SECTION_OWN ? "" : form->sections[section].id; }

// ---- values to the wire

static bool put_codes(const struct list *list, const struct value *value, struct arena *scratch, Sanji__Value *wire)
{
    uint64_t set = value->type == VALUE_CODE ? UINT64_C(1) << value->code : value->set;
    wire->codes = arena_alloc(scratch, LIST_ITEMS_MAX * sizeof *wire->codes);
    if (!wire->codes)
        return false;
    for (unsigned i = 0; i < list->item_count; i++) {
        if (set >> i & 1)
            wire->codes[wire->n_codes++] = list->items[i].id;
    }
    return true;
}

static bool put_refs(struct bytes refs, struct arena *scratch, Sanji__Value *wire)
{
    wire->n_refs = refs.size / SUBJECT_ID_SIZE;
    wire->refs = arena_alloc(scratch, wire->n_refs * sizeof *wire->refs);
    for (size_t i = 0; wire->refs && i < wire->n_refs; i++)
        wire->refs[i] = (ProtobufCBinaryData){SUBJECT_ID_SIZE, (uint8_t *)refs.data + i * SUBJECT_ID_SIZE};
    return wire->refs != NULL;
}

static char *text_copy(struct bytes text, struct arena *arena)
{
    char *copy = arena_alloc(arena, text.size + 1);
    if (copy) {
        if (text.size)
            memcpy(copy, text.data, text.size);
        copy[text.size] = 0;
    }
    return copy;
}

static bool put_position(const struct position *position, struct arena *scratch, Sanji__Value *wire)
{
    wire->position = arena_alloc(scratch, sizeof *wire->position);
    if (!wire->position)
        return false;
    *wire->position = (Sanji__Position)SANJI__POSITION__INIT;
    wire->position->lat_e6 = position->lat_e6;
    wire->position->lon_e6 = position->lon_e6;
    wire->position->accuracy_m = position->accuracy_m;
    return true;
}

static bool put_value(const struct codebook *codebook, const struct field *field, const struct value *value, struct arena *scratch,
                      Sanji__Value *wire)
{
    switch (value->type) {
    case VALUE_BOOL:
        wire->has_number = 1;
        wire->number = value->truth ? NUMBER_SCALE : 0;
        return true;
    case VALUE_NUMBER:
    case VALUE_INSTANT:
        wire->has_number = 1;
        wire->number = value->number;
        return true;
    case VALUE_DURATION:
        assert(value->unit == 'm' || value->unit == 'd');
        wire->has_number = 1;
        wire->number = value->number * (value->unit == 'd' ? DAY_S : MINUTE_S);
        return true;
    case VALUE_DATE:
        wire->has_date = 1;
        wire->date = value->date;
        return true;
    case VALUE_CODE:
    case VALUE_SET:
        return put_codes(&codebook->lists[field->list], value, scratch, wire);
    case VALUE_TEXT:
        return (wire->text = text_copy(value->text, scratch)) != NULL;
    case VALUE_UNIT:
        return (wire->unit = text_copy(value->text, scratch)) != NULL;
    case VALUE_REF:
    case VALUE_REFS:
        return put_refs(value->text, scratch, wire);
    case VALUE_POSITION:
        return put_position(&value->position, scratch, wire);
    case VALUE_NONE:
        break;
    }
    assert(!"a value without a type is not written");
    return false;
}

static bool put_fields(const struct codebook *codebook, const struct record *record, int section, struct arena *scratch,
                       Sanji__RecordSection *wire)
{
    const struct form *form = &codebook->forms[record->form];
    wire->fields = arena_alloc(scratch, FIELDS_MAX * sizeof *wire->fields);
    if (!wire->fields)
        return false;
    for (unsigned i = 0; i < form->field_count; i++) {
        if (form->fields[i].section != section || record->values[i].type == VALUE_NONE)
            continue;
        struct {
            Sanji__Field field;
            Sanji__Value value;
        } *place = arena_alloc(scratch, sizeof *place);
        if (!place)
            return false;
        place->field = (Sanji__Field)SANJI__FIELD__INIT;
        place->value = (Sanji__Value)SANJI__VALUE__INIT;
        place->field.field = form->fields[i].id;
        place->field.value = &place->value;
        if (!put_value(codebook, &form->fields[i], &record->values[i], scratch, &place->value))
            return false;
        wire->fields[wire->n_fields++] = &place->field;
    }
    return true;
}

enum error_code record_encode(const struct codebook *codebook, const struct record *record, int section, struct arena *scratch,
                              struct buffer *ret, struct error *error)
{
    const struct form *form = &codebook->forms[record->form];
    int sections[RECORD_SECTIONS_MAX];
    Sanji__RecordSection wire = SANJI__RECORD_SECTION__INIT;
    wire.record = (ProtobufCBinaryData){RECORD_ID_SIZE, (uint8_t *)record->id};
    wire.revision = record->revision;
    wire.form = (char *)form->id;
    wire.definition = (ProtobufCBinaryData){HASH_SIZE, (uint8_t *)form->definition.bytes};
    wire.section = (char *)section_id(form, section);
    wire.sections = record_sections(form, sections);
    if (form->about >= 0) {
        wire.register_ = codebook->regs[form->about].id;
        wire.subject = (ProtobufCBinaryData){SUBJECT_ID_SIZE, (uint8_t *)record->subject};
        wire.custodian = (char *)record->custodian;
    }
    wire.unit = (char *)record->unit;
    wire.unit_from = record->unit_from;
    wire.at = record->at;
    wire.recorded_ms = record->recorded_ms;
    wire.person = (char *)record->person;
    wire.post = (char *)record->post;
    wire.void_ = record->voided;
    wire.reason = (char *)record->reason;
    if (!put_fields(codebook, record, section, scratch, &wire))
        return error_set(error, ERR_MEMORY, tr("a record of form %s", "表单 %s 的记录"), form->id);
    size_t before = ret->size;
    codec_pack(&wire, ret);
    if (ret->failed)
        return error_set(error, ERR_MEMORY, tr("a record of form %s", "表单 %s 的记录"), form->id);
    if (ret->size - before > SECTION_MAX)
        return error_set(error, ERR_LIMIT, tr("section '%s' takes %zu bytes, at most %d", "分区“%s”为 %zu 字节，上限 %d"),
                         section_id(form, section), ret->size - before, SECTION_MAX);
    return OK;
}

// ---- values from the wire

static bool get_codes(const struct list *list, bool many, const Sanji__Value *wire, struct value *ret)
{
    uint64_t set = 0;
    for (size_t i = 0; i < wire->n_codes; i++) {
        int item = list_item(list, wire->codes[i]);
        if (item < 0)
            return false;
        set |= UINT64_C(1) << item;
    }
    if (!set || (!many && wire->n_codes != 1))
        return false;
    if (many)
        *ret = (struct value){.type = VALUE_SET, .set = set};
    else
        *ret = (struct value){.type = VALUE_CODE, .code = (uint16_t)__builtin_ctzll(set)};
    return true;
}

static bool get_refs(bool many, const Sanji__Value *wire, struct arena *arena, struct value *ret)
{
    if (wire->n_refs == 0 || wire->n_refs > UINT8_MAX || (!many && wire->n_refs != 1))
        return false;
    uint8_t *refs = arena_alloc(arena, wire->n_refs * SUBJECT_ID_SIZE);
    for (size_t i = 0; refs && i < wire->n_refs; i++) {
        if (wire->refs[i].len != SUBJECT_ID_SIZE)
            return false;
        memcpy(refs + i * SUBJECT_ID_SIZE, wire->refs[i].data, SUBJECT_ID_SIZE);
    }
    *ret = (struct value){.type = many ? VALUE_REFS : VALUE_REF, .text = {refs, wire->n_refs * SUBJECT_ID_SIZE}};
    return refs != NULL;
}

static bool get_number(enum field_type type, const Sanji__Value *wire, struct value *ret)
{
    if (!wire->has_number)
        return false;
    switch (type) {
    case FIELD_BOOL:
        *ret = (struct value){.type = VALUE_BOOL, .truth = wire->number != 0};
        return wire->number == 0 || wire->number == NUMBER_SCALE;
    case FIELD_INSTANT:
        *ret = (struct value){.type = VALUE_INSTANT, .number = wire->number};
        return true;
    case FIELD_DURATION:
        *ret = duration_of_seconds(wire->number);
        return wire->number >= 0 && wire->number % MINUTE_S == 0;
    default:
        *ret = (struct value){.type = VALUE_NUMBER, .number = wire->number};
        return true;
    }
}

// False: the value is not of the field's type.
static bool get_value(const struct codebook *codebook, const struct field *field, const Sanji__Value *wire, struct arena *arena,
                      struct value *ret)
{
    switch (field->type) {
    case FIELD_BOOL:
    case FIELD_INT:
    case FIELD_DECIMAL:
    case FIELD_MONEY:
    case FIELD_INSTANT:
    case FIELD_DURATION:
        return get_number(field->type, wire, ret);
    case FIELD_DATE:
        *ret = (struct value){.type = VALUE_DATE, .date = wire->date};
        return wire->has_date && civil_valid(civil_from_days(wire->date));
    case FIELD_CODE:
        return get_codes(&codebook->lists[field->list], field->many > 1, wire, ret);
    case FIELD_REF:
        return get_refs(field->many > 1, wire, arena, ret);
    case FIELD_UNIT:
        *ret = (struct value){.type = VALUE_UNIT, .text = bytes_of_text(wire->unit)};
        return ret->text.size > 0 && ret->text.size <= UNIT_CODE_MAX;
    case FIELD_TEXT:
    case FIELD_IDNO:
    case FIELD_PHONE:
    case FIELD_FILE:
        *ret = (struct value){.type = VALUE_TEXT, .text = bytes_of_text(wire->text)};
        return ret->text.size > 0;
    case FIELD_POSITION:
        if (!wire->position)
            return false;
        *ret = (struct value){.type = VALUE_POSITION,
                              .position = {wire->position->lat_e6, wire->position->lon_e6, wire->position->accuracy_m}};
        return true;
    }
    return false;
}

static enum error_code get_fields(const struct codebook *codebook, const Sanji__RecordSection *wire, int section, struct arena *arena,
                                  struct record *ret, struct error *error)
{
    const struct form *form = &codebook->forms[ret->form];
    ret->values = arena_alloc(arena, (form->field_count ? form->field_count : 1) * sizeof *ret->values);
    if (!ret->values)
        return error_set(error, ERR_MEMORY, tr("a record of form %s", "表单 %s 的记录"), form->id);
    for (unsigned i = 0; i < form->field_count; i++)
        ret->values[i] = value_none();
    for (size_t i = 0; i < wire->n_fields; i++) {
        const Sanji__Field *place = wire->fields[i];
        int field = form_field(form, place->field);
        if (field < 0 || form->fields[field].section != section)
            continue; // a later definition of the form does without it, or has it elsewhere
        if (!place->value || !get_value(codebook, &form->fields[field], place->value, arena, &ret->values[field]))
            return error_set(error, ERR_INPUT, tr("form %s: field %s: not a value of its type", "表单 %s：字段 %s：不是该类型的值"),
                             form->id, form->fields[field].id);
    }
    return OK;
}

static bool bounds_hold(const Sanji__RecordSection *wire, bool about)
{
    return wire->record.len == RECORD_ID_SIZE && wire->revision >= 1 && wire->sections >= 1 && wire->sections <= RECORD_SECTIONS_MAX &&
           wire->definition.len == HASH_SIZE && wire->subject.len == (about ? SUBJECT_ID_SIZE : 0) && wire->unit[0] &&
           strlen(wire->unit) <= UNIT_CODE_MAX && strlen(wire->custodian) <= UNIT_CODE_MAX && (!about || wire->custodian[0]) &&
           civil_valid(civil_from_days(wire->at)) && strlen(wire->person) <= RECORD_TEXT_MAX && strlen(wire->post) <= RECORD_TEXT_MAX &&
           strlen(wire->reason) <= RECORD_TEXT_MAX;
}

static int section_find(const struct form *form, const char *id)
{
    for (unsigned i = 0; i < form->section_count; i++) {
        if (strcmp(form->sections[i].id, id) == 0)
            return (int)i;
    }
    return id[0] ? -2 : SECTION_OWN;
}

enum error_code record_decode(const struct codebook *codebook, struct bytes wire, struct arena *arena, struct record *ret, int *ret_section,
                              uint32_t *ret_sections, struct error *error)
{
    const struct codec_limits limits = {.bytes_max = SECTION_MAX, .elements_max = ELEMENTS_MAX, .empty_ok = false};
    void *message;
    enum error_code code = codec_unpack(&sanji__record_section__descriptor, wire, &limits, arena, &message, error);
    if (code != OK)
        return code;
    const Sanji__RecordSection *in = message;
    int form = codebook_form(codebook, in->form);
    if (form < 0)
        return error_set(error, ERR_NOT_FOUND, tr("form '%s' is not in the codebook", "编码本中没有表单“%s”"), in->form);
    const struct form *f = &codebook->forms[form];
    int section = section_find(f, in->section);
    if (section < SECTION_OWN)
        return error_set(error, ERR_NOT_FOUND, tr("form %s: section '%s' is not in the codebook", "表单 %s：编码本中没有分区“%s”"), f->id,
                         in->section);
    bool about = f->about >= 0;
    if (!bounds_hold(in, about) || strcmp(in->register_, about ? codebook->regs[f->about].id : "") != 0)
        return error_set(error, ERR_INPUT, tr("form %s: a record out of bounds", "表单 %s：记录越界"), f->id);
    struct record record = {
        .revision = in->revision,
        .form = (uint16_t)form,
        .voided = in->void_,
        .at = in->at,
        .recorded_ms = in->recorded_ms,
        .unit = in->unit,
        .unit_from = in->unit_from,
        .custodian = in->custodian,
        .person = in->person,
        .post = in->post,
        .reason = in->reason,
    };
    memcpy(record.id, in->record.data, RECORD_ID_SIZE);
    if (about)
        memcpy(record.subject, in->subject.data, SUBJECT_ID_SIZE);
    code = get_fields(codebook, in, section, arena, &record, error);
    if (code != OK)
        return code;
    *ret = record;
    *ret_section = section;
    *ret_sections = in->sections;
    return OK;
}

enum error_code record_merge(const struct codebook *codebook, struct record *record, const struct record *part, int section,
                             struct error *error)
{
    if (memcmp(record->id, part->id, RECORD_ID_SIZE) != 0 || record->revision != part->revision || record->form != part->form ||
        memcmp(record->subject, part->subject, SUBJECT_ID_SIZE) != 0 || record->at != part->at || record->voided != part->voided)
        return error_set(error, ERR_INPUT, tr("sections of different revisions", "分区不属于同一修订"));
    const struct form *form = &codebook->forms[record->form];
    for (unsigned i = 0; i < form->field_count; i++) {
        if (form->fields[i].section == section)
            record->values[i] = part->values[i];
    }
    return OK;
}
