#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/units.h"
#include "relay/bytes.h"
#include "relay/language.h"

static const char tree[] = "code,name,tier,parent_code,valid_from,counted\r\n"
                           "V2,二村,village,T1,,\r\n" // children may stand before their parents
                           "C,\"县, 试点\",county,,,\r\n"
                           "T1,一镇,township,C,2017-01-01,true\r\n"
                           "T2,二镇,township,C,,\r\n"
                           "V1,一村,village,T1,,false\r\n"
                           "V3,三村,village,T2,,\r\n";

static struct units *parse(const char *text)
{
    struct units *units = NULL;
    struct error error = {0};
    if (units_parse(bytes_of_text(text), "u.csv", &units, &error) != OK)
        fail_msg("%s", error.detail);
    return units;
}

static void preorder(void **state)
{
    (void)state;
    struct units *units = parse(tree);
    static const struct {
        const char *code;
        int depth, parent, first_child, next_sibling, end;
    } want[] = {
        {"C", 0, UNIT_NONE, 1, UNIT_NONE, 6},  {"T1", 1, 0, 2, 4, 4},         {"V2", 2, 1, UNIT_NONE, 3, 3},
        {"V1", 2, 1, UNIT_NONE, UNIT_NONE, 4}, {"T2", 1, 0, 5, UNIT_NONE, 6}, {"V3", 2, 4, UNIT_NONE, UNIT_NONE, 6},
    };
    assert_int_equal(units->count, 6);
    for (int32_t i = 0; i < 6; i++) {
        const struct unit *unit = &units->items[i];
        assert_string_equal(unit->code, want[i].code);
        assert_int_equal(unit->depth, want[i].depth);
        assert_int_equal(unit->parent, want[i].parent);
        assert_int_equal(unit->first_child, want[i].first_child);
        assert_int_equal(unit->next_sibling, want[i].next_sibling);
        assert_int_equal(unit->subtree_end, want[i].end);
        assert_int_equal(units_find(units, want[i].code), i);
    }
    assert_string_equal(units->items[0].name, "县, 试点");
    assert_int_equal(units->items[1].from, 17167);
    assert_int_equal(units->items[0].from, 0);
    assert_false(units->items[3].counted);
    assert_true(units->items[2].counted);
    assert_int_equal(units->tier_count, 3);
    assert_int_equal(units_tier(units, "county"), 0);
    assert_int_equal(units_tier(units, "village"), 2);
    assert_int_equal(units_tier(units, "province"), -1);
    assert_int_equal(units_find(units, "V"), UNIT_NONE);
    assert_int_equal(units_find(units, "V4"), UNIT_NONE);
    assert_true(units_within(units, 3, 1));
    assert_true(units_within(units, 1, 1));
    assert_false(units_within(units, 5, 1));
    assert_false(units_within(units, 0, 1));
    units_destroy(units);
    units_destroy(NULL);
}

static void the_hash_is_of_the_bytes(void **state)
{
    (void)state;
    struct units *a = parse("code,name,tier,parent_code\nC,x,county,\n"), *b = parse("code,name,tier,parent_code\r\nC,x,county,\r\n"),
                 *c = parse("code,name,tier,parent_code\nC,x,county,\n");
    assert_false(hash_equal(&a->hash, &b->hash));
    assert_true(hash_equal(&a->hash, &c->hash));
    units_destroy(a);
    units_destroy(b);
    units_destroy(c);
}

#define HEAD "code,name,tier,parent_code\n"

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *detail;
    } cases[] = {
        {"", "u:1:1: the file is empty; a row of column names is needed"},
        {"code,name,tier\n", "u:1: column parent_code is missing"},
        {"code,name,tier,parent_code,size\n", "u:1:28: size: unknown column; there are code, name, tier, parent_code, valid_from, counted"},
        {HEAD, "u: no root: one unit must have an empty parent_code"},
        {HEAD "C,x,county\n", "u:2:1: 3 fields, but the first row has 4"},
        {HEAD "C,\"x,county,\n", "u:2:3: this quote is never closed"},
        {HEAD "C,x\xFF,county,\n", "u:2:4: not UTF-8: save the file as UTF-8"},
        {HEAD ",x,county,\n", "u:2:1: code: a code has 1 to 32 letters, digits, dots, dashes or underscores"},
        {HEAD "a/b,x,county,\n", "u:2:1: code: a code has 1 to 32 letters, digits, dots, dashes or underscores"},
        {HEAD "123456789012345678901234567890123,x,county,\n",
         "u:2:1: code: a code has 1 to 32 letters, digits, dots, dashes or underscores"},
        {HEAD "C,,county,\n", "u:2:3: name: a name has 1 to 128 bytes and no control characters or direction marks"},
        {HEAD "C,x\ty,county,\n", "u:2:3: name: a name has 1 to 128 bytes and no control characters or direction marks"},
        {HEAD "C,x\xE2\x80\xAEy,county,\n", "u:2:3: name: a name has 1 to 128 bytes and no control characters or direction marks"},
        {HEAD "C,x,County,\n", "u:2:5: tier: a tier is 1 to 32 small letters, digits and underscores, a letter first"},
        {HEAD "C,x,county,\nT,y,township,D\n", "u:3: parent_code: no unit has the code D"},
        {HEAD "C,x,county,\nT,y,township,C\nT,z,township,C\n", "u:4: code: T is already in line 3"},
        {HEAD "C,x,county,\nD,y,county,\n", "u:3: parent_code: a second root: line 2 has no parent either"},
        {HEAD "C,x,county,C\n", "u: no root: one unit must have an empty parent_code"},
        {HEAD "C,x,county,\nA,x,t,B\nB,x,t,A\n", "u:3: parent_code: a loop: A lies below itself"},
        {HEAD "C,x,county,\nA,x,t,A\nB,x,t,A\n", "u:3: parent_code: a loop: A lies below itself"},
        {"code,name,tier,parent_code,counted\nC,x,county,,yes\n", "u:2:13: counted: write true or false"},
        {"code,name,tier,parent_code,valid_from\nC,x,county,,2023\n",
         "u:2:13: valid_from: not a date from 1970-01-01 on; write 2023-01-31, or leave it empty for since ever"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct units *units = NULL;
        struct error error = {0};
        assert_int_equal(units_parse(bytes_of_text(cases[i].text), "u", &units, &error), ERR_INPUT);
        assert_null(units);
        assert_string_equal(error.detail, cases[i].detail);
    }
}

