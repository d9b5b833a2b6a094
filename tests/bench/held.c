// Waits until the journal of a station's store has grown by a number of batches: looks into the store, and costs the node nothing.
//   held DIR                  prints how many batches there are
//   held DIR BATCHES SECONDS  waits until there are so many, or that long; prints {"batches", "seconds", "moved"}: how long it took, and
//                             when the first of them came
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "relay/engine.h"

enum { LOOK_US = 2000 };

static uint64_t batches(struct store *store)
{
    struct error error = {0};
    struct txn *txn = txn_begin(store, false, &error);
    if (!txn) {
        fprintf(stderr, "held: %s\n", error.detail);
        exit(1);
    }
    uint64_t end = journal_end(txn);
    txn_abort(txn);
    return end;
}

int main(int count, char **arguments)
{
    struct store *store;
    struct error error = {0};
    if (count != 2 && count != 4) {
        fprintf(stderr, "see the top of held.c\n");
        return 2;
    }
    if (store_open(arguments[1], STORE_READ_ONLY, 0, &store, &error) != OK) {
        fprintf(stderr, "held: %s\n", error.detail);
        return 1;
    }
    uint64_t began = monotonic_ms(), first = batches(store), now = first, moved = 0;
    uint64_t wanted = count == 4 ? strtoull(arguments[2], NULL, 10) : 0,
             until = count == 4 ? began + strtoull(arguments[3], NULL, 10) * 1000 : 0;
    while (now < wanted && monotonic_ms() < until) {
        usleep(LOOK_US);
        now = batches(store);
        if (!moved && now != first)
            moved = monotonic_ms() - began;
    }
    printf("{\"batches\": %" PRIu64 ", \"seconds\": %.3f, \"moved\": %.3f}\n", now, (double)(monotonic_ms() - began) / 1e3,
           (double)moved / 1e3);
    store_close(store);
    return 0;
}
