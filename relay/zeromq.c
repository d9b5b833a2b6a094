#include "relay/zeromq.h"
#include "relay/language.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <zmq.h>

#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93 // works in 4.3.4, its name is in the draft part of zmq.h; the self-test proves that it does
#endif

enum {
    IO_THREADS = 1,    // encrypts 0.67 M messages/s, more than one writer thread commits
    SOCKETS_MAX = 64,  // 3 sockets, a dial, their watches (2 sockets each), and as many again still closing
    CURVE_GROWTH = 64, // bytes: a frame grows by 33 when it is encrypted
    PREFIX_MAX = 4,    // bytes of the message's size, which is below 2^27, and a bit
    BESIDE_MESSAGE = PREFIX_MAX + MESSAGE_MAX + CURVE_GROWTH, // bytes: size and body
    POLL_MAX = 16,
    KEY_TEXT_SIZE = 41, // Z85 (RFC 32) of 32 bytes
};

struct setting {
    int option, value;
};
static const struct setting EVERY_SOCKET[] = {
    {ZMQ_LINGER, 0}, // what is unacknowledged is sent again; closing never waits
    {ZMQ_HANDSHAKE_IVL, ZEROMQ_HANDSHAKE_MS},
    {ZMQ_HEARTBEAT_IVL, 5000},      // ms: three chances within the timeout
    {ZMQ_HEARTBEAT_TIMEOUT, 15000}, // ms: a dead line is noticed within half a minute
    {ZMQ_HEARTBEAT_TTL, 15000},     // ms: the same for the other end
    {ZMQ_TCP_KEEPALIVE, 1},         // for middleboxes that forget silent connections
    {ZMQ_TCP_KEEPALIVE_IDLE, 60},   // s
    {ZMQ_TCP_KEEPALIVE_INTVL, 15},  // s
    {ZMQ_TCP_KEEPALIVE_CNT, 4},
    {ZMQ_SNDHWM,
     1024}, // messages for one peer; few stand in a pipe, as the core bounds the bytes in flight to what the peer gave credit for
    {ZMQ_RCVHWM, 256}, // messages of one peer; beyond them its TCP window closes
};
static const struct setting A_ROUTER[] = {
    {ZMQ_CURVE_SERVER, 1},
    {ZMQ_ZAP_ENFORCE_DOMAIN, 1}, // without a handler nobody gets in
    {ZMQ_ROUTER_MANDATORY, 1},   // a peer that is gone or slow is told, not dropped for; always with DONTWAIT
    {ZMQ_ROUTER_HANDOVER, 0},    // nobody takes over another's routing id
};
static const struct setting A_CLIENT[] = {
    {ZMQ_IMMEDIATE, 1},      // nothing is queued for a connection that isn't there
    {ZMQ_RECONNECT_IVL, -1}, // the core redials, with its own backoff
    {ZMQ_CONNECT_TIMEOUT, ZEROMQ_HANDSHAKE_MS},
};

void *zeromq_context(void)
{
    void *context = zmq_ctx_new();
    if (context) {
        zmq_ctx_set(context, ZMQ_IO_THREADS, IO_THREADS);
        zmq_ctx_set(context, ZMQ_MAX_SOCKETS, SOCKETS_MAX);
    }
    return context;
}

void zeromq_context_end(void *context)
{
    while (context && zmq_ctx_term(context) != 0 && errno == EINTR)
        continue;
}

enum error_code zeromq_error(struct error *error)
{
    bool room = errno == EMFILE || errno == ENFILE;
    return error_set(error, room ? ERR_LIMIT : ERR_MEMORY, tr("ZeroMQ: %s", "ZeroMQ：%s"), zmq_strerror(errno));
}

static bool set_int(void *socket, int option, int value) { return zmq_setsockopt(socket, option, &value, sizeof value) == 0; }

static bool set_all(void *socket, const struct setting *settings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!set_int(socket, settings[i].option, settings[i].value))
            return false;
    return true;
}

