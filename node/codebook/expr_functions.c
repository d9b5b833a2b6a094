// The closed table of functions. Integers only: two CPUs must give the same figure.
#include <string.h>

#include "node/codebook/expr_program.h"
#include "node/period.h"

static const struct function functions[FUNCTION_COUNT] = {
    [FUNCTION_PICK] = {"pick", 3, 2 * EXPR_PAIRS_MAX + 1},
    [FUNCTION_KNOWN] = {"known", 1, 1},
    [FUNCTION_ORELSE] = {"orelse", 2, 2},
    [FUNCTION_MIN] = {"min", 2, 2},
    [FUNCTION_MAX] = {"max", 2, 2},
    [FUNCTION_ABS] = {"abs", 1, 1},
    [FUNCTION_ROUND] = {"round", 2, 2},
    [FUNCTION_DAYS] = {"days", 2, 2},
    [FUNCTION_MONTHS] = {"months", 2, 2},
    [FUNCTION_YEARS] = {"years", 2, 2},
    [FUNCTION_SIZE] = {"size", 1, 1},
    [FUNCTION_LENGTH] = {"length", 1, 1},
    [FUNCTION_ACCURACY] = {"accuracy", 1, 1},
    [FUNCTION_WITHIN] = {"within", 3, 3},
    [FUNCTION_SUM] = {"sum", 1, 1},
};

const struct function *function_of(enum expr_function function) { return &functions[function]; }

int function_find(const char *name, size_t size)
{
    for (int i = 0; i < FUNCTION_COUNT; i++)
        if (strlen(functions[i].name) == size && memcmp(functions[i].name, name, size) == 0)
            return i;
    return -1;
}

static const struct {
    const char *suffix;
    uint8_t unit;
} units[] = {{"m", 'm'}, {"h", 'h'}, {"d", 'd'}, {"w", 'w'}, {"mo", 'M'}, {"y", 'y'}, {"wd", 'W'}};

bool duration_parse(const char *text, size_t size, struct value *ret)
{
    int64_t number = 0;
    size_t digits = 0;
    for (; digits < size && text[digits] >= '0' && text[digits] <= '9'; digits++)
        if (digits == 6) // 999,999 minutes are two years, and every other unit reaches further
            return false;
        else
            number = number * 10 + (text[digits] - '0');
    if (digits == 0)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strlen(units[i].suffix) == size - digits && memcmp(units[i].suffix, text + digits, size - digits) == 0) {
            *ret = (struct value){.type = VALUE_DURATION, .unit = units[i].unit, .number = number};
            return true;
        }
    return false;
}

const char *duration_suffix(uint8_t unit)
{
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i].unit == unit)
            return units[i].suffix;
    return "";
}

static struct value whole(int64_t number)
{
    int64_t scaled;
    return __builtin_mul_overflow(number, NUMBER_SCALE, &scaled) ? value_none() : value_number(scaled);
}

static struct value of_dates(enum expr_function function, const struct value *a, const struct value *b)
{
    if (a->type != VALUE_DATE || b->type != VALUE_DATE)
        return value_none();
    struct civil from = civil_from_days(a->date), to = civil_from_days(b->date);
    if (!civil_valid(from) || !civil_valid(to))
        return value_none();
    if (function == FUNCTION_DAYS)
        return whole((int64_t)b->date - a->date);
    return whole(function == FUNCTION_MONTHS ? civil_months(a->date, b->date) : civil_years(a->date, b->date));
}

static struct value absolute(const struct value *x)
{
    int64_t number;
    if (x->type != VALUE_NUMBER)
        return value_none();
    if (x->number >= 0)
        return *x;
    return __builtin_sub_overflow((int64_t)0, x->number, &number) ? value_none() : value_number(number);
}

// Half away from zero.
static struct value rounded(const struct value *x, const struct value *decimals)
{
    static const int64_t steps[] = {10000, 1000, 100, 10, 1};
    if (x->type != VALUE_NUMBER || decimals->type != VALUE_NUMBER)
        return value_none();
    int64_t n = decimals->number / NUMBER_SCALE, number;
    if (n < 0 || n > 4)
        return value_none();
    int64_t rest = x->number % steps[n];
    if (__builtin_sub_overflow(x->number, rest, &number))
        return value_none();
    if (rest * 2 >= steps[n] && __builtin_add_overflow(number, steps[n], &number))
        return value_none();
    if (rest * 2 <= -steps[n] && __builtin_sub_overflow(number, steps[n], &number))
        return value_none();
    return value_number(number);
}

