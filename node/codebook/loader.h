// Inside of the codebook loader: where we are in the file, how errors are said, and how plain texts are read. For resolve.c and the files
// beside it, one for each concern. Every error is "name:line:column: path: what, and what was expected"; resolving goes on after one, so
// that `codebook check` can list them all.
#pragma once
#include "node/codebook/codebook.h"
#include "node/codebook/expr.h"
#include "node/codebook/raw.h"

enum {
    LISTS_MAX = 256,
    REGS_MAX = 64,
    FORMS_MAX = 256,
    INDICATORS_MAX = 1024, // several times the first codebook; tables stay in memory
    ROLES_MAX = 32,        // one bit each in a section
    TEXT_CHARACTERS_MAX = 4000,
    TEXT_CHARACTERS_DEFAULT = 200,
    MANY_MAX = 64, // as LIST_ITEMS_MAX
};

struct loader {
    struct codebook *codebook;
    const struct raw *raw;
    const struct prepass *places;
    const char *name;
    void (*report)(void *context, const struct error *error); // may be NULL
    void *context;
    struct error *error;  // gets the first one
    enum error_code code; // of the first error; OK: none so far
    char path[YAML_PATH_MAX];
    size_t path_size;
};

// Goes into "part[index]" of the path; `loader_leave` takes what it returned.
size_t loader_enter(struct loader *loader, const char *part, uint32_t index);
void loader_leave(struct loader *loader, size_t mark);
// An error at `leaf` of the present path ("" for the path itself). Returns false.
bool loader_fail(struct loader *loader, const char *leaf, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool loader_fail_at(struct loader *loader, const char *leaf, uint32_t index, const char *format, ...) __attribute__((format(printf, 4, 5)));
// Zeroed; NULL after an error was said.
void *loader_alloc(struct loader *loader, size_t count, size_t size);

// Each says its own error and returns false.
bool loader_id(struct loader *loader, const char *leaf, const char *text, char ret[NAME_MAX_BYTES + 1]);
// Both languages, or (with a fallback) none: then the fallback stands for both.
bool loader_label(struct loader *loader, const char *zh, const char *en, const struct label *fallback, const char *fallback_text,
                  struct label *ret);
bool loader_number(struct loader *loader, const char *leaf, const char *text, int64_t min, int64_t max, int64_t *ret); // digits only
bool loader_truth(struct loader *loader, const char *leaf, const char *text, bool *ret); // "true" or "false"; NULL leaves `ret`
// At most `max` of a noun; says how many there are.
bool loader_count(struct loader *loader, const char *leaf, uint32_t count, uint32_t max);
// Says that `text` (may be NULL) is none of `known`, a list in words.
bool loader_unknown(struct loader *loader, const char *leaf, const char *text, const char *known);

// What type, of, many say; shared by attributes, props and fields.
struct typed {
    enum field_type type;
    int16_t list, reg;
    uint8_t many;
};
bool loader_type(struct loader *loader, const char *type, const char *of, const char *many, struct typed *ret);
const char *field_type_name(enum field_type type); // as the grammar writes it
bool field_type_is_personal(enum field_type type); // idno, phone, position, file
// Names of lists, registers, tiers, for messages. At most `size` bytes.
const char *loader_lists(const struct loader *loader, char *ret, size_t size);
const char *loader_regs(const struct loader *loader, char *ret, size_t size);
const char *loader_tiers(const struct loader *loader, char *ret, size_t size);
const char *loader_forms(const struct loader *loader, char *ret, size_t size);
bool loader_tier(struct loader *loader, const char *leaf, const char *text, int16_t *ret);
// Compiles; NULL when there is no text or it is wrong.
struct program *loader_compile(struct loader *loader, const char *leaf, const char *text, const struct expr_scope *scope,
                               enum value_type wanted, int list);

// ---- one file each: declare what there is, then what needs names of the others
void lists_resolve(struct loader *loader);
void registers_resolve(struct loader *loader);
void forms_declare(struct loader *loader);
void forms_compile(struct loader *loader);
void indicators_resolve(struct loader *loader);
// canonical.c: definition hashes of everything. False: out of memory.
bool definitions_hash(struct codebook *codebook);
