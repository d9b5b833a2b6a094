#include "relay/incarnation.h"

#include "tests/unit/relay/station_fixture.h"

enum { UP = SANJI__AUDIENCE__UP, SUBTREE = SANJI__AUDIENCE__SUBTREE, CASE = SANJI__LANE__CASE, CONTROL = SANJI__LANE__CONTROL };
enum { STREAM_UP = SANJI__STREAM__STREAM_UP, STREAM_ONE = SANJI__STREAM__STREAM_DOWN_ONE };
enum { NOW = 1700000000 };

static const struct post *const township = &posts[TOWNSHIP], *const village = &posts[VILLAGE];

// The township, which holds what the village sent, and the village, whose store is empty: as if put back from the first day.
struct family {
    struct bench parent, child;
    struct pen pen;
    struct arrival sent[8];
    uint32_t count;
};

static int setup(void **state)
{
    struct family *family = calloc(1, sizeof *family);
    posts_init(posts);
    bench_open(&family->parent, posts, TOWNSHIP, NULL);
    bench_open(&family->child, posts, VILLAGE, NULL);
    bench_store_certificate(&family->parent, village);
    pen_init(&family->pen, village, CASE, UP, NULL);
    *state = family;
    return 0;
}

static int teardown(void **state)
{
    struct family *family = *state;
    for (uint32_t i = 0; i < family->count; i++)
        arrival_finish(&family->sent[i]);
    bench_close(&family->parent);
    bench_close(&family->child);
    posts_finish(posts);
    free(family);
    return 0;
}

#define FAMILY_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

// Batches of two entries that the village signed and the township holds; without a body where it may not travel.
static void send_up(struct family *family, uint32_t batches, bool with_body)
{
    for (uint32_t i = 0; i < batches; i++) {
        struct arrival arrival;
        struct arrival *kept = &family->sent[family->count++];
        pen_sign(&family->pen, 2, "case", village, STREAM_UP, kept);
        arrival_copy(kept, with_body, &arrival);
        bench_receive(&family->parent, &arrival);
    }
}

static struct incarnation_ask ask_of(uint64_t nonce)
{
    return (struct incarnation_ask){.station = village->identity.station, .unit = "V", .ordinal = 1, .nonce = nonce};
}

static enum error_code grant(struct family *family, const struct incarnation_ask *ask, struct incarnation_grant *ret)
{
    struct error error = {0};
    struct grown grown = {0};
    struct txn *txn = fixture_begin(family->parent.store, true);
    enum error_code code = incarnation_grant(txn, &family->parent.receiver.place, ask, NOW, &grown, ret, &error);
    fixture_commit(txn);
    return code;
}

static uint32_t batches_to(struct family *family)
{
    static struct stream_row rows[2048];
    uint32_t count = bench_rows(&family->parent, STREAM_ONE, CASE, &village->identity.station, rows, 2048), batches = 0;
    for (uint32_t i = 0; i < count; i++)
        batches += !rows[i].is_object;
    return batches;
}

static enum received take_back(struct family *family, uint32_t which, bool with_body)
{
    struct arrival arrival;
    arrival_copy(&family->sent[which], with_body, &arrival);
    arrival.stream = STREAM_ONE;
    arrival.peer = township->identity.station;
    return bench_receive(&family->child, &arrival);
}

static bool whole(struct family *family, const struct incarnation_grant *granted)
{
    struct txn *txn = fixture_begin(family->child.store, false);
    bool is = incarnation_whole(txn, granted->heads, granted->count);
    fixture_commit(txn);
    return is;
}

// ---- granting

static void fault_18_a_nonce_gets_one_ordinal(void **state)
{
    struct family *family = *state;
    struct incarnation_grant granted;
    struct incarnation_ask ask = ask_of(7), other = ask_of(8);
    send_up(family, 3, true);
    assert_int_equal(grant(family, &ask, &granted), OK);
    assert_true(granted.ordinal == 2 && granted.fresh && !granted.more && granted.count == 1);
    assert_true(granted.heads[0].next == 7 && hash_equal(&granted.heads[0].last, &family->pen.state.last));
    assert_int_equal(batches_to(family), 3);
    assert_int_equal(grant(family, &ask, &granted), OK); // a lost answer
    assert_true(granted.ordinal == 2 && !granted.fresh);
    assert_int_equal(batches_to(family), 3); // nothing twice
    assert_int_equal(grant(family, &other, &granted), OK);
    assert_int_equal(granted.ordinal, 3);
    other = ask_of(9);
    other.ordinal = 40; // the child knows more than a parent that was restored itself
    assert_int_equal(grant(family, &other, &granted), OK);
    assert_int_equal(granted.ordinal, 41);
    assert_int_equal(bench_count(&family->parent, TABLE_ALARMS), 3); // one for each granted
}

