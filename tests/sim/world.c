// One world: its clock, what will happen, what did, and its end.
#include <stdarg.h>
#include <time.h>

#include "relay/row.h"
#include "tests/sim/adversary.h"
#include "tests/sim/check.h"
#include "tests/sim/disasters.h"
#include "tests/sim/memory.h"

enum {
    REST_MINUTES = 2 * 60, // after healing everything must have arrived within this
    REST_STEP_MS = 60 * 1000,
};

struct world *world;

// ---- names

#define X(name, what) #name,
static const char *const fault_names[] = {SIM_FAULT_LIST(X)};
#undef X
#define X(name, checker, what) {#name, checker},
static const char *const plants[][2] = {SIM_PLANT_LIST(X)};
#undef X
#define X(name, text) text,
static const char *const path_texts[] = {SIM_PATH_LIST(X)};
#undef X

const char *sim_fault_name(enum sim_fault fault) { return fault_names[fault]; }
const char *sim_plant_name(enum sim_plant plant) { return plants[plant][0]; }
const char *sim_plant_checker(enum sim_plant plant) { return plants[plant][1]; }
const char *sim_path_text(enum sim_path path) { return path_texts[path]; }

static uint32_t faults_of(const char *name, size_t size)
{
    static const struct {
        const char *name;
        uint32_t faults;
    } groups[] = {{"all", (1u << SIM_FAULTS) - 1}, {"honest", ((1u << SIM_FAULTS) - 1) & ~SIM_WICKED}, {"wicked", SIM_WICKED}};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (strlen(groups[i].name) == size && memcmp(groups[i].name, name, size) == 0)
            return groups[i].faults;
    for (int i = 0; i < SIM_FAULTS; i++)
        if (strlen(fault_names[i]) == size && memcmp(fault_names[i], name, size) == 0)
            return 1u << i;
    return 0;
}

bool sim_faults_parse(const char *list, uint32_t *ret)
{
    uint32_t faults = 0;
    while (*list && strcmp(list, "none") != 0) {
        size_t size = strcspn(list, ",");
        uint32_t more = faults_of(list, size);
        if (!more)
            return false;
        faults |= more;
        list += size + (list[size] == ',');
    }
    *ret = faults;
    return true;
}

bool sim_skips_parse(const char *list, struct sim_config *ret)
{
    uint32_t count = 0;
    struct sim_skip skips[SIM_SKIPS_MAX];
    while (*list && count < SIM_SKIPS_MAX) {
        char *end;
        struct sim_skip skip = {.from = (uint32_t)strtoul(list, &end, 10)};
        skip.to = skip.from;
        if (*end == '-')
            skip.to = (uint32_t)strtoul(end + 1, &end, 10);
        if (end == list || skip.from == 0 || skip.to < skip.from || (*end && *end != ','))
            return false;
        skips[count++] = skip;
        list = end + (*end == ',');
    }
    if (*list)
        return false;
    memcpy(ret->skips, skips, count * sizeof *skips);
    ret->skip_count = count;
    return true;
}

void sim_command(const struct sim_config *config, char *ret, size_t size)
{
    int at = snprintf(ret, size, "sim --seed %llu --stations %u --hours %g --topology %s", (unsigned long long)config->seed,
                      config->stations, config->minutes / 60.0, config->topology);
    at += snprintf(ret + at, size - (size_t)at, " --load %u --crypto %s --faults %s", config->load ? config->load : SIM_LOAD,
                   config->fast ? "fast" : "real", config->faults ? "" : "none");
    bool first = true;
    for (int i = 0; i < SIM_FAULTS; i++)
        if (config->faults & 1u << i) {
            at += snprintf(ret + at, size - (size_t)at, "%s%s", first ? "" : ",", fault_names[i]);
            first = false;
        }
    for (uint32_t i = 0; i < config->skip_count && (size_t)at + 40 < size; i++)
        at += snprintf(ret + at, size - (size_t)at, "%s%u-%u", i ? "," : " --skip-faults ", config->skips[i].from, config->skips[i].to);
    if (config->former && (size_t)at < size)
        at += snprintf(ret + at, size - (size_t)at, " --former");
    if (config->plant && (size_t)at < size)
        snprintf(ret + at, size - (size_t)at, " --plant %s", plants[config->plant][0]);
}

// ---- chance: splitmix64 (Steele and others 2014), apart from the stations' own randomness

