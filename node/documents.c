#include "node/documents.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/figures.h"
#include "relay/language.h"

static struct bytes document_name(uint32_t kind, char name[16]) { return bytes_of(name, (size_t)snprintf(name, 16, "document/%u", kind)); }

bool document_in_force(struct txn *txn, uint32_t kind, struct hash *ret, uint32_t *ret_version)
{
    char name[16];
    struct bytes value;
    document_name(kind, name);
    if (!meta_get(txn, name, &value) || value.size != HASH_SIZE + 4)
        return false;
    memcpy(ret->bytes, value.data, HASH_SIZE);
    *ret_version = get_be32(value.data + HASH_SIZE);
    return true;
}

bool document_enforce(struct txn *txn, uint32_t kind, const struct hash *hash, uint32_t version)
{
    struct hash old;
    uint32_t old_version;
    if (document_in_force(txn, kind, &old, &old_version) && old_version >= version)
        return false;
    char name[16];
    uint8_t value[HASH_SIZE + 4];
    document_name(kind, name);
    memcpy(value, hash->bytes, HASH_SIZE);
    put_be32(value + HASH_SIZE, version);
    meta_put(txn, name, bytes_of(value, sizeof value));
    return true;
}

// The document in force; an empty span when none is.
static enum error_code content(struct txn *txn, uint32_t kind, struct bytes *ret, uint32_t *ret_version, struct error *error)
{
    struct hash hash;
    enum object_kind object;
    uint32_t version;
    *ret = bytes_of(NULL, 0);
    if (!document_in_force(txn, kind, &hash, &version))
        return txn_report(txn, error);
    if (!object_read(txn, &hash, &object, ret) || object != OBJECT_DOCUMENT)
        return txn_error(txn) != OK
                   ? txn_report(txn, error)
                   : error_set(error, ERR_CORRUPT, "%s", tr("a document that is in force is not in the store", "存储中缺少生效的文件"));
    *ret_version = version;
    return OK;
}

static enum error_code load_texts(struct documents *documents, struct txn *txn, struct error *error)
{
    struct bytes bytes;
    enum error_code code = content(txn, DOCUMENT_UNITS, &bytes, &documents->units_version, error);
    if (code == OK && bytes.size == 0)
        code = error_set(error, ERR_CORRUPT, "%s", tr("the store has no unit tree", "存储中没有单位树"));
    if (code == OK)
        code = units_parse(bytes, "units.csv", &documents->units, error);
    if (code == OK)
        code = content(txn, DOCUMENT_CODEBOOK, &bytes, &documents->codebook_version, error);
    if (code == OK && bytes.size > 0)
        code = codebook_load(bytes, "codebook.yaml", &documents->codebook, error);
    return code;
}

enum error_code documents_read(struct txn *txn, const char *own_unit, struct documents **ret, struct error *error)
{
    struct documents *documents = calloc(1, sizeof *documents);
    if (!documents)
        return error_set(error, ERR_MEMORY, "documents");
    enum error_code code = load_texts(documents, txn, error);
    if (code == OK) {
        documents->unit = units_find(documents->units, own_unit);
        documents->delegated = calloc((size_t)documents->units->count, 1);
        documents->unit_ids = calloc((size_t)documents->units->count, sizeof *documents->unit_ids);
        if (documents->unit == UNIT_NONE)
            code = error_set(error, ERR_NOT_FOUND, tr("unit %s is not in the unit tree", "单位树中没有单位 %s"), own_unit);
        else if (!documents->delegated || !documents->unit_ids)
            code = error_set(error, ERR_MEMORY, "documents");
    }
    if (code != OK) {
        documents_destroy(documents);
        return code;
    }
    *ret = documents;
    return OK;
}

enum error_code documents_load(struct txn *txn, const char *own_unit, struct documents **ret, struct error *error)
{
    struct documents *documents;
    enum error_code code = documents_read(txn, own_unit, &documents, error);
    if (code != OK)
        return code;
    documents_delegate(documents, txn);
    figures_unit_ids(txn, documents->units, documents->unit_ids);
    code = txn_report(txn, error); // damage reads as absence: nobody's unit would be this station's
    if (code != OK) {
        documents_destroy(documents);
        return code;
    }
    *ret = documents;
    return OK;
}

void documents_number(struct documents *documents, struct txn *txn)
{
    unit_ids_assign(txn, documents->units);
    figures_unit_ids(txn, documents->units, documents->unit_ids);
}

void documents_destroy(struct documents *documents)
{
    if (!documents)
        return;
    codebook_destroy(documents->codebook);
    units_destroy(documents->units);
    free(documents->delegated);
    free(documents->unit_ids);
    free(documents);
}

void documents_delegate(struct documents *documents, struct txn *txn)
{
    struct station_id after = {0};
    struct peer peer;
    while (peer_next(txn, &after, &peer)) {
        after = peer.station;
        int32_t unit = peer.barred ? UNIT_NONE : units_find(documents->units, peer.unit);
        if (unit != UNIT_NONE && unit != documents->unit)
            memset(documents->delegated + unit, 1, (size_t)(documents->units->items[unit].subtree_end - unit));
    }
}
