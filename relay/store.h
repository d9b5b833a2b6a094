// The narrow ordered store under everything: tables of keys and values in byte order, one writer, many readers, transactions.
// LMDB in production (store_lmdb.c, the only file that includes lmdb.h); the simulator brings its own.
//
// A transaction's error is sticky: after the first failure every read answers "absent", every write does nothing, and commit fails
// with it. Callers read as straight lines and ask once.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "relay/bytes.h"
#include "relay/error.h"

// Layouts of keys and values: schema/store.md, same order.
#define TABLE_LIST(X)                                                                                                                      \
    X(META, "meta")             /* name -> value: format version first */                                                                  \
    X(OBJECTS, "objects")       /* hash -> certificate or document */                                                                      \
    X(FEED_IDS, "feed_ids")     /* feed key -> feed id */                                                                                  \
    X(FEEDS, "feeds")           /* feed id -> feed state */                                                                                \
    X(JOURNAL, "journal")       /* position -> batch */                                                                                    \
    X(BATCHES, "batches")       /* feed id, first sequence -> position */                                                                  \
    X(STREAMS, "streams")       /* stream, lane, position -> row */                                                                        \
    X(CARRIED, "carried")       /* stream, lane, object hash -> (): objects already in a stream */                                         \
    X(CURSORS, "cursors")       /* peer station, stream, lane -> what we hold of its stream; or it of ours */                              \
    X(STAGING, "staging")       /* peer station, stream, lane -> a body received in part */                                                \
    X(EVIDENCE, "evidence")     /* feed id, sequence, header hash -> the other batch of a fork */                                          \
    X(DEFERRED, "deferred")     /* what it waits for, position -> () */                                                                    \
    X(PEERS, "peers")           /* station id -> enrolled child */                                                                         \
    X(TOKENS, "tokens")         /* hash of a token's secret -> token */                                                                    \
    X(HEADS, "heads")           /* station -> its signed heads, the latest */                                                              \
    X(ALARMS, "alarms")         /* number -> alarm */                                                                                      \
    X(UNITS, "units")           /* unit code, valid from -> unit id */                                                                     \
    X(HEARD, "heard")           /* unit id -> last statement heard */                                                                      \
    X(COMPLETE, "complete")     /* unit id, period type -> complete through */                                                             \
    X(GROUPS, "groups")         /* definition, unit id, period -> who speaks */                                                            \
    X(CELLS, "cells")           /* definition, unit id, period, chunk -> stated values */                                                  \
    X(BELOW, "below")           /* definition, unit id, period, chunk -> sums of the units below */                                        \
    X(RECORDS, "records")       /* subject or none, record -> sealed latest revision */                                                    \
    X(RECORD_IDS, "record_ids") /* record -> subject, revision */                                                                          \
    X(SUBJECTS, "subjects")     /* subject -> sealed state */                                                                              \
    X(EDGES, "edges")           /* civil date, subject -> (): when time alone changes a stock */                                           \
    X(URGENT, "urgent")         /* decided, feed id, first -> an urgent batch of ours, and whose receipt it waits for */                   \
    X(RECEIPTS, "receipts")     /* feed id, first, station, state -> who has it since when, and where the proof is */                      \
    X(QUARANTINE, "quarantine") /* damaged journal row or object -> since when, what stood there */                                        \
    X(COPIES, "copies")         /* hash -> certificate or document, once more */                                                           \
    X(GUESTS, "guests")         /* station id -> station below a child that calls past it */

enum table {
#define X(name, text) TABLE_##name,
    TABLE_LIST(X)
#undef X
        TABLE_COUNT
};

// "meta" ...: names on disk, never changed.
const char *table_name(enum table table);

enum { STORE_FORMAT = 1 }; // of every table's layout; what may change without a new one: schema/store.md

struct store;
struct txn;
struct cursor;

enum store_mode {
    STORE_CREATE,    // makes a new store; refuses a directory that has one
    STORE_OPEN,      // reads and writes
    STORE_READ_ONLY, // beside a running node
};

