// A proof file from anybody.
#include "node/proof.h"
#include "envelope.pb-c.h"
#include "relay/crypto.h"
#include "tests/fuzz/repack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proof_report report;
    struct error error = {0};
    static const struct codec_limits limits = {.bytes_max = 1 << 20, .elements_max = 100000};
    MUST(crypto_init(NULL) == OK);
    repack(&sanji__proof__descriptor, bytes_of(data, size), &limits);
    enum error_code code = proof_check(bytes_of(data, size), NULL, &report, &error);
    MUST(code == OK || (code != ERR_MEMORY && error.detail[0]));
    return 0;
}
