#include "node/record_value.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/json.h"
#include "node/period.h"
#include "node/record.h"
#include "relay/crypto.h"
#include "relay/language.h"

struct reading {
    const struct codebook *codebook;
    const struct field *field;
    struct arena *arena;
    struct value value; // so far
    unsigned count;     // of texts read
    char shown[96];     // the text, cut for messages
    struct finding *finding;
};

#define refuse(reading, ...) finding_set((reading)->finding, ERR_INPUT, (reading)->field->id, __VA_ARGS__)

void value_codes_text(const struct list *list, char *ret, size_t size)
{
    size_t used = 0;
    ret[0] = 0;
    for (unsigned i = 0; i < list->item_count; i++) {
        const char *id = list->items[i].id;
        if (used + strlen(id) + sizeof ", ..." > size) {
            snprintf(ret + used, size - used, "...");
            return;
        }
        used += (size_t)snprintf(ret + used, size - used, "%s%s", i ? ", " : "", id);
    }
}

static void show(struct reading *reading, const char *text)
{
    enum { CHARACTERS_MAX = 20 }; // of four bytes at most, and "...": fits in `shown`
    size_t size = 0;
    for (unsigned seen = 0; text[size]; size++) {
        if (((unsigned char)text[size] & 0xC0) != 0x80 && ++seen > CHARACTERS_MAX)
            break;
    }
    snprintf(reading->shown, sizeof reading->shown, "%.*s%s", (int)size, text, text[size] ? "..." : "");
}

// ---- one text at a time

static bool read_bool(struct reading *reading, const char *text)
{
    static const char *const yes[] = {"true", "yes", "1", "是"}, *const no[] = {"false", "no", "0", "否"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        if (strcmp(text, yes[i]) == 0 || strcmp(text, no[i]) == 0) {
            reading->value = (struct value){.type = VALUE_BOOL, .truth = strcmp(text, yes[i]) == 0};
            return true;
        }
    }
    return refuse(reading, tr("'%s' is neither true nor false", "“%s”不是 true 或 false"), reading->shown);
}

static bool set_number(struct reading *reading, bool exact, int64_t scaled)
{
    if (!exact)
        return refuse(reading, tr("'%s' is not a number with at most four decimals", "“%s”不是最多四位小数的数"), reading->shown);
    bool fraction = scaled % NUMBER_SCALE != 0;
    if (fraction && reading->field->type == FIELD_MONEY)
        return refuse(reading, tr("'%s': money is counted in fen, in whole numbers", "“%s”：金额以分为单位，须为整数"), reading->shown);
    if (fraction && reading->field->type == FIELD_INT)
        return refuse(reading, tr("'%s' is not a whole number", "“%s”不是整数"), reading->shown);
    reading->value = (struct value){.type = VALUE_NUMBER, .number = scaled};
    return true;
}

static bool read_date(struct reading *reading, const char *text)
{
    int32_t days;
    if (!civil_parse(text, &days))
        return refuse(reading, tr("'%s' is not a date like 2023-05-02", "“%s”不是 2023-05-02 形式的日期"), reading->shown);
    reading->value = (struct value){.type = VALUE_DATE, .date = days};
    return true;
}

// Two digits and what must follow them.
static bool two_digits(const char **text, int max, int *ret)
{
    const char *p = *text;
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
        return false;
    *ret = (p[0] - '0') * 10 + p[1] - '0';
    *text = p + 2;
    return *ret <= max;
}

static bool offset_parse(const char *text, int without, int *ret_minutes)
{
    int hours, minutes, sign = *text == '-' ? -1 : 1;
    if (!*text || strcmp(text, "Z") == 0) {
        *ret_minutes = *text ? 0 : without;
        return true;
    }
    if (*text != '+' && *text != '-')
        return false;
    text++;
    if (!two_digits(&text, 14, &hours) || *text++ != ':' || !two_digits(&text, 59, &minutes))
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return !*text;
}

