// The wire format: bounded pre-scan, then unpack into an arena; canonical pack. The only file that includes protobuf-c's own header
// is codec.c; the messages themselves are the generated *.pb-c.h of schema/. Pure but for the arena's memory; safe from any thread.
//
// The pre-scan is driven by the message's descriptor and refuses, before anything is allocated: unknown fields, wrong wire types,
// fields out of order or repeated where singular, two members of a oneof, default values on the wire (but for members of a oneof and
// elements of repeated fields, which have presence), over-long or too large varints, undeclared enum values (unless `open_enums`), packed
// arrays in pieces, empty or unpacked, strings that are not UTF-8 or hold NUL, nesting deeper than CODEC_DEPTH_MAX, more than
// `elements_max` fields and repeated elements in all, an empty message where `empty_ok` is false. So what passes is what codec_pack() would
// write, byte for byte. Source: protobuf.dev/programming-guides/encoding.
#pragma once
#include "relay/arena.h"
#include "relay/bytes.h"
#include "relay/error.h"

struct ProtobufCMessageDescriptor;
struct ProtobufCMessage;

enum {
    CODEC_DEPTH_MAX = 8, // messages inside messages, the outermost is 1: the deepest of ours is Reply.figures...members, 5
};

struct codec_limits {
    size_t bytes_max;
    uint32_t elements_max;
    bool empty_ok;
    bool open_enums; // undeclared enum values pass, up to INT32_MAX: for entry kinds, which a newer station may add
};

// Scans, then unpacks. The message and all it points to live in the arena; byte fields are copies. `ret` gets a pointer to the
// generated struct. ERR_INPUT with the place (field path and offset) when the bytes are not canonical, ERR_LIMIT over a limit (the
// arena's too), ERR_MEMORY. protobuf-c keeps its scratch in the arena as well: about 50 bytes an element.
enum error_code codec_unpack(const struct ProtobufCMessageDescriptor *type, struct bytes wire, const struct codec_limits *limits,
                             struct arena *arena, void **ret, struct error *error);
enum error_code codec_scan(const struct ProtobufCMessageDescriptor *type, struct bytes wire, const struct codec_limits *limits,
                           struct error *error);
// Appends the canonical bytes; a failed allocation shows in ret->failed. `message` is a generated struct.
void codec_pack(const void *message, struct buffer *ret);

// Messages that begin with `format = 1, suite = 2`: ERR_VERSION when they name others than 1 and 1, before a scan finds fault with
// what a later version added. OK says nothing about the rest.
enum error_code codec_version(struct bytes wire, struct error *error);

// One field of a message, read in place.
struct codec_field {
    uint32_t number;
    uint64_t value;     // varint and fixed; 0 for length-delimited
    struct bytes bytes; // length-delimited; empty otherwise
    struct bytes whole; // with its tag
};
// Walks the top-level fields of bytes already scanned: `offset` starts at 0; false at the end, and at malformed bytes.
bool codec_walk(struct bytes wire, size_t *offset, struct codec_field *ret);
// Walks the varints of a packed array that codec_scan() has passed: `offset` starts at 0; false at the end.
bool codec_next_varint(struct bytes packed, size_t *offset, uint64_t *ret);
// The signed number that a zigzag varint stands for.
static inline int64_t codec_zigzag(uint64_t value) { return (int64_t)(value >> 1 ^ -(value & 1)); }
// Walks the top-level occurrences of one length-delimited field of bytes already scanned: `offset` starts at 0; false at the end.
bool codec_next(struct bytes wire, uint32_t field, size_t *offset, struct bytes *ret);

// Copies an id, a hash or a key out of a field: exactly `size` bytes and not all zero (absence is how "none" is said, so that there is
// one way to say it). `what` names it in the error: ERR_INPUT.
enum error_code codec_copy(struct bytes bytes, void *ret, size_t size, const char *what, struct error *error);
// Copies text that people compare (text_plain) with a NUL: at most `max` bytes, `ret` has one more. ERR_LIMIT, ERR_INPUT.
enum error_code codec_copy_text(struct bytes bytes, char *ret, size_t max, const char *what, struct error *error);

// Writers, for bytes that are not packed through a struct.
enum { CODEC_VARINT_MAX = 10 };
size_t codec_put_varint(uint8_t ret[CODEC_VARINT_MAX], uint64_t value); // returns its size
size_t codec_varint_size(uint64_t value);
