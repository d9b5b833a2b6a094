// Whole stations for tests of node/: real directories, made as `sanji init` and `sanji join` make them, a node in a process of its own, and
// other stations whose signed batches arrive. Everything fails the test on an error that the caller did not ask for.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/types.h>

#include "control.pb-c.h"
#include "node/cli/client.h"
#include "node/station.h"
#include "relay/author.h"
#include "relay/batch.h"
#include "relay/receive.h"

// C county; T1, T2 townships; V1, V2 villages of T1, V3 of T2.
extern const char stations_units[], stations_codebook[];
// A directory with units.csv and codebook.yaml in it. stations_end() removes it.
struct stations {
    char *base;
    char units[160], codebook[160]; // paths
    char root[160];                 // directory of the root station, made by stations_root()
    pid_t running;                  // the root's node; 0: none
};
void stations_begin(struct stations *stations);
void stations_end(struct stations *stations); // also stops the node
void stations_path(const struct stations *stations, const char *name, char ret[160]);
void stations_write(const char *path, const char *text);
void stations_copy(const char *from, const char *to); // a whole directory
bool stations_exists(const char *path);
unsigned stations_entries(const char *directory); // files and directories in it

void stations_root(struct stations *stations); // unit C, free ports of this machine
// The root's node, in a process; returns when it answers. stations_stop(): asks it to, and its exit must be clean.
void stations_run(struct stations *stations);
void stations_stop(struct stations *stations);
void stations_kill(struct stations *stations); // SIGKILL

// Asks the directory's node, or the directory.
enum error_code stations_ask(const char *directory, Sanji__Request *request, Sanji__Reply__ReplyCase wanted, struct client_answer *ret,
                             struct error *error);
void stations_invite(const char *directory, const char *unit, uint64_t ttl_ms, int32_t from_period, char ret[512]);
enum error_code stations_record(const char *directory, const char *unit, const char *form, const char *json, struct error *error);
// A station of the unit, enrolled with the root's running node, in base/NAME.
void stations_child(struct stations *stations, const char *unit, const char *name, char ret[160]);

// ---- what another station says
struct guest {
    struct certificate certificate, issuer;
    struct buffer wire; // its SignedCertificate
    struct secret_key key;
    struct feed_key feed;
    struct feed_state state;
    struct batch_draft draft;
    uint64_t now_ms; // its clock: 2024-06-15
    uint64_t positions;
};
// A new station for the unit, certified by the station of `issuer` (a directory), saying `units` is the tree it was enrolled under.
void guest_enrol(struct guest *guest, const char *issuer, const struct certificate *by, const char *unit, const struct hash *units);
// The station of the directory `root` itself, in a control feed for all below.
void guest_root(struct guest *guest, const char *root, const struct certificate *certificate);
void guest_finish(struct guest *guest);
void guest_say(struct guest *guest, uint32_t kind, struct bytes content, bool sealed);
void guest_statement(struct guest *guest, const struct hash *definition, const char *unit, int32_t month, uint32_t cell, int64_t value);
void guest_announce(struct guest *guest, uint32_t kind, const struct hash *hash, uint32_t version, struct bytes content);
// One batch of what was said: as it arrives. The caller ends it with arrival_finish(). A document, a certificate: guest_object().
void guest_sign(struct guest *guest, struct arrival *ret);
void guest_object(struct guest *guest, const struct hash *name, struct bytes content, struct arrival *ret);
// Hands an arrival to an open station as the writer would, with hooks of the test's own; ends the arrival.
enum received stations_receive(struct station *station, struct arrival *arrival);

int32_t stations_month(int year, int month);
