// Certificates by hash, decoded and checked up to the root once, then remembered: they never change, and the store never forgets one.
// Bounded. A `signers` has one owner thread; each thread that needs one makes its own.
#pragma once
#include "relay/journal.h"

enum { SIGNERS_MAX = 2048 }; // one county's stations and some; 0.8 MB when all are used. Beyond it places are reused.

struct signers;
// `root`: hash of the pinned root record, copied. ERR_MEMORY; `ret` is the caller's, for signers_destroy().
enum error_code signers_create(const struct hash *root, struct signers **ret, struct error *error);
void signers_destroy(struct signers *signers); // takes NULL

// The certificate with this hash, from memory or the store; its chain of issuers is checked up to the pinned root record, every
// signature, at most DEPTH_MAX of them. NULL: not here (yet), it does not lead to the root, the transaction failed, or no memory. It is
// the signers', and lives until the next call.
const struct certificate *signers_find(struct signers *signers, struct txn *txn, const struct hash *hash);

// Checks a SignedCertificate that arrived against its issuer, which must be here. OK: it may be stored, under ret->hash; that its unit
// lies below its issuer's is for the caller to ask. ERR_NOT_FOUND: its issuer is not here; ERR_FORGED: it was not made by it, its place
// in the tree is impossible, or another root record; ERR_INPUT, ERR_LIMIT, ERR_VERSION: as certificate_decode(). `ret` is untouched then.
enum error_code signers_admit(struct signers *signers, struct txn *txn, struct bytes wire, struct certificate *ret, struct error *error);

// Whether `station`, or a station of `unit` (NULL: none), is the one of `certificate` or stands above it in its chain: then what that one
// signed may come through it. A renewed or replaced station has another certificate than the chain names, but the same unit.
bool signers_passes(struct signers *signers, struct txn *txn, const struct certificate *certificate, const struct station_id *station,
                    const char *unit);
