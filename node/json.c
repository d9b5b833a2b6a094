#include "node/json.h"

#include <assert.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/utf8.h"
#include "relay/language.h"

// Values in the order of the text, parents before children: the first child of value i is i + 1, its next sibling i + span.
struct json {
    uint8_t kind;
    bool last; // no sibling after it
    bool is_whole, is_scaled, truth;
    uint32_t line, column, count, span;
    const char *name; // of a member; belongs to the tree
    union {
        const char *text; // belongs to the tree
        struct {
            int64_t whole, scaled;
        };
        size_t offset; // while scanning: where the value begins
    };
};

struct json_document {
    char name[128];
    json_t *tree;
    struct json *values;
    uint32_t count, capacity;
};

// ---- numbers

struct digits {
    bool negative;
    uint64_t value; // significant digits, without zeros at the end
    int exponent;   // times ten to the
};

static const char *read_exponent(const char *p, const char *end, int *exponent)
{
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
        p++;
    const char *begin = p;
    int value = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        value = value < 10000 ? value * 10 + (*p - '0') : value; // beyond that no number fits anyway
    *exponent += negative ? -value : value;
    return p > begin ? p : NULL;
}

static bool add_digit(uint64_t *value, unsigned digit)
{
    return !__builtin_mul_overflow(*value, 10, value) && !__builtin_add_overflow(*value, digit, value);
}

// Reads a number from its text; NULL: not one, or more digits than 64 bits hold. Else where it ends.
static const char *read_digits(const char *p, const char *end, struct digits *ret)
{
    struct digits digits = {.negative = p < end && *p == '-'};
    p += digits.negative;
    size_t zeros = 0, seen = 0; // zeros are held back until another digit follows them
    bool fraction = false;
    for (; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !fraction && seen)); p++) {
        if (*p == '.') {
            fraction = true;
            seen = 0;
            continue;
        }
        seen++;
        digits.exponent -= fraction;
        if (*p == '0') {
            zeros += digits.value != 0;
            continue;
        }
        for (; zeros > 0; zeros--)
            if (!add_digit(&digits.value, 0))
                return NULL;
        if (!add_digit(&digits.value, (unsigned)(*p - '0')))
            return NULL;
    }
    if (!seen)
        return NULL;
    digits.exponent += (int)zeros;
    if (p < end && (*p == 'e' || *p == 'E'))
        p = read_exponent(p + 1, end, &digits.exponent);
    *ret = digits;
    return p;
}

// value * 10^(exponent + scale), when that is a whole number of 63 bits.
static bool scale_digits(const struct digits *digits, int scale, int64_t *ret)
{
    uint64_t value = digits->value;
    int exponent = digits->exponent + scale;
    if (value != 0 && exponent < 0)
        return false;
    for (; value != 0 && exponent > 0; exponent--)
        if (__builtin_mul_overflow(value, 10, &value))
            return false;
    if (value > INT64_MAX)
        return false;
    *ret = digits->negative ? -(int64_t)value : (int64_t)value;
    return true;
}

bool json_scaled_parse(const char *text, int64_t *ret)
{
    struct digits digits;
    const char *end = text + strlen(text);
    return read_digits(text, end, &digits) == end && scale_digits(&digits, 4, ret);
}

// ---- where each value begins: a scan that is right for valid JSON and bounded for any bytes

struct scan {
    struct json_document *document;
    const char *p;
    size_t size, at;
    uint32_t line, column, depth;
    uint64_t maps; // bit per level
    bool key;      // a string here is a member's name
};

static enum error_code limit(const struct scan *scan, struct error *error, const char *why)
{
    return error_set(error, ERR_LIMIT, "%s:%" PRIu32 ":%" PRIu32 ": %s", scan->document->name, scan->line, scan->column, why);
}

static void step(struct scan *scan)
{
    char c = scan->p[scan->at++];
    if (c == '\n') {
        scan->line++;
        scan->column = 1;
    } else if (((uint8_t)c & 0xC0) != 0x80) {
        scan->column++;
    }
}

static enum error_code add_value(struct scan *scan, struct error *error)
{
    struct json_document *document = scan->document;
    if (document->count == JSON_VALUES_MAX)
        return limit(scan, error, tr("more than 2,000,000 values: divide the file", "超过 2,000,000 个值：请拆分文件"));
    if (document->count == document->capacity) {
        uint32_t capacity = document->capacity ? document->capacity * 2 : 64;
        struct json *values = realloc(document->values, capacity * sizeof *values);
        if (!values)
            return error_set(error, ERR_MEMORY, tr("%s: no memory to read it", "%s：内存不足，无法读取"), document->name);
        document->values = values;
        document->capacity = capacity;
    }
    document->values[document->count++] = (struct json){.line = scan->line, .column = scan->column, .offset = scan->at};
    return OK;
}

