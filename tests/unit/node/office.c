#include "tests/unit/node/office.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "envelope.pb-c.h"
#include "node/ledger_rows.h"
#include "record.pb-c.h"
#include "tests/must.h"

// 2024-06-15T00:00Z
static const uint64_t now_ms = UINT64_C(1718409600000);

// ---- the codebook

static void set_text(char *to, size_t size, const char *text) { snprintf(to, size, "%s", text); }

static void add_list(struct list *list, const char *id, const char *const *items, uint16_t count)
{
    set_text(list->id, sizeof list->id, id);
    list->items = calloc(count, sizeof *list->items);
    list->item_count = count;
    for (uint16_t i = 0; i < count; i++) {
        set_text(list->items[i].id, sizeof list->items[i].id, items[i]);
        set_text(list->items[i].label.en, sizeof list->items[i].label.en, items[i]);
        set_text(list->items[i].label.zh, sizeof list->items[i].label.zh, items[i]);
        list->items[i].until = INT32_MAX;
    }
}

static struct indicator *add_indicator(struct codebook *codebook, int at, const char *id, enum indicator_kind kind, uint32_t every)
{
    struct indicator *indicator = &codebook->indicators[at];
    set_text(indicator->id, sizeof indicator->id, id);
    set_text(indicator->label.en, sizeof indicator->label.en, id);
    set_text(indicator->label.zh, sizeof indicator->label.zh, id);
    set_text(indicator->count, sizeof indicator->count, kind == INDICATOR_STOCK ? "人" : "次");
    indicator->kind = kind;
    indicator->every = every;
    indicator->form = indicator->reg = indicator->multi = indicator->num = indicator->den = -1;
    indicator->stated_by = indicator->for_tier = -1;
    indicator->cell_count = 1;
    return indicator;
}

static void add_dimension(struct codebook *codebook, struct indicator *indicator, int16_t list, bool multi)
{
    struct dimension *dimension = &indicator->dims[indicator->dim_count++];
    set_text(dimension->id, sizeof dimension->id, codebook->lists[list].id);
    dimension->source = DIMENSION_LIST;
    dimension->list = list;
    dimension->band = -1;
    dimension->multi = multi;
    dimension->radix = (uint16_t)(codebook->lists[list].item_count + 2);
    if (multi)
        indicator->multi = (int16_t)(indicator->dim_count - 1);
    indicator->cell_count = 1;
    for (int i = indicator->dim_count - 1; i >= 0; i--) {
        indicator->dims[i].stride = indicator->cell_count;
        indicator->cell_count *= indicator->dims[i].radix;
    }
}

// The ratio comes after its parts here, as its definition stands on theirs.
static void define_all(struct codebook *codebook)
{
    struct buffer text = {0};
    for (uint16_t i = 0; i < codebook->indicator_count; i++) {
        buffer_clear(&text);
        codebook_definition_text(codebook, i, &text);
        codebook->indicators[i].definition = crypto_hash(TAG_DEFINITION, buffer_bytes(&text));
    }
    buffer_finish(&text);
}

static struct codebook *make_codebook(void)
{
    static const char *const categories[CATEGORIES] = {"orphan", "left_behind", "disabled"}, *const sexes[2] = {"f", "m"};
    struct codebook *codebook = calloc(1, sizeof *codebook);
    set_text(codebook->id, sizeof codebook->id, "test");
    codebook->version = codebook->grammar = 1;
    codebook->tz_minutes = 480;
    codebook->tier_count = 3;
    set_text(codebook->tiers[0], sizeof codebook->tiers[0], "county");
    set_text(codebook->tiers[1], sizeof codebook->tiers[1], "township");
    set_text(codebook->tiers[2], sizeof codebook->tiers[2], "village");
    codebook->lists = calloc(2, sizeof *codebook->lists);
    codebook->list_count = 2;
    add_list(&codebook->lists[0], "category", categories, CATEGORIES);
    add_list(&codebook->lists[1], "sex", sexes, 2);
    codebook->indicators = calloc(INDICATORS, sizeof *codebook->indicators);
    codebook->indicator_count = INDICATORS;
    const uint32_t month = 1u << MONTH_TYPE, year = 1u << YEAR_TYPE;
    add_dimension(codebook, add_indicator(codebook, VISITS, "visits", INDICATOR_FLOW, month), 0, false);
    struct indicator *children = add_indicator(codebook, CHILDREN, "children", INDICATOR_STOCK, month);
    add_dimension(codebook, children, 0, true);
    add_dimension(codebook, children, 1, false);
    add_indicator(codebook, POPULATION, "population", INDICATOR_ENTERED, year)->for_tier = 1;
    struct indicator *quota = add_indicator(codebook, QUOTA, "quota", INDICATOR_ENTERED, year);
    quota->for_tier = 1;
    quota->stated_by = 0;
    struct indicator *share = add_indicator(codebook, SHARE, "share", INDICATOR_RATIO, month);
    share->num = VISITS;
    share->den = CHILDREN;
    add_dimension(codebook, add_indicator(codebook, BEDS, "beds", INDICATOR_ENTERED, month | year), 0, false);
    define_all(codebook);
    return codebook;
}

