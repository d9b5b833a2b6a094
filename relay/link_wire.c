#include "relay/link_wire.h"

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "relay/language.h"

static const struct codec_limits link_limits = {
    .bytes_max = MESSAGE_MAX,
    .elements_max = 4 * HEADS_PAGE_MAX * 8, // a page of heads: each a message with a feed, about a dozen fields
};

static bool copy_hash(const ProtobufCBinaryData *from, struct hash *ret)
{
    if (from->len != HASH_SIZE)
        return from->len == 0;
    memcpy(ret->bytes, from->data, HASH_SIZE);
    return true;
}

static ProtobufCBinaryData binary(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)(uintptr_t)data};
}

static ProtobufCBinaryData hash_binary(const struct hash *hash)
{
    return hash_is_zero(hash) ? binary(NULL, 0) : binary(hash->bytes, HASH_SIZE);
}

static bool channel_of(unsigned stream, unsigned lane, unsigned *ret)
{
    if (stream < 1 || stream > CORE_STREAMS || lane < 1 || lane > LANES)
        return false;
    *ret = core_channel(stream, lane);
    return true;
}

// ---- feeds and heads

static bool feed_in(const Sanji__Feed *from, struct feed_key *ret)
{
    if (!from || from->station.len != STATION_ID_SIZE || from->lane < SANJI__LANE__URGENT || from->lane > SANJI__LANE__BULK ||
        from->audience < SANJI__AUDIENCE__UP || from->audience > SANJI__AUDIENCE__STATION)
        return false;
    bool addressed = from->audience == SANJI__AUDIENCE__STATION;
    if (from->addressee.len != (addressed ? STATION_ID_SIZE : 0))
        return false;
    *ret =
        (struct feed_key){.ordinal = from->ordinal, .nonce = from->nonce, .lane = (uint8_t)from->lane, .audience = (uint8_t)from->audience};
    memcpy(ret->station.bytes, from->station.data, STATION_ID_SIZE);
    if (addressed)
        memcpy(ret->addressee.bytes, from->addressee.data, STATION_ID_SIZE);
    return true;
}

static bool heads_in(Sanji__Head **from, size_t count, struct arena *arena, const struct head **ret)
{
    struct head *heads = arena_alloc(arena, (count ? count : 1) * sizeof *heads);
    if (!heads || count > HEADS_PAGE_MAX)
        return false;
    for (size_t i = 0; i < count; i++) {
        heads[i] = (struct head){.next = from[i]->next, .bodies = from[i]->bodies};
        if (!feed_in(from[i]->feed, &heads[i].feed) || !copy_hash(&from[i]->header, &heads[i].last))
            return false;
    }
    *ret = heads;
    return true;
}

// ---- decoding

static bool hello_in(const Sanji__Hello *from, uint64_t session, struct arena *arena, struct link_in *ret)
{
    struct core_hello *hello = &ret->hello.hello;
    *hello = (struct core_hello){
        .version_min = from->version_min,
        .version_max = from->version_max,
        .session = session,
        .credit_bytes = from->credit_bytes,
        .ordinal = from->ordinal,
        .nonce = from->nonce,
        .starts = from->starts,
        .number = from->number,
        .reply = from->reply,
        .wants_incarnation = from->wants_incarnation,
    };
    ret->hello.codebook = from->codebook;
    ret->hello.units = from->units;
    if (!copy_hash(&from->certificate, &ret->hello.certificate) || from->n_held > CORE_CHANNELS)
        return false;
    for (size_t i = 0; i < from->n_held; i++) {
        const Sanji__Held *held = from->held[i];
        unsigned channel;
        if (!channel_of(held->stream, held->lane, &channel))
            return false;
        hello->held[channel] = (struct core_mark){.generation = held->generation, .headers = held->headers, .bodies = held->bodies};
        hello->staged[channel].position = held->staged_position;
        hello->staged[channel].offset = held->staged_offset;
        if (!copy_hash(&held->staged_header, &hello->staged[channel].header))
            return false;
    }
    if (from->n_own > (from->wants_incarnation || from->reply ? HELLO_OWN_MAX : 0))
        return false;
    ret->hello.own_count = (uint32_t)from->n_own;
    return heads_in(from->own, from->n_own, arena, &ret->hello.own);
}

