#include "node/station_inside.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "control.pb-c.h"
#include "node/service.h"

// ---- running

static struct engine *_Atomic running; // for the signal handler, which may run on any thread
static atomic_bool asked_to_stop;      // also while no engine runs

static void on_signal(int signal)
{
    (void)signal;
    struct engine *engine = running;
    atomic_store(&asked_to_stop, true);
    if (engine)
        engine_stop(engine);
}

struct progress_to {
    struct control_reply *reply;
    uint64_t last_ms;
};

enum {
    PROGRESS_MS = 200,
    OPEN_TRIES = 50, // 5 s in all: longer than any command holds it
    OPEN_PAUSE_MS = 100,
};

// At most five progress messages a second.
static void on_progress(void *context, uint64_t done, uint64_t total)
{
    struct progress_to *to = context;
    uint64_t now = monotonic_ms();
    if (now - to->last_ms < PROGRESS_MS)
        return;
    to->last_ms = now;
    Sanji__Reply reply = SANJI__REPLY__INIT;
    Sanji__Progress progress = SANJI__PROGRESS__INIT;
    progress.done = done;
    progress.total = total;
    reply.reply_case = SANJI__REPLY__REPLY_PROGRESS;
    reply.progress = &progress;
    struct buffer wire = {0};
    codec_pack(&reply, &wire);
    control_answer(to->reply, buffer_bytes(&wire));
    buffer_finish(&wire);
}

static void on_request(void *context, struct bytes request, struct control_reply *reply)
{
    struct buffer answer = {0};
    struct progress_to to = {.reply = reply, .last_ms = monotonic_ms()};
    service_handle(context, request, on_progress, &to, &answer, NULL);
    control_answer(reply, buffer_bytes(&answer));
    buffer_finish(&answer);
}

static enum error_code start_engine(struct station *station, struct error *error)
{
    struct engine_config config = {
        .store = station->store,
        .writer = station->writer,
        .self = &station->self,
        .parent = station->ancestor_count ? &station->ancestors[0] : NULL,
        .root = station->config.root,
        .transport_public = &station->identity.transport.public_key,
        .transport_secret = &station->identity.transport.secret_key,
        .listen = *station->config.listen ? station->config.listen : NULL,
        .join = *station->config.join ? station->config.join : NULL,
        .parent_endpoint = *station->config.parent ? station->config.parent : NULL,
        .parent_join = *station->config.parent_join ? station->config.parent_join : NULL,
        .above = station->ancestor_count > 1 && *station->config.above ? &station->ancestors[1] : NULL,
        .above_endpoint = station->config.above,
        .above_join = *station->config.above_join ? station->config.above_join : NULL,
        .ordinal = station->marker.ordinal,
        .nonce = station->marker.nonce,
        .generation = station->meta.generation,
        .sign_key = &station->identity.sign.secret_key,
        .starts = station->restored ? 0 : station->meta.starts,
        .asks = station->restored ? station->marker.wants : 0,
        .hooks = station_engine_hooks(station),
    };
    return engine_create(&config, &station->engine, error);
}

static void quiet_process(void)
{
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none); // keys and children's data are in memory
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    umask(077);
}

// A command that works on the directory lets go of it in a moment.
static enum error_code open_patiently(const char *directory, struct station **ret, struct error *error)
{
    enum error_code code = ERR_BUSY;
    for (int tries = 0; tries < OPEN_TRIES && code == ERR_BUSY; tries++) {
        if (tries)
            poll(NULL, 0, OPEN_PAUSE_MS);
        code = station_open_as(directory, STATION_RUNS, ret, error);
    }
    return code;
}

static void say_ready(const struct station *station)
{
    char text[500];
    snprintf(text, sizeof text, "station of unit %s ready%s%s%s", station->self.unit, *station->config.listen ? ", children at " : "",
             *station->config.listen ? engine_listen(station->engine) : "",
             !station->restored        ? ""
             : station->ancestor_count ? ", READ-ONLY: the store was put back from a copy; asks the parent for the next incarnation"
                                       : ", READ-ONLY: the store was put back from a copy; see 'sanji recover --help'");
    station_log(NULL, station->restored, text);
}

static enum error_code work(struct station *station, struct error *error)
{
    if (keyring_damaged(station->keyring))
        station_log(NULL, true, "keys/keyring has damaged rows: those keys must be granted anew; run verify");
    enum error_code code = start_engine(station, error);
    if (code == OK) {
        struct sigaction action = {.sa_handler = on_signal};
        running = station->engine;
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        if (asked_to_stop)
            engine_stop(station->engine);
        struct control_config control = {.dir = station->directory, .handle = on_request, .context = station};
        code = control_start(&control, &station->control, error);
    }
    if (code == OK)
        code = station_scrub_start(station, error);
    if (code == OK && !station->restored)
        code = keeper_start(station, error);
    if (code == OK) {
        say_ready(station);
        code = engine_run(station->engine, error);
    }
    station_scrub_stop(station);
    if (code == OK && station->failure.code != OK) {
        code = station->failure.code;
        if (error)
            *error = station->failure;
    }
    return code;
}

// Ends what work() began. `ret_again`: another start follows, in another incarnation or to ask for one.
static enum error_code end_work(struct station *station, bool *ret_again, struct error *error)
{
    enum engine_end end = station->engine ? engine_end(station->engine) : ENGINE_STOPPED;
    bool suspends = end == ENGINE_RESTORED || end == ENGINE_SPENT;
    if (suspends)
        station->restored = true; // from here on nothing more is recorded
    control_stop(station->control);
    keeper_stop(station);
    running = NULL;
    // The writer ends first: it may still wake the engine.
    writer_destroy(station->writer);
    station->writer = NULL;
    keeper_destroy(station);
    engine_destroy(station->engine);
    station->engine = NULL;
    if (end == ENGINE_SPENT)
        station->marker.restored = false; // what it asks for is another one
    *ret_again = end != ENGINE_STOPPED;
    return suspends ? station_suspend(station, error) : OK;
}

enum error_code station_run(const char *directory, struct error *error)
{
    bool again = true;
    enum error_code code = OK;
    quiet_process();
    asked_to_stop = false;
    while (code == OK && again && !asked_to_stop) {
        struct station *station;
        code = open_patiently(directory, &station, error);
        if (code != OK)
            return code;
        code = work(station, error);
        enum error_code ended = end_work(station, &again, code == OK ? error : NULL);
        code = code != OK ? code : ended;
        station_close(station);
    }
    return code;
}
