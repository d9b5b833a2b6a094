#include "relay/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "relay/file.h"
#include "relay/language.h"

enum {
    VALUE_MAX = 1 << 28, // bytes of a list of free pages: 32 million
    PAGES_MAX = 1 << 28, // 1 TiB; a meta page that says more is garbage
    FIRST_COMMIT = 1,    // frees nothing
};

static const char name_meta[] = "meta", name_tables[] = "tables", name_free[] = "free";

// ---- what is found

static const char *const fault_names[PAGE_FAULT_COUNT] = {
    [PAGE_WHOLE] = "whole",     [PAGE_UNREADABLE] = "unreadable", [PAGE_BAD_HEADER] = "header",
    [PAGE_BAD_NODES] = "nodes", [PAGE_BAD_ORDER] = "order",       [PAGE_ABSENT] = "absent",
    [PAGE_TWICE] = "twice",     [PAGE_MISCOUNTED] = "count",      [PAGE_NOT_LATEST] = "latest",
};

const char *tree_fault_name(enum page_fault fault) { return fault_names[fault]; }

bool tree_fault_of(const char *name, enum page_fault *ret)
{
    for (unsigned i = 0; i < PAGE_FAULT_COUNT; i++)
        if (strcmp(fault_names[i], name) == 0) {
            *ret = (enum page_fault)i;
            return true;
        }
    return false;
}

static const char *fault_text(enum page_fault fault)
{
    switch (fault) {
    case PAGE_UNREADABLE:
        return tr("it can't be read", "无法读取");
    case PAGE_BAD_HEADER:
        return tr("its header is damaged", "页头已损坏");
    case PAGE_BAD_NODES:
        return tr("its rows overlap or lie outside of it", "行的位置重叠或越界");
    case PAGE_BAD_ORDER:
        return tr("its keys are out of order", "键的次序错乱");
    case PAGE_ABSENT:
        return tr("there can be no such page", "不可能有这样的页");
    case PAGE_TWICE:
        return tr("it is used twice, or used and free", "被重复使用，或同时记为空闲");
    case PAGE_MISCOUNTED:
        return tr("the tree is not as large as it should be", "树的大小与记载不符");
    case PAGE_NOT_LATEST:
        return tr("it is not that of the last commit", "不是最后一次提交所写");
    case PAGE_WHOLE:
    case PAGE_FAULT_COUNT:
        break;
    }
    return tr("it is whole", "完好");
}

void tree_describe(const struct tree_finding *finding, char ret[TREE_TEXT_MAX])
{
    snprintf(ret, TREE_TEXT_MAX, tr("page %llu (%s): %s", "第 %llu 页（%s）：%s"), (unsigned long long)finding->page, finding->table,
             fault_text(finding->fault));
}

static bool found(struct tree_check *check, enum page_fault fault, uint64_t page)
{
    check->finding.fault = fault;
    check->finding.page = page;
    memcpy(check->finding.table, check->table, sizeof check->table);
    return false;
}

static void look_at_table(struct tree_check *check, const char *name)
{
    snprintf(check->table, sizeof check->table, "%s", name);
    check->seen = (struct page_tree){0};
}

// ---- meta pages

enum error_code tree_metas(int fd, struct page_meta *ret)
{
    uint8_t page[PAGE_META_END];
    struct page_meta metas[PAGE_METAS];
    for (unsigned i = 0; i < PAGE_METAS; i++)
        if (!file_read_at(fd, page, sizeof page, i ? metas[0].page_size : 0) || !page_meta_read(page, &metas[i]))
            return ERR_CORRUPT;
    if (metas[0].version != 1 && metas[1].version == metas[0].version)
        return ERR_VERSION;
    const struct page_meta *latest = page_meta_latest(metas);
    if (!latest || metas[0].version != 1 || metas[1].version != 1 || latest->last_page >= PAGES_MAX ||
        !page_tree_plausible(&latest->free, PAGE_OF_FREE, latest->last_page) ||
        !page_tree_plausible(&latest->tables, PAGE_OF_TABLES, latest->last_page))
        return ERR_CORRUPT;
    *ret = *latest;
    return OK;
}

