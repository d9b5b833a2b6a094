// What LMDB writes is whole, whatever was done to it; and what is turned over in it is found.
#include "relay/tree.h"

#include "tests/unit/relay/store_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#include "relay/language.h"

static char directory[FIXTURE_PATH_MAX], path[FIXTURE_PATH_MAX + 32];
static uint8_t *data; // FIXTURE_CHURN_MAX bytes

static int setup(void **state)
{
    (void)state;
    fixture_make(directory);
    snprintf(path, sizeof path, "%s/store/data.mdb", directory);
    data = calloc(1, FIXTURE_CHURN_MAX);
    assert_non_null(data);
    store_close(fixture_open(directory, STORE_CREATE, 0));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(data);
    fixture_remove(directory);
    return 0;
}

// In as many slices as it takes when `deadline_ms` is 0.
static struct tree_finding look(int fd, uint64_t deadline_ms, unsigned *ret_slices)
{
    struct tree_check *check = calloc(1, sizeof *check);
    struct page_meta meta;
    assert_non_null(check);
    bool more = true;
    for (*ret_slices = 0; more; ++*ret_slices) {
        assert_int_equal(tree_metas(fd, &meta), OK);
        assert_int_equal(tree_check_on(check, fd, &meta, deadline_ms, &more), OK);
    }
    struct tree_finding finding = check->finding;
    tree_check_finish(check);
    free(check);
    return finding;
}

// Damage in the meta pages counts, too.
static struct tree_finding look_at_file(void)
{
    struct page_meta meta;
    struct tree_finding finding = {PAGE_BAD_HEADER, 0, "meta"};
    unsigned slices;
    int fd = open(path, O_RDONLY);
    if (tree_metas(fd, &meta) == OK)
        finding = look(fd, UINT64_MAX, &slices);
    close(fd);
    return finding;
}

static void must_be_whole(int fd)
{
    unsigned slices;
    struct page_meta meta;
    struct tree_finding finding = look(fd, UINT64_MAX, &slices);
    if (finding.fault != PAGE_WHOLE)
        fail_msg("page %llu, %s: %s", (unsigned long long)finding.page, finding.table, tree_fault_name(finding.fault));
    assert_int_equal(slices, 1);
    assert_int_equal(look(fd, 0, &slices).fault, PAGE_WHOLE);
    assert_int_equal(tree_metas(fd, &meta), OK);
    assert_int_equal(tree_check_tops(fd, &meta, &finding), OK);
    assert_int_equal(finding.fault, PAGE_WHOLE);
}

static void test_what_lmdb_writes_is_whole(void **state)
{
    (void)state;
    int fd = open(path, O_RDONLY);
    must_be_whole(fd);
    struct store *store = fixture_open(directory, STORE_OPEN, 0);
    for (unsigned i = 0; i < 200; i++) {
        fixture_churn(store, data);
        must_be_whole(fd);
        if (i % 40 == 39) { // also after a start
            store_close(store);
            store = fixture_open(directory, STORE_OPEN, 0);
        }
    }
    store_close(store);
    close(fd);
}

// Values that become smaller within one transaction keep their pages; long keys make deep trees.
static void test_what_lmdb_writes_is_whole_also_with_long_keys(void **state)
{
    (void)state;
    int fd = open(path, O_RDONLY);
    unsigned slices;
    struct store *store = fixture_open(directory, STORE_OPEN, 0);
    for (unsigned round = 0; round < 60; round++) {
        struct txn *txn = fixture_begin(store, true);
        for (unsigned i = 0; i < 100; i++) {
            uint8_t key[500] = {0};
            put_be32(key, fixture_draw(2000));
            struct bytes name = bytes_of(key, 4 + fixture_draw(496));
            txn_put(txn, TABLE_BELOW, name, bytes_of(data, 20000));
            txn_put(txn, TABLE_BELOW, name, bytes_of(data, fixture_draw(2) ? 5000 : 10));
            if (i % 3 == 0)
                txn_delete(txn, TABLE_BELOW, name);
        }
        fixture_commit(txn);
        must_be_whole(fd);
    }
    look(fd, 0, &slices);
    assert_true(slices > 3);
    store_close(store);
    close(fd);
}

