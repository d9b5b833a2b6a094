// What `sanji recover` does: says why a station is read-only and what comes next, and at the root opens the next incarnation on the word of
// its admin, as there is no parent to grant one.
#pragma once
#include "node/station.h"

// Appends a Reply. `open` 0: only says what is known. Otherwise opens that incarnation: then ERR_STATE: the station was not put back from a
// copy; ERR_REFUSED: its parent grants it; ERR_INPUT: not the next one; the commit's errors. A running node goes on in it by itself. Any
// thread.
enum error_code recover_answer(struct station *station, uint32_t open, struct buffer *ret, struct error *error);
