#include "node/overview.h"

#include "tests/unit/node/stations.h"

#include <stdio.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "node/ledger_rows.h"
#include "relay/language.h"
#include "relay/row.h"

static struct stations stations;
static struct station *station;
static struct arena arena;

static int setup(void **context)
{
    (void)context;
    struct error error = {0};
    stations_begin(&stations);
    stations_root(&stations);
    return station_open(stations.root, &station, &error) == OK ? 0 : -1;
}

static int teardown(void **context)
{
    (void)context;
    station_close(station);
    stations_end(&stations);
    arena_finish(&arena);
    language_set(LANGUAGE_EN);
    return 0;
}

static const Sanji__Reply *decode(struct buffer *wire)
{
    static const struct codec_limits limits = {.bytes_max = 1 << 20, .elements_max = 100000, .empty_ok = true};
    void *message;
    struct error error = {0};
    arena_finish(&arena);
    if (codec_unpack(&sanji__reply__descriptor, buffer_bytes(wire), &limits, &arena, &message, &error) != OK)
        fail_msg("%s", error.detail);
    buffer_finish(wire);
    return message;
}

static const Sanji__StatusReply *status(void)
{
    struct buffer wire = {0};
    struct error error = {0};
    if (overview_status(station, &wire, &error) != OK)
        fail_msg("%s", error.detail);
    return decode(&wire)->status;
}

static const Sanji__UnitsReply *units(const char *below)
{
    struct buffer wire = {0};
    struct error error = {0};
    if (overview_units(station, below, &wire, &error) != OK)
        fail_msg("%s", error.detail);
    return decode(&wire)->units;
}

struct change {
    void (*make)(struct desk *desk, void *argument);
    void *argument;
};

static enum error_code run_change(void *argument, struct desk *desk, struct error *error)
{
    const struct change *change = argument;
    change->make(desk, change->argument);
    return txn_report(desk->txn, error);
}

static void change(void (*make)(struct desk *desk, void *argument), void *argument)
{
    struct error error = {0};
    struct change what = {make, argument};
    if (station_write(station, run_change, &what, &error) != OK)
        fail_msg("%s", error.detail);
}

static void a_new_station(void **context)
{
    (void)context;
    const Sanji__StatusReply *reply = status();
    assert_string_equal(reply->unit, "C");
    assert_string_equal(reply->name, "County");
    assert_string_equal(reply->tier, "county");
    assert_memory_equal(reply->station.data, station_self(station)->station.bytes, STATION_ID_SIZE);
    assert_memory_equal(reply->root.data, station_config(station)->root.bytes, HASH_SIZE);
    assert_string_equal(reply->state, "ready");
    assert_false(reply->running);
    assert_int_equal(reply->uptime_ms, 0);
    assert_int_equal(reply->ordinal, 1);
    assert_string_equal(reply->codebook, "test");
    assert_int_equal(reply->codebook_version, 3);
    assert_int_equal(reply->units_version, 1);
    assert_string_equal(reply->listen, "tcp://127.0.0.1:0");
    assert_int_equal(reply->journal_batches, 1);
    assert_int_equal(reply->journal_entries, 2);
    assert_int_equal(reply->records, 0);
    assert_true(reply->store_bytes > 0 && reply->store_map_bytes >= reply->store_bytes);
    assert_int_equal(reply->n_links, 0);
    assert_int_equal(reply->n_alarms, 0);
    assert_int_equal(reply->n_tiers, 3);
    static const struct {
        const char *tier;
        uint64_t units, stations;
    } tiers[] = {{"county", 1, 1}, {"township", 2, 0}, {"village", 3, 0}};
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(reply->tiers[i]->tier, tiers[i].tier);
        assert_int_equal(reply->tiers[i]->units, tiers[i].units);
        assert_int_equal(reply->tiers[i]->stations, tiers[i].stations);
        assert_int_equal(reply->tiers[i]->live, 0);
    }
}

