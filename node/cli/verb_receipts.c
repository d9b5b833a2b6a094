// receipts: who above has this station's urgent records, since when, and who not yet.
#include "node/cli/cli.h"
#include "node/cli/client.h"
#include "relay/crypto.h"

static const struct option_spec options[] = {
    {"waiting", 0, OPTION_SWITCH, NULL, {"only those the deciding tier has not receipted", "仅列出尚无决定层级回执的记录"}},
};
static const char *const examples[] = {"sanji receipts", "sanji receipts --waiting", "sanji receipts --json", NULL};

static void json_tiers(struct json_writer *json, const Sanji__UrgentBatch *batch)
{
    json_open_list(json, "tiers");
    for (size_t i = 0; i < batch->n_tiers; i++) {
        const Sanji__TierReceipt *tier = batch->tiers[i];
        json_open_map(json, NULL);
        json_put_text(json, "tier", tier->tier);
        json_put_text(json, "unit", tier->unit);
        json_put_truth(json, "decides", tier->decides);
        json_put_text(json, "state", *tier->state ? tier->state : NULL);
        if (tier->since_ms)
            json_put_unsigned(json, "since_ms", tier->since_ms);
        else
            json_put_null(json, "since_ms");
        json_close(json);
    }
    json_close(json);
}

static void print_json(struct cli *cli, const Sanji__ReceiptsReply *reply)
{
    struct json_writer json = json_writer(&cli->out, true);
    json_open_list(&json, NULL);
    for (size_t i = 0; i < reply->n_batches; i++) {
        const Sanji__UrgentBatch *batch = reply->batches[i];
        json_open_map(&json, NULL);
        json_put_text(&json, "form", batch->form);
        json_put_hex(&json, "record", bytes_of(batch->record.data, batch->record.len));
        json_put_unsigned(&json, "sequence", batch->sequence);
        json_put_unsigned(&json, "signed_ms", batch->signed_ms);
        json_put_unsigned(&json, "due_ms", batch->due_ms);
        json_put_truth(&json, "decided", batch->decided);
        json_tiers(&json, batch);
        json_close(&json);
    }
    json_close(&json);
}

static const char *state_text(const char *state)
{
    static const struct {
        const char *name;
        struct text text;
    } states[] = {{"received", {"received", "已收到"}},
                  {"accepted", {"accepted", "已受理"}},
                  {"forwarded", {"forwarded", "已转交"}},
                  {"closed", {"closed", "已办结"}}};
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(state, states[i].name) == 0)
            return text_of(states[i].text);
    return tr("not yet", "尚无");
}

static void print_table(struct cli *cli, const Sanji__ReceiptsReply *reply)
{
    struct text_table table = {0};
    table_column(&table, tr("signed", "签署时间"), TABLE_LEFT);
    table_column(&table, tr("form", "表单"), TABLE_LEFT);
    table_column(&table, tr("record", "记录"), TABLE_LEFT);
    table_column(&table, tr("tier", "层级"), TABLE_LEFT);
    table_column(&table, tr("unit", "单位"), TABLE_LEFT);
    table_column(&table, tr("has it", "回执"), TABLE_LEFT);
    table_column(&table, tr("since", "起始时间"), TABLE_LEFT);
    for (size_t i = 0; i < reply->n_batches; i++) {
        const Sanji__UrgentBatch *batch = reply->batches[i];
        char when[FORMAT_MAX], id[2 * RECORD_ID_SIZE + 1] = "";
        crypto_hex(bytes_of(batch->record.data, batch->record.len < RECORD_ID_SIZE ? batch->record.len : RECORD_ID_SIZE), id);
        for (size_t t = 0; t < batch->n_tiers; t++) {
            const Sanji__TierReceipt *tier = batch->tiers[t];
            format_instant(batch->signed_ms, when);
            table_cell(&table, when);
            table_cell(&table, batch->form);
            table_cell(&table, id);
            table_cell(&table, tier->tier);
            table_cell(&table, tier->unit);
            table_cell(&table, state_text(tier->state));
            format_instant(tier->since_ms, when);
            table_cell(&table, *tier->state ? when : tier->decides ? tr("it decides", "由其决定") : "");
        }
    }
    table_print(&table, cli->colour, &cli->out);
    table_finish(&table);
    if (reply->more)
        format_print(&cli->out, "%s\n", tr("There are more.", "还有更多。"));
}

static enum error_code run(struct cli *cli, struct error *error)
{
    Sanji__ReceiptsRequest receipts = SANJI__RECEIPTS_REQUEST__INIT;
    Sanji__Request request = SANJI__REQUEST__INIT;
    struct client_answer answer;
    receipts.waiting = options_given(&cli->options, "waiting");
    request.request_case = SANJI__REQUEST__REQUEST_RECEIPTS;
    request.receipts = &receipts;
    enum error_code code = client_call(cli->dir, &request, SANJI__REPLY__REPLY_RECEIPTS, &answer, error);
    if (code != OK)
        return code;
    (cli->json ? print_json : print_table)(cli, answer.reply->receipts);
    client_finish(&answer);
    return OK;
}

const struct verb verb_receipts = {
    .name = "receipts",
    .purpose = {"show who above has the urgent records", "查看上级是否已收到紧急记录"},
    .usage = "[--waiting]",
    .about = {"Lists this station's urgent records, those that wait first: which tiers above have each, and since when. What it lists was\n"
              "signed by those tiers, is checked, and stays in the store as proof (sanji verify).",
              "列出本站点的紧急记录（等待中的在前）：上级各层是否已收到、何时收到。所列回执均由\n上级签名并经核验，作为证据留存（sanji "
              "verify）。"},
    .examples = examples,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .run = run,
};
