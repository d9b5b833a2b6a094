// What every fuzz target offers: libFuzzer calls it with bytes it made up, replay.c with those of the committed corpus.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// A property that must hold for whatever passed the decoder; ends the process when it does not.
#define MUST(condition) ((condition) ? (void)0 : must(#condition, __FILE__, __LINE__))
static inline _Noreturn void must(const char *condition, const char *file, int line)
{
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, condition);
    abort();
}
