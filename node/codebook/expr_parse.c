// The grammar of schema/codebook/README.md by recursive descent. Bounded: EXPR_TEXT_MAX bytes, EXPR_NODES_MAX nodes, EXPR_NESTING_MAX deep.
#include "node/codebook/expr_tree.h"

#include <stdarg.h>
#include <stdio.h>

#include "relay/language.h"

enum token { TOKEN_END, TOKEN_NUMBER, TOKEN_CODE, TOKEN_NAME, TOKEN_SIGN };

bool compiler_fail(struct compiler *compiler, unsigned column, const char *format, ...)
{
    if (compiler->code == OK) {
        char what[400];
        va_list args;
        va_start(args, format);
        vsnprintf(what, sizeof what, format, args);
        va_end(args);
        compiler->code = error_set(compiler->error, ERR_INPUT, tr("column %u: %s", "第 %u 列：%s"), column, what);
    }
    return false;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c >= 'a' && c <= 'z') || c == '_'; }
static unsigned column(const struct compiler *compiler) { return compiler->token_at + 1u; }

static bool take(struct compiler *compiler, enum token token, size_t size)
{
    compiler->token = (uint8_t)token;
    compiler->token_size = (uint16_t)size;
    compiler->at = (uint16_t)(compiler->token_at + size);
    return true;
}

static bool next(struct compiler *compiler)
{
    const char *text = compiler->text;
    compiler->at = (uint16_t)(compiler->at + strspn(text + compiler->at, " \t\n"));
    compiler->token_at = compiler->at;
    const char *p = text + compiler->at;
    if (!*p)
        return take(compiler, TOKEN_END, 0);
    if (is_digit(*p)) { // with what hangs on it: 1.5, 7d, 3mo; read later
        size_t size = 1;
        while (is_digit(p[size]) || is_letter(p[size]) || (p[size] == '.' && is_digit(p[size + 1])))
            size++;
        return take(compiler, TOKEN_NUMBER, size);
    }
    if (*p >= 'a' && *p <= 'z') {
        size_t size = 1;
        while (is_digit(p[size]) || is_letter(p[size]) || (p[size] == '.' && p[size + 1] >= 'a' && p[size + 1] <= 'z'))
            size++;
        return take(compiler, TOKEN_NAME, size);
    }
    if (*p == '\'') {
        const char *end = strchr(p + 1, '\'');
        return end ? take(compiler, TOKEN_CODE, (size_t)(end - p) + 1)
                   : compiler_fail(compiler, column(compiler), tr("the quote is not closed", "引号没有闭合"));
    }
    static const char *const pairs[] = {"==", "!=", "<=", ">="};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (strncmp(p, pairs[i], 2) == 0)
            return take(compiler, TOKEN_SIGN, 2);
    if (strchr("<>+-*/(),", *p))
        return take(compiler, TOKEN_SIGN, 1);
    if (*p == '=')
        return compiler_fail(compiler, column(compiler), tr("'=' alone; equality is written '=='", "单独的 '='；相等写作 '=='"));
    if (*p == '[' || *p == '@')
        return compiler_fail(compiler, column(compiler), tr("'%c' belongs to report expressions", "'%c' 只用于报表表达式"), *p);
    if ((unsigned char)*p > 0x7E)
        return compiler_fail(compiler, column(compiler),
                             tr("only ASCII may stand here; codes are written by their id", "此处只能用 ASCII；代码以其 id 书写"));
    return compiler_fail(compiler, column(compiler), tr("'%c' has no meaning here", "'%c' 在此处没有意义"), *p);
}

static bool is(const struct compiler *compiler, enum token token, const char *text)
{
    return compiler->token == token && compiler->token_size == strlen(text) &&
           strncmp(compiler->text + compiler->token_at, text, compiler->token_size) == 0;
}

