#include "node/cli/table.h"

#include <assert.h>

#include "node/utf8.h"

static bool unsafe(uint32_t code)
{
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x061C || (code >= 0x200B && code <= 0x200F) ||
           (code >= 0x2028 && code <= 0x202E) || (code >= 0x2060 && code <= 0x2069) || code == 0xFEFF || code == 0xFFFD;
}

void table_safe(struct buffer *out, const char *text)
{
    size_t n;
    for (const char *p = text; *p; p += n) {
        uint32_t code = utf8_decode(p, &n);
        if (unsafe(code))
            buffer_append(out, "\xEF\xBF\xBD", 3);
        else
            buffer_append(out, p, n);
    }
}

static void add(struct text_table *table, const char *text)
{
    table_safe(&table->cells, text);
    buffer_append(&table->cells, "", 1);
}

void table_column(struct text_table *table, const char *heading, enum table_align align)
{
    assert(table->columns < TABLE_COLUMNS_MAX && table->cell_count == 0);
    table->align[table->columns++] = align;
    add(table, heading);
}

void table_cell(struct text_table *table, const char *text)
{
    table->cell_count++;
    add(table, text);
}

static void spaces(struct buffer *out, size_t count)
{
    for (; count > 0; count--)
        buffer_append(out, " ", 1);
}

static void print_row(const struct text_table *table, const size_t *widths, const char **cell, struct buffer *out)
{
    for (uint32_t i = 0; i < table->columns; i++) {
        size_t pad = widths[i] - utf8_width(*cell);
        bool last = i + 1 == table->columns;
        spaces(out, i ? 2 : 0);
        spaces(out, table->align[i] == TABLE_RIGHT ? pad : 0);
        buffer_append(out, *cell, strlen(*cell));
        spaces(out, table->align[i] == TABLE_LEFT && !last ? pad : 0);
        *cell += strlen(*cell) + 1;
    }
}

void table_print(const struct text_table *table, bool colour, struct buffer *out)
{
    if (table->cells.failed) {
        out->failed = true;
        return;
    }
    assert(table->columns > 0 && table->cell_count % table->columns == 0);
    size_t widths[TABLE_COLUMNS_MAX] = {0};
    const char *cell = (const char *)table->cells.data;
    uint32_t rows = table->cell_count / table->columns;
    for (uint32_t i = 0; i < table->columns + table->cell_count; i++) {
        size_t width = utf8_width(cell);
        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
        cell += strlen(cell) + 1;
    }
    cell = (const char *)table->cells.data;
    buffer_append(out, "\x1B[1m", colour ? 4 : 0);
    print_row(table, widths, &cell, out);
    buffer_append(out, "\x1B[0m", colour ? 4 : 0);
    buffer_append(out, "\n", 1);
    for (uint32_t i = 0; i < rows; i++) {
        print_row(table, widths, &cell, out);
        buffer_append(out, "\n", 1);
    }
}

void table_finish(struct text_table *table)
{
    buffer_finish(&table->cells);
    *table = (struct text_table){0};
}
