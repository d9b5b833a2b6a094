#include "relay/receive.h"

#include <stdio.h>
#include <string.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "relay/language.h"
#include "relay/quarantine.h"
#include "relay/receipt.h"
#include "relay/receive_inside.h"
#include "relay/waiting.h"

void arrival_finish(struct arrival *arrival)
{
    buffer_finish(&arrival->header);
    buffer_finish(&arrival->signature);
    buffer_finish(&arrival->body);
}

enum error_code arrival_check(struct arrival *arrival, struct signers *signers, struct txn *txn, struct error *error)
{
    if (arrival->is_object) {
        arrival->checked = true;
        return OK;
    }
    enum error_code code = header_decode(buffer_bytes(&arrival->header), &arrival->decoded, error);
    if (code != OK)
        return code;
    const struct header *header = &arrival->decoded;
    const struct certificate *signer = signers_find(signers, txn, &header->certificate);
    if (!signer)
        return error_set(error, ERR_NOT_FOUND, "%s", tr("the signer's certificate is not here", "此处没有签名者的证书"));
    if (header->feed.lane != arrival->lane)
        return error_set(error, ERR_FORGED, "%s", tr("a batch came on another lane than its own", "批次走了不属于自己的通道"));
    code = header_check_signature(buffer_bytes(&arrival->header), buffer_bytes(&arrival->signature), signer, header, error);
    if (code == OK && arrival->body.size) {
        struct entry entries[BATCH_ENTRIES_MAX];
        code = body_check(buffer_bytes(&arrival->body), header, entries, error);
    }
    if (code == OK) {
        arrival->signer = *signer;
        arrival->checked = true;
    }
    return code;
}

static void alarm_feed(struct txn *txn, const char *kind, const struct certificate *signer, const struct header *header, uint64_t now_ms)
{
    struct alarm alarm = {.time_ms = now_ms};
    snprintf(alarm.kind, sizeof alarm.kind, "%s", kind);
    snprintf(alarm.text, sizeof alarm.text, "unit %s, lane %u, sequence %llu", signer->unit, (unsigned)header->feed.lane,
             (unsigned long long)header->first);
    alarm_add(txn, &alarm);
}

// Its hash has been checked: it may take the place of a damaged one.
static void put_object(struct txn *txn, struct arrival *arrival, enum object_kind kind)
{
    struct quarantined entry;
    object_mend(txn, &arrival->object, kind, buffer_bytes(&arrival->body));
    if (quarantine_of_object(txn, &arrival->object, &entry) && entry.mended_ms == 0) {
        quarantine_mended(txn, &entry, arrival->received_ms);
        arrival->mended = true;
    }
}

// A signed time that lies ahead of ours: one of the two clocks is wrong. Order, receipts and revocation don't need it; people do. Told once
// among the last alarms. A time that lies behind is what any station says that was offline.
enum { CLOCK_AHEAD_MS = 24 * 3600 * 1000, CLOCK_ALARMS = 16 };
static void tell_of_clock(struct txn *txn, const struct arrival *arrival)
{
    struct alarm last[CLOCK_ALARMS], alarm = {.time_ms = arrival->received_ms, .kind = "clock"};
    if (arrival->decoded.time_ms < arrival->received_ms + CLOCK_AHEAD_MS)
        return;
    snprintf(alarm.text, sizeof alarm.text, "unit %s signs with a time more than a day ahead of ours: one of the two clocks is wrong",
             arrival->signer.unit);
    for (uint32_t i = alarm_last(txn, last, CLOCK_ALARMS); i > 0; i--)
        if (strcmp(last[i - 1].kind, alarm.kind) == 0 && strcmp(last[i - 1].text, alarm.text) == 0)
            return;
    alarm_add(txn, &alarm);
}

