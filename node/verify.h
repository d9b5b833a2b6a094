// What `sanji verify` does: reads everything again, trusts nothing that is only stored, and reports.
#pragma once
#include <stdbool.h>

#include "relay/bytes.h"
#include "relay/error.h"
#include "relay/limits.h"
#include "relay/types.h"

enum {
    VERIFY_DIFFERENCES_MAX = 100, // differences with their texts; further ones are only counted
    VERIFY_TEXT_MAX = 256,
};

// Of a station's directory: the journal read and checked again, and every view folded anew and compared.
struct verify_report {
    uint64_t feeds; // walked from the first header to the last
    uint64_t batches;
    uint64_t headers_only; // batches whose body is not held
    uint64_t entries;
    uint64_t signatures; // checked, certificates included
    uint64_t certificates;
    uint64_t rejected, deferred;                               // batches with that verdict
    uint64_t disputed;                                         // feeds with a second batch for one place
    uint64_t views;                                            // rows of views compared
    uint64_t records;                                          // own record sections replayed
    uint64_t receipts;                                         // for own urgent batches, each with its proof
    bool records_skipped;                                      // a node runs there and holds the keys: records were not replayed
    uint64_t damaged_rows;                                     // whose checksum does not match
    uint64_t difference_count;                                 // signatures, chains or views that are not as they should be
    char differences[VERIFY_DIFFERENCES_MAX][VERIFY_TEXT_MAX]; // the first ones, in the thread's language
};

// Of a proof file: checked without any station.
struct proof_report {
    struct hash root; // the root record that the proof stands on
    bool root_pinned; // the caller named it, and it is this one
    char root_unit[UNIT_CODE_MAX + 1];
    char indicator[33];
    struct hash definition;
    char unit[UNIT_CODE_MAX + 1];
    char unit_name[UNIT_NAME_MAX + 1];
    uint32_t period_type; // enum PeriodType; the figure covers period_first..period_last
    int32_t period_first, period_last;
    bool subtree;
    int64_t value;  // recomputed from the statements, and equal to the one claimed
    uint32_t cells; // cells added for each unit; 0: all
    uint32_t statements, units, headers, certificates;
    uint64_t made_ms; // the maker's clock, UTC
};

// Checks a station's directory, beside a running node or without one; changes nothing of what it checks. Without a node it holds the
// keyring while it runs, so that none can start (ERR_BUSY there). Beside one it reads what only grows in slices, compares with the state of
// the store that it came to in the end, and begins anew when documents come into force meanwhile. Needs room for the views once more under
// TMPDIR. What it finds wrong is in the report and is no error of the call; errors are what keeps it from looking: ERR_NOT_FOUND,
// ERR_CORRUPT (no station there; keys or documents in force can't be read), ERR_IO, ERR_FULL, ERR_MEMORY. `ret` is filled in as far as it
// came, whatever is returned. `progress` may be NULL; `done` goes back when it begins anew. Any thread.
enum error_code station_verify_dir(const char *directory, struct verify_report *ret,
                                   void (*progress)(void *context, uint64_t done, uint64_t total), void *context, struct error *error);
// For rebuilding: folds the journal as station_verify_dir() does, with the store open for writing, and hands over what came of it, before
// it is thrown away. Needs the keys: ERR_BUSY where a node runs. `ret` as there, but views are not compared.
struct store;
struct txn;
struct certificate;
struct signers;
struct folded {
    struct store *store; // the station's own; no transaction is open
    struct txn *views;   // GROUPS, CELLS, BELOW, COMPLETE, HEARD, UNITS
    struct txn *records; // RECORDS, RECORD_IDS, SUBJECTS, EDGES; NULL: they could not be made again
    const struct certificate *self;
    struct signers *signers;
};
enum error_code station_fold_dir(const char *directory, struct verify_report *ret,
                                 enum error_code (*take)(void *context, const struct folded *folded, struct error *error), void *context,
                                 struct error *error);
// Checks proof bytes (Proof of schema/envelope.proto). `root_hex`: the root record's hash that the caller trusts, NULL: none is known.
// ERR_FORGED: it does not hold, with the reason; ERR_INPUT: not a proof, or `root_hex` is no hash.
enum error_code station_verify_proof(struct bytes proof, const char *root_hex, struct proof_report *ret, struct error *error);