static void fault_18_only_what_the_child_lacks_is_sent(void **state)
{
    struct family *family = *state;
    struct incarnation_grant granted;
    struct incarnation_ask ask = ask_of(7);
    send_up(family, 5, true);
    ask.own[0] = (struct head){.feed = family->pen.feed, .next = 7};
    ask.own_count = 1;
    assert_int_equal(grant(family, &ask, &granted), OK);
    assert_int_equal(batches_to(family), 2);
    send_up(family, 1, true); // what came by another way in between
    assert_int_equal(grant(family, &ask, &granted), OK);
    assert_int_equal(batches_to(family), 3);
    assert_int_equal(granted.heads[0].next, 13);
}

static void fault_18_a_long_tail_comes_in_pages(void **state)
{
    struct family *family = *state;
    struct incarnation_grant granted = {.more = true};
    struct incarnation_ask ask = ask_of(7);
    for (uint32_t i = 0; i < GRANT_ROWS_MAX + 20; i++)
        bench_take(&family->parent, &family->pen, 1, "case", village, STREAM_UP);
    assert_int_equal(grant(family, &ask, &granted), OK);
    assert_true(granted.more);
    assert_int_equal(batches_to(family), GRANT_ROWS_MAX);
    assert_int_equal(grant(family, &ask, &granted), OK); // also after a crash of the parent
    assert_false(granted.more);
    assert_int_equal(batches_to(family), GRANT_ROWS_MAX + 20);
    assert_int_equal(granted.ordinal, 2);
}

static void fault_18_a_nonce_that_was_used_is_refused(void **state)
{
    struct family *family = *state;
    struct incarnation_grant granted;
    struct incarnation_ask ask = ask_of(7);
    assert_int_equal(grant(family, &ask, &granted), OK);
    family->pen.feed.ordinal = granted.ordinal;
    family->pen.feed.nonce = 7;
    send_up(family, 1, true); // it opened it, and signed
    assert_int_equal(grant(family, &ask, &granted), OK);
    assert_int_equal(granted.ordinal, 0);
    ask = ask_of(8);
    assert_int_equal(grant(family, &ask, &granted), OK);
    assert_int_equal(granted.ordinal, 3);
}

static void fault_18_grants_are_bounded(void **state)
{
    struct family *family = *state;
    struct incarnation_grant granted = {.ordinal = 99};
    struct incarnation_ask ask;
    for (uint64_t i = 1; i <= GRANTS_MAX; i++) {
        ask = ask_of(i);
        assert_int_equal(grant(family, &ask, &granted), OK);
    }
    ask = ask_of(GRANTS_MAX + 1);
    assert_int_equal(grant(family, &ask, &granted), ERR_LIMIT);
    ask = ask_of(5); // one that was granted still is
    assert_int_equal(grant(family, &ask, &granted), OK);
    assert_int_equal(granted.ordinal, 6);
    ask.station.bytes[3] ^= 1;
    ask.ordinal = UINT32_MAX;
    assert_int_equal(grant(family, &ask, &granted), ERR_LIMIT); // no ordinal is left
    ask.ordinal = 1;
    assert_int_equal(grant(family, &ask, &granted), OK); // another station's grants are its own
    assert_int_equal(granted.ordinal, 2);
}

// ---- the tail comes back

