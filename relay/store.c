#include "relay/store.h"

#include <assert.h>
#include <stdio.h>

#include "relay/language.h"
#include "relay/store_ops.h"

static const char *const table_names[TABLE_COUNT] = {
#define X(name, text) [TABLE_##name] = text,
    TABLE_LIST(X)
#undef X
};

const char *table_name(enum table table)
{
    assert(table < TABLE_COUNT);
    return table_names[table];
}

void store_close(struct store *store)
{
    if (store)
        store->ops->close(store);
}

void store_size(struct store *store, uint64_t *ret_bytes, uint64_t *ret_map_bytes) { store->ops->size(store, ret_bytes, ret_map_bytes); }

struct txn *txn_begin(struct store *store, bool write, struct error *error) { return store->ops->begin(store, write, error); }

enum error_code txn_error(const struct txn *txn) { return txn->error.code; }

bool txn_file(struct txn *txn, int *ret_fd, uint64_t *ret_number) { return txn->ops->file && txn->ops->file(txn, ret_fd, ret_number); }

enum error_code txn_report(const struct txn *txn, struct error *error)
{
    if (txn->error.code && error)
        *error = txn->error;
    return txn->error.code;
}

void txn_fail(struct txn *txn, enum error_code code, const char *detail)
{
    assert(code != OK);
    if (!txn->error.code)
        error_set(&txn->error, code, "%s", detail);
}

enum error_code txn_commit(struct txn *txn, struct error *error)
{
    assert(txn->cursors == 0);
    if (!txn->error.code)
        return txn->ops->commit(txn, error);
    enum error_code code = txn_report(txn, error);
    txn->ops->abort(txn);
    return code;
}

void txn_abort(struct txn *txn)
{
    if (!txn)
        return;
    assert(txn->cursors == 0);
    txn->ops->abort(txn);
}

// Keys can come from bytes that others chose, so a wrong size fails the transaction and not the process.
static bool usable(struct txn *txn, enum table table, struct bytes key)
{
    assert(table < TABLE_COUNT);
    if (txn->error.code)
        return false;
    if (key.size > 0 && key.size <= STORE_KEY_MAX)
        return true;
    char detail[128];
    snprintf(detail, sizeof detail, tr("table %s: a key of %zu bytes; 1 to %d are possible", "表 %s：键长 %zu 字节；允许 1 至 %d"),
             table_name(table), key.size, STORE_KEY_MAX);
    txn_fail(txn, ERR_LIMIT, detail);
    return false;
}

bool txn_get(struct txn *txn, enum table table, struct bytes key, struct bytes *ret)
{
    return usable(txn, table, key) && txn->ops->get(txn, table, key, ret);
}

static void put(struct txn *txn, enum table table, struct bytes key, struct bytes value, bool append)
{
    assert(txn->write);
    if (!usable(txn, table, key))
        return;
    if (value.size > STORE_VALUE_MAX) {
        txn_fail(txn, ERR_LIMIT, tr("a value is too large for the store", "值过大，无法存储"));
        return;
    }
    txn->writes[table]++;
    txn->ops->put(txn, table, key, value, append);
}

void txn_put(struct txn *txn, enum table table, struct bytes key, struct bytes value) { put(txn, table, key, value, false); }

void txn_append(struct txn *txn, enum table table, struct bytes key, struct bytes value) { put(txn, table, key, value, true); }

bool txn_delete(struct txn *txn, enum table table, struct bytes key)
{
    assert(txn->write);
    if (!usable(txn, table, key))
        return false;
    txn->writes[table]++;
    return txn->ops->remove(txn, table, key);
}

uint64_t txn_count(struct txn *txn, enum table table)
{
    assert(table < TABLE_COUNT);
    return txn->error.code ? 0 : txn->ops->count(txn, table);
}

