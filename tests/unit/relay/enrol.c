#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "relay/enrol.h"
#include "tests/samples.h"

static struct sample samples[SAMPLES];
static const uint8_t secret[TOKEN_SECRET_SIZE] = {1, 2, 3};

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

static struct join_request request_of(const struct sample *sample)
{
    struct join_request request;
    assert_int_equal(join_request_sign(&sample->identity, secret, "tcp://0.0.0.0:7401", &request, NULL), OK);
    return request;
}

static void a_request_is_read_as_it_was_made(void **state)
{
    (void)state;
    struct join_request request = request_of(&samples[0]), read;
    struct buffer wire = {0};
    join_request_pack(&request, &wire);
    assert_in_range(wire.size, 1, JOIN_REQUEST_MAX);
    assert_int_equal(join_request_unpack(buffer_bytes(&wire), &read, NULL), OK);
    assert_memory_equal(&read, &request, sizeof read);
    assert_int_equal(join_request_check(&read, NULL), OK);
    for (size_t size = 0; size < wire.size; size++) {
        enum error_code code = join_request_unpack(bytes_of(wire.data, size), &read, NULL);
        if (code == OK) // `listen` is last and optional
            assert_string_equal(read.listen, "");
        else
            assert_int_equal(code, ERR_INPUT);
    }
    buffer_clear(&wire);
    assert_int_equal(join_request_sign(&samples[0].identity, secret, NULL, &request, NULL), OK);
    join_request_pack(&request, &wire);
    assert_int_equal(join_request_unpack(buffer_bytes(&wire), &read, NULL), OK);
    assert_string_equal(read.listen, "");
    char long_listen[ADDRESS_MAX + 2];
    memset(long_listen, 'x', sizeof long_listen - 1);
    long_listen[sizeof long_listen - 1] = 0;
    assert_int_equal(join_request_sign(&samples[0].identity, secret, long_listen, &request, NULL), ERR_LIMIT);
    buffer_finish(&wire);
}

static void fault_29_a_request_proves_possession_of_its_own_key(void **state)
{
    (void)state;
    struct join_request request = request_of(&samples[0]), other = request_of(&samples[1]);
    request.secret[0] ^= 1; // another token
    assert_int_equal(join_request_check(&request, NULL), ERR_FORGED);
    request = request_of(&samples[0]);
    request.station = other.station;
    assert_int_equal(join_request_check(&request, NULL), ERR_FORGED);
    request = request_of(&samples[0]);
    request.seal_key = other.seal_key;
    assert_int_equal(join_request_check(&request, NULL), ERR_FORGED);
    request = request_of(&samples[0]);
    request.transport_key = other.transport_key;
    assert_int_equal(join_request_check(&request, NULL), ERR_FORGED);
    request = request_of(&samples[0]);
    request.sign_key = other.sign_key; // somebody else's public key
    assert_int_equal(join_request_check(&request, NULL), ERR_FORGED);
    request = request_of(&samples[0]);
    request.signature[10] ^= 1;
    assert_int_equal(join_request_check(&request, NULL), ERR_FORGED);
}

static void fault_28_keys_of_small_order_do_not_join(void **state)
{
    (void)state;
    struct identity identity = samples[0].identity;
    struct join_request request;
    memset(&identity.seal.public_key, 0, sizeof identity.seal.public_key);
    assert_int_equal(join_request_sign(&identity, secret, NULL, &request, NULL), OK);
    assert_int_equal(join_request_check(&request, NULL), ERR_INPUT);
    identity = samples[0].identity;
    memset(&identity.transport.public_key, 0, sizeof identity.transport.public_key);
    assert_int_equal(join_request_sign(&identity, secret, NULL, &request, NULL), OK);
    assert_int_equal(join_request_check(&request, NULL), ERR_INPUT);
    identity = samples[0].identity;
    memset(&identity.sign.public_key, 0, sizeof identity.sign.public_key);
    identity.sign.public_key.bytes[0] = 1;
    assert_int_equal(join_request_sign(&identity, secret, NULL, &request, NULL), OK);
    assert_int_equal(join_request_check(&request, NULL), ERR_INPUT);
}

static void a_request_lacks_nothing(void **state)
{
    (void)state;
    struct join_request request = request_of(&samples[0]), read;
    struct buffer wire = {0}, cut = {0};
    join_request_pack(&request, &wire);
    struct codec_field field;
    for (uint32_t without = 1; without <= 6; without++) {
        buffer_clear(&cut);
        for (size_t at = 0; codec_walk(buffer_bytes(&wire), &at, &field);)
            if (field.number != without)
                buffer_append(&cut, field.whole.data, field.whole.size);
        assert_int_equal(join_request_unpack(buffer_bytes(&cut), &read, NULL), ERR_INPUT);
    }
    buffer_append(&wire, "\x42\x01x", 3); // an unknown field 8
    assert_int_equal(join_request_unpack(buffer_bytes(&wire), &read, NULL), ERR_INPUT);
    uint8_t large[JOIN_REQUEST_MAX + 1] = {0};
    assert_int_equal(join_request_unpack(bytes_of(large, sizeof large), &read, NULL), ERR_LIMIT);
    buffer_finish(&wire);
    buffer_finish(&cut);
}

