// Between node/proof_collect.c and node/proof_make.c only.
#pragma once
#include "node/figures_inside.h"
#include "node/proof.h"
#include "relay/journal.h"

// A group whose value is proved: who speaks for it.
struct proved_group {
    int32_t unit;
    int32_t period; // of measure->period_type
    struct group_state state;
};

// A statement that belongs to it, in the journal.
struct proved_entry {
    uint32_t group;
    uint32_t index; // in its batch
    uint64_t sequence;
    uint64_t position; // of the batch
};

struct collection {
    const struct plan *plan;
    const struct measure *measure;
    bool itself;                 // the unit's own statements only
    struct proved_group *groups; // by unit, then period
    uint32_t group_count, group_capacity;
    struct proved_entry *entries; // by group, then sequence, once collected
    uint32_t entry_count, entry_capacity;
    uint32_t unit_count;
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *context;
};

enum error_code collect(struct collection *collection, struct error *error);
void collection_finish(struct collection *collection);
