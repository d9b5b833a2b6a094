#include "relay/batch.h"

#include <assert.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "relay/language.h"

enum {
    BODY_SECRET_FRAME = 2 + SECRET_SIZE,                 // bytes of Body.secret with its tag
    BODY_ELEMENTS_MAX = 1 + BATCH_ENTRIES_MAX * (1 + 5), // secret; each entry and its five fields
    KEY_FIELD_SIZE = 2 + KEY_ID_SIZE,
};

static const struct codec_limits body_limits = {.bytes_max = BATCH_BODY_MAX, .elements_max = BODY_ELEMENTS_MAX, .open_enums = true};

// ---- reading a body

static enum error_code entry_fault(struct error *error, enum error_code code, uint32_t index, const char *why)
{
    return error_set(error, code, tr("body, entry %u: %s", "批次正文，第 %u 条：%s"), index, why);
}

static size_t entry_max(const struct feed_key *feed) { return feed->lane == SANJI__LANE__CONTROL ? CONTROL_ENTRY_MAX : ENTRY_MAX; }

// What the fields say; `ret_clear`: `clear` is there, `ret_key`: key_id, of any size.
static void read_entry(struct bytes wire, struct entry *ret, bool *ret_clear, struct bytes *ret_key)
{
    struct codec_field field;
    *ret = (struct entry){.wire = wire};
    *ret_clear = false;
    *ret_key = (struct bytes){0};
    for (size_t at = 0; codec_walk(wire, &at, &field);) {
        if (field.number == 1)
            ret->kind = (uint32_t)field.value;
        else if (field.number == 2)
            ret->time_ms = field.value;
        else if (field.number == 3 || field.number == 4)
            ret->content = field.bytes;
        else if (field.number == 5)
            *ret_key = field.bytes;
        *ret_clear |= field.number == 3;
        ret->is_sealed |= field.number == 4;
    }
    if (ret_key->size == KEY_ID_SIZE)
        memcpy(ret->key.bytes, ret_key->data, KEY_ID_SIZE);
}

static enum error_code decode_entry(struct bytes wire, uint32_t index, const struct feed_key *feed, struct entry *ret, struct error *error)
{
    struct entry entry;
    struct bytes key;
    bool has_clear;
    read_entry(wire, &entry, &has_clear, &key);
    bool has_key = key.data != NULL;
    if (has_key && key.size != KEY_ID_SIZE)
        return entry_fault(error, ERR_INPUT, index, tr("key_id: not 16 bytes", "key_id：不是 16 字节"));
    if (wire.size > entry_max(feed))
        return entry_fault(error, ERR_LIMIT, index, tr("larger than an entry of its lane may be", "超出该通道的条目大小上限"));
    if (entry.kind == 0)
        return entry_fault(error, ERR_INPUT, index, tr("kind: missing", "kind：缺失"));
    if (has_clear == entry.is_sealed)
        return entry_fault(error, ERR_INPUT, index, tr("needs exactly one of clear and sealed", "clear 与 sealed 必须且只能有一个"));
    if (has_key != entry.is_sealed)
        return entry_fault(error, ERR_INPUT, index, tr("key_id goes with sealed, and only with it", "key_id 必须且只能与 sealed 同时出现"));
    if (entry.is_sealed && entry.content.size < SEAL_OVERHEAD)
        return entry_fault(error, ERR_INPUT, index, tr("sealed: cut short", "sealed：被截断"));
    *ret = entry;
    return OK;
}

// The secret and where the entries begin, of a body that codec_scan() has passed.
static enum error_code read_secret(struct bytes body, struct bytes *ret_secret, size_t *ret_at, struct error *error)
{
    struct codec_field field;
    size_t at = 0;
    if (!codec_walk(body, &at, &field) || field.number != 1 || field.bytes.size != SECRET_SIZE)
        return error_set(error, ERR_INPUT, "%s", tr("body: secret: not 32 bytes", "批次正文：secret：不是 32 字节"));
    *ret_secret = field.bytes;
    *ret_at = at;
    return OK;
}

static enum error_code scan_body(struct bytes body, const struct header *header, struct error *error)
{
    if (body.size != header->body_size)
        return error_set(error, ERR_FORGED, tr("body of %zu bytes, the header says %u", "批次正文为 %zu 字节，批次头声明 %u"), body.size,
                         header->body_size);
    return codec_scan(&sanji__body__descriptor, body, &body_limits, error);
}

