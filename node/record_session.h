// One request's records between reading and writing: each is checked against the store and against those before it, and nothing is
// written before all are good. Then everything is sealed, signed and stored, and figures get their differences.
#pragma once
#include "node/record_input.h"
#include "node/touched.h"

enum { SESSION_MEMORY_MAX = 1024 * 1024 * 1024 }; // bytes: a 64 MiB request at its worst, with the records it touches

struct pending {
    const struct record *record;
    struct touched *touched;
    size_t plain[RECORD_SECTIONS_MAX + 1]; // offsets of its sections in session->plain, and the end
    size_t sealed[RECORD_SECTIONS_MAX + 1];
    const struct planned_key *keys[RECORD_SECTIONS_MAX];
};

struct record_session {
    struct desk *desk;
    const struct record_input *input;
    uint16_t form;
    int32_t today;
    struct arena arena, scratch;
    struct touched_set touched;
    struct pending *pendings;
    uint32_t count, capacity;
    struct buffer plain, sealed;
    struct planned_key *form_keys; // of records without a subject
};

void record_session_init(struct record_session *session, struct desk *desk, const struct record_input *input, uint16_t form);
void record_session_finish(struct record_session *session); // wipes what was readable

// Checks one record and adds it. False with a finding: ERR_INPUT for what is wrong with it; ERR_LIMIT, ERR_MEMORY, ERR_REFUSED (the
// subject was erased), ERR_CORRUPT for what is wrong here.
bool record_session_add(struct record_session *session, const struct record_draft *draft, struct finding *finding);
// Writes them all. An error before the first write leaves the transaction as it was; after it, the transaction has failed with it.
enum error_code record_session_write(struct record_session *session, struct error *error);
