// "Everything that this station owes for the unit, up to and including the month, is stated": what tells zero from silence (T15).
#pragma once
#include "node/desk.h"

enum { COMPLETE_SIGN_MAX = 1000 }; // of one call: one batch

// Signs Complete(month, through the last month that has ended by the codebook's time zone) for each counted unit that this station speaks
// for, where it has not, or where it has stated something for the months it covered since then. Call after ledger_state(), so that
// nothing is left to state, and before ledger_flush(). Returns how many were signed; COMPLETE_SIGN_MAX: call again, more may wait.
// 0 without a codebook, and when the transaction has failed.
uint32_t complete_sign(struct desk *desk);
