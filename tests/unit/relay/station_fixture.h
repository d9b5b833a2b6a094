// Stations for tests of the relay's shells: five of one tree and one of another, a bench that gives one of them a store, an author and a
// receiver, and pens that sign batches for the others.
#pragma once
#include "tests/unit/relay/journal_fixture.h"

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "relay/author.h"
#include "relay/identity.h"
#include "relay/receive.h"

enum { PROVINCE, COUNTY, TOWNSHIP, VILLAGE, OTHER_VILLAGE, STRANGER /* the root of another tree */, POSTS };

struct post {
    struct identity identity;
    struct certificate certificate;
    struct buffer wire; // SignedCertificate
};
void posts_init(struct post list[POSTS]);
void posts_finish(struct post list[POSTS]);
// Another station under `issuer`, not in the list.
void post_init(struct post *post, const struct post *issuer, const char *unit, uint32_t depth);
void post_finish(struct post *post);

enum { APPLIED_MAX = 64 };
struct bench {
    const struct post *posts;
    const struct post *self, *parent; // parent NULL for a root
    struct store *store;
    struct author *author;
    struct signers *signers;
    struct receiver receiver;
    struct grown grown; // of all transactions so far
    // What the layer above says, and what it was told.
    enum verdict verdict;
    const char *reason;
    bool refuses_certificates;
    uint32_t applied; // calls
    struct {
        uint64_t first, position;
        uint32_t entries;
    } calls[APPLIED_MAX];
    uint32_t certified, documents;
};
// `store` NULL: a memory store. The journal is set up with the station's own chain of certificates. Fails the test on any error.
void bench_open(struct bench *bench, const struct post list[POSTS], unsigned self, struct store *store);
void bench_close(struct bench *bench);
// For a test of its own, with a memory store: *state is the bench.
extern struct post posts[POSTS];
struct bench *bench_setup(void **state, unsigned self);
int bench_teardown(void **state);
struct txn *bench_begin(struct bench *bench); // a write transaction, the author's too
void bench_commit(struct bench *bench, struct txn *txn);
void bench_store_certificate(struct bench *bench, const struct post *post);
uint64_t bench_add(struct bench *bench, struct txn *txn, unsigned lane, unsigned audience, uint32_t reach, const char *content);

// One transaction, for questions.
struct batch_row bench_row(struct bench *bench, struct txn *txn, uint64_t position);
uint32_t bench_rows(struct bench *bench, unsigned stream, unsigned lane, const struct station_id *peer, struct stream_row *rows,
                    uint32_t max);
uint64_t bench_end(struct bench *bench); // of the journal
uint64_t bench_count(struct bench *bench, enum table table);
bool bench_feed(struct bench *bench, const struct feed_key *feed, struct feed_state *ret);

// Signs one feed, batch by batch. A copy of a pen writes a second history.
struct pen {
    const struct post *post;
    struct feed_key feed;
    struct feed_state state;
    uint32_t reach;
};
void pen_init(struct pen *pen, const struct post *post, unsigned lane, unsigned audience, const struct station_id *addressee);
// The next batch, of `entries` entries that say `content`, as it arrives from `peer` on `stream`.
void pen_sign(struct pen *pen, uint32_t entries, const char *content, const struct post *peer, unsigned stream, struct arrival *ret);
void arrival_copy(const struct arrival *from, bool with_body, struct arrival *ret);
// A certificate, or any bytes under any name, as an object that arrives from `peer`.
void object_arrives(const struct hash *name, struct bytes content, const struct post *peer, unsigned stream, unsigned lane,
                    struct arrival *ret);

// Receives in a transaction of its own, checking before as the engine does when `check_first`. Finishes the arrival.
enum received bench_receive(struct bench *bench, struct arrival *arrival);
// The next batch of the pen, signed and received.
enum received bench_take(struct bench *bench, struct pen *pen, uint32_t entries, const char *content, const struct post *peer,
                         unsigned stream);
