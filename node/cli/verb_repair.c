// scrub, rebuild: what is damaged on disk, and making it again.
#include <unistd.h>

#include "node/cli/cli.h"
#include "node/rebuild.h"
#include "node/scrub.h"
#include "relay/crypto.h"

#include <inttypes.h>
#include <stdlib.h>

static void print_found(struct cli *cli, const struct scrub_report *report)
{
    struct json_writer json = json_writer(&cli->out, true);
    char rows[FORMAT_MAX], damaged[FORMAT_MAX];
    if (cli->json) {
        json_open_map(&json, NULL);
        json_put_truth(&json, "ok", !report->broken && report->damaged == 0);
        json_put_unsigned(&json, "rows", report->rows);
        json_put_unsigned(&json, "damaged", report->damaged);
        json_put_truth(&json, "broken", report->broken);
        json_put_text(&json, "how", report->how);
        json_open_list(&json, "found");
    }
    format_number(report->rows, rows);
    format_number(report->damaged, damaged);
    if (!cli->json) {
        cli_line(cli, tr("rows", "行"), "%s", rows);
        cli_line(cli, tr("damaged", "损坏"), "%s", damaged);
    }
    for (uint32_t i = 0; i < report->count; i++) {
        const struct scrub_found *found = &report->found[i];
        if (!cli->json) {
            char hex[2 * SCRUB_KEY_MAX + 1];
            crypto_hex(bytes_of(found->key, found->key_size), hex);
            format_print(&cli->out, "  %s %s\n", table_name(found->table), hex);
            continue;
        }
        json_open_map(&json, NULL);
        json_put_text(&json, "table", table_name(found->table));
        json_put_hex(&json, "key", bytes_of(found->key, found->key_size));
        json_close(&json);
    }
    if (cli->json) {
        json_close(&json);
        json_close(&json);
    } else if (report->broken) {
        format_print(&cli->out, "%s\n", report->how);
    }
}

static enum error_code run(struct cli *cli, struct error *error)
{
    const char *path = cli->options.argument_count ? cli_argument(cli, 0) : cli->dir;
    bool alone = !options_given(&cli->options, "beside");
    if (options_given(&cli->options, "worker")) {
        int status = scrub_worker(path, alone, STDOUT_FILENO);
        return status == 0 ? OK : error_set(error, ERR_CORRUPT, "%s", path);
    }
    struct scrub_report *report = calloc(1, sizeof *report);
    if (!report)
        return error_set(error, ERR_MEMORY, "scrub");
    enum error_code code = scrub_directory(path, alone, report, error);
    if (code == OK)
        print_found(cli, report);
    if (code == OK && (report->broken || report->damaged))
        code = scrub_advice(path, report, error);
    free(report);
    return code;
}

static const struct option_spec options[] = {
    {"beside", 0, OPTION_SWITCH, NULL, {"a node may be writing there meanwhile", "期间可能有节点在写入"}},
    {"worker",
     0,
     OPTION_SWITCH,
     NULL,
     {"do the reading in this process, and print what is found as it comes", "在本进程中读取，并逐行输出结果"}},
};
static const char *const examples[] = {"sanji scrub", "sanji scrub /var/lib/sanji --beside", NULL};
const struct verb verb_scrub = {
    .name = "scrub",
    .purpose = {"read a whole store and say what is damaged on disk", "读取整个存储，指出磁盘上损坏之处"},
    .usage = "[DIR] [--beside] [--worker]",
    .about =
        {"Reads every row of every table in a process of its own: a damaged page can make the library under the store crash, and\n"
         "that is an answer, too. Changes nothing. A running node does this at its start and once a day; `sanji verify` begins with it.",
         "在单独的进程中读取每个表的每一行：损坏的页面可能使底层库崩溃，这本身也是结果。\n"
         "不作任何更改。运行中的节点在启动时及每天各做一次；`sanji verify` 首先执行此步。"},
    .examples = examples,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .arguments_max = 1,
    .run = run,
};

// ---- rebuild

static enum error_code run_rebuild(struct cli *cli, struct error *error)
{
    const char *path = cli->options.argument_count ? cli_argument(cli, 0) : cli->dir;
    struct rebuild_report report;
    enum error_code code = station_rebuild(path, &report, error);
    if (code != OK)
        return code;
    if (cli->json) {
        struct json_writer json = json_writer(&cli->out, true);
        json_open_map(&json, NULL);
        json_put_unsigned(&json, "rows", report.rows);
        json_put_unsigned(&json, "dropped", report.dropped);
        json_close(&json);
        return OK;
    }
    format_print(&cli->out,
                 tr("Views made again from the journal: %" PRIu64 " rows; damaged rows dropped: %" PRIu64 ".\n",
                    "已由日志重新生成视图：%" PRIu64 " 行；丢弃的损坏行：%" PRIu64 "。\n"),
                 report.rows, report.dropped);
    return OK;
}

static const char *const rebuild_examples[] = {"sanji rebuild", "sanji rebuild /var/lib/sanji", NULL};
const struct verb verb_rebuild = {
    .name = "rebuild",
    .purpose = {"make figures and records again from the journal", "由日志重新生成数值与记录视图"},
    .usage = "[DIR]",
    .about =
        {"For a store with damaged rows outside of the journal (`sanji scrub` tells): folds the journal anew and puts what comes of it in\n"
         "place of all views, in one transaction. Stop the node first. Damaged rows of the journal come first: start the node, which\n"
         "fetches them from its neighbours.",
         "用于日志以外有损坏行的存储（由 `sanji scrub` 指出）：重新推算日志，并在一个事务中替换全部视图。\n"
         "请先停止节点。日志本身有损坏的行时，应先启动节点，从相邻站点重新获取。"},
    .examples = rebuild_examples,
    .arguments_max = 1,
    .run = run_rebuild,
};
