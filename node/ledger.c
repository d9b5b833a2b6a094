#include "node/ledger.h"

#include <assert.h>
#include <stdlib.h>

#include "node/ledger_inside.h"
#include "record.pb-c.h"

// ---- making

enum error_code ledger_create(struct ledger **ret, struct error *error)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (!ledger)
        return error_set(error, ERR_MEMORY, "ledger");
    ledger->cells = malloc(CELLS_MAX * sizeof *ledger->cells);
    ledger->values = malloc(CELLS_MAX * sizeof *ledger->values);
    if (!ledger->cells || !ledger->values || cache_init(&ledger->cache, error)) {
        ledger_destroy(ledger);
        return error_set(error, ERR_MEMORY, "ledger");
    }
    *ret = ledger;
    return OK;
}

void ledger_destroy(struct ledger *ledger)
{
    if (!ledger)
        return;
    own_clear(ledger);
    cache_finish(&ledger->cache);
    buffer_finish(&ledger->wire);
    free(ledger->units);
    free(ledger->touched);
    free(ledger->cells);
    free(ledger->values);
    free(ledger);
}

struct rank ledger_self(const struct desk *desk)
{
    struct incarnation mine = author_incarnation(desk->author);
    return (struct rank){desk->self->term, mine.ordinal, mine.nonce, desk->self->station, 0};
}

struct speaker ledger_own_speaker(const struct desk *desk, uint64_t sequence)
{
    struct incarnation mine = author_incarnation(desk->author);
    return (struct speaker){.station = desk->self->station,
                            .term = desk->self->term,
                            .ordinal = mine.ordinal,
                            .nonce = mine.nonce,
                            .sequence = sequence,
                            .time_ms = desk->now_ms,
                            .received_ms = desk->now_ms,
                            .unit = desk->unit,
                            .from_period = desk->self->from_period};
}

// ---- units

static void write_unit(struct txn *txn, struct unit_seen *unit)
{
    if (unit->heard_dirty) {
        uint8_t key[HEARD_KEY_SIZE], row[HEARD_ROW_SIZE];
        put_be32(key, unit->id);
        heard_row_encode(bytes_of(key, sizeof key), &unit->heard, row);
        txn_put(txn, TABLE_HEARD, bytes_of(key, sizeof key), bytes_of(row, sizeof row));
    }
    if (unit->complete_dirty) {
        uint8_t key[COMPLETE_KEY_SIZE], row[COMPLETE_ROW_SIZE];
        put_complete_key(unit->id, SANJI__PERIOD_TYPE__MONTH, key);
        complete_row_encode(bytes_of(key, sizeof key), &unit->complete, row);
        txn_put(txn, TABLE_COMPLETE, bytes_of(key, sizeof key), bytes_of(row, sizeof row));
    }
    *unit = (struct unit_seen){.id = unit->id};
}

static void write_units(struct ledger *ledger, struct txn *txn)
{
    for (int32_t i = 0; i < ledger->touched_count; i++)
        write_unit(txn, &ledger->units[ledger->touched[i]]);
    ledger->touched_count = 0;
}

static void forget_units(struct ledger *ledger)
{
    free(ledger->units);
    free(ledger->touched);
    ledger->units = NULL;
    ledger->touched = NULL;
    ledger->unit_count = ledger->touched_count = 0;
}

bool ledger_units(struct ledger *ledger, const struct desk *desk)
{
    if (ledger->units && hash_equal(&ledger->tree, &desk->units->hash) && ledger->unit_count == desk->units->count)
        return true;
    write_units(ledger, desk->txn);
    forget_units(ledger);
    ledger->units = calloc((size_t)desk->units->count, sizeof *ledger->units);
    ledger->touched = malloc((size_t)desk->units->count * sizeof *ledger->touched);
    if (!ledger->units || !ledger->touched) {
        forget_units(ledger);
        txn_fail(desk->txn, ERR_MEMORY, "ledger");
        return false;
    }
    ledger->unit_count = desk->units->count;
    ledger->tree = desk->units->hash;
    return true;
}

uint32_t ledger_unit_id(struct ledger *ledger, const struct desk *desk, int32_t unit)
{
    struct unit_seen *seen = &ledger->units[unit];
    if (seen->id == UNIT_ID_NONE) {
        seen->id = unit_id_find(desk->txn, desk->units->items[unit].code, desk->units->items[unit].from);
        if (seen->id == UNIT_ID_NONE)
            txn_fail(desk->txn, ERR_CORRUPT, "units: a unit of the tree in force has no number");
    }
    return seen->id;
}

