#include "node/cli/client.h"

#include <poll.h>
#include <unistd.h>

#include "node/cli/progress.h"
#include "node/control.h"
#include "node/service.h"
#include "relay/language.h"
#include "relay/limits.h"

enum {
    IDLE_MS = 10 * 60 * 1000, // without progress or answer: the largest import takes less
    STARTING_TRIES = 50,      // of 100 ms: a node that holds the directory but does not listen yet
    ELEMENTS_MAX = 64 * 1024 * 1024,
};

static const struct codec_limits reply_limits = {.bytes_max = CONTROL_MESSAGE_MAX, .elements_max = ELEMENTS_MAX, .empty_ok = true};

// Decodes one reply. A failure becomes this call's own error.
static enum error_code decode(struct bytes wire, struct client_answer *answer, struct error *error)
{
    void *message;
    enum error_code code = codec_unpack(&sanji__reply__descriptor, wire, &reply_limits, &answer->arena, &message, error);
    if (code != OK)
        return code == ERR_INPUT ? error_set(error, ERR_VERSION, "%s",
                                             tr("the node answers in a way that this program does not know", "节点的应答无法识别"))
                                 : code;
    answer->reply = message;
    if (answer->reply->reply_case != SANJI__REPLY__REPLY_FAILURE)
        return OK;
    const Sanji__Failure *failure = answer->reply->failure;
    return error_set(error, failure->code > OK && failure->code < ERROR_COUNT ? (enum error_code)failure->code : ERR_STATE, "%s",
                     failure->message);
}

static enum error_code receive_answer(int fd, struct client_answer *answer, struct error *error)
{
    struct progress progress = progress_begin();
    struct buffer wire = {0};
    enum error_code code;
    for (;;) {
        buffer_clear(&wire);
        arena_reset(&answer->arena);
        code = control_receive(fd, IDLE_MS, &wire, error);
        if (code == OK)
            code = decode(buffer_bytes(&wire), answer, error);
        if (code != OK || answer->reply->reply_case != SANJI__REPLY__REPLY_PROGRESS)
            break;
        progress_show(&progress, answer->reply->progress->done, answer->reply->progress->total);
    }
    progress_end(&progress);
    buffer_finish(&wire);
    return code;
}

static enum error_code ask_node(int fd, struct bytes request, struct client_answer *answer, struct error *error)
{
    enum error_code code = control_send(fd, request, IDLE_MS, error);
    if (code == OK || code == ERR_NETWORK) // a node that refuses says why, then closes
        code = receive_answer(fd, answer, error);
    close(fd);
    return code;
}

static enum error_code ask_directory(struct station *station, struct bytes request, struct client_answer *answer, struct error *error)
{
    struct progress progress = progress_begin();
    struct buffer wire = {0};
    enum error_code code = service_handle(station, request, progress_show, &progress, &wire, error);
    progress_end(&progress);
    if (code == OK && wire.failed)
        code = error_set(error, ERR_MEMORY, "%s", tr("no memory for the answer", "内存不足，无法保存应答"));
    if (code == OK)
        code = decode(buffer_bytes(&wire), answer, error);
    buffer_finish(&wire);
    return code;
}

// Without a node: what only reads can be had from a full disk, too.
static enum error_code open_directory(const char *dir, const Sanji__Request *request, struct station **ret, struct error *error)
{
    switch (request->request_case) {
    case SANJI__REQUEST__REQUEST_STATUS:
    case SANJI__REQUEST__REQUEST_UNITS:
    case SANJI__REQUEST__REQUEST_FIGURES:
    case SANJI__REQUEST__REQUEST_PROVE:
    case SANJI__REQUEST__REQUEST_RECEIPTS:
        return station_open_reading(dir, ret, error);
    default:
        return station_open(dir, ret, error);
    }
}

static enum error_code ask(const char *dir, bool running, const Sanji__Request *request, struct bytes wire, struct client_answer *answer,
                           struct error *error)
{
    for (int tries = 0;; tries++) {
        int fd;
        enum error_code code = control_connect(dir, &fd, error);
        if (code == OK)
            return ask_node(fd, wire, answer, error);
        if (code != ERR_NOT_FOUND && code != ERR_BUSY)
            return code;
        if (running)
            return error_set(error, ERR_STATE, tr("no node runs in %s", "%s 中没有正在运行的节点"), dir);
        struct station *station;
        code = open_directory(dir, request, &station, error);
        if (code == OK) {
            code = ask_directory(station, wire, answer, error);
            station_close(station);
            return code;
        }
        if (code != ERR_BUSY || tries == STARTING_TRIES)
            return code;
        poll(NULL, 0, 100); // it starts, or another command is at work
    }
}

static enum error_code call(const char *dir, bool running, Sanji__Request *request, Sanji__Reply__ReplyCase wanted,
                            struct client_answer *ret, struct error *error)
{
    static char languages[][3] = {[LANGUAGE_EN] = "en", [LANGUAGE_ZH] = "zh"};
    request->language = languages[language_get()];
    struct buffer wire = {0};
    struct client_answer answer = {.arena.limit = (size_t)1 << 30}; // a message of 64 MiB unpacks to some times its size
    codec_pack(request, &wire);
    enum error_code code = wire.failed ? error_set(error, ERR_MEMORY, "%s", tr("no memory for the request", "内存不足，无法构造请求")) : OK;
    if (code == OK)
        code = ask(dir, running, request, buffer_bytes(&wire), &answer, error);
    if (code == OK && answer.reply->reply_case != wanted)
        code = error_set(error, ERR_VERSION, "%s", tr("the node answers in a way that this program does not know", "节点的应答无法识别"));
    buffer_finish(&wire);
    if (code != OK) {
        client_finish(&answer);
        return code;
    }
    *ret = answer;
    return OK;
}

enum error_code client_call(const char *dir, Sanji__Request *request, Sanji__Reply__ReplyCase wanted, struct client_answer *ret,
                            struct error *error)
{
    return call(dir, false, request, wanted, ret, error);
}

enum error_code client_call_running(const char *dir, Sanji__Request *request, Sanji__Reply__ReplyCase wanted, struct client_answer *ret,
                                    struct error *error)
{
    return call(dir, true, request, wanted, ret, error);
}

void client_finish(struct client_answer *answer)
{
    arena_finish(&answer->arena);
    *answer = (struct client_answer){0};
}
