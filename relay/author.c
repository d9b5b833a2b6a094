#include "relay/author.h"

#include <assert.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "relay/incarnation.h"

// Feeds open at once in one transaction: lanes times audiences, and a few addressees.
enum { DRAFTS_MAX = 16 };

struct draft {
    bool used, open;
    uint32_t feed_id;
    struct feed_key feed;
    struct feed_state state;
    struct batch_draft batch;
};

struct author {
    struct author_config config;
    struct draft drafts[DRAFTS_MAX];
    uint64_t time_ms;
    struct hash codebook;
    struct grown grown; // of batches signed before author_finish
};

enum error_code author_create(const struct author_config *config, struct author **ret, struct error *error)
{
    struct author *author = calloc(1, sizeof *author);
    if (!author)
        return error_set(error, ERR_MEMORY, "author");
    author->config = *config;
    *ret = author;
    return OK;
}

struct incarnation author_incarnation(const struct author *author)
{
    return (struct incarnation){author->config.ordinal, author->config.nonce};
}

void author_destroy(struct author *author)
{
    if (!author)
        return;
    author_abort(author);
    free(author);
}

void author_context(struct author *author, uint64_t time_ms, const struct hash *codebook)
{
    author->time_ms = time_ms;
    author->codebook = codebook ? *codebook : (struct hash){0};
}

static void fail(struct txn *txn, const struct error *error) { txn_fail(txn, error->code, error->detail); }

// The heads that a new incarnation's feed follows: of this station's earlier feeds for the same lane and audience, newest first. As many as
// a header holds: the ones before were named by those.
enum { FOLLOWED_MAX = 16 };

static void follow_seen(const struct head *seen, struct head *follows, uint32_t *count)
{
    uint32_t at = 0;
    while (at < *count && (follows[at].feed.ordinal != seen->feed.ordinal || follows[at].feed.nonce != seen->feed.nonce))
        at++;
    if (at == *count)
        ++*count;
    follows[at] = *seen;
    follows[at].bodies = 1;
}

static uint32_t find_followed(struct txn *txn, const struct feed_key *feed, struct head *follows)
{
    struct feed_key key;
    struct feed_state state;
    uint32_t id, count = 0;
    for (bool more = feed_next_of(txn, &feed->station, NULL, &id, &key, &state); more && count < FOLLOWED_MAX;
         more = feed_next_of(txn, &feed->station, &key, &id, &key, &state))
        if (key.ordinal < feed->ordinal && key.lane == feed->lane && key.audience == feed->audience &&
            station_equal(&key.addressee, &feed->addressee) && state.next > 1)
            follows[count++] = (struct head){.feed = key, .next = state.next, .last = state.last, .bodies = state.bodies};
    struct head seen[SEEN_FEEDS_MAX]; // a root names what its children hold of it and it does not
    uint32_t seen_count = feed->audience == SANJI__AUDIENCE__SUBTREE ? incarnation_seen(txn, &feed->station, seen, SEEN_FEEDS_MAX) : 0;
    for (uint32_t i = 0; i < seen_count && count < FOLLOWED_MAX; i++)
        if (seen[i].feed.lane == feed->lane && seen[i].feed.ordinal < feed->ordinal)
            follow_seen(&seen[i], follows, &count);
    return count;
}

// Signs the open batch, journals it and puts it into its streams. `ret` may be NULL.
static void sign(struct author *author, struct txn *txn, struct draft *draft, struct author_batch *ret)
{
    struct buffer header_wire = {0};
    struct header header;
    uint8_t signature[SIGNATURE_SIZE];
    struct error error = {0};
    draft->open = false;
    struct head follows[FOLLOWED_MAX];
    uint32_t follows_count = draft->state.next == 1 && draft->feed.ordinal > 1 ? find_followed(txn, &draft->feed, follows) : 0;
    if (batch_draft_sign(&draft->batch, &draft->state, author->config.self, author->config.sign_key, author->time_ms,
                         hash_is_zero(&author->codebook) ? NULL : &author->codebook, follows, follows_count, &header_wire, &header,
                         signature, &error) != OK) {
        fail(txn, &error);
    } else {
        struct batch_row row = {
            .feed = draft->feed_id,
            .first = header.first,
            .count = header.count,
            .received_ms = author->time_ms,
            .verdict = VERDICT_APPLIED,
            .header = buffer_bytes(&header_wire),
            .signature = bytes_of(signature, sizeof signature),
            .body = buffer_bytes(&draft->batch.body),
        };
        uint64_t position = journal_append(txn, &row);
        struct feed_claim claim = {.first = header.first, .count = header.count, .header = header.hash, .prev = header.prev};
        feed_extend(&draft->state, &claim, true, true);
        feed_write(txn, draft->feed_id, &draft->state);
        struct place place = {.self = author->config.self, .parent = author->config.parent};
        route_batch(txn, &place, &header, author->config.self, position, true, &author->grown);
        if (ret && txn_error(txn) == OK)
            *ret = (struct author_batch){.feed = draft->feed_id, .first = header.first, .header = header.hash};
    }
    buffer_finish(&header_wire);
    batch_draft_finish(&draft->batch);
}

