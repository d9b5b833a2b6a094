// Shows every checker what happened: rows of the journals, messages, steps, and the world at rest.
#include "tests/sim/check.h"

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "relay/arena.h"
#include "tests/sim/memory.h"

static const struct checker *const checkers[] = {&check_durable, &check_quiet,    &check_evidence, &check_once,
                                                 &check_feeds,   &check_entitled, &check_bytes,    &check_bounded,
                                                 &check_urgent,  &check_receipts, &check_views,    &check_arrived};
enum { CHECKERS = sizeof checkers / sizeof *checkers };

static struct arena message_arena;
static struct signers *certificates; // any station's: read from the store at hand

struct txn *check_reader(struct site *site)
{
    struct error error = {0};
    struct txn *txn = txn_begin(site->store, false, &error);
    assert(txn);
    return txn;
}

bool check_whole(struct site *site)
{
    struct batch_row row;
    if (!site->rotten)
        return true;
    struct txn *txn = check_reader(site);
    bool whole = journal_read(txn, site->rotten, &row);
    txn_abort(txn);
    if (whole) {
        site->rotten = 0;
        path_taken(SIM_PATH_mended);
    }
    return whole;
}

// ---- journals

static struct held_feed *held_feed(struct site *site, uint32_t id)
{
    if (id >= site->held_count) {
        uint32_t count = id + 32;
        site->held = realloc(site->held, count * sizeof *site->held);
        assert(site->held);
        memset(site->held + site->held_count, 0, (count - site->held_count) * sizeof *site->held);
        site->held_count = count;
    }
    return &site->held[id];
}

static void learn(struct committed *new)
{
    struct model_batch batch = {.first = new->header->first,
                                .count = new->header->count,
                                .reach = new->header->reach,
                                .committed_ms = world->now,
                                .header = new->header->hash,
                                .body = crypto_hash(TAG_DIGEST, new->row->body)};
    struct model_feed *feed = model_feed(&world->model, &new->header->feed, new->site->unit, true);
    const struct model_batch *known = model_find(feed, batch.first, &batch.header);
    if (known && hash_equal(&known->header, &batch.header)) // of a copy put back
        return;
    if (new->site->restored)
        check_fail(&check_quiet, "%s signs place %llu of a feed, and its store was put back from a copy", site_name(new->site),
                   (unsigned long long)batch.first);
    struct model_history *history = model_history(feed, new->site->twin);
    if (model_next(history) == batch.first) {
        model_append(history, &batch);
        world->result->batches++;
    } else {
        check_fail(&check_feeds, "%s signed place %llu of its feed where %llu is next", site_name(new->site),
                   (unsigned long long)batch.first, (unsigned long long)model_next(history));
    }
}

static void note_row(const struct site *site, const struct committed *new)
{
    step_note(site, new->row->from.bytes[0] || new->truth == NULL ? "stores" : "holds", new->position, new->header->first,
              new->row->body.size);
    if (new->feed &&new->feed->origin != site->unit) {
        if (new->row->body.size == 0)
            path_taken(SIM_PATH_bodiless);
        if (new->header->feed.audience != SANJI__AUDIENCE__UP)
            path_taken(SIM_PATH_down);
    }
}

static void scan_row(struct site *site, struct txn *txn, uint64_t position)
{
    static const struct station_id here;
    struct batch_row row;
    struct header header;
    struct committed new = {.site = site, .txn = txn, .row = &row, .header = &header, .position = position};
    if (!journal_read(txn, position, &row) || header_decode(row.header, &header, NULL) != OK) {
        check_fail(&check_bytes, "%s: row %llu of its journal can't be read", site_name(site), (unsigned long long)position);
        return;
    }
    new.signer = signers_find(certificates, txn, &header.certificate);
    if (station_equal(&row.from, &here))
        learn(&new);
    new.feed = model_feed(&world->model, &header.feed, 0, false);
    new.truth = new.feed ? model_find(new.feed, header.first, &header.hash) : NULL;
    note_row(site, &new);
    if (!new.truth || !new.signer) {
        check_fail(&check_bytes, "%s holds place %llu of a feed that nobody signed", site_name(site), (unsigned long long)header.first);
        return;
    }
    struct held_feed *held = held_feed(site, row.feed);
    if (!held->known)
        *held = (struct held_feed){true, (uint32_t)(new.feed - world->model.feeds), 1, {{0}}};
    for (int i = 0; i < CHECKERS && !world->over; i++)
        if (checkers[i]->committed)
            checkers[i]->committed(&new);
    held->next = header.first + header.count;
    held->last = header.hash;
}

