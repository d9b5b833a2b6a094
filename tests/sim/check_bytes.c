// The middle can't alter: header and body of every row are, byte for byte, what the origin committed; at rest all rows once more, for
// bodies that came after their headers.
#include "tests/sim/check.h"

static void compare(struct site *site, const struct batch_row *row, const struct model_batch *truth)
{
    struct hash header = crypto_hash(TAG_HEADER, row->header), body = crypto_hash(TAG_DIGEST, row->body);
    if (!hash_equal(&header, &truth->header) || (row->body.size > 0 && !hash_equal(&body, &truth->body)))
        check_fail(&check_bytes, "%s holds place %llu of a feed in other bytes than its origin signed", site_name(site),
                   (unsigned long long)row->first);
}

static void committed(const struct committed *new) { compare(new->site, new->row, new->truth); }

static void rest(struct site *site)
{
    struct txn *txn = check_reader(site);
    struct batch_row row;
    for (uint64_t position = 1; journal_read(txn, position, &row) && !world->over; position++) {
        struct feed_key key;
        struct feed_state state;
        const struct model_feed *feed = feed_read(txn, row.feed, &key, &state) ? model_feed(&world->model, &key, 0, false) : NULL;
        struct hash named = crypto_hash(TAG_HEADER, row.header);
        const struct model_batch *truth = feed ? model_find(feed, row.first, &named) : NULL;
        if (truth)
            compare(site, &row, truth);
        else
            check_fail(&check_bytes, "%s holds a batch that nobody signed", site_name(site));
    }
    txn_abort(txn);
}

const struct checker check_bytes = {.name = "bytes", .committed = committed, .rest = rest};
