#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/text.h"

struct sample {
    struct bytes text;
    bool valid, plain;
};
#define SAMPLE(text, valid, plain)                                                                                                         \
    {                                                                                                                                      \
        {(const uint8_t *)(text), sizeof(text) - 1}, valid, plain                                                                          \
    }

static const struct sample samples[] = {
    SAMPLE("", true, true),
    SAMPLE("321081100201", true, true),
    SAMPLE("仪征市 ü 😀", true, true),
    SAMPLE("\xF4\x8F\xBF\xBF", true, true), // U+10FFFF
    SAMPLE("\xED\x9F\xBF", true, true),     // U+D7FF, last before the surrogates
    SAMPLE("\xEE\x80\x80", true, true),     // U+E000, first behind them
    SAMPLE("a\tb", true, false),            // control characters
    SAMPLE("a\nb", true, false),
    SAMPLE("\x7F", true, false),
    SAMPLE("\xC2\x80", true, false), // C1
    SAMPLE("a\xE2\x80\xAE"
           "b",
           true, false),                 // right-to-left override
    SAMPLE("\xE2\x81\xA6", true, false), // left-to-right isolate
    SAMPLE("\xE2\x80\x8F", true, false), // right-to-left mark
    SAMPLE("\xD8\x9C", true, false),     // Arabic letter mark
    SAMPLE("\xE2\x80\xA8", true, false), // line separator
    SAMPLE("\xEF\xBB\xBF", true, false), // byte order mark
    SAMPLE("a\0b", false, false),        // NUL
    SAMPLE("\0", false, false),
    SAMPLE("\x80", false, false),             // continuation alone
    SAMPLE("\xC0\x80", false, false),         // over-long NUL
    SAMPLE("\xC1\xBF", false, false),         // over-long
    SAMPLE("\xE0\x9F\xBF", false, false),     // over-long
    SAMPLE("\xF0\x8F\xBF\xBF", false, false), // over-long
    SAMPLE("\xED\xA0\x80", false, false),     // surrogate
    SAMPLE("\xED\xBF\xBF", false, false),     // surrogate
    SAMPLE("\xF4\x90\x80\x80", false, false), // above U+10FFFF
    SAMPLE("\xF8\x88\x80\x80\x80", false, false),
    SAMPLE("\xFF", false, false),
    SAMPLE("\xE4\xBB", false, false), // cut short
    SAMPLE("\xE4", false, false),
    SAMPLE("\xE4\x41\x41", false, false), // no continuation
    SAMPLE("\xF0\x9F\x98", false, false),
};

static void fault_47_text_is_judged(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        if (text_valid(samples[i].text) != samples[i].valid || text_plain(samples[i].text) != samples[i].plain)
            fail_msg("sample %zu is judged wrongly", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fault_47_text_is_judged)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
