#include "relay/engine_links.h"

#include <assert.h>
#include <stdlib.h>

#include "envelope.pb-c.h"
#include "link.pb-c.h"

enum { KNOWN_MAX = 1 << 20 }; // heads of all peers during repair: 104 MB at most, and only then

// ---- slots

bool links_init(struct links *links, uint32_t max)
{
    links->max = max;
    links->count = 1; // link 0 is the parent's, used or not
    links->by_key_size = 16;
    while (links->by_key_size < 2 * max)
        links->by_key_size *= 2;
    links->slots = calloc(max, sizeof *links->slots);
    links->by_key = calloc(links->by_key_size, sizeof *links->by_key);
    return links->slots && links->by_key;
}

void links_finish(struct links *links)
{
    for (uint32_t i = 0; links->slots && i < links->count; i++) {
        links_session_over(links, &links->slots[i]);
        for (unsigned channel = 0; channel < CORE_CHANNELS; channel++)
            links_discard(&links->slots[i], channel);
    }
    free(links->slots);
    free(links->by_key);
    *links = (struct links){0};
}

static uint32_t *key_place(const struct links *links, const struct public_key *key)
{
    uint64_t hash;
    memcpy(&hash, key->bytes, sizeof hash); // keys are uniformly random
    for (uint32_t i = (uint32_t)hash & (links->by_key_size - 1);; i = (i + 1) & (links->by_key_size - 1)) {
        uint32_t *place = &links->by_key[i];
        if (*place == 0 || memcmp(links->slots[*place - 1].key.bytes, key->bytes, PUBLIC_KEY_SIZE) == 0)
            return place;
    }
}

bool links_find(const struct links *links, const struct public_key *key, uint32_t *ret_link)
{
    uint32_t at = *key_place(links, key);
    if (at)
        *ret_link = at - 1;
    return at != 0;
}

bool links_find_station(const struct links *links, const struct station_id *station, uint32_t *ret_link)
{
    for (uint32_t i = 0; i < links->count; i++)
        if (links->slots[i].used && station_equal(&links->slots[i].station, station)) {
            *ret_link = i;
            return true;
        }
    return false;
}

void links_set_parent(struct links *links, const struct certificate *parent)
{
    links->slots[0] =
        (struct slot){.used = true, .parent = true, .station = parent->station, .key = parent->transport_key, .certificate = parent->hash};
    *key_place(links, &parent->transport_key) = 1;
}

void links_set_above(struct links *links, const struct certificate *above)
{
    assert(links->count == 1 && links->max > 1);
    links->count = 2;
    links->slots[1] = (struct slot){
        .used = true, .parent = true, .past = true, .station = above->station, .key = above->transport_key, .certificate = above->hash};
    *key_place(links, &above->transport_key) = 2;
}

bool links_add_child(struct links *links, const struct peer *peer, uint32_t *ret_link)
{
    uint32_t link;
    if (links->count == links->max || links_find(links, &peer->transport_key, &link))
        return false;
    link = links->count++;
    links->slots[link] = (struct slot){
        .used = true, .guest = peer->guest, .station = peer->station, .key = peer->transport_key, .certificate = peer->certificate};
    *key_place(links, &peer->transport_key) = link + 1;
    *ret_link = link;
    return true;
}

// Takes a part that was staged on disk into memory again.
static struct core_staged take_staged(struct slot *slot, struct txn *txn, unsigned channel)
{
    struct staged staged;
    struct assembly *assembly = NULL;
    if (!staged_read(txn, &slot->station, core_channel_stream(channel), core_channel_lane(channel), &staged) || staged.part.size == 0 ||
        staged.part.size >= staged.size)
        return (struct core_staged){0};
    slot->staged[channel] = true;
    links_discard(slot, channel);
    assembly = slot->assembly[channel] = calloc(1, sizeof *assembly);
    if (!assembly)
        return (struct core_staged){0};
    assembly->position = staged.position;
    assembly->size = staged.size;
    assembly->name = staged.header;
    buffer_append(&assembly->header, staged.head.data, staged.head.size);
    buffer_append(&assembly->signature, staged.signature.data, staged.signature.size);
    buffer_append(&assembly->body, staged.part.data, staged.part.size);
    if (assembly->header.failed || assembly->signature.failed || assembly->body.failed) {
        links_discard(slot, channel);
        return (struct core_staged){0};
    }
    return (struct core_staged){
        .position = staged.position, .offset = (uint32_t)staged.part.size, .size = staged.size, .header = staged.header};
}

