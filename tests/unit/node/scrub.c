// The scrubber's process: what it finds in a real store, and what is made of its words and of its end. This program is its own worker.
#include "node/scrub.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "relay/language.h"
#include "relay/store_file.h"
#include "tests/must.h"
#include "tests/unit/node/stations.h"

static struct stations stations;
static struct scrub_report report;

// Records of persons and money, entered values, statements: rows in most tables.
static int setup(void **context)
{
    (void)context;
    struct error error = {0};
    stations_begin(&stations);
    stations_root(&stations);
    must(stations_record(stations.root, NULL, "money", "[{\"day\":\"2024-06-01\",\"amount\":250}]", &error), &error);
    must(stations_record(stations.root, "V1", "file", "[{\"since\":\"2020-06-01\",\"name\":\"Ming\",\"birth\":\"2015-02-03\"}]", &error),
         &error);
    scrub_use_program("/proc/self/exe");
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    scrub_use_program(NULL);
    stations_end(&stations);
    return 0;
}

static void scrub_it(bool alone)
{
    struct error error = {0};
    must(scrub_directory(stations.root, alone, &report, &error), &error);
}

// ---- a real store

static struct store *opened(struct txn **ret_txn)
{
    struct store *store;
    struct error error = {0};
    must(store_open(stations.root, STORE_OPEN, 0, &store, &error), &error);
    *ret_txn = txn_begin(store, true, &error);
    assert_non_null(*ret_txn);
    return store;
}

static void done(struct store *store, struct txn *txn)
{
    struct error error = {0};
    must(txn_commit(txn, &error), &error);
    store_close(store);
}

// Turns a bit in the middle of a row of the table: the first one whose key is not `but`. False: it has none.
static bool rot(enum table table, const char *but, uint8_t ret_key[SCRUB_KEY_MAX], size_t *ret_size)
{
    struct txn *txn;
    struct store *store = opened(&txn);
    struct buffer value = {0};
    struct cursor *cursor = cursor_open(txn, table);
    bool at = cursor_next(cursor);
    if (at && but && bytes_equal(cursor_key(cursor), bytes_of_text(but)))
        at = cursor_next(cursor);
    at = at && cursor_value(cursor).size > 0;
    if (at) {
        *ret_size = cursor_key(cursor).size;
        memcpy(ret_key, cursor_key(cursor).data, *ret_size);
        buffer_append(&value, cursor_value(cursor).data, cursor_value(cursor).size);
        value.data[value.size / 2] ^= 0x10;
    }
    cursor_close(cursor);
    if (at)
        txn_put(txn, table, bytes_of(ret_key, *ret_size), buffer_bytes(&value));
    done(store, txn);
    buffer_finish(&value);
    return at;
}

static void unrot(enum table table, const uint8_t *key, size_t size)
{
    struct txn *txn;
    struct bytes held;
    struct buffer value = {0};
    struct store *store = opened(&txn);
    assert_true(txn_get(txn, table, bytes_of(key, size), &held));
    buffer_append(&value, held.data, held.size);
    value.data[value.size / 2] ^= 0x10;
    txn_put(txn, table, bytes_of(key, size), buffer_bytes(&value));
    done(store, txn);
    buffer_finish(&value);
}

static void a_sound_store_is_sound(void **context)
{
    (void)context;
    for (int alone = 0; alone < 2; alone++) {
        scrub_it(alone);
        assert_true(report.rows > 50);
        assert_int_equal(report.damaged, 0);
        assert_int_equal(report.count, 0);
        assert_false(report.broken);
        assert_false(report.beyond_fetching);
    }
    stations_run(&stations); // beside a node
    scrub_it(false);
    assert_false(report.broken || report.damaged);
    stations_stop(&stations);
}

