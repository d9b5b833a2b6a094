// The join exchange in bytes: JoinRequest with proof of possession, JoinReply (schema/trust.proto). Pure; the exchange itself is
// transport_ask() and the parent's admission.
#pragma once
#include "relay/codec.h"
#include "relay/identity.h"
#include "relay/token.h"

enum {
    JOIN_REQUEST_MAX = 512,                        // bytes: 349 at most
    JOIN_REPLY_MAX = 2 * DOCUMENT_MAX + 64 * 1024, // bytes: both documents, a chain of certificates, texts
    JOIN_ERROR_MAX = 255,                          // bytes of a refusal's text
    CHAIN_MAX = DEPTH_MAX,                         // certificates: one a tier
};

struct join_request {
    uint8_t secret[TOKEN_SECRET_SIZE];
    struct station_id station;
    struct public_key sign_key, seal_key, transport_key;
    char listen[ADDRESS_MAX + 1]; // empty: serves no children
    uint8_t signature[SIGNATURE_SIZE];
};

// The request of `identity` with the token's secret, signed. `listen` may be NULL. ERR_LIMIT: `listen` is longer than ADDRESS_MAX.
enum error_code join_request_sign(const struct identity *identity, const uint8_t secret[TOKEN_SECRET_SIZE], const char *listen,
                                  struct join_request *ret, struct error *error);
// Whether whoever made it has the signing key, and the keys are usable: ERR_FORGED, ERR_INPUT. The caller also checks that
// `transport_key` is the key that the request came under.
enum error_code join_request_check(const struct join_request *request, struct error *error);
// Appends JoinRequest bytes; a failed allocation shows in ret->failed.
void join_request_pack(const struct join_request *request, struct buffer *ret);
// Canonical, bounded, every field of its size; the signature is not checked. ERR_INPUT, ERR_LIMIT.
enum error_code join_request_unpack(struct bytes wire, struct join_request *ret, struct error *error);

// Spans point into the bytes it was unpacked from, or that the sender filled in.
struct join_reply {
    char refusal[JOIN_ERROR_MAX + 1]; // set: refused, and why, in English; everything below but `refusal_zh` is empty then
    char refusal_zh[JOIN_ERROR_MAX + 1];
    struct bytes certificate;      // SignedCertificate of the joiner
    struct bytes chain[CHAIN_MAX]; // root record first, parent last
    uint32_t chain_count;
    char link[ADDRESS_MAX + 1];   // link endpoint of the parent
    struct bytes codebook, units; // documents
    uint32_t codebook_version, units_version;
    char above_link[ADDRESS_MAX + 1], above_join[ADDRESS_MAX + 1]; // endpoints of the parent's parent; empty: none
};

// ERR_INPUT, ERR_LIMIT: what join_reply_unpack() would refuse; ERR_MEMORY.
enum error_code join_reply_pack(const struct join_reply *reply, struct buffer *ret, struct error *error);
// Canonical and bounded; an answer is either a refusal or a certificate with its chain, link and unit tree. The certificates are not
// decoded. ERR_INPUT, ERR_LIMIT.
enum error_code join_reply_unpack(struct bytes wire, struct join_reply *ret, struct error *error);
