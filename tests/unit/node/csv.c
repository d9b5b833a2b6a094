#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/csv.h"
#include "relay/language.h"

static void reads(void **state)
{
    (void)state;
    static const char text[] = "\xEF\xBB\xBF"
                               "code,name\r\n1,\"a,\"\"b\"\"\nc\"\n2,\n3,仪征";
    struct csv csv;
    assert_int_equal(csv_init(&csv, bytes_of_text(text), "t.csv", NULL), OK);
    assert_int_equal(csv_header(&csv, NULL), OK);
    assert_int_equal(csv_column(&csv, "name"), 1);
    assert_int_equal(csv_column(&csv, "nam"), -1);
    assert_true(csv_next(&csv, NULL));
    assert_int_equal(csv.line, 2);
    assert_string_equal(csv_text(&csv, 0), "1");
    assert_string_equal(csv_text(&csv, 1), "a,\"b\"\nc");
    assert_true(csv_next(&csv, NULL));
    assert_int_equal(csv.line, 4); // the quoted field had a line of its own
    assert_string_equal(csv_text(&csv, 1), "");
    assert_true(csv_next(&csv, NULL));
    assert_string_equal(csv_text(&csv, 1), "仪征");
    struct error error;
    assert_int_equal(csv_fail(&csv, 1, ERR_INPUT, &error, "no such %s", "unit"), ERR_INPUT);
    assert_string_equal(error.detail, "t.csv:5:3: name: no such unit");
    csv_fail(&csv, 9, ERR_INPUT, &error, "odd");
    assert_string_equal(error.detail, "t.csv:5: odd");
    assert_false(csv_next(&csv, &error));
    assert_int_equal(csv.code, OK);
    csv_finish(&csv);
    csv_finish(&csv);
}

static void check(struct bytes text, enum error_code code, const char *detail)
{
    struct csv csv;
    struct error error = {0};
    assert_int_equal(csv_init(&csv, text, "t", &error), OK);
    while (csv_next(&csv, &error))
        ;
    assert_int_equal(csv.code, code);
    if (code != OK) {
        assert_int_equal(error.code, code);
        assert_string_equal(error.detail, detail);
    }
    assert_false(csv_next(&csv, &error)); // it stays
    assert_int_equal(csv.code, code);
    csv_finish(&csv);
}

static void refuses(void **state)
{
    (void)state;
    check(bytes_of_text("a,b\n1,\"x\n"), ERR_INPUT, "t:2:3: this quote is never closed");
    check(bytes_of_text("a,b\n1,\"x\"y\n"), ERR_INPUT, "t:2:6: text after the closing quote; a quote inside quotes is written twice");
    check(bytes_of_text("a,b\n仪征,x\"\n"), ERR_INPUT, "t:2:5: a quote inside a field that does not begin with one");
    check(bytes_of_text("a,b\n1,2,3\n"), ERR_INPUT, "t:2:1: 3 fields, but the first row has 2");
    check(bytes_of_text("a,b\n\n1,2\n"), ERR_INPUT, "t:2:1: an empty line");
    check(bytes_of("a\0,b", 4), ERR_INPUT, "t:1:2: a NUL byte in the text");
    check(bytes_of_text("a\rb"), ERR_INPUT, "t:1:2: a carriage return without a line feed");
    check(bytes_of_text("ab\xC0\xAF"), ERR_INPUT, "t:1:3: not UTF-8: save the file as UTF-8");
    check(bytes_of_text("ab\xED\xA0\x80"), ERR_INPUT, "t:1:3: not UTF-8: save the file as UTF-8");
    check(bytes_of_text("\"\xE4\xBB"), ERR_INPUT, "t:1:2: not UTF-8: save the file as UTF-8"); // cut inside a character
    check(bytes_of_text("a\n\nb\n"), OK, NULL);                                                // one field a row: an empty one
    check(bytes_of_text(""), OK, NULL);
}

static void limits(void **state)
{
    (void)state;
    char *text = malloc(CSV_ROW_MAX + 2);
    assert_non_null(text);
    memset(text, 'x', CSV_ROW_MAX + 2);
    check(bytes_of(text, CSV_ROW_MAX), OK, NULL);
    check(bytes_of(text, CSV_ROW_MAX + 1), ERR_LIMIT, "t:1:1: the row is longer than 64 KiB: is a quote missing?");
    memset(text, ',', CSV_ROW_MAX);
    check(bytes_of(text, CSV_FIELDS_MAX - 1), OK, NULL);
    check(bytes_of(text, CSV_FIELDS_MAX), ERR_LIMIT, "t:1:257: more than 256 fields in a row");
    free(text);
}

