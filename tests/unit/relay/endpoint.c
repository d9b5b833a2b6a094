#include "relay/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void reads_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host;
        enum endpoint_kind kind;
        uint16_t port;
    } good[] = {
        {"tcp://127.0.0.1:7700", "127.0.0.1", ENDPOINT_IPV4, 7700},
        {"tcp://[::1]:65535", "::1", ENDPOINT_IPV6, 65535},
        {"tcp://county.example:0", "county.example", ENDPOINT_NAME, 0},
        {"tcp://*:7700", "*", ENDPOINT_ANY, 7700},
        {"tcp://box-3:00001", "box-3", ENDPOINT_NAME, 1},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct endpoint endpoint;
        assert_int_equal(endpoint_parse(good[i].text, &endpoint, NULL), OK);
        assert_string_equal(endpoint.host, good[i].host);
        assert_int_equal(endpoint.kind, good[i].kind);
        assert_int_equal(endpoint.port, good[i].port);
    }
}

static void refuses_what_is_no_address(void **state)
{
    (void)state;
    char long_name[400] = "tcp://";
    memset(long_name + 6, 'a', 300);
    strcpy(long_name + 306, ":1");
    const char *bad[] = {"",
                         "127.0.0.1:1",
                         "ipc:///tmp/x",
                         "tcp://127.0.0.1",
                         "tcp://127.0.0.1:",
                         "tcp://127.0.0.1:65536",
                         "tcp://127.0.0.1:+1",
                         "tcp://127.0.0.1:1 ",
                         "tcp://127.0.0.1:123456",
                         "tcp://:1",
                         "tcp://[]:1",
                         "tcp://::1:1",
                         "tcp://[127.0.0.1]:1",
                         "tcp://999.0.0.1:1",
                         "tcp://1.2.3:1",
                         "tcp://a..b:1",
                         "tcp://-a:1",
                         "tcp://10.0.0.1;10.0.0.2:1",
                         "tcp://a b:1",
                         long_name};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct endpoint endpoint = {.port = 42};
        struct error error = {0};
        assert_int_equal(endpoint_parse(bad[i], &endpoint, &error), ERR_INPUT);
        assert_int_equal(error.code, ERR_INPUT);
        assert_int_equal(endpoint.port, 42); // untouched
    }
}

static void some_addresses_cannot_be_called(void **state)
{
    (void)state;
    struct endpoint endpoint;
    assert_int_equal(endpoint_parse_dial("tcp://127.0.0.1:1", &endpoint, NULL), OK);
    assert_int_equal(endpoint_parse_dial("tcp://*:1", &endpoint, NULL), ERR_INPUT);
    assert_int_equal(endpoint_parse_dial("tcp://127.0.0.1:0", &endpoint, NULL), ERR_INPUT);
    assert_int_equal(endpoint_parse_dial("127.0.0.1:1", &endpoint, NULL), ERR_INPUT);
}

static void loopback_is_this_machine_only(void **state)
{
    (void)state;
    assert_true(endpoint_is_loopback("tcp://127.0.0.1:1"));
    assert_true(endpoint_is_loopback("tcp://127.255.3.4:1"));
    assert_true(endpoint_is_loopback("tcp://[::1]:1"));
    assert_true(endpoint_is_loopback("tcp://LocalHost:1"));
    assert_false(endpoint_is_loopback("tcp://128.0.0.1:1"));
    assert_false(endpoint_is_loopback("tcp://0.0.0.0:1"));
    assert_false(endpoint_is_loopback("tcp://[::]:1"));
    assert_false(endpoint_is_loopback("tcp://[::2]:1"));
    assert_false(endpoint_is_loopback("tcp://*:1"));
    assert_false(endpoint_is_loopback("tcp://127.example:1"));
    assert_false(endpoint_is_loopback("tcp://127.0.0.1"));
    assert_false(endpoint_is_loopback(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_addresses),
        cmocka_unit_test(refuses_what_is_no_address),
        cmocka_unit_test(some_addresses_cannot_be_called),
        cmocka_unit_test(loopback_is_this_machine_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
