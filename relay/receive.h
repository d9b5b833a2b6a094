// What arrives on a link and is whole: checked, stored and routed on. Checking (arrival_check) needs only a read transaction and runs
// off the writer thread where that pays; storing (receive) runs in the writer's transaction. An arrival has one owner at a time.
#pragma once
#include "relay/author.h"
#include "relay/route.h"
#include "relay/signers.h"

// One whole row of a peer's stream. Owns its buffers.
struct arrival {
    struct station_id peer;
    unsigned stream, lane;
    uint64_t generation, position;
    bool is_object;
    struct hash object;                    // name, when is_object
    struct buffer header, signature, body; // of a batch; of an object: its bytes in `body`
    uint64_t received_ms;                  // UTC
    bool checked;                          // arrival_check said OK
    bool caught_up;                        // with it the last owed body of its feed is here (receive)
    bool mended;                           // it took the place of a damaged row (receive)
    struct header decoded;                 // when checked
    struct certificate signer;             // when checked
};
void arrival_finish(struct arrival *arrival); // frees the buffers; takes a zeroed one

// Signature, certificate chain, Merkle root, and that the batch is of the lane it came on. Objects pass: they are judged when stored. OK
// and `checked`; ERR_NOT_FOUND: the signer's certificate is not committed yet (check again in the writer); anything else (ERR_FORGED,
// ERR_INPUT, ERR_LIMIT, ERR_VERSION): never acceptable. Needs 100 KB of stack.
enum error_code arrival_check(struct arrival *arrival, struct signers *signers, struct txn *txn, struct error *error);

// Who receives. All is borrowed and used on the writer thread, inside its transaction; errors are the transaction's.
struct receiver {
    struct place place;
    struct signers *signers; // the writer thread's own
    void *context;
    // What the layer above does with a batch whose body is here and may be read here. Returns its verdict, with `reason` (never NULL, good
    // until the next call) when it rejects or defers. `position`, `received_ms`: as the journal will have the batch, so nothing may be
    // journaled in here.
    enum verdict (*apply)(void *context, struct txn *txn, const struct header *header, const struct certificate *signer,
                          const struct entry *entries, uint64_t position, uint64_t received_ms, const char **reason);
    // Whether a certificate may stand: its unit lies below its issuer's in the unit tree in force.
    bool (*may_certify)(void *context, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer);
    void (*document)(void *context, struct txn *txn, const struct hash *hash, struct bytes content); // a document arrived
    struct entry *entries; // BATCH_ENTRIES_MAX, the writer's scratch
    struct author *author; // signs receipts for urgent batches from below; NULL: this station may not sign
    bool salvaged;         // what comes was in this station's journal before, and its rows are read again: it came its way once
    bool restored;         // this station lost what it signed: its own batches come back, from its parent, and are taken
    bool put_back;         // its store was put back from a copy, now or before: what it had asked for again by then may be new to it
};

enum received {
    RECEIVED,          // stored, or held already: the mark moves. Or passed by: an own batch that came back with a hole before it was put
                       // into the stream for a store that held more; the parent puts all that this one lacks behind it
    RECEIVED_BODILESS, // stored as a header whose body was owed: only the header mark moves
    RECEIVED_GAP,      // a hole before it, or its certificate has not come: nothing stored
    RECEIVED_FORGED,   // refused for ever: nothing stored, but for an alarm when the peer had no business bringing it
    RECEIVED_OWN,      // a batch that this station signed, and does not hold: it is not what it takes itself for. Nothing stored
};
// Stores the row with its effects and stream rows (added to `grown`): a batch once for each place of its feed. Another batch for a place
// that is held, and what goes on from it, is kept as evidence and changes nothing else but the feed's mark of dispute (and the first
// time an alarm); it counts as RECEIVED, so that it stops nobody behind it. A body that may not travel this far is dropped. Never fails
// on what the bytes say; store errors are the transaction's, and then the answer means nothing.
//
// A batch for a place whose row is damaged, and that what follows it proves to be the one that stood there, takes that place again: from
// whichever side it comes, without a second effect. An object does so by its hash.
enum received receive(const struct receiver *receiver, struct txn *txn, struct arrival *arrival, struct grown *grown);
// Applies a batch that is in the journal and was deferred, or rebuilds views from it. Returns its verdict; VERDICT_HELD when its body
// is not here. The journal row is the caller's to change (journal_add_body).
enum verdict receive_again(const struct receiver *receiver, struct txn *txn, uint64_t position, const char **reason);
