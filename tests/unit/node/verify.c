#include "node/verify.h"

#include "tests/unit/node/stations.h"

#include <stdio.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "node/complete.h"
#include "node/ledger_rows.h"
#include "record.pb-c.h"
#include "relay/language.h"
#include "relay/row.h"
#include "tests/must.h"

static struct stations stations;
static struct verify_report report;
static struct store *store; // while damage is planted
static struct txn *txn;
static struct hash funds, v3_certificate, document;
static uint64_t own_last, v3_first, v3_last; // positions

// ---- a sound store: records, entered values, and what two other stations said

static void import_teams(void)
{
    Sanji__Request request = SANJI__REQUEST__INIT;
    Sanji__ImportRequest import = SANJI__IMPORT_REQUEST__INIT;
    struct client_answer answer;
    struct error error = {0};
    static const char csv[] = "unit,period,indicator,value\nC,2024-03,teams,5\n";
    import.format = SANJI__INPUT_FORMAT__INPUT_CSV;
    import.source = (char *)(uintptr_t) "teams.csv";
    import.data = (ProtobufCBinaryData){sizeof csv - 1, (uint8_t *)(uintptr_t)csv};
    request.request_case = SANJI__REQUEST__REQUEST_IMPORT;
    request.import = &import;
    must(stations_ask(stations.root, &request, SANJI__REPLY__REPLY_IMPORT, &answer, &error), &error);
    client_finish(&answer);
}

static uint64_t end_of(struct station *station)
{
    struct error error = {0};
    struct txn *read = txn_begin(station_store(station), false, &error);
    uint64_t end = journal_end(read);
    txn_abort(read);
    return end;
}

static void receive_from(struct station *station, struct guest *guest, bool body)
{
    struct arrival arrival;
    guest_sign(guest, &arrival);
    if (!body)
        buffer_clear(&arrival.body);
    assert_int_equal(stations_receive(station, &arrival), body ? RECEIVED : RECEIVED_BODILESS);
}

static void guests_come(struct station *station)
{
    struct guest v3, away;
    struct arrival arrival;
    struct hash elsewhere = {{9}};
    struct certificate by = *station_self(station);
    struct documents *documents = station_documents(station);
    funds = documents->codebook->indicators[codebook_indicator(documents->codebook, "funds")].definition;
    guest_enrol(&v3, stations.root, &by, "V3", &documents->units->hash);
    guest_enrol(&away, stations.root, &by, "V9", &elsewhere);
    station_release(station, documents);
    guest_object(&v3, &v3.certificate.hash, buffer_bytes(&v3.wire), &arrival);
    assert_int_equal(stations_receive(station, &arrival), RECEIVED);
    guest_object(&away, &away.certificate.hash, buffer_bytes(&away.wire), &arrival);
    assert_int_equal(stations_receive(station, &arrival), RECEIVED);
    v3_certificate = v3.certificate.hash;
    v3_first = end_of(station) + 1;
    guest_statement(&v3, &funds, "V3", stations_month(2024, 5), 2, 300);
    guest_statement(&v3, &funds, "V3", stations_month(2024, 4), 3, 40);
    receive_from(station, &v3, true);
    guest_statement(&v3, &funds, "V3", stations_month(2024, 5), 2, 310);
    guest_say(&v3, SANJI__ENTRY_KIND__RECORD, bytes_of_text("sealed for others: forty bytes are the least of it"), true);
    receive_from(station, &v3, true);
    guest_statement(&v3, &funds, "V1", stations_month(2024, 5), 2, 1); // not its unit: rejected
    receive_from(station, &v3, true);
    guest_statement(&v3, &funds, "V3", stations_month(2024, 3), 2, 1);
    receive_from(station, &v3, false); // its body has not come
    v3_last = end_of(station);
    guest_statement(&away, &funds, "V9", stations_month(2024, 5), 2, 1); // waits for another unit tree
    receive_from(station, &away, true);
    guest_finish(&v3);
    guest_finish(&away);
}

static enum error_code sign_complete(void *argument, struct desk *desk, struct error *error)
{
    (void)argument;
    ledger_state(desk->ledger, desk);
    complete_sign(desk);
    document = crypto_hash(TAG_DOCUMENT, bytes_of_text("some document"));
    object_add(desk->txn, &document, OBJECT_DOCUMENT, bytes_of_text("some document"));
    return txn_report(desk->txn, error);
}

