#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "relay/merkle.h"

enum { LEAVES = 70 };
static struct hash leaves[LEAVES];

static int setup(void **state)
{
    (void)state;
    static const uint8_t salt[SALT_SIZE];
    for (uint8_t i = 0; i < LEAVES; i++)
        leaves[i] = crypto_leaf(salt, bytes_of(&i, 1));
    return crypto_init(NULL) == OK ? 0 : -1;
}

// RFC 9162, 2.1.1, word for word: MTH(D[n]) = H(0x01 || MTH(D[0:k]) || MTH(D[k:n])), k the largest power of two below n.
static struct hash by_definition(const struct hash *d, uint32_t n)
{
    if (n == 1)
        return d[0];
    uint32_t k = 1;
    while (k * 2 < n)
        k *= 2;
    struct hash left = by_definition(d, k), right = by_definition(d + k, n - k);
    return crypto_node(&left, &right);
}

// RFC 9162, 2.1.3.1, word for word.
static uint32_t path_by_definition(uint32_t m, const struct hash *d, uint32_t n, struct hash *path)
{
    if (n == 1)
        return 0;
    uint32_t k = 1;
    while (k * 2 < n)
        k *= 2;
    uint32_t length = m < k ? path_by_definition(m, d, k, path) : path_by_definition(m - k, d + k, n - k, path);
    path[length] = m < k ? by_definition(d + k, n - k) : by_definition(d, k);
    return length + 1;
}

static void the_root_is_that_of_the_rfc(void **state)
{
    (void)state;
    struct merkle merkle = {0};
    for (uint32_t n = 1; n <= LEAVES; n++) {
        merkle_add(&merkle, &leaves[n - 1]);
        struct hash root = merkle_root(&merkle), expected = by_definition(leaves, n);
        assert_memory_equal(&root, &expected, sizeof root);
    }
}

static void the_path_is_that_of_the_rfc_and_checks(void **state)
{
    (void)state;
    for (uint32_t n = 1; n <= LEAVES; n++) {
        struct hash root = by_definition(leaves, n);
        for (uint32_t i = 0; i < n; i++) {
            struct hash path[MERKLE_DEPTH_MAX], expected[MERKLE_DEPTH_MAX];
            uint32_t length = merkle_path(leaves, n, i, path);
            assert_int_equal(length, path_by_definition(i, leaves, n, expected));
            if (length)
                assert_memory_equal(path, expected, length * sizeof *path);
            assert_true(merkle_check(&root, n, i, &leaves[i], path, length));
        }
    }
}

static void a_path_is_good_for_one_place_only(void **state)
{
    (void)state;
    for (uint32_t n = 2; n <= 20; n++) {
        struct hash root = by_definition(leaves, n), path[MERKLE_DEPTH_MAX + 1] = {0};
        for (uint32_t i = 0; i < n; i++) {
            uint32_t length = merkle_path(leaves, n, i, path);
            for (uint32_t j = 0; j < n; j++) {
                assert_int_equal(merkle_check(&root, n, j, &leaves[i], path, length), i == j);
                if (i != j)
                    assert_false(merkle_check(&root, n, i, &leaves[j], path, length));
            }
            assert_false(merkle_check(&root, n, i, &leaves[i], path, length - 1));
            assert_false(merkle_check(&root, n, i, &leaves[i], path, length + 1));
            assert_false(merkle_check(&root, n, n, &leaves[i], path, length));
            path[0].bytes[7] ^= 1;
            assert_false(merkle_check(&root, n, i, &leaves[i], path, length));
        }
    }
}

static void a_node_is_not_taken_for_a_leaf(void **state)
{
    (void)state; // the second-preimage trick: a tree of two "leaves" that are the nodes of a tree of four
    struct hash root = by_definition(leaves, 4), left = by_definition(leaves, 2), right = by_definition(leaves + 2, 2);
    static const uint8_t salt[SALT_SIZE];
    uint8_t joined[2 * HASH_SIZE];
    memcpy(joined, &leaves[0], HASH_SIZE);
    memcpy(joined + HASH_SIZE, &leaves[1], HASH_SIZE);
    struct hash leaf = crypto_leaf(salt, bytes_of(joined, sizeof joined));
    assert_memory_not_equal(&leaf, &left, sizeof leaf);
    assert_false(merkle_check(&root, 2, 0, &leaf, &right, 1));
}

static void a_batch_of_a_thousand_has_paths_of_ten(void **state)
{
    (void)state;
    static struct hash many[1000];
    for (uint32_t i = 0; i < 1000; i++)
        put_be32(many[i].bytes, i);
    struct hash path[10], root = by_definition(many, 1000);
    uint32_t longest = 0;
    for (uint32_t i = 0; i < 1000; i += 37) {
        uint32_t length = merkle_path(many, 1000, i, path);
        longest = length > longest ? length : longest;
        assert_true(merkle_check(&root, 1000, i, &many[i], path, length));
    }
    assert_int_equal(longest, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_root_is_that_of_the_rfc),
        cmocka_unit_test(the_path_is_that_of_the_rfc_and_checks),
        cmocka_unit_test(a_path_is_good_for_one_place_only),
        cmocka_unit_test(a_node_is_not_taken_for_a_leaf),
        cmocka_unit_test(a_batch_of_a_thousand_has_paths_of_ten),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
