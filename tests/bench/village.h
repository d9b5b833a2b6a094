// A village for benchmarks: keys, store, writer, engine and connection are the production code's, all in one process and without what
// node/ does with records. Its township cannot tell it from a station. What goes wrong ends the process.
#pragma once
#include <stdatomic.h>

#include "node/station.h"

// As `bench_villages make` keeps it.
struct enrolled {
    struct identity identity;
    uint32_t sizes[1 + CHAIN_MAX]; // of the certificate and the chain, root first; 0 behind the last
    uint8_t wires[1 + CHAIN_MAX][CERTIFICATE_MAX];
};

struct village {
    struct enrolled enrolled;
    struct certificate self, ancestors[CHAIN_MAX]; // parent first
    struct hash root;
    uint64_t generation, nonce, starts;
    struct store *store;
    struct signers *signers;
    struct author *author;
    struct writer *writer;
    struct engine *engine;
    atomic_uint_fast64_t heard_ms; // when something was last received
    // What arrives, on the writer's thread, in its transaction. NULL: nobody asks.
    void (*on_entry)(struct village *village, const struct certificate *signer, const struct entry *entry);
};

void village_die(const char *what, const struct error *error);
void village_must(enum error_code code, const char *what, const struct error *error);
// `directory` NULL: the store is in memory, and whoever turns the engine turns the writer; else it is made there, and the writer has a
// thread.
void village_open(struct village *village, const struct enrolled *enrolled, const char *directory);
// Makes its engine and begins; turns are the caller's (village_turn), or a thread's in engine_run().
void village_link(struct village *village, const char *endpoint);
void village_turn(struct village *village);
extern atomic_uint village_live; // links that became live
// Adds a statement of one cell to the open batch of a lane.
void village_state(struct village *village, struct txn *txn, unsigned lane, uint32_t extent, uint32_t cell, int64_t value);
