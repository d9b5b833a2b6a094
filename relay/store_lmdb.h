// What relay/store_open.c and store_lmdb.c ask of each other.
#pragma once
#include "relay/store.h"

// Opens the environment in the directory `path`, which has been looked at. `map_bytes`: at least what the file has. Errors as store_open().
enum error_code store_lmdb_open(const char *path, bool read_only, uint64_t map_bytes, struct store **ret, struct error *error);
// Makes an environment with all tables and the format in the empty directory `path`, and closes it. Messages call it `name`.
enum error_code store_lmdb_make(const char *path, const char *name, uint64_t map_bytes, struct error *error);

// Whether the store is of our format and has the tables that it must have: `there`, of ours, and `names` of them in all. ERR_CORRUPT,
// ERR_VERSION. A store that lacks a later table is an older one, and has no other names.
enum error_code store_tables_check(struct txn *txn, const char *path, const bool there[TABLE_COUNT], uint64_t names, struct error *error);
