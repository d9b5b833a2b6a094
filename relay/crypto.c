// Before our own header: it gives three of libsodium's names another meaning.
#include <sodium.h>

#include "relay/crypto.h"

#include <assert.h>

#include "relay/language.h"

static_assert(HASH_SIZE == crypto_generichash_BYTES, "hash size");
static_assert((int)SALTS_TOGETHER * SALT_SIZE == crypto_generichash_BYTES_MAX, "salts are one long BLAKE2b");
static_assert(SECRET_SIZE == crypto_generichash_KEYBYTES, "a batch secret is a BLAKE2b key");
static_assert(SIGNATURE_SIZE == crypto_sign_BYTES, "signature size");
static_assert(sizeof(struct public_key) == crypto_sign_PUBLICKEYBYTES, "public key size");
static_assert(sizeof(struct secret_key) == crypto_sign_SECRETKEYBYTES, "secret key size");
static_assert(sizeof(struct public_key) == crypto_box_PUBLICKEYBYTES, "public key size");
static_assert(sizeof(struct symmetric_key) == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "symmetric key size");
static_assert((int)SEAL_OVERHEAD == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES + crypto_aead_xchacha20poly1305_ietf_ABYTES, "overhead");
static_assert((int)WRAPPED_KEY_SIZE == sizeof(struct symmetric_key) + crypto_box_SEALBYTES, "wrapped key size");
static_assert((int)SHORT_HASH_KEY_SIZE == crypto_shorthash_KEYBYTES, "short hash key size");

enum {
    BOX_SECRET_SIZE = crypto_box_SECRETKEYBYTES,
    NONCE_SIZE = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
};

enum error_code crypto_init(struct error *error)
{
    if (sodium_init() < 0)
        return error_set(error, ERR_STATE, "%s", tr("the system gives no random bytes", "系统无法提供随机数"));
    return OK;
}

// ---- random bytes

void crypto_random(void *data, size_t size) { randombytes_buf(data, size); }

uint64_t crypto_random_u64(void)
{
    uint8_t bytes[8];
    randombytes_buf(bytes, sizeof bytes);
    return get_be64(bytes);
}

// Stream of crypto_random_replay(): request n is the ChaCha20 stream under BLAKE2b(seed, n).
static struct {
    uint8_t seed[32];
    uint64_t requests;
} replay;

static void replay_bytes(void *const data, const size_t size)
{
    uint8_t number[8], key[randombytes_SEEDBYTES];
    put_be64(number, replay.requests++);
    crypto_generichash(key, sizeof key, number, sizeof number, replay.seed, sizeof replay.seed);
    randombytes_buf_deterministic(data, size, key);
}

static uint32_t replay_word(void)
{
    uint8_t bytes[4];
    replay_bytes(bytes, sizeof bytes);
    return get_be32(bytes);
}

static const char *replay_name(void) { return "replay"; }

void crypto_random_replay(const uint8_t seed[32])
{
    static struct randombytes_implementation implementation = {
        .implementation_name = replay_name, .random = replay_word, .buf = replay_bytes};
    if (!seed) {
        randombytes_set_implementation(&randombytes_sysrandom_implementation);
        return;
    }
    memcpy(replay.seed, seed, sizeof replay.seed);
    replay.requests = 0;
    randombytes_set_implementation(&implementation);
}

// ---- hashes

struct hash crypto_hash(const char *tag, struct bytes data)
{
    struct hash hash;
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof hash.bytes);
    crypto_generichash_update(&state, (const uint8_t *)tag, strlen(tag) + 1);
    crypto_generichash_update(&state, data.data, data.size);
    crypto_generichash_final(&state, hash.bytes, sizeof hash.bytes);
    return hash;
}

struct hash crypto_leaf(const uint8_t salt[SALT_SIZE], struct bytes entry)
{
    struct hash hash;
    uint8_t prefix[1 + SALT_SIZE] = {0x00};
    memcpy(prefix + 1, salt, SALT_SIZE);
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, sizeof hash.bytes);
    crypto_generichash_update(&state, prefix, sizeof prefix);
    crypto_generichash_update(&state, entry.data, entry.size);
    crypto_generichash_final(&state, hash.bytes, sizeof hash.bytes);
    return hash;
}

