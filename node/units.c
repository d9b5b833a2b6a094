#include "node/units.h"

#include <stdlib.h>

#include "node/csv.h"
#include "node/period.h"
#include "relay/crypto.h"
#include "relay/language.h"
#include "relay/text.h"

enum { TIERS_MAX = DEPTH_MAX };

// One row, before the tree is built.
struct row {
    struct unit unit;
    char tier[TIER_NAME_MAX + 1];
    char parent_code[UNIT_CODE_MAX + 1];
    uint32_t line;
    int32_t parent, first_child, next_sibling; // rows
    bool placed;
};

struct parser {
    struct csv csv;
    const char *name;
    struct error *error;
    int code, label, tier, parent, from, counted; // columns, -1: not there
    struct row *rows;
    int32_t count, capacity;
    int32_t *by_code;
};

// ---- one row

static enum error_code find_columns(struct parser *parser)
{
    static const char *const names[] = {"code", "name", "tier", "parent_code", "valid_from", "counted"};
    int *const columns[] = {&parser->code, &parser->label, &parser->tier, &parser->parent, &parser->from, &parser->counted};
    for (uint32_t i = 0; i < parser->csv.count; i++) {
        size_t known = 0;
        while (known < 6 && strcmp(csv_column_name(&parser->csv, i), names[known]) != 0)
            known++;
        if (known == 6)
            return csv_fail(&parser->csv, i, ERR_INPUT, parser->error, tr("unknown column; there are %s", "未知的列；可用的列为 %s"),
                            "code, name, tier, parent_code, valid_from, counted");
    }
    for (size_t i = 0; i < 6; i++) {
        *columns[i] = csv_column(&parser->csv, names[i]);
        if (i < 4 && *columns[i] < 0)
            return error_set(parser->error, ERR_INPUT, tr("%s:1: column %s is missing", "%s:1: 缺少列 %s"), parser->name, names[i]);
    }
    return OK;
}

