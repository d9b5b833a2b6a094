#include "tests/unit/relay/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { MIB = 1 << 20, CRASHED = 107, WHOLE = 108 };

// ---- the disk: this program's own calls come before libc's, also for liblmdb

static unsigned calls;    // of the functions below
static unsigned crash_at; // the process ends before this call
static bool fail_fdatasync, fail_meta;

static void step(void)
{
    if (++calls == crash_at)
        _exit(CRASHED);
}

int fsync(int fd)
{
    step();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    step();
    if (fail_fdatasync) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

int rename(const char *from, const char *to)
{
    step();
    return (int)syscall(SYS_rename, from, to);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    step();
    if (fail_meta && size < 512) { // LMDB writes a meta page's 120 bytes, and otherwise whole pages
        errno = EIO;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, size, offset);
}

// ---- helpers

static enum error_code try_open(const char *directory, enum store_mode mode, struct error *error)
{
    struct store *store = NULL;
    enum error_code code = store_open(directory, mode, 0, &store, error);
    assert_true((code == OK) == (store != NULL));
    store_close(store);
    return code;
}

static void data_path(const char *directory, char ret[FIXTURE_PATH_MAX + 32])
{
    snprintf(ret, FIXTURE_PATH_MAX + 32, "%s/store/data.mdb", directory);
}

static off_t size_of_file(const char *path)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

// Runs `run` in a child and returns its exit code; a signal is an error of the test.
static int in_child(int (*run)(const char *directory), const char *directory)
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(run(directory));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        print_error("the child ended by signal %d\n", WTERMSIG(status));
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static uint8_t block[300000];

static void key_of(unsigned number, char ret[16]) { snprintf(ret, 16, "row-%08u", number); }

// ---- opening and creating

static void test_rows_survive_reopening(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX];
    fixture_make(directory);
    struct store *store = fixture_open(directory, STORE_CREATE, 0);
    assert_int_equal(fixture_put(store, "a", "12345", 5), OK);
    struct txn *txn = fixture_begin(store, true);
    txn_put(txn, TABLE_OBJECTS, bytes_of_text("b"), bytes_of_text("never committed"));
    txn_abort(txn);
    store_close(store);
    store = fixture_open(directory, STORE_OPEN, 0);
    assert_int_equal(fixture_size(store, "a"), 5);
    assert_int_equal(fixture_size(store, "b"), SIZE_MAX);
    store_close(store);
    fixture_remove(directory);
}

static void test_nothing_there(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX], missing[FIXTURE_PATH_MAX + 16];
    struct error error = {0};
    fixture_make(directory);
    assert_int_equal(try_open(directory, STORE_OPEN, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.detail, directory));
    assert_int_equal(try_open(directory, STORE_READ_ONLY, NULL), ERR_NOT_FOUND);
    snprintf(missing, sizeof missing, "%s/missing", directory);
    assert_int_equal(try_open(missing, STORE_CREATE, NULL), ERR_NOT_FOUND);
    assert_int_equal(rmdir(directory), 0); // nothing was made
}

static void test_path_too_long(void **state)
{
    (void)state;
    char path[5000];
    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = 0;
    assert_int_equal(try_open(path, STORE_CREATE, NULL), ERR_LIMIT);
}

