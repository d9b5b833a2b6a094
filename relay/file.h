// Small files that are read and written whole, so that a crash leaves the old one or the new one. For keys and the marker; the
// database is store.h. Blocking; safe from any thread. Errors name the path.
#pragma once
#include "relay/bytes.h"
#include "relay/error.h"

enum { FILE_PATH_SIZE = 1024 }; // bytes of a path with its NUL

// DIRECTORY/NAME. ERR_LIMIT: too long.
enum error_code file_path(const char *directory, const char *name, char ret[FILE_PATH_SIZE], struct error *error);

// Writes NAME.new (0600), syncs it, renames it to NAME, syncs the directory. ERR_FULL: no room; ERR_IO; then NAME is as it was, unless
// only the last sync failed (ERR_IO: old or new, both whole).
enum error_code file_replace(const char *directory, const char *name, struct bytes content, struct error *error);
// Appends all of it to `ret`. `is_private`: refuses a file that group or others can read or write (ERR_REFUSED, says chmod). Not a regular
// file, or a symbolic link: ERR_REFUSED. More than `max` bytes: ERR_LIMIT. ERR_NOT_FOUND, ERR_IO, ERR_MEMORY; then `ret` is as it was.
enum error_code file_read(const char *directory, const char *name, size_t max, bool is_private, struct buffer *ret, struct error *error);
// Opens with O_CLOEXEC and O_NOFOLLOW and the checks of file_read(). The caller closes it.
enum error_code file_open(const char *path, int flags, bool is_private, int *ret, struct error *error);
// All of it at `offset`, through short writes and interruptions. Sets errno.
bool file_write_at(int fd, const void *data, size_t size, uint64_t offset);
// Exactly `size` bytes at `offset`, through short reads and interruptions. False: an error, or the file ends before; `data` is undefined.
bool file_read_at(int fd, void *data, size_t size, uint64_t offset);
enum error_code file_sync_directory(const char *directory, struct error *error);
// Makes the name of a directory durable: syncs the one that it is in.
enum error_code file_sync_name(const char *directory, struct error *error);
// ERR_FULL for what an operator frees room for (ENOSPC, EDQUOT, EFBIG), ERR_IO for the rest. `format` takes the path.
enum error_code file_error(struct error *error, const char *format, const char *path);
