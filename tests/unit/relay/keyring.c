#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/file.h"
#include "relay/keyring.h"
#include "tests/directory.h"

enum { ROW_SIZE = 64 };

static int setup(void **state)
{
    char keys[FILE_PATH_SIZE];
    if (crypto_init(NULL) != OK || !(*state = directory_make()) || file_path(*state, "keys", keys, NULL) != OK || mkdir(keys, 0700) != 0)
        return -1;
    return keyring_create(*state, NULL) == OK ? 0 : -1;
}

static int teardown(void **state)
{
    directory_remove(*state);
    return 0;
}

static struct key_id id_of(uint32_t n)
{
    struct key_id id = {{1}};
    put_be32(id.bytes + 12, n);
    return id;
}

static struct symmetric_key key_of(uint32_t n)
{
    struct symmetric_key key = {{2}};
    put_be32(key.bytes + 20, n);
    return key;
}

static struct keyring *open_keyring(const char *directory)
{
    struct keyring *keyring = NULL;
    struct error error = {0};
    if (keyring_open(directory, &keyring, &error) != OK)
        fail_msg("%s", error.detail);
    return keyring;
}

static void add(struct keyring *keyring, uint32_t n)
{
    struct key_id id = id_of(n);
    struct symmetric_key key = key_of(n);
    assert_int_equal(keyring_add(keyring, &id, &key, NULL), OK);
}

static bool has(struct keyring *keyring, uint32_t n)
{
    struct key_id id = id_of(n);
    struct symmetric_key key, expected = key_of(n);
    return keyring_find(keyring, &id, &key) && memcmp(&key, &expected, sizeof key) == 0;
}

static size_t file_size(const char *directory)
{
    struct buffer file = {0};
    assert_int_equal(file_read(directory, "keys/keyring", 1 << 20, true, &file, NULL), OK);
    size_t size = file.size;
    buffer_finish(&file);
    return size;
}

static void keys_are_found_again(void **state)
{
    struct keyring *keyring = open_keyring(*state);
    assert_false(has(keyring, 0));
    for (uint32_t n = 0; n < 3000; n++) // grows past the first table
        add(keyring, n);
    assert_int_equal(keyring_sync(keyring, NULL), OK);
    assert_int_equal(keyring_sync(keyring, NULL), OK);
    for (int round = 0; round < 2; round++) {
        for (uint32_t n = 0; n < 3000; n++)
            assert_true(has(keyring, n));
        assert_false(has(keyring, 3000));
        assert_int_equal(keyring_count(keyring), 3000);
        assert_int_equal(keyring_damaged(keyring), 0);
        keyring_close(keyring);
        keyring = open_keyring(*state);
    }
    keyring_close(keyring);
    keyring_close(NULL);
    assert_int_equal(file_size(*state), 3001 * ROW_SIZE);
}

static void a_key_never_changes(void **state)
{
    struct keyring *keyring = open_keyring(*state);
    struct key_id id = id_of(1);
    struct symmetric_key key = key_of(1), other = key_of(2), zero = {{0}};
    struct error error = {0};
    add(keyring, 1);
    add(keyring, 1); // granted twice
    assert_int_equal(file_size(*state), 2 * ROW_SIZE);
    assert_int_equal(keyring_add(keyring, &id, &other, &error), ERR_EXISTS);
    assert_int_equal(keyring_add(keyring, &id, &zero, &error), ERR_INPUT);
    assert_int_equal(keyring_find(keyring, &id, &other), true);
    assert_memory_equal(&other, &key, sizeof key);
    keyring_close(keyring);
}

static void fault_39_a_destroyed_key_does_not_come_back(void **state)
{
    struct keyring *keyring = open_keyring(*state);
    struct key_id id = id_of(2), unknown = id_of(9);
    struct symmetric_key key = key_of(2), untouched = key_of(5);
    struct error error = {0};
    for (uint32_t n = 1; n <= 3; n++)
        add(keyring, n);
    assert_int_equal(keyring_forget(keyring, &unknown, &error), ERR_NOT_FOUND);
    assert_int_equal(keyring_forget(keyring, &id, &error), OK);
    for (int round = 0; round < 2; round++) {
        struct symmetric_key found = untouched;
        assert_false(keyring_find(keyring, &id, &found));
        assert_memory_equal(&found, &untouched, sizeof found);
        assert_true(keyring_forgotten(keyring, &id));
        assert_false(keyring_forgotten(keyring, &unknown));
        assert_true(has(keyring, 1) && has(keyring, 3));
        assert_int_equal(keyring_count(keyring), 2);
        assert_int_equal(keyring_add(keyring, &id, &key, &error), ERR_REFUSED); // by a grant from an old backup
        assert_int_equal(keyring_forget(keyring, &id, &error), OK);
        keyring_close(keyring);
        keyring = open_keyring(*state);
    }
    keyring_close(keyring);
    struct buffer file = {0};
    assert_int_equal(file_read(*state, "keys/keyring", 1 << 20, true, &file, NULL), OK);
    assert_null(memmem(file.data, file.size, &key, sizeof key));
    key = key_of(3);
    assert_non_null(memmem(file.data, file.size, &key, sizeof key));
    buffer_finish(&file);
}

