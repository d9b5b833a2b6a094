// The bytes of relay/heads.h: a claim made, decoded, checked, compared with another.
#include "relay/heads.h"

#include <assert.h>

#include "envelope.pb-c.h"
#include "relay/language.h"

enum { HEAD_ELEMENTS = 4 + 6 }; // fields of Head and of its Feed
static const struct codec_limits claim_limits = {.bytes_max = HEADS_CLAIM_MAX, .elements_max = 9 + HEADS_MAX * (1 + HEAD_ELEMENTS)};

static enum error_code fault(struct error *error, const char *field, const char *why)
{
    return error_set(error, ERR_INPUT, tr("heads: %s: %s", "批次头声明：%s：%s"), field, why);
}

// ---- decoding

static enum error_code read_field(const struct codec_field *field, struct heads *heads, struct error *error)
{
    switch (field->number) {
    case 3:
        return codec_copy(field->bytes, heads->station.bytes, STATION_ID_SIZE, "station", error);
    case 4:
        return codec_copy(field->bytes, heads->certificate.bytes, HASH_SIZE, "certificate", error);
    case 5:
        heads->ordinal = (uint32_t)field->value;
        return OK;
    case 6:
        heads->starts = field->value;
        return OK;
    case 7:
        heads->number = field->value;
        return OK;
    case 8:
        heads->time_ms = field->value;
        return OK;
    case 9:
        if (heads->count == HEADS_MAX)
            return error_set(error, ERR_LIMIT, tr("a claim has more than %d heads", "声明超过 %d 个批次头"), HEADS_MAX);
        return head_decode(field->bytes, &heads->heads[heads->count++], error);
    default: // format and suite
        return OK;
    }
}

unsigned heads_own(const struct heads *heads, const struct head *head)
{
    if (!station_equal(&head->feed.station, &heads->station))
        return HEADS_OWN;
    return (unsigned)(head->feed.audience - SANJI__AUDIENCE__UP) * LANES + head->feed.lane - 1;
}

static bool may_name(const struct heads *heads, const struct head *head)
{
    const struct feed_key *feed = &head->feed;
    if (station_equal(&feed->station, &heads->station))
        return feed->audience != SANJI__AUDIENCE__STATION && feed->ordinal == heads->ordinal;
    if (feed->audience == SANJI__AUDIENCE__STATION)
        return station_equal(&feed->addressee, &heads->station);
    return feed->audience == SANJI__AUDIENCE__SUBTREE;
}

static enum error_code check_heads(const struct heads *heads, struct error *error)
{
    uint8_t last[FEED_KEY_SIZE] = {0}, key[FEED_KEY_SIZE];
    const struct head *own = NULL;
    for (uint32_t i = 0; i < heads->count; i++) {
        const struct head *head = &heads->heads[i];
        feed_key_encode(&head->feed, key);
        if (memcmp(key, last, sizeof key) <= 0)
            return fault(error, "heads", tr("not in ascending order", "未按升序排列"));
        memcpy(last, key, sizeof key);
        if (head->bodies || !may_name(heads, head))
            return fault(error, "heads", tr("one that such a claim can't have", "含有此类声明不得包含的内容"));
        if (heads_own(heads, head) == HEADS_OWN)
            continue;
        if (own && own->feed.nonce != head->feed.nonce)
            return fault(error, "heads", tr("two incarnations of one station", "同一站点的两个代次"));
        own = head;
    }
    return OK;
}

enum error_code heads_decode(struct bytes claim, struct heads *ret, struct error *error)
{
    struct heads heads = {0};
    uint32_t versions = 0;
    struct codec_field field;
    enum error_code code = codec_version(claim, error);
    if (code == OK)
        code = codec_scan(&sanji__heads_claim__descriptor, claim, &claim_limits, error);
    for (size_t at = 0; code == OK && codec_walk(claim, &at, &field);) {
        versions += field.number <= 2;
        code = read_field(&field, &heads, error);
    }
    if (code == OK && versions != 2)
        code = fault(error, "format", tr("format or suite is missing", "缺少格式或密码套件"));
    static const struct station_id nobody;
    if (code == OK && (station_equal(&heads.station, &nobody) || hash_is_zero(&heads.certificate)))
        code = fault(error, "station", tr("missing", "缺失"));
    if (code == OK && (heads.ordinal == 0 || heads.starts == 0 || heads.number == 0))
        code = fault(error, "number", tr("counts from 1", "从 1 开始计数"));
    if (code == OK)
        code = check_heads(&heads, error);
    if (code == OK)
        *ret = heads;
    return code;
}

