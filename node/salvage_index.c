#include "node/salvage_inside.h"

#include <stdlib.h>
#include <unistd.h>

#include "node/documents.h"
#include "relay/header.h"

// ---- what is found

static void add_batch(struct salvage *salvage, const struct salvaged *row)
{
    struct batch_row batch = {0};
    struct evidence evidence;
    struct header header;
    bool journal = row->table == TABLE_JOURNAL;
    if (journal ? !journal_decode(row->fields, &batch) : !evidence_decode(row->fields, &evidence))
        return;
    if (header_decode(journal ? batch.header : evidence.header, &header, NULL) != OK)
        return;
    uint8_t feed[FEED_KEY_SIZE];
    feed_key_encode(&header.feed, feed);
    struct hash hash = crypto_hash(TAG_DIGEST, bytes_of(feed, sizeof feed));
    struct salvage_batch found = {.position = journal ? get_be64(row->key.data) : UINT64_MAX,
                                  .first = header.first,
                                  .received_ms = batch.received_ms,
                                  .offset = row->offset,
                                  .size = (uint32_t)row->fields.size,
                                  .body = (journal ? batch.body : evidence.body).size > 0};
    memcpy(found.feed, hash.bytes, SALVAGE_TAG);
    memcpy(found.header, header.hash.bytes, SALVAGE_TAG);
    memcpy(found.prev, header.prev.bytes, SALVAGE_TAG);
    buffer_append(&salvage->batches, &found, sizeof found);
}

static void add_known(struct salvage *salvage, uint32_t document, uint32_t version, const struct hash *hash)
{
    struct salvage_document *oldest = NULL;
    for (uint32_t i = 0; i < salvage->known_count; i++) {
        struct salvage_document *known = &salvage->known[i];
        if (known->document == document && known->version == version && hash_equal(&known->hash, hash))
            return;
        oldest = !oldest || known->version < oldest->version ? known : oldest;
    }
    if (salvage->known_count < SALVAGE_KNOWN_MAX)
        oldest = &salvage->known[salvage->known_count++];
    *oldest = (struct salvage_document){document, version, *hash};
}

static void add_meta(struct salvage *salvage, const struct salvaged *row)
{
    struct hash hash;
    for (uint32_t document = DOCUMENT_CODEBOOK; document <= DOCUMENT_UNITS; document++) {
        char name[] = {'d', 'o', 'c', 'u', 'm', 'e', 'n', 't', '/', (char)('0' + document), 0};
        if (bytes_equal(row->key, bytes_of_text(name)) && row->fields.size == HASH_SIZE + 4) {
            memcpy(hash.bytes, row->fields.data, HASH_SIZE);
            add_known(salvage, document, get_be32(row->fields.data + HASH_SIZE), &hash);
        }
    }
    if (bytes_equal(row->key, bytes_of_text("incarnation")) && row->fields.size == 12 && get_be32(row->fields.data) > salvage->ordinal) {
        salvage->ordinal = get_be32(row->fields.data);
        salvage->nonce = get_be64(row->fields.data + 4);
    }
}

enum { PEER_ENROLLED = PUBLIC_KEY_SIZE + HASH_SIZE, PEER_BARRED = PEER_ENROLLED + 8 };

static void add_row(struct salvage *salvage, const struct salvaged *row)
{
    struct salvage_row found = {.table = row->table == TABLE_COPIES ? TABLE_OBJECTS : row->table,
                                .key_size = (uint8_t)row->key.size,
                                .size = (uint32_t)row->fields.size,
                                .offset = row->offset};
    memcpy(found.key, row->key.data, row->key.size);
    if (row->table == TABLE_PEERS || row->table == TABLE_GUESTS) {
        if (row->fields.size <= PEER_BARRED)
            return;
        found.rank = row->fields.data[PEER_BARRED] ? UINT64_MAX : get_be64(row->fields.data + PEER_ENROLLED);
    }
    buffer_append(&salvage->rows, &found, sizeof found);
}

static bool take(void *context, const struct salvaged *row)
{
    struct salvage *salvage = context;
    if (row->table == TABLE_JOURNAL || row->table == TABLE_EVIDENCE)
        add_batch(salvage, row);
    else if (row->table == TABLE_META)
        add_meta(salvage, row);
    else
        add_row(salvage, row);
    return !salvage->batches.failed && !salvage->rows.failed;
}

