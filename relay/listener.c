#include "relay/listener.h"
#include "relay/language.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/filter.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    BACKLOG = 1024,   // 1,300 children may call in the same second
    DRAIN_MAX = 8192, // connections closed in one go: some backlogs' worth, then the owner's other work gets its turn
    KEEP_MAX = 64,    // free descriptors: the store, the web server and one burst of accepts
    KEEP_SHARE = 16,  // of the limit, where the limit is small
    KEEP_MIN = 4,
};

static enum error_code refuse(struct error *error, const char *endpoint)
{
    bool room = errno == EMFILE || errno == ENFILE;
    return error_set_errno(error, room ? ERR_LIMIT : ERR_NETWORK, tr("cannot listen on %s", "无法监听 %s"), endpoint);
}

static enum error_code resolve(const struct endpoint *endpoint, const char *text, struct sockaddr_storage *ret, socklen_t *ret_size,
                               struct error *error)
{
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons(endpoint->port)};
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(endpoint->port)};
    if (endpoint->kind == ENDPOINT_IPV6) {
        inet_pton(AF_INET6, endpoint->host, &six.sin6_addr);
        memcpy(ret, &six, sizeof six);
        *ret_size = sizeof six;
        return OK;
    }
    if (endpoint->kind == ENDPOINT_IPV4) {
        inet_pton(AF_INET, endpoint->host, &four.sin_addr);
    } else if (endpoint->kind == ENDPOINT_NAME) {
        struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM}, *found = NULL;
        int result = getaddrinfo(endpoint->host, NULL, &hints, &found);
        if (result != 0)
            return error_set(error, ERR_INPUT, tr("%s: no address for this name: %s", "%s：该名称没有地址：%s"), text,
                             gai_strerror(result));
        memcpy(&four.sin_addr, &((struct sockaddr_in *)(void *)found->ai_addr)->sin_addr, sizeof four.sin_addr);
        freeaddrinfo(found);
    }
    memcpy(ret, &four, sizeof four);
    *ret_size = sizeof four;
    return OK;
}

// Fills in the addresses from what the kernel bound.
static bool describe(struct listener *listener)
{
    struct sockaddr_storage address = {0};
    socklen_t size = sizeof address;
    if (getsockname(listener->fd, (struct sockaddr *)&address, &size) != 0)
        return false;
    char host[INET6_ADDRSTRLEN];
    if (address.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)&address;
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        unsigned port = ntohs(six->sin6_port);
        snprintf(listener->endpoint, sizeof listener->endpoint, "tcp://[%s]:%u", host, port);
        bool any = IN6_IS_ADDR_UNSPECIFIED(&six->sin6_addr);
        snprintf(listener->reach, sizeof listener->reach, "tcp://[%s]:%u", any ? "::1" : host, port);
        return true;
    }
    const struct sockaddr_in *four = (const void *)&address;
    inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
    unsigned port = ntohs(four->sin_port);
    snprintf(listener->endpoint, sizeof listener->endpoint, "tcp://%s:%u", host, port);
    bool any = four->sin_addr.s_addr == htonl(INADDR_ANY);
    snprintf(listener->reach, sizeof listener->reach, "tcp://%s:%u", any ? "127.0.0.1" : host, port);
    return true;
}

