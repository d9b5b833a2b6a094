// Link messages (schema/link.proto) to and from the core's plain structs. Pure; safe from any thread. What decodes is within its bounds: no
// size, offset, channel or count of it can lead outside of what it says; whether it makes sense is the core's to judge.
#pragma once
#include "relay/batch.h"
#include "relay/core/core.h"
#include "relay/heads.h"

enum link_message {
    LINK_HELLO,
    LINK_HEADS,
    LINK_PUSH,
    LINK_ACK,
    LINK_PING,
    LINK_ERROR,
    LINK_GRANT,
    LINK_WANT,
    LINK_SIGNED_HEADS,
};

// A decoded message. Spans point into the arena it was unpacked into.
struct link_in {
    enum link_message type;
    uint64_t session;
    unsigned channel; // heads, push, ack, error (error: CORE_CHANNELS when it names none)
    union {
        struct {
            struct core_hello hello;
            struct hash certificate;
            uint32_t codebook, units;
            const struct head *own; // of a child's feeds: its own word with wants_incarnation, its parent's with reply
            uint32_t own_count;
        } hello;
        struct {
            const struct head *heads;
            uint32_t count;
            bool last, want;
        } heads;
        struct {
            struct core_piece piece;
            bool is_object;
            struct bytes header, signature;
        } push; // the body follows the message
        struct core_ack ack;
        struct core_ping ping;
        struct {
            uint32_t fault, retry_ms;
            struct bytes detail;
        } error;
        struct {
            uint32_t ordinal;
            const struct head *heads;
            uint32_t count;
        } grant;
        struct link_want {
            bool is_object;
            struct feed_key feed;
            uint64_t first;
            struct hash object;
        } want;
        struct {
            struct bytes claim, signature;
        } signed_heads;
    };
};
// `body_size`: of what follows the message in its frame. ERR_INPUT or ERR_LIMIT when the bytes are not a canonical message within its
// bounds; ERR_MEMORY (the arena's); `ret` is untouched then. Bounds beside those of the schema: 15 rows in a hello, HEADS_PAGE_MAX heads; a
// piece of at most FRAME_MAX inside its row, a row of at most BATCH_BODY_MAX, an object DOCUMENT_MAX (up: CERTIFICATE_MAX, as documents
// only travel down); header and signature, or an object's hash, with the first piece and only there.
enum error_code link_decode(struct bytes wire, size_t body_size, struct arena *arena, struct link_in *ret, struct error *error);

// Each appends one message; a failed allocation shows in ret->failed. `session` is the sender's own. `own`: at most HELLO_OWN_MAX.
void link_encode_hello(uint64_t session, const struct core_hello *hello, const struct hash *certificate, uint32_t codebook, uint32_t units,
                       const struct head *own, uint32_t own_count, struct buffer *ret);
enum {
    HEADS_PAGE_MAX = 128, // 15 KB: half of MESSAGE_MAX
    HELLO_OWN_MAX = 64,
};
void link_encode_heads(uint64_t session, unsigned channel, const struct head *heads, uint32_t count, bool last, bool want,
                       struct buffer *ret);
struct link_push {
    unsigned channel;
    uint64_t generation, after, position;
    bool is_object, bodiless;
    struct bytes header, signature; // with offset 0
    struct hash object;
    uint32_t size, offset;
};
// The parent's word on the child's next incarnation. At most HEADS_PAGE_MAX heads.
void link_encode_grant(uint64_t session, uint32_t ordinal, const struct head *heads, uint32_t count, struct buffer *ret);
void link_encode_push(uint64_t session, const struct link_push *push, struct buffer *ret);
void link_encode_ack(uint64_t session, unsigned channel, const struct core_ack *from, struct buffer *ret);
// `claim`: at most HEADS_CLAIM_MAX bytes; `signature`: SIGNATURE_SIZE.
void link_encode_signed_heads(uint64_t session, struct bytes claim, const uint8_t *signature, struct buffer *ret);
void link_encode_ping(uint64_t session, uint64_t token, bool reply, struct buffer *ret);
void link_encode_want(uint64_t session, const struct link_want *want, struct buffer *ret);
// `channel` CORE_CHANNELS: none. `detail` NULL or empty: none; plain text, a line.
void link_encode_error(uint64_t session, unsigned channel, uint32_t fault, uint32_t retry_ms, const char *detail, struct buffer *ret);
