// After a restore: what the records amount to, held against what was stated.
#include "envelope.pb-c.h"
#include "node/ledger_rows.h"
#include "node/record_session.h"
#include "node/records.h"
#include "record.pb-c.h"

static const char unopened_name[] = "records/unopened"; // META: some that came back could not be opened

void records_note_unopened(struct txn *txn) { meta_put(txn, unopened_name, bytes_of_text("1")); }

// Whether every record that this station ever signed is here with its body, and was opened.
static bool all_here(struct desk *desk)
{
    struct bytes there;
    struct feed_key feed;
    struct feed_state state;
    uint32_t id;
    if (meta_get(desk->txn, unopened_name, &there))
        return false;
    for (bool more = feed_next_of(desk->txn, &desk->self->station, NULL, &id, &feed, &state); more;
         more = feed_next_of(desk->txn, &desk->self->station, &feed, &id, &feed, &state)) {
        uint64_t position;
        struct batch_row row;
        for (uint64_t at = 1; feed.lane == SANJI__LANE__CASE && at < state.next; at = row.first + row.count)
            if (!journal_find(desk->txn, id, at, &position) || !journal_intact(desk->txn, position) ||
                !journal_read(desk->txn, position, &row) || row.body.size == 0)
                return false;
    }
    return txn_error(desk->txn) == OK;
}

// The first key of `table` after `key`, which is `size` bytes long, into `key`. False: none.
static bool next_key(struct txn *txn, enum table table, uint8_t *key, size_t size, bool first)
{
    struct cursor *cursor = cursor_open(txn, table);
    bool at = cursor && cursor_seek(cursor, bytes_of(key, size));
    if (at && !first && cursor_key(cursor).size == size && memcmp(cursor_key(cursor).data, key, size) == 0)
        at = cursor_next(cursor);
    at = at && cursor_key(cursor).size == size;
    if (at)
        memcpy(key, cursor_key(cursor).data, size);
    cursor_close(cursor);
    return at;
}

// One subject: all it amounts to is gathered as if nothing had been stated; without `figures` only its edge is found.
static enum error_code gather_subject(struct desk *desk, const uint8_t id[SUBJECT_ID_SIZE], bool figures, struct arena *arena,
                                      struct error *error)
{
    struct touched_set set = {.arena = arena};
    struct touched *touched;
    struct subject_row row;
    struct history history;
    int32_t today = civil_of_instant(desk->now_ms, desk->codebook->tz_minutes);
    enum error_code code = touched_find(&set, desk, id, -1, &touched, error);
    if (code != OK || touched->count == 0 || !subject_read(desk->txn, id, &row))
        return code;
    touched->slow = true;
    touched->edge = EDGE_UNSTATED;
    if (figures) {
        touched_settle(&set, desk, touched, today, &row.edge);
    } else {
        if (!touched_history(&set, desk, touched, false, &history))
            return error_set(error, ERR_MEMORY, "restate");
        row.edge = history_next_edge(&history, history_through(&history, today));
    }
    subject_write(desk->txn, id, &row);
    return OK;
}

static enum error_code gather_subjects(struct desk *desk, bool figures, struct arena *arena, struct error *error)
{
    uint8_t id[SUBJECT_ID_SIZE] = {0};
    enum error_code code = OK;
    for (bool first = true; code == OK && next_key(desk->txn, TABLE_SUBJECTS, id, sizeof id, first); first = false) {
        code = gather_subject(desk, id, figures, arena, error);
        arena_reset(arena);
        if (!figures && code == ERR_NOT_FOUND) { // what can't be opened changes nothing any more
            struct subject_row row;
            code = OK;
            if (subject_read(desk->txn, id, &row)) {
                row.edge = EDGE_NONE;
                subject_write(desk->txn, id, &row);
            }
        }
    }
    return code;
}

