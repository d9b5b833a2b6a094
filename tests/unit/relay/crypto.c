#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "relay/crypto.h"

static int setup(void **state)
{
    (void)state;
    return crypto_init(NULL) == OK && crypto_init(NULL) == OK ? 0 : -1;
}

static void from_hex(const char *text, void *ret, size_t size) { assert_true(crypto_from_hex(text, ret, size)); }

// ---- tags

static void no_two_tags_are_the_same(void **state)
{
    (void)state;
    static const char *const tags[] = {
#define X(name, text, what) text,
        TAG_LIST(X) SIGN_TAG_LIST(X)
#undef X
    };
    enum { TAGS = sizeof tags / sizeof *tags };
    for (size_t i = 0; i < TAGS; i++) {
        assert_in_range(strlen(tags[i]), 1, TAG_MAX);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(tags[i], tags[j]);
    }
}

// ---- hashes: values made with Python's hashlib

static void hashes_are_blake2b_of_tag_and_data(void **state)
{
    (void)state;
    struct hash expected;
    from_hex("e750bbfe6b7aca78b8a12f3d827bfc4eda9a853413de3bc937a760a4f0c0a9e6", &expected, sizeof expected);
    struct hash hash = crypto_hash(TAG_HEADER, bytes_of_text("abc"));
    assert_memory_equal(&hash, &expected, sizeof hash);
    hash = crypto_hash(TAG_CERTIFICATE, bytes_of_text("abc"));
    assert_memory_not_equal(&hash, &expected, sizeof hash);
    hash = crypto_hash("a", bytes_of_text("bc")); // the boundary counts
    struct hash other = crypto_hash("ab", bytes_of_text("c"));
    assert_memory_not_equal(&hash, &other, sizeof hash);
}

static void leaves_nodes_and_salts_are_as_written(void **state)
{
    (void)state;
    uint8_t salt[SALT_SIZE], secret[SECRET_SIZE], expected[32];
    for (uint8_t i = 0; i < SALT_SIZE; i++)
        salt[i] = i;
    for (uint8_t i = 0; i < SECRET_SIZE; i++)
        secret[i] = i;
    struct hash leaf = crypto_leaf(salt, bytes_of_text("entry"));
    from_hex("5c555daeecd2aed90b881509922840e6421db1c0b81f646056d9fd68317d1eed", expected, 32);
    assert_memory_equal(&leaf, expected, 32);
    struct hash left, right;
    memset(&left, 0x11, sizeof left);
    memset(&right, 0x22, sizeof right);
    struct hash node = crypto_node(&left, &right);
    from_hex("da49cb31db2893bfb633ce0c94548e2f0dbf3f7fd33a0d9fc6c2ef1b92f6db5e", expected, 32);
    assert_memory_equal(&node, expected, 32);
    uint8_t salts[SALTS_TOGETHER][SALT_SIZE];
    crypto_salts(secret, 0x0102, salts);
    from_hex("7a282abd0a23bdcc5db414e58758d0b5c635be32aabc8b9e3e1c17836f770f74", expected, 32);
    assert_memory_equal(salts[0], expected, 32);
    from_hex("9b83a7e4dd4898504c487e6ca8491d680143631dc28a6044094582efc1a6eaf8", expected, 32);
    assert_memory_equal(salts[2], expected, 32);
}

static void a_short_hash_depends_on_its_key(void **state)
{
    (void)state;
    uint8_t key[SHORT_HASH_KEY_SIZE] = {1}, other[SHORT_HASH_KEY_SIZE] = {2};
    assert_true(crypto_short_hash(key, bytes_of_text("a")) == crypto_short_hash(key, bytes_of_text("a")));
    assert_true(crypto_short_hash(key, bytes_of_text("a")) != crypto_short_hash(key, bytes_of_text("b")));
    assert_true(crypto_short_hash(key, bytes_of_text("a")) != crypto_short_hash(other, bytes_of_text("a")));
}

// ---- signatures

