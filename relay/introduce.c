#include "relay/introduce.h"

#include <stdio.h>

#include "relay/language.h"
#include "trust.pb-c.h"

enum {
    SIGNED_SIZE = HASH_SIZE + 2 * PUBLIC_KEY_SIZE,
    CHAIN_FIELD = 16,
    REPLY_MAX = 2 * JOIN_ERROR_MAX + 16,
    GUESTS_MAX = CHILDREN_MAX, // each has a place among the links
};

struct introduction {
    struct bytes chain[CHAIN_MAX]; // into the bytes that it was unpacked from
    uint32_t count;
    char listen[ADDRESS_MAX + 1];
    uint8_t signature[SIGNATURE_SIZE];
};

static ProtobufCBinaryData binary(const void *data, size_t size) { return (ProtobufCBinaryData){size, (uint8_t *)data}; }

static void signed_part(const struct certificate *self, const struct public_key *called, uint8_t ret[SIGNED_SIZE])
{
    memcpy(ret, self->hash.bytes, HASH_SIZE);
    memcpy(ret + HASH_SIZE, self->transport_key.bytes, PUBLIC_KEY_SIZE);
    memcpy(ret + HASH_SIZE + PUBLIC_KEY_SIZE, called->bytes, PUBLIC_KEY_SIZE);
}

// ---- making

enum error_code introduction_make(struct txn *txn, const struct certificate *self, const struct secret_key *sign_key, const char *listen,
                                  const struct public_key *called, struct buffer *ret, struct error *error)
{
    struct bytes chain[CHAIN_MAX];
    ProtobufCBinaryData topmost_first[CHAIN_MAX];
    uint32_t count = certificate_chain(txn, self, chain);
    struct certificate top;
    if (count == 0 || certificate_decode(chain[0], &top, NULL) != OK || !top.root)
        return error_set(error, ERR_CORRUPT, "%s", tr("a certificate of this station's chain is missing", "本站点证书链缺少证书"));
    if (listen && strlen(listen) > ADDRESS_MAX)
        return error_set(error, ERR_LIMIT, "listen: %.40s...", listen);
    for (uint32_t i = 0; i < count; i++)
        topmost_first[i] = binary(chain[i].data, chain[i].size);
    uint8_t part[SIGNED_SIZE], signature[SIGNATURE_SIZE];
    signed_part(self, called, part);
    crypto_sign(sign_key, TAG_SIGN_INTRODUCTION, bytes_of(part, sizeof part), signature);
    Sanji__Introduction message = SANJI__INTRODUCTION__INIT;
    message.n_chain = count;
    message.chain = topmost_first;
    message.listen = (char *)(uintptr_t)(listen ? listen : "");
    message.signature = binary(signature, sizeof signature);
    codec_pack(&message, ret);
    return ret->failed ? error_set(error, ERR_MEMORY, "introduction") : OK;
}

// ---- answering

bool introduction_is(struct bytes wire)
{
    size_t at = 0;
    struct codec_field field;
    return codec_walk(wire, &at, &field) && field.number >= CHAIN_FIELD;
}

static enum error_code unpack(struct bytes wire, struct introduction *ret, struct error *error)
{
    static const struct codec_limits limits = {.bytes_max = INTRODUCTION_MAX, .elements_max = CHAIN_MAX + 2};
    struct introduction introduction = {0};
    struct codec_field field;
    enum error_code code = codec_scan(&sanji__introduction__descriptor, wire, &limits, error);
    bool has_signature = false;
    for (size_t at = 0; code == OK && codec_walk(wire, &at, &field);) {
        if (field.number > CHAIN_FIELD + 1) {
            has_signature = true;
            code = codec_copy(field.bytes, introduction.signature, SIGNATURE_SIZE, "introduction: signature", error);
        } else if (field.number > CHAIN_FIELD) {
            code = codec_copy_text(field.bytes, introduction.listen, ADDRESS_MAX, "introduction: listen", error);
        } else if (introduction.count == CHAIN_MAX || field.bytes.size > CERTIFICATE_MAX) {
            code = error_set(error, ERR_LIMIT, "%s", tr("introduction: the chain is too long", "自荐信息：证书链过长"));
        } else {
            introduction.chain[introduction.count++] = field.bytes;
        }
    }
    if (code == OK && (!has_signature || introduction.count == 0))
        code = error_set(error, ERR_INPUT, "introduction: %s: %s", has_signature ? "chain" : "signature", tr("missing", "缺失"));
    if (code == OK)
        *ret = introduction;
    return code;
}

