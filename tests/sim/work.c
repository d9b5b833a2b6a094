// What people do at the stations: figures through the ledger, sealed records of every reach and lane, word to those below, documents.
#include "envelope.pb-c.h"
#include "node/period.h"
#include "record.pb-c.h"
#include "relay/receipt.h"
#include "tests/sim/check.h"
#include "tests/sim/memory.h"

enum {
    HOUR_MS = 3600 * 1000,
    CELLS_USED = 200, // cells of an indicator: four chunks
    MONTHS = 3,
    CONTENT_MAX = 60 * 1000,
    DOCUMENT_BYTES = 200 * 1000,
    CROWD = 100, // addressees of one commit, where there are so many
};

struct work {
    struct site *site;
    enum { WORK_FIGURES, WORK_RECORD, WORK_URGENT, WORK_DOWN, WORK_ADDRESSED, WORK_DOCUMENT } kind;
    uint64_t random; // what it does depends on this alone: it may run more than once
};

static uint32_t draw(struct work *work, uint32_t bound)
{
    work->random = work->random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((work->random >> 33) % bound);
}

struct hash work_definition(uint32_t number)
{
    char text[16];
    snprintf(text, sizeof text, "sim %u", number);
    return crypto_hash(TAG_DEFINITION, bytes_of_text(text));
}

static void record_figures(struct work *work)
{
    struct site *site = work->site;
    const struct unit *unit = &world->units->items[site->unit];
    uint32_t definition = draw(work, 3), changes = 1 + draw(work, 5);
    int32_t month = 2024 * 12 + (int32_t)draw(work, MONTHS);
    // As record_validate.c and import.c: a period in the future is refused, by whatever the clock says.
    if (month > month_of_days(civil_of_instant(site->desk.now_ms, world->codebook->tz_minutes)))
        return;
    struct group_key group = {
        work_definition(definition), unit_id_find(site->desk.txn, unit->code, unit->from), {SANJI__PERIOD_TYPE__MONTH, month}};
    for (uint32_t i = 0; i < changes; i++) {
        struct figure_change change = {.unit = site->unit, .definition = definition, .month = month};
        change.cell = draw(work, CELLS_USED);
        change.value = (int64_t)draw(work, 41) - 20;
        ledger_add(site->ledger, &site->desk, &group, unit->code, change.cell, change.value);
        site->pending = memory_room(site->pending, site->pending_count, &site->pending_capacity, sizeof *site->pending);
        site->pending[site->pending_count++] = change;
    }
}

static void add_sealed(struct work *work, unsigned lane, unsigned audience, const struct station_id *to, uint32_t reach, uint32_t size)
{
    struct site *site = work->site;
    struct key_id key;
    size += SEAL_OVERHEAD; // no sealed content is shorter
    uint8_t *content = memory_get(size, 1);
    for (uint32_t i = 0; i < size; i += 1 + size / 64)
        content[i] = (uint8_t)draw(work, 256);
    crypto_random(key.bytes, sizeof key.bytes);
    author_add(site->author, site->desk.txn, lane, audience, to, reach, SANJI__ENTRY_KIND__RECORD, site->desk.now_ms,
               bytes_of(content, size), &key);
    free(content);
}

static uint32_t some_reach(struct work *work)
{
    static const uint32_t reaches[] = {0, 1, 1, 2, 3, REACH_TOP};
    return reaches[draw(work, 6)];
}

// A station below whose way is known: it has been heard of.
static void address(struct work *work, const struct site *to, unsigned lane)
{
    struct station_id via;
    if (route_via(work->site->desk.txn, &to->self.station, &via))
        add_sealed(work, lane, SANJI__AUDIENCE__STATION, &to->self.station, REACH_TOP, 20 + draw(work, 500));
}

// As record_write.c: a batch of its own, which waits for the receipt of the highest tier.
static void add_urgent(struct work *work)
{
    const struct site *site = work->site;
    struct author_batch batch;
    add_sealed(work, SANJI__LANE__URGENT, SANJI__AUDIENCE__UP, NULL, REACH_TOP, 100 + draw(work, 1000));
    if (world->config.former || !author_close(site->author, site->desk.txn, SANJI__LANE__URGENT, SANJI__AUDIENCE__UP, NULL, &batch))
        return;
    struct urgent_batch urgent = {.feed = batch.feed,
                                  .first = batch.first,
                                  .decided = site->parent < 0,
                                  .signed_ms = site->desk.now_ms,
                                  .within_ms = HOUR_MS,
                                  .reach = REACH_TOP,
                                  .what = "sim"};
    urgent_write(site->desk.txn, &urgent);
}

