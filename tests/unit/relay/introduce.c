// Introductions: who is let in at a parent that forgot it, who as a guest, and who is not.
#include "relay/introduce.h"

#include "tests/unit/relay/station_fixture.h"

enum { URGENT = SANJI__LANE__URGENT, STATION = SANJI__AUDIENCE__STATION, UP = SANJI__AUDIENCE__UP };
static const uint64_t now_ms = UINT64_C(1718409600000); // 2024-06-15T00:00Z, the fixture's

static const struct post *const county = &posts[COUNTY], *const township = &posts[TOWNSHIP], *const village = &posts[VILLAGE];

struct hall {
    struct bench bench;
    struct host host;
    struct bench caller; // another station's store, with its own chain
    bool refuses_units;
    struct peer peer;
    struct error error; // the refusal
};

static bool may_certify(void *context, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer)
{
    const struct hall *hall = context;
    (void)txn;
    assert_true(hash_equal(&certificate->issuer, &issuer->hash));
    return !hall->refuses_units;
}

static void open_hall(struct hall *hall, unsigned self, unsigned caller)
{
    *hall = (struct hall){0};
    bench_open(&hall->bench, posts, self, NULL);
    bench_open(&hall->caller, posts, caller, NULL);
    hall->host = (struct host){.self = &posts[self].certificate,
                               .root = posts[PROVINCE].certificate.hash,
                               .transport_key = &posts[self].identity.transport.public_key,
                               .may_certify = may_certify,
                               .context = hall};
}

static void close_hall(struct hall *hall)
{
    bench_close(&hall->bench);
    bench_close(&hall->caller);
}

static int setup(void **state)
{
    posts_init(posts);
    *state = calloc(1, sizeof(struct hall));
    assert_non_null(*state);
    return 0;
}

static int teardown(void **state)
{
    posts_finish(posts);
    free(*state);
    return 0;
}

// The caller's introduction to the station with the key `called`, signed with `key`.
static void make(struct hall *hall, const struct public_key *called, const struct secret_key *key, struct buffer *ret)
{
    struct error error = {0};
    struct txn *txn = fixture_begin(hall->caller.store, false);
    if (introduction_make(txn, &hall->caller.self->certificate, key, "tcp://10.0.0.9:7401", called, ret, &error) != OK)
        fail_msg("%s", error.detail);
    fixture_commit(txn);
    assert_true(introduction_is(buffer_bytes(ret)));
    assert_in_range(ret->size, 1, INTRODUCTION_MAX);
}

static bool show(struct hall *hall, struct bytes wire, const struct public_key *key)
{
    struct buffer reply = {0};
    struct txn *txn = fixture_begin(hall->bench.store, true);
    bool in = introduction_admit(txn, &hall->host, key, wire, now_ms, &reply, &hall->peer);
    fixture_commit(txn);
    hall->error = (struct error){0};
    enum error_code code = introduction_answer(buffer_bytes(&reply), &hall->error);
    assert_int_equal(code, in ? OK : ERR_REFUSED);
    buffer_finish(&reply);
    return in;
}

static bool come(struct hall *hall)
{
    const struct identity *identity = &hall->caller.self->identity;
    struct buffer wire = {0};
    make(hall, hall->host.transport_key, &identity->sign.secret_key, &wire);
    bool in = show(hall, buffer_bytes(&wire), &identity->transport.public_key);
    buffer_finish(&wire);
    return in;
}

static uint32_t alarms(struct hall *hall, const char *kind)
{
    struct alarm found[16];
    uint32_t count = 0;
    struct txn *txn = fixture_begin(hall->bench.store, false);
    for (uint32_t i = 0, all = alarm_last(txn, found, 16); i < all; i++)
        count += strcmp(found[i].kind, kind) == 0;
    fixture_commit(txn);
    return count;
}

static void fault_17_a_parent_that_forgot_its_child_lets_it_in(void **state)
{
    struct hall *hall = *state;
    struct peer peer;
    struct station_id via;
    open_hall(hall, TOWNSHIP, VILLAGE);
    for (unsigned i = 0; i < 3; i++) // a lost answer costs nothing
        assert_true(come(hall));
    assert_false(hall->peer.guest);
    assert_int_equal(alarms(hall, "child-returned"), 1);
    struct txn *txn = fixture_begin(hall->bench.store, false);
    assert_true(peer_read(txn, &village->identity.station, &peer));
    assert_string_equal(peer.unit, village->certificate.unit);
    assert_string_equal(peer.listen, "tcp://10.0.0.9:7401");
    assert_memory_equal(&peer.transport_key, &village->identity.transport.public_key, PUBLIC_KEY_SIZE);
    assert_true(hash_equal(&peer.certificate, &village->certificate.hash) && !peer.barred && !peer.guest);
    assert_true(route_via(txn, &village->identity.station, &via) && station_equal(&via, &village->identity.station));
    assert_true(signers_find(hall->bench.signers, txn, &village->certificate.hash) != NULL);
    assert_false(guest_read(txn, &village->identity.station, &peer));
    fixture_commit(txn);
    close_hall(hall);
}

