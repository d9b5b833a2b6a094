#include "node/control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "control.pb-c.h"
#include "relay/codec.h"
#include "relay/language.h"
#include "relay/limits.h"

enum { CHUNK = 256 * 1024 }; // bytes: memory follows what has arrived, not what a length claims

// ---- moving bytes against a deadline

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

// A socket, what wakes it for the end (-1: nothing), and when it must be done (INT64_MAX: never).
struct wire {
    int fd, stop_fd;
    int64_t deadline_ms;
};

static struct wire wire_of(int fd, int stop_fd, int timeout_ms)
{
    return (struct wire){fd, stop_fd, timeout_ms < 0 ? INT64_MAX : now_ms() + timeout_ms};
}

static enum error_code wire_wait(const struct wire *wire, short events, struct error *error)
{
    for (;;) {
        int64_t left = wire->deadline_ms == INT64_MAX ? -1 : wire->deadline_ms - now_ms();
        if (left <= 0 && wire->deadline_ms != INT64_MAX)
            return error_set(error, ERR_TIMEOUT, "%s", tr("no answer in time", "超时无应答"));
        struct pollfd fds[2] = {{.fd = wire->fd, .events = events}, {.fd = wire->stop_fd, .events = POLLIN}};
        int n = poll(fds, 2, left > INT_MAX ? INT_MAX : (int)left);
        if (n < 0 && errno != EINTR)
            return error_set_errno(error, ERR_IO, "poll");
        if (n > 0 && fds[1].revents)
            return error_set(error, ERR_STATE, "%s", tr("the node stops", "节点正在停止"));
        if (n > 0)
            return OK;
    }
}

static enum error_code gone(struct error *error)
{
    return error_set(error, ERR_NETWORK, "%s", tr("the other side closed the connection", "对方关闭了连接"));
}

static enum error_code wire_write(const struct wire *wire, const uint8_t *data, size_t size, struct error *error)
{
    while (size > 0) {
        ssize_t n = send(wire->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return gone(error);
        enum error_code code = wire_wait(wire, POLLOUT, error);
        if (code != OK)
            return code;
    }
    return OK;
}

static enum error_code wire_read(const struct wire *wire, uint8_t *data, size_t size, struct error *error)
{
    while (size > 0) {
        ssize_t n = recv(wire->fd, data, size, MSG_DONTWAIT);
        if (n > 0) {
            data += n;
            size -= (size_t)n;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 || errno != EAGAIN)
            return gone(error);
        enum error_code code = wire_wait(wire, POLLIN, error);
        if (code != OK)
            return code;
    }
    return OK;
}

static enum error_code send_frame(const struct wire *wire, struct bytes message, struct error *error)
{
    if (message.size > CONTROL_MESSAGE_MAX)
        return error_set(error, ERR_LIMIT, "%s", tr("the message is larger than 64 MiB", "消息超过 64 MiB"));
    uint8_t head[4];
    put_be32(head, (uint32_t)message.size);
    struct iovec parts[] = {{head, sizeof head}, {(void *)(uintptr_t)message.data, message.size}};
    struct msghdr both = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t n = sendmsg(wire->fd, &both, MSG_NOSIGNAL | MSG_DONTWAIT); // at once, so that the reader is woken once
    size_t sent = n > 0 ? (size_t)n : 0, of_head = sent < sizeof head ? sent : sizeof head;
    enum error_code code = wire_write(wire, head + of_head, sizeof head - of_head, error); // what is left, and why if that is all
    return code == OK ? wire_write(wire, message.data + (sent - of_head), message.size - (sent - of_head), error) : code;
}

static enum error_code receive_size(const struct wire *wire, uint32_t *ret, struct error *error)
{
    uint8_t head[4];
    enum error_code code = wire_read(wire, head, sizeof head, error);
    if (code != OK)
        return code;
    if (get_be32(head) > CONTROL_MESSAGE_MAX)
        return error_set(error, ERR_LIMIT, "%s", tr("the message is larger than 64 MiB", "消息超过 64 MiB"));
    *ret = get_be32(head);
    return OK;
}

// `pending` counts what has arrived, not what was claimed, over all connections; NULL: nobody counts. The caller takes ret->size off again.
static enum error_code receive_body(const struct wire *wire, uint32_t size, _Atomic size_t *pending, struct buffer *ret,
                                    struct error *error)
{
    while (size > 0) {
        uint32_t part = size < CHUNK ? size : CHUNK;
        if (pending && atomic_load(pending) + part > CONTROL_PENDING_MAX)
            return error_set(error, ERR_BUSY, "%s", tr("too many large requests at once", "同时到达的大请求过多"));
        uint8_t *place = buffer_extend(ret, part);
        if (!place)
            return error_set(error, ERR_MEMORY, "%s", tr("no memory for the message", "内存不足，无法接收消息"));
        if (pending)
            atomic_fetch_add(pending, part);
        enum error_code code = wire_read(wire, place, part, error);
        if (code != OK)
            return code;
        size -= part;
    }
    return OK;
}

enum error_code control_send(int socket, struct bytes message, int timeout_ms, struct error *error)
{
    struct wire wire = wire_of(socket, -1, timeout_ms);
    return send_frame(&wire, message, error);
}

enum error_code control_receive(int socket, int timeout_ms, struct buffer *ret, struct error *error)
{
    struct wire wire = wire_of(socket, -1, timeout_ms);
    uint32_t size = 0;
    enum error_code code = receive_size(&wire, &size, error);
    return code == OK ? receive_body(&wire, size, NULL, ret, error) : code;
}

// ---- the place: paths of sockets are short (108 bytes), directories need not be

struct place {
    int dir_fd;
    struct sockaddr_un address;
};

static enum error_code place_open(const char *dir, const char *file, struct place *ret, struct error *error)
{
    *ret = (struct place){.dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), .address.sun_family = AF_UNIX};
    if (ret->dir_fd < 0)
        return error_set_errno(error, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s", dir);
    size_t size = sizeof ret->address.sun_path;
    if ((size_t)snprintf(ret->address.sun_path, size, "%s/%s", dir, file) >= size)
        snprintf(ret->address.sun_path, size, "/proc/self/fd/%d/%s", ret->dir_fd, file);
    return OK;
}

static const struct sockaddr *address_of(const struct place *place) { return (const struct sockaddr *)(const void *)&place->address; }

static const char socket_name[] = "control.sock", new_name[] = "control.sock.new";

enum error_code control_connect(const char *dir, int *ret_socket, struct error *error)
{
    struct place place;
    enum error_code code = place_open(dir, socket_name, &place, error);
    if (code != OK)
        return code;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        code = error_set_errno(error, ERR_IO, "socket");
    } else if (connect(fd, address_of(&place), sizeof place.address) != 0) {
        code = errno == ENOENT || errno == ECONNREFUSED ? ERR_NOT_FOUND : errno == EAGAIN ? ERR_BUSY : ERR_IO;
        error_set_errno(error, code, "%s/%s", dir, socket_name);
        close(fd);
    } else {
        *ret_socket = fd;
    }
    close(place.dir_fd);
    return code;
}

