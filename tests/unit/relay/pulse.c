#include "relay/pulse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

enum { WORK_MS = 10 };

struct heart {
    atomic_uint beats;
};

static void on_beat(void *context) { atomic_fetch_add(&((struct heart *)context)->beats, 1); }

static uint64_t worked_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void work_beats_and_idleness_does_not(void **unused)
{
    (void)unused;
    struct heart heart = {0};
    uint64_t began = worked_ms();
    struct pulse *pulse = pulse_start(WORK_MS, on_beat, &heart);
    assert_non_null(pulse);
    while (atomic_load(&heart.beats) < 3) // ends by the beats alone
        ;
    pulse_stop(pulse);
    unsigned beats = atomic_load(&heart.beats); // before the work is read, that they can be no more than it is worth
    assert_true(beats <= (worked_ms() - began) / WORK_MS);
}

static void it_ends_whatever_was_worked(void **unused)
{
    (void)unused;
    struct heart heart = {0};
    for (int i = 0; i < 20; i++) {
        struct pulse *pulse = pulse_start(i % 2 ? 1 : 1000000, on_beat, &heart);
        assert_non_null(pulse);
        pulse_stop(pulse);
    }
    pulse_stop(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_beats_and_idleness_does_not),
        cmocka_unit_test(it_ends_whatever_was_worked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