void links_marks(struct slot *slot, struct txn *txn, struct core_mark *marks, uint64_t *ends, struct core_staged *staged)
{
    for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
        struct mark mark = {0};
        mark_read(txn, &slot->station, true, core_channel_stream(channel), core_channel_lane(channel), &mark);
        marks[channel] = (struct core_mark){mark.generation, mark.headers, mark.bodies};
        staged[channel] = take_staged(slot, txn, channel);
        ends[channel] = links_end(slot, txn, channel);
    }
}

// ---- what found a pipe full

bool links_unsent_add(struct slot *slot, struct bytes message, struct bytes body)
{
    size_t bytes = message.size + body.size;
    struct unsent *unsent = slot->unsent_bytes + bytes <= UNSENT_BYTES_MAX ? calloc(1, sizeof *unsent) : NULL;
    if (!unsent)
        return false;
    buffer_append(&unsent->message, message.data, message.size);
    buffer_append(&unsent->body, body.data, body.size);
    bool kept = !unsent->message.failed && !unsent->body.failed;
    if (!slot->unsent)
        slot->unsent_last = &slot->unsent;
    *slot->unsent_last = unsent;
    slot->unsent_last = &unsent->next;
    slot->unsent_bytes += unsent->message.size + unsent->body.size;
    return kept;
}

void links_unsent_pop(struct slot *slot)
{
    struct unsent *first = slot->unsent;
    slot->unsent = first->next;
    slot->unsent_bytes -= first->message.size + first->body.size;
    buffer_finish(&first->message);
    buffer_finish(&first->body);
    free(first);
}

void links_unsent_clear(struct slot *slot)
{
    while (slot->unsent)
        links_unsent_pop(slot);
}

// ---- receiving

void links_discard(struct slot *slot, unsigned channel)
{
    struct assembly *assembly = slot->assembly[channel];
    if (!assembly)
        return;
    buffer_finish(&assembly->header);
    buffer_finish(&assembly->signature);
    buffer_finish(&assembly->body);
    free(assembly);
    slot->assembly[channel] = NULL;
}

bool links_assemble(struct slot *slot, unsigned channel, const struct core_piece *piece, bool is_object, struct bytes header,
                    struct bytes signature, struct bytes body)
{
    if (piece->offset == 0) {
        links_discard(slot, channel);
        struct assembly *assembly = slot->assembly[channel] = calloc(1, sizeof *assembly);
        if (!assembly)
            return false;
        *assembly = (struct assembly){.is_object = is_object,
                                      .generation = piece->generation,
                                      .after = piece->after,
                                      .position = piece->position,
                                      .size = piece->size,
                                      .name = piece->name};
        buffer_append(&assembly->header, header.data, header.size);
        buffer_append(&assembly->signature, signature.data, signature.size);
    }
    struct assembly *assembly = slot->assembly[channel];
    if (!assembly || assembly->position != piece->position || assembly->body.size != piece->offset || assembly->size != piece->size ||
        piece->size - piece->offset < body.size)
        return false;
    // A part that was staged goes on under the generation and place of this session.
    assembly->generation = piece->generation;
    assembly->after = piece->after;
    buffer_append(&assembly->body, body.data, body.size);
    return !assembly->header.failed && !assembly->signature.failed && !assembly->body.failed;
}

static void arrival_fill(struct arrival *arrival, const struct assembly *assembly)
{
    *arrival = (struct arrival){
        .generation = assembly->generation, .position = assembly->position, .is_object = assembly->is_object, .object = assembly->name};
}