// ---- the node's side

enum slot_state { SLOT_FREE, SLOT_RUNS, SLOT_DONE };

struct slot {
    struct control *control;
    pthread_t thread;
    _Atomic enum slot_state state;
    int fd;
};

struct control {
    struct control_config config;
    struct place place; // of the socket
    int listen_fd, stop_fd;
    pthread_t accepter;
    pthread_attr_t attributes;
    _Atomic size_t pending;                     // bytes of requests under way
    struct slot slots[CONTROL_CONNECTIONS_MAX]; // given out and taken back by the accepting thread
};

struct control_reply {
    const struct control *control;
    int fd;
    enum error_code code;
};

enum error_code control_answer(struct control_reply *reply, struct bytes message)
{
    if (reply->code != OK)
        return reply->code;
    struct wire wire =
        wire_of(reply->fd, reply->control->stop_fd, reply->control->config.send_ms); // a stuck reader does not hold up the end
    return reply->code = send_frame(&wire, message, NULL);
}

static void answer_failure(struct control_reply *reply, enum error_code failure)
{
    Sanji__Failure body = SANJI__FAILURE__INIT;
    body.code = failure;
    body.message = (char *)(uintptr_t)error_text(failure);
    Sanji__Reply message = SANJI__REPLY__INIT;
    message.reply_case = SANJI__REPLY__REPLY_FAILURE;
    message.failure = &body;
    struct buffer wire = {0};
    codec_pack(&message, &wire);
    if (!wire.failed)
        control_answer(reply, buffer_bytes(&wire));
    buffer_finish(&wire);
}

// One request and its answer. False: the connection ends.
static bool serve_one(struct control *control, int fd)
{
    struct control_reply reply = {control, fd, OK};
    struct wire wire = wire_of(fd, control->stop_fd, control->config.receive_ms);
    struct buffer request = {0};
    uint32_t size = 0;
    enum error_code code = receive_size(&wire, &size, NULL);
    if (code != OK) {
        if (code == ERR_LIMIT)
            answer_failure(&reply, code);
        return false;
    }
    code = receive_body(&wire, size, &control->pending, &request, NULL);
    if (code == ERR_BUSY)
        answer_failure(&reply, ERR_BUSY);
    if (code == OK)
        control->config.handle(control->config.context, buffer_bytes(&request), &reply);
    atomic_fetch_sub(&control->pending, request.size);
    buffer_finish(&request);
    return code == OK && reply.code == OK;
}

static void *serve(void *context)
{
    struct slot *slot = context;
    while (serve_one(slot->control, slot->fd))
        ;
    close(slot->fd);
    atomic_store(&slot->state, SLOT_DONE);
    return NULL;
}

static bool peer_allowed(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == geteuid() || peer.uid == 0);
}

