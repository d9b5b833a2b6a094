#include "node/apply.h"

#include <stdio.h>

#include "envelope.pb-c.h"
#include "node/documents.h"
#include "node/ledger.h"
#include "node/records.h"
#include "record.pb-c.h"
#include "relay/codec.h"
#include "relay/receipt.h"
#include "relay/waiting.h"

static const uint64_t FOREVER_MS = UINT64_C(7260796800000); // 2200-02-01: every period that can be said has come

// What one entry came to. A batch is rejected when any of its entries is; the others of it still count, and every tier decides alike,
// for the reason depends on the bytes and the unit tree that the signer's certificate names (a unit tree without this station's unit
// excepted: it can't be in force here).
struct outcome {
    enum verdict verdict;
    const char *reason;
    int32_t due; // of one that waits for its period: the month
};

// A batch on its way into the views.
struct applying {
    struct applier *applier;
    struct txn *txn;
    const struct header *header;
    const struct certificate *signer;
    int32_t unit; // the signer's, index in desk->units; UNIT_NONE: not in that tree
    uint64_t position, received_ms;
    struct arena arena;
};

static struct speaker speaker_of(const struct applying *applying, const struct entry *entry, uint32_t index)
{
    const struct header *header = applying->header;
    const struct certificate *signer = applying->signer;
    return (struct speaker){.station = signer->station,
                            .term = signer->term,
                            .ordinal = header->feed.ordinal,
                            .nonce = header->feed.nonce,
                            .sequence = header->first + index,
                            .time_ms = entry->time_ms,
                            .received_ms = applying->received_ms,
                            .unit = applying->unit,
                            .from_period = signer->from_period};
}

// A unit that another unit tree than ours may know: what is said of it waits for that tree. False: it can be judged here.
static bool waits_for_units(const struct applying *applying, const char *unit)
{
    const struct units *units = applying->applier->desk->units;
    bool unknown = applying->unit == UNIT_NONE || units_find_near(units, applying->unit, unit) == UNIT_NONE;
    return unknown && !hash_equal(&applying->signer->units, &units->hash);
}

// Of what does not decode. Without memory nobody knows whether it would: then the transaction fails, and the batch comes again.
static struct outcome undecoded(const struct desk *desk, enum error_code code, const char *reason)
{
    if (code == ERR_MEMORY)
        txn_fail(desk->txn, ERR_MEMORY, reason);
    return (struct outcome){VERDICT_REJECTED, reason};
}

// Once for a row of them from one unit: whose clock is ahead says many.
static void alarm_future(const struct desk *desk, const struct certificate *signer)
{
    struct alarm alarm = {.time_ms = desk->now_ms, .kind = "future-period"}, last;
    snprintf(alarm.text, sizeof alarm.text, "unit %s states a period that has not come: held until it has; is a clock wrong?",
             signer->unit);
    if (alarm_last(desk->txn, &last, 1) == 1 && strcmp(last.kind, alarm.kind) == 0 && strcmp(last.text, alarm.text) == 0)
        return;
    alarm_add(desk->txn, &alarm);
}

static struct outcome waits_for_period(const struct desk *desk, const struct certificate *signer, int32_t due)
{
    alarm_future(desk, signer);
    return (struct outcome){VERDICT_DEFERRED, LEDGER_WAITS_FOR_PERIOD, due};
}

static struct outcome apply_statement(struct applying *applying, const struct entry *entry, const struct speaker *speaker)
{
    const struct desk *desk = applying->applier->desk;
    struct statement statement;
    struct outcome outcome = {0};
    enum error_code code = statement_decode(entry->content, &applying->arena, &statement, NULL);
    if (code != OK)
        return undecoded(desk, code, "statement does not decode");
    if (waits_for_units(applying, statement.unit))
        return (struct outcome){VERDICT_DEFERRED, "units"};
    outcome.verdict = ledger_apply(desk->ledger, desk, &statement, speaker, &outcome.reason);
    return outcome.verdict == VERDICT_DEFERRED ? waits_for_period(desk, applying->signer, ledger_statement_due(&statement)) : outcome;
}

static struct outcome apply_complete(struct applying *applying, const struct entry *entry, const struct speaker *speaker)
{
    const struct desk *desk = applying->applier->desk;
    struct complete complete;
    struct outcome outcome = {0};
    enum error_code code = complete_decode(entry->content, &applying->arena, &complete, NULL);
    if (code != OK)
        return undecoded(desk, code, "complete does not decode");
    if (waits_for_units(applying, complete.unit))
        return (struct outcome){VERDICT_DEFERRED, "units"};
    outcome.verdict = ledger_complete(desk->ledger, desk, &complete, speaker, &outcome.reason);
    return outcome.verdict == VERDICT_DEFERRED ? waits_for_period(desk, applying->signer, ledger_complete_due(&complete)) : outcome;
}

