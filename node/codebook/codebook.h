// The codebook: what the domain is. Loaded strictly from YAML (load.c), checked, resolved to indices, and immutable from then on: share it
// between threads, replace it whole. Grammar: schema/codebook/README.md. The one example that must load:
// schema/codebook/child-protection.yaml.
#pragma once
#include "relay/error.h"
#include "relay/types.h"

enum {
    NAME_MAX_BYTES = 32, // identifiers: [a-z][a-z0-9_]{0,31}
    LABEL_MAX_BYTES = 128,
    LIST_ITEMS_MAX = 64, // a code set is one 64-bit word
    FIELDS_MAX = 64,
    PROPS_MAX = 64,
    SECTIONS_MAX = 4,
    DIMENSIONS_MAX = 4,
    CELLS_MAX = 65536,         // radix product of one indicator, `*` and `_` included
    DECLARED_CELLS_MAX = 4096, // without them
    BAND_EDGES_MAX = 16,
    RECEIPT_WITHIN_MS = 2 * 3600 * 1000, // of an urgent form that doesn't say: a tenth of the 24 hours that the law gives a report
    RECEIPT_WITHIN_MAX_MS = 14 * 24 * 3600 * 1000, // beyond it nothing is urgent; fits in 32 bits
};

struct label {
    char zh[LABEL_MAX_BYTES + 1], en[LABEL_MAX_BYTES + 1];
};

enum field_type {
    FIELD_BOOL,
    FIELD_INT,
    FIELD_DECIMAL,
    FIELD_MONEY,
    FIELD_DATE,
    FIELD_INSTANT,
    FIELD_DURATION,
    FIELD_CODE,
    FIELD_TEXT,
    FIELD_REF,
    FIELD_UNIT,
    FIELD_IDNO,
    FIELD_PHONE,
    FIELD_POSITION,
    FIELD_FILE,
};

// Attribute values are held as struct value (value.h).
struct list_item {
    char id[NAME_MAX_BYTES + 1];
    struct label label;
    struct value *attrs;
    char becomes[NAME_MAX_BYTES + 1];
    int32_t until; /* day, INT32_MAX: none */
};
struct list_attr {
    char id[NAME_MAX_BYTES + 1];
    enum field_type type;
    int16_t list;
};
struct list {
    char id[NAME_MAX_BYTES + 1];
    struct label label;
    struct list_attr *attrs;
    uint16_t attr_count;
    struct list_item *items;
    uint16_t item_count;
    struct hash definition;
};

struct prop {
    char id[NAME_MAX_BYTES + 1];
    struct label label;
    enum field_type type;
    int16_t list;
    bool personal;
    uint8_t many; /* 0, 1: one value */
    int16_t reg;  /* of a ref */
};
// Time enters a stock only here: member j of the band is [at[j-1], at[j]) in years since the date `prop`.
struct band {
    char id[NAME_MAX_BYTES + 1];
    struct label label;
    uint16_t prop;
    uint16_t edge_count;
    int32_t at[BAND_EDGES_MAX];
};
struct reg {
    char id[NAME_MAX_BYTES + 1];
    struct label label;
    bool custody_one;
    int16_t dedupe; /* prop or -1 */
    char tag_key[TIER_NAME_MAX + 1];
    struct prop *props;
    uint16_t prop_count;
    struct band *bands;
    uint16_t band_count;
    bool personal; /* any prop is */
    struct hash definition;
};

struct program; // a compiled expression (expr.h); NULL: none

struct section {
    char id[NAME_MAX_BYTES + 1];
    uint32_t tiers; /* bit per codebook tier */
    uint32_t roles;
    uint8_t reach; /* tiers up from the form's lowest */
};
struct field {
    char id[NAME_MAX_BYTES + 1];
    struct label label;
    enum field_type type;
    int16_t list, reg;
    uint8_t many;
    uint16_t max;
    int16_t section; // index in form->sections, -1: the record's own (reach and readers of the form's first section)
    int16_t keep;    // prop of the subject that this field sets, -1: none
    bool personal;   // idno, phone, position, file, or keeps a personal prop, or says so
    struct program *need, *show, *check, *calc;
};
struct form {
    char id[NAME_MAX_BYTES + 1];
    struct label label;
    int16_t about; // register, -1: no subject
    uint16_t at;   // field (a date) that puts the record in a period
    struct section sections[SECTIONS_MAX];
    uint16_t section_count;
    struct field *fields;
    uint16_t field_count;
    bool keeps;                 // any field has keep
    bool urgent;                // its entries go on the urgent lane, and are to be receipted
    uint32_t receipt_within_ms; // urgent: how long to wait for the deciding tier's receipt before going past the parent
    int16_t decided_by;         // urgent: tier whose receipt counts, -1: the highest that may read
    struct hash definition;
};

// 1 << enum PeriodType of schema/record.proto
enum { EVERY_MONTH = 1 << 1, EVERY_QUARTER = 1 << 2, EVERY_YEAR = 1 << 3 };