// ---- damage

// Two tables of some pages, with values outside of them, and a list of free pages.
static void make_some(void)
{
    struct store *store = fixture_open(directory, STORE_OPEN, 0);
    for (unsigned round = 0; round < 3; round++) {
        struct txn *txn = fixture_begin(store, true);
        for (unsigned i = 0; i < 30; i++) {
            uint8_t key[4];
            put_be32(key, i);
            txn_put(txn, TABLE_CELLS, bytes_of(key, 4), bytes_of(data, 400));
            txn_put(txn, TABLE_BELOW, bytes_of(key, 4), bytes_of(data, i % 10 == round ? 9000 : 300));
        }
        fixture_commit(txn);
    }
    store_close(store);
}

struct file {
    int fd;
    uint8_t *bytes;
    size_t size;
};

static struct file file_open(void)
{
    struct file file = {.fd = open(path, O_RDWR)};
    struct stat status;
    assert_int_equal(fstat(file.fd, &status), 0);
    file.size = (size_t)status.st_size;
    file.bytes = malloc(file.size);
    assert_non_null(file.bytes);
    assert_int_equal(pread(file.fd, file.bytes, file.size, 0), file.size);
    return file;
}

static void file_close(struct file *file)
{
    free(file->bytes);
    close(file->fd);
}

static void poke(struct file *file, size_t at, const void *bytes, size_t size)
{
    assert_int_equal(pwrite(file->fd, bytes, size, (off_t)at), size);
}

static void put_back(struct file *file, size_t at, size_t size) { poke(file, at, file->bytes + at, size); }

static struct tree_finding look_with(struct file *file, size_t at, const void *bytes, size_t size)
{
    poke(file, at, bytes, size);
    struct tree_finding finding = look_at_file();
    put_back(file, at, size);
    return finding;
}

static bool flip_is_found(struct file *file, size_t at, unsigned bit)
{
    uint8_t byte = (uint8_t)(file->bytes[at] ^ 1u << bit);
    return look_with(file, at, &byte, 1).fault != PAGE_WHOLE;
}

// Every bit of every header of the pages in use but the two bytes that LMDB doesn't use, and of the places of their rows.
static void fault_11_a_flip_in_a_page_header_is_found(void **state)
{
    (void)state;
    make_some();
    struct file file = file_open();
    unsigned used = 0, values = 0;
    for (size_t at = 2 * 4096; at < file.size; at += 4096) {
        if (!flip_is_found(&file, at, 0)) // its number: then it is not in use
            continue;
        bool value = native16(file.bytes + at + 10) == PAGE_OVERFLOW;
        size_t end = value ? PAGE_HEADER : native16(file.bytes + at + 12);
        for (size_t i = 0; i < end; i++)
            for (unsigned bit = 0; bit < 8 && i != 8 && i != 9; bit++)
                if (!flip_is_found(&file, at + i, bit))
                    fail_msg("page %zu, byte %zu, bit %u", at / 4096, i, bit);
        used++;
        values += value;
    }
    assert_true(used > 10 && values >= 3);
    assert_int_equal(look_at_file().fault, PAGE_WHOLE);
    file_close(&file);
}

// Any damage has an answer, and most has the right one: this is for the sanitizers.
static void fault_11_damage_of_any_kind_has_an_answer(void **state)
{
    (void)state;
    make_some();
    struct file file = file_open();
    unsigned found = 0;
    for (unsigned i = 0; i < 3000; i++) {
        uint8_t garbage[64];
        size_t size = 1 + fixture_draw(sizeof garbage), at = fixture_draw((unsigned)(file.size - size));
        for (size_t j = 0; j < size; j++)
            garbage[j] = (uint8_t)(fixture_draw(2) ? fixture_draw(256) : 0xFF * fixture_draw(2));
        found += look_with(&file, at, garbage, size).fault != PAGE_WHOLE;
    }
    assert_true(found > 50);
    assert_int_equal(look_at_file().fault, PAGE_WHOLE);
    file_close(&file);
}