static bool push_in(const Sanji__Push *from, size_t body_size, struct link_in *ret)
{
    struct core_piece *piece = &ret->push.piece;
    bool is_object = from->kind == SANJI__ROW_KIND__ROW_OBJECT;
    if (!channel_of(from->stream, from->lane, &ret->channel) || (!is_object && from->kind != SANJI__ROW_KIND__ROW_BATCH))
        return false;
    // Documents only travel down: what a child can make its parent assemble stays small.
    uint32_t object_max = from->stream == SANJI__STREAM__STREAM_UP ? CERTIFICATE_MAX : DOCUMENT_MAX;
    if (from->header.len > HEADER_MAX || body_size > FRAME_MAX || from->size > (is_object ? object_max : BATCH_BODY_MAX))
        return false;
    if (body_size > from->size || from->offset > from->size - body_size || from->position == 0)
        return false;
    bool first = from->offset == 0;
    if (first && !is_object && (from->header.len == 0 || from->signature.len != SIGNATURE_SIZE))
        return false;
    if (first && is_object && (from->object.len != HASH_SIZE || from->header.len || from->signature.len))
        return false;
    if (from->object.len && (!first || !is_object))
        return false;
    if (!first && (body_size == 0 || from->header.len || from->signature.len))
        return false;
    *piece = (struct core_piece){
        .channel = ret->channel,
        .generation = from->generation,
        .after = from->after,
        .position = from->position,
        .size = from->size,
        .offset = from->offset,
        .length = (uint32_t)body_size,
        .overhead = (uint32_t)(from->header.len + from->signature.len),
    };
    ret->push.is_object = is_object;
    ret->push.header = bytes_of(from->header.data, from->header.len);
    ret->push.signature = bytes_of(from->signature.data, from->signature.len);
    if (first && is_object)
        memcpy(piece->name.bytes, from->object.data, HASH_SIZE);
    else if (first)
        piece->name = crypto_hash(TAG_HEADER, ret->push.header);
    return true;
}

static bool want_in(const Sanji__Want *from, struct link_want *ret)
{
    *ret = (struct link_want){.is_object = from->object.len > 0, .first = from->first};
    if (ret->is_object)
        return !from->feed && from->first == 0 && from->object.len == HASH_SIZE && copy_hash(&from->object, &ret->object);
    return from->first > 0 && feed_in(from->feed, &ret->feed);
}

static bool message_in(const Sanji__LinkMessage *from, size_t body_size, struct arena *arena, struct link_in *ret)
{
    ret->session = from->session;
    switch (from->message_case) {
    case SANJI__LINK_MESSAGE__MESSAGE_HELLO:
        ret->type = LINK_HELLO;
        return hello_in(from->hello, from->session, arena, ret);
    case SANJI__LINK_MESSAGE__MESSAGE_HEADS:
        ret->type = LINK_HEADS;
        ret->heads.last = from->heads->last;
        ret->heads.want = from->heads->want;
        ret->heads.count = (uint32_t)from->heads->n_heads;
        return channel_of(from->heads->stream, from->heads->lane, &ret->channel) &&
               heads_in(from->heads->heads, from->heads->n_heads, arena, &ret->heads.heads);
    case SANJI__LINK_MESSAGE__MESSAGE_PUSH:
        ret->type = LINK_PUSH;
        return push_in(from->push, body_size, ret);
    case SANJI__LINK_MESSAGE__MESSAGE_ACK: {
        const Sanji__Ack *ack = from->ack;
        ret->type = LINK_ACK;
        ret->ack.generation = ack->generation;
        ret->ack.headers = ack->headers;
        ret->ack.bodies = ack->bodies;
        ret->ack.credit_bytes = ack->credit_bytes;
        ret->ack.received_position = ack->received_position;
        ret->ack.received_offset = ack->received_offset;
        return channel_of(ack->stream, ack->lane, &ret->channel);
    }
    case SANJI__LINK_MESSAGE__MESSAGE_PING:
        ret->type = LINK_PING;
        ret->ping.token = from->ping->token;
        ret->ping.reply = from->ping->reply;
        return true;
    case SANJI__LINK_MESSAGE__MESSAGE_ERROR:
        ret->type = LINK_ERROR;
        ret->error.fault = from->error->fault;
        ret->error.retry_ms = from->error->retry_ms;
        ret->error.detail = bytes_of_text(from->error->detail);
        if (!channel_of(from->error->stream, from->error->lane, &ret->channel))
            ret->channel = CORE_CHANNELS;
        return true;
    case SANJI__LINK_MESSAGE__MESSAGE_GRANT:
        ret->type = LINK_GRANT;
        ret->grant.ordinal = from->grant->ordinal;
        ret->grant.count = (uint32_t)from->grant->n_heads;
        return heads_in(from->grant->heads, from->grant->n_heads, arena, &ret->grant.heads);
    case SANJI__LINK_MESSAGE__MESSAGE_WANT:
        ret->type = LINK_WANT;
        return want_in(from->want, &ret->want);
    case SANJI__LINK_MESSAGE__MESSAGE_SIGNED_HEADS:
        ret->type = LINK_SIGNED_HEADS;
        ret->signed_heads.claim = bytes_of(from->signed_heads->claim.data, from->signed_heads->claim.len);
        ret->signed_heads.signature = bytes_of(from->signed_heads->signature.data, from->signed_heads->signature.len);
        return ret->signed_heads.claim.size <= HEADS_CLAIM_MAX && ret->signed_heads.signature.size == SIGNATURE_SIZE;
    default:
        return false;
    }
}

