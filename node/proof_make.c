#include <stdlib.h>

#include "envelope.pb-c.h"
#include "node/proof_inside.h"
#include "relay/language.h"

enum {
    PROOF_MEMORY_MAX = 256 * 1024 * 1024, // bytes of messages: four times the proof's own size
    CHAIN_MAX = 64,                       // certificates from a station to the first root record: tiers, and later roots
};

// A proof being put together; everything lives in the arena.
struct making {
    const struct collection *collection;
    struct arena arena;
    Sanji__Proof proof;
    struct hash *certificates; // hashes of those in the proof, in order
    size_t certificate_capacity;
    size_t header_capacity;
};

static enum error_code no_memory(struct error *error) { return error_set(error, ERR_MEMORY, tr("proof", "证明")); }

static bool copy_bytes(struct arena *arena, struct bytes from, ProtobufCBinaryData *ret)
{
    uint8_t *copy = arena_alloc(arena, from.size ? from.size : 1);
    if (!copy)
        return false;
    memcpy(copy, from.data, from.size);
    *ret = (ProtobufCBinaryData){from.size, copy};
    return true;
}

static bool widen(void *items, size_t *capacity, size_t count, size_t size)
{
    void **place = items;
    if (count < *capacity)
        return true;
    size_t wider = *capacity ? *capacity * 2 : 64;
    void *moved = realloc(*place, wider * size);
    if (!moved)
        return false;
    *place = moved;
    *capacity = wider;
    return true;
}

// ---- certificates, issuers first

static bool has_certificate(const struct making *making, const struct hash *hash)
{
    for (size_t i = making->proof.n_certificates; i-- > 0;)
        if (hash_equal(&making->certificates[i], hash))
            return true;
    return false;
}

static enum error_code put_certificate(struct making *making, const struct hash *hash, struct bytes wire, struct error *error)
{
    size_t count = making->proof.n_certificates, capacity = making->certificate_capacity;
    if (!widen(&making->certificates, &making->certificate_capacity, count, sizeof *making->certificates) ||
        !widen(&making->proof.certificates, &capacity, count, sizeof *making->proof.certificates) ||
        !copy_bytes(&making->arena, wire, &making->proof.certificates[count]))
        return no_memory(error);
    making->certificates[making->proof.n_certificates++] = *hash;
    return OK;
}

static enum error_code add_chain(struct making *making, const struct hash *hash, int depth, struct error *error)
{
    struct txn *txn = making->collection->plan->view->txn;
    struct certificate certificate;
    enum object_kind kind;
    struct bytes wire;
    if (has_certificate(making, hash))
        return OK;
    if (depth == CHAIN_MAX)
        return error_set(error, ERR_LIMIT, tr("a chain of more than %d certificates", "证书链超过 %d 级"), CHAIN_MAX);
    if (!object_read(txn, hash, &kind, &wire) || kind != OBJECT_CERTIFICATE)
        return error_set(error, ERR_CORRUPT,
                         tr("a signer's certificate is not in the store: run verify", "存储中缺少签名者的证书：请运行 verify"));
    enum error_code code = certificate_decode(wire, &certificate, error);
    bool first = certificate.root && hash_is_zero(&certificate.predecessor);
    if (!code && !first)
        code = add_chain(making, certificate.root ? &certificate.predecessor : &certificate.issuer, depth + 1, error);
    if (!code)
        code = put_certificate(making, hash, wire, error);
    return code;
}

// ---- headers and entries

static enum error_code put_header(struct making *making, const struct batch_row *row, struct error *error)
{
    Sanji__SignedHeader message = SANJI__SIGNED_HEADER__INIT;
    message.header = (ProtobufCBinaryData){row->header.size, (uint8_t *)(uintptr_t)row->header.data};
    message.signature = (ProtobufCBinaryData){row->signature.size, (uint8_t *)(uintptr_t)row->signature.data};
    struct buffer wire = {0};
    codec_pack(&message, &wire);
    Sanji__Proof *proof = &making->proof;
    bool good = !wire.failed && widen(&proof->headers, &making->header_capacity, proof->n_headers, sizeof *proof->headers) &&
                copy_bytes(&making->arena, buffer_bytes(&wire), &proof->headers[proof->n_headers]);
    buffer_finish(&wire);
    if (!good)
        return no_memory(error);
    proof->n_headers++;
    return OK;
}

