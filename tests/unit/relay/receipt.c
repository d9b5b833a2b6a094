// Receipts: given once by each tier that holds an urgent batch, taken only from above, and only for what was signed.
#include "relay/receipt.h"

#include "relay/codec.h"
#include "tests/must.h"
#include "tests/unit/relay/station_fixture.h"

enum { UP = SANJI__AUDIENCE__UP, STATION = SANJI__AUDIENCE__STATION, URGENT = SANJI__LANE__URGENT, CASE = SANJI__LANE__CASE };
enum { STREAM_UP = SANJI__STREAM__STREAM_UP, STREAM_ONE = SANJI__STREAM__STREAM_DOWN_ONE };
enum { WITHIN_MS = 7200000 };
static const uint64_t now_ms = UINT64_C(1718409600000); // 2024-06-15T00:00Z, the fixture's

static const struct post *const county = &posts[COUNTY], *const township = &posts[TOWNSHIP], *const village = &posts[VILLAGE];

struct three {
    struct bench village, township, county;
};

static enum verdict take(void *context, struct txn *txn, const struct header *header, const struct certificate *signer,
                         const struct entry *entries, uint64_t position, uint64_t received_ms, const char **reason)
{
    struct bench *bench = context;
    (void)received_ms;
    enum verdict verdict = VERDICT_HELD;
    for (uint32_t i = 0; i < header->count; i++)
        if (entries[i].kind == SANJI__ENTRY_KIND__RECEIPT)
            verdict = receipt_take(txn, &bench->self->certificate, header, signer, &entries[i], position, now_ms, reason);
    return verdict;
}

static void open_bench(struct bench *bench, unsigned self)
{
    bench_open(bench, posts, self, NULL);
    bench->receiver.apply = take;
    bench->receiver.author = bench->author;
    for (unsigned i = COUNTY; i <= OTHER_VILLAGE; i++)
        bench_store_certificate(bench, &posts[i]);
}

static int setup(void **state)
{
    struct three *three = calloc(1, sizeof *three);
    posts_init(posts);
    open_bench(&three->village, VILLAGE);
    open_bench(&three->township, TOWNSHIP);
    open_bench(&three->county, COUNTY);
    *state = three;
    return 0;
}

static int teardown(void **state)
{
    struct three *three = *state;
    bench_close(&three->village);
    bench_close(&three->township);
    bench_close(&three->county);
    posts_finish(posts);
    free(three);
    return 0;
}

// The village signs an urgent batch that may go `reach` tiers up and waits for the station at depth `decider`.
static struct urgent_batch sign(struct bench *bench, uint32_t reach, uint32_t decider)
{
    struct author_batch signed_batch = {0};
    struct txn *txn = bench_begin(bench);
    bench_add(bench, txn, URGENT, UP, reach, "a child is hurt");
    assert_true(author_close(bench->author, txn, URGENT, UP, NULL, &signed_batch));
    assert_false(author_close(bench->author, txn, URGENT, UP, NULL, &signed_batch));
    struct urgent_batch batch = {.feed = signed_batch.feed,
                                 .first = signed_batch.first,
                                 .signed_ms = now_ms,
                                 .within_ms = WITHIN_MS,
                                 .decider = decider,
                                 .reach = reach,
                                 .record = {7},
                                 .what = "report"};
    urgent_write(txn, &batch);
    bench_commit(bench, txn);
    return batch;
}

// What the journal of `from` has at `position` arrives at `to`. `bodiless`: its header alone.
static enum received carry(struct bench *from, uint64_t position, struct bench *to, unsigned stream, bool bodiless)
{
    struct arrival arrival = {.peer = from->self->identity.station,
                              .stream = stream,
                              .lane = URGENT,
                              .generation = 1,
                              .position = position,
                              .received_ms = now_ms};
    struct txn *txn = fixture_begin(from->store, false);
    struct batch_row row = bench_row(from, txn, position);
    buffer_append(&arrival.header, row.header.data, row.header.size);
    buffer_append(&arrival.signature, row.signature.data, row.signature.size);
    if (!bodiless)
        buffer_append(&arrival.body, row.body.data, row.body.size);
    fixture_commit(txn);
    return bench_receive(to, &arrival);
}

