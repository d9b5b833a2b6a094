#include "node/statement.h"

#include <assert.h>

#include "node/codebook/codebook.h"
#include "record.pb-c.h"
#include "relay/codec.h"
#include "relay/language.h"

enum { YEAR_MIN = 1900, YEAR_MAX = 2199, NAMED_MAX = 1023 };

static_assert((int)STATEMENT_SIZE_MAX < (int)ENTRY_MAX, "a statement fits into an entry");
static_assert((int)STATEMENT_CELLS_MAX == (int)DECLARED_CELLS_MAX, "every declared cell fits into one statement");

bool period_in_range(struct period period)
{
    switch (period.type) {
    case SANJI__PERIOD_TYPE__MONTH:
        return period.number >= YEAR_MIN * 12 && period.number < (YEAR_MAX + 1) * 12;
    case SANJI__PERIOD_TYPE__QUARTER:
        return period.number >= YEAR_MIN * 4 && period.number < (YEAR_MAX + 1) * 4;
    case SANJI__PERIOD_TYPE__YEAR:
        return period.number >= YEAR_MIN && period.number <= YEAR_MAX;
    case SANJI__PERIOD_TYPE__NAMED:
        return period.number >= 0 && period.number <= NAMED_MAX;
    default:
        return false;
    }
}

static enum error_code bad_field(struct error *error, const char *field)
{
    return error_set(error, ERR_INPUT, tr("statement: %s is out of bounds", "统计陈述：%s 超出范围"), field);
}

static bool unit_fits(const char *unit, char ret[UNIT_CODE_MAX + 1])
{
    size_t size = strlen(unit);
    if (size == 0 || size > UNIT_CODE_MAX)
        return false;
    memcpy(ret, unit, size + 1);
    return true;
}

static enum error_code check_cells(const struct statement *statement, size_t values, struct error *error)
{
    if (statement->count != values)
        return error_set(error, ERR_INPUT, tr("statement: %u cells but %zu values", "统计陈述：%u 个单元格却有 %zu 个值"), statement->count,
                         values);
    if (statement->count > STATEMENT_CELLS_MAX)
        return error_set(error, ERR_LIMIT, tr("statement: %u cells, at most %d", "统计陈述：%u 个单元格，最多 %d 个"), statement->count,
                         STATEMENT_CELLS_MAX);
    if (statement->extent == SANJI__EXTENT__PATCH && statement->count == 0)
        return bad_field(error, "cells");
    for (uint32_t i = 0; i < statement->count; i++)
        if (statement->cells[i] >= CELLS_MAX || (i > 0 && statement->cells[i] <= statement->cells[i - 1]))
            return error_set(error, ERR_INPUT, tr("statement: cells[%u] is not ascending or too large", "统计陈述：cells[%u] 未递增或过大"),
                             i);
    return OK;
}

// Fields as they stand on the wire.
struct found {
    struct bytes definition, unit, cells, values, inputs;
};

static enum error_code check_statement(const struct statement *statement, const struct found *found, size_t values, struct error *error)
{
    bool own = statement->scope == SANJI__SCOPE__OWN;
    if (found->definition.size != HASH_SIZE)
        return bad_field(error, "definition");
    if (statement->term == 0)
        return bad_field(error, "term");
    if (!period_in_range(statement->period))
        return bad_field(error, "period");
    if (statement->scope == SANJI__SCOPE__SCOPE_NONE)
        return bad_field(error, "scope");
    if (statement->basis == SANJI__BASIS__BASIS_NONE)
        return bad_field(error, "basis");
    if (statement->extent == SANJI__EXTENT__EXTENT_NONE)
        return bad_field(error, "extent");
    if (found->inputs.size != (own ? 0 : HASH_SIZE))
        return bad_field(error, "inputs");
    return check_cells(statement, values, error);
}

// A walk over bytes that codec_scan() has passed: a general unpacker would cost as much again as everything else that is done with them.
static void read_statement(struct bytes wire, struct statement *ret, struct found *ret_found)
{
    struct codec_field field;
    for (size_t at = 0; codec_walk(wire, &at, &field);) {
        switch (field.number) {
        case 1:
            ret_found->definition = field.bytes;
            break;
        case 2:
            ret_found->unit = field.bytes;
            break;
        case 3:
            ret->unit_from = (uint32_t)field.value;
            break;
        case 4:
            ret->term = field.value;
            break;
        case 5:
            ret->period.type = (uint32_t)field.value;
            break;
        case 6:
            ret->period.number = (int32_t)codec_zigzag(field.value);
            break;
        case 7:
            ret->scope = (uint32_t)field.value;
            break;
        case 8:
            ret->basis = (uint32_t)field.value;
            break;
        case 9:
            ret->extent = (uint32_t)field.value;
            break;
        case 10:
            ret_found->cells = field.bytes;
            break;
        case 11:
            ret_found->values = field.bytes;
            break;
        case 12:
            ret_found->inputs = field.bytes;
            break;
        }
    }
}