static enum error_code put_entry(struct making *making, const struct batch_row *row, const struct header *header, const struct entry *entry,
                                 uint32_t index, Sanji__EntryProof **ret, struct error *error)
{
    uint8_t salt[SALT_SIZE];
    struct hash path[MERKLE_DEPTH_MAX];
    uint32_t path_count;
    enum error_code code = body_prove(row->body, header, index, salt, path, &path_count, error);
    if (code)
        return code;
    Sanji__EntryProof *message = arena_alloc(&making->arena, sizeof *message);
    ProtobufCBinaryData *paths = arena_alloc(&making->arena, (path_count + 1) * sizeof *paths);
    if (!message || !paths)
        return no_memory(error);
    sanji__entry_proof__init(message);
    message->header = (uint32_t)making->proof.n_headers - 1;
    message->sequence = header->first + index;
    message->n_path = path_count;
    message->path = paths;
    bool good =
        copy_bytes(&making->arena, entry->wire, &message->entry) && copy_bytes(&making->arena, bytes_of(salt, SALT_SIZE), &message->salt);
    for (uint32_t i = 0; i < path_count && good; i++)
        good = copy_bytes(&making->arena, bytes_of(path[i].bytes, HASH_SIZE), &paths[i]);
    *ret = message;
    return good ? OK : no_memory(error);
}

// The entries of the collection by batch, so that each body is read once.
struct by_batch {
    uint64_t position;
    uint32_t at;
};

