// Everything that work on one write transaction needs, in one place: made by the station (node/station.c) for each transaction. It owns
// nothing; all it points to lives at least as long as the transaction. The thread of the transaction only.
#pragma once
#include "node/codebook/codebook.h"
#include "node/units.h"
#include "relay/author.h"
#include "relay/keyring.h"

struct ledger;

struct desk {
    struct txn *txn;                 // a write transaction
    const struct codebook *codebook; // NULL: none in force yet
    const struct units *units;
    int32_t unit; // this station's own unit, index in units
    const struct certificate *self;
    const struct certificate *ancestors; // parent first, root last: who may be granted keys
    uint32_t ancestor_count;
    struct keyring *keyring;
    struct author *author;
    struct ledger *ledger;
    uint64_t now_ms;          // UTC
    const uint8_t *delegated; // per unit of `units`: 1 when a station below this one speaks for it; NULL: none
};

// Whether this station speaks for the unit: it is its own or lies below, and no station enrolled below speaks for it. False for UNIT_NONE
// and whatever else is no index of the tree.
bool desk_speaks_for(const struct desk *desk, int32_t unit);

// The unit's permanent number in the store's keys (table UNITS), given at first sight. Deterministic: a unit tree's units are numbered
// in its order when the tree comes into force (unit_ids_assign).
enum { UNIT_ID_NONE = 0 };
// UNIT_ID_NONE: never given, or the transaction has failed. Any transaction.
uint32_t unit_id_find(struct txn *txn, const char *code, uint32_t from);
// Numbers the tree's units that have none yet; numbers given before stay, also of units that this tree has no more. Errors are the
// transaction's.
void unit_ids_assign(struct txn *txn, const struct units *units);
