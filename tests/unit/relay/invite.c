#include "relay/invite.h"

#include <pthread.h>

#include "relay/writer.h"
#include "tests/directory.h"
#include "tests/samples.h"
#include "tests/unit/relay/station_fixture.h"

static const uint64_t now_ms = UINT64_C(1718409600000), hour_ms = 3600 * 1000;
static const char unit[] = "321081100203";

struct hall {
    struct bench bench; // the township's
    struct host host;
    struct given_documents documents;
};

static void hall_open(struct hall *hall, struct store *store)
{
    *hall = (struct hall){.documents = {.codebook_version = 3, .units_version = 4}};
    bench_open(&hall->bench, posts, TOWNSHIP, store);
    const struct post *self = hall->bench.self;
    hall->host = (struct host){.self = &self->certificate,
                               .sign_key = &self->identity.sign.secret_key,
                               .root = posts[PROVINCE].certificate.hash,
                               .link = "tcp://10.0.0.1:7411",
                               .join = "tcp://10.0.0.1:7412",
                               .transport_key = &self->identity.transport.public_key};
    struct bytes codebook = bytes_of_text("id: codebook"), units = bytes_of_text("code,name");
    hall->documents.codebook = crypto_hash(TAG_DOCUMENT, codebook);
    hall->documents.units = crypto_hash(TAG_DOCUMENT, units);
    struct txn *txn = fixture_begin(hall->bench.store, true);
    object_add(txn, &hall->documents.codebook, OBJECT_DOCUMENT, codebook);
    object_add(txn, &hall->documents.units, OBJECT_DOCUMENT, units);
    fixture_commit(txn);
}

static int setup(void **state)
{
    struct hall *hall = calloc(1, sizeof *hall);
    posts_init(posts);
    hall_open(hall, NULL);
    *state = hall;
    return 0;
}

static int teardown(void **state)
{
    struct hall *hall = *state;
    bench_close(&hall->bench);
    posts_finish(posts);
    free(hall);
    return 0;
}

#define INVITE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static struct join_token invite_for(struct hall *hall, const char *code)
{
    struct invited_unit invited_unit = {.from = 15000, .tier = "village", .depth = 3};
    struct join_token token;
    snprintf(invited_unit.code, sizeof invited_unit.code, "%s", code);
    struct txn *txn = fixture_begin(hall->bench.store, true);
    invite(txn, &hall->host, &invited_unit, 2024 * 12 + 5, now_ms + hour_ms, now_ms, &token);
    fixture_commit(txn);
    return token;
}

// ---- asking

struct answer {
    bool enrolled;
    struct buffer wire;
    struct join_reply reply;
    struct peer peer;
};

static void ask_at(struct hall *hall, const struct public_key *key, struct bytes request, uint64_t at_ms, struct answer *ret)
{
    struct error error = {0};
    memset(ret, 0, sizeof *ret);
    struct txn *txn = fixture_begin(hall->bench.store, true);
    ret->enrolled = admit(txn, &hall->host, key, request, at_ms, &hall->documents, &ret->wire, &ret->peer);
    fixture_commit(txn);
    if (join_reply_unpack(buffer_bytes(&ret->wire), &ret->reply, &error) != OK)
        fail_msg("%s", error.detail);
    assert_int_equal(ret->enrolled, ret->reply.refusal[0] == 0);
    assert_int_equal(ret->reply.refusal[0] == 0, ret->reply.refusal_zh[0] == 0);
}

static void request_of(const struct identity *identity, const uint8_t secret[TOKEN_SECRET_SIZE], struct buffer *ret)
{
    struct join_request request;
    assert_int_equal(join_request_sign(identity, secret, "tcp://10.0.0.2:7411", &request, NULL), OK);
    join_request_pack(&request, ret);
}

static void ask(struct hall *hall, const struct identity *identity, const struct join_token *token, struct answer *ret)
{
    struct buffer request = {0};
    request_of(identity, token->secret, &request);
    ask_at(hall, &identity->transport.public_key, buffer_bytes(&request), now_ms, ret);
    buffer_finish(&request);
}

static void assert_refused(struct hall *hall, const struct identity *identity, const struct join_token *token, const char *why)
{
    struct answer answer;
    ask(hall, identity, token, &answer);
    assert_false(answer.enrolled);
    assert_non_null(strstr(answer.reply.refusal, why));
    buffer_finish(&answer.wire);
}

