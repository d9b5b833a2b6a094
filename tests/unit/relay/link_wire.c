#include "relay/link_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"

static const uint64_t session = UINT64_C(0x1122334455667788);

struct wire {
    struct arena arena;
    struct buffer bytes;
    struct link_in in;
};

static int setup(void **state)
{
    assert_int_equal(crypto_init(NULL), OK);
    *state = calloc(1, sizeof(struct wire));
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    struct wire *wire = *state;
    arena_finish(&wire->arena);
    buffer_finish(&wire->bytes);
    free(wire);
    return 0;
}

#define WIRE_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static enum error_code decode(struct wire *wire, size_t body_size)
{
    struct error error = {0};
    arena_reset(&wire->arena);
    enum error_code code = link_decode(buffer_bytes(&wire->bytes), body_size, &wire->arena, &wire->in, &error);
    assert_int_equal(error.code, code);
    assert_true(code == OK || error.detail[0]);
    buffer_clear(&wire->bytes);
    return code;
}

static struct link_in *round_trip(struct wire *wire, size_t body_size, enum link_message type)
{
    assert_false(wire->bytes.failed);
    assert_true(wire->bytes.size <= MESSAGE_MAX);
    assert_int_equal(decode(wire, body_size), OK);
    assert_int_equal(wire->in.type, type);
    assert_int_equal(wire->in.session, session);
    return &wire->in;
}

static struct hash hash_of(uint8_t n)
{
    struct hash hash;
    memset(hash.bytes, n, sizeof hash.bytes);
    return hash;
}

static struct head head_of(uint8_t n, unsigned audience)
{
    struct head head = {.feed = {.ordinal = n, .nonce = UINT64_MAX - n, .lane = (uint8_t)(n % LANES + 1), .audience = (uint8_t)audience},
                        .next = n + 1u,
                        .last = hash_of(n),
                        .bodies = n};
    memset(head.feed.station.bytes, n, STATION_ID_SIZE);
    if (audience == SANJI__AUDIENCE__STATION)
        memset(head.feed.addressee.bytes, n + 1, STATION_ID_SIZE);
    return head;
}

static void assert_head(const struct head *head, const struct head *expected)
{
    uint8_t a[FEED_KEY_SIZE], b[FEED_KEY_SIZE];
    feed_key_encode(&head->feed, a);
    feed_key_encode(&expected->feed, b);
    assert_memory_equal(a, b, sizeof a);
    assert_true(head->next == expected->next && head->bodies == expected->bodies && hash_equal(&head->last, &expected->last));
}

// ---- every message, there and back

static void a_hello(void **state)
{
    struct wire *wire = *state;
    struct hash certificate = hash_of(9);
    struct core_hello hello = {.version_min = 1,
                               .version_max = 3,
                               .session = session,
                               .credit_bytes = UINT32_MAX,
                               .ordinal = 7,
                               .nonce = UINT64_MAX,
                               .starts = UINT64_MAX - 1,
                               .number = 3,
                               .reply = true,
                               .wants_incarnation = true};
    for (unsigned i = 0; i < CORE_CHANNELS; i += 2)
        hello.held[i] = (struct core_mark){.generation = 100 + i, .headers = 10 * i, .bodies = 9 * i};
    hello.staged[2] = (struct core_staged){.position = 44, .offset = 55, .header = hash_of(3)};
    hello.staged[3] = (struct core_staged){.position = 1, .offset = 2, .header = hash_of(4)}; // of a generation not known yet
    const struct head own[] = {head_of(3, SANJI__AUDIENCE__UP), head_of(4, SANJI__AUDIENCE__UP)};
    link_encode_hello(session, &hello, &certificate, 5, 6, own, 2, &wire->bytes);
    struct link_in *in = round_trip(wire, 0, LINK_HELLO);
    assert_true(hash_equal(&in->hello.certificate, &certificate) && in->hello.codebook == 5 && in->hello.units == 6);
    const struct core_hello *got = &in->hello.hello;
    assert_int_equal(in->hello.own_count, 2);
    assert_head(&in->hello.own[1], &own[1]);
    assert_true(got->version_min == 1 && got->version_max == 3 && got->session == session && got->credit_bytes == UINT32_MAX);
    assert_true(got->ordinal == 7 && got->nonce == UINT64_MAX && got->reply && got->wants_incarnation);
    assert_true(got->starts == UINT64_MAX - 1 && got->number == 3);
    for (unsigned i = 0; i < CORE_CHANNELS; i++) {
        assert_memory_equal(&got->held[i], &hello.held[i], sizeof got->held[i]);
        assert_true(got->staged[i].position == hello.staged[i].position && got->staged[i].offset == hello.staged[i].offset);
        assert_true(hash_equal(&got->staged[i].header, &hello.staged[i].header));
    }
    hello = (struct core_hello){.session = session}; // as little as can be
    certificate = (struct hash){0};
    link_encode_hello(session, &hello, &certificate, 0, 0, NULL, 0, &wire->bytes);
    in = round_trip(wire, 0, LINK_HELLO);
    assert_true(hash_is_zero(&in->hello.certificate) && !in->hello.hello.reply);
}

