// Signed heads: where a station's feeds stand, said by itself and carried hop by hop to all above and below it, so that a withheld tail, a
// split view and a second history show. Bytes: schema/envelope.proto (HeadsClaim); table `heads`: schema/store.md. How they travel and what
// is made of them: relay/engine_heads.c.
//
// Threads: the functions on bytes are pure but for hashing and signing; those with a transaction belong to its thread, and their errors are
// the transaction's (relay/store.h).
#pragma once
#include "relay/header.h"
#include "relay/journal.h"
#include "relay/signers.h"

enum {
    HEADS_MAX = 32,         // heads in a claim: 10 of its own, the rest of the stations above, at most 4 or 5 with two each
    HEADS_CLAIM_MAX = 4096, // bytes: 32 heads of at most 108, and some
    HEADS_OWN = 2 * LANES,  // feeds that a station names of its own: UP and SUBTREE in each lane
};

struct heads {
    struct station_id station;
    struct hash certificate;
    uint32_t ordinal;
    uint64_t starts, number; // with `ordinal`: which claim of the station is the newer
    uint64_t time_ms;        // the signer's clock; never used for order
    uint32_t count;
    struct head heads[HEADS_MAX]; // ascending by feed key
};

// HeadsClaim bytes -> heads. Checks every bound of envelope.proto: canonical bytes, sizes, order, which feeds it may name. ERR_INPUT,
// ERR_LIMIT, ERR_VERSION (format, suite); `ret` is untouched then. Does not check the signature.
enum error_code heads_decode(struct bytes claim, struct heads *ret, struct error *error);
// That `signer` is the certificate and the station that the claim names, and signed exactly these bytes. ERR_FORGED.
enum error_code heads_check(struct bytes claim, struct bytes signature, const struct heads *heads, const struct certificate *signer,
                            struct error *error);
// Appends the claim's bytes and signs them. ERR_MEMORY. `heads` as heads_decode() would give them.
enum error_code heads_sign(const struct heads *heads, const struct secret_key *key, struct buffer *ret_claim,
                           uint8_t ret_signature[SIGNATURE_SIZE], struct error *error);
// Below, at or above 0: `a` is older than, as old as, newer than `b`, of the same station.
int heads_order(const struct heads *a, const struct heads *b);
// Which of its own feeds a head of a claim is: 0..HEADS_OWN - 1; HEADS_OWN: another station's.
unsigned heads_own(const struct heads *heads, const struct head *head);
// Whether the claim and another, not both of which can be true, name a feed at the same sequence with different headers. `ret`: which of
// `a`.
bool heads_contradict(const struct heads *a, const struct heads *b, uint32_t *ret);

// ---- against the journal

// Fills in station, certificate, ordinal, count and heads of this station's next claim: its own feeds of the incarnation (ordinal, nonce),
// and those of the `above` stations, nearest first, as far as there is room.
void heads_gather(struct txn *txn, const struct certificate *self, uint32_t ordinal, uint64_t nonce, const struct station_id *above,
                  uint32_t above_count, struct heads *ret);
enum head_verdict {
    HEAD_HELD,   // what is here goes as far, and is the same
    HEAD_BEHIND, // it names more than is here
    HEAD_OTHER,  // it names another history than the one here
};
// Also for a feed that is not here: HEAD_BEHIND, or HEAD_HELD when the head covers nothing. `ret` (may be NULL): what is here.
enum head_verdict heads_compare(struct txn *txn, const struct head *head, struct feed_state *ret);

// ---- the table: one row a station
struct heads_row {
    uint64_t received_ms;   // UTC, of the claim; 0: none came yet
    struct station_id via;  // the peer that brought it
    uint16_t told;          // own feeds (heads_own(), a bit each) with an alarm that a tail is withheld, and not healed
    bool silent;            // an alarm says that it is not heard from
    uint32_t quiet_s;       // how long it has not been heard while the link it should come by was live
    struct bytes claim;     // empty: none
    struct bytes signature; // SIGNATURE_SIZE, or empty
    // The first claim that can't be true together with what is here, kept as evidence; empty: none.
    struct bytes other, other_signature;
};
bool heads_read(struct txn *txn, const struct station_id *station, struct heads_row *ret);        // false: none; spans live as store.h says
void heads_write(struct txn *txn, const struct station_id *station, const struct heads_row *row); // its spans must not point into the store
// In order of station id; `after` zero to begin. False at the end.
bool heads_next(struct txn *txn, const struct station_id *after, struct station_id *ret_station, struct heads_row *ret);
