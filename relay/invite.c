#include "relay/invite.h"

#include <stdio.h>

#include "relay/language.h"
#include "relay/route.h"
#include "relay/row.h"

struct token_row {
    struct invited_unit unit;
    int32_t period;
    uint64_t expires_ms;
    bool used;
    struct station_id station;
    uint8_t keys[3 * PUBLIC_KEY_SIZE];
    struct hash certificate;
};

// TOKENS: token_name(secret) -> unit text || from be32 || tier text || depth be32 || period be32 || expires be64 || used u8 ||
// station 16 || keys 96 || certificate 32 || checksum
static bool token_take(struct row *from, struct token_row *ret)
{
    row_take_text(from, ret->unit.code, sizeof ret->unit.code);
    ret->unit.from = row_take_u32(from);
    row_take_text(from, ret->unit.tier, sizeof ret->unit.tier);
    ret->unit.depth = row_take_u32(from);
    ret->period = (int32_t)row_take_u32(from);
    ret->expires_ms = row_take_u64(from);
    ret->used = row_take_u8(from) != 0;
    row_take_raw(from, ret->station.bytes, STATION_ID_SIZE);
    row_take_raw(from, ret->keys, sizeof ret->keys);
    row_take_raw(from, ret->certificate.bytes, HASH_SIZE);
    return row_end(from);
}

static bool token_read(struct txn *txn, const struct hash *name, struct token_row *ret)
{
    struct row row;
    return row_read(txn, TABLE_TOKENS, bytes_of(name->bytes, HASH_SIZE), &row) && token_take(&row, ret);
}

static void token_write(struct txn *txn, const struct hash *name, const struct token_row *row)
{
    struct buffer fields = {0};
    row_text(&fields, row->unit.code);
    row_u32(&fields, row->unit.from);
    row_text(&fields, row->unit.tier);
    row_u32(&fields, row->unit.depth);
    row_u32(&fields, (uint32_t)row->period);
    row_u64(&fields, row->expires_ms);
    row_u8(&fields, row->used);
    row_raw(&fields, row->station.bytes, STATION_ID_SIZE);
    row_raw(&fields, row->keys, sizeof row->keys);
    row_raw(&fields, row->certificate.bytes, HASH_SIZE);
    row_write(txn, TABLE_TOKENS, bytes_of(name->bytes, HASH_SIZE), &fields);
}

enum { FORGET_MAX = 64 }; // tokens in one go: each is read and deleted

// Forgets what expired long ago. A damaged row is left for those who look for damage.
static void forget_expired(struct txn *txn, uint64_t now_ms)
{
    struct hash names[FORGET_MAX];
    unsigned count = 0;
    struct cursor *cursor = cursor_open(txn, TABLE_TOKENS);
    for (bool at = cursor && cursor_seek(cursor, bytes_of("", 0)); at && count < FORGET_MAX; at = cursor_next(cursor)) {
        struct row row;
        struct token_row token;
        struct bytes key = cursor_key(cursor);
        if (key.size != HASH_SIZE || !row_intact(TABLE_TOKENS, key, cursor_value(cursor)) || !row_at(txn, TABLE_TOKENS, cursor, &row) ||
            !token_take(&row, &token))
            continue;
        if (token.expires_ms < now_ms && now_ms - token.expires_ms > (uint64_t)TOKEN_KEPT_MS)
            memcpy(names[count++].bytes, key.data, HASH_SIZE);
    }
    cursor_close(cursor);
    for (unsigned i = 0; i < count; i++)
        txn_delete(txn, TABLE_TOKENS, bytes_of(names[i].bytes, HASH_SIZE));
}

void invite(struct txn *txn, const struct host *host, const struct invited_unit *unit, int32_t from_period, uint64_t expires_ms,
            uint64_t now_ms, struct join_token *ret)
{
    forget_expired(txn, now_ms);
    if (txn_count(txn, TABLE_TOKENS) >= TOKENS_MAX)
        txn_fail(txn, ERR_LIMIT, tr("too many invitations are out; wait until some have expired", "未用的邀请过多；请等待部分过期"));
    struct token_row row = {.unit = *unit, .period = from_period, .expires_ms = expires_ms};
    struct join_token token = {
        .parent_key = *host->transport_key, .root = host->root, .parent = host->self->hash, .expires_ms = expires_ms};
    crypto_random(token.secret, sizeof token.secret);
    snprintf(token.endpoint, sizeof token.endpoint, "%s", host->join);
    snprintf(token.unit, sizeof token.unit, "%s", unit->code);
    struct hash name = token_name(token.secret);
    token_write(txn, &name, &row);
    *ret = token;
}

