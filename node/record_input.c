#include "node/record_input.h"

#include <stdio.h>

#include "node/json.h"
#include "relay/crypto.h"
#include "relay/language.h"

// What a name means: a field's index, or one of these.
enum { NAME_UNKNOWN = -1, NAME_SUBJECT = -2, NAME_KEY = -3, NAME_RECORD = -4, NAME_VOID = -5, NAME_REASON = -6, NAME_UNIT = -7 };

static int meaning(const struct form *form, const char *name)
{
    static const struct {
        const char *name;
        int meaning;
    } words[] = {{"subject", NAME_SUBJECT}, {"key", NAME_KEY},       {"record", NAME_RECORD},
                 {"void", NAME_VOID},       {"reason", NAME_REASON}, {"unit", NAME_UNIT}};
    int field = form_field(form, name);
    if (field >= 0)
        return field;
    if (strcmp(name, "at") == 0)
        return form->at;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcmp(name, words[i].name) == 0)
            return words[i].meaning;
    }
    return NAME_UNKNOWN;
}

static void names_text(const struct form *form, char *ret, size_t size)
{
    size_t used = 0;
    for (unsigned i = 0; i < form->field_count; i++) {
        const char *id = form->fields[i].id;
        if (used + strlen(id) + sizeof ", ..." > size) {
            snprintf(ret + used, size - used, ", ...");
            return;
        }
        used += (size_t)snprintf(ret + used, size - used, "%s%s", i ? ", " : "", id);
    }
}

static bool unknown_name(const struct form *form, const char *name, struct finding *finding)
{
    char names[260];
    names[0] = 0;
    names_text(form, names, sizeof names);
    return finding_set(finding, ERR_INPUT, name, tr("form %s has no such field; it has: %s", "表单 %s 没有此字段；其字段为：%s"), form->id,
                       names);
}

// ---- opening

static enum error_code columns_read(struct record_reader *reader, struct error *error)
{
    enum error_code code = csv_header(&reader->csv, error);
    if (code != OK)
        return code;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < reader->csv.count; i++) {
        struct finding finding = {0};
        const char *name = csv_column_name(&reader->csv, i);
        int what = meaning(reader->form, name);
        reader->columns[i] = (int16_t)what;
        if (what == NAME_UNKNOWN) {
            unknown_name(reader->form, name, &finding);
            return csv_fail(&reader->csv, i, ERR_INPUT, error, "%s", finding.text);
        }
        if (what >= 0 && seen >> what & 1)
            return csv_fail(&reader->csv, i, ERR_INPUT, error, tr("field %s has two columns", "字段 %s 出现两列"),
                            reader->form->fields[what].id);
        seen |= what >= 0 ? UINT64_C(1) << what : 0;
    }
    return OK;
}

static enum error_code json_open(struct record_reader *reader, struct bytes text, const char *source, struct error *error)
{
    enum error_code code = json_parse(text, source, &reader->document, error);
    if (code != OK)
        return code;
    const struct json *root = json_root(reader->document);
    const struct json *records =
        json_kind(root) == JSON_KIND_MAP && form_field(reader->form, "records") < 0 ? json_get(root, "records") : NULL;
    if (records && (json_count(root) != 1 || json_kind(records) != JSON_KIND_LIST))
        return json_fail(reader->document, records, ERR_INPUT, error,
                         tr("expected a list of records, alone in its object", "应为记录列表，且为对象中唯一成员"));
    if (records || json_kind(root) == JSON_KIND_LIST) {
        reader->item = json_first(records ? records : root);
    } else {
        reader->item = root;
        reader->single = true;
    }
    return OK;
}

enum error_code record_reader_init(struct record_reader *reader, const struct record_input *input, const struct codebook *codebook,
                                   const struct form *form, struct arena *arena, struct error *error)
{
    const char *source = input->source ? input->source : tr("input", "输入");
    *reader = (struct record_reader){.codebook = codebook, .form = form, .arena = arena, .is_csv = input->csv};
    if (!input->csv)
        return reader->code = json_open(reader, input->data, source, error);
    reader->code = csv_init(&reader->csv, input->data, source, error);
    if (reader->code == OK)
        reader->code = columns_read(reader, error);
    return reader->code;
}

void record_reader_finish(struct record_reader *reader)
{
    if (reader->is_csv)
        csv_finish(&reader->csv);
    json_destroy(reader->document);
    reader->document = NULL;
}