enum error_code heads_check(struct bytes claim, struct bytes signature, const struct heads *heads, const struct certificate *signer,
                            struct error *error)
{
    if (!hash_equal(&signer->hash, &heads->certificate) || !station_equal(&signer->station, &heads->station) ||
        signature.size != SIGNATURE_SIZE || !crypto_verify(&signer->sign_key, TAG_SIGN_HEADS, claim, signature.data))
        return error_set(error, ERR_FORGED, "%s", tr("heads that their station did not sign", "批次头声明并非该站点签名"));
    return OK;
}

// ---- making

static ProtobufCBinaryData binary(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)(uintptr_t)data};
}

static void head_out(const struct head *from, Sanji__Head *ret, Sanji__Feed *ret_feed)
{
    sanji__head__init(ret);
    sanji__feed__init(ret_feed);
    ret_feed->station = binary(from->feed.station.bytes, STATION_ID_SIZE);
    ret_feed->ordinal = from->feed.ordinal;
    ret_feed->nonce = from->feed.nonce;
    ret_feed->lane = from->feed.lane;
    ret_feed->audience = from->feed.audience;
    if (from->feed.audience == SANJI__AUDIENCE__STATION)
        ret_feed->addressee = binary(from->feed.addressee.bytes, STATION_ID_SIZE);
    ret->feed = ret_feed;
    ret->next = from->next;
    if (!hash_is_zero(&from->last))
        ret->header = binary(from->last.bytes, HASH_SIZE);
}

enum error_code heads_sign(const struct heads *heads, const struct secret_key *key, struct buffer *ret_claim,
                           uint8_t ret_signature[SIGNATURE_SIZE], struct error *error)
{
    Sanji__HeadsClaim claim = SANJI__HEADS_CLAIM__INIT;
    Sanji__Head rows[HEADS_MAX], *pointers[HEADS_MAX];
    Sanji__Feed feeds[HEADS_MAX];
    assert(heads->count <= HEADS_MAX && heads->starts && heads->number);
    claim.format = claim.suite = 1;
    claim.station = binary(heads->station.bytes, STATION_ID_SIZE);
    claim.certificate = binary(heads->certificate.bytes, HASH_SIZE);
    claim.ordinal = heads->ordinal;
    claim.starts = heads->starts;
    claim.number = heads->number;
    claim.time_ms = heads->time_ms;
    for (uint32_t i = 0; i < heads->count; i++) {
        head_out(&heads->heads[i], &rows[i], &feeds[i]);
        pointers[i] = &rows[i];
    }
    claim.n_heads = heads->count;
    claim.heads = pointers;
    size_t from = ret_claim->size;
    codec_pack(&claim, ret_claim);
    if (ret_claim->failed)
        return error_set(error, ERR_MEMORY, "heads");
    crypto_sign(key, TAG_SIGN_HEADS, bytes_of(ret_claim->data + from, ret_claim->size - from), ret_signature);
    return OK;
}

// ---- one claim and another

static int compare(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

int heads_order(const struct heads *a, const struct heads *b)
{
    if (a->ordinal != b->ordinal)
        return compare(a->ordinal, b->ordinal);
    return a->starts != b->starts ? compare(a->starts, b->starts) : compare(a->number, b->number);
}

bool heads_contradict(const struct heads *a, const struct heads *b, uint32_t *ret)
{
    uint8_t keys[2][FEED_KEY_SIZE];
    for (uint32_t i = 0, j = 0; i < a->count && j < b->count;) {
        feed_key_encode(&a->heads[i].feed, keys[0]);
        feed_key_encode(&b->heads[j].feed, keys[1]);
        int order = memcmp(keys[0], keys[1], FEED_KEY_SIZE);
        if (order == 0 && a->heads[i].next == b->heads[j].next && !hash_equal(&a->heads[i].last, &b->heads[j].last)) {
            *ret = i;
            return true;
        }
        i += order <= 0;
        j += order >= 0;
    }
    return false;
}