static int has_more(void *socket)
{
    int more = 0;
    size_t size = sizeof more;
    zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    return more;
}

// ---- sockets ---------------------------------------------------------------------------------------------------------------------

// The monitor of `socket`; NULL with errno. Its queue has no limit, or a full one would stop the I/O thread; what it carries is bounded
// by the connections made.
static void *watch_open(void *context, void *socket, int events)
{
    char name[48];
    snprintf(name, sizeof name, "inproc://watch-%p", socket);
    if (zmq_socket_monitor(socket, name, events) != 0)
        return NULL;
    void *pair = zmq_socket(context, ZMQ_PAIR);
    if (pair && set_int(pair, ZMQ_RCVHWM, 0) && set_int(pair, ZMQ_LINGER, 0) && zmq_connect(pair, name) == 0)
        return pair;
    int saved = errno;
    zmq_socket_monitor(socket, NULL, 0);
    if (pair)
        zmq_close(pair);
    errno = saved;
    return NULL;
}

void zeromq_close(void **socket, void **watch)
{
    if (*watch) {
        zmq_socket_monitor(*socket, NULL, 0);
        zmq_close(*watch);
    }
    if (*socket)
        zmq_close(*socket);
    *socket = *watch = NULL;
}

static void *give_up(void *socket, void **watch)
{
    int saved = errno;
    zeromq_close(&socket, watch);
    errno = saved;
    return NULL;
}

void *zeromq_router(void *context, int fd, const char *endpoint, const char *domain, const struct secret_key *own, void **ret_watch)
{
    int64_t limit = MESSAGE_MAX + BESIDE_MESSAGE; // anything larger, also in a handshake, cuts the connection
    void *socket = zmq_socket(context, ZMQ_ROUTER);
    *ret_watch = NULL;
    if (socket && set_all(socket, EVERY_SOCKET, sizeof EVERY_SOCKET / sizeof *EVERY_SOCKET) &&
        set_all(socket, A_ROUTER, sizeof A_ROUTER / sizeof *A_ROUTER) &&
        zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &limit, sizeof limit) == 0 &&
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own, PUBLIC_KEY_SIZE) == 0 &&
        zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) == 0 && set_int(socket, ZMQ_USE_FD, fd) &&
        (*ret_watch = watch_open(context, socket, ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED)) && zmq_bind(socket, endpoint) == 0)
        return socket;
    return give_up(socket, ret_watch);
}

void *zeromq_client(void *context, const char *endpoint, bool ipv6, const struct public_key *server, const struct public_key *own_public,
                    const struct secret_key *own_secret, size_t max, void **ret_watch)
{
    int64_t limit = (int64_t)max + BESIDE_MESSAGE;
    void *socket = zmq_socket(context, ZMQ_DEALER);
    *ret_watch = NULL;
    if (socket && set_all(socket, EVERY_SOCKET, sizeof EVERY_SOCKET / sizeof *EVERY_SOCKET) &&
        set_all(socket, A_CLIENT, sizeof A_CLIENT / sizeof *A_CLIENT) &&
        zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &limit, sizeof limit) == 0 && set_int(socket, ZMQ_IPV6, ipv6) &&
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server, sizeof *server) == 0 &&
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, own_public, PUBLIC_KEY_SIZE) == 0 &&
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, own_secret, PUBLIC_KEY_SIZE) == 0 &&
        (*ret_watch = watch_open(context, socket, ZMQ_EVENT_ALL)) && zmq_connect(socket, endpoint) == 0)
        return socket;
    return give_up(socket, ret_watch);
}

// The next event of a watch; 0: none. Two frames: event number (16 bits) and value (32 bits), then an address.
static unsigned next_event(void *watch, int *ret_value)
{
    uint8_t frame[6];
    char address[1];
    uint16_t event;
    if (zmq_recv(watch, frame, sizeof frame, ZMQ_DONTWAIT) != (int)sizeof frame)
        return 0;
    memcpy(&event, frame, sizeof event);
    memcpy(ret_value, frame + sizeof event, sizeof *ret_value);
    zmq_recv(watch, address, sizeof address, ZMQ_DONTWAIT);
    return event;
}

