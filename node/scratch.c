#include "node/scratch.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "relay/language.h"

enum error_code scratch_create(struct scratch *scratch, const struct desk *desk, struct error *error)
{
    *scratch = (struct scratch){.desk = *desk};
    const char *parent = getenv("TMPDIR");
    struct public_key unused;
    snprintf(scratch->directory, sizeof scratch->directory, "%s/sanji-verify-XXXXXX", parent && strlen(parent) < 40 ? parent : "/tmp");
    if (!mkdtemp(scratch->directory)) {
        enum error_code code = error_set_errno(error, ERR_IO, "%s", scratch->directory);
        *scratch->directory = 0;
        return code;
    }
    crypto_sign_keypair(&unused, &scratch->key);
    struct author_config author = {.self = desk->self, .sign_key = &scratch->key, .ordinal = 1};
    enum error_code code = store_open(scratch->directory, STORE_CREATE, 0, &scratch->store, error);
    if (code == OK)
        code = ledger_create(&scratch->ledger, error);
    if (code == OK)
        code = author_create(&author, &scratch->author, error);
    if (code == OK)
        code = scratch_begin(scratch, 0, error);
    if (code == OK) {
        struct journal_meta meta = {.format = 1, .station = desk->self->station, .starts = 1};
        journal_create(scratch->desk.txn, &meta);
        unit_ids_assign(scratch->desk.txn, desk->units);
        code = scratch_commit(scratch, false, error);
    }
    if (code != OK)
        scratch_destroy(scratch);
    return code;
}

void scratch_destroy(struct scratch *scratch)
{
    static const char *const names[] = {"store/data.mdb", "store/lock.mdb", "store", ""};
    txn_abort(scratch->desk.txn);
    scratch->desk.txn = NULL;
    ledger_destroy(scratch->ledger);
    author_destroy(scratch->author);
    store_close(scratch->store);
    scratch->ledger = NULL;
    scratch->author = NULL;
    scratch->store = NULL;
    crypto_wipe(&scratch->key, sizeof scratch->key);
    for (size_t i = 0; *scratch->directory && i < sizeof names / sizeof *names; i++) {
        char path[96];
        snprintf(path, sizeof path, "%s/%s", scratch->directory, names[i]);
        remove(path);
    }
    *scratch->directory = 0;
}

enum error_code scratch_begin(struct scratch *scratch, uint64_t now_ms, struct error *error)
{
    scratch->desk.txn = txn_begin(scratch->store, true, error);
    if (!scratch->desk.txn)
        return error ? error->code : ERR_STORE;
    scratch->desk.ledger = scratch->ledger;
    scratch->desk.author = scratch->author;
    scratch->desk.now_ms = now_ms;
    author_context(scratch->author, now_ms, NULL);
    return OK;
}

enum error_code scratch_commit(struct scratch *scratch, bool state, struct error *error)
{
    struct txn *txn = scratch->desk.txn;
    struct grown grown = {0};
    if (state)
        ledger_state(scratch->ledger, &scratch->desk);
    ledger_flush(scratch->ledger, txn);
    author_finish(scratch->author, txn, &grown);
    scratch->desk.txn = NULL;
    return txn_commit(txn, error);
}
