// The core: every link of a station as one pure machine. No clock, randomness, allocation, I/O: time and bytes are arguments.
//
//   core_step(core, event) -> updates
//
// Ordering contract (what must be durable before what may be sent):
//   - A piece accepted (UPDATE_ACCEPT ... complete) is decoded, verified and stored by the shell; only EVENT_HELD, which the shell
//     gives after the commit returned, moves the marks that UPDATE_SEND_ACK carries. The core never acknowledges by itself.
//   - UPDATE_SEND_PIECE names rows that the shell loaded from committed state only (EVENT_ROWS, EVENT_EXTENDED come after commit).
//   - After a session ends nothing of it is in flight: the next hello names committed positions, and sending goes on from there.
//
// Flow control: one row can be larger than the window, so an ack also says how far the row in assembly has arrived in memory
// (`received_position`, `received_offset`): it frees window and feeds the rate estimate, moves no mark and promises nothing. The
// receiver sends such an ack after each accepted piece of an unfinished row. In flight = bytes sent and neither received so nor
// acknowledged; as a connection keeps the order, what was sent before something that arrived has arrived. Beside this bound of the line
// stands the peer's credit, a bound of its memory: bytes of rows not acknowledged. A row begun may always be finished.
//
// Threads: one core has one owner. Memory: core_size() bytes of zeros, given once; links that are never
// added are never touched.
#pragma once
#include <stddef.h>

#include "relay/core/feed.h"

enum {
    CORE_STREAMS = 3, // STREAM_UP, STREAM_DOWN_ALL, STREAM_DOWN_ONE as 1..3
    CORE_CHANNELS = CORE_STREAMS * LANES,
    CORE_UPDATES_MAX = 128, // most updates one step may emit
    CORE_ROWS_MAX = 32,     // rows loaded ahead for one channel
};

// A channel is (stream, lane); index 0..14.
static inline unsigned core_channel(unsigned stream, unsigned lane) { return (stream - 1) * LANES + (lane - 1); }
static inline unsigned core_channel_stream(unsigned channel) { return channel / LANES + 1; }
static inline unsigned core_channel_lane(unsigned channel) { return channel % LANES + 1; }

struct core_config {
    uint32_t links_max;  // index 0 is the link to the parent, 1 the one past it if there is one; children follow
    bool second_parent;  // link 1 goes up, too: past the parent
    uint64_t seed;       // jitter of the backoff
    uint64_t generation; // of this station's journal
    uint64_t starts;     // how often the station was started, for the order of its hellos; 0: they have none
    uint32_t pool_bytes; // admission: sum of credit given to all peers
};

// Numbers of enum LinkFault in schema/link.proto.
enum core_fault {
    FAULT_NONE,
    FAULT_VERSION,
    FAULT_GAP,
    FAULT_FORGED,
    FAULT_UNKNOWN_PEER,
    FAULT_BUSY,
    FAULT_PROTOCOL,
    FAULT_STORE,
    FAULT_DISPUTED,
    FAULT_CLONE,
};

enum link_state { LINK_ABSENT, LINK_DOWN, LINK_DIALING, LINK_GREETING, LINK_LIVE, LINK_BARRED };

struct core_mark {
    uint64_t generation, headers, bodies;
};

// A row received in part and kept: it goes on at `offset`, if the sender's journal is still the one of the mark beside it.
struct core_staged {
    uint64_t position;  // 0: none
    uint32_t offset;    // bytes held, 1..size - 1
    uint32_t size;      // of the whole row; not on the wire (0 in a peer's hello)
    struct hash header; // header hash or object hash
};

struct core_hello {
    uint32_t version_min, version_max;
    uint64_t session;                     // of the sender of the hello
    struct core_mark held[CORE_CHANNELS]; // what the sender of the hello holds of the receiver's streams; generation 0: nothing
    struct core_staged staged[CORE_CHANNELS];
    uint32_t credit_bytes; // 0: ask by one small piece ("knock"); urgent goes all the same
    uint64_t starts;       // order of the hellos of one dialer in one incarnation: (starts, number) grows; 0: none, as of a restored
    uint64_t number;       // station, whose starts may have gone back
    bool reply;
    // The shell fills them in.
    uint32_t ordinal;
    uint64_t nonce;
    bool wants_incarnation; // not the core's
};

