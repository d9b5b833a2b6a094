// Both ends of one direction of a connection, side by side.
#include "relay/repeats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

struct ends {
    struct repeats out, in;
};

static void finish(struct ends *ends)
{
    repeats_finish(&ends->out);
    repeats_finish(&ends->in);
}

// Sends a message; it must arrive as it is. Returns what it took on the line.
static size_t say(struct ends *ends, struct bytes message)
{
    uint8_t coded[REPEATS_SIZE_MAX], plain[REPEATS_SIZE_MAX];
    size_t size = repeats_code(&ends->out, message, coded), size_there;
    repeats_keep(&ends->out, message);
    if (size == 0) {
        repeats_keep(&ends->in, message);
        return message.size;
    }
    assert_in_range(size, 1, message.size - 1);
    struct bytes exact = bytes_of(memcpy(test_malloc(size), coded, size), size); // at its own end, for the sanitizer
    assert_true(repeats_read(&ends->in, exact, plain, &size_there));
    assert_true(bytes_equal(bytes_of(plain, size_there), message));
    repeats_keep(&ends->in, bytes_of(plain, size_there));
    test_free((void *)(uintptr_t)exact.data);
    return size;
}

static void a_message_like_one_before_it_is_short(void **state)
{
    (void)state;
    struct ends ends = {0};
    uint8_t message[300];
    crypto_random(message, sizeof message);
    assert_int_equal(say(&ends, bytes_of(message, 300)), 300);
    assert_int_equal(say(&ends, bytes_of(message, 300)), 1 + REPEATS_CHECK + 4); // 255 alike, and 45
    message[100]++;
    assert_int_equal(say(&ends, bytes_of(message, 300)), 1 + REPEATS_CHECK + 5);
    message[10]++, message[12]++; // two more of one run
    assert_int_equal(say(&ends, bytes_of(message, 300)), 1 + REPEATS_CHECK + 9);
    assert_int_equal(say(&ends, bytes_of(message, 200)), 1 + REPEATS_CHECK + 2); // its beginning
    assert_int_equal(say(&ends, bytes_of(message, 299)), 1 + REPEATS_CHECK + 4);
    finish(&ends);
    assert_int_equal(say(&ends, bytes_of(message, 200)), 200);
    assert_int_equal(say(&ends, bytes_of(message, 299)), 1 + REPEATS_CHECK + 2 + 99); // it, and what is new
    finish(&ends);
}

static void messages_that_take_turns_are_each_like_their_own_kind(void **state)
{
    (void)state;
    struct ends ends = {0};
    uint8_t kinds[REPEATS_KEPT][100];
    crypto_random(kinds, sizeof kinds);
    for (unsigned turn = 0; turn < 5; turn++)
        for (unsigned kind = 0; kind < REPEATS_KEPT; kind++) {
            kinds[kind][50] = (uint8_t)turn;
            size_t size = say(&ends, bytes_of(kinds[kind], 100));
            assert_int_equal(size, turn == 0 ? 100 : size < 20 ? size : 0);
        }
    finish(&ends);
}

static void what_is_too_long_or_unlike_goes_whole(void **state)
{
    (void)state;
    struct ends ends = {0};
    uint8_t message[REPEATS_SIZE_MAX + 1];
    crypto_random(message, sizeof message);
    assert_int_equal(say(&ends, bytes_of(message, 0)), 0);
    for (int i = 0; i < 2; i++) // never kept
        assert_int_equal(say(&ends, bytes_of(message, REPEATS_SIZE_MAX + 1)), REPEATS_SIZE_MAX + 1);
    assert_int_equal(say(&ends, bytes_of(message, REPEATS_SIZE_MAX)), REPEATS_SIZE_MAX);
    assert_int_equal(say(&ends, bytes_of(message, REPEATS_SIZE_MAX)), 1 + REPEATS_CHECK + 6);
    assert_int_equal(say(&ends, bytes_of(message, 7)), 7); // a difference would not be shorter
    finish(&ends);
}

