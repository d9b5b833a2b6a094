#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "relay/codec.h"
#include "tests/samples.h"

static struct sample samples[SAMPLES];

static int setup(void **state)
{
    (void)state;
    samples_init(samples);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    samples_finish(samples);
    return 0;
}

static struct bytes wire_of(unsigned i) { return buffer_bytes(&samples[i].wire); }

static void a_chain_decodes_and_checks(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SAMPLES; i++) {
        struct certificate certificate;
        struct error error = {0};
        struct certificate held;
        assert_int_equal(certificate_decode_held(wire_of(i), &held, &error), OK);
        assert_int_equal(certificate_decode(wire_of(i), &certificate, &error), OK);
        assert_memory_equal(&held, &certificate, sizeof held);
        assert_memory_equal(&certificate.hash, &samples[i].certificate.hash, HASH_SIZE);
        assert_string_equal(certificate.unit, samples[i].certificate.unit);
        assert_string_equal(certificate.tier, samples[i].certificate.tier);
        assert_int_equal(certificate.term, i + 1);
        assert_int_equal(certificate.depth, i);
        assert_int_equal(certificate.from_period, 2017 * 12);
        assert_int_equal(certificate.root, i == 0);
        assert_memory_equal(&certificate.transport_key, &samples[i].identity.transport.public_key, PUBLIC_KEY_SIZE);
        assert_int_equal(certificate_check(wire_of(i), &certificate, i ? &samples[i - 1].certificate : NULL, &error), OK);
        assert_true(samples[i].wire.size < CERTIFICATE_MAX);
    }
}

