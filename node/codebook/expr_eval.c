// Runs a program: postfix, one pass, jumps forward only, a fixed stack. What has no answer is none.
#include <assert.h>

#include "node/codebook/expr_program.h"
#include "node/period.h"

static struct value truth_and(struct value a, struct value b)
{
    bool a_false = a.type == VALUE_BOOL && !a.truth, b_false = b.type == VALUE_BOOL && !b.truth;
    if (a_false || b_false)
        return value_truth(false);
    return a.type == VALUE_BOOL && b.type == VALUE_BOOL ? value_truth(true) : value_none();
}

static struct value truth_or(struct value a, struct value b)
{
    bool a_true = a.type == VALUE_BOOL && a.truth, b_true = b.type == VALUE_BOOL && b.truth;
    if (a_true || b_true)
        return value_truth(true);
    return a.type == VALUE_BOOL && b.type == VALUE_BOOL ? value_truth(false) : value_none();
}

static struct value narrow(__int128 wide) { return wide > INT64_MAX || wide < INT64_MIN ? value_none() : value_number((int64_t)wide); }

// Half away from zero.
static __int128 divide(__int128 a, __int128 b)
{
    __int128 quotient = a / b, rest = a % b;
    __int128 twice = (rest < 0 ? -rest : rest) * 2, size = b < 0 ? -b : b;
    return twice < size ? quotient : quotient + ((a < 0) == (b < 0) ? 1 : -1);
}

static struct value arithmetic(enum expr_op op, int64_t a, int64_t b)
{
    int64_t result;
    switch (op) {
    case OP_ADD:
        return __builtin_add_overflow(a, b, &result) ? value_none() : value_number(result);
    case OP_SUB:
        return __builtin_sub_overflow(a, b, &result) ? value_none() : value_number(result);
    case OP_MUL:
        return narrow(divide((__int128)a * b, NUMBER_SCALE));
    case OP_DIV:
        return b == 0 ? value_none() : narrow(divide((__int128)a * NUMBER_SCALE, b));
    default:
        return value_none();
    }
}

// A day of the month that the new month lacks becomes its last one.
static int32_t add_months(int32_t date, int32_t months)
{
    int32_t month = month_of_days(date), day = date - month_first_day(month);
    int32_t first = month_first_day(month + months), last = month_last_day(month + months);
    return first + day < last ? first + day : last;
}

static struct value move_date(int32_t date, const struct value *duration, int sign)
{
    enum { FAR = 200000 }; // days: no valid date moves further and stays valid
    if (!civil_valid(civil_from_days(date)) || duration->number > FAR || duration->number < -FAR)
        return value_none();
    int32_t n = sign * (int32_t)duration->number, moved = date;
    switch (duration->unit) {
    case 'd':
        moved = date + n;
        break;
    case 'w':
        moved = date + 7 * n;
        break;
    case 'M':
        if (n > 12 * 400 || n < -12 * 400)
            return value_none();
        moved = add_months(date, n);
        break;
    case 'y':
        if (n > 400 || n < -400)
            return value_none();
        moved = civil_add_years(date, n);
        break;
    default: // minutes and hours move no date; working days need a calendar
        return value_none();
    }
    return civil_valid(civil_from_days(moved)) ? (struct value){.type = VALUE_DATE, .date = moved} : value_none();
}

static bool equal(const struct value *a, const struct value *b, bool *ret)
{
    switch (a->type) {
    case VALUE_BOOL:
        *ret = a->truth == b->truth;
        return true;
    case VALUE_NUMBER:
    case VALUE_INSTANT:
        *ret = a->number == b->number;
        return true;
    case VALUE_DATE:
        *ret = a->date == b->date;
        return true;
    case VALUE_CODE:
        *ret = a->code == b->code;
        return true;
    case VALUE_SET:
        *ret = a->set == b->set;
        return true;
    case VALUE_TEXT:
    case VALUE_REF:
    case VALUE_UNIT:
        *ret = bytes_equal(a->text, b->text);
        return true;
    default:
        return false;
    }
}

static struct value compare(enum expr_op op, const struct value *a, const struct value *b)
{
    bool same;
    if (a->type != b->type || a->type == VALUE_NONE)
        return value_none();
    if (op == OP_EQ || op == OP_NE)
        return equal(a, b, &same) ? value_truth(same == (op == OP_EQ)) : value_none();
    int64_t x, y;
    if (a->type == VALUE_DATE) {
        x = a->date;
        y = b->date;
    } else if (a->type == VALUE_NUMBER || a->type == VALUE_INSTANT) {
        x = a->number;
        y = b->number;
    } else
        return value_none();
    switch (op) {
    case OP_LT:
        return value_truth(x < y);
    case OP_LE:
        return value_truth(x <= y);
    case OP_GT:
        return value_truth(x > y);
    default:
        return value_truth(x >= y);
    }
}