static struct urgent_batch known(struct bench *bench, const struct urgent_batch *of)
{
    struct urgent_batch batch = {0};
    struct txn *txn = fixture_begin(bench->store, false);
    assert_true(urgent_read(txn, of->feed, of->first, &batch));
    fixture_commit(txn);
    return batch;
}

static int64_t due_in(struct bench *bench, uint64_t at_ms, uint32_t tiers_up)
{
    struct txn *txn = fixture_begin(bench->store, false);
    int64_t due = urgent_due_in(txn, at_ms, tiers_up);
    fixture_commit(txn);
    return due;
}

static uint32_t forged(struct bench *bench)
{
    struct alarm alarms[8];
    struct txn *txn = fixture_begin(bench->store, false);
    uint32_t count = alarm_last(txn, alarms, 8);
    for (uint32_t i = 0; i < count; i++)
        assert_string_equal(alarms[i].kind, "receipt-forged");
    fixture_commit(txn);
    return count;
}

// ---- the way of a receipt

static void each_tier_receipts_once_and_the_deciding_one_ends_the_waiting(void **state)
{
    struct three *three = *state;
    struct stream_row rows[8];
    struct urgent_batch batch = sign(&three->village, 2, county->certificate.depth);
    assert_int_equal(due_in(&three->village, now_ms, 2), WITHIN_MS);
    for (unsigned i = 0; i < 3; i++) // once, whatever repeats
        assert_int_equal(carry(&three->village, 1, &three->township, STREAM_UP, false), RECEIVED);
    assert_int_equal(bench_end(&three->township), 2);
    // on its way down: the township's certificate and those above it, then the batch
    uint32_t count = bench_rows(&three->township, STREAM_ONE, URGENT, &village->identity.station, rows, 8);
    assert_true(count > 1 && !rows[count - 1].is_object && rows[count - 1].batch == 2);
    assert_int_equal(carry(&three->township, 2, &three->village, STREAM_ONE, false), RECEIVED);
    assert_false(known(&three->village, &batch).decided);
    assert_int_equal(due_in(&three->village, now_ms, 2), WITHIN_MS);
    // the county gets it from the township, and its receipt comes back that way
    assert_int_equal(carry(&three->township, 1, &three->county, STREAM_UP, false), RECEIVED);
    assert_int_equal(carry(&three->county, 2, &three->township, STREAM_ONE, false), RECEIVED);
    assert_int_equal(carry(&three->township, 3, &three->village, STREAM_ONE, false), RECEIVED);
    assert_int_equal(carry(&three->township, 3, &three->village, STREAM_ONE, false), RECEIVED);
    assert_true(known(&three->village, &batch).decided);
    assert_int_equal(due_in(&three->village, now_ms, 2), -1);
    assert_int_equal(bench_count(&three->village, TABLE_RECEIPTS), 2);
    assert_int_equal(bench_count(&three->township, TABLE_RECEIPTS), 0); // not its own
    assert_int_equal(bench_count(&three->village, TABLE_URGENT), 1);
    struct txn *txn = fixture_begin(three->village.store, false);
    struct receipt receipt = {.feed = batch.feed, .first = batch.first};
    for (unsigned i = 0; i < 2; i++) {
        assert_true(receipt_next(txn, &receipt, &receipt));
        bool by_county = station_equal(&receipt.station, &county->identity.station);
        assert_true(by_county || station_equal(&receipt.station, &township->identity.station));
        assert_true(hash_equal(&receipt.certificate, by_county ? &county->certificate.hash : &township->certificate.hash));
        assert_int_equal(receipt.state, SANJI__RECEIPT__STATE__RECEIVED);
        assert_int_equal(receipt.position, by_county ? 3 : 2);
        assert_int_equal(receipt.time_ms, now_ms);
    }
    assert_false(receipt_next(txn, &receipt, &receipt));
    fixture_commit(txn);
    assert_int_equal(forged(&three->village), 0);
}

