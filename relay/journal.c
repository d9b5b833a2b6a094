#include "relay/journal.h"

#include <assert.h>
#include <stdio.h>

#include "relay/crypto.h"
#include "relay/language.h"
#include "relay/row.h"

enum {
    POSITION_SIZE = 8,
    BATCH_KEY_SIZE = 12, // feed id, first sequence
    FEED_ID_SIZE = 4,
};

static const char meta_format[] = "format"; // written by the store itself, be32, without a checksum
static const char meta_journal[] = "journal";

_Static_assert(REASON_MAX <= UINT8_MAX, "row_text");

// ---- meta

void journal_create(struct txn *txn, const struct journal_meta *meta)
{
    struct bytes there;
    if (txn_get(txn, TABLE_META, bytes_of_text(meta_journal), &there))
        txn_fail(txn, ERR_EXISTS, tr("the journal is set up already", "日志已初始化"));
    journal_meta_write(txn, meta);
}

void journal_meta_write(struct txn *txn, const struct journal_meta *meta)
{
    assert(meta->format == STORE_FORMAT);
    struct buffer fields = {0};
    row_raw(&fields, meta->station.bytes, STATION_ID_SIZE);
    row_u64(&fields, meta->generation);
    row_u64(&fields, meta->starts);
    row_write(txn, TABLE_META, bytes_of_text(meta_journal), &fields);
}

enum error_code journal_meta_read(struct txn *txn, struct journal_meta *ret, struct error *error)
{
    struct row row;
    struct bytes format = {0};
    struct journal_meta meta = {0};
    bool known = txn_get(txn, TABLE_META, bytes_of_text(meta_format), &format) && format.size == 4;
    if (known)
        meta.format = get_be32(format.data);
    if (!txn_error(txn) && meta.format != STORE_FORMAT)
        return error_set(error, ERR_VERSION, tr("the journal has format %u, this program knows %d", "日志格式版本为 %u，本程序支持 %d"),
                         meta.format, STORE_FORMAT);
    bool found = row_read(txn, TABLE_META, bytes_of_text(meta_journal), &row);
    if (found) {
        row_take_raw(&row, meta.station.bytes, STATION_ID_SIZE);
        meta.generation = row_take_u64(&row);
        meta.starts = row_take_u64(&row);
        found = row_end(&row);
    }
    if (txn_error(txn))
        return txn_report(txn, error);
    if (!found)
        return error_set(error, ERR_NOT_FOUND, tr("the store was made but not set up", "存储已创建但尚未初始化"));
    *ret = meta;
    return OK;
}

static struct bytes meta_key(const char *name)
{
    struct bytes key = bytes_of_text(name);
    assert(key.size > 0 && key.size <= META_NAME_MAX && strcmp(name, meta_format) != 0 && strcmp(name, meta_journal) != 0);
    return key;
}

bool meta_get(struct txn *txn, const char *name, struct bytes *ret)
{
    struct row row;
    if (!row_read(txn, TABLE_META, meta_key(name), &row))
        return false;
    *ret = row.rest;
    return true;
}

void meta_put(struct txn *txn, const char *name, struct bytes value)
{
    struct buffer fields = {0};
    row_raw(&fields, value.data, value.size);
    row_write(txn, TABLE_META, meta_key(name), &fields);
}

// ---- feeds

bool feed_find(struct txn *txn, const struct feed_key *feed, uint32_t *ret_id, struct feed_state *ret)
{
    uint8_t key[FEED_KEY_SIZE];
    struct row row;
    struct feed_key stored;
    feed_key_encode(feed, key);
    if (!row_read(txn, TABLE_FEED_IDS, bytes_of(key, sizeof key), &row))
        return false;
    uint32_t id = row_take_u32(&row);
    if (!row_end(&row))
        return false;
    if (!feed_read(txn, id, &stored, ret)) { // an id without a feed
        row_damaged(txn, TABLE_FEED_IDS, bytes_of(key, sizeof key));
        return false;
    }
    *ret_id = id;
    return true;
}

static uint32_t feed_last(struct txn *txn)
{
    struct cursor *cursor = cursor_open(txn, TABLE_FEEDS);
    uint32_t id = 0;
    if (cursor && cursor_last(cursor) && cursor_key(cursor).size == FEED_ID_SIZE)
        id = get_be32(cursor_key(cursor).data);
    cursor_close(cursor);
    return id;
}