enum error_code record_reader_fail(const struct record_reader *reader, const struct finding *finding, struct error *error)
{
    const char *field = finding->field, *at = reader->form->fields[reader->form->at].id;
    bool dated = strcmp(field, at) == 0; // may have been given as `at`
    if (reader->is_csv) {
        int column = csv_column(&reader->csv, field);
        if (column < 0 && dated)
            column = csv_column(&reader->csv, "at");
        if (column >= 0)
            return csv_fail(&reader->csv, (uint32_t)column, finding->code, error, "%s", finding->text);
        return csv_fail(&reader->csv, reader->csv.count, finding->code, error, "%s%s%s", field, *field ? ": " : "", finding->text);
    }
    const struct json *value = *field ? json_get(reader->item, field) : NULL;
    if (!value && dated)
        value = json_get(reader->item, "at");
    if (value)
        return json_fail(reader->document, value, finding->code, error, "%s", finding->text);
    return json_fail(reader->document, reader->item, finding->code, error, "%s%s%s", field, *field ? ": " : "", finding->text);
}

// ---- one record

static const char *keep_text(struct record_reader *reader, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = arena_alloc(reader->arena, size);
    return copy ? memcpy(copy, text, size) : NULL;
}

static bool put_id(const char *name, const char *text, uint8_t *ret, struct finding *finding)
{
    if (crypto_from_hex(text, ret, RECORD_ID_SIZE))
        return true;
    return finding_set(finding, ERR_INPUT, name, tr("not an id of 32 hex digits", "不是 32 位十六进制编号"));
}

static bool put_text(struct record_reader *reader, const char *name, const char *text, size_t max, const char **ret,
                     struct finding *finding)
{
    if (strlen(text) > max)
        return finding_set(finding, ERR_INPUT, name, tr("longer than %zu bytes", "超过 %zu 字节"), max);
    *ret = keep_text(reader, text);
    return *ret || finding_set(finding, ERR_MEMORY, name, "%s", error_text(ERR_MEMORY));
}

// One of the words beside the form's own fields; empty text says nothing.
static bool put_word(struct record_reader *reader, int what, const char *text, struct record_draft *draft, struct finding *finding)
{
    _Static_assert((int)RECORD_ID_SIZE == (int)SUBJECT_ID_SIZE, "put_id() reads both");
    if (!*text)
        return true;
    switch (what) {
    case NAME_SUBJECT:
        draft->has_subject = true;
        return put_id("subject", text, draft->subject, finding);
    case NAME_RECORD:
        draft->has_record = true;
        return put_id("record", text, draft->record, finding);
    case NAME_KEY:
        return put_text(reader, "key", text, SUBJECT_KEY_MAX, &draft->key, finding);
    case NAME_UNIT:
        return put_text(reader, "unit", text, UNIT_CODE_MAX, &draft->unit, finding);
    case NAME_REASON:
        return put_text(reader, "reason", text, RECORD_TEXT_MAX, &draft->reason, finding);
    default: {
        const struct field flag = {.id = "void", .type = FIELD_BOOL};
        struct value value;
        if (!value_from_text(reader->codebook, &flag, text, reader->arena, &value, finding))
            return false;
        draft->voided = value.truth;
        return true;
    }
    }
}

static bool csv_record(struct record_reader *reader, struct record_draft *draft, struct finding *finding)
{
    for (uint32_t i = 0; i < reader->csv.count; i++) {
        int what = reader->columns[i];
        const char *text = csv_text(&reader->csv, i);
        if (what < 0) {
            if (!put_word(reader, what, text, draft, finding))
                return false;
        } else if (!value_from_text(reader->codebook, &reader->form->fields[what], text, reader->arena, &draft->values[what], finding)) {
            return false;
        }
    }
    return true;
}

// Words may be text; `void` also true or false, `key` also a whole number.
static bool json_word(struct record_reader *reader, int what, const struct json *member, struct record_draft *draft,
                      struct finding *finding)
{
    char digits[24];
    bool truth = false;
    int64_t number = 0;
    if (json_kind(member) == JSON_KIND_NONE)
        return true;
    if (json_kind(member) == JSON_KIND_TEXT)
        return put_word(reader, what, json_text(member), draft, finding);
    if (what == NAME_VOID && json_truth(member, &truth))
        return put_word(reader, what, truth ? "true" : "false", draft, finding);
    if (what == NAME_KEY && json_whole(member, &number)) {
        snprintf(digits, sizeof digits, "%lld", (long long)number);
        return put_word(reader, what, digits, draft, finding);
    }
    return finding_set(finding, ERR_INPUT, json_name(member), tr("wrong type; expected text in quotes", "类型有误；应为加引号的文本"));
}

