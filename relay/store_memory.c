// Every table is a treap of reference-counted nodes. A transaction begins with the committed roots; a write copies the nodes on its way
// that others hold too, so a snapshot costs nothing and an abort is the dropping of roots. Priorities are a hash of the key: the same
// contents give the same tree, whatever the history.
#include "relay/store_memory.h"

#include <assert.h>
#include <stdlib.h>

#include "relay/language.h"
#include "relay/store_ops.h"

struct cell {
    uint32_t references;
    size_t key_size, value_size;
    uint8_t bytes[]; // key, value
};

struct node {
    uint32_t references;
    uint64_t priority;
    struct cell *cell;
    struct node *left, *right;
};

struct tree {
    struct node *root;
    uint64_t count, bytes;
};

struct memory_store {
    struct store base;
    struct tree tables[TABLE_COUNT];
    bool writing;
    unsigned open;
    enum error_code fail_code; // OK: no failure to come
    uint32_t fail_after;
    bool fail_kept;
    bool stopped;
};

struct memory_txn {
    struct txn base;
    struct tree tables[TABLE_COUNT];
};

// ---- treap

static struct bytes key_of(const struct node *node) { return bytes_of(node->cell->bytes, node->cell->key_size); }
static struct bytes value_of(const struct node *node) { return bytes_of(node->cell->bytes + node->cell->key_size, node->cell->value_size); }

static int compare(struct bytes a, struct bytes b)
{
    int order = memcmp(a.data, b.data, a.size < b.size ? a.size : b.size);
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

// FNV-1a and a final mix: any spread will do, these keys come from the simulator.
static uint64_t priority_of(struct bytes key)
{
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < key.size; i++)
        hash = (hash ^ key.data[i]) * 0x100000001B3u;
    hash = (hash ^ hash >> 33) * 0xFF51AFD7ED558CCDu;
    return hash ^ hash >> 33;
}

static struct cell *cell_new(struct bytes key, struct bytes value)
{
    struct cell *cell = malloc(sizeof *cell + key.size + value.size);
    if (!cell)
        return NULL;
    cell->references = 1;
    cell->key_size = key.size;
    cell->value_size = value.size;
    memcpy(cell->bytes, key.data, key.size);
    if (value.size)
        memcpy(cell->bytes + key.size, value.data, value.size);
    return cell;
}

static void cell_drop(struct cell *cell)
{
    if (--cell->references == 0)
        free(cell);
}

static struct node *hold(struct node *node)
{
    if (node)
        node->references++;
    return node;
}

// As deep as the tree: about 3 log2(n).
static void drop(struct node *node)
{
    if (!node || --node->references > 0)
        return;
    drop(node->left);
    drop(node->right);
    cell_drop(node->cell);
    free(node);
}

// Makes the node in `slot` this tree's own, so that it may be changed. False: no memory, nothing changed.
static bool own(struct node **slot)
{
    struct node *node = *slot;
    if (node->references == 1)
        return true;
    struct node *copy = malloc(sizeof *copy);
    if (!copy)
        return false;
    *copy = *node;
    copy->references = 1;
    copy->cell->references++;
    hold(copy->left);
    hold(copy->right);
    node->references--;
    *slot = copy;
    return true;
}

static void rotate_right(struct node **slot)
{
    struct node *node = *slot, *left = node->left;
    node->left = left->right;
    left->right = node;
    *slot = left;
}

static void rotate_left(struct node **slot)
{
    struct node *node = *slot, *right = node->right;
    node->right = right->left;
    right->left = node;
    *slot = right;
}

// Takes `cell` over when it returns true.
static bool insert(struct node **slot, struct cell *cell, uint64_t priority)
{
    if (!*slot) {
        struct node *node = malloc(sizeof *node);
        if (!node)
            return false;
        *node = (struct node){.references = 1, .priority = priority, .cell = cell};
        *slot = node;
        return true;
    }
    if (!own(slot))
        return false;
    struct node *node = *slot;
    int order = compare(bytes_of(cell->bytes, cell->key_size), key_of(node));
    if (order == 0) {
        cell_drop(node->cell);
        node->cell = cell;
        return true;
    }
    if (!insert(order < 0 ? &node->left : &node->right, cell, priority))
        return false;
    if (order < 0 && node->left->priority > node->priority)
        rotate_right(slot);
    else if (order > 0 && node->right->priority > node->priority)
        rotate_left(slot);
    return true;
}

