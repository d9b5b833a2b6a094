#include "node/record_session.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/period.h"
#include "node/record_validate.h"
#include "relay/crypto.h"
#include "relay/language.h"

static const char tag_subject[] = "sanji.subject"; // register 0 unit 0 key: first 16 bytes name the subject that a caller calls by key

static const uint8_t no_subject[SUBJECT_ID_SIZE];

void record_session_init(struct record_session *session, struct desk *desk, const struct record_input *input, uint16_t form)
{
    *session = (struct record_session){.desk = desk, .input = input, .form = form};
    session->arena.limit = SESSION_MEMORY_MAX;
    session->touched.arena = &session->arena;
    session->today = civil_of_instant(desk->now_ms, desk->codebook->tz_minutes);
}

void record_session_finish(struct record_session *session)
{
    if (session->plain.data)
        crypto_wipe(session->plain.data, session->plain.capacity);
    buffer_finish(&session->plain);
    buffer_finish(&session->sealed);
    arena_finish(&session->scratch);
    arena_finish(&session->arena);
    free(session->pendings);
}

static const struct form *form_of(const struct record_session *session) { return &session->desk->codebook->forms[session->form]; }

// An error of a lower layer becomes a finding about `field`.
static bool found(struct finding *finding, const char *field, const struct error *error)
{
    return finding_set(finding, error->code, field, "%s", error->detail);
}

static bool no_memory(const struct record_session *session, struct finding *finding)
{
    if (session->arena.failed)
        return finding_set(finding, ERR_MEMORY, "", "%s", tr("no memory for the records", "内存不足，无法保存记录"));
    return finding_set(finding, ERR_LIMIT, "", tr("too many records at once; send less", "一次记录过多；请分批发送"));
}

// ---- whose record it is

// Subjects of the register `unit` are the tree's own units: the key is the code, and the unit itself holds the row.
static bool about_units(const struct record_session *session)
{
    int16_t about = form_of(session)->about;
    return about >= 0 && strcmp(session->desk->codebook->regs[about].id, "unit") == 0;
}

static bool find_unit(const struct record_session *session, const struct record_draft *draft, const struct record *former,
                      struct record *record, struct finding *finding)
{
    const struct desk *desk = session->desk;
    const char *code = draft->unit                                     ? draft->unit
                       : former                                        ? former->unit
                       : session->input->unit && *session->input->unit ? session->input->unit
                                                                       : NULL;
    if (!draft->unit && !former && draft->key && about_units(session))
        code = draft->key;
    int32_t unit = code ? units_find(desk->units, code) : desk->unit;
    if (unit == UNIT_NONE)
        return finding_set(finding, ERR_INPUT, "unit", tr("'%s' is not in the unit tree", "单位树中没有“%s”"), code);
    const struct unit *place = &desk->units->items[unit];
    if (!units_within(desk->units, unit, desk->unit))
        return finding_set(finding, ERR_INPUT, "unit", tr("%s (%s) is not below this station's unit", "%s（%s）不在本站单位之下"),
                           place->code, place->name);
    if (!desk_speaks_for(desk, unit))
        return finding_set(finding, ERR_INPUT, "unit",
                           tr("%s (%s) has a station of its own: record it there", "%s（%s）有自己的站点：请在该站录入"), place->code,
                           place->name);
    if (unit_id_find(desk->txn, place->code, place->from) == UNIT_ID_NONE)
        return finding_set(finding, ERR_STATE, "unit", tr("%s has no number in the store", "%s 在存储中没有编号"), place->code);
    record->unit = place->code; // the tree outlives the transaction
    record->unit_from = place->from;
    return true;
}

static bool key_subject(const struct record_session *session, const char *key, const char *unit, uint8_t ret[SUBJECT_ID_SIZE],
                        struct finding *finding)
{
    const struct reg *reg = &session->desk->codebook->regs[form_of(session)->about];
    if (about_units(session) && strcmp(key, unit) != 0)
        return finding_set(finding, ERR_INPUT, "key", tr("the subject is the unit itself; `unit` says %s", "对象即单位本身；unit 为 %s"),
                           unit);
    char text[NAME_MAX_BYTES + 1 + UNIT_CODE_MAX + 1 + SUBJECT_KEY_MAX + 1];
    size_t size = (size_t)snprintf(text, sizeof text, "%s%c%s%c%s", reg->id, 0, unit, 0, key);
    memcpy(ret, crypto_hash(tag_subject, bytes_of(text, size)).bytes, SUBJECT_ID_SIZE);
    return true;
}

