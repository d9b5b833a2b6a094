#include "relay/writer.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "relay/language.h"

enum { WRITER_STACK = 512 * 1024 }; // the scratch of one batch (80 KB) several times over

enum job_type { JOB_ARRIVAL, JOB_CALL };

struct job {
    struct job *next;
    enum job_type type;
    struct arrival_job *arrival;
    struct call_job call;
    bool waited; // somebody waits in writer_call(): not freed by the writer
    bool finished, failed;
    enum language language;
};

struct queue {
    struct job *first, **last;
};

struct writer {
    struct store *store;
    struct receiver receiver;
    struct writer_hooks hooks;
    bool threaded, stopping;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work, finished;
    struct queue lanes[LANES + 1]; // [0]: calls
    uint64_t queued_bytes;
    struct queue done;
    struct grown grown;
};

static void queue_init(struct queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
}

static void queue_push(struct queue *queue, struct job *job)
{
    job->next = NULL;
    *queue->last = job;
    queue->last = &job->next;
}

static struct job *queue_pop(struct queue *queue)
{
    struct job *job = queue->first;
    if (job) {
        queue->first = job->next;
        if (!queue->first)
            queue->last = &queue->first;
        job->next = NULL;
    }
    return job;
}

static uint64_t job_bytes(const struct job *job)
{
    return job->type == JOB_ARRIVAL ? job->arrival->arrival.body.size + job->arrival->arrival.header.size + 512 : 512;
}

// Urgent arrivals first, then calls (somebody waits for them), then the other lanes in order.
static struct job *next_job(struct writer *writer)
{
    struct job *job = queue_pop(&writer->lanes[SANJI__LANE__URGENT]);
    for (unsigned lane = 0; !job && lane <= LANES; lane++)
        job = queue_pop(&writer->lanes[lane]);
    return job;
}

static uint32_t take_group(struct writer *writer, struct job **jobs, uint64_t *bytes)
{
    uint32_t count = 0;
    while (count < WRITER_JOBS_MAX && *bytes < WRITER_BYTES_MAX) {
        struct job *job = next_job(writer);
        if (!job)
            break;
        *bytes += job_bytes(job);
        jobs[count++] = job;
    }
    return count;
}

// Moves our mark on the peer's stream, never beyond a hole. False: this row does not follow what is held. `ret_unsure`: the stream begins
// anew, and a header may have been left out for which the peer has no body either: whoever held such a one had its mark of bodies behind.
static bool advance(struct txn *txn, struct arrival_job *job, struct mark *mark, bool *ret_unsure)
{
    const struct arrival *arrival = &job->arrival;
    bool known = mark_read(txn, &arrival->peer, true, arrival->stream, arrival->lane, mark);
    *ret_unsure = false;
    if (job->after == 0 && (!known || mark->generation != arrival->generation || arrival->position > mark->headers)) {
        *ret_unsure = known ? mark->bodies < mark->headers : arrival->position > 1;
        if (!known || mark->generation != arrival->generation)
            *mark = (struct mark){.generation = arrival->generation};
        return true;
    }
    return known && mark->generation == arrival->generation && job->after <= mark->headers;
}

// Whether a body of any feed that this stream brings is still owed. Looks at all feeds: asked only when one has caught up, or a repair may
// have passed one.
static bool owes_bodies(const struct writer *writer, struct txn *txn, const struct arrival *arrival)
{
    bool up = arrival->stream == SANJI__STREAM__STREAM_UP, to_one = arrival->stream == SANJI__STREAM__STREAM_DOWN_ONE;
    struct feed_key feed;
    struct feed_state state;
    struct station_id via;
    for (uint32_t id = 1; feed_read(txn, id, &feed, &state); id++) {
        if (state.bodies == state.next || feed.lane != arrival->lane || (feed.audience == SANJI__AUDIENCE__UP) != up)
            continue;
        if (up ? route_via(txn, &feed.station, &via) && station_equal(&via, &arrival->peer)
               : (feed.audience == SANJI__AUDIENCE__STATION) == to_one &&
                     !station_equal(&feed.station, &writer->receiver.place.self->station))
            return true;
    }
    return false;
}

