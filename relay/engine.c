#include "relay/engine_inside.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t utc_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// What happened while updates were carried out: the core hears of it when they all are.
void engine_later(struct engine *engine, const struct core_event *event)
{
    assert(engine->pending_count < PENDING_MAX);
    engine->pending[engine->pending_count++] = *event;
}

void engine_report(struct engine *engine, bool alarm, const char *text)
{
    engine->config.hooks.log(engine->config.hooks.context, alarm, text);
}

// One read transaction serves everything that one turn of the loop reads; it ends before the loop waits.
struct txn *engine_reader(struct engine *engine)
{
    if (!engine->reader)
        engine->reader = txn_begin(engine->config.store, false, NULL);
    return engine->reader;
}

void engine_reader_end(struct engine *engine)
{
    txn_abort(engine->reader);
    engine->reader = NULL;
}

// Runs the core and carries out what it asks, in order.
static void step_once(struct engine *engine, const struct core_event *event)
{
    engine->updates.count = 0;
    core_step(engine->core, event, &engine->updates);
    for (uint32_t i = 0; i < engine->updates.count; i++)
        engine_carry_out(engine, &engine->updates.items[i]);
}

static void load(struct engine *engine, const struct link_load *want)
{
    struct core_row rows[CORE_ROWS_MAX];
    struct core_event event = {
        .type = EVENT_ROWS, .now_ms = monotonic_ms(), .link = want->link, .channel = want->channel, .rows.rows = rows};
    struct txn *txn = engine_reader(engine);
    event.rows.scanned = want->after;
    event.rows.more = true;
    struct load_damage damage = {0};
    if (txn)
        event.rows.count = links_load(&engine->links.slots[want->link], txn, want->channel, want->after, want->max, want->skip, rows,
                                      &event.rows.scanned, &event.rows.more, &damage);
    if (damage.found)
        engine_damaged(engine, &damage);
    if (event.rows.more && event.rows.scanned == want->after && engine->look_again_ms == UINT64_MAX)
        engine->look_again_ms = event.now_ms + LOOK_AGAIN_MS; // the core takes it for the stream's end
    struct error error = {0};
    if (txn && txn_report(txn, &error) != OK) {
        engine_report(engine, true, error.detail);
        engine_reader_end(engine);
    }
    step_once(engine, &event);
}

// One event from outside, and all that follows from it. Loads are answered before anything else is told.
void engine_step(struct engine *engine, const struct core_event *event)
{
    step_once(engine, event);
    while (engine->load_count > 0 || engine->pending_count > 0) {
        if (engine->load_count > 0) {
            struct link_load want = engine->loads[0];
            engine->load_count--;
            memmove(engine->loads, engine->loads + 1, engine->load_count * sizeof *engine->loads);
            load(engine, &want);
        } else {
            struct core_event next = engine->pending[0];
            engine->pending_count--;
            memmove(engine->pending, engine->pending + 1, engine->pending_count * sizeof *engine->pending);
            step_once(engine, &next);
        }
    }
}

struct core_event engine_event(enum core_event_type type, uint32_t link)
{
    return (struct core_event){.type = type, .now_ms = monotonic_ms(), .link = link};
}

// ---- time

static enum error_code run_tick(void *argument, struct txn *txn, struct error *error)
{
    struct engine *engine = argument;
    return engine->config.hooks.tick(engine->config.hooks.context, txn, error);
}

static void tick_written(void *argument, enum error_code code, const struct error *error)
{
    struct engine *engine = argument;
    engine->tick_running = false;
    if (code != OK && code != ERR_FULL)
        engine_report(engine, true, error->detail);
}

// Whether a stranger would be let in: asked at the start (transport_create) and every hour. If so, the node stops: it fails closed. Without
// an answer nobody is let in, and a person hears of it; a test that could not be made just now is only said.
static void test_door(struct engine *engine, uint64_t now)
{
    struct error error = {0};
    engine->self_test_ms = now + SELF_TEST_MS;
    enum error_code code = transport_self_test(engine->transport, &error);
    if (code == ERR_STATE) {
        engine->failure = error;
        engine_stop(engine);
    } else if (code != OK) {
        char text[sizeof error.detail + 64];
        snprintf(text, sizeof text, "%s; the test is made again in an hour", error.detail);
        engine_report(engine, code == ERR_TIMEOUT, text);
    }
}

