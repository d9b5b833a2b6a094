#include "node/verify_inside.h"

#include "tests/unit/node/stations.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay/receipt.h"
#include "tests/must.h"

// A station that verify reads in slices of 500 rows, while another process has it open and writes between any two of them: what the test
// wants, when verify tells how far it is.
enum { ROWS = 620 };

static struct stations stations;
static struct verify_report report;
static struct hash funds;
static struct guest v3;
static struct arrival late; // the body of a batch whose header is there
static struct station *station;
static uint64_t end; // of the journal at first

static pid_t writer, tester;
static int ask = -1, answer = -1;
static unsigned calls, restarts; // of progress
static uint64_t before;          // how far it was

static void open_station(void)
{
    struct error error = {0};
    must(station_open(stations.root, &station, &error), &error);
}

static void close_station(void)
{
    station_close(station);
    station = NULL;
}

static uint64_t journal_length(void)
{
    struct error error = {0};
    struct txn *txn = txn_begin(station_store(station), false, &error);
    uint64_t length = journal_end(txn);
    txn_abort(txn);
    return length;
}

static void enrol(struct guest *guest, const char *unit, const struct hash *units)
{
    struct arrival arrival;
    struct certificate by = *station_self(station);
    guest_enrol(guest, stations.root, &by, unit, units);
    guest_object(guest, &guest->certificate.hash, buffer_bytes(&guest->wire), &arrival);
    assert_int_equal(stations_receive(station, &arrival), RECEIVED);
}

static void state(struct guest *guest, const char *unit, int32_t month, int64_t value)
{
    struct arrival arrival;
    guest_statement(guest, &funds, unit, month, 2, value);
    guest_sign(guest, &arrival);
    assert_int_equal(stations_receive(station, &arrival), RECEIVED);
}

static void header_first(void)
{
    struct arrival header;
    guest_statement(&v3, &funds, "V3", stations_month(2024, 3), 2, 7);
    guest_sign(&v3, &late);
    header = late;
    header.header = header.signature = header.body = (struct buffer){0};
    buffer_append(&header.header, late.header.data, late.header.size);
    buffer_append(&header.signature, late.signature.data, late.signature.size);
    assert_int_equal(stations_receive(station, &header), RECEIVED_BODILESS);
}

// By the clock of the day on which it comes, the month has not come yet.
static void held_for_its_period(void)
{
    struct arrival arrival;
    guest_statement(&v3, &funds, "V3", stations_month(2024, 5), 2, 9);
    guest_sign(&v3, &arrival);
    arrival.received_ms = v3.now_ms - UINT64_C(90) * 24 * 3600 * 1000;
    assert_int_equal(stations_receive(station, &arrival), RECEIVED);
}

static int setup(void **context)
{
    (void)context;
    tester = getpid();
    calls = restarts = 0;
    before = 0;
    stations_begin(&stations);
    stations_root(&stations);
    open_station();
    struct documents *documents = station_documents(station);
    struct hash units = documents->units->hash;
    funds = documents->codebook->indicators[codebook_indicator(documents->codebook, "funds")].definition;
    station_release(station, documents);
    enrol(&v3, "V3", &units);
    header_first();
    for (int i = 0; i < ROWS; i++)
        state(&v3, "V3", stations_month(2024, 1), i + 1);
    held_for_its_period(); // until the next transaction
    end = journal_length();
    close_station();
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    if (getpid() != tester)
        _exit(1); // the writer, after an assertion
    close(ask);
    close(answer);
    ask = answer = -1;
    guest_finish(&v3);
    arrival_finish(&late);
    stations_end(&stations);
    return 0;
}

// ---- the other process

static void write_on(int asked, int answered, void (*step)(unsigned call))
{
    unsigned call;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    open_station();
    call = 0;
    assert_int_equal(write(answered, &call, sizeof call), sizeof call);
    while (read(asked, &call, sizeof call) == sizeof call) {
        step(call);
        assert_int_equal(write(answered, &call, sizeof call), sizeof call);
    }
    close_station();
    _exit(0);
}

static void hear(unsigned expected)
{
    unsigned call = ~expected;
    assert_int_equal(read(answer, &call, sizeof call), sizeof call);
    assert_int_equal(call, expected);
}

