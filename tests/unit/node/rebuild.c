// Views made again from the journal: the same rows as before the damage, and no rebuilding of what the journal does not give back. This
// program is its own scrubber's worker.
#include "node/rebuild.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/scrub.h"
#include "relay/heads.h"
#include "relay/row.h"
#include "tests/must.h"
#include "tests/unit/node/stations.h"

enum { KEY_MAX = 512 };

static struct stations stations;
static struct rebuild_report report;
static struct verify_report verified;

static int setup(void **context)
{
    (void)context;
    struct error error = {0};
    scrub_use_program("/proc/self/exe");
    stations_begin(&stations);
    stations_root(&stations);
    must(stations_record(stations.root, NULL, "money", "[{\"day\":\"2024-06-01\",\"amount\":250}]", &error), &error);
    must(stations_record(stations.root, "V1", "file", "[{\"since\":\"2020-06-01\",\"name\":\"Ming\",\"birth\":\"2015-02-03\"}]", &error),
         &error);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    stations_end(&stations);
    return 0;
}

static const enum table views[] = {TABLE_UNITS, TABLE_GROUPS,  TABLE_CELLS,      TABLE_BELOW,    TABLE_COMPLETE,
                                   TABLE_HEARD, TABLE_RECORDS, TABLE_RECORD_IDS, TABLE_SUBJECTS, TABLE_EDGES};
enum { VIEWS = sizeof views / sizeof *views };

// ---- the store

static struct store *store;
static struct txn *txn;

static void plant(void)
{
    struct error error = {0};
    must(store_open(stations.root, STORE_OPEN, 0, &store, &error), &error);
    txn = txn_begin(store, true, &error);
    assert_non_null(txn);
}

static void planted(void)
{
    struct error error = {0};
    must(txn_commit(txn, &error), &error);
    store_close(store);
}

// Every row of every view, keys and values.
static uint64_t dump(struct buffer *ret)
{
    uint64_t rows = 0;
    buffer_clear(ret);
    plant();
    for (unsigned i = 0; i < VIEWS; i++) {
        struct cursor *cursor = cursor_open(txn, views[i]);
        for (bool at = cursor_next(cursor); at; at = cursor_next(cursor), rows++) {
            buffer_append(ret, cursor_key(cursor).data, cursor_key(cursor).size);
            buffer_append(ret, cursor_value(cursor).data, cursor_value(cursor).size);
        }
        cursor_close(cursor);
    }
    planted();
    assert_false(ret->failed);
    return rows;
}

static size_t first_key(enum table table, const char *but, uint8_t ret[KEY_MAX])
{
    struct cursor *cursor = cursor_open(txn, table);
    assert_true(cursor_next(cursor));
    if (but && bytes_equal(cursor_key(cursor), bytes_of_text(but)))
        assert_true(cursor_next(cursor));
    size_t size = cursor_key(cursor).size;
    memcpy(ret, cursor_key(cursor).data, size);
    cursor_close(cursor);
    return size;
}

static void rot(enum table table)
{
    uint8_t key[KEY_MAX];
    struct bytes held;
    struct buffer value = {0};
    plant();
    size_t size = first_key(table, "format", key);
    assert_true(txn_get(txn, table, bytes_of(key, size), &held));
    if (held.size) {
        buffer_append(&value, held.data, held.size);
        value.data[value.size / 2] ^= 0x10;
        txn_put(txn, table, bytes_of(key, size), buffer_bytes(&value));
    } else {
        txn_delete(txn, table, bytes_of(key, size));
    }
    planted();
    buffer_finish(&value);
}

static void rebuild(void)
{
    struct error error = {0};
    must(station_rebuild(stations.root, &report, &error), &error);
}

static void refuses(enum error_code code, const char *text)
{
    struct error error = {0};
    assert_int_equal(station_rebuild(stations.root, &report, &error), code);
    if (!strstr(error.detail, text))
        fail_msg("%s: %s", error.detail, text);
}

// ---- tests

static void fault_10_each_rotten_view_is_made_again(void **context)
{
    (void)context;
    struct buffer before = {0}, after = {0};
    struct error error = {0};
    uint64_t rows = dump(&before);
    for (unsigned i = 0; i < VIEWS; i++) {
        if (views[i] == TABLE_BELOW || views[i] == TABLE_COMPLETE || views[i] == TABLE_HEARD)
            continue; // nobody is below this station
        rot(views[i]);
        rebuild();
        assert_int_equal(report.rows, rows);
        assert_int_equal(report.dropped, 0);
        assert_int_equal(dump(&after), rows);
        if (!bytes_equal(buffer_bytes(&before), buffer_bytes(&after)))
            fail_msg("%s: other rows than before", table_name(views[i]));
    }
    must(station_verify_dir(stations.root, &verified, NULL, NULL, &error), &error);
    assert_int_equal(verified.difference_count, 0);
    assert_int_equal(verified.damaged_rows, 0);
    must(stations_record(stations.root, NULL, "money", "[{\"day\":\"2024-06-02\",\"amount\":5}]", &error), &error); // it goes on
    buffer_finish(&before);
    buffer_finish(&after);
}