// ---- pages

static bool take(struct tree_check *check, uint64_t first, uint64_t count)
{
    uint64_t last = check->meta.last_page;
    if (first < PAGE_METAS || first > last || count > last - first + 1)
        return found(check, PAGE_ABSENT, first);
    for (uint64_t page = first; check->used && page < first + count; page++) {
        uint8_t bit = (uint8_t)(1u << page % 8);
        if (check->used[page / 8] & bit)
            return found(check, PAGE_TWICE, page);
        check->used[page / 8] |= bit;
    }
    return true;
}

static bool load(struct tree_check *check, enum page_of of, uint64_t number, unsigned depth, uint8_t **ret)
{
    size_t size = check->meta.page_size;
    uint8_t *page = check->pages + (depth - 1) * size;
    if (!take(check, number, 1))
        return false;
    if (!file_read_at(check->fd, page, size, number * size))
        return found(check, PAGE_UNREADABLE, number);
    enum page_fault fault = page_check(page, size, number, depth == 1 ? PAGE_LEAF : PAGE_BRANCH, of);
    *ret = page;
    return fault == PAGE_WHOLE || found(check, fault, number);
}

// A value outside of its row's page.
static bool outside(struct tree_check *check, const struct page_node *node)
{
    uint8_t header[PAGE_HEADER];
    if (!take(check, node->page, 1)) // so that no garbage is read
        return false;
    if (!file_read_at(check->fd, header, sizeof header, node->page * check->meta.page_size))
        return found(check, PAGE_UNREADABLE, node->page);
    uint64_t pages = page_overflow(header, check->meta.page_size, node->page, node->size);
    if (pages == 0)
        return found(check, PAGE_BAD_HEADER, node->page);
    check->seen.overflows += pages;
    return pages == 1 || take(check, node->page + 1, pages - 1);
}

// ---- leaves

// Page numbers, the largest first.
static bool free_list(struct tree_check *check, struct bytes value, uint64_t number)
{
    uint64_t last = UINT64_MAX, count = value.size >= 8 ? native64(value.data) : UINT64_MAX;
    if (count > value.size / 8 - 1)
        return found(check, PAGE_BAD_NODES, number);
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page = native64(value.data + 8 * i);
        if (page >= last)
            return found(check, PAGE_BAD_ORDER, number);
        if (!take(check, page, 1))
            return false;
        last = page;
    }
    return true;
}

static bool free_list_outside(struct tree_check *check, const struct page_node *node)
{
    uint8_t *value = node->size <= VALUE_MAX ? malloc(node->size) : NULL;
    if (!value && node->size > VALUE_MAX)
        return found(check, PAGE_BAD_NODES, node->page);
    check->no_memory |= !value;
    bool good = value && (file_read_at(check->fd, value, node->size, node->page * check->meta.page_size + PAGE_HEADER) ||
                          found(check, PAGE_UNREADABLE, node->page));
    good = good && free_list(check, bytes_of(value, node->size), node->page);
    free(value);
    return good;
}

static bool keep_table(struct tree_check *check, const struct page_node *node, uint64_t number)
{
    struct page_tree tree = page_tree_read(node->value.data);
    if (check->tables == TREE_TABLES_MAX || node->key.size >= TREE_NAME_MAX ||
        !page_tree_plausible(&tree, PAGE_OF_ROWS, check->meta.last_page))
        return found(check, PAGE_BAD_NODES, number);
    struct tree_check_table *table = &check->list[check->tables++];
    *table = (struct tree_check_table){.tree = tree};
    for (size_t i = 0; i < node->key.size; i++)
        table->name[i] = node->key.data[i] > ' ' && node->key.data[i] < 0x7F ? (char)node->key.data[i] : '?';
    return true;
}