static struct draft *find(struct author *author, struct txn *txn, const struct feed_key *feed)
{
    struct draft *empty = NULL;
    for (size_t i = 0; i < DRAFTS_MAX; i++) {
        struct draft *draft = &author->drafts[i];
        if (!draft->used) {
            empty = empty ? empty : draft;
        } else if (draft->feed.lane == feed->lane && draft->feed.audience == feed->audience &&
                   station_equal(&draft->feed.addressee, &feed->addressee)) {
            return draft;
        }
    }
    if (!empty) { // many addressees: sign one and use its place
        empty = &author->drafts[DRAFTS_MAX - 1];
        if (empty->open)
            sign(author, txn, empty, NULL);
    }
    *empty = (struct draft){.used = true, .feed = *feed};
    if (!feed_find(txn, feed, &empty->feed_id, &empty->state)) {
        empty->feed_id = feed_add(txn, feed);
        feed_state_init(&empty->state);
    }
    return empty;
}

static struct feed_key own_feed(const struct author *author, unsigned lane, unsigned audience, const struct station_id *addressee)
{
    struct feed_key feed = {
        .station = author->config.self->station,
        .ordinal = author->config.ordinal,
        .nonce = author->config.nonce,
        .lane = (uint8_t)lane,
        .audience = (uint8_t)audience,
    };
    assert((audience == SANJI__AUDIENCE__STATION) == (addressee != NULL));
    if (addressee)
        feed.addressee = *addressee;
    return feed;
}

uint64_t author_add(struct author *author, struct txn *txn, unsigned lane, unsigned audience, const struct station_id *addressee,
                    uint32_t reach, uint32_t kind, uint64_t time_ms, struct bytes content, const struct key_id *key)
{
    assert(lane >= 1 && lane <= LANES);
    if (txn_error(txn) != OK)
        return 0;
    struct feed_key feed = own_feed(author, lane, audience, addressee);
    struct draft *draft = find(author, txn, &feed);
    if (draft->open &&
        (draft->batch.reach != reach || draft->batch.count == BATCH_ENTRIES_MAX || !batch_draft_fits(&draft->batch, content.size)))
        sign(author, txn, draft, NULL);
    struct error error = {0};
    if (!draft->open) {
        if (batch_draft_init(&draft->batch, &draft->feed, reach, &error) != OK) {
            fail(txn, &error);
            return 0;
        }
        draft->open = true;
    }
    if (batch_draft_add(&draft->batch, kind, time_ms, content, key, &error) != OK) {
        fail(txn, &error);
        return 0;
    }
    return draft->state.next + draft->batch.count - 1;
}

bool author_close(struct author *author, struct txn *txn, unsigned lane, unsigned audience, const struct station_id *addressee,
                  struct author_batch *ret)
{
    if (txn_error(txn) != OK)
        return false;
    struct feed_key feed = own_feed(author, lane, audience, addressee);
    struct draft *draft = find(author, txn, &feed);
    if (!draft->open)
        return false;
    sign(author, txn, draft, ret);
    return txn_error(txn) == OK;
}

void author_finish(struct author *author, struct txn *txn, struct grown *grown)
{
    for (size_t i = 0; i < DRAFTS_MAX; i++) {
        if (author->drafts[i].open)
            sign(author, txn, &author->drafts[i], NULL);
        author->drafts[i].used = false;
    }
    grown_merge(grown, &author->grown);
    author->grown = (struct grown){0};
}

void author_abort(struct author *author)
{
    for (size_t i = 0; i < DRAFTS_MAX; i++) {
        if (author->drafts[i].open)
            batch_draft_finish(&author->drafts[i].batch);
        author->drafts[i] = (struct draft){0};
    }
    author->grown = (struct grown){0};
}
