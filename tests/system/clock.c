// Loaded before a station's program (LD_PRELOAD): its wall clock goes CLOCK_DAYS days wrong, or lies in another season. Timers stay right.
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long result = syscall(SYS_clock_gettime, clock, now);
    const char *days = getenv("CLOCK_DAYS");
    if (result == 0 && clock == CLOCK_REALTIME && days)
        now->tv_sec += strtol(days, NULL, 10) * 24 * 3600;
    return (int)result;
}
