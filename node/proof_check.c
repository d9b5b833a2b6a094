// A proof, checked from the bytes up. Nothing here opens a store.
#include <stdio.h>
#include <stdlib.h>

#include "node/codebook/codebook.h"
#include "node/proof_checking.h"
#include "node/statement.h"
#include "record.pb-c.h"
#include "relay/language.h"

enum {
    PROOF_ELEMENTS_MAX =
        PROOF_STATEMENTS_MAX * 24 + 200000, // an entry: five members, ten hashes, its header; cells and units of the figure
    CHECK_MEMORY_MAX = 512 * 1024 * 1024,   // bytes: the message in memory, eight times its size on the wire
};

static enum error_code no_memory(struct error *error) { return error_set(error, ERR_MEMORY, tr("proof", "证明")); }

static enum error_code no_proof(struct error *error, const char *why)
{
    return error_set(error, ERR_INPUT, tr("not a proof: %s", "不是有效的证明：%s"), why);
}

// ---- statements

static enum error_code bad_statement(const struct checking *checking, struct error *error, size_t at, const struct statement *statement,
                                     const char *why)
{
    const Sanji__EntryProof *entry = checking->proof->entries[at];
    if (!statement)
        return error_set(error, ERR_FORGED, tr("statement %zu (sequence %llu): %s", "陈述 %zu（序号 %llu）：%s"), at,
                         (unsigned long long)entry->sequence, why);
    char period[16];
    period_format(statement->period, period);
    return error_set(error, ERR_FORGED, tr("statement %zu (sequence %llu, unit %s, %s): %s", "陈述 %zu（序号 %llu，单位 %s，%s）：%s"), at,
                     (unsigned long long)entry->sequence, statement->unit, period, why);
}

// That exactly these bytes stand at their place in a signed batch.
static const char *inclusion_fault(const struct checking *checking, const Sanji__EntryProof *entry)
{
    if (entry->header >= checking->proof->n_headers)
        return tr("its header is not in the proof", "证明中没有其批次头");
    const struct header *header = &checking->headers[entry->header];
    struct hash path[MERKLE_DEPTH_MAX];
    if (entry->sequence < header->first || entry->sequence - header->first >= header->count)
        return tr("its batch does not hold that sequence number", "该批次不含此序号");
    if (entry->salt.len != SALT_SIZE || entry->n_path > MERKLE_DEPTH_MAX)
        return tr("its path is damaged", "其路径已损坏");
    for (size_t i = 0; i < entry->n_path; i++) {
        if (entry->path[i].len != HASH_SIZE)
            return tr("its path is damaged", "其路径已损坏");
        memcpy(path[i].bytes, entry->path[i].data, HASH_SIZE);
    }
    struct hash leaf = crypto_leaf(entry->salt.data, bytes_in(&entry->entry));
    if (!inclusion_check(&header->root, header->count, (uint32_t)(entry->sequence - header->first), &leaf, path, (uint32_t)entry->n_path))
        return tr("it is not what was signed", "它与所签内容不符");
    return NULL;
}

static const char *decode_entry(struct checking *checking, const Sanji__EntryProof *proved, struct statement *ret)
{
    const struct codec_limits limits = {.bytes_max = ENTRY_MAX + ENTRY_OVERHEAD_MAX, .elements_max = 8};
    void *message;
    if (codec_unpack(&sanji__entry__descriptor, bytes_in(&proved->entry), &limits, &checking->arena, &message, NULL))
        return tr("the entry does not decode", "条目无法解码");
    const Sanji__Entry *entry = message;
    if (entry->kind != SANJI__ENTRY_KIND__STATEMENT || statement_decode(bytes_in(&entry->clear), &checking->arena, ret, NULL))
        return tr("it is no statement", "它不是统计陈述");
    return NULL;
}

// The signer's right to say it, and whether the figure asks for it.
static const char *statement_fault(const struct checking *checking, const struct statement *statement, const struct certificate *signer,
                                   int32_t *ret_unit)
{
    const Sanji__ProvedFigure *figure = checking->figure;
    int32_t unit = units_find(checking->units, statement->unit), first, last;
    if (unit == UNIT_NONE || checking->units->items[unit].from != statement->unit_from)
        return tr("its unit is not in the unit tree", "其单位不在单位树中");
    if (!units_within(checking->units, unit, units_find(checking->units, signer->unit)))
        return tr("its unit is not the signer's to speak for", "签名者无权代表该单位");
    if (statement->term != signer->term)
        return tr("its term is not the signer's", "其任期与签名者不符");
    if (figure->subtree ? !units_within(checking->units, unit, checking->unit) : unit != checking->unit)
        return tr("its unit does not belong to the figure", "其单位不属于该数值");
    if (memcmp(statement->definition.bytes, figure->definition.data, HASH_SIZE) != 0)
        return tr("it is of another indicator", "它属于另一指标");
    if (statement->period.type != (uint32_t)figure->period_type || statement->period.number < figure->period_first ||
        statement->period.number > figure->period_last)
        return tr("its period does not belong to the figure", "其期间不属于该数值");
    period_months(statement->period, &first, &last);
    if (last < signer->from_period)
        return tr("its period is before the signer's term", "其期间早于签名者任期");
    if (statement->scope != SANJI__SCOPE__OWN)
        return tr("only own values are counted", "只计本单位的值");
    *ret_unit = unit;
    return NULL;
}

