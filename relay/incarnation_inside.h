// Between incarnation.c and incarnation_grant.c (the parent's part) only.
#pragma once
#include "relay/incarnation.h"

// `unit`: "" for this station. The text ends in the ordinal.
void incarnation_alarm(struct txn *txn, const char *kind, uint64_t now_ms, const char *unit, const char *text, uint32_t ordinal);