// Every signature from the root record down, and the caller's own. `chain` gets the certificates.
static enum error_code check(const struct introduction *introduction, const struct hash *root, const struct public_key *called,
                             struct certificate chain[CHAIN_MAX], struct error *error)
{
    for (uint32_t i = 0; i < introduction->count; i++) {
        enum error_code code = certificate_decode(introduction->chain[i], &chain[i], error);
        if (code == OK && i == 0 && !hash_equal(&chain[0].hash, root))
            code = error_set(error, ERR_FORGED, "%s", tr("a root record that is not the pinned one", "根记录与固定的根不符"));
        if (code == OK)
            code = certificate_check(introduction->chain[i], &chain[i], i ? &chain[i - 1] : NULL, error);
        if (code != OK)
            return code;
    }
    const struct certificate *caller = &chain[introduction->count - 1];
    uint8_t part[SIGNED_SIZE];
    signed_part(caller, called, part);
    if (!crypto_verify(&caller->sign_key, TAG_SIGN_INTRODUCTION, bytes_of(part, sizeof part), introduction->signature))
        return error_set(error, ERR_FORGED, "%s", tr("introduction: the signature is not by its own key", "自荐信息：签名与其密钥不符"));
    return OK;
}

enum error_code introduction_check(struct bytes wire, const struct hash *root, const struct public_key *called, struct certificate *ret,
                                   struct error *error)
{
    struct introduction introduction;
    struct certificate chain[CHAIN_MAX];
    enum error_code code = unpack(wire, &introduction, error);
    if (code == OK)
        code = check(&introduction, root, called, chain, error);
    if (code == OK)
        *ret = chain[introduction.count - 1];
    return code;
}

static void answer(struct buffer *ret, bool accepted, const char *en, const char *zh)
{
    Sanji__IntroductionReply message = SANJI__INTRODUCTION_REPLY__INIT;
    message.accepted = accepted;
    message.error = (char *)(uintptr_t)en;
    message.error_zh = (char *)(uintptr_t)zh;
    codec_pack(&message, ret);
}

static bool refuse(struct buffer *ret, const char *en, const char *zh)
{
    answer(ret, false, en, zh);
    return false;
}

// How many certificates of the chain stand below this station's: 1 for a child, 2 for a child's child; 0: it is not ours to know.
static uint32_t below(struct txn *txn, const struct host *host, const struct certificate *chain, uint32_t count)
{
    uint32_t levels = 0;
    for (uint32_t i = 1; i <= 2 && i < count && levels == 0; i++)
        if (station_equal(&chain[count - 1 - i].station, &host->self->station))
            levels = i;
    for (uint32_t i = count - levels; i < count; i++)
        if (host->may_certify && !host->may_certify(host->context, txn, &chain[i], &chain[i - 1]))
            return 0;
    return levels;
}

static bool barred(struct txn *txn, const struct station_id *station)
{
    struct peer peer;
    return (peer_read(txn, station, &peer) && peer.barred) || (guest_read(txn, station, &peer) && peer.barred);
}

// Whether a station of the unit was enrolled here later than `certificate` was issued: that one replaced it.
static bool replaced(struct txn *txn, const struct certificate *certificate)
{
    struct station_id after = {0};
    struct peer peer;
    while (peer_next(txn, &after, &peer)) {
        enum object_kind kind;
        struct bytes wire;
        struct certificate other;
        after = peer.station;
        if (!peer.barred && strcmp(peer.unit, certificate->unit) == 0 && !station_equal(&peer.station, &certificate->station) &&
            object_read(txn, &peer.certificate, &kind, &wire) && certificate_decode(wire, &other, NULL) == OK &&
            other.issued_ms >= certificate->issued_ms)
            return true;
    }
    return false;
}

static struct peer peer_of(const struct introduction *introduction, const struct certificate *certificate, uint64_t now_ms, bool guest)
{
    struct peer peer = {.station = certificate->station,
                        .transport_key = certificate->transport_key,
                        .certificate = certificate->hash,
                        .enrolled_ms = now_ms,
                        .guest = guest};
    memcpy(peer.unit, certificate->unit, sizeof peer.unit);
    memcpy(peer.listen, introduction->listen, sizeof peer.listen - 1);
    return peer;
}

