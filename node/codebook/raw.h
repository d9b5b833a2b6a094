// A codebook as the YAML has it: texts, nothing resolved. Made by load.c, read by the resolving files, gone after loading. NULL is a key
// that is not there. Numbers stay texts, because the loading library takes 010 for 8 and 12x for 12.
#pragma once
#include "node/codebook/prepass.h"

struct raw_header {
    char *id, *version, *grammar, *tz, *base, *zh, *en, **tiers;
    uint32_t tiers_count;
};
struct raw_role {
    char *id, *tier, *zh, *en;
};

struct raw_attr {
    char *id, *type, *of;
};
struct raw_item {
    char *id, *zh, *en, *until, *becomes, **set;
    uint32_t set_count;
};
struct raw_list {
    char *id, *zh, *en;
    struct raw_attr *attrs;
    struct raw_item *items;
    uint32_t attrs_count, items_count;
};

struct raw_prop {
    char *id, *zh, *en, *type, *of, *many, *personal;
};
struct raw_band {
    char *id, *zh, *en, *of, *in, **at;
    uint32_t at_count;
};
struct raw_register {
    char *id, *zh, *en, *custody, *dedupe, *tag_key;
    struct raw_prop *props;
    struct raw_band *bands;
    uint32_t props_count, bands_count;
};

struct raw_section {
    char *id, **tiers, **roles;
    uint32_t tiers_count, roles_count;
};
struct raw_field {
    char *id, *zh, *en, *type, *of, *many, *max, *section, *keep, *personal, *need, *show, *check, *calc;
};
struct raw_form {
    char *id, *zh, *en, *about, *at, *lane, *receipt_within, *decided_by;
    struct raw_section *sections;
    struct raw_field *fields;
    uint32_t sections_count, fields_count;
};

struct raw_indicator {
    char *id, *zh, *en, *kind, *of, *where, *value, *count, *num, *den, *stated_by, *for_tier, *level, *group, **by, **every;
    uint32_t by_count, every_count;
};

struct raw {
    struct raw_header *codebook;
    struct raw_role *roles;
    struct raw_list *lists;
    struct raw_register *registers;
    struct raw_form *forms;
    struct raw_indicator *indicators;
    uint32_t roles_count, lists_count, registers_count, forms_count, indicators_count;
};

// `places` is of the same text, which it has found harmless. Unknown keys and a mapping where a text belongs (and so on) give ERR_INPUT
// with "name:line:column: path: ..." and what was expected there. For raw_destroy().
enum error_code raw_load(struct bytes yaml, const struct prepass *places, const char *name, struct raw **ret, struct error *error);
void raw_destroy(struct raw *raw); // takes NULL
