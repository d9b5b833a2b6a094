#include "node/enrolment.h"

#include "node/documents.h"
#include "relay/file.h"
#include "relay/language.h"

enum {
    CHECKSUM_SIZE = 16,
    ITEM_HEADER = 1 + 1 + 4 + 4,
    FILE_MAX = CHECKSUM_SIZE + ENROLLED_MAX * (ITEM_HEADER + CERTIFICATE_MAX) + 2 * DOCUMENT_MAX,
};
static const char enrolment_name[] = "enrolment";

static void put(struct buffer *file, enum object_kind kind, uint32_t document, uint32_t version, struct bytes content)
{
    uint8_t header[ITEM_HEADER] = {(uint8_t)kind, (uint8_t)document};
    put_be32(header + 2, version);
    put_be32(header + 6, (uint32_t)content.size);
    buffer_append(file, header, sizeof header);
    buffer_append(file, content.data, content.size);
}

static void put_document(struct txn *txn, uint32_t document, struct buffer *file)
{
    struct hash hash;
    enum object_kind kind;
    struct bytes content;
    uint32_t version;
    if (document_in_force(txn, document, &hash, &version) && object_read(txn, &hash, &kind, &content))
        put(file, OBJECT_DOCUMENT, document, version, content);
}

static struct hash checksum(struct bytes file)
{
    return crypto_hash(TAG_ENROLMENT, bytes_of(file.data + CHECKSUM_SIZE, file.size - CHECKSUM_SIZE));
}

enum error_code enrolment_keep(const char *directory, struct txn *txn, const struct certificate *self, struct error *error)
{
    static const uint8_t room[CHECKSUM_SIZE];
    struct buffer file = {0}, before = {0};
    struct bytes chain[CHAIN_MAX]; // this station's own is the last of them
    uint32_t count = certificate_chain(txn, self, chain);
    buffer_append(&file, room, sizeof room);
    for (uint32_t i = 0; i < count; i++)
        put(&file, OBJECT_CERTIFICATE, 0, 0, chain[i]);
    put_document(txn, DOCUMENT_UNITS, &file);
    put_document(txn, DOCUMENT_CODEBOOK, &file);
    enum error_code code = file.failed ? error_set(error, ERR_MEMORY, "%s", enrolment_name) : txn_report(txn, error);
    if (code == OK) {
        memcpy(file.data, checksum(buffer_bytes(&file)).bytes, CHECKSUM_SIZE);
        bool same = file_read(directory, enrolment_name, FILE_MAX, false, &before, NULL) == OK &&
                    bytes_equal(buffer_bytes(&before), buffer_bytes(&file));
        code = same ? OK : file_replace(directory, enrolment_name, buffer_bytes(&file), error);
    }
    buffer_finish(&before);
    buffer_finish(&file);
    return code;
}

static bool take(struct bytes *rest, struct enrolled *ret)
{
    if (rest->size < ITEM_HEADER)
        return false;
    uint32_t size = get_be32(rest->data + 6);
    if (size > rest->size - ITEM_HEADER || rest->data[0] < OBJECT_CERTIFICATE || rest->data[0] > OBJECT_DOCUMENT)
        return false;
    *ret = (struct enrolled){(enum object_kind)rest->data[0], rest->data[1], get_be32(rest->data + 2),
                             bytes_of(rest->data + ITEM_HEADER, size)};
    *rest = bytes_of(rest->data + ITEM_HEADER + size, rest->size - ITEM_HEADER - size);
    return true;
}

enum error_code enrolment_read(const char *directory, struct buffer *file, struct enrolled ret[ENROLLED_MAX], uint32_t *ret_count,
                               struct error *error)
{
    size_t before = file->size;
    uint32_t count = 0;
    enum error_code code = file_read(directory, enrolment_name, FILE_MAX, false, file, error);
    if (code != OK)
        return code;
    struct bytes all = bytes_of(file->data + before, file->size - before);
    bool good = all.size >= CHECKSUM_SIZE && memcmp(checksum(all).bytes, all.data, CHECKSUM_SIZE) == 0;
    struct bytes rest = good ? bytes_of(all.data + CHECKSUM_SIZE, all.size - CHECKSUM_SIZE) : all;
    while (good && rest.size && count < ENROLLED_MAX)
        good = take(&rest, &ret[count++]);
    if (!good || rest.size)
        return error_set(error, ERR_CORRUPT, tr("%s/%s: damaged", "%s/%s：已损坏"), directory, enrolment_name);
    *ret_count = count;
    return OK;
}
