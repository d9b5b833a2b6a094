// forms: what can be recorded here, with an example of each form to begin from.
#include <stdio.h>

#include "node/cli/cli.h"
#include "node/cli/input.h"
#include "node/codebook/expr.h"
#include "node/documents.h"
#include "node/period.h"

// ---- the codebook

// The one in force, read beside a running node or without one.
static enum error_code read_in_force(const char *dir, struct buffer *ret, struct error *error)
{
    struct store *store;
    enum error_code code = store_open(dir, STORE_READ_ONLY, 0, &store, error);
    if (code != OK)
        return code;
    struct txn *txn = txn_begin(store, false, error);
    struct hash hash;
    uint32_t version;
    enum object_kind kind;
    struct bytes document;
    if (!txn)
        code = error->code;
    else if (!document_in_force(txn, DOCUMENT_CODEBOOK, &hash, &version) || !object_read(txn, &hash, &kind, &document))
        code = txn_error(txn) != OK ? error_set(error, txn_error(txn), "%s: %s", dir, error_text(txn_error(txn)))
                                    : error_set(error, ERR_STATE, tr("%s: no codebook is in force yet", "%s：尚无生效的编码本"), dir);
    else
        buffer_append(ret, document.data, document.size);
    if (txn)
        txn_abort(txn);
    store_close(store);
    return code;
}

static enum error_code load(const struct cli *cli, struct codebook **ret, struct error *error)
{
    const char *path = options_value(&cli->options, "codebook");
    struct buffer yaml = {0};
    enum error_code code = path ? input_read(path, DOCUMENT_MAX, &yaml, error) : read_in_force(cli->dir, &yaml, error);
    if (code == OK && yaml.failed)
        code = error_set(error, ERR_MEMORY, "%s", error_text(ERR_MEMORY));
    if (code == OK)
        code = codebook_load(buffer_bytes(&yaml), path ? input_name(path) : tr("codebook in force", "生效的编码本"), ret, error);
    buffer_finish(&yaml);
    return code;
}

// ---- one form

static const char *const type_names[] = {
    [FIELD_BOOL] = "bool",   [FIELD_INT] = "int",           [FIELD_DECIMAL] = "decimal",   [FIELD_MONEY] = "money",
    [FIELD_DATE] = "date",   [FIELD_INSTANT] = "instant",   [FIELD_DURATION] = "duration", [FIELD_CODE] = "code",
    [FIELD_TEXT] = "text",   [FIELD_REF] = "ref",           [FIELD_UNIT] = "unit",         [FIELD_IDNO] = "idno",
    [FIELD_PHONE] = "phone", [FIELD_POSITION] = "position", [FIELD_FILE] = "file",
};

static const char *needed(const struct field *field)
{
    return field->calc ? tr("computed", "自动计算") : field->need ? expr_text(field->need) : "";
}

static void example_value(struct json_writer *json, const char *name, const struct codebook *codebook, const struct field *field,
                          const char *today)
{
    static const char *const texts[] = {
        [FIELD_INSTANT] = "2023-05-02T08:30+08:00",
        [FIELD_DURATION] = "90m",
        [FIELD_TEXT] = "...",
        [FIELD_REF] = "00112233445566778899aabbccddeeff",
        [FIELD_UNIT] = "321081100001",
        [FIELD_IDNO] = "...",
        [FIELD_PHONE] = "...",
        [FIELD_POSITION] = "32.272258 119.184766 20",
        [FIELD_FILE] = "photo.jpg",
    };
    switch (field->type) {
    case FIELD_BOOL:
        json_put_truth(json, name, true);
        return;
    case FIELD_INT:
    case FIELD_DECIMAL:
        json_put_integer(json, name, 1);
        return;
    case FIELD_MONEY:
        json_put_integer(json, name, 12345); // fen
        return;
    case FIELD_DATE:
        json_put_text(json, name, today);
        return;
    case FIELD_CODE:
        json_put_text(json, name, codebook->lists[field->list].item_count ? codebook->lists[field->list].items[0].id : "");
        return;
    default:
        json_put_text(json, name, texts[field->type]);
    }
}

