#include "node/service.h"

#include <stdio.h>
#include <stdlib.h>

#include "control.pb-c.h"
#include "node/figures.h"
#include "node/import.h"
#include "node/overview.h"
#include "node/proof.h"
#include "node/receipts.h"
#include "node/records.h"
#include "node/recover.h"
#include "node/statement.h"
#include "record.pb-c.h"
#include "relay/endpoint.h"
#include "relay/language.h"

enum {
    REQUEST_ELEMENTS_MAX = 200000, // fields of a request: an invitation to every village of a prefecture
    INVITE_MAX = 5000,             // units in one request
    TTL_MAX_DAYS = 90,             // a token that lies about is a key that lies about
};
static const uint64_t day_ms = 24ull * 3600 * 1000;

// One request being answered.
struct answering {
    struct station *station;
    struct arena *arena;
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;
    struct buffer *out;
};

static void reply(struct answering *answering, Sanji__Reply *message) { codec_pack(message, answering->out); }

static ProtobufCBinaryData binary(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)(uintptr_t)data};
}

static const char *text_or_null(const char *text) { return text && *text ? text : NULL; }

// ---- record

struct record_work {
    struct record_input input;
    struct record_result *results;
    size_t count, capacity;
    bool failed;
};

static void add_result(void *context, const struct record_result *result)
{
    struct record_work *work = context;
    if (work->count == work->capacity) {
        size_t capacity = work->capacity ? 2 * work->capacity : 64;
        struct record_result *grown = realloc(work->results, capacity * sizeof *grown);
        if (!grown) {
            work->failed = true;
            return;
        }
        work->results = grown;
        work->capacity = capacity;
    }
    work->results[work->count++] = *result;
}

static enum error_code run_record(void *argument, struct desk *desk, struct error *error)
{
    struct record_work *work = argument;
    work->count = 0;
    return records_submit(desk, &work->input, add_result, work, error);
}

static void reply_records(struct answering *answering, const Sanji__RecordRequest *request, struct record_work *work)
{
    static const uint8_t nobody[SUBJECT_ID_SIZE];
    Sanji__Reply message = SANJI__REPLY__INIT;
    Sanji__RecordReply records = SANJI__RECORD_REPLY__INIT;
    Sanji__RecordResult *rows = arena_alloc(answering->arena, (work->count + 1) * sizeof *rows);
    Sanji__RecordResult **pointers = arena_alloc(answering->arena, (work->count + 1) * sizeof *pointers);
    work->failed = work->failed || !rows || !pointers;
    for (size_t i = 0; !work->failed && i < work->count; i++) {
        sanji__record_result__init(&rows[i]);
        if (!request->check_only)
            rows[i].record = binary(work->results[i].record, RECORD_ID_SIZE);
        rows[i].revision = work->results[i].revision;
        if (memcmp(work->results[i].subject, nobody, SUBJECT_ID_SIZE) != 0)
            rows[i].subject = binary(work->results[i].subject, SUBJECT_ID_SIZE);
        pointers[i] = &rows[i];
        records.n_records = i + 1;
    }
    records.records = pointers;
    message.reply_case = SANJI__REPLY__REPLY_RECORD;
    message.record = &records;
    if (!work->failed)
        reply(answering, &message);
}

// ERR_STATE, not ERR_MEMORY: who tries again records twice.
static enum error_code kept_without_answer(struct error *error)
{
    return error_set(
        error, ERR_STATE, "%s",
        tr("all was stored, but there was no memory for the answer: do not send it again", "均已保存，但内存不足，无法应答：请勿重新提交"));
}

static enum error_code answer_record(struct answering *answering, const Sanji__RecordRequest *request, struct error *error)
{
    struct record_work work = {.input = {.form = request->form,
                                         .csv = request->format == SANJI__INPUT_FORMAT__INPUT_CSV,
                                         .data = bytes_of(request->data.data, request->data.len),
                                         .source = text_or_null(request->source),
                                         .unit = text_or_null(request->unit),
                                         .person = text_or_null(request->person),
                                         .post = text_or_null(request->post),
                                         .check_only = request->check_only}};
    enum error_code code = station_write(answering->station, run_record, &work, error);
    if (code == OK)
        reply_records(answering, request, &work);
    if (code == OK && work.failed)
        code = kept_without_answer(error);
    free(work.results);
    return code;
}