static bool is_invited(struct hall *hall, const char *code, uint64_t at_ms)
{
    struct txn *txn = fixture_begin(hall->bench.store, false);
    bool found = invited(txn, code, at_ms);
    fixture_commit(txn);
    return found;
}

static uint32_t alarms(struct hall *hall, struct alarm *last)
{
    static struct alarm found[ALARMS_MAX];
    struct txn *txn = fixture_begin(hall->bench.store, false);
    uint32_t count = alarm_last(txn, found, ALARMS_MAX);
    fixture_commit(txn);
    if (count)
        *last = found[0];
    return count;
}

// ---- tests

static void a_token_says_whom_to_ask(void **state)
{
    struct hall *hall = *state;
    struct join_token token = invite_for(hall, unit), second = invite_for(hall, unit), parsed;
    char text[TOKEN_TEXT_MAX];
    assert_string_equal(token.endpoint, hall->host.join);
    assert_string_equal(token.unit, unit);
    assert_true(hash_equal(&token.root, &posts[PROVINCE].certificate.hash) && hash_equal(&token.parent, &posts[TOWNSHIP].certificate.hash));
    assert_memory_equal(&token.parent_key, hall->host.transport_key, PUBLIC_KEY_SIZE);
    assert_true(token.expires_ms == now_ms + hour_ms);
    assert_memory_not_equal(token.secret, second.secret, TOKEN_SECRET_SIZE);
    assert_int_equal(token_format(&token, text, NULL), OK);
    assert_int_equal(token_parse(text, &parsed, NULL), OK);
    // The store has its name only, never the secret.
    struct txn *txn = fixture_begin(hall->bench.store, false);
    struct cursor *cursor = cursor_open(txn, TABLE_TOKENS);
    for (bool at = cursor_seek(cursor, bytes_of("", 0)); at; at = cursor_next(cursor)) {
        struct bytes key = cursor_key(cursor), value = cursor_value(cursor);
        assert_null(memmem(key.data, key.size, token.secret, TOKEN_SECRET_SIZE));
        assert_null(memmem(value.data, value.size, token.secret, TOKEN_SECRET_SIZE));
    }
    cursor_close(cursor);
    fixture_commit(txn);
}

static void a_station_is_enrolled(void **state)
{
    struct hall *hall = *state;
    struct identity identity;
    struct answer answer;
    struct certificate certificate, parent, chained;
    struct error error = {0};
    struct station_id via;
    sample_identity(&identity);
    struct join_token token = invite_for(hall, unit);
    assert_true(is_invited(hall, unit, now_ms) && !is_invited(hall, unit, now_ms + hour_ms) && !is_invited(hall, "321081", now_ms));
    ask(hall, &identity, &token, &answer);
    assert_true(answer.enrolled);
    assert_int_equal(certificate_decode(answer.reply.certificate, &certificate, &error), OK);
    assert_int_equal(certificate_check(answer.reply.certificate, &certificate, &posts[TOWNSHIP].certificate, &error), OK);
    assert_true(station_equal(&certificate.station, &identity.station));
    assert_memory_equal(&certificate.sign_key, &identity.sign.public_key, PUBLIC_KEY_SIZE);
    assert_memory_equal(&certificate.seal_key, &identity.seal.public_key, PUBLIC_KEY_SIZE);
    assert_memory_equal(&certificate.transport_key, &identity.transport.public_key, PUBLIC_KEY_SIZE);
    assert_string_equal(certificate.unit, unit);
    assert_string_equal(certificate.tier, "village");
    assert_true(certificate.unit_from == 15000 && certificate.depth == 3 && certificate.from_period == 2024 * 12 + 5);
    assert_true(certificate.term == posts[TOWNSHIP].certificate.term + 1 && certificate.ordinal == 1 && certificate.issued_ms == now_ms);
    // The chain, root record first, us last: it proves the certificate to who has the root's hash.
    assert_int_equal(answer.reply.chain_count, 3);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(certificate_decode(answer.reply.chain[i], &chained, NULL), OK);
        assert_int_equal(certificate_check(answer.reply.chain[i], &chained, i ? &parent : NULL, NULL), OK);
        parent = chained;
    }
    assert_true(hash_equal(&chained.hash, &token.parent));
    assert_string_equal(answer.reply.link, hall->host.link);
    assert_true(answer.reply.codebook_version == 3 && answer.reply.units_version == 4);
    assert_true(bytes_equal(answer.reply.units, bytes_of_text("code,name")) &&
                bytes_equal(answer.reply.codebook, bytes_of_text("id: codebook")));
    // It is a child of ours from now on, and can be addressed.
    struct peer peer;
    struct txn *txn = fixture_begin(hall->bench.store, false);
    assert_true(peer_read(txn, &identity.station, &peer) && route_via(txn, &identity.station, &via));
    fixture_commit(txn);
    assert_true(station_equal(&via, &identity.station) && hash_equal(&peer.certificate, &certificate.hash) && !peer.barred);
    assert_string_equal(peer.unit, unit);
    assert_string_equal(peer.listen, "tcp://10.0.0.2:7411");
    assert_true(station_equal(&answer.peer.station, &identity.station));
    assert_false(is_invited(hall, unit, now_ms));
    buffer_finish(&answer.wire);
}