static void fault_18_the_lost_tail_is_taken(void **state)
{
    struct family *family = *state;
    struct incarnation_grant granted;
    struct incarnation_ask ask = ask_of(7);
    struct feed_state feed;
    send_up(family, 2, true);
    send_up(family, 1, false);
    assert_int_equal(grant(family, &ask, &granted), OK);
    family->child.receiver.restored = true;
    assert_false(whole(family, &granted));
    assert_int_equal(take_back(family, 0, true), RECEIVED);
    assert_int_equal(take_back(family, 2, false), RECEIVED); // passed by: it comes again
    assert_int_equal(bench_end(&family->child), 1);
    assert_int_equal(take_back(family, 1, true), RECEIVED);
    assert_false(whole(family, &granted));
    assert_int_equal(take_back(family, 2, false), RECEIVED); // a header alone stands, and is owed no body
    assert_true(whole(family, &granted));
    assert_int_equal(take_back(family, 1, true), RECEIVED); // again: no harm
    assert_int_equal(bench_end(&family->child), 3);
    assert_int_equal(family->child.applied, 2);
    assert_true(bench_feed(&family->child, &family->pen.feed, &feed));
    assert_true(feed.next == 7 && feed.bodies == 7 && !feed.disputed);
    struct arrival arrival; // what is its own comes from above only, and addressed to it
    send_up(family, 1, true);
    arrival_copy(&family->sent[3], true, &arrival);
    arrival.peer = township->identity.station;
    arrival.stream = SANJI__STREAM__STREAM_DOWN_ALL;
    assert_int_equal(bench_receive(&family->child, &arrival), RECEIVED_FORGED);
}

// A copy was put back once, and its tail with it; then the disk is lost. The stream still begins with that tail, which follows nothing
// here.
static void fault_18_a_store_that_is_lost_after_a_tail_came_back(void **state)
{
    struct family *family = *state;
    struct incarnation_grant granted;
    struct incarnation_ask once = ask_of(7), again = ask_of(8);
    struct feed_state feed;
    send_up(family, 4, true);
    once.own[0] = (struct head){.feed = family->pen.feed, .next = 5};
    once.own_count = 1;
    assert_int_equal(grant(family, &once, &granted), OK);
    assert_int_equal(grant(family, &again, &granted), OK);
    assert_int_equal(batches_to(family), 2 + 4);
    family->child.receiver.restored = true;
    static const uint32_t order[] = {2, 3, 0, 1, 2, 3}; // of the stream
    for (uint32_t i = 0; i < 6; i++) {
        assert_false(whole(family, &granted));
        assert_int_equal(take_back(family, order[i], true), RECEIVED); // or the link would repair it for ever
    }
    assert_true(whole(family, &granted));
    assert_true(bench_feed(&family->child, &family->pen.feed, &feed) && feed.next == 9 && feed.bodies == 9 && !feed.disputed);
    assert_int_equal(family->child.applied, 4);
}

static void fault_18_its_own_unknown_batch_tells_a_station_that_it_was_restored(void **state)
{
    struct family *family = *state;
    send_up(family, 2, true);
    assert_int_equal(take_back(family, 0, true), RECEIVED_OWN);
    assert_int_equal(take_back(family, 1, true), RECEIVED_OWN);
    assert_int_equal(bench_end(&family->child), 0); // nothing of it is stored before it knows
    struct head head = {.feed = family->pen.feed, .next = 3, .last = {{1}}};
    struct txn *txn = fixture_begin(family->child.store, false);
    assert_true(incarnation_behind(txn, &village->identity.station, &head, 1));
    assert_false(incarnation_behind(txn, &township->identity.station, &head, 1)); // another's feed
    fixture_commit(txn);
}

static void fault_20_two_histories_of_one_station_are_told_apart(void **state)
{
    struct family *family = *state;
    struct incarnation_grant granted;
    struct incarnation_ask ask = ask_of(7);
    struct feed_state feed;
    send_up(family, 2, true);
    family->child.receiver.restored = true;
    assert_int_equal(take_back(family, 0, true), RECEIVED);
    struct pen second = family->pen; // it went on from there with something else, as long as the first history
    second.state.next = 3;
    second.state.bodies = 3;
    struct txn *txn = fixture_begin(family->child.store, false);
    uint32_t id;
    assert_true(feed_find(txn, &family->pen.feed, &id, &feed));
    fixture_commit(txn);
    second.state.last = feed.last;
    struct arrival arrival;
    pen_sign(&second, 2, "another", township, STREAM_ONE, &arrival);
    assert_int_equal(bench_receive(&family->child, &arrival), RECEIVED);
    assert_int_equal(grant(family, &ask, &granted), OK);
    txn = fixture_begin(family->child.store, true);
    assert_true(incarnation_behind(txn, &village->identity.station, granted.heads, granted.count));
    assert_true(incarnation_whole(txn, granted.heads, granted.count)); // nothing is missing: two are there
    incarnation_open(txn, &family->child.receiver.place, granted.ordinal, ask.nonce, granted.heads, granted.count, NOW);
    fixture_commit(txn);
    assert_true(bench_feed(&family->child, &family->pen.feed, &feed));
    assert_true(feed.disputed);
    struct stream_row rows[8]; // its certificate and two batches before, and those batches again, for the parent to keep
    assert_int_equal(bench_rows(&family->child, STREAM_UP, CASE, NULL, rows, 8), 5);
    assert_true(rows[3].batch == rows[1].batch && rows[4].batch == rows[2].batch);
    assert_int_equal(take_back(family, 1, true), RECEIVED); // the other one is kept
    assert_int_equal(bench_count(&family->child, TABLE_EVIDENCE), 1);
}

