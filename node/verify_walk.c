#include "node/records.h"
#include "node/verify_inside.h"
#include "relay/language.h"

enum {
    SLICE_ROWS = 500,      // of the journal or of objects: some tens of milliseconds
    SLICE_BYTES = 4 << 20, // of the journal
    TICK_SUBJECTS_MAX = 1000,
};

static enum error_code commit_scratch(struct verifying *verifying, struct error *error)
{
    enum error_code code = scratch_commit(&verifying->views, false, error);
    enum error_code other = scratch_commit(&verifying->records, false, error);
    return code != OK ? code : other;
}

// At the end: what the records amount to as of the last commit, stated at the latest time, for what was recorded while the clock was ahead
// would else be of a month that has not come.
static enum error_code state_records(struct verifying *verifying, struct error *error)
{
    struct desk *desk = &verifying->records.desk;
    while (records_tick(desk, TICK_SUBJECTS_MAX))
        ;
    desk->now_ms = verifying->last_ms;
    enum error_code code = scratch_commit(&verifying->records, true, error);
    if (code != ERR_REFUSED)
        return code;
    verifying->unstated = true;
    verify_differs(verifying, tr("own records amount to what no station may state: %s", "本站记录推算出的数值不可申报：%s"), error->detail);
    return OK;
}

static enum error_code begin_scratch(struct verifying *verifying, struct error *error)
{
    enum error_code code = scratch_begin(&verifying->views, verifying->now_ms, error);
    return code == OK ? scratch_begin(&verifying->records, verifying->now_ms, error) : code;
}

// Of the last row that can be read. In transactions of its own: what is damaged is reported when the walk comes by.
static enum error_code last_commit(struct verifying *verifying, uint64_t end, struct error *error)
{
    for (uint64_t position = end; position > 0 && verifying->now_ms == 0; position--) {
        struct batch_row row;
        struct txn *txn = txn_begin(verifying->store, false, error);
        if (!txn)
            return error->code;
        if (journal_read(txn, position, &row))
            verifying->now_ms = row.received_ms;
        txn_abort(txn);
    }
    return OK;
}

static void walk_row(struct verifying *verifying, struct batch_row *row)
{
    *row = (struct batch_row){0};
    if (journal_read(verifying->txn, ++verifying->position, row))
        verify_batch(verifying, row);
    else if (txn_error(verifying->txn) == OK)
        verify_differs(verifying, tr("position %llu: missing", "位置 %llu：缺失"), (unsigned long long)verifying->position);
}

// To the journal's end, or to that of a slice: then `ret_full`.
static enum error_code walk_slice(struct verifying *verifying, bool *ret_full, struct error *error)
{
    enum error_code code = OK;
    uint64_t rows = 0, bytes = 0;
    while (code == OK && verifying->position < verifying->end && rows < SLICE_ROWS && bytes < SLICE_BYTES) {
        struct batch_row row;
        walk_row(verifying, &row);
        code = verify_skip_damage(verifying, error);
        rows++;
        bytes += row.header.size + row.body.size;
    }
    *ret_full = rows == SLICE_ROWS || bytes >= SLICE_BYTES;
    return code;
}

// What came while damage made another transaction necessary.
static enum error_code walk_on(struct verifying *verifying, struct error *error)
{
    enum error_code code = OK;
    for (bool full; code == OK && verifying->position < verifying->end;)
        code = walk_slice(verifying, &full, error);
    return code;
}

enum error_code verify_journal(struct verifying *verifying, void (*progress)(void *context, uint64_t done, uint64_t total), void *context,
                               struct error *error)
{
    bool full = true;
    uint64_t follow = 2 * verifying->end; // a journal that grows as fast as it is read is followed that far
    enum error_code code = last_commit(verifying, verifying->end, error);
    if (code == OK)
        code = begin_scratch(verifying, error);
    while (code == OK && full) {
        code = walk_slice(verifying, &full, error);
        if (code != OK || !full)
            break;
        bool holds = verifying->steady || verifying->position >= follow;
        if (!holds) {
            txn_abort(verifying->txn);
            verifying->txn = NULL;
        }
        code = commit_scratch(verifying, error);
        code = code == OK ? begin_scratch(verifying, error) : code;
        if (progress)
            progress(context, verifying->position, verifying->end);
        if (code == OK && !holds)
            code = verify_renew(verifying, error);
    }
    return code;
}

// ---- what has changed behind the walk

