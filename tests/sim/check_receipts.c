// A receipt is a proof: it is signed only for what its signer holds, header and body, in the same committed store; and at rest whoever
// above has an urgent record has said so to the station that signed it.
#include "envelope.pb-c.h"
#include "record.pb-c.h"
#include "relay/arena.h"
#include "relay/codec.h"
#include "relay/receipt.h"
#include "tests/sim/check.h"
#include "tests/sim/memory.h"

static struct entry *entries; // of one body

static const struct entry *body_of(const struct batch_row *row, const struct header *header)
{
    if (!entries)
        entries = memory_get(BATCH_ENTRIES_MAX, sizeof *entries);
    return row->body.size > 0 && body_decode(row->body, header, entries, NULL) == OK ? entries : NULL;
}

// Whether the very batch is there with its body.
static bool holds(struct txn *txn, const struct feed_key *key, uint64_t first, const struct hash *header)
{
    struct feed_state state;
    struct batch_row row;
    uint64_t position;
    uint32_t id;
    if (!feed_find(txn, key, &id, &state) || !journal_find(txn, id, first, &position) || !journal_read(txn, position, &row))
        return false;
    struct hash hash = crypto_hash(TAG_HEADER, row.header);
    return row.first == first && row.body.size > 0 && hash_equal(&hash, header);
}

static void look(const struct committed *new, const struct entry *entry)
{
    static const struct codec_limits limits = {.bytes_max = CONTROL_ENTRY_MAX, .elements_max = 16};
    struct arena arena = {0};
    void *message;
    struct feed_key key = {0};
    struct hash header;
    if (codec_unpack(&sanji__receipt__descriptor, entry->content, &limits, &arena, &message, NULL) != OK) {
        check_fail(&check_receipts, "%s signs a receipt that does not decode", site_name(new->site));
    } else {
        const Sanji__Receipt *receipt = message;
        memcpy(key.station.bytes, receipt->feed->station.data, STATION_ID_SIZE);
        memcpy(header.bytes, receipt->header.data, HASH_SIZE);
        key.ordinal = receipt->feed->ordinal;
        key.nonce = receipt->feed->nonce;
        key.lane = (uint8_t)receipt->feed->lane;
        key.audience = (uint8_t)receipt->feed->audience;
        if (!holds(new->txn, &key, receipt->sequence, &header))
            check_fail(&check_receipts, "%s signs a receipt for place %llu of an urgent feed, and does not hold it", site_name(new->site),
                       (unsigned long long)receipt->sequence);
    }
    arena_finish(&arena);
}

static void committed(const struct committed *new)
{
    static const struct station_id here;
    const struct entry *body;
    if (!station_equal(&new->row->from, &here) || new->site->rotten || new->header->feed.audience != SANJI__AUDIENCE__STATION ||
        new->header->feed.lane != SANJI__LANE__URGENT || !(body = body_of(new->row, new->header)))
        return;
    for (uint32_t i = 0; i < new->header->count && !world->over; i++)
        if (body[i].kind == SANJI__ENTRY_KIND__RECEIPT)
            look(new, &body[i]);
}

static bool has_receipt(struct txn *txn, const struct urgent_batch *batch, const struct site *above)
{
    struct receipt receipt = {.feed = batch->feed, .first = batch->first};
    while (receipt_next(txn, &receipt, &receipt))
        if (station_equal(&receipt.station, &above->self.station))
            return true;
    return false;
}

static void look_above(struct site *site, struct txn *txn, const struct urgent_batch *batch)
{
    struct feed_key key;
    struct feed_state state;
    struct batch_row row;
    uint64_t position;
    if (!feed_read(txn, batch->feed, &key, &state) || !journal_find(txn, batch->feed, batch->first, &position) ||
        !journal_read(txn, position, &row))
        return;
    struct hash header = crypto_hash(TAG_HEADER, row.header);
    for (struct site *above = site_parent(site); above && !world->over; above = site_parent(above)) {
        struct txn *theirs = check_reader(above);
        bool is_there = holds(theirs, &key, batch->first, &header), said = has_receipt(txn, batch, above);
        txn_abort(theirs);
        if (above->forked || !check_whole(above)) // what is damaged there only a liar could give back
            continue;
        if (is_there ? !said : said && !above->doubt)
            check_fail(&check_receipts, "%s has %s receipt of %s for place %llu of its urgent feed, and it is %sthere", site_name(site),
                       said ? "a" : "no", site_name(above), (unsigned long long)batch->first, is_there ? "" : "not ");
        if (!world->over && said && above->parent < 0 && !batch->decided)
            check_fail(&check_receipts, "%s waits for a receipt that it has", site_name(site));
    }
}

static void rest(struct site *site)
{
    struct urgent_batch batch;
    if (site->forked || world->config.former)
        return;
    struct txn *txn = check_reader(site);
    for (bool more = urgent_next(txn, NULL, &batch); more && !world->over; more = urgent_next(txn, &batch, &batch))
        look_above(site, txn, &batch);
    txn_abort(txn);
}

static void finish(void)
{
    free(entries);
    entries = NULL;
}

bool check_brings_receipts(const struct header *header, const struct entry *body)
{
    for (uint32_t i = 0; i < header->count; i++)
        if (body[i].kind == SANJI__ENTRY_KIND__RECEIPT)
            return true;
    return false;
}

const struct checker check_receipts = {.name = "receipts", .committed = committed, .rest = rest, .free = finish};