static void fault_12_refuses_to_create_again(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX + 32], store_path[FIXTURE_PATH_MAX + 16];
    struct error error = {0};
    fixture_make(directory);
    struct store *store = fixture_open(directory, STORE_CREATE, 0);
    assert_int_equal(fixture_put(store, "a", "1", 1), OK);
    store_close(store);
    assert_int_equal(try_open(directory, STORE_CREATE, &error), ERR_EXISTS);
    store = fixture_open(directory, STORE_OPEN, 0);
    assert_int_equal(fixture_size(store, "a"), 1);
    store_close(store);

    // Garbage, emptiness and a missing file are a damaged store and not a new one.
    data_path(directory, path);
    int fd = open(path, O_WRONLY);
    memset(block, 0xA5, 8192);
    assert_int_equal(syscall(SYS_pwrite64, fd, block, 8192, 0), 8192);
    assert_int_equal(try_open(directory, STORE_OPEN, &error), ERR_CORRUPT);
    assert_int_equal(ftruncate(fd, 0), 0);
    close(fd);
    assert_int_equal(try_open(directory, STORE_OPEN, &error), ERR_CORRUPT);
    assert_int_equal(size_of_file(path), 0); // kept as it was
    assert_int_equal(try_open(directory, STORE_CREATE, &error), ERR_EXISTS);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(try_open(directory, STORE_OPEN, &error), ERR_CORRUPT);
    assert_int_equal(try_open(directory, STORE_CREATE, &error), ERR_EXISTS);
    assert_int_not_equal(access(path, F_OK), 0);
    fixture_remove(directory);

    fixture_make(directory); // an empty directory is somebody's, too
    snprintf(store_path, sizeof store_path, "%s/store", directory);
    assert_int_equal(mkdir(store_path, 0700), 0);
    assert_int_equal(try_open(directory, STORE_CREATE, &error), ERR_EXISTS);
    fixture_remove(directory);
}

static int create_here(const char *directory)
{
    struct store *store;
    calls = 0;
    return store_open(directory, STORE_CREATE, 0, &store, NULL) == OK ? 0 : 1;
}

static void fault_04_crash_while_creating(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX];
    unsigned absent = 0, whole = 0;
    int code = CRASHED;
    for (crash_at = 1; code == CRASHED; crash_at++) {
        assert_true(crash_at < 100);
        fixture_make(directory);
        code = in_child(create_here, directory);
        assert_true(code == CRASHED || code == 0);
        unsigned keep = crash_at;
        crash_at = 0;
        enum error_code opened = try_open(directory, STORE_OPEN, NULL);
        assert_true(opened == OK || opened == ERR_NOT_FOUND);
        absent += opened == ERR_NOT_FOUND;
        whole += opened == OK;
        if (opened == ERR_NOT_FOUND) { // what the crash left behind is in nobody's way
            store_close(fixture_open(directory, STORE_CREATE, 0));
            assert_int_equal(try_open(directory, STORE_OPEN, NULL), OK);
        }
        crash_at = keep;
        fixture_remove(directory);
    }
    crash_at = 0;
    assert_true(absent >= 5 && whole >= 2); // writes and syncs before the rename, and the sync after it
}

static void test_failed_creation_leaves_nothing(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX];
    fixture_make(directory);
    fail_fdatasync = true;
    assert_int_equal(try_open(directory, STORE_CREATE, NULL), ERR_STORE);
    fail_fdatasync = false;
    assert_int_equal(rmdir(directory), 0);
}

static void test_unknown_format_is_refused_and_kept(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX];
    struct error error = {0};
    struct bytes value;
    uint8_t format[4];
    fixture_make(directory);
    struct store *store = fixture_open(directory, STORE_CREATE, 0);
    struct txn *txn = fixture_begin(store, true);
    assert_true(txn_get(txn, TABLE_META, bytes_of_text("format"), &value));
    assert_int_equal(value.size, 4);
    assert_int_equal(get_be32(value.data), STORE_FORMAT);
    put_be32(format, STORE_FORMAT + 1);
    txn_put(txn, TABLE_META, bytes_of_text("format"), bytes_of(format, 4));
    fixture_commit(txn);
    store_close(store);
    assert_int_equal(try_open(directory, STORE_OPEN, &error), ERR_VERSION);
    assert_int_equal(try_open(directory, STORE_READ_ONLY, &error), ERR_VERSION);
    assert_int_equal(try_open(directory, STORE_OPEN, &error), ERR_VERSION); // still there
    fixture_remove(directory);
}

static void test_descriptors_do_not_pass_exec(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX], link[64], target[PATH_MAX];
    unsigned found = 0;
    fixture_make(directory);
    struct store *store = fixture_open(directory, STORE_CREATE, 0);
    for (int fd = 0; fd < 256; fd++) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t size = readlink(link, target, sizeof target - 1);
        if (size < 0)
            continue;
        target[size] = 0;
        if (!strstr(target, directory))
            continue;
        found++;
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    }
    assert_true(found >= 2); // data and lock
    store_close(store);
    fixture_remove(directory);
}