static void fault_10_views_that_are_too_many_go(void **context)
{
    (void)context;
    struct buffer before = {0}, after = {0};
    dump(&before);
    plant();
    static const uint8_t key[16 + RECORD_ID_SIZE] = {0xFF};
    txn_put(txn, TABLE_RECORDS, bytes_of(key, sizeof key), bytes_of_text("no checksum of anything"));
    txn_put(txn, TABLE_EDGES, bytes_of(key, 20), bytes_of(NULL, 0)); // sound in itself
    planted();
    rebuild();
    dump(&after);
    assert_true(bytes_equal(buffer_bytes(&before), buffer_bytes(&after)));
    buffer_finish(&before);
    buffer_finish(&after);
}

// Marks, alarms, parts of bodies, signed heads: they come again or are done without.
static void fault_10_what_comes_again_is_dropped(void **context)
{
    (void)context;
    struct station_id station = {{7}};
    struct heads_row row = {.received_ms = 1};
    struct alarm alarm = {.time_ms = 1, .kind = "test", .text = "of a test"};
    struct mark mark = {.generation = 1, .headers = 1};
    plant();
    heads_write(txn, &station, &row);
    alarm_add(txn, &alarm);
    mark_write(txn, &station, true, 1, 1, &mark);
    planted();
    rot(TABLE_HEADS);
    rot(TABLE_ALARMS);
    rot(TABLE_CURSORS);
    rebuild();
    assert_int_equal(report.dropped, 3);
    struct scrub_report *scrubbed = calloc(1, sizeof *scrubbed);
    struct error error = {0};
    assert_non_null(scrubbed);
    must(scrub_directory(stations.root, true, scrubbed, &error), &error);
    assert_true(scrubbed->damaged == 0 && !scrubbed->broken);
    free(scrubbed);
}

static void what_the_journal_does_not_give_back_is_refused(void **context)
{
    (void)context;
    struct buffer before = {0}, after = {0};
    static const enum table others[] = {TABLE_META, TABLE_FEEDS, TABLE_STREAMS};
    char advice[300];
    snprintf(advice, sizeof advice, "'sanji rebuild %s --salvage'", stations.root);
    for (unsigned i = 0; i < 3; i++) {
        dump(&before);
        rot(others[i]);
        refuses(ERR_CORRUPT, table_name(others[i]));
        refuses(ERR_CORRUPT, advice);
        rot(others[i]); // and back
        dump(&after);
        assert_true(bytes_equal(buffer_bytes(&before), buffer_bytes(&after)));
    }
    rot(TABLE_JOURNAL);
    rot(TABLE_RECORDS);
    refuses(ERR_CORRUPT, "start the node");
    rot(TABLE_JOURNAL);
    rebuild();
    buffer_finish(&before);
    buffer_finish(&after);
}

static void more_than_anybody_counts_is_refused(void **context)
{
    (void)context;
    uint8_t key[4 + 16] = {0};
    plant();
    for (uint32_t i = 0; i <= SCRUB_FOUND_MAX; i++) {
        put_be32(key, i);
        txn_put(txn, TABLE_CARRIED, bytes_of(key, sizeof key), bytes_of_text("x"));
    }
    planted();
    refuses(ERR_CORRUPT, "put a copy back");
}

static void only_where_no_node_is(void **context)
{
    (void)context;
    struct error error = {0};
    struct station *station;
    char path[200];
    must(station_open(stations.root, &station, &error), &error);
    refuses(ERR_BUSY, "open");
    station_close(station);
    assert_int_equal(station_rebuild(stations.base, &report, &error), ERR_NOT_FOUND);
    scrub_use_program(NULL);
    refuses(ERR_STATE, "no program");
    scrub_use_program("/proc/self/exe");
    snprintf(path, sizeof path, "%s/store/data.mdb", stations.root);
    assert_int_equal(truncate(path, 8192), 0);
    refuses(ERR_CORRUPT, "tree");
}

int main(int argc, char **argv)
{
    if (argc > 3 && strcmp(argv[1], "scrub") == 0)
        return scrub_worker(argv[3], argc == 4, STDOUT_FILENO);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fault_10_each_rotten_view_is_made_again, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_views_that_are_too_many_go, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_what_comes_again_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_journal_does_not_give_back_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(more_than_anybody_counts_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(only_where_no_node_is, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
