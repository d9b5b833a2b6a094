// Gives a station on whose directory no node runs what stations below it would have sent: signed batches, checked, journaled, routed and
// applied by the code that a node runs, in transactions as large as its writer makes them under load.
//   bench_fill DIR EVENTS BATCH MONTHS ORDER
// Units below the station's own that have no station yet get one, certified by the one above it. The lowest speak: an event is one
// visit, stated as a patch of two cells (its category and colour; the total of that colour), BATCH events in a batch. ORDER:
//   months  each of the last MONTHS months in turn, all speakers in each, in an order of chance; at last all say they are complete
//   blocks  blocks of 500 speakers that lie all over the tree; each speaks twice, of any of those months
// Prints one JSON object: stations, events, and what the records cost, as a whole and for every 100,000 of them.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "node/statement.h"
#include "node/station_inside.h"
#include "record.pb-c.h"

enum {
    BLOCK = 500,
    WINDOW = 100000, // events of one line of the report
    CATEGORIES = 8,
    COLOURS = 4,
    CELLS = 64,
    PENDING_MAX = 8 * 1024 * 1024, // bytes handed to the writer before it has its turn: one of its transactions
};

struct speaker_below {
    struct certificate certificate;
    struct secret_key key;
    struct feed_state state;
    uint64_t nonce;
    int32_t unit, peer; // whose link brings what it says: a unit
    int64_t *values;    // [months][CELLS], while it speaks
    uint8_t *stated;    // [months]
};

struct filling {
    struct station *station;
    struct signers *signers;
    struct documents *documents; // those at the start
    const struct units *units;
    const struct indicator *visits;
    struct speaker_below **at; // by unit
    uint64_t *positions;       // by unit, of a child: its stream's end
    int32_t *speakers, speaker_count, stations;
    uint64_t generation, random, now_ms;
    uint64_t events, batch, months;
    uint64_t said, pending, bodies;
    int32_t month; // the last one
    double check_s, apply_s, cpu_s, enrol_s;
};

static void must(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "bench_fill: %s\n", what);
    exit(1);
}

static void must_do(enum error_code code, const struct error *error) { must(code == OK, error->detail); }

