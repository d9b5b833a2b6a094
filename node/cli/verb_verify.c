// verify: a station's directory, or a proof file, checked from the bytes up.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "node/cli/cli.h"
#include "node/cli/input.h"
#include "node/cli/progress.h"
#include "node/period.h"
#include "node/scrub.h"
#include "node/verify.h"
#include "relay/store_file.h"

enum { PROOF_MAX = CONTROL_MESSAGE_MAX };

struct count {
    const char *name;
    struct text text;
    uint64_t number;
};

// ---- a directory

static void print_directory(struct cli *cli, const struct verify_report *report)
{
    const struct count counts[] = {
        {"feeds", {"feeds", "数据流"}, report->feeds},
        {"batches", {"batches", "批次"}, report->batches},
        {"headers_only", {"without body", "仅有头部"}, report->headers_only},
        {"entries", {"entries", "条目"}, report->entries},
        {"signatures", {"signatures", "签名"}, report->signatures},
        {"certificates", {"certificates", "证书"}, report->certificates},
        {"rejected", {"rejected", "已拒绝"}, report->rejected},
        {"deferred", {"deferred", "待处理"}, report->deferred},
        {"disputed", {"disputed", "有争议"}, report->disputed},
        {"views", {"views", "视图行"}, report->views},
        {"records", {"own records", "本站记录"}, report->records},
        {"receipts", {"receipts", "回执"}, report->receipts},
        {"damaged_rows", {"damaged rows", "损坏行"}, report->damaged_rows},
        {"differences", {"differences", "不一致"}, report->difference_count},
    };
    struct json_writer json = json_writer(&cli->out, true);
    if (cli->json)
        json_open_map(&json, NULL);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char number[FORMAT_MAX];
        format_number(counts[i].number, number);
        if (cli->json)
            json_put_unsigned(&json, counts[i].name, counts[i].number);
        else
            cli_line(cli, text_of(counts[i].text), "%s", number);
    }
    uint64_t shown = report->difference_count < VERIFY_DIFFERENCES_MAX ? report->difference_count : VERIFY_DIFFERENCES_MAX;
    if (cli->json) {
        json_put_truth(&json, "records_skipped", report->records_skipped);
        json_open_list(&json, "texts");
    }
    for (uint64_t i = 0; i < shown; i++) {
        if (cli->json) {
            json_put_text(&json, NULL, report->differences[i]);
            continue;
        }
        format_print(&cli->out, "  ");
        table_safe(&cli->out, report->differences[i]);
        format_print(&cli->out, "\n");
    }
    if (cli->json) {
        json_close(&json);
        json_put_truth(&json, "ok", report->difference_count == 0 && report->damaged_rows == 0);
        json_close(&json);
    }
}

// A store whose tree is damaged is not read in this process, which could crash. Single damaged rows are for the report.
static enum error_code scrub_first(const char *path, struct error *error)
{
    char store[4096];
    struct stat there;
    snprintf(store, sizeof store, "%s/store/data.mdb", path);
    if (stat(store, &there) != 0)
        return OK; // verify says what is missing
    uint64_t bytes;
    enum error_code code = store_file_check(store, &bytes, error);
    struct scrub_report *report = code == OK ? calloc(1, sizeof *report) : NULL;
    if (code == OK && !report)
        code = error_set(error, ERR_MEMORY, "scrub");
    if (code == OK)
        code = scrub_directory(path, false, report, error);
    if (code == OK && report->broken)
        code = scrub_advice(path, report, error);
    free(report);
    return code;
}

static enum error_code verify_directory(struct cli *cli, const char *path, struct error *error)
{
    struct verify_report *report = calloc(1, sizeof *report);
    if (!report)
        return error_set(error, ERR_MEMORY, "%s", tr("no memory for the report", "内存不足，无法生成报告"));
    enum error_code code = scrub_first(path, error);
    if (code != OK) {
        free(report);
        return code;
    }
    struct progress progress = progress_begin();
    code = station_verify_dir(path, report, progress_show, &progress, error);
    progress_end(&progress);
    if (code == OK) {
        print_directory(cli, report);
        if (report->difference_count || report->damaged_rows)
            code = error_set(error, ERR_CORRUPT,
                             tr("%s: differences: %" PRIu64 ", damaged rows: %" PRIu64, "%s：%" PRIu64 " 处不一致，%" PRIu64 " 行损坏"),
                             path, report->difference_count, report->damaged_rows);
        else if (!cli->json)
            format_print(&cli->out, "%s\n", tr("All is as it was signed.", "全部与签名一致。"));
        if (report->records_skipped && !cli->json)
            format_print(
                &cli->out, "%s\n",
                tr("The node that runs here has the keys: its own records were not compared with its figures. Stop it to do that too.",
                   "正在运行的节点持有密钥：未将本站记录与数值比对。如需比对，请先停止节点。"));
    }
    free(report);
    return code;
}

// ---- a proof