static void add_alarms(struct desk *desk, void *argument)
{
    (void)argument;
    for (int i = 0; i < 25; i++) {
        struct alarm alarm = {.time_ms = 1000 + (uint64_t)i, .kind = "test"};
        snprintf(alarm.text, sizeof alarm.text, "alarm %d", i);
        alarm_add(desk->txn, &alarm);
    }
}

static void the_last_alarms_and_the_records(void **context)
{
    (void)context;
    struct error error = {0};
    change(add_alarms, NULL);
    station_close(station);
    station = NULL;
    assert_int_equal(stations_record(stations.root, NULL, "money", "[{\"day\":\"2024-06-01\",\"amount\":1}]", &error), OK);
    assert_int_equal(station_open(stations.root, &station, &error), OK);
    const Sanji__StatusReply *reply = status();
    assert_int_equal(reply->n_alarms, 20);
    assert_string_equal(reply->alarms[0]->text, "alarm 24"); // newest first
    assert_string_equal(reply->alarms[0]->kind, "test");
    assert_int_equal(reply->alarms[19]->time_ms, 1005);
    assert_int_equal(reply->records, 1);
}

static void invite_v1(struct desk *desk, void *argument)
{
    struct host host;
    struct error error = {0};
    struct join_token token;
    const struct unit *v1 = &desk->units->items[units_find(desk->units, "V1")], *v2 = &desk->units->items[units_find(desk->units, "V2")];
    struct invited_unit unit = {.from = v1->from, .depth = v1->depth}, other = {.from = v2->from, .depth = v2->depth};
    (void)argument;
    assert_int_equal(station_host(station, &host, &error), OK);
    snprintf(unit.code, sizeof unit.code, "V1");
    snprintf(other.code, sizeof other.code, "V2");
    snprintf(unit.tier, sizeof unit.tier, "village");
    snprintf(other.tier, sizeof other.tier, "village");
    invite(desk->txn, &host, &unit, 0, utc_ms() + 3600 * 1000, utc_ms(), &token);
    invite(desk->txn, &host, &other, 0, 5, utc_ms(), &token); // long expired
}

static void heard_of(struct desk *desk, void *argument)
{
    uint32_t id = *(const uint32_t *)argument;
    uint8_t key[HEARD_KEY_SIZE], row[HEARD_ROW_SIZE], complete_key[COMPLETE_KEY_SIZE], complete_row[COMPLETE_ROW_SIZE];
    struct heard_row heard = {.time_ms = 7, .received_ms = utc_ms() - 1000};
    struct complete_row complete = {.through = stations_month(2024, 4), .term = 2, .ordinal = 1};
    put_be32(key, id);
    heard_row_encode(bytes_of(key, sizeof key), &heard, row);
    txn_put(desk->txn, TABLE_HEARD, bytes_of(key, sizeof key), bytes_of(row, sizeof row));
    put_complete_key(id, 1, complete_key);
    complete_row_encode(bytes_of(complete_key, sizeof complete_key), &complete, complete_row);
    txn_put(desk->txn, TABLE_COMPLETE, bytes_of(complete_key, sizeof complete_key), bytes_of(complete_row, sizeof complete_row));
}

