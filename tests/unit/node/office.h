// A station for tests of node/: a real store in a temporary directory, a unit tree, a small codebook, an author and a ledger; and other
// stations whose signed batches it receives.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/ledger.h"
#include "relay/codec.h"

// Indicators of the test codebook.
enum {
    VISITS,     // flow by category
    CHILDREN,   // stock by category (more than one at once) and sex
    POPULATION, // entered at townships, a year
    QUOTA,      // stated by the county for townships, a year
    SHARE,      // visits / children
    BEDS,       // entered anywhere by category, a month and a year
    INDICATORS,
};
enum { CATEGORIES = 3, MONTH_TYPE = 1, QUARTER_TYPE = 2, YEAR_TYPE = 3 };

struct office {
    char directory[64];
    struct store *store;
    struct units *units;
    struct codebook *codebook;
    struct certificate root; // the root's; `self` is the same at the root
    struct secret_key root_key;
    struct certificate self;
    struct secret_key self_key;
    struct author *author;
    struct ledger *ledger;
    struct desk desk; // between office_begin() and office_commit()
    uint64_t now_ms;
};

// Another station, enrolled by the office's: what it signs arrives with mate_send().
struct mate {
    struct certificate certificate;
    struct secret_key key;
    struct feed_key feed;
    struct feed_state state;
    struct {
        uint32_t kind;
        struct bytes content;
    } * entries;
    uint32_t count, capacity;
    uint64_t sequence; // of the next entry
};

// The station of `unit` (the root's, or enrolled by it). Fails the test on any error.
void office_open(struct office *office, const char *units_csv, const char *unit);
void office_close(struct office *office); // removes the directory
void office_begin(struct office *office);
uint64_t office_commit(struct office *office); // states, flushes, signs, commits; how many statements were signed
struct txn *office_read(struct office *office);
struct group_key office_group(struct office *office, struct txn *txn, int indicator, const char *unit, uint32_t type, int32_t number);
int64_t office_value(struct office *office, const struct group_key *group, bool below, uint32_t cell);                 // as committed
int64_t office_sum(struct office *office, int indicator, const char *unit, uint32_t type, int32_t number, bool below); // of all cells

void mate_open(struct mate *mate, struct office *office, const char *unit, uint64_t term, uint32_t ordinal);
void mate_close(struct mate *mate);
// Adds a statement; returns its sequence.
uint64_t mate_state(struct mate *mate, struct office *office, int indicator, const char *unit, uint32_t type, int32_t number, bool full,
                    const uint32_t *cells, const int64_t *values, uint32_t count);
uint64_t mate_complete(struct mate *mate, struct office *office, const char *unit, int32_t through);
// Signs what was added as one batch, journals and applies it in the office's open transaction. Returns how many statements applied.
uint32_t mate_send(struct mate *mate, struct office *office);

// A digest of the tables that must not depend on the order of arrival: UNITS, GROUPS, CELLS, BELOW, COMPLETE.
struct hash office_tables(struct office *office);
// Sums every BELOW from CELLS alone, the slow way, and compares. Fails the test on a difference.
void office_check_below(struct office *office);
