#include "relay/incarnation_inside.h"

#include <stdio.h>

#include "envelope.pb-c.h"
#include "relay/quarantine.h"
#include "relay/row.h"

enum { INCARNATION_SIZE = 4 + 8 };
static const char incarnation_name[] = "incarnation";

// ---- the store against the marker

static bool read_incarnation(struct txn *txn, uint32_t *ret_ordinal, uint64_t *ret_nonce)
{
    struct bytes value;
    if (!meta_get(txn, incarnation_name, &value) || value.size != INCARNATION_SIZE)
        return false;
    *ret_ordinal = get_be32(value.data);
    *ret_nonce = get_be64(value.data + 4);
    return true;
}

static void write_incarnation(struct txn *txn, uint32_t ordinal, uint64_t nonce)
{
    uint8_t value[INCARNATION_SIZE];
    put_be32(value, ordinal);
    put_be64(value + 4, nonce);
    meta_put(txn, incarnation_name, bytes_of(value, sizeof value));
}

void incarnation_settle(struct txn *txn, const struct marker *marker)
{
    uint32_t ordinal;
    uint64_t nonce;
    if (!read_incarnation(txn, &ordinal, &nonce) || ordinal != marker->ordinal || nonce != marker->nonce)
        write_incarnation(txn, marker->ordinal, marker->nonce);
}

// A copy put back has fewer starts, or ends earlier, or ends in another row, or is of another incarnation.
static bool differs(struct txn *txn, const struct journal_meta *meta, const struct marker *marker)
{
    uint32_t ordinal;
    uint64_t nonce, end = journal_end(txn);
    if (read_incarnation(txn, &ordinal, &nonce) && (ordinal != marker->ordinal || nonce != marker->nonce))
        return true;
    if (meta->starts < marker->starts || end < marker->end || (marker->clean && end != marker->end))
        return true;
    struct batch_row row;
    struct quarantined entry;
    if (marker->end == 0)
        return false;
    // A row that is damaged, or was and came again, tells nothing: its numbers have to do.
    if (quarantine_of_batch(txn, marker->end, &entry) || (end >= marker->end && !journal_intact(txn, marker->end)))
        return false;
    if (!journal_read(txn, marker->end, &row))
        return true;
    struct hash digest = journal_digest(&row);
    return !hash_equal(&digest, &marker->digest);
}

enum incarnation_state incarnation_look(struct txn *txn, const struct journal_meta *meta, const struct marker *marker)
{
    uint32_t ordinal;
    uint64_t nonce;
    if (!marker)
        return INCARNATION_RESTORED;
    if (marker->restored)
        return read_incarnation(txn, &ordinal, &nonce) && nonce == marker->wants ? INCARNATION_OPENED : INCARNATION_RESTORED;
    return differs(txn, meta, marker) ? INCARNATION_RESTORED : INCARNATION_SOUND;
}

void incarnation_mark(struct txn *txn, struct marker *marker)
{
    struct batch_row row;
    marker->end = journal_end(txn);
    marker->digest = (struct hash){0};
    if (marker->end && journal_read_intact(txn, marker->end, &row))
        marker->digest = journal_digest(&row);
}

void incarnation_suspend(struct txn *txn, const struct journal_meta *meta, struct marker *marker, uint64_t nonce)
{
    struct feed_key feed;
    struct feed_state state;
    uint32_t id, ordinal;
    uint64_t former;
    if (marker->restored && meta->generation == marker->wants)
        return;
    marker->restored = true;
    marker->wants = nonce;
    if (read_incarnation(txn, &ordinal, &former) && ordinal > marker->ordinal) {
        marker->ordinal = ordinal;
        marker->nonce = former;
    }
    if (feed_next_of(txn, &marker->station, NULL, &id, &feed, &state) && feed.ordinal > marker->ordinal) {
        marker->ordinal = feed.ordinal;
        marker->nonce = feed.nonce;
    }
}

bool incarnation_renew(struct txn *txn, struct journal_meta *meta, const struct marker *marker)
{
    if (meta->generation == marker->wants)
        return false;
    meta->generation = marker->wants;
    journal_meta_write(txn, meta);
    return true;
}

void incarnation_resume(struct txn *txn, struct journal_meta *meta, struct marker *marker)
{
    uint32_t ordinal;
    uint64_t nonce;
    if (!read_incarnation(txn, &ordinal, &nonce))
        return;
    marker->ordinal = ordinal;
    marker->nonce = nonce;
    marker->restored = false;
    marker->wants = 0;
    if (meta->starts < marker->starts)
        meta->starts = marker->starts;
}

