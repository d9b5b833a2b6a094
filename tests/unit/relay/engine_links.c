#include "relay/engine_links.h"

#include "tests/unit/relay/station_fixture.h"

enum { UP = SANJI__AUDIENCE__UP, SUBTREE = SANJI__AUDIENCE__SUBTREE, STATION = SANJI__AUDIENCE__STATION };
enum { CASE = SANJI__LANE__CASE, CONTROL = SANJI__LANE__CONTROL };
enum { STREAM_UP = SANJI__STREAM__STREAM_UP, STREAM_ALL = SANJI__STREAM__STREAM_DOWN_ALL, STREAM_ONE = SANJI__STREAM__STREAM_DOWN_ONE };
enum { LINKS_MAX = 4, GENERATION = 5 };

static const unsigned up = CASE - 1; // the channel of the case lane upward

struct book {
    struct bench bench; // the township's
    struct links links;
    struct slot *parent, *child;
};

static int setup(void **state)
{
    struct book *book = calloc(1, sizeof *book);
    uint32_t link;
    posts_init(posts);
    bench_open(&book->bench, posts, TOWNSHIP, NULL);
    bench_store_certificate(&book->bench, &posts[VILLAGE]);
    assert_true(links_init(&book->links, LINKS_MAX));
    links_set_parent(&book->links, &posts[COUNTY].certificate);
    struct peer peer = {.station = posts[VILLAGE].identity.station,
                        .transport_key = posts[VILLAGE].identity.transport.public_key,
                        .certificate = posts[VILLAGE].certificate.hash};
    assert_true(links_add_child(&book->links, &peer, &link));
    book->parent = &book->links.slots[0];
    book->child = &book->links.slots[link];
    *state = book;
    return 0;
}

static int teardown(void **state)
{
    struct book *book = *state;
    links_finish(&book->links);
    bench_close(&book->bench);
    posts_finish(posts);
    free(book);
    return 0;
}

#define LINKS_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

// ---- who is there

static void stations_are_found_by_key_and_by_id(void **state)
{
    struct book *book = *state;
    uint32_t link = 99;
    assert_true(links_find(&book->links, &posts[COUNTY].identity.transport.public_key, &link) && link == 0);
    assert_true(links_find(&book->links, &posts[VILLAGE].identity.transport.public_key, &link) && link == 1);
    assert_true(links_find_station(&book->links, &posts[VILLAGE].identity.station, &link) && link == 1);
    assert_true(links_find_station(&book->links, &posts[COUNTY].identity.station, &link) && link == 0);
    link = 99;
    assert_false(links_find(&book->links, &posts[STRANGER].identity.transport.public_key, &link));
    assert_false(links_find_station(&book->links, &posts[STRANGER].identity.station, &link));
    struct peer peer = {.station = a_station(1), .transport_key = posts[VILLAGE].identity.transport.public_key};
    assert_false(links_add_child(&book->links, &peer, &link)); // whose key is there
    assert_int_equal(link, 99);
    assert_true(book->parent->parent && !book->child->parent);
}

static void there_is_room_for_so_many(void **state)
{
    (void)state;
    enum { MAX = 300 };
    struct links links = {0};
    uint32_t link;
    struct peer peer = {.station = a_station(1)};
    assert_true(links_init(&links, MAX));
    for (uint32_t i = 1; i < MAX; i++) {
        memset(peer.transport_key.bytes, (int)(i % 8), 8); // many begin alike
        put_be32(peer.transport_key.bytes + 8, i);
        assert_true(links_add_child(&links, &peer, &link) && link == i);
    }
    for (uint32_t i = 1; i < MAX; i++) {
        memset(peer.transport_key.bytes, (int)(i % 8), 8);
        put_be32(peer.transport_key.bytes + 8, i);
        assert_true(links_find(&links, &peer.transport_key, &link) && link == i);
    }
    put_be32(peer.transport_key.bytes + 8, MAX);
    assert_false(links_find(&links, &peer.transport_key, &link));
    assert_false(links_add_child(&links, &peer, &link));
    links_finish(&links);
    links_finish(&links);
}

