// Its inside is tested too: the hooks of the writer's transactions can't be reached from outside.
#include "node/station.c"
#include "node/station_run.c"
#include "node/station_work.c"

#include "node/verify.h"
#include "tests/unit/node/stations.h"

#include "envelope.pb-c.h"
#include "node/ledger_rows.h"
#include "record.pb-c.h"
#include "tests/directory.h"
#include "tests/must.h"

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
    language_set(LANGUAGE_EN);
    return 0;
}

static struct station *opened(const char *directory)
{
    struct station *station = NULL;
    struct error error = {0};
    must(station_open(directory, &station, &error), &error);
    return station;
}

static void refused(const char *directory, enum error_code wanted, const char *text)
{
    struct station *station = (struct station *)8;
    struct error error = {0};
    enum error_code code = station_open(directory, &station, &error);
    if (code != wanted)
        fail_msg("%s, not %s: %s", error_name(code), error_name(wanted), error.detail);
    assert_ptr_equal(station, (struct station *)8);
    if (!strstr(error.detail, text))
        fail_msg("%s: not '%s'", error.detail, text);
}

static uint64_t end_of(struct station *station)
{
    struct error error = {0};
    struct txn *txn = txn_begin(station_store(station), false, &error);
    assert_non_null(txn);
    uint64_t end = journal_end(txn);
    txn_abort(txn);
    return end;
}

static void inside(const char *name, char ret[200]) { snprintf(ret, 200, "%s/%s", stations.root, name); }

static void remove_inside(const char *name)
{
    char path[200];
    inside(name, path);
    directory_remove(strdup(path));
    assert_false(stations_exists(path));
}

// DIRECTORY/NAME as it is in another place.
static void put(const char *from, const char *name)
{
    char source[200], target[200];
    snprintf(source, sizeof source, "%s/%s", from, name);
    inside(name, target);
    remove_inside(name);
    stations_copy(source, target);
}

static const char money[] = "[{\"day\": \"2024-06-01\", \"amount\": 250}]";

static enum error_code record(const char *json, struct error *error) { return stations_record(stations.root, NULL, "money", json, error); }

// ---- one at a time

static void a_second_opening_is_busy(void **context)
{
    (void)context;
    struct station *station = opened(stations.root);
    refused(stations.root, ERR_BUSY, stations.root);
    station_close(station);
    station = opened(stations.root);
    station_close(station);
    station_close(NULL);
    stations_run(&stations);
    refused(stations.root, ERR_BUSY, "node");
    stations_stop(&stations);
    station_close(opened(stations.root));
}

static void two_nodes_in_one_place_are_one(void **context)
{
    (void)context;
    struct error error = {0};
    struct station *station = opened(stations.root);
    assert_int_equal(station_run(stations.root, &error), ERR_BUSY);
    station_close(station);
}

// ---- what does not belong together

static void what_is_no_station_is_refused(void **context)
{
    (void)context;
    char conf[200], other[160], moved[160], text[400];
    struct error error = {0};
    refused(stations.base, ERR_NOT_FOUND, "no station here");
    refused("/nonexistent", ERR_NOT_FOUND, "/nonexistent");
    stations_path(&stations, "other", other);
    must(station_create_root(other, "C", stations.units, NULL, NULL, NULL, &error), &error);
    stations_path(&stations, "mine", moved);
    stations_copy(stations.root, moved);

    put(other, "keys");
    refused(stations.root, ERR_CORRUPT, "keys");
    put(moved, "keys");
    put(other, "store");
    refused(stations.root, ERR_CORRUPT, "keys");
    remove_inside("store");
    refused(stations.root, ERR_NOT_FOUND, "store");
    put(moved, "store");
    remove_inside("keys");
    refused(stations.root, ERR_NOT_FOUND, "keys");
    put(moved, "keys");

    inside("station.conf", conf);
    stations_write(conf, "root = nothing\n");
    refused(stations.root, ERR_INPUT, "station.conf:1");
    snprintf(text, sizeof text, "root = %064d\n", 7); // of another network
    stations_write(conf, text);
    refused(stations.root, ERR_CORRUPT, "'root' is not the root");
    language_set(LANGUAGE_ZH);
    refused(stations.root, ERR_CORRUPT, "'root' 不是");
    language_set(LANGUAGE_EN);
    stations_path(&stations, "mine/station.conf", moved);
    struct config config;
    stations_path(&stations, "mine", moved);
    must(config_read(moved, &config, &error), &error);
    must(config_write(stations.root, &config, &error), &error);
    struct station *station = opened(stations.root); // all is in its place again, and nothing was taken for a restore
    assert_false(station_restored(station));
    station_close(station);
}

