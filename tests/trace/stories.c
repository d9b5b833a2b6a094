// Golden traces: scenarios of the core, and the story that each must tell, step by step.
//
//   stories DIR           compares each story with DIR/NAME.txt; TAP output
//   stories --write DIR   writes them: read the difference before committing it
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/core/admission.h"
#include "tests/trace/world.h"

enum { UP_STREAM = 1, DOWN_ALL_STREAM = 2, DOWN_ONE_STREAM = 3, URGENT_LANE = 1, CONTROL_LANE = 2, CASE_LANE = 3, BULK_LANE = 5 };

static unsigned township(struct world *world) { return world_station(world, "township", WORLD_NONE); }
static unsigned village(struct world *world, unsigned parent) { return world_station(world, "village", parent); }

static void first_contact(struct world *world)
{
    unsigned top = township(world), child = village(world, top);
    world_append(world, top, DOWN_ALL_STREAM, CONTROL_LANE, child, 700, false);
    world_append(world, child, UP_STREAM, CASE_LANE, top, 412, false);
    world_say(world, "-- one round trip after the connection is there, both send");
    world_run(world, 1000);
}

static void live_record(struct world *world)
{
    unsigned top = township(world), child = village(world, top);
    world_run(world, 1000);
    world_say(world, "-- a record is typed in");
    world_append(world, child, UP_STREAM, CASE_LANE, top, 412, false);
    world_run(world, 1000);
    world_say(world, "-- nothing happens for 25 s");
    world_run(world, 25000);
}

static void lost_mid_body(struct world *world)
{
    unsigned top = township(world), child = village(world, top);
    world_line(world, child)->rate = 4000;
    world_run(world, 2000);
    world_say(world, "-- a long row on a line of 4,000 bytes a second");
    world_append(world, child, UP_STREAM, BULK_LANE, top, 9000, false);
    world_run(world, 1500);
    world_say(world, "-- the line breaks, and is back after 2 s");
    world_line(world, child)->state = LINE_DOWN;
    world_cut(world, child);
    world_run(world, 2000);
    world_line(world, child)->state = LINE_UP;
    world_run(world, 10000);
}

static void backlog(struct world *world)
{
    unsigned top = township(world), child = village(world, top);
    world_line(world, child)->rate = 8000;
    world_line(world, child)->state = LINE_DOWN;
    world_say(world, "-- the parent is away; bulk and cases gather");
    for (int i = 0; i < 2; i++)
        world_append(world, child, UP_STREAM, BULK_LANE, top, 9000, false);
    for (int i = 0; i < 2; i++)
        world_append(world, child, UP_STREAM, CASE_LANE, top, 500, false);
    world_run(world, 500);
    world_line(world, child)->state = LINE_UP;
    world_say(world, "-- it is back; an urgent entry comes while bulk is under way");
    world_run(world, 1100);
    world_append(world, child, UP_STREAM, URGENT_LANE, top, 600, false);
    world_run(world, 5000);
}

static void restored_parent(struct world *world)
{
    unsigned top = township(world), child = village(world, top);
    world_line(world, child)->state = LINE_DOWN;
    for (int i = 0; i < 4; i++)
        world_append(world, top, DOWN_ALL_STREAM, CONTROL_LANE, child, 300, false);
    world_line(world, child)->state = LINE_UP;
    world_run(world, 3000);
    world_say(world, "-- a backup without the last row; the journal has a new generation");
    world_restore(world, top, 1);
    world_append(world, top, DOWN_ALL_STREAM, CONTROL_LANE, child, 310, false);
    world_run(world, 3000);
}

static void rebuilt_journal(struct world *world)
{
    unsigned top = township(world), child = village(world, top);
    for (int i = 0; i < 3; i++)
        world_append(world, top, DOWN_ALL_STREAM, CONTROL_LANE, child, 300, false);
    world_run(world, 2000);
    world_say(world, "-- the parent's journal is rebuilt: all is there, under a new generation");
    world_restore(world, top, 0);
    world_run(world, 2000);
    world_say(world, "-- the last row went again, so the next contact is as short as ever");
    world_cut(world, child);
    world_run(world, 2000);
}

static void forgetful_parent(struct world *world)
{
    unsigned top = township(world), child = village(world, top);
    for (int i = 0; i < 3; i++)
        world_append(world, child, UP_STREAM, CASE_LANE, top, 400, false);
    world_run(world, 2000);
    world_say(world, "-- what the parent received last is gone: the child tells, and sends it again");
    world_forget(world, top, 2);
    world_run(world, 2000);
}

static void withheld_body(struct world *world)
{
    unsigned top = township(world), child = village(world, top);
    world_run(world, 500);
    world_append(world, child, UP_STREAM, CASE_LANE, top, 400, false);
    world_append(world, child, UP_STREAM, CASE_LANE, top, 400, true);
    world_append(world, child, UP_STREAM, CASE_LANE, top, 400, false);
    world_run(world, 1000);
    world_say(world, "-- two minutes, pings left out");
    world_pings(world, false);
    world_run(world, 120 * 1000);
}

