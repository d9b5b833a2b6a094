// A bar on stderr for what takes longer than a second; nothing when stderr is no terminal.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct progress {
    int64_t begun_ms, shown_ms; // monotonic
    bool terminal, shown;
};

struct progress progress_begin(void);
// `context` is a struct progress, so that this can stand where a progress callback is wanted. `total` 0: not known.
void progress_show(void *context, uint64_t done, uint64_t total);
void progress_end(struct progress *progress); // wipes the bar
// The bar itself: "[#####-----]  50 %", or the count when the total is not known.
void progress_text(uint64_t done, uint64_t total, char ret[64]);
