// What a node does about what the scrubber finds: before it starts, and while it runs. The scrubber's process is a script of the test's.
#include "node/station_inside.h"

#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>

#include "node/scrub.h"
#include "relay/quarantine.h"
#include "tests/unit/node/stations.h"

static struct stations stations;
static char script[200], looks[200];

static int setup(void **context)
{
    (void)context;
    stations_begin(&stations);
    stations_root(&stations);
    stations_path(&stations, "worker", script);
    stations_path(&stations, "looks", looks);
    scrub_use_program(script);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    scrub_use_program(NULL);
    stations_end(&stations);
    return 0;
}

// Each look leaves a byte in `looks`; $n says how many there were.
static void worker(const char *text)
{
    char whole[2048];
    snprintf(whole, sizeof whole, "#!/bin/sh\nprintf x >> %s\nn=$(wc -c < %s)\n%s\n", looks, looks, text);
    stations_write(script, whole);
    assert_int_equal(chmod(script, 0700), 0);
}

static off_t looked(void)
{
    struct stat there;
    return stat(looks, &there) == 0 ? there.st_size : 0;
}

static enum error_code start(struct station **ret, struct error *error)
{
    *error = (struct error){0};
    return station_open_as(stations.root, STATION_RUNS, ret, error);
}

static uint32_t alarms(struct station *station, const char *kind)
{
    struct alarm found[16];
    uint32_t count = 0;
    struct txn *txn = txn_begin(station->store, false, NULL);
    assert_non_null(txn);
    for (uint32_t i = 0, all = alarm_last(txn, found, 16); i < all; i++)
        count += strcmp(found[i].kind, kind) == 0;
    txn_abort(txn);
    return count;
}

static void fault_11_a_broken_tree_keeps_a_node_from_starting(void **context)
{
    (void)context;
    struct station *station;
    struct error error;
    worker("echo 'table journal -'; kill -SEGV $$");
    assert_int_equal(start(&station, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.detail, "journal"));
    assert_int_equal(looked(), 2);
}

static void a_scrubber_that_dies_of_something_else_stops_nobody(void **context)
{
    (void)context;
    struct station *station;
    struct error error;
    worker("test $n = 1 && kill -KILL $$; echo 'done rows 5'"); // once, as when memory was short
    assert_int_equal(start(&station, &error), OK);
    assert_int_equal(looked(), 2);
    assert_true(station->scrubbed);
    station_close(station);
    worker("echo 'failed 12 out of memory'");
    assert_int_equal(start(&station, &error), OK);
    assert_false(station->scrubbed); // so the thread looks at once
    station_close(station);
    scrub_use_program("/nonexistent/sanji");
    assert_int_equal(start(&station, &error), OK);
    assert_false(station->scrubbed);
    station_close(station);
}

static void fault_10_what_is_found_first_is_entered(void **context)
{
    (void)context;
    struct station *station;
    struct error error;
    struct quarantined entry;
    worker("echo 'row journal 0000000000000001'; echo 'row journal 00'; echo 'row objects 00'; echo 'row cells 00'; echo 'done rows 5'");
    assert_int_equal(start(&station, &error), OK);
    assert_int_equal(alarms(station, "damaged"), 1); // the journal's row is whole, whatever was said of it
    struct txn *txn = txn_begin(station->store, false, NULL);
    assert_false(quarantine_of_batch(txn, 1, &entry));
    txn_abort(txn);
    station_close(station);
}

static void fault_10_what_is_needed_to_start_is_named_with_the_way_out(void **context)
{
    (void)context;
    struct station *station;
    struct error error;
    struct store *store;
    assert_int_equal(store_open(stations.root, STORE_OPEN, 0, &store, &error), OK);
    struct txn *txn = txn_begin(store, true, &error);
    struct cursor *cursor = cursor_open(txn, TABLE_UNITS);
    uint8_t key[64];
    assert_true(cursor_next(cursor) && cursor_key(cursor).size <= sizeof key);
    size_t size = cursor_key(cursor).size;
    memcpy(key, cursor_key(cursor).data, size);
    cursor_close(cursor);
    txn_put(txn, TABLE_UNITS, bytes_of(key, size), bytes_of_text("rotten"));
    assert_int_equal(txn_commit(txn, &error), OK);
    store_close(store);
    worker("echo 'row units 4300'; echo 'done rows 5'");
    assert_int_equal(start(&station, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.detail, "sanji rebuild"));
    worker("echo 'done rows 5'"); // nothing is known: the row is named
    assert_int_equal(start(&station, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.detail, "units"));
}

static void wait_for(off_t count)
{
    for (unsigned i = 0; i < 6000 && looked() < count; i++)
        poll(NULL, 0, 10); // its thread's turn
    assert_true(looked() >= count);
}

static void a_thread_looks_while_the_node_runs(void **context)
{
    (void)context;
    struct station *station;
    struct error error;
    worker("echo 'failed 12 later'");
    assert_int_equal(start(&station, &error), OK);
    worker("echo 'row cells 00'; echo 'done rows 5'");
    assert_int_equal(station_scrub_start(station, &error), OK);
    wait_for(2);
    for (unsigned i = 0; i < 6000 && alarms(station, "damaged") == 0; i++)
        poll(NULL, 0, 10);
    assert_int_equal(alarms(station, "damaged"), 1);
    station_scrub_stop(station);
    station_scrub_stop(station); // takes a stopped one
    station->scrubbed = false;
    worker("exec tail -f /dev/null"); // a look that has no end ends with the node
    assert_int_equal(station_scrub_start(station, &error), OK);
    station_scrub_stop(station);
    station_close(station);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fault_11_a_broken_tree_keeps_a_node_from_starting, setup, teardown),
        cmocka_unit_test_setup_teardown(a_scrubber_that_dies_of_something_else_stops_nobody, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_what_is_found_first_is_entered, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_what_is_needed_to_start_is_named_with_the_way_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_thread_looks_while_the_node_runs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