static void example(struct json_writer *json, const char *name, const struct codebook *codebook, const struct form *form)
{
    char today[11];
    civil_format(civil_of_instant(format_now_ms(), codebook->tz_minutes), today);
    json_open_map(json, name);
    if (form->about >= 0 && !form->keeps)
        json_put_text(json, "subject", "00112233445566778899aabbccddeeff");
    for (uint16_t i = 0; i < form->field_count; i++) {
        const struct field *field = &form->fields[i];
        if (field->calc)
            continue;
        if (field->many > 1) {
            json_open_list(json, field->id);
            example_value(json, NULL, codebook, field, today);
            json_close(json);
        } else {
            example_value(json, field->id, codebook, field, today);
        }
    }
    json_close(json);
}

static void type_text(const struct codebook *codebook, const struct field *field, char *ret, size_t size)
{
    const char *of = field->type == FIELD_CODE                     ? codebook->lists[field->list].id
                     : field->type == FIELD_REF && field->reg >= 0 ? codebook->regs[field->reg].id
                                                                   : "";
    int n = snprintf(ret, size, "%s%s%s", type_names[field->type], *of ? " " : "", of);
    if (field->many > 1)
        snprintf(ret + n, size - (size_t)n, tr(", up to %u", "，至多 %u 项"), field->many);
}

static void print_codes(struct cli *cli, const struct codebook *codebook, const struct form *form)
{
    uint64_t shown[4] = {0}; // a bit for each of the first 256 lists; a later one may show twice
    for (uint16_t i = 0; i < form->field_count; i++) {
        int16_t list = form->fields[i].list;
        if (form->fields[i].type != FIELD_CODE || (list < 256 && (shown[list / 64] >> (list % 64) & 1)))
            continue;
        if (list < 256)
            shown[list / 64] |= UINT64_C(1) << (list % 64);
        format_print(&cli->out, "%s:", codebook->lists[list].id);
        for (uint16_t j = 0; j < codebook->lists[list].item_count; j++)
            format_print(&cli->out, "%s %s (%s)", j ? "," : "", codebook->lists[list].items[j].id,
                         label_text(&codebook->lists[list].items[j].label));
        format_print(&cli->out, "\n");
    }
}

static void print_form(struct cli *cli, const struct codebook *codebook, const struct form *form)
{
    struct text_table table = {0};
    static const struct text headings[] = {{"field", "字段"},  {"label", "名称"},   {"type", "类型"},
                                           {"needed", "必填"}, {"section", "分区"}, {"personal", "个人信息"}};
    format_print(&cli->out, "%s  %s\n\n", form->id, label_text(&form->label));
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        table_column(&table, text_of(headings[i]), TABLE_LEFT);
    for (uint16_t i = 0; i < form->field_count; i++) {
        const struct field *field = &form->fields[i];
        char type[128];
        type_text(codebook, field, type, sizeof type);
        const char *const cells[] = {field->id,
                                     label_text(&field->label),
                                     type,
                                     needed(field),
                                     field->section >= 0 ? form->sections[field->section].id : "",
                                     field->personal ? tr("yes", "是") : ""};
        for (size_t j = 0; j < sizeof cells / sizeof *cells; j++)
            table_cell(&table, cells[j]);
    }
    table_print(&table, cli->colour, &cli->out);
    table_finish(&table);
    format_print(&cli->out, "\n");
    print_codes(cli, codebook, form);
    format_print(&cli->out, tr("\nAn example for sanji record %s -f FILE.json:\n", "\n示例（sanji record %s -f FILE.json）：\n"), form->id);
    struct json_writer json = json_writer(&cli->out, true);
    example(&json, NULL, codebook, form);
}

// ---- JSON

static void field_json(struct json_writer *json, const struct codebook *codebook, const struct form *form, const struct field *field)
{
    json_open_map(json, NULL);
    json_put_text(json, "id", field->id);
    json_put_text(json, "zh", field->label.zh);
    json_put_text(json, "en", field->label.en);
    json_put_text(json, "type", type_names[field->type]);
    json_put_unsigned(json, "many", field->many > 1 ? field->many : 1);
    json_put_text(json, "need", field->need ? expr_text(field->need) : NULL);
    json_put_text(json, "calc", field->calc ? expr_text(field->calc) : NULL);
    json_put_text(json, "section", field->section >= 0 ? form->sections[field->section].id : NULL);
    json_put_truth(json, "personal", field->personal);
    if (field->type == FIELD_CODE) {
        json_open_list(json, "codes");
        for (uint16_t i = 0; i < codebook->lists[field->list].item_count; i++) {
            const struct list_item *item = &codebook->lists[field->list].items[i];
            json_open_map(json, NULL);
            json_put_text(json, "code", item->id);
            json_put_text(json, "zh", item->label.zh);
            json_put_text(json, "en", item->label.en);
            json_close(json);
        }
        json_close(json);
    }
    json_close(json);
}