struct arrival_job *links_assembled(struct slot *slot, uint32_t link, unsigned channel, uint64_t received_ms)
{
    struct assembly *assembly = slot->assembly[channel];
    struct arrival_job *job = calloc(1, sizeof *job);
    if (!assembly || !job) {
        free(job);
        return NULL;
    }
    arrival_fill(&job->arrival, assembly);
    job->arrival.peer = slot->station;
    job->arrival.stream = core_channel_stream(channel);
    job->arrival.lane = core_channel_lane(channel);
    job->arrival.received_ms = received_ms;
    job->arrival.header = assembly->header;
    job->arrival.signature = assembly->signature;
    job->arrival.body = assembly->body;
    job->link = link;
    job->channel = channel;
    job->session = slot->peer_session;
    job->after = assembly->after;
    assembly->header = assembly->signature = assembly->body = (struct buffer){0};
    links_discard(slot, channel);
    return job;
}

struct arrival_job *links_part_copy(const struct assembly *assembly)
{
    struct arrival_job *job = calloc(1, sizeof *job);
    if (!job)
        return NULL;
    arrival_fill(&job->arrival, assembly);
    buffer_append(&job->arrival.header, assembly->header.data, assembly->header.size);
    buffer_append(&job->arrival.signature, assembly->signature.data, assembly->signature.size);
    buffer_append(&job->arrival.body, assembly->body.data, assembly->body.size);
    if (job->arrival.header.failed || job->arrival.signature.failed || job->arrival.body.failed) {
        arrival_finish(&job->arrival);
        free(job);
        return NULL;
    }
    return job;
}

void links_session_over(struct links *links, struct slot *slot)
{
    links_unsent_clear(slot);
    for (unsigned channel = 0; channel < CORE_CHANNELS; channel++) {
        links_outgoing_drop(slot, channel);
        links_known_clear(links, slot, channel);
    }
}

// ---- repair

uint32_t links_heads(struct txn *txn, unsigned channel, uint32_t *id, struct head *heads, uint32_t max, bool *ret_last)
{
    uint32_t count = 0;
    struct feed_key feed;
    struct feed_state state;
    bool up = core_channel_stream(channel) == SANJI__STREAM__STREAM_UP;
    *ret_last = false;
    while (count < max) {
        if (!feed_read(txn, *id, &feed, &state)) {
            *ret_last = true;
            break;
        }
        ++*id;
        if (feed.lane == core_channel_lane(channel) && (feed.audience == SANJI__AUDIENCE__UP) == up)
            heads[count++] = (struct head){.feed = feed, .next = state.next, .last = state.last, .bodies = state.bodies};
    }
    return count;
}

void links_known_clear(struct links *links, struct slot *slot, unsigned channel)
{
    slot->asked[channel] = false;
    if (!slot->known[channel])
        return;
    links->known_count -= slot->known[channel]->count;
    free(slot->known[channel]->heads);
    free(slot->known[channel]);
    slot->known[channel] = NULL;
}

void links_known_ask(struct links *links, struct slot *slot, unsigned channel)
{
    links_known_clear(links, slot, channel);
    slot->asked[channel] = true;
}

bool links_known_add(struct links *links, struct slot *slot, unsigned channel, const struct head *heads, uint32_t count, bool last)
{
    if (!slot->asked[channel])
        return false;
    slot->asked[channel] = !last;
    struct known *known = slot->known[channel];
    if (!known)
        known = slot->known[channel] = calloc(1, sizeof *known);
    // A head that is not known is sent again: a duplicate, no harm.
    for (uint32_t i = 0; known && i < count && links->known_count < KNOWN_MAX; i++) {
        if (known->count == known->capacity) {
            uint32_t capacity = known->capacity ? 2 * known->capacity : 64;
            struct known_head *grown = realloc(known->heads, capacity * sizeof *grown);
            if (!grown)
                break;
            known->heads = grown;
            known->capacity = capacity;
        }
        struct known_head *head = &known->heads[known->count++];
        *head = (struct known_head){.next = heads[i].next, .bodies = heads[i].bodies, .last = heads[i].last};
        feed_key_encode(&heads[i].feed, head->key);
        known->sorted = false;
        links->known_count++;
    }
    return true;
}