static int setup(void **context)
{
    (void)context;
    struct error error = {0};
    struct station *station;
    stations_begin(&stations);
    stations_root(&stations);
    must(stations_record(stations.root, NULL, "money",
                         "[{\"day\":\"2024-06-01\",\"amount\":250},{\"day\":\"2024-05-01\",\"amount\":50,\"source\":\"gift\"}]", &error),
         &error);
    must(stations_record(stations.root, "V1", "file",
                         "[{\"since\":\"2020-06-01\",\"name\":\"Ming\",\"birth\":\"2015-02-03\"},"
                         "{\"since\":\"2021-06-01\",\"name\":\"Fang\",\"birth\":\"2016-07-03\"}]",
                         &error),
         &error);
    import_teams();
    must(station_open(stations.root, &station, &error), &error);
    guests_come(station);
    must(station_write(station, sign_complete, NULL, &error), &error);
    own_last = end_of(station);
    station_close(station);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    txn_abort(txn);
    txn = NULL;
    store_close(store);
    store = NULL;
    stations_end(&stations);
    language_set(LANGUAGE_EN);
    return 0;
}

// ---- asking

static void print(void)
{
    for (uint64_t i = 0; i < report.difference_count && i < VERIFY_DIFFERENCES_MAX; i++)
        print_message("  %s\n", report.differences[i]);
}

static void verify(void)
{
    struct error error = {0};
    must(station_verify_dir(stations.root, &report, NULL, NULL, &error), &error);
}

// Found exactly so many differences and damaged rows, one of which says `text`.
static void found(uint64_t differences, uint64_t damaged, const char *text)
{
    verify();
    bool seen = false;
    for (uint64_t i = 0; i < report.difference_count && i < VERIFY_DIFFERENCES_MAX; i++)
        seen = seen || strstr(report.differences[i], text);
    if (report.difference_count != differences || report.damaged_rows != damaged || !seen) {
        print();
        fail_msg("%llu differences and %llu damaged rows, not %llu and %llu, or none is '%s'", (unsigned long long)report.difference_count,
                 (unsigned long long)report.damaged_rows, (unsigned long long)differences, (unsigned long long)damaged, text);
    }
}

// ---- planting

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
    txn = NULL;
    store_close(store);
    store = NULL;
}

struct copy {
    uint8_t key[64];
    size_t key_size;
    struct buffer value;
};

static void copy_at(enum table table, struct bytes key, struct copy *ret)
{
    struct bytes value;
    assert_true(key.size <= sizeof ret->key);
    assert_true(txn_get(txn, table, key, &value));
    *ret = (struct copy){.key_size = key.size};
    memcpy(ret->key, key.data, key.size);
    buffer_append(&ret->value, value.data, value.size);
}

static void put_copy(enum table table, struct copy *copy)
{
    txn_put(txn, table, bytes_of(copy->key, copy->key_size), buffer_bytes(&copy->value));
    buffer_finish(&copy->value);
}

// Rot: the row no longer fits its checksum.
// Of an object both copies.
static void flip(enum table table, struct bytes key, size_t at)
{
    if (table == TABLE_OBJECTS)
        flip(TABLE_COPIES, key, at);
    struct copy copy;
    copy_at(table, key, &copy);
    assert_true(at < copy.value.size);
    copy.value.data[at] ^= 0x20;
    put_copy(table, &copy);
}

// A forger: the checksum is made anew over the changed fields.
static void forge(enum table table, struct bytes key, size_t at, uint8_t with)
{
    struct copy copy;
    copy_at(table, key, &copy);
    copy.value.size -= ROW_CHECKSUM_SIZE;
    assert_true(at < copy.value.size);
    copy.value.data[at] ^= with;
    row_write(txn, table, bytes_of(copy.key, copy.key_size), &copy.value);
}

static struct bytes position_key(uint64_t position)
{
    static uint8_t key[8];
    put_be64(key, position);
    return bytes_of(key, sizeof key);
}

