// The engine's inside: what engine.c (the loop), engine_carry.c (what the core asks for) and engine_peers.c (what peers and the writer
// bring) share. Everything here runs on the engine's thread.
#pragma once
#include "relay/engine.h"

#include <pthread.h>
#include <stdatomic.h>

#include "relay/engine_heads.h"
#include "relay/engine_links.h"
#include "relay/incarnation.h"

enum {
    POOL_BYTES = 32 * 1024 * 1024, // parts in assembly over all links; a quarter of what a 1,300-station herd may cost
    FULL_RETRY_MS = 2000,          // when a full disk refused a row
    TICK_WAIT_MAX_MS = 3600 * 1000,
    PENDING_MAX = 8,           // a step carries out at most one dial and accepts at most one piece
    JOINS_MAX = 512,           // join requests with the writer: as many as may come at once (gate.h); whoever finds no place asks again
    LOOK_AGAIN_MS = 10 * 1000, // after a stream could not be read: for want of memory or readers, or because a row of it is damaged
    SELF_TEST_MS = 3600 * 1000,
    REPLY_HEADS_MAX = 2 * LANES,  // of a child's feeds in every answer to its hello: two incarnations, about 1 KB
    GRANT_JOBS_MAX = 16,          // of restored children at once, with the writer: 7 KB each; whoever finds no place asks again
    CLONE_AFTER_MS = 5 * 1000,    // what an abandoned connection had under way has arrived by then
    CLONE_PROOFS = 4,             // points: one connection may deliver late, and more than one may have been given up
    CLONE_CROSSED = 2,            // messages of another session than that of the last hello: two are two stations
    CLONE_OVERTAKEN = 1,          // a hello from before the live session's
    CLONE_FORGET_MS = 600 * 1000, // without a further proof one of them is gone
    WAITING_MS = 5,               // until a full pipe is tried again
    TICK_AGAIN_MS = 1000,         // after the writer had no room for a tick
};

// What the parent granted a restored station: it opens when it holds all of it.
struct waited_grant {
    uint32_t ordinal, count;
    struct head heads[GRANT_HEADS_MAX];
};

struct engine {
    struct engine_config config;
    struct transport *transport;
    struct core *core;
    struct signers *signers;
    struct links links;
    struct heads_book heads;
    struct txn *reader; // of this turn of the loop, or NULL
    struct arena arena;
    struct buffer out;
    struct core_updates updates;            // of the step being carried out
    struct core_event pending[PENDING_MAX]; // what carrying them out came to: given to the core next
    uint32_t pending_count;
    struct link_load {
        uint32_t link;
        unsigned channel;
        uint64_t after;
        uint32_t max;
        bool skip;
    } loads[CORE_UPDATES_MAX];
    uint32_t load_count;
    bool waiting; // messages wait for room in some peer's pipe
    bool tick_running;
    uint64_t tick_ms;       // none before, when the writer had no room for the last one
    uint64_t look_again_ms; // UINT64_MAX: every stream was read as far as it went
    uint32_t joins;         // requests with the writer
    uint64_t ask_ms;        // when neighbours are asked for damaged rows; UINT64_MAX: nothing to ask for
    uint64_t quarantined;   // entries when last looked
    uint64_t self_test_ms;  // when the door is tried next
    bool past_parent;       // the link past the parent is open
    uint64_t past_ms;       // when urgent batches are looked at again; UINT64_MAX: none waits
    struct error failure;   // why the node stops by itself
    enum engine_end end;
    atomic_bool opened;        // engine_opened() was called
    struct waited_grant grant; // of this session's parent; ordinal 0: none yet
    bool opening;              // it is with the writer
    uint32_t grants;           // asked by children, with the writer
    atomic_bool stop;
    const struct transport_event *message;      // being handled
    struct bytes piece_header, piece_signature; // of the push being handled
    bool piece_is_object;
    pthread_mutex_t status_mutex;
    pthread_cond_t status_cond;
    bool running;
    struct status_request *status; // of the asker whose turn it is, in its memory; NULL: nobody's
};

struct status_request {
    struct engine_link *links;
    uint32_t max, count;
    bool answered;
};

