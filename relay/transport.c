#include "relay/transport.h"
#include "relay/gate.h"
#include "relay/inflow.h"
#include "relay/language.h"
#include "relay/listener.h"
#include "relay/zeromq.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    SELF_TEST_MS = ZEROMQ_HANDSHAKE_MS + 1000, // so that the handshake's own verdict comes first
    TURN = 128,                                // messages taken from one socket while others wait: about 0.2 ms
    TICK_MS = 1000,                            // while short of room, or while somebody is on the join endpoint; never else
    RECOUNT_MS = 50,                           // counting descriptors takes some ms when there are thousands
};
static_assert(GATE_LEASE_MS > 2 * ZEROMQ_HANDSHAKE_MS, "an exchange fits in a lease");

enum source {
    SOURCE_HANDLER,    // first: whoever waits for it can't do anything else
    SOURCE_DIAL_WATCH, // one for each dial
    SOURCE_DIAL_WATCH_LAST = SOURCE_DIAL_WATCH + TRANSPORT_DIALS - 1,
    SOURCE_LINK_WATCH,
    SOURCE_JOIN_WATCH,
    SOURCE_LINK,
    SOURCE_PARENT, // one for each dial
    SOURCE_PARENT_LAST = SOURCE_PARENT + TRANSPORT_DIALS - 1,
    SOURCE_JOIN,
    SOURCE_SOCKETS,
    SOURCE_WAKE = SOURCE_SOCKETS,
    SOURCES
};

struct transport {
    struct transport_config config;
    struct listener link, join;
    void *context;
    void *sockets[SOURCE_SOCKETS]; // NULL: not there
    int wake_fd;

    unsigned ready, turn; // sources that may have something, and what is left of the current one's turn
    enum source current;
    struct zeromq_message message; // the last one handed out

    bool connected[TRANSPORT_DIALS];
    struct public_key servers[TRANSPORT_DIALS];
    char detail[400];

    struct inflow inflow, knocks;  // of links, both ways; of the join endpoint
    int dial_fds[TRANSPORT_DIALS]; // -1: none
    uint64_t look_ms;              // at it; UINT64_MAX: nothing to look at

    struct room room;
    bool changed;             // connections came or went since the last count
    uint64_t tick_ms;         // next one; UINT64_MAX: none
    struct gate gate;         // of the join endpoint
    uint32_t join_generation; // in the upper half of what is to be answered on; of links it is 1
    struct transport_counts counts;
};

enum served { SERVED_NOTHING, SERVED_INSIDE, SERVED_EVENT };

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t now_ms(void) { return now_us() / 1000; }

static void close_source(struct transport *transport, enum source source, enum source watch)
{
    zeromq_close(&transport->sockets[source], &transport->sockets[watch]);
    transport->ready &= ~(1u << source | 1u << watch);
}

// ---- who may come in -------------------------------------------------------------------------------------------------------------

static enum zeromq_verdict judge(struct transport *transport, const struct zeromq_handshake *handshake)
{
    if (handshake->valid && strcmp(handshake->domain, "link") == 0 &&
        transport->config.enrolled(transport->config.context, &handshake->key))
        return ZEROMQ_ACCEPT;
    if (handshake->valid && strcmp(handshake->domain, "join") == 0) {
        if (gate_admit(&transport->gate, now_us()))
            return ZEROMQ_ACCEPT;
        transport->counts.limited++;
        return ZEROMQ_LATER;
    }
    transport->counts.refused++;
    return ZEROMQ_REFUSE;
}

static enum served serve_handler(struct transport *transport)
{
    struct zeromq_handshake handshake;
    if (!zeromq_handshake_next(transport->sockets[SOURCE_HANDLER], &handshake))
        return SERVED_NOTHING;
    zeromq_handshake_answer(transport->sockets[SOURCE_HANDLER], &handshake, judge(transport, &handshake));
    return SERVED_INSIDE;
}

// ---- listening -------------------------------------------------------------------------------------------------------------------

static bool open_router(struct transport *transport, enum source source, enum source watch, const struct listener *listener,
                        const char *domain)
{
    int fd = listener_share(listener);
    if (fd < 0)
        return false;
    transport->sockets[source] =
        zeromq_router(transport->context, fd, listener->endpoint, domain, &transport->config.secret_key, &transport->sockets[watch]);
    if (transport->sockets[source])
        return true;
    int saved = errno;
    close(fd);
    errno = saved;
    return false;
}

static bool open_join(struct transport *transport)
{
    transport->join_generation++;
    return open_router(transport, SOURCE_JOIN, SOURCE_JOIN_WATCH, &transport->join, "join");
}

static void close_join(struct transport *transport)
{
    transport->counts.renewed += transport->sockets[SOURCE_JOIN] != NULL;
    close_source(transport, SOURCE_JOIN, SOURCE_JOIN_WATCH);
    gate_emptied(&transport->gate);
    inflow_finish(&transport->knocks);
}

