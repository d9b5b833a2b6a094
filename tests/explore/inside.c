// core.c once more, for a look inside: struct core is private to it.
#include "relay/core/core.c" // NOLINT

#include "tests/explore/state.h"

const struct link *core_links(const void *core) { return ((const struct core *)core)->links; }
