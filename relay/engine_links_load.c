#include "relay/engine_links.h"

#include <stdlib.h>

#include "link.pb-c.h"
#include "relay/heads.h"
#include "relay/quarantine.h"

enum {
    LOAD_BYTES_MAX = 512 * 1024, // ahead of sending, for one channel: two of the largest bodies
    LOAD_LOOKED_MAX = 4096,      // rows looked at in one go while those that the peer holds are left out: some ms
};

static struct stream our_stream(const struct slot *slot, unsigned channel)
{
    struct stream stream = {.stream = (uint8_t)core_channel_stream(channel), .lane = (uint8_t)core_channel_lane(channel)};
    if (stream.stream == SANJI__STREAM__STREAM_DOWN_ONE)
        stream.peer = slot->station;
    return stream;
}

uint64_t links_end(const struct slot *slot, struct txn *txn, unsigned channel)
{
    bool ours = (core_channel_stream(channel) == SANJI__STREAM__STREAM_UP) == slot->parent;
    struct stream stream = our_stream(slot, channel);
    return ours ? stream_end(txn, &stream) : 0;
}

static void outgoing_row_finish(struct outgoing_row *row)
{
    buffer_finish(&row->header);
    buffer_finish(&row->content);
}

static void outgoing_clear(struct outgoing *outgoing)
{
    for (uint32_t i = 0; i < outgoing->count; i++)
        outgoing_row_finish(&outgoing->rows[(outgoing->first + i) % CORE_ROWS_MAX]);
    outgoing->first = outgoing->count = 0;
}

void links_outgoing_drop(struct slot *slot, unsigned channel)
{
    if (!slot->outgoing[channel])
        return;
    outgoing_clear(slot->outgoing[channel]);
    free(slot->outgoing[channel]);
    slot->outgoing[channel] = NULL;
}

// ---- loading

static int known_compare(const void *a, const void *b)
{
    return memcmp(((const struct known_head *)a)->key, ((const struct known_head *)b)->key, FEED_KEY_SIZE);
}

// A feed is left out only where the peer has the same history, else it keeps ours as evidence; a disputed one only where that is proven.
static bool is_other(struct txn *txn, struct known_head *known, const struct feed_key *feed, bool disputed)
{
    if (!known->compared) {
        struct head head = {.feed = *feed, .next = known->next, .last = known->last};
        enum head_verdict verdict = heads_compare(txn, &head, NULL);
        known->other = verdict == HEAD_OTHER || (disputed && verdict == HEAD_BEHIND);
        known->compared = true;
    }
    return known->other;
}

static bool peer_holds(struct slot *slot, unsigned channel, struct txn *txn, const struct batch_row *row, bool with_body)
{
    struct known *known = slot->known[channel];
    struct known_head wanted;
    struct feed_key feed;
    struct feed_state state;
    if (!known || known->count == 0 || !feed_read(txn, row->feed, &feed, &state))
        return false;
    if (!known->sorted) {
        qsort(known->heads, known->count, sizeof *known->heads, known_compare);
        known->sorted = true;
    }
    feed_key_encode(&feed, wanted.key);
    struct known_head *head = bsearch(&wanted, known->heads, known->count, sizeof *known->heads, known_compare);
    uint64_t end = row->first + row->count;
    return head && head->next >= end && (!with_body || head->bodies >= end) && !is_other(txn, head, &feed, state.disputed);
}

// What the row of the stream names is damaged: it is left out once it is in quarantine, and as owed.
static void report_damage(struct txn *txn, const struct stream_row *from, struct load_damage *ret_damage)
{
    struct quarantined entry;
    bool known =
        from->is_object ? quarantine_of_object(txn, &from->object, &entry) : quarantine_of_batch(txn, from->batch, &entry) && entry.owed;
    if (!known || entry.mended_ms)
        *ret_damage = (struct load_damage){
            .found = txn_error(txn) == OK, .is_object = from->is_object, .position = from->batch, .object = from->object};
}

