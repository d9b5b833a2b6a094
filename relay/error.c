#include "relay/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "relay/language.h"

static void fill(struct error *error, enum error_code code, const char *format, va_list args)
{
    error->code = code;
    int n = vsnprintf(error->detail, sizeof error->detail, format, args);
    if (n < 0)
        error->detail[0] = 0;
    if (n >= (int)sizeof error->detail) {
        size_t end = sizeof error->detail - 1;
        while (end > 0 && ((unsigned char)error->detail[end - 1] & 0xC0) == 0x80)
            end--;
        if (end > 0)
            error->detail[end - 1] = 0;
    }
}

enum error_code error_set(struct error *error, enum error_code code, const char *format, ...)
{
    if (error) {
        va_list args;
        va_start(args, format);
        fill(error, code, format, args);
        va_end(args);
    }
    return code;
}

enum error_code error_set_errno(struct error *error, enum error_code code, const char *format, ...)
{
    if (error) {
        const char *why = strerror(errno);
        va_list args;
        va_start(args, format);
        fill(error, code, format, args);
        va_end(args);
        size_t size = strlen(error->detail);
        snprintf(error->detail + size, sizeof error->detail - size, ": %s", why);
    }
    return code;
}

static const struct {
    const char *name, *en, *zh, *do_en, *do_zh;
} errors[ERROR_COUNT] = {[OK] = {"OK", "done", "完成", "nothing", "无"},
#define X(name, en, zh, do_en, do_zh) [name] = {#name, en, zh, do_en, do_zh},
                         ERROR_LIST(X)
#undef X
};

static enum error_code known(enum error_code code) { return code < ERROR_COUNT ? code : ERR_STATE; }

const char *error_name(enum error_code code) { return errors[known(code)].name; }

const char *error_text(enum error_code code) { return tr(errors[known(code)].en, errors[known(code)].zh); }

const char *error_action(enum error_code code) { return tr(errors[known(code)].do_en, errors[known(code)].do_zh); }
