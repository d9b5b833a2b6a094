// Claims of where feeds stand: their bytes, what they say against the journal, the table.
#include "relay/heads.h"

#include "tests/unit/relay/station_fixture.h"

enum { UP = SANJI__AUDIENCE__UP, SUBTREE = SANJI__AUDIENCE__SUBTREE, STATION = SANJI__AUDIENCE__STATION };
enum { URGENT = SANJI__LANE__URGENT, CASE = SANJI__LANE__CASE, CONTROL = SANJI__LANE__CONTROL };
enum { STREAM_UP = SANJI__STREAM__STREAM_UP, STREAM_ALL = SANJI__STREAM__STREAM_DOWN_ALL, STREAM_ONE = SANJI__STREAM__STREAM_DOWN_ONE };

static const struct post *const county = &posts[COUNTY], *const township = &posts[TOWNSHIP], *const village = &posts[VILLAGE];

static int setup(void **state)
{
    struct bench *bench = bench_setup(state, TOWNSHIP);
    bench_store_certificate(bench, village);
    return 0;
}

#define HEADS_TEST(test) cmocka_unit_test_setup_teardown(test, setup, bench_teardown)

static struct heads claim_of(const struct post *post)
{
    return (struct heads){
        .station = post->identity.station, .certificate = post->certificate.hash, .ordinal = 1, .starts = 1, .number = 1, .time_ms = 5};
}

static void name(struct heads *heads, const struct post *post, unsigned lane, unsigned audience, uint64_t next)
{
    struct head *head = &heads->heads[heads->count++];
    *head = (struct head){.next = next, .last = a_hash((uint8_t)next)};
    head->feed = (struct feed_key){
        .station = post->identity.station, .ordinal = 1, .nonce = 99, .lane = (uint8_t)lane, .audience = (uint8_t)audience};
    if (audience == STATION)
        head->feed.addressee = heads->station;
}

static enum error_code decode(const struct heads *heads, struct heads *ret)
{
    struct buffer claim = {0};
    uint8_t signature[SIGNATURE_SIZE];
    struct error error = {0};
    assert_int_equal(heads_sign(heads, &village->identity.sign.secret_key, &claim, signature, &error), OK);
    enum error_code code = heads_decode(buffer_bytes(&claim), ret, &error);
    assert_int_equal(error.code, code);
    buffer_finish(&claim);
    return code;
}