// Fills `row` from the stream's row. False: the peer has it, it is in quarantine or waits for one that is, or the store failed (then the
// transaction says so). Without memory the buffers say so.
static bool load_row(struct slot *slot, struct txn *txn, unsigned channel, const struct stream_row *from, bool skip,
                     struct outgoing_row *row, struct load_damage *ret_damage)
{
    *row =
        (struct outgoing_row){.position = from->position, .is_object = from->is_object, .bodiless = from->bodiless, .object = from->object};
    if (from->is_object) {
        enum object_kind kind;
        struct bytes content;
        if (!object_intact(txn, &from->object)) {
            report_damage(txn, from, ret_damage);
            return false;
        }
        if (!object_read(txn, &from->object, &kind, &content))
            return false;
        buffer_append(&row->content, content.data, content.size);
        return true;
    }
    struct batch_row batch;
    if (!journal_read_intact(txn, from->batch, &batch)) {
        report_damage(txn, from, ret_damage);
        return false;
    }
    if (quarantine_holds(txn, batch.feed, batch.first))
        return false;
    row->bodiless = from->bodiless || batch.body.size == 0;
    if (skip && peer_holds(slot, channel, txn, &batch, !row->bodiless))
        return false;
    buffer_append(&row->header, batch.header.data, batch.header.size);
    memcpy(row->signature, batch.signature.data, SIGNATURE_SIZE);
    if (!row->bodiless)
        buffer_append(&row->content, batch.body.data, batch.body.size);
    return true;
}

uint32_t links_load(struct slot *slot, struct txn *txn, unsigned channel, uint64_t after, uint32_t max, bool skip, struct core_row *rows,
                    uint64_t *ret_scanned, bool *ret_more, struct load_damage *ret_damage)
{
    struct stream stream = our_stream(slot, channel);
    if (!slot->outgoing[channel])
        slot->outgoing[channel] = calloc(1, sizeof *slot->outgoing[channel]);
    struct outgoing *outgoing = slot->outgoing[channel];
    *ret_scanned = after;
    *ret_more = true;
    if (!outgoing)
        return 0;
    if (outgoing->count && outgoing->rows[(outgoing->first + outgoing->count - 1) % CORE_ROWS_MAX].position > after)
        outgoing_clear(outgoing); // the channel starts again from further back
    uint32_t count = 0;
    size_t bytes = 0;
    struct stream_row found[CORE_ROWS_MAX];
    uint32_t looked = 0;
    while (count < max && outgoing->count < CORE_ROWS_MAX && bytes < LOAD_BYTES_MAX && looked < LOAD_LOOKED_MAX) {
        uint32_t got = stream_read(txn, &stream, *ret_scanned, found, CORE_ROWS_MAX);
        if (got == 0) {
            *ret_more = txn_error(txn) != OK;
            break;
        }
        looked += got;
        for (uint32_t i = 0; i < got && count < max && outgoing->count < CORE_ROWS_MAX && bytes < LOAD_BYTES_MAX; i++) {
            struct outgoing_row *row = &outgoing->rows[(outgoing->first + outgoing->count) % CORE_ROWS_MAX];
            bool loaded = load_row(slot, txn, channel, &found[i], skip, row, ret_damage);
            if (row->header.failed || row->content.failed) { // no memory: from here again, another time
                outgoing_row_finish(row);
                return count;
            }
            if (ret_damage->found || txn_error(txn) != OK)
                return count;
            *ret_scanned = found[i].position;
            if (!loaded)
                continue;
            outgoing->count++;
            rows[count++] = (struct core_row){.position = row->position,
                                              .size = (uint32_t)row->content.size,
                                              .overhead = row->is_object ? HASH_SIZE : (uint32_t)row->header.size + SIGNATURE_SIZE};
            bytes += row->content.size + row->header.size;
        }
    }
    return count;
}

static void outgoing_pop(struct outgoing *outgoing)
{
    outgoing_row_finish(&outgoing->rows[outgoing->first]);
    outgoing->first = (outgoing->first + 1) % CORE_ROWS_MAX;
    outgoing->count--;
}

struct outgoing_row *links_outgoing_find(struct slot *slot, unsigned channel, uint64_t position)
{
    struct outgoing *outgoing = slot->outgoing[channel];
    while (outgoing && outgoing->count && outgoing->rows[outgoing->first].position < position)
        outgoing_pop(outgoing);
    if (!outgoing || !outgoing->count || outgoing->rows[outgoing->first].position != position)
        return NULL;
    return &outgoing->rows[outgoing->first];
}

void links_outgoing_sent(struct slot *slot, unsigned channel, uint64_t position)
{
    if (links_outgoing_find(slot, channel, position))
        outgoing_pop(slot->outgoing[channel]);
    if (slot->outgoing[channel] && slot->outgoing[channel]->count == 0)
        links_outgoing_drop(slot, channel);
}
