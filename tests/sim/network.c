// Lines between a child and its parent, in place of relay/transport.c: in a connection messages arrive in order; it can break at any moment
// and loses what is on the line. The dialer is told of that, the listener is not, as with ZeroMQ.
#include "tests/sim/adversary.h"
#include "tests/sim/check.h"
#include "tests/sim/memory.h"

enum {
    HEARTBEAT_MS = 20 * 1000, // a line that carries nothing is noticed after that long
    UNTOLD_MS = 10 * 1000,    // a dial that nobody answers
    BLOCKED_LOOK_MS = 1000,
    LATE_MS = 30 * 1000, // until what an old connection carried has been read
};

static struct site *other_end(struct site *child, enum side from) { return from == SIDE_UP ? site_parent(child) : child; }

static void parcel_free(struct parcel *parcel)
{
    if (!parcel)
        return;
    buffer_finish(&parcel->message);
    buffer_finish(&parcel->body);
    free(parcel);
}

static void pipe_empty(struct pipe *pipe)
{
    while (pipe->first) {
        struct parcel *parcel = pipe->first;
        pipe->first = parcel->next;
        parcel_free(parcel);
    }
    parcel_free(pipe->kept);
    pipe->kept = NULL;
    pipe->last = &pipe->first;
    pipe->count = pipe->piece_bytes = 0;
    pipe->busy_until = 0;
    pipe->planned = false;
}

static void tell(struct site *site, enum transport_event_type type, const struct inbox *more)
{
    if (!site->running)
        return;
    struct inbox *event = memory_get(1, sizeof *event);
    if (more)
        *event = *more;
    event->type = type;
    event->next = NULL;
    *site->transport->last = event;
    site->transport->last = &event->next;
    site_plan_turn(site, world->now);
}

static void inbox_free(struct inbox *event)
{
    if (!event)
        return;
    buffer_finish(&event->message);
    buffer_finish(&event->body);
    free(event);
}

static void deliver(struct site *child, enum side side, struct parcel *parcel, uint64_t route)
{
    struct site *to = other_end(child, side), *from = side == SIDE_UP ? child : site_parent(child);
    struct inbox event = {.parent = side == SIDE_DOWN, .from = from->index, .route = route};
    enum transport_event_type type = parcel->join && side == SIDE_UP ? TRANSPORT_JOIN : TRANSPORT_MESSAGE;
    buffer_append(&event.message, parcel->message.data, parcel->message.size);
    buffer_append(&event.body, parcel->body.data, parcel->body.size);
    if (to->running)
        tell(to, type, &event);
    else
        inbox_free(memcpy(memory_get(1, sizeof event), &event, sizeof event));
}

// ---- connections

void network_break(struct site *child, bool told)
{
    struct line *line = &child->line;
    if (!line->connection)
        return;
    step_note(child, "connection gone", line->connection, line->pipes[SIDE_UP].count, line->pipes[SIDE_DOWN].count);
    if (told)
        plan(world->now + line->delay, HAPPENS_CLOSED, child->index, line->connection, 0);
    line->connection = 0;
    line->open = false;
    for (int side = 0; side < 2; side++)
        pipe_empty(&line->pipes[side]);
    memset(line->urgent_sent, 0, sizeof line->urgent_sent);
    line->urgent[SIDE_UP].behind = line->urgent[SIDE_DOWN].behind = 0;
}

void network_late(const struct happening *happening)
{
    struct site *child = &world->sites[happening->site];
    for (struct parcel **at = &world->late; *at;) {
        struct parcel *parcel = *at;
        if (parcel->connection != happening->tag) {
            at = &parcel->next;
            continue;
        }
        *at = parcel->next;
        deliver(child, SIDE_UP, parcel, parcel->connection);
        parcel_free(parcel);
    }
    for (world->late_last = &world->late; *world->late_last;)
        world->late_last = &(*world->late_last)->next;
}

void network_late_free(void)
{
    while (world->late) {
        struct parcel *parcel = world->late;
        world->late = parcel->next;
        parcel_free(parcel);
    }
}

void network_free(struct site *child)
{
    network_break(child, false);
    for (int side = 0; side < 2; side++)
        pipe_empty(&child->line.pipes[side]);
}

