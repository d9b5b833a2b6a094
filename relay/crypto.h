// Hashing, signing, sealing, random bytes. The only file that names libsodium is crypto.c.
//
// Suite 1: BLAKE2b-256 (RFC 7693), Ed25519 (RFC 8032), XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03), X25519 (RFC 7748).
// Thread-safe after crypto_init(), but for crypto_random_replay(). No function here allocates, but those that append to a buffer.
#pragma once
#include "relay/error.h"
#include "relay/types.h"

// libsodium exports these three names too. Ours have another name in the object file, so that neither takes the other's calls.
#define crypto_hash relay_crypto_hash
#define crypto_sign relay_crypto_sign
#define crypto_sign_keypair relay_crypto_sign_keypair

// Domain tags. A hash or a signature covers tag || 0 || data, so nothing made for one use is good for another. Tags are ASCII and not
// empty: no tagged hash begins like a leaf (0x00) or a node (0x01). Written into every store and every signature: never changed.
// name, text, what it covers
#define TAG_LIST(X)                                                                                                                        \
    X(TAG_HEADER, "sanji.header", "BatchHeader bytes: the header's name, and `prev` of the next")                                          \
    X(TAG_CERTIFICATE, "sanji.certificate", "Certificate bytes: the certificate's name")                                                   \
    X(TAG_DOCUMENT, "sanji.document", "codebook, overlay or unit tree: its name")                                                          \
    X(TAG_DEFINITION, "sanji.definition", "canonical text of one form, list, indicator or case type")                                      \
    X(TAG_ROW, "sanji.row", "a row of the store: its checksum")                                                                            \
    X(TAG_DIGEST, "sanji.digest", "a journal row: what the marker names")                                                                  \
    X(TAG_TOKEN, "sanji.token", "a join token's secret: its name in the parent's store")                                                   \
    X(TAG_TOKEN_CHECK, "sanji.token-check", "JoinToken bytes: first 4 bytes are the checksum in its text")                                 \
    X(TAG_MARKER, "sanji.marker", "Marker bytes: first 16 bytes are the file's checksum")                                                  \
    X(TAG_KEYRING, "sanji.keyring", "a keyring row: first 16 bytes are its checksum")                                                      \
    X(TAG_ENROLMENT, "sanji.enrolment", "what DIR/enrolment holds: first 16 bytes are its checksum")                                       \
    X(TAG_MESSAGE, "sanji.message", "a link message: first 4 bytes are the check of its difference from another")

#define SIGN_TAG_LIST(X)                                                                                                                   \
    X(TAG_SIGN_HEADER, "sanji.sign.header", "BatchHeader bytes")                                                                           \
    X(TAG_SIGN_CERTIFICATE, "sanji.sign.certificate", "Certificate bytes")                                                                 \
    X(TAG_SIGN_JOIN, "sanji.sign.join", "fields 1 to 5 of JoinRequest, joined: 128 bytes")                                                 \
    X(TAG_SIGN_INTRODUCTION, "sanji.sign.introduction", "certificate hash || own transport key || called station's: 96 bytes")             \
    X(TAG_SIGN_HEADS, "sanji.sign.heads", "HeadsClaim bytes")

#define X(name, text, what) static const char name[] = text;
TAG_LIST(X)
SIGN_TAG_LIST(X)
#undef X

enum {
    TAG_MAX = 32,             // bytes of a tag
    SIGNED_MAX = MESSAGE_MAX, // bytes under one signature: all that is signed travels in one link message
    SHORT_HASH_KEY_SIZE = 16,
};

// Must be called once before anything else here; may be called again, from any thread. ERR_STATE: no source of randomness.
enum error_code crypto_init(struct error *error);

void crypto_random(void *data, size_t size);
uint64_t crypto_random_u64(void);
// For tests, the simulator and the golden vectors only: from now on every random byte of this process (keys, nonces, secrets) is the
// BLAKE2b/ChaCha20 stream of `seed`, so a run can be replayed. NULL: back to the system's randomness. Not thread-safe. A station
// never calls it.
void crypto_random_replay(const uint8_t seed[32]);

