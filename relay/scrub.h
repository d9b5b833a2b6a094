// Reads a whole store and says what in it is damaged: first its pages (tree.h), as the library need not be asked about a tree that is
// broken; then rows that are not what was written, and a tree that loses, repeats or misplaces rows. LMDB may crash on damage that was not
// foreseen, so this runs in a process of its own (node/scrub.h), whose end is an answer, too.
#pragma once
#include "relay/store.h"
#include "relay/tree.h"

enum {
    SCRUB_SLICE_MS = 200,    // one read transaction: pages that a writer wants back wait no longer
    SCRUB_TREE_MS = 2000,    // ... for pages: one is enough for some gigabytes, and only within one it shows that a page is used twice
    SCRUB_SLICE_ROWS = 5000, // rows between two looks at the clock's slice: the cost of a row is some microseconds
};

enum scrub_fault {
    SCRUB_ROW,   // the value is not what was written under this key
    SCRUB_ORDER, // the key does not come after the one before it
    SCRUB_LOST,  // the walk meets the key, a look-up does not
    SCRUB_COUNT, // the walk met another number of rows than the table says it has
    SCRUB_ERROR, // the store said so
};
struct scrub_finding {
    enum scrub_fault fault;
    enum table table;
    struct bytes key; // empty with SCRUB_COUNT and SCRUB_ERROR
};

struct scrub_visitor {
    void *context;
    // Whether the row is what was written: its own checksum, for each table. Pure.
    bool (*intact)(void *context, struct txn *txn, enum table table, struct bytes key, struct bytes value);
    void (*found)(void *context, const struct scrub_finding *finding);
    void (*table)(void *context, enum table table);                    // it begins
    void (*broken)(void *context, const struct tree_finding *finding); // a page of a tree: nothing is read after that
};

// Looks at all pages, in transactions of about SCRUB_TREE_MS, then walks every table, in transactions of at most SCRUB_SLICE_MS each.
// `alone`: nobody writes meanwhile, so that all pages are seen in one transaction, and counts must be equal over several. `ret_rows`: rows
// read. What is damaged is told to the visitor and is no error; ERR_MEMORY, ERR_BUSY and what else txn_begin() says are. One thread.
enum error_code scrub(struct store *store, const struct scrub_visitor *visitor, bool alone, uint64_t *ret_rows, struct error *error);