static void skip_string(struct scan *scan)
{
    step(scan);
    while (scan->at < scan->size && scan->p[scan->at] != '"') {
        if (scan->p[scan->at] == '\\' && scan->at + 1 < scan->size)
            step(scan);
        step(scan);
    }
    if (scan->at < scan->size)
        step(scan);
}

static bool in_word(char c) { return c && strchr("+-.0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", c); }

static enum error_code scan_token(struct scan *scan, struct error *error)
{
    char c = scan->p[scan->at];
    enum error_code code = OK;
    if (c == '{' || c == '[') {
        if (scan->depth == JSON_DEPTH_MAX)
            return limit(scan, error, tr("nested deeper than 32 levels", "嵌套超过 32 层"));
        code = add_value(scan, error);
        scan->maps = (scan->maps & ~(UINT64_C(1) << scan->depth)) | (uint64_t)(c == '{') << scan->depth;
        scan->depth++;
        scan->key = c == '{';
        step(scan);
    } else if (c == '"') {
        if (!scan->key)
            code = add_value(scan, error);
        skip_string(scan);
    } else if (in_word(c)) {
        code = add_value(scan, error);
        while (scan->at < scan->size && in_word(scan->p[scan->at]))
            step(scan);
    } else {
        if ((c == '}' || c == ']') && scan->depth > 0)
            scan->depth--;
        scan->key = c == ',' && scan->depth > 0 && (scan->maps >> (scan->depth - 1) & 1);
        step(scan);
    }
    return code;
}

static enum error_code scan_values(struct json_document *document, struct bytes text, struct error *error)
{
    struct scan scan = {.document = document, .p = (const char *)text.data, .size = text.size, .line = 1, .column = 1};
    while (scan.at < scan.size) {
        char c = scan.p[scan.at];
        if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
            step(&scan);
            continue;
        }
        enum error_code code = scan_token(&scan, error);
        if (code != OK)
            return code;
    }
    return OK;
}

// ---- the values, filled in from the parser's tree, which keeps the order of the text

static void fill_number(struct json *value, struct bytes text)
{
    struct digits digits;
    const char *p = (const char *)text.data + value->offset;
    bool read = read_digits(p, (const char *)text.data + text.size, &digits) != NULL;
    int64_t whole = 0, scaled = 0;
    value->is_whole = read && scale_digits(&digits, 0, &whole);
    value->is_scaled = read && scale_digits(&digits, 4, &scaled);
    value->whole = whole;
    value->scaled = scaled;
}

static void fill(struct json_document *document, struct bytes text, json_t *node, const char *name, uint32_t *at)
{
    assert(*at < document->count);
    struct json *value = &document->values[(*at)++], *child = NULL;
    uint32_t begin = *at - 1;
    value->name = name;
    if (json_is_object(node)) {
        const char *key;
        json_t *member;
        value->kind = JSON_KIND_MAP;
        value->count = (uint32_t)json_object_size(node);
        json_object_foreach(node, key, member)
        {
            child = &document->values[*at];
            fill(document, text, member, key, at);
        }
    } else if (json_is_array(node)) {
        value->kind = JSON_KIND_LIST;
        value->count = (uint32_t)json_array_size(node);
        for (size_t i = 0; i < json_array_size(node); i++) {
            child = &document->values[*at];
            fill(document, text, json_array_get(node, i), NULL, at);
        }
    } else if (json_is_string(node)) {
        value->kind = JSON_KIND_TEXT;
        value->text = json_string_value(node);
    } else if (json_is_number(node)) {
        value->kind = JSON_KIND_NUMBER;
        fill_number(value, text);
    } else if (json_is_boolean(node)) {
        value->kind = JSON_KIND_TRUTH;
        value->truth = json_is_true(node);
    }
    if (child)
        child->last = true;
    value->span = *at - begin;
}

