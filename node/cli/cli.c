#include "node/cli/cli.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "node/utf8.h"

const char *cli_argument(const struct cli *cli, uint32_t n)
{
    assert(n < cli->options.argument_count);
    return cli->options.arguments[n];
}

enum error_code cli_need(const struct cli *cli, const char *option, const char **ret, struct error *error)
{
    const char *value = options_value(&cli->options, option);
    if (!value)
        return error_set(error, ERR_USAGE, tr("--%s is missing: sanji %s %s", "缺少 --%s：sanji %s %s"), option, cli->verb->name,
                         cli->verb->usage);
    *ret = value;
    return OK;
}

void cli_heading(struct cli *cli, const char *text) { format_print(&cli->out, cli->colour ? "\n\x1B[1m%s\x1B[0m\n" : "\n%s\n", text); }

void cli_line(struct cli *cli, const char *label, const char *format, ...)
{
    enum { WIDTH = 14 };
    char value[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(value, sizeof value, format, args);
    va_end(args);
    size_t width = utf8_width(label);
    format_print(&cli->out, "%s%*s", label, width < WIDTH ? (int)(WIDTH - width) : 1, "");
    table_safe(&cli->out, value);
    format_print(&cli->out, "\n");
}