static void heads(void **state)
{
    struct wire *wire = *state;
    struct head pages[HEADS_PAGE_MAX];
    for (unsigned i = 0; i < HEADS_PAGE_MAX; i++)
        pages[i] = head_of((uint8_t)(i + 1), i % 3 + 1);
    for (unsigned count = 0; count <= HEADS_PAGE_MAX; count += HEADS_PAGE_MAX / 2) {
        unsigned channel = core_channel(SANJI__STREAM__STREAM_DOWN_ONE, SANJI__LANE__BULK);
        link_encode_heads(session, channel, pages, count, count == 0, count == HEADS_PAGE_MAX, &wire->bytes);
        struct link_in *in = round_trip(wire, 0, LINK_HEADS);
        assert_true(in->channel == channel && in->heads.count == count);
        assert_true(in->heads.last == (count == 0) && in->heads.want == (count == HEADS_PAGE_MAX));
        for (unsigned i = 0; i < count; i++)
            assert_head(&in->heads.heads[i], &pages[i]);
    }
}

static void heads_of_a_feed_that_has_none(void **state)
{
    struct wire *wire = *state;
    struct head empty = head_of(1, SANJI__AUDIENCE__UP);
    empty.last = (struct hash){0};
    link_encode_heads(session, 0, &empty, 1, true, false, &wire->bytes);
    assert_head(&round_trip(wire, 0, LINK_HEADS)->heads.heads[0], &empty);
}

static struct link_push a_batch(void)
{
    static uint8_t header[HEADER_MAX], signature[SIGNATURE_SIZE];
    memset(header, 1, sizeof header);
    memset(signature, 2, sizeof signature);
    return (struct link_push){.channel = core_channel(SANJI__STREAM__STREAM_UP, SANJI__LANE__CASE),
                              .generation = UINT64_MAX,
                              .after = 3,
                              .position = 4,
                              .header = bytes_of(header, sizeof header),
                              .signature = bytes_of(signature, sizeof signature),
                              .size = BATCH_BODY_MAX};
}

static void a_push_of_a_batch(void **state)
{
    struct wire *wire = *state;
    struct link_push push = a_batch();
    struct hash name = crypto_hash(TAG_HEADER, push.header);
    link_encode_push(session, &push, &wire->bytes);
    struct link_in *in = round_trip(wire, FRAME_MAX, LINK_PUSH);
    const struct core_piece *piece = &in->push.piece;
    assert_true(in->channel == push.channel && piece->channel == push.channel && !in->push.is_object);
    assert_true(piece->generation == UINT64_MAX && piece->after == 3 && piece->position == 4);
    assert_true(piece->size == BATCH_BODY_MAX && piece->offset == 0 && piece->length == FRAME_MAX);
    assert_true(piece->overhead == HEADER_MAX + SIGNATURE_SIZE && hash_equal(&piece->name, &name));
    assert_true(bytes_equal(in->push.header, push.header) && bytes_equal(in->push.signature, push.signature));
    push.offset = BATCH_BODY_MAX - 1; // its last byte
    link_encode_push(session, &push, &wire->bytes);
    in = round_trip(wire, 1, LINK_PUSH);
    assert_true(in->push.piece.offset == BATCH_BODY_MAX - 1 && in->push.piece.length == 1 && in->push.piece.overhead == 0);
    assert_true(hash_is_zero(&in->push.piece.name) && in->push.header.size == 0 && in->push.signature.size == 0);
    push = a_batch();
    push.size = 0;
    push.bodiless = true;
    link_encode_push(session, &push, &wire->bytes);
    in = round_trip(wire, 0, LINK_PUSH);
    assert_true(in->push.piece.size == 0 && in->push.piece.length == 0);
}

