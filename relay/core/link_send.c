// What a link sends next: within window and credit, lane by lane.
#include "relay/core/link.h"

#include <assert.h>

// Sums over the senders that count against the peer's credit; the urgent lane has an allowance of its own.
struct owed {
    uint32_t whole, part;
};

static bool is_urgent(unsigned index) { return index % LANES == 0; }

static struct owed unacknowledged(const struct link *link)
{
    struct owed owed = {0};
    for (unsigned i = 0; i < link->senders_count; i++)
        if (!is_urgent(i)) {
            owed.whole += link->senders[i].flight.bytes;
            owed.part += link->senders[i].partial;
        }
    return owed;
}

bool link_has_flight(const struct link *link)
{
    for (unsigned i = 0; i < link->senders_count; i++)
        if (link->senders[i].flight.count)
            return true;
    return false;
}

// Never a deadlock: while no whole row waits for its acknowledgement, a row begun may always go on; without any credit, one small piece.
static bool credit_admits(const struct link *link, unsigned index, const struct owed *owed, uint32_t bytes)
{
    uint64_t all = (uint64_t)owed->whole + owed->part + bytes;
    if (is_urgent(index)) {
        const struct sender *sender = &link->senders[index];
        uint32_t own = sender_unacknowledged(sender);
        return sender->flight.bytes == 0 || own + bytes <= LINK_URGENT_MAX || all + own <= link->credit;
    }
    if (link->credit == 0)
        return owed->whole + owed->part == 0;
    return owed->whole == 0 || all <= link->credit;
}

// The next piece of each lane that credit allows, and the sender that it comes from.
static void candidates(const struct link *link, struct sender_piece pieces[LANES], unsigned senders[LANES], uint32_t next_bytes[LANES])
{
    struct owed owed = unacknowledged(link);
    uint32_t most = link->credit ? window_piece_max(&link->window) : FRAME_MIN;
    unsigned streams = link->senders_count / LANES;
    for (unsigned lane = 0; lane < LANES; lane++) {
        next_bytes[lane] = 0;
        for (unsigned k = 0; k < streams && !next_bytes[lane]; k++) {
            unsigned index = (link->turn[lane] + k) % streams * LANES + lane;
            struct sender_piece piece;
            if (!sender_next(&link->senders[index], lane == 0 ? window_piece_max(&link->window) : most, &piece) ||
                !credit_admits(link, index, &owed, piece.bytes))
                continue;
            pieces[lane] = piece;
            senders[lane] = index;
            next_bytes[lane] = piece.bytes;
        }
    }
}

static void send_piece(struct link *link, struct step *step, unsigned index, const struct sender_piece *piece)
{
    struct sender *sender = &link->senders[index];
    if (window_in_flight(&link->window) == 0)
        link->progress_ms = step->now_ms;
    if (piece->last && !link_has_flight(link))
        link->committed_ms = step->now_ms;
    struct core_update *update = step_update(step, UPDATE_SEND_PIECE, link_sender_channel(link, index));
    update->piece.generation = step->generation;
    update->piece.after = piece->after;
    update->piece.position = piece->position;
    update->piece.offset = piece->offset;
    update->piece.length = piece->length;
    window_sent(&link->window, step->now_ms, piece->bytes);
    sender_sent(sender, piece, link->window.sent);
    if (!piece->last)
        trail_add(&link->trail, &(struct trail_point){.channel = link_sender_channel(link, index),
                                                      .position = piece->position,
                                                      .offset = piece->offset + piece->length,
                                                      .upto = link->window.sent});
    link->sent_ms = step->now_ms;
}

static void load_rows(struct link *link, struct step *step)
{
    for (unsigned i = 0; i < link->senders_count; i++) {
        uint64_t after;
        uint32_t max;
        bool skip;
        if (!sender_load(&link->senders[i], &after, &max, &skip))
            continue;
        struct core_update *update = step_update(step, UPDATE_LOAD, link_sender_channel(link, i));
        update->load.after = after;
        update->load.max = max;
        update->load.skip = skip;
    }
}

// Urgent rows are on their way from the store: nothing else goes before them.
static bool urgent_loading(const struct link *link)
{
    for (unsigned i = 0; i < link->senders_count; i += LANES)
        if (link->senders[i].state == SENDER_RUN && link->senders[i].count == 0 && link->senders[i].scanned < link->senders[i].end)
            return true;
    return false;
}

void link_pump(struct link *link, struct step *step)
{
    assert(link->state == LINK_LIVE);
    link->pending = false;
    for (;;) { // each turn adds an update, and their number is bounded
        struct sender_piece pieces[LANES];
        unsigned senders[LANES];
        uint32_t next_bytes[LANES];
        candidates(link, pieces, senders, next_bytes);
        if (next_bytes[0] == 0 && urgent_loading(link))
            break;
        unsigned lane = lane_pick(&link->lanes, next_bytes);
        if (lane == 0)
            break;
        if (!window_admits(&link->window, next_bytes[lane - 1], lane == 1)) {
            if (next_bytes[0] == 0 || lane == 1 || !window_admits(&link->window, next_bytes[0], true))
                break;
            lane = 1; // another lane's turn, but only urgent may use what room is left
        }
        if (step->updates->count + LINK_PUMP_ROOM > CORE_UPDATES_MAX) {
            link->pending = true;
            break;
        }
        lane_spend(&link->lanes, lane, next_bytes);
        link->turn[lane - 1] ^= link->senders_count > LANES;
        send_piece(link, step, senders[lane - 1], &pieces[lane - 1]);
    }
    if (step->updates->count + LINK_SENDERS_MAX > CORE_UPDATES_MAX)
        link->pending = true;
    else
        load_rows(link, step);
}