static void fault_24_what_came_past_the_parent_is_a_duplicate_when_it_comes_through_it(void **state)
{
    struct three *three = *state;
    struct peer guest = {.station = village->identity.station, .transport_key = village->identity.transport.public_key};
    struct stream_row rows[8];
    struct station_id via;
    struct urgent_batch batch = sign(&three->village, 2, county->certificate.depth);
    struct txn *txn = fixture_begin(three->county.store, true);
    guest_write(txn, &guest);
    fixture_commit(txn);
    assert_int_equal(carry(&three->village, 1, &three->county, STREAM_UP, false), RECEIVED); // past the township
    assert_int_equal(bench_end(&three->county), 2);
    txn = fixture_begin(three->county.store, false);
    assert_false(route_via(txn, &village->identity.station, &via)); // the way to it is not learned from that
    fixture_commit(txn);
    assert_int_equal(carry(&three->village, 1, &three->township, STREAM_UP, false), RECEIVED);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(carry(&three->township, 1, &three->county, STREAM_UP, false), RECEIVED); // and through it, twice
    assert_int_equal(bench_end(&three->county), 2);                                               // one batch, one receipt
    uint32_t count = bench_rows(&three->county, STREAM_ONE, URGENT, &village->identity.station, rows, 8);
    assert_true(count > 1 && rows[count - 1].batch == 2); // which goes back past the township
    assert_int_equal(carry(&three->county, 2, &three->village, STREAM_ONE, false), RECEIVED);
    assert_true(known(&three->village, &batch).decided);
}

static void a_header_alone_is_not_receipted_until_its_body_comes(void **state)
{
    struct three *three = *state;
    sign(&three->village, 2, county->certificate.depth);
    assert_int_equal(carry(&three->village, 1, &three->township, STREAM_UP, true), RECEIVED_BODILESS);
    assert_int_equal(bench_end(&three->township), 1);
    assert_int_equal(carry(&three->village, 1, &three->township, STREAM_UP, false), RECEIVED);
    assert_int_equal(bench_end(&three->township), 2);
    sign(&three->village, 1, township->certificate.depth); // may not go on to the county: it gets the header, and says nothing
    assert_int_equal(carry(&three->village, 1, &three->county, STREAM_UP, false), RECEIVED);
    assert_int_equal(carry(&three->village, 2, &three->county, STREAM_UP, true), RECEIVED);
    assert_int_equal(bench_end(&three->county), 3);
}

static void a_station_that_may_not_sign_gives_none(void **state)
{
    struct three *three = *state;
    struct pen pen;
    sign(&three->village, 2, county->certificate.depth);
    three->township.receiver.author = NULL;
    assert_int_equal(carry(&three->village, 1, &three->township, STREAM_UP, false), RECEIVED);
    assert_int_equal(bench_end(&three->township), 1);
    pen_init(&pen, village, CASE, UP, NULL); // nor is any but an urgent one receipted
    assert_int_equal(bench_take(&three->county, &pen, 1, "case", township, STREAM_UP), RECEIVED);
    assert_int_equal(bench_end(&three->county), 1);
}

