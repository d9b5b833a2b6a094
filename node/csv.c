#include "node/csv.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/utf8.h"
#include "relay/language.h"

enum error_code csv_init(struct csv *csv, struct bytes text, const char *name, struct error *error)
{
    *csv = (struct csv){.text = text, .next_line = 1};
    memcpy(csv->name, name, utf8_cut(name, sizeof csv->name - 1));
    if (text.size >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0)
        csv->at = 3;
    csv->cells = malloc(CSV_ROW_MAX + CSV_FIELDS_MAX);
    csv->starts = malloc(CSV_FIELDS_MAX * sizeof *csv->starts);
    csv->columns = malloc(CSV_FIELDS_MAX * sizeof *csv->columns);
    if (csv->cells && csv->starts && csv->columns)
        return OK;
    csv_finish(csv);
    return error_set(error, ERR_MEMORY, tr("%s: no memory to read it", "%s：内存不足，无法读取"), name);
}

void csv_finish(struct csv *csv)
{
    free(csv->cells);
    free(csv->starts);
    free(csv->columns);
    free(csv->header);
    free(csv->header_starts);
    *csv = (struct csv){0};
}

// The scan of one row.
struct scan {
    struct csv *csv;
    struct error *error;
    const uint8_t *p;
    size_t size, at, begin;
    uint32_t line, column; // of `at`
    uint32_t used;         // of cells
};

static bool stop(struct scan *scan, enum error_code code, uint32_t line, uint32_t column, const char *why)
{
    scan->csv->code = error_set(scan->error, code, "%s:%" PRIu32 ":%" PRIu32 ": %s", scan->csv->name, line, column, why);
    return false;
}

// Copies one character, checked. False: it may not stand in a CSV file.
static bool take(struct scan *scan)
{
    const uint8_t *p = scan->p + scan->at;
    size_t n = utf8_size(p, scan->size - scan->at);
    if (n == 0)
        return stop(scan, ERR_INPUT, scan->line, scan->column,
                    tr("not UTF-8: save the file as UTF-8", "不是 UTF-8 编码：请将文件另存为 UTF-8"));
    if (*p == 0)
        return stop(scan, ERR_INPUT, scan->line, scan->column, tr("a NUL byte in the text", "文本中有 NUL 字节"));
    if (scan->at + n - scan->begin > CSV_ROW_MAX)
        return stop(scan, ERR_LIMIT, scan->csv->line, 1,
                    tr("the row is longer than 64 KiB: is a quote missing?", "该行超过 64 KiB：是否缺少引号？"));
    memcpy(scan->csv->cells + scan->used, p, n);
    scan->used += (uint32_t)n;
    scan->at += n;
    scan->column++;
    if (*p == '\n') {
        scan->line++;
        scan->column = 1;
    }
    return true;
}

// 0: none here; else the bytes of the line break at `at`.
static size_t line_break(const struct scan *scan)
{
    if (scan->p[scan->at] == '\n')
        return 1;
    return scan->p[scan->at] == '\r' && scan->at + 1 < scan->size && scan->p[scan->at + 1] == '\n' ? 2 : 0;
}

static bool field_ends(const struct scan *scan) { return scan->at >= scan->size || scan->p[scan->at] == ',' || line_break(scan) != 0; }

static bool quoted_field(struct scan *scan)
{
    uint32_t line = scan->line, column = scan->column;
    scan->at++;
    scan->column++;
    for (;;) {
        if (scan->at >= scan->size)
            return stop(scan, ERR_INPUT, line, column, tr("this quote is never closed", "此引号没有配对的结束引号"));
        if (scan->p[scan->at] == '"') {
            if (scan->at + 1 >= scan->size || scan->p[scan->at + 1] != '"')
                break;
            scan->at++; // the first of a doubled quote
        }
        if (!take(scan))
            return false;
    }
    scan->at++;
    scan->column++;
    if (!field_ends(scan))
        return stop(
            scan, ERR_INPUT, scan->line, scan->column,
            tr("text after the closing quote; a quote inside quotes is written twice", "结束引号之后还有文字；引号内的引号须写两次"));
    return true;
}

static bool plain_field(struct scan *scan)
{
    while (!field_ends(scan)) {
        if (scan->p[scan->at] == '"')
            return stop(scan, ERR_INPUT, scan->line, scan->column,
                        tr("a quote inside a field that does not begin with one", "字段不以引号开头，中间却有引号"));
        if (scan->p[scan->at] == '\r')
            return stop(scan, ERR_INPUT, scan->line, scan->column, tr("a carriage return without a line feed", "回车符后没有换行符"));
        if (!take(scan))
            return false;
    }
    return true;
}

static bool check_count(struct scan *scan)
{
    struct csv *csv = scan->csv;
    if (csv->wanted == 0)
        csv->wanted = csv->count;
    if (csv->count == csv->wanted)
        return true;
    char why[160];
    if (csv->count == 1 && csv->cells[0] == 0)
        snprintf(why, sizeof why, "%s", tr("an empty line", "空行"));
    else
        snprintf(why, sizeof why,
                 tr("%" PRIu32 " fields, but the first row has %" PRIu32, "有 %" PRIu32 " 个字段，而首行有 %" PRIu32 " 个"), csv->count,
                 csv->wanted);
    return stop(scan, ERR_INPUT, csv->line, 1, why);
}

