#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "control.pb-c.h"
#include "node/control.h"
#include "relay/codec.h"
#include "relay/limits.h"

struct place {
    char dir[1024], socket[1100];
};

static void place_make(struct place *place)
{
    const char *base = getenv("TMPDIR");
    snprintf(place->dir, sizeof place->dir, "%.700s/sanji-control-XXXXXX", base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(place->dir));
    snprintf(place->socket, sizeof place->socket, "%s/control.sock", place->dir);
}

static void place_remove(struct place *place)
{
    unlink(place->socket);
    assert_int_equal(rmdir(place->dir), 0); // nothing else was left behind
}

// Answers "p" with two progress messages first, "b" only when the test opens the gate, anything else with itself.
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int waiting;
    bool open;
};

static void echo(void *context, struct bytes request, struct control_reply *reply)
{
    struct gate *gate = context;
    if (request.size == 1 && *request.data == 'p') {
        assert_int_equal(control_answer(reply, bytes_of_text("1")), OK);
        assert_int_equal(control_answer(reply, bytes_of_text("2")), OK);
    }
    if (request.size == 1 && *request.data == 'b') {
        pthread_mutex_lock(&gate->lock);
        gate->waiting++;
        pthread_cond_broadcast(&gate->changed);
        while (!gate->open)
            pthread_cond_wait(&gate->changed, &gate->lock);
        pthread_mutex_unlock(&gate->lock);
    }
    control_answer(reply, request);
}

static struct control *start(const struct place *place, struct gate *gate, int receive_ms)
{
    struct control *control = NULL;
    struct error error = {0};
    struct control_config config = {.dir = place->dir, .handle = echo, .context = gate, .receive_ms = receive_ms};
    if (control_start(&config, &control, &error) != OK)
        fail_msg("%s", error.detail);
    return control;
}

static int dial(const struct place *place)
{
    int fd = -1;
    struct error error = {0};
    if (control_connect(place->dir, &fd, &error) != OK)
        fail_msg("%s", error.detail);
    return fd;
}

static void expect(int fd, struct bytes want)
{
    struct buffer answer = {0};
    struct error error = {0};
    if (control_receive(fd, 60000, &answer, &error) != OK)
        fail_msg("%s", error.detail);
    assert_true(bytes_equal(buffer_bytes(&answer), want));
    buffer_finish(&answer);
}

static void expect_failure(int fd, uint32_t failure)
{
    struct buffer answer = {0};
    struct arena arena = {0};
    void *message;
    assert_int_equal(control_receive(fd, 60000, &answer, NULL), OK);
    struct codec_limits limits = {.bytes_max = 4096, .elements_max = 100};
    assert_int_equal(codec_unpack(&sanji__reply__descriptor, buffer_bytes(&answer), &limits, &arena, &message, NULL), OK);
    Sanji__Reply *reply = message;
    assert_int_equal(reply->reply_case, SANJI__REPLY__REPLY_FAILURE);
    assert_int_equal(reply->failure->code, failure);
    arena_finish(&arena);
    buffer_finish(&answer);
}

static void expect_end(int fd)
{
    struct buffer answer = {0};
    assert_int_equal(control_receive(fd, 60000, &answer, NULL), ERR_NETWORK);
    assert_int_equal(answer.size, 0);
    buffer_finish(&answer);
}

static void asks_and_answers(void **state)
{
    (void)state;
    struct place place;
    place_make(&place);
    int fd;
    assert_int_equal(control_connect(place.dir, &fd, NULL), ERR_NOT_FOUND);
    assert_int_equal(control_connect("/nonexistent/sanji", &fd, NULL), ERR_NOT_FOUND);
    struct control *control = start(&place, NULL, 0);
    struct stat stat;
    assert_int_equal(lstat(place.socket, &stat), 0);
    assert_int_equal(stat.st_mode & 07777, 0600);
    fd = dial(&place);
    assert_int_equal(control_send(fd, bytes_of_text("hello"), 60000, NULL), OK);
    expect(fd, bytes_of_text("hello"));
    assert_int_equal(control_send(fd, bytes_of_text("p"), 60000, NULL), OK); // the same connection again
    expect(fd, bytes_of_text("1"));
    expect(fd, bytes_of_text("2"));
    expect(fd, bytes_of_text("p"));
    assert_int_equal(control_send(fd, bytes_of(NULL, 0), 60000, NULL), OK);
    expect(fd, bytes_of(NULL, 0));
    control_stop(control); // with a connection open and idle
    expect_end(fd);
    close(fd);
    assert_int_equal(access(place.socket, F_OK), -1);
    place_remove(&place);
    control_stop(NULL);
}

static void *send_large(void *context)
{
    struct bytes *large = ((void **)context)[1];
    assert_int_equal(control_send(*(int *)((void **)context)[0], *large, 60000, NULL), OK);
    return NULL;
}