static void a_parent_without_codebook_gives_none(void **state)
{
    struct hall *hall = *state;
    struct identity identity;
    struct answer answer;
    sample_identity(&identity);
    hall->documents.codebook = (struct hash){0};
    hall->documents.codebook_version = 0;
    struct join_token token = invite_for(hall, unit);
    ask(hall, &identity, &token, &answer);
    assert_true(answer.enrolled && answer.reply.codebook.size == 0 && answer.reply.units.size > 0);
    buffer_finish(&answer.wire);
}

static void the_same_keys_get_the_same_certificate(void **state)
{
    struct hall *hall = *state;
    struct identity identity;
    struct answer first, again;
    struct alarm alarm;
    sample_identity(&identity);
    struct join_token token = invite_for(hall, unit);
    ask(hall, &identity, &token, &first);
    for (unsigned i = 0; i < 3; i++) {
        struct buffer request = {0};
        request_of(&identity, token.secret, &request);
        ask_at(hall, &identity.transport.public_key, buffer_bytes(&request), now_ms + 2 * hour_ms, &again); // even when it has expired
        assert_true(again.enrolled && bytes_equal(again.reply.certificate, first.reply.certificate));
        assert_true(station_equal(&again.peer.station, &identity.station));
        buffer_finish(&request);
        buffer_finish(&again.wire);
    }
    assert_int_equal(alarms(hall, &alarm), 0);
    assert_int_equal(bench_count(&hall->bench, TABLE_PEERS), 1);
    buffer_finish(&first.wire);
}

