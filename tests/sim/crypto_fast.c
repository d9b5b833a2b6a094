// A stand-in for signatures and checksums in long runs (`--crypto fast`): keyed, deterministic, and no security at all. Signing keys,
// certificates, hashes of headers and bodies, Merkle roots, sealing stay real, so that a run takes the same steps with either.
#include "tests/sim/inside.h"

struct hash __real_relay_crypto_hash(const char *tag, struct bytes data);
struct hash __wrap_relay_crypto_hash(const char *tag, struct bytes data);
void __real_relay_crypto_sign(const struct secret_key *key, const char *tag, struct bytes data, uint8_t ret[SIGNATURE_SIZE]);
void __wrap_relay_crypto_sign(const struct secret_key *key, const char *tag, struct bytes data, uint8_t ret[SIGNATURE_SIZE]);
bool __real_crypto_verify(const struct public_key *key, const char *tag, struct bytes data, const uint8_t signature[SIGNATURE_SIZE]);
bool __wrap_crypto_verify(const struct public_key *key, const char *tag, struct bytes data, const uint8_t signature[SIGNATURE_SIZE]);
bool __real_crypto_sign_key_valid(const struct public_key *key);
bool __wrap_crypto_sign_key_valid(const struct public_key *key);

static bool fast(void) { return world && world->config.fast; }

// Four lanes of multiply and rotate, eight bytes each at a time; the shape is xxHash64's (Collet), the numbers are splitmix64's.
static void mix(uint64_t lanes[4], struct bytes data)
{
    static const uint64_t odd = 0x9E3779B97F4A7C15u;
    size_t at = 0;
    for (unsigned lane = 0; at < data.size; at += 8, lane = (lane + 1) & 3) {
        uint64_t word = 0;
        memcpy(&word, data.data + at, data.size - at < 8 ? data.size - at : 8);
        lanes[lane] = (lanes[lane] ^ word) * odd;
        lanes[lane] ^= lanes[lane] >> 29;
    }
    lanes[0] += data.size;
    for (unsigned lane = 0; lane < 8; lane++) {
        uint64_t z = (lanes[lane & 3] += lanes[(lane + 1) & 3] ^ odd) * 0xBF58476D1CE4E5B9u;
        lanes[lane & 3] = z ^ z >> 31;
    }
}

uint64_t quick_hash(struct bytes data)
{
    uint64_t lanes[4] = {1, 2, 3, 4};
    mix(lanes, data);
    return lanes[0] ^ lanes[2];
}

struct hash __wrap_relay_crypto_hash(const char *tag, struct bytes data)
{
    // Only what never leaves a station: checksums of rows, and what checkers compare.
    if (!fast() || (tag != TAG_ROW && strcmp(tag, TAG_ROW) != 0 && strcmp(tag, TAG_DIGEST) != 0))
        return __real_relay_crypto_hash(tag, data);
    struct hash hash;
    uint64_t lanes[4] = {strlen(tag), 2, 3, 4};
    mix(lanes, data);
    memcpy(hash.bytes, lanes, sizeof hash.bytes);
    return hash;
}

static void stand_in(const uint8_t *public_key, const char *tag, struct bytes data, uint8_t ret[SIGNATURE_SIZE])
{
    uint64_t lanes[4] = {1, 2, 3, 4};
    mix(lanes, bytes_of(public_key, PUBLIC_KEY_SIZE));
    mix(lanes, bytes_of_text(tag));
    mix(lanes, data);
    memcpy(ret, lanes, sizeof lanes);
    mix(lanes, bytes_of_text("second half"));
    memcpy(ret + sizeof lanes, lanes, sizeof lanes);
}

void __wrap_relay_crypto_sign(const struct secret_key *key, const char *tag, struct bytes data, uint8_t ret[SIGNATURE_SIZE])
{
    if (!fast())
        __real_relay_crypto_sign(key, tag, data, ret);
    else // an Ed25519 secret key ends with the public one
        stand_in(key->bytes + sizeof key->bytes - PUBLIC_KEY_SIZE, tag, data, ret);
}

bool __wrap_crypto_verify(const struct public_key *key, const char *tag, struct bytes data, const uint8_t signature[SIGNATURE_SIZE])
{
    uint8_t expected[SIGNATURE_SIZE];
    if (!fast())
        return __real_crypto_verify(key, tag, data, signature);
    stand_in(key->bytes, tag, data, expected);
    return memcmp(expected, signature, sizeof expected) == 0;
}

bool __wrap_crypto_sign_key_valid(const struct public_key *key) { return fast() || __real_crypto_sign_key_valid(key); }
