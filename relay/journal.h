// The journal over the store: batches in the order they were committed, feeds, streams, cursors, objects, alarms.
// Layouts: schema/store.md. Every function works inside the caller's transaction; errors are sticky in it (store.h).
// Rows are verified when read (a checksum over the whole row): damage fails the transaction with ERR_CORRUPT and the place.
#pragma once
#include "relay/batch.h"
#include "relay/store.h"

enum {
    META_NAME_MAX = 32, // bytes
    REASON_MAX = 63,    // bytes; longer ones are cut
    EVIDENCE_MAX = 64,  // batches kept per feed: two prove a fork, the rest is for a cut that names another survivor
    ALARMS_MAX = 1000,  // kept: more than a person reads
};

// META. A store without it was made but not set up: ERR_NOT_FOUND, and journal_create() may follow. journal_create(): ERR_EXISTS in the
// transaction when there is one. ERR_VERSION: a format we don't know.
struct journal_meta {
    uint32_t format; // STORE_FORMAT
    struct station_id station;
    uint64_t generation; // random; a new one when the journal was rebuilt
    uint64_t starts;     // see struct Marker
};
void journal_create(struct txn *txn, const struct journal_meta *meta);
enum error_code journal_meta_read(struct txn *txn, struct journal_meta *ret, struct error *error);
void journal_meta_write(struct txn *txn, const struct journal_meta *meta);
// Small named values of the shells above (documents in force, heads ...). `name`: 1 to 32 bytes, not "format" or "journal".
bool meta_get(struct txn *txn, const char *name, struct bytes *ret);
void meta_put(struct txn *txn, const char *name, struct bytes value);

// ---- feeds
bool feed_find(struct txn *txn, const struct feed_key *feed, uint32_t *ret_id, struct feed_state *ret);
uint32_t feed_add(struct txn *txn, const struct feed_key *feed); // a new id; state is feed_state_init(). A known feed: ERR_EXISTS
void feed_write(struct txn *txn, uint32_t id, const struct feed_state *state);
bool feed_read(struct txn *txn, uint32_t id, struct feed_key *ret_key, struct feed_state *ret); // ids are 1, 2, 3 ...; false past the last
// Feeds of one station, the last in order of feed keys first: those of its newest incarnation. The first, or the one that comes after
// `after` this way. False at the end, or when the transaction failed.
bool feed_next_of(struct txn *txn, const struct station_id *station, const struct feed_key *after, uint32_t *ret_id,
                  struct feed_key *ret_key, struct feed_state *ret);

// ---- batches
enum verdict { VERDICT_NONE, VERDICT_APPLIED, VERDICT_REJECTED, VERDICT_DEFERRED, VERDICT_HELD /* header alone, or not ours to read */ };
struct batch_row {
    uint64_t position; // 1, 2, 3 ...
    uint32_t feed;     // id
    uint64_t first;    // of the header, so that scans need not decode
    uint32_t count;
    uint64_t received_ms;   // UTC, this station's clock
    struct station_id from; // the peer that brought it; zero: made here
    enum verdict verdict;
    char reason[REASON_MAX + 1];          // of a rejection, or what a deferred one waits for
    struct bytes header, signature, body; // body.size 0: not held
};
uint64_t journal_end(struct txn *txn); // last position, 0: empty
// Appends; `row->position` is ignored. Returns the position. ERR_STATE in the transaction when a held batch has any of its places.
uint64_t journal_append(struct txn *txn, const struct batch_row *row);
bool journal_read(struct txn *txn, uint64_t position, struct batch_row *ret); // spans live as store.h says
// The held header's row gets its body and verdict; nothing else of it changes. `body` empty, or the one held: only verdict and reason
// change (a deferred batch is decided). Another body than the one held: ERR_STATE.
void journal_add_body(struct txn *txn, uint64_t position, struct bytes body, enum verdict verdict, const char *reason);
bool journal_find(struct txn *txn, uint32_t feed, uint64_t sequence, uint64_t *ret_position); // the batch that holds `sequence`
// The same with the whole place of that batch.
struct batch_place {
    uint64_t position, first;
    uint32_t feed, count;
};
bool journal_place(struct txn *txn, uint32_t feed, uint64_t sequence, struct batch_place *ret);
// The place that `position` has in its feed, also when its row is damaged. Looks at the row first and then at all of BATCHES. False: none.
bool journal_place_at(struct txn *txn, uint64_t position, struct batch_place *ret);
// Whether there is a row at the position and it is whole. Damage does not fail the transaction.
bool journal_intact(struct txn *txn, uint64_t position);
// journal_read() of a row that is whole; false also for a damaged one, which does not fail the transaction.
bool journal_read_intact(struct txn *txn, uint64_t position, struct batch_row *ret);
// What a damaged row still says, as far as it can be read: a hint, to be held against what is known. False: it can't be read at all.
bool journal_hint(struct txn *txn, uint64_t position, struct batch_row *ret);
// Who brought it, as far as that goes: also of a row whose lengths are damaged. False: there is too little of it.
bool journal_hint_from(struct txn *txn, uint64_t position, struct station_id *ret);
// A journal row's fields on their own, from wherever they come; the position is the caller's to know. Spans point into `fields`. False: not
// a row. Pure.
bool journal_decode(struct bytes fields, struct batch_row *ret);
// Puts a row back at its own position, where it is damaged or missing below the journal's end. ERR_STATE in the transaction when what is
// there is whole.
void journal_mend(struct txn *txn, const struct batch_row *row);
// For the marker. Over what never changes in a row: a body or verdict that comes later leaves it alone (the header fixes the body).
struct hash journal_digest(const struct batch_row *row);

