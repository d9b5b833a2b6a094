// status: one page that answers "is all well here".
#include <inttypes.h>
#include <stdio.h>

#include "node/cli/cli.h"
#include "node/cli/client.h"

static const char *const lane_names[] = {"", "urgent", "control", "case", "aggregate", "bulk"};
static const char *lane_name(uint32_t lane) { return lane < sizeof lane_names / sizeof *lane_names ? lane_names[lane] : ""; }

static const char *state_text(const char *state)
{
    static const struct {
        const char *state;
        struct text text;
    } known[] = {
        {"down", {"down", "断开"}},
        {"dialing", {"dialing", "连接中"}},
        {"greeting", {"greeting", "握手中"}},
        {"repairing", {"repairing", "补数中"}},
        {"live", {"live", "在线"}},
        {"ready", {"ready", "就绪"}},
        {"read-only", {"read-only: put back from a copy (see sanji recover)", "只读：从副本恢复（见 sanji recover）"}},
        {"full", {"disk full", "磁盘已满"}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].state, state) == 0)
            return text_of(known[i].text);
    return state;
}

// JSON has the kind as it is.
static const char *alarm_text(const char *kind)
{
    static const struct {
        const char *kind;
        struct text text;
    } known[] = {
        {"fork", {"second history", "同一序列出现两份历史"}},
        {"split-view", {"second history, by its signed heads", "签名头显示第二份历史"}},
        {"views-differ", {"two stations say they hold different histories", "两站所称历史不一致"}},
        {"head-gap", {"signed there, not arrived here", "对方已签名，此处未收到"}},
        {"head-gap-closed", {"what was missing has arrived", "缺失部分已到达"}},
        {"not-heard", {"not heard for a day, though the link was live", "链路在线而一日无音讯"}},
        {"heard-again", {"heard again", "恢复音讯"}},
        {"wrong-way", {"came by a station it is not below", "经由非其上级的站点送达"}},
        {"forged", {"refused as forged", "疑为伪造，已拒收"}},
        {"body-withheld", {"header arrived, content did not", "批次头已到而内容未到"}},
        {"peer-restored", {"the other side was restored", "对方由备份恢复"}},
        {"peer-holds-more", {"the other side holds more than was sent", "对方所持多于已发送"}},
        {"protocol", {"the other side breaks the protocol", "对方违反协议"}},
        {"version", {"the other side has another version", "对方版本不同"}},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(known[i].kind, kind) == 0)
            return text_of(known[i].text);
    return kind;
}

// ---- JSON

static void link_json(struct json_writer *json, const Sanji__LinkStatus *link)
{
    json_open_map(json, NULL);
    json_put_text(json, "direction", link->parent ? "up" : "down");
    json_put_text(json, "unit", link->unit);
    json_put_hex(json, "station", bytes_of(link->station.data, link->station.len));
    json_put_text(json, "state", link->state);
    json_put_unsigned(json, "since_ms", link->since_ms);
    json_put_unsigned(json, "backlog_rows", link->backlog_rows);
    json_put_unsigned(json, "heard_ms", link->heard_ms);
    json_put_unsigned(json, "acknowledged_ms", link->acknowledged_ms);
    json_put_unsigned(json, "rate_bytes", link->rate_bytes);
    json_put_text(json, "address", link->address);
    json_put_unsigned(json, "heads_refused", link->heads_refused);
    json_open_list(json, "lanes");
    for (size_t i = 0; i < link->n_lanes; i++) {
        json_open_map(json, NULL);
        json_put_text(json, "lane", lane_name(link->lanes[i]->lane));
        json_put_unsigned(json, "end", link->lanes[i]->end);
        json_put_unsigned(json, "headers", link->lanes[i]->headers);
        json_put_unsigned(json, "bodies", link->lanes[i]->bodies);
        json_close(json);
    }
    json_close(json);
    json_close(json);
}