static void a_marker_that_is_not_ours_is_refused(void **context)
{
    (void)context;
    struct error error = {0};
    struct marker marker, kept;
    char path[200];
    must(marker_read(stations.root, &kept, &error), &error);
    marker = kept;
    marker.station.bytes[0] ^= 1;
    must(marker_write(stations.root, &marker, &error), &error);
    refused(stations.root, ERR_CORRUPT, "another station");
    inside("marker", path);
    stations_write(path, "what is this");
    refused(stations.root, ERR_CORRUPT, "marker");
    must(marker_write(stations.root, &kept, &error), &error);
    station_close(opened(stations.root));
}

// ---- restored or not

static void status_of(const char *directory, const char *state, uint64_t batches)
{
    struct client_answer answer;
    struct error error = {0};
    Sanji__Request request = SANJI__REQUEST__INIT;
    Sanji__StatusRequest status = SANJI__STATUS_REQUEST__INIT;
    request.request_case = SANJI__REQUEST__REQUEST_STATUS;
    request.status = &status;
    must(stations_ask(directory, &request, SANJI__REPLY__REPLY_STATUS, &answer, &error), &error);
    assert_string_equal(answer.reply->status->state, state);
    assert_int_equal(answer.reply->status->journal_batches, batches);
    client_finish(&answer);
}

static void fault_18_a_store_put_back_is_read_only(void **context)
{
    (void)context;
    struct error error = {0};
    char old[160];
    must(record(money, &error), &error);
    stations_path(&stations, "backup", old);
    stations_copy(stations.root, old);
    struct station *station = opened(stations.root);
    uint64_t before = end_of(station);
    station_close(station);
    must(record(money, &error), &error);
    put(old, "store");
    for (int i = 0; i < 2; i++) { // it stays so
        station = opened(stations.root);
        assert_true(station_restored(station));
        assert_int_equal(end_of(station), before); // reading works
        assert_int_equal(station_write(station, NULL, NULL, &error), ERR_STATE);
        assert_non_null(strstr(error.detail, "read-only"));
        station_close(station);
        assert_int_equal(record(money, &error), ERR_STATE);
        status_of(stations.root, "read-only", before);
    }
    stations_run(&stations); // a node too
    status_of(stations.root, "read-only", before);
    assert_int_equal(record(money, &error), ERR_STATE);
    stations_stop(&stations);
    station = opened(stations.root);
    assert_true(station_restored(station));
    assert_int_equal(end_of(station), before);
    station_close(station);
}

static void fault_18_without_a_marker_it_is_read_only(void **context)
{
    (void)context;
    struct error error = {0};
    char path[200];
    must(record(money, &error), &error);
    inside("marker", path);
    assert_int_equal(unlink(path), 0);
    struct station *station = opened(stations.root);
    assert_true(station_restored(station));
    station_close(station);
    struct marker marker; // one is made, which says so: with another history of its length the store would be no better
    must(marker_read(stations.root, &marker, &error), &error);
    assert_true(marker.restored && marker.wants);
    assert_int_equal(record(money, &error), ERR_STATE);
}

