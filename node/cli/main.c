// sanji: dispatch over one table of verbs, help, and exit codes: 0 fine, 1 failed, 2 wrong use.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/cli/cli.h"
#include "node/scrub.h"

static enum error_code run_version(struct cli *cli, struct error *error);

static const char *const version_examples[] = {"sanji version", "sanji version --json", NULL};
static const struct verb verb_version = {
    .name = "version",
    .purpose = {"print the version", "显示版本"},
    .usage = "",
    .about = {"Prints the version of this program.", "显示本程序的版本。"},
    .examples = version_examples,
    .run = run_version,
};

static const struct verb *const verbs[] = {
    &verb_init,     &verb_join,    &verb_run,    &verb_stop,    &verb_invite,  &verb_status,   &verb_units,
    &verb_forms,    &verb_record,  &verb_import, &verb_figures, &verb_prove,   &verb_receipts, &verb_verify,
    &verb_codebook, &verb_recover, &verb_scrub,  &verb_rebuild, &verb_version,
};
enum { VERBS = sizeof verbs / sizeof *verbs };

static const struct option_spec common_options[] = {
    {"dir",
     'd',
     OPTION_VALUE,
     "DIR",
     {"the station's directory (default: $SANJI_DIR, or /var/lib/sanji)", "站点目录（默认取 $SANJI_DIR，否则为 /var/lib/sanji）"}},
    {"json", 0, OPTION_SWITCH, NULL, {"print JSON", "以 JSON 输出"}},
    {"help", 'h', OPTION_SWITCH, NULL, {"print this page", "显示本页"}},
};

static enum error_code run_version(struct cli *cli, struct error *error)
{
    (void)error;
    if (cli->json) {
        struct json_writer json = json_writer(&cli->out, true);
        json_open_map(&json, NULL);
        json_put_text(&json, "version", SANJI_VERSION);
        json_close(&json);
    } else {
        format_print(&cli->out, "sanji %s\n", SANJI_VERSION);
    }
    return OK;
}

// ---- help

static void print_overview(struct buffer *out)
{
    format_print(out, "%s\n\n", tr("sanji - links the stations of village, township and county", "sanji 三级 —— 连通村、乡镇、县三级站点"));
    format_print(out, "%s\n  sanji VERB [OPTION...]\n  sanji VERB --help\n\n%s\n", tr("Usage:", "用法："), tr("Verbs:", "命令："));
    for (size_t i = 0; i < VERBS; i++)
        format_print(out, "  %-10s %s\n", verbs[i]->name, text_of(verbs[i]->purpose));
    format_print(out, "\n%s\n", tr("Every verb takes:", "各命令通用选项："));
    struct options common = {0};
    options_add(&common, common_options, sizeof common_options / sizeof *common_options);
    options_print(&common, out);
    format_print(out, "\n%s\n",
                 tr("Messages are Chinese when LANG begins with zh. Exit codes: 0 fine, 1 failed, 2 wrong use.",
                    "LANG 以 zh 开头时使用中文。退出码：0 正常，1 失败，2 用法有误。"));
}

static void print_help(const struct verb *verb, const struct options *options, struct buffer *out)
{
    format_print(out, "sanji %s - %s\n\n%s\n  sanji %s%s%s\n\n%s\n\n%s\n", verb->name, text_of(verb->purpose), tr("Usage:", "用法："),
                 verb->name, *verb->usage ? " " : "", verb->usage, text_of(verb->about), tr("Options:", "选项："));
    options_print(options, out);
    format_print(out, "\n%s\n", tr("Examples:", "示例："));
    for (const char *const *example = verb->examples; *example; example++)
        format_print(out, "  %s\n", *example);
}

// ---- one run

static int flush(struct buffer *out, int code)
{
    if (out->failed || fwrite(out->data ? out->data : (const void *)"", 1, out->size, stdout) != out->size || fflush(stdout) != 0) {
        if (errno == EPIPE && !out->failed)
            return code; // the reader has seen enough
        fprintf(stderr, "sanji: %s\n",
                out->failed ? tr("no memory for the answer", "内存不足，无法输出") : tr("the output cannot be written", "无法写出结果"));
        code = code ? code : 1;
    }
    return code;
}

