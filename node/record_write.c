// The writing half of record_session.h: keys, grants, entries, rows, figures.
#include <assert.h>

#include "envelope.pb-c.h"
#include "node/record_keys.h"
#include "node/record_session.h"
#include "relay/crypto.h"
#include "relay/language.h"
#include "relay/receipt.h"

// The key of one owner in this request. A subject has one, rarely two.
struct planned_key {
    struct key_owner owner;
    struct key_plan plan;
    struct subject_row former; // when the plan is not fresh
    struct planned_key *next;
};

static const struct form *form_of(const struct record_session *session) { return &session->desk->codebook->forms[session->form]; }

// ---- before anything is written

static enum error_code plan_key(struct record_session *session, struct planned_key **list, const struct key_owner *owner,
                                const struct planned_key **ret, struct error *error)
{
    struct planned_key *planned = *list;
    while (planned && memcmp(planned->owner.id, owner->id, sizeof owner->id) != 0)
        planned = planned->next;
    if (!planned) {
        planned = arena_alloc(&session->arena, sizeof *planned);
        if (!planned)
            return error_set(error, ERR_MEMORY, tr("keys of %u records", "%u 条记录的密钥"), session->count);
        *planned = (struct planned_key){.owner = *owner};
        enum error_code code = key_prepare(session->desk, owner, NULL, &planned->plan, error);
        if (code != OK)
            return code;
        planned->former = planned->plan.row;
        if (!planned->plan.fresh)
            subject_read(session->desk->txn, owner->id, &planned->former);
        planned->next = *list;
        *list = planned;
    } else if (owner->tiers & ~planned->plan.row.tiers) {
        enum error_code code = key_prepare(session->desk, owner, &planned->plan, &planned->plan, error);
        if (code != OK)
            return code;
    }
    *ret = planned;
    return OK;
}

// A subject has a row even when none of its sections is sealed with its own key.
static enum error_code plan_row(struct record_session *session, struct pending *pending, struct error *error)
{
    struct planned_key *planned = pending->touched->keys;
    while (planned && memcmp(planned->owner.id, pending->record->subject, SUBJECT_ID_SIZE) != 0)
        planned = planned->next;
    if (planned)
        return OK;
    planned = arena_alloc(&session->arena, sizeof *planned);
    if (!planned)
        return error_set(error, ERR_MEMORY, tr("keys of %u records", "%u 条记录的密钥"), session->count);
    *planned = (struct planned_key){.plan.row.edge = EDGE_NONE, .next = pending->touched->keys};
    memcpy(planned->owner.id, pending->record->subject, SUBJECT_ID_SIZE);
    planned->plan.fresh = !subject_read(session->desk->txn, planned->owner.id, &planned->plan.row);
    planned->former = planned->plan.row;
    pending->touched->keys = planned;
    return OK;
}

static enum error_code plan_keys(struct record_session *session, struct error *error)
{
    int sections[RECORD_SECTIONS_MAX];
    unsigned count = record_sections(form_of(session), sections);
    enum error_code code = OK;
    for (uint32_t p = 0; p < session->count && code == OK; p++) {
        struct pending *pending = &session->pendings[p];
        bool about = pending->touched->reg >= 0;
        struct planned_key **list = about ? &pending->touched->keys : &session->form_keys;
        for (unsigned i = 0; i < count && code == OK; i++) {
            struct key_owner owner = key_owner_of(session->desk, form_of(session), sections[i], pending->record->subject);
            code = plan_key(session, list, &owner, &pending->keys[i], error);
        }
        if (about && code == OK)
            code = plan_row(session, pending, error);
    }
    return code;
}

