// Pages made by hand, as LMDB writes them, and one thing wrong with each.
#include "relay/page.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SIZE = 512, NUMBER = 7 };

static uint8_t page[SIZE];

static void put16(size_t at, unsigned value) { memcpy(page + at, &(uint16_t){(uint16_t)value}, 2); }
static void put64(size_t at, uint64_t value) { memcpy(page + at, &value, 8); }

static void begin(enum page_kind kind)
{
    memset(page, 0, SIZE);
    put64(0, NUMBER);
    put16(10, kind);
    put16(12, PAGE_HEADER);
    put16(14, SIZE);
}

// Returns where the node lies.
static size_t add(const char *key, size_t key_size, unsigned flags, uint64_t low, const void *value, size_t value_size)
{
    size_t lower = native16(page + 12), at = (native16(page + 14) - 8 - key_size - value_size) & ~(size_t)1;
    put16(lower, (unsigned)at);
    put16(12, (unsigned)lower + 2);
    put16(14, (unsigned)at);
    put16(at, (unsigned)low & 0xFFFF);
    put16(at + 2, (unsigned)(low >> 16) & 0xFFFF);
    put16(at + 4, flags);
    put16(at + 6, (unsigned)key_size);
    memcpy(page + at + 8, key, key_size);
    memcpy(page + at + 8 + key_size, value, value_size);
    return at;
}
static size_t add_row(const char *key, const char *value) { return add(key, strlen(key), 0, strlen(value), value, strlen(value)); }
static void add_child(const char *key, uint64_t child) { add(key, strlen(key), (unsigned)(child >> 32), child & UINT32_MAX, "", 0); }

static enum page_fault check(enum page_kind kind, enum page_of of) { return page_check(page, SIZE, NUMBER, kind, of); }
static enum page_fault check_rows(void) { return check(PAGE_LEAF, PAGE_OF_ROWS); }

static size_t three_rows(void)
{
    begin(PAGE_LEAF);
    add_row("a", "one");
    size_t middle = add_row("ab", "zwei");
    add_row("b", "");
    return middle;
}

static bool is(struct bytes bytes, const char *text) { return bytes_equal(bytes, bytes_of_text(text)); }

static void test_leaf(void **state)
{
    (void)state;
    uint64_t first = 99;
    three_rows();
    add("c", 1, 1, 5000, &first, 8);
    assert_int_equal(check_rows(), PAGE_WHOLE);
    assert_int_equal(page_count(page), 4);
    struct page_node node = page_node(page, 1);
    assert_true(is(node.key, "ab") && is(node.value, "zwei") && node.size == 4 && !node.outside);
    node = page_node(page, 3);
    assert_true(is(node.key, "c") && node.outside && node.page == 99 && node.size == 5000 && node.value.size == 0);
}

static void test_branch(void **state)
{
    (void)state;
    begin(PAGE_BRANCH);
    add_child("", (uint64_t)3 << 32 | 1);
    assert_int_equal(check(PAGE_BRANCH, PAGE_OF_ROWS), PAGE_BAD_HEADER); // one child
    add_child("m", 12);
    assert_int_equal(check(PAGE_BRANCH, PAGE_OF_ROWS), PAGE_WHOLE);
    assert_int_equal(check(PAGE_LEAF, PAGE_OF_ROWS), PAGE_BAD_HEADER);
    assert_true(page_node(page, 0).page == ((uint64_t)3 << 32 | 1) && page_node(page, 1).page == 12);
    assert_true(is(page_node(page, 1).key, "m"));
    add_child("", 13);
    assert_int_equal(check(PAGE_BRANCH, PAGE_OF_ROWS), PAGE_BAD_NODES); // only the first may have none
    begin(PAGE_BRANCH);
    add_child("zzz", 11); // left over from a page that was first before
    add_child("m", 12);
    add_child("n", 13);
    assert_int_equal(check(PAGE_BRANCH, PAGE_OF_ROWS), PAGE_WHOLE);
    add_child("n", 13);
    assert_int_equal(check(PAGE_BRANCH, PAGE_OF_ROWS), PAGE_BAD_ORDER);
}

static void test_header(void **state)
{
    (void)state;
    three_rows();
    assert_int_equal(page_check(page, SIZE, NUMBER + 1, PAGE_LEAF, PAGE_OF_ROWS), PAGE_BAD_HEADER);
    static const struct {
        size_t at;
        unsigned value;
    } wrong[] = {{10, PAGE_LEAF | 0x10},
                 {10, PAGE_BRANCH},
                 {10, 0},
                 {12, PAGE_HEADER},
                 {12, PAGE_HEADER + 5},
                 {12, SIZE},
                 {12, 0},
                 {14, SIZE},
                 {14, 0},
                 {14, 0xFFFF}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        three_rows();
        put16(wrong[i].at, wrong[i].value);
        assert_int_equal(check_rows(), PAGE_BAD_HEADER);
    }
}

