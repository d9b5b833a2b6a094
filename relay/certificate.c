#include "relay/certificate.h"

#include "envelope.pb-c.h"
#include "relay/codec.h"
#include "relay/language.h"

enum { CERTIFICATE_FIELDS_MAX = 18 };

static const struct codec_limits wire_limits = {.bytes_max = CERTIFICATE_MAX, .elements_max = 2};
static const struct codec_limits inner_limits = {.bytes_max = CERTIFICATE_MAX, .elements_max = CERTIFICATE_FIELDS_MAX};

static enum error_code fault(struct error *error, const char *field, const char *why)
{
    return error_set(error, ERR_INPUT, tr("certificate: %s: %s", "证书：%s：%s"), field, why);
}

static int32_t from_zigzag(uint64_t value) { return (int32_t)((uint32_t)(value >> 1) ^ (0 - (uint32_t)(value & 1))); }

static enum error_code read_field(const struct codec_field *field, struct certificate *ret, struct error *error)
{
    switch (field->number) {
    case 3:
        return codec_copy(field->bytes, ret->station.bytes, STATION_ID_SIZE, "certificate: station", error);
    case 4:
        return codec_copy_text(field->bytes, ret->unit, UNIT_CODE_MAX, "certificate: unit", error);
    case 5:
        ret->unit_from = (uint32_t)field->value;
        return OK;
    case 6:
        return codec_copy_text(field->bytes, ret->tier, TIER_NAME_MAX, "certificate: tier", error);
    case 7:
        return codec_copy(field->bytes, ret->sign_key.bytes, PUBLIC_KEY_SIZE, "certificate: sign_key", error);
    case 8:
        return codec_copy(field->bytes, ret->seal_key.bytes, PUBLIC_KEY_SIZE, "certificate: seal_key", error);
    case 9:
        return codec_copy(field->bytes, ret->transport_key.bytes, PUBLIC_KEY_SIZE, "certificate: transport_key", error);
    case 10:
        return codec_copy(field->bytes, ret->serial, sizeof ret->serial, "certificate: serial", error);
    case 11:
        return codec_copy(field->bytes, ret->units.bytes, HASH_SIZE, "certificate: units", error);
    case 12:
        ret->term = field->value;
        return OK;
    case 13:
        ret->from_period = from_zigzag(field->value);
        return OK;
    case 14:
        return codec_copy(field->bytes, ret->issuer.bytes, HASH_SIZE, "certificate: issuer", error);
    case 15:
        ret->issued_ms = field->value;
        return OK;
    case 16:
        ret->ordinal = (uint32_t)field->value;
        return OK;
    case 17:
        return codec_copy(field->bytes, ret->predecessor.bytes, HASH_SIZE, "certificate: predecessor", error);
    case 18:
        ret->depth = (uint32_t)field->value;
        return OK;
    default: // format and suite: codec_version()
        return OK;
    }
}

static enum error_code check_keys(const struct certificate *certificate, struct error *error)
{
    static const struct public_key none;
    const struct public_key *sign = &certificate->sign_key, *seal = &certificate->seal_key, *transport = &certificate->transport_key;
    if (memcmp(sign, &none, sizeof none) == 0 || !crypto_sign_key_valid(sign))
        return fault(error, "sign_key", tr("not a key of the main group", "不是主群中的有效密钥"));
    if (!crypto_seal_key_valid(seal))
        return fault(error, "seal_key", tr("missing, or of small order", "缺失或为小阶点"));
    if (!crypto_seal_key_valid(transport))
        return fault(error, "transport_key", tr("missing, or of small order", "缺失或为小阶点"));
    if (memcmp(seal, transport, sizeof *seal) == 0 || memcmp(sign, seal, sizeof *sign) == 0 || memcmp(sign, transport, sizeof *sign) == 0)
        return fault(error, "transport_key", tr("the three keys must differ", "三个密钥必须各不相同"));
    return OK;
}

