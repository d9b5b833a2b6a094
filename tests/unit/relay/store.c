#include "tests/unit/relay/store_fixture.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "relay/store_memory.h"

// Every test here runs over both stores: the promises are of store.h.
struct place {
    char directory[FIXTURE_PATH_MAX];
    struct store *store;
};

static int setup_lmdb(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    fixture_make(place->directory);
    place->store = fixture_open(place->directory, STORE_CREATE, 0);
    *state = place;
    return 0;
}

static int setup_memory(void **state)
{
    struct place *place = calloc(1, sizeof *place);
    assert_int_equal(store_memory_create(&place->store, NULL), OK);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;
    store_close(place->store);
    if (place->directory[0])
        fixture_remove(place->directory);
    free(place);
    return 0;
}

static void put(struct txn *txn, const char *key, const char *value)
{
    txn_put(txn, TABLE_EDGES, bytes_of_text(key), bytes_of_text(value));
}

static bool has(struct txn *txn, const char *key, const char *value)
{
    struct bytes found;
    return txn_get(txn, TABLE_EDGES, bytes_of_text(key), &found) && bytes_equal(found, bytes_of_text(value));
}

static void test_rows_of_a_transaction(void **state)
{
    struct store *store = ((struct place *)*state)->store;
    struct txn *txn = fixture_begin(store, true);
    put(txn, "a", "1");
    put(txn, "b", "");
    put(txn, "a", "2");
    assert_true(has(txn, "a", "2"));
    assert_true(has(txn, "b", ""));
    assert_int_equal(txn_count(txn, TABLE_EDGES), 2);
    assert_int_equal(txn_count(txn, TABLE_CELLS), 0);
    fixture_commit(txn);

    txn = fixture_begin(store, true);
    assert_true(txn_delete(txn, TABLE_EDGES, bytes_of_text("a")));
    assert_false(txn_delete(txn, TABLE_EDGES, bytes_of_text("a")));
    put(txn, "c", "3");
    txn_abort(txn);

    txn = fixture_begin(store, false);
    assert_true(has(txn, "a", "2"));
    assert_false(has(txn, "c", "3"));
    assert_int_equal(txn_count(txn, TABLE_EDGES), 2);
    assert_int_equal(txn_commit(txn, NULL), OK);
    txn_abort(NULL);
}

static void test_reader_sees_its_snapshot(void **state)
{
    struct store *store = ((struct place *)*state)->store;
    struct txn *txn = fixture_begin(store, true);
    put(txn, "a", "old");
    fixture_commit(txn);
    struct txn *reader = fixture_begin(store, false);
    txn = fixture_begin(store, true);
    put(txn, "a", "new");
    assert_true(has(reader, "a", "old"));
    fixture_commit(txn);
    assert_true(has(reader, "a", "old"));
    txn_abort(reader);
    reader = fixture_begin(store, false);
    assert_true(has(reader, "a", "new"));
    txn_abort(reader);
}

static void test_error_is_sticky(void **state)
{
    struct store *store = ((struct place *)*state)->store;
    struct txn *txn = fixture_begin(store, true);
    struct error error = {0};
    put(txn, "a", "1");
    struct cursor *cursor = cursor_open(txn, TABLE_EDGES);
    assert_true(cursor_last(cursor));
    txn_fail(txn, ERR_CORRUPT, "first 100 %s");
    txn_fail(txn, ERR_FULL, "second");
    assert_int_equal(txn_error(txn), ERR_CORRUPT);
    assert_false(has(txn, "a", "1"));
    assert_int_equal(txn_count(txn, TABLE_EDGES), 0);
    assert_false(txn_delete(txn, TABLE_EDGES, bytes_of_text("a")));
    put(txn, "b", "2");
    assert_false(cursor_last(cursor));
    assert_false(cursor_seek(cursor, bytes_of_text("a")));
    assert_false(cursor_next(cursor));
    assert_false(cursor_prev(cursor));
    assert_int_equal(cursor_key(cursor).size, 0);
    cursor_close(cursor);
    assert_null(cursor_open(txn, TABLE_EDGES));
    assert_int_equal(txn_report(txn, &error), ERR_CORRUPT);
    error = (struct error){0};
    assert_int_equal(txn_commit(txn, &error), ERR_CORRUPT);
    assert_int_equal(error.code, ERR_CORRUPT);
    assert_string_equal(error.detail, "first 100 %s");

    txn = fixture_begin(store, false);
    assert_int_equal(txn_count(txn, TABLE_EDGES), 0);
    txn_fail(txn, ERR_LIMIT, "a reader's too");
    assert_int_equal(txn_commit(txn, NULL), ERR_LIMIT);
    cursor_close(NULL);
}

