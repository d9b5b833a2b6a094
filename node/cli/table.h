// Tables on a terminal: columns aligned by what a terminal shows (a Chinese character is two columns wide).
#pragma once
#include "relay/bytes.h"

enum { TABLE_COLUMNS_MAX = 16 };

enum table_align { TABLE_LEFT, TABLE_RIGHT };

// Begins zeroed. Memory that runs out shows in cells.failed, and table_print() then prints nothing but sets out->failed.
struct text_table {
    struct buffer cells; // text, NUL, text, NUL ...: headings first
    enum table_align align[TABLE_COLUMNS_MAX];
    uint32_t columns;
    uint32_t cell_count; // without the headings
};

// Headings come before the first cell.
void table_column(struct text_table *table, const char *heading, enum table_align align);
// The next cell, left to right, row by row. Control characters and direction marks, which would let a name rewrite the screen, become
// U+FFFD.
void table_cell(struct text_table *table, const char *text);
// Appends the table; asserts that the last row is complete. `colour`: headings in bold.
void table_print(const struct text_table *table, bool colour, struct buffer *out);
void table_finish(struct text_table *table);

// Appends text made safe for a terminal, as table_cell() does.
void table_safe(struct buffer *out, const char *text);