static bool leaf_row(struct tree_check *check, enum page_of of, const struct page_node *node, uint64_t number)
{
    check->seen.entries++;
    if (of == PAGE_OF_TABLES)
        return keep_table(check, node, number);
    if (node->outside && !outside(check, node))
        return false;
    if (of == PAGE_OF_ROWS)
        return true;
    return node->outside ? free_list_outside(check, node) : free_list(check, node->value, number);
}

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool leaf(struct tree_check *check, enum page_of of, const uint8_t *page, uint64_t number)
{
    unsigned count = page_count(page);
    for (unsigned i = 0; i < count; i++) {
        struct page_node node = page_node(page, i);
        if (!leaf_row(check, of, &node, number))
            return false;
    }
    check->seen.leaves++;
    if (of == PAGE_OF_ROWS && ++check->looked % TREE_LEAVES_MIN == 0 && clock_ms() >= check->deadline_ms) {
        struct bytes last = page_node(page, count - 1).key;
        memcpy(check->after, last.data, last.size);
        check->after_size = last.size;
        check->paused = true;
    }
    return true;
}

// ---- trees

// From the first key of the range on; before the second, when there is one.
static bool in_range(enum page_of of, const uint8_t *page, bool branch, struct bytes low, struct bytes high)
{
    unsigned count = page_count(page), first = branch ? 1 : 0;
    return (low.size == 0 || page_compare(of, page_node(page, first).key, low) >= 0) &&
           (high.size == 0 || page_compare(of, page_node(page, count - 1).key, high) < 0);
}

// As deep as the tree's record says, at most PAGE_DEPTH_MAX; each page has keys of its own range, so none comes twice.
static bool walk(struct tree_check *check, enum page_of of, uint64_t number, unsigned depth, struct bytes low, struct bytes high)
{
    uint8_t *page;
    if (!load(check, of, number, depth, &page))
        return false;
    bool branch = depth > 1;
    unsigned count = page_count(page);
    if ((!branch || count > 1) && !in_range(of, page, branch, low, high))
        return found(check, PAGE_BAD_ORDER, number);
    if (!branch)
        return leaf(check, of, page, number);
    check->seen.branches++;
    for (unsigned i = 0; i < count && !check->paused; i++) {
        struct page_node node = page_node(page, i);
        struct bytes from = i ? node.key : low, to = i + 1 < count ? page_node(page, i + 1).key : high;
        if (check->after_size && of == PAGE_OF_ROWS && to.size && page_compare(of, to, bytes_of(check->after, check->after_size)) <= 0)
            continue; // looked at before
        if (!walk(check, of, node.page, depth - 1, from, to))
            return false;
    }
    return true;
}

static bool tree(struct tree_check *check, enum page_of of, const struct page_tree *record)
{
    bool from_the_start = check->after_size == 0;
    struct bytes none = bytes_of(NULL, 0);
    if (page_tree_empty(record))
        return true;
    if (!walk(check, of, record->root, record->depth, none, none))
        return false;
    const struct page_tree *seen = &check->seen;
    if (check->paused || !from_the_start ||
        (seen->branches == record->branches && seen->leaves == record->leaves && seen->overflows == record->overflows &&
         seen->entries == record->entries))
        return true;
    return found(check, PAGE_MISCOUNTED, record->root);
}

static bool list_tables(struct tree_check *check)
{
    check->tables = 0;
    look_at_table(check, name_tables);
    return tree(check, PAGE_OF_TABLES, &check->meta.tables);
}

// Every commit but the first frees pages, and writes them down under its own number. So an older meta page that passes for a newer one
// shows.
static bool is_latest(struct tree_check *check)
{
    const struct page_tree *list = &check->meta.free;
    uint64_t number = list->root, last = 0;
    uint8_t *page;
    look_at_table(check, name_free);
    for (unsigned depth = list->depth; depth > 0; depth--) {
        if (!load(check, PAGE_OF_FREE, number, depth, &page))
            return false;
        struct page_node node = page_node(page, page_count(page) - 1);
        number = node.page;
        last = depth == 1 ? native64(node.key.data) : 0;
    }
    if (check->meta.txn <= FIRST_COMMIT || last == check->meta.txn)
        return true;
    look_at_table(check, name_meta);
    return found(check, PAGE_NOT_LATEST, check->meta.txn % PAGE_METAS);
}

