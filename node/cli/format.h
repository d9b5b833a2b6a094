// Numbers, times and sizes as people read them, in the thread's language. No floating point.
#pragma once
#include "relay/bytes.h"
#include "relay/error.h"

enum format_kind {
    FORMAT_COUNT, // 1,234
    FORMAT_MONEY, // fen as yuan: 12,345.67
    FORMAT_RATIO, // scaled by 10^4, as percent: 98.76 %
};
enum { FORMAT_MAX = 48 };

// How the values of an indicator are shown: by its `kind` and `count` (schema/control.proto).
enum format_kind format_kind_of(const char *kind, const char *count);
void format_value(int64_t value, enum format_kind kind, char ret[FORMAT_MAX]);
void format_number(uint64_t number, char ret[FORMAT_MAX]);
void format_bytes(uint64_t bytes, char ret[FORMAT_MAX]);                  // 1.5 MiB
void format_duration(uint64_t ms, char ret[FORMAT_MAX]);                  // 3 d 4 h, 12 min, 5 s
void format_ago(uint64_t now_ms, uint64_t then_ms, char ret[FORMAT_MAX]); // 12 min ago; 0: never; the future: now
// With its offset, +08:00, so it can't be misread: 2023-01-31 08:00:00 +08:00. 0: never.
void format_instant(uint64_t utc_ms, char ret[FORMAT_MAX]);
uint64_t format_now_ms(void); // the machine's clock, UTC

// "90s", "45m", "12h", "7d", "2w" to milliseconds. ERR_USAGE.
enum error_code format_parse_duration(const char *text, uint64_t *ret_ms, struct error *error);

// printf into a buffer.
void format_print(struct buffer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
