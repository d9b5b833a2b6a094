#include "tests/unit/node/office.h"

static const char tree[] = "code,name,tier,parent_code,valid_from\n"
                           "c,County,county,,\n"
                           "t1,Town 1,township,c,\n"
                           "v1,Village 1,village,t1,2015-01-01\n"
                           "t2,Town 2,township,c,\n";
// t2 went into t1, v0 is new before v1, and v1's code was given to another village.
static const char later[] = "code,name,tier,parent_code,valid_from\n"
                            "c,County,county,,\n"
                            "t1,Town 1,township,c,\n"
                            "v0,Village 0,village,t1,\n"
                            "v1,Village 1 (new),village,t1,2024-01-01\n";

static struct units *parse(const char *csv)
{
    struct units *units = NULL;
    struct error error = {0};
    assert_int_equal(units_parse(bytes_of_text(csv), "units.csv", &units, &error), OK);
    return units;
}

static uint32_t id_of(struct txn *txn, const struct units *units, const char *code)
{
    int32_t at = units_find(units, code);
    assert_true(at >= 0);
    return unit_id_find(txn, code, units->items[at].from);
}

static void numbers_stay_over_trees(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "c"); // numbers the first tree
    struct units *units = parse(later);
    office_begin(&office);
    struct txn *txn = office.desk.txn;
    static const char *const codes[] = {"c", "t1", "v1", "t2"};
    uint32_t before[4];
    for (uint32_t i = 0; i < 4; i++) {
        before[i] = id_of(txn, office.units, codes[i]);
        assert_int_equal(before[i], i + 1); // in the order of the tree
    }
    assert_int_equal(unit_id_find(txn, "v0", 0), UNIT_ID_NONE);
    assert_int_equal(unit_id_find(txn, "v1", 0), UNIT_ID_NONE); // of another time
    assert_int_equal(unit_id_find(txn, "", 0), UNIT_ID_NONE);
    unit_ids_assign(txn, units);
    unit_ids_assign(txn, units); // again: nothing
    unit_ids_assign(txn, office.units);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(id_of(txn, office.units, codes[i]), before[i]);
    assert_int_equal(id_of(txn, units, "c"), before[0]);
    assert_int_equal(id_of(txn, units, "v0"), 5);
    assert_int_equal(id_of(txn, units, "v1"), 6); // another unit than the old one of this code
    assert_int_equal(txn_count(txn, TABLE_UNITS), 6);
    office_commit(&office);
    units_destroy(units);
    office_close(&office);
}

static void codes_that_begin_alike_are_apart(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, "code,name,tier,parent_code\na,A,county,\naa,AA,township,a\naaa,AAA,village,aa\n", "a");
    struct txn *txn = office_read(&office);
    assert_int_equal(unit_id_find(txn, "a", 0), 1);
    assert_int_equal(unit_id_find(txn, "aa", 0), 2);
    assert_int_equal(unit_id_find(txn, "aaa", 0), 3);
    assert_int_equal(unit_id_find(txn, "aaaa", 0), UNIT_ID_NONE);
    txn_abort(txn);
    office_close(&office);
}

static void a_damaged_number_is_no_number(void **context)
{
    (void)context;
    struct office office;
    struct error error = {0};
    office_open(&office, tree, "c");
    office_begin(&office);
    struct cursor *cursor = cursor_open(office.desk.txn, TABLE_UNITS);
    assert_true(cursor_next(cursor));
    uint8_t key[64], value[64];
    size_t key_size = cursor_key(cursor).size, value_size = cursor_value(cursor).size;
    assert_true(key_size <= sizeof key && value_size <= sizeof value);
    memcpy(key, cursor_key(cursor).data, key_size);
    memcpy(value, cursor_value(cursor).data, value_size);
    cursor_close(cursor);
    value[3] ^= 1;
    txn_put(office.desk.txn, TABLE_UNITS, bytes_of(key, key_size), bytes_of(value, value_size));
    office_commit(&office);
    struct txn *txn = office_read(&office);
    assert_int_equal(unit_id_find(txn, "c", 0), UNIT_ID_NONE);
    assert_int_equal(txn_report(txn, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.detail, "units"));
    txn_abort(txn);
    office_close(&office);
}

static void a_station_speaks_for_its_own_and_below(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "t1");
    struct desk *desk = &office.desk;
    int32_t c = units_find(office.units, "c"), t1 = units_find(office.units, "t1"), v1 = units_find(office.units, "v1"),
            t2 = units_find(office.units, "t2");
    assert_true(desk_speaks_for(desk, t1));
    assert_true(desk_speaks_for(desk, v1));
    assert_false(desk_speaks_for(desk, c));
    assert_false(desk_speaks_for(desk, t2));
    assert_false(desk_speaks_for(desk, UNIT_NONE));
    assert_false(desk_speaks_for(desk, office.units->count));
    uint8_t delegated[4] = {0};
    delegated[v1] = 1; // has a station of its own
    desk->delegated = delegated;
    assert_true(desk_speaks_for(desk, t1));
    assert_false(desk_speaks_for(desk, v1));
    office_close(&office);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_stay_over_trees),
        cmocka_unit_test(codes_that_begin_alike_are_apart),
        cmocka_unit_test(a_damaged_number_is_no_number),
        cmocka_unit_test(a_station_speaks_for_its_own_and_below),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
