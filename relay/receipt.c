#include "relay/receipt.h"

#include <stdio.h>

#include "envelope.pb-c.h"
#include "relay/codec.h"
#include "relay/row.h"

enum {
    URGENT_KEY_SIZE = 1 + 4 + 8,
    RECEIPT_KEY_SIZE = 4 + 8 + STATION_ID_SIZE + 1,
};

// ---- urgent batches of this station

static struct bytes urgent_key(bool decided, uint32_t feed, uint64_t first, uint8_t key[URGENT_KEY_SIZE])
{
    key[0] = decided;
    put_be32(key + 1, feed);
    put_be64(key + 5, first);
    return bytes_of(key, URGENT_KEY_SIZE);
}

void urgent_write(struct txn *txn, const struct urgent_batch *batch)
{
    uint8_t key[URGENT_KEY_SIZE];
    struct buffer fields = {0};
    row_u64(&fields, batch->signed_ms);
    row_u32(&fields, batch->within_ms);
    row_u32(&fields, batch->decider);
    row_u32(&fields, batch->reach);
    row_raw(&fields, batch->record, RECORD_ID_SIZE);
    row_text(&fields, batch->what);
    txn_delete(txn, TABLE_URGENT, urgent_key(!batch->decided, batch->feed, batch->first, key));
    row_write(txn, TABLE_URGENT, urgent_key(batch->decided, batch->feed, batch->first, key), &fields);
}

static bool urgent_take(struct row *row, struct urgent_batch *ret)
{
    struct urgent_batch batch = {0};
    if (row->key.size != URGENT_KEY_SIZE) {
        row_damaged(row->txn, row->table, row->key);
        return false;
    }
    batch.decided = row->key.data[0];
    batch.feed = get_be32(row->key.data + 1);
    batch.first = get_be64(row->key.data + 5);
    batch.signed_ms = row_take_u64(row);
    batch.within_ms = row_take_u32(row);
    batch.decider = row_take_u32(row);
    batch.reach = row_take_u32(row);
    row_take_raw(row, batch.record, RECORD_ID_SIZE);
    row_take_text(row, batch.what, sizeof batch.what);
    if (!row_end(row))
        return false;
    *ret = batch;
    return true;
}

bool urgent_read(struct txn *txn, uint32_t feed, uint64_t first, struct urgent_batch *ret)
{
    uint8_t key[URGENT_KEY_SIZE];
    struct row row;
    return (row_read(txn, TABLE_URGENT, urgent_key(false, feed, first, key), &row) ||
            row_read(txn, TABLE_URGENT, urgent_key(true, feed, first, key), &row)) &&
           urgent_take(&row, ret);
}

bool urgent_next(struct txn *txn, const struct urgent_batch *after, struct urgent_batch *ret)
{
    uint8_t key[URGENT_KEY_SIZE];
    struct row row;
    struct cursor *cursor = cursor_open(txn, TABLE_URGENT);
    struct bytes from = after ? urgent_key(after->decided, after->feed, after->first, key) : bytes_of("", 0);
    bool found = cursor && cursor_seek(cursor, from);
    if (found && after && bytes_equal(cursor_key(cursor), from))
        found = cursor_next(cursor);
    found = found && row_at(txn, TABLE_URGENT, cursor, &row) && urgent_take(&row, ret);
    cursor_close(cursor);
    return found;
}

int64_t urgent_due_in(struct txn *txn, uint64_t now_ms, uint32_t tiers_up)
{
    int64_t least = -1;
    struct urgent_batch batch;
    for (bool more = urgent_next(txn, NULL, &batch); more && !batch.decided && least != 0; more = urgent_next(txn, &batch, &batch)) {
        if (!reach_entitles(batch.reach, tiers_up))
            continue;
        uint64_t end = batch.signed_ms + batch.within_ms;
        bool over = end <= now_ms || batch.signed_ms > now_ms + RECEIPT_CLOCK_MS;
        int64_t left = over ? 0 : (int64_t)(end - now_ms);
        if (least < 0 || left < least)
            least = left;
    }
    return least;
}

// ---- receipts that are kept

static struct bytes receipt_key(const struct receipt *receipt, uint8_t key[RECEIPT_KEY_SIZE])
{
    put_be32(key, receipt->feed);
    put_be64(key + 4, receipt->first);
    memcpy(key + 12, receipt->station.bytes, STATION_ID_SIZE);
    key[RECEIPT_KEY_SIZE - 1] = receipt->state;
    return bytes_of(key, RECEIPT_KEY_SIZE);
}

static void receipt_write(struct txn *txn, const struct receipt *receipt)
{
    uint8_t key[RECEIPT_KEY_SIZE];
    struct buffer fields = {0};
    row_u64(&fields, receipt->time_ms);
    row_u64(&fields, receipt->position);
    row_raw(&fields, receipt->certificate.bytes, HASH_SIZE);
    row_write(txn, TABLE_RECEIPTS, receipt_key(receipt, key), &fields);
}

