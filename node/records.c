#include "node/records.h"

#include <stdio.h>

#include "node/period.h"
#include "node/record_keys.h"
#include "node/record_session.h"
#include "relay/crypto.h"
#include "relay/language.h"

// ---- submit

static enum error_code find_form(const struct desk *desk, const struct record_input *input, uint16_t *ret, struct error *error)
{
    if (!desk->codebook)
        return error_set(error, ERR_STATE, tr("no codebook is in force on this station yet", "本站尚无生效的编码本"));
    int form = codebook_form(desk->codebook, input->form);
    if (form >= 0) {
        *ret = (uint16_t)form;
        return OK;
    }
    char forms[300] = "";
    size_t used = 0;
    for (unsigned i = 0; i < desk->codebook->form_count && used + NAME_MAX_BYTES + 8 < sizeof forms; i++)
        used += (size_t)snprintf(forms + used, sizeof forms - used, "%s%s", i ? ", " : "", desk->codebook->forms[i].id);
    return error_set(error, ERR_NOT_FOUND, tr("form '%.40s'; the codebook has: %s", "表单“%.40s”；编码本中有：%s"), input->form, forms);
}

static enum error_code read_all(struct record_session *session, struct error *error)
{
    struct record_reader reader;
    struct record_draft draft;
    struct finding finding = {0};
    const struct codebook *codebook = session->desk->codebook;
    enum error_code code = record_reader_init(&reader, session->input, codebook, &codebook->forms[session->form], &session->arena, error);
    while (code == OK && record_reader_next(&reader, &draft, error)) {
        if (!record_session_add(session, &draft, &finding))
            code = record_reader_fail(&reader, &finding, error);
    }
    code = code != OK ? code : reader.code;
    record_reader_finish(&reader);
    return code;
}

enum error_code records_submit(struct desk *desk, const struct record_input *input,
                               void (*each)(void *context, const struct record_result *), void *context, struct error *error)
{
    uint16_t form = 0;
    if (txn_error(desk->txn) != OK)
        return error_set(error, txn_error(desk->txn), tr("the transaction failed before", "事务此前已失败"));
    enum error_code code = find_form(desk, input, &form, error);
    if (code != OK)
        return code;
    if ((input->person && strlen(input->person) > RECORD_TEXT_MAX) || (input->post && strlen(input->post) > RECORD_TEXT_MAX))
        return error_set(error, ERR_INPUT, tr("person and post take at most %d bytes", "人员和岗位各不得超过 %d 字节"), RECORD_TEXT_MAX);
    struct record_session session;
    record_session_init(&session, desk, input, form);
    code = read_all(&session, error);
    if (code == OK && txn_error(desk->txn) != OK)
        code = error_set(error, txn_error(desk->txn), tr("reading the store", "读取存储"));
    if (code == OK && !input->check_only)
        code = record_session_write(&session, error);
    for (uint32_t i = 0; code == OK && each && i < session.count; i++) {
        struct record_result result = {.revision = session.pendings[i].record->revision};
        if (!input->check_only) { // ids of what is not kept would only mislead
            memcpy(result.record, session.pendings[i].record->id, RECORD_ID_SIZE);
            memcpy(result.subject, session.pendings[i].record->subject, SUBJECT_ID_SIZE);
        }
        each(context, &result);
    }
    record_session_finish(&session);
    return code;
}

// ---- time

// Restates one subject up to today.
static void tick(struct desk *desk, const uint8_t subject[SUBJECT_ID_SIZE], int32_t edge, int32_t today, struct arena *arena)
{
    struct subject_row row;
    struct touched_set set = {.arena = arena};
    struct touched *touched;
    struct error error = {0};
    if (!subject_read(desk->txn, subject, &row) || row.edge != edge) {
        if (txn_error(desk->txn) == OK)
            edge_drop(desk->txn, edge, subject);
        return;
    }
    enum error_code code = touched_find(&set, desk, subject, -1, &touched, &error);
    if (code == OK) {
        touched->slow = true;
        touched_settle(&set, desk, touched, today, &row.edge);
        subject_write(desk->txn, subject, &row);
    } else if (code == ERR_NOT_FOUND) { // erased: its figures stay as they were stated
        row.edge = EDGE_NONE;
        subject_write(desk->txn, subject, &row);
    } else {
        txn_fail(desk->txn, code, error.detail);
    }
}

bool records_tick(struct desk *desk, uint32_t max)
{
    struct arena arena = {.limit = SESSION_MEMORY_MAX};
    uint8_t subject[SUBJECT_ID_SIZE];
    int32_t edge, today = desk->codebook ? civil_of_instant(desk->now_ms, desk->codebook->tz_minutes) : INT32_MIN;
    uint32_t done = 0;
    bool more = false;
    while (desk->codebook && edge_first(desk->txn, &edge, subject) && edge <= today && txn_error(desk->txn) == OK) {
        if (done++ == max) {
            more = true;
            break;
        }
        tick(desk, subject, edge, today, &arena);
        arena_reset(&arena);
    }
    arena_finish(&arena);
    return more;
}

int32_t records_next_edge(struct txn *txn)
{
    int32_t edge;
    uint8_t subject[SUBJECT_ID_SIZE];
    return edge_first(txn, &edge, subject) ? edge : EDGE_NONE;
}

// ---- replay

