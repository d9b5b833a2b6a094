// Only those entitled have a body: an upward batch's body goes no further than its signed reach, a batch for one station goes down its path
// and nowhere else. Held against the header's own words, not against what production code computed from them.
#include "envelope.pb-c.h"
#include "tests/sim/check.h"

static bool entitled(const struct header *header, const struct site *origin, const struct site *site)
{
    if (origin->unit == site->unit)
        return true;
    if (header->feed.audience == SANJI__AUDIENCE__UP)
        return header->reach == REACH_TOP || origin->depth - site->depth <= header->reach;
    if (header->feed.audience == SANJI__AUDIENCE__SUBTREE)
        return true;
    for (uint32_t i = site->unit; i < site->subtree_end; i++)
        if (station_equal(&world->sites[i].self.station, &header->feed.addressee))
            return true;
    return false;
}

bool check_may_read(const struct site *site, const struct header *header)
{
    const struct model_feed *feed = model_feed(&world->model, &header->feed, 0, false);
    return feed && entitled(header, &world->sites[feed->origin], site);
}

// A liar's own choice to whom it sends again what it sent another: the receiver can't tell, as nobody below may have called it yet.
static bool came_astray(const struct committed *new)
{
    for (uint32_t i = 0; i < world->count; i++)
        if (world->sites[i].repeats && station_equal(&world->sites[i].self.station, &new->row->from))
            return new->header->feed.audience == SANJI__AUDIENCE__STATION;
    return false;
}

static void committed(const struct committed *new)
{
    const struct site *origin = &world->sites[new->feed->origin];
    bool related = new->header->feed.audience == SANJI__AUDIENCE__UP
                       ? new->site->unit <= origin->unit && origin->unit < new->site->subtree_end
                       : origin->unit <= new->site->unit &&new->site->unit < origin->subtree_end;
    if (!related || (new->row->body.size > 0 && !entitled(new->header, origin, new->site) && !came_astray(new)))
        check_fail(&check_entitled, "%s holds a body of %s that it may not have: reach %u", site_name(new->site), site_name(origin),
                   new->header->reach);
}

static void sent(const struct sending *sending)
{
    const struct link_in *in = sending->in;
    struct header header;
    if (in->type != LINK_PUSH || in->push.is_object || in->push.piece.offset > 0 || in->push.piece.size == 0 ||
        header_decode(in->push.header, &header, NULL) != OK)
        return;
    const struct model_feed *feed = model_feed(&world->model, &header.feed, 0, false);
    if (feed && !entitled(&header, &world->sites[feed->origin], sending->to))
        check_fail(&check_entitled, "%s sends %s a body of %s that it may not have: reach %u", site_name(sending->from),
                   site_name(sending->to), site_name(&world->sites[feed->origin]), header.reach);
}

const struct checker check_entitled = {.name = "entitled", .committed = committed, .sent = sent};
