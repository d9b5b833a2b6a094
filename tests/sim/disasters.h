// What befalls a whole store: disasters.c.
#pragma once
#include "tests/sim/inside.h"

// From now on a copy of a station without children runs as well, on a line of its own. False: it has some, or there are twins enough.
bool disaster_clone(struct site *site);
