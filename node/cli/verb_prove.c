// prove: a figure with every signed statement behind it, in one file.
#include <inttypes.h>

#include "node/cli/client.h"
#include "node/cli/figures_query.h"
#include "node/cli/input.h"

static void print(struct cli *cli, const Sanji__ProveReply *reply, const char *path)
{
    if (cli->json) {
        struct json_writer writer = json_writer(&cli->out, true), *json = &writer;
        json_open_map(json, NULL);
        json_put_text(json, "file", path);
        json_put_unsigned(json, "size", reply->proof.len);
        json_put_integer(json, "value", reply->value);
        json_put_unsigned(json, "statements", reply->statements);
        json_put_unsigned(json, "units", reply->units);
        json_close(json);
        return;
    }
    char size[FORMAT_MAX];
    format_bytes(reply->proof.len, size);
    format_print(&cli->out,
                 tr("%s (%s) proves %" PRId64 ": %u statements of %u units. Anyone can check it with:\n  sanji verify %s\n",
                    "%s（%s）证明数值 %" PRId64 "：%u 项签报，涉及 %u 个单位。任何人均可核验：\n  sanji verify %s\n"),
                 path, size, reply->value, reply->statements, reply->units, path);
}

static enum error_code run(struct cli *cli, struct error *error)
{
    struct figures_query query;
    Sanji__ProveRequest prove = SANJI__PROVE_REQUEST__INIT;
    Sanji__Request request = SANJI__REQUEST__INIT;
    struct client_answer answer;
    const char *path;
    enum error_code code = figures_query_init(&query, cli, NULL, error);
    if (code == OK)
        code = cli_need(cli, "output", &path, error);
    if (code == OK && query.request.n_indicators != 1)
        code = error_set(error, ERR_USAGE, "%s", tr("a proof is of one indicator", "一份证明只针对一个指标"));
    if (code != OK)
        return code;
    prove.figure = &query.request;
    request.request_case = SANJI__REQUEST__REQUEST_PROVE;
    request.prove = &prove;
    code = client_call(cli->dir, &request, SANJI__REPLY__REPLY_PROVE, &answer, error);
    if (code != OK)
        return code;
    const Sanji__ProveReply *reply = answer.reply->prove;
    code = input_write_new(path, bytes_of(reply->proof.data, reply->proof.len), error);
    if (code == OK && strcmp(path, "-") != 0)
        print(cli, reply, path);
    client_finish(&answer);
    return code;
}

static const struct option_spec options[] = {
    FIGURES_QUERY_OPTIONS,
    {"output", 'o', OPTION_VALUE, "FILE", {"the file to write; - is stdout. It must not exist", "写入的文件；- 为标准输出。文件须不存在"}},
};
static const char *const examples[] = {"sanji prove -i children --unit 321081000000 --period 2023-05 -o children.proof",
                                       "sanji prove -i children -p 2023-05 --where sex=f -o girls.proof", NULL};
const struct verb verb_prove = {
    .name = "prove",
    .purpose = {"write the proof of one figure", "出具单个数值的证明"},
    .usage = "-i IND [--unit CODE] --period P [--where DIM=CODE] -o FILE",
    .about =
        {"Writes a file with the signed statements that add up to the figure, and the certificates up to the root: `sanji verify FILE`\n"
         "checks it on any machine, without a station.",
         "写出构成该数值的全部签名统计，以及直至根记录的证书：`sanji verify FILE` 可在任何机器上核验，\n无需站点。"},
    .examples = examples,
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .run = run,
};
