// A throw-away store to fold views into: made in a directory of its own (0700) under TMPDIR or /tmp, removed at the end; what a crash
// leaves of it may be removed by hand, and holds nothing that the station's own store does not. One owner thread.
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

// `desk`: codebook, units, self and so on of the station, borrowed; its transaction, ledger and author are replaced. ERR_IO, ERR_FULL,
// ERR_MEMORY, ERR_STORE: nothing is left behind. `scratch` must not move from then on.
enum error_code scratch_create(struct scratch *scratch, const struct desk *desk, struct error *error);
// Also with a transaction open, after a failed scratch_create(), of a zeroed one, and twice.
void scratch_destroy(struct scratch *scratch);
// Begins a write transaction whose time is `now_ms`. Errors as txn_begin().
enum error_code scratch_begin(struct scratch *scratch, uint64_t now_ms, struct error *error);
// Flushes the ledger; with `state` also signs what it has gathered of own differences. Ends the transaction whatever it returns; errors as
// txn_commit().
enum error_code scratch_commit(struct scratch *scratch, bool state, struct error *error);