static int16_t add(struct compiler *compiler, enum expr_node_kind kind, uint8_t op, unsigned at)
{
    if (compiler->count == EXPR_NODES_MAX) {
        compiler_fail(compiler, at, tr("more than %d parts; split the expression", "表达式超过 %d 个成分；请拆分"), EXPR_NODES_MAX);
        return NODE_MISSING;
    }
    struct expr_node *node = &compiler->nodes[compiler->count];
    *node = (struct expr_node){
        .kind = kind, .op = op, .column = (uint16_t)at, .left = NODE_MISSING, .right = NODE_MISSING, .next = NODE_MISSING, .list = -1};
    return compiler->count++;
}

static int16_t parse_or(struct compiler *compiler);

static bool deeper(struct compiler *compiler)
{
    if (compiler->nesting == EXPR_NESTING_MAX)
        return compiler_fail(compiler, column(compiler), tr("nested deeper than %d", "嵌套超过 %d 层"), EXPR_NESTING_MAX);
    compiler->nesting++;
    return true;
}

static bool close_paren(struct compiler *compiler)
{
    if (!is(compiler, TOKEN_SIGN, ")"))
        return compiler_fail(compiler, column(compiler), tr("expected ')'", "应为 ')'"));
    compiler->nesting--;
    return next(compiler);
}

// Digits, and at most four after a point.
static bool number_read(const char *text, size_t size, int64_t *ret)
{
    int64_t value = 0;
    unsigned decimals = 0;
    bool point = false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '.' && !point && i + 1 < size) {
            point = true;
            continue;
        }
        if (!is_digit(text[i]) || (point && ++decimals > 4) || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, text[i] - '0', &value))
            return false;
    }
    for (; decimals < 4; decimals++)
        if (__builtin_mul_overflow(value, 10, &value))
            return false;
    *ret = value;
    return true;
}

static int16_t parse_number(struct compiler *compiler)
{
    const char *text = compiler->text + compiler->token_at;
    size_t size = compiler->token_size;
    struct value duration;
    int64_t number = 0;
    bool is_duration = is_letter(text[size - 1]);
    if (is_duration ? !duration_parse(text, size, &duration) : !number_read(text, size, &number)) {
        compiler_fail(compiler, column(compiler),
                      tr("'%.*s' is no number; expected digits with at most four decimals, or a whole number with m, h, d, w, mo, y or wd",
                         "'%.*s' 不是数；应为至多四位小数的数，或带 m、h、d、w、mo、y、wd 的整数"),
                      (int)size, text);
        return NODE_MISSING;
    }
    int16_t node = add(compiler, NODE_CONSTANT, is_duration ? OP_DURATION : OP_NUMBER, column(compiler));
    if (node != NODE_MISSING) {
        compiler->nodes[node].number = is_duration ? duration.number : number;
        compiler->nodes[node].unit = is_duration ? duration.unit : 0;
    }
    return next(compiler) ? node : NODE_MISSING;
}

static int16_t parse_code(struct compiler *compiler)
{
    int16_t node = add(compiler, NODE_CODE, OP_CODE, column(compiler));
    if (node == NODE_MISSING)
        return node;
    compiler->nodes[node].text = (uint16_t)(compiler->token_at + 1);
    compiler->nodes[node].text_size = (uint16_t)(compiler->token_size - 2);
    return next(compiler) ? node : NODE_MISSING;
}

static bool parse_arguments(struct compiler *compiler, int16_t call)
{
    int16_t last = NODE_MISSING;
    do {
        int16_t argument = next(compiler) ? parse_or(compiler) : NODE_MISSING;
        if (argument == NODE_MISSING)
            return false;
        *(last == NODE_MISSING ? &compiler->nodes[call].left : &compiler->nodes[last].next) = argument;
        compiler->nodes[call].args++;
        last = argument;
    } while (is(compiler, TOKEN_SIGN, ","));
    return true;
}