// Where the header begins in a journal row: feed 4, first 8, count 4, received 8, from 16, sizes 2 + 1.
enum { ROW_FIRST = 4, ROW_HEADER = 43 };

static struct bytes first_key(enum table table)
{
    static uint8_t key[64];
    struct cursor *cursor = cursor_open(txn, table);
    assert_true(cursor_next(cursor));
    size_t size = cursor_key(cursor).size;
    assert_true(size <= sizeof key);
    memcpy(key, cursor_key(cursor).data, size);
    cursor_close(cursor);
    return bytes_of(key, size);
}

static uint32_t unit_id(const char *code) { return unit_id_find(txn, code, 0); }

static struct group_key group_of(const char *unit, int32_t month)
{
    return (struct group_key){funds, unit_id(unit), {SANJI__PERIOD_TYPE__MONTH, month}};
}

// ---- sound

static void a_sound_store_has_no_differences(void **context)
{
    (void)context;
    verify();
    if (report.difference_count)
        print();
    assert_int_equal(report.difference_count, 0);
    assert_int_equal(report.damaged_rows, 0);
    assert_int_equal(report.batches, own_last);
    assert_int_equal(report.headers_only, 1);
    assert_int_equal(report.rejected, 1);
    assert_int_equal(report.deferred, 1);
    assert_int_equal(report.certificates, 3);
    assert_int_equal(report.signatures, report.batches + report.certificates);
    assert_int_equal(report.disputed, 0);
    assert_int_equal(report.records, 8); // four records, each in two parts: what every reader may see, and its section
    assert_false(report.records_skipped);
    assert_true(report.feeds > 3);
    assert_true(report.views > 10);
    assert_true(report.entries > report.batches);
}

static void beside_a_running_node(void **context)
{
    (void)context;
    stations_run(&stations);
    verify();
    if (report.difference_count)
        print();
    assert_int_equal(report.difference_count, 0);
    assert_true(report.records_skipped); // the node has the keys
    assert_int_equal(report.records, 0);
    assert_true(report.batches >= own_last);
    stations_stop(&stations);
    verify();
    assert_int_equal(report.difference_count, 0);
    assert_int_equal(report.records, 8);
}

static void it_changes_nothing(void **context)
{
    (void)context;
    struct error error = {0};
    struct marker before, after;
    must(marker_read(stations.root, &before, &error), &error);
    verify();
    must(marker_read(stations.root, &after, &error), &error);
    assert_memory_equal(&before, &after, sizeof before);
    struct station *station;
    must(station_open(stations.root, &station, &error), &error);
    assert_false(station_restored(station));
    assert_int_equal(end_of(station), own_last);
    station_close(station);
}

static void what_keeps_it_from_looking(void **context)
{
    (void)context;
    struct error error = {0};
    char path[160];
    assert_int_equal(station_verify_dir(stations.base, &report, NULL, NULL, &error), ERR_NOT_FOUND);
    assert_int_equal(report.batches, 0);
    plant();
    txn_delete(txn, TABLE_META, bytes_of_text("self"));
    planted();
    assert_int_equal(station_verify_dir(stations.root, &report, NULL, NULL, &error), ERR_CORRUPT);
    assert_int_equal(station_verify_dir(stations.root, &report, NULL, NULL, NULL), ERR_CORRUPT);
    stations_path(&stations, "c/keys/keyring", path);
    stations_write(path, "what is this");
    assert_int_equal(station_verify_dir(stations.root, &report, NULL, NULL, &error), ERR_CORRUPT);
}

// ---- rot

static void fault_10_rot_in_the_journal(void **context)
{
    (void)context;
    plant();
    flip(TABLE_JOURNAL, position_key(own_last), ROW_HEADER + 20);
    planted();
    verify();
    assert_int_equal(report.damaged_rows, 1);
    assert_int_equal(report.batches, own_last - 1);
    assert_non_null(strstr(report.differences[0], "journal"));
}

// In the middle of a feed: the row itself, the next one that can't be tied to it, and no more of that feed.
static void fault_10_rot_in_the_middle_of_a_feed(void **context)
{
    (void)context;
    plant();
    flip(TABLE_JOURNAL, position_key(v3_last - 1), 200); // was rejected: no view stands on it
    planted();
    found(2, 1, "does not follow the header before it");
    assert_non_null(strstr(report.differences[0], "journal"));
}

