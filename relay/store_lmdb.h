// What relay/store_open.c asks of store_lmdb.c.
#pragma once
#include "relay/store.h"

// Opens the environment in the directory `path`, which has been looked at. `map_bytes`: at least what the file has. Errors as store_open().
enum error_code store_lmdb_open(const char *path, bool read_only, uint64_t map_bytes, struct store **ret, struct error *error);
// Makes an environment with all tables and the format in the empty directory `path`, and closes it. Messages call it `name`.
enum error_code store_lmdb_make(const char *path, const char *name, uint64_t map_bytes, struct error *error);
