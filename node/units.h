// The unit tree: read from CSV (code,name,tier,parent_code), any codes up to 32 bytes, any depth to 16, 50,000 units.
// Immutable once loaded: share it between threads, replace it whole.
#pragma once
#include "relay/error.h"
#include "relay/types.h"

enum { UNIT_NONE = -1 };

struct unit {
    char code[UNIT_CODE_MAX + 1];
    char name[UNIT_NAME_MAX + 1];
    uint32_t from;  // valid from, days since 1970-01-01; 0: since ever (column valid_from, optional)
    uint16_t tier;  // index in units->tiers
    uint16_t depth; // root 0
    bool counted;   // owes reports (column counted, optional: "false" for pseudo-villages)
    int32_t parent; // UNIT_NONE at the root
    int32_t first_child, next_sibling;
    int32_t subtree_end; // units are in preorder: the subtree of i is [i, subtree_end)
};

struct units {
    struct unit *items; // preorder; children in the order of the file
    int32_t count;
    char (*tiers)[TIER_NAME_MAX + 1];
    uint16_t tier_count;
    struct hash hash; // of the document's bytes
    int32_t *by_code; // sorted by code, for units_find()
};

// The document is the CSV itself: content-addressed, carried down the tree. Errors carry `name`:line and the column: unknown or missing
// column, bad code, duplicate code, unknown parent, loop, two roots, no root, too deep, too many, not UTF-8, unbalanced quotes.
enum error_code units_parse(struct bytes csv, const char *name, struct units **ret, struct error *error);
void units_destroy(struct units *units);                         // takes NULL
int32_t units_find(const struct units *units, const char *code); // UNIT_NONE: unknown
// The same, quick when it is `guess` (an index, or UNIT_NONE).
int32_t units_find_near(const struct units *units, int32_t guess, const char *code);
static inline bool units_within(const struct units *units, int32_t unit, int32_t ancestor)
{
    return unit >= ancestor && unit < units->items[ancestor].subtree_end;
}
int32_t units_tier(const struct units *units, const char *tier); // index, or -1