static bool instant_parse(const char *text, int tz_minutes, int64_t *ret_ms)
{
    enum { DATE_SIZE = 10 };
    char date[DATE_SIZE + 1];
    int32_t days;
    int hours, minutes, seconds = 0, offset;
    if (strlen(text) < DATE_SIZE + 6 || text[DATE_SIZE] != 'T')
        return false;
    memcpy(date, text, DATE_SIZE);
    date[DATE_SIZE] = 0;
    text += DATE_SIZE + 1;
    if (!civil_parse(date, &days) || !two_digits(&text, 23, &hours) || *text++ != ':' || !two_digits(&text, 59, &minutes))
        return false;
    if (*text == ':' && (text++, !two_digits(&text, 59, &seconds)))
        return false;
    if (!offset_parse(text, tz_minutes, &offset))
        return false;
    *ret_ms = (((int64_t)days * 24 + hours) * 60 + minutes - offset) * 60000 + seconds * 1000;
    return true;
}

static bool read_instant(struct reading *reading, const char *text)
{
    int64_t ms;
    if (!instant_parse(text, reading->codebook->tz_minutes, &ms))
        return refuse(reading, tr("'%s' is not a time like 2023-05-02T08:30:00+08:00", "“%s”不是 2023-05-02T08:30:00+08:00 形式的时间"),
                      reading->shown);
    reading->value = (struct value){.type = VALUE_INSTANT, .number = ms};
    return true;
}

// Months and working days are no fixed time, and belong to rules, not to records.
static bool read_duration(struct reading *reading, const char *text)
{
    enum { DIGITS_MAX = 6 };
    int64_t count = 0;
    size_t digits = 0;
    for (; digits < DIGITS_MAX && text[digits] >= '0' && text[digits] <= '9'; digits++)
        count = count * 10 + (text[digits] - '0');
    static const struct {
        char unit;
        int32_t minutes;
    } units[] = {{'m', 1}, {'h', 60}, {'d', 1440}, {'w', 10080}};
    for (size_t i = 0; digits && i < sizeof units / sizeof *units; i++) {
        if (text[digits] == units[i].unit && !text[digits + 1]) {
            reading->value = duration_of_seconds(count * units[i].minutes * 60);
            return true;
        }
    }
    return refuse(reading, tr("'%s' is not a duration like 90m, 2h, 3d or 1w", "“%s”不是 90m、2h、3d、1w 形式的时长"), reading->shown);
}

static bool read_code(struct reading *reading, const char *text)
{
    const struct list *list = &reading->codebook->lists[reading->field->list];
    int item = list_item(list, text);
    if (item < 0) {
        char codes[280];
        value_codes_text(list, codes, sizeof codes);
        return refuse(reading, tr("'%s' is not in list %s; expected one of: %s", "“%s”不在列表 %s 中；应为：%s"), text, list->id, codes);
    }
    if (reading->field->many > 1)
        reading->value = (struct value){.type = VALUE_SET, .set = reading->value.set | UINT64_C(1) << item};
    else
        reading->value = (struct value){.type = VALUE_CODE, .code = (uint16_t)item};
    return true;
}

// Appends to the value's text, with `separator` between when it is not 0.
static bool append(struct reading *reading, enum value_type type, char separator, const void *data, size_t size)
{
    struct bytes old = reading->value.text;
    size_t gap = old.size && separator ? 1 : 0;
    uint8_t *place = arena_alloc(reading->arena, old.size + gap + size);
    if (!place)
        return finding_set(reading->finding, ERR_MEMORY, reading->field->id, "%s", error_text(ERR_MEMORY));
    if (old.size)
        memcpy(place, old.data, old.size);
    if (gap)
        place[old.size] = (uint8_t)separator;
    memcpy(place + old.size + gap, data, size);
    reading->value = (struct value){.type = type, .text = {place, old.size + gap + size}};
    return true;
}

static bool read_ref(struct reading *reading, const char *text)
{
    uint8_t id[SUBJECT_ID_SIZE];
    if (!crypto_from_hex(text, id, sizeof id))
        return refuse(reading, tr("'%s' is not an id of 32 hex digits", "“%s”不是 32 位十六进制编号"), reading->shown);
    return append(reading, reading->field->many > 1 ? VALUE_REFS : VALUE_REF, 0, id, sizeof id);
}

