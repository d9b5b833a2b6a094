// Takes choices off the front of a fuzz input: behind the end all are zero.
#pragma once
#include "relay/bytes.h"

struct input {
    const uint8_t *data;
    size_t size;
};

static inline uint8_t input_byte(struct input *input)
{
    if (input->size == 0)
        return 0;
    input->size--;
    return *input->data++;
}

static inline uint32_t input_below(struct input *input, uint32_t bound) { return input_byte(input) % bound; }

static inline struct bytes input_take(struct input *input, size_t size)
{
    struct bytes taken = bytes_of(input->data, size < input->size ? size : input->size);
    input->data += taken.size;
    input->size -= taken.size;
    return taken;
}

static inline struct bytes input_rest(struct input *input) { return input_take(input, input->size); }