static void a_signature_is_ed25519_over_tag_and_data(void **state)
{
    (void)state; // made with Python's cryptography (OpenSSL) from the seed 00 01 02 ... 1f
    struct public_key public_key;
    struct secret_key secret;
    uint8_t expected[SIGNATURE_SIZE], signature[SIGNATURE_SIZE];
    from_hex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8", public_key.bytes, 32);
    from_hex(
        "28c3ca30a998ad7426a51e7430208e27254df516589d52a72f88e3e2d8a7d921815781e1491d76c4f09386b9c47e2d5a93a1d7c22a112586839e0d44f295f40d",
        expected, SIGNATURE_SIZE);
    for (uint8_t i = 0; i < 32; i++)
        secret.bytes[i] = i;
    memcpy(secret.bytes + 32, public_key.bytes, 32);
    assert_true(crypto_sign_pair_valid(&public_key, &secret));
    crypto_sign(&secret, TAG_SIGN_HEADER, bytes_of_text("abc"), signature);
    assert_memory_equal(signature, expected, SIGNATURE_SIZE);
    assert_true(crypto_verify(&public_key, TAG_SIGN_HEADER, bytes_of_text("abc"), signature));
}

static void fault_27_every_flipped_bit_is_found(void **state)
{
    (void)state;
    struct public_key public_key;
    struct secret_key secret;
    uint8_t signature[SIGNATURE_SIZE], data[] = "a header";
    crypto_sign_keypair(&public_key, &secret);
    crypto_sign(&secret, TAG_SIGN_HEADER, bytes_of(data, sizeof data), signature);
    for (size_t bit = 0; bit < 8 * sizeof signature; bit++) {
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(crypto_verify(&public_key, TAG_SIGN_HEADER, bytes_of(data, sizeof data), signature));
        signature[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(crypto_verify(&public_key, TAG_SIGN_HEADER, bytes_of(data, sizeof data), signature));
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    assert_true(crypto_verify(&public_key, TAG_SIGN_HEADER, bytes_of(data, sizeof data), signature));
}

static void fault_28_a_malleated_signature_is_refused(void **state)
{
    (void)state; // S + L signs the same message for a verifier that forgets to check S < L
    static const char order[] = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
    struct public_key public_key;
    struct secret_key secret;
    uint8_t signature[SIGNATURE_SIZE], l[32];
    from_hex(order, l, 32);
    crypto_sign_keypair(&public_key, &secret);
    crypto_sign(&secret, TAG_SIGN_HEADER, bytes_of_text("abc"), signature);
    unsigned carry = 0;
    for (size_t i = 0; i < 32; i++) {
        carry += signature[32 + i] + l[i];
        signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
    assert_int_equal(carry, 0);
    assert_false(crypto_verify(&public_key, TAG_SIGN_HEADER, bytes_of_text("abc"), signature));
}

// The eight points of small order, those of them that have a second encoding, and keys that are no points of the main group.
static const char *const bad_sign_keys[] = {
    "0100000000000000000000000000000000000000000000000000000000000000", // order 1
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // order 2
    "0000000000000000000000000000000000000000000000000000000000000000", // order 4
    "0000000000000000000000000000000000000000000000000000000000000080", // order 4
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", // order 8
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85", // order 8
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a", // order 8
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa", // order 8
    "0100000000000000000000000000000000000000000000000000000000000080", // order 1, x = -0
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // y = p + 1
    "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "0200000000000000000000000000000000000000000000000000000000000000", // not on the curve
};

static void fault_28_small_order_and_non_canonical_keys_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_sign_keys / sizeof *bad_sign_keys; i++) {
        struct public_key key;
        from_hex(bad_sign_keys[i], key.bytes, 32);
        if (crypto_sign_key_valid(&key))
            fail_msg("%s is taken for a key", bad_sign_keys[i]);
        // With A of small order, R = A and S = 0 verify for a share of all messages unless A is refused.
        for (unsigned message = 0; message < 16; message++) {
            uint8_t signature[SIGNATURE_SIZE] = {0}, text = (uint8_t)message;
            memcpy(signature, key.bytes, 32);
            assert_false(crypto_verify(&key, TAG_SIGN_HEADER, bytes_of(&text, 1), signature));
            memset(signature, 0, sizeof signature);
            signature[0] = 1;
            assert_false(crypto_verify(&key, TAG_SIGN_HEADER, bytes_of(&text, 1), signature));
        }
    }
}

static void fault_28_a_key_of_mixed_order_is_refused(void **state)
{
    (void)state; // a good key plus the point of order 2: (-x, -y), so y' = p - y and the sign of x turned
    struct public_key key;
    struct secret_key secret;
    crypto_sign_keypair(&key, &secret);
    assert_true(crypto_sign_key_valid(&key));
    uint8_t sign = key.bytes[31] & 0x80;
    key.bytes[31] &= 0x7F;
    int borrow = 0;
    for (size_t i = 0; i < 32; i++) {
        int p = i == 0 ? 0xED : i == 31 ? 0x7F : 0xFF;
        int value = p - key.bytes[i] - borrow;
        borrow = value < 0;
        key.bytes[i] = (uint8_t)value;
    }
    key.bytes[31] |= sign ^ 0x80;
    assert_false(crypto_sign_key_valid(&key));
}

static void fault_29_a_signature_is_good_for_one_tag_only(void **state)
{
    (void)state;
    struct public_key public_key, other_key;
    struct secret_key secret, other;
    uint8_t signature[SIGNATURE_SIZE];
    crypto_sign_keypair(&public_key, &secret);
    crypto_sign_keypair(&other_key, &other);
    crypto_sign(&secret, TAG_SIGN_HEADER, bytes_of_text("abc"), signature);
    assert_false(crypto_verify(&public_key, TAG_SIGN_CERTIFICATE, bytes_of_text("abc"), signature));
    assert_false(crypto_verify(&other_key, TAG_SIGN_HEADER, bytes_of_text("abc"), signature));
}

static void what_is_too_long_to_sign_does_not_verify(void **state)
{
    (void)state;
    struct public_key public_key;
    struct secret_key secret;
    uint8_t signature[SIGNATURE_SIZE];
    uint8_t *data = calloc(1, SIGNED_MAX + 1);
    assert_non_null(data);
    crypto_sign_keypair(&public_key, &secret);
    crypto_sign(&secret, TAG_SIGN_HEADS, bytes_of(data, SIGNED_MAX), signature);
    assert_true(crypto_verify(&public_key, TAG_SIGN_HEADS, bytes_of(data, SIGNED_MAX), signature));
    assert_false(crypto_verify(&public_key, TAG_SIGN_HEADS, bytes_of(data, SIGNED_MAX + 1), signature));
    free(data);
}

// ---- sealing

static void fault_28_small_order_sealing_keys_are_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    };
    struct symmetric_key secret = {{1}};
    uint8_t wrapped[WRAPPED_KEY_SIZE];
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        struct public_key key;
        from_hex(keys[i], key.bytes, 32);
        assert_false(crypto_seal_key_valid(&key));
        assert_false(crypto_wrap(&key, &secret, wrapped));
    }
}

