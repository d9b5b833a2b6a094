#include "node/codebook/loader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "relay/language.h"

size_t loader_enter(struct loader *loader, const char *part, uint32_t index)
{
    size_t mark = loader->path_size;
    int n = snprintf(loader->path + mark, sizeof loader->path - mark, "%s%s[%u]", mark ? "." : "", part, index);
    if (n > 0 && (size_t)n < sizeof loader->path - mark)
        loader->path_size += (size_t)n;
    return mark;
}

void loader_leave(struct loader *loader, size_t mark)
{
    loader->path_size = mark;
    loader->path[mark] = 0;
}

static void say(struct loader *loader, const char *path, const char *what)
{
    struct error error;
    struct place at = prepass_place(loader->places, path);
    error_set(&error, ERR_INPUT, "%s:%u:%u: %s: %s", loader->name, at.line, at.column, path, what);
    if (loader->code == OK) {
        loader->code = error.code;
        if (loader->error)
            *loader->error = error;
    }
    if (loader->report)
        loader->report(loader->context, &error);
}

bool loader_fail(struct loader *loader, const char *leaf, const char *format, ...)
{
    char path[YAML_PATH_MAX + 64], what[440];
    snprintf(path, sizeof path, "%s%s%.60s", loader->path, *leaf && loader->path_size ? "." : "", leaf);
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    say(loader, path, what);
    return false;
}

bool loader_fail_at(struct loader *loader, const char *leaf, uint32_t index, const char *format, ...)
{
    char path[YAML_PATH_MAX + 64], what[440];
    snprintf(path, sizeof path, "%s%s%.40s[%u]", loader->path, loader->path_size ? "." : "", leaf, index);
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    say(loader, path, what);
    return false;
}

void *loader_alloc(struct loader *loader, size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size);
    if (!memory && loader->code != ERR_MEMORY)
        loader->code = error_set(loader->error, ERR_MEMORY, "%s", loader->name);
    return memory;
}

static bool is_id(const char *text)
{
    size_t size = strlen(text);
    return size >= 1 && size <= NAME_MAX_BYTES && text[0] >= 'a' && text[0] <= 'z' &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_") == size;
}

bool loader_id(struct loader *loader, const char *leaf, const char *text, char ret[NAME_MAX_BYTES + 1])
{
    if (!text)
        return loader_fail(loader, leaf, "%s", tr("missing; expected an identifier", "缺少；应为标识符"));
    if (!is_id(text))
        return loader_fail(loader, leaf,
                           tr("'%.40s' is no identifier; expected a small letter, then small letters, digits and _, at most 32 in all",
                              "'%.40s' 不是标识符；应以小写字母开头，后接小写字母、数字和 _，共至多 32 个"),
                           text);
    memcpy(ret, text, strlen(text) + 1);
    return true;
}

static bool label_part(struct loader *loader, const char *leaf, const char *text, char ret[LABEL_MAX_BYTES + 1])
{
    size_t size = strlen(text);
    if (size < 1 || size > LABEL_MAX_BYTES || strpbrk(text, "\n\t"))
        return loader_fail(loader, leaf, tr("expected a label of 1 to %d bytes on one line", "应为 1 至 %d 字节的单行标签"),
                           LABEL_MAX_BYTES);
    memcpy(ret, text, size + 1);
    return true;
}

bool loader_label(struct loader *loader, const char *zh, const char *en, const struct label *fallback, const char *fallback_text,
                  struct label *ret)
{
    if (!zh && !en && fallback) {
        *ret = *fallback;
        return true;
    }
    if (!zh && !en && fallback_text) {
        snprintf(ret->zh, sizeof ret->zh, "%s", fallback_text);
        snprintf(ret->en, sizeof ret->en, "%s", fallback_text);
        return true;
    }
    if (!zh || !en)
        return loader_fail(loader, zh ? "en" : "zh", "%s",
                           tr("missing; a label is needed in both languages, zh and en", "缺少；标签须有 zh 和 en 两种语言"));
    bool good = label_part(loader, "zh", zh, ret->zh);
    return label_part(loader, "en", en, ret->en) && good;
}

bool loader_number(struct loader *loader, const char *leaf, const char *text, int64_t min, int64_t max, int64_t *ret)
{
    int64_t number = 0;
    size_t size = text ? strlen(text) : 0;
    bool good = size >= 1 && size <= 9 && strspn(text, "0123456789") == size && (text[0] != '0' || size == 1);
    for (size_t i = 0; good && i < size; i++)
        number = number * 10 + (text[i] - '0');
    if (!good || number < min || number > max)
        return loader_fail(loader, leaf,
                           tr("'%.40s' will not do; expected a whole number from %lld to %lld, digits only",
                              "'%.40s' 不合要求；应为 %lld 至 %lld 的整数，只用数字"),
                           text ? text : "", (long long)min, (long long)max);
    *ret = number;
    return true;
}

bool loader_truth(struct loader *loader, const char *leaf, const char *text, bool *ret)
{
    if (!text)
        return true;
    bool truth = strcmp(text, "true") == 0;
    if (!truth && strcmp(text, "false") != 0)
        return loader_unknown(loader, leaf, text, "true, false");
    *ret = truth;
    return true;
}

bool loader_count(struct loader *loader, const char *leaf, uint32_t count, uint32_t max)
{
    return count <= max || loader_fail(loader, leaf, tr("%u of them; at most %u", "有 %u 个；至多 %u 个"), count, max);
}

bool loader_unknown(struct loader *loader, const char *leaf, const char *text, const char *known)
{
    if (!text)
        return loader_fail(loader, leaf, tr("missing; expected one of: %s", "缺少；应为其中之一：%s"), known);
    return loader_fail(loader, leaf, tr("unknown '%.40s'; expected one of: %s", "未知的 '%.40s'；应为其中之一：%s"), text, known);
}