// Turns the node in `slot` (own) down until a child is missing, then takes it out. A failure leaves every row in place.
static bool take_out(struct node **slot)
{
    struct node *node = *slot;
    if (!node->left || !node->right) {
        *slot = hold(node->left ? node->left : node->right);
        drop(node);
        return true;
    }
    bool left = node->left->priority > node->right->priority;
    if (!own(left ? &node->left : &node->right))
        return false;
    if (left)
        rotate_right(slot);
    else
        rotate_left(slot);
    return take_out(left ? &(*slot)->right : &(*slot)->left);
}

// The key is there.
static bool erase(struct node **slot, struct bytes key)
{
    if (!own(slot))
        return false;
    int order = compare(key, key_of(*slot));
    if (order == 0)
        return take_out(slot);
    return erase(order < 0 ? &(*slot)->left : &(*slot)->right, key);
}

static struct node *find(struct node *node, struct bytes key)
{
    int order;
    while (node && (order = compare(key, key_of(node))) != 0)
        node = order < 0 ? node->left : node->right;
    return node;
}

// First node with a key > `key`, or >= where `equal`.
static struct node *above(struct node *node, struct bytes key, bool equal)
{
    struct node *best = NULL;
    while (node) {
        int order = compare(key, key_of(node));
        if (order < 0 || (equal && order == 0)) {
            best = node;
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return best;
}

static struct node *below(struct node *node, struct bytes key)
{
    struct node *best = NULL;
    while (node) {
        if (compare(key, key_of(node)) > 0) {
            best = node;
            node = node->right;
        } else {
            node = node->left;
        }
    }
    return best;
}

static struct node *end_of(struct node *node, bool last)
{
    while (node && (last ? node->right : node->left))
        node = last ? node->right : node->left;
    return node;
}

// ---- operations

static struct memory_store *memory_of(struct store *store) { return (struct memory_store *)store; }
static struct tree *tree_of(struct txn *txn, enum table table) { return &((struct memory_txn *)txn)->tables[table]; }

static void out_of_memory(struct txn *txn) { txn_fail(txn, ERR_MEMORY, tr("no memory for a row", "内存不足，无法写入行")); }

static void copy_tables(struct tree *to, const struct tree *from)
{
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        to[i] = from[i];
        hold(to[i].root);
    }
}

static void drop_tables(struct tree *tables)
{
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        drop(tables[i].root);
        tables[i] = (struct tree){0};
    }
}

static void memory_close(struct store *base)
{
    struct memory_store *store = memory_of(base);
    assert(store->open == 0);
    drop_tables(store->tables);
    free(store);
}

static void memory_size(struct store *base, uint64_t *ret_bytes, uint64_t *ret_map_bytes)
{
    uint64_t bytes = 0;
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        bytes += memory_of(base)->tables[i].bytes;
    *ret_bytes = bytes;
    *ret_map_bytes = SIZE_MAX;
}

static struct txn *memory_begin(struct store *base, bool write, struct error *error)
{
    struct memory_store *store = memory_of(base);
    assert(!write || !store->writing);
    if (store->stopped) {
        error_set(error, ERR_STORE, tr("the store has failed; restart", "存储已失效；请重启"));
        return NULL;
    }
    struct memory_txn *txn = calloc(1, sizeof *txn);
    if (!txn) {
        error_set(error, ERR_MEMORY, tr("no memory for a transaction", "内存不足，无法开始事务"));
        return NULL;
    }
    txn->base.ops = base->ops;
    txn->base.store = base;
    txn->base.write = write;
    copy_tables(txn->tables, store->tables);
    store->writing = store->writing || write;
    store->open++;
    return &txn->base;
}

static void memory_abort(struct txn *txn)
{
    struct memory_store *store = memory_of(txn->store);
    store->writing = store->writing && !txn->write;
    store->open--;
    drop_tables(((struct memory_txn *)txn)->tables);
    free(txn);
}

static void keep(struct txn *txn)
{
    struct memory_store *store = memory_of(txn->store);
    drop_tables(store->tables);
    copy_tables(store->tables, ((struct memory_txn *)txn)->tables);
}

static enum error_code memory_commit(struct txn *txn, struct error *error)
{
    struct memory_store *store = memory_of(txn->store);
    enum error_code code = OK;
    if (txn->write && store->fail_code && store->fail_after-- == 0) {
        code = store->fail_code;
        store->fail_code = OK;
        store->stopped = code == ERR_STORE;
    }
    if (txn->write && (code == OK || (code == ERR_STORE && store->fail_kept)))
        keep(txn);
    memory_abort(txn);
    return code ? error_set(error, code, tr("the simulated disk failed", "模拟磁盘出错")) : OK;
}

static bool memory_get(struct txn *txn, enum table table, struct bytes key, struct bytes *ret)
{
    struct node *node = find(tree_of(txn, table)->root, key);
    if (node)
        *ret = value_of(node);
    return node != NULL;
}

