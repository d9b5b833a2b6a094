// Files that a person names on the command line.
#pragma once
#include "control.pb-c.h"
#include "relay/bytes.h"
#include "relay/error.h"

// Appends the whole file, or stdin for "-". ERR_NOT_FOUND, ERR_IO, ERR_LIMIT (more than `max` bytes), ERR_MEMORY.
enum error_code input_read(const char *path, size_t max, struct buffer *ret, struct error *error);
// "-" is shown as "(stdin)" in messages.
const char *input_name(const char *path);
// By the name's end, .json or .csv in any case; otherwise by the first character: { or [ is JSON.
Sanji__InputFormat input_format(const char *path, struct bytes data);
// Writes a new file, or stdout for "-". ERR_EXISTS: it is never overwritten. A file written in part is removed.
enum error_code input_write_new(const char *path, struct bytes data, struct error *error);
