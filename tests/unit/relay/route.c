#include "relay/route.h"

#include "tests/unit/relay/station_fixture.h"

enum { UP = SANJI__AUDIENCE__UP, SUBTREE = SANJI__AUDIENCE__SUBTREE, STATION = SANJI__AUDIENCE__STATION };
enum { CASE = SANJI__LANE__CASE, BULK = SANJI__LANE__BULK, URGENT = SANJI__LANE__URGENT };
enum { STREAM_UP = SANJI__STREAM__STREAM_UP, STREAM_ALL = SANJI__STREAM__STREAM_DOWN_ALL, STREAM_ONE = SANJI__STREAM__STREAM_DOWN_ONE };

static int setup(void **state)
{
    struct bench *bench = bench_setup(state, COUNTY);
    bench_store_certificate(bench, &posts[TOWNSHIP]);
    bench_store_certificate(bench, &posts[VILLAGE]);
    return 0;
}

#define ROUTE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, bench_teardown)

// Routes a batch of `signer`, said to stand at journal position `position`.
static void route(struct bench *bench, const struct post *signer, unsigned lane, unsigned audience, const struct station_id *addressee,
                  uint32_t reach, uint64_t position, bool has_body)
{
    struct header header = {.feed = {.lane = (uint8_t)lane, .audience = (uint8_t)audience}, .reach = reach};
    if (addressee)
        header.feed.addressee = *addressee;
    struct txn *txn = fixture_begin(bench->store, true);
    route_batch(txn, &bench->receiver.place, &header, &signer->certificate, position, has_body, &bench->grown);
    fixture_commit(txn);
}

static void assert_object(const struct stream_row *row, const struct post *post)
{
    assert_true(row->is_object && hash_equal(&row->object, &post->certificate.hash));
}

static void up_as_far_as_the_reach(void **state)
{
    struct bench *bench = *state;
    struct stream_row rows[16];
    // The province is three tiers above the village, and one above the county.
    route(bench, &posts[VILLAGE], CASE, UP, NULL, 2, 1, true);
    route(bench, &posts[VILLAGE], CASE, UP, NULL, 3, 2, true);
    route(bench, &posts[VILLAGE], CASE, UP, NULL, REACH_TOP, 3, true);
    route(bench, &posts[VILLAGE], CASE, UP, NULL, REACH_TOP, 4, false); // its body is not here
    route(bench, &posts[COUNTY], CASE, UP, NULL, 0, 5, true);
    route(bench, &posts[COUNTY], CASE, UP, NULL, 1, 6, true);
    assert_int_equal(bench_rows(bench, STREAM_UP, CASE, NULL, rows, 16), 9);
    assert_object(&rows[0], &posts[COUNTY]);
    assert_object(&rows[1], &posts[TOWNSHIP]);
    assert_object(&rows[2], &posts[VILLAGE]);
    static const bool bodiless[] = {true, false, false, true, true, false};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(rows[3 + i].batch, i + 1);
        assert_int_equal(rows[3 + i].bodiless, bodiless[i]);
        assert_int_equal(rows[3 + i].position, 4 + i);
    }
    assert_int_equal(bench->grown.up[CASE - 1], 9);
    assert_int_equal(bench->grown.down_all[CASE - 1], 0);
    assert_int_equal(bench->grown.one_count, 0);
}

static void a_root_sends_nothing_up(void **state)
{
    struct bench *bench = *state;
    struct stream_row rows[4];
    bench->receiver.place.parent = NULL;
    route(bench, &posts[VILLAGE], CASE, UP, NULL, REACH_TOP, 1, true);
    assert_int_equal(bench_rows(bench, STREAM_UP, CASE, NULL, rows, 4), 0);
    assert_int_equal(bench->grown.up[CASE - 1], 0);
}

static void down_to_all(void **state)
{
    struct bench *bench = *state;
    struct stream_row rows[8];
    route(bench, &posts[PROVINCE], URGENT, SUBTREE, NULL, 0, 1, true); // reach is of what goes up
    route(bench, &posts[COUNTY], URGENT, SUBTREE, NULL, 0, 2, false);
    assert_int_equal(bench_rows(bench, STREAM_ALL, URGENT, NULL, rows, 8), 4);
    assert_object(&rows[0], &posts[PROVINCE]);
    assert_true(rows[1].batch == 1 && !rows[1].bodiless);
    assert_object(&rows[2], &posts[COUNTY]);
    assert_true(rows[3].batch == 2 && rows[3].bodiless);
    assert_int_equal(bench->grown.down_all[URGENT - 1], 4);
    assert_int_equal(bench->grown.up[URGENT - 1], 0);
}