struct value value_binary(enum expr_op op, struct value a, struct value b)
{
    switch (op) {
    case OP_AND:
        return truth_and(a, b);
    case OP_OR:
        return truth_or(a, b);
    case OP_EQ:
    case OP_NE:
    case OP_LT:
    case OP_LE:
    case OP_GT:
    case OP_GE:
        return compare(op, &a, &b);
    case OP_HAS:
        return a.type == VALUE_SET && b.type == VALUE_CODE && b.code < LIST_ITEMS_MAX ? value_truth(a.set >> b.code & 1) : value_none();
    default:
        if (a.type == VALUE_DATE && b.type == VALUE_DURATION)
            return op == OP_ADD || op == OP_SUB ? move_date(a.date, &b, op == OP_ADD ? 1 : -1) : value_none();
        return a.type == VALUE_NUMBER && b.type == VALUE_NUMBER ? arithmetic(op, a.number, b.number) : value_none();
    }
}

static struct value unary(enum expr_op op, struct value a)
{
    int64_t number;
    if (op == OP_NOT)
        return a.type == VALUE_BOOL ? value_truth(!a.truth) : value_none();
    return a.type != VALUE_NUMBER || __builtin_sub_overflow((int64_t)0, a.number, &number) ? value_none() : value_number(number);
}

static struct value attribute(const struct codebook *codebook, const struct op *op, struct value code)
{
    const struct list *list = &codebook->lists[op->a];
    return code.type == VALUE_CODE && code.code < list->item_count ? list->items[code.code].attrs[op->small] : value_none();
}

static struct value load(const struct op *op, const struct expr_input *input)
{
    switch ((enum expr_op)op->code) {
    case OP_TRUE:
        return value_truth(true);
    case OP_FALSE:
        return value_truth(false);
    case OP_NUMBER:
        return value_number(op->number);
    case OP_DURATION:
        return (struct value){.type = VALUE_DURATION, .unit = op->small, .number = op->number};
    case OP_CODE:
        return (struct value){.type = VALUE_CODE, .code = (uint16_t)op->number};
    case OP_TODAY:
        return (struct value){.type = VALUE_DATE, .date = input->today};
    case OP_FIELD:
        return input->fields ? input->fields[op->a] : value_none();
    case OP_PROP:
        return input->props ? input->props[op->a] : value_none();
    case OP_PRIOR:
        return input->prior ? input->prior[op->a] : value_none();
    default:
        return value_none();
    }
}

struct value expr_eval(const struct program *program, const struct expr_input *input)
{
    struct value stack[EXPR_STACK_MAX];
    unsigned size = 0;
    for (uint16_t at = 0; at < program->op_count; at++) {
        const struct op *op = &program->ops[at];
        switch ((enum expr_op)op->code) {
        case OP_ATTR:
            stack[size - 1] = attribute(program->codebook, op, stack[size - 1]);
            break;
        case OP_NEGATE:
        case OP_NOT:
            stack[size - 1] = unary((enum expr_op)op->code, stack[size - 1]);
            break;
        case OP_AND:
        case OP_OR:
        case OP_EQ:
        case OP_NE:
        case OP_LT:
        case OP_LE:
        case OP_GT:
        case OP_GE:
        case OP_HAS:
        case OP_ADD:
        case OP_SUB:
        case OP_MUL:
        case OP_DIV:
            size--;
            stack[size - 1] = value_binary((enum expr_op)op->code, stack[size - 1], stack[size]);
            break;
        case OP_CALL:
            size -= op->small;
            stack[size] = function_apply((enum expr_function)op->a, &stack[size]);
            size++;
            break;
        case OP_JUMP_UNLESS:
            size--;
            if (stack[size].type != VALUE_BOOL || !stack[size].truth)
                at = (uint16_t)(op->a - 1);
            break;
        case OP_JUMP:
            at = (uint16_t)(op->a - 1);
            break;
        default:
            assert(size < EXPR_STACK_MAX); // expr_emit counted
            stack[size++] = load(op, input);
        }
    }
    assert(size == 1);
    return stack[0];
}