static void fault_10_rot_in_the_views(void **context)
{
    (void)context;
    static const enum table tables[] = {TABLE_CELLS, TABLE_BELOW, TABLE_GROUPS, TABLE_COMPLETE};
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        plant();
        struct bytes key = first_key(tables[i]);
        flip(tables[i], key, ROW_SUM_SIZE);
        planted();
        char wanted[300], hex[129];
        crypto_hex(key, hex);
        snprintf(wanted, sizeof wanted, "%s %s: another value", table_name(tables[i]), hex);
        verify();
        bool seen = false;
        for (uint64_t d = 0; d < report.difference_count; d++)
            seen = seen || strstr(report.differences[d], wanted);
        if (!seen) {
            print();
            fail_msg("not found: %s", wanted);
        }
        plant();
        flip(tables[i], key, ROW_SUM_SIZE); // as it was
        planted();
    }
    verify();
    assert_int_equal(report.difference_count, 0);
}

static void fault_10_rot_in_what_others_stand_on(void **context)
{
    (void)context;
    plant();
    flip(TABLE_OBJECTS, bytes_of(document.bytes, HASH_SIZE), 5);
    planted();
    found(1, 1, "objects");
    plant();
    flip(TABLE_OBJECTS, bytes_of(document.bytes, HASH_SIZE), 5);
    flip(TABLE_FEEDS, first_key(TABLE_FEEDS), 50);
    planted();
    found(1, 1, "feeds"); // once, however many batches stand on it
    plant();
    flip(TABLE_FEEDS, first_key(TABLE_FEEDS), 50);
    flip(TABLE_OBJECTS, bytes_of(v3_certificate.bytes, HASH_SIZE), 60);
    planted();
    verify();
    assert_int_equal(report.damaged_rows, 1);
    assert_non_null(strstr(report.differences[0], "objects"));
    plant();
    flip(TABLE_OBJECTS, bytes_of(v3_certificate.bytes, HASH_SIZE), 60);
    flip(TABLE_BATCHES, first_key(TABLE_BATCHES), 3);
    planted();
    found(1, 1, "batches");
}

static void fault_10_rot_in_the_keyring(void **context)
{
    (void)context;
    char path[160];
    stations_path(&stations, "c/keys/keyring", path);
    FILE *file = fopen(path, "r+e");
    assert_non_null(file);
    assert_int_equal(fseek(file, 64 + 20, SEEK_SET), 0); // the first key
    int byte = fgetc(file);
    assert_int_equal(fseek(file, 64 + 20, SEEK_SET), 0);
    fputc(byte ^ 1, file);
    assert_int_equal(fclose(file), 0);
    verify();
    assert_int_equal(report.damaged_rows, 1);
    assert_string_equal(report.differences[0], "keys/keyring: 1 keys are damaged");
}

// ---- forgers: every checksum is right

static void fault_42_a_changed_value_in_a_view(void **context)
{
    (void)context;
    struct cells cells;
    uint8_t key[CHUNK_KEY_SIZE], row[CHUNK_ROW_MAX];
    plant();
    struct group_key group = group_of("V3", stations_month(2024, 5));
    assert_true(cells_read(txn, TABLE_CELLS, &group, 0, &cells));
    assert_int_equal(cells.values[2], 310);
    cells.values[2]++;
    put_chunk_key(&group, 0, key);
    size_t size = cells_encode(bytes_of(key, sizeof key), &cells, row);
    txn_put(txn, TABLE_CELLS, bytes_of(key, sizeof key), bytes_of(row, size));
    planted();
    found(1, 0, "cells ");
    assert_non_null(strstr(report.differences[0], "another value than the journal gives"));
    language_set(LANGUAGE_ZH);
    found(1, 0, "与日志推算的值不同");
}

