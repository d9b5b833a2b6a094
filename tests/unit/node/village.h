// A village's station for tests of records: a real store, keyring, author and ledger in a temporary directory; a township and a county
// above it; a small codebook from YAML.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/ledger.h"
#include "node/records.h"
#include "relay/codec.h"

// Text that nothing but the keys' holders may ever see.
#define CANARY "xiaoming-canary"

struct village {
    char directory[64];
    struct store *store;
    struct units *units;
    struct codebook *codebook;
    struct certificate ancestors[2]; // township, county
    struct secret_key seal_keys[2];  // theirs
    struct certificate self;
    struct secret_key sign_key;
    struct keyring *keyring;
    struct author *author;
    struct ledger *ledger;
    struct desk desk; // txn between village_begin() and village_commit()
    uint64_t now_ms;
    struct record_result results[64]; // of the last village_submit()
    uint32_t result_count;
    struct error error;
};

struct codebook *test_codebook(void); // for codebook_destroy(); fails the test when it does not load
extern struct codebook *codebook;     // of a group of tests, between these two
int codebook_setup(void **state);
int codebook_teardown(void **state);

void village_open(struct village *village); // unit V1; V2 lies beside it, T above, C at the top; H below V1 has no station
void village_close(struct village *village);
// For a test of its own: *state is the village.
int village_setup(void **state);
int village_setup_begun(void **state); // and a transaction is open
int village_teardown(void **state);
void village_begin(struct village *village);
void village_commit(struct village *village);
void village_abort(struct village *village);
void village_today(struct village *village, const char *date); // 10:00 of that day, +08:00
// In the open transaction; the results are in village->results. `unit` NULL: the own.
enum error_code village_submit(struct village *village, const char *form, const char *json, const char *unit);
// The same in a transaction of its own: committed when OK, else aborted.
enum error_code village_enter(struct village *village, const char *form, const char *json);
// Ticks until nothing waits, in a transaction of its own.
void village_tick(struct village *village, uint32_t max);

// Sum of a group's stated cells whose digit of dimension `dim` is `member` (dim -1: all), of one month or of all months up to it.
int64_t village_figure(struct village *village, const char *indicator, const char *unit, int32_t month, int dim, const char *member,
                       bool through);

// Calls for every entry of the journal, in order.
void village_entries(struct village *village,
                     void (*visit)(void *context, uint32_t reach, uint32_t kind, bool sealed, struct bytes content,
                                   const struct key_id *key),
                     void *context);
// Whether the bytes occur in any file of the directory except below keys/, after a commit.
bool village_stored(struct village *village, const char *text);
// Digest of whole tables.
struct hash village_table(struct village *village, enum table table);

int32_t day_of(const char *date);
int32_t month_of(const char *date); // of YYYY-MM-DD
