#include "relay/scrub.h"

#include <string.h>
#include <time.h>

enum { KEY_MAX = 511 };

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
    *ret_rows = 0;
    for (unsigned table = 0; table < TABLE_COUNT; table++) {
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
    return OK;
}
