// One channel, (stream, lane), of one link: what the sending side and the receiving side know of it.
//
// Sender: rows are loaded from committed state some ahead, cut into pieces, and in flight until the peer's mark covers them. Receiver:
// takes rows in order only; `accepted` runs ahead of `mark` (committed), and what it tells the peer never runs ahead of `mark`.
//
// Repair: when the two disagree about where they are (another generation, a gap, a restored side) the sender asks for the peer's heads
// and goes through its stream from the beginning, leaving out what the heads cover. The last row is sent in any case, so that the
// peer's mark ends where the stream ends.
#pragma once
#include <assert.h>

#include "relay/core/core.h"
#include "relay/core/window.h"

enum {
    CHANNEL_REPAIRS_MAX = 3,          // restarts of one channel in a row without progress; then one a pause
    CHANNEL_PAUSE_MS = 60 * 1000,     // a channel that repairs do not help costs its station a scan a minute, no more
    CHANNEL_OVERHEAD_MAX = FRAME_MAX, // bytes: a header is at most HEADER_MAX, a signature 64
};

enum sender_state {
    SENDER_OFF,   // no session
    SENDER_HEADS, // waits for the peer's heads
    SENDER_RUN,
    SENDER_STOPPED, // repaired too often: tries again after a pause
};

// As struct core_row, with the position counted from sender.base, in 8 bytes: there are 320 of them in a link.
struct sender_row {
    uint64_t delta : 24, size : 24, overhead : 16;
};
static_assert(DOCUMENT_MAX < 1 << 24 && CHANNEL_OVERHEAD_MAX < 1 << 16, "fields of struct sender_row");

struct sender {
    uint64_t end;             // last committed position of our stream
    uint64_t headers, bodies; // acknowledged
    uint64_t claimed;         // what the peer's hello said it held, of our generation
    uint64_t high;            // highest position sent in this session
    uint64_t after;           // row sent before the next one
    uint64_t best;            // the furthest mark of this session: only what goes beyond it is progress
    uint64_t scanned;         // loaded up to here
    uint64_t repair_end;      // end when the repair began; 0: none going on
    uint64_t base;            // of the rows' positions
    uint64_t asked_ms;        // when the peer\'s heads were asked for, or the channel stopped
    uint64_t resume_position; // this row goes on at resume_offset
    uint32_t resume_offset;
    uint32_t offset;  // in the first row
    uint32_t partial; // bytes sent of the first row
    uint8_t state, head, count, repairs;
    bool loading;                          // an UPDATE_LOAD is out
    bool extended;                         // the stream grew since that load
    struct sender_row rows[CORE_ROWS_MAX]; // ring of `count` from `head`
    struct flight flight;
};

// A piece that could be sent now.
struct sender_piece {
    uint64_t after, position;
    uint32_t offset, length;
    uint32_t bytes; // with overhead: what it takes of window and credit
    bool last;      // of its row
};

// `acknowledged` NULL: unknown.
void sender_init(struct sender *sender, uint64_t generation, uint64_t end, const struct core_mark *acknowledged);
// A session begins: the peer holds `held`, and has `staged` of one row. Returns an alarm or ALARM_NONE; the state is SENDER_RUN or,
// when the peer's heads have to be asked for, SENDER_HEADS.
enum core_alarm sender_begin(struct sender *sender, uint64_t generation, const struct core_mark *held, const struct core_staged *staged,
                             uint64_t now_ms);