static void writer_begin(void (*step)(unsigned call))
{
    int asks[2], answers[2];
    assert_int_equal(pipe2(asks, O_CLOEXEC), 0);
    assert_int_equal(pipe2(answers, O_CLOEXEC), 0);
    fflush(NULL);
    writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        close(asks[1]);
        close(answers[0]);
        write_on(asks[0], answers[1], step);
    }
    close(asks[0]);
    close(answers[1]);
    ask = asks[1];
    answer = answers[0];
    hear(0);
}

static void writer_end(void)
{
    int status;
    close(ask);
    ask = -1;
    assert_int_equal(waitpid(writer, &status, 0), writer);
    assert_int_equal(status, 0);
}

static void on_progress(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    assert_true(done <= total);
    restarts += done <= before;
    before = done;
    calls++;
    assert_int_equal(write(ask, &calls, sizeof calls), sizeof calls);
    hear(calls);
}

static void verify_beside(void (*step)(unsigned call))
{
    struct error error = {0};
    writer_begin(step);
    must(station_verify_dir(stations.root, &report, on_progress, NULL, &error), &error);
    writer_end();
    for (uint64_t i = 0; i < report.difference_count && i < VERIFY_DIFFERENCES_MAX; i++)
        print_message("  %s\n", report.differences[i]);
    assert_int_equal(report.difference_count, 0);
    assert_int_equal(report.damaged_rows, 0);
    assert_true(report.records_skipped);
}

// ---- what comes meanwhile

static void rows_change_and_come(unsigned call)
{
    struct guest t2;
    if (call > 1)
        return;
    assert_int_equal(stations_receive(station, &late), RECEIVED); // and what was held for its period is taken up before
    struct documents *documents = station_documents(station);
    enrol(&t2, "T2", &documents->units->hash);
    station_release(station, documents);
    state(&t2, "T2", stations_month(2024, 2), 11); // a feed that was not there
    state(&v3, "V3", stations_month(2024, 1), 12); // a figure that the walk has passed
    guest_finish(&t2);
}

static void what_changes_behind_the_walk_is_looked_at_again(void **context)
{
    (void)context;
    verify_beside(rows_change_and_come);
    assert_int_equal(calls, 1);
    assert_int_equal(report.batches, end + 2);
    assert_int_equal(report.headers_only, 0);
    assert_int_equal(report.deferred, 0);
    assert_int_equal(report.certificates, 2); // T2's came after the objects had been looked at
}

static void nothing_comes(unsigned call) { (void)call; }

static void what_stays_open_is_no_difference(void **context)
{
    (void)context;
    verify_beside(nothing_comes);
    assert_int_equal(report.batches, end);
    assert_int_equal(report.headers_only, 1);
    assert_int_equal(report.deferred, ROWS + 1); // what v3 said after the body that is owed
}

// A body that is in the journal, with no effect in the views.
static enum error_code put_body_alone(void *argument, struct desk *desk, struct error *error)
{
    uint32_t feed;
    struct feed_state feed_state;
    uint64_t position;
    (void)argument;
    assert_true(feed_find(desk->txn, &v3.feed, &feed, &feed_state));
    assert_true(journal_find(desk->txn, feed, 1, &position));
    journal_add_body(desk->txn, position, buffer_bytes(&late.body), VERDICT_APPLIED, "");
    return txn_report(desk->txn, error);
}

static void a_forger_writes(unsigned call)
{
    struct error error = {0};
    if (call == 1)
        must(station_write(station, put_body_alone, NULL, &error), &error);
}

static void fault_42_a_body_without_its_effect_behind_the_walk(void **context)
{
    (void)context;
    struct error error = {0};
    writer_begin(a_forger_writes);
    must(station_verify_dir(stations.root, &report, on_progress, NULL, &error), &error);
    writer_end();
    assert_int_equal(calls, 1);
    assert_true(report.difference_count > 0);
    assert_non_null(strstr(report.differences[0], "missing from the store"));
}

static enum error_code put_tree(void *argument, struct desk *desk, struct error *error)
{
    const unsigned *version = argument;
    char text[1024];
    size_t size = (size_t)snprintf(text, sizeof text, "%s", stations_units);
    for (unsigned i = 2; i <= *version; i++)
        size += (size_t)snprintf(text + size, sizeof text - size, "V%u,Village %u,village,T2\n", i + 3, i + 3);
    struct hash hash = crypto_hash(TAG_DOCUMENT, bytes_of_text(text));
    object_add(desk->txn, &hash, OBJECT_DOCUMENT, bytes_of_text(text));
    assert_true(document_enforce(desk->txn, DOCUMENT_UNITS, &hash, *version));
    struct units *units;
    must(units_parse(bytes_of_text(text), "units.csv", &units, error), error);
    unit_ids_assign(desk->txn, units);
    units_destroy(units);
    return txn_report(desk->txn, error);
}

