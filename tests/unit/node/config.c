#include "node/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "relay/language.h"
#include "tests/directory.h"

#define ROOT "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char *directory, path[512];

static int setup(void **context)
{
    (void)context;
    directory = directory_make();
    snprintf(path, sizeof path, "%s/station.conf", directory);
    return directory ? 0 : -1;
}

static int teardown(void **context)
{
    (void)context;
    directory_remove(directory);
    language_set(LANGUAGE_EN);
    return 0;
}

static void write_bytes(const void *data, size_t size)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

// Refused as ERR_INPUT with `place` ("LINE: ..." behind the path) in its text, and nothing is changed.
static void refused(const char *text, const char *wanted)
{
    struct config config;
    struct error error = {0};
    memset(&config, 0x5A, sizeof config);
    const struct config before = config;
    write_bytes(text, strlen(text));
    if (config_read(directory, &config, &error) != ERR_INPUT)
        fail_msg("taken: %s", text);
    assert_int_equal(error.code, ERR_INPUT);
    assert_non_null(strstr(error.detail, path));
    if (!strstr(error.detail, wanted))
        fail_msg("%s: not '%s'", error.detail, wanted);
    assert_memory_equal(&config, &before, sizeof config);
}

static void what_is_written_is_read(void **context)
{
    (void)context;
    struct config config = {.parent = "tcp://10.0.0.1:7310",
                            .listen = "tcp://*:7310",
                            .join = "tcp://[::1]:7311",
                            .parent_join = "tcp://10.0.0.1:7311",
                            .above = "tcp://10.0.0.2:7310",
                            .above_join = "tcp://10.0.0.2:7311"},
                  read = {0};
    struct error error = {0};
    for (int i = 0; i < HASH_SIZE; i++)
        config.root.bytes[i] = (uint8_t)(i * 7);
    assert_int_equal(config_write(directory, &config, &error), OK);
    assert_int_equal(config_read(directory, &read, &error), OK);
    assert_memory_equal(&read, &config, sizeof config);
    struct config root = {.root = config.root};
    assert_int_equal(config_write(directory, &root, &error), OK); // over the old one
    memset(&read, 0xFF, sizeof read);
    assert_int_equal(config_read(directory, &read, &error), OK);
    assert_memory_equal(&read, &root, sizeof root);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

static void the_longest_addresses_fit(void **context)
{
    (void)context;
    struct config config = {.root = {{1}}}, read;
    struct error error = {0};
    memcpy(config.parent, "tcp://", 6);
    memset(config.parent + 6, 'a', ADDRESS_SIZE - 1 - 6 - 5);
    memcpy(config.parent + ADDRESS_SIZE - 6, ":7310", 6);
    memcpy(config.listen, config.parent, ADDRESS_SIZE);
    memcpy(config.join, config.parent, ADDRESS_SIZE);
    assert_int_equal(config_write(directory, &config, &error), OK);
    assert_int_equal(config_read(directory, &read, &error), OK);
    assert_memory_equal(&read, &config, sizeof config);
    char text[256];
    snprintf(text, sizeof text, "root = " ROOT "\nparent = %.*sa:7310\n", ADDRESS_SIZE - 6, config.parent);
    refused(text, "station.conf:2: parent: ");
}

static void blanks_and_comments_are_no_lines(void **context)
{
    (void)context;
    struct config read;
    struct error error = {0};
    static const char text[] = "\n  # root = nothing\n\t root=" ROOT "  \r\n\n listen\t=  tcp://127.0.0.1:0"; // no newline at the end
    write_bytes(text, sizeof text - 1);
    assert_int_equal(config_read(directory, &read, &error), OK);
    assert_int_equal(read.root.bytes[1], 0x11);
    assert_string_equal(read.listen, "tcp://127.0.0.1:0");
    assert_string_equal(read.parent, "");
    assert_string_equal(read.join, "");
}

static void no_station_here(void **context)
{
    (void)context;
    struct config read;
    struct error error = {0};
    assert_int_equal(config_read(directory, &read, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.detail, "sanji init"));
    language_set(LANGUAGE_ZH);
    assert_int_equal(config_read(directory, &read, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.detail, "此处没有站点"));
    assert_int_equal(mkdir(path, 0700), 0); // not a file
    assert_int_equal(config_read(directory, &read, &error), ERR_IO);
    assert_non_null(strstr(error.detail, path));
}

static void every_error_names_its_line(void **context)
{
    (void)context;
    refused("", "'root' is missing");
    refused("listen = tcp://127.0.0.1:1\n", "'root' is missing");
    refused("root = " ROOT "\n\nlisten\n", "station.conf:3: expected 'name = value'");
    refused("root = " ROOT "\n= x\n", "station.conf:2: unknown name ''");
    refused("# first\nroots = " ROOT "\n", "station.conf:2: unknown name 'roots'");
    refused("root = " ROOT "\nroot = " ROOT "\n", "station.conf:2: 'root' is given twice");
    refused("root = " ROOT "\njoin = tcp://a:1\njoin = tcp://a:1\n", "station.conf:3: 'join' is given twice");
    refused("root = 0011\n", "station.conf:1: root: expected 64 hex digits");
    refused("root = " ROOT "00\n", "station.conf:1: root");
    refused("root = x" ROOT "\n", "station.conf:1: root");
    refused("root =\n", "station.conf:1: root");
    static const char *const bad[] = {"", "127.0.0.1:7310", "tcp://127.0.0.1", "tcp://127.0.0.1:65536", "udp://a:1", "tcp://:1"};
    static const char *const names[] = {"parent", "listen", "join"};
    for (size_t i = 0; i < 3; i++)
        for (size_t j = 0; j < sizeof bad / sizeof *bad; j++) {
            char text[256], wanted[64];
            snprintf(text, sizeof text, "root = " ROOT "\n\n\n%s = %s\n", names[i], bad[j]);
            snprintf(wanted, sizeof wanted, "station.conf:4: %s: expected tcp://HOST:PORT", names[i]);
            refused(text, wanted);
        }
    language_set(LANGUAGE_ZH);
    refused("root = " ROOT "\nroot = " ROOT "\n", "station.conf:2: 'root' 重复给出");
}

// A comment's tail must not be read as a line of its own.
static void long_lines_are_refused(void **context)
{
    (void)context;
    char text[2048] = "# ";
    memset(text + 2, 'x', 600);
    snprintf(text + 602, sizeof text - 602, "\nroot = " ROOT "\n");
    refused(text, "station.conf:1: longer than");
    memset(text + 2, ' ', 600);
    memcpy(text + 512, "root = " ROOT, 71);
    refused(text, "station.conf:1: longer than");
    // The longest that is taken: 510 bytes and the newline.
    struct config read;
    struct error error = {0};
    memset(text + 2, 'x', 508);
    snprintf(text + 510, sizeof text - 510, "\nroot = " ROOT "\n");
    write_bytes(text, strlen(text));
    assert_int_equal(config_read(directory, &read, &error), OK);
    write_bytes("root = " ROOT "\0\nlisten = tcp://a:1\n", 7 + 64 + 2 + 20);
    assert_int_equal(config_read(directory, &read, &error), ERR_INPUT);
}

// What a crash may leave beside the file changes nothing; the next write replaces it.
static void a_crash_leaves_the_old_file(void **context)
{
    (void)context;
    struct config config = {.root = {{9}}, .listen = "tcp://127.0.0.1:7310"}, read;
    struct error error = {0};
    char fresh[600];
    assert_int_equal(config_write(directory, &config, &error), OK);
    snprintf(fresh, sizeof fresh, "%s.new", path);
    FILE *file = fopen(fresh, "we");
    assert_non_null(file);
    fputs("# Sanji station. 'root' pins the netw", file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(config_read(directory, &read, &error), OK);
    assert_memory_equal(&read, &config, sizeof config);
    struct config other = {.root = {{8}}};
    assert_int_equal(config_write(directory, &other, &error), OK);
    assert_int_equal(config_read(directory, &read, &error), OK);
    assert_memory_equal(&read, &other, sizeof other);
    struct stat status;
    assert_int_not_equal(stat(fresh, &status), 0);
}

static void a_failed_write_leaves_nothing_behind(void **context)
{
    (void)context;
    struct config config = {.root = {{9}}};
    struct error error = {0};
    char inside[600], fresh[600];
    struct stat status;
    assert_int_equal(mkdir(path, 0700), 0); // can't be replaced: not empty
    snprintf(inside, sizeof inside, "%s/x", path);
    assert_int_equal(mkdir(inside, 0700), 0);
    assert_int_equal(config_write(directory, &config, &error), ERR_IO);
    assert_non_null(strstr(error.detail, "station.conf"));
    snprintf(fresh, sizeof fresh, "%s.new", path);
    assert_int_not_equal(stat(fresh, &status), 0);
    assert_int_equal(config_write("/nonexistent/place", &config, &error), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read, setup, teardown),
        cmocka_unit_test_setup_teardown(the_longest_addresses_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(blanks_and_comments_are_no_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(no_station_here, setup, teardown),
        cmocka_unit_test_setup_teardown(every_error_names_its_line, setup, teardown),
        cmocka_unit_test_setup_teardown(long_lines_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crash_leaves_the_old_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_nothing_behind, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