static int16_t parse_call(struct compiler *compiler, uint16_t at, uint16_t size)
{
    int function = function_find(compiler->text + at, size);
    if (function < 0) {
        compiler_fail(
            compiler, at + 1u,
            tr("unknown function '%.*s'; expected one of: pick known orelse min max abs round days months years size length accuracy "
               "within",
               "未知的函数 '%.*s'；应为其中之一：pick known orelse min max abs round days months years size length accuracy within"),
            (int)size, compiler->text + at);
        return NODE_MISSING;
    }
    int16_t call = add(compiler, NODE_CALL, (uint8_t)function, at + 1u);
    if (call == NODE_MISSING || !deeper(compiler) || !parse_arguments(compiler, call) || !close_paren(compiler))
        return NODE_MISSING;
    const struct function *known = function_of((enum expr_function)function);
    unsigned args = compiler->nodes[call].args;
    bool odd_pick = function == FUNCTION_PICK && args % 2 == 0;
    if (args < known->args_min || args > known->args_max || odd_pick) {
        compiler_fail(compiler, at + 1u,
                      function == FUNCTION_PICK
                          ? tr("pick takes condition, value, ..., else: 3 to 33 arguments, an odd number; here are %u",
                               "pick 的参数为 条件, 值, ……, 否则值：3 至 33 个，且为奇数；此处有 %u 个")
                          : tr("wrong number of arguments: %u", "参数个数不对：%u"),
                      args);
        return NODE_MISSING;
    }
    return call;
}

static int16_t parse_name(struct compiler *compiler)
{
    uint16_t at = compiler->token_at, size = compiler->token_size;
    static const struct {
        const char *word;
        enum expr_node_kind kind;
        enum expr_op op;
    } words[] = {{"true", NODE_CONSTANT, OP_TRUE},
                 {"false", NODE_CONSTANT, OP_FALSE},
                 {"none", NODE_CONSTANT, OP_NONE},
                 {"today", NODE_TODAY, OP_TODAY}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is(compiler, TOKEN_NAME, words[i].word)) {
            int16_t node = add(compiler, words[i].kind, (uint8_t)words[i].op, column(compiler));
            return next(compiler) ? node : NODE_MISSING;
        }
    if (is(compiler, TOKEN_NAME, "and") || is(compiler, TOKEN_NAME, "or") || is(compiler, TOKEN_NAME, "not") ||
        is(compiler, TOKEN_NAME, "has")) {
        compiler_fail(compiler, column(compiler), tr("expected a value before '%.*s'", "'%.*s' 之前应有一个值"), (int)size,
                      compiler->text + at);
        return NODE_MISSING;
    }
    if (!next(compiler))
        return NODE_MISSING;
    if (is(compiler, TOKEN_SIGN, "("))
        return parse_call(compiler, at, size);
    int16_t node = add(compiler, NODE_NAME, OP_FIELD, at + 1u);
    if (node != NODE_MISSING) {
        compiler->nodes[node].text = at;
        compiler->nodes[node].text_size = size;
    }
    return node;
}

static int16_t parse_primary(struct compiler *compiler)
{
    switch ((enum token)compiler->token) {
    case TOKEN_NUMBER:
        return parse_number(compiler);
    case TOKEN_CODE:
        return parse_code(compiler);
    case TOKEN_NAME:
        return parse_name(compiler);
    case TOKEN_SIGN:
        if (is(compiler, TOKEN_SIGN, "(")) {
            int16_t inner = deeper(compiler) && next(compiler) ? parse_or(compiler) : NODE_MISSING;
            return inner != NODE_MISSING && close_paren(compiler) ? inner : NODE_MISSING;
        }
        break;
    case TOKEN_END:
        break;
    }
    compiler_fail(
        compiler, column(compiler),
        tr("expected a value (a name, number, 'code', function or parenthesis)", "此处应有一个值（名称、数、'代码'、函数或括号）"));
    return NODE_MISSING;
}