void check_commit(struct site *site)
{
    struct error error = {0};
    if (!certificates)
        signers_create(&world->sites[0].self.hash, &certificates, &error);
    assert(certificates);
    struct txn *txn = check_reader(site);
    uint64_t end = journal_end(txn);
    while (site->seen < end && !world->over)
        scan_row(site, txn, ++site->seen);
    txn_abort(txn);
}

void check_applied(struct site *site)
{
    for (uint32_t i = 0; i < site->application_count; i++)
        for (int k = 0; k < CHECKERS && !world->over; k++)
            if (checkers[k]->applied)
                checkers[k]->applied(site, &site->applications[i]);
}

// ---- messages

static void note_message(const struct site *from, const struct link_in *in, size_t body_size)
{
    static const char *const names[] = {
        [LINK_HELLO] = "sends hello", [LINK_HEADS] = "sends heads",      [LINK_PUSH] = "sends piece",
        [LINK_ACK] = "sends ack",     [LINK_PING] = "sends ping",        [LINK_ERROR] = "sends error",
        [LINK_GRANT] = "sends grant", [LINK_WANT] = "wants damaged row", [LINK_SIGNED_HEADS] = "sends signed heads"};
    const unsigned count = sizeof names / sizeof *names;
    const char *name = in->type < count && names[in->type] ? names[in->type] : "sends word";
    uint64_t a = in->channel, b = 0, c = body_size;
    if (in->type == LINK_PUSH) {
        b = in->push.piece.position;
        c = in->push.piece.offset;
    } else if (in->type == LINK_ACK) {
        b = in->ack.headers;
        c = in->ack.bodies;
    } else if (in->type == LINK_ERROR) {
        b = in->error.fault;
    }
    step_note(from, in->type == LINK_HEADS && in->heads.want ? "wants heads" : name, a, b, c);
}

// Whether the receiver has the batch already.
static bool is_held(struct site *site, struct bytes wire)
{
    struct header header;
    struct feed_state state;
    uint32_t id;
    if (header_decode(wire, &header, NULL) != OK)
        return false;
    struct txn *txn = check_reader(site);
    bool held = feed_find(txn, &header.feed, &id, &state) && state.next > header.first;
    txn_abort(txn);
    return held;
}

static void note_paths(struct site *to, const struct link_in *in)
{
    if (in->type == LINK_PUSH && in->push.is_object)
        path_taken(SIM_PATH_object);
    else if (in->type == LINK_PUSH && in->push.piece.offset == 0 && is_held(to, in->push.header))
        path_taken(SIM_PATH_duplicate);
    if (in->type == LINK_HEADS && in->heads.want)
        path_taken(SIM_PATH_heads);
    if (in->type == LINK_ERROR && in->error.fault == SANJI__LINK_FAULT__FAULT_GAP)
        path_taken(SIM_PATH_gap);
    for (unsigned i = 0; in->type == LINK_HELLO && i < CORE_CHANNELS; i++)
        if (in->hello.hello.staged[i].position)
            path_taken(SIM_PATH_resumed);
}

const struct link_in *check_sent(struct site *from, struct site *to, struct site *child, struct bytes message, size_t body_size)
{
    static struct link_in in;
    struct error error = {0};
    arena_reset(&message_arena);
    if (link_decode(message, body_size, &message_arena, &in, &error) != OK) {
        check_fail(&check_bounded, "%s sends what does not decode: %s", site_name(from), error.detail);
        return NULL;
    }
    note_message(from, &in, body_size);
    note_paths(to, &in);
    if (in.type == LINK_PUSH) {
        struct pipe *pipe = &child->line.pipes[from == child ? SIDE_UP : SIDE_DOWN];
        pipe->piece_bytes += in.push.piece.length + in.push.piece.overhead;
        if (pipe->piece_bytes > pipe->most_bytes)
            pipe->most_bytes = pipe->piece_bytes;
    }
    struct sending sending = {from, to, child, &in, body_size};
    for (int i = 0; i < CHECKERS && !world->over; i++)
        if (checkers[i]->sent)
            checkers[i]->sent(&sending);
    return &in;
}

// ---- steps and rest

void check_step(struct site *site)
{
    for (int i = 0; i < CHECKERS && !world->over; i++)
        if (checkers[i]->step)
            checkers[i]->step(site);
}

void check_rest(void)
{
    for (uint32_t s = 0; s < world->count && !world->over; s++)
        for (int i = 0; i < CHECKERS && !world->over; i++)
            if (checkers[i]->rest)
                checkers[i]->rest(&world->sites[s]);
}

void check_free(void)
{
    for (int i = 0; i < CHECKERS; i++)
        if (checkers[i]->free)
            checkers[i]->free();
    signers_destroy(certificates);
    certificates = NULL;
    arena_finish(&message_arena);
}
