#include "tests/unit/node/stations.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "node/apply.h"
#include "node/statement.h"
#include "record.pb-c.h"
#include "relay/identity.h"
#include "tests/directory.h"
#include "tests/must.h"

const char stations_units[] = "code,name,tier,parent_code\n"
                              "C,County,county,\nT1,Town 1,township,C\nV1,Village 1,village,T1\nV2,Village 2,village,T1\n"
                              "T2,Town 2,township,C\nV3,Village 3,village,T2\n";

const char stations_codebook[] =
    "codebook: {id: test, version: 3, grammar: 1, tz: \"+08:00\", base: month, tiers: [county, township, village], zh: 测试, en: test}\n"
    "lists:\n"
    "  - {id: source, zh: 来源, en: source, items: [{id: civil, zh: 民政, en: civil}, {id: gift, zh: 捐赠, en: gift}]}\n"
    "registers:\n"
    "  - id: child\n"
    "    zh: 儿童\n"
    "    en: child\n"
    "    custody: one\n"
    "    props:\n"
    "      - {id: name, type: text, personal: true, zh: 姓名, en: name}\n"
    "      - {id: birth, type: date, personal: true, zh: 出生, en: birth}\n"
    "    bands: [{id: age, of: birth, in: years, at: [3, 7, 14], zh: 年龄, en: age}]\n"
    "forms:\n"
    "  - id: file\n"
    "    zh: 建档\n"
    "    en: file\n"
    "    about: child\n"
    "    at: since\n"
    "    sections: [{id: body, tiers: [village, township, county]}]\n"
    "    fields:\n"
    "      - {id: since, type: date, need: \"true\", zh: 日期, en: since}\n"
    "      - {id: name, type: text, max: 40, keep: name, section: body}\n"
    "      - {id: birth, type: date, keep: birth, section: body}\n"
    "  - id: money\n"
    "    zh: 资金\n"
    "    en: money\n"
    "    at: day\n"
    "    sections: [{id: body, tiers: [village, township, county]}]\n"
    "    fields:\n"
    "      - {id: day, type: date, need: \"true\", zh: 日期, en: day}\n"
    "      - {id: amount, type: money, need: \"true\", zh: 金额, en: amount}\n"
    "      - {id: source, type: code, of: source, zh: 来源, en: source}\n"
    "indicators:\n"
    "  - {id: children, kind: stock, of: child, by: [age], count: 人, zh: 儿童, en: children}\n"
    "  - {id: funds, kind: flow, of: money, value: amount, by: [source], count: 元, zh: 资金, en: funds}\n"
    "  - {id: teams, kind: entered, count: 个, every: [month], for_tier: county, zh: 队伍, en: teams}\n";

// ---- directories

void stations_begin(struct stations *stations)
{
    struct error error = {0};
    *stations = (struct stations){.base = directory_make()};
    assert_non_null(stations->base);
    must(crypto_init(&error), &error);
    stations_path(stations, "units.csv", stations->units);
    stations_path(stations, "codebook.yaml", stations->codebook);
    stations_path(stations, "c", stations->root);
    stations_write(stations->units, stations_units);
    stations_write(stations->codebook, stations_codebook);
}

void stations_end(struct stations *stations)
{
    if (stations->running)
        stations_stop(stations);
    directory_remove(stations->base);
    stations->base = NULL;
}

void stations_path(const struct stations *stations, const char *name, char ret[160])
{
    assert_in_range(snprintf(ret, 160, "%s/%s", stations->base, name), 1, 159);
}

void stations_write(const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

static void copy_file(const char *from, const char *to, mode_t mode)
{
    static char part[65536];
    FILE *in = fopen(from, "re"), *out = fopen(to, "we");
    assert_non_null(in);
    assert_non_null(out);
    for (size_t got; (got = fread(part, 1, sizeof part, in)) > 0;)
        assert_int_equal(fwrite(part, 1, got, out), got);
    assert_int_equal(fclose(in), 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(to, mode & 0777), 0);
}

void stations_copy(const char *from, const char *to)
{
    DIR *dir = opendir(from);
    assert_non_null(dir);
    assert_int_equal(mkdir(to, 0700), 0);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char source[512], target[512];
        struct stat status;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(source, sizeof source, "%s/%s", from, entry->d_name);
        snprintf(target, sizeof target, "%s/%s", to, entry->d_name);
        assert_int_equal(lstat(source, &status), 0);
        if (S_ISDIR(status.st_mode))
            stations_copy(source, target);
        else if (S_ISREG(status.st_mode))
            copy_file(source, target, status.st_mode);
    }
    closedir(dir);
}

