#include "relay/store_file.h"

#include "tests/unit/relay/store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static char directory[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX + 32];

static void make(void)
{
    fixture_make(directory);
    snprintf(path, sizeof path, "%s/store/data.mdb", directory);
    store_close(fixture_open(directory, STORE_CREATE, 0));
}

static uint64_t file_bytes(void)
{
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    return (uint64_t)status.st_size;
}

static enum error_code check(void)
{
    uint64_t bytes = 0;
    struct error error = {0};
    enum error_code code = store_file_check(path, &bytes, &error);
    assert_int_equal(error.code, code);
    if (code == OK)
        assert_int_equal(bytes, file_bytes());
    else
        assert_int_equal(bytes, 0); // untouched
    return code;
}

static void poke(off_t offset, const void *data, size_t size)
{
    int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, data, size, offset), size);
    close(fd);
}

static void test_meta_pages(void **state)
{
    (void)state;
    static const uint8_t garbage[64] = {1, 2, 3};
    uint32_t version = 2;
    make();
    assert_int_equal(check(), OK);
    poke(4096 + 20, &version, sizeof version);
    assert_int_equal(check(), ERR_CORRUPT); // one program wrote both
    poke(20, &version, sizeof version);
    assert_int_equal(check(), ERR_VERSION); // LMDB 1.0 and whatever comes after it
    poke(4096, garbage, sizeof garbage);
    assert_int_equal(check(), ERR_CORRUPT);
    fixture_remove(directory);

    make(); // a last page that cannot be
    uint64_t last = (uint64_t)1 << 60;
    poke(136, &last, sizeof last);
    poke(4096 + 136, &last, sizeof last);
    assert_int_equal(check(), ERR_CORRUPT);
    fixture_remove(directory);

    make(); // a page size that is none
    uint32_t size = 4097;
    poke(40, &size, sizeof size);
    assert_int_equal(check(), ERR_CORRUPT);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(check(), ERR_CORRUPT);
    fixture_remove(directory);
}

static void test_short_file_with_only_free_pages_missing_is_whole(void **state)
{
    (void)state;
    uint8_t *data = calloc(1, FIXTURE_CHURN_MAX);
    uint64_t counted, map;
    unsigned short_files = 0, refused = 0;
    make();
    struct store *store = fixture_open(directory, STORE_OPEN, 0);
    for (unsigned i = 0; i < 150; i++) {
        fixture_churn(store, data);
        store_size(store, &counted, &map);
        bool is_short = counted > file_bytes();
        short_files += is_short;
        assert_int_equal(check(), OK); // LMDB itself made it so
        if (is_short && file_bytes() > 5 * 4096) {
            // The page that now ends the file is either in use, and its loss is seen, or free like the ones behind it.
            uint64_t bytes = file_bytes();
            uint8_t page[4096];
            int fd = open(path, O_RDWR);
            assert_int_equal(pread(fd, page, sizeof page, (off_t)bytes - 4096), 4096);
            assert_int_equal(ftruncate(fd, (off_t)bytes - 4096), 0);
            refused += check() == ERR_CORRUPT;
            assert_int_equal(pwrite(fd, page, sizeof page, (off_t)bytes - 4096), 4096);
            close(fd);
        }
    }
    assert_true(short_files >= 5);
    assert_true(refused >= 1);
    store_close(store);
    store_close(fixture_open(directory, STORE_OPEN, 0));
    free(data);
    fixture_remove(directory);
}

static void test_damaged_free_list_of_a_short_file(void **state)
{
    (void)state;
    uint8_t *data = calloc(1, FIXTURE_CHURN_MAX), *file;
    uint64_t counted, map, bytes;
    make();
    struct store *store = fixture_open(directory, STORE_OPEN, 0);
    do {
        fixture_churn(store, data);
        store_size(store, &counted, &map);
        bytes = file_bytes();
    } while (counted <= bytes);
    store_close(store);
    // Every page in turn but the metas becomes garbage: the answer is yes or no, whatever the walk meets.
    file = malloc(bytes);
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, file, bytes, 0), bytes);
    memset(data, 0x5A, 4096);
    unsigned refused = 0;
    for (uint64_t at = 8192; at < bytes; at += 4096) {
        assert_int_equal(pwrite(fd, data, 4096, (off_t)at), 4096);
        refused += check() == ERR_CORRUPT;
        for (unsigned i = 0; i < 4; i++) { // and with single bytes turned over in a page that is otherwise right
            uint8_t byte = (uint8_t)(file[at + i * 5] ^ 0xFF);
            assert_int_equal(pwrite(fd, file + at, 4096, (off_t)at), 4096);
            assert_int_equal(pwrite(fd, &byte, 1, (off_t)(at + i * 5)), 1);
            check();
        }
        assert_int_equal(pwrite(fd, file + at, 4096, (off_t)at), 4096);
    }
    assert_true(refused >= 1);
    assert_int_equal(check(), OK);
    close(fd);
    free(file);
    free(data);
    fixture_remove(directory);
}

static void test_paths(void **state)
{
    (void)state;
    char ret[STORE_PATH_MAX] = "untouched", long_name[STORE_PATH_MAX];
    struct error error = {0};
    assert_int_equal(store_file_path("a", "b", ret, &error), OK);
    assert_string_equal(ret, "a/b");
    memset(long_name, 'x', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = 0;
    assert_int_equal(store_file_path(long_name, "b", ret, &error), ERR_LIMIT);
    assert_string_equal(ret, "a/b");
}

static void test_begin_and_discard(void **state)
{
    (void)state;
    char temporary[STORE_PATH_MAX], store_path[STORE_PATH_MAX];
    struct error error = {0};
    fixture_make(directory);
    assert_int_equal(store_file_path(directory, "store", store_path, &error), OK);
    assert_int_equal(store_file_begin(directory, store_path, temporary, &error), OK);
    assert_int_equal(access(temporary, F_OK), 0);
    assert_int_equal(store_file_publish(directory, temporary, store_path, &error), ERR_IO); // without a file
    assert_int_not_equal(access(store_path, F_OK), 0);
    store_file_discard(temporary);
    assert_int_equal(rmdir(directory), 0);
}

static void test_no_room(void **state)
{
    (void)state;
    make();
    int fd = open(path, O_RDONLY);
    assert_true(store_file_no_room(fd, ENOSPC));
    assert_true(store_file_no_room(fd, EDQUOT));
    assert_true(store_file_no_room(fd, EFBIG));
    assert_false(store_file_no_room(fd, EACCES));
    close(fd);
    fixture_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meta_pages),
        cmocka_unit_test(test_short_file_with_only_free_pages_missing_is_whole),
        cmocka_unit_test(test_damaged_free_list_of_a_short_file),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_begin_and_discard),
        cmocka_unit_test(test_no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
