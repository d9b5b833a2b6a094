// Receipts: every tier that holds an urgent batch signs so, in a feed addressed to the batch's origin; the origin keeps the proofs and
// knows what it still waits for. Layouts: schema/store.md, tables `urgent` and `receipts`.
//
// A receipt goes on the urgent lane, the only one that also the link past a silent parent carries. Whoever passes it on can't make one:
// the origin checks that its signer stands above it, that it is addressed to it, and that it names the very header it signed.
//
// Everything works inside the caller's transaction, on its thread; store errors are the transaction's.
#pragma once
#include "relay/author.h"
#include "relay/batch.h"

enum {
    RECEIPT_WHAT_MAX = 32,    // bytes: a form's id
    RECEIPT_SETTLE_MAX = 100, // a transaction of some ms
    RECEIPT_CLOCK_MS = 60000, // a batch signed further ahead than this was signed by a clock that has gone back since
};

// One urgent batch that this station signed.
struct urgent_batch {
    uint32_t feed; // id
    uint64_t first;
    bool decided; // the deciding tier, or one above it, has receipted it
    uint64_t signed_ms;
    uint32_t within_ms; // how long to wait for that
    uint32_t decider;   // depth of the deciding tier
    uint32_t reach;     // of the batch
    uint8_t record[RECORD_ID_SIZE];
    char what[RECEIPT_WHAT_MAX + 1]; // the layer above's name for it
};
// Waits from now on: `batch->decided` false.
void urgent_write(struct txn *txn, const struct urgent_batch *batch);
bool urgent_read(struct txn *txn, uint32_t feed, uint64_t first, struct urgent_batch *ret);
// In order of (decided, feed, first): those that wait first. `after` NULL to begin. False at the end.
bool urgent_next(struct txn *txn, const struct urgent_batch *after, struct urgent_batch *ret);
// Milliseconds until the first batch that waits, and whose body may travel `tiers_up` tiers, has waited long enough; 0: one has; -1: none
// waits. A clock that went back makes it long enough at once: an early call past the parent does no harm, none at all does.
int64_t urgent_due_in(struct txn *txn, uint64_t now_ms, uint32_t tiers_up);

// A receipt as it is kept.
struct receipt {
    uint32_t feed; // of the urgent batch
    uint64_t first;
    struct station_id station; // who has it
    uint8_t state;             // enum Receipt.State
    uint64_t time_ms;          // since when, by its clock
    uint64_t position;         // in the journal: the batch that proves it
    struct hash certificate;   // of the signer
};
// The next after `after` of the same batch, or the first: then only `feed` and `first` count and `station`, `state` are zero. False at
// the end.
bool receipt_next(struct txn *txn, const struct receipt *after, struct receipt *ret);

bool receipt_read(struct txn *txn, const struct receipt *of, struct receipt *ret); // the one with the feed, first, station, state of `of`

// Signs a receipt for a batch from below whose body has just been stored: once, for a place is stored once.
void receipt_give(struct author *author, struct txn *txn, const struct header *header, uint64_t now_ms);
// The same by a station that may not sign: it is owed for the batch at `position`, until receipt_settle().
void receipt_owe(struct txn *txn, uint64_t position);
#define RECEIPT_OWED "receipt" // what it waits for in the table `deferred`, whatever the batch was judged
// Signs what is owed, the oldest first, at most RECEIPT_SETTLE_MAX in this transaction; each once. What stands on a damaged row stays
// owed. True: call again, in another transaction.
bool receipt_settle(struct author *author, struct txn *txn, uint64_t now_ms);

// What a receipt that arrived (or lies in the journal at `position`) amounts to. `header` and `signer`: of the batch that brings it.
enum receipt_judgement {
    RECEIPT_GOOD,    // `ret` is to be kept
    RECEIPT_OTHERS,  // not addressed to this station
    RECEIPT_UNKNOWN, // for a batch that is not here: this station was restored; or that is damaged, as is what follows it
    RECEIPT_FORGED,  // `ret_reason` says why: a function of the bytes and the chain
};
enum receipt_judgement receipt_judge(struct txn *txn, const struct certificate *self, const struct header *header,
                                     const struct certificate *signer, const struct entry *entry, uint64_t position, struct receipt *ret,
                                     const char **ret_reason);
// Judges it, keeps what is good and ends the waiting if it decides; a forged one raises an alarm. The verdict for the journal.
enum verdict receipt_take(struct txn *txn, const struct certificate *self, const struct header *header, const struct certificate *signer,
                          const struct entry *entry, uint64_t position, uint64_t now_ms, const char **ret_reason);
