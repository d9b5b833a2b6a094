#include "tests/unit/node/office.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/import.h"
#include "node/ledger_rows.h"
#include "record.pb-c.h"

static const char tree[] = "code,name,tier,parent_code\n"
                           "c,County,county,\n"
                           "t1,Town 1,township,c\n"
                           "v1,Village 1,village,t1\n"
                           "v2,Village 2,village,t1\n"
                           "t2,Town 2,township,c\n";
enum { MAY = 2024 * 12 + 4 };

struct result {
    enum error_code code;
    uint64_t values, unchanged, statements;
    struct error error;
};

static struct result import(struct office *office, bool csv, const char *text, bool check_only)
{
    struct result result = {.values = 77, .unchanged = 77};
    office_begin(office);
    result.code = import_submit(&office->desk, csv, bytes_of_text(text), csv ? "file.csv" : "file.json", check_only, &result.values,
                                &result.unchanged, &result.error);
    result.statements = office_commit(office);
    return result;
}

static void refuse(struct office *office, bool csv, const char *text, enum error_code code, const char *place, const char *why)
{
    struct result result = import(office, csv, text, false);
    assert_int_equal(result.code, code);
    assert_int_equal(result.statements, 0); // nothing of it
    assert_int_equal(result.values, 77);    // untouched
    if (strncmp(result.error.detail, place, strlen(place)) != 0 || !strstr(result.error.detail, why))
        fail_msg("'%s' does not say '%s' at '%s'", result.error.detail, why, place);
}

static int64_t year_of(struct office *office, int indicator, const char *unit, int32_t year, bool below)
{
    return office_sum(office, indicator, unit, YEAR_TYPE, year, below);
}

static void csv_is_read_whole(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "c");
    static const char text[] = "indicator,unit,period,category,value\r\n"
                               "population,t1,2023,,5000\r\n"
                               "population,t2,2023,,-1\r\n"
                               "beds,v1,2024-05,orphan,3\r\n"
                               "beds,v1,202405,,4\r\n"
                               "beds,v1,2024,disabled,0\r\n"
                               "quota,t2,2025,,9\r\n";
    struct result result = import(&office, true, text, true); // check only
    assert_int_equal(result.code, OK);
    assert_int_equal(result.values, 6);
    assert_int_equal(result.statements, 0);
    result = import(&office, true, text, false);
    assert_int_equal(result.code, OK);
    assert_int_equal(result.values, 6);
    assert_int_equal(result.unchanged, 0);
    assert_int_equal(result.statements, 5); // one a group
    assert_int_equal(year_of(&office, POPULATION, "t1", 2023, false), 5000);
    assert_int_equal(year_of(&office, POPULATION, "c", 2023, true), 4999);
    assert_int_equal(year_of(&office, QUOTA, "t2", 2025, false), 9);
    struct txn *txn = office_read(&office);
    struct group_key beds = office_group(&office, txn, BEDS, "v1", MONTH_TYPE, MAY),
                     zero = office_group(&office, txn, BEDS, "v1", YEAR_TYPE, 2024);
    struct group_state state;
    assert_true(group_read(txn, &zero, &state)); // a zero that somebody entered
    assert_int_equal(state.basis, SANJI__BASIS__IMPORTED);
    txn_abort(txn);
    assert_int_equal(office_value(&office, &beds, false, 2), 3);
    assert_int_equal(office_value(&office, &beds, false, 1), 4);
    result = import(&office, true, text, false);
    assert_int_equal(result.unchanged, 6);
    assert_int_equal(result.statements, 0);
    result = import(&office, true, "value,period,unit,indicator,category\n7,2024-05,v1,beds,orphan\n4,2024-05,v1,beds,\n", false);
    assert_int_equal(result.code, OK);
    assert_int_equal(result.values, 2);
    assert_int_equal(result.unchanged, 1);
    assert_int_equal(result.statements, 1);
    assert_int_equal(office_value(&office, &beds, false, 2), 7);
    office_check_below(&office);
    office_close(&office);
}