static enum error_code check_statement(struct checking *checking, size_t at, struct error *error)
{
    const Sanji__EntryProof *proved = checking->proof->entries[at];
    struct statement statement;
    const char *fault = inclusion_fault(checking, proved);
    if (!fault)
        fault = decode_entry(checking, proved, &statement);
    if (fault)
        return bad_statement(checking, error, at, NULL, fault);
    const struct header *header = &checking->headers[proved->header];
    const struct certificate *signer = checking->signers[proved->header];
    struct checked *checked = &checking->statements[at];
    fault = statement_fault(checking, &statement, signer, &checked->unit);
    if (fault)
        return bad_statement(checking, error, at, &statement, fault);
    checked->at = (uint32_t)at;
    checked->period = statement.period;
    checked->extent = statement.extent;
    checked->cells = statement.cells;
    checked->values = statement.values;
    checked->count = statement.count;
    checked->rank = (struct rank){signer->term, header->feed.ordinal, header->feed.nonce, signer->station, proved->sequence};
    checking->seen[checked->unit] = true;
    return OK;
}

static enum error_code check_statements(struct checking *checking, struct error *error)
{
    size_t count = checking->proof->n_entries;
    checking->statements = calloc(count + 1, sizeof *checking->statements);
    if (!checking->statements)
        return no_memory(error);
    enum error_code code = OK;
    for (size_t i = 0; i < count && !code; i++)
        code = check_statement(checking, i, error);
    return code;
}

// ---- the fold

static int compare_groups(const struct checked *x, const struct checked *y)
{
    if (x->unit != y->unit)
        return x->unit < y->unit ? -1 : 1;
    return (x->period.number > y->period.number) - (x->period.number < y->period.number);
}

static int compare_statements(const void *a, const void *b)
{
    const struct checked *x = a, *y = b;
    int groups = compare_groups(x, y);
    return groups ? groups : (x->at > y->at) - (x->at < y->at);
}

static enum error_code bad_fold(const struct checking *checking, const struct checked *checked, const char *why, struct error *error)
{
    struct statement statement = {.period = checked->period};
    memcpy(statement.unit, checking->units->items[checked->unit].code, sizeof statement.unit);
    return bad_statement(checking, error, checked->at, &statement, why);
}

// Adds what a full statement and the patches on it leave. checking->cells is all 0 before and after.
static bool add_group(struct checking *checking, const struct checked *statements, size_t count, int64_t *sum)
{
    bool good = true;
    for (size_t i = 0; i < count; i++)
        for (uint32_t c = 0; c < statements[i].count; c++)
            checking->cells[statements[i].cells[c]] = statements[i].values[c];
    for (size_t i = 0; i < count; i++) {
        for (uint32_t c = 0; c < statements[i].count; c++) {
            uint32_t cell = statements[i].cells[c];
            good = good && !(checking->counted[cell] && __builtin_add_overflow(*sum, checking->cells[cell], sum));
            checking->cells[cell] = 0; // counted once
        }
    }
    return good;
}

// One group's statements, in their order: adds what they leave to `sum`.
static enum error_code fold_group(struct checking *checking, const struct checked *statements, size_t count, int64_t *sum,
                                  struct error *error)
{
    size_t last_full = 0;
    for (size_t i = 0; i < count; i++) {
        const struct checked *statement = &statements[i];
        bool full = statement->extent == SANJI__EXTENT__FULL;
        if (i == 0 && !full)
            return bad_fold(checking, statement, tr("a patch without its full statement", "补充陈述缺少完整陈述"), error);
        if (i > 0 && rank_compare(&statements[i - 1].rank, &statement->rank) >= 0)
            return bad_fold(checking, statement, tr("it does not come after the one before it", "它不在前一陈述之后"), error);
        if (i > 0 && !full && !rank_same_speaker(&statements[i - 1].rank, &statement->rank))
            return bad_fold(checking, statement, tr("a patch on another station's statement", "对其他站点陈述的补充"), error);
        if (full)
            last_full = i;
    }
    return add_group(checking, &statements[last_full], count - last_full, sum)
               ? OK
               : error_set(error, ERR_FORGED, tr("the sum is too large to be true", "合计过大，不可信"));
}

