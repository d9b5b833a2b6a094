#include "relay/pulse.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { STACK = 64 * 1024 }; // bytes, of which a beat uses some hundred

struct pulse {
    pthread_t thread;
    pthread_barrier_t tried; // to make the timer
    bool beats;
    atomic_bool stopping;
    unsigned work_ms;
    void (*beat)(void *context);
    void *context;
};

// A timer of the process's work that tells this thread. Its signal is blocked here and waited for: no handler, and no other thread sees it.
static bool start_timer(unsigned work_ms, timer_t *ret)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGRTMIN};
    struct timespec work = {work_ms / 1000, work_ms % 1000 * 1000000L};
    struct itimerspec every = {.it_interval = work, .it_value = work};
    event._sigev_un._tid = gettid(); // glibc has no other name for it yet
    if (timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, ret) != 0)
        return false;
    if (timer_settime(*ret, 0, &every, NULL) == 0)
        return true;
    timer_delete(*ret);
    return false;
}

static void *run(void *argument)
{
    struct pulse *pulse = argument;
    sigset_t signals;
    timer_t timer;
    sigemptyset(&signals);
    sigaddset(&signals, SIGRTMIN);
    bool beats = pulse->beats = start_timer(pulse->work_ms, &timer);
    pthread_barrier_wait(&pulse->tried);
    if (!beats)
        return NULL;
    while (!atomic_load(&pulse->stopping)) {
        if (sigwaitinfo(&signals, NULL) > 0 && !atomic_load(&pulse->stopping))
            pulse->beat(pulse->context);
    }
    timer_delete(timer);
    return NULL;
}

// With every signal blocked: they are the main thread's.
static int start_thread(struct pulse *pulse)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int problem = pthread_create(&pulse->thread, &attributes, run, pulse);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return problem;
}

static void release(struct pulse *pulse)
{
    pthread_barrier_destroy(&pulse->tried);
    free(pulse);
}

struct pulse *pulse_start(unsigned work_ms, void (*beat)(void *context), void *context)
{
    struct pulse *pulse = calloc(1, sizeof *pulse);
    if (!pulse)
        return NULL;
    pulse->work_ms = work_ms;
    pulse->beat = beat;
    pulse->context = context;
    pthread_barrier_init(&pulse->tried, NULL, 2);
    if (start_thread(pulse) != 0) {
        release(pulse);
        return NULL;
    }
    pthread_barrier_wait(&pulse->tried);
    if (pulse->beats)
        return pulse;
    pthread_join(pulse->thread, NULL);
    release(pulse);
    return NULL;
}

void pulse_stop(struct pulse *pulse)
{
    if (!pulse)
        return;
    atomic_store(&pulse->stopping, true);
    pthread_kill(pulse->thread, SIGRTMIN);
    pthread_join(pulse->thread, NULL);
    release(pulse);
}
