// What a dotted name means in a scope. Shared by expressions and by the dimensions of indicators (`by`), so that both read alike:
//   field            a field of the form; else a prop of its subject (a form's field hides a prop of the same name)
//   REG.prop         the subject's prop, said explicitly: child.colour
//   name.attr        the attribute of a code's list item: category.lead, child.category.lead
//   prior.field      a field of the record before this one (entry context)
//   band             a band of the subject's register, in `by` only
#pragma once
#include "node/codebook/expr.h"

enum name_kind { NAME_FIELD, NAME_PROP, NAME_BAND, NAME_PRIOR };

struct name_ref {
    enum name_kind kind;
    uint16_t index;       // of the field, prop or band
    int16_t attr;         // of the list `base_list`, -1: none
    int16_t base_list;    // of the field or prop itself, -1: none
    int16_t list;         // of the result, when it is a code or code set
    enum value_type type; // of the result; VALUE_NONE for a band
    bool many;            // the field or prop holds more than one code
};

// ERR_INPUT, naming what was expected, without place. `bands`: dimensions, not expressions.
enum error_code name_resolve(const struct expr_scope *scope, const char *name, bool bands, struct name_ref *ret, struct error *error);
// How values of a field or prop come to expressions.
enum value_type field_value_type(enum field_type type, uint8_t many);
bool name_is_reserved(const char *name); // words of the expression language
