// Batches: made, decoded, checked. Formats: schema/envelope.proto. Pure but for hashing and signing; no store. Safe from any thread as
// long as each object has one owner. Errors of decoding name the field and the byte.
#pragma once
#include "relay/header.h"
#include "relay/merkle.h"

enum {
    // bytes of an entry and its frame in the body beyond the content: kind 6, time 11, content tag and length 4, key id 18, frame 4
    ENTRY_OVERHEAD_MAX = 43,
};

struct entry {
    uint32_t kind; // enum EntryKind, or a later kind that this program does not know: to be held, not applied
    uint64_t time_ms;
    bool is_sealed;
    struct bytes content; // clear or sealed
    struct key_id key;    // when sealed
    struct bytes wire;    // exact bytes, inside the body
};

// Decodes a body and proves it against the header's root. `entries` has room for BATCH_ENTRIES_MAX; spans point into `body`. Each
// entry has a kind, and either clear content or sealed content with its key id; entries of the control lane stay within
// CONTROL_ENTRY_MAX, others within ENTRY_MAX. Nothing is allocated. ERR_INPUT, ERR_LIMIT; ERR_FORGED: not the body that was signed
// (size, count, root); all leave `entries` undefined.
enum error_code body_check(struct bytes body, const struct header *header, struct entry *entries, struct error *error);
// The same without the Merkle root: for bodies that this station's own journal has verified before.
enum error_code body_decode(struct bytes body, const struct header *header, struct entry *entries, struct error *error);

// The same for a body that body_check() has passed, with this header, in this process: its fields are not checked again. False: it has not
// that many entries, so it was not that one.
bool body_entries(struct bytes body, const struct header *header, struct entry *entries);

// Inclusion (RFC 9162, 2.1.3): salt and path of entry `index`. `path` has room for 10 hashes.
enum error_code body_prove(struct bytes body, const struct header *header, uint32_t index, uint8_t ret_salt[SALT_SIZE], struct hash *path,
                           uint32_t *ret_path_count, struct error *error);
// RFC 9162, 2.1.3.2: merkle_check().
bool inclusion_check(const struct hash *root, uint32_t count, uint32_t index, const struct hash *leaf, const struct hash *path,
                     uint32_t path_count);

// Makes one batch. Entries are added until full; then it is signed.
struct batch_draft {
    struct feed_key feed;
    uint32_t reach;
    struct buffer body;
    struct hash *leaves; // BATCH_ENTRIES_MAX
    uint32_t count;
    uint8_t secret[SECRET_SIZE];              // random; the golden vectors overwrite it before the first entry
    uint8_t salts[SALTS_TOGETHER][SALT_SIZE]; // of the leaves around `count`
};
// Owns its memory until batch_draft_finish(). ERR_MEMORY.
enum error_code batch_draft_init(struct batch_draft *draft, const struct feed_key *feed, uint32_t reach, struct error *error);
// Whether an entry with `content_size` bytes still fits.
bool batch_draft_fits(const struct batch_draft *draft, size_t content_size);
// `key` NULL: clear; otherwise `content` is already sealed. ERR_LIMIT: does not fit, in this batch or any (see body_check); ERR_INPUT:
// no kind, or empty content; ERR_MEMORY.
enum error_code batch_draft_add(struct batch_draft *draft, uint32_t kind, uint64_t time_ms, struct bytes content, const struct key_id *key,
                                struct error *error);
// Writes the header (appends to `ret_header`), its decoded form and signature; the body is draft->body. `chain` is the feed's state
// before it; `codebook` NULL: none in force; `follows` only in a feed's first batch, at most FOLLOWS_MAX. ERR_STATE: no entries;
// ERR_LIMIT: the heads don't fit in HEADER_MAX; ERR_INPUT: the signer is another station, or a bound of header_decode(); ERR_MEMORY.
enum error_code batch_draft_sign(struct batch_draft *draft, const struct feed_state *chain, const struct certificate *signer,
                                 const struct secret_key *key, uint64_t time_ms, const struct hash *codebook, const struct head *follows,
                                 uint32_t follows_count, struct buffer *ret_header, struct header *ret,
                                 uint8_t ret_signature[SIGNATURE_SIZE], struct error *error);
void batch_draft_finish(struct batch_draft *draft); // frees; takes a zeroed draft; may be called twice

// Associated data of a sealed entry: binds it to its feed's station, its kind and its key. be32 kind || station || key id.
void entry_associated(const struct station_id *station, uint32_t kind, const struct key_id *key,
                      uint8_t ret[4 + STATION_ID_SIZE + KEY_ID_SIZE]);