static void test_limits_of_keys_and_values(void **state)
{
    struct store *store = ((struct place *)*state)->store;
    char key[512];
    struct bytes value;
    memset(key, 'k', sizeof key);
    struct txn *txn = fixture_begin(store, true);
    txn_put(txn, TABLE_EDGES, bytes_of(key, 511), bytes_of_text("long"));
    assert_true(txn_get(txn, TABLE_EDGES, bytes_of(key, 511), &value));
    fixture_commit(txn);
    for (int i = 0; i < 5; i++) {
        txn = fixture_begin(store, true);
        struct bytes bad = bytes_of(key, i % 2 ? 512 : 0);
        struct cursor *cursor = cursor_open(txn, TABLE_EDGES);
        if (i == 0 || i == 1)
            txn_put(txn, TABLE_EDGES, bad, bytes_of_text("x"));
        else if (i == 2)
            txn_delete(txn, TABLE_EDGES, bad);
        else if (i == 3)
            assert_false(txn_get(txn, TABLE_EDGES, bad, &value));
        else
            assert_false(cursor_seek(cursor, bytes_of(key, 512)));
        cursor_close(cursor);
        assert_int_equal(txn_commit(txn, NULL), ERR_LIMIT);
    }
    txn = fixture_begin(store, true);
    txn_put(txn, TABLE_EDGES, bytes_of_text("big"), bytes_of(key, ((size_t)1 << 28) + 1)); // refused before it is read
    assert_int_equal(txn_commit(txn, NULL), ERR_LIMIT);
}

static void test_append_wants_the_last_key(void **state)
{
    struct store *store = ((struct place *)*state)->store;
    struct txn *txn = fixture_begin(store, true);
    txn_append(txn, TABLE_JOURNAL, bytes_of_text("b"), bytes_of_text("1"));
    txn_append(txn, TABLE_JOURNAL, bytes_of_text("c"), bytes_of_text("2"));
    fixture_commit(txn);
    static const char *const late[] = {"a", "c"};
    for (size_t i = 0; i < 2; i++) {
        txn = fixture_begin(store, true);
        txn_append(txn, TABLE_JOURNAL, bytes_of_text(late[i]), bytes_of_text("3"));
        assert_int_equal(txn_commit(txn, NULL), ERR_CORRUPT);
    }
    txn = fixture_begin(store, false);
    assert_int_equal(txn_count(txn, TABLE_JOURNAL), 2);
    txn_abort(txn);
}

static void at(const struct cursor *cursor, const char *key)
{
    assert_true(bytes_equal(cursor_key(cursor), bytes_of_text(key)));
    assert_true(bytes_equal(cursor_value(cursor), bytes_of_text(key)));
}