bool csv_next(struct csv *csv, struct error *error)
{
    if (csv->code != OK || csv->at >= csv->text.size)
        return false;
    struct scan scan = {.csv = csv,
                        .error = error,
                        .p = csv->text.data,
                        .size = csv->text.size,
                        .at = csv->at,
                        .begin = csv->at,
                        .line = csv->next_line,
                        .column = 1};
    csv->line = csv->next_line;
    csv->count = 0;
    for (;;) {
        if (csv->count == CSV_FIELDS_MAX)
            return stop(&scan, ERR_LIMIT, scan.line, scan.column, tr("more than 256 fields in a row", "一行超过 256 个字段"));
        csv->starts[csv->count] = scan.used;
        csv->columns[csv->count] = scan.column;
        csv->count++;
        bool quoted = scan.at < scan.size && scan.p[scan.at] == '"';
        if (!(quoted ? quoted_field(&scan) : plain_field(&scan)))
            return false;
        csv->cells[scan.used++] = 0;
        if (scan.at >= scan.size || scan.p[scan.at] != ',')
            break;
        scan.at++;
        scan.column++;
    }
    if (!check_count(&scan))
        return false;
    if (scan.at < scan.size)
        scan.at += line_break(&scan);
    csv->at = scan.at;
    csv->next_line = scan.line + 1;
    return true;
}

const char *csv_text(const struct csv *csv, uint32_t field) { return csv->cells + csv->starts[field]; }

enum error_code csv_header(struct csv *csv, struct error *error)
{
    if (!csv_next(csv, error))
        return csv->code != OK
                   ? csv->code
                   : error_set(error, ERR_INPUT,
                               tr("%s:1:1: the file is empty; a row of column names is needed", "%s:1:1: 文件为空；需要一行列名"),
                               csv->name);
    for (uint32_t i = 0; i < csv->count; i++) {
        if (*csv_text(csv, i) == 0)
            return csv->code = error_set(error, ERR_INPUT, tr("%s:1:%" PRIu32 ": a column without a name", "%s:1:%" PRIu32 ": 列名为空"),
                                         csv->name, csv->columns[i]);
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(csv_text(csv, i), csv_text(csv, j)) == 0)
                return csv->code =
                           error_set(error, ERR_INPUT, tr("%s:1:%" PRIu32 ": column %s is there twice", "%s:1:%" PRIu32 ": 列 %s 重复"),
                                     csv->name, csv->columns[i], csv_text(csv, i));
    }
    size_t size = csv->starts[csv->count - 1] + strlen(csv_text(csv, csv->count - 1)) + 1;
    csv->header = malloc(size);
    csv->header_starts = malloc(csv->count * sizeof *csv->header_starts);
    if (!csv->header || !csv->header_starts)
        return csv->code = error_set(error, ERR_MEMORY, tr("%s: no memory to read it", "%s：内存不足，无法读取"), csv->name);
    memcpy(csv->header, csv->cells, size);
    memcpy(csv->header_starts, csv->starts, csv->count * sizeof *csv->starts);
    return OK;
}

const char *csv_column_name(const struct csv *csv, uint32_t field) { return csv->header + csv->header_starts[field]; }

int csv_column(const struct csv *csv, const char *name)
{
    for (uint32_t i = 0; i < csv->wanted; i++)
        if (strcmp(csv_column_name(csv, i), name) == 0)
            return (int)i;
    return -1;
}

enum error_code csv_fail(const struct csv *csv, uint32_t field, enum error_code code, struct error *error, const char *format, ...)
{
    char why[400];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    if (field >= csv->count)
        return error_set(error, code, "%s:%" PRIu32 ": %s", csv->name, csv->line, why);
    return error_set(error, code, "%s:%" PRIu32 ":%" PRIu32 ": %s%s%s", csv->name, csv->line, csv->columns[field],
                     csv->header ? csv_column_name(csv, field) : "", csv->header ? ": " : "", why);
}

// ---- writing

static bool plain_number(const char *text)
{
    const char *p = text + (*text == '-');
    size_t digits = strspn(p, "0123456789");
    if (digits == 0)
        return false;
    p += digits;
    if (*p == '.') {
        digits = strspn(p + 1, "0123456789");
        if (digits == 0)
            return false;
        p += 1 + digits;
    }
    return *p == 0;
}

static bool runs_as_formula(const char *text)
{
    static const char *const wide[] = {"＝", "＋", "－", "＠"};
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (strncmp(text, wide[i], strlen(wide[i])) == 0)
            return true;
    return *text && strchr("=+-@\t\r\n", *text) && !plain_number(text);
}

static void begin_cell(struct csv_writer *writer)
{
    if (writer->begun)
        buffer_append(writer->out, ",", 1);
    writer->begun = true;
}

void csv_put(struct csv_writer *writer, const char *text)
{
    begin_cell(writer);
    bool formula = runs_as_formula(text);
    if (!formula && !strpbrk(text, ",\"\r\n")) {
        buffer_append(writer->out, text, strlen(text));
        return;
    }
    buffer_append(writer->out, "\"'", formula ? 2 : 1);
    for (const char *p = text; *p; p++) {
        if (*p == '"')
            buffer_append(writer->out, "\"", 1);
        buffer_append(writer->out, p, 1);
    }
    buffer_append(writer->out, "\"", 1);
}

void csv_put_number(struct csv_writer *writer, int64_t number)
{
    char text[24];
    begin_cell(writer);
    int n = snprintf(text, sizeof text, "%" PRId64, number);
    buffer_append(writer->out, text, (size_t)n);
}

void csv_end(struct csv_writer *writer)
{
    buffer_append(writer->out, "\r\n", 2);
    writer->begun = false;
}
