// Signed heads, made, received and passed on: relay/engine_heads.h.
#include "relay/engine_inside.h"

#include <stdlib.h>

#include "link.pb-c.h"

enum {
    SEND_MS = 1000,    // between two looks at what waits to be sent
    SEND_BYTES = 4096, // over one link at once, and an eighth of a second of what it carries: urgent rows wait no longer than that
};

bool heads_live_since(const struct engine *engine, uint32_t link, uint64_t *ret)
{
    struct core_link_status status;
    if (!core_link(engine->core, link, &status) || status.state != LINK_LIVE)
        return false;
    *ret = status.since_ms;
    return true;
}

static bool signs(const struct engine *engine) { return engine->config.sign_key && engine->config.starts; }

// ---- a claim arrives

static void note_ends(struct txn *txn, uint64_t up[LANES], uint64_t down[LANES])
{
    for (uint8_t lane = 1; lane <= LANES; lane++) {
        up[lane - 1] = stream_end(txn, &(struct stream){.stream = SANJI__STREAM__STREAM_UP, .lane = lane});
        down[lane - 1] = stream_end(txn, &(struct stream){.stream = SANJI__STREAM__STREAM_DOWN_ALL, .lane = lane});
    }
}

void heads_pass_on(struct engine *engine, struct txn *txn, struct heads_entry *entry, uint64_t now)
{
    struct heads_book *book = &engine->heads;
    entry->serial = ++book->serial;
    entry->waits = engine->config.parent && (entry->below || entry == book->own);
    note_ends(txn, entry->up_ends, entry->down_ends);
    heads_soon(&book->send_ms, now);
}

// Whether this peer may bring it: a child what is signed below us and at or below itself, the parent what is signed above us.
static bool may_bring(struct engine *engine, struct txn *txn, uint32_t link, const struct certificate *signer)
{
    const struct slot *slot = &engine->links.slots[link];
    struct peer peer;
    if (slot->parent)
        return heads_above(&engine->heads, &signer->station);
    bool enrolled = peer_read(txn, &slot->station, &peer);
    return signer->depth > engine->config.self->depth &&
           signers_passes(engine->signers, txn, signer, &slot->station, enrolled ? peer.unit : NULL);
}

static struct heads held_order(const struct heads_entry *entry)
{
    return (struct heads){.ordinal = entry->ordinal, .starts = entry->starts, .number = entry->number};
}

static void take(struct engine *engine, struct txn *txn, uint32_t link, const struct heads *heads, const struct link_in *in,
                 const struct certificate *signer)
{
    struct heads_book *book = &engine->heads;
    uint64_t now = monotonic_ms();
    bool other = false;
    struct heads_entry *entry = heads_enter(book, &heads->station);
    if (!entry)
        return;
    if (entry->claim && entry->ordinal != heads->ordinal) {
        memset(entry->behind_ms, 0, sizeof entry->behind_ms);
        entry->told = 0;
    }
    entry->below = signer->depth > engine->config.self->depth;
    entry->withheld = heads_watch(txn, entry, heads, now, &other);
    if (txn_error(txn) != OK)
        return;
    heads_judge(engine, txn, heads, in, link, other);
    struct heads held = held_order(entry);
    if (entry->claim && heads_order(heads, &held) <= 0) {
        engine->links.slots[link].heads_refused++; // a second one of the same number
        return;
    }
    entry->via = engine->links.slots[link].station;
    entry->link = link;
    entry->heard_ms = now;
    entry->received_ms = utc_ms();
    entry->quiet_ms = 0;
    entry->dirty = true;
    heads_soon(&book->write_ms, now + HEADS_WRITE_MS);
    if (entry->withheld || entry->told)
        heads_soon(&book->look_ms, now + HEADS_LOOK_MS);
    uint64_t since;
    if (entry->waits && !entry->withheld && heads_live_since(engine, 0, &since))
        return; // the one before is still to be passed on, or a busy line would never carry any
    if (!heads_keep(entry, heads, in->signed_heads.claim, in->signed_heads.signature.data))
        return;
    entry->waits = false;
    if (!entry->withheld)
        heads_pass_on(engine, txn, entry, now);
}

static void refuse(struct engine *engine, uint32_t link, uint32_t fault)
{
    struct core_event event = engine_event(EVENT_REFUSED, link);
    event.error.fault = fault;
    engine->links.slots[link].heads_refused++;
    engine_step(engine, &event);
}

// What costs nothing to see: it is no newer than what is here, or comes too soon after.
static bool stale(const struct heads_book *book, const struct heads *heads, struct bytes claim, bool *ret_count)
{
    const struct heads_entry *entry = heads_find(book, &heads->station);
    *ret_count = true;
    if (entry == book->own)
        return true;
    if (!entry || !entry->claim)
        return false;
    struct heads held = held_order(entry);
    int order = heads_order(heads, &held);
    if (order == 0)
        *ret_count = !bytes_equal(claim, bytes_of(entry->claim, entry->claim_size)); // a new session begins with what was said before
    if (order < 0 || (order == 0 && !*ret_count))
        return true;
    return entry->heard_ms && monotonic_ms() - entry->heard_ms < HEADS_APART_MS;
}

