// Rows of subjects and records: what is written comes back, damage is found, edges follow their subject.
#include "tests/unit/node/village.h"

#include "node/subjects.h"

static void edges_follow_their_subject(void **state)
{
    struct village *village = *state;
    struct txn *txn = village->desk.txn;
    const uint8_t a[SUBJECT_ID_SIZE] = {1}, b[SUBJECT_ID_SIZE] = {2};
    struct subject_row row = {.key = {{7}}, .tiers = 5, .edge = 100}, back;
    uint8_t first[SUBJECT_ID_SIZE];
    int32_t edge;
    assert_false(edge_first(txn, &edge, first));
    assert_false(subject_read(txn, a, &back));
    subject_write(txn, a, &row);
    assert_true(subject_read(txn, a, &back));
    assert_true(back.edge == 100 && back.tiers == 5 && back.key.bytes[0] == 7);
    row.edge = -3; // 1969: dates before the epoch sort first
    subject_write(txn, b, &row);
    assert_true(edge_first(txn, &edge, first) && edge == -3 && first[0] == 2);
    row.edge = EDGE_NONE;
    subject_write(txn, b, &row);
    assert_true(edge_first(txn, &edge, first) && edge == 100 && first[0] == 1);
    row.edge = EDGE_UNSTATED;
    subject_write(txn, a, &row);
    assert_true(edge_first(txn, &edge, first) && edge == EDGE_UNSTATED);
    assert_int_equal(txn_count(txn, TABLE_EDGES), 1);
    edge_drop(txn, EDGE_UNSTATED, a);
    assert_false(edge_first(txn, &edge, first));
    assert_int_equal(txn_error(txn), OK);
}

static void records_come_back(void **state)
{
    struct village *village = *state;
    const uint8_t subject[SUBJECT_ID_SIZE] = {1}, record[RECORD_ID_SIZE] = {2};
    struct record_row row = {.revision = 4, .standing = 1, .waiting = 2}, back;
    row.sections[0] = (struct sealed_section){{{5}}, bytes_of_text("one")};
    row.sections[1] = (struct sealed_section){{{6}}, bytes_of_text("")};
    row.sections[2] = (struct sealed_section){{{7}}, bytes_of_text("three")};
    uint8_t found[SUBJECT_ID_SIZE];
    uint32_t revision;
    assert_false(record_find(village->desk.txn, record, found, &revision));
    record_row_write(village->desk.txn, subject, record, &row);
    assert_true(record_row_read(village->desk.txn, subject, record, &back));
    assert_true(back.revision == 4 && back.standing == 1 && back.waiting == 2);
    assert_true(bytes_equal(back.sections[2].sealed, row.sections[2].sealed));
    assert_int_equal(back.sections[2].key.bytes[0], 7);
    assert_true(record_find(village->desk.txn, record, found, &revision));
    assert_true(revision == 4 && found[0] == 1);
    assert_false(record_row_read(village->desk.txn, record, subject, &back));
    assert_int_equal(txn_error(village->desk.txn), OK);
}

static void flip(struct txn *txn, enum table table, struct bytes key, size_t at)
{
    struct bytes value;
    assert_true(txn_get(txn, table, key, &value));
    uint8_t copy[256];
    assert_true(value.size <= sizeof copy && at < value.size);
    memcpy(copy, value.data, value.size);
    copy[at] ^= 1;
    txn_put(txn, table, key, bytes_of(copy, value.size));
}

static void fault_10_damage_is_found_on_reading(void **state)
{
    struct village *village = *state;
    const uint8_t subject[SUBJECT_ID_SIZE] = {1};
    struct subject_row row = {.edge = 9}, back;
    subject_write(village->desk.txn, subject, &row);
    flip(village->desk.txn, TABLE_SUBJECTS, bytes_of(subject, sizeof subject), 21);
    assert_false(subject_read(village->desk.txn, subject, &back));
    assert_int_equal(txn_error(village->desk.txn), ERR_CORRUPT);
}

static void fault_29_a_section_opens_only_in_its_place(void **state)
{
    struct village *village = *state;
    struct arena arena = {0};
    struct record **records;
    uint32_t count;
    assert_int_equal(village_submit(village, "file", "{\"key\":\"1\",\"since\":\"2024-01-05\",\"state\":\"active\",\"name\":\"n\"}", NULL),
                     OK);
    struct record_result result = village->results[0];
    assert_int_equal(subject_records(&village->desk, result.subject, &arena, &records, &count, &village->error), OK);
    assert_int_equal(count, 1);
    assert_memory_equal(records[0]->id, result.record, RECORD_ID_SIZE);
    assert_int_equal(records[0]->values[1].text.size, 1); // both sections are there
    struct record_row row;
    struct record *record;
    assert_true(record_row_read(village->desk.txn, result.subject, result.record, &row));
    struct certificate other = village->self; // another station's entry
    other.station.bytes[0] ^= 1;
    village->desk.self = &other;
    assert_int_equal(record_open(&village->desk, &row, &arena, &record, &village->error), ERR_FORGED);
    village->desk.self = &village->self;
    row.revision = 2; // a row that lies about its content
    assert_int_equal(record_open(&village->desk, &row, &arena, &record, &village->error), ERR_CORRUPT);
    row.revision = 1;
    row.sections[1].key.bytes[0] ^= 1;
    assert_int_equal(record_open(&village->desk, &row, &arena, &record, &village->error), ERR_NOT_FOUND);
    arena_finish(&arena);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, village_setup_begun, village_teardown)
    const struct CMUnitTest tests[] = {test(edges_follow_their_subject), test(records_come_back), test(fault_10_damage_is_found_on_reading),
                                       test(fault_29_a_section_opens_only_in_its_place)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
