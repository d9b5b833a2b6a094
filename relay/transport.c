#include "relay/transport_inside.h"

#include "relay/language.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    SELF_TEST_MS = ZEROMQ_HANDSHAKE_MS + 1000, // so that the handshake's own verdict comes first
    TURN = 128,                                // messages taken from one socket while others wait: about 0.2 ms
};

// ---- what arrives ----------------------------------------------------------------------------------------------------------------

// The message taken last, whole; it is kept. False: it is a difference from one that never came, or from one of another connection.
static bool whole(struct transport *transport, struct repeats *in, struct bytes *ret)
{
    struct zeromq_message *message = &transport->message;
    size_t size;
    *ret = message->message;
    if (message->coded && !repeats_read(in, message->message, transport->plain, &size))
        return false;
    if (message->coded)
        *ret = bytes_of(transport->plain, size);
    repeats_keep(in, *ret);
    return true;
}

// The line of a child's message. A new one asks the watch first: what an older connection with its descriptor said must be forgotten.
static struct line *line_of(struct transport *transport, uint32_t id, int fd)
{
    struct line *line = lines_find(&transport->lines, id);
    if (line)
        return line;
    while (transport_serve_watch(transport, SOURCE_LINK_WATCH) != SERVED_NOTHING)
        continue;
    return lines_add(&transport->lines, id, fd);
}

// After a message that can't be had whole nothing more is taken from its connection: its station finds that nobody answers, dials again,
// and begins anew. It can't be ended from here: it may be gone, and another have its descriptor.
static bool whole_of_child(struct transport *transport, uint32_t id, struct bytes *ret)
{
    int fd = zeromq_fd(&transport->message);
    struct line *line = line_of(transport, id, fd);
    if (!line || line->broken)
        return false;
    line->broken = !whole(transport, &line->in, ret);
    return !line->broken;
}

static enum served serve_router(struct transport *transport, enum source source, struct transport_event *ret)
{
    struct transport_event event = {.type = source == SOURCE_JOIN ? TRANSPORT_JOIN : TRANSPORT_MESSAGE};
    uint32_t id;
    enum zeromq_taken taken = zeromq_take_router(transport->sockets[source], &transport->message, &id, &event.peer);
    if (taken == ZEROMQ_NOTHING)
        return SERVED_NOTHING;
    inflow_whole(source == SOURCE_LINK ? &transport->inflow : &transport->knocks, zeromq_fd(&transport->message));
    event.message = transport->message.message;
    if (taken == ZEROMQ_MESSAGE && (source == SOURCE_LINK ? !whole_of_child(transport, id, &event.message) : transport->message.coded))
        taken = ZEROMQ_MALFORMED;
    if (taken == ZEROMQ_MALFORMED) {
        transport->counts.malformed++;
        return SERVED_INSIDE;
    }
    event.route = (uint64_t)(source == SOURCE_JOIN ? transport->join_generation : 1) << 32 | id;
    event.body = transport->message.body;
    *ret = event;
    return SERVED_EVENT;
}

static const char *attempt_text(enum zeromq_attempt attempt, bool was_connected)
{
    if (attempt == ZEROMQ_REFUSED)
        return tr("it does not know this station's key: not enrolled there, or revoked", "对方不认识本站密钥：未在该处登记，或已被吊销");
    if (attempt == ZEROMQ_ABSENT)
        return tr("nobody answers at this address", "该地址无人应答");
    if (was_connected)
        return tr("the connection broke", "连接中断");
    return tr("the handshake did not end: not the key expected there, or it is too busy", "握手未完成：对方密钥不符，或对方繁忙");
}

static enum served serve_dial_watch(struct transport *transport, unsigned dial, struct transport_event *ret)
{
    int fd = -1;
    enum zeromq_attempt attempt = zeromq_attempt(transport->sockets[SOURCE_DIAL_WATCH + dial], &fd);
    if (attempt == ZEROMQ_IDLE)
        return SERVED_NOTHING;
    if (fd >= 0 && inflow_came(&transport->inflow, fd, false))
        transport->dial_fds[dial] = fd;
    if (attempt == ZEROMQ_GOING)
        return SERVED_INSIDE;
    *ret = (struct transport_event){.type = TRANSPORT_CONNECTED, .parent = true, .dial = dial, .peer = transport->servers[dial]};
    if (attempt == ZEROMQ_CONNECTED) {
        transport->connected[dial] = true;
        return SERVED_EVENT;
    }
    snprintf(transport->detail, sizeof transport->detail, "%s", attempt_text(attempt, transport->connected[dial]));
    ret->type = TRANSPORT_DISCONNECTED;
    ret->detail = transport->detail;
    ret->refused = attempt == ZEROMQ_REFUSED;
    transport_hangup(transport, dial);
    return SERVED_EVENT;
}

