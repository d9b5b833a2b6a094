// A pulse of the process's own work: beats each time it has used so much processor time, and never while it does nothing. For limits
// on what others make this process do: bytes can't come into its memory without its work, so who looks at each beat has seen all but what
// one beat's work can bring, and an idle process is not woken for that.
#pragma once
#include <stdbool.h>

struct pulse;
// `beat` runs on a thread of its own, after every `work_ms` of processor time of all the process's threads together; it must be short.
// NULL: no memory, or no thread or timer to be had.
struct pulse *pulse_start(unsigned work_ms, void (*beat)(void *context), void *context);
void pulse_stop(struct pulse *pulse); // takes NULL; no beat runs any more when it returns