static void fault_10_a_rotten_row_of_any_table_is_found(void **context)
{
    (void)context;
    unsigned tables = 0;
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        enum table table = (enum table)i;
        uint8_t key[SCRUB_KEY_MAX];
        size_t size;
        if (!rot(table, "format", key, &size))
            continue;
        tables++;
        scrub_it(true);
        if (report.broken || report.damaged != 1 || report.count != 1 || report.found[0].table != table)
            fail_msg("%s: %llu rows damaged%s", table_name(table), (unsigned long long)report.damaged, report.broken ? ", and more" : "");
        assert_int_equal(report.found[0].key_size, size);
        assert_memory_equal(report.found[0].key, key, size);
        bool neighbours = table == TABLE_JOURNAL || table == TABLE_OBJECTS || table == TABLE_COPIES;
        assert_int_equal(report.beyond_fetching, !neighbours);
        unrot(table, key, size);
    }
    assert_true(tables >= 15); // all that a station without peers has
    scrub_it(true);
    assert_int_equal(report.damaged, 0);
}

static void fault_10_a_subject_without_its_next_day_is_found(void **context)
{
    (void)context;
    struct txn *txn;
    struct store *store = opened(&txn);
    uint8_t key[SCRUB_KEY_MAX];
    struct cursor *cursor = cursor_open(txn, TABLE_EDGES);
    assert_true(cursor_next(cursor));
    size_t size = cursor_key(cursor).size;
    memcpy(key, cursor_key(cursor).data, size);
    cursor_close(cursor);
    assert_true(txn_delete(txn, TABLE_EDGES, bytes_of(key, size)));
    txn_put(txn, TABLE_EDGES, bytes_of(key, size - 1), bytes_of(NULL, 0)); // and one that is none
    done(store, txn);
    scrub_it(true);
    assert_int_equal(report.damaged, 2);
    assert_true(report.found[0].table == TABLE_SUBJECTS && memcmp(report.found[0].key, key + 4, size - 4) == 0);
    assert_true(report.found[1].table == TABLE_EDGES && report.beyond_fetching);
}

static void store_path(char ret[200]) { snprintf(ret, 200, "%s/store/data.mdb", stations.root); }

static void fault_11_a_broken_tree_is_not_read_here(void **context)
{
    (void)context;
    char path[200];
    struct stat there;
    uint8_t junk[4096];
    memset(junk, 0xEE, sizeof junk);
    store_path(path);
    assert_int_equal(stat(path, &there), 0);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    for (long page = 2; page < there.st_size / 4096; page++) { // all but the two that say where the trees are
        fseek(file, page * 4096, SEEK_SET);
        assert_int_equal(fwrite(junk, sizeof junk, 1, file), 1);
    }
    fclose(file);
    // The library may crash on it; this program does not.
    struct error error = {0};
    enum error_code code = scrub_directory(stations.root, true, &report, &error);
    assert_true(code == ERR_VERSION || (code == OK && report.broken && report.how[0])); // its format, too, is in those pages
}

static void fault_09_a_store_cut_short_is_broken(void **context)
{
    (void)context;
    char path[200];
    store_path(path);
    assert_int_equal(truncate(path, 8192), 0);
    scrub_it(true);
    assert_true(report.broken);
    struct error error = {0};
    assert_int_equal(scrub_advice("here", &report, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.detail, report.how));
}

// A store that this program can't read is not a damaged one: nobody is to put a copy back for it.
static void what_keeps_it_from_reading_is_no_damage(void **context)
{
    (void)context;
    struct error error = {0};
    struct txn *txn;
    uint8_t later[4];
    put_be32(later, STORE_FORMAT + 1);
    struct store *store = opened(&txn);
    txn_put(txn, TABLE_META, bytes_of_text("format"), bytes_of(later, sizeof later));
    done(store, txn);
    assert_int_equal(scrub_directory(stations.root, true, &report, &error), ERR_VERSION);
    assert_true(error.detail[0]);
    assert_false(report.broken);
    assert_int_equal(scrub_directory("/nonexistent", true, &report, &error), ERR_NOT_FOUND);
    assert_false(report.broken);
}

