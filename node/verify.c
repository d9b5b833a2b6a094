#include "node/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "node/apply.h"
#include "node/documents.h"
#include "node/ledger_rows.h"
#include "node/proof.h"
#include "node/records.h"
#include "node/scratch.h"
#include "record.pb-c.h"
#include "relay/keyring.h"
#include "relay/language.h"
#include "relay/quarantine.h"
#include "relay/receipt.h"
#include "relay/row.h"

enum { BATCHES_A_COMMIT = 500, TICK_SUBJECTS_MAX = 1000 };

// Where a feed's walk stands.
struct walked {
    uint64_t next;
    struct hash last;
};

struct verifying {
    struct verify_report *report;
    struct store *store;
    struct txn *txn; // read, the whole time: one state of the store
    struct config config;
    struct documents *documents;
    struct certificate self;
    struct signers *signers;
    struct keyring *keyring; // NULL: a node has it
    struct desk desk;
    struct scratch views, records;
    struct applier applier;
    struct receiver receiver;
    uint64_t feed_count;
    struct walked *walked; // by feed id
    uint32_t walked_count;
    struct error damage; // the last that was reported: many batches may stand on one damaged row
    uint64_t now_ms;     // when the last batch was committed: the records are replayed as of then
    uint64_t last_ms;    // the latest time of any batch: later than now_ms when the clock went back
    bool unstated;       // the replayed records could not be stated: nothing to compare
    bool incomplete;     // own records are not all here, or not to be opened: they do not amount to what was stated
    struct arena arena;
};

