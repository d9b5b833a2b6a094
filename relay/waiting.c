#include "relay/waiting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "relay/quarantine.h"
#include "relay/receipt.h"

// What a row waits for when it is damaged itself, and what those behind it wait for; then the feed, where its place is known.
#define ROW "row"
#define FEED "feed"
static void name(const char *what, uint32_t feed, char ret[REASON_MAX + 1]) { snprintf(ret, REASON_MAX + 1, "%s %08x", what, feed); }

static bool is(const char *text, const char *what) { return strncmp(text, what, strlen(what)) == 0; }

bool waiting_is_behind(const char *reason) { return is(reason, FEED " "); }

static bool lacks_body_before(struct txn *txn, uint32_t feed, uint64_t first)
{
    struct feed_key key;
    struct feed_state state;
    return feed_read(txn, feed, &key, &state) && key.lane == SANJI__LANE__AGGREGATE && key.audience == SANJI__AUDIENCE__UP &&
           state.bodies < first;
}

bool waiting_holds(struct txn *txn, uint32_t feed, uint64_t first, uint64_t position, char *ret_reason)
{
    struct deferred from = {0}, found;
    name(ROW, feed, from.waits_for);
    bool damaged = deferred_seek(txn, &from, from.waits_for, &found) && found.position < position;
    if (!damaged && !lacks_body_before(txn, feed, first))
        return false;
    name(FEED, feed, ret_reason);
    return true;
}

// A damaged row: later ones of its feed wait for it, when they are figures for those above. What goes down is judged by itself.
static void wait_to_be_whole(struct txn *txn, uint64_t position, uint64_t now_ms)
{
    struct batch_place place;
    struct feed_key feed;
    struct feed_state state;
    char reason[REASON_MAX + 1] = ROW;
    quarantine_batch(txn, position, false, now_ms);
    if (journal_place_at(txn, position, &place) && feed_read(txn, place.feed, &feed, &state) && feed.audience == SANJI__AUDIENCE__UP)
        name(ROW, place.feed, reason);
    deferred_add(txn, reason, position);
}

static void judge(const struct receiver *receiver, struct txn *txn, uint64_t position, uint64_t now_ms)
{
    struct batch_row row;
    const char *reason = NULL;
    char behind[REASON_MAX + 1];
    if (!journal_intact(txn, position)) {
        wait_to_be_whole(txn, position, now_ms);
        return;
    }
    if (!journal_read(txn, position, &row))
        return;
    if (waiting_holds(txn, row.feed, row.first, position, behind)) {
        deferred_add(txn, behind, position);
        return;
    }
    enum verdict verdict = receive_again(receiver, txn, position, &reason);
    journal_add_body(txn, position, bytes_of(NULL, 0), verdict, reason ? reason : "");
    if (verdict == VERDICT_DEFERRED)
        deferred_add(txn, reason, position);
}

static int by_position(const void *a, const void *b)
{
    uint64_t x, y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return (x > y) - (x < y);
}

void waiting_take_up(const struct receiver *receiver, struct txn *txn, const char *first, const char *last, uint64_t now_ms)
{
    struct buffer positions = {0}; // all are taken out first: what is put back must not come round again
    struct deferred at = {0};
    snprintf(at.waits_for, sizeof at.waits_for, "%s", first);
    while (deferred_seek(txn, &at, last, &at)) {
        buffer_append(&positions, &at.position, sizeof at.position);
        deferred_remove(txn, &at);
    }
    if (positions.failed)
        txn_fail(txn, ERR_MEMORY, first);
    if (positions.size)
        qsort(positions.data, positions.size / sizeof at.position, sizeof at.position, by_position);
    for (size_t i = 0; i < positions.size && txn_error(txn) == OK; i += sizeof at.position) {
        uint64_t position;
        memcpy(&position, positions.data + i, sizeof position);
        judge(receiver, txn, position, now_ms);
    }
    buffer_finish(&positions);
}

void waiting_bodies_came(const struct receiver *receiver, struct txn *txn, uint32_t feed, uint64_t now_ms)
{
    char behind[REASON_MAX + 1];
    name(FEED, feed, behind);
    waiting_take_up(receiver, txn, behind, behind, now_ms);
}

enum verdict waiting_verdict(struct txn *txn, uint64_t position, const struct batch_row *hint, char ret_reason[REASON_MAX + 1])
{
    struct deferred waits = {0};
    bool waited = deferred_of(txn, position, RECEIPT_OWED, &waits), for_a_row = is(waits.waits_for, ROW) || is(waits.waits_for, FEED);
    const char *reason = waited && (!for_a_row || !hint) ? waits.waits_for : hint ? hint->reason : "";
    snprintf(ret_reason, REASON_MAX + 1, "%s", reason);
    if (waited)
        return VERDICT_DEFERRED;
    return hint && hint->verdict != VERDICT_DEFERRED ? hint->verdict : VERDICT_APPLIED;
}

void waiting_mended(const struct receiver *receiver, struct txn *txn, uint32_t feed, uint64_t position, uint64_t now_ms)
{
    struct deferred known = {.position = position}, unknown = {ROW, position};
    struct batch_row row;
    name(ROW, feed, known.waits_for);
    bool waited = deferred_remove(txn, &known);
    waited |= deferred_remove(txn, &unknown);
    if (!waited || !journal_read(txn, position, &row))
        return;
    if (row.verdict == VERDICT_DEFERRED)
        judge(receiver, txn, position, now_ms);
    waiting_bodies_came(receiver, txn, feed, now_ms);
}
