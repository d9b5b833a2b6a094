#include "relay/lines.h"

#include <stdlib.h>

static void drop(struct lines *lines, struct line **at)
{
    struct line *line = *at;
    *at = line->next;
    repeats_finish(&line->in);
    repeats_finish(&line->out);
    free(line);
    lines->count--;
}

void lines_finish(struct lines *lines)
{
    for (unsigned i = 0; i < LINES_BUCKETS; i++)
        while (lines->buckets[i])
            drop(lines, &lines->buckets[i]);
}

struct line *lines_find(const struct lines *lines, uint32_t id)
{
    struct line *line = lines->buckets[id % LINES_BUCKETS]; // they are numbered in the order they came
    while (line && line->id != id)
        line = line->next;
    return line;
}

struct line *lines_add(struct lines *lines, uint32_t id, int fd)
{
    struct line *line = lines->count < LINES_MAX ? calloc(1, sizeof *line) : NULL;
    if (!line)
        return NULL;
    struct line **bucket = &lines->buckets[id % LINES_BUCKETS];
    *line = (struct line){.next = *bucket, .id = id, .fd = fd};
    *bucket = line;
    lines->count++;
    return line;
}

void lines_went(struct lines *lines, int fd)
{
    for (unsigned i = 0; i < LINES_BUCKETS; i++)
        for (struct line **at = &lines->buckets[i]; *at;)
            if ((*at)->fd == fd)
                drop(lines, at);
            else
                at = &(*at)->next;
}
