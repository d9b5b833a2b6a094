// What comes to the join endpoint in place of a JoinRequest: a chain of certificates and a proof. The first byte says how it is made: as
// the bytes are, or of three real stations' certificates and the bytes between them, signed by one of them.
#include "relay/introduce.h"

#include "relay/store_memory.h"
#include "tests/fuzz/arrival.h"
#include "tests/fuzz/repack.h"
#include "trust.pb-c.h"

enum { NOW_MS = 1000, CALLS = 2 };

static ProtobufCBinaryData binary(struct bytes bytes) { return (ProtobufCBinaryData){bytes.size, (uint8_t *)(uintptr_t)bytes.data}; }

// Any certificates in any order, and pieces of the input.
static void make(struct input *input, const struct sample *stations, struct buffer *ret)
{
    Sanji__Introduction message = SANJI__INTRODUCTION__INIT;
    ProtobufCBinaryData chain[CHAIN_MAX + 1];
    char listen[ADDRESS_MAX + 2] = "";
    uint8_t part[HASH_SIZE + 2 * PUBLIC_KEY_SIZE], signature[SIGNATURE_SIZE];
    message.n_chain = input_below(input, CHAIN_MAX + 2);
    message.chain = chain;
    for (size_t i = 0; i < message.n_chain; i++) {
        uint32_t which = input_below(input, 2 * SAMPLES);
        chain[i] = binary(which < SAMPLES ? buffer_bytes(&stations[which].wire) : input_take(input, input_byte(input)));
    }
    uint8_t by = input_byte(input), to = input_byte(input);
    const struct sample *self = &stations[by % SAMPLES], *called = &stations[to % SAMPLES];
    memcpy(part, self->certificate.hash.bytes, HASH_SIZE);
    memcpy(part + HASH_SIZE, self->identity.transport.public_key.bytes, PUBLIC_KEY_SIZE);
    memcpy(part + HASH_SIZE + PUBLIC_KEY_SIZE, called->identity.transport.public_key.bytes, PUBLIC_KEY_SIZE);
    crypto_sign(&self->identity.sign.secret_key, TAG_SIGN_INTRODUCTION, bytes_of(part, sizeof part), signature);
    signature[0] ^= by / SAMPLES == 7;
    message.signature = binary(bytes_of(signature, sizeof signature));
    struct bytes text = input_take(input, ADDRESS_MAX + 1);
    for (size_t i = 0; i < text.size; i++)
        listen[i] = (char)(text.data[i] ? text.data[i] : '0');
    message.listen = listen;
    codec_pack(&message, ret);
}

static struct store *township(const struct sample *stations)
{
    struct store *store;
    MUST(store_memory_create(&store, NULL) == OK);
    struct txn *txn = txn_begin(store, true, NULL);
    journal_create(txn, &(struct journal_meta){.format = 1, .station = stations[SAMPLE_TOWNSHIP].identity.station, .starts = 1});
    for (unsigned i = 0; i <= SAMPLE_TOWNSHIP; i++)
        object_add(txn, &stations[i].certificate.hash, OBJECT_CERTIFICATE, buffer_bytes(&stations[i].wire));
    MUST(txn_commit(txn, NULL) == OK);
    return store;
}

// Who is let in is the village, under its own key; and a second time as the first.
static void call(const struct sample *stations, struct bytes wire, unsigned key)
{
    struct store *store = township(stations);
    const struct sample *self = &stations[SAMPLE_TOWNSHIP], *village = &stations[SAMPLE_VILLAGE];
    struct host host = {.self = &self->certificate,
                        .root = stations[SAMPLE_COUNTY].certificate.hash,
                        .transport_key = &self->identity.transport.public_key};
    struct certificate certificate;
    bool holds = introduction_check(wire, &host.root, host.transport_key, &certificate, NULL) == OK;
    bool before = false;
    for (unsigned i = 0; i < CALLS; i++) {
        struct buffer reply = {0};
        struct peer peer;
        struct error error = {0};
        struct txn *txn = txn_begin(store, true, NULL);
        bool in = introduction_admit(txn, &host, &stations[key].identity.transport.public_key, wire, NOW_MS, &reply, &peer);
        MUST(introduction_answer(buffer_bytes(&reply), &error) == (in ? OK : ERR_REFUSED));
        MUST(in || error.detail[0]);
        MUST(!in || (holds && key == SAMPLE_VILLAGE && station_equal(&peer.station, &village->identity.station) && !peer.guest));
        MUST(i == 0 || in == before);
        MUST(txn_count(txn, TABLE_PEERS) == in && txn_count(txn, TABLE_GUESTS) == 0);
        MUST(txn_commit(txn, NULL) == OK);
        before = in;
        buffer_finish(&reply);
    }
    store_close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct codec_limits limits = {.bytes_max = INTRODUCTION_MAX, .elements_max = CHAIN_MAX + 2},
                                     reply_limits = {.bytes_max = 2 * JOIN_ERROR_MAX + 16, .elements_max = 3};
    const struct sample *stations = arrival_stations();
    struct input input = {data, size};
    struct buffer made = {0};
    uint8_t how = input_byte(&input);
    if (how & 1)
        make(&input, stations, &made);
    else
        buffer_append(&made, input.data, input.size);
    struct bytes wire = buffer_bytes(&made);
    struct error error = {0};
    repack(&sanji__introduction__descriptor, wire, &limits);
    repack(&sanji__introduction_reply__descriptor, wire, &reply_limits);
    enum error_code code = introduction_answer(wire, &error);
    MUST(code == OK || code == ERR_REFUSED || code == ERR_INPUT || code == ERR_LIMIT);
    introduction_is(wire);
    call(stations, wire, (how >> 1) % SAMPLES);
    buffer_finish(&made);
    return 0;
}
