#include "relay/store_memory.h"

#include "tests/unit/relay/store_fixture.h"

#include <string.h>

static uint64_t seed;
static unsigned draw(unsigned below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(seed >> 33) % below;
}

static struct store *make(void)
{
    struct store *store;
    assert_int_equal(store_memory_create(&store, NULL), OK);
    return store;
}

// ---- the same operations on both stores

struct pair {
    struct store *stores[2]; // LMDB, memory
    struct txn *txns[2];
};

static size_t draw_key(uint8_t key[8])
{
    size_t size = 1 + draw(3);
    for (size_t i = 0; i < size; i++)
        key[i] = (uint8_t)(draw(6) * 51); // few, and one the beginning of another
    return size;
}

static void same(struct bytes a, struct bytes b) { assert_true(bytes_equal(a, b)); }

static void same_cursors(struct pair *pair, enum table table)
{
    struct cursor *a = cursor_open(pair->txns[0], table), *b = cursor_open(pair->txns[1], table);
    assert_int_equal(a == NULL, b == NULL);
    for (unsigned moves = draw(12); a && moves > 0; moves--) {
        uint8_t key[8];
        size_t size = draw_key(key);
        bool found[2];
        unsigned how = draw(5);
        for (unsigned i = 0; i < 2; i++) {
            struct cursor *cursor = i ? b : a;
            found[i] = how == 0   ? cursor_seek(cursor, bytes_of(key, size))
                       : how == 1 ? cursor_last(cursor)
                       : how <= 3 ? cursor_next(cursor)
                                  : cursor_prev(cursor);
        }
        assert_int_equal(found[0], found[1]);
        same(cursor_key(a), cursor_key(b));
        same(cursor_value(a), cursor_value(b));
    }
    cursor_close(a);
    cursor_close(b);
}

static void operate(struct pair *pair, const uint8_t *data)
{
    enum table table = draw(2) ? TABLE_CELLS : TABLE_EDGES;
    uint8_t key[8];
    size_t size = draw_key(key), value_size = draw(30) ? draw(40) : draw(9000);
    unsigned how = draw(20), offset = draw(100);
    bool found[2];
    struct bytes values[2] = {0};
    for (unsigned i = 0; i < 2; i++) {
        struct txn *txn = pair->txns[i];
        found[i] = false;
        if (how < 8)
            txn_put(txn, table, bytes_of(key, size), bytes_of(data + offset, value_size));
        else if (how < 12)
            found[i] = txn_delete(txn, table, bytes_of(key, size));
        else if (how < 15)
            found[i] = txn_get(txn, table, bytes_of(key, size), &values[i]);
        else if (how == 15 && offset < 3)
            txn_append(txn, table, bytes_of(key, size), bytes_of(data, 3));
    }
    assert_int_equal(found[0], found[1]);
    same(values[0], values[1]);
    assert_int_equal(txn_count(pair->txns[0], table), txn_count(pair->txns[1], table));
    assert_int_equal(txn_error(pair->txns[0]), txn_error(pair->txns[1]));
    if (how > 15)
        same_cursors(pair, table);
}

// The whole of both, forwards in one and backwards in the other's order of visit.
static void same_contents(struct pair *pair)
{
    for (unsigned table = 0; table < TABLE_COUNT; table++) {
        struct cursor *a = cursor_open(pair->txns[0], (enum table)table), *b = cursor_open(pair->txns[1], (enum table)table);
        uint64_t rows = 0;
        while (cursor_next(a)) {
            assert_true(cursor_next(b));
            same(cursor_key(a), cursor_key(b));
            same(cursor_value(a), cursor_value(b));
            rows++;
        }
        assert_false(cursor_next(b));
        for (uint64_t i = 0; i < rows; i++) {
            assert_true(cursor_prev(a) && cursor_prev(b));
            same(cursor_key(a), cursor_key(b));
        }
        assert_false(cursor_prev(b));
        assert_int_equal(rows, txn_count(pair->txns[1], (enum table)table));
        cursor_close(a);
        cursor_close(b);
    }
}

static void begin(struct pair *pair, bool write)
{
    for (unsigned i = 0; i < 2; i++)
        pair->txns[i] = fixture_begin(pair->stores[i], write);
}

static void end(struct pair *pair)
{
    bool commit = draw(4) > 0;
    enum error_code codes[2] = {OK, OK};
    for (unsigned i = 0; i < 2; i++) {
        if (commit)
            codes[i] = txn_commit(pair->txns[i], NULL);
        else
            txn_abort(pair->txns[i]);
    }
    assert_int_equal(codes[0], codes[1]);
}