static void a_station_without_children(void **state)
{
    (void)state;
    struct links links = {0};
    uint32_t link;
    struct peer peer = {.station = a_station(1), .transport_key = {{1}}};
    assert_true(links_init(&links, 1));
    links_set_parent(&links, &posts[COUNTY].certificate);
    assert_true(links_find(&links, &posts[COUNTY].identity.transport.public_key, &link) && link == 0);
    assert_false(links_add_child(&links, &peer, &link));
    links_finish(&links);
}

// ---- assembly

static struct core_piece piece_of(uint32_t size, uint32_t offset, uint32_t length)
{
    return (struct core_piece){
        .channel = up, .generation = 1, .after = 3, .position = 4, .size = size, .offset = offset, .length = length, .name = a_hash(6)};
}

static bool assemble(struct book *book, const struct core_piece *piece, bool is_object, const uint8_t *body)
{
    bool first = piece->offset == 0;
    return links_assemble(book->child, up, piece, is_object, bytes_of_text(first ? "header" : ""), bytes_of_text(first ? "signature" : ""),
                          bytes_of(body + piece->offset, piece->length));
}

static void pieces_become_a_row(void **state)
{
    struct book *book = *state;
    uint8_t body[100];
    for (unsigned i = 0; i < sizeof body; i++)
        body[i] = (uint8_t)i;
    assert_null(links_assembled(book->child, 1, up, 7)); // nothing yet
    for (uint32_t at = 0; at < 100; at += 25) {
        struct core_piece piece = piece_of(100, at, 25);
        assert_true(assemble(book, &piece, false, body));
    }
    book->child->peer_session = 44;
    struct arrival_job *job = links_assembled(book->child, 1, up, 7);
    assert_non_null(job);
    const struct arrival *arrival = &job->arrival;
    assert_true(bytes_equal(buffer_bytes(&arrival->body), bytes_of(body, sizeof body)));
    assert_true(bytes_equal(buffer_bytes(&arrival->header), bytes_of_text("header")));
    assert_true(bytes_equal(buffer_bytes(&arrival->signature), bytes_of_text("signature")));
    assert_true(station_equal(&arrival->peer, &posts[VILLAGE].identity.station) && arrival->stream == STREAM_UP && arrival->lane == CASE);
    assert_true(arrival->generation == 1 && arrival->position == 4 && arrival->received_ms == 7 && !arrival->is_object &&
                !arrival->checked);
    assert_true(job->link == 1 && job->channel == up && job->session == 44 && job->after == 3);
    arrival_finish(&job->arrival);
    free(job);
    assert_null(book->child->assembly[up]);
}

static void a_row_without_body_and_an_object(void **state)
{
    struct book *book = *state;
    struct core_piece piece = piece_of(0, 0, 0);
    assert_true(assemble(book, &piece, false, (const uint8_t *)""));
    struct arrival_job *job = links_assembled(book->child, 1, up, 7);
    assert_true(job && job->arrival.body.size == 0 && job->arrival.header.size == 6);
    arrival_finish(&job->arrival);
    free(job);
    piece = piece_of(3, 0, 3);
    assert_true(assemble(book, &piece, true, (const uint8_t *)"abc"));
    job = links_assembled(book->child, 1, up, 7);
    assert_true(job && job->arrival.is_object && hash_equal(&job->arrival.object, &piece.name));
    arrival_finish(&job->arrival);
    free(job);
}

static void what_does_not_fit_is_refused(void **state)
{
    struct book *book = *state;
    static const uint8_t body[200];
    struct core_piece piece = piece_of(100, 25, 25);
    assert_false(assemble(book, &piece, false, body)); // goes on from nothing
    piece = piece_of(100, 0, 25);
    assert_true(assemble(book, &piece, false, body));
    piece = piece_of(100, 50, 25);
    assert_false(assemble(book, &piece, false, body)); // leaves a hole
    piece = piece_of(101, 25, 25);
    assert_false(assemble(book, &piece, false, body)); // of another size
    piece = piece_of(100, 25, 76);
    assert_false(assemble(book, &piece, false, body)); // over the end
    piece = piece_of(100, 25, 25);
    piece.position = 5;
    assert_false(assemble(book, &piece, false, body)); // of another row
    piece.position = 4;
    assert_true(assemble(book, &piece, false, body));
    piece = piece_of(60, 0, 25); // another row begins: the old one is forgotten
    assert_true(assemble(book, &piece, false, body));
    assert_int_equal(book->child->assembly[up]->body.size, 25);
    links_discard(book->child, up);
    assert_null(book->child->assembly[up]);
    links_discard(book->child, up);
}

