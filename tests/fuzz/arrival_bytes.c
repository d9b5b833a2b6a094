#include "tests/fuzz/arrival.h"

#include "relay/crypto.h"

const struct sample *arrival_stations(void)
{
    static struct sample samples[SAMPLES];
    static const uint8_t seed[32] = {1};
    static bool made;
    if (!made) {
        crypto_init(NULL);
        crypto_random_replay(seed);
        samples_init(samples);
        made = true;
    }
    return samples;
}

uint32_t arrivals_split(struct bytes input, struct arrival_bytes ret[ARRIVALS_MAX])
{
    struct input left = {input.data, input.size};
    uint32_t count = 0;
    while (count < ARRIVALS_MAX && left.size > ARRIVAL_FRAME) {
        struct arrival_bytes *arrival = &ret[count++];
        arrival->kind = input_byte(&left);
        arrival->stream = (uint8_t)(1 + input_below(&left, 3));
        size_t header = (size_t)input_byte(&left) << 8, body;
        header |= input_byte(&left);
        body = (size_t)input_byte(&left) << 8;
        body |= input_byte(&left);
        arrival->header = input_take(&left, header);
        arrival->signature = input_take(&left, SIGNATURE_SIZE);
        arrival->body = input_take(&left, body);
    }
    return count;
}

void arrival_join(const struct arrival_bytes *arrival, struct buffer *ret)
{
    uint8_t frame[ARRIVAL_FRAME] = {arrival->kind,
                                    (uint8_t)(arrival->stream - 1),
                                    (uint8_t)(arrival->header.size >> 8),
                                    (uint8_t)arrival->header.size,
                                    (uint8_t)(arrival->body.size >> 8),
                                    (uint8_t)arrival->body.size};
    static const uint8_t unsigned_batch[SIGNATURE_SIZE] = {0};
    buffer_append(ret, frame, sizeof frame);
    buffer_append(ret, arrival->header.data, arrival->header.size);
    buffer_append(ret, arrival->signature.size == SIGNATURE_SIZE ? arrival->signature.data : unsigned_batch, SIGNATURE_SIZE);
    buffer_append(ret, arrival->body.data, arrival->body.size);
}