static void a_push_of_an_object(void **state)
{
    struct wire *wire = *state;
    struct link_push push = {.channel = core_channel(SANJI__STREAM__STREAM_DOWN_ALL, SANJI__LANE__BULK),
                             .generation = 1,
                             .position = 1,
                             .is_object = true,
                             .object = hash_of(8),
                             .size = DOCUMENT_MAX};
    link_encode_push(session, &push, &wire->bytes);
    struct link_in *in = round_trip(wire, 100, LINK_PUSH);
    assert_true(in->push.is_object && hash_equal(&in->push.piece.name, &push.object) && in->push.piece.overhead == 0);
    push.offset = 100;
    link_encode_push(session, &push, &wire->bytes);
    in = round_trip(wire, 100, LINK_PUSH);
    assert_true(in->push.is_object && in->push.piece.offset == 100 && hash_is_zero(&in->push.piece.name));
}

static void ack_ping_and_error(void **state)
{
    struct wire *wire = *state;
    for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
        link_encode_ack(session, channel, &(struct core_ack){1, 2, UINT64_MAX, 4, 5, UINT32_MAX}, &wire->bytes);
        struct link_in *in = round_trip(wire, 0, LINK_ACK);
        assert_true(in->channel == channel && in->ack.generation == 1 && in->ack.headers == 2 && in->ack.bodies == UINT64_MAX);
        assert_true(in->ack.credit_bytes == 4 && in->ack.received_position == 5 && in->ack.received_offset == UINT32_MAX);
    }
    link_encode_ping(session, UINT64_MAX, true, &wire->bytes);
    struct link_in *in = round_trip(wire, 0, LINK_PING);
    assert_true(in->ping.token == UINT64_MAX && in->ping.reply);
    link_encode_ping(session, 0, false, &wire->bytes);
    in = round_trip(wire, 0, LINK_PING);
    assert_true(in->ping.token == 0 && !in->ping.reply);
    link_encode_error(session, 7, SANJI__LINK_FAULT__FAULT_GAP, 99, "a hole", &wire->bytes);
    in = round_trip(wire, 0, LINK_ERROR);
    assert_true(in->channel == 7 && in->error.fault == SANJI__LINK_FAULT__FAULT_GAP && in->error.retry_ms == 99);
    assert_true(bytes_equal(in->error.detail, bytes_of_text("a hole")));
    link_encode_error(session, CORE_CHANNELS, SANJI__LINK_FAULT__FAULT_BUSY, 0, NULL, &wire->bytes);
    in = round_trip(wire, 0, LINK_ERROR);
    assert_true(in->channel == CORE_CHANNELS && in->error.detail.size == 0);
    link_encode_error(0, CORE_CHANNELS, SANJI__LINK_FAULT__FAULT_BUSY, 0, "", &wire->bytes); // before there is a session
    assert_int_equal(decode(wire, 0), OK);
    assert_int_equal(wire->in.session, 0);
}

// ---- each bound

static void pack(struct wire *wire, Sanji__LinkMessage *message, Sanji__LinkMessage__MessageCase type)
{
    message->session = session;
    message->message_case = type;
    codec_pack(message, &wire->bytes);
}

static void assert_refused(struct wire *wire, size_t body_size)
{
    struct link_in before;
    memset(&wire->in, 0x5A, sizeof wire->in);
    memcpy(&before, &wire->in, sizeof before);
    enum error_code code = decode(wire, body_size);
    assert_true(code == ERR_INPUT || code == ERR_LIMIT);
    assert_memory_equal(&wire->in, &before, sizeof before); // untouched
}

static ProtobufCBinaryData zeros(size_t size)
{
    static uint8_t bytes[HEADER_MAX + 1];
    bytes[0] = 1;
    assert_true(size <= sizeof bytes);
    return (ProtobufCBinaryData){size, bytes};
}