// Depth 16 is the last that fits; so are 16 tiers.
static void limits_of_depth_and_tiers(void **state)
{
    (void)state;
    for (int same_tier = 0; same_tier < 2; same_tier++)
        for (int depth = DEPTH_MAX; depth <= DEPTH_MAX + 1; depth++) {
            char text[2048];
            int n = snprintf(text, sizeof text, HEAD);
            for (int i = 0; i < depth; i++) {
                char parent[8] = "";
                if (i)
                    snprintf(parent, sizeof parent, "u%d", i - 1);
                n += snprintf(text + n, sizeof text - (size_t)n, "u%d,x,t%d,%s\n", i, same_tier ? 0 : i, parent);
            }
            struct units *units = NULL;
            struct error error;
            enum error_code code = units_parse(bytes_of_text(text), "u", &units, &error);
            assert_int_equal(code, depth == DEPTH_MAX ? OK : ERR_INPUT);
            if (code != OK)
                assert_string_equal(error.detail, "u:18: parent_code: deeper than 16 tiers");
            units_destroy(units);
        }
    char text[2048];
    int n = snprintf(text, sizeof text, HEAD "r,x,t,\n");
    for (int i = 0; i < DEPTH_MAX; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "u%d,x,t%d,r\n", i, i);
    struct units *units = NULL;
    struct error error;
    assert_int_equal(units_parse(bytes_of_text(text), "u", &units, &error), ERR_INPUT);
    assert_string_equal(error.detail, "u:18: tier: more than 16 tiers");
}

static void a_state_of_50_000_units(void **state)
{
    (void)state;
    struct buffer text = {0};
    buffer_append(&text, HEAD, strlen(HEAD));
    for (int i = 0; i < UNITS_MAX; i++) {
        char line[64], parent[16] = "";
        if (i)
            snprintf(parent, sizeof parent, "%d", (i - 1) / 40);
        int n = snprintf(line, sizeof line, "%d,单位 %d,tier,%s\n", i, i, parent);
        buffer_append(&text, line, (size_t)n);
    }
    struct units *units = NULL;
    assert_int_equal(units_parse(buffer_bytes(&text), "u", &units, NULL), OK);
    assert_int_equal(units->count, UNITS_MAX);
    for (int32_t i = 0; i < units->count; i++) {
        assert_int_equal(units_find(units, units->items[i].code), i);
        int number = atoi(units->items[i].code);
        if (number)
            assert_int_equal(atoi(units->items[units->items[i].parent].code), (number - 1) / 40);
    }
    units_destroy(units);
    buffer_append(&text, "x,x,tier,0\n", 11);
    struct error error;
    units = NULL;
    assert_int_equal(units_parse(buffer_bytes(&text), "u", &units, &error), ERR_LIMIT);
    assert_string_equal(error.detail, "u:50002: more than 50000 units");
    assert_int_equal(units_parse(bytes_of(text.data, (size_t)DOCUMENT_MAX + 1), "u", &units, &error),
                     ERR_LIMIT); // only the size is looked at
    buffer_finish(&text);
}

static void speaks_chinese(void **state)
{
    (void)state;
    struct units *units = NULL;
    struct error error;
    language_set(LANGUAGE_ZH);
    assert_int_equal(units_parse(bytes_of_text(HEAD "C,x,county,\nT,y,township,D\n"), "u", &units, &error), ERR_INPUT);
    assert_string_equal(error.detail, "u:3: parent_code: 没有代码为 D 的单位");
    language_set(LANGUAGE_EN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(preorder),
        cmocka_unit_test(the_hash_is_of_the_bytes),
        cmocka_unit_test(refuses),
        cmocka_unit_test(limits_of_depth_and_tiers),
        cmocka_unit_test(a_state_of_50_000_units),
        cmocka_unit_test(speaks_chinese),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
