// Options of a command, from tables: parsing and help cannot disagree.
#pragma once
#include "relay/bytes.h"
#include "relay/error.h"

// A text in both languages, for tables that stand before the language is known.
struct text {
    const char *en, *zh;
};
const char *text_of(struct text text); // in the thread's language

enum option_type {
    OPTION_SWITCH, // --json
    OPTION_VALUE,  // --unit CODE, --unit=CODE, -u CODE; once
    OPTION_LIST,   // the same, at most OPTION_LIST_MAX times
};

struct option_spec {
    const char *name; // without the dashes
    char letter;      // 0: none
    enum option_type type;
    const char *value; // what stands for the value in help: "CODE"
    struct text help;
};

enum {
    OPTIONS_MAX = 24,     // options of one command
    OPTION_LIST_MAX = 16, // an indicator has 4 dimensions to filter by; more is a mistake
};

// Caller's memory; nothing to finish. Values point into argv.
struct options {
    const struct option_spec *specs[OPTIONS_MAX];
    uint32_t spec_count;
    const char *values[OPTIONS_MAX][OPTION_LIST_MAX];
    uint32_t counts[OPTIONS_MAX];
    char **arguments; // those that are no options, in order
    uint32_t argument_count;
};

// Adds a table to an options struct that begins zeroed; asserts that names and letters stand once.
void options_add(struct options *options, const struct option_spec *specs, size_t count);
// Sorts argv[0..argc) in place: arguments to the front. "--" ends the options; "-" is an argument. ERR_USAGE with a hint: unknown option,
// value missing or not wanted, given twice.
enum error_code options_parse(struct options *options, int argc, char **argv, struct error *error);
// All three assert that `name` is in a table.
bool options_given(const struct options *options, const char *name);
const char *options_value(const struct options *options, const char *name);                             // NULL: not given
uint32_t options_list(const struct options *options, const char *name, const char *const **ret_values); // how many times
// The part of a help page that lists them, a line each.
void options_print(const struct options *options, struct buffer *out);
// The word most like `word`, when it is like enough to be meant; else NULL.
const char *options_nearest(const char *word, const char *const *words, size_t count);