// ---- damage

static int open_and_read_all(const char *directory)
{
    struct store *store;
    enum error_code code = store_open(directory, STORE_OPEN, 0, &store, NULL);
    if (code)
        return code;
    struct txn *txn = txn_begin(store, false, NULL);
    unsigned sum = 0;
    for (unsigned table = 0; table < TABLE_COUNT; table++) {
        struct cursor *cursor = cursor_open(txn, (enum table)table);
        while (cursor_next(cursor))
            for (size_t i = 0; i < cursor_value(cursor).size; i++)
                sum += cursor_value(cursor).data[i];
        cursor_close(cursor);
    }
    txn_abort(txn);
    store_close(store);
    return sum > 0 ? WHOLE : 1; // the format is no zero
}

static void fault_09_truncated_file_is_refused(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX + 32], key[16];
    fixture_make(directory);
    data_path(directory, path);
    struct store *store = fixture_open(directory, STORE_CREATE, 0);
    memset(block, 0, sizeof block);
    struct txn *txn = fixture_begin(store, true);
    for (unsigned i = 0; i < 60; i++) {
        key_of(i, key);
        txn_put(txn, TABLE_CELLS, bytes_of_text(key), bytes_of(block, i % 5 ? 900 : 20000));
    }
    fixture_commit(txn);
    store_close(store);
    // Shorter and shorter: refused, or (where only free pages are gone) whole. Never a crash.
    off_t size = size_of_file(path);
    unsigned refused = 0, tries = 0;
    for (size -= 100; size > 0; size -= 4096, tries++) {
        assert_int_equal(truncate(path, size), 0);
        int code = in_child(open_and_read_all, directory);
        if (code == WHOLE)
            continue;
        assert_int_equal(code, ERR_CORRUPT);
        assert_int_equal(size_of_file(path), size);
        refused++;
    }
    assert_true(tries > 60 && refused + 3 >= tries);
    struct error error = {0};
    assert_int_equal(try_open(directory, STORE_READ_ONLY, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.detail, "data.mdb"));
    fixture_remove(directory);
}

// ---- full

static void fault_08_full_map_grows(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX], key[16];
    uint64_t bytes, map, full = 0;
    struct error error = {0};
    fixture_make(directory);
    struct store *store = fixture_open(directory, STORE_CREATE, MIB);
    store_size(store, &bytes, &map);
    assert_int_equal(map, MIB);
    for (unsigned i = 0; i < 20; i++) { // 6 MB
        for (unsigned tries = 0;; tries++) {
            assert_true(tries <= 1); // the next try always works
            struct txn *txn = fixture_begin(store, true);
            key_of(i, key);
            txn_put(txn, TABLE_EDGES, bytes_of_text(key), bytes_of_text("small"));
            txn_put(txn, TABLE_OBJECTS, bytes_of_text(key), bytes_of(block, sizeof block));
            enum error_code code = txn_commit(txn, &error);
            if (code == OK)
                break;
            assert_int_equal(code, ERR_FULL);
            full++;
            txn = fixture_begin(store, false); // nothing of it is there
            assert_int_equal(txn_count(txn, TABLE_EDGES), i);
            assert_int_equal(txn_count(txn, TABLE_OBJECTS), i);
            txn_abort(txn);
        }
    }
    store_size(store, &bytes, &map);
    assert_true(full >= 3 && full <= 5 && map == 8 * MIB && bytes > 6000000);
    store_close(store);
    store = fixture_open(directory, STORE_OPEN, MIB); // the map fits what is there
    store_size(store, &bytes, &map);
    assert_true(map >= bytes);
    assert_int_equal(fixture_size(store, "row-00000019"), sizeof block);
    store_close(store);
    fixture_remove(directory);
}

