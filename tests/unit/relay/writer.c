// Deterministic tests drive a writer without a thread, one transaction a turn; the threaded ones are also run under ThreadSanitizer.
#include "relay/writer.h"

#include <pthread.h>

#include "relay/language.h"
#include "tests/directory.h"
#include "tests/unit/relay/station_fixture.h"

enum { UP = SANJI__AUDIENCE__UP, STREAM_UP = SANJI__STREAM__STREAM_UP };
enum { URGENT = SANJI__LANE__URGENT, CONTROL, CASE, AGGREGATE, BULK };

// The bench comes first: its callbacks get the desk.
struct desk {
    struct bench bench;
    struct writer *writer;
    char *directory;        // of a real store
    const char *fails_hook; // before_commit fails with this
    uint32_t begun, committed, aborted, fatal, full;
    uint32_t order[64], order_count; // what ran, in the attempt that committed last
    struct grown grown;              // of writer_take()
    pthread_mutex_t mutex;
    pthread_cond_t woken;
    uint32_t done;
};

// ---- hooks

static void on_begin(void *context, struct txn *txn)
{
    struct desk *desk = context;
    (void)txn;
    author_context(desk->bench.author, 1, NULL);
    desk->begun++;
    desk->order_count = 0;
}

static void on_before_commit(void *context, struct txn *txn, struct grown *grown)
{
    struct desk *desk = context;
    author_finish(desk->bench.author, txn, grown);
    if (desk->fails_hook)
        txn_fail(txn, ERR_IO, desk->fails_hook);
}

static void on_aborted(void *context)
{
    struct desk *desk = context;
    author_abort(desk->bench.author);
    desk->aborted++;
}

static void on_committed(void *context) { ((struct desk *)context)->committed++; }

static void on_fatal(void *context, const struct error *error)
{
    struct desk *desk = context;
    assert_int_equal(error->code, ERR_STORE);
    desk->fatal++;
}

static void on_full(void *context, const struct error *error)
{
    struct desk *desk = context;
    assert_int_equal(error->code, ERR_FULL);
    desk->full++;
}

static void on_done(void *context)
{
    struct desk *desk = context;
    pthread_mutex_lock(&desk->mutex);
    desk->done++;
    pthread_cond_signal(&desk->woken);
    pthread_mutex_unlock(&desk->mutex);
}

static void ran(struct desk *desk, uint32_t what)
{
    if (desk->order_count < sizeof desk->order / sizeof *desk->order)
        desk->order[desk->order_count++] = what;
}

static enum verdict on_apply(void *context, struct txn *txn, const struct header *header, const struct certificate *signer,
                             const struct entry *entries, uint64_t position, uint64_t received_ms, const char **reason)
{
    struct desk *desk = context;
    (void)txn, (void)signer, (void)entries, (void)position, (void)received_ms;
    *reason = NULL;
    ran(desk, header->feed.lane);
    return VERDICT_APPLIED;
}

static struct desk *desk_open(bool threaded)
{
    struct desk *desk = calloc(1, sizeof *desk);
    struct store *store = NULL;
    struct error error = {0};
    assert_non_null(desk);
    pthread_mutex_init(&desk->mutex, NULL);
    pthread_cond_init(&desk->woken, NULL);
    if (threaded) {
        desk->directory = directory_make();
        assert_non_null(desk->directory);
        store = fixture_open(desk->directory, STORE_CREATE, 0);
    }
    bench_open(&desk->bench, posts, TOWNSHIP, store);
    bench_store_certificate(&desk->bench, &posts[VILLAGE]);
    bench_store_certificate(&desk->bench, &posts[OTHER_VILLAGE]);
    struct receiver receiver = desk->bench.receiver;
    receiver.context = desk;
    receiver.apply = on_apply;
    struct writer_hooks hooks = {desk, on_begin, on_before_commit, on_aborted, on_committed, on_fatal, on_done, on_full};
    assert_int_equal(writer_create(desk->bench.store, &receiver, &hooks, threaded, &desk->writer, &error), OK);
    return desk;
}

static void desk_close(struct desk *desk)
{
    writer_destroy(desk->writer);
    bench_close(&desk->bench);
    directory_remove(desk->directory);
    pthread_cond_destroy(&desk->woken);
    pthread_mutex_destroy(&desk->mutex);
    free(desk);
}

static int setup(void **state)
{
    *state = desk_open(false);
    return 0;
}

static int setup_threaded(void **state)
{
    *state = desk_open(true);
    return 0;
}

static int teardown(void **state)
{
    if (*state)
        desk_close(*state);
    return 0;
}

static int setup_posts(void **state)
{
    (void)state;
    posts_init(posts);
    return 0;
}

static int teardown_posts(void **state)
{
    (void)state;
    posts_finish(posts);
    return 0;
}

#define TURN_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define THREAD_TEST(test) cmocka_unit_test_setup_teardown(test, setup_threaded, teardown)

// ---- jobs

