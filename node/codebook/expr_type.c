// Types the tree, bottom up, so that nothing can go wrong when it runs. Codes get their list from what they stand beside.
#include <stdio.h>
#include <string.h>

#include "node/codebook/expr_tree.h"
#include "relay/language.h"

static bool type_node(struct compiler *compiler, int16_t node, int list);

static const char *type_text(enum value_type type)
{
    switch (type) {
    case VALUE_NONE:
        return "none";
    case VALUE_BOOL:
        return tr("yes/no", "是/否");
    case VALUE_NUMBER:
        return tr("number", "数");
    case VALUE_DATE:
        return tr("date", "日期");
    case VALUE_INSTANT:
        return tr("instant", "时刻");
    case VALUE_DURATION:
        return tr("duration", "时长");
    case VALUE_CODE:
        return tr("code", "代码");
    case VALUE_SET:
        return tr("set of codes", "代码集");
    case VALUE_TEXT:
        return tr("text", "文本");
    case VALUE_REF:
        return tr("reference", "引用");
    case VALUE_REFS:
        return tr("set of references", "引用集");
    case VALUE_UNIT:
        return tr("unit", "单位");
    case VALUE_POSITION:
        return tr("position", "位置");
    }
    return "?";
}

static bool expect(struct compiler *compiler, int16_t node, enum value_type wanted)
{
    const struct expr_node *at = &compiler->nodes[node];
    if (at->type == wanted || at->type == VALUE_NONE)
        return true;
    return compiler_fail(compiler, at->column, tr("expected a %s, this is a %s", "此处应为“%s”，而这是“%s”"), type_text(wanted),
                         type_text(at->type));
}

static bool typed(struct compiler *compiler, int16_t node, enum value_type type, int list)
{
    compiler->nodes[node].type = type;
    compiler->nodes[node].list = (int16_t)list;
    return true;
}

static bool type_code(struct compiler *compiler, int16_t node, int list)
{
    struct expr_node *at = &compiler->nodes[node];
    char code[NAME_MAX_BYTES + 1];
    if (list < 0)
        return compiler_fail(compiler, at->column, tr("nothing here says which list this code is of", "此处无法确定该代码属于哪个列表"));
    const struct list *of = &compiler->scope->codebook->lists[list];
    snprintf(code, sizeof code, "%.*s", (int)at->text_size, compiler->text + at->text);
    int item = at->text_size <= NAME_MAX_BYTES ? list_item(of, code) : -1;
    if (item < 0) {
        char known[160] = "";
        for (uint16_t i = 0, size = 0; i < of->item_count && size < 120; i++)
            size = (uint16_t)(size + snprintf(known + size, sizeof known - size, "%s%s", i ? ", " : "", of->items[i].id));
        return compiler_fail(compiler, at->column,
                             tr("'%s' is no code of list %s; expected one of: %s", "'%s' 不是列表 %s 的代码；应为其中之一：%s"), code,
                             of->id, known);
    }
    at->number = item;
    return typed(compiler, node, VALUE_CODE, list);
}

// Whether the node cannot tell its list by itself: a code, or a choice among nothing but codes.
static bool needs_list(const struct compiler *compiler, int16_t node)
{
    const struct expr_node *at = &compiler->nodes[node];
    if (at->kind == NODE_CODE)
        return true;
    if (at->kind != NODE_CALL || (at->op != FUNCTION_PICK && at->op != FUNCTION_ORELSE))
        return false;
    unsigned i = 0;
    for (int16_t argument = at->left; argument != NODE_MISSING; argument = compiler->nodes[argument].next, i++) {
        bool is_value = at->op == FUNCTION_ORELSE || i % 2 == 1 || i + 1u == at->args;
        bool is_none = compiler->nodes[argument].kind == NODE_CONSTANT && compiler->nodes[argument].op == OP_NONE;
        if (is_value && !is_none && !needs_list(compiler, argument))
            return false;
    }
    return true;
}

// Types two operands, the one that knows its list first.
static bool type_pair(struct compiler *compiler, int16_t a, int16_t b, int list)
{
    if (needs_list(compiler, a) && !needs_list(compiler, b))
        return type_node(compiler, b, list) && type_node(compiler, a, compiler->nodes[b].list);
    return type_node(compiler, a, list) && type_node(compiler, b, compiler->nodes[a].list >= 0 ? compiler->nodes[a].list : list);
}

static bool is_none(const struct expr_node *node) { return node->kind == NODE_CONSTANT && node->op == OP_NONE; }