// ---- parts on disk

static void marks(struct book *book, struct slot *slot, struct core_mark *ret, uint64_t *ends, struct core_staged *staged)
{
    struct txn *txn = fixture_begin(book->bench.store, false);
    links_marks(slot, txn, ret, ends, staged);
    fixture_commit(txn);
}

static void a_staged_part_goes_on(void **state)
{
    struct book *book = *state;
    struct core_mark held[CORE_CHANNELS];
    struct core_staged staged[CORE_CHANNELS];
    uint64_t ends[CORE_CHANNELS];
    static const uint8_t body[] = "0123456789";
    struct core_piece piece = piece_of(10, 0, 6);
    assert_true(assemble(book, &piece, false, body));
    struct arrival_job *part = links_part_copy(book->child->assembly[up]);
    assert_true(part && part->arrival.body.size == 6 && part->arrival.position == 4);
    links_session_over(&book->links, book->child);
    assert_non_null(book->child->assembly[up]); // the next session of this run goes on with it
    // The process ends and begins anew.
    struct txn *txn = fixture_begin(book->bench.store, true);
    struct staged row = {.position = 4,
                         .header = piece.name,
                         .size = 10,
                         .part = buffer_bytes(&part->arrival.body),
                         .head = buffer_bytes(&part->arrival.header),
                         .signature = buffer_bytes(&part->arrival.signature)};
    staged_write(txn, &posts[VILLAGE].identity.station, STREAM_UP, CASE, &row);
    mark_write(txn, &posts[VILLAGE].identity.station, true, STREAM_UP, CASE, &(struct mark){.generation = 9, .headers = 3, .bodies = 2});
    fixture_commit(txn);
    arrival_finish(&part->arrival);
    free(part);
    links_discard(book->child, up);
    marks(book, book->child, held, ends, staged);
    assert_true(held[up].generation == 9 && held[up].headers == 3 && held[up].bodies == 2);
    assert_true(staged[up].position == 4 && staged[up].offset == 6 && staged[up].size == 10 && hash_equal(&staged[up].header, &piece.name));
    assert_true(book->child->staged[up]);
    for (unsigned i = 0; i < CORE_CHANNELS; i++)
        assert_true(i == up || (staged[i].position == 0 && held[i].generation == 0));
    piece = piece_of(10, 6, 4); // without header and signature: they were kept
    piece.generation = 9;
    assert_true(assemble(book, &piece, false, body));
    struct arrival_job *job = links_assembled(book->child, 1, up, 7);
    assert_true(job && bytes_equal(buffer_bytes(&job->arrival.body), bytes_of(body, 10)) && job->arrival.generation == 9);
    assert_true(bytes_equal(buffer_bytes(&job->arrival.header), bytes_of_text("header")));
    assert_true(bytes_equal(buffer_bytes(&job->arrival.signature), bytes_of_text("signature")));
    arrival_finish(&job->arrival);
    free(job);
}

static void a_part_that_can_not_be_one_is_left(void **state)
{
    struct book *book = *state;
    struct core_mark held[CORE_CHANNELS];
    struct core_staged staged[CORE_CHANNELS];
    uint64_t ends[CORE_CHANNELS];
    static const char *const parts[] = {"", "0123456789", "0123456789+"}; // nothing, all of it, and more
    for (unsigned i = 0; i < 3; i++) {
        struct txn *txn = fixture_begin(book->bench.store, true);
        struct staged row = {.position = 4, .size = 10, .part = bytes_of_text(parts[i]), .head = bytes_of_text("header")};
        staged_write(txn, &posts[VILLAGE].identity.station, STREAM_UP, CASE, &row);
        fixture_commit(txn);
        marks(book, book->child, held, ends, staged);
        assert_int_equal(staged[up].position, 0);
        assert_null(book->child->assembly[up]);
    }
}