// ---- import

struct import_work {
    const Sanji__ImportRequest *request;
    uint64_t values, unchanged;
};

static enum error_code run_import(void *argument, struct desk *desk, struct error *error)
{
    struct import_work *work = argument;
    const Sanji__ImportRequest *request = work->request;
    work->values = work->unchanged = 0;
    return import_submit(desk, request->format == SANJI__INPUT_FORMAT__INPUT_CSV, bytes_of(request->data.data, request->data.len),
                         request->source, request->check_only, &work->values, &work->unchanged, error);
}

static enum error_code answer_import(struct answering *answering, const Sanji__ImportRequest *request, struct error *error)
{
    struct import_work work = {.request = request};
    enum error_code code = station_write(answering->station, run_import, &work, error);
    if (code != OK)
        return code;
    Sanji__Reply message = SANJI__REPLY__INIT;
    Sanji__ImportReply import = SANJI__IMPORT_REPLY__INIT;
    import.values = work.values;
    import.unchanged = work.unchanged;
    message.reply_case = SANJI__REPLY__REPLY_IMPORT;
    message.import = &import;
    reply(answering, &message);
    return OK;
}

// ---- figures and their proof

static struct figures_view view_of(struct answering *answering, struct txn *txn, const struct documents *documents)
{
    (void)answering;
    return (struct figures_view){.txn = txn,
                                 .codebook = documents->codebook,
                                 .units = documents->units,
                                 .unit = documents->unit,
                                 .now_ms = utc_ms(),
                                 .unit_ids = documents->unit_ids};
}

static enum error_code no_codebook(struct error *error)
{
    return error_set(error, ERR_STATE, "%s", tr("no codebook is in force here", "此处没有生效的编码本"));
}

static enum error_code answer_figures(struct answering *answering, const Sanji__FiguresRequest *request, struct error *error)
{
    struct documents *documents = station_documents(answering->station);
    struct txn *txn = txn_begin(station_store(answering->station), false, error);
    enum error_code code = !txn ? error->code : !documents->codebook ? no_codebook(error) : OK;
    if (code == OK) {
        struct figures_view view = view_of(answering, txn, documents);
        code = figures_answer(&view, request, answering->out, error);
    }
    txn_abort(txn);
    station_release(answering->station, documents);
    return code;
}

static enum error_code answer_prove(struct answering *answering, const Sanji__ProveRequest *request, struct error *error)
{
    struct documents *documents = station_documents(answering->station);
    struct txn *txn = txn_begin(station_store(answering->station), false, error);
    enum error_code code = !txn ? error->code : !documents->codebook ? no_codebook(error) : OK;
    struct buffer proof = {0};
    struct proof_made made = {0};
    if (code == OK && !request->figure)
        code = error_set(error, ERR_INPUT, "%s", tr("the request names no figure", "请求未指明指标"));
    if (code == OK) {
        struct figures_view view = view_of(answering, txn, documents);
        code = proof_make(&view, request->figure, answering->progress, answering->progress_context, &proof, &made, error);
    }
    txn_abort(txn);
    station_release(answering->station, documents);
    if (code == OK) {
        Sanji__Reply message = SANJI__REPLY__INIT;
        Sanji__ProveReply prove = SANJI__PROVE_REPLY__INIT;
        prove.proof = binary(proof.data, proof.size);
        prove.value = made.value;
        prove.statements = made.statements;
        prove.units = made.units;
        message.reply_case = SANJI__REPLY__REPLY_PROVE;
        message.prove = &prove;
        reply(answering, &message);
    }
    buffer_finish(&proof);
    return code;
}

// ---- invitations

struct invite_work {
    const Sanji__InviteRequest *request;
    struct host host;
    uint64_t expires_ms;
    char (*tokens)[TOKEN_TEXT_MAX]; // one for each unit, as are the next two
    Sanji__Invitation *rows, **pointers;
};

