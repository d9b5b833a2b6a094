// The keyring: keys of subjects and cases, in a file beside the database and outside its backups, so that a key can be destroyed
// (crypto-shredding) and no old copy of the database brings it back.
//
// File DIR/keys/keyring, 0600: rows of 64 bytes, appended: key id 16, key 32, checksum 16 (first 16 bytes of crypto_hash(TAG_KEYRING,
// key id || key)). Row 0 is the header: "sanji-keyring-1\n", zeros, checksum. A destroyed key keeps its id with 32 zero bytes, so that
// it can't come back by a later grant. Rows never cross a disk sector.
//
// Threads: one writer calls add, sync and forget; find and forgotten may be called from any thread. A mutex guards them. One process
// has a keyring open at a time (the file is locked).
#pragma once
#include "relay/crypto.h"

enum {
    KEYRING_MAX = 4 * 1024 * 1024, // keys: a prefecture's subjects; 512 MiB in memory
};

struct keyring;

// Makes an empty keyring, durable when it returns. DIR/keys must exist (identity_create). ERR_EXISTS, ERR_IO, ERR_FULL.
enum error_code keyring_create(const char *directory, struct error *error);
// Reads it into memory. What a crash left after the last whole row (a torn row, rows never synced) is cut off. ERR_NOT_FOUND: no file;
// ERR_REFUSED: readable by others; ERR_BUSY: another process has it; ERR_VERSION, ERR_CORRUPT: not a keyring of ours, kept as it is;
// ERR_LIMIT: more than KEYRING_MAX; ERR_MEMORY, ERR_IO.
enum error_code keyring_open(const char *directory, struct keyring **ret, struct error *error);
// Takes NULL. Wipes the memory. Does not sync.
void keyring_close(struct keyring *keyring);

uint64_t keyring_count(struct keyring *keyring); // keys that can be found
// Rows in the middle of the file that failed their checksum at opening: those keys are lost here, left as they are, and must be granted
// anew. For an alarm. Rows of zeros do not count: a power cut lost them before they were synced.
uint64_t keyring_damaged(struct keyring *keyring);

// Whether it is here; `ret` gets a copy, the caller wipes it.
bool keyring_find(struct keyring *keyring, const struct key_id *id, struct symmetric_key *ret);
bool keyring_forgotten(struct keyring *keyring, const struct key_id *id);

// Appends; can be found at once, durable after keyring_sync(). The same key again: OK, nothing written. ERR_EXISTS: another key under
// this id; ERR_REFUSED: the key was destroyed; ERR_INPUT: a zero key; ERR_LIMIT, ERR_MEMORY; ERR_FULL: no room, nothing changed;
// ERR_STORE: after a failed sync.
enum error_code keyring_add(struct keyring *keyring, const struct key_id *id, const struct symmetric_key *key, struct error *error);
// Makes all keys durable that were added, or found at opening (whoever wrote them may have been killed before it synced them); otherwise
// there is nothing to do. Call it before the commit of what needs them, once per transaction.
// ERR_STORE: the outcome is unknown, the process must end and open again; every later change answers the same.
enum error_code keyring_sync(struct keyring *keyring, struct error *error);
// Destroys a key: overwritten in the file, synced, wiped from memory. OK also when it was destroyed before. ERR_NOT_FOUND; ERR_STORE: as
// keyring_sync().
enum error_code keyring_forget(struct keyring *keyring, const struct key_id *id, struct error *error);