static enum error_code read_enrolment(struct salvage *salvage, struct error *error)
{
    struct enrolled items[ENROLLED_MAX];
    uint32_t count = 0;
    struct certificate certificate;
    enum error_code code = enrolment_read(salvage->directory, &salvage->enrolment, items, &count, error);
    if (code == ERR_NOT_FOUND || code == ERR_CORRUPT)
        return OK; // then the store has to say it
    for (uint32_t i = 0; code == OK && i < count; i++) {
        struct bytes content = items[i].content;
        bool document = items[i].kind == OBJECT_DOCUMENT;
        struct hash hash = crypto_hash(TAG_DOCUMENT, content);
        if (document)
            add_known(salvage, items[i].document, items[i].version, &hash);
        else if (certificate_decode(content, &certificate, NULL) == OK)
            hash = certificate.hash;
        else
            continue;
        struct salvage_row row = {
            .table = TABLE_OBJECTS, .key_size = HASH_SIZE, .size = (uint32_t)content.size, .rank = items[i].kind, .memory = content.data};
        memcpy(row.key, hash.bytes, HASH_SIZE);
        buffer_append(&salvage->rows, &row, sizeof row);
    }
    return code;
}

// ---- one version of each

static int compare(uint64_t a, uint64_t b) { return (a > b) - (a < b); }

static int by_tag(const void *a, const void *b) { return memcmp(a, b, SALVAGE_TAG); }

// The better version first.
static int by_place(const void *pa, const void *pb)
{
    const struct salvage_batch *a = pa, *b = pb;
    int order = memcmp(a->feed, b->feed, SALVAGE_TAG);
    order = order ? order : compare(a->first, b->first);
    order = order ? order : compare(b->followed, a->followed);
    order = order ? order : compare(b->received_ms, a->received_ms);
    order = order ? order : memcmp(a->header, b->header, SALVAGE_TAG);
    return order ? order : compare(b->body, a->body);
}

static int by_position(const void *pa, const void *pb)
{
    const struct salvage_batch *a = pa, *b = pb;
    int order = compare(a->position, b->position);
    order = order ? order : memcmp(a->feed, b->feed, SALVAGE_TAG);
    return order ? order : compare(a->first, b->first);
}

static int by_key(const void *pa, const void *pb)
{
    const struct salvage_row *a = pa, *b = pb;
    int order = compare(a->table, b->table);
    order = order ? order : memcmp(a->key, b->key, sizeof a->key);
    order = order ? order : compare(a->memory != NULL, b->memory != NULL);
    return order ? order : compare(b->rank, a->rank);
}

static void choose_rows(struct salvage *salvage)
{
    struct salvage_row *rows = salvage_rows(salvage);
    size_t count = salvage_row_count(salvage), kept = 0;
    if (count > 1)
        qsort(rows, count, sizeof *rows, by_key);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || rows[i].table != rows[kept - 1].table || memcmp(rows[i].key, rows[kept - 1].key, sizeof rows[i].key) != 0)
            rows[kept++] = rows[i];
    salvage->rows.size = kept * sizeof *rows;
}

// Rows of evidence are all kept: one that is in the journal as well is a duplicate, and comes to nothing.
static enum error_code choose_batches(struct salvage *salvage, struct error *error)
{
    struct salvage_batch *batches = salvage_batches(salvage);
    size_t count = salvage_batch_count(salvage), kept = 0;
    uint8_t(*followed)[SALVAGE_TAG] = malloc(count ? count * SALVAGE_TAG : 1);
    if (!followed)
        return error_set(error, ERR_MEMORY, "salvage");
    for (size_t i = 0; i < count; i++)
        memcpy(followed[i], batches[i].prev, SALVAGE_TAG);
    if (count > 1)
        qsort(followed, count, SALVAGE_TAG, by_tag);
    for (size_t i = 0; i < count; i++)
        batches[i].followed = bsearch(batches[i].header, followed, count, SALVAGE_TAG, by_tag) != NULL;
    free(followed);
    if (count > 1)
        qsort(batches, count, sizeof *batches, by_place);
    const struct salvage_batch *last = NULL; // of the journal; never behind `kept`
    for (size_t i = 0; i < count; i++) {
        struct salvage_batch batch = batches[i];
        if (batch.position != UINT64_MAX) {
            if (last && memcmp(last->feed, batch.feed, SALVAGE_TAG) == 0 && last->first == batch.first)
                continue;
            salvage->report->batches++;
        }
        batches[kept] = batch;
        last = batch.position != UINT64_MAX ? &batches[kept] : last;
        kept++;
    }
    salvage->batches.size = kept * sizeof *batches;
    if (kept > 1)
        qsort(batches, kept, sizeof *batches, by_position);
    return OK;
}

