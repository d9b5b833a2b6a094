#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/utf8.h"

static void sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t size;
    } cases[] = {
        {"a", 1},
        {"\xC2\x80", 2},
        {"中", 3},
        {"\xF0\x9F\x98\x80", 4},
        {"\xC0\x80", 0},
        {"\xC1\xBF", 0},
        {"\xE0\x9F\xBF", 0},
        {"\xED\xA0\x80", 0},
        {"\xF0\x8F\xBF\xBF", 0},
        {"\xF4\x90\x80\x80", 0},
        {"\xF5\x80\x80\x80", 0},
        {"\x80", 0},
        {"\xE4\xB8", 0},
        {"\xE4\xB8\x41", 0},
        {"\xFF", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(utf8_size((const uint8_t *)cases[i].text, strlen(cases[i].text)), cases[i].size);
}

static void decodes(void **state)
{
    (void)state;
    size_t n;
    assert_int_equal(utf8_decode("é", &n), 0xE9);
    assert_int_equal(n, 2);
    assert_int_equal(utf8_decode("三", &n), 0x4E09);
    assert_int_equal(n, 3);
    assert_int_equal(utf8_decode("\xF0\x9F\x98\x80", &n), 0x1F600);
    assert_int_equal(utf8_decode("\xE4\xB8", &n), 0xFFFD);
    assert_int_equal(n, 1);
}

static void widths(void **state)
{
    (void)state;
    assert_int_equal(utf8_width(""), 0);
    assert_int_equal(utf8_width("abc"), 3);
    assert_int_equal(utf8_width("真州镇"), 6);
    assert_int_equal(utf8_width("（人次）"), 8);
    assert_int_equal(utf8_width("e\xCC\x81"), 1); // e and a combining accent
    assert_int_equal(utf8_width("ﾊ"), 1);         // half-width katakana
    assert_int_equal(utf8_width("한"), 2);
    assert_int_equal(utf8_width("\xF0\xA0\x80\x80"), 2); // CJK extension B
    assert_int_equal(utf8_width("é"), 1);
}

static void cuts(void **state)
{
    (void)state;
    assert_int_equal(utf8_cut("真州", 6), 6);
    assert_int_equal(utf8_cut("真州", 5), 3);
    assert_int_equal(utf8_cut("真州", 2), 0);
    assert_int_equal(utf8_cut("ab", 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sizes), cmocka_unit_test(decodes), cmocka_unit_test(widths),
                                       cmocka_unit_test(cuts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