static enum error_code check_sum(struct checking *checking, int64_t *ret, struct error *error)
{
    size_t count = checking->proof->n_entries;
    int64_t sum = 0;
    qsort(checking->statements, count, sizeof *checking->statements, compare_statements);
    for (size_t first = 0, end; first < count; first = end) {
        for (end = first + 1; end < count && compare_groups(&checking->statements[first], &checking->statements[end]) == 0; end++)
            ;
        enum error_code code = fold_group(checking, &checking->statements[first], end - first, &sum, error);
        if (code)
            return code;
    }
    if (sum != checking->figure->value)
        return error_set(error, ERR_FORGED, tr("the statements add up to %lld, not to %lld", "各项陈述合计为 %lld，而非 %lld"),
                         (long long)sum, (long long)checking->figure->value);
    *ret = sum;
    return OK;
}

// ---- the figure

static enum error_code check_cells(struct checking *checking, struct error *error)
{
    const Sanji__ProvedFigure *figure = checking->figure;
    memset(checking->counted, figure->n_cells == 0, CELLS_MAX * sizeof *checking->counted);
    for (size_t i = 0; i < figure->n_cells; i++) {
        if (figure->cells[i] >= CELLS_MAX || (i > 0 && figure->cells[i] <= figure->cells[i - 1]))
            return no_proof(error, tr("its cells are not ascending", "单元格未按升序排列"));
        checking->counted[figure->cells[i]] = true;
    }
    return OK;
}

// Statements carry the definition's hash; its text says which indicator that is.
static bool names_indicator(const struct checking *checking)
{
    const Sanji__ProvedFigure *figure = checking->figure;
    struct bytes text = bytes_in(&checking->proof->definition);
    char begin[NAME_MAX_BYTES + 32];
    size_t size = (size_t)snprintf(begin, sizeof begin, "indicator %.*s kind ", NAME_MAX_BYTES, figure->indicator);
    struct hash hash = crypto_hash(TAG_DEFINITION, text);
    return memcmp(hash.bytes, figure->definition.data, HASH_SIZE) == 0 && !strchr(figure->indicator, ' ') && text.size > size &&
           memcmp(text.data, begin, size) == 0;
}

static enum error_code check_figure(struct checking *checking, struct error *error)
{
    const Sanji__ProvedFigure *figure = checking->figure;
    size_t units = (size_t)checking->units->count;
    checking->unit = units_find(checking->units, figure->unit);
    if (checking->unit == UNIT_NONE)
        return no_proof(error, tr("its unit is not in the unit tree", "其单位不在单位树中"));
    struct period first = {figure->period_type, figure->period_first}, last = {figure->period_type, figure->period_last};
    if (figure->definition.len != HASH_SIZE || strlen(figure->indicator) > NAME_MAX_BYTES ||
        figure->period_type == SANJI__PERIOD_TYPE__NAMED || !period_in_range(first) || !period_in_range(last) || first.number > last.number)
        return no_proof(error, tr("its figure is damaged", "其数值部分已损坏"));
    if (!names_indicator(checking))
        return error_set(error, ERR_FORGED, tr("what was signed is not defined as indicator '%s'", "所签内容的定义不是指标“%s”"),
                         figure->indicator);
    checking->cells = calloc(CELLS_MAX, sizeof *checking->cells);
    checking->counted = malloc(CELLS_MAX * sizeof *checking->counted);
    checking->listed = calloc(units, sizeof *checking->listed);
    checking->seen = calloc(units, sizeof *checking->seen);
    if (!checking->cells || !checking->counted || !checking->listed || !checking->seen)
        return no_memory(error);
    return check_cells(checking, error);
}

// Each unit that the figure names has stated something, and no other has.
static enum error_code check_units(struct checking *checking, uint32_t *ret_count, struct error *error)
{
    uint32_t count = 0;
    for (size_t i = 0; i < checking->figure->n_units; i++) {
        int32_t unit = units_find(checking->units, checking->figure->units[i]);
        if (unit == UNIT_NONE || !checking->seen[unit])
            return error_set(error, ERR_FORGED, tr("unit %s is named, but none of its statements is here", "列出了单位 %s，但没有其陈述"),
                             checking->figure->units[i]);
        checking->listed[unit] = true;
    }
    for (int32_t i = 0; i < checking->units->count; i++) {
        if (checking->seen[i] && !checking->listed[i])
            return error_set(error, ERR_FORGED, tr("unit %s is added, but not named", "计入了单位 %s，却未列出"),
                             checking->units->items[i].code);
        count += checking->seen[i];
    }
    *ret_count = count;
    return OK;
}

