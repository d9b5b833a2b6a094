#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/file.h"
#include "relay/identity.h"
#include "tests/directory.h"

static int setup(void **state)
{
    if (crypto_init(NULL) != OK)
        return -1;
    *state = directory_make();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    directory_remove(*state);
    return 0;
}

static void path_of(const char *directory, const char *name, char ret[FILE_PATH_SIZE])
{
    assert_int_equal(file_path(directory, name, ret, NULL), OK);
}

static void an_identity_is_read_as_it_was_made(void **state)
{
    struct identity first = {0}, second = {0};
    assert_int_equal(identity_create(*state, NULL), OK);
    assert_int_equal(identity_load(*state, &first, NULL), OK);
    assert_int_equal(identity_load(*state, &second, NULL), OK);
    assert_memory_equal(&first, &second, sizeof first);
    assert_true(crypto_sign_pair_valid(&first.sign.public_key, &first.sign.secret_key));
    assert_true(crypto_seal_pair_valid(&first.seal.public_key, &first.seal.secret_key));
    assert_true(crypto_seal_pair_valid(&first.transport.public_key, &first.transport.secret_key));
    assert_memory_not_equal(&first.seal, &first.transport, sizeof first.seal);
    char path[FILE_PATH_SIZE];
    static const char *const names[] = {"keys/sign.key", "keys/seal.key", "keys/transport.key", "keys/station"};
    struct stat status;
    for (size_t i = 0; i < 4; i++) {
        path_of(*state, names[i], path);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
    path_of(*state, "keys", path);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    struct identity none = {0};
    identity_finish(&first);
    identity_finish(&first);
    identity_finish(&second);
    assert_memory_equal(&first, &none, sizeof first); // wiped
}

static void keys_are_never_overwritten(void **state)
{
    struct identity before, after;
    struct error error = {0};
    assert_int_equal(identity_create(*state, NULL), OK);
    assert_int_equal(identity_load(*state, &before, NULL), OK);
    assert_int_equal(identity_create(*state, &error), ERR_EXISTS);
    assert_int_equal(identity_load(*state, &after, NULL), OK);
    assert_memory_equal(&before, &after, sizeof before);
    identity_finish(&before);
    identity_finish(&after);
}

static void fault_4_a_crash_while_creating_leaves_nothing_in_the_way(void **state)
{
    char path[FILE_PATH_SIZE];
    path_of(*state, "keys.new", path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(file_replace(path, "station", bytes_of_text("sanji station 1\nha"), NULL), OK);
    assert_int_equal(file_replace(path, "sign.key.new", bytes_of_text("sanji sign key 1\n"), NULL), OK);
    struct identity identity;
    assert_int_equal(identity_load(*state, &identity, NULL), ERR_NOT_FOUND);
    assert_int_equal(identity_create(*state, NULL), OK);
    assert_int_equal(identity_load(*state, &identity, NULL), OK);
    assert_int_equal(access(path, F_OK), -1);
    identity_finish(&identity);
}

static void a_directory_that_is_not_there_is_said(void **state)
{
    char path[FILE_PATH_SIZE];
    struct error error = {0};
    struct identity identity;
    path_of(*state, "nowhere", path);
    assert_int_equal(identity_create(path, &error), ERR_IO);
    assert_int_equal(identity_load(path, &identity, &error), ERR_NOT_FOUND);
}

static void a_key_that_others_can_read_is_refused(void **state)
{
    assert_int_equal(identity_create(*state, NULL), OK);
    char path[FILE_PATH_SIZE];
    struct identity identity, none = {0};
    struct error error = {0};
    path_of(*state, "keys/seal.key", path);
    static const mode_t modes[] = {0640, 0604, 0660};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(chmod(path, modes[i]), 0);
        assert_int_equal(identity_load(*state, &identity, &error), ERR_REFUSED);
        assert_non_null(strstr(error.detail, "keys/seal.key"));
        assert_non_null(strstr(error.detail, "chmod 600"));
        assert_memory_equal(&identity, &none, sizeof none); // the keys read before it are gone
    }
    assert_int_equal(chmod(path, 0400), 0);
    assert_int_equal(identity_load(*state, &identity, &error), OK);
    identity_finish(&identity);
}

// The text of a file, changed by one replacement of a part by another of any length.
static void change(const char *directory, const char *name, size_t at, size_t size, const char *with)
{
    char keys[FILE_PATH_SIZE];
    struct buffer old = {0}, fresh = {0};
    path_of(directory, "keys", keys);
    assert_int_equal(file_read(keys, name, 1000, true, &old, NULL), OK);
    assert_true(at + size <= old.size);
    buffer_append(&fresh, old.data, at);
    buffer_append(&fresh, with, strlen(with));
    buffer_append(&fresh, old.data + at + size, old.size - at - size);
    assert_int_equal(file_replace(keys, name, buffer_bytes(&fresh), NULL), OK);
    buffer_finish(&old);
    buffer_finish(&fresh);
}

static void damaged_keys_are_not_used(void **state)
{
    enum { TITLE = 17, PUBLIC = 64 }; // "sanji sign key 1\n"
    static const struct {
        const char *name;
        size_t at, size;
        const char *with;
        enum error_code code;
    } cases[] = {
        {"sign.key", 15, 1, "2", ERR_VERSION},
        {"sign.key", 0, 5, "sanjo", ERR_CORRUPT},
        {"sign.key", 6, 4, "seal", ERR_CORRUPT},                    // one kind of key in another's place
        {"sign.key", TITLE, 2, "zz", ERR_CORRUPT},                  // no hex
        {"sign.key", TITLE, 2, "", ERR_CORRUPT},                    // too short
        {"sign.key", TITLE + PUBLIC, 1, "\n\n", ERR_CORRUPT},       // an empty line
        {"sign.key", TITLE + PUBLIC + 1 + 128, 1, "", ERR_CORRUPT}, // no end of line: cut short
        {"sign.key", TITLE + PUBLIC + 1 + 128, 1, "\nmore\n", ERR_CORRUPT},
        {"sign.key", TITLE + PUBLIC + 1, 4, "00000000", ERR_CORRUPT},
        {"sign.key", TITLE + PUBLIC + 1, 8, "00000000", ERR_CORRUPT}, // a secret of another public key
        {"transport.key", 22, 8, "00000000", ERR_CORRUPT},            // a public key of another secret
        {"station", 16, 1, "", ERR_CORRUPT},
        {"station", 14, 1, "9", ERR_VERSION},
    };
    struct identity identity;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *directory = directory_make();
        assert_non_null(directory);
        assert_int_equal(identity_create(directory, NULL), OK);
        change(directory, cases[i].name, cases[i].at, cases[i].size, cases[i].with);
        struct error error = {0};
        enum error_code code = identity_load(directory, &identity, &error);
        if (code != cases[i].code || !strstr(error.detail, cases[i].name))
            fail_msg("case %zu: %s: %s", i, error_name(code), error.detail);
        directory_remove(directory);
    }
    (void)state;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_identity_is_read_as_it_was_made, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_are_never_overwritten, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_4_a_crash_while_creating_leaves_nothing_in_the_way, setup, teardown),
        cmocka_unit_test_setup_teardown(a_directory_that_is_not_there_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_that_others_can_read_is_refused, setup, teardown),
        cmocka_unit_test(damaged_keys_are_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
