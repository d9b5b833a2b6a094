#include "node/record_keys.h"

#include "envelope.pb-c.h"
#include "relay/codec.h"
#include "relay/crypto.h"
#include "relay/language.h"

static const char tag_owner[] = "sanji.key-owner"; // form id, or key owner 16 || tiers be32: first 16 bytes name a key's owner

// Readers of a section; the record's own fields are read like the first named section.
static uint32_t tiers_of(const struct form *form, int section)
{
    if (form->section_count == 0)
        return 0;
    return form->sections[section == SECTION_OWN ? 0 : section].tiers;
}

static bool named(const struct desk *desk, uint32_t tiers, uint32_t ancestor)
{
    int tier = codebook_tier(desk->codebook, desk->ancestors[ancestor].tier);
    return tier >= 0 && tiers >> tier & 1;
}

struct key_owner key_owner_of(const struct desk *desk, const struct form *form, int section, const uint8_t subject[SUBJECT_ID_SIZE])
{
    static const uint8_t none[SUBJECT_ID_SIZE];
    struct key_owner owner = {.tiers = tiers_of(form, section), .parent = true};
    if (memcmp(subject, none, sizeof none) == 0)
        memcpy(owner.id, crypto_hash(tag_owner, bytes_of_text(form->id)).bytes, sizeof owner.id);
    else
        memcpy(owner.id, subject, sizeof owner.id);
    bool above = false;
    for (uint32_t i = 1; i < desk->ancestor_count; i++)
        above |= named(desk, owner.tiers, i);
    if (above && !named(desk, owner.tiers, 0)) { // past the parent's head
        uint8_t narrow[SUBJECT_ID_SIZE + 4];
        memcpy(narrow, owner.id, SUBJECT_ID_SIZE);
        put_be32(narrow + SUBJECT_ID_SIZE, owner.tiers);
        memcpy(owner.id, crypto_hash(tag_owner, bytes_of(narrow, sizeof narrow)).bytes, sizeof owner.id);
        owner.parent = false;
    }
    return owner;
}

static enum error_code key_make(const struct desk *desk, struct key_id *ret, struct error *error)
{
    struct symmetric_key key;
    struct key_id id;
    crypto_random(&id, sizeof id);
    crypto_random(&key, sizeof key);
    enum error_code code = keyring_add(desk->keyring, &id, &key, error);
    crypto_wipe(&key, sizeof key);
    if (code == OK)
        *ret = id;
    return code;
}

enum error_code key_prepare(const struct desk *desk, const struct key_owner *owner, const struct key_plan *already, struct key_plan *ret,
                            struct error *error)
{
    static const struct key_id none;
    struct key_plan plan = {.row.edge = EDGE_NONE};
    if (already) {
        plan = *already;
    } else if (!subject_read(desk->txn, owner->id, &plan.row) || memcmp(&plan.row.key, &none, sizeof none) == 0) {
        if (txn_error(desk->txn) != OK)
            return error_set(error, txn_error(desk->txn), tr("reading a subject", "读取对象"));
        plan.fresh = true;
        enum error_code code = key_make(desk, &plan.row.key, error);
        if (code != OK)
            return code;
        plan.grants = owner->parent && desk->ancestor_count ? 1 : 0;
    } else if (keyring_forgotten(desk->keyring, &plan.row.key)) {
        return error_set(error, ERR_REFUSED, tr("the subject was erased: its key is destroyed", "对象已被抹除：其密钥已销毁"));
    }
    for (uint32_t i = owner->parent ? 1 : 0; i < desk->ancestor_count && i < 32; i++) {
        if (named(desk, owner->tiers & ~plan.row.tiers, i))
            plan.grants |= UINT32_C(1) << i;
    }
    plan.row.tiers |= owner->tiers;
    *ret = plan;
    return OK;
}

static uint32_t tiers_up(const struct desk *desk, uint32_t ancestor)
{
    uint32_t up = desk->self->depth - desk->ancestors[ancestor].depth;
    return up < REACH_TOP ? up : REACH_TOP;
}

static void grant(const struct desk *desk, const struct key_id *id, uint32_t ancestor, unsigned lane, uint32_t reach)
{
    const struct certificate *to = &desk->ancestors[ancestor];
    struct symmetric_key key;
    uint8_t wrapped[WRAPPED_KEY_SIZE];
    if (!keyring_find(desk->keyring, id, &key)) {
        txn_fail(desk->txn, ERR_STATE, tr("a key vanished from the keyring", "密钥从密钥环中消失"));
        return;
    }
    bool good = crypto_wrap(&to->seal_key, &key, wrapped);
    crypto_wipe(&key, sizeof key);
    if (!good) {
        txn_fail(desk->txn, ERR_FORGED, tr("an ancestor's sealing key is no key", "上级的封装密钥无效"));
        return;
    }
    Sanji__KeyGrant grant = SANJI__KEY_GRANT__INIT;
    grant.key_id = (ProtobufCBinaryData){KEY_ID_SIZE, (uint8_t *)id->bytes};
    grant.station = (ProtobufCBinaryData){STATION_ID_SIZE, (uint8_t *)to->station.bytes};
    grant.wrapped = (ProtobufCBinaryData){sizeof wrapped, wrapped};
    struct buffer content = {0};
    codec_pack(&grant, &content);
    if (content.failed)
        txn_fail(desk->txn, ERR_MEMORY, tr("no memory for a key grant", "内存不足，无法授予密钥"));
    else
        author_add(desk->author, desk->txn, lane, SANJI__AUDIENCE__UP, NULL, reach, SANJI__ENTRY_KIND__KEY_GRANT, desk->now_ms,
                   buffer_bytes(&content), NULL);
    buffer_finish(&content);
}

void key_grant(const struct desk *desk, const struct key_id *id, uint32_t ancestor)
{
    grant(desk, id, ancestor, SANJI__LANE__CASE, tiers_up(desk, ancestor));
}

void key_grant_urgent(const struct desk *desk, const struct key_owner *owner, const struct subject_row *row, uint32_t reach)
{
    for (uint32_t i = 0; i < desk->ancestor_count; i++)
        if (((owner->parent && i == 0) || named(desk, row->tiers, i)) && reach_entitles(reach, tiers_up(desk, i)))
            grant(desk, &row->key, i, SANJI__LANE__URGENT, reach);
}

uint32_t section_reach(const struct desk *desk, const struct form *form, int section)
{
    uint32_t reach = desk->ancestor_count ? tiers_up(desk, 0) : 0;
    for (uint32_t i = 1; i < desk->ancestor_count; i++) {
        if (named(desk, tiers_of(form, section), i))
            reach = tiers_up(desk, i);
    }
    return reach;
}