static bool receipt_take_row(struct row *row, struct receipt *ret)
{
    struct receipt receipt = {0};
    if (row->key.size != RECEIPT_KEY_SIZE) {
        row_damaged(row->txn, row->table, row->key);
        return false;
    }
    receipt.feed = get_be32(row->key.data);
    receipt.first = get_be64(row->key.data + 4);
    memcpy(receipt.station.bytes, row->key.data + 12, STATION_ID_SIZE);
    receipt.state = row->key.data[RECEIPT_KEY_SIZE - 1];
    receipt.time_ms = row_take_u64(row);
    receipt.position = row_take_u64(row);
    row_take_raw(row, receipt.certificate.bytes, HASH_SIZE);
    if (!row_end(row))
        return false;
    *ret = receipt;
    return true;
}

bool receipt_read(struct txn *txn, const struct receipt *of, struct receipt *ret)
{
    uint8_t key[RECEIPT_KEY_SIZE];
    struct row row;
    return row_read(txn, TABLE_RECEIPTS, receipt_key(of, key), &row) && receipt_take_row(&row, ret);
}

bool receipt_next(struct txn *txn, const struct receipt *after, struct receipt *ret)
{
    uint8_t key[RECEIPT_KEY_SIZE];
    struct row row;
    struct bytes from = receipt_key(after, key);
    struct cursor *cursor = cursor_open(txn, TABLE_RECEIPTS);
    bool found = cursor && cursor_seek(cursor, from);
    if (found && bytes_equal(cursor_key(cursor), from))
        found = cursor_next(cursor);
    found = found && cursor_key(cursor).size == RECEIPT_KEY_SIZE && memcmp(cursor_key(cursor).data, key, 12) == 0 &&
            row_at(txn, TABLE_RECEIPTS, cursor, &row) && receipt_take_row(&row, ret);
    cursor_close(cursor);
    return found;
}

// ---- giving

static ProtobufCBinaryData binary(const void *data, size_t size) { return (ProtobufCBinaryData){size, (uint8_t *)data}; }

void receipt_give(struct author *author, struct txn *txn, const struct header *header, uint64_t now_ms)
{
    Sanji__Feed feed = SANJI__FEED__INIT;
    Sanji__Receipt receipt = SANJI__RECEIPT__INIT;
    struct buffer wire = {0};
    feed.station = binary(header->feed.station.bytes, STATION_ID_SIZE);
    feed.ordinal = header->feed.ordinal;
    feed.nonce = header->feed.nonce;
    feed.lane = (Sanji__Lane)header->feed.lane;
    feed.audience = (Sanji__Audience)header->feed.audience;
    receipt.feed = &feed;
    receipt.sequence = header->first;
    receipt.header = binary(header->hash.bytes, HASH_SIZE);
    receipt.state = SANJI__RECEIPT__STATE__RECEIVED;
    receipt.time_ms = now_ms;
    codec_pack(&receipt, &wire);
    if (wire.failed)
        txn_fail(txn, ERR_MEMORY, "receipt");
    else
        author_add(author, txn, SANJI__LANE__URGENT, SANJI__AUDIENCE__STATION, &header->feed.station, REACH_TOP, SANJI__ENTRY_KIND__RECEIPT,
                   now_ms, buffer_bytes(&wire), NULL);
    buffer_finish(&wire);
}

void receipt_owe(struct txn *txn, uint64_t position) { deferred_add(txn, RECEIPT_OWED, position); }

static bool settle(struct author *author, struct txn *txn, uint64_t position, uint64_t now_ms)
{
    struct batch_row row;
    struct header header;
    if (!journal_read_intact(txn, position, &row) || header_decode(row.header, &header, NULL) != OK)
        return false;
    receipt_give(author, txn, &header, now_ms);
    return true;
}

bool receipt_settle(struct author *author, struct txn *txn, uint64_t now_ms)
{
    uint64_t positions[RECEIPT_SETTLE_MAX]; // all are taken out first: what is put back must not come round again
    uint32_t count = 0, given = 0;
    while (count < RECEIPT_SETTLE_MAX && (positions[count] = deferred_take(txn, RECEIPT_OWED)) != 0)
        count++;
    for (uint32_t i = 0; i < count && txn_error(txn) == OK; i++) {
        bool done = settle(author, txn, positions[i], now_ms);
        given += done;
        if (!done)
            receipt_owe(txn, positions[i]);
    }
    return count == RECEIPT_SETTLE_MAX && given > 0;
}

// ---- taking

struct claim {
    struct feed_key feed;
    uint64_t sequence, time_ms;
    struct hash header;
    uint8_t state;
};

static bool claim_decode(struct bytes wire, struct claim *ret)
{
    static const struct codec_limits limits = {.bytes_max = CONTROL_ENTRY_MAX, .elements_max = 16};
    struct claim claim = {0};
    struct codec_field field;
    bool good = codec_scan(&sanji__receipt__descriptor, wire, &limits, NULL) == OK;
    bool has_feed = false, has_header = false;
    for (size_t at = 0; good && codec_walk(wire, &at, &field);) {
        switch (field.number) {
        case 1:
            good = has_feed = feed_decode(field.bytes, &claim.feed, NULL) == OK;
            break;
        case 2:
            claim.sequence = field.value;
            break;
        case 3:
            good = has_header = codec_copy(field.bytes, claim.header.bytes, HASH_SIZE, "receipt: header", NULL) == OK;
            break;
        case 4:
            claim.state = (uint8_t)field.value;
            break;
        default:
            claim.time_ms = field.value;
        }
    }
    if (!good || !has_feed || !has_header || claim.sequence == 0 || claim.state == SANJI__RECEIPT__STATE__STATE_NONE)
        return false;
    *ret = claim;
    return true;
}