static int16_t parse_unary(struct compiler *compiler, uint8_t op, int16_t (*inner)(struct compiler *))
{
    unsigned at = column(compiler);
    if (!next(compiler))
        return NODE_MISSING;
    int16_t operand = inner(compiler);
    int16_t node = operand == NODE_MISSING ? NODE_MISSING : add(compiler, NODE_UNARY, op, at);
    if (node != NODE_MISSING)
        compiler->nodes[node].left = operand;
    return node;
}

static int16_t parse_factor(struct compiler *compiler)
{
    return is(compiler, TOKEN_SIGN, "-") ? parse_unary(compiler, OP_NEGATE, parse_primary) : parse_primary(compiler);
}

struct operator
{
    const char *text;
    enum token token;
    enum expr_op op;
};

// left { operator right }, or at most one of them when `once`.
static int16_t parse_binary(struct compiler *compiler, const struct operator* operators, int16_t (*inner)(struct compiler *), bool once)
{
    int16_t left = inner(compiler);
    while (left != NODE_MISSING) {
        const struct operator* found = operators;
        while (found->text && !is(compiler, found->token, found->text))
            found++;
        if (!found->text)
            break;
        unsigned at = column(compiler);
        int16_t right = next(compiler) ? inner(compiler) : NODE_MISSING;
        int16_t node = right == NODE_MISSING ? NODE_MISSING : add(compiler, NODE_BINARY, (uint8_t)found->op, at);
        if (node == NODE_MISSING)
            return NODE_MISSING;
        compiler->nodes[node].left = left;
        compiler->nodes[node].right = right;
        left = node;
        if (once)
            break;
    }
    return left;
}

static int16_t parse_term(struct compiler *compiler)
{
    static const struct operator operators[] = {{"*", TOKEN_SIGN, OP_MUL}, {"/", TOKEN_SIGN, OP_DIV}, {NULL, TOKEN_END, OP_NONE}};
    return parse_binary(compiler, operators, parse_factor, false);
}

static int16_t parse_sum(struct compiler *compiler)
{
    static const struct operator operators[] = {{"+", TOKEN_SIGN, OP_ADD}, {"-", TOKEN_SIGN, OP_SUB}, {NULL, TOKEN_END, OP_NONE}};
    return parse_binary(compiler, operators, parse_term, false);
}

static int16_t parse_comparison(struct compiler *compiler)
{
    static const struct operator operators[] = {{"==", TOKEN_SIGN, OP_EQ},   {"!=", TOKEN_SIGN, OP_NE}, {"<=", TOKEN_SIGN, OP_LE},
                                                {">=", TOKEN_SIGN, OP_GE},   {"<", TOKEN_SIGN, OP_LT},  {">", TOKEN_SIGN, OP_GT},
                                                {"has", TOKEN_NAME, OP_HAS}, {NULL, TOKEN_END, OP_NONE}};
    return parse_binary(compiler, operators, parse_sum, true);
}

static int16_t parse_not(struct compiler *compiler)
{
    return is(compiler, TOKEN_NAME, "not") ? parse_unary(compiler, OP_NOT, parse_comparison) : parse_comparison(compiler);
}

static int16_t parse_and(struct compiler *compiler)
{
    static const struct operator operators[] = {{"and", TOKEN_NAME, OP_AND}, {NULL, TOKEN_END, OP_NONE}};
    return parse_binary(compiler, operators, parse_not, false);
}

static int16_t parse_or(struct compiler *compiler)
{
    static const struct operator operators[] = {{"or", TOKEN_NAME, OP_OR}, {NULL, TOKEN_END, OP_NONE}};
    return parse_binary(compiler, operators, parse_and, false);
}

int16_t expr_parse(struct compiler *compiler)
{
    int16_t root = next(compiler) ? parse_or(compiler) : NODE_MISSING;
    if (root != NODE_MISSING && compiler->token != TOKEN_END) {
        compiler_fail(compiler, column(compiler),
                      tr("expected an operator or the end (comparisons do not chain)", "此处应为运算符或结尾（比较不能连写）"));
        return NODE_MISSING;
    }
    return root;
}