static enum error_code seal_all(struct record_session *session, struct error *error)
{
    int sections[RECORD_SECTIONS_MAX];
    unsigned count = record_sections(form_of(session), sections);
    for (uint32_t p = 0; p < session->count; p++) {
        struct pending *pending = &session->pendings[p];
        for (unsigned i = 0; i < count; i++) {
            const struct key_id *id = &pending->keys[i]->plan.row.key;
            struct symmetric_key key;
            if (!keyring_find(session->desk->keyring, id, &key))
                return error_set(error, ERR_STATE, tr("a subject's key is not in the keyring", "密钥环中没有对象的密钥"));
            struct bytes plain = bytes_of(session->plain.data + pending->plain[i], pending->plain[i + 1] - pending->plain[i]);
            pending->sealed[i] = session->sealed.size;
            section_seal(session->desk, &key, id, plain, &session->sealed);
            crypto_wipe(&key, sizeof key);
        }
        pending->sealed[count] = session->sealed.size;
    }
    return session->sealed.failed ? error_set(error, ERR_MEMORY, tr("sealing %u records", "密封 %u 条记录"), session->count) : OK;
}

// ---- writing: errors are the transaction's

static void grant_list(const struct record_session *session, const struct planned_key *list, uint32_t ancestor)
{
    for (; list; list = list->next) {
        if (list->plan.grants >> ancestor & 1)
            key_grant(session->desk, &list->plan.row.key, ancestor);
    }
}

// Ancestor by ancestor, so that grants of one reach share a batch.
static void grant_all(const struct record_session *session)
{
    for (uint32_t ancestor = 0; ancestor < session->desk->ancestor_count && ancestor < DEPTH_MAX; ancestor++) {
        grant_list(session, session->form_keys, ancestor);
        for (const struct touched *touched = session->touched.first; touched; touched = touched->next)
            grant_list(session, touched->keys, ancestor);
    }
}

static struct bytes sealed_of(const struct record_session *session, const struct pending *pending, unsigned i)
{
    return bytes_of(session->sealed.data + pending->sealed[i], pending->sealed[i + 1] - pending->sealed[i]);
}

// Sections of one reach side by side, so that they share batches. A record's row keeps this order too: it is the journal's, and a rebuilt
// row comes out the same.
static unsigned signing_order(const struct record_session *session, unsigned order[RECORD_SECTIONS_MAX],
                              uint32_t reach[RECORD_SECTIONS_MAX])
{
    int sections[RECORD_SECTIONS_MAX];
    uint32_t of_section[RECORD_SECTIONS_MAX];
    unsigned count = record_sections(form_of(session), sections), placed = 0;
    for (unsigned i = 0; i < count; i++)
        of_section[i] = section_reach(session->desk, form_of(session), sections[i]);
    for (uint32_t r = 0; placed < count; r++) {
        for (unsigned i = 0; i < count; i++) {
            if (of_section[i] != r)
                continue;
            order[placed] = i;
            reach[placed++] = r;
        }
    }
    return count;
}

// Depth of the tier whose receipt ends the waiting: the one that the form names, if it may have the batch, else the highest that may.
static uint32_t decider_of(const struct record_session *session, uint32_t reach)
{
    const struct desk *desk = session->desk;
    int named = form_of(session)->decided_by;
    uint32_t highest = reach < desk->self->depth ? desk->self->depth - reach : 0;
    for (uint32_t i = 0; i < desk->ancestor_count; i++)
        if (named >= 0 && codebook_tier(desk->codebook, desk->ancestors[i].tier) == named && desk->ancestors[i].depth > highest)
            return desk->ancestors[i].depth;
    return highest;
}

// One record's sections `order[begin..end)`, all of one reach, as an urgent batch of its own, with the keys that open it.
static void sign_urgent(const struct record_session *session, const struct pending *pending, const unsigned *order, unsigned begin,
                        unsigned end, uint32_t reach)
{
    const struct desk *desk = session->desk;
    struct author_batch signed_batch;
    for (unsigned i = begin; i < end; i++) {
        const struct planned_key *key = pending->keys[order[i]];
        bool granted = false; // with a section before it
        for (unsigned j = begin; j < i; j++)
            granted |= pending->keys[order[j]] == key;
        if (!granted)
            key_grant_urgent(desk, &key->owner, &key->plan.row, reach);
    }
    for (unsigned i = begin; i < end; i++)
        author_add(desk->author, desk->txn, SANJI__LANE__URGENT, SANJI__AUDIENCE__UP, NULL, reach, SANJI__ENTRY_KIND__RECORD, desk->now_ms,
                   sealed_of(session, pending, order[i]), &pending->keys[order[i]]->plan.row.key);
    if (!author_close(desk->author, desk->txn, SANJI__LANE__URGENT, SANJI__AUDIENCE__UP, NULL, &signed_batch))
        return;
    struct urgent_batch batch = {.feed = signed_batch.feed,
                                 .first = signed_batch.first,
                                 .decided = desk->ancestor_count == 0, // nobody is above the root
                                 .signed_ms = desk->now_ms,
                                 .within_ms = form_of(session)->receipt_within_ms,
                                 .decider = decider_of(session, reach),
                                 .reach = reach};
    memcpy(batch.record, pending->record->id, RECORD_ID_SIZE);
    static_assert((int)RECEIPT_WHAT_MAX >= (int)NAME_MAX_BYTES, "a form's id fits");
    memcpy(batch.what, form_of(session)->id, NAME_MAX_BYTES);
    urgent_write(desk->txn, &batch);
}

