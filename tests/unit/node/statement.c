#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/statement.h"
#include "record.pb-c.h"
#include "relay/codec.h"

static struct statement sample(const uint32_t *cells, const int64_t *values, uint32_t count)
{
    struct statement statement = {.unit = "321081100001",
                                  .unit_from = 17897,
                                  .term = 3,
                                  .period = {SANJI__PERIOD_TYPE__MONTH, 2023 * 12 + 4},
                                  .scope = SANJI__SCOPE__OWN,
                                  .basis = SANJI__BASIS__COMPUTED,
                                  .extent = SANJI__EXTENT__FULL,
                                  .cells = cells,
                                  .values = values,
                                  .count = count};
    memset(statement.definition.bytes, 7, HASH_SIZE);
    return statement;
}

static enum error_code decode(const struct statement *statement, struct arena *arena, struct statement *ret, struct error *error)
{
    struct buffer wire = {0};
    statement_encode(statement, &wire);
    assert_false(wire.failed);
    enum error_code code = statement_decode(buffer_bytes(&wire), arena, ret, error);
    buffer_finish(&wire);
    return code;
}

static void decodes_what_it_encoded(void **context)
{
    (void)context;
    static const uint32_t cells[] = {0, 63, 64, 65535};
    static const int64_t values[] = {1, -5, INT64_MAX, INT64_MIN};
    struct statement in = sample(cells, values, 4), out;
    struct arena arena = {0};
    struct error error = {0};
    assert_int_equal(decode(&in, &arena, &out, &error), OK);
    assert_memory_equal(&in.definition, &out.definition, sizeof in.definition);
    assert_string_equal(out.unit, in.unit);
    assert_int_equal(out.unit_from, in.unit_from);
    assert_int_equal(out.term, in.term);
    assert_int_equal(out.period.type, in.period.type);
    assert_int_equal(out.period.number, in.period.number);
    assert_int_equal(out.scope, in.scope);
    assert_int_equal(out.basis, in.basis);
    assert_int_equal(out.extent, in.extent);
    assert_int_equal(out.count, 4);
    assert_memory_equal(out.cells, cells, sizeof cells);
    assert_memory_equal(out.values, values, sizeof values);
    arena_finish(&arena);
}

static void the_largest_statement_fits(void **context)
{
    (void)context;
    uint32_t *cells = malloc(STATEMENT_CELLS_MAX * sizeof *cells);
    int64_t *values = malloc(STATEMENT_CELLS_MAX * sizeof *values);
    for (uint32_t i = 0; i < STATEMENT_CELLS_MAX; i++) {
        cells[i] = 65536 - STATEMENT_CELLS_MAX + i;
        values[i] = INT64_MIN;
    }
    struct statement in = sample(cells, values, STATEMENT_CELLS_MAX), out;
    struct arena arena = {0};
    struct error error = {0};
    struct buffer wire = {0};
    statement_encode(&in, &wire);
    assert_true(wire.size <= STATEMENT_SIZE_MAX);
    assert_int_equal(statement_decode(buffer_bytes(&wire), &arena, &out, &error), OK);
    assert_int_equal(out.count, STATEMENT_CELLS_MAX);
    buffer_finish(&wire);
    arena_finish(&arena);
    free(cells);
    free(values);
}

static void too_many_cells_are_a_limit(void **context)
{
    (void)context;
    enum { MANY = STATEMENT_CELLS_MAX + 1 };
    uint32_t *cells = malloc(MANY * sizeof *cells);
    int64_t *values = calloc(MANY, sizeof *values);
    for (uint32_t i = 0; i < MANY; i++)
        cells[i] = i;
    Sanji__Statement message = SANJI__STATEMENT__INIT;
    uint8_t definition[HASH_SIZE] = {1};
    message.definition = (ProtobufCBinaryData){HASH_SIZE, definition};
    message.unit = (char *)"1";
    message.term = 1;
    message.period_type = SANJI__PERIOD_TYPE__YEAR;
    message.period = 2023;
    message.scope = SANJI__SCOPE__OWN;
    message.basis = SANJI__BASIS__COMPUTED;
    message.extent = SANJI__EXTENT__FULL;
    message.n_cells = message.n_values = MANY;
    message.cells = cells;
    message.values = values;
    struct buffer wire = {0};
    codec_pack(&message, &wire);
    struct arena arena = {0};
    struct statement out;
    struct error error = {0};
    assert_int_equal(statement_decode(buffer_bytes(&wire), &arena, &out, &error), ERR_LIMIT);
    buffer_finish(&wire);
    arena_finish(&arena);
    free(cells);
    free(values);
}

// Each case breaks one bound of a message that is otherwise right.
static uint8_t bytes32[32] = {9};
static void no_definition(Sanji__Statement *m) { m->definition.len = 0; }
static void short_definition(Sanji__Statement *m) { m->definition.len = 31; }
static void no_unit(Sanji__Statement *m) { m->unit = (char *)""; }
static void long_unit(Sanji__Statement *m) { m->unit = (char *)"123456789012345678901234567890123"; }
static void no_term(Sanji__Statement *m) { m->term = 0; }
static void no_period_type(Sanji__Statement *m) { m->period_type = SANJI__PERIOD_TYPE__PERIOD_NONE; }
static void old_period(Sanji__Statement *m) { m->period = 1900 * 12 - 1; }
static void far_period(Sanji__Statement *m) { m->period = 2200 * 12; }
static void no_scope(Sanji__Statement *m) { m->scope = SANJI__SCOPE__SCOPE_NONE; }
static void no_basis(Sanji__Statement *m) { m->basis = SANJI__BASIS__BASIS_NONE; }
static void no_extent(Sanji__Statement *m) { m->extent = SANJI__EXTENT__EXTENT_NONE; }
static void empty_patch(Sanji__Statement *m)
{
    m->extent = SANJI__EXTENT__PATCH;
    m->n_cells = m->n_values = 0;
}
static void unequal(Sanji__Statement *m) { m->n_values = 1; }
static void not_ascending(Sanji__Statement *m) { m->cells[1] = m->cells[0]; }
static void cell_too_large(Sanji__Statement *m) { m->cells[1] = 65536; }
static void inputs_of_own(Sanji__Statement *m) { m->inputs = (ProtobufCBinaryData){32, bytes32}; }
static void below_without_inputs(Sanji__Statement *m) { m->scope = SANJI__SCOPE__BELOW; }

