// The marker while the node runs. It says how far the journal had come, so that a copy taken in mid-run and put back later is known for
// one. What was signed after the last marker is not covered by it: then only the parent can tell (relay/incarnation.h).
#include <stdlib.h>
#include <time.h>

#include "node/station_inside.h"

enum {
    KEEP_SECONDS = 60, // a marker a minute costs nothing, and a copy younger than that is rarely put back
    KEEP_ROWS = 10000, // in a burst sooner: a file written for some seconds of commits
    KEEP_STACK = 256 * 1024,
};

struct keeper {
    struct station *station;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t end, marked; // of the journal: now, and in the marker
    bool stopping;
};

static struct timespec in_seconds(time_t seconds)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += seconds;
    return at;
}

static bool before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

static void *keep(void *argument)
{
    struct keeper *keeper = argument;
    struct timespec due = in_seconds(KEEP_SECONDS);
    pthread_mutex_lock(&keeper->mutex);
    while (!keeper->stopping) {
        struct timespec now = in_seconds(0);
        bool grew = keeper->end > keeper->marked, much = keeper->end >= keeper->marked + KEEP_ROWS;
        if (!grew) {
            pthread_cond_wait(&keeper->changed, &keeper->mutex);
            continue;
        }
        if (!much && before(&now, &due)) {
            pthread_cond_timedwait(&keeper->changed, &keeper->mutex, &due);
            continue;
        }
        keeper->marked = keeper->end;
        pthread_mutex_unlock(&keeper->mutex);
        station_mark(keeper->station, false, NULL); // no room: the one before stands, and it is tried again
        due = in_seconds(KEEP_SECONDS);
        pthread_mutex_lock(&keeper->mutex);
    }
    pthread_mutex_unlock(&keeper->mutex);
    return NULL;
}

static void finish(struct keeper *keeper)
{
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->mutex);
    free(keeper);
}

enum error_code keeper_start(struct station *station, struct error *error)
{
    struct keeper *keeper = calloc(1, sizeof *keeper);
    if (!keeper)
        return error_set(error, ERR_MEMORY, "keeper");
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    keeper->station = station;
    keeper->end = keeper->marked = station->marker.end;
    pthread_mutex_init(&keeper->mutex, NULL);
    pthread_cond_init(&keeper->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, KEEP_STACK);
    int failed = pthread_create(&keeper->thread, &attributes, keep, keeper);
    pthread_attr_destroy(&attributes);
    if (failed) {
        finish(keeper);
        return error_set(error, ERR_MEMORY, "keeper");
    }
    atomic_store(&station->keeper, keeper);
    return OK;
}

void keeper_stop(struct station *station)
{
    struct keeper *keeper = atomic_load(&station->keeper);
    if (!keeper)
        return;
    pthread_mutex_lock(&keeper->mutex);
    keeper->stopping = true;
    pthread_cond_signal(&keeper->changed);
    pthread_mutex_unlock(&keeper->mutex);
    pthread_join(keeper->thread, NULL);
}

void keeper_note(struct station *station, uint64_t end)
{
    struct keeper *keeper = atomic_load(&station->keeper);
    if (!keeper)
        return;
    pthread_mutex_lock(&keeper->mutex);
    bool tell = keeper->end == keeper->marked || end >= keeper->marked + KEEP_ROWS;
    if (end > keeper->end)
        keeper->end = end;
    if (tell)
        pthread_cond_signal(&keeper->changed);
    pthread_mutex_unlock(&keeper->mutex);
}

void keeper_destroy(struct station *station)
{
    struct keeper *keeper = atomic_exchange(&station->keeper, NULL);
    if (keeper)
        finish(keeper);
}