static void pairs_belong_together(void **state)
{
    (void)state;
    struct public_key sign, seal, other;
    struct secret_key sign_secret, seal_secret, other_secret;
    crypto_sign_keypair(&sign, &sign_secret);
    crypto_seal_keypair(&seal, &seal_secret);
    crypto_seal_keypair(&other, &other_secret);
    assert_true(crypto_sign_pair_valid(&sign, &sign_secret));
    assert_true(crypto_seal_pair_valid(&seal, &seal_secret));
    assert_true(crypto_seal_key_valid(&seal));
    assert_false(crypto_seal_pair_valid(&seal, &other_secret));
    seal_secret.bytes[40] = 1;
    assert_false(crypto_seal_pair_valid(&seal, &seal_secret));
    sign_secret.bytes[3] ^= 1;
    assert_false(crypto_sign_pair_valid(&sign, &sign_secret));
    sign_secret.bytes[3] ^= 1;
    sign_secret.bytes[63] ^= 1;
    assert_false(crypto_sign_pair_valid(&sign, &sign_secret));
}

static void fault_29_sealed_bytes_open_in_their_context_only(void **state)
{
    (void)state;
    struct symmetric_key key, other;
    crypto_random(&key, sizeof key);
    crypto_random(&other, sizeof other);
    struct bytes context = bytes_of_text("village 201, record"), data = bytes_of_text("a child's name");
    struct buffer sealed = {0}, opened = {0};
    buffer_append(&opened, "x", 1);
    crypto_encrypt(&key, context, data, &sealed);
    assert_int_equal(sealed.size, data.size + SEAL_OVERHEAD);
    assert_int_equal(crypto_decrypt(&key, context, buffer_bytes(&sealed), &opened), OK);
    assert_true(bytes_equal(bytes_of(opened.data + 1, opened.size - 1), data)); // appended
    assert_int_equal(crypto_decrypt(&other, context, buffer_bytes(&sealed), &opened), ERR_FORGED);
    assert_int_equal(crypto_decrypt(&key, bytes_of_text("village 202, record"), buffer_bytes(&sealed), &opened), ERR_FORGED);
    assert_int_equal(crypto_decrypt(&key, context, bytes_of(sealed.data, SEAL_OVERHEAD - 1), &opened), ERR_FORGED);
    for (size_t i = 0; i < sealed.size; i++) {
        sealed.data[i] ^= 0x10;
        assert_int_equal(crypto_decrypt(&key, context, buffer_bytes(&sealed), &opened), ERR_FORGED);
        sealed.data[i] ^= 0x10;
    }
    assert_int_equal(opened.size, data.size + 1); // failures left it alone
    struct buffer again = {0};
    crypto_encrypt(&key, context, data, &again);
    assert_memory_not_equal(again.data, sealed.data, 24); // a nonce of its own
    buffer_finish(&again);
    buffer_finish(&sealed);
    buffer_finish(&opened);
}

