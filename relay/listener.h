// Listening TCP sockets that can be paused, and the count of what descriptors are left.
//
// ZeroMQ 4.3.4 spins at full CPU when accept() fails for want of descriptors, and unbinding its listener cuts every connection that
// came by it. So the listening socket is ours: ZeroMQ accepts on a duplicate (ZMQ_USE_FD), and when room runs short the kernel is told
// to ignore new connections, what waits in the queue is closed here, and those that live go on. One owner thread.
#pragma once
#include "relay/endpoint.h"

struct listener {
    int fd; // -1: none
    bool paused;
    char endpoint[ENDPOINT_MAX]; // really bound, port filled in
    char reach[ENDPOINT_MAX];    // the same for a caller on this machine: loopback where every address is bound
};

// Opens, binds and listens; names are looked up (this may block, it is for the start). `error` may be NULL.
// ERR_INPUT: not an address, or a name that nobody knows; ERR_NETWORK: taken, not ours, or not allowed; ERR_LIMIT: no descriptors.
enum error_code listener_open(struct listener *listener, const char *endpoint, struct error *error);
void listener_close(struct listener *listener); // fd -1 is fine
// A duplicate to accept on, close-on-exec; the caller closes it. -1: no descriptors.
int listener_share(const struct listener *listener);
// The kernel drops new connection attempts from here on: to a caller the line looks slow, and its TCP tries again by itself.
void listener_pause(struct listener *listener);
void listener_resume(struct listener *listener);
// Closes what waits to be accepted; returns how many. Works without any free descriptor, too.
unsigned listener_drain(struct listener *listener);

// How many descriptors the process may still open.
struct room {
    long keep;        // fewer free than this: stop accepting
    long limit, free; // of the last count; free is an estimate since
    uint64_t counted_ms;
};

void room_init(struct room *room, uint64_t now_ms);
void room_count(struct room *room, uint64_t now_ms);  // counts anew
void room_change(struct room *room, int connections); // so many came (or went, negative): a cheap, cautious estimate
