#include "relay/salvage.h"

#include <stdlib.h>

#include "relay/batch.h"
#include "relay/limits.h"
#include "relay/page.h"
#include "relay/row.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "LMDB writes native integers");

enum {
    PAGE_FLAGS = 10,
    META_MAGIC = PAGE_HEADER,
    META_PAGE_SIZE = META_MAGIC + 24,
    NODE_HEADER = 8, // value size in two halves, flags, key size
    NODE_BIG = 1,    // the value is in overflow pages
    PROGRESS_PAGES = 4096,
    // The largest values of the tables below: an object with its kind, a batch with header, signature and what stands around them.
    OBJECT_VALUE_MAX = DOCUMENT_MAX + 64,
    BATCH_VALUE_MAX = BATCH_BODY_MAX + HEADER_MAX + 1024,
    OTHER_VALUE_MAX = 8192,
};

// Tables by the size of their keys; 0: of several sizes.
static const struct shape {
    enum table table;
    size_t key, max;
} shapes[] = {
    {TABLE_JOURNAL, 8, BATCH_VALUE_MAX},   {TABLE_ALARMS, 8, OTHER_VALUE_MAX}, {TABLE_OBJECTS, 32, OBJECT_VALUE_MAX},
    {TABLE_COPIES, 32, OBJECT_VALUE_MAX},  {TABLE_PEERS, 16, OTHER_VALUE_MAX}, {TABLE_GUESTS, 16, OTHER_VALUE_MAX},
    {TABLE_EVIDENCE, 44, BATCH_VALUE_MAX}, {TABLE_META, 0, OTHER_VALUE_MAX},
};

struct scan {
    const struct salvage_source *source;
    bool (*found)(void *context, const struct salvaged *row);
    void *context;
    size_t page_size;
    uint8_t *page, *big; // a page; a value outside of it
    uint64_t number;     // of the page
    size_t hashed;       // bytes, of this page's own rows
    unsigned bigs;       // values outside, of this page
    bool stop;
    struct salvage_count count;
};

// What one of the meta pages says; they are at 0 and at the page size itself. Neither: what every machine that this runs on has.
static size_t find_page_size(const struct salvage_source *source)
{
    uint8_t head[META_PAGE_SIZE + 4];
    for (size_t at = 0; at <= PAGE_SIZE_MAX; at = at ? at * 2 : PAGE_SIZE_MIN) {
        if (at + sizeof head > source->size || !source->read(source->context, at, head, sizeof head) ||
            native32(head + META_MAGIC) != 0xBEEFC0DE)
            continue;
        uint32_t size = native32(head + META_PAGE_SIZE);
        if (size >= PAGE_SIZE_MIN && size <= PAGE_SIZE_MAX && (size & (size - 1)) == 0 && (at == 0 || at == size))
            return size;
    }
    return PAGE_SIZE_USUAL;
}

static void judge(struct scan *scan, struct bytes key, struct bytes value, uint64_t offset)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *shape = &shapes[i];
        if ((shape->key && shape->key != key.size) || value.size > shape->max || !row_intact(shape->table, key, value))
            continue;
        struct salvaged row = {shape->table, key, bytes_of(value.data, value.size - ROW_CHECKSUM_SIZE), offset};
        scan->count.rows++;
        scan->stop = !scan->found(scan->context, &row);
        return;
    }
}

static size_t value_max(size_t key_size)
{
    size_t max = 0;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if ((shapes[i].key == 0 || shapes[i].key == key_size) && shapes[i].max > max)
            max = shapes[i].max;
    return max;
}

// The value in overflow pages: a header, then the value, through as many pages as it takes.
static void look_outside(struct scan *scan, struct bytes key, uint64_t number, size_t size)
{
    const struct salvage_source *source = scan->source;
    uint8_t header[PAGE_HEADER];
    if (number >= source->size / scan->page_size + 1 || scan->bigs++ >= SALVAGE_BIG_MAX)
        return;
    uint64_t offset = number * scan->page_size;
    if (offset + PAGE_HEADER > source->size || size > source->size - offset - PAGE_HEADER ||
        !source->read(source->context, offset, header, sizeof header) || !(native16(header + PAGE_FLAGS) & PAGE_OVERFLOW) ||
        !source->read(source->context, offset + PAGE_HEADER, scan->big, size))
        return;
    judge(scan, key, bytes_of(scan->big, size), offset + PAGE_HEADER);
}

static void look_at(struct scan *scan, size_t at)
{
    const uint8_t *node = scan->page + at;
    size_t size = native16(node) | (size_t)native16(node + 2) << 16, left = scan->page_size - at - NODE_HEADER;
    unsigned flags = native16(node + 4), key_size = native16(node + 6);
    if (flags > NODE_BIG || key_size == 0 || key_size > SALVAGE_KEY_MAX || key_size > left || size < ROW_CHECKSUM_SIZE ||
        size > value_max(key_size))
        return;
    struct bytes key = bytes_of(node + NODE_HEADER, key_size);
    left -= key_size;
    if (flags & NODE_BIG) {
        if (left >= 8)
            look_outside(scan, key, native64(key.data + key_size), size);
        return;
    }
    scan->hashed += size;
    if (size <= left && scan->hashed <= SALVAGE_HASHED_PAGES * scan->page_size)
        judge(scan, key, bytes_of(key.data + key_size, size), scan->number * scan->page_size + at + NODE_HEADER + key_size);
}

// Nodes begin at even places. A file cut short ends in a page that is read as far as it goes.
static void look_through(struct scan *scan)
{
    const struct salvage_source *source = scan->source;
    uint64_t offset = scan->number * scan->page_size;
    size_t there = source->size - offset < scan->page_size ? (size_t)(source->size - offset) : scan->page_size;
    memset(scan->page, 0, scan->page_size);
    scan->count.pages++;
    if (!source->read(source->context, offset, scan->page, there)) {
        scan->count.unreadable++;
        return;
    }
    scan->hashed = 0;
    scan->bigs = 0;
    for (size_t at = PAGE_HEADER; at + NODE_HEADER < scan->page_size && !scan->stop; at += 2)
        look_at(scan, at);
}

enum error_code salvage_scan(const struct salvage_source *source, bool (*found)(void *context, const struct salvaged *row),
                             void (*progress)(void *context, uint64_t done, uint64_t total), void *found_context, void *progress_context,
                             struct salvage_count *ret, struct error *error)
{
    struct scan scan = {.source = source, .found = found, .context = found_context, .page_size = find_page_size(source)};
    scan.page = malloc(scan.page_size);
    scan.big = malloc(OBJECT_VALUE_MAX);
    bool memory = scan.page && scan.big;
    for (; memory && !scan.stop && scan.number < (source->size + scan.page_size - 1) / scan.page_size; scan.number++) {
        look_through(&scan);
        if (progress && scan.number % PROGRESS_PAGES == 0)
            progress(progress_context, scan.number * scan.page_size, source->size);
    }
    free(scan.page);
    free(scan.big);
    *ret = scan.count;
    return memory && !scan.stop ? OK : error_set(error, ERR_MEMORY, "salvage");
}
