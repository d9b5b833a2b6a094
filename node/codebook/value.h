// Values of fields, props and expressions. No floating point anywhere: two CPUs must give the same figure.
#pragma once
#include "relay/types.h"

enum value_type {
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_NUMBER,
    VALUE_DATE,
    VALUE_INSTANT,
    VALUE_DURATION,
    VALUE_CODE,
    VALUE_SET,
    VALUE_TEXT,
    VALUE_REF,
    VALUE_REFS,
    VALUE_UNIT,
    VALUE_POSITION
};

enum { NUMBER_SCALE = 10000 }; // numbers are int64 scaled by 10^4

struct position {
    int32_t lat_e6, lon_e6;
    uint32_t accuracy_m;
};

struct value {
    enum value_type type;
    uint8_t unit; // VALUE_DURATION: 'm', 'h', 'd', 'w', 'M' (months), 'y', 'W' (working days)
    union {
        bool truth;
        int64_t number;    // scaled; instant: ms UTC; duration: count of `unit`
        int32_t date;      // day number
        uint16_t code;     // item of the list that the type names
        uint64_t set;      // bit per item
        struct bytes text; // UTF-8; text, unit code, or refs (16 bytes each); lives as long as what holds it
        struct position position;
    };
};
static inline struct value value_none(void) { return (struct value){.type = VALUE_NONE}; }