static void gap(struct world *world)
{
    unsigned top = township(world), child = village(world, top);
    world_run(world, 500);
    world_append(world, child, UP_STREAM, CASE_LANE, top, 400, false);
    world_run(world, 200);
    world_say(world, "-- one message is lost inside the connection");
    world_line(world, child)->lose_in_1000 = 1000;
    world_append(world, child, UP_STREAM, CASE_LANE, top, 401, false);
    world_line(world, child)->lose_in_1000 = 0;
    world_append(world, child, UP_STREAM, CASE_LANE, top, 402, false);
    world_append(world, child, UP_STREAM, CASE_LANE, top, 403, false);
    world_run(world, 1000);
}

static void forged(struct world *world)
{
    unsigned top = township(world), child = village(world, top), other = world_station(world, "hamlet", top);
    world_run(world, 500);
    world_refuse_next(world, top, FAULT_FORGED);
    world_append(world, child, UP_STREAM, CASE_LANE, top, 400, false);
    world_run(world, 200);
    world_say(world, "-- the other village is served as before");
    world_append(world, other, UP_STREAM, CASE_LANE, top, 400, false);
    world_run(world, 500);
}

static void version(struct world *world)
{
    unsigned top = township(world), child = village(world, top);
    world_run(world, 300);
    struct core_hello hello = {.version_min = 2, .version_max = 3, .session = 77};
    world_say(world, "-- the village was updated, and speaks versions 2 to 3 only");
    world_stray(world, child, top, &(struct core_event){.type = EVENT_HELLO, .session = 77, .hello = &hello});
    world_run(world, 500);
}

static void overtaken(struct world *world)
{
    unsigned top = township(world), child = village(world, top);
    world_append(world, child, UP_STREAM, CASE_LANE, top, 400, false);
    world_run(world, 1000);
    world_cut(world, child);
    world_run(world, 5000);
    struct core_hello hello = {.version_min = 1, .version_max = 1, .session = 77, .starts = 1, .number = 1};
    world_say(world, "-- the connection that was given up delivers, of what was said on it, a hello that knew nothing yet");
    world_stray(world, child, top, &(struct core_event){.type = EVENT_HELLO, .session = 77, .hello = &hello});
    world_say(world, "-- the live session goes on");
    world_append(world, child, UP_STREAM, CASE_LANE, top, 401, false);
    world_run(world, 1000);
}

static void herd(struct world *world)
{
    world_pool(world, 2 * ADMISSION_MIN);
    unsigned top = township(world);
    static const char *const names[] = {"east", "south", "west"};
    unsigned children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = world_station(world, names[i], top);
        world_line(world, children[i])->rate = 3000;
    }
    world_say(world, "-- credit for two, and three come");
    world_run(world, 2000);
    for (int i = 0; i < 3; i++)
        world_append(world, children[i], UP_STREAM, BULK_LANE, top, 2500, false);
    world_say(world, "-- each sends a long row: the one without credit knocks, and gets the credit of one that is done");
    world_run(world, 6000);
}

static const struct story {
    const char *name;
    void (*tell)(struct world *world);
} stories[] = {
    {"first_contact", first_contact},
    {"live_record", live_record},
    {"lost_mid_body", lost_mid_body},
    {"backlog", backlog},
    {"restored_parent", restored_parent},
    {"rebuilt_journal", rebuilt_journal},
    {"forgetful_parent", forgetful_parent},
    {"withheld_body", withheld_body},
    {"gap", gap},
    {"forged", forged},
    {"version", version},
    {"overtaken", overtaken},
    {"herd", herd},
};

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    char *text = calloc(1, 1 << 20);
    size_t size = text ? fread(text, 1, (1 << 20) - 1, file) : 0;
    fclose(file);
    if (text)
        text[size] = 0;
    return text;
}

static bool write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return false;
    bool good = fwrite(text, 1, strlen(text), file) == strlen(text);
    return fclose(file) == 0 && good;
}

// Prints where two texts part, as TAP comments.
static void show_difference(const char *want, const char *have)
{
    int line = 1;
    size_t start = 0;
    for (size_t i = 0; want[i] && want[i] == have[i]; i++)
        if (want[i] == '\n') {
            line++;
            start = i + 1;
        }
    printf("# line %d\n# expected: %.*s\n# told:     %.*s\n", line, (int)strcspn(want + start, "\n"), want + start,
           (int)strcspn(have + start, "\n"), have + start);
}

int main(int argc, char **argv)
{
    bool write = argc == 3 && strcmp(argv[1], "--write") == 0;
    if (argc != 2 && !write) {
        fprintf(stderr, "usage: stories [--write] DIR\n");
        return 2;
    }
    const char *directory = argv[argc - 1];
    size_t count = sizeof stories / sizeof *stories;
    int failed = 0;
    if (!write)
        printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s.txt", directory, stories[i].name);
        struct world *world = world_create(7, true);
        stories[i].tell(world);
        const char *told = world_story(world);
        if (write) {
            if (!write_file(path, told))
                failed++;
        } else {
            char *expected = read_file(path);
            bool same = expected && strcmp(expected, told) == 0;
            printf("%sok %zu - %s\n", same ? "" : "not ", i + 1, stories[i].name);
            if (!same) {
                failed++;
                show_difference(expected ? expected : "", told);
            }
            free(expected);
        }
        world_destroy(world);
    }
    return failed ? 1 : 0;
}
