// Inside of the expression language: the compiled form. For the expr_*.c files and for canonical.c.
#pragma once
#include "node/codebook/expr.h"

enum {
    EXPR_TEXT_MAX = 512, // bytes: a line that a person can still check
    EXPR_NODES_MAX = 128,
    EXPR_NESTING_MAX = 16,
    EXPR_STACK_MAX = 32,               // values; checked when compiled
    EXPR_PAIRS_MAX = 16,               // of pick()
    EXPR_OPS_MAX = 3 * EXPR_NODES_MAX, // a node is at most a load, its attribute and a jump of pick
};

enum expr_op {
    OP_NONE,
    OP_TRUE,
    OP_FALSE,
    OP_NUMBER,
    OP_DURATION,
    OP_CODE,
    OP_TODAY,
    OP_FIELD,
    OP_PROP,
    OP_PRIOR,
    OP_ATTR, // of the code on the stack: list `a`, attribute `small`
    OP_NEGATE,
    OP_NOT,
    OP_AND,
    OP_OR,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_HAS,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_CALL,        // function `a`
    OP_JUMP_UNLESS, // takes a value; jumps forward to `a` when it is not true
    OP_JUMP,
};

enum expr_function {
    FUNCTION_PICK,
    FUNCTION_KNOWN,
    FUNCTION_ORELSE,
    FUNCTION_MIN,
    FUNCTION_MAX,
    FUNCTION_ABS,
    FUNCTION_ROUND,
    FUNCTION_DAYS,
    FUNCTION_MONTHS,
    FUNCTION_YEARS,
    FUNCTION_SIZE,
    FUNCTION_LENGTH,
    FUNCTION_ACCURACY,
    FUNCTION_WITHIN,
    FUNCTION_SUM,
    FUNCTION_COUNT,
};

struct op {
    uint8_t code;  // enum expr_op
    uint8_t small; // unit of a duration, or attribute
    uint16_t a;
    int64_t number;
};

struct program {
    const struct codebook *codebook; // for attributes; outlives the program
    char *text;                      // canonical
    uint16_t op_count;
    struct op ops[];
};

// ---- operations on values, total: none for what has no answer (expr_eval.c)
struct value value_binary(enum expr_op op, struct value a, struct value b);
static inline struct value value_number(int64_t scaled) { return (struct value){.type = VALUE_NUMBER, .number = scaled}; }
static inline struct value value_truth(bool truth) { return (struct value){.type = VALUE_BOOL, .truth = truth}; }

// ---- the closed table of functions (expr_functions.c)
struct function {
    const char *name;
    uint8_t args_min, args_max;
};
const struct function *function_of(enum expr_function function);
int function_find(const char *name, size_t size); // -1: unknown
// `args` are `count` values in order. Never called for pick (jumps) and sum (nothing to sum in this grammar).
struct value function_apply(enum expr_function function, const struct value *args);

// Digits and a unit, "7d" "1mo" "5wd": m h d w mo y wd. `size` bytes, all of them.
bool duration_parse(const char *text, size_t size, struct value *ret);
const char *duration_suffix(uint8_t unit);
