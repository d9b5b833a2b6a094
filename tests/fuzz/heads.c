// A HeadsClaim from anybody on the way: what decodes can be made again, byte for byte, and agrees with itself.
#include "relay/heads.h"

#include "envelope.pb-c.h"
#include "relay/store_memory.h"
#include "tests/fuzz/arrival.h"
#include "tests/fuzz/repack.h"

static void again(const struct heads *heads, struct bytes wire)
{
    const struct sample *signer = &arrival_stations()[SAMPLE_VILLAGE];
    struct buffer made = {0};
    struct error error = {0};
    uint8_t signature[SIGNATURE_SIZE];
    MUST(heads_sign(heads, &signer->identity.sign.secret_key, &made, signature, &error) == OK);
    MUST(bytes_equal(wire, buffer_bytes(&made)));
    bool own = station_equal(&heads->station, &signer->identity.station) && hash_equal(&heads->certificate, &signer->certificate.hash);
    MUST(heads_check(wire, bytes_of(signature, SIGNATURE_SIZE), heads, &signer->certificate, &error) == (own ? OK : ERR_FORGED));
    buffer_finish(&made);
}

// A claim that names another header at the same place contradicts it, from both sides.
static void compare(const struct heads *heads)
{
    struct heads other = *heads;
    uint32_t at;
    MUST(!heads_contradict(heads, &other, &at) && heads_order(heads, &other) == 0);
    for (uint32_t i = 0; i < heads->count; i++) {
        other.heads[i].last.bytes[0] ^= 1;
        MUST(heads_contradict(heads, &other, &at) && at == i && heads_contradict(&other, heads, &at) && at == i);
        other.heads[i] = heads->heads[i];
        MUST(heads_own(heads, &heads->heads[i]) <= HEADS_OWN);
    }
    other.number++;
    MUST(heads->number == UINT64_MAX || (heads_order(&other, heads) > 0 && heads_order(heads, &other) < 0));
}

// Against a station that holds nothing: a head that covers something is behind, and its row comes back as it was kept.
static void keep(const struct heads *heads, struct bytes wire)
{
    static const uint8_t signature[SIGNATURE_SIZE] = {1};
    struct heads_row row = {.received_ms = 1, .claim = wire, .signature = bytes_of(signature, sizeof signature)}, read;
    struct store *store;
    struct station_id next;
    MUST(store_memory_create(&store, NULL) == OK);
    struct txn *txn = txn_begin(store, true, NULL);
    for (uint32_t i = 0; i < heads->count; i++)
        MUST(heads_compare(txn, &heads->heads[i], NULL) == (heads->heads[i].next > 1 ? HEAD_BEHIND : HEAD_HELD));
    heads_write(txn, &heads->station, &row);
    MUST(heads_read(txn, &heads->station, &read) && bytes_equal(read.claim, wire) && read.signature.size == SIGNATURE_SIZE);
    MUST(heads_next(txn, &(struct station_id){0}, &next, &read) && station_equal(&next, &heads->station));
    MUST(txn_commit(txn, NULL) == OK);
    store_close(store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct codec_limits limits = {.bytes_max = HEADS_CLAIM_MAX, .elements_max = 1000};
    struct bytes wire = bytes_of(data, size);
    struct heads heads;
    struct error error = {0};
    repack(&sanji__heads_claim__descriptor, wire, &limits);
    enum error_code code = heads_decode(wire, &heads, &error);
    if (code == OK) {
        MUST(heads.count <= HEADS_MAX && heads.ordinal && heads.starts && heads.number);
        again(&heads, wire);
        compare(&heads);
        keep(&heads, wire);
    } else {
        MUST((code == ERR_INPUT || code == ERR_LIMIT || code == ERR_VERSION) && error.detail[0]);
    }
    return 0;
}
