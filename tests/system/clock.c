// Loaded before a station's program (LD_PRELOAD): its wall clock goes CLOCK_DAYS days wrong, or lies in another season. Of several numbers
// ("0,400,-400") the next one holds each second. Timers stay right.
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long days_now(const char *days)
{
    struct timespec now;
    long count = 1;
    for (const char *at = days; (at = strchr(at, ',')); at++)
        count++;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    for (long skip = now.tv_sec % count; skip > 0; skip--)
        days = strchr(days, ',') + 1;
    return strtol(days, NULL, 10);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    long result = syscall(SYS_clock_gettime, clock, now);
    const char *days = getenv("CLOCK_DAYS");
    if (result == 0 && clock == CLOCK_REALTIME && days)
        now->tv_sec += days_now(days) * 24 * 3600;
    return (int)result;
}