// The owner's row, as the section would have left it.
static void replay_owner(struct desk *desk, const struct record *part, int section, const struct key_id *key, const struct form *form)
{
    static const struct key_id none;
    struct key_owner owner = key_owner_of(desk, form, section, part->subject);
    struct subject_row row = {.edge = EDGE_UNSTATED};
    if (form->about >= 0 && !subject_read(desk->txn, part->subject, &row))
        subject_write(desk->txn, part->subject, &row);
    struct subject_row former = {.edge = EDGE_NONE};
    bool known = subject_read(desk->txn, owner.id, &former);
    row = former;
    row.tiers |= owner.tiers;
    if (memcmp(&row.key, &none, sizeof none) == 0)
        row.key = *key;
    if (!known || row.tiers != former.tiers || memcmp(&row.key, &former.key, sizeof row.key) != 0)
        subject_write(desk->txn, owner.id, &row);
}

// The row with the section added: to the ones that wait, or, when it is the last of its revision, all of them in place of the former.
// Returns whether the revision stands now.
static bool add_section(struct record_row *row, const struct sealed_section *section, uint32_t revision, uint32_t sections)
{
    row->sections[row->standing + row->waiting++] = *section;
    if (row->waiting < sections)
        return false;
    memmove(row->sections, row->sections + row->standing, row->waiting * sizeof *row->sections);
    row->standing = row->waiting;
    row->waiting = 0;
    row->revision = revision;
    return true;
}

// Copies what points into the store, before it is written.
static bool own_sections(struct record_row *row, struct arena *arena)
{
    for (unsigned i = 0; i < row->standing + row->waiting; i++) {
        uint8_t *copy = arena_alloc(arena, row->sections[i].sealed.size + 1);
        if (!copy)
            return false;
        memcpy(copy, row->sections[i].sealed.data, row->sections[i].sealed.size);
        row->sections[i].sealed.data = copy;
    }
    return true;
}

// A revision stands: a lone record's figures at once; a subject's at the next tick if they were never stated, else at once too.
static enum error_code replay_figures(struct desk *desk, const struct record_row *before, const struct record_row *now, struct arena *arena,
                                      const uint8_t subject[SUBJECT_ID_SIZE], bool lone, struct error *error)
{
    struct touched_set set = {.arena = arena};
    struct subject_row owner = {0};
    struct touched *touched;
    struct record *former = NULL, *record = NULL;
    int32_t today = civil_of_instant(desk->now_ms, desk->codebook->tz_minutes);
    if (!lone && (!subject_read(desk->txn, subject, &owner) || owner.edge == EDGE_UNSTATED))
        return OK;
    enum error_code code = record_open(desk, before, arena, &former, error);
    if (code == OK)
        code = record_open(desk, now, arena, &record, error);
    if (code == OK)
        code = lone ? touched_lone(&set, record->id, former, &touched, error) : touched_find(&set, desk, subject, -1, &touched, error);
    if (code == OK)
        code = touched_put(&set, desk, touched, record, error);
    if (code != OK)
        return code;
    touched_settle(&set, desk, touched, today, &owner.edge);
    if (!lone)
        subject_write(desk->txn, subject, &owner);
    return OK;
}

static enum verdict replay(struct desk *desk, const struct sealed_section *sealed, bool figures, struct arena *arena, const char **reason)
{
    static const uint8_t none[SUBJECT_ID_SIZE];
    struct record part;
    struct record_row row = {0}, before = {0};
    struct error error = {0};
    int section;
    uint32_t sections;
    enum error_code code = section_open(desk, sealed, arena, &part, &section, &sections, &error);
    if (code == ERR_NOT_FOUND)
        return VERDICT_HELD;
    if (code != OK) {
        *reason = code == ERR_FORGED ? "a record that does not open" : "a record that the codebook does not allow";
        return VERDICT_REJECTED;
    }
    const struct form *form = &desk->codebook->forms[part.form];
    bool lone = form->about < 0;
    if (record_row_read(desk->txn, part.subject, part.id, &row) && row.revision >= part.revision)
        return VERDICT_APPLIED; // it was here before
    for (unsigned i = 0; i < row.waiting; i++) {
        if (bytes_equal(row.sections[row.standing + i].sealed, sealed->sealed))
            return VERDICT_APPLIED;
    }
    if (row.waiting == RECORD_SECTIONS_MAX || sections > RECORD_SECTIONS_MAX) {
        *reason = "a record with more sections than it says";
        return VERDICT_REJECTED;
    }
    before = row;
    before.waiting = 0;
    bool good = own_sections(&row, arena);
    memcpy(before.sections, row.sections, sizeof before.sections);
    bool stands = good && add_section(&row, sealed, part.revision, sections);
    code = good ? OK : ERR_MEMORY;
    replay_owner(desk, &part, section, &sealed->key, form);
    if (code == OK && stands && figures)
        code = replay_figures(desk, &before, &row, arena, lone ? none : part.subject, lone, &error);
    if (code != OK)
        txn_fail(desk->txn, code, error.detail);
    else
        record_row_write(desk->txn, part.subject, part.id, &row);
    return VERDICT_APPLIED;
}

enum verdict records_replay(struct desk *desk, struct bytes sealed, const struct key_id *key, bool figures, const char **reason)
{
    struct arena arena = {.limit = SESSION_MEMORY_MAX};
    struct sealed_section section = {*key, sealed};
    if (!desk->codebook) {
        *reason = "codebook";
        return VERDICT_DEFERRED;
    }
    enum verdict verdict = replay(desk, &section, figures, &arena, reason);
    arena_finish(&arena);
    return verdict;
}
