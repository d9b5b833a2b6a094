// What connections bring without ever completing a message: bounded here, because ZeroMQ 4.3.4 keeps the parts of a message until its
// last one has come, without limit and without a word (its marks count whole messages). A connection is one ordered stream, so while a
// message is not complete nothing else comes out of it: what the kernel has received on a connection since a message was last taken from
// it is, but for the messages that may wait in its pipe, what such a message holds by now.
//
// One owner thread. Zero-initialised is one that watches nothing.
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum {
    // Bytes of one connection: 256 messages and bodies of 32 KiB each may wait in its pipe, and the kernel's buffer may be full (6 MiB).
    INFLOW_LINE_MAX = 32 * 1024 * 1024,
    INFLOW_ALL_MAX = 256 * 1024 * 1024, // bytes of all: four times the pool that all children together have credit for
    INFLOW_SOME = 4 * 1024 * 1024,      // bytes of one connection: from here on it is looked at often
    INFLOW_LOOK_MS = 250,               // else: four times a second for some microseconds, and on loopback 50 MiB come meanwhile;
    INFLOW_LOOK_WORK_MS = 20,           // not before the process has worked so long since (pulse.h): 20 MiB cost that much
    INFLOW_LOOK_SOON_MS = 50,           // a gigabit line brings 6 MiB meanwhile
};

struct inflow_line {
    bool watched, whole; // `whole`: a message came out of it since the last look
    bool silent;         // whoever called has not said anything yet
    uint64_t base;       // bytes received when it was last known to be at a message's end
};

struct inflow {
    struct inflow_line *lines; // by descriptor
    uint32_t size, count;      // of `lines`; those watched
};

void inflow_finish(struct inflow *inflow);
// A connection came, by this descriptor; one that it had before is forgotten. `called`: by the other end's will, not by ours. False: no
// memory, it can't be watched.
bool inflow_came(struct inflow *inflow, int fd, bool called);
void inflow_went(struct inflow *inflow, int fd);  // one that is not watched is fine
void inflow_whole(struct inflow *inflow, int fd); // a message was taken that came by it; the same

// Shuts down each connection that holds more than INFLOW_LINE_MAX, and the worst ones while all hold more than INFLOW_ALL_MAX: whoever
// owns the descriptor sees the line break, and frees what it gathered. Returns how many; `ret_again_ms`: when to look again.
unsigned inflow_look(struct inflow *inflow, unsigned *ret_again_ms);
// Shuts down up to `count` connections of callers that have not said anything yet, the latest first: for when descriptors run out. Who is
// enrolled and was in the middle of its handshake calls again. Returns how many.
unsigned inflow_shed(struct inflow *inflow, unsigned count);
