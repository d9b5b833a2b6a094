#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "relay/token.h"

static struct join_token sample(void)
{
    struct join_token token = {.endpoint = "tcp://10.1.2.3:7402", .expires_ms = 1483228800000, .unit = "321081100201"};
    memset(token.secret, 1, sizeof token.secret);
    memset(&token.parent_key, 2, sizeof token.parent_key);
    memset(&token.root, 3, sizeof token.root);
    memset(&token.parent, 4, sizeof token.parent);
    return token;
}

static void a_token_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct join_token token = sample(), read;
    char text[TOKEN_TEXT_MAX], pasted[TOKEN_TEXT_MAX + 10];
    struct error error = {0};
    assert_int_equal(token_format(&token, text, &error), OK);
    assert_memory_equal(text, "sanji1-", 7);
    assert_int_equal(strspn(text + 7, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"), strlen(text) - 7);
    snprintf(pasted, sizeof pasted, " \t%s\r\n", text);
    assert_int_equal(token_parse(pasted, &read, &error), OK);
    assert_memory_equal(read.secret, token.secret, sizeof read.secret);
    assert_string_equal(read.endpoint, token.endpoint);
    assert_memory_equal(&read.parent_key, &token.parent_key, sizeof read.parent_key);
    assert_memory_equal(&read.root, &token.root, sizeof read.root);
    assert_memory_equal(&read.parent, &token.parent, sizeof read.parent);
    assert_true(read.expires_ms == token.expires_ms);
    assert_string_equal(read.unit, token.unit);
}

static void the_longest_token_fits(void **state)
{
    (void)state;
    struct join_token token = sample(), read;
    char text[TOKEN_TEXT_MAX];
    memset(token.endpoint + 6, 'x', ADDRESS_MAX - 6);
    memset(token.unit, '9', UNIT_CODE_MAX);
    token.expires_ms = UINT64_MAX;
    assert_int_equal(token_format(&token, text, NULL), OK);
    assert_int_equal(strlen(text) + 1, 408);
    assert_int_equal(token_parse(text, &read, NULL), OK);
    assert_int_equal(strlen(read.endpoint), ADDRESS_MAX);
}

static void a_mistyped_character_is_found_wherever_it_is(void **state)
{
    (void)state;
    struct join_token token = sample(), read;
    char text[TOKEN_TEXT_MAX];
    assert_int_equal(token_format(&token, text, NULL), OK);
    for (size_t i = 0; text[i]; i++) {
        char old = text[i];
        static const char others[] = "Aa0-_ .";
        for (const char *other = others; *other; other++) {
            if (*other == old || (*other == ' ' && !text[i + 1]))
                continue;
            text[i] = *other;
            if (token_parse(text, &read, NULL) == OK)
                fail_msg("character %zu may be %c", i, *other);
            text[i] = old;
        }
        if (i + 1 < strlen(text)) { // two swapped
            char next = text[i + 1];
            text[i] = next;
            text[i + 1] = old;
            assert_int_equal(token_parse(text, &read, NULL) == OK, next == old);
            text[i] = old;
            text[i + 1] = next;
        }
    }
}

static void a_token_cut_short_is_said_so(void **state)
{
    (void)state;
    struct join_token token = sample(), read;
    char text[TOKEN_TEXT_MAX];
    struct error error = {0};
    assert_int_equal(token_format(&token, text, NULL), OK);
    for (size_t size = strlen(text) - 1; size >= 7; size--) {
        text[size] = 0;
        assert_int_equal(token_parse(text, &read, &error), ERR_INPUT);
        assert_non_null(strstr(error.detail, "mistyped"));
    }
}

static void what_is_no_token_is_said_so(void **state)
{
    (void)state;
    struct join_token read;
    struct error error = {0};
    static const char *const none[] = {"", " ", "s", "sanji", "hello world", "https://example.org/", "SANJI1-AAAA"};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        assert_int_equal(token_parse(none[i], &read, &error), ERR_INPUT);
        assert_non_null(strstr(error.detail, "begins with sanji1-"));
    }
    assert_int_equal(token_parse("sanji2-AAAAAAAA", &read, &error), ERR_VERSION);
    char text[2000] = "sanji1-";
    memset(text + 7, 'A', sizeof text - 8);
    assert_int_equal(token_parse(text, &read, &error), ERR_INPUT);
}

static void a_token_lacks_nothing(void **state)
{
    (void)state;
    char text[TOKEN_TEXT_MAX] = "untouched";
    struct error error = {0};
#define REFUSED(change, field)                                                                                                             \
    do {                                                                                                                                   \
        struct join_token token = sample();                                                                                                \
        change;                                                                                                                            \
        assert_int_equal(token_format(&token, text, &error), ERR_INPUT);                                                                   \
        assert_non_null(strstr(error.detail, field));                                                                                      \
    } while (0)
    REFUSED(memset(token.secret, 0, sizeof token.secret), "secret");
    REFUSED(token.endpoint[0] = 0, "endpoint");
    REFUSED(token.endpoint[0] = 'u', "endpoint");
    REFUSED(token.endpoint[8] = '\n', "endpoint");
    REFUSED(memset(&token.parent_key, 0, sizeof token.parent_key), "parent_key");
    REFUSED(memset(&token.root, 0, sizeof token.root), "root");
    REFUSED(memset(&token.parent, 0, sizeof token.parent), "parent");
    REFUSED(token.expires_ms = 0, "expires_ms");
    REFUSED(token.unit[0] = 0, "unit");
    assert_string_equal(text, "untouched");
}

static void the_parent_keeps_a_name_and_no_secret(void **state)
{
    (void)state;
    struct join_token token = sample();
    struct hash name = token_name(token.secret);
    assert_memory_not_equal(&name, token.secret, sizeof token.secret);
    token.secret[0] ^= 1;
    struct hash other = token_name(token.secret);
    assert_memory_not_equal(&name, &other, sizeof name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_read_as_it_was_written),
        cmocka_unit_test(the_longest_token_fits),
        cmocka_unit_test(a_mistyped_character_is_found_wherever_it_is),
        cmocka_unit_test(a_token_cut_short_is_said_so),
        cmocka_unit_test(what_is_no_token_is_said_so),
        cmocka_unit_test(a_token_lacks_nothing),
        cmocka_unit_test(the_parent_keeps_a_name_and_no_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