static void to_one_station_by_the_way_it_was_learnt(void **state)
{
    struct bench *bench = *state;
    struct stream_row rows[8];
    const struct station_id *village = &posts[VILLAGE].identity.station, *township = &posts[TOWNSHIP].identity.station;
    const struct station_id *other = &posts[OTHER_VILLAGE].identity.station;
    struct station_id via = a_station(1);
    struct txn *txn = fixture_begin(bench->store, true);
    assert_false(route_via(txn, village, &via));
    assert_true(via.bytes[0] == 1);
    route_learn(txn, village, other, NULL);
    route_learn(txn, village, township, NULL); // the last word counts
    assert_true(route_via(txn, village, &via));
    assert_true(station_equal(&via, township));
    fixture_commit(txn);
    route(bench, &posts[COUNTY], CASE, STATION, village, 0, 1, true);
    route(bench, &posts[COUNTY], CASE, STATION, other, 0, 2, true);                             // nobody knows where
    route(bench, &posts[PROVINCE], CASE, STATION, &posts[COUNTY].identity.station, 0, 3, true); // for ourselves
    assert_int_equal(bench_rows(bench, STREAM_ONE, CASE, township, rows, 8), 3);
    assert_object(&rows[0], &posts[PROVINCE]);
    assert_object(&rows[1], &posts[COUNTY]);
    assert_int_equal(rows[2].batch, 1);
    assert_int_equal(bench_rows(bench, STREAM_ONE, CASE, other, rows, 8), 0);
    assert_int_equal(bench->grown.one_count, 1);
    assert_true(station_equal(&bench->grown.one[0].peer, township) && bench->grown.one[0].lane == CASE && bench->grown.one[0].end == 3);
    route(bench, &posts[COUNTY], CASE, STATION, village, 0, 4, true);
    assert_int_equal(bench->grown.one_count, 1); // one stream, however often it grew
    assert_int_equal(bench->grown.one[0].end, 4);
}

static void a_chain_with_a_gap_is_carried_as_far_as_it_is_here(void **state)
{
    struct bench *bench = *state;
    struct stream_row rows[8];
    struct post far;
    post_init(&far, &posts[OTHER_VILLAGE], "321081100202001", 4); // whose issuer is not in the store
    bench_store_certificate(bench, &far);
    route(bench, &far, CASE, UP, NULL, REACH_TOP, 1, true);
    assert_int_equal(bench_rows(bench, STREAM_UP, CASE, NULL, rows, 8), 2);
    assert_object(&rows[0], &far);
    assert_int_equal(rows[1].batch, 1);
    post_finish(&far);
}

static void a_document_goes_once(void **state)
{
    struct bench *bench = *state;
    struct stream_row rows[4];
    struct hash document = crypto_hash(TAG_DOCUMENT, bytes_of_text("codebook"));
    for (unsigned i = 0; i < 2; i++) {
        struct txn *txn = fixture_begin(bench->store, true);
        route_document(txn, &document, &bench->grown);
        fixture_commit(txn);
    }
    assert_int_equal(bench_rows(bench, STREAM_ALL, BULK, NULL, rows, 4), 1);
    assert_true(rows[0].is_object && hash_equal(&rows[0].object, &document));
    assert_int_equal(bench->grown.down_all[BULK - 1], 1);
}

static void of_two_ends_the_greater_counts(void **state)
{
    (void)state;
    struct grown later = {.up = {7, 0, 3}, .down_all = {0, 9}, .one_count = 1}, sooner = {.up = {5, 4}, .down_all = {1, 8}, .one_count = 2};
    later.one[0].peer = sooner.one[0].peer = a_station(1);
    later.one[0].lane = sooner.one[0].lane = sooner.one[1].lane = 2;
    sooner.one[1].peer = a_station(2);
    later.one[0].end = 9;
    sooner.one[0].end = 8;
    sooner.one[1].end = 3;
    grown_merge(&later, &sooner);
    assert_true(later.up[0] == 7 && later.up[1] == 4 && later.up[2] == 3);
    assert_true(later.down_all[0] == 1 && later.down_all[1] == 9);
    assert_int_equal(later.one_count, 2);
    assert_int_equal(later.one[0].end, 9);
    assert_true(station_equal(&later.one[1].peer, &sooner.one[1].peer) && later.one[1].end == 3);
    assert_false(later.more);
}

static void more_streams_than_places_are_told_of(void **state)
{
    struct bench *bench = *state;
    struct grown all = {0};
    for (unsigned i = 1; i <= GROWN_ONE_MAX + 2; i++) {
        struct station_id to = a_station((uint8_t)i);
        struct txn *txn = fixture_begin(bench->store, true);
        route_learn(txn, &to, &to, NULL);
        fixture_commit(txn);
        route(bench, &posts[COUNTY], CASE, STATION, &to, 0, i, true);
        assert_int_equal(bench->grown.more, i > GROWN_ONE_MAX);
    }
    assert_int_equal(bench->grown.one_count, GROWN_ONE_MAX);
    grown_merge(&all, &bench->grown);
    assert_true(all.more && all.one_count == GROWN_ONE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROUTE_TEST(up_as_far_as_the_reach),
        ROUTE_TEST(a_root_sends_nothing_up),
        ROUTE_TEST(down_to_all),
        ROUTE_TEST(to_one_station_by_the_way_it_was_learnt),
        ROUTE_TEST(a_chain_with_a_gap_is_carried_as_far_as_it_is_here),
        ROUTE_TEST(a_document_goes_once),
        cmocka_unit_test(of_two_ends_the_greater_counts),
        ROUTE_TEST(more_streams_than_places_are_told_of),
    };
    return cmocka_run_group_tests_name("relay/route", tests, NULL, NULL);
}
