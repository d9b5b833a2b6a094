// The control service: answers a Request (schema/control.proto) for whoever holds the station, over the control socket or directly.
#pragma once
#include "node/station.h"

// `wire`: Request bytes. Appends one Reply: the answer, or a Failure in the request's language; the error is returned as well, so that what
// it returns is OK exactly when the Reply is no Failure (without memory for a Reply, `ret` may have none and ret->failed is set). Any
// thread, several at once; sets the thread's language. `progress` may be NULL; it is called with growing `done` while something long runs.
// Errors: ERR_INPUT, ERR_LIMIT: not a Request, over CONTROL_MESSAGE_MAX bytes or 200,000 elements; ERR_VERSION: a request of a later
// program; ERR_STATE: read-only, no codebook, no node to stop, nobody can be invited, records or values were stored and no memory was left to
// say which; those of records_submit(), import_submit(),
// figures_answer(), proof_make(), station_write().
enum error_code service_handle(struct station *station, struct bytes wire, void (*progress)(void *context, uint64_t done, uint64_t total),
                               void *context, struct buffer *ret, struct error *error);
