#include "tests/unit/relay/station_fixture.h"

enum { UP = SANJI__AUDIENCE__UP, SUBTREE = SANJI__AUDIENCE__SUBTREE, STATION = SANJI__AUDIENCE__STATION };
enum { CASE = SANJI__LANE__CASE, AGGREGATE = SANJI__LANE__AGGREGATE, CONTROL = SANJI__LANE__CONTROL, BULK = SANJI__LANE__BULK };
enum { STREAM_UP = SANJI__STREAM__STREAM_UP, STREAM_ALL = SANJI__STREAM__STREAM_DOWN_ALL, STREAM_ONE = SANJI__STREAM__STREAM_DOWN_ONE };

static int setup_posts(void **state)
{
    (void)state;
    posts_init(posts);
    return 0;
}

static int teardown_posts(void **state)
{
    (void)state;
    posts_finish(posts);
    return 0;
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    bench_open(bench, posts, VILLAGE, NULL);
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    bench_close(*state);
    free(*state);
    return 0;
}

#define AUTHOR_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

// The journal's batch at `position`, its signature and body checked as a receiver does.
static struct header check_batch(struct bench *bench, uint64_t position, uint32_t count)
{
    struct header header;
    struct entry *entries = calloc(BATCH_ENTRIES_MAX, sizeof *entries);
    struct txn *txn = fixture_begin(bench->store, false);
    struct batch_row row = bench_row(bench, txn, position);
    assert_int_equal(header_decode(row.header, &header, NULL), OK);
    assert_int_equal(header_check_signature(row.header, row.signature, &bench->self->certificate, &header, NULL), OK);
    assert_int_equal(body_check(row.body, &header, entries, NULL), OK);
    assert_int_equal(header.count, count);
    assert_int_equal(row.count, count);
    assert_int_equal(row.first, header.first);
    assert_int_equal(row.verdict, VERDICT_APPLIED);
    fixture_commit(txn);
    free(entries);
    return header;
}

static void sequences_are_dense(void **state)
{
    struct bench *bench = *state;
    for (uint64_t round = 0; round < 3; round++) {
        struct txn *txn = bench_begin(bench);
        for (uint64_t i = 1; i <= 3; i++)
            assert_int_equal(bench_add(bench, txn, CASE, UP, 2, "case"), round * 3 + i);
        assert_int_equal(bench_add(bench, txn, AGGREGATE, UP, 2, "another lane"), round + 1);
        assert_int_equal(bench_add(bench, txn, CASE, SUBTREE, 2, "another audience"), round + 1);
        bench_commit(bench, txn);
    }
    assert_int_equal(bench_end(bench), 9); // a batch for each feed and transaction
    struct header header = check_batch(bench, 1, 3);
    struct header later = check_batch(bench, 4, 3);
    assert_int_equal(later.first, 4);
    assert_true(hash_equal(&later.prev, &header.hash));
    assert_int_equal(header.feed.ordinal, 1);
    assert_int_equal(header.feed.nonce, 77);
}

static void a_batch_says_time_and_codebook(void **state)
{
    struct bench *bench = *state;
    struct hash codebook = crypto_hash(TAG_DOCUMENT, bytes_of_text("codebook"));
    struct txn *txn = bench_begin(bench);
    author_context(bench->author, 1234567, &codebook);
    bench_add(bench, txn, CASE, UP, 2, "case");
    bench_commit(bench, txn);
    txn = bench_begin(bench); // and no longer than its transaction
    bench_add(bench, txn, CASE, UP, 2, "case");
    bench_commit(bench, txn);
    struct header header = check_batch(bench, 1, 1);
    assert_int_equal(header.time_ms, 1234567);
    assert_true(hash_equal(&header.codebook, &codebook));
    header = check_batch(bench, 2, 1);
    assert_true(hash_is_zero(&header.codebook));
}

static void a_batch_ends_at_1000_entries(void **state)
{
    struct bench *bench = *state;
    struct txn *txn = bench_begin(bench);
    for (uint64_t i = 1; i <= 2 * BATCH_ENTRIES_MAX + 1; i++)
        assert_int_equal(bench_add(bench, txn, AGGREGATE, UP, 2, "x"), i);
    assert_int_equal(journal_end(txn), 2); // signed as soon as full
    bench_commit(bench, txn);
    assert_int_equal(bench_end(bench), 3);
    check_batch(bench, 1, BATCH_ENTRIES_MAX);
    check_batch(bench, 2, BATCH_ENTRIES_MAX);
    assert_int_equal(check_batch(bench, 3, 1).first, 2 * BATCH_ENTRIES_MAX + 1);
    assert_int_equal(bench->grown.up[AGGREGATE - 1], 4); // a certificate and three batches
}

