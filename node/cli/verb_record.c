// record: records of a form, from a file or stdin.
#include <inttypes.h>
#include <unistd.h>

#include "node/cli/cli.h"
#include "node/cli/client.h"
#include "node/cli/input.h"
#include "relay/limits.h"

enum {
    FILE_MAX = CONTROL_MESSAGE_MAX - 64 * 1024, // bytes: the request around it must fit, too
    SHOWN = 20,
};

static void hex(const ProtobufCBinaryData *data, char ret[2 * RECORD_ID_SIZE + 1])
{
    static const char digits[] = "0123456789abcdef";
    size_t n = data->len < RECORD_ID_SIZE ? data->len : RECORD_ID_SIZE;
    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = digits[data->data[i] >> 4];
        ret[2 * i + 1] = digits[data->data[i] & 15];
    }
    ret[2 * n] = 0;
}

static void print_json(struct cli *cli, const Sanji__RecordReply *reply, bool check)
{
    struct json_writer writer = json_writer(&cli->out, true), *json = &writer;
    json_open_map(json, NULL);
    json_put_truth(json, "checked_only", check);
    json_open_list(json, "records");
    for (size_t i = 0; i < reply->n_records; i++) {
        const Sanji__RecordResult *record = reply->records[i];
        json_open_map(json, NULL);
        json_put_hex(json, "record", bytes_of(record->record.data, record->record.len));
        json_put_unsigned(json, "revision", record->revision);
        json_put_hex(json, "subject", bytes_of(record->subject.data, record->subject.len));
        json_close(json);
    }
    json_close(json);
    json_close(json);
}

static void print_text(struct cli *cli, const Sanji__RecordReply *reply, bool check)
{
    char records[FORMAT_MAX];
    format_number(reply->n_records, records);
    if (check) {
        format_print(&cli->out, tr("records without error: %s; nothing was kept\n", "%s 条记录检查无误；未保存\n"), records);
        return;
    }
    format_print(&cli->out, tr("records kept and signed: %s\n", "已保存并签名 %s 条记录\n"), records);
    struct text_table table = {0};
    table_column(&table, tr("record", "记录"), TABLE_LEFT);
    table_column(&table, tr("revision", "版次"), TABLE_RIGHT);
    table_column(&table, tr("subject", "对象"), TABLE_LEFT);
    for (size_t i = 0; i < reply->n_records && i < SHOWN; i++) {
        char id[2 * RECORD_ID_SIZE + 1], revision[FORMAT_MAX];
        hex(&reply->records[i]->record, id);
        table_cell(&table, id);
        format_number(reply->records[i]->revision, revision);
        table_cell(&table, revision);
        hex(&reply->records[i]->subject, id);
        table_cell(&table, *id ? id : "-");
    }
    if (table.cell_count)
        table_print(&table, cli->colour, &cli->out);
    table_finish(&table);
    if (reply->n_records > SHOWN)
        format_print(&cli->out, tr("and %zu more: --json\n", "另有 %zu 条：用 --json 查看\n"), reply->n_records - SHOWN);
}

static char *text(const char *value) { return (char *)(uintptr_t)(value ? value : ""); }

static enum error_code submit(struct cli *cli, const char *path, struct bytes data, struct error *error)
{
    Sanji__RecordRequest record = SANJI__RECORD_REQUEST__INIT;
    Sanji__Request request = SANJI__REQUEST__INIT;
    struct client_answer answer;
    record.form = text(cli_argument(cli, 0));
    record.format = input_format(path, data);
    record.data = (ProtobufCBinaryData){data.size, (uint8_t *)(uintptr_t)data.data};
    record.source = text(input_name(path));
    record.unit = text(options_value(&cli->options, "unit"));
    record.person = text(options_value(&cli->options, "person"));
    record.post = text(options_value(&cli->options, "post"));
    record.check_only = options_given(&cli->options, "check");
    request.request_case = SANJI__REQUEST__REQUEST_RECORD;
    request.record = &record;
    enum error_code code = client_call(cli->dir, &request, SANJI__REPLY__REPLY_RECORD, &answer, error);
    if (code != OK)
        return code;
    (cli->json ? print_json : print_text)(cli, answer.reply->record, record.check_only);
    client_finish(&answer);
    return OK;
}

static enum error_code run(struct cli *cli, struct error *error)
{
    const char *path = options_value(&cli->options, "file");
    if (!path && isatty(STDIN_FILENO))
        return error_set(error, ERR_USAGE, "%s",
                         tr("no file: give -f FILE, or the records on stdin", "未给出文件：请用 -f FILE，或由标准输入提供记录"));
    if (!path)
        path = "-";
    struct buffer data = {0};
    enum error_code code = input_read(path, FILE_MAX, &data, error);
    if (code == OK)
        code = submit(cli, path, buffer_bytes(&data), error);
    buffer_finish(&data);
    return code;
}

static const struct option_spec options[] = {
    {"file",
     'f',
     OPTION_VALUE,
     "FILE",
     {"JSON or CSV with records; - is stdin (default)", "含记录的 JSON 或 CSV 文件；- 为标准输入（默认）"}},
    {"unit", 0, OPTION_VALUE, "CODE", {"the unit they are recorded for (default: the station's own)", "记录所属单位（默认：本站点单位）"}},
    {"person", 0, OPTION_VALUE, "NAME", {"who made them", "填报人"}},
    {"post", 0, OPTION_VALUE, "POST", {"in which post", "岗位"}},
    {"check", 0, OPTION_SWITCH, NULL, {"only check them; keep nothing", "只检查，不保存"}},
};
static const char *const examples[] = {
    "echo '{\"key\": \"child 17\", \"since\": \"2023-03-05\", \"name\": \"example\", \"birth\": \"2015-01-02\", \"sex\": \"f\", "
    "\"category\": [\"orphan\"], \"status\": \"active\"}' | sanji record file",
    "echo '{\"key\": \"child 17\", \"day\": \"2023-05-02\"}' | sanji record visit --person wang",
    "sanji record file -f children.json --check",
    NULL,
};
const struct verb verb_record = {
    .name = "record",
    .purpose = {"type in records of a form", "录入表单记录"},
    .usage = "FORM [-f FILE.json|FILE.csv|-] [--unit CODE] [--person P] [--post P] [--check]",
    .about =
        {"Checks every record against the codebook and keeps all of them, or none: the first bad one is named with its line and field.\n"
         "`sanji forms FORM` shows the fields and an example.",
         "按编码本逐条检查，全部无误才一并保存，否则一条也不保存，并指出首个错误所在的行和字段。\n`sanji forms FORM` 可查看字段和示例。"},
    .examples = examples,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