// Each thing that the marker remembers is looked at.
static void fault_18_the_marker_against_the_store(void **context)
{
    (void)context;
    struct error error = {0};
    struct marker marker, kept;
    must(record(money, &error), &error);
    must(marker_read(stations.root, &kept, &error), &error);
    assert_true(kept.clean);
    assert_true(kept.end > 1);
    for (int i = 0; i < 6; i++) {
        marker = kept;
        bool restored = i < 4;
        switch (i) {
        case 0:
            marker.starts++;
            break;
        case 1:
            marker.end++;
            break;
        case 2:
            marker.digest.bytes[5] ^= 1;
            break;
        case 3:
            marker.end--; // clean: it must end there
            break;
        case 4: { // not clean: the store went on after the marker was written
            struct station *station = opened(stations.root);
            struct txn *txn = txn_begin(station_store(station), false, &error);
            struct batch_row row;
            assert_true(journal_read(txn, kept.end - 1, &row));
            marker.digest = journal_digest(&row);
            txn_abort(txn);
            station->restored = true; // leave the marker alone
            station_close(station);
            marker.end--;
            marker.clean = false;
            break;
        }
        default:
            marker.starts--; // a crash between counting the start and writing the marker
            marker.clean = false;
        }
        must(marker_write(stations.root, &marker, &error), &error);
        struct station *station = opened(stations.root);
        if (station_restored(station) != restored)
            fail_msg("case %d", i);
        station->restored = true;
        station_close(station);
    }
    must(marker_write(stations.root, &kept, &error), &error);
}

static void fault_01_a_crash_is_no_restore(void **context)
{
    (void)context;
    struct error error = {0};
    stations_run(&stations);
    for (int i = 0; i < 3; i++)
        must(record(money, &error), &error);
    stations_kill(&stations);
    struct station *station = opened(stations.root);
    assert_false(station_restored(station));
    assert_false(station->marker.clean);
    assert_true(end_of(station) > 3); // what was acknowledged is there
    uint64_t starts = station->meta.starts;
    station_close(station);
    station = opened(stations.root);
    assert_false(station_restored(station));
    assert_int_equal(station->meta.starts, starts + 1);
    station_close(station);
    must(record(money, &error), &error);
}

// ---- reading

static void read_file(const char *directory, const char *name, struct buffer *ret)
{
    struct error error = {0};
    buffer_finish(ret);
    must(file_read(directory, name, (size_t)1 << 30, true, ret, &error), &error);
}

static void ask_status(struct station *station)
{
    Sanji__Request request = SANJI__REQUEST__INIT;
    Sanji__StatusRequest status = SANJI__STATUS_REQUEST__INIT;
    struct buffer wire = {0}, answer = {0};
    struct error error = {0};
    request.request_case = SANJI__REQUEST__REQUEST_STATUS;
    request.status = &status;
    request.language = (char[]){"en"};
    codec_pack(&request, &wire);
    must(service_handle(station, buffer_bytes(&wire), NULL, NULL, &answer, &error), &error);
    assert_true(answer.size > 0);
    buffer_finish(&wire);
    buffer_finish(&answer);
}

// No byte more may be written, as on a disk without any room, and nothing is kept back either: it is read all the same.
static void fault_07_a_full_disk_keeps_nobody_from_reading(void **context)
{
    (void)context;
    static const char *const files[] = {"store/data.mdb", "marker"};
    struct buffer before[2] = {{0}}, after = {0};
    struct error error = {0};
    struct rlimit limit, none;
    struct station *station;
    must(record(money, &error), &error);
    for (unsigned i = 0; i < 2; i++)
        read_file(stations.root, files[i], &before[i]);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    none = limit;
    none.rlim_cur = 0;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    reserve_release(stations.root);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    enum error_code writes = station_open(stations.root, &station, NULL);
    enum error_code reads = station_open_reading(stations.root, &station, &error);
    if (reads == OK) {
        ask_status(station);
        station_close(station);
    }
    setrlimit(RLIMIT_FSIZE, &limit);
    signal(SIGXFSZ, handler);
    must(reads, &error);
    assert_int_not_equal(writes, OK);                                    // else this proves nothing
    must(station_open_reading(stations.root, &station, &error), &error); // nor does it write where there is room
    ask_status(station);
    station_close(station);
    for (unsigned i = 0; i < 2; i++) {
        read_file(stations.root, files[i], &after);
        assert_int_equal(after.size, before[i].size);
        assert_memory_equal(after.data, before[i].data, after.size);
        buffer_finish(&before[i]);
    }
    buffer_finish(&after);
    must(record(money, &error), &error);
}

// ---- writing