static void fault_11_bounds_of_the_free_space(void **state)
{
    (void)state;
    for (unsigned byte = 12; byte < 16; byte++)
        for (unsigned bit = 0; bit < 8; bit++) {
            three_rows();
            page[byte] ^= (uint8_t)(1u << bit);
            assert_int_not_equal(check_rows(), PAGE_WHOLE);
        }
}

static void test_nodes(void **state)
{
    (void)state;
    size_t at = three_rows();
    put16(PAGE_HEADER + 2, (unsigned)at + 1); // odd
    assert_int_equal(check_rows(), PAGE_BAD_NODES);
    three_rows();
    put16(PAGE_HEADER + 2, native16(page + PAGE_HEADER)); // twice the same
    assert_int_equal(check_rows(), PAGE_BAD_NODES);
    three_rows();
    put16(PAGE_HEADER + 2, native16(page + 14) - 2u); // in the free space
    assert_int_equal(check_rows(), PAGE_BAD_NODES);
    three_rows();
    put16(PAGE_HEADER, SIZE - 6); // its header goes over the end
    assert_int_equal(check_rows(), PAGE_BAD_NODES);
    three_rows();
    put16(PAGE_HEADER, 0xFFFE);
    assert_int_equal(check_rows(), PAGE_BAD_NODES);
    static const struct {
        size_t at;
        unsigned value;
    } wrong[] = {{0, 6}, {0, 2}, {0, 0xFFFF}, {2, 1}, {4, 1}, {4, 2}, {4, 4}, {4, 0x100}, {6, 0}, {6, 4}, {6, 512}, {6, 0xFFFF}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        at = three_rows();
        put16(at + wrong[i].at, wrong[i].value);
        assert_int_not_equal(check_rows(), PAGE_WHOLE);
    }
    at = three_rows(); // two that change places by their sizes alone: together they are as long as before
    put16(at, 6);
    put16(native16(page + PAGE_HEADER), 1);
    assert_int_equal(check_rows(), PAGE_BAD_NODES);
}

static void test_order(void **state)
{
    (void)state;
    begin(PAGE_LEAF);
    add_row("b", "");
    add_row("a", "");
    assert_int_equal(check_rows(), PAGE_BAD_ORDER);
    begin(PAGE_LEAF);
    add_row("ab", "");
    add_row("a", ""); // the shorter comes first
    assert_int_equal(check_rows(), PAGE_BAD_ORDER);
    begin(PAGE_LEAF);
    add_row("a", "");
    add_row("a", "");
    assert_int_equal(check_rows(), PAGE_BAD_ORDER);
}

static void test_tables_and_free_pages(void **state)
{
    (void)state;
    uint8_t record[PAGE_TREE_SIZE] = {0};
    uint64_t ids[] = {255, 256}, list[] = {1, 9};
    begin(PAGE_LEAF);
    size_t at = add("cells", 5, 2, sizeof record, record, sizeof record);
    assert_int_equal(check(PAGE_LEAF, PAGE_OF_TABLES), PAGE_WHOLE);
    assert_int_equal(check_rows(), PAGE_BAD_NODES);
    put16(at + 4, 0); // a row that is no table
    assert_int_equal(check(PAGE_LEAF, PAGE_OF_TABLES), PAGE_BAD_NODES);
    begin(PAGE_LEAF);
    for (size_t i = 0; i < 2; i++)
        add((const char *)&ids[i], 8, 0, sizeof list, list, sizeof list);
    assert_int_equal(check(PAGE_LEAF, PAGE_OF_FREE), PAGE_WHOLE); // by number
    assert_int_equal(check_rows(), PAGE_BAD_ORDER);               // by bytes
    begin(PAGE_LEAF);
    add("1234567", 7, 0, sizeof list, list, sizeof list);
    assert_int_equal(check(PAGE_LEAF, PAGE_OF_FREE), PAGE_BAD_NODES);
    begin(PAGE_BRANCH);
    add_child("", 5); // as LMDB leaves it
    assert_int_equal(check(PAGE_BRANCH, PAGE_OF_FREE), PAGE_WHOLE);
}