// Whether the station stands above us in our own certificate's chain.
static bool stands_above(struct txn *txn, const struct certificate *self, const struct station_id *station)
{
    struct certificate at = *self;
    for (unsigned depth = 0; depth < DEPTH_MAX && !at.root; depth++) {
        struct hash issuer = at.issuer;
        enum object_kind kind;
        struct bytes wire;
        if (!object_read(txn, &issuer, &kind, &wire) || kind != OBJECT_CERTIFICATE || certificate_decode(wire, &at, NULL) != OK)
            return false;
        if (station_equal(&at.station, station))
            return true;
    }
    return false;
}

// The name of the batch that is here at such a place; of a damaged one, what follows it says so. False: that is damaged as well.
static bool name_of(struct txn *txn, const struct feed_state *state, const struct batch_place *place, struct hash *ret)
{
    struct batch_row row;
    struct batch_place after;
    struct header next;
    uint64_t end = place->first + place->count;
    if (journal_intact(txn, place->position) && journal_read(txn, place->position, &row)) {
        *ret = crypto_hash(TAG_HEADER, row.header);
        return true;
    }
    if (end == state->next) {
        *ret = state->last;
        return true;
    }
    if (!journal_place(txn, place->feed, end, &after) || !journal_intact(txn, after.position) || !journal_read(txn, after.position, &row) ||
        header_decode(row.header, &next, NULL) != OK)
        return false;
    *ret = next.prev;
    return true;
}

enum receipt_judgement receipt_judge(struct txn *txn, const struct certificate *self, const struct header *header,
                                     const struct certificate *signer, const struct entry *entry, uint64_t position, struct receipt *ret,
                                     const char **ret_reason)
{
    struct claim claim;
    struct feed_state state;
    struct batch_place place;
    struct hash name;
    uint32_t feed;
    if (header->feed.audience != SANJI__AUDIENCE__STATION || !station_equal(&header->feed.addressee, &self->station))
        return RECEIPT_OTHERS;
    *ret_reason = "receipt does not decode";
    if (!claim_decode(entry->content, &claim))
        return RECEIPT_FORGED;
    *ret_reason = "receipt by a station that is not above this one";
    if (!stands_above(txn, self, &signer->station))
        return RECEIPT_FORGED;
    *ret_reason = "receipt for what this station does not sign as urgent";
    if (!station_equal(&claim.feed.station, &self->station) || claim.feed.lane != SANJI__LANE__URGENT ||
        claim.feed.audience != SANJI__AUDIENCE__UP)
        return RECEIPT_FORGED;
    if (!feed_find(txn, &claim.feed, &feed, &state) || !journal_place(txn, feed, claim.sequence, &place) || place.position > position ||
        !name_of(txn, &state, &place, &name))
        return RECEIPT_UNKNOWN;
    *ret_reason = "receipt for another batch than was signed";
    if (place.first != claim.sequence || !hash_equal(&name, &claim.header))
        return RECEIPT_FORGED;
    *ret = (struct receipt){.feed = feed,
                            .first = claim.sequence,
                            .station = signer->station,
                            .state = claim.state,
                            .time_ms = claim.time_ms,
                            .position = position,
                            .certificate = signer->hash};
    return RECEIPT_GOOD;
}

enum verdict receipt_take(struct txn *txn, const struct certificate *self, const struct header *header, const struct certificate *signer,
                          const struct entry *entry, uint64_t position, uint64_t now_ms, const char **ret_reason)
{
    struct receipt receipt;
    struct urgent_batch batch;
    switch (receipt_judge(txn, self, header, signer, entry, position, &receipt, ret_reason)) {
    case RECEIPT_GOOD:
        break;
    case RECEIPT_FORGED: {
        struct alarm alarm = {.time_ms = now_ms, .kind = "receipt-forged"};
        snprintf(alarm.text, sizeof alarm.text, "signed by the station of unit %s: %s", signer->unit, *ret_reason);
        alarm_add(txn, &alarm);
        return VERDICT_REJECTED;
    }
    default:
        *ret_reason = NULL;
        return VERDICT_HELD;
    }
    *ret_reason = NULL;
    struct receipt held;
    if (!receipt_read(txn, &receipt, &held)) // a station that was restored says it again: since when is what it said first
        receipt_write(txn, &receipt);
    if (urgent_read(txn, receipt.feed, receipt.first, &batch) && !batch.decided && signer->depth <= batch.decider) {
        batch.decided = true;
        urgent_write(txn, &batch);
    }
    return VERDICT_APPLIED;
}
