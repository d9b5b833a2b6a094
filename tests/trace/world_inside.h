// The inside of a world, for its own files: world.c (clock, faults, making), world_shell.c (what a station's shell does), world_story.c.
#pragma once
#include <stdio.h>
#include <stdlib.h>

#include "tests/trace/world.h"

enum { LINKS_MAX = WORLD_STATIONS_MAX, NEST_MAX = 6 };

struct row {
    uint32_t content, size;
    bool bodiless;
};

struct stream {
    struct row *rows;
    uint32_t count;
};

struct part { // a row arriving piece by piece
    uint64_t generation, position;
    uint32_t content, size, offset;
    bool bodiless, on_disk;
};

struct half { // one end of a link
    unsigned peer;
    uint32_t peer_link;
    uint64_t session;
    struct stream streams[CORE_CHANNELS]; // ours to the peer
    struct core_mark marks[CORE_CHANNELS], acknowledged[CORE_CHANNELS];
    struct part parts[CORE_CHANNELS];
    uint32_t *received[CORE_CHANNELS];
    uint32_t received_count[CORE_CHANNELS];
    uint64_t free_ms;    // the line towards the peer is busy until then
    uint64_t connection; // number; 0: none
    uint64_t dead;       // number of a connection that was mute once: nothing arrives on it any more
    uint64_t due_ms;     // arrival of the last message: a connection keeps the order
    bool urgent_waits;
    uint32_t urgent_behind;
};

struct station {
    char name[24];
    struct core *core;
    uint64_t generation, starts;
    uint64_t dialed; // number of the connection dialed last; 0: hung up
    uint32_t pool, commit_ms, refuse;
    uint32_t links; // in use: 0 parent, then children
    struct half halves[LINKS_MAX];
    struct world_line line; // to the parent
    bool held[WORLD_ROWS_MAX], body_held[WORLD_ROWS_MAX];
};

struct message {
    struct core_event event;
    struct core_hello hello;
    uint32_t content;
    bool bodiless;
};

struct happening {
    uint64_t due_ms, order;
    enum { MESSAGE, OPENED, CLOSED, COMMIT } kind;
    unsigned station; // where it happens
    uint32_t link;
    uint64_t connection, starts;
    bool made;               // CLOSED: it had been there
    struct message *message; // MESSAGE
    unsigned channel;        // COMMIT
    struct part part;
};

struct world {
    uint64_t now_ms, order, random, connections;
    uint32_t contents, pool;
    bool story, pings;
    unsigned count;
    struct station *stations[WORLD_STATIONS_MAX];
    struct happening *heap;
    uint32_t heap_count, heap_room;
    char *text;
    size_t text_size, text_room;
    struct core_updates *updates[NEST_MAX];
    unsigned nested;
    struct world_count counts;
};

void *world_must(void *memory); // aborts on NULL
uint64_t world_draw(struct world *world);

// ---- world_story.c
const char *world_channel_name(unsigned channel, char name[32]);
void world_describe(const struct message *message, char *text, size_t room);
const char *world_fault_name(uint32_t fault);

// ---- world.c
void world_plan(struct world *world, struct happening happening);
struct half *world_other_half(struct world *world, const struct half *half);
void world_send(struct world *world, unsigned from, uint32_t link, struct message message);
void world_connection_over(struct world *world, unsigned child, bool tell);

// ---- world_shell.c
void world_step(struct world *world, unsigned index, const struct core_event *given);
// `message`: the one that the event came by, or NULL.
void world_step_with(struct world *world, unsigned index, struct core_event *event, const struct message *message);
