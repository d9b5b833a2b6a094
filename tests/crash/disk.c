#include "tests/crash/disk.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    NODES_MAX = 4096,   // files and directories that a log makes
    WAITING_MAX = 4096, // changes between two flushes
    NAME_SIZE = 64,
    NAMES_MAX = 64, // in a directory
    DEPTH_MAX = 8,
};

struct entry {
    char name[NAME_SIZE];
    uint32_t node;
};

struct node {
    uint64_t inode;
    bool directory;
    uint8_t *data; // a file: durable
    size_t size;
    struct entry *entries; // a directory: durable
    size_t count;
};

struct change {
    const struct event_head *event;
    uint32_t node;  // of the file that changes, or the directory
    uint32_t child; // what a name comes to stand for
};

struct disk {
    struct node nodes[NODES_MAX]; // [0]: the root
    uint32_t count;
    struct change waiting[WAITING_MAX];
    size_t waiting_count;
};

static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "replay: %s\n", what);
    abort();
}

static void *memory(void *old, size_t size)
{
    void *fresh = realloc(old, size ? size : 1);
    must(fresh != NULL, "out of memory");
    return fresh;
}

// ---- names

static uint32_t find(const struct disk *disk, uint64_t inode)
{
    for (uint32_t i = disk->count; i-- > 0;) // the last: numbers are used again
        if (disk->nodes[i].inode == inode)
            return i;
    return UINT32_MAX;
}

static void last_name(const uint8_t *path, size_t size, char ret[NAME_SIZE])
{
    size_t at = size;
    while (at > 0 && path[at - 1] != '/')
        at--;
    must(size - at < NAME_SIZE, "a long name");
    memcpy(ret, path + at, size - at);
    ret[size - at] = 0;
}

static void remove_name(struct node *directory, const char *name)
{
    for (size_t i = 0; i < directory->count; i++)
        if (strcmp(directory->entries[i].name, name) == 0) {
            directory->entries[i] = directory->entries[--directory->count];
            return;
        }
}

static void set_name(struct node *directory, const char *name, uint32_t node)
{
    remove_name(directory, name);
    must(directory->count < NAMES_MAX, "too many names");
    directory->entries = memory(directory->entries, NAMES_MAX * sizeof *directory->entries);
    struct entry *entry = &directory->entries[directory->count++];
    memset(entry, 0, sizeof *entry);
    snprintf(entry->name, sizeof entry->name, "%s", name);
    entry->node = node;
}

static const uint8_t *a_of(const struct event_head *event) { return (const uint8_t *)(event + 1); }

static void apply_name(struct node *directory, const struct change *change)
{
    char name[NAME_SIZE];
    last_name(a_of(change->event), change->event->a_size, name);
    if (change->event->kind == LOG_UNLINK) {
        remove_name(directory, name);
    } else if (change->event->kind == LOG_RENAME) {
        remove_name(directory, name);
        last_name(a_of(change->event) + change->event->a_size, change->event->b_size, name);
        set_name(directory, name, change->child);
    } else {
        set_name(directory, name, change->child);
    }
}

// ---- contents

static void set_size(struct node *file, size_t size)
{
    if (size > file->size) {
        file->data = memory(file->data, size);
        memset(file->data + file->size, 0, size - file->size);
    }
    file->size = size;
}

static void apply_content(struct node *file, const struct event_head *event)
{
    if (event->kind == LOG_TRUNCATE) {
        set_size(file, event->offset);
        return;
    }
    size_t end = event->offset + event->a_size;
    if (end > file->size)
        set_size(file, end);
    memcpy(file->data + event->offset, a_of(event), event->a_size);
}

static bool is_content(const struct event_head *event) { return event->kind == LOG_WRITE || event->kind == LOG_TRUNCATE; }

static void settle(struct disk *disk, const struct change *change)
{
    struct node *node = &disk->nodes[change->node];
    if (is_content(change->event))
        apply_content(node, change->event);
    else
        apply_name(node, change);
}

// ---- taking events

struct disk *disk_create(void)
{
    struct disk *disk = memory(NULL, sizeof *disk);
    memset(disk, 0, sizeof *disk);
    return disk;
}

void disk_destroy(struct disk *disk)
{
    for (uint32_t i = 0; i < disk->count; i++) {
        free(disk->nodes[i].data);
        free(disk->nodes[i].entries);
    }
    free(disk);
}

