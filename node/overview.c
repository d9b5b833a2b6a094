#include "node/overview.h"

#include <stdio.h>
#include <stdlib.h>

#include "control.pb-c.h"
#include "link.pb-c.h"
#include "node/ledger_rows.h"
#include "record.pb-c.h"
#include "relay/heads.h"
#include "relay/language.h"
#include "relay/quarantine.h"

enum {
    ALARMS_SHOWN = 20,
    DAMAGED_SHOWN = 20,
    LIVE_MS = 3600 * 1000, // a station further down counts as live when it was heard within the hour
};

static ProtobufCBinaryData binary(const void *data, size_t size)
{
    return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)(uintptr_t)data};
}

// ---- what both need: per unit, its station and when it was heard

struct unit_facts {
    bool has_station;
    struct station_id station; // of the highest term: a replaced station's certificate stays
    uint64_t term;
    uint64_t heard_ms;
    bool complete;
    int32_t complete_through;
};

// Stations show by their certificates, which came up with their batches or were issued here.
static void find_stations(struct txn *txn, const struct units *units, struct unit_facts *facts)
{
    struct cursor *cursor = cursor_open(txn, TABLE_OBJECTS);
    for (bool at = cursor && cursor_seek(cursor, bytes_of("", 0)); at; at = cursor_next(cursor)) {
        struct bytes key = cursor_key(cursor), wire;
        struct hash hash;
        enum object_kind kind;
        struct certificate certificate;
        if (key.size != HASH_SIZE)
            continue;
        memcpy(hash.bytes, key.data, HASH_SIZE);
        if (!object_intact(txn, &hash) || !object_read(txn, &hash, &kind, &wire) || kind != OBJECT_CERTIFICATE ||
            certificate_decode_held(wire, &certificate, NULL) != OK)
            continue;
        int32_t unit = units_find(units, certificate.unit);
        if (unit != UNIT_NONE && certificate.term > facts[unit].term) {
            facts[unit].has_station = true;
            facts[unit].station = certificate.station;
            facts[unit].term = certificate.term;
        }
    }
    cursor_close(cursor);
}

static struct unit_facts *unit_facts(struct txn *txn, const struct units *units, int32_t first, int32_t end)
{
    struct unit_facts *facts = calloc((size_t)units->count, sizeof *facts);
    if (!facts)
        return NULL;
    find_stations(txn, units, facts);
    for (int32_t i = first; i < end; i++) {
        uint32_t id = unit_id_find(txn, units->items[i].code, units->items[i].from);
        struct heard_row heard;
        struct heads_row heads;
        struct complete_row complete;
        if (heard_row_read(txn, id, &heard))
            facts[i].heard_ms = heard.received_ms;
        if (facts[i].has_station && heads_read(txn, &facts[i].station, &heads) && heads.received_ms > facts[i].heard_ms)
            facts[i].heard_ms = heads.received_ms; // it has nothing to say, and says so
        if (complete_row_read(txn, id, SANJI__PERIOD_TYPE__MONTH, &complete)) {
            facts[i].complete = true;
            facts[i].complete_through = complete.through;
        }
    }
    return facts;
}

// ---- units

static enum error_code pack_units(struct txn *txn, const struct units *units, const struct unit_facts *facts, int32_t first, int32_t end,
                                  struct buffer *ret, struct error *error)
{
    size_t count = (size_t)(end - first);
    Sanji__UnitStatus *rows = calloc(count, sizeof *rows), **pointers = calloc(count, sizeof *pointers);
    if (!rows || !pointers) {
        free(rows);
        free(pointers);
        return error_set(error, ERR_MEMORY, "units");
    }
    uint64_t now = utc_ms();
    bool any_token = txn_count(txn, TABLE_TOKENS) > 0;
    for (size_t i = 0; i < count; i++) {
        const struct unit *unit = &units->items[first + (int32_t)i];
        const struct unit_facts *fact = &facts[first + (int32_t)i];
        sanji__unit_status__init(&rows[i]);
        rows[i].code = (char *)(uintptr_t)unit->code;
        rows[i].name = (char *)(uintptr_t)unit->name;
        rows[i].tier = units->tiers[unit->tier];
        rows[i].parent = unit->parent == UNIT_NONE ? (char *)(uintptr_t) "" : units->items[unit->parent].code;
        if (fact->has_station)
            rows[i].station = binary(fact->station.bytes, STATION_ID_SIZE);
        rows[i].heard_ms = fact->heard_ms;
        rows[i].complete_through = fact->complete ? fact->complete_through : 0;
        rows[i].invited = !fact->has_station && any_token && invited(txn, unit->code, now);
        rows[i].depth = (uint32_t)(unit->depth - units->items[first].depth);
        pointers[i] = &rows[i];
    }
    Sanji__Reply message = SANJI__REPLY__INIT;
    Sanji__UnitsReply reply = SANJI__UNITS_REPLY__INIT;
    reply.n_units = count;
    reply.units = pointers;
    message.reply_case = SANJI__REPLY__REPLY_UNITS;
    message.units = &reply;
    codec_pack(&message, ret);
    free(rows);
    free(pointers);
    return OK;
}

