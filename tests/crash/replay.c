// replay LOG --station NAME ...: builds the crash states of a recorded run and opens each with the real code. README.md says how.
//
// A state is named CUT:WAY:SEED. CUT is the number of events that happened; WAY is what the power cut left of the changes that waited for
// a flush: all (a kill), none, lost-N (the N-th is lost), only-N (all the others are), torn-N (of a write, seeded sectors), some (seeded).
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay/language.h"
#include "tests/crash/disk.h"
#include "tests/crash/promises.h"

enum {
    SOME_STATES = 4,    // seeded subsets at each cut
    TORN_STATES = 2,    // seeded tears of each write
    JUDGE_SECONDS = 30, // a state that takes longer hangs
    FAILURES_SHOWN = 5,
};

enum way { ALL, NONE, LOST, ONLY, TORN, SOME };
static const char *const promise_names[] = {"made", "asked", "records", "tokens", "enrolled", "link marks", "done"};
static const char *const way_names[] = {"all", "none", "lost", "only", "torn", "some"};

struct state {
    size_t cut;
    enum way way;
    size_t index; // of the change, in LOST, ONLY, TORN
    uint64_t seed;
};

struct replay {
    const char *log, *work, *lock;
    struct judge judge;
    const struct event_head **events;
    size_t count;
    struct promise promises[PROMISES_MAX];
    size_t promise_count;
    struct state *states;
    size_t state_count, state_room;
    uint64_t seed;
    size_t limit;      // distinct states judged; 0: all
    const char *which; // NULL: all; "kills", "cuts", "first" (before the station was said to be ready), "promised" (just after a promise)
    bool lying;        // the disk says that it has flushed, and has not: a test of the test
};

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "replay: %s: %s\n", what, strerror(errno));
    exit(2);
}

// ---- the log

static void read_log(struct replay *replay)
{
    struct stat status;
    int fd = open(replay->log, O_RDONLY | O_CLOEXEC);
    must(fd >= 0 && fstat(fd, &status) == 0, replay->log);
    size_t size = (size_t)status.st_size, room = 0;
    uint8_t *log = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0), *copy = malloc(size * 2);
    must(log != MAP_FAILED && copy, replay->log);
    close(fd);
    size_t to = 0;
    for (size_t at = 0; at < size;) { // to addresses that suit a header
        struct event_head head;
        memcpy(&head, log + at, sizeof head);
        must(head.size >= sizeof head && at + head.size <= size && to + head.size + 8 <= size * 2, "a log that is cut short");
        memcpy(copy + to, log + at, head.size);
        if (replay->count == room) {
            room = room ? room * 2 : 1024;
            replay->events = realloc(replay->events, room * sizeof *replay->events);
            must(replay->events != NULL, "memory");
        }
        replay->events[replay->count++] = (const struct event_head *)(void *)(copy + to);
        at += head.size;
        to += (head.size + 7) & ~(size_t)7;
    }
    munmap(log, size);
}

// ---- one state

static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t x = a * UINT64_C(0x9E3779B97F4A7C15) + b + UINT64_C(0x7F4A7C159E3779B9);
    x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
    return x ^ x >> 31;
}

static bool keep(void *context, size_t index, size_t sector)
{
    const struct state *state = context;
    bool toss = mix(state->seed, mix(index + 1, sector + 1)) & 1;
    switch (state->way) {
    case ALL:
        return true;
    case NONE:
        return false;
    case LOST:
        return index != state->index;
    case ONLY:
        return index == state->index;
    case TORN:
        return index != state->index || toss;
    default:
        return toss;
    }
}

static void name_state(const struct state *state, char ret[80])
{
    bool numbered = state->way == LOST || state->way == ONLY || state->way == TORN;
    char index[24] = "";
    if (numbered)
        snprintf(index, sizeof index, "-%zu", state->index);
    snprintf(ret, 80, "%zu:%s%s:%" PRIu64, state->cut, way_names[state->way], index, state->seed);
}

static bool parse_state(const char *text, struct state *ret)
{
    char way[16];
    *ret = (struct state){0};
    if (sscanf(text, "%zu:%15[a-z]-%zu:%" SCNu64, &ret->cut, way, &ret->index, &ret->seed) != 4 &&
        sscanf(text, "%zu:%15[a-z]:%" SCNu64, &ret->cut, way, &ret->seed) != 3)
        return false;
    for (int i = ALL; i <= SOME; i++)
        if (strcmp(way, way_names[i]) == 0) {
            ret->way = (enum way)i;
            return true;
        }
    return false;
}

