#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/bytes.h"

static void a_buffer_grows_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    uint8_t pattern[1000];
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i * 7);
    for (int i = 0; i < 100; i++)
        buffer_append(&buffer, pattern, sizeof pattern);
    assert_false(buffer.failed);
    assert_int_equal(buffer.size, 100000);
    assert_true(buffer.capacity >= buffer.size);
    for (size_t i = 0; i < 100; i++)
        assert_memory_equal(buffer.data + i * 1000, pattern, sizeof pattern);
    uint8_t *place = buffer_extend(&buffer, 10);
    assert_ptr_equal(place, buffer.data + 100000);
    assert_int_equal(buffer.size, 100010);
    buffer_finish(&buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer.capacity, 0);
}

static void nothing_can_be_appended(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    buffer_append(&buffer, NULL, 0);
    assert_false(buffer.failed);
    assert_int_equal(buffer.size, 0);
    assert_true(bytes_equal(buffer_bytes(&buffer), bytes_of(NULL, 0)));
    buffer_finish(&buffer);
}

static void clear_keeps_the_memory(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    buffer_append(&buffer, "abc", 3);
    uint8_t *data = buffer.data;
    buffer_clear(&buffer);
    assert_int_equal(buffer.size, 0);
    buffer_append(&buffer, "de", 2);
    assert_ptr_equal(buffer.data, data);
    assert_true(bytes_equal(buffer_bytes(&buffer), bytes_of_text("de")));
    buffer_finish(&buffer);
}

static void fault_13_an_impossible_size_fails_and_stays_failed(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    buffer_append(&buffer, "abc", 3);
    assert_null(buffer_extend(&buffer, SIZE_MAX));
    assert_true(buffer.failed);
    assert_int_equal(buffer.size, 3);
    buffer_append(&buffer, "d", 1); // sticky
    assert_int_equal(buffer.size, 3);
    assert_null(buffer_extend(&buffer, 1));
    buffer_clear(&buffer);
    assert_false(buffer.failed);
    buffer_append(&buffer, "d", 1);
    assert_int_equal(buffer.size, 1);
    buffer_finish(&buffer);
}

static void spans_compare_by_content(void **state)
{
    (void)state;
    assert_true(bytes_equal(bytes_of_text("abc"), bytes_of("abc", 3)));
    assert_false(bytes_equal(bytes_of_text("abc"), bytes_of_text("abd")));
    assert_false(bytes_equal(bytes_of_text("abc"), bytes_of_text("ab")));
    assert_true(bytes_equal(bytes_of_text(NULL), bytes_of("x", 0)));
}

static void integers_sort_as_bytes(void **state)
{
    (void)state;
    static const int32_t order[] = {INT32_MIN, -70000, -1, 0, 1, 255, 256, 70000, INT32_MAX};
    uint8_t previous[4] = {0}, key[8];
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        put_be32_signed(key, order[i]);
        assert_int_equal(get_be32_signed(key), order[i]);
        if (i)
            assert_true(memcmp(previous, key, 4) < 0);
        memcpy(previous, key, 4);
    }
    put_be64(key, 0x0102030405060708);
    assert_memory_equal(key, "\1\2\3\4\5\6\7\10", 8);
    assert_int_equal(get_be64(key), 0x0102030405060708);
    put_be16(key, 0xFEDC);
    assert_int_equal(get_be16(key), 0xFEDC);
}

static void nothing_has_a_place_too(void **state)
{
    (void)state;
    struct buffer buffer = {0};
    assert_non_null(buffer_extend(&buffer, 0));
    assert_true(buffer.size == 0 && !buffer.failed);
    buffer_finish(&buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_grows_and_keeps_what_it_has),
        cmocka_unit_test(nothing_can_be_appended),
        cmocka_unit_test(clear_keeps_the_memory),
        cmocka_unit_test(fault_13_an_impossible_size_fails_and_stays_failed),
        cmocka_unit_test(spans_compare_by_content),
        cmocka_unit_test(integers_sort_as_bytes),
        cmocka_unit_test(nothing_has_a_place_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
