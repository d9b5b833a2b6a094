// What really happened, kept apart from every station: batches as their origin committed them, and the figures that were recorded.
#pragma once
#include "relay/batch.h"
#include "relay/journal.h"

struct model_batch {
    uint64_t first, committed_ms;
    uint32_t count, reach;
    struct hash header, body; // body: of its bytes, zero when the signer kept none
    bool routed;              // it goes somewhere: up, down, or to a station whose way is known
};
struct model_history {
    struct model_batch *batches;
    uint32_t count, capacity;
};
struct model_feed {
    struct feed_key key;
    uint32_t origin;                 // site
    bool doubt;                      // its end may be lost
    struct model_history history[2]; // [1]: what its twin signed, with what both have; none: there is no second history
};
struct figure_change {
    uint32_t unit, definition, cell;
    int32_t month;
    int64_t value;
};
struct model {
    struct model_feed *feeds;
    uint32_t feed_count, feed_capacity;
    uint32_t *slots, slot_count;   // feed key -> index + 1
    struct figure_change *figures; // sums; sorted when asked
    uint32_t figure_count, figure_capacity;
    bool sorted;
};

void model_finish(struct model *model);
struct model_feed *model_feed(struct model *model, const struct feed_key *key, uint32_t origin, bool add); // NULL: unknown
// A twin begins with what its store has of the feed, up to `next`.
void model_branch(struct model_feed *feed, uint64_t next);
// The history that a station, or its twin, goes on with.
struct model_history *model_history(struct model_feed *feed, bool twin);
void model_append(struct model_history *history, const struct model_batch *batch);
// The batch that begins at `first`, of two the one with that header. NULL: none begins there.
const struct model_batch *model_find(const struct model_feed *feed, uint64_t first, const struct hash *header);
uint64_t model_next(const struct model_history *history); // first sequence after it
void model_figure(struct model *model, const struct figure_change *change);
// Equal places summed, in order of (definition, month, unit, cell).
void model_sum(struct model *model);