static int fill_the_disk(const char *directory)
{
    struct store *store;
    char key[16], path[FIXTURE_PATH_MAX + 32];
    struct error error = {0};
    struct rlimit limit;
    unsigned rows = 0;
    signal(SIGXFSZ, SIG_IGN);
    if (store_open(directory, STORE_OPEN, 0, &store, NULL) != OK)
        return 1;
    data_path(directory, path);
    if (getrlimit(RLIMIT_FSIZE, &limit) != 0)
        return 2;
    limit.rlim_cur = (rlim_t)size_of_file(path) + 3 * MIB + 1000;
    setrlimit(RLIMIT_FSIZE, &limit);
    enum error_code code = OK;
    while (code == OK && rows < 100) {
        key_of(rows, key);
        struct txn *txn = txn_begin(store, true, NULL);
        txn_put(txn, TABLE_OBJECTS, bytes_of_text(key), bytes_of(block, sizeof block));
        code = txn_commit(txn, &error);
        rows += code == OK;
    }
    if (code != ERR_FULL || rows < 5 || rows > 11)
        return 3;
    struct txn *txn = txn_begin(store, false, NULL); // reading goes on
    if (!txn || txn_count(txn, TABLE_OBJECTS) != rows)
        return 4;
    txn_abort(txn);
    txn = txn_begin(store, true, NULL); // and room can be made
    txn_delete(txn, TABLE_OBJECTS, bytes_of_text("row-00000000"));
    if (txn_commit(txn, NULL) != OK)
        return 5;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_FSIZE, &limit);
    if (fixture_put(store, "after", block, sizeof block) != OK) // recovers by itself
        return 6;
    store_close(store);
    return store_open(directory, STORE_OPEN, 0, &store, NULL) != OK || fixture_size(store, "after") != sizeof block ||
           fixture_size(store, "row-00000001") != sizeof block || fixture_size(store, "row-00000000") != SIZE_MAX;
}

static void fault_07_disk_full(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX];
    fixture_make(directory);
    store_close(fixture_open(directory, STORE_CREATE, 0));
    assert_int_equal(in_child(fill_the_disk, directory), 0);
    fixture_remove(directory);
}

// ---- writes that fail

static void fault_05_failed_sync_is_unknown(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX];
    fixture_make(directory);
    struct store *store = fixture_open(directory, STORE_CREATE, 0);
    assert_int_equal(fixture_put(store, "before", "1", 1), OK);
    fail_fdatasync = true;
    assert_int_equal(fixture_put(store, "lost", "1", 1), ERR_STORE);
    fail_fdatasync = false;
    store_close(store);
    store = fixture_open(directory, STORE_OPEN, 0);
    assert_int_equal(fixture_size(store, "before"), 1);
    assert_int_equal(fixture_size(store, "lost"), SIZE_MAX);
    store_close(store);
    fixture_remove(directory);
}

static void fault_06_failed_meta_write_stops_the_store(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX];
    struct error error = {0};
    fixture_make(directory);
    struct store *store = fixture_open(directory, STORE_CREATE, 0);
    assert_int_equal(fixture_put(store, "before", "1", 1), OK);
    fail_meta = true;
    assert_int_equal(fixture_put(store, "lost", "1", 1), ERR_STORE);
    fail_meta = false;
    assert_null(txn_begin(store, true, &error)); // until it is opened again
    assert_int_equal(error.code, ERR_STORE);
    assert_null(txn_begin(store, false, &error));
    store_close(store);
    store = fixture_open(directory, STORE_OPEN, 0);
    assert_int_equal(fixture_size(store, "before"), 1);
    assert_int_equal(fixture_put(store, "after", "1", 1), OK);
    store_close(store);
    fixture_remove(directory);
}

// ---- other processes, other threads

static int to_child[2], to_parent[2];

static void tell(int fd) { assert_int_equal(write(fd, "x", 1), 1); }

static bool hear(int fd)
{
    char byte;
    return read(fd, &byte, 1) == 1;
}

static pid_t start_child(int (*run)(const char *directory), const char *directory)
{
    fflush(NULL);
    assert_int_equal(pipe(to_child), 0);
    assert_int_equal(pipe(to_parent), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(to_child[1]);
        close(to_parent[0]);
        _exit(run(directory));
    }
    close(to_child[0]);
    close(to_parent[1]);
    return child;
}