// The subject of a new record: named by id, by key, or opened now.
static bool find_subject(struct record_session *session, const struct record_draft *draft, struct record *record, struct touched **ret,
                         struct finding *finding)
{
    struct desk *desk = session->desk;
    const struct form *form = form_of(session);
    struct error error = {0};
    if (form->about < 0) {
        if (draft->has_subject || draft->key)
            return finding_set(finding, ERR_INPUT, draft->has_subject ? "subject" : "key",
                               tr("form %s is about no subject", "表单 %s 没有对象"), form->id);
        return touched_lone(&session->touched, record->id, NULL, ret, &error) == OK || found(finding, "", &error);
    }
    const struct reg *reg = &desk->codebook->regs[form->about];
    const char *key = draft->key ? draft->key : about_units(session) && !draft->has_subject ? record->unit : NULL;
    if (draft->has_subject) {
        memcpy(record->subject, draft->subject, SUBJECT_ID_SIZE);
    } else if (key) {
        if (!key_subject(session, key, record->unit, record->subject, finding))
            return false;
    } else if (form->keeps) {
        crypto_random(record->subject, SUBJECT_ID_SIZE);
    } else {
        return finding_set(finding, ERR_INPUT, "subject", tr("needed: form %s opens no new %s", "必填：表单 %s 不建立新的%s"), form->id,
                           label_text(&reg->label));
    }
    if (touched_find(&session->touched, desk, record->subject, form->about, ret, &error) != OK)
        return found(finding, draft->has_subject ? "subject" : "key", &error);
    if (draft->has_subject && !(*ret)->known && (*ret)->count == 0)
        return finding_set(finding, ERR_INPUT, "subject", tr("no such subject on this station", "本站没有此对象"));
    return true;
}

// ---- corrections

static bool lone_former(struct record_session *session, const uint8_t id[RECORD_ID_SIZE], struct touched **ret, struct finding *finding)
{
    struct record_row row;
    struct record *former = NULL;
    struct error error = {0};
    *ret = touched_at(&session->touched, id);
    if (*ret)
        return true;
    if (!record_row_read(session->desk->txn, no_subject, id, &row))
        return finding_set(finding, ERR_CORRUPT, "record", tr("its row is missing", "其行缺失"));
    if (record_open(session->desk, &row, &session->arena, &former, &error) != OK ||
        touched_lone(&session->touched, id, former, ret, &error) != OK)
        return found(finding, "record", &error);
    return true;
}

// The record that this one replaces, with its subject.
static bool find_former(struct record_session *session, const struct record_draft *draft, struct record *record, struct touched **ret,
                        const struct record **ret_former, struct finding *finding)
{
    struct desk *desk = session->desk;
    uint32_t revision;
    struct error error = {0};
    if (!record_find(desk->txn, draft->record, record->subject, &revision) || revision == 0)
        return finding_set(finding, ERR_INPUT, "record", tr("no such record on this station", "本站没有此记录"));
    if (draft->has_subject && memcmp(draft->subject, record->subject, SUBJECT_ID_SIZE) != 0)
        return finding_set(finding, ERR_INPUT, "subject", tr("a correction keeps its subject", "更正不得改变对象"));
    bool lone = memcmp(record->subject, no_subject, SUBJECT_ID_SIZE) == 0;
    if (lone ? !lone_former(session, draft->record, ret, finding)
             : touched_find(&session->touched, desk, record->subject, -1, ret, &error) != OK)
        return lone ? false : found(finding, "record", &error);
    struct touched_record *place = touched_record_find(*ret, draft->record);
    if (!place || !place->before)
        return finding_set(finding, ERR_CORRUPT, "record", tr("its row is missing", "其行缺失"));
    if (place->now != place->before)
        return finding_set(finding, ERR_INPUT, "record", tr("is corrected twice in one request", "同一请求中更正两次"));
    if (place->now->form != session->form)
        return finding_set(finding, ERR_INPUT, "record", tr("is of form %s, not %s", "属于表单 %s，而非 %s"),
                           desk->codebook->forms[place->now->form].id, form_of(session)->id);
    memcpy(record->id, draft->record, RECORD_ID_SIZE);
    record->revision = place->now->revision + 1;
    *ret_former = place->now;
    return true;
}

// ---- checking

static const struct record *prior_of(const struct history *history, const struct record *record)
{
    const struct record *prior = NULL;
    for (uint32_t i = 0; i < history->count && record_compare(history->records[i], record) < 0; i++) {
        const struct record *other = history->records[i];
        if (other->form == record->form && !other->voided && memcmp(other->id, record->id, RECORD_ID_SIZE) != 0)
            prior = other;
    }
    return prior;
}

