#include "node/receipts.h"

#include "control.pb-c.h"
#include "envelope.pb-c.h"
#include "relay/language.h"
#include "relay/receipt.h"

enum { BATCHES_MAX = 1000 }; // in one answer: more than a person reads

struct listing {
    struct txn *txn;
    struct arena arena;
    const struct certificate *self, *ancestors; // parent first
    uint32_t ancestor_count;
};

static ProtobufCBinaryData copied(struct listing *listing, const void *data, size_t size)
{
    uint8_t *copy = arena_alloc(&listing->arena, size);
    if (!copy)
        return (ProtobufCBinaryData){0};
    memcpy(copy, data, size);
    return (ProtobufCBinaryData){size, copy};
}

static const char *state_name(uint8_t state)
{
    static const char *const names[] = {"", "received", "accepted", "forwarded", "closed"};
    return state < sizeof names / sizeof *names ? names[state] : "received"; // of a later program: it has it
}

// The first and the last word of one station about a batch.
static void fill_receipt(struct listing *listing, const struct urgent_batch *batch, const struct certificate *of, Sanji__TierReceipt *row)
{
    struct receipt receipt = {.feed = batch->feed, .first = batch->first};
    while (receipt_next(listing->txn, &receipt, &receipt)) {
        if (!station_equal(&receipt.station, &of->station))
            continue;
        if (row->since_ms == 0)
            row->since_ms = receipt.time_ms;
        row->state = (char *)(uintptr_t)state_name(receipt.state);
    }
}

static bool fill_tiers(struct listing *listing, const struct urgent_batch *batch, Sanji__UrgentBatch *row)
{
    Sanji__TierReceipt *rows = arena_alloc(&listing->arena, (listing->ancestor_count + 1) * sizeof *rows);
    row->tiers = arena_alloc(&listing->arena, (listing->ancestor_count + 1) * sizeof *row->tiers);
    if (!rows || !row->tiers)
        return false;
    for (uint32_t i = 0; i < listing->ancestor_count; i++) {
        const struct certificate *of = &listing->ancestors[i];
        if (!reach_entitles(batch->reach, listing->self->depth - of->depth))
            continue;
        Sanji__TierReceipt *tier = &rows[row->n_tiers];
        sanji__tier_receipt__init(tier);
        tier->tier = (char *)(uintptr_t)of->tier;
        tier->unit = (char *)(uintptr_t)of->unit;
        tier->decides = of->depth == batch->decider;
        fill_receipt(listing, batch, of, tier);
        row->tiers[row->n_tiers++] = tier;
    }
    return true;
}

static bool fill_batch(struct listing *listing, const struct urgent_batch *batch, Sanji__UrgentBatch *row)
{
    sanji__urgent_batch__init(row);
    row->record = copied(listing, batch->record, RECORD_ID_SIZE);
    row->form = (char *)copied(listing, batch->what, sizeof batch->what).data;
    row->sequence = batch->first;
    row->signed_ms = batch->signed_ms;
    row->due_ms = batch->signed_ms + batch->within_ms;
    row->decided = batch->decided;
    return row->record.data && row->form && fill_tiers(listing, batch, row);
}

static bool fill(struct listing *listing, bool waiting, Sanji__ReceiptsReply *reply)
{
    Sanji__UrgentBatch *rows = arena_alloc(&listing->arena, BATCHES_MAX * sizeof *rows);
    struct urgent_batch batch;
    reply->batches = arena_alloc(&listing->arena, BATCHES_MAX * sizeof *reply->batches);
    if (!rows || !reply->batches)
        return false;
    for (bool at = urgent_next(listing->txn, NULL, &batch); at && !(waiting && batch.decided);
         at = urgent_next(listing->txn, &batch, &batch)) {
        if (reply->n_batches == BATCHES_MAX) {
            reply->more = true;
            break;
        }
        if (!fill_batch(listing, &batch, &rows[reply->n_batches]))
            return false;
        reply->batches[reply->n_batches] = &rows[reply->n_batches];
        reply->n_batches++;
    }
    return true;
}

enum error_code receipts_list(struct station *station, bool waiting, struct buffer *ret, struct error *error)
{
    struct listing listing = {.self = station_self(station)};
    Sanji__ReceiptsReply receipts = SANJI__RECEIPTS_REPLY__INIT;
    listing.ancestors = station_ancestors(station, &listing.ancestor_count);
    listing.txn = txn_begin(station_store(station), false, error);
    enum error_code code = listing.txn ? OK : error->code;
    if (code == OK && !fill(&listing, waiting, &receipts))
        code = error_set(error, ERR_MEMORY, "receipts");
    if (code == OK && txn_error(listing.txn) != OK)
        code = error_set(error, txn_error(listing.txn), "%s",
                         tr("the store could not be read; run 'sanji verify'", "无法读取存储；请运行 'sanji verify'"));
    if (code == OK) {
        Sanji__Reply message = SANJI__REPLY__INIT;
        message.reply_case = SANJI__REPLY__REPLY_RECEIPTS;
        message.receipts = &receipts;
        codec_pack(&message, ret);
    }
    txn_abort(listing.txn);
    arena_finish(&listing.arena);
    return code;
}
