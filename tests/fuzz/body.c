// Body bytes from a peer, under a header that fits them as well as one can.
#include "envelope.pb-c.h"
#include "relay/batch.h"
#include "tests/fuzz/repack.h"

static struct entry entries[BATCH_ENTRIES_MAX];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes body = bytes_of(data, size), entry;
    struct header header = {.feed = {.lane = size % 2 ? SANJI__LANE__CONTROL : SANJI__LANE__CASE}, .body_size = (uint32_t)size};
    for (size_t at = 0; header.count < BATCH_ENTRIES_MAX && codec_next(body, 2, &at, &entry);)
        header.count++;
    if (header.count == 0)
        header.count = 1;
    MUST(body_check(body, &header, entries, NULL) != OK); // no body has the root of zeros
    if (body_decode(body, &header, entries, NULL) != OK)
        return 0;
    for (uint32_t i = 0; i < header.count; i++) {
        MUST(entries[i].kind != 0 && entries[i].content.size > 0);
        MUST(entries[i].wire.data > data && entries[i].wire.data + entries[i].wire.size <= data + size);
    }
    uint32_t index = header.count / 2, path_count, zero_count;
    uint8_t salt[SALT_SIZE], zero_salt[SALT_SIZE];
    struct hash path[10], zero_path[10];
    MUST(body_prove(body, &header, index, salt, path, &path_count, NULL) == OK);
    MUST(body_prove(body, &header, 0, zero_salt, zero_path, &zero_count, NULL) == OK);
    // Both paths lead to one root, and body_check() agrees with it.
    struct hash leaf = crypto_leaf(salt, entries[index].wire), root = crypto_leaf(zero_salt, entries[0].wire);
    for (uint32_t i = 0; i < zero_count; i++)
        root = crypto_node(&root, &zero_path[i]);
    MUST(inclusion_check(&root, header.count, index, &leaf, path, path_count));
    header.root = root;
    MUST(body_check(body, &header, entries, NULL) == OK);
    return 0;
}
