#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "envelope.pb-c.h"
#include "tests/samples.h"

static struct sample samples[SAMPLES];
static struct sample_batch batch;

static int setup(void **state)
{
    (void)state;
    samples_init(samples);
    sample_batch_init(&samples[SAMPLE_VILLAGE], 3, 200, &batch);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    sample_batch_finish(&batch);
    samples_finish(samples);
    return 0;
}

static struct bytes signature(void) { return bytes_of(batch.signature, SIGNATURE_SIZE); }

static void a_header_decodes_to_what_was_signed(void **state)
{
    (void)state;
    struct header header;
    struct bytes wire = buffer_bytes(&batch.header_wire);
    assert_int_equal(header_decode(wire, &header, NULL), OK);
    assert_memory_equal(&header.hash, &batch.header.hash, HASH_SIZE);
    struct hash hash = crypto_hash(TAG_HEADER, wire);
    assert_memory_equal(&header.hash, &hash, HASH_SIZE);
    assert_memory_equal(&header.feed.station, &samples[SAMPLE_VILLAGE].identity.station, STATION_ID_SIZE);
    assert_int_equal(header.feed.ordinal, 1);
    assert_true(header.feed.nonce == 0x0123456789ABCDEF);
    assert_int_equal(header.feed.lane, SANJI__LANE__CASE);
    assert_int_equal(header.feed.audience, SANJI__AUDIENCE__UP);
    assert_int_equal(header.first, 1);
    assert_int_equal(header.count, 3);
    assert_int_equal(header.reach, 2);
    assert_true(header.time_ms == 1483228800000);
    assert_true(hash_is_zero(&header.codebook) && hash_is_zero(&header.prev));
    assert_int_equal(header.body_size, batch.draft.body.size);
    assert_int_equal(header_check_signature(wire, signature(), &samples[SAMPLE_VILLAGE].certificate, &header, NULL), OK);
}

