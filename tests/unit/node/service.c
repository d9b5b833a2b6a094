#include "node/service.h"

#include "tests/unit/node/stations.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/proof.h"
#include "node/verify.h"
#include "relay/language.h"

static struct stations stations;
static struct station *station;
static struct buffer answer;
static struct arena arena;
static const Sanji__Reply *reply; // the last one

static int setup(void **context)
{
    (void)context;
    struct error error = {0};
    stations_begin(&stations);
    stations_root(&stations);
    char path[160];
    stations_path(&stations, "c/station.conf", path);
    struct config config;
    if (config_read(stations.root, &config, &error) != OK)
        return -1;
    snprintf(config.listen, sizeof config.listen, "tcp://127.0.0.1:7310");
    snprintf(config.join, sizeof config.join, "tcp://localhost:7311");
    return config_write(stations.root, &config, &error) == OK && station_open(stations.root, &station, &error) == OK ? 0 : -1;
}

static int teardown(void **context)
{
    (void)context;
    station_close(station);
    stations_end(&stations);
    buffer_finish(&answer);
    arena_finish(&arena);
    language_set(LANGUAGE_EN);
    return 0;
}

static uint64_t progress_calls, progress_last;

static void count_progress(void *context, uint64_t done, uint64_t total)
{
    (void)context;
    assert_true(done >= progress_last && done <= total);
    progress_last = done;
    progress_calls++;
}

// One Reply, whatever the request; a Failure exactly when an error is returned, with the same text.
static enum error_code handle(struct bytes wire, struct error *error)
{
    static const struct codec_limits limits = {.bytes_max = CONTROL_MESSAGE_MAX, .elements_max = 1000000, .empty_ok = true};
    void *message;
    struct error bad = {0};
    arena_finish(&arena);
    arena.limit = (size_t)256 << 20;
    buffer_clear(&answer);
    buffer_append(&answer, "before", 6); // appended to, not overwritten
    *error = (struct error){0};
    enum error_code code = service_handle(station, wire, count_progress, NULL, &answer, error);
    assert_memory_equal(answer.data, "before", 6);
    if (codec_unpack(&sanji__reply__descriptor, bytes_of(answer.data + 6, answer.size - 6), &limits, &arena, &message, &bad) != OK)
        fail_msg("%s", bad.detail);
    reply = message;
    assert_int_equal(reply->reply_case == SANJI__REPLY__REPLY_FAILURE, code != OK);
    assert_int_equal(code, error->code);
    if (code != OK) {
        assert_int_equal(reply->failure->code, code);
        assert_string_equal(reply->failure->message, error->detail);
        assert_true(*error->detail);
    }
    return code;
}

static enum error_code ask(Sanji__Request *request, const char *language, struct error *error)
{
    struct buffer wire = {0};
    request->language = (char *)(uintptr_t)language;
    codec_pack(request, &wire);
    enum error_code code = handle(buffer_bytes(&wire), error);
    buffer_finish(&wire);
    return code;
}

// Answered with `wanted`, in both languages.
static void answered(Sanji__Request *request, Sanji__Reply__ReplyCase wanted)
{
    struct error error;
    if (ask(request, "en", &error) != OK)
        fail_msg("%s: %s", error_name(error.code), error.detail);
    assert_int_equal(reply->reply_case, wanted);
}

// Refused with the code and both texts.
static void refused(Sanji__Request *request, enum error_code wanted, const char *en, const char *zh)
{
    struct error error;
    enum error_code code = ask(request, "zh_CN.UTF-8", &error);
    if (code != wanted)
        fail_msg("%s, not %s: %s", error_name(code), error_name(wanted), error.detail);
    if (!strstr(error.detail, zh))
        fail_msg("%s: not '%s'", error.detail, zh);
    assert_int_equal(ask(request, "en", &error), wanted);
    if (!strstr(error.detail, en))
        fail_msg("%s: not '%s'", error.detail, en);
}

#define REQUEST(type, CASE, member)                                                                                                        \
    Sanji__Request request = SANJI__REQUEST__INIT;                                                                                         \
    Sanji__##type##Request member = SANJI__##CASE##_REQUEST__INIT;                                                                         \
    request.request_case = SANJI__REQUEST__REQUEST_##CASE;                                                                                 \
    request.member = &member

static ProtobufCBinaryData data_of(const char *text) { return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text}; }
static char *text_of(const char *text) { return (char *)(uintptr_t)text; }

// ---- status and units

