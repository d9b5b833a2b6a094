// The shell that runs the core: transport on one side, writer on the other. One engine per running node.
//
//   transport --messages--> core --updates--> transport            (the thread in engine_run)
//   whole rows -> checked here -> writer (its own thread, group commit) -> held -> core -> acknowledgement
//
// Reads go through one read transaction a turn of the loop, which ends before the loop waits. A row of the store that is damaged is
// reported and left out of what is sent; what could not be read for want of memory or readers is read again.
#pragma once
#include "relay/core/core.h"
#include "relay/transport.h"
#include "relay/writer.h"

struct engine;

// On the thread of engine_run(), but `join` and `tick` run inside the writer's transactions, on its thread.
struct engine_hooks {
    void *context;
    // One join request or introduction, which came under the CURVE key `key`, inside a transaction; appends the reply. `ret_peer` and true:
    // a station was enrolled (or was before), or may link as a guest.
    bool (*join)(void *context, struct txn *txn, const struct public_key *key, struct bytes request, struct buffer *ret_reply,
                 struct peer *ret_peer);
    // Time has passed: what the station owes. Runs in a transaction when `due` said so.
    enum error_code (*tick)(void *context, struct txn *txn, struct error *error);
    // Appends our Introduction to the station with the CURVE key `called` (introduce.h), read in `txn`. NULL: we never introduce ourselves.
    enum error_code (*introduce)(void *context, struct txn *txn, const struct public_key *called, struct buffer *ret, struct error *error);
    int64_t (*due_ms)(void *context); // ms until tick is wanted, 0 now, -1 never; asked on the engine's thread, must be quick
    void (*documents)(void *context, uint32_t *ret_codebook, uint32_t *ret_units); // versions in force
    void (*log)(void *context, bool alarm, const char *text);                      // one line, no personal data
};

// What it points to is borrowed and must outlive the engine; the secret key is copied, and wiped in the end.
struct engine_config {
    struct store *store;
    struct writer *writer;                   // with a thread, or turned by whoever turns the engine; its `done` hook calls engine_wake()
    const struct certificate *self, *parent; // parent NULL at the root
    struct hash root;
    const struct public_key *transport_public;
    const struct secret_key *transport_secret;
    const char *listen, *join;   // NULL: none
    const char *parent_endpoint; // NULL at the root
    const char *parent_join;     // where to introduce ourselves when the parent doesn't know us; NULL: nowhere
    // The station above the parent, called when urgent batches stay without its receipt; NULL: none, or not known where.
    const struct certificate *above;
    const char *above_endpoint, *above_join; // above_join NULL: it must know us already
    uint32_t children_max;                   // 0: CHILDREN_MAX; memory is taken for that many
    uint32_t ordinal;
    uint64_t nonce, generation;
    // For signed heads (engine_heads.h); NULL or 0: none are signed, as by a station that may not sign in its incarnation.
    const struct secret_key *sign_key;
    uint64_t starts; // how often the station was started: grows with every start; also the order of its hellos (link.proto)
    uint64_t asks;   // a restored station: nonce of the incarnation that it asks its parent for; 0: it was not restored
    struct engine_hooks hooks;
};

// Binds the addresses and proves that strangers are refused. Errors: transport_create()'s, ERR_MEMORY. `ret` is the caller's.
enum error_code engine_create(const struct engine_config *config, struct engine **ret, struct error *error);
// Takes NULL. engine_run() has returned, and the writer is destroyed before: its last answers still come here.
void engine_destroy(struct engine *engine);
// Until engine_stop(), which may come before. Returns OK.
enum error_code engine_run(struct engine *engine, struct error *error);
// engine_run() in pieces, for a loop of another's (the simulator's): begin once, then one turn after the other. A turn does what is due
// and handles at most one event of the transport.
void engine_begin(struct engine *engine);
void engine_turn(struct engine *engine);
void engine_stop(struct engine *engine); // any thread, or a signal handler

// Why engine_run() returned, or, in pieces, why engine_turn() must not be called again. What comes next: relay/incarnation.h.
enum engine_end {
    ENGINE_STOPPED,  // asked to; or not at all yet
    ENGINE_RESTORED, // a peer proved that the store is not the one that signed last: incarnation_suspend(), and start again
    ENGINE_SPENT,    // the incarnation that it asks for was used before: the same with another nonce
    ENGINE_OPENED,   // the next incarnation is committed: start again
};
enum engine_end engine_end(const struct engine *engine);
// For a restored station without a parent: (ordinal, config.asks) was opened in a commit; ends as ENGINE_OPENED. Any thread.
void engine_opened(struct engine *engine);
void engine_wake(struct engine *engine); // the writer's `done` hook

// For status, from any other thread while engine_run() is running; otherwise returns 0. At most `max` links, the parent's first. Waits for
// the engine's next turn.
struct engine_link {
    struct core_link_status core;
    struct station_id station;
    struct hash certificate;
    uint32_t heads_refused; // signed heads that it should not have sent
};
uint32_t engine_links(struct engine *engine, struct engine_link *links, uint32_t max);
// Addresses really bound, "" if none; they live as long as the engine. Any thread.
const char *engine_listen(const struct engine *engine);
const char *engine_join(const struct engine *engine);
uint64_t monotonic_ms(void); // CLOCK_MONOTONIC: for waiting
uint64_t utc_ms(void);       // CLOCK_REALTIME: for people, never for order