static void header_is_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text, *detail;
    } cases[] = {
        {"", "t:1:1: the file is empty; a row of column names is needed"},
        {"a,,b\n", "t:1:3: a column without a name"},
        {"a,b,a\n", "t:1:5: column a is there twice"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct csv csv;
        struct error error;
        assert_int_equal(csv_init(&csv, bytes_of_text(cases[i].text), "t", NULL), OK);
        assert_int_equal(csv_header(&csv, &error), ERR_INPUT);
        assert_string_equal(error.detail, cases[i].detail);
        csv_finish(&csv);
    }
}

static void speaks_chinese(void **state)
{
    (void)state;
    language_set(LANGUAGE_ZH);
    check(bytes_of_text("a,b\n1\n"), ERR_INPUT, "t:2:1: 有 1 个字段，而首行有 2 个");
    language_set(LANGUAGE_EN);
}

static void put_is(const char *text, const char *want)
{
    struct buffer out = {0};
    struct csv_writer writer = {.out = &out};
    csv_put(&writer, text);
    csv_end(&writer);
    buffer_append(&out, "", 1);
    assert_false(out.failed);
    char line[128];
    snprintf(line, sizeof line, "%s\r\n", want);
    assert_string_equal((char *)out.data, line);
    buffer_finish(&out);
}

static void writes(void **state)
{
    (void)state;
    put_is("plain", "plain");
    put_is("a,b", "\"a,b\"");
    put_is("say \"x\"", "\"say \"\"x\"\"\"");
    put_is("two\nlines", "\"two\nlines\"");
    put_is("", "");
    struct buffer out = {0};
    struct csv_writer writer = {.out = &out};
    csv_put(&writer, "真州镇");
    csv_put_number(&writer, -7);
    csv_put_number(&writer, INT64_MIN);
    csv_end(&writer);
    csv_put(&writer, "x");
    csv_end(&writer);
    static const char want[] = "真州镇,-7,-9223372036854775808\r\nx\r\n";
    assert_int_equal(out.size, strlen(want));
    assert_memory_equal(out.data, want, out.size);
    buffer_finish(&out);
}

static void fault_63_no_formula_gets_out(void **state)
{
    (void)state;
    put_is("=1+1", "\"'=1+1\"");
    put_is("=HYPERLINK(\"http://x\",\"y\")", "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
    put_is("+86 139", "\"'+86 139\"");
    put_is("-2+3", "\"'-2+3\"");
    put_is("@SUM(A1)", "\"'@SUM(A1)\"");
    put_is("\t=1", "\"'\t=1\"");
    put_is("\r=1", "\"'\r=1\"");
    put_is("\n=1", "\"'\n=1\"");
    put_is("＝1", "\"'＝1\"");
    put_is("＠x", "\"'＠x\"");
    put_is("-", "\"'-\"");
    put_is("-12", "-12"); // numbers stay numbers
    put_is("-0.50", "-0.50");
    put_is("-1.", "\"'-1.\"");
    put_is("a=1", "a=1");
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    static const char *const cells[] = {"a", "b\"c", "d,e", "f\r\ng", "", "镇"};
    struct buffer out = {0};
    struct csv_writer writer = {.out = &out};
    for (size_t i = 0; i < 6; i++)
        csv_put(&writer, cells[i]);
    csv_end(&writer);
    struct csv csv;
    assert_int_equal(csv_init(&csv, buffer_bytes(&out), "t", NULL), OK);
    assert_true(csv_next(&csv, NULL));
    assert_int_equal(csv.count, 6);
    for (uint32_t i = 0; i < 6; i++)
        assert_string_equal(csv_text(&csv, i), cells[i]);
    csv_finish(&csv);
    buffer_finish(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads),
        cmocka_unit_test(refuses),
        cmocka_unit_test(limits),
        cmocka_unit_test(header_is_checked),
        cmocka_unit_test(speaks_chinese),
        cmocka_unit_test(writes),
        cmocka_unit_test(fault_63_no_formula_gets_out),
        cmocka_unit_test(what_is_written_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
