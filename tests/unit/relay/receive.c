// A township receives from the villages below it and from the county above.
#include "relay/receive.h"

#include "relay/quarantine.h"
#include "tests/unit/relay/station_fixture.h"

enum { UP = SANJI__AUDIENCE__UP, SUBTREE = SANJI__AUDIENCE__SUBTREE, STATION = SANJI__AUDIENCE__STATION };
enum { CASE = SANJI__LANE__CASE, BULK = SANJI__LANE__BULK, CONTROL = SANJI__LANE__CONTROL };
enum { STREAM_UP = SANJI__STREAM__STREAM_UP, STREAM_ALL = SANJI__STREAM__STREAM_DOWN_ALL, STREAM_ONE = SANJI__STREAM__STREAM_DOWN_ONE };

static const struct post *const county = &posts[COUNTY], *const village = &posts[VILLAGE], *const other = &posts[OTHER_VILLAGE];

static int setup(void **state)
{
    struct bench *bench = bench_setup(state, TOWNSHIP);
    bench_store_certificate(bench, village);
    bench_store_certificate(bench, other);
    return 0;
}

#define RECEIVE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, bench_teardown)

static struct feed_state feed_of(struct bench *bench, const struct pen *pen)
{
    struct feed_state state;
    if (!bench_feed(bench, &pen->feed, &state))
        fail_msg("the feed is not here");
    return state;
}

static void assert_nothing(struct bench *bench)
{
    static const enum table tables[] = {TABLE_JOURNAL, TABLE_FEEDS, TABLE_FEED_IDS, TABLE_STREAMS, TABLE_EVIDENCE, TABLE_ALARMS};
    for (unsigned i = 0; i < sizeof tables / sizeof *tables; i++)
        assert_int_equal(bench_count(bench, tables[i]), 0);
    assert_int_equal(bench->applied, 0);
}

static uint32_t alarms(struct bench *bench, const char *kind)
{
    static struct alarm found[ALARMS_MAX];
    uint32_t count = 0;
    struct txn *txn = fixture_begin(bench->store, false);
    uint32_t all = alarm_last(txn, found, ALARMS_MAX);
    for (uint32_t i = 0; i < all; i++)
        count += strcmp(found[i].kind, kind) == 0;
    fixture_commit(txn);
    return count;
}

// ---- batches

static void the_next_batch_is_stored_applied_and_sent_on(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct stream_row rows[8];
    struct station_id via;
    pen_init(&pen, village, CASE, UP, NULL);
    assert_int_equal(bench_take(bench, &pen, 3, "case", village, STREAM_UP), RECEIVED);
    assert_int_equal(bench_take(bench, &pen, 2, "case", village, STREAM_UP), RECEIVED);
    assert_int_equal(bench->applied, 2);
    assert_true(bench->calls[0].first == 1 && bench->calls[0].entries == 3 && bench->calls[0].position == 1);
    assert_true(bench->calls[1].first == 4 && bench->calls[1].entries == 2 && bench->calls[1].position == 2);
    struct feed_state feed = feed_of(bench, &pen);
    assert_true(feed.next == 6 && feed.bodies == 6 && !feed.disputed && hash_equal(&feed.last, &pen.state.last));
    struct txn *txn = fixture_begin(bench->store, false);
    struct batch_row row = bench_row(bench, txn, 2);
    assert_true(row.first == 4 && row.count == 2 && row.verdict == VERDICT_APPLIED && row.body.size > 0 && row.reason[0] == 0);
    assert_true(station_equal(&row.from, &village->identity.station));
    assert_true(route_via(txn, &village->identity.station, &via) && station_equal(&via, &village->identity.station));
    fixture_commit(txn);
    assert_int_equal(bench_rows(bench, STREAM_UP, CASE, NULL, rows, 8), 4); // township's and village's certificates, two batches
    assert_true(rows[3].batch == 2 && !rows[3].bodiless);
    assert_int_equal(bench->grown.up[CASE - 1], 4);
}

static void fault_23_a_replay_changes_nothing(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival arrival, again;
    pen_init(&pen, village, CASE, UP, NULL);
    pen_sign(&pen, 3, "case", village, STREAM_UP, &arrival);
    for (unsigned i = 0; i < 5; i++) {
        arrival_copy(&arrival, true, &again);
        assert_int_equal(bench_receive(bench, &again), RECEIVED);
    }
    arrival_copy(&arrival, false, &again); // its header alone: the body is here all the same
    assert_int_equal(bench_receive(bench, &again), RECEIVED);
    arrival_finish(&arrival);
    assert_int_equal(bench_take(bench, &pen, 1, "next", village, STREAM_UP), RECEIVED);
    assert_int_equal(bench->applied, 2);
    assert_int_equal(bench_end(bench), 2);
    assert_int_equal(bench_count(bench, TABLE_EVIDENCE), 0);
    assert_int_equal(feed_of(bench, &pen).next, 5);
}

static void a_body_comes_after_its_header(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival arrival, header;
    struct stream_row rows[8];
    pen_init(&pen, village, CASE, UP, NULL);
    pen_sign(&pen, 3, "case", village, STREAM_UP, &arrival);
    for (unsigned i = 0; i < 2; i++) { // the second time it is still owed
        arrival_copy(&arrival, false, &header);
        assert_int_equal(bench_receive(bench, &header), RECEIVED_BODILESS);
    }
    assert_int_equal(bench->applied, 0);
    struct feed_state feed = feed_of(bench, &pen);
    assert_true(feed.next == 4 && feed.bodies == 1);
    assert_int_equal(bench_receive(bench, &arrival), RECEIVED);
    assert_int_equal(bench->applied, 1); // effects once, on body
    assert_int_equal(bench->calls[0].position, 1);
    feed = feed_of(bench, &pen);
    assert_true(feed.next == 4 && feed.bodies == 4);
    assert_int_equal(bench_end(bench), 1); // in its header's place
    struct txn *txn = fixture_begin(bench->store, false);
    struct batch_row row = bench_row(bench, txn, 1);
    assert_true(row.body.size > 0 && row.verdict == VERDICT_APPLIED);
    fixture_commit(txn);
    assert_int_equal(bench_rows(bench, STREAM_UP, CASE, NULL, rows, 8), 4);
    assert_true(rows[2].bodiless && rows[2].batch == 1 && !rows[3].bodiless && rows[3].batch == 1);
}

static void bodies_that_come_late_close_the_gap(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival first, header;
    pen_init(&pen, village, CASE, UP, NULL);
    pen_sign(&pen, 1, "first", village, STREAM_UP, &first);
    arrival_copy(&first, false, &header);
    assert_int_equal(bench_receive(bench, &header), RECEIVED_BODILESS);
    assert_int_equal(bench_take(bench, &pen, 1, "second", village, STREAM_UP), RECEIVED);
    pen.reach = 0;
    assert_int_equal(bench_take(bench, &pen, 1, "third, not for us", village, STREAM_UP), RECEIVED);
    pen.reach = REACH_TOP;
    assert_int_equal(bench_take(bench, &pen, 1, "fourth", village, STREAM_UP), RECEIVED);
    struct feed_state feed = feed_of(bench, &pen);
    assert_true(feed.next == 5 && feed.bodies == 1);
    assert_int_equal(bench_receive(bench, &first), RECEIVED);
    feed = feed_of(bench, &pen);
    assert_true(feed.next == 5 && feed.bodies == 5); // over what is held, and over what stays below
    assert_int_equal(bench_take(bench, &pen, 1, "fifth", village, STREAM_UP), RECEIVED);
    assert_int_equal(feed_of(bench, &pen).bodies, 6);
}

