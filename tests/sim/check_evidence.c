// Acknowledged means held: a batch that was taken is in the journal or, where another has its place, kept as evidence; a feed is disputed
// exactly where there is evidence, with an alarm for a person; and what is kept was signed by who it names.
#include "envelope.pb-c.h"
#include "link.pb-c.h"
#include "relay/heads.h"
#include "tests/sim/check.h"

enum { ALARMS_LOOKED_AT = 1000 };

static bool is_evidence(struct txn *txn, uint32_t feed, const struct hash *header)
{
    struct evidence evidence;
    uint32_t count = 0;
    while (evidence_next(txn, feed, count ? &evidence : NULL, &evidence)) {
        if (hash_equal(&evidence.header_hash, header))
            return true;
        count++;
    }
    return count >= EVIDENCE_MAX;
}

bool check_keeps(struct txn *at, const struct feed_key *key, const struct batch_row *row)
{
    struct hash hash = crypto_hash(TAG_HEADER, row->header);
    struct feed_state state;
    struct batch_row other;
    uint64_t position;
    uint32_t id;
    if (!feed_find(at, key, &id, &state))
        return false;
    return (journal_find(at, id, row->first, &position) && journal_read(at, position, &other) && bytes_equal(other.header, row->header)) ||
           is_evidence(at, id, &hash);
}

// What a station asked for again before its store was put back, and does not have now: it comes the way that it came first.
static bool is_strayed(const struct site *site, const struct arrival *arrival)
{
    bool from_below = arrival->stream == SANJI__STREAM__STREAM_UP, up = arrival->decoded.feed.audience == SANJI__AUDIENCE__UP;
    return site->doubt && from_below != up && !station_equal(&arrival->decoded.feed.station, &site->self.station);
}

void check_kept(struct site *site, struct txn *txn, const struct arrival *arrival)
{
    const struct header *header = &arrival->decoded;
    struct feed_state state;
    struct batch_row row;
    uint64_t position;
    uint32_t id;
    if (txn_error(txn) != OK || site->rotten || is_strayed(site, arrival))
        return;
    bool known = feed_find(txn, &header->feed, &id, &state);
    if (site->restored && station_equal(&header->feed.station, &site->self.station) && header->first > (known ? state.next : 1))
        return; // put back to the store that it had before: all of it comes again
    if (known && journal_find(txn, id, header->first, &position) && journal_read(txn, position, &row) &&
        bytes_equal(row.header, buffer_bytes(&arrival->header)))
        return;
    if (!known || !state.disputed || !is_evidence(txn, id, &header->hash))
        check_fail(&check_evidence, "%s takes place %llu of a feed of %s, and keeps it nowhere", site_name(site),
                   (unsigned long long)header->first, arrival->signer.unit);
    else
        path_taken(SIM_PATH_evidence);
}

static bool is_alarmed(struct txn *txn)
{
    static struct alarm alarms[ALARMS_LOOKED_AT];
    uint32_t count = alarm_last(txn, alarms, ALARMS_LOOKED_AT);
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(alarms[i].kind, "fork") == 0 || strcmp(alarms[i].kind, "split-view") == 0)
            return true;
    return count == ALARMS_MAX; // so many that the first are gone
}

// A feed is disputed by another batch, or by signed heads that name another: those are in the row of their station.
static bool is_claimed(struct txn *txn, const struct feed_key *key)
{
    struct heads_row row;
    return heads_read(txn, &key->station, &row) && row.other.size > 0;
}

// Or by a grant, which names another history than its signer had (relay/incarnation.h).
static bool is_named(const struct model_feed *feed) { return feed && (feed->doubt || world->sites[feed->origin].forked); }

static void rest(struct site *site)
{
    struct txn *txn = check_reader(site);
    struct feed_key key;
    struct feed_state state;
    struct evidence evidence;
    for (uint32_t id = 1; feed_read(txn, id, &key, &state) && !world->over; id++) {
        bool is_kept = evidence_next(txn, id, NULL, &evidence);
        const struct model_feed *feed = model_feed(&world->model, &key, 0, false);
        if (is_kept ? !state.disputed : state.disputed && !is_claimed(txn, &key) && !is_named(feed))
            check_fail(&check_evidence, "%s: feed %u is %sdisputed, and evidence is %skept", site_name(site), id,
                       state.disputed ? "" : "not ", is_kept ? "" : "not ");
        for (bool on = is_kept; on && !world->over; on = evidence_next(txn, id, &evidence, &evidence)) {
            const struct model_batch *truth = feed ? model_find(feed, evidence.first, &evidence.header_hash) : NULL;
            if (!truth || !hash_equal(&truth->header, &evidence.header_hash))
                check_fail(&check_evidence, "%s keeps as evidence what nobody signed, of feed %u", site_name(site), id);
        }
        if (state.disputed && !world->over && !is_alarmed(txn))
            check_fail(&check_evidence, "%s: feed %u is disputed, and no alarm says so", site_name(site), id);
    }
    txn_abort(txn);
}

const struct checker check_evidence = {.name = "evidence", .rest = rest};
