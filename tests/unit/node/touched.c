// The set of subjects that a transaction touches.
#include "tests/unit/node/village.h"

#include "node/touched.h"

static struct record *make(const struct village *village, struct arena *arena, const char *form, uint8_t id, uint32_t revision, int32_t at)
{
    struct record *record = arena_alloc(arena, sizeof *record);
    struct value *values = arena_alloc(arena, FIELDS_MAX * sizeof *values);
    assert_true(record && values);
    memset(values, 0, FIELDS_MAX * sizeof *values);
    *record = (struct record){.id = {id},
                              .revision = revision,
                              .form = (uint16_t)codebook_form(village->codebook, form),
                              .at = at,
                              .recorded_ms = id,
                              .unit = "V1",
                              .unit_from = village->units->items[village->desk.unit].from,
                              .custodian = "V1",
                              .person = "",
                              .post = "",
                              .reason = "",
                              .values = values};
    return record;
}

static void many_subjects_are_found_again(void **state)
{
    struct village *village = *state;
    struct arena arena = {0};
    struct touched_set set = {.arena = &arena};
    struct touched *touched[200], *again;
    for (unsigned i = 0; i < 200; i++) {
        const uint8_t id[SUBJECT_ID_SIZE] = {0, 0, 0, 0, 0, 0, 0, (uint8_t)(i % 3), (uint8_t)i}; // three chains of collisions
        assert_int_equal(touched_find(&set, &village->desk, id, 0, &touched[i], &village->error), OK);
        assert_false(touched[i]->known);
    }
    unsigned count = 0;
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(touched_find(&set, &village->desk, touched[i]->id, 0, &again, &village->error), OK);
        assert_ptr_equal(again, touched[i]);
    }
    for (struct touched *t = set.first; t; t = t->next)
        assert_ptr_equal(t, touched[count++]);
    assert_int_equal(count, 200);
    assert_int_equal(touched_find(&set, &village->desk, touched[0]->id, 1, &again, &village->error), ERR_INPUT);
    const uint8_t other[SUBJECT_ID_SIZE] = {9};
    assert_null(touched_at(&set, other));
    arena_finish(&arena);
}

static void records_keep_their_order(void **state)
{
    struct village *village = *state;
    struct arena arena = {0};
    struct touched_set set = {.arena = &arena};
    struct touched *touched;
    const uint8_t id[SUBJECT_ID_SIZE] = {5};
    assert_int_equal(touched_find(&set, &village->desk, id, 0, &touched, &village->error), OK);
    static const int32_t days[] = {30, 10, 20, 40, 5};
    for (uint8_t i = 0; i < 5; i++)
        assert_int_equal(
            touched_put(&set, &village->desk, touched, make(village, &arena, "visit", (uint8_t)(i + 1), 1, days[i]), &village->error), OK);
    assert_false(touched->slow); // new records of a form that keeps nothing
    assert_string_equal(touched->custodian, "V1");
    for (uint32_t i = 1; i < touched->count; i++)
        assert_true(touched->records[i - 1].now->at < touched->records[i].now->at);
    // a correction moves it to another day
    struct record *moved = make(village, &arena, "visit", 2, 2, 25);
    assert_int_equal(touched_put(&set, &village->desk, touched, moved, &village->error), OK);
    assert_true(touched->slow);
    assert_int_equal(touched->count, 5);
    assert_ptr_equal(touched->records[2].now, moved);
    assert_null(touched->records[2].before); // it was new in this transaction
    struct history history;
    assert_true(touched_history(&set, &village->desk, touched, true, &history));
    assert_int_equal(history.count, 0);
    assert_true(touched_history(&set, &village->desk, touched, false, &history));
    assert_int_equal(history.count, 5);
    arena_finish(&arena);
}

static void what_was_before_comes_from_the_store(void **state)
{
    struct village *village = *state;
    struct arena arena = {0};
    struct touched_set set = {.arena = &arena};
    struct touched *touched;
    struct history history;
    assert_int_equal(
        village_submit(
            village, "file",
            "[{\"key\":\"1\",\"since\":\"2024-03-05\",\"state\":\"active\"},{\"key\":\"1\",\"since\":\"2024-01-05\",\"state\":\"active\"}]",
            NULL),
        OK);
    struct record_result result = village->results[0];
    assert_int_equal(touched_find(&set, &village->desk, result.subject, -1, &touched, &village->error), OK);
    assert_true(touched->known);
    assert_int_equal(touched->reg, 0);
    assert_int_equal(touched->count, 2);
    struct record *moved = make(village, &arena, "file", 0, 2, 19000); // before both
    memcpy(moved->id, result.record, RECORD_ID_SIZE);
    assert_int_equal(touched_put(&set, &village->desk, touched, moved, &village->error), OK);
    assert_true(touched_history(&set, &village->desk, touched, true, &history));
    assert_int_equal(history.count, 2);
    assert_int_equal(history.records[0]->at, day_of("2024-01-05"));
    assert_int_equal(history.records[1]->at, day_of("2024-03-05"));
    assert_true(touched_history(&set, &village->desk, touched, false, &history));
    assert_ptr_equal(history.records[0], moved);
    arena_finish(&arena);
}

static void memory_has_a_limit(void **state)
{
    struct village *village = *state;
    struct arena arena = {.limit = 4096};
    struct touched_set set = {.arena = &arena};
    struct touched *touched;
    enum error_code code = OK;
    for (unsigned i = 0; i < 1000 && code == OK; i++) {
        const uint8_t id[SUBJECT_ID_SIZE] = {(uint8_t)(i >> 8), (uint8_t)i};
        code = touched_find(&set, &village->desk, id, 0, &touched, &village->error);
    }
    assert_int_equal(code, ERR_LIMIT);
    arena_finish(&arena);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, village_setup_begun, village_teardown)
    const struct CMUnitTest tests[] = {test(many_subjects_are_found_again), test(records_keep_their_order),
                                       test(what_was_before_comes_from_the_store), test(memory_has_a_limit)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
