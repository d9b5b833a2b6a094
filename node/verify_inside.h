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

struct verifying {
    struct verify_report *report;
    struct store *store;
    struct txn *txn; // read, the whole time: one state of the store
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
    struct arena arena;
};

void verify_differs(struct verifying *verifying, const char *format, ...) __attribute__((format(printf, 2, 3)));
// A damaged row fails its transaction: it is reported, and what follows is read in another.
enum error_code verify_skip_damage(struct verifying *verifying, struct error *error);

// A whole batch row, and what it does to the scratch stores.
void verify_batch(struct verifying *verifying, const struct batch_row *row);
// Where the walk of a feed stands. NULL: no such feed, or no memory.
struct walked *verify_walked(struct verifying *verifying, uint32_t feed);

enum error_code verify_journal(struct verifying *verifying, void (*progress)(void *context, uint64_t done, uint64_t total), void *context,
                               struct error *error);
enum error_code verify_feeds(struct verifying *verifying, struct error *error);
enum error_code verify_objects(struct verifying *verifying, struct error *error);
// Every receipt kept was met in the journal, and none twice.
void verify_receipts(struct verifying *verifying);

enum error_code verify_views(struct verifying *verifying, struct error *error);