static enum error_code check_bounds(const struct certificate *certificate, struct error *error)
{
    static const struct station_id no_station;
    static const uint8_t no_serial[sizeof certificate->serial];
    if (station_equal(&certificate->station, &no_station))
        return fault(error, "station", tr("missing", "缺失"));
    if (!certificate->unit[0])
        return fault(error, "unit", tr("missing", "缺失"));
    if (!certificate->tier[0])
        return fault(error, "tier", tr("missing", "缺失"));
    if (memcmp(certificate->serial, no_serial, sizeof no_serial) == 0)
        return fault(error, "serial", tr("missing", "缺失"));
    if (certificate->term == 0)
        return fault(error, "term", tr("begins at 1", "从 1 开始"));
    if (certificate->ordinal == 0)
        return fault(error, "ordinal", tr("begins at 1", "从 1 开始"));
    if (certificate->from_period < 0)
        return fault(error, "from_period", tr("before the year 0", "早于公元 0 年"));
    if (certificate->depth >= DEPTH_MAX)
        return error_set(error, ERR_LIMIT, tr("certificate: depth: %u, at most %d", "证书：depth：%u，上限 %d"), certificate->depth,
                         DEPTH_MAX - 1);
    if (certificate->root != (certificate->depth == 0))
        return fault(error, "depth", tr("0 in a root record, and only there", "必须且只能在根记录中为 0"));
    if (!certificate->root && !hash_is_zero(&certificate->predecessor))
        return fault(error, "predecessor", tr("only in a root record", "只能出现在根记录中"));
    return OK;
}

static enum error_code split(struct bytes wire, struct bytes *ret_inner, struct bytes *ret_signature, struct error *error)
{
    enum error_code code = codec_scan(&sanji__signed_certificate__descriptor, wire, &wire_limits, error);
    if (code)
        return code;
    size_t at = 0;
    struct bytes inner, signature;
    if (!codec_next(wire, 1, &at, &inner))
        return fault(error, "certificate", tr("missing", "缺失"));
    if (!codec_next(wire, 2, &at, &signature) || signature.size != SIGNATURE_SIZE)
        return fault(error, "signature", tr("not 64 bytes", "不是 64 字节"));
    *ret_inner = inner;
    *ret_signature = signature;
    return OK;
}

static enum error_code decode_inner(struct bytes inner, bool held, struct certificate *ret, struct error *error)
{
    enum error_code code = codec_version(inner, error);
    if (!code)
        code = codec_scan(&sanji__certificate__descriptor, inner, &inner_limits, error);
    if (code)
        return code;
    struct certificate certificate = {0};
    uint32_t versions = 0;
    struct codec_field field;
    for (size_t at = 0; !code && codec_walk(inner, &at, &field);) {
        versions += field.number <= 2;
        code = read_field(&field, &certificate, error);
    }
    if (!code && versions != 2)
        code = fault(error, "format", tr("format or suite is missing", "缺少格式或密码套件"));
    certificate.root = hash_is_zero(&certificate.issuer);
    if (!code)
        code = check_bounds(&certificate, error);
    if (!code && !held)
        code = check_keys(&certificate, error);
    if (code)
        return code;
    certificate.hash = crypto_hash(TAG_CERTIFICATE, inner);
    *ret = certificate;
    return OK;
}

static enum error_code decode(struct bytes wire, bool held, struct certificate *ret, struct error *error)
{
    struct bytes inner, signature;
    enum error_code code = split(wire, &inner, &signature, error);
    return code ? code : decode_inner(inner, held, ret, error);
}

enum error_code certificate_decode(struct bytes wire, struct certificate *ret, struct error *error)
{
    return decode(wire, false, ret, error);
}

enum error_code certificate_decode_held(struct bytes wire, struct certificate *ret, struct error *error)
{
    return decode(wire, true, ret, error);
}

static enum error_code forged(struct error *error, const struct certificate *certificate, const char *why)
{
    return error_set(error, ERR_FORGED, tr("certificate for unit %s: %s", "单位 %s 的证书：%s"), certificate->unit, why);
}