static enum error_code count_fault(struct error *error, const struct header *header)
{
    return error_set(error, ERR_FORGED, tr("the body does not have the %u entries of the header", "批次正文与批次头声明的 %u 条不符"),
                     header->count);
}

// The hash of the next leaf; `salts` are those of its group, made with its first leaf.
static struct hash next_leaf(const uint8_t *secret, uint32_t index, uint8_t salts[SALTS_TOGETHER][SALT_SIZE], struct bytes wire)
{
    if (index % SALTS_TOGETHER == 0)
        crypto_salts(secret, index / SALTS_TOGETHER, salts);
    return crypto_leaf(salts[index % SALTS_TOGETHER], wire);
}

// `root` NULL: the leaves are not hashed.
static enum error_code read_body(struct bytes body, const struct header *header, struct entry *entries, struct hash *root,
                                 struct error *error)
{
    struct bytes secret = {0};
    size_t at;
    enum error_code code = scan_body(body, header, error);
    if (!code)
        code = read_secret(body, &secret, &at, error);
    if (code)
        return code;
    struct merkle merkle = {0};
    struct bytes wire;
    uint8_t salts[SALTS_TOGETHER][SALT_SIZE];
    uint32_t count = 0;
    for (; codec_next(body, 2, &at, &wire); count++) {
        if (count == header->count)
            return count_fault(error, header);
        code = decode_entry(wire, count, &header->feed, &entries[count], error);
        if (code)
            return code;
        if (root) {
            struct hash leaf = next_leaf(secret.data, count, salts, wire);
            merkle_add(&merkle, &leaf);
        }
    }
    if (count != header->count)
        return count_fault(error, header);
    if (root)
        *root = merkle_root(&merkle);
    return OK;
}

enum error_code body_check(struct bytes body, const struct header *header, struct entry *entries, struct error *error)
{
    struct hash root;
    enum error_code code = read_body(body, header, entries, &root, error);
    if (code)
        return code;
    if (!hash_equal(&root, &header->root))
        return error_set(error, ERR_FORGED, "%s", tr("the body is not the one that was signed", "批次正文与签名不符"));
    return OK;
}

enum error_code body_decode(struct bytes body, const struct header *header, struct entry *entries, struct error *error)
{
    return read_body(body, header, entries, NULL, error);
}

bool body_entries(struct bytes body, const struct header *header, struct entry *entries)
{
    struct bytes wire, key;
    size_t at = 0;
    bool has_clear;
    for (uint32_t i = 0; i < header->count; i++) {
        if (!codec_next(body, 2, &at, &wire))
            return false;
        read_entry(wire, &entries[i], &has_clear, &key);
    }
    return true;
}

enum error_code body_prove(struct bytes body, const struct header *header, uint32_t index, uint8_t ret_salt[SALT_SIZE], struct hash *path,
                           uint32_t *ret_path_count, struct error *error)
{
    assert(header->count >= 1 && header->count <= BATCH_ENTRIES_MAX);
    if (index >= header->count)
        return error_set(error, ERR_INPUT, tr("entry %u of a batch of %u", "批次仅 %2$u 条，无第 %1$u 条"), index, header->count);
    struct bytes secret = {0}, wire;
    size_t at;
    enum error_code code = scan_body(body, header, error);
    if (!code)
        code = read_secret(body, &secret, &at, error);
    if (code)
        return code;
    struct hash leaves[BATCH_ENTRIES_MAX];
    uint8_t salts[SALTS_TOGETHER][SALT_SIZE];
    uint32_t count = 0;
    for (; codec_next(body, 2, &at, &wire); count++) {
        if (count == header->count)
            return count_fault(error, header);
        leaves[count] = next_leaf(secret.data, count, salts, wire);
        if (count == index)
            memcpy(ret_salt, salts[count % SALTS_TOGETHER], SALT_SIZE);
    }
    if (count != header->count)
        return count_fault(error, header);
    *ret_path_count = merkle_path(leaves, count, index, path);
    return OK;
}

bool inclusion_check(const struct hash *root, uint32_t count, uint32_t index, const struct hash *leaf, const struct hash *path,
                     uint32_t path_count)
{
    return merkle_check(root, count, index, leaf, path, path_count);
}