static void nothing_can_be_sealed(void **state)
{
    (void)state;
    struct symmetric_key key = {{9}};
    struct buffer sealed = {0}, opened = {0};
    crypto_encrypt(&key, bytes_of(NULL, 0), bytes_of(NULL, 0), &sealed);
    assert_int_equal(sealed.size, SEAL_OVERHEAD);
    assert_int_equal(crypto_decrypt(&key, bytes_of(NULL, 0), buffer_bytes(&sealed), &opened), OK);
    assert_int_equal(opened.size, 0);
    sealed.data[30] ^= 1;
    assert_int_equal(crypto_decrypt(&key, bytes_of(NULL, 0), buffer_bytes(&sealed), &opened), ERR_FORGED);
    buffer_finish(&sealed);
    buffer_finish(&opened);
}

static void a_wrapped_key_opens_for_its_station_only(void **state)
{
    (void)state;
    struct public_key mine, theirs;
    struct secret_key my_secret, their_secret;
    crypto_seal_keypair(&mine, &my_secret);
    crypto_seal_keypair(&theirs, &their_secret);
    struct symmetric_key key, opened = {{5}}, untouched = opened;
    crypto_random(&key, sizeof key);
    uint8_t wrapped[WRAPPED_KEY_SIZE];
    assert_true(crypto_wrap(&mine, &key, wrapped));
    assert_int_equal(crypto_unwrap(&theirs, &their_secret, wrapped, &opened), ERR_FORGED);
    assert_memory_equal(&opened, &untouched, sizeof opened);
    assert_int_equal(crypto_unwrap(&mine, &my_secret, wrapped, &opened), OK);
    assert_memory_equal(&opened, &key, sizeof key);
    wrapped[50] ^= 1;
    assert_int_equal(crypto_unwrap(&mine, &my_secret, wrapped, &opened), ERR_FORGED);
}

// ---- random bytes

