// Its inside is tested too: how many rows make it write at once.
#include "node/station_keep.c"

#include <poll.h>

#include "tests/unit/node/stations.h"

static struct stations stations;

static int setup(void **context)
{
    (void)context;
    stations_begin(&stations);
    stations_root(&stations);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    stations_end(&stations);
    return 0;
}

static struct marker marker_now(void)
{
    struct marker marker;
    assert_int_equal(marker_read(stations.root, &marker, NULL), OK);
    return marker;
}

static uint64_t end_of(struct station *station)
{
    struct txn *txn = txn_begin(station_store(station), false, NULL);
    uint64_t end = journal_end(txn);
    txn_abort(txn);
    return end;
}

static enum error_code say(void *argument, struct desk *desk, struct error *error)
{
    (void)argument;
    (void)error;
    author_add(desk->author, desk->txn, 2, 2, NULL, 255, 9, desk->now_ms, bytes_of_text("x"), NULL);
    return OK;
}

static void fault_18_the_marker_follows_the_journal(void **context)
{
    (void)context;
    struct station *station;
    struct error error = {0};
    assert_int_equal(station_open(stations.root, &station, &error), OK);
    struct marker before = marker_now();
    assert_int_equal(keeper_start(station, &error), OK);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(station_write(station, say, NULL, &error), OK);
    assert_int_equal(end_of(station), before.end + 3);
    assert_int_equal(marker_now().end, before.end); // not yet: nobody waits for the disk
    keeper_note(station, before.end + KEEP_ROWS);   // a burst
    for (unsigned i = 0; i < 6000 && marker_now().end == before.end; i++)
        poll(NULL, 0, 10); // its thread's turn
    struct marker marker = marker_now();
    assert_int_equal(marker.end, before.end + 3);
    assert_false(marker.clean);
    assert_memory_not_equal(&marker.digest, &before.digest, sizeof marker.digest);
    keeper_stop(station);
    keeper_note(station, before.end + 3 * KEEP_ROWS); // a late commit: no harm
    keeper_destroy(station);
    keeper_stop(station);
    keeper_destroy(station);
    station_close(station);
    assert_true(marker_now().clean);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(fault_18_the_marker_follows_the_journal, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
