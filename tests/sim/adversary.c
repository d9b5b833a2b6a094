// Stations that lie. Their program is the production one; what it sends is changed on its way out (the border), or what it passes on is
// left out where it routes it (the middle). Checkers have seen each message as the honest program meant it before it is changed here.
#include "tests/sim/adversary.h"

#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "tests/sim/check.h"
#include "tests/sim/memory.h"

enum {
    TAMPER_IN_1000 = 100,
    FORGE_IN_1000 = 30,
    DROP_IN_1000 = 30,
    FORGED_ACK_IN_1000 = 200,
    OLD_IN_1000 = 100,
    KEPT_IN_1000 = 50, // of what it sends, for later
    AHEAD_MAX = 3,     // rows that a forged acknowledgement is ahead
};

static bool lies(const struct site *site, enum sim_fault wile) { return site->wiles & 1u << wile; }

static void acted(const struct site *site, enum sim_fault wile, uint64_t a, uint64_t b)
{
    step_note(site, sim_fault_name(wile), a, b, 0);
    world->result->injected[wile]++;
}

// ---- tamper: a bit of a body, else of a signature

static void tamper(struct site *from, const struct link_in *in, struct buffer *message, struct buffer *body)
{
    struct bytes signature = in->push.signature;
    uint8_t *target = body->data;
    size_t size = body->size;
    if (!chance(planted(SIM_PLANT_trust_middle) ? 500 : TAMPER_IN_1000))
        return;
    if (size == 0) {
        target = signature.size ? memmem(message->data, message->size, signature.data, signature.size) : NULL;
        size = signature.size;
    }
    if (!target)
        return;
    uint32_t at = random_below((uint32_t)size);
    target[at] ^= (uint8_t)(1u << random_below(8));
    acted(from, SIM_FAULT_tamper, at, body->size);
}

// ---- forge: what nobody signed, in the place of a whole header

// Adds the order of the group to S: the same point, another signature (RFC 8032, 8.4).
static void malleate(uint8_t signature[SIGNATURE_SIZE])
{
    static const uint8_t order[32] = {0xED, 0xD3, 0xF5, 0x5C, 0x1A, 0x63, 0x12, 0x58,       0xD6,
                                      0x9C, 0xF7, 0xA2, 0xDE, 0xF9, 0xDE, 0x14, [31] = 0x10};
    unsigned carry = 0;
    for (unsigned i = 0; i < sizeof order; i++) {
        carry += signature[32 + i] + order[i];
        signature[32 + i] = (uint8_t)carry;
        carry >>= 8;
    }
}

// The same header with some bytes replaced by others of that length, signed by the forger. False: they are not in it.
static bool resign(const struct site *from, struct buffer *header, const void *old, const void *new, size_t size,
                   uint8_t signature[SIGNATURE_SIZE])
{
    uint8_t *at = memmem(header->data, header->size, old, size);
    if (!at)
        return false;
    memcpy(at, new, size);
    crypto_sign(&from->sign_key, TAG_SIGN_HEADER, buffer_bytes(header), signature);
    return true;
}

void adversary_encode(const struct link_in *in, struct bytes header, struct bytes signature, struct buffer *ret)
{
    const struct core_piece *piece = &in->push.piece;
    struct link_push push = {.channel = in->channel,
                             .generation = piece->generation,
                             .after = piece->after,
                             .position = piece->position,
                             .is_object = in->push.is_object,
                             .bodiless = piece->size == 0,
                             .header = header,
                             .signature = signature,
                             .object = piece->name,
                             .size = piece->size,
                             .offset = piece->offset};
    buffer_clear(ret);
    link_encode_push(in->session, &push, ret);
}

static void forge(struct site *from, const struct link_in *in, struct buffer *message)
{
    struct header decoded;
    struct buffer header = {0};
    uint8_t signature[SIGNATURE_SIZE];
    if (in->push.is_object || in->push.piece.offset > 0 || !chance(FORGE_IN_1000) || header_decode(in->push.header, &decoded, NULL) != OK)
        return;
    const struct site *other = &world->sites[random_below(world->count)];
    uint32_t kind = random_below(4);
    bool own = station_equal(&decoded.feed.station, &from->self.station), forged = true;
    buffer_append(&header, in->push.header.data, in->push.header.size);
    memcpy(signature, in->push.signature.data, sizeof signature);
    if (kind == 0) // another encoding of a good signature
        malleate(signature);
    else if (kind == 1) // its own signature under what another says
        crypto_sign(&from->sign_key, TAG_SIGN_HEADER, in->push.header, signature);
    else if (kind == 2) // another's name on what it signs, with its own certificate
        forged = resign(from, &header, decoded.feed.station.bytes, other->self.station.bytes, STATION_ID_SIZE, signature);
    else // another's certificate
        forged = resign(from, &header, decoded.certificate.bytes, other->self.hash.bytes, HASH_SIZE, signature);
    if (forged && (kind == 0 || !own || (kind > 1 && other != from))) {
        adversary_encode(in, buffer_bytes(&header), bytes_of(signature, sizeof signature), message);
        acted(from, SIM_FAULT_forge, kind, decoded.first);
    }
    buffer_finish(&header);
}