bool invited(struct txn *txn, const char *unit, uint64_t now_ms)
{
    bool found = false;
    struct cursor *cursor = cursor_open(txn, TABLE_TOKENS);
    for (bool at = cursor && cursor_seek(cursor, bytes_of("", 0)); at && !found; at = cursor_next(cursor)) {
        struct row row;
        struct token_row token;
        found = row_at(txn, TABLE_TOKENS, cursor, &row) && token_take(&row, &token) && strcmp(token.unit.code, unit) == 0 && !token.used &&
                token.expires_ms > now_ms;
    }
    cursor_close(cursor);
    return found;
}

static bool refuse(struct buffer *ret_reply, const char *en, const char *zh)
{
    struct join_reply reply = {0};
    snprintf(reply.refusal, sizeof reply.refusal, "%s", en);
    snprintf(reply.refusal_zh, sizeof reply.refusal_zh, "%s", zh);
    join_reply_pack(&reply, ret_reply, NULL);
    return false;
}

// Once for a row of attempts: whoever keeps trying must not push other alarms out.
static void alarm_token(struct txn *txn, const char *unit, uint64_t now_ms)
{
    struct alarm alarm = {.time_ms = now_ms}, last;
    snprintf(alarm.kind, sizeof alarm.kind, "token-reused");
    snprintf(alarm.text, sizeof alarm.text, "a used token for unit %s was brought by another station", unit);
    if (alarm_last(txn, &last, 1) == 1 && strcmp(last.kind, alarm.kind) == 0 && strcmp(last.text, alarm.text) == 0)
        return;
    alarm_add(txn, &alarm);
}

// A token of 128 bits is not found by guessing; somebody trying is to be known all the same.
static void count_guess(struct txn *txn, struct guesses *guesses, uint64_t now_ms)
{
    struct alarm alarm = {.time_ms = now_ms, .kind = "token-guessing"};
    if (!guesses)
        return;
    if (now_ms < guesses->since_ms || now_ms - guesses->since_ms > GUESSES_QUIET_MS)
        *guesses = (struct guesses){0};
    guesses->since_ms = now_ms;
    if (++guesses->count < GUESSES_ALARM || guesses->alarmed)
        return;
    guesses->alarmed = true;
    snprintf(alarm.text, sizeof alarm.text, "%u join requests with tokens that nobody gave out", guesses->count);
    alarm_add(txn, &alarm);
}

static void keys_of(const struct join_request *request, uint8_t ret[3 * PUBLIC_KEY_SIZE])
{
    memcpy(ret, request->sign_key.bytes, PUBLIC_KEY_SIZE);
    memcpy(ret + PUBLIC_KEY_SIZE, request->seal_key.bytes, PUBLIC_KEY_SIZE);
    memcpy(ret + 2 * PUBLIC_KEY_SIZE, request->transport_key.bytes, PUBLIC_KEY_SIZE);
}

// Issues the certificate and enrols the station as our child. Its term is above ours, and so above whoever spoke for the unit before.
static bool enrol(struct txn *txn, const struct host *host, const struct join_request *request, struct token_row *row, uint64_t now_ms,
                  struct peer *ret_peer)
{
    struct certificate draft = {.station = request->station,
                                .unit_from = row->unit.from,
                                .sign_key = request->sign_key,
                                .seal_key = request->seal_key,
                                .transport_key = request->transport_key,
                                .units = host->self->units,
                                .term = host->self->term + 1,
                                .from_period = row->period,
                                .issued_ms = now_ms,
                                .ordinal = 1,
                                .depth = row->unit.depth};
    memcpy(draft.unit, row->unit.code, sizeof draft.unit);
    memcpy(draft.tier, row->unit.tier, sizeof draft.tier);
    crypto_random(draft.serial, sizeof draft.serial);
    struct buffer wire = {0};
    enum error_code code = certificate_issue(&draft, host->self, host->sign_key, &wire, NULL); // refuses keys that are no keys
    if (code == OK)
        object_add(txn, &draft.hash, OBJECT_CERTIFICATE, buffer_bytes(&wire));
    buffer_finish(&wire);
    if (code != OK)
        return false;
    *ret_peer = (struct peer){
        .station = request->station, .transport_key = request->transport_key, .certificate = draft.hash, .enrolled_ms = now_ms};
    memcpy(ret_peer->unit, row->unit.code, sizeof ret_peer->unit);
    snprintf(ret_peer->listen, sizeof ret_peer->listen, "%s", request->listen);
    peer_write(txn, ret_peer);
    route_learn(txn, &request->station, &request->station, NULL); // it can be addressed before it has said anything
    row->certificate = draft.hash;
    return true;
}