static enum error_code invite_one(const struct invite_work *work, struct desk *desk, const char *code_text, char token_text[TOKEN_TEXT_MAX],
                                  struct error *error)
{
    int32_t at = units_find(desk->units, code_text);
    if (at == UNIT_NONE)
        return error_set(error, ERR_NOT_FOUND, tr("no unit with the code %s", "没有代码为 %s 的单位"), code_text);
    if (at == desk->unit || !units_within(desk->units, at, desk->unit))
        return error_set(error, ERR_REFUSED, tr("unit %s is not below this station's", "单位 %s 不在本站点之下"), code_text);
    if (!desk_speaks_for(desk, at))
        return error_set(
            error, ERR_REFUSED,
            tr("unit %s has a station already, or lies below one that must invite it", "单位 %s 已有站点，或应由其上级站点邀请"),
            code_text);
    const struct unit *unit = &desk->units->items[at];
    struct invited_unit invited = {.from = unit->from, .depth = unit->depth};
    snprintf(invited.code, sizeof invited.code, "%s", unit->code);
    snprintf(invited.tier, sizeof invited.tier, "%s", desk->units->tiers[unit->tier]);
    struct join_token token;
    invite(desk->txn, &work->host, &invited, work->request->from_period, work->expires_ms, desk->now_ms, &token);
    enum error_code code = token_format(&token, token_text, error);
    crypto_wipe(&token, sizeof token);
    return code;
}

static enum error_code run_invite(void *argument, struct desk *desk, struct error *error)
{
    struct invite_work *work = argument;
    enum error_code code = OK;
    for (size_t i = 0; code == OK && i < work->request->n_units; i++)
        code = invite_one(work, desk, work->request->units[i], work->tokens[i], error);
    return code;
}

static bool can_be_called(const char *address)
{
    struct endpoint endpoint;
    return endpoint_parse_dial(address, &endpoint, NULL) == OK && strcmp(endpoint.host, "0.0.0.0") != 0 && strcmp(endpoint.host, "::") != 0;
}

static enum error_code check_invite(const struct invite_work *work, struct error *error)
{
    const Sanji__InviteRequest *request = work->request;
    if (request->n_units == 0 || request->n_units > INVITE_MAX)
        return error_set(error, ERR_LIMIT, tr("between 1 and %d units at once", "一次 1 至 %d 个单位"), INVITE_MAX);
    if (request->ttl_ms == 0 || request->ttl_ms > TTL_MAX_DAYS * day_ms)
        return error_set(error, ERR_INPUT, tr("a token lives for up to %d days", "令牌有效期最长 %d 天"), TTL_MAX_DAYS);
    if (request->from_period != 0 && !period_in_range((struct period){SANJI__PERIOD_TYPE__MONTH, request->from_period}))
        return error_set(error, ERR_INPUT, "%s",
                         tr("the first month must lie between 1900 and 2199", "起始月份应在 1900 年至 2199 年之间"));
    const char *addresses[] = {work->host.link, work->host.join};
    for (size_t i = 0; i < 2; i++)
        if (!can_be_called(addresses[i]))
            return error_set(
                error, ERR_STATE,
                tr("children can't call %s: give 'listen' and 'join' in station.conf the address or name by which they reach "
                   "this computer, and start the node again",
                   "下级无法连接 %s：请在 station.conf 的 'listen' 与 'join' 中写明下级可用的本机地址或名称，然后重新启动节点"),
                addresses[i]);
    return OK;
}

static void reply_invited(struct answering *answering, const struct invite_work *work)
{
    const Sanji__InviteRequest *request = work->request;
    Sanji__Reply message = SANJI__REPLY__INIT;
    Sanji__InviteReply invite = SANJI__INVITE_REPLY__INIT;
    for (size_t i = 0; i < request->n_units; i++) {
        sanji__invitation__init(&work->rows[i]);
        work->rows[i].unit = request->units[i];
        work->rows[i].token = work->tokens[i];
        work->rows[i].expires_ms = work->expires_ms;
        work->pointers[i] = &work->rows[i];
    }
    invite.n_invitations = request->n_units;
    invite.invitations = work->pointers;
    message.reply_case = SANJI__REPLY__REPLY_INVITE;
    message.invite = &invite;
    reply(answering, &message);
}

static enum error_code answer_invite(struct answering *answering, const Sanji__InviteRequest *request, struct error *error)
{
    struct invite_work work = {.request = request, .expires_ms = utc_ms() + request->ttl_ms};
    enum error_code code = station_host(answering->station, &work.host, error);
    if (code == OK)
        code = check_invite(&work, error);
    if (code != OK)
        return code;
    work.tokens = calloc(request->n_units, sizeof *work.tokens);
    work.rows = arena_alloc(answering->arena, request->n_units * sizeof *work.rows);
    work.pointers = arena_alloc(answering->arena, request->n_units * sizeof *work.pointers);
    if (work.tokens && work.rows && work.pointers)
        code = station_write(answering->station, run_invite, &work, error);
    else
        code = error_set(error, ERR_MEMORY, "invite");
    if (code == OK)
        reply_invited(answering, &work);
    if (work.tokens)
        crypto_wipe(work.tokens, request->n_units * sizeof *work.tokens);
    free(work.tokens);
    return code;
}

