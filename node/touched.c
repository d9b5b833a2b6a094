#include "node/touched.h"

#include <stdlib.h>

#include "node/ledger.h"
#include "record.pb-c.h"
#include "relay/language.h"

enum { SLOTS_FIRST = 64 };

static enum error_code no_memory(const struct touched_set *set, struct error *error)
{
    if (set->arena->failed)
        return error_set(error, ERR_MEMORY, "%s", tr("no memory for the records", "内存不足，无法保存记录"));
    return error_set(error, ERR_LIMIT, tr("too many records at once; send less", "一次记录过多；请分批发送"));
}

// ---- the set

// Ids are random, or hashes: any eight of their bytes will do. Who chooses them to collide slows down only their own request.
static uint32_t slot_of(const struct touched_set *set, const uint8_t id[SUBJECT_ID_SIZE])
{
    uint32_t slot = (uint32_t)get_be64(id) & (set->capacity - 1);
    while (set->slots[slot] && memcmp(set->slots[slot]->id, id, SUBJECT_ID_SIZE) != 0)
        slot = (slot + 1) & (set->capacity - 1);
    return slot;
}

static bool grow(struct touched_set *set)
{
    if (set->capacity && set->count * 2 < set->capacity)
        return true;
    struct touched_set wider = *set;
    wider.capacity = set->capacity ? set->capacity * 2 : SLOTS_FIRST;
    wider.slots = arena_alloc(set->arena, wider.capacity * sizeof(struct touched *));
    if (!wider.slots)
        return false;
    memset(wider.slots, 0, wider.capacity * sizeof(struct touched *));
    for (uint32_t i = 0; i < set->capacity; i++) {
        if (set->slots[i])
            wider.slots[slot_of(&wider, set->slots[i]->id)] = set->slots[i];
    }
    *set = wider;
    return true;
}

static struct touched *make(struct touched_set *set, const uint8_t id[SUBJECT_ID_SIZE], int16_t reg)
{
    _Static_assert((int)SUBJECT_ID_SIZE == (int)RECORD_ID_SIZE, "both name touched things");
    struct touched *touched = arena_alloc(set->arena, sizeof *touched);
    if (!touched)
        return NULL;
    *touched = (struct touched){.reg = reg, .edge = EDGE_NONE, .custodian = ""};
    memcpy(touched->id, id, SUBJECT_ID_SIZE);
    return touched;
}

// There is room: grow() was asked.
static void add(struct touched_set *set, struct touched *touched)
{
    set->slots[slot_of(set, touched->id)] = touched;
    set->count++;
    *(set->last ? &set->last->next : &set->first) = touched;
    set->last = touched;
}

struct touched *touched_at(const struct touched_set *set, const uint8_t id[SUBJECT_ID_SIZE])
{
    return set->capacity ? set->slots[slot_of(set, id)] : NULL;
}

static int by_order(const void *a, const void *b)
{
    const struct touched_record *x = a, *y = b;
    return record_compare(x->now, y->now);
}

static enum error_code fill(struct touched_set *set, const struct desk *desk, struct touched *touched, struct error *error)
{
    struct record **records = NULL;
    struct subject_row row;
    uint32_t count = 0;
    touched->known = subject_read(desk->txn, touched->id, &row);
    if (touched->known)
        touched->edge = row.edge;
    enum error_code code = subject_records(desk, touched->id, set->arena, &records, &count, error);
    if (code != OK || count == 0)
        return code;
    touched->known = true;
    touched->records = arena_alloc(set->arena, count * sizeof *touched->records);
    if (!touched->records)
        return no_memory(set, error);
    for (uint32_t i = 0; i < count; i++)
        touched->records[i] = (struct touched_record){records[i], records[i]};
    touched->count = touched->capacity = count;
    qsort(touched->records, count, sizeof *touched->records, by_order);
    touched->custodian = touched->records[0].now->custodian;
    touched->reg = desk->codebook->forms[touched->records[0].now->form].about;
    return OK;
}

enum error_code touched_find(struct touched_set *set, const struct desk *desk, const uint8_t subject[SUBJECT_ID_SIZE], int16_t reg,
                             struct touched **ret, struct error *error)
{
    if (!grow(set))
        return no_memory(set, error);
    struct touched *touched = touched_at(set, subject);
    if (!touched) {
        touched = make(set, subject, reg);
        if (!touched)
            return no_memory(set, error);
        enum error_code code = fill(set, desk, touched, error);
        if (code != OK)
            return code;
        add(set, touched);
    }
    if (reg >= 0 && touched->reg != reg)
        return error_set(error, ERR_INPUT, tr("does not belong to register %s", "不属于名册 %s"), desk->codebook->regs[reg].id);
    *ret = touched;
    return OK;
}

