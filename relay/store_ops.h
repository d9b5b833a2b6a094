// What a store must bring: relay/store.c keeps the promises of relay/store.h (sticky errors, cursor places, misuse) once, over
// these operations. LMDB: store_lmdb.c. Memory: store_memory.c. Nobody else includes this file.
#pragma once
#include "relay/store.h"

enum {
    STORE_KEY_MAX = 511,       // bytes: LMDB 0.9's limit; longer keys must be hashed by who makes them
    STORE_VALUE_MAX = 1 << 28, // bytes: far over DOCUMENT_MAX, far under the 2 GB where LMDB 0.9 miscounts (ITS#10346)
};

// META key of the format version (be32), written with the store itself and read before anything else.
#define STORE_FORMAT_KEY "format"

enum cursor_move { MOVE_SEEK, MOVE_FIRST, MOVE_LAST, MOVE_NEXT, MOVE_PREV };

// Contract: an operation is called only on a transaction without an error, writes only on a write transaction, keys have 1 to
// STORE_KEY_MAX bytes. Failures inside go to txn_fail(), and the operation answers "absent".
struct store_ops {
    void (*close)(struct store *store);
    void (*size)(struct store *store, uint64_t *ret_bytes, uint64_t *ret_map_bytes);
    struct txn *(*begin)(struct store *store, bool write, struct error *error);
    enum error_code (*commit)(struct txn *txn, struct error *error); // ends the transaction, whatever it returns
    void (*abort)(struct txn *txn);
    bool (*get)(struct txn *txn, enum table table, struct bytes key, struct bytes *ret);
    void (*put)(struct txn *txn, enum table table, struct bytes key, struct bytes value, bool append);
    bool (*remove)(struct txn *txn, enum table table, struct bytes key);
    uint64_t (*count)(struct txn *txn, enum table table);
    bool (*file)(struct txn *txn, int *ret_fd, uint64_t *ret_number); // NULL: there is none
    struct cursor *(*cursor_open)(struct txn *txn, enum table table);
    // NEXT and PREV only from a row. Sets cursor->key and cursor->value when it returns true.
    bool (*cursor_move)(struct cursor *cursor, enum cursor_move move, struct bytes key);
    void (*cursor_close)(struct cursor *cursor);
};

// Each implementation's own structs begin with these.
struct store {
    const struct store_ops *ops;
};

struct txn {
    const struct store_ops *ops;
    struct store *store;
    bool write;
    uint32_t cursors;             // open in it
    uint32_t writes[TABLE_COUNT]; // so that a cursor knows when it has gone stale
    struct error error;           // the first one
};

enum cursor_place { PLACE_NEW, PLACE_BEFORE, PLACE_ROW, PLACE_AFTER };

struct cursor {
    struct txn *txn;
    enum table table;
    enum cursor_place place;
    uint32_t writes;
    struct bytes key, value;
};

// Writes, and checks, the format version. ERR_CORRUPT: missing; ERR_VERSION: another one.
void store_format_write(struct txn *txn);
enum error_code store_format_check(struct txn *txn, struct error *error);
