#include "relay/scrub.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "relay/language.h"

enum {
    KEY_MAX = 511,
    SNAPSHOT_TRIES_MAX = 100, // each fails only when a commit comes between two reads
};

struct walk {
    struct store *store;
    const struct scrub_visitor *visitor;
    bool alone;
    enum table table;
    uint8_t last[KEY_MAX]; // key of the row looked at last
    size_t last_size;
    uint64_t rows, slices;
    bool broken; // the rest of this table can't be walked
};

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// ---- pages

// A transaction, and the meta page that it began with. NULL with OK: this store has no pages.
static enum error_code snapshot(struct store *store, struct txn **ret, int *ret_fd, struct page_meta *ret_meta, struct error *error)
{
    enum error_code code = OK;
    *ret = NULL;
    for (unsigned tries = 0; tries < SNAPSHOT_TRIES_MAX; tries++) {
        uint64_t number;
        struct txn *txn = txn_begin(store, false, error);
        if (!txn)
            return error ? error->code : ERR_STORE;
        bool pages = txn_file(txn, ret_fd, &number);
        code = pages ? tree_metas(*ret_fd, ret_meta) : OK;
        if (code == OK && pages && ret_meta->txn == number) {
            *ret = txn;
            return OK;
        }
        txn_abort(txn);
        if (!pages)
            return OK;
    }
    return error_set(error, code == OK ? ERR_BUSY : code,
                     tr("the meta pages are not those of the last commit", "元数据页不是最后一次提交所写"));
}

// Whether they are whole.
static enum error_code look_at_pages(struct store *store, const struct scrub_visitor *visitor, bool alone, bool *ret_whole,
                                     struct error *error)
{
    struct tree_check *check = calloc(1, sizeof *check);
    enum error_code code = check ? OK : error_set(error, ERR_MEMORY, "scrub");
    for (bool more = true; more && !code;) {
        struct page_meta meta;
        int fd;
        struct txn *txn;
        code = snapshot(store, &txn, &fd, &meta, error);
        more = false;
        if (txn && tree_check_on(check, fd, &meta, alone ? UINT64_MAX : clock_ms() + SCRUB_TREE_MS, &more) != OK)
            code = error_set(error, ERR_MEMORY, "scrub");
        txn_abort(txn);
    }
    if (!code) {
        *ret_whole = check->finding.fault == PAGE_WHOLE;
        if (!*ret_whole)
            visitor->broken(visitor->context, &check->finding);
    }
    if (check)
        tree_check_finish(check);
    free(check);
    return code;
}

// ---- rows

static void tell(struct walk *walk, enum scrub_fault fault, struct bytes key)
{
    struct scrub_finding finding = {fault, walk->table, key};
    walk->visitor->found(walk->visitor->context, &finding);
}

static bool comes_after(const struct walk *walk, struct bytes key)
{
    size_t shorter = key.size < walk->last_size ? key.size : walk->last_size;
    int order = shorter ? memcmp(key.data, walk->last, shorter) : 0;
    return order > 0 || (order == 0 && key.size > walk->last_size);
}

// False: the walk of this table ends here, as it could go round for ever.
static bool look(struct walk *walk, struct txn *txn, const struct cursor *cursor)
{
    struct bytes key = cursor_key(cursor), value = cursor_value(cursor), again;
    if (key.size == 0 || key.size > KEY_MAX || !comes_after(walk, key)) {
        tell(walk, SCRUB_ORDER, bytes_of(key.data, key.size > KEY_MAX ? KEY_MAX : key.size));
        walk->broken = true;
        return false;
    }
    memcpy(walk->last, key.data, key.size);
    walk->last_size = key.size;
    walk->rows++;
    if (!txn_get(txn, walk->table, key, &again) || again.data != value.data || again.size != value.size)
        tell(walk, SCRUB_LOST, key);
    else if (!walk->visitor->intact(walk->visitor->context, txn, walk->table, key, value))
        tell(walk, SCRUB_ROW, key);
    return txn_error(txn) == OK;
}

// One transaction's share. Returns whether the table goes on.
static bool slice(struct walk *walk, struct txn *txn)
{
    uint64_t until = clock_ms() + SCRUB_SLICE_MS, looked = 0;
    struct cursor *cursor = cursor_open(txn, walk->table);
    bool at = cursor && cursor_seek(cursor, bytes_of(walk->last, walk->last_size));
    if (at && walk->last_size && bytes_equal(cursor_key(cursor), bytes_of(walk->last, walk->last_size)))
        at = cursor_next(cursor);
    bool more = false;
    while (at && look(walk, txn, cursor)) {
        if (++looked == SCRUB_SLICE_ROWS || (looked % 64 == 0 && clock_ms() >= until)) {
            more = true;
            break;
        }
        at = cursor_next(cursor);
    }
    cursor_close(cursor);
    walk->slices++;
    if (txn_error(txn) != OK) {
        tell(walk, SCRUB_ERROR, bytes_of(NULL, 0));
        walk->broken = true;
    } else if (!more && !walk->broken && (walk->alone || walk->slices == 1) && txn_count(txn, walk->table) != walk->rows) {
        tell(walk, SCRUB_COUNT, bytes_of(NULL, 0));
    }
    return more && !walk->broken;
}

enum error_code scrub(struct store *store, const struct scrub_visitor *visitor, bool alone, uint64_t *ret_rows, struct error *error)
{
    bool whole = false;
    *ret_rows = 0;
    enum error_code code = look_at_pages(store, visitor, alone, &whole, error);
    for (unsigned table = 0; table < TABLE_COUNT && whole; table++) {
        struct walk walk = {.store = store, .visitor = visitor, .alone = alone, .table = (enum table)table};
        visitor->table(visitor->context, walk.table);
        for (bool more = true; more;) {
            struct txn *txn = txn_begin(store, false, error);
            if (!txn)
                return error ? error->code : ERR_STORE;
            more = slice(&walk, txn);
            txn_abort(txn);
        }
        *ret_rows += walk.rows;
    }
    return code;
}
