// Of node/station.h: what makes a station.
#include "tests/unit/node/stations.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "envelope.pb-c.h"
#include "relay/keyring.h"
#include "relay/language.h"
#include "tests/directory.h"
#include "tests/must.h"

static struct stations stations;

static int setup(void **context)
{
    (void)context;
    stations_begin(&stations);
    return 0;
}

static int teardown(void **context)
{
    (void)context;
    stations_end(&stations);
    language_set(LANGUAGE_EN);
    return 0;
}

static void contains(const struct error *error, const char *text)
{
    if (!strstr(error->detail, text))
        fail_msg("%s: not '%s'", error->detail, text);
}

// ---- a root

struct wanted {
    const char *unit, *units, *codebook, *listen, *join;
    enum error_code code;
    const char *text;
};

static void init_refused(const struct wanted *wanted)
{
    struct error error = {0};
    unsigned before = stations_entries(stations.base);
    enum error_code code =
        station_create_root(stations.root, wanted->unit, wanted->units, wanted->codebook, wanted->listen, wanted->join, &error);
    if (code != wanted->code)
        fail_msg("%s, not %s: %s", error_name(code), error_name(wanted->code), error.detail);
    contains(&error, wanted->text);
    assert_false(stations_exists(stations.root));
    assert_int_equal(stations_entries(stations.base), before); // nothing beside it either
}