// Bytes resident and not of files: what the process itself took. 0 where there is no /proc.
static int64_t own_memory(void)
{
    long resident = 0, shared = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*d %ld %ld", &resident, &shared) != 2)
        resident = shared = 0;
    if (file)
        fclose(file);
    return (int64_t)(resident - shared) * sysconf(_SC_PAGESIZE);
}

static void shed(struct transport *transport, uint64_t now)
{
    listener_pause(&transport->link);
    listener_pause(&transport->join);
    close_join(transport); // anyone can fill it; links stay
    transport->counts.shed += listener_drain(&transport->link);
    transport->counts.shed += listener_drain(&transport->join);
    transport->counts.short_of_room = true;
    room_count(&transport->room, now);
    if (transport->room.free < transport->room.keep) // those that were let in while nobody looked: ZeroMQ's thread takes all it can get
        transport->counts.shed += inflow_shed(&transport->inflow, (unsigned)(transport->room.keep - transport->room.free));
}

// Looks after room for descriptors: counts where the estimate is low or old, and each second while there is too little.
static void tend_room(struct transport *transport, uint64_t now)
{
    struct room *room = &transport->room;
    bool was_short = transport->counts.short_of_room;
    uint64_t age = now - room->counted_ms;
    if (was_short && now < transport->tick_ms)
        return;
    if (was_short || (transport->changed && age >= TICK_MS) || (room->free < room->keep && age >= RECOUNT_MS)) {
        room_count(room, now);
        transport->changed = false;
    }
    if (room->free < room->keep) {
        shed(transport, now);
    } else if (was_short && room->free >= 2 * room->keep) {
        transport->counts.short_of_room = false;
        listener_resume(&transport->link);
        listener_resume(&transport->join);
    }
}

// Ends all connections of the join endpoint when their lease is over, and opens it again where it is closed and there is room.
static void tend_join(struct transport *transport, uint64_t now)
{
    if (gate_wants_lease(&transport->gate))
        gate_lease(&transport->gate, now, own_memory());
    else if (gate_over(&transport->gate, now, now >= transport->tick_ms ? own_memory() : 0))
        close_join(transport);
    if (transport->join.fd >= 0 && !transport->sockets[SOURCE_JOIN] && !transport->counts.short_of_room)
        (void)open_join(transport); // should it fail, the next tick tries again
}

// Cuts who brings a message without an end.
static void tend_links(struct transport *transport, uint64_t now)
{
    if (transport->inflow.count == 0 && transport->knocks.count == 0) {
        transport->look_ms = UINT64_MAX;
    } else if (transport->look_ms == UINT64_MAX || now >= transport->look_ms) {
        unsigned links_ms, knocks_ms;
        transport->counts.endless += inflow_look(&transport->inflow, &links_ms) + inflow_look(&transport->knocks, &knocks_ms);
        transport->look_ms = now + (links_ms < knocks_ms ? links_ms : knocks_ms);
    }
}

static void tend(struct transport *transport)
{
    uint64_t now = now_ms();
    tend_links(transport, now);
    if (transport->link.fd < 0 && transport->join.fd < 0)
        return;
    tend_room(transport, now);
    tend_join(transport, now);
    bool closed = transport->join.fd >= 0 && !transport->sockets[SOURCE_JOIN];
    if (!transport->counts.short_of_room && transport->gate.live <= 0 && !closed)
        transport->tick_ms = UINT64_MAX;
    else if (transport->tick_ms == UINT64_MAX || now >= transport->tick_ms)
        transport->tick_ms = now + TICK_MS;
}

static enum served serve_listener_watch(struct transport *transport, enum source watch)
{
    int fd, change = zeromq_change(transport->sockets[watch], &fd);
    if (change == 0)
        return SERVED_NOTHING;
    transport->changed = true;
    room_change(&transport->room, change);
    struct inflow *inflow = watch == SOURCE_JOIN_WATCH ? &transport->knocks : &transport->inflow;
    if (watch == SOURCE_JOIN_WATCH)
        gate_change(&transport->gate, change);
    if (change < 0)
        inflow_went(inflow, fd);
    else if (!inflow_came(inflow, fd, true))
        shutdown(fd, SHUT_RDWR); // there is no memory to watch it with: it will dial again
    if (transport->room.free < transport->room.keep && !transport->counts.short_of_room)
        tend(transport); // now: ZeroMQ's thread goes on accepting
    return SERVED_INSIDE;
}

// ---- what arrives ----------------------------------------------------------------------------------------------------------------

static enum served serve_router(struct transport *transport, enum source source, struct transport_event *ret)
{
    struct transport_event event = {.type = source == SOURCE_JOIN ? TRANSPORT_JOIN : TRANSPORT_MESSAGE};
    uint32_t id;
    enum zeromq_taken taken = zeromq_take_router(transport->sockets[source], &transport->message, &id, &event.peer);
    if (taken == ZEROMQ_NOTHING)
        return SERVED_NOTHING;
    inflow_whole(source == SOURCE_LINK ? &transport->inflow : &transport->knocks, zeromq_fd(&transport->message));
    if (taken == ZEROMQ_MALFORMED) {
        transport->counts.malformed++;
        return SERVED_INSIDE;
    }
    event.route = (uint64_t)(source == SOURCE_JOIN ? transport->join_generation : 1) << 32 | id;
    event.message = zeromq_part(&transport->message, 0);
    event.body = zeromq_part(&transport->message, 1);
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
    ret->message = zeromq_part(&transport->message, 0);
    ret->body = zeromq_part(&transport->message, 1);
    return SERVED_EVENT;
}