static void free_codebook(struct codebook *codebook)
{
    for (int i = 0; i < codebook->list_count; i++)
        free(codebook->lists[i].items);
    free(codebook->lists);
    free(codebook->indicators);
    free(codebook);
}

// ---- stations

static void enrol(struct office *office, struct certificate *certificate, struct secret_key *key, const char *unit, uint64_t term,
                  uint32_t ordinal, bool root, struct buffer *wire)
{
    int32_t at = units_find(office->units, unit);
    assert_true(at >= 0);
    struct secret_key other;
    struct error error = {0};
    *certificate = (struct certificate){.term = term, .ordinal = ordinal, .issued_ms = now_ms, .units = office->units->hash};
    crypto_random(certificate->station.bytes, STATION_ID_SIZE);
    crypto_random(certificate->serial, sizeof certificate->serial);
    crypto_sign_keypair(&certificate->sign_key, key);
    crypto_seal_keypair(&certificate->seal_key, &other);
    crypto_seal_keypair(&certificate->transport_key, &other);
    set_text(certificate->unit, sizeof certificate->unit, unit);
    set_text(certificate->tier, sizeof certificate->tier, office->units->tiers[office->units->items[at].tier]);
    certificate->unit_from = office->units->items[at].from;
    certificate->depth = office->units->items[at].depth;
    must(certificate_issue(certificate, root ? NULL : &office->root, root ? key : &office->root_key, wire, &error), &error);
}

static void make_directory(struct office *office)
{
    const char *base = getenv("TMPDIR");
    snprintf(office->directory, sizeof office->directory, "%s/sanji-XXXXXX", base && strlen(base) < 40 ? base : "/tmp");
    assert_non_null(mkdtemp(office->directory));
}

void office_open(struct office *office, const char *units_csv, const char *unit)
{
    struct error error = {0};
    *office = (struct office){.now_ms = now_ms, .codebook = make_codebook()};
    must(crypto_init(&error), &error);
    make_directory(office);
    must(units_parse(bytes_of_text(units_csv), "units.csv", &office->units, &error), &error);
    must(store_open(office->directory, STORE_CREATE, 0, &office->store, &error), &error);
    struct buffer root = {0}, self = {0};
    enrol(office, &office->root, &office->root_key, office->units->items[0].code, 1, 1, true, &root);
    bool is_root = strcmp(unit, office->units->items[0].code) == 0;
    if (is_root) {
        office->self = office->root;
        office->self_key = office->root_key;
    } else {
        enrol(office, &office->self, &office->self_key, unit, 10, 1, false, &self);
    }
    struct author_config config = {
        .self = &office->self, .parent = is_root ? NULL : &office->root, .sign_key = &office->self_key, .ordinal = 1, .nonce = 77};
    must(author_create(&config, &office->author, &error), &error);
    must(ledger_create(&office->ledger, &error), &error);
    office->desk = (struct desk){.codebook = office->codebook,
                                 .units = office->units,
                                 .unit = units_find(office->units, unit),
                                 .self = &office->self,
                                 .ancestors = &office->root,
                                 .ancestor_count = is_root ? 0 : 1,
                                 .author = office->author,
                                 .ledger = office->ledger};
    struct txn *txn = txn_begin(office->store, true, &error);
    assert_non_null(txn);
    struct journal_meta meta = {.format = 1, .station = office->self.station, .generation = 5, .starts = 1};
    journal_create(txn, &meta);
    object_add(txn, &office->root.hash, OBJECT_CERTIFICATE, buffer_bytes(&root));
    if (!is_root)
        object_add(txn, &office->self.hash, OBJECT_CERTIFICATE, buffer_bytes(&self));
    object_add(txn, &office->units->hash, OBJECT_DOCUMENT, bytes_of_text(units_csv));
    unit_ids_assign(txn, office->units);
    must(txn_commit(txn, &error), &error);
    buffer_finish(&root);
    buffer_finish(&self);
}