static enum received receive_object(const struct receiver *receiver, struct txn *txn, struct arrival *arrival, struct grown *grown)
{
    struct bytes content = buffer_bytes(&arrival->body);
    if (object_intact(txn, &arrival->object))
        return RECEIVED;
    struct hash document = crypto_hash(TAG_DOCUMENT, content);
    if (hash_equal(&document, &arrival->object)) {
        if (arrival->stream == SANJI__STREAM__STREAM_UP)
            return RECEIVED_FORGED; // documents only travel down
        put_object(txn, arrival, OBJECT_DOCUMENT);
        receiver->document(receiver->context, txn, &arrival->object, content);
        route_document(txn, &arrival->object, grown);
        return RECEIVED;
    }
    struct certificate certificate;
    enum error_code code = signers_admit(receiver->signers, txn, content, &certificate, NULL);
    if (code == ERR_NOT_FOUND)
        return RECEIVED_GAP;
    if (code != OK || !hash_equal(&certificate.hash, &arrival->object))
        return RECEIVED_FORGED;
    if (!certificate.root) {
        struct certificate issuer = *signers_find(receiver->signers, txn, &certificate.issuer);
        if (!receiver->may_certify(receiver->context, txn, &certificate, &issuer))
            return RECEIVED_FORGED;
    }
    put_object(txn, arrival, OBJECT_CERTIFICATE);
    return RECEIVED;
}

static bool is_own(const struct receiver *receiver, const struct arrival *arrival)
{
    return station_equal(&arrival->signer.station, &receiver->place.self->station);
}

// Which way a batch may come: from below what is for above, from above what is for below, and what this station lost of its own.
static bool direction_allows(const struct receiver *receiver, const struct arrival *arrival)
{
    const struct header *header = &arrival->decoded;
    if (receiver->salvaged)
        return true;
    if (is_own(receiver, arrival))
        return arrival->stream == SANJI__STREAM__STREAM_DOWN_ONE && header->feed.audience == SANJI__AUDIENCE__UP;
    if (arrival->stream == SANJI__STREAM__STREAM_UP)
        return header->feed.audience == SANJI__AUDIENCE__UP && arrival->signer.depth > receiver->place.self->depth;
    return header->feed.audience != SANJI__AUDIENCE__UP && arrival->signer.depth < receiver->place.self->depth;
}

bool receive_entitled(const struct receiver *receiver, const struct header *header, const struct certificate *signer)
{
    if (header->feed.audience == SANJI__AUDIENCE__UP)
        return reach_entitles(header->reach, signer->depth - receiver->place.self->depth);
    return true;
}

static enum verdict apply(const struct receiver *receiver, struct txn *txn, const struct arrival *arrival, uint64_t position,
                          uint64_t received_ms, const char **reason)
{
    struct bytes body = buffer_bytes(&arrival->body);
    bool decodes = arrival->checked ? body_entries(body, &arrival->decoded, receiver->entries)
                                    : body_decode(body, &arrival->decoded, receiver->entries, NULL) == OK;
    if (!decodes) {
        *reason = "body does not decode"; // a function of the bytes: every tier says the same
        return VERDICT_REJECTED;
    }
    return receiver->apply(receiver->context, txn, &arrival->decoded, &arrival->signer, receiver->entries, position, received_ms, reason);
}

// One whose body has just come, for `position` of the journal.
static enum verdict judge(const struct receiver *receiver, struct txn *txn, const struct arrival *arrival, uint32_t feed_id,
                          uint64_t position, uint64_t received_ms, char ret_reason[REASON_MAX + 1])
{
    const char *reason = NULL;
    if (waiting_holds(txn, feed_id, arrival->decoded.first, position, ret_reason))
        return VERDICT_DEFERRED;
    enum verdict verdict = apply(receiver, txn, arrival, position, received_ms, &reason);
    snprintf(ret_reason, REASON_MAX + 1, "%s", reason ? reason : "");
    return verdict;
}

struct batch_row receive_row(const struct arrival *arrival, uint32_t feed_id, bool with_body)
{
    return (struct batch_row){
        .feed = feed_id,
        .first = arrival->decoded.first,
        .count = arrival->decoded.count,
        .received_ms = arrival->received_ms,
        .from = arrival->peer,
        .verdict = VERDICT_HELD,
        .header = buffer_bytes(&arrival->header),
        .signature = buffer_bytes(&arrival->signature),
        .body = with_body ? buffer_bytes(&arrival->body) : bytes_of(NULL, 0),
    };
}

