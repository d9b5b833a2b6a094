#include "relay/inflow.h"

#include <linux/tcp.h> // glibc's own struct tcp_info ends before tcpi_bytes_received
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { SIZE_FIRST = 64 };

void inflow_finish(struct inflow *inflow)
{
    free(inflow->lines);
    *inflow = (struct inflow){0};
}

static bool grow(struct inflow *inflow, uint32_t wanted)
{
    uint32_t size = inflow->size ? inflow->size : SIZE_FIRST;
    while (size < wanted)
        size *= 2;
    if (size == inflow->size)
        return true;
    struct inflow_line *lines = realloc(inflow->lines, size * sizeof *lines);
    if (!lines)
        return false;
    memset(lines + inflow->size, 0, (size - inflow->size) * sizeof *lines);
    inflow->lines = lines;
    inflow->size = size;
    return true;
}

static struct inflow_line *find(struct inflow *inflow, int fd)
{
    return fd >= 0 && (uint32_t)fd < inflow->size && inflow->lines[fd].watched ? &inflow->lines[fd] : NULL;
}

bool inflow_came(struct inflow *inflow, int fd, bool called)
{
    if (fd < 0 || !grow(inflow, (uint32_t)fd + 1))
        return false;
    inflow->count += !inflow->lines[fd].watched;
    inflow->lines[fd] = (struct inflow_line){.watched = true, .silent = called};
    return true;
}

void inflow_went(struct inflow *inflow, int fd)
{
    struct inflow_line *line = find(inflow, fd);
    if (!line)
        return;
    line->watched = false;
    inflow->count--;
}

void inflow_whole(struct inflow *inflow, int fd)
{
    struct inflow_line *line = find(inflow, fd);
    if (line) {
        line->whole = true;
        line->silent = false;
    }
}

// What the connection holds, by the kernel's count. 0 for what is no TCP connection any more: its owner will hear of its end.
static uint64_t held(struct inflow_line *line, int fd)
{
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || size < offsetof(struct tcp_info, tcpi_bytes_received) + 8)
        return 0;
    if (line->whole || info.tcpi_bytes_received < line->base) // fewer: the number was given to another connection meanwhile
        line->base = info.tcpi_bytes_received;
    line->whole = false;
    return info.tcpi_bytes_received - line->base;
}

// Should ZeroMQ have closed this one and taken another by the same number in this very moment, that one breaks instead, and dials again.
static void cut(struct inflow *inflow, int fd)
{
    shutdown(fd, SHUT_RDWR);
    inflow_went(inflow, fd);
}

unsigned inflow_look(struct inflow *inflow, unsigned *ret_again_ms)
{
    unsigned cuts = 0;
    *ret_again_ms = INFLOW_LOOK_MS;
    for (;;) { // each further turn has one connection less
        uint64_t all = 0, most = 0;
        int worst = -1;
        for (uint32_t fd = 0; fd < inflow->size; fd++) {
            uint64_t bytes = inflow->lines[fd].watched ? held(&inflow->lines[fd], (int)fd) : 0;
            all += bytes;
            if (bytes > most) {
                most = bytes;
                worst = (int)fd;
            }
        }
        if (most > INFLOW_SOME)
            *ret_again_ms = INFLOW_LOOK_SOON_MS;
        if (most <= INFLOW_LINE_MAX && all <= INFLOW_ALL_MAX)
            return cuts;
        cut(inflow, worst);
        cuts++;
    }
}

unsigned inflow_shed(struct inflow *inflow, unsigned count)
{
    unsigned cuts = 0;
    for (uint32_t fd = inflow->size; fd-- > 0 && cuts < count;)
        if (inflow->lines[fd].watched && inflow->lines[fd].silent) {
            cut(inflow, (int)fd);
            cuts++;
        }
    return cuts;
}
