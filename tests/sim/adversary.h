// What a lying station does with what its (honest) program sends and routes: adversary.c.
#pragma once
#include "tests/sim/inside.h"

// A message on its way out; `in` is what it says. It may be changed, and another may go before it (`ret_more`, empty: none). False: it is
// kept back.
bool adversary_sends(struct site *from, struct site *to, const struct link_in *in, bool up, struct buffer *message, struct buffer *body,
                     struct buffer *ret_more, struct buffer *ret_more_body);
// The same piece with another header and signature.
void adversary_encode(const struct link_in *in, struct bytes header, struct bytes signature, struct buffer *ret);
void adversary_free(struct site *site);

// From now on `site` passes nothing, or no bodies, of some station below it upwards. False: it has none, or it can't.
bool adversary_begins(struct site *site, enum sim_fault wile);
enum passing { PASS_WHOLE, PASS_HEADER, PASS_NOTHING };
enum passing adversary_passes(const struct site *site, const struct header *header);

// From now on `site` has two faces (adversary_split.c). False: it has nobody to show them to.
bool adversary_splits(struct site *site);
// A message to the child that is shown another history.
void adversary_shows(struct site *from, struct site *to, const struct link_in *in, struct buffer *message);
// Whether that is a batch of a station with two faces, whichever of them.
bool adversary_showed(const struct feed_key *key, uint64_t first, const struct hash *header);