enum zeromq_attempt zeromq_attempt(void *watch, int *ret_fd)
{
    int value = -1;
    switch (next_event(watch, &value)) {
    case 0:
        return ZEROMQ_IDLE;
    case ZMQ_EVENT_CONNECTED:
        if (ret_fd)
            *ret_fd = value;
        return ZEROMQ_GOING;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        return ZEROMQ_CONNECTED;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        return ZEROMQ_REFUSED;
    case ZMQ_EVENT_CLOSED:
        return ZEROMQ_ABSENT;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
    case ZMQ_EVENT_DISCONNECTED:
        return ZEROMQ_BROKEN;
    default:
        return ZEROMQ_GOING;
    }
}

int zeromq_change(void *watch, int *ret_fd)
{
    unsigned event = next_event(watch, ret_fd);
    return event == ZMQ_EVENT_ACCEPTED ? 1 : event ? -1 : 0;
}

// Those of the sockets in `among` (bits) that have something to read. Asking clears what their descriptors say.
static unsigned readable(void *const *sockets, unsigned count, unsigned among)
{
    unsigned ready = 0;
    for (unsigned i = 0; i < count; i++) {
        int events = 0;
        size_t size = sizeof events;
        if (among & 1u << i && zmq_getsockopt(sockets[i], ZMQ_EVENTS, &events, &size) == 0 && events & ZMQ_POLLIN)
            ready |= 1u << i;
    }
    return ready;
}

// Not zmq_poll(), which asks every socket and the kernel twice before it sleeps, and again before it says that the time is over.
unsigned zeromq_poll(void *const *sockets, unsigned count, int fd, long timeout_ms)
{
    struct pollfd fds[POLL_MAX + 1];
    unsigned bits[POLL_MAX + 1], used = 0, there = 0, woken = 0;
    assert(count <= POLL_MAX);
    for (unsigned i = 0; i < count; i++) {
        fds[used] = (struct pollfd){.events = POLLIN};
        size_t size = sizeof fds[used].fd;
        if (!sockets[i] || zmq_getsockopt(sockets[i], ZMQ_FD, &fds[used].fd, &size) != 0)
            continue;
        there |= bits[used++] = 1u << i;
    }
    unsigned ready = readable(sockets, count, there), of_sockets = used;
    if (fd >= 0) {
        fds[used] = (struct pollfd){.fd = fd, .events = POLLIN};
        bits[used++] = 1u << count;
    }
    if (poll(fds, used, ready ? 0 : (int)(timeout_ms < INT_MAX ? timeout_ms : INT_MAX)) <= 0)
        return ready;
    for (unsigned i = 0; i < used; i++)
        if (fds[i].revents)
            woken |= bits[i];
    if (used > of_sockets && fds[of_sockets].revents & POLLIN)
        ready |= 1u << count;
    return ready | readable(sockets, count, woken & there & ~ready);
}

void zeromq_keypair(struct public_key *ret_public, struct secret_key *ret_secret)
{
    char public_text[KEY_TEXT_SIZE], secret_text[KEY_TEXT_SIZE];
    int made = zmq_curve_keypair(public_text, secret_text);
    assert(made == 0); // fails only in a build without CURVE, which has no sockets either
    zmq_z85_decode(ret_public->bytes, public_text);
    zmq_z85_decode(ret_secret->bytes, secret_text);
    crypto_wipe(secret_text, sizeof secret_text);
}

// ---- handshakes ------------------------------------------------------------------------------------------------------------------

void *zeromq_handler(void *context)
{
    void *socket = zmq_socket(context, ZMQ_REP), *watch = NULL;
    if (socket && set_int(socket, ZMQ_LINGER, 0) && zmq_bind(socket, "inproc://zeromq.zap.01") == 0)
        return socket;
    return give_up(socket, &watch);
}

