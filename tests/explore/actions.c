// What may happen next, and the way to rest without faults.
#include "tests/explore/state.h"

#include <string.h>

enum { SETTLE_STEPS = 6000, FREE_TICKS = 64 };

static const char *const names[ACTION_KINDS] = {
    [ACTION_RECORD] = "record content",
    [ACTION_OPEN] = "the dial succeeds: station",
    [ACTION_UP] = "a message arrives from station",
    [ACTION_DOWN] = "a message arrives at station",
    [ACTION_LATE] = "a message of the connection before arrives from station",
    [ACTION_COMMIT] = "commit at station",
    [ACTION_TOLD] = "the core is told of the commit at station",
    [ACTION_NOTICE] = "the break is noticed by station",
    [ACTION_TICK] = "the dial is due at station",
    [ACTION_CUT] = "the connection breaks above station",
    [ACTION_CUT_LATE] = "the connection breaks, what was sent still arrives, above station",
    [ACTION_REPEAT_UP] = "a message arrives and will again, from station",
    [ACTION_REPEAT_DOWN] = "a message arrives and will again, at station",
    [ACTION_CRASH] = "crash and start: station",
    [ACTION_RESTORE] = "restored from before its last commit: station",
    [ACTION_LAPSE] = "time runs out at station",
    [ACTION_REFUSE] = "no room for the commit at station",
};

static unsigned kind_of(unsigned action) { return action / CONTENTS_MAX; }
static unsigned which_of(unsigned action) { return action % CONTENTS_MAX; }

void action_describe(unsigned action, char text[64]) { snprintf(text, 64, "%s %u", names[kind_of(action)], which_of(action)); }

// ---- whether

static bool record_possible(unsigned content)
{
    if (content >= content_count || now.recorded & 1u << content)
        return false;
    for (unsigned i = 0; i < content; i++) // each station records in order
        if (contents[i].origin == contents[content].origin && !(now.recorded & 1u << i))
            return false;
    return true;
}

static bool is_down(unsigned station)
{
    const struct link *link = state_link(station, 0);
    return link && link->state == LINK_DOWN;
}

static bool is_live(unsigned station)
{
    for (unsigned end = 0; end < ENDS; end++)
        if (state_link(station, end) && state_link(station, end)->state == LINK_LIVE)
            return true;
    return false;
}

// Whether the copy is older, and holds all that the station recorded itself.
static bool restore_possible(const struct station *station) { return station->backup.held != station->disk.held; }

bool action_possible(unsigned action)
{
    unsigned which = which_of(action), kind = kind_of(action);
    const struct budget *left = &now.budget;
    if (kind == ACTION_RECORD)
        return record_possible(which);
    if (which >= STATIONS)
        return false;
    const struct station *station = &now.stations[which];
    const struct line *line = &now.lines[which];
    switch (kind) {
    case ACTION_OPEN:
        return line->dialing;
    case ACTION_UP:
        return line->up.count > 0;
    case ACTION_DOWN:
        return line->down.count > 0;
    case ACTION_LATE:
        return line->late.count > 0;
    case ACTION_COMMIT:
        return station->job_count > 0;
    case ACTION_TOLD:
        return station->done_count > 0 || station->grown;
    case ACTION_NOTICE:
        return line->broken;
    case ACTION_TICK:
        return is_down(which);
    case ACTION_CUT:
        return left->cuts > 0 && line->connection;
    case ACTION_CUT_LATE:
        return left->cuts > 0 && line->connection && line->up.count > 0 && line->late.count == 0;
    case ACTION_REPEAT_UP:
        return left->repeats > 0 && line->up.count > 0;
    case ACTION_REPEAT_DOWN:
        return left->repeats > 0 && line->down.count > 0;
    case ACTION_CRASH:
        return left->crashes > 0;
    case ACTION_RESTORE:
        return left->restores > 0 && restore_possible(station);
    case ACTION_LAPSE:
        return left->lapses > 0 && is_live(which);
    default: // ACTION_REFUSE
        return left->refusals > 0 && station->job_count > 0;
    }
}

// ---- doing it

static void deliver(struct queue *queue, unsigned station, unsigned end, bool again)
{
    struct message message = queue->messages[0];
    struct core_hello hello = queue->hello;
    struct core_event event = message.event;
    struct station *at = &now.stations[station];
    if (!again) {
        queue->count--;
        memmove(queue->messages, queue->messages + 1, queue->count * sizeof *queue->messages);
    }
    event.link = end;
    if (event.type == EVENT_HELLO && core_overtaken((struct core *)at->core, end, &hello))
        return;
    if (event.type == EVENT_HELLO) {
        event.hello = &hello;
        at->peer_session[end] = event.session;
        if (end == 1)
            at->route[1] = now.lines[station + 1].connection;
    }
    if (event.type == EVENT_HEADS_ALL) {
        if (at->asked[end][event.channel])
            at->known[end][event.channel] = message.held;
        else
            event.type = EVENT_HEARD;
        at->asked[end][event.channel] = false;
    }
    shell_step(station, event, &message);
}