static enum error_code refuse(const char *name, const json_error_t *problem, struct error *error)
{
    const char *near = strstr(problem->text, "near '"), *why;
    switch (json_error_code(problem)) {
    case json_error_out_of_memory:
        return error_set(error, ERR_MEMORY, tr("%s: no memory to read it", "%s：内存不足，无法读取"), name);
    case json_error_duplicate_key:
        why = tr("the same name twice in one object", "同一对象中名称重复");
        break;
    case json_error_premature_end_of_input:
        why = tr("the text ends too early: a bracket or quote is open", "文本不完整：有未闭合的括号或引号");
        break;
    case json_error_end_of_input_expected:
        why = tr("text after the end of the value", "值结束之后还有内容");
        break;
    case json_error_invalid_utf8:
        why = tr("not UTF-8: save the file as UTF-8", "不是 UTF-8 编码：请将文件另存为 UTF-8");
        near = NULL;
        break;
    case json_error_null_character:
    case json_error_null_byte_in_key:
        why = tr("a NUL character", "含有 NUL 字符");
        near = NULL;
        break;
    case json_error_numeric_overflow:
        why = tr("the number is too large", "数字过大");
        break;
    default:
        why = tr("not JSON", "不是有效的 JSON");
        break;
    }
    int line = problem->line > 0 ? problem->line : 1, column = problem->column > 0 ? problem->column : 1;
    return error_set(error, ERR_INPUT, "%s:%d:%d: %s%s%s", name, line, column, why, near ? " " : "", near ? near : "");
}

enum error_code json_parse(struct bytes text, const char *name, struct json_document **ret, struct error *error)
{
    if (text.size > JSON_SIZE_MAX)
        return error_set(error, ERR_LIMIT, tr("%s: larger than 64 MiB: divide the file", "%s：超过 64 MiB：请拆分文件"), name);
    if (text.size >= 3 && memcmp(text.data, "\xEF\xBB\xBF", 3) == 0)
        text = bytes_of(text.data + 3, text.size - 3);
    struct json_document *document = calloc(1, sizeof *document);
    if (!document)
        return error_set(error, ERR_MEMORY, tr("%s: no memory to read it", "%s：内存不足，无法读取"), name);
    memcpy(document->name, name, utf8_cut(name, sizeof document->name - 1));
    enum error_code code = scan_values(document, text, error);
    if (code == OK) {
        json_error_t problem;
        document->tree = json_loadb(text.size ? (const char *)text.data : "", text.size, JSON_REJECT_DUPLICATES, &problem);
        if (!document->tree)
            code = refuse(document->name, &problem, error);
    }
    if (code != OK) {
        json_destroy(document);
        return code;
    }
    uint32_t at = 0;
    fill(document, text, document->tree, NULL, &at);
    assert(at == document->count);
    document->values[0].last = true;
    *ret = document;
    return OK;
}

void json_destroy(struct json_document *document)
{
    if (!document)
        return;
    if (document->tree)
        json_decref(document->tree);
    free(document->values);
    free(document);
}

// ---- reading

const struct json *json_root(const struct json_document *document) { return document->values; }

enum json_kind json_kind(const struct json *value) { return value ? value->kind : JSON_KIND_NONE; }

size_t json_count(const struct json *value) { return value ? value->count : 0; }

const struct json *json_first(const struct json *value) { return value && value->count ? value + 1 : NULL; }

const struct json *json_next(const struct json *value) { return value && !value->last ? value + value->span : NULL; }

const char *json_name(const struct json *value) { return value ? value->name : NULL; }

const struct json *json_get(const struct json *map, const char *name)
{
    if (json_kind(map) != JSON_KIND_MAP)
        return NULL;
    const struct json *member = json_first(map);
    while (member && strcmp(member->name, name) != 0)
        member = json_next(member);
    return member;
}

const char *json_text(const struct json *value) { return json_kind(value) == JSON_KIND_TEXT ? value->text : NULL; }

bool json_truth(const struct json *value, bool *ret)
{
    if (json_kind(value) != JSON_KIND_TRUTH)
        return false;
    *ret = value->truth;
    return true;
}

bool json_whole(const struct json *value, int64_t *ret)
{
    if (json_kind(value) != JSON_KIND_NUMBER || !value->is_whole)
        return false;
    *ret = value->whole;
    return true;
}

bool json_scaled(const struct json *value, int64_t *ret)
{
    if (json_kind(value) != JSON_KIND_NUMBER || !value->is_scaled)
        return false;
    *ret = value->scaled;
    return true;
}

enum error_code json_fail(const struct json_document *document, const struct json *value, enum error_code code, struct error *error,
                          const char *format, ...)
{
    char why[400];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return error_set(error, code, "%s:%" PRIu32 ":%" PRIu32 ": %s%s%s", document->name, value->line, value->column,
                     value->name ? value->name : "", value->name ? ": " : "", why);
}
