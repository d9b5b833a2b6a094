// What a station has to say to the tiers above, counted in its store, beside a running node:
//   content DIR
// Batches, entries, and the bytes of the entries' content (what the station said, without any frame), of its own feeds up. As JSON.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "relay/batch.h"
#include "relay/journal.h"

struct sum {
    uint64_t batches, entries, content, body, header;
};

static void count(const struct batch_row *row, const struct header *header, struct entry *entries, struct sum *sum)
{
    sum->batches++;
    sum->entries += row->count;
    sum->body += row->body.size;
    sum->header += row->header.size + row->signature.size;
    if (row->body.size == 0 || body_decode(row->body, header, entries, NULL) != OK)
        return;
    for (uint32_t i = 0; i < row->count; i++)
        sum->content += entries[i].content.size;
}

static enum error_code count_all(struct txn *txn, struct sum *sum)
{
    struct entry *entries = calloc(BATCH_ENTRIES_MAX, sizeof *entries);
    uint64_t end = journal_end(txn);
    for (uint64_t position = 1; entries && position <= end && txn_error(txn) == OK; position++) {
        struct batch_row row;
        struct header header;
        struct station_id none = {0};
        if (journal_read(txn, position, &row) && station_equal(&row.from, &none) && header_decode(row.header, &header, NULL) == OK &&
            header.feed.audience == SANJI__AUDIENCE__UP)
            count(&row, &header, entries, sum);
    }
    free(entries);
    return entries ? txn_error(txn) : ERR_MEMORY;
}

int main(int argc, char **argv)
{
    struct store *store = NULL;
    struct error error = {0};
    struct sum sum = {0};
    if (argc != 2) {
        fprintf(stderr, "content DIR\n");
        return 2;
    }
    enum error_code code = store_open(argv[1], STORE_READ_ONLY, 0, &store, &error);
    struct txn *txn = code == OK ? txn_begin(store, false, &error) : NULL;
    if (txn)
        code = count_all(txn, &sum);
    txn_abort(txn);
    store_close(store);
    if (!txn || code != OK) {
        fprintf(stderr, "content: %s\n", txn ? error_name(code) : error.detail);
        return 1;
    }
    printf("{\"batches\": %" PRIu64 ", \"entries\": %" PRIu64 ", \"content\": %" PRIu64 ", \"body\": %" PRIu64 ", \"header\": %" PRIu64
           "}\n",
           sum.batches, sum.entries, sum.content, sum.body, sum.header);
    return 0;
}