static enum served serve_parent(struct transport *transport, unsigned dial, struct transport_event *ret)
{
    if (!transport->connected[dial]) // the word that we are connected was sent before any message, and comes first
        return serve_dial_watch(transport, dial, ret);
    enum zeromq_taken taken = zeromq_take_client(transport->sockets[SOURCE_PARENT + dial], &transport->message);
    if (taken == ZEROMQ_NOTHING)
        return SERVED_NOTHING;
    inflow_whole(&transport->inflow, transport->dial_fds[dial]);
    if (taken == ZEROMQ_MALFORMED) {
        transport->counts.malformed++;
        return SERVED_INSIDE;
    }
    *ret = (struct transport_event){.type = TRANSPORT_MESSAGE, .parent = true, .dial = dial, .peer = transport->servers[dial]};
    ret->body = transport->message.body;
    if (whole(transport, &transport->in[dial], &ret->message))
        return SERVED_EVENT;
    transport->counts.malformed++;
    *ret = (struct transport_event){.type = TRANSPORT_DISCONNECTED, .parent = true, .dial = dial, .peer = transport->servers[dial]};
    ret->detail = tr("something is missing in what came", "收到的内容有缺失");
    transport_hangup(transport, dial);
    return SERVED_EVENT;
}

static enum served serve_wake(struct transport *transport, struct transport_event *ret)
{
    uint64_t times;
    if (read(transport->wake_fd, &times, sizeof times) != (ssize_t)sizeof times)
        return SERVED_NOTHING;
    if (!atomic_exchange(&transport->woken, false))
        return SERVED_INSIDE;
    *ret = (struct transport_event){.type = TRANSPORT_WOKEN};
    return SERVED_EVENT;
}

static enum served serve(struct transport *transport, struct transport_event *ret)
{
    enum source source = transport->current;
    if (source == SOURCE_WAKE)
        return serve_wake(transport, ret);
    if (!transport->sockets[source])
        return SERVED_NOTHING;
    switch (source) {
    case SOURCE_HANDLER:
        return transport_serve_handler(transport);
    case SOURCE_DIAL_WATCH:
    case SOURCE_DIAL_WATCH_LAST:
        return serve_dial_watch(transport, source - SOURCE_DIAL_WATCH, ret);
    case SOURCE_LINK_WATCH:
    case SOURCE_JOIN_WATCH:
        return transport_serve_watch(transport, source);
    case SOURCE_PARENT:
    case SOURCE_PARENT_LAST:
        return serve_parent(transport, source - SOURCE_PARENT, ret);
    default:
        return serve_router(transport, source, ret);
    }
}

// The next source that is ready begins a turn. All are looked at again first, so that a busy one shuts nobody out.
static bool next_turn(struct transport *transport, long timeout_ms)
{
    transport_tend(transport);
    transport->ready |= zeromq_poll(transport->sockets, SOURCE_SOCKETS, transport->wake_fd, timeout_ms);
    transport->turn = TURN;
    for (int i = 0; i < SOURCES; i++) {
        transport->current = (transport->current + 1) % SOURCES;
        if (transport->ready & 1u << transport->current)
            return true;
    }
    return false;
}

// Serves until there is an event, or nothing is known to be ready. Asks the kernel once a turn, not once a message.
static bool serve_ready(struct transport *transport, struct transport_event *ret)
{
    while (transport->ready) {
        bool over = transport->turn == 0 || !(transport->ready & 1u << transport->current);
        if (over && !next_turn(transport, 0))
            break;
        transport->turn--;
        enum served served = serve(transport, ret);
        if (served == SERVED_EVENT)
            return true;
        if (served == SERVED_NOTHING)
            transport->ready &= ~(1u << transport->current);
    }
    return false;
}

bool transport_wait(struct transport *transport, int timeout_ms, struct transport_event *ret)
{
    if (serve_ready(transport, ret)) // the clock is asked only when nothing is ready
        return true;
    uint64_t now = transport_now_ms(), end = timeout_ms < 0 ? UINT64_MAX : now + (uint64_t)timeout_ms;
    do {
        transport_tend(transport); // sets the tick
        uint64_t until = end < transport->tick_ms ? end : transport->tick_ms;
        until = until < transport->look_ms ? until : transport->look_ms;
        next_turn(transport, until == UINT64_MAX ? -1 : until > now ? (long)(until - now) : 0);
        if (serve_ready(transport, ret))
            return true;
        now = transport_now_ms();
    } while (now < end);
    return false;
}

