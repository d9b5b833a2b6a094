#include "relay/incarnation_inside.h"

#include "envelope.pb-c.h"
#include "relay/language.h"
#include "relay/row.h"

enum {
    GRANT_PREFIX = 6,
    GRANT_KEY_SIZE = GRANT_PREFIX + STATION_ID_SIZE + 8,
    PUT_FEEDS_MAX = GRANT_HEADS_MAX,
};

// A row of META for each: "grant/" station nonce -> ordinal be32, time be64, then how far each feed was put back: feed id be32, next be64.
struct granted {
    uint32_t ordinal;
    uint64_t time_ms;
    struct put {
        uint32_t feed;
        uint64_t next;
    } puts[PUT_FEEDS_MAX];
    uint32_t count;
};

static struct bytes grant_key(const struct station_id *station, uint64_t nonce, uint8_t key[GRANT_KEY_SIZE])
{
    memcpy(key, "grant/", GRANT_PREFIX);
    memcpy(key + GRANT_PREFIX, station->bytes, STATION_ID_SIZE);
    put_be64(key + GRANT_PREFIX + STATION_ID_SIZE, nonce);
    return bytes_of(key, GRANT_KEY_SIZE);
}

static bool take_granted(struct row *row, struct granted *ret)
{
    ret->ordinal = row_take_u32(row);
    ret->time_ms = row_take_u64(row);
    for (ret->count = 0; row->rest.size > 0 && !row->bad && ret->count < PUT_FEEDS_MAX; ret->count++) {
        ret->puts[ret->count].feed = row_take_u32(row);
        ret->puts[ret->count].next = row_take_u64(row);
    }
    return row_end(row);
}

static void write_granted(struct txn *txn, struct bytes key, const struct granted *granted)
{
    struct buffer fields = {0};
    row_u32(&fields, granted->ordinal);
    row_u64(&fields, granted->time_ms);
    for (uint32_t i = 0; i < granted->count; i++) {
        row_u32(&fields, granted->puts[i].feed);
        row_u64(&fields, granted->puts[i].next);
    }
    row_write(txn, TABLE_META, key, &fields);
}

// How many grants a station has, and the highest of them.
static uint32_t count_granted(struct txn *txn, const struct station_id *station, uint32_t *highest)
{
    uint8_t key[GRANT_KEY_SIZE];
    struct granted granted;
    struct row row;
    uint32_t count = 0;
    grant_key(station, 0, key);
    struct cursor *cursor = cursor_open(txn, TABLE_META);
    bool more = cursor && cursor_seek(cursor, bytes_of(key, sizeof key));
    while (more && cursor_key(cursor).size == GRANT_KEY_SIZE && memcmp(cursor_key(cursor).data, key, GRANT_PREFIX + STATION_ID_SIZE) == 0) {
        if (!row_at(txn, TABLE_META, cursor, &row) || !take_granted(&row, &granted))
            break;
        if (granted.ordinal > *highest)
            *highest = granted.ordinal;
        count++;
        more = cursor_next(cursor);
    }
    cursor_close(cursor);
    return count;
}

static enum error_code grant_new(struct txn *txn, const struct incarnation_ask *ask, uint64_t now_ms, struct granted *ret,
                                 struct error *error)
{
    struct feed_key feed;
    struct feed_state state;
    uint32_t id, highest = ask->ordinal;
    if (count_granted(txn, &ask->station, &highest) >= GRANTS_MAX)
        return error_set(error, ERR_LIMIT,
                         tr("unit %s: restored %d times; no further incarnation is granted, enrol a new station in its place",
                            "单位 %s：已恢复 %d 次，不再授予新代；请登记新站点代替"),
                         ask->unit, GRANTS_MAX);
    if (feed_next_of(txn, &ask->station, NULL, &id, &feed, &state) && feed.ordinal > highest)
        highest = feed.ordinal;
    if (highest == UINT32_MAX)
        return error_set(error, ERR_LIMIT, tr("unit %s: no incarnation is left", "单位 %s：已无可用的代次"), ask->unit);
    *ret = (struct granted){.ordinal = highest + 1, .time_ms = now_ms};
    incarnation_alarm(txn, "restored", now_ms, ask->unit, "the station's store was put back from a copy; granted incarnation",
                      ret->ordinal);
    return OK;
}