static size_t latest_meta(const struct file *file)
{
    struct page_meta metas[PAGE_METAS];
    for (unsigned i = 0; i < PAGE_METAS; i++)
        assert_true(page_meta_read(file->bytes + 4096 * (size_t)i, &metas[i]));
    return page_meta_latest(metas) == &metas[1] ? 4096 : 0;
}

// One bit in the number of the older meta page, and the last commit is gone, for LMDB.
static void fault_11_an_older_meta_page_does_not_pass_for_the_latest(void **state)
{
    (void)state;
    make_some();
    struct file file = file_open();
    size_t latest = latest_meta(&file), older = 4096 - latest, at = PAGE_META_END - 8;
    uint64_t number = native64(file.bytes + latest + at);
    for (unsigned bit = 0; bit < 64; bit++)
        for (unsigned which = 0; which < 2; which++)
            assert_true(flip_is_found(&file, (which ? latest : older) + at + bit / 8, bit % 8));
    struct page_meta meta;
    uint64_t next = number + 1;
    struct tree_finding finding = look_with(&file, older + at, &next, 8); // it even looks like the next one
    assert_int_equal(finding.fault, PAGE_NOT_LATEST);
    assert_string_equal(finding.table, "meta");
    assert_int_equal(finding.page, older / 4096);
    poke(&file, older + at, &next, 8);
    assert_int_equal(tree_metas(file.fd, &meta), OK);
    assert_int_equal(tree_check_tops(file.fd, &meta, &finding), OK); // and that is cheap to find
    assert_int_equal(finding.fault, PAGE_NOT_LATEST);
    file_close(&file);
}

// Where in the file the record of a table lies.
static size_t record_of(const struct file *file, const char *table)
{
    struct page_meta meta;
    assert_int_equal(tree_metas(file->fd, &meta), OK);
    assert_int_equal(meta.tables.depth, 1);
    const uint8_t *page = file->bytes + meta.tables.root * 4096;
    for (unsigned i = 0; i < page_count(page); i++) {
        struct page_node node = page_node(page, i);
        if (bytes_equal(node.key, bytes_of_text(table)))
            return (size_t)(node.value.data - file->bytes);
    }
    fail_msg("%s", table);
    return 0;
}

static void fault_11_a_page_is_not_used_twice(void **state)
{
    (void)state;
    make_some();
    struct file file = file_open();
    size_t cells = record_of(&file, "cells"), below = record_of(&file, "below");
    struct tree_finding finding = look_with(&file, cells, file.bytes + below, PAGE_TREE_SIZE); // one tree for two tables
    assert_int_equal(finding.fault, PAGE_TWICE);
    assert_string_equal(finding.table, "cells");
    // A page of a table that the list of free pages has, too.
    struct page_meta meta;
    assert_int_equal(tree_metas(file.fd, &meta), OK);
    uint64_t root = native64(file.bytes + cells + 40);
    const uint8_t *list = page_node(file.bytes + meta.free.root * 4096, 0).value.data;
    size_t one = (size_t)(list - file.bytes);
    uint64_t alone[2] = {1, root};
    finding = look_with(&file, one, alone, sizeof alone);
    assert_int_equal(finding.fault, PAGE_TWICE);
    assert_string_equal(finding.table, "free");
    assert_int_equal(finding.page, root);
    file_close(&file);
}

static void test_a_record_that_is_wrong(void **state)
{
    (void)state;
    make_some();
    struct file file = file_open();
    size_t at = record_of(&file, "cells");
    static const struct {
        size_t field;
        enum page_fault fault;
    } wrong[] = {{4, PAGE_BAD_NODES},   {6, PAGE_BAD_HEADER},  {8, PAGE_MISCOUNTED},
                 {16, PAGE_MISCOUNTED}, {24, PAGE_MISCOUNTED}, {32, PAGE_MISCOUNTED}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        uint8_t byte = (uint8_t)(file.bytes[at + wrong[i].field] ^ 1);
        struct tree_finding finding = look_with(&file, at + wrong[i].field, &byte, 1);
        assert_int_equal(finding.fault, wrong[i].fault);
    }
    uint64_t none = UINT64_MAX, far = (uint64_t)1 << 40;
    assert_int_equal(look_with(&file, at + 40, &none, 8).fault, PAGE_BAD_NODES); // empty, with rows
    assert_int_equal(look_with(&file, at + 40, &far, 8).fault, PAGE_BAD_NODES);
    file_close(&file);
}

