#include <stdlib.h>

#include "envelope.pb-c.h"
#include "node/records.h"
#include "node/verify_inside.h"
#include "record.pb-c.h"
#include "relay/language.h"
#include "relay/quarantine.h"
#include "relay/receipt.h"

struct walked *verify_walked(struct verifying *verifying, uint32_t feed)
{
    if (feed == 0 || feed > verifying->feed_count)
        return NULL;
    if (feed >= verifying->walked_count) {
        uint32_t count = feed + 256;
        struct walked *grown = realloc(verifying->walked, count * sizeof *grown);
        if (!grown) {
            txn_fail(verifying->txn, ERR_MEMORY, "verify");
            return NULL;
        }
        memset(grown + verifying->walked_count, 0, (count - verifying->walked_count) * sizeof *grown);
        verifying->walked = grown;
        verifying->walked_count = count;
    }
    return &verifying->walked[feed];
}

// What the row says of the batch, beside the bytes that its origin signed.
static void check_place(struct verifying *verifying, const struct batch_row *row, const struct header *header)
{
    uint32_t feed;
    struct feed_state state;
    uint64_t position;
    bool right = feed_find(verifying->txn, &header->feed, &feed, &state) && feed == row->feed && row->first == header->first &&
                 row->count == header->count && journal_find(verifying->txn, feed, header->first, &position) && position == row->position;
    if (!right && txn_error(verifying->txn) == OK)
        verify_differs(verifying, tr("position %llu: kept in another place than its header says", "位置 %llu：存放处与其批次头不符"),
                       (unsigned long long)row->position);
}

static void check_chain(struct verifying *verifying, const struct batch_row *row, const struct header *header)
{
    struct walked *walked = verify_walked(verifying, row->feed);
    if (!walked)
        return;
    if (walked->next == 0) {
        walked->next = 1;
        verifying->report->feeds++;
    }
    if (header->first != walked->next || !hash_equal(&header->prev, &walked->last))
        verify_differs(verifying,
                       tr("position %llu: does not follow the header before it in its feed", "位置 %llu：与同一信道的前一批次头不相接"),
                       (unsigned long long)row->position);
    walked->next = header->first + header->count;
    walked->last = header->hash;
}

// Own record sections, played into the second scratch store.
static void replay_record(struct verifying *verifying, const struct batch_row *row, const struct entry *entry)
{
    const char *reason = NULL;
    if (!verifying->keyring || !verifying->desk.codebook)
        return;
    verifying->report->records++;
    enum verdict verdict = records_replay(&verifying->records.desk, entry->content, &entry->key, true, &reason);
    verifying->incomplete |= verdict == VERDICT_HELD;
    if (verdict == VERDICT_REJECTED)
        verify_differs(verifying, tr("position %llu: own record can't be replayed: %s", "位置 %llu：本站记录无法重放：%s"),
                       (unsigned long long)row->position, reason ? reason : "");
}

// Which of two statements speaks over the other does not depend on the order in which they come, but whether the lower one counted for a
// while does: a body that came late, or was held for its period, is applied here in its place. What counts in the end is compared in the
// views.
static bool counts_or_not(enum verdict verdict) { return verdict == VERDICT_APPLIED || verdict == VERDICT_HELD; }

