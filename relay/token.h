// Join tokens: one use, short life, printable (struct JoinToken of schema/trust.proto). Text: "sanji1-" and base64url of the JoinToken
// bytes followed by the first 4 bytes of crypto_hash(TAG_TOKEN_CHECK, them). Pure.
#pragma once
#include "relay/crypto.h"

enum {
    TOKEN_SECRET_SIZE = 16,
    ADDRESS_MAX = 127,    // bytes: tcp://HOST:PORT, as kept for a peer
    TOKEN_TEXT_MAX = 512, // bytes with the NUL: 408 are the most; a QR code of version 15 holds 520
};

struct join_token {
    uint8_t secret[TOKEN_SECRET_SIZE];
    char endpoint[ADDRESS_MAX + 1];
    struct public_key parent_key; // CURVE
    struct hash root;             // of the root record
    struct hash parent;           // of the parent's certificate
    uint64_t expires_ms;          // UTC
    char unit[UNIT_CODE_MAX + 1];
};

// ERR_INPUT with the field: something is missing or not as token_parse() wants it.
enum error_code token_format(const struct join_token *token, char ret[TOKEN_TEXT_MAX], struct error *error);
// White space around it is ignored. ERR_INPUT, saying whether it was cut short or mistyped, or is no token at all; ERR_VERSION.
// Whether it has expired is the parent's to say: only its clock counts.
enum error_code token_parse(const char *text, struct join_token *ret, struct error *error);
// The name under which a parent keeps a token: the secret itself is nowhere in its store.
struct hash token_name(const uint8_t secret[TOKEN_SECRET_SIZE]);