static void settle_row(struct verifying *verifying, struct unsettled *unsettled)
{
    struct batch_row row;
    struct unsettled before = *unsettled;
    if (!journal_read(verifying->txn, before.position, &row)) {
        if (txn_error(verifying->txn) == OK)
            verify_differs(verifying, tr("position %llu: missing", "位置 %llu：缺失"), (unsigned long long)before.position);
        unsettled->position = 0;
        return;
    }
    if (row.verdict == before.verdict && (row.body.size > 0) == before.body && strcmp(row.reason, before.reason) == 0)
        return;
    *unsettled = (struct unsettled){.position = before.position, .verdict = row.verdict, .body = row.body.size > 0};
    memcpy(unsettled->reason, row.reason, sizeof unsettled->reason);
    verify_batch_again(verifying, &row, &before);
}

enum error_code verify_settle(struct verifying *verifying, struct error *error)
{
    enum error_code code = walk_on(verifying, error);
    for (unsigned renewals = ~verifying->renewals; code == OK && renewals != verifying->renewals;) {
        renewals = verifying->renewals; // another transaction may show what this round has passed
        for (size_t at = 0; code == OK && at < verifying->open.size; at += sizeof(struct unsettled)) {
            struct unsettled unsettled;
            memcpy(&unsettled, verifying->open.data + at, sizeof unsettled);
            if (unsettled.position == 0)
                continue;
            settle_row(verifying, &unsettled);
            memcpy(verifying->open.data + at, &unsettled, sizeof unsettled);
            code = verify_skip_damage(verifying, error);
            code = code == OK ? walk_on(verifying, error) : code;
        }
    }
    if (code == OK && verifying->open.failed)
        code = error_set(error, ERR_MEMORY, "verify");
    if (code == OK)
        code = scratch_commit(&verifying->views, false, error);
    return code == OK ? state_records(verifying, error) : code;
}

enum error_code verify_feeds(struct verifying *verifying, struct error *error)
{
    struct feed_key key;
    struct feed_state state;
    enum error_code code = OK;
    for (uint32_t id = 1; code == OK && id <= verifying->feed_count; id++) {
        if (feed_read(verifying->txn, id, &key, &state)) {
            struct walked *walked = verify_walked(verifying, id);
            verifying->report->disputed += state.disputed;
            if (walked && state.next > 1 && (walked->next != state.next || !hash_equal(&walked->last, &state.last)))
                verify_differs(verifying,
                               tr("feed %u: its head is not the last header in the journal", "信道 %u：头记录与日志中的最后批次头不符"),
                               id);
        }
        code = verify_skip_damage(verifying, error);
        code = code == OK ? walk_on(verifying, error) : code;
    }
    return code;
}

void verify_receipts(struct verifying *verifying)
{
    uint64_t kept = txn_count(verifying->txn, TABLE_RECEIPTS);
    if (kept != verifying->report->receipts && verifying->report->damaged_rows == 0)
        verify_differs(verifying, tr("receipts: %llu are kept, the journal has %llu", "回执：存有 %llu 份，日志中有 %llu 份"),
                       (unsigned long long)kept, (unsigned long long)verifying->report->receipts);
}

// ---- objects

static void check_object(struct verifying *verifying, const struct hash *hash)
{
    enum object_kind kind;
    struct bytes content;
    if (!object_read(verifying->txn, hash, &kind, &content))
        return;
    if (kind != OBJECT_CERTIFICATE) {
        struct hash real = crypto_hash(TAG_DOCUMENT, content);
        if (!hash_equal(&real, hash))
            verify_differs(verifying, "%s", tr("a document is not what its hash says", "有文件与其散列不符"));
        return;
    }
    verifying->report->certificates++;
    verifying->report->signatures++;
    if (!signers_find(verifying->signers, verifying->txn, hash) && txn_error(verifying->txn) == OK)
        verify_differs(verifying, "%s", tr("a certificate does not lead to the root", "有证书不通向根"));
}

// The first object after `hash`. False: none, or the transaction has failed.
static bool next_object(struct txn *txn, struct hash *hash, bool first)
{
    struct cursor *cursor = cursor_open(txn, TABLE_OBJECTS);
    bool at = cursor && cursor_seek(cursor, bytes_of(hash->bytes, first ? 0 : HASH_SIZE));
    while (at && (cursor_key(cursor).size != HASH_SIZE || (!first && memcmp(cursor_key(cursor).data, hash->bytes, HASH_SIZE) <= 0)))
        at = cursor_next(cursor);
    if (at)
        memcpy(hash->bytes, cursor_key(cursor).data, HASH_SIZE);
    cursor_close(cursor);
    return at;
}

enum error_code verify_objects(struct verifying *verifying, struct error *error)
{
    struct hash hash = {0};
    enum error_code code = OK;
    for (uint64_t count = 0; code == OK && next_object(verifying->txn, &hash, count == 0); count++) {
        check_object(verifying, &hash);
        code = verify_skip_damage(verifying, error);
        if (code == OK && !verifying->steady && count % SLICE_ROWS == SLICE_ROWS - 1)
            code = verify_renew(verifying, error);
    }
    return code;
}