enum error_code overview_units(struct station *station, const char *below, struct buffer *ret, struct error *error)
{
    struct documents *documents = station_documents(station);
    const struct units *units = documents->units;
    int32_t first = below && *below ? units_find(units, below) : documents->unit;
    struct txn *txn = first == UNIT_NONE ? NULL : txn_begin(station_store(station), false, error);
    enum error_code code = first == UNIT_NONE
                               ? error_set(error, ERR_NOT_FOUND, tr("no unit with the code %s", "没有代码为 %s 的单位"), below)
                           : txn ? OK
                                 : error->code;
    if (txn) {
        int32_t end = units->items[first].subtree_end;
        struct unit_facts *facts = unit_facts(txn, units, first, end);
        code = facts ? pack_units(txn, units, facts, first, end, ret, error) : error_set(error, ERR_MEMORY, "units");
        if (code == OK)
            code = txn_report(txn, error);
        free(facts);
    }
    txn_abort(txn);
    station_release(station, documents);
    return code;
}

// ---- status

struct status {
    struct station *station;
    struct documents *documents;
    struct txn *txn;
    struct arena arena;
    Sanji__StatusReply reply;
    struct engine_link *links;
    uint32_t link_count;
    struct unit_facts *facts;
};

static uint64_t since_to_utc(uint64_t monotonic, uint64_t now_monotonic, uint64_t now_utc)
{
    return monotonic ? now_utc - (now_monotonic - monotonic) : 0;
}

static const char *link_state(const struct core_link_status *core)
{
    static const char *const names[] = {"absent", "down", "dialing", "greeting", "live", "barred"};
    return core->repairing && core->state == LINK_LIVE ? "repairing" : names[core->state];
}

static const char *link_unit(const struct status *status, const struct engine_link *link, bool parent)
{
    uint32_t count;
    const struct certificate *ancestors = station_ancestors(status->station, &count);
    struct peer *peer = arena_alloc((struct arena *)(uintptr_t)&status->arena, sizeof *peer);
    if (parent)
        return count ? ancestors[0].unit : "";
    return peer && peer_read(status->txn, &link->station, peer) ? peer->unit : "";
}

static uint64_t fill_lanes(struct status *status, const struct engine_link *link, Sanji__LinkStatus *row)
{
    uint64_t backlog = 0;
    Sanji__LaneStatus *lanes = arena_alloc(&status->arena, LANES * sizeof *lanes),
                      **pointers = arena_alloc(&status->arena, LANES * sizeof *pointers);
    if (!lanes || !pointers)
        return 0;
    for (unsigned lane = 1; lane <= LANES; lane++) {
        sanji__lane_status__init(&lanes[lane - 1]);
        lanes[lane - 1].lane = lane;
        for (unsigned stream = 1; stream <= CORE_STREAMS; stream++) {
            unsigned channel = core_channel(stream, lane);
            lanes[lane - 1].end += link->core.channels[channel].end;
            lanes[lane - 1].headers += link->core.channels[channel].headers;
            lanes[lane - 1].bodies += link->core.channels[channel].bodies;
            if (link->core.channels[channel].end > link->core.channels[channel].headers)
                backlog += link->core.channels[channel].end - link->core.channels[channel].headers;
        }
        pointers[lane - 1] = &lanes[lane - 1];
    }
    row->n_lanes = LANES;
    row->lanes = pointers;
    return backlog;
}

