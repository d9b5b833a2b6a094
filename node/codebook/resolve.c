// From the YAML to the codebook: pre-pass, raw texts, then every noun in its order. Errors of one stage are all reported; the next stage,
// which would only repeat them, is left out.
#include <stdio.h>
#include <stdlib.h>

#include "node/codebook/loader.h"
#include "relay/crypto.h"
#include "relay/language.h"

enum { GRAMMAR = 1, TZ_MINUTES_MAX = 14 * 60 };

static bool read_tz(const char *text, int *ret)
{
    int hours, minutes;
    if (!text || strlen(text) != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' || strspn(text + 1, "0123456789") != 2 ||
        strspn(text + 4, "0123456789") != 2)
        return false;
    hours = (text[1] - '0') * 10 + text[2] - '0';
    minutes = (text[4] - '0') * 10 + text[5] - '0';
    *ret = (text[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
    return minutes < 60 && hours * 60 + minutes <= TZ_MINUTES_MAX;
}

static void resolve_tiers(struct loader *loader, const struct raw_header *raw)
{
    struct codebook *codebook = loader->codebook;
    if (raw->tiers_count == 0)
        loader_fail(loader, "tiers", "%s", tr("missing; expected the tiers, the highest first", "缺少；应为各层级，最高者在前"));
    if (!loader_count(loader, "tiers", raw->tiers_count, DEPTH_MAX))
        return;
    for (uint32_t i = 0; i < raw->tiers_count; i++) {
        char leaf[32];
        snprintf(leaf, sizeof leaf, "tiers[%u]", i);
        if (!loader_id(loader, leaf, raw->tiers[i], codebook->tiers[codebook->tier_count]))
            continue;
        if (codebook_tier(codebook, raw->tiers[i]) >= 0)
            loader_fail(loader, leaf, tr("tier '%s' is there already", "层级 '%s' 已存在"), raw->tiers[i]);
        codebook->tier_count++;
    }
}
_Static_assert((int)TIER_NAME_MAX == (int)NAME_MAX_BYTES, "tiers are identifiers");

static void resolve_header(struct loader *loader)
{
    const struct raw_header *raw = loader->raw->codebook;
    struct codebook *codebook = loader->codebook;
    int64_t number = 0;
    if (!raw) {
        loader_fail(loader, "codebook", "%s",
                    tr("missing; expected codebook: {id, version, grammar, tz, base, tiers}",
                       "缺少；应为 codebook: {id, version, grammar, tz, base, tiers}"));
        return;
    }
    loader->path_size = (size_t)snprintf(loader->path, sizeof loader->path, "codebook");
    size_t size = raw->id ? strlen(raw->id) : 0;
    if (size < 1 || size > NAME_MAX_BYTES || raw->id[0] < 'a' || raw->id[0] > 'z' ||
        strspn(raw->id, "abcdefghijklmnopqrstuvwxyz0123456789_-") != size)
        loader_fail(loader, "id", "%s",
                    tr("expected the codebook's name: small letters, digits, _ and -, at most 32",
                       "应为编码本名称：小写字母、数字、_ 和 -，至多 32 个"));
    else
        memcpy(codebook->id, raw->id, size + 1);
    if (loader_number(loader, "version", raw->version, 1, 999999999, &number))
        codebook->version = (uint32_t)number;
    codebook->grammar = GRAMMAR; // checked before all else
    if (!raw->grammar)
        loader_unknown(loader, "grammar", NULL, "1");
    if (!read_tz(raw->tz, &codebook->tz_minutes))
        loader_fail(loader, "tz", "%s",
                    tr("expected the fixed offset from UTC, such as \"+08:00\"", "应为与 UTC 的固定时差，如 \"+08:00\""));
    if (!raw->base || strcmp(raw->base, "month") != 0)
        loader_unknown(loader, "base", raw->base, "month");
    loader_label(loader, raw->zh, raw->en, NULL, codebook->id, &codebook->label);
    resolve_tiers(loader, raw);
    loader_leave(loader, 0);
}

static void resolve_roles(struct loader *loader)
{
    struct codebook *codebook = loader->codebook;
    const struct raw *raw = loader->raw;
    if (!loader_count(loader, "roles", raw->roles_count, ROLES_MAX))
        return;
    codebook->roles = loader_alloc(loader, raw->roles_count, sizeof *codebook->roles);
    for (uint16_t i = 0; codebook->roles && i < raw->roles_count; i++) {
        struct role *role = &codebook->roles[i];
        size_t mark = loader_enter(loader, "roles", i);
        loader_id(loader, "id", raw->roles[i].id, role->id);
        for (uint16_t j = 0; j < i; j++)
            if (role->id[0] && strcmp(codebook->roles[j].id, role->id) == 0)
                loader_fail(loader, "id", tr("role '%s' is there already", "角色 '%s' 已存在"), role->id);
        loader_tier(loader, "tier", raw->roles[i].tier, &role->tier);
        loader_label(loader, raw->roles[i].zh, raw->roles[i].en, NULL, NULL, &role->label);
        codebook->role_count++;
        loader_leave(loader, mark);
    }
}

static void resolve(struct loader *loader)
{
    static void (*const stages[])(struct loader *) = {resolve_header, resolve_roles, lists_resolve, registers_resolve, forms_declare};
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++) {
        stages[i](loader);
        if (loader->code == ERR_MEMORY)
            return;
    }
    if (loader->code != OK) // expressions and indicators stand on all these names
        return;
    forms_compile(loader);
    if (loader->code != ERR_MEMORY)
        indicators_resolve(loader);
    if (loader->code == OK && !definitions_hash(loader->codebook))
        loader->code = error_set(loader->error, ERR_MEMORY, "%s", loader->name);
}

// The grammar's number comes before its rules: a codebook of a later grammar is not called wrong.
static enum error_code check_grammar(const struct prepass *places, const char *name, struct error *error)
{
    const char *grammar = prepass_scalar(places, "codebook.grammar");
    struct place at = prepass_place(places, "codebook.grammar");
    if (!grammar || strcmp(grammar, "1") == 0)
        return OK;
    return error_set(error, ERR_VERSION,
                     tr("%s:%u:%u: codebook.grammar: grammar %.20s is unknown to this program; expected 1",
                        "%s:%u:%u: codebook.grammar：本程序不认识语法 %.20s；应为 1"),
                     name, at.line, at.column, grammar);
}

static enum error_code load_places(struct loader *loader, struct bytes yaml, struct codebook **ret)
{
    struct raw *raw = NULL;
    enum error_code code = check_grammar(loader->places, loader->name, loader->error);
    if (code == OK)
        code = raw_load(yaml, loader->places, loader->name, &raw, loader->error);
    if (code != OK)
        return code;
    loader->raw = raw;
    loader->codebook = loader_alloc(loader, 1, sizeof *loader->codebook);
    if (loader->codebook)
        resolve(loader);
    raw_destroy(raw);
    if (loader->code != OK) {
        codebook_destroy(loader->codebook);
        return loader->code;
    }
    loader->codebook->hash = crypto_hash(TAG_DOCUMENT, yaml);
    loader->codebook->document_size = (uint32_t)yaml.size;
    *ret = loader->codebook;
    return OK;
}

enum error_code codebook_check(struct bytes yaml, const char *name, void (*report)(void *context, const struct error *error), void *context,
                               struct codebook **ret, struct error *error)
{
    struct prepass *places = NULL;
    struct codebook *codebook = NULL;
    struct error first = {.code = OK};
    struct loader loader = {.name = name, .report = report, .context = context, .error = &first};
    enum error_code code = prepass_read(yaml, name, &places, &first);
    if (code == OK) {
        loader.places = places;
        code = load_places(&loader, yaml, &codebook);
    }
    prepass_destroy(places);
    if (code != OK) {
        if (report && loader.code == OK) // not said by loader_fail
            report(context, &first);
        if (error)
            *error = first;
        return code;
    }
    if (ret)
        *ret = codebook;
    else
        codebook_destroy(codebook);
    return OK;
}

enum error_code codebook_load(struct bytes yaml, const char *name, struct codebook **ret, struct error *error)
{
    return codebook_check(yaml, name, NULL, NULL, ret, error);
}

enum error_code codebook_check_file(const char *path, void (*report)(void *context, const struct error *error), void *context,
                                    struct error *error)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return error_set_errno(error, ERR_IO, "%s", path);
    struct buffer text = {0};
    uint8_t *place = buffer_extend(&text, YAML_BYTES_MAX + 1); // one more than may be, so that too long shows
    size_t size = place ? fread(place, 1, YAML_BYTES_MAX + 1, file) : 0;
    enum error_code code = OK;
    if (!place)
        code = error_set(error, ERR_MEMORY, "%s", path);
    else if (ferror(file))
        code = error_set_errno(error, ERR_IO, "%s", path);
    fclose(file);
    if (code == OK)
        code = codebook_check(bytes_of(place, size), path, report, context, NULL, error);
    buffer_finish(&text);
    return code;
}
