// Whether a record may be entered: the entry rules of its form (need, show, check, calc), its date, its codes. Pure.
#pragma once
#include "node/codebook/codebook.h"
#include "node/codebook/value.h"
#include "node/finding.h"

// What is known around the record. Props and prior leave the record's own revisions out: a rule compares what is said now with what was.
struct surroundings {
    const struct codebook *codebook;
    const struct form *form;
    const struct value *props;       // of the subject at the end of the record's day; NULL: no subject
    const struct value *birth_props; // the same at the end of all days
    const struct value *prior;       // NULL: none
    int32_t today;                   // the civil date of recording
    uint32_t unit_from;              // first day of the unit that records, 0: since ever
};

// Works out the date of the record: the form's `at` field, or today when it was left out and need not be given. Do this first: the
// surroundings depend on it.
bool record_date(const struct form *form, int32_t today, struct value *values, int32_t *ret_at, struct finding *finding);

// Fills the calculated fields of `values` (one that was given must be equal), then checks. False with a finding (ERR_INPUT): the first
// in the order of the form's fields, then the date: not more than a day after today (T27), not before the unit began or the subject was
// born, by any date that a band counts from (T6); no code that was retired before the record's date.
bool record_validate(const struct surroundings *surroundings, int32_t at, struct value *values, struct finding *finding);