static void feed_put(struct txn *txn, uint32_t id, const struct feed_key *feed, const struct feed_state *state)
{
    uint8_t key[FEED_ID_SIZE], encoded[FEED_KEY_SIZE];
    struct buffer fields = {0};
    put_be32(key, id);
    feed_key_encode(feed, encoded);
    row_raw(&fields, encoded, sizeof encoded);
    row_u64(&fields, state->next);
    row_raw(&fields, state->last.bytes, HASH_SIZE);
    row_u64(&fields, state->bodies);
    row_u8(&fields, state->disputed);
    row_write(txn, TABLE_FEEDS, bytes_of(key, sizeof key), &fields);
}

uint32_t feed_add(struct txn *txn, const struct feed_key *feed)
{
    uint8_t key[FEED_KEY_SIZE];
    struct bytes there;
    struct feed_state state;
    struct buffer fields = {0};
    feed_key_encode(feed, key);
    if (txn_get(txn, TABLE_FEED_IDS, bytes_of(key, sizeof key), &there))
        txn_fail(txn, ERR_EXISTS, tr("the feed is known already", "该序列已登记"));
    uint32_t id = feed_last(txn) + 1;
    feed_state_init(&state);
    row_u32(&fields, id);
    row_write(txn, TABLE_FEED_IDS, bytes_of(key, sizeof key), &fields);
    feed_put(txn, id, feed, &state);
    return id;
}

void feed_write(struct txn *txn, uint32_t id, const struct feed_state *state)
{
    struct feed_key feed;
    struct feed_state before;
    if (feed_read(txn, id, &feed, &before))
        feed_put(txn, id, &feed, state);
    else
        txn_fail(txn, ERR_NOT_FOUND, tr("no feed has this id", "没有此编号的序列"));
}

bool feed_read(struct txn *txn, uint32_t id, struct feed_key *ret_key, struct feed_state *ret)
{
    uint8_t key[FEED_ID_SIZE], encoded[FEED_KEY_SIZE];
    struct feed_state state = {0};
    struct row row;
    put_be32(key, id);
    if (!row_read(txn, TABLE_FEEDS, bytes_of(key, sizeof key), &row))
        return false;
    row_take_raw(&row, encoded, sizeof encoded);
    state.next = row_take_u64(&row);
    row_take_raw(&row, state.last.bytes, HASH_SIZE);
    state.bodies = row_take_u64(&row);
    state.disputed = row_take_u8(&row);
    if (!row_end(&row))
        return false;
    feed_key_decode(encoded, ret_key);
    *ret = state;
    return true;
}

bool feed_next_of(struct txn *txn, const struct station_id *station, const struct feed_key *after, uint32_t *ret_id,
                  struct feed_key *ret_key, struct feed_state *ret)
{
    uint8_t key[FEED_KEY_SIZE];
    struct feed_key found = {0};
    if (after) {
        feed_key_encode(after, key);
    } else { // behind the last that can be
        memset(key, 0xff, sizeof key);
        memcpy(key, station->bytes, STATION_ID_SIZE);
    }
    struct cursor *cursor = cursor_open(txn, TABLE_FEED_IDS);
    if (cursor)
        cursor_seek(cursor, bytes_of(key, sizeof key));
    bool more = cursor && cursor_prev(cursor) && cursor_key(cursor).size == FEED_KEY_SIZE &&
                memcmp(cursor_key(cursor).data, station->bytes, STATION_ID_SIZE) == 0;
    if (more)
        feed_key_decode(cursor_key(cursor).data, &found);
    cursor_close(cursor);
    if (!more || !feed_find(txn, &found, ret_id, ret))
        return false;
    *ret_key = found;
    return true;
}

// ---- batches

uint64_t journal_end(struct txn *txn)
{
    struct cursor *cursor = cursor_open(txn, TABLE_JOURNAL);
    uint64_t position = 0;
    if (cursor && cursor_last(cursor)) {
        struct bytes key = cursor_key(cursor);
        if (key.size == POSITION_SIZE)
            position = get_be64(key.data);
        else // never taken for an empty journal
            row_damaged(txn, TABLE_JOURNAL, key);
    }
    cursor_close(cursor);
    return position;
}

// The part of a row that never changes.
static void put_fixed(struct buffer *fields, const struct batch_row *row)
{
    row_u32(fields, row->feed);
    row_u64(fields, row->first);
    row_u32(fields, row->count);
    row_u64(fields, row->received_ms);
    row_raw(fields, row->from.bytes, STATION_ID_SIZE);
    row_u16(fields, (uint16_t)row->header.size);
    row_u8(fields, (uint8_t)row->signature.size);
    row_raw(fields, row->header.data, row->header.size);
    row_raw(fields, row->signature.data, row->signature.size);
}

