#include "relay/quarantine.h"

#include <assert.h>
#include <stdio.h>

#include "relay/row.h"

enum {
    KIND_BATCH = 1,
    KIND_OBJECT = 2,
    KEY_SIZE_MAX = 1 + HASH_SIZE,
};

static struct bytes key_of(const struct quarantined *entry, uint8_t key[KEY_SIZE_MAX])
{
    key[0] = entry->is_object ? KIND_OBJECT : KIND_BATCH;
    if (entry->is_object)
        memcpy(key + 1, entry->object.bytes, HASH_SIZE);
    else
        put_be64(key + 1, entry->position);
    return bytes_of(key, entry->is_object ? 1 + HASH_SIZE : 1 + 8);
}

// False: not an entry, or a damaged one.
static bool take(struct bytes key, struct bytes value, struct quarantined *ret)
{
    struct quarantined entry = {0};
    bool is_batch = key.size == 1 + 8 && key.data[0] == KIND_BATCH;
    entry.is_object = key.size == 1 + HASH_SIZE && key.data[0] == KIND_OBJECT;
    if (!(is_batch || entry.is_object) || !row_intact(TABLE_QUARANTINE, key, value))
        return false;
    struct row row = {.table = TABLE_QUARANTINE, .key = key, .rest = bytes_of(value.data, value.size - ROW_CHECKSUM_SIZE)};
    if (is_batch)
        entry.place.position = entry.position = get_be64(key.data + 1);
    else
        memcpy(entry.object.bytes, key.data + 1, HASH_SIZE);
    entry.since_ms = row_take_u64(&row);
    entry.mended_ms = row_take_u64(&row);
    entry.place.feed = row_take_u32(&row);
    entry.place.first = row_take_u64(&row);
    entry.place.count = row_take_u32(&row);
    entry.owed = row_take_u8(&row) != 0;
    if (row.bad || row.rest.size)
        return false;
    *ret = entry;
    return true;
}

static void write(struct txn *txn, const struct quarantined *entry)
{
    uint8_t key[KEY_SIZE_MAX];
    struct buffer fields = {0};
    row_u64(&fields, entry->since_ms);
    row_u64(&fields, entry->mended_ms);
    row_u32(&fields, entry->place.feed);
    row_u64(&fields, entry->place.first);
    row_u32(&fields, entry->place.count);
    row_u8(&fields, entry->owed);
    row_write(txn, TABLE_QUARANTINE, key_of(entry, key), &fields);
}

static bool find(struct txn *txn, struct quarantined *entry)
{
    uint8_t key[KEY_SIZE_MAX];
    struct bytes value, name = key_of(entry, key);
    return txn_get(txn, TABLE_QUARANTINE, name, &value) && take(name, value, entry);
}

bool quarantine_of_batch(struct txn *txn, uint64_t position, struct quarantined *ret)
{
    struct quarantined entry = {.position = position};
    if (!find(txn, &entry))
        return false;
    *ret = entry;
    return true;
}

bool quarantine_of_object(struct txn *txn, const struct hash *hash, struct quarantined *ret)
{
    struct quarantined entry = {.is_object = true, .object = *hash};
    if (!find(txn, &entry))
        return false;
    *ret = entry;
    return true;
}

static void alarm(struct txn *txn, const struct quarantined *entry)
{
    struct alarm alarm = {.time_ms = entry->since_ms, .kind = "damaged"};
    struct feed_key feed;
    struct feed_state state;
    char hex[2 * STATION_ID_SIZE + 1];
    if (entry->is_object) {
        crypto_hex(bytes_of(entry->object.bytes, STATION_ID_SIZE), hex);
        snprintf(alarm.text, sizeof alarm.text, "object %s: damaged on disk; it is fetched again from a neighbour", hex);
    } else if (entry->place.feed && feed_read(txn, entry->place.feed, &feed, &state)) {
        crypto_hex(bytes_of(feed.station.bytes, STATION_ID_SIZE), hex);
        snprintf(alarm.text, sizeof alarm.text,
                 "journal row %llu (station %s, lane %u, sequence %llu): damaged on disk; it is fetched again from a neighbour",
                 (unsigned long long)entry->position, hex, (unsigned)feed.lane, (unsigned long long)entry->place.first);
    } else {
        snprintf(alarm.text, sizeof alarm.text, "journal row %llu: damaged on disk, and its place is not known; run verify",
                 (unsigned long long)entry->position);
    }
    alarm_add(txn, &alarm);
}

