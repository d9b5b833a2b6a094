// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "relay/core/admission.h"

static void lends_until_the_pool_is_out(void **unused)
{
    (void)unused;
    struct admission admission;
    admission_init(&admission, 10 * ADMISSION_MIN + 5);
    for (int i = 0; i < 10; i++) {
        assert_true(admission_has_room(&admission));
        assert_int_equal(admission_open(&admission), ADMISSION_MIN);
    }
    assert_false(admission_has_room(&admission));
    assert_int_equal(admission_open(&admission), 0);
    assert_int_equal(admission_shrink(&admission, ADMISSION_MIN, 0), 0);
    assert_int_equal(admission_open(&admission), ADMISSION_MIN);
    assert_true(admission.given <= admission.pool);
}

static void a_tiny_pool_serves_one(void **unused)
{
    (void)unused;
    struct admission admission;
    admission_init(&admission, 0);
    assert_int_equal(admission_open(&admission), ADMISSION_MIN);
    assert_int_equal(admission_open(&admission), 0);
}

static void grows_by_use_and_leaves_room(void **unused)
{
    (void)unused;
    struct admission admission;
    admission_init(&admission, 64 * 1024 * 1024);
    uint32_t credit = admission_open(&admission), before = 0;
    while (credit != before) {
        before = credit;
        credit = admission_grow(&admission, credit);
        assert_true(credit <= 2 * before);
        assert_int_equal(admission.given, credit);
    }
    assert_int_equal(credit, ADMISSION_MAX);
    assert_int_equal(admission_shrink(&admission, credit, ADMISSION_MIN), ADMISSION_MIN);
    assert_int_equal(admission.given, ADMISSION_MIN);

    admission_init(&admission, 3 * ADMISSION_MIN); // a small pool: one can't take what others need
    credit = admission_open(&admission);
    for (int i = 0; i < 100; i++)
        credit = admission_grow(&admission, credit);
    assert_true(credit < 3 * ADMISSION_MIN);
    assert_int_equal(admission.given, credit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lends_until_the_pool_is_out),
        cmocka_unit_test(a_tiny_pool_serves_one),
        cmocka_unit_test(grows_by_use_and_leaves_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