static void sign_all(const struct record_session *session)
{
    const struct desk *desk = session->desk;
    unsigned order[RECORD_SECTIONS_MAX], end;
    uint32_t reach[RECORD_SECTIONS_MAX];
    unsigned count = signing_order(session, order, reach);
    for (unsigned begin = 0; begin < count; begin = end) {
        for (end = begin + 1; end < count && reach[end] == reach[begin]; end++)
            ;
        for (uint32_t p = 0; p < session->count; p++) {
            if (form_of(session)->urgent)
                sign_urgent(session, &session->pendings[p], order, begin, end, reach[begin]);
            for (unsigned i = begin; i < end && !form_of(session)->urgent; i++)
                author_add(desk->author, desk->txn, SANJI__LANE__CASE, SANJI__AUDIENCE__UP, NULL, reach[i], SANJI__ENTRY_KIND__RECORD,
                           desk->now_ms, sealed_of(session, &session->pendings[p], order[i]),
                           &session->pendings[p].keys[order[i]]->plan.row.key);
        }
    }
}

static void store_all(const struct record_session *session)
{
    unsigned order[RECORD_SECTIONS_MAX];
    uint32_t reach[RECORD_SECTIONS_MAX];
    unsigned count = signing_order(session, order, reach);
    for (uint32_t p = 0; p < session->count; p++) {
        const struct pending *pending = &session->pendings[p];
        struct record_row row = {.revision = pending->record->revision, .standing = (uint8_t)count};
        for (unsigned i = 0; i < count; i++)
            row.sections[i] = (struct sealed_section){pending->keys[order[i]]->plan.row.key, sealed_of(session, pending, order[i])};
        record_row_write(session->desk->txn, pending->record->subject, pending->record->id, &row);
    }
}

static void store_keys(const struct record_session *session, const struct planned_key *list)
{
    for (; list; list = list->next) {
        const struct subject_row *row = &list->plan.row;
        if (list->plan.fresh || row->tiers != list->former.tiers || row->edge != list->former.edge)
            subject_write(session->desk->txn, list->owner.id, row);
    }
}

static void settle_all(struct record_session *session)
{
    for (struct touched *touched = session->touched.first; touched; touched = touched->next) {
        int32_t edge;
        touched_settle(&session->touched, session->desk, touched, session->today, &edge);
        for (struct planned_key *key = touched->keys; key; key = key->next) {
            if (memcmp(key->owner.id, touched->id, SUBJECT_ID_SIZE) == 0)
                key->plan.row.edge = edge;
        }
        store_keys(session, touched->keys);
    }
    store_keys(session, session->form_keys);
}

enum error_code record_session_write(struct record_session *session, struct error *error)
{
    struct txn *txn = session->desk->txn;
    enum error_code code = plan_keys(session, error);
    if (code == OK)
        code = seal_all(session, error);
    if (code != OK)
        return code;
    if (!form_of(session)->urgent) // those of urgent batches go with them
        grant_all(session);
    sign_all(session);
    store_all(session);
    settle_all(session);
    return txn_error(txn) == OK ? OK : error_set(error, txn_error(txn), tr("writing %u records", "写入 %u 条记录"), session->count);
}