static void fault_42_rows_too_many_and_too_few(void **context)
{
    (void)context;
    uint8_t key[COMPLETE_KEY_SIZE];
    plant();
    put_complete_key(unit_id("T1"), SANJI__PERIOD_TYPE__MONTH, key);
    assert_true(txn_delete(txn, TABLE_COMPLETE, bytes_of(key, sizeof key)));
    planted();
    found(1, 0, "missing from the store");
    assert_memory_equal(report.differences[0], "complete ", 9);
    struct group_state state = {.term = 9, .ordinal = 1};
    uint8_t group_key[GROUP_KEY_SIZE], row[GROUP_ROW_SIZE];
    plant();
    struct group_key group = group_of("V2", stations_month(2020, 1));
    put_group_key(&group, group_key);
    group_row_encode(bytes_of(group_key, sizeof group_key), &state, row);
    txn_put(txn, TABLE_GROUPS, bytes_of(group_key, sizeof group_key), bytes_of(row, sizeof row));
    planted();
    found(2, 0, "in the store, but the journal does not say so");
}

static void fault_27_a_forged_header(void **context)
{
    (void)context;
    struct error error = {0};
    struct batch_row row;
    plant();
    assert_true(journal_read(txn, v3_last - 1, &row)); // the rejected one: no view stands on it
    size_t signature = ROW_HEADER + row.header.size;
    forge(TABLE_JOURNAL, position_key(v3_last - 1), signature + 3, 1);
    planted();
    found(1, 0, "signature");
    plant();
    forge(TABLE_JOURNAL, position_key(v3_last - 1), signature + 3, 1); // right again
    assert_true(journal_read(txn, v3_last - 1, &row));
    struct header header;
    must(header_decode(row.header, &header, &error), &error);
    size_t time = 0; // a byte of the signer's clock: the chain breaks too
    while (time + 6 < row.header.size && !(row.header.data[time] == 0x40))
        time++;
    assert_true(time + 6 < row.header.size);
    forge(TABLE_JOURNAL, position_key(v3_last - 1), ROW_HEADER + time + 2, 1);
    planted();
    verify();
    if (report.difference_count < 2)
        print();
    assert_true(report.difference_count >= 2); // its signature, and the next that names its hash
    assert_int_equal(report.damaged_rows, 0);
}

static void a_row_in_another_place_or_judged_otherwise(void **context)
{
    (void)context;
    struct batch_row row;
    plant();
    forge(TABLE_JOURNAL, position_key(v3_first), ROW_FIRST + 7, 2);
    planted();
    found(1, 0, "kept in another place than its header says");
    plant();
    forge(TABLE_JOURNAL, position_key(v3_first), ROW_FIRST + 7, 2);
    assert_true(journal_read(txn, v3_first, &row));
    assert_int_equal(row.verdict, VERDICT_APPLIED);
    journal_add_body(txn, v3_first, bytes_of(NULL, 0), VERDICT_REJECTED, "because");
    planted();
    found(1, 0, "judged otherwise");
    plant();
    journal_add_body(txn, v3_first, bytes_of(NULL, 0), VERDICT_APPLIED, "");
    forge(TABLE_JOURNAL, position_key(v3_first), 3, 0x40); // a feed that is none
    planted();
    verify();
    assert_true(report.difference_count >= 1);
    assert_non_null(strstr(report.differences[0], "another place"));
}

static void a_row_that_is_gone(void **context)
{
    (void)context;
    char wanted[64];
    plant();
    assert_true(txn_delete(txn, TABLE_JOURNAL, position_key(v3_last - 1)));
    planted();
    snprintf(wanted, sizeof wanted, "position %llu: missing", (unsigned long long)v3_last - 1);
    found(2, 0, wanted); // and what followed it follows nothing
    plant();
    assert_true(txn_delete(txn, TABLE_JOURNAL, position_key(own_last)));
    planted();
    verify();
    assert_true(report.difference_count > 2);
}

static void fault_26_a_feed_that_ends_early(void **context)
{
    (void)context;
    plant();
    struct bytes key = first_key(TABLE_FEEDS);
    struct feed_key feed;
    struct feed_state state;
    uint32_t id = get_be32(key.data);
    assert_true(feed_read(txn, id, &feed, &state));
    state.next++;
    feed_write(txn, id, &state);
    planted();
    found(1, 0, "its head is not the last header");
    plant();
    assert_true(feed_read(txn, id, &feed, &state));
    state.next--;
    state.disputed = true;
    feed_write(txn, id, &state);
    planted();
    verify();
    assert_int_equal(report.difference_count, 0); // a dispute is no damage
    assert_int_equal(report.disputed, 1);
}