static bool same_list(struct compiler *compiler, const struct expr_node *a, const struct expr_node *b, unsigned column)
{
    const struct list *lists = compiler->scope->codebook->lists;
    if (a->type == VALUE_NONE || b->type == VALUE_NONE || a->list == b->list)
        return true;
    return compiler_fail(compiler, column, tr("codes of different lists: %s and %s", "代码属于不同的列表：%s 和 %s"),
                         a->list < 0 ? "?" : lists[a->list].id, b->list < 0 ? "?" : lists[b->list].id);
}

static bool type_comparison(struct compiler *compiler, int16_t node)
{
    const struct expr_node *at = &compiler->nodes[node];
    if (!type_pair(compiler, at->left, at->right, -1))
        return false;
    const struct expr_node *a = &compiler->nodes[at->left], *b = &compiler->nodes[at->right];
    if (is_none(a) || is_none(b))
        return compiler_fail(compiler, at->column,
                             tr("a comparison with none is never true; use known(x)", "与 none 比较永不成立；请用 known(x)"));
    if (a->type != VALUE_NONE && !expect(compiler, at->right, a->type))
        return false;
    enum value_type type = a->type == VALUE_NONE ? b->type : a->type;
    bool ordered = at->op != OP_EQ && at->op != OP_NE;
    bool can_order = type == VALUE_NUMBER || type == VALUE_DATE || type == VALUE_INSTANT || type == VALUE_NONE;
    if (type == VALUE_DURATION || type == VALUE_POSITION || type == VALUE_REFS || (ordered && !can_order))
        return compiler_fail(compiler, at->column, tr("a %s cannot be compared so", "“%s”不能这样比较"), type_text(type));
    return same_list(compiler, a, b, at->column) && typed(compiler, node, VALUE_BOOL, -1);
}

static bool type_has(struct compiler *compiler, int16_t node)
{
    const struct expr_node *at = &compiler->nodes[node];
    if (!type_node(compiler, at->left, -1) || !expect(compiler, at->left, VALUE_SET))
        return false;
    const struct expr_node *set = &compiler->nodes[at->left];
    if (!type_node(compiler, at->right, set->list) || !expect(compiler, at->right, VALUE_CODE))
        return false;
    return same_list(compiler, set, &compiler->nodes[at->right], at->column) && typed(compiler, node, VALUE_BOOL, -1);
}

static bool type_sum(struct compiler *compiler, int16_t node)
{
    const struct expr_node *at = &compiler->nodes[node];
    if (!type_node(compiler, at->left, -1) || !type_node(compiler, at->right, -1))
        return false;
    const struct expr_node *a = &compiler->nodes[at->left], *b = &compiler->nodes[at->right];
    if (a->type == VALUE_DATE && b->type == VALUE_DATE)
        return compiler_fail(compiler, at->column,
                             tr("dates are not added or subtracted; use days(from, to)", "日期不能相加减；请用 days(起, 止)"));
    if (a->type == VALUE_DATE) {
        if (b->kind == NODE_CONSTANT && b->op == OP_DURATION && !strchr("dwMy", b->unit))
            return compiler_fail(compiler, b->column, tr("a date moves by d, w, mo or y only", "日期只能按 d、w、mo 或 y 推移"));
        return expect(compiler, at->right, VALUE_DURATION) && typed(compiler, node, VALUE_DATE, -1);
    }
    return expect(compiler, at->left, VALUE_NUMBER) && expect(compiler, at->right, VALUE_NUMBER) && typed(compiler, node, VALUE_NUMBER, -1);
}

static bool type_binary(struct compiler *compiler, int16_t node)
{
    const struct expr_node *at = &compiler->nodes[node];
    enum value_type type = VALUE_NUMBER;
    switch ((enum expr_op)at->op) {
    case OP_EQ:
    case OP_NE:
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE:
        return type_comparison(compiler, node);
    case OP_HAS:
        return type_has(compiler, node);
    case OP_ADD:
    case OP_SUB:
        return type_sum(compiler, node);
    case OP_AND:
    case OP_OR:
        type = VALUE_BOOL;
        break;
    default:
        break;
    }
    return type_node(compiler, at->left, -1) && type_node(compiler, at->right, -1) && expect(compiler, at->left, type) &&
           expect(compiler, at->right, type) && typed(compiler, node, type, -1);
}

