#include "envelope.pb-c.h"
#include "relay/quarantine.h"
#include "relay/receive_inside.h"
#include "relay/waiting.h"

// Whether the header is the one that stood there: what followed it says so, or the feed's head.
static bool is_the_one(struct txn *txn, const struct feed_state *state, const struct batch_place *place, const struct header *header)
{
    struct batch_place after;
    struct batch_row row;
    struct header next;
    if (place->first != header->first || place->count != header->count)
        return false;
    uint64_t end = header->first + header->count;
    if (end == state->next)
        return hash_equal(&header->hash, &state->last);
    return journal_place(txn, place->feed, end, &after) && after.first == end && journal_read_intact(txn, after.position, &row) &&
           header_decode(row.header, &next, NULL) == OK && hash_equal(&next.prev, &header->hash);
}

static bool received_at(struct txn *txn, uint64_t position, uint64_t *ret_ms)
{
    struct batch_row row;
    if (position == 0 || !journal_read_intact(txn, position, &row))
        return false;
    *ret_ms = row.received_ms;
    return true;
}

// When it was received: what the damaged row says, if its neighbours don't contradict; else as one of them.
static uint64_t when(struct txn *txn, const struct batch_row *hint, uint64_t position, uint64_t now_ms)
{
    uint64_t before = 0, after = UINT64_MAX;
    bool has_before = received_at(txn, position - 1, &before), has_after = received_at(txn, position + 1, &after);
    if (hint && hint->received_ms >= before && hint->received_ms <= after)
        return hint->received_ms;
    return has_after ? after : has_before ? before : now_ms;
}

// What is left of an id in a damaged row: half of its bytes tell it from none.
static bool is_like(const struct station_id *damaged, const struct station_id *station)
{
    unsigned same = 0;
    for (unsigned i = 0; i < STATION_ID_SIZE; i++)
        same += damaged->bytes[i] == station->bytes[i];
    return same >= STATION_ID_SIZE / 2;
}

// Of its own, a station has what it made and, after a restore, what came back from its parent: only the damaged row tells the two apart.
static struct station_id who_brought(const struct receiver *receiver, struct txn *txn, const struct arrival *arrival, uint64_t position)
{
    const struct feed_key *feed = &arrival->decoded.feed;
    const struct certificate *parent = receiver->place.parent;
    struct station_id from = {0}, hint;
    if (station_equal(&feed->station, &receiver->place.self->station))
        return parent && journal_hint_from(txn, position, &hint) && is_like(&hint, &parent->station) ? parent->station : from;
    if (feed->audience != SANJI__AUDIENCE__UP && parent)
        return parent->station;
    return route_via(txn, &feed->station, &from) ? from : arrival->peer;
}

// Rows of the feed that waited for the damaged one were left out of its streams: they follow now. More than FOLLOW_MAX come by the
// repair that the first gap asks for.
enum { FOLLOW_MAX = 1024 };
static void send_on(const struct receiver *receiver, struct txn *txn, const struct batch_place *first, struct grown *grown)
{
    struct batch_place place = *first;
    for (unsigned i = 0; i < FOLLOW_MAX; i++) {
        struct batch_row row;
        struct header header;
        if (!journal_read_intact(txn, place.position, &row) || header_decode(row.header, &header, NULL) != OK)
            return;
        const struct certificate *signer = signers_find(receiver->signers, txn, &header.certificate);
        if (!signer)
            return;
        route_batch(txn, &receiver->place, &header, signer, place.position, row.body.size > 0, grown);
        if (!journal_place(txn, place.feed, place.first + place.count, &place))
            return;
    }
}

static bool may_have_body(const struct receiver *receiver, const struct header *header, const struct certificate *signer)
{
    return station_equal(&header->feed.station, &receiver->place.self->station) || signer->depth <= receiver->place.self->depth ||
           receive_entitled(receiver, header, signer);
}

// Whether the damaged row had a body. Of its own, a station has what it made, whole, and what its parent had of it, when it was restored.
// `hint` NULL: the row does not even say its lengths.
static bool had_its_body(const struct receiver *receiver, const struct arrival *arrival, const struct feed_state *state,
                         const struct batch_row *hint, const struct station_id *from)
{
    static const struct station_id here;
    const struct header *header = &arrival->decoded;
    if (!may_have_body(receiver, header, &arrival->signer))
        return false;
    if (hint && hint->body.size > 0)
        return true;
    if (station_equal(&header->feed.station, &receiver->place.self->station))
        return station_equal(from, &here) || (!hint && arrival->body.size > 0);
    return header->first < state->bodies;
}

enum received receive_mend(const struct receiver *receiver, struct txn *txn, struct arrival *arrival, const struct batch_place *place,
                           struct feed_state *state, struct grown *grown)
{
    const struct header *header = &arrival->decoded;
    struct quarantined entry = {0};
    struct batch_row hint = {0};
    bool right = may_have_body(receiver, header, &arrival->signer), has_body = arrival->body.size > 0;
    bool readable = journal_hint(txn, place->position, &hint) && hint.feed == place->feed && hint.first == place->first;
    struct station_id from = who_brought(receiver, txn, arrival, place->position);
    bool had_body = had_its_body(receiver, arrival, state, readable ? &hint : NULL, &from);
    if (!is_the_one(txn, state, place, header) || (had_body && !has_body))
        return RECEIVED; // another one, not to be told yet, or less than was here: the row stays in quarantine
    struct batch_row row = receive_row(arrival, place->feed, had_body);
    row.position = place->position;
    row.received_ms = when(txn, readable ? &hint : NULL, place->position, arrival->received_ms);
    row.from = from;
    if (had_body)
        row.verdict = waiting_verdict(txn, place->position, readable ? &hint : NULL, row.reason);
    quarantine_batch(txn, place->position, false, arrival->received_ms);
    bool owed = quarantine_of_batch(txn, place->position, &entry) && entry.owed;
    journal_mend(txn, &row);
    quarantine_mended(txn, &entry, arrival->received_ms);
    arrival->mended = true;
    if (right && has_body && !had_body)
        receive_body(receiver, txn, arrival, place->feed, state, grown);
    waiting_mended(receiver, txn, place->feed, place->position, arrival->received_ms);
    if (owed)
        send_on(receiver, txn, place, grown);
    return RECEIVED;
}
