// What record.c writes down and replay.c reads: events, each this header and two texts of bytes behind it.
#pragma once
#include <stdint.h>

enum event_kind {
    LOG_ROOT = 1,  // file: the directory that everything lies in (written by the driver)
    LOG_NOTE,      // a: a word of the driver: "begin NAME", "end NAME"
    LOG_CREATE,    // a: path; file, parent
    LOG_MKDIR,     // a: path; file, parent
    LOG_UNLINK,    // a: path; parent (files and directories)
    LOG_RENAME,    // a: from, b: to; parent, which both must share
    LOG_WRITE,     // file, offset, a: the bytes. `durable`: with O_DSYNC, so LOG_WRITTEN follows
    LOG_WRITTEN,   // file, offset: that write returned
    LOG_TRUNCATE,  // file, offset: the new size
    LOG_SYNC,      // file or directory: a flush begins
    LOG_SYNCED,    // ... and has returned
    LOG_SAY,       // a: what the process prints; offset: 1 stdout, 2 stderr
    LOG_ANSWER,    // a: what it sends through a Unix socket
    LOG_MESSAGE,   // a: a frame it hands to ZeroMQ
    LOG_FORBIDDEN, // a: what was done that this method can't see: a shared writable map, a hard link
};

struct event_head {
    uint32_t size; // of all of it
    uint8_t kind;  // enum event_kind
    uint8_t durable;
    uint16_t reserved;
    uint32_t process;
    uint32_t reserved_too;
    uint64_t file;   // inode number
    uint64_t parent; // inode number
    uint64_t offset;
    uint32_t a_size, b_size;
};
_Static_assert(sizeof(struct event_head) == 48, "the driver writes it too");
