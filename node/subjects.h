// Subjects and their records as this station keeps them: tables SUBJECTS, EDGES, RECORDS, RECORD_IDS. Nothing readable is stored:
// a record's row holds the sealed sections exactly as they were signed; a subject's row holds the name of its key, who was granted it,
// and a date.
//
//   SUBJECTS   subject 16                    -> key id 16 || tiers granted be32 || edge be32 (sign bit flipped)
//   EDGES      edge be32 (sign bit flipped) || subject 16 -> nothing: subjects with an edge other than INT32_MAX
//   RECORDS    subject 16 (zeros: none) || record 16      -> revision be32 || sections that stand u8 || sections waiting u8 ||
//                                                            each: key id 16 || size be32 || sealed bytes
//   RECORD_IDS record 16                     -> subject 16 || revision be32
// Rows end with the checksum of relay/row.h. Keys that belong to no subject (see record_keys.h) have rows in SUBJECTS of their own.
#pragma once
#include "node/desk.h"
#include "node/record.h"

enum {
    SUBJECT_RECORDS_MAX = 20000, // of one subject: a visit a day for fifty years
    EDGE_NONE = INT32_MAX,       // time alone changes nothing
    EDGE_UNSTATED = INT32_MIN,   // the records are here, their effect on figures was never stated: due at once
};

struct subject_row {
    struct key_id key; // zero: none of its records needed one of its own yet
    uint32_t tiers;    // codebook tiers whose stations were granted the key
    int32_t edge;      // stated as of the day before it; on it, time alone changes a stock
};
bool subject_read(struct txn *txn, const uint8_t subject[SUBJECT_ID_SIZE], struct subject_row *ret); // false: unknown, or txn_error()
// Writes the row and moves its edge. Damage to the former row fails the transaction.
void subject_write(struct txn *txn, const uint8_t subject[SUBJECT_ID_SIZE], const struct subject_row *row);
// The earliest edge. False: none.
bool edge_first(struct txn *txn, int32_t *ret_edge, uint8_t ret_subject[SUBJECT_ID_SIZE]);
// Removes an edge whose subject is not there or has another: what damage left. Otherwise subject_write() does it.
void edge_drop(struct txn *txn, int32_t edge, const uint8_t subject[SUBJECT_ID_SIZE]);

struct sealed_section {
    struct key_id key;
    struct bytes sealed;
};
struct record_row {
    uint32_t revision;         // that stands; 0: none yet
    uint8_t standing, waiting; // sections: of that revision, then of the next one, which waits for its others
    struct sealed_section sections[2 * RECORD_SECTIONS_MAX];
};
// Spans live as txn_get()'s do.
bool record_row_read(struct txn *txn, const uint8_t subject[SUBJECT_ID_SIZE], const uint8_t record[RECORD_ID_SIZE], struct record_row *ret);
void record_row_write(struct txn *txn, const uint8_t subject[SUBJECT_ID_SIZE], const uint8_t record[RECORD_ID_SIZE],
                      const struct record_row *row);
bool record_find(struct txn *txn, const uint8_t record[RECORD_ID_SIZE], uint8_t ret_subject[SUBJECT_ID_SIZE], uint32_t *ret_revision);

// Seals one section's plaintext for a record entry of this station: appends to `ret`.
void section_seal(const struct desk *desk, const struct symmetric_key *key, const struct key_id *id, struct bytes plain,
                  struct buffer *ret);
// Opens one. ERR_NOT_FOUND: the key is not here (destroyed, or never granted); ERR_FORGED: it does not open; else as record_decode().
enum error_code section_open(const struct desk *desk, const struct sealed_section *section, struct arena *arena, struct record *ret,
                             int *ret_section, uint32_t *ret_sections, struct error *error);

// The record that stands, its sections opened and merged, in the arena; `ret` NULL in the answer when none stands yet.
// ERR_CORRUPT when row and content differ, and as section_open().
enum error_code record_open(const struct desk *desk, const struct record_row *row, struct arena *arena, struct record **ret,
                            struct error *error);
// All records of a subject that stand, in no particular order. ERR_LIMIT over SUBJECT_RECORDS_MAX.
enum error_code subject_records(const struct desk *desk, const uint8_t subject[SUBJECT_ID_SIZE], struct arena *arena, struct record ***ret,
                                uint32_t *ret_count, struct error *error);