bool stations_exists(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0;
}

unsigned stations_entries(const char *directory)
{
    unsigned count = 0;
    DIR *dir = opendir(directory);
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

// ---- nodes

void stations_root(struct stations *stations)
{
    struct error error = {0};
    must(station_create_root(stations->root, "C", stations->units, stations->codebook, "tcp://127.0.0.1:0", "tcp://127.0.0.1:0", &error),
         &error);
}

static void run_here(const char *directory, int log)
{
    struct error error = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL); // no node outlives its test
    dup2(log, STDERR_FILENO);
    enum error_code code = station_run(directory, &error);
    if (code != OK)
        fprintf(stderr, "%s: %s\n", error_name(code), error.detail);
    _exit(code != OK);
}

void stations_run(struct stations *stations)
{
    int log[2];
    char text[4096] = "";
    size_t size = 0;
    assert_int_equal(stations->running, 0);
    assert_int_equal(pipe2(log, O_CLOEXEC), 0);
    fflush(NULL);
    stations->running = fork();
    assert_true(stations->running >= 0);
    if (stations->running == 0)
        run_here(stations->root, log[1]);
    close(log[1]);
    while (!strstr(text, " ready")) { // it says so when its control socket is there
        ssize_t got = read(log[0], text + size, sizeof text - 1 - size);
        if (got <= 0)
            fail_msg("the node ended: %s", text);
        size += (size_t)got;
        text[size] = 0;
    }
    close(log[0]); // what it says later nobody reads: SIGPIPE is ignored there
}

static int reap(struct stations *stations)
{
    int status = -1;
    assert_int_equal(waitpid(stations->running, &status, 0), stations->running);
    stations->running = 0;
    return status;
}

void stations_stop(struct stations *stations)
{
    Sanji__Request request = SANJI__REQUEST__INIT;
    Sanji__StopRequest stop = SANJI__STOP_REQUEST__INIT;
    struct client_answer answer;
    struct error error = {0};
    request.request_case = SANJI__REQUEST__REQUEST_STOP;
    request.stop = &stop;
    enum error_code code = client_call_running(stations->root, &request, SANJI__REPLY__REPLY_STOP, &answer, &error);
    if (code != OK)
        kill(stations->running, SIGKILL);
    int status = reap(stations);
    must(code, &error);
    client_finish(&answer);
    assert_int_equal(status, 0);
}

void stations_kill(struct stations *stations)
{
    assert_int_equal(kill(stations->running, SIGKILL), 0);
    assert_true(WIFSIGNALED(reap(stations)));
}

enum error_code stations_ask(const char *directory, Sanji__Request *request, Sanji__Reply__ReplyCase wanted, struct client_answer *ret,
                             struct error *error)
{
    return client_call(directory, request, wanted, ret, error);
}

void stations_invite(const char *directory, const char *unit, uint64_t ttl_ms, int32_t from_period, char ret[512])
{
    Sanji__Request request = SANJI__REQUEST__INIT;
    Sanji__InviteRequest invite = SANJI__INVITE_REQUEST__INIT;
    char *units[] = {(char *)(uintptr_t)unit};
    struct client_answer answer;
    struct error error = {0};
    invite.n_units = 1;
    invite.units = units;
    invite.ttl_ms = ttl_ms;
    invite.from_period = from_period;
    request.request_case = SANJI__REQUEST__REQUEST_INVITE;
    request.invite = &invite;
    must(stations_ask(directory, &request, SANJI__REPLY__REPLY_INVITE, &answer, &error), &error);
    assert_int_equal(answer.reply->invite->n_invitations, 1);
    snprintf(ret, 512, "%s", answer.reply->invite->invitations[0]->token);
    client_finish(&answer);
}

