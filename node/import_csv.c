#include "node/csv.h"
#include "node/import_inside.h"
#include "relay/language.h"

struct columns {
    int unit, period, indicator, value;
    bool known[CSV_FIELDS_MAX]; // not a dimension
};

static bool is_dimension(const struct codebook *codebook, const char *name)
{
    for (int i = 0; i < codebook->indicator_count; i++)
        for (int d = 0; codebook->indicators[i].kind == INDICATOR_ENTERED && d < codebook->indicators[i].dim_count; d++)
            if (strcmp(codebook->indicators[i].dims[d].id, name) == 0)
                return true;
    return false;
}

static enum error_code read_header(const struct import *import, struct csv *csv, struct columns *ret, struct error *error)
{
    enum error_code code = csv_header(csv, error);
    if (code)
        return code;
    *ret = (struct columns){
        csv_column(csv, "unit"), csv_column(csv, "period"), csv_column(csv, "indicator"), csv_column(csv, "value"), {false}};
    const struct {
        int at;
        const char *name;
    } needed[] = {{ret->unit, "unit"}, {ret->period, "period"}, {ret->indicator, "indicator"}, {ret->value, "value"}};
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        if (needed[i].at < 0)
            return csv_fail(csv, csv->count, ERR_INPUT, error, tr("no column %s", "缺少列 %s"), needed[i].name);
        ret->known[needed[i].at] = true;
    }
    for (uint32_t i = 0; i < csv->count; i++)
        if (!ret->known[i] && !is_dimension(import->desk->codebook, csv_column_name(csv, i)))
            return csv_fail(csv, i, ERR_INPUT, error, tr("no entered indicator has this dimension", "没有填报指标具有此维度"));
    return OK;
}

static uint32_t column_of(const struct csv *csv, const struct columns *columns, const struct indicator *indicator,
                          const struct import_fault *fault)
{
    switch (fault->part) {
    case PART_INDICATOR:
        return (uint32_t)columns->indicator;
    case PART_UNIT:
        return (uint32_t)columns->unit;
    case PART_PERIOD:
        return (uint32_t)columns->period;
    case PART_VALUE:
        return (uint32_t)columns->value;
    case PART_MEMBER: {
        int column = csv_column(csv, indicator->dims[fault->member].id);
        return column < 0 ? csv->count : (uint32_t)column;
    }
    case PART_WHOLE:
        break;
    }
    return csv->count;
}

static enum error_code read_row(struct import *import, struct csv *csv, const struct columns *columns, struct error *error)
{
    struct import_fault fault = {0};
    uint16_t at;
    if (!import_indicator(import, csv_text(csv, (uint32_t)columns->indicator), &at, &fault))
        return csv_fail(csv, (uint32_t)columns->indicator, fault.error.code, error, "%s", fault.error.detail);
    const struct indicator *indicator = &import->desk->codebook->indicators[at];
    struct import_raw raw = {.unit = csv_text(csv, (uint32_t)columns->unit),
                             .period = csv_text(csv, (uint32_t)columns->period),
                             .value = csv_text(csv, (uint32_t)columns->value),
                             .place = csv->line};
    for (uint32_t i = 0; i < csv->count; i++) {
        int dimension = -1;
        for (int d = 0; !columns->known[i] && d < indicator->dim_count; d++)
            if (strcmp(indicator->dims[d].id, csv_column_name(csv, i)) == 0)
                dimension = d;
        if (dimension >= 0)
            raw.members[dimension] = csv_text(csv, i);
        else if (!columns->known[i] && *csv_text(csv, i))
            return csv_fail(csv, i, ERR_INPUT, error, tr("%s does not have this dimension: leave it empty", "%s 没有此维度：请留空"),
                            indicator->id);
    }
    if (import_add(import, at, &raw, &fault))
        return OK;
    return csv_fail(csv, column_of(csv, columns, indicator, &fault), fault.error.code, error, "%s", fault.error.detail);
}

enum error_code import_csv(struct import *import, struct bytes data, struct error *error)
{
    struct csv csv;
    struct columns columns;
    enum error_code code = csv_init(&csv, data, import->source, error);
    if (!code)
        code = read_header(import, &csv, &columns, error);
    while (!code && csv_next(&csv, error))
        code = read_row(import, &csv, &columns, error);
    if (!code)
        code = csv.code;
    csv_finish(&csv);
    uint32_t first, again;
    if (!code && import_twice(import, &first, &again))
        code = error_set(error, ERR_INPUT,
                         tr("%s:%u: the same value as on line %u: one of them must go", "%s:%u：与第 %u 行是同一个值：须删去其一"),
                         import->source, again, first);
    return code;
}
