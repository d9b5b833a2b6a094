// A small world for the core: stations with a fake store, lines with rate, delay and faults, one clock. Production code is the core only;
// everything here stands in for the shell, as plainly as it can.
//
// The same seed and calls give the same story. A world with `story` writes each step as a readable line.
#pragma once
#include "relay/core/core.h"

enum {
    WORLD_STATIONS_MAX = 12,
    WORLD_ROWS_MAX = 4096, // contents in one world
    WORLD_NONE = 255,
};

enum line_state {
    LINE_UP,
    LINE_DOWN, // connections break at once and can't be made
    LINE_MUTE, // half-open: nothing arrives, nobody is told
};

struct world_line {
    enum line_state state;
    uint32_t delay_ms;
    uint32_t rate;           // bytes a second each way; 0: without limit
    uint32_t lose_in_1000;   // messages lost inside a living connection
    uint32_t repeat_in_1000; // messages delivered twice
};

struct world;
struct world *world_create(uint64_t seed, bool story);
void world_destroy(struct world *world);
// A station below `parent` (WORLD_NONE: the top). Its links are added at once.
unsigned world_station(struct world *world, const char *name, unsigned parent);
void world_pool(struct world *world, uint32_t bytes); // of stations made from here on
struct world_line *world_line(struct world *world, unsigned child);
void world_cut(struct world *world, unsigned child); // the present connection breaks, the line stays
// Appends a row to a stream, committed. `peer`: the child of a DOWN_ONE stream. `bodiless`: the body is withheld. Returns the content's
// number.
uint32_t world_append(struct world *world, unsigned station, unsigned stream, unsigned lane, unsigned peer, uint32_t size, bool bodiless);
void world_restart(struct world *world, unsigned station); // crash and start: what was committed stays
// Restored from an old backup: its last `rows` rows of each stream are lost, its journal has a new generation.
void world_restore(struct world *world, unsigned station, uint32_t rows);
// What it received is as it was `rows` rows of each stream ago, under the same generation of its own.
void world_forget(struct world *world, unsigned station, uint32_t rows);
void world_stray(struct world *world, unsigned from, unsigned to, const struct core_event *event); // a message that nobody sent
void world_refuse_next(struct world *world, unsigned station, uint32_t fault); // the next row that arrives whole is not stored
void world_commit_ms(struct world *world, unsigned station, uint32_t ms);
void world_run(struct world *world, uint64_t ms);
// Runs until every stream is acknowledged to its end, at most `ms`; returns whether it is.
bool world_settle(struct world *world, uint64_t ms);
uint64_t world_now(const struct world *world);

void world_pings(struct world *world, bool told); // whether the story has them
void world_say(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *world_story(const struct world *world);

// What `station` committed of the stream that `from` sends it, in the order of first commit. Returns how many.
uint32_t world_received(const struct world *world, unsigned station, unsigned from, unsigned stream, unsigned lane, const uint32_t **ret);
uint32_t world_sent(const struct world *world, unsigned station, unsigned to, unsigned stream, unsigned lane, const uint32_t **ret);
// Status of the link between a station and its child, seen from either side.
bool world_link(const struct world *world, unsigned station, unsigned peer, struct core_link_status *ret);

struct world_count {
    uint32_t dials, hellos, pieces, bytes, acks, alarms[8], commits, repeats; // repeats: rows that were committed already
    uint32_t urgent_behind_max; // most pieces of other lanes sent while an urgent row was loaded and window left
    uint32_t over_window;       // steps after which more was in flight than the bound
    uint32_t acks_beyond;       // acknowledgements of what was not committed: must stay 0
};
const struct world_count *world_count(const struct world *world);
