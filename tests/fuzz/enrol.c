// JoinRequest bytes from anyone at the join endpoint, JoinReply bytes from who answers there.
#include "relay/enrol.h"

#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes wire = bytes_of(data, size);
    struct join_request request;
    struct join_reply reply;
    struct buffer again = {0};
    struct error error = {0};
    enum error_code code = join_request_unpack(wire, &request, &error);
    if (code == OK) {
        join_request_pack(&request, &again);
        MUST(bytes_equal(wire, buffer_bytes(&again)));
        code = join_request_check(&request, &error);
        MUST(code == OK || code == ERR_FORGED || code == ERR_INPUT);
    } else {
        MUST((code == ERR_INPUT || code == ERR_LIMIT) && error.detail[0]);
    }
    buffer_clear(&again);
    if (join_reply_unpack(wire, &reply, &error) == OK) {
        MUST(reply.chain_count <= CHAIN_MAX);
        MUST(reply.refusal[0] ? reply.certificate.size == 0 : reply.certificate.size > 0 && reply.link[0]);
        MUST(join_reply_pack(&reply, &again, &error) == OK);
        MUST(bytes_equal(wire, buffer_bytes(&again)));
    }
    buffer_finish(&again);
    return 0;
}