static void a_claim_comes_back_as_it_was_signed(void **state)
{
    (void)state;
    struct heads heads = claim_of(village), found;
    struct buffer claim = {0};
    uint8_t signature[SIGNATURE_SIZE];
    name(&heads, village, URGENT, UP, 7);
    name(&heads, village, CASE, UP, 300);
    heads.starts = UINT64_MAX;
    heads.number = 12;
    assert_int_equal(heads_sign(&heads, &village->identity.sign.secret_key, &claim, signature, NULL), OK);
    assert_int_equal(heads_decode(buffer_bytes(&claim), &found, NULL), OK);
    assert_true(station_equal(&found.station, &heads.station) && hash_equal(&found.certificate, &heads.certificate));
    assert_true(found.ordinal == 1 && found.starts == UINT64_MAX && found.number == 12 && found.time_ms == 5 && found.count == 2);
    assert_true(found.heads[1].next == 300 && hash_equal(&found.heads[1].last, &heads.heads[1].last));
    assert_int_equal(heads_own(&found, &found.heads[0]), 0);
    assert_int_equal(heads_own(&found, &found.heads[1]), CASE - 1);
    struct bytes wire = buffer_bytes(&claim), proof = bytes_of(signature, sizeof signature);
    assert_int_equal(heads_check(wire, proof, &found, &village->certificate, NULL), OK);
    assert_int_equal(heads_check(wire, proof, &found, &township->certificate, NULL), ERR_FORGED);
    assert_int_equal(heads_check(wire, bytes_of(signature, 63), &found, &village->certificate, NULL), ERR_FORGED);
    for (size_t bit = 0; bit < claim.size * 8; bit += 7) { // fault 27
        claim.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (heads_decode(wire, &found, NULL) == OK)
            assert_int_equal(heads_check(wire, proof, &found, &village->certificate, NULL), ERR_FORGED);
        claim.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    buffer_finish(&claim);
}

static void what_a_claim_may_not_say(void **state)
{
    (void)state;
    struct heads heads = claim_of(village), found;
    heads.heads[0] = (struct head){0};
    name(&heads, village, CASE, UP, 2);
    name(&heads, village, CASE, UP, 3); // the same feed twice
    assert_int_equal(decode(&heads, &found), ERR_INPUT);
    heads.count = 0;
    name(&heads, village, CASE, UP, 2);
    name(&heads, village, URGENT, UP, 3); // descending
    assert_int_equal(decode(&heads, &found), ERR_INPUT);
    heads.count = 0;
    name(&heads, village, CASE, STATION, 2); // addressed: only of those above, and to itself
    assert_int_equal(decode(&heads, &found), ERR_INPUT);
    heads.count = 0;
    name(&heads, county, CASE, STATION, 2);
    assert_int_equal(decode(&heads, &found), OK);
    heads.heads[0].feed.addressee = township->identity.station;
    assert_int_equal(decode(&heads, &found), ERR_INPUT);
    heads.count = 0;
    name(&heads, county, CASE, UP, 2);
    assert_int_equal(decode(&heads, &found), ERR_INPUT);
    heads.count = 0;
    name(&heads, village, URGENT, UP, 2);
    name(&heads, village, CASE, UP, 2);
    heads.heads[1].feed.nonce++; // two incarnations
    assert_int_equal(decode(&heads, &found), ERR_INPUT);
    heads.heads[1].feed.nonce--;
    heads.heads[1].feed.ordinal++;
    assert_int_equal(decode(&heads, &found), ERR_INPUT);
    heads.count = 0;
    heads.ordinal = 0;
    assert_int_equal(decode(&heads, &found), ERR_INPUT);
}

// Without either nobody can tell how to read and check the rest.
static void a_claim_names_format_and_suite(void **state)
{
    (void)state;
    struct heads heads = claim_of(village), found;
    struct buffer claim = {0};
    struct error error = {0};
    uint8_t signature[SIGNATURE_SIZE];
    name(&heads, village, CASE, UP, 2);
    assert_int_equal(heads_sign(&heads, &village->identity.sign.secret_key, &claim, signature, NULL), OK);
    assert_memory_equal(claim.data, "\x08\x01\x10\x01", 4);
    assert_int_equal(heads_decode(bytes_of(claim.data + 2, claim.size - 2), &found, &error), ERR_INPUT); // no format
    assert_non_null(strstr(error.detail, "format"));
    claim.data[3] = 2;
    assert_int_equal(heads_decode(bytes_of(claim.data + 2, claim.size - 2), &found, NULL), ERR_INPUT);
    assert_int_equal(heads_decode(buffer_bytes(&claim), &found, NULL), ERR_VERSION);
    claim.data[2] = 0x08;
    claim.data[3] = 1;
    assert_int_equal(heads_decode(bytes_of(claim.data + 2, claim.size - 2), &found, NULL), ERR_INPUT); // no suite
    claim.data[3] = 2;
    assert_int_equal(heads_decode(bytes_of(claim.data + 2, claim.size - 2), &found, NULL), ERR_VERSION);
    buffer_finish(&claim);
}

static void as_many_heads_as_there_may_be(void **state)
{
    (void)state;
    struct heads heads = claim_of(village), found;
    for (unsigned i = 0; i < HEADS_MAX; i++) {
        name(&heads, county, CASE, STATION, UINT64_MAX);
        heads.heads[i].feed.ordinal = UINT32_MAX;
        heads.heads[i].feed.nonce = UINT64_MAX - HEADS_MAX + i;
    }
    assert_int_equal(decode(&heads, &found), OK); // the longest fits
    assert_int_equal(found.count, HEADS_MAX);
}

static void the_newer_claim(void **state)
{
    (void)state;
    struct heads a = claim_of(village), b = claim_of(village);
    assert_int_equal(heads_order(&a, &b), 0);
    b.number = 2;
    assert_true(heads_order(&a, &b) < 0 && heads_order(&b, &a) > 0);
    a.starts = 2; // a later start counts from 1
    assert_true(heads_order(&a, &b) > 0);
    b.ordinal = 2;
    assert_true(heads_order(&a, &b) < 0);
}

static void fault_20_two_claims_that_contradict(void **state)
{
    (void)state;
    struct heads a = claim_of(village), b = claim_of(village);
    uint32_t at = 9;
    name(&a, village, URGENT, UP, 4);
    name(&a, village, CASE, UP, 6);
    name(&b, village, CASE, UP, 6);
    assert_false(heads_contradict(&a, &b, &at));
    b.heads[0].next = 7; // grown
    b.heads[0].last = a_hash(70);
    assert_false(heads_contradict(&a, &b, &at));
    b.heads[0].next = 6;
    assert_true(heads_contradict(&a, &b, &at) && at == 1);
    assert_true(heads_contradict(&b, &a, &at) && at == 0);
}

static void against_the_journal(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct feed_state was[4], found;
    pen_init(&pen, village, CASE, UP, NULL);
    for (unsigned i = 0; i < 3; i++) {
        was[i] = pen.state;
        assert_int_equal(bench_take(bench, &pen, 2, "case", village, STREAM_UP), RECEIVED);
    }
    was[3] = pen.state;
    struct txn *txn = fixture_begin(bench->store, false);
    for (unsigned i = 0; i < 4; i++) { // every head that ever was
        struct head head = {.feed = pen.feed, .next = was[i].next, .last = was[i].last};
        assert_int_equal(heads_compare(txn, &head, &found), HEAD_HELD);
        assert_int_equal(found.next, 7);
    }
    struct head head = {.feed = pen.feed, .next = 7, .last = was[2].last};
    assert_int_equal(heads_compare(txn, &head, NULL), HEAD_OTHER);
    head.next = 4; // inside a batch
    assert_int_equal(heads_compare(txn, &head, NULL), HEAD_OTHER);
    head.next = 5;
    head.last = was[3].last;
    assert_int_equal(heads_compare(txn, &head, NULL), HEAD_OTHER);
    head.next = 8;
    assert_int_equal(heads_compare(txn, &head, NULL), HEAD_BEHIND);
    head.feed.lane = URGENT;
    assert_int_equal(heads_compare(txn, &head, &found), HEAD_BEHIND);
    assert_int_equal(found.next, 1);
    fixture_commit(txn);
}

static void a_station_says_what_is_its_own_and_what_it_holds_of_those_above(void **state)
{
    struct bench *bench = *state;
    struct pen pen;
    struct heads heads = {.starts = 1, .number = 1}, found;
    const struct station_id above[] = {county->identity.station, posts[PROVINCE].identity.station};
    struct txn *txn = bench_begin(bench);
    bench_add(bench, txn, CASE, UP, 1, "own");
    bench_add(bench, txn, CONTROL, SUBTREE, 0, "own");
    bench_commit(bench, txn);
    pen_init(&pen, village, CASE, UP, NULL);
    bench_take(bench, &pen, 1, "not ours", village, STREAM_UP);
    pen_init(&pen, county, CONTROL, SUBTREE, NULL);
    bench_take(bench, &pen, 1, "for all", county, STREAM_ALL);
    pen_init(&pen, county, CASE, STATION, &township->identity.station);
    bench_take(bench, &pen, 1, "for us", county, STREAM_ONE);
    pen_init(&pen, county, CASE, STATION, &village->identity.station);
    bench_take(bench, &pen, 1, "for another", county, STREAM_ONE);
    for (unsigned i = 1; i <= HEADS_MAX; i++) { // and the province has had many incarnations
        pen_init(&pen, &posts[PROVINCE], CONTROL, SUBTREE, NULL);
        pen.feed.ordinal = i;
        bench_take(bench, &pen, 1, "for all", county, STREAM_ALL);
    }
    txn = fixture_begin(bench->store, false);
    heads_gather(txn, &township->certificate, 1, 77, above, 2, &heads);
    fixture_commit(txn);
    assert_int_equal(decode(&heads, &found), OK); // ascending, and nothing that may not be there
    assert_int_equal(found.count, HEADS_MAX);
    unsigned own = 0, of_county = 0, last = 0;
    for (uint32_t i = 0; i < found.count; i++) {
        const struct feed_key *feed = &found.heads[i].feed;
        own += station_equal(&feed->station, &township->identity.station);
        of_county += station_equal(&feed->station, &above[0]);
        last |= station_equal(&feed->station, &above[1]) && feed->ordinal == HEADS_MAX;
    }
    assert_true(own == 2 && of_county == 2 && last);
}

static void a_row_of_the_table(void **state)
{
    struct bench *bench = *state;
    struct station_id at = {0};
    uint8_t claim[HEADS_CLAIM_MAX] = {1, 2, 3}, signature[SIGNATURE_SIZE] = {4};
    struct heads_row row = {.received_ms = 8, .via = a_station(2), .told = 0x201, .silent = true, .quiet_s = 77}, found;
    struct txn *txn = fixture_begin(bench->store, true);
    struct station_id first = a_station(1), second = a_station(7);
    assert_false(heads_read(txn, &first, &found));
    heads_write(txn, &second, &row);
    row.claim = bytes_of(claim, sizeof claim);
    row.signature = bytes_of(signature, sizeof signature);
    row.other = bytes_of(claim, 5);
    row.other_signature = row.signature;
    heads_write(txn, &first, &row);
    assert_true(heads_read(txn, &first, &found));
    assert_true(found.received_ms == 8 && found.told == 0x201 && found.silent && found.quiet_s == 77);
    assert_true(station_equal(&found.via, &row.via) && bytes_equal(found.claim, row.claim) && bytes_equal(found.other, row.other));
    assert_true(bytes_equal(found.signature, row.signature) && bytes_equal(found.other_signature, row.signature));
    assert_true(heads_next(txn, &at, &at, &found) && station_equal(&at, &first));
    assert_true(heads_next(txn, &at, &at, &found) && station_equal(&at, &second) && found.claim.size == 0);
    assert_false(heads_next(txn, &at, &at, &found));
    fixture_commit(txn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HEADS_TEST(a_claim_comes_back_as_it_was_signed),
        HEADS_TEST(what_a_claim_may_not_say),
        HEADS_TEST(a_claim_names_format_and_suite),
        HEADS_TEST(as_many_heads_as_there_may_be),
        HEADS_TEST(the_newer_claim),
        HEADS_TEST(fault_20_two_claims_that_contradict),
        HEADS_TEST(against_the_journal),
        HEADS_TEST(a_station_says_what_is_its_own_and_what_it_holds_of_those_above),
        HEADS_TEST(a_row_of_the_table),
    };
    return cmocka_run_group_tests_name("relay/heads", tests, NULL, NULL);
}
