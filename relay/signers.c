#include "relay/signers.h"

#include <stdlib.h>

#include "relay/language.h"

// Places tried for one hash: when two thirds of all are taken, hardly any hash finds none. A miss costs 0.15 ms.
enum { PROBES = 32 };

struct signers {
    struct hash root;
    struct certificate *places[SIGNERS_MAX]; // by hash, from its own place on
    uint32_t reused;                         // counts places taken from another
};

enum error_code signers_create(const struct hash *root, struct signers **ret, struct error *error)
{
    struct signers *signers = calloc(1, sizeof *signers);
    if (!signers)
        return error_set(error, ERR_MEMORY, "signers");
    signers->root = *root;
    *ret = signers;
    return OK;
}

void signers_destroy(struct signers *signers)
{
    if (!signers)
        return;
    for (size_t i = 0; i < SIGNERS_MAX; i++)
        free(signers->places[i]);
    free(signers);
}

// The place that has it; else an empty one, else one to be reused.
static struct certificate **place(struct signers *signers, const struct hash *hash)
{
    size_t first = hash->bytes[0] | (size_t)hash->bytes[1] << 8;
    for (size_t i = 0; i < PROBES; i++) {
        struct certificate **at = &signers->places[(first + i) % SIGNERS_MAX];
        if (!*at || hash_equal(&(*at)->hash, hash))
            return at;
    }
    return &signers->places[(first + signers->reused++ % PROBES) % SIGNERS_MAX];
}

static bool load(struct txn *txn, const struct hash *hash, struct bytes *ret_wire, struct certificate *ret)
{
    enum object_kind kind;
    return object_read(txn, hash, &kind, ret_wire) && kind == OBJECT_CERTIFICATE && certificate_decode_held(*ret_wire, ret, NULL) == OK &&
           hash_equal(&ret->hash, hash);
}

// As signers_find(), for the issuer so many tiers above the one asked for.
static const struct certificate *find(struct signers *signers, struct txn *txn, const struct hash *hash, unsigned tiers)
{
    struct certificate **at = place(signers, hash), found;
    struct bytes wire;
    if (*at && hash_equal(&(*at)->hash, hash))
        return *at;
    if (tiers == DEPTH_MAX || !load(txn, hash, &wire, &found))
        return NULL;
    const struct certificate *issuer = found.root ? NULL : find(signers, txn, &found.issuer, tiers + 1);
    if (found.root ? !hash_equal(hash, &signers->root) : !issuer)
        return NULL;
    if (certificate_check(wire, &found, issuer, NULL) != OK)
        return NULL;
    at = place(signers, hash); // the issuer may have taken the first
    if (!*at)
        *at = calloc(1, sizeof **at);
    if (!*at) {
        txn_fail(txn, ERR_MEMORY, "signers"); // not that the signer is unknown
        return NULL;
    }
    **at = found;
    return *at;
}

const struct certificate *signers_find(struct signers *signers, struct txn *txn, const struct hash *hash)
{
    return find(signers, txn, hash, 0);
}

enum error_code signers_admit(struct signers *signers, struct txn *txn, struct bytes wire, struct certificate *ret, struct error *error)
{
    struct certificate certificate;
    enum error_code code = certificate_decode(wire, &certificate, error);
    if (code != OK)
        return code;
    if (certificate.root) {
        if (!hash_equal(&certificate.hash, &signers->root))
            return error_set(error, ERR_FORGED, "%s", tr("a root record that is not the pinned one", "根记录与固定的根不符"));
        code = certificate_check(wire, &certificate, NULL, error);
    } else {
        const struct certificate *issuer = signers_find(signers, txn, &certificate.issuer);
        if (!issuer)
            return error_set(error, ERR_NOT_FOUND,
                             tr("the issuer of the certificate for unit %s is not known here", "单位 %s 的证书签发者在此未知"),
                             certificate.unit);
        code = certificate_check(wire, &certificate, issuer, error);
    }
    if (code == OK)
        *ret = certificate;
    return code;
}

bool signers_passes(struct signers *signers, struct txn *txn, const struct certificate *certificate, const struct station_id *station,
                    const char *unit)
{
    struct certificate at = *certificate;
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        if (station_equal(&at.station, station) || (unit && strcmp(at.unit, unit) == 0))
            return true;
        const struct certificate *issuer = at.root ? NULL : signers_find(signers, txn, &at.issuer);
        if (!issuer)
            return false;
        at = *issuer;
    }
    return false;
}
