// invite: tokens with which stations below may join.
#include "node/cli/cli.h"
#include "node/cli/client.h"
#include "node/period.h"
#include "record.pb-c.h"

static const struct option_spec options[] = {
    {"ttl", 0, OPTION_VALUE, "TIME", {"how long a token works: 45m, 12h, 7d (default), 2w", "令牌有效期：45m、12h、7d（默认）、2w"}},
    {"from",
     0,
     OPTION_VALUE,
     "MONTH",
     {"first month the station speaks for its unit: 2023-01 (default: since ever)", "站点自哪个月起代表本单位：2023-01（默认：一直）"}},
};
static const char *const examples[] = {"sanji invite 321081100000", "sanji invite 321081100000 321081101000 --ttl 2w --from 2023-01",
                                       "sanji invite 321081100000 --json", NULL};

static void print_json(struct cli *cli, const Sanji__InviteReply *reply)
{
    struct json_writer json = json_writer(&cli->out, true);
    json_open_list(&json, NULL);
    for (size_t i = 0; i < reply->n_invitations; i++) {
        json_open_map(&json, NULL);
        json_put_text(&json, "unit", reply->invitations[i]->unit);
        json_put_text(&json, "token", reply->invitations[i]->token);
        json_put_unsigned(&json, "expires_ms", reply->invitations[i]->expires_ms);
        json_close(&json);
    }
    json_close(&json);
}

static void print_table(struct cli *cli, const Sanji__InviteReply *reply)
{
    struct text_table table = {0};
    table_column(&table, tr("unit", "单位"), TABLE_LEFT);
    table_column(&table, tr("works until", "有效期至"), TABLE_LEFT);
    table_column(&table, tr("token", "令牌"), TABLE_LEFT);
    for (size_t i = 0; i < reply->n_invitations; i++) {
        char until[FORMAT_MAX];
        format_instant(reply->invitations[i]->expires_ms, until);
        table_cell(&table, reply->invitations[i]->unit);
        table_cell(&table, until);
        table_cell(&table, reply->invitations[i]->token);
    }
    table_print(&table, cli->colour, &cli->out);
    table_finish(&table);
    format_print(&cli->out, "\n%s\n  sanji join DIR TOKEN\n",
                 tr("Each token works once, and is a secret until then. On the new station's machine:",
                    "每个令牌只能使用一次，使用前须保密。在新站点的机器上执行："));
}

static enum error_code run(struct cli *cli, struct error *error)
{
    Sanji__InviteRequest invite = SANJI__INVITE_REQUEST__INIT;
    Sanji__Request request = SANJI__REQUEST__INIT;
    const char *ttl = options_value(&cli->options, "ttl"), *from = options_value(&cli->options, "from");
    struct client_answer answer;
    enum error_code code = format_parse_duration(ttl ? ttl : "7d", &invite.ttl_ms, error);
    if (code != OK)
        return code;
    struct period period = {0};
    if (from && (!period_parse(from, &period) || period.type != SANJI__PERIOD_TYPE__MONTH))
        return error_set(error, ERR_USAGE, tr("%s: not a month; write 2023-01", "%s：不是有效的月份；请写作 2023-01"), from);
    invite.from_period = period.number;
    invite.n_units = cli->options.argument_count;
    invite.units = cli->options.arguments;
    request.request_case = SANJI__REQUEST__REQUEST_INVITE;
    request.invite = &invite;
    code = client_call(cli->dir, &request, SANJI__REPLY__REPLY_INVITE, &answer, error);
    if (code != OK)
        return code;
    (cli->json ? print_json : print_table)(cli, answer.reply->invite);
    client_finish(&answer);
    return OK;
}

const struct verb verb_invite = {
    .name = "invite",
    .purpose = {"make tokens for stations below to join", "为下级站点生成加入令牌"},
    .usage = "CODE... [--ttl 7d] [--from 2023-01]",
    .about =
        {"Makes one token for each unit named, all of them below this station's own. The new station\n"
         "then speaks for the unit. A unit that has a station already is refused.",
         "为每个指定单位生成一个令牌；单位须在本站点所属单位之下。之后由新站点代表该单位。\n已有站点的单位会被拒绝。"},
    .examples = examples,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .arguments_min = 1,
    .arguments_max = 4096, // stations of one parent
    .run = run,
};
