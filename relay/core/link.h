// One link: its states, its session, its timers, and what it sends next.
//
//   parent (we dial)   DOWN -> DIALING -> GREETING -> LIVE -> DOWN ...
//   child (it dials)   DOWN -> LIVE -> DOWN ...                          each hello begins a new session
//   either             -> BARRED for half a minute to five, when only a person can help
//
// Functions here append to step->updates, at most LINK_UPDATES_MAX each; link_pump() alone fills what room there is.
#pragma once
#include "relay/core/admission.h"
#include "relay/core/backoff.h"
#include "relay/core/channel.h"
#include "relay/core/lane.h"

enum {
    LINK_VERSION = 1,      // of the protocol: the only one so far
    LINK_UPDATES_MAX = 64, // a new session: 10 parts staged, hello, states, 10 alarms, 10 repairs, and some
    LINK_PUMP_ROOM = 16,   // left free by link_pump(): 10 loads, and some

    LINK_DIAL_MS = 15 * 1000,     // connect and greet: TCP retries for 7 s on a line that loses every other packet
    LINK_PING_MS = 10 * 1000,     // nothing sent for that long: say that we live
    LINK_SILENCE_MS = 30 * 1000,  // nothing heard: half-open connections end within it
    LINK_STALL_MS = 20 * 1000,    // pieces on the line and none confirmed: dead, though something may still be heard
    LINK_COMMIT_MS = 120 * 1000,  // arrived, but not acknowledged: a peer with a long commit queue is not dead yet
    LINK_SETTLED_MS = 60 * 1000,  // live that long: the backoff begins anew
    LINK_HEADS_MS = 60 * 1000,    // for each page of heads: it takes 4 s at 64 kbit/s, behind what else is on the line
    LINK_WITHHELD_MS = 60 * 1000, // a body that we are entitled to is missing for that long: for a person
    LINK_BUSY_MS = 5 * 1000,      // asked of the peer when our own store can't take anything
    LINK_URGENT_MAX = 16 * 1024,  // bytes of urgent rows unacknowledged whatever the credit: four batches of one entry

    LINK_SENDERS_MAX = 2 * LANES, // towards a child: down-all and down-one
};

// What a link needs of the core during one step.
struct step {
    uint32_t link; // number of the link at hand
    uint64_t now_ms, fresh;
    uint64_t generation; // of our journal
    uint64_t starts;     // of our station
    struct admission *admission;
    struct core_updates *updates;
};

struct link {
    uint8_t state; // enum link_state
    bool parent;
    bool urgent_only; // channels of other lanes are not there
    bool pending;     // more to send than one step may say
    bool wants;       // the peer knocked, or could use more credit than none
    bool stretched;   // the peer used more than half of its credit
    uint8_t senders_count, receivers_count;
    uint8_t turn[LANES]; // of the two streams of a lane towards a child
    uint32_t barred_fault;
    uint32_t credit;            // the peer's to us
    uint32_t given, given_most; // ours to the peer: now, most in this session
    uint32_t due_delay_ms;      // least wait before the next dial, asked by the peer
    uint64_t since_ms;          // of the state
    uint64_t due_ms;            // next dial, or end of patience; UINT64_MAX: none
    uint64_t heard_ms, sent_ms, piece_ms, given_ms;
    uint64_t progress_ms;     // of the line: confirmed, or the first piece after nothing was outstanding
    uint64_t acknowledged_ms; // last acknowledgement that moved a mark
    uint64_t committed_ms;    // the same, or the first row after none was unacknowledged
    uint64_t session, peer_session;
    uint64_t hellos; // said to a station above, as long as the core lives
    struct {         // a child's last hello
        uint32_t ordinal;
        uint64_t nonce, starts, number;
    } order;
    struct backoff backoff;
    struct window window;
    struct trail trail;
    struct lane_scheduler lanes;
    struct sender *senders;     // UP (parent), or DOWN_ALL and DOWN_ONE, lane by lane
    struct receiver *receivers; // the other way round
};

// The channel's sender or receiver; NULL if the link carries it in the other direction only, or not at all.
struct sender *link_sender(struct link *link, unsigned channel);
struct receiver *link_receiver(struct link *link, unsigned channel);
unsigned link_sender_channel(const struct link *link, unsigned index);
unsigned link_receiver_channel(const struct link *link, unsigned index);

void link_add(struct link *link, struct step *step, const struct core_event *event);
void link_remove(struct link *link, struct step *step);
void link_opened(struct link *link, struct step *step);
void link_closed(struct link *link, struct step *step);
void link_hello(struct link *link, struct step *step, const struct core_hello *hello);
bool link_overtaken(const struct link *link, const struct core_hello *hello); // core_overtaken()
void link_heads_wanted(struct link *link, struct step *step, unsigned channel);
// A page came that is not the last one: while heads come, all that wait for some go on waiting.
void link_heads(struct link *link, const struct step *step);
void link_heads_all(struct link *link, struct step *step, unsigned channel);
void link_piece(struct link *link, struct step *step, const struct core_piece *piece);
void link_ack(struct link *link, struct step *step, const struct core_event *event);
void link_ping(struct link *link, struct step *step, uint64_t token, bool reply);
void link_error(struct link *link, struct step *step, const struct core_event *event);
void link_rows(struct link *link, struct step *step, const struct core_event *event);
void link_extended(struct link *link, struct step *step, unsigned channel, uint64_t end);
void link_held(struct link *link, struct step *step, unsigned channel, const struct core_mark *mark);
void link_refused(struct link *link, struct step *step, const struct core_event *event);
// Timers, and what was left pending.
void link_tick(struct link *link, struct step *step);
uint64_t link_deadline(const struct link *link);

// Gives the peer another credit and tells it.
void link_give(struct link *link, struct step *step, uint32_t credit);
bool link_assembling(const struct link *link); // a row of the peer is here in part

// ---- link_send.c
// Sends what window, credit and lanes allow, and loads rows ahead.
void link_pump(struct link *link, struct step *step);
bool link_has_flight(const struct link *link); // rows sent whole and not acknowledged

// Appends an update for the link at hand, zero but for type, link and channel.
struct core_update *step_update(struct step *step, enum core_update_type type, unsigned channel);
