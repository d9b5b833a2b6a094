// Which streams a batch goes into: upward as far as its reach, down to everyone below, or to one station. Works inside the transaction
// that stores the batch, so what a link must carry is durable with it.
//
// Threads: everything here belongs to the thread that owns the transaction. Nothing allocates memory that outlives a call. Errors are the
// transaction's (relay/store.h): after one, writes do nothing and positions mean nothing.
#pragma once
#include "relay/journal.h"

// Where this station stands. Both are borrowed.
struct place {
    const struct certificate *self;
    const struct certificate *parent; // NULL at the root
};

// Streams that grew in a transaction: told to the core after the commit. Zero-initialised: none did.
enum { GROWN_ONE_MAX = 64 }; // beyond it every child is told to look: rare, and harmless
struct grown {
    uint64_t up[LANES], down_all[LANES]; // new ends, by lane - 1; 0: did not grow
    struct {
        struct station_id peer;
        uint8_t lane;
        uint64_t end;
    } one[GROWN_ONE_MAX];
    uint32_t one_count;
    bool more; // streams to one station grew that found no place in `one`
};
// Adds what `from` says, later or earlier, to `to`.
void grown_merge(struct grown *to, const struct grown *from);

// Appends the rows for one stored batch: certificates that its signature needs (once per stream and lane), then the batch itself, without
// its body where the reach ends or `has_body` says that we have none. `signer` is the certificate that signed it, `position` its place in
// the journal. A batch for one station goes to the peer that route_learn() named for it, on the urgent lane also to the station itself if
// it is a guest; for ourselves nowhere. For a station that nobody named yet it waits in the journal until route_learn() does.
void route_batch(struct txn *txn, const struct place *place, const struct header *header, const struct certificate *signer,
                 uint64_t position, bool has_body, struct grown *grown);
// Puts a batch of a child's own feed, which is held, back into the stream addressed to that child: it lost it. With its certificates.
void route_back(struct txn *txn, const struct place *place, const struct batch_row *row, const struct station_id *child,
                struct grown *grown);
// Owes the last AGAIN_MAX batches of a feed once more, to whom they went before: repairs left them out, and those hold another history.
enum { AGAIN_MAX = 1024 }; // more than EVIDENCE_MAX of the other history; about 0.5 MB in batches of one entry
void route_again(struct txn *txn, const struct place *place, uint32_t feed_id, struct grown *grown);
// A station has become a guest (journal.h), and was none: everything on the urgent lane that is addressed to it goes into the stream to it.
// `grown` NULL: nobody needs to hear of it, as the link is added after this transaction.
void route_guest(struct txn *txn, const struct station_id *guest, struct grown *grown);
// Puts a document, which the objects have, into the bulk lane towards every child: once, whatever the calls.
void route_document(struct txn *txn, const struct hash *document, struct grown *grown);
// Remembers through which peer a station below is reached; the last word counts. A peer is reached through itself. When batches for the
// station wait, or went another way before, all that are held for it are put into the stream to `via`, so that it begins without a hole.
// `grown` NULL: nobody needs to hear of it, as the link is added after this transaction.
void route_learn(struct txn *txn, const struct station_id *station, const struct station_id *via, struct grown *grown);
// False: nobody was named yet, or the transaction failed; `ret` is untouched.
bool route_via(struct txn *txn, const struct station_id *station, struct station_id *ret);
