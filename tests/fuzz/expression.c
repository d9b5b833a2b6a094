// One expression from any bytes, compiled in both contexts against a small codebook. The input's first byte chooses values for the fields.
// What compiles must run on them, and its canonical text must be a fixed point that gives the same.
#include <stdlib.h>

#include "node/codebook/codebook.h"
#include "node/codebook/expr.h"
#include "relay/crypto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char yaml[] =
    "codebook: {id: fuzz, version: 1, grammar: 1, tz: \"+08:00\", base: month, tiers: [county, village]}\n"
    "lists:\n"
    "  - id: l\n"
    "    attrs: [{id: p, type: int}, {id: d, type: duration}]\n"
    "    items: [{id: a, zh: 甲, en: a, set: [p=1, d=7d]}, {id: b, zh: 乙, en: b}]\n"
    "registers:\n"
    "  - {id: r, props: [{id: c, type: code, of: l}, {id: s, type: code, of: l, many: 2}, {id: y, type: date}]}\n"
    "forms:\n"
    "  - id: f\n"
    "    about: r\n"
    "    at: e\n"
    "    sections: [{id: z, tiers: [village]}]\n"
    "    fields: [{id: e, type: date}, {id: n, type: decimal}, {id: t, type: bool}, {id: k, type: code, of: l}, {id: x, type: text},\n"
    "             {id: g, type: position}, {id: q, type: ref, of: r, many: 3}, {id: u, type: duration}]\n";

static struct value some(enum value_type type, uint8_t choice)
{
    static const int64_t numbers[] = {0, 10000, -25000, INT64_MAX, INT64_MIN, 1};
    struct value value = {.type = choice % 7 == 6 ? VALUE_NONE : type};
    switch (type) {
    case VALUE_NUMBER:
        value.number = numbers[choice % 6];
        break;
    case VALUE_DATE:
        value.date = choice % 5 == 4 ? INT32_MAX : 19000 + choice;
        break;
    case VALUE_BOOL:
        value.truth = choice & 1;
        break;
    case VALUE_CODE:
        value.code = choice & 1;
        break;
    case VALUE_SET:
        value.set = choice & 3;
        break;
    case VALUE_TEXT:
        value.text = bytes_of_text("儿a");
        break;
    case VALUE_POSITION:
        value.position = (struct position){choice * 700000, choice * -1400000, choice};
        break;
    case VALUE_DURATION:
        value.unit = (uint8_t) "mhdwMyW"[choice % 7];
        value.number = numbers[choice % 6];
        break;
    default:
        break;
    }
    return value;
}

static void run(const char *text, const struct expr_scope *scope, const struct expr_input *input)
{
    struct program *program = NULL, *again = NULL;
    enum value_type type = VALUE_NONE;
    struct error error = {0};
    if (expr_compile(text, scope, VALUE_NONE, -1, &program, &type, &error) != OK) {
        if (program || !error.detail[0])
            abort();
        return;
    }
    struct value value = expr_eval(program, input);
    if (value.type != VALUE_NONE && value.type != type)
        abort();
    if (strlen(expr_text(program)) <= 512 && expr_compile(expr_text(program), scope, VALUE_NONE, -1, &again, NULL, &error) == OK) {
        struct value same = expr_eval(again, input);
        if (strcmp(expr_text(program), expr_text(again)) != 0 || same.type != value.type ||
            (value.type == VALUE_NUMBER && same.number != value.number) || (value.type == VALUE_BOOL && same.truth != value.truth))
            abort();
    }
    expr_destroy(again);
    expr_destroy(program);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct codebook *codebook; // made once; the process's
    static const enum value_type fields[] = {VALUE_DATE, VALUE_NUMBER,   VALUE_BOOL, VALUE_CODE,
                                             VALUE_TEXT, VALUE_POSITION, VALUE_REFS, VALUE_DURATION},
                                 props[] = {VALUE_CODE, VALUE_SET, VALUE_DATE};
    struct value values[8], of_subject[3];
    char text[600];
    if (size < 1 || size > sizeof text - 1 || memchr(data, 0, size))
        return 0;
    if (!codebook && (crypto_init(NULL) != OK || codebook_load(bytes_of_text(yaml), "fuzz", &codebook, NULL) != OK))
        abort();
    for (size_t i = 0; i < 8; i++)
        values[i] = some(fields[i], (uint8_t)(data[0] + i * 3));
    for (size_t i = 0; i < 3; i++)
        of_subject[i] = some(props[i], (uint8_t)(data[0] + i * 5));
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    struct expr_input input = {values, of_subject, data[0] & 1 ? values : NULL, 19100};
    struct expr_scope scope = {codebook, &codebook->forms[0], &codebook->regs[0], EXPR_ENTRY};
    run(text, &scope, &input);
    scope.context = EXPR_FIGURE;
    run(text, &scope, &input);
    return 0;
}