static enum served serve_wake(struct transport *transport, struct transport_event *ret)
{
    uint64_t times;
    if (read(transport->wake_fd, &times, sizeof times) != (ssize_t)sizeof times)
        return SERVED_NOTHING;
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
        return serve_handler(transport);
    case SOURCE_DIAL_WATCH:
    case SOURCE_DIAL_WATCH_LAST:
        return serve_dial_watch(transport, source - SOURCE_DIAL_WATCH, ret);
    case SOURCE_LINK_WATCH:
    case SOURCE_JOIN_WATCH:
        return serve_listener_watch(transport, source);
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
    tend(transport);
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
    uint64_t now = now_ms(), end = timeout_ms < 0 ? UINT64_MAX : now + (uint64_t)timeout_ms;
    do {
        tend(transport); // sets the tick
        uint64_t until = end < transport->tick_ms ? end : transport->tick_ms;
        until = until < transport->look_ms ? until : transport->look_ms;
        next_turn(transport, until == UINT64_MAX ? -1 : until > now ? (long)(until - now) : 0);
        if (serve_ready(transport, ret))
            return true;
        now = now_ms();
    } while (now < end);
    return false;
}

void transport_wake(struct transport *transport)
{
    int saved = errno;
    uint64_t one = 1;
    ssize_t written = write(transport->wake_fd, &one, sizeof one); // fails only when the counter is full: it is awake then
    (void)written;
    errno = saved;
}

// ---- what is sent ----------------------------------------------------------------------------------------------------------------

enum error_code transport_send_parent(struct transport *transport, unsigned dial, struct bytes message, struct bytes body)
{
    if (!transport->connected[dial])
        return ERR_NETWORK;
    return zeromq_send(transport->sockets[SOURCE_PARENT + dial], NULL, message, body, MESSAGE_MAX);
}

enum error_code transport_send_child(struct transport *transport, uint64_t route, struct bytes message, struct bytes body)
{
    uint32_t id = (uint32_t)route;
    if (!transport->sockets[SOURCE_LINK] || route >> 32 != 1)
        return ERR_NETWORK;
    return zeromq_send(transport->sockets[SOURCE_LINK], &id, message, body, MESSAGE_MAX);
}

enum error_code transport_answer(struct transport *transport, uint64_t reply_to, struct bytes message)
{
    uint32_t id = (uint32_t)reply_to;
    if (!transport->sockets[SOURCE_JOIN] || reply_to >> 32 != transport->join_generation)
        return ERR_NETWORK;
    enum error_code code = zeromq_send(transport->sockets[SOURCE_JOIN], &id, message, bytes_of(NULL, 0), TRANSPORT_ANSWER_MAX);
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
    close_source(transport, SOURCE_PARENT + dial, SOURCE_DIAL_WATCH + dial);
    inflow_went(&transport->inflow, transport->dial_fds[dial]);
    transport->dial_fds[dial] = -1;
    transport->connected[dial] = false;
}

// Calls our own link endpoint with a key that nobody knows, and serves its handshake.
static enum zeromq_attempt try_stranger(struct transport *transport, void *watch)
{
    void *sockets[] = {watch, transport->sockets[SOURCE_HANDLER]};
    uint64_t end = now_ms() + SELF_TEST_MS;
    for (uint64_t now; (now = now_ms()) < end;) {
        enum zeromq_attempt attempt = zeromq_attempt(watch, NULL);
        if (attempt >= ZEROMQ_CONNECTED)
            return attempt;
        if (attempt == ZEROMQ_IDLE && zeromq_poll(sockets, 2, -1, (long)(end - now)) & 2)
            serve_handler(transport);
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
    room_init(&transport->room, now_ms());
    transport->sockets[SOURCE_HANDLER] = zeromq_handler(transport->context);
    if (!transport->sockets[SOURCE_HANDLER])
        return zeromq_error(error);
    if (config->listen && !open_router(transport, SOURCE_LINK, SOURCE_LINK_WATCH, &transport->link, "link"))
        return zeromq_error(error);
    if (config->join && !open_join(transport))
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
    for (unsigned dial = 0; dial < TRANSPORT_DIALS; dial++)
        transport_hangup(transport, dial);
    close_source(transport, SOURCE_LINK, SOURCE_LINK_WATCH);
    close_source(transport, SOURCE_JOIN, SOURCE_JOIN_WATCH);
    zeromq_close(&transport->sockets[SOURCE_HANDLER], &no_watch);
    inflow_finish(&transport->inflow);
    inflow_finish(&transport->knocks);
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
