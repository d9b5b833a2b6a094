#include "relay/transport_inside.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TICK_MS = 1000,  // while short of room, or while somebody is on the join endpoint; never else
    RECOUNT_MS = 50, // counting descriptors takes some ms when there are thousands
};
static_assert(GATE_LEASE_MS > 2 * ZEROMQ_HANDSHAKE_MS, "an exchange fits in a lease");

// ---- who may come in -------------------------------------------------------------------------------------------------------------

static enum zeromq_verdict judge(struct transport *transport, const struct zeromq_handshake *handshake)
{
    if (handshake->valid && strcmp(handshake->domain, "link") == 0 &&
        transport->config.enrolled(transport->config.context, &handshake->key))
        return ZEROMQ_ACCEPT;
    if (handshake->valid && strcmp(handshake->domain, "join") == 0) {
        if (gate_admit(&transport->gate, transport_now_us()))
            return ZEROMQ_ACCEPT;
        transport->counts.limited++;
        return ZEROMQ_LATER;
    }
    transport->counts.refused++;
    return ZEROMQ_REFUSE;
}

enum served transport_serve_handler(struct transport *transport)
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

bool transport_open_join(struct transport *transport)
{
    transport->join_generation++;
    return open_router(transport, SOURCE_JOIN, SOURCE_JOIN_WATCH, &transport->join, "join");
}

bool transport_open_link(struct transport *transport)
{
    return open_router(transport, SOURCE_LINK, SOURCE_LINK_WATCH, &transport->link, "link");
}

static void close_join(struct transport *transport)
{
    transport->counts.renewed += transport->sockets[SOURCE_JOIN] != NULL;
    transport_close_source(transport, SOURCE_JOIN, SOURCE_JOIN_WATCH);
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
        (void)transport_open_join(transport); // should it fail, the next tick tries again
}

// Cuts who brings a message without an end. While all are quiet a look is due only after a beat, and INFLOW_LOOK_MS after the last one.
static void tend_links(struct transport *transport, uint64_t now)
{
    if (transport->inflow.count == 0 && transport->knocks.count == 0) {
        transport->look_ms = UINT64_MAX;
        return;
    }
    if (transport->look_ms == UINT64_MAX && (atomic_exchange(&transport->beaten, false) || !transport->pulse))
        transport->look_ms = transport->looked_ms + INFLOW_LOOK_MS;
    if (now < transport->look_ms)
        return;
    unsigned links_ms, knocks_ms;
    transport->counts.endless += inflow_look(&transport->inflow, &links_ms) + inflow_look(&transport->knocks, &knocks_ms);
    unsigned again_ms = links_ms < knocks_ms ? links_ms : knocks_ms;
    transport->looked_ms = now;
    transport->look_ms = again_ms < INFLOW_LOOK_MS ? now + again_ms : UINT64_MAX;
}

void transport_tend(struct transport *transport)
{
    uint64_t now = transport_now_ms();
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

enum served transport_serve_watch(struct transport *transport, enum source watch)
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
    if (change < 0 && watch == SOURCE_LINK_WATCH)
        lines_went(&transport->lines, fd);
    if (change < 0)
        return SERVED_INSIDE;
    if (!inflow_came(inflow, fd, true))
        shutdown(fd, SHUT_RDWR); // there is no memory to watch it with: it will dial again
    if (transport->room.free < transport->room.keep && !transport->counts.short_of_room)
        transport_tend(transport); // now: ZeroMQ's thread goes on accepting
    return SERVED_INSIDE;
}
