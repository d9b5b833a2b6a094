// What the records about one subject do to figures. The heart of the own side, and pure: a function of the codebook, the records and a
// day; no clock, no store, nothing remembered. Statements are sums of differences of these lists, so they do not depend on the order in
// which records, corrections and withdrawals arrived (T6, T7).
//
// Flow of a form: one contribution for each record that `where` lets through, in the month of its `at`, under the unit that recorded
// it; props of the subject are those of the end of that day (every record dated on or before it), bands are by the age at `at`.
// Stock of a register: the subject counts from its first record of a form that keeps something; each month's contribution is the net
// change of its cells, under the unit that holds it. A past month is judged by its last day, the running one by the day `through`.
//
// Values are whole numbers (people, fen): the value of an expression is rounded to the nearest, halves up; none is 0.
// A multi-valued dimension gets each of its members and `*`; a missing value is `_` (and `*`); other dimensions have no `*`.
#pragma once
#include "node/codebook/codebook.h"
#include "node/record.h"

struct contribution {
    uint16_t indicator; // index in the codebook
    int32_t month;
    uint32_t cell;
    int64_t value;
    const char *unit; // the record's or the custodian's: lives as long as the record
    uint32_t unit_from;
};

// Zero-initialised is empty. A failed allocation shows in `failed`.
struct contributions {
    struct contribution *items;
    uint32_t count, capacity;
    bool failed;
};
void contributions_finish(struct contributions *list);

// The latest revisions of all records about one subject in record_compare() order. Without a register: one record that has no subject.
struct history {
    const struct codebook *codebook;
    const struct reg *reg; // NULL: none
    const struct record *const *records;
    uint32_t count;
};

// Props of the subject at the end of `day`: the fold, in order, of the fields with `keep` of every record dated on or before it; none
// leaves a prop as it was. `except`: leave this record out (NULL: none). `props` has reg->prop_count values.
void history_props(const struct history *history, int32_t day, const struct record *except, struct value *props);

// Everything, or one record's own flows: equal to the difference it makes when its form keeps nothing and it is new.
void contributions_all(const struct history *history, int32_t through, struct contributions *ret);
void contributions_of_record(const struct history *history, uint32_t index, struct contributions *ret);

// The first day after `through` on which time alone changes contributions_all(): a band of a subject that a stock counts by that band.
// INT32_MAX: none. Between `through` and the day before it contributions_all() gives the same list.
int32_t history_next_edge(const struct history *history, int32_t through);
// The day up to which a subject is judged: today, or the date of its last record that keeps something, when that is later (at most by a
// day: T27), so that a clock that went back takes nothing away.
int32_t history_through(const struct history *history, int32_t today);

// `list` becomes `list` - `before`, both consumed: `before` is emptied, `list` sorted, equal keys summed, zeros left out.
void contributions_subtract(struct contributions *list, struct contributions *before);
