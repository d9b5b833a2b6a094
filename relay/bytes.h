// Spans of bytes, and a growing buffer. Used by everything; uses nothing.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A span of somebody else's bytes. Never freed by who holds it; whoever hands it out says how long it lives.
struct bytes {
    const uint8_t *data;
    size_t size;
};

static inline struct bytes bytes_of(const void *data, size_t size) { return (struct bytes){data, size}; }
static inline struct bytes bytes_of_text(const char *text) { return bytes_of(text, text ? strlen(text) : 0); }
static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

// Owned bytes. Zero-initialised is empty and valid. After a failed allocation `failed` stays set, further appends do nothing, and
// the user checks once at the end.
struct buffer {
    uint8_t *data;
    size_t size;
    size_t capacity;
    bool failed;
};

void buffer_append(struct buffer *buffer, const void *data, size_t size);
// Grows by `size` bytes, not initialised, and returns where they begin; NULL after a failed allocation.
uint8_t *buffer_extend(struct buffer *buffer, size_t size);
void buffer_clear(struct buffer *buffer);  // keeps the memory
void buffer_finish(struct buffer *buffer); // frees it
static inline struct bytes buffer_bytes(const struct buffer *buffer) { return bytes_of(buffer->data, buffer->size); }

// Big-endian integers, for keys that sort.
static inline void put_be16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}
static inline void put_be32(uint8_t *p, uint32_t v)
{
    put_be16(p, (uint16_t)(v >> 16));
    put_be16(p + 2, (uint16_t)v);
}
static inline void put_be64(uint8_t *p, uint64_t v)
{
    put_be32(p, (uint32_t)(v >> 32));
    put_be32(p + 4, (uint32_t)v);
}
static inline uint16_t get_be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static inline uint32_t get_be32(const uint8_t *p) { return (uint32_t)get_be16(p) << 16 | get_be16(p + 2); }
static inline uint64_t get_be64(const uint8_t *p) { return (uint64_t)get_be32(p) << 32 | get_be32(p + 4); }
// Signed numbers sort in keys with the sign bit flipped.
static inline void put_be32_signed(uint8_t *p, int32_t v) { put_be32(p, (uint32_t)v ^ 0x80000000u); }
static inline int32_t get_be32_signed(const uint8_t *p) { return (int32_t)(get_be32(p) ^ 0x80000000u); }

// Integers as this machine writes them, at any address: for LMDB's pages.
static inline uint16_t native16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint32_t native32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
static inline uint64_t native64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}
