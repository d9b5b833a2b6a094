// What is whole when it arrives, at a township: checked, received and journaled, with all that follows from it, as the writer does. Forks,
// gaps, bodies that come later, certificates, other lanes and directions: arrival_mutate.c signs again what it changes, so that all of it
// is reached.
#include "tests/fuzz/arrival.h"

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "relay/receive.h"
#include "relay/store_memory.h"
#include "tests/fuzz/fuzz.h"

enum { ROWS_MAX = 64 };

static struct entry entries[BATCH_ENTRIES_MAX];
static struct hash digests[ROWS_MAX]; // of the journal's rows, as they were first
static uint64_t applied_feed_places;

static enum verdict on_apply(void *context, struct txn *txn, const struct header *header, const struct certificate *signer,
                             const struct entry *found, uint64_t position, uint64_t received_ms, const char **reason)
{
    (void)context, (void)txn, (void)position, (void)received_ms;
    MUST(hash_equal(&signer->hash, &header->certificate) && station_equal(&signer->station, &header->feed.station));
    for (uint32_t i = 0; i < header->count; i++)
        MUST(found[i].kind && found[i].content.size);
    applied_feed_places += header->count;
    *reason = header->count % 5 == 4 ? "units" : NULL;
    return header->count % 5 == 4 ? VERDICT_DEFERRED : VERDICT_APPLIED;
}

static bool on_may_certify(void *context, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer)
{
    (void)context, (void)txn;
    MUST(hash_equal(&certificate->issuer, &issuer->hash) && certificate->depth > issuer->depth);
    return true;
}

static void on_document(void *context, struct txn *txn, const struct hash *hash, struct bytes content)
{
    (void)context, (void)txn;
    struct hash made = crypto_hash(TAG_DOCUMENT, content);
    MUST(hash_equal(&made, hash));
}

// Nothing that was journaled has changed; each feed's state is what its rows say; each row is what its station signed.
static void check_journal(struct store *store, const struct sample *stations)
{
    struct txn *txn = txn_begin(store, false, NULL);
    uint64_t end = journal_end(txn), held = 0;
    for (uint64_t position = 1; position <= end && position <= ROWS_MAX; position++) {
        struct batch_row row;
        struct header header;
        MUST(journal_read(txn, position, &row));
        struct hash digest = journal_digest(&row);
        if (hash_is_zero(&digests[position - 1]))
            digests[position - 1] = digest;
        MUST(hash_equal(&digest, &digests[position - 1]));
        MUST(header_decode(row.header, &header, NULL) == OK && header.first == row.first && header.count == row.count);
        unsigned signer = SAMPLES;
        while (signer-- > 0 && !hash_equal(&stations[signer].certificate.hash, &header.certificate))
            ;
        if (signer < SAMPLES)
            MUST(header_check_signature(row.header, row.signature, &stations[signer].certificate, &header, NULL) == OK);
        if (row.body.size) {
            MUST(body_check(row.body, &header, entries, NULL) == OK);
            held += row.count;
        }
    }
    struct feed_key feed;
    struct feed_state state;
    for (uint32_t id = 1; feed_read(txn, id, &feed, &state); id++) {
        uint64_t position;
        MUST(state.bodies <= state.next && state.bodies > 0);
        MUST(state.next == 1 || journal_find(txn, id, state.next - 1, &position));
        MUST(!journal_find(txn, id, state.next, &position));
    }
    MUST(end > ROWS_MAX || applied_feed_places == held); // every entry that is held was applied, and once
    MUST(txn_error(txn) == OK);
    txn_abort(txn);
}

static void arrive(struct store *store, struct receiver *receiver, const struct sample *stations, const struct arrival_bytes *bytes)
{
    bool up = bytes->stream == SANJI__STREAM__STREAM_UP;
    struct arrival arrival = {.peer = stations[up ? SAMPLE_VILLAGE : SAMPLE_COUNTY].identity.station,
                              .stream = bytes->stream,
                              .generation = 1,
                              .position = 1,
                              .is_object = bytes->kind & 1,
                              .received_ms = 1000};
    struct header header;
    arrival.lane = header_decode(bytes->header, &header, NULL) == OK ? header.feed.lane : 3;
    if (bytes->kind & 16)
        arrival.lane = 1 + arrival.lane % LANES; // not its own
    buffer_append(&arrival.header, bytes->header.data, bytes->header.size);
    buffer_append(&arrival.signature, bytes->signature.data, bytes->signature.size);
    if (!(bytes->kind & 32)) // 32: the body is withheld
        buffer_append(&arrival.body, bytes->body.data, bytes->body.size);
    if (arrival.is_object) {
        struct certificate certificate;
        arrival.object =
            certificate_decode(bytes->body, &certificate, NULL) == OK ? certificate.hash : crypto_hash(TAG_DOCUMENT, bytes->body);
    }
    struct txn *txn = txn_begin(store, true, NULL);
    struct grown grown = {0};
    uint64_t before = journal_end(txn), applied = applied_feed_places;
    enum received received = receive(receiver, txn, &arrival, &grown);
    MUST(journal_end(txn) <= before + 1);
    if (received == RECEIVED_GAP || received == RECEIVED_FORGED)
        MUST(journal_end(txn) == before && applied_feed_places == applied);
    MUST(txn_error(txn) == OK);
    MUST(txn_commit(txn, NULL) == OK);
    arrival_finish(&arrival);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct sample *stations = arrival_stations();
    struct arrival_bytes arrivals[ARRIVALS_MAX];
    struct store *store;
    struct signers *signers;
    MUST(store_memory_create(&store, NULL) == OK && signers_create(&stations[SAMPLE_COUNTY].certificate.hash, &signers, NULL) == OK);
    struct txn *txn = txn_begin(store, true, NULL);
    journal_create(txn,
                   &(struct journal_meta){.format = STORE_FORMAT, .station = stations[SAMPLE_TOWNSHIP].identity.station, .generation = 5});
    for (unsigned i = 0; i < SAMPLES; i++) // the village's comes as an arrival, or not at all
        if (i != SAMPLE_VILLAGE || (size && data[0] & 64))
            object_add(txn, &stations[i].certificate.hash, OBJECT_CERTIFICATE, buffer_bytes(&stations[i].wire));
    MUST(txn_commit(txn, NULL) == OK);
    struct receiver receiver = {.place = {.self = &stations[SAMPLE_TOWNSHIP].certificate, .parent = &stations[SAMPLE_COUNTY].certificate},
                                .signers = signers,
                                .apply = on_apply,
                                .may_certify = on_may_certify,
                                .document = on_document,
                                .entries = entries};
    memset(digests, 0, sizeof digests);
    applied_feed_places = 0;
    uint32_t count = arrivals_split(bytes_of(data, size), arrivals);
    for (uint32_t i = 0; i < count; i++) {
        arrive(store, &receiver, stations, &arrivals[i]);
        check_journal(store, stations);
    }
    signers_destroy(signers);
    store_close(store);
    return 0;
}
