#include "node/subjects.h"

#include "envelope.pb-c.h"
#include "relay/batch.h"
#include "relay/language.h"
#include "relay/row.h"

// ---- subjects

bool subject_read(struct txn *txn, const uint8_t subject[SUBJECT_ID_SIZE], struct subject_row *ret)
{
    struct row row;
    struct subject_row found;
    if (!row_read(txn, TABLE_SUBJECTS, bytes_of(subject, SUBJECT_ID_SIZE), &row))
        return false;
    row_take_raw(&row, found.key.bytes, KEY_ID_SIZE);
    found.tiers = row_take_u32(&row);
    found.edge = (int32_t)(row_take_u32(&row) ^ 0x80000000u);
    if (!row_end(&row))
        return false;
    *ret = found;
    return true;
}

enum { EDGE_KEY_SIZE = 4 + SUBJECT_ID_SIZE };

static struct bytes edge_key(int32_t edge, const uint8_t subject[SUBJECT_ID_SIZE], uint8_t key[EDGE_KEY_SIZE])
{
    put_be32_signed(key, edge);
    memcpy(key + 4, subject, SUBJECT_ID_SIZE);
    return bytes_of(key, EDGE_KEY_SIZE);
}

void edge_drop(struct txn *txn, int32_t edge, const uint8_t subject[SUBJECT_ID_SIZE])
{
    uint8_t key[EDGE_KEY_SIZE];
    txn_delete(txn, TABLE_EDGES, edge_key(edge, subject, key));
}

void subject_write(struct txn *txn, const uint8_t subject[SUBJECT_ID_SIZE], const struct subject_row *row)
{
    struct subject_row former;
    struct buffer fields = {0};
    uint8_t key[EDGE_KEY_SIZE];
    bool moved = true;
    if (subject_read(txn, subject, &former)) {
        moved = former.edge != row->edge;
        if (moved && former.edge != EDGE_NONE)
            edge_drop(txn, former.edge, subject);
    }
    if (moved && row->edge != EDGE_NONE)
        txn_put(txn, TABLE_EDGES, edge_key(row->edge, subject, key), bytes_of(NULL, 0));
    row_raw(&fields, row->key.bytes, KEY_ID_SIZE);
    row_u32(&fields, row->tiers);
    row_u32(&fields, (uint32_t)row->edge ^ 0x80000000u);
    row_write(txn, TABLE_SUBJECTS, bytes_of(subject, SUBJECT_ID_SIZE), &fields);
}

bool edge_first(struct txn *txn, int32_t *ret_edge, uint8_t ret_subject[SUBJECT_ID_SIZE])
{
    struct cursor *cursor = cursor_open(txn, TABLE_EDGES);
    static const uint8_t lowest[1];
    bool found = cursor && cursor_seek(cursor, bytes_of(lowest, 1)) && cursor_key(cursor).size == EDGE_KEY_SIZE;
    if (found) {
        *ret_edge = get_be32_signed(cursor_key(cursor).data);
        memcpy(ret_subject, cursor_key(cursor).data + 4, SUBJECT_ID_SIZE);
    }
    cursor_close(cursor);
    return found;
}

// ---- records

enum { RECORD_KEY_SIZE = SUBJECT_ID_SIZE + RECORD_ID_SIZE };

static struct bytes record_key(const uint8_t subject[SUBJECT_ID_SIZE], const uint8_t record[RECORD_ID_SIZE], uint8_t key[RECORD_KEY_SIZE])
{
    memcpy(key, subject, SUBJECT_ID_SIZE);
    memcpy(key + SUBJECT_ID_SIZE, record, RECORD_ID_SIZE);
    return bytes_of(key, RECORD_KEY_SIZE);
}

static bool take_record_row(struct row *row, struct record_row *ret)
{
    struct record_row found = {0};
    found.revision = row_take_u32(row);
    found.standing = row_take_u8(row);
    found.waiting = row_take_u8(row);
    if (found.standing > RECORD_SECTIONS_MAX || found.waiting > RECORD_SECTIONS_MAX || (found.revision == 0) != (found.standing == 0)) {
        row->bad = true;
        row_end(row);
        return false;
    }
    for (unsigned i = 0; i < found.standing + found.waiting; i++) {
        row_take_raw(row, found.sections[i].key.bytes, KEY_ID_SIZE);
        found.sections[i].sealed = row_take_span(row, row_take_u32(row));
    }
    if (!row_end(row))
        return false;
    *ret = found;
    return true;
}

bool record_row_read(struct txn *txn, const uint8_t subject[SUBJECT_ID_SIZE], const uint8_t record[RECORD_ID_SIZE], struct record_row *ret)
{
    uint8_t key[RECORD_KEY_SIZE];
    struct row row;
    return row_read(txn, TABLE_RECORDS, record_key(subject, record, key), &row) && take_record_row(&row, ret);
}

void record_row_write(struct txn *txn, const uint8_t subject[SUBJECT_ID_SIZE], const uint8_t record[RECORD_ID_SIZE],
                      const struct record_row *row)
{
    uint8_t key[RECORD_KEY_SIZE];
    struct buffer fields = {0};
    row_u32(&fields, row->revision);
    row_u8(&fields, row->standing);
    row_u8(&fields, row->waiting);
    for (unsigned i = 0; i < row->standing + row->waiting; i++) {
        row_raw(&fields, row->sections[i].key.bytes, KEY_ID_SIZE);
        row_u32(&fields, (uint32_t)row->sections[i].sealed.size);
        row_raw(&fields, row->sections[i].sealed.data, row->sections[i].sealed.size);
    }
    row_write(txn, TABLE_RECORDS, record_key(subject, record, key), &fields);
    struct buffer id = {0};
    row_raw(&id, subject, SUBJECT_ID_SIZE);
    row_u32(&id, row->revision);
    row_write(txn, TABLE_RECORD_IDS, bytes_of(record, RECORD_ID_SIZE), &id);
}