static void put_row(struct buffer *fields, const struct batch_row *row)
{
    assert(row->header.size > 0 && row->header.size <= HEADER_MAX && row->signature.size <= UINT8_MAX && row->body.size <= BATCH_BODY_MAX);
    row_reserve(fields, 64 + REASON_MAX + row->header.size + row->signature.size + row->body.size);
    put_fixed(fields, row);
    row_u8(fields, (uint8_t)row->verdict);
    row_text(fields, row->reason);
    row_u32(fields, (uint32_t)row->body.size);
    row_raw(fields, row->body.data, row->body.size);
}

static bool place_take(struct row *row, struct batch_place *ret)
{
    struct batch_place place = {.feed = get_be32(row->key.data), .first = get_be64(row->key.data + 4)};
    place.position = row_take_u64(row);
    place.count = row_take_u32(row);
    if (!row_end(row))
        return false;
    *ret = place;
    return true;
}

// The last batch of `feed` that begins at or before `sequence`. False: none.
static bool batch_before(struct txn *txn, uint32_t feed, uint64_t sequence, struct batch_place *ret)
{
    uint8_t key[BATCH_KEY_SIZE];
    struct row row;
    put_be32(key, feed);
    put_be64(key + 4, sequence);
    struct cursor *cursor = cursor_open(txn, TABLE_BATCHES);
    bool found = cursor && ((cursor_seek(cursor, bytes_of(key, sizeof key)) && memcmp(cursor_key(cursor).data, key, sizeof key) == 0) ||
                            cursor_prev(cursor));
    found = found && cursor_key(cursor).size == sizeof key && memcmp(cursor_key(cursor).data, key, 4) == 0;
    found = found && row_at(txn, TABLE_BATCHES, cursor, &row) && place_take(&row, ret);
    cursor_close(cursor);
    return found;
}

bool journal_place(struct txn *txn, uint32_t feed, uint64_t sequence, struct batch_place *ret)
{
    struct batch_place place;
    if (!batch_before(txn, feed, sequence, &place) || sequence >= place.first + place.count)
        return false;
    *ret = place;
    return true;
}

bool journal_find(struct txn *txn, uint32_t feed, uint64_t sequence, uint64_t *ret_position)
{
    struct batch_place place;
    if (!journal_place(txn, feed, sequence, &place))
        return false;
    *ret_position = place.position;
    return true;
}

uint64_t journal_append(struct txn *txn, const struct batch_row *row)
{
    assert(row->count > 0 && row->first > 0 && row->count <= UINT64_MAX - row->first);
    struct batch_place held;
    if (batch_before(txn, row->feed, row->first + row->count - 1, &held) && held.first + held.count > row->first)
        txn_fail(txn, ERR_STATE, tr("this place of the feed is taken; nothing is ever replaced", "序列的该位置已占用；绝不覆盖"));
    uint64_t position = journal_end(txn) + 1;
    uint8_t key[POSITION_SIZE], batch_key[BATCH_KEY_SIZE];
    struct buffer fields = {0}, place = {0};
    put_be64(key, position);
    put_row(&fields, row);
    row_append(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &fields);
    put_be32(batch_key, row->feed);
    put_be64(batch_key + 4, row->first);
    row_u64(&place, position);
    row_u32(&place, row->count);
    row_write(txn, TABLE_BATCHES, bytes_of(batch_key, sizeof batch_key), &place);
    return position;
}

// What has its place in every row.
static void take_fixed(struct row *row, struct batch_row *ret)
{
    ret->feed = row_take_u32(row);
    ret->first = row_take_u64(row);
    ret->count = row_take_u32(row);
    ret->received_ms = row_take_u64(row);
    row_take_raw(row, ret->from.bytes, STATION_ID_SIZE);
}

static void take_row(struct row *row, struct batch_row *ret)
{
    take_fixed(row, ret);
    size_t header_size = row_take_u16(row), signature_size = row_take_u8(row);
    ret->header = row_take_span(row, header_size);
    ret->signature = row_take_span(row, signature_size);
    ret->verdict = (enum verdict)row_take_u8(row);
    row_take_text(row, ret->reason, sizeof ret->reason);
    ret->body = row_take_span(row, row_take_u32(row));
}

bool journal_read(struct txn *txn, uint64_t position, struct batch_row *ret)
{
    uint8_t key[POSITION_SIZE];
    struct batch_row batch = {.position = position};
    struct row row;
    put_be64(key, position);
    if (!row_read(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &row))
        return false;
    take_row(&row, &batch);
    if (!row_end(&row))
        return false;
    *ret = batch;
    return true;
}

bool journal_intact(struct txn *txn, uint64_t position)
{
    uint8_t key[POSITION_SIZE];
    struct bytes value;
    put_be64(key, position);
    return txn_get(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &value) && row_intact(TABLE_JOURNAL, bytes_of(key, sizeof key), value);
}

