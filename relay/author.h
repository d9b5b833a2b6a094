// What this station signs: entries gathered in one write transaction, made into batches of its own feeds when the transaction ends.
// One author per open station; owned by the writer thread.
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
enum error_code author_create(const struct author_config *config, struct author **ret, struct error *error);
void author_destroy(struct author *author); // takes NULL

// What the batches of this transaction say of themselves. Call when the transaction begins. `codebook` NULL: none in force.
void author_context(struct author *author, uint64_t time_ms, const struct hash *codebook);

// Puts an entry into the open batch of (lane, audience, reach); a full batch is signed and journaled at once. `key` NULL: clear.
// Returns the entry's sequence number in its feed, 0 when the transaction has failed. `addressee` only with audience STATION.
uint64_t author_add(struct author *author, struct txn *txn, unsigned lane, unsigned audience, const struct station_id *addressee,
                    uint32_t reach, uint32_t kind, uint64_t time_ms, struct bytes content, const struct key_id *key);
// The sequence number that the next entry of a feed would get.
uint64_t author_next(struct author *author, struct txn *txn, unsigned lane, unsigned audience);
// Signs and journals what is open, with its stream rows. Call before txn_commit. Errors are the transaction's.
void author_finish(struct author *author, struct txn *txn, struct grown *grown);
// Forgets what is open: after an abort.
void author_abort(struct author *author);
