#include "node/cli/options.h"

#include <assert.h>
#include <stdio.h>

#include "node/utf8.h"
#include "relay/language.h"

const char *text_of(struct text text) { return tr(text.en, text.zh); }

static int find_name(const struct options *options, const char *name, size_t size)
{
    for (uint32_t i = 0; i < options->spec_count; i++)
        if (strlen(options->specs[i]->name) == size && memcmp(options->specs[i]->name, name, size) == 0)
            return (int)i;
    return -1;
}

static int find_letter(const struct options *options, char letter)
{
    for (uint32_t i = 0; i < options->spec_count; i++)
        if (options->specs[i]->letter && options->specs[i]->letter == letter)
            return (int)i;
    return -1;
}

void options_add(struct options *options, const struct option_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert(options->spec_count < OPTIONS_MAX);
        assert(find_name(options, specs[i].name, strlen(specs[i].name)) < 0 &&
               (!specs[i].letter || find_letter(options, specs[i].letter) < 0));
        options->specs[options->spec_count++] = &specs[i];
    }
}

// ---- parsing

struct parse {
    struct options *options;
    int argc, at;
    char **argv;
    struct error *error;
};

static enum error_code unknown(const struct parse *parse, const char *argument)
{
    const char *names[OPTIONS_MAX];
    for (uint32_t i = 0; i < parse->options->spec_count; i++)
        names[i] = parse->options->specs[i]->name;
    int size = (int)strcspn(argument, "=");
    char word[64];
    snprintf(word, sizeof word, "%.*s", size, argument + strspn(argument, "-"));
    const char *near = options_nearest(word, names, parse->options->spec_count);
    if (near)
        return error_set(parse->error, ERR_USAGE, tr("unknown option %.*s; did you mean --%s?", "未知选项 %.*s；是否想用 --%s？"), size,
                         argument, near);
    return error_set(parse->error, ERR_USAGE, tr("unknown option %.*s", "未知选项 %.*s"), size, argument);
}

// `inlined`: the value that stands in the same argument, or NULL.
static enum error_code take(struct parse *parse, int index, const char *inlined)
{
    struct options *options = parse->options;
    const struct option_spec *spec = options->specs[index];
    uint32_t *count = &options->counts[index];
    if (spec->type == OPTION_SWITCH) {
        if (inlined)
            return error_set(parse->error, ERR_USAGE, tr("--%s takes no value", "--%s 不带值"), spec->name);
        *count = 1;
        return OK;
    }
    if (!inlined) {
        if (parse->at >= parse->argc || (parse->argv[parse->at][0] == '-' && parse->argv[parse->at][1]))
            return error_set(parse->error, ERR_USAGE, tr("--%s needs a value: --%s %s", "--%s 需要一个值：--%s %s"), spec->name, spec->name,
                             spec->value);
        inlined = parse->argv[parse->at++];
    }
    if (spec->type == OPTION_VALUE && *count == 1)
        return error_set(parse->error, ERR_USAGE, tr("--%s is given twice", "--%s 重复给出"), spec->name);
    if (*count == OPTION_LIST_MAX)
        return error_set(parse->error, ERR_USAGE, tr("--%s is given more than %d times", "--%s 超过 %d 次"), spec->name, OPTION_LIST_MAX);
    options->values[index][(*count)++] = inlined;
    return OK;
}

static enum error_code take_long(struct parse *parse, const char *argument)
{
    size_t size = strcspn(argument + 2, "=");
    int index = find_name(parse->options, argument + 2, size);
    if (index < 0)
        return unknown(parse, argument);
    return take(parse, index, argument[2 + size] == '=' ? argument + 2 + size + 1 : NULL);
}

// Letters are not bundled: -iX is -i X, for an option with a value.
static enum error_code take_short(struct parse *parse, const char *argument)
{
    int index = find_letter(parse->options, argument[1]);
    if (index < 0 || (argument[2] && parse->options->specs[index]->type == OPTION_SWITCH))
        return unknown(parse, argument);
    return take(parse, index, argument[2] ? argument + 2 : NULL);
}

enum error_code options_parse(struct options *options, int argc, char **argv, struct error *error)
{
    struct parse parse = {options, argc, 0, argv, error};
    bool ended = false;
    options->arguments = argv;
    options->argument_count = 0;
    while (parse.at < argc) {
        char *argument = argv[parse.at++];
        enum error_code code = OK;
        if (ended || argument[0] != '-' || !argument[1])
            options->arguments[options->argument_count++] = argument;
        else if (strcmp(argument, "--") == 0)
            ended = true;
        else
            code = argument[1] == '-' ? take_long(&parse, argument) : take_short(&parse, argument);
        if (code != OK)
            return code;
    }
    return OK;
}

// ---- asking

static uint32_t index_of(const struct options *options, const char *name)
{
    int index = find_name(options, name, strlen(name));
    assert(index >= 0);
    return (uint32_t)index;
}

bool options_given(const struct options *options, const char *name) { return options->counts[index_of(options, name)] > 0; }

const char *options_value(const struct options *options, const char *name)
{
    uint32_t index = index_of(options, name);
    return options->counts[index] ? options->values[index][0] : NULL;
}

uint32_t options_list(const struct options *options, const char *name, const char *const **ret_values)
{
    uint32_t index = index_of(options, name);
    *ret_values = options->values[index];
    return options->counts[index];
}

// ---- help

void options_print(const struct options *options, struct buffer *out)
{
    enum { COLUMN = 26 };
    for (uint32_t i = 0; i < options->spec_count; i++) {
        const struct option_spec *spec = options->specs[i];
        char letter[8] = "    ", line[160];
        if (spec->letter)
            snprintf(letter, sizeof letter, "-%c, ", spec->letter);
        snprintf(line, sizeof line, "  %s--%s%s%s", letter, spec->name, spec->value ? " " : "", spec->value ? spec->value : "");
        buffer_append(out, line, strlen(line));
        size_t width = utf8_width(line);
        if (width >= COLUMN) {
            buffer_append(out, "\n", 1);
            width = 0;
        }
        for (; width < COLUMN; width++)
            buffer_append(out, " ", 1);
        const char *help = text_of(spec->help);
        buffer_append(out, help, strlen(help));
        buffer_append(out, "\n", 1);
    }
}

// Edits (insert, delete, change, swap neighbours) between two words of at most 32 bytes; more when longer.
static size_t distance(const char *a, const char *b)
{
    enum { MAX = 32 };
    size_t n = strlen(a), m = strlen(b), rows[3][MAX + 1];
    if (n > MAX || m > MAX)
        return MAX;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *higher = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && higher[j - 2] + 1 < best)
                best = higher[j - 2] + 1;
            row[j] = best;
        }
    }
    return rows[n % 3][m];
}

const char *options_nearest(const char *word, const char *const *words, size_t count)
{
    const char *nearest = NULL;
    size_t size = strlen(word), best = size < 4 ? 2 : 3; // below this many edits
    for (size_t i = 0; i < count; i++) {
        size_t edits = size >= 2 && strncmp(words[i], word, size) == 0 ? 1 : distance(word, words[i]);
        if (edits < best) {
            best = edits;
            nearest = words[i];
        }
    }
    return nearest;
}
