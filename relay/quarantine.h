// Damaged journal rows and objects: what stood there, since when, and whether it is whole again. A row in here is never sent, and never
// signed anew; it is fetched from a neighbour that holds it (engine_mend.c) and put back at its own place (receive_mend.c).
//
// Works inside the caller's transaction; errors are the transaction's. Layout: schema/store.md. A damaged row of this table itself counts
// as none: whatever it stood for is found again.
#pragma once
#include "relay/journal.h"

enum {
    QUARANTINE_MAX = 10000, // entries: a store that has lost more is rebuilt as a whole
};

struct quarantined {
    bool is_object;
    uint64_t position;        // of the journal row
    struct hash object;       // when is_object
    struct batch_place place; // of the row in its feed; feed 0: unknown, so it can't be asked for
    uint64_t since_ms;
    uint64_t mended_ms; // 0: still damaged. Kept afterwards: what was put back is known to be (the marker, verify)
    bool owed;          // it was met in a stream that has not delivered it: what follows it in its feed waits for it
};

// Enters a damaged row, with an alarm the first time. `owed` as above; an entry that is there keeps what it has and may become owed. A
// row that was mended and is damaged again is entered again. False: nothing to do (it is whole, or there are too many).
// An object is first put back from its copy.
bool quarantine_batch(struct txn *txn, uint64_t position, bool owed, uint64_t now_ms);
bool quarantine_object(struct txn *txn, const struct hash *hash, uint64_t now_ms);

// The entry of a journal position or an object, mended or not. False: none.
bool quarantine_of_batch(struct txn *txn, uint64_t position, struct quarantined *ret);
bool quarantine_of_object(struct txn *txn, const struct hash *hash, struct quarantined *ret);
// Whether the batch must wait: one before it in its feed is damaged and owed.
bool quarantine_holds(struct txn *txn, uint32_t feed, uint64_t first);
// It is whole again. Nothing when there is no such entry.
void quarantine_mended(struct txn *txn, const struct quarantined *entry, uint64_t now_ms);

// Entries still damaged, from the last to the first (of one feed, the newest first: each is proven by the one after it); objects come
// before batches. `before` NULL to begin. False at the end.
bool quarantine_before(struct txn *txn, const struct quarantined *before, struct quarantined *ret);
struct quarantine_count {
    uint64_t damaged, mended;
};
struct quarantine_count quarantine_count(struct txn *txn); // looks at all