static enum error_code write_then_fail(void *argument, struct desk *desk, struct error *error)
{
    unsigned *runs = argument;
    ++*runs;
    meta_put(desk->txn, "written", bytes_of_text("1"));
    author_add(desk->author, desk->txn, SANJI__LANE__CONTROL, SANJI__AUDIENCE__UP, NULL, REACH_TOP, SANJI__ENTRY_KIND__HEADS, 1,
               bytes_of_text("x"), NULL);
    return error_set(error, ERR_REFUSED, "not today");
}

static void a_failed_call_changes_nothing(void **context)
{
    (void)context;
    struct error error = {0};
    unsigned runs = 0;
    struct bytes value;
    struct station *station = opened(stations.root);
    uint64_t before = end_of(station);
    assert_int_equal(station_write(station, write_then_fail, &runs, &error), ERR_REFUSED);
    assert_string_equal(error.detail, "not today");
    assert_int_equal(runs, 1);
    struct txn *txn = txn_begin(station_store(station), false, &error);
    assert_false(meta_get(txn, "written", &value));
    txn_abort(txn);
    assert_int_equal(end_of(station), before);
    assert_int_equal(station_write(station, write_then_fail, &runs, NULL), ERR_REFUSED);
    station_close(station);
    must(record(money, &error), &error); // and nothing of it is left for the next
    station = opened(stations.root);
    assert_int_equal(end_of(station), before + 2); // the record with its key grants apart, and what it amounts to
    station_close(station);
}

static void who_takes_children(void **context)
{
    (void)context;
    struct error error = {0};
    struct host host;
    struct station *station = opened(stations.root);
    must(station_host(station, &host, &error), &error);
    assert_ptr_equal(host.self, station_self(station));
    assert_string_equal(host.link, "tcp://127.0.0.1:0");
    station->config.join[0] = 0;
    assert_int_equal(station_host(station, &host, &error), ERR_STATE);
    assert_non_null(strstr(error.detail, "station.conf"));
    assert_int_equal(station_host(station, &host, NULL), ERR_STATE);
    station_close(station);
}

// ---- documents

static const char tree2[] = "code,name,tier,parent_code\n"
                            "C,County,county,\nT1,Town 1,township,C\nV9,Village 9,village,T1\nV1,Village 1,village,T1\n"
                            "V2,Village 2,village,T1\nT2,Town 2,township,C\n";

// A township's station, enrolled; its guest V9 has a unit of the tree that is to come; the root speaks to it.
struct town {
    char directory[160];
    struct station *station;
    struct guest root, v9;
    struct hash tree, definition;
};

static void town_open(struct town *town)
{
    stations_run(&stations);
    stations_child(&stations, "T1", "t1", town->directory);
    stations_stop(&stations);
    town->station = opened(town->directory);
    uint32_t count;
    const struct certificate *above = station_ancestors(town->station, &count);
    assert_int_equal(count, 1);
    town->tree = crypto_hash(TAG_DOCUMENT, bytes_of_text(tree2));
    guest_root(&town->root, stations.root, above);
    guest_enrol(&town->v9, town->directory, station_self(town->station), "V9", &town->tree);
    const struct codebook *codebook = town->station->documents->codebook;
    town->definition = codebook->indicators[codebook_indicator(codebook, "funds")].definition;
}

static void town_close(struct town *town)
{
    station_close(town->station);
    guest_finish(&town->root);
    guest_finish(&town->v9);
}

struct delivery {
    struct town *town;
    struct arrival *arrivals;
    uint32_t count;
    enum received received;
    bool fail; // when all is done but the commit
};

static enum error_code run_delivery(void *argument, struct txn *txn, struct error *error)
{
    struct delivery *delivery = argument;
    struct station *station = delivery->town->station;
    struct grown grown = {0};
    for (uint32_t i = 0; i < delivery->count; i++)
        delivery->received = receive(&station->receiver, txn, &delivery->arrivals[i], &grown);
    if (delivery->fail) {
        on_before_commit(station, txn, &grown);
        assert_non_null(station->next);
        struct documents *shown = station_documents(station);
        assert_int_equal(shown->units_version, 1); // nothing is shown before it is durable
        station_release(station, shown);
        return error_set(error, ERR_FULL, "as if the disk were full");
    }
    return OK;
}