// Codes are opaque, but they stand in addresses, file names and commands.
static bool code_valid(const char *code)
{
    size_t size = strlen(code);
    return size >= 1 && size <= UNIT_CODE_MAX && strspn(code, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._-") == size;
}

static bool tier_valid(const char *tier)
{
    size_t size = strlen(tier);
    return size >= 1 && size <= TIER_NAME_MAX && *tier >= 'a' && *tier <= 'z' &&
           strspn(tier, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
}

static bool name_valid(const char *name)
{
    size_t size = strlen(name);
    return size >= 1 && size <= UNIT_NAME_MAX && text_plain(bytes_of(name, size));
}

#define FAIL(column, ...) csv_fail(&parser->csv, (uint32_t)(column), ERR_INPUT, parser->error, __VA_ARGS__)

static enum error_code read_optional(struct parser *parser, struct unit *unit)
{
    unit->counted = true;
    if (parser->counted >= 0) {
        const char *text = csv_text(&parser->csv, (uint32_t)parser->counted);
        if (*text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
            return FAIL(parser->counted, tr("write true or false", "请写 true 或 false"));
        unit->counted = strcmp(text, "false") != 0;
    }
    if (parser->from >= 0) {
        const char *text = csv_text(&parser->csv, (uint32_t)parser->from);
        int32_t days = 0;
        if (*text && (!civil_parse(text, &days) || days < 0))
            return FAIL(parser->from, tr("not a date from 1970-01-01 on; write 2023-01-31, or leave it empty for since ever",
                                         "不是 1970-01-01 以后的日期；请写作 2023-01-31，一直存在则留空"));
        unit->from = (uint32_t)days;
    }
    return OK;
}

static enum error_code read_row(struct parser *parser, struct row *row)
{
    const char *code = csv_text(&parser->csv, (uint32_t)parser->code), *name = csv_text(&parser->csv, (uint32_t)parser->label);
    const char *tier = csv_text(&parser->csv, (uint32_t)parser->tier), *parent = csv_text(&parser->csv, (uint32_t)parser->parent);
    if (!code_valid(code))
        return FAIL(parser->code, tr("a code has 1 to 32 letters, digits, dots, dashes or underscores",
                                     "代码须为 1 至 32 个字母、数字、点、横线或下划线"));
    if (!name_valid(name))
        return FAIL(parser->label, tr("a name has 1 to 128 bytes and no control characters or direction marks",
                                      "名称须为 1 至 128 字节，且不含控制字符或方向标记"));
    if (!tier_valid(tier))
        return FAIL(parser->tier, tr("a tier is 1 to 32 small letters, digits and underscores, a letter first",
                                     "层级须为 1 至 32 个小写字母、数字或下划线，以字母开头"));
    if (*parent && !code_valid(parent))
        return FAIL(parser->parent, tr("a code has 1 to 32 letters, digits, dots, dashes or underscores",
                                       "代码须为 1 至 32 个字母、数字、点、横线或下划线"));
    *row = (struct row){.line = parser->csv.line, .parent = UNIT_NONE, .first_child = UNIT_NONE, .next_sibling = UNIT_NONE};
    strcpy(row->unit.code, code);
    strcpy(row->unit.name, name);
    strcpy(row->tier, tier);
    strcpy(row->parent_code, parent);
    return read_optional(parser, &row->unit);
}

static enum error_code no_memory(struct parser *parser)
{
    return error_set(parser->error, ERR_MEMORY, tr("%s: no memory to read it", "%s：内存不足，无法读取"), parser->name);
}

static enum error_code read_rows(struct parser *parser)
{
    enum error_code code = csv_header(&parser->csv, parser->error);
    if (code == OK)
        code = find_columns(parser);
    while (code == OK && csv_next(&parser->csv, parser->error)) {
        if (parser->count == UNITS_MAX)
            return csv_fail(&parser->csv, UINT32_MAX, ERR_LIMIT, parser->error, tr("more than %d units", "超过 %d 个单位"), UNITS_MAX);
        if (parser->count == parser->capacity) {
            int32_t capacity = parser->capacity ? parser->capacity * 2 : 256;
            struct row *rows = realloc(parser->rows, (size_t)capacity * sizeof *rows);
            if (!rows)
                return no_memory(parser);
            parser->rows = rows;
            parser->capacity = capacity;
        }
        code = read_row(parser, &parser->rows[parser->count]);
        parser->count += code == OK;
    }
    return code != OK ? code : parser->csv.code;
}

// ---- the tree

static int compare_codes(const void *a, const void *b, void *context)
{
    const struct row *rows = context;
    return strcmp(rows[*(const int32_t *)a].unit.code, rows[*(const int32_t *)b].unit.code);
}

static int32_t find_row(const struct parser *parser, const char *code)
{
    int32_t low = 0, high = parser->count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2, row = parser->by_code[middle];
        int order = strcmp(parser->rows[row].unit.code, code);
        if (order == 0)
            return row;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return UNIT_NONE;
}

static enum error_code sort_codes(struct parser *parser)
{
    parser->by_code = malloc((size_t)parser->count * sizeof *parser->by_code);
    if (!parser->by_code)
        return no_memory(parser);
    for (int32_t i = 0; i < parser->count; i++)
        parser->by_code[i] = i;
    qsort_r(parser->by_code, (size_t)parser->count, sizeof *parser->by_code, compare_codes, parser->rows);
    for (int32_t i = 1; i < parser->count; i++) {
        const struct row *a = &parser->rows[parser->by_code[i - 1]], *b = &parser->rows[parser->by_code[i]];
        if (strcmp(a->unit.code, b->unit.code) == 0) {
            const struct row *first = a->line < b->line ? a : b, *second = first == a ? b : a;
            return error_set(parser->error, ERR_INPUT, tr("%s:%u: code: %s is already in line %u", "%s:%u: code: %s 已在第 %u 行出现"),
                             parser->name, second->line, second->unit.code, first->line);
        }
    }
    return OK;
}

// Finds each row's parent and hangs it there; children in the order of the file. Returns the root in `ret_root`.
static enum error_code link_rows(struct parser *parser, int32_t *ret_root)
{
    int32_t root = UNIT_NONE;
    for (int32_t i = parser->count - 1; i >= 0; i--) {
        struct row *row = &parser->rows[i];
        if (*row->parent_code) {
            row->parent = find_row(parser, row->parent_code);
            if (row->parent == UNIT_NONE)
                return error_set(parser->error, ERR_INPUT,
                                 tr("%s:%u: parent_code: no unit has the code %s", "%s:%u: parent_code: 没有代码为 %s 的单位"),
                                 parser->name, row->line, row->parent_code);
            row->next_sibling = parser->rows[row->parent].first_child;
            parser->rows[row->parent].first_child = i;
        } else if (root != UNIT_NONE) {
            return error_set(parser->error, ERR_INPUT,
                             tr("%s:%u: parent_code: a second root: line %u has no parent either",
                                "%s:%u: parent_code: 出现第二个根单位：第 %u 行也没有上级"),
                             parser->name, parser->rows[root].line, row->line);
        } else {
            root = i;
        }
    }
    if (root == UNIT_NONE)
        return error_set(parser->error, ERR_INPUT,
                         tr("%s: no root: one unit must have an empty parent_code", "%s：没有根单位：须有一个单位的 parent_code 为空"),
                         parser->name);
    *ret_root = root;
    return OK;
}

static enum error_code place_tier(struct parser *parser, struct units *units, const struct row *row, uint16_t *ret)
{
    int tier = units_tier(units, row->tier);
    if (tier < 0) {
        if (units->tier_count == TIERS_MAX)
            return error_set(parser->error, ERR_INPUT, tr("%s:%u: tier: more than %d tiers", "%s:%u: tier: 超过 %d 个层级"), parser->name,
                             row->line, TIERS_MAX);
        tier = units->tier_count++;
        strcpy(units->tiers[tier], row->tier);
    }
    *ret = (uint16_t)tier;
    return OK;
}

// Preorder without recursion: down to the first child, else right, else up until there is a right.
static enum error_code place_rows(struct parser *parser, struct units *units, int32_t root)
{
    int32_t path[DEPTH_MAX], depth = 0, at = root;
    while (at != UNIT_NONE) {
        struct row *row = &parser->rows[at];
        struct unit *unit = &units->items[units->count];
        if (depth == DEPTH_MAX)
            return error_set(parser->error, ERR_INPUT,
                             tr("%s:%u: parent_code: deeper than %d tiers", "%s:%u: parent_code: 层级深度超过 %d"), parser->name, row->line,
                             DEPTH_MAX);
        *unit = row->unit;
        unit->depth = (uint16_t)depth;
        unit->parent = depth ? path[depth - 1] : UNIT_NONE;
        unit->first_child = row->first_child == UNIT_NONE ? UNIT_NONE : units->count + 1;
        enum error_code code = place_tier(parser, units, row, &unit->tier);
        if (code != OK)
            return code;
        row->placed = true;
        path[depth++] = units->count++;
        for (int32_t next = row->first_child; (at = next) == UNIT_NONE && depth > 0;) {
            struct unit *done = &units->items[path[--depth]];
            next = row->next_sibling;
            done->subtree_end = units->count;
            done->next_sibling = next == UNIT_NONE ? UNIT_NONE : units->count;
            row = row->parent == UNIT_NONE ? row : &parser->rows[row->parent];
        }
    }
    return OK;
}

// Rows that hang on no root hang on a ring.
static enum error_code refuse_loops(struct parser *parser)
{
    for (int32_t i = 0; i < parser->count; i++) {
        if (parser->rows[i].placed)
            continue;
        int32_t at = i;
        for (int32_t steps = 0; steps < parser->count; steps++)
            at = parser->rows[at].parent; // ends up inside the ring
        for (int32_t end = at, next = parser->rows[at].parent; next != end; next = parser->rows[next].parent)
            at = next < at ? next : at; // the first of it in the file
        const struct row *row = &parser->rows[at];
        return error_set(parser->error, ERR_INPUT,
                         tr("%s:%u: parent_code: a loop: %s lies below itself", "%s:%u: parent_code: 形成循环：%s 成了自己的下级"),
                         parser->name, row->line, row->unit.code);
    }
    return OK;
}

static int compare_units(const void *a, const void *b, void *context)
{
    const struct unit *items = context;
    return strcmp(items[*(const int32_t *)a].code, items[*(const int32_t *)b].code);
}

static enum error_code build(struct parser *parser, struct units *units)
{
    int32_t root = UNIT_NONE;
    enum error_code code = sort_codes(parser);
    if (code == OK)
        code = link_rows(parser, &root);
    if (code != OK)
        return code;
    units->items = calloc((size_t)parser->count, sizeof *units->items);
    units->tiers = calloc(TIERS_MAX, sizeof *units->tiers);
    units->by_code = malloc((size_t)parser->count * sizeof *units->by_code);
    if (!units->items || !units->tiers || !units->by_code)
        return no_memory(parser);
    code = place_rows(parser, units, root);
    if (code == OK)
        code = refuse_loops(parser);
    if (code != OK)
        return code;
    for (int32_t i = 0; i < units->count; i++)
        units->by_code[i] = i;
    qsort_r(units->by_code, (size_t)units->count, sizeof *units->by_code, compare_units, units->items);
    return OK;
}

enum error_code units_parse(struct bytes csv, const char *name, struct units **ret, struct error *error)
{
    if (csv.size > DOCUMENT_MAX)
        return error_set(error, ERR_LIMIT, tr("%s: larger than 8 MiB", "%s：超过 8 MiB"), name);
    struct parser parser = {.name = name, .error = error};
    struct units *units = calloc(1, sizeof *units);
    if (!units)
        return error_set(error, ERR_MEMORY, tr("%s: no memory to read it", "%s：内存不足，无法读取"), name);
    enum error_code code = csv_init(&parser.csv, csv, name, error);
    if (code == OK)
        code = read_rows(&parser);
    if (code == OK)
        code = build(&parser, units);
    csv_finish(&parser.csv);
    free(parser.rows);
    free(parser.by_code);
    if (code != OK) {
        units_destroy(units);
        return code;
    }
    units->hash = crypto_hash(TAG_DOCUMENT, csv);
    *ret = units;
    return OK;
}

void units_destroy(struct units *units)
{
    if (!units)
        return;
    free(units->items);
    free(units->tiers);
    free(units->by_code);
    free(units);
}

int32_t units_find(const struct units *units, const char *code)
{
    int32_t low = 0, high = units->count;
    while (low < high) {
        int32_t middle = low + (high - low) / 2, unit = units->by_code[middle];
        int order = strcmp(units->items[unit].code, code);
        if (order == 0)
            return unit;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return UNIT_NONE;
}

int32_t units_find_near(const struct units *units, int32_t guess, const char *code)
{
    return guess != UNIT_NONE && strcmp(units->items[guess].code, code) == 0 ? guess : units_find(units, code);
}

int32_t units_tier(const struct units *units, const char *tier)
{
    for (int32_t i = 0; i < units->tier_count; i++)
        if (strcmp(units->tiers[i], tier) == 0)
            return i;
    return -1;
}
