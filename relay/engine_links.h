// The engine's book of links: who is at the other end, rows loaded ahead for sending, rows being assembled, the peer's heads during repair.
// Owned by the engine's thread, with all it points to.
#pragma once
#include "relay/core/core.h"
#include "relay/link_wire.h"
#include "relay/quarantine.h"
#include "relay/writer.h"

// A row loaded from the store, waiting to be sent piece by piece.
struct outgoing_row {
    uint64_t position;
    bool is_object, bodiless;
    struct buffer header, content;
    uint8_t signature[SIGNATURE_SIZE];
    struct hash object;
};
struct outgoing {
    struct outgoing_row rows[CORE_ROWS_MAX];
    uint32_t first, count;
};

// A row arriving piece by piece.
struct assembly {
    bool is_object;
    uint64_t generation, after, position;
    uint32_t size;
    struct hash name;
    struct buffer header, signature, body;
};

// What the peer holds, during repair: sorted by feed key when first asked.
struct known_head {
    uint8_t key[FEED_KEY_SIZE];
    uint64_t next, bodies;
    struct hash last;
    bool compared, other; // other: it is of another history than the one here
};
struct known {
    struct known_head *heads;
    uint32_t count, capacity;
    bool sorted;
};

// A message that found the peer's pipe full: it goes out, in order, before any later one.
struct unsent {
    struct unsent *next;
    struct buffer message, body;
};

struct slot {
    bool used, parent;
    bool guest;       // a station below a child: its link has the urgent lane only
    bool past;        // the station above our parent: the same
    bool refused;     // our last dial: the peer doesn't know our key
    bool introducing; // our dial goes to its join endpoint
    struct station_id station;
    struct public_key key;
    struct hash certificate;
    uint64_t route; // of a child's connection
    uint64_t session, peer_session;
    uint64_t greeted_ms;  // monotonic: of a child's last hello
    uint64_t doubled_ms;  // when two connections of it were in use at once last
    uint32_t doubled;     // points of proof for that, lately
    bool doubled_counted; // of the last hello
    uint64_t overtaken;   // session of the last hello that was older than the live one
    bool overtaken_new;   // nothing came of the live session since
    struct unsent *unsent, **unsent_last;
    size_t unsent_bytes;
    bool broken; // a message was lost: the session must end
    struct outgoing *outgoing[CORE_CHANNELS];
    struct assembly *assembly[CORE_CHANNELS];
    struct known *known[CORE_CHANNELS];
    bool asked[CORE_CHANNELS]; // for the peer's heads, and not all of them are here
    struct {                   // engine_mend.c
        bool asked, serving;   // what was asked for last is in `last`; a request of the peer is with the writer
        struct quarantined last;
        uint64_t next_ms;  // when to ask for something again
        uint32_t wait_ms;  // the pause after that, should nothing come of it
        uint64_t serve_ms; // no request of the peer is served before
    } mend;
    bool staged[CORE_CHANNELS]; // a part of the channel's row is on disk
    uint64_t row_ms[LANES];     // monotonic, when the lane last brought a piece; 0: never
    uint64_t heads_sent;        // engine_heads.c: serial of the last claim that went to this child
    uint32_t heads_refused;     // claims of stations: older than what is here, or not this peer's to bring
};

// The link past a parent, at either end: nothing but urgent batches and receipts goes there.
static inline bool slot_urgent_only(const struct slot *slot) { return slot->past || slot->guest; }

enum {
    UNSENT_BYTES_MAX = 16 * 1024 * 1024, // of one peer: twice what the core has in flight at most
};

struct links {
    struct slot *slots; // index = link number of the core
    uint32_t count, max;
    uint32_t *by_key; // open addressing over the transport key; 0: empty, else link + 1
    uint32_t by_key_size;
    uint32_t known_count; // heads in all slots
};

// ERR_MEMORY is said as false everywhere here. Slots are found by the link number of the core and never move.