static void a_batch_ends_at_256_KiB(void **state)
{
    struct bench *bench = *state;
    size_t size = 100 * 1024;
    char *content = calloc(1, size + 1);
    memset(content, 'x', size);
    struct txn *txn = bench_begin(bench);
    for (uint64_t i = 1; i <= 5; i++)
        assert_int_equal(bench_add(bench, txn, CASE, UP, 2, content), i);
    bench_commit(bench, txn);
    free(content);
    assert_int_equal(bench_end(bench), 3);
    for (uint64_t i = 1; i <= 3; i++)
        assert_true(check_batch(bench, i, i < 3 ? 2 : 1).body_size <= BATCH_BODY_MAX);
}

static void another_reach_closes_a_batch(void **state)
{
    struct bench *bench = *state;
    static const uint32_t reaches[] = {2, 2, 1, 2};
    struct txn *txn = bench_begin(bench);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(bench_add(bench, txn, CASE, UP, reaches[i], "case"), i + 1);
    bench_commit(bench, txn);
    assert_int_equal(bench_end(bench), 3);
    assert_int_equal(check_batch(bench, 1, 2).reach, 2);
    assert_int_equal(check_batch(bench, 2, 1).reach, 1);
    assert_int_equal(check_batch(bench, 3, 1).reach, 2);
}

static void an_abort_forgets(void **state)
{
    struct bench *bench = *state;
    struct txn *txn = bench_begin(bench);
    for (unsigned i = 0; i <= BATCH_ENTRIES_MAX; i++) // one batch is signed, the next is open
        bench_add(bench, txn, CASE, UP, 2, "never said");
    txn_abort(txn);
    author_abort(bench->author);
    assert_int_equal(bench_end(bench), 0);
    txn = bench_begin(bench);
    assert_int_equal(bench_add(bench, txn, CASE, UP, 2, "said"), 1);
    bench_commit(bench, txn);
    assert_int_equal(bench_end(bench), 1);
    check_batch(bench, 1, 1);
    assert_int_equal(bench->grown.up[CASE - 1], 2); // nothing is left of what the aborted one grew
}

static void a_failed_commit_forgets(void **state)
{
    struct bench *bench = *state;
    struct txn *txn = bench_begin(bench);
    bench_add(bench, txn, CASE, UP, 2, "never said");
    author_finish(bench->author, txn, &bench->grown);
    store_memory_fail(bench->store, 0, ERR_FULL, false);
    assert_fails(txn, ERR_FULL);
    author_abort(bench->author);
    txn = bench_begin(bench);
    assert_int_equal(bench_add(bench, txn, CASE, UP, 2, "said"), 1);
    bench_commit(bench, txn);
    check_batch(bench, 1, 1);
}

static void too_large_an_entry_fails_the_transaction(void **state)
{
    struct bench *bench = *state;
    char content[CONTROL_ENTRY_MAX + 1];
    memset(content, 'x', CONTROL_ENTRY_MAX);
    content[CONTROL_ENTRY_MAX] = 0;
    struct txn *txn = bench_begin(bench);
    assert_int_equal(bench_add(bench, txn, CONTROL, UP, 2, "small"), 1);
    assert_int_equal(bench_add(bench, txn, CONTROL, UP, 2, content), 0);
    assert_int_equal(bench_add(bench, txn, CONTROL, UP, 2, "small"), 0);
    assert_fails(txn, ERR_LIMIT);
    author_abort(bench->author);
    assert_int_equal(bench_end(bench), 0);
    txn = bench_begin(bench);
    assert_int_equal(bench_add(bench, txn, CONTROL, UP, 2, ""), 0);
    assert_fails(txn, ERR_INPUT);
    author_abort(bench->author);
}

static void assert_object(const struct stream_row *row, const struct post *post)
{
    assert_true(row->is_object);
    assert_true(hash_equal(&row->object, &post->certificate.hash));
}

