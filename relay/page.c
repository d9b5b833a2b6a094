#include "relay/page.h"

#include <string.h>

// LMDB 0.9 writes native integers; nodes split theirs into halves in an order that depends on the machine.
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ && sizeof(size_t) == 8, "the layout below is of 64-bit little-endian machines");

enum {
    FLAGS = 10, // in the header
    LOWER = 12,
    UPPER = 14,
    PAGES = 12,
    NODE_HEADER = 8, // low 2, high 2, flags 2, key size 2
    NODE_FLAGS = 4,
    NODE_KEY = 6,
    NODE_BIG = 1,  // the value is in overflow pages, and their number stands here
    NODE_TREE = 2, // the value is a tree
    BIG_SIZE = 8,
    MAGIC = PAGE_HEADER,
    VERSION = MAGIC + 4,
    FREE = MAGIC + 24,
    TABLES = FREE + PAGE_TREE_SIZE,
    LAST_PAGE = TABLES + PAGE_TREE_SIZE,
    TXN = LAST_PAGE + 8,
    KEYS_ARE_NUMBERS = 8,   // MDB_INTEGERKEY
    TREE_FLAGS_MASK = 0x7E, // the free list's record has some of the environment's flags, too
};
_Static_assert(TXN + 8 == PAGE_META_END, "MDB_meta");

// ---- meta pages

struct page_tree page_tree_read(const uint8_t record[PAGE_TREE_SIZE])
{
    return (struct page_tree){
        .pad = native32(record),
        .flags = native16(record + 4),
        .depth = native16(record + 6),
        .branches = native64(record + 8),
        .leaves = native64(record + 16),
        .overflows = native64(record + 24),
        .entries = native64(record + 32),
        .root = native64(record + 40),
    };
}

bool page_tree_empty(const struct page_tree *tree) { return tree->root == UINT64_MAX; }

bool page_tree_plausible(const struct page_tree *tree, enum page_of of, uint64_t last)
{
    bool numbers = of == PAGE_OF_FREE;
    if ((tree->flags & (numbers ? TREE_FLAGS_MASK : UINT16_MAX)) != (numbers ? KEYS_ARE_NUMBERS : 0) || (!numbers && tree->pad != 0))
        return false;
    if (page_tree_empty(tree))
        return tree->depth == 0 && tree->branches == 0 && tree->leaves == 0 && tree->overflows == 0 && tree->entries == 0;
    return tree->root >= PAGE_METAS && tree->root <= last && tree->depth >= 1 && tree->depth <= PAGE_DEPTH_MAX && tree->entries > 0;
}

bool page_meta_read(const uint8_t page[PAGE_META_END], struct page_meta *ret)
{
    if (!(native16(page + FLAGS) & PAGE_META) || native32(page + MAGIC) != 0xBEEFC0DE)
        return false;
    struct page_meta meta = {
        .version = native32(page + VERSION),
        .last_page = native64(page + LAST_PAGE),
        .txn = native64(page + TXN),
        .free = page_tree_read(page + FREE),
        .tables = page_tree_read(page + TABLES),
    };
    meta.page_size = meta.free.pad;
    if (meta.page_size < PAGE_SIZE_MIN || meta.page_size > PAGE_SIZE_MAX || (meta.page_size & (meta.page_size - 1)) || meta.last_page < 1)
        return false;
    *ret = meta;
    return true;
}

const struct page_meta *page_meta_latest(const struct page_meta metas[PAGE_METAS])
{
    const struct page_meta *latest = &metas[metas[0].txn < metas[1].txn];
    const struct page_meta *before = &metas[metas[0].txn >= metas[1].txn];
    bool follows = latest->txn == before->txn + 1 && &metas[latest->txn & 1] == latest;
    return follows && metas[0].page_size == metas[1].page_size ? latest : NULL;
}

// ---- pages of trees

unsigned page_count(const uint8_t *page) { return (native16(page + LOWER) - PAGE_HEADER) / 2u; }

static const uint8_t *node_at(const uint8_t *page, unsigned index) { return page + native16(page + PAGE_HEADER + 2 * (size_t)index); }

static bool is_branch(const uint8_t *page) { return native16(page + FLAGS) == PAGE_BRANCH; }

