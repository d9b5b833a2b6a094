// A station in the middle with two faces: from some moment on it shows one child another history of what it signs for those below it than
// it shows the others, and names to those above. Most often it is careful, and signs other heads for that child as well; nobody but the
// child and those above can then find out, when they hear each other.
#include "envelope.pb-c.h"
#include "relay/codec.h"
#include "tests/sim/adversary.h"
#include "tests/sim/check.h"
#include "tests/sim/memory.h"

enum { TURN_IN_1000 = 300, CAREFUL_IN_1000 = 700, FIELD_TIME = 8 /* of BatchHeader */ };

static const struct turned *find(const struct site *from, const struct hash *header)
{
    for (uint32_t i = 0; i < from->turned_count; i++)
        if (hash_equal(&from->turned[i].from, header))
            return &from->turned[i];
    return NULL;
}

bool adversary_splits(struct site *site)
{
    uint32_t nth = site->children ? random_below(site->children) : 0, child = site->index + 1;
    bool careful = chance(CAREFUL_IN_1000);
    if (site->parent < 0 || site->children == 0 || site->shows)
        return false;
    while (nth-- > 0)
        child = world->sites[child].subtree_end;
    site->shows = child + 1;
    site->careful = careful;
    return true;
}

// Whether the other history may begin with this batch: the child goes on from the one before, and the feed has no second history yet.
static bool may_begin(struct site *to, const struct header *header, const struct model_feed *feed)
{
    struct feed_state state;
    uint32_t id;
    feed_state_init(&state);
    struct txn *txn = check_reader(to);
    feed_find(txn, &header->feed, &id, &state);
    txn_abort(txn);
    return feed->history[1].count == 0 && state.next == header->first && chance(TURN_IN_1000);
}

// The same batch after another one, or, the first, of another moment.
static bool turn(struct bytes header, const struct header *decoded, const struct turned *before, struct buffer *ret)
{
    struct codec_field field;
    buffer_clear(ret);
    buffer_append(ret, header.data, header.size);
    if (before) {
        uint8_t *at = memmem(ret->data, ret->size, decoded->prev.bytes, HASH_SIZE);
        if (at)
            memcpy(at, before->to.bytes, HASH_SIZE);
        return at;
    }
    for (size_t at = 0; codec_walk(header, &at, &field);)
        if (field.number == FIELD_TIME) {
            ret->data[field.whole.data - header.data + 1] ^= 1;
            return true;
        }
    return false;
}

static const struct turned *remember(struct site *from, const struct header *decoded, struct bytes header)
{
    struct model_feed *feed = model_feed(&world->model, &decoded->feed, 0, false);
    const struct model_batch *truth = model_find(feed, decoded->first, &decoded->hash);
    struct turned turned = {.from = decoded->hash, .to = crypto_hash(TAG_HEADER, header)};
    struct model_batch batch = *truth;
    batch.header = turned.to;
    if (feed->history[1].count == 0)
        model_branch(feed, decoded->first);
    if (model_next(&feed->history[1]) == batch.first)
        model_append(&feed->history[1], &batch);
    from->turned = memory_room(from->turned, from->turned_count, &from->turned_capacity, sizeof *from->turned);
    from->turned[from->turned_count++] = turned;
    path_taken(SIM_PATH_split);
    return &from->turned[from->turned_count - 1];
}

static void show_batch(struct site *from, struct site *to, const struct link_in *in, struct buffer *message)
{
    struct header decoded;
    struct buffer header = {0};
    uint8_t signature[SIGNATURE_SIZE];
    if (in->push.is_object || in->push.piece.offset > 0 || header_decode(in->push.header, &decoded, NULL) != OK ||
        !station_equal(&decoded.feed.station, &from->self.station) || decoded.feed.audience != SANJI__AUDIENCE__SUBTREE)
        return;
    const struct turned *known = find(from, &decoded.hash), *before = decoded.first > 1 ? find(from, &decoded.prev) : NULL;
    const struct model_feed *feed = model_feed(&world->model, &decoded.feed, 0, false);
    if (!known && !before && !(feed && may_begin(to, &decoded, feed)))
        return;
    if (turn(in->push.header, &decoded, before, &header)) {
        if (!known)
            remember(from, &decoded, buffer_bytes(&header));
        crypto_sign(&from->sign_key, TAG_SIGN_HEADER, buffer_bytes(&header), signature);
        adversary_encode(in, buffer_bytes(&header), bytes_of(signature, sizeof signature), message);
        step_note(from, "shows another", decoded.first, decoded.feed.lane, 0);
    }
    buffer_finish(&header);
}

static void show_heads(const struct site *from, const struct link_in *in, struct buffer *message)
{
    static struct heads heads;
    struct buffer claim = {0};
    uint8_t signature[SIGNATURE_SIZE];
    bool changed = false;
    if (heads_decode(in->signed_heads.claim, &heads, NULL) != OK || !station_equal(&heads.station, &from->self.station))
        return;
    for (uint32_t i = 0; i < heads.count; i++) {
        const struct turned *turned = find(from, &heads.heads[i].last);
        if (turned)
            heads.heads[i].last = turned->to;
        changed |= turned != NULL;
    }
    if (changed && heads_sign(&heads, &from->sign_key, &claim, signature, NULL) == OK) {
        buffer_clear(message);
        link_encode_signed_heads(in->session, buffer_bytes(&claim), signature, message);
    }
    buffer_finish(&claim);
}

void adversary_shows(struct site *from, struct site *to, const struct link_in *in, struct buffer *message)
{
    if (from->shows != to->index + 1)
        return;
    if (in->type == LINK_PUSH)
        show_batch(from, to, in, message);
    else if (in->type == LINK_SIGNED_HEADS && from->careful)
        show_heads(from, in, message);
}

bool adversary_showed(const struct feed_key *key, uint64_t first, const struct hash *header)
{
    const struct model_feed *feed = model_feed(&world->model, key, 0, false);
    const struct model_batch *batch = feed && world->sites[feed->origin].turned_count ? model_find(feed, first, header) : NULL;
    return batch && hash_equal(&batch->header, header);
}