// Put back from a copy, the township waits for its incarnation while urgent batches come: their receipts are owed, and signed once it may.
static void fault_17_33_what_came_while_it_might_not_sign_is_receipted_later(void **state)
{
    enum { COUNT = RECEIPT_SETTLE_MAX + 3 };
    struct three *three = *state;
    struct bench *bench = &three->township;
    struct pen own;
    bench->receiver.author = NULL;
    bench->receiver.restored = true;
    for (uint64_t i = 1; i <= COUNT; i++) {
        sign(&three->village, 2, county->certificate.depth);
        if (i == 2)
            assert_int_equal(carry(&three->village, i, bench, STREAM_UP, true), RECEIVED_BODILESS);
        assert_int_equal(carry(&three->village, i, bench, STREAM_UP, false), RECEIVED);
        assert_int_equal(carry(&three->village, i, bench, STREAM_UP, false), RECEIVED); // a duplicate owes no second one
    }
    pen_init(&own, township, URGENT, UP, NULL); // what it had signed itself and lost
    assert_int_equal(bench_take(bench, &own, 1, "its own", county, STREAM_ONE), RECEIVED);
    assert_int_equal(bench_count(bench, TABLE_DEFERRED), COUNT);
    uint64_t before = bench_end(bench);

    bench->receiver.author = bench->author;
    bench->receiver.restored = false;
    struct txn *txn = bench_begin(bench); // stopped before it is committed: all are still owed
    assert_true(receipt_settle(bench->author, txn, now_ms));
    author_abort(bench->author);
    txn_abort(txn);
    assert_int_equal(bench_count(bench, TABLE_DEFERRED), COUNT);
    for (unsigned turn = 0; turn < 3; turn++) {
        txn = bench_begin(bench);
        assert_int_equal(receipt_settle(bench->author, txn, now_ms), turn == 0);
        bench_commit(bench, txn);
    }
    assert_int_equal(bench_count(bench, TABLE_DEFERRED), 0);
    for (uint64_t position = before + 1; position <= bench_end(bench); position++)
        assert_int_equal(carry(bench, position, &three->village, STREAM_ONE, false), RECEIVED);
    assert_int_equal(bench_count(&three->village, TABLE_RECEIPTS), COUNT);
    assert_int_equal(forged(&three->village), 0);
    assert_int_equal(carry(&three->village, 1, bench, STREAM_UP, false), RECEIVED);
    before = bench_end(bench);
    sign(&three->village, 2, county->certificate.depth); // and from now on at once
    assert_int_equal(carry(&three->village, bench_end(&three->village), bench, STREAM_UP, false), RECEIVED);
    assert_int_equal(bench_end(bench), before + 2);
}

// The row is damaged by then: its receipt stays owed, and the others are not kept waiting.
static void fault_9_17_a_receipt_owed_for_a_damaged_row_waits(void **state)
{
    struct three *three = *state;
    struct bench *bench = &three->township;
    bench->receiver.author = NULL;
    bench->receiver.restored = true;
    for (uint64_t i = 1; i <= 2; i++) {
        sign(&three->village, 2, county->certificate.depth);
        assert_int_equal(carry(&three->village, i, bench, STREAM_UP, false), RECEIVED);
    }
    uint8_t key[8], kept[4096];
    struct bytes value;
    struct txn *txn = bench_begin(bench);
    put_be64(key, 1);
    assert_true(txn_get(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &value) && value.size <= sizeof kept);
    memcpy(kept, value.data, value.size);
    size_t size = value.size;
    kept[size / 2] ^= 1;
    txn_put(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), bytes_of(kept, size));
    bench_commit(bench, txn);
    for (unsigned turn = 0; turn < 2; turn++) {
        txn = bench_begin(bench);
        assert_false(receipt_settle(bench->author, txn, now_ms));
        bench_commit(bench, txn);
        assert_int_equal(bench_end(bench), 3);
        assert_int_equal(bench_count(bench, TABLE_DEFERRED), 1);
    }
    txn = bench_begin(bench);
    kept[size / 2] ^= 1;
    txn_put(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), bytes_of(kept, size));
    bench_commit(bench, txn);
    txn = bench_begin(bench);
    assert_false(receipt_settle(bench->author, txn, now_ms));
    bench_commit(bench, txn);
    assert_int_equal(bench_end(bench), 4);
    assert_int_equal(bench_count(bench, TABLE_DEFERRED), 0);
}