static void run_arrival(struct writer *writer, struct txn *txn, struct arrival_job *job, struct grown *grown)
{
    struct arrival *arrival = &job->arrival;
    struct mark mark = {0};
    bool unsure;
    arrival->mended = arrival->caught_up = false;
    if (!advance(txn, job, &mark, &unsure)) {
        job->outcome = RECEIVED_GAP;
        return;
    }
    job->outcome = receive(&writer->receiver, txn, arrival, grown);
    if (job->outcome == RECEIVED_GAP || job->outcome == RECEIVED_FORGED || job->outcome == RECEIVED_OWN)
        return;
    bool passed = unsure && owes_bodies(writer, txn, arrival);
    if (job->outcome == RECEIVED && mark.bodies == mark.headers && arrival->position > mark.headers && !passed)
        mark.bodies = arrival->position;
    if (arrival->position > mark.headers)
        mark.headers = arrival->position;
    if (arrival->caught_up && mark.bodies < mark.headers && !owes_bodies(writer, txn, arrival))
        mark.bodies = mark.headers;
    mark.time_ms = arrival->received_ms;
    mark_write(txn, &arrival->peer, true, arrival->stream, arrival->lane, &mark);
    job->mark = mark;
}

static void fail_job(struct job *job, enum error_code code, const struct error *error)
{
    job->failed = true;
    if (job->type == JOB_ARRIVAL) {
        job->arrival->code = code;
    } else {
        job->call.code = code;
        job->call.error = *error;
    }
}

// Whose fault a failed transaction is: with no room, no memory or no disk it is nobody's.
static bool is_of_job(enum error_code code) { return code != OK && code != ERR_FULL && code != ERR_MEMORY && code != ERR_STORE; }

// Runs the jobs that have not failed. Returns the job that failed, or NULL; another failure is left in the transaction.
static struct job *run_jobs(struct writer *writer, struct txn *txn, struct job **jobs, uint32_t count, struct grown *grown)
{
    for (uint32_t i = 0; i < count; i++) {
        struct job *job = jobs[i];
        if (job->failed)
            continue;
        if (job->type == JOB_ARRIVAL) {
            run_arrival(writer, txn, job->arrival, grown);
        } else {
            language_set(job->language);
            enum error_code code = job->call.run(job->call.argument, txn, &job->call.error);
            if (code != OK && (txn_error(txn) == OK || is_of_job(txn_error(txn)))) {
                job->failed = true;
                job->call.code = code;
                if (job->call.error.code == OK) // it leaves the words to the transaction
                    txn_report(txn, &job->call.error);
                return job;
            }
        }
        if (is_of_job(txn_error(txn))) { // a damaged row, an entry over its limit: the others can do without it
            struct error error = {0};
            fail_job(job, txn_report(txn, &error), &error);
            return job;
        }
        if (txn_error(txn) != OK)
            return NULL;
    }
    return NULL;
}

static uint32_t count_failed(struct job **jobs, uint32_t count)
{
    uint32_t failed = 0;
    for (uint32_t i = 0; i < count; i++)
        failed += jobs[i]->failed;
    return failed;
}

// One attempt at one transaction. True: it is over (committed, or every job has its error). `may_grow`: a full map is not the end, as it
// is larger for the next attempt.
static bool attempt(struct writer *writer, struct job **jobs, uint32_t count, bool may_grow, struct grown *ret_grown)
{
    struct error error = {0};
    struct grown grown = {0};
    struct txn *txn = txn_begin(writer->store, true, &error);
    struct job *failed = NULL;
    enum error_code code = txn ? OK : error.code;
    if (txn) {
        writer->hooks.begin(writer->hooks.context, txn);
        failed = run_jobs(writer, txn, jobs, count, &grown);
        if (!failed && txn_error(txn) == OK)
            writer->hooks.before_commit(writer->hooks.context, txn, &grown);
        if (failed || (may_grow && txn_error(txn) == ERR_FULL)) {
            txn_abort(txn);
            writer->hooks.aborted(writer->hooks.context);
            return count_failed(jobs, count) == count;
        }
        code = txn_commit(txn, &error);
    }
    if (code == OK) {
        writer->hooks.committed(writer->hooks.context);
        *ret_grown = grown;
        return true;
    }
    writer->hooks.aborted(writer->hooks.context);
    if (code == ERR_FULL && writer->hooks.full)
        writer->hooks.full(writer->hooks.context, &error);
    if (code == ERR_STORE)
        writer->hooks.fatal(writer->hooks.context, &error);
    for (uint32_t i = 0; i < count; i++)
        if (!jobs[i]->failed)
            fail_job(jobs[i], code, &error);
    return true;
}