static void json_of_dhis2_is_read_whole(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "c");
    struct result result =
        import(&office, false,
               "{\"dataSet\":\"x\",\"period\":\"2024\",\"orgUnit\":\"t1\",\"dataValues\":["
               "{\"dataElement\":\"population\",\"value\":\"12\",\"storedBy\":\"me\"},"
               "{\"dataElement\":\"population\",\"orgUnit\":\"t2\",\"value\":30,\"categoryOptionCombo\":\"default\"},"
               "{\"dataElement\":\"beds\",\"orgUnit\":\"v1\",\"period\":\"202405\",\"categoryOptionCombo\":\"orphan\",\"value\":\"-5\"},"
               "{\"dataElement\":\"beds\",\"orgUnit\":\"v1\",\"categoryOptionCombo\":\"default\",\"value\":\"8\",\"deleted\":false}]}",
               false);
    if (result.code)
        fail_msg("%s", result.error.detail);
    assert_int_equal(result.values, 4);
    assert_int_equal(result.statements, 4);
    assert_int_equal(year_of(&office, POPULATION, "c", 2024, true), 42);
    assert_int_equal(office_sum(&office, BEDS, "v1", MONTH_TYPE, MAY, false), -5);
    assert_int_equal(year_of(&office, BEDS, "v1", 2024, false), 8);
    office_close(&office);
}

#define HEAD "unit,period,indicator,category,value\n"

static void csv_faults_name_line_and_column(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "c");
    uint8_t delegated[5] = {0, 0, 1, 0, 0}; // v1 has its own station
    office.desk.delegated = delegated;
    static const struct {
        const char *row;
        enum error_code code;
        const char *place, *why;
    } cases[] = {
        {"t1,2024,nothing,,1", ERR_NOT_FOUND, "file.csv:3:9: indicator", "nothing"},
        {"t1,2024-05,visits,,1", ERR_REFUSED, "file.csv:3:12: indicator", "restatement"},
        {"t1,2024-05,share,,1", ERR_REFUSED, "file.csv:3:12: indicator", "parts"},
        {"x,2024,population,,1", ERR_NOT_FOUND, "file.csv:3:1: unit", "not in the unit tree"},
        {"v2,2024,population,,1", ERR_REFUSED, "file.csv:3:1: unit", "tier township"}, // T22
        {"v1,2024,beds,,1", ERR_REFUSED, "file.csv:3:1: unit", "station of its own"},
        {"t1,2024-13,population,,1", ERR_INPUT, "file.csv:3:4: period", "no period"},
        {"t1,2024-05,population,,1", ERR_REFUSED, "file.csv:3:4: period", "no values of its own"},
        {"t1,2025,population,,1", ERR_REFUSED, "file.csv:3:4: period", "future"}, // T27
        {"t1,2026,quota,,1", ERR_REFUSED, "file.csv:3:4: period", "future"},
        {"v2,2024-07,beds,,1", ERR_REFUSED, "file.csv:3:4: period", "future"},
        {"v2,2024,beds,red,1", ERR_NOT_FOUND, "file.csv:3:14: category", "no member red"},
        {"v2,2024,beds,*,1", ERR_REFUSED, "file.csv:3:14: category", "sum of its members"},
        {"t1,2024,population,orphan,1", ERR_INPUT, "file.csv:3:20: category", "leave it empty"},
        {"t1,2024,population,,", ERR_INPUT, "file.csv:3:21: value", "no whole number"},
        {"t1,2024,population,,1.5", ERR_INPUT, "file.csv:3:21: value", "no whole number"},
        {"t1,2024,population,,+1", ERR_INPUT, "file.csv:3:21: value", "no whole number"},
        {"t1,2024,population,, 1", ERR_INPUT, "file.csv:3:21: value", "no whole number"},
        {"t1,2024,population,,-", ERR_INPUT, "file.csv:3:21: value", "no whole number"},
        {"t1,2024,population,,9223372036854775808", ERR_INPUT, "file.csv:3:21: value", "no whole number"},
        {"t1,2024,population,,-9223372036854775809", ERR_INPUT, "file.csv:3:21: value", "no whole number"},
        {"t1,2023,population,,2", ERR_INPUT, "file.csv:3:", "line 2"}, // twice
        {"t1,2024,population", ERR_INPUT, "file.csv:3:", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        snprintf(text, sizeof text, HEAD "t1,2023,population,,1\n%s\n", cases[i].row);
        refuse(&office, true, text, cases[i].code, cases[i].place, cases[i].why);
    }
    refuse(&office, true, "unit,period,indicator\n", ERR_INPUT, "file.csv:1:", "value");
    refuse(&office, true, "unit,period,indicator,value,colour\n", ERR_INPUT, "file.csv:1:29: colour", "dimension");
    refuse(&office, true, "", ERR_INPUT, "file.csv", "");
    struct result result =
        import(&office, true, HEAD "t1,2024,population,,9223372036854775807\nt2,2024,population,,-9223372036854775808\n", false);
    assert_int_equal(result.code, OK);
    assert_int_equal(year_of(&office, POPULATION, "t1", 2024, false), INT64_MAX);
    assert_int_equal(year_of(&office, POPULATION, "t2", 2024, false), INT64_MIN);
    office_close(&office);
}

