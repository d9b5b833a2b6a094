// Drives one core by hand: events in, updates to look at.
#pragma once
#include <stdlib.h>
#include <string.h>

#include "relay/core/link.h"

enum { DRIVE_STARTS = 4 };

struct drive {
    struct core *core;
    uint64_t now_ms, fresh;
    struct core_updates updates;
};

static inline void drive_init(struct drive *drive, uint32_t links_max, uint32_t pool_bytes)
{
    struct core_config config = {.links_max = links_max, .seed = 11, .generation = 50, .starts = DRIVE_STARTS, .pool_bytes = pool_bytes};
    memset(drive, 0, sizeof *drive);
    drive->now_ms = 1000;
    drive->core = calloc(1, core_size(&config));
    assert_non_null(drive->core);
    core_init(drive->core, &config);
}

static inline void drive_finish(struct drive *drive) { free(drive->core); }

static inline void drive_step(struct drive *drive, struct core_event event)
{
    event.now_ms = drive->now_ms;
    event.fresh = ++drive->fresh;
    core_step(drive->core, &event, &drive->updates);
}

// The `nth` update of that type of the last step, from 0; NULL: not so many.
static inline const struct core_update *drive_update(const struct drive *drive, enum core_update_type type, uint32_t nth)
{
    for (uint32_t i = 0; i < drive->updates.count; i++)
        if (drive->updates.items[i].type == type && nth-- == 0)
            return &drive->updates.items[i];
    return NULL;
}

static inline void drive_add(struct drive *drive, uint32_t link, const uint64_t *ends)
{
    static const struct core_mark marks[CORE_CHANNELS];
    static const uint64_t zeros[CORE_CHANNELS];
    struct core_event event = {.type = EVENT_LINK_ADD, .link = link};
    event.add.parent = link == 0;
    event.add.marks = marks;
    event.add.ends = ends ? ends : zeros;
    drive_step(drive, event);
}

// Lets time pass to the core's deadline, if it comes within `ms`, and ticks. False: it does not.
static inline bool drive_tick(struct drive *drive, uint64_t ms)
{
    uint64_t end = drive->now_ms + ms, deadline = core_deadline(drive->core);
    if (deadline > end) {
        drive->now_ms = end;
        drive->updates.count = 0;
        return false;
    }
    if (deadline > drive->now_ms)
        drive->now_ms = deadline;
    drive_step(drive, (struct core_event){.type = EVENT_TICK});
    return true;
}

// Ticks until an update of that type comes, at most `ms`.
static inline bool drive_until(struct drive *drive, enum core_update_type type, uint64_t ms)
{
    uint64_t end = drive->now_ms + ms;
    while (drive->now_ms <= end && drive_tick(drive, end - drive->now_ms))
        if (drive_update(drive, type, 0))
            return true;
    return false;
}

static inline enum link_state drive_state(const struct drive *drive, uint32_t link)
{
    struct core_link_status status;
    return core_link(drive->core, link, &status) ? status.state : LINK_ABSENT;
}

static inline struct core_hello drive_hello(uint64_t session, bool reply)
{
    return (struct core_hello){.version_min = 1, .version_max = 1, .session = session, .credit_bytes = 65536, .reply = reply};
}

static inline void drive_greet(struct drive *drive, uint32_t link, const struct core_hello *hello)
{
    drive_step(drive, (struct core_event){.type = EVENT_HELLO, .link = link, .session = hello->session, .hello = hello});
}

// A link to a child, live; the child's session is `session`.
static inline void drive_child(struct drive *drive, uint32_t link, uint64_t session)
{
    struct core_hello hello = drive_hello(session, false);
    if (drive_state(drive, link) == LINK_ABSENT)
        drive_add(drive, link, NULL);
    drive_greet(drive, link, &hello);
    assert_int_equal(drive_state(drive, link), LINK_LIVE);
}

// The link to the parent, live; the parent's session is `session`.
static inline void drive_parent(struct drive *drive, uint64_t session, const uint64_t *ends)
{
    struct core_hello hello = drive_hello(session, true);
    if (drive_state(drive, 0) == LINK_ABSENT)
        drive_add(drive, 0, ends);
    assert_true(drive_until(drive, UPDATE_DIAL, 400000));
    drive_step(drive, (struct core_event){.type = EVENT_OPENED});
    assert_int_equal(drive_state(drive, 0), LINK_GREETING);
    drive_greet(drive, 0, &hello);
    assert_int_equal(drive_state(drive, 0), LINK_LIVE);
}

static inline void drive_rows(struct drive *drive, uint32_t link, unsigned channel, uint64_t first, uint32_t count, uint32_t size)
{
    struct core_row rows[CORE_ROWS_MAX];
    for (uint32_t i = 0; i < count; i++)
        rows[i] = (struct core_row){.position = first + i, .size = size, .overhead = 200};
    struct core_event event = {.type = EVENT_ROWS, .link = link, .channel = channel};
    event.rows.rows = rows;
    event.rows.count = count;
    event.rows.scanned = first + count - 1;
    drive_step(drive, event);
}

static inline void drive_ack(struct drive *drive, uint32_t link, uint64_t session, unsigned channel, uint64_t headers, uint32_t credit)
{
    struct core_event event = {.type = EVENT_ACK, .link = link, .session = session, .channel = channel};
    event.ack.generation = 50;
    event.ack.headers = event.ack.bodies = headers;
    event.ack.credit_bytes = credit;
    drive_step(drive, event);
}

static inline void drive_piece(struct drive *drive, uint32_t link, uint64_t session, unsigned channel, uint64_t position, uint32_t size,
                               uint32_t offset, uint32_t length)
{
    struct core_event event = {.type = EVENT_PIECE, .link = link, .session = session, .channel = channel};
    event.piece = (struct core_piece){.channel = channel,
                                      .generation = 60,
                                      .after = position - 1,
                                      .position = position,
                                      .size = size,
                                      .offset = offset,
                                      .length = length,
                                      .overhead = offset ? 0 : 200};
    drive_step(drive, event);
}