struct hash crypto_node(const struct hash *left, const struct hash *right)
{
    struct hash hash;
    uint8_t node[1 + 2 * HASH_SIZE] = {0x01};
    memcpy(node + 1, left->bytes, HASH_SIZE);
    memcpy(node + 1 + HASH_SIZE, right->bytes, HASH_SIZE);
    crypto_generichash(hash.bytes, sizeof hash.bytes, node, sizeof node, NULL, 0);
    return hash;
}

void crypto_salts(const uint8_t secret[SECRET_SIZE], uint32_t group, uint8_t ret[SALTS_TOGETHER][SALT_SIZE])
{
    uint8_t place[4];
    put_be32(place, group);
    crypto_generichash(ret[0], SALTS_TOGETHER * SALT_SIZE, place, sizeof place, secret, SECRET_SIZE);
}

uint64_t crypto_short_hash(const uint8_t key[SHORT_HASH_KEY_SIZE], struct bytes data)
{
    uint8_t hash[crypto_shorthash_BYTES];
    crypto_shorthash(hash, data.data, data.size, key);
    return get_be64(hash);
}

// ---- signatures

void crypto_sign_keypair(struct public_key *ret_public, struct secret_key *ret_secret)
{
    crypto_sign_ed25519_keypair(ret_public->bytes, ret_secret->bytes);
}

bool crypto_sign_pair_valid(const struct public_key *key, const struct secret_key *secret)
{
    struct public_key derived;
    struct secret_key expanded;
    crypto_sign_seed_keypair(derived.bytes, expanded.bytes, secret->bytes);
    bool valid = sodium_memcmp(&derived, key, sizeof derived) == 0 && sodium_memcmp(&expanded, secret, sizeof expanded) == 0;
    sodium_memzero(&expanded, sizeof expanded);
    return valid && crypto_sign_key_valid(key);
}

bool crypto_sign_key_valid(const struct public_key *key) { return crypto_core_ed25519_is_valid_point(key->bytes) == 1; }

// tag || 0 || data, on the stack: Ed25519 needs the whole message twice, so it can't be streamed.
struct signed_message {
    size_t size;
    uint8_t bytes[TAG_MAX + 1 + SIGNED_MAX];
};

static void signed_message_init(struct signed_message *message, const char *tag, struct bytes data)
{
    size_t tag_size = strlen(tag) + 1;
    assert(tag_size > 1 && tag_size <= TAG_MAX + 1);
    memcpy(message->bytes, tag, tag_size);
    if (data.size)
        memcpy(message->bytes + tag_size, data.data, data.size);
    message->size = tag_size + data.size;
}

void crypto_sign(const struct secret_key *key, const char *tag, struct bytes data, uint8_t ret[SIGNATURE_SIZE])
{
    assert(data.size <= SIGNED_MAX);
    struct signed_message message;
    signed_message_init(&message, tag, data);
    crypto_sign_detached(ret, NULL, message.bytes, message.size, key->bytes);
}

bool crypto_verify(const struct public_key *key, const char *tag, struct bytes data, const uint8_t signature[SIGNATURE_SIZE])
{
    if (data.size > SIGNED_MAX)
        return false;
    struct signed_message message;
    signed_message_init(&message, tag, data);
    return crypto_sign_verify_detached(signature, message.bytes, message.size, key->bytes) == 0;
}

// ---- sealing

void crypto_seal_keypair(struct public_key *ret_public, struct secret_key *ret_secret)
{
    memset(ret_secret, 0, sizeof *ret_secret);
    crypto_box_keypair(ret_public->bytes, ret_secret->bytes);
}

bool crypto_seal_pair_valid(const struct public_key *key, const struct secret_key *secret)
{
    struct public_key derived;
    if (crypto_scalarmult_base(derived.bytes, secret->bytes) != 0)
        return false;
    return sodium_is_zero(secret->bytes + BOX_SECRET_SIZE, sizeof secret->bytes - BOX_SECRET_SIZE) &&
           sodium_memcmp(&derived, key, sizeof derived) == 0;
}

