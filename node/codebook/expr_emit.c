// From the typed tree to the program: postfix operations, and the canonical text that definition hashes are made of.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/codebook/expr_tree.h"
#include "relay/language.h"

static const char *const signs[] = {
    [OP_NEGATE] = "-", [OP_NOT] = "not ", [OP_AND] = "and", [OP_OR] = "or", [OP_EQ] = "==", [OP_NE] = "!=", [OP_LT] = "<",  [OP_LE] = "<=",
    [OP_GT] = ">",     [OP_GE] = ">=",    [OP_HAS] = "has", [OP_ADD] = "+", [OP_SUB] = "-", [OP_MUL] = "*", [OP_DIV] = "/",
};

// ---- canonical text: resolved names, every operation in parentheses, numbers without idle zeros

static void say(struct buffer *buffer, const char *text) { buffer_append(buffer, text, strlen(text)); }

static void say_number(struct buffer *buffer, int64_t scaled)
{
    char text[32];
    int size = snprintf(text, sizeof text, "%" PRId64 ".%04" PRId64, scaled / NUMBER_SCALE, scaled % NUMBER_SCALE);
    while (text[size - 1] == '0')
        size--;
    if (text[size - 1] == '.')
        size--;
    buffer_append(buffer, text, (size_t)size);
}

static void say_name(struct buffer *buffer, const struct expr_scope *scope, const struct name_ref *ref)
{
    if (ref->kind == NAME_PROP) {
        say(buffer, scope->reg->id);
        say(buffer, ".");
        say(buffer, scope->reg->props[ref->index].id);
    } else {
        if (ref->kind == NAME_PRIOR)
            say(buffer, "prior.");
        say(buffer, scope->form->fields[ref->index].id);
    }
    if (ref->attr >= 0) {
        say(buffer, ".");
        say(buffer, scope->codebook->lists[ref->base_list].attrs[ref->attr].id);
    }
}

static void say_constant(struct buffer *buffer, const struct expr_node *node)
{
    char text[32];
    switch ((enum expr_op)node->op) {
    case OP_NUMBER:
        say_number(buffer, node->number);
        return;
    case OP_DURATION:
        snprintf(text, sizeof text, "%" PRId64 "%s", node->number, duration_suffix(node->unit));
        say(buffer, text);
        return;
    default:
        say(buffer, node->op == OP_TRUE ? "true" : node->op == OP_FALSE ? "false" : "none");
    }
}

static void say_node(struct buffer *buffer, const struct compiler *compiler, int16_t index)
{
    const struct expr_node *node = &compiler->nodes[index];
    switch (node->kind) {
    case NODE_CONSTANT:
        say_constant(buffer, node);
        break;
    case NODE_CODE:
        say(buffer, "'");
        say(buffer, compiler->scope->codebook->lists[node->list].items[node->number].id);
        say(buffer, "'");
        break;
    case NODE_TODAY:
        say(buffer, "today");
        break;
    case NODE_NAME:
        say_name(buffer, compiler->scope, &node->ref);
        break;
    case NODE_CALL:
        say(buffer, function_of((enum expr_function)node->op)->name);
        for (int16_t argument = node->left; argument != NODE_MISSING; argument = compiler->nodes[argument].next) {
            say(buffer, argument == node->left ? "(" : ", ");
            say_node(buffer, compiler, argument);
        }
        say(buffer, ")");
        break;
    case NODE_UNARY:
        say(buffer, "(");
        say(buffer, signs[node->op]);
        say_node(buffer, compiler, node->left);
        say(buffer, ")");
        break;
    case NODE_BINARY:
        say(buffer, "(");
        say_node(buffer, compiler, node->left);
        say(buffer, " ");
        say(buffer, signs[node->op]);
        say(buffer, " ");
        say_node(buffer, compiler, node->right);
        say(buffer, ")");
        break;
    }
}

// ---- operations

struct emitter {
    const struct compiler *compiler;
    struct op ops[EXPR_OPS_MAX];
    uint16_t count;
    int depth, deepest; // of the stack
};

