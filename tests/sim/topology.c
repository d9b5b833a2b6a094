// The tree: its units, one station each, and their certificates, as enrolment would have left them.
#include "tests/sim/check.h"
#include "tests/sim/memory.h"

enum { DEPTH_RANDOM = 5, CODEBOOK_ZONE = 480 };

// ---- units

static void line_of(struct buffer *csv, uint32_t unit, uint32_t depth, int64_t parent)
{
    char text[96];
    int size = parent < 0 ? snprintf(text, sizeof text, "u%u,unit %u,tier%u,\n", unit, unit, depth)
                          : snprintf(text, sizeof text, "u%u,unit %u,tier%u,u%lld\n", unit, unit, depth, (long long)parent);
    buffer_append(csv, text, (size_t)size);
}

static void make_csv(struct buffer *csv, const char *topology, uint32_t count)
{
    static const char head[] = "code,name,tier,parent_code\n";
    uint32_t *depths = memory_get(count, sizeof *depths);
    buffer_append(csv, head, sizeof head - 1);
    for (uint32_t i = 0; i < count; i++) {
        int64_t parent = (int64_t)i - 1;
        if (strcmp(topology, "star") == 0)
            parent = i ? 0 : -1;
        while (strcmp(topology, "random") == 0 && i > 0) {
            parent = random_below(i);
            if (depths[parent] + 1 < DEPTH_RANDOM)
                break;
        }
        depths[i] = parent < 0 ? 0 : depths[parent] + 1;
        line_of(csv, i, depths[i], parent);
    }
    free(depths);
}

// The first `count` units of a file; in preorder a unit stands behind its parent.
static bool read_csv(struct buffer *csv, const char *path, uint32_t count)
{
    FILE *file = fopen(path, "r");
    char text[512];
    if (!file)
        return false;
    for (uint32_t i = 0; i <= count && fgets(text, sizeof text, file); i++)
        buffer_append(csv, text, strlen(text));
    fclose(file);
    return true;
}

static bool make_units(void)
{
    const char *topology = world->config.topology;
    struct error error = {0};
    if (strcmp(topology, "star") == 0 || strcmp(topology, "chain") == 0 || strcmp(topology, "random") == 0)
        make_csv(&world->csv, topology, world->config.stations);
    else if (!read_csv(&world->csv, topology, world->config.stations))
        error_set_errno(&error, ERR_IO, "%s", topology);
    if (error.code == OK)
        units_parse(buffer_bytes(&world->csv), topology, &world->units, &error);
    if (error.code != OK)
        snprintf(world->result->story, sizeof world->result->story, "%s", error.detail);
    return error.code == OK;
}

// ---- stations

static void certify(struct site *site)
{
    const struct unit *unit = &world->units->items[site->index];
    struct site *parent = site_parent(site);
    struct certificate *self = &site->self;
    struct secret_key unused;
    struct error error = {0};
    *self = (struct certificate){.term = site->depth + 1, .ordinal = 1, .issued_ms = site_utc_ms(site), .units = world->units->hash};
    crypto_random(self->station.bytes, STATION_ID_SIZE);
    crypto_random(self->serial, sizeof self->serial);
    crypto_sign_keypair(&self->sign_key, &site->sign_key);
    crypto_seal_keypair(&self->seal_key, &unused);
    crypto_seal_keypair(&self->transport_key, &site->transport_key);
    memcpy(self->unit, unit->code, sizeof self->unit);
    memcpy(self->tier, world->units->tiers[unit->tier], sizeof self->tier);
    self->unit_from = unit->from;
    self->depth = site->depth;
    enum error_code code =
        certificate_issue(self, parent ? &parent->self : NULL, parent ? &parent->sign_key : &site->sign_key, &site->wire, &error);
    assert(code == OK);
    for (struct site *above = parent; above; above = site_parent(above))
        site->ancestors[site->ancestor_count++] = above->self;
}

static void enrol(struct txn *txn, const struct site *child)
{
    struct peer peer = {.station = child->self.station, .transport_key = child->self.transport_key, .certificate = child->self.hash};
    memcpy(peer.unit, child->self.unit, sizeof peer.unit);
    peer_write(txn, &peer);
    object_add(txn, &child->self.hash, OBJECT_CERTIFICATE, buffer_bytes(&child->wire));
}

// As salvage_make.c does where nothing of the store is left.
void topology_empty(struct site *site, uint64_t generation)
{
    struct error error = {0};
    enum error_code code = store_memory_create(&site->store, &error);
    assert(code == OK);
    struct txn *txn = txn_begin(site->store, true, &error);
    struct journal_meta meta = {.format = 1, .station = site->self.station, .generation = generation, .starts = 1};
    journal_create(txn, &meta);
    for (struct site *at = site; at; at = site_parent(at))
        object_add(txn, &at->self.hash, OBJECT_CERTIFICATE, buffer_bytes(&at->wire));
    unit_ids_assign(txn, world->units);
    code = txn_commit(txn, &error);
    assert(code == OK);
}

static void make_store(struct site *site)
{
    struct error error = {0};
    topology_empty(site, site->generation);
    struct txn *txn = txn_begin(site->store, true, &error);
    for (uint32_t i = site->index + 1; i < site->subtree_end; i = world->sites[i].subtree_end)
        enrol(txn, &world->sites[i]);
    enum error_code code = txn_commit(txn, &error);
    assert(code == OK);
    site->marker = (struct marker){.station = site->self.station, .ordinal = 1, .nonce = site->generation, .starts = 1};
    site->has_marker = true;
}

bool topology_make(void)
{
    if (!make_units())
        return false;
    world->count = (uint32_t)world->units->count;
    world->sites = memory_get(world->count + TWINS_MAX, sizeof *world->sites);
    world->site_count = world->count;
    world->codebook = memory_get(1, sizeof *world->codebook);
    world->codebook->tz_minutes = CODEBOOK_ZONE;
    for (uint32_t i = 0; i < world->count; i++) {
        struct site *site = &world->sites[i];
        const struct unit *unit = &world->units->items[i];
        site->index = site->unit = i;
        site->parent = unit->parent;
        site->depth = unit->depth;
        site->subtree_end = (uint32_t)unit->subtree_end;
        site->generation = crypto_random_u64() | 1;
        site->line.rate = 1000 * 1000;
        site->line.delay = 5 + random_below(40);
        for (int side = 0; side < 2; side++)
            site->line.pipes[side].last = &site->line.pipes[side].first;
        site->delegated = memory_get(world->count, 1);
        memset(site->delegated + i + 1, 1, site->subtree_end - i - 1);
        if (unit->parent >= 0)
            world->sites[unit->parent].children++;
        certify(site);
    }
    for (uint32_t i = 0; i < world->count; i++)
        make_store(&world->sites[i]);
    return true;
}

void topology_free(void)
{
    units_destroy(world->units);
    buffer_finish(&world->csv);
    free(world->codebook);
}

struct site *site_parent(const struct site *site) { return site->parent < 0 ? NULL : &world->sites[site->parent]; }
const char *site_name(const struct site *site) { return world->units->items[site->unit].code; }