static enum error_code answer_stop(struct answering *answering, struct error *error)
{
    struct engine *engine = station_engine(answering->station);
    if (!engine)
        return error_set(error, ERR_STATE, "%s", tr("no node runs here", "此处没有运行中的节点"));
    engine_stop(engine);
    Sanji__Reply message = SANJI__REPLY__INIT;
    Sanji__StopReply stop = SANJI__STOP_REPLY__INIT;
    message.reply_case = SANJI__REPLY__REPLY_STOP;
    message.stop = &stop;
    reply(answering, &message);
    return OK;
}

// ---- dispatch

static enum error_code answer(struct answering *answering, const Sanji__Request *request, struct error *error)
{
    switch (request->request_case) {
    case SANJI__REQUEST__REQUEST_STATUS:
        return overview_status(answering->station, answering->out, error);
    case SANJI__REQUEST__REQUEST_UNITS:
        return overview_units(answering->station, request->units->below, answering->out, error);
    case SANJI__REQUEST__REQUEST_RECORD:
        return answer_record(answering, request->record, error);
    case SANJI__REQUEST__REQUEST_IMPORT:
        return answer_import(answering, request->import, error);
    case SANJI__REQUEST__REQUEST_FIGURES:
        return answer_figures(answering, request->figures, error);
    case SANJI__REQUEST__REQUEST_PROVE:
        return answer_prove(answering, request->prove, error);
    case SANJI__REQUEST__REQUEST_INVITE:
        return answer_invite(answering, request->invite, error);
    case SANJI__REQUEST__REQUEST_RECOVER:
        return recover_answer(answering->station, request->recover->open, answering->out, error);
    case SANJI__REQUEST__REQUEST_STOP:
        return answer_stop(answering, error);
    case SANJI__REQUEST__REQUEST_RECEIPTS:
        return receipts_list(answering->station, request->receipts->waiting, answering->out, error);
    default:
        return error_set(error, ERR_VERSION, "%s", tr("a request that this node does not know", "此节点不认识的请求"));
    }
}

static bool changes(const Sanji__Request *request)
{
    return (request->request_case == SANJI__REQUEST__REQUEST_RECORD && !request->record->check_only) ||
           (request->request_case == SANJI__REQUEST__REQUEST_IMPORT && !request->import->check_only);
}

enum error_code service_handle(struct station *station, struct bytes wire, void (*progress)(void *context, uint64_t done, uint64_t total),
                               void *context, struct buffer *ret, struct error *error)
{
    static const struct codec_limits limits = {.bytes_max = CONTROL_MESSAGE_MAX, .elements_max = REQUEST_ELEMENTS_MAX, .empty_ok = true};
    struct arena arena = {.limit = 2 * (size_t)CONTROL_MESSAGE_MAX};
    struct error local = {0};
    void *request;
    size_t before = ret->size;
    enum error_code code = codec_unpack(&sanji__request__descriptor, wire, &limits, &arena, &request, &local);
    if (code == OK) {
        struct answering answering = {station, &arena, progress, context, ret};
        language_set(language_parse(((Sanji__Request *)request)->language));
        code = answer(&answering, request, &local);
    }
    if (code == OK && ret->failed)
        code = changes(request) ? kept_without_answer(&local)
                                : error_set(&local, ERR_MEMORY, "%s", tr("no memory for the answer", "内存不足，无法保存应答"));
    if (code != OK) {
        Sanji__Reply message = SANJI__REPLY__INIT;
        Sanji__Failure failure = SANJI__FAILURE__INIT;
        ret->size = before;
        failure.code = code;
        failure.message = local.detail;
        message.reply_case = SANJI__REPLY__REPLY_FAILURE;
        message.failure = &failure;
        codec_pack(&message, ret);
        if (error)
            *error = local;
    }
    arena_finish(&arena);
    return code;
}