// ---- heads

uint32_t incarnation_own_heads(struct txn *txn, const struct station_id *station, bool up_only, struct head *heads, uint32_t max)
{
    struct feed_key feed;
    struct feed_state state;
    uint32_t id, count = 0;
    for (bool more = feed_next_of(txn, station, NULL, &id, &feed, &state); more && count < max;
         more = feed_next_of(txn, station, &feed, &id, &feed, &state))
        if (!up_only || feed.audience == SANJI__AUDIENCE__UP)
            heads[count++] = (struct head){.feed = feed, .next = state.next, .last = state.last, .bodies = state.bodies};
    return count;
}

// Whether the batch that ends before `head->next` is the one that it names.
static bool same_history(struct txn *txn, uint32_t feed_id, const struct head *head)
{
    uint64_t position;
    struct batch_row row;
    if (head->next <= 1)
        return true;
    if (!journal_find(txn, feed_id, head->next - 1, &position))
        return false;
    if (!journal_intact(txn, position))
        return true; // damage proves nothing
    if (!journal_read(txn, position, &row))
        return false;
    struct hash hash = crypto_hash(TAG_HEADER, row.header);
    return row.first + row.count == head->next && hash_equal(&hash, &head->last);
}

bool incarnation_whole(struct txn *txn, const struct head *heads, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id;
        struct feed_state state;
        bool held = feed_find(txn, &heads[i].feed, &id, &state) && (state.next >= heads[i].next || state.disputed);
        if (!held && heads[i].next > 1)
            return false;
    }
    return txn_error(txn) == OK;
}

bool incarnation_behind(struct txn *txn, const struct station_id *station, const struct head *heads, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id;
        struct feed_state state;
        if (!station_equal(&heads[i].feed.station, station) || heads[i].next <= 1)
            continue;
        if (!feed_find(txn, &heads[i].feed, &id, &state)) {
            if (txn_error(txn) == OK)
                return true;
        } else if (!state.disputed && (state.next < heads[i].next || !same_history(txn, id, &heads[i]))) {
            if (txn_error(txn) == OK)
                return true;
        }
    }
    return false;
}

// ---- a root: what its children say

// A row of META for each: "seen/" feed key without the station and the addressee -> next be64, header 32.
enum { SEEN_PREFIX = 5, SEEN_KEY_SIZE = SEEN_PREFIX + FEED_KEY_SIZE - 2 * STATION_ID_SIZE };

static struct bytes seen_key(const struct feed_key *feed, uint8_t key[SEEN_KEY_SIZE])
{
    uint8_t encoded[FEED_KEY_SIZE];
    feed_key_encode(feed, encoded);
    memcpy(key, "seen/", SEEN_PREFIX);
    memcpy(key + SEEN_PREFIX, encoded + STATION_ID_SIZE, SEEN_KEY_SIZE - SEEN_PREFIX);
    return bytes_of(key, SEEN_KEY_SIZE);
}

static bool read_seen(struct txn *txn, const struct feed_key *feed, struct head *ret)
{
    uint8_t key[SEEN_KEY_SIZE];
    struct row row;
    *ret = (struct head){.feed = *feed};
    if (!row_read(txn, TABLE_META, seen_key(feed, key), &row))
        return false;
    ret->next = row_take_u64(&row);
    row_take_raw(&row, ret->last.bytes, HASH_SIZE);
    return row_end(&row);
}

static uint32_t highest_held(struct txn *txn, const struct station_id *station, uint32_t ordinal)
{
    struct feed_key feed;
    struct feed_state state;
    uint32_t id, kept;
    uint64_t nonce;
    if (feed_next_of(txn, station, NULL, &id, &feed, &state) && feed.ordinal > ordinal)
        ordinal = feed.ordinal;
    if (read_incarnation(txn, &kept, &nonce) && kept > ordinal)
        ordinal = kept;
    return ordinal;
}