static struct join_reply accepted(void)
{
    struct join_reply reply = {.certificate = buffer_bytes(&samples[2].wire),
                               .chain = {buffer_bytes(&samples[0].wire), buffer_bytes(&samples[1].wire)},
                               .chain_count = 2,
                               .link = "tcp://10.1.2.3:7401",
                               .above_link = "tcp://10.1.2.1:7401",
                               .above_join = "tcp://10.1.2.1:7402",
                               .codebook = bytes_of_text("codebook: 1\n"),
                               .units = bytes_of_text("code,name\n"),
                               .codebook_version = 4,
                               .units_version = 5};
    return reply;
}

static void a_reply_is_read_as_it_was_made(void **state)
{
    (void)state;
    struct join_reply reply = accepted(), read;
    struct buffer wire = {0};
    struct error error = {0};
    assert_int_equal(join_reply_pack(&reply, &wire, &error), OK);
    assert_int_equal(join_reply_unpack(buffer_bytes(&wire), &read, &error), OK);
    assert_true(bytes_equal(read.certificate, reply.certificate));
    assert_int_equal(read.chain_count, 2);
    assert_true(bytes_equal(read.chain[0], reply.chain[0]) && bytes_equal(read.chain[1], reply.chain[1]));
    assert_string_equal(read.link, reply.link);
    assert_string_equal(read.above_link, reply.above_link);
    assert_string_equal(read.above_join, reply.above_join);
    assert_true(bytes_equal(read.codebook, reply.codebook) && bytes_equal(read.units, reply.units));
    assert_int_equal(read.codebook_version, 4);
    assert_int_equal(read.units_version, 5);
    assert_string_equal(read.refusal, "");
    buffer_clear(&wire);
    struct join_reply refusal = {.refusal = "the token was used", .refusal_zh = "令牌已使用"};
    assert_int_equal(join_reply_pack(&refusal, &wire, &error), OK);
    assert_int_equal(join_reply_unpack(buffer_bytes(&wire), &read, &error), OK);
    assert_string_equal(read.refusal, "the token was used");
    assert_string_equal(read.refusal_zh, "令牌已使用");
    assert_int_equal(read.chain_count, 0);
    buffer_finish(&wire);
}

static void a_reply_is_bounded_and_one_of_two_things(void **state)
{
    (void)state;
    struct buffer wire = {0};
    struct error error = {0};
    uint8_t *large = calloc(1, DOCUMENT_MAX + 1);
    assert_non_null(large);
#define REFUSED(change, code)                                                                                                              \
    do {                                                                                                                                   \
        struct join_reply reply = accepted();                                                                                              \
        change;                                                                                                                            \
        assert_int_equal(join_reply_pack(&reply, &wire, &error), code);                                                                    \
        assert_int_equal(wire.size, 0);                                                                                                    \
    } while (0)
    REFUSED(reply.refusal[0] = 'x', ERR_INPUT);
    REFUSED(reply.refusal_zh[0] = 'x', ERR_INPUT);
    REFUSED(reply.certificate.size = 0, ERR_INPUT);
    REFUSED(reply.chain_count = 0, ERR_INPUT);
    REFUSED(reply.link[0] = 0, ERR_INPUT);
    REFUSED(reply.chain_count = CHAIN_MAX + 1, ERR_LIMIT);
    REFUSED(reply.certificate = bytes_of(large, CERTIFICATE_MAX + 1), ERR_LIMIT);
    REFUSED(reply.chain[1] = bytes_of(large, CERTIFICATE_MAX + 1), ERR_LIMIT);
    REFUSED(reply.codebook = bytes_of(large, DOCUMENT_MAX + 1), ERR_LIMIT);
    REFUSED(reply.units = bytes_of(large, DOCUMENT_MAX + 1), ERR_LIMIT);
    struct join_reply reply = accepted(), read;
    reply.codebook = reply.units = bytes_of(large, DOCUMENT_MAX);
    reply.chain_count = CHAIN_MAX;
    for (uint32_t i = 0; i < CHAIN_MAX; i++)
        reply.chain[i] = bytes_of(large, CERTIFICATE_MAX);
    assert_int_equal(join_reply_pack(&reply, &wire, &error), OK);
    assert_int_equal(join_reply_unpack(bytes_of(wire.data, wire.size - 1), &read, &error), ERR_INPUT);
    struct join_reply nothing = {0};
    buffer_clear(&wire);
    assert_int_equal(join_reply_pack(&nothing, &wire, &error), ERR_INPUT);
    buffer_finish(&wire);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_read_as_it_was_made),         cmocka_unit_test(fault_29_a_request_proves_possession_of_its_own_key),
        cmocka_unit_test(fault_28_keys_of_small_order_do_not_join), cmocka_unit_test(a_request_lacks_nothing),
        cmocka_unit_test(a_reply_is_read_as_it_was_made),           cmocka_unit_test(a_reply_is_bounded_and_one_of_two_things),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