static int compare_batches(const void *a, const void *b)
{
    const struct by_batch *x = a, *y = b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static enum error_code put_batch(struct making *making, const struct by_batch *first, uint32_t count, struct entry *entries,
                                 struct error *error)
{
    struct batch_row row;
    struct header header;
    if (!journal_read(making->collection->plan->view->txn, first->position, &row))
        return error_set(error, ERR_CORRUPT, tr("the journal could not be read", "无法读取日志"));
    enum error_code code = header_decode(row.header, &header, error);
    if (!code)
        code = body_decode(row.body, &header, entries, error);
    if (!code)
        code = add_chain(making, &header.certificate, 0, error);
    if (!code)
        code = put_header(making, &row, error);
    for (uint32_t i = 0; i < count && !code; i++) {
        uint32_t index = making->collection->entries[first[i].at].index;
        code = put_entry(making, &row, &header, &entries[index], index, &making->proof.entries[first[i].at], error);
    }
    return code;
}

static enum error_code put_entries(struct making *making, struct error *error)
{
    const struct collection *collection = making->collection;
    uint32_t count = collection->entry_count;
    struct by_batch *order = malloc((count + (size_t)1) * sizeof *order);
    struct entry *entries = malloc(BATCH_ENTRIES_MAX * sizeof *entries);
    making->proof.entries = arena_alloc(&making->arena, (count + (size_t)1) * sizeof *making->proof.entries);
    enum error_code code = order && entries && making->proof.entries ? OK : no_memory(error);
    for (uint32_t i = 0; i < count && !code; i++)
        order[i] = (struct by_batch){collection->entries[i].position, i};
    if (!code)
        qsort(order, count, sizeof *order, compare_batches);
    for (uint32_t first = 0, end; first < count && !code; first = end) {
        for (end = first + 1; end < count && order[end].position == order[first].position; end++)
            ;
        code = put_batch(making, &order[first], end - first, entries, error);
    }
    making->proof.n_entries = code ? 0 : count;
    free(order);
    free(entries);
    return code;
}

// ---- the figure itself

static enum error_code put_figure(struct making *making, int64_t value, Sanji__ProvedFigure *figure, struct error *error)
{
    const struct collection *collection = making->collection;
    const struct plan *plan = collection->plan;
    const struct measure *measure = collection->measure;
    sanji__proved_figure__init(figure);
    figure->indicator = (char *)measure->indicator->id;
    figure->definition = (ProtobufCBinaryData){HASH_SIZE, (uint8_t *)(uintptr_t)measure->indicator->definition.bytes};
    figure->unit = plan->view->units->items[plan->unit].code;
    figure->period_type = measure->period_type;
    figure->period_first = measure->from;
    figure->period_last = measure->to;
    if (measure->indicator->kind == INDICATOR_STOCK) { // from the first change that there is
        figure->period_first = measure->to;
        for (uint32_t i = 0; i < collection->group_count; i++)
            if (collection->groups[i].period < figure->period_first)
                figure->period_first = collection->groups[i].period;
    }
    figure->subtree = !collection->itself;
    figure->value = value;
    figure->cells = arena_alloc(&making->arena, measure->indicator->cell_count * sizeof *figure->cells);
    figure->units = arena_alloc(&making->arena, (collection->unit_count + (size_t)1) * sizeof *figure->units);
    if (!figure->cells || !figure->units)
        return no_memory(error);
    for (uint32_t cell = 0; cell < measure->indicator->cell_count; cell++)
        if (measure->map[cell] >= 0)
            figure->cells[figure->n_cells++] = cell;
    if (figure->n_cells == measure->indicator->cell_count)
        figure->n_cells = 0; // all
    for (uint32_t i = 0; i < collection->group_count; i++)
        if (i == 0 || collection->groups[i].unit != collection->groups[i - 1].unit)
            figure->units[figure->n_units++] = plan->view->units->items[collection->groups[i].unit].code;
    making->proof.figure = figure;
    return OK;
}

static enum error_code put_units(struct making *making, struct error *error)
{
    const struct figures_view *view = making->collection->plan->view;
    enum object_kind kind;
    struct bytes document;
    if (!object_read(view->txn, &view->units->hash, &kind, &document) || kind != OBJECT_DOCUMENT)
        return error_set(error, ERR_CORRUPT,
                         tr("the unit tree's document is not in the store: run verify", "存储中缺少单位树文件：请运行 verify"));
    return copy_bytes(&making->arena, document, &making->proof.units) ? OK : no_memory(error);
}

static enum error_code put_definition(struct making *making, struct error *error)
{
    const struct codebook *codebook = making->collection->plan->view->codebook;
    struct buffer text = {0};
    codebook_definition_text(codebook, (uint16_t)(making->collection->measure->indicator - codebook->indicators), &text);
    bool good = !text.failed && copy_bytes(&making->arena, buffer_bytes(&text), &making->proof.definition);
    buffer_finish(&text);
    return good ? OK : no_memory(error);
}

static enum error_code put_proof(struct making *making, int64_t value, struct buffer *ret, struct error *error)
{
    Sanji__ProvedFigure figure;
    sanji__proof__init(&making->proof);
    enum error_code code = put_entries(making, error);
    if (!code)
        code = put_figure(making, value, &figure, error);
    if (!code)
        code = put_units(making, error);
    if (!code)
        code = put_definition(making, error);
    if (code)
        return code;
    making->proof.format = 1;
    making->proof.root = (ProtobufCBinaryData){HASH_SIZE, making->certificates[0].bytes}; // the first chain begins with it
    making->proof.made_ms = making->collection->plan->view->now_ms;
    codec_pack(&making->proof, ret);
    if (ret->failed)
        return no_memory(error);
    return ret->size <= PROOF_SIZE_MAX
               ? OK
               : error_set(error, ERR_LIMIT, tr("the proof is too large: prove a smaller part", "证明过大：请证明较小的部分"));
}

// What the views say; the statements must add up to it.
static enum error_code read_value(const struct plan *plan, bool itself, int64_t *ret, struct error *error)
{
    struct rows rows;
    enum error_code code = rows_read(plan, &rows, error);
    if (!code)
        *ret = itself ? rows.own[0] : rows.subtree[0];
    rows_finish(&rows);
    return code;
}

static enum error_code make(const struct collection *collection, struct buffer *ret, struct proof_made *ret_made, struct error *error)
{
    struct making making = {.collection = collection, .arena = {.limit = PROOF_MEMORY_MAX}};
    struct buffer proof = {0};
    struct proof_report report;
    struct error why;
    int64_t value;
    enum error_code code = read_value(collection->plan, collection->itself, &value, error);
    if (!code && collection->entry_count == 0)
        code = error_set(error, ERR_CORRUPT, tr("the statements are not in the journal: run verify", "日志中没有这些陈述：请运行 verify"));
    if (!code)
        code = put_proof(&making, value, &proof, error);
    if (!code && proof_check(buffer_bytes(&proof), NULL, &report, &why))
        code = error_set(error, ERR_CORRUPT,
                         tr("the journal does not bear the figure out (%s): run verify", "日志不能证实该数值（%s）：请运行 verify"),
                         why.detail);
    if (!code) {
        buffer_append(ret, proof.data, proof.size);
        code = ret->failed ? no_memory(error) : OK;
    }
    if (!code)
        *ret_made = (struct proof_made){value, collection->entry_count, collection->unit_count};
    buffer_finish(&proof);
    free(making.certificates);
    free(making.proof.certificates);
    free(making.proof.headers);
    arena_finish(&making.arena);
    return code;
}

enum error_code proof_make(const struct figures_view *view, const void *request,
                           void (*progress)(void *context, uint64_t done, uint64_t total), void *context, struct buffer *ret,
                           struct proof_made *ret_made, struct error *error)
{
    Sanji__FiguresRequest asked = *(const Sanji__FiguresRequest *)request;
    bool itself = asked.n_by == 1 && strcmp(asked.by[0], "itself") == 0;
    if (asked.n_indicators != 1 || (asked.n_by > 0 && !itself))
        return error_set(
            error, ERR_REFUSED,
            tr("a proof is of one figure: one indicator, one unit, one period", "一份证明只针对一个数值：一个指标、一个单位、一个期间"));
    asked.n_by = 0;
    struct plan plan;
    enum error_code code = plan_make(&plan, view, &asked, error);
    if (!code && plan.asked[0].part_count > 1)
        code = error_set(error, ERR_REFUSED, tr("%s is computed from %s and %s: prove those", "%s 由 %s 与 %s 计算得出：请分别证明"),
                         plan.asked[0].indicator->id, plan.asked[0].parts[0].indicator->id, plan.asked[0].parts[1].indicator->id);
    struct collection collection = {.plan = &plan, .itself = itself, .progress = progress, .context = context};
    if (!code) {
        collection.measure = &plan.asked[0].parts[0];
        code = collect(&collection, error);
    }
    if (!code)
        code = make(&collection, ret, ret_made, error);
    collection_finish(&collection);
    plan_finish(&plan);
    return code;
}
