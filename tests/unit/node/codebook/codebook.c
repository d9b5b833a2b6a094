#include "tests/unit/node/codebook/fixture.h"

static struct codebook *codebook;

static int setup(void **state)
{
    if (fixture_setup(state))
        return -1;
    codebook = fixture_load(NULL, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    codebook_destroy(codebook);
    return 0;
}

static void names(void **state)
{
    (void)state;
    assert_int_equal(codebook_tier(codebook, "village"), 2);
    assert_int_equal(codebook_tier(codebook, "city"), -1);
    assert_int_equal(codebook_list(codebook, "colour"), 2);
    assert_int_equal(codebook_list(codebook, ""), -1);
    assert_int_equal(codebook_reg(codebook, "unit"), 1);
    assert_int_equal(codebook_form(codebook, "visit"), 0);
    assert_int_equal(codebook_form(codebook, "children"), -1);
    assert_int_equal(codebook_indicator(codebook, "children"), 3);
    assert_int_equal(list_item(&codebook->lists[2], "green"), 2);
    assert_int_equal(list_item(&codebook->lists[2], "gree"), -1);
    assert_int_equal(form_field(&codebook->forms[0], "n"), 1);
    assert_int_equal(reg_prop(&codebook->regs[0], "sex"), 2);
    language_set(LANGUAGE_ZH);
    assert_string_equal(label_text(&codebook->indicators[3].label), "在册");
    language_set(LANGUAGE_EN);
    assert_string_equal(label_text(&codebook->indicators[3].label), "on file");
}

static void members_of(const char *id, int dim, const char *const *expected, uint32_t count)
{
    const struct indicator *indicator = &codebook->indicators[codebook_indicator(codebook, id)];
    const struct dimension *dimension = &indicator->dims[dim];
    assert_int_equal(dimension->radix, count);
    for (uint32_t i = 0; i < count; i++) {
        char text[NAME_MAX_BYTES + 1];
        dimension_member(codebook, indicator, dimension, i, text);
        assert_string_equal(text, expected[i]);
        assert_int_equal(dimension_member_find(codebook, indicator, dimension, expected[i]), i);
    }
    assert_int_equal(dimension_member_find(codebook, indicator, dimension, "nothing"), -1);
}

static void members(void **state)
{
    (void)state;
    static const char *const category[] = {"*", "_", "orphan", "left_behind", "disabled"},
                             *const age[] = {"*", "_", "0-2", "3-6", "7-17", "18+"}, *const lead[] = {"*", "_", "civil", "league"};
    members_of("children", 0, category, 5);
    members_of("children", 3, age, 6);
    members_of("visits", 1, lead, 4);
    members_of("visits", 2, age, 6);
    members_of("red_share", 2, age, 6); // a ratio has the dimensions of its parts
    assert_true(codebook->indicators[codebook_indicator(codebook, "visits")].dims[1].multi);
}

static void narrow_bands(void **state)
{
    (void)state;
    struct codebook *old = codebook;
    codebook = fixture_load("at: [3, 7, 18]", "at: [1, 2, 18]");
    static const char *const age[] = {"*", "_", "0", "1", "2-17", "18+"};
    members_of("children", 3, age, 6);
    codebook_destroy(codebook);
    codebook = old;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names), cmocka_unit_test(members), cmocka_unit_test(narrow_bands)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
