#include "relay/header.h"

#include "envelope.pb-c.h"
#include "relay/language.h"

enum {
    HEAD_ELEMENTS_MAX = 4 + 6, // fields of Head and of its Feed
    HEADER_ELEMENTS_MAX = 12 + 6 + FOLLOWS_MAX * (1 + HEAD_ELEMENTS_MAX),
    HEAD_MAX = 128, // bytes: 108 with every field at its longest
};

static const struct codec_limits header_limits = {.bytes_max = HEADER_MAX, .elements_max = HEADER_ELEMENTS_MAX};
static const struct codec_limits head_limits = {.bytes_max = HEAD_MAX, .elements_max = HEAD_ELEMENTS_MAX};

static enum error_code fault(struct error *error, const char *field, const char *why)
{
    return error_set(error, ERR_INPUT, tr("%s: %s", "%s：%s"), field, why);
}

// ---- feeds and heads, of bytes already scanned

static enum error_code read_feed(struct bytes wire, struct feed_key *ret, struct error *error)
{
    struct feed_key feed = {0};
    bool has_addressee = false, has_station = false;
    enum error_code code = OK;
    struct codec_field field;
    for (size_t at = 0; !code && codec_walk(wire, &at, &field);) {
        switch (field.number) {
        case 1:
            has_station = true;
            code = codec_copy(field.bytes, feed.station.bytes, STATION_ID_SIZE, "feed.station", error);
            break;
        case 2:
            feed.ordinal = (uint32_t)field.value;
            break;
        case 3:
            feed.nonce = field.value;
            break;
        case 4:
            feed.lane = (uint8_t)field.value;
            break;
        case 5:
            feed.audience = (uint8_t)field.value;
            break;
        default:
            has_addressee = true;
            code = codec_copy(field.bytes, feed.addressee.bytes, STATION_ID_SIZE, "feed.addressee", error);
        }
    }
    if (code)
        return code;
    if (!has_station)
        return fault(error, "feed.station", tr("missing", "缺失"));
    if (feed.lane == 0)
        return fault(error, "feed.lane", tr("missing", "缺失"));
    if (feed.audience == 0)
        return fault(error, "feed.audience", tr("missing", "缺失"));
    if (has_addressee != (feed.audience == SANJI__AUDIENCE__STATION))
        return fault(error, "feed.addressee", tr("goes with audience STATION, and only with it", "必须且只能与受众 STATION 同时出现"));
    *ret = feed;
    return OK;
}

static enum error_code read_head(struct bytes wire, struct head *ret, struct error *error)
{
    struct head head = {0};
    bool has_feed = false;
    enum error_code code = OK;
    struct codec_field field;
    for (size_t at = 0; !code && codec_walk(wire, &at, &field);) {
        switch (field.number) {
        case 1:
            has_feed = true;
            code = read_feed(field.bytes, &head.feed, error);
            break;
        case 2:
            head.next = field.value;
            break;
        case 3:
            code = codec_copy(field.bytes, head.last.bytes, HASH_SIZE, "head.header", error);
            break;
        default:
            head.bodies = field.value;
        }
    }
    if (code)
        return code;
    if (!has_feed)
        return fault(error, "head.feed", tr("missing", "缺失"));
    if (head.next == 0)
        return fault(error, "head.next", tr("sequence numbers begin at 1", "序号从 1 开始"));
    if ((head.next == 1) != hash_is_zero(&head.last))
        return fault(error, "head.header", tr("goes with next above 1, and only with it", "必须且只能在 next 大于 1 时出现"));
    if (head.bodies > head.next)
        return fault(error, "head.bodies", tr("beyond the headers", "超过批次头"));
    *ret = head;
    return OK;
}

enum error_code feed_decode(struct bytes wire, struct feed_key *ret, struct error *error)
{
    enum error_code code = codec_scan(&sanji__feed__descriptor, wire, &head_limits, error);
    return code ? code : read_feed(wire, ret, error);
}

enum error_code head_decode(struct bytes wire, struct head *ret, struct error *error)
{
    enum error_code code = codec_scan(&sanji__head__descriptor, wire, &head_limits, error);
    return code ? code : read_head(wire, ret, error);
}

// ---- headers

static enum error_code read_field(const struct codec_field *field, struct header *header, struct error *error)
{
    struct head head;
    switch (field->number) {
    case 3:
        return read_feed(field->bytes, &header->feed, error);
    case 4:
        return codec_copy(field->bytes, header->certificate.bytes, HASH_SIZE, "certificate", error);
    case 5:
        header->first = field->value;
        return OK;
    case 6:
        header->count = (uint32_t)field->value;
        return OK;
    case 7:
        header->reach = (uint32_t)field->value;
        return OK;
    case 8:
        header->time_ms = field->value;
        return OK;
    case 9:
        return codec_copy(field->bytes, header->codebook.bytes, HASH_SIZE, "codebook", error);
    case 10:
        return codec_copy(field->bytes, header->root.bytes, HASH_SIZE, "root", error);
    case 11:
        return codec_copy(field->bytes, header->prev.bytes, HASH_SIZE, "prev", error);
    case 12:
        header->body_size = (uint32_t)field->value;
        return OK;
    case 13:
        if (++header->follows_count > FOLLOWS_MAX)
            return error_set(error, ERR_LIMIT, tr("follows: more than %d heads", "follows：超过 %d 个链头"), FOLLOWS_MAX);
        return read_head(field->bytes, &head, error);
    default: // format and suite: codec_version()
        return OK;
    }
}