// Why a document can't come into force here; NULL: it can. One that did would stop every later transaction.
static const char *document_fault(const struct desk *desk, uint32_t kind, enum object_kind object, struct bytes content)
{
    if (object != OBJECT_DOCUMENT)
        return "announcement of no document";
    if (kind == DOCUMENT_CODEBOOK) {
        struct codebook *codebook;
        enum error_code code = codebook_load(content, "codebook.yaml", &codebook, NULL);
        if (code != OK)
            return undecoded(desk, code, "codebook does not load").reason;
        codebook_destroy(codebook);
        return NULL;
    }
    struct units *units;
    enum error_code code = units_parse(content, "units.csv", &units, NULL);
    if (code != OK)
        return undecoded(desk, code, "unit tree does not load").reason;
    bool has_us = units_find(units, desk->self->unit) != UNIT_NONE;
    units_destroy(units);
    return has_us ? NULL : "unit tree without this station's unit";
}

static struct outcome apply_announce(struct applying *applying, const struct entry *entry)
{
    static const struct codec_limits limits = {.bytes_max = CONTROL_ENTRY_MAX, .elements_max = 16};
    struct applier *applier = applying->applier;
    struct txn *txn = applying->txn;
    void *message;
    if (!applying->signer->root)
        return (struct outcome){VERDICT_REJECTED, "only the root announces"};
    enum error_code code = codec_unpack(&sanji__announce__descriptor, entry->content, &limits, &applying->arena, &message, NULL);
    if (code != OK)
        return undecoded(applier->desk, code, "announcement does not decode");
    const Sanji__Announce *announce = message;
    if (announce->hash.len != HASH_SIZE ||
        (announce->kind != SANJI__DOCUMENT_KIND__CODEBOOK && announce->kind != SANJI__DOCUMENT_KIND__UNITS))
        return (struct outcome){VERDICT_REJECTED, "announcement of no known document"};
    struct hash hash;
    enum object_kind kind;
    struct bytes content;
    memcpy(hash.bytes, announce->hash.data, HASH_SIZE);
    if (!object_read(txn, &hash, &kind, &content))
        return (struct outcome){VERDICT_DEFERRED, "document"};
    const char *fault = document_fault(applier->desk, (uint32_t)announce->kind, kind, content);
    if (fault)
        return (struct outcome){VERDICT_REJECTED, fault};
    if (document_enforce(txn, (uint32_t)announce->kind, &hash, announce->version))
        applier->reload = true;
    return (struct outcome){VERDICT_APPLIED, NULL};
}

static struct outcome apply_receipt(const struct applying *applying, const struct entry *entry)
{
    const struct desk *desk = applying->applier->desk;
    struct outcome outcome = {0};
    outcome.verdict = receipt_take(applying->txn, desk->self, applying->header, applying->signer, entry, applying->position, desk->now_ms,
                                   &outcome.reason);
    return outcome;
}

// A record of our own that comes back. Its figures come with the statements; records_restate() holds the two together in the end. The
// verdict is what any station below would give, which can't read it.
static void take_record_back(struct applier *applier, struct txn *txn, const struct entry *entry)
{
    const char *reason;
    enum verdict verdict = records_replay(applier->desk, entry->content, &entry->key, false, &reason);
    if (verdict != VERDICT_APPLIED && txn_error(txn) == OK)
        records_note_unopened(txn);
}

static struct outcome apply_entry(struct applying *applying, const struct entry *entry, uint32_t index)
{
    struct applier *applier = applying->applier;
    struct speaker by = speaker_of(applying, entry, index);
    arena_reset(&applying->arena);
    if (entry->is_sealed && applier->restored && entry->kind == SANJI__ENTRY_KIND__RECORD &&
        station_equal(&applying->signer->station, &applier->desk->self->station))
        take_record_back(applier, applying->txn, entry);
    if (entry->is_sealed)
        return (struct outcome){VERDICT_HELD, NULL, 0};
    switch (entry->kind) {
    case SANJI__ENTRY_KIND__STATEMENT:
        return apply_statement(applying, entry, &by);
    case SANJI__ENTRY_KIND__COMPLETE:
        return apply_complete(applying, entry, &by);
    case SANJI__ENTRY_KIND__ANNOUNCE:
        return apply_announce(applying, entry);
    case SANJI__ENTRY_KIND__RECEIPT:
        return apply_receipt(applying, entry);
    default:
        return (struct outcome){VERDICT_HELD, NULL, 0};
    }
}

// The text that a batch waits under: in order of time.
static const char *name_wait(int32_t due, char ret[APPLY_WAITS_SIZE])
{
    char month[16];
    period_format((struct period){SANJI__PERIOD_TYPE__MONTH, due}, month);
    snprintf(ret, APPLY_WAITS_SIZE, LEDGER_WAITS_FOR_PERIOD " %s", month);
    return ret;
}