void office_close(struct office *office)
{
    ledger_destroy(office->ledger);
    author_destroy(office->author);
    store_close(office->store);
    units_destroy(office->units);
    free_codebook(office->codebook);
    char command[96];
    snprintf(command, sizeof command, "rm -r '%s'", office->directory);
    assert_int_equal(system(command), 0);
}

void office_begin(struct office *office)
{
    struct error error = {0};
    office->desk.txn = txn_begin(office->store, true, &error);
    assert_non_null(office->desk.txn);
    office->desk.now_ms = office->now_ms;
    author_context(office->author, office->now_ms, NULL);
}

uint64_t office_commit(struct office *office)
{
    struct error error = {0};
    struct grown grown = {0};
    uint64_t count = ledger_state(office->ledger, &office->desk);
    ledger_flush(office->ledger, office->desk.txn);
    author_finish(office->author, office->desk.txn, &grown);
    must(txn_commit(office->desk.txn, &error), &error);
    office->desk.txn = NULL;
    return count;
}

struct txn *office_read(struct office *office)
{
    struct error error = {0};
    struct txn *txn = txn_begin(office->store, false, &error);
    assert_non_null(txn);
    return txn;
}

// ---- reading

struct group_key office_group(struct office *office, struct txn *txn, int indicator, const char *unit, uint32_t type, int32_t number)
{
    int32_t at = units_find(office->units, unit);
    assert_true(at >= 0);
    uint32_t id = unit_id_find(txn, unit, office->units->items[at].from);
    assert_int_not_equal(id, UNIT_ID_NONE);
    return (struct group_key){office->codebook->indicators[indicator].definition, id, {type, number}};
}

struct wanted {
    uint32_t cell;
    int64_t value, sum;
};

static void look(void *context, uint32_t cell, int64_t value)
{
    struct wanted *wanted = context;
    assert_int_not_equal(value, 0); // zero cells are not kept
    wanted->sum += value;
    if (cell == wanted->cell)
        wanted->value = value;
}

int64_t office_value(struct office *office, const struct group_key *group, bool below, uint32_t cell)
{
    struct txn *txn = office_read(office);
    struct wanted wanted = {.cell = cell};
    cells_each(txn, group, below, look, &wanted);
    assert_int_equal(txn_error(txn), OK);
    txn_abort(txn);
    return wanted.value;
}

int64_t office_sum(struct office *office, int indicator, const char *unit, uint32_t type, int32_t number, bool below)
{
    struct txn *txn = office_read(office);
    struct group_key group = office_group(office, txn, indicator, unit, type, number);
    struct wanted wanted = {.cell = UINT32_MAX};
    cells_each(txn, &group, below, look, &wanted);
    assert_int_equal(txn_error(txn), OK);
    txn_abort(txn);
    return wanted.sum;
}

// ---- other stations

void mate_open(struct mate *mate, struct office *office, const char *unit, uint64_t term, uint32_t ordinal)
{
    *mate = (struct mate){.sequence = 1};
    struct buffer wire = {0};
    enrol(office, &mate->certificate, &mate->key, unit, term, ordinal, false, &wire);
    mate->feed = (struct feed_key){.station = mate->certificate.station,
                                   .ordinal = ordinal,
                                   .nonce = crypto_random_u64(),
                                   .lane = SANJI__LANE__AGGREGATE,
                                   .audience = SANJI__AUDIENCE__UP};
    feed_state_init(&mate->state);
    bool open = office->desk.txn != NULL;
    if (!open)
        office_begin(office);
    object_add(office->desk.txn, &mate->certificate.hash, OBJECT_CERTIFICATE, buffer_bytes(&wire));
    if (!open)
        office_commit(office);
    buffer_finish(&wire);
}

static void drop_entries(struct mate *mate)
{
    for (uint32_t i = 0; i < mate->count; i++)
        free((void *)mate->entries[i].content.data);
    mate->count = 0;
}

