#include "relay/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void a_line_is_found_until_its_connection_goes(void **state)
{
    (void)state;
    struct lines lines = {0};
    uint32_t ids[] = {0xFFFFFFFF, 0, LINES_BUCKETS, 2 * LINES_BUCKETS, 7}; // three of one bucket
    for (int i = 0; i < 5; i++) {
        assert_null(lines_find(&lines, ids[i]));
        struct line *line = lines_add(&lines, ids[i], 10 + i / 2);
        assert_ptr_equal(lines_find(&lines, ids[i]), line);
        repeats_keep(&line->in, bytes_of("message", 7));
    }
    assert_int_equal(lines.count, 5);
    lines_went(&lines, 11);
    lines_went(&lines, 11);
    assert_null(lines_find(&lines, LINES_BUCKETS));
    assert_null(lines_find(&lines, 2 * LINES_BUCKETS));
    assert_non_null(lines_find(&lines, 0));
    assert_int_equal(lines.count, 3);
    lines_finish(&lines);
    assert_int_equal(lines.count, 0);
    assert_null(lines_find(&lines, 7));
}

static void fault_51_there_is_an_end_to_them(void **state)
{
    (void)state;
    struct lines lines = {0};
    for (uint32_t id = 0; id < LINES_MAX; id++)
        assert_non_null(lines_add(&lines, id, (int)id));
    assert_null(lines_add(&lines, LINES_MAX, 1));
    lines_went(&lines, 1);
    assert_non_null(lines_add(&lines, LINES_MAX, 1));
    lines_finish(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_found_until_its_connection_goes),
        cmocka_unit_test(fault_51_there_is_an_end_to_them),
    };
    return cmocka_run_group_tests_name("relay/lines", tests, NULL, NULL);
}
