// The tree of RFC 9162, 2.1, over leaf hashes that the caller makes: root, inclusion path, check. Any number of leaves from 1.
// Pure; no allocation. crypto_node() joins two hashes.
#pragma once
#include "relay/crypto.h"

enum { MERKLE_DEPTH_MAX = 32 }; // levels above a leaf: counts are 32 bits

// Takes leaves one by one and holds one hash a level. Zero-initialised is empty.
struct merkle {
    uint32_t count;
    struct hash stack[MERKLE_DEPTH_MAX]; // roots of the complete subtrees so far, the largest first
};

void merkle_add(struct merkle *merkle, const struct hash *leaf);
// Of the leaves so far, at least one; more may be added afterwards.
struct hash merkle_root(const struct merkle *merkle);

// Path of leaf `index` of `leaves`, from the leaf up (RFC 9162, 2.1.3.1); `path` has room for MERKLE_DEPTH_MAX, or for the depth of
// `count` (10 for 1,000). Returns its length.
uint32_t merkle_path(const struct hash *leaves, uint32_t count, uint32_t index, struct hash *path);
// RFC 9162, 2.1.3.2: whether `leaf` is number `index` of the `count` under `root`. False also for a path of the wrong length.
bool merkle_check(const struct hash *root, uint32_t count, uint32_t index, const struct hash *leaf, const struct hash *path,
                  uint32_t path_count);
