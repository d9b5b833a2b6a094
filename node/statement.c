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

static enum error_code check_cells(const Sanji__Statement *wire, struct error *error)
{
    if (wire->n_cells != wire->n_values)
        return error_set(error, ERR_INPUT, tr("statement: %zu cells but %zu values", "统计陈述：%zu 个单元格却有 %zu 个值"), wire->n_cells,
                         wire->n_values);
    if (wire->n_cells > STATEMENT_CELLS_MAX)
        return error_set(error, ERR_LIMIT, tr("statement: %zu cells, at most %d", "统计陈述：%zu 个单元格，最多 %d 个"), wire->n_cells,
                         STATEMENT_CELLS_MAX);
    if (wire->extent == SANJI__EXTENT__PATCH && wire->n_cells == 0)
        return bad_field(error, "cells");
    for (size_t i = 0; i < wire->n_cells; i++)
        if (wire->cells[i] >= CELLS_MAX || (i > 0 && wire->cells[i] <= wire->cells[i - 1]))
            return error_set(error, ERR_INPUT,
                             tr("statement: cells[%zu] is not ascending or too large", "统计陈述：cells[%zu] 未递增或过大"), i);
    return OK;
}

static enum error_code check_statement(const Sanji__Statement *wire, struct error *error)
{
    bool own = wire->scope == SANJI__SCOPE__OWN;
    if (wire->definition.len != HASH_SIZE)
        return bad_field(error, "definition");
    if (wire->term == 0)
        return bad_field(error, "term");
    if (!period_in_range((struct period){wire->period_type, wire->period}))
        return bad_field(error, "period");
    if (wire->scope == SANJI__SCOPE__SCOPE_NONE)
        return bad_field(error, "scope");
    if (wire->basis == SANJI__BASIS__BASIS_NONE)
        return bad_field(error, "basis");
    if (wire->extent == SANJI__EXTENT__EXTENT_NONE)
        return bad_field(error, "extent");
    if (wire->inputs.len != (own ? 0 : HASH_SIZE))
        return bad_field(error, "inputs");
    return check_cells(wire, error);
}

enum error_code statement_decode(struct bytes wire, struct arena *arena, struct statement *ret, struct error *error)
{
    const struct codec_limits limits = {.bytes_max = STATEMENT_SIZE_MAX, .elements_max = 2 * STATEMENT_CELLS_MAX + 16};
    void *unpacked;
    enum error_code code = codec_unpack(&sanji__statement__descriptor, wire, &limits, arena, &unpacked, error);
    if (code)
        return code;
    const Sanji__Statement *message = unpacked;
    struct statement statement = {
        .unit_from = message->unit_from,
        .term = message->term,
        .period = {message->period_type, message->period},
        .scope = message->scope,
        .basis = message->basis,
        .extent = message->extent,
        .cells = message->cells,
        .values = message->values,
        .count = (uint32_t)message->n_cells,
    };
    code = check_statement(message, error);
    if (code)
        return code;
    if (!unit_fits(message->unit, statement.unit))
        return bad_field(error, "unit");
    memcpy(statement.definition.bytes, message->definition.data, HASH_SIZE);
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
