// Introduction: a station that is enrolled below this one, and that our link endpoint does not know, shows its certificate chain and proves
// that it has the keys (Introduction of schema/trust.proto). So a parent that was put back from an old copy lets its children in again, and
// a station above learns of one that calls past its parent. Only the chain decides: nobody is enrolled who was not.
//
// Inside the caller's transaction, whose thread's it all is; store errors are the transaction's.
#pragma once
#include "relay/invite.h"
#include "relay/route.h"

enum { INTRODUCTION_MAX = CHAIN_MAX * (CERTIFICATE_MAX + 4) + 512 }; // bytes: the chain, a signature, an address

// Appends the Introduction of `self` to the station with the CURVE key `called`. `sign_key` is the station's own; `listen` NULL or "":
// none. ERR_CORRUPT: a certificate of its chain is not in the store; ERR_LIMIT: `listen` over ADDRESS_MAX; ERR_MEMORY.
enum error_code introduction_make(struct txn *txn, const struct certificate *self, const struct secret_key *sign_key, const char *listen,
                                  const struct public_key *called, struct buffer *ret, struct error *error);
// Whether the bytes that came to the join endpoint are meant for one, and not for a JoinRequest.
bool introduction_is(struct bytes wire);

// Whether the chain leads from the root record `root` down to the caller, every signature checked, and the caller has its signing key and
// means the station with the CURVE key `called`. OK: `ret` is its certificate; that its transport key is the one the bytes came under, and
// that the units lie below each other, is for the caller to ask. ERR_FORGED; ERR_INPUT, ERR_LIMIT, ERR_VERSION: of the bytes.
enum error_code introduction_check(struct bytes wire, const struct hash *root, const struct public_key *called, struct certificate *ret,
                                   struct error *error);
// Answers an introduction that came under the CURVE key `key`: appends an IntroductionReply. True: `ret_peer` may link: as a child, again,
// or as a guest (ret_peer->guest) when the station that enrolled it stands between. Refused: no introduction, or not for this station;
// another root; a certificate that its issuer has not signed, or for a unit that is not below its issuer's; keys that it does not prove;
// itself or the station between barred; a child whose unit has a station enrolled later, or that is here with other keys; more than one
// station between; too many guests. `grown`: what is owed to a new guest.
bool introduction_admit(struct txn *txn, const struct host *host, const struct public_key *key, struct bytes wire, uint64_t now_ms,
                        struct buffer *ret_reply, struct peer *ret_peer);

// What the station that was called says. OK: the link is open to us now. ERR_REFUSED, with its reason; ERR_INPUT, ERR_LIMIT: no answer.
enum error_code introduction_answer(struct bytes wire, struct error *error);