// From here on chance is that of one matter (a fault, a piece of work) and depends on nothing that happened before, so that leaving one out
// leaves the others as they are. Returns what random_back() goes on with.
uint64_t random_apart(uint64_t matter, uint64_t number)
{
    uint64_t before = world->random;
    world->random = (world->config.seed * 0x2545F4914F6CDD1Du ^ matter << 56) + number * 0x9FB21C651E98DF25u;
    random_next();
    return before;
}

void random_back(uint64_t before) { world->random = before; }

uint64_t random_next(void)
{
    uint64_t z = world->random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

uint32_t random_below(uint32_t bound) { return (uint32_t)((random_next() >> 32) * bound >> 32); }
bool chance(uint32_t in_1000) { return random_below(1000) < in_1000; }
bool planted(enum sim_plant plant) { return world && world->config.plant == plant; }

// ---- what happened

static void digest(uint64_t value) { world->result->digest = (world->result->digest ^ value) * 0x9E3779B97F4A7C15u + (value >> 29); }

void path_taken(enum sim_path path) { world->result->paths[path]++; }

static int step_text(char *text, size_t size, const struct step_record *step)
{
    return snprintf(text, size, "%10.3f  %-12s %-22s %llu %llu %llu\n", (double)step->at / 1000,
                    step->site == UINT32_MAX ? "-" : world->units->items[world->sites[step->site].unit].code, step->what,
                    (unsigned long long)step->a, (unsigned long long)step->b, (unsigned long long)step->c);
}

void step_note(const struct site *site, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
    struct step_record *step = &world->ring[world->ring_count++ % RING_MAX];
    *step = (struct step_record){world->now, site ? site->index : UINT32_MAX, what, a, b, c};
    digest(step->at ^ (uint64_t)step->site << 40);
    for (const char *p = what; *p; p++)
        digest((uint8_t)*p);
    digest(a);
    digest(b);
    digest(c);
    if (world->config.trace) {
        char text[160];
        step_text(text, sizeof text, step);
        fputs(text, stdout);
    }
}

void check_fail(const struct checker *checker, const char *format, ...)
{
    if (world->over)
        return;
    struct sim_result *result = world->result;
    world->over = result->failed = true;
    result->virtual_ms = world->now;
    result->checker = checker->name;
    size_t at = 0, size = sizeof result->story;
    uint64_t count = world->ring_count < RING_MAX ? world->ring_count : RING_MAX;
    for (uint64_t i = world->ring_count - count; i < world->ring_count && at + 200 < size - 600; i++)
        at += (size_t)step_text(result->story + at, size - at, &world->ring[i % RING_MAX]);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(result->story + at, size - at, format, arguments);
    va_end(arguments);
}

// ---- what will happen: a binary heap, ties in the order they were planned

static bool before(const struct happening *a, const struct happening *b) { return a->at != b->at ? a->at < b->at : a->order < b->order; }

void plan(uint64_t at, enum happening_kind kind, uint32_t site, uint64_t tag, unsigned side)
{
    world->heap = memory_room(world->heap, world->heap_count, &world->heap_capacity, sizeof *world->heap);
    struct happening *heap = world->heap, happening = {at, world->order++, kind, site, tag, side};
    uint32_t i = world->heap_count++;
    for (; i > 0 && before(&happening, &heap[(i - 1) / 2]); i = (i - 1) / 2)
        heap[i] = heap[(i - 1) / 2];
    heap[i] = happening;
}

static struct happening take(void)
{
    struct happening *heap = world->heap, first = heap[0], last = heap[--world->heap_count];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= world->heap_count)
            break;
        if (child + 1 < world->heap_count && before(&heap[child + 1], &heap[child]))
            child++;
        if (!before(&heap[child], &last))
            break;
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = last;
    return first;
}