static void a_long_row_of_late_bodies_is_caught_up_with(void **state)
{
    enum { MANY = 5000 };
    struct bench *bench = *state;
    struct pen pen;
    struct arrival first, header;
    pen_init(&pen, village, CASE, UP, NULL);
    pen_sign(&pen, 1, "first", village, STREAM_UP, &first);
    arrival_copy(&first, false, &header);
    assert_int_equal(bench_receive(bench, &header), RECEIVED_BODILESS);
    for (unsigned i = 0; i < MANY; i++)
        assert_int_equal(bench_take(bench, &pen, 1, "later", village, STREAM_UP), RECEIVED);
    assert_int_equal(bench_receive(bench, &first), RECEIVED);
    struct feed_state feed = feed_of(bench, &pen);
    assert_true(feed.bodies > 1 && feed.bodies < feed.next); // a bounded step
    assert_int_equal(bench_take(bench, &pen, 1, "last", village, STREAM_UP), RECEIVED);
    feed = feed_of(bench, &pen);
    assert_true(feed.next == MANY + 3 && feed.bodies == MANY + 3);
}

static void fault_26_a_hole_is_refused(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival first, second;
    struct station_id via;
    pen_init(&pen, village, CASE, UP, NULL);
    pen_sign(&pen, 2, "first", village, STREAM_UP, &first);
    pen_sign(&pen, 2, "second", village, STREAM_UP, &second);
    struct arrival early;
    arrival_copy(&second, true, &early);
    assert_int_equal(bench_receive(bench, &early), RECEIVED_GAP);
    assert_nothing(bench);
    struct txn *txn = fixture_begin(bench->store, false);
    assert_false(route_via(txn, &village->identity.station, &via));
    fixture_commit(txn);
    assert_int_equal(bench_receive(bench, &first), RECEIVED);
    assert_int_equal(bench_receive(bench, &second), RECEIVED);
    assert_int_equal(feed_of(bench, &pen).next, 5);
}

static void fault_26_a_hole_behind_what_is_held_is_refused(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival missing;
    pen_init(&pen, village, CASE, UP, NULL);
    assert_int_equal(bench_take(bench, &pen, 2, "first", village, STREAM_UP), RECEIVED);
    pen_sign(&pen, 2, "second", village, STREAM_UP, &missing);
    assert_int_equal(bench_take(bench, &pen, 2, "third", village, STREAM_UP), RECEIVED_GAP);
    assert_int_equal(bench_end(bench), 1);
    assert_int_equal(bench_receive(bench, &missing), RECEIVED);
    assert_int_equal(feed_of(bench, &pen).next, 5);
}

static void a_signer_whose_certificate_has_not_come(void **state)
{
    struct bench *bench = *state;
    struct post later;
    struct pen pen;
    struct arrival arrival, again;
    post_init(&later, &posts[TOWNSHIP], "321081100203", 3);
    pen_init(&pen, &later, CASE, UP, NULL);
    pen_sign(&pen, 1, "case", &later, STREAM_UP, &arrival);
    arrival_copy(&arrival, true, &again);
    struct error error = {0};
    struct txn *txn = fixture_begin(bench->store, false);
    assert_int_equal(arrival_check(&again, bench->signers, txn, &error), ERR_NOT_FOUND);
    assert_false(again.checked);
    fixture_commit(txn);
    assert_int_equal(bench_receive(bench, &again), RECEIVED_GAP);
    assert_nothing(bench);
    bench_store_certificate(bench, &later);
    txn = fixture_begin(bench->store, false);
    assert_int_equal(arrival_check(&arrival, bench->signers, txn, &error), OK);
    assert_true(arrival.checked && hash_equal(&arrival.signer.hash, &later.certificate.hash) && arrival.decoded.count == 1);
    fixture_commit(txn);
    assert_int_equal(bench_receive(bench, &arrival), RECEIVED);
    post_finish(&later);
}

static void a_body_beyond_its_reach_is_dropped(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival arrival, again;
    struct stream_row rows[4];
    pen_init(&pen, village, CASE, UP, NULL);
    pen.reach = 0;
    pen_sign(&pen, 3, "the reporter's name", village, STREAM_UP, &arrival);
    for (unsigned i = 0; i < 2; i++) { // a replay does not get it in either
        arrival_copy(&arrival, true, &again);
        assert_int_equal(bench_receive(bench, &again), RECEIVED);
    }
    arrival_finish(&arrival);
    assert_int_equal(bench->applied, 0);
    struct txn *txn = fixture_begin(bench->store, false);
    struct batch_row row = bench_row(bench, txn, 1);
    assert_true(row.body.size == 0 && row.verdict == VERDICT_HELD);
    fixture_commit(txn);
    struct feed_state feed = feed_of(bench, &pen);
    assert_true(feed.next == 4 && feed.bodies == 4); // nothing is owed
    assert_int_equal(bench_rows(bench, STREAM_UP, CASE, NULL, rows, 4), 3);
    assert_true(rows[2].bodiless);
}

static void what_the_layer_above_says_is_journaled(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    const char *reason;
    pen_init(&pen, village, CASE, UP, NULL);
    bench->verdict = VERDICT_REJECTED;
    bench->reason = "unit is not the signer's";
    assert_int_equal(bench_take(bench, &pen, 1, "case", village, STREAM_UP), RECEIVED); // rejected is held, too
    bench->verdict = VERDICT_DEFERRED;
    bench->reason = "units";
    assert_int_equal(bench_take(bench, &pen, 1, "case", village, STREAM_UP), RECEIVED);
    struct txn *txn = bench_begin(bench);
    struct batch_row row = bench_row(bench, txn, 1);
    assert_int_equal(row.verdict, VERDICT_REJECTED);
    assert_string_equal(row.reason, "unit is not the signer's");
    row = bench_row(bench, txn, 2);
    assert_int_equal(row.verdict, VERDICT_DEFERRED);
    assert_string_equal(row.reason, "units");
    assert_int_equal(deferred_take(txn, "document"), 0);
    assert_int_equal(deferred_take(txn, "units"), 2);
    assert_int_equal(deferred_take(txn, "units"), 0);
    bench->verdict = VERDICT_APPLIED;
    bench->reason = NULL;
    assert_int_equal(receive_again(&bench->receiver, txn, 2, &reason), VERDICT_APPLIED);
    assert_int_equal(bench->applied, 3);
    assert_true(bench->calls[2].first == 2 && bench->calls[2].position == 2);
    bench_commit(bench, txn);
}