static void waiting_ends_by_the_clock_also_when_it_went_back(void **state)
{
    struct three *three = *state;
    assert_int_equal(due_in(&three->village, now_ms, 2), -1);
    sign(&three->village, 1, township->certificate.depth);
    assert_int_equal(due_in(&three->village, now_ms, 2), -1); // may not go past the parent anyway
    assert_int_equal(due_in(&three->village, now_ms, 1), WITHIN_MS);
    sign(&three->village, 2, county->certificate.depth);
    assert_int_equal(due_in(&three->village, now_ms + 1000, 2), WITHIN_MS - 1000);
    assert_int_equal(due_in(&three->village, now_ms + WITHIN_MS, 2), 0);
    assert_int_equal(due_in(&three->village, now_ms + 10ull * 365 * 86400000, 2), 0);
    assert_int_equal(due_in(&three->village, now_ms - 86400000, 2), 0);
}

// ---- forgers

// A receipt for `batch` of the village (its header's hash changed by `flip`), signed by `signer` for `addressee`, arrives at the village.
static enum received claim(struct three *three, const struct urgent_batch *batch, const struct post *signer, const struct post *of,
                           const struct post *addressee, unsigned flip)
{
    struct error error = {0};
    struct pen pen;
    struct arrival arrival;
    struct batch_draft draft = {0};
    struct header header;
    uint8_t signature[SIGNATURE_SIZE];
    struct txn *txn = fixture_begin(three->village.store, false);
    struct hash name = crypto_hash(TAG_HEADER, bench_row(&three->village, txn, batch->first).header);
    fixture_commit(txn);
    name.bytes[0] ^= (uint8_t)flip;
    Sanji__Feed feed = SANJI__FEED__INIT;
    Sanji__Receipt receipt = SANJI__RECEIPT__INIT;
    struct buffer wire = {0};
    feed.station = (ProtobufCBinaryData){STATION_ID_SIZE, (uint8_t *)of->identity.station.bytes};
    feed.ordinal = 1;
    feed.nonce = 77;
    feed.lane = SANJI__LANE__URGENT;
    feed.audience = SANJI__AUDIENCE__UP;
    receipt.feed = &feed;
    receipt.sequence = batch->first;
    receipt.header = (ProtobufCBinaryData){HASH_SIZE, name.bytes};
    receipt.state = SANJI__RECEIPT__STATE__RECEIVED;
    receipt.time_ms = now_ms;
    codec_pack(&receipt, &wire);
    pen_init(&pen, signer, URGENT, STATION, &addressee->identity.station);
    pen.feed.nonce = crypto_random_u64(); // a feed of its own for each attempt
    must(batch_draft_init(&draft, &pen.feed, REACH_TOP, &error), &error);
    must(batch_draft_add(&draft, SANJI__ENTRY_KIND__RECEIPT, now_ms, buffer_bytes(&wire), NULL, &error), &error);
    arrival = (struct arrival){
        .peer = township->identity.station, .stream = STREAM_ONE, .lane = URGENT, .generation = 1, .position = 9, .received_ms = now_ms};
    must(batch_draft_sign(&draft, &pen.state, &signer->certificate, &signer->identity.sign.secret_key, now_ms, NULL, NULL, 0,
                          &arrival.header, &header, signature, &error),
         &error);
    buffer_append(&arrival.signature, signature, sizeof signature);
    buffer_append(&arrival.body, draft.body.data, draft.body.size);
    batch_draft_finish(&draft);
    buffer_finish(&wire);
    return bench_receive(&three->village, &arrival);
}