static double clock_s(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// xorshift64: the same events in every run.
static uint32_t chance(struct filling *filling, uint32_t below)
{
    filling->random ^= filling->random << 13;
    filling->random ^= filling->random >> 7;
    filling->random ^= filling->random << 17;
    return (uint32_t)((filling->random >> 16) % below);
}

static void shuffle(struct filling *filling, int32_t *items, int32_t count)
{
    for (int32_t i = count - 1; i > 0; i--) {
        int32_t other = (int32_t)chance(filling, (uint32_t)i + 1), item = items[i];
        items[i] = items[other];
        items[other] = item;
    }
}

// ---- handing over

static void take_turn(struct filling *filling)
{
    struct grown grown;
    struct arrival_job *job;
    double began = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    while (writer_turn(filling->station->writer))
        ;
    filling->apply_s += clock_s(CLOCK_MONOTONIC) - began;
    filling->cpu_s += clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    while ((job = writer_take(filling->station->writer, &grown))) {
        must(job->code == OK && job->outcome == RECEIVED, "a row was not received");
        arrival_finish(&job->arrival);
        free(job);
    }
    filling->pending = 0;
}

static struct arrival_job *new_job(struct filling *filling, const struct speaker_below *from)
{
    struct arrival_job *job = calloc(1, sizeof *job);
    must(job, "no memory");
    job->after = filling->positions[from->peer]++;
    job->arrival = (struct arrival){.peer = filling->at[from->peer]->certificate.station,
                                    .stream = SANJI__STREAM__STREAM_UP,
                                    .lane = SANJI__LANE__AGGREGATE,
                                    .generation = filling->generation,
                                    .position = job->after + 1,
                                    .received_ms = utc_ms()};
    return job;
}

static void submit(struct filling *filling, struct arrival_job *job)
{
    filling->pending += job->arrival.header.size + job->arrival.body.size + 512;
    must(writer_submit_arrival(filling->station->writer, job) == OK, "the writer takes no more");
    if (filling->pending > PENDING_MAX)
        take_turn(filling);
}

// What an engine does with a row before it gives it to the writer.
static void check(struct filling *filling, struct arrival *arrival)
{
    struct error error = {0};
    double began = clock_s(CLOCK_MONOTONIC), cpu = clock_s(CLOCK_PROCESS_CPUTIME_ID);
    struct txn *txn = txn_begin(filling->station->store, false, &error);
    must(txn != NULL, error.detail);
    must_do(arrival_check(arrival, filling->signers, txn, &error), &error);
    txn_abort(txn);
    filling->check_s += clock_s(CLOCK_MONOTONIC) - began;
    filling->cpu_s += clock_s(CLOCK_PROCESS_CPUTIME_ID) - cpu;
}

// ---- stations

static void enrol(struct filling *filling, int32_t unit, struct buffer *wire)
{
    struct error error = {0};
    struct secret_key other;
    const struct unit *item = &filling->units->items[unit];
    const struct station *own = filling->station;
    const struct speaker_below *above = filling->at[item->parent];
    const struct certificate *issuer = above ? &above->certificate : &own->self;
    struct speaker_below *made = calloc(1, sizeof *made);
    must(made, "no memory");
    made->unit = unit;
    made->peer = above ? above->peer : unit;
    made->nonce = crypto_random_u64();
    feed_state_init(&made->state);
    made->certificate = (struct certificate){
        .term = issuer->term + 1, .ordinal = 1, .issued_ms = filling->now_ms, .units = filling->units->hash, .depth = issuer->depth + 1};
    crypto_random(made->certificate.station.bytes, STATION_ID_SIZE);
    crypto_random(made->certificate.serial, sizeof made->certificate.serial);
    crypto_sign_keypair(&made->certificate.sign_key, &made->key);
    crypto_seal_keypair(&made->certificate.seal_key, &other);
    crypto_seal_keypair(&made->certificate.transport_key, &other);
    memcpy(made->certificate.unit, item->code, sizeof item->code);
    memcpy(made->certificate.tier, filling->units->tiers[item->tier], sizeof made->certificate.tier);
    made->certificate.unit_from = item->from;
    must_do(certificate_issue(&made->certificate, issuer, above ? &above->key : &own->identity.sign.secret_key, wire, &error), &error);
    filling->at[unit] = made;
    filling->stations++;
}

// As the join endpoint leaves it.
static enum error_code run_peer(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    struct filling *filling = ((void **)argument)[0];
    const struct speaker_below *child = ((void **)argument)[1];
    const struct buffer *wire = ((void **)argument)[2];
    struct peer peer = {.station = child->certificate.station,
                        .transport_key = child->certificate.transport_key,
                        .certificate = child->certificate.hash,
                        .enrolled_ms = filling->now_ms};
    memcpy(peer.unit, child->certificate.unit, sizeof peer.unit);
    object_add(txn, &child->certificate.hash, OBJECT_CERTIFICATE, buffer_bytes(wire));
    peer_write(txn, &peer);
    filling->station->applier.reload = true;
    return OK;
}

static void introduce(struct filling *filling, int32_t unit)
{
    struct error error = {0};
    struct buffer wire = {0};
    enrol(filling, unit, &wire);
    struct speaker_below *made = filling->at[unit];
    if (made->peer == unit) {
        void *argument[3] = {filling, made, &wire};
        must_do(writer_call(filling->station->writer, run_peer, argument, &error), &error);
        buffer_finish(&wire);
        return;
    }
    struct arrival_job *job = new_job(filling, made);
    job->arrival.is_object = job->arrival.checked = true;
    job->arrival.object = made->certificate.hash;
    job->arrival.body = wire;
    submit(filling, job);
}

static bool has_station(const struct filling *filling, int32_t unit)
{
    struct txn *txn = txn_begin(filling->station->store, false, NULL);
    struct station_id after = {0};
    struct peer peer;
    bool found = false;
    must(txn != NULL, "no transaction");
    while (!found && peer_next(txn, &after, &peer)) {
        after = peer.station;
        found = units_find(filling->units, peer.unit) == unit;
    }
    txn_abort(txn);
    return found;
}

// Who speaks: the lowest units, but for those below a station that is there.
static void find_speakers(struct filling *filling)
{
    const struct unit *items = filling->units->items;
    int32_t own = filling->documents->unit;
    for (int32_t unit = own + 1; unit < items[own].subtree_end; unit++)
        if (items[unit].parent == own && has_station(filling, unit))
            unit = items[unit].subtree_end - 1;
        else if (items[unit].subtree_end == unit + 1)
            filling->speakers[filling->speaker_count++] = unit;
    must(filling->speaker_count > 0, "nobody is below");
}

static void introduce_above(struct filling *filling, int32_t unit)
{
    if (filling->at[unit] || unit == filling->documents->unit)
        return;
    introduce_above(filling, filling->units->items[unit].parent);
    introduce(filling, unit);
}

// The stations of these speakers and of all above them. What that costs is no record's cost.
static void introduce_all(struct filling *filling, const int32_t *speakers, int32_t count)
{
    take_turn(filling);
    double apply_s = filling->apply_s, cpu_s = filling->cpu_s, began = clock_s(CLOCK_MONOTONIC);
    for (int32_t i = 0; i < count; i++)
        introduce_above(filling, speakers[i]);
    take_turn(filling);
    filling->enrol_s += clock_s(CLOCK_MONOTONIC) - began;
    filling->apply_s = apply_s;
    filling->cpu_s = cpu_s;
}

// ---- what they say

static void add_entry(struct filling *filling, struct batch_draft *draft, uint32_t kind, const struct buffer *content)
{
    struct error error = {0};
    must(!content->failed, "no memory");
    must_do(batch_draft_add(draft, kind, filling->now_ms, buffer_bytes(content), NULL, &error), &error);
}

static void say_visit(struct filling *filling, struct speaker_below *who, struct batch_draft *draft, uint32_t month, struct buffer *wire)
{
    const struct dimension *dims = filling->visits->dims;
    uint32_t colour = (2 + chance(filling, COLOURS)) * dims[1].stride;
    uint32_t cells[2] = {colour, colour + (2 + chance(filling, CATEGORIES)) * dims[0].stride};
    int64_t *values = who->values + (size_t)month * CELLS, said[2];
    for (int i = 0; i < 2; i++)
        said[i] = ++values[cells[i]];
    struct statement statement = {.definition = filling->visits->definition,
                                  .unit_from = who->certificate.unit_from,
                                  .term = who->certificate.term,
                                  .period = {SANJI__PERIOD_TYPE__MONTH, filling->month - (int32_t)month},
                                  .scope = SANJI__SCOPE__OWN,
                                  .basis = SANJI__BASIS__COMPUTED,
                                  .extent = who->stated[month] ? SANJI__EXTENT__PATCH : SANJI__EXTENT__FULL,
                                  .cells = cells,
                                  .values = said,
                                  .count = 2};
    memcpy(statement.unit, who->certificate.unit, sizeof statement.unit);
    who->stated[month] = 1;
    buffer_clear(wire);
    statement_encode(&statement, wire);
    add_entry(filling, draft, SANJI__ENTRY_KIND__STATEMENT, wire);
}

static void say_complete(struct filling *filling, struct speaker_below *who, struct batch_draft *draft, struct buffer *wire)
{
    struct complete complete = {.unit_from = who->certificate.unit_from,
                                .term = who->certificate.term,
                                .through = {SANJI__PERIOD_TYPE__MONTH, filling->month},
                                .head = who->state.next - 1};
    memcpy(complete.unit, who->certificate.unit, sizeof complete.unit);
    buffer_clear(wire);
    complete_encode(&complete, wire);
    add_entry(filling, draft, SANJI__ENTRY_KIND__COMPLETE, wire);
}

// One batch of `who`: visits of `month` (-1: of any), or its word that it is complete (no visits).
static void speak(struct filling *filling, int32_t unit, uint64_t visits, int month)
{
    struct error error = {0};
    struct speaker_below *who = filling->at[unit];
    struct feed_key feed = {.station = who->certificate.station,
                            .ordinal = 1,
                            .nonce = who->nonce,
                            .lane = SANJI__LANE__AGGREGATE,
                            .audience = SANJI__AUDIENCE__UP};
    struct batch_draft draft = {0};
    struct buffer wire = {0};
    struct header header;
    uint8_t signature[SIGNATURE_SIZE];
    must_do(batch_draft_init(&draft, &feed, REACH_TOP, &error), &error);
    for (uint64_t i = 0; i < visits; i++)
        say_visit(filling, who, &draft, month < 0 ? chance(filling, (uint32_t)filling->months) : (uint32_t)month, &wire);
    if (visits == 0)
        say_complete(filling, who, &draft, &wire);
    struct arrival_job *job = new_job(filling, who);
    must_do(batch_draft_sign(&draft, &who->state, &who->certificate, &who->key, filling->now_ms, NULL, NULL, 0, &job->arrival.header,
                             &header, signature, &error),
            &error);
    buffer_append(&job->arrival.signature, signature, sizeof signature);
    job->arrival.body = draft.body;
    draft.body = (struct buffer){0};
    filling->bodies += job->arrival.body.size;
    struct feed_claim claim = {.first = header.first, .count = header.count, .header = header.hash, .prev = header.prev};
    feed_extend(&who->state, &claim, true, true);
    batch_draft_finish(&draft);
    buffer_finish(&wire);
    check(filling, &job->arrival);
    submit(filling, job);
    filling->said += visits;
}

// ---- the report

static void report_window(struct filling *filling, uint64_t *next)
{
    static double check_s, apply_s, cpu_s;
    static uint64_t from;
    if (filling->said < *next)
        return;
    take_turn(filling);
    double each = 1e6 / (double)(filling->said - from);
    printf("%s  {\"events\": %" PRIu64 ", \"us\": %.4f, \"check_us\": %.4f, \"cpu_us\": %.4f}", from ? ",\n" : "", filling->said,
           (filling->check_s - check_s + filling->apply_s - apply_s) * each, (filling->check_s - check_s) * each,
           (filling->cpu_s - cpu_s) * each);
    check_s = filling->check_s;
    apply_s = filling->apply_s;
    cpu_s = filling->cpu_s;
    from = filling->said;
    *next += WINDOW;
}

static void hear(struct filling *filling, int32_t unit)
{
    struct speaker_below *who = filling->at[unit];
    who->values = who->values ? who->values : calloc(filling->months, CELLS * sizeof *who->values);
    who->stated = who->stated ? who->stated : calloc(filling->months, 1);
    must(who->values && who->stated, "no memory");
}

static void forget(struct filling *filling, int32_t unit)
{
    struct speaker_below *who = filling->at[unit];
    free(who->values);
    free(who->stated);
    who->values = NULL;
    who->stated = NULL;
}

static void by_months(struct filling *filling)
{
    uint64_t next = WINDOW, turns = filling->months * (uint64_t)filling->speaker_count, turn = 0;
    introduce_all(filling, filling->speakers, filling->speaker_count);
    for (int32_t i = 0; i < filling->speaker_count; i++)
        hear(filling, filling->speakers[i]);
    for (int month = (int)filling->months - 1; month >= 0; month--) {
        shuffle(filling, filling->speakers, filling->speaker_count);
        for (int32_t i = 0; i < filling->speaker_count; i++) {
            uint64_t left = (filling->events - filling->said) / (turns - turn++);
            for (uint64_t most = filling->batch; left > 0; left -= left < most ? left : most)
                speak(filling, filling->speakers[i], left < most ? left : most, month);
            report_window(filling, &next);
        }
    }
    for (int32_t unit = 0; unit < filling->units->count; unit++)
        if (filling->at[unit])
            speak(filling, unit, 0, 0);
}

static void by_blocks(struct filling *filling)
{
    uint64_t next = WINDOW;
    shuffle(filling, filling->speakers, filling->speaker_count);
    for (int32_t from = 0; filling->said < filling->events; from = from + BLOCK < filling->speaker_count ? from + BLOCK : 0) {
        int32_t count = filling->speaker_count - from < BLOCK ? filling->speaker_count - from : BLOCK;
        introduce_all(filling, filling->speakers + from, count);
        for (int round = 0; round < 2; round++) {
            shuffle(filling, filling->speakers + from, count);
            for (int32_t i = 0; i < count && filling->said < filling->events; i++) {
                hear(filling, filling->speakers[from + i]);
                speak(filling, filling->speakers[from + i], filling->batch, -1);
                report_window(filling, &next);
            }
        }
        for (int32_t i = 0; i < count; i++)
            forget(filling, filling->speakers[from + i]);
    }
}

static void start(struct filling *filling, const char *directory)
{
    struct error error = {0};
    must_do(station_open(directory, &filling->station, &error), &error);
    must_do(signers_create(&filling->station->config.root, &filling->signers, &error), &error);
    filling->documents = station_documents(filling->station);
    const struct codebook *codebook = filling->documents->codebook;
    filling->units = filling->documents->units;
    for (uint32_t i = 0; codebook && i < codebook->indicator_count; i++)
        if (strcmp(codebook->indicators[i].id, "visits") == 0)
            filling->visits = &codebook->indicators[i];
    must(filling->visits && filling->visits->dim_count == 2 && filling->visits->cell_count <= CELLS, "no visits by category and colour");
    filling->now_ms = utc_ms();
    filling->month = month_of_days(civil_of_instant(filling->now_ms, codebook->tz_minutes)) - 1;
    filling->generation = crypto_random_u64();
    filling->random = UINT64_C(88172645463325252);
    size_t units = (size_t)filling->units->count;
    filling->at = calloc(units, sizeof *filling->at);
    filling->positions = calloc(units, sizeof *filling->positions);
    filling->speakers = calloc(units, sizeof *filling->speakers);
    must(filling->at && filling->positions && filling->speakers, "no memory");
}

static void finish(struct filling *filling)
{
    for (int32_t unit = 0; unit < filling->units->count; unit++)
        if (filling->at[unit]) {
            forget(filling, unit);
            free(filling->at[unit]);
        }
    free(filling->at);
    free(filling->positions);
    free(filling->speakers);
    signers_destroy(filling->signers);
    station_release(filling->station, filling->documents);
    station_close(filling->station);
}

int main(int count, char **arguments)
{
    struct filling filling = {0};
    must(count == 6, "bench_fill DIR EVENTS BATCH MONTHS months|blocks");
    start(&filling, arguments[1]);
    filling.events = strtoull(arguments[2], NULL, 10);
    filling.batch = strtoull(arguments[3], NULL, 10);
    filling.months = strtoull(arguments[4], NULL, 10);
    must(filling.batch >= 1 && filling.batch <= BATCH_ENTRIES_MAX && filling.months >= 1 && filling.months <= 120, "BATCH or MONTHS");
    double began = clock_s(CLOCK_MONOTONIC);
    find_speakers(&filling);
    printf("{\"windows\": [\n");
    if (strcmp(arguments[5], "months") == 0)
        by_months(&filling);
    else
        by_blocks(&filling);
    take_turn(&filling);
    printf("], \"stations\": %d, \"enrol_s\": %.3f, \"events\": %" PRIu64 ", \"body_bytes\": %" PRIu64
           ", \"check_s\": %.4f, \"apply_s\": %.4f, \"cpu_s\": %.4f, \"all_s\": %.3f, \"month\": %d}\n",
           filling.stations, filling.enrol_s, filling.said, filling.bodies, filling.check_s, filling.apply_s, filling.cpu_s,
           clock_s(CLOCK_MONOTONIC) - began, filling.month);
    fflush(stdout);
    finish(&filling);
    return 0;
}
