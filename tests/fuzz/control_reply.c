// A reply on the control socket, as a client reads it.
#include "control.pb-c.h"
#include "tests/fuzz/repack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct codec_limits limits = {.bytes_max = 1 << 20, .elements_max = 8192, .empty_ok = true};
    repack(&sanji__reply__descriptor, bytes_of(data, size), &limits);
    return 0;
}
