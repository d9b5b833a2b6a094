#include "relay/store_gate.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

enum {
    RESIZE_WAIT_S = 2, // readers are shorter than a second; who holds one longer makes the map wait, not the node
};

void store_gate_init(struct store_gate *gate, bool (*grow)(void *context, bool adopt), void *context)
{
    pthread_condattr_t monotonic;
    *gate = (struct store_gate){.grow = grow, .context = context};
    pthread_mutex_init(&gate->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&gate->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void store_gate_finish(struct store_gate *gate)
{
    assert(gate->open == 0);
    pthread_cond_destroy(&gate->idle);
    pthread_mutex_destroy(&gate->lock);
}

bool store_gate_enter(struct store_gate *gate)
{
    struct timespec until;
    pthread_mutex_lock(&gate->lock);
    if (gate->resize) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += RESIZE_WAIT_S;
    }
    while (gate->resize && gate->open > 0)
        if (pthread_cond_timedwait(&gate->idle, &gate->lock, &until) == ETIMEDOUT)
            break;
    if (gate->resize && gate->open == 0) {
        gate->broken = !gate->grow(gate->context, gate->adopt);
        gate->resize = gate->adopt = false;
    }
    bool usable = !gate->broken;
    gate->open += usable;
    pthread_mutex_unlock(&gate->lock);
    return usable;
}

void store_gate_leave(struct store_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    assert(gate->open > 0);
    if (--gate->open == 0)
        pthread_cond_broadcast(&gate->idle);
    pthread_mutex_unlock(&gate->lock);
}

void store_gate_want(struct store_gate *gate, bool adopt)
{
    pthread_mutex_lock(&gate->lock);
    gate->resize = true;
    gate->adopt |= adopt;
    pthread_mutex_unlock(&gate->lock);
}

bool store_gate_hold(struct store_gate *gate)
{
    pthread_mutex_lock(&gate->lock);
    return !gate->broken;
}

void store_gate_release(struct store_gate *gate) { pthread_mutex_unlock(&gate->lock); }
