// A checker watches for one invariant. Each stands in its own file, sees the same things, and says nothing until it is broken.
#pragma once
#include "tests/sim/inside.h"

// A batch of a feed as one station holds it.
struct held_feed {
    bool known;
    uint32_t feed;    // index in the model
    uint64_t next;    // first sequence without a header here
    struct hash last; // header hash before it
};
// One application of one batch.
struct application {
    uint32_t feed; // index in the model
    uint64_t first;
};

struct committed {
    struct site *site;
    struct txn *txn; // a reader that sees the commit
    const struct batch_row *row;
    const struct header *header;
    const struct certificate *signer;
    struct model_feed *feed;
    const struct model_batch *truth; // NULL: nobody signed it
    uint64_t position;
};
struct sending {
    struct site *from, *to, *child;
    const struct link_in *in;
    size_t body_size;
};

struct checker {
    const char *name;
    void (*committed)(const struct committed *committed);                      // each new row of a journal
    void (*applied)(struct site *site, const struct application *application); // each committed application
    void (*sent)(const struct sending *sending);                               // each message, before it leaves
    void (*step)(struct site *site);                                           // after each step of a station
    void (*rest)(struct site *site);                                           // at rest, every station
    void (*free)(void);
};
// Whether a batch that was taken is kept: in the journal, or as evidence.
bool check_keeps(struct txn *at, const struct feed_key *key, const struct batch_row *row); // perhaps among more evidence than is kept
void check_kept(struct site *site, struct txn *txn, const struct arrival *arrival);
extern const struct checker check_quiet, check_evidence, check_durable, check_once, check_feeds, check_entitled, check_bytes, check_bounded,
    check_urgent, check_receipts, check_split, check_views, check_arrived;

// A violation: the world ends with this step.
void check_fail(const struct checker *checker, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool check_whole(struct site *site);                                               // whether no row of its journal is damaged (any more)
bool check_brings_receipts(const struct header *header, const struct entry *body); // among what the body says
void check_once_forget(uint32_t index);                                            // of a store that was lost
void check_once_copy(uint32_t to, uint32_t from);                                  // a copy of a store has applied the same
// Whether the body of such a batch may be at `site`.
bool check_may_read(const struct site *site, const struct header *header);
void check_commit(struct site *site); // scans what is new in the journal
void check_applied(struct site *site);
// Returns what it says, until the next one; NULL: it does not decode.
const struct link_in *check_sent(struct site *from, struct site *to, struct site *child, struct bytes message, size_t body_size);
void check_step(struct site *site);
void check_rest(void);
void check_free(void);
const char *site_name(const struct site *site);
struct txn *check_reader(struct site *site);
// Whether those who show different things to different sides are found out; `ret` says who is not.
bool check_split_found(char *ret, size_t size);
// Whether everything has arrived everywhere; `ret` says what has not.
bool arrived_everywhere(char *ret, size_t size);
