// Who this station is: its id and its three independent key pairs, as files of its directory. None of the secrets ever leaves it.
//
// DIR/keys, 0700: `station`, `sign.key`, `seal.key`, `transport.key`, each 0600, ASCII lines: a title with a version ("sanji sign key 1"),
// then hex: the station id; or the public key and the secret.
#pragma once
#include "relay/crypto.h"

struct key_pair {
    struct public_key public_key;
    struct secret_key secret_key;
};

struct identity {
    struct station_id station;
    struct key_pair sign, seal, transport; // Ed25519, X25519, CURVE
};

// Makes a new identity, random, durable when it returns. All of DIR/keys appears at once: a crash leaves none of it. DIR must exist.
// ERR_EXISTS: DIR/keys is there already; ERR_IO, ERR_FULL.
enum error_code identity_create(const char *directory, struct error *error);
// Reads it; the secrets are locked into memory where the system lets us. Finish it whatever happens later. ERR_NOT_FOUND; ERR_REFUSED: a
// key file can be read by group or others (says chmod); ERR_VERSION; ERR_CORRUPT: not a key, or a public key of another secret; ERR_IO.
enum error_code identity_load(const char *directory, struct identity *ret, struct error *error);
void identity_finish(struct identity *identity); // wipes; takes a zeroed one; may be called twice
