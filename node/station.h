// A station: its directory opened, with everything in its place. What a running node and a command on a directory share.
#pragma once
#include "node/config.h"
#include "node/documents.h"
#include "relay/engine.h"
#include "relay/identity.h"
#include "relay/invite.h"
#include "relay/marker.h"

struct station;

// Makes a root station in `directory`, which must not exist or be empty. Everything is checked first and made beside it, then renamed
// into place: a crash or an error leaves no half station. `codebook_path` may be NULL. `listen` and `join` NULL: tcp://127.0.0.1:7310
// and :7311; only loopback addresses are taken unless `public_ok`.
enum error_code station_create_root(const char *directory, const char *unit, const char *units_path, const char *codebook_path,
                                    const char *listen, const char *join, struct error *error);
// Enrols with a token. Keys are made once (in DIRECTORY.joining) and kept over retries, so that a lost answer costs nothing. `listen` and
// `join` NULL: the station takes no children.
enum error_code station_join(const char *directory, const char *token, const char *listen, const char *join, struct error *error);

// Opens it for commands; nothing else may have it open (ERR_BUSY: a node runs there). A station whose store was put back from a copy
// opens read-only: it must not sign in its old incarnation.
enum error_code station_open(const char *directory, struct station **ret, struct error *error);
void station_close(struct station *station); // takes NULL; records in the marker that it stopped cleanly
// The node: links, control socket, until SIGINT or SIGTERM.
enum error_code station_run(const char *directory, struct error *error);

// For the service (any thread).
struct documents *station_documents(struct station *station); // held until station_release()
void station_release(struct station *station, struct documents *documents);
struct store *station_store(struct station *station);
const struct certificate *station_self(const struct station *station);
const struct certificate *station_ancestors(const struct station *station, uint32_t *ret_count); // parent first
const struct config *station_config(const struct station *station);
struct engine *station_engine(struct station *station); // NULL: not running
const struct marker *station_marker(const struct station *station);
bool station_restored(const struct station *station);       // read-only
uint64_t station_started_ms(const struct station *station); // monotonic
// Runs inside a write transaction with a desk ready; returns when durable. ERR_STATE when the station is read-only.
enum error_code station_write(struct station *station, enum error_code (*run)(void *argument, struct desk *desk, struct error *error),
                              void *argument, struct error *error);
// Who admits and invites: fills in `ret`. ERR_STATE: no join endpoint is configured.
enum error_code station_host(struct station *station, struct host *ret, struct error *error);
