// Writes statements at a station on whose directory no node runs, as the station itself would: stated, signed, applied and journaled.
//   backlog DIR ENTRIES BATCH CELLS
// Each entry is a patch of one cell out of CELLS; the first use of a group states it in full, in a batch of its own. Prints the entries
// written and the bytes of their batches' bodies.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "envelope.pb-c.h"
#include "node/ledger.h"
#include "node/station.h"
#include "record.pb-c.h"

enum {
    GROUP_CELLS = 1000,  // of one month
    TRANSACTION = 20000, // entries
};

struct work {
    uint32_t cells, batch;
    uint64_t entries, done, random;
    bool full;
};

// xorshift64: the same cells in every run.
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static struct group_key group_of(const struct desk *desk, uint32_t group)
{
    int32_t month = month_of_days(civil_of_instant(desk->now_ms, 0));
    struct group_key key = {.unit_id = unit_id_find(desk->txn, desk->self->unit, desk->self->unit_from),
                            .period = {SANJI__PERIOD_TYPE__MONTH, month - (int32_t)group}};
    key.definition.bytes[0] = 'b';
    return key;
}

static bool state(struct desk *desk, uint32_t number, int64_t value)
{
    struct group_key key = group_of(desk, number / GROUP_CELLS);
    ledger_set(desk->ledger, desk, &key, desk->self->unit, number % GROUP_CELLS, value, SANJI__BASIS__IMPORTED);
    return ledger_state(desk->ledger, desk) == 1;
}

static bool close_batch(struct desk *desk)
{
    struct author_batch batch;
    return author_close(desk->author, desk->txn, SANJI__LANE__AGGREGATE, SANJI__AUDIENCE__UP, NULL, &batch);
}

static enum error_code run_full(void *argument, struct desk *desk, struct error *error)
{
    struct work *work = argument;
    work->done = 0;
    for (uint32_t cell = 0; cell < work->cells; cell += GROUP_CELLS)
        work->done += state(desk, cell, 1);
    return work->done == 0 || close_batch(desk) ? OK : error_set(error, ERR_STATE, "no batch");
}

static enum error_code run(void *argument, struct desk *desk, struct error *error)
{
    struct work work = *(struct work *)argument; // it may run again
    uint32_t open = 0;
    for (uint32_t i = 0; i < TRANSACTION && work.done < work.entries; i++) {
        uint32_t cell = (uint32_t)(next_random(&work.random) % work.cells);
        work.done++;
        if (!state(desk, cell, (int64_t)(desk->now_ms * 1000 + work.done)))
            return error_set(error, ERR_STATE, "entry %" PRIu64 " was not stated", work.done);
        if (++open < work.batch && work.done < work.entries)
            continue;
        if (!close_batch(desk))
            return error_set(error, ERR_STATE, "no batch");
        open = 0;
    }
    *(struct work *)argument = work;
    return OK;
}

int main(int count, char **arguments)
{
    struct station *station;
    struct error error = {0};
    if (count != 5) {
        fprintf(stderr, "backlog DIR ENTRIES BATCH CELLS\n");
        return 2;
    }
    struct work work = {.entries = strtoull(arguments[2], NULL, 10),
                        .batch = (uint32_t)atoi(arguments[3]),
                        .cells = (uint32_t)atoi(arguments[4]),
                        .random = 88172645463325252};
    enum error_code code = station_open(arguments[1], &station, &error);
    if (code == OK) {
        code = station_write(station, run_full, &work, &error);
        uint64_t full = work.done;
        work.done = 0;
        while (code == OK && work.done < work.entries)
            code = station_write(station, run, &work, &error);
        printf("{\"full\": %" PRIu64 ", \"entries\": %" PRIu64 "}\n", full, work.done);
        station_close(station);
    }
    if (code != OK)
        fprintf(stderr, "%s\n", error.detail);
    return code == OK ? 0 : 1;
}