void mate_close(struct mate *mate)
{
    drop_entries(mate);
    free(mate->entries);
}

static uint64_t mate_add(struct mate *mate, uint32_t kind, const struct buffer *content)
{
    assert_false(content->failed);
    if (mate->count == mate->capacity) {
        mate->capacity = mate->capacity ? mate->capacity * 2 : 16;
        mate->entries = realloc(mate->entries, mate->capacity * sizeof *mate->entries);
        assert_non_null(mate->entries);
    }
    mate->entries[mate->count].kind = kind;
    mate->entries[mate->count++].content = buffer_bytes(content);
    return mate->sequence++;
}

uint64_t mate_state(struct mate *mate, struct office *office, int indicator, const char *unit, uint32_t type, int32_t number, bool full,
                    const uint32_t *cells, const int64_t *values, uint32_t count)
{
    int32_t at = units_find(office->units, unit);
    const struct indicator *of = &office->codebook->indicators[indicator];
    struct statement statement = {.definition = of->definition,
                                  .unit_from = at >= 0 ? office->units->items[at].from : 0,
                                  .term = mate->certificate.term,
                                  .period = {type, number},
                                  .scope = SANJI__SCOPE__OWN,
                                  .basis = of->kind == INDICATOR_ENTERED ? SANJI__BASIS__ENTERED : SANJI__BASIS__COMPUTED,
                                  .extent = full ? SANJI__EXTENT__FULL : SANJI__EXTENT__PATCH,
                                  .cells = cells,
                                  .values = values,
                                  .count = count};
    set_text(statement.unit, sizeof statement.unit, unit);
    struct buffer wire = {0};
    statement_encode(&statement, &wire);
    return mate_add(mate, SANJI__ENTRY_KIND__STATEMENT, &wire);
}

uint64_t mate_complete(struct mate *mate, struct office *office, const char *unit, int32_t through)
{
    struct complete complete = {.unit_from = office->units->items[units_find(office->units, unit)].from,
                                .term = mate->certificate.term,
                                .through = {MONTH_TYPE, through},
                                .head = mate->sequence - 1};
    set_text(complete.unit, sizeof complete.unit, unit);
    struct buffer wire = {0};
    complete_encode(&complete, &wire);
    return mate_add(mate, SANJI__ENTRY_KIND__COMPLETE, &wire);
}

static uint32_t apply_entries(struct mate *mate, struct office *office, uint64_t first)
{
    struct arena arena = {0};
    struct error error = {0};
    uint32_t applied = 0;
    for (uint32_t i = 0; i < mate->count; i++) {
        struct speaker speaker = {mate->certificate.station,
                                  mate->certificate.term,
                                  mate->feed.ordinal,
                                  first + i,
                                  office->now_ms,
                                  units_find(office->units, mate->certificate.unit),
                                  mate->certificate.from_period,
                                  mate->feed.nonce,
                                  office->now_ms};
        struct statement statement;
        struct complete complete;
        const char *reason;
        enum verdict verdict;
        if (mate->entries[i].kind == SANJI__ENTRY_KIND__STATEMENT) {
            must(statement_decode(mate->entries[i].content, &arena, &statement, &error), &error);
            verdict = ledger_apply(office->ledger, &office->desk, &statement, &speaker, &reason);
        } else {
            must(complete_decode(mate->entries[i].content, &arena, &complete, &error), &error);
            verdict = ledger_complete(office->ledger, &office->desk, &complete, &speaker, &reason);
        }
        if (verdict == VERDICT_APPLIED)
            applied++;
        arena_reset(&arena);
    }
    arena_finish(&arena);
    return applied;
}

