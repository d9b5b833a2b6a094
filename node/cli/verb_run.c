// init, join, run, stop: a station's own life.
#include "node/cli/cli.h"
#include "node/cli/client.h"
#include "node/cli/input.h"
#include "node/service.h"
#include "relay/crypto.h"
#include "relay/token.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void print_made(struct cli *cli, const char *dir, const char *unit)
{
    if (cli->json) {
        struct json_writer json = json_writer(&cli->out, true);
        json_open_map(&json, NULL);
        json_put_text(&json, "dir", dir);
        json_put_text(&json, "unit", unit); // null after a join: the token says it
        json_close(&json);
        return;
    }
    format_print(&cli->out,
                 tr("The station is ready in %s. Start it with:\n  sanji run %s\n", "站点已在 %s 建立。启动命令：\n  sanji run %s\n"), dir,
                 dir);
}

// ---- init

static const struct option_spec init_options[] = {
    {"unit", 0, OPTION_VALUE, "CODE", {"the unit it is for: the root of the tree", "所属单位代码：单位树的根"}},
    {"units", 0, OPTION_VALUE, "FILE.csv", {"the unit tree: code,name,tier,parent_code", "单位树文件：code,name,tier,parent_code"}},
    {"codebook", 0, OPTION_VALUE, "FILE", {"the codebook; without one nothing can be recorded", "编码本文件；没有编码本则无法录入"}},
    {"listen",
     0,
     OPTION_VALUE,
     "ADDRESS",
     {"where children link, as they call it (default: tcp://127.0.0.1:7310, this machine only)",
      "下级连接本站的地址（默认 tcp://127.0.0.1:7310，仅限本机）"}},
    {"join",
     0,
     OPTION_VALUE,
     "ADDRESS",
     {"where children enrol, as they call it (default: tcp://127.0.0.1:7311, this machine only)",
      "下级向本站登记的地址（默认 tcp://127.0.0.1:7311，仅限本机）"}},
};
static const char *const init_examples[] = {"sanji init /var/lib/sanji --unit 321081000000 --units units.csv --codebook codebook.yaml "
                                            "--listen tcp://10.20.0.5:7310 --join tcp://10.20.0.5:7311",
                                            NULL};

static enum error_code run_init(struct cli *cli, struct error *error)
{
    const char *dir = cli_argument(cli, 0), *unit, *units;
    enum error_code code = cli_need(cli, "unit", &unit, error);
    if (code == OK)
        code = cli_need(cli, "units", &units, error);
    if (code == OK)
        code = station_create_root(dir, unit, units, options_value(&cli->options, "codebook"), options_value(&cli->options, "listen"),
                                   options_value(&cli->options, "join"), error);
    if (code == OK)
        print_made(cli, dir, unit);
    return code;
}

const struct verb verb_init = {
    .name = "init",
    .purpose = {"make the first station of a tree", "建立单位树的首个站点"},
    .usage = "DIR --unit CODE --units FILE.csv [--codebook FILE] [--listen ADDRESS] [--join ADDRESS]",
    .about =
        {"Makes the root station in a new directory: its keys, the root record that every station below will pin, the unit tree and the\n"
         "codebook. All other stations are invited by the one above them, and join.",
         "在新目录中建立根站点：生成密钥、下级站点据以信任的根记录、单位树和编码本。\n其他站点均由上级邀请（invite）后加入（join）。"},
    .examples = init_examples,
    .options = init_options,
    .option_count = COUNT(init_options),
    .arguments_min = 1,
    .arguments_max = 1,
    .run = run_init,
};

// ---- join

static const struct option_spec join_options[] = {
    {"listen",
     0,
     OPTION_VALUE,
     "ADDRESS",
     {"where children link, if it has any: tcp://HOST:PORT", "下级连接的地址（如有下级）：tcp://主机:端口"}},
    {"join",
     0,
     OPTION_VALUE,
     "ADDRESS",
     {"where children enrol, if it has any: tcp://HOST:PORT", "下级登记的地址（如有下级）：tcp://主机:端口"}},
};
static const char *const join_examples[] = {
    "sanji join /var/lib/sanji sanji1-AAEC...",
    "sanji join /var/lib/sanji sanji1-AAEC... --listen tcp://10.20.1.5:7310 --join tcp://10.20.1.5:7311", NULL};

