// Files that people hand in: CSV, a unit tree, JSON, records in either, an address. The first byte says which.
#include "node/codebook/codebook.h"
#include "node/csv.h"
#include "node/json.h"
#include "node/record_input.h"
#include "node/units.h"
#include "relay/arena.h"
#include "relay/crypto.h"
#include "relay/endpoint.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/small.h"

// What is read as CSV, written again, reads the same.
static void read_csv(struct bytes text)
{
    struct csv csv;
    struct error error = {0};
    struct buffer out = {0};
    MUST(csv_init(&csv, text, "fuzz.csv", &error) == OK);
    struct csv_writer writer = {.out = &out};
    uint32_t rows = 0, fields = 0;
    while (csv_next(&csv, &error)) {
        MUST(csv.count > 0 && csv.count <= CSV_FIELDS_MAX && (rows == 0 || csv.count == fields));
        fields = csv.count;
        rows++;
        for (uint32_t i = 0; i < csv.count; i++)
            csv_put(&writer, csv_text(&csv, i));
        csv_end(&writer);
    }
    MUST(csv.code == OK || error.detail[0]);
    csv_finish(&csv);
    buffer_finish(&out);
}

static void read_units(struct bytes text)
{
    struct units *units = NULL;
    struct error error = {0};
    if (units_parse(text, "fuzz.csv", &units, &error) != OK) {
        MUST(!units && strncmp(error.detail, "fuzz.csv", 8) == 0);
        return;
    }
    MUST(units->count > 0 && units->items[0].parent == UNIT_NONE);
    for (int32_t i = 0; i < units->count; i++) {
        const struct unit *unit = &units->items[i];
        MUST(units_find(units, unit->code) != UNIT_NONE && unit->tier < units->tier_count && unit->depth < DEPTH_MAX);
        MUST(unit->subtree_end > i && unit->subtree_end <= units->count);
        MUST(i == 0 || (unit->parent >= 0 && unit->parent < i && units_within(units, i, unit->parent)));
    }
    units_destroy(units);
}

static void walk(const struct json *value, struct json_writer *writer)
{
    int64_t number;
    bool truth;
    const char *name = json_name(value);
    switch (json_kind(value)) {
    case JSON_KIND_MAP:
    case JSON_KIND_LIST:
        if (json_kind(value) == JSON_KIND_MAP)
            json_open_map(writer, name);
        else
            json_open_list(writer, name);
        for (const struct json *item = json_first(value); item; item = json_next(item)) {
            if (json_name(item))
                MUST(json_get(value, json_name(item)) == item);
            walk(item, writer);
        }
        json_close(writer);
        break;
    case JSON_KIND_NUMBER:
        json_put_integer(writer, name, json_whole(value, &number) || json_scaled(value, &number) ? number : 0);
        break;
    case JSON_KIND_TRUTH:
        json_put_truth(writer, name, json_truth(value, &truth) && truth);
        break;
    case JSON_KIND_TEXT:
        json_scaled_parse(json_text(value), &number);
        json_put_text(writer, name, json_text(value));
        break;
    default:
        json_put_null(writer, name);
    }
}

// What is read as JSON, written again, reads.
static void read_json(struct bytes text)
{
    struct json_document *document = NULL, *again = NULL;
    struct error error = {0};
    struct buffer out = {0};
    if (json_parse(text, "fuzz.json", &document, &error) != OK) {
        MUST(!document && error.detail[0]);
        return;
    }
    struct json_writer writer = json_writer(&out, false);
    walk(json_root(document), &writer);
    MUST(json_parse(buffer_bytes(&out), "again.json", &again, &error) == OK);
    json_destroy(again);
    json_destroy(document);
    buffer_finish(&out);
}

static void read_records(struct bytes text, bool csv, const struct codebook *codebook)
{
    struct record_reader reader;
    struct record_draft draft;
    struct arena arena = {0};
    struct error error = {0};
    struct record_input input = {.form = "f", .csv = csv, .data = text, .source = "fuzz"};
    if (record_reader_init(&reader, &input, codebook, &codebook->forms[0], &arena, &error) == OK) {
        while (record_reader_next(&reader, &draft, &error))
            MUST(draft.values && (!draft.key || strlen(draft.key) <= SUBJECT_KEY_MAX));
        MUST(reader.code == OK || strncmp(error.detail, "fuzz", 4) == 0);
    }
    record_reader_finish(&reader);
    arena_finish(&arena);
}

static void read_address(struct bytes text)
{
    char address[300];
    struct endpoint endpoint;
    if (text.size >= sizeof address || (text.size && memchr(text.data, 0, text.size)))
        return;
    memcpy(address, text.data ? text.data : (const uint8_t *)"", text.size);
    address[text.size] = 0;
    endpoint_parse(address, &endpoint, NULL);
    endpoint_parse_dial(address, &endpoint, NULL);
    endpoint_is_loopback(address);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct codebook *codebook; // made once; the process's
    if (!codebook)
        MUST(crypto_init(NULL) == OK && codebook_load(bytes_of_text(small_codebook), "fuzz", &codebook, NULL) == OK);
    struct input input = {data, size};
    unsigned kind = input_below(&input, 6);
    struct bytes text = input_rest(&input);
    if (kind == 0)
        read_csv(text);
    else if (kind == 1)
        read_units(text);
    else if (kind == 2)
        read_json(text);
    else if (kind < 5)
        read_records(text, kind == 4, codebook);
    else
        read_address(text);
    return 0;
}