static void large_messages_pass_and_larger_are_refused(void **state)
{
    (void)state;
    struct place place;
    place_make(&place);
    struct control *control = start(&place, NULL, 0);
    int fd = dial(&place);
    struct bytes large = bytes_of(calloc(1, CONTROL_MESSAGE_MAX), CONTROL_MESSAGE_MAX);
    assert_non_null(large.data);
    memset((uint8_t *)(uintptr_t)large.data, 'x', large.size);
    pthread_t thread;
    void *context[] = {&fd, &large};
    assert_int_equal(pthread_create(&thread, NULL, send_large, context), 0);
    expect(fd, large);
    pthread_join(thread, NULL);
    struct error error;
    assert_int_equal(control_send(fd, bytes_of(large.data, (size_t)CONTROL_MESSAGE_MAX + 1), 60000, &error), ERR_LIMIT);
    uint8_t head[4];
    put_be32(head, CONTROL_MESSAGE_MAX + 1);
    assert_int_equal(send(fd, head, 4, MSG_NOSIGNAL), 4);
    expect_failure(fd, ERR_LIMIT);
    expect_end(fd);
    close(fd);
    free((void *)(uintptr_t)large.data);
    control_stop(control);
    place_remove(&place);
}

static void one_client_never_blocks_another(void **state)
{
    (void)state;
    struct place place;
    struct gate gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    place_make(&place);
    struct control *control = start(&place, &gate, 0);
    int slow = dial(&place), half = dial(&place), fd = dial(&place);
    assert_int_equal(control_send(slow, bytes_of_text("b"), 60000, NULL), OK);
    assert_int_equal(send(half, "\0\0", 2, MSG_NOSIGNAL), 2);
    pthread_mutex_lock(&gate.lock);
    while (gate.waiting == 0)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    assert_int_equal(control_send(fd, bytes_of_text("quick"), 60000, NULL), OK);
    expect(fd, bytes_of_text("quick"));
    pthread_mutex_lock(&gate.lock);
    gate.open = true;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    expect(slow, bytes_of_text("b"));
    close(slow);
    close(half);
    close(fd);
    control_stop(control);
    place_remove(&place);
}

static void the_65th_is_told_busy(void **state)
{
    (void)state;
    struct place place;
    place_make(&place);
    struct control *control = start(&place, NULL, 0);
    int fds[CONTROL_CONNECTIONS_MAX];
    for (int i = 0; i < CONTROL_CONNECTIONS_MAX; i++)
        fds[i] = dial(&place);
    int more = dial(&place);
    expect_failure(more, ERR_BUSY);
    expect_end(more);
    close(more);
    for (int i = 0; i < CONTROL_CONNECTIONS_MAX; i++) { // those that were there first are served
        assert_int_equal(control_send(fds[i], bytes_of_text("x"), 60000, NULL), OK);
        expect(fds[i], bytes_of_text("x"));
        close(fds[i]);
    }
    control_stop(control);
    place_remove(&place);
}

static void a_request_that_does_not_arrive_ends_the_connection(void **state)
{
    (void)state;
    struct place place;
    place_make(&place);
    struct control *control = start(&place, NULL, 1);
    int fd = dial(&place), idle = dial(&place);
    assert_int_equal(send(fd, "\0\0\0\5ab", 6, MSG_NOSIGNAL), 6);
    expect_end(fd);
    expect_end(idle);
    close(fd);
    close(idle);
    control_stop(control);
    place_remove(&place);
}

static void the_file_of_a_dead_node_is_replaced(void **state)
{
    (void)state;
    struct place place;
    struct error error;
    place_make(&place);
    int dead = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_true(strlen(place.socket) < sizeof address.sun_path);
    strcpy(address.sun_path, place.socket);
    assert_int_equal(bind(dead, (struct sockaddr *)(void *)&address, sizeof address), 0);
    close(dead);
    struct control *control = start(&place, NULL, 0), *second = NULL;
    struct control_config config = {.dir = place.dir, .handle = echo};
    assert_int_equal(control_start(&config, &second, &error), ERR_BUSY); // that one lives
    int fd = dial(&place);
    assert_int_equal(control_send(fd, bytes_of_text("x"), 60000, NULL), OK);
    expect(fd, bytes_of_text("x"));
    close(fd);
    control_stop(control);
    close(open(place.socket, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    assert_int_equal(control_start(&config, &second, &error), ERR_EXISTS); // a file of somebody's is left alone
    assert_int_equal(access(place.socket, F_OK), 0);
    assert_null(second);
    place_remove(&place);
}

static void long_directories_work(void **state)
{
    (void)state;
    struct place place, deep = {0};
    place_make(&place);
    assert_true((size_t)snprintf(deep.dir, sizeof deep.dir, "%.800s/%0120d", place.dir, 0) < sizeof deep.dir);
    snprintf(deep.socket, sizeof deep.socket, "%s/control.sock", deep.dir);
    assert_int_equal(mkdir(deep.dir, 0700), 0);
    struct control *control = start(&deep, NULL, 0);
    int fd = dial(&deep);
    assert_int_equal(control_send(fd, bytes_of_text("x"), 60000, NULL), OK);
    expect(fd, bytes_of_text("x"));
    close(fd);
    control_stop(control);
    place_remove(&deep);
    place_remove(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_and_answers),
        cmocka_unit_test(large_messages_pass_and_larger_are_refused),
        cmocka_unit_test(one_client_never_blocks_another),
        cmocka_unit_test(the_65th_is_told_busy),
        cmocka_unit_test(a_request_that_does_not_arrive_ends_the_connection),
        cmocka_unit_test(the_file_of_a_dead_node_is_replaced),
        cmocka_unit_test(long_directories_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
