// Pages of LMDB 0.9's file as they lie on disk (mdb.c: MDB_page, MDB_node, MDB_db, MDB_meta), which format version 1 is bound to. Pure:
// bytes in, answers out; any bytes whatever have an answer. Names no library.
#pragma once
#include <stdbool.h>

#include "relay/bytes.h"

enum {
    PAGE_SIZE_MIN = 512,
    PAGE_SIZE_MAX = 65536, // LMDB's MAX_PAGESIZE is less
    PAGE_SIZE_USUAL = 4096,
    PAGE_HEADER = 16, // number 8, pad 2, flags 2, lower 2, upper 2; or, of a value's pages, their count 4
    PAGE_METAS = 2,   // the first pages of the file
    PAGE_META_END = PAGE_HEADER + 136,
    PAGE_KEY_MAX = 511,
    PAGE_DEPTH_MAX = 32, // LMDB's own CURSOR_STACK
};

enum page_kind { PAGE_BRANCH = 1, PAGE_LEAF = 2, PAGE_OVERFLOW = 4, PAGE_META = 8 }; // as in the page's flags

// Whose pages: rows of one of our tables; the names of all tables, with a tree for each; LMDB's list of free pages.
enum page_of { PAGE_OF_ROWS, PAGE_OF_TABLES, PAGE_OF_FREE };

enum page_fault {
    PAGE_WHOLE,
    PAGE_UNREADABLE, // the disk does not give it, or the file ends before it
    PAGE_BAD_HEADER, // number, kind or bounds are not those of this page
    PAGE_BAD_NODES,  // rows overlap, or lie where none can be
    PAGE_BAD_ORDER,  // keys are not in order, or not between those of the page above
    PAGE_ABSENT,     // it can't be a page of this tree by its number
    PAGE_TWICE,      // used in two places, or used and free
    PAGE_MISCOUNTED, // the tree is not as large as its record says
    PAGE_NOT_LATEST, // the meta page is not that of the last commit
    PAGE_FAULT_COUNT
};

// ---- meta pages

// What a tree is, as its record says.
struct page_tree {
    uint32_t pad;
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
};
enum { PAGE_TREE_SIZE = 48 };
struct page_tree page_tree_read(const uint8_t record[PAGE_TREE_SIZE]);
// Whether such a tree can be in a file whose last page is `last`. An empty one has no root.
bool page_tree_plausible(const struct page_tree *tree, enum page_of of, uint64_t last);
bool page_tree_empty(const struct page_tree *tree);

struct page_meta {
    uint32_t version, page_size;
    uint64_t last_page, txn;
    struct page_tree free, tables;
};
// False: that is no meta page, or its page size is none. Says nothing about the two trees, nor about the version.
bool page_meta_read(const uint8_t page[PAGE_META_END], struct page_meta *ret);
// The one of two that the last commit wrote; NULL: that can't be told, for each commit writes the page that the one before it did not.
const struct page_meta *page_meta_latest(const struct page_meta metas[PAGE_METAS]);

// ---- pages of trees

// Holds a whole page of a tree against what LMDB writes: number, kind, bounds of the free space, each row inside and none over another,
// keys in order. PAGE_WHOLE, PAGE_BAD_HEADER, PAGE_BAD_NODES or PAGE_BAD_ORDER.
enum page_fault page_check(const uint8_t *page, size_t page_size, uint64_t number, enum page_kind kind, enum page_of of);

// The rest only on pages that page_check() found whole.
struct page_node {
    struct bytes key;   // the first key of a branch page means nothing
    struct bytes value; // of a leaf, when it lies on the page; else empty
    uint64_t size;      // of the value
    bool outside;       // the value has pages of its own
    uint64_t page;      // of a branch: the page below; of a value outside: its first page
};
unsigned page_count(const uint8_t *page);
struct page_node page_node(const uint8_t *page, unsigned index);
int page_compare(enum page_of of, struct bytes a, struct bytes b);

// The header of the pages that hold a value of `size` bytes: how many they are; 0: it is damaged.
uint64_t page_overflow(const uint8_t header[PAGE_HEADER], size_t page_size, uint64_t number, uint64_t size);