void network_dial_done(const struct happening *happening)
{
    struct site *child = &world->sites[happening->site], *parent = site_parent(child);
    struct line *line = &child->line;
    if (line->dialing != happening->tag || !child->running)
        return;
    line->dialing = 0;
    const struct inbox stranger = {.refused = true};
    bool known = line->joining || !parent->running || parent->transport->enrolled(parent->transport->context, &child->self.transport_key);
    if (!known) {
        step_note(child, "is not known", happening->tag, 0, 0);
        tell(child, TRANSPORT_DISCONNECTED, &stranger);
        return;
    }
    if (!parent->running || line->pipes[SIDE_UP].blocked || line->pipes[SIDE_DOWN].blocked) {
        step_note(child, "dial failed", happening->tag, 0, 0);
        tell(child, TRANSPORT_DISCONNECTED, NULL);
        return;
    }
    step_note(child, "connected", happening->tag, 0, 0);
    line->connection = happening->tag;
    line->open = true;
    for (int side = 0; side < 2; side++)
        pipe_empty(&line->pipes[side]);
    tell(child, TRANSPORT_CONNECTED, NULL);
}

// As when a listener still reads an old connection's socket while the dialer has a new one.
static void break_late(struct site *child)
{
    struct pipe *pipe = &child->line.pipes[SIDE_UP];
    uint64_t connection = child->line.connection;
    if (!connection)
        return;
    for (struct parcel *parcel = pipe->first; parcel; parcel = pipe->first) {
        pipe->first = parcel->next;
        parcel->next = NULL;
        parcel->connection = connection;
        *world->late_last = parcel;
        world->late_last = &parcel->next;
        path_taken(SIM_PATH_late);
    }
    pipe->last = &pipe->first;
    plan(world->now + 1 + random_below(LATE_MS), HAPPENS_LATE, child->index, connection, 0);
    network_break(child, true);
}

void network_closed(const struct happening *happening)
{
    struct site *child = &world->sites[happening->site];
    if (happening->side >= 2) { // in the middle of a row; or so that what is on the line comes late
        if (child->line.connection == happening->tag && happening->side == 2)
            network_break(child, true);
        else if (child->line.connection == happening->tag)
            break_late(child);
        return;
    }
    if (happening->side) { // a blocked line: noticed now
        if (child->line.connection == happening->tag && (child->line.pipes[0].blocked || child->line.pipes[1].blocked))
            network_break(child, true);
        return;
    }
    if (!child->line.connection && !child->line.dialing)
        tell(child, TRANSPORT_DISCONNECTED, NULL);
}

void network_block(struct site *child, unsigned sides, uint64_t ms)
{
    struct line *line = &child->line;
    for (unsigned side = 0; side < 2; side++)
        if (sides & 1u << side) {
            line->pipes[side].blocked = true;
            line->pipes[side].blocked_since = world->now;
        }
    plan(world->now + ms, HAPPENS_UNBLOCK, child->index, 0, sides);
    if (line->connection)
        plan(world->now + HEARTBEAT_MS + random_below(HEARTBEAT_MS / 2), HAPPENS_CLOSED, child->index, line->connection, 1);
}

void network_unblock(const struct happening *happening)
{
    struct site *child = &world->sites[happening->site];
    for (unsigned side = 0; side < 2; side++)
        if (happening->side & 1u << side)
            child->line.pipes[side].blocked = false;
    step_note(child, "line carries again", happening->side, 0, 0);
}

// ---- messages

void network_pipe(const struct happening *happening)
{
    struct site *child = &world->sites[happening->site];
    struct pipe *pipe = &child->line.pipes[happening->side];
    if (child->line.connection != happening->tag)
        return;
    pipe->planned = false;
    if (pipe->blocked) {
        pipe->planned = true;
        plan(world->now + BLOCKED_LOOK_MS, HAPPENS_PIPE, child->index, happening->tag, happening->side);
        return;
    }
    while (pipe->first && pipe->first->due <= world->now) {
        struct parcel *parcel = pipe->first;
        pipe->first = parcel->next;
        if (!pipe->first)
            pipe->last = &pipe->first;
        pipe->count--;
        pipe->piece_bytes -= parcel->piece_bytes;
        deliver(child, (enum side)happening->side, parcel, happening->tag);
        parcel_free(pipe->kept);
        pipe->kept = parcel;
    }
    if (pipe->first) {
        pipe->planned = true;
        plan(pipe->first->due, HAPPENS_PIPE, child->index, happening->tag, happening->side);
    }
}

