// Plain types that the whole relay shares. No code but comparisons.
#pragma once
#include "relay/bytes.h"
#include "relay/limits.h"

struct hash {
    uint8_t bytes[HASH_SIZE];
};
struct station_id {
    uint8_t bytes[STATION_ID_SIZE];
};
struct key_id {
    uint8_t bytes[KEY_ID_SIZE];
};
struct public_key {
    uint8_t bytes[PUBLIC_KEY_SIZE];
};
struct secret_key {
    uint8_t bytes[64];
}; // Ed25519 uses 64, X25519 and CURVE the first 32
struct symmetric_key {
    uint8_t bytes[32];
};

static inline bool hash_equal(const struct hash *a, const struct hash *b) { return memcmp(a, b, sizeof *a) == 0; }
static inline bool station_equal(const struct station_id *a, const struct station_id *b) { return memcmp(a, b, sizeof *a) == 0; }
static inline bool hash_is_zero(const struct hash *hash)
{
    static const struct hash zero;
    return hash_equal(hash, &zero);
}
