#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/cli/table.h"

static void print_is(const struct text_table *table, bool colour, const char *want)
{
    struct buffer out = {0};
    table_print(table, colour, &out);
    buffer_append(&out, "", 1);
    assert_string_equal((char *)out.data, want);
    buffer_finish(&out);
}

static void aligned_by_what_a_terminal_shows(void **state)
{
    (void)state;
    struct text_table table = {0};
    table_column(&table, "名称", TABLE_LEFT);
    table_column(&table, "n", TABLE_RIGHT);
    table_column(&table, "last", TABLE_LEFT);
    static const char *const cells[] = {"真州镇", "7", "x", "ab", "1,234", ""};
    for (int i = 0; i < 6; i++)
        table_cell(&table, cells[i]);
    print_is(&table, false,
             "名称        n  last\n"
             "真州镇      7  x\n"
             "ab      1,234  \n");
    print_is(&table, true,
             "\x1B[1m名称        n  last\x1B[0m\n"
             "真州镇      7  x\n"
             "ab      1,234  \n");
    table_finish(&table);
    table_finish(&table);
}

static void headings_alone(void **state)
{
    (void)state;
    struct text_table table = {0};
    table_column(&table, "a", TABLE_RIGHT);
    table_column(&table, "b", TABLE_LEFT);
    print_is(&table, false, "a  b\n");
    table_finish(&table);
}

// A unit's name comes over the network: it must not move the cursor, change colours or reverse the text.
static void names_cannot_rewrite_the_screen(void **state)
{
    (void)state;
    struct text_table table = {0};
    table_column(&table, "n", TABLE_LEFT);
    table_cell(&table, "\x1B[2Ja\nb\t\x7F");
    table_cell(&table, "x\xC2\x9By\xE2\x80\xAEz"); // C1 control, right-to-left override
    table_cell(&table, "bad\xFF");
    print_is(&table, false,
             "n\n"
             "\xEF\xBF\xBD[2Ja\xEF\xBF\xBD"
             "b\xEF\xBF\xBD\xEF\xBF\xBD\n"
             "x\xEF\xBF\xBDy\xEF\xBF\xBDz\n"
             "bad\xEF\xBF\xBD\n");
    table_finish(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(aligned_by_what_a_terminal_shows), cmocka_unit_test(headings_alone),
                                       cmocka_unit_test(names_cannot_rewrite_the_screen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