static void ends_are_of_our_streams(void **state)
{
    struct book *book = *state;
    struct core_mark held[CORE_CHANNELS];
    struct core_staged staged[CORE_CHANNELS];
    uint64_t ends[CORE_CHANNELS];
    const struct station_id *village = &posts[VILLAGE].identity.station;
    struct txn *txn = bench_begin(&book->bench);
    route_learn(txn, village, village, NULL);
    bench_add(&book->bench, txn, CASE, UP, REACH_TOP, "up");
    bench_add(&book->bench, txn, CONTROL, SUBTREE, REACH_TOP, "down");
    author_add(book->bench.author, txn, CASE, STATION, village, 1, SANJI__ENTRY_KIND__RECEIPT, 1, bytes_of_text("to one"), NULL);
    bench_commit(&book->bench, txn);
    marks(book, book->parent, held, ends, staged);
    for (unsigned i = 0; i < CORE_CHANNELS; i++)
        assert_int_equal(ends[i], i == up ? 2 : 0);
    marks(book, book->child, held, ends, staged);
    for (unsigned i = 0; i < CORE_CHANNELS; i++) {
        bool down = i == core_channel(STREAM_ALL, CONTROL) || i == core_channel(STREAM_ONE, CASE);
        assert_int_equal(ends[i], down ? 4 : 0); // three certificates and a batch
        txn = fixture_begin(book->bench.store, false);
        assert_int_equal(links_end(book->child, txn, i), ends[i]);
        fixture_commit(txn);
    }
}

// ---- sending

static void write_batches(struct book *book, unsigned count, const char *content)
{
    for (unsigned i = 0; i < count; i++) {
        struct txn *txn = bench_begin(&book->bench);
        bench_add(&book->bench, txn, CASE, UP, REACH_TOP, content);
        bench_commit(&book->bench, txn);
    }
}

struct loaded {
    struct core_row rows[CORE_ROWS_MAX];
    uint32_t count;
    uint64_t scanned;
    bool more;
    struct load_damage damage;
};

static struct loaded load(struct book *book, uint64_t after, uint32_t max, bool skip)
{
    struct loaded loaded = {0};
    struct txn *txn = fixture_begin(book->bench.store, false);
    loaded.count = links_load(book->parent, txn, up, after, max, skip, loaded.rows, &loaded.scanned, &loaded.more, &loaded.damage);
    txn_abort(txn);
    return loaded;
}

static void rows_are_loaded_in_order(void **state)
{
    struct book *book = *state;
    write_batches(book, 9, "case"); // and the certificate before them
    struct loaded some = load(book, 0, 4, false);
    assert_true(some.count == 4 && some.scanned == 4 && some.more);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(some.rows[i].position, i + 1);
    struct outgoing_row *row = links_outgoing_find(book->parent, up, 1);
    assert_true(row && row->is_object && hash_equal(&row->object, &posts[TOWNSHIP].certificate.hash));
    assert_true(bytes_equal(buffer_bytes(&row->content), buffer_bytes(&posts[TOWNSHIP].wire)));
    assert_true(some.rows[0].size == row->content.size && some.rows[0].overhead == HASH_SIZE);
    row = links_outgoing_find(book->parent, up, 2);
    assert_true(row && !row->is_object && !row->bodiless && row->header.size > 0 && row->content.size == some.rows[1].size);
    assert_int_equal(some.rows[1].overhead, row->header.size + SIGNATURE_SIZE);
    struct header header;
    assert_int_equal(header_decode(buffer_bytes(&row->header), &header, NULL), OK);
    assert_int_equal(header_check_signature(buffer_bytes(&row->header), bytes_of(row->signature, SIGNATURE_SIZE),
                                            &posts[TOWNSHIP].certificate, &header, NULL),
                     OK);
    assert_null(links_outgoing_find(book->parent, up, 1)); // dropped on the way
    struct loaded rest = load(book, 4, CORE_ROWS_MAX, false);
    assert_true(rest.count == 6 && rest.scanned == 10 && rest.rows[5].position == 10);
    for (uint64_t i = 2; i <= 10; i++) {
        assert_non_null(links_outgoing_find(book->parent, up, i));
        links_outgoing_sent(book->parent, up, i);
    }
    assert_null(book->parent->outgoing[up]); // nothing is kept of what has gone
    rest = load(book, 10, CORE_ROWS_MAX, false);
    assert_true(rest.count == 0 && rest.scanned == 10 && !rest.more);
}

