#include "tests/unit/relay/station_fixture.h"

#include "tests/must.h"
#include "tests/samples.h"

static const uint64_t now_ms = UINT64_C(1718409600000); // 2024-06-15T00:00Z

// ---- posts

void post_init(struct post *post, const struct post *issuer, const char *unit, uint32_t depth)
{
    struct error error = {0};
    memset(post, 0, sizeof *post);
    sample_identity(&post->identity);
    struct certificate *certificate = &post->certificate;
    *certificate = (struct certificate){.station = post->identity.station,
                                        .sign_key = post->identity.sign.public_key,
                                        .seal_key = post->identity.seal.public_key,
                                        .transport_key = post->identity.transport.public_key,
                                        .units = crypto_hash(TAG_DOCUMENT, bytes_of_text("unit tree")),
                                        .term = issuer ? issuer->certificate.term + 1 : 1,
                                        .issued_ms = now_ms,
                                        .ordinal = 1,
                                        .depth = depth};
    snprintf(certificate->unit, sizeof certificate->unit, "%s", unit);
    snprintf(certificate->tier, sizeof certificate->tier, "tier %u", depth);
    crypto_random(certificate->serial, sizeof certificate->serial);
    must(certificate_issue(certificate, issuer ? &issuer->certificate : NULL,
                           issuer ? &issuer->identity.sign.secret_key : &post->identity.sign.secret_key, &post->wire, &error),
         &error);
}

void post_finish(struct post *post) { buffer_finish(&post->wire); }

void posts_init(struct post list[POSTS])
{
    static const struct {
        int issuer;
        const char *unit;
    } places[POSTS] = {[PROVINCE] = {-1, "32"},
                       [COUNTY] = {PROVINCE, "321081"},
                       [TOWNSHIP] = {COUNTY, "321081100"},
                       [VILLAGE] = {TOWNSHIP, "321081100201"},
                       [OTHER_VILLAGE] = {TOWNSHIP, "321081100202"},
                       [STRANGER] = {-1, "33"}};
    must(crypto_init(NULL), &(struct error){0});
    for (int i = 0; i < POSTS; i++) {
        const struct post *issuer = places[i].issuer < 0 ? NULL : &list[places[i].issuer];
        post_init(&list[i], issuer, places[i].unit, issuer ? issuer->certificate.depth + 1 : 0);
    }
}

void posts_finish(struct post list[POSTS])
{
    for (int i = 0; i < POSTS; i++)
        post_finish(&list[i]);
}

// ---- the layer above

static enum verdict on_apply(void *context, struct txn *txn, const struct header *header, const struct certificate *signer,
                             const struct entry *entries, uint64_t position, uint64_t received_ms, const char **reason)
{
    struct bench *bench = context;
    (void)txn;
    (void)received_ms;
    assert_true(hash_equal(&signer->hash, &header->certificate));
    for (uint32_t i = 0; i < header->count; i++)
        assert_true(entries[i].kind != 0 && entries[i].content.size > 0);
    if (bench->applied < APPLIED_MAX) {
        bench->calls[bench->applied].first = header->first;
        bench->calls[bench->applied].position = position;
        bench->calls[bench->applied].entries = header->count;
    }
    bench->applied++;
    *reason = bench->reason;
    return bench->verdict;
}

static bool on_may_certify(void *context, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer)
{
    struct bench *bench = context;
    (void)txn;
    assert_true(hash_equal(&certificate->issuer, &issuer->hash));
    bench->certified++;
    return !bench->refuses_certificates;
}

static void on_document(void *context, struct txn *txn, const struct hash *hash, struct bytes content)
{
    struct bench *bench = context;
    (void)txn;
    struct hash made = crypto_hash(TAG_DOCUMENT, content);
    assert_true(hash_equal(&made, hash));
    bench->documents++;
}

// ---- the bench

void bench_store_certificate(struct bench *bench, const struct post *post)
{
    struct txn *txn = fixture_begin(bench->store, true);
    object_add(txn, &post->certificate.hash, OBJECT_CERTIFICATE, buffer_bytes(&post->wire));
    fixture_commit(txn);
}