// The bytes that a node takes, rounded up as LMDB does; 0: it can't be one. Its header lies on the page.
static size_t extent(const uint8_t *node, bool branch, bool first, enum page_of of)
{
    size_t key = native16(node + NODE_KEY), size = native16(node) | (size_t)native16(node + 2) << 16, value = 0;
    unsigned flags = native16(node + NODE_FLAGS);
    bool key_good = key <= PAGE_KEY_MAX && ((branch && first) || (of == PAGE_OF_FREE ? key == 8 : key >= 1));
    if (!branch) {
        if (of == PAGE_OF_TABLES ? flags != NODE_TREE || size != PAGE_TREE_SIZE : flags > NODE_BIG)
            return 0;
        value = flags == NODE_BIG ? BIG_SIZE : size;
    }
    return key_good ? (NODE_HEADER + key + value + 1) & ~(size_t)1 : 0;
}

// The nodes fill the page from `upper` to its end: no two begin at the same place, each ends where another begins or at the end of the
// page, one begins at `upper`, and together they are as long as that is. Then they lie side by side.
static bool nodes_fill(const uint8_t *page, size_t page_size, bool branch, enum page_of of)
{
    uint8_t begins[PAGE_SIZE_MAX / 16 + 1]; // a bit for each even place
    size_t upper = native16(page + UPPER), taken = 0;
    unsigned count = page_count(page);
    memset(begins, 0, page_size / 16 + 1);
    for (unsigned i = 0; i < count; i++) {
        size_t at = native16(page + PAGE_HEADER + 2 * (size_t)i);
        if (at < upper || at % 2 || at + NODE_HEADER > page_size || begins[at / 16] & 1u << at / 2 % 8)
            return false;
        size_t size = extent(page + at, branch, i == 0, of);
        if (size == 0 || at + size > page_size)
            return false;
        begins[at / 16] |= (uint8_t)(1u << at / 2 % 8);
        taken += size;
    }
    begins[page_size / 16] |= 1; // the end of the page
    for (unsigned i = 0; i < count; i++) {
        size_t at = native16(page + PAGE_HEADER + 2 * (size_t)i), end = at + extent(page + at, branch, i == 0, of);
        if (!(begins[end / 16] & 1u << end / 2 % 8))
            return false;
    }
    return taken == page_size - upper && begins[upper / 16] & 1u << upper / 2 % 8;
}

enum page_fault page_check(const uint8_t *page, size_t page_size, uint64_t number, enum page_kind kind, enum page_of of)
{
    bool branch = kind == PAGE_BRANCH;
    size_t lower = native16(page + LOWER), upper = native16(page + UPPER);
    size_t least = branch && of != PAGE_OF_FREE ? 2 : 1; // nodes; LMDB leaves the list of free pages a branch with one
    if (native64(page) != number || native16(page + FLAGS) != kind || lower % 2 || lower < PAGE_HEADER + 2 * least || upper < lower ||
        upper % 2 || upper >= page_size)
        return PAGE_BAD_HEADER;
    if (!nodes_fill(page, page_size, branch, of))
        return PAGE_BAD_NODES;
    unsigned count = page_count(page);
    for (unsigned i = branch ? 2 : 1; i < count; i++)
        if (page_compare(of, page_node(page, i - 1).key, page_node(page, i).key) >= 0)
            return PAGE_BAD_ORDER;
    return PAGE_WHOLE;
}

struct page_node page_node(const uint8_t *page, unsigned index)
{
    const uint8_t *node = node_at(page, index);
    uint64_t low = native16(node) | (uint64_t)native16(node + 2) << 16;
    uint16_t flags = native16(node + NODE_FLAGS), key_size = native16(node + NODE_KEY);
    struct page_node ret = {.key = bytes_of(node + NODE_HEADER, key_size)};
    if (is_branch(page)) {
        ret.page = low | (uint64_t)flags << 32;
        return ret;
    }
    ret.size = low;
    ret.outside = flags & NODE_BIG;
    if (ret.outside)
        ret.page = native64(ret.key.data + key_size);
    else
        ret.value = bytes_of(ret.key.data + key_size, low);
    return ret;
}

int page_compare(enum page_of of, struct bytes a, struct bytes b)
{
    if (of == PAGE_OF_FREE) {
        uint64_t x = native64(a.data), y = native64(b.data);
        return x < y ? -1 : x > y;
    }
    size_t shorter = a.size < b.size ? a.size : b.size;
    int order = memcmp(a.data, b.data, shorter);
    return order ? order : a.size < b.size ? -1 : a.size > b.size;
}

// LMDB keeps the pages of a value that becomes smaller within one transaction, so they may be more than it needs.
uint64_t page_overflow(const uint8_t header[PAGE_HEADER], size_t page_size, uint64_t number, uint64_t size)
{
    uint64_t pages = native32(header + PAGES), needed = (PAGE_HEADER - 1 + size) / page_size + 1;
    return native64(header) == number && native16(header + FLAGS) == PAGE_OVERFLOW && pages >= needed ? pages : 0;
}