static void a_channel_that_starts_again_loads_again(void **state)
{
    struct book *book = *state;
    write_batches(book, 5, "case");
    assert_int_equal(load(book, 0, CORE_ROWS_MAX, false).count, 6);
    struct loaded again = load(book, 2, CORE_ROWS_MAX, false);
    assert_true(again.count == 4 && again.rows[0].position == 3);
    assert_null(links_outgoing_find(book->parent, up, 2));
    assert_non_null(links_outgoing_find(book->parent, up, 3));
}

static void a_load_is_bounded(void **state)
{
    struct book *book = *state;
    char *content = malloc(100 * 1024 + 1);
    memset(content, 'x', 100 * 1024);
    content[100 * 1024] = 0;
    write_batches(book, 12, content);
    free(content);
    struct loaded loaded = load(book, 0, CORE_ROWS_MAX, false);
    assert_true(loaded.count == 7 && loaded.more); // the certificate and six of 100 KiB: over 512 KiB with the last
    write_batches(book, 60, "case");
    loaded = load(book, 13, CORE_ROWS_MAX, false);
    assert_true(loaded.count <= CORE_ROWS_MAX && loaded.scanned == 13 + loaded.count);
}

static void a_body_that_may_not_travel_stays(void **state)
{
    struct book *book = *state;
    struct txn *txn = bench_begin(&book->bench);
    bench_add(&book->bench, txn, CASE, UP, 0, "not for the county");
    bench_commit(&book->bench, txn);
    struct loaded loaded = load(book, 0, CORE_ROWS_MAX, false);
    assert_true(loaded.count == 2 && loaded.rows[1].size == 0);
    struct outgoing_row *row = links_outgoing_find(book->parent, up, 2);
    assert_true(row && row->bodiless && row->content.size == 0 && row->header.size > 0);
}

// ---- repair: leaving out what the peer has

static struct head head_of(struct book *book, const struct feed_key *feed)
{
    struct feed_state state;
    assert_true(bench_feed(&book->bench, feed, &state));
    return (struct head){.feed = *feed, .next = state.next, .last = state.last, .bodies = state.bodies};
}

static struct feed_key own_feed(void)
{
    return (struct feed_key){.station = posts[TOWNSHIP].identity.station, .ordinal = 1, .nonce = 77, .lane = CASE, .audience = UP};
}

static void what_the_peer_holds_is_left_out(void **state)
{
    struct book *book = *state;
    struct feed_key feed = own_feed(), unknown = a_feed(3);
    write_batches(book, 3, "case");
    struct head heads[] = {head_of(book, &feed), {.feed = unknown, .next = 99, .bodies = 99}};
    write_batches(book, 3, "case");
    heads[0].bodies = 3;                                                           // of the third it has the header alone
    assert_false(links_known_add(&book->links, book->parent, up, heads, 2, true)); // nobody asked
    links_known_ask(&book->links, book->parent, up);
    assert_true(links_known_add(&book->links, book->parent, up, &heads[1], 1, false));
    assert_true(links_known_add(&book->links, book->parent, up, &heads[0], 1, true));
    assert_false(links_known_add(&book->links, book->parent, up, heads, 2, true)); // it has said all
    assert_int_equal(book->links.known_count, 2);
    struct loaded loaded = load(book, 0, CORE_ROWS_MAX, true);
    assert_int_equal(loaded.count, 5); // the certificate, the third's body, 4 to 6
    static const uint64_t positions[] = {1, 4, 5, 6, 7};
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(loaded.rows[i].position, positions[i]);
    heads[0] = head_of(book, &feed);
    heads[0].last.bytes[0] ^= 1; // of another history: it keeps ours as evidence, though nobody disputed the feed before
    links_known_ask(&book->links, book->parent, up);
    assert_true(links_known_add(&book->links, book->parent, up, heads, 1, true));
    assert_int_equal(load(book, 1, CORE_ROWS_MAX, true).count, 6);
    heads[0].last.bytes[0] ^= 1;
    links_known_ask(&book->links, book->parent, up);
    assert_true(links_known_add(&book->links, book->parent, up, heads, 1, true));
    loaded = load(book, 1, CORE_ROWS_MAX, true);
    assert_true(loaded.count == 0 && loaded.scanned == 7); // looked at, and left out
    loaded = load(book, 6, CORE_ROWS_MAX, false);
    assert_int_equal(loaded.count, 1); // the last all the same, when the core says so
    links_session_over(&book->links, book->parent);
    assert_int_equal(book->links.known_count, 0);
    assert_false(links_known_add(&book->links, book->parent, up, heads, 1, true));
    assert_int_equal(load(book, 0, CORE_ROWS_MAX, true).count, 7); // without heads nothing is left out
    links_known_ask(&book->links, book->parent, up);
    assert_true(links_known_add(&book->links, book->parent, up, NULL, 0, true));
    assert_int_equal(load(book, 0, CORE_ROWS_MAX, true).count, 7); // nor when it said that it holds nothing
}