enum error_code listener_open(struct listener *listener, const char *text, struct error *error)
{
    struct endpoint endpoint;
    struct sockaddr_storage address = {0};
    socklen_t size = 0;
    enum error_code code = endpoint_parse(text, &endpoint, error);
    if (code == OK)
        code = resolve(&endpoint, text, &address, &size, error);
    if (code != OK)
        return code;
    // Never blocking: two threads accept on it, and the other may have been faster.
    struct listener opened = {.fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    int yes = 1; // a restarted node takes its address back at once
    if (opened.fd < 0 || setsockopt(opened.fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
        bind(opened.fd, (struct sockaddr *)&address, size) != 0 || listen(opened.fd, BACKLOG) != 0 || !describe(&opened)) {
        code = refuse(error, text);
        listener_close(&opened);
        return code;
    }
    *listener = opened;
    return OK;
}

void listener_close(struct listener *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}

int listener_share(const struct listener *listener) { return fcntl(listener->fd, F_DUPFD_CLOEXEC, 3); }

void listener_pause(struct listener *listener)
{
    // One instruction: keep nothing of any packet. Filters hold for handshakes only; connections that are up have their own sockets.
    struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &drop};
    if (listener->fd < 0 || listener->paused)
        return;
    // Where the kernel has no filters, draining each second must do.
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    listener->paused = true;
}

void listener_resume(struct listener *listener)
{
    int unused = 0;
    if (listener->fd < 0 || !listener->paused)
        return;
    (void)setsockopt(listener->fd, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
    listener->paused = false;
}

static unsigned drain(int listening)
{
    unsigned count = 0;
    while (count < DRAIN_MAX) {
        int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0) {
            close(fd);
            count++;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            break;
        }
    }
    return count;
}

struct apart {
    int listening;
    unsigned count;
};

// Without a free descriptor nothing can be accepted, so nothing can be closed, and whatever is freed ZeroMQ's thread takes at once. A
// thread of its own leaves the common table of descriptors and frees one in its copy; the copy goes when it ends.
static void *drain_apart(void *argument)
{
    struct apart *apart = argument;
    bool left = syscall(SYS_close_range, STDIN_FILENO, STDIN_FILENO, CLOSE_RANGE_UNSHARE) == 0;
    if (!left && unshare(CLONE_FILES) == 0) // Linux before 5.11
        left = close(STDIN_FILENO) == 0;
    if (left)
        apart->count = drain(apart->listening);
    return NULL;
}

unsigned listener_drain(struct listener *listener)
{
    pthread_t thread;
    struct apart apart = {.listening = listener->fd};
    unsigned count = listener->fd < 0 ? 0 : drain(listener->fd);
    if (listener->fd < 0 || (errno != EMFILE && errno != ENFILE))
        return count;
    if (pthread_create(&thread, NULL, drain_apart, &apart) == 0)
        pthread_join(thread, NULL);
    return count + apart.count;
}

static long limit(void)
{
    struct rlimit limits;
    if (getrlimit(RLIMIT_NOFILE, &limits) != 0 || limits.rlim_cur > INT32_MAX)
        return INT32_MAX;
    return (long)limits.rlim_cur;
}

// No more than this are free: numbers are given out from below. 0: none.
static long most_free(long limits)
{
    int lowest = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
    if (lowest < 0)
        return errno == EMFILE ? 0 : limits;
    close(lowest);
    return limits - lowest;
}

// Free descriptors of this process; 0 when even the question fails for want of one.
static long count_free(long limits)
{
    DIR *dir = opendir("/proc/self/fd");
    if (!dir)
        return errno == EMFILE || errno == ENFILE ? 0 : most_free(limits);
    long used = -3; // ".", ".." and the directory itself
    while (readdir(dir))
        used++;
    closedir(dir);
    return limits - used;
}

void room_count(struct room *room, uint64_t now_ms)
{
    room->limit = limit();
    room->free = count_free(room->limit);
    room->counted_ms = now_ms;
}

void room_init(struct room *room, uint64_t now_ms)
{
    room_count(room, now_ms);
    room->keep = room->limit / KEEP_SHARE;
    if (room->keep < KEEP_MIN)
        room->keep = KEEP_MIN;
    if (room->keep > KEEP_MAX)
        room->keep = KEEP_MAX;
}

void room_change(struct room *room, int connections)
{
    room->free -= connections;
    long most = connections > 0 ? most_free(room->limit) : room->free; // others take descriptors too
    if (most < room->free)
        room->free = most;
}
