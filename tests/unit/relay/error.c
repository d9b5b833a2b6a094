#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "relay/error.h"
#include "relay/language.h"

static void a_detail_is_formatted_and_the_code_returned(void **state)
{
    (void)state;
    struct error error = {0};
    assert_int_equal(error_set(&error, ERR_LIMIT, "%s:%d: too long", "f.csv", 3), ERR_LIMIT);
    assert_int_equal(error.code, ERR_LIMIT);
    assert_string_equal(error.detail, "f.csv:3: too long");
    assert_int_equal(error_set(NULL, ERR_FULL, "%s", "nobody listens"), ERR_FULL);
}

static void the_system_reason_is_added(void **state)
{
    (void)state;
    struct error error = {0};
    errno = ENOENT;
    assert_int_equal(error_set_errno(&error, ERR_IO, "%s", "marker"), ERR_IO);
    assert_string_equal(error.detail, "marker: No such file or directory");
    assert_int_equal(error_set_errno(NULL, ERR_IO, "%s", "marker"), ERR_IO);
}

static void a_long_detail_is_cut_between_characters(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 4; shift++) {
        char text[2000] = "xxxx";
        for (size_t at = shift; at + 3 < sizeof text; at += 3)
            memcpy(text + at, "级", 4);
        struct error error = {0};
        error_set(&error, ERR_INPUT, "%s", text);
        size_t size = strlen(error.detail);
        assert_true(size < sizeof error.detail && size > sizeof error.detail - 8);
        assert_int_equal((size - shift) % 3, 0); // no half character
        assert_memory_equal(error.detail, text, size);
    }
}

static void a_long_detail_leaves_no_room_for_the_reason(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    struct error error = {0};
    errno = EIO;
    error_set_errno(&error, ERR_IO, "%s", text);
    assert_true(strlen(error.detail) < sizeof error.detail);
}

static void every_code_has_its_texts_in_both_languages(void **state)
{
    (void)state;
    for (int code = OK; code < ERROR_COUNT; code++) {
        language_set(LANGUAGE_EN);
        const char *text = error_text((enum error_code)code), *action = error_action((enum error_code)code);
        language_set(LANGUAGE_ZH);
        assert_true(*error_name((enum error_code)code) && *text && *action);
        assert_string_not_equal(error_text((enum error_code)code), text);
        assert_string_not_equal(error_action((enum error_code)code), action);
    }
    language_set(LANGUAGE_EN);
    assert_string_equal(error_name(ERR_FORGED), "ERR_FORGED");
    assert_string_equal(error_name(OK), "OK");
    assert_string_equal(error_name((enum error_code)1000), "ERR_STATE"); // from a newer peer
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_detail_is_formatted_and_the_code_returned), cmocka_unit_test(the_system_reason_is_added),
        cmocka_unit_test(a_long_detail_is_cut_between_characters),     cmocka_unit_test(a_long_detail_leaves_no_room_for_the_reason),
        cmocka_unit_test(every_code_has_its_texts_in_both_languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
