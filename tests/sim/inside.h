// The simulator's own structures. One world at a time in a process: what production code calls (clock_gettime, transport_*) finds it
// through `world`.
#pragma once
#include <stdio.h>

#include "node/apply.h"
#include "node/ledger.h"
#include "relay/engine.h"
#include "relay/incarnation.h"
#include "relay/link_wire.h"
#include "relay/store_memory.h"
#include "tests/sim/model.h"
#include "tests/sim/sim.h"

enum {
    RING_MAX = 48,        // last steps, for the story of a failure
    PIPE_MESSAGES = 1024, // as ZMQ_SNDHWM
    MATTER_FAULT = 1,     // of random_apart()
    MATTER_WORK = 2,
    OLD_MAX = 8, // messages a liar keeps
    TWINS_MAX = 2,
    ROTTEN_MAX = 1000,
    URGENT_BEHIND_MAX = 12, // times that other lanes may send while an urgent row waits: see check_urgent.c
};

// ---- what will happen
enum happening_kind {
    HAPPENS_TURN,   // a station's engine has something to do
    HAPPENS_COMMIT, // a station's writer runs
    HAPPENS_PIPE,   // messages reach the end of a line
    HAPPENS_OPENED, // a dial succeeded or failed
    HAPPENS_CLOSED,
    HAPPENS_WORK,    // a station records something
    HAPPENS_FAULT,   // the next fault is injected
    HAPPENS_START,   // a stopped station starts again
    HAPPENS_UNBLOCK, // a line's partition ends
    HAPPENS_SCRUB,   // a station looks for damage
    HAPPENS_END,     // a clone is turned off for good
    HAPPENS_STOP,    // a station stops, as by kill -9
    HAPPENS_LATE,    // what an older connection carried is read now
};
struct happening {
    uint64_t at, order;
    enum happening_kind kind;
    uint32_t site;
    uint64_t tag; // start or connection that it belongs to: ignored when another one is
    unsigned side;
};

// ---- lines
#define JOIN_ENDPOINT "sim join"
struct parcel { // one message on the line
    struct parcel *next;
    uint64_t due, connection; // connection: of one that comes late
    uint32_t piece_bytes;
    bool join; // of the join endpoint
    struct buffer message, body;
};
enum side { SIDE_UP, SIDE_DOWN }; // from the child, from the parent
struct pipe {
    struct parcel *first, **last;
    uint32_t count, piece_bytes, most_bytes;
    uint32_t refuses; // so many messages are not taken
    uint64_t busy_until, blocked_since;
    bool blocked, planned, cut; // cut: nobody is at the sending end any more, what is on the line still arrives
    struct parcel *kept;        // delivered before, for a replay
    uint64_t breaks_in;
    bool breaks_midrow; // with the next piece that leaves a row unfinished
};
struct line {             // between a child and its parent; lives in the child's site
    uint64_t connection;  // 0: none; else its number
    bool open;            // the dial finished
    bool joining;         // to the join endpoint
    uint64_t dialing;     // a dial that is on its way
    uint32_t rate, delay; // bytes a second, ms
    struct pipe pipes[2];
    bool breaks_late; // as soon as something is on the way up: it comes all the same, after the next connection has begun
    // What checkers keep of it.
    struct core_mark seen_ack[CORE_CHANNELS];
    uint64_t urgent_sent[CORE_STREAMS + 1];
    struct urgent_watch { // of what leaves at either end
        uint64_t at;
        uint32_t behind;
    } urgent[2];
    // Of each stream: its urgent lane is being repaired; its receiver asked for a row before the one it got, and no repair has begun.
    bool urgent_repairing[CORE_STREAMS + 1], urgent_gap[CORE_STREAMS + 1];
    uint64_t repairs_since;
    uint32_t repairs[CORE_CHANNELS];
};

// ---- stations
struct inbox {
    struct inbox *next;
    enum transport_event_type type;
    bool parent, refused;
    uint32_t from;
    uint64_t route;
    struct buffer message, body;
};
struct transport {
    struct site *site;
    bool (*enrolled)(void *context, const struct public_key *key);
    void *context;
    struct inbox *first, **last, *current;
    bool woken, idle;
    uint64_t wake_at;
};