static void status_and_units(void **context)
{
    (void)context;
    {
        REQUEST(Status, STATUS, status);
        answered(&request, SANJI__REPLY__REPLY_STATUS);
        assert_string_equal(reply->status->unit, "C");
        assert_string_equal(reply->status->state, "ready");
        assert_false(reply->status->running);
    }
    REQUEST(Units, UNITS, units);
    answered(&request, SANJI__REPLY__REPLY_UNITS);
    assert_int_equal(reply->units->n_units, 6);
    units.below = text_of("T1");
    answered(&request, SANJI__REPLY__REPLY_UNITS);
    assert_int_equal(reply->units->n_units, 3);
    units.below = text_of("X");
    refused(&request, ERR_NOT_FOUND, "no unit with the code X", "没有代码为 X 的单位");
}

// ---- record

static void records(void **context)
{
    (void)context;
    REQUEST(Record, RECORD, record);
    record.form = text_of("money");
    record.format = SANJI__INPUT_FORMAT__INPUT_JSON;
    record.data = data_of("[{\"day\": \"2024-06-01\", \"amount\": 250}, {\"day\": \"2024-06-02\", \"amount\": 1, \"source\": \"gift\"}]");
    record.check_only = true;
    answered(&request, SANJI__REPLY__REPLY_RECORD);
    assert_int_equal(reply->record->n_records, 2);
    assert_int_equal(reply->record->records[0]->record.len, 0); // nothing was made
    record.check_only = false;
    answered(&request, SANJI__REPLY__REPLY_RECORD);
    assert_int_equal(reply->record->n_records, 2);
    assert_int_equal(reply->record->records[1]->record.len, RECORD_ID_SIZE);
    assert_int_equal(reply->record->records[1]->revision, 1);
    assert_int_equal(reply->record->records[1]->subject.len, 0);
    record.format = SANJI__INPUT_FORMAT__INPUT_CSV;
    record.data = data_of("day,amount,source\n2024-06-03,5,civil\n");
    record.source = text_of("funds.csv");
    record.unit = text_of("V3");
    record.person = text_of("li");
    record.post = text_of("clerk");
    answered(&request, SANJI__REPLY__REPLY_RECORD);
    record.form = text_of("file");
    record.data = data_of("since,name,birth\n2024-06-03,Ming,2019-01-01\n");
    answered(&request, SANJI__REPLY__REPLY_RECORD);
    assert_int_equal(reply->record->records[0]->subject.len, SUBJECT_ID_SIZE);
    struct error error = {0};
    struct txn *txn = txn_begin(station_store(station), false, &error);
    assert_int_equal(txn_count(txn, TABLE_RECORD_IDS), 4);
    txn_abort(txn);
}

static void records_that_are_refused(void **context)
{
    (void)context;
    struct error error = {0};
    REQUEST(Record, RECORD, record);
    record.form = text_of("nothing");
    record.format = SANJI__INPUT_FORMAT__INPUT_JSON;
    record.data = data_of("[]");
    refused(&request, ERR_NOT_FOUND, "nothing", "nothing");
    record.form = text_of("money");
    record.source = text_of("a.json");
    record.data = data_of("[{\"day\": \"2024-06-01\", \"amount\": 1},\n{\"day\": \"2024-06-31\", \"amount\": 1}]");
    refused(&request, ERR_INPUT, "a.json:2", "a.json:2");
    record.data = data_of("[{");
    refused(&request, ERR_INPUT, "a.json:1", "a.json:1");
    record.unit = text_of("X");
    refused(&request, ERR_INPUT, "a.json:1", "a.json:1");
    record.data = data_of("[{\"day\": \"2024-06-01\", \"amount\": 1}]");
    refused(&request, ERR_INPUT, "X", "X");
    struct txn *txn = txn_begin(station_store(station), false, &error);
    assert_int_equal(txn_count(txn, TABLE_RECORD_IDS), 0); // all or nothing
    txn_abort(txn);
}

// ---- import, figures, proof

static void import_teams(const char *csv, uint64_t values, uint64_t unchanged, bool check_only)
{
    REQUEST(Import, IMPORT, import);
    import.format = SANJI__INPUT_FORMAT__INPUT_CSV;
    import.source = text_of("teams.csv");
    import.data = data_of(csv);
    import.check_only = check_only;
    answered(&request, SANJI__REPLY__REPLY_IMPORT);
    assert_int_equal(reply->import->values, values);
    assert_int_equal(reply->import->unchanged, unchanged);
}

static int64_t teams(void)
{
    REQUEST(Figures, FIGURES, figures);
    char *indicators[] = {text_of("teams")};
    figures.indicators = indicators;
    figures.n_indicators = 1;
    figures.period = text_of("2024-03");
    answered(&request, SANJI__REPLY__REPLY_FIGURES);
    assert_int_equal(reply->figures->n_own, 1);
    return reply->figures->own[0];
}