// A new tree with one village more, which speaks at once.
static void documents_come(unsigned version)
{
    struct error error = {0};
    struct guest guest;
    char unit[16];
    must(station_write(station, put_tree, &version, &error), &error);
    close_station();
    open_station();
    snprintf(unit, sizeof unit, "V%u", version + 3);
    struct documents *documents = station_documents(station);
    assert_int_equal(documents->units_version, version);
    enrol(&guest, unit, &documents->units->hash);
    station_release(station, documents);
    state(&guest, unit, stations_month(2024, 2), 13);
    guest_finish(&guest);
}

static void documents_come_once(unsigned call)
{
    if (call == 1)
        documents_come(2);
}

static void documents_come_always(unsigned call) { documents_come(call + 1); }

static void documents_that_come_meanwhile_begin_it_anew(void **context)
{
    (void)context;
    verify_beside(documents_come_once);
    assert_int_equal(calls, 2);
    assert_int_equal(restarts, 1);
    assert_int_equal(report.batches, end + 1);
}

static void documents_that_never_hold_still_are_read_in_one_transaction(void **context)
{
    (void)context;
    verify_beside(documents_come_always);
    assert_int_equal(calls, 3);
    assert_int_equal(restarts, 2);
    assert_int_equal(report.batches, end + 2); // those of the third time came too late
}

static void as_many_rows_come(unsigned call)
{
    (void)call;
    for (unsigned i = 0; i < 500; i++)
        state(&v3, "V3", stations_month(2024, 1), 1 + i % 2);
}

static void a_journal_that_grows_as_fast_as_it_is_read_is_followed_once_its_length(void **context)
{
    (void)context;
    verify_beside(as_many_rows_come);
    assert_int_equal(calls, (end + 1000) / 500); // with 500 and 1000 read, as many came; from 2 * end on it holds
    assert_int_equal(report.batches, end + 1000);
}

// Spoken over when it came, though it stands before what spoke over it.
static void fault_42_a_body_that_came_after_what_speaks_over_it(void **context)
{
    (void)context;
    struct error error = {0};
    open_station();
    state(&v3, "V3", stations_month(2024, 3), 8);
    assert_int_equal(stations_receive(station, &late), RECEIVED);
    close_station();
    must(station_verify_dir(stations.root, &report, NULL, NULL, &error), &error);
    for (uint64_t i = 0; i < report.difference_count && i < VERIFY_DIFFERENCES_MAX; i++)
        print_message("  %s\n", report.differences[i]);
    assert_int_equal(report.difference_count, 0);
}

// ---- pages

static enum error_code put_value(void *argument, struct desk *desk, struct error *error)
{
    static uint8_t value[65536];
    memset(value, *(unsigned char *)argument, sizeof value);
    meta_put(desk->txn, "test", bytes_of(value, sizeof value));
    return txn_report(desk->txn, error);
}

enum { REWRITES = 100 };
static void pages_are_written_again(unsigned call)
{
    struct error error = {0};
    char path[160];
    struct stat first, last;
    stations_path(&stations, "c/store/data.mdb", path);
    for (unsigned i = 0; i < 4 + REWRITES; i++) {
        unsigned char with = (unsigned char)(call + i);
        must(station_write(station, put_value, &with, &error), &error);
        if (i == 3)
            assert_int_equal(stat(path, &first), 0);
    }
    assert_int_equal(stat(path, &last), 0);
    assert_true(last.st_size - first.st_size < REWRITES * 65536 / 4); // a reader that pins the pages makes it all of them
}

static void no_pages_are_held_back_between_slices(void **context)
{
    (void)context;
    verify_beside(pages_are_written_again);
    assert_int_equal(calls, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_changes_behind_the_walk_is_looked_at_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_stays_open_is_no_difference, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_42_a_body_without_its_effect_behind_the_walk, setup, teardown),
        cmocka_unit_test_setup_teardown(documents_that_come_meanwhile_begin_it_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(documents_that_never_hold_still_are_read_in_one_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(a_journal_that_grows_as_fast_as_it_is_read_is_followed_once_its_length, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_42_a_body_that_came_after_what_speaks_over_it, setup, teardown),
        cmocka_unit_test_setup_teardown(no_pages_are_held_back_between_slices, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