static Sanji__Push push_of(uint32_t kind)
{
    Sanji__Push push = SANJI__PUSH__INIT;
    push.stream = SANJI__STREAM__STREAM_DOWN_ALL;
    push.lane = SANJI__LANE__CASE;
    push.generation = 1;
    push.position = 2;
    push.after = 1;
    push.kind = kind;
    push.size = 100;
    if (kind == SANJI__ROW_KIND__ROW_OBJECT) {
        push.object = zeros(HASH_SIZE);
    } else {
        push.header = zeros(10);
        push.signature = zeros(SIGNATURE_SIZE);
    }
    return push;
}

static void pack_push(struct wire *wire, Sanji__Push *push)
{
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    message.push = push;
    pack(wire, &message, SANJI__LINK_MESSAGE__MESSAGE_PUSH);
}

// A push like `push_of`, with one thing changed, and a body of `size` bytes: refused.
#define PUSH_REFUSED(row_kind, body_bytes, change)                                                                                         \
    do {                                                                                                                                   \
        Sanji__Push push = push_of(SANJI__ROW_KIND__ROW_##row_kind);                                                                       \
        push.change;                                                                                                                       \
        pack_push(wire, &push);                                                                                                            \
        assert_refused(wire, body_bytes);                                                                                                  \
    } while (0)

static void fault_44_bounds_of_a_push(void **state)
{
    struct wire *wire = *state;
    Sanji__Push good = push_of(SANJI__ROW_KIND__ROW_BATCH);
    pack_push(wire, &good);
    assert_int_equal(decode(wire, 100), OK);
    good = push_of(SANJI__ROW_KIND__ROW_OBJECT);
    pack_push(wire, &good);
    assert_int_equal(decode(wire, 100), OK);
    PUSH_REFUSED(BATCH, 100, stream = SANJI__STREAM__STREAM_NONE);
    PUSH_REFUSED(BATCH, 100, lane = SANJI__LANE__LANE_NONE);
    PUSH_REFUSED(BATCH, 100, kind = SANJI__ROW_KIND__ROW_NONE);
    PUSH_REFUSED(BATCH, 100, position = 0);
    PUSH_REFUSED(BATCH, 100, header = zeros(0));
    PUSH_REFUSED(BATCH, 100, header = zeros(HEADER_MAX + 1));
    PUSH_REFUSED(BATCH, 100, signature = zeros(0));
    PUSH_REFUSED(BATCH, 100, signature = zeros(SIGNATURE_SIZE - 1));
    PUSH_REFUSED(BATCH, 100, signature = zeros(SIGNATURE_SIZE + 1));
    PUSH_REFUSED(BATCH, 100, object = zeros(HASH_SIZE));
    PUSH_REFUSED(BATCH, 100, size = BATCH_BODY_MAX + 1);
    PUSH_REFUSED(BATCH, 101, size = 100); // more than the row has
    PUSH_REFUSED(BATCH, FRAME_MAX + 1, size = BATCH_BODY_MAX);
    PUSH_REFUSED(OBJECT, 100, size = DOCUMENT_MAX + 1);
    PUSH_REFUSED(OBJECT, 100, object = zeros(0));
    PUSH_REFUSED(OBJECT, 100, object = zeros(HASH_SIZE - 1));
    PUSH_REFUSED(OBJECT, 100, header = zeros(10));
    PUSH_REFUSED(OBJECT, 100, signature = zeros(SIGNATURE_SIZE));
}

static void fault_44_bounds_of_a_later_piece(void **state)
{
    struct wire *wire = *state;
    static const struct {
        uint32_t size, offset;
        size_t body;
        bool header, signature, object, good;
    } pieces[] = {
        {100, 60, 40, false, false, false, true},         {100, 60, 41, false, false, false, false}, // beyond the end
        {100, 100, 0, false, false, false, false},                                                   // nothing
        {100, 101, 0, false, false, false, false},                                                   // behind the end
        {100, UINT32_MAX, 1, false, false, false, false}, {0, 1, 0, false, false, false, false},
        {100, 60, 40, true, false, false, false}, // what belongs to the first
        {100, 60, 40, false, true, false, false},         {100, 60, 40, false, false, true, false},
    };
    for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        Sanji__Push push = push_of(SANJI__ROW_KIND__ROW_OBJECT);
        push.size = pieces[i].size;
        push.offset = pieces[i].offset;
        push.header = zeros(pieces[i].header ? 10 : 0);
        push.signature = zeros(pieces[i].signature ? SIGNATURE_SIZE : 0);
        push.object = zeros(pieces[i].object ? HASH_SIZE : 0);
        pack_push(wire, &push);
        if (pieces[i].good)
            assert_int_equal(decode(wire, pieces[i].body), OK);
        else
            assert_refused(wire, pieces[i].body);
    }
}

