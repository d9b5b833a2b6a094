// A throw-away store to fold views into: made under TMPDIR, removed at the end.
#pragma once
#include "node/desk.h"
#include "node/ledger.h"
#include "node/station.h"

struct scratch {
    char directory[64];
    struct store *store;
    struct ledger *ledger;
    struct author *author; // signs with a key of no station: nothing of it leaves the scratch store
    struct secret_key key;
    struct desk desk; // with a write transaction open, between scratch_begin and scratch_commit
};

// `desk`: codebook, units, self and so on of the station; its transaction, ledger and author are replaced.
enum error_code scratch_create(struct scratch *scratch, const struct desk *desk, struct error *error);
void scratch_destroy(struct scratch *scratch);
enum error_code scratch_begin(struct scratch *scratch, uint64_t now_ms, struct error *error);
// Flushes the ledger; with `state` also signs what it has gathered of own differences.
enum error_code scratch_commit(struct scratch *scratch, bool state, struct error *error);