// A body can come later than the headers after it: moves `bodies` over what is held, or stops below us by its reach. At most CATCH_UP_MAX
// batches at a time, about 20 ms; the next one that arrives goes on from there.
enum { CATCH_UP_MAX = 4096 };
static void catch_up(const struct receiver *receiver, struct txn *txn, const struct certificate *signer, uint32_t feed_id,
                     struct feed_state *state)
{
    for (unsigned i = 0; i < CATCH_UP_MAX && state->bodies < state->next; i++) {
        uint64_t position;
        struct batch_row row;
        struct header header;
        if (!journal_find(txn, feed_id, state->bodies, &position) || !journal_read_intact(txn, position, &row))
            return;
        if (row.body.size == 0 && (header_decode(row.header, &header, NULL) != OK || receive_entitled(receiver, &header, signer)))
            return;
        state->bodies = row.first + row.count;
    }
}

// The body of an urgent batch from below has been stored: its origin is told, with this very commit, or when this station may sign again.
static void give_receipt(const struct receiver *receiver, struct txn *txn, const struct arrival *arrival, uint64_t position)
{
    const struct header *header = &arrival->decoded;
    if (header->feed.lane != SANJI__LANE__URGENT || header->feed.audience != SANJI__AUDIENCE__UP)
        return;
    if (receiver->author)
        receipt_give(receiver->author, txn, header, arrival->received_ms);
    else if (receiver->restored && !station_equal(&header->feed.station, &receiver->place.self->station))
        receipt_owe(txn, position);
}

static void store_next(const struct receiver *receiver, struct txn *txn, struct arrival *arrival, uint32_t feed_id,
                       struct feed_state *state, bool take_body, bool right, struct grown *grown)
{
    struct batch_row row = receive_row(arrival, feed_id, take_body);
    uint64_t position = journal_end(txn) + 1;
    if (take_body)
        row.verdict = judge(receiver, txn, arrival, feed_id, position, row.received_ms, row.reason);
    position = journal_append(txn, &row);
    if (row.verdict == VERDICT_DEFERRED)
        deferred_add(txn, row.reason, position);
    const struct header *header = &arrival->decoded;
    struct feed_claim claim = {.first = header->first, .count = header->count, .header = header->hash, .prev = header->prev};
    bool behind = state->bodies < state->next;
    uint64_t before = state->bodies;
    feed_extend(state, &claim, take_body, right);
    catch_up(receiver, txn, &arrival->signer, feed_id, state);
    arrival->caught_up = behind && state->bodies == state->next;
    feed_write(txn, feed_id, state);
    if (behind && state->bodies > before)
        waiting_bodies_came(receiver, txn, feed_id, arrival->received_ms);
    route_batch(txn, &receiver->place, header, &arrival->signer, position, take_body, grown);
    if (take_body)
        give_receipt(receiver, txn, arrival, position);
}

void receive_body(const struct receiver *receiver, struct txn *txn, struct arrival *arrival, uint32_t feed_id, struct feed_state *state,
                  struct grown *grown)
{
    uint64_t position;
    struct batch_row row;
    if (!journal_find(txn, feed_id, arrival->decoded.first, &position) || !journal_read(txn, position, &row))
        return;
    char reason[REASON_MAX + 1];
    enum verdict verdict = judge(receiver, txn, arrival, feed_id, position, row.received_ms, reason);
    journal_add_body(txn, position, buffer_bytes(&arrival->body), verdict, reason);
    if (verdict == VERDICT_DEFERRED)
        deferred_add(txn, reason, position);
    bool behind = state->bodies < state->next;
    uint64_t before = state->bodies;
    catch_up(receiver, txn, &arrival->signer, feed_id, state);
    arrival->caught_up = behind && state->bodies == state->next;
    feed_write(txn, feed_id, state);
    if (behind && state->bodies > before)
        waiting_bodies_came(receiver, txn, feed_id, arrival->received_ms);
    route_batch(txn, &receiver->place, &arrival->decoded, &arrival->signer, position, true, grown);
    give_receipt(receiver, txn, arrival, position);
}

