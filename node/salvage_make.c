#include "node/salvage_inside.h"

#include <stdio.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "node/station_inside.h"
#include "relay/language.h"
#include "relay/row.h"

enum {
    TURN_ROWS = 1000,              // in one transaction ...
    TURN_BYTES = WRITER_BYTES_MAX, // ... and of this many bytes
};

// ---- what every store begins with

static void add_chain(const struct salvage *salvage, struct txn *txn)
{
    struct certificate at = salvage->self;
    for (unsigned i = 0; i <= DEPTH_MAX; i++) {
        struct buffer wire = {0};
        struct hash hash = at.hash;
        enum object_kind kind;
        bool there = salvage_object(salvage, &hash, &kind, &wire);
        if (there)
            object_add(txn, &hash, OBJECT_CERTIFICATE, buffer_bytes(&wire));
        buffer_finish(&wire);
        if (!there || at.root)
            return;
        hash = at.issuer;
        struct buffer issuer = {0};
        if (!salvage_object(salvage, &hash, &kind, &issuer) || certificate_decode(buffer_bytes(&issuer), &at, NULL) != OK)
            i = DEPTH_MAX;
        buffer_finish(&issuer);
    }
}

// Whether the bytes can come into force here.
static bool usable(const struct salvage *salvage, uint32_t document, struct bytes content, struct units **ret_units)
{
    struct codebook *codebook;
    if (document == DOCUMENT_CODEBOOK) {
        if (codebook_load(content, "codebook.yaml", &codebook, NULL) != OK)
            return false;
        codebook_destroy(codebook);
        return true;
    }
    if (units_parse(content, "units.csv", ret_units, NULL) != OK)
        return false;
    if (units_find(*ret_units, salvage->self.unit) != UNIT_NONE)
        return true;
    units_destroy(*ret_units);
    *ret_units = NULL;
    return false;
}

// The latest version that was in force and is here; newer ones are announced again.
static bool enforce(const struct salvage *salvage, struct txn *txn, uint32_t document, struct units **ret_units)
{
    bool used[SALVAGE_KNOWN_MAX] = {false}, done = false;
    for (uint32_t turn = 0; turn < salvage->known_count && !done; turn++) {
        uint32_t best = SALVAGE_KNOWN_MAX;
        for (uint32_t i = 0; i < salvage->known_count; i++)
            if (!used[i] && salvage->known[i].document == document &&
                (best == SALVAGE_KNOWN_MAX || salvage->known[i].version > salvage->known[best].version))
                best = i;
        if (best == SALVAGE_KNOWN_MAX)
            break;
        used[best] = true;
        struct buffer content = {0};
        enum object_kind kind;
        done = salvage_object(salvage, &salvage->known[best].hash, &kind, &content) && kind == OBJECT_DOCUMENT &&
               usable(salvage, document, buffer_bytes(&content), ret_units);
        if (done) {
            object_add(txn, &salvage->known[best].hash, OBJECT_DOCUMENT, buffer_bytes(&content));
            document_enforce(txn, document, &salvage->known[best].hash, salvage->known[best].version);
        }
        buffer_finish(&content);
    }
    return done;
}

// Children and alarms, as they were written: the same table and key, so the same checksum.
static void put_rows(struct salvage *salvage, struct txn *txn)
{
    const struct salvage_row *rows = salvage_rows(salvage);
    for (size_t i = 0; i < salvage_row_count(salvage); i++) {
        struct buffer value = {0};
        struct bytes key = bytes_of(rows[i].key, rows[i].key_size);
        if (rows[i].table == TABLE_OBJECTS)
            continue;
        if (salvage_fetch(salvage, rows[i].offset, (size_t)rows[i].size + ROW_CHECKSUM_SIZE, &value) &&
            row_intact(rows[i].table, key, buffer_bytes(&value))) {
            txn_put(txn, rows[i].table, key, buffer_bytes(&value));
            salvage->report->children += rows[i].table == TABLE_PEERS;
            salvage->report->alarms += rows[i].table == TABLE_ALARMS;
        }
        buffer_finish(&value);
    }
}