void bench_open(struct bench *bench, const struct post list[POSTS], unsigned self, struct store *store)
{
    struct error error = {0};
    *bench = (struct bench){.posts = list, .self = &list[self], .store = store, .verdict = VERDICT_APPLIED};
    for (unsigned i = 0; i < POSTS && bench->self->certificate.depth > 0; i++)
        if (hash_equal(&list[i].certificate.hash, &bench->self->certificate.issuer))
            bench->parent = &list[i];
    if (!store)
        must(store_memory_create(&bench->store, &error), &error);
    struct txn *txn = fixture_begin(bench->store, true);
    journal_create(txn, &(struct journal_meta){.format = STORE_FORMAT, .station = bench->self->identity.station, .generation = 5});
    fixture_commit(txn);
    for (unsigned i = 0; i < self && self < STRANGER; i++)
        if (list[i].certificate.depth < bench->self->certificate.depth)
            bench_store_certificate(bench, &list[i]);
    bench_store_certificate(bench, bench->self);
    struct author_config config = {.self = &bench->self->certificate,
                                   .parent = bench->parent ? &bench->parent->certificate : NULL,
                                   .sign_key = &bench->self->identity.sign.secret_key,
                                   .ordinal = 1,
                                   .nonce = 77};
    must(author_create(&config, &bench->author, &error), &error);
    must(signers_create(&list[self == STRANGER ? STRANGER : PROVINCE].certificate.hash, &bench->signers, &error), &error);
    bench->receiver = (struct receiver){.place = {.self = config.self, .parent = config.parent},
                                        .signers = bench->signers,
                                        .context = bench,
                                        .apply = on_apply,
                                        .may_certify = on_may_certify,
                                        .document = on_document,
                                        .entries = calloc(BATCH_ENTRIES_MAX, sizeof(struct entry))};
    assert_non_null(bench->receiver.entries);
}

void bench_close(struct bench *bench)
{
    author_destroy(bench->author);
    signers_destroy(bench->signers);
    free(bench->receiver.entries);
    store_close(bench->store);
}

struct post posts[POSTS];

struct bench *bench_setup(void **state, unsigned self)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    posts_init(posts);
    bench_open(bench, posts, self, NULL);
    *state = bench;
    return bench;
}

int bench_teardown(void **state)
{
    bench_close(*state);
    posts_finish(posts);
    free(*state);
    return 0;
}

struct txn *bench_begin(struct bench *bench)
{
    struct txn *txn = fixture_begin(bench->store, true);
    author_context(bench->author, now_ms, NULL);
    return txn;
}

void bench_commit(struct bench *bench, struct txn *txn)
{
    author_finish(bench->author, txn, &bench->grown);
    fixture_commit(txn);
}

uint64_t bench_add(struct bench *bench, struct txn *txn, unsigned lane, unsigned audience, uint32_t reach, const char *content)
{
    return author_add(bench->author, txn, lane, audience, NULL, reach, SANJI__ENTRY_KIND__STATEMENT, now_ms, bytes_of_text(content), NULL);
}

struct batch_row bench_row(struct bench *bench, struct txn *txn, uint64_t position)
{
    struct batch_row row = {0};
    (void)bench;
    if (!journal_read(txn, position, &row))
        fail_msg("the journal has no position %llu", (unsigned long long)position);
    return row;
}

uint32_t bench_rows(struct bench *bench, unsigned stream, unsigned lane, const struct station_id *peer, struct stream_row *rows,
                    uint32_t max)
{
    struct stream of = {.stream = (uint8_t)stream, .lane = (uint8_t)lane};
    if (peer)
        of.peer = *peer;
    struct txn *txn = fixture_begin(bench->store, false);
    uint32_t count = stream_read(txn, &of, 0, rows, max);
    fixture_commit(txn);
    return count;
}

uint64_t bench_end(struct bench *bench)
{
    struct txn *txn = fixture_begin(bench->store, false);
    uint64_t end = journal_end(txn);
    fixture_commit(txn);
    return end;
}