static void fault_35_nobody_but_those_above_can_receipt(void **state)
{
    struct three *three = *state;
    struct urgent_batch batch = sign(&three->village, 2, county->certificate.depth);
    struct post neighbour; // another township: above the village's depth, not above the village
    post_init(&neighbour, county, "C-T2", township->certificate.depth);
    bench_store_certificate(&three->village, &neighbour);
    assert_int_equal(claim(three, &batch, &neighbour, village, village, 0), RECEIVED); // kept as evidence of who said so
    assert_int_equal(forged(&three->village), 1);
    assert_int_equal(claim(three, &batch, &posts[OTHER_VILLAGE], village, village, 0), RECEIVED_FORGED); // not even from above
    assert_int_equal(claim(three, &batch, &posts[STRANGER], village, village, 0), RECEIVED_GAP);         // of another tree
    assert_int_equal(claim(three, &batch, county, village, village, 1), RECEIVED);                       // for another batch
    assert_int_equal(forged(&three->village), 2);
    assert_int_equal(claim(three, &batch, county, &posts[OTHER_VILLAGE], village, 0), RECEIVED); // for another station's
    assert_int_equal(forged(&three->village), 3);
    assert_int_equal(claim(three, &batch, county, village, &posts[OTHER_VILLAGE], 0), RECEIVED); // for another reader
    assert_int_equal(forged(&three->village), 3);
    assert_int_equal(bench_count(&three->village, TABLE_RECEIPTS), 0);
    assert_false(known(&three->village, &batch).decided);
    assert_int_equal(due_in(&three->village, now_ms + WITHIN_MS, 2), 0);
    // the township's own word is its own word only: the county has not decided
    assert_int_equal(claim(three, &batch, township, village, village, 0), RECEIVED);
    assert_false(known(&three->village, &batch).decided);
    assert_int_equal(claim(three, &batch, county, village, village, 0), RECEIVED);
    assert_true(known(&three->village, &batch).decided);
    assert_int_equal(forged(&three->village), 3);
    post_finish(&neighbour);
}

// A bit of a journal row, on disk; the second time back.
static void flip(struct bench *bench, uint64_t position)
{
    uint8_t key[8], copy[4096];
    struct bytes value;
    struct txn *txn = bench_begin(bench);
    put_be64(key, position);
    assert_true(txn_get(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), &value) && value.size <= sizeof copy);
    size_t size = value.size;
    memcpy(copy, value.data, size);
    copy[size / 2] ^= 1;
    txn_put(txn, TABLE_JOURNAL, bytes_of(key, sizeof key), bytes_of(copy, size));
    bench_commit(bench, txn);
}

// What follows the damaged row, or the feed's head, names it: the receipt is judged, and stops nothing that comes behind it.
static void fault_10_35_a_receipt_for_a_damaged_row_is_judged(void **state)
{
    struct three *three = *state;
    struct bench *bench = &three->village;
    struct urgent_batch batches[2];
    for (uint64_t i = 0; i < 2; i++) {
        batches[i] = sign(bench, 2, township->certificate.depth);
        assert_int_equal(carry(bench, i + 1, &three->township, STREAM_UP, false), RECEIVED);
    }
    for (uint64_t i = 0; i < 2; i++) {
        flip(bench, i + 1);
        assert_int_equal(carry(&three->township, 2 * i + 2, bench, STREAM_ONE, false), RECEIVED);
        assert_true(known(bench, &batches[i]).decided);
        flip(bench, i + 1);
    }
    assert_int_equal(bench_count(bench, TABLE_RECEIPTS), 2);
    assert_int_equal(forged(bench), 0);
    for (uint64_t i = 0; i < 2; i++) // a third, of which nothing is left that says which batch it was
        assert_int_equal(carry(&three->township, 2 * i + 1, &three->county, STREAM_UP, false), RECEIVED);
    assert_int_equal(carry(&three->county, 2, &three->township, STREAM_ONE, false), RECEIVED);
    flip(bench, 1);
    flip(bench, 2);
    assert_int_equal(carry(&three->township, bench_end(&three->township), bench, STREAM_ONE, false), RECEIVED);
    assert_int_equal(bench_count(bench, TABLE_RECEIPTS), 2);
    assert_int_equal(forged(bench), 0);
}

