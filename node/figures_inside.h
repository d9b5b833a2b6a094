// Between node/figures*.c and node/freshness.c only: a question, understood and checked.
#pragma once
#include "control.pb-c.h"
#include "node/figures.h"
#include "node/ledger_rows.h"

// Something that is read from the tables: an indicator that is not a ratio, and how its cells and periods fall into the answer.
struct measure {
    const struct indicator *indicator;
    int32_t *map;          // cell -> combination of members, -1: not counted
    uint32_t period_type;  // of the groups that are read
    int32_t from, to;      // their period numbers; a stock reads from the beginning
    int32_t divisor, base; // column of period number n: n / divisor - base, not below 0
    int tier;              // of the unit tree: only its units are read (entered, for_tier); -1: all
};

struct asked {
    const struct indicator *indicator;
    struct measure parts[2]; // of a ratio: num, den; otherwise one
    uint32_t part_count;
};

struct plan {
    const struct figures_view *view;
    struct asked *asked;
    uint32_t asked_count;
    int32_t unit;   // asked
    int32_t *units; // of the rows
    uint32_t unit_count;
    bool by_unit, by_tier, by_period;
    struct period first, last;
    uint32_t columns;                // periods listed: 1 without by_period
    const struct indicator *dims_of; // whose dims[dims[i]] are the ones of `by`
    uint32_t dims[DIMENSIONS_MAX], dim_count;
    uint32_t combinations; // product of their radices
    int32_t today;         // civil date by the codebook's time zone
};

// Errors as figures_answer(). `plan` must be finished in any case.
enum error_code plan_make(struct plan *plan, const struct figures_view *view, const Sanji__FiguresRequest *request, struct error *error);
void plan_finish(struct plan *plan);
// Member of the i-th dimension of `by` in a combination.
uint32_t plan_member(const struct plan *plan, uint32_t combination, uint32_t i);
uint32_t plan_unit_id(const struct figures_view *view, int32_t unit); // UNIT_ID_NONE: the transaction has failed

// The rows, column by column.
struct rows {
    uint32_t *indicator, *unit, *period, *flags, *members;
    int64_t *own, *subtree;
    uint32_t count, capacity, dim_count;
};
enum error_code rows_read(const struct plan *plan, struct rows *rows, struct error *error);
void rows_finish(struct rows *rows);

// `freshness` and what it points to live in the arena.
enum error_code freshness_read(const struct plan *plan, struct arena *arena, Sanji__Freshness *ret, struct error *error);