static uint32_t add_node(struct disk *disk, uint64_t inode, bool directory)
{
    must(disk->count < NODES_MAX, "too many files");
    disk->nodes[disk->count] = (struct node){.inode = inode, .directory = directory};
    return disk->count++;
}

static void wait_for_flush(struct disk *disk, const struct event_head *event, uint32_t node, uint32_t child)
{
    must(node != UINT32_MAX && child != UINT32_MAX, "a change of something that the log does not know");
    must(disk->waiting_count < WAITING_MAX, "too much waits for a flush");
    disk->waiting[disk->waiting_count++] = (struct change){event, node, child};
}

// The change becomes durable now, whatever waits before it (in other sectors).
static void settle_one(struct disk *disk, const struct event_head *event)
{
    for (size_t i = disk->waiting_count; i-- > 0;) {
        const struct change *change = &disk->waiting[i];
        if (change->event->kind != LOG_WRITE || change->event->file != event->file || change->event->offset != event->offset)
            continue;
        settle(disk, change);
        memmove(&disk->waiting[i], &disk->waiting[i + 1], (--disk->waiting_count - i) * sizeof *change);
        return;
    }
    must(false, "a write that returned and never began");
}

// The flush of this process that began last has returned: what came before it is durable.
static void settle_before(struct disk *disk, const struct event_head *event, const struct event_head *begun)
{
    uint32_t node = find(disk, event->file);
    size_t kept = 0;
    for (size_t i = 0; i < disk->waiting_count; i++) {
        struct change change = disk->waiting[i];
        if (change.node == node && change.event < begun)
            settle(disk, &change);
        else
            disk->waiting[kept++] = change;
    }
    disk->waiting_count = kept;
}

// Where the flush began that has just returned: the log is one piece of memory, and its events lie in order.
static const struct event_head *begin_of(struct disk *disk, const struct event_head *event)
{
    static const struct event_head *begun[64];
    static uint64_t files[64];
    static unsigned next;
    (void)disk;
    if (event->kind == LOG_SYNC) {
        begun[next % 64] = event;
        files[next++ % 64] = event->file ^ (uint64_t)event->process << 32;
        return NULL;
    }
    for (unsigned i = 0; i < 64; i++) {
        unsigned at = (next - 1 - i) % 64;
        if (begun[at] && files[at] == (event->file ^ (uint64_t)event->process << 32))
            return begun[at];
    }
    must(false, "a flush that returned and never began");
    return NULL;
}

bool disk_take(struct disk *disk, const struct event_head *event)
{
    switch (event->kind) {
    case LOG_ROOT:
        must(disk->count == 0, "two roots");
        add_node(disk, event->file, true);
        return false;
    case LOG_CREATE:
    case LOG_MKDIR: {
        uint32_t parent = find(disk, event->parent);
        wait_for_flush(disk, event, parent, add_node(disk, event->file, event->kind == LOG_MKDIR));
        return true;
    }
    case LOG_RENAME:
        wait_for_flush(disk, event, find(disk, event->parent), find(disk, event->file));
        return true;
    case LOG_UNLINK:
        wait_for_flush(disk, event, find(disk, event->parent), 0);
        return true;
    case LOG_WRITE:
    case LOG_TRUNCATE:
        wait_for_flush(disk, event, find(disk, event->file), 0);
        return true;
    case LOG_WRITTEN:
        settle_one(disk, event);
        return true;
    case LOG_SYNC:
        begin_of(disk, event);
        return false;
    case LOG_SYNCED:
        settle_before(disk, event, begin_of(disk, event));
        return true;
    default:
        must(event->kind != LOG_FORBIDDEN, (const char *)a_of(event));
        return false;
    }
}

// ---- cutting

size_t disk_waiting(const struct disk *disk) { return disk->waiting_count; }

size_t disk_sectors(const struct disk *disk, size_t index)
{
    const struct event_head *event = disk->waiting[index].event;
    if (event->kind != LOG_WRITE || event->a_size == 0)
        return 0;
    return (event->offset + event->a_size - 1) / SECTOR - event->offset / SECTOR + 1;
}