// Records without a subject.
static enum error_code gather_lone(struct desk *desk, struct arena *arena, struct error *error)
{
    static const uint8_t none[SUBJECT_ID_SIZE];
    uint8_t key[SUBJECT_ID_SIZE + RECORD_ID_SIZE] = {0};
    int32_t edge, today = civil_of_instant(desk->now_ms, desk->codebook->tz_minutes);
    enum error_code code = OK;
    for (bool first = true; code == OK && next_key(desk->txn, TABLE_RECORDS, key, sizeof key, first); first = false) {
        struct record_row row;
        struct record *record = NULL;
        struct touched_set set = {.arena = arena};
        struct touched *touched;
        if (memcmp(key, none, SUBJECT_ID_SIZE) != 0 || !record_row_read(desk->txn, key, key + SUBJECT_ID_SIZE, &row))
            break;
        code = record_open(desk, &row, arena, &record, error);
        if (code == OK && record)
            code = touched_lone(&set, record->id, NULL, &touched, error);
        if (code == OK && record)
            code = touched_put(&set, desk, touched, record, error);
        if (code == OK && record)
            touched_settle(&set, desk, touched, today, &edge);
        arena_reset(arena);
    }
    return code;
}

// ---- what was stated

struct taking_back {
    struct desk *desk;
    const struct group_key *group;
    const char *unit;
};

static void take_back(void *context, uint32_t cell, int64_t value)
{
    struct taking_back *back = context;
    ledger_add(back->desk->ledger, back->desk, back->group, back->unit, cell, (int64_t)(0 - (uint64_t)value));
}

static const struct indicator *indicator_of(const struct codebook *codebook, const uint8_t definition[16])
{
    for (int i = 0; i < codebook->indicator_count; i++)
        if (memcmp(codebook->indicators[i].definition.bytes, definition, 16) == 0)
            return &codebook->indicators[i];
    return NULL;
}

static const char *unit_of_id(struct desk *desk, uint32_t id)
{
    const struct units *units = desk->units;
    for (int32_t at = desk->unit; at < units->items[desk->unit].subtree_end; at++)
        if (unit_id_find(desk->txn, units->items[at].code, units->items[at].from) == id)
            return units->items[at].code;
    return NULL;
}

// Takes back what this station computed and stated, by definitions in force; with what was gathered that leaves the differences.
static void take_all_back(struct desk *desk)
{
    uint8_t key[GROUP_KEY_SIZE] = {0};
    uint32_t last_id = UNIT_ID_NONE;
    const char *unit = NULL;
    for (bool first = true; next_key(desk->txn, TABLE_GROUPS, key, sizeof key, first); first = false) {
        const struct indicator *indicator = indicator_of(desk->codebook, key);
        struct group_state state;
        if (!indicator)
            continue;
        struct group_key group = {
            .definition = indicator->definition, .unit_id = get_be32(key + 16), .period = {key[20], get_be32_signed(key + 21)}};
        if (!group_row_read(desk->txn, &group, &state) || !station_equal(&state.station, &desk->self->station) ||
            state.basis != SANJI__BASIS__COMPUTED)
            continue;
        if (group.unit_id != last_id) {
            last_id = group.unit_id;
            unit = unit_of_id(desk, last_id);
        }
        struct taking_back back = {desk, &group, unit};
        if (unit)
            cells_each(desk->txn, &group, false, take_back, &back);
    }
}

void records_restate(struct desk *desk)
{
    struct arena arena = {.limit = SESSION_MEMORY_MAX};
    struct error error = {0};
    if (!desk->codebook)
        return;
    bool figures = all_here(desk);
    enum error_code code = gather_subjects(desk, figures, &arena, &error);
    if (code == OK && figures)
        code = gather_lone(desk, &arena, &error);
    if (code == ERR_NOT_FOUND && figures) { // a key is missing, or was destroyed: what was stated stands
        figures = false;
        ledger_abort(desk->ledger);
        code = gather_subjects(desk, figures, &arena, &error);
    }
    if (code == OK && figures) {
        take_all_back(desk);
        ledger_keep_own(desk->ledger, desk);
    }
    if (code != OK)
        txn_fail(desk->txn, code, error.detail);
    arena_finish(&arena);
}
