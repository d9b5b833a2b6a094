// The control service: answers a Request (schema/control.proto) for whoever holds the station, over the control socket or directly.
#pragma once
#include "node/station.h"

// `wire`: Request bytes. Appends one Reply: the answer, or a Failure in the request's language; the error is returned as well. Any thread.
// `progress` may be NULL; it is called with growing `done` while something long runs.
enum error_code service_handle(struct station *station, struct bytes wire, void (*progress)(void *context, uint64_t done, uint64_t total),
                               void *context, struct buffer *ret, struct error *error);
