// Rows of the store with a right checksum and any content: every reader says what it is, or that it is damaged, and nothing else. Input:
// table, size of the key, key, fields; then the next row.
#include "envelope.pb-c.h"
#include "node/ledger_rows.h"
#include "relay/journal.h"
#include "relay/quarantine.h"
#include "relay/receipt.h"
#include "relay/row.h"
#include "relay/store_memory.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"

enum { ROWS_MAX = 8 };

static void write_rows(struct txn *txn, struct input *input)
{
    for (unsigned i = 0; i < ROWS_MAX && input->size; i++) {
        enum table table = (enum table)input_below(input, TABLE_COUNT);
        struct bytes key = input_take(input, 1 + input_below(input, 64));
        struct buffer fields = {0};
        size_t size = (size_t)input_byte(input) << 8;
        struct bytes content = input_take(input, size | input_byte(input));
        if (key.size == 0)
            break;
        row_raw(&fields, content.data, content.size);
        row_write(txn, table, key, &fields);
    }
    MUST(txn_commit(txn, NULL) == OK);
}

// A reader's transaction of its own: one that finds damage fails.
static void end(struct txn *txn)
{
    enum error_code code = txn_error(txn);
    MUST(code == OK || code == ERR_CORRUPT || code == ERR_VERSION);
    txn_abort(txn);
}

static void read_journal(struct store *store, uint64_t position)
{
    struct batch_row row;
    struct txn *txn = txn_begin(store, false, NULL);
    MUST(txn);
    if (journal_read(txn, position, &row) && row.header.size <= HEADER_MAX)
        journal_digest(&row);
    end(txn);
    txn = txn_begin(store, false, NULL);
    journal_end(txn);
    journal_find(txn, 1, position, &position);
    end(txn);
}

static void read_feeds(struct store *store)
{
    struct feed_key feed = {.lane = 1, .audience = 1};
    struct feed_state state;
    struct evidence evidence;
    struct txn *txn = txn_begin(store, false, NULL);
    for (uint32_t id = 1; id < 4; id++)
        if (feed_read(txn, id, &feed, &state) && feed_find(txn, &feed, &id, &state))
            break;
    end(txn);
    txn = txn_begin(store, false, NULL);
    for (unsigned i = 0; i < ROWS_MAX && evidence_next(txn, 1, i ? &evidence : NULL, &evidence); i++)
        ;
    end(txn);
}

static void read_streams(struct store *store, uint8_t which)
{
    struct stream stream = {.stream = which % 4, .lane = which % 6};
    struct stream_row rows[4];
    struct mark mark;
    struct staged staged;
    struct txn *txn = txn_begin(store, false, NULL);
    uint32_t count = stream_read(txn, &stream, 0, rows, 4);
    MUST(count <= 4);
    for (uint32_t i = 1; i < count; i++)
        MUST(rows[i - 1].position < rows[i].position);
    stream_end(txn, &stream);
    end(txn);
    txn = txn_begin(store, false, NULL);
    mark_read(txn, &stream.peer, which & 1, stream.stream, stream.lane, &mark);
    staged_read(txn, &stream.peer, stream.stream, stream.lane, &staged);
    end(txn);
}

static void read_rest(struct store *store)
{
    struct journal_meta meta;
    struct error error = {0};
    struct peer peer;
    struct station_id after = {{0}};
    struct alarm alarms[4];
    struct hash name = {{0}};
    enum object_kind kind;
    struct bytes content;
    struct txn *txn = txn_begin(store, false, NULL);
    enum error_code code = journal_meta_read(txn, &meta, &error);
    MUST(code == OK || error.detail[0]);
    end(txn);
    txn = txn_begin(store, false, NULL);
    for (unsigned i = 0; i < ROWS_MAX && peer_next(txn, &after, &peer); i++)
        after = peer.station;
    end(txn);
    txn = txn_begin(store, false, NULL);
    MUST(alarm_last(txn, alarms, 4) <= 4);
    end(txn);
    txn = txn_begin(store, false, NULL);
    object_read(txn, &name, &kind, &content);
    end(txn);
}

static void read_ledger(struct store *store)
{
    struct group_key group = {.definition = {{0}}};
    struct group_state state;
    struct cells cells;
    struct heard_row heard;
    struct complete_row complete;
    struct txn *txn = txn_begin(store, false, NULL);
    group_row_read(txn, &group, &state);
    end(txn);
    txn = txn_begin(store, false, NULL);
    cells_read(txn, TABLE_CELLS, &group, 0, &cells);
    cells_read(txn, TABLE_BELOW, &group, 0, &cells);
    end(txn);
    txn = txn_begin(store, false, NULL);
    heard_row_read(txn, 0, &heard);
    complete_row_read(txn, 0, 0, &complete);
    end(txn);
}

static void read_receipts(struct store *store, struct bytes content)
{
    struct urgent_batch urgent;
    struct receipt receipt = {0};
    struct quarantined damaged;
    struct txn *txn = txn_begin(store, false, NULL);
    for (unsigned i = 0; i < ROWS_MAX && urgent_next(txn, i ? &urgent : NULL, &urgent); i++)
        ;
    urgent_due_in(txn, 1000, 1);
    end(txn);
    txn = txn_begin(store, false, NULL);
    for (unsigned i = 0; i < ROWS_MAX && receipt_next(txn, &receipt, &receipt); i++)
        ;
    end(txn);
    txn = txn_begin(store, false, NULL);
    for (unsigned i = 0; i < ROWS_MAX && quarantine_before(txn, i ? &damaged : NULL, &damaged); i++)
        ;
    quarantine_holds(txn, 1, 5);
    end(txn);
    // A receipt's bytes, as one that is addressed to us brings them.
    static const struct certificate self = {.depth = 2}, signer = {.depth = 1};
    static const struct header header = {.feed = {.lane = 1, .audience = 3}, .first = 1, .count = 1};
    struct entry entry = {.kind = SANJI__ENTRY_KIND__RECEIPT, .content = content, .wire = content};
    const char *reason = NULL;
    txn = txn_begin(store, false, NULL);
    if (receipt_judge(txn, &self, &header, &signer, &entry, 1, &receipt, &reason) == RECEIPT_FORGED)
        MUST(reason && reason[0]);
    end(txn);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct store *store;
    struct input input = {data, size};
    MUST(crypto_init(NULL) == OK && store_memory_create(&store, NULL) == OK);
    uint8_t which = input_byte(&input);
    write_rows(txn_begin(store, true, NULL), &input);
    for (uint64_t position = 1; position < 4; position++)
        read_journal(store, position);
    read_feeds(store);
    read_streams(store, which);
    read_rest(store);
    read_ledger(store);
    read_receipts(store, bytes_of(data, size));
    struct txn *txn = txn_begin(store, true, NULL);
    deferred_take(txn, "units");
    end(txn);
    store_close(store);
    return 0;
}