enum error_code certificate_check(struct bytes wire, const struct certificate *certificate, const struct certificate *issuer,
                                  struct error *error)
{
    struct bytes inner = {0}, signature = {0};
    enum error_code code = split(wire, &inner, &signature, error);
    if (code)
        return code;
    struct hash hash = crypto_hash(TAG_CERTIFICATE, inner);
    if (!hash_equal(&hash, &certificate->hash))
        return forged(error, certificate, tr("not the bytes that were decoded", "并非已解码的字节"));
    const struct hash *named = certificate->root ? &certificate->predecessor : &certificate->issuer;
    if (!issuer && !(certificate->root && hash_is_zero(named)))
        return forged(error, certificate, tr("needs its issuer", "需要签发者证书"));
    if (issuer && !hash_equal(named, &issuer->hash))
        return forged(error, certificate, tr("names another issuer", "指明了另一签发者"));
    if (issuer && certificate->root && !issuer->root)
        return forged(error, certificate, tr("a root record follows a root record only", "根记录只能承接根记录"));
    if (issuer && certificate->term <= issuer->term)
        return forged(error, certificate, tr("its term is not above its issuer's", "任期未高于签发者"));
    if (issuer && !certificate->root && certificate->depth <= issuer->depth)
        return forged(error, certificate, tr("its depth is not below its issuer's", "层级未低于签发者"));
    const struct public_key *key = issuer ? &issuer->sign_key : &certificate->sign_key;
    if (!crypto_verify(key, TAG_SIGN_CERTIFICATE, inner, signature.data))
        return forged(error, certificate, tr("the signature is not its issuer's", "签名不属于签发者"));
    return OK;
}

static ProtobufCBinaryData binary(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return (ProtobufCBinaryData){size, (uint8_t *)bytes};
    return (ProtobufCBinaryData){0};
}

static void pack_inner(struct certificate *draft, struct buffer *ret)
{
    Sanji__Certificate message = SANJI__CERTIFICATE__INIT;
    message.format = 1;
    message.suite = 1;
    message.station = binary(draft->station.bytes, STATION_ID_SIZE);
    message.unit = draft->unit;
    message.unit_from = draft->unit_from;
    message.tier = draft->tier;
    message.sign_key = binary(draft->sign_key.bytes, PUBLIC_KEY_SIZE);
    message.seal_key = binary(draft->seal_key.bytes, PUBLIC_KEY_SIZE);
    message.transport_key = binary(draft->transport_key.bytes, PUBLIC_KEY_SIZE);
    message.serial = binary(draft->serial, sizeof draft->serial);
    message.units = binary(draft->units.bytes, HASH_SIZE);
    message.term = draft->term;
    message.from_period = draft->from_period;
    message.issuer = binary(draft->issuer.bytes, HASH_SIZE);
    message.issued_ms = draft->issued_ms;
    message.ordinal = draft->ordinal;
    message.predecessor = binary(draft->predecessor.bytes, HASH_SIZE);
    message.depth = draft->depth;
    codec_pack(&message, ret);
}

// Signs the draft as it stands and proves the result as a receiver would.
static enum error_code sign(struct certificate *draft, const struct certificate *issuer, const struct secret_key *key, struct buffer *ret,
                            struct error *error)
{
    struct buffer inner = {0};
    pack_inner(draft, &inner);
    uint8_t signature[SIGNATURE_SIZE] = {0};
    if (!inner.failed && inner.size <= CERTIFICATE_MAX)
        crypto_sign(key, TAG_SIGN_CERTIFICATE, buffer_bytes(&inner), signature);
    Sanji__SignedCertificate message = SANJI__SIGNED_CERTIFICATE__INIT;
    message.certificate = (ProtobufCBinaryData){inner.size, inner.data};
    message.signature = (ProtobufCBinaryData){SIGNATURE_SIZE, signature};
    size_t begin = ret->size;
    if (!inner.failed)
        codec_pack(&message, ret);
    enum error_code code = OK;
    struct certificate made;
    if (inner.failed || ret->failed) {
        code = error_set(error, ERR_MEMORY, "%s", tr("no memory for a certificate", "内存不足，无法签发证书"));
    } else {
        struct bytes wire = bytes_of(ret->data + begin, ret->size - begin);
        code = certificate_decode(wire, &made, error);
        if (!code)
            code = certificate_check(wire, &made, issuer, error);
    }
    if (code)
        ret->size = begin;
    else
        *draft = made;
    buffer_finish(&inner);
    return code;
}

enum error_code certificate_issue(struct certificate *draft, const struct certificate *issuer, const struct secret_key *key,
                                  struct buffer *ret, struct error *error)
{
    draft->issuer = issuer ? issuer->hash : (struct hash){0};
    draft->predecessor = (struct hash){0};
    return sign(draft, issuer, key, ret, error);
}

enum error_code certificate_succeed(struct certificate *draft, const struct certificate *predecessor, const struct secret_key *key,
                                    struct buffer *ret, struct error *error)
{
    draft->issuer = (struct hash){0};
    draft->predecessor = predecessor->hash;
    return sign(draft, predecessor, key, ret, error);
}
