#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/file.h"
#include "tests/directory.h"

static char *directory;

static int setup(void **state)
{
    (void)state;
    return (directory = directory_make()) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    directory_remove(directory);
    return 0;
}

static void a_file_is_replaced_whole(void **state)
{
    (void)state;
    struct buffer content = {0};
    assert_int_equal(file_replace(directory, "a", bytes_of_text("one"), NULL), OK);
    assert_int_equal(file_replace(directory, "a", bytes_of_text("two and more"), NULL), OK);
    buffer_append(&content, ">", 1);
    assert_int_equal(file_read(directory, "a", 100, true, &content, NULL), OK);
    assert_true(bytes_equal(buffer_bytes(&content), bytes_of_text(">two and more"))); // appended
    char path[FILE_PATH_SIZE];
    struct stat status;
    assert_int_equal(file_path(directory, "a", path, NULL), OK);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(file_path(directory, "a.new", path, NULL), OK);
    assert_int_equal(access(path, F_OK), -1);
    buffer_finish(&content);
}

static void fault_2_what_a_crash_left_behind_is_no_obstacle(void **state)
{
    (void)state;
    struct buffer content = {0};
    assert_int_equal(file_replace(directory, "b", bytes_of_text("old"), NULL), OK);
    assert_int_equal(file_replace(directory, "b.new", bytes_of_text("ne"), NULL), OK); // half written when the power failed
    assert_int_equal(file_read(directory, "b", 100, true, &content, NULL), OK);
    assert_true(bytes_equal(buffer_bytes(&content), bytes_of_text("old")));
    assert_int_equal(file_replace(directory, "b", bytes_of_text("new"), NULL), OK);
    buffer_clear(&content);
    assert_int_equal(file_read(directory, "b", 100, true, &content, NULL), OK);
    assert_true(bytes_equal(buffer_bytes(&content), bytes_of_text("new")));
    buffer_finish(&content);
}

static void what_cannot_be_read_is_said(void **state)
{
    (void)state;
    struct buffer content = {0};
    struct error error = {0};
    char path[FILE_PATH_SIZE], link_path[FILE_PATH_SIZE];
    buffer_append(&content, "x", 1);
    assert_int_equal(file_read(directory, "none", 100, true, &content, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.detail, "/none: no such file"));
    assert_int_equal(file_replace(directory, "c", bytes_of_text("12345"), NULL), OK);
    assert_int_equal(file_read(directory, "c", 4, true, &content, &error), ERR_LIMIT);
    assert_int_equal(file_read(directory, "c", 5, true, &content, &error), OK);
    assert_int_equal(content.size, 6);
    assert_int_equal(file_path(directory, "c", path, NULL), OK);
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(file_read(directory, "c", 5, true, &content, &error), ERR_REFUSED);
    assert_non_null(strstr(error.detail, "chmod 600"));
    assert_non_null(strstr(error.detail, "640"));
    assert_int_equal(file_read(directory, "c", 5, false, &content, &error), OK);
    assert_int_equal(file_path(directory, "link", link_path, NULL), OK);
    assert_int_equal(symlink(path, link_path), 0);
    assert_int_equal(file_read(directory, "link", 5, false, &content, &error), ERR_REFUSED);
    assert_int_equal(unlink(link_path), 0);
    assert_int_equal(mkfifo(link_path, 0600), 0); // does not hang
    assert_int_equal(file_read(directory, "link", 5, false, &content, &error), ERR_REFUSED);
    assert_int_equal(file_read(directory, ".", 5, false, &content, &error), ERR_REFUSED);
    assert_int_equal(content.size, 11); // failures left it alone
    buffer_finish(&content);
}

static void what_cannot_be_written_is_said(void **state)
{
    (void)state;
    struct error error = {0};
    char path[FILE_PATH_SIZE], name[FILE_PATH_SIZE + 1];
    assert_int_equal(file_path(directory, "nowhere", path, NULL), OK);
    assert_int_equal(file_replace(path, "a", bytes_of_text("x"), &error), ERR_IO);
    assert_non_null(strstr(error.detail, "nowhere/a.new"));
    assert_int_equal(file_sync_directory(path, &error), ERR_IO);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(file_path(directory, name, path, &error), ERR_LIMIT);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(file_replace(directory, "nowhere", bytes_of_text("x"), &error), ERR_IO); // a directory is in the way
    char fresh[FILE_PATH_SIZE];
    assert_int_equal(file_path(directory, "nowhere.new", fresh, NULL), OK);
    assert_int_equal(access(fresh, F_OK), -1);
}

static void fault_7_a_full_disk_has_its_own_code(void **state)
{
    (void)state;
    struct error error = {0};
    errno = ENOSPC;
    assert_int_equal(file_error(&error, "%s", "p"), ERR_FULL);
    errno = EDQUOT;
    assert_int_equal(file_error(&error, "%s", "p"), ERR_FULL);
    errno = EIO;
    assert_int_equal(file_error(&error, "%s", "p"), ERR_IO);
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_false(file_write_at(fd, "abc", 3, 0));
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_replaced_whole),
        cmocka_unit_test(fault_2_what_a_crash_left_behind_is_no_obstacle),
        cmocka_unit_test(what_cannot_be_read_is_said),
        cmocka_unit_test(what_cannot_be_written_is_said),
        cmocka_unit_test(fault_7_a_full_disk_has_its_own_code),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