static void run_group(struct writer *writer, struct job **jobs, uint32_t count, struct grown *ret_grown)
{
    // Each further attempt runs without one more failed job, but for one with a larger map: so there are at most count + 2.
    uint32_t failed = 0;
    bool may_grow = true;
    while (!attempt(writer, jobs, count, may_grow, ret_grown)) {
        uint32_t now_failed = count_failed(jobs, count);
        may_grow = may_grow && now_failed > failed;
        failed = now_failed;
    }
}

static void publish(struct writer *writer, struct job **jobs, uint32_t count, uint64_t bytes, const struct grown *grown)
{
    pthread_mutex_lock(&writer->mutex);
    writer->queued_bytes -= bytes;
    for (uint32_t i = 0; i < count; i++) {
        jobs[i]->finished = true;
        if (!jobs[i]->waited)
            queue_push(&writer->done, jobs[i]);
    }
    grown_merge(&writer->grown, grown);
    pthread_cond_broadcast(&writer->finished);
    pthread_mutex_unlock(&writer->mutex);
    writer->hooks.done(writer->hooks.context);
}

static void *writer_thread(void *argument)
{
    struct writer *writer = argument;
    struct job **jobs = calloc(WRITER_JOBS_MAX, sizeof *jobs);
    if (!jobs) {
        struct error error;
        error_set(&error, ERR_MEMORY, "writer");
        writer->hooks.fatal(writer->hooks.context, &error);
        return NULL;
    }
    pthread_mutex_lock(&writer->mutex);
    for (;;) {
        uint64_t bytes = 0;
        uint32_t count = take_group(writer, jobs, &bytes);
        if (count == 0) {
            if (writer->stopping)
                break;
            pthread_cond_wait(&writer->work, &writer->mutex);
            continue;
        }
        pthread_mutex_unlock(&writer->mutex);
        struct grown grown = {0};
        run_group(writer, jobs, count, &grown);
        publish(writer, jobs, count, bytes, &grown);
        pthread_mutex_lock(&writer->mutex);
    }
    pthread_mutex_unlock(&writer->mutex);
    free(jobs);
    return NULL;
}

bool writer_turn(struct writer *writer)
{
    assert(!writer->threaded);
    struct job *jobs[WRITER_JOBS_MAX];
    uint64_t bytes = 0;
    uint32_t count = take_group(writer, jobs, &bytes);
    if (count == 0)
        return false;
    struct grown grown = {0};
    run_group(writer, jobs, count, &grown);
    publish(writer, jobs, count, bytes, &grown);
    return true;
}

// What still waits when there is no thread to run it.
static void give_up(struct writer *writer)
{
    struct error error = {0};
    struct job *job;
    error_set(&error, ERR_BUSY, "%s", tr("the station stops", "站点停止运行"));
    while (!writer->threaded && (job = next_job(writer))) {
        fail_job(job, ERR_BUSY, &error);
        queue_push(&writer->done, job);
    }
}

enum error_code writer_create(struct store *store, const struct receiver *receiver, const struct writer_hooks *hooks, bool threaded,
                              struct writer **ret, struct error *error)
{
    struct writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return error_set(error, ERR_MEMORY, "writer");
    writer->store = store;
    writer->receiver = *receiver;
    writer->hooks = *hooks;
    writer->threaded = threaded;
    for (unsigned i = 0; i <= LANES; i++)
        queue_init(&writer->lanes[i]);
    queue_init(&writer->done);
    writer->receiver.entries = calloc(BATCH_ENTRIES_MAX, sizeof *writer->receiver.entries);
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->work, NULL);
    pthread_cond_init(&writer->finished, NULL);
    if (!writer->receiver.entries) {
        writer->threaded = false;
        writer_destroy(writer);
        return error_set(error, ERR_MEMORY, "writer");
    }
    if (threaded) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        pthread_attr_setstacksize(&attributes, WRITER_STACK);
        int failed = pthread_create(&writer->thread, &attributes, writer_thread, writer);
        pthread_attr_destroy(&attributes);
        if (failed) {
            writer->threaded = false;
            writer_destroy(writer);
            return error_set(error, ERR_MEMORY, "%s", tr("the writer thread could not be started", "无法启动写线程"));
        }
    }
    *ret = writer;
    return OK;
}

