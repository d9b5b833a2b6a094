// Room kept back on the disk, so that a station whose disk is full still starts: can be read, and sends up what it holds. The file
// DIRECTORY/reserve; nothing is read from it, and who deletes it loses no more than that.
#pragma once
#include <stdbool.h>

enum {
    RESERVE_BYTES = 1024 * 1024,   // a start is a commit of some pages, and a marker; a few dozen of them in a row
    RESERVE_BYTES_MIN = 64 * 1024, // what is left when there is no more: one start
};

// Takes what room there is, up to RESERVE_BYTES; does nothing when it has that already. Without any room it does without.
void reserve_hold(const char *directory);
// Gives it back. False: there is none.
bool reserve_release(const char *directory);