uint32_t mate_send(struct mate *mate, struct office *office)
{
    struct error error = {0};
    struct batch_draft draft;
    must(batch_draft_init(&draft, &mate->feed, REACH_TOP, &error), &error);
    for (uint32_t i = 0; i < mate->count; i++)
        must(batch_draft_add(&draft, mate->entries[i].kind, office->now_ms, mate->entries[i].content, NULL, &error), &error);
    struct buffer wire = {0};
    struct header header;
    uint8_t signature[SIGNATURE_SIZE];
    must(batch_draft_sign(&draft, &mate->state, &mate->certificate, &mate->key, office->now_ms, NULL, NULL, 0, &wire, &header, signature,
                          &error),
         &error);
    uint32_t feed;
    struct feed_state state;
    if (!feed_find(office->desk.txn, &mate->feed, &feed, &state))
        feed = feed_add(office->desk.txn, &mate->feed);
    struct batch_row row = {.feed = feed,
                            .first = header.first,
                            .count = header.count,
                            .received_ms = office->now_ms,
                            .from = mate->certificate.station,
                            .verdict = VERDICT_APPLIED,
                            .header = buffer_bytes(&wire),
                            .signature = bytes_of(signature, sizeof signature),
                            .body = buffer_bytes(&draft.body)};
    journal_append(office->desk.txn, &row);
    struct feed_claim claim = {header.first, header.count, header.hash, header.prev};
    feed_extend(&mate->state, &claim, true, true);
    feed_write(office->desk.txn, feed, &mate->state);
    uint32_t applied = apply_entries(mate, office, header.first);
    buffer_finish(&wire);
    batch_draft_finish(&draft);
    drop_entries(mate);
    return applied;
}

// ---- the whole store

struct hash office_tables(struct office *office)
{
    static const enum table tables[] = {TABLE_UNITS, TABLE_GROUPS, TABLE_CELLS, TABLE_BELOW, TABLE_COMPLETE};
    struct buffer all = {0};
    struct txn *txn = office_read(office);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        struct cursor *cursor = cursor_open(txn, tables[i]);
        for (bool on = cursor_next(cursor); on; on = cursor_next(cursor)) {
            struct bytes key = cursor_key(cursor), value = cursor_value(cursor);
            uint8_t sizes[5] = {(uint8_t)i};
            put_be16(sizes + 1, (uint16_t)key.size);
            put_be16(sizes + 3, (uint16_t)value.size);
            buffer_append(&all, sizes, sizeof sizes);
            buffer_append(&all, key.data, key.size);
            buffer_append(&all, value.data, value.size);
        }
        cursor_close(cursor);
    }
    txn_abort(txn);
    struct hash hash = crypto_hash(TAG_DIGEST, buffer_bytes(&all));
    buffer_finish(&all);
    return hash;
}

static void add_cell(void *context, uint32_t cell, int64_t value)
{
    int64_t *cells = context;
    cells[cell] += value;
}

// The sum over all units below, cell by cell, against BELOW; for every group of a period and definition that anyone stated.
static void check_unit(struct office *office, struct txn *txn, int indicator, int32_t unit, struct period period)
{
    enum { CELLS = 64 };
    int64_t own[CELLS] = {0}, below[CELLS] = {0};
    uint64_t stated = 0;
    struct group_state state;
    for (int32_t i = unit + 1; i < office->units->items[unit].subtree_end; i++) {
        struct group_key group = office_group(office, txn, indicator, office->units->items[i].code, period.type, period.number);
        stated += group_read(txn, &group, &state);
        cells_each(txn, &group, false, add_cell, own);
    }
    struct group_key group = office_group(office, txn, indicator, office->units->items[unit].code, period.type, period.number);
    cells_each(txn, &group, true, add_cell, below);
    assert_memory_equal(own, below, sizeof own);
    assert_int_equal(group_stated_below(txn, &group), stated);
}

void office_check_below(struct office *office)
{
    struct txn *txn = office_read(office);
    struct cursor *cursor = cursor_open(txn, TABLE_GROUPS);
    struct period last = {0};
    int last_indicator = -1;
    for (bool on = cursor_next(cursor); on; on = cursor_next(cursor)) {
        struct bytes key = cursor_key(cursor);
        assert_int_equal(key.size, GROUP_KEY_SIZE);
        int indicator = -1;
        for (int i = 0; i < INDICATORS; i++)
            if (memcmp(office->codebook->indicators[i].definition.bytes, key.data, 16) == 0)
                indicator = i;
        assert_true(indicator >= 0);
        struct period period = {key.data[20], get_be32_signed(key.data + 21)};
        if (indicator == last_indicator && period.type == last.type && period.number == last.number)
            continue;
        for (int32_t unit = office->desk.unit; unit < office->units->items[office->desk.unit].subtree_end; unit++)
            check_unit(office, txn, indicator, unit, period);
        last = period;
        last_indicator = indicator;
    }
    cursor_close(cursor);
    assert_int_equal(txn_error(txn), OK);
    txn_abort(txn);
}