static bool type_pick(struct compiler *compiler, int16_t node, int list)
{
    const struct expr_node *at = &compiler->nodes[node];
    int16_t model = NODE_MISSING;          // the first value that says a type
    for (int pass = 0; pass < 2; pass++) { // values that know their list teach the others
        unsigned i = 0;
        for (int16_t argument = at->left; argument != NODE_MISSING; argument = compiler->nodes[argument].next, i++) {
            bool is_value = i % 2 == 1 || i + 1u == at->args;
            if ((pass == 0) == (is_value && needs_list(compiler, argument)))
                continue;
            if (!type_node(compiler, argument, is_value ? list : -1) || (!is_value && !expect(compiler, argument, VALUE_BOOL)))
                return false;
            if (!is_value || compiler->nodes[argument].type == VALUE_NONE)
                continue;
            if (model == NODE_MISSING)
                model = argument;
            if (!expect(compiler, argument, compiler->nodes[model].type) ||
                !same_list(compiler, &compiler->nodes[model], &compiler->nodes[argument], compiler->nodes[argument].column))
                return false;
            if (compiler->nodes[model].list >= 0)
                list = compiler->nodes[model].list;
        }
    }
    if (model == NODE_MISSING)
        return typed(compiler, node, VALUE_NONE, -1);
    return typed(compiler, node, compiler->nodes[model].type, compiler->nodes[model].list);
}

static bool type_choice(struct compiler *compiler, int16_t node, int list) // orelse, min, max
{
    const struct expr_node *at = &compiler->nodes[node];
    int16_t b = compiler->nodes[at->left].next;
    if (!type_pair(compiler, at->left, b, list))
        return false;
    const struct expr_node *first = &compiler->nodes[at->left], *second = &compiler->nodes[b];
    enum value_type type = first->type == VALUE_NONE ? second->type : first->type;
    int of = first->type == VALUE_NONE ? second->list : first->list;
    if (!expect(compiler, b, type) || !same_list(compiler, first, second, second->column))
        return false;
    if (at->op != FUNCTION_ORELSE && type != VALUE_NUMBER && type != VALUE_DATE && type != VALUE_NONE)
        return compiler_fail(compiler, first->column, tr("expected numbers or dates, this is a %s", "应为数或日期，而这是“%s”"),
                             type_text(type));
    return typed(compiler, node, type, of);
}

static bool type_size(struct compiler *compiler, int16_t node)
{
    const struct expr_node *argument = &compiler->nodes[compiler->nodes[node].left];
    if (argument->type != VALUE_SET && argument->type != VALUE_REFS && argument->type != VALUE_NONE)
        return compiler_fail(compiler, argument->column, tr("expected a set, this is a %s", "应为集合，而这是“%s”"),
                             type_text(argument->type));
    return typed(compiler, node, VALUE_NUMBER, -1);
}

static bool type_round(struct compiler *compiler, int16_t node)
{
    int16_t x = compiler->nodes[node].left, n = compiler->nodes[x].next;
    const struct expr_node *digits = &compiler->nodes[n];
    if (digits->kind != NODE_CONSTANT || digits->op != OP_NUMBER || digits->number % NUMBER_SCALE != 0 || digits->number > 4 * NUMBER_SCALE)
        return compiler_fail(compiler, digits->column, tr("expected 0, 1, 2, 3 or 4 decimals", "应为 0、1、2、3 或 4 位小数"));
    return expect(compiler, x, VALUE_NUMBER) && typed(compiler, node, VALUE_NUMBER, -1);
}

// Functions whose arguments have one type each and teach each other nothing.
static bool type_plain(struct compiler *compiler, int16_t node)
{
    static const struct {
        enum value_type result, args[3];
    } plain[FUNCTION_COUNT] = {
        [FUNCTION_ABS] = {VALUE_NUMBER, {VALUE_NUMBER}},
        [FUNCTION_DAYS] = {VALUE_NUMBER, {VALUE_DATE, VALUE_DATE}},
        [FUNCTION_MONTHS] = {VALUE_NUMBER, {VALUE_DATE, VALUE_DATE}},
        [FUNCTION_YEARS] = {VALUE_NUMBER, {VALUE_DATE, VALUE_DATE}},
        [FUNCTION_LENGTH] = {VALUE_NUMBER, {VALUE_TEXT}},
        [FUNCTION_ACCURACY] = {VALUE_NUMBER, {VALUE_POSITION}},
        [FUNCTION_WITHIN] = {VALUE_BOOL, {VALUE_POSITION, VALUE_POSITION, VALUE_NUMBER}},
    };
    enum expr_function function = (enum expr_function)compiler->nodes[node].op;
    unsigned i = 0;
    for (int16_t argument = compiler->nodes[node].left; argument != NODE_MISSING; argument = compiler->nodes[argument].next)
        if (!expect(compiler, argument, plain[function].args[i++]))
            return false;
    return typed(compiler, node, plain[function].result, -1);
}