enum indicator_kind { INDICATOR_FLOW, INDICATOR_STOCK, INDICATOR_RATIO, INDICATOR_ENTERED };
enum dimension_source {
    DIMENSION_FIELD,
    DIMENSION_PROP,
    DIMENSION_BAND,
    DIMENSION_FIELD_ATTR,
    DIMENSION_PROP_ATTR,
    DIMENSION_LIST /* entered: a bare list */
};
struct dimension {
    char id[NAME_MAX_BYTES + 1];
    struct label label;
    enum dimension_source source;
    uint16_t index;
    uint16_t attr;
    int16_t list;   // members in order; -1: the band's
    int16_t band;   // of the indicator's register
    bool multi;     // more than one member at once: `*` is stated, and never summed over
    uint16_t radix; // members + 2
    uint32_t stride;
};
struct indicator {
    char id[NAME_MAX_BYTES + 1];
    struct label label;
    enum indicator_kind kind;
    int16_t form, reg;             // flow: form; stock: register; else -1
    struct program *where, *value; // value NULL: count 1
    struct dimension dims[DIMENSIONS_MAX];
    uint16_t dim_count;
    int16_t multi;                  /* dim or -1 */
    uint32_t cell_count;            // radix product; 1 without dims
    char count[NAME_MAX_BYTES + 1]; // 人, 人次, 件, 元 ...: unlike kinds are never added or compared. 元: cells are in fen. Empty: a ratio
    int16_t num, den; // ratio: indicators, alike in form, register, tiers, dims, every, count; the ratio has copies of these dims
    int16_t stated_by, for_tier;    // entered: tiers of the codebook, -1: the unit's own station / any
    bool level;                     // entered: a level (population), of which the last period of a span counts, never the sum
    uint32_t every;                 // EVERY_*: periods with cells of their own
    char group[NAME_MAX_BYTES + 1]; // free heading for reports
    struct hash definition;         // of everything that decides its numbers, and of nothing else
};
struct role {
    char id[NAME_MAX_BYTES + 1];
    struct label label;
    int16_t tier;
};

struct codebook {
    char id[NAME_MAX_BYTES + 1];
    uint32_t version, grammar;
    int tz_minutes;
    struct label label;
    char tiers[DEPTH_MAX][TIER_NAME_MAX + 1];
    uint16_t tier_count; // top first
    struct role *roles;
    uint16_t role_count;
    struct list *lists;
    uint16_t list_count;
    struct reg *regs;
    uint16_t reg_count;
    struct form *forms;
    uint16_t form_count;
    struct indicator *indicators;
    uint16_t indicator_count;
    struct hash hash; // of the file's bytes
    uint32_t document_size;
};

// Loads a codebook from the bytes of its YAML, which need not outlive the call. `name` is the file's name for messages
// ("file.yaml:12:7: indicators[3].by[1]: ..."). ERR_INPUT with the first error, ERR_LIMIT over a limit of prepass.h, ERR_VERSION for a
// grammar of a later program, ERR_MEMORY. The result is the caller's, for codebook_destroy(). Nothing is kept on error.
enum error_code codebook_load(struct bytes yaml, const char *name, struct codebook **ret, struct error *error);
// The same, and calls `report` (may be NULL) for every error found: all of one stage (names and types; then expressions and indicators),
// or the one that kept the YAML from being read. `ret` may be NULL.
enum error_code codebook_check(struct bytes yaml, const char *name, void (*report)(void *context, const struct error *error), void *context,
                               struct codebook **ret, struct error *error);
// The same for a file; ERR_IO when it cannot be read.
enum error_code codebook_check_file(const char *path, void (*report)(void *context, const struct error *error), void *context,
                                    struct error *error);
void codebook_destroy(struct codebook *codebook); // takes NULL

int codebook_tier(const struct codebook *codebook, const char *id);
int codebook_list(const struct codebook *codebook, const char *id);
int codebook_reg(const struct codebook *codebook, const char *id);
int codebook_form(const struct codebook *codebook, const char *id);
int codebook_indicator(const struct codebook *codebook, const char *id);
int codebook_indicator_by_definition(const struct codebook *codebook, const struct hash *definition);
// Appends the text that the indicator's definition is the hash of (TAG_DEFINITION): it begins with "indicator ID kind ". A failed
// allocation shows in ret->failed.
void codebook_definition_text(const struct codebook *codebook, uint16_t indicator, struct buffer *ret);
int list_item(const struct list *list, const char *id); // -1: unknown
int form_field(const struct form *form, const char *id);
int reg_prop(const struct reg *reg, const char *id);
const char *label_text(const struct label *label); // in the thread's language

// Members of a dimension by name: 0 is "*", 1 is "_", 2 + i the i-th. Band members are written "0-2", "3-6", "18+".
void dimension_member(const struct codebook *codebook, const struct indicator *indicator, const struct dimension *dimension,
                      uint32_t member, char ret[NAME_MAX_BYTES + 1]);
int dimension_member_find(const struct codebook *codebook, const struct indicator *indicator, const struct dimension *dimension,
                          const char *code); // -1: unknown