static void let_child_in(struct txn *txn, const struct peer *peer, uint64_t now_ms)
{
    struct alarm alarm = {.time_ms = now_ms, .kind = "child-returned"};
    snprintf(alarm.text, sizeof alarm.text,
             "the station of unit %s was enrolled here, and this store does not know it: was it put back from a copy?", peer->unit);
    peer_write(txn, peer);
    route_learn(txn, &peer->station, &peer->station, NULL);
    alarm_add(txn, &alarm);
}

static void let_guest_in(struct txn *txn, const struct peer *peer, const struct certificate *between)
{
    struct station_id via;
    guest_write(txn, peer);
    route_guest(txn, &peer->station, NULL);
    if (!route_via(txn, &peer->station, &via)) // it can be addressed through its parent, too
        route_learn(txn, &peer->station, &between->station, NULL);
}

// Everything that speaks against letting it in; false and a refusal in `ret_reply`. `ret_known`: it is here already, as `ret_peer`.
static bool may_link(struct txn *txn, const struct certificate *caller, const struct certificate *between, struct buffer *ret_reply,
                     bool *ret_known, struct peer *ret_peer)
{
    if (barred(txn, &caller->station) || (between && barred(txn, &between->station)))
        return refuse(ret_reply, "the station is barred here", "该站点在此处已被禁止");
    bool known = between ? guest_read(txn, &caller->station, ret_peer) : peer_read(txn, &caller->station, ret_peer);
    if (known && memcmp(&ret_peer->transport_key, &caller->transport_key, PUBLIC_KEY_SIZE) != 0)
        return refuse(ret_reply, "a station with this id is here with other keys", "已有使用此编号但密钥不同的站点");
    if (!known && !between && replaced(txn, caller))
        return refuse(ret_reply, "the unit has a newer station", "该单位已有更新的站点");
    if (!known && between && txn_count(txn, TABLE_GUESTS) >= GUESTS_MAX)
        return refuse(ret_reply, "too many stations call past their parents", "越级呼叫的站点过多");
    *ret_known = known;
    return true;
}

bool introduction_admit(struct txn *txn, const struct host *host, const struct public_key *key, struct bytes wire, uint64_t now_ms,
                        struct buffer *ret_reply, struct peer *ret_peer)
{
    struct introduction introduction;
    struct certificate chain[CHAIN_MAX];
    if (unpack(wire, &introduction, NULL) != OK || check(&introduction, &host->root, host->transport_key, chain, NULL) != OK ||
        memcmp(&chain[introduction.count - 1].transport_key, key, sizeof *key) != 0)
        return refuse(ret_reply, "the introduction does not hold", "自荐信息不成立");
    uint32_t count = introduction.count, levels = below(txn, host, chain, count);
    if (levels == 0)
        return refuse(ret_reply, "neither this station nor one that it enrolled has enrolled you", "本站点及其登记的站点均未登记贵站");
    const struct certificate *caller = &chain[count - 1], *between = levels == 2 ? &chain[count - 2] : NULL;
    struct peer peer;
    bool known;
    if (!may_link(txn, caller, between, ret_reply, &known, &peer))
        return false;
    if (!known) {
        peer = peer_of(&introduction, caller, now_ms, between != NULL);
        for (uint32_t i = count - levels; i < count; i++)
            object_add(txn, &chain[i].hash, OBJECT_CERTIFICATE, introduction.chain[i]);
        if (between)
            let_guest_in(txn, &peer, between);
        else
            let_child_in(txn, &peer, now_ms);
    }
    answer(ret_reply, true, "", "");
    *ret_peer = peer;
    return true;
}

// ---- the answer

enum error_code introduction_answer(struct bytes wire, struct error *error)
{
    static const struct codec_limits limits = {.bytes_max = REPLY_MAX, .elements_max = 3};
    char en[JOIN_ERROR_MAX + 1] = "", zh[JOIN_ERROR_MAX + 1] = "";
    bool accepted = false;
    struct codec_field field;
    enum error_code code = codec_scan(&sanji__introduction_reply__descriptor, wire, &limits, error);
    for (size_t at = 0; code == OK && codec_walk(wire, &at, &field);) {
        if (field.number == 1)
            accepted = field.value != 0;
        else
            code = codec_copy_text(field.bytes, field.number == 2 ? en : zh, JOIN_ERROR_MAX, "introduction reply: error", error);
    }
    if (code == OK && !accepted)
        code = error_set(error, ERR_REFUSED, "%s", tr(en, *zh ? zh : en));
    return code;
}