static void timers(struct engine *engine)
{
    uint64_t now = monotonic_ms();
    if (engine->config.listen && engine->self_test_ms <= now)
        test_door(engine, now);
    if (core_deadline(engine->core) <= now) {
        struct core_event event = engine_event(EVENT_TICK, 0);
        event.fresh = crypto_random_u64();
        engine_step(engine, &event);
    }
    if (engine->look_again_ms <= now)
        engine_look_again(engine);
    if (engine->ask_ms <= now)
        engine_ask(engine);
    if (engine_heads_due(engine) <= now)
        engine_heads_tick(engine, now);
    if (engine->past_ms <= now)
        engine_look_past(engine);
    if (!engine->tick_running && engine->tick_ms <= now && engine->config.hooks.due_ms(engine->config.hooks.context) == 0) {
        struct call_job call = {.run = run_tick, .finished = tick_written, .argument = engine};
        engine->tick_running = writer_submit_call(engine->config.writer, &call) == OK;
        if (!engine->tick_running)
            engine->tick_ms = now + TICK_AGAIN_MS;
    }
}

static int timeout_ms(struct engine *engine)
{
    uint64_t now = monotonic_ms(), at = core_deadline(engine->core);
    int64_t due = engine->tick_running ? -1 : engine->config.hooks.due_ms(engine->config.hooks.context);
    uint64_t tick = due < 0 ? UINT64_MAX : now + (uint64_t)due > engine->tick_ms ? now + (uint64_t)due : engine->tick_ms;
    if (tick < at)
        at = tick;
    if (engine->look_again_ms < at)
        at = engine->look_again_ms;
    if (engine->ask_ms < at)
        at = engine->ask_ms;
    if (engine_heads_due(engine) < at)
        at = engine_heads_due(engine);
    if (engine->past_ms < at)
        at = engine->past_ms;
    if (engine->config.listen && engine->self_test_ms < at)
        at = engine->self_test_ms;
    if (engine->waiting && now + WAITING_MS < at)
        at = now + WAITING_MS;
    if (at == UINT64_MAX)
        return -1;
    if (at <= now)
        return 0;
    return (int)(at - now < TICK_WAIT_MAX_MS ? at - now : TICK_WAIT_MAX_MS);
}

// ---- status

static void answer_status(struct engine *engine)
{
    pthread_mutex_lock(&engine->status_mutex);
    struct status_request *request = engine->status;
    if (request) {
        for (uint32_t i = 0; i < engine->links.count && request->count < request->max; i++) {
            struct slot *slot = &engine->links.slots[i];
            struct engine_link *link = &request->links[request->count];
            if (!slot->used || !core_link(engine->core, i, &link->core))
                continue;
            link->station = slot->station;
            link->certificate = slot->certificate;
            link->heads_refused = slot->heads_refused;
            request->count++;
        }
        request->answered = true;
        engine->status = NULL;
        pthread_cond_broadcast(&engine->status_cond);
    }
    pthread_mutex_unlock(&engine->status_mutex);
}

uint32_t engine_links(struct engine *engine, struct engine_link *links, uint32_t max)
{
    struct status_request request = {.links = links, .max = max};
    pthread_mutex_lock(&engine->status_mutex);
    while (engine->running && engine->status) // another asker's turn
        pthread_cond_wait(&engine->status_cond, &engine->status_mutex);
    if (engine->running) {
        engine->status = &request;
        transport_wake(engine->transport);
        while (engine->running && !request.answered)
            pthread_cond_wait(&engine->status_cond, &engine->status_mutex);
        if (!request.answered)
            engine->status = NULL; // the engine stopped: nobody asks any more
    }
    pthread_mutex_unlock(&engine->status_mutex);
    return request.count;
}

static void set_running(struct engine *engine, bool running)
{
    pthread_mutex_lock(&engine->status_mutex);
    engine->running = running;
    pthread_cond_broadcast(&engine->status_cond);
    pthread_mutex_unlock(&engine->status_mutex);
}

// ---- the loop