// `change`: what the operation does to the size of the stack.
static uint16_t emit(struct emitter *emitter, struct op op, int change)
{
    emitter->ops[emitter->count] = op;
    emitter->depth += change;
    if (emitter->depth > emitter->deepest)
        emitter->deepest = emitter->depth;
    return emitter->count++;
}

static void emit_node(struct emitter *emitter, int16_t index);

static void emit_name(struct emitter *emitter, const struct name_ref *ref)
{
    static const uint8_t loads[] = {[NAME_FIELD] = OP_FIELD, [NAME_PROP] = OP_PROP, [NAME_PRIOR] = OP_PRIOR};
    emit(emitter, (struct op){.code = loads[ref->kind], .a = ref->index}, 1);
    if (ref->attr >= 0)
        emit(emitter, (struct op){.code = OP_ATTR, .small = (uint8_t)ref->attr, .a = (uint16_t)ref->base_list}, 0);
}

// Each value but the last is reached by falling through its condition and left by a jump to the end.
static void emit_pick(struct emitter *emitter, const struct expr_node *pick)
{
    uint16_t ends[EXPR_PAIRS_MAX], count = 0;
    int16_t argument = pick->left;
    for (; emitter->compiler->nodes[argument].next != NODE_MISSING; argument = emitter->compiler->nodes[argument].next) {
        emit_node(emitter, argument);
        uint16_t unless = emit(emitter, (struct op){.code = OP_JUMP_UNLESS}, -1);
        argument = emitter->compiler->nodes[argument].next;
        emit_node(emitter, argument);
        ends[count++] = emit(emitter, (struct op){.code = OP_JUMP}, -1);
        emitter->ops[unless].a = emitter->count;
    }
    emit_node(emitter, argument);
    while (count > 0)
        emitter->ops[ends[--count]].a = emitter->count;
}

static void emit_call(struct emitter *emitter, const struct expr_node *call)
{
    if (call->op == FUNCTION_PICK) {
        emit_pick(emitter, call);
        return;
    }
    for (int16_t argument = call->left; argument != NODE_MISSING; argument = emitter->compiler->nodes[argument].next)
        emit_node(emitter, argument);
    emit(emitter, (struct op){.code = OP_CALL, .small = (uint8_t)call->args, .a = call->op}, 1 - call->args);
}

static void emit_node(struct emitter *emitter, int16_t index)
{
    const struct expr_node *node = &emitter->compiler->nodes[index];
    switch (node->kind) {
    case NODE_CONSTANT:
    case NODE_CODE:
    case NODE_TODAY:
        emit(emitter, (struct op){.code = node->op, .small = node->unit, .number = node->number}, 1);
        break;
    case NODE_NAME:
        emit_name(emitter, &node->ref);
        break;
    case NODE_CALL:
        emit_call(emitter, node);
        break;
    case NODE_UNARY:
        emit_node(emitter, node->left);
        emit(emitter, (struct op){.code = node->op}, 0);
        break;
    case NODE_BINARY:
        emit_node(emitter, node->left);
        emit_node(emitter, node->right);
        emit(emitter, (struct op){.code = node->op}, -1);
        break;
    }
}

enum error_code expr_emit(struct compiler *compiler, int16_t root, struct program **ret, struct error *error)
{
    struct emitter emitter = {.compiler = compiler};
    emit_node(&emitter, root);
    if (emitter.deepest > EXPR_STACK_MAX) {
        compiler_fail(compiler, 1, tr("needs more than %d values at once; split the expression", "同时需要的值超过 %d 个；请拆分表达式"),
                      EXPR_STACK_MAX);
        return compiler->code;
    }
    struct program *program = malloc(sizeof *program + emitter.count * sizeof *emitter.ops);
    struct buffer text = {0};
    say_node(&text, compiler, root);
    buffer_append(&text, "", 1);
    if (!program || text.failed) {
        free(program);
        buffer_finish(&text);
        return error_set(error, ERR_MEMORY, "%s", tr("expression", "表达式"));
    }
    *program = (struct program){.codebook = compiler->scope->codebook, .text = (char *)text.data, .op_count = emitter.count};
    memcpy(program->ops, emitter.ops, emitter.count * sizeof *emitter.ops);
    *ret = program;
    return OK;
}