static bool take(const struct replay *replay, struct disk *disk, size_t at)
{
    uint8_t kind = replay->events[at]->kind;
    return !(replay->lying && (kind == LOG_SYNCED || kind == LOG_WRITTEN)) && disk_take(disk, replay->events[at]);
}

static struct disk *disk_at(const struct replay *replay, size_t cut)
{
    struct disk *disk = disk_create();
    for (size_t i = 0; i < cut; i++)
        take(replay, disk, i);
    return disk;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    return where->level == 0 ? 0 : remove(path);
}

static void clear(const char *directory) { nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

// A lock file of a crash: not there, or as LMDB left it.
static void put_lock(const struct replay *replay, const struct state *state)
{
    char path[PATH_MAX], part[65536];
    snprintf(path, sizeof path, "%s/state/%s/store/lock.mdb", replay->work, replay->judge.name);
    if (!replay->lock || mix(state->seed, state->cut) % 2)
        return;
    int in = open(replay->lock, O_RDONLY | O_CLOEXEC), out = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(in >= 0, replay->lock);
    ssize_t size = read(in, part, sizeof part);
    must(out < 0 || write(out, part, (size_t)size) == size, path); // no such directory in this state
    close(in);
    if (out >= 0)
        close(out);
}

static size_t promises_at(const struct replay *replay, size_t cut)
{
    size_t count = 0;
    while (count < replay->promise_count && replay->promises[count].event < cut)
        count++;
    return count;
}

// In a process of its own: what it says goes to WORK/said. 0: fine.
static int in_process(const struct replay *replay, bool (*run)(const struct judge *, const char *))
{
    char said[PATH_MAX], base[PATH_MAX];
    snprintf(said, sizeof said, "%s/said", replay->work);
    snprintf(base, sizeof base, "%s/state", replay->work);
    fflush(NULL);
    pid_t child = fork();
    must(child >= 0, "fork");
    if (child == 0) {
        int fd = open(said, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        setenv("TMPDIR", replay->work, 1);
        alarm(JUDGE_SECONDS);
        _exit(run(&replay->judge, base) ? 0 : 1);
    }
    int status;
    must(waitpid(child, &status, 0) == child, "waitpid");
    return status;
}

static void show_said(const struct replay *replay, int status)
{
    char path[PATH_MAX], line[400];
    snprintf(path, sizeof path, "%s/said", replay->work);
    if (WIFSIGNALED(status))
        printf("#   ended by signal %d\n", WTERMSIG(status));
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        printf("#   %s%s", line, strchr(line, '\n') ? "" : "\n");
    if (file)
        fclose(file);
}

static void build(const struct replay *replay, const struct disk *disk, struct state *state, bool lock)
{
    char base[PATH_MAX];
    snprintf(base, sizeof base, "%s/state", replay->work);
    clear(base);
    disk_cut(disk, keep, state, base);
    if (lock)
        put_lock(replay, state);
}

// ---- all of them

static void add_state(struct replay *replay, struct state state)
{
    if (replay->state_count == replay->state_room) {
        replay->state_room = replay->state_room ? replay->state_room * 2 : 4096;
        replay->states = realloc(replay->states, replay->state_room * sizeof *replay->states);
        must(replay->states != NULL, "memory");
    }
    replay->states[replay->state_count++] = state;
}

static void list_cut(struct replay *replay, const struct disk *disk, size_t cut)
{
    size_t waiting = disk_waiting(disk);
    bool kills = !replay->which || strcmp(replay->which, "cuts") != 0, cuts = !replay->which || strcmp(replay->which, "kills") != 0;
    if (kills)
        add_state(replay, (struct state){cut, ALL, 0, replay->seed});
    if (waiting == 0 || !cuts)
        return;
    add_state(replay, (struct state){cut, NONE, 0, replay->seed});
    for (size_t i = 0; waiting > 1 && i < waiting; i++) {
        add_state(replay, (struct state){cut, LOST, i, replay->seed});
        add_state(replay, (struct state){cut, ONLY, i, replay->seed});
    }
    for (size_t i = 0; i < waiting; i++)
        for (uint64_t n = 0; disk_sectors(disk, i) > 1 && n < TORN_STATES; n++)
            add_state(replay, (struct state){cut, TORN, i, mix(replay->seed, cut * TORN_STATES + n)});
    for (uint64_t n = 0; waiting > 1 && n < SOME_STATES; n++)
        add_state(replay, (struct state){cut, SOME, 0, mix(replay->seed, cut * SOME_STATES + n)});
}

static bool is_made(const struct replay *replay, size_t cut)
{
    for (size_t i = 0; i < promises_at(replay, cut); i++)
        if (replay->promises[i].kind == PROMISE_MADE)
            return true;
    return false;
}

static void list_states(struct replay *replay)
{
    struct disk *disk = disk_create();
    bool first = replay->which && strcmp(replay->which, "first") == 0,
         only_promised = replay->which && strcmp(replay->which, "promised") == 0;
    for (size_t i = 0; i < replay->count; i++) {
        bool promised = promises_at(replay, i + 1) > promises_at(replay, i);
        bool changed = take(replay, disk, i);
        if (promised || (changed && !only_promised))
            list_cut(replay, disk, i + 1);
        if (first && is_made(replay, i + 1))
            break;
    }
    disk_destroy(disk);
}

// A seeded order, in which kills, and cuts that lose all that may be lost, tend to come first.
static uint64_t rank(const struct state *state)
{
    uint64_t place = mix(mix(state->cut, state->index), state->seed ^ (uint64_t)state->way << 32);
    return state->way == ALL || state->way == NONE ? place >> 2 : place;
}

static int by_rank(const void *a, const void *b)
{
    const struct state *left = a, *right = b;
    uint64_t x = rank(left), y = rank(right);
    return x != y ? (x > y) - (x < y) : (left->cut > right->cut) - (left->cut < right->cut);
}

static int by_cut(const void *a, const void *b)
{
    const struct state *left = a, *right = b;
    return (left->cut > right->cut) - (left->cut < right->cut);
}

struct seen {
    uint64_t *slots;
    size_t mask;
};

static bool is_new(struct seen *seen, uint64_t digest)
{
    size_t at = (digest ^ digest >> 32) & seen->mask;
    digest |= 1;
    while (seen->slots[at] && seen->slots[at] != digest)
        at = (at + 1) & seen->mask;
    bool fresh = seen->slots[at] == 0;
    seen->slots[at] = digest;
    return fresh;
}

// The same state is another one when more had been promised by then.
static void drop_equal(struct replay *replay)
{
    struct seen seen = {.mask = 1};
    while (seen.mask < replay->state_count * 4)
        seen.mask = seen.mask * 2 + 1;
    seen.slots = calloc(seen.mask + 1, sizeof *seen.slots);
    must(seen.slots != NULL, "memory");
    struct disk *disk = disk_create();
    size_t taken = 0, kept = 0;
    for (size_t i = 0; i < replay->state_count; i++) {
        struct state *state = &replay->states[i];
        for (; taken < state->cut; taken++)
            take(replay, disk, taken);
        if (is_new(&seen, mix(disk_cut(disk, keep, state, NULL), promises_at(replay, state->cut))))
            replay->states[kept++] = *state;
    }
    replay->state_count = kept;
    disk_destroy(disk);
    free(seen.slots);
}

static void learn(struct replay *replay)
{
    struct state last = {.cut = replay->count, .way = ALL};
    struct disk *disk = disk_at(replay, replay->count);
    build(replay, disk, &last, false);
    disk_destroy(disk);
    int status = in_process(replay, judge_learn);
    if (status != 0) {
        printf("# what the run left can't be read:\n");
        show_said(replay, status);
        exit(2);
    }
}

// What a command without a node had made of the journal when it said that it is done.
static void learn_ends(struct replay *replay)
{
    uint64_t end = *replay->judge.end;
    for (size_t i = 0; i < replay->promise_count; i++) {
        struct promise *promise = &replay->promises[i];
        if (promise->kind != PROMISE_END)
            continue;
        struct state state = {.cut = promise->event, .way = ALL};
        struct disk *disk = disk_at(replay, promise->event);
        build(replay, disk, &state, false);
        disk_destroy(disk);
        must(in_process(replay, judge_learn) == 0, "a state that a command left can't be read");
        promise->headers = *replay->judge.end;
    }
    learn(replay);
    must(*replay->judge.end == end, "the same state was read twice, and differs");
}

static bool judge_all(struct replay *replay)
{
    size_t tried = 0, bad = 0, promises = 0;
    struct disk *disk = disk_create();
    size_t taken = 0;
    for (size_t i = 0; i < replay->state_count; i++, tried++) {
        struct state *state = &replay->states[i];
        char name[80];
        for (; taken < state->cut; taken++)
            take(replay, disk, taken);
        build(replay, disk, state, true);
        replay->judge.promise_count = promises_at(replay, state->cut);
        promises += replay->judge.promise_count;
        int status = in_process(replay, judge_state);
        if (status == 0)
            continue;
        name_state(state, name);
        if (bad++ < FAILURES_SHOWN) {
            printf("# state %s\n", name);
            show_said(replay, status);
        }
    }
    disk_destroy(disk);
    printf("# %zu states judged, %zu promises looked up in them, %zu bad\n", tried, promises, bad);
    return bad == 0;
}

// ---- main

static bool run_one(struct replay *replay, const char *name, bool build_only)
{
    struct state state;
    must(parse_state(name, &state) && state.cut <= replay->count, "no such state");
    struct disk *disk = disk_at(replay, state.cut);
    build(replay, disk, &state, true);
    disk_destroy(disk);
    printf("# built in %s/state\n", replay->work);
    if (build_only)
        return true;
    replay->judge.promise_count = promises_at(replay, state.cut);
    int status = in_process(replay, judge_state);
    show_said(replay, status);
    return status == 0;
}

static bool run_all(struct replay *replay)
{
    list_states(replay);
    size_t listed = replay->state_count;
    drop_equal(replay);
    printf("# %zu events, promises:", replay->count);
    for (int kind = PROMISE_MADE; kind <= PROMISE_END; kind++) {
        size_t count = 0;
        for (size_t i = 0; i < replay->promise_count; i++)
            count += replay->promises[i].kind == (enum promise_kind)kind;
        printf(" %zu %s", count, promise_names[kind]);
    }
    printf("\n# %zu states, %zu of them differ\n", listed, replay->state_count);
    if (replay->limit && replay->state_count > replay->limit) {
        qsort(replay->states, replay->state_count, sizeof *replay->states, by_rank);
        replay->state_count = replay->limit;
        qsort(replay->states, replay->state_count, sizeof *replay->states, by_cut);
    }
    return judge_all(replay);
}

static int by_event(const void *a, const void *b)
{
    const struct promise *left = a, *right = b;
    return (left->event > right->event) - (left->event < right->event);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"station", 1, NULL, 'n'}, {"work", 1, NULL, 'w'},   {"unit", 1, NULL, 'u'},  {"units", 1, NULL, 't'}, {"codebook", 1, NULL, 'c'},
        {"lock", 1, NULL, 'k'},    {"record", 1, NULL, 'r'}, {"limit", 1, NULL, 'l'}, {"seed", 1, NULL, 's'},  {"state", 1, NULL, 'o'},
        {"build", 1, NULL, 'b'},   {"brief", 0, NULL, 'q'},  {"which", 1, NULL, 'i'}, {"lying", 0, NULL, 'y'}, {NULL, 0, NULL, 0},
    };
    static struct replay replay;
    const char *one = NULL, *building = NULL;
    uint8_t *shared = mmap(NULL, sizeof(uint64_t) + (JUDGE_ROWS_MAX + 1) * sizeof(struct hash), PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    must(shared != MAP_FAILED, "memory");
    replay.judge =
        (struct judge){.end = (uint64_t *)(void *)shared, .rows = (struct hash *)(void *)(shared + sizeof(uint64_t)), .go_on = true};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        const char **texts[] = {['n'] = &replay.judge.name,
                                ['w'] = &replay.work,
                                ['u'] = &replay.judge.unit,
                                ['t'] = &replay.judge.units,
                                ['c'] = &replay.judge.codebook,
                                ['k'] = &replay.lock,
                                ['r'] = &replay.judge.record,
                                ['o'] = &one,
                                ['b'] = &building,
                                ['i'] = &replay.which};
        if (option == 'l')
            replay.limit = strtoull(optarg, NULL, 10);
        else if (option == 's')
            replay.seed = strtoull(optarg, NULL, 10);
        else if (option == 'q')
            replay.judge.go_on = false;
        else if (option == 'y')
            replay.lying = true;
        else if (option > 0 && option < (int)(sizeof texts / sizeof *texts) && texts[option])
            *texts[option] = optarg;
        else
            return 2;
    }
    if (optind + 1 != argc || !replay.work || !replay.judge.name || !replay.judge.record) {
        fprintf(stderr,
                "usage: replay LOG --station NAME --work DIRECTORY --record JSON [--limit N] [--seed N] [--state STATE | --build STATE]\n");
        return 2;
    }
    replay.log = argv[optind];
    char base[PATH_MAX];
    snprintf(base, sizeof base, "%s/state", replay.work);
    must(mkdir(base, 0700) == 0 || errno == EEXIST, base);
    language_set(LANGUAGE_EN);
    read_log(&replay);
    replay.promise_count = promises_gather(replay.events, replay.count, replay.judge.name, replay.promises);
    qsort(replay.promises, replay.promise_count, sizeof *replay.promises, by_event);
    replay.judge.promises = replay.promises;
    learn(&replay);
    learn_ends(&replay);
    bool good = one || building ? run_one(&replay, one ? one : building, building != NULL) : run_all(&replay);
    return good ? 0 : 1;
}