// ---- names for messages

static void list_name(char *ret, size_t size, size_t *at, const char *name)
{
    if (*at + strlen(name) + 8 < size)
        *at += (size_t)snprintf(ret + *at, size - *at, "%s%s", *at ? ", " : "", name);
    else if (*at + 5 < size && (*at < 3 || strcmp(ret + *at - 3, "...") != 0))
        *at += (size_t)snprintf(ret + *at, size - *at, " ...");
}

const char *loader_lists(const struct loader *loader, char *ret, size_t size)
{
    size_t at = 0;
    snprintf(ret, size, "%s", "");
    for (int i = 0; i < loader->codebook->list_count; i++)
        list_name(ret, size, &at, loader->codebook->lists[i].id);
    return ret;
}

const char *loader_regs(const struct loader *loader, char *ret, size_t size)
{
    size_t at = 0;
    snprintf(ret, size, "%s", "");
    for (int i = 0; i < loader->codebook->reg_count; i++)
        list_name(ret, size, &at, loader->codebook->regs[i].id);
    return ret;
}

const char *loader_tiers(const struct loader *loader, char *ret, size_t size)
{
    size_t at = 0;
    snprintf(ret, size, "%s", "");
    for (int i = 0; i < loader->codebook->tier_count; i++)
        list_name(ret, size, &at, loader->codebook->tiers[i]);
    return ret;
}

const char *loader_forms(const struct loader *loader, char *ret, size_t size)
{
    size_t at = 0;
    snprintf(ret, size, "%s", "");
    for (int i = 0; i < loader->codebook->form_count; i++)
        list_name(ret, size, &at, loader->codebook->forms[i].id);
    return ret;
}

bool loader_tier(struct loader *loader, const char *leaf, const char *text, int16_t *ret)
{
    char known[200];
    int tier = text ? codebook_tier(loader->codebook, text) : -1;
    if (tier < 0)
        return loader_unknown(loader, leaf, text, loader_tiers(loader, known, sizeof known));
    *ret = (int16_t)tier;
    return true;
}

// ---- types

static const char *const type_names[] = {
    [FIELD_BOOL] = "bool",   [FIELD_INT] = "int",           [FIELD_DECIMAL] = "decimal",   [FIELD_MONEY] = "money",
    [FIELD_DATE] = "date",   [FIELD_INSTANT] = "instant",   [FIELD_DURATION] = "duration", [FIELD_CODE] = "code",
    [FIELD_TEXT] = "text",   [FIELD_REF] = "ref",           [FIELD_UNIT] = "unit",         [FIELD_IDNO] = "idno",
    [FIELD_PHONE] = "phone", [FIELD_POSITION] = "position", [FIELD_FILE] = "file",
};

const char *field_type_name(enum field_type type) { return type_names[type]; }

bool field_type_is_personal(enum field_type type)
{
    return type == FIELD_IDNO || type == FIELD_PHONE || type == FIELD_POSITION || type == FIELD_FILE;
}

static bool read_type(struct loader *loader, const char *text, enum field_type *ret)
{
    char known[200] = "";
    size_t at = 0;
    for (size_t i = 0; i < sizeof type_names / sizeof *type_names; i++) {
        if (text && strcmp(text, type_names[i]) == 0) {
            *ret = (enum field_type)i;
            return true;
        }
        list_name(known, sizeof known, &at, type_names[i]);
    }
    return loader_unknown(loader, "type", text, known);
}

static bool read_of(struct loader *loader, const char *of, struct typed *typed)
{
    char known[200];
    if (typed->type == FIELD_CODE) {
        int list = of ? codebook_list(loader->codebook, of) : -1;
        typed->list = (int16_t)list;
        return list >= 0 || loader_unknown(loader, "of", of, loader_lists(loader, known, sizeof known));
    }
    if (typed->type == FIELD_REF) {
        int reg = of ? codebook_reg(loader->codebook, of) : -1;
        typed->reg = (int16_t)reg;
        return reg >= 0 || loader_unknown(loader, "of", of, loader_regs(loader, known, sizeof known));
    }
    return !of || loader_fail(loader, "of", "%s",
                              tr("only code (a list) and ref (a register) take 'of'", "只有 code（列表）和 ref（登记册）可以有 'of'"));
}

bool loader_type(struct loader *loader, const char *type, const char *of, const char *many, struct typed *ret)
{
    struct typed typed = {.list = -1, .reg = -1};
    int64_t number = 1;
    bool good = read_type(loader, type, &typed.type) && read_of(loader, of, &typed);
    if (good && many) {
        good = loader_number(loader, "many", many, 2, MANY_MAX, &number);
        if (good && typed.type != FIELD_CODE && typed.type != FIELD_REF && typed.type != FIELD_FILE)
            good = loader_fail(loader, "many", "%s", tr("only code, ref and file can be many", "只有 code、ref 和 file 可以有多个"));
    }
    typed.many = (uint8_t)number;
    *ret = typed;
    return good;
}

struct program *loader_compile(struct loader *loader, const char *leaf, const char *text, const struct expr_scope *scope,
                               enum value_type wanted, int list)
{
    struct program *program = NULL;
    struct error why;
    if (!text)
        return NULL;
    enum error_code code = expr_compile(text, scope, wanted, list, &program, NULL, &why);
    if (code == ERR_MEMORY)
        loader->code = error_set(loader->error, ERR_MEMORY, "%s", loader->name);
    else if (code != OK)
        loader_fail(loader, leaf, "%s", why.detail);
    return program;
}
