// The parent's side of enrolment: tokens it gave out (TOKENS), and what it answers to who brings one. Inside the caller's transaction,
// whose thread's it all is; store errors are the transaction's.
#pragma once
#include "relay/enrol.h"
#include "relay/journal.h"

// The unit that a token is for, as the unit tree has it.
struct invited_unit {
    char code[UNIT_CODE_MAX + 1];
    uint32_t from;
    char tier[TIER_NAME_MAX + 1];
    uint32_t depth;
};

// Tokens that nobody gave out, brought lately. Zero-initialised; lives as long as the station.
struct guesses {
    uint64_t since_ms; // of the burst
    uint32_t count;
    bool alarmed;
};
enum {
    GUESSES_ALARM = 20,             // in one burst: more than anybody mistypes
    GUESSES_QUIET_MS = 3600 * 1000, // a burst ends when none came for so long
    TOKENS_MAX = 20000,             // remembered: several for each unit of the largest county
    TOKEN_KEPT_MS =
        30 * 24 * 3600 * 1000LL, // after it expired: so that who brings it late is told why, and a lost answer can be given again
};

// Who admits. Borrowed.
struct host {
    const struct certificate *self;
    const struct secret_key *sign_key;
    struct hash root;
    const char *link;                    // our link endpoint, for the reply
    const char *join;                    // our join endpoint, for the token
    const char *above_link, *above_join; // our parent's, for the reply; NULL or "": none, or not known
    const struct public_key *transport_key;
    // Whether the unit is still ours to enrol: a station enrolled since above it speaks for it now, and is to be asked. NULL: always.
    bool (*may_enrol)(void *context, struct txn *txn, const char *unit);
    // Whether the certificate's unit lies below its issuer's. NULL: always.
    bool (*may_certify)(void *context, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer);
    void *context;
    struct guesses *guesses; // NULL: not counted
};

// The chain of issuers from the root record down to `self`, as far as the store has it: spans as txn_get()'s. Returns how many.
uint32_t certificate_chain(struct txn *txn, const struct certificate *self, struct bytes ret[CHAIN_MAX]);

// A new token, remembered by the hash of its secret only. The token works once, until `expires_ms` (UTC, this station's clock). An address
// of `host` longer than ADDRESS_MAX is cut. Tokens that expired TOKEN_KEPT_MS ago are forgotten on the way, some at a time. ERR_LIMIT in
// the transaction: TOKENS_MAX are out.
void invite(struct txn *txn, const struct host *host, const struct invited_unit *unit, int32_t from_period, uint64_t expires_ms,
            uint64_t now_ms, struct join_token *ret);
// Whether a token for the unit is out, unused and not expired. Looks at all tokens.
bool invited(struct txn *txn, const char *unit, uint64_t now_ms);

// Answers a join request that came under the CURVE key `key`: appends a JoinReply, which may be a refusal with its reason. True: `ret_peer`
// is enrolled (now, or before with the same keys: then it gets the same certificate). A used token in other hands raises an alarm, once
// in a row. Refused also: what is no request with proof of its keys, a token not known or expired, a unit that has a station, the id of
// another station, a station that was barred. Many unknown tokens raise an alarm, once in a burst. `documents`: what is in force, from the
// objects. ERR_MEMORY or ERR_INPUT in the transaction: no reply could be made, nothing may stay.
struct given_documents {
    struct hash codebook, units;
    uint32_t codebook_version, units_version;
}; // codebook zero: none
bool admit(struct txn *txn, const struct host *host, const struct public_key *key, struct bytes request, uint64_t now_ms,
           const struct given_documents *documents, struct buffer *ret_reply, struct peer *ret_peer);