static void a_late_body_may_be_deferred(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival arrival, header;
    const char *reason;
    pen_init(&pen, village, CASE, UP, NULL);
    pen_sign(&pen, 1, "case", village, STREAM_UP, &arrival);
    arrival_copy(&arrival, false, &header);
    assert_int_equal(bench_receive(bench, &header), RECEIVED_BODILESS);
    struct txn *txn = bench_begin(bench);
    assert_int_equal(receive_again(&bench->receiver, txn, 1, &reason), VERDICT_HELD); // nothing to apply
    assert_int_equal(receive_again(&bench->receiver, txn, 9, &reason), VERDICT_HELD);
    bench_commit(bench, txn);
    assert_int_equal(bench->applied, 0);
    bench->verdict = VERDICT_DEFERRED;
    bench->reason = "document";
    assert_int_equal(bench_receive(bench, &arrival), RECEIVED);
    txn = bench_begin(bench);
    assert_int_equal(deferred_take(txn, "document"), 1);
    assert_string_equal(bench_row(bench, txn, 1).reason, "document");
    bench_commit(bench, txn);
}

// ---- forks

static void fault_20_a_second_history_is_kept_as_evidence(void **state)
{
    struct bench *bench = *state;
    struct pen first, second, third;
    pen_init(&first, village, CASE, UP, NULL);
    assert_int_equal(bench_take(bench, &first, 2, "case", village, STREAM_UP), RECEIVED);
    second = first;
    assert_int_equal(bench_take(bench, &first, 2, "case", village, STREAM_UP), RECEIVED);
    assert_int_equal(bench_take(bench, &second, 2, "another", village, STREAM_UP), RECEIVED);
    struct feed_state feed = feed_of(bench, &first);
    assert_true(feed.disputed && feed.next == 5 && hash_equal(&feed.last, &first.state.last));
    assert_int_equal(alarms(bench, "fork"), 1);
    assert_int_equal(bench->applied, 2);
    assert_int_equal(bench_end(bench), 2);
    struct evidence evidence;
    uint32_t id;
    struct txn *txn = fixture_begin(bench->store, false);
    assert_true(feed_find(txn, &first.feed, &id, &feed));
    assert_true(evidence_next(txn, id, NULL, &evidence));
    assert_true(evidence.first == 3 && hash_equal(&evidence.header_hash, &second.state.last) && evidence.body.size > 0);
    struct header header;
    assert_int_equal(header_decode(evidence.header, &header, NULL), OK);
    assert_int_equal(header_check_signature(evidence.header, evidence.signature, &village->certificate, &header, NULL), OK); // a proof
    fixture_commit(txn);
    // What was held goes on, and so does everybody else.
    assert_int_equal(bench_take(bench, &first, 1, "case", village, STREAM_UP), RECEIVED);
    assert_int_equal(feed_of(bench, &first).next, 6);
    pen_init(&third, other, CASE, UP, NULL);
    assert_int_equal(bench_take(bench, &third, 1, "case", other, STREAM_UP), RECEIVED);
    assert_false(feed_of(bench, &third).disputed);
    assert_int_equal(bench->applied, 4);
}

static void fault_22_a_place_is_never_written_over(void **state)
{
    struct bench *bench = *state;
    struct pen first, second;
    struct arrival arrival;
    pen_init(&first, village, CASE, UP, NULL);
    second = first;
    assert_int_equal(bench_take(bench, &first, 3, "first", village, STREAM_UP), RECEIVED);
    struct txn *txn = fixture_begin(bench->store, false);
    struct batch_row row = bench_row(bench, txn, 1);
    struct hash before = crypto_hash(TAG_HEADER, row.header), body = crypto_hash(TAG_ROW, row.body);
    fixture_commit(txn);
    pen_sign(&second, 3, "other", village, STREAM_UP, &arrival); // the same place
    assert_int_equal(bench_receive(bench, &arrival), RECEIVED);
    assert_int_equal(bench_take(bench, &second, 1, "other", village, STREAM_UP), RECEIVED); // on from there, with another `prev`
    txn = fixture_begin(bench->store, false);
    row = bench_row(bench, txn, 1);
    struct hash after = crypto_hash(TAG_HEADER, row.header), body_after = crypto_hash(TAG_ROW, row.body);
    assert_true(hash_equal(&before, &after) && hash_equal(&body, &body_after));
    fixture_commit(txn);
    assert_int_equal(bench_end(bench), 1);
    assert_int_equal(bench->applied, 1);
    assert_int_equal(bench_count(bench, TABLE_EVIDENCE), 2);
    assert_int_equal(alarms(bench, "fork"), 1);
}

// Its second history is longer than the first, and may still not hold up what comes behind it in the same stream.
static void fault_20_a_long_second_history_stops_nobody(void **state)
{
    struct bench *bench = *state;
    struct pen first, second, third;
    pen_init(&first, village, CASE, UP, NULL);
    second = first;
    assert_int_equal(bench_take(bench, &first, 1, "first", village, STREAM_UP), RECEIVED);
    for (unsigned i = 0; i < EVIDENCE_MAX + 10; i++)
        assert_int_equal(bench_take(bench, &second, 1, "second", village, STREAM_UP), RECEIVED);
    assert_int_equal(bench_count(bench, TABLE_EVIDENCE), EVIDENCE_MAX); // bounded
    assert_int_equal(alarms(bench, "fork"), 1);
    assert_int_equal(feed_of(bench, &first).next, 2);
    pen_init(&third, other, CASE, UP, NULL);
    assert_int_equal(bench_take(bench, &third, 1, "case", other, STREAM_UP), RECEIVED);
}

static void fault_26_a_disputed_feed_has_holes_like_any_other(void **state)
{
    struct bench *bench = *state;
    struct pen first, second;
    struct arrival missing;
    pen_init(&first, village, CASE, UP, NULL);
    second = first;
    assert_int_equal(bench_take(bench, &first, 1, "first", village, STREAM_UP), RECEIVED);
    assert_int_equal(bench_take(bench, &second, 1, "second", village, STREAM_UP), RECEIVED);
    pen_sign(&first, 1, "first", village, STREAM_UP, &missing);
    assert_int_equal(bench_take(bench, &first, 1, "first", village, STREAM_UP), RECEIVED_GAP);
    assert_int_equal(bench_count(bench, TABLE_EVIDENCE), 1);
    assert_int_equal(bench_receive(bench, &missing), RECEIVED);
}

static void a_fork_that_begins_inside_a_batch(void **state)
{
    struct bench *bench = *state;
    struct pen first, second;
    pen_init(&first, village, CASE, UP, NULL);
    second = first;
    assert_int_equal(bench_take(bench, &first, 10, "first", village, STREAM_UP), RECEIVED);
    struct arrival hidden;
    pen_sign(&second, 4, "second", village, STREAM_UP, &hidden); // never shown
    arrival_finish(&hidden);
    assert_int_equal(bench_take(bench, &second, 4, "second", village, STREAM_UP), RECEIVED);
    assert_true(feed_of(bench, &first).disputed);
    assert_int_equal(bench_end(bench), 1);
}

// ---- damage

static void assert_lost(struct bench *bench, struct arrival *arrival)
{
    struct txn *txn = bench_begin(bench);
    receive(&bench->receiver, txn, arrival, &bench->grown);
    author_abort(bench->author);
    assert_fails(txn, ERR_CORRUPT);
    arrival_finish(arrival);
}

