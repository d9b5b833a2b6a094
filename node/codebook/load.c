// The only file that knows libcyaml: the shape of the YAML as its schema, and its log turned into our errors.
#include "node/codebook/raw.h"

#include <cyaml/cyaml.h>
#include <stdio.h>

#include "relay/language.h"

// Every key is optional here: what is missing is said better by the file that needs it. Every scalar is a text.
#define TEXT(type, member) CYAML_FIELD_STRING_PTR(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, 0, CYAML_UNLIMITED)
#define TEXTS(type, member) CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, &text, 0, CYAML_UNLIMITED)
#define MANY(type, member, of) CYAML_FIELD_SEQUENCE(#member, CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, type, member, of, 0, CYAML_UNLIMITED)
#define NOUN(type, fields)                                                                                                                 \
    {                                                                                                                                      \
        CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, type, fields)                                                                              \
    }

static const cyaml_schema_value_t text = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER, char *, 0, CYAML_UNLIMITED)};

// clang-format off
static const cyaml_schema_field_t header_fields[] = {
    TEXT(struct raw_header, id), TEXT(struct raw_header, version), TEXT(struct raw_header, grammar), TEXT(struct raw_header, tz),
    TEXT(struct raw_header, base), TEXTS(struct raw_header, tiers), TEXT(struct raw_header, zh), TEXT(struct raw_header, en), CYAML_FIELD_END};

static const cyaml_schema_field_t role_fields[] = {
    TEXT(struct raw_role, id), TEXT(struct raw_role, tier), TEXT(struct raw_role, zh), TEXT(struct raw_role, en), CYAML_FIELD_END};
static const cyaml_schema_value_t role = NOUN(struct raw_role, role_fields);

static const cyaml_schema_field_t attr_fields[] = {
    TEXT(struct raw_attr, id), TEXT(struct raw_attr, type), TEXT(struct raw_attr, of), CYAML_FIELD_END};
static const cyaml_schema_value_t attr = NOUN(struct raw_attr, attr_fields);
static const cyaml_schema_field_t item_fields[] = {
    TEXT(struct raw_item, id), TEXT(struct raw_item, zh), TEXT(struct raw_item, en), TEXTS(struct raw_item, set),
    TEXT(struct raw_item, until), TEXT(struct raw_item, becomes), CYAML_FIELD_END};
static const cyaml_schema_value_t item = NOUN(struct raw_item, item_fields);
static const cyaml_schema_field_t list_fields[] = {
    TEXT(struct raw_list, id), TEXT(struct raw_list, zh), TEXT(struct raw_list, en), MANY(struct raw_list, attrs, &attr),
    MANY(struct raw_list, items, &item), CYAML_FIELD_END};
static const cyaml_schema_value_t list = NOUN(struct raw_list, list_fields);

static const cyaml_schema_field_t prop_fields[] = {
    TEXT(struct raw_prop, id), TEXT(struct raw_prop, type), TEXT(struct raw_prop, of), TEXT(struct raw_prop, many),
    TEXT(struct raw_prop, personal), TEXT(struct raw_prop, zh), TEXT(struct raw_prop, en), CYAML_FIELD_END};
static const cyaml_schema_value_t prop = NOUN(struct raw_prop, prop_fields);
static const cyaml_schema_field_t band_fields[] = {
    TEXT(struct raw_band, id), TEXT(struct raw_band, of), TEXT(struct raw_band, in), TEXTS(struct raw_band, at),
    TEXT(struct raw_band, zh), TEXT(struct raw_band, en), CYAML_FIELD_END};
static const cyaml_schema_value_t band = NOUN(struct raw_band, band_fields);
static const cyaml_schema_field_t register_fields[] = {
    TEXT(struct raw_register, id), TEXT(struct raw_register, zh), TEXT(struct raw_register, en), TEXT(struct raw_register, custody),
    TEXT(struct raw_register, dedupe), TEXT(struct raw_register, tag_key), MANY(struct raw_register, props, &prop),
    MANY(struct raw_register, bands, &band), CYAML_FIELD_END};
static const cyaml_schema_value_t reg = NOUN(struct raw_register, register_fields);

static const cyaml_schema_field_t section_fields[] = {
    TEXT(struct raw_section, id), TEXTS(struct raw_section, tiers), TEXTS(struct raw_section, roles), CYAML_FIELD_END};