static void certificates_go_once_per_stream_and_lane(void **state)
{
    struct bench *bench = *state;
    struct stream_row rows[8];
    for (unsigned i = 0; i < 2; i++) {
        struct txn *txn = bench_begin(bench);
        bench_add(bench, txn, CASE, UP, 2, "case");
        bench_add(bench, txn, AGGREGATE, UP, 2, "figure");
        bench_commit(bench, txn);
    }
    for (unsigned lane = CASE; lane <= AGGREGATE; lane++) {
        assert_int_equal(bench_rows(bench, STREAM_UP, lane, NULL, rows, 8), 3);
        assert_object(&rows[0], &posts[VILLAGE]); // who is above it knows the rest
        assert_true(!rows[1].is_object && !rows[1].bodiless && rows[1].batch == lane - CASE + 1);
        assert_true(!rows[2].is_object && rows[2].batch == lane - CASE + 3);
    }
    assert_int_equal(bench_rows(bench, STREAM_UP, BULK, NULL, rows, 8), 0);
    struct txn *txn = bench_begin(bench);
    bench_add(bench, txn, CONTROL, SUBTREE, REACH_TOP, "to all below");
    bench_commit(bench, txn);
    assert_int_equal(bench_rows(bench, STREAM_ALL, CONTROL, NULL, rows, 8), 5);
    assert_object(&rows[0], &posts[PROVINCE]); // downward the whole chain, topmost first
    assert_object(&rows[1], &posts[COUNTY]);
    assert_object(&rows[2], &posts[TOWNSHIP]);
    assert_object(&rows[3], &posts[VILLAGE]);
    assert_int_equal(rows[4].batch, 5);
    assert_int_equal(bench->grown.down_all[CONTROL - 1], 5);
    assert_int_equal(bench->grown.up[CASE - 1], 3);
    assert_int_equal(bench->grown.up[CONTROL - 1], 0);
}

static void a_body_stays_where_its_reach_ends(void **state)
{
    struct bench *bench = *state;
    struct stream_row rows[8];
    struct txn *txn = bench_begin(bench);
    bench_add(bench, txn, CASE, UP, 0, "mine alone");
    bench_add(bench, txn, CASE, UP, 1, "for the township");
    bench_commit(bench, txn);
    assert_int_equal(bench_rows(bench, STREAM_UP, CASE, NULL, rows, 8), 3);
    assert_true(rows[1].bodiless);
    assert_false(rows[2].bodiless);
    check_batch(bench, 1, 1); // here it is kept whole
}

static void more_addressees_than_places(void **state)
{
    struct bench *bench = *state;
    enum { ADDRESSEES = 40 };
    struct stream_row rows[8];
    struct txn *txn = bench_begin(bench);
    for (uint8_t round = 1; round <= 2; round++)
        for (uint8_t i = 0; i < ADDRESSEES; i++) {
            struct station_id to = a_station((uint8_t)(i + 1));
            if (round == 1)
                route_learn(txn, &to, &to, NULL);
            assert_int_equal(
                author_add(bench->author, txn, CASE, STATION, &to, 1, SANJI__ENTRY_KIND__RECEIPT, 1, bytes_of_text("for one"), NULL),
                round);
        }
    bench_commit(bench, txn);
    uint64_t entries = 0, end = bench_end(bench);
    for (uint64_t i = 1; i <= end; i++) {
        txn = fixture_begin(bench->store, false);
        entries += bench_row(bench, txn, i).count;
        fixture_commit(txn);
    }
    assert_int_equal(entries, 2 * ADDRESSEES);
    for (uint8_t i = 0; i < ADDRESSEES; i++) {
        struct station_id to = a_station((uint8_t)(i + 1));
        uint32_t count = bench_rows(bench, STREAM_ONE, CASE, &to, rows, 8);
        assert_true(count == 5 || count == 6); // four certificates, then its entries in one batch or two
    }
    assert_int_equal(bench->grown.one_count, ADDRESSEES);
}

static void a_root_has_nobody_above(void **state)
{
    (void)state;
    struct bench bench;
    struct stream_row rows[4];
    bench_open(&bench, posts, PROVINCE, NULL);
    struct txn *txn = bench_begin(&bench);
    bench_add(&bench, txn, AGGREGATE, UP, REACH_TOP, "figure");
    bench_commit(&bench, txn);
    assert_int_equal(bench_end(&bench), 1);
    assert_int_equal(bench_rows(&bench, STREAM_UP, AGGREGATE, NULL, rows, 4), 0);
    assert_int_equal(bench.grown.up[AGGREGATE - 1], 0);
    bench_close(&bench);
    author_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUTHOR_TEST(sequences_are_dense),
        AUTHOR_TEST(a_batch_says_time_and_codebook),
        AUTHOR_TEST(a_batch_ends_at_1000_entries),
        AUTHOR_TEST(a_batch_ends_at_256_KiB),
        AUTHOR_TEST(another_reach_closes_a_batch),
        AUTHOR_TEST(an_abort_forgets),
        AUTHOR_TEST(a_failed_commit_forgets),
        AUTHOR_TEST(too_large_an_entry_fails_the_transaction),
        AUTHOR_TEST(certificates_go_once_per_stream_and_lane),
        AUTHOR_TEST(a_body_stays_where_its_reach_ends),
        AUTHOR_TEST(more_addressees_than_places),
        cmocka_unit_test(a_root_has_nobody_above),
    };
    return cmocka_run_group_tests_name("relay/author", tests, setup_posts, teardown_posts);
}