static void fill_report(const struct checking *checking, bool pinned, int64_t value, uint32_t units, struct proof_report *ret)
{
    const Sanji__ProvedFigure *figure = checking->figure;
    *ret = (struct proof_report){.root = checking->root,
                                 .root_pinned = pinned,
                                 .period_type = figure->period_type,
                                 .period_first = figure->period_first,
                                 .period_last = figure->period_last,
                                 .subtree = figure->subtree,
                                 .value = value,
                                 .cells = (uint32_t)figure->n_cells,
                                 .statements = (uint32_t)checking->proof->n_entries,
                                 .units = units,
                                 .headers = (uint32_t)checking->proof->n_headers,
                                 .certificates = (uint32_t)checking->proof->n_certificates,
                                 .made_ms = checking->proof->made_ms};
    memcpy(ret->definition.bytes, figure->definition.data, HASH_SIZE);
    snprintf(ret->root_unit, sizeof ret->root_unit, "%s", checking->certificates[0].unit);
    snprintf(ret->indicator, sizeof ret->indicator, "%s", figure->indicator);
    snprintf(ret->unit, sizeof ret->unit, "%s", figure->unit);
    snprintf(ret->unit_name, sizeof ret->unit_name, "%s", checking->units->items[checking->unit].name);
}

static enum error_code open_proof(struct checking *checking, struct bytes wire, const char *root_hex, struct error *error)
{
    const struct codec_limits limits = {.bytes_max = PROOF_SIZE_MAX, .elements_max = PROOF_ELEMENTS_MAX};
    struct hash trusted;
    void *message;
    struct error why;
    if (root_hex && !crypto_from_hex(root_hex, trusted.bytes, HASH_SIZE))
        return error_set(error, ERR_INPUT, tr("the root must be %d hex digits", "根记录应为 %d 位十六进制数"), 2 * HASH_SIZE);
    enum error_code code = codec_unpack(&sanji__proof__descriptor, wire, &limits, &checking->arena, &message, &why);
    if (code)
        return code == ERR_MEMORY ? no_memory(error) : no_proof(error, why.detail);
    checking->proof = message;
    checking->figure = checking->proof->figure;
    if (checking->proof->format != 1)
        return error_set(error, ERR_VERSION, tr("a proof of format %u; this program knows 1", "证明格式为 %u；本程序支持 1"),
                         checking->proof->format);
    if (!checking->figure || checking->proof->root.len != HASH_SIZE)
        return no_proof(error, tr("no figure, or no root", "缺少数值或根记录"));
    if (checking->proof->n_entries > PROOF_STATEMENTS_MAX || checking->proof->n_headers > PROOF_STATEMENTS_MAX ||
        checking->proof->n_certificates > UNITS_MAX)
        return error_set(error, ERR_LIMIT, tr("the proof has more parts than any should", "证明的组成部分超出上限"));
    memcpy(checking->root.bytes, checking->proof->root.data, HASH_SIZE);
    if (root_hex && !hash_equal(&trusted, &checking->root))
        return error_set(error, ERR_FORGED,
                         tr("it stands on another root record than the one you trust", "它所依据的根记录不是您信任的那个"));
    if (units_parse(bytes_in(&checking->proof->units), "units", &checking->units, &why))
        return no_proof(error, why.detail);
    return OK;
}

enum error_code proof_check(struct bytes proof, const char *root_hex, struct proof_report *ret, struct error *error)
{
    struct checking checking = {.arena = {.limit = CHECK_MEMORY_MAX}};
    int64_t value = 0;
    uint32_t units = 0;
    enum error_code code = crypto_init(error);
    if (!code)
        code = open_proof(&checking, proof, root_hex, error);
    if (!code)
        code = check_figure(&checking, error);
    if (!code)
        code = check_certificates(&checking, error);
    if (!code)
        code = check_headers(&checking, error);
    if (!code)
        code = check_statements(&checking, error);
    if (!code)
        code = check_units(&checking, &units, error);
    if (!code)
        code = check_sum(&checking, &value, error);
    if (!code)
        fill_report(&checking, root_hex != NULL, value, units, ret);
    free(checking.certificates);
    free(checking.headers);
    free(checking.signers);
    free(checking.statements);
    free(checking.cells);
    free(checking.counted);
    free(checking.listed);
    free(checking.seen);
    units_destroy(checking.units);
    arena_finish(&checking.arena);
    return code;
}
