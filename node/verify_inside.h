// What `sanji verify` and `sanji rebuild` share: verify.c (opening, and in which order what is looked at), verify_walk.c (journal, feeds,
// objects), verify_batch.c (one batch) and verify_views.c (what the journal amounts to against what is kept).
#pragma once
#include "node/apply.h"
#include "node/documents.h"
#include "node/scratch.h"
#include "node/verify.h"
#include "relay/keyring.h"

// Where a feed's walk stands.
struct walked {
    uint64_t next;
    struct hash last;
};

// What everything is judged by.
struct in_force {
    struct hash self, documents[2]; // codebook, units; zero: none
    uint32_t versions[2];
};

// A row that may still change in place: its body is owed, or what it waits for may come.
struct unsettled {
    uint64_t position; // 0: it has been reported as damaged or gone
    enum verdict verdict;
    bool body;
    char reason[REASON_MAX + 1]; // of a batch that waits, some may be judged and the rest go on waiting
};

// What is kept may be compared only with what came of the same state of the store. A running node goes on writing, and can't use again the
// pages of a state that somebody reads: so objects and journal, which only grow, are read in slices, each in a transaction of its own. The
// slice that comes to the journal's end is the last: in its transaction, rows that may have changed in place behind the walk are looked at
// again, and then all else is compared.
struct verifying {
    struct verify_report *report;
    struct store *store;
    struct txn *txn;      // read: of the slice
    unsigned renewals;    // how often there was another one
    bool steady;          // one transaction for everything: nobody writes, or documents would not hold still
    bool moved;           // documents in force have changed: what was folded has to be folded anew
    uint64_t position;    // walked up to here
    uint64_t end;         // of the journal, in this transaction
    struct buffer open;   // of struct unsettled
    struct in_force from; // at the start
    struct config config;
    struct documents *documents;
    struct certificate self;
    struct signers *signers;
    struct keyring *keyring; // NULL: a node has it
    struct desk desk;
    struct scratch views, records;
    struct applier applier;
    struct receiver receiver;
    uint64_t feed_count;
    struct walked *walked; // by feed id
    uint32_t walked_count;
    struct error damage; // the last that was reported: many batches may stand on one damaged row
    uint64_t now_ms;     // when the last batch was committed: the records are replayed as of then
    uint64_t last_ms;    // the latest time of any batch: later than now_ms when the clock went back
    bool unstated;       // the replayed records could not be stated: nothing to compare
    bool incomplete;     // own records are not all here, or not to be opened: they do not amount to what was stated
};

void verify_differs(struct verifying *verifying, const char *format, ...) __attribute__((format(printf, 2, 3)));
// A damaged row fails its transaction: it is reported, and what follows is read in another. Errors: what is no damage, and
// verify_renew()'s.
enum error_code verify_skip_damage(struct verifying *verifying, struct error *error);
// Another transaction. Errors as txn_begin(); ERR_BUSY with `moved` set.
enum error_code verify_renew(struct verifying *verifying, struct error *error);

// A whole batch row, and what it does to the scratch stores.
void verify_batch(struct verifying *verifying, const struct batch_row *row);
// One that has changed since `before`: the body came, or it was decided.
void verify_batch_again(struct verifying *verifying, const struct batch_row *row, const struct unsettled *before);
// Where the walk of a feed stands. NULL: no such feed, or no memory (the transaction has failed).
struct walked *verify_walked(struct verifying *verifying, uint32_t feed);

// In this order.
enum error_code verify_objects(struct verifying *verifying, struct error *error);
enum error_code verify_journal(struct verifying *verifying, void (*progress)(void *context, uint64_t done, uint64_t total), void *context,
                               struct error *error);
enum error_code verify_feeds(struct verifying *verifying, struct error *error);
// What has changed behind the walk; then the scratch stores are complete.
enum error_code verify_settle(struct verifying *verifying, struct error *error);
// Every receipt kept was met in the journal, and none twice.
void verify_receipts(struct verifying *verifying);
enum error_code verify_views(struct verifying *verifying, struct error *error);
