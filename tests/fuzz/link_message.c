// A frame from a peer that ZAP has let in: every kind of link message, decoded as the engine does, and encoded again.
#include "link.pb-c.h"
#include "relay/limits.h"
#include "relay/link_wire.h"
#include "tests/fuzz/repack.h"

// Decoded messages are within the bounds that the core relies on.
static void check(const struct link_in *in)
{
    MUST(in->channel < CORE_CHANNELS || (in->type != LINK_HEADS && in->type != LINK_PUSH && in->type != LINK_ACK));
    MUST(in->type != LINK_ERROR || in->channel <= CORE_CHANNELS);
    const struct core_piece *piece = &in->push.piece;
    if (in->type == LINK_PUSH) {
        MUST(piece->channel == in->channel && piece->offset <= piece->size && piece->length <= piece->size - piece->offset);
        MUST(piece->size <= DOCUMENT_MAX && piece->length <= FRAME_MAX && piece->overhead <= FRAME_MAX);
        MUST(in->push.header.size <= HEADER_MAX && (in->push.signature.size == 0 || in->push.signature.size == SIGNATURE_SIZE));
    }
    if (in->type == LINK_HEADS)
        MUST(in->heads.count <= HEADS_PAGE_MAX);
    if (in->type == LINK_GRANT)
        MUST(in->grant.count <= HEADS_PAGE_MAX);
    if (in->type == LINK_HELLO)
        MUST(in->hello.own_count <= HELLO_OWN_MAX);
    if (in->type == LINK_WANT)
        MUST(in->want.is_object || in->want.first > 0);
    if (in->type == LINK_SIGNED_HEADS)
        MUST(in->signed_heads.claim.size <= HEADS_CLAIM_MAX && in->signed_heads.signature.size == SIGNATURE_SIZE);
}

static void encode(const struct link_in *in, struct buffer *ret)
{
    switch (in->type) {
    case LINK_HEADS:
        link_encode_heads(in->session, in->channel, in->heads.heads, in->heads.count, in->heads.last, in->heads.want, ret);
        break;
    case LINK_ACK:
        link_encode_ack(in->session, in->channel, &in->ack, ret);
        break;
    case LINK_PING:
        link_encode_ping(in->session, in->ping.token, in->ping.reply, ret);
        break;
    case LINK_HELLO:
        link_encode_hello(in->session, &in->hello.hello, &in->hello.certificate, in->hello.codebook, in->hello.units, in->hello.own,
                          in->hello.own_count, ret);
        break;
    case LINK_GRANT:
        link_encode_grant(in->session, in->grant.ordinal, in->grant.heads, in->grant.count, ret);
        break;
    case LINK_WANT:
        link_encode_want(in->session, &in->want, ret);
        break;
    case LINK_SIGNED_HEADS:
        link_encode_signed_heads(in->session, in->signed_heads.claim, in->signed_heads.signature.data, ret);
        break;
    default:
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct codec_limits limits = {.bytes_max = MESSAGE_MAX, .elements_max = 8192};
    struct bytes wire = bytes_of(data, size);
    repack(&sanji__link_message__descriptor, wire, &limits);
    static const size_t bodies[] = {0, 1, 300, FRAME_MIN, FRAME_MAX, FRAME_MAX + 1};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct arena arena = {0};
        struct link_in in;
        struct error error = {0};
        enum error_code code = link_decode(wire, bodies[i], &arena, &in, &error);
        if (code == OK) {
            struct buffer again = {0};
            struct link_in same;
            check(&in);
            encode(&in, &again);
            if (again.size && again.size <= MESSAGE_MAX)
                MUST(link_decode(buffer_bytes(&again), 0, &arena, &same, NULL) == OK && same.type == in.type && same.session == in.session);
            if (in.type == LINK_GRANT || in.type == LINK_WANT)
                MUST(bytes_equal(buffer_bytes(&again), wire));
            buffer_finish(&again);
        } else {
            MUST((code == ERR_INPUT || code == ERR_LIMIT) && error.detail[0]);
        }
        arena_finish(&arena);
    }
    return 0;
}
