// The roll-up views: what every unit stated (GROUPS, CELLS) and the sums of the units below each unit (BELOW). Within one transaction,
// changes are summed in memory and each touched chunk of cells is written once (ledger_flush), however many entries touched it.
// This station's own incarnation is that of desk->author. One ledger per open station, owned by the writer thread. Readers use the tables
// through node/figures.h.
//
// A group is (definition, unit, period). The highest (term, incarnation, sequence) speaks for it; FULL replaces all its cells,
// PATCH changes the listed ones. Applying adds the difference to `below` of every ancestor of the unit up to this station's own unit.
// The tables do not depend on the order in which different feeds arrive; each feed must come in its own order.
#pragma once
#include "node/desk.h"
#include "node/statement.h"

enum { CHUNK_CELLS = 64 }; // cells of one stored value: at most 64 * 11 bytes

struct group_key {
    struct hash definition;
    uint32_t unit_id;
    struct period period;
};

// Who speaks for a group, and since when.
struct group_state {
    uint64_t term;
    uint32_t ordinal;
    uint64_t sequence; // of the last statement applied, in the speaker's aggregate feed
    struct station_id station;
    uint8_t scope, basis;
    uint64_t time_ms; // the speaker's clock
    uint64_t full;    // sequence of the speaker's last FULL: where a proof begins
    uint64_t nonce;   // of the incarnation
};

// Who signed it: from the batch's header and the signer's certificate.
struct speaker {
    struct station_id station;
    uint64_t term;    // of the certificate; the statement must say the same
    uint32_t ordinal; // of the feed
    uint64_t sequence;
    uint64_t time_ms;     // of the entry
    int32_t unit;         // the certificate's, index in desk->units; UNIT_NONE: not in that tree
    int32_t from_period;  // the certificate's: first month it speaks for, 0: since ever
    uint64_t nonce;       // of the feed: tells two incarnations of one ordinal apart
    uint64_t received_ms; // when the batch came, by this station's clock; of its own, when it was signed
};

// T27: what waits until this station's own clock has come to its period.
#define LEDGER_WAITS_FOR_PERIOD "period"
// Minutes: by whose calendar it has come. The farthest east that a civil date is ahead of UTC, so that no honest clock is refused, whatever
// its zone.
enum { LEDGER_ZONE = 14 * 60 };

// The first month in which such a statement can be judged, for those that LEDGER_WAITS_FOR_PERIOD is said of.
int32_t ledger_statement_due(const struct statement *statement);
int32_t ledger_complete_due(const struct complete *complete);
// Whether that month has come at an instant, by the calendar of LEDGER_ZONE.
bool ledger_has_come(int32_t due, uint64_t utc_ms);

struct ledger;
enum error_code ledger_create(struct ledger **ret, struct error *error); // ERR_MEMORY
void ledger_destroy(struct ledger *ledger);                              // takes NULL

// Applies one statement. Returns VERDICT_APPLIED; VERDICT_REJECTED with `reason` (static text that depends on the bytes only: an
// unknown unit, a unit not below the signer's, a PATCH without its FULL, a wrong term, a period that cannot be, a scope that is not
// counted); VERDICT_DEFERRED with reason LEDGER_WAITS_FOR_PERIOD for a period that has not come by desk->now_ms, this station's own clock
// (T27); or VERDICT_HELD for a statement of a lower (term, ordinal, sequence) than the one that speaks: kept, counted nowhere. When the
// transaction fails (damage, memory) the verdict means nothing: ask txn_error().
enum verdict ledger_apply(struct ledger *ledger, const struct desk *desk, const struct statement *statement, const struct speaker *speaker,
                          const char **reason);
// The same for "all stated up to here". Completeness is by month. What came before its month had come, and is taken up when it has, leaves
// the same behind, whatever its speaker stated meanwhile (TOUCHED_UNKNOWN).
enum verdict ledger_complete(struct ledger *ledger, const struct desk *desk, const struct complete *complete, const struct speaker *speaker,
                             const char **reason);

// Own computed values: adds a difference to a cell of a group that this station speaks for. ledger_state() turns what has gathered into
// statements (FULL the first time at this term and ordinal, PATCH afterwards), signed through desk->author and applied. Periods before
// desk->self->from_period are the former station's and are left out: refuse such input before it comes here.
void ledger_add(struct ledger *ledger, const struct desk *desk, const struct group_key *group, const char *unit_code, uint32_t cell,
                int64_t difference);
// The same for absolute values (entered, imported); states the group even if every value is 0 and nobody has stated it before.
void ledger_set(struct ledger *ledger, const struct desk *desk, const struct group_key *group, const char *unit_code, uint32_t cell,
                int64_t value, uint32_t basis);
// Forgets what was gathered for groups that another station speaks for.
void ledger_keep_own(struct ledger *ledger, const struct desk *desk);
uint64_t ledger_state(struct ledger *ledger, const struct desk *desk); // how many statements were signed

// Writes what has gathered. Call before txn_commit, after ledger_state and before author_finish.
void ledger_flush(struct ledger *ledger, struct txn *txn);
void ledger_abort(struct ledger *ledger); // forgets it

// Sequence of the last statement that this incarnation signed; 0: none.
uint64_t ledger_head(const struct desk *desk);

// Reading, in any transaction: committed state (call ledger_flush first inside a write transaction).
bool group_read(struct txn *txn, const struct group_key *group, struct group_state *ret);
// Visits the non-zero cells of a group's stated values (`below` false) or of the sums of the units below it, ascending.
void cells_each(struct txn *txn, const struct group_key *group, bool below, void (*visit)(void *context, uint32_t cell, int64_t value),
                void *context);
// How many units below have stated the group at all: tells a sum of zeros from silence.
uint64_t group_stated_below(struct txn *txn, const struct group_key *group);