// `max` links, 1..CHILDREN_MAX + 2. False: no memory; links_finish() all the same.
bool links_init(struct links *links, uint32_t max);
void links_finish(struct links *links); // takes zeroed ones
// Once, before anything else is added.
void links_set_parent(struct links *links, const struct certificate *parent);
// The station above the parent, link 1: after the parent, before any child.
void links_set_above(struct links *links, const struct certificate *above);
// False: its transport key is there already, or there is no room; `ret_link` is untouched.
bool links_add_child(struct links *links, const struct peer *peer, uint32_t *ret_link);
bool links_find(const struct links *links, const struct public_key *key, uint32_t *ret_link);
bool links_find_station(const struct links *links, const struct station_id *station, uint32_t *ret_link); // looks at all

// What is committed: our marks on the peer's streams, the ends of ours to it, and the parts that were staged (which are taken into
// memory; one for which there is no memory counts as none). CORE_CHANNELS each. Errors are the transaction's: then all are zero.
void links_marks(struct slot *slot, struct txn *txn, struct core_mark *marks, uint64_t *ends, struct core_staged *staged);
// The end of our stream of `channel` to the peer; 0 also where that channel comes from it.
uint64_t links_end(const struct slot *slot, struct txn *txn, unsigned channel);

// ---- sending (engine_links_load.c)

// What a load met that is damaged and not in quarantine yet: a batch's row, or an object.
struct load_damage {
    bool found, is_object;
    uint64_t position;
    struct hash object;
};
// Loads rows of our stream after `after`, keeps copies of them for sending, and tells the core their sizes: at most `max` (up to
// CORE_ROWS_MAX, the room in `rows`) or about 512 KiB. `skip`: without those that the peer's heads cover. `ret_scanned`: looked at up to
// here; `ret_more` false: the stream ends there. What is in quarantine is left out, and what follows it in its feed while it is owed. A
// batch or object that is damaged and not in quarantine yet ends the load before its row and is told in `ret_damage`; so does a damaged
// row of the stream itself (ERR_CORRUPT in the transaction), and no memory. The caller goes on another time.
uint32_t links_load(struct slot *slot, struct txn *txn, unsigned channel, uint64_t after, uint32_t max, bool skip, struct core_row *rows,
                    uint64_t *ret_scanned, bool *ret_more, struct load_damage *ret_damage);
// The loaded row at `position`, until the next call here for this channel; drops those before it. NULL: not loaded (any more).
struct outgoing_row *links_outgoing_find(struct slot *slot, unsigned channel, uint64_t position);
void links_outgoing_sent(struct slot *slot, unsigned channel, uint64_t position); // its last piece went out
void links_outgoing_drop(struct slot *slot, unsigned channel);                    // all that is loaded

// ---- receiving

// Adds an accepted piece; the bytes are copied. False: out of memory, or it does not fit what is there.
bool links_assemble(struct slot *slot, unsigned channel, const struct core_piece *piece, bool is_object, struct bytes header,
                    struct bytes signature, struct bytes body);
// The finished row as a job for the writer, the caller's from now on; the assembly is empty again. NULL: out of memory, or nothing there.
struct arrival_job *links_assembled(struct slot *slot, uint32_t link, unsigned channel, uint64_t received_ms);
// A copy of what has been assembled, to be staged: the caller's. NULL: out of memory.
struct arrival_job *links_part_copy(const struct assembly *assembly);
void links_discard(struct slot *slot, unsigned channel);
// Keeps a message for later. False: too much is kept, or no memory.
bool links_unsent_add(struct slot *slot, struct bytes message, struct bytes body);
void links_unsent_pop(struct slot *slot); // the first one went out
void links_unsent_clear(struct slot *slot);
// The session is over: rows loaded for it and the peer's heads go, parts that arrived stay for the next.
void links_session_over(struct links *links, struct slot *slot);

// ---- repair

// Heads of the feeds that we hold and the peer's `channel` may carry, from feed id `*id` (1 to begin) on; moves it. Returns how many.
// A failed transaction looks like the end: what is not named is sent again.
uint32_t links_heads(struct txn *txn, unsigned channel, uint32_t *id, struct head *heads, uint32_t max, bool *ret_last);
void links_known_ask(struct links *links, struct slot *slot, unsigned channel); // we ask the peer: what it said before is forgotten
// A page of its answer. False: nobody asked. What finds no room (a million heads over all links) or no memory is left out.
bool links_known_add(struct links *links, struct slot *slot, unsigned channel, const struct head *heads, uint32_t count, bool last);
void links_known_clear(struct links *links, struct slot *slot, unsigned channel);