enum error_code salvage_look(struct salvage *salvage, struct error *error)
{
    struct salvage_count count = {0};
    enum error_code code = OK;
    if (salvage->file >= 0)
        code = salvage_scan(&salvage->source, take, salvage->progress, salvage, salvage->progress_context, &count, error);
    salvage->report->bytes = salvage->source.size;
    salvage->report->found = count.rows;
    salvage->report->unreadable = count.unreadable;
    if (code == OK)
        code = read_enrolment(salvage, error);
    if (code == OK && (salvage->batches.failed || salvage->rows.failed))
        code = error_set(error, ERR_MEMORY, "salvage");
    if (code != OK)
        return code;
    choose_rows(salvage);
    return choose_batches(salvage, error);
}

// ---- reading it again

bool salvage_fetch(const struct salvage *salvage, uint64_t offset, size_t size, struct buffer *ret)
{
    uint8_t *room = buffer_extend(ret, size);
    return room && salvage->source.read(salvage->source.context, offset, room, size);
}

static const struct salvage_row *object_row(const struct salvage *salvage, const struct hash *hash)
{
    struct salvage_row wanted = {.table = TABLE_OBJECTS, .key_size = HASH_SIZE}, *rows = salvage_rows(salvage);
    size_t low = 0, high = salvage_row_count(salvage);
    memcpy(wanted.key, hash->bytes, HASH_SIZE);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare(rows[middle].table, TABLE_OBJECTS);
        order = order ? order : memcmp(rows[middle].key, wanted.key, HASH_SIZE);
        if (order == 0)
            return &rows[middle];
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return NULL;
}

bool salvage_object(const struct salvage *salvage, const struct hash *hash, enum object_kind *ret_kind, struct buffer *ret)
{
    const struct salvage_row *row = object_row(salvage, hash);
    if (!row)
        return false;
    if (row->memory) {
        *ret_kind = (enum object_kind)row->rank;
        buffer_append(ret, row->memory, row->size);
        return !ret->failed;
    }
    uint8_t kind;
    if (row->size < 2 || !salvage->source.read(salvage->source.context, row->offset, &kind, 1))
        return false;
    *ret_kind = (enum object_kind)kind;
    return salvage_fetch(salvage, row->offset + 1, row->size - 1, ret);
}

static bool read_certificate(const struct salvage *salvage, const struct hash *hash, struct buffer *scratch, struct certificate *ret)
{
    enum object_kind kind;
    buffer_clear(scratch);
    return salvage_object(salvage, hash, &kind, scratch) && kind == OBJECT_CERTIFICATE &&
           certificate_decode(buffer_bytes(scratch), ret, NULL) == OK && hash_equal(&ret->hash, hash);
}

static bool leads_to(const struct salvage *salvage, const struct certificate *from, const struct hash *root, struct buffer *scratch)
{
    struct certificate at = *from;
    for (unsigned i = 0; i <= DEPTH_MAX && !at.root; i++) {
        struct hash issuer = at.issuer;
        if (!read_certificate(salvage, &issuer, scratch, &at))
            return false;
    }
    return at.root && hash_equal(&at.hash, root);
}

bool salvage_find_self(const struct salvage *salvage, const struct identity *identity, const struct hash *root, struct certificate *ret)
{
    const struct salvage_row *rows = salvage_rows(salvage);
    struct buffer scratch = {0};
    bool found = false;
    for (size_t i = 0; i < salvage_row_count(salvage); i++) {
        struct certificate certificate;
        struct hash hash;
        if (rows[i].table != TABLE_OBJECTS || rows[i].size > CERTIFICATE_MAX + 1)
            continue;
        memcpy(hash.bytes, rows[i].key, HASH_SIZE);
        if (read_certificate(salvage, &hash, &scratch, &certificate) && station_equal(&certificate.station, &identity->station) &&
            memcmp(&certificate.sign_key, &identity->sign.public_key, PUBLIC_KEY_SIZE) == 0 &&
            (!found || certificate.issued_ms > ret->issued_ms) && leads_to(salvage, &certificate, root, &scratch)) {
            *ret = certificate;
            salvage->report->from_enrolment = rows[i].memory != NULL;
            found = true;
        }
    }
    buffer_finish(&scratch);
    return found;
}
