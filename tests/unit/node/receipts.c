// What `sanji receipts` lists: urgent batches, those that wait first, each with the tiers above that are to have it.
#include "node/receipts.h"

#include <stdio.h>

#include "node/station.h"
#include "relay/receipt.h"
#include "tests/unit/node/stations.h"

enum { BATCHES = 1003, DECIDED = 2 };

static struct stations stations;
static char child[160];

static int setup(void **context)
{
    (void)context;
    stations_begin(&stations);
    stations_root(&stations);
    stations_run(&stations);
    stations_child(&stations, "T1", "t1", child);
    stations_stop(&stations);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    stations_end(&stations);
    return 0;
}

static struct urgent_batch urgent(uint64_t number, uint32_t reach)
{
    struct urgent_batch batch = {.feed = 1, .first = number, .signed_ms = 1000 * number, .within_ms = 500, .decider = 0, .reach = reach};
    snprintf(batch.what, sizeof batch.what, "form%llu", (unsigned long long)number);
    memset(batch.record, (int)(number % 256), sizeof batch.record);
    return batch;
}

// Batches 1..`count`, of which the last `decided` no longer wait.
static void fill(uint64_t count, uint64_t decided, uint32_t reach)
{
    struct store *store;
    struct error error = {0};
    assert_int_equal(store_open(child, STORE_OPEN, 0, &store, &error), OK);
    struct txn *txn = txn_begin(store, true, &error);
    for (uint64_t i = 1; i <= count; i++) {
        struct urgent_batch batch = urgent(i, reach);
        batch.decided = i > count - decided;
        urgent_write(txn, &batch);
    }
    assert_int_equal(txn_commit(txn, &error), OK);
    store_close(store);
}

static void ask(bool waiting, struct client_answer *ret)
{
    Sanji__ReceiptsRequest receipts = SANJI__RECEIPTS_REQUEST__INIT;
    Sanji__Request request = SANJI__REQUEST__INIT;
    struct error error = {0};
    receipts.waiting = waiting;
    request.request_case = SANJI__REQUEST__REQUEST_RECEIPTS;
    request.receipts = &receipts;
    if (stations_ask(child, &request, SANJI__REPLY__REPLY_RECEIPTS, ret, &error) != OK)
        fail_msg("%s", error.detail);
}

static void those_that_wait_come_first(void **context)
{
    (void)context;
    struct client_answer answer;
    ask(false, &answer);
    assert_int_equal(answer.reply->receipts->n_batches, 0);
    client_finish(&answer);
    fill(5, DECIDED, REACH_TOP);
    ask(false, &answer);
    const Sanji__ReceiptsReply *reply = answer.reply->receipts;
    assert_true(reply->n_batches == 5 && !reply->more);
    for (size_t i = 0; i < 5; i++) {
        const Sanji__UrgentBatch *batch = reply->batches[i];
        assert_int_equal(batch->sequence, i + 1);
        assert_int_equal(batch->decided, i >= 3);
        assert_true(batch->signed_ms == 1000 * (i + 1) && batch->due_ms == batch->signed_ms + 500);
        assert_true(batch->record.len == RECORD_ID_SIZE && batch->record.data[0] == i + 1);
        assert_int_equal(batch->n_tiers, 1);
        assert_string_equal(batch->tiers[0]->tier, "county");
        assert_string_equal(batch->tiers[0]->unit, "C");
        assert_true(batch->tiers[0]->decides && batch->tiers[0]->since_ms == 0);
        assert_string_equal(batch->tiers[0]->state, ""); // not yet
    }
    client_finish(&answer);
    ask(true, &answer);
    assert_int_equal(answer.reply->receipts->n_batches, 3);
    client_finish(&answer);
}

static void tiers_that_never_get_it_are_not_named(void **context)
{
    (void)context;
    struct client_answer answer;
    fill(1, 0, 0); // its body stays here
    ask(false, &answer);
    assert_true(answer.reply->receipts->n_batches == 1 && answer.reply->receipts->batches[0]->n_tiers == 0);
    client_finish(&answer);
}

static void a_thousand_at_most(void **context)
{
    (void)context;
    struct client_answer answer;
    fill(1000, 0, REACH_TOP);
    ask(true, &answer);
    assert_true(answer.reply->receipts->n_batches == 1000 && !answer.reply->receipts->more);
    client_finish(&answer);
    fill(BATCHES, DECIDED, REACH_TOP);
    ask(false, &answer);
    assert_true(answer.reply->receipts->n_batches == 1000 && answer.reply->receipts->more);
    client_finish(&answer);
    ask(true, &answer);
    assert_true(answer.reply->receipts->n_batches == 1000 && answer.reply->receipts->more);
    client_finish(&answer);
}

static void a_rotten_row_is_said(void **context)
{
    (void)context;
    struct store *store;
    struct client_answer answer;
    struct error error = {0};
    Sanji__ReceiptsRequest receipts = SANJI__RECEIPTS_REQUEST__INIT;
    Sanji__Request request = SANJI__REQUEST__INIT;
    fill(2, 0, REACH_TOP);
    assert_int_equal(store_open(child, STORE_OPEN, 0, &store, &error), OK);
    struct txn *txn = txn_begin(store, true, &error);
    struct cursor *cursor = cursor_open(txn, TABLE_URGENT);
    uint8_t key[64];
    assert_true(cursor_next(cursor) && cursor_key(cursor).size <= sizeof key);
    size_t size = cursor_key(cursor).size;
    memcpy(key, cursor_key(cursor).data, size);
    cursor_close(cursor);
    txn_put(txn, TABLE_URGENT, bytes_of(key, size), bytes_of_text("rotten"));
    assert_int_equal(txn_commit(txn, &error), OK);
    store_close(store);
    request.request_case = SANJI__REQUEST__REQUEST_RECEIPTS;
    request.receipts = &receipts;
    assert_int_equal(stations_ask(child, &request, SANJI__REPLY__REPLY_RECEIPTS, &answer, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.detail, "sanji verify"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(those_that_wait_come_first, setup, teardown),
        cmocka_unit_test_setup_teardown(tiers_that_never_get_it_are_not_named, setup, teardown),
        cmocka_unit_test_setup_teardown(a_thousand_at_most, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rotten_row_is_said, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
