// The transport's inside: what transport.c (what arrives and is sent) and transport_listen.c (who may come in, and the room for it)
// share.
#pragma once
#include "relay/gate.h"
#include "relay/inflow.h"
#include "relay/lines.h"
#include "relay/listener.h"
#include "relay/pulse.h"
#include "relay/transport.h"
#include "relay/zeromq.h"

#include <stdatomic.h>
#include <time.h>

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
    atomic_bool woken, beaten; // why: transport_wake(), the pulse
    struct pulse *pulse;       // NULL: there is none, the clock does

    unsigned ready, turn; // sources that may have something, and what is left of the current one's turn
    enum source current;
    struct zeromq_message message;   // the last one handed out
    uint8_t plain[REPEATS_SIZE_MAX]; // what it was the difference for
    struct lines lines;
    struct repeats in[TRANSPORT_DIALS], out[TRANSPORT_DIALS];

    bool connected[TRANSPORT_DIALS];
    struct public_key servers[TRANSPORT_DIALS];
    char detail[400];

    struct inflow inflow, knocks;  // of links, both ways; of the join endpoint
    int dial_fds[TRANSPORT_DIALS]; // -1: none
    uint64_t look_ms, looked_ms;   // at it, next; UINT64_MAX: at the next beat, if there is anything. The last time

    struct room room;
    bool changed;             // connections came or went since the last count
    uint64_t tick_ms;         // next one; UINT64_MAX: none
    struct gate gate;         // of the join endpoint
    uint32_t join_generation; // in the upper half of what is to be answered on; of links it is 1
    struct transport_counts counts;
};

enum served { SERVED_NOTHING, SERVED_INSIDE, SERVED_EVENT };

static inline uint64_t transport_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static inline uint64_t transport_now_ms(void) { return transport_now_us() / 1000; }

static inline void transport_close_source(struct transport *transport, enum source source, enum source watch)
{
    zeromq_close(&transport->sockets[source], &transport->sockets[watch]);
    transport->ready &= ~(1u << source | 1u << watch);
}

// transport_listen.c
bool transport_open_link(struct transport *transport);
bool transport_open_join(struct transport *transport);
enum served transport_serve_handler(struct transport *transport);                  // one handshake
enum served transport_serve_watch(struct transport *transport, enum source watch); // a connection of a listener came or went
// What is due: room for descriptors, the join endpoint's lease, messages without an end. Sets `tick_ms` and `look_ms`.
void transport_tend(struct transport *transport);