static const cyaml_schema_value_t section = NOUN(struct raw_section, section_fields);
static const cyaml_schema_field_t field_fields[] = {
    TEXT(struct raw_field, id), TEXT(struct raw_field, type), TEXT(struct raw_field, of), TEXT(struct raw_field, many),
    TEXT(struct raw_field, max), TEXT(struct raw_field, section), TEXT(struct raw_field, keep), TEXT(struct raw_field, personal),
    TEXT(struct raw_field, need), TEXT(struct raw_field, show), TEXT(struct raw_field, check), TEXT(struct raw_field, calc),
    TEXT(struct raw_field, zh), TEXT(struct raw_field, en), CYAML_FIELD_END};
static const cyaml_schema_value_t field = NOUN(struct raw_field, field_fields);
static const cyaml_schema_field_t form_fields[] = {
    TEXT(struct raw_form, id), TEXT(struct raw_form, zh), TEXT(struct raw_form, en), TEXT(struct raw_form, about),
    TEXT(struct raw_form, at), TEXT(struct raw_form, lane), TEXT(struct raw_form, receipt_within), TEXT(struct raw_form, decided_by),
    MANY(struct raw_form, sections, &section), MANY(struct raw_form, fields, &field), CYAML_FIELD_END};
static const cyaml_schema_value_t form = NOUN(struct raw_form, form_fields);

static const cyaml_schema_field_t indicator_fields[] = {
    TEXT(struct raw_indicator, id), TEXT(struct raw_indicator, kind), TEXT(struct raw_indicator, of), TEXT(struct raw_indicator, where),
    TEXT(struct raw_indicator, value), TEXTS(struct raw_indicator, by), TEXTS(struct raw_indicator, every),
    TEXT(struct raw_indicator, count), TEXT(struct raw_indicator, num), TEXT(struct raw_indicator, den),
    TEXT(struct raw_indicator, stated_by), TEXT(struct raw_indicator, for_tier), TEXT(struct raw_indicator, level),
    TEXT(struct raw_indicator, group), TEXT(struct raw_indicator, zh), TEXT(struct raw_indicator, en), CYAML_FIELD_END};
static const cyaml_schema_value_t indicator = NOUN(struct raw_indicator, indicator_fields);

static const cyaml_schema_field_t top_fields[] = {
    CYAML_FIELD_MAPPING_PTR("codebook", CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, struct raw, codebook, header_fields),
    MANY(struct raw, roles, &role), MANY(struct raw, lists, &list), MANY(struct raw, registers, &reg), MANY(struct raw, forms, &form),
    MANY(struct raw, indicators, &indicator), CYAML_FIELD_END};
static const cyaml_schema_value_t top = {CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct raw, top_fields)};
// clang-format on

// What the library said of its first error. Its backtrace comes from the inside out.
struct complaint {
    char what[96], key[64];
    char path[YAML_PATH_MAX];
    bool filled;
};

static void prepend(struct complaint *complaint, const char *part)
{
    char longer[YAML_PATH_MAX];
    const char *dot = complaint->path[0] && complaint->path[0] != '[' ? "." : "";
    if (snprintf(longer, sizeof longer, "%s%s%s", part, dot, complaint->path) < (int)sizeof longer)
        memcpy(complaint->path, longer, sizeof longer);
}

static void trace(struct complaint *complaint, const char *format, va_list args)
{
    char part[64];
    if (strstr(format, "mapping field '%s'")) {
        snprintf(part, sizeof part, "%s", va_arg(args, const char *));
        prepend(complaint, part);
    } else if (strstr(format, "sequence entry '%u'")) {
        snprintf(part, sizeof part, "[%u]", va_arg(args, unsigned) - 1);
        prepend(complaint, part);
    }
}

static const char *kind_text(const char *kind)
{
    if (strncmp(kind, "SEQUENCE", 8) == 0)
        return tr("a sequence", "序列");
    if (strncmp(kind, "MAPPING", 7) == 0)
        return tr("a mapping", "映射");
    return tr("a text", "文本");
}

