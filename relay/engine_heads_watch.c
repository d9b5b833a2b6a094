// What is found out from signed heads: second histories, tails that don't come, stations that are not heard. relay/engine_heads.h.
#include "relay/engine_inside.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "envelope.pb-c.h"

enum {
    NAME_SIZE = 2 * STATION_ID_SIZE + 1,
};

// ---- words for a person

static const char *station_text(const struct station_id *station, char ret[NAME_SIZE])
{
    crypto_hex(bytes_of(station->bytes, STATION_ID_SIZE), ret);
    return ret;
}

static const char *unit_of(struct engine *engine, struct txn *txn, const struct heads *heads)
{
    const struct certificate *signer = signers_find(engine->signers, txn, &heads->certificate);
    return signer ? signer->unit : "?";
}

// ---- what is found out at once: written in a transaction of its own, which looks again

struct dispute_job {
    struct heads heads, earlier; // `earlier`: a claim that was here already, of this or another station, when they contradict
    struct buffer claim, earlier_claim;
    uint8_t signature[SIGNATURE_SIZE], earlier_signature[SIGNATURE_SIZE];
    struct station_id via;
    char unit[UNIT_CODE_MAX + 1];
    bool contradicts;
    uint32_t at;
    uint64_t now_ms;
};

static void dispute_finish(struct dispute_job *job)
{
    buffer_finish(&job->claim);
    buffer_finish(&job->earlier_claim);
    free(job);
}

static void add_alarm(struct txn *txn, const struct dispute_job *job, const char *kind, const struct head *head)
{
    char signer[NAME_SIZE], of[NAME_SIZE], via[NAME_SIZE];
    struct alarm alarm = {.time_ms = job->now_ms};
    snprintf(alarm.kind, sizeof alarm.kind, "%s", kind);
    snprintf(alarm.text, sizeof alarm.text, "station %s, unit %s; feed of %s, lane %u, up to %" PRIu64 "; by way of %s",
             station_text(&job->heads.station, signer), job->unit, station_text(&head->feed.station, of), (unsigned)head->feed.lane,
             head->next - 1, station_text(&job->via, via));
    alarm_add(txn, &alarm);
}

// Whether the signer has signed another history of a feed of its own than the one here, and that is news.
static bool disputes_own(struct txn *txn, const struct heads *heads)
{
    struct feed_state state;
    for (uint32_t i = 0; i < heads->count; i++)
        if (heads_own(heads, &heads->heads[i]) != HEADS_OWN && heads_compare(txn, &heads->heads[i], &state) == HEAD_OTHER &&
            !state.disputed)
            return true;
    return false;
}

// The feed is disputed, as by a second batch.
static void dispute_own(struct txn *txn, const struct dispute_job *job, const struct head *head)
{
    uint32_t id;
    struct feed_state state;
    if (!feed_find(txn, &head->feed, &id, &state) || state.disputed)
        return;
    state.disputed = true;
    feed_write(txn, id, &state);
    add_alarm(txn, job, "split-view", head);
}

static void keep_other(struct txn *txn, const struct station_id *station, struct bytes claim, const uint8_t *signature,
                       const struct dispute_job *job)
{
    struct heads_row row = {0};
    struct buffer held = {0};
    if (heads_read(txn, station, &row) && row.other.size)
        return;
    size_t size = row.claim.size;
    buffer_append(&held, row.claim.data, row.claim.size);
    buffer_append(&held, row.signature.data, row.signature.size);
    row.claim = bytes_of(held.data, size);
    row.signature = bytes_of(held.data ? held.data + size : NULL, held.size - size);
    row.other = claim;
    row.other_signature = bytes_of(signature, SIGNATURE_SIZE);
    if (row.received_ms == 0) {
        row.received_ms = job->now_ms;
        row.via = job->via;
    }
    if (held.failed)
        txn_fail(txn, ERR_MEMORY, "heads");
    else
        heads_write(txn, station, &row);
    buffer_finish(&held);
}

