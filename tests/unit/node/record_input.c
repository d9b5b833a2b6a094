// Reading requests: shapes, names, places of errors.
#include "tests/unit/node/village.h"

#include <stdio.h>

#include "node/record_input.h"

static struct error error;

// Reads everything; the last record stays in `last`. Returns how many, or -1 with `error`.
static struct record_draft last;
static struct value last_values[FIELDS_MAX];
static char last_key[200], last_reason[700], last_unit[64];

static int read_all(const char *form, bool csv, const char *text)
{
    struct record_input input = {.form = form, .csv = csv, .data = bytes_of_text(text), .source = csv ? "a.csv" : "a.json"};
    const struct form *of = &codebook->forms[codebook_form(codebook, form)];
    struct record_reader reader;
    struct record_draft draft;
    struct arena arena = {0};
    int count = 0;
    error = (struct error){0};
    if (record_reader_init(&reader, &input, codebook, of, &arena, &error) == OK) {
        while (record_reader_next(&reader, &draft, &error)) {
            count++;
            last = draft;
            memcpy(last_values, draft.values, of->field_count * sizeof *draft.values);
            snprintf(last_key, sizeof last_key, "%s", draft.key ? draft.key : "-");
            snprintf(last_reason, sizeof last_reason, "%s", draft.reason ? draft.reason : "-");
            snprintf(last_unit, sizeof last_unit, "%s", draft.unit ? draft.unit : "-");
        }
    }
    enum error_code code = reader.code;
    record_reader_finish(&reader);
    arena_finish(&arena);
    assert_true(code == OK || error.detail[0]);
    return code == OK ? count : -1;
}

static void refused(const char *form, bool csv, const char *text, const char *message)
{
    assert_int_equal(read_all(form, csv, text), -1);
    assert_string_equal(error.detail, message);
}

static void three_shapes_of_json(void **state)
{
    (void)state;
    assert_int_equal(read_all("money", false, "{\"day\":\"2024-01-01\",\"amount\":5}"), 1);
    assert_int_equal(last_values[1].number, 5 * NUMBER_SCALE);
    assert_int_equal(read_all("money", false, "[{\"amount\":5},{\"amount\":6}]"), 2);
    assert_int_equal(read_all("money", false, "{\"records\":[{\"amount\":5},{\"amount\":6},{\"amount\":7}]}"), 3);
    assert_int_equal(last_values[1].number, 7 * NUMBER_SCALE);
    assert_int_equal(read_all("money", false, "[]"), 0);
    refused("money", false, "{\"records\":[],\"x\":1}", "a.json:1:12: records: expected a list of records, alone in its object");
    refused("money", false, "[5]", "a.json:1:2: a record is an object: {\"field\": value, ...}");
}

static void csv_rows(void **state)
{
    (void)state;
    assert_int_equal(read_all("file", true, "key,since,category,unit\r\n17,2024-01-01,orphan|disabled,H\r\n18,2024-01-02,,\r\n"), 2);
    assert_string_equal(last_key, "18");
    assert_string_equal(last_unit, "-");
    assert_int_equal(last_values[form_field(&codebook->forms[0], "category")].type, VALUE_NONE);
    assert_int_equal(read_all("file", true, "at,state\n2024-01-01,active\n"), 1); // the form's date by its common name
    assert_int_equal(last_values[0].date, day_of("2024-01-01"));
    refused("file", true, "since,colour\n",
            "a.csv:1:7: colour: form file has no such field; it has: since, name, birth, sex, category, state");
    refused("file", true, "since,at\n", "a.csv:1:7: at: field since has two columns");
    refused("file", true, "since,sex\n2024-01-01,f\n2024-01-01,x\n", "a.csv:3:12: sex: 'x' is not in list sex; expected one of: f, m");
}

static void places_of_json_errors(void **state)
{
    (void)state;
    refused("file", false, "{\"since\":\"2024-01-01\",\n \"colour\":\"red\"}",
            "a.json:2:11: colour: form file has no such field; it has: since, name, birth, sex, category, state");
    refused("file", false, "[{\"state\":\"active\"},\n\n {\"state\":\"gone\"}]",
            "a.json:3:11: state: 'gone' is not in list state; expected one of: active, left");
    refused("file", false, "{\"at\":\"2024-13-01\"}", "a.json:1:7: at: '2024-13-01' is not a date like 2023-05-02");
    refused("file", false, "{\"since\":\"2024-01-01\",\"at\":\"2024-01-01\"}", "a.json:1:28: at: field since is given twice");
    refused("file", false, "{\"unit\":5}", "a.json:1:9: unit: wrong type; expected text in quotes");
    refused("file", false, "{\"subject\":\"xy\"}", "a.json:1:12: subject: not an id of 32 hex digits");
}

static void withdrawals(void **state)
{
    (void)state;
    const char *id = "00112233445566778899aabbccddeeff";
    char text[800];
    snprintf(text, sizeof text, "{\"record\":\"%s\",\"void\":true,\"reason\":\"twice\"}", id);
    assert_int_equal(read_all("money", false, text), 1);
    assert_true(last.voided && last.has_record && last.record[15] == 0xFF);
    assert_string_equal(last_reason, "twice");
    assert_int_equal(read_all("kinds", false, text), 1); // a form with a field of that name
    assert_string_equal(last_reason, "twice");
    snprintf(text, sizeof text, "record,void,reason\n%s,yes,twice\n", id);
    assert_int_equal(read_all("money", true, text), 1);
    assert_true(last.voided);
    snprintf(text, sizeof text, "{\"record\":\"%s\",\"void\":true,\"reason\":\"twice\",\"amount\":5}", id);
    assert_int_equal(read_all("money", false, text), -1);
    assert_non_null(strstr(error.detail, "amount: a withdrawal has no values"));
    snprintf(text, sizeof text, "{\"record\":\"%s\",\"void\":true,\"reason\":\"%0*d\"}", id, RECORD_TEXT_MAX + 1, 0);
    assert_int_equal(read_all("kinds", false, text), -1);
    assert_non_null(strstr(error.detail, "reason: longer than 512 bytes"));
    snprintf(text, sizeof text, "{\"record\":\"%s\",\"void\":false,\"amount\":5}", id);
    assert_int_equal(read_all("money", false, text), 1);
    assert_false(last.voided);
    // not withdrawn: `reason` is the form's own field where it has one
    assert_int_equal(read_all("kinds", false, "{\"reason\":\"x\"}"), 1);
    assert_string_equal(last_reason, "-");
}

static void keys_may_be_numbers(void **state)
{
    (void)state;
    assert_int_equal(read_all("file", false, "{\"key\":17}"), 1);
    assert_string_equal(last_key, "17");
    refused("file", false, "{\"key\":1.5}", "a.json:1:8: key: wrong type; expected text in quotes");
    char text[200];
    snprintf(text, sizeof text, "{\"key\":\"%0*d\"}", SUBJECT_KEY_MAX + 1, 0);
    refused("file", false, text, "a.json:1:8: key: longer than 128 bytes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_shapes_of_json),  cmocka_unit_test(csv_rows),
        cmocka_unit_test(places_of_json_errors), cmocka_unit_test(withdrawals),
        cmocka_unit_test(keys_may_be_numbers),
    };
    return cmocka_run_group_tests(tests, codebook_setup, codebook_teardown);
}