void sender_finish(struct sender *sender); // the session ended: nothing is in flight any more
// The peer found a gap: from the beginning, by its heads. False: too often without progress, the channel is stopped.
bool sender_restart(struct sender *sender, uint64_t now_ms);
// A stopped channel's pause is over: its state is SENDER_HEADS again.
void sender_retry(struct sender *sender, uint64_t now_ms);
void sender_heads(struct sender *sender); // the peer's heads are here
void sender_extend(struct sender *sender, uint64_t end);
// Whether rows should be loaded now; then they count as being loaded, until sender_rows().
bool sender_load(struct sender *sender, uint64_t *ret_after, uint32_t *ret_max, bool *ret_skip);
// Takes the rows loaded, unless nobody waits for any.
void sender_rows(struct sender *sender, const struct core_row *rows, uint32_t count, uint64_t scanned);
bool sender_next(const struct sender *sender, uint32_t piece_max, struct sender_piece *ret);
// The piece of sender_next() was sent; `upto`: window's running count after it.
void sender_sent(struct sender *sender, const struct sender_piece *piece, uint32_t upto);
// The peer's marks. False: nonsense (beyond what it was sent). `ret_upto`: running count confirmed, if `ret_released`; `ret_news`: marks
// moved. Marks of another generation, older ones and repeated ones change nothing.
bool sender_acknowledge(struct sender *sender, uint64_t generation, const struct core_mark *mark, bool *ret_news, bool *ret_released,
                        uint32_t *ret_upto);
uint32_t sender_unacknowledged(const struct sender *sender); // bytes sent and not acknowledged, of rows and of the part of one

enum receiver_state {
    RECEIVER_OFF,  // no session
    RECEIVER_OPEN, // the first piece decides about the generation
    RECEIVER_RUN,
    RECEIVER_WAIT, // gap told to the peer: everything is ignored until it repairs
};

struct receiver_part {
    uint64_t generation, position; // position 0: none
    uint32_t size, offset;
    uint32_t bytes; // received in this session, with overhead
    struct hash name;
};

struct receiver {
    struct core_mark mark;      // committed, the shell's word
    struct core_mark told;      // to the peer, in the hello and in acknowledgements; generation 0: nothing
    uint64_t generation;        // of the session
    uint64_t accepted;          // last row taken whole in this session, or told in the hello
    uint64_t behind_ms;         // since when bodies lack; 0: they don't
    uint64_t wanted_ms;         // when the peer asked for our heads last
    uint8_t state, gaps, wants; // gaps and requests for heads since something was committed
    bool repairing;             // the next row begins after 0
    bool staged;                // `part` lies on disk, from a session before
    bool alarmed;               // about lacking bodies
    struct receiver_part part;
    struct flight flight; // taken, not yet held
};

enum receiver_verdict { RECEIVER_TAKE, RECEIVER_TAKE_LAST, RECEIVER_IGNORE, RECEIVER_GAP, RECEIVER_BROKEN };
struct receiver_answer {
    enum receiver_verdict verdict;
    bool discard;  // what was staged is of no use
    bool restored; // the peer's journal is a new one
};

// `staged` NULL or position 0: none. Returns false if what was staged is of no use and must be discarded.
bool receiver_init(struct receiver *receiver, const struct core_mark *mark, const struct core_staged *staged);
// A hello goes out: fills in what it says of this channel. Pieces are taken from here on.
void receiver_begin(struct receiver *receiver, struct core_mark *ret_held, struct core_staged *ret_staged);
// The session ended. True: a part was assembled, and must be staged.
bool receiver_finish(struct receiver *receiver);
// A piece arrived. RECEIVER_BROKEN: against the protocol. After RECEIVER_GAP call receiver_gap().
struct receiver_answer receiver_piece(struct receiver *receiver, const struct core_piece *piece);
// A gap, found here or by the shell. False: nothing to do (told already, or no session). `ret_discard`: a part must be discarded.
// `ret_alarm`: repairs do not help.
bool receiver_gap(struct receiver *receiver, bool *ret_discard, bool *ret_alarm);
// The peer asks for heads: its next row comes after 0. False: too often, no answer. `ret_discard`: a part must be discarded.
bool receiver_heads_wanted(struct receiver *receiver, uint64_t now_ms, bool *ret_discard);
// Committed. True: the peer should be told.
bool receiver_held(struct receiver *receiver, uint64_t now_ms, const struct core_mark *mark);
uint32_t receiver_taken(const struct receiver *receiver); // bytes taken and not held