static int end_child(pid_t child, bool by_force)
{
    int status;
    if (by_force)
        kill(child, SIGKILL);
    close(to_child[1]);
    close(to_parent[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int hold_a_reader(const char *directory)
{
    struct store *store;
    if (store_open(directory, STORE_READ_ONLY, 0, &store, NULL) != OK || !txn_begin(store, false, NULL))
        return 1;
    tell(to_parent[1]);
    hear(to_child[0]); // until it is killed
    return 2;
}

static void rewrite(struct store *store, unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        block[0] = (uint8_t)i;
        assert_int_equal(fixture_put(store, "same", block, 20000), OK);
    }
}

static void fault_15_killed_reader_does_not_grow_the_file(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX];
    uint64_t at_death, soon, late, map;
    fixture_make(directory);
    store_close(fixture_open(directory, STORE_CREATE, 0));
    pid_t child = start_child(hold_a_reader, directory); // before this process opens it: no environment goes over a fork
    assert_true(hear(to_parent[0]));
    struct store *store = fixture_open(directory, STORE_OPEN, 0);
    rewrite(store, 10);
    assert_int_equal(end_child(child, true), -1);
    store_size(store, &at_death, &map);
    rewrite(store, 100);
    store_size(store, &soon, &map);
    rewrite(store, 400);
    store_size(store, &late, &map);
    assert_true(soon <= at_death + 70 * (20000 + 10 * 4096)); // until the reader table is next looked at
    assert_int_equal(late, soon);
    store_close(store);
    fixture_remove(directory);
}

static int read_beside(const char *directory)
{
    struct store *store;
    struct error error = {0};
    if (!hear(to_child[0]) || store_open(directory, STORE_READ_ONLY, MIB, &store, &error) != OK)
        return 1;
    if (txn_begin(store, true, &error) || error.code != ERR_IO) // no writing
        return 2;
    struct txn *old = txn_begin(store, false, NULL);
    if (!old || txn_count(old, TABLE_OBJECTS) != 1)
        return 3;
    tell(to_parent[1]);
    hear(to_child[0]);
    if (txn_count(old, TABLE_OBJECTS) != 1)
        return 4;
    txn_abort(old);
    if (fixture_size(store, "same") != 20000 || fixture_size(store, "big") != sizeof block) // the file has outgrown this one's map
        return 5;
    store_close(store);
    return 0;
}

static void test_read_only_beside_a_writer(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX];
    fixture_make(directory);
    store_close(fixture_open(directory, STORE_CREATE, 0));
    pid_t child = start_child(read_beside, directory);
    struct store *store = fixture_open(directory, STORE_OPEN, 0);
    rewrite(store, 1);
    tell(to_child[1]);
    assert_true(hear(to_parent[0]));
    rewrite(store, 50);
    char key[16];
    for (unsigned i = 0; i < 10; i++) {
        key_of(i, key);
        assert_int_equal(fixture_put(store, key, block, sizeof block), OK);
    }
    assert_int_equal(fixture_put(store, "big", block, sizeof block), OK);
    tell(to_child[1]);
    assert_int_equal(end_child(child, false), 0);
    store_close(store);
    fixture_remove(directory);
}

static void test_readers_run_out(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX];
    struct error error = {0};
    struct txn *readers[126];
    fixture_make(directory);
    struct store *store = fixture_open(directory, STORE_CREATE, 0);
    for (unsigned i = 0; i < 126; i++)
        readers[i] = fixture_begin(store, false); // all on one thread
    assert_null(txn_begin(store, false, &error));
    assert_int_equal(error.code, ERR_BUSY);
    assert_int_equal(fixture_put(store, "a", "1", 1), OK); // the writer goes on
    for (unsigned i = 0; i < 126; i++)
        txn_abort(readers[i]);
    assert_int_equal(fixture_size(store, "a"), 1);
    store_close(store);
    fixture_remove(directory);
}

// A reader must see both rows of a commit, or neither; a small map grows under it all.
struct race {
    struct store *store;
    bool torn;
};

static uint64_t number(struct txn *txn, const char *key)
{
    struct bytes value;
    return txn_get(txn, TABLE_EDGES, bytes_of_text(key), &value) ? get_be64(value.data) : 0;
}