struct call {
    struct desk *desk;
    const char *name;     // of the row it writes
    enum error_code code; // what it returns, after writing
    bool fails_txn;       // it fails the transaction instead, and says nothing
    uint32_t runs, finished;
    enum error_code result;
    char detail[64];
    enum language language;
};

static enum error_code run(void *argument, struct txn *txn, struct error *error)
{
    struct call *call = argument;
    call->runs++;
    call->language = language_get();
    ran(call->desk, 100);
    meta_put(txn, call->name, bytes_of_text("said"));
    bench_add(&call->desk->bench, txn, AGGREGATE, UP, REACH_TOP, call->name);
    if (call->fails_txn)
        txn_fail(txn, ERR_LIMIT, "too much of it");
    if (call->code != OK)
        return error_set(error, call->code, "no %s", call->name);
    return OK;
}

static void finished(void *argument, enum error_code code, const struct error *error)
{
    struct call *call = argument;
    call->finished++;
    call->result = code;
    snprintf(call->detail, sizeof call->detail, "%.60s", error->detail);
}

static enum error_code submit(struct desk *desk, struct call *call)
{
    struct call_job job = {.run = run, .finished = finished, .argument = call};
    call->desk = desk;
    return writer_submit_call(desk->writer, &job);
}

static struct arrival_job *arrival_job(struct arrival *arrival, uint64_t position, uint64_t after)
{
    struct arrival_job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->arrival = *arrival;
    job->arrival.position = position;
    job->after = after;
    return job;
}

// The pen's next batch, from the village, as row `position` of its stream, which follows `after`.
static void submit_batch(struct desk *desk, struct pen *pen, uint64_t position, uint64_t after, uint32_t tag)
{
    struct arrival arrival;
    pen_sign(pen, 1, "case", &posts[VILLAGE], STREAM_UP, &arrival);
    struct arrival_job *job = arrival_job(&arrival, position, after);
    job->link = tag;
    assert_int_equal(writer_submit_arrival(desk->writer, job), OK);
}

// Takes all that is done; `jobs` get freed by job_free().
static uint32_t take_all(struct desk *desk, struct arrival_job **jobs, uint32_t max)
{
    uint32_t count = 0;
    struct arrival_job *job;
    while ((job = writer_take(desk->writer, &desk->grown))) {
        assert_true(count < max);
        jobs[count++] = job;
    }
    return count;
}

static void job_free(struct arrival_job *job)
{
    arrival_finish(&job->arrival);
    free(job);
}

static bool said(struct desk *desk, const char *name)
{
    struct bytes value;
    struct txn *txn = fixture_begin(desk->bench.store, false);
    bool found = meta_get(txn, name, &value) && bytes_equal(value, bytes_of_text("said"));
    fixture_commit(txn);
    return found;
}

static struct mark mark_of(struct desk *desk, unsigned lane)
{
    struct mark mark = {0};
    struct txn *txn = fixture_begin(desk->bench.store, false);
    mark_read(txn, &posts[VILLAGE].identity.station, true, STREAM_UP, lane, &mark);
    fixture_commit(txn);
    return mark;
}

// ---- one transaction for many

static void many_jobs_one_commit(void **state)
{
    struct desk *desk = *state;
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    struct call calls[8] = {0};
    struct arrival_job *jobs[8];
    struct pen pen;
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    for (unsigned i = 0; i < 8; i++) {
        calls[i].name = names[i];
        assert_int_equal(submit(desk, &calls[i]), OK);
        submit_batch(desk, &pen, i + 1, i, i);
    }
    assert_int_equal(take_all(desk, jobs, 8), 0); // nothing is told before
    assert_int_equal(mark_of(desk, CASE).headers, 0);
    assert_true(writer_turn(desk->writer));
    assert_int_equal(desk->committed, 1);
    assert_int_equal(desk->done, 1);
    assert_int_equal(calls[0].finished, 0); // told by whoever takes
    assert_int_equal(take_all(desk, jobs, 8), 8);
    for (unsigned i = 0; i < 8; i++) {
        assert_true(calls[i].runs == 1 && calls[i].finished == 1 && calls[i].result == OK);
        assert_true(said(desk, names[i]));
        assert_int_equal(jobs[i]->link, i); // in order
        assert_int_equal(jobs[i]->code, OK);
        assert_int_equal(jobs[i]->outcome, RECEIVED);
        assert_true(jobs[i]->mark.headers == i + 1 && jobs[i]->mark.bodies == i + 1 && jobs[i]->mark.generation == 1);
        job_free(jobs[i]);
    }
    assert_int_equal(mark_of(desk, CASE).headers, 8);
    assert_true(desk->grown.up[CASE - 1] == 10 && desk->grown.up[AGGREGATE - 1] == 2); // eight statements in one batch of our own
    assert_false(writer_turn(desk->writer));                                           // nothing waits
    assert_int_equal(take_all(desk, jobs, 8), 0);
    assert_int_equal(desk->grown.up[CASE - 1], 0); // told once
}

