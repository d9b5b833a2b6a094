// Views are a fold of the journal: the tables folded anew from the journal's rows in a store of their own are the station's tables, row by
// row. Now and then after a step, and for every station at rest.
#include "envelope.pb-c.h"
#include "relay/quarantine.h"
#include "tests/sim/check.h"
#include "tests/sim/memory.h"

enum {
    FOLDS_IN_1000 = 1,   // steps after which a station is folded
    FOLD_ROWS_MAX = 400, // of a journal that is folded on the way
};

struct fold {
    struct site *site;
    struct store *store;
    struct ledger *ledger;
    struct author *author;
    struct signers *signers;
    struct secret_key key;
    struct desk desk;
    struct applier applier;
    struct entry *entries;
};

static void fold_row(struct fold *fold, struct txn *from, const struct batch_row *row)
{
    static const struct station_id here;
    struct header header;
    const char *reason = NULL;
    if (row->body.size == 0 || header_decode(row->header, &header, NULL) != OK ||
        body_decode(row->body, &header, fold->entries, NULL) != OK || check_brings_receipts(&header, fold->entries))
        return; // receipts are judged by the journal, which is not here, and touch none of these tables
    const struct certificate *signer = signers_find(fold->signers, from, &header.certificate);
    if (!signer)
        return;
    struct certificate copy = *signer;
    enum verdict verdict = apply_fold(&fold->applier, row, &header, &copy, fold->entries, &reason);
    struct quarantined mended; // how a row was judged can be lost with it
    if (!station_equal(&row->from, &here) && (verdict == VERDICT_REJECTED) != (row->verdict == VERDICT_REJECTED) &&
        !quarantine_of_batch(from, row->position, &mended))
        check_fail(&check_views, "%s: row %llu is judged %d when folded, %d (%s) when it came", site_name(fold->site),
                   (unsigned long long)row->position, (int)verdict, (int)row->verdict, row->reason);
}

static void fold_begin(struct fold *fold, struct site *site)
{
    struct error error = {0};
    struct journal_meta meta = {.format = 1, .station = site->self.station, .generation = 1, .starts = 1};
    struct author_config author = {.self = &site->self, .sign_key = &fold->key, .ordinal = 1};
    *fold = (struct fold){.site = site, .desk = site->desk};
    enum error_code code = store_memory_create(&fold->store, &error);
    assert(code == OK);
    code = author_create(&author, &fold->author, &error);
    assert(code == OK);
    code = ledger_create(&fold->ledger, &error);
    assert(code == OK);
    code = signers_create(&world->sites[0].self.hash, &fold->signers, &error);
    assert(code == OK);
    fold->entries = memory_get(BATCH_ENTRIES_MAX, sizeof *fold->entries);
    fold->desk = (struct desk){.txn = txn_begin(fold->store, true, &error),
                               .codebook = world->codebook,
                               .units = world->units,
                               .unit = (int32_t)site->unit,
                               .self = &site->self,
                               .author = fold->author,
                               .ledger = fold->ledger};
    fold->applier = (struct applier){.desk = &fold->desk};
    journal_create(fold->desk.txn, &meta);
    unit_ids_assign(fold->desk.txn, world->units);
}

static void fold_finish(struct fold *fold)
{
    ledger_destroy(fold->ledger);
    author_destroy(fold->author);
    signers_destroy(fold->signers);
    store_close(fold->store);
    free(fold->entries);
}

static void compare_table(struct site *site, struct txn *live_txn, struct txn *folded_txn, enum table table)
{
    struct cursor *live = cursor_open(live_txn, table), *folded = cursor_open(folded_txn, table);
    uint64_t rows = 0;
    bool a = cursor_next(live), b = cursor_next(folded);
    for (; a && b; a = cursor_next(live), b = cursor_next(folded), rows++)
        if (!bytes_equal(cursor_key(live), cursor_key(folded)) || !bytes_equal(cursor_value(live), cursor_value(folded)))
            break;
    if (a || b)
        check_fail(&check_views, "%s: table %s differs from the fold of its journal in row %llu", site_name(site), table_name(table),
                   (unsigned long long)rows);
    cursor_close(live);
    cursor_close(folded);
}

static void compare(struct site *site)
{
    if (!check_whole(site))
        return; // nobody can give the row back
    static const enum table tables[] = {TABLE_UNITS, TABLE_GROUPS, TABLE_CELLS, TABLE_BELOW, TABLE_COMPLETE};
    struct fold fold;
    struct batch_row row;
    struct error error = {0};
    struct txn *live = check_reader(site);
    fold_begin(&fold, site);
    for (uint64_t position = 1; journal_read(live, position, &row) && !world->over; position++)
        fold_row(&fold, live, &row);
    ledger_flush(fold.ledger, fold.desk.txn);
    enum error_code code = txn_commit(fold.desk.txn, &error);
    assert(code == OK);
    struct txn *folded = txn_begin(fold.store, false, &error);
    for (size_t i = 0; i < sizeof tables / sizeof *tables && !world->over; i++)
        compare_table(site, live, folded, tables[i]);
    txn_abort(folded);
    txn_abort(live);
    fold_finish(&fold);
}

static void step(struct site *site)
{
    if (!site->rotten && site->seen < FOLD_ROWS_MAX && chance(FOLDS_IN_1000))
        compare(site);
}

const struct checker check_views = {.name = "views", .step = step, .rest = compare};
