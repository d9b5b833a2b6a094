// Between node/import*.c only.
#pragma once
#include "node/import.h"
#include "node/ledger.h"

struct import_value {
    uint16_t indicator;
    int32_t unit;
    struct period period;
    uint32_t cell;
    uint32_t place; // CSV: line; JSON: index in dataValues
    int64_t value;
};

struct import {
    struct desk *desk;
    const char *source;
    struct import_value *values;
    uint32_t count, capacity;
    int32_t today;
};

// What is wrong with a value, and in which of its parts. `member` of PART_MEMBER: index in the indicator's dims.
enum import_part { PART_INDICATOR, PART_UNIT, PART_PERIOD, PART_VALUE, PART_MEMBER, PART_WHOLE };
struct import_fault {
    enum import_part part;
    int member;
    struct error error;
};

// One value as text; members[d] is of the indicator's dims[d], NULL or "" is `_`.
struct import_raw {
    const char *unit, *period, *value;
    const char *members[DIMENSIONS_MAX];
    uint32_t place;
};

// False: `fault` says why.
bool import_indicator(const struct import *import, const char *id, uint16_t *ret, struct import_fault *fault);
bool import_add(struct import *import, uint16_t indicator, const struct import_raw *raw, struct import_fault *fault);
// Sorts by group and cell; the first cell that is given twice, by place.
bool import_twice(struct import *import, uint32_t *ret_first, uint32_t *ret_again);

enum error_code import_csv(struct import *import, struct bytes data, struct error *error);
enum error_code import_json(struct import *import, struct bytes data, struct error *error);