// LMDB reads such a page without trouble, and spoils rows when it next writes to it.
static void fault_11_bounds_of_the_free_space_are_found(void **context)
{
    (void)context;
    struct tree_finding finding;
    struct page_meta meta;
    uint64_t root = 0, bytes;
    uint8_t page[PAGE_SIZE_USUAL], byte;
    char path[300];
    snprintf(path, sizeof path, "%s/store/data.mdb", stations.root);
    int fd = open(path, O_RDWR);
    assert_int_equal(tree_metas(fd, &meta), OK);
    assert_int_equal(pread(fd, page, sizeof page, (off_t)(meta.tables.root * sizeof page)), sizeof page);
    for (unsigned i = 0; i < page_count(page); i++)
        if (bytes_equal(page_node(page, i).key, bytes_of_text("journal")))
            root = page_tree_read(page_node(page, i).value.data).root;
    assert_true(root > 1);
    off_t at = (off_t)(root * sizeof page) + 14;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    assert_int_equal(pwrite(fd, &(uint8_t){byte ^ 0x80}, 1, at), 1);
    for (int alone = 0; alone < 2; alone++) {
        scrub_it(alone);
        assert_true(report.broken && !report.died && strstr(report.how, "(journal)"));
    }
    assert_true(store_file_damage(path, &finding) && finding.page == root);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
    scrub_it(true);
    assert_false(report.broken);
    assert_false(store_file_damage(path, &finding));
    assert_int_equal(store_file_check(path, &bytes, NULL), OK);
}

// ---- what a process says, and how it ends

static char script[200];

static int script_setup(void **context)
{
    (void)context;
    stations_begin(&stations);
    stations_path(&stations, "worker", script);
    scrub_use_program(script);
    return 0;
}

static void says(const char *text)
{
    struct error error = {0};
    char whole[4096];
    snprintf(whole, sizeof whole, "#!/bin/sh\n%s\n", text);
    stations_write(script, whole);
    assert_int_equal(chmod(script, 0700), 0);
    must(scrub_directory(stations.base, true, &report, &error), &error);
}

static void fault_11_how_it_ended_is_an_answer(void **context)
{
    (void)context;
    says("echo 'table meta -'; echo 'table journal -'; kill -SEGV $$");
    assert_true(report.broken && strstr(report.how, "journal"));
    says("exit 0"); // it never came to the end
    assert_true(report.broken);
    says("echo 'done rows 12'; kill -KILL $$");
    assert_true(!report.broken && report.rows == 12);
    says("echo 'done rows 12'; exit 1");
    assert_false(report.broken);
    static const char *const faults[] = {"order", "lost", "count", "error"};
    for (size_t i = 0; i < 4; i++) {
        char text[128], how[SCRUB_TEXT_MAX];
        snprintf(text, sizeof text, "echo '%s cells 00'; echo 'order below -'; echo 'done rows 1'", faults[i]);
        says(text);
        assert_true(report.broken && strstr(report.how, "cells") && report.rows == 1); // the first of them is told
        snprintf(how, sizeof how, "%s", report.how);
        says("echo 'row cells 00'; echo 'done rows 1'");
        assert_false(report.broken);
        assert_string_equal(report.how, "");
        assert_true(strlen(how) > 10);
    }
}

static void fault_11_a_broken_page_is_named(void **context)
{
    (void)context;
    says("echo 'page cells 4/header'; echo 'page below 5/order'; echo 'done rows 0'");
    assert_true(report.broken && strstr(report.how, "page 4 (cells): its header")); // the first of them is told
    language_set(LANGUAGE_ZH);
    says("echo 'page free 7/twice'; echo 'done rows 0'");
    language_set(LANGUAGE_EN);
    assert_true(report.broken && strstr(report.how, "第 7 页（free）"));
    says("echo 'page cells 4/nosuchfault'; echo 'page cells x/header'; echo 'page cells'; echo 'done rows 0'");
    assert_false(report.broken);
}

static void words_that_nobody_knows_harm_nothing(void **context)
{
    (void)context;
    says("echo; echo row; echo 'row nosuchtable 00'; echo 'table nosuchtable -'; head -c 5000 /dev/zero | tr '\\0' x; echo; echo 'done "
         "rows 3'");
    assert_true(!report.broken && report.damaged == 0 && report.rows == 3);
    says("i=0; while [ $i -lt 1003 ]; do echo 'row journal 00000000000000ff'; i=$((i+1)); done; echo 'done rows 2000'");
    assert_true(!report.broken && report.damaged == 1003 && report.count == SCRUB_FOUND_MAX && !report.beyond_fetching);
    assert_true(report.found[SCRUB_FOUND_MAX - 1].key_size == 8 && report.found[SCRUB_FOUND_MAX - 1].key[7] == 0xff);
    says("echo 'row quarantine -'; echo 'row peers 0a'; printf 'done rows 7'; echo");
    assert_true(report.damaged == 2 && report.beyond_fetching && report.found[0].key_size == 0 && report.found[1].key[0] == 10);
    struct error error = {0};
    stations_write(script, "#!/bin/sh\necho 'failed 999 nobody knows'\n");
    assert_int_equal(scrub_directory(stations.base, true, &report, &error), ERR_STATE);
    assert_string_equal(error.detail, "nobody knows");
}

