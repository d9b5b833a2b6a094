// transport_ask(): the joiner's side, which needs no transport.
#include "relay/endpoint.h"
#include "relay/language.h"
#include "relay/transport.h"
#include "relay/zeromq.h"

#include <poll.h>
#include <time.h>

enum {
    RETRY_MS = 200, // after the first connection that broke; doubles
    RETRY_MAX_MS = 2000,
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static enum error_code code_of(enum zeromq_attempt attempt)
{
    switch (attempt) {
    case ZEROMQ_REFUSED:
        return ERR_REFUSED;
    case ZEROMQ_ABSENT:
        return ERR_NETWORK;
    case ZEROMQ_BROKEN:
        return ERR_BUSY;
    default:
        return OK;
    }
}

// One connection, one question. ERR_BUSY: it broke, try another; ERR_TIMEOUT: no answer until `end`.
static enum error_code ask_once(void *socket, void *watch, struct bytes request, uint64_t end, struct zeromq_message *answer)
{
    void *sockets[] = {watch, socket};
    bool connected = false;
    for (uint64_t now; (now = now_ms()) < end;) {
        enum zeromq_taken taken = connected ? zeromq_take_client(socket, answer) : ZEROMQ_NOTHING;
        if (taken == ZEROMQ_MESSAGE)
            return OK;
        enum zeromq_attempt attempt = zeromq_attempt(watch, NULL);
        enum error_code code = code_of(attempt);
        if (attempt == ZEROMQ_CONNECTED) {
            connected = true;
            code = zeromq_send(socket, NULL, request, bytes_of(NULL, 0), MESSAGE_MAX);
        }
        if (code != OK)
            return code == ERR_NETWORK && connected ? ERR_BUSY : code;
        if (attempt == ZEROMQ_IDLE && taken == ZEROMQ_NOTHING)
            zeromq_poll(sockets, connected ? 2 : 1, -1, (long)(end - now));
    }
    return ERR_TIMEOUT;
}

static enum error_code explain(enum error_code code, const char *endpoint, struct error *error)
{
    switch (code) {
    case ERR_REFUSED:
        return error_set(error, code, tr("%s: it turned this key away: not a join endpoint", "%s：对方拒绝了此密钥：不是加入端点"),
                         endpoint);
    case ERR_NETWORK:
        return error_set(error, code, tr("%s: nobody answers at this address", "%s：该地址无人应答"), endpoint);
    case ERR_BUSY:
        return error_set(
            error, ERR_NETWORK,
            tr("%s: the connection breaks: not the key in the token, or it is too busy", "%s：连接中断：与令牌中的密钥不符，或对方繁忙"),
            endpoint);
    case ERR_LIMIT:
        return error_set(error, code, tr("%s: the request is over %d bytes", "%s：请求超过 %d 字节"), endpoint, MESSAGE_MAX);
    default:
        return error_set(error, code, "%s", endpoint);
    }
}

enum error_code transport_ask(const char *endpoint, const struct public_key *server, const struct public_key *own_public,
                              const struct secret_key *own_secret, struct bytes request, int timeout_ms, struct buffer *ret,
                              struct error *error)
{
    struct endpoint parsed;
    enum error_code code = endpoint_parse_dial(endpoint, &parsed, error);
    if (code != OK)
        return code;
    void *context = zeromq_context();
    if (!context)
        return zeromq_error(error);
    uint64_t end = now_ms() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0);
    bool made = true;
    struct zeromq_message answer;
    zeromq_message_init(&answer);
    for (int pause = RETRY_MS;; pause = 2 * pause < RETRY_MAX_MS ? 2 * pause : RETRY_MAX_MS) {
        void *watch, *socket = zeromq_client(context, endpoint, parsed.kind == ENDPOINT_IPV6, server, own_public, own_secret,
                                             TRANSPORT_ANSWER_MAX, &watch);
        made = socket != NULL;
        code = made ? ask_once(socket, watch, request, end, &answer) : zeromq_error(error);
        zeromq_close(&socket, &watch);
        if (code != ERR_BUSY || now_ms() + (uint64_t)pause >= end)
            break;
        poll(NULL, 0, pause);
    }
    if (code == OK) {
        struct bytes part = zeromq_part(&answer, 0);
        buffer_append(ret, part.data, part.size);
        code = ret->failed ? ERR_MEMORY : OK;
    }
    zeromq_message_finish(&answer);
    zeromq_context_end(context);
    return code == OK || !made ? code : explain(code, endpoint, error);
}