static void fault_43_no_document_comes_up(void **state)
{
    struct wire *wire = *state;
    Sanji__Push push = push_of(SANJI__ROW_KIND__ROW_OBJECT);
    push.stream = SANJI__STREAM__STREAM_UP;
    push.size = CERTIFICATE_MAX;
    pack_push(wire, &push);
    assert_int_equal(decode(wire, 100), OK);
    push.size = CERTIFICATE_MAX + 1;
    pack_push(wire, &push);
    assert_refused(wire, 100);
}

static Sanji__Held held_of(void)
{
    Sanji__Held held = SANJI__HELD__INIT;
    held.stream = SANJI__STREAM__STREAM_UP;
    held.lane = SANJI__LANE__CASE;
    held.generation = 1;
    return held;
}

static void pack_hello(struct wire *wire, Sanji__Held *held, size_t count, size_t certificate)
{
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__Hello hello = SANJI__HELLO__INIT;
    Sanji__Held *rows[CORE_CHANNELS + 1];
    assert_true(count <= CORE_CHANNELS + 1);
    for (size_t i = 0; i < count; i++)
        rows[i] = held;
    hello.n_held = count;
    hello.held = rows;
    hello.certificate = zeros(certificate);
    message.hello = &hello;
    pack(wire, &message, SANJI__LINK_MESSAGE__MESSAGE_HELLO);
}

static void bounds_of_a_hello(void **state)
{
    struct wire *wire = *state;
    Sanji__Held held = held_of();
    pack_hello(wire, &held, CORE_CHANNELS, HASH_SIZE);
    assert_int_equal(decode(wire, 0), OK);
    pack_hello(wire, &held, CORE_CHANNELS + 1, HASH_SIZE);
    assert_refused(wire, 0);
    pack_hello(wire, &held, 1, HASH_SIZE + 1);
    assert_refused(wire, 0);
    held.stream = SANJI__STREAM__STREAM_NONE;
    pack_hello(wire, &held, 1, HASH_SIZE);
    assert_refused(wire, 0);
    held = held_of();
    held.lane = SANJI__LANE__LANE_NONE;
    pack_hello(wire, &held, 1, HASH_SIZE);
    assert_refused(wire, 0);
    held = held_of();
    held.staged_header = zeros(HASH_SIZE - 1);
    pack_hello(wire, &held, 1, HASH_SIZE);
    assert_refused(wire, 0);
}

static void pack_heads(struct wire *wire, Sanji__Head *head, size_t count)
{
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__HeadsPage page = SANJI__HEADS_PAGE__INIT;
    Sanji__Head *rows[HEADS_PAGE_MAX + 1];
    assert_true(count <= HEADS_PAGE_MAX + 1);
    for (size_t i = 0; i < count; i++)
        rows[i] = head;
    page.stream = SANJI__STREAM__STREAM_UP;
    page.lane = SANJI__LANE__CASE;
    page.n_heads = count;
    page.heads = rows;
    message.heads = &page;
    pack(wire, &message, SANJI__LINK_MESSAGE__MESSAGE_HEADS);
}

#define HEAD_REFUSED(change)                                                                                                               \
    do {                                                                                                                                   \
        Sanji__Head head = SANJI__HEAD__INIT;                                                                                              \
        Sanji__Feed feed = SANJI__FEED__INIT;                                                                                              \
        feed.station = zeros(STATION_ID_SIZE);                                                                                             \
        feed.lane = SANJI__LANE__CASE;                                                                                                     \
        feed.audience = SANJI__AUDIENCE__UP;                                                                                               \
        head.feed = &feed;                                                                                                                 \
        head.header = zeros(HASH_SIZE);                                                                                                    \
        pack_heads(wire, &head, 1);                                                                                                        \
        assert_int_equal(decode(wire, 0), OK);                                                                                             \
        change;                                                                                                                            \
        pack_heads(wire, &head, 1);                                                                                                        \
        assert_refused(wire, 0);                                                                                                           \
    } while (0)