struct unit_seen *ledger_unit(struct ledger *ledger, const struct desk *desk, int32_t unit)
{
    struct unit_seen *seen = &ledger->units[unit];
    if (seen->complete_loaded)
        return seen;
    uint32_t id = ledger_unit_id(ledger, desk, unit);
    if (id == UNIT_ID_NONE)
        return NULL;
    seen->complete_known = complete_row_read(desk->txn, id, SANJI__PERIOD_TYPE__MONTH, &seen->complete);
    heard_row_read(desk->txn, id, &seen->heard);
    seen->complete_loaded = true;
    ledger->touched[ledger->touched_count++] = unit;
    return seen;
}

static void hear(struct unit_seen *unit, uint64_t time_ms, uint64_t received_ms)
{
    struct heard_row heard = unit->heard;
    if (heard.time_ms < time_ms)
        heard.time_ms = time_ms;
    if (heard.received_ms < received_ms)
        heard.received_ms = received_ms;
    if (heard.time_ms == unit->heard.time_ms && heard.received_ms == unit->heard.received_ms)
        return;
    unit->heard = heard;
    unit->heard_dirty = true;
}

// ---- what cannot be counted, whoever says it

// Computed values exist for periods that have begun; entered ones (quotas) up to the end of the next year.
int32_t ledger_statement_due(const struct statement *statement)
{
    int32_t first, last;
    period_months(statement->period, &first, &last);
    bool entered = statement->basis == SANJI__BASIS__ENTERED || statement->basis == SANJI__BASIS__IMPORTED;
    return entered ? (first / 12 - 1) * 12 : first;
}

int32_t ledger_complete_due(const struct complete *complete) { return complete->through.number + 1; }

bool ledger_has_come(int32_t due, uint64_t utc_ms) { return month_of_days(civil_of_instant(utc_ms, LEDGER_ZONE) + 1) >= due; }

// The same; many entries in a row ask of one day.
static bool has_come(struct month_seen *seen, int32_t due, uint64_t utc_ms)
{
    int32_t tomorrow = civil_of_instant(utc_ms, LEDGER_ZONE) + 1;
    if (tomorrow != seen->day)
        *seen = (struct month_seen){.day = tomorrow, .month = month_of_days(tomorrow)};
    return seen->month >= due;
}

static const char *unit_fault(const struct desk *desk, const char *code, uint32_t from, uint64_t term, const struct speaker *speaker,
                              int32_t *ret)
{
    int32_t unit = units_find_near(desk->units, speaker->unit, code);
    if (unit == UNIT_NONE || desk->units->items[unit].from != from)
        return "unknown unit";
    if (speaker->unit == UNIT_NONE || !units_within(desk->units, unit, speaker->unit))
        return "the unit is not below the signer's";
    if (!units_within(desk->units, unit, desk->unit))
        return "the unit is not below this station's";
    if (term != speaker->term)
        return "the term is not the signer's";
    *ret = unit;
    return NULL;
}

static const char *statement_fault(struct ledger *ledger, const struct desk *desk, const struct statement *statement,
                                   const struct speaker *speaker, int32_t *ret)
{
    const char *fault = unit_fault(desk, statement->unit, statement->unit_from, statement->term, speaker, ret);
    if (fault)
        return fault;
    if (statement->scope != SANJI__SCOPE__OWN)
        return "only own values are counted";
    // By the speaker's own clock, so that every station answers alike.
    if (!period_in_range(statement->period) || statement->period.type == SANJI__PERIOD_TYPE__NAMED ||
        !has_come(&ledger->speakers_month, ledger_statement_due(statement), speaker->time_ms))
        return "a period that cannot be";
    int32_t first, last;
    period_months(statement->period, &first, &last);
    if (last < speaker->from_period)
        return "a period before the signer's term";
    return NULL;
}

// ---- applying

// Where the differences of one statement go.
struct spread {
    struct ledger *ledger;
    struct txn *txn;
    struct group_key group; // unit_id is set for each ancestor
    uint32_t ancestors[DEPTH_MAX];
    struct cached_chunk *chunks[DEPTH_MAX]; // last used of each
    uint32_t count;
};

static bool spread_init(struct spread *spread, struct ledger *ledger, const struct desk *desk, const struct group_key *group, int32_t unit)
{
    *spread = (struct spread){.ledger = ledger, .txn = desk->txn, .group = *group};
    while (unit != desk->unit) {
        unit = desk->units->items[unit].parent;
        assert(spread->count < DEPTH_MAX);
        uint32_t id = ledger_unit_id(ledger, desk, unit);
        if (id == UNIT_ID_NONE)
            return false;
        spread->ancestors[spread->count++] = id;
    }
    return true;
}

static void spread_add(struct spread *spread, uint32_t number, unsigned cell, int64_t difference)
{
    for (uint32_t i = 0; i < spread->count; i++) {
        struct cached_chunk *chunk = spread->chunks[i];
        if (!chunk || chunk->number != number) {
            spread->group.unit_id = spread->ancestors[i];
            chunk = cache_below_chunk(&spread->ledger->cache, spread->txn, &spread->group, number);
            if (!chunk)
                return;
            spread->chunks[i] = chunk;
        }
        chunk_add(chunk, cell, difference);
    }
}