// Gives the core an event, and everything that follows from it, to the end.
void engine_step(struct engine *engine, const struct core_event *event);
// What happened while updates were carried out: the core hears of it when they all are.
void engine_later(struct engine *engine, const struct core_event *event);
// Carries out one update (engine_carry.c).
void engine_carry_out(struct engine *engine, const struct core_update *update);
// Sends what found a pipe full before, as far as there is room now; ends the sessions that lost a message.
void engine_send_waiting(struct engine *engine);
struct core_event engine_event(enum core_event_type type, uint32_t link);
void engine_report(struct engine *engine, bool alarm, const char *text);
// The same for a person, and kept in the store, but for kinds that would be said again and again. False: it could not be handed to the
// writer.
bool engine_alarm(struct engine *engine, const char *kind, const char *text);
// Sends the message in engine->out, which has no body, over a link, and clears it.
void engine_send(struct engine *engine, uint32_t link);
// One read transaction serves everything that one turn of the loop reads; NULL: none to be had just now.
struct txn *engine_reader(struct engine *engine);
void engine_reader_end(struct engine *engine);

// Sends what is in engine->out on the link, without a body.
void engine_send_out(struct engine *engine, uint32_t link);
// Tells the core what grew in a commit.
void engine_tell_grown(struct engine *engine, const struct grown *grown);

// engine_grant.c
void engine_end_with(struct engine *engine, enum engine_end end, const char *why); // the first end counts; `why` may be NULL
void engine_found_restored(struct engine *engine, const char *why);                // ends it, unless it knows
// What is held of a station's feeds for the tiers above, newest incarnations first.
uint32_t engine_heads_of(struct engine *engine, const struct station_id *station, struct head *heads, uint32_t max);
// Heads that a peer holds: the parent's may prove that we were restored, a child's are noted by a restored root.
void engine_hear_own(struct engine *engine, uint32_t link, const struct head *heads, uint32_t count);
// The parent's word on our own feeds: ends the engine if it proves that the store was put back from a copy.
void engine_check_own(struct engine *engine, uint32_t link, const struct head *heads, uint32_t count);
void engine_handle_ask(struct engine *engine, uint32_t link, const struct link_in *in);
// A message of a child that is no hello, by connection `route`: two stations with one child's keys speak at once when it is not of the
// session that greeted last. Ends the session then.
void engine_watch_clone(struct engine *engine, uint32_t link, uint64_t route, uint64_t session);
// A child's hello came that is older than the one its live session began with: it proves something once that session says more.
void engine_watch_overtaken(struct engine *engine, uint32_t link, uint64_t route, uint64_t session);
void engine_greeted(struct engine *engine, uint32_t link); // a child's hello came
bool engine_doubled(const struct slot *slot);              // it was found so, and not long ago
void engine_handle_grant(struct engine *engine, uint32_t link, const struct link_in *in);
void engine_look_whole(struct engine *engine); // something was committed: whether all that was granted is here

// engine_past.c: introductions, and the link past the parent
enum { LINK_ABOVE = 1 }; // its number, where config.above is set
// Our dial got through to a join endpoint, or its answer came.
void engine_introduce(struct engine *engine, uint32_t link);
void engine_introduced(struct engine *engine, uint32_t link, struct bytes answer);
// Opens the link past the parent when an urgent batch has waited too long for its receipt, and closes it when none does.
void engine_look_past(struct engine *engine);
void engine_guest_came(struct engine *engine, const struct slot *guest); // its link is live

// engine_peers.c
void engine_add_all(struct engine *engine);
void engine_add_link(struct engine *engine, uint32_t link);
bool engine_enrolled(void *engine, const struct public_key *key);
void engine_handle_message(struct engine *engine, const struct transport_event *message);
void engine_handle_join(struct engine *engine, const struct transport_event *message);
void engine_after_commit(struct engine *engine);
void engine_look_again(struct engine *engine);
void engine_extended(struct engine *engine, uint32_t link, unsigned stream, unsigned lane, uint64_t end);

// engine_mend.c: what is damaged here is fetched again from the neighbours, and theirs from here.
// A load ended before it: into quarantine with it, so that the stream can pass it.
void engine_damaged(struct engine *engine, const struct load_damage *damage);
void engine_ask(struct engine *engine); // due at engine->ask_ms: asks for what is in quarantine, one row of each neighbour at a time
void engine_ask_soon(struct engine *engine, uint32_t link); // UINT32_MAX: every neighbour
void engine_count_damage(struct engine *engine);            // after a commit: somebody else may have found some
void engine_mended(struct engine *engine, const struct arrival *arrival);
void engine_serve(struct engine *engine, uint32_t link, const struct link_want *want);