struct cursor *cursor_open(struct txn *txn, enum table table)
{
    assert(table < TABLE_COUNT);
    if (txn->error.code)
        return NULL;
    struct cursor *cursor = txn->ops->cursor_open(txn, table);
    if (!cursor)
        return NULL;
    cursor->txn = txn;
    cursor->table = table;
    cursor->place = PLACE_NEW;
    cursor->writes = txn->writes[table];
    txn->cursors++;
    return cursor;
}

// Moves; where there is no row the cursor rests at `otherwise`.
static bool move(struct cursor *cursor, enum cursor_move how, struct bytes key, enum cursor_place otherwise)
{
    struct txn *txn = cursor->txn;
    bool found = !txn->error.code && txn->ops->cursor_move(cursor, how, key);
    cursor->place = found ? PLACE_ROW : otherwise;
    cursor->writes = txn->writes[cursor->table];
    if (!found)
        cursor->key = cursor->value = (struct bytes){0};
    return found;
}

// Stale after a write to its table: only seek and last may follow. A programmer's error, so it ends here and not in a wrong row.
static void check_fresh(const struct cursor *cursor)
{
    assert(cursor->txn->error.code || cursor->place != PLACE_ROW || cursor->writes == cursor->txn->writes[cursor->table]);
}

bool cursor_seek(struct cursor *cursor, struct bytes key)
{
    if (key.size == 0) // every key is greater
        return move(cursor, MOVE_FIRST, key, PLACE_AFTER);
    usable(cursor->txn, cursor->table, key); // a wrong key fails the transaction, and move() sees that
    return move(cursor, MOVE_SEEK, key, PLACE_AFTER);
}

bool cursor_next(struct cursor *cursor)
{
    check_fresh(cursor);
    if (cursor->place == PLACE_AFTER)
        return false;
    return move(cursor, cursor->place == PLACE_ROW ? MOVE_NEXT : MOVE_FIRST, (struct bytes){0}, PLACE_AFTER);
}

bool cursor_prev(struct cursor *cursor)
{
    check_fresh(cursor);
    if (cursor->place == PLACE_BEFORE)
        return false;
    return move(cursor, cursor->place == PLACE_ROW ? MOVE_PREV : MOVE_LAST, (struct bytes){0}, PLACE_BEFORE);
}

bool cursor_last(struct cursor *cursor) { return move(cursor, MOVE_LAST, (struct bytes){0}, PLACE_BEFORE); }

struct bytes cursor_key(const struct cursor *cursor)
{
    check_fresh(cursor);
    return cursor->key;
}

struct bytes cursor_value(const struct cursor *cursor)
{
    check_fresh(cursor);
    return cursor->value;
}

void cursor_close(struct cursor *cursor)
{
    if (!cursor)
        return;
    assert(cursor->txn->cursors > 0);
    cursor->txn->cursors--;
    cursor->txn->ops->cursor_close(cursor);
}

void store_format_write(struct txn *txn)
{
    uint8_t format[4];
    put_be32(format, STORE_FORMAT);
    txn_put(txn, TABLE_META, bytes_of_text(STORE_FORMAT_KEY), bytes_of(format, sizeof format));
}

enum error_code store_format_check(struct txn *txn, struct error *error)
{
    struct bytes value;
    bool found = txn_get(txn, TABLE_META, bytes_of_text(STORE_FORMAT_KEY), &value);
    if (txn->error.code)
        return txn_report(txn, error);
    if (!found || value.size != 4)
        return error_set(error, ERR_CORRUPT,
                         tr("the store does not say its format, so it is damaged; it is kept as it is. Put a copy back, or run 'sanji "
                            "rebuild DIR --salvage'",
                            "存储未标明格式版本，说明已损坏；已原样保留。请恢复副本，或执行 'sanji rebuild DIR --salvage'"));
    uint32_t format = get_be32(value.data);
    if (format != STORE_FORMAT)
        return error_set(
            error, ERR_VERSION,
            tr("the store has format %u, this program knows %d; it is kept as it is", "存储的格式版本为 %u，本程序支持 %d；已原样保留"),
            format, STORE_FORMAT);
    return OK;
}