enum error_code stations_record(const char *directory, const char *unit, const char *form, const char *json, struct error *error)
{
    Sanji__Request request = SANJI__REQUEST__INIT;
    Sanji__RecordRequest record = SANJI__RECORD_REQUEST__INIT;
    struct client_answer answer;
    record.form = (char *)(uintptr_t)form;
    if (unit)
        record.unit = (char *)(uintptr_t)unit;
    record.format = SANJI__INPUT_FORMAT__INPUT_JSON;
    record.data = (ProtobufCBinaryData){strlen(json), (uint8_t *)(uintptr_t)json};
    request.request_case = SANJI__REQUEST__REQUEST_RECORD;
    request.record = &record;
    enum error_code code = stations_ask(directory, &request, SANJI__REPLY__REPLY_RECORD, &answer, error);
    if (code == OK)
        client_finish(&answer);
    return code;
}

void stations_child(struct stations *stations, const char *unit, const char *name, char ret[160])
{
    char token[512];
    struct error error = {0};
    stations_path(stations, name, ret);
    stations_invite(stations->root, unit, 3600 * 1000, 0, token);
    must(station_join(ret, token, NULL, NULL, &error), &error);
}

// ---- guests

void guest_enrol(struct guest *guest, const char *issuer, const struct certificate *by, const char *unit, const struct hash *units)
{
    struct identity identity;
    struct secret_key other;
    struct error error = {0};
    *guest = (struct guest){.issuer = *by, .now_ms = UINT64_C(1718409600000)};
    must(identity_load(issuer, &identity, &error), &error);
    guest->certificate = (struct certificate){.term = by->term + 1, .ordinal = 1, .issued_ms = guest->now_ms, .units = *units};
    crypto_random(guest->certificate.station.bytes, STATION_ID_SIZE);
    crypto_random(guest->certificate.serial, sizeof guest->certificate.serial);
    crypto_sign_keypair(&guest->certificate.sign_key, &guest->key);
    crypto_seal_keypair(&guest->certificate.seal_key, &other);
    crypto_seal_keypair(&guest->certificate.transport_key, &other);
    snprintf(guest->certificate.unit, sizeof guest->certificate.unit, "%s", unit);
    snprintf(guest->certificate.tier, sizeof guest->certificate.tier, "%s", unit[0] == 'T' ? "township" : "village");
    guest->certificate.depth = by->depth + 1;
    must(certificate_issue(&guest->certificate, by, &identity.sign.secret_key, &guest->wire, &error), &error);
    identity_finish(&identity);
    guest->feed = (struct feed_key){.station = guest->certificate.station,
                                    .ordinal = 1,
                                    .nonce = crypto_random_u64(),
                                    .lane = SANJI__LANE__AGGREGATE,
                                    .audience = SANJI__AUDIENCE__UP};
    feed_state_init(&guest->state);
    must(batch_draft_init(&guest->draft, &guest->feed, REACH_TOP, &error), &error);
}

void guest_root(struct guest *guest, const char *root, const struct certificate *certificate)
{
    struct identity identity;
    struct error error = {0};
    *guest = (struct guest){.certificate = *certificate, .now_ms = UINT64_C(1718409600000)};
    must(identity_load(root, &identity, &error), &error);
    assert_true(station_equal(&identity.station, &certificate->station));
    guest->key = identity.sign.secret_key;
    identity_finish(&identity);
    guest->feed = (struct feed_key){.station = certificate->station,
                                    .ordinal = 1,
                                    .nonce = crypto_random_u64(),
                                    .lane = SANJI__LANE__CONTROL,
                                    .audience = SANJI__AUDIENCE__SUBTREE};
    feed_state_init(&guest->state);
    must(batch_draft_init(&guest->draft, &guest->feed, REACH_TOP, &error), &error);
}

void guest_finish(struct guest *guest)
{
    buffer_finish(&guest->wire);
    batch_draft_finish(&guest->draft);
}

void guest_say(struct guest *guest, uint32_t kind, struct bytes content, bool sealed)
{
    struct error error = {0};
    struct key_id key = {{1, 2, 3}};
    must(batch_draft_add(&guest->draft, kind, guest->now_ms, content, sealed ? &key : NULL, &error), &error);
}

