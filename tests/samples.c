#include "tests/samples.h"

#include <stdio.h>
#include <stdlib.h>

#include "envelope.pb-c.h"

static void must(enum error_code code, const struct error *error)
{
    if (code == OK)
        return;
    fprintf(stderr, "tests/samples.c: %s: %s\n", error_name(code), error->detail);
    abort();
}

void sample_identity(struct identity *ret)
{
    memset(ret, 0, sizeof *ret);
    crypto_random(&ret->station, sizeof ret->station);
    crypto_sign_keypair(&ret->sign.public_key, &ret->sign.secret_key);
    crypto_seal_keypair(&ret->seal.public_key, &ret->seal.secret_key);
    crypto_seal_keypair(&ret->transport.public_key, &ret->transport.secret_key);
}

struct certificate sample_draft(const struct identity *identity, const struct certificate *issuer)
{
    static const struct {
        const char *unit, *tier;
    } places[] = {{"321081", "county"}, {"321081100", "township"}, {"321081100201", "village"}};
    uint32_t depth = issuer ? issuer->depth + 1 : 0;
    struct certificate draft = {
        .station = identity->station,
        .sign_key = identity->sign.public_key,
        .seal_key = identity->seal.public_key,
        .transport_key = identity->transport.public_key,
        .term = issuer ? issuer->term + 1 : 1,
        .from_period = 2017 * 12,
        .issued_ms = 1483228800000,
        .ordinal = 1,
        .depth = depth,
    };
    snprintf(draft.unit, sizeof draft.unit, "%s", places[depth].unit);
    snprintf(draft.tier, sizeof draft.tier, "%s", places[depth].tier);
    crypto_random(draft.serial, sizeof draft.serial);
    draft.units = crypto_hash(TAG_DOCUMENT, bytes_of_text("unit tree"));
    return draft;
}

void samples_init(struct sample samples[SAMPLES])
{
    struct error error = {0};
    must(crypto_init(&error), &error);
    for (unsigned i = 0; i < SAMPLES; i++) {
        samples[i] = (struct sample){0};
        sample_identity(&samples[i].identity);
        const struct sample *issuer = i ? &samples[i - 1] : NULL;
        samples[i].certificate = sample_draft(&samples[i].identity, issuer ? &issuer->certificate : NULL);
        must(certificate_issue(&samples[i].certificate, issuer ? &issuer->certificate : NULL,
                               issuer ? &issuer->identity.sign.secret_key : &samples[i].identity.sign.secret_key, &samples[i].wire, &error),
             &error);
    }
}

void samples_finish(struct sample samples[SAMPLES])
{
    for (unsigned i = 0; i < SAMPLES; i++)
        buffer_finish(&samples[i].wire);
}

struct feed_key sample_feed(const struct sample *sample)
{
    return (struct feed_key){.station = sample->identity.station,
                             .ordinal = 1,
                             .nonce = 0x0123456789ABCDEF,
                             .lane = SANJI__LANE__CASE,
                             .audience = SANJI__AUDIENCE__UP};
}

void sample_batch_init(const struct sample *sample, uint32_t count, size_t size, struct sample_batch *ret)
{
    struct error error = {0};
    *ret = (struct sample_batch){0};
    struct feed_key feed = sample_feed(sample);
    must(batch_draft_init(&ret->draft, &feed, 2, &error), &error);
    uint8_t *content = malloc(size);
    if (!content)
        abort();
    struct key_id key;
    memset(key.bytes, 7, sizeof key.bytes);
    for (uint32_t i = 0; i < count; i++) {
        memset(content, (int)(i + 1), size);
        bool sealed = i % 2 == 1;
        must(batch_draft_add(&ret->draft, sealed ? SANJI__ENTRY_KIND__RECORD : SANJI__ENTRY_KIND__STATEMENT, 1483228800000 + i,
                             bytes_of(content, size), sealed ? &key : NULL, &error),
             &error);
    }
    free(content);
    struct feed_state state = {.next = 1, .bodies = 1};
    must(batch_draft_sign(&ret->draft, &state, &sample->certificate, &sample->identity.sign.secret_key, 1483228800000, NULL, NULL, 0,
                          &ret->header_wire, &ret->header, ret->signature, &error),
         &error);
}

void sample_batch_finish(struct sample_batch *batch)
{
    batch_draft_finish(&batch->draft);
    buffer_finish(&batch->header_wire);
}
