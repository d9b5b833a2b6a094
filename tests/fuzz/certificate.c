// SignedCertificate bytes from a peer or a joiner.
#include "relay/certificate.h"

#include "envelope.pb-c.h"
#include "tests/fuzz/repack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct codec_limits limits = {.bytes_max = CERTIFICATE_MAX, .elements_max = 100};
    struct certificate certificate;
    struct bytes wire = bytes_of(data, size), inner;
    repack(&sanji__signed_certificate__descriptor, wire, &limits);
    if (certificate_decode(wire, &certificate, NULL) != OK)
        return 0;
    size_t at = 0;
    MUST(codec_next(wire, 1, &at, &inner));
    repack(&sanji__certificate__descriptor, inner, &limits);
    MUST(certificate.unit[0] && certificate.tier[0] && certificate.term && certificate.depth < DEPTH_MAX);
    enum error_code code = certificate_check(wire, &certificate, certificate.root ? NULL : &certificate, NULL);
    MUST(code == ERR_FORGED || (code == OK && certificate.root)); // nobody is its own issuer
    return 0;
}