static void the_units(void **context)
{
    (void)context;
    struct guest old, now;
    struct arrival arrival;
    struct certificate by = *station_self(station);
    struct documents *documents = station_documents(station);
    uint32_t t2 = documents->unit_ids[units_find(documents->units, "T2")];
    change(invite_v1, NULL);
    // T2 was replaced: the station of the higher term is shown, whichever certificate's hash comes first.
    for (int i = 0; i < 4; i++) {
        guest_enrol(&old, stations.root, &by, "T2", &documents->units->hash);
        guest_object(&old, &old.certificate.hash, buffer_bytes(&old.wire), &arrival);
        assert_int_equal(stations_receive(station, &arrival), RECEIVED);
        guest_finish(&old);
    }
    guest_enrol(&now, stations.root, &by, "T2", &documents->units->hash);
    {
        struct identity identity; // the same station with a later term
        struct error error = {0};
        now.certificate.term += 5;
        buffer_clear(&now.wire);
        assert_int_equal(identity_load(stations.root, &identity, &error), OK);
        assert_int_equal(certificate_issue(&now.certificate, &by, &identity.sign.secret_key, &now.wire, &error), OK);
        identity_finish(&identity);
    }
    guest_object(&now, &now.certificate.hash, buffer_bytes(&now.wire), &arrival);
    assert_int_equal(stations_receive(station, &arrival), RECEIVED);
    change(heard_of, &t2);
    station_release(station, documents);

    const Sanji__UnitsReply *reply = units(NULL);
    static const char *const codes[] = {"C", "T1", "V1", "V2", "T2", "V3"}, *const parents[] = {"", "C", "T1", "T1", "C", "T2"};
    static const uint32_t depths[] = {0, 1, 2, 2, 1, 2};
    assert_int_equal(reply->n_units, 6);
    for (size_t i = 0; i < 6; i++) {
        const Sanji__UnitStatus *unit = reply->units[i];
        assert_string_equal(unit->code, codes[i]);
        assert_string_equal(unit->parent, parents[i]);
        assert_int_equal(unit->depth, depths[i]);
        assert_int_equal(unit->invited, i == 2); // V1; V2's token has expired
        assert_int_equal(unit->station.len, i == 0 || i == 4 ? STATION_ID_SIZE : 0);
        assert_int_equal(unit->heard_ms > 0, i == 4);
        assert_int_equal(unit->complete_through, i == 4 ? stations_month(2024, 4) : 0);
    }
    assert_memory_equal(reply->units[4]->station.data, now.certificate.station.bytes, STATION_ID_SIZE);
    assert_string_equal(reply->units[1]->name, "Town 1");
    assert_string_equal(reply->units[1]->tier, "township");
    reply = units("T2"); // depths count from where one looks
    assert_int_equal(reply->n_units, 2);
    assert_int_equal(reply->units[0]->depth, 0);
    assert_int_equal(reply->units[1]->depth, 1);
    assert_int_equal(units("V3")->n_units, 1);
    assert_int_equal(units("")->n_units, 6);
    const Sanji__StatusReply *overall = status();
    assert_int_equal(overall->tiers[1]->stations, 1);
    assert_int_equal(overall->tiers[1]->live, 1); // heard within the hour
    guest_finish(&now);
}

static void an_unknown_unit(void **context)
{
    (void)context;
    struct buffer wire = {0};
    struct error error = {0};
    assert_int_equal(overview_units(station, "X", &wire, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.detail, "X"));
    assert_int_equal(wire.size, 0);
    language_set(LANGUAGE_ZH);
    assert_int_equal(overview_units(station, "X", &wire, &error), ERR_NOT_FOUND);
    assert_non_null(strstr(error.detail, "没有代码为 X 的单位"));
}

static void damage(struct desk *desk, void *argument)
{
    struct cursor *cursor = cursor_open(desk->txn, *(const enum table *)argument);
    uint8_t key[64], value[512];
    assert_true(cursor_next(cursor));
    size_t key_size = cursor_key(cursor).size, size = cursor_value(cursor).size;
    assert_true(key_size <= sizeof key && size <= sizeof value);
    memcpy(key, cursor_key(cursor).data, key_size);
    memcpy(value, cursor_value(cursor).data, size);
    cursor_close(cursor);
    value[size / 2] ^= 1;
    txn_put(desk->txn, *(const enum table *)argument, bytes_of(key, key_size), bytes_of(value, size));
}

static void fault_10_damage_is_no_answer(void **context)
{
    (void)context;
    struct buffer wire = {0};
    struct error error = {0};
    enum table table = TABLE_UNITS;
    change(damage, &table);
    assert_int_equal(overview_units(station, NULL, &wire, &error), ERR_CORRUPT);
    assert_int_equal(overview_status(station, &wire, &error), ERR_CORRUPT);
    assert_non_null(strstr(error.detail, "sanji scrub"));
    buffer_finish(&wire);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_station, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_alarms_and_the_records, setup, teardown),
        cmocka_unit_test_setup_teardown(the_units, setup, teardown),
        cmocka_unit_test_setup_teardown(an_unknown_unit, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_10_damage_is_no_answer, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
