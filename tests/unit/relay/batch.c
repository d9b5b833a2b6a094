#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "envelope.pb-c.h"
#include "tests/samples.h"

static struct sample samples[SAMPLES];
static struct entry entries[BATCH_ENTRIES_MAX];

static int setup(void **state)
{
    (void)state;
    samples_init(samples);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    samples_finish(samples);
    return 0;
}

static struct bytes body_of(const struct sample_batch *batch) { return buffer_bytes(&batch->draft.body); }

static void what_was_put_in_comes_out(void **state)
{
    (void)state;
    static const uint32_t counts[] = {1, 2, 3, 7, 8, 9, 100, BATCH_ENTRIES_MAX};
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
        struct sample_batch batch;
        sample_batch_init(&samples[SAMPLE_VILLAGE], counts[c], 60, &batch);
        struct error error = {0};
        if (body_check(body_of(&batch), &batch.header, entries, &error) != OK)
            fail_msg("%u entries: %s", counts[c], error.detail);
        for (uint32_t i = 0; i < counts[c]; i++) {
            assert_int_equal(entries[i].is_sealed, i % 2);
            assert_int_equal(entries[i].kind, i % 2 ? SANJI__ENTRY_KIND__RECORD : SANJI__ENTRY_KIND__STATEMENT);
            assert_true(entries[i].time_ms == UINT64_C(1483228800000) + i);
            assert_int_equal(entries[i].content.size, 60);
            assert_int_equal(entries[i].content.data[59], (uint8_t)(i + 1));
            assert_int_equal(entries[i].key.bytes[0], i % 2 ? 7 : 0);
        }
        assert_int_equal(body_decode(body_of(&batch), &batch.header, entries, NULL), OK);
        sample_batch_finish(&batch);
    }
}

// An entry's bytes are those that protobuf-c would write.
static void entries_are_canonical(void **state)
{
    (void)state;
    struct sample_batch batch;
    sample_batch_init(&samples[SAMPLE_VILLAGE], 2, 200, &batch);
    assert_int_equal(body_check(body_of(&batch), &batch.header, entries, NULL), OK);
    for (unsigned i = 0; i < 2; i++) {
        Sanji__Entry entry = SANJI__ENTRY__INIT;
        ProtobufCBinaryData content = {entries[i].content.size, (uint8_t *)entries[i].content.data};
        entry.kind = (Sanji__EntryKind)entries[i].kind;
        entry.time_ms = entries[i].time_ms;
        if (entries[i].is_sealed) {
            entry.sealed = content;
            entry.key_id = (ProtobufCBinaryData){KEY_ID_SIZE, entries[i].key.bytes};
        } else {
            entry.clear = content;
        }
        struct buffer wire = {0};
        codec_pack(&entry, &wire);
        assert_true(bytes_equal(entries[i].wire, buffer_bytes(&wire)));
        buffer_finish(&wire);
    }
    sample_batch_finish(&batch);
}

static void a_batch_of_one_stays_small(void **state)
{
    (void)state;
    struct sample_batch batch;
    struct hash codebook = crypto_hash(TAG_DOCUMENT, bytes_of_text("codebook"));
    sample_batch_init(&samples[SAMPLE_VILLAGE], 1, 200, &batch);
    // the largest that live traffic makes: a later batch under a codebook, to one station
    batch.draft.feed.audience = SANJI__AUDIENCE__STATION;
    batch.draft.feed.addressee = samples[0].identity.station;
    struct feed_state chain = {.next = 1000000, .last = codebook, .bodies = 1};
    struct buffer wire = {0};
    struct header header;
    assert_int_equal(batch_draft_sign(&batch.draft, &chain, &samples[SAMPLE_VILLAGE].certificate,
                                      &samples[SAMPLE_VILLAGE].identity.sign.secret_key, 1483228800000, &codebook, NULL, 0, &wire, &header,
                                      batch.signature, NULL),
                     OK);
    assert_true(wire.size + SIGNATURE_SIZE <= 300);
    buffer_finish(&wire);
    sample_batch_finish(&batch);
    sample_batch_init(&samples[SAMPLE_VILLAGE], BATCH_ENTRIES_MAX, 200, &batch);
    assert_true(batch.draft.body.size + batch.header_wire.size + SIGNATURE_SIZE <= BATCH_ENTRIES_MAX * (200 + 40));
    sample_batch_finish(&batch);
}