void writer_destroy(struct writer *writer)
{
    if (!writer)
        return;
    pthread_mutex_lock(&writer->mutex);
    writer->stopping = true;
    pthread_cond_broadcast(&writer->work);
    pthread_mutex_unlock(&writer->mutex);
    if (writer->threaded)
        pthread_join(writer->thread, NULL);
    give_up(writer);
    struct grown grown;
    struct arrival_job *arrival;
    while ((arrival = writer_take(writer, &grown))) {
        arrival_finish(&arrival->arrival);
        free(arrival);
    }
    pthread_cond_destroy(&writer->finished);
    pthread_cond_destroy(&writer->work);
    pthread_mutex_destroy(&writer->mutex);
    free(writer->receiver.entries);
    free(writer);
}

static enum error_code submit(struct writer *writer, struct job *job, unsigned lane)
{
    pthread_mutex_lock(&writer->mutex);
    if (writer->stopping || writer->queued_bytes + job_bytes(job) > WRITER_QUEUE_BYTES_MAX) {
        pthread_mutex_unlock(&writer->mutex);
        return ERR_BUSY;
    }
    writer->queued_bytes += job_bytes(job);
    queue_push(&writer->lanes[lane], job);
    pthread_cond_signal(&writer->work);
    pthread_mutex_unlock(&writer->mutex);
    return OK;
}

enum error_code writer_submit_arrival(struct writer *writer, struct arrival_job *arrival)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return ERR_MEMORY;
    job->type = JOB_ARRIVAL;
    job->arrival = arrival;
    enum error_code code = submit(writer, job, arrival->arrival.lane);
    if (code != OK)
        free(job);
    return code;
}

enum error_code writer_submit_call(struct writer *writer, const struct call_job *call)
{
    struct job *job = calloc(1, sizeof *job);
    if (!job)
        return ERR_MEMORY;
    job->type = JOB_CALL;
    job->call = *call;
    job->language = language_get();
    enum error_code code = submit(writer, job, 0);
    if (code != OK)
        free(job);
    return code;
}

enum error_code writer_call(struct writer *writer, enum error_code (*run)(void *argument, struct txn *txn, struct error *error),
                            void *argument, struct error *error)
{
    struct job job = {.type = JOB_CALL, .call = {.run = run, .argument = argument}, .waited = true, .language = language_get()};
    struct job *jobs[1] = {&job};
    if (!writer->threaded) {
        struct grown grown = {0};
        run_group(writer, jobs, 1, &grown);
        publish(writer, jobs, 1, 0, &grown);
    } else {
        enum error_code code = submit(writer, &job, 0);
        if (code != OK)
            return error_set(error, code, "%s",
                             tr("too much is waiting to be written; try again in a moment", "待写入的数据过多，请稍后重试"));
        pthread_mutex_lock(&writer->mutex);
        while (!job.finished)
            pthread_cond_wait(&writer->finished, &writer->mutex);
        pthread_mutex_unlock(&writer->mutex);
    }
    if (job.call.code != OK && error) {
        *error = job.call.error;
        error->code = job.call.code;
    }
    return job.call.code;
}

struct arrival_job *writer_take(struct writer *writer, struct grown *ret_grown)
{
    for (;;) {
        pthread_mutex_lock(&writer->mutex);
        struct job *job = queue_pop(&writer->done);
        *ret_grown = writer->grown;
        if (!job)
            writer->grown = (struct grown){0};
        pthread_mutex_unlock(&writer->mutex);
        if (!job)
            return NULL;
        struct arrival_job *arrival = job->arrival;
        if (job->type == JOB_CALL && job->call.finished)
            job->call.finished(job->call.argument, job->call.code, &job->call.error);
        free(job);
        if (arrival)
            return arrival;
    }
}
