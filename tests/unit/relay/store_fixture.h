// A temporary directory with a store in it, and the calls that every test of the store repeats.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "relay/store.h"

enum { FIXTURE_PATH_MAX = 1024 };

static inline void fixture_make(char ret[FIXTURE_PATH_MAX])
{
    const char *base = getenv("TMPDIR");
    snprintf(ret, FIXTURE_PATH_MAX, "%.800s/sanji-store-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(ret));
}

static inline int fixture_remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

static inline void fixture_remove(const char *directory)
{
    assert_int_equal(nftw(directory, fixture_remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static inline struct store *fixture_open(const char *directory, enum store_mode mode, uint64_t map_bytes)
{
    struct store *store = NULL;
    struct error error = {0};
    enum error_code code = store_open(directory, mode, map_bytes, &store, &error);
    if (code)
        print_error("%s: %s\n", error_name(code), error.detail);
    assert_int_equal(code, OK);
    return store;
}

static inline struct txn *fixture_begin(struct store *store, bool write)
{
    struct error error = {0};
    struct txn *txn = txn_begin(store, write, &error);
    if (!txn)
        print_error("%s: %s\n", error_name(error.code), error.detail);
    assert_non_null(txn);
    return txn;
}

static inline void fixture_commit(struct txn *txn)
{
    struct error error = {0};
    enum error_code code = txn_commit(txn, &error);
    if (code)
        print_error("%s: %s\n", error_name(code), error.detail);
    assert_int_equal(code, OK);
}

// One row in a transaction of its own.
static inline enum error_code fixture_put(struct store *store, const char *key, const void *data, size_t size)
{
    struct txn *txn = fixture_begin(store, true);
    txn_put(txn, TABLE_OBJECTS, bytes_of_text(key), bytes_of(data, size));
    return txn_commit(txn, NULL);
}

// Size of a row's value; SIZE_MAX: absent.
static inline size_t fixture_size(struct store *store, const char *key)
{
    struct bytes value;
    struct txn *txn = fixture_begin(store, false);
    bool found = txn_get(txn, TABLE_OBJECTS, bytes_of_text(key), &value);
    size_t size = found ? value.size : SIZE_MAX;
    assert_int_equal(txn_commit(txn, NULL), OK);
    return size;
}

// The same numbers in each run.
static inline unsigned fixture_draw(unsigned below)
{
    static uint64_t seed = 7;
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

// Puts and deletes of all sizes, so that pages are taken at the end of the file and given back in the same transaction. `data` has
// FIXTURE_CHURN_MAX bytes.
enum { FIXTURE_CHURN_MAX = 300000 };
static inline void fixture_churn(struct store *store, uint8_t *data)
{
    struct txn *txn = fixture_begin(store, true);
    unsigned count = fixture_draw(200);
    bool clear = fixture_draw(4) == 0;
    for (unsigned i = 0; i < count; i++) {
        uint8_t key[4];
        put_be32(key, fixture_draw(1000));
        size_t size = fixture_draw(20) == 0 ? fixture_draw(FIXTURE_CHURN_MAX) : fixture_draw(1500);
        if (fixture_draw(2))
            txn_put(txn, TABLE_CELLS, bytes_of(key, 4), bytes_of(data, size));
        else
            txn_delete(txn, TABLE_CELLS, bytes_of(key, 4));
    }
    for (unsigned i = 0; clear && i < 1000; i++) {
        uint8_t key[4];
        put_be32(key, i);
        txn_delete(txn, TABLE_CELLS, bytes_of(key, 4));
    }
    fixture_commit(txn);
}
