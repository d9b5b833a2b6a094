#include "node/rebuild.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "node/scrub.h"
#include "relay/language.h"
#include "relay/store.h"

struct rebuilding {
    const struct scrub_report *scrubbed;
    struct rebuild_report *report;
};

// Gone without harm: a link's mark is repaired by the peers, a part of a body and signed heads come again; what waits or was told is less
// than a wrong row.
static bool may_go(enum table table)
{
    return table == TABLE_CURSORS || table == TABLE_STAGING || table == TABLE_ALARMS || table == TABLE_TOKENS ||
           table == TABLE_QUARANTINE || table == TABLE_CARRIED || table == TABLE_HEADS;
}

static bool is_view(enum table table)
{
    return table == TABLE_GROUPS || table == TABLE_CELLS || table == TABLE_BELOW || table == TABLE_COMPLETE || table == TABLE_HEARD ||
           table == TABLE_UNITS || table == TABLE_RECORDS || table == TABLE_RECORD_IDS || table == TABLE_SUBJECTS || table == TABLE_EDGES;
}

static enum error_code check(const char *directory, const struct scrub_report *report, struct error *error)
{
    if (report->broken)
        return scrub_advice(directory, report, error);
    if (report->damaged > report->count)
        return error_set(error, ERR_CORRUPT,
                         tr("%s: %llu rows are damaged: put a copy back, or run 'sanji rebuild %s --salvage'",
                            "%s：有 %llu 行损坏：请恢复副本，或执行 'sanji rebuild %s --salvage'"),
                         directory, (unsigned long long)report->damaged, directory);
    for (uint32_t i = 0; i < report->count; i++) {
        enum table table = report->found[i].table;
        if (table == TABLE_JOURNAL || table == TABLE_OBJECTS)
            return error_set(error, ERR_CORRUPT,
                             tr("%s: rows of the journal are damaged; start the node, which fetches them again, and then rebuild",
                                "%s：日志中有损坏的行；请启动节点重新获取，然后再重建"),
                             directory);
        if (!is_view(table) && !may_go(table) && table != TABLE_COPIES)
            return error_set(
                error, ERR_CORRUPT,
                tr("%s: a row of table %s is damaged, which is no view and can't be made again in place; nothing was changed. Put a copy "
                   "back, or run 'sanji rebuild %s --salvage', which makes a new store of every whole row",
                   "%s：表 %s 中有一行损坏，该表不是视图，无法就地重新生成；未作任何更改。请恢复副本，或执行 "
                   "'sanji rebuild %s --salvage'，用所有完好的行建立新存储"),
                directory, table_name(table), directory);
    }
    return OK;
}

static void clear(struct txn *txn, enum table table)
{
    uint8_t key[SCRUB_KEY_MAX];
    for (;;) {
        struct cursor *cursor = cursor_open(txn, table);
        bool at = cursor && cursor_seek(cursor, bytes_of("", 0));
        size_t size = at ? cursor_key(cursor).size : 0;
        if (at)
            memcpy(key, cursor_key(cursor).data, size);
        cursor_close(cursor);
        if (!at || !txn_delete(txn, table, bytes_of(key, size)))
            return;
    }
}

static void copy(struct rebuilding *rebuilding, struct txn *txn, struct txn *from, enum table table)
{
    clear(txn, table);
    struct cursor *cursor = cursor_open(from, table);
    for (bool at = cursor && cursor_seek(cursor, bytes_of("", 0)); at && txn_error(txn) == OK; at = cursor_next(cursor)) {
        txn_put(txn, table, cursor_key(cursor), cursor_value(cursor)); // points into another store
        rebuilding->report->rows++;
    }
    cursor_close(cursor);
}

static enum error_code take(void *context, const struct folded *folded, struct error *error)
{
    static const enum table views[] = {TABLE_UNITS, TABLE_GROUPS, TABLE_CELLS, TABLE_BELOW, TABLE_COMPLETE, TABLE_HEARD};
    static const enum table records[] = {TABLE_RECORDS, TABLE_RECORD_IDS, TABLE_SUBJECTS, TABLE_EDGES};
    struct rebuilding *rebuilding = context;
    if (!folded->records)
        return error_set(error, ERR_STATE, "%s", tr("own records could not be read again", "无法重新读取本站记录"));
    struct txn *txn = txn_begin(folded->store, true, error);
    if (!txn)
        return error->code;
    for (size_t i = 0; i < sizeof views / sizeof *views; i++)
        copy(rebuilding, txn, folded->views, views[i]);
    for (size_t i = 0; i < sizeof records / sizeof *records; i++)
        copy(rebuilding, txn, folded->records, records[i]);
    for (uint32_t i = 0; i < rebuilding->scrubbed->count; i++) {
        const struct scrub_found *found = &rebuilding->scrubbed->found[i];
        if (may_go(found->table))
            rebuilding->report->dropped += txn_delete(txn, found->table, bytes_of(found->key, found->key_size));
    }
    if (txn_error(folded->views) != OK || txn_error(folded->records) != OK)
        txn_fail(txn, ERR_STORE, "scratch");
    return txn_commit(txn, error);
}

enum error_code station_rebuild(const char *directory, struct rebuild_report *ret, struct error *error)
{
    char path[4096];
    struct scrub_report *scrubbed = calloc(1, sizeof *scrubbed);
    struct verify_report *verified = calloc(1, sizeof *verified);
    enum error_code code = scrubbed && verified ? OK : error_set(error, ERR_MEMORY, "rebuild");
    *ret = (struct rebuild_report){0};
    snprintf(path, sizeof path, "%s/lock", directory);
    int lock = code == OK ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (code == OK && lock < 0)
        code = error_set_errno(error, ERR_NOT_FOUND, "%s", path);
    if (code == OK && flock(lock, LOCK_EX | LOCK_NB) != 0)
        code = error_set(error, ERR_BUSY, tr("%s: a node or another command has this station open", "%s：节点或另一命令正在使用此站点"),
                         directory);
    if (code == OK)
        code = scrub_directory(directory, true, scrubbed, error);
    if (code == OK)
        code = check(directory, scrubbed, error);
    struct rebuilding rebuilding = {scrubbed, ret};
    if (code == OK)
        code = station_fold_dir(directory, verified, take, &rebuilding, error);
    if (lock >= 0)
        close(lock);
    free(scrubbed);
    free(verified);
    return code;
}