static void *race_reader(void *argument)
{
    struct race *race = argument;
    uint64_t seen = 0;
    while (seen < 300 && !race->torn) {
        struct txn *txn = txn_begin(race->store, false, NULL);
        uint64_t first = number(txn, "first");
        race->torn = first != number(txn, "second") || first < seen;
        seen = first;
        txn_abort(txn);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    char directory[FIXTURE_PATH_MAX], key[16];
    uint8_t value[8];
    pthread_t threads[3];
    struct race races[3];
    fixture_make(directory);
    struct store *store = fixture_open(directory, STORE_CREATE, MIB);
    for (unsigned i = 0; i < 3; i++) {
        races[i] = (struct race){.store = store};
        assert_int_equal(pthread_create(&threads[i], NULL, race_reader, &races[i]), 0);
    }
    unsigned full = 0;
    for (uint64_t i = 1; i <= 300;) {
        struct txn *txn = fixture_begin(store, true);
        put_be64(value, i);
        key_of((unsigned)i, key);
        txn_put(txn, TABLE_EDGES, bytes_of_text("first"), bytes_of(value, 8));
        txn_put(txn, TABLE_OBJECTS, bytes_of_text(key), bytes_of(block, 20000));
        txn_put(txn, TABLE_EDGES, bytes_of_text("second"), bytes_of(value, 8));
        enum error_code code = txn_commit(txn, NULL);
        assert_true(code == OK || code == ERR_FULL);
        full += code == ERR_FULL;
        i += code == OK;
    }
    for (unsigned i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        assert_false(races[i].torn);
    }
    assert_true(full >= 2);
    store_close(store);
    fixture_remove(directory);
}

// With one descriptor after the other: it is opened, or says what is missing, and leaves none open. Never "check the disk".
static void fault_14_without_descriptors_it_says_so(void **unused)
{
    enum { FREE_MOST = 8, FDS_MAX = 256 };
    (void)unused;
    char dir[FIXTURE_PATH_MAX];
    struct store *store;
    struct error error = {0};
    int fds[FDS_MAX], count = 0;
    struct rlimit limit, few;
    fixture_make(dir);
    assert_int_equal(store_open(dir, STORE_CREATE, 0, &store, &error), OK);
    store_close(store);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    few = limit;
    few.rlim_cur = FDS_MAX;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    while (count < FDS_MAX && (fds[count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        count++;
    assert_int_equal(errno, EMFILE);
    bool opened = false, refused[FREE_MOST + 1] = {false};
    for (int free_fds = 0; free_fds <= FREE_MOST && !opened; free_fds++) {
        error = (struct error){0};
        enum error_code code = store_open(dir, STORE_OPEN, 0, &store, &error);
        opened = code == OK;
        refused[free_fds] = code == ERR_BUSY && strstr(error.detail, "too many files") != NULL;
        if (!opened)
            assert_true(refused[free_fds]);
        close(fds[--count]);
    }
    assert_true(opened && refused[0] && refused[1]); // the check's own file, and LMDB's
    store_close(store);
    while (count > 0)
        close(fds[--count]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    fixture_remove(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_survive_reopening),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_path_too_long),
        cmocka_unit_test(fault_14_without_descriptors_it_says_so),
        cmocka_unit_test(fault_12_refuses_to_create_again),
        cmocka_unit_test(fault_04_crash_while_creating),
        cmocka_unit_test(test_failed_creation_leaves_nothing),
        cmocka_unit_test(test_unknown_format_is_refused_and_kept),
        cmocka_unit_test(test_descriptors_do_not_pass_exec),
        cmocka_unit_test(fault_09_truncated_file_is_refused),
        cmocka_unit_test(fault_08_full_map_grows),
        cmocka_unit_test(fault_07_disk_full),
        cmocka_unit_test(fault_05_failed_sync_is_unknown),
        cmocka_unit_test(fault_06_failed_meta_write_stops_the_store),
        cmocka_unit_test(fault_15_killed_reader_does_not_grow_the_file),
        cmocka_unit_test(test_read_only_beside_a_writer),
        cmocka_unit_test(test_readers_run_out),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
