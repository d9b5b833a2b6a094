// The shortest story of a failure: smaller and smaller worlds in which the same checker still fires, each run in a process of its own.
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"

enum { ATTEMPT_SECONDS_MAX = 60 }; // an attempt that takes longer is no shorter story

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// ---- one world in a process of its own

static void child(const struct sim_config *config, unsigned seconds, int result_fd, int error_fd)
{
    static struct sim_result result;
    dup2(error_fd, STDERR_FILENO);
    alarm(seconds);
    bool ran = sim_run(config, &result);
    fflush(stdout);
    const char *at = (const char *)&result;
    for (size_t done = 0; ran && done < sizeof result;) {
        ssize_t more = write(result_fd, at + done, sizeof result - done);
        if (more <= 0)
            break;
        done += (size_t)more;
    }
    if (!ran)
        fprintf(stderr, "%s", result.story);
    fflush(stderr);
    _exit(ran ? 0 : 2);
}

// The end of what a crashed process said.
static void last_words(FILE *words, struct sim_result *ret)
{
    long size = fseek(words, 0, SEEK_END) == 0 ? ftell(words) : 0, most = (long)sizeof ret->story - 1;
    fseek(words, size > most ? size - most : 0, SEEK_SET);
    size_t got = fread(ret->story, 1, (size_t)most, words);
    ret->story[got] = 0;
}

bool sim_run_apart(const struct sim_config *config, unsigned seconds, struct sim_result *ret)
{
    int ends[2], status = 0;
    FILE *words = tmpfile();
    if (!words || pipe(ends) != 0)
        abort();
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        abort();
    if (pid == 0) {
        close(ends[0]);
        child(config, seconds, ends[1], fileno(words));
    }
    close(ends[1]);
    size_t got = 0;
    for (ssize_t more; got < sizeof *ret && (more = read(ends[0], (char *)ret + got, sizeof *ret - got)) > 0;)
        got += (size_t)more;
    close(ends[0]);
    waitpid(pid, &status, 0);
    if (got < sizeof *ret) { // pointers in a whole result are good here too: it is the same program
        *ret = (struct sim_result){.failed = true, .checker = "crash"};
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
            ret->checker = "hang";
        last_words(words, ret);
    }
    fclose(words);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 2 && got == 0);
}

// ---- shrinking

struct shrinking {
    struct sim_config *config;
    struct sim_result *result;
    double end;
};

static bool attempt(struct shrinking *shrinking, const struct sim_config *config)
{
    static struct sim_result result;
    double left = shrinking->end - now_s();
    if (left < 1)
        return false;
    if (!sim_run_apart(config, left < ATTEMPT_SECONDS_MAX ? (unsigned)left + 1 : ATTEMPT_SECONDS_MAX, &result) || !result.failed ||
        strcmp(result.checker, shrinking->result->checker) != 0)
        return false;
    *shrinking->config = *config;
    *shrinking->result = result;
    return true;
}

static bool fewer_hours(struct shrinking *shrinking)
{
    bool any = false;
    uint64_t failed = shrinking->result->virtual_ms / 60000 + 1;
    struct sim_config config = *shrinking->config;
    if (failed < config.minutes) {
        config.minutes = (uint32_t)failed;
        any = attempt(shrinking, &config);
    }
    for (unsigned part = 2; part <= 8; part *= 2) {
        config = *shrinking->config;
        uint32_t less = config.minutes / part;
        config.minutes -= less;
        while (less && config.minutes && attempt(shrinking, &config)) {
            any = true;
            less = config.minutes / part;
            config.minutes -= less;
        }
    }
    return any;
}

static bool fewer_kinds(struct shrinking *shrinking)
{
    bool any = false;
    for (int i = 0; i < SIM_FAULTS; i++) {
        struct sim_config config = *shrinking->config;
        if (!(config.faults & 1u << i))
            continue;
        config.faults &= ~(1u << i);
        any |= attempt(shrinking, &config);
    }
    return any;
}

static bool fewer_stations(struct shrinking *shrinking)
{
    static const uint32_t counts[] = {2, 3, 4, 5, 7, 10, 20, 50};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct sim_config config = *shrinking->config;
        if (counts[i] >= config.stations)
            return false;
        config.stations = counts[i];
        if (attempt(shrinking, &config))
            return true;
    }
    return false;
}

static bool less_load(struct shrinking *shrinking)
{
    bool any = false;
    for (;;) {
        struct sim_config config = *shrinking->config;
        uint32_t load = config.load ? config.load : SIM_LOAD;
        if (load == 1)
            return any;
        config.load = load / 2;
        if (!attempt(shrinking, &config))
            return any;
        any = true;
    }
}

// Leaves out `from` to `to` as well; ranges that touch become one.
static bool leave_out(struct sim_config *config, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < config->skip_count; i++) {
        struct sim_skip *skip = &config->skips[i];
        if (from <= skip->to && to >= skip->from)
            return false; // some of it is out already: its own part is tried later
        if (skip->to + 1 == from || to + 1 == skip->from) {
            *skip = (struct sim_skip){from < skip->from ? from : skip->from, to > skip->to ? to : skip->to};
            return true;
        }
    }
    if (config->skip_count == SIM_SKIPS_MAX)
        return false;
    config->skips[config->skip_count++] = (struct sim_skip){from, to};
    return true;
}

// Halves, then quarters ... of the faults; what can be left out stays out.
static bool fewer_faults(struct shrinking *shrinking)
{
    bool any = false;
    uint32_t count = shrinking->result->faults;
    for (uint32_t size = count; size > 0 && now_s() < shrinking->end; size /= 2)
        for (uint32_t from = 1; from <= count; from += size) {
            struct sim_config config = *shrinking->config;
            if (leave_out(&config, from, from + size - 1 < count ? from + size - 1 : count))
                any |= attempt(shrinking, &config);
        }
    return any;
}

void sim_shrink(struct sim_config *config, struct sim_result *result, unsigned seconds)
{
    struct shrinking shrinking = {config, result, now_s() + seconds};
    bool smaller = true;
    while (smaller && now_s() < shrinking.end) {
        smaller = fewer_hours(&shrinking);
        smaller |= fewer_kinds(&shrinking);
        smaller |= fewer_stations(&shrinking); // gives faults other stations, so before those are counted
        smaller |= less_load(&shrinking);
        if (!smaller)
            fewer_faults(&shrinking);
    }
}
