// The client between a socket and a directory. The station behind both is this file's own: it answers a stop with a stop, a status with
// progress first, and everything else with a failure.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/cli/client.h"
#include "node/control.h"
#include "node/service.h"
#include "relay/language.h"

struct station {
    int opened;
    bool writing; // how it was opened last
};
static struct station only;
static int busy; // how many more times the directory is in use

static void put(const Sanji__Reply *reply, void (*send)(void *, struct bytes), void *context)
{
    struct buffer wire = {0};
    codec_pack(reply, &wire);
    send(context, buffer_bytes(&wire));
    buffer_finish(&wire);
}

static void answer(struct bytes wire, void (*send)(void *, struct bytes), void *context)
{
    struct arena arena = {0};
    void *message;
    struct codec_limits limits = {.bytes_max = 4096, .elements_max = 100, .empty_ok = true};
    assert_int_equal(codec_unpack(&sanji__request__descriptor, wire, &limits, &arena, &message, NULL), OK);
    const Sanji__Request *request = message;
    Sanji__Reply reply = SANJI__REPLY__INIT;
    Sanji__StopReply stop = SANJI__STOP_REPLY__INIT;
    Sanji__StatusReply status = SANJI__STATUS_REPLY__INIT;
    Sanji__Failure failure = SANJI__FAILURE__INIT;
    Sanji__Progress progress = SANJI__PROGRESS__INIT;
    if (request->request_case == SANJI__REQUEST__REQUEST_STOP) {
        reply.reply_case = SANJI__REPLY__REPLY_STOP;
        reply.stop = &stop;
    } else if (request->request_case == SANJI__REQUEST__REQUEST_STATUS) {
        for (int i = 1; i < 4; i++) {
            progress.done = (uint64_t)i;
            progress.total = 4;
            reply.reply_case = SANJI__REPLY__REPLY_PROGRESS;
            reply.progress = &progress;
            put(&reply, send, context);
        }
        status.unit = request->language;
        reply.reply_case = SANJI__REPLY__REPLY_STATUS;
        reply.status = &status;
    } else {
        failure.code = ERR_REFUSED;
        failure.message = (char *)(uintptr_t) "not these";
        reply.reply_case = SANJI__REPLY__REPLY_FAILURE;
        reply.failure = &failure;
    }
    put(&reply, send, context);
    arena_finish(&arena);
}

static void to_socket(void *context, struct bytes wire) { control_answer(context, wire); }
static void to_buffer(void *context, struct bytes wire)
{
    buffer_clear(context); // in a process progress is a call, so only the last counts
    buffer_append(context, wire.data, wire.size);
}

static void on_request(void *context, struct bytes request, struct control_reply *reply)
{
    (void)context;
    answer(request, to_socket, reply);
}

enum error_code service_handle(struct station *station, struct bytes wire, void (*progress)(void *context, uint64_t done, uint64_t total),
                               void *context, struct buffer *ret, struct error *error)
{
    (void)error;
    assert_ptr_equal(station, &only);
    progress(context, 1, 2);
    answer(wire, to_buffer, ret);
    return OK;
}

enum error_code station_open(const char *directory, struct station **ret, struct error *error)
{
    if (access(directory, F_OK) != 0)
        return error_set(error, ERR_NOT_FOUND, "%s: no station", directory);
    if (busy > 0) {
        busy--;
        return error_set(error, ERR_BUSY, "%s", directory);
    }
    only.opened++;
    only.writing = true;
    *ret = &only;
    return OK;
}

enum error_code station_open_reading(const char *directory, struct station **ret, struct error *error)
{
    enum error_code code = station_open(directory, ret, error);
    only.writing = false;
    return code;
}

void station_close(struct station *station) { station->opened--; }

