// A township holds what villages say of months that have not come, and judges it when they have: also where the row is damaged on that day.
#include "relay/waiting.h"

#include "relay/quarantine.h"
#include "tests/unit/relay/station_fixture.h"

enum { UP = SANJI__AUDIENCE__UP, SUBTREE = SANJI__AUDIENCE__SUBTREE };
enum { FIGURES = SANJI__LANE__AGGREGATE, CONTROL = SANJI__LANE__CONTROL };
enum { STREAM_UP = SANJI__STREAM__STREAM_UP, STREAM_ALL = SANJI__STREAM__STREAM_DOWN_ALL };
enum { BYTE_BODY = -40 };

static const uint64_t now_ms = UINT64_C(1718409600000);
static const struct post *const county = &posts[COUNTY], *const village = &posts[VILLAGE], *const other = &posts[OTHER_VILLAGE];

// The layer above: each batch is of a month, "1" to "9", which has come or not.
static char month, told[64], reason_given[16];

static enum verdict on_apply(void *context, struct txn *txn, const struct header *header, const struct certificate *signer,
                             const struct entry *entries, uint64_t position, uint64_t received_ms, const char **reason)
{
    (void)context, (void)txn, (void)header, (void)signer;
    assert_int_equal(received_ms, now_ms);
    char of = (char)entries[0].content.data[0];
    *reason = NULL;
    if (of <= month) {
        snprintf(told + strlen(told), sizeof told - strlen(told), "%llu ", (unsigned long long)position);
        return VERDICT_APPLIED;
    }
    snprintf(reason_given, sizeof reason_given, "month %c", of);
    *reason = reason_given;
    return VERDICT_DEFERRED;
}

static int setup(void **state)
{
    struct bench *bench = bench_setup(state, TOWNSHIP);
    bench_store_certificate(bench, village);
    bench_store_certificate(bench, other);
    bench->receiver.apply = on_apply;
    month = '1';
    *told = 0;
    return 0;
}

#define WAITING_TEST(test) cmocka_unit_test_setup_teardown(test, setup, bench_teardown)

static void take(struct bench *bench, struct pen *pen, const char *of, struct arrival *ret_copy)
{
    struct arrival arrival;
    bool up = pen->feed.audience == UP;
    pen_sign(pen, 1, of, up ? pen->post : county, up ? STREAM_UP : STREAM_ALL, &arrival);
    if (ret_copy)
        arrival_copy(&arrival, true, ret_copy);
    assert_int_equal(bench_receive(bench, &arrival), RECEIVED);
}

static void again(struct bench *bench, struct arrival *copy)
{
    assert_int_equal(bench_receive(bench, copy), RECEIVED);
    assert_true(copy->mended);
}

// The next transaction, in a month.
static void month_comes(struct bench *bench, char now)
{
    char last[] = "month ?";
    month = last[6] = now;
    struct txn *txn = bench_begin(bench);
    waiting_take_up(&bench->receiver, txn, "month", last, now_ms);
    bench_commit(bench, txn);
}

// Turns bits of the row at `position`; `byte` from its end when negative.
static void rot(struct bench *bench, uint64_t position, int byte, uint8_t bits)
{
    uint8_t key[8];
    static uint8_t value[64 * 1024];
    struct bytes held;
    put_be64(key, position);
    struct txn *txn = fixture_begin(bench->store, true);
    assert_true(txn_get(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &held) && held.size <= sizeof value);
    size_t size = held.size;
    memcpy(value, held.data, size);
    value[byte < 0 ? size - (size_t)-byte : (size_t)byte] ^= bits;
    txn_put(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), bytes_of(value, size));
    assert_false(journal_intact(txn, position));
    fixture_commit(txn);
}

// From the end of a row: where its verdict is, before reason, body and checksum.
static int verdict_of(struct bench *bench, uint64_t position)
{
    struct txn *txn = fixture_begin(bench->store, false);
    struct batch_row row = bench_row(bench, txn, position);
    int at = -(int)(8 + row.body.size + 4 + strlen(row.reason) + 1 + 1);
    fixture_commit(txn);
    return at;
}

#define JUDGED(text)                                                                                                                       \
    do {                                                                                                                                   \
        assert_string_equal(told, text);                                                                                                   \
        *told = 0;                                                                                                                         \
    } while (0)

static void row_is(struct bench *bench, uint64_t position, enum verdict verdict, const char *reason)
{
    struct txn *txn = fixture_begin(bench->store, false);
    struct batch_row row = bench_row(bench, txn, position);
    assert_int_equal(row.verdict, verdict);
    assert_string_equal(row.reason, reason);
    fixture_commit(txn);
}

// ---- whole rows