// The mark of bodies catches up when the last owed body has come, in whatever row; else the core alarms in every session.
static void an_owed_body_that_comes_later_lets_the_mark_catch_up(void **state)
{
    struct desk *desk = *state;
    struct pen pen, other;
    struct arrival_job *jobs[4];
    struct arrival first, second, arrival;
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    pen_init(&other, &posts[VILLAGE], CASE, UP, NULL);
    other.feed.nonce++;
    pen_sign(&pen, 1, "owed", &posts[VILLAGE], STREAM_UP, &first);
    pen_sign(&other, 1, "owed, too", &posts[VILLAGE], STREAM_UP, &second);
    arrival_copy(&first, false, &arrival);
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&arrival, 1, 0)), OK);
    arrival_copy(&second, false, &arrival);
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&arrival, 2, 1)), OK);
    submit_batch(desk, &pen, 3, 2, 0);
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&first, 4, 3)), OK);
    assert_true(writer_turn(desk->writer));
    assert_int_equal(take_all(desk, jobs, 4), 4);
    assert_int_equal(jobs[0]->outcome, RECEIVED_BODILESS);
    assert_true(jobs[3]->mark.headers == 4 && jobs[3]->mark.bodies == 0); // the other feed still owes one
    for (unsigned i = 0; i < 4; i++)
        job_free(jobs[i]);
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&second, 5, 4)), OK);
    assert_true(writer_turn(desk->writer));
    assert_int_equal(take_all(desk, jobs, 4), 1);
    assert_true(jobs[0]->mark.headers == 5 && jobs[0]->mark.bodies == 5);
    job_free(jobs[0]);
}

static void lanes_in_their_order(void **state)
{
    struct desk *desk = *state;
    static const unsigned lanes[] = {BULK, AGGREGATE, CASE, CONTROL, URGENT};
    struct call calls[2] = {{.name = "one"}, {.name = "two"}};
    struct arrival_job *jobs[8];
    assert_int_equal(submit(desk, &calls[0]), OK);
    for (unsigned i = 0; i < 5; i++) {
        struct pen pen;
        pen_init(&pen, &posts[VILLAGE], lanes[i], UP, NULL);
        submit_batch(desk, &pen, 1, 0, i);
    }
    assert_int_equal(submit(desk, &calls[1]), OK);
    assert_true(writer_turn(desk->writer));
    static const uint32_t order[] = {URGENT, 100, 100, CONTROL, CASE, AGGREGATE, BULK};
    assert_int_equal(desk->order_count, 7);
    assert_memory_equal(desk->order, order, sizeof order);
    assert_int_equal(take_all(desk, jobs, 8), 5);
    for (unsigned i = 0; i < 5; i++)
        job_free(jobs[i]);
}

static void bulk_does_not_keep_others_waiting(void **state)
{
    struct desk *desk = *state;
    struct arrival_job *jobs[8];
    for (unsigned i = 0; i < 3; i++) { // documents of 5 MB
        struct buffer content = {0};
        assert_non_null(buffer_extend(&content, 5 << 20));
        memset(content.data, (int)i + 1, content.size);
        struct arrival arrival;
        struct hash name = crypto_hash(TAG_DOCUMENT, buffer_bytes(&content));
        object_arrives(&name, bytes_of(NULL, 0), &posts[COUNTY], SANJI__STREAM__STREAM_DOWN_ALL, BULK, &arrival);
        arrival.body = content;
        assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&arrival, i + 1, i)), OK);
    }
    assert_true(writer_turn(desk->writer));
    assert_int_equal(take_all(desk, jobs, 8), 2); // over WRITER_BYTES_MAX with the second
    struct pen pen;
    pen_init(&pen, &posts[VILLAGE], URGENT, UP, NULL);
    submit_batch(desk, &pen, 1, 0, 9);
    assert_true(writer_turn(desk->writer));
    assert_int_equal(take_all(desk, jobs + 2, 6), 2);
    assert_int_equal(jobs[2]->link, 9); // came last, and goes first
    for (unsigned i = 0; i < 4; i++)
        job_free(jobs[i]);
    assert_int_equal(desk->bench.documents, 3);
}

// ---- failures

static void a_failing_call_changes_nothing_and_the_others_stand(void **state)
{
    struct desk *desk = *state;
    struct call calls[] = {{.name = "first"},
                           {.name = "second", .code = ERR_INPUT},
                           {.name = "third"},
                           {.name = "fourth", .fails_txn = true},
                           {.name = "fifth", .code = ERR_REFUSED, .fails_txn = true},
                           {.name = "sixth"}};
    for (unsigned i = 0; i < 6; i++)
        assert_int_equal(submit(desk, &calls[i]), OK);
    struct arrival_job *jobs[2];
    struct pen pen;
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    submit_batch(desk, &pen, 1, 0, 0);
    assert_true(writer_turn(desk->writer));
    assert_true(desk->committed == 1 && desk->aborted == 3 && desk->begun == 4);
    assert_int_equal(take_all(desk, jobs, 2), 1);
    assert_true(jobs[0]->code == OK && jobs[0]->outcome == RECEIVED && jobs[0]->mark.headers == 1);
    job_free(jobs[0]);
    static const enum error_code results[] = {OK, ERR_INPUT, OK, ERR_LIMIT, ERR_REFUSED, OK};
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(calls[i].result, results[i]);
        assert_int_equal(calls[i].finished, 1);
        assert_int_equal(said(desk, calls[i].name), results[i] == OK);
    }
    assert_string_equal(calls[1].detail, "no second");
    assert_string_equal(calls[3].detail, "too much of it");
    // Nor is anything signed of what failed: three entries, in one batch.
    struct txn *txn = fixture_begin(desk->bench.store, false);
    assert_int_equal(journal_end(txn), 2);
    assert_int_equal(bench_row(&desk->bench, txn, 2).count, 3);
    fixture_commit(txn);
}

