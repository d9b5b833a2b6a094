// JSON in and out (RFC 8259), without any of the parser library's types: json.c is the only file that names jansson.h.
//
// Reading is strict: one object or array, UTF-8, no name twice in an object, no NUL, no comments, bounded depth and count. Every value
// knows its line and column. Numbers are exact: they are read from their digits, never through floating point.
#pragma once
#include "relay/bytes.h"
#include "relay/error.h"

enum {
    JSON_DEPTH_MAX = 32,              // a record needs 5, dataValueSets 3
    JSON_VALUES_MAX = 2000000,        // values in one document: about 300,000 data values, and half a GB of memory at the very worst
    JSON_SIZE_MAX = 64 * 1024 * 1024, // bytes: one control message
};

enum json_kind { JSON_KIND_NONE, JSON_KIND_TRUTH, JSON_KIND_NUMBER, JSON_KIND_TEXT, JSON_KIND_LIST, JSON_KIND_MAP };

struct json_document;
struct json; // one value; lives as long as its document; immutable, so any thread may read

// `name` is the file's name for messages: "file.json:12:7: ...". ERR_INPUT, ERR_LIMIT, ERR_MEMORY; nothing is kept on error.
enum error_code json_parse(struct bytes text, const char *name, struct json_document **ret, struct error *error);
void json_destroy(struct json_document *document); // takes NULL
const struct json *json_root(const struct json_document *document);

// Accessors take NULL and answer as for a value of another type: NULL, false, 0.
enum json_kind json_kind(const struct json *value);                    // NULL: JSON_KIND_NONE, as null
const struct json *json_get(const struct json *map, const char *name); // NULL: not there
size_t json_count(const struct json *list_or_map);
const struct json *json_first(const struct json *list_or_map); // in the order of the text; NULL: empty
const struct json *json_next(const struct json *value);        // its sibling; NULL: last
const char *json_name(const struct json *value);               // of a member of a map, else NULL
const char *json_text(const struct json *value);               // NULL: not a string. No NUL inside
bool json_truth(const struct json *value, bool *ret);
bool json_whole(const struct json *value, int64_t *ret); // false: not a number, has a fraction, or too large
// Scaled by 10^4 (NUMBER_SCALE of codebook/value.h); false: not a number, more than 4 decimals, or too large.
bool json_scaled(const struct json *value, int64_t *ret);
// The same for digits in text ("12.5", "-3", "1e3"), as dataValueSets write their numbers.
bool json_scaled_parse(const char *text, int64_t *ret);

// For what the caller finds wrong with a value: "file.json:12:7: name: ..." in front of the message. Returns `code`. `value` not NULL.
enum error_code json_fail(const struct json_document *document, const struct json *value, enum error_code code, struct error *error,
                          const char *format, ...) __attribute__((format(printf, 5, 6)));

// ---- writing: straight into a buffer, in the order of the calls; no tree is built. Out of memory shows in out->failed. Nesting is
// asserted. Escapes < > & and U+2028/9 too, so the text may stand inside HTML. Text that is not UTF-8 gets U+FFFD.
struct json_writer {
    struct buffer *out;
    uint32_t depth;
    uint64_t begun; // bit per level: has a value already
    uint64_t lists; // bit per level: is a list
    bool pretty;    // a line a value, two spaces a level
};
static inline struct json_writer json_writer(struct buffer *out, bool pretty) { return (struct json_writer){.out = out, .pretty = pretty}; }
// `name` is the member's name in a map; NULL in a list and at the top.
void json_open_map(struct json_writer *writer, const char *name);
void json_open_list(struct json_writer *writer, const char *name);
void json_close(struct json_writer *writer);                                        // the innermost; the top one ends with a line feed
void json_put_text(struct json_writer *writer, const char *name, const char *text); // NULL text: null
void json_put_integer(struct json_writer *writer, const char *name, int64_t number);
void json_put_unsigned(struct json_writer *writer, const char *name, uint64_t number);
void json_put_truth(struct json_writer *writer, const char *name, bool truth);
void json_put_null(struct json_writer *writer, const char *name);
void json_put_hex(struct json_writer *writer, const char *name, struct bytes data); // lower case; empty: null
