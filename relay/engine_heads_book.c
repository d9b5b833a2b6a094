// The book itself, and its table: relay/engine_heads.h.
#include "relay/engine_inside.h"

#include <stdlib.h>

enum {
    WRITE_AGAIN_MS = 1000, // there is more than one transaction takes
    WRITE_ROWS_MAX = 256,  // in one transaction: 200 KB
};

static uint32_t place_of(const struct heads_book *book, const struct station_id *station, bool *ret_found)
{
    uint32_t low = 0, high = book->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (memcmp(book->entries[middle]->station.bytes, station->bytes, STATION_ID_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret_found = low < book->count && station_equal(&book->entries[low]->station, station);
    return low;
}

struct heads_entry *heads_find(const struct heads_book *book, const struct station_id *station)
{
    bool found;
    uint32_t at = place_of(book, station, &found);
    return found ? book->entries[at] : NULL;
}

struct heads_entry *heads_enter(struct heads_book *book, const struct station_id *station)
{
    bool found;
    uint32_t at = place_of(book, station, &found);
    if (found)
        return book->entries[at];
    if (book->count == HEADS_STATIONS_MAX)
        return NULL;
    if (book->count == book->capacity) {
        uint32_t capacity = book->capacity ? 2 * book->capacity : 16;
        struct heads_entry **entries = realloc(book->entries, capacity * sizeof *entries);
        if (!entries)
            return NULL;
        book->entries = entries;
        book->capacity = capacity;
    }
    struct heads_entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->station = *station;
    entry->link = UINT32_MAX;
    memmove(book->entries + at + 1, book->entries + at, (book->count - at) * sizeof *book->entries);
    book->entries[at] = entry;
    book->count++;
    return entry;
}

bool heads_keep(struct heads_entry *entry, const struct heads *heads, struct bytes claim, const uint8_t *signature)
{
    uint8_t *copy = malloc(claim.size);
    if (!copy)
        return false;
    memcpy(copy, claim.data, claim.size);
    free(entry->claim);
    entry->claim = copy;
    entry->claim_size = (uint16_t)claim.size;
    memcpy(entry->signature, signature, SIGNATURE_SIZE);
    entry->ordinal = heads->ordinal;
    entry->starts = heads->starts;
    entry->number = heads->number;
    return true;
}

bool heads_claim(const struct heads_entry *entry, struct heads *ret)
{
    return entry->claim && heads_decode(bytes_of(entry->claim, entry->claim_size), ret, NULL) == OK;
}

bool heads_above(const struct heads_book *book, const struct station_id *station)
{
    for (uint32_t i = 0; i < book->above_count; i++)
        if (station_equal(&book->above[i], station))
            return true;
    return false;
}

// ---- the table

struct write_job {
    uint32_t count;
    struct written {
        struct station_id station;
        struct heads_row row;
        size_t from, claim_size;
    } rows[WRITE_ROWS_MAX];
    struct buffer claims; // claim and signature of each
};

static enum error_code run_write(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    struct write_job *job = argument;
    for (uint32_t i = 0; i < job->count; i++) {
        struct heads_row row = job->rows[i].row, held;
        struct buffer other = {0};
        const uint8_t *claim = job->claims.data + job->rows[i].from;
        row.claim = bytes_of(claim, job->rows[i].claim_size);
        row.signature = bytes_of(claim + row.claim.size, row.claim.size ? SIGNATURE_SIZE : 0);
        if (heads_read(txn, &job->rows[i].station, &held) && held.other.size) {
            buffer_append(&other, held.other.data, held.other.size);
            buffer_append(&other, held.other_signature.data, held.other_signature.size);
            row.other = bytes_of(other.data, held.other.size);
            row.other_signature = bytes_of(other.data + held.other.size, held.other_signature.size);
        }
        if (other.failed)
            txn_fail(txn, ERR_MEMORY, "heads");
        else
            heads_write(txn, &job->rows[i].station, &row);
        buffer_finish(&other);
    }
    return OK;
}

static void rows_written(void *argument, enum error_code code, const struct error *error)
{
    (void)code; // what could not be written is written with the next claim
    (void)error;
    struct write_job *job = argument;
    buffer_finish(&job->claims);
    free(job);
}

static void add_row(struct write_job *job, const struct heads_entry *entry)
{
    struct written *written = &job->rows[job->count++];
    written->station = entry->station;
    written->row = (struct heads_row){.received_ms = entry->received_ms,
                                      .via = entry->via,
                                      .told = entry->told,
                                      .silent = entry->silent,
                                      .quiet_s = (uint32_t)(entry->quiet_ms / 1000)};
    written->from = job->claims.size;
    written->claim_size = entry->claim_size;
    if (entry->claim) {
        buffer_append(&job->claims, entry->claim, entry->claim_size);
        buffer_append(&job->claims, entry->signature, SIGNATURE_SIZE);
    }
}

void heads_save(struct engine *engine, uint64_t now)
{
    struct heads_book *book = &engine->heads;
    struct write_job *job = calloc(1, sizeof *job);
    book->write_ms = job ? UINT64_MAX : now + HEADS_WRITE_MS;
    for (uint32_t i = 0; job && i < book->count; i++) {
        struct heads_entry *entry = book->entries[i];
        if (!entry->dirty || entry == book->own)
            continue;
        if (job->count == WRITE_ROWS_MAX) {
            book->write_ms = now + WRITE_AGAIN_MS;
            break;
        }
        entry->dirty = false;
        add_row(job, entry);
    }
    if (!job || job->count == 0) {
        free(job);
        return;
    }
    struct call_job call = {.run = run_write, .finished = rows_written, .argument = job};
    if (job->claims.failed || writer_submit_call(engine->config.writer, &call) != OK)
        rows_written(job, ERR_BUSY, NULL);
}

void heads_load(struct engine *engine)
{
    struct heads_book *book = &engine->heads;
    struct station_id station = {0};
    struct heads_row row;
    struct heads heads;
    struct txn *txn = engine_reader(engine);
    while (txn && heads_next(txn, &station, &station, &row)) {
        struct heads_entry *entry = heads_enter(book, &station);
        if (!entry)
            break;
        entry->via = row.via;
        entry->below = !heads_above(book, &station);
        entry->told = row.told;
        entry->silent = row.silent;
        entry->quiet_ms = (uint64_t)row.quiet_s * 1000;
        entry->received_ms = row.received_ms;
        if (row.claim.size && row.signature.size == SIGNATURE_SIZE && heads_decode(row.claim, &heads, NULL) == OK)
            heads_keep(entry, &heads, row.claim, row.signature.data);
        if (entry->told)
            book->look_ms = 0;
    }
    if (txn && txn_error(txn) != OK)
        engine_reader_end(engine);
}