bool zeromq_handshake_next(void *handler, struct zeromq_handshake *ret)
{
    enum { VERSION, REQUEST, DOMAIN, ADDRESS, IDENTITY, MECHANISM, CREDENTIALS, FRAMES };
    char frames[FRAMES][64] = {0}; // longer ones are cut; the sizes say so
    int sizes[FRAMES] = {0}, count = 0;
    for (int more = 1; more; count++) {
        int at = count < FRAMES ? count : FRAMES - 1;
        sizes[at] = zmq_recv(handler, frames[at], sizeof frames[at] - 1, ZMQ_DONTWAIT);
        if (sizes[at] < 0)
            return false;
        more = has_more(handler);
    }
    *ret = (struct zeromq_handshake){0};
    ret->valid = count == FRAMES && strcmp(frames[VERSION], "1.0") == 0 && strcmp(frames[MECHANISM], "CURVE") == 0 &&
                 sizes[CREDENTIALS] == PUBLIC_KEY_SIZE && sizes[DOMAIN] < (int)sizeof ret->domain &&
                 sizes[REQUEST] < (int)sizeof ret->request;
    memcpy(ret->key.bytes, frames[CREDENTIALS], sizeof ret->key.bytes);
    memcpy(ret->domain, frames[DOMAIN], sizeof ret->domain - 1);
    memcpy(ret->request, frames[REQUEST], sizeof ret->request - 1);
    return true;
}

void zeromq_handshake_answer(void *handler, const struct zeromq_handshake *handshake, enum zeromq_verdict verdict)
{
    static const char *const STATUS[] = {[ZEROMQ_ACCEPT] = "200", [ZEROMQ_LATER] = "300", [ZEROMQ_REFUSE] = "400"};
    char user[ZEROMQ_USER_SIZE];
    const char *parts[] = {"1.0", handshake->request, STATUS[handshake->valid ? verdict : ZEROMQ_REFUSE], "", user, ""};
    crypto_hex(bytes_of(&handshake->key, sizeof handshake->key), user);
    for (size_t i = 0, count = sizeof parts / sizeof *parts; i < count; i++) {
        int sent = zmq_send(handler, parts[i], strlen(parts[i]), i + 1 < count ? ZMQ_SNDMORE : 0);
        assert(sent >= 0); // to a connection that is gone it is dropped; ZeroMQ itself stops the process when 100 bytes can't be had
    }
}

// ---- messages --------------------------------------------------------------------------------------------------------------------

static_assert(sizeof(zmq_msg_t) == sizeof(struct zeromq_frame), "a frame holds a zmq_msg_t");

static zmq_msg_t *msg(struct zeromq_frame *frame) { return (zmq_msg_t *)(void *)frame; }

void zeromq_message_init(struct zeromq_message *message)
{
    *message = (struct zeromq_message){0};
    zmq_msg_init(msg(&message->id));
    zmq_msg_init(msg(&message->frame));
}

void zeromq_message_finish(struct zeromq_message *message)
{
    zmq_msg_close(msg(&message->id));
    zmq_msg_close(msg(&message->frame));
}

int zeromq_fd(struct zeromq_message *message) { return zmq_msg_get(msg(&message->frame), ZMQ_SRCFD); }

static bool receive(void *socket, struct zeromq_frame *frame) { return zmq_msg_recv(msg(frame), socket, ZMQ_DONTWAIT) >= 0; }

// Finds message and body in the frame. False: the size before them is no size, or goes beyond the frame.
static bool split(struct zeromq_message *message)
{
    const uint8_t *data = zmq_msg_data(msg(&message->frame));
    size_t size = zmq_msg_size(msg(&message->frame)), at = 0, length = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (at == size || at == PREFIX_MAX)
            return false;
        length |= (size_t)(data[at] & 0x7F) << shift;
        if (data[at++] < 0x80)
            break;
    }
    message->coded = length & 1;
    length >>= 1;
    if (length > size - at || (at > 1 && data[at - 1] == 0))
        return false;
    message->message = bytes_of(data + at, length);
    message->body = bytes_of(data + at + length, size - at - length);
    return true;
}

