// What a station does with a batch that may be read here: statements into the ledger, announcements into force; everything else is held.
// The hooks of relay/receive.h; they run in the writer's transaction.
#pragma once
#include "node/desk.h"
#include "relay/receive.h"

struct applier {
    const struct desk *desk; // of the open transaction
    bool reload;             // a document came into force: read it again before the commit
};

enum verdict apply_batch(void *applier, struct txn *txn, const struct header *header, const struct certificate *signer,
                         const struct entry *entries, uint64_t position, const char **reason);
bool apply_may_certify(void *applier, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer);
void apply_document(void *applier, struct txn *txn, const struct hash *hash, struct bytes content);
