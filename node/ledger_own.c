// What this station states itself: changes gathered in a transaction, made into statements, signed and applied.
#include <assert.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "node/ledger_inside.h"
#include "record.pb-c.h"

enum {
    OWN_SLOTS_MIN = 256,
    HEAD_SIZE = 4 + 8 + 8, // of the META value: ordinal, nonce, sequence
};
static const char head_name[] = "aggregate/head";

// ---- gathering

void own_clear(struct ledger *ledger)
{
    for (uint32_t i = 0; i < ledger->own_count; i++)
        free(ledger->own[i].changes);
    free(ledger->own);
    free(ledger->own_slots);
    ledger->own = NULL;
    ledger->own_slots = NULL;
    ledger->own_count = ledger->own_capacity = ledger->own_mask = ledger->order = 0;
}

static uint32_t own_hash(const struct group_key *key)
{
    uint64_t sum = get_be64(key->definition.bytes) ^ (uint64_t)key->unit_id << 32 ^ (uint32_t)key->period.number ^ key->period.type;
    return (uint32_t)(sum * 0x9E3779B97F4A7C15u >> 32);
}

static bool own_widen(struct ledger *ledger)
{
    uint32_t size = ledger->own_slots ? (ledger->own_mask + 1) * 2 : OWN_SLOTS_MIN;
    uint32_t *slots = calloc(size, sizeof *slots);
    struct own_group *own = realloc(ledger->own, size / 2 * sizeof *own);
    if (own)
        ledger->own = own;
    if (!slots || !own) {
        free(slots);
        return false;
    }
    for (uint32_t i = 0; i < ledger->own_count; i++) {
        uint32_t at = own_hash(&own[i].key) & (size - 1);
        while (slots[at])
            at = (at + 1) & (size - 1);
        slots[at] = i + 1;
    }
    free(ledger->own_slots);
    ledger->own_slots = slots;
    ledger->own_mask = size - 1;
    ledger->own_capacity = size / 2;
    return true;
}

static bool same_group(const struct group_key *a, const struct group_key *b)
{
    return hash_equal(&a->definition, &b->definition) && a->unit_id == b->unit_id && a->period.type == b->period.type &&
           a->period.number == b->period.number;
}

static struct own_group *own_group(struct ledger *ledger, const struct group_key *key, const char *unit_code)
{
    if (ledger->own_count == ledger->own_capacity && !own_widen(ledger))
        return NULL;
    uint32_t at = own_hash(key) & ledger->own_mask;
    for (; ledger->own_slots[at]; at = (at + 1) & ledger->own_mask) {
        struct own_group *group = &ledger->own[ledger->own_slots[at] - 1];
        if (same_group(&group->key, key))
            return group;
    }
    struct own_group *group = &ledger->own[ledger->own_count++];
    *group = (struct own_group){.key = *key};
    assert(strlen(unit_code) <= UNIT_CODE_MAX);
    memcpy(group->unit, unit_code, strlen(unit_code) + 1);
    ledger->own_slots[at] = ledger->own_count;
    return group;
}

static int compare_changes(const void *a, const void *b)
{
    const struct own_change *x = a, *y = b;
    if (x->cell != y->cell)
        return x->cell < y->cell ? -1 : 1;
    return (x->order > y->order) - (x->order < y->order);
}

static int64_t changed(const struct own_change *change, int64_t value)
{
    return change->set ? change->value : (int64_t)((uint64_t)value + (uint64_t)change->value);
}

// One change a cell, ascending.
static void own_fold(struct own_group *group)
{
    qsort(group->changes, group->count, sizeof *group->changes, compare_changes);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        struct own_change *change = &group->changes[i];
        if (kept > 0 && group->changes[kept - 1].cell == change->cell) {
            struct own_change *before = &group->changes[kept - 1];
            *before = (struct own_change){change->cell, change->order, changed(change, before->value), before->set || change->set};
        } else {
            group->changes[kept++] = *change;
        }
    }
    group->count = kept;
}

static bool own_room(struct own_group *group)
{
    if (group->count < group->capacity)
        return true;
    if (group->count > 0)
        own_fold(group); // many changes of few cells need no memory
    if (group->count < group->capacity - group->capacity / 4)
        return true;
    uint32_t capacity = group->capacity ? group->capacity * 2 : 4;
    struct own_change *changes = realloc(group->changes, capacity * sizeof *changes);
    if (!changes)
        return false;
    group->changes = changes;
    group->capacity = capacity;
    return true;
}

