// Reads what can still be read of a database file whose tree is broken: every place of every page that looks like a row is held against the
// row's own checksum, which says of which table it is and under which key. The tree, the page headers and the free list are not trusted and
// not needed, so rows that were deleted or replaced turn up, too, and rows of transactions that were never committed: what is the newest is
// for the caller to say. Knows the nodes of LMDB 0.9's pages (mdb.c: MDB_node, overflow pages). Total: any bytes whatever only give fewer
// rows.
//
// Only rows that nothing else gives back: META, OBJECTS and COPIES, JOURNAL, EVIDENCE, PEERS, GUESTS, ALARMS.
#pragma once
#include "relay/bytes.h"
#include "relay/error.h"
#include "relay/store.h"

enum {
    SALVAGE_KEY_MAX = 64,            // bytes; all keys of those tables are shorter
    SALVAGE_HASHED_PAGES = 16,       // bytes of one page's rows that are looked at, in pages: many times what a page can hold
    SALVAGE_BIG_MAX = 65536 / 24 + 1 // rows outside of a page that one page can name
};

// A file, or bytes in memory. `read` fills in all of `size` or says false (a bad sector: that page is passed over). Borrowed.
struct salvage_source {
    void *context;
    bool (*read)(void *context, uint64_t offset, void *data, size_t size);
    uint64_t size;
};
struct salvaged {
    enum table table;
    struct bytes key, fields; // fields: the value without its checksum; both live until the callback returns
    uint64_t offset;          // of the fields in the source
};
struct salvage_count {
    uint64_t pages, unreadable; // read, and those that could not be
    uint64_t rows;              // whole rows, old versions included
};

// Hands over each whole row, in order of pages; `found` false ends it (ERR_MEMORY). `progress` (may be NULL) gets bytes. ERR_MEMORY.
enum error_code salvage_scan(const struct salvage_source *source, bool (*found)(void *context, const struct salvaged *row),
                             void (*progress)(void *context, uint64_t done, uint64_t total), void *found_context, void *progress_context,
                             struct salvage_count *ret, struct error *error);