static void fault_27_every_flipped_bit_of_a_body_is_found(void **state)
{
    (void)state;
    struct sample_batch batch;
    sample_batch_init(&samples[SAMPLE_VILLAGE], 3, 50, &batch);
    for (size_t bit = 0; bit < 8 * batch.draft.body.size; bit++) {
        batch.draft.body.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (body_check(body_of(&batch), &batch.header, entries, NULL) == OK)
            fail_msg("bit %zu may be turned", bit);
        batch.draft.body.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    struct header header = batch.header;
    header.root.bytes[3] ^= 1;
    assert_int_equal(body_check(body_of(&batch), &header, entries, NULL), ERR_FORGED);
    assert_int_equal(body_decode(body_of(&batch), &header, entries, NULL), OK); // the journal has verified it before
    sample_batch_finish(&batch);
}

static void a_body_has_the_size_and_count_of_its_header(void **state)
{
    (void)state;
    struct sample_batch batch;
    sample_batch_init(&samples[SAMPLE_VILLAGE], 3, 50, &batch);
    struct header header = batch.header;
    struct bytes body = body_of(&batch);
    assert_int_equal(body_check(bytes_of(body.data, body.size - 1), &header, entries, NULL), ERR_FORGED);
    assert_int_equal(body_check(bytes_of(NULL, 0), &header, entries, NULL), ERR_FORGED);
    header.count = 2; // more entries than the header says: none is written beyond them
    entries[2].kind = 99;
    assert_int_equal(body_check(body, &header, entries, NULL), ERR_FORGED);
    assert_int_equal(body_decode(body, &header, entries, NULL), ERR_FORGED);
    assert_int_equal(entries[2].kind, 99);
    header.count = 4;
    assert_int_equal(body_check(body, &header, entries, NULL), ERR_FORGED);
    assert_int_equal(body_decode(body, &header, entries, NULL), ERR_FORGED);
    sample_batch_finish(&batch);
}

// ---- bodies that no honest station makes; only their form is asked, so the root does not matter

static void refused(const char *entry_hex, unsigned lane, enum error_code code, const char *why)
{
    uint8_t body[1024] = {0x0A, 32}, size = (uint8_t)(strlen(entry_hex) / 2);
    memset(body + 2, 1, 32);
    body[34] = 0x12;
    body[35] = size;
    assert_true(size < 128 && crypto_from_hex(entry_hex, body + 36, size));
    struct header header = {.count = 1, .body_size = 36u + size, .feed = {.lane = (uint8_t)lane}};
    struct error error = {0};
    if (body_decode(bytes_of(body, 36u + size), &header, entries, &error) != code || (code && !strstr(error.detail, why)))
        fail_msg("%s: %s, expected %s", entry_hex, error.detail, why);
}

static void fault_46_entries_of_another_form_are_refused(void **state)
{
    (void)state;
    const char *key = "2a1001010101010101010101010101010101";
    char text[400];
    refused("08021a0161", SANJI__LANE__CASE, OK, "");
    refused("1a0161", SANJI__LANE__CASE, ERR_INPUT, "kind");
    refused("0802", SANJI__LANE__CASE, ERR_INPUT, "exactly one");
    refused("08021a0161220162", SANJI__LANE__CASE, ERR_INPUT, "exactly one");
    refused("0802220162", SANJI__LANE__CASE, ERR_INPUT, "key_id");
    snprintf(text, sizeof text, "08021a0161%s", key);
    refused(text, SANJI__LANE__CASE, ERR_INPUT, "key_id");
    snprintf(text, sizeof text, "0802220162%s", key);
    refused(text, SANJI__LANE__CASE, ERR_INPUT, "cut short");
    refused("08021a01612a0101", SANJI__LANE__CASE, ERR_INPUT, "not 16");
    refused("08631a0161", SANJI__LANE__CASE, OK, ""); // a kind that a newer station added: held, not applied
    assert_int_equal(entries[0].kind, 99);
    refused("0880808080081a0161", SANJI__LANE__CASE, ERR_INPUT, "kind"); // above INT32_MAX
    refused("08021a01613001", SANJI__LANE__CASE, ERR_INPUT, "unknown");
    // the secret
    struct header header = {.count = 1, .body_size = 7, .feed = {.lane = 3}};
    assert_int_equal(body_decode(bytes_of("\x12\x05\x08\x02\x1a\x01\x61", 7), &header, entries, NULL), ERR_INPUT);
    header.body_size = 10;
    assert_int_equal(body_decode(bytes_of("\x0a\x01\x01\x12\x05\x08\x02\x1a\x01\x61", 10), &header, entries, NULL), ERR_INPUT);
}

static void lanes_limit_their_entries(void **state)
{
    (void)state;
    struct feed_key feed = sample_feed(&samples[0]);
    struct batch_draft draft;
    static uint8_t content[BATCH_BODY_MAX];
    feed.lane = SANJI__LANE__CONTROL;
    assert_int_equal(batch_draft_init(&draft, &feed, 1, NULL), OK);
    size_t most = CONTROL_ENTRY_MAX - ENTRY_OVERHEAD_MAX;
    assert_true(batch_draft_fits(&draft, most));
    assert_false(batch_draft_fits(&draft, most + 1));
    assert_int_equal(batch_draft_add(&draft, SANJI__ENTRY_KIND__CUT, 1, bytes_of(content, most + 1), NULL, NULL), ERR_LIMIT);
    assert_int_equal(batch_draft_add(&draft, SANJI__ENTRY_KIND__CUT, 1, bytes_of(content, most), NULL, NULL), OK);
    batch_draft_finish(&draft);
    // a receiver measures the whole entry
    struct header header = {.count = 1, .feed = {.lane = SANJI__LANE__BULK}};
    struct buffer body = {0};
    uint8_t secret[34] = {0x0A, 32, 1}, size[CODEC_VARINT_MAX], inner[CODEC_VARINT_MAX];
    size_t inner_size = codec_put_varint(inner, CONTROL_ENTRY_MAX);
    buffer_append(&body, secret, sizeof secret);
    buffer_append(&body, "\x12", 1);
    buffer_append(&body, size, codec_put_varint(size, 3 + inner_size + CONTROL_ENTRY_MAX));
    buffer_append(&body, "\x08\x02\x1a", 3);
    buffer_append(&body, inner, inner_size);
    buffer_append(&body, content, CONTROL_ENTRY_MAX);
    header.body_size = (uint32_t)body.size;
    assert_int_equal(body_decode(buffer_bytes(&body), &header, entries, NULL), OK);
    header.feed.lane = SANJI__LANE__CONTROL;
    assert_int_equal(body_decode(buffer_bytes(&body), &header, entries, NULL), ERR_LIMIT);
    buffer_finish(&body);
}

static void a_draft_says_when_it_is_full(void **state)
{
    (void)state;
    struct feed_key feed = sample_feed(&samples[0]);
    struct batch_draft draft;
    static uint8_t content[ENTRY_MAX];
    memset(content, 1, sizeof content);
    assert_int_equal(batch_draft_init(&draft, &feed, 1, NULL), OK);
    size_t most = ENTRY_MAX - ENTRY_OVERHEAD_MAX;
    assert_false(batch_draft_fits(&draft, most + 1));
    assert_int_equal(batch_draft_add(&draft, 2, 1, bytes_of(content, most), NULL, NULL), OK);
    while (batch_draft_fits(&draft, 1000))
        assert_int_equal(batch_draft_add(&draft, 2, 1, bytes_of(content, 1000), NULL, NULL), OK);
    assert_int_equal(batch_draft_add(&draft, 2, 1, bytes_of(content, 1000), NULL, NULL), ERR_LIMIT);
    assert_in_range(draft.body.size, BATCH_BODY_MAX - 1100, BATCH_BODY_MAX);
    batch_draft_finish(&draft);
    assert_int_equal(batch_draft_init(&draft, &feed, 1, NULL), OK);
    for (uint32_t i = 0; i < BATCH_ENTRIES_MAX; i++)
        assert_int_equal(batch_draft_add(&draft, 2, 1, bytes_of(content, 1), NULL, NULL), OK);
    assert_false(batch_draft_fits(&draft, 1));
    assert_int_equal(batch_draft_add(&draft, 2, 1, bytes_of(content, 1), NULL, NULL), ERR_LIMIT);
    batch_draft_finish(&draft);
    batch_draft_finish(&draft);
}

static void a_draft_refuses_what_a_receiver_would(void **state)
{
    (void)state;
    struct feed_key feed = sample_feed(&samples[0]);
    struct batch_draft draft;
    struct key_id key = {{1}};
    struct header header;
    struct buffer wire = {0};
    struct feed_state chain = {.next = 1, .bodies = 1};
    uint8_t sign[SIGNATURE_SIZE], content[SEAL_OVERHEAD] = {0};
    const struct secret_key *secret = &samples[0].identity.sign.secret_key;
    assert_int_equal(batch_draft_init(&draft, &feed, 1, NULL), OK);
    assert_int_equal(batch_draft_sign(&draft, &chain, &samples[0].certificate, secret, 1, NULL, NULL, 0, &wire, &header, sign, NULL),
                     ERR_STATE);
    assert_int_equal(batch_draft_add(&draft, 0, 1, bytes_of(content, 1), NULL, NULL), ERR_INPUT);
    assert_int_equal(batch_draft_add(&draft, 2, 1, bytes_of(content, 0), NULL, NULL), ERR_INPUT);
    assert_int_equal(batch_draft_add(&draft, 2, 1, bytes_of(content, SEAL_OVERHEAD - 1), &key, NULL), ERR_INPUT);
    assert_int_equal(batch_draft_add(&draft, 2, 0, bytes_of(content, SEAL_OVERHEAD), &key, NULL), OK);
    assert_int_equal(batch_draft_sign(&draft, &chain, &samples[1].certificate, secret, 1, NULL, NULL, 0, &wire, &header, sign, NULL),
                     ERR_INPUT);
    draft.reach = 256;
    assert_int_equal(batch_draft_sign(&draft, &chain, &samples[0].certificate, secret, 1, NULL, NULL, 0, &wire, &header, sign, NULL),
                     ERR_LIMIT);
    draft.reach = 1;
    draft.feed.audience = SANJI__AUDIENCE__STATION; // to nobody
    assert_int_equal(batch_draft_sign(&draft, &chain, &samples[0].certificate, secret, 1, NULL, NULL, 0, &wire, &header, sign, NULL),
                     ERR_INPUT);
    assert_int_equal(wire.size, 0);
    draft.feed.audience = SANJI__AUDIENCE__UP;
    assert_int_equal(batch_draft_sign(&draft, &chain, &samples[0].certificate, secret, 1, NULL, NULL, 0, &wire, &header, sign, NULL), OK);
    assert_int_equal(body_check(buffer_bytes(&draft.body), &header, entries, NULL), OK);
    batch_draft_finish(&draft);
    buffer_finish(&wire);
}

static void each_entry_can_be_proven_alone(void **state)
{
    (void)state;
    struct sample_batch batch;
    sample_batch_init(&samples[SAMPLE_VILLAGE], 77, 50, &batch);
    assert_int_equal(body_check(body_of(&batch), &batch.header, entries, NULL), OK);
    for (uint32_t i = 0; i < 77; i++) {
        uint8_t salt[SALT_SIZE];
        struct hash path[10];
        uint32_t path_count;
        assert_int_equal(body_prove(body_of(&batch), &batch.header, i, salt, path, &path_count, NULL), OK);
        struct hash leaf = crypto_leaf(salt, entries[i].wire);
        assert_true(inclusion_check(&batch.header.root, 77, i, &leaf, path, path_count));
        leaf = crypto_leaf(salt, entries[(i + 1) % 77].wire);
        assert_false(inclusion_check(&batch.header.root, 77, i, &leaf, path, path_count));
        // the salt of one entry does not open another, so a small count can't be guessed from its hash
        uint8_t other_salt[SALT_SIZE];
        assert_int_equal(body_prove(body_of(&batch), &batch.header, (i + 1) % 77, other_salt, path, &path_count, NULL), OK);
        assert_memory_not_equal(salt, other_salt, SALT_SIZE);
    }
    uint8_t salt[SALT_SIZE];
    struct hash path[10];
    uint32_t path_count = 99;
    assert_int_equal(body_prove(body_of(&batch), &batch.header, 77, salt, path, &path_count, NULL), ERR_INPUT);
    struct header header = batch.header;
    header.count = 76;
    assert_int_equal(body_prove(body_of(&batch), &header, 0, salt, path, &path_count, NULL), ERR_FORGED);
    header.count = 78;
    assert_int_equal(body_prove(body_of(&batch), &header, 0, salt, path, &path_count, NULL), ERR_FORGED);
    assert_int_equal(path_count, 99);
    sample_batch_finish(&batch);
}

static void fault_29_associated_data_binds_station_kind_and_key(void **state)
{
    (void)state;
    uint8_t a[4 + STATION_ID_SIZE + KEY_ID_SIZE], b[sizeof a];
    struct station_id station = {{1}}, other_station = {{2}};
    struct key_id key = {{3}}, other_key = {{4}};
    entry_associated(&station, 1, &key, a);
    entry_associated(&station, 1, &key, b);
    assert_memory_equal(a, b, sizeof a);
    entry_associated(&other_station, 1, &key, b);
    assert_memory_not_equal(a, b, sizeof a);
    entry_associated(&station, 2, &key, b);
    assert_memory_not_equal(a, b, sizeof a);
    entry_associated(&station, 1, &other_key, b);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_in_comes_out),
        cmocka_unit_test(entries_are_canonical),
        cmocka_unit_test(a_batch_of_one_stays_small),
        cmocka_unit_test(fault_27_every_flipped_bit_of_a_body_is_found),
        cmocka_unit_test(a_body_has_the_size_and_count_of_its_header),
        cmocka_unit_test(fault_46_entries_of_another_form_are_refused),
        cmocka_unit_test(lanes_limit_their_entries),
        cmocka_unit_test(a_draft_says_when_it_is_full),
        cmocka_unit_test(a_draft_refuses_what_a_receiver_would),
        cmocka_unit_test(each_entry_can_be_proven_alone),
        cmocka_unit_test(fault_29_associated_data_binds_station_kind_and_key),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
