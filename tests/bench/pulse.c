// One record at a time: a village that writes an entry, signed in a batch of its own, at a steady rate, and measures how long each takes.
//   pulse FILE INDEX ENDPOINT DIRECTORY COUNT RATE LANE
// The village is number INDEX of FILE (bench_villages make); its store is made in DIRECTORY; LANE is 1 (urgent) or 4 (aggregate). After
// some entries that do not count it says "begin" and the county's journal may be looked at; at a line on stdin it goes on. Prints one line
// an entry: when it was begun (CLOCK_MONOTONIC, seconds), then how many seconds later it was durable here, acknowledged by the township,
// and, on the urgent lane, the county's receipt was here (0: not).
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "record.pb-c.h"
#include "relay/core/core.h"
#include "tests/bench/village.h"

enum { WARM_UP = 50, PATIENCE_S = 30, LOOK_US = 1000 };

static struct village village;
static unsigned lane;
static atomic_uint_fast64_t acknowledged; // position in the stream up
static atomic_uint receipts;              // of the county
static struct moment {
    double begun, durable;
    _Atomic double acknowledged, receipt;
} * moments;
static uint64_t base; // position before the first that counts
static atomic_uint receipts_before;
static uint32_t count;
static atomic_bool counting;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void __real_core_step(struct core *core, const struct core_event *event, struct core_updates *ret);
void __wrap_core_step(struct core *core, const struct core_event *event, struct core_updates *ret);

// The linker leads the engine's calls of the core through here.
void __wrap_core_step(struct core *core, const struct core_event *event, struct core_updates *ret)
{
    if (event->type == EVENT_ACK && event->channel == core_channel(SANJI__STREAM__STREAM_UP, lane)) {
        double at = now();
        uint64_t from = atomic_load(&acknowledged);
        for (uint64_t position = from + 1; atomic_load(&counting) && position <= event->ack.bodies; position++)
            if (position > base && position <= base + count)
                moments[position - base - 1].acknowledged = at;
        atomic_store(&acknowledged, event->ack.bodies);
    }
    __real_core_step(core, event, ret);
}

static void on_entry(struct village *at, const struct certificate *signer, const struct entry *entry)
{
    (void)at;
    if (entry->kind != SANJI__ENTRY_KIND__RECEIPT || signer->depth != 0)
        return;
    uint32_t number = atomic_fetch_add(&receipts, 1) - atomic_load(&receipts_before);
    if (atomic_load(&counting) && number < count)
        moments[number].receipt = now();
}

static enum error_code run_one(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    uint32_t number = *(const uint32_t *)argument;
    village_state(&village, txn, lane, number ? SANJI__EXTENT__PATCH : SANJI__EXTENT__FULL, number % 16,
                  (int64_t)(utc_ms() * 1000 + number));
    return OK;
}

static void *run_engine(void *argument)
{
    struct error error = {0};
    (void)argument;
    while (true)
        engine_turn(village.engine);
    village_die("engine", &error);
    return NULL;
}

static void write_one(uint32_t number)
{
    struct error error = {0};
    village_must(writer_call(village.writer, run_one, &number, &error), "write", &error);
}

static void sleep_until(double due)
{
    for (double left; (left = due - now()) > 0;)
        nanosleep(&(struct timespec){0, (long)(left < 0.9 ? left * 1e9 : 9e8)}, NULL);
}

// All that was written is acknowledged, and has its receipt if it is to have one.
static void settle(uint32_t wrote, uint64_t position)
{
    for (double end = now() + PATIENCE_S; now() < end; usleep(LOOK_US))
        if (atomic_load(&acknowledged) >= position && (lane != SANJI__LANE__URGENT || atomic_load(&receipts) >= wrote))
            return;
    village_die("it did not come through", &(struct error){.detail = "in half a minute"});
}

static void pulse(double rate)
{
    double due = now();
    for (uint32_t i = 0; i < count; i++, due += 1 / rate) {
        sleep_until(due);
        moments[i].begun = now();
        write_one(WARM_UP + i);
        moments[i].durable = now();
    }
}

static void print_moments(void)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct moment *moment = &moments[i];
        double receipt = moment->receipt;
        printf("%.7f %.7f %.7f %.7f\n", moment->begun, moment->durable - moment->begun, moment->acknowledged - moment->begun,
               receipt > 0 ? receipt - moment->begun : 0);
    }
}

int main(int arguments_count, char **arguments)
{
    static struct enrolled enrolled;
    struct error error = {0};
    pthread_t thread;
    char line[16];
    FILE *file = arguments_count == 8 ? fopen(arguments[1], "re") : NULL;
    if (!file || fseek(file, atol(arguments[2]) * (long)sizeof enrolled, SEEK_SET) != 0 ||
        fread(&enrolled, sizeof enrolled, 1, file) != 1) {
        fprintf(stderr, "see the top of pulse.c\n");
        return 2;
    }
    prctl(PR_SET_TIMERSLACK, 1);
    village_must(crypto_init(&error), "crypto", &error);
    count = (uint32_t)atoi(arguments[5]);
    lane = (unsigned)atoi(arguments[7]);
    moments = calloc(count, sizeof *moments);
    village_open(&village, &enrolled, arguments[4]);
    village.on_entry = on_entry;
    village_link(&village, arguments[3]);
    pthread_create(&thread, NULL, run_engine, NULL);
    for (uint32_t i = 0; i < WARM_UP; i++) {
        write_one(i);
        usleep(5 * LOOK_US);
    }
    settle(WARM_UP, WARM_UP);
    usleep(500 * LOOK_US);
    base = atomic_load(&acknowledged);
    atomic_store(&receipts_before, atomic_load(&receipts));
    atomic_store(&counting, true);
    puts("begin");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return 1;
    pulse(atof(arguments[6]));
    settle(WARM_UP + count, base + count);
    print_moments();
    fflush(stdout);
    _exit(0);
}
