// The station's inside: what station.c (opening and asking it), station_work.c (its transactions, its time, enrolment) and station_run.c
// (the running node) share.
#pragma once
#include "node/station.h"

#include <pthread.h>
#include <stdatomic.h>

#include "node/apply.h"
#include "node/control.h"
#include "node/ledger.h"
#include "relay/incarnation.h"

enum { PATH_SIZE = 4096 };

struct station {
    char directory[PATH_SIZE];
    int lock;
    struct config config;
    struct identity identity;
    bool reading; // opened for that alone: nothing is written
    struct keyring *keyring;
    struct store *store;
    struct journal_meta meta;
    struct marker marker;
    atomic_bool restored; // read-only; set at the start, or when a peer proves it
    struct certificate self, ancestors[DEPTH_MAX];
    uint32_t ancestor_count;
    struct documents *documents; // as committed; replaced on the writer's thread only, under the mutex
    struct documents *next;      // of the open transaction, the writer's: in place when it is committed. NULL: as before
    pthread_mutex_t documents_mutex;
    struct signers *signers;
    struct author *author;
    struct ledger *ledger;
    struct writer *writer;
    struct engine *engine;
    struct control *control;
    struct desk desk; // of the transaction that is open
    struct applier applier;
    struct receiver receiver;
    atomic_uint_fast64_t due_ms;   // monotonic: when the station next owes something; UINT64_MAX: never
    bool stated;                   // in this transaction
    atomic_bool full;              // the last transaction found no room
    bool owes_alarm;               // ... and of that there is to be an alarm, when there is room for it
    uint64_t full_ms, told_ms;     // since when (UTC); when that was last said (monotonic)
    struct guesses guesses;        // of tokens; the writer's
    uint64_t end;                  // of the journal, in this transaction
    struct keeper *_Atomic keeper; // of the marker; NULL: none runs
    uint64_t started_ms;
    bool scrubbed;              // the whole store has been read since the start
    struct scrub_report *found; // at the start; NULL: nothing, or entered already
    struct station_scrub *scrub;
    struct error failure; // why the scrubber ended the node
};

// For a node (with a writer of its own), for a command, for one that only reads. As station_open().
enum station_use { STATION_RUNS, STATION_WRITES, STATION_READS };
enum error_code station_open_as(const char *directory, enum station_use use, struct station **ret, struct error *error);
// For a salvage: with the store in `store_directory`/store, which was made for it, restored as `marker` says, and able to take rows that
// were its own before; nothing but that store is written. `lock`: a descriptor of DIR/lock that holds it; stays the caller's.
enum error_code station_open_salvaged(const char *directory, const char *store_directory, const struct marker *marker, int lock,
                                      struct station **ret, struct error *error);
// Writes the marker as of the last commit. Not while the keeper runs (station_keep.c).
enum error_code station_mark(struct station *station, bool clean, struct error *error);
// The marker says from now on that the store was put back from a copy, and which incarnation is asked for.
enum error_code station_suspend(struct station *station, struct error *error);
// Keeps the marker near the journal's end while the node runs (station_keep.c), on a thread of its own. ERR_MEMORY.
enum error_code keeper_start(struct station *station, struct error *error);
void keeper_stop(struct station *station);    // takes one that was not started; once
void keeper_destroy(struct station *station); // after the writer's end, whose commits it is told
// A commit made the journal end at `end`. Any thread; never waits for the disk.
void keeper_note(struct station *station, uint64_t end);
// One line on stderr: time, ALARM or nothing, text.
void station_log(void *unused, bool alarm, const char *text);
// What is in force now takes the place of what was; who holds the old one goes on with it. Consumes `documents`.
void station_replace_documents(struct station *station, struct documents *documents);
// Damage on disk (station_scrub.c). First: before the store is opened, for that alone may end the process; ERR_CORRUPT: the tree is
// damaged, and `ret_died` says whether it did. Enter: what was found then goes into quarantine. Start, stop: the thread that looks once a
// day, beside the engine.
enum error_code station_scrub_first(struct station *station, bool *ret_died, struct error *error);
void station_scrub_enter(struct station *station);
enum error_code station_scrub_start(struct station *station, struct error *error);
void station_scrub_stop(struct station *station);
// What the writer and the engine call (station_work.c).
struct writer_hooks station_writer_hooks(struct station *station);
struct engine_hooks station_engine_hooks(struct station *station);