static void test_pages_of_a_value(void **state)
{
    (void)state;
    begin(PAGE_OVERFLOW);
    put16(12, 3);
    put16(14, 0);
    assert_int_equal(page_overflow(page, SIZE, NUMBER, 3 * SIZE - PAGE_HEADER), 3);
    assert_int_equal(page_overflow(page, SIZE, NUMBER, 1), 3); // it was larger before
    assert_int_equal(page_overflow(page, SIZE, NUMBER, 3 * SIZE - PAGE_HEADER + 1), 0);
    assert_int_equal(page_overflow(page, SIZE, NUMBER + 1, 1), 0);
    put16(10, PAGE_LEAF);
    assert_int_equal(page_overflow(page, SIZE, NUMBER, 1), 0);
}

static void test_records_of_trees(void **state)
{
    (void)state;
    struct page_tree empty = {.root = UINT64_MAX};
    struct page_tree good = {.depth = 1, .leaves = 1, .entries = 2, .root = 5}, tree;
    assert_true(page_tree_plausible(&empty, PAGE_OF_ROWS, 10) && page_tree_empty(&empty));
    assert_true(page_tree_plausible(&good, PAGE_OF_ROWS, 10) && !page_tree_empty(&good));
    assert_false(page_tree_plausible(&good, PAGE_OF_ROWS, 4)); // behind the last page
    assert_false(page_tree_plausible(&good, PAGE_OF_FREE, 10));
    for (unsigned i = 0; i < 5; i++) {
        struct page_tree wrong[] = {good, good, good, good, empty};
        wrong[0].depth = 0;
        wrong[1].depth = PAGE_DEPTH_MAX + 1;
        wrong[2].root = 1;
        wrong[3].flags = 4;
        wrong[4].entries = 1;
        assert_false(page_tree_plausible(&wrong[i], PAGE_OF_ROWS, 10));
    }
    good.flags = 0x4008; // with a flag of the environment
    good.pad = 4096;
    assert_true(page_tree_plausible(&good, PAGE_OF_FREE, 10));
    good.flags |= 4;
    assert_false(page_tree_plausible(&good, PAGE_OF_FREE, 10));
    uint8_t record[PAGE_TREE_SIZE];
    for (size_t i = 0; i < sizeof record; i++)
        record[i] = (uint8_t)i;
    tree = page_tree_read(record);
    assert_true(tree.pad == 0x03020100 && tree.flags == 0x0504 && tree.depth == 0x0706 && tree.branches == 0x0F0E0D0C0B0A0908);
    assert_true(tree.entries == 0x2726252423222120 && tree.root == 0x2F2E2D2C2B2A2928);
}

static void meta(uint64_t txn, uint32_t page_size)
{
    begin(PAGE_META);
    memcpy(page + PAGE_HEADER, &(uint32_t){0xBEEFC0DE}, 4);
    memcpy(page + PAGE_HEADER + 4, &(uint32_t){1}, 4);
    memcpy(page + PAGE_HEADER + 24, &page_size, 4);
    put64(PAGE_META_END - 16, 100);
    put64(PAGE_META_END - 8, txn);
}

static void test_meta_pages(void **state)
{
    (void)state;
    struct page_meta metas[PAGE_METAS];
    static const struct {
        uint64_t first, second;
        int latest; // -1: can't be told
    } cases[] = {{0, 1, 1}, {2, 1, 0}, {2, 3, 1}, {4, 3, 0}, {1, 2, -1}, {3, 2, -1}, {4, 1, -1}, {0, 3, -1}, {5, 5, -1}, {0, 0, -1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        meta(cases[i].first, 4096);
        assert_true(page_meta_read(page, &metas[0]));
        meta(cases[i].second, 4096);
        assert_true(page_meta_read(page, &metas[1]));
        const struct page_meta *latest = page_meta_latest(metas);
        assert_ptr_equal(latest, cases[i].latest < 0 ? NULL : &metas[cases[i].latest]);
    }
    assert_true(metas[0].version == 1 && metas[0].last_page == 100 && metas[0].page_size == 4096);
    meta(1, 8192);
    assert_true(page_meta_read(page, &metas[1]));
    metas[0].txn = 0;
    assert_null(page_meta_latest(metas)); // of two sizes
    static const uint32_t sizes[] = {0, 256, 4097, 131072};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        meta(1, sizes[i]);
        assert_false(page_meta_read(page, &metas[1]));
    }
    meta(1, 4096);
    page[PAGE_HEADER] ^= 1;
    assert_false(page_meta_read(page, &metas[1]));
    meta(1, 4096);
    put16(10, 0);
    assert_false(page_meta_read(page, &metas[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaf),
        cmocka_unit_test(test_branch),
        cmocka_unit_test(test_header),
        cmocka_unit_test(fault_11_bounds_of_the_free_space),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_tables_and_free_pages),
        cmocka_unit_test(test_pages_of_a_value),
        cmocka_unit_test(test_records_of_trees),
        cmocka_unit_test(test_meta_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