// Room for another: the first that was mended is forgotten. False: all are damaged.
static bool make_room(struct txn *txn)
{
    struct quarantined entry;
    uint8_t key[KEY_SIZE_MAX];
    bool found = txn_count(txn, TABLE_QUARANTINE) < QUARANTINE_MAX;
    if (found)
        return true;
    struct cursor *cursor = cursor_open(txn, TABLE_QUARANTINE);
    for (bool at = cursor && cursor_seek(cursor, bytes_of("", 0)); at && !found; at = cursor_next(cursor))
        found = take(cursor_key(cursor), cursor_value(cursor), &entry) && entry.mended_ms;
    cursor_close(cursor);
    return found && txn_delete(txn, TABLE_QUARANTINE, key_of(&entry, key));
}

static bool enter(struct txn *txn, struct quarantined *entry, bool owed, uint64_t now_ms)
{
    struct quarantined old = *entry;
    bool known = find(txn, &old) && old.mended_ms == 0;
    if (known && (old.owed || !owed))
        return false;
    if (!known && !make_room(txn))
        return false;
    if (known)
        *entry = old;
    else
        entry->since_ms = now_ms;
    entry->owed = owed;
    write(txn, entry);
    if (!known)
        alarm(txn, entry);
    return txn_error(txn) == OK;
}

bool quarantine_batch(struct txn *txn, uint64_t position, bool owed, uint64_t now_ms)
{
    struct quarantined entry = {.position = position};
    if (txn_error(txn) != OK || position == 0 || journal_intact(txn, position))
        return false;
    if (!journal_place_at(txn, position, &entry.place))
        entry.place = (struct batch_place){.position = position};
    return enter(txn, &entry, owed, now_ms);
}

bool quarantine_object(struct txn *txn, const struct hash *hash, uint64_t now_ms)
{
    struct quarantined entry = {.is_object = true, .object = *hash};
    return txn_error(txn) == OK && !object_repair(txn, hash) && enter(txn, &entry, false, now_ms);
}

bool quarantine_holds(struct txn *txn, uint32_t feed, uint64_t first)
{
    bool holds = false;
    if (txn_count(txn, TABLE_QUARANTINE) == 0)
        return false;
    for (struct quarantined entry, *at = NULL; !holds && quarantine_before(txn, at, &entry); at = &entry)
        holds = !entry.is_object && entry.owed && entry.place.feed == feed && entry.place.first < first;
    return holds;
}

void quarantine_mended(struct txn *txn, const struct quarantined *entry, uint64_t now_ms)
{
    struct quarantined mended = *entry;
    if (!find(txn, &mended) || mended.mended_ms)
        return;
    mended.mended_ms = now_ms ? now_ms : 1;
    mended.owed = false;
    write(txn, &mended);
}

bool quarantine_before(struct txn *txn, const struct quarantined *before, struct quarantined *ret)
{
    uint8_t key[KEY_SIZE_MAX];
    struct quarantined entry;
    struct cursor *cursor = cursor_open(txn, TABLE_QUARANTINE);
    bool at = cursor && (before ? (cursor_seek(cursor, key_of(before, key)), cursor_prev(cursor)) : cursor_last(cursor));
    while (at && (!take(cursor_key(cursor), cursor_value(cursor), &entry) || entry.mended_ms))
        at = cursor_prev(cursor);
    cursor_close(cursor);
    if (at)
        *ret = entry;
    return at;
}

struct quarantine_count quarantine_count(struct txn *txn)
{
    struct quarantine_count count = {0};
    struct quarantined entry;
    struct cursor *cursor = cursor_open(txn, TABLE_QUARANTINE);
    for (bool at = cursor && cursor_seek(cursor, bytes_of("", 0)); at; at = cursor_next(cursor))
        if (take(cursor_key(cursor), cursor_value(cursor), &entry)) {
            count.damaged += entry.mended_ms == 0;
            count.mended += entry.mended_ms != 0;
        }
    cursor_close(cursor);
    return count;
}
