// explore: every order in which three stations may send, lose, crash, commit and acknowledge a handful of records, within a bound on what
// goes wrong. README.md.
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/explore/state.h"

enum {
    DEPTH_MOST = 2000,
    PATH_STEPS_MAX = DEPTH_MOST + 8,
    STORY_REST_LINES = 100, // told of the way to rest
};

// ---- states seen

struct set {
    uint64_t *names; // open addressing; 0: empty
    uint64_t size, count;
};

static bool set_find(const struct set *set, uint64_t name, uint64_t *ret_at)
{
    uint64_t at = set->size ? (name * UINT64_C(0x9e3779b97f4a7c15)) & (set->size - 1) : 0;
    while (set->size && set->names[at] && set->names[at] != name)
        at = (at + 1) & (set->size - 1);
    *ret_at = at;
    return set->size && set->names[at] == name;
}

static bool set_add(struct set *set, uint64_t name)
{
    uint64_t at;
    name = name ? name : 1;
    if (2 * set->count >= set->size) {
        struct set larger = {.size = set->size ? 2 * set->size : 1 << 16, .count = set->count};
        larger.names = calloc(larger.size, sizeof *larger.names);
        assert(larger.names);
        for (uint64_t i = 0; i < set->size; i++)
            if (set->names[i] && !set_find(&larger, set->names[i], &at))
                larger.names[at] = set->names[i];
        free(set->names);
        *set = larger;
    }
    if (set_find(set, name, &at))
        return false;
    set->names[at] = name;
    set->count++;
    return true;
}

static struct set seen, rests; // rests: known to come to rest without faults

static bool rest_known(uint64_t name)
{
    uint64_t at;
    return set_find(&rests, name ? name : 1, &at);
}

static uint64_t way[8192];
static uint32_t way_count;
static void way_passed(uint64_t name)
{
    if (way_count < sizeof way / sizeof *way)
        way[way_count++] = name;
}

// ---- the search

struct frame {
    struct state state;
    unsigned action; // taken from here
};

struct search {
    struct budget budget;
    uint64_t transitions, settled, settle_steps, leaves;
    uint32_t depth, deepest;
    struct frame *frames[DEPTH_MOST];
    unsigned path[PATH_STEPS_MAX];
    uint32_t path_count;
    char found[STORY_MAX];
    bool resting;   // it was found on the way to rest
    bool path_only; // the way to rest is not looked at
};

static const char never_rests[] = "without further faults it never comes to rest with everything delivered";

// From the state at hand; leaves it as it was.
static void check_rest(struct search *search)
{
    static struct state kept;
    if (search->path_only)
        return;
    kept = now;
    way_count = 0;
    bool settled = actions_settle(rest_known, way_passed, &search->settle_steps);
    search->settled++;
    if (!settled)
        violate(never_rests);
    search->resting = violation[0] != 0;
    for (uint32_t i = 0; settled && !violation[0] && i < way_count; i++)
        set_add(&rests, way[i]);
    now = kept;
}

static void keep_path(struct search *search)
{
    snprintf(search->found, sizeof search->found, "%s", violation);
    search->path_count = 0;
    for (uint32_t i = 0; i < search->depth; i++)
        search->path[search->path_count++] = search->frames[i]->action;
}

// Depth first. A state counts as seen whatever way led to it, as what may still go wrong is part of it.
static void search_run(struct search *search)
{
    state_init(&search->budget);
    set_add(&seen, state_name());
    check_rest(search);
    search->depth = 0;
    unsigned from = 0;
    for (;;) {
        assert(search->depth < DEPTH_MOST);
        if (!search->frames[search->depth]) {
            search->frames[search->depth] = malloc(sizeof **search->frames);
            assert(search->frames[search->depth]);
        }
        struct frame *frame = search->frames[search->depth];
        unsigned action = from;
        while (action < ACTIONS && !action_possible(action))
            action++;
        search->leaves += from == 0 && action == ACTIONS;
        if (action == ACTIONS) {
            if (search->depth == 0)
                return;
            frame = search->frames[--search->depth];
            now = frame->state;
            from = frame->action + 1;
            continue;
        }
        frame->state = now;
        frame->action = action;
        search->depth++;
        if (search->depth > search->deepest)
            search->deepest = search->depth;
        action_perform(action);
        search->transitions++;
        bool fresh = set_add(&seen, state_name());
        if (fresh && !violation[0])
            check_rest(search);
        if (violation[0]) {
            keep_path(search);
            return;
        }
        from = 0;
        if (!fresh) {
            now = frame->state;
            search->depth--;
            from = action + 1;
        }
    }
}

// ---- the path to a violation, as short as leaving steps out makes it

static bool never_known(uint64_t name)
{
    (void)name;
    return false;
}

static bool replay(const struct search *search, const unsigned *path, uint32_t count)
{
    uint64_t steps = 0;
    state_init(&search->budget);
    for (uint32_t i = 0; i < count && !violation[0]; i++)
        if (action_possible(path[i]))
            action_perform(path[i]);
    if (!violation[0] && search->resting) {
        say("#   and then nothing goes wrong any more:\n");
        story_lines = STORY_REST_LINES;
        if (!actions_settle(never_known, way_passed, &steps))
            violate(never_rests);
    }
    story_lines = 0;
    way_count = 0;
    return violation[0] != 0;
}

