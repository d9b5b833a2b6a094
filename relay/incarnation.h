// Incarnations: a station whose store was put back from a copy signs nothing more in its old one, gets the next from its parent, and opens
// it when what its parent holds of its old feeds has come back. Pure but for the transaction it works in; the marker is the caller's to
// write. Used by the node and by the simulator alike.
//
//   start     incarnation_look() holds the store against the marker. RESTORED: incarnation_suspend(), write the marker, then
//             incarnation_renew() in a transaction; the station runs, and signs nothing. OPENED: incarnation_resume(), write the marker.
//   asking    the hello says which incarnation is asked for (its nonce is the marker's, so a retry asks for the same) and names
//             incarnation_own_heads().
//   parent    incarnation_grant() in a transaction, again as long as it says that there is more; then the answer is sent.
//   opening   once incarnation_whole() says that all that was named is here: incarnation_open() in a transaction; then the process goes
//             through its start again, and finds OPENED. A crash anywhere in between comes out at one of these points.
//
// Everything works in the caller's transaction and thread; errors are the transaction's (relay/store.h).
#pragma once
#include "relay/marker.h"
#include "relay/route.h"

enum {
    GRANTS_MAX = 64,       // of one station, ever: one that was restored more often needs a person
    GRANT_HEADS_MAX = 128, // named in a grant: 25 incarnations of all lanes; as many as a page of heads
    GRANT_ROWS_MAX = 1000, // put back in one transaction: about 20 ms
    OWN_HEADS_MAX = 64,    // named in a hello; what is left out is sent again
};

enum incarnation_state {
    INCARNATION_SOUND,    // the store is the one that the marker saw last
    INCARNATION_RESTORED, // it is not, or there is no marker, or it was found restored before and nothing was opened since
    INCARNATION_OPENED,   // a new incarnation was committed, and the marker does not say so yet
};
// `marker` NULL: there is none.
enum incarnation_state incarnation_look(struct txn *txn, const struct journal_meta *meta, const struct marker *marker);
// Whether the store's own word on its incarnation is another than the marker's, or was never written: incarnation_settle() writes it.
void incarnation_settle(struct txn *txn, const struct marker *marker);
// What the marker says of where the journal ends now.
void incarnation_mark(struct txn *txn, struct marker *marker);

// The marker of a restored station: it asks for `nonce` unless it asks already, with this very store: another copy that is put back while
// it asks is another journal again. Without a marker before, its own word on the store's
// newest incarnation takes the place.
void incarnation_suspend(struct txn *txn, const struct journal_meta *meta, struct marker *marker, uint64_t nonce);
// The restored journal is another one than the peers know: gives it the generation that the marker asks for. Needs a write transaction.
// Returns whether there was anything to write.
bool incarnation_renew(struct txn *txn, struct journal_meta *meta, const struct marker *marker);
// The opposite of suspend, after OPENED: marker and `meta` (not yet written) as of the new incarnation.
void incarnation_resume(struct txn *txn, struct journal_meta *meta, struct marker *marker);

// Heads of the feeds of `station` that are held, newest incarnation first: at most `max`. `up_only`: those for the tiers above.
uint32_t incarnation_own_heads(struct txn *txn, const struct station_id *station, bool up_only, struct head *heads, uint32_t max);

// What a child asks.
struct incarnation_ask {
    struct station_id station;
    char unit[UNIT_CODE_MAX + 1]; // for the alarm
    uint32_t ordinal;             // the highest that it knows of itself
    uint64_t nonce;
    struct head own[OWN_HEADS_MAX];
    uint32_t own_count;
};
struct incarnation_grant {
    uint32_t ordinal; // 0: the nonce was used before
    struct head heads[GRANT_HEADS_MAX];
    uint32_t count;
    bool fresh; // granted now, not before
    bool more;  // not all of the tail is in the child's stream yet: call again, in another transaction
};
// Grants (once for each nonce; the first time with an alarm), and puts what is held of the child's feeds, and not by it, into its
// addressed stream. ERR_LIMIT: GRANTS_MAX, or no ordinal is left; `ret` is untouched then.
enum error_code incarnation_grant(struct txn *txn, const struct place *place, const struct incarnation_ask *ask, uint64_t now_ms,
                                  struct grown *grown, struct incarnation_grant *ret, struct error *error);

// Whether all that `heads` names is held, or its feed is disputed (then the other history is kept as evidence).
bool incarnation_whole(struct txn *txn, const struct head *heads, uint32_t count);
// Whether one of `heads` is of a feed of `station` and names more than is held, or something else: proof that the store is not the one
// that signed last.
bool incarnation_behind(struct txn *txn, const struct station_id *station, const struct head *heads, uint32_t count);
// A root has no parent: what its children hold of its feeds for the stations below, beyond what is held here, is noted as they say it, and
// is not proven: at most SEEN_FEEDS_MAX, and only of incarnations that can be (GRANTS_MAX beyond the newest known). Newest first.
enum { SEEN_FEEDS_MAX = 64 };
void incarnation_note_seen(struct txn *txn, const struct station_id *station, const struct head *heads, uint32_t count);
uint32_t incarnation_seen(struct txn *txn, const struct station_id *station, struct head *heads, uint32_t max);
// 1 + the highest ordinal among `ordinal`, the feeds held, and those seen.
uint32_t incarnation_next(struct txn *txn, const struct station_id *station, uint32_t ordinal);
// Opens (ordinal, nonce): from here on a start finds OPENED. Feeds of which `heads` names another history are disputed from now on, and
// what is here of them is owed again: the neighbours keep it as evidence.
void incarnation_open(struct txn *txn, const struct place *place, uint32_t ordinal, uint64_t nonce, const struct head *heads,
                      uint32_t count, uint64_t now_ms);
