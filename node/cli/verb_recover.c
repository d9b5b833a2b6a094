// recover: why a station is read-only, and at the root the way out.
#include <inttypes.h>
#include <stdlib.h>

#include "node/cli/cli.h"
#include "node/cli/client.h"

static void print_json(struct cli *cli, const Sanji__RecoverReply *reply)
{
    struct json_writer writer = json_writer(&cli->out, true), *json = &writer;
    json_open_map(json, NULL);
    json_put_truth(json, "restored", reply->restored);
    json_put_truth(json, "has_parent", reply->has_parent);
    json_put_unsigned(json, "ordinal", reply->ordinal);
    json_put_unsigned(json, "next", reply->next);
    json_put_unsigned(json, "journal_end", reply->journal_end);
    json_put_unsigned(json, "marker_end", reply->marker_end);
    json_put_truth(json, "running", reply->running);
    json_put_truth(json, "parent_live", reply->parent_live);
    json_put_unsigned(json, "children", reply->children);
    json_put_unsigned(json, "children_live", reply->children_live);
    json_put_truth(json, "opened", reply->opened);
    json_open_list(json, "held_by_children");
    for (size_t i = 0; i < reply->n_seen; i++) {
        json_open_map(json, NULL);
        json_put_unsigned(json, "ordinal", reply->seen[i]->ordinal);
        json_put_unsigned(json, "lane", reply->seen[i]->lane);
        json_put_unsigned(json, "entries", reply->seen[i]->entries);
        json_close(json);
    }
    json_close(json);
    json_close(json);
}

static void print_advice(struct cli *cli, const Sanji__RecoverReply *reply)
{
    if (reply->opened)
        format_print(&cli->out, tr("\nIncarnation %" PRIu32 " is open.\n", "\n第 %" PRIu32 " 代已开启。\n"), reply->next);
    else if (!reply->restored)
        format_print(&cli->out, "\n%s\n", tr("Nothing to recover.", "无需处理。"));
    else if (reply->has_parent)
        format_print(&cli->out, "\n%s\n",
                     tr("Its parent grants the next incarnation and sends back what was lost: let the node run and connect.",
                        "新一代由上级授予，丢失的数据由上级送回：请让节点运行并连接上级。"));
    else
        format_print(
            &cli->out,
            tr("\nLet the node run until its children have connected: they know what it signed last. What was recorded or announced here\n"
               "since the copy was made is lost. Then, and only if no other copy of this station runs anywhere:\n"
               "  sanji recover --open %" PRIu32 "\n",
               "\n请让节点运行，直到各下级都已连接：它们知道本站点最后签发的内容。副本之后在此登记或发布的内容已丢失。\n"
               "然后，在确认没有本站点的其他副本运行时：\n  sanji recover --open %" PRIu32 "\n"),
            reply->next);
}

static void print_text(struct cli *cli, const Sanji__RecoverReply *reply)
{
    cli_line(cli, tr("state", "状态"), "%s",
             !reply->restored ? tr("not put back from a copy", "并非从副本恢复")
                              : tr("put back from a copy: read-only, nothing is signed", "从副本恢复：只读，不签发任何内容"));
    cli_line(cli, tr("incarnation", "代次"),
             tr("%" PRIu32 " as far as known here; the next is %" PRIu32, "此处所知为第 %" PRIu32 " 代；下一代为第 %" PRIu32 " 代"),
             reply->ordinal, reply->next);
    cli_line(cli, tr("store", "存储"), tr("%" PRIu64 " batches", "%" PRIu64 " 批"), reply->journal_end);
    cli_line(cli, tr("marker", "标记"),
             reply->marker_end ? tr("had seen %" PRIu64 " batches", "曾见到 %" PRIu64 " 批")
                               : tr("none, or of an empty store", "无，或存储为空"),
             reply->marker_end);
    if (reply->has_parent)
        cli_line(cli, tr("parent", "上级"), "%s", reply->parent_live ? tr("connected", "已连接") : tr("not connected", "未连接"));
    cli_line(cli, tr("children", "下级"), tr("%" PRIu32 " of %" PRIu32 " connected", "已连接 %" PRIu32 "，共 %" PRIu32),
             reply->children_live, reply->children);
    for (size_t i = 0; i < reply->n_seen; i++)
        cli_line(cli, tr("they hold", "下级持有"),
                 tr("%" PRIu64 " entries of incarnation %" PRIu32 ", lane %" PRIu32 ", more than the store",
                    "第 %2$" PRIu32 " 代通道 %3$" PRIu32 " 的 %1$" PRIu64 " 条，多于存储"),
                 reply->seen[i]->entries, reply->seen[i]->ordinal, reply->seen[i]->lane);
    print_advice(cli, reply);
}

static enum error_code run(struct cli *cli, struct error *error)
{
    Sanji__RecoverRequest recover = SANJI__RECOVER_REQUEST__INIT;
    Sanji__Request request = SANJI__REQUEST__INIT;
    struct client_answer answer;
    const char *open = options_value(&cli->options, "open");
    if (open) {
        char *end;
        unsigned long ordinal = strtoul(open, &end, 10);
        if (*end || end == open || ordinal < 2 || ordinal > UINT32_MAX)
            return error_set(error, ERR_USAGE, "%s",
                             tr("--open takes the number that 'sanji recover' names", "--open 后应为 'sanji recover' 所示的代次"));
        recover.open = (uint32_t)ordinal;
    }
    request.request_case = SANJI__REQUEST__REQUEST_RECOVER;
    request.recover = &recover;
    enum error_code code = client_call(cli->dir, &request, SANJI__REPLY__REPLY_RECOVER, &answer, error);
    if (code != OK)
        return code;
    (cli->json ? print_json : print_text)(cli, answer.reply->recover);
    client_finish(&answer);
    return OK;
}

static const struct option_spec options[] = {
    {"open",
     0,
     OPTION_VALUE,
     "N",
     {"open incarnation N, at a root whose store was put back from a copy", "在存储从副本恢复的根站点开启第 N 代"}}};
static const char *const examples[] = {"sanji recover", "sanji recover --open 2 -d /var/lib/sanji", NULL};
const struct verb verb_recover = {
    .name = "recover",
    .purpose = {"say why a restored station is read-only, and open the next incarnation", "说明恢复后的站点为何只读，并开启新一代"},
    .usage = "[--open N]",
    .about =
        {"A station whose store was put back from a copy signs nothing, so that no second history of it comes about. One with a parent "
         "gets\n"
         "the next incarnation from it by itself, once the node runs. The root has none: here its admin says the word, after the children\n"
         "have connected.",
         "存储从副本恢复的站点不签发任何内容，以免出现第二份历史。有上级的站点在节点运行后由上级自动授予新一代；\n"
         "根站点没有上级：待各下级连接后，由其管理员在此开启。"},
    .examples = examples,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .run = run,
};