bool record_find(struct txn *txn, const uint8_t record[RECORD_ID_SIZE], uint8_t ret_subject[SUBJECT_ID_SIZE], uint32_t *ret_revision)
{
    struct row row;
    uint8_t subject[SUBJECT_ID_SIZE];
    if (!row_read(txn, TABLE_RECORD_IDS, bytes_of(record, RECORD_ID_SIZE), &row))
        return false;
    row_take_raw(&row, subject, sizeof subject);
    uint32_t revision = row_take_u32(&row);
    if (!row_end(&row))
        return false;
    memcpy(ret_subject, subject, sizeof subject);
    *ret_revision = revision;
    return true;
}

// ---- sealing

enum { ASSOCIATED_SIZE = 4 + STATION_ID_SIZE + KEY_ID_SIZE };

void section_seal(const struct desk *desk, const struct symmetric_key *key, const struct key_id *id, struct bytes plain, struct buffer *ret)
{
    uint8_t associated[ASSOCIATED_SIZE];
    entry_associated(&desk->self->station, SANJI__ENTRY_KIND__RECORD, id, associated);
    crypto_encrypt(key, bytes_of(associated, sizeof associated), plain, ret);
}

enum error_code section_open(const struct desk *desk, const struct sealed_section *section, struct arena *arena, struct record *ret,
                             int *ret_section, uint32_t *ret_sections, struct error *error)
{
    struct symmetric_key key;
    if (!keyring_find(desk->keyring, &section->key, &key))
        return error_set(
            error, ERR_NOT_FOUND,
            tr("the record's key is not on this station: destroyed, or never granted", "本站没有该记录的密钥：已销毁或未授予"));
    uint8_t associated[ASSOCIATED_SIZE];
    struct buffer plain = {0};
    entry_associated(&desk->self->station, SANJI__ENTRY_KIND__RECORD, &section->key, associated);
    enum error_code code = crypto_decrypt(&key, bytes_of(associated, sizeof associated), section->sealed, &plain);
    crypto_wipe(&key, sizeof key);
    if (code == OK)
        code = record_decode(desk->codebook, buffer_bytes(&plain), arena, ret, ret_section, ret_sections, error);
    else
        error_set(error, code, tr("a sealed record does not open", "密封的记录无法打开"));
    if (plain.data)
        crypto_wipe(plain.data, plain.capacity);
    buffer_finish(&plain);
    return code;
}

enum error_code record_open(const struct desk *desk, const struct record_row *row, struct arena *arena, struct record **ret,
                            struct error *error)
{
    struct record *record = NULL;
    for (unsigned i = 0; i < row->standing; i++) {
        struct record *part = arena_alloc(arena, sizeof *part);
        int section;
        uint32_t sections;
        if (!part)
            return error_set(error, ERR_MEMORY, tr("records of a subject", "对象的记录"));
        enum error_code code = section_open(desk, &row->sections[i], arena, part, &section, &sections, error);
        if (code == OK && part->revision != row->revision)
            code = error_set(error, ERR_CORRUPT, tr("a record's row names another revision than its content", "记录行的修订号与内容不符"));
        if (code == OK && record)
            code = record_merge(desk->codebook, record, part, section, error);
        if (code != OK)
            return code;
        record = record ? record : part;
    }
    *ret = record;
    return OK;
}

enum error_code subject_records(const struct desk *desk, const uint8_t subject[SUBJECT_ID_SIZE], struct arena *arena, struct record ***ret,
                                uint32_t *ret_count, struct error *error)
{
    struct record **records = NULL;
    uint32_t count = 0, capacity = 0;
    enum error_code code = OK;
    struct cursor *cursor = cursor_open(desk->txn, TABLE_RECORDS);
    bool more = cursor && cursor_seek(cursor, bytes_of(subject, SUBJECT_ID_SIZE));
    for (; code == OK && more && memcmp(cursor_key(cursor).data, subject, SUBJECT_ID_SIZE) == 0; more = cursor_next(cursor)) {
        struct row row;
        struct record_row found;
        struct record *record = NULL;
        if (!row_at(desk->txn, TABLE_RECORDS, cursor, &row) || !take_record_row(&row, &found))
            break;
        if (count == SUBJECT_RECORDS_MAX) {
            code = error_set(error, ERR_LIMIT, tr("a subject has more than %d records", "一个对象的记录超过 %d 条"), SUBJECT_RECORDS_MAX);
            break;
        }
        if (count == capacity) { // doubles; the arena keeps what it had
            capacity = capacity ? capacity * 2 : 16;
            struct record **grown = arena_alloc(arena, capacity * sizeof *grown);
            if (!grown) {
                code = error_set(error, ERR_MEMORY, tr("records of a subject", "对象的记录"));
                break;
            }
            if (count)
                memcpy(grown, records, count * sizeof *grown);
            records = grown;
        }
        code = record_open(desk, &found, arena, &record, error);
        if (code == OK && record)
            records[count++] = record;
    }
    cursor_close(cursor);
    if (code == OK && txn_error(desk->txn) != OK)
        code = error_set(error, txn_error(desk->txn), tr("records of a subject", "对象的记录"));
    if (code == OK) {
        *ret = records;
        *ret_count = count;
    }
    return code;
}
