#include "tests/unit/relay/journal_fixture.h"

static void test_objects(void **state)
{
    struct hash one = a_hash(1), two = a_hash(2), empty = a_hash(3);
    enum object_kind kind = OBJECT_DOCUMENT;
    struct bytes content = {0};
    size_t size = 3 * 1024 * 1024;
    uint8_t *document = malloc(size);
    memset(document, 0xD0, size);
    struct txn *txn = fixture_begin(*state, true);
    assert_false(object_read(txn, &one, &kind, &content));
    object_add(txn, &one, OBJECT_CERTIFICATE, bytes_of_text("certificate"));
    object_add(txn, &two, OBJECT_DOCUMENT, bytes_of(document, size));
    object_add(txn, &empty, OBJECT_DOCUMENT, (struct bytes){0});
    object_add(txn, &one, OBJECT_DOCUMENT, bytes_of_text("something else")); // its hash says that it is the same
    fixture_commit(txn);
    txn = fixture_begin(*state, false);
    assert_true(object_read(txn, &one, &kind, &content));
    assert_int_equal(kind, OBJECT_CERTIFICATE);
    assert_true(bytes_equal(content, bytes_of_text("certificate")));
    assert_true(object_read(txn, &two, &kind, &content));
    assert_int_equal(kind, OBJECT_DOCUMENT);
    assert_true(bytes_equal(content, bytes_of(document, size)));
    assert_true(object_read(txn, &empty, &kind, &content));
    assert_int_equal(content.size, 0);
    txn_abort(txn);
    free(document);
}

static void fault_10_damaged_object_is_seen(void **state)
{
    struct hash one = a_hash(1);
    enum object_kind kind;
    struct bytes content;
    struct txn *txn = fixture_begin(*state, true);
    object_add(txn, &one, OBJECT_CERTIFICATE, bytes_of_text("certificate"));
    fixture_commit(txn);
    damage(*state, TABLE_OBJECTS);
    txn = fixture_begin(*state, true);
    assert_true(object_read(txn, &one, &kind, &content)); // from its copy
    txn_abort(txn);
    damage(*state, TABLE_COPIES);
    txn = fixture_begin(*state, true);
    assert_false(object_read(txn, &one, &kind, &content));
    assert_fails(txn, ERR_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {JOURNAL_TEST(test_objects), JOURNAL_TEST(fault_10_damaged_object_is_seen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
