// units: the tree, and when each unit was last heard of.
#include <stdio.h>

#include "node/cli/cli.h"
#include "node/cli/client.h"
#include "node/period.h"
#include "record.pb-c.h"

static void print_json(struct cli *cli, const Sanji__UnitsReply *reply)
{
    struct json_writer writer = json_writer(&cli->out, true), *json = &writer;
    json_open_list(json, NULL);
    for (size_t i = 0; i < reply->n_units; i++) {
        const Sanji__UnitStatus *unit = reply->units[i];
        char month[16];
        period_format((struct period){SANJI__PERIOD_TYPE__MONTH, unit->complete_through}, month);
        json_open_map(json, NULL);
        json_put_text(json, "code", unit->code);
        json_put_text(json, "name", unit->name);
        json_put_text(json, "tier", unit->tier);
        json_put_text(json, "parent", *unit->parent ? unit->parent : NULL);
        json_put_unsigned(json, "depth", unit->depth);
        json_put_hex(json, "station", bytes_of(unit->station.data, unit->station.len));
        json_put_truth(json, "invited", unit->invited);
        json_put_unsigned(json, "heard_ms", unit->heard_ms);
        json_put_text(json, "complete_through", unit->complete_through ? month : NULL);
        json_close(json);
    }
    json_close(json);
}

static void print_row(struct text_table *table, const Sanji__UnitStatus *unit, uint32_t depth, uint64_t now_ms)
{
    char name[512], heard[FORMAT_MAX], month[16] = "-";
    snprintf(name, sizeof name, "%*s%s", (int)(depth < 32 ? depth * 2 : 64), "", unit->name);
    format_ago(now_ms, unit->heard_ms, heard);
    if (unit->complete_through)
        period_format((struct period){SANJI__PERIOD_TYPE__MONTH, unit->complete_through}, month);
    table_cell(table, unit->code);
    table_cell(table, name);
    table_cell(table, unit->tier);
    table_cell(table, unit->station.len ? tr("own", "有") : unit->invited ? tr("invited", "已邀请") : "-");
    table_cell(table, heard);
    table_cell(table, month);
}

static void print_text(struct cli *cli, const Sanji__UnitsReply *reply)
{
    struct text_table table = {0};
    static const struct text headings[] = {{"code", "代码"},    {"name", "名称"},      {"tier", "层级"},
                                           {"station", "站点"}, {"heard", "最近收到"}, {"complete to", "齐报至"}};
    uint64_t now_ms = format_now_ms();
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        table_column(&table, text_of(headings[i]), TABLE_LEFT);
    for (size_t i = 0; i < reply->n_units; i++) {
        uint32_t top = reply->units[0]->depth, depth = reply->units[i]->depth;
        print_row(&table, reply->units[i], depth > top ? depth - top : 0, now_ms);
    }
    table_print(&table, cli->colour, &cli->out);
    table_finish(&table);
    format_print(&cli->out, tr("\n%zu units\n", "\n共 %zu 个单位\n"), reply->n_units);
}

static enum error_code run(struct cli *cli, struct error *error)
{
    Sanji__UnitsRequest units = SANJI__UNITS_REQUEST__INIT;
    Sanji__Request request = SANJI__REQUEST__INIT;
    const char *below = options_value(&cli->options, "below");
    struct client_answer answer;
    units.below = (char *)(uintptr_t)(below ? below : "");
    request.request_case = SANJI__REQUEST__REQUEST_UNITS;
    request.units = &units;
    enum error_code code = client_call(cli->dir, &request, SANJI__REPLY__REPLY_UNITS, &answer, error);
    if (code != OK)
        return code;
    (cli->json ? print_json : print_text)(cli, answer.reply->units);
    client_finish(&answer);
    return OK;
}

static const struct option_spec options[] = {
    {"below", 0, OPTION_VALUE, "CODE", {"only this unit and those below it", "仅显示该单位及其下级"}}};
static const char *const examples[] = {"sanji units", "sanji units --below 321081100000", "sanji units --json", NULL};
const struct verb verb_units = {
    .name = "units",
    .purpose = {"list the unit tree and who has reported", "列出单位树及上报情况"},
    .usage = "[--below CODE]",
    .about = {"Lists units in the order of the tree: which have a station of their own, when each was last heard of, and through which "
              "month it\n"
              "has signed its figures complete.",
              "按单位树次序列出各单位：是否有自己的站点、最近一次收到数据的时间，\n以及已签报齐全到哪个月。"},
    .examples = examples,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .run = run,
};