static void fault_10_a_damaged_row_of_the_feed_fails_the_transaction(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival first, again, next;
    pen_init(&pen, village, CASE, UP, NULL);
    pen_sign(&pen, 2, "first", village, STREAM_UP, &first);
    pen_sign(&pen, 2, "second", village, STREAM_UP, &next);
    struct arrival bodiless;
    arrival_copy(&first, false, &bodiless);
    assert_int_equal(bench_receive(bench, &bodiless), RECEIVED_BODILESS);
    damage(bench->store, TABLE_BATCHES);
    arrival_copy(&first, true, &again);
    assert_lost(bench, &again); // where it is looked up
    arrival_copy(&next, true, &again);
    assert_lost(bench, &again);          // and where bodies are caught up with
    damage(bench->store, TABLE_BATCHES); // the same bit: it is right again
    arrival_copy(&first, true, &again);
    assert_int_equal(bench_receive(bench, &again), RECEIVED);
    assert_int_equal(bench_receive(bench, &next), RECEIVED);
    assert_int_equal(feed_of(bench, &pen).bodies, 5);
    arrival_finish(&first);
}

// A journal that holds what no decoder of ours takes: nothing behind it is called complete.
static void a_header_that_does_not_decode_holds_the_bodies_back(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival first, next;
    pen_init(&pen, village, CASE, UP, NULL);
    pen_sign(&pen, 2, "first", village, STREAM_UP, &first);
    pen_sign(&pen, 2, "second", village, STREAM_UP, &next);
    struct txn *txn = fixture_begin(bench->store, true);
    uint32_t id = feed_add(txn, &pen.feed);
    struct header header;
    assert_int_equal(header_decode(buffer_bytes(&first.header), &header, NULL), OK);
    struct batch_row row = a_batch(id, 1, 2);
    row.body = bytes_of(NULL, 0);
    journal_append(txn, &row);
    feed_write(txn, id, &(struct feed_state){.next = 3, .last = header.hash, .bodies = 1});
    fixture_commit(txn);
    assert_int_equal(bench_receive(bench, &next), RECEIVED);
    assert_int_equal(feed_of(bench, &pen).bodies, 1);
    arrival_finish(&first);
}

// ---- rows that are damaged here and come again

// Turns one bit of the row at `position`; `byte` from its end when negative.
static void rot(struct bench *bench, uint64_t position, int byte)
{
    uint8_t key[8];
    static uint8_t value[64 * 1024];
    struct bytes held;
    put_be64(key, position);
    struct txn *txn = fixture_begin(bench->store, true);
    assert_true(txn_get(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &held) && held.size <= sizeof value);
    size_t size = held.size;
    memcpy(value, held.data, size);
    value[byte < 0 ? size - (size_t)-byte : (size_t)byte] ^= 1;
    txn_put(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), bytes_of(value, size));
    fixture_commit(txn);
}

static bool is_whole(struct bench *bench, uint64_t position)
{
    struct txn *txn = fixture_begin(bench->store, false);
    bool whole = journal_intact(txn, position);
    fixture_commit(txn);
    return whole;
}

static void take_three(struct bench *bench, struct pen *pen, struct arrival copies[3])
{
    for (unsigned i = 0; i < 3; i++) {
        struct arrival arrival;
        pen_sign(pen, 2, "a figure", village, STREAM_UP, &arrival);
        arrival_copy(&arrival, true, &copies[i]);
        assert_int_equal(bench_receive(bench, &arrival), RECEIVED);
    }
}

static void fault_10_a_rotten_row_is_put_back_without_a_second_effect(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival copies[3], again;
    static const int places[] = {0, 5, 20, 50, 200, -40, -1}; // place, time, who brought it, header, body, checksum
    pen_init(&pen, village, CASE, UP, NULL);
    take_three(bench, &pen, copies);
    struct txn *txn = fixture_begin(bench->store, false);
    struct batch_row row = bench_row(bench, txn, 2);
    struct hash digest = journal_digest(&row);
    fixture_commit(txn);
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        rot(bench, 2, places[i]);
        assert_false(is_whole(bench, 2));
        arrival_copy(&copies[1], true, &again);
        assert_int_equal(bench_receive(bench, &again), RECEIVED);
        assert_true(is_whole(bench, 2));
        txn = fixture_begin(bench->store, false);
        row = bench_row(bench, txn, 2);
        struct hash now = journal_digest(&row);
        assert_true(row.first == 3 && row.count == 2 && row.verdict == VERDICT_APPLIED &&
                    bytes_equal(row.body, buffer_bytes(&copies[1].body)));
        if (places[i] != 5)
            assert_memory_equal(now.bytes, digest.bytes, HASH_SIZE); // also the marker knows it again
        fixture_commit(txn);
    }
    assert_int_equal(bench->applied, 3);
    assert_int_equal(bench_end(bench), 3);
    assert_int_equal(alarms(bench, "damaged"), 7); // each time it was whole again before
    for (unsigned i = 0; i < 3; i++)
        arrival_finish(&copies[i]);
}

// Back from the parent, which had it from here.
static void fault_10_an_own_row_comes_back_from_above(void **state)
{
    struct bench *bench = *state;
    struct arrival back = {.peer = county->identity.station, .stream = STREAM_ONE, .lane = CASE, .generation = 1, .position = 1};
    for (unsigned i = 0; i < 2; i++) {
        struct txn *txn = bench_begin(bench);
        bench_add(bench, txn, CASE, UP, REACH_TOP, "mine");
        bench_commit(bench, txn);
    }
    struct txn *txn = fixture_begin(bench->store, false);
    struct batch_row row = bench_row(bench, txn, 2);
    buffer_append(&back.header, row.header.data, row.header.size);
    buffer_append(&back.signature, row.signature.data, row.signature.size);
    buffer_append(&back.body, row.body.data, row.body.size);
    fixture_commit(txn);
    struct arrival first, second;
    arrival_copy(&back, true, &first);
    arrival_copy(&back, true, &second);
    rot(bench, 2, -30); // the last: only the feed's head proves it
    assert_int_equal(bench_receive(bench, &first), RECEIVED);
    assert_true(is_whole(bench, 2));
    txn = fixture_begin(bench->store, false);
    struct station_id here = {0};
    row = bench_row(bench, txn, 2);
    assert_true(station_equal(&row.from, &here));
    fixture_commit(txn);
    assert_int_equal(bench_receive(bench, &second), RECEIVED); // from another neighbour: it is here
    assert_int_equal(bench->applied, 0);
    back.lane = CASE;
    struct pen pen;
    pen_init(&pen, village, CASE, UP, NULL);
    struct arrival strange;
    pen_sign(&pen, 1, "not mine", county, STREAM_ONE, &strange);
    assert_int_equal(bench_receive(bench, &strange), RECEIVED_FORGED); // anything else does not come that way
    arrival_finish(&back);
}

