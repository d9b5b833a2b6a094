// Coded messages on one connection: each is two bytes of size and so many of content, read by what was kept before it.
#include "relay/repeats.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct repeats in = {0};
    uint8_t plain[REPEATS_SIZE_MAX], coded[REPEATS_SIZE_MAX], again[REPEATS_SIZE_MAX];
    for (size_t at = 0; size - at >= 2;) {
        bool whole = data[at] & 0x80;
        size_t length = (size_t)(data[at] & 0x7F) << 8 | data[at + 1], length_again;
        at += 2;
        if (length > size - at)
            length = size - at;
        struct bytes message = bytes_of(data + at, length);
        at += length;
        if (!whole && repeats_read(&in, message, plain, &length))
            message = bytes_of(plain, length);
        size_t used = repeats_code(&in, message, coded); // whatever it is, it can be said and is understood
        MUST(used < message.size || used == 0);
        MUST(used == 0 ||
             (repeats_read(&in, bytes_of(coded, used), again, &length_again) && bytes_equal(bytes_of(again, length_again), message)));
        repeats_keep(&in, message);
    }
    repeats_finish(&in);
    return 0;
}