struct site {
    uint32_t index; // among the sites
    uint32_t unit;  // its unit, and the index of the site that has it; another only for a twin
    bool twin;      // a second process with the same keys
    int32_t parent;
    uint32_t depth, subtree_end, children;
    struct certificate self, ancestors[DEPTH_MAX];
    uint32_t ancestor_count;
    struct secret_key sign_key, transport_key;
    struct buffer wire; // its certificate
    struct store *store;
    struct journal_meta meta;
    uint64_t generation;  // of its journal, as it runs now
    struct marker marker; // its file beside the store
    bool has_marker, restored;
    uint64_t marked_ms;
    struct store *backup; // a copy of the store, or NULL
    uint64_t backup_end;  // of its journal
    uint8_t *delegated;
    struct line line;
    // of the running process
    bool running, dying, died_reading;
    bool off;       // for good
    uint64_t works; // done or missed
    uint64_t start; // number of this process
    uint64_t turn_at, turns_at, same_turns;
    bool commit_planned;
    struct signers *signers;
    struct author *author;
    struct ledger *ledger;
    struct writer *writer;
    struct engine *engine;
    struct transport *transport;
    struct desk desk;
    struct applier applier;
    struct receiver receiver;
    uint64_t due_ms;
    bool stated, arriving;
    uint32_t commit_fails; // 1, 2: the next commit's outcome is unknown, and it is not there, or is
    uint32_t crash_in;     // sends and submissions until it stops; 0: not planned
    // its surroundings
    int64_t clock_offset;
    uint64_t full_until, slow_until;
    uint32_t wiles;  // 1 << enum sim_fault: what it lies in
    uint32_t victim; // mute, withhold: whom; 0: nobody
    struct old {     // old: what it sent once
        struct buffer message, body;
        unsigned channel;
    } old[OLD_MAX];
    uint32_t shows; // split: 1 + the child that sees another history; 0: none
    bool careful;   // split: that child is shown other heads, too
    struct turned { // split: headers, and what that child is shown in their place
        struct hash from, to;
    } * turned;
    uint32_t turned_count, turned_capacity;
    bool overstates;            // ackforge: it has acknowledged what it did not have, and its line seems fast to the other end
    bool repeats;               // old: it has sent something again, perhaps to another
    uint32_t cut;               // of a station that is muted or withheld: 1 + the first station above that liar; 0: it is not
    uint64_t rotten;            // journal position of a row that was damaged; 0: none, or whole again
    uint32_t rotten_origin;     // who signed it
    bool doubt;                 // its store was put back, or found to be another: what it signed last may be lost
    bool stubborn;              // it does not heed a proof that its store is another than it thinks
    bool forked;                // it has a twin, or is one
    bool cut_bodies;            // only its bodies
    uint32_t reads_until_death; // SIGBUS; 0: none is planned
    // of the open transaction; become true when it commits
    struct figure_change *pending;
    uint32_t pending_count, pending_capacity;
    struct application *applications;
    uint32_t application_count, application_capacity;
    // what the checkers have seen
    uint64_t seen;          // journal position
    struct held_feed *held; // per feed id
    uint32_t held_count;
};

struct step_record {
    uint64_t at;
    uint32_t site;
    const char *what;
    uint64_t a, b, c;
};

struct world {
    struct sim_config config;
    struct sim_result *result;
    uint64_t now, order, random, connections, starts;
    bool calm, over; // faults and work have ended; a checker fired
    struct happening *heap;
    uint32_t heap_count, heap_capacity;
    struct units *units;
    struct buffer csv;
    struct codebook *codebook;
    struct site *sites;
    uint32_t count, site_count; // of units, and with twins
    struct site *current;
    struct model model;
    uint64_t rotten[ROTTEN_MAX]; // batches of which a row was damaged somewhere
    uint32_t rotten_count;
    struct step_record ring[RING_MAX];
    uint64_t ring_count, planted;
    struct parcel *late, **late_last;
};
extern struct world *world;

// world.c
uint64_t random_next(void);
uint64_t random_apart(uint64_t matter, uint64_t number);
void random_back(uint64_t before);
uint32_t random_below(uint32_t bound);
bool chance(uint32_t in_1000);
void plan(uint64_t at, enum happening_kind kind, uint32_t site, uint64_t tag, unsigned side);
void step_note(const struct site *site, const char *what, uint64_t a, uint64_t b, uint64_t c);
void path_taken(enum sim_path path);
struct site *site_parent(const struct site *site);
bool planted(enum sim_plant plant);

// crypto_fast.c
uint64_t quick_hash(struct bytes data); // for telling runs apart

// topology.c
bool topology_make(void);                                    // units, sites and certificates
void topology_empty(struct site *site, uint64_t generation); // a store with nothing but what enrolment leaves beside it
void topology_free(void);

// site.c
void site_start(struct site *site);
void site_stop(struct site *site); // as kill -9
void site_doubt(struct site *site);
bool site_has_judged(struct site *site, struct txn *txn); // nothing whose period has come waits to be judged
void site_kill(struct site *site);                        // stops it, and it starts again some time later
void site_turn(struct site *site);
void site_commit(struct site *site);
void site_plan_turn(struct site *site, uint64_t at);
void site_reads(void); // the current station reads its disk
uint64_t site_utc_ms(const struct site *site);
void site_submitted(struct site *site);

// network.c
void network_dial_done(const struct happening *happening);
void network_closed(const struct happening *happening);
void network_pipe(const struct happening *happening);
void network_late_free(void);
void network_late(const struct happening *happening);
void network_unblock(const struct happening *happening);
void network_break(struct site *child, bool told); // the connection is gone; told: the dialer notices soon
void network_block(struct site *child, unsigned sides, uint64_t ms);
void network_replay(struct site *child, enum side side);
void network_free(struct site *child);

// work.c, faults.c
void work_begin(void);
struct hash work_definition(uint32_t number); // of the indicator with that number
void work_plan(struct site *site);
void work_do(struct site *site);
void faults_begin(void);
void faults_next(void);
void faults_heal(void);
