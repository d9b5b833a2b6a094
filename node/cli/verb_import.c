// import: entered figures from another system.
#include "node/cli/cli.h"
#include "node/cli/client.h"
#include "node/cli/input.h"
#include "relay/limits.h"

enum { FILE_MAX = CONTROL_MESSAGE_MAX - 64 * 1024 }; // bytes: the request around it must fit, too

static void print(struct cli *cli, const Sanji__ImportReply *reply, bool check)
{
    if (cli->json) {
        struct json_writer writer = json_writer(&cli->out, true), *json = &writer;
        json_open_map(json, NULL);
        json_put_truth(json, "checked_only", check);
        json_put_unsigned(json, "values", reply->values);
        json_put_unsigned(json, "unchanged", reply->unchanged);
        json_close(json);
        return;
    }
    char values[FORMAT_MAX], unchanged[FORMAT_MAX];
    format_number(reply->values, values);
    format_number(reply->unchanged, unchanged);
    if (check)
        format_print(&cli->out, tr("values without error: %s; nothing was kept\n", "%s 个数值检查无误；未保存\n"), values);
    else
        format_print(&cli->out,
                     tr("values read and signed: %s, of them the same already: %s\n", "读入并签报 %s 个数值，其中 %s 个与原值相同\n"),
                     values, unchanged);
}

static enum error_code submit(struct cli *cli, const char *path, struct bytes data, struct error *error)
{
    Sanji__ImportRequest import = SANJI__IMPORT_REQUEST__INIT;
    Sanji__Request request = SANJI__REQUEST__INIT;
    struct client_answer answer;
    import.format = input_format(path, data);
    import.data = (ProtobufCBinaryData){data.size, (uint8_t *)(uintptr_t)data.data};
    import.source = (char *)(uintptr_t)input_name(path);
    import.check_only = options_given(&cli->options, "check");
    request.request_case = SANJI__REQUEST__REQUEST_IMPORT;
    request.import = &import;
    enum error_code code = client_call(cli->dir, &request, SANJI__REPLY__REPLY_IMPORT, &answer, error);
    if (code != OK)
        return code;
    print(cli, answer.reply->import, import.check_only);
    client_finish(&answer);
    return OK;
}

static enum error_code run(struct cli *cli, struct error *error)
{
    const char *path = cli_argument(cli, 0);
    struct buffer data = {0};
    enum error_code code = input_read(path, FILE_MAX, &data, error);
    if (code == OK)
        code = submit(cli, path, buffer_bytes(&data), error);
    buffer_finish(&data);
    return code;
}

static const struct option_spec options[] = {{"check", 0, OPTION_SWITCH, NULL, {"only check it; keep nothing", "只检查，不保存"}}};
static const char *const examples[] = {"sanji import population.csv --check", "sanji import dataValueSets.json",
                                       "curl -s https://dhis2.example/api/dataValueSets.json | sanji import -", NULL};
const struct verb verb_import = {
    .name = "import",
    .purpose = {"take in entered figures", "导入填报数值"},
    .usage = "FILE [--check]",
    .about =
        {"Reads CSV or DHIS2 dataValueSets JSON; - is stdin. Only indicators of the kind `entered` can be imported: what is computed from\n"
         "records would be overwritten by them. All of the file is taken, or nothing.",
         "读入 CSV 或 DHIS2 dataValueSets JSON；- 为标准输入。只能导入 "
         "entered（填报）类指标：\n由记录计算的指标会被记录覆盖。整个文件要么全部导入，要么不导入。"},
    .examples = examples,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run,
};