static void all_calls_fail(void **state)
{
    struct desk *desk = *state;
    struct call calls[] = {{.name = "first", .code = ERR_INPUT}, {.name = "second", .code = ERR_STATE}};
    struct arrival_job *jobs[1];
    assert_int_equal(submit(desk, &calls[0]), OK);
    assert_int_equal(submit(desk, &calls[1]), OK);
    assert_true(writer_turn(desk->writer));
    assert_int_equal(take_all(desk, jobs, 1), 0);
    assert_true(desk->committed == 0 && calls[0].result == ERR_INPUT && calls[1].result == ERR_STATE);
}

static void an_arrival_that_meets_damage_fails_alone(void **state)
{
    struct desk *desk = *state;
    struct arrival_job *jobs[4];
    struct call call = {.name = "call"};
    struct pen damaged, good;
    pen_init(&damaged, &posts[VILLAGE], CASE, UP, NULL);
    submit_batch(desk, &damaged, 1, 0, 0);
    assert_true(writer_turn(desk->writer));
    assert_int_equal(take_all(desk, jobs, 4), 1);
    job_free(jobs[0]);
    damage(desk->bench.store, TABLE_FEEDS); // the village's
    pen_init(&good, &posts[OTHER_VILLAGE], CASE, UP, NULL);
    submit_batch(desk, &damaged, 2, 1, 0);
    struct arrival arrival;
    pen_sign(&good, 1, "case", &posts[OTHER_VILLAGE], STREAM_UP, &arrival);
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&arrival, 1, 0)), OK);
    assert_int_equal(submit(desk, &call), OK);
    assert_true(writer_turn(desk->writer));
    assert_int_equal(take_all(desk, jobs, 4), 2);
    assert_int_equal(jobs[0]->code, ERR_CORRUPT);
    assert_true(jobs[1]->code == OK && jobs[1]->outcome == RECEIVED);
    assert_true(call.result == OK && said(desk, "call"));
    assert_int_equal(mark_of(desk, CASE).headers, 1); // the damaged one's mark stands where it stood
    for (unsigned i = 0; i < 2; i++)
        job_free(jobs[i]);
}

static void fault_7_no_room_tells_everybody_and_passes(void **state)
{
    struct desk *desk = *state;
    struct arrival_job *jobs[2];
    struct call call = {.name = "call"};
    struct pen pen;
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    struct pen before = pen;
    submit_batch(desk, &pen, 1, 0, 0);
    assert_int_equal(submit(desk, &call), OK);
    store_memory_fail(desk->bench.store, 0, ERR_FULL, false);
    assert_true(writer_turn(desk->writer));
    assert_true(desk->committed == 0 && desk->aborted == 1 && desk->fatal == 0 && desk->full == 1);
    assert_int_equal(take_all(desk, jobs, 2), 1);
    assert_int_equal(jobs[0]->code, ERR_FULL);
    assert_true(call.result == ERR_FULL && call.detail[0] != 0);
    assert_int_equal(mark_of(desk, CASE).headers, 0);
    assert_int_equal(desk->grown.up[CASE - 1], 0);
    job_free(jobs[0]);
    submit_batch(desk, &before, 1, 0, 0);
    assert_int_equal(submit(desk, &call), OK);
    assert_true(writer_turn(desk->writer));
    assert_int_equal(take_all(desk, jobs, 2), 1);
    assert_true(jobs[0]->code == OK && jobs[0]->mark.headers == 1 && call.result == OK);
    job_free(jobs[0]);
}

static void fault_6_an_unknown_outcome_is_fatal(void **state)
{
    struct desk *desk = *state;
    struct arrival_job *jobs[1];
    struct call call = {.name = "call"};
    assert_int_equal(submit(desk, &call), OK);
    store_memory_fail(desk->bench.store, 0, ERR_STORE, true);
    assert_true(writer_turn(desk->writer));
    assert_int_equal(desk->fatal, 1);
    assert_int_equal(take_all(desk, jobs, 1), 0);
    assert_int_equal(call.result, ERR_STORE);  // not told as done, whatever the disk has
    assert_int_equal(submit(desk, &call), OK); // no transaction can begin any more
    assert_true(writer_turn(desk->writer));
    assert_int_equal(desk->fatal, 2);
    assert_int_equal(take_all(desk, jobs, 1), 0);
    assert_int_equal(desk->committed, 0);
    store_memory_restart(desk->bench.store);
}

