// `receipts`: the urgent batches of a station, who above has each since when, and who not yet. Appends a Reply (schema/control.proto) to
// `ret`, whose failed allocation shows in ret->failed; any thread. ERR_MEMORY; errors of the store: what was appended is of no use then.
#pragma once
#include "node/station.h"

enum error_code receipts_list(struct station *station, bool waiting, struct buffer *ret, struct error *error);