static void wake(struct transport *transport, atomic_bool *why)
{
    int saved = errno;
    uint64_t one = 1;
    atomic_store(why, true);
    ssize_t written = write(transport->wake_fd, &one, sizeof one); // fails only when the counter is full: it is awake then
    (void)written;
    errno = saved;
}

void transport_wake(struct transport *transport) { wake(transport, &transport->woken); }

static void on_beat(void *context)
{
    struct transport *transport = context;
    wake(transport, &transport->beaten);
}

// ---- what is sent ----------------------------------------------------------------------------------------------------------------

static enum error_code send_link(void *socket, const uint32_t *id, struct repeats *out, struct bytes message, struct bytes body)
{
    uint8_t space[REPEATS_SIZE_MAX];
    size_t size = repeats_code(out, message, space);
    enum error_code code = zeromq_send(socket, id, size ? bytes_of(space, size) : message, size > 0, body, MESSAGE_MAX);
    if (code == OK)
        repeats_keep(out, message);
    return code;
}

enum error_code transport_send_parent(struct transport *transport, unsigned dial, struct bytes message, struct bytes body)
{
    if (!transport->connected[dial])
        return ERR_NETWORK;
    return send_link(transport->sockets[SOURCE_PARENT + dial], NULL, &transport->out[dial], message, body);
}

enum error_code transport_send_child(struct transport *transport, uint64_t route, struct bytes message, struct bytes body)
{
    uint32_t id = (uint32_t)route;
    if (!transport->sockets[SOURCE_LINK] || route >> 32 != 1)
        return ERR_NETWORK;
    struct line *line = lines_find(&transport->lines, id);
    return line ? send_link(transport->sockets[SOURCE_LINK], &id, &line->out, message, body) : ERR_NETWORK;
}

enum error_code transport_answer(struct transport *transport, uint64_t reply_to, struct bytes message)
{
    uint32_t id = (uint32_t)reply_to;
    if (!transport->sockets[SOURCE_JOIN] || reply_to >> 32 != transport->join_generation)
        return ERR_NETWORK;
    enum error_code code = zeromq_send(transport->sockets[SOURCE_JOIN], &id, message, false, bytes_of(NULL, 0), TRANSPORT_ANSWER_MAX);
    if (code == OK)
        gate_answered(&transport->gate, message.size);
    return code;
}

// ---- dialling --------------------------------------------------------------------------------------------------------------------

enum error_code transport_dial(struct transport *transport, unsigned dial, const char *endpoint, const struct public_key *server,
                               struct error *error)
{
    struct endpoint parsed;
    assert(dial < TRANSPORT_DIALS);
    transport_hangup(transport, dial);
    enum error_code code = endpoint_parse_dial(endpoint, &parsed, error);
    if (code != OK)
        return code;
    transport->servers[dial] = *server;
    void **socket = &transport->sockets[SOURCE_PARENT + dial];
    *socket = zeromq_client(transport->context, endpoint, parsed.kind == ENDPOINT_IPV6, server, &transport->config.public_key,
                            &transport->config.secret_key, MESSAGE_MAX, &transport->sockets[SOURCE_DIAL_WATCH + dial]);
    return *socket ? OK : zeromq_error(error);
}

void transport_hangup(struct transport *transport, unsigned dial)
{
    transport_close_source(transport, SOURCE_PARENT + dial, SOURCE_DIAL_WATCH + dial);
    inflow_went(&transport->inflow, transport->dial_fds[dial]);
    transport->dial_fds[dial] = -1;
    transport->connected[dial] = false;
    repeats_finish(&transport->in[dial]);
    repeats_finish(&transport->out[dial]);
}

// Calls our own link endpoint with a key that nobody knows, and serves its handshake.
static enum zeromq_attempt try_stranger(struct transport *transport, void *watch)
{
    void *sockets[] = {watch, transport->sockets[SOURCE_HANDLER]};
    uint64_t end = transport_now_ms() + SELF_TEST_MS;
    for (uint64_t now; (now = transport_now_ms()) < end;) {
        enum zeromq_attempt attempt = zeromq_attempt(watch, NULL);
        if (attempt >= ZEROMQ_CONNECTED)
            return attempt;
        if (attempt == ZEROMQ_IDLE && zeromq_poll(sockets, 2, -1, (long)(end - now)) & 2)
            transport_serve_handler(transport);
    }
    return ZEROMQ_IDLE;
}

