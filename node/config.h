// The station's configuration file, DIR/station.conf: lines "name = value", # comments. Nothing secret is in it.
#pragma once
#include "relay/error.h"
#include "relay/types.h"

enum { ADDRESS_SIZE = 128 }; // tcp://HOST:PORT with its NUL, as peers keep it

struct config {
    struct hash root;          // of the root record, pinned
    char parent[ADDRESS_SIZE]; // link endpoint of the parent, tcp://HOST:PORT; empty at the root
    char listen[ADDRESS_SIZE]; // where children link; empty: no children
    char join[ADDRESS_SIZE];   // where children enrol; empty: nobody can
    // Where the station introduces itself when its parent does not know it, and the endpoints of the station above the parent, for urgent
    // records that get no receipt. Empty: not known.
    char parent_join[ADDRESS_SIZE], above[ADDRESS_SIZE], above_join[ADDRESS_SIZE];
};

// ERR_NOT_FOUND: no station in `directory`. ERR_INPUT: "DIR/station.conf:LINE: ..." for an unknown name, a value that cannot be, a name
// given twice, a line without '=' or of more than 510 bytes; 'root' missing. ERR_IO. Nothing is changed, `ret` only when it returns OK.
// Whether an address can be bound is not asked here.
enum error_code config_read(const char *directory, struct config *ret, struct error *error);
// Written whole to DIR/station.conf.new, synced, renamed into place: after a crash the old file or the new one. Empty addresses are left
// out. Mode 0600. ERR_FULL, ERR_IO: the old file stands (but when only the last sync of the directory failed).
enum error_code config_write(const char *directory, const struct config *config, struct error *error);