uint32_t certificate_chain(struct txn *txn, const struct certificate *self, struct bytes ret[CHAIN_MAX])
{
    struct bytes upward[CHAIN_MAX];
    struct certificate at = *self;
    uint32_t count = 0;
    enum object_kind kind;
    struct hash hash = self->hash;
    while (count < CHAIN_MAX && object_read(txn, &hash, &kind, &upward[count]) && certificate_decode(upward[count], &at, NULL) == OK) {
        count++;
        if (at.root)
            break;
        hash = at.issuer;
    }
    for (uint32_t i = 0; i < count; i++)
        ret[i] = upward[count - 1 - i];
    return count;
}

// Everything is written: the reply is put together from what the store now has.
static bool answer(struct txn *txn, const struct host *host, const struct hash *certificate, const struct given_documents *documents,
                   struct buffer *ret_reply)
{
    struct join_reply reply = {.codebook_version = documents->codebook_version, .units_version = documents->units_version};
    enum object_kind kind;
    struct error error = {0};
    if (!object_read(txn, certificate, &kind, &reply.certificate) || !object_read(txn, &documents->units, &kind, &reply.units))
        return refuse(ret_reply, "this parent has lost a document", "上级缺少文件");
    if (!hash_is_zero(&documents->codebook))
        object_read(txn, &documents->codebook, &kind, &reply.codebook);
    reply.chain_count = certificate_chain(txn, host->self, reply.chain);
    snprintf(reply.link, sizeof reply.link, "%s", host->link);
    snprintf(reply.above_link, sizeof reply.above_link, "%s", host->above_link ? host->above_link : "");
    snprintf(reply.above_join, sizeof reply.above_join, "%s", host->above_join ? host->above_join : "");
    if (join_reply_pack(&reply, ret_reply, &error) != OK)
        txn_fail(txn, error.code, error.detail);
    return true;
}

static bool unit_taken(struct txn *txn, const char *unit)
{
    struct station_id after = {0};
    struct peer peer;
    while (peer_next(txn, &after, &peer)) {
        after = peer.station;
        if (!peer.barred && strcmp(peer.unit, unit) == 0)
            return true;
    }
    return false;
}

// An id is a station's for ever: whoever could take another's would sign in its feeds.
static bool station_taken(struct txn *txn, const struct host *host, const struct station_id *station)
{
    struct peer peer;
    struct station_id via;
    return station_equal(station, &host->self->station) || peer_read(txn, station, &peer) || route_via(txn, station, &via);
}

bool admit(struct txn *txn, const struct host *host, const struct public_key *key, struct bytes wire, uint64_t now_ms,
           const struct given_documents *documents, struct buffer *ret_reply, struct peer *ret_peer)
{
    struct join_request request;
    struct token_row row;
    static const char invalid[] = "the request is not a valid join request", invalid_zh[] = "请求不是有效的加入请求";
    if (join_request_unpack(wire, &request, NULL) != OK || memcmp(&request.transport_key, key, sizeof *key) != 0)
        return refuse(ret_reply, invalid, invalid_zh);
    struct hash name = token_name(request.secret);
    if (!token_read(txn, &name, &row)) { // before the signature: a guess costs a look-up, no more
        count_guess(txn, host->guesses, now_ms);
        return refuse(ret_reply, "this token is not known here", "此处没有这个令牌");
    }
    if (join_request_check(&request, NULL) != OK)
        return refuse(ret_reply, invalid, invalid_zh);
    uint8_t keys[3 * PUBLIC_KEY_SIZE];
    keys_of(&request, keys);
    if (row.used) {
        if (memcmp(keys, row.keys, sizeof keys) != 0 || !station_equal(&row.station, &request.station)) {
            alarm_token(txn, row.unit.code, now_ms);
            return refuse(ret_reply, "this token has been used by another station; the admin was told",
                          "此令牌已被另一站点使用；已通知管理员");
        }
        if (!peer_read(txn, &request.station, ret_peer) || ret_peer->barred)
            return refuse(ret_reply, "the station enrolled with this token is gone", "用此令牌加入的站点已不存在");
    } else {
        if (row.expires_ms <= now_ms)
            return refuse(ret_reply, "this token has expired; ask for a new one", "此令牌已过期，请索取新令牌");
        if (unit_taken(txn, row.unit.code))
            return refuse(ret_reply, "the unit has a station already", "该单位已有站点");
        if (host->may_enrol && !host->may_enrol(host->context, txn, row.unit.code))
            return refuse(ret_reply, "a station above this unit has been enrolled since; ask it for a token",
                          "该单位的上级站点已加入，请向其索取令牌");
        if (station_taken(txn, host, &request.station))
            return refuse(ret_reply, "a station with this id is enrolled already", "已有使用此编号的站点");
        if (!enrol(txn, host, &request, &row, now_ms, ret_peer))
            return refuse(ret_reply, "the certificate could not be made", "无法签发证书");
        row.used = true;
        row.station = request.station;
        memcpy(row.keys, keys, sizeof keys);
        token_write(txn, &name, &row);
    }
    return answer(txn, host, &row.certificate, documents, ret_reply);
}