static bool check(struct record_session *session, const struct touched *touched, struct record *record, struct finding *finding)
{
    struct desk *desk = session->desk;
    struct value props[PROPS_MAX], birth_props[PROPS_MAX];
    struct history history;
    if (!record_date(form_of(session), session->today, record->values, &record->at, finding))
        return false;
    if (!touched_history(&session->touched, desk, touched, false, &history))
        return no_memory(session, finding);
    const struct record *former = NULL;
    for (uint32_t i = 0; i < history.count && !former; i++) {
        if (memcmp(history.records[i]->id, record->id, RECORD_ID_SIZE) == 0)
            former = history.records[i];
    }
    history_props(&history, record->at, former, props);
    history_props(&history, INT32_MAX, former, birth_props);
    const struct record *prior = history.reg ? prior_of(&history, record) : NULL;
    struct surroundings around = {
        .codebook = desk->codebook,
        .form = form_of(session),
        .props = history.reg ? props : NULL,
        .birth_props = birth_props,
        .prior = prior ? prior->values : NULL,
        .today = session->today,
        .unit_from = record->unit_from,
    };
    if (!record_validate(&around, record->at, record->values, finding))
        return false;
    if (desk->self->from_period && month_of_days(record->at) < desk->self->from_period) {
        char month[16];
        period_format((struct period){1, desk->self->from_period}, month);
        return finding_set(finding, ERR_INPUT, form_of(session)->fields[form_of(session)->at].id,
                           tr("lies before %s, when this station took over", "早于本站接管的月份 %s"), month);
    }
    return true;
}

static bool encode(struct record_session *session, const struct record *record, struct touched *touched, struct finding *finding)
{
    int sections[RECORD_SECTIONS_MAX];
    unsigned count = record_sections(form_of(session), sections);
    struct pending pending = {.record = record, .touched = touched};
    struct error error = {0};
    for (unsigned i = 0; i < count; i++) {
        pending.plain[i] = session->plain.size;
        enum error_code code = record_encode(session->desk->codebook, record, sections[i], &session->scratch, &session->plain, &error);
        arena_reset(&session->scratch);
        if (code != OK)
            return found(finding, "", &error);
    }
    pending.plain[count] = session->plain.size;
    if (session->count == session->capacity) {
        uint32_t capacity = session->capacity ? session->capacity * 2 : 16;
        struct pending *pendings = realloc(session->pendings, capacity * sizeof *pendings);
        if (!pendings)
            return finding_set(finding, ERR_MEMORY, "", "%s", error_text(ERR_MEMORY));
        session->pendings = pendings;
        session->capacity = capacity;
    }
    session->pendings[session->count++] = pending;
    return true;
}

static uint64_t recorded_ms(const struct record_session *session, const struct touched *touched)
{
    uint64_t later = 0; // records about one subject in one request keep their order within a day
    for (uint32_t i = 0; i < touched->count; i++)
        later += touched->records[i].now != touched->records[i].before;
    return session->desk->now_ms + later;
}

static const char *text_or_empty(const char *text) { return text ? text : ""; }

bool record_session_add(struct record_session *session, const struct record_draft *draft, struct finding *finding)
{
    struct record *record = arena_alloc(&session->arena, sizeof *record);
    struct touched *touched = NULL;
    const struct record *former = NULL;
    struct error error = {0};
    if (!record)
        return no_memory(session, finding);
    *record = (struct record){.revision = 1, .form = session->form, .voided = draft->voided, .values = draft->values};
    if (draft->has_record && !find_former(session, draft, record, &touched, &former, finding))
        return false;
    if (!find_unit(session, draft, former, record, finding))
        return false;
    if (!draft->has_record) {
        crypto_random(record->id, RECORD_ID_SIZE);
        if (!find_subject(session, draft, record, &touched, finding))
            return false;
    }
    record->person = text_or_empty(session->input->person);
    record->post = text_or_empty(session->input->post);
    record->reason = text_or_empty(draft->reason);
    record->recorded_ms = recorded_ms(session, touched);
    bool about = form_of(session)->about >= 0;
    record->custodian = !about ? "" : *touched->custodian ? touched->custodian : record->unit;
    if (record->voided)
        record->at = former->at;
    else if (!check(session, touched, record, finding))
        return false;
    if (touched_put(&session->touched, session->desk, touched, record, &error) != OK)
        return found(finding, "", &error);
    return encode(session, record, touched, finding);
}
