// The documents in force: codebook and unit tree. Immutable and counted: whoever asks holds them until they let go, so a question that
// runs for long is not disturbed by a new version.
#pragma once
#include "node/desk.h"

enum { DOCUMENT_CODEBOOK = 1, DOCUMENT_UNITS = 2 }; // DocumentKind of envelope.proto

struct documents {
    struct codebook *codebook; // NULL: none in force
    struct units *units;
    uint32_t codebook_version, units_version;
    int32_t unit;       // the station's own, in `units`
    uint8_t *delegated; // per unit: a station below speaks for it
    uint32_t *unit_ids; // per unit: its number in the store's keys
    unsigned holders;   // private
};

// Which document is in force: META "document/KIND" -> hash || be32 version. False: none.
bool document_in_force(struct txn *txn, uint32_t kind, struct hash *ret, uint32_t *ret_version);
// Puts one in force unless a newer version is; the object must be there. True: it changed.
bool document_enforce(struct txn *txn, uint32_t kind, const struct hash *hash, uint32_t version);

// Loads what is in force. `own_unit`: the code the station is enrolled for, which the tree must have.
enum error_code documents_load(struct txn *txn, const char *own_unit, struct documents **ret, struct error *error);
void documents_destroy(struct documents *documents); // takes NULL
// Marks the units for which enrolled children speak (PEERS).
void documents_delegate(struct documents *documents, struct txn *txn);