static int fail(struct cli *cli, const struct error *error)
{
    if (cli->json && cli->out.size == 0) {
        struct json_writer json = json_writer(&cli->out, true);
        json_open_map(&json, NULL);
        json_open_map(&json, "error");
        json_put_text(&json, "code", error_name(error->code));
        json_put_text(&json, "message", error->detail);
        json_put_text(&json, "action", error_action(error->code));
        json_close(&json);
        json_close(&json);
    }
    struct buffer text = {0};
    table_safe(&text, *error->detail ? error->detail : error_text(error->code));
    buffer_append(&text, "", 1);
    fprintf(stderr, "sanji: %s\n", text.failed ? error_text(error->code) : (const char *)text.data);
    if (error->code == ERR_USAGE && cli->verb)
        fprintf(stderr, tr("see sanji %s --help\n", "见 sanji %s --help\n"), cli->verb->name);
    else
        fprintf(stderr, "%s\n", error_action(error->code));
    buffer_finish(&text);
    return error->code == ERR_USAGE ? 2 : 1;
}

static enum error_code check_count(const struct cli *cli, struct error *error)
{
    uint32_t count = cli->options.argument_count;
    if (count < cli->verb->arguments_min)
        return error_set(error, ERR_USAGE, tr("something is missing: sanji %s %s", "缺少参数：sanji %s %s"), cli->verb->name,
                         cli->verb->usage);
    if (count > cli->verb->arguments_max)
        return error_set(error, ERR_USAGE, tr("unexpected: %.200s", "多余的参数：%.200s"),
                         cli->options.arguments[cli->verb->arguments_max]);
    return OK;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    struct cli cli = {.verb = verb};
    struct error error = {0};
    options_add(&cli.options, common_options, sizeof common_options / sizeof *common_options);
    options_add(&cli.options, verb->options, verb->option_count);
    enum error_code code = options_parse(&cli.options, argc, argv, &error);
    int exit_code = 0;
    if (code == OK && options_given(&cli.options, "help")) {
        print_help(verb, &cli.options, &cli.out);
    } else {
        const char *environment = getenv("SANJI_DIR"), *colours = getenv("NO_COLOR"), *terminal = getenv("TERM");
        cli.dir = options_value(&cli.options, "dir");
        if (!cli.dir)
            cli.dir = environment && *environment ? environment : "/var/lib/sanji";
        cli.json = options_given(&cli.options, "json");
        cli.colour = isatty(STDOUT_FILENO) && !(colours && *colours) && !(terminal && strcmp(terminal, "dumb") == 0);
        if (code == OK)
            code = check_count(&cli, &error);
        if (code == OK)
            code = verb->run(&cli, &error);
        if (code != OK)
            exit_code = fail(&cli, &error);
    }
    exit_code = flush(&cli.out, exit_code);
    buffer_finish(&cli.out);
    return exit_code;
}

static const struct verb *find_verb(const char *name)
{
    for (size_t i = 0; i < VERBS; i++)
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    return NULL;
}

static int unknown_verb(const char *given)
{
    const char *names[VERBS];
    struct buffer safe = {0};
    if (*given == '-') {
        fprintf(stderr, "%s\n", tr("sanji: the verb comes first: sanji VERB [OPTION...]", "sanji：命令在前：sanji VERB [OPTION...]"));
        return 2;
    }
    table_safe(&safe, given);
    buffer_append(&safe, "", 1);
    const char *name = safe.failed ? "" : (const char *)safe.data;
    for (size_t i = 0; i < VERBS; i++)
        names[i] = verbs[i]->name;
    const char *near = options_nearest(name, names, VERBS);
    if (near)
        fprintf(stderr, tr("sanji: unknown verb %s; did you mean %s?\n", "sanji：未知命令 %s；是否想用 %s？\n"), name, near);
    else
        fprintf(stderr, tr("sanji: unknown verb %s; see sanji --help\n", "sanji：未知命令 %s；见 sanji --help\n"), name);
    buffer_finish(&safe);
    return 2;
}

int main(int argc, char **argv)
{
    scrub_use_program("/proc/self/exe");
    signal(SIGPIPE, SIG_IGN); // a reader that ends early is an error of a write, not a death
    language_set(language_from_environment());
    const char *name = argc > 1 ? argv[1] : "--help";
    if (strcmp(name, "help") == 0 && argc > 2) {
        if (!find_verb(argv[2]))
            return unknown_verb(argv[2]);
        char help[] = "--help", *arguments[] = {help};
        return run_verb(find_verb(argv[2]), 1, arguments);
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        struct buffer out = {0};
        print_overview(&out);
        int code = flush(&out, argc > 1 ? 0 : 2);
        buffer_finish(&out);
        return code;
    }
    if (strcmp(name, "--version") == 0)
        return run_verb(&verb_version, 0, argv);
    const struct verb *verb = find_verb(name);
    return verb ? run_verb(verb, argc - 2, argv + 2) : unknown_verb(name);
}