void network_replay(struct site *child, enum side side)
{
    if (child->line.connection && child->line.pipes[side].kept)
        deliver(child, side, child->line.pipes[side].kept, child->line.connection);
}

static void put_parcel(struct site *child, enum side side, struct parcel *parcel)
{
    struct line *line = &child->line;
    struct pipe *pipe = &line->pipes[side];
    uint64_t begin = pipe->busy_until > world->now ? pipe->busy_until : world->now;
    pipe->busy_until = begin + (parcel->message.size + parcel->body.size + 80) * 1000 / line->rate;
    parcel->due = pipe->busy_until + line->delay;
    *pipe->last = parcel;
    pipe->last = &parcel->next;
    pipe->count++;
    if (!pipe->planned) {
        pipe->planned = true;
        plan(parcel->due, HAPPENS_PIPE, child->index, line->connection, side);
    }
}

// A connection that breaks in the middle of a row: now. Its receiver may stop a little later, with the part staged or not.
static void break_midrow(struct site *child, struct pipe *pipe, struct site *to, const struct link_in *in, size_t body_size)
{
    if (!pipe->breaks_midrow || in->type != LINK_PUSH || in->push.piece.offset + body_size >= in->push.piece.size)
        return;
    pipe->breaks_midrow = false;
    pipe->breaks_in = child->line.delay + 1 + random_below(3000);
    path_taken(SIM_PATH_midrow);
    plan(world->now + pipe->breaks_in, HAPPENS_CLOSED, child->index, child->line.connection, 2);
    if (chance(500))
        // Most often when the part is on disk, and the next connection has not begun.
        plan(world->now + pipe->breaks_in + child->line.delay + 20 + random_below(chance(800) ? 60 : 60 * 1000), HAPPENS_STOP, to->index,
             to->start, 0);
}

static enum error_code put(struct site *child, enum side side, struct bytes message, struct bytes body)
{
    struct line *line = &child->line;
    struct pipe *pipe = &line->pipes[side];
    struct site *from = side == SIDE_UP ? child : site_parent(child);
    if (from->dying || !line->connection)
        return ERR_NETWORK;
    if (from->crash_in && --from->crash_in == 0) {
        from->dying = true;
        return ERR_NETWORK;
    }
    if (pipe->refuses || pipe->count >= PIPE_MESSAGES) {
        pipe->refuses -= pipe->refuses > 0;
        path_taken(SIM_PATH_busy);
        return ERR_BUSY;
    }
    uint32_t before = pipe->piece_bytes;
    struct site *to = other_end(child, side);
    const struct link_in *in = check_sent(from, to, child, message, body.size);
    if (!in)
        return OK;
    struct parcel *parcel = memory_get(1, sizeof *parcel), *more = memory_get(1, sizeof *more);
    buffer_append(&parcel->message, message.data, message.size);
    buffer_append(&parcel->body, body.data, body.size);
    parcel->piece_bytes = pipe->piece_bytes - before;
    bool goes = adversary_sends(from, to, in, side == SIDE_UP, &parcel->message, &parcel->body, &more->message, &more->body);
    if (more->message.size)
        put_parcel(child, side, more);
    else
        parcel_free(more);
    if (goes) {
        put_parcel(child, side, parcel);
    } else {
        pipe->piece_bytes = before;
        parcel_free(parcel);
    }
    break_midrow(child, pipe, to, in, body.size);
    if (side == SIDE_UP && line->breaks_late && pipe->count > 1) {
        line->breaks_late = false;
        plan(world->now, HAPPENS_CLOSED, child->index, line->connection, 3);
    }
    return OK;
}

// At the join endpoint: whoever asks there has no session, and no liar is interested.
static enum error_code put_word(struct site *child, enum side side, struct bytes message)
{
    const struct site *from = side == SIDE_UP ? child : site_parent(child);
    if (from->dying || !child->line.connection)
        return ERR_NETWORK;
    struct parcel *parcel = memory_get(1, sizeof *parcel);
    parcel->join = true;
    buffer_append(&parcel->message, message.data, message.size);
    step_note(from, side == SIDE_UP ? "introduces itself" : "answers", message.size, 0, 0);
    put_parcel(child, side, parcel);
    return OK;
}

// ---- relay/transport.h

