#include "node/complete.h"

#include "envelope.pb-c.h"
#include "node/ledger_inside.h"
#include "record.pb-c.h"

static bool owes(struct unit_seen *unit, const struct rank *self, int32_t through)
{
    if (!unit->complete_known)
        return true;
    struct rank said = rank_of_complete(&unit->complete);
    if (rank_same_speaker(&said, self))
        return unit->complete.through < through || unit->complete.touched > unit->complete.head;
    struct rank above = *self;
    above.sequence = UINT64_MAX;
    return rank_compare(&said, &above) < 0; // a higher speaker's word stands
}

// False: the transaction has failed.
static bool sign_complete(struct desk *desk, int32_t unit, int32_t through, struct buffer *wire)
{
    struct complete complete = {.unit_from = desk->units->items[unit].from,
                                .term = desk->self->term,
                                .through = {SANJI__PERIOD_TYPE__MONTH, through},
                                .head = ledger_head(desk)};
    memcpy(complete.unit, desk->units->items[unit].code, sizeof complete.unit);
    buffer_clear(wire);
    complete_encode(&complete, wire);
    if (wire->failed) {
        txn_fail(desk->txn, ERR_MEMORY, "complete");
        return false;
    }
    uint64_t sequence = author_add(desk->author, desk->txn, SANJI__LANE__AGGREGATE, SANJI__AUDIENCE__UP, NULL, REACH_TOP,
                                   SANJI__ENTRY_KIND__COMPLETE, desk->now_ms, buffer_bytes(wire), NULL);
    if (sequence == 0)
        return false;
    struct speaker speaker = ledger_own_speaker(desk, sequence);
    const char *reason;
    return ledger_complete(desk->ledger, desk, &complete, &speaker, &reason) == VERDICT_APPLIED;
}

uint32_t complete_sign(struct desk *desk)
{
    if (!desk->codebook || !ledger_units(desk->ledger, desk))
        return 0;
    int32_t through = month_of_days(civil_of_instant(desk->now_ms, desk->codebook->tz_minutes)) - 1;
    if (through < desk->self->from_period)
        return 0;
    const struct rank self = ledger_self(desk);
    struct buffer *wire = &desk->ledger->wire;
    uint32_t signed_count = 0;
    for (int32_t unit = desk->unit; unit < desk->units->items[desk->unit].subtree_end && signed_count < COMPLETE_SIGN_MAX; unit++) {
        if (!desk->units->items[unit].counted || !desk_speaks_for(desk, unit))
            continue;
        struct unit_seen *seen = ledger_unit(desk->ledger, desk, unit);
        if (!seen)
            break;
        if (!owes(seen, &self, through))
            continue;
        if (!sign_complete(desk, unit, through, wire))
            break;
        signed_count++;
    }
    return signed_count;
}
