// Sections on the wire: what goes in comes out, and what cannot be is refused.
#include "tests/unit/node/village.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/record.h"
#include "node/record_value.h"
#include "record.pb-c.h"

static struct record make(const char *form, struct value *values)
{
    struct record record = {.id = {1, 2},
                            .revision = 3,
                            .form = (uint16_t)codebook_form(codebook, form),
                            .at = 19000,
                            .recorded_ms = 1700000000000,
                            .unit = "V1",
                            .unit_from = 7,
                            .custodian = "",
                            .person = "li",
                            .post = "",
                            .reason = "because",
                            .values = values};
    if (codebook->forms[record.form].about >= 0) {
        record.subject[0] = 9;
        record.custodian = "V2";
    }
    return record;
}

static struct buffer encode(const struct record *record, int section)
{
    struct arena scratch = {0};
    struct buffer wire = {0};
    struct error error = {0};
    if (record_encode(codebook, record, section, &scratch, &wire, &error) != OK)
        fail_msg("%s", error.detail);
    arena_finish(&scratch);
    return wire;
}

static void every_type_comes_back(void **state)
{
    (void)state;
    static const struct {
        const char *field, *text;
    } given[] = {{"day", "2024-01-02"},
                 {"yes", "false"},
                 {"whole", "0"},
                 {"decimal", "-1.5"},
                 {"money", "77"},
                 {"instant", "1970-01-01T00:00Z"},
                 {"length", "0m"},
                 {"colour", "green"},
                 {"category", "orphan|disabled"},
                 {"text", "一二"},
                 {"child", "00112233445566778899aabbccddeeff"},
                 {"children", "00112233445566778899aabbccddeeff|10112233445566778899aabbccddeeff"},
                 {"home", "X9"},
                 {"idno", "1X"},
                 {"phone", "110"},
                 {"place", "0 0 0"},
                 {"photo", "a|b"}};
    struct value values[FIELDS_MAX] = {0};
    struct arena arena = {0};
    struct record record = make("kinds", values), back;
    const struct form *form = &codebook->forms[record.form];
    for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
        int field = form_field(form, given[i].field);
        struct finding finding = {0};
        assert_true(value_from_text(codebook, &form->fields[field], given[i].text, &arena, &values[field], &finding));
    }
    struct buffer wire = encode(&record, SECTION_OWN);
    struct error error = {0};
    int section = 5;
    uint32_t sections = 0;
    if (record_decode(codebook, buffer_bytes(&wire), &arena, &back, &section, &sections, &error) != OK)
        fail_msg("%s", error.detail);
    assert_int_equal(section, SECTION_OWN);
    assert_int_equal(sections, 2);
    assert_memory_equal(back.id, record.id, RECORD_ID_SIZE);
    assert_int_equal(back.revision, 3);
    assert_int_equal(back.at, 19000);
    assert_int_equal(back.unit_from, 7);
    assert_string_equal(back.reason, "because");
    assert_string_equal(back.person, "li");
    struct buffer again = encode(&back, SECTION_OWN); // byte for byte
    assert_true(bytes_equal(buffer_bytes(&wire), buffer_bytes(&again)));
    for (unsigned i = 0; i < form->field_count; i++)
        assert_int_equal(back.values[i].type, values[i].type);
    buffer_finish(&wire);
    buffer_finish(&again);
    arena_finish(&arena);
}

static void sections_hold_their_own_fields(void **state)
{
    (void)state;
    struct value values[FIELDS_MAX] = {0};
    struct record record = make("visit", values), own, body;
    const struct form *form = &codebook->forms[record.form];
    int notes = form_field(form, "notes"), minutes = form_field(form, "minutes");
    values[notes] = (struct value){.type = VALUE_TEXT, .text = bytes_of_text(CANARY)};
    values[minutes] = (struct value){.type = VALUE_NUMBER, .number = 30000};
    int sections[RECORD_SECTIONS_MAX];
    assert_int_equal(record_sections(form, sections), 2);
    assert_int_equal(sections[0], SECTION_OWN);
    assert_int_equal(sections[1], 0);
    struct buffer a = encode(&record, SECTION_OWN), b = encode(&record, 0);
    assert_null(memmem(a.data, a.size, CANARY, strlen(CANARY)));
    assert_non_null(memmem(b.data, b.size, CANARY, strlen(CANARY)));
    struct arena arena = {0};
    int section;
    uint32_t count;
    assert_int_equal(record_decode(codebook, buffer_bytes(&a), &arena, &own, &section, &count, NULL), OK);
    assert_int_equal(own.values[notes].type, VALUE_NONE);
    assert_int_equal(own.values[minutes].number, 30000);
    assert_int_equal(record_decode(codebook, buffer_bytes(&b), &arena, &body, &section, &count, NULL), OK);
    assert_int_equal(section, 0);
    assert_int_equal(record_merge(codebook, &own, &body, section, NULL), OK);
    assert_int_equal(own.values[notes].text.size, strlen(CANARY));
    assert_int_equal(own.values[minutes].number, 30000);
    body.revision++;
    assert_int_equal(record_merge(codebook, &own, &body, section, NULL), ERR_INPUT);
    buffer_finish(&a);
    buffer_finish(&b);
    arena_finish(&arena);
}

