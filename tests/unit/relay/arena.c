#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "relay/arena.h"

static void memory_is_aligned_and_apart(void **state)
{
    (void)state;
    struct arena arena = {0};
    unsigned char *places[200];
    for (size_t i = 0; i < 200; i++) {
        places[i] = arena_alloc(&arena, i * 37 % 1000 + 1);
        assert_non_null(places[i]);
        assert_int_equal((uintptr_t)places[i] % 16, 0);
        memset(places[i], (int)i, i * 37 % 1000 + 1);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t at = 0; at < i * 37 % 1000 + 1; at++)
            assert_int_equal(places[i][at], (unsigned char)i);
    arena_finish(&arena);
    assert_int_equal(arena.used, 0);
}

static void the_limit_holds(void **state)
{
    (void)state;
    struct arena arena = {.limit = 100000};
    size_t got = 0;
    while (arena_alloc(&arena, 1000))
        got += 1000;
    assert_true(got > 90000 && got < 100000);
    assert_true(arena.used <= arena.limit);
    assert_false(arena.failed); // over the limit is not out of memory
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc(&arena, SIZE_MAX - 20));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 1000));
    arena_finish(&arena);
    struct arena tiny = {.limit = 8};
    assert_null(arena_alloc(&tiny, 1));
    arena_finish(&tiny);
}

static void the_default_limit_is_16_mib(void **state)
{
    (void)state;
    struct arena arena = {0};
    assert_null(arena_alloc(&arena, ARENA_LIMIT_DEFAULT));
    assert_non_null(arena_alloc(&arena, ARENA_LIMIT_DEFAULT / 2));
    assert_null(arena_alloc(&arena, ARENA_LIMIT_DEFAULT / 2));
    arena_finish(&arena);
}

static void a_reset_keeps_one_block_of_bounded_size(void **state)
{
    (void)state;
    struct arena arena = {0};
    void *first = arena_alloc(&arena, 100);
    arena_reset(&arena);
    assert_ptr_equal(arena_alloc(&arena, 100), first);
    assert_non_null(arena_alloc(&arena, 8 * 1024 * 1024));
    arena_reset(&arena);
    assert_true(arena.used > 0 && arena.used <= 1024 * 1024 + 64);
    arena_finish(&arena);
    arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_aligned_and_apart),
        cmocka_unit_test(the_limit_holds),
        cmocka_unit_test(the_default_limit_is_16_mib),
        cmocka_unit_test(a_reset_keeps_one_block_of_bounded_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