enum error_code touched_lone(struct touched_set *set, const uint8_t id[RECORD_ID_SIZE], const struct record *before, struct touched **ret,
                             struct error *error)
{
    struct touched *touched = grow(set) ? make(set, id, -1) : NULL;
    struct touched_record *record = touched ? arena_alloc(set->arena, sizeof *record) : NULL;
    if (!record)
        return no_memory(set, error);
    *record = (struct touched_record){before, before};
    touched->records = record;
    touched->count = before ? 1 : 0;
    touched->capacity = 1;
    touched->slow = true;
    add(set, touched);
    *ret = touched;
    return OK;
}

struct touched_record *touched_record_find(struct touched *touched, const uint8_t id[RECORD_ID_SIZE])
{
    for (uint32_t i = 0; i < touched->count; i++) {
        if (memcmp(touched->records[i].now->id, id, RECORD_ID_SIZE) == 0)
            return &touched->records[i];
    }
    return NULL;
}

enum error_code touched_put(struct touched_set *set, const struct desk *desk, struct touched *touched, const struct record *record,
                            struct error *error)
{
    struct touched_record *former = record->revision > 1 ? touched_record_find(touched, record->id) : NULL;
    struct touched_record place = {former ? former->before : NULL, record};
    if (former) {
        uint32_t index = (uint32_t)(former - touched->records);
        memmove(former, former + 1, (touched->count - index - 1) * sizeof *former);
        touched->count--;
    }
    if (touched->count == touched->capacity) {
        uint32_t capacity = touched->capacity ? touched->capacity * 2 : 2;
        struct touched_record *records = arena_alloc(set->arena, capacity * sizeof *records);
        if (!records)
            return no_memory(set, error);
        if (touched->count)
            memcpy(records, touched->records, touched->count * sizeof *records);
        touched->records = records;
        touched->capacity = capacity;
    }
    uint32_t at = touched->count; // most come in order
    for (; at > 0 && record_compare(record, touched->records[at - 1].now) < 0; at--)
        touched->records[at] = touched->records[at - 1];
    touched->records[at] = place;
    touched->count++;
    touched->slow |= former || desk->codebook->forms[record->form].keeps;
    if (!*touched->custodian)
        touched->custodian = record->custodian;
    return OK;
}

// ---- figures

bool touched_history(const struct touched_set *set, const struct desk *desk, const struct touched *touched, bool before,
                     struct history *ret)
{
    const struct record **records = arena_alloc(set->arena, (touched->count + 1) * sizeof *records);
    uint32_t count = 0;
    for (uint32_t i = 0; records && i < touched->count; i++) {
        const struct record *record = before ? touched->records[i].before : touched->records[i].now;
        if (!record)
            continue;
        uint32_t at = count++; // corrections may have changed places
        for (; before && at > 0 && record_compare(record, records[at - 1]) < 0; at--)
            records[at] = records[at - 1];
        records[at] = record;
    }
    const struct reg *reg = touched->reg >= 0 ? &desk->codebook->regs[touched->reg] : NULL;
    *ret = (struct history){desk->codebook, reg, records, count};
    return records != NULL;
}

static void give(const struct desk *desk, const struct contributions *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct contribution *item = &list->items[i];
        struct group_key group = {
            .definition = desk->codebook->indicators[item->indicator].definition,
            .unit_id = unit_id_find(desk->txn, item->unit, item->unit_from),
            .period = {SANJI__PERIOD_TYPE__MONTH, item->month},
        };
        if (group.unit_id == UNIT_ID_NONE) {
            txn_fail(desk->txn, ERR_STATE, tr("a record's unit was never in the unit tree", "记录所属单位从未出现在单位树中"));
            return;
        }
        ledger_add(desk->ledger, desk, &group, item->unit, item->cell, item->value);
    }
}

// The day before the edge: what was stated is what contributions_all() gives for any day from then to there.
static int32_t stated_through(int32_t edge) { return edge == EDGE_NONE ? INT32_MAX : edge - 1; }

void touched_settle(const struct touched_set *set, const struct desk *desk, const struct touched *touched, int32_t today, int32_t *ret_edge)
{
    struct contributions now = {0}, before = {0};
    struct history history;
    *ret_edge = touched->edge;
    bool good = touched_history(set, desk, touched, false, &history);
    if (good && !touched->slow && touched->edge != EDGE_UNSTATED) {
        for (uint32_t i = 0; i < touched->count; i++) {
            if (!touched->records[i].before)
                contributions_of_record(&history, i, &now);
        }
    } else if (good) {
        int32_t through = history_through(&history, today);
        contributions_all(&history, through, &now);
        *ret_edge = history_next_edge(&history, through);
        good = touched_history(set, desk, touched, true, &history);
        if (good && touched->edge != EDGE_UNSTATED)
            contributions_all(&history, stated_through(touched->edge), &before);
    }
    contributions_subtract(&now, &before);
    if (!good || now.failed)
        txn_fail(desk->txn, ERR_MEMORY, tr("no memory for a subject's figures", "内存不足，无法计算对象的指标"));
    else
        give(desk, &now);
    contributions_finish(&now);
}