static void lists_json(struct json_writer *json, const Sanji__StatusReply *status)
{
    json_open_list(json, "links");
    for (size_t i = 0; i < status->n_links; i++)
        link_json(json, status->links[i]);
    json_close(json);
    json_open_list(json, "tiers");
    for (size_t i = 0; i < status->n_tiers; i++) {
        json_open_map(json, NULL);
        json_put_text(json, "tier", status->tiers[i]->tier);
        json_put_unsigned(json, "units", status->tiers[i]->units);
        json_put_unsigned(json, "stations", status->tiers[i]->stations);
        json_put_unsigned(json, "live", status->tiers[i]->live);
        json_close(json);
    }
    json_close(json);
    json_open_list(json, "damaged");
    for (size_t i = 0; i < status->n_damaged; i++) {
        const Sanji__Damaged *row = status->damaged[i];
        json_open_map(json, NULL);
        json_put_unsigned(json, "position", row->position);
        json_put_hex(json, "object", bytes_of(row->object.data, row->object.len));
        json_put_hex(json, "station", bytes_of(row->station.data, row->station.len));
        json_put_text(json, "lane", lane_name(row->lane));
        json_put_unsigned(json, "first", row->first);
        json_put_unsigned(json, "since_ms", row->since_ms);
        json_close(json);
    }
    json_close(json);
    json_open_list(json, "alarms");
    for (size_t i = 0; i < status->n_alarms; i++) {
        json_open_map(json, NULL);
        json_put_unsigned(json, "time_ms", status->alarms[i]->time_ms);
        json_put_text(json, "kind", status->alarms[i]->kind);
        json_put_text(json, "text", status->alarms[i]->text);
        json_close(json);
    }
    json_close(json);
}

static void print_json(struct cli *cli, const Sanji__StatusReply *status)
{
    struct json_writer writer = json_writer(&cli->out, true), *json = &writer;
    json_open_map(json, NULL);
    json_put_text(json, "unit", status->unit);
    json_put_text(json, "name", status->name);
    json_put_text(json, "tier", status->tier);
    json_put_hex(json, "station", bytes_of(status->station.data, status->station.len));
    json_put_text(json, "version", status->version);
    json_put_truth(json, "running", status->running);
    json_put_unsigned(json, "uptime_ms", status->uptime_ms);
    json_put_unsigned(json, "ordinal", status->ordinal);
    json_put_text(json, "state", status->state);
    json_put_unsigned(json, "journal_batches", status->journal_batches);
    json_put_unsigned(json, "journal_entries", status->journal_entries);
    json_put_unsigned(json, "records", status->records);
    json_put_unsigned(json, "store_bytes", status->store_bytes);
    json_put_unsigned(json, "store_map_bytes", status->store_map_bytes);
    json_put_text(json, "codebook", status->codebook);
    json_put_unsigned(json, "codebook_version", status->codebook_version);
    json_put_unsigned(json, "units_version", status->units_version);
    json_put_text(json, "listen", status->listen);
    json_put_text(json, "join", status->join);
    json_put_hex(json, "root", bytes_of(status->root.data, status->root.len));
    json_put_unsigned(json, "damaged_count", status->damaged_count);
    json_put_unsigned(json, "mended_count", status->mended_count);
    lists_json(json, status);
    json_close(json);
}

// ---- for people

static void hex(const ProtobufCBinaryData *data, size_t max, char *ret)
{
    static const char digits[] = "0123456789abcdef";
    size_t n = data->len < max ? data->len : max;
    for (size_t i = 0; i < n; i++) {
        *ret++ = digits[data->data[i] >> 4];
        *ret++ = digits[data->data[i] & 15];
    }
    *ret = 0;
}

