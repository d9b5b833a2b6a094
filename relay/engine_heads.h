// The engine's book of signed heads (relay/heads.h): the latest claim of every station below, of those above, and our own; when ours is
// signed, when each is passed on, and what is found out from them. Owned by the engine's thread.
//
//   - A claim goes over a link only when the peer has acknowledged everything that its heads cover. So whoever gets it from an honest peer
//     holds what it names; what is missing was left out somewhere below, and never merely is on its way.
//   - For the same reason a station passes on no claim of which it does not hold everything itself.
//   - Only what is found out costs a transaction at once; that a claim was heard is written with many others, now and then.
#pragma once
#include "relay/heads.h"

enum {
    HEADS_PAUSE_MS = 5 * 1000,          // after our feeds have grown: a burst of records makes one claim
    HEADS_LONGEST_MS = 60 * 1000,       // and so often while they keep growing
    HEADS_BEAT_MS = 600 * 1000,         // when nothing happens; drawn 25 % longer or shorter, so that stations don't speak at once
    HEADS_GRACE_MS = 30 * 1000,         // a claim names more than is here, and nothing comes though it could: for a person
    HEADS_SILENT_MS = 24 * 3600 * 1000, // no claim of a station while the link that it comes by was live: for a person
    HEADS_LOOK_MS = 5 * 1000,           // between two looks at what is behind
    HEADS_WRITE_MS = 900 * 1000,        // until it is written that a claim was heard
    HEADS_APART_MS = 1000,              // claims of one station: more cost a peer nothing to make and us a signature to check
    HEADS_STATIONS_MAX = 16384,         // in the book: some ten counties, under a KB each; others are neither kept nor passed on
};

struct heads_entry {
    struct station_id station, via; // `via`: the peer that brought the claim
    bool below;                     // it stands below us; otherwise above. (Our own: neither.)
    bool waits;                     // to be passed to our parent
    bool withheld;                  // it names more than is here: not passed on
    bool dirty;                     // to be written
    bool silent;                    // told that it is not heard from
    uint16_t told;                  // own feeds (a bit each): told that a tail is withheld
    uint32_t link;                  // that `via` is; UINT32_MAX: not known
    uint32_t ordinal;
    uint64_t starts, number;
    uint64_t serial;                           // of this claim in this run: ascending as they came
    uint64_t up_ends[LANES], down_ends[LANES]; // of our streams when it came
    uint64_t heard_ms;                         // monotonic; 0: not in this run
    uint64_t received_ms;                      // UTC
    uint64_t quiet_ms;                         // time without a claim while its link was live
    uint64_t behind_ms[HEADS_OWN];             // monotonic, since when a feed is behind; 0: it is not
    uint8_t *claim;                            // NULL: none came yet
    uint16_t claim_size;
    uint8_t signature[SIGNATURE_SIZE];
};

struct heads_book {
    struct heads_entry **entries; // ascending by station
    uint32_t count, capacity;
    struct heads_entry *own;
    struct station_id above[DEPTH_MAX]; // parent first
    uint32_t above_count;
    struct heads signed_last; // what our own claim says
    uint64_t serial, number;
    uint64_t beat_ms, changed_ms, check_ms, send_ms, look_ms, write_ms; // monotonic; UINT64_MAX: never
    uint64_t quiet_ms;                                                  // when silence was last looked at
    uint32_t look_from, write_from;
};

struct engine;
struct link_in;
struct grown;

// The engine's calls. ERR_MEMORY is said as false; then, and before it, the others do nothing.
bool engine_heads_create(struct engine *engine);
void engine_heads_destroy(struct engine *engine);
void engine_heads_begin(struct engine *engine);                            // reads what the table knows
uint64_t engine_heads_due(const struct engine *engine);                    // monotonic
void engine_heads_tick(struct engine *engine, uint64_t now);               // what is due
void engine_heads_grown(struct engine *engine, const struct grown *grown); // committed
void engine_heads_live(struct engine *engine, uint32_t link);              // a session began
void engine_heads_handle(struct engine *engine, uint32_t link, const struct link_in *in);
// From now on the claim is to be passed on; for the files of the book, as is all that follows.
void heads_pass_on(struct engine *engine, struct txn *txn, struct heads_entry *entry, uint64_t now);
bool heads_live_since(const struct engine *engine, uint32_t link, uint64_t *ret); // false: the link is not live
static inline void heads_soon(uint64_t *when, uint64_t at)
{
    if (at < *when)
        *when = at;
}

// ---- engine_heads_book.c
struct heads_entry *heads_find(const struct heads_book *book, const struct station_id *station);
// The station's entry, a new one if need be. NULL: the book is full, or no memory.
struct heads_entry *heads_enter(struct heads_book *book, const struct station_id *station);
// False: no memory; the entry is as it was.
bool heads_keep(struct heads_entry *entry, const struct heads *heads, struct bytes claim, const uint8_t *signature);
bool heads_claim(const struct heads_entry *entry, struct heads *ret); // false: it has none
bool heads_above(const struct heads_book *book, const struct station_id *station);
void heads_load(struct engine *engine);
void heads_save(struct engine *engine, uint64_t now); // what is dirty, as far as one transaction takes

// ---- engine_heads_watch.c
// Notes which of the signer's own feeds are behind, since when. Returns whether any is. `ret_other`: whether it names another history than
// is here, which is not disputed yet.
bool heads_watch(struct txn *txn, struct heads_entry *entry, const struct heads *heads, uint64_t now, bool *ret_other);
// Looks for what can't be true together with this claim, and has it written down: the feed is disputed, the claim kept, a person told.
// `other`: heads_watch() found some.
void heads_judge(struct engine *engine, struct txn *txn, const struct heads *heads, const struct link_in *in, uint32_t link, bool other);
void heads_look(struct engine *engine, uint64_t now);         // at what is behind
void heads_look_silence(struct engine *engine, uint64_t now); // at who is not heard