static void apply_again(struct verifying *verifying, const struct batch_row *row, const struct header *header,
                        const struct certificate *signer)
{
    const char *reason = NULL;
    enum verdict verdict = apply_fold(&verifying->applier, row, header, signer, verifying->receiver.entries, &reason);
    static const struct station_id here;
    bool made_here = station_equal(&row->from, &here), own = station_equal(&header->feed.station, &verifying->self.station);
    struct quarantined mended;
    if (quarantine_of_batch(verifying->txn, row->position, &mended))
        verdict = row->verdict; // what was judged may have been lost with the row
    // Announcements need the documents, which the scratch store has not; what this station signed itself it did not judge, but for what
    // came back after a restore.
    bool same = verdict == row->verdict || (counts_or_not(verdict) && counts_or_not(row->verdict));
    if (!made_here && !same && header->feed.audience == SANJI__AUDIENCE__UP)
        verify_differs(verifying, tr("position %llu: judged otherwise than when it came (%s)", "位置 %llu：判定与到达时不同（%s）"),
                       (unsigned long long)row->position, reason ? reason : "");
    for (uint32_t i = 0; own && i < header->count; i++)
        if (verifying->receiver.entries[i].kind == SANJI__ENTRY_KIND__RECORD)
            replay_record(verifying, row, &verifying->receiver.entries[i]);
}

// What was kept of a receipt must be what its batch says; a receipt that was not kept has no business among them (check_receipts).
static void check_receipt(struct verifying *verifying, const struct batch_row *row, const struct header *header,
                          const struct certificate *signer, const struct entry *entry)
{
    struct receipt receipt, held;
    const char *reason = NULL;
    enum receipt_judgement judgement =
        receipt_judge(verifying->txn, &verifying->self, header, signer, entry, row->position, &receipt, &reason);
    if (judgement == RECEIPT_OTHERS || judgement == RECEIPT_UNKNOWN || txn_error(verifying->txn) != OK)
        return;
    if (judgement == RECEIPT_FORGED) {
        if (row->verdict != VERDICT_REJECTED)
            verify_differs(verifying, tr("position %llu: a forged receipt was taken (%s)", "位置 %llu：接受了伪造的回执（%s）"),
                           (unsigned long long)row->position, reason);
        return;
    }
    bool found = receipt_read(verifying->txn, &receipt, &held);
    if (txn_error(verifying->txn) != OK)
        return;
    bool first = found && held.position == row->position;
    verifying->report->receipts += first;
    if (!found || held.position > row->position ||
        (first && (held.time_ms != receipt.time_ms || !hash_equal(&held.certificate, &receipt.certificate))))
        verify_differs(verifying, tr("position %llu: its receipt is not kept as it was signed", "位置 %llu：其回执与所签内容不符"),
                       (unsigned long long)row->position);
}

// Whether the station waits for the deciding tier's receipt of its own urgent batch exactly as long as there is none.
static void check_urgent(struct verifying *verifying, const struct batch_row *row)
{
    struct urgent_batch batch;
    struct receipt receipt = {.feed = row->feed, .first = row->first};
    bool known = urgent_read(verifying->txn, row->feed, row->first, &batch), decided = verifying->self.root;
    while (known && receipt_next(verifying->txn, &receipt, &receipt)) {
        const struct certificate *signer = signers_find(verifying->signers, verifying->txn, &receipt.certificate);
        decided = decided || (signer && signer->depth <= batch.decider);
    }
    if (txn_error(verifying->txn) == OK && (!known || decided != batch.decided))
        verify_differs(verifying,
                       tr("position %llu: its receipts do not say what the station waits for", "位置 %llu：其回执与等待状态不符"),
                       (unsigned long long)row->position);
}

static void count_row(struct verify_report *report, enum verdict verdict, bool body, int by)
{
    report->rejected += (uint64_t)(by * (verdict == VERDICT_REJECTED));
    report->deferred += (uint64_t)(by * (verdict == VERDICT_DEFERRED));
    report->headers_only += (uint64_t)(by * !body);
}

