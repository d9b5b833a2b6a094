// Durable before sent: what a message shows of a batch or acknowledges is in the sender's committed store. Acknowledgements are held
// against the rows of the peer's stream, one by one, not against the marks that they were made from.
#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "tests/sim/adversary.h"
#include "tests/sim/check.h"

static void missing(const struct sending *sending, const char *what, uint64_t position)
{
    check_fail(&check_durable, "%s %s position %llu of channel %u to %s, and has not committed it", site_name(sending->from), what,
               (unsigned long long)position, sending->in->channel, site_name(sending->to));
}

// Whether the row was left out while a damaged one of its feed was owed, and is in the stream again, behind what is acknowledged.
static bool is_owed_again(struct txn *theirs, const struct stream *stream, const struct stream_row *row, uint64_t acknowledged)
{
    struct stream_row later;
    for (uint64_t after = acknowledged; stream_read(theirs, stream, after, &later, 1) == 1; after = later.position)
        if (!later.is_object && !row->is_object && later.batch == row->batch)
            return true;
    return false;
}

// Whether it is what `site` asked for again before its store was put back: it does not have it, and gets it the way that it came first.
static bool is_strayed(const struct site *site, struct txn *theirs, const struct stream_row *row, bool down)
{
    struct batch_row batch;
    struct feed_key key;
    struct feed_state state;
    return site->doubt && !row->is_object && journal_read(theirs, row->batch, &batch) && feed_read(theirs, batch.feed, &key, &state) &&
           !station_equal(&key.station, &site->self.station) && down == (key.audience == SANJI__AUDIENCE__UP);
}

// A station whose store was lost passes by what was put back to the store before: all of it is put back again.
static bool is_passed_by(const struct site *from, struct txn *theirs, const struct stream_row *row)
{
    struct batch_row batch;
    struct feed_key key;
    struct feed_state state;
    return from->restored && !row->is_object && journal_read(theirs, row->batch, &batch) && feed_read(theirs, batch.feed, &key, &state) &&
           station_equal(&key.station, &from->self.station);
}

// Whether what is held in its place is the other face of who signed it.
static bool is_shown(struct txn *mine, const struct feed_key *key, uint32_t id, uint64_t first)
{
    struct batch_row row;
    uint64_t position;
    if (!journal_find(mine, id, first, &position) || !journal_read(mine, position, &row))
        return false;
    struct hash header = crypto_hash(TAG_HEADER, row.header);
    return adversary_showed(key, first, &header);
}

// Of a feed with two histories, a station on the way that was put back can't tell which of them the rows before the last that it has are.
static bool is_of_twins(const struct sending *sending, struct txn *theirs, const struct stream_row *row)
{
    struct batch_row batch;
    struct feed_key key;
    struct feed_state state;
    if (row->is_object || !(sending->from->doubt || sending->to->doubt) || !journal_read(theirs, row->batch, &batch) ||
        !feed_read(theirs, batch.feed, &key, &state))
        return false;
    const struct model_feed *feed = model_feed(&world->model, &key, 0, false);
    return feed && world->sites[feed->origin].forked;
}

// Whether `from` holds the row of `to`'s stream: the header, or the body too. What came from below and is fetched again from above owes no
// body on the way down.
static bool holds(const struct site *site, struct txn *mine, struct txn *theirs, const struct stream_row *row, bool body, bool down)
{
    struct batch_row batch, own;
    struct header header;
    struct feed_key key;
    struct feed_state state;
    uint64_t position;
    uint32_t id;
    enum object_kind kind;
    struct bytes content;
    if (row->is_object)
        return object_read(mine, &row->object, &kind, &content);
    if (!journal_read(theirs, row->batch, &batch) || !feed_read(theirs, batch.feed, &key, &state))
        return false;
    if (!feed_find(mine, &key, &id, &state) || !journal_find(mine, id, batch.first, &position) || !journal_read(mine, position, &own) ||
        own.first != batch.first || !bytes_equal(own.header, batch.header))
        return check_keeps(mine, &key, &batch) || is_shown(mine, &key, id, batch.first); // of two histories, the other one
    return (!body || own.body.size > 0 || header_decode(batch.header, &header, NULL) != OK || !check_may_read(site, &header) ||
            (down && header.feed.audience == SANJI__AUDIENCE__UP)); // also of its own, what comes back
}