static void imports_and_figures(void **context)
{
    (void)context;
    static const char csv[] = "unit,period,indicator,value\nC,2024-03,teams,5\n";
    import_teams(csv, 1, 0, true);
    assert_int_equal(teams(), 0);
    import_teams(csv, 1, 0, false);
    assert_int_equal(teams(), 5);
    import_teams(csv, 1, 1, false);
    import_teams("unit,period,indicator,value\nC,2024-03,teams,7\nC,2024-02,teams,1\n", 2, 0, false);
    assert_int_equal(teams(), 7);
    REQUEST(Import, IMPORT, import);
    import.format = SANJI__INPUT_FORMAT__INPUT_CSV;
    import.source = text_of("teams.csv");
    import.data = data_of("unit,period,indicator,value\nC,2024-03,teams,8\nC,2024-03,funds,5\n");
    refused(&request, ERR_REFUSED, "teams.csv:3", "不是填报指标");
    assert_int_equal(teams(), 7);
    import.data = data_of("unit\n");
    refused(&request, ERR_INPUT, "no column period", "缺少列");
    import.format = SANJI__INPUT_FORMAT__INPUT_JSON;
    import.data = data_of("[");
    refused(&request, ERR_INPUT, "teams.csv:1", "teams.csv:1");
}

static void figures_that_are_refused(void **context)
{
    (void)context;
    REQUEST(Figures, FIGURES, figures);
    char *indicators[] = {text_of("nothing")};
    figures.indicators = indicators;
    figures.n_indicators = 1;
    figures.period = text_of("2024-03");
    refused(&request, ERR_NOT_FOUND, "nothing", "nothing");
    indicators[0] = text_of("funds");
    figures.period = text_of("March");
    refused(&request, ERR_INPUT, "March", "March");
    figures.period = text_of("2024-03");
    figures.unit = text_of("X");
    refused(&request, ERR_NOT_FOUND, "X", "X");
    Sanji__Request proof = SANJI__REQUEST__INIT;
    Sanji__ProveRequest prove = SANJI__PROVE_REQUEST__INIT;
    proof.request_case = SANJI__REQUEST__REQUEST_PROVE;
    proof.prove = &prove;
    refused(&proof, ERR_INPUT, "names no figure", "未指明指标");
    prove.figure = &figures;
    refused(&proof, ERR_NOT_FOUND, "X", "X");
}

static void a_proof_holds(void **context)
{
    (void)context;
    struct proof_report report = {0};
    struct error error = {0};
    char root[2 * HASH_SIZE + 1];
    import_teams("unit,period,indicator,value\nC,2024-03,teams,5\n", 1, 0, false);
    Sanji__FiguresRequest figures = SANJI__FIGURES_REQUEST__INIT;
    REQUEST(Prove, PROVE, prove);
    char *indicators[] = {text_of("teams")};
    figures.indicators = indicators;
    figures.n_indicators = 1;
    figures.period = text_of("2024-03");
    prove.figure = &figures;
    answered(&request, SANJI__REPLY__REPLY_PROVE);
    assert_int_equal(reply->prove->value, 5);
    assert_int_equal(reply->prove->statements, 1);
    crypto_hex(bytes_of(station_config(station)->root.bytes, HASH_SIZE), root);
    struct bytes proof = bytes_of(reply->prove->proof.data, reply->prove->proof.len);
    if (station_verify_proof(proof, root, &report, &error) != OK)
        fail_msg("%s", error.detail);
    assert_int_equal(report.value, 5);
    assert_true(report.root_pinned);
}

// ---- invitations and stop

