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

// Who admits. Borrowed.
struct host {
    const struct certificate *self;
    const struct secret_key *sign_key;
    struct hash root;
    const char *link; // our link endpoint, for the reply
    const char *join; // our join endpoint, for the token
    const struct public_key *transport_key;
    // Whether the unit is still ours to enrol: a station enrolled since above it speaks for it now, and is to be asked. NULL: always.
    bool (*may_enrol)(void *context, struct txn *txn, const char *unit);
    void *context;
};

// A new token, remembered by the hash of its secret only. The token works once, until `expires_ms` (UTC, this station's clock). An address
// of `host` longer than ADDRESS_MAX is cut.
void invite(struct txn *txn, const struct host *host, const struct invited_unit *unit, int32_t from_period, uint64_t expires_ms,
            struct join_token *ret);
// Whether a token for the unit is out, unused and not expired. Looks at all tokens.
bool invited(struct txn *txn, const char *unit, uint64_t now_ms);

// Answers a join request that came under the CURVE key `key`: appends a JoinReply, which may be a refusal with its reason. True: `ret_peer`
// is enrolled (now, or before with the same keys: then it gets the same certificate). A used token in other hands raises an alarm, once
// in a row. Refused also: what is no request with proof of its keys, a token not known or expired, a unit that has a station, the id of
// another station, a station that was barred. `documents`: what is in force, from the objects. ERR_MEMORY or ERR_INPUT in the
// transaction: no reply could be made, nothing may stay.
struct given_documents {
    struct hash codebook, units;
    uint32_t codebook_version, units_version;
}; // codebook zero: none
bool admit(struct txn *txn, const struct host *host, const struct public_key *key, struct bytes request, uint64_t now_ms,
           const struct given_documents *documents, struct buffer *ret_reply, struct peer *ret_peer);