static void every_bound_is_checked(void **context)
{
    (void)context;
    static void (*const breaks[])(Sanji__Statement *) = {no_definition,  short_definition,    no_unit,    long_unit,     no_term,
                                                         no_period_type, old_period,          far_period, no_scope,      no_basis,
                                                         no_extent,      empty_patch,         unequal,    not_ascending, cell_too_large,
                                                         inputs_of_own,  below_without_inputs};
    for (size_t i = 0; i <= sizeof breaks / sizeof breaks[0]; i++) {
        uint32_t cells[2] = {1, 2};
        int64_t values[2] = {3, 4};
        Sanji__Statement message = SANJI__STATEMENT__INIT;
        message.definition = (ProtobufCBinaryData){HASH_SIZE, bytes32};
        message.unit = (char *)"321081";
        message.term = 1;
        message.period_type = SANJI__PERIOD_TYPE__MONTH;
        message.period = 2023 * 12;
        message.scope = SANJI__SCOPE__OWN;
        message.basis = SANJI__BASIS__COMPUTED;
        message.extent = SANJI__EXTENT__FULL;
        message.n_cells = message.n_values = 2;
        message.cells = cells;
        message.values = values;
        bool broken = i < sizeof breaks / sizeof breaks[0];
        if (broken)
            breaks[i](&message);
        struct buffer wire = {0};
        codec_pack(&message, &wire);
        struct arena arena = {0};
        struct statement out = {.term = 99};
        struct error error = {0};
        assert_int_equal(statement_decode(buffer_bytes(&wire), &arena, &out, &error), broken ? ERR_INPUT : OK);
        assert_int_equal(out.term, broken ? 99 : 1); // untouched on failure
        assert_int_equal(error.detail[0] != 0, broken);
        buffer_finish(&wire);
        arena_finish(&arena);
    }
}

static void fault_46_bytes_that_are_not_canonical_are_refused(void **context)
{
    (void)context;
    static const uint32_t cells[] = {1};
    static const int64_t values[] = {2};
    struct statement in = sample(cells, values, 1), out;
    in.extent = SANJI__EXTENT__PATCH; // so that the cells are needed too
    struct buffer wire = {0};
    statement_encode(&in, &wire);
    struct arena arena = {0};
    struct error error = {0};
    for (size_t cut = 0; cut < wire.size; cut++) {
        struct bytes part = bytes_of(wire.data, cut);
        enum error_code code = statement_decode(part, &arena, &out, &error);
        assert_int_not_equal(code, OK); // every field is needed
    }
    static const uint8_t unknown[] = {0x98, 0x06, 0x01}; // field 99
    buffer_append(&wire, unknown, sizeof unknown);
    assert_int_equal(statement_decode(buffer_bytes(&wire), &arena, &out, &error), ERR_INPUT);
    buffer_finish(&wire);
    arena_finish(&arena);
}

static void completes_travel_too(void **context)
{
    (void)context;
    struct complete in = {.unit = "3210", .unit_from = 5, .term = 2, .through = {SANJI__PERIOD_TYPE__MONTH, 2023 * 12}, .head = 12}, out;
    struct arena arena = {0};
    struct error error = {0};
    struct buffer wire = {0};
    complete_encode(&in, &wire);
    assert_int_equal(complete_decode(buffer_bytes(&wire), &arena, &out, &error), OK);
    assert_string_equal(out.unit, "3210");
    assert_int_equal(out.unit_from, 5);
    assert_int_equal(out.term, 2);
    assert_int_equal(out.through.number, 2023 * 12);
    assert_int_equal(out.head, 12);
    static const struct complete broken[] = {
        {.unit = "", .term = 2, .through = {SANJI__PERIOD_TYPE__MONTH, 2023 * 12}},
        {.unit = "1", .term = 0, .through = {SANJI__PERIOD_TYPE__MONTH, 2023 * 12}},
        {.unit = "1", .term = 2, .through = {SANJI__PERIOD_TYPE__MONTH, 5}},
        {.unit = "1", .term = 2, .through = {SANJI__PERIOD_TYPE__PERIOD_NONE, 2023 * 12}},
    };
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        buffer_clear(&wire);
        complete_encode(&broken[i], &wire);
        assert_int_equal(complete_decode(buffer_bytes(&wire), &arena, &out, &error), ERR_INPUT);
    }
    buffer_finish(&wire);
    arena_finish(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_what_it_encoded),
        cmocka_unit_test(the_largest_statement_fits),
        cmocka_unit_test(too_many_cells_are_a_limit),
        cmocka_unit_test(every_bound_is_checked),
        cmocka_unit_test(fault_46_bytes_that_are_not_canonical_are_refused),
        cmocka_unit_test(completes_travel_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
