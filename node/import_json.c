#include <stdio.h>

#include "node/import_inside.h"
#include "node/json.h"
#include "relay/language.h"

enum { COMBO_MAX = DIMENSIONS_MAX * (NAME_MAX_BYTES + 1) };

struct reading {
    struct import *import;
    const struct json_document *document;
    const char *unit, *period; /* defaults */
};

// Members that say nothing about the value; what would change its meaning is refused.
static const char *const top_known[] = {"dataValues", "orgUnit", "period", "dataSet", "completeDate", "attributeOptionCombo", NULL};
static const char *const value_known[] = {"dataElement",
                                          "orgUnit",
                                          "period",
                                          "categoryOptionCombo",
                                          "attributeOptionCombo",
                                          "value",
                                          "deleted",
                                          "storedBy",
                                          "created",
                                          "lastUpdated",
                                          "comment",
                                          "followup",
                                          "followUp",
                                          NULL};

static enum error_code check_names(const struct reading *reading, const struct json *map, const char *const known[], struct error *error)
{
    if (json_kind(map) != JSON_KIND_MAP)
        return json_fail(reading->document, map, ERR_INPUT, error, tr("an object is wanted", "应为对象"));
    for (const struct json *member = json_first(map); member; member = json_next(member)) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], json_name(member)) != 0)
            i++;
        if (!known[i])
            return json_fail(reading->document, member, ERR_INPUT, error, tr("unknown name", "未知名称"));
    }
    const struct json *attribute = json_get(map, "attributeOptionCombo");
    if (attribute && (!json_text(attribute) || strcmp(json_text(attribute), "default") != 0))
        return json_fail(reading->document, attribute, ERR_REFUSED, error, tr("only \"default\" is known here", "此处只支持 \"default\""));
    return OK;
}

// A text that must be there, or has a default.
static enum error_code want_text(const struct reading *reading, const struct json *map, const char *name, const char *otherwise,
                                 const char **ret, struct error *error)
{
    const struct json *member = json_get(map, name);
    if (!member && !otherwise)
        return json_fail(reading->document, map, ERR_INPUT, error, tr("%s is missing", "缺少 %s"), name);
    if (member && !json_text(member))
        return json_fail(reading->document, member, ERR_INPUT, error, tr("a text is wanted", "应为文本"));
    *ret = member ? json_text(member) : otherwise;
    return OK;
}

// "a.b" -> members in the order of the dimensions, in `parts`.
static bool split_combo(const char *combo, int dim_count, char parts[COMBO_MAX], const char *members[DIMENSIONS_MAX])
{
    if (!combo || !*combo || strcmp(combo, "default") == 0)
        return true;
    if (strlen(combo) >= COMBO_MAX)
        return false;
    memcpy(parts, combo, strlen(combo) + 1);
    int count = 0;
    for (char *part = parts; part; count++) {
        char *dot = strchr(part, '.');
        if (count == dim_count)
            return false;
        if (dot)
            *dot = 0;
        members[count] = part;
        part = dot ? dot + 1 : NULL;
    }
    return count == dim_count;
}

static const struct json *part_of(const struct json *map, enum import_part part)
{
    static const char *const names[] = {[PART_INDICATOR] = "dataElement",
                                        [PART_UNIT] = "orgUnit",
                                        [PART_PERIOD] = "period",
                                        [PART_VALUE] = "value",
                                        [PART_MEMBER] = "categoryOptionCombo"};
    const struct json *member = part == PART_WHOLE ? NULL : json_get(map, names[part]);
    return member ? member : map; // a default stands elsewhere
}

static enum error_code read_value(const struct reading *reading, const struct json *map, uint32_t index, struct error *error)
{
    struct import *import = reading->import;
    const char *element, *combo;
    struct import_raw raw = {.place = index};
    struct import_fault fault = {0};
    char parts[COMBO_MAX], digits[24];
    uint16_t at;
    bool deleted;
    enum error_code code = check_names(reading, map, value_known, error);
    if (!code && json_truth(json_get(map, "deleted"), &deleted) && deleted)
        code = json_fail(reading->document, map, ERR_REFUSED, error, tr("deletions are not taken: say 0", "不接受删除：请填 0"));
    if (!code)
        code = want_text(reading, map, "dataElement", NULL, &element, error);
    if (!code)
        code = want_text(reading, map, "orgUnit", reading->unit, &raw.unit, error);
    if (!code)
        code = want_text(reading, map, "period", reading->period, &raw.period, error);
    if (!code)
        code = want_text(reading, map, "categoryOptionCombo", "", &combo, error);
    if (code)
        return code;
    const struct json *value = json_get(map, "value");
    int64_t number;
    raw.value = json_text(value);
    if (!raw.value && json_whole(value, &number)) {
        snprintf(digits, sizeof digits, "%lld", (long long)number);
        raw.value = digits;
    }
    if (!raw.value)
        return json_fail(reading->document, value ? value : map, ERR_INPUT, error,
                         tr("value: a whole number is wanted", "value：应为整数"));
    bool good = import_indicator(import, element, &at, &fault);
    if (good && !split_combo(combo, import->desk->codebook->indicators[at].dim_count, parts, raw.members))
        return json_fail(reading->document, part_of(map, PART_MEMBER), ERR_INPUT, error, tr("%s has %d dimensions", "%s 有 %d 个维度"),
                         element, import->desk->codebook->indicators[at].dim_count);
    if (good && import_add(import, at, &raw, &fault))
        return OK;
    return json_fail(reading->document, part_of(map, fault.part), fault.error.code, error, "%s", fault.error.detail);
}

static enum error_code read_document(struct reading *reading, struct error *error)
{
    const struct json *root = json_root(reading->document), *list = json_get(root, "dataValues"), *value;
    enum error_code code = check_names(reading, root, top_known, error);
    if (!code && json_kind(list) != JSON_KIND_LIST)
        code =
            json_fail(reading->document, root, ERR_INPUT, error, tr("dataValues is missing, or no list", "缺少 dataValues，或它不是列表"));
    if (!code && json_get(root, "orgUnit"))
        code = want_text(reading, root, "orgUnit", NULL, &reading->unit, error);
    if (!code && json_get(root, "period"))
        code = want_text(reading, root, "period", NULL, &reading->period, error);
    uint32_t index = 0;
    for (value = json_first(list); value && !code; value = json_next(value))
        code = read_value(reading, value, index++, error);
    uint32_t first, again;
    if (code || !import_twice(reading->import, &first, &again))
        return code;
    value = json_first(list);
    for (uint32_t i = 0; i < again; i++)
        value = json_next(value);
    return json_fail(reading->document, value, ERR_INPUT, error,
                     tr("dataValues[%u] is the same value as dataValues[%u]: one of them must go",
                        "dataValues[%u] 与 dataValues[%u] 是同一个值：须删去其一"),
                     again, first);
}

enum error_code import_json(struct import *import, struct bytes data, struct error *error)
{
    struct json_document *document;
    enum error_code code = json_parse(data, import->source, &document, error);
    if (code)
        return code;
    struct reading reading = {.import = import, .document = document};
    code = read_document(&reading, error);
    json_destroy(document);
    return code;
}
