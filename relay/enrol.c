#include "relay/enrol.h"

#include "relay/language.h"
#include "trust.pb-c.h"

enum { SIGNED_SIZE = TOKEN_SECRET_SIZE + STATION_ID_SIZE + 3 * PUBLIC_KEY_SIZE };

static const struct codec_limits request_limits = {.bytes_max = JOIN_REQUEST_MAX, .elements_max = 7};
static const struct codec_limits reply_limits = {.bytes_max = JOIN_REPLY_MAX, .elements_max = 10 + CHAIN_MAX};

static ProtobufCBinaryData binary(const void *data, size_t size) { return (ProtobufCBinaryData){size, (uint8_t *)data}; }
static ProtobufCBinaryData binary_span(struct bytes bytes) { return (ProtobufCBinaryData){bytes.size, (uint8_t *)bytes.data}; }

static enum error_code fault(struct error *error, const char *field, const char *why)
{
    return error_set(error, ERR_INPUT, "%s: %s", field, why);
}

// ---- request

static void signed_part(const struct join_request *request, uint8_t ret[SIGNED_SIZE])
{
    uint8_t *place = ret;
    memcpy(place, request->secret, TOKEN_SECRET_SIZE);
    place += TOKEN_SECRET_SIZE;
    memcpy(place, request->station.bytes, STATION_ID_SIZE);
    place += STATION_ID_SIZE;
    memcpy(place, request->sign_key.bytes, PUBLIC_KEY_SIZE);
    memcpy(place + PUBLIC_KEY_SIZE, request->seal_key.bytes, PUBLIC_KEY_SIZE);
    memcpy(place + 2 * PUBLIC_KEY_SIZE, request->transport_key.bytes, PUBLIC_KEY_SIZE);
}

enum error_code join_request_sign(const struct identity *identity, const uint8_t secret[TOKEN_SECRET_SIZE], const char *listen,
                                  struct join_request *ret, struct error *error)
{
    struct join_request request = {
        .station = identity->station,
        .sign_key = identity->sign.public_key,
        .seal_key = identity->seal.public_key,
        .transport_key = identity->transport.public_key,
    };
    memcpy(request.secret, secret, TOKEN_SECRET_SIZE);
    enum error_code code = codec_copy_text(bytes_of_text(listen), request.listen, ADDRESS_MAX, "join request: listen", error);
    if (code)
        return code;
    uint8_t part[SIGNED_SIZE];
    signed_part(&request, part);
    crypto_sign(&identity->sign.secret_key, TAG_SIGN_JOIN, bytes_of(part, sizeof part), request.signature);
    crypto_wipe(part, sizeof part);
    *ret = request;
    return OK;
}

enum error_code join_request_check(const struct join_request *request, struct error *error)
{
    if (!crypto_sign_key_valid(&request->sign_key))
        return fault(error, "sign_key", tr("not a key of the main group", "不是主群中的有效密钥"));
    if (!crypto_seal_key_valid(&request->seal_key))
        return fault(error, "seal_key", tr("of small order", "为小阶点"));
    if (!crypto_seal_key_valid(&request->transport_key))
        return fault(error, "transport_key", tr("of small order", "为小阶点"));
    uint8_t part[SIGNED_SIZE];
    signed_part(request, part);
    bool valid = crypto_verify(&request->sign_key, TAG_SIGN_JOIN, bytes_of(part, sizeof part), request->signature);
    crypto_wipe(part, sizeof part);
    if (!valid)
        return error_set(error, ERR_FORGED, "%s", tr("join request: the signature is not by its own key", "入网请求：签名与其密钥不符"));
    return OK;
}

void join_request_pack(const struct join_request *request, struct buffer *ret)
{
    Sanji__JoinRequest message = SANJI__JOIN_REQUEST__INIT;
    message.secret = binary(request->secret, TOKEN_SECRET_SIZE);
    message.station = binary(request->station.bytes, STATION_ID_SIZE);
    message.sign_key = binary(request->sign_key.bytes, PUBLIC_KEY_SIZE);
    message.seal_key = binary(request->seal_key.bytes, PUBLIC_KEY_SIZE);
    message.transport_key = binary(request->transport_key.bytes, PUBLIC_KEY_SIZE);
    message.signature = binary(request->signature, SIGNATURE_SIZE);
    message.listen = (char *)request->listen;
    codec_pack(&message, ret);
}

static enum error_code read_request(const struct codec_field *field, struct join_request *ret, struct error *error)
{
    switch (field->number) {
    case 1:
        return codec_copy(field->bytes, ret->secret, TOKEN_SECRET_SIZE, "join request: secret", error);
    case 2:
        return codec_copy(field->bytes, ret->station.bytes, STATION_ID_SIZE, "join request: station", error);
    case 3:
        return codec_copy(field->bytes, ret->sign_key.bytes, PUBLIC_KEY_SIZE, "join request: sign_key", error);
    case 4:
        return codec_copy(field->bytes, ret->seal_key.bytes, PUBLIC_KEY_SIZE, "join request: seal_key", error);
    case 5:
        return codec_copy(field->bytes, ret->transport_key.bytes, PUBLIC_KEY_SIZE, "join request: transport_key", error);
    case 6:
        return codec_copy(field->bytes, ret->signature, SIGNATURE_SIZE, "join request: signature", error);
    default:
        return codec_copy_text(field->bytes, ret->listen, ADDRESS_MAX, "join request: listen", error);
    }
}

