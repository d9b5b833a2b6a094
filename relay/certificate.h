// Certificates: who a station is, which unit it is enrolled for, and who says so. Formats: schema/envelope.proto. Pure but for hashing
// and signing; safe from any thread. Errors name the field.
#pragma once
#include "relay/crypto.h"

struct certificate {
    struct hash hash; // of the certificate's bytes: its name
    struct station_id station;
    char unit[UNIT_CODE_MAX + 1];
    uint32_t unit_from;
    char tier[TIER_NAME_MAX + 1];
    struct public_key sign_key, seal_key, transport_key;
    uint8_t serial[16];
    struct hash units;
    uint64_t term;
    int32_t from_period;
    bool root;               // a root record: no issuer
    struct hash issuer;      // zero in a root record
    struct hash predecessor; // of a later root record: the one before it, whose key signed this one; zero otherwise
    uint64_t issued_ms;
    uint32_t ordinal;
    uint32_t depth;
};

// Decodes SignedCertificate bytes: canonical, at most CERTIFICATE_MAX; sizes; unit and tier plain text; three different valid keys;
// term and ordinal from 1; depth 0 in a root record and only there. Does not check the signature. ERR_INPUT, ERR_LIMIT, ERR_VERSION
// (format, suite).
enum error_code certificate_decode(struct bytes wire, struct certificate *ret, struct error *error);
// The same for one that this station's store holds: that its keys are sound was asked before it was stored, and takes 0.1 ms.
enum error_code certificate_decode_held(struct bytes wire, struct certificate *ret, struct error *error);
// Checks the signature over these bytes and, with an issuer, that it is the one named, term and depth greater than the issuer's. A root
// record is its own issuer: pass NULL; a later root record has its predecessor for issuer, with a smaller term. ERR_FORGED otherwise.
// Whether the unit lies below the issuer's is the caller's to ask (the unit tree knows), as is whether a root record is the pinned one
// or follows from it. `wire` must be what `certificate` was decoded from.
enum error_code certificate_check(struct bytes wire, const struct certificate *certificate, const struct certificate *issuer,
                                  struct error *error);
// Signs `draft` and appends SignedCertificate bytes. Fills in `hash`, and from `issuer`: `root`, `issuer`, `predecessor`. `issuer` NULL:
// a first root record, signed by its own key; otherwise `key` is the issuer's. The result decodes and checks, or nothing is appended:
// ERR_INPUT with the field that a receiver would refuse, ERR_FORGED when `key` is not the issuer's, ERR_MEMORY.
enum error_code certificate_issue(struct certificate *draft, const struct certificate *issuer, const struct secret_key *key,
                                  struct buffer *ret, struct error *error);
// The same for a later root record: `predecessor` is the root record before it, `key` that one's signing key.
enum error_code certificate_succeed(struct certificate *draft, const struct certificate *predecessor, const struct secret_key *key,
                                    struct buffer *ret, struct error *error);