static void a_hook_that_fails_fails_all(void **state)
{
    struct desk *desk = *state;
    struct call call = {.name = "call"};
    struct error error = {0};
    desk->fails_hook = "the keyring can't be written";
    call.desk = desk;
    assert_int_equal(writer_call(desk->writer, run, &call, &error), ERR_IO);
    assert_int_equal(error.code, ERR_IO);
    assert_string_equal(error.detail, "the keyring can't be written");
    assert_true(desk->aborted == 1 && !said(desk, "call"));
    desk->fails_hook = NULL;
    assert_int_equal(writer_call(desk->writer, run, &call, NULL), OK);
    assert_true(said(desk, "call"));
}

static enum error_code run_silent(void *argument, struct txn *txn, struct error *error)
{
    (void)argument;
    (void)txn;
    (void)error;
    return ERR_BUSY;
}

static void an_error_without_words_keeps_its_code(void **state)
{
    struct desk *desk = *state;
    struct error error = {0};
    assert_int_equal(writer_call(desk->writer, run_silent, NULL, &error), ERR_BUSY);
    assert_int_equal(error.code, ERR_BUSY);
}

// ---- marks

static void take_one(struct desk *desk, struct arrival_job *ret)
{
    struct arrival_job *jobs[1];
    assert_true(writer_turn(desk->writer));
    assert_int_equal(take_all(desk, jobs, 1), 1);
    *ret = *jobs[0];
    job_free(jobs[0]);
}

static void a_mark_never_passes_a_hole(void **state)
{
    struct desk *desk = *state;
    struct arrival_job job;
    struct pen pen, again;
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    submit_batch(desk, &pen, 2, 1, 0); // follows what never came
    take_one(desk, &job);
    assert_true(job.code == OK && job.outcome == RECEIVED_GAP);
    assert_true(mark_of(desk, CASE).generation == 0 && bench_end(&desk->bench) == 0);
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    submit_batch(desk, &pen, 1, 0, 0);
    take_one(desk, &job);
    assert_int_equal(job.mark.headers, 1);
    again = pen;
    submit_batch(desk, &pen, 5, 4, 0); // 2 to 4 are missing
    take_one(desk, &job);
    assert_int_equal(job.outcome, RECEIVED_GAP);
    assert_int_equal(mark_of(desk, CASE).headers, 1);
    submit_batch(desk, &again, 5, 1, 0); // they were left out: it is said to follow 1
    take_one(desk, &job);
    assert_true(job.outcome == RECEIVED && job.mark.headers == 5 && job.mark.bodies == 5);
}

static void a_repair_begins_anew_and_takes_nothing_back(void **state)
{
    struct desk *desk = *state;
    struct arrival_job job;
    struct pen pen, copy;
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    copy = pen;
    submit_batch(desk, &pen, 1, 0, 0);
    take_one(desk, &job);
    submit_batch(desk, &pen, 2, 1, 0);
    take_one(desk, &job);
    struct arrival arrival, replay;
    pen_sign(&copy, 1, "case", &posts[VILLAGE], STREAM_UP, &arrival); // not the same bytes: a fork, and still a row of the stream
    arrival_copy(&arrival, true, &replay);
    arrival_finish(&arrival);
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&replay, 1, 0)), OK);
    take_one(desk, &job);
    assert_true(job.outcome == RECEIVED && job.mark.headers == 2); // from the beginning again
    submit_batch(desk, &pen, 9, 0, 0);                             // and on after what the heads cover
    take_one(desk, &job);
    assert_true(job.outcome == RECEIVED && job.mark.headers == 9);
    pen_sign(&pen, 1, "case", &posts[VILLAGE], STREAM_UP, &arrival);
    arrival.generation = 2; // the peer's journal is a new one
    struct arrival_job *later = arrival_job(&arrival, 4, 3);
    assert_int_equal(writer_submit_arrival(desk->writer, later), OK);
    take_one(desk, &job);
    assert_int_equal(job.outcome, RECEIVED_GAP); // which can only begin at its beginning
    assert_int_equal(mark_of(desk, CASE).generation, 1);
}

static void a_new_generation_has_a_new_mark(void **state)
{
    struct desk *desk = *state;
    struct arrival_job job;
    struct arrival arrival;
    struct pen pen;
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    submit_batch(desk, &pen, 7, 0, 0);
    take_one(desk, &job);
    assert_int_equal(job.mark.headers, 7);
    pen_sign(&pen, 1, "case", &posts[VILLAGE], STREAM_UP, &arrival);
    arrival.generation = 2;
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&arrival, 2, 0)), OK);
    take_one(desk, &job);
    assert_true(job.outcome == RECEIVED && job.mark.generation == 2 && job.mark.headers == 2 && job.mark.bodies == 2);
}