static void a_header_that_stays_bodiless_is_held_as_header(void **state)
{
    struct book *book = *state;
    struct feed_key feed = own_feed();
    struct txn *txn = bench_begin(&book->bench);
    bench_add(&book->bench, txn, CASE, UP, 0, "not for the county");
    bench_commit(&book->bench, txn);
    struct head head = head_of(book, &feed);
    head.bodies = 1;
    links_known_ask(&book->links, book->parent, up);
    assert_true(links_known_add(&book->links, book->parent, up, &head, 1, true));
    assert_int_equal(load(book, 1, CORE_ROWS_MAX, true).count, 0);
}

static void fault_44_heads_are_bounded(void **state)
{
    struct book *book = *state;
    enum { ALL = 1 << 20 };
    static struct head heads[HEADS_PAGE_MAX];
    for (uint32_t i = 0; i < HEADS_PAGE_MAX; i++)
        heads[i] = (struct head){.feed = a_feed((uint8_t)i), .next = 2, .bodies = 2};
    links_known_ask(&book->links, book->parent, up);
    links_known_ask(&book->links, book->child, core_channel(STREAM_ALL, CASE));
    for (uint32_t i = 0; i < ALL / HEADS_PAGE_MAX; i++)
        assert_true(links_known_add(&book->links, book->parent, up, heads, HEADS_PAGE_MAX, false));
    assert_int_equal(book->links.known_count, ALL);
    assert_true(
        links_known_add(&book->links, book->child, core_channel(STREAM_ALL, CASE), heads, HEADS_PAGE_MAX, false)); // no room, no harm
    assert_int_equal(book->links.known_count, ALL);
    links_known_clear(&book->links, book->parent, up);
    assert_int_equal(book->links.known_count, 0);
}

static void our_heads_of_a_channel(void **state)
{
    struct book *book = *state;
    struct head heads[HEADS_PAGE_MAX];
    struct pen pen;
    uint32_t id = 1;
    bool last;
    for (unsigned lane = 1; lane <= LANES; lane++) {
        pen_init(&pen, &posts[VILLAGE], lane, UP, NULL);
        assert_int_equal(bench_take(&book->bench, &pen, lane, "case", &posts[VILLAGE], STREAM_UP), RECEIVED);
    }
    pen_init(&pen, &posts[COUNTY], CASE, SUBTREE, NULL);
    assert_int_equal(bench_take(&book->bench, &pen, 1, "from above", &posts[COUNTY], STREAM_ALL), RECEIVED);
    pen_init(&pen, &posts[COUNTY], CASE, STATION, &posts[TOWNSHIP].identity.station);
    assert_int_equal(bench_take(&book->bench, &pen, 1, "from above", &posts[COUNTY], STREAM_ONE), RECEIVED);
    struct txn *txn = fixture_begin(book->bench.store, false);
    assert_int_equal(links_heads(txn, up, &id, heads, HEADS_PAGE_MAX, &last), 1);
    assert_true(last && heads[0].feed.lane == CASE && heads[0].next == CASE + 1 && heads[0].bodies == CASE + 1);
    id = 1;
    assert_int_equal(links_heads(txn, core_channel(STREAM_ALL, CASE), &id, heads, HEADS_PAGE_MAX, &last), 2); // of either down stream
    id = 1;
    assert_int_equal(links_heads(txn, core_channel(STREAM_ALL, CASE), &id, heads, 1, &last), 1); // page by page
    assert_false(last);
    assert_int_equal(links_heads(txn, core_channel(STREAM_ALL, CASE), &id, heads, 1, &last), 1);
    assert_int_equal(heads[0].feed.audience, STATION);
    assert_int_equal(links_heads(txn, core_channel(STREAM_ALL, CASE), &id, heads, 1, &last), 0);
    assert_true(last);
    fixture_commit(txn);
}

// ---- damage

