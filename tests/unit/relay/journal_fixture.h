// A journal in a memory store, and batches for it.
#pragma once
#include "tests/unit/relay/store_fixture.h"

#include <string.h>

#include "relay/crypto.h"
#include "relay/journal.h"
#include "relay/store_memory.h"

static inline int journal_setup(void **state)
{
    struct store *store;
    assert_int_equal(crypto_init(NULL), OK);
    assert_int_equal(store_memory_create(&store, NULL), OK);
    *state = store;
    return 0;
}

static inline int journal_teardown(void **state)
{
    store_close(*state);
    return 0;
}

#define JOURNAL_TEST(test) cmocka_unit_test_setup_teardown(test, journal_setup, journal_teardown)

static inline struct station_id a_station(uint8_t n)
{
    struct station_id station;
    memset(station.bytes, n, sizeof station.bytes);
    return station;
}

static inline struct hash a_hash(uint8_t n)
{
    struct hash hash;
    memset(hash.bytes, n, sizeof hash.bytes);
    return hash;
}

static inline struct feed_key a_feed(uint8_t n)
{
    return (struct feed_key){.station = a_station(n), .ordinal = 1, .nonce = 7, .lane = 1, .audience = 1};
}

static inline struct batch_row a_batch(uint32_t feed, uint64_t first, uint32_t count)
{
    return (struct batch_row){
        .feed = feed,
        .first = first,
        .count = count,
        .received_ms = 1000 + first,
        .from = a_station(9),
        .verdict = VERDICT_APPLIED,
        .header = bytes_of_text("header"),
        .signature = bytes_of_text("signature"),
        .body = bytes_of_text("the body"),
    };
}

// Fails in the transaction with `code`, and ends it.
static inline void assert_fails(struct txn *txn, enum error_code code)
{
    struct error error = {0};
    assert_int_equal(txn_commit(txn, &error), code);
    assert_true(error.detail[0] != 0);
}

// Turns one bit of the first row of `table` and commits.
static inline void damage(struct store *store, enum table table)
{
    uint8_t key[512], value[4096];
    struct txn *txn = fixture_begin(store, true);
    struct cursor *cursor = cursor_open(txn, table);
    assert_true(cursor_next(cursor));
    struct bytes k = cursor_key(cursor), v = cursor_value(cursor);
    assert_true(v.size <= sizeof value);
    memcpy(key, k.data, k.size);
    memcpy(value, v.data, v.size);
    value[v.size / 2] ^= 1;
    cursor_close(cursor);
    txn_put(txn, table, bytes_of(key, k.size), bytes_of(value, v.size));
    fixture_commit(txn);
}
