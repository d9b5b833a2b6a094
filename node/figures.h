// Figures: questions over the roll-up views, answered from a few range reads in one short read transaction.
//
// An answer has one row for each indicator, unit, period and combination of dimension members asked for, in that order. `own` is what the
// unit itself stated, `subtree` is own and everything below. With "unit" in `by`, the rows are the unit's children and, first, the
// row "itself" (flag 4), whose subtree is its own: the rows add up to the unit's subtree (T12). With "tier=T" they are all units of that
// tier in the subtree. With dimensions in `by` only combinations that are not 0 are listed; where all are, one row of the member `*`.
//
// What is summed, and what never is:
//   flow     months into longer periods
//   stock    net changes up to the period's end: a level, also of a range
//   entered  over units only (those of `for_tier`); over time never: exactly one of its periods must fit, or "period" be in `by`
//   ratio    nothing: computed from the totals of its parts, scaled by 10^4 and rounded half away from 0; the row's flag 1 (own) or 2
//            (subtree) says that its denominator is 0
// A dimension that is neither in `by` nor filtered is summed over its members, `_` too; one whose members overlap counts by its member
// `*` (T1). Figures of different indicators are listed, never added.
#pragma once
#include "node/codebook/codebook.h"
#include "node/units.h"
#include "relay/codec.h"
#include "relay/store.h"

enum {
    FIGURES_ROWS_MAX = 1000000,   // of one answer: about 30 MB, half of a control message
    FIGURES_SPREAD_MAX = 1000000, // periods times member combinations of one unit: 32 MB of sums
    FIGURES_INDICATORS_MAX = 64,  // of one question
    FIGURES_MISSING_MAX = 200,    // units listed by name as missing; the rest are counted
};

enum figure_flags { FIGURE_NOT_OWN = 1, FIGURE_NONE = 2, FIGURE_ITSELF = 4, FIGURE_RATIO = 8 };

struct figures_view {
    struct txn *txn; // read
    const struct codebook *codebook;
    const struct units *units;
    int32_t unit; // this station's own
    uint64_t now_ms;
    const uint32_t *unit_ids; // number in the store by index in `units` (figures_unit_ids()); NULL: looked up one by one
};
// Answers with a whole Reply whose member `figures` is the answer, appended to `ret`. ERR_REFUSED with the reason for a sum without
// meaning (unlike counts, entered values over time, overlapping members), ERR_NOT_FOUND for names, ERR_INPUT for periods, ERR_STATE
// without a codebook, ERR_LIMIT when the answer would be too large, ERR_CORRUPT on damage, ERR_MEMORY. `ret` keeps what it had.
//
// Freshness is of the asked unit's subtree: `expected` units are counted ones; they are complete when they signed so for the last month
// asked or, while that has not ended, for the last month that has.
enum error_code figures_answer(const struct figures_view *view, const void *request /* Sanji__FiguresRequest */, struct buffer *ret,
                               struct error *error);

// The numbers of all units, for figures_view.unit_ids: read once when a tree comes into force. UNIT_ID_NONE: not in the store.
void figures_unit_ids(struct txn *txn, const struct units *units, uint32_t *ret);