static bool was_used(struct txn *txn, const struct incarnation_ask *ask, uint32_t ordinal)
{
    struct feed_key feed;
    struct feed_state state;
    uint32_t id;
    for (bool more = feed_next_of(txn, &ask->station, NULL, &id, &feed, &state); more && feed.ordinal >= ordinal;
         more = feed_next_of(txn, &ask->station, &feed, &id, &feed, &state))
        if (feed.ordinal == ordinal && feed.nonce == ask->nonce)
            return true;
    return false;
}

static uint64_t child_holds(const struct incarnation_ask *ask, const struct feed_key *feed)
{
    uint8_t wanted[FEED_KEY_SIZE], key[FEED_KEY_SIZE];
    feed_key_encode(feed, wanted);
    for (uint32_t i = 0; i < ask->own_count; i++) {
        feed_key_encode(&ask->own[i].feed, key);
        if (memcmp(key, wanted, FEED_KEY_SIZE) == 0)
            return ask->own[i].next;
    }
    return 1;
}

static struct put *put_of(struct granted *granted, uint32_t feed)
{
    for (uint32_t i = 0; i < granted->count; i++)
        if (granted->puts[i].feed == feed)
            return &granted->puts[i];
    if (granted->count == PUT_FEEDS_MAX)
        return NULL;
    granted->puts[granted->count] = (struct put){.feed = feed, .next = 1};
    return &granted->puts[granted->count++];
}

// Puts batches of one feed back, at most *room. False: there are more.
static bool put_feed(struct txn *txn, const struct place *place, const struct incarnation_ask *ask, uint32_t id,
                     const struct feed_key *feed, const struct feed_state *state, struct put *put, uint32_t *room, struct grown *grown)
{
    uint64_t held = child_holds(ask, feed), position;
    struct batch_row row;
    if (put->next < held)
        put->next = held;
    while (put->next<state->next && * room> 0) {
        if (!journal_find(txn, id, put->next, &position) || !journal_read_intact(txn, position, &row))
            return true; // damaged: the child asks again, and by then it may be mended
        put->next = row.first + row.count;
        route_back(txn, place, &row, &ask->station, grown);
        --*room;
    }
    return put->next >= state->next;
}

enum error_code incarnation_grant(struct txn *txn, const struct place *place, const struct incarnation_ask *ask, uint64_t now_ms,
                                  struct grown *grown, struct incarnation_grant *ret, struct error *error)
{
    uint8_t key_bytes[GRANT_KEY_SIZE];
    struct bytes key = grant_key(&ask->station, ask->nonce, key_bytes);
    struct granted granted = {0};
    struct row row;
    enum error_code code = OK;
    bool fresh = !row_read(txn, TABLE_META, key, &row);
    if (fresh)
        code = grant_new(txn, ask, now_ms, &granted, error);
    else if (!take_granted(&row, &granted))
        code = ERR_CORRUPT;
    if (txn_error(txn) != OK)
        return txn_report(txn, error);
    if (code != OK)
        return code;
    *ret = (struct incarnation_grant){.ordinal = granted.ordinal, .fresh = fresh};
    if (was_used(txn, ask, granted.ordinal)) {
        ret->ordinal = 0;
        return OK;
    }
    struct feed_key feed;
    struct feed_state state;
    uint32_t id, room = GRANT_ROWS_MAX;
    for (bool more = feed_next_of(txn, &ask->station, NULL, &id, &feed, &state); more && ret->count < GRANT_HEADS_MAX;
         more = feed_next_of(txn, &ask->station, &feed, &id, &feed, &state)) {
        struct put *put = feed.audience == SANJI__AUDIENCE__UP ? put_of(&granted, id) : NULL;
        if (!put)
            continue;
        ret->heads[ret->count++] = (struct head){.feed = feed, .next = state.next, .last = state.last, .bodies = state.bodies};
        if (!put_feed(txn, place, ask, id, &feed, &state, put, &room, grown))
            ret->more = true;
    }
    write_granted(txn, key, &granted);
    return txn_error(txn) == OK ? OK : txn_report(txn, error);
}