uint64_t bench_count(struct bench *bench, enum table table)
{
    struct txn *txn = fixture_begin(bench->store, false);
    uint64_t count = txn_count(txn, table);
    fixture_commit(txn);
    return count;
}

bool bench_feed(struct bench *bench, const struct feed_key *feed, struct feed_state *ret)
{
    uint32_t id;
    struct txn *txn = fixture_begin(bench->store, false);
    bool found = feed_find(txn, feed, &id, ret);
    fixture_commit(txn);
    return found;
}

// ---- pens

void pen_init(struct pen *pen, const struct post *post, unsigned lane, unsigned audience, const struct station_id *addressee)
{
    *pen = (struct pen){
        .post = post,
        .feed = {.station = post->identity.station, .ordinal = 1, .nonce = 99, .lane = (uint8_t)lane, .audience = (uint8_t)audience},
        .reach = REACH_TOP};
    if (addressee)
        pen->feed.addressee = *addressee;
    feed_state_init(&pen->state);
}

void pen_sign(struct pen *pen, uint32_t entries, const char *content, const struct post *peer, unsigned stream, struct arrival *ret)
{
    struct error error = {0};
    struct batch_draft draft = {0};
    struct header header;
    uint8_t signature[SIGNATURE_SIZE];
    struct arrival arrival = {.peer = peer->identity.station,
                              .stream = stream,
                              .lane = pen->feed.lane,
                              .generation = 1,
                              .position = pen->state.next,
                              .received_ms = now_ms};
    must(batch_draft_init(&draft, &pen->feed, pen->reach, &error), &error);
    for (uint32_t i = 0; i < entries; i++)
        must(batch_draft_add(&draft, SANJI__ENTRY_KIND__STATEMENT, now_ms, bytes_of_text(content), NULL, &error), &error);
    must(batch_draft_sign(&draft, &pen->state, &pen->post->certificate, &pen->post->identity.sign.secret_key, now_ms, NULL, NULL, 0,
                          &arrival.header, &header, signature, &error),
         &error);
    buffer_append(&arrival.signature, signature, sizeof signature);
    buffer_append(&arrival.body, draft.body.data, draft.body.size);
    batch_draft_finish(&draft);
    struct feed_claim claim = {.first = header.first, .count = header.count, .header = header.hash, .prev = header.prev};
    feed_extend(&pen->state, &claim, true, true);
    *ret = arrival;
}

static void append(struct buffer *to, const struct buffer *from) { buffer_append(to, from->data, from->size); }

void arrival_copy(const struct arrival *from, bool with_body, struct arrival *ret)
{
    struct arrival copy = *from;
    copy.checked = false;
    copy.header = copy.signature = copy.body = (struct buffer){0};
    append(&copy.header, &from->header);
    append(&copy.signature, &from->signature);
    if (with_body)
        append(&copy.body, &from->body);
    *ret = copy;
}

void object_arrives(const struct hash *name, struct bytes content, const struct post *peer, unsigned stream, unsigned lane,
                    struct arrival *ret)
{
    *ret = (struct arrival){.peer = peer->identity.station,
                            .stream = stream,
                            .lane = lane,
                            .generation = 1,
                            .position = 1,
                            .is_object = true,
                            .object = *name,
                            .received_ms = now_ms};
    buffer_append(&ret->body, content.data, content.size);
}

enum received bench_receive(struct bench *bench, struct arrival *arrival)
{
    struct txn *txn = bench_begin(bench);
    enum received received = receive(&bench->receiver, txn, arrival, &bench->grown);
    bench_commit(bench, txn);
    arrival_finish(arrival);
    return received;
}

enum received bench_take(struct bench *bench, struct pen *pen, uint32_t entries, const char *content, const struct post *peer,
                         unsigned stream)
{
    struct arrival arrival;
    pen_sign(pen, entries, content, peer, stream, &arrival);
    return bench_receive(bench, &arrival);
}
