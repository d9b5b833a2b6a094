// The n-th allocation fails, n = 1, 2, 3, ... until what was to be done succeeds: making and opening a station, recording, receiving a
// batch. Each time ERR_MEMORY in words, nothing leaked (the sanitizer watches), nothing half done, and the same station goes on. Linked
// with --wrap for malloc, calloc and realloc.
#include "tests/unit/node/stations.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/service.h"
#include "node/station_inside.h"
#include "node/verify.h"
#include "tests/directory.h"

static unsigned countdown; // 0: nothing fails
static bool failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool fails(void)
{
    if (countdown == 0 || --countdown > 0)
        return false;
    failed = true;
    return true;
}

void *__wrap_malloc(size_t size) { return fails() ? NULL : __real_malloc(size); }
void *__wrap_calloc(size_t count, size_t size) { return fails() ? NULL : __real_calloc(count, size); }
void *__wrap_realloc(void *memory, size_t size) { return fails() ? NULL : __real_realloc(memory, size); }

static struct stations stations;

static int setup(void **context)
{
    (void)context;
    countdown = 0;
    stations_begin(&stations);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    countdown = 0;
    stations_end(&stations);
    return 0;
}

enum { ALLOCATIONS_MAX = 2000 };

// Calls `run` with a failure at its n-th allocation, until there is none. What went wrong is out of memory, and is said.
static unsigned each(const char *name, enum error_code (*run)(void *argument, struct error *error), void *argument)
{
    for (unsigned n = 1; n < ALLOCATIONS_MAX; n++) {
        struct error error = {0};
        failed = false;
        countdown = n;
        enum error_code code = run(argument, &error);
        countdown = 0;
        if (!failed && code != OK)
            fail_msg("%s, without a failure: %s: %s", name, error_name(code), error.detail);
        if (code != OK && (code != ERR_MEMORY || !*error.detail))
            fail_msg("%s, allocation %u: %s: '%s'", name, n, error_name(code), error.detail);
        if (!failed)
            return n;
    }
    fail_msg("%s never ends", name);
    return 0;
}

static void verifies(void)
{
    static struct verify_report report;
    struct error error = {0};
    memset(&report, 0, sizeof report);
    if (station_verify_dir(stations.root, &report, NULL, NULL, &error) != OK || report.difference_count || report.damaged_rows)
        fail_msg("verify: %s %s", error.detail, report.differences[0]);
}

// ---- making and opening

