// Restore-safe: a station whose store was put back from a copy signs nothing until its next incarnation is open (check.c sees each new
// batch); once everything is healed it gets there.
#include "tests/sim/check.h"

static void rest(struct site *site)
{
    if (site->restored && site->parent >= 0 && !site->forked)
        check_fail(&check_quiet, "%s still waits for its next incarnation", site_name(site));
}

const struct checker check_quiet = {.name = "quiet", .rest = rest};
