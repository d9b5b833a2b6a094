// Waits until the journal of a station's store has grown by a number of batches: looks into the store, and costs the node nothing.
//   held DIR                  prints how many batches there are, and how many entries of them were applied
//   held DIR BATCHES SECONDS each  the same, looking more often, and a line for each batch that comes: when it was there
//   held DIR BATCHES SECONDS  says "waits", waits until there are so many, or that long, and says when they were (CLOCK_MONOTONIC)
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "relay/engine.h"

enum { LOOK_US = 2000, LOOK_OFTEN_US = 50 };

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

// Entries of batches whose verdict is that they count.
static uint64_t applied(struct store *store)
{
    struct txn *txn = txn_begin(store, false, NULL);
    struct batch_row row;
    uint64_t sum = 0;
    for (uint64_t position = 1; txn && journal_read(txn, position, &row); position++)
        sum += row.verdict == VERDICT_APPLIED ? row.count : 0;
    txn_abort(txn);
    return sum;
}

static double precise_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int count, char **arguments)
{
    struct store *store;
    struct error error = {0};
    bool each = count == 5;
    if (count != 2 && count != 4 && count != 5) {
        fprintf(stderr, "see the top of held.c\n");
        return 2;
    }
    if (store_open(arguments[1], STORE_READ_ONLY, 0, &store, &error) != OK) {
        fprintf(stderr, "held: %s\n", error.detail);
        return 1;
    }
    uint64_t now = batches(store);
    if (count == 2) {
        printf("{\"batches\": %" PRIu64 ", \"applied\": %" PRIu64 "}\n", now, applied(store));
    } else {
        uint64_t wanted = strtoull(arguments[2], NULL, 10), until = monotonic_ms() + strtoull(arguments[3], NULL, 10) * 1000;
        puts("waits");
        fflush(stdout);
        prctl(PR_SET_TIMERSLACK, 1);
        while (now < wanted && monotonic_ms() < until) {
            usleep(each ? LOOK_OFTEN_US : LOOK_US);
            uint64_t next = batches(store);
            double at = precise_now();
            for (; each && now < next; now++)
                printf("%.7f\n", at);
            now = next;
        }
        printf("{\"batches\": %" PRIu64 ", \"at\": %.3f}\n", now, (double)monotonic_ms() / 1e3);
    }
    store_close(store);
    return 0;
}
