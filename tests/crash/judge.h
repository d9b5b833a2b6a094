// Whether a station may look like this after a crash: its directory is opened with the real code, and must hold what was promised.
#pragma once
#include "relay/crypto.h"

enum promise_kind {
    PROMISE_MADE,     // init or join said that it is done
    PROMISE_ASKED,    // a join request went out: its keys are needed again
    PROMISE_RECORD,   // a record's id was given to whoever typed it
    PROMISE_TOKEN,    // an invitation was printed
    PROMISE_ENROLLED, // a child got its certificate
    PROMISE_HELD,     // a link acknowledgement
    PROMISE_END,      // a command without a node said that it is done: so much of the journal was there
};

struct promise {
    enum promise_kind kind;
    size_t event; // when it left
    uint8_t id[HASH_SIZE];
    uint64_t generation, headers, bodies; // PROMISE_HELD; PROMISE_END: headers
    unsigned stream, lane;
};

enum { JUDGE_ROWS_MAX = 20000 };
struct judge {
    const char *name;                    // of the station's directory
    const char *unit, *units, *codebook; // to make it again, if nothing was promised; NULL: it is not made in this log
    const struct promise *promises;
    size_t promise_count; // those that have left
    bool go_on;           // also record something more, verify again, and put the old store back
    const char *record;   // JSON to be recorded
    // What the journal came to be: digests of its rows.
    uint64_t *end; // in
    struct hash *rows;
};

// Fills in end and rows from the state under `base`. Returns false with text on stderr.
bool judge_learn(const struct judge *judge, const char *base);
// Judges the state under `base`, which it changes. False: not allowed, why is on stderr.
bool judge_state(const struct judge *judge, const char *base);