static void test_a_page_that_is_not_there(void **state)
{
    (void)state;
    make_some();
    struct file file = file_open();
    assert_int_equal(ftruncate(file.fd, 3 * 4096), 0);
    struct tree_finding finding = look_at_file();
    assert_int_equal(finding.fault, PAGE_UNREADABLE);
    assert_true(finding.page >= 3);
    file_close(&file);
}

static void test_words(void **state)
{
    (void)state;
    char text[TREE_TEXT_MAX], before[TREE_TEXT_MAX] = "";
    enum page_fault fault;
    for (unsigned i = 0; i < PAGE_FAULT_COUNT; i++) {
        struct tree_finding finding = {(enum page_fault)i, 12, "cells"};
        assert_true(tree_fault_of(tree_fault_name(finding.fault), &fault));
        assert_int_equal(fault, i);
        tree_describe(&finding, text);
        assert_true(strstr(text, "12") && strstr(text, "cells") && strcmp(text, before) != 0);
        memcpy(before, text, sizeof before);
    }
    assert_false(tree_fault_of("nosuchfault", &fault));
    language_set(LANGUAGE_ZH);
    tree_describe(&(struct tree_finding){PAGE_TWICE, 12, "cells"}, text);
    language_set(LANGUAGE_EN);
    assert_non_null(strstr(text, "第 12 页"));
}

// ---- beside a writer

struct writing {
    struct store *store;
    atomic_bool done;
};

static void *write_on(void *argument)
{
    struct writing *writing = argument;
    for (unsigned i = 0; i < 100; i++)
        fixture_churn(writing->store, data);
    atomic_store(&writing->done, true);
    return NULL;
}

// One look, in one snapshot or in several. Returns the number of the commit that it ended with.
static uint64_t look_beside(struct store *store, uint64_t deadline_ms)
{
    struct tree_check *check = calloc(1, sizeof *check);
    uint64_t number = 0;
    assert_non_null(check);
    for (bool more = true; more;) {
        struct page_meta meta;
        int fd;
        struct txn *txn = fixture_begin(store, false);
        assert_true(txn_file(txn, &fd, &number));
        if (tree_metas(fd, &meta) == OK && meta.txn == number) { // else a commit came between
            assert_int_equal(tree_check_on(check, fd, &meta, deadline_ms, &more), OK);
            assert_int_equal(check->finding.fault, PAGE_WHOLE);
        }
        txn_abort(txn);
    }
    tree_check_finish(check);
    free(check);
    return number;
}

// The pages of a snapshot stay while its transaction is open, so a writer never makes a whole store look damaged.
static void fault_11_a_snapshot_is_whole_beside_a_writer(void **state)
{
    (void)state;
    struct writing writing = {.store = fixture_open(directory, STORE_OPEN, 0)};
    pthread_t thread;
    uint64_t first = look_beside(writing.store, UINT64_MAX), last = first;
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writing), 0);
    unsigned commits = 0;
    while (!atomic_load(&writing.done)) {
        uint64_t number = look_beside(writing.store, commits % 2 ? 0 : UINT64_MAX);
        assert_true(number >= last);
        commits += number > last;
        last = number;
    }
    pthread_join(thread, NULL);
    assert_true(commits > 0);
    assert_true(look_beside(writing.store, 0) >= first + 90); // some changed nothing
    store_close(writing.store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_lmdb_writes_is_whole),
        TEST(test_what_lmdb_writes_is_whole_also_with_long_keys),
        TEST(fault_11_a_flip_in_a_page_header_is_found),
        TEST(fault_11_damage_of_any_kind_has_an_answer),
        TEST(fault_11_an_older_meta_page_does_not_pass_for_the_latest),
        TEST(fault_11_a_page_is_not_used_twice),
        TEST(test_a_record_that_is_wrong),
        TEST(test_a_page_that_is_not_there),
        TEST(test_words),
        TEST(fault_11_a_snapshot_is_whole_beside_a_writer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