static void json_faults_name_line_and_column(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "c");
    static const struct {
        const char *value;
        enum error_code code;
        const char *why;
    } cases[] = {
        {"{\"dataElement\":\"visits\",\"value\":\"1\"}", ERR_REFUSED, "restatement"},
        {"{\"value\":\"1\"}", ERR_INPUT, "dataElement is missing"},
        {"{\"dataElement\":5,\"value\":\"1\"}", ERR_INPUT, "text"},
        {"{\"dataElement\":\"population\"}", ERR_INPUT, "value"},
        {"{\"dataElement\":\"population\",\"value\":1.5}", ERR_INPUT, "whole"},
        {"{\"dataElement\":\"population\",\"value\":\"1.5\"}", ERR_INPUT, "whole"},
        {"{\"dataElement\":\"population\",\"value\":\"1\",\"deleted\":true}", ERR_REFUSED, "deletions"},
        {"{\"dataElement\":\"population\",\"value\":\"1\",\"colour\":1}", ERR_INPUT, "unknown"},
        {"{\"dataElement\":\"population\",\"value\":\"1\",\"attributeOptionCombo\":\"x\"}", ERR_REFUSED, "default"},
        {"{\"dataElement\":\"population\",\"value\":\"1\",\"categoryOptionCombo\":\"orphan\"}", ERR_INPUT, "0 dimensions"},
        {"{\"dataElement\":\"beds\",\"value\":\"1\",\"categoryOptionCombo\":\"orphan.f\"}", ERR_INPUT, "1 dimensions"},
        {"{\"dataElement\":\"beds\",\"value\":\"1\",\"categoryOptionCombo\":\"red\"}", ERR_NOT_FOUND, "red"},
        {"{\"dataElement\":\"population\",\"value\":\"1\",\"orgUnit\":\"zz\"}", ERR_NOT_FOUND, "zz"},
        {"{\"dataElement\":\"population\",\"value\":\"1\",\"period\":\"2099\"}", ERR_REFUSED, "future"},
        {"{\"dataElement\":\"population\",\"value\":\"2\",\"period\":\"2022\"}", ERR_INPUT,
         "dataValues[1] is the same value as dataValues[0]"},
        {"7", ERR_INPUT, "object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text,
                 "{\"orgUnit\":\"t1\",\"period\":\"2024\",\"dataValues\":[\n{\"dataElement\":\"population\",\"value\":\"1\",\"period\":"
                 "\"2022\"},\n%s]}",
                 cases[i].value);
        refuse(&office, false, text, cases[i].code, "file.json:3:", cases[i].why);
    }
    refuse(&office, false, "{\"dataValues\":5}", ERR_INPUT, "file.json:1:", "dataValues");
    refuse(&office, false, "{\"values\":[]}", ERR_INPUT, "file.json:1:", "unknown");
    refuse(&office, false, "{", ERR_INPUT, "file.json:1:", "");
    refuse(&office, false, "{\"dataValues\":[\n{\"dataElement\":\"population\",\"value\":\"1\"}]}", ERR_INPUT,
           "file.json:2:", "orgUnit is missing");
    office_close(&office);
}