enum error_code link_decode(struct bytes wire, size_t body_size, struct arena *arena, struct link_in *ret, struct error *error)
{
    void *message;
    enum error_code code = codec_unpack(&sanji__link_message__descriptor, wire, &link_limits, arena, &message, error);
    if (code != OK)
        return code;
    struct link_in in = {0};
    if (!message_in(message, body_size, arena, &in))
        return error_set(error, ERR_INPUT, "%s", tr("a link message breaks its bounds", "链路消息超出其界限"));
    *ret = in;
    return OK;
}

// ---- encoding

static void feed_out(const struct feed_key *from, Sanji__Feed *ret)
{
    sanji__feed__init(ret);
    ret->station = binary(from->station.bytes, STATION_ID_SIZE);
    ret->ordinal = from->ordinal;
    ret->nonce = from->nonce;
    ret->lane = from->lane;
    ret->audience = from->audience;
    if (from->audience == SANJI__AUDIENCE__STATION)
        ret->addressee = binary(from->addressee.bytes, STATION_ID_SIZE);
}

static void finish(Sanji__LinkMessage *message, Sanji__LinkMessage__MessageCase type, uint64_t session, struct buffer *ret)
{
    message->session = session;
    message->message_case = type;
    codec_pack(message, ret);
}

// A list of heads to be packed, in the caller's memory.
struct heads_out {
    Sanji__Head rows[HEADS_PAGE_MAX], *pointers[HEADS_PAGE_MAX];
    Sanji__Feed feeds[HEADS_PAGE_MAX];
};

static Sanji__Head **heads_out(const struct head *heads, uint32_t count, struct heads_out *out)
{
    for (uint32_t i = 0; i < count; i++) {
        sanji__head__init(&out->rows[i]);
        feed_out(&heads[i].feed, &out->feeds[i]);
        out->rows[i].feed = &out->feeds[i];
        out->rows[i].next = heads[i].next;
        out->rows[i].header = hash_binary(&heads[i].last);
        out->rows[i].bodies = heads[i].bodies;
        out->pointers[i] = &out->rows[i];
    }
    return out->pointers;
}

void link_encode_hello(uint64_t session, const struct core_hello *from, const struct hash *certificate, uint32_t codebook, uint32_t units,
                       const struct head *own, uint32_t own_count, struct buffer *ret)
{
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__Hello hello = SANJI__HELLO__INIT;
    Sanji__Held held[CORE_CHANNELS], *rows[CORE_CHANNELS];
    struct heads_out heads;
    hello.version_min = from->version_min;
    hello.version_max = from->version_max;
    hello.certificate = hash_binary(certificate);
    hello.session = session;
    hello.codebook = codebook;
    hello.units = units;
    hello.ordinal = from->ordinal;
    hello.nonce = from->nonce;
    hello.starts = from->starts;
    hello.number = from->number;
    hello.credit_bytes = from->credit_bytes;
    hello.reply = from->reply;
    hello.wants_incarnation = from->wants_incarnation;
    for (unsigned i = 0; i < CORE_CHANNELS; i++) {
        if (from->held[i].generation == 0 && from->staged[i].position == 0)
            continue;
        Sanji__Held *row = &held[hello.n_held];
        sanji__held__init(row);
        row->stream = core_channel_stream(i);
        row->lane = core_channel_lane(i);
        row->generation = from->held[i].generation;
        row->headers = from->held[i].headers;
        row->bodies = from->held[i].bodies;
        row->staged_position = from->staged[i].position;
        row->staged_offset = from->staged[i].offset;
        if (from->staged[i].position)
            row->staged_header = hash_binary(&from->staged[i].header);
        rows[hello.n_held++] = row;
    }
    hello.held = rows;
    hello.own = heads_out(own, own_count < HELLO_OWN_MAX ? own_count : HELLO_OWN_MAX, &heads);
    hello.n_own = own_count < HELLO_OWN_MAX ? own_count : HELLO_OWN_MAX;
    message.hello = &hello;
    finish(&message, SANJI__LINK_MESSAGE__MESSAGE_HELLO, session, ret);
}