static void a_replayed_run_draws_the_same_bytes(void **state)
{
    (void)state;
    static const uint8_t seed[32] = {1}, other_seed[32] = {2};
    uint8_t first[100], second[100];
    struct public_key first_key, second_key;
    struct secret_key secret;
    crypto_random_replay(seed);
    crypto_random(first, sizeof first);
    crypto_sign_keypair(&first_key, &secret);
    crypto_random_replay(seed);
    crypto_random(second, sizeof second);
    crypto_sign_keypair(&second_key, &secret);
    assert_memory_equal(first, second, sizeof first);
    assert_memory_equal(&first_key, &second_key, sizeof first_key);
    crypto_random(second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first); // the stream goes on
    crypto_random_replay(other_seed);
    crypto_random(second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
    crypto_random_replay(NULL);
    crypto_random(first, sizeof first);
    crypto_random(second, sizeof second);
    assert_memory_not_equal(first, second, sizeof first);
    assert_true(crypto_random_u64() != crypto_random_u64());
}

// ---- memory and text

static void wiped_memory_is_zero(void **state)
{
    (void)state;
    uint8_t *secret = malloc(4096), zero[4096] = {0};
    assert_non_null(secret);
    memset(secret, 7, 4096);
    crypto_lock(secret, 4096); // may be refused by the system's limit: both ways are fine
    assert_int_equal(secret[4095], 7);
    crypto_unlock(secret, 4096);
    assert_memory_equal(secret, zero, 4096);
    memset(secret, 7, 4096);
    crypto_wipe(secret, 4096);
    assert_memory_equal(secret, zero, 4096);
    free(secret);
}

static void hex_is_strict(void **state)
{
    (void)state;
    uint8_t data[3] = {9, 9, 9};
    char text[7];
    assert_true(crypto_from_hex("00fFa0", data, 3));
    crypto_hex(bytes_of(data, 3), text);
    assert_string_equal(text, "00ffa0");
    static const char *const bad[] = {"", "00ff", "00ffa", "00ffa00", "00ffag", " 0ffa0", "00ffa0 ", "00:ffa0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(crypto_from_hex(bad[i], data, 3));
    assert_memory_equal(data, "\x00\xff\xa0", 3);
}

static void base64_is_canonical(void **state)
{
    (void)state;
    struct buffer out = {0};
    for (size_t size = 0; size < 70; size++) {
        uint8_t data[70];
        char text[100];
        crypto_random(data, size);
        assert_true(crypto_base64_size(size) <= sizeof text);
        crypto_base64(bytes_of(data, size), text);
        assert_int_equal(strlen(text) + 1, crypto_base64_size(size));
        assert_null(strpbrk(text, "+/="));
        buffer_clear(&out);
        assert_int_equal(crypto_from_base64(text, &out), OK);
        assert_true(bytes_equal(buffer_bytes(&out), bytes_of(data, size)));
    }
    buffer_clear(&out);
    buffer_append(&out, "keep", 4);
    static const char *const bad[] = {"A",      "AA==", "AA=", "A+AA",  "A/AA", "AA A",   " AAAA",
                                      "AAAA\n", "AB",   "AAB", "AAAAA", "仪征", "AAA\xBC"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(crypto_from_base64(bad[i], &out), ERR_INPUT);
    assert_true(bytes_equal(buffer_bytes(&out), bytes_of_text("keep")));
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_two_tags_are_the_same),
        cmocka_unit_test(hashes_are_blake2b_of_tag_and_data),
        cmocka_unit_test(leaves_nodes_and_salts_are_as_written),
        cmocka_unit_test(a_short_hash_depends_on_its_key),
        cmocka_unit_test(a_signature_is_ed25519_over_tag_and_data),
        cmocka_unit_test(fault_27_every_flipped_bit_is_found),
        cmocka_unit_test(fault_28_a_malleated_signature_is_refused),
        cmocka_unit_test(fault_28_small_order_and_non_canonical_keys_are_refused),
        cmocka_unit_test(fault_28_a_key_of_mixed_order_is_refused),
        cmocka_unit_test(fault_28_small_order_sealing_keys_are_refused),
        cmocka_unit_test(fault_29_a_signature_is_good_for_one_tag_only),
        cmocka_unit_test(what_is_too_long_to_sign_does_not_verify),
        cmocka_unit_test(pairs_belong_together),
        cmocka_unit_test(fault_29_sealed_bytes_open_in_their_context_only),
        cmocka_unit_test(nothing_can_be_sealed),
        cmocka_unit_test(a_wrapped_key_opens_for_its_station_only),
        cmocka_unit_test(a_replayed_run_draws_the_same_bytes),
        cmocka_unit_test(wiped_memory_is_zero),
        cmocka_unit_test(hex_is_strict),
        cmocka_unit_test(base64_is_canonical),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
