// Which streams a batch goes into: upward as far as its reach, down to everyone below, or to one station. Works inside the transaction
// that stores the batch, so what a link must carry is durable with it.
#pragma once
#include "relay/journal.h"

// Where this station stands.
struct place {
    const struct certificate *self;
    const struct certificate *parent; // NULL at the root
};

// Streams that grew in a transaction: told to the core after the commit.
enum { GROWN_ONE_MAX = 64 }; // beyond it every child is told to look: rare, and harmless
struct grown {
    uint64_t up[LANES], down_all[LANES]; // new ends; 0: did not grow
    struct {
        struct station_id peer;
        uint8_t lane;
        uint64_t end;
    } one[GROWN_ONE_MAX];
    uint32_t one_count;
};

// Appends the rows for one stored batch: certificates that its signature needs (once per stream and lane), then the batch itself, without
// its body where the reach ends. `signer` is the certificate that signed it.
void route_batch(struct txn *txn, const struct place *place, const struct header *header, const struct certificate *signer,
                 uint64_t position, bool has_body, struct grown *grown);
// Puts a document into the bulk lane towards every child.
void route_document(struct txn *txn, const struct hash *document, struct grown *grown);
// Remembers through which peer a station below is reached.
void route_learn(struct txn *txn, const struct station_id *station, const struct station_id *via);
bool route_via(struct txn *txn, const struct station_id *station, struct station_id *ret);