// Whether a batch that leaves a hole goes on from one that is kept as evidence: then nothing of the feed is missing, and the second history
// must not hold up what other stations have sent behind it. When no more evidence is kept that can't be told: its length is all we know.
static bool continues_fork(struct txn *txn, uint32_t feed_id, const struct header *header)
{
    struct evidence evidence;
    uint32_t count = 0;
    while (evidence_next(txn, feed_id, count ? &evidence : NULL, &evidence)) {
        if (hash_equal(&evidence.header_hash, &header->prev))
            return true;
        count++;
    }
    return count >= EVIDENCE_MAX;
}

// Keeps the other batch of a fork, and says so once.
static void keep_evidence(struct txn *txn, const struct arrival *arrival, uint32_t feed_id, struct feed_state *state)
{
    const struct header *header = &arrival->decoded;
    evidence_add(txn, feed_id, header->first, &header->hash, buffer_bytes(&arrival->header), buffer_bytes(&arrival->signature),
                 buffer_bytes(&arrival->body));
    if (state->disputed)
        return;
    state->disputed = true;
    feed_write(txn, feed_id, state);
    alarm_feed(txn, "fork", &arrival->signer, header, arrival->received_ms);
}

// Whether a peer takes the place of the one that a station was reached through: that one is barred, gone, or was of the same unit.
static bool replaces(struct txn *txn, const struct station_id *before, const struct peer *peer)
{
    struct peer old;
    return !peer_read(txn, before, &old) || old.barred || strcmp(old.unit, peer->unit) == 0;
}

// A batch from below comes through a peer that its signer stands below, or is: the chain of certificates says so. That is how the station
// is reached. False: it came by another way, which nobody may. `ret_learn`: this way is to be remembered.
static bool right_way(const struct receiver *receiver, struct txn *txn, const struct arrival *arrival, bool *ret_learn)
{
    const struct station_id *station = &arrival->decoded.feed.station;
    struct station_id via;
    struct peer peer = {0};
    if (arrival->stream != SANJI__STREAM__STREAM_UP)
        return true;
    bool known = route_via(txn, station, &via);
    if (known && station_equal(&via, &arrival->peer))
        return true;
    bool enrolled = peer_read(txn, &arrival->peer, &peer);
    if (receiver->salvaged) { // through a child whose row may be lost: it introduces itself again
        *ret_learn = !known || (enrolled && replaces(txn, &via, &peer));
        return true;
    }
    if (!signers_passes(receiver->signers, txn, &arrival->signer, &arrival->peer, enrolled ? peer.unit : NULL))
        return false;
    // A guest is answered past its parent anyway; what else is for it, or for those below it, goes the way it always goes.
    *ret_learn = enrolled ? !known || replaces(txn, &via, &peer) : !known && !guest_read(txn, &arrival->peer, &peer);
    return true;
}

// Whether the batch comes back the way that it went: from above what a station below signed, or from below what one above did. So does what
// was damaged here and is fetched again, and nothing else.
static bool comes_back(const struct receiver *receiver, struct txn *txn, const struct arrival *arrival)
{
    bool from_below = arrival->stream == SANJI__STREAM__STREAM_UP, up = arrival->decoded.feed.audience == SANJI__AUDIENCE__UP;
    const struct certificate *self = receiver->place.self;
    if (from_below == up)
        return false;
    return up ? signers_passes(receiver->signers, txn, &arrival->signer, &self->station, self->unit)
              : signers_passes(receiver->signers, txn, self, &arrival->signer.station, arrival->signer.unit);
}

