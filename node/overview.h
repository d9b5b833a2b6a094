// How a station is: `status` and `units`. Appends a Reply (schema/control.proto) to `ret`, whose failed allocation shows in ret->failed;
// any thread. ERR_MEMORY; ERR_CORRUPT and other errors of the store: what was appended is of no use then.
#pragma once
#include "node/station.h"

enum error_code overview_status(struct station *station, struct buffer *ret, struct error *error);
// The tree at and below `below` ("" or NULL: the station's own unit): who has a station, when last heard, complete through when.
// ERR_NOT_FOUND: no such unit.
enum error_code overview_units(struct station *station, const char *below, struct buffer *ret, struct error *error);
