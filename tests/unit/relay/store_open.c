// Which tables a store must have to be opened. What else opening looks at: store_file.c, store_lmdb.c.
#include "tests/unit/relay/store_fixture.h"

#include <fcntl.h>
#include <lmdb.h>
#include <string.h>
#include <sys/stat.h>

static char directory[FIXTURE_PATH_MAX];

static int setup(void **state)
{
    (void)state;
    fixture_make(directory);
    store_close(fixture_open(directory, STORE_CREATE, 0));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fixture_remove(directory);
    return 0;
}

static enum error_code try_open(enum store_mode mode, struct error *error)
{
    struct store *store = NULL;
    enum error_code code = store_open(directory, mode, 0, &store, error);
    assert_true((code == OK) == (store != NULL));
    store_close(store);
    return code;
}

// One letter of the table's name rots, wherever the name stands.
static void rot_name(const char *name, const char *rotten)
{
    char path[FIXTURE_PATH_MAX + 32];
    struct stat status;
    unsigned found = 0;
    snprintf(path, sizeof path, "%s/store/data.mdb", directory);
    int fd = open(path, O_RDWR);
    assert_int_equal(fstat(fd, &status), 0);
    size_t size = (size_t)status.st_size;
    uint8_t *bytes = malloc(size);
    assert_non_null(bytes);
    assert_int_equal(pread(fd, bytes, size, 0), size);
    for (uint8_t *at = bytes; (at = memmem(at, size - (size_t)(at - bytes), name, strlen(name))); found++)
        memcpy(at, rotten, strlen(name));
    assert_true(found >= 1);
    assert_int_equal(pwrite(fd, bytes, size, 0), size);
    free(bytes);
    close(fd);
}

static void must_be_refused(const char *name)
{
    static const enum store_mode modes[] = {STORE_READ_ONLY, STORE_OPEN, STORE_READ_ONLY};
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct error error = {0};
        assert_int_equal(try_open(modes[i], &error), ERR_CORRUPT);
        assert_non_null(strstr(error.detail, name));
        assert_non_null(strstr(error.detail, "--salvage"));
    }
}

// Opened for writing, the table would be made anew, empty.
static void fault_12_a_table_with_a_rotten_name_is_not_taken_for_one_that_is_new(void **state)
{
    (void)state;
    rot_name("guests", "guestr");
    must_be_refused("guests");
}

static void fault_12_one_of_the_first_tables_is_missing(void **state)
{
    (void)state;
    rot_name("edges", "edger");
    must_be_refused("edges");
}

static void change(void (*how)(MDB_txn *txn))
{
    char path[FIXTURE_PATH_MAX + 16];
    MDB_env *env;
    MDB_txn *txn;
    snprintf(path, sizeof path, "%s/store", directory);
    assert_int_equal(mdb_env_create(&env), 0);
    assert_int_equal(mdb_env_set_maxdbs(env, 32), 0);
    assert_int_equal(mdb_env_open(env, path, 0, 0600), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    how(txn);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void drop(MDB_txn *txn)
{
    MDB_dbi dbi;
    assert_int_equal(mdb_dbi_open(txn, "guests", 0, &dbi), 0);
    assert_int_equal(mdb_drop(txn, dbi, 1), 0);
}

static void add(MDB_txn *txn)
{
    MDB_dbi dbi;
    assert_int_equal(mdb_dbi_open(txn, "later", MDB_CREATE, &dbi), 0);
}

static void test_an_older_store_lacks_a_table_and_gets_it(void **state)
{
    (void)state;
    change(drop);
    assert_int_equal(try_open(STORE_READ_ONLY, NULL), OK);
    assert_int_equal(try_open(STORE_OPEN, NULL), OK);
    change(drop); // it was there again
}

static void test_a_newer_store_has_one_that_is_left_alone(void **state)
{
    (void)state;
    change(add);
    assert_int_equal(try_open(STORE_READ_ONLY, NULL), OK);
    assert_int_equal(try_open(STORE_OPEN, NULL), OK);
    change(drop);
    must_be_refused("guests"); // a newer program would have made this one, too
}

static void fault_12_a_store_that_does_not_say_its_format_is_damaged(void **state)
{
    (void)state;
    struct error error = {0};
    struct store *store = fixture_open(directory, STORE_OPEN, 0);
    struct txn *txn = fixture_begin(store, true);
    assert_true(txn_delete(txn, TABLE_META, bytes_of_text("format")));
    fixture_commit(txn);
    store_close(store);
    assert_int_equal(try_open(STORE_OPEN, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.detail, "--salvage"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(fault_12_a_table_with_a_rotten_name_is_not_taken_for_one_that_is_new),
        TEST(fault_12_one_of_the_first_tables_is_missing),
        TEST(test_an_older_store_lacks_a_table_and_gets_it),
        TEST(test_a_newer_store_has_one_that_is_left_alone),
        TEST(fault_12_a_store_that_does_not_say_its_format_is_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
