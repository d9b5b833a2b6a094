#include "tests/fuzz/repack.h"

void repack(const struct ProtobufCMessageDescriptor *type, struct bytes wire, const struct codec_limits *limits)
{
    struct arena arena = {0};
    struct buffer again = {0};
    struct error error = {0};
    void *message;
    enum error_code code = codec_unpack(type, wire, limits, &arena, &message, &error);
    MUST(arena.used <= ARENA_LIMIT_DEFAULT);
    if (code == OK) {
        codec_pack(message, &again);
        MUST(bytes_equal(wire, buffer_bytes(&again)));
    } else {
        MUST(code == ERR_INPUT || code == ERR_LIMIT);
        MUST(error.code == code && error.detail[0]);
    }
    buffer_finish(&again);
    arena_finish(&arena);
}
