// Between receive.c and receive_mend.c only.
#pragma once
#include "relay/receive.h"

// Whether a body may travel this far.
bool receive_entitled(const struct receiver *receiver, const struct header *header, const struct certificate *signer);
// The journal row of an arrival, but for its verdict; points into the arrival.
struct batch_row receive_row(const struct arrival *arrival, uint32_t feed_id, bool with_body);
// The body of a header that is held.
void receive_body(const struct receiver *receiver, struct txn *txn, struct arrival *arrival, uint32_t feed_id, struct feed_state *state,
                  struct grown *grown);
// receive_mend.c: puts a damaged row back at its own position. Its effects are in the views since it first came, so it is not applied
// again; but one whose time came meanwhile is judged now, and one that had no body here yet gets it as any late body does.
enum received receive_mend(const struct receiver *receiver, struct txn *txn, struct arrival *arrival, const struct batch_place *place,
                           struct feed_state *state, struct grown *grown);
