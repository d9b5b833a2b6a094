#include "node/codebook/raw.h"
#include "tests/unit/node/codebook/fixture.h"

static enum error_code load(const char *yaml, struct raw **ret, struct error *error)
{
    struct prepass *places = NULL;
    enum error_code code = prepass_read(bytes_of_text(yaml), "f.yaml", &places, error);
    if (code == OK)
        code = raw_load(bytes_of_text(yaml), places, "f.yaml", ret, error);
    prepass_destroy(places);
    return code;
}

static void texts_as_they_stand(void **state)
{
    (void)state;
    struct raw *raw = NULL;
    assert_int_equal(
        load("codebook: {id: x, version: 010, grammar: 12x}\nlists:\n  - id: a\n    items: [{id: ~, set: [p=1, q=2]}, {id: b}]\n", &raw,
             NULL),
        OK);
    assert_string_equal(raw->codebook->version, "010"); // not 8
    assert_string_equal(raw->codebook->grammar, "12x"); // not 12
    assert_null(raw->codebook->tz);
    assert_int_equal(raw->lists_count, 1);
    assert_int_equal(raw->lists[0].items_count, 2);
    assert_string_equal(raw->lists[0].items[0].id, "~");
    assert_int_equal(raw->lists[0].items[0].set_count, 2);
    assert_string_equal(raw->lists[0].items[0].set[1], "q=2");
    assert_int_equal(raw->lists[0].items[1].set_count, 0);
    assert_int_equal(raw->forms_count, 0);
    raw_destroy(raw);
    raw_destroy(NULL);
}

static void shape(void **state)
{
    (void)state;
    static const struct {
        const char *yaml, *message;
    } bad[] = {
        {"colour: x\n", "f.yaml:1:1: colour: unknown key 'colour'; expected one of: codebook, roles, lists, registers, forms, indicators"},
        {"codebook: {id: x, versoin: 3}\n",
         "f.yaml:1:19: codebook.versoin: unknown key 'versoin'; expected one of: id, version, grammar, tz, base, tiers, zh, en"},
        {"duties: []\n", "f.yaml:1:1: duties: unknown key 'duties'"},
        {"lists:\n  - id: a\n    items:\n      - {id: b}\n      - {id: c, colr: x}\n",
         "f.yaml:5:17: lists[0].items[1].colr: unknown key 'colr'; expected one of: id, zh, en, set, until, becomes"},
        {"forms:\n  - id: a\n    fields: [{id: x, kep: y}]\n",
         "f.yaml:3:22: forms[0].fields[0].kep: unknown key 'kep'; expected one of: id, type, of, many, max, section, keep"},
        {"indicators: [{id: a, on: [x]}]\n", "f.yaml:1:22: indicators[0].on: unknown key 'on'; expected one of: id, kind, of, where"},
        {"indicators:\n  - {id: a, by: x}\n", "f.yaml:2:17: indicators[0].by: expected a sequence here, not a text"},
        {"lists:\n  - id: [a]\n", "f.yaml:2:9: lists[0].id: expected a text here, not a sequence"},
        {"lists:\n  - x\n", "f.yaml:2:5: lists[0]: expected a mapping here, not a text"},
        {"roles: {id: x}\n", "f.yaml:1:8: roles: expected a sequence here, not a mapping"},
        {"- a\n", "f.yaml:1:1: expected a mapping here, not a sequence"},
        {"codebook: x\n", "f.yaml:1:11: codebook: expected a mapping here, not a text"},
        {"indicators:\n  - {id: a, by: [[x]]}\n", "f.yaml:2:18: indicators[0].by[0]: expected a text here, not a sequence"},
        {"lists:\n", "lists: expected a sequence here, not a text"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct raw *raw = NULL;
        struct error error = {0};
        assert_int_equal(load(bad[i].yaml, &raw, &error), ERR_INPUT);
        assert_null(raw);
        if (!strstr(error.detail, bad[i].message))
            fail_msg("%s\n  gives   %s\n  not     %s", bad[i].yaml, error.detail, bad[i].message);
    }
    struct raw *raw = NULL;
    struct error error = {0};
    language_set(LANGUAGE_ZH);
    assert_int_equal(load("lists:\n  - {id: a, x: b}\n", &raw, &error), ERR_INPUT);
    language_set(LANGUAGE_EN);
    assert_non_null(strstr(error.detail, "f.yaml:2:13: lists[0].x：未知的键 'x'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(texts_as_they_stand), cmocka_unit_test(shape)};
    return cmocka_run_group_tests(tests, fixture_setup, NULL);
}