// What came back after a restore is not taken for what was made here.
static void fault_10_17_an_own_row_that_came_back_before(void **state)
{
    struct bench *bench = *state;
    struct pen lost;
    struct arrival arrival, copy, again;
    static const int places[] = {3, 8, 26, 39, 40, -30}; // its feed, its place, who brought it, twice, a length, the body
    pen_init(&lost, &posts[TOWNSHIP], CASE, UP, NULL);
    pen_sign(&lost, 1, "lost", county, STREAM_ONE, &arrival);
    arrival_copy(&arrival, true, &copy);
    bench->receiver.restored = true;
    assert_int_equal(bench_receive(bench, &arrival), RECEIVED);
    bench->receiver.restored = false;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        rot(bench, 1, places[i]);
        assert_false(is_whole(bench, 1));
        arrival_copy(&copy, true, &again);
        assert_int_equal(bench_receive(bench, &again), RECEIVED);
        assert_true(is_whole(bench, 1));
        struct txn *txn = fixture_begin(bench->store, false);
        struct batch_row row = bench_row(bench, txn, 1);
        assert_true(station_equal(&row.from, &county->identity.station));
        fixture_commit(txn);
    }
    arrival_finish(&copy);
}

// Nor is more asked for than came back: its parent never had the body.
static void fault_10_17_an_own_row_that_came_back_without_its_body(void **state)
{
    struct bench *bench = *state;
    struct pen lost;
    struct arrival arrival, copy, again;
    static const int places[] = {3, 8, 26, 39, 40}; // its feed, its place, who brought it, twice, a length
    pen_init(&lost, &posts[TOWNSHIP], CASE, UP, NULL);
    pen_sign(&lost, 1, "lost", county, STREAM_ONE, &arrival);
    arrival_copy(&arrival, false, &copy);
    arrival_copy(&copy, false, &again);
    bench->receiver.restored = true;
    assert_int_equal(bench_receive(bench, &again), RECEIVED);
    bench->receiver.restored = false;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        rot(bench, 1, places[i]);
        assert_false(is_whole(bench, 1));
        arrival_copy(&copy, false, &again);
        assert_int_equal(bench_receive(bench, &again), RECEIVED);
        assert_true(is_whole(bench, 1));
    }
    arrival_finish(&arrival);
    arrival_finish(&copy);
}

static void fault_10_only_the_row_that_stood_there_is_put_back(void **state)
{
    struct bench *bench = *state;
    struct pen pen, fork;
    struct arrival copies[3], other_one, again;
    pen_init(&pen, village, CASE, UP, NULL);
    take_three(bench, &pen, copies);
    pen_init(&fork, village, CASE, UP, NULL);
    pen_sign(&fork, 2, "another history", village, STREAM_UP, &other_one);
    rot(bench, 1, 60);
    assert_int_equal(bench_receive(bench, &other_one), RECEIVED); // signed by the same station, but not what row 2 goes on from
    assert_false(is_whole(bench, 1));
    rot(bench, 2, 60); // now nothing proves the first
    arrival_copy(&copies[0], true, &again);
    assert_int_equal(bench_receive(bench, &again), RECEIVED);
    assert_false(is_whole(bench, 1));
    arrival_copy(&copies[1], false, &again); // its body was here: without it nothing is put back
    assert_int_equal(bench_receive(bench, &again), RECEIVED);
    assert_false(is_whole(bench, 2));
    for (unsigned i = 2; i-- > 0;) { // the newest first
        arrival_copy(&copies[i], true, &again);
        assert_int_equal(bench_receive(bench, &again), RECEIVED);
        assert_true(is_whole(bench, i + 1));
    }
    assert_int_equal(bench->applied, 3);
    for (unsigned i = 0; i < 3; i++)
        arrival_finish(&copies[i]);
}

static void fault_10_a_header_without_its_body(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival arrival, bare, with_body;
    struct feed_state before;
    pen_init(&pen, village, CASE, UP, NULL);
    pen_sign(&pen, 1, "late", village, STREAM_UP, &arrival);
    arrival_copy(&arrival, false, &bare);
    arrival_copy(&arrival, true, &with_body);
    arrival_finish(&arrival);
    assert_int_equal(bench_receive(bench, &bare), RECEIVED_BODILESS);
    before = feed_of(bench, &pen);
    assert_int_equal(before.bodies, 1);
    rot(bench, 1, 40);
    assert_int_equal(bench_receive(bench, &with_body), RECEIVED); // header put back, and the body taken as any late one
    assert_int_equal(bench->applied, 1);
    assert_int_equal(feed_of(bench, &pen).bodies, 2);
}

static void fault_10_bodies_are_not_counted_beyond_a_rotten_row(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival arrivals[4], header, again;
    pen_init(&pen, village, CASE, UP, NULL);
    for (unsigned i = 0; i < 4; i++)
        pen_sign(&pen, 2, "a figure", village, STREAM_UP, &arrivals[i]);
    arrival_copy(&arrivals[0], false, &header);
    arrival_copy(&arrivals[1], true, &again);
    assert_int_equal(bench_receive(bench, &header), RECEIVED_BODILESS);
    assert_int_equal(bench_receive(bench, &arrivals[1]), RECEIVED);
    assert_int_equal(bench_receive(bench, &arrivals[2]), RECEIVED);
    rot(bench, 2, -30);
    assert_int_equal(bench_receive(bench, &arrivals[0]), RECEIVED);
    assert_int_equal(feed_of(bench, &pen).bodies, 3); // what the rotten row holds is not known
    assert_int_equal(bench_receive(bench, &again), RECEIVED);
    assert_true(is_whole(bench, 2));
    assert_int_equal(bench_receive(bench, &arrivals[3]), RECEIVED);
    assert_int_equal(feed_of(bench, &pen).bodies, 9);
    assert_int_equal(bench->applied, 4);
}

static void fault_10_what_waited_for_a_rotten_row_follows_it(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival copies[3], again;
    struct stream_row rows[16];
    pen_init(&pen, village, CASE, UP, NULL);
    take_three(bench, &pen, copies);
    uint32_t before = bench_rows(bench, STREAM_UP, CASE, NULL, rows, 16);
    rot(bench, 2, 60);
    struct txn *txn = fixture_begin(bench->store, true);
    assert_true(quarantine_batch(txn, 2, true, 1));
    fixture_commit(txn);
    arrival_copy(&copies[1], true, &again);
    assert_int_equal(bench_receive(bench, &again), RECEIVED);
    assert_int_equal(bench_rows(bench, STREAM_UP, CASE, NULL, rows, 16), before + 2);
    assert_true(rows[before].batch == 2 && rows[before + 1].batch == 3);
    for (unsigned i = 0; i < 3; i++)
        arrival_finish(&copies[i]);
}