bool crypto_seal_key_valid(const struct public_key *key)
{
    // A point of small order gives the zero secret with any scalar, and libsodium says so.
    static const uint8_t any_scalar[crypto_scalarmult_SCALARBYTES] = {8};
    uint8_t shared[crypto_scalarmult_BYTES];
    return crypto_scalarmult(shared, any_scalar, key->bytes) == 0;
}

void crypto_encrypt(const struct symmetric_key *key, struct bytes associated, struct bytes data, struct buffer *ret)
{
    uint8_t *place = buffer_extend(ret, data.size + SEAL_OVERHEAD);
    if (!place)
        return;
    randombytes_buf(place, NONCE_SIZE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(place + NONCE_SIZE, NULL, data.data, data.size, associated.data, associated.size, NULL,
                                               place, key->bytes);
}

enum error_code crypto_decrypt(const struct symmetric_key *key, struct bytes associated, struct bytes sealed, struct buffer *ret)
{
    if (sealed.size < SEAL_OVERHEAD)
        return ERR_FORGED;
    size_t size = ret->size;
    uint8_t *place = buffer_extend(ret, sealed.size - SEAL_OVERHEAD); // NULL also for nothing in an empty buffer
    if (ret->failed)
        return ERR_MEMORY;
    if (crypto_aead_xchacha20poly1305_ietf_decrypt(place, NULL, NULL, sealed.data + NONCE_SIZE, sealed.size - NONCE_SIZE, associated.data,
                                                   associated.size, sealed.data, key->bytes) != 0) {
        ret->size = size;
        return ERR_FORGED;
    }
    return OK;
}

bool crypto_wrap(const struct public_key *to, const struct symmetric_key *key, uint8_t ret[WRAPPED_KEY_SIZE])
{
    return crypto_box_seal(ret, key->bytes, sizeof key->bytes, to->bytes) == 0;
}

enum error_code crypto_unwrap(const struct public_key *own_public, const struct secret_key *own, const uint8_t wrapped[WRAPPED_KEY_SIZE],
                              struct symmetric_key *ret)
{
    struct symmetric_key key;
    if (crypto_box_seal_open(key.bytes, wrapped, WRAPPED_KEY_SIZE, own_public->bytes, own->bytes) != 0)
        return ERR_FORGED;
    *ret = key;
    sodium_memzero(&key, sizeof key);
    return OK;
}

// ---- secrets in memory

void crypto_wipe(void *data, size_t size) { sodium_memzero(data, size); }

bool crypto_lock(void *data, size_t size) { return sodium_mlock(data, size) == 0; }

void crypto_unlock(void *data, size_t size) { sodium_munlock(data, size); }

// ---- text

void crypto_hex(struct bytes data, char *ret) { sodium_bin2hex(ret, 2 * data.size + 1, data.data, data.size); }

bool crypto_from_hex(const char *text, uint8_t *ret, size_t size)
{
    size_t digits = strspn(text, "0123456789abcdefABCDEF");
    if (digits != 2 * size || text[digits])
        return false;
    return sodium_hex2bin(ret, size, text, digits, NULL, NULL, NULL) == 0;
}

size_t crypto_base64_size(size_t size) { return sodium_base64_encoded_len(size, sodium_base64_VARIANT_URLSAFE_NO_PADDING); }

void crypto_base64(struct bytes data, char *ret)
{
    sodium_bin2base64(ret, crypto_base64_size(data.size), data.data, data.size, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

enum error_code crypto_from_base64(const char *text, struct buffer *ret)
{
    // libsodium 1.0.18 takes some bytes above 0x7F for '-' and '_' (its constant-time comparison needs small values).
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    size_t length = strlen(text), size = ret->size, decoded = 0;
    if (strspn(text, alphabet) != length)
        return ERR_INPUT;
    size_t most = length / 4 * 3 + 3;
    uint8_t *place = buffer_extend(ret, most);
    if (!place)
        return ERR_MEMORY;
    const char *end = NULL;
    if (sodium_base642bin(place, most, text, length, NULL, &decoded, &end, sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        end != text + length) {
        ret->size = size;
        return ERR_INPUT;
    }
    ret->size = size + decoded;
    return OK;
}
