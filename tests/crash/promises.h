// What a recorded station promised, and when: read from what it printed, answered and sent.
#pragma once
#include "tests/crash/judge.h"
#include "tests/crash/log.h"

enum { PROMISES_MAX = 4096 };
// Only one station's: its processes are those that a note of the driver names ("process PID NAME"), and commands on its directory, which
// stand between "begin NAME WHAT" and "end NAME". Returns how many; aborts over PROMISES_MAX.
size_t promises_gather(const struct event_head *const *events, size_t count, const char *name, struct promise *ret);