static void init_refuses_and_leaves_nothing_behind(void **context)
{
    (void)context;
    char list[160], bad[160], later[160], big[160];
    stations_path(&stations, "list.csv", list);
    stations_path(&stations, "bad.yaml", bad);
    stations_path(&stations, "later.yaml", later);
    stations_path(&stations, "big.yaml", big);
    stations_write(list, "code,name,tier,parent_code\nC,County,county,\nT1,Town 1,township,X\n");
    stations_write(bad, "codebook: {id: test, version: 1}\nforms: 7\n");
    stations_write(later, "codebook: {id: t, version: 1, grammar: 2, tz: \"+08:00\", base: month, tiers: [county], zh: 测, en: t}\n");
    stations_write(big, "");
    assert_int_equal(truncate(big, DOCUMENT_MAX + 1), 0);
    const char *u = stations.units, *c = stations.codebook;
    const struct wanted all[] = {
        {"X", u, c, NULL, NULL, ERR_NOT_FOUND, "no unit with the code X"},
        {"", u, c, NULL, NULL, ERR_NOT_FOUND, "units.csv"},
        {"T1", u, c, NULL, NULL, ERR_REFUSED, "invited"},
        {"C", list, c, NULL, NULL, ERR_INPUT, "list.csv:3"},
        {"C", "/nonexistent.csv", c, NULL, NULL, ERR_IO, "/nonexistent.csv"},
        {"C", stations.base, c, NULL, NULL, ERR_IO, "directory"},
        {"C", u, bad, NULL, NULL, ERR_INPUT, "bad.yaml:"},
        {"C", u, later, NULL, NULL, ERR_VERSION, "later.yaml:"},
        {"C", u, big, NULL, NULL, ERR_LIMIT, "big.yaml"},
        {"C", u, "/nonexistent.yaml", NULL, NULL, ERR_IO, "/nonexistent.yaml"},
        {"C", u, c, "127.0.0.1:7310", NULL, ERR_INPUT, "tcp://"},
        {"C", u, c, NULL, "tcp://127.0.0.1", ERR_INPUT, "port"},
        {"C", u, c, "tcp://localhost:99999", NULL, ERR_INPUT, "port"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        init_refused(&all[i]);
    char address[300];
    memset(address, 'a', sizeof address);
    memcpy(address, "tcp://", 6);
    snprintf(address + 150, sizeof address - 150, ":7310");
    init_refused(&(struct wanted){"C", u, c, NULL, address, ERR_LIMIT, "--join"});
}

static void init_needs_a_place_of_its_own(void **context)
{
    (void)context;
    struct error error = {0};
    char inside[200], other[160];
    assert_int_equal(mkdir(stations.root, 0700), 0);
    snprintf(inside, sizeof inside, "%s/letter", stations.root);
    stations_write(inside, "mine");
    assert_int_equal(station_create_root(stations.root, "C", stations.units, NULL, NULL, NULL, &error), ERR_EXISTS);
    contains(&error, stations.root);
    assert_int_equal(stations_entries(stations.root), 1);
    assert_int_equal(station_create_root(stations.units, "C", stations.units, NULL, NULL, NULL, &error), ERR_IO); // a file
    stations_path(&stations, "no/such/c", other);
    assert_int_equal(station_create_root(other, "C", stations.units, NULL, NULL, NULL, &error), ERR_IO);
    contains(&error, "no/such/c");
    assert_int_equal(station_create_root("", "C", stations.units, NULL, NULL, NULL, &error), ERR_INPUT);
    assert_int_equal(unlink(inside), 0); // empty now
    must(station_create_root(stations.root, "C", stations.units, NULL, NULL, NULL, &error), &error);
    assert_true(stations_entries(stations.root) > 3);
}

static void a_root_is_whole_and_opens(void **context)
{
    (void)context;
    struct error error = {0};
    struct station *station;
    char slashed[200];
    snprintf(slashed, sizeof slashed, "%s//", stations.root); // as a shell completes it
    must(station_create_root(slashed, "C", stations.units, stations.codebook, NULL, NULL, &error), &error);
    assert_int_equal(stations_entries(stations.base), 3); // and nothing else
    must(station_open(stations.root, &station, &error), &error);
    const struct certificate *self = station_self(station);
    uint32_t ancestors;
    assert_string_equal(self->unit, "C");
    assert_string_equal(self->tier, "county");
    assert_true(self->root);
    assert_int_equal(self->term, 1);
    station_ancestors(station, &ancestors);
    assert_int_equal(ancestors, 0);
    assert_true(hash_equal(&station_config(station)->root, &self->hash));
    assert_string_equal(station_config(station)->listen, "tcp://127.0.0.1:7310");
    assert_string_equal(station_config(station)->join, "tcp://127.0.0.1:7311");
    assert_string_equal(station_config(station)->parent, "");
    assert_false(station_restored(station));
    assert_null(station_engine(station));
    struct documents *documents = station_documents(station);
    assert_int_equal(documents->codebook_version, 3);
    assert_int_equal(documents->units_version, 1);
    station_release(station, documents);
    struct txn *txn = txn_begin(station_store(station), false, &error);
    assert_int_equal(journal_end(txn), 1); // both announcements
    txn_abort(txn);
    station_close(station);
}

static void a_root_may_begin_without_a_codebook(void **context)
{
    (void)context;
    struct error error = {0};
    struct station *station;
    must(station_create_root(stations.root, "C", stations.units, NULL, "tcp://127.0.0.1:1", "tcp://127.0.0.1:2", &error), &error);
    must(station_open(stations.root, &station, &error), &error);
    struct documents *documents = station_documents(station);
    assert_null(documents->codebook);
    station_release(station, documents);
    assert_string_equal(station_config(station)->join, "tcp://127.0.0.1:2");
    station_close(station);
    assert_int_equal(stations_record(stations.root, NULL, "money", "[]", &error), ERR_STATE);
    contains(&error, "codebook");
}

// ---- a join

static uint64_t in_ms(uint64_t ms) { return utc_ms() + ms; }

static void join_refused(const char *name, const char *token, enum error_code wanted, const char *text)
{
    struct error error = {0};
    char directory[160];
    stations_path(&stations, name, directory);
    enum error_code code = station_join(directory, token, NULL, NULL, &error);
    if (code != wanted)
        fail_msg("%s, not %s: %s", error_name(code), error_name(wanted), error.detail);
    contains(&error, text);
    assert_false(stations_exists(directory));
}

static struct join_token token_of(const char *text)
{
    struct join_token token;
    struct error error = {0};
    must(token_parse(text, &token, &error), &error);
    return token;
}

static void join_makes_a_station(void **context)
{
    (void)context;
    struct error error = {0};
    struct station *station, *root;
    char directory[160], token[512];
    uint32_t count;
    stations_root(&stations);
    stations_run(&stations);
    stations_invite(stations.root, "T1", 60000, stations_month(2024, 3), token);
    stations_path(&stations, "t1/", directory);
    must(station_join(directory, token, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", &error), &error);
    assert_int_equal(stations_entries(stations.base), 4); // no .joining
    must(station_open(directory, &station, &error), &error);
    struct join_token pinned = token_of(token);
    const struct certificate *self = station_self(station), *ancestors = station_ancestors(station, &count);
    assert_string_equal(self->unit, "T1");
    assert_int_equal(self->from_period, stations_month(2024, 3));
    assert_int_equal(self->term, 2);
    assert_int_equal(self->depth, 1);
    assert_int_equal(count, 1);
    assert_string_equal(ancestors[0].unit, "C");
    assert_true(hash_equal(&ancestors[0].hash, &pinned.parent));
    assert_true(hash_equal(&station_config(station)->root, &pinned.root));
    assert_true(strncmp(station_config(station)->parent, "tcp://127.0.0.1:", 16) == 0);
    assert_string_equal(station_config(station)->listen, "tcp://127.0.0.1:0");
    struct documents *documents = station_documents(station);
    assert_int_equal(documents->codebook_version, 3);
    assert_int_equal(documents->delegated[documents->unit], 0);
    station_release(station, documents);
    station_close(station);
    // The parent speaks for T1 no more; that came into force with the enrolment.
    assert_int_equal(stations_record(stations.root, "T1", "money", "[{\"day\":\"2024-06-01\",\"amount\":1}]", &error), ERR_INPUT);
    contains(&error, "has a station of its own");
    stations_stop(&stations);
    must(station_open(stations.root, &root, &error), &error);
    documents = station_documents(root);
    assert_int_equal(documents->delegated[units_find(documents->units, "V2")], 1);
    assert_int_equal(documents->delegated[units_find(documents->units, "V3")], 0);
    station_release(root, documents);
    station_close(root);
}

static void join_refuses_a_bad_token(void **context)
{
    (void)context;
    struct error error = {0};
    char token[512], damaged[512], child[160];
    join_refused("t1", "hello", ERR_INPUT, "not a join token");
    join_refused("t1", "", ERR_INPUT, "not a join token");
    join_refused("t1", "sanji2-AAAA", ERR_VERSION, "version");
    stations_root(&stations);
    stations_run(&stations);
    stations_invite(stations.root, "T1", 60000, 0, token);
    snprintf(damaged, sizeof damaged, "%s", token);
    damaged[60] = damaged[60] == 'A' ? 'B' : 'A';
    join_refused("t1", damaged, ERR_INPUT, "mistyped");
    snprintf(damaged, sizeof damaged, "%.*s", (int)strlen(token) - 5, token);
    join_refused("t1", damaged, ERR_INPUT, "mistyped");
    struct join_token forged = token_of(token);
    forged.secret[0] ^= 1;
    must(token_format(&forged, damaged, &error), &error);
    join_refused("t1", damaged, ERR_REFUSED, "not known here");
    assert_int_equal(stations_entries(stations.base), 3); // no .joining: what was refused is gone
    language_set(LANGUAGE_ZH);
    join_refused("t1", damaged, ERR_REFUSED, "此处没有这个令牌");
    language_set(LANGUAGE_EN);
    assert_int_equal(station_join(stations.root, token, NULL, NULL, &error), ERR_EXISTS);
    stations_path(&stations, "t1", child);
    assert_int_equal(station_join(child, token, "nowhere", NULL, &error), ERR_INPUT);
    assert_int_equal(station_join(child, token, NULL, "nowhere", &error), ERR_INPUT);
    must(station_join(child, token, NULL, NULL, &error), &error); // the token itself is still good
}

static void an_expired_token_is_refused(void **context)
{
    (void)context;
    char token[512];
    stations_root(&stations);
    stations_run(&stations);
    uint64_t until = in_ms(1);
    stations_invite(stations.root, "T1", 1, 0, token);
    while (in_ms(0) <= until + 50) // its last millisecond goes by
        ;
    join_refused("t1", token, ERR_REFUSED, "expired");
}

static void fault_60_a_token_works_once(void **context)
{
    (void)context;
    struct error error = {0};
    char token[512], other[512], first[160];
    stations_root(&stations);
    stations_run(&stations);
    stations_invite(stations.root, "V1", 60000, 0, token);
    stations_invite(stations.root, "V1", 60000, 0, other);
    stations_path(&stations, "v1", first);
    must(station_join(first, token, NULL, NULL, &error), &error);
    join_refused("thief", token, ERR_REFUSED, "used by another station");
    join_refused("second", other, ERR_REFUSED, "has a station already");
    stations_stop(&stations);
    struct station *root;
    must(station_open(stations.root, &root, &error), &error);
    struct txn *txn = txn_begin(station_store(root), false, &error);
    struct alarm alarm;
    assert_int_equal(alarm_last(txn, &alarm, 1), 1);
    assert_string_equal(alarm.kind, "token-reused");
    assert_non_null(strstr(alarm.text, "V1"));
    txn_abort(txn);
    station_close(root);
}

// Whoever stole a token and answers for the parent is found out: by the root it pins, by the parent's certificate, by the parent's key.
static void fault_61_the_token_pins_root_and_parent(void **context)
{
    (void)context;
    struct error error = {0};
    char token[512], forged[512], child[160];
    stations_root(&stations);
    stations_run(&stations);
    stations_invite(stations.root, "V3", 60000, 0, token);
    struct join_token other = token_of(token);
    snprintf(other.unit, sizeof other.unit, "V2"); // the parent certifies for V3
    must(token_format(&other, forged, &error), &error);
    join_refused("v2", forged, ERR_FORGED, "not for this station");
    stations_invite(stations.root, "T1", 60000, 0, token);
    other = token_of(token);
    other.root.bytes[0] ^= 1;
    must(token_format(&other, forged, &error), &error);
    join_refused("t1", forged, ERR_FORGED, "another root");
    stations_path(&stations, "t1.joining/keys", child);
    assert_false(stations_exists(child)); // those keys are known to whoever it was
    stations_invite(stations.root, "T2", 60000, 0, token);
    other = token_of(token);
    other.parent.bytes[0] ^= 1;
    must(token_format(&other, forged, &error), &error);
    join_refused("t2", forged, ERR_FORGED, "parent that the token names");
}

static void copy_keys(const char *from, const char *to)
{
    char source[200], target[200];
    snprintf(source, sizeof source, "%s/keys", from);
    snprintf(target, sizeof target, "%s/keys", to);
    assert_int_equal(mkdir(to, 0700), 0);
    stations_copy(source, target);
}

static struct hash certificate_of(const char *directory)
{
    struct station *station;
    struct error error = {0};
    must(station_open(directory, &station, &error), &error);
    struct hash hash = station_self(station)->hash;
    station_close(station);
    return hash;
}

// The answer was lost: the keys are in .joining, the token is used. The same keys get the same certificate.
static void a_lost_answer_costs_nothing(void **context)
{
    (void)context;
    struct error error = {0};
    char token[512], first[160], again[160], joining[160];
    stations_root(&stations);
    stations_run(&stations);
    stations_invite(stations.root, "T1", 60000, 0, token);
    stations_path(&stations, "first", first);
    stations_path(&stations, "again", again);
    stations_path(&stations, "again.joining", joining);
    must(station_join(first, token, NULL, NULL, &error), &error);
    copy_keys(first, joining); // as they were before the answer came
    must(station_join(again, token, NULL, NULL, &error), &error);
    assert_false(stations_exists(joining));
    struct hash one = certificate_of(first), two = certificate_of(again);
    assert_true(hash_equal(&one, &two));
}

// Nothing answers: the keys stay, and a later try goes on with them.
static void keys_are_kept_over_retries(void **context)
{
    (void)context;
    struct error error = {0};
    char token[512], keys[200], before[4096] = "", after[4096] = "", child[160];
    stations_root(&stations);
    stations_run(&stations);
    stations_invite(stations.root, "T1", 60000, 0, token);
    struct join_token nowhere = token_of(token);
    char unreachable[512];
    snprintf(nowhere.endpoint, sizeof nowhere.endpoint, "tcp://127.0.0.1:1");
    must(token_format(&nowhere, unreachable, &error), &error);
    join_refused("t1", unreachable, ERR_NETWORK, "127.0.0.1:1");
    stations_path(&stations, "t1.joining/keys/sign.key", keys);
    FILE *file = fopen(keys, "re");
    assert_non_null(file);
    assert_true(fread(before, 1, sizeof before - 1, file) > 64);
    fclose(file);
    stations_path(&stations, "t1", child);
    must(station_join(child, token, NULL, NULL, &error), &error);
    stations_path(&stations, "t1/keys/sign.key", keys);
    file = fopen(keys, "re");
    assert_non_null(file);
    assert_true(fread(after, 1, sizeof after - 1, file) > 64);
    fclose(file);
    assert_string_equal(before, after);
}

// Keys that others could read are not used, and not thrown away either.
static void readable_keys_are_refused_and_kept(void **context)
{
    (void)context;
    struct error error = {0};
    char token[512], first[160], again[160], joining[160], key[200];
    stations_root(&stations);
    stations_run(&stations);
    stations_invite(stations.root, "T1", 60000, 0, token);
    stations_path(&stations, "first", first);
    stations_path(&stations, "again", again);
    stations_path(&stations, "again.joining", joining);
    must(station_join(first, token, NULL, NULL, &error), &error);
    copy_keys(first, joining);
    snprintf(key, sizeof key, "%s/keys/seal.key", joining);
    assert_int_equal(chmod(key, 0644), 0);
    assert_int_equal(station_join(again, token, NULL, NULL, &error), ERR_REFUSED);
    contains(&error, "seal.key");
    assert_true(stations_exists(key));
    assert_int_equal(chmod(key, 0600), 0);
    must(station_join(again, token, NULL, NULL, &error), &error);
}

// A crash in the middle: what is in .joining at each stage is completed by the same command.
static void fault_04_a_crash_in_the_middle_is_completed(void **context)
{
    (void)context;
    struct error error = {0};
    char token[512], first[160];
    stations_root(&stations);
    stations_run(&stations);
    stations_invite(stations.root, "T1", 60000, 0, token);
    stations_path(&stations, "first", first);
    must(station_join(first, token, NULL, NULL, &error), &error);
    struct hash certificate = certificate_of(first);
    static const char *const stages[][4] = {
        {"station.conf", "marker", "store", "keys/keyring"},
        {"station.conf", "marker", "store", NULL},
        {"station.conf", "marker", NULL},
        {"station.conf", NULL},
        {"store/data.mdb", NULL},
        {NULL},
    };
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        char name[32], again[160], joining[160], gone[200];
        snprintf(name, sizeof name, "again%zu", i);
        stations_path(&stations, name, again);
        snprintf(joining, sizeof joining, "%.150s.joining", again);
        stations_copy(first, joining);
        for (size_t j = 0; j < 4 && stages[i][j]; j++) {
            snprintf(gone, sizeof gone, "%s/%s", joining, stages[i][j]);
            char *copy = strdup(gone);
            directory_remove(copy);
            assert_false(stations_exists(gone));
        }
        must(station_join(again, token, NULL, NULL, &error), &error);
        assert_false(stations_exists(joining));
        struct hash got = certificate_of(again);
        assert_true(hash_equal(&got, &certificate));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(init_refuses_and_leaves_nothing_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(init_needs_a_place_of_its_own, setup, teardown),
        cmocka_unit_test_setup_teardown(a_root_is_whole_and_opens, setup, teardown),
        cmocka_unit_test_setup_teardown(a_root_may_begin_without_a_codebook, setup, teardown),
        cmocka_unit_test_setup_teardown(join_makes_a_station, setup, teardown),
        cmocka_unit_test_setup_teardown(join_refuses_a_bad_token, setup, teardown),
        cmocka_unit_test_setup_teardown(an_expired_token_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_60_a_token_works_once, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_61_the_token_pins_root_and_parent, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_answer_costs_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(keys_are_kept_over_retries, setup, teardown),
        cmocka_unit_test_setup_teardown(readable_keys_are_refused_and_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_04_a_crash_in_the_middle_is_completed, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
