// codebook check: every error of a codebook file.
#include "node/cli/cli.h"
#include "node/codebook/codebook.h"

struct findings {
    struct cli *cli;
    struct json_writer json;
    uint32_t count;
};

static void found(void *context, const struct error *error)
{
    struct findings *findings = context;
    findings->count++;
    if (findings->cli->json) {
        json_put_text(&findings->json, NULL, error->detail);
    } else {
        table_safe(&findings->cli->out, error->detail);
        format_print(&findings->cli->out, "\n");
    }
}

static enum error_code run(struct cli *cli, struct error *error)
{
    if (strcmp(cli_argument(cli, 0), "check") != 0)
        return error_set(error, ERR_USAGE, tr("%s: write: sanji codebook check FILE", "%s：应为：sanji codebook check FILE"),
                         cli_argument(cli, 0));
    const char *path = cli_argument(cli, 1);
    struct findings findings = {.cli = cli, .json = json_writer(&cli->out, true)};
    struct error first = {0};
    if (cli->json) {
        json_open_map(&findings.json, NULL);
        json_open_list(&findings.json, "errors");
    }
    enum error_code code = codebook_check_file(path, found, &findings, &first);
    if (code != OK && findings.count == 0)
        found(&findings, &first); // the file itself: it can't be read
    if (cli->json) {
        json_close(&findings.json);
        json_put_truth(&findings.json, "ok", code == OK);
        json_close(&findings.json);
    }
    if (code != OK)
        return error_set(error, code, tr("%s: errors: %u", "%s：%u 处错误"), path, findings.count);
    if (!cli->json)
        format_print(&cli->out, tr("%s: good\n", "%s：检查通过\n"), path);
    return OK;
}

static const char *const examples[] = {"sanji codebook check codebook.yaml", "sanji codebook check codebook.yaml --json", NULL};
const struct verb verb_codebook = {
    .name = "codebook",
    .purpose = {"check a codebook file", "检查编码本文件"},
    .usage = "check FILE",
    .about = {"Prints every error with its line, column and field; a station takes the file only when there are none.",
              "列出全部错误及其行、列和字段；全部改正后站点才会采用。"},
    .examples = examples,
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run,
};