static void print_station(struct cli *cli, const Sanji__StatusReply *status)
{
    char station[33], root[65], time[FORMAT_MAX], size[FORMAT_MAX], map[FORMAT_MAX], batches[FORMAT_MAX], entries[FORMAT_MAX],
        records[FORMAT_MAX];
    hex(&status->station, 16, station);
    hex(&status->root, 32, root);
    format_duration(status->uptime_ms, time);
    format_bytes(status->store_bytes, size);
    format_bytes(status->store_map_bytes, map);
    format_number(status->journal_batches, batches);
    format_number(status->journal_entries, entries);
    format_number(status->records, records);
    cli_line(cli, tr("unit", "单位"), "%s  %s  %s", status->name, status->unit, status->tier);
    cli_line(cli, tr("station", "站点"), tr("%s, incarnation %" PRIu32, "%s，第 %" PRIu32 " 代"), station, status->ordinal);
    if (status->running)
        cli_line(cli, tr("state", "状态"), tr("%s, running for %s", "%s，已运行 %s"), state_text(status->state), time);
    else
        cli_line(cli, tr("state", "状态"), tr("%s, no node runs", "%s，节点未运行"), state_text(status->state));
    cli_line(cli, tr("version", "版本"), "%s", status->version);
    if (*status->codebook)
        cli_line(cli, tr("codebook", "编码本"), tr("%s, version %" PRIu32, "%s，第 %" PRIu32 " 版"), status->codebook,
                 status->codebook_version);
    else
        cli_line(cli, tr("codebook", "编码本"), "%s", tr("none in force yet", "尚未生效"));
    cli_line(cli, tr("unit tree", "单位树"), tr("version %" PRIu32, "第 %" PRIu32 " 版"), status->units_version);
    cli_line(cli, tr("journal", "日志"), tr("%s batches, %s entries; %s records of its own", "%s 批，%s 条；本站记录 %s 条"), batches,
             entries, records);
    cli_line(cli, tr("store", "存储"), tr("%s of at most %s", "%s，上限 %s"), size, map);
    if (*status->listen)
        cli_line(cli, tr("listens", "连接地址"), "%s", status->listen);
    if (*status->join)
        cli_line(cli, tr("enrols at", "登记地址"), "%s", status->join);
    cli_line(cli, tr("root", "根记录"), "%s", root);
}

static void print_links(struct cli *cli, const Sanji__StatusReply *status, uint64_t now_ms)
{
    struct text_table table = {0};
    static const struct text headings[] = {{"with", "对方"},
                                           {"unit", "单位"},
                                           {"state", "状态"},
                                           {"for", "持续"},
                                           {"backlog", "待传"},
                                           {"heard", "最近收到"},
                                           {"acknowledged", "最近确认"},
                                           {"rate", "速率"},
                                           {"address", "地址"}};
    for (size_t i = 0; i < sizeof headings / sizeof *headings; i++)
        table_column(&table, text_of(headings[i]), i == 4 || i == 7 ? TABLE_RIGHT : TABLE_LEFT);
    for (size_t i = 0; i < status->n_links; i++) {
        const Sanji__LinkStatus *link = status->links[i];
        char since[FORMAT_MAX], backlog[FORMAT_MAX], heard[FORMAT_MAX], acknowledged[FORMAT_MAX], bytes[FORMAT_MAX], rate[FORMAT_MAX + 4];
        format_duration(link->since_ms, since);
        format_number(link->backlog_rows, backlog);
        format_ago(now_ms, link->heard_ms, heard);
        format_ago(now_ms, link->acknowledged_ms, acknowledged);
        format_bytes(link->rate_bytes, bytes);
        snprintf(rate, sizeof rate, "%s/s", bytes);
        const char *const cells[] = {link->parent ? tr("parent", "上级") : tr("child", "下级"),
                                     link->unit,
                                     state_text(link->state),
                                     since,
                                     backlog,
                                     heard,
                                     acknowledged,
                                     rate,
                                     link->address};
        for (size_t j = 0; j < sizeof cells / sizeof *cells; j++)
            table_cell(&table, cells[j]);
    }
    table_print(&table, cli->colour, &cli->out);
    table_finish(&table);
}

static void print_tiers(struct cli *cli, const Sanji__StatusReply *status)
{
    struct text_table table = {0};
    table_column(&table, tr("tier", "层级"), TABLE_LEFT);
    table_column(&table, tr("units", "单位"), TABLE_RIGHT);
    table_column(&table, tr("stations", "站点"), TABLE_RIGHT);
    table_column(&table, tr("live", "在线"), TABLE_RIGHT);
    for (size_t i = 0; i < status->n_tiers; i++) {
        const uint64_t numbers[] = {status->tiers[i]->units, status->tiers[i]->stations, status->tiers[i]->live};
        if (numbers[0] == 0) // a tier above
            continue;
        table_cell(&table, status->tiers[i]->tier);
        for (size_t j = 0; j < 3; j++) {
            char text[FORMAT_MAX];
            format_number(numbers[j], text);
            table_cell(&table, text);
        }
    }
    table_print(&table, cli->colour, &cli->out);
    table_finish(&table);
}