static void set_cell(struct spread *spread, struct cached_chunk *chunk, unsigned cell, int64_t value)
{
    int64_t difference = (int64_t)((uint64_t)value - (uint64_t)chunk_value(chunk, cell));
    if (difference == 0)
        return;
    chunk_add(chunk, cell, difference);
    spread_add(spread, chunk->number, cell, difference);
}

static void apply_patch(struct spread *spread, struct cached_group *group, const struct statement *statement)
{
    struct cached_chunk *chunk = NULL;
    for (uint32_t i = 0; i < statement->count; i++) {
        uint32_t number = statement->cells[i] / CHUNK_CELLS;
        if (!chunk || chunk->number != number)
            chunk = cache_own_chunk(&spread->ledger->cache, spread->txn, group, number);
        if (!chunk)
            return;
        unsigned cell = statement->cells[i] % CHUNK_CELLS;
        chunk->mark |= UINT64_C(1) << cell;
        set_cell(spread, chunk, cell, statement->values[i]);
    }
}

static void apply_full(struct spread *spread, struct cached_group *group, const struct statement *statement)
{
    if (!cache_whole_group(&spread->ledger->cache, spread->txn, group))
        return;
    apply_patch(spread, group, statement);
    for (struct cached_chunk *chunk = group->chunks; chunk; chunk = chunk->next)
        for (uint64_t left = chunk->cells.set & ~chunk->mark; left; left &= left - 1)
            set_cell(spread, chunk, (unsigned)__builtin_ctzll(left), 0);
}

static void clear_marks(struct cached_group *group)
{
    for (struct cached_chunk *chunk = group->chunks; chunk; chunk = chunk->next)
        chunk->mark = 0;
}

static void speak(struct cached_group *group, const struct statement *statement, const struct speaker *speaker)
{
    bool full = statement->extent == SANJI__EXTENT__FULL;
    group->state = (struct group_state){.term = speaker->term,
                                        .ordinal = speaker->ordinal,
                                        .nonce = speaker->nonce,
                                        .sequence = speaker->sequence,
                                        .station = speaker->station,
                                        .scope = (uint8_t)statement->scope,
                                        .basis = (uint8_t)statement->basis,
                                        .time_ms = speaker->time_ms,
                                        .full = full ? speaker->sequence : group->state.full};
    group->known = group->dirty = true;
}

// A statement after its speaker's Complete, for a period that it covered: the figure that was whole has moved.
static void touch(struct unit_seen *unit, struct period period, const struct rank *rank)
{
    if (!unit->complete_known)
        return;
    struct rank complete = rank_of_complete(&unit->complete);
    int32_t first, last;
    period_months(period, &first, &last);
    if (last > unit->complete.through || !rank_same_speaker(&complete, rank) || rank->sequence <= unit->complete.head ||
        rank->sequence <= unit->complete.touched)
        return;
    unit->complete.touched = rank->sequence;
    unit->complete_dirty = true;
}

static void count_statement(struct spread *spread, struct cached_group *group, const struct statement *statement,
                            const struct speaker *speaker)
{
    if (!group->known)
        spread_add(spread, CHUNK_STATED, 0, 1);
    if (statement->extent == SANJI__EXTENT__FULL)
        apply_full(spread, group, statement);
    else
        apply_patch(spread, group, statement);
    clear_marks(group);
    speak(group, statement, speaker);
}

enum verdict ledger_apply(struct ledger *ledger, const struct desk *desk, const struct statement *statement, const struct speaker *speaker,
                          const char **reason)
{
    int32_t at;
    *reason = statement_fault(ledger, desk, statement, speaker, &at);
    if (*reason)
        return VERDICT_REJECTED;
    if (!has_come(&ledger->own_month, ledger_statement_due(statement), desk->now_ms)) {
        *reason = LEDGER_WAITS_FOR_PERIOD;
        return VERDICT_DEFERRED;
    }
    if (cache_full(&ledger->cache))
        cache_flush(&ledger->cache, desk->txn);
    if (!ledger_units(ledger, desk))
        return VERDICT_HELD;
    struct unit_seen *unit = ledger_unit(ledger, desk, at);
    if (!unit)
        return VERDICT_HELD;
    struct group_key key = {statement->definition, unit->id, statement->period};
    struct cached_group *group = cache_group(&ledger->cache, desk->txn, &key);
    struct spread spread;
    if (!group || !spread_init(&spread, ledger, desk, &key, at))
        return VERDICT_HELD;

    struct rank rank = {speaker->term, speaker->ordinal, speaker->nonce, speaker->station, speaker->sequence},
                state = rank_of_group(&group->state);
    if (group->known && rank_compare(&rank, &state) <= 0) {
        touch(unit, statement->period, &rank);
        hear(unit, speaker->time_ms, speaker->received_ms);
        return VERDICT_HELD;
    }
    if (statement->extent == SANJI__EXTENT__PATCH && !(group->known && rank_same_speaker(&rank, &state))) {
        *reason = "a patch without its full statement";
        return VERDICT_REJECTED;
    }
    count_statement(&spread, group, statement, speaker);
    touch(unit, statement->period, &rank);
    hear(unit, speaker->time_ms, speaker->received_ms);
    return VERDICT_APPLIED;
}