uint32_t incarnation_seen(struct txn *txn, const struct station_id *station, struct head *heads, uint32_t max)
{
    uint8_t key[SEEN_KEY_SIZE], encoded[FEED_KEY_SIZE] = {0};
    uint32_t count = 0;
    memset(key, 0xff, sizeof key);
    memcpy(key, "seen/", SEEN_PREFIX);
    memcpy(encoded, station->bytes, STATION_ID_SIZE);
    struct cursor *cursor = cursor_open(txn, TABLE_META);
    if (cursor)
        cursor_seek(cursor, bytes_of(key, sizeof key));
    while (cursor && count < max && cursor_prev(cursor) && cursor_key(cursor).size == SEEN_KEY_SIZE &&
           memcmp(cursor_key(cursor).data, "seen/", SEEN_PREFIX) == 0) {
        struct feed_key feed;
        memcpy(encoded + STATION_ID_SIZE, cursor_key(cursor).data + SEEN_PREFIX, SEEN_KEY_SIZE - SEEN_PREFIX);
        feed_key_decode(encoded, &feed);
        if (!read_seen(txn, &feed, &heads[count]))
            break;
        count++;
    }
    cursor_close(cursor);
    return count;
}

void incarnation_note_seen(struct txn *txn, const struct station_id *station, const struct head *heads, uint32_t count)
{
    uint32_t known = highest_held(txn, station, 0);
    struct head seen[SEEN_FEEDS_MAX];
    for (uint32_t i = 0; i < count && txn_error(txn) == OK; i++) {
        const struct head *head = &heads[i];
        struct head before;
        struct feed_state state = {.next = 1};
        uint32_t id;
        uint8_t key[SEEN_KEY_SIZE];
        if (!station_equal(&head->feed.station, station) || head->feed.audience != SANJI__AUDIENCE__SUBTREE ||
            head->feed.ordinal > known + GRANTS_MAX)
            continue;
        feed_find(txn, &head->feed, &id, &state);
        bool noted = read_seen(txn, &head->feed, &before);
        if (head->next <= state.next || (noted && before.next >= head->next) ||
            (!noted && incarnation_seen(txn, station, seen, SEEN_FEEDS_MAX) == SEEN_FEEDS_MAX))
            continue;
        struct buffer fields = {0};
        row_u64(&fields, head->next);
        row_raw(&fields, head->last.bytes, HASH_SIZE);
        row_write(txn, TABLE_META, seen_key(&head->feed, key), &fields);
    }
}

uint32_t incarnation_next(struct txn *txn, const struct station_id *station, uint32_t ordinal)
{
    struct head seen[SEEN_FEEDS_MAX];
    uint32_t count = incarnation_seen(txn, station, seen, SEEN_FEEDS_MAX);
    ordinal = highest_held(txn, station, ordinal);
    if (count > 0 && seen[0].feed.ordinal > ordinal)
        ordinal = seen[0].feed.ordinal;
    return ordinal + 1;
}

// ---- opening

void incarnation_alarm(struct txn *txn, const char *kind, uint64_t now_ms, const char *unit, const char *text, uint32_t ordinal)
{
    struct alarm alarm = {.time_ms = now_ms};
    snprintf(alarm.kind, sizeof alarm.kind, "%s", kind);
    snprintf(alarm.text, sizeof alarm.text, "%s%s%s %u", unit, *unit ? ": " : "", text, (unsigned)ordinal);
    alarm_add(txn, &alarm);
}

// Its own history went by a peer that holds the other one: repairs leave out what the heads cover. It has to come there as evidence.
static void dispute(struct txn *txn, const struct place *place, const struct head *head, uint64_t now_ms)
{
    uint32_t id;
    struct feed_state state;
    struct grown grown = {0}; // for nobody: the links begin anew
    if (!feed_find(txn, &head->feed, &id, &state))
        return;
    if (!state.disputed && state.next >= head->next && !same_history(txn, id, head)) {
        state.disputed = true;
        feed_write(txn, id, &state);
        incarnation_alarm(txn, "fork", now_ms, "", "this station signed two histories; disputed is its feed in lane", head->feed.lane);
    }
    if (state.disputed)
        route_again(txn, place, id, &grown);
}

void incarnation_open(struct txn *txn, const struct place *place, uint32_t ordinal, uint64_t nonce, const struct head *heads,
                      uint32_t count, uint64_t now_ms)
{
    assert(ordinal > 0);
    for (uint32_t i = 0; i < count; i++)
        dispute(txn, place, &heads[i], now_ms);
    write_incarnation(txn, ordinal, nonce);
    incarnation_alarm(txn, "incarnation", now_ms, "", "this station's store was put back from a copy; it goes on in incarnation", ordinal);
}
