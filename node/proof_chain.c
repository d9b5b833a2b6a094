// Who signed: the certificates and batch headers of a proof.
#include <stdlib.h>

#include "node/proof_checking.h"
#include "relay/language.h"

static enum error_code no_memory(struct error *error) { return error_set(error, ERR_MEMORY, tr("proof", "证明")); }

// ---- certificates

static const struct certificate *find_certificate(const struct checking *checking, size_t count, const struct hash *hash)
{
    for (size_t i = 0; i < count; i++)
        if (hash_equal(&checking->certificates[i].hash, hash))
            return &checking->certificates[i];
    return NULL;
}

static enum error_code bad_certificate(struct error *error, size_t at, const char *why)
{
    return error_set(error, ERR_FORGED, tr("certificate %zu: %s", "证书 %zu：%s"), at, why);
}

// That the certificate's unit is where it says in this tree, and below its issuer's: a station enrols only its own subtree.
static enum error_code check_place(const struct checking *checking, size_t at, const struct certificate *issuer, struct error *error)
{
    const struct certificate *certificate = &checking->certificates[at];
    int32_t unit = units_find(checking->units, certificate->unit);
    if (unit == UNIT_NONE || checking->units->items[unit].from != certificate->unit_from)
        return bad_certificate(error, at, tr("its unit is not in the unit tree", "其单位不在单位树中"));
    if (checking->units->items[unit].depth != certificate->depth)
        return bad_certificate(error, at, tr("its unit stands elsewhere in the unit tree", "其单位在单位树中的位置不符"));
    int32_t above = issuer ? units_find(checking->units, issuer->unit) : unit;
    if (above == UNIT_NONE || !units_within(checking->units, unit, above))
        return bad_certificate(error, at, tr("its unit is not below its issuer's", "其单位不在签发者单位之下"));
    return OK;
}

static enum error_code check_certificate(struct checking *checking, size_t at, struct error *error)
{
    struct certificate *certificate = &checking->certificates[at];
    struct bytes wire = bytes_in(&checking->proof->certificates[at]);
    struct error why;
    if (certificate_decode(wire, certificate, &why))
        return bad_certificate(error, at, why.detail);
    bool first = certificate->root && hash_is_zero(&certificate->predecessor);
    const struct certificate *issuer = NULL;
    if (first) {
        if (at != 0 || !hash_equal(&certificate->hash, &checking->root))
            return bad_certificate(error, at, tr("it is not the root record that the proof names", "它不是证明所称的根记录"));
    } else {
        issuer = find_certificate(checking, at, certificate->root ? &certificate->predecessor : &certificate->issuer);
        if (!issuer)
            return bad_certificate(error, at, tr("its issuer is not in the proof", "证明中没有其签发者"));
    }
    if (certificate_check(wire, certificate, issuer, &why))
        return bad_certificate(error, at, why.detail);
    return check_place(checking, at, certificate->root ? NULL : issuer, error);
}

// Names and places of units are signed with the tree's hash, in a certificate.
static enum error_code check_tree(const struct checking *checking, struct error *error)
{
    for (size_t i = 0; i < checking->proof->n_certificates; i++)
        if (hash_equal(&checking->certificates[i].units, &checking->units->hash))
            return OK;
    return error_set(error, ERR_FORGED, "%s", tr("its unit tree is none that a certificate names", "其单位树不是任何证书所指的单位树"));
}

enum error_code check_certificates(struct checking *checking, struct error *error)
{
    const Sanji__Proof *proof = checking->proof;
    if (proof->n_certificates == 0)
        return error_set(error, ERR_INPUT, tr("not a proof: no certificates", "不是有效的证明：没有证书"));
    checking->certificates = calloc(proof->n_certificates, sizeof *checking->certificates);
    if (!checking->certificates)
        return no_memory(error);
    enum error_code code = OK;
    for (size_t i = 0; i < proof->n_certificates && !code; i++)
        code = check_certificate(checking, i, error);
    return code ? code : check_tree(checking, error);
}

// ---- headers

static enum error_code bad_header(struct error *error, size_t at, const char *why)
{
    return error_set(error, ERR_FORGED, tr("header %zu: %s", "批次头 %zu：%s"), at, why);
}

static enum error_code check_header(struct checking *checking, size_t at, struct error *error)
{
    const struct codec_limits limits = {.bytes_max = HEADER_MAX + 128, .elements_max = 8};
    struct header *header = &checking->headers[at];
    struct error why;
    void *message;
    if (codec_unpack(&sanji__signed_header__descriptor, bytes_in(&checking->proof->headers[at]), &limits, &checking->arena, &message, &why))
        return bad_header(error, at, why.detail);
    const Sanji__SignedHeader *wire = message;
    if (header_decode(bytes_in(&wire->header), header, &why))
        return bad_header(error, at, why.detail);
    checking->signers[at] = find_certificate(checking, checking->proof->n_certificates, &header->certificate);
    if (!checking->signers[at])
        return bad_header(error, at, tr("its signer's certificate is not in the proof", "证明中没有其签名者的证书"));
    if (header->feed.lane != SANJI__LANE__AGGREGATE || header->feed.audience != SANJI__AUDIENCE__UP)
        return bad_header(error, at, tr("not of an aggregate feed", "不属于统计数据流"));
    if (header_check_signature(bytes_in(&wire->header), bytes_in(&wire->signature), checking->signers[at], header, &why))
        return bad_header(error, at, why.detail);
    return OK;
}

enum error_code check_headers(struct checking *checking, struct error *error)
{
    size_t count = checking->proof->n_headers;
    checking->headers = calloc(count + 1, sizeof *checking->headers);
    checking->signers = calloc(count + 1, sizeof *checking->signers);
    if (!checking->headers || !checking->signers)
        return no_memory(error);
    enum error_code code = OK;
    for (size_t i = 0; i < count && !code; i++)
        code = check_header(checking, i, error);
    return code;
}