static void what_has_come_is_judged_once_in_the_order_of_the_journal(void **state)
{
    struct bench *bench = *state;
    struct pen one, two;
    pen_init(&one, village, FIGURES, UP, NULL);
    pen_init(&two, other, FIGURES, UP, NULL);
    take(bench, &one, "3", NULL);
    take(bench, &two, "2", NULL);
    take(bench, &one, "2", NULL);
    take(bench, &one, "5", NULL);
    take(bench, &one, "1", NULL); // stops for none of them
    JUDGED("5 ");
    row_is(bench, 3, VERDICT_DEFERRED, "month 2");
    assert_int_equal(bench_count(bench, TABLE_DEFERRED), 4);
    month_comes(bench, '1');
    JUDGED("");
    month_comes(bench, '3');
    JUDGED("1 2 3 "); // not month by month
    row_is(bench, 1, VERDICT_APPLIED, "");
    row_is(bench, 4, VERDICT_DEFERRED, "month 5");
    month_comes(bench, '4');
    JUDGED("");
    month_comes(bench, '9');
    JUDGED("4 ");
    assert_int_equal(bench_count(bench, TABLE_DEFERRED), 0);
}

static void what_still_waits_is_put_back(void **state)
{
    struct bench *bench = *state;
    struct pen one;
    pen_init(&one, village, FIGURES, UP, NULL);
    take(bench, &one, "3", NULL);
    month = '2';
    struct txn *txn = bench_begin(bench);
    waiting_take_up(&bench->receiver, txn, "month", "month 9", now_ms);
    bench_commit(bench, txn);
    JUDGED("");
    row_is(bench, 1, VERDICT_DEFERRED, "month 3");
    month_comes(bench, '3');
    JUDGED("1 ");
}

// ---- rows that are damaged when their time comes

static void fault_10_a_rotten_row_is_judged_when_it_is_whole_and_what_follows_it_then(void **state)
{
    struct bench *bench = *state;
    struct pen one, two;
    struct arrival first, late;
    struct quarantined entry;
    pen_init(&one, village, FIGURES, UP, NULL);
    pen_init(&two, other, FIGURES, UP, NULL);
    take(bench, &one, "2", &first);
    take(bench, &two, "2", NULL);
    take(bench, &one, "2", NULL); // a patch of the first, say
    rot(bench, 1, BYTE_BODY, 1);
    month_comes(bench, '2');
    JUDGED("2 "); // the others go on
    struct txn *txn = fixture_begin(bench->store, false);
    assert_true(quarantine_of_batch(txn, 1, &entry) && entry.mended_ms == 0); // so it is asked for
    fixture_commit(txn);
    take(bench, &one, "2", &late);
    take(bench, &two, "1", NULL);
    JUDGED("5 ");
    row_is(bench, 3, VERDICT_DEFERRED, "month 2");
    row_is(bench, 4, VERDICT_DEFERRED, "feed 00000001");
    assert_true(waiting_is_behind("feed 00000001") && !waiting_is_behind("month 2"));
    month_comes(bench, '3'); // another day, another start: nothing is known but what the store says
    JUDGED("");
    again(bench, &first);
    JUDGED("1 3 4 ");
    row_is(bench, 1, VERDICT_APPLIED, "");
    row_is(bench, 4, VERDICT_APPLIED, "");
    assert_int_equal(bench_count(bench, TABLE_DEFERRED), 0);
    assert_int_equal(bench_receive(bench, &late), RECEIVED); // a duplicate is one as before
    take(bench, &one, "1", NULL);
    JUDGED("6 ");
}

static void fault_10_two_rotten_rows_of_one_feed(void **state)
{
    struct bench *bench = *state;
    struct pen one;
    struct arrival copies[3];
    pen_init(&one, village, FIGURES, UP, NULL);
    for (unsigned i = 0; i < 3; i++)
        take(bench, &one, "2", &copies[i]);
    rot(bench, 1, BYTE_BODY, 1);
    rot(bench, 2, BYTE_BODY, 1);
    month_comes(bench, '2');
    again(bench, &copies[1]); // the row after it proves it
    JUDGED("");
    row_is(bench, 2, VERDICT_DEFERRED, "month 2");
    again(bench, &copies[0]);
    JUDGED("1 2 3 ");
    assert_int_equal(bench_count(bench, TABLE_DEFERRED), 0);
    arrival_finish(&copies[2]);
}

