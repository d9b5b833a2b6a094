#include "node/records.h"
#include "node/verify_inside.h"
#include "relay/language.h"

enum { BATCHES_A_COMMIT = 500, TICK_SUBJECTS_MAX = 1000 };

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

enum error_code verify_journal(struct verifying *verifying, void (*progress)(void *context, uint64_t done, uint64_t total), void *context,
                               struct error *error)
{
    uint64_t end = journal_end(verifying->txn);
    enum error_code code = last_commit(verifying, end, error);
    if (code == OK)
        code = begin_scratch(verifying, error);
    for (uint64_t position = 1; code == OK && position <= end; position++) {
        struct batch_row row;
        if (journal_read(verifying->txn, position, &row))
            verify_batch(verifying, &row);
        else if (txn_error(verifying->txn) == OK)
            verify_differs(verifying, tr("position %llu: missing", "位置 %llu：缺失"), (unsigned long long)position);
        code = verify_skip_damage(verifying, error);
        if (code == OK && position % BATCHES_A_COMMIT == 0) {
            code = commit_scratch(verifying, error);
            code = code == OK ? begin_scratch(verifying, error) : code;
            if (progress)
                progress(context, position, end);
        }
    }
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
    for (bool first = true; code == OK && next_object(verifying->txn, &hash, first); first = false) {
        check_object(verifying, &hash);
        code = verify_skip_damage(verifying, error);
    }
    return code;
}
