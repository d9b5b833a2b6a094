// First pass over a codebook's YAML: refuses what the loading library lets through or cannot bound, and remembers where everything stands,
// so that every later error can name line and column. The only user of libyaml.
//
// Refused: anchors, aliases, tags, merge keys, directives, a second document, an empty file, keys that are not plain text, duplicate keys,
// NUL and other control characters (also escaped), invisible direction marks, bytes that are not UTF-8.
#pragma once
#include "relay/bytes.h"
#include "relay/error.h"

enum {
    YAML_BYTES_MAX = 1024 * 1024, // ten times the first codebook
    YAML_DEPTH_MAX = 12,          // the grammar needs 6
    YAML_NODES_MAX = 100000,      // memory: 48 bytes a node
    YAML_KEYS_MAX = 64,           // keys in one mapping: the largest noun has 19; bounds the search for duplicates
    YAML_PATH_MAX = 256,          // bytes of a path as text, "indicators[3].by[1]"
};

struct prepass;
struct place {
    uint32_t line, column; // from 1; columns count characters
};

// Reads the whole text, which need not outlive the call. ERR_INPUT with "name:line:column: path: ..." for what is refused, ERR_LIMIT
// over a limit above, ERR_MEMORY. The result is the caller's, immutable, for prepass_destroy().
enum error_code prepass_read(struct bytes yaml, const char *name, struct prepass **ret, struct error *error);
void prepass_destroy(struct prepass *prepass); // takes NULL

// Where the value at `path` begins; of a path that is not there (a missing key), its nearest ancestor that is.
struct place prepass_place(const struct prepass *prepass, const char *path);
// Where the key that ends `path` stands; otherwise as prepass_place.
struct place prepass_key_place(const struct prepass *prepass, const char *path);
// The text at `path`, NULL when there is none or it is no scalar. Lives as long as the prepass.
const char *prepass_scalar(const struct prepass *prepass, const char *path);
