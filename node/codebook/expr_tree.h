// Inside of the expression language: the tree between parsing, typing and emitting. Lives on the stack of expr_compile().
#pragma once
#include "node/codebook/expr_program.h"
#include "node/codebook/names.h"

enum { NODE_MISSING = -1 };

enum expr_node_kind { NODE_CONSTANT, NODE_CODE, NODE_TODAY, NODE_NAME, NODE_CALL, NODE_UNARY, NODE_BINARY };

struct expr_node {
    enum expr_node_kind kind;
    uint8_t op;               // enum expr_op of constants, unary and binary; enum expr_function of a call
    uint8_t unit;             // of a duration
    uint16_t column;          // from 1, bytes
    uint16_t text, text_size; // of a name or code, in compiler->text
    int16_t left, right;      // operands (unary: left); a call's first argument is left
    int16_t next;             // next argument of the same call
    uint16_t args;
    int64_t number; // scaled number, count of a duration; item of a typed code
    struct name_ref ref;
    enum value_type type; // set by typing; VALUE_NONE: the constant none, which fits everywhere
    int16_t list;
};

struct compiler {
    const char *text;
    const struct expr_scope *scope;
    struct expr_node nodes[EXPR_NODES_MAX];
    int16_t count;
    struct error *error;
    enum error_code code; // of the first error
    // the parser's
    uint16_t at; // next byte
    uint8_t token;
    uint16_t token_at, token_size;
    uint8_t nesting;
};

// Keeps the first error: "column N: ...". Returns false.
bool compiler_fail(struct compiler *compiler, unsigned column, const char *format, ...) __attribute__((format(printf, 3, 4)));

int16_t expr_parse(struct compiler *compiler); // the root, or NODE_MISSING
// Types the tree. Codes are looked up in the list of what they stand beside, else in `list`.
bool expr_type_root(struct compiler *compiler, int16_t root, enum value_type wanted, int list);
// Emits the program and its canonical text.
enum error_code expr_emit(struct compiler *compiler, int16_t root, struct program **ret, struct error *error);