void engine_heads_handle(struct engine *engine, uint32_t link, const struct link_in *in)
{
    struct slot *slot = &engine->links.slots[link];
    struct heads heads;
    uint64_t since;
    bool count;
    if (!engine->heads.own || !heads_live_since(engine, link, &since) || in->session != slot->peer_session)
        return;
    if (heads_decode(in->signed_heads.claim, &heads, NULL) != OK) {
        refuse(engine, link, SANJI__LINK_FAULT__FAULT_PROTOCOL);
        return;
    }
    struct core_event heard = engine_event(EVENT_HEARD, link);
    heard.session = in->session;
    engine_step(engine, &heard);
    if (stale(&engine->heads, &heads, in->signed_heads.claim, &count)) {
        slot->heads_refused += count;
        return;
    }
    struct txn *txn = engine_reader(engine);
    const struct certificate *found = txn ? signers_find(engine->signers, txn, &heads.certificate) : NULL;
    if (!found)
        return; // its first batch will bring the certificate
    struct certificate signer = *found;
    if (heads_check(in->signed_heads.claim, in->signed_heads.signature, &heads, &signer, NULL) != OK) {
        refuse(engine, link, SANJI__LINK_FAULT__FAULT_FORGED);
        return;
    }
    if (may_bring(engine, txn, link, &signer))
        take(engine, txn, link, &heads, in, &signer);
    else
        slot->heads_refused++;
    struct error error = {0};
    if (txn_report(txn, &error) != OK) {
        engine_report(engine, true, error.detail);
        engine_reader_end(engine);
    }
}

// ---- our own

static bool same_heads(const struct heads *a, const struct heads *b)
{
    if (a->count != b->count || a->ordinal != b->ordinal)
        return false;
    for (uint32_t i = 0; i < a->count; i++) {
        uint8_t keys[2][FEED_KEY_SIZE];
        feed_key_encode(&a->heads[i].feed, keys[0]);
        feed_key_encode(&b->heads[i].feed, keys[1]);
        if (memcmp(keys[0], keys[1], FEED_KEY_SIZE) != 0 || a->heads[i].next != b->heads[i].next ||
            !hash_equal(&a->heads[i].last, &b->heads[i].last))
            return false;
    }
    return true;
}

// Signs where our feeds stand, if that changed or the time has come.
static void sign_own(struct engine *engine, uint64_t now, bool beat)
{
    struct heads_book *book = &engine->heads;
    struct heads heads = {.starts = engine->config.starts, .time_ms = utc_ms()};
    struct buffer claim = {0};
    uint8_t signature[SIGNATURE_SIZE];
    struct txn *txn = engine_reader(engine);
    book->changed_ms = 0;
    book->check_ms = UINT64_MAX;
    if (beat)
        book->beat_ms = now + HEADS_BEAT_MS * 3 / 4 + crypto_random_u64() % (HEADS_BEAT_MS / 2);
    if (!txn)
        return;
    heads_gather(txn, engine->config.self, engine->config.ordinal, engine->config.nonce, book->above, book->above_count, &heads);
    if (txn_error(txn) != OK) {
        engine_reader_end(engine);
        return;
    }
    if (!beat && same_heads(&heads, &book->signed_last))
        return;
    heads.number = ++book->number;
    if (heads_sign(&heads, engine->config.sign_key, &claim, signature, NULL) == OK &&
        heads_keep(book->own, &heads, buffer_bytes(&claim), signature)) {
        book->signed_last = heads;
        heads_pass_on(engine, txn, book->own, now);
    }
    buffer_finish(&claim);
}

void engine_heads_grown(struct engine *engine, const struct grown *grown)
{
    struct heads_book *book = &engine->heads;
    bool any = grown->one_count > 0 || grown->more;
    for (unsigned lane = 0; lane < LANES; lane++)
        any |= grown->up[lane] || grown->down_all[lane];
    if (!any || !book->own || !signs(engine))
        return;
    uint64_t now = monotonic_ms();
    if (book->changed_ms == 0)
        book->changed_ms = now;
    uint64_t longest = book->changed_ms + HEADS_LONGEST_MS;
    book->check_ms = now + HEADS_PAUSE_MS < longest ? now + HEADS_PAUSE_MS : longest;
}

// ---- passing on

static bool acknowledged(const struct core_link_status *status, unsigned stream, const uint64_t ends[LANES])
{
    for (unsigned lane = 1; lane <= LANES; lane++)
        if (status->channels[core_channel(stream, lane)].headers < ends[lane - 1])
            return false;
    return true;
}

static uint32_t send_claim(struct engine *engine, uint32_t link, const struct heads_entry *entry)
{
    link_encode_signed_heads(engine->links.slots[link].session, bytes_of(entry->claim, entry->claim_size), entry->signature, &engine->out);
    uint32_t size = (uint32_t)engine->out.size;
    engine_send(engine, link);
    return size;
}