static struct slot *free_slot(struct control *control)
{
    struct slot *free = NULL;
    for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++) {
        struct slot *slot = &control->slots[i];
        if (atomic_load(&slot->state) == SLOT_DONE) {
            pthread_join(slot->thread, NULL);
            atomic_store(&slot->state, SLOT_FREE);
        }
        if (!free && atomic_load(&slot->state) == SLOT_FREE)
            free = slot;
    }
    return free;
}

static void take_connection(struct control *control, int fd)
{
    if (!peer_allowed(fd)) {
        close(fd);
        return;
    }
    struct slot *slot = free_slot(control);
    if (slot) {
        slot->control = control;
        slot->fd = fd;
        atomic_store(&slot->state, SLOT_RUNS);
        if (pthread_create(&slot->thread, &control->attributes, serve, slot) == 0)
            return;
        atomic_store(&slot->state, SLOT_FREE);
    }
    struct control_reply reply = {control, fd, OK}; // a few bytes: they fit in the socket, so nobody waits
    answer_failure(&reply, ERR_BUSY);
    close(fd);
}

static void *accept_all(void *context)
{
    struct control *control = context;
    struct pollfd fds[2] = {{.fd = control->listen_fd, .events = POLLIN}, {.fd = control->stop_fd, .events = POLLIN}};
    for (;;) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[1].revents)
            return NULL;
        int fd = accept4(control->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            take_connection(control, fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
            struct pollfd stop = {.fd = control->stop_fd, .events = POLLIN}; // the connection stays queued: wait for others to end
            poll(&stop, 1, 1000);
        }
    }
}

static enum error_code place_socket(struct control *control, const char *dir, struct error *error)
{
    struct stat there;
    if (lstat(control->place.address.sun_path, &there) == 0 && !S_ISSOCK(there.st_mode))
        return error_set(error, ERR_EXISTS, tr("%s/%s is there and is no socket", "%s/%s 已存在，且不是套接字"), dir, socket_name);
    int other;
    if (control_connect(dir, &other, NULL) == OK) {
        close(other);
        return error_set(error, ERR_BUSY, tr("%s: a node already runs here", "%s：已有节点在此运行"), dir);
    }
    struct place fresh;
    enum error_code code = place_open(dir, new_name, &fresh, error);
    if (code != OK)
        return code;
    const char *path = fresh.address.sun_path;
    unlink(path);
    // mode and readiness first, then the name that clients look for
    if (bind(control->listen_fd, address_of(&fresh), sizeof fresh.address) != 0 || chmod(path, 0600) != 0 ||
        listen(control->listen_fd, CONTROL_CONNECTIONS_MAX) != 0 || rename(path, control->place.address.sun_path) != 0) {
        code = error_set_errno(error, ERR_IO, "%s/%s", dir, socket_name);
        unlink(path);
    }
    close(fresh.dir_fd);
    return code;
}

// Signals are the main thread's: threads made here take none.
static int start_thread(struct control *control)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = pthread_create(&control->accepter, &control->attributes, accept_all, control);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return problem;
}

static void release(struct control *control)
{
    if (control->listen_fd >= 0)
        close(control->listen_fd);
    if (control->stop_fd >= 0)
        close(control->stop_fd);
    close(control->place.dir_fd);
    pthread_attr_destroy(&control->attributes);
    free(control);
}

enum error_code control_start(const struct control_config *config, struct control **ret, struct error *error)
{
    struct place place;
    enum error_code code = place_open(config->dir, socket_name, &place, error);
    if (code != OK)
        return code;
    struct control *control = calloc(1, sizeof *control);
    if (!control) {
        close(place.dir_fd);
        return error_set(error, ERR_MEMORY, "%s", tr("no memory for the control socket", "内存不足，无法建立控制套接字"));
    }
    control->config = *config;
    control->config.dir = NULL;
    control->config.receive_ms = config->receive_ms ? config->receive_ms : CONTROL_RECEIVE_MS;
    control->config.send_ms = config->send_ms ? config->send_ms : CONTROL_SEND_MS;
    control->place = place;
    control->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    control->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_attr_init(&control->attributes);
    pthread_attr_setstacksize(&control->attributes, CONTROL_STACK);
    if (control->listen_fd < 0 || control->stop_fd < 0)
        code = error_set_errno(error, ERR_IO, "%s/%s", config->dir, socket_name);
    else
        code = place_socket(control, config->dir, error);
    if (code == OK && (errno = start_thread(control)) != 0) {
        code = error_set_errno(error, ERR_MEMORY, "%s", tr("no thread for the control socket", "无法为控制套接字创建线程"));
        unlink(control->place.address.sun_path);
    }
    if (code != OK) {
        release(control);
        return code;
    }
    *ret = control;
    return OK;
}

void control_stop(struct control *control)
{
    if (!control)
        return;
    unlink(control->place.address.sun_path);
    eventfd_write(control->stop_fd, 1); // is never read: it wakes every thread
    pthread_join(control->accepter, NULL);
    for (size_t i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
        if (atomic_load(&control->slots[i].state) != SLOT_FREE)
            pthread_join(control->slots[i].thread, NULL);
    release(control);
}