static void fault_35_what_the_middle_changes_is_refused(void **state)
{
    struct three *three = *state;
    sign(&three->village, 2, county->certificate.depth);
    assert_int_equal(carry(&three->village, 1, &three->county, STREAM_UP, false), RECEIVED);
    struct txn *txn = fixture_begin(three->county.store, false);
    struct batch_row row = bench_row(&three->county, txn, 2);
    struct arrival whole = {.peer = township->identity.station, .stream = STREAM_ONE, .lane = URGENT, .generation = 1, .position = 1};
    buffer_append(&whole.header, row.header.data, row.header.size);
    buffer_append(&whole.signature, row.signature.data, row.signature.size);
    buffer_append(&whole.body, row.body.data, row.body.size);
    fixture_commit(txn);
    for (size_t i = 0; i < whole.body.size; i++) { // any byte of what it says
        struct arrival arrival;
        arrival_copy(&whole, true, &arrival);
        arrival.body.data[i] ^= 1;
        assert_int_equal(bench_receive(&three->village, &arrival), RECEIVED_FORGED);
    }
    assert_int_equal(bench_count(&three->village, TABLE_RECEIPTS), 0);
    assert_int_equal(bench_receive(&three->village, &whole), RECEIVED);
    assert_int_equal(bench_count(&three->village, TABLE_RECEIPTS), 1);
}

static void a_receipt_for_what_was_lost_is_kept_for_later(void **state)
{
    struct three *three = *state;
    struct urgent_batch batch = sign(&three->village, 2, county->certificate.depth);
    batch.first = 1;
    struct urgent_batch lost = batch;
    assert_int_equal(claim(three, &batch, county, village, village, 0), RECEIVED);
    lost.first = 1;
    assert_true(known(&three->village, &lost).decided);
    // a receipt that came before its batch: no alarm, nothing kept
    struct txn *txn = fixture_begin(three->village.store, false);
    struct batch_row row = bench_row(&three->village, txn, 2);
    struct header header;
    struct entry entries[1];
    struct receipt receipt;
    const char *reason = NULL;
    assert_int_equal(header_decode(row.header, &header, NULL), OK);
    assert_int_equal(body_decode(row.body, &header, entries, NULL), OK);
    assert_int_equal(receipt_judge(txn, &village->certificate, &header, &county->certificate, entries, 2, &receipt, &reason), RECEIPT_GOOD);
    assert_int_equal(receipt_judge(txn, &village->certificate, &header, &county->certificate, entries, 0, &receipt, &reason),
                     RECEIPT_UNKNOWN);
    assert_int_equal(receipt_judge(txn, &posts[OTHER_VILLAGE].certificate, &header, &county->certificate, entries, 2, &receipt, &reason),
                     RECEIPT_OTHERS);
    fixture_commit(txn);
}

static void the_waiting_are_listed_first(void **state)
{
    struct three *three = *state;
    struct urgent_batch first = sign(&three->village, 2, county->certificate.depth), second = sign(&three->village, 2, 1), batch;
    assert_int_equal(claim(three, &first, county, village, village, 0), RECEIVED);
    struct txn *txn = fixture_begin(three->village.store, false);
    assert_true(urgent_next(txn, NULL, &batch) && batch.first == second.first && !batch.decided);
    assert_string_equal(batch.what, "report");
    assert_int_equal(batch.record[0], 7);
    assert_true(urgent_next(txn, &batch, &batch) && batch.first == first.first && batch.decided);
    assert_false(urgent_next(txn, &batch, &batch));
    fixture_commit(txn);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        test(each_tier_receipts_once_and_the_deciding_one_ends_the_waiting),
        test(fault_24_what_came_past_the_parent_is_a_duplicate_when_it_comes_through_it),
        test(a_header_alone_is_not_receipted_until_its_body_comes),
        test(a_station_that_may_not_sign_gives_none),
        test(fault_17_33_what_came_while_it_might_not_sign_is_receipted_later),
        test(fault_9_17_a_receipt_owed_for_a_damaged_row_waits),
        test(waiting_ends_by_the_clock_also_when_it_went_back),
        test(fault_35_nobody_but_those_above_can_receipt),
        test(fault_10_35_a_receipt_for_a_damaged_row_is_judged),
        test(fault_35_what_the_middle_changes_is_refused),
        test(a_receipt_for_what_was_lost_is_kept_for_later),
        test(the_waiting_are_listed_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
