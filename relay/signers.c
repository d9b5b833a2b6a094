#include "relay/signers.h"

#include <stdlib.h>

#include "relay/language.h"

struct signers {
    struct hash root;
    struct certificate *places[SIGNERS_MAX]; // by hash; a newer one takes the place of an older
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

static struct certificate **place(struct signers *signers, const struct hash *hash)
{
    return &signers->places[(hash->bytes[0] | (size_t)hash->bytes[1] << 8) % SIGNERS_MAX];
}

static bool load(struct txn *txn, const struct hash *hash, struct bytes *ret_wire, struct certificate *ret)
{
    enum object_kind kind;
    return object_read(txn, hash, &kind, ret_wire) && kind == OBJECT_CERTIFICATE && certificate_decode(*ret_wire, ret, NULL) == OK &&
           hash_equal(&ret->hash, hash);
}

// Whether the chain of `certificate` leads to the pinned root, every signature checked.
static bool leads_to_root(const struct signers *signers, struct txn *txn, struct bytes wire, const struct certificate *certificate)
{
    struct certificate at = *certificate;
    for (unsigned depth = 0; depth < DEPTH_MAX; depth++) {
        if (at.root)
            return hash_equal(&at.hash, &signers->root) && certificate_check(wire, &at, NULL, NULL) == OK;
        struct certificate issuer;
        struct bytes issuer_wire;
        if (!load(txn, &at.issuer, &issuer_wire, &issuer) || certificate_check(wire, &at, &issuer, NULL) != OK)
            return false;
        at = issuer;
        wire = issuer_wire;
    }
    return false;
}

const struct certificate *signers_find(struct signers *signers, struct txn *txn, const struct hash *hash)
{
    struct certificate **at = place(signers, hash);
    if (*at && hash_equal(&(*at)->hash, hash))
        return *at;
    struct certificate found;
    struct bytes wire;
    if (!load(txn, hash, &wire, &found) || !leads_to_root(signers, txn, wire, &found))
        return NULL;
    if (!*at)
        *at = calloc(1, sizeof **at);
    if (!*at) {
        txn_fail(txn, ERR_MEMORY, "signers"); // not that the signer is unknown
        return NULL;
    }
    **at = found;
    return *at;
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