static void fault_59_a_guess_is_refused(void **state)
{
    struct hall *hall = *state;
    struct identity identity;
    struct alarm alarm;
    sample_identity(&identity);
    struct join_token token = invite_for(hall, unit);
    for (unsigned bit = 0; bit < 8 * TOKEN_SECRET_SIZE; bit++) {
        struct join_token guess = token;
        guess.secret[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_refused(hall, &identity, &guess, "not known");
    }
    assert_int_equal(bench_count(&hall->bench, TABLE_PEERS), 0);
    assert_int_equal(bench_count(&hall->bench, TABLE_TOKENS), 1);
    assert_int_equal(alarms(hall, &alarm), 0); // guesses must not push out what a person should read
    assert_true(is_invited(hall, unit, now_ms));
}

static void fault_59_many_wrong_tokens_raise_one_alarm(void **state)
{
    struct hall *hall = *state;
    struct guesses guesses = {0};
    struct identity identity;
    struct join_token token = invite_for(hall, unit);
    struct answer answer;
    struct alarm last;
    hall->host.guesses = &guesses;
    sample_identity(&identity);
    for (unsigned i = 0; i < 3 * GUESSES_ALARM; i++) {
        struct buffer request = {0};
        token.secret[i % 16] ^= (uint8_t)(1 + i);
        request_of(&identity, token.secret, &request);
        ask_at(hall, &identity.transport.public_key, buffer_bytes(&request),
               now_ms + i + (i >= 2 * GUESSES_ALARM ? GUESSES_QUIET_MS + 100 : 0), &answer);
        assert_false(answer.enrolled);
        buffer_finish(&answer.wire);
        buffer_finish(&request);
        assert_int_equal(alarms(hall, &last), (i + 1 >= GUESSES_ALARM) + (i + 1 >= 3 * GUESSES_ALARM)); // once a burst
    }
    assert_string_equal(last.kind, "token-guessing");
    identity_finish(&identity);
}

static void tokens_that_expired_long_ago_are_forgotten(void **state)
{
    struct hall *hall = *state;
    struct invited_unit place = {.code = "v9", .from = 15000, .tier = "village", .depth = 3};
    struct join_token token;
    for (unsigned i = 0; i < 100; i++)
        invite_for(hall, "v9");
    uint64_t later = now_ms + hour_ms + (uint64_t)TOKEN_KEPT_MS;
    for (unsigned i = 0; i < 3; i++) {
        struct txn *txn = fixture_begin(hall->bench.store, true);
        invite(txn, &hall->host, &place, 0, later + hour_ms, later + (i > 0), &token);
        fixture_commit(txn);
        if (i == 0)
            assert_int_equal(bench_count(&hall->bench, TABLE_TOKENS), 101); // not yet
    }
    assert_int_equal(bench_count(&hall->bench, TABLE_TOKENS), 3); // some at a time
}

static void fault_60_other_keys_are_refused(void **state)
{
    struct hall *hall = *state;
    struct identity first, second, mixed;
    struct answer answer;
    struct alarm alarm;
    sample_identity(&first);
    sample_identity(&second);
    struct join_token token = invite_for(hall, unit);
    ask(hall, &first, &token, &answer);
    assert_true(answer.enrolled);
    buffer_finish(&answer.wire);
    for (unsigned i = 0; i < 5; i++)
        assert_refused(hall, &second, &token, "used by another");
    assert_int_equal(alarms(hall, &alarm), 1); // once for a row of attempts
    assert_string_equal(alarm.kind, "token-reused");
    assert_non_null(strstr(alarm.text, unit));
    mixed = first;
    mixed.seal = second.seal; // one key is enough
    assert_refused(hall, &mixed, &token, "used by another");
    mixed = first;
    mixed.station = second.station;
    assert_refused(hall, &mixed, &token, "used by another");
    struct join_token other = invite_for(hall, "321081100204");
    ask(hall, &second, &other, &answer); // another token's misuse is another alarm
    buffer_finish(&answer.wire);
    assert_refused(hall, &first, &other, "used by another");
    assert_int_equal(alarms(hall, &alarm), 2);
    assert_int_equal(bench_count(&hall->bench, TABLE_PEERS), 2);
}

static void a_token_expires(void **state)
{
    struct hall *hall = *state;
    struct identity identity;
    struct answer answer;
    struct buffer request = {0};
    sample_identity(&identity);
    struct join_token token = invite_for(hall, unit);
    request_of(&identity, token.secret, &request);
    ask_at(hall, &identity.transport.public_key, buffer_bytes(&request), now_ms + hour_ms, &answer);
    assert_false(answer.enrolled);
    assert_non_null(strstr(answer.reply.refusal, "expired"));
    buffer_finish(&answer.wire);
    ask_at(hall, &identity.transport.public_key, buffer_bytes(&request), now_ms + hour_ms - 1, &answer); // the last moment
    assert_true(answer.enrolled);
    buffer_finish(&answer.wire);
    buffer_finish(&request);
}

static void bar(struct hall *hall, const struct identity *identity)
{
    struct peer peer;
    struct txn *txn = fixture_begin(hall->bench.store, true);
    assert_true(peer_read(txn, &identity->station, &peer));
    peer.barred = true;
    peer_write(txn, &peer);
    fixture_commit(txn);
}

static void one_station_for_a_unit(void **state)
{
    struct hall *hall = *state;
    struct identity first, second;
    struct answer answer;
    sample_identity(&first);
    sample_identity(&second);
    struct join_token token = invite_for(hall, unit), later = invite_for(hall, unit);
    ask(hall, &first, &token, &answer);
    buffer_finish(&answer.wire);
    assert_refused(hall, &second, &later, "has a station already");
    assert_true(is_invited(hall, unit, now_ms)); // the refusal did not use it up
    bar(hall, &first);
    assert_refused(hall, &first, &token, "is gone"); // what was barred does not come back by its old token
    ask(hall, &second, &later, &answer);
    assert_true(answer.enrolled);
    buffer_finish(&answer.wire);
}

static void an_id_is_one_stations_for_ever(void **state)
{
    struct hall *hall = *state;
    struct identity first, thief;
    struct answer answer;
    sample_identity(&first);
    struct join_token token = invite_for(hall, unit), other = invite_for(hall, "321081100204");
    ask(hall, &first, &token, &answer);
    buffer_finish(&answer.wire);
    sample_identity(&thief);
    thief.station = first.station; // a child's
    assert_refused(hall, &thief, &other, "this id is enrolled");
    thief.station = posts[TOWNSHIP].identity.station; // ours
    assert_refused(hall, &thief, &other, "this id is enrolled");
    struct txn *txn = fixture_begin(hall->bench.store, true);
    route_learn(txn, &posts[VILLAGE].identity.station, &first.station, NULL);
    fixture_commit(txn);
    thief.station = posts[VILLAGE].identity.station; // one's further below
    assert_refused(hall, &thief, &other, "this id is enrolled");
    struct peer peer;
    txn = fixture_begin(hall->bench.store, false);
    assert_true(peer_read(txn, &first.station, &peer));
    assert_memory_equal(&peer.transport_key, &first.transport.public_key, PUBLIC_KEY_SIZE);
    fixture_commit(txn);
    sample_identity(&thief);
    ask(hall, &thief, &other, &answer); // with an id of its own it is welcome
    assert_true(answer.enrolled);
    buffer_finish(&answer.wire);
}

static void what_is_no_request(void **state)
{
    struct hall *hall = *state;
    struct identity identity, other;
    struct answer answer;
    struct buffer request = {0};
    sample_identity(&identity);
    sample_identity(&other);
    struct join_token token = invite_for(hall, unit);
    request_of(&identity, token.secret, &request);
    ask_at(hall, &other.transport.public_key, buffer_bytes(&request), now_ms, &answer); // it came under another key
    assert_false(answer.enrolled);
    assert_non_null(strstr(answer.reply.refusal, "not a valid"));
    buffer_finish(&answer.wire);
    ask_at(hall, &identity.transport.public_key, bytes_of_text("what is this"), now_ms, &answer);
    assert_false(answer.enrolled);
    buffer_finish(&answer.wire);
    ask_at(hall, &identity.transport.public_key, bytes_of(NULL, 0), now_ms, &answer);
    assert_false(answer.enrolled);
    buffer_finish(&answer.wire);
    struct join_request unsigned_request;
    assert_int_equal(join_request_unpack(buffer_bytes(&request), &unsigned_request, NULL), OK);
    unsigned_request.sign_key = other.sign.public_key; // whose secret it does not have
    buffer_clear(&request);
    join_request_pack(&unsigned_request, &request);
    ask_at(hall, &identity.transport.public_key, buffer_bytes(&request), now_ms, &answer);
    assert_false(answer.enrolled);
    buffer_finish(&answer.wire);
    assert_int_equal(bench_count(&hall->bench, TABLE_PEERS), 0);
    buffer_finish(&request);
}

// Keys that no certificate may have: the answer is a refusal, and nothing is half done.
static void one_key_for_two_purposes(void **state)
{
    struct hall *hall = *state;
    struct identity identity;
    struct answer answer;
    sample_identity(&identity);
    struct join_token token = invite_for(hall, unit);
    struct identity twice = identity;
    twice.seal = twice.transport;
    assert_refused(hall, &twice, &token, "could not be made");
    assert_int_equal(bench_count(&hall->bench, TABLE_PEERS), 0);
    ask(hall, &identity, &token, &answer); // the token is not used up
    assert_true(answer.enrolled);
    buffer_finish(&answer.wire);
}

static void a_parent_that_lost_its_unit_tree(void **state)
{
    struct hall *hall = *state;
    struct identity identity;
    sample_identity(&identity);
    struct join_token token = invite_for(hall, unit);
    struct hash units = hall->documents.units;
    hall->documents.units = a_hash(1);
    assert_refused(hall, &identity, &token, "has lost a document");
    hall->documents.units = units; // put back
    struct answer answer;
    ask(hall, &identity, &token, &answer);
    assert_true(answer.enrolled);
    buffer_finish(&answer.wire);
}

// ---- many at once

enum { JOINERS = 50 };

struct joiner {
    struct hall *hall;
    struct writer *writer;
    const struct join_token *token;
    struct identity identity;
    struct answer answer;
    enum error_code code;
};

static void on_txn(void *context, struct txn *txn) { (void)context, (void)txn; }
static void on_before(void *context, struct txn *txn, struct grown *grown) { (void)context, (void)txn, (void)grown; }
static void on_event(void *context) { (void)context; }
static void on_fatal(void *context, const struct error *error)
{
    (void)context;
    fprintf(stderr, "fatal: %s\n", error->detail);
    abort();
}

static enum error_code run_join(void *argument, struct txn *txn, struct error *error)
{
    struct joiner *joiner = argument;
    struct buffer request = {0};
    struct join_request signed_request;
    enum error_code code = join_request_sign(&joiner->identity, joiner->token->secret, NULL, &signed_request, error);
    join_request_pack(&signed_request, &request);
    buffer_clear(&joiner->answer.wire);
    joiner->answer.enrolled = admit(txn, &joiner->hall->host, &joiner->identity.transport.public_key, buffer_bytes(&request), now_ms,
                                    &joiner->hall->documents, &joiner->answer.wire, &joiner->answer.peer);
    buffer_finish(&request);
    return code;
}

static void *joiner_main(void *argument)
{
    struct joiner *joiner = argument;
    joiner->code = writer_call(joiner->writer, run_join, joiner, NULL);
    return NULL;
}

static void fault_60_of_fifty_at_once_one_wins(void **state)
{
    (void)state;
    static struct joiner joiners[JOINERS];
    pthread_t threads[JOINERS];
    struct hall hall;
    struct writer *writer;
    struct alarm alarm;
    char *directory = directory_make();
    posts_init(posts);
    hall_open(&hall, fixture_open(directory, STORE_CREATE, 0));
    struct writer_hooks hooks = {NULL, on_txn, on_before, on_event, on_event, on_fatal, on_event};
    assert_int_equal(writer_create(hall.bench.store, &hall.bench.receiver, &hooks, true, &writer, NULL), OK);
    struct join_token token = invite_for(&hall, unit);
    for (unsigned i = 0; i < JOINERS; i++) {
        joiners[i] = (struct joiner){.hall = &hall, .writer = writer, .token = &token};
        sample_identity(&joiners[i].identity);
    }
    for (unsigned i = 0; i < JOINERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, joiner_main, &joiners[i]), 0);
    uint32_t won = 0;
    for (unsigned i = 0; i < JOINERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(joiners[i].code, OK);
        won += joiners[i].answer.enrolled;
        buffer_finish(&joiners[i].answer.wire);
    }
    assert_int_equal(won, 1);
    assert_int_equal(bench_count(&hall.bench, TABLE_PEERS), 1);
    assert_int_equal(alarms(&hall, &alarm), 1);
    writer_destroy(writer);
    bench_close(&hall.bench);
    posts_finish(posts);
    directory_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        INVITE_TEST(a_token_says_whom_to_ask),
        INVITE_TEST(a_station_is_enrolled),
        INVITE_TEST(a_parent_without_codebook_gives_none),
        INVITE_TEST(the_same_keys_get_the_same_certificate),
        INVITE_TEST(fault_59_a_guess_is_refused),
        INVITE_TEST(fault_60_other_keys_are_refused),
        INVITE_TEST(a_token_expires),
        INVITE_TEST(one_station_for_a_unit),
        INVITE_TEST(an_id_is_one_stations_for_ever),
        INVITE_TEST(what_is_no_request),
        INVITE_TEST(fault_59_many_wrong_tokens_raise_one_alarm),
        INVITE_TEST(tokens_that_expired_long_ago_are_forgotten),
        INVITE_TEST(one_key_for_two_purposes),
        INVITE_TEST(a_parent_that_lost_its_unit_tree),
        cmocka_unit_test(fault_60_of_fifty_at_once_one_wins),
    };
    return cmocka_run_group_tests_name("relay/invite", tests, NULL, NULL);
}
