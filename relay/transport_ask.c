// transport_ask(): the joiner's side, which needs no transport.
#include "relay/endpoint.h"
#include "relay/language.h"
#include "relay/transport.h"
#include "relay/zeromq.h"

#include <fcntl.h>
#include <linux/tcp.h> // glibc's own struct tcp_info ends before tcpi_bytes_received
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    RETRY_MS = 200, // after the first connection that broke; doubles
    RETRY_MAX_MS = 2000,
    GREETING_SIZE = 64, // bytes (ZMTP 3.0, RFC 23)
    STRANGERS_MAX = 3,  // connections in a row that ended as they do with another key: one may have been a busy one's
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

// Whether the other end greeted and then hung up on our first word, which only the key in the token opens: that is how the wrong one ends.
// A busy one hangs up before its greeting, or after its second word. `fd`: a duplicate, as ZeroMQ has closed its own; -1: unknown.
static bool hung_up_on_hello(int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    return fd >= 0 && getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           size >= offsetof(struct tcp_info, tcpi_bytes_received) + 8 &&
           (info.tcpi_bytes_received == GREETING_SIZE || info.tcpi_bytes_received == GREETING_SIZE + 1); // its end counts as one
}

// One connection, one question. ERR_FORGED: ended as with a wrong key; ERR_BUSY: it broke, try another; ERR_TIMEOUT: no answer until `end`.
static enum error_code ask_once(void *socket, void *watch, struct bytes request, uint64_t end, struct zeromq_message *answer)
{
    void *sockets[] = {watch, socket};
    bool connected = false, answered = false;
    int fd = -1, own = -1;
    enum error_code code = OK;
    for (uint64_t now; code == OK && (now = now_ms()) < end;) {
        enum zeromq_taken taken = connected ? zeromq_take_client(socket, answer) : ZEROMQ_NOTHING;
        answered = taken == ZEROMQ_MESSAGE && !answer->coded;
        if (answered)
            break;
        enum zeromq_attempt attempt = zeromq_attempt(watch, &fd);
        if (own < 0 && fd >= 0)
            own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
        code = code_of(attempt);
        if (attempt == ZEROMQ_CONNECTED) {
            connected = true;
            code = zeromq_send(socket, NULL, request, false, bytes_of(NULL, 0), MESSAGE_MAX);
        }
        if (code == ERR_NETWORK && connected)
            code = ERR_BUSY;
        if (code == OK && attempt == ZEROMQ_IDLE && taken == ZEROMQ_NOTHING)
            zeromq_poll(sockets, connected ? 2 : 1, -1, (long)(end - now));
    }
    if (code == ERR_BUSY && hung_up_on_hello(own))
        code = ERR_FORGED;
    if (own >= 0)
        close(own);
    return code == OK && !answered ? ERR_TIMEOUT : code;
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
    case ERR_FORGED: // not a word of the parent: to a joiner it is as if nobody were there, and its keys stay good
        return error_set(error, ERR_NETWORK, tr("%s: who listens there does not have the key in the token", "%s：监听方没有令牌中的密钥"),
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
    int strangers = 0;
    struct zeromq_message answer;
    zeromq_message_init(&answer);
    for (int pause = RETRY_MS;; pause = 2 * pause < RETRY_MAX_MS ? 2 * pause : RETRY_MAX_MS) {
        void *watch, *socket = zeromq_client(context, endpoint, parsed.kind == ENDPOINT_IPV6, server, own_public, own_secret,
                                             TRANSPORT_ANSWER_MAX, &watch);
        made = socket != NULL;
        code = made ? ask_once(socket, watch, request, end, &answer) : zeromq_error(error);
        zeromq_close(&socket, &watch);
        strangers = code == ERR_FORGED ? strangers + 1 : 0;
        bool again = code == ERR_BUSY || (code == ERR_FORGED && strangers < STRANGERS_MAX);
        if (!again || now_ms() + (uint64_t)pause >= end)
            break;
        poll(NULL, 0, pause);
    }
    if (code == OK) {
        buffer_append(ret, answer.message.data, answer.message.size);
        code = ret->failed ? ERR_MEMORY : OK;
    }
    zeromq_message_finish(&answer);
    zeromq_context_end(context);
    return code == OK || !made ? code : explain(code, endpoint, error);
}
