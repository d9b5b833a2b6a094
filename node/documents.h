// The documents in force: codebook and unit tree. Immutable and counted: whoever asks holds them until they let go, so a question that
// runs for long is not disturbed by a new version.
#pragma once
#include "node/desk.h"

enum { DOCUMENT_CODEBOOK = 1, DOCUMENT_UNITS = 2 }; // DocumentKind of envelope.proto

struct documents {
    struct codebook *codebook; // NULL: none in force
    struct units *units;
    uint32_t codebook_version, units_version; // codebook_version 0: none in force
    int32_t unit;                             // the station's own, in `units`
    uint8_t *delegated;                       // per unit: a station below speaks for it
    uint32_t *unit_ids;                       // per unit: its number in the store's keys
    unsigned holders;                         // of station_documents(), the station itself included; under its mutex
};

// Which document is in force: META "document/KIND" -> hash || be32 version. False: none (`ret`s untouched), or the transaction failed.
bool document_in_force(struct txn *txn, uint32_t kind, struct hash *ret, uint32_t *ret_version);
// Puts one in force unless this version or a newer one is; the object must be there. True: it changed. Errors are the transaction's.
bool document_enforce(struct txn *txn, uint32_t kind, const struct hash *hash, uint32_t version);

// Loads what is in force into `ret`, which the caller destroys (or hands over with `holders` set). `own_unit`: the code the station is
// enrolled for, which the tree must have: ERR_NOT_FOUND. ERR_CORRUPT: no unit tree is in force, or a document in force is not in the store,
// or what is there is damaged; ERR_INPUT, ERR_LIMIT, ERR_VERSION: a document that this program can't read, with its line; ERR_MEMORY.
enum error_code documents_load(struct txn *txn, const char *own_unit, struct documents **ret, struct error *error);
// The same without what comes of other tables: nothing is delegated, units have no numbers. For who makes those tables anew.
enum error_code documents_read(struct txn *txn, const char *own_unit, struct documents **ret, struct error *error);
void documents_destroy(struct documents *documents); // takes NULL
// Gives the tree's new units their numbers, in a write transaction. Errors are the transaction's.
void documents_number(struct documents *documents, struct txn *txn);
// Marks the units for which enrolled children speak (PEERS): each child's unit and all below it; not a barred child's.
void documents_delegate(struct documents *documents, struct txn *txn);