static void form_json(struct json_writer *json, const struct codebook *codebook, const struct form *form)
{
    json_open_map(json, NULL);
    json_put_text(json, "id", form->id);
    json_put_text(json, "zh", form->label.zh);
    json_put_text(json, "en", form->label.en);
    json_put_text(json, "about", form->about >= 0 ? codebook->regs[form->about].id : NULL);
    json_put_text(json, "at", form->fields[form->at].id);
    json_open_list(json, "fields");
    for (uint16_t i = 0; i < form->field_count; i++)
        field_json(json, codebook, form, &form->fields[i]);
    json_close(json);
    example(json, "example", codebook, form);
    json_close(json);
}

// ---- all of them

static void print_list(struct cli *cli, const struct codebook *codebook)
{
    struct text_table table = {0};
    table_column(&table, tr("form", "表单"), TABLE_LEFT);
    table_column(&table, tr("label", "名称"), TABLE_LEFT);
    table_column(&table, tr("about", "对象"), TABLE_LEFT);
    table_column(&table, tr("fields", "字段数"), TABLE_RIGHT);
    for (uint16_t i = 0; i < codebook->form_count; i++) {
        const struct form *form = &codebook->forms[i];
        char count[FORMAT_MAX];
        format_number(form->field_count, count);
        table_cell(&table, form->id);
        table_cell(&table, label_text(&form->label));
        table_cell(&table, form->about >= 0 ? codebook->regs[form->about].id : "");
        table_cell(&table, count);
    }
    table_print(&table, cli->colour, &cli->out);
    table_finish(&table);
}

static enum error_code print(struct cli *cli, const struct codebook *codebook, struct error *error)
{
    const char *id = cli->options.argument_count ? cli_argument(cli, 0) : NULL;
    int form = id ? codebook_form(codebook, id) : -1;
    struct json_writer json = json_writer(&cli->out, true);
    if (id && form < 0)
        return error_set(error, ERR_NOT_FOUND,
                         tr("no form %s in %s, version %u; see sanji forms", "没有表单 %s（%s 第 %u 版）；见 sanji forms"), id,
                         codebook->id, codebook->version);
    if (cli->json) {
        json_open_list(&json, NULL);
        for (int i = id ? form : 0; i < (id ? form + 1 : codebook->form_count); i++)
            form_json(&json, codebook, &codebook->forms[i]);
        json_close(&json);
    } else if (id) {
        print_form(cli, codebook, &codebook->forms[form]);
    } else {
        print_list(cli, codebook);
    }
    return OK;
}

static enum error_code run(struct cli *cli, struct error *error)
{
    struct codebook *codebook;
    enum error_code code = load(cli, &codebook, error);
    if (code != OK)
        return code;
    code = print(cli, codebook, error);
    codebook_destroy(codebook);
    return code;
}

static const struct option_spec options[] = {
    {"codebook", 0, OPTION_VALUE, "FILE", {"of this file, not of the codebook in force", "取自该文件，而非生效的编码本"}}};
static const char *const examples[] = {"sanji forms", "sanji forms visit", "sanji forms visit --codebook codebook.yaml --json", NULL};
const struct verb verb_forms = {
    .name = "forms",
    .purpose = {"list forms and their fields", "列出表单及字段"},
    .usage = "[FORM] [--codebook FILE]",
    .about = {"Without a name: the forms of the codebook in force. With one: its fields, their codes, and an example to begin from.",
              "不给名称：列出生效编码本的全部表单。给出名称：列出其字段、代码，并给出可供套用的示例。"},
    .examples = examples,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .arguments_max = 1,
    .run = run,
};