static void copy_node(struct node *to, const struct node *from)
{
    *to = *from;
    to->data = NULL;
    to->entries = NULL;
    if (from->size) {
        to->data = memory(NULL, from->size);
        memcpy(to->data, from->data, from->size);
    }
    if (from->entries) {
        to->entries = memory(NULL, NAMES_MAX * sizeof *to->entries);
        memcpy(to->entries, from->entries, from->count * sizeof *to->entries);
    }
}

// The sectors of a write that are kept carry what the cache holds of them, which includes what was not kept before.
static void cut_write(struct node *result, struct node *cache, const struct disk *disk, size_t index,
                      bool (*keep)(void *context, size_t index, size_t sector), void *context)
{
    const struct event_head *event = disk->waiting[index].event;
    size_t first = event->offset / SECTOR, end = event->offset + event->a_size;
    apply_content(cache, event);
    for (size_t sector = 0; sector < disk_sectors(disk, index); sector++) {
        if (!keep(context, index, sector))
            continue;
        size_t from = (first + sector) * SECTOR, to = from + SECTOR < end ? from + SECTOR : end;
        size_t whole = from + SECTOR < cache->size ? from + SECTOR : cache->size;
        if (to > result->size)
            set_size(result, to);
        if (whole > result->size)
            whole = result->size;
        memcpy(result->data + from, cache->data + from, whole - from);
    }
}

static uint64_t digest(uint64_t sum, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    uint64_t word;
    for (; size >= 8; size -= 8, bytes += 8) {
        memcpy(&word, bytes, 8);
        sum = (sum ^ word) * UINT64_C(0x9E3779B97F4A7C15);
        sum ^= sum >> 29;
    }
    while (size-- > 0)
        sum = (sum ^ *bytes++) * UINT64_C(0x100000001B3);
    return sum * UINT64_C(0xD6E8FEB86659FD93) ^ sum >> 32;
}

static void write_file(const char *path, const struct node *file)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    must(fd >= 0 && write(fd, file->data, file->size) == (ssize_t)file->size && close(fd) == 0, path);
}

// Names in a directory have no order; the sum over them has none either.
static uint64_t lay_down(const struct node *nodes, uint32_t at, const char *path, unsigned depth)
{
    const struct node *node = &nodes[at];
    must(depth < DEPTH_MAX, "directories too deep");
    if (!node->directory) {
        if (path)
            write_file(path, node);
        return digest(node->size + 1, node->data, node->size);
    }
    uint64_t sum = 2;
    if (path && depth > 0)
        must(mkdir(path, 0700) == 0, path);
    for (size_t i = 0; i < node->count; i++) {
        char inside[PATH_MAX] = "";
        if (path)
            must(snprintf(inside, sizeof inside, "%s/%s", path, node->entries[i].name) < (int)sizeof inside, "a long path");
        uint64_t below = lay_down(nodes, node->entries[i].node, path ? inside : NULL, depth + 1);
        sum += digest(below, node->entries[i].name, strlen(node->entries[i].name));
    }
    return sum;
}

uint64_t disk_cut(const struct disk *disk, bool (*keep)(void *context, size_t index, size_t sector), void *context, const char *directory)
{
    struct node *result = memory(NULL, disk->count * sizeof *result), *cache = memory(NULL, disk->count * sizeof *cache);
    bool *copied = memory(NULL, disk->count);
    memcpy(result, disk->nodes, disk->count * sizeof *result);
    memset(copied, 0, disk->count);
    for (size_t i = 0; i < disk->waiting_count; i++) {
        const struct change *change = &disk->waiting[i];
        uint32_t at = change->node;
        if (!copied[at]) {
            copy_node(&result[at], &disk->nodes[at]);
            copy_node(&cache[at], &disk->nodes[at]);
            copied[at] = true;
        }
        if (change->event->kind == LOG_WRITE && change->event->a_size > 0) {
            cut_write(&result[at], &cache[at], disk, i, keep, context);
        } else if (is_content(change->event)) {
            apply_content(&cache[at], change->event);
            if (keep(context, i, 0))
                apply_content(&result[at], change->event);
        } else if (keep(context, i, 0)) {
            apply_name(&result[at], change);
        }
    }
    uint64_t sum = lay_down(result, 0, directory, 0);
    for (uint32_t i = 0; i < disk->count; i++) {
        if (!copied[i])
            continue;
        free(result[i].data);
        free(result[i].entries);
        free(cache[i].data);
        free(cache[i].entries);
    }
    free(result);
    free(cache);
    free(copied);
    return sum;
}