static enum error_code run_dispute(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    const struct dispute_job *job = argument;
    struct heads_row row;
    bool told = heads_read(txn, &job->heads.station, &row) && row.other.size, keep = false;
    for (uint32_t i = 0; i < job->heads.count; i++) {
        const struct head *head = &job->heads.heads[i];
        if (heads_compare(txn, head, NULL) != HEAD_OTHER)
            continue;
        keep = true;
        if (heads_own(&job->heads, head) != HEADS_OWN)
            dispute_own(txn, job, head);
        else if (!told)
            add_alarm(txn, job, "views-differ", head); // either of two lies: nobody's feed is disputed by another's word
    }
    if (job->contradicts && !told && !keep)
        add_alarm(txn, job, heads_own(&job->heads, &job->heads.heads[job->at]) != HEADS_OWN ? "split-view" : "views-differ",
                  &job->heads.heads[job->at]);
    if (job->contradicts)
        keep_other(txn, &job->earlier.station, buffer_bytes(&job->earlier_claim), job->earlier_signature, job);
    if (keep || (job->contradicts && !station_equal(&job->earlier.station, &job->heads.station)))
        keep_other(txn, &job->heads.station, buffer_bytes(&job->claim), job->signature, job);
    return OK;
}

static void dispute_written(void *argument, enum error_code code, const struct error *error)
{
    (void)code;
    (void)error;
    dispute_finish(argument);
}

struct contradiction {
    const struct heads_entry *with; // NULL: none
    struct heads heads;
    uint32_t at;
};

// Another claim that can't be true together with this one: an earlier one of the station, or one of a station whose feeds it names.
static void find_contradiction(const struct heads_book *book, const struct heads *heads, struct contradiction *ret)
{
    const struct heads_entry *last = NULL;
    for (uint32_t i = 0; i <= heads->count && !ret->with; i++) {
        const struct heads_entry *entry = heads_find(book, i ? &heads->heads[i - 1].feed.station : &heads->station);
        if (entry && entry != last && entry != book->own && heads_claim(entry, &ret->heads) &&
            heads_contradict(heads, &ret->heads, &ret->at))
            ret->with = entry;
        last = entry;
    }
}

static struct dispute_job *dispute_make(struct engine *engine, struct txn *txn, const struct heads *heads, const struct link_in *in,
                                        uint32_t link, const struct contradiction *contradiction)
{
    struct dispute_job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL; // the next claim says it again
    job->heads = *heads;
    job->via = engine->links.slots[link].station;
    job->now_ms = utc_ms();
    snprintf(job->unit, sizeof job->unit, "%s", unit_of(engine, txn, heads));
    buffer_append(&job->claim, in->signed_heads.claim.data, in->signed_heads.claim.size);
    memcpy(job->signature, in->signed_heads.signature.data, SIGNATURE_SIZE);
    job->contradicts = contradiction->with != NULL;
    if (job->contradicts) {
        job->earlier = contradiction->heads;
        job->at = contradiction->at;
        buffer_append(&job->earlier_claim, contradiction->with->claim, contradiction->with->claim_size);
        memcpy(job->earlier_signature, contradiction->with->signature, SIGNATURE_SIZE);
    }
    if (!job->claim.failed && !job->earlier_claim.failed)
        return job;
    dispute_finish(job);
    return NULL;
}

void heads_judge(struct engine *engine, struct txn *txn, const struct heads *heads, const struct link_in *in, uint32_t link, bool other)
{
    char name[NAME_SIZE], text[160];
    struct heads_row row;
    struct contradiction contradiction = {0};
    find_contradiction(&engine->heads, heads, &contradiction);
    if (!other && !contradiction.with)
        return;
    bool known = heads_read(txn, &heads->station, &row) && row.other.size; // one proof is kept, and a person told once
    if (known && !disputes_own(txn, heads))
        return;
    struct dispute_job *job = dispute_make(engine, txn, heads, in, link, &contradiction);
    struct call_job call = {.run = run_dispute, .finished = dispute_written, .argument = job};
    if (!job)
        return;
    if (writer_submit_call(engine->config.writer, &call) != OK) {
        dispute_finish(job);
        return;
    }
    snprintf(text, sizeof text, "signed heads of station %s show another history than the one here", station_text(&heads->station, name));
    engine_report(engine, true, text);
}