static enum received receive_batch(const struct receiver *receiver, struct txn *txn, struct arrival *arrival, struct grown *grown)
{
    const struct header *header = &arrival->decoded;
    bool learn = false;
    uint32_t feed_id = 0;
    struct feed_state state;
    bool known = feed_find(txn, &header->feed, &feed_id, &state);
    if (!known)
        feed_state_init(&state);
    bool own = is_own(receiver, arrival), has_body = arrival->body.size > 0, body_held = false;
    struct hash held_hash;
    const struct hash *held = NULL;
    struct batch_place place;
    if (header->first < state.next && journal_place(txn, feed_id, header->first, &place)) {
        struct batch_row row;
        if (!journal_intact(txn, place.position))
            return receive_mend(receiver, txn, arrival, &place, &state, grown);
        if (journal_read(txn, place.position, &row) && row.first == header->first) {
            held_hash = crypto_hash(TAG_HEADER, row.header);
            held = &held_hash;
            body_held = row.body.size > 0;
        }
    }
    // But for what was fetched again, perhaps from two neighbours; a store that was put back since may not have it, nor know that it asked.
    if (!direction_allows(receiver, arrival)) {
        bool other = held && !hash_equal(held, &header->hash), whole = held && (body_held || !has_body);
        return !other && (whole || (receiver->put_back && comes_back(receiver, txn, arrival))) ? RECEIVED : RECEIVED_FORGED;
    }
    if (!right_way(receiver, txn, arrival, &learn)) {
        alarm_feed(txn, "wrong-way", &arrival->signer, header, arrival->received_ms);
        return RECEIVED_FORGED;
    }
    // Of its own, a station gets back what its parent has: a header alone stands, where the body was not to travel that far.
    bool right = own ? has_body : receive_entitled(receiver, header, &arrival->signer);
    struct feed_claim claim = {.first = header->first, .count = header->count, .header = header->hash, .prev = header->prev};
    enum admit admit = feed_admit(&state, &claim, held, body_held, has_body && right);
    // Of a feed with two histories, what goes on from the other one does not show that rows were lost here.
    bool other = own && state.disputed && admit == ADMIT_GAP;
    if (own && !receiver->restored && (admit == ADMIT_NEXT || admit == ADMIT_GAP) && !other)
        return RECEIVED_OWN;
    switch (admit) {
    case ADMIT_NEXT:
        if (!known)
            feed_id = feed_add(txn, &header->feed);
        if (learn)
            route_learn(txn, &header->feed.station, &arrival->peer, grown);
        store_next(receiver, txn, arrival, feed_id, &state, has_body && right, right, grown);
        tell_of_clock(txn, arrival);
        break;
    case ADMIT_BODY:
        receive_body(receiver, txn, arrival, feed_id, &state, grown);
        break;
    case ADMIT_DUPLICATE:
        break;
    case ADMIT_GAP:
        if (!other && (!known || !state.disputed || !continues_fork(txn, feed_id, header)))
            return own ? RECEIVED : RECEIVED_GAP; // its own: from before this store was lost, and once more behind it, from the first on
        // fall through
    case ADMIT_FORK:
        keep_evidence(txn, arrival, feed_id, &state);
        return RECEIVED;
    }
    return right && !has_body && !body_held ? RECEIVED_BODILESS : RECEIVED;
}

enum received receive(const struct receiver *receiver, struct txn *txn, struct arrival *arrival, struct grown *grown)
{
    if (arrival->is_object)
        return receive_object(receiver, txn, arrival, grown);
    if (!arrival->checked) {
        enum error_code code = arrival_check(arrival, receiver->signers, txn, NULL);
        if (code == ERR_NOT_FOUND)
            return RECEIVED_GAP;
        if (code != OK)
            return RECEIVED_FORGED;
    }
    return receive_batch(receiver, txn, arrival, grown);
}

enum verdict receive_again(const struct receiver *receiver, struct txn *txn, uint64_t position, const char **reason)
{
    struct batch_row row;
    struct arrival arrival = {0};
    *reason = "not held";
    if (!journal_read(txn, position, &row) || row.body.size == 0)
        return VERDICT_HELD;
    if (header_decode(row.header, &arrival.decoded, NULL) != OK)
        return VERDICT_REJECTED;
    const struct certificate *signer = signers_find(receiver->signers, txn, &arrival.decoded.certificate);
    if (!signer)
        return VERDICT_REJECTED;
    arrival.signer = *signer;
    // The transaction will write while the entries are read: work on a copy.
    buffer_append(&arrival.body, row.body.data, row.body.size);
    enum verdict verdict = VERDICT_REJECTED;
    if (arrival.body.failed)
        txn_fail(txn, ERR_MEMORY, "body");
    else
        verdict = apply(receiver, txn, &arrival, position, row.received_ms, reason);
    arrival_finish(&arrival);
    return verdict;
}
