// A disk with a volatile cache, rebuilt from a log: what is durable, what waits for a flush, and what a power cut may leave of it.
//
// The model: a write lasts when a flush of its file that began after it has returned (or it returned itself, with O_DSYNC); a name when a
// flush of its directory has. What waits may be lost piece by piece, in any order: a sector of 512 bytes is written whole or not at all,
// and carries all that the cache held of it at some moment; a rename is one change. A kill without a power cut loses nothing.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/crash/log.h"

enum { SECTOR = 512 };

struct disk;

// Takes the events of a log, one after the other; they stay the caller's and must outlive the disk.
struct disk *disk_create(void);
void disk_destroy(struct disk *disk);
// Whether the event changed anything that a power cut could leave. Aborts on a log that makes no sense.
bool disk_take(struct disk *disk, const struct event_head *event);

// What waits, oldest first.
size_t disk_waiting(const struct disk *disk);
// Sectors of the change at `index`; 0: a change of names or of a size, which happens or does not.
size_t disk_sectors(const struct disk *disk, size_t index);
// Calls of `keep` decide what reaches the disk. The state is written under `directory`, which must be empty; NULL: only its digest is made.
uint64_t disk_cut(const struct disk *disk, bool (*keep)(void *context, size_t index, size_t sector), void *context, const char *directory);
