// Holds the pages of one snapshot of the database file against what LMDB writes (page.h): every page of every tree, with plain reads;
// nothing is trusted, nothing is mapped. The library itself trusts them all: it crashes on some damaged pages, and spoils rows when it next
// writes to others, such as one whose bounds of the free space are wrong.
//
// The caller sees to it that the snapshot stays: a read transaction on it lives, or nobody writes, or the meta pages are the same
// afterwards.
#pragma once
#include <stdbool.h>

#include "relay/error.h"
#include "relay/page.h"

enum {
    TREE_NAME_MAX = 32,   // with its NUL: longer than any table's
    TREE_TABLES_MAX = 64, // twice as many as a store may have
    TREE_TEXT_MAX = 256,
};

// The first damage that was met.
struct tree_finding {
    enum page_fault fault; // PAGE_WHOLE: none
    uint64_t page;
    char table[TREE_NAME_MAX]; // whose page it is: a table's name; "tables": the list of them; "free": that of free pages; "meta"
};
const char *tree_fault_name(enum page_fault fault);                              // "whole" ...: one word
bool tree_fault_of(const char *name, enum page_fault *ret);                      // ... and back
void tree_describe(const struct tree_finding *finding, char ret[TREE_TEXT_MAX]); // in the thread's language

// The newest of the two meta pages. ERR_CORRUPT; ERR_VERSION: both are of another version of LMDB. A writer may change them meanwhile.
enum error_code tree_metas(int fd, struct page_meta *ret);

// What is cheap, for every opening: the list of tables, each table's topmost page, and that the list of free pages is that of the last
// commit. OK, also when damage was found; ERR_MEMORY.
enum error_code tree_check_tops(int fd, const struct page_meta *meta, struct tree_finding *ret);
// Which pages are free, a bit for each: `ret` has room for all up to meta->last_page and is zero. Also sets those of the list itself.
enum error_code tree_free_pages(int fd, const struct page_meta *meta, uint8_t *ret, struct tree_finding *ret_finding);

// Everything, in as many snapshots as it takes: page by page, and what a tree's record says of its size when one snapshot sees all of it.
// When one snapshot sees all of the store, also that no page is used twice or is free as well. Zero-initialised; all but `finding` is its
// own. One thread.
struct tree_check {
    struct tree_finding finding;
    int fd;
    struct page_meta meta;
    uint64_t deadline_ms;
    bool began, paused, no_memory;
    uint8_t *pages;  // one for each level
    uint8_t *used;   // bit per page; NULL: one snapshot was not enough
    uint64_t looked; // leaves of this snapshot
    struct page_tree seen;
    char table[TREE_NAME_MAX];   // that is being looked at
    uint8_t after[PAGE_KEY_MAX]; // the last key looked at in it
    size_t after_size;           // 0: none
    unsigned tables;
    struct tree_check_table {
        char name[TREE_NAME_MAX];
        struct page_tree tree;
    } list[TREE_TABLES_MAX];
};
// Goes on with the snapshot that `meta` describes, until `deadline_ms` of CLOCK_MONOTONIC; at least TREE_LEAVES_MIN leaves further. Stops
// at the first damage. `ret_more`: it is not through. ERR_MEMORY.
enum { TREE_LEAVES_MIN = 64 };
enum error_code tree_check_on(struct tree_check *check, int fd, const struct page_meta *meta, uint64_t deadline_ms, bool *ret_more);
void tree_check_finish(struct tree_check *check);
