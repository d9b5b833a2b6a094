// Between node/proof_check.c and node/proof_chain.c only.
#pragma once
#include "envelope.pb-c.h"
#include "node/ledger_rows.h"
#include "node/proof.h"
#include "node/units.h"
#include "relay/batch.h"

// A statement whose place and signature are proven.
struct checked {
    int32_t unit;
    struct period period;
    uint32_t at; // index in the proof
    uint32_t extent, count;
    const uint32_t *cells;
    const int64_t *values;
    struct rank rank;
};

struct checking {
    const Sanji__Proof *proof;
    const Sanji__ProvedFigure *figure;
    struct arena arena;
    struct units *units;
    int32_t unit; // the figure's
    struct certificate *certificates;
    struct header *headers;
    const struct certificate **signers; // of the headers
    struct checked *statements;
    int64_t *cells;      // CELLS_MAX: of the group being folded
    bool *counted;       // CELLS_MAX
    bool *listed, *seen; // per unit: named by the figure, stated by someone
    struct hash root;
};

static inline struct bytes bytes_in(const ProtobufCBinaryData *data) { return bytes_of(data->data, data->len); }

// Fills in checking->certificates: each under its issuer up to the root record, each unit below its issuer's.
enum error_code check_certificates(struct checking *checking, struct error *error);
// Fills in checking->headers and signers: signed by the stations that they name, of their aggregate feeds.
enum error_code check_headers(struct checking *checking, struct error *error);
