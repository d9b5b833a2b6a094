#include "node/period.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "node/utf8.h"
#include "record.pb-c.h"
#include "relay/language.h"

enum {
    YEAR_FIRST = 1900,
    YEAR_LAST = 2199,
    RANGE_MAX = 1200, // periods: a century of months, and a table that still fits in memory
    DAY_MS = 24 * 60 * 60 * 1000,
    OFFSET_MAX_MINUTES = 24 * 60,
};

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static int32_t clamp(int64_t value) { return value < INT32_MIN ? INT32_MIN : value > INT32_MAX ? INT32_MAX : (int32_t)value; }

static bool leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

static int month_length(int year, int month)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && leap(year) ? 29 : lengths[month - 1];
}

// ---- dates. Years begin on 1 March here, so that a leap day is the last of its year: then the days before a month are a straight line
// (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").

int32_t civil_days(struct civil date)
{
    int64_t year = (int64_t)date.year - (date.month <= 2);
    int64_t era = floor_div(year, 400), of_era = year - era * 400;
    int64_t of_year = (153 * (int64_t)(date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    return clamp(era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468);
}

struct civil civil_from_days(int32_t days)
{
    int64_t z = (int64_t)days + 719468, era = floor_div(z, 146097), day = z - era * 146097;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / 365;
    int64_t of_year = day - (365 * year + year / 4 - year / 100), month = (5 * of_year + 2) / 153;
    struct civil date = {.month = (int)(month < 10 ? month + 3 : month - 9), .day = (int)(of_year - (153 * month + 2) / 5 + 1)};
    date.year = (int)(year + era * 400 + (date.month <= 2));
    return date;
}

bool civil_valid(struct civil date)
{
    return date.year >= YEAR_FIRST && date.year <= YEAR_LAST && date.month >= 1 && date.month <= 12 && date.day >= 1 &&
           date.day <= month_length(date.year, date.month);
}

// Exactly `count` digits; -1: not.
static int digits(const char *text, int count)
{
    int value = 0;
    for (int i = 0; i < count; i++) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value = value * 10 + (text[i] - '0');
    }
    return value;
}

bool civil_parse(const char *text, int32_t *ret_days)
{
    if (strlen(text) != 10 || text[4] != '-' || text[7] != '-')
        return false;
    struct civil date = {digits(text, 4), digits(text + 5, 2), digits(text + 8, 2)};
    if (!civil_valid(date))
        return false;
    *ret_days = civil_days(date);
    return true;
}

// Years that have no four digits are shown as the nearest that have.
void civil_format(int32_t days, char ret[11])
{
    struct civil date = civil_from_days(days);
    if (date.year < 0)
        date = (struct civil){0, 1, 1};
    else if (date.year > 9999)
        date = (struct civil){9999, 12, 31};
    snprintf(ret, 11, "%04u-%02u-%02u", (unsigned)date.year % 10000, (unsigned)date.month % 100, (unsigned)date.day % 100);
}

static int64_t local_ms(uint64_t utc_ms, int offset_minutes)
{
    assert(offset_minutes > -OFFSET_MAX_MINUTES && offset_minutes < OFFSET_MAX_MINUTES);
    static const uint64_t max_ms = UINT64_C(253402214400000); // 9999-12-31T00:00Z
    return (int64_t)(utc_ms < max_ms ? utc_ms : max_ms) + (int64_t)offset_minutes * 60000;
}

int32_t civil_of_instant(uint64_t utc_ms, int offset_minutes) { return clamp(floor_div(local_ms(utc_ms, offset_minutes), DAY_MS)); }

void instant_format(uint64_t utc_ms, int offset_minutes, char ret[26])
{
    int64_t local = local_ms(utc_ms, offset_minutes), day = floor_div(local, DAY_MS);
    unsigned seconds = (unsigned)((local - day * DAY_MS) / 1000),
             offset = (unsigned)(offset_minutes < 0 ? -offset_minutes : offset_minutes);
    char date[11];
    civil_format((int32_t)day, date);
    snprintf(ret, 26, "%sT%02u:%02u:%02u%c%02u:%02u", date, seconds / 3600 % 100, seconds / 60 % 60, seconds % 60,
             offset_minutes < 0 ? '-' : '+', offset / 60 % 100, offset % 60);
}

int32_t civil_months(int32_t a, int32_t b)
{
    if (b < a)
        return -civil_months(b, a);
    struct civil from = civil_from_days(a), to = civil_from_days(b);
    return (to.year - from.year) * 12 + (to.month - from.month) - (to.day < from.day);
}

int32_t civil_years(int32_t a, int32_t b) { return civil_months(a, b) / 12; }

int32_t civil_add_years(int32_t days, int32_t years)
{
    struct civil date = civil_from_days(days);
    int64_t year = (int64_t)date.year + years;
    date.year = (int)(year < -5000000 ? -5000000 : year > 5000000 ? 5000000 : year); // beyond any day number's 32 bits nothing is exact
    if (date.month == 2 && date.day == 29 && !leap(date.year))
        date = (struct civil){date.year, 3, 1};
    return civil_days(date);
}

int32_t month_of_days(int32_t days)
{
    struct civil date = civil_from_days(days);
    return date.year * 12 + date.month - 1;
}

int32_t month_first_day(int32_t month)
{
    int32_t year = (int32_t)floor_div(month, 12);
    return civil_days((struct civil){year, (int)(month - (int64_t)year * 12) + 1, 1});
}

int32_t month_last_day(int32_t month)
{
    int32_t year = (int32_t)floor_div(month, 12);
    int of_year = (int)(month - (int64_t)year * 12) + 1;
    return civil_days((struct civil){year, of_year, month_length(year, of_year)});
}

// ---- periods

enum { MONTH = SANJI__PERIOD_TYPE__MONTH, QUARTER = SANJI__PERIOD_TYPE__QUARTER, YEAR = SANJI__PERIOD_TYPE__YEAR };

static bool parse(const char *text, size_t size, struct period *ret)
{
    int year = size >= 4 ? digits(text, 4) : -1;
    if (year < YEAR_FIRST || year > YEAR_LAST)
        return false;
    const char *rest = text + 4;
    size -= 4;
    if (size == 0) {
        *ret = (struct period){YEAR, year};
        return true;
    }
    if (*rest == '-') {
        rest++;
        size--;
    }
    if (size != 2)
        return false;
    bool quarter = rest[0] == 'Q';
    int number = quarter ? digits(rest + 1, 1) : digits(rest, 2);
    if (number < 1 || number > (quarter ? 4 : 12))
        return false;
    *ret = quarter ? (struct period){QUARTER, year * 4 + number - 1} : (struct period){MONTH, year * 12 + number - 1};
    return true;
}

bool period_parse(const char *text, struct period *ret) { return parse(text, strlen(text), ret); }

void period_format(struct period period, char ret[16])
{
    int parts = period.type == MONTH ? 12 : period.type == QUARTER ? 4 : 1;
    int year = (int)floor_div(period.number, parts), part = (int)(period.number - (int64_t)year * parts) + 1;
    if (period.type == MONTH)
        snprintf(ret, 16, "%04d-%02u", year, (unsigned)part % 13u);
    else if (period.type == QUARTER)
        snprintf(ret, 16, "%04d-Q%u", year, (unsigned)part % 5u);
    else
        snprintf(ret, 16, "%04d", year);
}

void period_months(struct period period, int32_t *ret_first, int32_t *ret_last)
{
    int32_t months = period.type == YEAR ? 12 : period.type == QUARTER ? 3 : 1;
    *ret_first = clamp((int64_t)period.number * months);
    *ret_last = clamp((int64_t)period.number * months + months - 1);
}

enum error_code period_range_parse(const char *text, struct period *ret_first, struct period *ret_last, struct error *error)
{
    const char *dots = strstr(text, "..");
    size_t size = dots ? (size_t)(dots - text) : strlen(text);
    const char *end = dots ? dots + 2 : text;
    struct period first, last;
    if (!parse(text, size, &first))
        return error_set(error, ERR_INPUT,
                         tr("%.*s: not a period; write 2023, 2023-Q1 or 2023-01", "%.*s：不是有效的期间；请写作 2023、2023-Q1 或 2023-01"),
                         (int)utf8_cut(text, size < 40 ? size : 40), text);
    if (!parse(end, dots ? strlen(end) : size, &last))
        return error_set(error, ERR_INPUT,
                         tr("%.*s: not a period; write 2023, 2023-Q1 or 2023-01", "%.*s：不是有效的期间；请写作 2023、2023-Q1 或 2023-01"),
                         (int)utf8_cut(end, 40), end);
    if (first.type != last.type)
        return error_set(error, ERR_INPUT, tr("%.*s: both ends must be months, quarters or years alike", "%.*s：起止期间须同为月、季或年"),
                         (int)utf8_cut(text, 40), text);
    if (last.number < first.number)
        return error_set(error, ERR_INPUT, tr("%.*s: it ends before it begins", "%.*s：结束早于开始"), (int)utf8_cut(text, 40), text);
    if (last.number - first.number >= RANGE_MAX)
        return error_set(error, ERR_INPUT, tr("%.*s: more than %d periods", "%.*s：超过 %d 个期间"), (int)utf8_cut(text, 40), text,
                         RANGE_MAX);
    *ret_first = first;
    *ret_last = last;
    return OK;
}
