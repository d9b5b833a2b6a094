// figures: what was counted, by unit, period and dimension, and how fresh it is.
#include <stdio.h>

#include "node/cli/client.h"
#include "node/cli/figures_print.h"
#include "node/cli/figures_query.h"

// The data goes to stdout alone; who is missing is said beside it.
static void print_csv(struct cli *cli, const Sanji__FiguresReply *reply)
{
    struct buffer text = {0};
    figures_print_csv(cli, reply);
    figures_print_freshness(reply, &text);
    if (!text.failed)
        fwrite(text.data ? text.data : (const void *)"", 1, text.size, stderr);
    buffer_finish(&text);
}

static enum error_code run(struct cli *cli, struct error *error)
{
    struct figures_query query;
    Sanji__Request request = SANJI__REQUEST__INIT;
    struct client_answer answer;
    bool csv = options_given(&cli->options, "csv");
    if (csv && cli->json)
        return error_set(error, ERR_USAGE, "%s", tr("--csv or --json, not both", "--csv 与 --json 只能选一"));
    enum error_code code = figures_query_init(&query, cli, options_value(&cli->options, "by"), error);
    if (code != OK)
        return code;
    request.request_case = SANJI__REQUEST__REQUEST_FIGURES;
    request.figures = &query.request;
    code = client_call(cli->dir, &request, SANJI__REPLY__REPLY_FIGURES, &answer, error);
    if (code != OK)
        return code;
    code = figures_print_check(answer.reply->figures, error);
    if (code == OK)
        (cli->json ? figures_print_json : csv ? print_csv : figures_print_table)(cli, answer.reply->figures);
    client_finish(&answer);
    return code;
}

static const struct option_spec options[] = {
    FIGURES_QUERY_OPTIONS,
    {"by", 'b', OPTION_VALUE, "LIST", {"rows for: unit, tier=T, period, or dimensions", "分行依据：unit、tier=T、period 或维度名"}},
    {"csv", 0, OPTION_SWITCH, NULL, {"print CSV", "以 CSV 输出"}},
};
static const char *const examples[] = {
    "sanji figures -i children --unit 321081000000 --period 2023-05",
    "sanji figures -i visits --period 2023-01..2023-06 --by unit,period",
    "sanji figures -i children --period 2023-05 --by tier=village,category --where sex=f --csv",
    NULL,
};
const struct verb verb_figures = {
    .name = "figures",
    .purpose = {"read figures and how fresh they are", "查询数值及其时效"},
    .usage = "-i IND[,IND] [--unit CODE] --period P[..P] [--by unit|tier=T|period|DIM,...] [--where DIM=CODE] [--csv]",
    .about =
        {"Each row has the unit's own value and the value with all units below. Below the table: how fresh it is, which units have not\n"
         "signed the period complete, and what was not added and why. Money is shown in yuan, and in fen in CSV and JSON; ratios\n"
         "in percent, and in ten-thousandths in CSV and JSON.",
         "每行给出本级数值和含下级的数值。表下说明数据时效、尚未齐报的单位，以及哪些未计入及其原因。\n金额在表中以元显示，在 CSV 和 JSON "
         "中以分表示；比率在表中为百分比，在 CSV 和 JSON 中为万分比。"},
    .examples = examples,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .run = run,
};
