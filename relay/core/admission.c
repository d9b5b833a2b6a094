// Credit out of one pool.
#include "relay/core/admission.h"

#include <assert.h>

void admission_init(struct admission *admission, uint32_t pool)
{
    *admission = (struct admission){.pool = pool < ADMISSION_MIN ? ADMISSION_MIN : pool};
}

bool admission_has_room(const struct admission *admission) { return admission->pool - admission->given >= ADMISSION_MIN; }

uint32_t admission_open(struct admission *admission)
{
    if (!admission_has_room(admission))
        return 0;
    admission->given += ADMISSION_MIN;
    return ADMISSION_MIN;
}

uint32_t admission_grow(struct admission *admission, uint32_t credit)
{
    assert(credit <= ADMISSION_MAX && credit <= admission->given);
    uint32_t more = credit < ADMISSION_MAX - credit ? credit : ADMISSION_MAX - credit;
    uint32_t share = (admission->pool - admission->given) / 4;
    if (more > share)
        more = share;
    admission->given += more;
    return credit + more;
}

uint32_t admission_shrink(struct admission *admission, uint32_t credit, uint32_t keep)
{
    assert(keep <= credit && credit <= admission->given);
    admission->given -= credit - keep;
    return keep;
}
