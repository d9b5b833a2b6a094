// The incarnation marker: DIR/marker, outside the database and its backups (struct Marker of schema/trust.proto). A store that has
// fewer starts than its marker was restored, and must not sign in its old incarnation.
//
// File: 16 bytes of checksum (the first of crypto_hash(TAG_MARKER, message)), then the message.
#pragma once
#include "relay/crypto.h"

struct marker {
    struct station_id station;
    uint32_t ordinal;
    uint64_t nonce;
    uint64_t starts;
    uint64_t end;       // journal position when it was written
    struct hash digest; // of the journal row at `end`; zero: empty journal
    bool clean;
    bool restored;  // the store was put back from a copy: nothing is signed until the next incarnation is open
    uint64_t wants; // then: nonce of the incarnation that is asked for
};

// Replaces the file: old or new after a crash, never neither, durable when it returns. ERR_IO, ERR_FULL, ERR_MEMORY: the old one stands.
enum error_code marker_write(const char *directory, const struct marker *marker, struct error *error);
// ERR_NOT_FOUND: no marker; ERR_CORRUPT: damaged; ERR_VERSION: of a later format; ERR_IO.
enum error_code marker_read(const char *directory, struct marker *ret, struct error *error);
