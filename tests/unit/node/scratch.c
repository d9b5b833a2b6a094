#include "node/scratch.h"

#include "tests/unit/node/office.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "node/ledger_rows.h"
#include "tests/directory.h"

static const char tree[] = "code,name,tier,parent_code\nc,County,county,\nt1,Town 1,township,c\n";
enum { MAY = 2024 * 12 + 4 };

static char *temporary;
static char former[4096];

static int setup(void **context)
{
    (void)context;
    temporary = directory_make();
    snprintf(former, sizeof former, "%s", getenv("TMPDIR") ? getenv("TMPDIR") : "");
    return temporary && strlen(temporary) < 40 ? setenv("TMPDIR", temporary, 1) : -1;
}

static int teardown(void **context)
{
    (void)context;
    directory_remove(temporary);
    return *former ? setenv("TMPDIR", former, 1) : unsetenv("TMPDIR");
}

static unsigned left(void) // of scratch directories
{
    unsigned count = 0;
    DIR *dir = opendir(temporary);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strncmp(entry->d_name, "sanji-verify-", 13) == 0;
    closedir(dir);
    return count;
}

static void two_at_once_and_nothing_is_left(void **context)
{
    (void)context;
    struct office office;
    struct scratch one, two;
    struct error error = {0};
    struct stat status;
    office_open(&office, tree, "c");
    assert_int_equal(scratch_create(&one, &office.desk, &error), OK);
    assert_int_equal(scratch_create(&two, &office.desk, &error), OK);
    assert_int_equal(left(), 2);
    assert_int_equal(stat(one.directory, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    assert_int_equal(scratch_begin(&one, 5, &error), OK);
    assert_int_equal(scratch_begin(&two, 6, &error), OK);
    assert_int_equal(one.desk.now_ms, 5);
    assert_int_equal(unit_id_find(one.desk.txn, "t1", 0), 2); // numbered like the station's
    meta_put(one.desk.txn, "mine", bytes_of_text("1"));
    assert_int_equal(scratch_commit(&one, false, &error), OK);
    assert_null(one.desk.txn);
    assert_int_equal(scratch_begin(&one, 7, &error), OK);
    struct bytes value;
    assert_true(meta_get(one.desk.txn, "mine", &value));
    assert_false(meta_get(two.desk.txn, "mine", &value));
    scratch_destroy(&one); // with a transaction open
    scratch_destroy(&two);
    scratch_destroy(&two); // again
    assert_int_equal(left(), 0);
    scratch_destroy(&(struct scratch){0});
    office_close(&office);
}

// What is gathered is stated only when asked, and signed with a key that no certificate names.
static void differences_are_stated_at_the_end(void **context)
{
    (void)context;
    struct office office;
    struct scratch scratch;
    struct error error = {0};
    office_open(&office, tree, "c");
    assert_int_equal(scratch_create(&scratch, &office.desk, &error), OK);
    struct group_key group = {office.codebook->indicators[VISITS].definition, 1, {MONTH_TYPE, MAY}};
    struct cells cells;
    assert_int_equal(scratch_begin(&scratch, office.now_ms, &error), OK);
    ledger_add(scratch.ledger, &scratch.desk, &group, "c", 2, 5);
    assert_int_equal(scratch_commit(&scratch, false, &error), OK);
    assert_int_equal(scratch_begin(&scratch, office.now_ms, &error), OK);
    assert_false(cells_read(scratch.desk.txn, TABLE_CELLS, &group, 0, &cells));
    assert_int_equal(journal_end(scratch.desk.txn), 0);
    assert_int_equal(scratch_commit(&scratch, true, &error), OK); // it was kept in memory
    assert_int_equal(scratch_begin(&scratch, office.now_ms, &error), OK);
    assert_true(cells_read(scratch.desk.txn, TABLE_CELLS, &group, 0, &cells));
    assert_int_equal(cells.values[2], 5);
    struct batch_row row;
    struct header header;
    assert_true(journal_read(scratch.desk.txn, 1, &row));
    assert_int_equal(header_decode(row.header, &header, &error), OK);
    assert_int_equal(header_check_signature(row.header, row.signature, &office.self, &header, &error), ERR_FORGED);
    scratch_destroy(&scratch);
    struct txn *txn = office_read(&office); // the station's own store knows nothing of it
    assert_int_equal(journal_end(txn), 0);
    txn_abort(txn);
    office_close(&office);
}

static void a_place_that_is_not_there(void **context)
{
    (void)context;
    struct office office;
    struct scratch scratch;
    struct error error = {0};
    office_open(&office, tree, "c");
    assert_int_equal(setenv("TMPDIR", "/nonexistent", 1), 0);
    assert_int_equal(scratch_create(&scratch, &office.desk, &error), ERR_IO);
    assert_non_null(strstr(error.detail, "/nonexistent/sanji-verify-"));
    scratch_destroy(&scratch);
    assert_int_equal(setenv("TMPDIR", temporary, 1), 0);
    office_close(&office);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(two_at_once_and_nothing_is_left, setup, teardown),
        cmocka_unit_test_setup_teardown(differences_are_stated_at_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_place_that_is_not_there, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