static enum received deliver(struct town *town, struct arrival *arrival)
{
    struct error error = {0};
    struct delivery delivery = {.town = town, .arrivals = arrival, .count = 1};
    must(writer_call(town->station->writer, run_delivery, &delivery, &error), &error);
    arrival_finish(arrival);
    return delivery.received;
}

static void verdict_at(struct town *town, uint64_t position, enum verdict wanted, const char *reason)
{
    struct error error = {0};
    struct batch_row row;
    struct txn *txn = txn_begin(station_store(town->station), false, &error);
    assert_true(journal_read(txn, position, &row));
    assert_int_equal(row.verdict, wanted);
    assert_string_equal(row.reason, reason);
    txn_abort(txn);
}

static int64_t funds(struct town *town, const char *unit, bool below)
{
    struct error error = {0};
    struct cells cells = {0};
    struct txn *txn = txn_begin(station_store(town->station), false, &error);
    struct documents *documents = station_documents(town->station);
    int32_t at = units_find(documents->units, unit);
    assert_true(at >= 0);
    assert_int_not_equal(documents->unit_ids[at], UNIT_ID_NONE);
    struct group_key group = {town->definition, documents->unit_ids[at], {SANJI__PERIOD_TYPE__MONTH, stations_month(2024, 5)}};
    cells_read(txn, below ? TABLE_BELOW : TABLE_CELLS, &group, 0, &cells);
    station_release(town->station, documents);
    txn_abort(txn);
    return cells.values[2];
}

// A station of a unit that only the next tree has, then the announcement, then the tree: everything waits for it, and is then taken up.
static void what_waited_is_taken_up_when_the_tree_comes(void **context)
{
    (void)context;
    struct town town;
    struct arrival arrival;
    struct error error = {0};
    town_open(&town);
    uint64_t at = end_of(town.station);
    guest_object(&town.v9, &town.v9.certificate.hash, buffer_bytes(&town.v9.wire), &arrival);
    assert_int_equal(deliver(&town, &arrival), RECEIVED);
    guest_statement(&town.v9, &town.definition, "V9", stations_month(2024, 5), 2, 700);
    guest_sign(&town.v9, &arrival);
    assert_int_equal(deliver(&town, &arrival), RECEIVED);
    verdict_at(&town, at + 1, VERDICT_DEFERRED, "units");
    guest_announce(&town.root, DOCUMENT_UNITS, &town.tree, 2, bytes_of_text(tree2));
    guest_sign(&town.root, &arrival);
    assert_int_equal(deliver(&town, &arrival), RECEIVED);
    verdict_at(&town, at + 2, VERDICT_DEFERRED, "document");
    struct documents *held = station_documents(town.station);
    assert_int_equal(held->units_version, 1);
    guest_object(&town.root, &town.tree, bytes_of_text(tree2), &arrival);
    assert_int_equal(deliver(&town, &arrival), RECEIVED);
    verdict_at(&town, at + 2, VERDICT_APPLIED, "");
    verdict_at(&town, at + 1, VERDICT_APPLIED, "");
    struct documents *now = station_documents(town.station);
    assert_int_equal(now->units_version, 2);
    assert_true(now != held);
    assert_int_equal(units_find(held->units, "V9"), UNIT_NONE); // whoever holds the old ones goes on with them
    station_release(town.station, held);
    station_release(town.station, now);
    assert_int_equal(funds(&town, "V9", false), 700);
    assert_int_equal(funds(&town, "T1", true), 700);
    station_close(town.station); // and it is so after a start
    town.station = opened(town.directory);
    assert_int_equal(funds(&town, "V9", false), 700);
    town_close(&town);
    // The new unit has a number after those of the first tree: the journal, folded again, gives it the same one.
    struct verify_report *report = calloc(1, sizeof *report);
    assert_non_null(report);
    must(station_verify_dir(town.directory, report, NULL, NULL, &error), &error);
    if (report->difference_count)
        fail_msg("%llu differences: %s", (unsigned long long)report->difference_count, report->differences[0]);
    assert_int_equal(report->damaged_rows, 0);
    free(report);
}