// To one station below, or at once to more than one commit tells the engine of.
static void add_addressed(struct work *work)
{
    const struct site *site = work->site;
    uint32_t below = site->subtree_end - site->index - 1, lane = 1 + draw(work, 3);
    bool crowd = site->children > GROWN_ONE_MAX && draw(work, 4) == 0;
    if (!crowd)
        address(work, &world->sites[site->index + 1 + draw(work, below)], lane);
    for (uint32_t i = 0; crowd && i < below && i < CROWD; i++)
        address(work, &world->sites[site->index + 1 + i], lane);
    if (crowd)
        path_taken(SIM_PATH_crowd);
}

static void add_document(struct work *work)
{
    struct site *site = work->site;
    uint32_t size = 1000 + draw(work, DOCUMENT_BYTES);
    uint8_t *content = memory_get(size, 1);
    for (uint32_t i = 0; i < size; i += 500)
        content[i] = (uint8_t)draw(work, 256);
    struct hash hash = crypto_hash(TAG_DOCUMENT, bytes_of(content, size));
    struct grown grown = {0};
    object_add(site->desk.txn, &hash, OBJECT_DOCUMENT, bytes_of(content, size));
    route_document(site->desk.txn, &hash, &grown);
    free(content);
    // The row is announced by what is signed with it.
    add_sealed(work, SANJI__LANE__BULK, SANJI__AUDIENCE__SUBTREE, NULL, REACH_TOP, 50);
}

static enum error_code run(void *argument, struct txn *txn, struct error *error)
{
    (void)txn;
    (void)error;
    struct work copy = *(struct work *)argument, *work = &copy;
    unsigned lane;
    uint32_t size = draw(work, 8) ? 20 + draw(work, 2000) : 20 + draw(work, CONTENT_MAX);
    switch (work->kind) {
    case WORK_FIGURES:
        record_figures(work);
        break;
    case WORK_RECORD:
        lane = draw(work, 3) ? SANJI__LANE__CASE : SANJI__LANE__BULK;
        add_sealed(work, lane, SANJI__AUDIENCE__UP, NULL, some_reach(work), size);
        break;
    case WORK_URGENT:
        add_urgent(work);
        break;
    case WORK_DOWN:
        lane = draw(work, 3) ? SANJI__LANE__CONTROL : SANJI__LANE__URGENT;
        add_sealed(work, lane, SANJI__AUDIENCE__SUBTREE, NULL, REACH_TOP, 20 + draw(work, 2000));
        break;
    case WORK_ADDRESSED:
        add_addressed(work);
        break;
    case WORK_DOCUMENT:
        add_document(work);
        break;
    }
    return OK;
}

static void finished(void *argument, enum error_code code, const struct error *error)
{
    const struct work *work = argument;
    // Only a disk without room, or the end of the process, may refuse what people record.
    if (code != OK && code != ERR_FULL && code != ERR_BUSY && code != ERR_STORE)
        check_fail(&check_arrived, "%s: record refused: %s: %s", site_name(work->site), error_name(code), error->detail);
    free(argument);
}

static void plan_work(struct site *site)
{
    uint32_t load = world->config.load ? world->config.load : SIM_LOAD;
    plan(world->now + 1 + random_below(2 * HOUR_MS / load), HAPPENS_WORK, site->index, 0, 0);
}

static void submit_work(struct site *site)
{
    uint32_t dice = random_below(100);
    struct work *work = memory_get(1, sizeof *work);
    *work = (struct work){.site = site, .random = random_next()};
    work->kind = dice < 45 ? WORK_FIGURES : dice < 80 ? WORK_RECORD : WORK_URGENT;
    if (site->children && dice >= 90)
        work->kind = dice < 94 ? WORK_DOWN : WORK_ADDRESSED;
    if (site->index == 0 && site->children && dice >= 99)
        work->kind = WORK_DOCUMENT;
    step_note(site, "records", work->kind, 0, 0);
    world->current = site;
    struct call_job call = {.run = run, .finished = finished, .argument = work};
    if (writer_submit_call(site->writer, &call) != OK)
        free(work);
    world->current = NULL;
}

// Each station's work is drawn apart: what it records does not depend on what happened to it.
static uint64_t work_apart(struct site *site) { return random_apart(MATTER_WORK, (uint64_t)site->index << 32 | ++site->works); }

void work_do(struct site *site)
{
    uint64_t before = work_apart(site);
    plan_work(site);
    if (site->running && (!site->restored || planted(SIM_PLANT_restored_signs)))
        submit_work(site);
    random_back(before);
}

void work_plan(struct site *site)
{
    uint64_t before = work_apart(site);
    plan_work(site);
    random_back(before);
}

void work_begin(void)
{
    for (uint32_t i = 0; i < world->count; i++)
        work_plan(&world->sites[i]);
}