static void bounds_of_heads(void **state)
{
    struct wire *wire = *state;
    HEAD_REFUSED(head.feed = NULL);
    HEAD_REFUSED(head.header = zeros(HASH_SIZE + 1));
    HEAD_REFUSED(feed.station = zeros(STATION_ID_SIZE - 1));
    HEAD_REFUSED(feed.station = zeros(0));
    HEAD_REFUSED(feed.lane = SANJI__LANE__LANE_NONE);
    HEAD_REFUSED(feed.audience = SANJI__AUDIENCE__AUDIENCE_NONE);
    HEAD_REFUSED(feed.addressee = zeros(STATION_ID_SIZE));  // that nobody is addressed in
    HEAD_REFUSED(feed.audience = SANJI__AUDIENCE__STATION); // without an addressee
    Sanji__Head head = SANJI__HEAD__INIT;
    Sanji__Feed feed = SANJI__FEED__INIT;
    feed.station = zeros(STATION_ID_SIZE);
    feed.lane = SANJI__LANE__CASE;
    feed.audience = SANJI__AUDIENCE__UP;
    head.feed = &feed;
    pack_heads(wire, &head, HEADS_PAGE_MAX);
    assert_int_equal(decode(wire, 0), OK);
    pack_heads(wire, &head, HEADS_PAGE_MAX + 1);
    assert_refused(wire, 0);
}

static void fault_10_a_want(void **state)
{
    struct wire *wire = *state;
    struct link_want batch = {.feed = {.ordinal = 1, .nonce = 7, .lane = 3, .audience = SANJI__AUDIENCE__STATION}, .first = UINT64_MAX};
    struct link_want object = {.is_object = true};
    memset(batch.feed.station.bytes, 1, STATION_ID_SIZE);
    memset(batch.feed.addressee.bytes, 2, STATION_ID_SIZE);
    memset(object.object.bytes, 3, HASH_SIZE);
    link_encode_want(session, &batch, &wire->bytes);
    struct link_in *in = round_trip(wire, 0, LINK_WANT);
    uint8_t sent[FEED_KEY_SIZE], came[FEED_KEY_SIZE];
    feed_key_encode(&batch.feed, sent);
    feed_key_encode(&in->want.feed, came);
    assert_true(!in->want.is_object && in->want.first == UINT64_MAX);
    assert_memory_equal(came, sent, sizeof sent);
    link_encode_want(session, &object, &wire->bytes);
    in = round_trip(wire, 0, LINK_WANT);
    assert_true(in->want.is_object && hash_equal(&in->want.object, &object.object));
    batch.first = 0; // no place
    link_encode_want(session, &batch, &wire->bytes);
    assert_refused(wire, 0);
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__Want want = SANJI__WANT__INIT;
    message.want = &want; // nothing at all; an object of a wrong size; both
    pack(wire, &message, SANJI__LINK_MESSAGE__MESSAGE_WANT);
    assert_refused(wire, 0);
    want.object = (ProtobufCBinaryData){.len = HASH_SIZE - 1, .data = object.object.bytes};
    pack(wire, &message, SANJI__LINK_MESSAGE__MESSAGE_WANT);
    assert_refused(wire, 0);
    want.object.len = HASH_SIZE;
    want.first = 1;
    pack(wire, &message, SANJI__LINK_MESSAGE__MESSAGE_WANT);
    assert_refused(wire, 0);
}

static void signed_heads(void **state)
{
    struct wire *wire = *state;
    uint8_t claim[HEADS_CLAIM_MAX + 1] = {7, 8}, signature[SIGNATURE_SIZE] = {9};
    link_encode_signed_heads(session, bytes_of(claim, HEADS_CLAIM_MAX), signature, &wire->bytes);
    struct link_in *in = round_trip(wire, 0, LINK_SIGNED_HEADS);
    assert_true(bytes_equal(in->signed_heads.claim, bytes_of(claim, HEADS_CLAIM_MAX)));
    assert_true(bytes_equal(in->signed_heads.signature, bytes_of(signature, sizeof signature)));
    link_encode_signed_heads(session, bytes_of(claim, sizeof claim), signature, &wire->bytes); // longer than a claim may be
    assert_refused(wire, 0);
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__SignedHeads heads = SANJI__SIGNED_HEADS__INIT;
    heads.claim = zeros(5);
    heads.signature = zeros(SIGNATURE_SIZE - 1);
    message.session = session;
    message.message_case = SANJI__LINK_MESSAGE__MESSAGE_SIGNED_HEADS;
    message.signed_heads = &heads;
    codec_pack(&message, &wire->bytes);
    assert_refused(wire, 0);
}

