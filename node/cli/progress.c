#include "node/cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    QUIET_MS = 1000, // before the first bar
    REDRAW_MS = 100,
    WIDTH = 30,
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct progress progress_begin(void) { return (struct progress){.begun_ms = now_ms(), .terminal = isatty(STDERR_FILENO)}; }

void progress_text(uint64_t done, uint64_t total, char ret[64])
{
    if (total == 0) {
        snprintf(ret, 64, "%" PRIu64, done);
        return;
    }
    uint64_t unit = total > UINT64_MAX / 100 ? 128 : 1; // keeps the product below in 64 bits
    uint64_t percent = done >= total ? 100 : done / unit * 100 / (total / unit);
    char bar[WIDTH + 1];
    uint64_t full = percent * WIDTH / 100;
    memset(bar, '-', WIDTH);
    memset(bar, '#', full);
    bar[WIDTH] = 0;
    snprintf(ret, 64, "[%s] %3u %%", bar, (unsigned)percent);
}

void progress_show(void *context, uint64_t done, uint64_t total)
{
    struct progress *progress = context;
    int64_t now = now_ms();
    if (!progress->terminal || now - progress->begun_ms < QUIET_MS || (progress->shown && now - progress->shown_ms < REDRAW_MS))
        return;
    char text[64];
    progress_text(done, total, text);
    fprintf(stderr, "\r%s", text);
    fflush(stderr);
    progress->shown = true;
    progress->shown_ms = now;
}

void progress_end(struct progress *progress)
{
    if (!progress->shown)
        return;
    fprintf(stderr, "\r%*s\r", 64, "");
    fflush(stderr);
    progress->shown = false;
}