static bool fill_links(struct status *status)
{
    struct engine *engine = station_engine(status->station);
    status->links = engine ? calloc(CHILDREN_MAX + 1, sizeof *status->links) : NULL;
    if (engine && !status->links)
        return false;
    status->link_count = engine ? engine_links(engine, status->links, CHILDREN_MAX + 1) : 0;
    Sanji__LinkStatus *rows = arena_alloc(&status->arena, (status->link_count + 1) * sizeof *rows),
                      **pointers = arena_alloc(&status->arena, (status->link_count + 1) * sizeof *pointers);
    uint64_t monotonic = monotonic_ms(), utc = utc_ms();
    if (!rows || !pointers)
        return false;
    for (uint32_t i = 0; i < status->link_count; i++) {
        const struct engine_link *link = &status->links[i];
        sanji__link_status__init(&rows[i]);
        rows[i].parent = link->core.parent;
        rows[i].unit = (char *)(uintptr_t)link_unit(status, link, rows[i].parent);
        rows[i].station = binary(link->station.bytes, STATION_ID_SIZE);
        rows[i].state = (char *)(uintptr_t)link_state(&link->core);
        rows[i].since_ms = monotonic - link->core.since_ms;
        rows[i].heard_ms = since_to_utc(link->core.heard_ms, monotonic, utc);
        rows[i].acknowledged_ms = since_to_utc(link->core.acknowledged_ms, monotonic, utc);
        rows[i].rate_bytes = link->core.rate_bytes;
        rows[i].heads_refused = link->heads_refused;
        rows[i].address = (char *)(uintptr_t)(link->core.parent ? station_config(status->station)->parent : "");
        rows[i].backlog_rows = fill_lanes(status, link, &rows[i]);
        pointers[i] = &rows[i];
    }
    status->reply.n_links = status->link_count;
    status->reply.links = pointers;
    return true;
}

static bool link_live(const struct status *status, const struct station_id *station)
{
    for (uint32_t i = 0; i < status->link_count; i++)
        if (station_equal(&status->links[i].station, station))
            return status->links[i].core.state == LINK_LIVE;
    return false;
}

static bool fill_tiers(struct status *status)
{
    const struct units *units = status->documents->units;
    int32_t first = status->documents->unit, end = units->items[first].subtree_end;
    Sanji__TierCount *rows = arena_alloc(&status->arena, units->tier_count * sizeof *rows),
                     **pointers = arena_alloc(&status->arena, units->tier_count * sizeof *pointers);
    status->facts = unit_facts(status->txn, units, first, end);
    uint64_t now = utc_ms();
    if (!rows || !pointers || !status->facts)
        return false;
    for (uint16_t tier = 0; tier < units->tier_count; tier++) {
        sanji__tier_count__init(&rows[tier]);
        rows[tier].tier = units->tiers[tier];
        pointers[tier] = &rows[tier];
    }
    for (int32_t i = first; i < end; i++) {
        Sanji__TierCount *row = &rows[units->items[i].tier];
        const struct unit_facts *fact = &status->facts[i];
        row->units++;
        row->stations += fact->has_station;
        bool own = i == first;
        row->live += fact->has_station && (own ? station_engine(status->station) != NULL
                                               : link_live(status, &fact->station) || (fact->heard_ms && now - fact->heard_ms < LIVE_MS));
    }
    status->reply.n_tiers = units->tier_count;
    status->reply.tiers = pointers;
    return true;
}

static bool fill_alarms(struct status *status)
{
    struct alarm *alarms = arena_alloc(&status->arena, ALARMS_SHOWN * sizeof *alarms);
    Sanji__Alarm *rows = arena_alloc(&status->arena, ALARMS_SHOWN * sizeof *rows),
                 **pointers = arena_alloc(&status->arena, ALARMS_SHOWN * sizeof *pointers);
    if (!alarms || !rows || !pointers)
        return false;
    uint32_t count = alarm_last(status->txn, alarms, ALARMS_SHOWN);
    for (uint32_t i = 0; i < count; i++) {
        sanji__alarm__init(&rows[i]);
        rows[i].time_ms = alarms[i].time_ms;
        rows[i].kind = alarms[i].kind;
        rows[i].text = alarms[i].text;
        pointers[i] = &rows[i];
    }
    status->reply.n_alarms = count;
    status->reply.alarms = pointers;
    return true;
}

