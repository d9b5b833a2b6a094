// The expression language: total, typed at load, bounded, three contexts. Grammar: schema/codebook/README.md.
#pragma once
#include "node/codebook/codebook.h"
#include "node/codebook/value.h"

enum expr_context { EXPR_ENTRY, EXPR_FIGURE, EXPR_REPORT };

// What names mean: fields of a form, props of its subject. Either may be NULL.
struct expr_scope {
    const struct codebook *codebook;
    const struct form *form;
    const struct reg *reg;
    enum expr_context context;
};

// What they are now. Arrays are parallel to form->fields and reg->props.
struct expr_input {
    const struct value *fields;
    const struct value *props; // of the subject as of `at`
    const struct value *prior; // fields of the prior record of the same form about the same subject; NULL: none
    int32_t today;             // entry context only
};

// Parses, types and compiles. ERR_INPUT with the column in the text and what was expected. `wanted`: the type that the place needs
// (VALUE_NONE: any). `list`: when wanted is VALUE_CODE or VALUE_SET. `ret_type` may be NULL; VALUE_NONE: the constant none. The program is
// the caller's, for expr_destroy(); `scope->codebook` must outlive it. Programs are immutable: any thread may run one. ERR_MEMORY.
// None at the edge: false in where, need, show; passes in check.
enum error_code expr_compile(const char *text, const struct expr_scope *scope, enum value_type wanted, int list, struct program **ret,
                             enum value_type *ret_type, struct error *error);
void expr_destroy(struct program *program); // takes NULL
// Never fails: `none` is an answer. No allocation.
struct value expr_eval(const struct program *program, const struct expr_input *input);
// Canonical text, for definition hashes.
const char *expr_text(const struct program *program);