static void own_change(struct ledger *ledger, const struct desk *desk, const struct group_key *key, const char *unit_code,
                       struct own_change change, uint32_t basis)
{
    assert(change.cell < CELLS_MAX);
    struct own_group *group = own_group(ledger, key, unit_code);
    if (!group || !own_room(group)) {
        txn_fail(desk->txn, ERR_MEMORY, "ledger");
        return;
    }
    group->basis = basis;
    change.order = ledger->order++;
    group->changes[group->count++] = change;
}

void ledger_add(struct ledger *ledger, const struct desk *desk, const struct group_key *group, const char *unit_code, uint32_t cell,
                int64_t difference)
{
    own_change(ledger, desk, group, unit_code, (struct own_change){.cell = cell, .value = difference}, SANJI__BASIS__COMPUTED);
}

void ledger_set(struct ledger *ledger, const struct desk *desk, const struct group_key *group, const char *unit_code, uint32_t cell,
                int64_t value, uint32_t basis)
{
    own_change(ledger, desk, group, unit_code, (struct own_change){.cell = cell, .value = value, .set = true}, basis);
}

// ---- stating

// Cells whose value is another now, into the scratch arrays.
static uint32_t changed_cells(struct ledger *ledger, const struct desk *desk, struct cached_group *group, const struct own_group *own)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < own->count; i++) {
        const struct own_change *change = &own->changes[i];
        struct cached_chunk *chunk = cache_own_chunk(&ledger->cache, desk->txn, group, change->cell / CHUNK_CELLS);
        if (!chunk)
            return 0;
        int64_t before = chunk_value(chunk, change->cell % CHUNK_CELLS), now = changed(change, before);
        if (now == before)
            continue;
        ledger->cells[count] = change->cell;
        ledger->values[count++] = now;
    }
    return count;
}

static int compare_numbers(const void *a, const void *b)
{
    const struct cached_chunk *const *x = a, *const *y = b;
    return (*x)->number - (*y)->number;
}

// All cells that are not 0 once the changes are made: the stored chunks and the changes, merged in order.
static uint32_t all_cells(struct ledger *ledger, const struct desk *desk, struct cached_group *group, const struct own_group *own)
{
    struct cached_chunk *chunks[CELLS_MAX / CHUNK_CELLS];
    uint32_t chunk_count = 0, count = 0, next = 0;
    if (!cache_whole_group(&ledger->cache, desk->txn, group))
        return 0;
    for (uint32_t i = 0; i < own->count; i++)
        if (!cache_own_chunk(&ledger->cache, desk->txn, group, own->changes[i].cell / CHUNK_CELLS))
            return 0;
    for (struct cached_chunk *chunk = group->chunks; chunk; chunk = chunk->next)
        chunks[chunk_count++] = chunk;
    qsort(chunks, chunk_count, sizeof(struct cached_chunk *), compare_numbers);
    for (uint32_t c = 0; c < chunk_count; c++) {
        uint32_t base = chunks[c]->number * (uint32_t)CHUNK_CELLS;
        for (unsigned cell = 0; cell < CHUNK_CELLS; cell++) {
            int64_t value = chunk_value(chunks[c], cell);
            if (next < own->count && own->changes[next].cell == base + cell)
                value = changed(&own->changes[next++], value);
            if (value == 0)
                continue;
            ledger->cells[count] = base + cell;
            ledger->values[count++] = value;
        }
    }
    return count;
}

static bool has_effect(const struct own_group *own)
{
    for (uint32_t i = 0; i < own->count; i++)
        if (own->changes[i].set || own->changes[i].value != 0)
            return true;
    return false;
}

