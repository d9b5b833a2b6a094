// Civil dates and periods. A civil date is a day number since 1970-01-01 in the proleptic Gregorian calendar and has no time zone; the
// process's TZ is never read (T17). A month number is year * 12 + month - 1, a quarter year * 4 + quarter - 1, a year the year.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "relay/error.h"

struct civil {
    int year, month, day;
};

int32_t civil_days(struct civil date);
struct civil civil_from_days(int32_t days);
bool civil_valid(struct civil date);                   // 1900-01-01 .. 2199-12-31
bool civil_parse(const char *text, int32_t *ret_days); // exactly YYYY-MM-DD
void civil_format(int32_t days, char ret[11]);
// The civil date of an instant at a fixed offset from UTC.
int32_t civil_of_instant(uint64_t utc_ms, int offset_minutes);
void instant_format(uint64_t utc_ms, int offset_minutes, char ret[26]); // 2023-01-31T08:00:00+08:00
// Whole years from `a` to `b`; 29 February turns on 1 March. Negative when b < a.
int32_t civil_years(int32_t a, int32_t b);
int32_t civil_months(int32_t a, int32_t b);
int32_t civil_add_years(int32_t days, int32_t years); // 29 February + 1 year = 1 March
int32_t month_of_days(int32_t days);
int32_t month_first_day(int32_t month);
int32_t month_last_day(int32_t month);

// enum PeriodType of schema/record.proto, with NAMED left to the codebook.
struct period {
    uint32_t type;
    int32_t number;
};
// 2023-01, 2023-Q1 (also 2023Q1, 202301 as DHIS2 writes), 2023.
bool period_parse(const char *text, struct period *ret);
void period_format(struct period period, char ret[16]);
// First and last month of a month, quarter or year.
void period_months(struct period period, int32_t *ret_first, int32_t *ret_last);
// P or P..P, of one type, at most 1,200 periods. ERR_INPUT with the reason.
enum error_code period_range_parse(const char *text, struct period *ret_first, struct period *ret_last, struct error *error);