static void print_proof(struct cli *cli, const struct proof_report *report)
{
    struct json_writer json = json_writer(&cli->out, true);
    char first[16], last[16], made[FORMAT_MAX], root[2 * HASH_SIZE + 1];
    period_format((struct period){report->period_type, report->period_first}, first);
    period_format((struct period){report->period_type, report->period_last}, last);
    format_instant(report->made_ms, made);
    for (size_t i = 0; i < HASH_SIZE; i++) {
        root[2 * i] = "0123456789abcdef"[report->root.bytes[i] >> 4];
        root[2 * i + 1] = "0123456789abcdef"[report->root.bytes[i] & 15];
    }
    root[2 * HASH_SIZE] = 0;
    if (cli->json) {
        json_open_map(&json, NULL);
        json_put_truth(&json, "ok", true);
        json_put_text(&json, "indicator", report->indicator);
        json_put_hex(&json, "definition", bytes_of(report->definition.bytes, HASH_SIZE));
        json_put_text(&json, "unit", report->unit);
        json_put_text(&json, "unit_name", report->unit_name);
        json_put_text(&json, "period_first", first);
        json_put_text(&json, "period_last", last);
        json_put_truth(&json, "subtree", report->subtree);
        json_put_unsigned(&json, "cells", report->cells);
        json_put_integer(&json, "value", report->value);
        json_put_unsigned(&json, "statements", report->statements);
        json_put_unsigned(&json, "units", report->units);
        json_put_unsigned(&json, "headers", report->headers);
        json_put_unsigned(&json, "certificates", report->certificates);
        json_put_unsigned(&json, "made_ms", report->made_ms);
        json_put_text(&json, "root", root);
        json_put_text(&json, "root_unit", report->root_unit);
        json_put_truth(&json, "root_pinned", report->root_pinned);
        json_close(&json);
        return;
    }
    bool one = report->period_first == report->period_last;
    cli_line(cli, tr("figure", "数值"), "%" PRId64, report->value);
    cli_line(cli, tr("indicator", "指标"), "%s", report->indicator);
    cli_line(cli, tr("unit", "单位"), "%s %s%s", report->unit_name, report->unit,
             report->subtree ? tr(", with all below it", "（含下级）") : "");
    cli_line(cli, tr("period", "期间"), "%s%s%s", first, one ? "" : "..", one ? "" : last);
    cli_line(cli, tr("made", "出具时间"), "%s", made);
    cli_line(cli, tr("root", "根记录"), "%s  %s", root, report->root_unit);
    format_print(&cli->out,
                 tr("It holds: %u statements of %u units, under %u signed headers and %u certificates.\n",
                    "证明成立：%u 项签报，涉及 %u 个单位，%u 个签名头部，%u 份证书。\n"),
                 report->statements, report->units, report->headers, report->certificates);
    if (!report->root_pinned)
        format_print(
            &cli->out, "%s\n",
            tr("Compare the root with the one you trust, or give it with --root.", "请将根记录与您信任的核对，或用 --root 给出。"));
}

static enum error_code verify_proof(struct cli *cli, const char *path, struct error *error)
{
    struct buffer data = {0};
    struct proof_report report = {0};
    enum error_code code = input_read(path, PROOF_MAX, &data, error);
    if (code == OK)
        code = station_verify_proof(buffer_bytes(&data), options_value(&cli->options, "root"), &report, error);
    if (code == OK)
        print_proof(cli, &report);
    buffer_finish(&data);
    return code;
}

static enum error_code run(struct cli *cli, struct error *error)
{
    const char *path = cli->options.argument_count ? cli_argument(cli, 0) : cli->dir;
    struct stat stat_of_path;
    bool is_file = strcmp(path, "-") == 0 || (stat(path, &stat_of_path) == 0 && !S_ISDIR(stat_of_path.st_mode));
    if (!is_file && options_given(&cli->options, "root"))
        return error_set(error, ERR_USAGE, "%s", tr("--root is for proof files", "--root 仅用于证明文件"));
    return (is_file ? verify_proof : verify_directory)(cli, path, error);
}

static const struct option_spec options[] = {
    {"root",
     0,
     OPTION_VALUE,
     "HASH",
     {"the root record you trust, 64 hex digits (proof files)", "您信任的根记录，64 位十六进制（用于证明文件）"}}};
static const char *const examples[] = {"sanji verify", "sanji verify /var/lib/sanji", "sanji verify children.proof", NULL};
const struct verb verb_verify = {
    .name = "verify",
    .purpose = {"check a station or a proof, from the bytes up", "自底向上核验站点或证明文件"},
    .usage = "[DIR|FILE] [--root HASH]",
    .about =
        {"A directory: reads the whole journal, checks every signature and chain, folds every view anew and compares. A file written by\n"
         "`sanji prove`: checks that the figure follows from what the units signed; needs no station. Exits 1 when anything differs.",
         "目录：读取全部日志，核对每个签名和链条，重新推算各视图并比对。`sanji prove` "
         "写出的文件：\n核验数值确由各单位签报得出，无需站点。如有不一致，退出码为 1。"},
    .examples = examples,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .arguments_max = 1,
    .run = run,
};
