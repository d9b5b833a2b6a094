// Real connections over loopback: the bound is on what the kernel says has come.
#include "relay/inflow.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { MIB = 1024 * 1024 };

struct line {
    int near, far; // the watched end, and who sends
};

static struct line line_open(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listening, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listening, 1), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&address, &size), 0);
    struct line line = {.far = socket(AF_INET, SOCK_STREAM, 0)};
    assert_int_equal(connect(line.far, (struct sockaddr *)&address, size), 0);
    line.near = accept(listening, NULL, NULL);
    assert_true(line.near >= 0);
    close(listening);
    return line;
}

static void line_close(struct line *line)
{
    close(line->near);
    close(line->far);
}

// Sends and takes `bytes`.
static void bring(struct line *line, size_t bytes)
{
    static uint8_t block[64 * 1024];
    for (size_t taken = 0, sent = 0; taken < bytes;) {
        ssize_t n = sent < bytes ? send(line->far, block, bytes - sent < sizeof block ? bytes - sent : sizeof block, MSG_DONTWAIT) : 0;
        sent += n > 0 ? (size_t)n : 0;
        n = recv(line->near, block, sizeof block, MSG_DONTWAIT);
        taken += n > 0 ? (size_t)n : 0;
    }
}

static bool is_cut(struct line *line)
{
    struct pollfd end = {.fd = line->far, .events = POLLRDHUP};
    return poll(&end, 1, 0) == 1;
}

static unsigned look(struct inflow *inflow)
{
    unsigned again_ms;
    return inflow_look(inflow, &again_ms);
}

static void fault_43_a_connection_without_messages_is_cut(void **unused)
{
    (void)unused;
    struct inflow inflow = {0};
    struct line bad = line_open(), good = line_open();
    unsigned again_ms;
    assert_true(inflow_came(&inflow, bad.near, false));
    assert_true(inflow_came(&inflow, good.near, false));
    assert_int_equal(inflow.count, 2);
    assert_int_equal(inflow_look(&inflow, &again_ms), 0);
    assert_int_equal(again_ms, INFLOW_LOOK_MS);
    bring(&bad, INFLOW_SOME + 1);
    assert_int_equal(inflow_look(&inflow, &again_ms), 0);
    assert_int_equal(again_ms, INFLOW_LOOK_SOON_MS);
    for (int i = 0; i < 3; i++) { // more than the bound altogether, but messages come out of it
        bring(&good, INFLOW_LINE_MAX / 2);
        inflow_whole(&inflow, good.near);
        assert_int_equal(look(&inflow), 0);
    }
    bring(&bad, INFLOW_LINE_MAX - INFLOW_SOME);
    assert_int_equal(look(&inflow), 1);
    assert_true(is_cut(&bad));
    assert_false(is_cut(&good));
    assert_int_equal(inflow.count, 1);
    assert_int_equal(look(&inflow), 0);
    inflow_went(&inflow, bad.near); // the word comes later
    assert_int_equal(inflow.count, 1);
    line_close(&bad);
    line_close(&good);
    inflow_finish(&inflow);
}

static void fault_43_many_together_are_bounded_and_the_worst_goes(void **unused)
{
    (void)unused;
    enum { LINES = INFLOW_ALL_MAX / (INFLOW_LINE_MAX - MIB) + 1 };
    struct inflow inflow = {0};
    struct line lines[LINES];
    for (int i = 0; i < LINES; i++) {
        lines[i] = line_open();
        assert_true(inflow_came(&inflow, lines[i].near, false));
        assert_int_equal(look(&inflow), 0);
        bring(&lines[i], INFLOW_LINE_MAX - MIB + (i == 3));
    }
    assert_int_equal(look(&inflow), 1);
    for (int i = 0; i < LINES; i++) {
        assert_int_equal(is_cut(&lines[i]), i == 3);
        line_close(&lines[i]);
    }
    inflow_finish(&inflow);
}

static void fault_14_callers_that_say_nothing_make_room(void **unused)
{
    (void)unused;
    enum { LINES = 5 };
    struct inflow inflow = {0};
    struct line lines[LINES]; // our own call, one that has spoken, three that have not
    for (int i = 0; i < LINES; i++) {
        lines[i] = line_open();
        assert_true(inflow_came(&inflow, lines[i].near, i > 0));
    }
    inflow_whole(&inflow, lines[1].near);
    assert_int_equal(look(&inflow), 0);
    assert_int_equal(inflow_shed(&inflow, 2), 2);
    for (int i = 0; i < LINES; i++)
        assert_int_equal(is_cut(&lines[i]), i > 2); // the latest go
    assert_int_equal(inflow_shed(&inflow, 9), 1);
    assert_int_equal(inflow_shed(&inflow, 9), 0);
    assert_int_equal(inflow.count, 2);
    for (int i = 0; i < LINES; i++) {
        assert_int_equal(is_cut(&lines[i]), i > 1);
        line_close(&lines[i]);
    }
    inflow_finish(&inflow);
}

static void descriptors_are_given_again(void **unused)
{
    (void)unused;
    struct inflow inflow = {0};
    struct line line = line_open();
    assert_true(inflow_came(&inflow, line.near, false));
    bring(&line, INFLOW_LINE_MAX - MIB);
    inflow_whole(&inflow, line.near);
    assert_int_equal(look(&inflow), 0);
    int number = line.near;
    line_close(&line);
    assert_int_equal(look(&inflow), 0); // nothing there
    struct line other = line_open();
    assert_int_equal(dup2(other.near, number), number); // before anybody was told
    bring(&other, MIB);
    assert_int_equal(look(&inflow), 0);
    assert_true(inflow_came(&inflow, number, false));
    assert_int_equal(inflow.count, 1);
    bring(&other, INFLOW_LINE_MAX);
    assert_int_equal(look(&inflow), 1);
    close(number);
    line_close(&other);
    int file = open("/dev/null", O_RDONLY); // no connection at all
    assert_true(inflow_came(&inflow, file, false));
    assert_int_equal(look(&inflow), 0);
    assert_false(inflow_came(&inflow, -1, false));
    inflow_went(&inflow, 1 << 20);
    inflow_whole(&inflow, -1);
    close(file);
    inflow_finish(&inflow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fault_43_a_connection_without_messages_is_cut),
        cmocka_unit_test(fault_43_many_together_are_bounded_and_the_worst_goes),
        cmocka_unit_test(fault_14_callers_that_say_nothing_make_room),
        cmocka_unit_test(descriptors_are_given_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
