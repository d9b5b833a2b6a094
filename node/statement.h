// Statements: absolute values of one group of cells, as they stand in signed bytes (schema/record.proto).
#pragma once
#include "node/period.h"
#include "relay/error.h"
#include "relay/types.h"

enum {
    STATEMENT_CELLS_MAX = 4096,     // declared cells of the largest indicator: 53 KB at the very worst, within ENTRY_MAX
    STATEMENT_SIZE_MAX = 64 * 1024, // bytes: 4,096 cells of 3 + 10 bytes, and the key
    COMPLETE_SIZE_MAX = 256,        // bytes
};

struct statement {
    struct hash definition;
    char unit[UNIT_CODE_MAX + 1];
    uint32_t unit_from;
    uint64_t term;
    struct period period;
    uint32_t scope, basis, extent; // enums of record.proto
    const uint32_t *cells;         // ascending
    const int64_t *values;
    uint32_t count;
};

struct complete {
    char unit[UNIT_CODE_MAX + 1];
    uint32_t unit_from;
    uint64_t term;
    struct period through;
    uint64_t head;
};

struct arena;
// `ret` points into the arena. ERR_INPUT with the field when a bound of record.proto is broken (cells not ascending, counts unequal,
// sizes, ranges), ERR_LIMIT over STATEMENT_CELLS_MAX, ERR_MEMORY. Any thread.
enum error_code statement_decode(struct bytes wire, struct arena *arena, struct statement *ret, struct error *error);
// Appends the canonical bytes; out of memory shows in ret->failed. The statement must be one that statement_decode() would accept, of
// scope OWN (statements of scope BELOW are read, and counted nowhere).
void statement_encode(const struct statement *statement, struct buffer *ret);
enum error_code complete_decode(struct bytes wire, struct arena *arena, struct complete *ret, struct error *error);
void complete_encode(const struct complete *complete, struct buffer *ret);

// Whether a period of a known type lies between 1900 and 2199 (named periods: 0..1023).
bool period_in_range(struct period period);
