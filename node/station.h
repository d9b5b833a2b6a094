// A station: its directory opened, with everything in its place. What a running node and a command on a directory share.
#pragma once
#include "node/config.h"
#include "node/documents.h"
#include "relay/engine.h"
#include "relay/identity.h"
#include "relay/invite.h"
#include "relay/marker.h"

struct station;

// Makes a root station in `directory`, which must not exist or be empty. Everything is checked first and made beside it, in
// DIRECTORY.making-PID, then renamed into place: a crash or an error leaves no half station (after a crash, that directory).
// `codebook_path` may be NULL. `listen` and `join` NULL: tcp://127.0.0.1:7310 and :7311. ERR_EXISTS: something is there. ERR_INPUT,
// ERR_LIMIT, ERR_VERSION: an address, the CSV or the codebook, with its line. ERR_NOT_FOUND: no such unit in the tree; ERR_REFUSED: it is
// not the tree's root. ERR_IO, ERR_FULL: files and disk.
enum error_code station_create_root(const char *directory, const char *unit, const char *units_path, const char *codebook_path,
                                    const char *listen, const char *join, struct error *error);
// Enrols with a token; takes up to 30 s. Keys are made once, in DIRECTORY.joining, and kept over retries and crashes, so that a lost answer
// costs nothing: the parent gives the same certificate again. They go when the parent refuses them. `listen` and `join` NULL: the station
// takes no children. Errors as station_create_root(), and: ERR_INPUT the token; ERR_REFUSED what the parent says; ERR_FORGED the answer is
// not by the parent, or not of the root, that the token names, or not for our keys; ERR_NETWORK, ERR_TIMEOUT.
enum error_code station_join(const char *directory, const char *token, const char *listen, const char *join, struct error *error);

// Opens it for commands on this thread; nothing else may have it open (ERR_BUSY: a node runs there, or another command). A station whose
// store was put back from a copy opens read-only: it must not sign in its old incarnation. ERR_NOT_FOUND: no station there; ERR_INPUT:
// station.conf; ERR_CORRUPT: keys, store, marker and station.conf are not of one station, or damaged. It counts the start: two small
// commits, on a full disk with what was kept back for them (ERR_FULL: that is used up).
enum error_code station_open(const char *directory, struct station **ret, struct error *error);
// The same for commands that only read: nothing is written, neither store nor marker, whatever the disk has room for. station_write() and
// station_host() are not for it.
enum error_code station_open_reading(const char *directory, struct station **ret, struct error *error);
// Takes NULL. Records in the marker that it stopped cleanly; a process that ends without it is a crash, and no restore.
void station_close(struct station *station);
// The node: links, control socket, until SIGINT or SIGTERM or a StopRequest. Sets the process up for it: umask, signals, no core files;
// one at a time in a process. Errors as station_open(), those of the addresses, and why the engine could not go on. A commit of unknown
// outcome ends the process with 1.
enum error_code station_run(const char *directory, struct error *error);

// For the service (any thread, while the station is open).
// The documents in force, as committed; they live until station_release(), whatever comes into force meanwhile.
struct documents *station_documents(struct station *station);
void station_release(struct station *station, struct documents *documents);
struct store *station_store(struct station *station);
const struct certificate *station_self(const struct station *station);
const struct certificate *station_ancestors(const struct station *station, uint32_t *ret_count); // parent first
const struct config *station_config(const struct station *station);
struct engine *station_engine(struct station *station); // NULL: not running
const struct marker *station_marker(const struct station *station);
bool station_restored(const struct station *station);       // read-only
bool station_full(const struct station *station);           // the disk is: new work is refused until a transaction finds room
uint64_t station_started_ms(const struct station *station); // monotonic
// Runs `run` inside a write transaction with a desk ready, on the writer's thread (station_open(): on this one); returns when it is
// durable, or has failed and changed nothing. It may run more than once, and must not keep the desk. ERR_STATE: the station is read-only;
// ERR_BUSY: too much waits; what `run` returns; ERR_FULL and other errors of the commit.
enum error_code station_write(struct station *station, enum error_code (*run)(void *argument, struct desk *desk, struct error *error),
                              void *argument, struct error *error);
// Who admits and invites: fills in `ret`, whose pointers live as long as the station. ERR_STATE: no join endpoint is configured.
enum error_code station_host(struct station *station, struct host *ret, struct error *error);
