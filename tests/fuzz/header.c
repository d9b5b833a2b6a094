// BatchHeader bytes from a peer.
#include "relay/header.h"
#include "envelope.pb-c.h"
#include "tests/fuzz/repack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct codec_limits limits = {.bytes_max = HEADER_MAX, .elements_max = 2000};
    struct header header;
    struct head heads[FOLLOWS_MAX];
    struct bytes wire = bytes_of(data, size);
    repack(&sanji__batch_header__descriptor, wire, &limits);
    if (header_decode(wire, &header, NULL) != OK)
        return 0;
    MUST(header.count >= 1 && header.count <= BATCH_ENTRIES_MAX && header.body_size <= BATCH_BODY_MAX && header.reach <= REACH_TOP);
    MUST(header.feed.lane >= 1 && header.feed.lane <= LANES && header.first + header.count > header.first);
    MUST(header_follows(wire, &header, heads, NULL) == OK);
    uint8_t key[FEED_KEY_SIZE];
    struct feed_key feed;
    feed_key_encode(&header.feed, key);
    feed_key_decode(key, &feed);
    MUST(feed.nonce == header.feed.nonce && station_equal(&feed.addressee, &header.feed.addressee));
    return 0;
}