static void none_can_be_started(void **context)
{
    (void)context;
    struct error error = {0};
    struct scrubber scrubber = {0};
    scrub_use_program("/nonexistent/sanji");
    assert_int_equal(scrub_begin(stations.base, true, &scrubber, &error), ERR_IO);
    assert_non_null(strstr(error.detail, "/nonexistent/sanji"));
    assert_int_equal(scrub_directory(stations.base, true, &report, &error), ERR_IO);
    scrub_use_program(NULL);
    assert_int_equal(scrub_begin(stations.base, true, &scrubber, &error), ERR_STATE);
    scrub_end(&scrubber); // none runs
}

static void one_that_takes_its_time_is_watched_and_ended(void **context)
{
    (void)context;
    struct error error = {0};
    struct scrubber scrubber;
    int wake[2];
    char byte;
    stations_write(script, "#!/bin/sh\necho 'row journal 00000000000000ff'\nexec tail -f /dev/null\n");
    assert_int_equal(chmod(script, 0700), 0);
    assert_int_equal(pipe(wake), 0);
    report = (struct scrub_report){0};
    must(scrub_begin(stations.base, false, &scrubber, &error), &error);
    for (unsigned i = 0; i < 1000 && report.damaged == 0; i++)
        assert_false(scrub_watch(&scrubber, 10, -1, &report));
    assert_int_equal(report.damaged, 1);
    assert_int_equal(write(wake[1], "x", 1), 1);
    assert_false(scrub_watch(&scrubber, -1, wake[0], &report)); // the station stops
    assert_int_equal(read(wake[0], &byte, 1), 1);
    scrub_end(&scrubber);
    assert_int_equal(scrubber.pid, 0);
    assert_true(scrub_watch(&scrubber, -1, -1, &report)); // it has ended; no word came, so nothing was added
    assert_false(report.broken);
    scrub_end(&scrubber);
    close(wake[0]);
    close(wake[1]);
}

static void what_to_do_about_it(void **context)
{
    (void)context;
    struct error error = {0};
    report = (struct scrub_report){.damaged = 3};
    assert_int_equal(scrub_advice("/x", &report, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.detail, "fetches them again"));
    report.beyond_fetching = true;
    scrub_advice("/x", &report, &error);
    assert_non_null(strstr(error.detail, "sanji rebuild"));
    report.broken = true;
    language_set(LANGUAGE_ZH);
    scrub_advice("/x", &report, &error);
    language_set(LANGUAGE_EN);
    assert_non_null(strstr(error.detail, "恢复副本"));
}

int main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "scrub") == 0)
        return scrub_worker(argv[3], argc == 4, STDOUT_FILENO);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sound_store_is_sound, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_a_rotten_row_of_any_table_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_a_subject_without_its_next_day_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_11_a_broken_tree_is_not_read_here, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_11_bounds_of_the_free_space_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_11_a_broken_page_is_named, script_setup, teardown),
        cmocka_unit_test_setup_teardown(fault_09_a_store_cut_short_is_broken, setup, teardown),
        cmocka_unit_test_setup_teardown(what_keeps_it_from_reading_is_no_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_11_how_it_ended_is_an_answer, script_setup, teardown),
        cmocka_unit_test_setup_teardown(words_that_nobody_knows_harm_nothing, script_setup, teardown),
        cmocka_unit_test_setup_teardown(none_can_be_started, script_setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_takes_its_time_is_watched_and_ended, script_setup, teardown),
        cmocka_unit_test_setup_teardown(what_to_do_about_it, NULL, NULL),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