// Whether everything in it is as it was signed; the entries are decoded. What is not is told, but for damage on the way, which the caller
// reports.
static bool check_signed(struct verifying *verifying, const struct batch_row *row, const struct header *header,
                         const struct certificate **ret_signer)
{
    struct error error = {0};
    const struct certificate *signer = signers_find(verifying->signers, verifying->txn, &header->certificate);
    if (txn_error(verifying->txn) != OK)
        return false;
    if (!signer) {
        verify_differs(verifying,
                       tr("position %llu: the signer's certificate does not lead to the root", "位置 %llu：签名者的证书不通向根"),
                       (unsigned long long)row->position);
        return false;
    }
    enum error_code code = header_check_signature(row->header, row->signature, signer, header, &error);
    verifying->report->signatures++;
    if (code == OK && row->body.size)
        code = body_check(row->body, header, verifying->receiver.entries, &error);
    if (code != OK) {
        verify_differs(verifying, tr("position %llu: %s", "位置 %llu：%s"), (unsigned long long)row->position, error.detail);
        return false;
    }
    *ret_signer = signer;
    return true;
}

static void check_body(struct verifying *verifying, const struct batch_row *row, const struct header *header,
                       const struct certificate *signer)
{
    verifying->report->entries += header->count;
    apply_again(verifying, row, header, signer);
    for (uint32_t i = 0; i < header->count; i++)
        if (verifying->receiver.entries[i].kind == SANJI__ENTRY_KIND__RECEIPT && !verifying->receiver.entries[i].is_sealed)
            check_receipt(verifying, row, header, signer, &verifying->receiver.entries[i]);
}

// Whether the row may still change in place. A body that may not travel this far never comes.
static bool may_change(const struct verifying *verifying, const struct batch_row *row, const struct header *header,
                       const struct certificate *signer)
{
    if (row->body.size)
        return row->verdict == VERDICT_DEFERRED;
    return header->feed.audience != SANJI__AUDIENCE__UP || station_equal(&header->feed.station, &verifying->self.station) ||
           reach_entitles(header->reach, signer->depth - verifying->self.depth);
}

static bool decode_header(struct verifying *verifying, const struct batch_row *row, struct header *ret)
{
    struct error error = {0};
    if (header_decode(row->header, ret, &error) == OK)
        return true;
    verify_differs(verifying, tr("position %llu: %s", "位置 %llu：%s"), (unsigned long long)row->position, error.detail);
    return false;
}

void verify_batch(struct verifying *verifying, const struct batch_row *row)
{
    static const struct station_id here;
    struct header header;
    const struct certificate *signer;
    verifying->report->batches++;
    count_row(verifying->report, row->verdict, row->body.size > 0, 1);
    verifying->last_ms = row->received_ms > verifying->last_ms ? row->received_ms : verifying->last_ms;
    if (!decode_header(verifying, row, &header))
        return;
    check_chain(verifying, row, &header);
    if (!check_signed(verifying, row, &header, &signer))
        return;
    if (row->body.size == 0 && station_equal(&header.feed.station, &verifying->self.station))
        verifying->incomplete = true;
    if (may_change(verifying, row, &header, signer)) {
        struct unsettled unsettled = {.position = row->position, .verdict = row->verdict, .body = row->body.size > 0};
        memcpy(unsettled.reason, row->reason, sizeof unsettled.reason);
        buffer_append(&verifying->open, &unsettled, sizeof unsettled);
    }
    if (row->body.size)
        check_body(verifying, row, &header, signer);
    if (station_equal(&row->from, &here) && header.feed.lane == SANJI__LANE__URGENT && header.feed.audience == SANJI__AUDIENCE__UP)
        check_urgent(verifying, row);
    check_place(verifying, row, &header);
}

void verify_batch_again(struct verifying *verifying, const struct batch_row *row, const struct unsettled *before)
{
    struct header header;
    const struct certificate *signer;
    count_row(verifying->report, before->verdict, before->body, -1);
    count_row(verifying->report, row->verdict, row->body.size > 0, 1);
    if (!decode_header(verifying, row, &header) || !check_signed(verifying, row, &header, &signer))
        return;
    if (before->body)
        apply_again(verifying, row, &header, signer); // what waited counts now
    else if (row->body.size)
        check_body(verifying, row, &header, signer);
    check_place(verifying, row, &header);
}