static void fault_10_a_certificate_and_a_document_are_put_back(void **state)
{
    struct bench *bench = *state;
    struct bytes text = bytes_of_text("a document");
    struct hash name = crypto_hash(TAG_DOCUMENT, text);
    struct arrival arrival;
    object_arrives(&name, text, county, STREAM_ALL, BULK, &arrival);
    assert_int_equal(bench_receive(bench, &arrival), RECEIVED);
    const struct hash *const hashes[] = {&name, &village->certificate.hash};
    const struct bytes contents[] = {text, buffer_bytes(&village->wire)};
    for (unsigned i = 0; i < 2; i++) {
        static uint8_t value[4096];
        static const enum table tables[] = {TABLE_OBJECTS, TABLE_COPIES};
        struct txn *txn = fixture_begin(bench->store, true);
        for (unsigned j = 0; j < 2; j++) {
            struct bytes held;
            assert_true(txn_get(txn, tables[j], bytes_of(hashes[i]->bytes, HASH_SIZE), &held));
            size_t size = held.size;
            memcpy(value, held.data, size);
            value[5] ^= 1;
            txn_put(txn, tables[j], bytes_of(hashes[i]->bytes, HASH_SIZE), bytes_of(value, size));
        }
        assert_true(quarantine_object(txn, hashes[i], 1));
        fixture_commit(txn);
        object_arrives(hashes[i], bytes_of_text("not it"), county, STREAM_ONE, BULK, &arrival);
        assert_int_equal(bench_receive(bench, &arrival), RECEIVED_FORGED);
        object_arrives(hashes[i], contents[i], county, STREAM_ONE, BULK, &arrival);
        assert_int_equal(bench_receive(bench, &arrival), RECEIVED);
        txn = fixture_begin(bench->store, false);
        assert_true(object_intact(txn, hashes[i]));
        assert_int_equal(quarantine_count(txn).mended, i + 1);
        fixture_commit(txn);
    }
}

static void assert_refused(struct bench *bench, struct pen *pen, const struct post *peer, unsigned stream)
{
    assert_int_equal(bench_take(bench, pen, 1, "not here", peer, stream), RECEIVED_FORGED);
    assert_nothing(bench);
}

static void fault_29_a_batch_on_another_way_or_lane(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival arrival;
    pen_init(&pen, village, CONTROL, SUBTREE, NULL); // what is for below comes from below
    assert_refused(bench, &pen, village, STREAM_UP);
    pen_init(&pen, village, CONTROL, SUBTREE, NULL); // a village that speaks to those above it
    assert_refused(bench, &pen, county, STREAM_ALL);
    pen_init(&pen, village, CASE, UP, NULL); // what is for above comes from above
    assert_refused(bench, &pen, county, STREAM_ALL);
    pen_init(&pen, county, CASE, UP, NULL); // somebody above, said to have sent it up to us
    assert_refused(bench, &pen, village, STREAM_UP);
    pen_init(&pen, &posts[TOWNSHIP], CASE, UP, NULL); // our own
    assert_refused(bench, &pen, village, STREAM_UP);
    pen_init(&pen, county, CONTROL, SUBTREE, NULL); // the county's orders, brought by a village
    assert_refused(bench, &pen, village, STREAM_UP);
    pen_init(&pen, village, CASE, UP, NULL);
    pen_sign(&pen, 1, "case", village, STREAM_UP, &arrival);
    pen_init(&pen, &posts[TOWNSHIP], CONTROL, SUBTREE, NULL); // our own for those below, said to have been lost here
    assert_refused(bench, &pen, county, STREAM_ONE);
    arrival.lane = SANJI__LANE__URGENT; // a lane that it has no right to
    assert_int_equal(bench_receive(bench, &arrival), RECEIVED_FORGED);
    assert_nothing(bench);
}

// What was fetched again may come from any neighbour: but only as the very batch that is here.
static void fault_29_another_way_brings_nothing_new(void **state)
{
    struct bench *bench = *state;
    struct pen pen, fork;
    struct arrival arrival, copy, other_one;
    pen_init(&pen, village, CASE, UP, NULL);
    fork = pen;
    pen_sign(&pen, 1, "case", village, STREAM_UP, &arrival);
    arrival_copy(&arrival, false, &copy);
    assert_int_equal(bench_receive(bench, &copy), RECEIVED_BODILESS);
    arrival_copy(&arrival, true, &copy);
    copy.stream = STREAM_ONE;
    copy.peer = county->identity.station;
    assert_int_equal(bench_receive(bench, &copy), RECEIVED_FORGED); // its body is owed by those below
    arrival_copy(&arrival, false, &copy);
    copy.stream = STREAM_ONE;
    copy.peer = county->identity.station;
    assert_int_equal(bench_receive(bench, &copy), RECEIVED); // the header is here
    assert_int_equal(bench->applied, 0);
    arrival_copy(&arrival, true, &copy);
    assert_int_equal(bench_receive(bench, &copy), RECEIVED);
    pen_sign(&fork, 1, "another", county, STREAM_ONE, &other_one);
    assert_int_equal(bench_receive(bench, &other_one), RECEIVED_FORGED);
    arrival_copy(&arrival, true, &copy);
    copy.stream = STREAM_ONE;
    copy.peer = county->identity.station;
    assert_int_equal(bench_receive(bench, &copy), RECEIVED);
    assert_int_equal(bench_count(bench, TABLE_EVIDENCE), 0);
    assert_int_equal(bench->applied, 1);
    assert_int_equal(bench_end(bench), 1);
    arrival_finish(&arrival);
}

// It asked for a damaged batch again; then its store was put back, and has never heard of it.
static void fault_17_what_was_asked_for_before_is_passed_over(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    bench->receiver.put_back = true;
    pen_init(&pen, village, CASE, UP, NULL);
    assert_int_equal(bench_take(bench, &pen, 1, "case", county, STREAM_ONE), RECEIVED);
    pen_init(&pen, county, CONTROL, SUBTREE, NULL);
    assert_int_equal(bench_take(bench, &pen, 1, "order", village, STREAM_UP), RECEIVED);
    assert_nothing(bench);                           // each comes the way that it came first
    pen_init(&pen, village, CONTROL, SUBTREE, NULL); // what never came here
    assert_refused(bench, &pen, village, STREAM_UP);
    pen_init(&pen, county, CASE, UP, NULL);
    assert_refused(bench, &pen, county, STREAM_ONE);
    pen_init(&pen, &posts[TOWNSHIP], CONTROL, SUBTREE, NULL);
    assert_refused(bench, &pen, county, STREAM_ONE);
}

