#include "node/verify.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/proof.h"
#include "node/verify_inside.h"
#include "relay/language.h"
#include "relay/row.h"

enum { STARTS_MAX = 3 }; // documents come into force a few times a year: who sees that twice reads the rest in one transaction

void verify_differs(struct verifying *verifying, const char *format, ...)
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

enum error_code verify_skip_damage(struct verifying *verifying, struct error *error)
{
    struct error damage = {0};
    enum error_code code = txn_report(verifying->txn, &damage);
    if (code != OK && code != ERR_CORRUPT)
        *error = damage;
    if (code != ERR_CORRUPT)
        return code;
    if (strcmp(verifying->damage.detail, damage.detail) != 0) {
        verifying->report->damaged_rows++;
        verify_differs(verifying, "%s", damage.detail);
        verifying->damage = damage;
    }
    return verify_renew(verifying, error);
}

static struct in_force in_force(const struct verifying *verifying)
{
    static const uint32_t kinds[] = {DOCUMENT_CODEBOOK, DOCUMENT_UNITS};
    struct in_force ret = {0};
    struct bytes name;
    if (meta_get(verifying->txn, "self", &name) && name.size == HASH_SIZE)
        memcpy(ret.self.bytes, name.data, HASH_SIZE);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        document_in_force(verifying->txn, kinds[i], &ret.documents[i], &ret.versions[i]);
    return ret;
}

static enum error_code begin(struct verifying *verifying, struct error *error)
{
    verifying->txn = txn_begin(verifying->store, false, error);
    if (!verifying->txn)
        return error->code;
    verifying->feed_count = txn_count(verifying->txn, TABLE_FEEDS);
    verifying->end = journal_end(verifying->txn);
    return OK;
}

enum error_code verify_renew(struct verifying *verifying, struct error *error)
{
    txn_abort(verifying->txn);
    verifying->renewals++;
    enum error_code code = begin(verifying, error);
    if (code != OK)
        return code;
    struct in_force now = in_force(verifying);
    bool same = hash_equal(&now.self, &verifying->from.self);
    for (size_t i = 0; i < 2; i++)
        same = same && now.versions[i] == verifying->from.versions[i] && hash_equal(&now.documents[i], &verifying->from.documents[i]);
    if (same || verifying->steady || txn_error(verifying->txn) != OK)
        return OK;
    verifying->moved = true;
    return error_set(error, ERR_BUSY, "%s", tr("documents came into force meanwhile; try again", "期间有新文件生效；请重试"));
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
    if (code == OK)
        code = begin(verifying, error);
    if (code == OK)
        verifying->from = in_force(verifying);
    if (code == OK)
        code = open_documents(verifying, mode == STORE_READ_ONLY, error);
    if (code == OK)
        code = signers_create(&verifying->config.root, &verifying->signers, error);
    if (code != OK)
        return code;
    code = keyring_open(directory, &verifying->keyring, error);
    verifying->report->records_skipped = code == ERR_BUSY;
    verifying->steady = verifying->steady || code == OK; // no node can start
    if (code != OK && code != ERR_BUSY)
        return code;
    if (code == OK && keyring_damaged(verifying->keyring)) {
        verifying->report->damaged_rows += keyring_damaged(verifying->keyring);
        verify_differs(verifying, tr("keys/keyring: %llu keys are damaged", "keys/keyring：%llu 个密钥已损坏"),
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
    buffer_finish(&verifying->open);
    keyring_close(verifying->keyring);
    signers_destroy(verifying->signers);
    documents_destroy(verifying->documents);
    txn_abort(verifying->txn);
    store_close(verifying->store);
}

// ---- verify, and what rebuild needs of it

static enum error_code look_at_all(struct verifying *verifying, const char *directory,
                                   void (*progress)(void *context, uint64_t done, uint64_t total), void *context, struct error *error)
{
    enum error_code code = open_all(verifying, directory, STORE_READ_ONLY, error);
    if (code == OK && !signers_find(verifying->signers, verifying->txn, &verifying->self.hash))
        verify_differs(verifying, "%s",
                       tr("station.conf: 'root' is not the root that this station's certificate leads to",
                          "station.conf：'root' 不是本站点证书所通向的根"));
    if (code == OK)
        code = verify_skip_damage(verifying, error);
    if (code == OK)
        code = verify_objects(verifying, error);
    if (code == OK)
        code = verify_journal(verifying, progress, context, error);
    if (code == OK)
        code = verify_feeds(verifying, error);
    if (code == OK)
        code = verify_settle(verifying, error);
    if (code == OK)
        verify_receipts(verifying);
    if (code == OK)
        code = verify_views(verifying, error);
    return code == OK ? verify_skip_damage(verifying, error) : code;
}

enum error_code station_verify_dir(const char *directory, struct verify_report *ret,
                                   void (*progress)(void *context, uint64_t done, uint64_t total), void *context, struct error *error)
{
    struct error local = {0};
    enum error_code code = OK;
    bool again = true;
    for (int i = 1; again; i++) {
        struct verifying verifying = {.report = ret, .steady = i == STARTS_MAX};
        *ret = (struct verify_report){0};
        code = look_at_all(&verifying, directory, progress, context, &local);
        again = verifying.moved;
        close_all(&verifying);
    }
    if (code != OK && error)
        *error = local;
    return code;
}

enum error_code station_fold_dir(const char *directory, struct verify_report *ret,
                                 enum error_code (*take)(void *context, const struct folded *folded, struct error *error), void *context,
                                 struct error *error)
{
    struct verifying verifying = {.report = ret, .steady = true};
    struct error local = {0};
    *ret = (struct verify_report){0};
    enum error_code code = open_all(&verifying, directory, STORE_OPEN, &local);
    if (code == OK && !verifying.keyring)
        code = error_set(&local, ERR_BUSY, tr("%s: a node runs there", "%s：有节点正在运行"), directory);
    if (code == OK)
        code = verify_journal(&verifying, NULL, NULL, &local);
    if (code == OK)
        code = verify_settle(&verifying, &local);
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