// A core that asks to go on at once does, before anything else.
static void free_ticks(unsigned station)
{
    struct core *core = (struct core *)now.stations[station].core;
    for (int i = 0; core_deadline(core) <= now.stations[station].clock_ms; i++) {
        if (i == FREE_TICKS) {
            violate("station %u asks for ticks without end", station);
            return;
        }
        shell_step(station, (struct core_event){.type = EVENT_TICK}, NULL);
    }
}

static void tick(unsigned station, uint64_t ms)
{
    now.stations[station].clock_ms += ms;
    shell_step(station, (struct core_event){.type = EVENT_TICK}, NULL);
}

static void restart(unsigned station)
{
    if (station > 0) {
        shell_break(station, true);
        now.lines[station].dialing = now.lines[station].broken = false;
    }
    if (station + 1 < STATIONS) {
        struct line *below = &now.lines[station + 1];
        below->broken = below->broken || below->connection;
        shell_break(station + 1, false);
        below->late.count = 0; // nobody is there to read it
    }
    shell_start(station);
}

static void restore(unsigned station)
{
    struct station *at = &now.stations[station];
    at->disk = at->backup;
    at->disk.generation = ++now.fresh;
    at->disk.starts = 0;
    now.restored = true;
    for (unsigned i = 0; i < content_count; i++)
        if (contents[i].origin == station && now.recorded & 1u << i && !(at->disk.held & 1u << i))
            violate("the explorer restored station %u to before its own records", station);
    restart(station);
}

static void open_line(unsigned child)
{
    struct line *line = &now.lines[child];
    line->dialing = false;
    line->connection = ++now.fresh;
    shell_step(child, (struct core_event){.type = EVENT_OPENED}, NULL);
}

static void cut(unsigned child, bool late)
{
    shell_break(child, late);
    now.lines[child].broken = true;
    now.budget.cuts--;
}

void action_perform(unsigned action)
{
    unsigned which = which_of(action);
    struct line *line = &now.lines[which];
    char text[64];
    action_describe(action, text);
    say("#   %s\n", text);
    switch (kind_of(action)) {
    case ACTION_RECORD:
        shell_record(which);
        break;
    case ACTION_OPEN:
        open_line(which);
        break;
    case ACTION_REPEAT_UP:
        now.budget.repeats--;
        deliver(&line->up, which - 1, 1, true);
        break;
    case ACTION_UP:
        deliver(&line->up, which - 1, 1, false);
        break;
    case ACTION_REPEAT_DOWN:
        now.budget.repeats--;
        deliver(&line->down, which, 0, true);
        break;
    case ACTION_DOWN:
        deliver(&line->down, which, 0, false);
        break;
    case ACTION_LATE:
        deliver(&line->late, which - 1, 1, false);
        break;
    case ACTION_COMMIT:
        shell_commit(which, false);
        break;
    case ACTION_REFUSE:
        now.budget.refusals--;
        shell_commit(which, true);
        break;
    case ACTION_TOLD:
        shell_told(which);
        break;
    case ACTION_NOTICE:
        line->broken = false;
        shell_step(which, (struct core_event){.type = EVENT_CLOSED}, NULL);
        break;
    case ACTION_TICK: {
        uint64_t due = state_link(which, 0)->due_ms, clock = now.stations[which].clock_ms;
        tick(which, due > clock ? due - clock : 0);
        break;
    }
    case ACTION_CUT:
    case ACTION_CUT_LATE:
        cut(which, kind_of(action) == ACTION_CUT_LATE);
        break;
    case ACTION_CRASH:
        now.budget.crashes--;
        restart(which);
        break;
    case ACTION_RESTORE:
        now.budget.restores--;
        restore(which);
        break;
    case ACTION_LAPSE:
        now.budget.lapses--;
        tick(which, LINK_SILENCE_MS + 1);
        break;
    }
    for (unsigned i = 0; i < STATIONS; i++)
        free_ticks(i);
}

// ---- rest

// Without anything else to do, time passes, at all stations alike, until the first of them wants a tick.
static bool pass_time(void)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < STATIONS; i++) {
        uint64_t deadline = core_deadline((struct core *)now.stations[i].core), clock = now.stations[i].clock_ms;
        uint64_t wait = deadline > clock ? deadline - clock : 0;
        if (wait < least)
            least = wait;
    }
    if (least > 1000 * LINK_COMMIT_MS)
        return false;
    for (unsigned i = 0; i < STATIONS; i++)
        now.stations[i].clock_ms += least;
    for (unsigned i = 0; i < STATIONS; i++)
        free_ticks(i);
    return true;
}

static bool go_on(void)
{
    for (unsigned action = 0; action < ACTION_TICK * CONTENTS_MAX; action++)
        if (action_possible(action)) {
            action_perform(action);
            return true;
        }
    return pass_time();
}

bool actions_settle(bool (*known)(uint64_t name), void (*passed)(uint64_t name), uint64_t *steps)
{
    now.budget = (struct budget){0};
    for (int i = 0; i < SETTLE_STEPS && !violation[0]; i++) {
        uint64_t name = state_name();
        if (known(name) || state_settled())
            return true;
        passed(name);
        ++*steps;
        if (!go_on())
            return false;
    }
    return false;
}
