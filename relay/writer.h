// The one writer of a store: takes jobs, runs as many as wait in one transaction (group commit), commits, tells who waited.
//
// Jobs are what arrived on links, and calls (a function that runs inside the transaction). They are taken lane by lane, urgent first; a
// transaction takes at most WRITER_BYTES_MAX, so that what comes later is not kept waiting. A job that fails (a call that says so; any
// that fails the transaction by what it reads or writes) changes nothing: the transaction is run again without it. What is nobody's fault
// (ERR_FULL, ERR_MEMORY, ERR_STORE, a hook's error) fails all jobs of the transaction; a map that was full has grown and is tried once
// more.
//
// Nothing is told before the commit that holds it has returned: marks, outcomes and ends of streams are those of the committed attempt.
//
// With a thread, writer_submit() and writer_call() may be used from any thread. Without one (a command on a directory where no node
// runs; the simulator) writer_call() does the work on the caller's thread, and what was submitted waits for writer_turn().
#pragma once
#include "relay/receive.h"

enum {
    WRITER_JOBS_MAX = 4096,                    // in one transaction: a commit costs two flushes, whatever it holds
    WRITER_BYTES_MAX = 8 * 1024 * 1024,        // in one transaction, about 20 ms of work
    WRITER_QUEUE_BYTES_MAX = 64 * 1024 * 1024, // waiting; the links' credit keeps it far below
};

struct writer;
struct job;

// Run on the thread that runs the transaction, but for what is said. A transaction that is run again begins and aborts each time.
struct writer_hooks {
    void *context;
    void (*begin)(void *context, struct txn *txn);                              // a transaction begins
    void (*before_commit)(void *context, struct txn *txn, struct grown *grown); // sign and flush what has gathered
    void (*aborted)(void *context);                                             // forget it; also where none could begin
    void (*committed)(void *context);
    void (*fatal)(void *context, const struct error *error); // the outcome of a commit is unknown: the process must end
    void (*done)(void *context);                             // jobs are done: writer_take(); on the writer's thread, must only wake
    void (*full)(void *context, const struct error *error);  // after aborted: there was no room. May be NULL
};

// One row that arrived, with where it came from.
struct arrival_job {
    struct arrival arrival;
    uint32_t link;
    unsigned channel;
    uint64_t session, after;
    enum received outcome;
    enum error_code code; // OK; ERR_FULL and the like: not stored, to be tried again; `outcome` and `mark` mean nothing then
    struct mark mark;     // ours of that stream, after it, when it was received
};

// A call that nobody waits for; `finished` (may be NULL) runs on the thread that calls writer_take(), whatever came of it.
struct call_job {
    // May run more than once, the last time counts. Any code but OK: it fails. In the language of the thread that submitted it.
    enum error_code (*run)(void *argument, struct txn *txn, struct error *error);
    void (*finished)(void *argument, enum error_code code, const struct error *error);
    void *argument;
    enum error_code code;
    struct error error;
};

// `receiver` and `hooks` are copied, what they point to must outlive the writer; receiver->entries is the writer's own. ERR_MEMORY: also
// when no thread can be started. `ret` is the caller's, for writer_destroy().
enum error_code writer_create(struct store *store, const struct receiver *receiver, const struct writer_hooks *hooks, bool threaded,
                              struct writer **ret, struct error *error);
void writer_destroy(struct writer *writer); // the thread finishes what was submitted; without one it fails with ERR_BUSY; takes NULL

// Takes over the job, allocated with malloc, until writer_take() hands it back. ERR_BUSY: too much waits, or the writer stops; ERR_MEMORY:
// nothing is taken over then. arrival.lane is 1..LANES.
enum error_code writer_submit_arrival(struct writer *writer, struct arrival_job *job);
// The same; `call` is copied, `argument` stays the caller's until `finished`.
enum error_code writer_submit_call(struct writer *writer, const struct call_job *call);
// Runs a function in a transaction (call_job.run) and returns when it is durable, or failed and changed nothing: its own code, the
// transaction's, or ERR_BUSY when too much waits. Not from inside a job.
enum error_code writer_call(struct writer *writer, enum error_code (*run)(void *argument, struct txn *txn, struct error *error),
                            void *argument, struct error *error);

// Without a thread: one transaction of what waits, as the thread would. False: nothing waited.
bool writer_turn(struct writer *writer);

// Finished arrivals, in the order they were stored, to be freed with arrival_finish() and free(). Runs the `finished` of calls on the way.
// NULL: none left, and `ret_grown` are the streams that grew in all commits up to now since it was NULL before. One thread.
struct arrival_job *writer_take(struct writer *writer, struct grown *ret_grown);