struct core_row {
    uint64_t position;
    uint32_t size;     // bytes of body or object that will be sent; 0: header alone
    uint32_t overhead; // bytes of header and signature
};

// A piece as it arrived: facts only, the bytes stay with the shell.
struct core_piece {
    unsigned channel;
    uint64_t generation, after, position;
    uint32_t size, offset, length; // of the whole row, and of this piece
    uint32_t overhead;
    struct hash name; // header hash or object hash; zero in pieces with offset > 0
};

// What one side sends and the other gets.
struct core_ack {
    uint64_t generation, headers, bodies;
    uint32_t credit_bytes;
    uint64_t received_position;
    uint32_t received_offset;
};
struct core_ping {
    uint64_t token;
    bool reply;
};
struct core_error {
    uint32_t fault;
    uint32_t retry_ms;
};

enum core_event_type {
    // from the shell
    EVENT_TICK,        // time passed; give one at core_deadline()
    EVENT_LINK_ADD,    // a peer exists: `add`; ignored unless the link is absent
    EVENT_LINK_REMOVE, // nothing about it may follow: answers still owed to it are dropped by the shell
    EVENT_OPENED,      // our dial connected (a link that goes up)
    EVENT_CLOSED,      // the connection broke, or the dial failed
    // from the peer: `session` is the one of its hello
    EVENT_HELLO,        // `fresh`: a new session for the answer; ignored when core_overtaken()
    EVENT_HEADS_WANTED, // the peer asks for our heads of `channel`
    EVENT_HEADS_ALL,    // the peer's last page of heads of `channel` is with the shell
    EVENT_PIECE,
    EVENT_ACK,
    EVENT_PING,
    EVENT_ERROR, // the peer's word: `error`. (What our own shell refuses is EVENT_REFUSED.)
    // from the shell, after a commit or a read
    EVENT_ROWS,     // answer to UPDATE_LOAD
    EVENT_EXTENDED, // our stream of `channel` grew (committed): to one link, or to all that carry it
    EVENT_HELD,     // committed: our mark on the peer's `channel` is now `mark`. Once for every completed row, or for
                    // several of one commit, also when they were duplicates.
    EVENT_REFUSED,  // what arrived is not stored: `error` with FAULT_GAP: repair the channel; FAULT_FORGED: bar the
                    // peer; FAULT_BUSY, FAULT_STORE: not now, come back after retry_ms (0: the core's choice);
                    // anything else (FAULT_PROTOCOL: undecodable): bar
    EVENT_HEADS,    // from the peer: a page of its heads that were asked for, not the last
    EVENT_HEARD,    // from the peer: any other message (a grant, signed heads): it lives
};

struct core_event {
    enum core_event_type type;
    uint64_t now_ms;  // monotonic
    uint32_t link;    // UINT32_MAX with EVENT_EXTENDED: every link that carries the channel
    uint64_t session; // of the message's sender; EVENT_HELLO, EVENT_OPENED: see `fresh`
    uint64_t fresh;   // fresh randomness, where a new session may begin (OPENED, HELLO, TICK)
    unsigned channel;
    union {
        // CORE_CHANNELS each, committed: what we hold of its streams; ends of our streams to it; and, NULL if unknown: what it
        // acknowledged of ours (tells a peer that lost what it held), parts of its rows that are staged here (`marks` generation).
        struct {
            bool parent;
            bool urgent_only; // the link past a parent, at either end: it has the channels of the urgent lane, and no others
            const struct core_mark *marks;
            const uint64_t *ends;
            const struct core_mark *acknowledged;
            const struct core_staged *staged;
        } add;
        const struct core_hello *hello;
        struct core_piece piece;
        struct core_ack ack;
        struct core_ping ping;
        struct core_error error;
        // scanned: position looked at so far, also of rows left out; more: the stream goes on beyond `scanned`. Rows are ascending,
        // load.after < position <= scanned, at most load.max. Answer a load before the next event about its link, so that answers
        // never meet another load; an answer that nobody waits for any more is ignored.
        struct {
            const struct core_row *rows;
            uint32_t count;
            uint64_t scanned;
            bool more;
        } rows;
        struct {
            uint64_t end;
        } extended;
        struct core_mark mark;
    };
};