static enum error_code make(void *argument, struct error *error)
{
    unsigned before = *(unsigned *)argument;
    enum error_code code =
        station_create_root(stations.root, "C", stations.units, stations.codebook, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", error);
    countdown = 0;
    assert_int_equal(stations_entries(stations.base), before + (code == OK));
    if (code == OK && failed)
        directory_remove(strdup(stations.root)); // it did without; the next one is made in the same place
    return code;
}

static void fault_13_a_station_is_made_whole_or_not(void **context)
{
    (void)context;
    unsigned before = stations_entries(stations.base);
    assert_in_range(each("init", make, &before), 50, ALLOCATIONS_MAX);
    verifies();
}

static enum error_code open_and_close(void *argument, struct error *error)
{
    (void)argument;
    struct station *station = NULL;
    enum error_code code = station_open(stations.root, &station, error);
    if (code == OK)
        station_close(station);
    return code;
}

static void fault_13_a_station_opens_or_says_why(void **context)
{
    (void)context;
    stations_root(&stations);
    assert_in_range(each("open", open_and_close, NULL), 50, ALLOCATIONS_MAX);
    verifies();
}

// ---- recording

static uint64_t end_of(struct station *station)
{
    struct error error = {0};
    struct txn *txn = txn_begin(station_store(station), false, &error);
    assert_non_null(txn);
    uint64_t end = journal_end(txn);
    txn_abort(txn);
    return end;
}

static enum error_code record(void *argument, struct error *error)
{
    static char form[] = "file", source[] = "test", english[] = "en";
    static unsigned number;
    char json[200]; // subjects of their own each time: what is kept must not make the next try longer
    int size = snprintf(json, sizeof json,
                        "[{\"key\":\"a%u\",\"since\":\"2024-05-01\",\"name\":\"x\",\"birth\":\"2015-01-02\"},"
                        "{\"key\":\"b%u\",\"since\":\"2024-05-01\",\"name\":\"y\",\"birth\":\"2016-01-02\"}]",
                        number, number);
    number++;
    struct station *station = argument;
    unsigned left = countdown;
    countdown = 0;
    uint64_t before = end_of(station);
    Sanji__RecordRequest request = SANJI__RECORD_REQUEST__INIT;
    Sanji__Request outer = SANJI__REQUEST__INIT;
    struct buffer wire = {0}, answer = {0};
    request.form = form;
    request.source = source;
    request.format = SANJI__INPUT_FORMAT__INPUT_JSON;
    request.data = (ProtobufCBinaryData){(size_t)size, (uint8_t *)json};
    outer.language = english;
    outer.request_case = SANJI__REQUEST__REQUEST_RECORD;
    outer.record = &request;
    codec_pack(&outer, &wire);
    countdown = left;
    enum error_code code = service_handle(station, buffer_bytes(&wire), NULL, NULL, &answer, error);
    countdown = 0;
    // A failure after the commit says that it was kept.
    bool kept = code == OK || (code == ERR_STATE && strstr(error->detail, "stored"));
    if ((end_of(station) > before) != kept)
        fail_msg("%s, and it is%s: %s", error_name(code), kept ? " not there" : " there", error->detail);
    buffer_finish(&wire);
    buffer_finish(&answer);
    return kept ? OK : code;
}

static void fault_13_a_record_is_kept_or_refused(void **context)
{
    (void)context;
    struct station *station = NULL;
    struct error error = {0};
    stations_root(&stations);
    assert_int_equal(station_open(stations.root, &station, &error), OK);
    assert_in_range(each("record", record, station), 50, ALLOCATIONS_MAX);
    station_close(station);
    verifies();
}

// ---- receiving

struct receiving {
    struct station *station;
    struct guest *guest;
    struct hash funds;
    struct arrival batch; // to be sent, until it is held
    uint64_t held;
};

static void copy(struct buffer *to, const struct buffer *from)
{
    *to = (struct buffer){0};
    buffer_append(to, from->data, from->size);
    assert_false(to->failed);
}

// A batch with a statement, as a peer sends it.
static struct arrival_job *job_of(struct receiving *receiving)
{
    if (!receiving->batch.header.size) {
        guest_statement(receiving->guest, &receiving->funds, "T1", stations_month(2024, 5), 2, (int64_t)receiving->held + 1);
        guest_statement(receiving->guest, &receiving->funds, "T1", stations_month(2024, 4), 3, 40);
        guest_sign(receiving->guest, &receiving->batch);
    }
    struct arrival_job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->arrival = receiving->batch;
    copy(&job->arrival.header, &receiving->batch.header);
    copy(&job->arrival.signature, &receiving->batch.signature);
    copy(&job->arrival.body, &receiving->batch.body);
    return job;
}

static enum verdict last_verdict(struct station *station)
{
    struct batch_row row = {0};
    struct txn *txn = txn_begin(station_store(station), false, NULL);
    assert_non_null(txn);
    assert_true(journal_read(txn, journal_end(txn), &row));
    txn_abort(txn);
    return row.verdict;
}

static enum error_code receive_it(void *argument, struct error *error)
{
    struct receiving *receiving = argument;
    unsigned left = countdown;
    countdown = 0;
    uint64_t before = end_of(receiving->station);
    struct arrival_job *job = job_of(receiving);
    struct grown grown;
    countdown = left;
    enum error_code code = writer_submit_arrival(receiving->station->writer, job);
    if (code == OK) {
        writer_turn(receiving->station->writer);
        countdown = 0;
        assert_ptr_equal(writer_take(receiving->station->writer, &grown), job);
        code = job->code;
    }
    countdown = 0;
    assert_int_equal(end_of(receiving->station), before + (code == OK));
    if (code == OK) {
        assert_int_equal(job->outcome, RECEIVED);
        assert_int_equal(last_verdict(receiving->station), VERDICT_APPLIED); // memory is no reason to reject anything
        arrival_finish(&receiving->batch);
        receiving->batch = (struct arrival){0};
        receiving->held++;
    }
    arrival_finish(&job->arrival);
    free(job);
    return code == OK ? OK : error_set(error, code, "%s", error_text(code));
}

static void fault_13_a_batch_is_held_or_not(void **context)
{
    (void)context;
    struct station *station = NULL;
    struct error error = {0};
    struct guest guest;
    struct arrival certificate;
    stations_root(&stations);
    assert_int_equal(station_open(stations.root, &station, &error), OK);
    struct certificate by = *station_self(station);
    struct documents *documents = station_documents(station);
    struct receiving receiving = {.station = station, .guest = &guest};
    receiving.funds = documents->codebook->indicators[codebook_indicator(documents->codebook, "funds")].definition;
    guest_enrol(&guest, stations.root, &by, "T1", &documents->units->hash);
    station_release(station, documents);
    guest_object(&guest, &guest.certificate.hash, buffer_bytes(&guest.wire), &certificate);
    assert_int_equal(stations_receive(station, &certificate), RECEIVED);
    assert_in_range(each("receive", receive_it, &receiving), 5, ALLOCATIONS_MAX);
    assert_int_not_equal(receiving.held, 0);
    guest_finish(&guest);
    station_close(station);
    verifies();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fault_13_a_station_is_made_whole_or_not, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_13_a_station_opens_or_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_13_a_record_is_kept_or_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_13_a_batch_is_held_or_not, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