static void happen(const struct happening *happening)
{
    struct site *site = happening->site < world->site_count ? &world->sites[happening->site] : NULL;
    bool same = site && site->running && site->start == happening->tag;
    switch (happening->kind) {
    case HAPPENS_TURN:
        if (same && site->turn_at == happening->at)
            site_turn(site);
        return;
    case HAPPENS_COMMIT:
        if (same)
            site_commit(site);
        return;
    case HAPPENS_PIPE:
        network_pipe(happening);
        return;
    case HAPPENS_OPENED:
        network_dial_done(happening);
        return;
    case HAPPENS_CLOSED:
        network_closed(happening);
        return;
    case HAPPENS_UNBLOCK:
        network_unblock(happening);
        return;
    case HAPPENS_WORK:
        if (!world->calm)
            work_do(site);
        return;
    case HAPPENS_FAULT:
        if (!world->calm)
            faults_next();
        return;
    case HAPPENS_LATE:
        network_late(happening);
        return;
    case HAPPENS_SCRUB:
        disaster_scrub(site);
        return;
    case HAPPENS_END:
        site->off = true;
        site_stop(site);
        return;
    case HAPPENS_STOP:
        if (same)
            site_kill(site);
        return;
    case HAPPENS_START:
        if (!site->running && !site->off)
            site_start(site);
        return;
    }
}

static void run_until(uint64_t end)
{
    while (!world->over && world->heap_count && world->heap[0].at <= end) {
        struct happening happening = take();
        world->now = happening.at;
        world->result->events++;
        happen(&happening);
    }
    if (!world->over && world->now < end)
        world->now = end;
}

// ---- a run

// What a row says, without signatures and its checksum: those depend on --crypto.
static void digest_value(enum table table, struct bytes value)
{
    if (table == TABLE_OBJECTS || table == TABLE_COPIES || table == TABLE_JOURNAL || table == TABLE_EVIDENCE || table == TABLE_STAGING ||
        table == TABLE_HEADS)
        digest(value.size);
    else if (value.size > ROW_CHECKSUM_SIZE)
        digest(quick_hash(bytes_of(value.data, value.size - ROW_CHECKSUM_SIZE)));
}

// All of a store, so that two runs can be told apart by what they kept. (The bytes of batches: check_bytes.c.)
static void digest_store(struct site *site)
{
    struct txn *txn = check_reader(site);
    for (int table = 0; table < TABLE_COUNT; table++) {
        struct cursor *cursor = cursor_open(txn, (enum table)table);
        for (bool on = cursor_next(cursor); on; on = cursor_next(cursor)) {
            digest(quick_hash(cursor_key(cursor)));
            digest_value((enum table)table, cursor_value(cursor));
        }
        cursor_close(cursor);
    }
    txn_abort(txn);
}

static void rest(void)
{
    char missing[400];
    faults_heal();
    for (uint32_t minutes = 0; !world->over; minutes++) {
        run_until(world->now + REST_STEP_MS);
        bool arrived = !world->over && arrived_everywhere(missing, sizeof missing);
        if (world->over || (arrived && check_split_found(missing, sizeof missing)))
            break;
        if (minutes == REST_MINUTES)
            check_fail(arrived ? &check_split : &check_arrived, "%d hours after everything was healed: %s", REST_MINUTES / 60, missing);
    }
    if (!world->over)
        check_rest();
}

static void finish(void)
{
    for (uint32_t i = 0; i < world->site_count; i++) {
        struct site *site = &world->sites[i];
        site_stop(site);
        network_free(site);
        if (!world->over && site->store)
            digest_store(site);
        store_close(site->store);
        store_close(site->backup);
        free(site->pending);
        free(site->applications);
        free(site->held);
        free(site->delegated);
        adversary_free(site);
        buffer_finish(&site->wire);
    }
    network_late_free();
    check_free();
    model_finish(&world->model);
    topology_free();
    free(world->sites);
    free(world->heap);
}

bool sim_run(const struct sim_config *config, struct sim_result *ret)
{
    struct world this = {.config = *config, .result = ret, .random = config->seed * 0xD1342543DE82EF95u + 1};
    uint8_t seed[32] = "sanji sim";
    struct error error = {0};
    *ret = (struct sim_result){.checker = ""};
    put_be64(seed + 16, config->seed);
    if (crypto_init(&error) != OK)
        return false;
    crypto_random_replay(seed);
    world = &this;
    this.late_last = &this.late;
    bool made = topology_make();
    if (made) {
        for (uint32_t i = 0; i < world->count; i++)
            plan(random_below(2000), HAPPENS_START, i, 0, 0);
        work_begin();
        faults_begin();
        run_until((uint64_t)config->minutes * 60 * 1000);
        rest();
        ret->virtual_ms = world->now;
    }
    finish();
    world = NULL;
    crypto_random_replay(NULL);
    return made;
}