enum verdict ledger_complete(struct ledger *ledger, const struct desk *desk, const struct complete *complete, const struct speaker *speaker,
                             const char **reason)
{
    int32_t at;
    *reason = unit_fault(desk, complete->unit, complete->unit_from, complete->term, speaker, &at);
    if (!*reason && complete->through.type != SANJI__PERIOD_TYPE__MONTH)
        *reason = "completeness is by month";
    if (!*reason && (!period_in_range(complete->through) || !ledger_has_come(ledger_complete_due(complete), speaker->time_ms)))
        *reason = "a period that has not ended";
    if (!*reason && complete->head >= speaker->sequence)
        *reason = "a head after the statement itself";
    if (*reason)
        return VERDICT_REJECTED;
    int32_t due = ledger_complete_due(complete);
    if (!ledger_has_come(due, desk->now_ms)) {
        *reason = LEDGER_WAITS_FOR_PERIOD;
        return VERDICT_DEFERRED;
    }
    struct unit_seen *unit = ledger_units(ledger, desk) ? ledger_unit(ledger, desk, at) : NULL;
    if (!unit)
        return VERDICT_HELD;
    hear(unit, speaker->time_ms, speaker->received_ms);
    struct rank rank = {speaker->term, speaker->ordinal, speaker->nonce, speaker->station, speaker->sequence},
                state = rank_of_complete(&unit->complete);
    if (unit->complete_known && rank_compare(&rank, &state) <= 0)
        return VERDICT_HELD;
    unit->complete = (struct complete_row){.through = complete->through.number,
                                           .head = complete->head,
                                           .term = rank.term,
                                           .ordinal = rank.ordinal,
                                           .nonce = rank.nonce,
                                           .station = rank.station,
                                           .sequence = rank.sequence,
                                           .time_ms = speaker->time_ms,
                                           .touched = ledger_has_come(due, speaker->received_ms) ? 0 : TOUCHED_UNKNOWN};
    unit->complete_known = unit->complete_dirty = true;
    return VERDICT_APPLIED;
}

// ---- the end of a transaction

void ledger_flush(struct ledger *ledger, struct txn *txn)
{
    cache_flush(&ledger->cache, txn);
    write_units(ledger, txn);
}

void ledger_abort(struct ledger *ledger)
{
    cache_clear(&ledger->cache);
    forget_units(ledger); // numbers given in this transaction were not given
    own_clear(ledger);
}

// ---- reading

bool group_read(struct txn *txn, const struct group_key *group, struct group_state *ret) { return group_row_read(txn, group, ret); }

uint64_t group_stated_below(struct txn *txn, const struct group_key *group)
{
    struct cells cells;
    return cells_read(txn, TABLE_BELOW, group, CHUNK_STATED, &cells) && cells.set & 1 ? (uint64_t)cells.values[0] : 0;
}

void cells_each(struct txn *txn, const struct group_key *group, bool below, void (*visit)(void *context, uint32_t cell, int64_t value),
                void *context)
{
    uint8_t first[CHUNK_KEY_SIZE];
    put_chunk_key(group, 0, first);
    struct cursor *cursor = cursor_open(txn, below ? TABLE_BELOW : TABLE_CELLS);
    if (!cursor)
        return;
    for (bool on = cursor_seek(cursor, bytes_of(first, sizeof first)); on; on = cursor_next(cursor)) {
        struct bytes key = cursor_key(cursor);
        if (key.size != CHUNK_KEY_SIZE || memcmp(key.data, first, GROUP_KEY_SIZE) != 0)
            break;
        uint32_t number = get_be16(key.data + GROUP_KEY_SIZE);
        if (number == CHUNK_STATED)
            break;
        struct cells cells;
        if (!cells_decode(key, cursor_value(cursor), &cells)) {
            txn_fail(txn, ERR_CORRUPT, below ? "below" : "cells");
            break;
        }
        for (uint64_t set = cells.set; set; set &= set - 1) {
            unsigned cell = (unsigned)__builtin_ctzll(set);
            visit(context, number * CHUNK_CELLS + cell, cells.values[cell]);
        }
    }
    cursor_close(cursor);
}
