// The mutator of the target `arrival`: changes one field of one batch, or its body, or the order of batches, and makes everything that
// depends on it right again: count, size, Merkle root, the hash of the header before, the signature. Now and then it leaves something out.
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "relay/codec.h"
#include "relay/merkle.h"
#include "tests/fuzz/arrival.h"
#include "tests/fuzz/fuzz.h"

enum { HEADER_ROOM = HEADER_MAX + 512, BODY_ROOM = 8192 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

static unsigned state;
static unsigned draw(unsigned bound)
{
    state = state * 1103515245 + 12345;
    return (state >> 8) % bound;
}

static const struct codec_limits limits = {.bytes_max = HEADER_ROOM, .elements_max = 4000, .empty_ok = true, .open_enums = true};

// A small change of a number: 0, 1, next to it, or anything.
static uint64_t other(uint64_t value)
{
    switch (draw(6)) {
    case 0:
        return 0;
    case 1:
        return 1;
    case 2:
        return value + 1;
    case 3:
        return value - 1;
    case 4:
        return value + draw(16);
    default:
        return (uint64_t)draw(1 << 16) << draw(48);
    }
}

static void change_hash(ProtobufCBinaryData *field, uint8_t room[HASH_SIZE], const struct hash *with)
{
    *field = (ProtobufCBinaryData){.len = with ? HASH_SIZE : 0, .data = room};
    if (with)
        memcpy(room, with->bytes, HASH_SIZE);
}

struct rooms {
    uint8_t prev[HASH_SIZE], certificate[HASH_SIZE], root[HASH_SIZE], station[STATION_ID_SIZE], addressee[STATION_ID_SIZE];
};

static void change_feed(Sanji__Feed *feed, const struct sample *stations, struct rooms *rooms)
{
    switch (draw(6)) {
    case 0:
        feed->lane = (Sanji__Lane)(1 + draw(LANES));
        break;
    case 1:
        feed->audience = (Sanji__Audience)(1 + draw(3));
        break;
    case 2:
        feed->ordinal = (uint32_t)other(feed->ordinal);
        break;
    case 3:
        feed->nonce = other(feed->nonce);
        break;
    case 4:
        memcpy(rooms->station, stations[draw(SAMPLES)].identity.station.bytes, STATION_ID_SIZE);
        feed->station = (ProtobufCBinaryData){.len = STATION_ID_SIZE, .data = rooms->station};
        break;
    default:
        memcpy(rooms->addressee, stations[draw(SAMPLES)].identity.station.bytes, STATION_ID_SIZE);
        feed->addressee = (ProtobufCBinaryData){.len = draw(2) ? STATION_ID_SIZE : 0, .data = rooms->addressee};
    }
}

static void change_field(Sanji__BatchHeader *header, const struct arrival_bytes *all, uint32_t count, const struct sample *stations,
                         struct rooms *rooms)
{
    const struct arrival_bytes *another = &all[draw(count)];
    struct hash hash = crypto_hash(TAG_HEADER, another->header);
    struct header decoded;
    switch (draw(8)) {
    case 0:
        header->first = other(header->first);
        if (header->first == 1)
            change_hash(&header->prev, rooms->prev, NULL);
        break;
    case 1:
        header->count = (uint32_t)other(header->count);
        break;
    case 2:
        header->reach = draw(4) ? draw(4) : REACH_TOP;
        break;
    case 3:
        header->time_ms = other(header->time_ms);
        break;
    case 4: // goes on from another one
    case 5:
        change_hash(&header->prev, rooms->prev, &hash);
        if (header_decode(another->header, &decoded, NULL) == OK)
            header->first = decoded.first + decoded.count;
        break;
    case 6: {
        unsigned signer = draw(SAMPLES);
        change_hash(&header->certificate, rooms->certificate, &stations[signer].certificate.hash);
        memcpy(rooms->station, stations[signer].identity.station.bytes, STATION_ID_SIZE);
        if (header->feed)
            header->feed->station = (ProtobufCBinaryData){.len = STATION_ID_SIZE, .data = rooms->station};
        break;
    }
    default:
        if (header->feed)
            change_feed(header->feed, stations, rooms);
    }
}

// Count, size and root as the body has them.
static void fit_body(Sanji__BatchHeader *header, struct bytes body, struct rooms *rooms)
{
    struct codec_field field;
    struct bytes wire;
    struct merkle merkle = {0};
    size_t at = 0;
    if (codec_walk(body, &at, &field) && field.number == 1 && field.bytes.size == SECRET_SIZE)
        while (merkle.count < BATCH_ENTRIES_MAX && codec_next(body, 2, &at, &wire)) {
            uint8_t salts[SALTS_TOGETHER][SALT_SIZE];
            crypto_salts(field.bytes.data, merkle.count / SALTS_TOGETHER, salts);
            struct hash leaf = crypto_leaf(salts[merkle.count % SALTS_TOGETHER], wire);
            merkle_add(&merkle, &leaf);
        }
    if (merkle.count == 0)
        return;
    struct hash root = merkle_root(&merkle);
    header->count = merkle.count;
    header->body_size = (uint32_t)body.size;
    change_hash(&header->root, rooms->root, &root);
}

static void sign(struct arrival_bytes *batch, struct bytes certificate, const struct sample *stations, uint8_t signature[SIGNATURE_SIZE])
{
    for (unsigned i = 0; i < SAMPLES; i++)
        if (bytes_equal(certificate, bytes_of(stations[i].certificate.hash.bytes, HASH_SIZE)))
            crypto_sign(&stations[i].identity.sign.secret_key, TAG_SIGN_HEADER, batch->header, signature);
    batch->signature = bytes_of(signature, SIGNATURE_SIZE);
}

// Changes the batch and signs it again. What it points to then lives in static memory.
static void change_batch(struct arrival_bytes *all, uint32_t count, struct arrival_bytes *batch)
{
    static struct buffer header_wire;
    static uint8_t body[BODY_ROOM], signature[SIGNATURE_SIZE];
    const struct sample *stations = arrival_stations();
    struct rooms rooms;
    struct arena arena = {0};
    void *message;
    if (batch->body.size && batch->body.size <= BODY_ROOM && draw(4) == 0) {
        memcpy(body, batch->body.data, batch->body.size);
        batch->body = bytes_of(body, LLVMFuzzerMutate(body, batch->body.size, BODY_ROOM));
    }
    if (codec_unpack(&sanji__batch_header__descriptor, batch->header, &limits, &arena, &message, NULL) == OK) {
        Sanji__BatchHeader *header = message;
        if (draw(4))
            change_field(header, all, count, stations, &rooms);
        if (draw(8))
            fit_body(header, batch->body, &rooms);
        buffer_clear(&header_wire);
        codec_pack(header, &header_wire);
        if (draw(16) == 0 && header_wire.size)
            header_wire.data[draw((unsigned)header_wire.size)] ^= (uint8_t)(1 << draw(8));
        batch->header = buffer_bytes(&header_wire);
        if (draw(32))
            sign(batch, bytes_of(header->certificate.data, header->certificate.len), stations, signature);
    }
    arena_finish(&arena);
}

// A new one: the first batch of a station's feed, or its certificate. Points into static memory.
static struct arrival_bytes make_new(void)
{
    static struct sample_batch batch;
    const struct sample *station = &arrival_stations()[draw(SAMPLES)];
    struct arrival_bytes made = {.kind = 64, .stream = (uint8_t)(1 + (station->certificate.depth < 2))};
    if (draw(4) == 0) {
        made.kind |= 1;
        made.body = buffer_bytes(&station->wire);
        return made;
    }
    sample_batch_finish(&batch);
    sample_batch_init(station, 1 + draw(4), 41 + draw(60), &batch);
    made.header = buffer_bytes(&batch.header_wire);
    made.signature = bytes_of(batch.signature, SIGNATURE_SIZE);
    made.body = buffer_bytes(&batch.draft.body);
    return made;
}

static size_t put_together(const struct arrival_bytes *all, uint32_t count, uint8_t *data, size_t size, size_t max)
{
    struct buffer joined = {0};
    for (uint32_t i = 0; i < count; i++)
        arrival_join(&all[i], &joined);
    if (!joined.failed && joined.size && joined.size <= max) {
        memcpy(data, joined.data, joined.size);
        size = joined.size;
    }
    buffer_finish(&joined);
    return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
    struct arrival_bytes all[ARRIVALS_MAX + 1];
    state = seed;
    uint32_t count = arrivals_split(bytes_of(data, size), all);
    if (count == 0 || (count < ARRIVALS_MAX && draw(16) == 0))
        all[count++] = make_new();
    else if (draw(32) == 0)
        return LLVMFuzzerMutate(data, size, max);
    uint32_t which = draw(count), another = draw(count);
    struct arrival_bytes kept = all[which];
    switch (draw(8)) {
    case 0: // twice
        if (count < ARRIVALS_MAX)
            all[count++] = all[which];
        break;
    case 1: // in another order
        all[which] = all[another];
        all[another] = kept;
        break;
    case 2: // not at all
        if (count > 1)
            all[which] = all[--count];
        break;
    case 3: // otherwise
        all[which].kind ^= (uint8_t)(1 << draw(8));
        all[which].stream = (uint8_t)(1 + draw(3));
        break;
    case 4: // a second one like it
        if (count < ARRIVALS_MAX) {
            all[count] = all[which];
            change_batch(all, count, &all[count]);
            count++;
        }
        break;
    default:
        change_batch(all, count, &all[which]);
    }
    return put_together(all, count, data, size, max);
}