// The frame, received already, must be alone. A message arrives whole or not at all, so that no wait is needed.
static enum zeromq_taken take_rest(void *socket, struct zeromq_message *message)
{
    bool alone = !zmq_msg_more(msg(&message->frame));
    while (has_more(socket) && receive(socket, &message->frame))
        continue;
    return alone && split(message) ? ZEROMQ_MESSAGE : ZEROMQ_MALFORMED;
}

enum zeromq_taken zeromq_take_client(void *socket, struct zeromq_message *message)
{
    return receive(socket, &message->frame) ? take_rest(socket, message) : ZEROMQ_NOTHING;
}

enum zeromq_taken zeromq_take_router(void *socket, struct zeromq_message *message, uint32_t *ret_id, struct public_key *ret_key)
{
    if (!receive(socket, &message->id) || !receive(socket, &message->frame))
        return ZEROMQ_NOTHING;
    enum zeromq_taken taken = take_rest(socket, message);
    if (taken != ZEROMQ_MESSAGE)
        return taken;
    const uint8_t *id = zmq_msg_data(msg(&message->id));
    if (zmq_msg_size(msg(&message->id)) != ZEROMQ_ROUTING_ID_SIZE || id[0] != 0)
        return ZEROMQ_MALFORMED;
    const char *user = zmq_msg_gets(msg(&message->frame), "User-Id"); // never of the id frame: it may have none (4.3.4)
    if (!user || !crypto_from_hex(user, ret_key->bytes, sizeof ret_key->bytes))
        return ZEROMQ_MALFORMED;
    *ret_id = get_be32(id + 1);
    return taken;
}

// Makes `frame` (initialised, empty) hold a copy of the parts, one after the other.
static bool fill(struct zeromq_frame *frame, const struct bytes *parts, unsigned count)
{
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += parts[i].size;
    if (zmq_msg_init_size(msg(frame), size) != 0) {
        zmq_msg_init(msg(frame)); // what a failure leaves behind can't be closed
        return false;
    }
    uint8_t *to = zmq_msg_data(msg(frame));
    for (unsigned i = 0; i < count; to += parts[i++].size)
        if (parts[i].size)
            memcpy(to, parts[i].data, parts[i].size);
    return true;
}

static struct bytes prefix(size_t size, uint8_t space[PREFIX_MAX])
{
    size_t used = 0;
    for (; size >= 0x80; size >>= 7)
        space[used++] = (uint8_t)(size | 0x80);
    space[used++] = (uint8_t)size;
    return bytes_of(space, used);
}

enum error_code zeromq_send(void *socket, const uint32_t *id, struct bytes message, bool coded, struct bytes body, size_t max)
{
    uint8_t place[ZEROMQ_ROUTING_ID_SIZE] = {0}, space[PREFIX_MAX];
    if (message.size > max || message.size >> (7 * PREFIX_MAX - 1) || body.size > MESSAGE_MAX)
        return ERR_LIMIT;
    put_be32(place + 1, id ? *id : 0);
    struct bytes route = bytes_of(place, sizeof place), parts[] = {prefix(message.size << 1 | coded, space), message, body};
    struct zeromq_message out;
    zeromq_message_init(&out);
    bool good = fill(&out.id, &route, 1) && fill(&out.frame, parts, sizeof parts / sizeof *parts);
    enum error_code code = good ? OK : ERR_MEMORY;
    // Only the first frame can find the pipe full or gone; what follows goes with it, or is dropped with its pipe.
    if (good && id)
        good = zmq_msg_send(msg(&out.id), socket, ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0;
    good = good && zmq_msg_send(msg(&out.frame), socket, ZMQ_DONTWAIT) >= 0;
    if (!good && code == OK)
        code = errno == EAGAIN ? ERR_BUSY : ERR_NETWORK;
    zeromq_message_finish(&out);
    return code;
}