static void invitations(void **context)
{
    (void)context;
    struct error error = {0};
    struct join_token token;
    REQUEST(Invite, INVITE, invite);
    char *units[] = {text_of("T1"), text_of("V3")};
    invite.units = units;
    invite.n_units = 2;
    invite.ttl_ms = 3600 * 1000;
    invite.from_period = stations_month(2024, 1);
    answered(&request, SANJI__REPLY__REPLY_INVITE);
    assert_int_equal(reply->invite->n_invitations, 2);
    for (size_t i = 0; i < 2; i++) {
        const Sanji__Invitation *invitation = reply->invite->invitations[i];
        assert_string_equal(invitation->unit, units[i]);
        assert_int_equal(token_parse(invitation->token, &token, &error), OK);
        assert_string_equal(token.unit, units[i]);
        assert_string_equal(token.endpoint, "tcp://localhost:7311");
        assert_int_equal(token.expires_ms, invitation->expires_ms);
        assert_true(hash_equal(&token.root, &station_config(station)->root));
        assert_true(hash_equal(&token.parent, &station_self(station)->hash));
    }
    invite.ttl_ms = 0;
    refused(&request, ERR_INPUT, "up to 90 days", "90 天");
    invite.ttl_ms = UINT64_MAX;
    refused(&request, ERR_INPUT, "up to 90 days", "90 天");
    invite.ttl_ms = 90ull * 24 * 3600 * 1000;
    invite.from_period = -5;
    refused(&request, ERR_INPUT, "first month", "起始月份");
    invite.from_period = 0;
    units[1] = text_of("X");
    refused(&request, ERR_NOT_FOUND, "code X", "代码为 X");
    units[1] = text_of("C");
    refused(&request, ERR_REFUSED, "not below", "不在本站点之下");
    invite.n_units = 0;
    refused(&request, ERR_LIMIT, "between 1 and 5000", "1 至 5000");
    char **many = calloc(5001, sizeof *many);
    assert_non_null(many);
    for (size_t i = 0; i < 5001; i++)
        many[i] = text_of("T1");
    invite.units = many;
    invite.n_units = 5001;
    refused(&request, ERR_LIMIT, "between 1 and 5000", "1 至 5000");
    free(many);
    struct txn *txn = txn_begin(station_store(station), false, &error);
    assert_int_equal(txn_count(txn, TABLE_TOKENS), 2); // of what was refused none is out
    txn_abort(txn);
}

// A token with an address that nobody can call is of no use: it is not given out.
static void nobody_is_invited_to_an_address_that_cannot_be_called(void **context)
{
    (void)context;
    static const char *const bad[] = {"tcp://0.0.0.0:7311", "tcp://*:7311", "tcp://[::]:7311", "tcp://127.0.0.1:0"};
    struct error error = {0};
    struct config config = *station_config(station);
    REQUEST(Invite, INVITE, invite);
    char *units[] = {text_of("T1")};
    invite.units = units;
    invite.n_units = 1;
    invite.ttl_ms = 1000;
    for (size_t i = 0; i < 9; i++) {
        struct config changed = config;
        if (i < 8)
            snprintf(i % 2 ? changed.listen : changed.join, ADDRESS_SIZE, "%s", bad[i / 2]);
        else
            *changed.join = 0;
        station_close(station);
        station = NULL;
        assert_int_equal(config_write(stations.root, &changed, &error), OK);
        assert_int_equal(station_open(stations.root, &station, &error), OK);
        refused(&request, ERR_STATE, "station.conf", "station.conf");
    }
}

static void nothing_runs_that_could_stop(void **context)
{
    (void)context;
    REQUEST(Stop, STOP, stop);
    refused(&request, ERR_STATE, "no node runs", "没有运行中的节点");
}

// ---- a node

static void a_running_node_answers_and_stops(void **context)
{
    (void)context;
    struct client_answer got;
    struct error error = {0};
    station_close(station);
    station = NULL;
    struct config config;
    assert_int_equal(config_read(stations.root, &config, &error), OK);
    snprintf(config.listen, sizeof config.listen, "tcp://127.0.0.1:0");
    snprintf(config.join, sizeof config.join, "tcp://127.0.0.1:0");
    assert_int_equal(config_write(stations.root, &config, &error), OK);
    stations_run(&stations);
    {
        REQUEST(Status, STATUS, status);
        assert_int_equal(stations_ask(stations.root, &request, SANJI__REPLY__REPLY_STATUS, &got, &error), OK);
        assert_true(got.reply->status->running);
        assert_null(strstr(got.reply->status->join, ":0")); // where it really is
        client_finish(&got);
    }
    {
        REQUEST(Invite, INVITE, invite);
        char *units[] = {text_of("T1")};
        invite.units = units;
        invite.n_units = 1;
        invite.ttl_ms = 1000;
        assert_int_equal(stations_ask(stations.root, &request, SANJI__REPLY__REPLY_INVITE, &got, &error), OK);
        client_finish(&got);
    }
    assert_int_equal(stations_record(stations.root, "X", "money", "[{}]", &error), ERR_INPUT);
    stations_stop(&stations);
}

// ---- what is no request

