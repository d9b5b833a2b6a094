// Certificates by hash, decoded and checked up to the root once, then remembered. Bounded; each user thread has its own.
#pragma once
#include "relay/journal.h"

enum { SIGNERS_MAX = 2048 }; // one county's stations and some; 0.8 MB when all are used. Beyond it the oldest place is reused.

struct signers;
enum error_code signers_create(const struct hash *root, struct signers **ret, struct error *error);
void signers_destroy(struct signers *signers); // takes NULL

// The certificate with this hash, from memory or the store; its chain of issuers is checked up to the pinned root record. NULL: not
// here (yet), or it does not lead to the root. Lives until the next call.
const struct certificate *signers_find(struct signers *signers, struct txn *txn, const struct hash *hash);

// Checks a SignedCertificate that arrived against its issuer, which must be here. OK: it may be stored. ERR_NOT_FOUND: its issuer is
// not here; ERR_FORGED: it was not made by it, or its place in the tree is impossible.
enum error_code signers_admit(struct signers *signers, struct txn *txn, struct bytes wire, struct certificate *ret, struct error *error);