void link_encode_heads(uint64_t session, unsigned channel, const struct head *heads, uint32_t count, bool last, bool want,
                       struct buffer *ret)
{
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__HeadsPage page = SANJI__HEADS_PAGE__INIT;
    struct heads_out rows;
    page.stream = core_channel_stream(channel);
    page.lane = core_channel_lane(channel);
    page.n_heads = count < HEADS_PAGE_MAX ? count : HEADS_PAGE_MAX;
    page.heads = heads_out(heads, (uint32_t)page.n_heads, &rows);
    page.last = last;
    page.want = want;
    message.heads = &page;
    finish(&message, SANJI__LINK_MESSAGE__MESSAGE_HEADS, session, ret);
}

void link_encode_grant(uint64_t session, uint32_t ordinal, const struct head *heads, uint32_t count, struct buffer *ret)
{
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__Grant grant = SANJI__GRANT__INIT;
    struct heads_out rows;
    grant.ordinal = ordinal;
    grant.n_heads = count < HEADS_PAGE_MAX ? count : HEADS_PAGE_MAX;
    grant.heads = heads_out(heads, (uint32_t)grant.n_heads, &rows);
    message.grant = &grant;
    finish(&message, SANJI__LINK_MESSAGE__MESSAGE_GRANT, session, ret);
}

void link_encode_push(uint64_t session, const struct link_push *from, struct buffer *ret)
{
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__Push push = SANJI__PUSH__INIT;
    push.stream = core_channel_stream(from->channel);
    push.lane = core_channel_lane(from->channel);
    push.generation = from->generation;
    push.after = from->after;
    push.position = from->position;
    push.kind = from->is_object ? SANJI__ROW_KIND__ROW_OBJECT : SANJI__ROW_KIND__ROW_BATCH;
    push.size = from->size;
    push.offset = from->offset;
    push.bodiless = from->bodiless;
    if (from->offset == 0 && from->is_object)
        push.object = binary(from->object.bytes, HASH_SIZE);
    if (from->offset == 0 && !from->is_object) {
        push.header = binary(from->header.data, from->header.size);
        push.signature = binary(from->signature.data, from->signature.size);
    }
    message.push = &push;
    finish(&message, SANJI__LINK_MESSAGE__MESSAGE_PUSH, session, ret);
}

void link_encode_ack(uint64_t session, unsigned channel, const struct core_ack *from, struct buffer *ret)
{
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__Ack ack = SANJI__ACK__INIT;
    ack.stream = core_channel_stream(channel);
    ack.lane = core_channel_lane(channel);
    ack.generation = from->generation;
    ack.headers = from->headers;
    ack.bodies = from->bodies;
    ack.credit_bytes = from->credit_bytes;
    ack.received_position = from->received_position;
    ack.received_offset = from->received_offset;
    message.ack = &ack;
    finish(&message, SANJI__LINK_MESSAGE__MESSAGE_ACK, session, ret);
}

void link_encode_signed_heads(uint64_t session, struct bytes claim, const uint8_t *signature, struct buffer *ret)
{
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__SignedHeads heads = SANJI__SIGNED_HEADS__INIT;
    heads.claim = binary(claim.data, claim.size);
    heads.signature = binary(signature, SIGNATURE_SIZE);
    message.signed_heads = &heads;
    finish(&message, SANJI__LINK_MESSAGE__MESSAGE_SIGNED_HEADS, session, ret);
}

void link_encode_ping(uint64_t session, uint64_t token, bool reply, struct buffer *ret)
{
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__Ping ping = SANJI__PING__INIT;
    ping.token = token;
    ping.reply = reply;
    message.ping = &ping;
    finish(&message, SANJI__LINK_MESSAGE__MESSAGE_PING, session, ret);
}

void link_encode_want(uint64_t session, const struct link_want *want, struct buffer *ret)
{
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__Want row = SANJI__WANT__INIT;
    Sanji__Feed feed;
    if (want->is_object) {
        row.object = binary(want->object.bytes, HASH_SIZE);
    } else {
        feed_out(&want->feed, &feed);
        row.feed = &feed;
        row.first = want->first;
    }
    message.want = &row;
    finish(&message, SANJI__LINK_MESSAGE__MESSAGE_WANT, session, ret);
}

void link_encode_error(uint64_t session, unsigned channel, uint32_t fault, uint32_t retry_ms, const char *detail, struct buffer *ret)
{
    Sanji__LinkMessage message = SANJI__LINK_MESSAGE__INIT;
    Sanji__LinkError error = SANJI__LINK_ERROR__INIT;
    error.fault = fault;
    error.retry_ms = retry_ms;
    if (channel < CORE_CHANNELS) {
        error.stream = core_channel_stream(channel);
        error.lane = core_channel_lane(channel);
    }
    if (detail && *detail)
        error.detail = (char *)(uintptr_t)detail;
    message.error = &error;
    finish(&message, SANJI__LINK_MESSAGE__MESSAGE_ERROR, session, ret);
}
