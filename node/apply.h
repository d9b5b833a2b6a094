// What a station does with a batch that may be read here: statements into the ledger, announcements into force, receipts for its own urgent
// batches kept; everything else is held.
// The hooks of relay/receive.h; they run in the writer's transaction, on its thread. Errors are the transaction's.
#pragma once
#include "node/desk.h"
#include "relay/receive.h"

enum { APPLY_WAITS_SIZE = 24 };

struct applier {
    struct desk *desk;            // of the open transaction; borrowed
    char waits[APPLY_WAITS_SIZE]; // the last batch that waits for its period: its reason
    bool reload;                  // a document came or came into force: read them again before the commit, and take up what waited
    bool restored;                // this station lost what it signed: records of its own that come back are taken up
};

// `applier` is a struct applier. APPLIED: at least one entry had effect; HELD: none was for here, or each was spoken over. DEFERRED or else
// REJECTED: the first entry that was (the others count all the same); `ret_reason` is of a rejection a function of the bytes and the
// documents only, of a deferral what it waits for: "units" (the unit tree that the signer's certificate names), "document", or "period
// 2036-01" (T27: desk->now_ms, this station's own clock, has not come to it; of several the first month in which more of the batch can be
// judged; with an alarm). `received_ms`: when the batch came, which stays the same however often it is judged. The text is good until the
// next call.
enum verdict apply_batch(void *applier, struct txn *txn, const struct header *header, const struct certificate *signer,
                         const struct entry *entries, uint64_t position, uint64_t received_ms, const char **ret_reason);
// Judges again what was held for a period that has come by desk->now_ms. At the beginning of every transaction, before anything else is
// judged by that clock, as a patch is nothing without the statement before it. It costs one look where nothing has come.
void apply_take_up_periods(const struct receiver *receiver, const struct desk *desk);
// What a row of the journal leaves behind in the views, whenever its entries were taken up: for folding the journal anew, row by row, in a
// store of its own. Sets desk->now_ms. Returns its verdict: where some of it was judged later than it came, others may have spoken over it
// before, so that APPLIED here and HELD there, or the other way round, are both right.
enum verdict apply_fold(struct applier *applier, const struct batch_row *row, const struct header *header, const struct certificate *signer,
                        const struct entry *entries, const char **ret_reason);
// Whether the certificate's unit lies below its issuer's. A unit that another tree than ours may know passes: what its station says waits
// for that tree.
bool apply_may_certify(void *applier, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer);
// A document arrived: announcements that waited for one are taken up before the commit.
void apply_document(void *applier, struct txn *txn, const struct hash *hash, struct bytes content);