static void fault_3_whatever_a_crash_leaves_at_the_end_is_cut_off(void **state)
{
    char path[FILE_PATH_SIZE];
    struct buffer whole = {0};
    assert_int_equal(file_path(*state, "keys/keyring", path, NULL), OK);
    struct keyring *keyring = open_keyring(*state);
    for (uint32_t n = 1; n <= 4; n++)
        add(keyring, n);
    assert_int_equal(keyring_sync(keyring, NULL), OK);
    keyring_close(keyring);
    assert_int_equal(file_read(*state, "keys/keyring", 1 << 20, true, &whole, NULL), OK);
    char keys[FILE_PATH_SIZE];
    assert_int_equal(file_path(*state, "keys", keys, NULL), OK);
    // torn at every byte of the last two rows; and with the tail's bytes never written
    for (size_t size = 3 * ROW_SIZE; size <= 5 * ROW_SIZE; size += 7) {
        for (int zeros = 0; zeros < 2; zeros++) {
            struct buffer torn = {0};
            buffer_append(&torn, whole.data, size);
            static const uint8_t lost[3 * ROW_SIZE];
            if (zeros)
                buffer_append(&torn, lost, sizeof lost);
            assert_int_equal(file_replace(keys, "keyring", buffer_bytes(&torn), NULL), OK);
            buffer_finish(&torn);
            keyring = open_keyring(*state);
            uint32_t rows = (uint32_t)(size / ROW_SIZE) - 1;
            assert_int_equal(keyring_count(keyring), rows);
            assert_int_equal(keyring_damaged(keyring), 0);
            add(keyring, 77); // stands right behind the last whole row
            assert_int_equal(keyring_sync(keyring, NULL), OK);
            keyring_close(keyring);
            keyring = open_keyring(*state);
            assert_true(has(keyring, 77) && has(keyring, rows));
            assert_int_equal(keyring_count(keyring), rows + 1);
            keyring_close(keyring);
            assert_int_equal(file_size(*state), (rows + 2) * ROW_SIZE);
        }
    }
    buffer_finish(&whole);
}

static void fault_3_a_sector_that_never_reached_the_disk_is_no_damage(void **state)
{
    char keys[FILE_PATH_SIZE];
    struct buffer whole = {0};
    assert_int_equal(file_path(*state, "keys", keys, NULL), OK);
    struct keyring *keyring = open_keyring(*state);
    for (uint32_t n = 1; n <= 20; n++) // three sectors
        add(keyring, n);
    keyring_close(keyring);
    assert_int_equal(file_read(*state, "keys/keyring", 1 << 20, true, &whole, NULL), OK);
    memset(whole.data + 512, 0, 512);
    assert_int_equal(file_replace(keys, "keyring", buffer_bytes(&whole), NULL), OK);
    buffer_finish(&whole);
    keyring = open_keyring(*state);
    assert_int_equal(keyring_damaged(keyring), 0);
    assert_int_equal(keyring_count(keyring), 12);
    assert_true(has(keyring, 7) && !has(keyring, 8) && !has(keyring, 15) && has(keyring, 16));
    add(keyring, 8);
    keyring_close(keyring);
    keyring = open_keyring(*state);
    assert_true(has(keyring, 8) && has(keyring, 20));
    keyring_close(keyring);
}

static void fault_10_a_rotten_row_costs_its_own_key_only(void **state)
{
    struct keyring *keyring = open_keyring(*state);
    for (uint32_t n = 1; n <= 4; n++)
        add(keyring, n);
    keyring_close(keyring);
    char keys[FILE_PATH_SIZE];
    assert_int_equal(file_path(*state, "keys", keys, NULL), OK);
    struct buffer file = {0};
    assert_int_equal(file_read(keys, "keyring", 1 << 20, true, &file, NULL), OK);
    file.data[2 * ROW_SIZE + 30] ^= 4;
    assert_int_equal(file_replace(keys, "keyring", buffer_bytes(&file), NULL), OK);
    keyring = open_keyring(*state);
    assert_int_equal(keyring_count(keyring), 3);
    assert_int_equal(keyring_damaged(keyring), 1);
    assert_false(has(keyring, 2));
    add(keyring, 2); // granted anew
    keyring_close(keyring);
    keyring = open_keyring(*state);
    assert_true(has(keyring, 1) && has(keyring, 2) && has(keyring, 3) && has(keyring, 4));
    assert_int_equal(keyring_damaged(keyring), 1); // the evidence stays
    keyring_close(keyring);
    buffer_finish(&file);
}

