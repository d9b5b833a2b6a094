#include "tests/sim/model.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/sim/memory.h"

void model_finish(struct model *model)
{
    for (uint32_t i = 0; i < model->feed_count; i++)
        for (int k = 0; k < 2; k++)
            free(model->feeds[i].history[k].batches);
    free(model->feeds);
    free(model->slots);
    free(model->figures);
    *model = (struct model){0};
}

static uint32_t place(const struct model *model, const struct feed_key *key)
{
    uint8_t bytes[FEED_KEY_SIZE], other[FEED_KEY_SIZE];
    uint64_t hash = 1469598103934665603u;
    feed_key_encode(key, bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    for (uint32_t at = (uint32_t)(hash >> 20) & (model->slot_count - 1);; at = (at + 1) & (model->slot_count - 1)) {
        if (!model->slots[at])
            return at;
        feed_key_encode(&model->feeds[model->slots[at] - 1].key, other);
        if (memcmp(bytes, other, sizeof bytes) == 0)
            return at;
    }
}

static void widen(struct model *model)
{
    free(model->slots);
    model->slot_count = model->slot_count ? 2 * model->slot_count : 256;
    model->slots = memory_get(model->slot_count, sizeof *model->slots);
    for (uint32_t i = 0; i < model->feed_count; i++)
        model->slots[place(model, &model->feeds[i].key)] = i + 1;
}

struct model_feed *model_feed(struct model *model, const struct feed_key *key, uint32_t origin, bool add)
{
    if (2 * (model->feed_count + 1) > model->slot_count)
        widen(model);
    uint32_t at = place(model, key);
    if (model->slots[at])
        return &model->feeds[model->slots[at] - 1];
    if (!add)
        return NULL;
    model->feeds = memory_room(model->feeds, model->feed_count, &model->feed_capacity, sizeof *model->feeds);
    model->feeds[model->feed_count] = (struct model_feed){.key = *key, .origin = origin};
    model->slots[at] = ++model->feed_count;
    return &model->feeds[model->feed_count - 1];
}

uint64_t model_next(const struct model_history *history)
{
    if (history->count == 0)
        return 1;
    return history->batches[history->count - 1].first + history->batches[history->count - 1].count;
}

struct model_history *model_history(struct model_feed *feed, bool twin) { return &feed->history[twin]; }

void model_append(struct model_history *history, const struct model_batch *batch)
{
    assert(batch->first == model_next(history));
    history->batches = memory_room(history->batches, history->count, &history->capacity, sizeof *history->batches);
    history->batches[history->count++] = *batch;
}

static const struct model_batch *find(const struct model_history *history, uint64_t first)
{
    uint32_t low = 0, high = history->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (history->batches[middle].first < first)
            low = middle + 1;
        else
            high = middle;
    }
    return low < history->count && history->batches[low].first == first ? &history->batches[low] : NULL;
}

const struct model_batch *model_find(const struct model_feed *feed, uint64_t first, const struct hash *header)
{
    const struct model_batch *one = find(&feed->history[0], first), *other = find(&feed->history[1], first);
    return other && (!one || hash_equal(&other->header, header)) ? other : one;
}

// A twin begins with the history that its store has: `next` of each feed.
void model_branch(struct model_feed *feed, uint64_t next)
{
    for (uint32_t i = 0; i < feed->history[0].count && feed->history[0].batches[i].first < next; i++)
        model_append(&feed->history[1], &feed->history[0].batches[i]);
}

void model_figure(struct model *model, const struct figure_change *change)
{
    model->figures = memory_room(model->figures, model->figure_count, &model->figure_capacity, sizeof *model->figures);
    model->figures[model->figure_count++] = *change;
    model->sorted = false;
}

static int figure_compare(const void *a, const void *b)
{
    const struct figure_change *x = a, *y = b;
    if (x->definition != y->definition)
        return x->definition < y->definition ? -1 : 1;
    if (x->month != y->month)
        return x->month < y->month ? -1 : 1;
    if (x->unit != y->unit)
        return x->unit < y->unit ? -1 : 1;
    return (x->cell > y->cell) - (x->cell < y->cell);
}

void model_sum(struct model *model)
{
    if (model->sorted || model->figure_count == 0)
        return;
    qsort(model->figures, model->figure_count, sizeof *model->figures, figure_compare);
    uint32_t kept = 0;
    for (uint32_t i = 1; i < model->figure_count; i++) {
        if (figure_compare(&model->figures[kept], &model->figures[i]) == 0)
            model->figures[kept].value += model->figures[i].value;
        else
            model->figures[++kept] = model->figures[i];
    }
    model->figure_count = kept + 1;
    model->sorted = true;
}