static void check_marks(const struct sending *sending, unsigned channel, const struct core_mark *mark)
{
    struct core_mark *seen = &sending->child->line.seen_ack[channel];
    struct stream stream = {.stream = (uint8_t)core_channel_stream(channel), .lane = (uint8_t)core_channel_lane(channel)};
    if (seen->generation != mark->generation)
        *seen = (struct core_mark){.generation = mark->generation};
    // What is said to a liar that repeats old rows in other rows' places, perhaps another child's, is not about its stream.
    // Two twins are one peer to the others: what is taken of either, or by them, is held against check_kept().
    if (!check_whole(sending->from) || !check_whole(sending->to) || sending->to->forked || sending->from->forked || sending->to->repeats ||
        mark->generation != sending->to->generation || (mark->headers <= seen->headers && mark->bodies <= seen->bodies))
        return;
    if (stream.stream == SANJI__STREAM__STREAM_DOWN_ONE)
        stream.peer = sending->from->self.station;
    struct txn *mine = check_reader(sending->from), *theirs = check_reader(sending->to);
    uint64_t after = seen->bodies < seen->headers ? seen->bodies : seen->headers;
    struct stream_row row;
    while (after < mark->headers && !world->over && stream_read(theirs, &stream, after, &row, 1) == 1 && row.position <= mark->headers) {
        after = row.position;
        // A body that the receiver is not entitled to does not hold its mark back; check_entitled.c knows who is.
        bool body = after <= mark->bodies, down = stream.stream != SANJI__STREAM__STREAM_UP;
        if (after <= (body ? seen->bodies : seen->headers) || holds(sending->from, mine, theirs, &row, body, down))
            continue;
        uint64_t acknowledged = holds(sending->from, mine, theirs, &row, false, down) ? mark->bodies : mark->headers;
        if (!is_owed_again(theirs, &stream, &row, acknowledged) && !is_strayed(sending->from, theirs, &row, down) &&
            !is_passed_by(sending->from, theirs, &row) && !is_of_twins(sending, theirs, &row))
            missing(sending, "acknowledges", after);
    }
    txn_abort(mine);
    txn_abort(theirs);
    seen->generation = mark->generation;
    seen->headers = mark->headers > seen->headers ? mark->headers : seen->headers;
    seen->bodies = mark->bodies > seen->bodies ? mark->bodies : seen->bodies;
}

static void check_push(const struct sending *sending)
{
    const struct link_in *in = sending->in;
    if (in->push.piece.offset > 0)
        return;
    struct txn *txn = check_reader(sending->from);
    struct header header;
    struct feed_state state;
    struct batch_row row;
    uint32_t id;
    uint64_t position;
    enum object_kind kind;
    struct bytes content;
    bool there = in->push.is_object ? object_read(txn, &in->push.piece.name, &kind, &content)
                                    : header_decode(in->push.header, &header, NULL) == OK && feed_find(txn, &header.feed, &id, &state) &&
                                          journal_find(txn, id, header.first, &position) && journal_read(txn, position, &row) &&
                                          bytes_equal(row.header, in->push.header);
    if (!there)
        missing(sending, "sends", in->push.piece.position);
    txn_abort(txn);
}

static void sent(const struct sending *sending)
{
    const struct link_in *in = sending->in;
    if (in->type == LINK_PUSH)
        check_push(sending);
    if (in->type == LINK_ACK) {
        struct core_mark mark = {in->ack.generation, in->ack.headers, in->ack.bodies};
        check_marks(sending, in->channel, &mark);
    }
    bool child = sending->from == sending->child;
    for (unsigned i = 0; in->type == LINK_HELLO && i < CORE_CHANNELS; i++)
        if (child != (core_channel_stream(i) == SANJI__STREAM__STREAM_UP))
            check_marks(sending, i, &in->hello.hello.held[i]);
}

const struct checker check_durable = {.name = "durable", .sent = sent};
