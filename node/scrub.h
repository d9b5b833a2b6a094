// The scrubber as a process: reads a station's whole store with low priority, and says what is damaged. A damaged page can make the
// library under the store crash or hang; then that process does, and whoever started it knows why.
#pragma once
#include "relay/store.h"

enum {
    SCRUB_FOUND_MAX = 1000, // damaged rows kept with their keys; further ones are only counted
    SCRUB_KEY_MAX = 511,    // bytes
    SCRUB_CPU_S = 60,       // CPU seconds it may take, and one for each SCRUB_CPU_BYTES of the store: ten times what it needs
    SCRUB_CPU_BYTES = 16 << 20,
    SCRUB_TEXT_MAX = 256,
};

struct scrub_report {
    uint64_t rows;    // read
    uint64_t damaged; // rows
    uint32_t count;   // of `found`
    struct scrub_found {
        enum table table;
        uint16_t key_size;
        uint8_t key[SCRUB_KEY_MAX];
    } found[SCRUB_FOUND_MAX];
    bool broken;              // the tree itself is damaged: rows may be missing, and nothing may be written there
    char how[SCRUB_TEXT_MAX]; // in the thread's language, when broken
    bool died;                // reading it ended the scrubber's process: it must not be opened in another
    bool beyond_fetching;     // damaged rows of tables that neighbours can't give back: `sanji rebuild` does
    struct error failure;     // code not OK: what kept it from reading, which says nothing about the store
};

// The reading itself, in this process: opens DIR/store read-only, writes lines to `fd`. Exit status: 0 it was read to the end, 1 it could
// not be. `alone`: no node runs there. Lowers its priority for good.
int scrub_worker(const char *directory, bool alone, int fd);

// The program that runs scrub_worker() as `PROGRAM scrub --worker DIR`; NULL (the default): none, and scrub_begin() says ERR_STATE. Kept,
// not copied. Call before threads are started.
void scrub_use_program(const char *program);

// A scrubber that runs. Zero-initialised; one thread.
struct scrubber {
    int pid, fd;
    enum table at;
    size_t line_size;
    char line[2 * SCRUB_KEY_MAX + 64];
    bool done; // it said that it came to the end
};
// ERR_STATE: no program is known; ERR_IO, ERR_MEMORY: none could be started.
enum error_code scrub_begin(const char *directory, bool alone, struct scrubber *ret, struct error *error);
// Takes what it says into `report` for at most `timeout_ms`, or until `wake_fd` (-1: none) can be read. True: it has ended, and the report
// is whole.
bool scrub_watch(struct scrubber *scrubber, int timeout_ms, int wake_fd, struct scrub_report *report);
void scrub_end(struct scrubber *scrubber); // ends it if it runs; takes zeroed ones, and ended ones
// What to do about it, as an error: ERR_CORRUPT, with `path` before it.
enum error_code scrub_advice(const char *path, const struct scrub_report *report, struct error *error);
// All three, but for the advice: the tree may be damaged in a report that is OK. Errors also as store_open() (another format, no rights,
// no memory). The report is the caller's (it is half a megabyte: not on a thread's stack).
enum error_code scrub_directory(const char *directory, bool alone, struct scrub_report *ret, struct error *error);
