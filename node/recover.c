#include "node/recover.h"

#include <stdlib.h>

#include "control.pb-c.h"
#include "node/station_inside.h"
#include "relay/codec.h"
#include "relay/language.h"

enum { SEEN_MAX = 64 };

struct recovering {
    struct station *station;
    struct head seen[SEEN_MAX];
    uint32_t seen_count, next;
};

static enum error_code look(struct recovering *recovering, uint64_t *ret_end, struct error *error)
{
    struct station *station = recovering->station;
    struct txn *txn = txn_begin(station->store, false, error);
    if (!txn)
        return error->code;
    *ret_end = journal_end(txn);
    recovering->seen_count = incarnation_seen(txn, &station->identity.station, recovering->seen, SEEN_MAX);
    recovering->next = incarnation_next(txn, &station->identity.station, station->marker.ordinal);
    enum error_code code = txn_report(txn, error);
    txn_abort(txn);
    return code;
}

static enum error_code run_open(void *argument, struct txn *txn, struct error *error)
{
    (void)error;
    const struct recovering *recovering = argument;
    const struct place place = {.self = &recovering->station->self};
    incarnation_open(txn, &place, recovering->next, recovering->station->marker.wants, recovering->seen, recovering->seen_count, utc_ms());
    return OK;
}

static enum error_code open_next(struct recovering *recovering, uint32_t ordinal, struct error *error)
{
    struct station *station = recovering->station;
    if (!station->restored)
        return error_set(error, ERR_STATE, "%s",
                         tr("this station was not put back from a copy: there is nothing to recover", "本站点并非从副本恢复，无需处理"));
    if (station->ancestor_count)
        return error_set(
            error, ERR_REFUSED, "%s",
            tr("its parent grants the next incarnation: let the node run and connect, and ask the parent's admin if it does not",
               "新一代由上级授予：请让节点运行并连接上级；如无进展，请联系上级管理员"));
    if (ordinal != recovering->next)
        return error_set(error, ERR_INPUT, tr("the next incarnation is %u: --open %u", "下一代为第 %u 代：--open %u"), recovering->next,
                         recovering->next);
    enum error_code code = writer_call(station->writer, run_open, recovering, error);
    if (code == OK && station->engine)
        engine_opened(station->engine);
    return code;
}

static void count_peers(struct station *station, Sanji__RecoverReply *reply)
{
    struct engine_link *links = station->engine ? calloc(CHILDREN_MAX + 1, sizeof *links) : NULL;
    uint32_t count = links ? engine_links(station->engine, links, CHILDREN_MAX + 1) : 0;
    for (uint32_t i = 0; i < count; i++) {
        reply->children += !links[i].core.parent;
        reply->children_live += !links[i].core.parent && links[i].core.state == LINK_LIVE;
        reply->parent_live = reply->parent_live || (links[i].core.parent && links[i].core.state == LINK_LIVE);
    }
    free(links);
}

static void reply_with(struct recovering *recovering, uint64_t end, bool opened, struct buffer *ret)
{
    struct station *station = recovering->station;
    Sanji__Reply message = SANJI__REPLY__INIT;
    Sanji__RecoverReply reply = SANJI__RECOVER_REPLY__INIT;
    Sanji__SeenFeed rows[SEEN_MAX], *pointers[SEEN_MAX];
    reply.restored = station->restored;
    reply.has_parent = station->ancestor_count > 0;
    reply.ordinal = station->marker.ordinal;
    reply.next = recovering->next;
    reply.journal_end = end;
    reply.marker_end = station->marker.end;
    reply.running = station->engine != NULL;
    reply.opened = opened;
    count_peers(station, &reply);
    for (uint32_t i = 0; i < recovering->seen_count; i++) {
        sanji__seen_feed__init(&rows[i]);
        rows[i].ordinal = recovering->seen[i].feed.ordinal;
        rows[i].lane = recovering->seen[i].feed.lane;
        rows[i].entries = recovering->seen[i].next - 1;
        pointers[i] = &rows[i];
    }
    reply.n_seen = recovering->seen_count;
    reply.seen = pointers;
    message.reply_case = SANJI__REPLY__REPLY_RECOVER;
    message.recover = &reply;
    codec_pack(&message, ret);
}

enum error_code recover_answer(struct station *station, uint32_t open, struct buffer *ret, struct error *error)
{
    struct recovering recovering = {.station = station};
    uint64_t end = 0;
    enum error_code code = look(&recovering, &end, error);
    if (code == OK && open)
        code = open_next(&recovering, open, error);
    if (code == OK)
        reply_with(&recovering, end, open != 0, ret);
    return code;
}