static bool is_control(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7F)
            return true;
    }
    return false;
}

static size_t characters(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xC0) != 0x80;
    return count;
}

static bool read_unit(struct reading *reading, const char *text)
{
    if (strlen(text) > UNIT_CODE_MAX || is_control(text) || strchr(text, ' '))
        return refuse(reading, tr("'%s' is not a unit's code", "“%s”不是单位代码"), reading->shown);
    return append(reading, VALUE_UNIT, 0, text, strlen(text));
}

static bool read_words(struct reading *reading, const char *text)
{
    const struct field *field = reading->field;
    bool number = field->type == FIELD_IDNO || field->type == FIELD_PHONE;
    size_t max = field->max ? field->max : number ? IDNO_MAX : TEXT_MAX_DEFAULT;
    if (characters(text) > max)
        return refuse(reading, tr("%zu characters, at most %zu", "%zu 个字符，上限 %zu"), characters(text), max);
    if (field->type != FIELD_TEXT && is_control(text))
        return refuse(reading, tr("control characters do not belong here", "此处不得含控制字符"));
    static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+-() ";
    if (number && text[strspn(text, allowed)])
        return refuse(reading, tr("only letters, digits and + - ( ) belong here", "此处只能含字母、数字和 + - ( )"));
    return append(reading, VALUE_TEXT, '\n', text, strlen(text));
}

// Degrees with at most six decimals, times 10^6; moves `text` past them.
static bool degrees_parse(const char **text, int32_t max, int32_t *ret)
{
    const char *p = *text;
    bool negative = *p == '-', point = false;
    int64_t value = 0;
    unsigned digits = 0, decimals = 0;
    for (p += negative; (*p >= '0' && *p <= '9') || (*p == '.' && !point); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        value = value * 10 + (*p - '0');
        decimals += point;
        if (++digits > 9 || decimals > 6)
            return false;
    }
    for (unsigned i = decimals; i < 6; i++)
        value *= 10;
    *text = p;
    *ret = (int32_t)(negative ? -value : value);
    return digits > 0 && value <= (int64_t)max * 1000000;
}

static bool read_position(struct reading *reading, const char *text)
{
    enum { ACCURACY_MAX = 1000000, LATITUDE_MAX = 90, LONGITUDE_MAX = 180 };
    struct position position;
    int32_t accuracy;
    const char *p = text;
    bool good = degrees_parse(&p, LATITUDE_MAX, &position.lat_e6) && *p++ == ' ' && degrees_parse(&p, LONGITUDE_MAX, &position.lon_e6) &&
                *p++ == ' ';
    char *end = NULL;
    accuracy = good && *p >= '0' && *p <= '9' && strlen(p) <= 7 ? (int32_t)strtol(p, &end, 10) : -1;
    if (accuracy < 0 || *end || accuracy > ACCURACY_MAX)
        return refuse(reading,
                      tr("'%s' is not \"LATITUDE LONGITUDE ACCURACY_M\" like \"32.272258 119.184766 20\"",
                         "“%s”不是“纬度 经度 精度（米）”，例如“32.272258 119.184766 20”"),
                      reading->shown);
    position.accuracy_m = (uint32_t)accuracy;
    reading->value = (struct value){.type = VALUE_POSITION, .position = position};
    return true;
}

static bool read_text(struct reading *reading, const char *text)
{
    int64_t scaled = 0;
    unsigned max = reading->field->many > 1 ? reading->field->many : 1;
    if (reading->count == max)
        return refuse(reading, tr("more than %u values", "超过 %u 个值"), max);
    reading->count++;
    show(reading, text);
    switch (reading->field->type) {
    case FIELD_BOOL:
        return read_bool(reading, text);
    case FIELD_INT:
    case FIELD_DECIMAL:
    case FIELD_MONEY: {
        bool exact = json_scaled_parse(text, &scaled);
        return set_number(reading, exact, scaled);
    }
    case FIELD_DATE:
        return read_date(reading, text);
    case FIELD_INSTANT:
        return read_instant(reading, text);
    case FIELD_DURATION:
        return read_duration(reading, text);
    case FIELD_CODE:
        return read_code(reading, text);
    case FIELD_REF:
        return read_ref(reading, text);
    case FIELD_UNIT:
        return read_unit(reading, text);
    case FIELD_POSITION:
        return read_position(reading, text);
    case FIELD_TEXT:
    case FIELD_IDNO:
    case FIELD_PHONE:
    case FIELD_FILE:
        return read_words(reading, text);
    }
    return false;
}

