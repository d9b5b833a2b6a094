// Records: read from JSON or CSV, validated against the codebook, sealed and appended; corrected by revision; and what they do to figures.
#pragma once
#include "node/desk.h"

// Reads, validates and appends every record of the request, or none: the first bad one gives ERR_INPUT with "source:line:column: field:
// why" (ERR_REFUSED or ERR_NOT_FOUND when its subject was erased), before anything is written; the transaction is as it was. Shapes and
// names of the input: record_input.h, record_value.h. Other errors: ERR_STATE (no codebook), ERR_NOT_FOUND (no such form), ERR_LIMIT
// (too much at once), ERR_MEMORY, and the transaction's own (it has failed then).
//
// A record about a subject names it by `subject` (an id from an earlier reply) or `key` (the caller's own name for it within the unit);
// a form that keeps something may do without and opens a new one. A correction names `record` and says everything anew: a revision is
// complete. The figures' differences are gathered in desk->ledger. keyring_sync() must come before the commit.
//
// `each` (may be NULL) is called for each record appended, in the order of the input, or, with `check_only`, for each that would be:
// its ids are zero then. `unit`, `person`, `post` and `source` may be NULL.
struct record_result {
    uint8_t record[RECORD_ID_SIZE];
    uint32_t revision;
    uint8_t subject[SUBJECT_ID_SIZE];
};
struct record_input {
    const char *form;
    bool csv;
    struct bytes data;
    const char *source;
    const char *unit;
    const char *person;
    const char *post;
    bool check_only;
};
enum error_code records_submit(struct desk *desk, const struct record_input *input,
                               void (*each)(void *context, const struct record_result *), void *context, struct error *error);

// Time alone: subjects whose age band changed since (T14) restate, and those that records_replay() left unstated; at most `max` subjects
// in one transaction. Returns whether more wait.
bool records_tick(struct desk *desk, uint32_t max);
// The next civil date on which records_tick has work; INT32_MAX: none.
int32_t records_next_edge(struct txn *txn);

// For `verify`, and for what comes back after a restore: rebuilds RECORDS, RECORD_IDS, SUBJECTS and EDGES from one sealed record entry of
// this station's own journal, in the journal's order, without signing anything. A record without a subject gives its differences to
// desk->ledger at once; a subject is left due, and gives all of its figures at the next records_tick(): call that until it returns false,
// with now_ms as of the live store's last transaction, and then compare. VERDICT_APPLIED (also for what is here already), VERDICT_HELD (its
// key is not here), VERDICT_DEFERRED (no codebook), VERDICT_REJECTED with `reason`. `figures` false: no differences at all,
// records_restate() follows.
enum verdict records_replay(struct desk *desk, struct bytes sealed, const struct key_id *key, bool figures, const char **reason);

// After a restore, before anything new is recorded: gathers the differences between what the records amount to and what this station has
// stated, so that ledger_state() says what was lost of the one or the other. If some records are not here, or can't be opened, what was
// stated stands as it is. One transaction, whatever the number of subjects: some seconds for 50,000.
void records_restate(struct desk *desk);
// Notes that a record came back that can't be opened.
void records_note_unopened(struct txn *txn);