static void handle(struct engine *engine, const struct transport_event *event)
{
    struct core_event link_event = engine_event(event->type == TRANSPORT_CONNECTED ? EVENT_OPENED : EVENT_CLOSED, event->dial);
    struct slot *dialed = &engine->links.slots[event->dial];
    switch (event->type) {
    case TRANSPORT_MESSAGE:
        engine_handle_message(engine, event);
        break;
    case TRANSPORT_DISCONNECTED:
        if (event->detail)
            engine_report(engine, false, event->detail);
        dialed->refused = event->refused && !dialed->introducing;
        dialed->introducing = false;
        // fall through
    case TRANSPORT_CONNECTED:
        if (dialed->introducing) {
            engine_introduce(engine, event->dial);
            break;
        }
        link_event.fresh = crypto_random_u64();
        engine_step(engine, &link_event);
        break;
    case TRANSPORT_JOIN:
        engine_handle_join(engine, event);
        break;
    case TRANSPORT_WOKEN:
        break;
    }
}

void engine_begin(struct engine *engine)
{
    engine->self_test_ms = monotonic_ms() + SELF_TEST_MS;
    set_running(engine, true);
    engine_add_all(engine);
    engine_ask_soon(engine, UINT32_MAX);
    engine_heads_begin(engine);
    engine_look_past(engine);
}

void engine_turn(struct engine *engine)
{
    struct transport_event event;
    timers(engine);
    if (engine->waiting)
        engine_send_waiting(engine);
    engine_reader_end(engine);
    if (transport_wait(engine->transport, timeout_ms(engine), &event)) {
        if (event.type == TRANSPORT_WOKEN)
            engine_after_commit(engine);
        else
            handle(engine, &event);
    }
    answer_status(engine);
}

enum error_code engine_run(struct engine *engine, struct error *error)
{
    engine_begin(engine);
    while (!atomic_load(&engine->stop))
        engine_turn(engine);
    engine_reader_end(engine);
    set_running(engine, false);
    if (engine->failure.code != OK && error)
        *error = engine->failure;
    return engine->failure.code;
}

void engine_wake(struct engine *engine) { transport_wake(engine->transport); }

void engine_stop(struct engine *engine)
{
    atomic_store(&engine->stop, true);
    transport_wake(engine->transport);
}

const char *engine_listen(const struct engine *engine) { return engine->config.listen ? transport_listen(engine->transport) : ""; }

const char *engine_join(const struct engine *engine) { return engine->config.join ? transport_join(engine->transport) : ""; }

enum error_code engine_create(const struct engine_config *config, struct engine **ret, struct error *error)
{
    struct engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return error_set(error, ERR_MEMORY, "engine");
    engine->config = *config;
    engine->look_again_ms = engine->past_ms = UINT64_MAX;
    engine->ask_ms = UINT64_MAX;
    pthread_mutex_init(&engine->status_mutex, NULL);
    pthread_cond_init(&engine->status_cond, NULL);
    uint32_t children_max = config->children_max ? config->children_max : CHILDREN_MAX;
    uint32_t parents = config->parent && config->above ? 2 : 1;
    struct core_config core_config = {.links_max = (config->listen ? children_max : 0) + parents,
                                      .second_parent = parents == 2,
                                      .seed = crypto_random_u64(),
                                      .generation = config->generation,
                                      .starts = config->starts,
                                      .pool_bytes = POOL_BYTES};
    void *memory = calloc(1, core_size(&core_config)); // resident only where links exist
    enum error_code code = memory && links_init(&engine->links, core_config.links_max) ? OK : error_set(error, ERR_MEMORY, "engine");
    if (memory)
        engine->core = core_init(memory, &core_config);
    if (code == OK)
        code = signers_create(&config->root, &engine->signers, error);
    if (code == OK && !engine_heads_create(engine))
        code = error_set(error, ERR_MEMORY, "engine");
    struct transport_config transport = {.public_key = *config->transport_public,
                                         .secret_key = *config->transport_secret,
                                         .listen = config->listen,
                                         .join = config->join,
                                         .enrolled = engine_enrolled,
                                         .context = engine};
    if (code == OK)
        code = transport_create(&transport, &engine->transport, error);
    crypto_wipe(&transport.secret_key, sizeof transport.secret_key);
    if (code != OK) {
        engine_destroy(engine);
        return code;
    }
    *ret = engine;
    return OK;
}

void engine_destroy(struct engine *engine)
{
    if (!engine)
        return;
    engine_reader_end(engine);
    transport_destroy(engine->transport);
    signers_destroy(engine->signers);
    links_finish(&engine->links);
    engine_heads_destroy(engine);
    arena_finish(&engine->arena);
    buffer_finish(&engine->out);
    free(engine->core);
    pthread_cond_destroy(&engine->status_cond);
    pthread_mutex_destroy(&engine->status_mutex);
    free(engine);
}