bool value_from_text(const struct codebook *codebook, const struct field *field, const char *text, struct arena *arena, struct value *ret,
                     struct finding *finding)
{
    struct reading reading = {.codebook = codebook, .field = field, .arena = arena, .finding = finding};
    bool many = field->many > 1;
    while (*text) {
        size_t size = many ? strcspn(text, "|") : strlen(text);
        char *part = arena_alloc(arena, size + 1);
        if (!part)
            return finding_set(finding, ERR_MEMORY, field->id, "%s", error_text(ERR_MEMORY));
        memcpy(part, text, size);
        part[size] = 0;
        if (size == 0)
            return refuse(&reading, tr("nothing between two '|'", "两个“|”之间没有内容"));
        if (!read_text(&reading, part))
            return false;
        text += size;
        if (*text && !*++text)
            return refuse(&reading, tr("nothing after the last '|'", "末尾“|”之后没有内容"));
    }
    *ret = reading.value;
    return true;
}

// ---- JSON

static bool read_json(struct reading *reading, const struct json *json)
{
    enum field_type type = reading->field->type;
    bool truth = false;
    int64_t scaled = 0;
    switch (json_kind(json)) {
    case JSON_KIND_TEXT:
        return *json_text(json) ? read_text(reading, json_text(json)) : true;
    case JSON_KIND_TRUTH:
        if (type != FIELD_BOOL)
            break;
        json_truth(json, &truth);
        return read_text(reading, truth ? "true" : "false");
    case JSON_KIND_NUMBER:
        if (type != FIELD_INT && type != FIELD_DECIMAL && type != FIELD_MONEY)
            break;
        bool exact = json_scaled(json, &scaled);
        show(reading, tr("this number", "该数"));
        return set_number(reading, exact, scaled);
    case JSON_KIND_NONE:
    case JSON_KIND_LIST:
    case JSON_KIND_MAP:
        break;
    }
    static const char *const en[] = {"true or false",
                                     "a whole number",
                                     "a number",
                                     "a whole number of fen",
                                     "a date in quotes",
                                     "a time in quotes",
                                     "a duration in quotes",
                                     "a code in quotes",
                                     "text in quotes",
                                     "an id in quotes",
                                     "a unit's code in quotes",
                                     "a number of papers in quotes",
                                     "a phone number in quotes",
                                     "a position in quotes",
                                     "a file's name in quotes"};
    static const char *const zh[] = {"true 或 false",    "整数",           "数",           "以分计的整数", "加引号的日期",
                                     "加引号的时间",     "加引号的时长",   "加引号的代码", "加引号的文本", "加引号的编号",
                                     "加引号的单位代码", "加引号的证件号", "加引号的电话", "加引号的位置", "加引号的文件名"};
    return refuse(reading, tr("wrong type; expected %s", "类型有误；应为%s"), tr(en[type], zh[type]));
}

bool value_from_json(const struct codebook *codebook, const struct field *field, const struct json *json, struct arena *arena,
                     struct value *ret, struct finding *finding)
{
    struct reading reading = {.codebook = codebook, .field = field, .arena = arena, .finding = finding};
    enum json_kind kind = json_kind(json);
    if (kind == JSON_KIND_LIST && field->many <= 1)
        return refuse(&reading, tr("takes one value, not a list", "只取一个值，不取列表"));
    if (kind == JSON_KIND_LIST) {
        for (const struct json *item = json_first(json); item; item = json_next(item)) {
            if (!read_json(&reading, item))
                return false;
        }
    } else if (kind != JSON_KIND_NONE && !read_json(&reading, json)) {
        return false;
    }
    *ret = reading.value;
    return true;
}