static void fault_33_a_childs_child_comes_as_a_guest_and_gets_what_is_owed(void **state)
{
    struct hall *hall = *state;
    struct peer peer;
    struct station_id via;
    struct stream_row rows[8];
    open_hall(hall, COUNTY, VILLAGE);
    struct txn *txn = bench_begin(&hall->bench); // a receipt that its parent has kept back
    author_add(hall->bench.author, txn, URGENT, STATION, &village->identity.station, REACH_TOP, SANJI__ENTRY_KIND__RECEIPT, now_ms,
               bytes_of_text("a receipt"), NULL);
    bench_commit(&hall->bench, txn);
    assert_int_equal(bench_rows(&hall->bench, SANJI__STREAM__STREAM_DOWN_ONE, URGENT, &village->identity.station, rows, 8), 0);
    for (unsigned i = 0; i < 2; i++)
        assert_true(come(hall));
    assert_true(hall->peer.guest);
    txn = fixture_begin(hall->bench.store, false);
    assert_false(peer_read(txn, &village->identity.station, &peer)); // it speaks for nobody here
    assert_true(guest_read(txn, &village->identity.station, &peer) && peer.guest);
    assert_true(route_via(txn, &village->identity.station, &via) && station_equal(&via, &township->identity.station));
    fixture_commit(txn);
    uint32_t count = bench_rows(&hall->bench, SANJI__STREAM__STREAM_DOWN_ONE, URGENT, &village->identity.station, rows, 8);
    assert_true(count > 1 && rows[count - 1].batch == 1 && !rows[count - 1].is_object); // once
    // what is said from now on goes both ways
    txn = bench_begin(&hall->bench);
    author_add(hall->bench.author, txn, URGENT, STATION, &village->identity.station, REACH_TOP, SANJI__ENTRY_KIND__RECEIPT, now_ms,
               bytes_of_text("another"), NULL);
    bench_commit(&hall->bench, txn);
    assert_int_equal(bench_rows(&hall->bench, SANJI__STREAM__STREAM_DOWN_ONE, URGENT, &village->identity.station, rows, 8), count + 1);
    count = bench_rows(&hall->bench, SANJI__STREAM__STREAM_DOWN_ONE, URGENT, &township->identity.station, rows, 8);
    assert_true(count > 1 && rows[count - 1].batch == 2);
    close_hall(hall);
}

static void refused(struct hall *hall, const char *why)
{
    if (!strstr(hall->error.detail, why))
        fail_msg("'%s', not '%s'", hall->error.detail, why);
    assert_int_equal(bench_count(&hall->bench, TABLE_PEERS) + bench_count(&hall->bench, TABLE_GUESTS), 0);
}

