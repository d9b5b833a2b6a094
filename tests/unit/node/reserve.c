#include "node/reserve.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/directory.h"

static long long held(const char *directory)
{
    char path[300];
    struct stat status;
    snprintf(path, sizeof path, "%s/reserve", directory);
    return stat(path, &status) == 0 ? (long long)status.st_blocks * 512 : -1;
}

static void fault_7_room_is_kept_and_given_back(void **state)
{
    const char *directory = *state;
    assert_false(reserve_release(directory));
    for (int i = 0; i < 2; i++) {
        reserve_hold(directory);
        assert_true(held(directory) >= RESERVE_BYTES); // really taken, not only named
    }
    assert_true(reserve_release(directory));
    assert_int_equal(held(directory), -1);
    assert_false(reserve_release(directory));
    reserve_hold("/nowhere/at/all");
    assert_false(reserve_release("/nowhere/at/all"));
}

static void fault_7_what_room_there_is_is_kept(void **state)
{
    const char *directory = *state;
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){.rlim_cur = RESERVE_BYTES / 4 + 1000, .rlim_max = old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    reserve_hold(directory);
    assert_in_range(held(directory), RESERVE_BYTES / 4, RESERVE_BYTES / 2);
    assert_true(reserve_release(directory));
    small.rlim_cur = RESERVE_BYTES_MIN - 1;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    reserve_hold(directory);
    assert_int_equal(held(directory), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
}

static int make(void **state)
{
    *state = directory_make();
    return *state ? 0 : -1;
}

static int remove_it(void **state)
{
    directory_remove(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(fault_7_room_is_kept_and_given_back, make, remove_it),
        cmocka_unit_test_setup_teardown(fault_7_what_room_there_is_is_kept, make, remove_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