static void make_dir(char dir[512])
{
    const char *base = getenv("TMPDIR");
    snprintf(dir, 512, "%.400s/sanji-client-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(dir));
}

static void check_answers(const char *dir)
{
    Sanji__Request request = SANJI__REQUEST__INIT;
    Sanji__StatusRequest status = SANJI__STATUS_REQUEST__INIT;
    Sanji__UnitsRequest units = SANJI__UNITS_REQUEST__INIT;
    struct client_answer got = {0};
    struct error error = {0};
    request.request_case = SANJI__REQUEST__REQUEST_STATUS;
    request.status = &status;
    language_set(LANGUAGE_ZH);
    assert_int_equal(client_call(dir, &request, SANJI__REPLY__REPLY_STATUS, &got, &error), OK);
    language_set(LANGUAGE_EN);
    assert_string_equal(got.reply->status->unit, "zh"); // the language went along
    client_finish(&got);
    assert_int_equal(client_call(dir, &request, SANJI__REPLY__REPLY_UNITS, &got, &error), ERR_VERSION); // another answer than asked for
    assert_null(got.reply);
    request.request_case = SANJI__REQUEST__REQUEST_UNITS;
    request.units = &units;
    assert_int_equal(client_call(dir, &request, SANJI__REPLY__REPLY_UNITS, &got, &error), ERR_REFUSED);
    assert_string_equal(error.detail, "not these");
    assert_int_equal(only.opened, 0);
}

static void with_a_node(void **state)
{
    (void)state;
    char dir[512];
    struct control *control;
    make_dir(dir);
    struct control_config config = {.dir = dir, .handle = on_request};
    assert_int_equal(control_start(&config, &control, NULL), OK);
    check_answers(dir);
    control_stop(control);
    assert_int_equal(rmdir(dir), 0);
}

static void without_a_node(void **state)
{
    (void)state;
    char dir[512];
    make_dir(dir);
    check_answers(dir);
    busy = 1; // another command is at work: it is waited for
    check_answers(dir);
    Sanji__Request request = SANJI__REQUEST__INIT;
    Sanji__StopRequest stop = SANJI__STOP_REQUEST__INIT;
    struct client_answer got;
    struct error error;
    request.request_case = SANJI__REQUEST__REQUEST_STOP;
    request.stop = &stop;
    assert_int_equal(client_call_running(dir, &request, SANJI__REPLY__REPLY_STOP, &got, &error), ERR_STATE);
    assert_int_equal(client_call("/nonexistent/sanji", &request, SANJI__REPLY__REPLY_STOP, &got, &error), ERR_NOT_FOUND);
    assert_int_equal(rmdir(dir), 0);
}

// What only reads needs no room on the disk.
static void fault_07_readers_open_it_for_reading(void **context)
{
    (void)context;
    Sanji__StatusRequest status = SANJI__STATUS_REQUEST__INIT;
    Sanji__UnitsRequest units = SANJI__UNITS_REQUEST__INIT;
    Sanji__FiguresRequest figures = SANJI__FIGURES_REQUEST__INIT;
    Sanji__ProveRequest prove = SANJI__PROVE_REQUEST__INIT;
    Sanji__ReceiptsRequest receipts = SANJI__RECEIPTS_REQUEST__INIT;
    Sanji__RecordRequest record = SANJI__RECORD_REQUEST__INIT;
    Sanji__InviteRequest invite = SANJI__INVITE_REQUEST__INIT;
    const struct {
        Sanji__Request request;
        bool writes;
    } uses[] = {
        {{.request_case = SANJI__REQUEST__REQUEST_STATUS, .status = &status}, false},
        {{.request_case = SANJI__REQUEST__REQUEST_UNITS, .units = &units}, false},
        {{.request_case = SANJI__REQUEST__REQUEST_FIGURES, .figures = &figures}, false},
        {{.request_case = SANJI__REQUEST__REQUEST_PROVE, .prove = &prove}, false},
        {{.request_case = SANJI__REQUEST__REQUEST_RECEIPTS, .receipts = &receipts}, false},
        {{.request_case = SANJI__REQUEST__REQUEST_RECORD, .record = &record}, true},
        {{.request_case = SANJI__REQUEST__REQUEST_INVITE, .invite = &invite}, true},
    };
    char dir[512];
    make_dir(dir);
    for (size_t i = 0; i < sizeof uses / sizeof *uses; i++) {
        struct client_answer got = {0};
        Sanji__Request request = SANJI__REQUEST__INIT, use = uses[i].request;
        use.base = request.base;
        only.writing = !uses[i].writes;
        if (client_call(dir, &use, SANJI__REPLY__REPLY_STATUS, &got, NULL) == OK)
            client_finish(&got);
        assert_int_equal(only.writing, uses[i].writes);
        assert_int_equal(only.opened, 0);
    }
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(with_a_node), cmocka_unit_test(without_a_node),
                                       cmocka_unit_test(fault_07_readers_open_it_for_reading)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