static void a_body_owed_holds_its_mark_back(void **state)
{
    struct desk *desk = *state;
    struct arrival_job job;
    struct arrival arrival, header;
    struct pen pen;
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    submit_batch(desk, &pen, 1, 0, 0);
    take_one(desk, &job);
    pen_sign(&pen, 1, "case", &posts[VILLAGE], STREAM_UP, &arrival);
    arrival_copy(&arrival, false, &header);
    arrival_finish(&arrival);
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&header, 2, 1)), OK);
    take_one(desk, &job);
    assert_true(job.outcome == RECEIVED_BODILESS && job.mark.headers == 2 && job.mark.bodies == 1);
    submit_batch(desk, &pen, 3, 2, 0);
    take_one(desk, &job);
    assert_true(job.outcome == RECEIVED && job.mark.headers == 3 && job.mark.bodies == 1); // never acknowledged beyond it
}

// What a repair leaves out, because the header is here, says nothing of the body.
static void fault_33_a_body_owed_is_not_acknowledged_by_a_repair(void **state)
{
    struct desk *desk = *state;
    struct arrival_job job;
    struct arrival owed, arrival;
    struct pen pen, other;
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    pen_init(&other, &posts[VILLAGE], CASE, UP, NULL);
    other.feed.nonce++;
    submit_batch(desk, &other, 1, 0, 0);
    take_one(desk, &job);
    pen_sign(&pen, 1, "owed", &posts[VILLAGE], STREAM_UP, &owed);
    arrival_copy(&owed, false, &arrival);
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&arrival, 2, 1)), OK);
    take_one(desk, &job);
    for (uint64_t generation = 1; generation <= 2; generation++) { // the same journal, from the beginning; and a new one
        pen_sign(&other, 1, "next", &posts[VILLAGE], STREAM_UP, &arrival);
        arrival.generation = generation;
        assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&arrival, 7, 0)), OK);
        take_one(desk, &job);
        assert_true(job.outcome == RECEIVED && job.mark.generation == generation && job.mark.headers == 7 && job.mark.bodies < 2);
    }
    pen_sign(&other, 1, "after it", &posts[VILLAGE], STREAM_UP, &arrival);
    arrival.generation = 2;
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&arrival, 8, 7)), OK);
    take_one(desk, &job);
    assert_true(job.mark.headers == 8 && job.mark.bodies == 0);
    owed.generation = 2;
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&owed, 9, 8)), OK);
    take_one(desk, &job);
    assert_true(job.mark.headers == 9 && job.mark.bodies == 9);
}

static void what_is_refused_moves_nothing(void **state)
{
    struct desk *desk = *state;
    struct arrival_job job;
    struct arrival arrival;
    struct pen pen;
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    pen_sign(&pen, 1, "case", &posts[VILLAGE], STREAM_UP, &arrival);
    arrival.signature.data[0] ^= 1;
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&arrival, 1, 0)), OK);
    take_one(desk, &job);
    assert_true(job.code == OK && job.outcome == RECEIVED_FORGED);
    assert_true(mark_of(desk, CASE).generation == 0);
    pen_init(&pen, desk->bench.self, CASE, UP, NULL); // its own, of a history that it never wrote
    pen_sign(&pen, 1, "case", desk->bench.parent, SANJI__STREAM__STREAM_DOWN_ONE, &arrival);
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&arrival, 1, 0)), OK);
    take_one(desk, &job);
    assert_true(job.code == OK && job.outcome == RECEIVED_OWN && bench_end(&desk->bench) == 0);
    struct mark mark = {0};
    struct txn *txn = fixture_begin(desk->bench.store, false);
    assert_false(mark_read(txn, &desk->bench.parent->identity.station, true, SANJI__STREAM__STREAM_DOWN_ONE, CASE, &mark));
    fixture_commit(txn);
}

// The body that was owed is the first row of the peer's new journal.
static void an_owed_body_may_come_in_a_new_generation(void **state)
{
    struct desk *desk = *state;
    struct arrival_job job;
    struct arrival arrival, header;
    struct pen pen;
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    pen_sign(&pen, 1, "case", &posts[VILLAGE], STREAM_UP, &arrival);
    arrival_copy(&arrival, false, &header);
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&header, 1, 0)), OK);
    take_one(desk, &job);
    assert_true(job.outcome == RECEIVED_BODILESS && job.mark.headers == 1 && job.mark.bodies == 0);
    arrival.generation = 2;
    assert_int_equal(writer_submit_arrival(desk->writer, arrival_job(&arrival, 1, 0)), OK);
    take_one(desk, &job);
    assert_true(job.outcome == RECEIVED && job.mark.generation == 2 && job.mark.headers == 1 && job.mark.bodies == 1);
}

// ---- the queue

