// The connections of the link endpoint, by the routing id that ZeroMQ gave each, with what repeats on them. One owner thread.
// Zero-initialised is none.
#pragma once
#include "relay/repeats.h"

enum {
    LINES_MAX = 4 * CHILDREN_MAX, // a child may have one, and some that it gave up and the kernel still holds
    LINES_BUCKETS = 1024,         // four to a bucket, with all children there
};

struct line {
    struct line *next;
    uint32_t id;
    int fd;
    bool broken; // something of it was lost: nothing more is taken from it
    struct repeats in, out;
};
struct lines {
    struct line *buckets[LINES_BUCKETS];
    uint32_t count;
};
void lines_finish(struct lines *lines);
struct line *lines_find(const struct lines *lines, uint32_t id); // NULL: unknown
// One that is not there yet. NULL: no memory, or too many.
struct line *lines_add(struct lines *lines, uint32_t id, int fd);
// The connection with that descriptor went: forgets what came by it.
void lines_went(struct lines *lines, int fd);
