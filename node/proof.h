// The proof of one figure: the signed statements it was summed from, each with the path to its batch's signature, the certificates up to
// the root record, and the unit tree. It is made at a station, and checked anywhere, without one. Format: Proof of schema/envelope.proto.
//
// What it proves: that these stations said these values, and that they add up. What it cannot: that no other statement was left out. The
// checker says how many units were added, so that a reader can compare.
#pragma once
#include "node/figures.h"
#include "node/verify.h"

enum {
    PROOF_STATEMENTS_MAX = 50000,      // of one figure: a county's villages over three years; about 30 MB
    PROOF_SIZE_MAX = 60 * 1024 * 1024, // bytes: within one control message
};

struct proof_made {
    int64_t value;
    uint32_t statements, units;
};

// Appends Proof bytes to `ret`. `request`: one indicator, one period or range, filters; `by` empty (the unit's subtree), or "itself" (what
// the unit stated itself). The proof is checked before it is handed out. `progress` may be NULL.
// ERR_REFUSED: a ratio (prove its parts), more than one indicator, other `by`, and what figures_answer() refuses; ERR_NOT_FOUND: nobody has
// stated any of it; ERR_LIMIT: ask for less; ERR_STATE: a batch whose body is not held here; ERR_CORRUPT: the journal does not bear the
// figure out (run verify); ERR_MEMORY. Any thread with its own read transaction, which it holds for the time it takes.
enum error_code proof_make(const struct figures_view *view, const void *request /* Sanji__FiguresRequest */,
                           void (*progress)(void *context, uint64_t done, uint64_t total), void *context, struct buffer *ret,
                           struct proof_made *ret_made, struct error *error);

// Checks Proof bytes from the bytes up: the root record, each certificate under its issuer and its unit under the issuer's, each header's
// signature, each statement's place in its batch, its signer's right to the unit, the fold by (term, ordinal, sequence), the sum.
// `root_hex`: hash of the root record that the caller trusts, NULL: none is known (compare ret->root). ERR_FORGED: it does not hold, and
// which statement, header or certificate fails; ERR_INPUT: not a proof, or `root_hex` is no hash; ERR_LIMIT, ERR_VERSION, ERR_MEMORY. Any
// thread.
enum error_code proof_check(struct bytes proof, const char *root_hex, struct proof_report *ret, struct error *error);
