#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/cli/progress.h"

static void text_is(uint64_t done, uint64_t total, const char *want)
{
    char text[64];
    progress_text(done, total, text);
    assert_string_equal(text, want);
}

static void bars(void **state)
{
    (void)state;
    text_is(0, 10, "[------------------------------]   0 %");
    text_is(5, 10, "[###############---------------]  50 %");
    text_is(10, 10, "[##############################] 100 %");
    text_is(11, 10, "[##############################] 100 %"); // more was found than was expected
    text_is(1234, 0, "1234");
    text_is(UINT64_MAX / 2, UINT64_MAX, "[##############----------------]  49 %");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bars)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
