// What repeats from one message to the next on a connection, and so need not be said again: names of sessions, journals, certificates,
// feeds. Each end keeps the last few messages of each direction, and a message may come as its difference from one of them. A connection
// keeps order and loses nothing; should a middle have taken something out of it all the same, the check in the next difference fails.
//
// A coded message: number of the kept one (1 byte), check (4), and then, until its end, how many bytes are as there at the same place (1
// byte), how many others follow (1), and those. The check is the beginning of H(TAG_MESSAGE, message). Format: schema/README.md.
//
// Bodies are never coded: what people recorded has the same length on the line whatever was recorded before it.
//
// Zero-initialised is a new connection, one direction of it. One owner thread.
#pragma once
#include "relay/crypto.h"

enum {
    REPEATS_KEPT = 16,      // messages: as many as a township has villages; 5 KB of a connection
    REPEATS_SIZE_MAX = 512, // bytes of a message that is kept or coded: a push with a whole header has about 300
    REPEATS_CHECK = 4,      // bytes: one hole in 4 billion is found by what comes next
};

struct repeats {
    struct repeats_kept {
        uint8_t *bytes; // NULL: none, or there was no memory for it
        uint16_t size;
    } kept[REPEATS_KEPT];
    uint8_t next; // place of the next one
};
void repeats_finish(struct repeats *repeats); // frees; a new connection

// A message about to be sent, as a difference: its size, 0 if that would not be shorter.
size_t repeats_code(const struct repeats *repeats, struct bytes message, uint8_t ret[REPEATS_SIZE_MAX]);
// A coded message that came. False: it does not fit what is kept, something was lost before it; nothing more of the connection may be taken.
bool repeats_read(const struct repeats *repeats, struct bytes coded, uint8_t ret[REPEATS_SIZE_MAX], size_t *ret_size);
// It was sent, or read, whole or coded: both ends keep it, in the place of the oldest.
void repeats_keep(struct repeats *repeats, struct bytes message);
