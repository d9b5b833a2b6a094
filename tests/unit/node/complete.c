#include "tests/unit/node/office.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/complete.h"
#include "node/ledger_rows.h"
#include "record.pb-c.h"

static const char tree[] = "code,name,tier,parent_code,counted\n"
                           "c,County,county,,true\n"
                           "t1,Town 1,township,c,true\n"
                           "v1,Village 1,village,t1,true\n"
                           "v2,Village 2,village,t1,true\n"
                           "f,Farm,village,t1,false\n";
enum { MAY = 2024 * 12 + 4, JUNE = MAY + 1, APRIL = MAY - 1 };

static bool row_of(struct office *office, const char *unit, struct complete_row *ret)
{
    struct txn *txn = office_read(office);
    bool known = complete_row_read(txn, unit_id_find(txn, unit, 0), MONTH_TYPE, ret);
    txn_abort(txn);
    return known;
}

static uint32_t sign(struct office *office)
{
    office_begin(office);
    ledger_state(office->ledger, &office->desk);
    uint32_t count = complete_sign(&office->desk);
    office_commit(office);
    return count;
}

static void every_counted_unit_is_complete_once(void **context)
{
    (void)context;
    struct office office;
    struct complete_row row;
    office_open(&office, tree, "t1");       // on 15 June
    uint8_t delegated[5] = {0, 0, 1, 0, 0}; // v1 has a station of its own
    office.desk.delegated = delegated;
    assert_int_equal(sign(&office), 2);
    assert_true(row_of(&office, "t1", &row));
    assert_int_equal(row.through, MAY);
    assert_int_equal(row.head, 0);
    assert_int_equal(row.term, 10);
    assert_true(row_of(&office, "v2", &row));
    assert_false(row_of(&office, "v1", &row));
    assert_false(row_of(&office, "f", &row));
    assert_false(row_of(&office, "c", &row));
    assert_int_equal(sign(&office), 0);
    office.now_ms += UINT64_C(86400000) * 20; // July
    assert_int_equal(sign(&office), 2);
    assert_true(row_of(&office, "v2", &row));
    assert_int_equal(row.through, JUNE);
    office_close(&office);
}

static void the_month_ends_where_the_codebook_is(void **context) // T17
{
    (void)context;
    struct office office;
    struct complete_row row;
    office_open(&office, tree, "v1");
    office.now_ms = UINT64_C(1719763199000); // 2024-06-30T23:59:59+08:00
    assert_int_equal(sign(&office), 1);
    assert_true(row_of(&office, "v1", &row));
    assert_int_equal(row.through, MAY);
    office.now_ms += 1000; // 2024-07-01T00:00+08:00
    assert_int_equal(sign(&office), 1);
    assert_true(row_of(&office, "v1", &row));
    assert_int_equal(row.through, JUNE);
    office_close(&office);
}

static void a_late_statement_is_followed_by_a_new_word(void **context)
{
    (void)context;
    struct office office;
    struct complete_row row;
    office_open(&office, tree, "v1");
    assert_int_equal(sign(&office), 1); // sequence 1
    struct txn *txn = office_read(&office);
    struct group_key april = office_group(&office, txn, VISITS, "v1", MONTH_TYPE, APRIL),
                     june = office_group(&office, txn, VISITS, "v1", MONTH_TYPE, JUNE);
    txn_abort(txn);
    office_begin(&office);
    ledger_add(office.ledger, &office.desk, &june, "v1", 2, 1); // sequence 2, of a month that is still open
    office_commit(&office);
    assert_int_equal(sign(&office), 0);
    office_begin(&office);
    ledger_add(office.ledger, &office.desk, &april, "v1", 2, 1); // sequence 3, late
    office_commit(&office);
    assert_true(row_of(&office, "v1", &row));
    assert_int_equal(row.touched, 3);
    assert_int_equal(sign(&office), 1); // sequence 4
    assert_true(row_of(&office, "v1", &row));
    assert_int_equal(row.head, 3);
    assert_int_equal(row.sequence, 4);
    assert_int_equal(row.touched, 0);
    office_begin(&office);
    ledger_add(office.ledger, &office.desk, &april, "v1", 2, 1);
    ledger_state(office.ledger, &office.desk);
    assert_int_equal(complete_sign(&office.desk), 1); // in one transaction
    office_commit(&office);
    assert_int_equal(sign(&office), 0);
    office_close(&office);
}

static void a_higher_word_stands(void **context)
{
    (void)context;
    struct office office;
    struct mate later, earlier;
    struct complete_row row;
    office_open(&office, tree, "t1");
    mate_open(&later, &office, "v1", 20, 1);
    mate_open(&earlier, &office, "v2", 9, 1);
    office_begin(&office);
    mate_complete(&later, &office, "v1", APRIL);
    mate_complete(&earlier, &office, "v2", MAY);
    mate_send(&later, &office);
    mate_send(&earlier, &office);
    office_commit(&office);
    assert_int_equal(sign(&office), 2); // t1, and v2, whose station is a former one
    assert_true(row_of(&office, "v1", &row));
    assert_int_equal(row.through, APRIL);
    assert_true(row_of(&office, "v2", &row));
    assert_int_equal(row.term, 10);
    assert_int_equal(sign(&office), 0);
    mate_close(&later);
    mate_close(&earlier);
    office_close(&office);
}

static void nothing_is_owed_before_there_is_a_codebook_or_a_term(void **context)
{
    (void)context;
    struct office office;
    office_open(&office, tree, "v1");
    const struct codebook *codebook = office.desk.codebook;
    office.desk.codebook = NULL;
    assert_int_equal(sign(&office), 0);
    office.desk.codebook = codebook;
    office.self.from_period = JUNE; // began this month
    assert_int_equal(sign(&office), 0);
    office.self.from_period = MAY;
    assert_int_equal(sign(&office), 1);
    office_close(&office);
}

static void many_units_take_several_calls(void **context)
{
    (void)context;
    enum { VILLAGES = COMPLETE_SIGN_MAX + 10 };
    char *csv = malloc(64 + VILLAGES * 32);
    size_t at = (size_t)sprintf(csv, "code,name,tier,parent_code\nt,T,township,\n");
    for (int i = 0; i < VILLAGES; i++)
        at += (size_t)sprintf(csv + at, "v%d,V,village,t\n", i);
    struct office office;
    office_open(&office, csv, "t");
    assert_int_equal(sign(&office), COMPLETE_SIGN_MAX);
    assert_int_equal(sign(&office), 11);
    assert_int_equal(sign(&office), 0);
    office_close(&office);
    free(csv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counted_unit_is_complete_once),
        cmocka_unit_test(the_month_ends_where_the_codebook_is),
        cmocka_unit_test(a_late_statement_is_followed_by_a_new_word),
        cmocka_unit_test(a_higher_word_stands),
        cmocka_unit_test(nothing_is_owed_before_there_is_a_codebook_or_a_term),
        cmocka_unit_test(many_units_take_several_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