static void too_much_waiting_is_refused(void **state)
{
    struct desk *desk = *state;
    struct arrival_job *jobs[16], *refused = NULL;
    uint32_t taken = 0;
    struct hash name = a_hash(1);
    while (!refused) {
        struct arrival arrival;
        object_arrives(&name, bytes_of(NULL, 0), &posts[COUNTY], SANJI__STREAM__STREAM_DOWN_ALL, BULK, &arrival);
        assert_non_null(buffer_extend(&arrival.body, DOCUMENT_MAX));
        memset(arrival.body.data, 0, arrival.body.size);
        struct arrival_job *job = arrival_job(&arrival, 1, 0);
        enum error_code code = writer_submit_arrival(desk->writer, job);
        assert_true(code == OK || code == ERR_BUSY);
        if (code == OK)
            assert_true(++taken < 16);
        else
            refused = job; // still ours
    }
    assert_int_equal(taken, 7); // of 8 MiB and something beside, in 64 MiB
    while (writer_turn(desk->writer))
        continue;
    assert_int_equal(take_all(desk, jobs, 16), taken);
    for (uint32_t i = 0; i < taken; i++)
        job_free(jobs[i]);
    assert_int_equal(writer_submit_arrival(desk->writer, refused), OK); // there is room again
}

static void what_waits_at_the_end_is_told(void **state)
{
    struct desk *desk = *state;
    struct call call = {.name = "call"}, nobody_asks = {.name = "other"};
    struct pen pen;
    assert_int_equal(submit(desk, &call), OK);
    struct call_job job = {.run = run, .argument = &nobody_asks};
    nobody_asks.desk = desk;
    assert_int_equal(writer_submit_call(desk->writer, &job), OK);
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    submit_batch(desk, &pen, 1, 0, 0);
    writer_destroy(desk->writer);
    desk->writer = NULL;
    assert_true(call.finished == 1 && call.result == ERR_BUSY && call.runs == 0);
    assert_int_equal(bench_end(&desk->bench), 0);
}

// ---- a real store, and threads

static enum error_code run_large(void *argument, struct txn *txn, struct error *error)
{
    uint32_t *number = argument;
    static uint8_t content[64 * 1024];
    struct hash name = {{0}};
    put_be32(name.bytes, ++*number);
    object_add(txn, &name, OBJECT_DOCUMENT, bytes_of(content, sizeof content));
    return txn_report(txn, error);
}

static void fault_8_a_full_map_grows(void **state)
{
    (void)state;
    struct desk *desk = calloc(1, sizeof *desk);
    pthread_mutex_init(&desk->mutex, NULL);
    pthread_cond_init(&desk->woken, NULL);
    desk->directory = directory_make();
    bench_open(&desk->bench, posts, PROVINCE, fixture_open(desk->directory, STORE_CREATE, 1 << 20));
    struct writer_hooks hooks = {desk, on_begin, on_before_commit, on_aborted, on_committed, on_fatal, on_done, NULL};
    struct error error = {0};
    assert_int_equal(writer_create(desk->bench.store, &desk->bench.receiver, &hooks, false, &desk->writer, &error), OK);
    uint32_t number = 0;
    for (unsigned i = 0; i < 64; i++) // 4 MiB into a map of 1 MiB
        assert_int_equal(writer_call(desk->writer, run_large, &number, &error), OK);
    assert_int_equal(desk->committed, 64);
    assert_true(desk->aborted >= 2 && desk->fatal == 0); // it grew by doubling
    assert_int_equal(bench_count(&desk->bench, TABLE_OBJECTS), 65);
    desk_close(desk);
}

enum { THREADS = 8, CALLS = 40 };

struct caller {
    struct desk *desk;
    uint32_t number, added, refused;
    bool failed;
};

static uint32_t counter_read(struct txn *txn)
{
    struct bytes value;
    return meta_get(txn, "counter", &value) && value.size == 4 ? get_be32(value.data) : 0;
}

struct addition {
    bool refuse;
    uint32_t seen;
};

static enum error_code run_add(void *argument, struct txn *txn, struct error *error)
{
    struct addition *addition = argument;
    uint8_t value[4];
    put_be32(value, counter_read(txn) + 1);
    meta_put(txn, "counter", bytes_of(value, sizeof value));
    addition->seen = get_be32(value);
    if (addition->refuse)
        return error_set(error, ERR_REFUSED, "not this one");
    return OK;
}

static void *caller_main(void *argument)
{
    struct caller *caller = argument;
    for (unsigned i = 0; i < CALLS; i++) {
        struct addition addition = {.refuse = (i + caller->number) % 5 == 0};
        struct error error = {0};
        enum error_code code = writer_call(caller->desk->writer, run_add, &addition, &error);
        caller->added += code == OK;
        caller->refused += code == ERR_REFUSED;
        caller->failed |=
            code != (addition.refuse ? ERR_REFUSED : OK) || (code == ERR_REFUSED && strcmp(error.detail, "not this one") != 0);
        struct txn *txn = txn_begin(caller->desk->bench.store, false, NULL); // what was answered is there
        caller->failed |= !txn || (code == OK && counter_read(txn) < addition.seen);
        txn_abort(txn);
    }
    return NULL;
}

