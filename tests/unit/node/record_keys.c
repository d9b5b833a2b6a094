// Whose key seals a section, who is granted it, how far it goes.
#include "tests/unit/node/village.h"

#include "node/record_keys.h"

static const struct form *form_named(const struct village *village, const char *id)
{
    return &village->codebook->forms[codebook_form(village->codebook, id)];
}

static void owners(void **state)
{
    struct village *village = *state;
    const uint8_t none[SUBJECT_ID_SIZE] = {0}, child[SUBJECT_ID_SIZE] = {4};
    const struct form *report = form_named(village, "report"), *money = form_named(village, "money"), *visit = form_named(village, "visit");
    struct key_owner own = key_owner_of(&village->desk, visit, SECTION_OWN, child), body = key_owner_of(&village->desk, visit, 0, child);
    assert_memory_equal(own.id, child, sizeof child);
    assert_memory_equal(body.id, child, sizeof child);
    assert_true(own.parent && body.parent);
    assert_int_equal(own.tiers, body.tiers);
    // without a subject the form has the key
    struct key_owner facts = key_owner_of(&village->desk, report, 0, none), cash = key_owner_of(&village->desk, money, 0, none);
    assert_memory_not_equal(facts.id, cash.id, sizeof none);
    assert_memory_not_equal(facts.id, none, sizeof none);
    // what only the county may read has a key that the township never gets
    struct key_owner reporter = key_owner_of(&village->desk, report, 1, none);
    assert_memory_not_equal(reporter.id, facts.id, sizeof none);
    assert_false(reporter.parent);
    // at the township the same section goes straight to its parent
    village->desk.ancestors = village->ancestors + 1;
    village->desk.ancestor_count = 1;
    reporter = key_owner_of(&village->desk, report, 1, none);
    assert_true(reporter.parent);
}

static void reach_ends_at_the_highest_reader(void **state)
{
    struct village *village = *state;
    struct desk *desk = &village->desk;
    assert_int_equal(section_reach(desk, form_named(village, "visit"), SECTION_OWN), 1);
    assert_int_equal(section_reach(desk, form_named(village, "assess"), 0), 2);
    assert_int_equal(section_reach(desk, form_named(village, "report"), 1), 2);
    assert_int_equal(section_reach(desk, form_named(village, "report"), 0), 1);
    desk->self = &village->ancestors[0]; // the township's own visit: its parent holds the ciphertext
    desk->ancestors = village->ancestors + 1;
    desk->ancestor_count = 1;
    assert_int_equal(section_reach(desk, form_named(village, "visit"), 0), 1);
    assert_int_equal(section_reach(desk, form_named(village, "assess"), 0), 1);
    desk->ancestor_count = 0;
    assert_int_equal(section_reach(desk, form_named(village, "assess"), 0), 0);
    desk->self = &village->self;
}

static void keys_are_made_once_and_granted_as_needed(void **state)
{
    struct village *village = *state;
    struct key_owner owner = {.id = {3}, .tiers = 1u << 1 | 1u << 2, .parent = true}; // township, village
    struct key_plan plan, again;
    struct symmetric_key key;
    assert_int_equal(key_prepare(&village->desk, &owner, NULL, &plan, &village->error), OK);
    assert_true(plan.fresh);
    assert_int_equal(plan.grants, 1);
    assert_int_equal(plan.row.edge, EDGE_NONE);
    assert_true(keyring_find(village->keyring, &plan.row.key, &key));
    subject_write(village->desk.txn, owner.id, &plan.row);
    assert_int_equal(key_prepare(&village->desk, &owner, NULL, &again, &village->error), OK);
    assert_false(again.fresh);
    assert_int_equal(again.grants, 0);
    assert_memory_equal(&again.row.key, &plan.row.key, sizeof plan.row.key);
    owner.tiers |= 1u; // the county, too, now
    assert_int_equal(key_prepare(&village->desk, &owner, &again, &again, &village->error), OK);
    assert_int_equal(again.grants, 2);
    assert_int_equal(again.row.tiers, 7);
    assert_int_equal(keyring_forget(village->keyring, &plan.row.key, &village->error), OK);
    assert_int_equal(key_prepare(&village->desk, &owner, NULL, &again, &village->error), ERR_REFUSED);
}

static void a_row_without_a_key_gets_one(void **state)
{
    struct village *village = *state;
    struct key_owner owner = {.id = {3}, .parent = true};
    struct subject_row row = {.edge = 77};
    struct key_plan plan;
    subject_write(village->desk.txn, owner.id, &row);
    assert_int_equal(key_prepare(&village->desk, &owner, NULL, &plan, &village->error), OK);
    assert_true(plan.fresh && plan.grants == 1);
    assert_int_equal(plan.row.edge, 77); // what it knew stays
}

static void a_vanished_key_is_not_granted(void **state)
{
    struct village *village = *state;
    struct key_id id = {{1}};
    key_grant(&village->desk, &id, 0);
    assert_int_equal(txn_error(village->desk.txn), ERR_STATE);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, village_setup_begun, village_teardown)
    const struct CMUnitTest tests[] = {test(owners), test(reach_ends_at_the_highest_reader), test(keys_are_made_once_and_granted_as_needed),
                                       test(a_row_without_a_key_gets_one), test(a_vanished_key_is_not_granted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