static void listen(cyaml_log_t level, void *context, const char *format, va_list args)
{
    struct complaint *complaint = context;
    if (level < CYAML_LOG_ERROR)
        return;
    if (strncmp(format, "  in ", 5) == 0) {
        trace(complaint, format, args);
        return;
    }
    if (complaint->filled || strstr(format, "Backtrace"))
        return;
    complaint->filled = true;
    if (strstr(format, "Unexpected key"))
        snprintf(complaint->key, sizeof complaint->key, "%.60s", va_arg(args, const char *));
    else if (strstr(format, "Expecting %s, got event: %s")) {
        const char *wanted = kind_text(va_arg(args, const char *));
        const char *got = kind_text(va_arg(args, const char *));
        snprintf(complaint->what, sizeof complaint->what, tr("expected %s here, not %s", "此处应为%s，而不是%s"), wanted, got);
    } else {
        vsnprintf(complaint->what, sizeof complaint->what, format, args);
        complaint->what[strcspn(complaint->what, "\n")] = 0;
    }
}

// The keys that the mapping at `path` may have.
static const cyaml_schema_field_t *keys_at(const char *path)
{
    const cyaml_schema_field_t *fields = top_fields;
    for (const char *p = path; *p;) {
        size_t size = strcspn(p, ".[");
        const cyaml_schema_field_t *found = fields;
        while (found->key && !(strlen(found->key) == size && strncmp(found->key, p, size) == 0))
            found++;
        if (!found->key)
            break;
        const cyaml_schema_value_t *value = &found->value;
        if (value->type == CYAML_SEQUENCE)
            value = value->sequence.entry;
        if (value->type != CYAML_MAPPING)
            break;
        fields = value->mapping.fields;
        p += size;
        if (*p == '[')
            p += strcspn(p, "]") + 1;
        p += *p == '.';
    }
    return fields;
}

static enum error_code unknown_key(const struct complaint *complaint, const struct prepass *places, const char *name, struct error *error)
{
    char path[YAML_PATH_MAX + 80], allowed[256];
    size_t size = 0;
    for (const cyaml_schema_field_t *key = keys_at(complaint->path); key->key && size < sizeof allowed; key++)
        size += (size_t)snprintf(allowed + size, sizeof allowed - size, "%s%s", size ? ", " : "", key->key);
    const char *dot = complaint->path[0] ? "." : "";
    snprintf(path, sizeof path, "%s%s%s", complaint->path, dot, complaint->key);
    struct place at = prepass_key_place(places, path);
    return error_set(error, ERR_INPUT,
                     tr("%s:%u:%u: %s: unknown key '%s'; expected one of: %s", "%s:%u:%u: %s：未知的键 '%s'；应为其中之一：%s"), name,
                     at.line, at.column, path, complaint->key, allowed);
}

static cyaml_config_t config_of(struct complaint *complaint)
{
    return (cyaml_config_t){
        .log_fn = listen, .log_ctx = complaint, .mem_fn = cyaml_mem, .log_level = CYAML_LOG_ERROR, .flags = CYAML_CFG_NO_ALIAS};
}

enum error_code raw_load(struct bytes yaml, const struct prepass *places, const char *name, struct raw **ret, struct error *error)
{
    struct complaint complaint = {.filled = false};
    cyaml_config_t config = config_of(&complaint);
    struct raw *raw = NULL;
    cyaml_err_t failed = cyaml_load_data(yaml.data, yaml.size, &config, &top, (cyaml_data_t **)&raw, NULL);
    if (failed == CYAML_OK && raw) {
        *ret = raw;
        return OK;
    }
    // libyaml has read these bytes once, so what it minds now can only be memory
    if (failed == CYAML_ERR_OOM || failed == CYAML_ERR_LIBYAML_PARSER || failed == CYAML_ERR_LIBYAML_PARSER_INIT)
        return error_set(error, ERR_MEMORY, "%s", name);
    if (complaint.key[0])
        return unknown_key(&complaint, places, name, error);
    struct place at = prepass_place(places, complaint.path);
    return error_set(error, ERR_INPUT, "%s:%u:%u: %s%s%s", name, at.line, at.column, complaint.path, complaint.path[0] ? ": " : "",
                     complaint.filled ? complaint.what : cyaml_strerror(failed));
}

void raw_destroy(struct raw *raw)
{
    struct complaint complaint = {.filled = false};
    cyaml_config_t config = config_of(&complaint);
    if (raw)
        cyaml_free(&config, &top, raw, 0);
}