static void fault_27_every_flipped_bit_is_found(void **state)
{
    (void)state;
    uint8_t data[CERTIFICATE_MAX] = {0};
    struct bytes wire = bytes_of(data, samples[1].wire.size);
    memcpy(data, samples[1].wire.data, wire.size);
    for (size_t bit = 0; bit < 8 * wire.size; bit++) {
        struct certificate certificate;
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (certificate_decode(wire, &certificate, NULL) == OK &&
            certificate_check(wire, &certificate, &samples[0].certificate, NULL) == OK)
            fail_msg("bit %zu may be turned", bit);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

static void fault_29_a_certificate_counts_under_its_own_issuer_only(void **state)
{
    (void)state;
    struct error error = {0};
    const struct certificate *village = &samples[SAMPLE_VILLAGE].certificate;
    assert_int_equal(certificate_check(wire_of(2), village, &samples[0].certificate, &error), ERR_FORGED);
    assert_non_null(strstr(error.detail, village->unit));
    assert_int_equal(certificate_check(wire_of(2), village, NULL, &error), ERR_FORGED);
    assert_int_equal(certificate_check(wire_of(0), &samples[0].certificate, &samples[1].certificate, &error), ERR_FORGED);
    assert_int_equal(certificate_check(wire_of(1), village, &samples[1].certificate, &error), ERR_FORGED); // other bytes
    struct certificate impostor = samples[1].certificate;                                                  // the issuer's name, another key
    impostor.sign_key = samples[2].certificate.sign_key;
    assert_int_equal(certificate_check(wire_of(2), village, &impostor, &error), ERR_FORGED);
}

static void a_child_needs_a_higher_term_and_a_lower_place(void **state)
{
    (void)state;
    struct identity identity;
    sample_identity(&identity);
    struct error error = {0};
    struct buffer wire = {0};
    const struct certificate *issuer = &samples[1].certificate;
    const struct secret_key *key = &samples[1].identity.sign.secret_key;
    struct certificate draft = sample_draft(&identity, issuer);
    draft.term = issuer->term;
    assert_int_equal(certificate_issue(&draft, issuer, key, &wire, &error), ERR_FORGED);
    draft = sample_draft(&identity, issuer);
    draft.depth = issuer->depth;
    assert_int_equal(certificate_issue(&draft, issuer, key, &wire, &error), ERR_FORGED);
    draft = sample_draft(&identity, issuer);
    assert_int_equal(certificate_issue(&draft, issuer, &identity.sign.secret_key, &wire, &error), ERR_FORGED); // not its key
    assert_int_equal(wire.size, 0);
    draft.term += 5;
    draft.depth += 3;
    assert_int_equal(certificate_issue(&draft, issuer, key, &wire, &error), OK);
    assert_false(draft.root);
    assert_memory_equal(&draft.issuer, &issuer->hash, HASH_SIZE);
    buffer_finish(&wire);
}

static void a_later_root_is_signed_by_the_one_before(void **state)
{
    (void)state;
    struct identity identity;
    sample_identity(&identity);
    struct error error = {0};
    struct buffer wire = {0};
    const struct certificate *first = &samples[0].certificate;
    struct certificate later = sample_draft(&identity, NULL);
    later.term = first->term + 1;
    assert_int_equal(certificate_succeed(&later, first, &samples[0].identity.sign.secret_key, &wire, &error), OK);
    assert_true(later.root);
    assert_memory_equal(&later.predecessor, &first->hash, HASH_SIZE);
    assert_int_equal(certificate_check(buffer_bytes(&wire), &later, first, &error), OK);
    assert_int_equal(certificate_check(buffer_bytes(&wire), &later, NULL, &error), ERR_FORGED);
    assert_int_equal(certificate_check(buffer_bytes(&wire), &later, &samples[1].certificate, &error), ERR_FORGED);
    // an older list never replaces a newer one; and a root follows roots only
    buffer_clear(&wire);
    later = sample_draft(&identity, NULL);
    assert_int_equal(certificate_succeed(&later, first, &samples[0].identity.sign.secret_key, &wire, &error), ERR_FORGED);
    later.term = 9;
    assert_int_equal(certificate_succeed(&later, &samples[1].certificate, &samples[1].identity.sign.secret_key, &wire, &error), ERR_FORGED);
    assert_int_equal(wire.size, 0);
    buffer_finish(&wire);
}

typedef void (*spoil)(struct certificate *draft);
static void no_station(struct certificate *d) { memset(&d->station, 0, sizeof d->station); }
static void no_unit(struct certificate *d) { d->unit[0] = 0; }
static void odd_unit(struct certificate *d) { snprintf(d->unit, sizeof d->unit, "32\n1"); }
static void bidi_tier(struct certificate *d)
{
    snprintf(d->tier, sizeof d->tier,
             "\xE2\x80\xAE"
             "town");
}
static void no_tier(struct certificate *d) { d->tier[0] = 0; }
static void no_serial(struct certificate *d) { memset(d->serial, 0, sizeof d->serial); }
static void no_term(struct certificate *d) { d->term = 0; }
static void no_ordinal(struct certificate *d) { d->ordinal = 0; }
static void old_period(struct certificate *d) { d->from_period = -1; }
static void no_depth(struct certificate *d) { d->depth = 0; }
static void no_sign_key(struct certificate *d) { memset(&d->sign_key, 0, sizeof d->sign_key); }
static void small_sign_key(struct certificate *d) { no_sign_key(d), d->sign_key.bytes[0] = 1; }
static void small_seal_key(struct certificate *d) { memset(&d->seal_key, 0, 32), d->seal_key.bytes[0] = 1; }
static void no_transport_key(struct certificate *d) { memset(&d->transport_key, 0, 32); }
static void one_key_twice(struct certificate *d) { d->transport_key = d->seal_key; }

static void fault_28_what_a_receiver_would_refuse_is_not_issued(void **state)
{
    (void)state;
    static const struct {
        spoil spoil;
        const char *field;
    } cases[] = {
        {no_station, "station"},
        {no_unit, "unit"},
        {odd_unit, "unit"},
        {bidi_tier, "tier"},
        {no_tier, "tier"},
        {no_serial, "serial"},
        {no_term, "term"},
        {no_ordinal, "ordinal"},
        {old_period, "from_period"},
        {no_depth, "depth"},
        {no_sign_key, "sign_key"},
        {small_sign_key, "sign_key"},
        {small_seal_key, "seal_key"},
        {no_transport_key, "transport_key"},
        {one_key_twice, "transport_key"},
    };
    struct buffer wire = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct certificate draft = sample_draft(&samples[2].identity, &samples[1].certificate);
        struct error error = {0};
        cases[i].spoil(&draft);
        enum error_code code = certificate_issue(&draft, &samples[1].certificate, &samples[1].identity.sign.secret_key, &wire, &error);
        if (code != ERR_INPUT || !strstr(error.detail, cases[i].field))
            fail_msg("case %zu: %s: %s", i, error_name(code), error.detail);
        assert_int_equal(wire.size, 0);
    }
    struct certificate draft = sample_draft(&samples[2].identity, &samples[1].certificate);
    draft.depth = DEPTH_MAX;
    assert_int_equal(certificate_issue(&draft, &samples[1].certificate, &samples[1].identity.sign.secret_key, &wire, NULL), ERR_LIMIT);
    draft.depth = DEPTH_MAX - 1;
    assert_int_equal(certificate_issue(&draft, &samples[1].certificate, &samples[1].identity.sign.secret_key, &wire, NULL), OK);
    buffer_finish(&wire);
}

// SignedCertificate around other inner bytes: what is not canonical is refused whoever signed it.
static void wrap(struct bytes inner, size_t signature_size, struct buffer *ret)
{
    uint8_t size[CODEC_VARINT_MAX], signature[SIGNATURE_SIZE + 1];
    memset(signature, 1, sizeof signature);
    buffer_clear(ret);
    buffer_append(ret, "\x0a", 1);
    buffer_append(ret, size, codec_put_varint(size, inner.size));
    buffer_append(ret, inner.data, inner.size);
    buffer_append(ret, "\x12", 1);
    buffer_append(ret, size, codec_put_varint(size, signature_size));
    buffer_append(ret, signature, signature_size);
}

static void fault_46_other_encodings_are_refused(void **state)
{
    (void)state;
    struct bytes inner, good;
    size_t at = 0;
    assert_true(codec_next(wire_of(1), 1, &at, &good));
    uint8_t data[CERTIFICATE_MAX];
    memcpy(data, good.data, good.size);
    struct buffer wire = {0};
    struct certificate certificate;
    inner = bytes_of(data, good.size);
    wrap(inner, SIGNATURE_SIZE, &wire);
    assert_int_equal(certificate_decode(buffer_bytes(&wire), &certificate, NULL), OK); // the signature is certificate_check()'s
    assert_int_equal(certificate_check(buffer_bytes(&wire), &certificate, &samples[0].certificate, NULL), ERR_FORGED);
    wrap(inner, SIGNATURE_SIZE + 1, &wire);
    assert_int_equal(certificate_decode(buffer_bytes(&wire), &certificate, NULL), ERR_INPUT);
    wrap(inner, 0, &wire);
    assert_int_equal(certificate_decode(buffer_bytes(&wire), &certificate, NULL), ERR_INPUT);
    memcpy(data + good.size, "\x98\x01\x01", 3); // an unknown field 19
    wrap(bytes_of(data, good.size + 3), SIGNATURE_SIZE, &wire);
    assert_int_equal(certificate_decode(buffer_bytes(&wire), &certificate, NULL), ERR_INPUT);
    data[1] = 2; // of a format that has a field 19
    wrap(bytes_of(data, good.size + 3), SIGNATURE_SIZE, &wire);
    assert_int_equal(certificate_decode(buffer_bytes(&wire), &certificate, NULL), ERR_VERSION);
    data[1] = 1;
    data[3] = 2; // another suite
    wrap(inner, SIGNATURE_SIZE, &wire);
    assert_int_equal(certificate_decode(buffer_bytes(&wire), &certificate, NULL), ERR_VERSION);
    wrap(bytes_of(good.data + 4, good.size - 4), SIGNATURE_SIZE, &wire); // neither
    assert_int_equal(certificate_decode(buffer_bytes(&wire), &certificate, NULL), ERR_INPUT);
    wrap(bytes_of(NULL, 0), SIGNATURE_SIZE, &wire);
    assert_int_equal(certificate_decode(buffer_bytes(&wire), &certificate, NULL), ERR_INPUT);
    assert_int_equal(certificate_decode(bytes_of(NULL, 0), &certificate, NULL), ERR_INPUT);
    uint8_t large[CERTIFICATE_MAX + 1] = {0};
    assert_int_equal(certificate_decode(bytes_of(large, sizeof large), &certificate, NULL), ERR_LIMIT);
    buffer_finish(&wire);
}

static void every_prefix_is_refused(void **state)
{
    (void)state;
    struct certificate certificate;
    for (size_t size = 0; size < samples[1].wire.size; size++)
        assert_int_equal(certificate_decode(bytes_of(samples[1].wire.data, size), &certificate, NULL), ERR_INPUT);
}

static void what_is_no_certificate_does_not_check(void **state)
{
    (void)state;
    struct certificate certificate;
    assert_int_equal(certificate_decode(buffer_bytes(&samples[1].wire), &certificate, NULL), OK);
    assert_int_equal(certificate_check(bytes_of_text("\x01"), &certificate, &samples[0].certificate, NULL), ERR_INPUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chain_decodes_and_checks),
        cmocka_unit_test(fault_27_every_flipped_bit_is_found),
        cmocka_unit_test(fault_29_a_certificate_counts_under_its_own_issuer_only),
        cmocka_unit_test(a_child_needs_a_higher_term_and_a_lower_place),
        cmocka_unit_test(a_later_root_is_signed_by_the_one_before),
        cmocka_unit_test(fault_28_what_a_receiver_would_refuse_is_not_issued),
        cmocka_unit_test(fault_46_other_encodings_are_refused),
        cmocka_unit_test(every_prefix_is_refused),
        cmocka_unit_test(what_is_no_certificate_does_not_check),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
