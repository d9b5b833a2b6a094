// Stations for tests: a county (root record), a township below it and a village below that, with keys, certificates and batches.
#pragma once
#include "relay/batch.h"
#include "relay/identity.h"

struct sample {
    struct identity identity;
    struct certificate certificate;
    struct buffer wire; // SignedCertificate
};

enum { SAMPLE_COUNTY, SAMPLE_TOWNSHIP, SAMPLE_VILLAGE, SAMPLES };

// Deterministic when crypto_random_replay() is on. Aborts on failure.
void samples_init(struct sample samples[SAMPLES]);
void samples_finish(struct sample samples[SAMPLES]);
// An unsigned certificate of `identity`, one tier below `issuer` (NULL: a root).
struct certificate sample_draft(const struct identity *identity, const struct certificate *issuer);
void sample_identity(struct identity *ret);

// A feed of the sample: incarnation 1, the case lane, up.
struct feed_key sample_feed(const struct sample *sample);

struct sample_batch {
    struct batch_draft draft; // its body is the batch's
    struct buffer header_wire;
    struct header header;
    uint8_t signature[SIGNATURE_SIZE];
};
// `count` entries, alternating clear and sealed, of `size` content bytes, signed as the first batch of sample_feed().
void sample_batch_init(const struct sample *sample, uint32_t count, size_t size, struct sample_batch *ret);
void sample_batch_finish(struct sample_batch *batch);