static bool fill_damaged(struct status *status)
{
    struct quarantined *entries = arena_alloc(&status->arena, DAMAGED_SHOWN * sizeof *entries);
    struct feed_key *feeds = arena_alloc(&status->arena, DAMAGED_SHOWN * sizeof *feeds);
    Sanji__Damaged *rows = arena_alloc(&status->arena, DAMAGED_SHOWN * sizeof *rows),
                   **pointers = arena_alloc(&status->arena, DAMAGED_SHOWN * sizeof *pointers);
    struct feed_state state;
    if (!entries || !feeds || !rows || !pointers)
        return false;
    size_t count = 0;
    while (count < DAMAGED_SHOWN && quarantine_before(status->txn, count ? &entries[count - 1] : NULL, &entries[count])) {
        const struct quarantined *entry = &entries[count];
        Sanji__Damaged *row = &rows[count];
        sanji__damaged__init(row);
        row->since_ms = entry->since_ms;
        if (entry->is_object) {
            row->object = binary(entry->object.bytes, HASH_SIZE);
        } else {
            row->position = entry->position;
            if (entry->place.feed && feed_read(status->txn, entry->place.feed, &feeds[count], &state)) {
                row->station = binary(feeds[count].station.bytes, STATION_ID_SIZE);
                row->lane = feeds[count].lane;
                row->first = entry->place.first;
            }
        }
        pointers[count++] = row;
    }
    struct quarantine_count all = quarantine_count(status->txn);
    status->reply.n_damaged = count;
    status->reply.damaged = pointers;
    status->reply.damaged_count = all.damaged;
    status->reply.mended_count = all.mended;
    return true;
}

static void fill_counts(struct status *status)
{
    struct feed_key feed;
    struct feed_state state;
    Sanji__StatusReply *reply = &status->reply;
    for (uint32_t id = 1; feed_read(status->txn, id, &feed, &state); id++)
        reply->journal_entries += state.next - 1;
    reply->journal_batches = journal_end(status->txn);
    reply->records = txn_count(status->txn, TABLE_RECORD_IDS);
    store_size(station_store(status->station), &reply->store_bytes, &reply->store_map_bytes);
}

static bool fill(struct status *status)
{
    struct station *station = status->station;
    const struct units *units = status->documents->units;
    struct engine *engine = station_engine(station);
    Sanji__StatusReply *reply = &status->reply;
    const struct certificate *self = station_self(station);
    reply->unit = (char *)(uintptr_t)self->unit;
    reply->name = units->items[status->documents->unit].name;
    reply->tier = (char *)(uintptr_t)self->tier;
    reply->station = binary(self->station.bytes, STATION_ID_SIZE);
    reply->version = (char *)(uintptr_t)SANJI_VERSION;
    reply->running = engine != NULL;
    reply->uptime_ms = engine ? monotonic_ms() - station_started_ms(station) : 0;
    reply->ordinal = station_marker(station)->ordinal;
    reply->state = (char *)(uintptr_t)(station_restored(station) ? "read-only" : station_full(station) ? "full" : "ready");
    reply->codebook_version = status->documents->codebook_version;
    reply->codebook = status->documents->codebook ? status->documents->codebook->id : (char *)(uintptr_t) "";
    reply->units_version = status->documents->units_version;
    reply->listen = (char *)(uintptr_t)(engine ? engine_listen(engine) : station_config(station)->listen);
    reply->join = (char *)(uintptr_t)(engine ? engine_join(engine) : station_config(station)->join);
    reply->root = binary(station_config(station)->root.bytes, HASH_SIZE);
    fill_counts(status);
    return fill_links(status) && fill_tiers(status) && fill_alarms(status) && fill_damaged(status);
}

enum error_code overview_status(struct station *station, struct buffer *ret, struct error *error)
{
    struct status status = {.station = station, .documents = station_documents(station), .reply = SANJI__STATUS_REPLY__INIT};
    status.txn = txn_begin(station_store(station), false, error);
    enum error_code code = status.txn ? OK : error->code;
    if (code == OK && !fill(&status))
        code = error_set(error, ERR_MEMORY, "status");
    if (code == OK && txn_error(status.txn) != OK)
        code = error_set(error, txn_error(status.txn), "%s",
                         tr("the store could not be read; 'sanji scrub' says what to do", "无法读取存储；'sanji scrub' 会说明如何处理"));
    if (code == OK) {
        Sanji__Reply message = SANJI__REPLY__INIT;
        message.reply_case = SANJI__REPLY__REPLY_STATUS;
        message.status = &status.reply;
        codec_pack(&message, ret);
    }
    txn_abort(status.txn);
    free(status.links);
    free(status.facts);
    arena_finish(&status.arena);
    station_release(station, status.documents);
    return code;
}
