// scrub, rebuild: what is damaged on disk, and making it again; or salvaging what there is.
#include <unistd.h>

#include "node/cli/cli.h"
#include "node/cli/progress.h"
#include "node/rebuild.h"
#include "node/salvage.h"
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
        {"Looks at every page, then at every row of every table, in a process of its own: damage can make the library under the store\n"
         "crash, and that is an answer, too. Changes nothing. A running node does this at its start and once a day; `sanji verify` begins "
         "with it.",
         "在单独的进程中检查每一页，再读取每个表的每一行：损坏可能使底层库崩溃，这本身也是结果。\n"
         "不作任何更改。运行中的节点在启动时及每天各做一次；`sanji verify` 首先执行此步。"},
    .examples = examples,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .arguments_max = 1,
    .run = run,
};

// ---- rebuild

static void print_salvaged_json(struct cli *cli, const struct salvage_report *report)
{
    struct json_writer json = json_writer(&cli->out, true);
    json_open_map(&json, NULL);
    json_put_truth(&json, "done", *report->kept_as != 0);
    json_put_text(&json, "unit", report->unit);
    json_put_truth(&json, "root", report->root);
    json_put_unsigned(&json, "bytes", report->bytes);
    json_put_unsigned(&json, "unreadable_pages", report->unreadable);
    json_put_unsigned(&json, "rows_found", report->found);
    json_put_unsigned(&json, "batches_expected", report->expected);
    json_put_unsigned(&json, "batches_found", report->batches);
    json_put_unsigned(&json, "batches_kept", report->kept);
    json_put_unsigned(&json, "certificates", report->certificates);
    json_put_unsigned(&json, "documents", report->documents);
    json_put_unsigned(&json, "children", report->children);
    json_put_unsigned(&json, "alarms", report->alarms);
    json_put_truth(&json, "from_enrolment", report->from_enrolment);
    json_put_text(&json, "kept_as", report->kept_as);
    json_close(&json);
}

static void print_number(struct cli *cli, const char *label, uint64_t number)
{
    char text[FORMAT_MAX];
    format_number(number, text);
    cli_line(cli, label, "%s", text);
}

static void print_what_now(struct cli *cli, const struct salvage_report *report, const char *path)
{
    format_print(&cli->out, "%s",
                 tr("\nNot kept: tokens that were given out (invite again), which receipts were waited for, and what this station signed\n"
                    "and neither this store nor its parent has.\n",
                    "\n不予保留：已发出的令牌（请重新邀请）、正在等待的回执，以及本站点签署后本存储与上级均没有的内容。\n"));
    if (*report->kept_as == 0)
        format_print(&cli->out,
                     tr("Nothing was changed. To go on: sanji rebuild %s --salvage --go-on\n",
                        "未作任何更改。继续请执行：sanji rebuild %s --salvage --go-on\n"),
                     path);
    else if (report->root)
        format_print(&cli->out,
                     tr("The damaged store is kept as %s/%s. Start the node; when its children have sent what they have, open the next "
                        "incarnation: sanji recover\n",
                        "损坏的存储保留为 %s/%s。请启动节点；待下级补发完毕后，开启新一代：sanji recover\n"),
                     path, report->kept_as);
    else
        format_print(&cli->out,
                     tr("The damaged store is kept as %s/%s. Start the node: it is read-only until its parent has given back what "
                        "is missing.\n",
                        "损坏的存储保留为 %s/%s。请启动节点：在上级补回缺失内容之前为只读。\n"),
                     path, report->kept_as);
}

static enum error_code run_salvage(struct cli *cli, const char *path, struct error *error)
{
    struct salvage_report report;
    struct progress progress = progress_begin();
    enum error_code code = station_salvage(path, options_given(&cli->options, "go-on"), progress_show, &progress, &report, error);
    progress_end(&progress);
    if (code != OK)
        return code;
    if (cli->json) {
        print_salvaged_json(cli, &report);
        return OK;
    }
    cli_line(cli, tr("unit", "单位"), "%s", report.unit);
    print_number(cli, tr("batches expected", "应有批次"), report.expected);
    print_number(cli, tr("batches found", "找到批次"), report.batches);
    print_number(cli, tr("batches kept", "保留批次"), report.kept);
    print_number(cli, tr("certificates", "证书"), report.certificates);
    print_number(cli, tr("documents", "文件"), report.documents);
    print_number(cli, tr("children", "下级"), report.children);
    print_number(cli, tr("unreadable pages", "无法读取的页"), report.unreadable);
    print_what_now(cli, &report, path);
    return OK;
}

static enum error_code run_rebuild(struct cli *cli, struct error *error)
{
    const char *path = cli->options.argument_count ? cli_argument(cli, 0) : cli->dir;
    if (options_given(&cli->options, "salvage"))
        return run_salvage(cli, path, error);
    if (options_given(&cli->options, "go-on"))
        return error_set(error, ERR_INPUT, "%s", tr("--go-on goes with --salvage", "--go-on 须与 --salvage 同用"));
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

static const struct option_spec rebuild_options[] = {
    {"salvage",
     0,
     OPTION_SWITCH,
     NULL,
     {"make a new store of what can still be read of one that can't be opened; without --go-on, say what would come of it",
      "存储无法打开时，用其中尚可读取的内容制作新存储；不带 --go-on 时仅说明结果"}},
    {"go-on",
     0,
     OPTION_SWITCH,
     NULL,
     {"do it: the new store takes the place of the damaged one, which is kept under another name",
      "执行：新存储取代损坏的存储，后者改名保留"}},
};
static const char *const rebuild_examples[] = {"sanji rebuild", "sanji rebuild /var/lib/sanji", "sanji rebuild /var/lib/sanji --salvage",
                                               "sanji rebuild /var/lib/sanji --salvage --go-on", NULL};
const struct verb verb_rebuild = {
    .name = "rebuild",
    .purpose = {"make figures and records again from the journal", "由日志重新生成数值与记录视图"},
    .usage = "[DIR] [--salvage [--go-on]]",
    .about =
        {"For a store with damaged rows outside of the journal (`sanji scrub` tells): folds the journal anew and puts what comes of it in\n"
         "place of all views, in one transaction. Stop the node first. Damaged rows of the journal come first: start the node, which\n"
         "fetches them from its neighbours.\n\n"
         "With --salvage, for a store that is truncated, wiped or has a broken tree: looks through the file for whole rows, checks\n"
         "signatures and chains, and makes a new store of them, or of DIR/enrolment alone. The station then starts as one put back\n"
         "from a copy: read-only, until its parent has granted it the next incarnation and given back what is missing. The damaged\n"
         "store is kept as DIR/store.damaged-DATE.",
         "用于日志以外有损坏行的存储（由 `sanji scrub` 指出）：重新推算日志，并在一个事务中替换全部视图。\n"
         "请先停止节点。日志本身有损坏的行时，应先启动节点，从相邻站点重新获取。\n\n"
         "--salvage 用于被截断、清空或索引树损坏的存储：在文件中查找完好的行，核对签名与链，据此（或仅据 DIR/enrolment）制作新存储。\n"
         "此后站点按从副本恢复的方式启动：在上级授予新一代并补回缺失内容之前为只读。损坏的存储保留为 DIR/store.damaged-日期。"},
    .examples = rebuild_examples,
    .options = rebuild_options,
    .option_count = sizeof rebuild_options / sizeof *rebuild_options,
    .arguments_max = 1,
    .run = run_rebuild,
};