static enum error_code run_join(struct cli *cli, struct error *error)
{
    const char *dir = cli_argument(cli, 0), *token = cli_argument(cli, 1);
    struct buffer text = {0};
    enum error_code code = OK;
    if (strcmp(token, "-") == 0) {
        code = input_read(token, TOKEN_TEXT_MAX, &text, error);
        buffer_append(&text, "", 1);
        if (code == OK && text.failed)
            code = error_set(error, ERR_MEMORY, "%s", tr("no memory for a token", "内存不足，无法读取令牌"));
        token = (const char *)text.data;
    }
    if (code == OK)
        code = station_join(dir, token, options_value(&cli->options, "listen"), options_value(&cli->options, "join"), error);
    if (code == OK)
        print_made(cli, dir, NULL);
    if (text.data)
        crypto_wipe(text.data, text.capacity);
    buffer_finish(&text);
    return code;
}

const struct verb verb_join = {
    .name = "join",
    .purpose = {"make a station from an invitation", "凭邀请加入，建立站点"},
    .usage = "DIR TOKEN [--listen ADDRESS] [--join ADDRESS]",
    .about =
        {"Makes a station in a new directory and enrols it with the parent that the token names. The token works once; the same command\n"
         "may be repeated until it succeeds. With - it is read from stdin, so that no list of processes shows it.",
         "在新目录中建立站点，并向令牌所指的上级登记。令牌只能使用一次；\n同一命令可重复执行，直至成功。写作 - 时从标准输入读取令牌，"
         "以免出现在进程列表中。"},
    .examples = join_examples,
    .options = join_options,
    .option_count = COUNT(join_options),
    .arguments_min = 2,
    .arguments_max = 2,
    .run = run_join,
};

// ---- run

static const char *const run_examples[] = {"sanji run /var/lib/sanji", "SANJI_DIR=/var/lib/sanji sanji run", NULL};

static enum error_code run_run(struct cli *cli, struct error *error)
{
    return station_run(cli->options.argument_count ? cli_argument(cli, 0) : cli->dir, error);
}

const struct verb verb_run = {
    .name = "run",
    .purpose = {"run the node until SIGINT or SIGTERM", "运行节点，直至收到 SIGINT 或 SIGTERM"},
    .usage = "[DIR]",
    .about = {"Runs in the foreground: a service manager starts and stops it. All other verbs work beside it, and also without it.",
              "在前台运行，由服务管理器启停。节点运行与否，其他命令均可使用。"},
    .examples = run_examples,
    .arguments_max = 1,
    .run = run_run,
};

// ---- stop

static const char *const stop_examples[] = {"sanji stop", "sanji stop -d /var/lib/sanji", NULL};

static enum error_code run_stop(struct cli *cli, struct error *error)
{
    Sanji__StopRequest stop = SANJI__STOP_REQUEST__INIT;
    Sanji__Request request = SANJI__REQUEST__INIT;
    struct client_answer answer;
    request.request_case = SANJI__REQUEST__REQUEST_STOP;
    request.stop = &stop;
    enum error_code code = client_call_running(cli->dir, &request, SANJI__REPLY__REPLY_STOP, &answer, error);
    if (code != OK)
        return code;
    client_finish(&answer);
    if (cli->json)
        format_print(&cli->out, "{\"stopped\": true}\n");
    else
        format_print(&cli->out, "%s\n", tr("The node stops.", "节点正在停止。"));
    return OK;
}

const struct verb verb_stop = {
    .name = "stop",
    .purpose = {"stop the node that runs", "停止正在运行的节点"},
    .usage = "",
    .about = {"Asks the running node to finish what it is committing, and to end.", "请正在运行的节点完成当前提交后结束。"},
    .examples = stop_examples,
    .run = run_stop,
};
