// What befalls a whole store: disasters.c.
#pragma once
#include "tests/sim/inside.h"

// A bit of a row that came from a neighbour, and that something follows in its feed, flips on disk. False: there is no such row.
bool disaster_rot(struct site *site);
void disaster_scrub(struct site *site); // finds what is damaged, until it is whole again
// A copy of the store is taken, or the last one put back. True: put back.
bool disaster_restore(struct site *site);
// Everything but the keys and what enrolment left beside the store is lost. False: not now.
bool disaster_wipe(struct site *site);
// From now on a copy of a station without children runs as well, on a line of its own. False: it has some, or there are twins enough.
// `stubborn`: neither heeds that its parent holds what it never signed.
bool disaster_clone(struct site *site, bool stubborn);