static enum error_code bear(struct salvage *salvage, const char *staging, struct error *error)
{
    struct store *store = NULL;
    struct units *units = NULL;
    enum error_code code = store_open(staging, STORE_CREATE, 0, &store, error);
    struct txn *txn = code == OK ? txn_begin(store, true, error) : NULL;
    if (code == OK && !txn)
        code = error->code;
    if (code == OK) {
        struct journal_meta meta = {.format = STORE_FORMAT,
                                    .station = salvage->self.station,
                                    .generation = salvage->marker.wants,
                                    .starts = salvage->marker.starts ? salvage->marker.starts : 1};
        journal_create(txn, &meta);
        meta_put(txn, "self", bytes_of(salvage->self.hash.bytes, HASH_SIZE));
        add_chain(salvage, txn);
        put_rows(salvage, txn);
        enforce(salvage, txn, DOCUMENT_CODEBOOK, NULL);
        if (enforce(salvage, txn, DOCUMENT_UNITS, &units))
            unit_ids_assign(txn, units);
        else
            code =
                error_set(error, ERR_NOT_FOUND,
                          tr("%s: the unit tree is neither in the damaged store nor in DIR/enrolment; put a copy of the store or of that "
                             "file back, or invite the unit again and join as a new station in another directory",
                             "%s：损坏的存储和 DIR/enrolment 中均无单位树；请恢复存储或该文件的副本，"
                             "或重新邀请该单位，在其他目录作为新站点加入"),
                          salvage->directory);
    }
    if (code == OK)
        code = txn_commit(txn, error);
    else
        txn_abort(txn);
    units_destroy(units);
    store_close(store);
    return code;
}

// ---- what was found comes again

struct turn {
    struct salvage *salvage;
    struct station *station;
    size_t from, to; // of the rows, or of the batches
    uint64_t kept, certificates, documents;
    bool done[TURN_ROWS]; // of objects: here now, or never
};

static bool fill_object(const struct salvage *salvage, const struct salvage_row *row, struct arrival *arrival, enum object_kind *ret_kind)
{
    memcpy(arrival->object.bytes, row->key, HASH_SIZE);
    arrival->is_object = true;
    arrival->stream = SANJI__STREAM__STREAM_DOWN_ALL;
    arrival->lane = SANJI__LANE__BULK;
    arrival->received_ms = utc_ms();
    return salvage_object(salvage, &arrival->object, ret_kind, &arrival->body);
}

static enum error_code run_objects(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    struct turn *turn = argument;
    const struct salvage_row *rows = salvage_rows(turn->salvage);
    turn->certificates = turn->documents = 0;
    for (size_t i = turn->from; i < turn->to && txn_error(txn) == OK; i++) {
        struct arrival arrival = {0};
        struct grown grown = {0};
        enum object_kind kind;
        turn->done[i - turn->from] = true;
        if (rows[i].table != TABLE_OBJECTS || !fill_object(turn->salvage, &rows[i], &arrival, &kind)) {
            arrival_finish(&arrival);
            continue;
        }
        enum received outcome = receive(&turn->station->receiver, txn, &arrival, &grown);
        if (kind == OBJECT_DOCUMENT)
            route_document(txn, &arrival.object, &grown); // also those that were here first
        turn->certificates += outcome == RECEIVED && kind == OBJECT_CERTIFICATE;
        turn->documents += outcome == RECEIVED && kind == OBJECT_DOCUMENT;
        turn->done[i - turn->from] = outcome != RECEIVED_GAP;
        arrival_finish(&arrival);
    }
    return OK;
}

// A certificate whose issuer comes later waits for another round; there are as many rounds as tiers.
static enum error_code take_objects(struct salvage *salvage, struct station *station, struct error *error)
{
    struct turn *turn = calloc(1, sizeof *turn);
    enum error_code code = turn ? OK : error_set(error, ERR_MEMORY, "salvage");
    size_t count = salvage_row_count(salvage);
    bool waits = true;
    for (unsigned round = 0; code == OK && waits && round <= DEPTH_MAX; round++) {
        waits = false;
        salvage->report->certificates = salvage->report->documents = 0;
        for (size_t from = 0; code == OK && from < count; from += TURN_ROWS) {
            *turn = (struct turn){
                .salvage = salvage, .station = station, .from = from, .to = from + TURN_ROWS < count ? from + TURN_ROWS : count};
            code = writer_call(station->writer, run_objects, turn, error);
            salvage->report->certificates += turn->certificates;
            salvage->report->documents += turn->documents;
            for (size_t i = 0; i < turn->to - from; i++)
                waits = waits || !turn->done[i];
        }
    }
    free(turn);
    return code;
}