// ---- ackforge: rows that it does not hold

static void forge_ack(struct site *from, const struct link_in *in, struct buffer *message)
{
    if (!chance(FORGED_ACK_IN_1000))
        return;
    from->overstates = true;
    uint64_t ahead = 1 + random_below(AHEAD_MAX);
    struct core_ack ack = in->ack;
    ack.headers += ahead;
    ack.bodies = ack.headers;
    buffer_clear(message);
    link_encode_ack(in->session, in->channel, &ack, message);
    acted(from, SIM_FAULT_ackforge, ack.headers, ahead);
}

// ---- old: what was sent long ago, as if it came now

static void keep_old(struct site *from, const struct link_in *in, const struct buffer *message, const struct buffer *body)
{
    if (!chance(KEPT_IN_1000))
        return;
    struct old *old = &from->old[random_below(OLD_MAX)];
    buffer_clear(&old->message);
    buffer_clear(&old->body);
    buffer_append(&old->message, message->data, message->size);
    buffer_append(&old->body, body->data, body->size);
    old->channel = in->channel;
}

// An old piece in this session's name, of the same direction.
static bool take_old(struct site *from, const struct link_in *in, bool up, struct buffer *message, struct buffer *body)
{
    struct old *old = &from->old[random_below(OLD_MAX)];
    struct arena arena = {0};
    struct link_in then;
    if (!old->message.size || up != (core_channel_stream(old->channel) == SANJI__STREAM__STREAM_UP) || !chance(OLD_IN_1000) ||
        link_decode(buffer_bytes(&old->message), old->body.size, &arena, &then, NULL) != OK) {
        arena_finish(&arena);
        return false;
    }
    then.session = in->session;
    adversary_encode(&then, then.push.header, then.push.signature, message);
    buffer_append(body, old->body.data, old->body.size);
    arena_finish(&arena);
    from->repeats = true;
    acted(from, SIM_FAULT_old, then.push.piece.position, then.push.piece.offset);
    path_taken(SIM_PATH_duplicate);
    return true;
}

// ---- the border

bool adversary_sends(struct site *from, struct site *to, const struct link_in *in, bool up, struct buffer *message, struct buffer *body,
                     struct buffer *ret_more, struct buffer *ret_more_body)
{
    if (!from->wiles)
        return true;
    if (lies(from, SIM_FAULT_drop) && chance(DROP_IN_1000)) {
        acted(from, SIM_FAULT_drop, in->type, in->channel);
        return false;
    }
    if (lies(from, SIM_FAULT_split))
        adversary_shows(from, to, in, message);
    if (in->type == LINK_ACK && lies(from, SIM_FAULT_ackforge))
        forge_ack(from, in, message);
    if (in->type != LINK_PUSH)
        return true;
    // (Nor does it mix up what it shows to whom.)
    if (lies(from, SIM_FAULT_old) && !lies(from, SIM_FAULT_split) && !take_old(from, in, up, ret_more, ret_more_body))
        keep_old(from, in, message, body);
    if (lies(from, SIM_FAULT_tamper))
        tamper(from, in, message, body);
    if (lies(from, SIM_FAULT_forge))
        forge(from, in, message);
    return true;
}

void adversary_free(struct site *site)
{
    for (unsigned i = 0; i < OLD_MAX; i++) {
        buffer_finish(&site->old[i].message);
        buffer_finish(&site->old[i].body);
    }
    free(site->turned);
}

// ---- the middle: mute and withhold stay for good

bool adversary_begins(struct site *site, enum sim_fault wile)
{
    uint32_t below = site->subtree_end - site->index - 1;
    if (site->parent < 0 || below == 0 || site->victim)
        return false;
    struct site *victim = &world->sites[site->index + 1 + random_below(below)];
    if (victim->cut)
        return false; // one liar on its way is enough
    site->wiles |= 1u << wile;
    site->victim = victim->index;
    victim->cut = (uint32_t)site->parent + 1;
    victim->cut_bodies = wile == SIM_FAULT_withhold;
    return true;
}

enum passing adversary_passes(const struct site *site, const struct header *header)
{
    if (!site || !site->victim || header->feed.audience != SANJI__AUDIENCE__UP ||
        !station_equal(&header->feed.station, &world->sites[site->victim].self.station))
        return PASS_WHOLE;
    return lies(site, SIM_FAULT_mute) ? PASS_NOTHING : PASS_HEADER;
}
