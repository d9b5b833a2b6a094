#include "relay/salvage.h"

#include "relay/journal.h"
#include "relay/row.h"
#include "tests/unit/relay/store_fixture.h"

#include <string.h>

enum { PAGE = 4096, ROWS = 300, BIG = 20000 };

struct memory {
    uint8_t *data;
    size_t size, bad; // `bad`: the page there can't be read; 0: none
};
struct seen {
    unsigned rows[TABLE_COUNT], each; // each: objects and copies, each once: a page that was divided still has what went
    bool has[2][ROWS];
    unsigned wrong, left; // left: how many more it takes
};

static bool read_memory(void *context, uint64_t offset, void *data, size_t size)
{
    const struct memory *memory = context;
    assert_true(offset <= memory->size && size <= memory->size - offset); // never behind the end
    if (memory->bad && offset <= memory->bad && offset + size > memory->bad)
        return false;
    memcpy(data, memory->data + offset, size);
    return true;
}

static void content_of(unsigned number, uint8_t *content, size_t *ret_size)
{
    *ret_size = number % 10 ? 40 + number % 100 : BIG + number;
    for (size_t i = 0; i < *ret_size; i++)
        content[i] = (uint8_t)(number * 7 + i);
}

static bool found(void *context, const struct salvaged *row)
{
    struct seen *seen = context;
    uint8_t content[2 * BIG];
    size_t size;
    seen->rows[row->table]++;
    if (row->table == TABLE_OBJECTS || row->table == TABLE_COPIES) {
        uint32_t number = get_be32(row->key.data);
        assert_true(number < ROWS);
        seen->each += !seen->has[row->table == TABLE_COPIES][number];
        seen->has[row->table == TABLE_COPIES][number] = true;
        content_of(number, content, &size);
        seen->wrong += row->fields.size != size + 1 || memcmp(row->fields.data + 1, content, size) != 0;
    }
    return seen->left == 0 || --seen->left > 0;
}

// A store's file with ROWS objects, each with its copy, some of which lie outside of their pages, an alarm and a name in META.
static void make(struct memory *memory)
{
    char directory[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX + 32];
    static uint8_t content[2 * BIG];
    fixture_make(directory);
    struct store *store = fixture_open(directory, STORE_CREATE, 0);
    struct txn *txn = fixture_begin(store, true);
    for (unsigned i = 0; i < ROWS; i++) {
        struct hash hash = {{0}};
        size_t size;
        put_be32(hash.bytes, i);
        content_of(i, content, &size);
        object_add(txn, &hash, OBJECT_DOCUMENT, bytes_of(content, size));
    }
    struct alarm alarm = {.time_ms = 1, .kind = "test"};
    alarm_add(txn, &alarm);
    meta_put(txn, "self", bytes_of("x", 1));
    fixture_commit(txn);
    store_close(store);
    snprintf(path, sizeof path, "%s/store/data.mdb", directory);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *memory = (struct memory){.size = (size_t)ftell(file)};
    memory->data = malloc(memory->size);
    rewind(file);
    assert_int_equal(fread(memory->data, 1, memory->size, file), memory->size);
    fclose(file);
    fixture_remove(directory);
}

static struct salvage_count scan(struct memory *memory, struct seen *seen)
{
    struct salvage_source source = {memory, read_memory, memory->size};
    struct salvage_count count;
    struct error error = {0};
    *seen = (struct seen){0};
    assert_int_equal(salvage_scan(&source, found, NULL, seen, NULL, &count, &error), OK);
    assert_int_equal(seen->wrong, 0);
    return count;
}

static void test_fault_11_every_row_is_found_without_the_tree(void **state)
{
    (void)state;
    struct memory memory;
    struct seen seen;
    make(&memory);
    struct salvage_count count = scan(&memory, &seen);
    assert_int_equal(count.pages, memory.size / PAGE);
    assert_int_equal(count.unreadable, 0);
    assert_int_equal(seen.each, 2 * ROWS);
    assert_true(seen.rows[TABLE_ALARMS] >= 1 && seen.rows[TABLE_META] >= 1);
    for (size_t page = 0; page < memory.size / PAGE; page++) { // no header, no pointers, no meta pages
        uint8_t *header = memory.data + page * PAGE;
        uint64_t number;
        uint16_t flags;
        memcpy(&number, header, sizeof number);
        memcpy(&flags, header + 10, sizeof flags);
        if (number == page && !(flags & 4)) // those of values outside of a page are looked at
            memset(header, 0xAA, 16);
    }
    struct seen again;
    scan(&memory, &again);
    assert_memory_equal(again.rows, seen.rows, sizeof seen.rows);
    free(memory.data);
}

static void test_fault_9_a_cut_file_gives_what_is_left(void **state)
{
    (void)state;
    struct memory memory;
    struct seen whole, seen;
    make(&memory);
    scan(&memory, &whole);
    size_t size = memory.size;
    unsigned last = whole.each;
    for (unsigned part = 9; part > 0; part--) {
        memory.size = size * part / 10 + part; // not at a page's end
        uint8_t *exact = malloc(memory.size);
        memcpy(exact, memory.data, memory.size);
        struct memory cut = {.data = exact, .size = memory.size};
        scan(&cut, &seen);
        assert_true(seen.each <= last);
        last = seen.each;
        free(exact);
    }
    assert_true(last < ROWS);
    memory.size = 0;
    assert_int_equal(scan(&memory, &seen).rows, 0);
    free(memory.data);
}

static void test_fault_10_a_bit_in_a_row_costs_that_row(void **state)
{
    (void)state;
    struct memory memory;
    struct seen whole, seen;
    make(&memory);
    unsigned fewer = 0;
    scan(&memory, &whole);
    for (size_t at = 5 * PAGE + 1000; at < memory.size; at += 11 * PAGE + 13) {
        memory.data[at] ^= 4;
        scan(&memory, &seen);
        assert_true(seen.each <= whole.each && seen.each + 1 >= whole.each);
        fewer += whole.each - seen.each;
        memory.data[at] ^= 4;
    }
    assert_true(fewer > 0);
    free(memory.data);
}

static void test_fault_11_a_bad_sector_costs_its_page(void **state)
{
    (void)state;
    struct memory memory;
    struct seen seen;
    make(&memory);
    uint64_t rows = scan(&memory, &seen).rows;
    memory.bad = 7 * PAGE;
    struct salvage_count count = scan(&memory, &seen);
    assert_int_equal(count.unreadable, 1);
    assert_true(count.rows <= rows && count.rows > rows / 2);
    free(memory.data);
}

static void test_no_memory_ends_it(void **state)
{
    (void)state;
    struct memory memory;
    struct seen seen = {.left = 5};
    struct salvage_count count;
    struct error error = {0};
    make(&memory);
    struct salvage_source source = {&memory, read_memory, memory.size};
    assert_int_equal(salvage_scan(&source, found, NULL, &seen, NULL, &count, &error), ERR_MEMORY);
    assert_int_equal(count.rows, 5);
    free(memory.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fault_11_every_row_is_found_without_the_tree),
        cmocka_unit_test(test_fault_9_a_cut_file_gives_what_is_left),
        cmocka_unit_test(test_fault_10_a_bit_in_a_row_costs_that_row),
        cmocka_unit_test(test_fault_11_a_bad_sector_costs_its_page),
        cmocka_unit_test(test_no_memory_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