// To be carried out in the order given. The session that messages name is the one of the last UPDATE_SEND_HELLO on that link
// (0 before: an error that answers a hello).
enum core_update_type {
    UPDATE_DIAL,       // connect to the station above of this link
    UPDATE_HANGUP,     // drop the connection (dialer) or forget the session (listener)
    UPDATE_SEND_HELLO, // `hello`; the shell adds certificate, document versions, ordinal, nonce and wants_incarnation
    UPDATE_SEND_HEADS, // send our heads of `channel`, page by page
    UPDATE_WANT_HEADS, // ask for the peer's heads of `channel`
    UPDATE_SEND_PIECE, // `piece`: after, position, offset, length
    UPDATE_SEND_ACK,
    UPDATE_SEND_PING,
    UPDATE_SEND_ERROR, // `channel` matters with FAULT_GAP only
    UPDATE_LOAD,       // read rows of `channel` after `load.after`; `load.skip`: leave out what the peer's heads cover;
                       // answered by one EVENT_ROWS, also when there are none
    UPDATE_ACCEPT,     // append this piece at its offset; `accept.complete`: decode, verify, store, then EVENT_HELD or
                       // EVENT_REFUSED. First of a session with offset > 0: it goes on with what was staged.
    UPDATE_STAGE,      // the session ended with a part of `channel` assembled: keep it, bounded, on disk
    UPDATE_DISCARD,    // throw away the part assembled or staged of `channel`
    UPDATE_STATE,      // link.state changed: for status and logs
    UPDATE_ALARM,      // for a person: `alarm`
};

enum core_alarm {
    ALARM_NONE,
    ALARM_BODY_WITHHELD,
    ALARM_PEER_RESTORED,
    ALARM_PEER_HOLDS_MORE,
    ALARM_PROTOCOL,
    ALARM_FORGED,
    ALARM_VERSION,
    ALARM_CLONE,
};

struct core_update {
    enum core_update_type type;
    uint32_t link;
    unsigned channel;
    union {
        struct core_hello hello; // large: at most one per step
        struct {
            uint64_t generation, after, position;
            uint32_t offset, length;
        } piece;
        struct core_ack ack;
        struct core_ping ping;
        struct core_error error;
        struct {
            uint64_t after;
            uint32_t max;
            bool skip;
        } load;
        struct {
            struct core_piece piece;
            bool complete;
        } accept;
        struct {
            enum link_state from, to;
        } state;
        enum core_alarm alarm;
    };
};

struct core_updates {
    uint32_t count;
    struct core_update items[CORE_UPDATES_MAX];
};

struct core;
// Bytes of memory for a core: under 8 KiB a link. `links_max` 1..CHILDREN_MAX + 2, at least the links that go up.
size_t core_size(const struct core_config *config);
// `memory`: core_size() bytes aligned as malloc aligns, the caller's. The core needs no end. `generation` is not 0.
struct core *core_init(void *memory, const struct core_config *config);
// Overwrites `ret`. No updates on an event for an absent link or a stale session: those are ignored, as late messages are normal.
// A step that could say more than CORE_UPDATES_MAX makes core_deadline() return a time that has passed; the next EVENT_TICK goes on.
void core_step(struct core *core, const struct core_event *event, struct core_updates *ret);
// When EVENT_TICK is next wanted, monotonic ms; UINT64_MAX: never.
uint64_t core_deadline(const struct core *core);

// `ret`: a copy, monotonic times as the events gave them (0: never). False, `ret` untouched: no such link, or absent.
struct core_link_status {
    enum link_state state;
    bool parent, repairing;
    uint64_t since_ms, heard_ms, acknowledged_ms, session;
    uint64_t rate_bytes; // acknowledged a second
    uint32_t in_flight_bytes;
    struct {
        uint64_t end, headers, bodies;
    } channels[CORE_CHANNELS]; // of our streams to it
};
bool core_link(const struct core *core, uint32_t link, struct core_link_status *ret);
// Whether a child's hello is older than the one its live session began with: of an abandoned connection that delivers late, or of another
// station with the same keys. Nothing may be answered, and answers go on to where they went.
bool core_overtaken(const struct core *core, uint32_t link, const struct core_hello *hello);