static bool type_call(struct compiler *compiler, int16_t node, int list)
{
    const struct expr_node *at = &compiler->nodes[node];
    enum expr_function function = (enum expr_function)at->op;
    if (function == FUNCTION_SUM)
        return compiler_fail(compiler, at->column,
                             tr("sum() needs a repeat group, and this grammar has none", "sum() 需要重复组，而本语法没有重复组"));
    if (function == FUNCTION_PICK)
        return type_pick(compiler, node, list);
    if (function == FUNCTION_ORELSE || function == FUNCTION_MIN || function == FUNCTION_MAX)
        return type_choice(compiler, node, list);
    for (int16_t argument = at->left; argument != NODE_MISSING; argument = compiler->nodes[argument].next)
        if (!type_node(compiler, argument, -1))
            return false;
    if (function == FUNCTION_KNOWN)
        return typed(compiler, node, VALUE_BOOL, -1);
    if (function == FUNCTION_SIZE)
        return type_size(compiler, node);
    return function == FUNCTION_ROUND ? type_round(compiler, node) : type_plain(compiler, node);
}

static bool type_name(struct compiler *compiler, int16_t node)
{
    struct expr_node *at = &compiler->nodes[node];
    char name[3 * (NAME_MAX_BYTES + 1) + 1];
    struct error why;
    if (at->text_size >= sizeof name)
        return compiler_fail(compiler, at->column, tr("this name is too long", "名称过长"));
    snprintf(name, sizeof name, "%.*s", (int)at->text_size, compiler->text + at->text);
    if (name_resolve(compiler->scope, name, false, &at->ref, &why) != OK)
        return compiler_fail(compiler, at->column, "%s", why.detail);
    return typed(compiler, node, at->ref.type, at->ref.list);
}

static bool type_constant(struct compiler *compiler, int16_t node)
{
    static const enum value_type types[] = {[OP_NONE] = VALUE_NONE,
                                            [OP_TRUE] = VALUE_BOOL,
                                            [OP_FALSE] = VALUE_BOOL,
                                            [OP_NUMBER] = VALUE_NUMBER,
                                            [OP_DURATION] = VALUE_DURATION};
    return typed(compiler, node, types[compiler->nodes[node].op], -1);
}

static bool type_today(struct compiler *compiler, int16_t node)
{
    if (compiler->scope->context != EXPR_ENTRY)
        return compiler_fail(compiler, compiler->nodes[node].column,
                             tr("'today' is known only while a record is entered; a figure must not change with the day it is computed on",
                                "'today' 只在录入记录时可用；统计指标不得随计算日期而变"));
    return typed(compiler, node, VALUE_DATE, -1);
}

static bool type_unary(struct compiler *compiler, int16_t node)
{
    const struct expr_node *at = &compiler->nodes[node];
    enum value_type type = at->op == OP_NOT ? VALUE_BOOL : VALUE_NUMBER;
    return type_node(compiler, at->left, -1) && expect(compiler, at->left, type) && typed(compiler, node, type, -1);
}

static bool type_node(struct compiler *compiler, int16_t node, int list)
{
    switch (compiler->nodes[node].kind) {
    case NODE_CONSTANT:
        return type_constant(compiler, node);
    case NODE_CODE:
        return type_code(compiler, node, list);
    case NODE_TODAY:
        return type_today(compiler, node);
    case NODE_NAME:
        return type_name(compiler, node);
    case NODE_CALL:
        return type_call(compiler, node, list);
    case NODE_UNARY:
        return type_unary(compiler, node);
    case NODE_BINARY:
        return type_binary(compiler, node);
    }
    return false;
}

bool expr_type_root(struct compiler *compiler, int16_t root, enum value_type wanted, int list)
{
    bool is_code = wanted == VALUE_CODE || wanted == VALUE_SET;
    if (!type_node(compiler, root, is_code ? list : -1))
        return false;
    if (wanted != VALUE_NONE && !expect(compiler, root, wanted))
        return false;
    const struct expr_node *at = &compiler->nodes[root];
    if (is_code && list >= 0 && at->type != VALUE_NONE && at->list != list) {
        const struct list *lists = compiler->scope->codebook->lists;
        return compiler_fail(compiler, at->column,
                             tr("expected a code of list %s, this is of list %s", "应为列表 %s 的代码，而这是列表 %s 的"), lists[list].id,
                             at->list < 0 ? "?" : lists[at->list].id);
    }
    return true;
}