static void test_cursor_places(void **state)
{
    struct store *store = ((struct place *)*state)->store;
    struct txn *txn = fixture_begin(store, true);
    struct cursor *cursor = cursor_open(txn, TABLE_EDGES); // an empty table
    assert_false(cursor_seek(cursor, bytes_of_text("a")));
    assert_false(cursor_prev(cursor));
    assert_false(cursor_next(cursor));
    assert_false(cursor_last(cursor));
    assert_int_equal(cursor_key(cursor).size, 0);
    put(txn, "b", "b");
    put(txn, "d", "d");
    put(txn, "dd", "dd");
    assert_true(cursor_seek(cursor, bytes_of_text("c")));
    at(cursor, "d");
    assert_true(cursor_seek(cursor, bytes_of_text("d")));
    at(cursor, "d");
    assert_true(cursor_next(cursor));
    at(cursor, "dd");
    assert_false(cursor_next(cursor));
    assert_false(cursor_next(cursor)); // stays behind the last
    assert_true(cursor_prev(cursor));
    at(cursor, "dd");
    assert_false(cursor_seek(cursor, bytes_of_text("e")));
    assert_false(cursor_next(cursor));
    assert_true(cursor_prev(cursor));
    at(cursor, "dd");
    assert_true(cursor_seek(cursor, bytes_of(NULL, 0)));
    at(cursor, "b");
    assert_true(cursor_seek(cursor, bytes_of_text("a")));
    at(cursor, "b");
    assert_false(cursor_prev(cursor));
    assert_false(cursor_prev(cursor)); // stays before the first
    assert_int_equal(cursor_value(cursor).size, 0);
    assert_true(cursor_next(cursor));
    at(cursor, "b");
    assert_true(cursor_last(cursor));
    at(cursor, "dd");
    cursor_close(cursor);

    cursor = cursor_open(txn, TABLE_EDGES);
    assert_true(cursor_next(cursor)); // a new one
    at(cursor, "b");
    cursor_close(cursor);
    cursor = cursor_open(txn, TABLE_EDGES);
    assert_true(cursor_prev(cursor));
    at(cursor, "dd");
    txn_delete(txn, TABLE_EDGES, bytes_of_text("dd"));
    assert_true(cursor_seek(cursor, bytes_of_text("c"))); // after a write: seek again
    at(cursor, "d");
    cursor_close(cursor);
    fixture_commit(txn);
}

// Whether `misuse` ends the process by an assertion.
static bool asserts(struct store *store, void (*misuse)(struct store *store))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        struct rlimit none = {0};
        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(2);
        misuse(store);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void stale_cursor(struct store *store)
{
    struct txn *txn = txn_begin(store, true, NULL);
    put(txn, "a", "1");
    struct cursor *cursor = cursor_open(txn, TABLE_EDGES);
    cursor_next(cursor);
    put(txn, "b", "2");
    cursor_next(cursor);
}

static void open_cursor(struct store *store)
{
    struct txn *txn = txn_begin(store, true, NULL);
    cursor_open(txn, TABLE_EDGES);
    txn_commit(txn, NULL);
}

static void write_by_reader(struct store *store) { put(txn_begin(store, false, NULL), "a", "1"); }

static void second_writer(struct store *store)
{
    txn_begin(store, true, NULL);
    txn_begin(store, true, NULL);
}

static void close_in_use(struct store *store)
{
    txn_begin(store, false, NULL);
    store_close(store);
}

static void test_misuse_asserts(void **state)
{
    struct store *store = ((struct place *)*state)->store;
    assert_true(asserts(store, stale_cursor));
    assert_true(asserts(store, open_cursor));
    assert_true(asserts(store, write_by_reader));
    assert_true(asserts(store, second_writer));
    assert_true(asserts(store, close_in_use));
}

static void test_size_grows(void **state)
{
    struct store *store = ((struct place *)*state)->store;
    static const uint8_t zeros[100000];
    uint64_t before, after, map;
    store_size(store, &before, &map);
    assert_int_equal(fixture_put(store, "x", zeros, sizeof zeros), OK);
    store_size(store, &after, &map);
    assert_true(after >= before + sizeof zeros && map > after);
}

static void test_table_names(void **state)
{
    (void)state;
    assert_string_equal(table_name(TABLE_META), "meta");
    assert_string_equal(table_name(TABLE_EDGES), "edges");
    store_close(NULL);
}

#define BOTH(test)                                                                                                                         \
    cmocka_unit_test_setup_teardown(test, setup_lmdb, teardown), cmocka_unit_test_setup_teardown(test, setup_memory, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(test_rows_of_a_transaction),
        BOTH(test_reader_sees_its_snapshot),
        BOTH(test_error_is_sticky),
        BOTH(test_limits_of_keys_and_values),
        BOTH(test_append_wants_the_last_key),
        BOTH(test_cursor_places),
        BOTH(test_misuse_asserts),
        BOTH(test_size_grows),
        cmocka_unit_test(test_table_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