static void fault_27_every_flipped_bit_of_header_and_signature_is_found(void **state)
{
    (void)state;
    uint8_t data[HEADER_MAX] = {0}, sign[SIGNATURE_SIZE];
    struct bytes wire = bytes_of(data, batch.header_wire.size);
    memcpy(data, batch.header_wire.data, wire.size);
    memcpy(sign, batch.signature, sizeof sign);
    const struct certificate *signer = &samples[SAMPLE_VILLAGE].certificate;
    struct header header;
    for (size_t bit = 0; bit < 8 * wire.size; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (header_decode(wire, &header, NULL) == OK)
            assert_int_equal(header_check_signature(wire, signature(), signer, &header, NULL), ERR_FORGED);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof sign; bit++) {
        sign[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_int_equal(header_check_signature(wire, bytes_of(sign, sizeof sign), signer, &batch.header, NULL), ERR_FORGED);
        sign[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_int_equal(header_check_signature(wire, bytes_of(sign, 63), signer, &batch.header, NULL), ERR_FORGED);
    assert_int_equal(header_check_signature(wire, bytes_of(NULL, 0), signer, &batch.header, NULL), ERR_FORGED);
}

static void fault_29_a_header_counts_for_its_own_station_only(void **state)
{
    (void)state;
    struct error error = {0};
    struct bytes wire = buffer_bytes(&batch.header_wire);
    assert_int_equal(header_check_signature(wire, signature(), &samples[SAMPLE_TOWNSHIP].certificate, &batch.header, &error), ERR_FORGED);
    assert_non_null(strstr(error.detail, samples[SAMPLE_TOWNSHIP].certificate.unit));
    // another station's certificate with the same signing key
    struct certificate other = samples[SAMPLE_VILLAGE].certificate;
    other.station = samples[SAMPLE_TOWNSHIP].certificate.station;
    assert_int_equal(header_check_signature(wire, signature(), &other, &batch.header, &error), ERR_FORGED);
    // an older certificate of the same station and key
    other = samples[SAMPLE_VILLAGE].certificate;
    other.hash.bytes[0] ^= 1;
    assert_int_equal(header_check_signature(wire, signature(), &other, &batch.header, &error), ERR_FORGED);
}

// ---- headers that a careless or hostile signer could make

static uint8_t some[33];
static Sanji__Feed feed;
static Sanji__BatchHeader message;

static void good(void)
{
    memset(some, 5, sizeof some);
    sanji__feed__init(&feed);
    feed.station = (ProtobufCBinaryData){16, some};
    feed.ordinal = 1;
    feed.lane = SANJI__LANE__CONTROL;
    feed.audience = SANJI__AUDIENCE__SUBTREE;
    sanji__batch_header__init(&message);
    message.format = message.suite = 1;
    message.feed = &feed;
    message.certificate = message.root = message.prev = (ProtobufCBinaryData){32, some};
    message.first = 8;
    message.count = 1;
    message.reach = 0;
    message.body_size = 100;
}

static enum error_code decode(struct error *error)
{
    struct buffer wire = {0};
    struct header header;
    codec_pack(&message, &wire);
    enum error_code code = header_decode(buffer_bytes(&wire), &header, error);
    buffer_finish(&wire);
    return code;
}

#define REFUSED(change, code, field)                                                                                                       \
    do {                                                                                                                                   \
        struct error error = {0};                                                                                                          \
        good();                                                                                                                            \
        change;                                                                                                                            \
        assert_int_equal(decode(&error), code);                                                                                            \
        assert_non_null(strstr(error.detail, field));                                                                                      \
    } while (0)

static void bounds_are_kept(void **state)
{
    (void)state;
    uint8_t zero[32] = {0};
    good();
    assert_int_equal(decode(NULL), OK);
    message.count = BATCH_ENTRIES_MAX;
    message.reach = REACH_TOP;
    message.body_size = BATCH_BODY_MAX;
    message.first = UINT64_MAX - BATCH_ENTRIES_MAX;
    assert_int_equal(decode(NULL), OK);
    REFUSED(message.format = 0, ERR_INPUT, "format");
    REFUSED(message.suite = 0, ERR_INPUT, "suite");
    REFUSED(message.format = 2, ERR_VERSION, "format 2");
    REFUSED(message.suite = 2, ERR_VERSION, "suite 2");
    REFUSED(message.feed = NULL, ERR_INPUT, "feed");
    REFUSED(feed.station.len = 15, ERR_INPUT, "feed.station");
    REFUSED(feed.station.len = 0, ERR_INPUT, "feed.station");
    REFUSED(feed.station.data = zero, ERR_INPUT, "feed.station");
    REFUSED(feed.lane = 0, ERR_INPUT, "feed.lane");
    REFUSED(feed.lane = (Sanji__Lane)6, ERR_INPUT, "feed.lane");
    REFUSED(feed.audience = 0, ERR_INPUT, "feed.audience");
    REFUSED(feed.audience = SANJI__AUDIENCE__STATION, ERR_INPUT, "feed.addressee");
    REFUSED(feed.addressee = feed.station, ERR_INPUT, "feed.addressee");
    REFUSED(message.certificate.len = 31, ERR_INPUT, "certificate");
    REFUSED(message.certificate.len = 0, ERR_INPUT, "certificate");
    REFUSED(message.root.len = 33, ERR_INPUT, "root");
    REFUSED(message.root.len = 0, ERR_INPUT, "root");
    REFUSED(message.first = 0, ERR_INPUT, "first");
    REFUSED(message.first = UINT64_MAX, ERR_INPUT, "first");
    REFUSED(message.count = 0, ERR_INPUT, "count");
    REFUSED(message.count = BATCH_ENTRIES_MAX + 1, ERR_LIMIT, "count");
    REFUSED(message.reach = REACH_TOP + 1, ERR_LIMIT, "reach");
    REFUSED(message.body_size = 0, ERR_INPUT, "body_size");
    REFUSED(message.body_size = BATCH_BODY_MAX + 1, ERR_LIMIT, "body_size");
    REFUSED(message.prev.len = 0, ERR_INPUT, "prev");                                     // a later batch without its past
    REFUSED(message.first = 1, ERR_INPUT, "prev");                                        // a first batch with one
    REFUSED((message.codebook = (ProtobufCBinaryData){32, zero}), ERR_INPUT, "codebook"); // "none" said in two ways
}

// ---- heads that a new incarnation follows

static void follows(void **state)
{
    (void)state;
    struct head heads[FOLLOWS_MAX] = {0};
    const struct sample *village = &samples[SAMPLE_VILLAGE];
    for (uint32_t i = 0; i < FOLLOWS_MAX; i++) {
        heads[i].feed = sample_feed(village);
        heads[i].feed.lane = (uint8_t)(i % LANES + 1);
        heads[i].next = i + 2;
        heads[i].bodies = i + 1;
        memset(&heads[i].last, (int)i + 1, sizeof heads[i].last);
    }
    struct feed_key key = sample_feed(village);
    key.ordinal = 2;
    struct batch_draft draft;
    assert_int_equal(batch_draft_init(&draft, &key, 1, NULL), OK);
    assert_int_equal(batch_draft_add(&draft, SANJI__ENTRY_KIND__HEADS, 5, bytes_of("x", 1), NULL, NULL), OK);
    struct feed_state fresh = {.next = 1, .bodies = 1}, later = {.next = 2, .bodies = 1};
    later.last.bytes[0] = 1;
    struct buffer wire = {0};
    struct header header;
    struct head read[FOLLOWS_MAX];
    uint8_t sign[SIGNATURE_SIZE];
    const struct secret_key *secret = &village->identity.sign.secret_key;
    assert_int_equal(batch_draft_sign(&draft, &fresh, &village->certificate, secret, 7, NULL, heads, 15, &wire, &header, sign, NULL), OK);
    assert_int_equal(header.follows_count, 15);
    assert_int_equal(header_follows(buffer_bytes(&wire), &header, read, NULL), OK);
    for (uint32_t i = 0; i < 15; i++) {
        assert_memory_equal(&read[i].last, &heads[i].last, HASH_SIZE);
        assert_int_equal(read[i].next, heads[i].next);
        assert_int_equal(read[i].bodies, heads[i].bodies);
        assert_int_equal(read[i].feed.lane, heads[i].feed.lane);
    }
    header.follows_count = 14; // not what was decoded
    assert_int_equal(header_follows(buffer_bytes(&wire), &header, read, NULL), ERR_INPUT);
    header.follows_count = 16;
    assert_int_equal(header_follows(buffer_bytes(&wire), &header, read, NULL), ERR_INPUT);
    buffer_clear(&wire);
    // only at the beginning of a feed, and only as many as fit
    assert_int_equal(batch_draft_sign(&draft, &later, &village->certificate, secret, 7, NULL, heads, 1, &wire, &header, sign, NULL),
                     ERR_INPUT);
    assert_int_equal(
        batch_draft_sign(&draft, &fresh, &village->certificate, secret, 7, NULL, heads, FOLLOWS_MAX, &wire, &header, sign, NULL), OK);
    assert_in_range(wire.size, 3500, HEADER_MAX);
    buffer_clear(&wire);
    for (uint32_t i = 0; i < FOLLOWS_MAX; i++) { // longer heads
        heads[i].feed.audience = SANJI__AUDIENCE__STATION;
        heads[i].feed.addressee = samples[0].identity.station;
    }
    assert_int_equal(
        batch_draft_sign(&draft, &fresh, &village->certificate, secret, 7, NULL, heads, FOLLOWS_MAX, &wire, &header, sign, NULL),
        ERR_LIMIT);
    assert_int_equal(
        batch_draft_sign(&draft, &fresh, &village->certificate, secret, 7, NULL, heads, FOLLOWS_MAX + 1, &wire, &header, sign, NULL),
        ERR_LIMIT);
    heads[0].next = 0;
    assert_int_equal(batch_draft_sign(&draft, &fresh, &village->certificate, secret, 7, NULL, heads, 1, &wire, &header, sign, NULL),
                     ERR_INPUT);
    heads[0].next = 1; // an empty feed has no last header
    assert_int_equal(batch_draft_sign(&draft, &fresh, &village->certificate, secret, 7, NULL, heads, 1, &wire, &header, sign, NULL),
                     ERR_INPUT);
    assert_int_equal(wire.size, 0);
    batch_draft_finish(&draft);
    buffer_finish(&wire);
}

static void heads_and_feeds_decode_alone(void **state)
{
    (void)state;
    good();
    feed.audience = SANJI__AUDIENCE__STATION;
    feed.addressee = (ProtobufCBinaryData){16, some};
    feed.nonce = 77;
    Sanji__Head head_message = SANJI__HEAD__INIT;
    head_message.feed = &feed;
    head_message.next = 9;
    head_message.bodies = 9;
    head_message.header = (ProtobufCBinaryData){32, some};
    struct buffer wire = {0};
    struct head head;
    struct feed_key key;
    codec_pack(&head_message, &wire);
    assert_int_equal(head_decode(buffer_bytes(&wire), &head, NULL), OK);
    assert_int_equal(head.next, 9);
    assert_int_equal(head.feed.addressee.bytes[15], 5);
    assert_true(head.feed.nonce == 77);
    buffer_clear(&wire);
    head_message.bodies = 10; // bodies beyond the headers
    codec_pack(&head_message, &wire);
    assert_int_equal(head_decode(buffer_bytes(&wire), &head, NULL), ERR_INPUT);
    buffer_clear(&wire);
    codec_pack(&feed, &wire);
    assert_int_equal(feed_decode(buffer_bytes(&wire), &key, NULL), OK);
    assert_memory_equal(&key, &head.feed, sizeof key);
    assert_int_equal(feed_decode(bytes_of(wire.data, wire.size - 1), &key, NULL), ERR_INPUT);
    buffer_finish(&wire);
}

static void feed_keys_round_trip_and_sort_by_station(void **state)
{
    (void)state;
    struct feed_key key = sample_feed(&samples[0]), back;
    memset(&key.addressee, 3, sizeof key.addressee);
    uint8_t encoded[FEED_KEY_SIZE], next[FEED_KEY_SIZE];
    feed_key_encode(&key, encoded);
    feed_key_decode(encoded, &back);
    feed_key_encode(&back, next);
    assert_memory_equal(encoded, next, sizeof next);
    assert_true(back.nonce == key.nonce && back.ordinal == key.ordinal && back.lane == key.lane && back.audience == key.audience);
    key.ordinal = 256;
    feed_key_encode(&key, next);
    assert_true(memcmp(encoded, next, sizeof next) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_header_decodes_to_what_was_signed),
        cmocka_unit_test(fault_27_every_flipped_bit_of_header_and_signature_is_found),
        cmocka_unit_test(fault_29_a_header_counts_for_its_own_station_only),
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(follows),
        cmocka_unit_test(heads_and_feeds_decode_alone),
        cmocka_unit_test(feed_keys_round_trip_and_sort_by_station),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