static void fault_53_nobody_comes_under_anothers_name(void **state)
{
    struct hall *hall = *state;
    struct buffer wire = {0};
    open_hall(hall, TOWNSHIP, VILLAGE);
    const struct identity *identity = &village->identity;
    // with another's proof, or at another station, or under another key
    make(hall, hall->host.transport_key, &posts[OTHER_VILLAGE].identity.sign.secret_key, &wire);
    assert_false(show(hall, buffer_bytes(&wire), &identity->transport.public_key));
    refused(hall, "does not hold");
    buffer_clear(&wire);
    make(hall, &county->identity.transport.public_key, &identity->sign.secret_key, &wire);
    assert_false(show(hall, buffer_bytes(&wire), &identity->transport.public_key));
    refused(hall, "does not hold");
    buffer_clear(&wire);
    make(hall, hall->host.transport_key, &identity->sign.secret_key, &wire);
    assert_false(show(hall, buffer_bytes(&wire), &posts[OTHER_VILLAGE].identity.transport.public_key));
    refused(hall, "does not hold");
    for (size_t i = 0; i < wire.size; i++) { // any byte of it
        wire.data[i] ^= 1;
        if (show(hall, buffer_bytes(&wire), &identity->transport.public_key))
            assert_memory_not_equal(hall->peer.listen, "tcp://10.0.0.9:7401", 19); // where it serves children is its own affair
        else
            assert_non_null(hall->error.detail);
        wire.data[i] ^= 1;
        struct txn *txn = fixture_begin(hall->bench.store, true);
        txn_delete(txn, TABLE_PEERS, bytes_of(identity->station.bytes, STATION_ID_SIZE));
        fixture_commit(txn);
    }
    for (size_t size = 0; size < wire.size; size++)
        assert_false(show(hall, bytes_of(wire.data, size), &identity->transport.public_key));
    buffer_finish(&wire);
    // a unit that is not below
    hall->refuses_units = true;
    assert_false(come(hall));
    refused(hall, "neither this station");
    close_hall(hall);
    static const struct {
        unsigned self, caller;
        const char *why;
    } others[] = {{TOWNSHIP, STRANGER, "does not hold"},       // of another tree
                  {PROVINCE, VILLAGE, "neither this station"}, // too far up
                  {VILLAGE, OTHER_VILLAGE, "neither this station"},
                  {VILLAGE, TOWNSHIP, "neither this station"},
                  {TOWNSHIP, TOWNSHIP, "neither this station"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        open_hall(hall, others[i].self, others[i].caller);
        assert_false(come(hall));
        refused(hall, others[i].why);
        close_hall(hall);
    }
}

static void fault_30_who_is_barred_stays_out(void **state)
{
    struct hall *hall = *state;
    struct peer peer = {.station = village->identity.station, .transport_key = village->identity.transport.public_key, .barred = true};
    open_hall(hall, TOWNSHIP, VILLAGE);
    struct txn *txn = fixture_begin(hall->bench.store, true);
    peer_write(txn, &peer);
    fixture_commit(txn);
    assert_false(come(hall));
    assert_non_null(strstr(hall->error.detail, "barred"));
    close_hall(hall);
    open_hall(hall, COUNTY, VILLAGE); // nor whom a barred one has enrolled
    peer.station = township->identity.station;
    txn = fixture_begin(hall->bench.store, true);
    peer_write(txn, &peer);
    fixture_commit(txn);
    assert_false(come(hall));
    assert_non_null(strstr(hall->error.detail, "barred"));
    close_hall(hall);
}

static void who_was_replaced_stays_out_and_who_replaced_comes_in(void **state)
{
    struct hall *hall = *state;
    for (unsigned later = 0; later < 2; later++) {
        struct post twin; // of the same unit
        post_init(&twin, township, village->certificate.unit, village->certificate.depth);
        open_hall(hall, TOWNSHIP, VILLAGE);
        struct certificate draft = twin.certificate;
        draft.issued_ms = village->certificate.issued_ms + (later ? 1000 : 0) - (later ? 0 : 1000);
        buffer_clear(&twin.wire);
        assert_int_equal(certificate_issue(&draft, &township->certificate, &township->identity.sign.secret_key, &twin.wire, NULL), OK);
        twin.certificate = draft;
        bench_store_certificate(&hall->bench, &twin);
        struct peer peer = {.station = draft.station,
                            .transport_key = twin.identity.transport.public_key,
                            .certificate = draft.hash,
                            .enrolled_ms = now_ms};
        memcpy(peer.unit, draft.unit, sizeof peer.unit);
        struct txn *txn = fixture_begin(hall->bench.store, true);
        peer_write(txn, &peer);
        fixture_commit(txn);
        assert_int_equal(come(hall), !later);
        if (later)
            assert_non_null(strstr(hall->error.detail, "newer station"));
        close_hall(hall);
        post_finish(&twin);
    }
}

static void a_station_with_other_keys_is_not_the_same(void **state)
{
    struct hall *hall = *state;
    struct peer peer = {.station = village->identity.station, .transport_key = county->identity.transport.public_key};
    open_hall(hall, TOWNSHIP, VILLAGE);
    struct txn *txn = fixture_begin(hall->bench.store, true);
    peer_write(txn, &peer);
    fixture_commit(txn);
    assert_false(come(hall));
    assert_non_null(strstr(hall->error.detail, "other keys"));
    close_hall(hall);
}

static void a_join_request_is_none(void **state)
{
    (void)state;
    struct join_request request;
    struct buffer wire = {0};
    uint8_t secret[TOKEN_SECRET_SIZE] = {1};
    assert_int_equal(join_request_sign(&village->identity, secret, NULL, &request, NULL), OK);
    join_request_pack(&request, &wire);
    assert_false(introduction_is(buffer_bytes(&wire)));
    assert_false(introduction_is(bytes_of(NULL, 0)));
    assert_int_equal(introduction_answer(buffer_bytes(&wire), NULL), ERR_INPUT);
    buffer_finish(&wire);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(fault_17_a_parent_that_forgot_its_child_lets_it_in),
        test(fault_33_a_childs_child_comes_as_a_guest_and_gets_what_is_owed),
        test(fault_53_nobody_comes_under_anothers_name),
        test(fault_30_who_is_barred_stays_out),
        test(who_was_replaced_stays_out_and_who_replaced_comes_in),
        test(a_station_with_other_keys_is_not_the_same),
        test(a_join_request_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