// Signs and applies one statement. False: the transaction has failed.
static bool sign_statement(struct ledger *ledger, const struct desk *desk, const struct statement *statement)
{
    buffer_clear(&ledger->wire);
    statement_encode(statement, &ledger->wire);
    if (ledger->wire.failed) {
        txn_fail(desk->txn, ERR_MEMORY, "ledger");
        return false;
    }
    uint64_t sequence = author_add(desk->author, desk->txn, SANJI__LANE__AGGREGATE, SANJI__AUDIENCE__UP, NULL, REACH_TOP,
                                   SANJI__ENTRY_KIND__STATEMENT, desk->now_ms, buffer_bytes(&ledger->wire), NULL);
    if (sequence == 0)
        return false;
    struct speaker speaker = ledger_own_speaker(desk, sequence);
    const char *reason = "";
    // Held when a later term speaks: signed all the same, as a draft. What every tier would reject is never signed.
    if (ledger_apply(ledger, desk, statement, &speaker, &reason) == VERDICT_REJECTED) {
        txn_fail(desk->txn, ERR_REFUSED, reason);
        return false;
    }
    uint8_t head[HEAD_SIZE];
    put_be32(head, speaker.ordinal);
    put_be64(head + 4, speaker.nonce);
    put_be64(head + 12, sequence);
    meta_put(desk->txn, head_name, bytes_of(head, sizeof head));
    return true;
}

uint64_t ledger_head(const struct desk *desk)
{
    struct incarnation mine = author_incarnation(desk->author);
    struct bytes head;
    if (!meta_get(desk->txn, head_name, &head) || head.size != HEAD_SIZE || get_be32(head.data) != mine.ordinal ||
        get_be64(head.data + 4) != mine.nonce)
        return 0;
    return get_be64(head.data + 12);
}

// The scratch cells as one statement, or as several when there are more than one may hold: the first keeps its extent, patches follow.
static uint64_t sign_cells(struct ledger *ledger, const struct desk *desk, const struct own_group *own, int32_t unit, bool full,
                           uint32_t count)
{
    struct statement statement = {.definition = own->key.definition,
                                  .unit_from = desk->units->items[unit].from,
                                  .term = desk->self->term,
                                  .period = own->key.period,
                                  .scope = SANJI__SCOPE__OWN,
                                  .basis = own->basis,
                                  .extent = full ? SANJI__EXTENT__FULL : SANJI__EXTENT__PATCH};
    memcpy(statement.unit, own->unit, sizeof statement.unit);
    uint64_t signed_count = 0;
    uint32_t at = 0;
    do {
        statement.cells = ledger->cells + at;
        statement.values = ledger->values + at;
        statement.count = count - at < STATEMENT_CELLS_MAX ? count - at : STATEMENT_CELLS_MAX;
        if (!sign_statement(ledger, desk, &statement))
            break;
        signed_count++;
        at += statement.count;
        statement.extent = SANJI__EXTENT__PATCH;
    } while (at < count);
    return signed_count;
}

static uint64_t state_group(struct ledger *ledger, const struct desk *desk, struct own_group *own)
{
    int32_t unit = units_find(desk->units, own->unit), first, last;
    period_months(own->key.period, &first, &last);
    if (unit == UNIT_NONE || last < desk->self->from_period)
        return 0;
    if (cache_full(&ledger->cache))
        cache_flush(&ledger->cache, desk->txn);
    struct cached_group *group = cache_group(&ledger->cache, desk->txn, &own->key);
    if (!group)
        return 0;
    own_fold(own);
    struct rank mine = ledger_self(desk), state = rank_of_group(&group->state);
    bool spoken = group->known && rank_same_speaker(&mine, &state);
    if (!spoken && !has_effect(own))
        return 0;
    uint32_t count = spoken ? changed_cells(ledger, desk, group, own) : all_cells(ledger, desk, group, own);
    if (txn_error(desk->txn) || (spoken && count == 0))
        return 0;
    return sign_cells(ledger, desk, own, unit, !spoken, count);
}

void ledger_keep_own(struct ledger *ledger, const struct desk *desk)
{
    for (uint32_t i = 0; i < ledger->own_count; i++) {
        struct group_state state;
        if (group_row_read(desk->txn, &ledger->own[i].key, &state) && !station_equal(&state.station, &desk->self->station))
            ledger->own[i].count = 0;
    }
}

uint64_t ledger_state(struct ledger *ledger, const struct desk *desk)
{
    uint64_t signed_count = 0;
    for (uint32_t i = 0; i < ledger->own_count && !txn_error(desk->txn); i++)
        signed_count += state_group(ledger, desk, &ledger->own[i]);
    own_clear(ledger);
    return signed_count;
}
