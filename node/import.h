// Import of entered values: CSV, and the dataValueSets JSON of DHIS2. Only indicators of kind `entered` are taken: an imported value of a
// computed one would be wiped at the next restatement.
//
// CSV: columns unit, period, indicator, value, and one for each dimension (named as in the codebook); an empty member is `_` (missing),
// and must be empty where the indicator does not have the dimension.
// JSON: {"orgUnit"?, "period"?, "dataValues": [{"dataElement", "orgUnit"?, "period"?, "categoryOptionCombo"?, "value"}]}; dataElement is
// the indicator's id, categoryOptionCombo "code1.code2" in the order of its dimensions, or "default" or absent: all missing. (DHIS2
// developer guide, "Data value sets".)
#pragma once
#include "node/desk.h"

enum { IMPORT_VALUES_MAX = 1000000 }; // of one file: 40 MB while it is read; a county's yearly census is 50,000

// Reads and checks everything, then sets it in desk->ledger with basis IMPORTED, or nothing: the first fault gives ERR_INPUT (or
// ERR_NOT_FOUND, ERR_REFUSED, ERR_LIMIT) with "source:line:column: ...". Refused: an indicator that is not entered; a unit or tier that it
// is not for; a unit that this station does not state it for; a period type without cells of its own; a period that has not begun
// (what a tier states for another, a quota, may lie in the next year) or before the station's term; a value that is no whole number of
// 64 bits; two values for one cell. `check_only`: nothing is set. `ret_unchanged`: how many stand already as this station's word.
// Calls ledger_flush() to compare with what this transaction has changed. ERR_MEMORY; a failed transaction shows in txn_error().
enum error_code import_submit(struct desk *desk, bool csv, struct bytes data, const char *source, bool check_only, uint64_t *ret_values,
                              uint64_t *ret_unchanged, struct error *error);