static void a_grant(void **state)
{
    struct wire *wire = *state;
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__Grant grant = SANJI__GRANT__INIT;
    Sanji__Head head = SANJI__HEAD__INIT, *heads[] = {&head};
    Sanji__Feed feed = SANJI__FEED__INIT;
    struct head expected = head_of(1, SANJI__AUDIENCE__UP);
    feed.station = (ProtobufCBinaryData){STATION_ID_SIZE, expected.feed.station.bytes};
    feed.ordinal = expected.feed.ordinal;
    feed.nonce = expected.feed.nonce;
    feed.lane = expected.feed.lane;
    feed.audience = SANJI__AUDIENCE__UP;
    head.feed = &feed;
    head.next = expected.next;
    head.bodies = expected.bodies;
    head.header = (ProtobufCBinaryData){HASH_SIZE, expected.last.bytes};
    grant.ordinal = 3;
    grant.n_heads = 1;
    grant.heads = heads;
    message.grant = &grant;
    pack(wire, &message, SANJI__LINK_MESSAGE__MESSAGE_GRANT);
    struct link_in *in = round_trip(wire, 0, LINK_GRANT);
    assert_true(in->grant.ordinal == 3 && in->grant.count == 1);
    assert_head(&in->grant.heads[0], &expected);
    head.feed = NULL;
    pack(wire, &message, SANJI__LINK_MESSAGE__MESSAGE_GRANT);
    assert_refused(wire, 0);
}

static void what_is_no_message(void **state)
{
    struct wire *wire = *state;
    assert_refused(wire, 0); // empty
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    message.session = session;
    codec_pack(&message, &wire->bytes); // no member
    assert_refused(wire, 0);
    Sanji__Ack ack = SANJI__ACK__INIT;
    message.ack = &ack;
    pack(wire, &message, SANJI__LINK_MESSAGE__MESSAGE_ACK); // of no channel
    assert_refused(wire, 0);
    uint8_t *place = buffer_extend(&wire->bytes, MESSAGE_MAX + 1);
    memset(place, 0, MESSAGE_MAX + 1);
    assert_refused(wire, 0);
}

// Whatever is cut or changed, decoding stays inside its bounds (the sanitizers look on) and says so when it refuses.
static void fault_46_every_bit_and_every_cut(void **state)
{
    struct wire *wire = *state;
    struct buffer whole = {0};
    struct head head = head_of(3, SANJI__AUDIENCE__STATION);
    link_encode_heads(session, 4, &head, 1, true, false, &whole);
    for (size_t size = 0; size < whole.size; size++) {
        buffer_append(&wire->bytes, whole.data, size);
        assert_refused(wire, 0);
    }
    uint32_t accepted = 0;
    for (size_t bit = 0; bit < 8 * whole.size; bit++) {
        buffer_append(&wire->bytes, whole.data, whole.size);
        wire->bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        accepted += decode(wire, 0) == OK; // a bit of an id, a hash, a number
    }
    assert_true(accepted > 0 && accepted < 8 * whole.size);
    buffer_finish(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WIRE_TEST(a_hello),
        WIRE_TEST(heads),
        WIRE_TEST(heads_of_a_feed_that_has_none),
        WIRE_TEST(a_push_of_a_batch),
        WIRE_TEST(a_push_of_an_object),
        WIRE_TEST(ack_ping_and_error),
        WIRE_TEST(fault_44_bounds_of_a_push),
        WIRE_TEST(fault_44_bounds_of_a_later_piece),
        WIRE_TEST(fault_43_no_document_comes_up),
        WIRE_TEST(bounds_of_a_hello),
        WIRE_TEST(bounds_of_heads),
        WIRE_TEST(a_grant),
        WIRE_TEST(fault_10_a_want),
        WIRE_TEST(signed_heads),
        WIRE_TEST(what_is_no_message),
        WIRE_TEST(fault_46_every_bit_and_every_cut),
    };
    return cmocka_run_group_tests_name("relay/link_wire", tests, NULL, NULL);
}