// ---- what stays behind

// Which of its own feeds should be here: what goes up from those below, what goes to everybody from those above.
static bool expected(const struct heads_entry *entry, const struct head *head)
{
    return head->feed.audience == (entry->below ? SANJI__AUDIENCE__UP : SANJI__AUDIENCE__SUBTREE);
}

bool heads_watch(struct txn *txn, struct heads_entry *entry, const struct heads *heads, uint64_t now, bool *ret_other)
{
    bool behind = false;
    struct feed_state state;
    for (uint32_t i = 0; i < heads->count; i++) {
        const struct head *head = &heads->heads[i];
        unsigned own = heads_own(heads, head);
        enum head_verdict verdict = heads_compare(txn, head, &state);
        *ret_other |= verdict == HEAD_OTHER && (own == HEADS_OWN || !state.disputed);
        if (own == HEADS_OWN)
            continue;
        if (verdict != HEAD_BEHIND || !expected(entry, head))
            entry->behind_ms[own] = 0;
        else if (entry->behind_ms[own] == 0)
            entry->behind_ms[own] = now;
        behind |= entry->behind_ms[own] != 0;
    }
    return behind;
}

static void tell(struct engine *engine, struct txn *txn, struct heads_entry *entry, const struct heads *heads, const struct head *head,
                 bool arrived)
{
    char name[NAME_SIZE], via[NAME_SIZE], text[256];
    struct feed_state state;
    uint16_t bit = (uint16_t)(1u << heads_own(heads, head));
    heads_compare(txn, head, &state);
    snprintf(text, sizeof text, "station %s, unit %s, lane %u: signed up to %" PRIu64 ", here up to %" PRIu64 "; by way of %s",
             station_text(&entry->station, name), unit_of(engine, txn, heads), (unsigned)head->feed.lane, head->next - 1, state.next - 1,
             station_text(&entry->via, via));
    if (!engine_alarm(engine, arrived ? "head-gap-closed" : "head-gap", text))
        return; // at the next look
    entry->told = arrived ? entry->told & (uint16_t)~bit : entry->told | bit;
    entry->dirty = true;
    heads_soon(&engine->heads.write_ms, monotonic_ms());
}

// Whether what is missing could have come: the link was live, and its lane silent, for all the time of grace.
static bool could_have_come(const struct engine *engine, const struct heads_entry *entry, const struct head *head, uint64_t since,
                            uint64_t now)
{
    uint64_t live;
    if (entry->link == UINT32_MAX || !heads_live_since(engine, entry->link, &live))
        return false;
    uint64_t row = engine->links.slots[entry->link].row_ms[head->feed.lane - 1];
    uint64_t from = since > live ? since : live;
    if (row > from)
        from = row;
    return now - from >= HEADS_GRACE_MS;
}

static bool look_at(struct engine *engine, struct txn *txn, struct heads_entry *entry, uint64_t now)
{
    struct heads heads;
    bool other = false;
    if (!heads_claim(entry, &heads))
        return false;
    bool was = entry->withheld;
    entry->withheld = heads_watch(txn, entry, &heads, now, &other);
    for (uint32_t i = 0; i < heads.count && txn_error(txn) == OK; i++) {
        const struct head *head = &heads.heads[i];
        unsigned own = heads_own(&heads, head);
        if (own == HEADS_OWN)
            continue;
        bool told = entry->told & 1u << own;
        uint64_t since = entry->behind_ms[own];
        if (told && since == 0)
            tell(engine, txn, entry, &heads, head, true);
        else if (!told && since && could_have_come(engine, entry, head, since, now))
            tell(engine, txn, entry, &heads, head, false);
    }
    if (was && !entry->withheld)
        heads_pass_on(engine, txn, entry, now);
    return entry->withheld || entry->told;
}