enum error_code transport_self_test(struct transport *transport, struct error *error)
{
    struct public_key public_key;
    struct secret_key secret_key;
    const char *reach = transport->link.reach;
    if (!transport->sockets[SOURCE_LINK])
        return OK;
    if (transport->counts.short_of_room)
        return error_set(error, ERR_BUSY, "%s", tr("too few descriptors are free to test a handshake", "空闲描述符太少，无法测试握手"));
    zeromq_keypair(&public_key, &secret_key);
    void *watch, *socket = zeromq_client(transport->context, reach, reach[sizeof "tcp://" - 1] == '[', &transport->config.public_key,
                                         &public_key, &secret_key, MESSAGE_MAX, &watch);
    if (!socket)
        return zeromq_error(error);
    enum zeromq_attempt attempt = try_stranger(transport, watch);
    zeromq_close(&socket, &watch);
    if (attempt == ZEROMQ_CONNECTED)
        return error_set(error, ERR_STATE, tr("%s lets in a key that is not enrolled", "%s 允许未登记的密钥进入"),
                         transport->link.endpoint);
    if (attempt != ZEROMQ_REFUSED)
        return error_set(error, ERR_TIMEOUT, tr("%s gave no verdict on a key that is not enrolled: %s", "%s 未对未登记的密钥作出裁决：%s"),
                         transport->link.endpoint, attempt_text(attempt, false));
    transport->counts.refused--; // our own
    return OK;
}

// ---- life ------------------------------------------------------------------------------------------------------------------------

static enum error_code start_listening(struct transport *transport, struct error *error)
{
    const struct transport_config *config = &transport->config;
    enum error_code code = config->listen ? listener_open(&transport->link, config->listen, error) : OK;
    if (code == OK && config->join)
        code = listener_open(&transport->join, config->join, error);
    if (code != OK || (!config->listen && !config->join))
        return code;
    room_init(&transport->room, transport_now_ms());
    transport->sockets[SOURCE_HANDLER] = zeromq_handler(transport->context);
    if (!transport->sockets[SOURCE_HANDLER])
        return zeromq_error(error);
    if (config->listen && !transport_open_link(transport))
        return zeromq_error(error);
    if (config->join && !transport_open_join(transport))
        return zeromq_error(error);
    return transport_self_test(transport, error);
}

enum error_code transport_create(const struct transport_config *config, struct transport **ret, struct error *error)
{
    assert(!config->listen || config->enrolled);
    struct transport *transport = calloc(1, sizeof *transport);
    if (!transport)
        return error_set_errno(error, ERR_MEMORY, "%s", tr("transport", "传输"));
    transport->config = *config;
    transport->link.fd = transport->join.fd = -1;
    for (unsigned dial = 0; dial < TRANSPORT_DIALS; dial++)
        transport->dial_fds[dial] = -1;
    transport->tick_ms = transport->look_ms = UINT64_MAX;
    zeromq_message_init(&transport->message);
    transport->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    transport->context = transport->wake_fd < 0 ? NULL : zeromq_context();
    transport->pulse = transport->context ? pulse_start(INFLOW_LOOK_WORK_MS, on_beat, transport) : NULL;
    enum error_code code = transport->context ? start_listening(transport, error) : zeromq_error(error);
    transport->config.listen = transport->config.join = NULL; // the caller's
    if (code == OK)
        *ret = transport;
    else
        transport_destroy(transport);
    return code;
}

void transport_destroy(struct transport *transport)
{
    void *no_watch = NULL;
    if (!transport)
        return;
    pulse_stop(transport->pulse);
    for (unsigned dial = 0; dial < TRANSPORT_DIALS; dial++)
        transport_hangup(transport, dial);
    transport_close_source(transport, SOURCE_LINK, SOURCE_LINK_WATCH);
    transport_close_source(transport, SOURCE_JOIN, SOURCE_JOIN_WATCH);
    zeromq_close(&transport->sockets[SOURCE_HANDLER], &no_watch);
    inflow_finish(&transport->inflow);
    inflow_finish(&transport->knocks);
    lines_finish(&transport->lines);
    zeromq_message_finish(&transport->message);
    zeromq_context_end(transport->context);
    listener_close(&transport->link);
    listener_close(&transport->join);
    if (transport->wake_fd >= 0)
        close(transport->wake_fd);
    crypto_wipe(&transport->config, sizeof transport->config);
    free(transport);
}

const char *transport_listen(const struct transport *transport) { return transport->link.fd >= 0 ? transport->link.endpoint : NULL; }

const char *transport_join(const struct transport *transport) { return transport->join.fd >= 0 ? transport->join.endpoint : NULL; }

struct transport_counts transport_counts(const struct transport *transport) { return transport->counts; }