static bool fill_batch(const struct salvage *salvage, const struct salvage_batch *batch, const struct station_id *self,
                       struct buffer *fields, struct arrival *arrival)
{
    struct batch_row row = {0};
    struct evidence evidence;
    buffer_clear(fields);
    if (!salvage_fetch(salvage, batch->offset, batch->size, fields))
        return false;
    bool journal = batch->position != UINT64_MAX;
    if (journal ? !journal_decode(buffer_bytes(fields), &row) : !evidence_decode(buffer_bytes(fields), &evidence))
        return false;
    if (!journal)
        row =
            (struct batch_row){.header = evidence.header, .signature = evidence.signature, .body = evidence.body, .received_ms = utc_ms()};
    if (header_decode(row.header, &arrival->decoded, NULL) != OK)
        return false;
    const struct feed_key *feed = &arrival->decoded.feed;
    bool own = station_equal(&feed->station, self), up = feed->audience == SANJI__AUDIENCE__UP;
    arrival->peer = own ? *self : row.from; // what it signed itself comes from itself this time: it is judged as it is everywhere
    arrival->stream = !up ? SANJI__STREAM__STREAM_DOWN_ALL : own ? SANJI__STREAM__STREAM_DOWN_ONE : SANJI__STREAM__STREAM_UP;
    arrival->lane = feed->lane;
    arrival->received_ms = row.received_ms;
    buffer_append(&arrival->header, row.header.data, row.header.size);
    buffer_append(&arrival->signature, row.signature.data, row.signature.size);
    buffer_append(&arrival->body, row.body.data, row.body.size);
    return !arrival->header.failed && !arrival->signature.failed && !arrival->body.failed;
}

static enum error_code run_batches(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    struct turn *turn = argument;
    const struct salvage_batch *batches = salvage_batches(turn->salvage);
    struct buffer fields = {0};
    turn->kept = 0;
    for (size_t i = turn->from; i < turn->to && txn_error(txn) == OK; i++) {
        struct arrival arrival = {0};
        struct grown grown = {0};
        uint64_t end = journal_end(txn);
        if (fill_batch(turn->salvage, &batches[i], &turn->salvage->self.station, &fields, &arrival)) {
            turn->station->desk.now_ms = arrival.received_ms;
            receive(&turn->station->receiver, txn, &arrival, &grown);
            turn->kept += journal_end(txn) > end;
        }
        arrival_finish(&arrival);
    }
    turn->station->desk.now_ms = utc_ms();
    buffer_finish(&fields);
    return OK;
}

static enum error_code take_batches(struct salvage *salvage, struct station *station, struct error *error)
{
    const struct salvage_batch *batches = salvage_batches(salvage);
    struct turn *turn = calloc(1, sizeof *turn);
    enum error_code code = turn ? OK : error_set(error, ERR_MEMORY, "salvage");
    size_t count = salvage_batch_count(salvage);
    for (size_t from = 0, to; code == OK && from < count; from = to) {
        uint64_t bytes = 0;
        for (to = from; to < count && to - from < TURN_ROWS && bytes < TURN_BYTES; to++)
            bytes += batches[to].size;
        *turn = (struct turn){.salvage = salvage, .station = station, .from = from, .to = to};
        code = writer_call(station->writer, run_batches, turn, error);
        salvage->report->kept += turn->kept;
        if (salvage->progress)
            salvage->progress(salvage->progress_context, to, count);
    }
    free(turn);
    return code;
}

// The marker's word on the newest incarnation, for one that was lost: from what the journal has.
static enum error_code settle_marker(struct salvage *salvage, struct station *station, struct error *error)
{
    struct txn *txn = txn_begin(station->store, false, error);
    if (!txn)
        return error->code;
    salvage->marker.restored = false;
    incarnation_suspend(txn, &station->meta, &salvage->marker, salvage->marker.wants);
    enum error_code code = txn_report(txn, error);
    txn_abort(txn);
    return code;
}

enum error_code salvage_make(struct salvage *salvage, const char *staging, struct error *error)
{
    struct station *station = NULL;
    enum error_code code = bear(salvage, staging, error);
    if (code == OK)
        code = station_open_salvaged(salvage->directory, staging, &salvage->marker, salvage->lock, &station, error);
    if (code == OK)
        code = take_objects(salvage, station, error);
    if (code == OK)
        code = take_batches(salvage, station, error);
    if (code == OK)
        code = settle_marker(salvage, station, error);
    station_close(station);
    return code;
}
