#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/finding.h"

#include <string.h>

static void says_what_where_and_why(void **state)
{
    (void)state;
    struct finding finding = {0};
    assert_false(finding_set(&finding, ERR_INPUT, "birth", "lies after %d", 2023));
    assert_int_equal(finding.code, ERR_INPUT);
    assert_string_equal(finding.field, "birth");
    assert_string_equal(finding.text, "lies after 2023");
}

static void cuts_at_a_character(void **state)
{
    (void)state;
    struct finding finding = {0};
    char text[600];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 0, sizeof text);
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "童", 3);
        finding_set(&finding, ERR_INPUT, "a_very_long_field_name_that_does_not_fit_anywhere", "%s", text);
        size_t size = strlen(finding.text);
        assert_true(size >= sizeof finding.text - 4 && size < sizeof finding.text);
        assert_memory_equal(finding.text + size - 3, "童", 3);
        assert_int_equal(strlen(finding.field), sizeof finding.field - 1);
    }
}

static void keeps_what_just_fits(void **state)
{
    (void)state;
    struct finding finding = {0};
    char text[sizeof finding.text];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = 0;
    finding_set(&finding, ERR_LIMIT, "", "%s", text);
    assert_string_equal(finding.text, text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(says_what_where_and_why), cmocka_unit_test(cuts_at_a_character),
                                       cmocka_unit_test(keeps_what_just_fits)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