enum error_code join_request_unpack(struct bytes wire, struct join_request *ret, struct error *error)
{
    enum error_code code = codec_scan(&sanji__join_request__descriptor, wire, &request_limits, error);
    struct join_request request = {0};
    uint32_t seen = 0;
    struct codec_field field;
    for (size_t at = 0; !code && codec_walk(wire, &at, &field);) {
        seen |= 1u << field.number;
        code = read_request(&field, &request, error);
    }
    if (code)
        return code;
    static const char *const names[] = {"", "secret", "station", "sign_key", "seal_key", "transport_key", "signature"};
    for (unsigned i = 1; i < sizeof names / sizeof *names; i++)
        if (!(seen & 1u << i))
            return fault(error, names[i], tr("missing", "缺失"));
    *ret = request;
    return OK;
}

// ---- reply

enum error_code join_reply_pack(const struct join_reply *reply, struct buffer *ret, struct error *error)
{
    if (reply->chain_count > CHAIN_MAX)
        return error_set(error, ERR_LIMIT, tr("join reply: a chain of %u, at most %d", "入网应答：证书链长 %u，上限 %d"),
                         reply->chain_count, CHAIN_MAX);
    ProtobufCBinaryData chain[CHAIN_MAX];
    for (uint32_t i = 0; i < reply->chain_count; i++)
        chain[i] = binary_span(reply->chain[i]);
    Sanji__JoinReply message = SANJI__JOIN_REPLY__INIT;
    message.error = (char *)reply->refusal;
    message.certificate = binary_span(reply->certificate);
    message.n_chain = reply->chain_count;
    message.chain = chain;
    message.link = (char *)reply->link;
    message.codebook = binary_span(reply->codebook);
    message.units = binary_span(reply->units);
    message.codebook_version = reply->codebook_version;
    message.units_version = reply->units_version;
    message.error_zh = (char *)reply->refusal_zh;
    message.above_link = (char *)reply->above_link;
    message.above_join = (char *)reply->above_join;
    size_t begin = ret->size;
    codec_pack(&message, ret);
    if (ret->failed)
        return error_set(error, ERR_MEMORY, "%s", tr("no memory for a join reply", "内存不足，无法生成入网应答"));
    struct join_reply again;
    enum error_code code = join_reply_unpack(bytes_of(ret->data + begin, ret->size - begin), &again, error);
    if (code)
        ret->size = begin;
    return code;
}

static enum error_code copy_span(struct bytes bytes, size_t max, const char *field, struct bytes *ret, struct error *error)
{
    if (bytes.size > max)
        return error_set(error, ERR_LIMIT, tr("join reply: %s: %zu bytes, at most %zu", "入网应答：%s：%zu 字节，上限 %zu"), field,
                         bytes.size, max);
    *ret = bytes;
    return OK;
}

static enum error_code read_reply(const struct codec_field *field, struct join_reply *ret, struct error *error)
{
    switch (field->number) {
    case 1:
        return codec_copy_text(field->bytes, ret->refusal, JOIN_ERROR_MAX, "join reply: error", error);
    case 2:
        return copy_span(field->bytes, CERTIFICATE_MAX, "certificate", &ret->certificate, error);
    case 3:
        if (ret->chain_count == CHAIN_MAX)
            return error_set(error, ERR_LIMIT, tr("join reply: a chain longer than %d", "入网应答：证书链超过 %d"), CHAIN_MAX);
        return copy_span(field->bytes, CERTIFICATE_MAX, "chain", &ret->chain[ret->chain_count++], error);
    case 4:
        return codec_copy_text(field->bytes, ret->link, ADDRESS_MAX, "join reply: link", error);
    case 5:
        return copy_span(field->bytes, DOCUMENT_MAX, "codebook", &ret->codebook, error);
    case 6:
        return copy_span(field->bytes, DOCUMENT_MAX, "units", &ret->units, error);
    case 7:
        ret->codebook_version = (uint32_t)field->value;
        return OK;
    case 8:
        ret->units_version = (uint32_t)field->value;
        return OK;
    case 9:
        return codec_copy_text(field->bytes, ret->refusal_zh, JOIN_ERROR_MAX, "join reply: error_zh", error);
    case 10:
        return codec_copy_text(field->bytes, ret->above_link, ADDRESS_MAX, "join reply: above_link", error);
    default:
        return codec_copy_text(field->bytes, ret->above_join, ADDRESS_MAX, "join reply: above_join", error);
    }
}

enum error_code join_reply_unpack(struct bytes wire, struct join_reply *ret, struct error *error)
{
    enum error_code code = codec_scan(&sanji__join_reply__descriptor, wire, &reply_limits, error);
    struct join_reply reply = {0};
    bool has_more = false; // than a refusal
    struct codec_field field;
    for (size_t at = 0; !code && codec_walk(wire, &at, &field);) {
        has_more |= field.number != 1 && field.number != 9;
        code = read_reply(&field, &reply, error);
    }
    if (code)
        return code;
    if (reply.refusal[0] && has_more)
        return fault(error, "error", tr("a refusal with more than its reason", "拒绝应答不应含其他内容"));
    if (!reply.refusal[0] && reply.refusal_zh[0])
        return fault(error, "error", tr("missing", "缺失"));
    if (!reply.refusal[0] && (!reply.certificate.size || !reply.chain_count || !reply.link[0]))
        return fault(error, reply.certificate.size ? reply.chain_count ? "link" : "chain" : "certificate", tr("missing", "缺失"));
    *ret = reply;
    return OK;
}
