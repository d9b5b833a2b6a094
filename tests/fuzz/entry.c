// What stands in entries: statements, words of completeness, sections of records. The first byte says which.
#include "node/codebook/codebook.h"
#include "node/record.h"
#include "node/statement.h"
#include "relay/arena.h"
#include "relay/crypto.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/small.h"

static void read_statement(struct bytes wire, struct arena *arena)
{
    struct statement statement;
    struct complete complete;
    struct buffer again = {0};
    if (statement_decode(wire, arena, &statement, NULL) == OK) {
        MUST(statement.count <= STATEMENT_CELLS_MAX && period_in_range(statement.period));
        for (uint32_t i = 1; i < statement.count; i++)
            MUST(statement.cells[i - 1] < statement.cells[i]);
        statement_encode(&statement, &again);
        if (statement.scope == 1) // OWN: the only ones that are written
            MUST(bytes_equal(wire, buffer_bytes(&again)));
    }
    buffer_clear(&again);
    if (complete_decode(wire, arena, &complete, NULL) == OK) {
        complete_encode(&complete, &again);
        MUST(bytes_equal(wire, buffer_bytes(&again)));
    }
    buffer_finish(&again);
}

static void read_section(const struct codebook *codebook, struct bytes wire, struct arena *arena)
{
    struct record record;
    int section;
    uint32_t sections;
    struct buffer again = {0};
    if (record_decode(codebook, wire, arena, &record, &section, &sections, NULL) != OK)
        return;
    MUST(record.revision > 0 && record.form < codebook->form_count && sections >= 1 && sections <= RECORD_SECTIONS_MAX);
    // What it says can be said again, and means the same.
    struct record same;
    struct error error = {0};
    if (record_encode(codebook, &record, section, arena, &again, &error) == OK) {
        int same_section;
        MUST(record_decode(codebook, buffer_bytes(&again), arena, &same, &same_section, &sections, &error) == OK);
        MUST(same_section == section && record_compare(&record, &same) == 0);
    }
    buffer_finish(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct codebook *codebook; // made once; the process's
    if (!codebook)
        MUST(crypto_init(NULL) == OK && codebook_load(bytes_of_text(small_codebook), "fuzz", &codebook, NULL) == OK);
    struct input input = {data, size};
    struct arena arena = {0};
    if (input_below(&input, 2))
        read_section(codebook, input_rest(&input), &arena);
    else
        read_statement(input_rest(&input), &arena);
    arena_finish(&arena);
    return 0;
}
