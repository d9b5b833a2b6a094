#include "relay/route.h"

#include <assert.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "relay/row.h"

static struct bytes via_key(const struct station_id *station, uint8_t key[4 + STATION_ID_SIZE])
{
    memcpy(key, "via/", 4);
    memcpy(key + 4, station->bytes, STATION_ID_SIZE);
    return bytes_of(key, 4 + STATION_ID_SIZE);
}

static const struct station_id nobody; // in place of a peer: batches wait for one to be named

// False: no row. A row may name nobody.
static bool read_via(struct txn *txn, const struct station_id *station, struct station_id *ret)
{
    uint8_t key[4 + STATION_ID_SIZE];
    struct row row;
    struct station_id via;
    if (!row_read(txn, TABLE_META, via_key(station, key), &row))
        return false;
    row_take_raw(&row, via.bytes, STATION_ID_SIZE);
    if (!row_end(&row))
        return false;
    *ret = via;
    return true;
}

static void write_via(struct txn *txn, const struct station_id *station, const struct station_id *via)
{
    uint8_t key[4 + STATION_ID_SIZE];
    struct buffer fields = {0};
    row_raw(&fields, via->bytes, STATION_ID_SIZE);
    row_write(txn, TABLE_META, via_key(station, key), &fields);
}

bool route_via(struct txn *txn, const struct station_id *station, struct station_id *ret)
{
    struct station_id via;
    if (!read_via(txn, station, &via) || station_equal(&via, &nobody))
        return false;
    *ret = via;
    return true;
}

// The signer's certificate and its issuers, topmost first, each once. Those above the receiver of an upward stream are known to it;
// `place` matters for that stream only.
static void carry_certificates(struct txn *txn, const struct place *place, const struct stream *stream, const struct certificate *signer)
{
    if (stream_carries(txn, stream, &signer->hash)) // then its issuers, too: to decode a certificate takes 0.1 ms
        return;
    struct hash chain[DEPTH_MAX];
    uint32_t count = 0;
    struct certificate at = *signer;
    for (;;) {
        chain[count++] = at.hash;
        bool known_above = stream->stream == SANJI__STREAM__STREAM_UP && hash_equal(&at.hash, &place->self->hash);
        bool issued_here = stream->stream == SANJI__STREAM__STREAM_UP && hash_equal(&at.issuer, &place->self->hash);
        if (issued_here && count < DEPTH_MAX)
            chain[count++] = at.issuer;
        if (at.root || known_above || issued_here || count == DEPTH_MAX)
            break;
        struct hash issuer = at.issuer;
        enum object_kind kind;
        struct bytes wire;
        if (!object_read(txn, &issuer, &kind, &wire) || kind != OBJECT_CERTIFICATE || certificate_decode(wire, &at, NULL) != OK)
            break;
    }
    while (count > 0)
        stream_carry(txn, stream, &chain[--count]);
}

static uint64_t add(struct txn *txn, const struct place *place, const struct stream *stream, const struct certificate *signer,
                    uint64_t position, bool bodiless)
{
    carry_certificates(txn, place, stream, signer);
    struct stream_row row = {.bodiless = bodiless, .batch = position};
    return stream_append(txn, stream, &row);
}

// A stream never shrinks, so of two ends the greater is the later one.
static void grown_end(uint64_t *end, uint64_t other)
{
    if (other > *end)
        *end = other;
}

static void grown_one(struct grown *grown, const struct station_id *peer, unsigned lane, uint64_t end)
{
    for (uint32_t i = 0; i < grown->one_count; i++)
        if (grown->one[i].lane == lane && station_equal(&grown->one[i].peer, peer)) {
            grown_end(&grown->one[i].end, end);
            return;
        }
    if (grown->one_count == GROWN_ONE_MAX) {
        grown->more = true;
        return;
    }
    grown->one[grown->one_count].peer = *peer;
    grown->one[grown->one_count].lane = (uint8_t)lane;
    grown->one[grown->one_count++].end = end;
}

void grown_merge(struct grown *to, const struct grown *from)
{
    for (size_t i = 0; i < LANES; i++) {
        grown_end(&to->up[i], from->up[i]);
        grown_end(&to->down_all[i], from->down_all[i]);
    }
    for (uint32_t i = 0; i < from->one_count; i++)
        grown_one(to, &from->one[i].peer, from->one[i].lane, from->one[i].end);
    to->more |= from->more;
}

static void add_one(struct txn *txn, const struct station_id *peer, unsigned lane, const struct certificate *signer, uint64_t position,
                    bool bodiless, struct grown *grown)
{
    struct stream one = {.stream = SANJI__STREAM__STREAM_DOWN_ONE, .lane = (uint8_t)lane, .peer = *peer};
    uint64_t end = add(txn, NULL, &one, signer, position, bodiless);
    if (grown)
        grown_one(grown, peer, lane, end);
}

// Header and signer's certificate of what is held. False: one of them is damaged, or not there.
static bool read_signed(struct txn *txn, const struct batch_row *row, struct header *ret, struct certificate *ret_signer)
{
    enum object_kind kind;
    struct bytes wire;
    return header_decode(row->header, ret, NULL) == OK && object_read(txn, &ret->certificate, &kind, &wire) && kind == OBJECT_CERTIFICATE &&
           certificate_decode(wire, ret_signer, NULL) == OK;
}