// Which of two entries speaks for their batch: one that waits, or nobody would come back to it; then one that was rejected. Of those that
// wait: what may come any day before a period, and of periods the next.
static bool outweighs(const struct outcome *outcome, const struct outcome *batch)
{
    static const int weight[] = {[VERDICT_HELD] = 0, [VERDICT_APPLIED] = 1, [VERDICT_REJECTED] = 2, [VERDICT_DEFERRED] = 3};
    if (outcome->verdict != VERDICT_DEFERRED || batch->verdict != VERDICT_DEFERRED)
        return weight[outcome->verdict] > weight[batch->verdict];
    return batch->due && (!outcome->due || outcome->due < batch->due);
}

enum verdict apply_batch(void *context, struct txn *txn, const struct header *header, const struct certificate *signer,
                         const struct entry *entries, uint64_t position, uint64_t received_ms, const char **ret_reason)
{
    struct applier *applier = context;
    struct applying applying = {.applier = applier,
                                .txn = txn,
                                .header = header,
                                .signer = signer,
                                .unit = units_find(applier->desk->units, signer->unit),
                                .position = position,
                                .received_ms = received_ms};
    struct outcome batch = {VERDICT_HELD, NULL, 0};
    for (uint32_t i = 0; i < header->count && txn_error(txn) == OK; i++) {
        struct outcome outcome = apply_entry(&applying, &entries[i], i);
        if (outweighs(&outcome, &batch))
            batch = outcome;
    }
    arena_finish(&applying.arena);
    *ret_reason = batch.reason;
    if (batch.due)
        *ret_reason = name_wait(batch.due, applier->waits);
    return batch.verdict;
}

// ---- what was held for its period

void apply_take_up_periods(const struct receiver *receiver, const struct desk *desk)
{
    char last[APPLY_WAITS_SIZE];
    int32_t month = month_of_days(civil_of_instant(desk->now_ms, LEDGER_ZONE) + 1);
    waiting_take_up(receiver, desk->txn, LEDGER_WAITS_FOR_PERIOD, name_wait(month, last), desk->now_ms);
}

static bool is_wait(const char *reason) { return strncmp(reason, LEDGER_WAITS_FOR_PERIOD, strlen(LEDGER_WAITS_FOR_PERIOD)) == 0; }

// Until when the entries of a row were judged: by now all of them, or those before the month that it waits for.
static uint64_t judged_until(const struct batch_row *row)
{
    struct period due;
    static const uint64_t zone_ms = LEDGER_ZONE * 60000, day_ms = 24 * 3600 * 1000;
    if (row->verdict != VERDICT_DEFERRED)
        return FOREVER_MS;
    if (!is_wait(row->reason) || !period_parse(row->reason + strlen(LEDGER_WAITS_FOR_PERIOD " "), &due))
        return row->received_ms;
    int64_t day = month_first_day(due.number) - 2; // whose tomorrow is in the month before
    return day < 1 ? 0 : (uint64_t)day * day_ms - zone_ms;
}

enum verdict apply_fold(struct applier *applier, const struct batch_row *row, const struct header *header, const struct certificate *signer,
                        const struct entry *entries, const char **ret_reason)
{
    struct desk *desk = applier->desk;
    uint64_t until = judged_until(row);
    *ret_reason = NULL;
    if (row->verdict == VERDICT_DEFERRED && waiting_is_behind(row->reason)) {
        *ret_reason = row->reason;
        return VERDICT_DEFERRED; // nobody has judged it
    }
    desk->now_ms = row->received_ms;
    enum verdict verdict = apply_batch(applier, desk->txn, header, signer, entries, row->position, row->received_ms, ret_reason);
    if (verdict != VERDICT_DEFERRED || !is_wait(*ret_reason) || until <= row->received_ms)
        return verdict;
    desk->now_ms = until;
    verdict = apply_batch(applier, desk->txn, header, signer, entries, row->position, row->received_ms, ret_reason);
    desk->now_ms = row->received_ms;
    return verdict;
}

bool apply_may_certify(void *context, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer)
{
    (void)txn;
    const struct applier *applier = context;
    const struct units *units = applier->desk->units;
    int32_t unit = units_find(units, certificate->unit), above = units_find(units, issuer->unit);
    // A unit that a newer tree brought: what its station says waits for that tree (may_speak).
    if (unit == UNIT_NONE || above == UNIT_NONE)
        return !hash_equal(&certificate->units, &units->hash);
    return unit != above && units_within(units, unit, above);
}

void apply_document(void *context, struct txn *txn, const struct hash *hash, struct bytes content)
{
    (void)txn;
    (void)hash;
    (void)content;
    struct applier *applier = context;
    applier->reload = true; // announcements that waited for it are taken up before the commit
}
