#include "node/cli/format.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "node/period.h"
#include "relay/language.h"

enum { OFFSET_MINUTES = 8 * 60 }; // China has one; times are shown with it, so nobody elsewhere can misread them

enum format_kind format_kind_of(const char *kind, const char *count)
{
    if (strcmp(kind, "ratio") == 0)
        return FORMAT_RATIO;
    return strcmp(count, "元") == 0 ? FORMAT_MONEY : FORMAT_COUNT;
}

// Digits in threes.
static void grouped(const char *sign, uint64_t number, const char *rest, char ret[FORMAT_MAX])
{
    char digits[24], text[32];
    int size = snprintf(digits, sizeof digits, "%" PRIu64, number), to = 0;
    for (int i = 0; i < size; i++) {
        if (i && (size - i) % 3 == 0)
            text[to++] = ',';
        text[to++] = digits[i];
    }
    text[to] = 0;
    snprintf(ret, FORMAT_MAX, "%s%s%s", sign, text, rest);
}

void format_number(uint64_t number, char ret[FORMAT_MAX]) { grouped("", number, "", ret); }

void format_value(int64_t value, enum format_kind kind, char ret[FORMAT_MAX])
{
    uint64_t size = value < 0 ? -(uint64_t)value : (uint64_t)value;
    char rest[12] = "";
    if (kind != FORMAT_COUNT) {
        snprintf(rest, sizeof rest, ".%02u%s", (unsigned)(size % 100), kind == FORMAT_RATIO ? " %" : "");
        size /= 100;
    }
    grouped(value < 0 ? "-" : "", size, rest, ret);
}

void format_bytes(uint64_t bytes, char ret[FORMAT_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    uint64_t tenths = bytes;
    if (bytes >= 1024) {
        uint64_t divisor = 1024;
        for (unit = 1; unit < 4 && bytes / divisor >= 1024; unit++)
            divisor *= 1024;
        tenths = bytes / divisor * 10 + bytes % divisor * 10 / divisor;
        snprintf(ret, FORMAT_MAX, "%" PRIu64 ".%u %s", tenths / 10, (unsigned)(tenths % 10), units[unit]);
        return;
    }
    snprintf(ret, FORMAT_MAX, "%" PRIu64 " B", bytes);
}

void format_duration(uint64_t ms, char ret[FORMAT_MAX])
{
    uint64_t seconds = ms / 1000, minutes = seconds / 60, hours = minutes / 60;
    if (hours >= 24)
        snprintf(ret, FORMAT_MAX, tr("%" PRIu64 " d %" PRIu64 " h", "%" PRIu64 " 天 %" PRIu64 " 小时"), hours / 24, hours % 24);
    else if (minutes >= 60)
        snprintf(ret, FORMAT_MAX, tr("%" PRIu64 " h %" PRIu64 " min", "%" PRIu64 " 小时 %" PRIu64 " 分"), hours, minutes % 60);
    else if (seconds >= 60)
        snprintf(ret, FORMAT_MAX, tr("%" PRIu64 " min", "%" PRIu64 " 分钟"), minutes);
    else
        snprintf(ret, FORMAT_MAX, tr("%" PRIu64 " s", "%" PRIu64 " 秒"), seconds);
}

void format_ago(uint64_t now_ms, uint64_t then_ms, char ret[FORMAT_MAX])
{
    if (then_ms == 0) {
        snprintf(ret, FORMAT_MAX, "%s", tr("never", "从未"));
    } else if (then_ms + 1000 > now_ms) {
        snprintf(ret, FORMAT_MAX, "%s", tr("now", "刚刚"));
    } else {
        char span[FORMAT_MAX];
        format_duration(now_ms - then_ms, span);
        snprintf(ret, FORMAT_MAX, tr("%.40s ago", "%.40s前"), span);
    }
}

void format_instant(uint64_t utc_ms, char ret[FORMAT_MAX])
{
    if (utc_ms == 0) {
        snprintf(ret, FORMAT_MAX, "%s", tr("never", "从未"));
        return;
    }
    char text[26];
    instant_format(utc_ms, OFFSET_MINUTES, text);
    snprintf(ret, FORMAT_MAX, "%.10s %.8s %s", text, text + 11, text + 19);
}

uint64_t format_now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

enum error_code format_parse_duration(const char *text, uint64_t *ret_ms, struct error *error)
{
    static const struct {
        char letter;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000}};
    uint64_t number = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && number < 1000000; p++)
        number = number * 10 + (uint64_t)(*p - '0');
    for (size_t i = 0; p > text && i < sizeof units / sizeof *units; i++)
        if (p[0] == units[i].letter && p[1] == 0) {
            *ret_ms = number * units[i].ms;
            return OK;
        }
    return error_set(error, ERR_USAGE,
                     tr("%s: not a duration; write 90s, 45m, 12h, 7d or 2w", "%s：不是有效的时长；请写作 90s、45m、12h、7d 或 2w"), text);
}

void format_print(struct buffer *out, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int size = vsnprintf(NULL, 0, format, args);
    uint8_t *place = size >= 0 ? buffer_extend(out, (size_t)size + 1) : NULL;
    if (place) {
        vsnprintf((char *)place, (size_t)size + 1, format, again);
        out->size--; // the NUL
    }
    va_end(again);
    va_end(args);
}
