// The engine's book of links: who is at the other end, rows loaded ahead for sending, rows being assembled, the peer's heads during repair.
// Owned by the engine's thread.
#pragma once
#include "relay/core/core.h"
#include "relay/link_wire.h"
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
};
struct known {
    struct known_head *heads;
    uint32_t count, capacity;
    bool sorted;
};

struct slot {
    bool used, parent;
    struct station_id station;
    struct public_key key;
    struct hash certificate;
    uint64_t route; // of a child's connection
    uint64_t session, peer_session;
    uint64_t dropped; // messages that found the pipe full
    struct outgoing *outgoing[CORE_CHANNELS];
    struct assembly *assembly[CORE_CHANNELS];
    struct known *known[CORE_CHANNELS];
    bool staged[CORE_CHANNELS]; // a part of the channel's row is on disk
};

struct links {
    struct slot *slots; // index = link number of the core
    uint32_t count, max;
    uint32_t *by_key; // open addressing over the transport key; 0: empty, else link + 1
    uint32_t by_key_size;
};

bool links_init(struct links *links, uint32_t max);
void links_finish(struct links *links);
void links_set_parent(struct links *links, const struct certificate *parent);
// False: it is there already, or there is no room.
bool links_add_child(struct links *links, const struct peer *peer, uint32_t *ret_link);
bool links_find(const struct links *links, const struct public_key *key, uint32_t *ret_link);
bool links_find_station(const struct links *links, const struct station_id *station, uint32_t *ret_link);

// What is committed: our marks on the peer's streams, the ends of ours to it, and the parts that were staged (which are taken into
// memory). CORE_CHANNELS each.
void links_marks(struct slot *slot, struct txn *txn, struct core_mark *marks, uint64_t *ends, struct core_staged *staged);
// Loads rows of our stream after `after`, keeps them for sending, and tells the core their sizes. `skip`: without those that the peer's
// heads cover. At most `max` rows or about 512 KiB.
uint32_t links_load(struct slot *slot, struct txn *txn, unsigned channel, uint64_t after, uint32_t max, bool skip, struct core_row *rows,
                    uint64_t *ret_scanned, bool *ret_more);
struct outgoing_row *links_outgoing_find(struct slot *slot, unsigned channel, uint64_t position); // drops rows before it
void links_outgoing_sent(struct slot *slot, unsigned channel, uint64_t position);                 // its last piece went out

// Adds an accepted piece. False: out of memory, or it does not fit what is there.
bool links_assemble(struct slot *slot, unsigned channel, const struct core_piece *piece, bool is_object, struct bytes header,
                    struct bytes signature, struct bytes body);
// The finished row as a job for the writer; the assembly is empty again. NULL: out of memory.
struct arrival_job *links_assembled(struct slot *slot, uint32_t link, unsigned channel, uint64_t received_ms);
struct arrival_job *links_part_copy(const struct assembly *assembly);
void links_discard(struct slot *slot, unsigned channel);
// The session is over: rows loaded for it go, parts that arrived stay for the next.
void links_session_over(struct slot *slot);

// Heads of the feeds that we hold and the peer's `channel` may carry, from feed id `*id` on; moves it. Returns how many.
uint32_t links_heads(struct txn *txn, unsigned channel, uint32_t *id, struct head *heads, uint32_t max, bool *ret_last);
void links_known_clear(struct slot *slot, unsigned channel);
void links_known_add(struct slot *slot, unsigned channel, const struct head *heads, uint32_t count);
