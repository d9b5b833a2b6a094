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
};

// ERR_NOT_FOUND: no station in `directory`. ERR_INPUT: "station.conf:LINE: ..." for an unknown name, a value that cannot be, a name given
// twice or missing. Nothing is changed.
enum error_code config_read(const char *directory, struct config *ret, struct error *error);
// Written whole to a temporary file, synced, renamed into place.
enum error_code config_write(const char *directory, const struct config *config, struct error *error);