bool journal_read_intact(struct txn *txn, uint64_t position, struct batch_row *ret)
{
    uint8_t key[POSITION_SIZE];
    struct batch_row batch = {0};
    struct row row = {.txn = txn, .table = TABLE_JOURNAL, .key = bytes_of(key, sizeof key)};
    put_be64(key, position);
    if (!txn_get(txn, TABLE_JOURNAL, row.key, &row.rest) || !row_intact(TABLE_JOURNAL, row.key, row.rest))
        return false;
    row.rest.size -= ROW_CHECKSUM_SIZE;
    take_row(&row, &batch);
    if (!row_end(&row))
        return false;
    batch.position = position;
    *ret = batch;
    return true;
}

bool journal_decode(struct bytes fields, struct batch_row *ret)
{
    struct batch_row batch = {0};
    struct row row = {.rest = fields};
    take_row(&row, &batch);
    if (row.bad || row.rest.size || batch.verdict > VERDICT_HELD)
        return false;
    *ret = batch;
    return true;
}

bool journal_hint(struct txn *txn, uint64_t position, struct batch_row *ret)
{
    uint8_t key[POSITION_SIZE];
    struct bytes value;
    put_be64(key, position);
    if (!txn_get(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &value) || value.size < ROW_CHECKSUM_SIZE ||
        !journal_decode(bytes_of(value.data, value.size - ROW_CHECKSUM_SIZE), ret))
        return false;
    ret->position = position;
    return true;
}

bool journal_hint_from(struct txn *txn, uint64_t position, struct station_id *ret)
{
    uint8_t key[POSITION_SIZE];
    struct batch_row batch = {0};
    struct row row = {0};
    put_be64(key, position);
    if (!txn_get(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &row.rest))
        return false;
    take_fixed(&row, &batch);
    if (row.bad)
        return false;
    *ret = batch.from;
    return true;
}

// A damaged row may still say which place it is; whether that is true BATCHES knows.
bool journal_place_at(struct txn *txn, uint64_t position, struct batch_place *ret)
{
    struct batch_row hint;
    struct batch_place place;
    if (journal_hint(txn, position, &hint) && journal_place(txn, hint.feed, hint.first, &place) && place.position == position) {
        *ret = place;
        return true;
    }
    bool found = false;
    struct cursor *cursor = cursor_open(txn, TABLE_BATCHES);
    for (bool at = cursor && cursor_seek(cursor, bytes_of("", 0)); at && !found; at = cursor_next(cursor)) {
        struct row row;
        if (cursor_key(cursor).size == BATCH_KEY_SIZE && row_intact(TABLE_BATCHES, cursor_key(cursor), cursor_value(cursor)))
            found = row_at(txn, TABLE_BATCHES, cursor, &row) && place_take(&row, &place) && place.position == position;
    }
    cursor_close(cursor);
    if (found)
        *ret = place;
    return found;
}

void journal_mend(struct txn *txn, const struct batch_row *row)
{
    uint8_t key[POSITION_SIZE];
    struct buffer fields = {0};
    assert(row->position > 0);
    if (journal_intact(txn, row->position) || row->position > journal_end(txn)) {
        txn_fail(txn, ERR_STATE, tr("nothing is ever replaced but what is damaged", "除已损坏的行外，绝不覆盖"));
        return;
    }
    put_be64(key, row->position);
    put_row(&fields, row);
    row_write(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &fields);
}

void journal_add_body(struct txn *txn, uint64_t position, struct bytes body, enum verdict verdict, const char *reason)
{
    struct batch_row row;
    if (!journal_read(txn, position, &row)) {
        txn_fail(txn, ERR_NOT_FOUND, tr("the journal has no such position", "日志中没有该位置"));
        return;
    }
    if (row.body.size > 0 && body.size > 0 && !bytes_equal(row.body, body)) {
        txn_fail(txn, ERR_STATE, tr("another body is held; nothing is ever replaced", "已持有不同的正文；绝不覆盖"));
        return;
    }
    if (body.size > 0)
        row.body = body;
    row.verdict = verdict;
    snprintf(row.reason, sizeof row.reason, "%s", reason);
    uint8_t key[POSITION_SIZE];
    struct buffer fields = {0};
    put_be64(key, position);
    put_row(&fields, &row); // copies what points into the store
    row_write(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &fields);
}

struct hash journal_digest(const struct batch_row *row)
{
    uint8_t place[64 + HEADER_MAX + UINT8_MAX]; // large enough, so the buffer never allocates
    struct buffer fields = {.data = place, .capacity = sizeof place};
    assert(row->header.size <= HEADER_MAX && row->signature.size <= UINT8_MAX);
    row_u64(&fields, row->position);
    put_fixed(&fields, row);
    return crypto_hash(TAG_DIGEST, buffer_bytes(&fields));
}
