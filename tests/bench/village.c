#include "tests/bench/village.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "envelope.pb-c.h"
#include "node/statement.h"
#include "record.pb-c.h"
#include "relay/store_memory.h"

atomic_uint village_live;

void village_die(const char *what, const struct error *error)
{
    fprintf(stderr, "village: %s: %s\n", what, error->detail);
    exit(1);
}

void village_must(enum error_code code, const char *what, const struct error *error)
{
    if (code != OK)
        village_die(what, error);
}

static enum verdict on_apply(void *context, struct txn *txn, const struct header *header, const struct certificate *signer,
                             const struct entry *entries, uint64_t position, uint64_t received_ms, const char **reason)
{
    struct village *village = context;
    (void)txn, (void)position, (void)received_ms;
    village->heard_ms = monotonic_ms();
    for (uint32_t i = 0; village->on_entry && i < header->count; i++)
        village->on_entry(village, signer, &entries[i]);
    *reason = NULL;
    return VERDICT_HELD;
}

static bool on_may_certify(void *context, struct txn *txn, const struct certificate *certificate, const struct certificate *issuer)
{
    (void)context, (void)txn, (void)certificate, (void)issuer;
    return true;
}

static void on_document(void *context, struct txn *txn, const struct hash *hash, struct bytes content)
{
    (void)txn, (void)hash, (void)content;
    ((struct village *)context)->heard_ms = monotonic_ms();
}

static void on_begin(void *context, struct txn *txn)
{
    (void)txn;
    author_context(((struct village *)context)->author, utc_ms(), NULL);
}

static void on_before_commit(void *context, struct txn *txn, struct grown *grown)
{
    author_finish(((struct village *)context)->author, txn, grown);
}

static void on_aborted(void *context) { author_abort(((struct village *)context)->author); }
static void on_committed(void *context) { (void)context; }

static void on_fatal(void *context, const struct error *error)
{
    (void)context;
    village_die("store", error);
}

static void on_done(void *context)
{
    struct village *village = context;
    if (village->engine)
        engine_wake(village->engine);
}

static int64_t on_due(void *context)
{
    (void)context;
    return -1;
}

static void on_documents(void *context, uint32_t *ret_codebook, uint32_t *ret_units)
{
    (void)context;
    *ret_codebook = *ret_units = 1;
}

static void on_log(void *context, bool alarm, const char *text)
{
    size_t size = strlen(text);
    (void)context;
    if (alarm)
        fprintf(stderr, "village: ALARM %s\n", text);
    else if (size > 6 && strcmp(text + size - 6, ": live") == 0)
        atomic_fetch_add(&village_live, 1);
}

static void open_writer(struct village *village, bool threaded)
{
    struct error error = {0};
    struct author_config author = {.self = &village->self,
                                   .parent = &village->ancestors[0],
                                   .sign_key = &village->enrolled.identity.sign.secret_key,
                                   .ordinal = 1,
                                   .nonce = village->nonce};
    village_must(author_create(&author, &village->author, &error), "author", &error);
    village_must(signers_create(&village->root, &village->signers, &error), "signers", &error);
    struct receiver receiver = {.place = {.self = &village->self, .parent = &village->ancestors[0]},
                                .signers = village->signers,
                                .context = village,
                                .apply = on_apply,
                                .may_certify = on_may_certify,
                                .document = on_document,
                                .author = village->author};
    struct writer_hooks hooks = {.context = village,
                                 .begin = on_begin,
                                 .before_commit = on_before_commit,
                                 .aborted = on_aborted,
                                 .committed = on_committed,
                                 .fatal = on_fatal,
                                 .done = on_done};
    village_must(writer_create(village->store, &receiver, &hooks, threaded, &village->writer, &error), "writer", &error);
}

static enum error_code run_birth(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    struct village *village = argument;
    struct journal_meta meta = {.format = STORE_FORMAT, .station = village->self.station, .generation = village->generation, .starts = 1};
    journal_create(txn, &meta);
    for (uint32_t i = 0; i <= village->self.depth; i++) {
        const struct certificate *certificate = i ? &village->ancestors[i - 1] : &village->self;
        uint32_t at = i ? village->self.depth - i + 1 : 0; // the chain has the root first
        object_add(txn, &certificate->hash, OBJECT_CERTIFICATE, bytes_of(village->enrolled.wires[at], village->enrolled.sizes[at]));
    }
    return OK;
}

void village_open(struct village *village, const struct enrolled *enrolled, const char *directory)
{
    struct error error = {0};
    uint32_t depth = 0;
    *village = (struct village){.enrolled = *enrolled, .generation = crypto_random_u64(), .nonce = crypto_random_u64()};
    village_must(certificate_decode(bytes_of(enrolled->wires[0], enrolled->sizes[0]), &village->self, &error), "certificate", &error);
    while (depth < CHAIN_MAX && enrolled->sizes[1 + depth])
        depth++;
    for (uint32_t i = 0; i < depth; i++)
        village_must(certificate_decode(bytes_of(enrolled->wires[depth - i], enrolled->sizes[depth - i]), &village->ancestors[i], &error),
                     "chain", &error);
    village->root = village->ancestors[depth - 1].hash;
    village_must(directory ? store_open(directory, STORE_CREATE, 0, &village->store, &error) : store_memory_create(&village->store, &error),
                 "store", &error);
    open_writer(village, directory != NULL);
    village_must(writer_call(village->writer, run_birth, village, &error), "birth", &error);
}

void village_link(struct village *village, const char *endpoint)
{
    struct error error = {0};
    struct engine_config config = {.store = village->store,
                                   .writer = village->writer,
                                   .self = &village->self,
                                   .parent = &village->ancestors[0],
                                   .root = village->root,
                                   .transport_public = &village->enrolled.identity.transport.public_key,
                                   .transport_secret = &village->enrolled.identity.transport.secret_key,
                                   .parent_endpoint = endpoint,
                                   .ordinal = 1,
                                   .nonce = village->nonce,
                                   .generation = village->generation,
                                   .starts = ++village->starts,
                                   .hooks = {.context = village, .due_ms = on_due, .documents = on_documents, .log = on_log}};
    village->heard_ms = monotonic_ms();
    village_must(engine_create(&config, &village->engine, &error), "engine", &error);
    engine_begin(village->engine);
}

void village_turn(struct village *village)
{
    engine_turn(village->engine);
    while (writer_turn(village->writer))
        ;
}

void village_state(struct village *village, struct txn *txn, unsigned lane, uint32_t extent, uint32_t cell, int64_t value)
{
    struct buffer wire = {0};
    uint64_t now = utc_ms();
    struct statement statement = {.unit_from = village->self.unit_from,
                                  .term = village->self.term,
                                  .period = {SANJI__PERIOD_TYPE__MONTH, month_of_days(civil_of_instant(now, 0))},
                                  .scope = SANJI__SCOPE__OWN,
                                  .basis = SANJI__BASIS__IMPORTED,
                                  .extent = extent,
                                  .cells = &cell,
                                  .values = &value,
                                  .count = 1};
    statement.definition.bytes[0] = 'b';
    statement.definition.bytes[1] = (uint8_t)lane; // each lane is a feed of its own
    snprintf(statement.unit, sizeof statement.unit, "%s", village->self.unit);
    statement_encode(&statement, &wire);
    author_add(village->author, txn, lane, SANJI__AUDIENCE__UP, NULL, REACH_TOP, SANJI__ENTRY_KIND__STATEMENT, now, buffer_bytes(&wire),
               NULL);
    buffer_finish(&wire);
}
