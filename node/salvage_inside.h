// What salvage.c, salvage_index.c (what was found) and salvage_make.c (the new store) share.
#pragma once
#include "node/enrolment.h"
#include "node/salvage.h"
#include "relay/marker.h"
#include "relay/salvage.h"

enum { SALVAGE_TAG = 16, SALVAGE_KNOWN_MAX = 64 };

// A row of the journal or of evidence.
struct salvage_batch {
    uint64_t position; // evidence: UINT64_MAX
    uint64_t first, received_ms, offset;
    uint32_t size;
    bool body, followed;
    uint8_t feed[SALVAGE_TAG], header[SALVAGE_TAG], prev[SALVAGE_TAG]; // beginnings of hashes
};
// A row of another table: an object (whichever of its two tables it was in), a child, an alarm.
struct salvage_row {
    enum table table;
    uint8_t key[HASH_SIZE], key_size;
    uint32_t size; // of the fields; the checksum follows them
    uint64_t offset, rank;
    const uint8_t *memory; // of DIR/enrolment: there is no row, and this is the content
};
// A document that was in force once.
struct salvage_document {
    uint32_t document, version;
    struct hash hash;
};

struct salvage {
    const char *directory;
    int lock, file; // -1: none
    struct salvage_source source;
    struct buffer batches, rows; // of struct salvage_batch, struct salvage_row
    struct salvage_document known[SALVAGE_KNOWN_MAX];
    uint32_t known_count;
    uint32_t ordinal; // the highest incarnation that the old store speaks of
    uint64_t nonce;
    struct buffer enrolment;
    struct marker marker; // of the new store
    struct certificate self;
    bool swapped; // the damaged store is in the place where the new one was made
    void (*progress)(void *context, uint64_t done, uint64_t total);
    void *progress_context;
    struct salvage_report *report;
};

static inline struct salvage_batch *salvage_batches(const struct salvage *salvage)
{
    return (struct salvage_batch *)(void *)salvage->batches.data;
}
static inline size_t salvage_batch_count(const struct salvage *salvage) { return salvage->batches.size / sizeof(struct salvage_batch); }
static inline struct salvage_row *salvage_rows(const struct salvage *salvage) { return (struct salvage_row *)(void *)salvage->rows.data; }
static inline size_t salvage_row_count(const struct salvage *salvage) { return salvage->rows.size / sizeof(struct salvage_row); }

// Finds what there is in the file and in DIR/enrolment, one version of each, batches in the order of their positions, evidence last.
enum error_code salvage_look(struct salvage *salvage, struct error *error);
// Appends content or fields of a row; with the checksum when `whole`. False: can't be read any more, or no memory.
bool salvage_fetch(const struct salvage *salvage, uint64_t offset, size_t size, struct buffer *ret);
// An object's content, without its kind.
bool salvage_object(const struct salvage *salvage, const struct hash *hash, enum object_kind *ret_kind, struct buffer *ret);
// The station's own newest certificate whose chain is there up to the pinned root. False: none.
bool salvage_find_self(const struct salvage *salvage, const struct identity *identity, const struct hash *root, struct certificate *ret);

// Makes the new store in `staging`/store: first what a new station's has, then what was found.
enum error_code salvage_make(struct salvage *salvage, const char *staging, struct error *error);
