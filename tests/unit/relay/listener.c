#include "relay/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

// A call in progress to `listener`, non-blocking.
static int call(const struct listener *listener)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    unsigned port;
    assert_int_equal(sscanf(listener->endpoint, "tcp://127.0.0.1:%u", &port), 1);
    address.sin_port = htons((uint16_t)port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    int result = connect(fd, (struct sockaddr *)&address, sizeof address);
    assert_true(result == 0 || errno == EINPROGRESS);
    return fd;
}

static bool connected(int fd, int timeout_ms)
{
    struct pollfd item = {.fd = fd, .events = POLLOUT};
    return poll(&item, 1, timeout_ms) == 1 && !(item.revents & (POLLERR | POLLHUP));
}

static void opens_what_it_says(void **state)
{
    (void)state;
    struct listener listener = {.fd = -1}, second = {.fd = -1};
    struct error error;
    assert_int_equal(listener_open(&listener, "tcp://127.0.0.1:0", &error), OK);
    assert_string_equal(listener.reach, listener.endpoint);
    int fd = call(&listener);
    assert_true(connected(fd, 5000));
    assert_int_equal(listener_drain(&listener), 1);
    assert_int_equal(listener_open(&second, listener.endpoint, &error), ERR_NETWORK); // taken
    assert_non_null(strstr(error.detail, listener.endpoint));
    assert_int_equal(second.fd, -1);
    assert_int_equal(listener_open(&second, "tcp://localhost:0", &error), OK);
    assert_int_equal(strncmp(second.endpoint, "tcp://127.", 10), 0);
    listener_close(&second);
    assert_int_equal(listener_open(&second, "tcp://", &error), ERR_INPUT);
    close(fd);
    listener_close(&listener);
    listener_close(&listener);
}

static void fault_14_a_paused_listener_takes_nothing_and_loses_nobody(void **state)
{
    (void)state;
    struct listener listener = {.fd = -1};
    assert_int_equal(listener_open(&listener, "tcp://127.0.0.1:0", NULL), OK);
    int live = call(&listener);
    assert_true(connected(live, 5000));
    int accepted = accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(accepted >= 0);
    listener_pause(&listener);
    listener_pause(&listener);
    int waiting = call(&listener);
    assert_false(connected(waiting, 100));
    assert_int_equal(listener_drain(&listener), 0);
    char byte = 'x';
    assert_int_equal(send(live, &byte, 1, 0), 1); // who is in, stays in
    assert_int_equal(recv(accepted, &byte, 1, 0), 1);
    listener_resume(&listener);
    assert_true(connected(waiting, 10000)); // TCP tried again by itself
    int late = call(&listener);
    assert_true(connected(late, 5000));
    assert_true(listener_drain(&listener) >= 1);
    close(live);
    close(accepted);
    close(waiting);
    close(late);
    listener_close(&listener);
}

static void fault_14_room_is_counted_and_the_queue_drains_without_any(void **state)
{
    (void)state;
    struct rlimit old, small;
    struct room room;
    struct listener listener = {.fd = -1};
    assert_int_equal(listener_open(&listener, "tcp://127.0.0.1:0", NULL), OK);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    small = (struct rlimit){.rlim_cur = 256, .rlim_max = old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
    room_init(&room, 7);
    long before = room.free;
    assert_int_equal(room.keep, 256 / 16);
    assert_int_equal(room.counted_ms, 7);
    int fds[256], count = 0;
    for (; count < 30; count++)
        fds[count] = call(&listener);
    assert_true(connected(fds[29], 5000));
    room_count(&room, 8);
    assert_int_equal(room.free, before - 30);
    room_change(&room, -1);
    assert_int_equal(room.free, before - 29);
    room_change(&room, 2);
    assert_in_range(room.free, 0, before - 31);
    while ((fds[count] = dup(0)) >= 0)
        count++;
    room_change(&room, 1);
    assert_int_equal(room.free, 0); // others have taken them
    room_count(&room, 9);
    assert_int_equal(room.free, 0);
    assert_int_equal(listener_drain(&listener), 30);
    assert_int_equal(listener_drain(&listener), 0);
    assert_true(fcntl(0, F_GETFD) >= 0); // what the draining thread closed, it closed for itself
    assert_true(fcntl(listener.fd, F_GETFD) >= 0);
    while (count > 0)
        close(fds[--count]);
    room_count(&room, 10);
    assert_int_equal(room.free, before);
    setrlimit(RLIMIT_NOFILE, &old);
    listener_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_what_it_says),
        cmocka_unit_test(fault_14_a_paused_listener_takes_nothing_and_loses_nobody),
        cmocka_unit_test(fault_14_room_is_counted_and_the_queue_drains_without_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
