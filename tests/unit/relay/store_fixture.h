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