static void fault_27_each_bit_of_a_batch(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival good;
    pen_init(&pen, village, CASE, UP, NULL);
    pen_sign(&pen, 2, "case", village, STREAM_UP, &good);
    struct buffer *parts[] = {&good.header, &good.signature, &good.body};
    for (unsigned part = 0; part < 3; part++)
        for (size_t bit = 0; bit < 8 * parts[part]->size; bit++) {
            parts[part]->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
            struct arrival bad;
            arrival_copy(&good, true, &bad);
            enum received received = bench_receive(bench, &bad);
            assert_true(received == RECEIVED_FORGED || received == RECEIVED_GAP); // a gap: another signer's name, whom nobody knows
            parts[part]->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    assert_nothing(bench);
    assert_int_equal(bench_receive(bench, &good), RECEIVED);
}

static void fault_27_another_signature(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct arrival arrival, theirs;
    pen_init(&pen, village, CASE, UP, NULL);
    pen_sign(&pen, 1, "case", village, STREAM_UP, &arrival);
    pen_init(&pen, other, CASE, UP, NULL);
    pen_sign(&pen, 1, "case", other, STREAM_UP, &theirs);
    crypto_sign(&other->identity.sign.secret_key, TAG_SIGN_HEADER, buffer_bytes(&arrival.header), arrival.signature.data);
    struct error error = {0};
    struct txn *txn = fixture_begin(bench->store, false);
    assert_int_equal(arrival_check(&arrival, bench->signers, txn, &error), ERR_FORGED);
    assert_false(arrival.checked);
    fixture_commit(txn);
    assert_int_equal(bench_receive(bench, &arrival), RECEIVED_FORGED);
    theirs.signature.size--;
    assert_int_equal(bench_receive(bench, &theirs), RECEIVED_FORGED);
    assert_nothing(bench);
}

// ---- from above, and on to one station

static void from_above_to_one_below(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct stream_row rows[8];
    pen_init(&pen, village, CASE, UP, NULL);
    assert_int_equal(bench_take(bench, &pen, 1, "case", village, STREAM_UP), RECEIVED); // from now on it can be reached
    pen_init(&pen, county, CASE, STATION, &village->identity.station);
    assert_int_equal(bench_take(bench, &pen, 1, "receipt", county, STREAM_ONE), RECEIVED);
    assert_int_equal(bench_rows(bench, STREAM_ONE, CASE, &village->identity.station, rows, 8), 3);
    assert_true(rows[2].batch == 2 && !rows[2].bodiless);
    pen_init(&pen, county, CASE, STATION, &posts[TOWNSHIP].identity.station);
    assert_int_equal(bench_take(bench, &pen, 1, "receipt", county, STREAM_ONE), RECEIVED); // for us: goes nowhere
    assert_int_equal(bench->grown.one_count, 1);
    pen_init(&pen, county, CONTROL, SUBTREE, NULL);
    assert_int_equal(bench_take(bench, &pen, 1, "announcement", county, STREAM_ALL), RECEIVED);
    assert_int_equal(bench_rows(bench, STREAM_ALL, CONTROL, NULL, rows, 8), 3);
    assert_int_equal(bench->applied, 4);
}

static void what_waits_for_a_way_to_its_addressee_comes_whole(void **state)
{
    struct bench *bench = *state;
    struct pen pen, from;
    struct stream_row rows[8];
    const struct station_id *to = &village->identity.station;
    pen_init(&pen, county, CASE, STATION, to);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(bench_take(bench, &pen, 2, "receipt", county, STREAM_ONE), RECEIVED); // nobody knows where yet
    assert_int_equal(bench_rows(bench, STREAM_ONE, CASE, to, rows, 8), 0);
    assert_int_equal(bench->grown.one_count, 0);
    pen_init(&from, village, CASE, UP, NULL);
    assert_int_equal(bench_take(bench, &from, 1, "case", village, STREAM_UP), RECEIVED);
    assert_int_equal(bench_rows(bench, STREAM_ONE, CASE, to, rows, 8), 5); // the county's certificates, and all three from the first on
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(rows[2 + i].batch, i + 1);
    assert_true(bench->grown.one_count == 1 && bench->grown.one[0].end == 5);
    assert_int_equal(bench_take(bench, &pen, 1, "receipt", county, STREAM_ONE), RECEIVED);
    assert_int_equal(bench_rows(bench, STREAM_ONE, CASE, to, rows, 8), 6);
}

// ---- the way of a batch

static void fault_29_a_batch_by_way_of_a_station_it_is_not_below(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct station_id via;
    pen_init(&pen, other, CASE, UP, NULL);
    assert_int_equal(bench_take(bench, &pen, 1, "case", village, STREAM_UP), RECEIVED_FORGED);
    assert_int_equal(bench_end(bench), 0);
    assert_int_equal(alarms(bench, "wrong-way"), 1);
    struct txn *txn = fixture_begin(bench->store, false);
    assert_false(route_via(txn, &other->identity.station, &via));
    fixture_commit(txn);
    pen_init(&pen, other, CASE, UP, NULL);
    assert_int_equal(bench_take(bench, &pen, 1, "case", other, STREAM_UP), RECEIVED);
    assert_int_equal(bench_take(bench, &pen, 1, "case", village, STREAM_UP), RECEIVED_FORGED); // nor when it is known
}

static void enrol(struct bench *bench, const struct post *post, const char *unit, bool barred)
{
    struct peer peer = {.station = post->identity.station, .transport_key = post->identity.transport.public_key, .barred = barred};
    snprintf(peer.unit, sizeof peer.unit, "%s", unit);
    struct txn *txn = fixture_begin(bench->store, true);
    peer_write(txn, &peer);
    fixture_commit(txn);
}

static void a_station_that_takes_anothers_place_becomes_the_way(void **state)
{
    (void)state;
    struct bench bench;
    struct post second;
    struct pen pen, down;
    struct station_id via;
    struct stream_row rows[8];
    bench_open(&bench, posts, COUNTY, NULL);
    bench_store_certificate(&bench, &posts[TOWNSHIP]);
    bench_store_certificate(&bench, village);
    enrol(&bench, &posts[TOWNSHIP], "321081100", false);
    pen_init(&pen, village, CASE, UP, NULL);
    assert_int_equal(bench_take(&bench, &pen, 1, "case", &posts[TOWNSHIP], STREAM_UP), RECEIVED);
    pen_init(&down, &posts[PROVINCE], CASE, STATION, &village->identity.station);
    assert_int_equal(bench_take(&bench, &down, 1, "receipt", &posts[PROVINCE], STREAM_ONE), RECEIVED);
    // The village says something to us directly: that is allowed, and no better way.
    assert_int_equal(bench_take(&bench, &pen, 1, "case", village, STREAM_UP), RECEIVED);
    struct txn *txn = fixture_begin(bench.store, false);
    assert_true(route_via(txn, &village->identity.station, &via) && station_equal(&via, &posts[TOWNSHIP].identity.station));
    fixture_commit(txn);
    // The township's computer is replaced: another station, the same unit.
    post_init(&second, county, "321081100", 2);
    bench_store_certificate(&bench, &second);
    enrol(&bench, &second, "321081100", false);
    assert_int_equal(bench_take(&bench, &pen, 1, "case", &second, STREAM_UP), RECEIVED);
    txn = fixture_begin(bench.store, false);
    assert_true(route_via(txn, &village->identity.station, &via) && station_equal(&via, &second.identity.station));
    fixture_commit(txn);
    assert_int_equal(bench_rows(&bench, STREAM_ONE, CASE, &via, rows, 8),
                     2); // the province's certificate, and the receipt from the first on
    post_finish(&second);
    bench_close(&bench);
}

// ---- objects

static enum received take_object(struct bench *bench, const struct hash *name, struct bytes content, const struct post *peer,
                                 unsigned stream)
{
    struct arrival arrival;
    object_arrives(name, content, peer, stream, CASE, &arrival);
    struct error error = {0};
    struct txn *txn = fixture_begin(bench->store, false);
    assert_int_equal(arrival_check(&arrival, bench->signers, txn, &error), OK); // judged when stored
    fixture_commit(txn);
    return bench_receive(bench, &arrival);
}

static enum received take_certificate(struct bench *bench, const struct post *post)
{
    return take_object(bench, &post->certificate.hash, buffer_bytes(&post->wire), village, STREAM_UP);
}

static bool holds(struct bench *bench, const struct hash *hash, enum object_kind *ret_kind)
{
    struct bytes content;
    struct txn *txn = fixture_begin(bench->store, false);
    bool found = object_read(txn, hash, ret_kind, &content);
    fixture_commit(txn);
    return found;
}

static void a_certificate_is_admitted(void **state)
{
    struct bench *bench = *state;
    struct post below, further;
    enum object_kind kind;
    post_init(&below, village, "321081100201001", 4);
    post_init(&further, &below, "321081100201001001", 5);
    assert_int_equal(take_certificate(bench, &further), RECEIVED_GAP); // its issuer comes first
    assert_int_equal(take_certificate(bench, &below), RECEIVED);
    assert_true(holds(bench, &below.certificate.hash, &kind) && kind == OBJECT_CERTIFICATE);
    assert_int_equal(bench->certified, 1);
    assert_int_equal(take_certificate(bench, &below), RECEIVED); // again: known
    assert_int_equal(bench->certified, 1);
    assert_int_equal(take_certificate(bench, &further), RECEIVED);
    assert_int_equal(take_certificate(bench, &posts[PROVINCE]), RECEIVED); // the root record itself
    assert_int_equal(bench->certified, 2);
    post_finish(&below);
    post_finish(&further);
}

static void fault_27_a_certificate_that_is_none(void **state)
{
    struct bench *bench = *state;
    struct post below, forged;
    enum object_kind kind;
    struct hash wrong = a_hash(9);
    post_init(&below, village, "321081100201001", 4);
    bench->refuses_certificates = true; // a unit that is not below its issuer's
    assert_int_equal(take_certificate(bench, &below), RECEIVED_FORGED);
    assert_false(holds(bench, &below.certificate.hash, &kind));
    bench->refuses_certificates = false;
    assert_int_equal(take_object(bench, &wrong, buffer_bytes(&below.wire), village, STREAM_UP), RECEIVED_FORGED); // under another name
    assert_false(holds(bench, &wrong, &kind));
    assert_int_equal(take_certificate(bench, &posts[STRANGER]), RECEIVED_FORGED); // another root
    post_init(&forged, village, "321081100201002", 4);
    forged.wire.data[forged.wire.size - 1] ^= 1; // its signature
    assert_int_equal(take_certificate(bench, &forged), RECEIVED_FORGED);
    assert_int_equal(take_object(bench, &wrong, bytes_of_text("nothing of the kind"), village, STREAM_UP), RECEIVED_FORGED);
    assert_int_equal(take_object(bench, &wrong, bytes_of(NULL, 0), village, STREAM_UP), RECEIVED_FORGED);
    post_finish(&below);
    post_finish(&forged);
}

static void a_document_comes_from_above_and_goes_on(void **state)
{
    struct bench *bench = *state;
    struct bytes text = bytes_of_text("id: codebook");
    struct hash name = crypto_hash(TAG_DOCUMENT, text);
    struct stream_row rows[4];
    enum object_kind kind;
    assert_int_equal(take_object(bench, &name, text, village, STREAM_UP), RECEIVED_FORGED); // never from below
    assert_false(holds(bench, &name, &kind));
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(take_object(bench, &name, text, county, STREAM_ALL), RECEIVED);
    assert_true(holds(bench, &name, &kind) && kind == OBJECT_DOCUMENT);
    assert_int_equal(bench->documents, 1);
    assert_int_equal(bench_rows(bench, STREAM_ALL, BULK, NULL, rows, 4), 1);
    assert_true(rows[0].is_object && hash_equal(&rows[0].object, &name));
    assert_int_equal(bench->grown.down_all[BULK - 1], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECEIVE_TEST(the_next_batch_is_stored_applied_and_sent_on),
        RECEIVE_TEST(fault_23_a_replay_changes_nothing),
        RECEIVE_TEST(a_body_comes_after_its_header),
        RECEIVE_TEST(bodies_that_come_late_close_the_gap),
        RECEIVE_TEST(a_long_row_of_late_bodies_is_caught_up_with),
        RECEIVE_TEST(fault_26_a_hole_is_refused),
        RECEIVE_TEST(a_signer_whose_certificate_has_not_come),
        RECEIVE_TEST(a_body_beyond_its_reach_is_dropped),
        RECEIVE_TEST(what_the_layer_above_says_is_journaled),
        RECEIVE_TEST(a_late_body_may_be_deferred),
        RECEIVE_TEST(fault_20_a_second_history_is_kept_as_evidence),
        RECEIVE_TEST(fault_22_a_place_is_never_written_over),
        RECEIVE_TEST(fault_20_a_long_second_history_stops_nobody),
        RECEIVE_TEST(fault_26_a_disputed_feed_has_holes_like_any_other),
        RECEIVE_TEST(a_fork_that_begins_inside_a_batch),
        RECEIVE_TEST(fault_29_a_batch_on_another_way_or_lane),
        RECEIVE_TEST(fault_27_each_bit_of_a_batch),
        RECEIVE_TEST(fault_27_another_signature),
        RECEIVE_TEST(from_above_to_one_below),
        RECEIVE_TEST(what_waits_for_a_way_to_its_addressee_comes_whole),
        RECEIVE_TEST(fault_29_a_batch_by_way_of_a_station_it_is_not_below),
        RECEIVE_TEST(a_station_that_takes_anothers_place_becomes_the_way),
        RECEIVE_TEST(a_certificate_is_admitted),
        RECEIVE_TEST(fault_27_a_certificate_that_is_none),
        RECEIVE_TEST(a_document_comes_from_above_and_goes_on),
        RECEIVE_TEST(fault_10_a_rotten_row_is_put_back_without_a_second_effect),
        RECEIVE_TEST(fault_10_an_own_row_comes_back_from_above),
        RECEIVE_TEST(fault_10_17_an_own_row_that_came_back_before),
        RECEIVE_TEST(fault_10_17_an_own_row_that_came_back_without_its_body),
        RECEIVE_TEST(fault_10_only_the_row_that_stood_there_is_put_back),
        RECEIVE_TEST(fault_10_a_header_without_its_body),
        RECEIVE_TEST(fault_10_bodies_are_not_counted_beyond_a_rotten_row),
        RECEIVE_TEST(fault_29_another_way_brings_nothing_new),
        RECEIVE_TEST(fault_17_what_was_asked_for_before_is_passed_over),
        RECEIVE_TEST(fault_10_what_waited_for_a_rotten_row_follows_it),
        RECEIVE_TEST(fault_10_a_certificate_and_a_document_are_put_back),
        RECEIVE_TEST(fault_10_a_damaged_row_of_the_feed_fails_the_transaction),
        RECEIVE_TEST(a_header_that_does_not_decode_holds_the_bodies_back),
        RECEIVE_TEST(fault_26_a_hole_behind_what_is_held_is_refused),
    };
    return cmocka_run_group_tests_name("relay/receive", tests, NULL, NULL);
}