// ---- the store

static bool begin(struct tree_check *check, int fd, const struct page_meta *meta)
{
    check->fd = fd;
    check->meta = *meta;
    free(check->pages);
    check->pages = malloc((size_t)PAGE_DEPTH_MAX * meta->page_size);
    check->no_memory |= !check->pages;
    return !check->no_memory;
}

static enum error_code end(struct tree_check *check, struct tree_finding *ret)
{
    *ret = check->finding;
    check->used = NULL; // the caller's, or none
    tree_check_finish(check);
    return check->no_memory ? ERR_MEMORY : OK;
}

enum error_code tree_check_tops(int fd, const struct page_meta *meta, struct tree_finding *ret)
{
    struct tree_check *check = calloc(1, sizeof *check);
    uint8_t *page;
    if (!check)
        return ERR_MEMORY;
    bool good = begin(check, fd, meta) && is_latest(check) && list_tables(check);
    for (unsigned i = 0; good && i < check->tables; i++) {
        const struct tree_check_table *table = &check->list[i];
        look_at_table(check, table->name);
        good = page_tree_empty(&table->tree) || load(check, PAGE_OF_ROWS, table->tree.root, table->tree.depth, &page);
    }
    enum error_code code = end(check, ret);
    free(check);
    return code;
}

enum error_code tree_free_pages(int fd, const struct page_meta *meta, uint8_t *ret, struct tree_finding *ret_finding)
{
    struct tree_check *check = calloc(1, sizeof *check);
    if (!check)
        return ERR_MEMORY;
    check->used = ret;
    look_at_table(check, name_free);
    if (begin(check, fd, meta))
        tree(check, PAGE_OF_FREE, &meta->free);
    enum error_code code = end(check, ret_finding);
    free(check);
    return code;
}

// The first snapshot keeps account of which pages are used; a second one has others.
static void account(struct tree_check *check)
{
    free(check->used);
    check->used = check->began ? NULL : calloc(1, check->meta.last_page / 8 + 1);
    check->no_memory |= !check->began && !check->used;
    check->began = true;
}

static bool rows(struct tree_check *check, const char *from)
{
    for (unsigned i = 0; i < check->tables && !check->paused; i++) {
        int order = strcmp(check->list[i].name, from);
        if (order < 0)
            continue; // looked at before
        if (order > 0)
            check->after_size = 0;
        look_at_table(check, check->list[i].name);
        if (!tree(check, PAGE_OF_ROWS, &check->list[i].tree))
            return false;
    }
    return true;
}

static bool all(struct tree_check *check, const char *from)
{
    if (!list_tables(check) || !rows(check, from))
        return false;
    if (check->paused)
        return true;
    check->after_size = 0;
    look_at_table(check, name_free);
    if (!tree(check, PAGE_OF_FREE, &check->meta.free))
        return false;
    free(check->used);
    check->used = NULL;
    return is_latest(check);
}

enum error_code tree_check_on(struct tree_check *check, int fd, const struct page_meta *meta, uint64_t deadline_ms, bool *ret_more)
{
    char from[TREE_NAME_MAX];
    memcpy(from, check->paused ? check->table : "", check->paused ? sizeof from : 1);
    check->deadline_ms = deadline_ms;
    check->paused = false;
    check->looked = 0;
    *ret_more = false;
    if (!begin(check, fd, meta))
        return ERR_MEMORY;
    account(check);
    if (!check->no_memory && all(check, from))
        *ret_more = check->paused;
    return check->no_memory ? ERR_MEMORY : OK;
}

void tree_check_finish(struct tree_check *check)
{
    free(check->pages);
    free(check->used);
    check->pages = check->used = NULL;
}