// BLAKE2b-256 of tag || 0 || data.
struct hash crypto_hash(const char *tag, struct bytes data);
// RFC 9162 tree: leaf H(0x00 || salt || entry), node H(0x01 || left || right).
struct hash crypto_leaf(const uint8_t salt[SALT_SIZE], struct bytes entry);
struct hash crypto_node(const struct hash *left, const struct hash *right);
// Salts of the leaves 4 * group .. 4 * group + 3 of a batch: 64 bytes of BLAKE2b keyed with the secret, over the group as 4 big-endian
// bytes. Four together, as one keyed hash costs two leaves.
enum { SALTS_TOGETHER = 4 };
void crypto_salts(const uint8_t secret[SECRET_SIZE], uint32_t group, uint8_t ret[SALTS_TOGETHER][SALT_SIZE]);
// SipHash-2-4 for hash tables whose keys others choose. Not for anything that is stored or sent.
uint64_t crypto_short_hash(const uint8_t key[SHORT_HASH_KEY_SIZE], struct bytes data);

void crypto_sign_keypair(struct public_key *ret_public, struct secret_key *ret_secret);
// X25519; CurveZMQ transport keys are of the same kind. The upper half of the secret is zero.
void crypto_seal_keypair(struct public_key *ret_public, struct secret_key *ret_secret);
// Whether the secret is the public key's own: for keys read from a file.
bool crypto_sign_pair_valid(const struct public_key *key, const struct secret_key *secret);
bool crypto_seal_pair_valid(const struct public_key *key, const struct secret_key *secret);
// Keys from outside. Signing: canonical, on the curve, in the main subgroup. Sealing and transport: not of small order.
bool crypto_sign_key_valid(const struct public_key *key);
bool crypto_seal_key_valid(const struct public_key *key);

// Over tag || 0 || data. `data` is at most SIGNED_MAX bytes (asserted).
void crypto_sign(const struct secret_key *key, const char *tag, struct bytes data, uint8_t ret[SIGNATURE_SIZE]);
// False also for malleated signatures (S not reduced), points of small order, and more than SIGNED_MAX bytes. It does not find a key
// with a small-order part: ask crypto_sign_key_valid() once when the key arrives. A signature is not unique: never a name.
bool crypto_verify(const struct public_key *key, const char *tag, struct bytes data, const uint8_t signature[SIGNATURE_SIZE]);

// XChaCha20-Poly1305 with a random nonce: appends nonce || ciphertext || tag (data.size + 40 bytes) to `ret`; a failed allocation
// shows in ret->failed. `data` and `associated` must not point into `ret`.
enum { SEAL_OVERHEAD = 40 };
void crypto_encrypt(const struct symmetric_key *key, struct bytes associated, struct bytes data, struct buffer *ret);
// Appends the plaintext to `ret`. ERR_FORGED when it does not open (wrong key, wrong context, damaged), ERR_MEMORY; then `ret` is as
// it was. `sealed` must not point into `ret`.
enum error_code crypto_decrypt(const struct symmetric_key *key, struct bytes associated, struct bytes sealed, struct buffer *ret);
// libsodium sealed box of a symmetric key, for one station: 80 bytes. False for a key of small order; certificate_decode() refuses
// those, so it does not happen for the key of a certificate.
enum { WRAPPED_KEY_SIZE = 80 };
bool crypto_wrap(const struct public_key *to, const struct symmetric_key *key, uint8_t ret[WRAPPED_KEY_SIZE]);
// ERR_FORGED: not for this station, or damaged; `ret` is untouched.
enum error_code crypto_unwrap(const struct public_key *own_public, const struct secret_key *own, const uint8_t wrapped[WRAPPED_KEY_SIZE],
                              struct symmetric_key *ret);

// Overwrites, in a way the compiler keeps.
void crypto_wipe(void *data, size_t size);
// Keeps secrets out of swap and core files. False when the system's limit (LimitMEMLOCK) is reached: go on without.
bool crypto_lock(void *data, size_t size);
void crypto_unlock(void *data, size_t size); // wipes; for memory that crypto_lock() was called on, whatever it answered

// Lower-case hex, NUL-terminated; `ret` has 2 * size + 1 bytes.
void crypto_hex(struct bytes data, char *ret);
// Exactly 2 * size digits of either case and nothing more; `ret` is untouched otherwise.
bool crypto_from_hex(const char *text, uint8_t *ret, size_t size);
// base64url without padding (RFC 4648, 5).
size_t crypto_base64_size(size_t size); // of the text, with the NUL
void crypto_base64(struct bytes data, char *ret);
// Appends to `ret`. ERR_INPUT: a character outside the alphabet, padding, spare bits set, an impossible length; ERR_MEMORY.
enum error_code crypto_from_base64(const char *text, struct buffer *ret);