// What follows the other history, which is kept as evidence, says nothing of rows that were lost: the station would be suspended for ever.
static void fault_19_what_follows_the_other_history_suspends_nobody(void **state)
{
    struct family *family = *state;
    struct feed_state feed;
    struct arrival arrival;
    send_up(family, 1, true);
    struct pen second = family->pen;
    send_up(family, 3, true);
    family->child.receiver.restored = true;
    assert_int_equal(take_back(family, 0, true), RECEIVED);
    pen_sign(&second, 1, "another", township, STREAM_ONE, &arrival);
    assert_int_equal(bench_receive(&family->child, &arrival), RECEIVED);
    assert_int_equal(take_back(family, 1, true), RECEIVED);
    family->child.receiver.restored = false; // its next incarnation is open
    assert_int_equal(take_back(family, 2, true), RECEIVED);
    assert_int_equal(take_back(family, 3, true), RECEIVED); // also where the one before it is not here
    assert_int_equal(bench_count(&family->child, TABLE_EVIDENCE), 3);
    assert_int_equal(bench_end(&family->child), 2);
    assert_true(bench_feed(&family->child, &family->pen.feed, &feed) && feed.disputed && feed.next == 4);
}

// ---- the marker

static void fault_18_from_restored_to_open(void **state)
{
    struct family *family = *state;
    struct marker marker = {.station = village->identity.station, .ordinal = 1, .nonce = 77, .starts = 5}, kept;
    struct journal_meta meta;
    struct error error = {0};
    struct txn *txn = fixture_begin(family->child.store, true);
    assert_int_equal(journal_meta_read(txn, &meta, &error), OK);
    marker.starts = meta.starts;
    assert_int_equal(incarnation_look(txn, &meta, NULL), INCARNATION_RESTORED);
    incarnation_settle(txn, &marker);
    assert_int_equal(incarnation_look(txn, &meta, &marker), INCARNATION_SOUND);
    marker.starts++;
    assert_int_equal(incarnation_look(txn, &meta, &marker), INCARNATION_RESTORED);
    incarnation_suspend(txn, &meta, &marker, 8);
    assert_true(marker.restored && marker.wants == 8);
    incarnation_suspend(txn, &meta, &marker, 9); // another copy was put back, or nothing was written yet
    assert_int_equal(marker.wants, 9);
    assert_true(incarnation_renew(txn, &meta, &marker));
    incarnation_suspend(txn, &meta, &marker, 10); // with this store it asks for the same one, whatever happens
    assert_int_equal(marker.wants, 9);
    assert_false(incarnation_renew(txn, &meta, &marker));
    assert_int_equal(meta.generation, 9);
    marker.starts--; // also when the store has caught up with the marker meanwhile
    assert_int_equal(incarnation_look(txn, &meta, &marker), INCARNATION_RESTORED);
    incarnation_open(txn, &family->child.receiver.place, 2, 9, NULL, 0, NOW);
    assert_int_equal(incarnation_look(txn, &meta, &marker), INCARNATION_OPENED);
    kept = marker;
    marker.starts = meta.starts + 4;
    incarnation_resume(txn, &meta, &marker);
    assert_true(!marker.restored && marker.ordinal == 2 && marker.nonce == 9 && meta.starts == marker.starts);
    assert_int_equal(incarnation_look(txn, &meta, &marker), INCARNATION_SOUND);
    kept.restored = false; // the marker of the incarnation before: not this store's
    assert_int_equal(incarnation_look(txn, &meta, &kept), INCARNATION_RESTORED);
    fixture_commit(txn);
}