static bool json_record(struct record_reader *reader, struct record_draft *draft, struct finding *finding)
{
    if (json_kind(reader->item) != JSON_KIND_MAP)
        return finding_set(finding, ERR_INPUT, "",
                           tr("a record is an object: {\"field\": value, ...}", "记录须为对象：{\"字段\": 值, ...}"));
    uint64_t seen = 0;
    for (const struct json *member = json_first(reader->item); member; member = json_next(member)) {
        int what = meaning(reader->form, json_name(member));
        if (what == NAME_UNKNOWN)
            return unknown_name(reader->form, json_name(member), finding);
        if (what < 0) {
            if (!json_word(reader, what, member, draft, finding))
                return false;
            continue;
        }
        if (seen >> what & 1)
            return finding_set(finding, ERR_INPUT, json_name(member), tr("field %s is given twice", "字段 %s 给出两次"),
                               reader->form->fields[what].id);
        seen |= UINT64_C(1) << what;
        if (!value_from_json(reader->codebook, &reader->form->fields[what], member, reader->arena, &draft->values[what], finding))
            return false;
    }
    return true;
}

// A withdrawal says which record and why, and nothing else.
static bool settle_void(struct record_reader *reader, struct record_draft *draft, struct finding *finding)
{
    const struct form *form = reader->form;
    int reason = form_field(form, "reason");
    if (!draft->voided)
        return true;
    if (!draft->reason && reason >= 0 && draft->values[reason].type == VALUE_TEXT) {
        char text[RECORD_TEXT_MAX + 2]; // one more than may be, so that too much shows
        struct bytes given = draft->values[reason].text;
        snprintf(text, sizeof text, "%.*s", (int)(given.size < sizeof text ? given.size : sizeof text), (const char *)given.data);
        draft->values[reason] = value_none();
        if (!put_text(reader, "reason", text, RECORD_TEXT_MAX, &draft->reason, finding))
            return false;
    }
    if (!draft->has_record)
        return finding_set(finding, ERR_INPUT, "void",
                           tr("names no record to withdraw; give `record`", "未指明要撤回的记录；请给出 record"));
    if (!draft->reason)
        return finding_set(finding, ERR_INPUT, "void", tr("a withdrawal needs a reason", "撤回须说明原因（reason）"));
    for (unsigned i = 0; i < form->field_count; i++) {
        if (draft->values[i].type != VALUE_NONE)
            return finding_set(finding, ERR_INPUT, form->fields[i].id, tr("a withdrawal has no values", "撤回不得带字段值"));
    }
    return true;
}

// Moves to the next row or item.
static bool advance(struct record_reader *reader, struct error *error)
{
    if (reader->is_csv) {
        bool more = csv_next(&reader->csv, error);
        reader->code = reader->csv.code;
        return more;
    }
    if (reader->begun)
        reader->item = reader->single ? NULL : json_next(reader->item);
    reader->begun = true;
    return reader->item != NULL;
}

bool record_reader_next(struct record_reader *reader, struct record_draft *ret, struct error *error)
{
    struct finding finding = {0};
    struct record_draft draft = {0};
    if (reader->code != OK || !advance(reader, error))
        return false;
    draft.values = arena_alloc(reader->arena, reader->form->field_count * sizeof *draft.values);
    if (!draft.values) {
        reader->code = reader->arena->failed
                           ? error_set(error, ERR_MEMORY, "%s", tr("no memory for the records", "内存不足，无法读取记录"))
                           : error_set(error, ERR_LIMIT, "%s", tr("too many records at once; send less", "一次记录过多；请分批发送"));
        return false;
    }
    for (unsigned i = 0; i < reader->form->field_count; i++)
        draft.values[i] = value_none();
    bool good = (reader->is_csv ? csv_record : json_record)(reader, &draft, &finding) && settle_void(reader, &draft, &finding);
    if (!good) {
        reader->code = record_reader_fail(reader, &finding, error);
        return false;
    }
    *ret = draft;
    return true;
}
