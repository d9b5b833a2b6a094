#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>

#include "relay/language.h"

static void only_zh_is_chinese(void **state)
{
    (void)state;
    assert_int_equal(language_parse("zh"), LANGUAGE_ZH);
    assert_int_equal(language_parse("zh_CN.UTF-8"), LANGUAGE_ZH);
    assert_int_equal(language_parse("en"), LANGUAGE_EN);
    assert_int_equal(language_parse(""), LANGUAGE_EN);
    assert_int_equal(language_parse("z"), LANGUAGE_EN);
    assert_int_equal(language_parse(NULL), LANGUAGE_EN);
}

static void the_first_variable_set_wins(void **state)
{
    (void)state;
    unsetenv("LC_ALL");
    unsetenv("LC_MESSAGES");
    unsetenv("LANG");
    assert_int_equal(language_from_environment(), LANGUAGE_EN);
    setenv("LANG", "zh_CN.UTF-8", 1);
    assert_int_equal(language_from_environment(), LANGUAGE_ZH);
    setenv("LC_MESSAGES", "en_US.UTF-8", 1);
    assert_int_equal(language_from_environment(), LANGUAGE_EN);
    setenv("LC_ALL", "zh_CN", 1);
    assert_int_equal(language_from_environment(), LANGUAGE_ZH);
    setenv("LC_ALL", "", 1); // empty is not set
    assert_int_equal(language_from_environment(), LANGUAGE_EN);
}

static void *other_thread(void *argument)
{
    *(enum language *)argument = language_get();
    language_set(LANGUAGE_EN);
    return NULL;
}

static void each_thread_has_its_own(void **state)
{
    (void)state;
    language_set(LANGUAGE_ZH);
    assert_string_equal(tr("yes", "是"), "是");
    enum language seen = LANGUAGE_ZH;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, &seen), 0);
    pthread_join(thread, NULL);
    assert_int_equal(seen, LANGUAGE_EN); // a new thread begins in English
    assert_int_equal(language_get(), LANGUAGE_ZH);
    language_set(LANGUAGE_EN);
    assert_string_equal(tr("yes", "是"), "yes");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_zh_is_chinese),
        cmocka_unit_test(the_first_variable_set_wins),
        cmocka_unit_test(each_thread_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