void heads_look(struct engine *engine, uint64_t now)
{
    struct heads_book *book = &engine->heads;
    struct txn *txn = engine_reader(engine);
    bool more = !txn;
    for (uint32_t i = 0; txn && i < book->count && txn_error(txn) == OK; i++)
        if (book->entries[i]->withheld || book->entries[i]->told)
            more |= look_at(engine, txn, book->entries[i], now);
    if (txn && txn_error(txn) != OK)
        engine_reader_end(engine);
    book->look_ms = more ? now + HEADS_LOOK_MS : UINT64_MAX;
}

// ---- who is not heard

// Stations whose feeds are here are expected, though no claim of theirs ever came, and those above.
static void expect(struct engine *engine, struct txn *txn)
{
    struct heads_book *book = &engine->heads;
    struct feed_key feed;
    struct feed_state state;
    for (uint32_t i = 0; i < book->above_count; i++)
        heads_enter(book, &book->above[i]);
    for (uint32_t id = 1; feed_read(txn, id, &feed, &state); id++) {
        if (feed.audience != SANJI__AUDIENCE__UP || station_equal(&feed.station, &engine->config.self->station))
            continue;
        struct heads_entry *entry = heads_enter(book, &feed.station);
        if (entry && !entry->claim && entry->link == UINT32_MAX) {
            entry->below = true;
            route_via(txn, &feed.station, &entry->via);
        }
    }
}

// One alarm for all that became silent, or are heard again, behind one link.
static void tell_silence(struct engine *engine, uint32_t link, bool silent)
{
    struct heads_book *book = &engine->heads;
    const struct heads_entry *first = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < book->count; i++) {
        const struct heads_entry *entry = book->entries[i];
        if (entry->link != link || entry->silent == silent || (entry->quiet_ms >= HEADS_SILENT_MS) != silent)
            continue;
        first = first ? first : entry;
        count++;
    }
    if (count == 0)
        return;
    char name[NAME_SIZE], via[NAME_SIZE], text[256];
    snprintf(text, sizeof text, "%" PRIu32 " stations, the first of them %s; by way of %s, whose link was live", count,
             station_text(&first->station, name), station_text(&engine->links.slots[link].station, via));
    if (!engine_alarm(engine, silent ? "not-heard" : "heard-again", text))
        return;
    for (uint32_t i = 0; i < book->count; i++) {
        struct heads_entry *entry = book->entries[i];
        if (entry->link == link && (entry->quiet_ms >= HEADS_SILENT_MS) == silent) {
            entry->dirty |= entry->silent != silent;
            entry->silent = silent;
        }
    }
    heads_soon(&book->write_ms, monotonic_ms());
}

// Time counts only while the link was live: a station or a line that is switched off is no news, and nobody is declared dead for it.
void heads_look_silence(struct engine *engine, uint64_t now)
{
    struct heads_book *book = &engine->heads;
    struct txn *txn = engine_reader(engine);
    uint64_t passed = now - book->quiet_ms, since;
    book->quiet_ms = now;
    if (!txn)
        return;
    expect(engine, txn);
    for (uint32_t i = 0; i < book->count; i++) {
        struct heads_entry *entry = book->entries[i];
        if (entry == book->own)
            continue;
        if (entry->link == UINT32_MAX && !entry->below)
            entry->link = 0;
        else if (entry->link == UINT32_MAX)
            links_find_station(&engine->links, &entry->via, &entry->link);
        bool live = entry->link != UINT32_MAX && heads_live_since(engine, entry->link, &since) && now - since >= passed;
        if (live && (entry->heard_ms == 0 || now - entry->heard_ms >= passed)) {
            entry->quiet_ms += passed;
            entry->dirty = true;
            heads_soon(&book->write_ms, now + HEADS_WRITE_MS);
        }
    }
    if (txn_error(txn) != OK)
        engine_reader_end(engine);
    for (uint32_t i = 0; i < book->count; i++) {
        const struct heads_entry *entry = book->entries[i];
        bool silent = entry->quiet_ms >= HEADS_SILENT_MS;
        if (entry->silent != silent && entry->link != UINT32_MAX)
            tell_silence(engine, entry->link, silent);
    }
}