// Opens DIR/store; DIR must be there. Creation happens in a temporary directory that is synced and renamed into place, so a crash
// leaves either no store or a whole one (empty but for its format; a temporary directory left behind is ignored by everything).
// Refuses, and keeps, a store that is truncated, damaged or of an unknown format (ERR_CORRUPT, ERR_VERSION). ERR_EXISTS: STORE_CREATE
// where DIR/store is, whatever it holds. ERR_NOT_FOUND: nothing there. ERR_IO: rights or disk. ERR_BUSY: too many files are open, here or
// on the machine. ERR_FULL, ERR_MEMORY, ERR_LIMIT (path).
// `map_bytes` 0: default (64 GiB of address space; costs nothing); it grows by itself. One open per process and directory, and not
// across fork(). Two processes may not both write: the station's own lock sees to that, not the store.
enum error_code store_open(const char *directory, enum store_mode mode, uint64_t map_bytes, struct store **ret, struct error *error);
void store_close(struct store *store); // takes NULL; no transaction may be open
// Bytes of the file, and of the map: an alarm at 80 %, though it grows. Any thread.
void store_size(struct store *store, uint64_t *ret_bytes, uint64_t *ret_map_bytes);

// One write transaction at a time, always on the thread that began it (blocks while another is open). Readers never block, see the
// last commit, may move between threads (one at a time), and must be short: never across network I/O. Returns NULL with `error` set:
// ERR_BUSY out of readers (126 over all processes), ERR_MEMORY, ERR_STORE after a commit of unknown outcome. A thread that holds a
// reader may begin the writer; while a full map waits to grow that costs it up to two seconds.
struct txn *txn_begin(struct store *store, bool write, struct error *error);
enum error_code txn_error(const struct txn *txn);
// The file that the transaction reads, and the number of the commit that it sees, for who checks its pages (tree.h): they stay as they are
// while the transaction is open. The store's descriptor. False: a store that is in no file.
bool txn_file(struct txn *txn, int *ret_fd, uint64_t *ret_number);
enum error_code txn_report(const struct txn *txn, struct error *error); // the same, with its text
// Marks the transaction failed: for callers that find damage. The first error wins.
void txn_fail(struct txn *txn, enum error_code code, const char *detail);
// Durable when it returns OK. Always ends the transaction. ERR_FULL: nothing was changed, the store stays usable: the disk is full, or
// the map was and has grown by the next transaction, so one more try tells them apart. ERR_STORE: the outcome is unknown; the process
// must end and open again. Any other error: nothing was changed. A read transaction: as txn_abort(), returning its error.
enum error_code txn_commit(struct txn *txn, struct error *error);
void txn_abort(struct txn *txn); // takes NULL

// Keys have 1 to 511 bytes, values at most 256 MiB (ERR_LIMIT). What is written must not point into the store: copy it first.
// Spans point into the store, are aligned to nothing (get_be32() and the like, memcpy), and live until the next write in this
// transaction or its end.
bool txn_get(struct txn *txn, enum table table, struct bytes key, struct bytes *ret);
void txn_put(struct txn *txn, enum table table, struct bytes key, struct bytes value);
// Only for a key greater than all in the table: the fast path of the journal. Otherwise the transaction fails with ERR_CORRUPT.
void txn_append(struct txn *txn, enum table table, struct bytes key, struct bytes value);
bool txn_delete(struct txn *txn, enum table table, struct bytes key); // whether it was there
uint64_t txn_count(struct txn *txn, enum table table);

// Cursors live inside one transaction and must be closed before it ends. Every mover returns whether it stands on a row.
// A write to the same table through the transaction invalidates the cursor: seek again (anything else asserts).
// Beside the rows there are two resting places. Before the first row: cursor_next() goes to the first. Behind the last, also after a
// seek that found nothing: cursor_prev() goes to the last. On a new cursor both do what that says.
struct cursor *cursor_open(struct txn *txn, enum table table); // NULL: the transaction failed
bool cursor_seek(struct cursor *cursor, struct bytes key);     // first key >= `key`; empty: the first
bool cursor_next(struct cursor *cursor);
bool cursor_prev(struct cursor *cursor);
bool cursor_last(struct cursor *cursor);
struct bytes cursor_key(const struct cursor *cursor);
struct bytes cursor_value(const struct cursor *cursor);
void cursor_close(struct cursor *cursor); // takes NULL
