// Counts a store's transactions in and out, so that its map grows only while none is open. Knows no library. Any thread.
#pragma once
#include <pthread.h>
#include <stdbool.h>

struct store_gate {
    // Makes the map larger, or, with `adopt`, as large as another process has made it. Called while no transaction is open. False: there is
    // no map any more.
    bool (*grow)(void *context, bool adopt);
    void *context;
    pthread_mutex_t lock; // over the rest
    pthread_cond_t idle;
    unsigned open; // transactions
    bool resize;   // wanted: the map was full, or another process has outgrown ours
    bool adopt;    // ... the latter
    bool broken;   // no map any more
};

void store_gate_init(struct store_gate *gate, bool (*grow)(void *context, bool adopt), void *context);
void store_gate_finish(struct store_gate *gate); // no transaction may be open

// Counts a transaction in; false when there is no map to read. Waits up to two seconds for the others when the map is to grow.
bool store_gate_enter(struct store_gate *gate);
void store_gate_leave(struct store_gate *gate);
// The next transaction that finds itself alone grows the map.
void store_gate_want(struct store_gate *gate, bool adopt);

// Between the two the map stays what it is; false: there is none.
bool store_gate_hold(struct store_gate *gate);
void store_gate_release(struct store_gate *gate);