// ---- making a batch

void entry_associated(const struct station_id *station, uint32_t kind, const struct key_id *key,
                      uint8_t ret[4 + STATION_ID_SIZE + KEY_ID_SIZE])
{
    put_be32(ret, kind);
    memcpy(ret + 4, station->bytes, STATION_ID_SIZE);
    memcpy(ret + 4 + STATION_ID_SIZE, key->bytes, KEY_ID_SIZE);
}

enum error_code batch_draft_init(struct batch_draft *draft, const struct feed_key *feed, uint32_t reach, struct error *error)
{
    struct hash *leaves = malloc(BATCH_ENTRIES_MAX * sizeof *leaves);
    if (!leaves)
        return error_set(error, ERR_MEMORY, "%s", tr("no memory for a batch", "内存不足，无法建立批次"));
    *draft = (struct batch_draft){.feed = *feed, .reach = reach, .leaves = leaves};
    crypto_random(draft->secret, sizeof draft->secret);
    return OK;
}

bool batch_draft_fits(const struct batch_draft *draft, size_t content_size)
{
    if (draft->count == BATCH_ENTRIES_MAX || content_size > entry_max(&draft->feed) - ENTRY_OVERHEAD_MAX)
        return false;
    size_t begin = draft->body.size ? draft->body.size : BODY_SECRET_FRAME;
    return begin + content_size + ENTRY_OVERHEAD_MAX <= BATCH_BODY_MAX;
}

static uint8_t *put_bytes(uint8_t *place, uint8_t tag, struct bytes bytes)
{
    *place++ = tag;
    place += codec_put_varint(place, bytes.size);
    memcpy(place, bytes.data, bytes.size);
    return place + bytes.size;
}

// Appends the framed entry to the body, and returns its exact bytes.
static struct bytes append_entry(struct buffer *body, uint32_t kind, uint64_t time_ms, struct bytes content, const struct key_id *key)
{
    size_t size = 1 + codec_varint_size(kind) + (time_ms ? 1 + codec_varint_size(time_ms) : 0) + 1 + codec_varint_size(content.size) +
                  content.size + (key ? KEY_FIELD_SIZE : 0);
    uint8_t *place = buffer_extend(body, 1 + codec_varint_size(size) + size);
    if (!place)
        return (struct bytes){0};
    *place++ = 0x12; // Body.entries
    place += codec_put_varint(place, size);
    struct bytes wire = bytes_of(place, size);
    *place++ = 0x08;
    place += codec_put_varint(place, kind);
    if (time_ms) {
        *place++ = 0x10;
        place += codec_put_varint(place, time_ms);
    }
    place = put_bytes(place, key ? 0x22 : 0x1A, content);
    if (key)
        place = put_bytes(place, 0x2A, bytes_of(key->bytes, KEY_ID_SIZE));
    assert(place == wire.data + wire.size);
    return wire;
}

enum error_code batch_draft_add(struct batch_draft *draft, uint32_t kind, uint64_t time_ms, struct bytes content, const struct key_id *key,
                                struct error *error)
{
    if (kind == 0 || content.size < (key ? SEAL_OVERHEAD : 1))
        return entry_fault(error, ERR_INPUT, draft->count, tr("has no kind or no content", "缺少类别或内容"));
    if (!batch_draft_fits(draft, content.size))
        return entry_fault(error, ERR_LIMIT, draft->count, tr("does not fit in the batch", "批次容纳不下"));
    if (draft->body.size == 0) {
        uint8_t *place = buffer_extend(&draft->body, BODY_SECRET_FRAME);
        if (place)
            put_bytes(place, 0x0A, bytes_of(draft->secret, SECRET_SIZE));
    }
    struct bytes wire = append_entry(&draft->body, kind, time_ms, content, key);
    if (draft->body.failed)
        return error_set(error, ERR_MEMORY, "%s", tr("no memory for a batch", "内存不足，无法建立批次"));
    draft->leaves[draft->count] = next_leaf(draft->secret, draft->count, draft->salts, wire);
    draft->count++;
    return OK;
}

void batch_draft_finish(struct batch_draft *draft)
{
    buffer_finish(&draft->body);
    free(draft->leaves);
    draft->leaves = NULL;
    draft->count = 0;
    crypto_wipe(draft->secret, sizeof draft->secret);
    crypto_wipe(draft->salts, sizeof draft->salts);
}