static void however_many_waited(void **context)
{
    (void)context;
    enum { MANY = 1010 };
    struct town town;
    struct arrival arrival, *many = calloc(MANY, sizeof *many);
    struct error error = {0};
    town_open(&town);
    uint64_t at = end_of(town.station);
    guest_object(&town.v9, &town.v9.certificate.hash, buffer_bytes(&town.v9.wire), &arrival);
    assert_int_equal(deliver(&town, &arrival), RECEIVED);
    for (uint32_t i = 0; i < MANY; i++) {
        guest_statement(&town.v9, &town.definition, "V9", stations_month(2024, 5), 2, i + 1);
        guest_sign(&town.v9, &many[i]);
    }
    struct delivery delivery = {.town = &town, .arrivals = many, .count = MANY};
    must(writer_call(town.station->writer, run_delivery, &delivery, &error), &error);
    for (uint32_t i = 0; i < MANY; i++)
        arrival_finish(&many[i]);
    free(many);
    verdict_at(&town, at + 1, VERDICT_DEFERRED, "units");
    verdict_at(&town, at + MANY, VERDICT_DEFERRED, "units");
    // Another document changes nothing for them: they are put back.
    guest_object(&town.root, &(struct hash){{0}}, bytes_of_text("x"), &arrival);
    arrival.object = crypto_hash(TAG_DOCUMENT, bytes_of_text("x"));
    assert_int_equal(deliver(&town, &arrival), RECEIVED);
    verdict_at(&town, at + MANY, VERDICT_DEFERRED, "units");
    guest_object(&town.root, &town.tree, bytes_of_text(tree2), &arrival);
    assert_int_equal(deliver(&town, &arrival), RECEIVED);
    guest_announce(&town.root, DOCUMENT_UNITS, &town.tree, 2, bytes_of_text(tree2));
    guest_sign(&town.root, &arrival);
    assert_int_equal(deliver(&town, &arrival), RECEIVED);
    verdict_at(&town, at + 1, VERDICT_APPLIED, "");
    verdict_at(&town, at + MANY, VERDICT_APPLIED, "");
    assert_int_equal(funds(&town, "V9", false), MANY);
    town_close(&town);
}

static void an_aborted_transaction_brings_no_documents(void **context)
{
    (void)context;
    struct town town;
    struct arrival arrivals[2];
    struct error error = {0};
    town_open(&town);
    guest_object(&town.root, &town.tree, bytes_of_text(tree2), &arrivals[0]);
    guest_announce(&town.root, DOCUMENT_UNITS, &town.tree, 2, bytes_of_text(tree2));
    guest_sign(&town.root, &arrivals[1]);
    struct delivery delivery = {.town = &town, .arrivals = arrivals, .count = 2, .fail = true};
    struct documents *before = town.station->documents;
    assert_int_equal(writer_call(town.station->writer, run_delivery, &delivery, &error), ERR_FULL);
    assert_ptr_equal(town.station->documents, before);
    assert_null(town.station->next);
    assert_in_range(on_due(town.station), 0, RETRY_MS); // what was owed is still owed
    delivery.fail = false;                              // the same again
    must(writer_call(town.station->writer, run_delivery, &delivery, &error), &error);
    assert_int_equal(town.station->documents->units_version, 2);
    arrival_finish(&arrivals[0]);
    arrival_finish(&arrivals[1]);
    town_close(&town);
}

// A document that can't be read must stop nothing: not itself, not what comes with it.
static void a_poisoned_document_stops_nothing(void **context)
{
    (void)context;
    static const char *const bad[] = {"codebook: {id: t, version: 9, grammar: 2}\n", "code,name,tier,parent_code\nC,County,county,\n"};
    static const uint32_t kinds[] = {DOCUMENT_CODEBOOK, DOCUMENT_UNITS};
    static const char *const reasons[] = {"codebook does not load", "unit tree without this station's unit"};
    struct town town;
    struct error error = {0};
    town_open(&town);
    for (size_t i = 0; i < 2; i++) {
        struct arrival arrival;
        struct hash hash = crypto_hash(TAG_DOCUMENT, bytes_of_text(bad[i]));
        guest_object(&town.root, &hash, bytes_of_text(bad[i]), &arrival);
        assert_int_equal(deliver(&town, &arrival), RECEIVED);
        guest_announce(&town.root, kinds[i], &hash, 9, bytes_of_text(bad[i]));
        guest_sign(&town.root, &arrival);
        assert_int_equal(deliver(&town, &arrival), RECEIVED);
        verdict_at(&town, end_of(town.station), VERDICT_REJECTED, reasons[i]);
    }
    station_close(town.station);
    must(stations_record(town.directory, NULL, "money", money, &error), &error);
    town.station = opened(town.directory);
    town_close(&town);
}

