// Asking the station: over its control socket when a node runs there, else by opening its directory and answering in this process.
#pragma once
#include "control.pb-c.h"
#include "relay/bytes.h"
#include "relay/codec.h"
#include "relay/error.h"

struct client_answer {
    struct arena arena;
    Sanji__Reply *reply; // lives in the arena
};

// `wanted` is the only reply that will do. The request's language is filled in. Shows progress on a terminal. Errors are the station's
// own, or: ERR_NOT_FOUND (no station in `dir`), ERR_NETWORK (the node went away), ERR_TIMEOUT (10 minutes without a word), ERR_VERSION
// (an answer that this program does not know). On success the caller ends with client_finish().
enum error_code client_call(const char *dir, Sanji__Request *request, Sanji__Reply__ReplyCase wanted, struct client_answer *ret,
                            struct error *error);
// The same, but ERR_STATE when no node runs there.
enum error_code client_call_running(const char *dir, Sanji__Request *request, Sanji__Reply__ReplyCase wanted, struct client_answer *ret,
                                    struct error *error);
void client_finish(struct client_answer *answer);