static void a_new_incarnation_names_what_it_follows(void **state)
{
    struct family *family = *state;
    struct bench *bench = &family->child;
    struct head follows[FOLLOWS_MAX];
    struct header header;
    struct txn *txn = bench_begin(bench);
    bench_add(bench, txn, CASE, UP, 2, "first");
    bench_add(bench, txn, CONTROL, SUBTREE, 2, "another lane");
    bench_commit(bench, txn);
    author_destroy(bench->author);
    struct author_config config = {.self = &village->certificate,
                                   .parent = &township->certificate,
                                   .sign_key = &village->identity.sign.secret_key,
                                   .ordinal = 2,
                                   .nonce = 9};
    assert_int_equal(author_create(&config, &bench->author, NULL), OK);
    for (unsigned i = 0; i < 2; i++) { // the first batch alone
        txn = bench_begin(bench);
        bench_add(bench, txn, CASE, UP, 2, "second");
        bench_commit(bench, txn);
        txn = fixture_begin(bench->store, false);
        struct batch_row row = bench_row(bench, txn, 3 + i), first = bench_row(bench, txn, 1);
        assert_int_equal(header_decode(row.header, &header, NULL), OK);
        assert_int_equal(header.follows_count, i == 0);
        if (i == 0) {
            struct hash last = crypto_hash(TAG_HEADER, first.header);
            assert_int_equal(header_follows(row.header, &header, follows, NULL), OK);
            assert_true(follows[0].feed.ordinal == 1 && follows[0].next == 2 && hash_equal(&follows[0].last, &last));
        }
        fixture_commit(txn);
    }
}

// ---- a root

static void a_root_hears_of_its_feeds_from_its_children(void **state)
{
    struct family *family = *state;
    const struct station_id *self = &village->identity.station;
    struct head heads[3] = {
        {.feed = {.station = *self, .ordinal = 1, .nonce = 7, .lane = CONTROL, .audience = SUBTREE}, .next = 5},
        {.feed = {.station = *self, .ordinal = 2, .nonce = 8, .lane = CONTROL, .audience = SUBTREE}, .next = 2},
        {.feed = {.station = *self, .ordinal = UINT32_MAX, .nonce = 9, .lane = CONTROL, .audience = SUBTREE}, .next = 2}};
    struct head seen[8];
    struct txn *txn = fixture_begin(family->child.store, true);
    assert_int_equal(incarnation_next(txn, self, 1), 2);
    incarnation_note_seen(txn, self, heads, 3);
    heads[0].next = 3; // another child holds less
    incarnation_note_seen(txn, self, heads, 1);
    assert_int_equal(incarnation_seen(txn, self, seen, 8), 2); // no ordinal that can't be
    assert_true(seen[0].feed.ordinal == 2 && seen[1].feed.ordinal == 1 && seen[1].next == 5 && seen[1].feed.nonce == 7);
    assert_int_equal(incarnation_next(txn, self, 1), 3);
    fixture_commit(txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAMILY_TEST(fault_18_a_nonce_gets_one_ordinal),
        FAMILY_TEST(fault_18_only_what_the_child_lacks_is_sent),
        FAMILY_TEST(fault_18_a_long_tail_comes_in_pages),
        FAMILY_TEST(fault_18_a_nonce_that_was_used_is_refused),
        FAMILY_TEST(fault_18_grants_are_bounded),
        FAMILY_TEST(fault_18_the_lost_tail_is_taken),
        FAMILY_TEST(fault_18_a_store_that_is_lost_after_a_tail_came_back),
        FAMILY_TEST(fault_18_its_own_unknown_batch_tells_a_station_that_it_was_restored),
        FAMILY_TEST(fault_20_two_histories_of_one_station_are_told_apart),
        FAMILY_TEST(fault_19_what_follows_the_other_history_suspends_nobody),
        FAMILY_TEST(fault_18_from_restored_to_open),
        FAMILY_TEST(a_new_incarnation_names_what_it_follows),
        FAMILY_TEST(a_root_hears_of_its_feeds_from_its_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
