// The inside of struct ledger, for node/ledger*.c only.
#pragma once
#include "node/ledger_cache.h"

// What is known of a unit in this transaction; by index in the unit tree.
struct unit_seen {
    uint32_t id; // UNIT_ID_NONE: not asked yet; kept over transactions
    bool heard_loaded, heard_dirty;
    bool complete_loaded, complete_known, complete_dirty;
    struct heard_row heard;
    struct complete_row complete; // by month
};

// The month of a civil day, as last computed; day 0: of 1970, never asked for.
struct month_seen {
    int32_t day, month;
};

// One change of an own cell, as it was asked for; folded in order.
struct own_change {
    uint32_t cell;
    uint32_t order; // of the call
    int64_t value;
    bool set; // absolute; otherwise a difference
};

struct own_group {
    struct group_key key;
    char unit[UNIT_CODE_MAX + 1];
    uint32_t basis;
    struct own_change *changes;
    uint32_t count, capacity;
};

struct ledger {
    struct ledger_cache cache;

    struct unit_seen *units; // parallel to the tree of `tree`
    int32_t unit_count;
    struct hash tree; // hash of the unit tree that `units` is for
    int32_t *touched; // indices with something dirty or loaded
    int32_t touched_count;

    struct month_seen speakers_month, own_month;

    struct own_group *own; // what ledger_add() and ledger_set() gathered
    uint32_t own_count, own_capacity;
    uint32_t *own_slots; // open addressing: index + 1
    uint32_t own_mask;
    uint32_t order;
    struct buffer wire; // scratch: one statement's bytes
    uint32_t *cells;    // scratch: CELLS_MAX
    int64_t *values;
};

// Makes ledger->units fit the desk's tree. False: the transaction has failed.
bool ledger_units(struct ledger *ledger, const struct desk *desk);
uint32_t ledger_unit_id(struct ledger *ledger, const struct desk *desk, int32_t unit);       // UNIT_ID_NONE: the transaction has failed
struct unit_seen *ledger_unit(struct ledger *ledger, const struct desk *desk, int32_t unit); // with its complete row
struct speaker ledger_own_speaker(const struct desk *desk, uint64_t sequence);
void own_clear(struct ledger *ledger);
