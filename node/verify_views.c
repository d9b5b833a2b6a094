#include "node/ledger_rows.h"
#include "node/records.h"
#include "node/verify_inside.h"
#include "record.pb-c.h"
#include "relay/language.h"

static void report_row(struct verifying *verifying, enum table table, struct bytes key, const char *how)
{
    char hex[2 * 40 + 1];
    crypto_hex(bytes_of(key.data, key.size < 40 ? key.size : 40), hex);
    verify_differs(verifying, "%s %s: %s", table_name(table), hex, how);
}

// Walks both tables side by side.
static void compare_table(struct verifying *verifying, struct txn *folded_txn, enum table table)
{
    struct cursor *live = cursor_open(verifying->txn, table), *folded = cursor_open(folded_txn, table);
    bool a = live && cursor_seek(live, bytes_of("", 0)), b = folded && cursor_seek(folded, bytes_of("", 0));
    while (a || b) {
        struct bytes ka = a ? cursor_key(live) : bytes_of(NULL, 0), kb = b ? cursor_key(folded) : bytes_of(NULL, 0);
        size_t shorter = ka.size < kb.size ? ka.size : kb.size;
        int order = !a ? 1 : !b ? -1 : memcmp(ka.data, kb.data, shorter);
        if (order == 0 && ka.size != kb.size)
            order = ka.size < kb.size ? -1 : 1;
        verifying->report->views++;
        if (order < 0)
            report_row(verifying, table, ka, tr("in the store, but the journal does not say so", "存储中有，但日志中没有依据"));
        else if (order > 0)
            report_row(verifying, table, kb, tr("missing from the store", "存储中缺失"));
        else if (!bytes_equal(cursor_value(live), cursor_value(folded)))
            report_row(verifying, table, ka, tr("another value than the journal gives", "与日志推算的值不同"));
        if (order <= 0)
            a = cursor_next(live);
        if (order >= 0)
            b = cursor_next(folded);
    }
    cursor_close(live);
    cursor_close(folded);
}

// Whether this station computed the figure of this cell's group by a definition in force: then its records must amount to it. Another
// station that took over speaks of what came since; what was entered has no records; an older codebook's figures are not made again.
static bool computed_here(struct verifying *verifying, struct bytes key)
{
    struct group_state state;
    struct bytes group = bytes_of(key.data, GROUP_KEY_SIZE), row;
    const struct codebook *codebook = verifying->desk.codebook;
    bool ours = key.size == CHUNK_KEY_SIZE && txn_get(verifying->txn, TABLE_GROUPS, group, &row) && group_row_decode(group, row, &state) &&
                state.basis == SANJI__BASIS__COMPUTED && station_equal(&state.station, &verifying->desk.self->station);
    for (int i = 0; ours && codebook && i < codebook->indicator_count; i++)
        if (memcmp(codebook->indicators[i].definition.bytes, key.data, 16) == 0)
            return true;
    return false;
}

// Whether another station's word stands for the group of this cell: it took over, and the records here are of before.
static bool taken_over(struct verifying *verifying, struct bytes key)
{
    struct group_state state;
    struct bytes group = bytes_of(key.data, GROUP_KEY_SIZE), row;
    return key.size == CHUNK_KEY_SIZE && txn_get(verifying->txn, TABLE_GROUPS, group, &row) && group_row_decode(group, row, &state) &&
           !station_equal(&state.station, &verifying->desk.self->station);
}

// What the records amount to must be what was stated: every computed group, cell by cell, of the replay and of the store.
static void compare_totals(struct verifying *verifying, struct txn *replayed)
{
    struct bytes other;
    struct cursor *groups = cursor_open(replayed, TABLE_CELLS);
    for (bool at = groups && cursor_seek(groups, bytes_of("", 0)); at; at = cursor_next(groups)) {
        struct bytes key = cursor_key(groups);
        verifying->report->views++;
        if (taken_over(verifying, key))
            continue;
        if (!txn_get(verifying->txn, TABLE_CELLS, key, &other))
            report_row(verifying, TABLE_CELLS, key, tr("the records amount to a figure that was not stated", "记录推算出未申报的数值"));
        else if (!bytes_equal(other, cursor_value(groups)))
            report_row(verifying, TABLE_CELLS, key, tr("the records amount to another figure than was stated", "记录推算的数值与申报不同"));
    }
    cursor_close(groups);
    if (verifying->now_ms < verifying->last_ms)
        return; // what was stated while the clock was ahead stands until that time comes
    groups = cursor_open(verifying->txn, TABLE_CELLS);
    for (bool at = groups && cursor_seek(groups, bytes_of("", 0)); at; at = cursor_next(groups))
        if (computed_here(verifying, cursor_key(groups)) && !txn_get(replayed, TABLE_CELLS, cursor_key(groups), &other))
            report_row(verifying, TABLE_CELLS, cursor_key(groups), tr("no records amount to this figure", "没有记录支持该数值"));
    cursor_close(groups);
}

enum error_code verify_views(struct verifying *verifying, struct error *error)
{
    static const enum table folded_tables[] = {TABLE_GROUPS, TABLE_CELLS, TABLE_BELOW, TABLE_COMPLETE};
    struct txn *folded = txn_begin(verifying->views.store, false, error);
    struct txn *replayed = txn_begin(verifying->records.store, false, error);
    enum error_code code = folded && replayed ? OK : error->code;
    for (size_t i = 0; code == OK && i < sizeof folded_tables / sizeof *folded_tables; i++)
        compare_table(verifying, folded, folded_tables[i]);
    if (code == OK && verifying->keyring && !verifying->unstated) {
        compare_table(verifying, replayed, TABLE_RECORDS);
        compare_table(verifying, replayed, TABLE_RECORD_IDS);
        int offset = verifying->desk.codebook ? verifying->desk.codebook->tz_minutes : 0;
        // Birthdays that came while the station was off are stated at its next start: until then the figures are those of the last day.
        if (!verifying->incomplete && records_next_edge(verifying->txn) > civil_of_instant(verifying->last_ms, offset))
            compare_totals(verifying, replayed);
    }
    txn_abort(folded);
    txn_abort(replayed);
    return code;
}
