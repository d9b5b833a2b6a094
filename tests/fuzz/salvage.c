// What is left of a database file, whatever it is: rows are found or not, and nothing is read that is not there. The first byte says how
// much is made right on the way: rows are put into the pages with their checksums, at places and of sizes that the input chooses.
#include <stdlib.h>

#include "relay/journal.h"
#include "relay/limits.h"
#include "relay/row.h"
#include "relay/salvage.h"
#include "relay/store_memory.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"

enum { PAGE = 4096, ROWS_MAX = 16 };

static bool read_bytes(void *context, uint64_t offset, void *data, size_t size)
{
    const struct buffer *file = context;
    MUST(offset <= file->size && size <= file->size - offset);
    memcpy(data, file->data + offset, size);
    return true;
}

static bool found(void *context, const struct salvaged *row)
{
    const struct buffer *file = context;
    struct batch_row batch;
    struct evidence evidence;
    MUST(row->key.size && row->key.size <= SALVAGE_KEY_MAX && row->offset + row->fields.size + ROW_CHECKSUM_SIZE <= file->size);
    MUST(memcmp(file->data + row->offset, row->fields.data, row->fields.size) == 0);
    MUST(row_intact(row->table, row->key, bytes_of(file->data + row->offset, row->fields.size + ROW_CHECKSUM_SIZE)));
    if (row->table == TABLE_JOURNAL && journal_decode(row->fields, &batch))
        MUST(batch.header.size + batch.signature.size + batch.body.size <= row->fields.size);
    if (row->table == TABLE_EVIDENCE && evidence_decode(row->fields, &evidence))
        MUST(evidence.header.size + evidence.signature.size + evidence.body.size <= row->fields.size);
    return true;
}

static void put_native(uint8_t *p, uint64_t value, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

// A row of the store, checksum and all, as the bytes of a node; outside of the page when the input says so.
static void plant(struct buffer *file, struct input *input, struct txn *txn)
{
    static const enum table tables[] = {TABLE_JOURNAL, TABLE_EVIDENCE, TABLE_OBJECTS, TABLE_COPIES, TABLE_PEERS,
                                        TABLE_GUESTS,  TABLE_ALARMS,   TABLE_META,    TABLE_CELLS};
    static const uint8_t sizes[] = {8, 44, 32, 32, 16, 16, 8, 11, 25};
    uint8_t key[64] = {0};
    unsigned which = (unsigned)input_below(input, sizeof sizes);
    size_t at = ((size_t)input_byte(input) << 8 | input_byte(input)) * 2, outside = input_byte(input);
    struct bytes content = input_take(input, (size_t)input_byte(input) * 4);
    struct bytes name = input_take(input, sizes[which]), value, wanted = bytes_of(key, sizes[which]);
    struct buffer fields = {0};
    if (name.size)
        memcpy(key, name.data, name.size);
    row_raw(&fields, content.data, content.size);
    row_write(txn, tables[which], wanted, &fields);
    if (!txn_get(txn, tables[which], wanted, &value) || at + 8 + wanted.size + value.size + 8 > file->size)
        return;
    uint8_t *node = file->data + at;
    bool big = outside % 4 == 1 && (outside / 4 + 1) * PAGE <= file->size && value.size < PAGE - 16;
    put_native(node, value.size & 0xFFFF, 2);
    put_native(node + 2, value.size >> 16, 2);
    put_native(node + 4, big, 2);
    put_native(node + 6, wanted.size, 2);
    memcpy(node + 8, wanted.data, wanted.size);
    if (big) {
        put_native(node + 8 + wanted.size, outside / 4, 8);
        put_native(file->data + outside / 4 * PAGE + 10, 4, 2);
        memcpy(file->data + outside / 4 * PAGE + 16, value.data, value.size);
    } else {
        memcpy(node + 8 + wanted.size, value.data, value.size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, size};
    struct store *store;
    struct buffer file = {0};
    struct salvage_count count;
    MUST(crypto_init(NULL) == OK && store_memory_create(&store, NULL) == OK);
    unsigned rows = input_below(&input, ROWS_MAX), pages = 1 + input_below(&input, 16);
    uint8_t *room = rows ? buffer_extend(&file, (size_t)pages * PAGE) : NULL;
    if (room)
        memset(room, 0, (size_t)pages * PAGE);
    struct txn *txn = txn_begin(store, true, NULL);
    for (unsigned i = 0; i < rows; i++)
        plant(&file, &input, txn);
    txn_abort(txn);
    struct bytes rest = input_rest(&input);
    buffer_append(&file, rest.data, rest.size);
    struct salvage_source source = {&file, read_bytes, file.size};
    MUST(salvage_scan(&source, found, NULL, &file, NULL, &count, NULL) == OK);
    MUST(count.unreadable == 0);
    buffer_finish(&file);
    store_close(store);
    return 0;
}