// Turns a bit of the journal's row at `position`.
static void damage_batch(struct book *book, uint64_t position)
{
    static uint8_t value[4096];
    uint8_t key[8];
    struct bytes held;
    put_be64(key, position);
    struct txn *txn = fixture_begin(book->bench.store, true);
    assert_true(txn_get(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &held) && held.size <= sizeof value);
    memcpy(value, held.data, held.size);
    value[held.size / 2] ^= 1;
    txn_put(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), bytes_of(value, held.size));
    fixture_commit(txn);
}

static void enter_batch(struct book *book, uint64_t position)
{
    struct txn *txn = fixture_begin(book->bench.store, true);
    assert_true(quarantine_batch(txn, position, true, 1));
    fixture_commit(txn);
}

// It ends the load until it is in quarantine; then it is passed, and what follows it in its feed waits.
static void fault_10_a_damaged_row_is_passed(void **state)
{
    struct book *book = *state;
    write_batches(book, 5, "case");
    struct txn *txn = bench_begin(&book->bench);
    author_add(book->bench.author, txn, CASE, SUBTREE, NULL, REACH_TOP, SANJI__ENTRY_KIND__STATEMENT, 1, bytes_of_text("other"), NULL);
    bench_commit(&book->bench, txn);
    damage_batch(book, 3); // in the stream it stands at 4
    struct loaded loaded = load(book, 0, CORE_ROWS_MAX, false);
    assert_true(loaded.count == 2 + 1 && loaded.scanned == 3 && loaded.more); // those before it
    assert_true(loaded.damage.found && !loaded.damage.is_object && loaded.damage.position == 3);
    loaded = load(book, 3, CORE_ROWS_MAX, false);
    assert_true(loaded.count == 0 && loaded.scanned == 3 && loaded.more && loaded.damage.found);
    enter_batch(book, 3);
    loaded = load(book, 3, CORE_ROWS_MAX, false);
    assert_true(loaded.count == 0 && loaded.scanned == 6 && !loaded.more && !loaded.damage.found);
}

static void fault_10_an_object_that_is_gone_is_passed(void **state)
{
    struct book *book = *state;
    struct stream stream = {.stream = STREAM_UP, .lane = CASE};
    struct hash nothing = a_hash(8);
    struct txn *txn = fixture_begin(book->bench.store, true);
    stream_carry(txn, &stream, &nothing);
    fixture_commit(txn);
    write_batches(book, 1, "case");
    struct loaded loaded = load(book, 0, CORE_ROWS_MAX, false);
    assert_true(loaded.count == 0 && loaded.scanned == 0 && loaded.damage.is_object && hash_equal(&loaded.damage.object, &nothing));
    txn = fixture_begin(book->bench.store, true);
    assert_true(quarantine_object(txn, &nothing, 1));
    fixture_commit(txn);
    loaded = load(book, 0, CORE_ROWS_MAX, false);
    assert_true(loaded.count == 2 && loaded.rows[0].position == 2 && loaded.scanned == 3 && !loaded.damage.found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINKS_TEST(stations_are_found_by_key_and_by_id),
        LINKS_TEST(there_is_room_for_so_many),
        LINKS_TEST(a_station_without_children),
        LINKS_TEST(pieces_become_a_row),
        LINKS_TEST(a_row_without_body_and_an_object),
        LINKS_TEST(what_does_not_fit_is_refused),
        LINKS_TEST(a_staged_part_goes_on),
        LINKS_TEST(a_part_that_can_not_be_one_is_left),
        LINKS_TEST(ends_are_of_our_streams),
        LINKS_TEST(rows_are_loaded_in_order),
        LINKS_TEST(a_channel_that_starts_again_loads_again),
        LINKS_TEST(a_load_is_bounded),
        LINKS_TEST(a_body_that_may_not_travel_stays),
        LINKS_TEST(what_the_peer_holds_is_left_out),
        LINKS_TEST(a_header_that_stays_bodiless_is_held_as_header),
        LINKS_TEST(fault_44_heads_are_bounded),
        LINKS_TEST(our_heads_of_a_channel),
        LINKS_TEST(fault_10_a_damaged_row_is_passed),
        LINKS_TEST(fault_10_an_object_that_is_gone_is_passed),
    };
    return cmocka_run_group_tests_name("relay/engine_links", tests, NULL, NULL);
}