// ---- threads

struct reading {
    struct station *station;
    atomic_bool stop;
    atomic_uint seen;
};

static void *read_documents(void *argument)
{
    struct reading *reading = argument;
    while (!atomic_load(&reading->stop)) {
        struct documents *one = station_documents(reading->station), *two = station_documents(reading->station);
        if (one->units->count != 6 || two->unit != 0)
            abort();
        station_release(reading->station, one);
        station_release(reading->station, two);
        atomic_fetch_add(&reading->seen, 1);
    }
    return NULL;
}

static enum error_code ask_reload(void *argument, struct desk *desk, struct error *error)
{
    (void)desk;
    (void)error;
    ((struct station *)argument)->applier.reload = true;
    return OK;
}

static void documents_change_under_readers(void **context)
{
    (void)context;
    enum { READERS = 4, CHANGES = 60 };
    struct reading reading = {0};
    struct error error = {0};
    pthread_t threads[READERS];
    must(station_open_as(stations.root, true, &reading.station, &error), &error);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_documents, &reading), 0);
    for (int i = 0; i < CHANGES; i++) {
        struct documents *before = station_documents(reading.station);
        must(station_write(reading.station, ask_reload, reading.station, &error), &error);
        struct documents *after = station_documents(reading.station);
        assert_true(before != after);
        station_release(reading.station, before);
        station_release(reading.station, after);
    }
    atomic_store(&reading.stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&reading.seen) > 0);
    assert_int_equal(reading.station->documents->holders, 1);
    station_close(reading.station);
}

// ---- time

static enum error_code run_tick(void *argument, struct txn *txn, struct error *error) { return on_tick(argument, txn, error); }

static void what_is_owed_is_looked_for_every_hour(void **context)
{
    (void)context;
    struct error error = {0};
    struct complete_row row;
    struct station *station = opened(stations.root);
    assert_int_equal(on_due(station), 0); // at once when it starts
    must(writer_call(station->writer, run_tick, station, &error), &error);
    int64_t due = on_due(station);
    assert_true(due > 0 && due <= LOOK_MS);
    struct txn *txn = txn_begin(station_store(station), false, &error);
    for (int32_t i = 0; i < 6; i++)
        assert_true(complete_row_read(txn, station->documents->unit_ids[i], SANJI__PERIOD_TYPE__MONTH, &row));
    txn_abort(txn);
    assert_int_equal(station_write(station, write_then_fail, &(unsigned){0}, &error), ERR_REFUSED);
    assert_in_range(on_due(station), 0, RETRY_MS);
    station_close(station);
    must(record(money, &error), &error);
    station = opened(stations.root);
    must(writer_call(station->writer, run_tick, station, &error), &error);
    station->stated = true; // as after a statement: quiet for a second, then complete
    on_committed(station);
    assert_in_range(on_due(station), 0, QUIET_MS);
    station->restored = true;
    must(writer_call(station->writer, run_tick, station, &error), &error);
    assert_int_equal(on_due(station), -1); // read-only: never
    station_close(station);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_second_opening_is_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(two_nodes_in_one_place_are_one, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_station_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_marker_that_is_not_ours_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_18_a_store_put_back_is_read_only, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_18_without_a_marker_it_is_read_only, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_18_the_marker_against_the_store, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_01_a_crash_is_no_restore, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_07_a_full_disk_keeps_nobody_from_reading, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_call_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(who_takes_children, setup, teardown),
        cmocka_unit_test_setup_teardown(what_waited_is_taken_up_when_the_tree_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(however_many_waited, setup, teardown),
        cmocka_unit_test_setup_teardown(an_aborted_transaction_brings_no_documents, setup, teardown),
        cmocka_unit_test_setup_teardown(a_poisoned_document_stops_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(documents_change_under_readers, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_owed_is_looked_for_every_hour, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