static void differs(struct verifying *verifying, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void differs(struct verifying *verifying, const char *format, ...)
{
    struct verify_report *report = verifying->report;
    if (report->difference_count < VERIFY_DIFFERENCES_MAX) {
        va_list args;
        va_start(args, format);
        vsnprintf(report->differences[report->difference_count], VERIFY_TEXT_MAX, format, args);
        va_end(args);
    }
    report->difference_count++;
}

// A damaged row fails its transaction: it is reported, and what follows is read in another.
static enum error_code skip_damage(struct verifying *verifying, struct error *error)
{
    struct error damage = {0};
    if (txn_report(verifying->txn, &damage) == OK)
        return OK;
    if (strcmp(verifying->damage.detail, damage.detail) != 0) {
        verifying->report->damaged_rows++;
        differs(verifying, "%s", damage.detail);
        verifying->damage = damage;
    }
    txn_abort(verifying->txn);
    verifying->txn = txn_begin(verifying->store, false, error);
    return verifying->txn ? OK : error->code;
}

// ---- opening

// Who folds everything anew needs none of the views.
static enum error_code open_documents(struct verifying *verifying, bool views, struct error *error)
{
    struct bytes name, wire;
    struct hash hash;
    enum object_kind kind;
    if (!meta_get(verifying->txn, "self", &name) || name.size != HASH_SIZE)
        return error_set(error, ERR_CORRUPT, "%s", tr("the store does not say whose it is", "存储未说明所属站点"));
    memcpy(hash.bytes, name.data, HASH_SIZE);
    if (!object_read(verifying->txn, &hash, &kind, &wire))
        return error_set(error, ERR_CORRUPT, "%s", tr("this station's certificate is missing", "缺少本站点的证书"));
    enum error_code code = certificate_decode(wire, &verifying->self, error);
    if (code != OK)
        return code;
    return (views ? documents_load : documents_read)(verifying->txn, verifying->self.unit, &verifying->documents, error);
}

// Units have the numbers here that they have in the store, in the order in which trees came, or equal rows would not be equal. When
// one is damaged they are numbered anew, and whatever is made again has those numbers.
static enum error_code number_units(struct verifying *verifying, struct scratch *scratch, struct error *error)
{
    enum error_code code = scratch_begin(scratch, 0, error);
    if (code != OK)
        return code;
    struct cursor *cursor = cursor_open(verifying->txn, TABLE_UNITS);
    bool at = cursor && cursor_seek(cursor, bytes_of("", 0)), whole = true;
    for (; at && whole; at = cursor_next(cursor))
        whole = row_intact(TABLE_UNITS, cursor_key(cursor), cursor_value(cursor));
    for (at = whole && cursor && cursor_seek(cursor, bytes_of("", 0)); at; at = cursor_next(cursor))
        txn_put(scratch->desk.txn, TABLE_UNITS, cursor_key(cursor), cursor_value(cursor)); // points into another store
    cursor_close(cursor);
    return scratch_commit(scratch, false, error);
}

static enum error_code open_all(struct verifying *verifying, const char *directory, enum store_mode mode, struct error *error)
{
    enum error_code code = crypto_init(error);
    if (code == OK)
        code = config_read(directory, &verifying->config, error);
    if (code == OK)
        code = store_open(directory, mode, 0, &verifying->store, error);
    if (code == OK && !(verifying->txn = txn_begin(verifying->store, false, error)))
        code = error->code;
    if (code == OK)
        code = open_documents(verifying, mode == STORE_READ_ONLY, error);
    verifying->feed_count = code == OK ? txn_count(verifying->txn, TABLE_FEEDS) : 0;
    if (code == OK)
        code = signers_create(&verifying->config.root, &verifying->signers, error);
    if (code != OK)
        return code;
    code = keyring_open(directory, &verifying->keyring, error);
    verifying->report->records_skipped = code == ERR_BUSY;
    if (code != OK && code != ERR_BUSY)
        return code;
    if (code == OK && keyring_damaged(verifying->keyring)) {
        verifying->report->damaged_rows += keyring_damaged(verifying->keyring);
        differs(verifying, tr("keys/keyring: %llu keys are damaged", "keys/keyring：%llu 个密钥已损坏"),
                (unsigned long long)keyring_damaged(verifying->keyring));
    }
    verifying->desk = (struct desk){.codebook = verifying->documents->codebook,
                                    .units = verifying->documents->units,
                                    .unit = verifying->documents->unit,
                                    .self = &verifying->self,
                                    .keyring = verifying->keyring,
                                    .delegated = NULL};
    code = scratch_create(&verifying->views, &verifying->desk, error);
    if (code == OK)
        code = scratch_create(&verifying->records, &verifying->desk, error);
    if (code == OK)
        code = number_units(verifying, &verifying->views, error);
    if (code == OK)
        code = number_units(verifying, &verifying->records, error);
    verifying->applier = (struct applier){.desk = &verifying->views.desk};
    verifying->receiver = (struct receiver){
        .place = {.self = &verifying->self}, .signers = verifying->signers, .context = &verifying->applier, .apply = apply_batch};
    verifying->receiver.entries = calloc(BATCH_ENTRIES_MAX, sizeof *verifying->receiver.entries);
    return code == OK && !verifying->receiver.entries ? error_set(error, ERR_MEMORY, "verify") : code;
}

static void close_all(struct verifying *verifying)
{
    scratch_destroy(&verifying->views);
    scratch_destroy(&verifying->records);
    free(verifying->receiver.entries);
    free(verifying->walked);
    arena_finish(&verifying->arena);
    keyring_close(verifying->keyring);
    signers_destroy(verifying->signers);
    documents_destroy(verifying->documents);
    txn_abort(verifying->txn);
    store_close(verifying->store);
}

// ---- one batch

// NULL: no such feed, or no memory.
static struct walked *walk(struct verifying *verifying, uint32_t feed)
{
    if (feed == 0 || feed > verifying->feed_count)
        return NULL;
    if (feed >= verifying->walked_count) {
        uint32_t count = feed + 256;
        struct walked *grown = realloc(verifying->walked, count * sizeof *grown);
        if (!grown)
            return NULL;
        memset(grown + verifying->walked_count, 0, (count - verifying->walked_count) * sizeof *grown);
        verifying->walked = grown;
        verifying->walked_count = count;
    }
    return &verifying->walked[feed];
}

// What the row says of the batch, beside the bytes that its origin signed.
static void check_place(struct verifying *verifying, const struct batch_row *row, const struct header *header)
{
    uint32_t feed;
    struct feed_state state;
    uint64_t position;
    bool right = feed_find(verifying->txn, &header->feed, &feed, &state) && feed == row->feed && row->first == header->first &&
                 row->count == header->count && journal_find(verifying->txn, feed, header->first, &position) && position == row->position;
    if (!right && txn_error(verifying->txn) == OK)
        differs(verifying, tr("position %llu: kept in another place than its header says", "位置 %llu：存放处与其批次头不符"),
                (unsigned long long)row->position);
}

static void check_chain(struct verifying *verifying, const struct batch_row *row, const struct header *header)
{
    struct walked *walked = walk(verifying, row->feed);
    if (!walked)
        return;
    if (walked->next == 0) {
        walked->next = 1;
        verifying->report->feeds++;
    }
    if (header->first != walked->next || !hash_equal(&header->prev, &walked->last))
        differs(verifying, tr("position %llu: does not follow the header before it in its feed", "位置 %llu：与同一信道的前一批次头不相接"),
                (unsigned long long)row->position);
    walked->next = header->first + header->count;
    walked->last = header->hash;
}

// Own record sections, played into the second scratch store.
static void replay_record(struct verifying *verifying, const struct batch_row *row, const struct entry *entry)
{
    const char *reason = NULL;
    if (!verifying->keyring || !verifying->desk.codebook)
        return;
    verifying->report->records++;
    enum verdict verdict = records_replay(&verifying->records.desk, entry->content, &entry->key, true, &reason);
    verifying->incomplete |= verdict == VERDICT_HELD;
    if (verdict == VERDICT_REJECTED)
        differs(verifying, tr("position %llu: own record can't be replayed: %s", "位置 %llu：本站记录无法重放：%s"),
                (unsigned long long)row->position, reason ? reason : "");
}

static void apply_again(struct verifying *verifying, const struct batch_row *row, const struct header *header,
                        const struct certificate *signer)
{
    const char *reason = NULL;
    verifying->views.desk.now_ms = row->received_ms;
    enum verdict verdict =
        apply_batch(&verifying->applier, verifying->views.desk.txn, header, signer, verifying->receiver.entries, row->position, &reason);
    // What waited for its period was taken up when that had come: some time between then and now.
    if (verdict == VERDICT_DEFERRED && row->verdict != VERDICT_DEFERRED && strcmp(reason, LEDGER_WAITS_FOR_PERIOD) == 0) {
        verifying->views.desk.now_ms = utc_ms();
        verdict = apply_batch(&verifying->applier, verifying->views.desk.txn, header, signer, verifying->receiver.entries, row->position,
                              &reason);
    }
    static const struct station_id here;
    bool made_here = station_equal(&row->from, &here), own = station_equal(&header->feed.station, &verifying->self.station);
    struct quarantined mended;
    if (quarantine_of_batch(verifying->txn, row->position, &mended))
        verdict = row->verdict; // what was judged may have been lost with the row
    // Announcements need the documents, which the scratch store has not; what this station signed itself it did not judge, but for what
    // came back after a restore.
    if (!made_here && verdict != row->verdict && header->feed.audience == SANJI__AUDIENCE__UP)
        differs(verifying, tr("position %llu: judged otherwise than when it came (%s)", "位置 %llu：判定与到达时不同（%s）"),
                (unsigned long long)row->position, reason ? reason : "");
    for (uint32_t i = 0; own && i < header->count; i++)
        if (verifying->receiver.entries[i].kind == SANJI__ENTRY_KIND__RECORD)
            replay_record(verifying, row, &verifying->receiver.entries[i]);
}

// What was kept of a receipt must be what its batch says; a receipt that was not kept has no business among them (check_receipts).
static void check_receipt(struct verifying *verifying, const struct batch_row *row, const struct header *header,
                          const struct certificate *signer, const struct entry *entry)
{
    struct receipt receipt, held;
    const char *reason = NULL;
    enum receipt_judgement judgement =
        receipt_judge(verifying->txn, &verifying->self, header, signer, entry, row->position, &receipt, &reason);
    if (judgement == RECEIPT_OTHERS || judgement == RECEIPT_UNKNOWN || txn_error(verifying->txn) != OK)
        return;
    if (judgement == RECEIPT_FORGED) {
        if (row->verdict != VERDICT_REJECTED)
            differs(verifying, tr("position %llu: a forged receipt was taken (%s)", "位置 %llu：接受了伪造的回执（%s）"),
                    (unsigned long long)row->position, reason);
        return;
    }
    bool found = receipt_read(verifying->txn, &receipt, &held);
    if (txn_error(verifying->txn) != OK)
        return;
    bool first = found && held.position == row->position;
    verifying->report->receipts += first;
    if (!found || held.position > row->position ||
        (first && (held.time_ms != receipt.time_ms || !hash_equal(&held.certificate, &receipt.certificate))))
        differs(verifying, tr("position %llu: its receipt is not kept as it was signed", "位置 %llu：其回执与所签内容不符"),
                (unsigned long long)row->position);
}

// Whether the station waits for the deciding tier's receipt of its own urgent batch exactly as long as there is none.
static void check_urgent(struct verifying *verifying, const struct batch_row *row)
{
    struct urgent_batch batch;
    struct receipt receipt = {.feed = row->feed, .first = row->first};
    bool known = urgent_read(verifying->txn, row->feed, row->first, &batch), decided = verifying->self.root;
    while (known && receipt_next(verifying->txn, &receipt, &receipt)) {
        const struct certificate *signer = signers_find(verifying->signers, verifying->txn, &receipt.certificate);
        decided = decided || (signer && signer->depth <= batch.decider);
    }
    if (txn_error(verifying->txn) == OK && (!known || decided != batch.decided))
        differs(verifying, tr("position %llu: its receipts do not say what the station waits for", "位置 %llu：其回执与等待状态不符"),
                (unsigned long long)row->position);
}

// Every receipt kept was met in the journal, and none twice.
static void check_receipts(struct verifying *verifying)
{
    uint64_t kept = txn_count(verifying->txn, TABLE_RECEIPTS);
    if (kept != verifying->report->receipts && verifying->report->damaged_rows == 0)
        differs(verifying, tr("receipts: %llu are kept, the journal has %llu", "回执：存有 %llu 份，日志中有 %llu 份"),
                (unsigned long long)kept, (unsigned long long)verifying->report->receipts);
}

static void check_batch(struct verifying *verifying, const struct batch_row *row)
{
    struct verify_report *report = verifying->report;
    struct header header;
    struct error error = {0};
    report->batches++;
    report->rejected += row->verdict == VERDICT_REJECTED;
    report->deferred += row->verdict == VERDICT_DEFERRED;
    report->headers_only += row->body.size == 0;
    verifying->last_ms = row->received_ms > verifying->last_ms ? row->received_ms : verifying->last_ms;
    if (header_decode(row->header, &header, &error) != OK) {
        differs(verifying, tr("position %llu: %s", "位置 %llu：%s"), (unsigned long long)row->position, error.detail);
        return;
    }
    check_chain(verifying, row, &header);
    const struct certificate *signer = signers_find(verifying->signers, verifying->txn, &header.certificate);
    if (txn_error(verifying->txn) != OK)
        return; // damage on the way, which the caller reports
    if (!signer) {
        differs(verifying, tr("position %llu: the signer's certificate does not lead to the root", "位置 %llu：签名者的证书不通向根"),
                (unsigned long long)row->position);
        return;
    }
    enum error_code code = header_check_signature(row->header, row->signature, signer, &header, &error);
    report->signatures++;
    if (code == OK && row->body.size)
        code = body_check(row->body, &header, verifying->receiver.entries, &error);
    if (code != OK) {
        differs(verifying, tr("position %llu: %s", "位置 %llu：%s"), (unsigned long long)row->position, error.detail);
        return;
    }
    if (row->body.size == 0 && station_equal(&header.feed.station, &verifying->self.station))
        verifying->incomplete = true;
    if (row->body.size) {
        report->entries += header.count;
        apply_again(verifying, row, &header, signer);
        for (uint32_t i = 0; i < header.count; i++)
            if (verifying->receiver.entries[i].kind == SANJI__ENTRY_KIND__RECEIPT && !verifying->receiver.entries[i].is_sealed)
                check_receipt(verifying, row, &header, signer, &verifying->receiver.entries[i]);
    }
    static const struct station_id here;
    if (station_equal(&row->from, &here) && header.feed.lane == SANJI__LANE__URGENT && header.feed.audience == SANJI__AUDIENCE__UP)
        check_urgent(verifying, row);
    check_place(verifying, row, &header);
}

// ---- the journal

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
    differs(verifying, tr("own records amount to what no station may state: %s", "本站记录推算出的数值不可申报：%s"), error->detail);
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

static enum error_code walk_journal(struct verifying *verifying, void (*progress)(void *context, uint64_t done, uint64_t total),
                                    void *context, struct error *error)
{
    uint64_t end = journal_end(verifying->txn);
    enum error_code code = last_commit(verifying, end, error);
    if (code == OK)
        code = begin_scratch(verifying, error);
    for (uint64_t position = 1; code == OK && position <= end; position++) {
        struct batch_row row;
        if (journal_read(verifying->txn, position, &row))
            check_batch(verifying, &row);
        else if (txn_error(verifying->txn) == OK)
            differs(verifying, tr("position %llu: missing", "位置 %llu：缺失"), (unsigned long long)position);
        code = skip_damage(verifying, error);
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

static enum error_code check_feeds(struct verifying *verifying, struct error *error)
{
    struct feed_key key;
    struct feed_state state;
    enum error_code code = OK;
    for (uint32_t id = 1; code == OK && id <= verifying->feed_count; id++) {
        if (feed_read(verifying->txn, id, &key, &state)) {
            struct walked *walked = walk(verifying, id);
            verifying->report->disputed += state.disputed;
            if (walked && state.next > 1 && (walked->next != state.next || !hash_equal(&walked->last, &state.last)))
                differs(verifying, tr("feed %u: its head is not the last header in the journal", "信道 %u：头记录与日志中的最后批次头不符"),
                        id);
        }
        code = skip_damage(verifying, error);
    }
    return code;
}

static void check_object(struct verifying *verifying, const struct hash *hash)
{
    enum object_kind kind;
    struct bytes content;
    if (!object_read(verifying->txn, hash, &kind, &content))
        return;
    if (kind != OBJECT_CERTIFICATE) {
        struct hash real = crypto_hash(TAG_DOCUMENT, content);
        if (!hash_equal(&real, hash))
            differs(verifying, "%s", tr("a document is not what its hash says", "有文件与其散列不符"));
        return;
    }
    verifying->report->certificates++;
    verifying->report->signatures++;
    if (!signers_find(verifying->signers, verifying->txn, hash) && txn_error(verifying->txn) == OK)
        differs(verifying, "%s", tr("a certificate does not lead to the root", "有证书不通向根"));
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

static enum error_code check_objects(struct verifying *verifying, struct error *error)
{
    struct hash hash = {0};
    enum error_code code = OK;
    for (bool first = true; code == OK && next_object(verifying->txn, &hash, first); first = false) {
        check_object(verifying, &hash);
        code = skip_damage(verifying, error);
    }
    return code;
}

// ---- comparing views

static void report_row(struct verifying *verifying, enum table table, struct bytes key, const char *how)
{
    char hex[2 * 40 + 1];
    crypto_hex(bytes_of(key.data, key.size < 40 ? key.size : 40), hex);
    differs(verifying, "%s %s: %s", table_name(table), hex, how);
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

static enum error_code compare(struct verifying *verifying, struct error *error)
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

enum error_code station_verify_dir(const char *directory, struct verify_report *ret,
                                   void (*progress)(void *context, uint64_t done, uint64_t total), void *context, struct error *error)
{
    struct verifying verifying = {.report = ret};
    struct error local = {0};
    *ret = (struct verify_report){0};
    enum error_code code = open_all(&verifying, directory, STORE_READ_ONLY, &local);
    if (code == OK && !signers_find(verifying.signers, verifying.txn, &verifying.self.hash))
        differs(&verifying, "%s",
                tr("station.conf: 'root' is not the root that this station's certificate leads to",
                   "station.conf：'root' 不是本站点证书所通向的根"));
    if (code == OK)
        code = walk_journal(&verifying, progress, context, &local);
    if (code == OK)
        code = check_feeds(&verifying, &local);
    if (code == OK)
        code = check_objects(&verifying, &local);
    if (code == OK)
        check_receipts(&verifying);
    if (code == OK)
        code = compare(&verifying, &local);
    if (code == OK)
        code = skip_damage(&verifying, &local);
    close_all(&verifying);
    if (code != OK && error)
        *error = local;
    return code;
}

enum error_code station_fold_dir(const char *directory, struct verify_report *ret,
                                 enum error_code (*take)(void *context, const struct folded *folded, struct error *error), void *context,
                                 struct error *error)
{
    struct verifying verifying = {.report = ret};
    struct error local = {0};
    *ret = (struct verify_report){0};
    enum error_code code = open_all(&verifying, directory, STORE_OPEN, &local);
    if (code == OK && !verifying.keyring)
        code = error_set(&local, ERR_BUSY, tr("%s: a node runs there", "%s：有节点正在运行"), directory);
    if (code == OK)
        code = walk_journal(&verifying, NULL, NULL, &local);
    struct txn *views = code == OK ? txn_begin(verifying.views.store, false, &local) : NULL;
    struct txn *records = views ? txn_begin(verifying.records.store, false, &local) : NULL;
    if (code == OK && !records)
        code = local.code;
    if (code == OK) {
        txn_abort(verifying.txn);
        verifying.txn = NULL;
        struct folded folded = {.store = verifying.store,
                                .views = views,
                                .records = verifying.unstated ? NULL : records,
                                .self = &verifying.self,
                                .signers = verifying.signers};
        code = take(context, &folded, &local);
    }
    txn_abort(views);
    txn_abort(records);
    close_all(&verifying);
    if (code != OK && error)
        *error = local;
    return code;
}

enum error_code station_verify_proof(struct bytes proof, const char *root_hex, struct proof_report *ret, struct error *error)
{
    return proof_check(proof, root_hex, ret, error);
}