static void who_may_state_is_respected(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "t1");
    refuse(&office, true, HEAD "t1,2024,quota,,1\n", ERR_REFUSED, "file.csv:2:1: unit", "stated by tier county");
    refuse(&office, true, HEAD "t2,2024,population,,1\n", ERR_REFUSED, "file.csv:2:1: unit", "below this station");
    office.self.from_period = MAY;
    refuse(&office, true, HEAD "v1,2024-04,beds,,1\n", ERR_REFUSED, "file.csv:2:4: period", "term");
    assert_int_equal(import(&office, true, HEAD "v1,2024-05,beds,,1\nv1,2024,beds,,1\n", false).code, OK);
    const struct codebook *codebook = office.desk.codebook;
    office.desk.codebook = NULL;
    assert_int_equal(import(&office, true, HEAD, false).code, ERR_STATE);
    office.desk.codebook = codebook;
    assert_int_equal(import(&office, true, HEAD, false).values, 0); // a header alone
    office_close(&office);
}

static void the_county_states_a_quota_for_a_town_with_its_own_station(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "c");
    uint8_t delegated[5] = {0, 1, 1, 1, 0}; // t1 speaks for itself and its villages
    office.desk.delegated = delegated;
    refuse(&office, true, HEAD "t1,2024,population,,1\n", ERR_REFUSED, "file.csv:2:1: unit", "station of its own");
    assert_int_equal(import(&office, true, HEAD "t1,2024,quota,,3\n", false).code, OK);
    assert_int_equal(year_of(&office, QUOTA, "t1", 2024, false), 3);
    office_close(&office);
}

// 40,000 leaves under 200 towns under 10 prefectures: every level's sum equals an independent one.
static void a_large_tree_adds_up_at_every_level(void **context)
{
    (void)context;
    enum { TOPS = 10, TOWNS = 200, LEAVES = 40000 };
    struct buffer csv = {0}, values = {0};
    char line[96];
    static int64_t tops[TOPS], towns[TOWNS];
    int64_t all = 0;
#define PUT(buffer, ...) buffer_append(&(buffer), line, (size_t)snprintf(line, sizeof line, __VA_ARGS__))
    PUT(csv, "code,name,tier,parent_code\nroot,Root,state,\n");
    PUT(values, "unit,period,indicator,value\n");
    for (int i = 0; i < TOPS; i++)
        PUT(csv, "p%d,P,county,root\n", i);
    for (int i = 0; i < TOWNS; i++)
        PUT(csv, "t%d,T,township,p%d\n", i, i % TOPS);
    uint32_t random = 99;
    for (int i = 0; i < LEAVES; i++) {
        random = random * 1103515245 + 12345;
        int64_t value = (int64_t)(random >> 8) - 5000000;
        PUT(csv, "v%d,V,village,t%d\n", i, i % TOWNS);
        PUT(values, "v%d,2023,beds,%lld\n", i, (long long)value);
        towns[i % TOWNS] += value;
        tops[i % TOWNS % TOPS] += value;
        all += value;
    }
    buffer_append(&csv, "", 1);
    buffer_append(&values, "", 1);
    struct office office;
    office_open(&office, (const char *)csv.data, "root");
    struct result result = import(&office, true, (const char *)values.data, false);
    if (result.code)
        fail_msg("%s", result.error.detail);
    assert_int_equal(result.values, LEAVES);
    assert_int_equal(result.statements, LEAVES);
    assert_int_equal(year_of(&office, BEDS, "root", 2023, true), all);
    for (int i = 0; i < TOPS; i++) {
        snprintf(line, sizeof line, "p%d", i);
        assert_int_equal(year_of(&office, BEDS, line, 2023, true), tops[i]);
    }
    for (int i = 0; i < TOWNS; i++) {
        snprintf(line, sizeof line, "t%d", i);
        assert_int_equal(year_of(&office, BEDS, line, 2023, true), towns[i]);
    }
    struct txn *txn = office_read(&office);
    struct group_key root = office_group(&office, txn, BEDS, "root", YEAR_TYPE, 2023);
    assert_int_equal(group_stated_below(txn, &root), LEAVES);
    txn_abort(txn);
    office_close(&office);
    buffer_finish(&csv);
    buffer_finish(&values);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(csv_is_read_whole),
        cmocka_unit_test(json_of_dhis2_is_read_whole),
        cmocka_unit_test(csv_faults_name_line_and_column),
        cmocka_unit_test(json_faults_name_line_and_column),
        cmocka_unit_test(who_may_state_is_respected),
        cmocka_unit_test(the_county_states_a_quota_for_a_town_with_its_own_station),
        cmocka_unit_test(a_large_tree_adds_up_at_every_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