static struct value size_of(const struct value *set)
{
    if (set->type == VALUE_SET)
        return whole(__builtin_popcountll(set->set));
    return set->type == VALUE_REFS ? whole((int64_t)(set->text.size / SUBJECT_ID_SIZE)) : value_none();
}

static struct value length_of(const struct value *text)
{
    if (text->type != VALUE_TEXT)
        return value_none();
    int64_t characters = 0;
    for (size_t i = 0; i < text->text.size; i++)
        characters += (text->text.data[i] & 0xC0) != 0x80;
    return whole(characters);
}

// 1,000,000 * cos of 0, 5, 10 ... 90 degrees; between them a straight line, at most 0.1 % of the equator's value off.
static int64_t cosine_e6(int64_t lat_e6)
{
    static const int32_t table[] = {1000000, 996195, 984808, 965926, 939693, 906308, 866025, 819152, 766044, 707107,
                                    642788,  573576, 500000, 422618, 342020, 258819, 173648, 87156,  0};
    enum { STEP_E6 = 5000000 };
    int64_t lat = lat_e6 < 0 ? -lat_e6 : lat_e6, i = lat / STEP_E6;
    if (i >= 18)
        return 0;
    return table[i] + (table[i + 1] - table[i]) * (lat % STEP_E6) / STEP_E6;
}

static bool on_earth(const struct position *p)
{
    return p->lat_e6 >= -90000000 && p->lat_e6 <= 90000000 && p->lon_e6 >= -180000000 && p->lon_e6 <= 180000000;
}

// Flat distance at the mean latitude on a sphere of 6,371 km (111,195 m a degree): good to 0.5 % over the few kilometres that it is for.
static struct value within(const struct value *a, const struct value *b, const struct value *metres)
{
    if (a->type != VALUE_POSITION || b->type != VALUE_POSITION || metres->type != VALUE_NUMBER)
        return value_none();
    if (!on_earth(&a->position) || !on_earth(&b->position))
        return value_none();
    int64_t lat = (int64_t)a->position.lat_e6 - b->position.lat_e6, lon = (int64_t)a->position.lon_e6 - b->position.lon_e6;
    if (lon > 180000000)
        lon -= 360000000;
    if (lon < -180000000)
        lon += 360000000;
    int64_t cosine = cosine_e6(((int64_t)a->position.lat_e6 + b->position.lat_e6) / 2);
    int64_t y_mm = lat * 111195 / 1000, x_mm = lon * 111195 / 1000 * cosine / 1000000; // at most 2 * 10^10
    int64_t limit_mm = metres->number / 10;
    if (limit_mm < 0)
        return value_truth(false);
    if (limit_mm > 100000000000) // more than twice the way round
        return value_truth(true);
    unsigned __int128 square = (unsigned __int128)((__int128)x_mm * x_mm + (__int128)y_mm * y_mm);
    return value_truth(square <= (unsigned __int128)limit_mm * (unsigned __int128)limit_mm);
}

static struct value lesser(const struct value *a, const struct value *b, bool greater)
{
    struct value less = value_binary(OP_LT, *a, *b);
    if (less.type == VALUE_NONE)
        return value_none();
    return less.truth != greater ? *a : *b;
}

struct value function_apply(enum expr_function function, const struct value *args)
{
    switch (function) {
    case FUNCTION_KNOWN:
        return value_truth(args[0].type != VALUE_NONE);
    case FUNCTION_ORELSE:
        return args[0].type != VALUE_NONE ? args[0] : args[1];
    case FUNCTION_MIN:
    case FUNCTION_MAX:
        return lesser(&args[0], &args[1], function == FUNCTION_MAX);
    case FUNCTION_ABS:
        return absolute(&args[0]);
    case FUNCTION_ROUND:
        return rounded(&args[0], &args[1]);
    case FUNCTION_DAYS:
    case FUNCTION_MONTHS:
    case FUNCTION_YEARS:
        return of_dates(function, &args[0], &args[1]);
    case FUNCTION_SIZE:
        return size_of(&args[0]);
    case FUNCTION_LENGTH:
        return length_of(&args[0]);
    case FUNCTION_ACCURACY:
        return args[0].type == VALUE_POSITION ? whole(args[0].position.accuracy_m) : value_none();
    case FUNCTION_WITHIN:
        return within(&args[0], &args[1], &args[2]);
    case FUNCTION_PICK:
    case FUNCTION_SUM:
    case FUNCTION_COUNT:
        break;
    }
    return value_none();
}
