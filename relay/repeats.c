#include "relay/repeats.h"

#include <stdlib.h>

enum {
    RUN_MAX = 255, // a byte
    RUN_MIN = 3,   // bytes alike that are worth the two that a new run costs
};

void repeats_finish(struct repeats *repeats)
{
    for (unsigned i = 0; i < REPEATS_KEPT; i++)
        free(repeats->kept[i].bytes);
    *repeats = (struct repeats){0};
}

static void check_of(struct bytes message, uint8_t ret[REPEATS_CHECK])
{
    struct hash hash = crypto_hash(TAG_MESSAGE, message);
    memcpy(ret, hash.bytes, REPEATS_CHECK);
}

static size_t alike(const struct repeats_kept *kept, struct bytes message)
{
    size_t size = kept->size < message.size ? kept->size : message.size, count = 0;
    for (size_t i = 0; i < size; i++)
        count += kept->bytes[i] == message.data[i];
    return count;
}

static size_t run_alike(const struct repeats_kept *kept, struct bytes message, size_t at)
{
    size_t end = at;
    while (end < message.size && end < kept->size && end - at < RUN_MAX && kept->bytes[end] == message.data[end])
        end++;
    return end - at;
}

size_t repeats_code(const struct repeats *repeats, struct bytes message, uint8_t ret[REPEATS_SIZE_MAX])
{
    size_t best = 0, used = 1 + REPEATS_CHECK;
    unsigned base = 0;
    if (message.size > REPEATS_SIZE_MAX)
        return 0;
    for (unsigned i = 0; i < REPEATS_KEPT; i++) {
        size_t count = repeats->kept[i].bytes ? alike(&repeats->kept[i], message) : 0;
        if (count > best) {
            best = count;
            base = i;
        }
    }
    const struct repeats_kept *kept = &repeats->kept[base];
    for (size_t at = 0; best > 0 && at < message.size;) {
        size_t same = run_alike(kept, message, at), from = at + same, others = 0;
        while (from + others < message.size && others < RUN_MAX) {
            size_t run = run_alike(kept, message, from + others);
            if (run >= RUN_MIN)
                break;
            others += run ? run : 1;
        }
        if (others > RUN_MAX)
            others = RUN_MAX;
        if (used + 2 + others >= message.size)
            return 0;
        ret[used++] = (uint8_t)same;
        ret[used++] = (uint8_t)others;
        memcpy(ret + used, message.data + from, others);
        used += others;
        at = from + others;
    }
    if (best == 0)
        return 0;
    ret[0] = (uint8_t)base;
    check_of(message, ret + 1);
    return used;
}

bool repeats_read(const struct repeats *repeats, struct bytes coded, uint8_t ret[REPEATS_SIZE_MAX], size_t *ret_size)
{
    size_t at = 1 + REPEATS_CHECK, size = 0;
    uint8_t check[REPEATS_CHECK];
    if (coded.size < at || coded.data[0] >= REPEATS_KEPT)
        return false;
    const struct repeats_kept *kept = &repeats->kept[coded.data[0]];
    while (coded.size - at >= 2) {
        size_t same = coded.data[at], others = coded.data[at + 1];
        at += 2;
        if (others > coded.size - at || same + others > REPEATS_SIZE_MAX - size || (same && size + same > kept->size))
            return false;
        if (same)
            memcpy(ret + size, kept->bytes + size, same);
        memcpy(ret + size + same, coded.data + at, others);
        size += same + others;
        at += others;
    }
    check_of(bytes_of(ret, size), check);
    if (at != coded.size || memcmp(check, coded.data + 1, sizeof check) != 0)
        return false;
    *ret_size = size;
    return true;
}

void repeats_keep(struct repeats *repeats, struct bytes message)
{
    if (message.size == 0 || message.size > REPEATS_SIZE_MAX)
        return;
    struct repeats_kept *kept = &repeats->kept[repeats->next];
    repeats->next = (repeats->next + 1) % REPEATS_KEPT;
    uint8_t *bytes = message.size <= kept->size ? kept->bytes : realloc(kept->bytes, message.size);
    if (!bytes)
        free(kept->bytes); // the other end has it: what it codes by it can't be read, and the connection begins anew
    else
        memcpy(bytes, message.data, message.size);
    *kept = (struct repeats_kept){bytes, bytes ? (uint16_t)message.size : 0};
}
