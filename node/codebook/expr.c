#include "node/codebook/expr.h"

#include <stdlib.h>

#include "node/codebook/expr_tree.h"
#include "relay/language.h"

enum error_code expr_compile(const char *text, const struct expr_scope *scope, enum value_type wanted, int list, struct program **ret,
                             enum value_type *ret_type, struct error *error)
{
    if (scope->context == EXPR_REPORT)
        return error_set(error, ERR_INPUT, tr("report expressions are not part of grammar 1", "语法 1 没有报表表达式"));
    if (strlen(text) > EXPR_TEXT_MAX)
        return error_set(error, ERR_INPUT,
                         tr("column %d: longer than %d bytes; split the expression", "第 %d 列：超过 %d 字节；请拆分表达式"),
                         EXPR_TEXT_MAX + 1, EXPR_TEXT_MAX);
    struct compiler compiler = {.text = text, .scope = scope, .error = error};
    int16_t root = expr_parse(&compiler);
    if (root == NODE_MISSING || !expr_type_root(&compiler, root, wanted, list))
        return compiler.code;
    enum value_type type = compiler.nodes[root].type;
    enum error_code code = expr_emit(&compiler, root, ret, error);
    if (code == OK && ret_type)
        *ret_type = type;
    return code;
}

void expr_destroy(struct program *program)
{
    if (!program)
        return;
    free(program->text);
    free(program);
}

const char *expr_text(const struct program *program) { return program->text; }
