#include "relay/merkle.h"

#include <assert.h>

void merkle_add(struct merkle *merkle, const struct hash *leaf)
{
    assert(merkle->count < UINT32_MAX);
    // The stack holds one subtree for each bit set in `count`; a new leaf joins the complete ones at its end, as in a binary counter.
    unsigned top = (unsigned)__builtin_popcount(merkle->count);
    struct hash hash = *leaf;
    for (uint32_t bits = merkle->count; bits & 1; bits >>= 1)
        hash = crypto_node(&merkle->stack[--top], &hash);
    merkle->stack[top] = hash;
    merkle->count++;
}

struct hash merkle_root(const struct merkle *merkle)
{
    assert(merkle->count > 0);
    unsigned top = (unsigned)__builtin_popcount(merkle->count) - 1;
    struct hash hash = merkle->stack[top];
    while (top > 0)
        hash = crypto_node(&merkle->stack[--top], &hash);
    return hash;
}

static struct hash root_of(const struct hash *leaves, uint32_t count)
{
    struct merkle merkle = {0};
    for (uint32_t i = 0; i < count; i++)
        merkle_add(&merkle, &leaves[i]);
    return merkle_root(&merkle);
}

uint32_t merkle_path(const struct hash *leaves, uint32_t count, uint32_t index, struct hash *path)
{
    assert(index < count);
    // From the root down: at each split (the largest power of two below the count) the other half is one step of the path.
    uint32_t length = 0;
    while (count > 1) {
        uint32_t left = 1u << (31 - __builtin_clz(count - 1));
        if (index < left) {
            path[length++] = root_of(leaves + left, count - left);
            count = left;
        } else {
            path[length++] = root_of(leaves, left);
            leaves += left;
            count -= left;
            index -= left;
        }
    }
    for (uint32_t i = 0; i < length / 2; i++) {
        struct hash other = path[i];
        path[i] = path[length - 1 - i];
        path[length - 1 - i] = other;
    }
    return length;
}

bool merkle_check(const struct hash *root, uint32_t count, uint32_t index, const struct hash *leaf, const struct hash *path,
                  uint32_t path_count)
{
    if (index >= count)
        return false;
    uint32_t node = index, last = count - 1;
    struct hash hash = *leaf;
    for (uint32_t i = 0; i < path_count; i++) {
        if (last == 0)
            return false;
        if ((node & 1) || node == last) {
            hash = crypto_node(&path[i], &hash);
            while (!(node & 1)) { // an end: `node` is not 0, as it is odd or `last`
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = crypto_node(&hash, &path[i]);
        }
        node >>= 1;
        last >>= 1;
    }
    return last == 0 && hash_equal(&hash, root);
}