static void fault_12_what_is_no_keyring_is_refused_and_kept(void **state)
{
    static const struct {
        size_t size;
        int flip;
        enum error_code code;
    } cases[] = {{0, -1, ERR_CORRUPT}, {63, -1, ERR_CORRUPT}, {64, 0, ERR_CORRUPT}, {64, 50, ERR_CORRUPT}};
    struct keyring *keyring = NULL;
    struct error error = {0};
    char keys[FILE_PATH_SIZE];
    assert_int_equal(file_path(*state, "keys", keys, NULL), OK);
    struct buffer good = {0}, file = {0};
    assert_int_equal(file_read(keys, "keyring", 1000, true, &good, NULL), OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buffer_clear(&file);
        buffer_append(&file, good.data, cases[i].size);
        if (cases[i].flip >= 0)
            file.data[cases[i].flip] ^= 1;
        assert_int_equal(file_replace(keys, "keyring", buffer_bytes(&file), NULL), OK);
        assert_int_equal(keyring_open(*state, &keyring, &error), cases[i].code);
        assert_null(keyring);
        assert_int_equal(file_size(*state), cases[i].size);
    }
    // of a later version, with a checksum that is right
    buffer_clear(&file);
    buffer_append(&file, good.data, 48);
    file.data[14] = '2';
    struct hash hash = crypto_hash(TAG_KEYRING, buffer_bytes(&file));
    buffer_append(&file, hash.bytes, 16);
    assert_int_equal(file_replace(keys, "keyring", buffer_bytes(&file), NULL), OK);
    assert_int_equal(keyring_open(*state, &keyring, &error), ERR_VERSION);
    buffer_finish(&good);
    buffer_finish(&file);
}

static void one_process_at_a_time_and_nobody_else(void **state)
{
    struct keyring *first = open_keyring(*state), *second = NULL;
    struct error error = {0};
    char path[FILE_PATH_SIZE];
    assert_int_equal(keyring_open(*state, &second, &error), ERR_BUSY);
    keyring_close(first);
    assert_int_equal(keyring_create(*state, &error), ERR_EXISTS);
    assert_int_equal(file_path(*state, "keys/keyring", path, NULL), OK);
    assert_int_equal(chmod(path, 0644), 0);
    assert_int_equal(keyring_open(*state, &second, &error), ERR_REFUSED);
    assert_non_null(strstr(error.detail, "chmod 600"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(keyring_open(*state, &second, &error), ERR_NOT_FOUND);
    assert_null(second);
}

struct reader {
    struct keyring *keyring;
    uint32_t found;
};

static void *read_all(void *argument)
{
    struct reader *reader = argument;
    for (uint32_t n = 0; n < 3000; n++) {
        struct key_id id = id_of(n);
        struct symmetric_key key, expected = key_of(n);
        if (keyring_find(reader->keyring, &id, &key))
            reader->found += memcmp(&key, &expected, sizeof key) == 0 ? 1 : 1000000;
    }
    return NULL;
}

static void lookups_go_on_while_the_writer_adds(void **state)
{
    struct keyring *keyring = open_keyring(*state);
    struct reader readers[2] = {{keyring, 0}, {keyring, 0}};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_all, &readers[i]), 0);
    for (uint32_t n = 0; n < 3000; n++)
        add(keyring, n);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_in_range(readers[i].found, 0, 3000); // never a wrong key
    }
    read_all(&readers[0]);
    assert_in_range(readers[0].found, 3000, 6000);
    keyring_close(keyring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys_are_found_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_never_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_39_a_destroyed_key_does_not_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_3_whatever_a_crash_leaves_at_the_end_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_3_a_sector_that_never_reached_the_disk_is_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_a_rotten_row_costs_its_own_key_only, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_12_what_is_no_keyring_is_refused_and_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(one_process_at_a_time_and_nobody_else, setup, teardown),
        cmocka_unit_test_setup_teardown(lookups_go_on_while_the_writer_adds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
