// How a station is: `status` and `units`. Appends a Reply; any thread.
#pragma once
#include "node/station.h"

enum error_code overview_status(struct station *station, struct buffer *ret, struct error *error);
// The tree at and below `below` ("" or NULL: the station's own unit): who has a station, when last heard, complete through when.
// ERR_NOT_FOUND: no such unit.
enum error_code overview_units(struct station *station, const char *below, struct buffer *ret, struct error *error);