// ---- signing

static ProtobufCBinaryData binary(const void *data, size_t size) { return (ProtobufCBinaryData){size, (uint8_t *)data}; }

static ProtobufCBinaryData binary_hash(const struct hash *hash)
{
    return hash && !hash_is_zero(hash) ? binary(hash->bytes, HASH_SIZE) : (ProtobufCBinaryData){0};
}

static void fill_feed(const struct feed_key *feed, Sanji__Feed *ret)
{
    sanji__feed__init(ret);
    ret->station = binary(feed->station.bytes, STATION_ID_SIZE);
    ret->ordinal = feed->ordinal;
    ret->nonce = feed->nonce;
    ret->lane = (Sanji__Lane)feed->lane;
    ret->audience = (Sanji__Audience)feed->audience;
    if (feed->audience == SANJI__AUDIENCE__STATION)
        ret->addressee = binary(feed->addressee.bytes, STATION_ID_SIZE);
}

struct follows {
    Sanji__Head heads[FOLLOWS_MAX];
    Sanji__Feed feeds[FOLLOWS_MAX];
    Sanji__Head *pointers[FOLLOWS_MAX];
};

static void fill_follows(const struct head *heads, uint32_t count, struct follows *ret)
{
    for (uint32_t i = 0; i < count; i++) {
        fill_feed(&heads[i].feed, &ret->feeds[i]);
        sanji__head__init(&ret->heads[i]);
        ret->heads[i].feed = &ret->feeds[i];
        ret->heads[i].next = heads[i].next;
        ret->heads[i].header = binary_hash(&heads[i].last);
        ret->heads[i].bodies = heads[i].bodies;
        ret->pointers[i] = &ret->heads[i];
    }
}

enum error_code batch_draft_sign(struct batch_draft *draft, const struct feed_state *chain, const struct certificate *signer,
                                 const struct secret_key *key, uint64_t time_ms, const struct hash *codebook, const struct head *follows,
                                 uint32_t follows_count, struct buffer *ret_header, struct header *ret,
                                 uint8_t ret_signature[SIGNATURE_SIZE], struct error *error)
{
    if (draft->count == 0)
        return error_set(error, ERR_STATE, "%s", tr("a batch without entries can't be signed", "空批次不能签名"));
    if (follows_count > FOLLOWS_MAX)
        return error_set(error, ERR_LIMIT, tr("%u heads to follow, at most %d", "需承接 %u 个链头，上限 %d"), follows_count, FOLLOWS_MAX);
    if (!station_equal(&draft->feed.station, &signer->station))
        return error_set(error, ERR_INPUT, "%s", tr("the feed is another station's than the signer", "信道所属站点与签名者不符"));
    struct merkle merkle = {0};
    for (uint32_t i = 0; i < draft->count; i++)
        merkle_add(&merkle, &draft->leaves[i]);
    struct hash root = merkle_root(&merkle);
    Sanji__Feed feed;
    fill_feed(&draft->feed, &feed);
    struct follows heads;
    fill_follows(follows, follows_count, &heads);
    Sanji__BatchHeader message = SANJI__BATCH_HEADER__INIT;
    message.format = 1;
    message.suite = 1;
    message.feed = &feed;
    message.certificate = binary_hash(&signer->hash);
    message.first = chain->next;
    message.count = draft->count;
    message.reach = draft->reach;
    message.time_ms = time_ms;
    message.codebook = binary_hash(codebook);
    message.root = binary_hash(&root);
    message.prev = binary_hash(&chain->last);
    message.body_size = (uint32_t)draft->body.size;
    message.n_follows = follows_count;
    message.follows = heads.pointers;
    size_t begin = ret_header->size;
    codec_pack(&message, ret_header);
    if (ret_header->failed)
        return error_set(error, ERR_MEMORY, "%s", tr("no memory for a batch", "内存不足，无法建立批次"));
    struct bytes wire = bytes_of(ret_header->data + begin, ret_header->size - begin);
    // Our own bounds are the receiver's: what it would refuse is never signed.
    enum error_code code = header_decode(wire, ret, error);
    if (code) {
        ret_header->size = begin;
        return code;
    }
    crypto_sign(key, TAG_SIGN_HEADER, wire, ret_signature);
    return OK;
}
