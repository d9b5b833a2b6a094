// The golden vectors of schema/vectors, made from fixed randomness. make.c writes them, check.c compares and decodes what is committed.
#pragma once
#include "relay/bytes.h"

enum { VECTORS_MAX = 96 };

struct vector {
    char name[48];      // file NAME.hex
    const char *kind;   // what the bytes are
    const char *with;   // another vector that it is checked against; "" for none
    const char *expect; // "OK", or the name of the error
    const char *why;    // of a refusal: the reason; otherwise what it shows
    struct buffer bytes;
};

struct vectors {
    size_t count;
    struct vector items[VECTORS_MAX];
    struct buffer keys; // keys.txt
};

// Aborts when one can't be made. The same bytes each time.
void vectors_make(struct vectors *ret);
void vectors_finish(struct vectors *vectors);
// The text of NAME.hex: lines "# kind: ...", "# with: ...", "# expect: ...", "# why: ...", then hex, 32 bytes a line.
void vector_text(const struct vector *vector, struct buffer *ret);