static size_t count_numbers(struct bytes packed)
{
    size_t count = 0;
    for (size_t i = 0; i < packed.size; i++)
        count += packed.data[i] < 0x80;
    return count;
}

// Both arrays into the arena. False: no memory.
static bool read_numbers(const struct found *found, size_t cell_count, size_t value_count, struct arena *arena, struct statement *ret)
{
    uint32_t *cells = arena_alloc(arena, (cell_count + 1) * sizeof *cells);
    int64_t *values = arena_alloc(arena, (value_count + 1) * sizeof *values);
    uint64_t value;
    if (!cells || !values)
        return false;
    for (size_t at = 0, i = 0; codec_next_varint(found->cells, &at, &value); i++)
        cells[i] = (uint32_t)value;
    for (size_t at = 0, i = 0; codec_next_varint(found->values, &at, &value); i++)
        values[i] = codec_zigzag(value);
    ret->cells = cells;
    ret->values = values;
    ret->count = (uint32_t)cell_count;
    return true;
}

enum error_code statement_decode(struct bytes wire, struct arena *arena, struct statement *ret, struct error *error)
{
    static const struct codec_limits limits = {.bytes_max = STATEMENT_SIZE_MAX, .elements_max = 2 * STATEMENT_CELLS_MAX + 16};
    struct statement statement = {0};
    struct found found = {0};
    enum error_code code = codec_scan(&sanji__statement__descriptor, wire, &limits, error);
    if (code)
        return code;
    read_statement(wire, &statement, &found);
    size_t cells = count_numbers(found.cells), values = count_numbers(found.values);
    if (!read_numbers(&found, cells, values, arena, &statement))
        return error_set(error, ERR_MEMORY, "%s", tr("statement: out of memory", "统计陈述：内存不足"));
    code = check_statement(&statement, &found, values, error);
    if (code)
        return code;
    if (found.unit.size == 0 || found.unit.size > UNIT_CODE_MAX)
        return bad_field(error, "unit");
    memcpy(statement.unit, found.unit.data, found.unit.size); // codec_scan() let no NUL through
    memcpy(statement.definition.bytes, found.definition.data, HASH_SIZE);
    *ret = statement;
    return OK;
}

void statement_encode(const struct statement *statement, struct buffer *ret)
{
    assert(statement->scope == SANJI__SCOPE__OWN);
    assert(statement->count <= STATEMENT_CELLS_MAX);
    Sanji__Statement message = SANJI__STATEMENT__INIT;
    message.definition = (ProtobufCBinaryData){HASH_SIZE, (uint8_t *)statement->definition.bytes};
    message.unit = (char *)statement->unit;
    message.unit_from = statement->unit_from;
    message.term = statement->term;
    message.period_type = (Sanji__PeriodType)statement->period.type;
    message.period = statement->period.number;
    message.scope = (Sanji__Scope)statement->scope;
    message.basis = (Sanji__Basis)statement->basis;
    message.extent = (Sanji__Extent)statement->extent;
    message.n_cells = message.n_values = statement->count;
    message.cells = (uint32_t *)statement->cells;
    message.values = (int64_t *)statement->values;
    codec_pack(&message, ret);
}

enum error_code complete_decode(struct bytes wire, struct arena *arena, struct complete *ret, struct error *error)
{
    const struct codec_limits limits = {.bytes_max = COMPLETE_SIZE_MAX, .elements_max = 16};
    void *unpacked;
    enum error_code code = codec_unpack(&sanji__complete__descriptor, wire, &limits, arena, &unpacked, error);
    if (code)
        return code;
    const Sanji__Complete *message = unpacked;
    struct complete complete = {
        .unit_from = message->unit_from,
        .term = message->term,
        .through = {message->period_type, message->through},
        .head = message->head,
    };
    if (!unit_fits(message->unit, complete.unit))
        return bad_field(error, "unit");
    if (message->term == 0)
        return bad_field(error, "term");
    if (!period_in_range(complete.through))
        return bad_field(error, "through");
    *ret = complete;
    return OK;
}

void complete_encode(const struct complete *complete, struct buffer *ret)
{
    Sanji__Complete message = SANJI__COMPLETE__INIT;
    message.unit = (char *)complete->unit;
    message.unit_from = complete->unit_from;
    message.term = complete->term;
    message.period_type = (Sanji__PeriodType)complete->through.type;
    message.through = complete->through.number;
    message.head = complete->head;
    codec_pack(&message, ret);
}
