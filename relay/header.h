// Headers of batches, feeds and heads: decoded and checked. Formats: schema/envelope.proto. Pure but for hashing; safe from any thread.
// Errors name the field.
#pragma once
#include "relay/certificate.h"
#include "relay/codec.h"
#include "relay/core/feed.h"

enum {
    FOLLOWS_MAX = 48, // heads in a header: each takes 77 to 115 of its HEADER_MAX bytes, so fewer of the long ones
};

struct header {
    struct hash hash; // of the header's bytes
    struct feed_key feed;
    struct hash certificate;
    uint64_t first;
    uint32_t count;
    uint32_t reach;
    uint64_t time_ms;
    struct hash codebook; // zero: none
    struct hash root;
    struct hash prev; // zero in the first batch of a feed
    uint32_t body_size;
    uint32_t follows_count; // heads it follows; read with header_follows()
};

// BatchHeader bytes -> header. Checks every bound of envelope.proto: canonical bytes, sizes, lane and audience, an addressee with
// audience STATION only, count, reach, body size, first + count in 64 bits, `prev` absent in the first batch and only there, heads to
// follow in the first batch only, no zero hash where absence says it. ERR_INPUT, ERR_LIMIT, ERR_VERSION (format, suite).
enum error_code header_decode(struct bytes wire, struct header *ret, struct error *error);
// That `signer` is the certificate and the station that the header names, and signed exactly these bytes. ERR_FORGED.
enum error_code header_check_signature(struct bytes wire, struct bytes signature, const struct certificate *signer,
                                       const struct header *header, struct error *error);
// The heads that a decoded header follows: header->follows_count of them, at most FOLLOWS_MAX, into `ret`.
enum error_code header_follows(struct bytes wire, const struct header *header, struct head ret[FOLLOWS_MAX], struct error *error);
// Feed and Head bytes, on their own. ERR_INPUT with the field.
enum error_code feed_decode(struct bytes wire, struct feed_key *ret, struct error *error);
enum error_code head_decode(struct bytes wire, struct head *ret, struct error *error);

// Canonical key of a feed, for tables: station, ordinal, nonce, lane, audience, addressee (zero but for STATION).
enum { FEED_KEY_SIZE = 16 + 4 + 8 + 1 + 1 + 16 };
void feed_key_encode(const struct feed_key *feed, uint8_t ret[FEED_KEY_SIZE]);
void feed_key_decode(const uint8_t key[FEED_KEY_SIZE], struct feed_key *ret);