// Returns whether more waits for the parent.
static bool send_up(struct engine *engine)
{
    struct heads_book *book = &engine->heads;
    struct core_link_status status;
    if (!engine->config.parent || !core_link(engine->core, 0, &status) || status.state != LINK_LIVE)
        return false; // the next session begins again
    uint64_t room = SEND_BYTES + status.rate_bytes / 8;
    bool more = false;
    for (uint32_t i = 0; i < book->count; i++) {
        struct heads_entry *entry = book->entries[i];
        if (!entry->waits || !entry->claim)
            continue;
        if (room == 0 || !acknowledged(&status, SANJI__STREAM__STREAM_UP, entry->up_ends)) {
            more = true;
            continue;
        }
        uint32_t size = send_claim(engine, 0, entry);
        room -= size < room ? size : room;
        entry->waits = false;
    }
    return more;
}

// What is to go down over a link next, in the order it came: ours and those of the stations above.
static struct heads_entry *next_down(const struct heads_book *book, uint64_t after)
{
    struct heads_entry *next = NULL;
    for (uint32_t i = 0; i <= book->above_count; i++) {
        struct heads_entry *entry = i ? heads_find(book, &book->above[i - 1]) : book->own;
        if (entry && entry->claim && !entry->withheld && entry->serial > after && (!next || entry->serial < next->serial))
            next = entry;
    }
    return next;
}

static bool send_down(struct engine *engine, uint32_t link)
{
    struct slot *slot = &engine->links.slots[link];
    struct core_link_status status;
    struct heads_entry *entry = next_down(&engine->heads, slot->heads_sent);
    if (!entry || !core_link(engine->core, link, &status) || status.state != LINK_LIVE)
        return false;
    uint64_t room = SEND_BYTES + status.rate_bytes / 8;
    for (; entry; entry = next_down(&engine->heads, slot->heads_sent)) {
        if (room == 0 || !acknowledged(&status, SANJI__STREAM__STREAM_DOWN_ALL, entry->down_ends))
            return true;
        uint32_t size = send_claim(engine, link, entry);
        room -= size < room ? size : room;
        slot->heads_sent = entry->serial;
    }
    return false;
}

static void send_all(struct engine *engine, uint64_t now)
{
    bool more = send_up(engine);
    for (uint32_t link = 1; link < engine->links.count; link++)
        if (engine->links.slots[link].used && !slot_urgent_only(&engine->links.slots[link]))
            more |= send_down(engine, link);
    engine->heads.send_ms = more ? now + SEND_MS : UINT64_MAX;
}

void engine_heads_live(struct engine *engine, uint32_t link)
{
    struct heads_book *book = &engine->heads;
    if (!book->own || slot_urgent_only(&engine->links.slots[link]))
        return;
    if (engine->links.slots[link].parent)
        book->own->waits = book->own->claim != NULL;
    else
        engine->links.slots[link].heads_sent = 0;
    heads_soon(&book->send_ms, monotonic_ms());
}

// ---- the engine's calls

bool engine_heads_create(struct engine *engine)
{
    struct heads_book *book = &engine->heads;
    book->beat_ms = book->check_ms = book->send_ms = book->look_ms = book->write_ms = UINT64_MAX;
    book->own = heads_enter(book, &engine->config.self->station);
    return book->own != NULL;
}

void engine_heads_destroy(struct engine *engine)
{
    struct heads_book *book = &engine->heads;
    for (uint32_t i = 0; i < book->count; i++) {
        free(book->entries[i]->claim);
        free(book->entries[i]);
    }
    free(book->entries);
    *book = (struct heads_book){0};
}

void engine_heads_begin(struct engine *engine)
{
    struct heads_book *book = &engine->heads;
    struct txn *txn = engine_reader(engine);
    const struct certificate *at = engine->config.parent;
    while (txn && at && book->above_count < DEPTH_MAX) {
        book->above[book->above_count++] = at->station;
        at = at->root ? NULL : signers_find(engine->signers, txn, &at->issuer);
    }
    heads_load(engine);
    book->quiet_ms = monotonic_ms();
    book->beat_ms = book->quiet_ms + crypto_random_u64() % HEADS_PAUSE_MS; // the first says where we are
}

uint64_t engine_heads_due(const struct engine *engine)
{
    const struct heads_book *book = &engine->heads;
    const uint64_t times[] = {book->check_ms, book->send_ms, book->look_ms, book->write_ms};
    uint64_t due = book->beat_ms;
    for (unsigned i = 0; i < sizeof times / sizeof *times; i++)
        heads_soon(&due, times[i]);
    return due;
}

void engine_heads_tick(struct engine *engine, uint64_t now)
{
    struct heads_book *book = &engine->heads;
    bool beat = book->beat_ms <= now;
    if (beat)
        heads_look_silence(engine, now);
    if (signs(engine) && (beat || book->check_ms <= now))
        sign_own(engine, now, beat);
    else if (beat)
        book->beat_ms = now + HEADS_BEAT_MS;
    if (book->send_ms <= now)
        send_all(engine, now);
    if (book->look_ms <= now)
        heads_look(engine, now);
    if (book->write_ms <= now)
        heads_save(engine, now);
}