static void shorten(struct search *search)
{
    unsigned shorter[PATH_STEPS_MAX];
    for (uint32_t i = search->path_count; i-- > 0;) {
        memcpy(shorter, search->path, i * sizeof *shorter);
        memcpy(shorter + i, search->path + i + 1, (search->path_count - i - 1) * sizeof *shorter);
        if (!replay(search, shorter, search->path_count - 1))
            continue;
        search->path_count--;
        memcpy(search->path, shorter, search->path_count * sizeof *shorter);
    }
}

static void tell(struct search *search)
{
    shorten(search);
    printf("# %s: %u steps lead there\n", search->found, search->path_count);
    fflush(stdout);
    story = stdout;
    replay(search, search->path, search->path_count);
    story = NULL;
}

// ---- what is explored

// origin, stream, lane, bytes: 1500 bytes travel in two pieces, so that a part is left behind
static const struct content three[] = {{2, 1, 4, 1500}, {2, 1, 1, 300}, {1, 1, 4, 300}};
static const struct content parts[] = {{2, 1, 4, 1500}, {1, 1, 4, 300}};
static const struct content small[] = {{2, 1, 4, 300}, {1, 1, 1, 300}};
static const struct content both_ways[] = {{2, 1, 4, 300}, {0, 2, 2, 300}};
#define CONTENTS(list) list, sizeof list / sizeof *list

static const struct bound {
    const char *name;
    const struct content *contents;
    uint32_t count;
    struct budget budget;
    enum plant plant;
    bool deep;
} bounds[] = {
    {"planted: an acknowledgement before its commit", CONTENTS(parts), {.crashes = 1}, PLANT_EARLY_ACK, false},
    {"planted: a row that is not sent on", CONTENTS(three), {0}, PLANT_LOST_ROW, false},
    {"no fault", CONTENTS(three), {0}, PLANT_NONE, false},
    {"a connection breaks", CONTENTS(parts), {.cuts = 1}, PLANT_NONE, false},
    {"a connection breaks, both ways", CONTENTS(both_ways), {.cuts = 1}, PLANT_NONE, false},
    {"a crash", CONTENTS(parts), {.crashes = 1}, PLANT_NONE, false},
    {"a restored station", CONTENTS(small), {.restores = 1}, PLANT_NONE, false},
    {"a restored station, in parts", CONTENTS(parts), {.restores = 1}, PLANT_NONE, false},
    {"a repeated message", CONTENTS(parts), {.repeats = 1}, PLANT_NONE, false},
    {"time runs out", CONTENTS(parts), {.lapses = 1}, PLANT_NONE, false},
    {"a full disk", CONTENTS(parts), {.refusals = 1}, PLANT_NONE, false},
    {"a full disk and a crash", CONTENTS(small), {.refusals = 1, .crashes = 1}, PLANT_NONE, false},
    {"time runs out and a message is repeated", CONTENTS(small), {.lapses = 1, .repeats = 1}, PLANT_NONE, false},
    {"deep: a connection breaks, three records", CONTENTS(three), {.cuts = 1}, PLANT_NONE, true},
    {"deep: connections break twice", CONTENTS(parts), {.cuts = 2}, PLANT_NONE, true},
    {"deep: a crash and a break, both ways", CONTENTS(both_ways), {.cuts = 1, .crashes = 1}, PLANT_NONE, true},
    {"deep: two crashes", CONTENTS(parts), {.crashes = 2}, PLANT_NONE, true},
    {"deep: a restored station and a break", CONTENTS(small), {.cuts = 1, .restores = 1}, PLANT_NONE, true},
    {"deep: time runs out and a message is repeated", CONTENTS(parts), {.lapses = 1, .repeats = 1}, PLANT_NONE, true},
    {"deep: a full disk and a crash", CONTENTS(parts), {.refusals = 1, .crashes = 1}, PLANT_NONE, true},
};

static bool explore(const struct bound *bound)
{
    static struct search search;
    struct timespec begin, end;
    search = (struct search){.budget = bound->budget, .path_only = bound->plant == PLANT_EARLY_ACK};
    seen.count = rests.count = 0;
    free(seen.names);
    free(rests.names);
    seen = rests = (struct set){0};
    contents = bound->contents;
    content_count = bound->count;
    plant = bound->plant;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    search_run(&search);
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("# %s: %llu states, %llu transitions, %llu ends, longest way %u, %llu steps to rest, %.1f s\n", bound->name,
           (unsigned long long)seen.count, (unsigned long long)search.transitions, (unsigned long long)search.leaves, search.deepest,
           (unsigned long long)search.settle_steps, (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
    bool found = search.found[0];
    if (found)
        tell(&search);
    for (uint32_t i = 0; i < DEPTH_MOST; i++)
        free(search.frames[i]);
    return found == (bound->plant != PLANT_NONE);
}

int main(int argc, char **argv)
{
    bool deep = argc == 2 && strcmp(argv[1], "--deep") == 0;
    unsigned failed = 0, count = 0;
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) {
        if (bounds[i].deep && !deep)
            continue;
        bool good = explore(&bounds[i]);
        printf("%s %u - %s\n", good ? "ok" : "not ok", ++count, bounds[i].name);
        fflush(stdout);
        failed += !good;
    }
    printf("1..%u\n", count);
    free(seen.names);
    free(rests.names);
    return failed ? 1 : 0;
}
