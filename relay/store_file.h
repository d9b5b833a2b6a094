// The database file as a file: what must be looked at before LMDB maps it, and how a new one gets to its place. Names no library.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "relay/error.h"
#include "relay/tree.h"

// LMDB maps the file as long as its meta page says it is; a read behind the end of a truncated file is SIGBUS, and an empty file
// would be taken for a new database. So: both meta pages whole, and every page that the newest one counts either inside the file or
// free (a good file may be short: pages that a transaction took and gave back are counted but were never written); and what is cheap to
// look at of the trees (tree_check_tops()), for LMDB crashes on some damaged pages. The rest is the scrubber's.
// `path` is data.mdb. Reads only. ERR_CORRUPT, ERR_VERSION (another LMDB's format), ERR_IO, ERR_MEMORY, ERR_BUSY (a node writes too much).
enum error_code store_file_check(const char *path, uint64_t *ret_bytes, struct error *error);
// The damage for which it says ERR_CORRUPT. False: there is none now, or nothing to look at.
bool store_file_damage(const char *path, struct tree_finding *ret);

// Says that the tree of the store at `path` is damaged, `how`, and what to do: ERR_CORRUPT.
enum error_code store_file_broken(const char *path, const char *how, struct error *error);

// The store's two names inside `directory`, for messages and calls. ERR_LIMIT: path too long.
enum { STORE_PATH_MAX = 4096 };
enum error_code store_file_path(const char *directory, const char *name, char ret[STORE_PATH_MAX], struct error *error);

// An empty temporary directory beside the place where `path` (DIR/store) will be: same file system, so that rename is atomic.
// ERR_EXISTS: `path` is there. ERR_NOT_FOUND: DIR is not.
enum error_code store_file_begin(const char *directory, const char *path, char ret_temporary[STORE_PATH_MAX], struct error *error);
// Syncs file and directory, renames into place, syncs DIR. On any error `path` is not there, or is whole.
enum error_code store_file_publish(const char *directory, const char *temporary, const char *path, struct error *error);
// Takes a temporary directory of store_file_begin() away again.
void store_file_discard(const char *temporary);

// Whether the write to `fd` that failed with `code` (an errno) did so for want of room. LMDB answers a write cut short by a full disk,
// or by RLIMIT_FSIZE, with EIO like any other failure, so the file system is asked.
bool store_file_no_room(int fd, int code);
// Says that the store at `path` can't be opened because too many files are, here or on the machine: ERR_BUSY.
enum error_code store_file_too_many(const char *path, struct error *error);