static void whatever_is_said_arrives(void **state)
{
    (void)state;
    struct ends ends = {0};
    uint8_t message[REPEATS_SIZE_MAX + 8] = {0};
    uint8_t dice[8];
    size_t whole = 0, said = 0;
    for (int i = 0; i < 20000; i++) {
        crypto_random(dice, sizeof dice);
        size_t size = get_be16(dice) % sizeof message;
        if (dice[2] % 4)
            size = 100 + dice[2] % 3;
        for (unsigned k = 0; k < dice[3] % 6u; k++)
            message[get_be16(dice + 4) * (k + 1) % sizeof message] ^= dice[6];
        whole += size;
        said += say(&ends, bytes_of(message, size));
    }
    assert_true(said < whole / 2);
    finish(&ends);
}

static void fault_50_a_hole_is_noticed(void **state)
{
    (void)state;
    struct ends ends = {0};
    uint8_t message[100], coded[REPEATS_SIZE_MAX], plain[REPEATS_SIZE_MAX];
    size_t size;
    crypto_random(message, sizeof message);
    say(&ends, bytes_of(message, sizeof message));
    message[7]++;
    assert_true(repeats_code(&ends.out, bytes_of(message, sizeof message), coded) > 0);
    repeats_keep(&ends.out, bytes_of(message, sizeof message)); // and never arrives
    message[9]++;
    size_t length = repeats_code(&ends.out, bytes_of(message, sizeof message), coded);
    assert_true(length > 0);
    assert_false(repeats_read(&ends.in, bytes_of(coded, length), plain, &size));
    finish(&ends);
}

static void fault_43_nothing_outside_is_read_or_written(void **state)
{
    (void)state;
    struct ends ends = {0};
    uint8_t message[60], plain[REPEATS_SIZE_MAX];
    size_t size = 99;
    crypto_random(message, sizeof message);
    say(&ends, bytes_of(message, sizeof message));
    for (int i = 0; i < 200000; i++) {
        uint8_t dice[2];
        crypto_random(dice, sizeof dice);
        size_t length = dice[0] % 80;
        uint8_t *coded = test_malloc(length + 1);
        crypto_random(coded, length);
        if (length > 0)
            coded[0] %= REPEATS_KEPT + 2;
        for (size_t at = 1 + REPEATS_CHECK; at < length; at += 2)
            coded[at] %= 1 + dice[1] % 70;
        assert_false(repeats_read(&ends.in, bytes_of(coded, length), plain, &size)); // the check fails, but for once in 2^32
        test_free(coded);
    }
    assert_true(size == 99);
    uint8_t coded[4 + REPEATS_SIZE_MAX + 300] = {0};
    for (size_t at = 5; at < 5 + 6 * 2; at += 2)
        coded[at] = 60; // more than is kept
    assert_false(repeats_read(&ends.in, bytes_of(coded, 5 + 6 * 2), plain, &size));
    coded[5] = 0, coded[6] = 255, coded[5 + 257] = 0, coded[6 + 257] = 255, coded[5 + 2 * 257] = 0, coded[6 + 2 * 257] = 3; // 513
    assert_false(repeats_read(&ends.in, bytes_of(coded, 5 + 2 * 257 + 5), plain, &size));
    finish(&ends);
}

int main(void)
{
    if (crypto_init(NULL) != OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_like_one_before_it_is_short),
        cmocka_unit_test(messages_that_take_turns_are_each_like_their_own_kind),
        cmocka_unit_test(what_is_too_long_or_unlike_goes_whole),
        cmocka_unit_test(whatever_is_said_arrives),
        cmocka_unit_test(fault_50_a_hole_is_noticed),
        cmocka_unit_test(fault_43_nothing_outside_is_read_or_written),
    };
    return cmocka_run_group_tests_name("relay/repeats", tests, NULL, NULL);
}