static enum error_code decode_changed(void (*change)(Sanji__RecordSection *))
{
    uint8_t id[16] = {1}, definition[32] = {2}, subject[16] = {3};
    Sanji__RecordSection wire = SANJI__RECORD_SECTION__INIT;
    wire.record = (ProtobufCBinaryData){16, id};
    wire.revision = 1;
    wire.form = (char *)"visit";
    wire.definition = (ProtobufCBinaryData){32, definition};
    wire.section = (char *)"";
    wire.sections = 2;
    wire.register_ = (char *)"child";
    wire.subject = (ProtobufCBinaryData){16, subject};
    wire.unit = (char *)"V1";
    wire.custodian = (char *)"V1";
    wire.at = 19000;
    change(&wire);
    struct buffer bytes = {0};
    struct arena arena = {0};
    struct record record;
    int section;
    uint32_t sections;
    codec_pack(&wire, &bytes);
    enum error_code code = record_decode(codebook, buffer_bytes(&bytes), &arena, &record, &section, &sections, NULL);
    buffer_finish(&bytes);
    arena_finish(&arena);
    return code;
}

static void nothing(Sanji__RecordSection *wire) { (void)wire; }
static void short_id(Sanji__RecordSection *wire) { wire->record.len = 15; }
static void revision_0(Sanji__RecordSection *wire) { wire->revision = 0; }
static void form_unknown(Sanji__RecordSection *wire) { wire->form = (char *)"nope"; }
static void section_unknown(Sanji__RecordSection *wire) { wire->section = (char *)"nope"; }
static void many_sections(Sanji__RecordSection *wire) { wire->sections = 6; }
static void other_register(Sanji__RecordSection *wire) { wire->register_ = (char *)"unit"; }
static void no_subject(Sanji__RecordSection *wire) { wire->subject.len = 0; }
static void no_unit(Sanji__RecordSection *wire) { wire->unit = (char *)""; }
static void no_custodian(Sanji__RecordSection *wire) { wire->custodian = (char *)""; }
static void long_unit(Sanji__RecordSection *wire) { wire->unit = (char *)"012345678901234567890123456789012"; }
static void far_date(Sanji__RecordSection *wire) { wire->at = 900000; }
static Sanji__Value number = SANJI__VALUE__INIT;
static Sanji__Field field = SANJI__FIELD__INIT;
static Sanji__Field *fields[1] = {&field};
static void wrong_type(Sanji__RecordSection *wire)
{
    number.text = (char *)"x";
    field.field = (char *)"minutes";
    field.value = &number;
    wire->fields = fields;
    wire->n_fields = 1;
}
static void no_value(Sanji__RecordSection *wire)
{
    field.field = (char *)"minutes";
    field.value = NULL;
    wire->fields = fields;
    wire->n_fields = 1;
}
static void gone_field(Sanji__RecordSection *wire)
{
    wrong_type(wire);
    field.field = (char *)"was_here_once";
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    assert_int_equal(decode_changed(nothing), OK);
    assert_int_equal(decode_changed(gone_field), OK);
    void (*const input[])(Sanji__RecordSection *) = {short_id,     revision_0, many_sections, other_register, no_subject, no_unit,
                                                     no_custodian, long_unit,  far_date,      wrong_type,     no_value};
    for (size_t i = 0; i < sizeof input / sizeof *input; i++) {
        if (decode_changed(input[i]) != ERR_INPUT)
            fail_msg("change %zu was taken", i);
    }
    assert_int_equal(decode_changed(form_unknown), ERR_NOT_FOUND);
    assert_int_equal(decode_changed(section_unknown), ERR_NOT_FOUND);
}

static void sections_have_a_limit(void **state)
{
    (void)state;
    struct value values[FIELDS_MAX] = {0};
    struct record record = make("visit", values);
    char *text = calloc(1, SECTION_MAX + 1);
    memset(text, 'x', SECTION_MAX);
    values[form_field(&codebook->forms[record.form], "notes")] = (struct value){.type = VALUE_TEXT, .text = bytes_of_text(text)};
    struct arena scratch = {0};
    struct buffer wire = {0};
    struct error error = {0};
    assert_int_equal(record_encode(codebook, &record, 0, &scratch, &wire, &error), ERR_LIMIT);
    scratch.limit = 1024; // and so has memory
    arena_finish(&scratch);
    assert_int_equal(record_encode(codebook, &record, 0, &scratch, &wire, &error), ERR_MEMORY);
    arena_finish(&scratch);
    buffer_finish(&wire);
    free(text);
}

static void order_is_by_date_then_recording_then_id(void **state)
{
    (void)state;
    struct record a = {.at = 5, .recorded_ms = 9, .id = {1}}, b = a;
    assert_int_equal(record_compare(&a, &b), 0);
    b.id[0] = 2;
    assert_true(record_compare(&a, &b) < 0);
    b.recorded_ms = 8;
    assert_true(record_compare(&a, &b) > 0);
    b.at = 6;
    assert_true(record_compare(&a, &b) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_comes_back),
        cmocka_unit_test(sections_hold_their_own_fields),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(sections_have_a_limit),
        cmocka_unit_test(order_is_by_date_then_recording_then_id),
    };
    return cmocka_run_group_tests(tests, codebook_setup, codebook_teardown);
}