static void memory_put(struct txn *txn, enum table table, struct bytes key, struct bytes value, bool append)
{
    struct tree *tree = tree_of(txn, table);
    struct node *last = append ? end_of(tree->root, true) : NULL, *held = append ? NULL : find(tree->root, key);
    if (last && compare(key, key_of(last)) <= 0) {
        txn_fail(txn, ERR_CORRUPT, tr("a row to be appended has a key that is not the last", "追加的行其键并非最大"));
        return;
    }
    uint64_t before = held ? key.size + held->cell->value_size : 0;
    bool is_new = held == NULL;
    struct cell *cell = cell_new(key, value);
    if (!cell || !insert(&tree->root, cell, priority_of(key))) {
        free(cell);
        out_of_memory(txn);
        return;
    }
    tree->count += is_new;
    tree->bytes += key.size + value.size - before;
}

static bool memory_remove(struct txn *txn, enum table table, struct bytes key)
{
    struct tree *tree = tree_of(txn, table);
    struct node *held = find(tree->root, key);
    if (!held)
        return false;
    uint64_t before = key.size + held->cell->value_size;
    if (!erase(&tree->root, key)) {
        out_of_memory(txn);
        return false;
    }
    tree->count--;
    tree->bytes -= before;
    return true;
}

static uint64_t memory_count(struct txn *txn, enum table table) { return tree_of(txn, table)->count; }

static struct cursor *memory_cursor_open(struct txn *txn, enum table table)
{
    (void)table;
    struct cursor *cursor = calloc(1, sizeof *cursor);
    if (!cursor)
        out_of_memory(txn);
    return cursor;
}

static bool memory_cursor_move(struct cursor *cursor, enum cursor_move move, struct bytes key)
{
    struct node *root = tree_of(cursor->txn, cursor->table)->root, *node = NULL;
    switch (move) {
    case MOVE_SEEK:
        node = above(root, key, true);
        break;
    case MOVE_FIRST:
        node = end_of(root, false);
        break;
    case MOVE_LAST:
        node = end_of(root, true);
        break;
    case MOVE_NEXT:
        node = above(root, cursor->key, false);
        break;
    case MOVE_PREV:
        node = below(root, cursor->key);
        break;
    }
    if (!node)
        return false;
    cursor->key = key_of(node);
    cursor->value = value_of(node);
    return true;
}

static void memory_cursor_close(struct cursor *cursor) { free(cursor); }

static const struct store_ops memory_ops = {
    .close = memory_close,
    .size = memory_size,
    .begin = memory_begin,
    .commit = memory_commit,
    .abort = memory_abort,
    .get = memory_get,
    .put = memory_put,
    .remove = memory_remove,
    .count = memory_count,
    .cursor_open = memory_cursor_open,
    .cursor_move = memory_cursor_move,
    .cursor_close = memory_cursor_close,
};

static struct memory_store *memory_new(struct error *error)
{
    struct memory_store *store = calloc(1, sizeof *store);
    if (store)
        store->base.ops = &memory_ops;
    else
        error_set(error, ERR_MEMORY, tr("no memory for a store", "内存不足，无法创建存储"));
    return store;
}

enum error_code store_memory_create(struct store **ret, struct error *error)
{
    struct memory_store *store = memory_new(error);
    if (!store)
        return ERR_MEMORY;
    struct txn *txn = memory_begin(&store->base, true, error);
    enum error_code code = ERR_MEMORY;
    if (txn) {
        store_format_write(txn);
        code = txn_commit(txn, error);
    }
    if (code) {
        memory_close(&store->base);
        return code;
    }
    *ret = &store->base;
    return OK;
}

enum error_code store_memory_copy(struct store *store, struct store **ret, struct error *error)
{
    assert(store->ops == &memory_ops);
    struct memory_store *copy = memory_new(error);
    if (!copy)
        return ERR_MEMORY;
    copy_tables(copy->tables, memory_of(store)->tables);
    *ret = &copy->base;
    return OK;
}

void store_memory_fail(struct store *store, uint32_t commits, enum error_code code, bool kept)
{
    assert(store->ops == &memory_ops && (code == ERR_FULL || code == ERR_STORE));
    memory_of(store)->fail_after = commits;
    memory_of(store)->fail_code = code;
    memory_of(store)->fail_kept = kept;
}

void store_memory_restart(struct store *store)
{
    assert(store->ops == &memory_ops && memory_of(store)->open == 0);
    memory_of(store)->fail_code = OK;
    memory_of(store)->stopped = false;
}