static void objects_that_are_not_what_they_say(void **context)
{
    (void)context;
    plant();
    forge(TABLE_OBJECTS, bytes_of(document.bytes, HASH_SIZE), 5, 1);
    planted();
    found(1, 0, "not what its hash says");
    plant();
    forge(TABLE_OBJECTS, bytes_of(document.bytes, HASH_SIZE), 5, 1);
    forge(TABLE_OBJECTS, bytes_of(v3_certificate.bytes, HASH_SIZE), 40, 1);
    planted();
    verify();
    bool seen = false;
    for (uint64_t i = 0; i < report.difference_count; i++)
        seen = seen || strstr(report.differences[i], "does not lead to the root");
    assert_true(seen);
}

// ---- records against figures

struct extra {
    const char *unit;
    int32_t month;
    int64_t value;
};

static enum error_code state_more(void *argument, struct desk *desk, struct error *error)
{
    const struct extra *extra = argument;
    struct group_key group = {funds, unit_id_find(desk->txn, extra->unit, 0), {SANJI__PERIOD_TYPE__MONTH, extra->month}};
    ledger_add(desk->ledger, desk, &group, extra->unit, 1, extra->value);
    return txn_report(desk->txn, error);
}

// Rightly signed, folded and added up, and yet not what the records say.
static void a_wrong_stated_total_is_found(void **context)
{
    (void)context;
    struct error error = {0};
    struct station *station;
    struct extra extra = {"C", stations_month(2024, 6), 1};
    must(station_open(stations.root, &station, &error), &error);
    must(station_write(station, state_more, &extra, &error), &error);
    station_close(station);
    found(1, 0, "another figure than was stated");
    extra.value = -1; // taken back
    must(station_open(stations.root, &station, &error), &error);
    must(station_write(station, state_more, &extra, &error), &error);
    extra = (struct extra){"V2", stations_month(2023, 6), 900}; // where no record is
    must(station_write(station, state_more, &extra, &error), &error);
    station_close(station);
    found(1, 0, "no records amount to this figure");
}

// Ages turned while the clock was ahead: those figures stand, though no record amounts to them yet.
static void fault_58_what_was_stated_while_the_clock_was_ahead_stands(void **context)
{
    (void)context;
    struct error error = {0};
    struct station *station;
    struct guest guest;
    struct arrival arrival;
    struct extra extra = {"V2", stations_month(2023, 6), 900};
    must(station_open(stations.root, &station, &error), &error);
    struct certificate by = *station_self(station);
    guest_enrol(&guest, stations.root, &by, "T2", &by.units);
    guest_object(&guest, &guest.certificate.hash, buffer_bytes(&guest.wire), &arrival);
    assert_int_equal(stations_receive(station, &arrival), RECEIVED);
    guest_statement(&guest, &funds, "T2", stations_month(2024, 5), 2, 300);
    guest_sign(&guest, &arrival);
    arrival.received_ms += UINT64_C(10) * 365 * 86400000;
    assert_int_equal(stations_receive(station, &arrival), RECEIVED);
    guest_finish(&guest);
    must(station_write(station, state_more, &extra, &error), &error);
    station_close(station);
    verify();
    if (report.difference_count)
        print();
    assert_int_equal(report.difference_count, 0);
}

// The row of the latest time is gone: the rest is judged as of the last one that is left.
static void fault_10_rot_at_the_end_hides_nothing(void **context)
{
    (void)context;
    plant();
    for (uint64_t position = v3_last; position <= own_last; position++)
        flip(TABLE_JOURNAL, position_key(position), ROW_HEADER + 20);
    planted();
    verify();
    assert_int_equal(report.damaged_rows, own_last - v3_last + 1);
    assert_int_equal(report.batches, v3_last - 1);
    for (uint64_t i = 0; i < report.difference_count && i < VERIFY_DIFFERENCES_MAX; i++)
        assert_null(strstr(report.differences[i], "own records"));
}

