// A frame from a peer that ZAP has let in.
#include "link.pb-c.h"
#include "relay/limits.h"
#include "tests/fuzz/repack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct codec_limits limits = {.bytes_max = MESSAGE_MAX, .elements_max = 8192};
    repack(&sanji__link_message__descriptor, bytes_of(data, size), &limits);
    return 0;
}