static void test_both_stores_answer_alike(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX];
    uint8_t data[9200];
    fixture_make(directory);
    seed = 20;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)draw(256);
    struct pair pair = {{fixture_open(directory, STORE_CREATE, 0), make()}, {0}};
    struct pair snapshot = pair;
    for (unsigned round = 0; round < 250; round++) {
        bool old_reader = draw(3) == 0;
        if (old_reader)
            begin(&snapshot, false);
        begin(&pair, true);
        for (unsigned i = draw(60); i > 0; i--)
            operate(&pair, data);
        if (txn_error(pair.txns[0]) == OK)
            same_contents(&pair);
        end(&pair);
        if (old_reader) {
            same_contents(&snapshot); // still the one before
            end(&snapshot);
        }
    }
    begin(&pair, false);
    int fd;
    uint64_t number;
    assert_true(txn_file(pair.txns[0], &fd, &number) && fd >= 0 && number > 100);
    assert_false(txn_file(pair.txns[1], &fd, &number));
    assert_true(txn_count(pair.txns[0], TABLE_CELLS) > 50);
    same_contents(&pair);
    end(&pair);
    store_close(pair.stores[0]);
    store_close(pair.stores[1]);
    fixture_remove(directory);
}

// ---- what only this store can do

static void test_copy_is_a_store_of_its_own(void **state)
{
    (void)state;
    struct store *store = make(), *backup;
    assert_int_equal(fixture_put(store, "a", "1", 1), OK);
    struct txn *open = fixture_begin(store, true);
    txn_put(open, TABLE_OBJECTS, bytes_of_text("open"), bytes_of_text("x"));
    assert_int_equal(store_memory_copy(store, &backup, NULL), OK); // of what is committed
    fixture_commit(open);
    assert_int_equal(fixture_put(store, "b", "22", 2), OK);
    assert_int_equal(fixture_put(backup, "a", "333", 3), OK);
    assert_int_equal(fixture_size(store, "a"), 1);
    assert_int_equal(fixture_size(backup, "a"), 3);
    assert_int_equal(fixture_size(backup, "b"), SIZE_MAX);
    assert_int_equal(fixture_size(backup, "open"), SIZE_MAX);
    store_close(store);
    assert_int_equal(fixture_put(backup, "c", "1", 1), OK);
    store_close(backup);
}

static void test_full_disk(void **state)
{
    (void)state;
    struct store *store = make();
    store_memory_fail(store, 1, ERR_FULL, false);
    assert_int_equal(fixture_size(store, "a"), SIZE_MAX); // readers do not count
    assert_int_equal(fixture_put(store, "a", "1", 1), OK);
    assert_int_equal(fixture_put(store, "b", "1", 1), ERR_FULL);
    assert_int_equal(fixture_size(store, "b"), SIZE_MAX);
    assert_int_equal(fixture_put(store, "b", "1", 1), OK);
    store_close(store);
}

static void test_unknown_outcome(void **state)
{
    (void)state;
    for (int kept = 0; kept < 2; kept++) {
        struct error error = {0};
        struct store *store = make();
        store_memory_fail(store, 0, ERR_STORE, kept);
        assert_int_equal(fixture_put(store, "a", "1", 1), ERR_STORE);
        assert_null(txn_begin(store, false, &error));
        assert_int_equal(error.code, ERR_STORE);
        assert_null(txn_begin(store, true, NULL));
        store_memory_restart(store);
        assert_int_equal(fixture_size(store, "a"), kept ? 1 : SIZE_MAX);
        assert_int_equal(fixture_put(store, "b", "1", 1), OK);
        store_close(store);
    }
}

static void test_restart_forgets_the_failure(void **state)
{
    (void)state;
    struct store *store = make();
    store_memory_fail(store, 0, ERR_STORE, false);
    store_memory_restart(store);
    assert_int_equal(fixture_put(store, "a", "1", 1), OK);
    store_close(store);
}

static void test_size_is_of_the_rows(void **state)
{
    (void)state;
    struct store *store = make();
    uint64_t empty, bytes, map;
    store_size(store, &empty, &map);
    assert_int_equal(empty, 6 + 4); // the format
    assert_int_equal(fixture_put(store, "key", "value", 5), OK);
    assert_int_equal(fixture_put(store, "key", "12", 2), OK);
    store_size(store, &bytes, &map);
    assert_int_equal(bytes, empty + 5);
    struct txn *txn = fixture_begin(store, true);
    assert_true(txn_delete(txn, TABLE_OBJECTS, bytes_of_text("key")));
    fixture_commit(txn);
    store_size(store, &bytes, &map);
    assert_int_equal(bytes, empty);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_stores_answer_alike),
        cmocka_unit_test(test_copy_is_a_store_of_its_own),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_unknown_outcome),
        cmocka_unit_test(test_restart_forgets_the_failure),
        cmocka_unit_test(test_size_is_of_the_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
