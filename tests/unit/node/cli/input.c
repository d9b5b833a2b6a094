#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/cli/input.h"

static void formats(void **state)
{
    (void)state;
    static const struct {
        const char *path, *data;
        Sanji__InputFormat format;
    } cases[] = {
        {"a.json", "x", SANJI__INPUT_FORMAT__INPUT_JSON}, {"a.CSV", "{}", SANJI__INPUT_FORMAT__INPUT_CSV},
        {"-", " \n[1]", SANJI__INPUT_FORMAT__INPUT_JSON}, {"-", "\xEF\xBB\xBF{}", SANJI__INPUT_FORMAT__INPUT_JSON},
        {"-", "a,b\n", SANJI__INPUT_FORMAT__INPUT_CSV},   {"a.txt", "", SANJI__INPUT_FORMAT__INPUT_CSV},
        {".json", "{", SANJI__INPUT_FORMAT__INPUT_JSON},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(input_format(cases[i].path, bytes_of_text(cases[i].data)), cases[i].format);
}

static void files(void **state)
{
    (void)state;
    const char *base = getenv("TMPDIR");
    char dir[512], path[600];
    struct error error;
    struct buffer data = {0};
    snprintf(dir, sizeof dir, "%.400s/sanji-input-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/f", dir);
    assert_int_equal(input_read(path, 10, &data, &error), ERR_NOT_FOUND);
    assert_int_equal(input_read(dir, 10, &data, &error), ERR_IO); // a directory
    assert_int_equal(data.size, 0);
    assert_int_equal(input_write_new(path, bytes_of_text("0123456789"), &error), OK);
    assert_int_equal(input_write_new(path, bytes_of_text("x"), &error), ERR_EXISTS);
    assert_int_equal(input_read(path, 10, &data, &error), OK);
    assert_int_equal(data.size, 10);
    assert_memory_equal(data.data, "0123456789", 10); // what was there first
    buffer_clear(&data);
    assert_int_equal(input_read(path, 9, &data, &error), ERR_LIMIT);
    buffer_finish(&data);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

static void places_that_cannot_be_written(void **state)
{
    (void)state;
    struct error error;
    assert_int_equal(input_write_new("/nonexistent/f", bytes_of_text("x"), &error), ERR_IO);
    assert_string_equal(input_name("x"), "x");
    assert_string_equal(input_name("-"), "(stdin)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(formats), cmocka_unit_test(files), cmocka_unit_test(places_that_cannot_be_written)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
