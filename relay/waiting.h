// Batches that wait: judged again when what they wait for has come (the table `deferred`). Each feed of figures is judged in its own order,
// as a patch is nothing without the statement before it: where a row that waits is damaged, it and those after it in its feed go on waiting
// until it is whole again (receive.c puts it back), and are judged then, in the same transaction. So do those after a body that is owed,
// until it has come.
//
// Works inside the writer's transaction; errors are the transaction's.
#pragma once
#include "relay/receive.h"

// Judges each batch again that waits for a text from `first` to `last` (by strcmp), in the order of the journal, each once. A damaged row
// among them goes into quarantine.
void waiting_take_up(const struct receiver *receiver, struct txn *txn, const char *first, const char *last, uint64_t now_ms);

// Whether a batch that is or will be at `position` of the journal may not be judged yet: a row before it in its feed waits to be whole, or,
// of figures, for its body. `first`: its place in its feed. `ret_reason`: what it waits for; REASON_MAX + 1 bytes.
bool waiting_holds(struct txn *txn, uint32_t feed, uint64_t first, uint64_t position, char *ret_reason);
// Bodies of the feed that were owed have come, and its state says so: judges what waited for them, in their order.
void waiting_bodies_came(const struct receiver *receiver, struct txn *txn, uint32_t feed, uint64_t now_ms);
// Whether a deferred row's reason says that nothing of it has been judged, for one before it is damaged.
bool waiting_is_behind(const char *reason);

// How the damaged row at `position` had been judged: by what it waits for, and by what it still says of itself (NULL: nothing).
enum verdict waiting_verdict(struct txn *txn, uint64_t position, const struct batch_row *hint, char ret_reason[REASON_MAX + 1]);
// The row at `position`, of `feed`, is whole again: when its time came while it was not, it is judged now, and then those behind it.
void waiting_mended(const struct receiver *receiver, struct txn *txn, uint32_t feed, uint64_t position, uint64_t now_ms);