// Puts one batch of the journal, for one station, into the stream to `via`. Returns where the next one begins; 0: damaged.
static uint64_t owe_batch(struct txn *txn, uint32_t feed, uint64_t first, const struct station_id *via, struct grown *grown)
{
    uint64_t position;
    struct batch_row row;
    struct header header;
    struct certificate signer;
    if (!journal_find(txn, feed, first, &position) || !journal_read(txn, position, &row) || !read_signed(txn, &row, &header, &signer))
        return 0;
    uint64_t next = row.first + row.count;
    add_one(txn, via, header.feed.lane, &signer, position, row.body.size == 0, grown);
    return next;
}

// All that is held for the station. Looks at every feed: rare, as a route is learned once and hardly ever changes.
static void owe_all(struct txn *txn, const struct station_id *station, const struct station_id *via, struct grown *grown)
{
    struct feed_key feed;
    struct feed_state state;
    for (uint32_t id = 1; feed_read(txn, id, &feed, &state); id++) {
        if (feed.audience != SANJI__AUDIENCE__STATION || !station_equal(&feed.addressee, station))
            continue;
        for (uint64_t next = 1; next && next < state.next && txn_error(txn) == OK;)
            next = owe_batch(txn, id, next, via, grown);
    }
}

void route_learn(struct txn *txn, const struct station_id *station, const struct station_id *via, struct grown *grown)
{
    struct station_id before;
    bool known = read_via(txn, station, &before);
    if (known && station_equal(&before, via))
        return;
    write_via(txn, station, via);
    if (known)
        owe_all(txn, station, via, grown);
}

void route_guest(struct txn *txn, const struct station_id *guest, struct grown *grown)
{
    struct feed_key feed;
    struct feed_state state;
    for (uint32_t id = 1; feed_read(txn, id, &feed, &state); id++) {
        if (feed.audience != SANJI__AUDIENCE__STATION || feed.lane != SANJI__LANE__URGENT || !station_equal(&feed.addressee, guest))
            continue;
        for (uint64_t next = 1; next && next < state.next && txn_error(txn) == OK;)
            next = owe_batch(txn, id, next, guest, grown);
    }
}

void route_batch(struct txn *txn, const struct place *place, const struct header *header, const struct certificate *signer,
                 uint64_t position, bool has_body, struct grown *grown)
{
    unsigned lane = header->feed.lane;
    assert(lane >= 1 && lane <= LANES);
    switch (header->feed.audience) {
    case SANJI__AUDIENCE__UP:
        if (place->parent) {
            uint32_t tiers = signer->depth > place->parent->depth ? signer->depth - place->parent->depth : 0;
            struct stream up = {.stream = SANJI__STREAM__STREAM_UP, .lane = (uint8_t)lane};
            grown->up[lane - 1] = add(txn, place, &up, signer, position, !has_body || !reach_entitles(header->reach, tiers));
        }
        break;
    case SANJI__AUDIENCE__SUBTREE: {
        struct stream down = {.stream = SANJI__STREAM__STREAM_DOWN_ALL, .lane = (uint8_t)lane};
        grown->down_all[lane - 1] = add(txn, place, &down, signer, position, !has_body);
        break;
    }
    case SANJI__AUDIENCE__STATION: {
        struct station_id via;
        const struct station_id *addressee = &header->feed.addressee;
        struct peer guest;
        if (station_equal(addressee, &place->self->station))
            break;
        bool routed = route_via(txn, addressee, &via);
        if (routed)
            add_one(txn, &via, lane, signer, position, !has_body, grown);
        else
            write_via(txn, addressee, &nobody);
        // who called past its parent is answered past it, too
        if (lane == SANJI__LANE__URGENT && (!routed || !station_equal(&via, addressee)) && guest_read(txn, addressee, &guest))
            add_one(txn, addressee, lane, signer, position, !has_body, grown);
        break;
    }
    }
}

void route_back(struct txn *txn, const struct place *place, const struct batch_row *row, const struct station_id *child,
                struct grown *grown)
{
    struct header header;
    struct certificate signer;
    uint64_t position = row->position;
    bool bodiless = row->body.size == 0;
    if (!read_signed(txn, row, &header, &signer))
        return; // damage, and the transaction says so
    struct stream one = {.stream = SANJI__STREAM__STREAM_DOWN_ONE, .lane = header.feed.lane, .peer = *child};
    grown_one(grown, child, header.feed.lane, add(txn, place, &one, &signer, position, bodiless));
}

// Where the last AGAIN_MAX batches of a feed begin.
static uint64_t again_from(struct txn *txn, uint32_t feed_id, uint64_t next)
{
    struct batch_place place;
    for (unsigned i = 0; i < AGAIN_MAX && next > 1 && journal_place(txn, feed_id, next - 1, &place); i++)
        next = place.first;
    return next;
}

void route_again(struct txn *txn, const struct place *place, uint32_t feed_id, struct grown *grown)
{
    struct feed_key feed;
    struct feed_state state;
    struct batch_place at;
    struct batch_row row;
    struct header header;
    struct certificate signer;
    if (!feed_read(txn, feed_id, &feed, &state))
        return;
    for (uint64_t next = again_from(txn, feed_id, state.next); next < state.next && journal_place(txn, feed_id, next, &at);
         next = at.first + at.count) {
        if (journal_read_intact(txn, at.position, &row) && read_signed(txn, &row, &header, &signer))
            route_batch(txn, place, &header, &signer, at.position, row.body.size > 0, grown);
    }
}

void route_document(struct txn *txn, const struct hash *document, struct grown *grown)
{
    struct stream down = {.stream = SANJI__STREAM__STREAM_DOWN_ALL, .lane = SANJI__LANE__BULK};
    stream_carry(txn, &down, document);
    grown->down_all[SANJI__LANE__BULK - 1] = stream_end(txn, &down);
}
