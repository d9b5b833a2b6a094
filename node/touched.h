// The subjects that one transaction touches: their records before and after, and the difference that makes to figures.
#pragma once
#include "node/contributions.h"
#include "node/desk.h"
#include "node/subjects.h"

struct touched_record {
    const struct record *before, *now; // NULL: not there yet; `now` is the latest revision, the same as `before` when untouched
};

struct planned_key;

// One subject, or one record that has no subject (then `id` is the record's). Lives in the set's arena.
struct touched {
    uint8_t id[SUBJECT_ID_SIZE];
    int16_t reg;                    // -1: no subject
    bool known;                     // has records or a row in the store
    bool slow;                      // more changes than the touched records' own flows: a correction, or a form that keeps something
    int32_t edge;                   // of its row before; EDGE_NONE for a new one
    const char *custodian;          // "": not known before its first record
    struct touched_record *records; // in record_compare() order of what is now
    uint32_t count, capacity;
    struct planned_key *keys; // record_write.c's own
    struct touched *next;     // in order of first touch
};

// Zero-initialised with an arena is empty.
struct touched_set {
    struct arena *arena;
    struct touched **slots; // open addressing; size is a power of two
    uint32_t capacity, count;
    struct touched *first, *last;
};

// The subject, with its records read from the store at the first call. ERR_MEMORY, ERR_LIMIT, and as subject_records(). ERR_INPUT: it
// belongs to another register than `reg`.
enum error_code touched_find(struct touched_set *set, const struct desk *desk, const uint8_t subject[SUBJECT_ID_SIZE], int16_t reg,
                             struct touched **ret, struct error *error);
// A record without a subject: `before` is what it replaces, or NULL. Not for one that is in the set already.
enum error_code touched_lone(struct touched_set *set, const uint8_t record[RECORD_ID_SIZE], const struct record *before,
                             struct touched **ret, struct error *error);
struct touched *touched_at(const struct touched_set *set, const uint8_t id[SUBJECT_ID_SIZE]); // NULL: not in the set

// Puts a record in, in place of its former revision when there is one. It must outlive the set.
enum error_code touched_put(struct touched_set *set, const struct desk *desk, struct touched *touched, const struct record *record,
                            struct error *error);
// The place of a record, NULL: not among them.
struct touched_record *touched_record_find(struct touched *touched, const uint8_t id[RECORD_ID_SIZE]);

// Its records as they are now (or were), for contributions.h: an array from the arena, in order. False: no memory.
bool touched_history(const struct touched_set *set, const struct desk *desk, const struct touched *touched, bool before,
                     struct history *ret);

// Adds the difference of all that was put to desk->ledger, and says the new edge. Errors are the transaction's.
void touched_settle(const struct touched_set *set, const struct desk *desk, const struct touched *touched, int32_t today,
                    int32_t *ret_edge);