enum error_code transport_create(const struct transport_config *config, struct transport **ret, struct error *error)
{
    (void)error;
    struct transport *transport = memory_get(1, sizeof *transport);
    transport->site = world->current;
    transport->enrolled = config->enrolled;
    transport->context = config->context;
    transport->last = &transport->first;
    transport->wake_at = UINT64_MAX;
    *ret = world->current->transport = transport;
    return OK;
}

void transport_destroy(struct transport *transport)
{
    if (!transport)
        return;
    while (transport->first) {
        struct inbox *event = transport->first;
        transport->first = event->next;
        inbox_free(event);
    }
    inbox_free(transport->current);
    transport->site->transport = NULL;
    free(transport);
}

enum error_code transport_dial(struct transport *transport, unsigned dial, const char *endpoint, const struct public_key *server,
                               struct error *error)
{
    if (dial > 0)
        return ERR_NETWORK; // every line here is between a child and its parent
    (void)server;
    (void)error;
    struct site *site = transport->site;
    struct line *line = &site->line;
    network_break(site, false);
    if (site->dying)
        return OK;
    bool blocked = line->pipes[SIDE_UP].blocked || line->pipes[SIDE_DOWN].blocked;
    line->dialing = ++world->connections;
    line->joining = strcmp(endpoint, JOIN_ENDPOINT) == 0;
    plan(world->now + (blocked ? UNTOLD_MS : 4 * line->delay), HAPPENS_OPENED, site->index, line->dialing, 0);
    return OK;
}

void transport_hangup(struct transport *transport, unsigned dial)
{
    if (dial > 0)
        return;
    if (transport->site->line.connection)
        path_taken(SIM_PATH_stall);
    network_break(transport->site, false);
    transport->site->line.dialing = 0;
}

enum error_code transport_send_parent(struct transport *transport, unsigned dial, struct bytes message, struct bytes body)
{
    if (dial > 0)
        return ERR_NETWORK;
    if (transport->site->line.joining)
        return put_word(transport->site, SIDE_UP, message);
    return put(transport->site, SIDE_UP, message, body);
}

static struct site *child_on(const struct site *parent, uint64_t route)
{
    for (uint32_t i = parent->index + 1; route && i < parent->subtree_end; i = world->sites[i].subtree_end)
        if (world->sites[i].line.connection == route)
            return &world->sites[i];
    for (uint32_t i = world->count; route && i < world->site_count; i++)
        if (world->sites[i].line.connection == route)
            return &world->sites[i];
    return NULL;
}

enum error_code transport_send_child(struct transport *transport, uint64_t route, struct bytes message, struct bytes body)
{
    struct site *child = child_on(transport->site, route);
    return child && !child->line.joining ? put(child, SIDE_DOWN, message, body) : ERR_NETWORK;
}

enum error_code transport_answer(struct transport *transport, uint64_t reply_to, struct bytes message)
{
    struct site *child = child_on(transport->site, reply_to);
    return child && child->line.joining ? put_word(child, SIDE_DOWN, message) : ERR_NETWORK;
}

bool transport_wait(struct transport *transport, int timeout_ms, struct transport_event *ret)
{
    inbox_free(transport->current);
    transport->current = NULL;
    transport->wake_at = timeout_ms < 0 ? UINT64_MAX : world->now + (uint64_t)timeout_ms;
    transport->idle = false;
    if (transport->woken) {
        transport->woken = false;
        *ret = (struct transport_event){.type = TRANSPORT_WOKEN};
        return true;
    }
    struct inbox *event = transport->current = transport->first;
    if (!event) {
        transport->idle = true;
        return false;
    }
    transport->first = event->next;
    if (!transport->first)
        transport->last = &transport->first;
    *ret = (struct transport_event){.type = event->type,
                                    .parent = event->parent,
                                    .refused = event->refused,
                                    .peer = world->sites[event->from].self.transport_key,
                                    .route = event->route,
                                    .message = buffer_bytes(&event->message),
                                    .body = buffer_bytes(&event->body)};
    return true;
}

void transport_wake(struct transport *transport)
{
    if (!transport)
        return;
    transport->woken = true;
    site_plan_turn(transport->site, world->now);
}

enum error_code transport_self_test(struct transport *transport, struct error *error)
{
    (void)transport;
    (void)error;
    return OK; // there are no strangers here
}

const char *transport_listen(const struct transport *transport) { return transport->site->children ? "sim" : ""; }
const char *transport_join(const struct transport *transport)
{
    (void)transport;
    return "";
}
