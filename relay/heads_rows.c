// Of relay/heads.h: what a claim says against the journal, and the table of the latest claims.
#include "relay/heads.h"

#include <assert.h>

#include "envelope.pb-c.h"
#include "relay/row.h"

// ---- this station's own claim

static void put_head(struct txn *txn, const struct feed_key *feed, struct heads *heads)
{
    uint32_t id;
    struct feed_state state;
    if (heads->count < HEADS_MAX && feed_find(txn, feed, &id, &state) && state.next > 1)
        heads->heads[heads->count++] = (struct head){.feed = *feed, .next = state.next, .last = state.last};
}

static void gather_own(struct txn *txn, uint64_t nonce, struct heads *heads)
{
    struct feed_key feed = {.station = heads->station, .ordinal = heads->ordinal, .nonce = nonce};
    for (feed.lane = 1; feed.lane <= LANES; feed.lane++)
        for (feed.audience = SANJI__AUDIENCE__UP; feed.audience <= SANJI__AUDIENCE__SUBTREE; feed.audience++)
            put_head(txn, &feed, heads);
}

// What is held of a station above: the feeds for everybody below it, and for this station. Of many, the last ones: those of its latest
// incarnation.
static void gather_above(struct txn *txn, const struct station_id *station, uint32_t room, struct heads *heads)
{
    struct feed_key feeds[HEADS_MAX], feed;
    uint32_t count = 0;
    struct cursor *cursor = cursor_open(txn, TABLE_FEED_IDS);
    bool at = cursor && cursor_seek(cursor, bytes_of(station->bytes, STATION_ID_SIZE));
    for (; at && cursor_key(cursor).size == FEED_KEY_SIZE && memcmp(cursor_key(cursor).data, station->bytes, STATION_ID_SIZE) == 0;
         at = cursor_next(cursor)) {
        feed_key_decode(cursor_key(cursor).data, &feed);
        if (feed.audience == SANJI__AUDIENCE__SUBTREE || station_equal(&feed.addressee, &heads->station))
            feeds[count++ % HEADS_MAX] = feed;
    }
    cursor_close(cursor);
    if (room > HEADS_MAX)
        room = HEADS_MAX;
    for (uint32_t i = count > room ? count - room : 0; i < count; i++)
        put_head(txn, &feeds[i % HEADS_MAX], heads);
}

static void sort(struct heads *heads)
{
    uint8_t keys[2][FEED_KEY_SIZE];
    for (uint32_t i = 1; i < heads->count; i++)
        for (uint32_t j = i; j > 0; j--) {
            feed_key_encode(&heads->heads[j - 1].feed, keys[0]);
            feed_key_encode(&heads->heads[j].feed, keys[1]);
            if (memcmp(keys[0], keys[1], FEED_KEY_SIZE) < 0)
                break;
            struct head head = heads->heads[j];
            heads->heads[j] = heads->heads[j - 1];
            heads->heads[j - 1] = head;
        }
}

void heads_gather(struct txn *txn, const struct certificate *self, uint32_t ordinal, uint64_t nonce, const struct station_id *above,
                  uint32_t above_count, struct heads *ret)
{
    ret->station = self->station;
    ret->certificate = self->hash;
    ret->ordinal = ordinal;
    ret->count = 0;
    gather_own(txn, nonce, ret);
    for (uint32_t i = 0; i < above_count && ret->count < HEADS_MAX; i++)
        gather_above(txn, &above[i], (HEADS_MAX - ret->count + above_count - i - 1) / (above_count - i), ret);
    sort(ret);
}

// ---- another's

enum head_verdict heads_compare(struct txn *txn, const struct head *head, struct feed_state *ret)
{
    uint32_t id = 0;
    struct feed_state state;
    if (!feed_find(txn, &head->feed, &id, &state))
        feed_state_init(&state);
    if (ret)
        *ret = state;
    if (head->next > state.next)
        return HEAD_BEHIND;
    if (head->next == 1)
        return HEAD_HELD;
    if (head->next == state.next)
        return hash_equal(&head->last, &state.last) ? HEAD_HELD : HEAD_OTHER;
    uint64_t position;
    struct batch_row row;
    if (!journal_find(txn, id, head->next - 1, &position) || !journal_read_intact(txn, position, &row))
        return HEAD_HELD; // damage proves nothing
    struct hash hash = crypto_hash(TAG_HEADER, row.header);
    return row.first + row.count == head->next && hash_equal(&hash, &head->last) ? HEAD_HELD : HEAD_OTHER;
}

// ---- the table

static void put_claim(struct buffer *fields, struct bytes claim, struct bytes signature)
{
    assert(claim.size <= HEADS_CLAIM_MAX && signature.size <= UINT8_MAX);
    row_u16(fields, (uint16_t)claim.size);
    row_u8(fields, (uint8_t)signature.size);
    row_raw(fields, claim.data, claim.size);
    row_raw(fields, signature.data, signature.size);
}

void heads_write(struct txn *txn, const struct station_id *station, const struct heads_row *row)
{
    struct buffer fields = {0};
    row_u64(&fields, row->received_ms);
    row_raw(&fields, row->via.bytes, STATION_ID_SIZE);
    row_u16(&fields, row->told);
    row_u8(&fields, row->silent);
    row_u32(&fields, row->quiet_s);
    put_claim(&fields, row->claim, row->signature);
    put_claim(&fields, row->other, row->other_signature);
    row_write(txn, TABLE_HEADS, bytes_of(station->bytes, STATION_ID_SIZE), &fields);
}

static void take_claim(struct row *row, struct bytes *ret_claim, struct bytes *ret_signature)
{
    size_t claim_size = row_take_u16(row), signature_size = row_take_u8(row);
    *ret_claim = row_take_span(row, claim_size);
    *ret_signature = row_take_span(row, signature_size);
}

static bool take_row(struct row *row, struct heads_row *ret)
{
    struct heads_row heads;
    heads.received_ms = row_take_u64(row);
    row_take_raw(row, heads.via.bytes, STATION_ID_SIZE);
    heads.told = row_take_u16(row);
    heads.silent = row_take_u8(row) != 0;
    heads.quiet_s = row_take_u32(row);
    take_claim(row, &heads.claim, &heads.signature);
    take_claim(row, &heads.other, &heads.other_signature);
    if (!row_end(row))
        return false;
    *ret = heads;
    return true;
}

bool heads_read(struct txn *txn, const struct station_id *station, struct heads_row *ret)
{
    struct row row;
    return row_read(txn, TABLE_HEADS, bytes_of(station->bytes, STATION_ID_SIZE), &row) && take_row(&row, ret);
}

bool heads_next(struct txn *txn, const struct station_id *after, struct station_id *ret_station, struct heads_row *ret)
{
    struct row row;
    struct station_id station;
    struct bytes key = bytes_of(after->bytes, STATION_ID_SIZE);
    struct cursor *cursor = cursor_open(txn, TABLE_HEADS);
    bool found = cursor && cursor_seek(cursor, key);
    if (found && bytes_equal(cursor_key(cursor), key))
        found = cursor_next(cursor);
    found = found && cursor_key(cursor).size == STATION_ID_SIZE && row_at(txn, TABLE_HEADS, cursor, &row);
    if (found)
        memcpy(station.bytes, row.key.data, STATION_ID_SIZE);
    found = found && take_row(&row, ret);
    cursor_close(cursor);
    if (found)
        *ret_station = station;
    return found;
}