void guest_statement(struct guest *guest, const struct hash *definition, const char *unit, int32_t month, uint32_t cell, int64_t value)
{
    struct statement statement = {.definition = *definition,
                                  .term = guest->certificate.term,
                                  .period = {SANJI__PERIOD_TYPE__MONTH, month},
                                  .scope = SANJI__SCOPE__OWN,
                                  .basis = SANJI__BASIS__COMPUTED,
                                  .extent = SANJI__EXTENT__FULL,
                                  .cells = &cell,
                                  .values = &value,
                                  .count = value != 0};
    struct buffer wire = {0};
    snprintf(statement.unit, sizeof statement.unit, "%s", unit);
    statement_encode(&statement, &wire);
    assert_false(wire.failed);
    guest_say(guest, SANJI__ENTRY_KIND__STATEMENT, buffer_bytes(&wire), false);
    buffer_finish(&wire);
}

void guest_announce(struct guest *guest, uint32_t kind, const struct hash *hash, uint32_t version, struct bytes content)
{
    Sanji__Announce announce = SANJI__ANNOUNCE__INIT;
    struct buffer wire = {0};
    announce.kind = (Sanji__DocumentKind)kind;
    announce.hash = (ProtobufCBinaryData){HASH_SIZE, (uint8_t *)(uintptr_t)hash->bytes};
    announce.version = version;
    announce.size = (uint32_t)content.size;
    codec_pack(&announce, &wire);
    guest_say(guest, SANJI__ENTRY_KIND__ANNOUNCE, buffer_bytes(&wire), false);
    buffer_finish(&wire);
}

static struct arrival arrival_of(struct guest *guest)
{
    bool up = guest->feed.audience == SANJI__AUDIENCE__UP;
    return (struct arrival){.peer = guest->certificate.station,
                            .stream = up ? SANJI__STREAM__STREAM_UP : SANJI__STREAM__STREAM_DOWN_ALL,
                            .lane = guest->feed.lane,
                            .generation = 1,
                            .position = ++guest->positions,
                            .received_ms = utc_ms()};
}

void guest_sign(struct guest *guest, struct arrival *ret)
{
    struct error error = {0};
    struct header header;
    uint8_t signature[SIGNATURE_SIZE];
    struct arrival arrival = arrival_of(guest);
    must(batch_draft_sign(&guest->draft, &guest->state, &guest->certificate, &guest->key, guest->now_ms, NULL, NULL, 0, &arrival.header,
                          &header, signature, &error),
         &error);
    buffer_append(&arrival.signature, signature, sizeof signature);
    buffer_append(&arrival.body, guest->draft.body.data, guest->draft.body.size);
    struct feed_claim claim = {header.first, header.count, header.hash, header.prev};
    feed_extend(&guest->state, &claim, true, true);
    batch_draft_finish(&guest->draft);
    must(batch_draft_init(&guest->draft, &guest->feed, REACH_TOP, &error), &error);
    *ret = arrival;
}

void guest_object(struct guest *guest, const struct hash *name, struct bytes content, struct arrival *ret)
{
    struct arrival arrival = arrival_of(guest);
    arrival.is_object = true;
    arrival.object = *name;
    buffer_append(&arrival.body, content.data, content.size);
    *ret = arrival;
}

struct receiving {
    struct station *station;
    struct arrival *arrival;
    enum received received;
};

static enum error_code run_receive(void *argument, struct desk *desk, struct error *error)
{
    struct receiving *receiving = argument;
    struct applier applier = {.desk = desk};
    struct receiver receiver = {.place = {.self = desk->self, .parent = desk->ancestor_count ? desk->ancestors : NULL},
                                .context = &applier,
                                .apply = apply_batch,
                                .may_certify = apply_may_certify,
                                .document = apply_document,
                                .entries = calloc(BATCH_ENTRIES_MAX, sizeof(struct entry))};
    struct grown grown = {0};
    assert_non_null(receiver.entries);
    desk->now_ms = receiving->arrival->received_ms;
    must(signers_create(&station_config(receiving->station)->root, &receiver.signers, error), error);
    receiving->received = receive(&receiver, desk->txn, receiving->arrival, &grown);
    signers_destroy(receiver.signers);
    free(receiver.entries);
    return txn_report(desk->txn, error);
}

enum received stations_receive(struct station *station, struct arrival *arrival)
{
    struct error error = {0};
    struct receiving receiving = {station, arrival, RECEIVED_GAP};
    must(station_write(station, run_receive, &receiving, &error), &error);
    arrival_finish(arrival);
    return receiving.received;
}

int32_t stations_month(int year, int month) { return year * 12 + month - 1; }