static void what_is_no_request_is_refused(void **context)
{
    (void)context;
    struct error error;
    Sanji__Request none = SANJI__REQUEST__INIT;
    refused(&none, ERR_VERSION, "does not know", "不认识的请求");
    assert_int_equal(handle(bytes_of("", 0), &error), ERR_VERSION); // an empty one asks nothing
    assert_int_equal(handle(bytes_of("\xFF\xFF\xFF", 3), &error), ERR_INPUT);
    assert_int_equal(handle(bytes_of("\x7A\x00", 2), &error), ERR_INPUT);                 // a field of later programs
    assert_int_equal(handle(bytes_of("\x12\x00\x1A\x00", 4), &error), ERR_INPUT);         // two requests in one
    assert_int_equal(handle(bytes_of("\x12\x02\x08\x01", 4), &error), ERR_INPUT);         // a status with a field
    assert_int_equal(handle(bytes_of("\x0A\x02\xC3\x28\x12\x00", 6), &error), ERR_INPUT); // a language that is no text
    assert_int_equal(handle(bytes_of("\x22\x05\x0A\x03"
                                     "abc",
                                     7),
                            &error),
                     ERR_NOT_FOUND); // a record request of form abc
    assert_int_equal(handle(bytes_of("\x22\x04\x0A\x03"
                                     "abc",
                                     7),
                            &error),
                     ERR_INPUT); // its size is wrong
}

// Every prefix and every flipped bit of a good request: an answer, never a crash.
static void fault_44_damaged_requests_are_answered(void **context)
{
    (void)context;
    struct error error;
    struct buffer wire = {0};
    REQUEST(Figures, FIGURES, figures);
    char *indicators[] = {text_of("teams"), text_of("funds")};
    figures.indicators = indicators;
    figures.n_indicators = 2;
    figures.period = text_of("2024");
    request.language = text_of("zh");
    codec_pack(&request, &wire);
    for (size_t size = 0; size < wire.size; size++)
        handle(bytes_of(wire.data, size), &error);
    for (size_t bit = 0; bit < wire.size * 8; bit++) {
        wire.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        handle(buffer_bytes(&wire), &error);
        wire.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(handle(buffer_bytes(&wire), &error), ERR_REFUSED); // teams have months only
    buffer_finish(&wire);
}

static void over_a_limit(void **context)
{
    (void)context;
    struct error error;
    struct buffer wire = {0};
    enum { UNITS = 200001 };
    REQUEST(Invite, INVITE, invite);
    char **many = calloc(UNITS, sizeof *many);
    assert_non_null(many);
    for (size_t i = 0; i < UNITS; i++)
        many[i] = text_of("T1");
    invite.units = many;
    invite.n_units = UNITS;
    codec_pack(&request, &wire);
    assert_int_equal(handle(buffer_bytes(&wire), &error), ERR_LIMIT);
    free(many);
    buffer_clear(&wire);
    uint8_t *big = buffer_extend(&wire, (size_t)CONTROL_MESSAGE_MAX + 1);
    assert_non_null(big);
    memset(big, 0, (size_t)CONTROL_MESSAGE_MAX + 1);
    assert_int_equal(handle(buffer_bytes(&wire), &error), ERR_LIMIT);
    buffer_finish(&wire);
}

static void without_a_codebook(void **context)
{
    (void)context;
    struct error error = {0};
    char bare[160];
    station_close(station);
    stations_path(&stations, "bare", bare);
    assert_int_equal(station_create_root(bare, "C", stations.units, NULL, NULL, NULL, &error), OK);
    assert_int_equal(station_open(bare, &station, &error), OK);
    {
        REQUEST(Figures, FIGURES, figures);
        refused(&request, ERR_STATE, "no codebook", "没有生效的");
    }
    {
        REQUEST(Prove, PROVE, prove);
        refused(&request, ERR_STATE, "no codebook", "没有生效的");
    }
    {
        REQUEST(Record, RECORD, record);
        record.format = SANJI__INPUT_FORMAT__INPUT_JSON;
        record.data = data_of("[]");
        refused(&request, ERR_STATE, "codebook", "");
    }
    {
        REQUEST(Import, IMPORT, import);
        refused(&request, ERR_STATE, "codebook", "");
    }
    REQUEST(Status, STATUS, status);
    answered(&request, SANJI__REPLY__REPLY_STATUS);
    assert_string_equal(reply->status->codebook, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(status_and_units, setup, teardown),
        cmocka_unit_test_setup_teardown(records, setup, teardown),
        cmocka_unit_test_setup_teardown(records_that_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(imports_and_figures, setup, teardown),
        cmocka_unit_test_setup_teardown(figures_that_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_proof_holds, setup, teardown),
        cmocka_unit_test_setup_teardown(invitations, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_is_invited_to_an_address_that_cannot_be_called, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_runs_that_could_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(a_running_node_answers_and_stops, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_no_request_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(fault_44_damaged_requests_are_answered, setup, teardown),
        cmocka_unit_test_setup_teardown(over_a_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_codebook, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