static void many_threads_call(void **state)
{
    struct desk *desk = *state;
    pthread_t threads[THREADS];
    struct caller callers[THREADS] = {0};
    uint32_t added = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){.desk = desk, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, caller_main, &callers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_false(callers[i].failed);
        assert_int_equal(callers[i].added + callers[i].refused, CALLS);
        added += callers[i].added;
    }
    assert_int_equal(added, THREADS * CALLS * 4 / 5);
    struct txn *txn = fixture_begin(desk->bench.store, false);
    assert_int_equal(counter_read(txn), added); // each once, whatever was run again
    fixture_commit(txn);
}

// Waits until the writer has said so often that something is done.
static void wait_done(struct desk *desk, uint32_t *seen)
{
    pthread_mutex_lock(&desk->mutex);
    while (desk->done == *seen)
        pthread_cond_wait(&desk->woken, &desk->mutex);
    *seen = desk->done;
    pthread_mutex_unlock(&desk->mutex);
}

static void arrivals_and_calls_from_threads(void **state)
{
    struct desk *desk = *state;
    enum { ROWS = 60 };
    pthread_t threads[2];
    struct caller callers[2] = {{.desk = desk, .number = 1}, {.desk = desk, .number = 2}};
    struct pen pen;
    uint32_t seen = 0, taken = 0;
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, caller_main, &callers[i]), 0);
    pen_init(&pen, &posts[VILLAGE], CASE, UP, NULL);
    for (unsigned i = 0; i < ROWS; i++)
        submit_batch(desk, &pen, i + 1, i, i);
    while (taken < ROWS) {
        struct arrival_job *job;
        while ((job = writer_take(desk->writer, &desk->grown))) {
            assert_true(job->link == taken && job->code == OK && job->outcome == RECEIVED && job->mark.headers == taken + 1);
            assert_true(mark_of(desk, CASE).headers >= job->mark.headers); // durable before it is told
            taken++;
            job_free(job);
        }
        if (taken < ROWS)
            wait_done(desk, &seen);
    }
    for (unsigned i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_false(callers[i].failed);
    }
}

static void a_threads_language_goes_with_its_call(void **state)
{
    struct desk *desk = *state;
    struct call call = {.desk = desk, .name = "call"};
    language_set(LANGUAGE_ZH);
    assert_int_equal(writer_call(desk->writer, run, &call, NULL), OK);
    assert_int_equal(call.language, LANGUAGE_ZH);
    language_set(LANGUAGE_EN);
    assert_int_equal(writer_call(desk->writer, run, &call, NULL), OK);
    assert_int_equal(call.language, LANGUAGE_EN);
}

static void the_end_finishes_what_was_submitted(void **state)
{
    struct desk *desk = *state;
    static char names[50][8];
    static struct call calls[50];
    for (unsigned i = 0; i < 50; i++) {
        snprintf(names[i], sizeof names[i], "call%u", i);
        calls[i] = (struct call){.name = names[i]};
        assert_int_equal(submit(desk, &calls[i]), OK);
    }
    writer_destroy(desk->writer);
    desk->writer = NULL;
    for (unsigned i = 0; i < 50; i++)
        assert_true(calls[i].finished == 1 && calls[i].result == OK && said(desk, names[i]));
    writer_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TURN_TEST(many_jobs_one_commit),
        TURN_TEST(an_owed_body_that_comes_later_lets_the_mark_catch_up),
        TURN_TEST(lanes_in_their_order),
        TURN_TEST(bulk_does_not_keep_others_waiting),
        TURN_TEST(a_failing_call_changes_nothing_and_the_others_stand),
        TURN_TEST(all_calls_fail),
        TURN_TEST(an_arrival_that_meets_damage_fails_alone),
        TURN_TEST(fault_7_no_room_tells_everybody_and_passes),
        TURN_TEST(fault_6_an_unknown_outcome_is_fatal),
        TURN_TEST(a_hook_that_fails_fails_all),
        TURN_TEST(an_error_without_words_keeps_its_code),
        TURN_TEST(a_mark_never_passes_a_hole),
        TURN_TEST(a_repair_begins_anew_and_takes_nothing_back),
        TURN_TEST(a_new_generation_has_a_new_mark),
        TURN_TEST(a_body_owed_holds_its_mark_back),
        TURN_TEST(fault_33_a_body_owed_is_not_acknowledged_by_a_repair),
        TURN_TEST(what_is_refused_moves_nothing),
        TURN_TEST(an_owed_body_may_come_in_a_new_generation),
        TURN_TEST(too_much_waiting_is_refused),
        TURN_TEST(what_waits_at_the_end_is_told),
        cmocka_unit_test(fault_8_a_full_map_grows),
        THREAD_TEST(many_threads_call),
        THREAD_TEST(arrivals_and_calls_from_threads),
        THREAD_TEST(a_threads_language_goes_with_its_call),
        THREAD_TEST(the_end_finishes_what_was_submitted),
    };
    return cmocka_run_group_tests_name("relay/writer", tests, setup_posts, teardown_posts);
}
