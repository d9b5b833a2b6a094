// What this station signs: entries gathered in one write transaction, made into batches of its own feeds when the transaction ends.
// One author per open station; owned by the writer thread.
//
// In a transaction: author_context(), then author_add() as often as there is something to say, then author_finish() before txn_commit(),
// or author_abort() when it does not come to that. Signing errors and the store's are the transaction's (relay/store.h).
#pragma once
#include "relay/route.h"

struct author;

struct author_config {
    const struct certificate *self;   // borrowed, as are the next two: must outlive the author
    const struct certificate *parent; // NULL at the root
    const struct secret_key *sign_key;
    uint32_t ordinal; // incarnation
    uint64_t nonce;
};
// The incarnation that it signs in.
struct incarnation {
    uint32_t ordinal;
    uint64_t nonce;
};
struct incarnation author_incarnation(const struct author *author);
// ERR_MEMORY; `ret` is the caller's, for author_destroy().
enum error_code author_create(const struct author_config *config, struct author **ret, struct error *error);
void author_destroy(struct author *author); // takes NULL; forgets what is open

// What the batches of this transaction say of themselves. Call when the transaction begins. `codebook` NULL: none in force; it is copied.
void author_context(struct author *author, uint64_t time_ms, const struct hash *codebook);

// Puts an entry into the open batch of (lane, audience, addressee); a batch is signed and journaled at once when the entry does not fit
// (BATCH_ENTRIES_MAX, BATCH_BODY_MAX) or has another reach. `content` is copied; `key` NULL: it is clear, otherwise sealed already.
// `addressee` with audience STATION, and only then (asserted), as is lane 1..LANES. Returns the entry's sequence number in its feed, 0 when
// the transaction has failed; it fails here with ERR_LIMIT (larger than an entry of its lane may be), ERR_INPUT (no kind, no content),
// ERR_MEMORY.
uint64_t author_add(struct author *author, struct txn *txn, unsigned lane, unsigned audience, const struct station_id *addressee,
                    uint32_t reach, uint32_t kind, uint64_t time_ms, struct bytes content, const struct key_id *key);
// Signs and journals the open batch of one feed now, so that what is added next begins another. `ret` (untouched on false) says where it
// stands. False: nothing was open there, or the transaction has failed.
struct author_batch {
    uint32_t feed; // id
    uint64_t first;
    struct hash header;
};
bool author_close(struct author *author, struct txn *txn, unsigned lane, unsigned audience, const struct station_id *addressee,
                  struct author_batch *ret);
// Signs and journals what is open, with its stream rows; adds to `grown` what has grown by all batches of the transaction.
void author_finish(struct author *author, struct txn *txn, struct grown *grown);
// Forgets what is open: after an abort, or a commit that failed.
void author_abort(struct author *author);
