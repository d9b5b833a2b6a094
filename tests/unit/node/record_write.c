// Writing a request: few batches, grants before what they open, and nothing written when something is wrong beforehand.
#include "tests/unit/node/village.h"

#include <stdio.h>

#include "envelope.pb-c.h"
#include "node/subjects.h"

struct order {
    unsigned grants, records, grants_after;
};

static void look(void *context, uint32_t reach, uint32_t kind, bool sealed, struct bytes content, const struct key_id *key)
{
    struct order *order = context;
    (void)reach, (void)sealed, (void)content, (void)key;
    order->grants += kind == SANJI__ENTRY_KIND__KEY_GRANT;
    order->records += kind == SANJI__ENTRY_KIND__RECORD;
    order->grants_after += kind == SANJI__ENTRY_KIND__KEY_GRANT && order->records > 0;
}

static void a_big_request_makes_few_batches(void **state)
{
    enum { COUNT = 300 };
    struct village *village = *state;
    struct buffer json = {0};
    for (unsigned i = 0; i < COUNT; i++) {
        char one[200];
        int size = snprintf(one, sizeof one, "%c{\"key\":%u,\"day\":\"2024-05-%02u\",\"harm\":\"grave\",\"colour\":\"red\"}", i ? ',' : '[',
                            i, i % 28 + 1);
        buffer_append(&json, one, (size_t)size);
    }
    buffer_append(&json, "]", 2);
    assert_int_equal(village_enter(village, "assess", (char *)json.data), OK);
    buffer_finish(&json);
    assert_int_equal(village->result_count, COUNT);
    struct order order = {0};
    village_entries(village, look, &order);
    assert_int_equal(order.records, 2 * COUNT);
    assert_int_equal(order.grants, 2 * COUNT); // township and county, a child each
    assert_int_equal(order.grants_after, 0);
    struct txn *txn = txn_begin(village->store, false, NULL);
    assert_true(journal_end(txn) < 12);
    txn_abort(txn);
    assert_int_equal(village_figure(village, "assessments", "V1", month_of("2024-05-01"), -1, NULL, false), COUNT);
}

static void nothing_is_written_when_a_key_is_gone(void **state)
{
    struct village *village = *state;
    struct subject_row row;
    assert_int_equal(village_enter(village, "money", "{\"day\":\"2024-05-01\",\"amount\":1}"), OK);
    village_begin(village); // the form's key: destroyed
    struct cursor *cursor = cursor_open(village->desk.txn, TABLE_SUBJECTS);
    uint8_t owner[SUBJECT_ID_SIZE];
    assert_true(cursor_seek(cursor, bytes_of("", 1)));
    memcpy(owner, cursor_key(cursor).data, sizeof owner);
    cursor_close(cursor);
    assert_true(subject_read(village->desk.txn, owner, &row));
    assert_int_equal(keyring_forget(village->keyring, &row.key, &village->error), OK);
    assert_int_equal(village_submit(village, "money", "{\"day\":\"2024-05-01\",\"amount\":2}", NULL), ERR_REFUSED);
    assert_int_equal(txn_error(village->desk.txn), OK);
    village_commit(village);
    assert_int_equal(village_figure(village, "funds", "V1", month_of("2024-05-01"), -1, NULL, false), 1);
    village_begin(village);
    assert_int_equal(txn_count(village->desk.txn, TABLE_RECORDS), 1);
}

static void a_failed_transaction_says_so(void **state)
{
    struct village *village = *state;
    village_begin(village);
    txn_fail(village->desk.txn, ERR_FULL, "no room");
    assert_int_equal(village_submit(village, "money", "{\"day\":\"2024-05-01\",\"amount\":2,\"unit\":\"V1\"}", NULL), ERR_FULL);
    assert_int_equal(village->result_count, 0);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, village_setup, village_teardown)
    const struct CMUnitTest tests[] = {test(a_big_request_makes_few_batches), test(nothing_is_written_when_a_key_is_gone),
                                       test(a_failed_transaction_says_so)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