// ---- the other batches of a fork. Kept once each, at most EVIDENCE_MAX per feed; a body that comes later is added.
struct evidence {
    uint32_t feed;
    uint64_t first;
    struct hash header_hash;
    struct bytes header, signature, body;
};
void evidence_add(struct txn *txn, uint32_t feed, uint64_t first, const struct hash *header_hash, struct bytes header,
                  struct bytes signature, struct bytes body);
// A row's fields on their own, as journal_decode(): header, signature and body only.
bool evidence_decode(struct bytes fields, struct evidence *ret);
// The first of `feed`, or the one after `after`. False at the end.
bool evidence_next(struct txn *txn, uint32_t feed, const struct evidence *after, struct evidence *ret);

// ---- batches that wait. `waits_for` as in `reason`: what is over REASON_MAX bytes is cut.
void deferred_add(struct txn *txn, const char *waits_for, uint64_t position);
// Positions waiting for it, in order, removed as they are handed out; 0: no more.
uint64_t deferred_take(struct txn *txn, const char *waits_for);
struct deferred {
    char waits_for[REASON_MAX + 1];
    uint64_t position;
};
// The first at `from` or after it, up to the text `last`, in the order of the text (as strcmp has it) and then of the position. False:
// none.
bool deferred_seek(struct txn *txn, const struct deferred *from, const char *last, struct deferred *ret);
// The first text that the position waits for, but for `but`. False: none. Looks at all keys of the table.
bool deferred_of(struct txn *txn, uint64_t position, const char *but, struct deferred *ret);
bool deferred_remove(struct txn *txn, const struct deferred *deferred); // false: it is not there

// ---- objects: certificates and documents by hash. Adding one that is there changes nothing.
enum object_kind { OBJECT_CERTIFICATE = 1, OBJECT_DOCUMENT = 2 };
bool object_read(struct txn *txn, const struct hash *hash, enum object_kind *ret_kind, struct bytes *ret);
void object_add(struct txn *txn, const struct hash *hash, enum object_kind kind, struct bytes content);

// Each is kept twice (OBJECTS and COPIES), and read from whichever is whole. Whether one is; damage does not fail the transaction.
bool object_intact(struct txn *txn, const struct hash *hash);
// Puts the damaged one of the two back from the other. False: neither is whole.
bool object_repair(struct txn *txn, const struct hash *hash);
// Puts an object back where it is damaged; where it is missing or whole, as object_add().
void object_mend(struct txn *txn, const struct hash *hash, enum object_kind kind, struct bytes content);

// ---- streams: what this station owes. Positions are 1, 2, 3 ... in each (stream, peer, lane); `peer` matters for DOWN_ONE only.
struct stream {
    uint8_t stream;
    uint8_t lane;
    struct station_id peer;
};
struct stream_row {
    uint64_t position;
    bool is_object;
    bool bodiless;  // the body may not travel there
    uint64_t batch; // journal position
    struct hash object;
};
uint64_t stream_end(struct txn *txn, const struct stream *stream);
uint64_t stream_append(struct txn *txn, const struct stream *stream, const struct stream_row *row);
// Rows after `after`, at most `max`; returns how many.
uint32_t stream_read(struct txn *txn, const struct stream *stream, uint64_t after, struct stream_row *rows, uint32_t max);
// Appends an object row unless this stream already carries the object; returns whether it did.
bool stream_carry(struct txn *txn, const struct stream *stream, const struct hash *object);
bool stream_carries(struct txn *txn, const struct stream *stream, const struct hash *object); // whether it does already

// ---- cursors. Absent: false, and `ret` is untouched.
struct mark {
    uint64_t generation, headers, bodies, time_ms;
};
// `ours`: what we hold of the peer's stream. Otherwise: what the peer acknowledged of ours.
bool mark_read(struct txn *txn, const struct station_id *peer, bool ours, unsigned stream, unsigned lane, struct mark *ret);
void mark_write(struct txn *txn, const struct station_id *peer, bool ours, unsigned stream, unsigned lane, const struct mark *mark);

// ---- a body received in part
struct staged {
    uint64_t position;
    struct hash header;
    uint32_t size;
    struct bytes part, head, signature;
};
bool staged_read(struct txn *txn, const struct station_id *peer, unsigned stream, unsigned lane, struct staged *ret);
void staged_write(struct txn *txn, const struct station_id *peer, unsigned stream, unsigned lane, const struct staged *staged);
void staged_drop(struct txn *txn, const struct station_id *peer, unsigned stream, unsigned lane);

// ---- enrolled children
struct peer {
    struct station_id station;
    struct public_key transport_key;
    struct hash certificate;
    char unit[UNIT_CODE_MAX + 1];
    uint64_t enrolled_ms;
    bool barred;
    bool guest; // of the guests, not of the peers
    char listen[128];
};
bool peer_read(struct txn *txn, const struct station_id *station, struct peer *ret);
void peer_write(struct txn *txn, const struct peer *peer);
// In order of station id; `after` zero to begin. False at the end.
bool peer_next(struct txn *txn, const struct station_id *after, struct peer *ret);
// ---- guests: stations enrolled by our children, or below them, that have called past their parent. They speak for nobody here: their link
// carries urgent batches up and receipts down, and nothing else knows of them.
bool guest_read(struct txn *txn, const struct station_id *station, struct peer *ret);
void guest_write(struct txn *txn, const struct peer *guest);
bool guest_next(struct txn *txn, const struct station_id *after, struct peer *ret);

// ---- alarms: for a person; the last ALARMS_MAX are kept, in the order they were added (the clock may jump)
struct alarm {
    uint64_t time_ms;
    char kind[32];
    char text[256];
};
void alarm_add(struct txn *txn, const struct alarm *alarm);
uint32_t alarm_last(struct txn *txn, struct alarm *alarms, uint32_t max); // newest first
