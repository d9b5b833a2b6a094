// CSV as RFC 4180 has it, read strictly, written safely. UTF-8 with or without a byte order mark; CRLF or LF; one kind of quote.
//
// The reader streams: one row at a time out of bytes that the caller holds; memory is one row, whatever the file's size. Everything that
// could be meant in two ways is an error with its place ("file.csv:12:7: ..."; columns count characters, from 1): a quote that never
// closes, text after a closing quote, a quote inside an unquoted field, another number of fields than the first row has, an empty
// line (unless rows have one field), NUL, a lone CR, bytes that are not UTF-8, a row over CSV_ROW_MAX, over CSV_FIELDS_MAX fields.
#pragma once
#include "relay/bytes.h"
#include "relay/error.h"

enum {
    CSV_ROW_MAX = 64 * 1024, // bytes of one row: a lost quote must not swallow the file
    CSV_FIELDS_MAX = 256,    // a record form has at most 64 fields; figures have fewer columns
};

// Caller's memory; all members but `line`, `count` and `code` are private.
struct csv {
    struct bytes text;
    size_t at; // offset of the next row
    uint32_t next_line;
    uint32_t line;        // where the current row begins, from 1
    uint32_t count;       // fields of the current row
    uint32_t wanted;      // fields of every row; 0: not known yet
    enum error_code code; // OK, or why csv_next() stopped
    char name[128];
    char *cells;       // CSV_ROW_MAX + CSV_FIELDS_MAX bytes: the row, unquoted, NUL after each field
    uint32_t *starts;  // CSV_FIELDS_MAX
    uint32_t *columns; // CSV_FIELDS_MAX: where each field begins in its line, for messages
    char *header;      // as `cells`, of csv_header()
    uint32_t *header_starts;
};

// `text` must outlive the reader; `name` is the file's name for messages (cut at 127 bytes). ERR_MEMORY.
enum error_code csv_init(struct csv *csv, struct bytes text, const char *name, struct error *error);
void csv_finish(struct csv *csv); // also after a failed csv_init(), and twice

// The next row. False at the end, and on an error, which stays in csv->code (ERR_INPUT, ERR_LIMIT).
bool csv_next(struct csv *csv, struct error *error);
// Field of the current row: UTF-8 without NUL, lives until the next row. `field` < csv->count.
const char *csv_text(const struct csv *csv, uint32_t field);

// Reads the first row as names of columns: not empty, no two alike. ERR_INPUT also when there is no row at all.
enum error_code csv_header(struct csv *csv, struct error *error);
int csv_column(const struct csv *csv, const char *name);            // after csv_header(); -1: no such column
const char *csv_column_name(const struct csv *csv, uint32_t field); // after csv_header()
// For what the caller finds wrong with a field: "file.csv:12:7: column: ..." in front of the message. Returns `code`. `field` may be
// csv->count or more: then the message is about the whole row.
enum error_code csv_fail(const struct csv *csv, uint32_t field, enum error_code code, struct error *error, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

// ---- writing: rows end with CRLF. Appends to `out`; out of memory shows in out->failed.
struct csv_writer {
    struct buffer *out;
    bool begun; // the row has a field
};
// Quotes where needed. Text that a spreadsheet would run as a formula (it begins with = + - @ TAB CR LF, or a full-width = + - @) gets
// an apostrophe in front and quotes around (OWASP, "CSV Injection"); plain negative numbers ("-12", "-0.5") are left alone.
void csv_put(struct csv_writer *writer, const char *text);
void csv_put_number(struct csv_writer *writer, int64_t number);
void csv_end(struct csv_writer *writer);