static enum error_code check_bounds(const struct header *header, struct error *error)
{
    if (header->feed.lane == 0)
        return fault(error, "feed", tr("missing", "缺失"));
    if (hash_is_zero(&header->certificate))
        return fault(error, "certificate", tr("missing", "缺失"));
    if (hash_is_zero(&header->root))
        return fault(error, "root", tr("missing", "缺失"));
    if (header->count == 0 || header->count > BATCH_ENTRIES_MAX)
        return error_set(error, header->count ? ERR_LIMIT : ERR_INPUT, tr("count: %u, not 1 to %d", "count：%u，应为 1 至 %d"),
                         header->count, BATCH_ENTRIES_MAX);
    if (header->first == 0 || header->first > UINT64_MAX - header->count)
        return fault(error, "first", tr("sequence numbers begin at 1 and end in 64 bits", "序号从 1 开始，且不超过 64 位"));
    if (header->reach > REACH_TOP)
        return error_set(error, ERR_LIMIT, tr("reach: %u, at most %d", "reach：%u，上限 %d"), header->reach, REACH_TOP);
    if (header->body_size == 0 || header->body_size > BATCH_BODY_MAX)
        return error_set(error, header->body_size ? ERR_LIMIT : ERR_INPUT, tr("body_size: %u, not 1 to %d", "body_size：%u，应为 1 至 %d"),
                         header->body_size, BATCH_BODY_MAX);
    if ((header->first == 1) != hash_is_zero(&header->prev))
        return fault(error, "prev", tr("absent in the first batch of a feed, and only there", "必须且只能在信道首批次中省略"));
    if (header->follows_count && header->first != 1)
        return fault(error, "follows", tr("only in the first batch of a feed", "只能出现在信道首批次中"));
    return OK;
}

enum error_code header_decode(struct bytes wire, struct header *ret, struct error *error)
{
    enum error_code code = codec_version(wire, error);
    if (!code)
        code = codec_scan(&sanji__batch_header__descriptor, wire, &header_limits, error);
    if (code)
        return code;
    struct header header = {0};
    uint32_t versions = 0;
    struct codec_field field;
    for (size_t at = 0; !code && codec_walk(wire, &at, &field);) {
        versions += field.number <= 2;
        code = read_field(&field, &header, error);
    }
    if (!code && versions != 2)
        code = fault(error, "format", tr("format or suite is missing", "缺少格式或密码套件"));
    if (!code)
        code = check_bounds(&header, error);
    if (code)
        return code;
    header.hash = crypto_hash(TAG_HEADER, wire);
    *ret = header;
    return OK;
}

enum error_code header_check_signature(struct bytes wire, struct bytes signature, const struct certificate *signer,
                                       const struct header *header, struct error *error)
{
    if (!hash_equal(&signer->hash, &header->certificate) || !station_equal(&signer->station, &header->feed.station))
        return error_set(error, ERR_FORGED,
                         tr("batch header: it names another signer than the station of unit %s", "批次头：签名者不是单位 %s 的站点"),
                         signer->unit);
    if (signature.size != SIGNATURE_SIZE || !crypto_verify(&signer->sign_key, TAG_SIGN_HEADER, wire, signature.data))
        return error_set(error, ERR_FORGED,
                         tr("batch header: the signature is not that of the station of unit %s", "批次头：签名不属于单位 %s 的站点"),
                         signer->unit);
    return OK;
}

enum error_code header_follows(struct bytes wire, const struct header *header, struct head ret[FOLLOWS_MAX], struct error *error)
{
    struct bytes head;
    uint32_t count = 0;
    for (size_t at = 0; codec_next(wire, 13, &at, &head); count++) {
        if (count == header->follows_count || count == FOLLOWS_MAX)
            return fault(error, "follows", tr("not the header that was decoded", "并非已解码的批次头"));
        enum error_code code = read_head(head, &ret[count], error);
        if (code)
            return code;
    }
    return count == header->follows_count ? OK : fault(error, "follows", tr("not the header that was decoded", "并非已解码的批次头"));
}

// ---- keys of tables

void feed_key_encode(const struct feed_key *feed, uint8_t ret[FEED_KEY_SIZE])
{
    memcpy(ret, feed->station.bytes, STATION_ID_SIZE);
    put_be32(ret + 16, feed->ordinal);
    put_be64(ret + 20, feed->nonce);
    ret[28] = feed->lane;
    ret[29] = feed->audience;
    memcpy(ret + 30, feed->addressee.bytes, STATION_ID_SIZE);
}

void feed_key_decode(const uint8_t key[FEED_KEY_SIZE], struct feed_key *ret)
{
    memset(ret, 0, sizeof *ret);
    memcpy(ret->station.bytes, key, STATION_ID_SIZE);
    ret->ordinal = get_be32(key + 16);
    ret->nonce = get_be64(key + 20);
    ret->lane = key[28];
    ret->audience = key[29];
    memcpy(ret->addressee.bytes, key + 30, STATION_ID_SIZE);
}