static void a_changed_record_is_found(void **context)
{
    (void)context;
    plant();
    struct bytes key = first_key(TABLE_RECORDS);
    struct copy copy;
    copy_at(TABLE_RECORDS, key, &copy);
    size_t size = copy.value.size - ROW_CHECKSUM_SIZE;
    buffer_finish(&copy.value);
    forge(TABLE_RECORDS, key, size - 1, 1); // the last sealed byte
    planted();
    found(1, 0, "records ");
    plant();
    forge(TABLE_RECORDS, key, size - 1, 1);
    assert_true(txn_delete(txn, TABLE_RECORD_IDS, first_key(TABLE_RECORD_IDS)));
    planted();
    found(1, 0, "record_ids ");
}

// ---- many

static enum error_code say_much(void *argument, struct desk *desk, struct error *error)
{
    (void)argument;
    for (int i = 0; i < 120; i++) {
        struct group_key group = {funds, unit_id_find(desk->txn, "V2", 0), {SANJI__PERIOD_TYPE__MONTH, stations_month(2000, 1) + i}};
        ledger_add(desk->ledger, desk, &group, "V2", 1, 5);
    }
    return txn_report(desk->txn, error);
}

static void only_the_first_differences_have_a_text(void **context)
{
    (void)context;
    struct error error = {0};
    struct station *station;
    must(station_open(stations.root, &station, &error), &error);
    must(station_write(station, say_much, NULL, &error), &error);
    station_close(station);
    verify();
    assert_int_equal(report.difference_count, 120);
    assert_non_null(strstr(report.differences[VERIFY_DIFFERENCES_MAX - 1], "no records"));
}

static uint64_t progress_done, progress_total, progress_calls;

static void on_progress(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    assert_true(done > progress_done && done <= total);
    progress_done = done;
    progress_total = total;
    progress_calls++;
}

static enum error_code add_word(void *argument, struct desk *desk, struct error *error)
{
    (void)argument;
    author_add(desk->author, desk->txn, SANJI__LANE__CONTROL, SANJI__AUDIENCE__UP, NULL, REACH_TOP, SANJI__ENTRY_KIND__HEADS, desk->now_ms,
               bytes_of_text("x"), NULL);
    return txn_report(desk->txn, error);
}

static void it_tells_how_far_it_is(void **context)
{
    (void)context;
    struct error error = {0};
    struct station *station;
    must(station_open(stations.root, &station, &error), &error);
    for (int i = 0; i < 600; i++)
        must(station_write(station, add_word, NULL, &error), &error);
    uint64_t end = end_of(station);
    station_close(station);
    must(station_verify_dir(stations.root, &report, on_progress, NULL, &error), &error);
    assert_int_equal(report.difference_count, 0);
    assert_int_equal(progress_calls, end / 500);
    assert_int_equal(progress_total, end);
}

static void proofs_are_passed_on(void **context)
{
    (void)context;
    struct proof_report proof = {0};
    struct error error = {0};
    assert_int_equal(station_verify_proof(bytes_of_text("no proof"), NULL, &proof, &error), ERR_INPUT);
    assert_int_equal(station_verify_proof(bytes_of("", 0), NULL, &proof, &error), ERR_INPUT);
    assert_true(*error.detail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_sound_store_has_no_differences, setup, teardown),
        cmocka_unit_test_setup_teardown(beside_a_running_node, setup, teardown),
        cmocka_unit_test_setup_teardown(it_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_keeps_it_from_looking, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_rot_in_the_journal, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_rot_in_the_middle_of_a_feed, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_rot_in_the_views, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_rot_in_what_others_stand_on, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_rot_in_the_keyring, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_42_a_changed_value_in_a_view, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_42_rows_too_many_and_too_few, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_27_a_forged_header, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_in_another_place_or_judged_otherwise, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_that_is_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_26_a_feed_that_ends_early, setup, teardown),
        cmocka_unit_test_setup_teardown(objects_that_are_not_what_they_say, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_stated_total_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_58_what_was_stated_while_the_clock_was_ahead_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_rot_at_the_end_hides_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_changed_record_is_found, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_first_differences_have_a_text, setup, teardown),
        cmocka_unit_test_setup_teardown(it_tells_how_far_it_is, setup, teardown),
        cmocka_unit_test(proofs_are_passed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