static void print_alarms(struct cli *cli, const Sanji__StatusReply *status, uint64_t now_ms)
{
    enum { SHOWN = 10 };
    struct text_table table = {0};
    table_column(&table, tr("when", "时间"), TABLE_LEFT);
    table_column(&table, tr("kind", "类别"), TABLE_LEFT);
    table_column(&table, tr("what", "内容"), TABLE_LEFT);
    for (size_t i = 0; i < status->n_alarms && i < SHOWN; i++) {
        char when[FORMAT_MAX];
        format_ago(now_ms, status->alarms[i]->time_ms, when);
        table_cell(&table, when);
        table_cell(&table, alarm_text(status->alarms[i]->kind));
        table_cell(&table, status->alarms[i]->text);
    }
    table_print(&table, cli->colour, &cli->out);
    table_finish(&table);
    if (status->n_alarms > SHOWN)
        format_print(&cli->out, tr("and %zu more: --json\n", "另有 %zu 条：用 --json 查看\n"), status->n_alarms - SHOWN);
}

static void print_damaged(struct cli *cli, const Sanji__StatusReply *status, uint64_t now_ms)
{
    struct text_table table = {0};
    table_column(&table, tr("row", "行"), TABLE_RIGHT);
    table_column(&table, tr("of", "属于"), TABLE_LEFT);
    table_column(&table, tr("found", "发现"), TABLE_LEFT);
    for (size_t i = 0; i < status->n_damaged; i++) {
        const Sanji__Damaged *row = status->damaged[i];
        char position[FORMAT_MAX], what[80], id[65], when[FORMAT_MAX];
        format_number(row->position, position);
        hex(row->object.len ? &row->object : &row->station, 16, id);
        if (row->object.len)
            snprintf(what, sizeof what, tr("object %s", "对象 %s"), id);
        else if (row->first)
            snprintf(what, sizeof what, tr("station %.8s, lane %s, sequence %" PRIu64, "站点 %.8s，通道 %s，序号 %" PRIu64), id,
                     lane_name(row->lane), row->first);
        else
            snprintf(what, sizeof what, "%s", tr("unknown", "未知"));
        format_ago(now_ms, row->since_ms, when);
        table_cell(&table, row->object.len ? "" : position);
        table_cell(&table, what);
        table_cell(&table, when);
    }
    table_print(&table, cli->colour, &cli->out);
    table_finish(&table);
    format_print(&cli->out,
                 tr("%" PRIu64 " rows are damaged on disk; the running node fetches them again from its neighbours.\n",
                    "磁盘上有 %" PRIu64 " 行已损坏；运行中的节点会从相邻站点重新获取。\n"),
                 status->damaged_count);
}

static void print_text(struct cli *cli, const Sanji__StatusReply *status)
{
    uint64_t now_ms = format_now_ms();
    print_station(cli, status);
    if (status->n_links > 0) {
        cli_heading(cli, tr("Links", "链路"));
        print_links(cli, status, now_ms);
    }
    if (status->n_tiers > 0) {
        cli_heading(cli, tr("Below", "下级"));
        print_tiers(cli, status);
    }
    if (status->n_damaged > 0) {
        cli_heading(cli, tr("Damaged", "损坏"));
        print_damaged(cli, status, now_ms);
    }
    if (status->n_alarms > 0) {
        cli_heading(cli, tr("Alarms", "告警"));
        print_alarms(cli, status, now_ms);
    }
}

static enum error_code run(struct cli *cli, struct error *error)
{
    Sanji__StatusRequest status = SANJI__STATUS_REQUEST__INIT;
    Sanji__Request request = SANJI__REQUEST__INIT;
    struct client_answer answer;
    request.request_case = SANJI__REQUEST__REQUEST_STATUS;
    request.status = &status;
    enum error_code code = client_call(cli->dir, &request, SANJI__REPLY__REPLY_STATUS, &answer, error);
    if (code != OK)
        return code;
    (cli->json ? print_json : print_text)(cli, answer.reply->status);
    client_finish(&answer);
    return OK;
}

static const char *const examples[] = {"sanji status", "sanji status -d /var/lib/sanji --json", NULL};
const struct verb verb_status = {
    .name = "status",
    .purpose = {"show how the station is", "显示站点状态"},
    .usage = "",
    .about = {"Shows the station, its links, the tiers below it and the last alarms; works with and without a running node.",
              "显示本站点、链路、下级各层及最近的告警；节点运行与否均可使用。"},
    .examples = examples,
    .run = run,
};
