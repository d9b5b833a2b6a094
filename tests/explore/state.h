// Three real cores in a chain, with the thinnest shell that keeps what relay/ promises around them: a disk that changes at commits only, a
// writer that is told apart from what has been told, lines that keep the order and lose everything with the connection. One flat struct,
// so that a state is copied with one assignment and the search can go back to it.
//
// Times are each station's own and move only when a timer is let run out, so every order of timers over the stations is tried. What
// depends on the clock alone (when a timer is due, the measured trip) is no part of a state's name (state.c).
#pragma once
#include <stdio.h>

#include "relay/core/link.h"

enum {
    STATIONS = 3, // 0 is the top; station i dials i - 1 over line i
    ENDS = 2,     // a station's links: 0 to the parent, 1 to the child
    CONTENTS_MAX = 6,
    JOBS_MAX = 16,
    QUEUE_MAX = 14,
    CORE_BYTES = 14 * 1024,
    STORY_MAX = 256,
};

// What is recorded, in this order for each feed (origin, stream, lane).
struct content {
    uint8_t origin, stream, lane;
    uint16_t size;
};

// A row that arrives piece by piece.
struct part {
    uint64_t generation, after, position; // position 0: none
    uint32_t size, offset;
    uint8_t content;
};

struct channel_disk {
    struct core_mark mark; // ours on the peer's stream
    struct part staged;
    uint8_t rows[CONTENTS_MAX], count; // our stream: contents
};
struct disk {
    uint64_t generation;
    uint64_t starts; // 0: restored, and waiting for another incarnation
    struct channel_disk ends[ENDS][CORE_CHANNELS];
    uint32_t held; // a bit for each content
};

enum job_kind { JOB_ARRIVAL, JOB_STAGE, JOB_UNSTAGE };
struct job {
    enum job_kind kind;
    uint8_t end, channel;
    uint64_t session;
    struct part part;
    uint32_t fault; // when done: FAULT_NONE, or why it was refused
    struct core_mark mark;
};

struct station {
    _Alignas(16) uint8_t core[CORE_BYTES];
    struct disk disk, backup; // backup: before the last commit that changed something
    uint64_t clock_ms;
    uint64_t session[ENDS], peer_session[ENDS], route[ENDS]; // route: connection that answers go to
    struct part parts[ENDS][CORE_CHANNELS];
    uint32_t known[ENDS][CORE_CHANNELS]; // contents that the peer says it holds
    bool asked[ENDS][CORE_CHANNELS];
    struct job jobs[JOBS_MAX], done[JOBS_MAX]; // with the writer; committed, and not told yet
    uint32_t job_count, done_count;
    bool grown; // a stream has grown, and the core was not told yet
};

struct message {
    struct core_event event; // a hello's is in the queue
    uint8_t content;         // of a piece
    uint32_t held;           // of heads
};
struct queue {
    uint32_t count;
    struct message messages[QUEUE_MAX];
    struct core_hello hello; // at most one is on its way
};
struct line {                    // between station i and its parent i - 1
    uint64_t connection;         // 0: none
    bool dialing, broken;        // broken: the child has not noticed yet
    struct queue up, down, late; // late: of a connection before, and still arriving
};

struct budget {
    uint8_t cuts, crashes, restores, lapses, repeats, refusals;
};

struct state {
    struct station stations[STATIONS];
    struct line lines[STATIONS]; // [0] unused
    struct budget budget;        // what may still go wrong
    uint64_t fresh;              // for sessions, connections and generations
    uint32_t recorded;           // contents
    bool restored;               // once
};

enum plant { PLANT_NONE, PLANT_EARLY_ACK, PLANT_LOST_ROW };

// The one state at hand: cores point into it, so states are copied to and from here.
extern struct state now;
extern const struct content *contents;
extern uint32_t content_count;
extern enum plant plant;
extern char violation[STORY_MAX]; // empty: none
extern FILE *story;               // NULL: nobody listens
extern uint32_t story_lines;      // after so many nobody does; 0: no end

void violate(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

// ---- inside.c
const struct link *core_links(const void *core); // of struct core, which is private to core.c

// ---- state.c
void state_init(const struct budget *budget);
uint64_t state_name(void); // of the state at hand: equal for states that differ only in names of sessions and in times
const struct link *state_link(unsigned station, unsigned end); // the core's, to look at; NULL: it has none
bool state_settled(void); // everything recorded is everywhere it is for, acknowledged, and nothing is under way

// ---- shell.c
void shell_start(unsigned station); // a core on what the disk has
void shell_step(unsigned station, struct core_event event, const struct message *message);
void shell_commit(unsigned station, bool refuse);
void shell_told(unsigned station);
void shell_record(unsigned content);
void shell_break(unsigned child, bool late); // the connection is gone; `late`: what the child had sent still arrives

// ---- actions.c
enum action_kind {
    ACTION_RECORD,
    ACTION_OPEN,
    ACTION_UP,
    ACTION_DOWN,
    ACTION_LATE,
    ACTION_COMMIT,
    ACTION_TOLD,
    ACTION_NOTICE,
    ACTION_TICK,
    ACTION_CUT,
    ACTION_CUT_LATE,
    ACTION_REPEAT_UP,
    ACTION_REPEAT_DOWN,
    ACTION_CRASH,
    ACTION_RESTORE,
    ACTION_LAPSE,
    ACTION_REFUSE,
    ACTION_KINDS
};
enum { ACTIONS = ACTION_KINDS * CONTENTS_MAX }; // kind and station, line or content
bool action_possible(unsigned action);
void action_perform(unsigned action);
void action_describe(unsigned action, char text[64]);
// Goes on without faults until everything is settled or `known` says of a state's name that it is; false: it never is.
bool actions_settle(bool (*known)(uint64_t name), void (*passed)(uint64_t name), uint64_t *steps);
