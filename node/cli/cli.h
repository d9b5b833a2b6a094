// What the verbs of the command line share. One table of verbs (main.c); one file per group of verbs, which fills in struct verb.
#pragma once
#include "node/cli/format.h"
#include "node/cli/options.h"
#include "node/cli/table.h"
#include "node/json.h"
#include "relay/language.h"

struct cli;

struct verb {
    const char *name;
    struct text purpose;               // one line
    const char *usage;                 // after "sanji NAME"
    struct text about;                 // what one line can't say
    const char *const *examples;       // ends with NULL
    const struct option_spec *options; // beside the common ones: -d, --json, --help
    size_t option_count;
    uint32_t arguments_min, arguments_max;
    // Appends what is to be printed to cli->out, which is printed also when it fails. ERR_USAGE exits 2, other errors 1.
    enum error_code (*run)(struct cli *cli, struct error *error);
};

struct cli {
    const struct verb *verb;
    struct options options;
    const char *dir; // -d, SANJI_DIR or /var/lib/sanji
    bool json;
    bool colour; // stdout is a terminal that wants it
    struct buffer out;
};

extern const struct verb verb_init, verb_join, verb_run, verb_stop, verb_invite, verb_status, verb_units, verb_forms, verb_record,
    verb_import, verb_figures, verb_prove, verb_receipts, verb_verify, verb_codebook, verb_recover, verb_scrub, verb_rebuild;

// The n-th argument; asserts that the verb's table makes sure of it.
const char *cli_argument(const struct cli *cli, uint32_t n);
// The value of an option that must be there: ERR_USAGE otherwise.
enum error_code cli_need(const struct cli *cli, const char *option, const char **ret, struct error *error);
// A heading line in bold on a terminal.
void cli_heading(struct cli *cli, const char *text);
// "label  value", labels padded to one width.
void cli_line(struct cli *cli, const char *label, const char *format, ...) __attribute__((format(printf, 3, 4)));