// The third rots while it waits for the first.
static void fault_10_one_behind_rots_as_well(void **state)
{
    struct bench *bench = *state;
    struct pen one;
    struct arrival copies[4];
    pen_init(&one, village, FIGURES, UP, NULL);
    for (unsigned i = 0; i < 4; i++)
        take(bench, &one, "2", &copies[i]);
    rot(bench, 1, BYTE_BODY, 1);
    month_comes(bench, '2');
    rot(bench, 3, BYTE_BODY, 1);
    again(bench, &copies[0]);
    JUDGED("1 2 ");
    again(bench, &copies[2]);
    JUDGED("3 4 ");
    assert_int_equal(bench_count(bench, TABLE_DEFERRED), 0);
    arrival_finish(&copies[1]);
    arrival_finish(&copies[3]);
}

// Mended before its time: it goes on waiting, whatever the damaged row said of its verdict, and is judged when that comes.
static void fault_10_a_rotten_row_goes_on_waiting(void **state)
{
    struct bench *bench = *state;
    struct pen one;
    struct arrival copies[2];
    pen_init(&one, village, FIGURES, UP, NULL);
    take(bench, &one, "2", &copies[0]);
    take(bench, &one, "1", &copies[1]);
    JUDGED("2 ");
    struct arrival copy;
    const int bytes[] = {verdict_of(bench, 1), verdict_of(bench, 1) + 2 /* in the reason */, BYTE_BODY, 41 /* the header's size */};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        rot(bench, 1, bytes[i], VERDICT_DEFERRED ^ VERDICT_REJECTED);
        arrival_copy(&copies[0], true, &copy);
        again(bench, &copy);
        row_is(bench, 1, VERDICT_DEFERRED, "month 2");
    }
    rot(bench, 2, verdict_of(bench, 2), VERDICT_APPLIED ^ VERDICT_DEFERRED); // this one does not wait
    again(bench, &copies[1]);
    row_is(bench, 2, VERDICT_APPLIED, "");
    JUDGED("");
    month_comes(bench, '2');
    JUDGED("1 ");
    assert_int_equal(bench_count(bench, TABLE_DEFERRED), 0);
    arrival_finish(&copies[0]);
}

// What comes from above is judged by itself: a newer document does not wait for the announcement of an older one.
// A statement's body comes after what its station said later: all is judged in the order it was said.
static void fault_33_figures_wait_for_a_body_before_them(void **state)
{
    struct bench *bench = *state;
    struct pen pen, cases;
    struct arrival whole, header;
    pen_init(&pen, village, FIGURES, UP, NULL);
    pen_sign(&pen, 1, "1", village, STREAM_UP, &whole);
    arrival_copy(&whole, false, &header);
    assert_int_equal(bench_receive(bench, &header), RECEIVED_BODILESS);
    take(bench, &pen, "1", NULL);
    take(bench, &pen, "2", NULL);
    pen_init(&cases, village, SANJI__LANE__CASE, UP, NULL);
    pen_sign(&cases, 1, "1", village, STREAM_UP, &header);
    struct arrival header_of_case;
    arrival_copy(&header, false, &header_of_case);
    assert_int_equal(bench_receive(bench, &header_of_case), RECEIVED_BODILESS);
    take(bench, &cases, "1", NULL);
    assert_string_equal(told, "5 "); // a case waits for no other
    row_is(bench, 2, VERDICT_DEFERRED, "feed 00000001");
    row_is(bench, 3, VERDICT_DEFERRED, "feed 00000001");
    assert_int_equal(bench_receive(bench, &whole), RECEIVED);
    assert_string_equal(told, "5 1 2 ");
    row_is(bench, 3, VERDICT_DEFERRED, "month 2");
    month_comes(bench, '2');
    assert_string_equal(told, "5 1 2 3 ");
    arrival_finish(&header);
}

static void what_goes_down_waits_for_no_other(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival first;
    pen_init(&pen, county, CONTROL, SUBTREE, NULL);
    take(bench, &pen, "2", &first);
    take(bench, &pen, "2", NULL);
    rot(bench, 1, BYTE_BODY, 1);
    month_comes(bench, '2');
    JUDGED("2 ");
    take(bench, &pen, "1", NULL);
    JUDGED("3 ");
    again(bench, &first);
    JUDGED("1 ");
    assert_int_equal(bench_count(bench, TABLE_DEFERRED), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WAITING_TEST(what_has_come_is_judged_once_in_the_order_of_the_journal),
        WAITING_TEST(what_still_waits_is_put_back),
        WAITING_TEST(fault_10_a_rotten_row_is_judged_when_it_is_whole_and_what_follows_it_then),
        WAITING_TEST(fault_10_two_rotten_rows_of_one_feed),
        WAITING_TEST(fault_10_one_behind_rots_as_well),
        WAITING_TEST(fault_10_a_rotten_row_goes_on_waiting),
        WAITING_TEST(fault_33_figures_wait_for_a_body_before_them),
        WAITING_TEST(what_goes_down_waits_for_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
